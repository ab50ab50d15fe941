"""Who is assigned to the enterprise application, literals in and changes out.

3.3 Assign the users and groups who currently have access
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Table
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import AppRole, AppRoleAssignment
from runbook_lib.tenant.forecast.values import Fate, Forecast
from tests.builders import (
    ACCESS,
    ADELE,
    GUID,
    NOTHING_MADE,
    PRINCIPAL,
    PRINCIPAL_ID,
    RUNNING,
    SETTINGS,
    SIGN_IN_APP,
    STAFF,
    USER_ID,
    Memory,
    changes,
    planned,
    refusal,
    said,
    schema,
    tables,
    waiting,
)

LATE = "Entra listed the new assignments with a delay; this run waited for them."


def someone(number):
    return AppRoleAssignment(str(number), f"00000000-0000-4000-8000-{number:012}", "User", f"P{number}", "role")


def test_3_3_plans_nothing_when_everyone_is_assigned_and_removes_nobody():
    assert planned("3.3", access=(ACCESS,), assignments=(ACCESS, STAFF)) == [
        Finding("1 users and 0 groups have access."),
        Table("Who has access", ("name", "type", "assigned"), (("Adele", "User", "yes"),)),
    ]


def test_3_3_assigns_those_who_are_missing_in_one_batch():
    [change] = changes("3.3", access=(ACCESS, replace(STAFF, principal_id=f"{GUID}01")), assignments=())
    assert (change.on, change.diffs) == (
        "assignments",
        (Diff("assignments", "Adele", "", "User"), Diff("assignments", "Staff", "", "Group")),
    )
    assert change.request.line == "POST /$batch"
    assert [item["url"] for item in change.request.body["requests"]] == [
        f"/servicePrincipals/{PRINCIPAL_ID}/appRoleAssignedTo"
    ] * 2
    assert [item["body"]["principalId"] for item in change.request.body["requests"]] == [USER_ID, f"{GUID}01"]
    assert (change.counts_late, change.listed_late) == (True, LATE)
    assert change.undo == {
        "kind": "assignments",
        "service_principal": PRINCIPAL_ID,
        "principals": [USER_ID, f"{GUID}01"],
    }


@pytest.mark.parametrize(("count", "sizes"), [(20, [20]), (21, [20, 1]), (45, [20, 20, 5])])
def test_3_3_sends_at_most_twenty_in_a_batch(count, sizes):
    found = changes("3.3", access=tuple(map(someone, range(count))), assignments=())
    assert [len(change.request.body["requests"]) for change in found] == sizes
    assert [len(change.diffs) for change in found] == sizes


def role(name, *, enabled=True, members=("User",)):
    return AppRole(f"id of {name}", name, enabled, frozenset(members))


@pytest.mark.parametrize(
    ("roles", "assigned"),
    [
        ((), "00000000-0000-0000-0000-000000000000"),
        ((role("msiam_access"), role("User")), "id of User"),
        ((role("User", enabled=False), role("Other")), "id of Other"),
        ((role("User", members=("Application",)), role("Other")), "id of Other"),
    ],
)
def test_3_3_assigns_the_application_s_own_role_for_users(roles, assigned):
    [change] = changes("3.3", assignments=(), enterprise_application=replace(PRINCIPAL, app_roles=roles))
    assert change.request.body["requests"][0]["body"]["appRoleId"] == assigned


def test_3_3_refuses_when_nobody_has_access():
    reason, remedy = refusal("3.3", access=())
    assert reason == "The sign-in application has no assignments, so there is no one to assign here"
    assert remedy == "Assign its users or groups, or list them in the settings (YAML, `assign`)"


def test_3_3_says_when_people_may_sign_in_without_being_assigned():
    found = said("3.3", oidc_service_principal=replace(SIGN_IN_APP, requires_assignment=False))
    assert found == [
        "1 users and 0 groups have access. Anyone in the tenant may sign in without an assignment. Entra does not "
        "provision people without an assignment."
    ]
    assert said("3.3", oidc_service_principal=None) == ["1 users and 0 groups have access."]


def test_3_3_waits_for_the_enterprise_application():
    assert waiting("3.3", **NOTHING_MADE) == (
        "3.2",
        "The enterprise application",
        (Diff("assignments", "Adele", "", "User"),),
    )


def test_3_3_shows_the_first_thousand():
    [table] = tables("3.3", access=tuple(map(someone, range(1_001))), assignments=(someone(0),))
    assert (table.title, len(table.rows)) == ("Who has access (first 1,000)", 1_000)
    assert table.rows[:2] == (("P0", "User", "yes"), ("P1", "User", "no"))


# What comes back


def batch_of(*items):
    return Response(200, {"responses": [{"id": str(n), "status": s, "body": b} for n, (s, b) in enumerate(items, 1)]})


TAKEN = (201, {"id": "assignment", "principalId": USER_ID})
BEFORE = (400, {"error": {"code": "Request_BadRequest", "message": "Permission being assigned already exists on the object"}})
REFUSED = (403, {"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}})


@pytest.mark.parametrize(("item", "made"), [(TAKEN, {f"assigned {USER_ID}": "assignment"}), (BEFORE, {})])
def test_3_3_remembers_whom_entra_took_and_waits_until_they_are_listed(item, made):
    memory = Memory()
    [change] = changes("3.3", assignments=(), memory=memory)
    assert change.receive(batch_of(item)) == made
    assert memory.assigned_now == {USER_ID}
    [awaited] = changes("3.3", assignments=(), memory=memory)
    assert (awaited.request, awaited.is_awaited, awaited.listed_late) == (None, True, LATE)
    assert awaited.diffs == (Diff("assignments", "Adele", "", "User"),)
    assert (change.confirm(()), memory.assigned_now) == ((), frozenset())


def test_3_3_shows_whom_graph_refused_in_its_own_words():
    [change] = changes("3.3", assignments=())
    [table] = change.evidence(batch_of(REFUSED))
    assert (table.title, table.columns) == ("What Graph refused", ("attempted", "what came back", "what to do now"))
    assert table.rows[0][0] == "Assigning Adele"
    assert "Insufficient privileges" in table.rows[0][1]
    assert change.evidence(batch_of(TAKEN)) == ()


# A job that runs already


def test_3_3_tells_what_the_next_cycle_of_a_running_job_does():
    harmed = Forecast((replace(ADELE, fate=Fate.BLOCK),), assigned=1)
    found = planned("3.3", assignments=(), job=RUNNING, forecast_when_asked=lambda: harmed)
    assert Finding("The job is running, so the next cycle applies this change.") in found
    assert [entry.name for entry in found if isinstance(entry, Hazard)] == ["block"]


@pytest.mark.parametrize(("found", "is_paused"), [(schema(), True), (None, False)])
def test_3_3_pauses_a_job_that_runs_by_other_mappings(found, is_paused):
    first = changes("3.3", assignments=(), job=RUNNING, schema=found)[0]
    assert first.request.line.endswith("/jobs/job/pause") is is_paused


def test_3_3_pauses_no_job_that_it_would_not_start_again():
    settings = SETTINGS.model_copy(update={"turn_on": "no"})
    reason, _remedy = refusal("3.3", settings, assignments=(), job=RUNNING, schema=schema())
    assert reason == (
        "The running job uses mappings that this run must change first. It would pause the job, and turn_on "
        "is no, so the job would stay paused"
    )


def test_3_3_does_not_look_at_a_forecast_while_no_job_runs():
    def never():
        raise AssertionError("was read")

    assert isinstance(planned("3.3", assignments=(), forecast_when_asked=never)[-1], Change)
