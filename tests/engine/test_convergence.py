"""A step carried out and proved by planning again: what its body wants in, what is sent, read and waited for out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from runbook_lib.core.errors import ApiError, StepBlocked, StepWaits, VerificationFailed
from runbook_lib.engine.convergence import Convergence
from runbook_lib.engine.planner import Planner
from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.step import Kind
from runbook_lib.engine.values import Change, Diff, Finding, Guard, Handover, Hazard, Table
from runbook_lib.engine.writer import Writer
from runbook_lib.http.message import Request, Response
from tests.engine import world as made
from tests.engine.world import MAKE, NOON, NUMBERS, PACE, World, acceptance, api_error, fact, lost, step

DIFF = Diff("things", "name", "", "x")
PATCH, DELETE = Request("north", "PATCH", "/things/1"), Request("north", "DELETE", "/things/1")
STOP, NOTES = Request("south", "POST", "/stop"), Request("south", "PATCH", "/notes")
THERE, WITHIN, IS_ON = fact("there"), fact("within"), fact("is on")


def change(**values):
    return Change("things", (DIFF,), **{"request": MAKE, **values})


def wants(*changes, before=(), after=()):
    """Return a body that wants the changes until the reading `there` holds anything; it says `before` or `after`."""

    def body(there, *_):
        yield from before if not there else after
        yield from changes if not there else ()

    return body


class Run:
    """One step with all that carries it out."""

    def __init__(self, body, world=None, guard=None, following=None, **about):
        self.world = world or World()
        self.step = step(body, **{"reads": (THERE,), **about})
        parts = {"pace": PACE, "sleep": self.world.sleep}
        guard = guard or made.Guard(self.world)
        self.writer = Writer(self.world, journal=self.world, now=self.world.now, numbers=NUMBERS, guard=guard, **parts)
        young = self.writer.is_too_young
        planner = Planner(
            self.world, numbers=NUMBERS, is_too_young=young, steps=lambda: [one for one in (self.step, following) if one], **parts
        )
        parts |= {"planner": planner, "writer": self.writer, "now": self.world.now}
        self._convergence = Convergence(self.world, **parts)

    def shows(self, *, after_looks=0, request=MAKE, status=201):
        """Let the request be carried out, and its work show after so many further looks."""

        def carried_out():
            self.world.values["there"] = ""
            self.world.lag = after_looks
            return Response(status, {})

        def look(world, known=THERE.look):
            world.lag = getattr(world, "lag", None)
            if world.lag is not None:
                world.lag -= 1
                return "x" if world.lag < 0 else ""
            return known(world)

        self.world.services[request.service].answers[request.line] = [carried_out]
        there = made.Fact("there", look)
        body = self.step.body
        facts = {
            "reads": (there, *body.reads[1:]),
            "touches": tuple(there if one.name == "there" else one for one in body.touches),
        }
        object.__setattr__(self.step, "body", replace(body, **facts))
        return self

    def done(self):
        return self._convergence.converged(self.step)

    def sent(self):
        return [entry[1] for entry in self.world.done("send")]

    def slept(self):
        return [entry[1] for entry in self.world.done("sleep")]


def failure(run, kind=VerificationFailed):
    with pytest.raises(kind) as failed:
        run.done()
    return failed.value


# Written and proved --------------------------------------------------------------------------------------------------


def test_what_is_missing_is_written_and_read_back():
    run = Run(wants(change())).shows()
    found = run.done()
    assert (found.status, found.diffs, found.reason, found.step, found.is_left) == ("CHANGED", (DIFF,), "", "3.2", False)
    assert found.remedy == ""
    assert run.world.done("turn", "stale", "guard", "send", "forget", "turn back") == [
        ("turn", "north", "POST /things"),
        ("stale", 10.0),
        ("stale", 1.0, "there"),
        ("guard", "POST /things", False),
        ("guard", "POST /things", False),
        ("send", "POST /things"),
        ("forget", "there"),
        ("forget", "there"),
        ("turn back", "north"),
        ("turn back", "south"),
    ]
    assert run.slept() == []


def test_what_is_there_is_not_written_and_takes_no_turn():
    run = Run(wants(change(), after=[Finding("It is there.")]), World(there="x"))
    found = run.done()
    assert (found.status, found.reason, found.diffs) == ("UNCHANGED", "It is there.", ())
    assert (run.sent(), run.world.done("turn"), len(run.world.done("turn back"))) == ([], [], 2)


def test_what_is_left_is_noted():
    found = Run(wants(after=[Finding("It stays.", is_left=True)]), World(there="x")).done()
    assert (found.status, found.is_left, found.reason) == ("NOTED", True, "It stays.")
    run = Run(wants(change(), after=[Finding("A part stays.", is_left=True)])).shows()
    found = run.done()
    assert (found.status, found.is_left) == ("CHANGED", True)


def test_the_result_says_once_what_was_found_before_and_after_and_what_was_waited_for():
    run = Run(wants(change(listed_late="It was listed late."), before=[Finding("a."), Finding("b.")], after=[Finding("b.")]))
    assert run.shows(after_looks=4).done().reason == "a. b. It was listed late."


def test_the_result_shows_tables_as_they_are_after_the_write_who_accepted_and_what_came_back():
    def table(title, value, **about):
        return Table(title, ("value",), ((value,),), **about)

    danger = Hazard("burns", "It burns")
    evidence = change(evidence=lambda answer: (table("Answer", str(answer.status)),), hazard=danger)
    before = [table("Now", "old"), table("Both", "old", stays=True)]
    run = Run(wants(evidence, before=before, after=[table("Now", "new"), table("Both", "new"), table("More", "new")])).shows()
    run.world.settings.given, run.world.settings.accepted = {"burns": 0}, [acceptance("burns", 0, "Ada", "1")]
    run.writer.evidence = (table("of an earlier step", ""),)
    found = run.done()
    shown = [(one.title, one.rows[0][0]) for one in found.tables]
    assert shown == [("Now", "new"), ("Both", "old"), ("More", "new"), ("Accepted", "burns"), ("Answer", "201")]


def test_what_an_earlier_step_waited_for_is_not_told_again():
    run = Run(wants(change())).shows()
    run.writer.waited = ("an earlier wait",)
    assert run.done().reason == ""


def test_a_hazard_that_is_not_accepted_holds_the_write():
    run = Run(wants(change(hazard=Hazard("burns", "It burns"))))
    assert (run.done().status, run.sent(), run.world.done("guard")) == ("BLOCKED", [], [])


def test_a_step_of_the_other_side_says_what_it_has_done_first():
    there = Handover("there", state="seen")
    run = Run(wants(change(), after=[there])).shows()
    found = run.done()
    assert (found.status, found.diffs, found.handover) == ("CHANGED", (DIFF,), there)
    found = Run(wants(after=[there]), World(there="x")).done()
    assert (found.status, found.diffs) == ("UNCHANGED", ())


def test_a_step_that_blocks_or_waits_gives_its_turn_back_and_raises():
    for error in (StepBlocked("no", "do"), StepWaits("thing", "It"), api_error(500)):

        def body(*_, error=error):
            raise error
            yield

        run = Run(body)
        assert failure(run, type(error)) is error
        assert len(run.world.done("turn back")) == 2


def test_the_turn_is_that_of_the_first_write():
    run = Run(wants(change(request=None, listed_late="late"), change(request=STOP), change())).shows(request=STOP)
    run.done()
    assert run.world.done("turn")[0] == ("turn", "south", "POST /stop")


# Several changes -----------------------------------------------------------------------------------------------------


def test_all_changes_are_sent_and_each_knows_which_of_how_many_it_is():
    run = Run(wants(*[change(request=Request("north", "POST", f"/{n}")) for n in range(11)], change()), World()).shows()
    run.done()
    assert len(run.sent()) == 12
    assert [line.get("part") for line in run.world.lines if line["event"] == "outcome"][:2] == [[1, 12], [2, 12]]


def test_what_a_service_took_already_is_not_sent_but_waited_for():
    run = Run(wants(change(request=None, listed_late="Listed late.")))
    run.world.values["looks"] = 0

    def body(*_):
        run.world.values["looks"] += 1
        if run.world.values["looks"] < 9:
            yield change(request=None, listed_late="Listed late.")

    object.__setattr__(run.step.body, "function", body)
    found = run.done()
    assert (found.status, found.reason, run.sent()) == ("CHANGED", "Listed late.", [])


def test_after_a_write_in_doubt_the_following_ones_wait_for_the_next_plan():
    first, second = change(request=PATCH), change()
    run = Run(wants(first, second))
    run.world.north.answers[PATCH.line] = [lost(), Response(200, {})]
    run.shows()
    run.done()
    assert run.sent() == [PATCH.line, PATCH.line, MAKE.line]


def test_every_round_s_differences_are_told_once():
    state = {"left": 3}

    def body(*_):
        for number in range(state["left"]):
            yield Change(f"t{number}", (Diff("t", str(number), "", "x"),), MAKE)

    run = Run(body)
    run.world.north.answers[MAKE.line] = [lambda: state.update(left=state["left"] - 1) or Response(201, {})] * 9
    found = run.done()
    assert [diff.field for diff in found.diffs] == ["0", "1", "2"]


def test_the_differences_of_earlier_rounds_are_told_too():
    state = {"left": 3}

    def body(*_):
        if state["left"]:
            yield Change("t", (Diff("t", str(state["left"]), "", "x"),), MAKE)

    run = Run(body)
    run.world.north.answers[MAKE.line] = [lambda: state.update(left=state["left"] - 1) or Response(201, {})]
    assert [diff.field for diff in run.done().diffs] == ["3", "2", "1"]


def test_a_step_that_always_wants_something_else_ends():
    numbers = iter(range(999))

    def body(*_):
        yield Change("things", (Diff("things", f"n{next(numbers)}", "", "x"),), MAKE)

    run = Run(body)
    error = failure(run)
    assert len(run.sent()) == 40
    assert (error.attempted, len(error.differences)) == ("Reading back Title 3.2 after the write", 1)
    assert error.differences[0].startswith("n")


# What reading back shows ---------------------------------------------------------------------------------------------


def test_what_shows_only_after_a_while_is_waited_for():
    run = Run(wants(change())).shows(after_looks=2)
    assert (run.done().status, run.slept()) == ("CHANGED", [1, 2])
    assert run.world.done("forget") == [("forget", "there")] * 4


def test_what_was_said_to_be_done_and_never_shows_has_failed():
    run = Run(wants(change()))
    error = failure(run)
    assert error.attempted == "Reading back things after the write"
    assert (error.differences, run.slept(), run.sent()) == (("name",), [1, 2, 4, 4], ["POST /things"])


def test_a_write_in_doubt_that_shows_was_done():
    run = Run(wants(change())).shows()
    carried_out = run.world.north.answers[MAKE.line][0]
    run.world.north.answers[MAKE.line] = [lambda: carried_out() and lost()]
    assert (run.done().status, run.sent()) == ("CHANGED", ["POST /things"])


def test_a_write_in_doubt_that_does_not_show_is_sent_again_at_once():
    run = Run(wants(change())).shows()
    run.world.north.answers[MAKE.line] = [lost(), run.world.north.answers[MAKE.line][0]]
    assert run.done().status == "CHANGED"
    assert (run.sent(), run.slept()) == (["POST /things"] * 2, [])
    assert [line["event"] for line in run.world.lines] == ["intent", "outcome", "settled", "intent", "outcome"]
    assert run.world.lines[2]["step"] == "3.2"


def test_one_that_would_be_made_twice_is_looked_for_first():
    run = Run(wants(change(replicates=True)))
    run.world.north.answers[MAKE.line] = [lost(), lambda: run.world.values.update(there="x") or Response(201, {})]
    assert (run.done().status, len(run.sent()), run.slept()) == ("CHANGED", 2, [1, 2, 4, 4])


def test_after_three_sendings_in_doubt_it_is_left_to_the_next_run():
    run = Run(wants(change()))
    run.world.north.answers[MAKE.line] = [lost()]
    error = failure(run)
    assert (len(run.sent()), error.differences) == (3, ("no answer tells whether it was done",))
    assert error.attempted == "Reading back Title 3.2 after the write"


def test_side_effects_are_looked_for_in_the_first_reading():
    seen = []
    run = Run(wants(change(confirm=lambda found: seen.append(found) or ())), reads=(THERE, WITHIN)).shows()
    assert (run.done().status, seen) == ("CHANGED", ["x"])
    error = failure(Run(wants(change(confirm=lambda _: ("name", "place")))).shows())
    assert (error.attempted, error.differences) == ("Reading back things after the write", ("name", "place"))


# What is read again --------------------------------------------------------------------------------------------------


def touching(*facts, leaves=(), **about):
    run = Run(wants(change(leaves=leaves, **about)), touches=facts).shows(request=about.get("request", MAKE))
    run.done()
    return run.world


def test_what_a_write_touches_is_read_again_but_not_what_it_leaves():
    assert touching(THERE, IS_ON, WITHIN).done("forget")[0] == ("forget", "there", "is on", "within")
    assert touching(THERE, WITHIN, leaves=(WITHIN, THERE)).done("forget")[0] == ("forget", "there")
    assert touching(IS_ON, THERE).done("forget")[0] == ("forget", "is on", "there")


def test_only_what_every_change_leaves_is_left():
    both = [change(leaves=(WITHIN,), request=PATCH), change(leaves=())]
    run = Run(wants(*both), touches=(THERE, WITHIN)).shows()
    run.done()
    assert [entry[1:] for entry in run.world.done("forget")] == [("there",), ("there", "within"), ("there", "within")]


def test_what_a_write_leaves_may_be_old_before_it():
    assert touching(THERE, WITHIN, leaves=(WITHIN,)).done("stale")[1:] == [("stale", 1.0, "there")]


def two(later):
    """Return a run of two writes; `later` is what the first turn that is held for the second one takes, in seconds."""
    run = Run(wants(change(request=PATCH), change(confirm=lambda _: ("never",))))
    run.shows(request=PATCH)
    turns = iter([0.0, later])
    run.world.north.turn = lambda: setattr(run.world, "time", run.world.time + timedelta(seconds=next(turns, 0.0)))
    return run


def test_a_further_write_waits_for_its_turn_and_is_sent_where_that_took_no_time():
    run = two(1.0)
    error = failure(run)
    assert (run.sent(), error.differences) == ([PATCH.line, MAKE.line], ("never",))
    assert [entry[2] for entry in run.world.done("turn")] == [PATCH.line, MAKE.line]


def test_one_that_waited_so_long_that_its_readings_are_old_is_planned_again():
    run = two(1.001)
    found = run.done()
    assert (run.sent(), found.status, found.diffs) == ([PATCH.line], "CHANGED", (DIFF,))


def test_of_what_was_not_sent_nothing_is_told_and_nothing_is_proved():
    second = Diff("things", "size", "", "9")
    state = {"left": 2}
    guard = Guard("a job", WITHIN, lambda _: ("the condition",), lambda _: (STOP,))

    def body(*_):
        if state["left"] == 2:
            yield change(request=PATCH)
        if state["left"]:
            yield Change("things", (second,), MAKE, guard=guard)

    run = Run(body)
    run.world.north.answers[PATCH.line] = [lambda: state.update(left=0) or Response(200, {})]
    turns = iter([0.0, 2.0])
    run.world.north.turn = lambda: setattr(run.world, "time", run.world.time + timedelta(seconds=next(turns, 0.0)))
    found = run.done()
    assert (run.sent(), found.diffs) == ([PATCH.line], (DIFF,))


def test_what_is_listed_late_is_sent_as_it_was_planned_without_a_turn_of_its_own():
    run = Run(wants(change(request=PATCH), change(listed_late="Listed late."))).shows()
    run.done()
    assert [entry[2] for entry in run.world.done("turn")] == [PATCH.line]


def test_what_an_answer_shows_is_not_read_again():
    run = Run(wants(change(shows=lambda _: ((THERE, "x"),))))
    assert run.done().status == "CHANGED"
    assert run.world.done("forget", "learn") == [("forget", "there"), ("learn", "there", "x")]


def test_an_answer_that_does_not_show_the_write_is_no_proof():
    run = Run(wants(change(shows=lambda _: ((THERE, ""),)))).shows(after_looks=1)
    assert (run.done().status, run.slept()) == ("CHANGED", [1])
    assert run.world.done("forget") == [("forget", "there"), ("forget", "there")]


def test_the_readings_of_all_answers_are_kept():
    shown = [change(shows=lambda _: ((WITHIN, "x"),), leaves=(WITHIN,)), change(shows=lambda _: ((THERE, "x"), (IS_ON, "x")))]
    run = Run(wants(*shown), touches=(THERE, IS_ON))
    run.done()
    assert run.world.done("forget") == [("forget", "there", "is on")] * 2


def test_a_look_after_a_write_drops_what_the_next_write_replaces():
    early = fact("early")
    run = Run(wants(change()), following=step(lambda *_: iter(()), "4", thing="next", reads=(early,))).shows()
    run.world.latest = {"early"}
    run.done()
    assert ("forget", "early") in run.world.log
    run = Run(
        wants(change(shows=lambda _: ((early, "x"), (THERE, "x")))),
        following=step(lambda *_: iter(()), "4", thing="next", reads=(early,)),
    )
    run.world.latest = {"early"}
    run.done()
    assert ("forget", "early") not in run.world.log


def test_several_that_are_listed_late_are_waited_for_together():
    run = Run(wants(change(listed_late="Listed late."), change(listed_late="Listed late too.", request=PATCH)))
    failure(run)
    assert [line["what"] for line in run.world.lines if line["event"] == "waiting"] == ["Listed late."]


def test_what_an_earlier_answer_showed_is_stale_after_the_next_write():
    shown, plain = change(shows=lambda _: ((THERE, ""),), request=PATCH), change()
    run = Run(wants(shown, plain)).shows()
    run.done()
    assert run.world.done("forget") == [("forget", "there")] * 3


def ticking(run):
    """Let the service's clock go on while the run sleeps."""

    def sleep(wait_s):
        run.world.sleep(wait_s)
        run.world.north.date += timedelta(seconds=wait_s)

    run.writer._sleep = sleep
    return run


