"""One user provisioned on demand, literals in and changes out.

4.1 Open provision on demand
4.2 Provision one user on demand
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbook_lib.core.errors import StepBlocked, VerificationFailed
from runbook_lib.engine.values import Change, Diff, Finding, Table
from runbook_lib.http.message import Response
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.test_user import UNDO
from runbook_lib.tenant.forecast.values import Fate, FieldChange, Forecast
from tests.builders import (
    ACCESS,
    ADELE,
    GOOD,
    JOB,
    MAPPING,
    PRINCIPAL_ID,
    SCIM,
    SETTINGS,
    STAFF,
    USER,
    USER_ID,
    Memory,
    planned,
    profile,
    refusal,
    waiting,
)
from tests.steps.sheet import AUTH0_SENT, ENTRA, handover
from tests.steps.undone import Trial, written

UNLINKED = {"test_user_profiles": (profile(None),), "assignments": ()}


# 4.1


def test_4_1_is_content_with_a_job():
    assert planned("4.1") == [Finding("The job is ready.")]


def test_4_1_waits_for_the_job():
    assert waiting("4.1", job=None) == ("3.4", "The provisioning job", ())


def test_4_1_refuses_a_job_in_quarantine():
    reason, remedy = refusal("4.1", job=replace(JOB, quarantine_reason="TooManyDeletes"))
    assert reason == "The provisioning job is in quarantine (TooManyDeletes)"
    assert "administrator" in remedy


# 4.2


def on_demand(settings=SETTINGS, **readings):
    """Return what step 4.2 yields for a test user who is not linked yet."""
    return planned("4.2", settings, **{**UNLINKED, **readings})


def test_4_2_provisions_the_one_user():
    [change] = on_demand()
    assert change.on == "user Adele"
    assert change.diffs == (Diff("user Adele", "external id in Auth0", "", "the Entra object id"),)
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/provisionOnDemand"
    assert change.request.body == {"parameters": [{"ruleId": "r", "subjects": [{"objectId": USER_ID, "objectTypeName": "User"}]}]}
    assert change.undo == {"kind": "on-demand"}


def test_4_2_knows_when_the_test_user_was_assigned_whoever_did_it():
    older, latest = replace(ACCESS, created_at="2026-01-05T09:00:00.1234567Z"), replace(ACCESS, created_at="2026-01-05T09:07:00Z")
    other = replace(STAFF, created_at="2026-01-05T10:00:00Z")
    since = [on_demand(assignments=found)[0].patience.since for found in [(latest, older, other), (ACCESS,), (other,)]]
    assert since == [datetime(2026, 1, 5, 9, 7, tzinfo=UTC), None, None]
    assert on_demand(assignments=(other,), test_user_groups=frozenset({"group"}))[0].patience.since == datetime(
        2026, 1, 5, 10, tzinfo=UTC
    )


def test_4_2_notices_when_another_user_came_out():
    [change] = on_demand()
    assert change.confirm((profile(),)) == ()
    assert change.confirm((profile(user_id="waad|2"),)) == ("the user's id in Auth0",)
    assert change.confirm((profile(), profile(user_id="waad|2"))) == ("the user's id in Auth0",)
    assert change.confirm(()) == ("the user's id in Auth0",)


def test_4_2_is_done_when_the_profile_holds_the_object_id():
    words = "Adele is linked: Auth0 holds the Entra object id as the external id."
    assert on_demand(test_user_profiles=(profile(),), job=None) == [Finding(words)]


@pytest.mark.parametrize("scim", [None, replace(SCIM, mapping=MAPPING[:1])])
def test_4_2_acts_where_nothing_shows_the_link(scim):
    assert isinstance(on_demand(scim_configuration=scim)[0], Change)


@pytest.mark.parametrize("missing", ["enterprise_application", "job", "schema"])
def test_4_2_waits_for_the_mappings(missing):
    diff = Diff("user Adele", "external id in Auth0", "", "the Entra object id")
    found = waiting("4.2", **UNLINKED, **{missing: None})
    assert found == ("3.12", "The provisioning job with its mappings", (diff,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"test_user": None}, r"Entra has no user adele@contoso\.com.*Set test_user"),
        ({"test_user": replace(USER, is_enabled=False)}, "Adele is disabled in Entra.*account is enabled"),
        ({"access": ()}, "Adele is not assigned.*assigned user"),
        ({"access": (STAFF,), "test_user_groups": frozenset({"another"})}, "Adele is not assigned"),
        ({"test_user_profiles": ()}, r"Adele \(adele@contoso\.com, adele@contoso\.com\) has no Auth0 user.*sign in once"),
        ({"test_user_profiles": (), "test_user": replace(USER, mail=None)}, r"Adele \(adele@contoso\.com, no mail address\)"),
        (
            {"test_user_profiles": (profile(), profile())},
            r"2 Auth0 users of this connection are Adele's: waad\|1.*one Auth0 user",
        ),
        ({"test_user_profiles": (profile(blocked=True),)}, "Adele is blocked in Auth0.*may sign in"),
    ],
)
def test_4_2_refuses_a_user_who_is_unfit(changes, words):
    with pytest.raises(StepBlocked, match=words):
        on_demand(**changes)


OWN = FieldChange("app_metadata.title", "owner", "Engineer", owned=True)


@pytest.mark.parametrize(
    ("person", "words"),
    [
        (
            replace(ADELE, fate=Fate.SOMEONE_ELSES_USER, other_people=("Bea",)),
            "With provision on demand, 1 person would be written into .* belongs to Bea",
        ),
        (replace(ADELE, fate=Fate.BLOCK), "With provision on demand, 1 person would be blocked"),
        (replace(ADELE, changes=(OWN,)), r"With provision on demand, 1 person would lose profile values .*app_metadata\.title"),
        (replace(ADELE, fate=Fate.CANNOT_TELL, reason="why"), "1 person has an outcome that cannot be predicted: .*why"),
        (
            replace(ADELE, fate=Fate.TWO_USERS, auth0_users=("waad|1", "waad|2")),
            r"several Auth0 users for Adele: waad\|1, waad\|2",
        ),
        (replace(ADELE, fate=Fate.NO_USER), r"Entra would not find waad\|1 for Adele: .*mail address \(none\)"),
        (replace(ADELE, auth0_users=("waad|2",)), r"would update waad\|2 instead of waad\|1"),
        (replace(ADELE, object_id="another"), r"The forecast does not cover the test user of waad\|1"),
    ],
)
def test_4_2_refuses_a_user_whom_it_would_harm_or_not_find(person, words):
    with pytest.raises(StepBlocked, match=words) as blocked:
        on_demand(forecast_when_asked=lambda: Forecast((person,)))
    assert "et test_user to another person" in blocked.value.remedy


def test_4_2_takes_what_a_person_accepted_for_one():
    asked = {"forecast_when_asked": lambda: Forecast((replace(ADELE, changes=(OWN,)),))}
    accepting = TenantSettings.from_parameters({**GOOD, "accepted": [{"hazard": "values-written-over", "count": 1}]})
    assert isinstance(on_demand(accepting, **asked)[0], Change)
    refusing = TenantSettings.from_parameters({**GOOD, "accepted": [{"hazard": "values-written-over", "count": 0}]})
    with pytest.raises(StepBlocked):
        on_demand(refusing, **asked)


@pytest.mark.parametrize(
    ("person", "word"),
    [
        (replace(ADELE, changes=(OWN,)), "values-written-over"),
        (replace(ADELE, fate=Fate.CANNOT_TELL), "cannot-tell"),
    ],
)
def test_4_2_takes_a_user_whose_loss_is_accepted(person, word):
    accepting = SETTINGS.model_copy(update={"accept": (word,)})
    [change] = on_demand(accepting, forecast_when_asked=lambda: Forecast((person,)))
    assert isinstance(change, Change)


def test_4_2_takes_a_user_assigned_through_a_group():
    assert isinstance(on_demand(access=(STAFF,), test_user_groups=frozenset({"group"}))[0], Change)


def test_4_2_judges_the_answer():
    [change] = on_demand()
    assert change.receive(Response(200, {"key": '{"result":"Success"}', "value": "{}"})) == {}
    body = {"key": json.dumps({"result": "Failure", "details": {"errorCode": "X", "errorMessage": "why"}}), "value": "{}"}
    with pytest.raises(VerificationFailed) as failed:
        change.receive(Response(200, body))
    assert failed.value.differences == ("failure X: why",)
    assert "the test user after provision on demand" in str(failed.value)
    body = {"key": json.dumps({"result": "Skipped", "details": {"errorCode": "ActionNoMatch"}}), "value": "{}"}
    with pytest.raises(VerificationFailed, match="not in Auth0 and creating is off"):
        change.receive(Response(200, body))


def skipped(**standing):
    details = {"SkipReason": "NotEffectivelyEntitled", "IsActive": "True", "IsInProvisioningScope": "True", **standing}
    step = {"name": "EntrySynchronizationSkip", "status": "Skipped", "description": "why", "details": details}
    key = {"result": "Skipped", "details": {"errorCode": "NotEffectivelyEntitled", "errorMessage": "why"}}
    return Response(200, {"key": json.dumps(key), "value": json.dumps([{"provisioningSteps": [step]}])})


@pytest.mark.parametrize(
    ("standing", "is_waited_for", "code"),
    [
        ({"Assigned to the application": "False"}, True, "RB-503"),
        ({"IsInProvisioningScope": "False"}, False, "RB-504"),
        ({"IsInProvisioningScope": False}, False, "RB-504"),
        ({"IsActive": "False"}, False, "RB-512"),
    ],
)
def test_4_2_waits_for_an_assignment_and_for_nothing_else_that_a_skip_names(standing, is_waited_for, code):
    answer = skipped(**standing)
    [change] = on_demand()
    assert change.patience.is_not_yet(answer) is is_waited_for
    with pytest.raises(VerificationFailed) as failed:
        change.receive(answer)
    assert failed.value.do_now.endswith(f"(see: {code})")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("SystemForCrossDomainIdentityManagementInvalidCredentials", "why"),
        ("SystemForCrossDomainIdentityManagementServiceInvalidCredential", ""),
        ("401", ""),
        ("WebException", "The remote server returned an error: (401) Unauthorized."),
    ],
)
def test_4_2_is_sent_once_more_for_a_refused_token_and_then_says_so(code, message):
    key = {"result": "Failure", "details": {"errorCode": code, "errorMessage": message}}
    answer, [change] = Response(200, {"key": json.dumps(key), "value": "[]"}), on_demand()
    assert (change.patience.is_once_more(answer), change.patience.is_not_yet(answer)) == (True, False)
    with pytest.raises(VerificationFailed) as failed:
        change.receive(answer)
    assert failed.value.do_now.endswith("(see: RB-505)")


@pytest.mark.parametrize("answer", [skipped(), Response(200, {}), Response(200, {"key": '{"result":"Success"}', "value": "{}"})])
def test_4_2_is_not_sent_again_for_another_answer(answer):
    [change] = on_demand()
    assert change.patience.is_once_more(answer) is False


# Graph provisionondemand page (form A) and entra-docs cross-tenant-synchronization-configure-graph step 11 (form B)
GOOD_VERDICTS = [
    ('{"result":"Success","details":null}', "{}"),
    ('{"result":"Skipped","details":{"errorCode":"RedundantExport"}}', "{}"),
    ("Microsoft.Identity.StatusInfo", '[{"provisioningSteps":[{"name":"EntryExportUpdate","status":"Success"}]}]'),
]
BAD_VERDICTS = [
    ('{"result":"Skipped","details":{"errorCode":"NotEffectivelyEntitled"}}', "{}"),
    ('{"result":"Failure","details":{"errorCode":"X"}}', "{}"),
    ("Microsoft.Identity.StatusInfo", '[{"provisioningSteps":[{"name":"EntrySynchronizationSkip","status":"Skipped"}]}]'),
    ("nonsense", "nonsense"),
]


@pytest.mark.parametrize(("key", "value"), GOOD_VERDICTS)
def test_4_2_takes_success_and_a_redundant_export_for_good(key, value):
    [change] = on_demand()
    assert change.receive(Response(200, {"key": key, "value": value})) == {}


@pytest.mark.parametrize(("key", "value"), BAD_VERDICTS)
def test_4_2_takes_nothing_else_for_good(key, value):
    [change] = on_demand()
    with pytest.raises(VerificationFailed):
        change.receive(Response(200, {"key": key, "value": value}))


def test_4_2_shows_what_entra_did_step_by_step():
    [change] = on_demand()
    steps = [{"name": "EntryImport", "status": "Success", "description": "found"}]
    answer = Response(200, {"key": "x", "value": json.dumps([{"provisioningSteps": steps}])})
    rows = (("EntryImport", "Success", "found"),)
    assert change.evidence(answer) == (Table("What Entra did, step by step", ("step", "status", "details"), rows),)
    assert change.evidence(Response(200, {})) == ()


def test_4_2_refuses_a_user_who_is_not_in_the_scope_of_the_job():
    outside = replace(ADELE, in_scope=False, scope_reason="the filter leaves them out")
    with pytest.raises(StepBlocked, match="Entra would skip Adele, who is outside the scope of the job: the filter leaves"):
        on_demand(forecast_when_asked=lambda: Forecast((outside,)))


# Without a sign-in to Auth0


def test_4_2_without_auth0_takes_the_verdict_of_entra_once():
    memory = Memory(tested_ids=frozenset({"earlier"}))
    assigned = replace(ACCESS, created_at="2026-01-05T09:07:00Z")
    finding, change = planned("4.2", AUTH0_SENT, memory=memory, assignments=(assigned,))
    assert finding == Finding("This run cannot see whether the person kept their user id in Auth0.")
    assert (change.on, change.diffs) == ("user Adele", (Diff("user Adele", "provisioned on demand", "", "updated in Auth0"),))
    assert change.request == on_demand()[0].request
    assert (change.undo, change.confirm) == ({"kind": "on-demand"}, None)
    assert change.patience == on_demand(assignments=(assigned,))[0].patience
    answer = Response(200, {"key": '{"result":"Success"}', "value": "{}"})
    assert change.evidence is not None
    assert change.evidence(answer) == ()
    assert change.receive(answer) == {"tested": USER_ID}
    assert memory.tested_ids == {"earlier", USER_ID}


@pytest.mark.parametrize("missing", ["enterprise_application", "job", "schema"])
def test_4_2_without_auth0_waits_for_the_mappings(missing):
    diff = Diff("user Adele", "provisioned on demand", "", "updated in Auth0")
    found = waiting("4.2", AUTH0_SENT, **{missing: None})
    assert found == ("3.12", "The provisioning job with its mappings", (diff,))


def test_4_2_without_auth0_refuses_a_test_user_whom_entra_does_not_know():
    reason, _ = refusal("4.2", AUTH0_SENT, test_user=None)
    assert reason == "Entra has no user adele@contoso.com"


# On the sheet of the administrator


def test_4_1_and_4_2_on_the_sheet_name_the_test_user():
    found = handover("4.1", ENTRA)
    assert (found.where, found.values) == ("Enterprise applications > the new application > Manage > Provisioning", ())
    assert found.clicks == ("Do not start provisioning yet.", "Open Provision on demand.")
    found = handover("4.2", ENTRA)
    assert found.where == "Enterprise applications > the new application > Provisioning > Provision on demand"
    assert found.values == (("User", "adele@contoso.com"),)


# Taking back


def test_4_2_cannot_be_taken_back():
    trial = Trial(UNDO, written("on-demand", step="4.2"))
    words = "An undo cannot remove what provisioning wrote into the test user's profile, including the external id."
    assert trial.says() == [Finding(words, is_left=True)]
    assert (trial.step.number, trial.step.title) == ("-1", "Keep the test user as provisioned (step 4.2)")
    assert (trial.reads, trial.touches, trial.step.kind) == ((), (), "note")
    assert (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made) == ("on-demand", "provisioning of the test user", {}, "")
