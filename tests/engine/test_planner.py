"""What a step would do: what its body yields in, a plan or a result out."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from runbook_lib.core.errors import ApiError, SettingsError, StepBlocked, StepWaits
from runbook_lib.core.step_numbers import number_of
from runbook_lib.engine.planner import Planner, plan_of, with_numbers
from runbook_lib.engine.result import Plan, StepResult
from runbook_lib.engine.step import Kind
from runbook_lib.engine.values import Change, Diff, Finding, Handover, Hazard, Skipped, Table
from tests.engine.world import MAKE, NUMBERS, PACE, World, acceptance, api_error, fact, step

DIFF = Diff("things", "name", "", "x")
CHANGE = Change("things", (DIFF,), MAKE)
TABLE = Table("Things", ("name",), (("x",),))
DANGER = Hazard("burns", "It burns.", 3)
PLACE, SAVING = number_of("thing"), number_of("saving")


def planner(world, *steps, is_too_young=lambda error: False):
    return Planner(world, pace=PACE, sleep=world.sleep, numbers=NUMBERS, is_too_young=is_too_young, steps=lambda: iter(steps))


def says(*entries, **about):
    """Return a step whose body yields these; an error is raised."""

    def body(*_):
        for entry in entries:
            if isinstance(entry, Exception):
                raise entry
            yield entry

    return step(body, **about)


def result(*entries, world=None, **about):
    one = says(*entries, **about)
    return planner(world or World(), one).plan(one)


def expected(status, reason="", remedy="", diffs=(), kind="ensure", number="3.2", **more):
    return StepResult(number, f"Title {number}", kind, status, reason, remedy, diffs, **more)


# What a body gets and says -------------------------------------------------------------------------------------------


def test_a_body_gets_the_values_that_it_reads_in_order_and_then_the_settings():
    world, got = World(one=1, two=2), []
    there = step(lambda *values: iter(got.append(values) or ()), reads=(fact("two"), fact("one")))
    planner(world, there).planned(there)
    assert got == [(2, 1, world.settings)]


def test_a_plan_holds_what_a_body_says_by_kind_and_in_order():
    last = Handover("there")
    said = [Finding("a"), CHANGE, TABLE, Handover("here"), DANGER, Finding("b", is_left=True), last]
    assert plan_of(said) == Plan((CHANGE,), ("a", "b"), (TABLE,), last, (DANGER,), is_left=True, is_skipped=False)


def test_a_plan_of_nothing_is_empty_and_a_sentence_that_skips_is_one_that_is_said():
    assert plan_of([]) == Plan((), ())
    assert plan_of([Skipped("left out")]) == Plan((), ("left out",), is_skipped=True)
    assert plan_of(iter([TABLE])).tables == (TABLE,)


@pytest.mark.parametrize(
    ("said", "filled"),
    [
        (f"see {PLACE}", "see 3.2"),
        ((f"see {PLACE}", (SAVING,), 7), ("see 3.2", ("3.9",), 7)),
        (Finding(f"see {PLACE}", is_left=True), Finding("see 3.2", is_left=True)),
        (Skipped(PLACE), Skipped("3.2")),
        (Hazard("n", PLACE, 2), Hazard("n", "3.2", 2)),
        (Diff(PLACE, SAVING, "", PLACE), Diff("3.2", "3.9", "", "3.2")),
        (Handover(PLACE, (SAVING,), ((PLACE, "x"),)), Handover("3.2", ("3.9",), (("3.2", "x"),))),
        (Table(PLACE, (), ()), Table(PLACE, (), ())),
        (7, 7),
    ],
)
def test_the_numbers_of_steps_are_filled_in_but_not_in_tables(said, filled):
    assert with_numbers(said, NUMBERS) == filled


def test_a_change_keeps_everything_but_the_words_of_its_differences():
    change = replace(CHANGE, diffs=(Diff(PLACE, "", "", ""),), before=(PLACE,))
    assert with_numbers(change, NUMBERS) == replace(change, diffs=(Diff("3.2", "", "", ""),))
    assert with_numbers(CHANGE, NUMBERS) is CHANGE
    finding = Finding("nothing to fill in")
    assert with_numbers(finding, NUMBERS) is finding


# Readings ------------------------------------------------------------------------------------------------------------


def reading(number, name, kind=Kind.CHECK, thing="", **about):
    return step(lambda *_: iter(()), number, kind, thing, reads=(fact(name),), **about)


def test_before_the_first_plan_all_that_any_step_reads_is_read_once():
    world, steps = World(), [reading("1", "a"), reading("2", "b"), reading("3", "a")]
    planner(world, *steps).planned(steps[1])
    assert world.log == [("read ahead", "a", "b"), ("read", "b")]


def test_what_is_read_ahead_is_read_ahead_once():
    world = World()
    one = planner(world, reading("1", "a"))
    one.look_ahead()
    one.look_ahead()
    assert world.log == [("read ahead", "a")]


@pytest.mark.parametrize("writes", [Kind.ENSURE, Kind.PROBE])
def test_later_plans_read_ahead_up_to_the_next_step_that_may_write(writes):
    world = World()
    steps = [
        reading("1", "a"),
        reading("2", "b"),
        reading("3", "c", Kind.STAGE),
        reading("4", "d", writes),
        reading("5", "e"),
    ]
    one = planner(world, *steps)
    one.look_ahead()
    world.log.clear()
    one.planned(steps[1])
    assert world.done("read ahead") == [("read ahead", "b", "c", "d")]
    world.log.clear()
    one.planned(steps[3])
    assert world.done("read ahead") == [("read ahead", "d")]


def test_after_a_write_the_readings_up_to_the_next_write_are_read_ahead():
    world = World()
    steps = [reading("1", "a", Kind.ENSURE), reading("2", "b"), reading("3", "c", Kind.ENSURE), reading("4", "d")]
    one = planner(world, *steps)
    one.look_ahead()
    world.log.clear()
    one.planned(steps[0], is_written=True)
    assert world.done("read ahead") == [("read ahead", "a", "b", "c")]


def test_what_the_next_write_replaces_is_read_again_where_it_came_with_a_look_that_was_too_early():
    world = World()
    steps = [
        reading("1", "a", Kind.ENSURE),
        step(lambda *_: iter(()), "2", Kind.CHECK),
        reading("3", "c", Kind.ENSURE, touches=(fact("early"), fact("other"))),
        reading("4", "late", Kind.ENSURE),
    ]
    world.latest = {"early", "a", "late", "other"}
    one = planner(world, *steps)
    one.planned(steps[0], is_written=True)
    assert world.done("latest", "forget") == [("latest", "early", math.inf), ("forget", "early")]


@pytest.mark.parametrize(("latest", "shown"), [(set(), frozenset()), ({"early"}, frozenset({"early"}))])
def test_what_was_read_before_another_request_or_shown_by_the_answer_is_kept(latest, shown):
    world = World()
    steps = [reading("1", "a", Kind.ENSURE), reading("2", "early", Kind.ENSURE)]
    world.latest = latest
    planner(world, *steps).planned(steps[0], is_written=True, shown=shown)
    assert world.done("forget") == []


def test_without_a_write_nothing_is_dropped():
    world = World()
    steps = [reading("1", "a", Kind.ENSURE), reading("2", "early", Kind.ENSURE)]
    world.latest = {"early"}
    planner(world, *steps).planned(steps[0])
    assert world.done("latest", "forget") == []


def test_a_plan_is_made_again_while_a_service_does_not_know_what_was_just_made():
    world, errors = World(), [api_error(404), api_error(404)]

    def body(*_):
        if errors:
            raise errors.pop()
        yield CHANGE

    one = step(body)
    plans = planner(world, one, is_too_young=lambda error: error.status == 404)
    assert plans.planned(one) == Plan((CHANGE,), ())
    assert world.done("sleep") == [("sleep", 1), ("sleep", 2)]


def test_it_is_made_once_more_when_the_time_for_that_is_used_up_and_after_a_write_as_after_a_write():
    world = World()
    error = api_error(404)
    steps = [says(error, kind=Kind.ENSURE), reading("4", "early", Kind.ENSURE)]
    world.latest = {"early"}
    with pytest.raises(ApiError):
        planner(world, *steps, is_too_young=lambda _: True).planned(steps[0], is_written=True)
    assert world.done("sleep") == [("sleep", 1), ("sleep", 2), ("sleep", 4), ("sleep", 4)]
    assert world.done("forget") == [("forget", "early")] * 5


def test_a_look_at_a_write_that_is_repeated_reads_again_what_shows_the_write():
    world = World()
    one = says(api_error(404), reads=(fact("a"), fact("b")))
    with pytest.raises(ApiError):
        planner(world, one, is_too_young=lambda _: True).planned(one, is_written=True)
    assert world.done("forget") == [("forget", "a")] * 4
    for is_written, shown in ((False, frozenset()), (True, frozenset({"a"}))):
        world.log.clear()
        with pytest.raises(ApiError):
            planner(world, one, is_too_young=lambda _: True).planned(one, is_written=is_written, shown=shown)
        assert world.done("forget") == []


def test_the_readings_that_an_answer_showed_are_kept_to_the_last_look():
    world = World()
    steps = [says(api_error(404)), reading("4", "early", Kind.ENSURE)]
    world.latest = {"early"}
    plans = planner(world, *steps, is_too_young=lambda _: True)
    with pytest.raises(ApiError):
        plans.planned(steps[0], is_written=True, shown=frozenset({"early"}))
    assert world.done("forget") == []


def test_another_error_is_raised_at_once():
    world, error = World(), api_error(404)
    one = says(error)
    with pytest.raises(ApiError) as raised:
        planner(world, one).planned(one)
    assert (raised.value, world.done("sleep")) == (error, [])


# Results -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "kind", "status"),
    [
        ((Finding("a"), CHANGE), Kind.ENSURE, "PLANNED"),
        ((Finding("a"),), Kind.ENSURE, "UNCHANGED"),
        ((Finding("a"),), Kind.PROBE, "UNCHANGED"),
        ((Finding("a"),), Kind.CHECK, "PASSED"),
        ((Finding("a"),), Kind.NOTE, "NOTED"),
        ((Finding("a", is_left=True),), Kind.CHECK, "NOTED"),
        ((Skipped("a"),), Kind.CHECK, "SKIPPED"),
        ((Skipped("a"), Finding("", is_left=True)), Kind.ENSURE, "SKIPPED"),
    ],
)
def test_a_step_s_result_says_what_it_would_do(entries, kind, status):
    found = result(*entries, kind=kind)
    diffs = (DIFF,) if CHANGE in entries else ()
    assert found == expected(
        status, " ".join(one.text for one in entries if isinstance(one, Finding)), diffs=diffs, kind=str(kind)
    )


def test_the_result_shows_all_sentences_and_tables():
    found = result(Finding("a."), TABLE, Finding("b."))
    assert (found.reason, found.tables) == ("a. b.", (TABLE,))


def test_a_stage_names_the_step_that_saves_it():
    assert result(Finding("a."), CHANGE, kind=Kind.STAGE, saved_by="saving").reason == "a. Saved by step 3.9."
    assert result(CHANGE, kind=Kind.STAGE, saved_by="saving").reason == "Saved by step 3.9."
    assert result(Finding("a."), kind=Kind.STAGE, saved_by="saving").reason == "a."


def test_a_step_of_the_other_side_is_open_seen_or_confirmed():
    opened = Handover("there", remedy="Send it")
    assert result(Finding("a"), TABLE, opened) == expected("HANDOVER", "a", "Send it")
    assert result(opened).handover == opened
    assert result(Finding("a"), TABLE, opened).tables == (TABLE,)
    assert result(Finding("a"), replace(opened, state="confirmed"), kind=Kind.CHECK) == expected("NOTED", "a", kind="check")
    assert result(replace(opened, state="seen"), kind=Kind.CHECK) == expected("PASSED", kind="check")
    assert result(replace(opened, state="seen"), Skipped("a"), kind=Kind.CHECK) == expected("SKIPPED", "a", kind="check")


def test_a_step_that_hands_over_what_it_has_to_make_first_is_planned():
    assert result(Handover("there"), CHANGE) == expected("PLANNED", diffs=(DIFF,))


def test_what_a_written_step_hands_over_keeps_what_was_written():
    one, plan = says(), Plan((), (), handover=Handover("there", state="seen"))
    found = planner(World(), one).handed_over(one, plan, (DIFF,), "CHANGED")
    assert found == expected("CHANGED", diffs=(DIFF,))
    assert planner(World(), one).handed_over(one, Plan((), ()), (), "CHANGED").handover == Handover("")


# Hazards -------------------------------------------------------------------------------------------------------------


def test_a_hazard_holds_a_step_until_it_is_accepted():
    other = Hazard("freezes", "It freezes")
    found = result(DANGER, TABLE, replace(CHANGE, hazard=other), replace(CHANGE, hazard=Hazard("burns more", "It burns")))
    assert found == expected(
        "BLOCKED",
        "It burns. It freezes.",
        "If that is wanted, add accept: [burns, freezes, burns more] to the settings",
        (DIFF, DIFF),
        hazards=(DANGER, other, Hazard("burns more", "It burns")),
    )
    assert found.tables == (TABLE,)


@pytest.mark.parametrize(
    ("accepted", "status"), [({"burns": 2}, "BLOCKED"), ({"burns": 3}, "PLANNED"), ({"burns": 4}, "PLANNED")]
)
def test_an_acceptance_holds_for_so_many_people(accepted, status):
    world = World()
    world.settings.given = accepted
    assert result(DANGER, CHANGE, world=world).status == status


def test_only_what_is_not_accepted_is_asked_for():
    world = World()
    world.settings.given = {"burns": 3}
    found = result(DANGER, Hazard("freezes", "It freezes"), world=world)
    assert [one.name for one in found.hazards] == ["freezes"]


def test_a_result_shows_who_accepted_what_and_when():
    world = World()
    world.settings.given = {"burns": 9, "freezes": 0}
    given = [("burns", 2, "early", "1"), ("burns", 3, "Ada", "2"), ("burns", 5, "Bea", "3"), ("freezes", 9, "Cleo", "4")]
    world.settings.accepted = [acceptance(*one) for one in given]
    columns = ("what", "people", "why it was asked", "by", "when")
    freezes = Hazard("freezes", "It freezes")
    rows = (("burns", "3", "It burns.", "Bea", "3"), ("freezes", "", "It freezes", "Cleo", "4"))
    assert result(DANGER, freezes, CHANGE, TABLE, world=world).tables == (TABLE, Table("Accepted", columns, rows))
    world.settings.accepted = [acceptance("burns", 3, "Ada", "2")]
    [table] = result(DANGER, world=world).tables
    assert table.rows == (("burns", "3", "It burns.", "Ada", "2"),)
    world.settings.accepted = [acceptance("burns", 2, "Ada", "2")]
    [table] = result(DANGER, world=world).tables
    assert table.rows == (("burns", "3", "It burns.", "the settings", ""),)


# Steps that wait and errors ------------------------------------------------------------------------------------------


def test_a_step_that_waits_names_the_step_that_makes_what_is_missing():
    waits = StepWaits("thing", "The thing", (DIFF, "no difference"))
    assert result(waits, number="3.4") == expected(
        "PLANNED", "The thing is made by step 3.2.", diffs=(DIFF,), number="3.4", waits_for="3.2"
    )
    assert result(Finding("a."), TABLE, waits).reason == "a. The thing is made by step 3.2."
    assert result(Finding("a."), TABLE, waits).tables == (TABLE,)


def test_a_step_that_waits_with_nothing_planned_is_noted():
    assert result(StepWaits("thing", "The thing")) == expected("NOTED", "The thing is made by step 3.2.", waits_for="3.2")


def test_what_no_step_makes_says_what_to_do():
    waits = StepWaits("", "It", came_back=f"It comes after {PLACE}", do_now=f"Wait for {PLACE}")
    assert result(waits) == expected("NOTED", "It comes after 3.2.", "Wait for 3.2")


def test_the_differences_of_a_step_that_waits_name_steps_by_number():
    [diff] = result(StepWaits("thing", "It", (Diff("on", PLACE, "", ""),))).diffs
    assert diff.field == "3.2"


def test_a_hazard_that_a_step_has_named_comes_before_what_it_waits_for():
    waits = StepWaits("thing", "It", (DIFF,))
    found = result(Finding("a."), DANGER, TABLE, waits)
    assert (found.status, found.hazards, found.diffs, found.tables) == ("BLOCKED", (DANGER,), (DIFF,), (TABLE,))


def test_an_accepted_hazard_is_shown_while_the_step_waits():
    world = World()
    world.settings.given = {"burns": 3}
    found = result(DANGER, TABLE, StepWaits("thing", "It"), world=world)
    assert [table.title for table in found.tables] == ["Things", "Accepted"]
    assert found.status == "NOTED"


def test_a_condition_that_is_not_met_blocks():
    assert result(StepBlocked(f"not after {PLACE}", f"See {SAVING}")) == expected("BLOCKED", "not after 3.2", "See 3.9")


def test_another_error_fails_the_step_with_what_was_attempted_and_came_back():
    error = ApiError("GET /things", 500, "", "", "", f"See {PLACE}")
    assert result(error) == expected("FAILED", "GET /things: answer 500", "See 3.2")
    assert result(SettingsError("odd", "fix it")) == expected("FAILED", "Reading the settings: odd", "fix it")


def test_a_result_has_a_place_for_everything():
    one = says(kind=Kind.PROBE)
    made = planner(World(), one).result(one, "CHANGED", "why", "what now", (DIFF,), (TABLE,))
    assert (made, made.tables) == (expected("CHANGED", "why", "what now", (DIFF,), kind="probe"), (TABLE,))
    assert planner(World(), one).result(one, "CHANGED") == expected("CHANGED", kind="probe")