def test_what_is_listed_late_is_looked_at_with_what_comes_in_the_same_request():
    world = touching(THERE, WITHIN, listed_late="late")
    assert world.done("forget") == [("forget", "there", "within"), ("forget", "there")]
    for tellers, looked_at in (({"south"}, ("there", "within")), (set(), ("there", "within")), ({"north"}, ("there",))):
        run = Run(wants(change(listed_late="late")), touches=(THERE, WITHIN)).shows()
        run.world.tellers["within"] = tellers
        run.done()
        assert run.world.done("forget")[1] == ("forget", *looked_at)


def test_what_is_listed_late_is_waited_for_in_silence_first_and_then_told():
    run = Run(wants(change(listed_late="Listed late."))).shows(after_looks=3)
    assert (run.done().reason, run.slept()) == ("", [1, 2, 4])
    run = ticking(Run(wants(change(listed_late="Listed late."))).shows(after_looks=10))
    assert (run.done().reason, run.slept()) == ("Listed late.", [1, 2, 4, 1, 2, 4, 4, 7, 7, 7])
    assert {"event": "waiting", "step": "3.2", "what": "Listed late."} in run.world.lines


def test_what_is_listed_late_is_waited_for_five_minutes():
    run = ticking(Run(wants(change(listed_late="Listed late."))))
    failure(run)
    assert 300 <= sum(run.slept()[3:]) < 307


