"""What a person accepts is on record: in settings.json, journal and report, with the number, who it was, and when."""

from __future__ import annotations

import json

from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session


def planned(settings, out):
    session = tenant_session(settings, mode=RunMode.PLAN, out=out, is_page=True)
    for step in session.steps:
        session.do(step.number)
    return session


def test_an_acceptance_is_saved_journalled_and_reported(tenant, customer, carry_out, tmp_path):
    found = customer("fresh")
    found.profile(found.person("diego"))["blocked"] = True
    session = planned(tenant("fresh"), tmp_path / "page" / "fresh")
    held = session.engine.results["4.3"]
    assert [(hazard.name, hazard.count) for hazard in held.hazards] == [("unblock", 1)]
    session.accept(held.hazards)
    kept = json.loads((session.out / "settings.json").read_text())
    [record] = kept["accepted"]
    assert (record["hazard"], record["count"], bool(record["who"]), record["when"].endswith("+00:00")) == (
        "unblock",
        1,
        True,
        True,
    )
    events = [json.loads(line) for line in (session.out / "journal.jsonl").read_text().splitlines()]
    assert [{key: event[key] for key in record} for event in events if event["event"] == "accepted"] == [record]
    assert session.do("4.3").hazards == ()
    session.finish()

    run = carry_out(session.settings)
    assert run.status == "done"
    [table] = [table for row in run.rows for table in row["tables"] if table["title"] == "Accepted"]
    assert table["rows"][0][:2] == ("unblock", "1")
    assert table["rows"][0][3:] == (record["who"], record["when"])
    assert record["when"] in (run.out / "report.html").read_text()


def test_an_acceptance_does_not_hold_for_one_person_more(tenant, customer, carry_out, tmp_path):
    found = customer("fresh")
    for alias in ("diego", "joni"):
        found.profile(found.person(alias))["blocked"] = True
    record = {"hazard": "unblock", "count": 1, "who": "a person", "when": "2026-11-28T09:00:00+00:00"}
    run = carry_out(tenant("fresh", accepted=[record]))
    assert (run.status, run.writes()) == ("blocked", [])
    assert carry_out(tenant("fresh", accepted=[{**record, "count": 2}])).status == "done"
