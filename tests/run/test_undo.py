"""What a run's journal says is to be taken back, and in which order: events in, steps out."""

from __future__ import annotations

import json

import pytest

from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine.events import event_of
from runbook_lib.engine.journal import VERSION, Journal
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.undo import in_order, steps_to_undo, ways_back
from runbook_lib.run.journals import others_of
from runbook_lib.tenant.written import Record, standing

WAYS = ways_back(OLDER_AZURE_AD)
OPTIONS = {"kind": "options", "before": {}, "after": {}}
APPLICATION = {"kind": "application"}
JOB = {"kind": "job", "service_principal": "sp"}
ASSIGNMENTS = {"kind": "assignments", "service_principal": "sp", "principals": ["u"]}
NOTES = {"kind": "notes", "service_principal": "sp", "before": ""}
START = {"kind": "start", "service_principal": "sp", "job": "j"}
MAPPING = {"kind": "scim-mapping", "before": {}, "after": {}}
CONFIGURATION = {"kind": "scim-configuration", "connection": "con_1"}
TOKEN = {"kind": "token", "connection": "con_1"}


def at(second):
    return f"2026-11-24T10:{second // 60:02}:{second % 60:02}.000+00:00"


def events(*writes, start=0):
    """Return the events of writes (undo, result, made); a result of None: the process died."""
    found = []
    for undo, result, made in writes:
        number = len(found) + 1
        about = {"v": VERSION, "step": f"s{len(found)}", "request": f"POST /{(undo or {}).get('kind', '')}"}
        found.append({"event": "intent", "n": number, "undo": undo, **about})
        found.append({"event": "outcome", "n": number + 1, "of": number, "result": result, "made": made, **about})
        if result is None:
            found[-1] = {"event": "other", "n": number + 1, "v": VERSION}
    return [{**event, "time": at(start + event["n"])} for event in found]


def journal(folder, found, name="journal.jsonl"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(event) + "\n" for event in found))
    return Journal(folder / name)


@pytest.fixture
def record(tmp_path):
    """Return what stands of writes after undos: record((OPTIONS, "applied", None), …, undone=[…])."""

    def make(*writes, undone=(), extra=()):
        return standing(journal(tmp_path / "run" / "acme", [*events(*writes), *extra]), map(event_of, undone), WAYS)

    return make


def titles(found):
    steps, _ = steps_to_undo(OLDER_AZURE_AD, Record(found))
    return [(step.number, step.title.partition(" (")[0]) for step in steps]


def test_what_was_written_is_taken_back_latest_first_and_what_is_in_doubt_is_told(record):
    found = in_order(
        record(
            (OPTIONS, "applied", None),
            (CONFIGURATION, "unknown", None),
            (JOB, "applied", {"job": "j"}),
            (APPLICATION, None, None),
        ),
        WAYS,
    )
    assert [(entry.kind, entry.is_certain, entry.ids) for entry in found] == [
        ("application", False, {}),
        ("job", True, {"job": "j"}),
        ("scim-configuration", False, {}),
        ("options", True, {}),
    ]


def test_what_was_refused_or_needs_no_undo_is_not(record):
    found = record((OPTIONS, "refused", None), (None, "applied", None), (JOB, "applied", {"job": "j"}))
    assert [entry.kind for entry in found] == ["job"]


def test_a_write_that_was_looked_for_in_vain_is_not(record):
    settled = {"v": VERSION, "n": 3, "event": "settled", "time": at(3), "step": "s0", "request": "POST /application"}
    assert record((APPLICATION, "unknown", None), extra=[settled]) == ()


def test_the_job_stops_first_then_goes_the_application_then_the_token_in_entra_and_the_marker_last(record):
    credentials = {"kind": "credentials", "service_principal": "sp", "token": "tok", "before": {}}
    kinds = (NOTES, OPTIONS, APPLICATION, START, credentials, JOB)
    order = [entry.kind for entry in in_order(record(*((undo, "applied", None) for undo in kinds)), WAYS)]
    assert order == ["start", "application", "credentials", "job", "options", "notes"]


def test_a_marker_renewed_and_a_write_sent_again_are_one(record):
    found = record((CONFIGURATION, "unknown", None), (NOTES, "applied", None), (CONFIGURATION, "applied", {"x": "y"}))
    assert [(entry.kind, entry.is_certain, entry.numbers) for entry in found] == [
        ("scim-configuration", True, (1, 5)),
        ("notes", True, (3,)),
    ]
    renewed = record((NOTES, "applied", None), ({**NOTES, "before": "else"}, "applied", None))
    assert [entry.undo["before"] for entry in renewed] == [""]