# Before a write ------------------------------------------------------------------------------------------------------


def test_a_step_that_rereads_reads_that_again():
    run = Run(wants(change()), rereads=(WITHIN, THERE)).shows()
    run.done()
    assert run.world.done("read again", "stale")[:2] == [("read again", "within", "there"), ("stale", 1.0, "there")]


def plans(run):
    return len(run.world.done("read"))


def test_a_plan_that_rests_on_old_readings_is_made_again():
    fresh, old = Run(wants(change()), touches=(WITHIN,)).shows(), Run(wants(change()), touches=(WITHIN,)).shows()
    old.world.old = {"within"}
    fresh.done(), old.done()
    assert plans(old) == plans(fresh) + 1


def test_a_plan_without_changes_rests_on_nothing():
    run = Run(wants(), World(there="x"))
    run.world.old = {"there"}
    run.done()
    assert run.world.done("stale") == [("stale", 10.0)]


def test_before_a_delete_everything_it_touches_is_read_again():
    world = touching(THERE, WITHIN, request=DELETE)
    assert world.done("stale") == [("stale", 10.0), ("stale", 1.0, "there", "within"), ("stale", 0.0, "there", "within")]
    run = Run(wants(change(request=DELETE)), touches=(THERE,)).shows(request=DELETE)
    run.world.stale = lambda age, *_: age == 0.0
    count = plans(Run(wants(change(request=DELETE)), run.world).shows(request=DELETE))
    run.done()
    assert plans(run) - count == 4


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_before_a_document_is_written_whole_it_is_read_again_unless_that_was_the_last_thing_done(method):
    request = Request("north", method, "/things/1")
    world = touching(THERE, WITHIN, request=request)
    assert world.done("stale", "latest")[2:] == [("latest", "there", 0.5), ("stale", 0.0, "there")]
    run = Run(wants(change(request=request)), touches=(THERE,)).shows(request=request)
    run.world.latest = {"there"}
    run.done()
    assert run.world.done("stale") == [("stale", 10.0), ("stale", 1.0, "there")]


