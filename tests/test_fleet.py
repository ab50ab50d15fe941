"""The notebook of a fleet: what it shows, and what it never does unasked."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from runbook_lib import fleet
from runbook_lib.batch import progress
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.summary import TenantRow
from runbook_lib.errors import SettingsError


@pytest.fixture
def opened(sandbox, tmp_path):
    def open_one(**options):
        rows = Path(sandbox.ready["tenants_file"]).read_text().splitlines()
        (tmp_path / "one.csv").write_text("\n".join(rows[:2]))
        return fleet.open_fleet(tenants_file=str(tmp_path / "one.csv"), out=str(tmp_path / "out"), **options)

    return open_one


def test_a_file_of_ones_own_is_only_planned_until_apply_is_asked_for(opened, sandbox):
    one = opened()
    assert repr(one.plan()).startswith("1 pending")
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
    assert fleet._counted(rows, "1.1") == (1, 1, 1, 2, 1)
    assert all(sum(fleet._counted(rows, number)) == 6 for number in fleet._NUMBERS)
    picture = ElementTree.fromstring(fleet._svg([("1.1 <Find> & keep", (1, 1, 0, 1, 1))], 4))
    bars = [float(mark.get("width")) for mark in picture.iter("{http://www.w3.org/2000/svg}rect") if mark.get("height") == "15"]
    assert bars == [105.0] * 4


def test_the_progress_on_a_page_is_no_error_output(capsys, tmp_path):
    with progress.on_page(2) as watcher:
        watcher.ends(TenantOutcome("acme", "done", "14 steps changed something", tmp_path))
    assert capsys.readouterr() == ("[1/2] acme: done: 14 steps changed something\n", "")
