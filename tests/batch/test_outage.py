"""A service out of order for a whole run: who need not be begun is told all the same, and taken up later."""

from __future__ import annotations

import csv
import json
import socket
import time
from pathlib import Path

import pytest

from runbook_lib.batch import command
from runbook_lib.batch.command import Wanted
from runbook_lib.batch.runner import Options
from runbook_lib.http.retry import SIGN_IN_PACE, Pace
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run import sign_ins
from runbook_lib.settings.model import RunMode
from runbook_lib.settings.process import PACE_VARIABLE, output_name
from tests.builders import tenant_session
from tests.misbehaving import say

NAMES = ("fresh", "half-done", "complete")


def rows_of(sandbox, **changes):
    with Path(sandbox.ready["tenants_file"]).open(encoding="utf-8", newline="") as opened:
        return [{**row, **changes} for row in csv.DictReader(opened) if row["name"] in NAMES]


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_who_need_not_be_begun_has_folder_and_report_and_resume_takes_them_up(sandbox, tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        nobody = f"https://localhost:{held.getsockname()[1]}"
    file, broken = tmp_path / "tenants.csv", tmp_path / "broken.json"
    broken.write_text(json.dumps({**sandbox.ready, "graph": f"{nobody}/v1.0"}))
    write(file, rows_of(sandbox, cloud=f"sandbox:{broken}"))
    folder, outcomes, code = command.carry_out(Wanted(file, RunMode.PLAN, NAMES, out=tmp_path), Options(OLDER_AZURE_AD, jobs=1))
    assert ([one.status for one in outcomes], code) == (["failed"] * 3, 1)
    assert [one.about.startswith("not begun: ") for one in outcomes].count(True) >= 2
    told = "the connection is refused (not sent again: the service is out of order, see: RB-114)"
    for one in outcomes[1:]:
        place = folder / output_name(one.name)
        assert told in one.about
        assert "(see: RB-102)" in (place / "report.html").read_text(encoding="utf-8")
        [row] = json.loads((place / "results.json").read_text())
        assert (row["step"], row["status"], told in row["reason"]) == ("0.1", "FAILED", True)
        assert (place / "journal.jsonl").stat().st_mode & 0o777 == 0o600
    assert "graph" not in {entry["service"] for entry in sandbox.simulation.history}

    broken.write_text(json.dumps(sandbox.ready))
    write(file, rows_of(sandbox))
    _, outcomes, _ = command.carry_out(Wanted(None, resume=folder), Options(OLDER_AZURE_AD, jobs=2))
    assert [one.status for one in outcomes] == ["pending", "unchanged", "pending"]


ADDRESSES = {"Auth0": "auth0_domain", "Entra's sign-in": "authority", "Graph": "graph"}


@pytest.mark.parametrize("kind", ["busy", "silent"])
@pytest.mark.parametrize("service", ADDRESSES)
def test_at_the_pace_of_a_real_tenant_an_outage_is_told_within_ten_seconds(
    service, kind, sandbox, tenant, serve, authority, tmp_path, monkeypatch, request
):
    """By at most six requests, in a measure of `--full`: the seconds are real ones."""
    if not request.config.getoption("--full"):
        pytest.skip("waits as long as a real run does: --full")
    server = serve(lambda handler, _: say(handler, 503) if kind == "busy" else time.sleep(30))
    address = {"Auth0": server.url.removeprefix("https://"), "Graph": f"{server.url}/v1.0"}.get(service, server.url)
    bundle, broken = tmp_path / "both.pem", tmp_path / "broken.json"
    bundle.write_bytes(Path(sandbox.ready["ca_bundle"]).read_bytes() + authority.cert_pem.bytes())
    broken.write_text(json.dumps({**sandbox.ready, ADDRESSES[service]: address, "ca_bundle": str(bundle)}))
    (tmp_path / "pace").mkdir()
    monkeypatch.setenv(PACE_VARIABLE, str(tmp_path / "pace"))
    monkeypatch.setattr(sign_ins, "pace_of", lambda _cloud: Pace())
    monkeypatch.setattr(sign_ins, "_sign_in_pace", lambda _cloud: SIGN_IN_PACE)
    changes = {"auth0_domain": address} if service == "Auth0" else {}
    session = tenant_session(
        tenant("fresh", cloud=f"sandbox:{broken}", **changes), mode=RunMode.PLAN, out=tmp_path / "run" / "fresh"
    )
    began = time.monotonic()
    for step in session.steps:
        session.do(step.number)
    status, about = session.finish()
    assert (status, time.monotonic() - began < 25, len(server.seen) <= 6) == ("failed", True, True), about