def test_one_that_was_rehearsed_needs_no_such_reading_nor_what_is_only_made():
    trial = Request("south", "POST", "/trial")
    assert touching(THERE, request=PATCH, rehearsal=trial).done("latest") == []
    assert touching(THERE).done("latest") == []


def test_a_document_that_was_read_again_is_planned_again():
    run = Run(wants(change(request=PATCH))).shows(request=PATCH)
    run.world.stale = lambda age, *_: age == 0.0
    run.done()
    assert plans(run) == 4


@pytest.mark.parametrize("request_", [DELETE, PATCH])
def test_a_plan_that_rests_on_readings_of_more_than_a_second_ago_is_made_again(request_):
    run = Run(wants(change(request=request_))).shows(request=request_)
    run.world.stale = lambda age, *_: age == 1.0
    run.done()
    assert plans(run) == 4


def test_after_a_write_of_the_guard_s_own_the_readings_are_looked_at_again():
    world = World()
    run = Run(wants(change()), world, made.Guard(world, NOTES)).shows()
    run.done()
    assert world.done("stale") == [("stale", 10.0), ("stale", 1.0, "there"), ("stale", 1.0, "there")]


def test_readings_that_the_guard_s_write_made_old_are_planned_with_again():
    world = World()
    run = Run(wants(change()), world, made.Guard(world, NOTES)).shows()
    ages = []
    world.stale = lambda age, *_: ages.append(age) or len(ages) == 3
    run.done()
    assert plans(run) == 4


