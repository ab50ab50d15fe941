"""What the steps of one undo share: what is on record in, steps and sentences out."""

from __future__ import annotations

import pytest

from runbook_lib.engine.step import Kind
from runbook_lib.engine.values import Finding
from runbook_lib.steps.undoing.undo import Seen, Turn, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.written import Record
from tests.builders import PRINCIPAL_ID
from tests.steps.undone import SHORT, Tenant, later, written

START, JOB = written("start", step="4.3"), written("job", step="3.4")


def undo(*own, others=(), is_plan=False, **record):
    return Undo(Record(own, others, **record), "Acme SCIM", is_plan)


def test_what_is_left_stays_for_a_later_undo():
    assert left("It stays.") == Finding("It stays.", is_left=True)


def test_the_turns_are_in_the_order_in_which_an_undo_is_safe():
    assert [turn.name for turn in sorted(Turn)] == [
        "THE_JOB_STOPS",
        "WITH_ALL_THAT_IS_IN_IT",
        "BEFORE_MAPPINGS",
        "LATEST_WRITE_FIRST",
        "LAST_IN_ENTRA",
    ]


def test_a_way_back_by_default_needs_no_id_and_comes_in_its_turn():
    way = undone(lambda *_: None, Thing.JOB, "the job", needs={"job": str})
    assert (way.kind, way.words, way.needs, way.made, way.turn) == ("job", "the job", {"job": str}, "", Turn.LATEST_WRITE_FIRST)
    assert way.look(JOB, None) == Seen(True, "The journal next to this report holds the earlier values.")
    way = undone(max, Thing.JOB, "it", needs={}, made="id", look=min, turn=Turn.LAST_IN_ENTRA)
    assert (way.step, way.made, way.look, way.turn) == (max, "id", min, Turn.LAST_IN_ENTRA)


@pytest.mark.parametrize(
    ("entries", "others", "stop"),
    [
        ({}, (), ""),
        ({"-1": JOB, "-2": START}, (), "-2"),
        ({"-2": written("start", is_certain=False)}, (), ""),
        ({"-2": START}, (later("start"),), ""),
        ({"-2": START}, (later("job"),), "-2"),
    ],
)
def test_the_step_that_stops_the_job_is_that_of_the_run_s_own_start(entries, others, stop):
    found = undo(others=others)
    found.entries.update(entries)
    assert found.stop == stop


def test_no_step_stops_the_job_once_that_step_is_over():
    found = undo()
    assert found.has_stopped is False
    found.entries["-2"], found.has_stopped = START, True
    assert found.stop == ""


def body(*_):
    yield left("it")


def test_a_step_of_an_undo_names_the_write_and_the_step_that_made_it():
    found = undo()
    made = found.step("-3", JOB, "Delete it", body, facts.jobs, facts.schema, touches=(facts.jobs,))
    assert (made.number, made.title, made.kind) == ("-3", "Delete it (step 3.4)", Kind.ENSURE)
    assert (made.body.thing, made.body.function, made.body.takes_back) == ("write -3", body, "job")
    assert (made.body.reads, made.body.touches) == ((facts.jobs, facts.schema), (facts.jobs,))
    assert found.entries == {"-3": JOB}


@pytest.mark.parametrize(
    ("entry", "takes_back"),
    [
        (written("application"), "application"),
        (written("token"), ""),
        (written("application", is_certain=False), ""),
        (written("job", is_certain=False), ""),
    ],
)
def test_what_replicates_is_looked_for_where_the_run_is_known_to_have_made_it(entry, takes_back):
    assert undo().step("-1", entry, "", body, touches=(facts.jobs,)).body.takes_back == takes_back


def test_a_step_that_writes_nothing_is_a_note():
    assert undo().step("-1", JOB, "", body).kind == Kind.NOTE


def test_what_is_inside_goes_along_with_an_application_that_is_going_to_be_deleted():
    found, tenant = undo(), Tenant()
    assert found.goes_along(PRINCIPAL_ID).name == f"is deleted {SHORT}"
    assert found.goes_along(PRINCIPAL_ID).look(tenant) is False
    asked = []
    found.deletable = lambda view, service_principal: asked.append((view, service_principal)) or True
    assert found.goes_along(PRINCIPAL_ID).look(tenant) is True
    assert (asked, found.goes_along(PRINCIPAL_ID).is_derived) == ([(tenant, PRINCIPAL_ID)], True)
    found.record.kept.add(PRINCIPAL_ID)
    assert found.goes_along(PRINCIPAL_ID).look(tenant) is False


def test_what_goes_along_is_there_until_the_application_is_deleted():
    words = "Deleting the enterprise application removes it too."
    assert undo().along("sp") == Finding(words, is_left=True)
    assert undo(deleted={"sp"}).along("sp") == Finding(words)


def save(before=None, service_principal="sp"):
    return written("credentials", {"service_principal": service_principal, "before": before or {}})


@pytest.mark.parametrize(
    ("saves", "had"),
    [
        ((), False),
        ((save(),), False),
        ((save({"SecretToken": "*"}),), True),
        ((save({"SecretToken": "*"}, "other"), save()), False),
        ((save(), save({"SecretToken": "*"})), False),
        ((save({"SecretToken": "*"}), save()), True),
    ],
)
def test_entra_held_a_token_there_when_the_first_save_found_one(saves, had):
    assert undo(*saves).had_token("sp") is had


@pytest.mark.parametrize(
    ("saves", "is_plan", "empties"),
    [((save(),), True, True), ((save(),), False, False), ((), True, False), ((save(service_principal="other"),), True, False)],
)
def test_a_plan_says_that_a_token_of_the_run_is_taken_out(saves, is_plan, empties):
    assert undo(*saves, is_plan=is_plan).empties("sp") is empties
