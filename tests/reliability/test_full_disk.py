"""What is not on record is not done: a journal that cannot be written stops the request that it was to precede."""

from __future__ import annotations

import errno
import signal
from contextlib import contextmanager

import pytest

from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine import journal
from tests.reliability.laboratory import Laboratory


@pytest.mark.parametrize("written", [0, 10, 25, 40])
def test_on_a_full_disk_no_request_is_sent_that_is_not_on_record(written, tmp_path, monkeypatch):
    laboratory = Laboratory(tmp_path)
    append, left = journal._append, [written]

    def onto_a_full_disk(path, line, **how):
        if not left[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        append(path, line, **how)

    monkeypatch.setattr(journal, "_append", onto_a_full_disk)
    outcome = laboratory.run()
    record = laboratory.out(1) / "journal.jsonl"
    intents = [event for event in journal.read_lines(record) if event["event"] == "intent"]
    assert (outcome.status, "No space left on device" in outcome.about, "Make room" in outcome.about) == ("stopped", True, True)
    # What goes out in one batch is one request; one that Entra does not know yet is sent again under its one intent.
    on_record = {event["request"].replace(" /$batch", " /appRoleAssignedTo") for event in intents}
    sent = {write.replace("/v1.0", "") for write in outcome.writes}
    sent = {"POST /appRoleAssignedTo" if write.endswith("/appRoleAssignedTo") else write for write in sent}
    assert sent - on_record == set()
    monkeypatch.setattr(journal, "_append", append)
    assert (laboratory.run().status, laboratory.wrongs()) == ("done", [])


@contextmanager
def files_of_at_most(octets):
    """Let no file grow beyond a size, as the real system does on a disk that is full."""
    resource = pytest.importorskip("resource")
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_may_not_grow_sends_nothing_in_the_real_system(tmp_path):
    laboratory = Laboratory(tmp_path)
    with files_of_at_most(1500):
        outcome = laboratory.run()
    assert (outcome.status, outcome.writes) == ("stopped", [])
    assert (laboratory.run().status, laboratory.wrongs()) == ("done", [])


@pytest.mark.parametrize("is_same", [True, False], ids=["the same journal", "a later run's"])
def test_when_there_is_room_again_the_journal_goes_on(is_same, tmp_path):
    """On a page the same journal goes on; the part of a line that fitted must not become a middle line."""
    record = journal.Journal(tmp_path / "journal.jsonl")
    record.write("run")
    with files_of_at_most(record.path.stat().st_size + 20), pytest.raises(JournalFailed, match=r"Make room, .* then run again"):
        record.write("intent")
    assert not record.path.read_bytes().endswith(b"\n")  # the disk took a part
    assert [event["event"] for event in journal.read_lines(record.path)] == ["run"]
    assert (record if is_same else journal.Journal(record.path)).write("end") == 2
    assert [event["event"] for event in journal.read_lines(record.path)] == ["run", "end"]