def test_readings_that_were_old_before_the_guard_s_write_are_planned_with_again():
    world = World()
    run = Run(wants(change()), world, made.Guard(world, NOTES)).shows()
    ages = []
    world.stale = lambda age, *_: ages.append(age) or len(ages) == 2
    run.done()
    assert plans(run) == 4


# What an earlier run made --------------------------------------------------------------------------------------------


def lately(run, kind="thing", *, minutes=1):
    run.world.memory.earlier = {kind: NOON - timedelta(minutes=minutes)}
    return run


def test_what_an_earlier_run_made_lately_is_looked_for_before_it_is_made_again():
    run = lately(Run(wants(change(replicates=True), before=[Finding("Missing.")], after=[Finding("It is there.")])))
    run.world.sleep = run.world.sleep
    looks = []

    def sleep(wait_s):
        looks.append(wait_s)
        run.world.values["there"] = "x" if len(looks) == 2 else ""

    run._convergence._sleep = sleep
    found = run.done()
    assert (found.status, found.reason, run.sent(), looks) == ("UNCHANGED", "It is there.", [], [1, 2])
    assert run.world.done("forget") == [("forget", "there")] * 2


def test_it_is_made_when_it_stays_away_for_as_long_as_replication_takes():
    run = lately(Run(wants(change(replicates=True))).shows())
    run.world.lag = None
    assert run.done().status == "CHANGED"
    assert run.slept() == [1, 2, 4, 4]
    assert [line["event"] for line in run.world.lines] == ["settled", "intent", "outcome"]
    assert run.world.lines[0]["step"] == "3.2"


