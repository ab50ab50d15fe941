"""What a log gets while tenants run: lines, not bars."""

from __future__ import annotations

import functools
import io
import json
import threading

from runbook_lib.batch import progress, step_progress
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from tests.patience import PATIENCE_S


def test_a_log_shows_each_step_of_few_tenants(tmp_path):
    log = io.StringIO()
    lines = progress._Lines(1, log, OLDER_AZURE_AD)
    for number in ("0.1", "0.2"):
        lines.step("contoso", number)
    lines.ends(TenantOutcome("contoso", "done", "all is well", tmp_path))
    assert [line.split(" ")[:2] for line in log.getvalue().splitlines()] == [
        ["contoso:", "0.1"],
        ["contoso:", "0.2"],
        ["[1/1]", "contoso:"],
    ]


def test_a_log_of_many_tenants_is_never_silent_for_long(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    log = io.StringIO()
    lines = progress._Lines(300, log, OLDER_AZURE_AD)
    lines.step("contoso", "3.3")
    lines.step("fabrikam", "1.2")
    assert log.getvalue().splitlines()[-1] == "[0/300] 2 at work, fabrikam at 1.2"


def test_a_log_of_300_tenants_has_a_line_for_each_kind_of_trouble_and_one_for_all(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_S", 3600.0)  # it all happens within the time for one line
    log = io.StringIO()
    lines = progress._Lines(300, log, OLDER_AZURE_AD)
    refused = ("0.2: Auth0 refused the sign-in (request one)", "0.2: Auth0 refused the sign-in (request two)")
    for number in range(300):
        about = refused[number % 2] if number < 10 else "14 steps would change something"
        lines.ends(TenantOutcome(f"tenant-{number}", "blocked" if number < 10 else "pending", about, tmp_path))
    assert log.getvalue().splitlines() == [
        "[1/300] tenant-0: Stopped: 0.2: Auth0 refused the sign-in (request one)",
        "[300/300] 10 stopped, 290 to do",
    ]


def test_a_terminal_has_one_line_that_says_how_far_all_are(tmp_path, monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(progress, "tqdm", functools.partial(progress.tqdm, file=terminal, mininterval=0))
    line = progress._Line(2, OLDER_AZURE_AD)
    for name in ("contoso", "fabrikam"):
        line.begins(name)
    line.step("contoso", "3.3")
    line.ends(TenantOutcome("fabrikam", "done", "14 steps changed something", tmp_path))
    shown = [line.rstrip() for line in terminal.getvalue().split("\r")]
    assert shown[-1].endswith("1 of 2 tenants (1 done)")
    assert shown[-2].endswith("0 of 2 tenants, 2 at work, contoso at 3.3")
    assert "\n" not in terminal.getvalue()


def test_a_log_of_many_tenants_has_no_line_for_each_step():
    log = io.StringIO()
    lines = progress._Lines(300, log, OLDER_AZURE_AD)
    lines.step("contoso", "3.3")
    assert log.getvalue() == ""


def test_a_wait_for_a_service_is_told_once(tmp_path, monkeypatch):
    monkeypatch.setattr(step_progress, "EVERY_S", 0.01)
    journal, told, is_told = tmp_path / "journal.jsonl", [], threading.Event()
    events = [{"event": "run"}, {"event": "intent", "step": "4.2"}, {"event": "waiting", "step": "4.2", "what": "Entra."}]
    journal.write_text("".join(json.dumps(event) + "\n" for event in events))

    def tell_wait(step):
        told.append(step)
        is_told.set()

    with step_progress.parts_told(journal, lambda *_: None, tell_wait):
        assert is_told.wait(PATIENCE_S)
    assert told == ["4.2"]
