"""What earlier runs left behind: events in, doubts and ids out; and what the engine makes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.engine.events import event_of
from runbook_lib.engine.recovery import Doubt, Past, Recovery, Save, past_in

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TOKEN, APPLICATION = "POST /scim-tokens", "POST /applications"


def at(second):
    return (NOON + timedelta(seconds=second)).isoformat()


def doubt(kind="application", *, second=0, request=APPLICATION, step="3.2", sent_at=NOON):
    return Doubt(step, request, NOON + timedelta(seconds=second), sent_at, (), kind)


def journal(*lines):
    """Return the events of lines, each with its number and, unless the line says another, a second of its own."""
    return tuple(event_of({"v": 3, "n": n, "time": at(n), **line}) for n, line in enumerate(lines, start=1))


def intent(kind="application", **about):
    undo = {"kind": kind, **about.pop("undo", {})}
    return {"event": "intent", "step": "3.2", "request": APPLICATION, "undo": undo, **about}


def outcome(of, result="applied", **about):
    return {"event": "outcome", "of": of, "step": "3.2", "request": APPLICATION, "result": result, **about}


@pytest.mark.parametrize(
    ("seconds", "may_be_ours"),
    [(-2.001, False), (-2, True), (0, True), (300, True), (300.001, False)],
)
def test_what_was_made_within_the_minutes_of_a_request_may_be_its_work(seconds, may_be_ours):
    assert doubt().may_have_made(at(seconds)) is may_be_ours


def test_a_time_that_is_none_and_a_request_without_a_time_of_the_service_prove_nothing():
    assert doubt().may_have_made("yesterday") is False
    assert doubt(sent_at=None).may_have_made(at(0)) is False


@pytest.mark.parametrize(
    ("kind", "step", "requests", "is_over"),
    [
        ("application", "3.2", {APPLICATION}, True),
        ("application", "3.3", {APPLICATION}, False),
        ("application", "3.2", {TOKEN}, False),
        ("token", "3.2", {APPLICATION}, False),
    ],
)
def test_a_doubt_ends_with_a_success_of_its_request_unless_each_request_makes_another_thing(kind, step, requests, is_over):
    assert doubt(kind).is_over_by(step, requests) is is_over


def test_a_write_without_an_outcome_is_in_doubt_with_all_that_tells_what_it_made():
    about = (NOON + timedelta(seconds=1), NOON - timedelta(seconds=1), ("a",), "application")
    assert past_in([journal(intent(before=["a"], sent_at=at(-1)))]) == Past(doubts=(Doubt("3.2", APPLICATION, *about),))


def test_an_unknown_outcome_leaves_the_doubt_and_a_known_one_ends_it():
    assert [one.kind for one in past_in([journal(intent(), outcome(1, "unknown"))]).doubts] == ["application"]
    assert past_in([journal(intent(), outcome(1, "refused"))]).doubts == ()


def test_an_outcome_whose_intent_is_in_no_journal_is_read_past():
    assert past_in([journal(outcome(7, made={"job": "j"}))]).made == {"job": ("j",)}


def test_a_number_counts_within_its_own_journal():
    found = past_in([journal(intent(step="1.3")), journal(intent(), outcome(1))])
    assert [one.step for one in found.doubts] == ["1.3"]


def test_what_was_made_is_kept_oldest_first_with_its_time_but_for_single_assignments():
    found = past_in(
        [journal(intent(), outcome(1, made={"job": "j1", "assigned u": "a"}), intent(), outcome(3, made={"job": "j2"}))]
    )
    assert found.made == {"job": ("j1", "j2")}
    assert found.made_at == {"j1": NOON + timedelta(seconds=2), "j2": NOON + timedelta(seconds=4)}


def test_the_last_late_write_is_remembered_whatever_was_written_after_it():
    found = past_in([journal(intent(), outcome(1, late=True), intent(), outcome(3))])
    assert found.late_since == NOON + timedelta(seconds=2)


def test_tokens_that_were_given_away_and_tokens_that_were_tried_are_remembered():
    given = intent("credentials", undo={"token": "tok_1", "before": {"BaseAddress": "x"}})
    found = past_in([journal({"event": "tries-token", "token": "tok_1"}, given, outcome(2))])
    assert (found.tried_tokens, found.given_tokens) == ({"tok_1"}, ("tok_1",))
    assert found.last_save == Save(NOON + timedelta(seconds=3), {"BaseAddress": "x"})


def test_a_save_that_was_refused_is_none():
    assert past_in([journal(intent("credentials"), outcome(1, "refused"))]).last_save is None


def test_a_clock_set_back_within_a_journal_does_not_change_its_order():
    lines = ({**intent(), "time": at(10)}, {**outcome(1), "time": at(-3600)}, {**intent(step="3.4"), "time": at(-3500)})
    assert [one.step for one in past_in([journal(*lines)]).doubts] == ["3.4"]


def test_what_was_looked_for_in_vain_is_no_longer_in_doubt_in_any_journal():
    settled = {"event": "settled", "step": "3.2", "request": APPLICATION, "time": at(60)}
    assert past_in([journal(intent()), journal(settled)]).doubts == ()


# What the engine remembers -------------------------------------------------------------------------------------------


def test_nothing_is_remembered_at_first():
    fresh = Recovery()
    assert (fresh.doubts, fresh.made_at, fresh.earlier, fresh.late_since) == ((), {}, {}, None)
    assert fresh.made_lately("application", NOON) is None


def test_what_the_journals_tell_is_taken_over():
    past = Past(doubts=(doubt(),), made_at={"j": NOON}, late_since=NOON)
    memory = Recovery()
    memory.recall(past, NOON)
    assert (memory.doubts, memory.made_at, memory.late_since) == ((doubt(),), {"j": NOON}, NOON)
    memory.made_at["k"] = NOON
    assert past.made_at == {"j": NOON}


def test_doubts_are_found_by_the_kind_of_thing():
    memory = Recovery(doubts=(doubt(), doubt("token")))
    assert memory.doubted("token") == (doubt("token"),)


@pytest.mark.parametrize(
    ("doubts", "earlier", "latest"),
    [
        ((), NOON - timedelta(minutes=59), NOON - timedelta(minutes=59)),
        ((), NOON - timedelta(hours=1), None),
        ((doubt(second=-7200),), NOON - timedelta(hours=2), NOON - timedelta(hours=2)),
        ((doubt(second=-60), doubt("token")), NOON - timedelta(minutes=2), NOON - timedelta(minutes=1)),
        ((doubt(second=-180),), NOON - timedelta(minutes=2), NOON - timedelta(minutes=2)),
    ],
)
def test_a_thing_was_made_lately_within_an_hour_or_when_it_is_in_doubt(doubts, earlier, latest):
    memory = Recovery(doubts=doubts, earlier={"application": earlier, "job": NOON})
    assert memory.made_lately("application", NOON) == latest