@pytest.mark.parametrize(("ago_s", "looks"), [(0, 7), (-4, 4), (3, 10)])
def test_it_is_looked_for_five_times_and_until_the_time_is_over(ago_s, looks):
    run = Run(wants(change(replicates=True))).shows()
    run._convergence._pace = made.LongPace(first_s=1.0, total_s=6.0)
    run.world.memory.earlier = {"thing": NOON + timedelta(seconds=ago_s)}
    run.done()
    assert len(run.slept()) == looks


@pytest.mark.parametrize(("kind", "minutes", "replicates"), [("other", 1, True), ("thing", 61, True), ("thing", 1, False)])
def test_other_things_and_what_was_made_long_ago_are_not_looked_for(kind, minutes, replicates):
    run = lately(Run(wants(change(replicates=replicates))).shows(), kind, minutes=minutes)
    run.done()
    assert run.slept() == []


def test_a_thing_in_doubt_is_looked_for():
    run = Run(wants(change(replicates=True))).shows()
    run.world.memory.doubts = (Doubt("3.2", "POST /things", NOON, None, (), "thing"),)
    run.done()
    assert run.slept() == [1, 2, 4, 4]


def undoing(there, **about):
    """Return the step that takes a thing back: it wants a delete where the thing shows."""

    def body(there, *_):
        if there:
            yield change(request=DELETE)
        else:
            yield Finding("It is gone.", **about)

    return lately(Run(body, World(there=there), thing="write 1", takes_back="thing"))


