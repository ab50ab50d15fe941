"""The forecast of a start, and what the first cycle then did to each person."""

from __future__ import annotations

import csv
import json

from runbook_lib.run.after_start import look_back, table_of
from runbook_lib.run.sign_ins import open_view
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.happened import summed_up


def test_everybody_fares_as_foretold(tenant, carry_out, customer, cycle):
    before = open_view(tenant("fresh"))
    forecast = before.read(facts.forecast)
    assert carry_out(tenant("fresh")).status == "done"
    cycle(customer("fresh"))
    found = look_back(open_view(tenant("fresh")), forecast)
    assert summed_up(found) == "14 of 14 as foretold"
    assert len(table_of(found).rows) == 14


def test_whoever_fares_otherwise_is_named(tenant, carry_out, customer, cycle):
    view = open_view(tenant("fresh"))
    forecast = view.read(facts.forecast)
    carry_out(tenant("fresh"))
    found = customer("fresh")
    found.person("joni")["accountEnabled"] = False
    cycle(found)
    words = summed_up(look_back(open_view(tenant("fresh")), forecast))
    assert words.startswith("13 of 14 as foretold; otherwise: Joni Sherman (foretold update; ")


def test_a_run_leaves_the_forecast_person_by_person(tenant, carry_out, customer):
    found = customer("fresh")
    diego = found.person("diego")
    diego["accountEnabled"] = False
    run = carry_out(tenant("fresh", blocked_users_limit=1))
    rows = list(csv.DictReader((run.out / "forecast.csv").read_text().splitlines()))
    leavers = list(csv.DictReader((run.out / "leavers.csv").read_text().splitlines()))
    assert (run.status, len(rows), [one["person"] for one in leavers]) == ("done", 14, ["Diego Siciliani"])
    assert leavers[0]["by_one_reading"].startswith("block (reports: ")
    assert leavers[0]["by_another_reading"].startswith("leaver who stays active (Microsoft's text: ")
    end = json.loads((run.out / "journal.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["forecast"]["block"]) == ("end", 1)
    report = (run.out / "report.html").read_text()
    assert 'href="leavers.csv"' in report
    assert "1 block" in report


def test_more_users_than_a_search_gives_are_looked_back_on_by_an_export(tenant, carry_out, customer, cycle, monkeypatch):
    from runbook_lib.run import after_start

    before = open_view(tenant("fresh"))
    forecast = before.read(facts.forecast)
    assert carry_out(tenant("fresh")).status == "done"
    cycle(customer("fresh"))
    monkeypatch.setattr(after_start, "SEARCH_LIMIT", 5)
    view = open_view(tenant("fresh"))
    assert summed_up(look_back(view, forecast)) == "14 of 14 as foretold"
    asked = [entry["path"] for entry in customer("fresh").sandbox.simulation.history]
    assert asked.count("/api/v2/jobs/users-exports") == 1
