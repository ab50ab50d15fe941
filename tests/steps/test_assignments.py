"""Who is assigned to the enterprise application, literals in and changes out.

3.3 Assign the users and groups who currently have access
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbook_lib.core.errors import ApiError
from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Table
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import AppRole, AppRoleAssignment
from runbook_lib.steps.assignments import UNDO
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
from tests.steps.sheet import ENTRA, handover, without
from tests.steps.undone import EVERYTHING, GOES, LIVE, RUNNING_JOBS, SHORT, Tenant, Trial, written

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


# On the sheet of the administrator


def test_3_3_on_the_sheet_names_who_is_to_be_assigned():
    found = handover("3.3", ENTRA)
    assert found.where == "Enterprise applications > the new application > Users and groups > Add user/group"
    assert found.values == (("Test user", "adele@contoso.com"),)
    assert found.clicks[0].startswith(
        "Assign every user and group that has access to the sign-in application (step 3.1). Its page"
    )
    found = handover("3.3", without("entra", assign=["megan@contoso.com", "lee@contoso.com"]))
    assert found.values == (("User", "megan@contoso.com"), ("User", "lee@contoso.com"), ("Test user", "adele@contoso.com"))
    assert found.clicks[0] == "Assign these users:"


# Taking back

MADE = {f"assigned {USER_ID}": "1", "assigned p2": "2"}
ENTRY = written("assignments", {"service_principal": PRINCIPAL_ID, "principals": [USER_ID, "p2"]}, MADE, step="3.3")
OURS = (ACCESS, replace(STAFF, principal_id="p2"))
MORE = tuple(replace(someone(number), id=f"x{number}", principal_id="p2") for number in range(6))


def test_3_3_is_taken_back_by_the_ids_of_the_assignments():
    trial = Trial(UNDO, ENTRY)
    found = trial.says((*OURS, someone(3)), (), False, False)
    assert found[0] == Finding(
        "Before you start the job again, check the assignments: people without an assignment would be blocked in Auth0."
    )
    [change] = found[1:]
    assert change.diffs == (Diff("assignments", "Adele", "User", ""), Diff("assignments", "Staff", "Group", ""))
    assert (change.on, change.request.line) == ("assignments", "POST /$batch")
    requests = [(item["method"], item["url"].rpartition("/")[2]) for item in change.request.body["requests"]]
    assert requests == [("DELETE", "1"), ("DELETE", "2")]
    assert trial.step.title == "Remove the assignments (step 3.3)"
    assert trial.reads == (f"assignments {SHORT}", RUNNING_JOBS, f"is deleted {SHORT}", "may be listed late")
    assert trial.touches == (*EVERYTHING, RUNNING_JOBS)


def test_3_3_remembers_what_it_has_taken_away():
    trial = Trial(UNDO, ENTRY)
    trial.undo.record.unassigned = {"0"}
    change = trial.change(OURS, (), False, False)
    gone = Response(200, {"responses": [{"id": n, "status": 204, "body": None} for n in ("1", "2")]})
    assert change.receive(gone) == {}
    assert trial.undo.record.unassigned == {"0", "1", "2"}


def test_3_3_names_whom_graph_did_not_take_away():
    trial = Trial(UNDO, ENTRY)
    answer = Response(
        200, {"responses": [{"id": "1", "status": 204, "body": None}, {"id": "2", "status": REFUSED[0], "body": REFUSED[1]}]}
    )
    with pytest.raises(ApiError) as refused:
        trial.change(OURS, (), False, False).receive(answer)
    assert refused.value.attempted.startswith("Removing the assignment of Staff")
    assert trial.undo.record.unassigned == set()


def test_3_3_takes_at_most_twenty_away_in_a_batch():
    people = tuple(map(someone, range(45)))
    ids = {f"assigned {one.principal_id}": one.id for one in people}
    entry = written("assignments", {**ENTRY.undo, "principals": [one.principal_id for one in people]}, ids)
    found = [one for one in Trial(UNDO, entry).says(people, (), False, False) if isinstance(one, Change)]
    assert [[diff.field for diff in one.diffs] for one in found] == [
        [one.principal_name for one in part] for part in (people[:20], people[20:40], people[40:])
    ]
    assert [len(one.request.body["requests"]) for one in found] == [20, 20, 5]


def test_3_3_goes_with_the_application():
    assert Trial(UNDO, ENTRY).sentences((*OURS, *MORE), LIVE, True, True) == [f"{GOES} (left)"]


@pytest.mark.parametrize(("count", "names"), [(5, "P0, P1, P2, P3, P4"), (6, "P0, P1, P2, P3, P4, …")])
def test_3_3_leaves_assignments_that_it_is_not_known_to_have_made(count, names):
    found = Trial(UNDO, ENTRY).sentences(MORE[:count], LIVE, False, False)
    assert found == [
        f"Left in place: {count} assignments ({names}). The journal does not show that this run made them: someone else made "
        "them later, or the response with their ids was lost. (left)",
        "No assignment of this run is left.",
    ]


def test_3_3_is_taken_back_when_no_one_is_assigned_any_more():
    assert Trial(UNDO, ENTRY).sentences((someone(3),), LIVE, False, False) == ["The assignments are gone."]


def test_3_3_may_be_listed_late():
    trial = Trial(UNDO, ENTRY)
    late = "Entra does not list {} assignments of this run: they are gone, or Entra lists them with a delay. Undo again later to "
    late += "check."
    late += " (left)"
    assert trial.sentences((), (), False, True) == [late.format(2), "The assignments are gone."]
    assert late.format(1)[:-7] in [one.text for one in trial.says(OURS[:1], (), False, True) if isinstance(one, Finding)]
    trial.undo.record.unassigned = {"1"}
    assert trial.sentences((), (), False, True) == [late.format(1), "The assignments are gone."]
    trial.undo.record.unassigned = {"1", "2"}
    assert trial.sentences((), (), False, True) == ["The assignments are gone."]
    young = trial.step.body.reads[3].look
    tenant = Tenant()
    tenant.graph.service.date = datetime(2026, 11, 24, 10, 4, 59, tzinfo=UTC)
    assert young(tenant) is True
    tenant.graph.service.date = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
    assert young(tenant) is False


def test_3_3_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change(OURS, (), False, False).diffs
    assert Trial(UNDO, ENTRY).while_on(OURS, LIVE, False, False) == planned


@pytest.mark.parametrize(("assigned", "count"), [(OURS, 2), (OURS[:1], 1), ((someone(3),), 0)])
def test_3_3_in_doubt_is_looked_for_among_the_assigned(assigned, count):
    words = f"The request was to assign 2 users and groups; {count} of them are assigned."
    assert UNDO.look(ENTRY, Tenant(assignments_IN=assigned)) == (count > 0, words)


def test_how_3_3_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("assignments", "assignments", {"service_principal": str, "principals": list}, "", 3)
