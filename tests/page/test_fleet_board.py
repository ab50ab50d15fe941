"""The controls of the fleet's page: plan, run and stop by a press, the matrix sifted and opened, nothing written unasked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runbook_lib import fleet
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.runner import Options
from runbook_lib.batch.summary import TenantRow
from runbook_lib.engine.status import Outcome
from runbook_lib.fleet import Fleet, FleetDesk
from runbook_lib.page.fleet_board import Board, Choices, Line, links
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode

STEPS = ("0.1", "0.2")


def line(name, status="done", about="14 steps changed something"):
    return Line(name, Outcome(status), about, (("✓", "green"), ("", "")), lambda: f"<h3>{name}</h3>")


@pytest.fixture
def board():
    pressed = []
    made = Board(
        Choices("tenants.csv", "plan", 16, 1, ""),
        STEPS,
        on_plan=lambda: pressed.append("plan"),
        on_run=lambda: pressed.append("run"),
        on_stop=lambda: pressed.append("stop"),
    )
    made.pressed = pressed
    return made


def test_each_button_does_what_it_says_and_stop_waits_for_work(board):
    assert (board.plan.disabled, board.run.disabled, board.stop.disabled) == (False, False, True)
    board.begin(2)
    assert (board.plan.disabled, board.run.disabled, board.stop.disabled) == (True, True, False)
    for button in (board.plan, board.run, board.stop):
        button.click()
    assert board.pressed == ["plan", "run", "stop"]


def test_a_tenant_at_work_has_a_bar_that_goes_with_its_steps(board):
    board.begin(2)
    board.begins("contoso")
    board.step("contoso", "0.2", "0.2 Check both sign-ins")
    [box] = board._at_work.children
    bar, label = box.children
    assert (bar.description, bar.value, bar.max, label.value) == ("contoso", 1, 2, "0.2 Check both sign-ins")
    board.ends("contoso")
    assert (board._at_work.children, board._all.value) == ((), 1)


def test_the_matrix_is_searched_filtered_and_opened(board):
    board.show([line("contoso"), line("fabrikam", "blocked", "1.2: The common endpoint is on")])
    assert "2 of 2 tenants" in board._count.value
    board._find.value = "common ENDPOINT"
    assert ("1 of 2 tenants" in board._count.value, "contoso" in board._matrix.value) == (True, False)
    board._open.value = "fabrikam"
    assert board._opened.value == "<h3>fabrikam</h3>"
    board._status.value = "done"
    assert ("0 of 2 tenants" in board._count.value, board._open.value, board._opened.value) == (True, "", "")


def test_what_is_said_has_no_markup_of_a_tenant_and_a_line_for_each(board):
    board.say("<b>one</b>\ntwo", is_wrong=True)
    assert re.search(r'role="alert".*&lt;b&gt;one&lt;/b&gt;<br>two', board._said.value)


def test_files_below_the_page_are_linked_and_others_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert 'href="../../files/outputs/a%20b/report.html"' in links(Path("outputs/a b"), {"report": "report.html"})
    assert links(Path("/elsewhere"), {"report": "report.html"}) == "<p>/elsewhere</p>"


# What the presses do -------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(sandbox, tmp_path):
    rows = Path(sandbox.ready["tenants_file"]).read_text().splitlines()
    path = tmp_path / "one.csv"
    path.write_text("\n".join(rows[:2]))
    return FleetDesk(Fleet(path, RunMode.PLAN, tmp_path / "out", Options(OLDER_AZURE_AD, jobs=1)))


def said(desk):
    return re.sub("<[^>]*>", "\n", desk.board._said.value)


def test_a_plan_and_a_run_by_pressing_show_totals_and_the_matrix(desk, sandbox):
    desk.board.plan.click()
    desk.wait()
    assert ("Tenants: 1 to do." in said(desk), "Nothing was written." in said(desk)) == (True, True)
    desk.board.run.click()
    assert "the mode is Plan" in said(desk)
    assert {entry["method"] for entry in sandbox.simulation.history if entry["service"] == "auth0"} <= {"GET", "POST"}
    desk.board._mode.value = "apply"
    desk.board.run.click()
    desk.wait()
    assert "Tenants: 1 done." in said(desk)
    assert "✓ Done" in desk.board._matrix.value
    desk.board._open.value = "fresh"
    assert ("<h3>fresh</h3>" in desk.board._opened.value, "Turn provisioning on" in desk.board._opened.value) == (True, True)
    assert desk.board.stop.disabled


@pytest.fixture
def carried(monkeypatch, tmp_path):
    """Put a run that only waits in the place of the real one; return what it was given."""
    given = []

    def carry_out(wanted, options, watching, stop=None):
        given.append((wanted.mode, options.jobs, options.canary, stop))
        with watching(1, options.procedure) as watcher:
            watcher.ends(TenantOutcome("acme", "pending", "", tmp_path))
        return tmp_path, (TenantOutcome("acme", "pending", "", tmp_path / "acme"),), 4

    monkeypatch.setattr(fleet, "carry_out", carry_out)
    monkeypatch.setattr(
        fleet, "tenant_rows", lambda outcomes, _procedure: [TenantRow(one.name, one.status, "", one.name) for one in outcomes]
    )
    return given


@pytest.fixture
def real(tmp_path, monkeypatch):
    """The desk of a file whose one tenant is real."""
    monkeypatch.setenv("A", "secret-of-auth0")
    monkeypatch.setenv("B", "secret-of-entra")
    columns = {
        "name": "acme", "auth0_domain": "acme.eu.auth0.com", "auth0_connection": "acme-ad", "auth0_client_id": "aBcD",
        "auth0_client_secret": "env:A", "entra_tenant": "acme.onmicrosoft.com",
        "entra_client_id": "b0d5a4d2-4a5e-4d6b-9c5c-0a1f2b3c4d5e",
        "entra_client_secret": "env:B", "cloud": "public", "scim_app_name": "Acme SCIM", "test_user": "adele@acme.com",
        "token_lifetime_days": "365", "turn_on": "no",
    }  # fmt: skip
    (tmp_path / "real.csv").write_text("\n".join([",".join(columns), ",".join(columns.values())]))
    return FleetDesk(Fleet(tmp_path / "real.csv", RunMode.APPLY, tmp_path / "out", Options(OLDER_AZURE_AD, jobs=3, canary=1)))


def test_real_tenants_are_written_to_only_after_a_plan_and_their_number_typed(real, carried):
    real.run()
    assert ("Press Plan" in said(real), carried) == (True, [])
    real.plan()
    real.wait()
    real.run()
    assert ("Type how many" in said(real), len(carried), real.board._confirm.layout.display) == (True, 1, "")
    real.board._confirm.value = "2"
    real.run()
    assert len(carried) == 1
    real.board._confirm.value = "1"
    real.run()
    real.wait()
    assert [row[:3] for row in carried] == [(RunMode.PLAN, 3, 1), (RunMode.APPLY, 3, 1)]
    assert real.board.choices().confirmed == ""


def test_a_bad_file_is_said_at_the_controls_and_nothing_begins(real, carried):
    real.board._file.value = "missing.csv"
    real.plan()
    assert ("missing.csv cannot be read" in said(real), carried) == (True, [])


def test_stop_lets_the_steps_in_hand_end(real, carried):
    real.plan()
    real.wait()
    real.stop()
    assert (carried[0][3].reason, carried[0][3].is_urgent()) == ("you pressed Stop", True)


def test_a_cell_that_is_run_while_a_person_is_there_writes_nothing(real, carried, monkeypatch, tmp_path):
    monkeypatch.setattr(fleet, "person_is_present", lambda: True)
    live = Fleet(tmp_path / "real.csv", RunMode.APPLY, tmp_path / "out", Options(OLDER_AZURE_AD))
    assert (repr(live.run()), repr(live.plan()), carried) == (
        "The controls above plan and run. Run this cell to see their last round.",
        "The controls above plan and run. Run this cell to see their last round.",
        [],
    )
    widget = live.controls()
    live._desk.wait()
    assert ([row[0] for row in carried], live.controls() is widget) == ([RunMode.PLAN], True)


def test_headless_the_controls_are_a_sentence(real, tmp_path):
    one = Fleet(tmp_path / "real.csv", RunMode.PLAN, tmp_path / "out", Options(OLDER_AZURE_AD))
    assert repr(one.controls()).startswith("The controls are for a person at this page")
