"""The start of the job, literals in and changes out: while one condition is false, no request to start it comes out.

4.3 Turn provisioning on
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Skipped
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.start import UNDO
from runbook_lib.tenant.forecast.values import Fate, Forecast
from runbook_lib.tenant.token_scopes import wanted_scopes
from tests.builders import (
    ACCESS,
    ADELE,
    GOOD,
    JOB,
    MAPPING,
    PRINCIPAL,
    PRINCIPAL_ID,
    RUNNING,
    SCIM,
    SCOPES,
    SETTINGS,
    STAFF,
    WORK_EMAIL,
    connection,
    planned,
    profile,
    refusal,
    right_schema,
    saved,
    schema,
    token,
    waiting,
    waits,
    with_rows,
)
from tests.steps.sheet import ENTRA, handover
from tests.steps.undone import BY_LATER_RUN, RUNNING_JOBS, SHORT, TAKES_BACK, Tenant, Trial, later, written

TURNED_ON = Diff("provisioning job", "Provisioning Status", "Off", "On")
ACTIVE, NAME, EXTERNAL, MAIL = MAPPING


def mapped(*rows):
    return replace(SCIM, mapping=rows)


def sub(**options):
    return connection(**{"userid_attribute": "sub", **options})


def test_4_3_starts_the_job_when_everything_holds():
    found, change = planned("4.3", assignments=(ACCESS,))
    assert found == Finding("0 people are assigned, including members of groups; forecast: no one is affected.")
    assert (change.on, change.diffs) == ("provisioning job", (TURNED_ON,))
    path = f"/servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job"
    assert change.request.line == f"POST {path}/start"
    assert change.rehearsal.line == f"POST {path}/validateCredentials"
    assert change.rehearsal.body == {"useSavedCredentials": True}
    assert change.undo == {"kind": "start", "service_principal": PRINCIPAL_ID, "job": "job"}


@pytest.mark.parametrize(
    ("mapped", "assigned", "said"),
    [
        (True, (ACCESS, STAFF), "1 assigned group is sent to Auth0 as groups too"),
        (False, (ACCESS, STAFF), "1 assigned group is not sent as groups: Entra sends only their members"),
        (True, (ACCESS,), ""),
        (False, (ACCESS,), ""),
    ],
)
def test_4_3_what_becomes_of_groups_is_said_where_groups_are_assigned(mapped, assigned, said):
    settings = TenantSettings.from_parameters({**GOOD, "groups_mapping": "on" if mapped else ""})
    used = (token("tok_1", "2026-06-02", wanted_scopes(settings)),)
    readings = {"schema": right_schema(sends_groups=mapped), "assignments": assigned, "scim_tokens": used}
    *found, change = planned("4.3", settings, **readings)
    assert any(one.text.startswith(said) for one in found) is True
    assert (any("assigned group" in one.text for one in found), isinstance(change, Change)) == (bool(said), True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"connection": replace(sub(), strategy="oidc")}, "(0.1)"),
        ({"connection": sub(userid_attribute="oid")}, "(1.2)"),
        ({"connection": connection()}, "(1.2)"),
        ({"connection": sub(useCommonEndpoint=True)}, "(1.2)"),
        ({"connection": sub(waad_common_endpoint=True)}, "(1.2)"),
        ({"connection": sub(set_user_root_attributes="on_first_login")}, "(1.3)"),
        ({"scim_configuration": replace(SCIM, user_id_attribute="userName")}, "(1.4)"),
        ({"scim_configuration": mapped(EXTERNAL, NAME, MAIL)}, "(1.5)"),
        ({"scim_configuration": mapped(ScimMappingRow("active", "other"), EXTERNAL, NAME, MAIL)}, "(1.5)"),
        ({"scim_configuration": mapped(ACTIVE, NAME, MAIL)}, "(1.5)"),
        ({"matching_attributes": (NAME.scim, MAIL.scim, "nickName")}, "(1.5)"),
        ({"jobs": (JOB, replace(JOB, template_id="other", schedule_state="Active"))}, "(3.4)"),
        ({"scim_tokens": None}, "(2.3)"),
        ({"scim_tokens": ()}, "(2.3)"),
        ({"scim_tokens": (token("tok_1"),)}, "(2.3)"),
        ({"scim_tokens": (token("tok_1", "2026-06-02", (*SCOPES, "post:users")),)}, "(2.3)"),
        ({"enterprise_applications": (PRINCIPAL, PRINCIPAL)}, "(3.2)"),
        ({"other_claim": "run x@y, until 12:00 UTC"}, "(3.2)"),
        ({"access": (), "assignments": ()}, "(3.3)"),
        ({"access": (ACCESS, replace(STAFF, principal_id="else"))}, "(3.3)"),
        ({"saved_credentials": saved(SecretToken="")}, "(3.6)"),
        ({"saved_credentials": saved(BaseAddress="https://elsewhere.example/scim/")}, "(3.6)"),
        ({"saved_credentials": saved(SyncNotificationSettings="{}")}, "(3.6)"),
        ({"saved_credentials": saved(SyncAll="true")}, "(3.6)"),
        ({"schema": right_schema(flow="Add,Update,Delete")}, "(3.7)"),
        ({"schema": right_schema(flow="Update")}, "(3.7)"),
        ({"schema": right_schema(sends_groups=True)}, "(3.12)"),
        ({"schema": right_schema(sends_groups=None)}, "(3.12)"),
        ({"schema": right_schema(source="mailNickname")}, "(3.9)"),
        ({"schema": with_rows(right_schema(), "externalId", {}, {})}, "(3.9)"),
        ({"schema": right_schema(precedence=0)}, "(3.11)"),
        ({"schema": right_schema(precedence=3)}, "(3.11)"),
        ({"schema": with_rows(right_schema(), WORK_EMAIL, {}, {})}, "(3.11)"),
        ({"schema": with_rows(right_schema(), "userName", {"matchingPriority": 0})}, "(3.11)"),
        ({"test_user": None}, "(4.2)"),
        ({"test_user_profiles": ()}, "(4.2)"),
        ({"test_user_profiles": (profile(), profile(user_id="waad|2"))}, "(4.2)"),
        ({"test_user_profiles": (profile(blocked=True),)}, "(4.2)"),
        ({"test_user_profiles": (profile("another"),)}, "(4.2)"),
        ({"test_user_profiles": (profile(None),)}, "(4.2)"),
    ],
)
def test_4_3_one_false_condition_is_enough_and_the_only_one_named(changes, words):
    for_step, what, diffs = waiting("4.3", **changes)
    assert (for_step, diffs) == ("4.2", (TURNED_ON,))
    assert what.endswith(words)
    assert ";" not in what
    assert what.startswith("The start waits for these conditions: ")


def test_4_3_all_false_conditions_are_named():
    what = waiting("4.3", scim_configuration=replace(SCIM, user_id_attribute="userName"), test_user=None).what
    assert what.index("(1.4); ") < what.index("(4.2)")


@pytest.mark.parametrize("unreadable", [None, {}])
def test_4_3_options_that_cannot_be_read_start_nothing(unreadable):
    assert "(0.1); " in waiting("4.3", connection=replace(sub(), options=unreadable)).what


@pytest.mark.parametrize(
    "readings", [{"job": None}, {"schema": None}, {"scim_configuration": None}, {"enterprise_applications": ()}]
)
def test_4_3_waits_for_what_is_not_made_yet(readings):
    assert waiting("4.3", **readings) == ("3.4", "The provisioning job", (TURNED_ON,))


@pytest.mark.parametrize("state", ["Active", "Disabled"])
def test_4_3_never_starts_a_job_in_quarantine(state):
    reason, remedy = refusal("4.3", job=replace(JOB, quarantine_reason="TooManyDeletes", schedule_state=state))
    assert (reason, remedy) == ("The provisioning job is in quarantine (TooManyDeletes)", "See step 4.1")


def test_4_3_a_running_job_is_left_alone():
    assert planned("4.3", job=RUNNING, forecast_to_tell=None) == [Finding("Provisioning is on.")]


def test_4_3_turn_on_no_leaves_the_job():
    settings = SETTINGS.model_copy(update={"turn_on": "no"})
    assert planned("4.3", settings) == [Skipped("turn_on is no: this run does not start or stop the job.")]


@pytest.mark.parametrize("turn_on", ["yes", "no"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": with_rows(right_schema(), "active")}, "the row of active tells Auth0 of a departure (3.12)"),
        ({"scim_configuration": None}, "SCIM is on and its user id is externalId (1.4); people can be found"),
        ({"saved_credentials": saved(SyncNotificationSettings="{}")}, "tenant URL, token and deletion guard are saved (3.6)"),
        ({"scim_tokens": ()}, "a token with exactly the three scopes has been used (2.3)"),
    ],
)
def test_4_3_what_a_running_job_no_longer_stands_on_is_told_and_the_job_left_running(turn_on, changes, words):
    settings = SETTINGS.model_copy(update={"turn_on": turn_on})
    found = waits("4.3", settings, job=RUNNING, forecast_to_tell=None, **changes)
    assert found.thing == ""
    assert words in found.came_back
    assert found.came_back.startswith("The job is running although these conditions are not met: ")
    assert found.planned[0].field == "conditions"
    assert "this tool does not stop it" in found.do_now


def test_4_3_what_the_next_cycle_of_a_running_job_does_is_told_and_holds_nothing():
    people = Forecast((replace(ADELE, fate=Fate.BLOCK),), assigned=1)
    on, counted, table, harm = planned("4.3", job=RUNNING, forecast_to_tell=people)
    assert (on, counted.text, table.title) == (
        Finding("Provisioning is on."),
        "1 people are assigned, including members of groups; forecast: 1 block.",
        "Forecast: what the next cycle does to each person",
    )
    assert harm == Finding(
        "In the next cycle, 1 person would be blocked in Auth0 and lose their sessions: Adele (adele@contoso.com)."
    )


def test_4_3_a_stopped_job_of_which_nothing_is_wanted_is_not_judged():
    settings = SETTINGS.model_copy(update={"turn_on": "no"})
    assert len(planned("4.3", settings, schema=with_rows(right_schema(), "active"), scim_configuration=None)) == 1


def test_4_3_pauses_the_job_again_where_create_came_on_meanwhile():
    *_said, change = planned("4.3")
    assert change.guard.reading.name == "schema"
    [pause] = change.guard.stop(schema())
    assert pause.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/pause"
    assert change.guard.lost(schema()) == ("Create is on in the attribute mappings",)
    assert change.guard.lost(right_schema()) == change.guard.lost(None) == ()


@pytest.mark.parametrize(("count", "is_told"), [(13, False), (14, True)])
def test_4_3_says_when_as_many_may_depart_as_the_deletion_guard_stops_at(count, is_told):
    people = tuple(replace(ADELE, object_id=str(number), fate=Fate.BLOCK) for number in range(count))
    found = planned("4.3", forecast_to_tell=Forecast(people, assigned=count))
    words = f"{count} people may be blocked or deleted, which reaches the deletion guard of 14"
    assert any(isinstance(entry, Finding) and entry.text.startswith(words) for entry in found) is is_told
    assert [entry.name for entry in found if isinstance(entry, Hazard)] == ["block"]


@pytest.mark.parametrize(("value", "is_told"), [("True", True), ("false", False)])
def test_4_3_says_when_people_who_go_out_of_scope_keep_their_access(value, is_told):
    found = planned("4.3", saved_credentials=saved(SkipOutOfScopeDeletions=value))
    assert any(isinstance(entry, Finding) and entry.text.startswith("SkipOutOfScope") for entry in found) is is_told


# On the sheet of the administrator


def test_4_3_on_the_sheet_says_when_to_start_it():
    found = handover("4.3", ENTRA)
    assert (found.where, found.values) == (
        "Enterprise applications > the new application > Provisioning > Overview",
        (("Provisioning Status", "On"),),
    )
    assert (len(found.clicks), found.link.startswith("https://entra.microsoft.com/")) == (4, True)


# Taking back

ENTRY = written("start", {"service_principal": PRINCIPAL_ID, "job": "job"}, step="4.3")


def test_4_3_is_taken_back_by_a_pause_that_waits_for_nothing():
    trial = Trial(UNDO, ENTRY)
    change = trial.change((replace(RUNNING, id="other"), RUNNING))
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/pause"
    assert (change.on, change.diffs) == ("provisioning job", (Diff("provisioning job", "Provisioning Status", "On", "Off"),))
    assert (change.stops, change.undo) == (True, TAKES_BACK)
    assert trial.step.title == "Stop provisioning (step 4.3)"
    assert (trial.reads, trial.touches) == (("the job job",), (f"provisioning jobs {SHORT}", RUNNING_JOBS))


@pytest.mark.parametrize("jobs", [(), (JOB,), (replace(RUNNING, id="other"),)])
def test_4_3_is_taken_back_when_the_job_does_not_run(jobs):
    assert Trial(UNDO, ENTRY).sentences(jobs) == ["The job is not running."]


def test_4_3_is_not_taken_back_after_a_later_run_has_started_the_job():
    assert Trial(UNDO, ENTRY, others=(later("start"),)).sentences((RUNNING,)) == [f"{BY_LATER_RUN} (left)"]
    assert Trial(UNDO, ENTRY, others=(later("job"),)).change((RUNNING,))


def test_4_3_looks_a_second_time_for_a_job_that_is_gone():
    [fact] = Trial(UNDO, ENTRY).step.body.reads
    tenant = Tenant(provisioning_jobs_IN=[(), (RUNNING,)])
    assert fact.look(tenant) == (RUNNING,)
    assert tenant.forgotten == [f"enterprise application {SHORT}", f"provisioning jobs {SHORT}"]
    tenant = Tenant(provisioning_jobs_IN=[(RUNNING,)])
    assert (fact.look(tenant), tenant.forgotten) == ((RUNNING,), [])


@pytest.mark.parametrize(
    ("jobs", "is_there", "words"),
    [
        ((RUNNING,), True, "The provisioning job is job (on)."),
        ((JOB,), False, "The provisioning job is job (off)."),
        ((replace(RUNNING, id="other"), JOB), False, "The provisioning job is other (on), job (off)."),
        ((), False, "There is no provisioning job."),
    ],
)
def test_4_3_in_doubt_is_looked_for(jobs, is_there, words):
    assert UNDO.look(ENTRY, Tenant(provisioning_jobs_IN=jobs)) == (is_there, words)


def test_how_4_3_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("start", "the start of the job", {"service_principal": str, "job": str}, "", 0)