@pytest.mark.parametrize("undo", [TOKEN, APPLICATION, JOB, ASSIGNMENTS])
def test_what_a_request_made_that_got_no_answer_may_be_there_beside_what_the_next_made(undo, record):
    found = record((undo, "unknown", None), (undo, "applied", {"token": "t", "service_principal": "sp", "job": "j"}))
    assert [entry.is_certain for entry in found] == [False, True]


def test_steps_are_numbered_in_their_order(record):
    found = record((OPTIONS, "applied", None), (JOB, "applied", {"job": "j"}), (START, "applied", None))
    assert titles(found) == [
        ("-1", "Stop provisioning"),
        ("-2", "Delete the provisioning job"),
        ("-3", "Restore the connection"),
    ]


@pytest.mark.parametrize(
    ("undo", "made"), [(APPLICATION, {}), (JOB, {}), (TOKEN, {}), (APPLICATION, {"application": "a"}), (START, None)]
)
def test_without_a_known_outcome_or_an_id_nothing_is_taken_back(undo, made, record):
    result = "unknown" if made is None else "applied"
    [(_, title)] = titles(record((undo, result, made)))
    assert title.startswith("Leave ")


def test_nothing_made_is_nothing_to_do():
    assert titles(()) == []


# Undone before ---------------------------------------------------------------------------------------------------------


def test_what_an_undo_has_taken_back_is_over(record):
    writes = (OPTIONS, "applied", None), (JOB, "applied", {"job": "j"})
    over = {"event": "taken-back", "v": VERSION, "n": 1, "time": at(40), "of": [1]}
    assert [entry.kind for entry in record(*writes, undone=[over])] == ["job"]


def test_a_value_that_an_undo_put_back_before_it_died_is_over(record):
    intent = {"event": "intent", "v": VERSION, "n": 1, "time": at(40), "undo": {"kind": "taking-back", "of": [1]}}
    outcome = {"event": "outcome", "v": VERSION, "n": 2, "of": 1, "time": at(41), "result": "applied"}
    assert record((OPTIONS, "applied", None), undone=[intent, outcome]) == ()
    assert len(record((OPTIONS, "applied", None), undone=[intent, {**outcome, "result": "unknown"}])) == 1


@pytest.mark.parametrize(("mode", "status", "left"), [("apply", "done", 0), ("plan", "pending", 1), ("apply", "failed", 1)])
def test_an_undo_of_version_2_that_ended_well_has_taken_back_everything_before_it(mode, status, left, record):
    undone = [
        {"event": "run", "v": 2, "n": 1, "time": at(30), "mode": mode},
        {"event": "end", "v": 2, "n": 2, "time": at(31), "status": status},
    ]
    assert len(record((OPTIONS, "applied", None), undone=undone)) == left


def test_what_an_undo_writes_itself_is_no_write_of_a_run(record):
    assert record(({"kind": "taking-back", "of": [1]}, "applied", None)) == ()


# Other runs ------------------------------------------------------------------------------------------------------------


def test_a_later_run_s_write_stands_before_an_earlier_one_s(tmp_path):
    begun = {"event": "run", "v": VERSION, "n": 9, "time": at(200), "auth0_domain": "d", "connection": "c"}
    first = standing(journal(tmp_path / "a" / "acme", events((OPTIONS, "applied", None))), (), WAYS)
    journal(tmp_path / "b" / "acme", [*events((OPTIONS, "applied", None), start=100), begun])
    later = others_of([tmp_path / "b" / "acme" / "journal.jsonl"], "d", "c", ways=WAYS)
    found = Record(first, later)
    assert [entry.run for entry in found.since(first[0], "options")] == ["b"]
    assert Record(later, first).since(later[0], "options") == []
    assert others_of([tmp_path / "b" / "acme" / "journal.jsonl"], "d", "another", ways=WAYS) == ()


# Odd journals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "undo",
    [
        {"kind": "from-the-future"},
        {"no": "kind"},
        {"kind": "start", "service_principal": "sp"},
        {"kind": "options", "before": {}, "after": None},
        {"kind": "assignments", "service_principal": "sp", "principals": "u"},
    ],
)
def test_a_write_that_this_version_cannot_take_back_is_named_with_its_line(undo, record):
    with pytest.raises(JournalFailed, match=r"line 1 holds a write .* cannot take back"):
        record((undo, "applied", None))


def test_a_journal_of_version_1_is_not_taken_back(tmp_path):
    old = journal(tmp_path, [{"v": 1, "event": "run"}, {"v": 1, "event": "intent", "step": "1.2", "request": "PATCH /x"}])
    with pytest.raises(JournalFailed, match=r"version 1 .* by hand"):
        standing(old, (), WAYS)
