"""Every fenced block of commands in the documentation is typed into bash against a sandbox, or listed with the reason why not.

A block that is neither run here nor listed fails the first test, and so does a listed one that the documentation no longer has.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runbook_lib.batch.machines.sharing import Shard
from runbook_lib.settings.tenants_file import read_tenants

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / "runbook_lib" / "sandbox").glob("*.md"),
    *sorted((ROOT / "tests").glob("*/README.md")),
]
FENCED = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELLS = ("sh", "bash", "shell", "console", "powershell")
INVENTORY = "inbound-scim-runbook inventory"
RUN = "inbound-scim-runbook run tenants.csv                #"
UNDO = "inbound-scim-runbook undo outputs/RUN_ID"
SHARD = "inbound-scim-runbook run tenants.csv --mode apply --run-id monday"
SECRET = "read -rs AUTH0_SECRET"
TYPED_HERE = (INVENTORY, RUN, UNDO, SHARD, SECRET)
NOT_TYPED = {  # how a block begins: why it is not typed here
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt": "installs, as tests/test_packaging.py does",
    "python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt && .venv/bin/python -m pytest": "this suite itself",
    "py -m venv .venv; .venv\\Scripts\\pip install -r requirements.txt": "Windows",
    "pipx install PATH/inbound-scim-runbook": "installs; tests/test_packaging.py installs the wheel and runs demo",
    "python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt\n": "this suite itself, and .ci/run, which runs it",
    "$env:AUTH0_SECRET = Read-Host": "PowerShell",
    ".venv/bin/python -m pytest tests/reliability --full": "takes hours",
    ".venv/bin/python -m tests.benchmarks": "takes an hour, and is no use on a busy machine",
    "python -m tests.outside": "installs the clients of others from the network",
}


def blocks():
    """Every block of shell commands, in the order of the pages."""
    found = [match for page in PAGES for match in FENCED.findall(page.read_text(encoding="utf-8"))]
    return [text for language, text in found if language in SHELLS]


def test_the_tenants_file_that_a_page_shows_is_one(tmp_path):
    shown = re.search(r"^```text\n(name,auth0_domain,.*?)^```", (ROOT / "docs" / "first-tenant.md").read_text(), re.M | re.S)
    (tmp_path / "tenants.csv").write_text(shown[1])
    [tenant] = read_tenants(tmp_path / "tenants.csv", is_to_run=False)
    assert (tenant.name, tenant.auth0_connection, tenant.turn_on) == ("contoso", "contoso-azure-ad", "no")


def block(beginning):
    return next(text for text in blocks() if text.startswith(beginning))


def test_every_block_of_commands_is_typed_here_or_listed_with_the_reason():
    beginnings = (*TYPED_HERE, *NOT_TYPED)
    assert [text for text in blocks() if not text.startswith(beginnings)] == []
    assert [beginning for beginning in beginnings if not any(text.startswith(beginning) for text in blocks())] == []


@pytest.fixture
def typed(sandbox, tmp_path):
    """Type a block into bash, in a folder of its own whose tenants.csv is the sandbox's new customer, and return what came out.

    `values` are put in the place of what the documentation calls so; `after` is typed behind it.
    """
    file = Path(sandbox.ready["tenants_file"])
    [fresh] = [row for row in csv.DictReader(file.read_text().splitlines()) if row["name"] == "fresh"]
    with (tmp_path / "tenants.csv").open("w", newline="") as tenants:
        rows = csv.DictWriter(tenants, list(fresh))
        rows.writeheader()
        rows.writerow(fresh)

    def type_in(beginning, values, typed_after="", after=""):
        text = block(beginning)
        for name, value in values.items():
            assert name in text
            text = text.replace(name, str(value))
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        environment |= {"JOB_COMPLETION_INDEX": _shard_of_the_new_customer(), "COLUMNS": "200"}
        command = ["bash", "-c", text + after]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, input=typed_after, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return type_in


def _shard_of_the_new_customer():
    return next(str(number) for number in range(10) if Shard(number, 10).has("fresh"))


def ended(run):
    """Return how the tenants of a run ended."""
    return {row["name"]: row["status"] for row in csv.DictReader((run / "summary.csv").read_text().splitlines())}


def test_the_commands_of_a_fleet_do_what_the_pages_say_in_their_order(typed, sandbox, tmp_path, carry_out):
    [fresh] = [one for one in read_tenants(tmp_path / "tenants.csv") if one.name == "fresh"]
    signed_in = {"acme.eu.auth0.com": fresh.auth0_domain, "aBcD1234": fresh.auth0_client_id}
    signed_in |= {"env:AUTH0_SECRET": f"{fresh.auth0_client_secret} --cloud {fresh.cloud}", "tenants.csv": "found.csv"}
    typed(INVENTORY, signed_in)
    assert "fresh-azure-ad" in (tmp_path / "found.csv").read_text()

    typed(RUN, {})
    planned, applied = sorted((tmp_path / "outputs").glob("*/summary.csv"))
    assert [ended(planned.parent), ended(applied.parent)] == [{"fresh": "pending"}, {"fresh": "done"}]

    typed(SHARD, {"/shared/outputs": tmp_path / "shared"})
    assert ended(tmp_path / "shared" / "monday") == {"fresh": "unchanged"}

    typed(UNDO, {"RUN_ID": applied.parent.name})
    assert carry_out(fresh, "plan").status == "pending"


def test_the_way_to_set_a_secret_takes_it_from_the_keyboard_and_shows_nothing(typed):
    shown = typed(SECRET, {}, typed_after="a-secret\n", after='\nprintf "%s characters" "${#AUTH0_SECRET}"')
    assert shown == "8 characters"
