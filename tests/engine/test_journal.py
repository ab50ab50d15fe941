"""The record of a run: what is written is read, what a kill leaves is passed over, and what several runs tell of the past."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import psutil
import pytest

from runbook_lib.core.errors import JournalFailed
from runbook_lib.core.secret import Secret
from runbook_lib.engine.journal import VERSION, Journal, read_lines
from runbook_lib.engine.recovery import Doubt, Past, Save
from runbook_lib.run.journals import past_of, refuse_another
from runbook_lib.settings.model import TenantSettings
from tests.builders import GOOD

NOW = datetime(2026, 6, 1, 12, 0, 0, 123456, tzinfo=UTC)


def journal(path):
    return Journal(path, lambda: NOW)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(number, event="x"):
    return {"v": VERSION, "n": number, "time": "2026-06-01T12:00:00.123+00:00", "event": event}


def test_events_are_numbered_appended_and_read_back(tmp_path):
    path = tmp_path / "deep" / "run" / "journal.jsonl"
    own = journal(path)
    assert own.path == path
    assert own.events() == ()
    assert (own.write("run", tenant="ä"), own.write("end", status=None)) == (1, 2)
    assert "ä" in path.read_text(encoding="utf-8")
    assert read_lines(own.path) == ({**record(1, "run"), "tenant": "ä"}, {**record(2, "end"), "status": None})
    assert journal(path).write("run") == 3
    assert [event["n"] for event in lines(path)] == [1, 2, 3]


def test_folder_and_file_are_private(tmp_path):
    path = tmp_path / "run" / "journal.jsonl"
    before = os.umask(0)
    try:
        journal(path).write("x")
    finally:
        os.umask(before)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_time_is_utc_where_no_clock_is_given(tmp_path):
    own = Journal(tmp_path / "journal.jsonl")
    own.write("x")
    [event] = read_lines(own.path)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(event["time"])).total_seconds()) < 60


def test_no_secret_is_written_and_half_a_surrogate_is(tmp_path):
    Secret("journal-canary-1")
    own = journal(tmp_path / "journal.jsonl")
    own.write("x", words="a journal-canary-1 \ud800")
    assert read_lines(own.path) == ({**record(1), "words": "a *** \ud800"},)


@pytest.mark.parametrize("torn", [b'{"v": 2, "n": 2, "ti', b"{", b"\xff"])
def test_a_torn_last_line_is_cut_off_and_the_count_goes_on(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    journal(path).write("x")
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    assert read_lines(path) == (record(1),)
    assert journal(path).write("y") == 2
    assert path.read_bytes().startswith(whole)
    assert lines(path) == [record(1), record(2, "y")]


def test_a_torn_first_line_leaves_an_empty_journal(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'{"v"')
    assert read_lines(path) == ()
    assert journal(path).write("x") == 1
    assert lines(path) == [record(1)]


@pytest.mark.parametrize("middle", [b'{"v": 2', b"", b"[]", b'"event"', b'{"v": 2, "n": 1}', b"\xff\xfe", b"[" * 50_000])
def test_a_torn_middle_is_refused_by_its_number_and_nothing_is_written(tmp_path, middle):
    path = tmp_path / "journal.jsonl"
    journal(path).write("x")
    path.write_bytes(path.read_bytes() + middle + b"\n" + path.read_bytes())
    before = path.read_bytes()
    for read in (lambda: read_lines(path), lambda: journal(path).write("y"), journal(path).events):
        with pytest.raises(JournalFailed) as failed:
            read()
        assert failed.value.attempted == f"Keeping the journal {path}"
        assert failed.value.came_back == "line 2 is not readable"
        assert "Restore the file" in failed.value.do_now
    assert path.read_bytes() == before


def test_a_newer_journal_is_refused_and_an_older_one_read(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"event": "x"}) + "\n" + json.dumps({"v": VERSION, "event": "x"}) + "\n")
    assert len(read_lines(path)) == 2
    path.write_text(json.dumps({"v": VERSION + 1, "event": "x"}) + "\n")
    with pytest.raises(JournalFailed) as failed:
        read_lines(path)
    assert failed.value.attempted == f"Keeping the journal {path}"
    assert failed.value.came_back == "it was written by a newer version of this tool"
    assert "Update the tool" in failed.value.do_now


def test_a_short_write_is_an_error_and_does_not_count(tmp_path, monkeypatch):
    own = journal(tmp_path / "journal.jsonl")
    own.write("x")
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda handle, octets: write(handle, octets[:5]))
        with pytest.raises(JournalFailed, match=r"took only a part.*Make room") as failed:
            own.write("lost")
    assert failed.value.attempted == f"Keeping the journal {own.path}"
    assert journal(own.path).write("y") == 2
    assert lines(own.path) == [record(1), record(2, "y")]


def test_each_event_and_the_new_file_are_on_disk_before_the_return(tmp_path, monkeypatch):
    synced, sync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or sync(handle))
    own = journal(tmp_path / "run" / "journal.jsonl")
    for event in ("run", "intent", "outcome", "settled", "end"):
        own.write(event)
    file, folder = own.path.stat().st_ino, own.path.parent.stat().st_ino
    assert synced == [folder, *[file] * 5]
    own.write("result")  # any run finds it again: no slow disk is waited for at each step
    assert synced == [folder, *[file] * 5]
    assert lines(own.path)[-1]["event"] == "result"


def test_a_folder_that_is_a_file_is_an_error_of_the_journal(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(JournalFailed, match="Make room, or choose another folder"):
        journal(tmp_path / "file" / "journal.jsonl").write("x")


def test_no_handle_is_left_open(tmp_path):
    process = psutil.Process()
    own = journal(tmp_path / "run" / "journal.jsonl")
    before = process.num_fds()
    own.write("x")
    own.write("y")
    assert process.num_fds() == before


def test_the_journal_of_another_tenant_is_refused_by_a_session(tmp_path):
    settings = TenantSettings.from_parameters(GOOD)
    own = journal(tmp_path / "journal.jsonl")
    refuse_another(own, settings)
    own.write("run", tenant="us", auth0_domain=settings.auth0_domain, connection=settings.auth0_connection)
    own.write("step", auth0_domain="other")
    refuse_another(own, settings)
    own.write("run", tenant="them", auth0_domain=settings.auth0_domain, connection="another")
    with pytest.raises(JournalFailed, match=r"the journal of them \(connection another\)\. Choose another folder"):
        refuse_another(own, settings)


# The past ------------------------------------------------------------------------------------------------------------


def at(minute):
    return f"2026-06-01T12:{minute:02}:00+00:00"


def written(path, *events, domain="acme", connection="c", version=VERSION):
    run = {"event": "run", "auth0_domain": domain, "connection": connection, "time": at(0)}
    everything = [{"v": version, "n": number, **event} for number, event in enumerate((run, *events), start=1)]
    path.write_text("".join(json.dumps(event) + "\n" for event in everything))
    return path


def intent(minute, step="2.2", request="POST /tokens", **more):
    return {"event": "intent", "time": at(minute), "step": step, "request": request, **more}


def outcome(minute, of, result, step="2.2", request="POST /tokens", **more):
    return {"event": "outcome", "time": at(minute), "of": of, "step": step, "request": request, "result": result, **more}


def doubt(minute, step="2.2", request="POST /tokens", sent_at=None, before=()):
    return Doubt(step, request, datetime.fromisoformat(at(minute)), sent_at, before)


def test_an_intent_without_outcome_and_an_unknown_one_are_doubts(tmp_path):
    sent = "2026-06-01T12:01:30+00:00"
    path = written(
        tmp_path / "j",
        intent(1, sent_at=sent, before=["tok_1", "tok_2"]),
        intent(2, "3.2", "POST /instantiate", before=None),
        outcome(3, 3, "unknown", "3.2", "POST /instantiate"),
    )
    assert past_of([path], "acme", "c") == Past(
        doubts=(
            doubt(1, sent_at=datetime.fromisoformat(sent), before=("tok_1", "tok_2")),
            doubt(2, "3.2", "POST /instantiate"),
        )
    )


@pytest.mark.parametrize("result", ["applied", "refused"])
def test_an_outcome_that_is_known_ends_the_doubt(tmp_path, result):
    path = written(tmp_path / "j", intent(1), outcome(2, 2, result))
    assert past_of([path], "acme", "c") == Past()


def test_a_refusal_ends_its_own_doubt_only_and_success_every_one_of_the_same_request(tmp_path):
    events = [intent(1), outcome(2, 2, "unknown"), intent(3, request="DELETE /x"), intent(4)]
    path = written(tmp_path / "j", *events, outcome(5, 5, "refused"))
    assert past_of([path], "acme", "c").doubts == (doubt(1), doubt(3, request="DELETE /x"))
    path = written(tmp_path / "j", *events, outcome(5, 5, "applied"))
    assert past_of([path], "acme", "c").doubts == (doubt(3, request="DELETE /x"),)


def test_what_was_settled_is_no_doubt_any_more(tmp_path):
    settled = {"event": "settled", "time": at(4), "step": "2.2", "request": "POST /tokens"}
    path = written(tmp_path / "j", intent(1), intent(2, "3.2"), intent(3, request="PUT /x"), settled)
    assert past_of([path], "acme", "c").doubts == (doubt(2, "3.2"), doubt(3, request="PUT /x"))


def test_several_journals_are_one_past_in_the_order_of_time(tmp_path):
    late = written(tmp_path / "a", intent(5), outcome(6, 2, "applied", made={"token": "tok_2"}))
    early = written(tmp_path / "b", intent(1), intent(2), outcome(3, 3, "applied", made={"token": "tok_1", "job": "j"}))
    past = past_of([late, early], "acme", "c")
    assert past.made == {"token": ("tok_1", "tok_2"), "job": ("j",)}
    times = {name: datetime.fromisoformat(at(minute)) for name, minute in (("tok_1", 3), ("j", 3), ("tok_2", 6))}
    assert past.made_at == times
    assert past.doubts == ()


def test_the_tokens_given_to_entra_are_told_whether_taken_or_not(tmp_path):
    path = written(
        tmp_path / "j",
        intent(1, undo={"kind": "credentials", "token": "tok_1"}),
        outcome(2, 2, "refused"),
        intent(3, undo=None),
        intent(4, undo={"kind": "job"}),
        intent(5, undo={"token": "tok_2"}),
    )
    assert past_of([path], "acme", "c").given_tokens == ("tok_1", "tok_2")


def test_the_last_save_that_entra_took_is_told_with_what_was_listed_before(tmp_path):
    """A save that was refused, or whose outcome is unknown, is none."""
    undo = {"kind": "credentials", "token": "tok_1", "before": {"SyncAll": "true"}}
    path = written(
        tmp_path / "j",
        intent(1, undo=undo),
        outcome(2, 2, "applied"),
        intent(3, undo={**undo, "before": {}}),
        outcome(4, 4, "refused"),
        intent(5, undo={**undo, "before": {}}),
        outcome(6, 6, "unknown"),
    )
    assert past_of([path], "acme", "c").last_save == Save(datetime.fromisoformat(at(2)), {"SyncAll": "true"})


@pytest.mark.parametrize("changes", [{"domain": "other"}, {"connection": "d"}, {"version": 1}])
def test_journals_of_others_and_of_version_1_tell_nothing(tmp_path, changes):
    path = written(tmp_path / "j", intent(1, undo={"token": "t"}), outcome(2, 2, "unknown"), **changes)
    assert past_of([path], "acme", "c") == Past()


def test_a_journal_that_no_run_or_two_tenants_wrote_tells_nothing(tmp_path):
    path = tmp_path / "j"
    path.write_text(json.dumps({"v": VERSION, "n": 1, **intent(1)}) + "\n")
    assert past_of([path], "acme", "c") == Past()
    other = {"event": "run", "time": at(2), "auth0_domain": "acme", "connection": "d"}
    assert past_of([written(path, intent(1), other)], "acme", "c") == Past()


def test_within_a_journal_its_order_tells_though_the_clock_was_set_back(tmp_path):
    """Else the outcome would come before its intent, and a token that is in use would count as one whose answer was lost."""
    path = written(
        tmp_path / "j", intent(30), outcome(5, 2, "applied", made={"token": "tok_1"}), intent(6), outcome(7, 4, "refused")
    )
    past = past_of([path], "acme", "c")
    assert (past.doubts, past.made) == ((), {"token": ("tok_1",)})
