"""What others have done since: what is on record and what is there in, clauses and refusals out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.values import Diff
from runbook_lib.services.entra.models import Application
from runbook_lib.steps.mapping_document import shown_rows
from runbook_lib.steps.undoing.others import equal, in_application, in_job, is_edited, later_run, named, refuse_live
from runbook_lib.steps.undoing.readings import InEntra, Running
from runbook_lib.steps.undoing.undo import Undo
from runbook_lib.tenant.written import Record
from tests.builders import ACCESS, JOB, PRINCIPAL, PRINCIPAL_ID, STAFF, USER_ID, right_schema, schema
from tests.steps.undone import HELD, LIVE, RUNNING_JOBS, SHORT, Tenant, later, written

ENTRA = InEntra(PRINCIPAL_ID)
IN_IT = {"service_principal": PRINCIPAL_ID}
ROWS, RIGHT = shown_rows(schema()), shown_rows(right_schema())


def undo(stop=""):
    """Return an undo, of a run that started the job where `stop` is the number of the step that stops it."""
    found = Undo(Record(()), "Acme SCIM", is_plan=False)
    found.entries = {stop: written("start")} if stop else {}
    return found


def test_nothing_is_refused_while_no_job_is_on():
    guard = refuse_live(undo(), ())
    assert (guard.on, guard.reading.name, guard.lost(()), guard.stop(())) == ("the provisioning job", RUNNING_JOBS, (), ())
    told = "others turned job on while what it lives on was taken back"
    assert (guard.lost((*LIVE, Running("tok"))), [pause.line for pause in guard.stop((*LIVE, Running("tok")))]) == (
        (told,),
        [f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/pause"],
    )


def test_a_job_that_the_run_started_is_stopped_first():
    diff = Diff("it", "there", "yes", "no")
    with pytest.raises(StepWaits) as waits:
        refuse_live(undo("-4"), LIVE, (diff,))
    assert (waits.value.thing, waits.value.what, waits.value.planned) == ("-4", "The stop of the job", (diff,))
    assert waits.value.came_back == "This step waits until an earlier step has stopped the job"
    with pytest.raises(StepWaits) as waits:
        refuse_live(undo("-4"), LIVE)
    assert waits.value.planned == ()


def test_a_job_that_others_started_keeps_everything():
    with pytest.raises(StepBlocked) as blocked:
        refuse_live(undo(), (Running("j1"), Running("j2")))
    assert blocked.value.reason.startswith(
        "Provisioning is on (j1, j2), and the journal does not show that this run started it. So nothing is undone:"
    )
    assert blocked.value.remedy.startswith("Turn provisioning off in Entra (Provisioning > Overview > Stop provisioning)")


ENTRY = written("application", ids={"service_principal": PRINCIPAL_ID})


def doubtful(kind, **undo):
    return replace(later(kind, **undo), is_certain=False, run="2026-11-26")


@pytest.mark.parametrize(
    ("others", "kinds", "words"),
    [
        ((), ("job",), ""),
        ((later("token"),), ("job",), ""),
        ((written("job"),), ("job",), ""),
        (
            (later("job"), doubtful("job")),
            ("token", "job"),
            "Left in place: run 2026-11-25 has written to it later (undo that run first).",
        ),
        (
            (doubtful("job"),),
            ("job",),
            "Left in place: run 2026-11-26 may have written to it later, but the response was lost (undo that run to see "
            "what is there).",
        ),
    ],
)
def test_a_later_run_is_named_by_its_latest_certain_write(others, kinds, words):
    assert later_run(Record((ENTRY,), others), ENTRY, *kinds) == words


def test_the_latest_of_several_later_runs_is_named():
    others = (later("job"), replace(later("job"), run="2026-11-27"))
    assert "run 2026-11-27 has" in later_run(Record((), others), ENTRY, "job")
    others = (doubtful("job"), replace(doubtful("job"), run="2026-11-28"))
    assert "run 2026-11-28 may" in later_run(Record((), others), ENTRY, "job")


def test_clauses_become_one_sentence():
    assert named(["a", "b"]) == "Left in place: a; b."


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ({"k": 1}, {"k": 1}, True),
        ({"k": 1}, {"k": True}, False),
        ({"k": None}, {}, False),
        ({}, {}, True),
        ({"k": 1}, {"k": 2}, False),
    ],
)
def test_documents_hold_the_same_under_a_key_absence_and_type_included(one, other, is_same):
    assert equal(one, "k", other) is is_same


# The mappings --------------------------------------------------------------------------------------------------------


def wrote(rows):
    return written("schema", {**IN_IT, "rows": rows})


@pytest.mark.parametrize(
    ("own", "restored", "found", "is_it"),
    [
        ((), {}, right_schema(), False),
        ((wrote(RIGHT),), {}, None, False),
        ((wrote(RIGHT),), {}, right_schema(), False),
        ((wrote(RIGHT[::-1]),), {}, right_schema(), False),
        ((wrote(RIGHT),), {}, schema(), True),
        ((wrote(RIGHT), wrote(ROWS)), {}, right_schema(), True),
        ((wrote(ROWS), wrote(RIGHT)), {}, right_schema(), False),
        ((wrote(None),), {}, schema(), False),
        ((written("schema", IN_IT),), {}, schema(), False),
        ((wrote(RIGHT),), {PRINCIPAL_ID: [ROWS]}, schema(), False),
        ((wrote(RIGHT),), {PRINCIPAL_ID: []}, schema(), True),
        ((wrote(RIGHT),), {"other": [ROWS]}, schema(), True),
        ((), {PRINCIPAL_ID: []}, schema(), True),
        ((), {PRINCIPAL_ID: [ROWS]}, schema(), False),
    ],
)
def test_mappings_hold_edits_of_others_where_neither_the_run_nor_an_undo_wrote_them(own, restored, found, is_it):
    assert is_edited(found, Record(own, restored=restored), PRINCIPAL_ID) is is_it


def test_rows_of_a_journal_without_the_switch_of_groups_are_compared_without_it():
    rows = [row for row in RIGHT if not row.startswith("groups: ")]
    assert len(rows) == len(RIGHT) - 1
    assert is_edited(right_schema(sends_groups=True), Record((wrote(rows),)), PRINCIPAL_ID) is False
    assert is_edited(right_schema(sends_groups=True), Record((wrote(RIGHT),)), PRINCIPAL_ID) is True


# In the job ----------------------------------------------------------------------------------------------------------

SAVE = written("credentials", {**IN_IT, "token": "own", "before": {}})


def job_clauses(*own, found=None, holds=False, held=frozenset(), **record):
    fact = in_job(Record(own, **record), ENTRA)
    assert (fact.name, fact.is_derived) == (f"others' work in the job {SHORT}", True)
    readings = {f"attribute mappings {SHORT}": found, f"Entra holds a token {SHORT}": holds, HELD: held}
    return fact.look(Tenant(**readings))


def test_in_the_job_there_is_nothing_of_others():
    assert job_clauses() == ()
    assert job_clauses(wrote(RIGHT), found=right_schema()) == ()
    assert job_clauses(SAVE, holds=True, held=frozenset({"own"}), token_ids=frozenset({"own"})) == ()


def test_in_the_job_others_have_changed_mappings_and_saved_a_token():
    assert job_clauses(wrote(RIGHT), found=schema()) == ("someone else has changed its attribute mappings since",)
    assert job_clauses(holds=True) == ("Entra holds a token that this run did not save",)
    elsewhere = written("credentials", {"service_principal": "other", "token": "own", "before": {}})
    assert job_clauses(elsewhere, holds=True) == ("Entra holds a token that this run did not save",)
    theirs = job_clauses(SAVE, holds=True, held=frozenset({"own", "t"}), token_ids=frozenset({"own"}))
    assert theirs == ("Auth0 has a token that this tool did not make, and Entra may hold it",)
    both = job_clauses(wrote(RIGHT), found=schema(), holds=True)
    assert both == ("someone else has changed its attribute mappings since", "Entra holds a token that this run did not save")


# In the application --------------------------------------------------------------------------------------------------

JOB_MADE = written("job", IN_IT, {"job": "job"})
ASSIGNED = written("assignments", {**IN_IT, "principals": [USER_ID]}, {f"assigned {USER_ID}": "1"})


def clauses(*own, others=(), principal=PRINCIPAL, registered=None, jobs=(), in_it=(), assigned=()):
    fact = in_application(Record((ENTRY, *own), others), ENTRY, ENTRA)
    assert (fact.name, fact.is_derived) == (f"others' work in the application {SHORT}", True)
    readings = {
        f"enterprise application {SHORT}": principal,
        f"app registration {SHORT}": registered,
        f"provisioning jobs {SHORT}": jobs,
        f"others' work in the job {SHORT}": in_it,
        f"assignments {SHORT}": assigned,
    }
    return fact.look(Tenant(**readings))


def test_in_an_application_there_is_nothing_of_others():
    assert clauses() == ()
    assert clauses(JOB_MADE, ASSIGNED, jobs=(JOB,), assigned=(ACCESS,)) == ()
    assert clauses(principal=None, jobs=(JOB,), assigned=(ACCESS,)) == ()
    assert clauses(principal=replace(PRINCIPAL, notes="[inbound-scim-runbook con_1]")) == ()
    assert clauses(in_it=("work in a job that is gone",)) == ()


@pytest.mark.parametrize("kind", ["assignments", "job", "credentials", "schema", "start", "on-demand"])
def test_a_later_run_has_worked_in_it(kind):
    assert clauses(others=(later(kind, **IN_IT),)) == ("run 2026-11-25 has written to it later (undo that run first)",)
    assert clauses(others=(later(kind, service_principal="other"), later("token", **IN_IT))) == ()


def test_a_job_that_is_not_the_run_s_own_keeps_it_with_all_that_is_in_the_jobs():
    foreign = "it has a provisioning job, and the journal does not show that this run made it"
    assert clauses(jobs=(JOB,)) == (foreign,)
    assert clauses(JOB_MADE, jobs=(JOB, replace(JOB, id="other")), in_it=("a", "b")) == (foreign, "a", "b")


def test_edited_notes_and_what_is_set_up_for_sign_ins_keep_it():
    edited = replace(PRINCIPAL, notes="mine\n[inbound-scim-runbook con_1]", set_up=("a key", "a logo"))
    registered = Application("a", "app", "Acme SCIM", set_up=("a redirect", "a key"))
    assert clauses(principal=edited, registered=registered) == (
        "someone else has edited its notes",
        "it is set up for sign-ins (a redirect, a key, a logo)",
    )


def test_assignments_that_are_not_the_run_s_own_keep_it():
    assert clauses(ASSIGNED, assigned=(ACCESS, STAFF)) == ("the journal does not show that this run made 1 of its assignments",)
    again = replace(ACCESS, id="9")
    assert clauses(ASSIGNED, assigned=(again,)) == ("the journal does not show that this run made 1 of its assignments",)


def test_a_journal_of_version_2_names_the_assigned_and_not_the_assignments():
    old = replace(ASSIGNED, ids={}, version=2)
    assert clauses(old, assigned=(ACCESS,)) == ()
    assert clauses(old, assigned=(STAFF,)) == ("the journal does not show that this run made 1 of its assignments",)
