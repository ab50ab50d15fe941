"""What is not on record is not done: a journal that cannot be written stops the request that it was to precede."""

from __future__ import annotations

import errno

import pytest

from runbook_lib import journal
from tests.reliability.laboratory import Laboratory


@pytest.mark.parametrize("written", [0, 10, 25, 40])
def test_on_a_full_disk_no_request_is_sent_that_is_not_on_record(written, tmp_path, monkeypatch):
    laboratory = Laboratory(tmp_path)
    append, left = journal._append, [written]

    def onto_a_full_disk(path, line):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        append(path, line)

    monkeypatch.setattr(journal, "_append", onto_a_full_disk)
    outcome = laboratory.run()
    record = laboratory.out(1) / "journal.jsonl"
    intents = [event for event in journal.read_events(record) if event["event"] == "intent"]
    assert (outcome.status, "No space left on device" in outcome.about, "Make room" in outcome.about) == ("stopped", True, True)
    # What goes out in one batch is one request.
    assert sum(not write.endswith("/appRoleAssignedTo") for write in outcome.writes) <= len(intents)
    monkeypatch.setattr(journal, "_append", append)
    assert (laboratory.run().status, laboratory.wrongs()) == ("done", [])


def test_a_file_that_may_not_grow_sends_nothing_in_the_real_system(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    laboratory = Laboratory(tmp_path)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, before[1]))
        outcome = laboratory.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (outcome.status, outcome.writes) == ("stopped", [])
    assert (laboratory.run().status, laboratory.wrongs()) == ("done", [])
