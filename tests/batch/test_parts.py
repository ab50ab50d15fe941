"""How far a step of many writes is, as those who wait see it."""

from __future__ import annotations

import pytest

from runbook_lib.batch import progress
from runbook_lib.batch import step_progress as parts
from runbook_lib.engine.journal import Journal, read_lines
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from tests.patience import until


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def test_the_last_outcome_says_how_far_a_step_is(journal):
    assert parts.last_part(journal.path) is None
    journal.write("run", tenant="x")
    for part in range(1, 4):
        journal.write("intent", step="3.3", diffs=["x" * 200] * 20)
        journal.write("outcome", of=part, step="3.3", result="applied", part=[part, 500])
    journal.write("intent", step="3.3", diffs=["x" * 200] * 20)
    assert parts.last_part(journal.path) == (3, 500)
    journal.write("outcome", of=9, step="3.4", result="applied")
    assert parts.last_part(journal.path) is None


def test_what_a_run_of_many_assignments_tells_is_what_it_wrote(journal, monkeypatch):
    monkeypatch.setattr(parts, "EVERY_S", 0.01)
    told = []
    with parts.parts_told(journal.path, lambda done, of: told.append((done, of))):
        journal.write("run", tenant="x")
        for part in range(1, 4):
            journal.write("outcome", of=part, step="3.3", result="applied", part=[part, 3])
        until(lambda: told and told[-1] == (3, 3), "the last part")
    assert told == sorted(set(told))


def test_a_log_has_a_line_at_each_tenth(capsys):
    with progress.shown(1, OLDER_AZURE_AD) as watcher:
        for done in range(1, 501):
            watcher.part("big", done, 500)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"big: {n} of 500 requests of this step" for n in range(50, 501, 50)]


def test_assignments_of_a_tenant_are_in_its_journal_part_by_part(tenant, carry_out):
    run = carry_out(tenant("many-assignments"))
    events = [event for event in read_lines(run.out / "journal.jsonl") if event["event"] == "outcome" and "part" in event]
    assert [event["part"] for event in events] == [[n, 13] for n in range(1, 14)]
    assert sum(entry["path"].endswith("/$batch") and entry["method"] == "POST" for entry in run.history) >= 13
