"""The provisioning job, literals in and changes out. Its start is in `test_start.py`.

3.4 Get started with automatic provisioning
4.1 Open provision on demand
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Diff, Finding
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import SynchronizationJob
from tests.builders import JOB, NOTHING_MADE, PRINCIPAL_ID, planned, refusal, waiting

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


# 4.1


def test_4_1_is_content_with_a_job():
    assert planned("4.1") == [Finding("The job is ready.")]


def test_4_1_waits_for_the_job():
    assert waiting("4.1", job=None) == ("3.4", "The provisioning job", ())


def test_4_1_refuses_a_job_in_quarantine():
    reason, remedy = refusal("4.1", job=replace(JOB, quarantine_reason="TooManyDeletes"))
    assert reason == "The provisioning job is in quarantine (TooManyDeletes)"
    assert "administrator" in remedy
