"""Hand-over and its mirror from the command line: a tenants file in, exit code, sheet and summary out."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from runbook_lib.batch.command import Wanted, carry_out
from runbook_lib.batch.inventory import left_open, sign_in_of
from runbook_lib.batch.machines.sharing import Shard
from runbook_lib.batch.progress import unseen
from runbook_lib.batch.runner import Options
from runbook_lib.core.errors import SettingsError
from runbook_lib.engine.journal import read_lines
from runbook_lib.fleet import open_fleet
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.notebooks.test_notebook import command_line


@pytest.fixture
def tenants_file(sandbox, tmp_path):
    """Write a YAML tenants file of `fresh`, with changes."""
    with Path(sandbox.ready["tenants_file"]).open(newline="") as handle:
        [fresh] = [row for row in csv.DictReader(handle) if row["name"] == "fresh"]

    def write(**changes):
        path = tmp_path / "tenants.yaml"
        path.write_text(yaml.safe_dump([{**fresh, **changes}]))
        return path

    return write


@pytest.mark.parametrize("side", ["entra", "auth0"])
def test_a_hand_over_waits_with_exit_code_4_and_a_sheet(side, sandbox, tenants_file, tmp_path):
    path = tenants_file(**{f"{side}_client_id": "", f"{side}_client_secret": ""})
    result = command_line("run", path, "--mode", "apply", "--out", tmp_path / "out")
    assert result.returncode == 4, result.stderr
    [run] = (tmp_path / "out").iterdir()
    assert {"handover.html", "handover.md", "report.html"} <= {entry.name for entry in (run / "fresh").iterdir()}
    [tenant] = json.loads((run / "summary.json").read_text())
    assert (tenant["status"], "handover.html" in tenant["about"]) == ("handover", True)
    page = (run / "summary.html").read_text()
    assert '<a href="fresh/handover.html">hand-over</a>' in page
    assert "Send handover.html to the administrator" in page or "Make and show the token once" in page
    assert 'failures="0"' in (run / "junit.xml").read_text()
    executed = json.loads((run / "fresh" / "inbound_scim.ipynb").read_text())
    wanted = {"entra": "Matching precedence", "auth0": "Pairwise Subject Identifier (sub)"}[side]
    assert [cell for cell in executed["cells"] if wanted in json.dumps(cell.get("outputs", []))]
    assert command_line("report", run).returncode == 4

    secrets = [text for text in sandbox.world.secrets() if text]
    everything = "\n".join([result.stdout, result.stderr, *(p.read_text() for p in run.rglob("*") if p.is_file())])
    assert [text for text in secrets if text in everything] == []


def test_a_bad_mirror_is_refused_before_anything_is_sent(sandbox, tenants_file, tmp_path):
    before = len(sandbox.simulation.history)
    path = tenants_file(
        auth0_client_id="", auth0_client_secret="", scim_endpoint="https://evil.example/scim/v2/connections/con_A"
    )
    result = command_line("run", path, "--mode", "apply", "--out", tmp_path / "out")
    assert (result.returncode, len(sandbox.simulation.history)) == (2, before)
    assert "scim_endpoint" in result.stderr


def test_a_scim_token_that_is_not_there_is_refused_before_anything_is_sent(sandbox, tenants_file, tmp_path):
    before = len(sandbox.simulation.history)
    endpoint = f"https://{sandbox.world.auth0.domain}/scim/v2/connections/con_AbCdEfGh12345678"
    client_id = "00000000-0000-4000-8000-00000000000a"
    changes = {"auth0_client_id": "", "auth0_client_secret": "", "scim_endpoint": endpoint, "oidc_client_id": client_id}
    result = command_line("run", tenants_file(**changes, scim_token="file:nowhere"), "--out", tmp_path / "out")
    assert (result.returncode, len(sandbox.simulation.history)) == (2, before)
    assert "column scim_token" in result.stderr


def test_a_hand_over_is_not_done_when_resumed_and_keeps_its_exit_code_when_left_alone(sandbox, tenants_file, tmp_path):
    path = tenants_file(entra_client_id="", entra_client_secret="")
    folder, _, code = carry_out(Wanted(path, RunMode.APPLY, out=tmp_path / "out"), Options(OLDER_AZURE_AD), unseen)
    begun = count_of_runs(folder)
    _, [again], code_again = carry_out(Wanted(None, resume=folder), Options(OLDER_AZURE_AD), unseen)
    assert (code, code_again, again.status, count_of_runs(folder)) == (4, 4, "handover", begun + 1)
    _, [kept], code_failed = carry_out(Wanted(None, resume=folder, failed=True), Options(OLDER_AZURE_AD), unseen)
    assert (kept.status, code_failed, count_of_runs(folder)) == ("handover", 4, begun + 1)


def test_a_run_that_several_tasks_share_does_a_hand_over_again(sandbox, tenants_file, tmp_path):
    path = tenants_file(entra_client_id="", entra_client_secret="")
    wanted = Wanted(path, RunMode.APPLY, out=tmp_path / "out", run_id="monday", shard=Shard(0, 1))
    codes = [carry_out(wanted, Options(OLDER_AZURE_AD), unseen)[2] for _ in range(2)]
    assert (codes, count_of_runs(tmp_path / "out" / "monday")) == ([4, 4], 2)


def count_of_runs(folder):
    return [event["event"] for event in read_lines(folder / "fresh" / "journal.jsonl")].count("run")


def test_an_inventory_signs_in_with_a_row_that_can_and_leaves_entra_open(sandbox, tmp_path):
    with Path(sandbox.ready["tenants_file"]).open(newline="") as handle:
        rows = list(csv.DictReader(handle))[:3]
    mirror = {**rows[0], "auth0_client_id": "", "auth0_client_secret": ""}
    handed = {**rows[1], "entra_client_id": "", "entra_client_secret": ""}
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump([mirror, handed]))
    settings = sign_in_of({}, path)
    assert (settings.name, left_open(settings)) == (handed["name"], ("entra_client_id", "entra_client_secret", "test_user"))
    path.write_text(yaml.safe_dump([mirror, handed, rows[2]]))
    assert left_open(sign_in_of({}, path)) == ("test_user",)
    path.write_text(yaml.safe_dump([mirror]))
    with pytest.raises(SettingsError, match="signs in to Auth0"):
        sign_in_of({}, path)
    assert "This run does not sign in to Auth0" in repr(open_fleet(tenants_file=str(path)).inventory())
