"""The provisioning job, literals in and changes out. Its start is in `test_start.py`.

3.4 Get started with automatic provisioning
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Diff, Finding
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import SynchronizationJob
from runbook_lib.steps.provisioning_job import UNDO
from tests.builders import JOB, NOTHING_MADE, PRINCIPAL_ID, RUNNING, planned, refusal, step, waiting
from tests.steps.sheet import CONFIRMED, ENTRA, handover, without
from tests.steps.undone import (
    BY_LATER_RUN,
    EVERYTHING,
    GOES,
    HELD,
    LIVE,
    RUNNING_JOBS,
    SHORT,
    TAKES_BACK,
    Tenant,
    Trial,
    later,
    written,
)

OTHER = SynchronizationJob("other", "customappsso", "Active", "Active", None)
MADE = Diff("provisioning job", "template", "", "scim")


# 3.4


def jobs(*found):
    return planned("3.4", jobs=found)


def test_3_4_makes_a_job_that_is_not_started():
    [change] = jobs()
    assert (change.on, change.diffs) == ("provisioning job", (MADE,))
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs"
    assert change.request.body == {"templateId": "scim"}
    assert (change.undo, change.replicates) == ({"kind": "job", "service_principal": PRINCIPAL_ID}, True)
    assert change.receive(Response(201, {"id": "scim.1"})) == {"job": "scim.1"}


def test_3_4_plans_nothing_when_the_job_is_there():
    assert jobs(JOB) == [Finding("The provisioning job exists.")]


def test_3_4_waits_for_the_enterprise_application():
    assert waiting("3.4", **NOTHING_MADE) == ("3.2", "The enterprise application", (MADE,))


@pytest.mark.parametrize("ours", [(), (JOB,)])
def test_3_4_names_another_job_that_runs_and_makes_none(ours):
    reason, remedy = refusal("3.4", jobs=(*ours, OTHER))
    assert "Another provisioning job of the enterprise application is running: other, template customappsso, running" in reason
    assert remedy.startswith("Look at that job in Entra. Stop or delete it")


def test_3_4_names_another_job_that_is_stopped_and_leaves_it():
    stopped = replace(OTHER, schedule_state="Disabled", quarantine_reason="why")
    finding, change = jobs(stopped)
    assert finding == Finding(
        "There is another provisioning job, which is stopped: other, template customappsso, stopped, in quarantine (why). "
        "This run does not change it."
    )
    assert change.request.line.startswith("POST ")
    assert jobs(stopped, JOB)[1:] == [Finding("The provisioning job exists.")]


def test_3_4_refuses_two_jobs_of_its_own_template():
    reason, remedy = refusal("3.4", jobs=(JOB, JOB))
    assert reason.endswith("2 SCIM jobs: job, template scim, stopped; job, template scim, stopped")
    assert remedy == "Delete the job that you do not need"


# On the sheet of the administrator


def test_3_4_on_the_sheet_says_where_to_begin():
    found = handover("3.4", ENTRA)
    assert (found.where, found.values) == ("Enterprise applications > the new application > Provisioning", ())
    assert found.clicks == ("Choose New configuration (once Get started, then the Provisioning Mode Automatic).",)
    assert handover("3.4", without("entra", **CONFIRMED)).state == "confirmed"
    assert step("3.4", ENTRA).kind == "check"


# Taking back


ENTRY = written("job", {"service_principal": PRINCIPAL_ID}, {"job": "job"}, step="3.4")


def test_3_4_is_taken_back_by_deleting_the_job():
    trial = Trial(UNDO, ENTRY)
    change = trial.change((OTHER, JOB), (), (), False)
    assert (change.on, change.diffs) == ("provisioning job", (Diff("provisioning job", "job", "scim", "deleted"),))
    assert change.request.line == f"DELETE /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job"
    assert change.undo == TAKES_BACK
    assert (trial.step.number, trial.step.title) == ("-1", "Delete the provisioning job (step 3.4)")
    others_work = f"others' work in the job {SHORT}"
    assert trial.reads == (f"provisioning jobs {SHORT}", RUNNING_JOBS, others_work, f"is deleted {SHORT}")
    assert trial.touches == (*EVERYTHING, RUNNING_JOBS, HELD)
    assert trial.step.body.takes_back == "job"


@pytest.mark.parametrize("found", [(), (OTHER,)])
def test_3_4_is_taken_back_when_the_job_is_gone(found):
    assert Trial(UNDO, ENTRY).sentences(found, (), (), False) == ["The job is gone."]


def test_3_4_goes_with_the_application():
    assert Trial(UNDO, ENTRY).sentences((JOB,), (), ("theirs",), True) == [f"{GOES} (left)"]
    assert Trial(UNDO, ENTRY, deleted={PRINCIPAL_ID}).sentences((JOB,), (), (), True) == [GOES]


@pytest.mark.parametrize("kind", ["schema", "credentials", "start"])
def test_3_4_is_not_taken_back_after_a_later_run_has_worked_in_it(kind):
    assert Trial(UNDO, ENTRY, others=(later(kind),)).sentences((JOB,), (), ("theirs",), False) == [f"{BY_LATER_RUN} (left)"]


def test_3_4_is_not_taken_back_after_others_have_worked_in_it():
    found = Trial(UNDO, ENTRY, others=(later("token"),)).sentences((JOB,), LIVE, ("it is theirs",), False)
    assert found == ["Left in place: it is theirs. (left)"]


def test_3_4_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change((JOB,), (), (), False).diffs
    assert Trial(UNDO, ENTRY).while_on((JOB,), LIVE, (), False) == planned


def test_3_4_in_doubt_is_looked_for_in_the_application():
    tenant = Tenant(provisioning_jobs_IN=(RUNNING, OTHER))
    assert UNDO.look(ENTRY, tenant) == (True, "The provisioning job is job (on), other (on).")
    assert UNDO.look(ENTRY, Tenant(provisioning_jobs_IN=(JOB,))) == (True, "The provisioning job is job (off).")
    assert UNDO.look(ENTRY, Tenant(provisioning_jobs_IN=())) == (False, "There is no provisioning job.")


def test_how_3_4_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("job", "the provisioning job", {"service_principal": str}, "job", 3)
