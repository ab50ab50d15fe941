"""The notebook of a fleet: what it shows, and what it never does unasked."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from runbook_lib import fleet
from runbook_lib.batch import charts
from runbook_lib.batch.summary import TenantRow
from runbook_lib.core.errors import SettingsError, TenantNotDone
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD


@pytest.fixture
def opened(sandbox, tmp_path):
    def open_one(**options):
        rows = Path(sandbox.ready["tenants_file"]).read_text().splitlines()
        (tmp_path / "one.csv").write_text("\n".join(rows[:2]))
        return fleet.open_fleet(tenants_file=str(tmp_path / "one.csv"), out=str(tmp_path / "out"), **options)

    return open_one


def test_a_file_of_ones_own_is_only_planned_until_apply_is_asked_for(opened, sandbox):
    one = opened()
    assert repr(one.plan()).startswith("1 to do")
    assert repr(one.run()) == "Nothing was written: the mode is plan."
    sent = {entry["path"].rpartition("/")[2] for entry in sandbox.simulation.history if entry["method"] != "GET"}
    assert sent <= {"token", "$batch"}  # sign-ins, and readings in one request
    assert [path.name for path in one.folder.iterdir() if path.name.startswith("summary")]


def test_apply_carries_the_procedure_out_and_shows_how_it_ended(opened):
    one = opened(mode="apply")
    assert repr(one.run()).startswith("1 done")
    assert repr(one.needs()).startswith("0 things to do")
    assert repr(one.matrix()).splitlines()[-1].split()[0] == "fresh"
    assert "1 as wanted" in repr(one.chart())


def test_the_summary_tells_a_runner_of_another_tool_which_tenants_are_not_done(opened, control):
    one = opened(mode="apply")
    control("POST", "/faults", [{"service": "auth0", "method": "POST", "path": "*/tokens", "nth": 1, "kind": "403"}])
    one.run()
    with pytest.raises(TenantNotDone, match=r"procedure for 1 of 1 tenants: not done, fresh \(failed\)\."):
        one.summary()
    one.run()
    assert repr(one.summary()) == "1 done.\n\nSandbox: nothing real was touched."


def test_the_summary_takes_open_work_for_no_error(opened):
    one = opened()
    assert repr(one.summary()).startswith("No tenant was carried out.")
    one.plan()
    assert repr(one.summary()).startswith("1 to do.")


@pytest.mark.parametrize("variables", [{"SERVER_SOFTWARE": "voila/0.5.13"}, {"VOILA_PREHEAT": "True"}])
def test_a_fleet_that_is_only_viewed_is_planned_and_says_why(variables, opened, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    one = opened(mode="apply")
    assert repr(one.tenants()).startswith("This page is only viewed, not run by a person or a command: it plans and writes ")
    assert repr(one.run()) == "Nothing was written: the mode is plan."


def test_a_bad_row_stops_the_page(tmp_path):
    (tmp_path / "bad.csv").write_text("name\nx\n")
    with pytest.raises(SettingsError, match="the column is missing"):
        fleet.open_fleet(tenants_file=str(tmp_path / "bad.csv")).tenants()


def test_the_chart_counts_every_tenant_once_at_every_step():
    rows = [
        TenantRow("a", "done", "", "a", steps={"1.1": {"status": "CHANGED"}}),
        TenantRow("b", "blocked", "", "b", steps={"1.1": {"status": "BLOCKED"}}),
        TenantRow("<c>", "pending", "", "c", steps={"1.1": {"status": "PLANNED"}}),
        TenantRow("d", "not-started", "", "d"),
        TenantRow("e", "handover", "", "e", steps={"1.1": {"status": "NOTED"}, "0.1": {"status": "HANDOVER"}}),
        TenantRow("f", "interrupted", "", "f", steps={"1.1": {"status": "INTERRUPTED"}}),
    ]
    assert charts.counted(rows, "1.1") == (1, 1, 1, 2, 1)
    assert all(sum(charts.counted(rows, number)) == 6 for number in OLDER_AZURE_AD.numbers)
    picture = ElementTree.fromstring(charts.svg([("1.1 <Find> & keep", (1, 1, 0, 1, 1))], 4))
    bars = [float(mark.get("width")) for mark in picture.iter("{http://www.w3.org/2000/svg}rect") if mark.get("height") == "15"]
    assert bars == [105.0] * 4