def test_an_undo_looks_for_what_may_not_show_yet():
    run = undoing("")
    found = run.done()
    assert (found.status, run.slept()) == ("UNCHANGED", [1, 2, 4, 4])


def test_an_undo_does_not_look_for_what_shows_or_what_it_leaves():
    run = undoing("x")
    run.world.north.answers[DELETE.line] = [lambda: run.world.values.update(there="") or Response(204, None)]
    assert (run.done().status, run.slept()) == ("CHANGED", [])
    run = undoing("", is_left=True)
    assert (run.done().status, run.slept()) == ("NOTED", [])


# What must still hold after a write ----------------------------------------------------------------------------------


def guarded(**about):
    guard = Guard("a job", WITHIN, lambda within: ("the condition",) if within else (), lambda _within: (STOP,))
    return Run(wants(change(guard=guard, **about)), reads=(THERE,))


def test_what_a_write_stands_on_is_read_after_it():
    run = guarded().shows()
    assert (run.done().status, run.sent()) == ("CHANGED", ["POST /things"])
    assert run.world.done("forget")[-1] == ("forget", "there", "within")
    assert ("read", "within") in run.world.log


def test_a_write_whose_condition_is_lost_is_stopped_again():
    run = guarded().shows()
    run.world.values["within"] = "another"
    error = failure(run)
    assert (run.sent(), error.differences) == (["POST /things", "POST /stop"], ("the condition",))
    assert error.attempted == "Reading back a job, which was stopped again after the write"
    assert run.world.lines[2]["on"] == "a job"
    assert [entry[1] for entry in run.world.done("guard")] == ["POST /things"] * 2


def test_it_is_looked_at_where_planning_refuses_to_go_on():
    run = guarded()
    blocked = StepBlocked("no", "do")

    def body(*_):
        if run.sent():
            raise blocked
        yield change(guard=Guard("a job", WITHIN, lambda within: ("the condition",) if within else (), lambda _within: (STOP,)))

    object.__setattr__(run.step.body, "function", body)
    assert failure(run, StepBlocked) is blocked
    run = guarded()
    run.world.values["within"] = "another"
    object.__setattr__(run.step.body, "function", lambda *_: body())
    failure(run)
    assert run.sent() == ["POST /things", "POST /stop"]


def test_the_guard_is_looked_at_where_the_answer_shows_the_rest():
    run = guarded(shows=lambda _: ((THERE, "x"),))
    run.done()
    assert run.world.done("forget") == [("forget", "there"), ("forget", "within")]


def test_a_refusal_passes_and_what_it_touched_is_read_again():
    run = Run(wants(change()))
    run.world.north.answers[MAKE.line] = [api_error(400)]
    failure(run, ApiError)
    assert run.world.done("forget") == [("forget", "there")]


def test_a_check_is_proved_like_any_other_step():
    assert Run(wants(change()), kind=Kind.CHECK).shows().done().status == "CHANGED"
