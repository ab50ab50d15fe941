"""The list of connections, and the tenants file made of it."""

from __future__ import annotations

import csv
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runbook_lib.batch import inventory
from runbook_lib.core.errors import SettingsError
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.services.auth0.models import Connection
from runbook_lib.settings.tenants_file import read_tenants
from runbook_lib.tenant.connection_age import ConnectionAge
from tests.patience import PATIENCE_S

MORE = 230  # over two pages of 100


@pytest.fixture(scope="module")
def fleet():
    with Sandbox(seed=7, tenants=MORE) as sandbox:
        yield sandbox


@pytest.fixture
def signed_in(fleet):
    return {tenant.name: tenant for tenant in read_tenants(Path(fleet.ready["tenants_file"]))}["fresh"]


def command_line(*arguments):
    command = [sys.executable, "-m", "runbook_lib", "inventory", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def options(settings, **others):
    given = {
        "auth0-domain": settings.auth0_domain,
        "client-id": settings.auth0_client_id,
        "client-secret": settings.auth0_client_secret,
        "cloud": settings.cloud,
    }
    return [word for name, value in {**given, **others}.items() for word in (f"--{name}", str(value))]


def test_every_connection_is_found_over_all_pages_with_one_list_of_scim_configurations(fleet, signed_in):
    start = len(fleet.simulation.history)
    found = inventory.take_inventory(signed_in)
    asked = [f"{entry['path']}?{entry['query']}" for entry in fleet.simulation.history[start:]]
    wanted = {entry["id"] for entry in fleet.world.auth0.connections.values() if entry["strategy"] == "waad"}
    assert {one.connection.id for one in found} == wanted
    assert len(found) == MORE + 9 == len({one.name for one in found})
    lists = [address for address in asked if "/users?" not in address and not address.endswith("/tokens?")]
    assert lists == [
        "/oauth/token?",
        "/api/v2/connections?strategy=waad&take=100",
        "/api/v2/connections?strategy=waad&take=100&from=100",
        "/api/v2/connections?strategy=waad&take=100&from=200",
        "/api/v2/connections-scim-configurations?take=100",
    ]
    assert len([address for address in asked if address.endswith("/tokens?")]) == 4


def test_the_list_of_scim_configurations_is_read_over_all_pages(sandbox, tenant, monkeypatch):
    monkeypatch.setattr("runbook_lib.services.auth0.management.PAGE_SIZE", "1")
    found = inventory.take_inventory(tenant("fresh"))
    assert [one.name for one in found if one.has_scim] == [
        "complete-azure-ad",
        "half-done-azure-ad",
        "people-azure-ad",
        "token-limit-azure-ad",
    ]


def test_each_connection_has_its_verdict_its_scim_and_its_tokens(sandbox, tenant):
    found = {one.name: one for one in inventory.take_inventory(tenant("fresh"))}
    assert {name: (one.verdict.kind, one.has_scim, one.tokens_end[:8]) for name, one in found.items()} == {
        "fresh-azure-ad": ("older", False, ""),
        "complete-azure-ad": ("older", True, "1, until"),
        "half-done-azure-ad": ("older", True, ""),
        "oid-with-users-azure-ad": ("newer", False, ""),
        "common-endpoint-azure-ad": ("unsure", False, ""),
        "token-limit-azure-ad": ("older", True, "2, until"),
        "no-options-scope-azure-ad": ("older", False, ""),
        "many-assignments-azure-ad": ("older", False, ""),
        "people-azure-ad": ("older", True, "1, until"),
    }
    [token] = sandbox.world.auth0.provisioning[found["complete-azure-ad"].connection.id].tokens
    assert found["complete-azure-ad"].tokens_end == f"1, until {token['valid_until'][:10]}"


def test_the_command_prints_a_table_and_writes_a_file_that_run_takes_once_it_is_filled_in(fleet, signed_in, tmp_path):
    path = tmp_path / "mine.csv"
    entra = {"entra-client-id": signed_in.entra_client_id, "entra-client-secret": signed_in.entra_client_secret}
    result = command_line(*options(signed_in, **entra, out=path))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["name", "which", "users", "SCIM", "tokens", "why"]
    assert len(lines) == 1 + MORE + 9
    assert f"{MORE + 9} waad connections: {MORE + 7} older, 1 newer, 1 unsure." in result.stderr
    assert f"{path}: {MORE + 7} rows, turn_on is no. Fill in test_user;" in result.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = path.read_text()
    assert [text for text in fleet.world.secrets() if text and text in written + result.stdout + result.stderr] == []

    with pytest.raises(SettingsError, match="column test_user"):
        read_tenants(path)
    rows = list(csv.DictReader(written.splitlines()))
    row = next(row for row in rows if row["name"] == "fresh-azure-ad")
    (tmp_path / "one.csv").write_text("\n".join([",".join(row), ",".join({**row, "test_user": signed_in.test_user}.values())]))
    command = [sys.executable, "-m", "runbook_lib", "run", tmp_path / "one.csv", "--json", "--out", tmp_path / "out"]
    planned = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (planned.returncode, json.loads(planned.stdout)["tenants"][0]["status"]) == (4, "pending"), planned.stderr


def test_a_file_that_is_there_is_never_overwritten_and_nothing_is_sent(sandbox, tenant, tmp_path):
    (tmp_path / "mine.csv").write_text("my work")
    before = len(sandbox.simulation.history)
    result = command_line(*options(tenant("fresh"), out=tmp_path / "mine.csv"))
    assert (result.returncode, (tmp_path / "mine.csv").read_text(), len(sandbox.simulation.history)) == (2, "my work", before)
    assert "is there already and is never overwritten. Choose another --out" in result.stderr


def test_a_tenants_file_says_how_to_sign_in_and_json_tells_all(sandbox, tenant, tmp_path):
    rows = Path(sandbox.ready["tenants_file"]).read_text().splitlines()
    (tmp_path / "one.csv").write_text("\n".join(rows[:2]))
    result = command_line(tmp_path / "one.csv", "--json", "--out", tmp_path / "all.csv")
    assert result.returncode == 0, result.stderr
    listed = {entry["name"]: entry for entry in json.loads(result.stdout)["connections"]}
    assert len(listed) == 9
    token = listed["complete-azure-ad"]["tokens"][0]
    assert sorted(token) == ["created_at", "last_used_at", "scopes", "token_id", "valid_until"]
    made = list(csv.DictReader((tmp_path / "all.csv").read_text().splitlines()))
    assert len(made) == 7
    assert {(row["entra_client_id"], row["turn_on"]) for row in made} == {(tenant("fresh").entra_client_id, "no")}


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"client-secret": "hunter2hunter2"}, 2, "is not a reference"),
        ({"auth0-domain": "evil.example.com"}, 2, "is not the domain of the sandbox"),
        ({"client-secret": ""}, 2, "--client-secret is not given"),
        ({"out": "mine.yaml"}, 2, "would be read as YAML"),
        ({"client-id": "nobody"}, 3, "Auth0 refused the sign-in"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(changes, code, words, tenant, tmp_path):
    result = command_line(*options(tenant("fresh"), **changes))
    assert (result.returncode, result.stdout) == (code, "")
    assert words in result.stderr
    assert "hunter2" not in result.stderr


def test_connections_without_their_options_are_no_inventory(tenant, tmp_path):
    result = command_line(*options(tenant("no-options-scope"), out=tmp_path / "mine.csv"))
    assert (result.returncode, (tmp_path / "mine.csv").exists()) == (3, False)
    assert "Grant the Auth0 application read:connections_options" in result.stderr


def found_as(names):
    connections = [
        Connection(f"con_{n}", name, title, "waad", {"tenantId": where}) for n, (name, title, where) in enumerate(names)
    ]
    older = ConnectionAge("older", "")
    labels = inventory._names(connections)
    return [inventory.Found(label, one, older, 1, False, ()) for label, one in zip(labels, connections, strict=True)]


def test_names_are_plain_and_unique_and_titles_are_no_formulas(tenant):
    hostile = [
        ("Contoso", "=cmd|' /C calc'!A0", "contoso.example"),
        ("contoso", "\u202eevil\u200b  Ltd", "../../etc"),
        ("CON", None, "common"),
        ("a" * 128, "b" * 300, ""),
    ]
    rows = list(csv.DictReader(inventory.tenants_csv(found_as(hostile), tenant("fresh")).splitlines()))
    names = [row["name"] for row in rows]
    assert names[0] == "contoso"
    assert len({name.casefold() for name in names}) == 4
    assert [row["scim_app_name"] for row in rows] == ["cmd|' /C calc'!A0 SCIM", "evil Ltd SCIM", "CON SCIM", "b" * 115 + " SCIM"]
    assert [row["entra_tenant"] for row in rows] == ["contoso.example", "", "", ""]
    assert all(len(name) <= 64 for name in names)
