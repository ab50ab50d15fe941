"""One change, from its guard to its outcome on record: changes in, requests and lines of the journal out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from runbook_lib.core.errors import ApiError, StepBlocked, TransportError, VerificationFailed
from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.result import Plan
from runbook_lib.engine.values import Change, Diff, Patience, Table
from runbook_lib.engine.writer import Writer
from runbook_lib.http.message import Request, Response
from tests.engine.world import MAKE, NOON, NUMBERS, PACE, SERVICE_NOON, Guard, World, api_error, at, fact, lost, step

STEP, LAST = step(lambda: ()), step(lambda: (), is_last=True)
DIFF = Diff("things", "name", "", "x")
ABOUT = {"step": "3.2", "on": "things", "request": "POST /things"}
INTENT = {"event": "intent", **ABOUT, "sent_at": SERVICE_NOON.isoformat(), "before": ["a"], "undo": {"kind": "thing"}}
INTENT |= {"diffs": [{"on": "things", "field": "name", "before": "", "after": "x"}]}
DOUBT = Doubt("3.2", "POST /things", NOON, SERVICE_NOON, ("a",), "thing")
CHECK, TRIAL = Request("south", "POST", "/check"), Request("south", "POST", "/trial")
NOTES = Request("south", "PATCH", "/notes")


def change(**values):
    return Change("things", (DIFF,), **{"request": MAKE, "before": ("a",), "undo": {"kind": "thing"}, **values})


def writer(world, guard=None):
    parts = {"pace": PACE, "sleep": world.sleep, "now": world.now, "numbers": NUMBERS}
    return Writer(world, journal=world, guard=guard or Guard(world), **parts)


def outcome(result, of=1, **more):
    return {"event": "outcome", "of": of, **ABOUT, "result": result, **more}


def test_guard_rehearsal_intent_request_proof_and_outcome_follow_one_another():
    world = World()
    assert writer(world).carry_out(STEP, change(rehearsal=TRIAL, proof=CHECK)) is True
    assert world.log == [
        ("guard", "POST /things", False),
        ("ask", "POST /trial"),
        ("journal", "intent"),
        ("send", "POST /things"),
        ("ask", "POST /check"),
        ("journal", "outcome"),
    ]
    assert world.lines == [INTENT, outcome("applied", made={})]


def test_the_last_step_s_write_needs_the_guard_no_longer():
    world = World()
    writer(world).carry_out(LAST, change())
    assert world.done("guard") == [("guard", "POST /things", True)]


def test_a_write_that_stops_something_waits_for_no_guard():
    world = World()
    writer(world).carry_out(STEP, change(stops=True))
    assert world.done("guard") == []


def test_without_the_service_s_clock_and_without_an_undo_the_record_holds_neither():
    world = World()
    world.north.date = None
    world.north.answers["POST /things"] = [lost()]
    writer(world).carry_out(STEP, change(undo=None))
    assert (world.lines[0]["sent_at"], world.lines[0]["undo"]) == (None, None)
    assert world.memory.doubts == (Doubt("3.2", "POST /things", NOON, None, ("a",), ""),)


def test_a_change_without_a_request_is_a_defect_and_nothing_is_sent():
    world = World()
    with pytest.raises(StepBlocked) as blocked:
        writer(world).carry_out(STEP, change(request=None))
    assert blocked.value.reason == "This change has no request"
    assert blocked.value.remedy == "This is a defect of the runbook: please report it"
    assert world.log == []


# What comes back -----------------------------------------------------------------------------------------------------


def test_what_was_made_is_on_record_and_remembered_with_its_time_but_for_single_assignments():
    world = World()
    world.north.answers["POST /things"] = [Response(201, {"id": "t"})]
    made = {"thing": "t", "assigned u": "a"}
    writer(world).carry_out(STEP, change(receive=lambda answer: made if answer.body == {"id": "t"} else {}))
    assert world.lines[1] == outcome("applied", made=made)
    assert (world.memory.made_at, world.memory.late_since) == ({"t": NOON}, None)


def test_what_counts_late_is_remembered():
    world = World()
    writer(world).carry_out(STEP, change(counts_late=True))
    assert world.lines[1] == outcome("applied", made={}, late=True)
    assert world.memory.late_since == NOON


def test_made_things_are_remembered_next_to_those_made_before():
    world = World()
    world.memory.made_at = {"s": at(-60)}
    writer(world).carry_out(STEP, change(receive=lambda _: {"thing": "t"}))
    assert world.memory.made_at == {"s": at(-60), "t": NOON}


@pytest.mark.parametrize(("part", "more"), [((3, 9), {}), ((3, 10), {"part": [3, 10]})])
def test_the_outcomes_of_many_writes_say_how_far_the_step_is(part, more):
    world = World()
    writer(world).carry_out(STEP, change(), part)
    assert world.lines[1] == outcome("applied", made={}, **more)


@pytest.mark.parametrize("error", [api_error(500), api_error(503), api_error(408), lost()])
def test_what_may_have_been_done_is_unknown_and_in_doubt(error):
    world = World()
    world.north.answers["POST /things"] = [error]
    assert writer(world).carry_out(STEP, change()) is False
    assert world.lines == [INTENT, outcome("unknown", error=str(error))]
    assert world.memory.doubts == (DOUBT,)


@pytest.mark.parametrize("error", [api_error(400), api_error(499), api_error(407), lost(ambiguous=False)])
def test_what_was_certainly_not_done_is_refused_and_raised(error):
    world = World()
    world.north.answers["POST /things"] = [error]
    with pytest.raises(type(error)) as raised:
        writer(world).carry_out(STEP, change())
    assert raised.value is error
    assert world.lines == [INTENT, outcome("refused", error=str(error))]
    assert world.memory.doubts == ()


def test_of_several_writes_in_one_request_those_that_were_done_are_on_record():
    world, error = World(), api_error(400)
    error.is_partly_done, error.made = True, {"assigned u": "a"}
    world.north.answers["POST /things"] = [error]
    with pytest.raises(ApiError):
        writer(world).carry_out(STEP, change())
    assert world.lines[1] == outcome("partly", error=str(error), made={"assigned u": "a"})


def test_an_answer_of_another_form_leaves_the_write_in_doubt():
    world = World()
    world.memory.doubts = (Doubt("1.3", "POST /other", NOON, None, ()),)
    assert writer(world).carry_out(STEP, change(receive=lambda answer: {"id": answer.body["id"]})) is False
    assert world.lines[1]["result"] == "unknown"
    assert world.lines[1]["error"].startswith("Reading the answer to POST /things: ")
    assert [doubt.step for doubt in world.memory.doubts] == ["1.3", "3.2"]


def test_an_answer_that_shows_other_values_is_a_refusal():
    world = World()

    def receive(_answer):
        raise VerificationFailed("things", ("name",))

    with pytest.raises(VerificationFailed) as failed:
        writer(world).carry_out(STEP, change(receive=receive))
    assert world.lines == [INTENT, outcome("refused", error=str(failed.value))]
    assert world.memory.doubts == ()


def test_evidence_of_all_answers_is_kept():
    one = writer(World())
    for name in ("a", "b"):
        one.carry_out(STEP, change(evidence=lambda answer, name=name: (Table(f"{name} {answer.status}", (), ()),)))
    assert [table.title for table in one.evidence] == ["a 200", "b 200"]


def test_the_readings_that_an_answer_holds_are_shown_until_the_next_write():
    one, there = writer(World()), fact()
    one.carry_out(STEP, change(shows=lambda answer: ((there, answer.body),)))
    assert one.shown == ((there, {}),)
    one.carry_out(STEP, change())
    assert one.shown == ()


def test_a_state_of_another_form_in_an_answer_is_no_reading():
    one = writer(World())
    assert one.carry_out(STEP, change(shows=lambda answer: answer.body["state"])) is True
    assert one.shown == ()


def test_what_the_last_answer_showed_is_dropped_before_a_write_that_breaks():
    world, there = World(), fact()
    one = writer(world)
    one.carry_out(STEP, change(shows=lambda _: ((there, 1),)))
    world.north.answers["POST /things"] = [lost()]
    one.carry_out(STEP, change())
    assert one.shown == ()


# Doubts --------------------------------------------------------------------------------------------------------------


def test_a_success_ends_the_doubt_about_the_same_write_of_the_same_step_alone():
    world = World()
    other, elsewhere = Doubt("3.3", "POST /things", NOON, None, ()), Doubt("3.2", "POST /others", NOON, None, ())
    world.memory.doubts = (DOUBT, other, elsewhere)
    writer(world).carry_out(STEP, change())
    assert world.memory.doubts == (other, elsewhere)


def test_what_was_looked_for_in_vain_is_settled_once_a_request():
    world = World()
    other = Request("north", "DELETE", "/things/1")
    world.memory.doubts = (DOUBT, Doubt("3.2", "DELETE /things/1", NOON, None, ()), Doubt("4.1", "POST /things", NOON, None, ()))
    writer(world).settle("3.2", [change(), change(request=None), change(request=other), change()])
    settled = {"event": "settled", "step": "3.2", "result": "not done"}
    assert world.lines == [{**settled, "request": "DELETE /things/1"}, {**settled, "request": "POST /things"}]
    assert [doubt.step for doubt in world.memory.doubts] == ["4.1"]


# What is not there yet -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "second", "is_young"),
    [
        (api_error(404, attempted="GET /things/t7"), 0, True),
        (api_error(403, attempted="GET /things/t7"), 599.9, True),
        (api_error(404, attempted="GET /things/t7"), 600, False),
        (api_error(404, attempted="GET /things/u"), 0, False),
        (api_error(400, attempted="GET /things/t7"), 0, False),
    ],
)
def test_an_object_made_within_ten_minutes_may_not_be_known_yet(error, second, is_young):
    world = World()
    world.memory.made_at, world.time = {"old": at(-3600), "t7": NOON}, at(second)
    assert writer(world).is_too_young(error) is is_young


@pytest.mark.parametrize(
    ("path", "kind", "second", "is_young"),
    [
        ("GET /a/in/b", "thing", 599, True),
        ("GET /a/in/b", "thing", 600, False),
        ("GET /a/in/b", "other", 0, False),
        ("GET /a/b", "thing", 0, False),
    ],
)
def test_what_is_inside_of_a_thing_in_doubt_may_not_be_known_yet(path, kind, second, is_young):
    world = World()
    world.memory.doubts, world.time = (Doubt("3.2", "POST /things", NOON, None, (), kind),), at(second)
    world.memory.made_at = {"none of these": at(-3600)}
    assert writer(world).is_too_young(api_error(404, attempted=path)) is is_young


def test_every_kind_of_thing_that_a_path_is_inside_of_counts():
    world = World()
    world.inside = {"/in": "thing", "/within": "other"}
    world.memory.doubts = (Doubt("3.2", "POST /things", NOON, None, (), "thing"),)
    assert writer(world).is_too_young(api_error(404, attempted="GET /in/within")) is True


def test_a_write_into_what_was_just_made_is_sent_again_until_that_is_known():
    world = World()
    world.memory.made_at = {"t": NOON}
    young = api_error(404, attempted="POST /things/t")
    world.north.answers["POST /things"] = [young, young, Response(201, {})]
    assert writer(world).carry_out(STEP, change()) is True
    assert world.done("send", "sleep") == [
        ("send", "POST /things"),
        ("sleep", 1),
        ("send", "POST /things"),
        ("sleep", 2),
        ("send", "POST /things"),
    ]


def test_it_is_sent_once_more_when_the_time_for_that_is_used_up():
    world = World()
    world.memory.made_at = {"t": NOON}
    world.north.answers["POST /things"] = [api_error(404, attempted="POST /things/t")]
    with pytest.raises(ApiError):
        writer(world).carry_out(STEP, change())
    assert world.done("sleep") == [("sleep", 1), ("sleep", 2), ("sleep", 4), ("sleep", 4)]
    assert len(world.done("send")) == 5


# Rehearsal and proof -------------------------------------------------------------------------------------------------


def test_a_rehearsal_that_is_refused_is_tried_once_more():
    world = World()
    world.south.answers["POST /trial"] = [api_error(400), Response(204, None)]
    assert writer(world).carry_out(STEP, change(rehearsal=TRIAL)) is True


@pytest.mark.parametrize(("status", "times"), [(400, 2), (403, 1), (500, 1)])
def test_nothing_is_sent_after_a_rehearsal_that_fails(status, times):
    world = World()
    world.south.answers["POST /trial"] = [api_error(status)]
    with pytest.raises(ApiError):
        writer(world).carry_out(STEP, change(rehearsal=TRIAL))
    assert world.done("ask", "send", "journal") == [("ask", "POST /trial")] * times


def test_a_proof_is_repeated_until_it_succeeds():
    world = World()
    world.south.answers["POST /check"] = [api_error(400), api_error(400), Response(204, None)]
    assert writer(world).carry_out(STEP, change(proof=CHECK)) is True
    assert world.done("sleep") == [("sleep", 1), ("sleep", 2)]
    assert world.lines[1] == outcome("applied", made={})


def test_what_was_accepted_and_does_not_work_is_unknown_in_doubt_and_raised():
    world, errors = World(), [api_error(400, str(number)) for number in range(4)]
    world.south.answers["POST /check"] = list(errors)
    with pytest.raises(ApiError) as raised:
        writer(world).carry_out(STEP, change(proof=CHECK))
    assert raised.value is errors[-1]
    assert world.lines[1] == outcome("unknown", error=str(errors[-1]))
    assert world.memory.doubts == (DOUBT,)
    assert len(world.done("ask")) == 4


# Patience ------------------------------------------------------------------------------------------------------------


def patience(**values):
    return Patience("waits for it", lambda answer: answer.status == 202, **values)


def answers(world, *statuses):
    world.north.answers["POST /things"] = [Response(status, {}) for status in statuses]


def test_an_answer_that_means_not_yet_is_waited_for():
    world = World()
    world.memory.late_since = NOON
    answers(world, 202, 202, 201)
    one, seen = writer(world), []
    assert one.carry_out(STEP, change(patience=patience(), receive=lambda answer: seen.append(answer.status) or {})) is True
    assert seen == [201]
    sent, slept = ("send", "POST /things"), ("sleep", 7)
    assert world.done("send", "sleep") == [sent, slept, sent, slept, sent]
    assert world.lines[1] == {"event": "waiting", "step": "3.2", "what": "waits for it"}
    assert one.waited == ("waits for it",)


def test_it_is_waited_for_as_long_as_it_says_by_the_service_s_clock():
    world = World()
    world.memory.late_since = NOON
    answers(world, 202)

    def sleep(wait_s):
        world.sleep(wait_s)
        world.north.date += timedelta(seconds=wait_s)

    one = writer(world)
    one._sleep = sleep
    one.carry_out(STEP, change(patience=patience(limit_s=20)))
    assert len(world.done("sleep")) == 3
    assert one.waited == ("waits for it",)


def test_an_answer_that_says_something_else_is_not_waited_for():
    world = World()
    world.memory.late_since = NOON
    answers(world, 201)
    writer(world).carry_out(STEP, change(patience=patience()))
    assert world.done("send", "sleep") == [("send", "POST /things")]


@pytest.mark.parametrize(
    ("ours", "theirs", "is_young"),
    [
        (None, None, False),
        (at(-599), None, True),
        (at(-600), None, False),
        (None, SERVICE_NOON - timedelta(seconds=599), True),
        (None, SERVICE_NOON - timedelta(seconds=600), False),
        (at(-600), SERVICE_NOON, True),
        (at(-1), SERVICE_NOON - timedelta(seconds=600), True),
    ],
)
def test_only_ten_minutes_after_a_late_write_an_answer_may_mean_not_yet(ours, theirs, is_young):
    world = World()
    world.memory.late_since = ours
    answers(world, 202, 201)
    writer(world).carry_out(STEP, change(patience=patience(since=theirs)))
    assert len(world.done("sleep")) == is_young


def test_without_the_service_s_clock_its_own_one_tells_how_long_ago_others_wrote():
    world = World()
    world.north.date = None
    answers(world, 202, 201)
    writer(world).carry_out(STEP, change(patience=patience(since=at(-599))))
    assert world.done("sleep") == [("sleep", 7)]


def test_an_answer_that_is_worth_it_is_asked_for_once_more():
    world = World()
    answers(world, 409, 409, 201)
    seen = []
    again = patience(is_once_more=lambda answer: answer.status == 409)
    writer(world).carry_out(STEP, change(patience=again, receive=lambda answer: seen.append(answer.status) or {}))
    assert world.done("send", "sleep") == [("send", "POST /things"), ("sleep", 7), ("send", "POST /things")]
    assert seen == [409]


def test_the_repetition_is_waited_for_as_well():
    world = World()
    world.memory.late_since = NOON
    answers(world, 409, 202, 201)
    one = writer(world)
    one.carry_out(STEP, change(patience=patience(is_once_more=lambda answer: answer.status == 409)))
    assert (len(world.done("send")), one.waited) == (3, ("waits for it",))
    assert world.lines[1] == {"event": "waiting", "step": "3.2", "what": "waits for it"}


def test_what_is_waited_for_is_said_once_and_without_a_request_the_late_service_s_clock_counts():
    world = World()
    one = writer(world)
    world.south.date = None
    list(one.waits_for("3.2", "waits for it", MAKE, iter([1.0]), 0.0))
    list(one.waits_for("3.3", "waits for more", None, iter([2.0]), 0.0))
    list(one.waits_for("3.2", "waits for it", None, iter([3.0]), 0.0))
    assert one.waited == ("waits for it", "waits for more")
    assert [line["step"] for line in world.lines] == ["3.2", "3.3", "3.2"]
    assert world.done("sleep") == []


@pytest.mark.parametrize(("request_", "clock"), [(MAKE, "north"), (None, "south")])
def test_the_clock_that_counts_is_that_of_the_request_s_service(request_, clock):
    world = World()
    one = writer(world)
    waits = one.waits_for("3.2", "waits", request_, iter([1.0, 1.0, 1.0]), 5.0)
    next(waits)
    world.services[clock].date += timedelta(seconds=5)
    assert list(waits) == []


def test_a_clock_that_stands_still_is_waited_for_as_long_as_the_pace_says():
    world = World()
    list(writer(world).waits_for("3.2", "waits", MAKE, iter([4.0] * 9), 300.0))
    assert world.done("sleep") == [("sleep", 4.0)] * 3


# Turns and the guard -------------------------------------------------------------------------------------------------


def test_a_turn_is_taken_at_the_request_s_service_and_given_back_at_all():
    world = World()
    one = writer(world)
    one.take_turn(CHECK)
    one.give_turns_back()
    assert world.log == [("turn", "south", "POST /check"), ("turn back", "north"), ("turn back", "south")]


def test_before_a_plan_the_guard_is_asked_about_every_write_but_those_that_stop_something():
    world = World()
    plan = Plan((change(), change(request=None), change(stops=True), change(request=CHECK)), ())
    assert writer(world).guard_for(STEP, plan) is False
    assert world.log == [("guard", "POST /things", False), ("guard", "POST /check", False)]


def test_before_the_last_step_the_guard_is_not_asked():
    world = World()
    assert writer(world, Guard(world, NOTES)).guard_for(LAST, Plan((change(),), ())) is False
    assert world.log == []


def test_a_write_of_the_guard_s_own_is_on_record_and_told():
    world = World()
    one = writer(world, Guard(world, NOTES))
    assert one.guard_for(STEP, Plan((change(),), ())) is True
    about = {"step": "3.2", "on": "the notes", "request": "PATCH /notes"}
    intent = {"event": "intent", **about, "diffs": [], "sent_at": None, "before": [], "undo": {"kind": "notes"}}
    assert world.lines == [intent, {"event": "outcome", "of": 1, **about, "result": "applied"}]
    assert world.done("send") == [("send", "PATCH /notes")]
    assert one.guard_for(STEP, Plan((change(),), ())) is False


def test_a_write_of_the_guard_s_own_that_may_have_been_done_is_read_back_by_the_guard():
    world = World()
    world.south.answers["PATCH /notes"] = [lost()]
    assert writer(world, Guard(world, NOTES)).guard_for(STEP, Plan((change(),), ())) is True
    assert world.lines[1]["result"] == "unknown"
    assert world.lines[1]["error"] == str(lost())


def test_a_write_of_the_guard_s_own_that_is_refused_stops_the_step():
    world, error = World(), api_error(403)
    world.south.answers["PATCH /notes"] = [error]
    with pytest.raises(ApiError):
        writer(world, Guard(world, NOTES)).carry_out(STEP, change())
    assert (world.lines[1]["of"], world.lines[1]["result"], world.lines[1]["error"]) == (1, "refused", str(error))
    assert world.done("send") == [("send", "PATCH /notes")]


def test_at_the_end_the_guard_lets_others_write_and_that_is_on_record():
    world = World()
    writer(world).release()
    assert [line["event"] for line in world.lines] == ["intent", "outcome"]
    assert world.lines[0]["undo"] == {}


def test_a_transport_error_of_the_request_that_is_in_doubt_is_no_error_of_the_step():
    world = World()
    world.north.answers["POST /things"] = [lost(), Response(201, {})]
    one = writer(world)
    assert [one.carry_out(STEP, change()), one.carry_out(STEP, change())] == [False, True]
    assert world.memory.doubts == ()


def test_a_proof_that_gets_no_answer_leaves_the_write_in_doubt():
    world = World()
    world.south.answers["POST /check"] = [lost(ambiguous=False)]
    with pytest.raises(TransportError):
        writer(world).carry_out(STEP, change(proof=CHECK))
    assert (world.lines[1]["result"], world.memory.doubts) == ("unknown", (DOUBT,))
