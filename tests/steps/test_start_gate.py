"""Step 4.3: while one condition is false, no request to start the job comes out. And what leads there, 4.1 and 4.2."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runbook_lib.census import Census
from runbook_lib.change import Change, Diff, Finding
from runbook_lib.errors import StepBlocked, StepWaits, VerificationFailed
from runbook_lib.http import Response
from runbook_lib.models import (
    AppRoleAssignment,
    Auth0User,
    Connection,
    EntraUser,
    SavedCredentials,
    ScimConfiguration,
    ScimMappingRow,
    ScimToken,
    ServicePrincipal,
    SynchronizationJob,
)
from runbook_lib.settings import TenantSettings
from runbook_lib.steps import section_4_testing as section_4
from runbook_lib.steps.credentials import tenant_url
from tests.steps.test_steps import URL, schema
from tests.test_settings import GOOD

SETTINGS = TenantSettings.from_parameters(GOOD)
USER_ID = "00000000-0000-4000-8000-0000000000aa"
PRINCIPAL_ID = "00000000-0000-4000-8000-0000000000bb"
JOB = SynchronizationJob("job", "scim", "Disabled", "Paused", None)
PRINCIPAL = ServicePrincipal(PRINCIPAL_ID, "app", "Acme SCIM", True, None, ())
USER = EntraUser(USER_ID, "adele@contoso.com", "Adele", "adele@contoso.com", True)
ACTIVE, EXTERNAL = ScimMappingRow("active", "blocked"), ScimMappingRow("externalId", "app_metadata.external_id")
SCIM = ScimConfiguration("con_1", "c", "externalId", (ACTIVE, EXTERNAL))
GUARD = json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 14})
SAVED = SavedCredentials(
    {"BaseAddress": tenant_url(URL), "SecretToken": "*", "SyncNotificationSettings": GUARD, "SyncAll": "false"}
)
TOKEN = ScimToken("tok_1", frozenset({"get:users", "patch:users", "delete:users"}), "2026-01-01", None, "2026-01-02")
ACCESS = AppRoleAssignment("1", USER_ID, "User", "Adele", "role")
OTHER = AppRoleAssignment("2", "group", "Group", "Staff", "role")


def options(**more):
    return Connection("con_1", "c", "Shown", "waad", {"client_id": "x", "userid_attribute": "sub", **more})


def profile(external_id=USER_ID, *, blocked=False, user_id="waad|1"):
    body = {"user_id": user_id, "app_metadata": {"external_id": external_id}}
    return Auth0User(user_id, "adele@contoso.com", blocked, frozenset({"c"}), body)


def right_schema(**changes):
    return schema(**{"flow": "Update,Delete", "source": "objectId", "precedence": 2, **changes})


READY = {
    "job": JOB,
    "principals": (PRINCIPAL,),
    "connection": options(),
    "scim": SCIM,
    "tokens": (TOKEN,),
    "saved": SAVED,
    "schema": right_schema(),
    "access": (ACCESS,),
    "assigned": (ACCESS, OTHER),
    "endpoint_url": URL,
    "profiles": (profile(),),
    "user": USER,
    "other_claim": "",
    "census": Census(2),
}


def gate(settings=SETTINGS, **changes):
    return list(section_4.turn_provisioning_on.function(*{**READY, **changes}.values(), settings))


def saved(**changes):
    return SavedCredentials({**SAVED.values, **changes})


def without_precedence_1(**changes):
    document = json.loads(json.dumps(right_schema(**changes).document))
    document["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"][0]["matchingPriority"] = 0
    return replace(right_schema(), document=document)


def with_two_rows(target):
    document = json.loads(json.dumps(right_schema().document))
    rows = document["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"]
    rows += [row for row in rows if row["targetAttributeName"] == target]
    return replace(right_schema(), document=document)


def test_the_job_is_started_when_everything_holds():
    found, change = gate(assigned=(ACCESS,))
    assert found == Finding("2 people are assigned, groups included.")
    diff = Diff("provisioning job", "Provisioning Status", "Off", "On")
    assert (change.on, change.diffs) == ("provisioning job", (diff,))
    path = f"/servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job"
    assert change.request.line == f"POST {path}/start"
    assert change.rehearsal.line == f"POST {path}/validateCredentials"
    assert change.rehearsal.body == {"useSavedCredentials": True}
    assert change.undo == {"kind": "start", "service_principal": PRINCIPAL_ID, "job": "job"}


def with_groups_mapped(**how):
    document = json.loads(json.dumps(right_schema().document))
    document["synchronizationRules"][0]["objectMappings"][0] |= how
    return replace(right_schema(), document=document)


@pytest.mark.parametrize(
    ("mapped", "assigned", "is_said"),
    [
        ({"enabled": True}, (ACCESS, OTHER), True),
        ({}, (ACCESS, OTHER), True),
        ({"enabled": False}, (ACCESS, OTHER), False),
        ({"enabled": True}, (ACCESS,), False),
    ],
)
def test_that_groups_are_sent_too_is_said_where_groups_are_assigned(mapped, assigned, is_said):
    *found, change = gate(schema=with_groups_mapped(**mapped), assigned=assigned)
    said = [one for one in found if "groups are sent as groups too" in one.text]
    assert (len(said), isinstance(change, Change)) == (int(is_said), True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"connection": replace(options(), strategy="oidc")}, "(0.1)"),
        ({"connection": options(userid_attribute="oid")}, "(1.2)"),
        ({"connection": replace(options(), options={"client_id": "x"})}, "(1.2)"),
        ({"connection": options(useCommonEndpoint=True)}, "(1.2)"),
        ({"connection": options(waad_common_endpoint=True)}, "(1.2)"),
        ({"connection": options(set_user_root_attributes="on_first_login")}, "(1.3)"),
        ({"scim": replace(SCIM, user_id_attribute="userName")}, "(1.4)"),
        ({"scim": replace(SCIM, mapping=(EXTERNAL,))}, "(1.5)"),
        ({"scim": replace(SCIM, mapping=(ScimMappingRow("active", "other"), EXTERNAL))}, "(1.5)"),
        ({"tokens": None}, "(2.3)"),
        ({"tokens": ()}, "(2.3)"),
        ({"tokens": (replace(TOKEN, last_used_at=None),)}, "(2.3)"),
        ({"tokens": (replace(TOKEN, scopes=TOKEN.scopes | {"post:users"}),)}, "(2.3)"),
        ({"principals": (PRINCIPAL, PRINCIPAL)}, "(3.2)"),
        ({"other_claim": "run x@y, until 12:00 UTC"}, "(3.2)"),
        ({"access": (), "assigned": ()}, "(3.3)"),
        ({"access": (ACCESS, replace(OTHER, principal_id="else"))}, "(3.3)"),
        ({"saved": saved(SecretToken="")}, "(3.6)"),
        ({"saved": saved(BaseAddress="https://elsewhere.example/scim/")}, "(3.6)"),
        ({"saved": saved(SyncNotificationSettings="{}")}, "(3.6)"),
        ({"saved": saved(SyncAll="true")}, "(3.6)"),
        ({"schema": right_schema(flow="Add,Update,Delete")}, "(3.7)"),
        ({"schema": right_schema(flow="Update")}, "(3.7)"),
        ({"schema": right_schema(source="mailNickname")}, "(3.9)"),
        ({"schema": with_two_rows("externalId")}, "(3.9)"),
        ({"schema": right_schema(precedence=0)}, "(3.11)"),
        ({"schema": right_schema(precedence=3)}, "(3.11)"),
        ({"schema": with_two_rows('emails[type eq "work"].value')}, "(3.11)"),
        ({"schema": without_precedence_1()}, "(3.11)"),
        ({"user": None}, "(4.2)"),
        ({"profiles": ()}, "(4.2)"),
        ({"profiles": (profile(), profile(user_id="waad|2"))}, "(4.2)"),
        ({"profiles": (profile(blocked=True),)}, "(4.2)"),
        ({"profiles": (profile("another"),)}, "(4.2)"),
        ({"profiles": (profile(None),)}, "(4.2)"),
    ],
)
def test_one_false_condition_is_enough_and_the_only_one_named(changes, words):
    with pytest.raises(StepWaits) as waits:
        gate(**changes)
    assert waits.value.for_step == "4.2"
    assert waits.value.planned == (Diff("provisioning job", "Provisioning Status", "Off", "On"),)
    assert waits.value.what.endswith(f"{words})")
    assert ";" not in waits.value.what
    assert waits.value.what.startswith("What must hold before starting (")


def test_all_false_conditions_are_named():
    with pytest.raises(StepWaits, match=r"\(1\.4\); .*\(4\.2\)"):
        gate(scim=replace(SCIM, user_id_attribute="userName"), user=None)


@pytest.mark.parametrize("unreadable", [None, {}])
def test_options_that_cannot_be_read_start_nothing(unreadable):
    with pytest.raises(StepWaits, match=r"\(0\.1\); "):
        gate(connection=replace(options(), options=unreadable))


def test_where_no_mapping_row_holds_the_external_id_the_profile_need_not():
    assert isinstance(gate(scim=replace(SCIM, mapping=(ACTIVE,)), profiles=(profile(None),))[-1], Change)


@pytest.mark.parametrize("missing", ["job", "schema", "scim"])
def test_it_waits_for_what_is_not_made_yet(missing):
    with pytest.raises(StepWaits) as waits:
        gate(**{missing: None})
    assert (waits.value.for_step, waits.value.what) == ("3.4", "The provisioning job")
    assert waits.value.planned == (Diff("provisioning job", "Provisioning Status", "Off", "On"),)


def test_it_waits_for_the_enterprise_application():
    with pytest.raises(StepWaits, match="provisioning job"):
        gate(principals=())


@pytest.mark.parametrize("state", ["Active", "Disabled"])
def test_a_job_in_quarantine_is_never_started(state):
    with pytest.raises(StepBlocked) as blocked:
        gate(job=replace(JOB, quarantine_reason="TooManyDeletes", schedule_state=state))
    assert blocked.value.reason == "The provisioning job is in quarantine (TooManyDeletes)"
    assert blocked.value.remedy == "See step 4.1"


def test_a_running_job_is_left_alone():
    assert gate(job=replace(JOB, schedule_state="Active"), census=None) == [Finding("Provisioning is on.")]


def test_turn_on_no_leaves_the_job():
    settings = SETTINGS.model_copy(update={"turn_on": "no"})
    assert gate(settings) == [Finding("turn_on is no: the job is left as it is.")]


def test_without_a_census_the_conditions_still_hold():
    assert len(gate(census=None, assigned=(ACCESS,))) == 1


@pytest.mark.parametrize(("limit", "is_started"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_limit_of_people_to_be_blocked(limit, is_started):
    settings = SETTINGS.model_copy(update={"blocked_users_limit": limit})
    census = Census(3, would_be_blocked=("Bea", "Cid"))
    if is_started:
        assert isinstance(gate(settings, census=census)[-1], Change)
        return
    with pytest.raises(StepBlocked) as blocked:
        gate(settings, census=census)
    assert blocked.value.reason == f"{census}; the limit is {limit} blocked"
    assert "blocked_users_limit" in blocked.value.remedy


def test_a_shared_mail_address_has_to_be_accepted():
    census = Census(3, sharing_mail=("office@contoso.com",))
    with pytest.raises(StepBlocked) as blocked:
        gate(census=census)
    assert blocked.value.reason == f"{census}; matching by mail may change the wrong user"
    assert "accept: [shared-mail-addresses]" in blocked.value.remedy
    accepted = SETTINGS.model_copy(update={"accept": ("shared-mail-addresses",)})
    assert isinstance(gate(accepted, census=census)[-1], Change)


# 4.1 and 4.2


def test_4_1_waits_for_a_job_refuses_quarantine_and_is_content_else():
    def ready(job):
        return list(section_4.ready_for_testing.function(job, SETTINGS))

    assert ready(JOB) == [Finding("The job is ready.")]
    with pytest.raises(StepWaits, match=r"^Looking ahead: The provisioning job is made by step 3\.4"):
        ready(None)
    with pytest.raises(StepBlocked, match=r"in quarantine \(why\).*administrator"):
        ready(replace(JOB, quarantine_reason="why"))


UNLINKED = {
    "profiles": (profile(None),),
    "user": USER,
    "groups": frozenset(),
    "access": (ACCESS,),
    "scim": SCIM,
    "principal": PRINCIPAL,
    "job": JOB,
    "schema": right_schema(),
}


def on_demand(**changes):
    return list(section_4.provision_on_demand.function(*{**UNLINKED, **changes}.values(), SETTINGS))


def test_4_2_provisions_the_one_user():
    [change] = on_demand()
    assert change.on == "user Adele"
    assert change.diffs == (Diff("user Adele", "external id in Auth0", "", "the Entra object id"),)
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/provisionOnDemand"
    assert change.request.body == {"parameters": [{"ruleId": "r", "subjects": [{"objectId": USER_ID, "objectTypeName": "User"}]}]}
    assert change.undo == {"kind": "on-demand"}


def test_4_2_notices_when_another_user_came_out():
    [change] = on_demand()
    assert change.confirm((profile(),)) == ()
    assert change.confirm((profile(user_id="waad|2"),)) == ("the user's id in Auth0",)
    assert change.confirm((profile(), profile(user_id="waad|2"))) == ("the user's id in Auth0",)
    assert change.confirm(()) == ("the user's id in Auth0",)


def test_4_2_is_done_when_the_profile_holds_the_object_id():
    words = "Adele is linked: Auth0 holds the Entra object id as external id."
    assert on_demand(profiles=(profile(),), job=None) == [Finding(words)]


@pytest.mark.parametrize("scim", [None, replace(SCIM, mapping=(ACTIVE,))])
def test_4_2_acts_where_nothing_shows_the_link(scim):
    assert isinstance(on_demand(scim=scim)[0], Change)


@pytest.mark.parametrize("missing", ["principal", "job", "schema"])
def test_4_2_waits_for_the_mappings(missing):
    with pytest.raises(StepWaits) as waits:
        on_demand(**{missing: None})
    assert (waits.value.for_step, waits.value.what) == ("3.12", "The provisioning job with its mappings")
    assert waits.value.planned == (Diff("user Adele", "external id in Auth0", "", "the Entra object id"),)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"user": None}, r"Entra knows no user adele@contoso\.com.*Set test_user"),
        ({"user": replace(USER, is_enabled=False)}, "Adele is disabled in Entra.*enabled user"),
        ({"access": ()}, "Adele is not assigned.*assigned user"),
        ({"access": (OTHER,), "groups": frozenset({"another"})}, "Adele is not assigned"),
        ({"profiles": ()}, r"Adele \(adele@contoso\.com\) has no user in Auth0.*sign in once"),
        ({"profiles": (), "user": replace(USER, mail=None)}, r"Adele \(no mail address\)"),
        ({"profiles": (profile(), profile())}, r"2 Auth0 users of this connection share adele@contoso\.com.*one profile"),
        ({"profiles": (profile(blocked=True),)}, "Adele is blocked in Auth0.*may sign in"),
    ],
)
def test_4_2_refuses_a_user_who_is_unfit(changes, words):
    with pytest.raises(StepBlocked, match=words):
        on_demand(**changes)


def test_4_2_takes_a_user_assigned_through_a_group():
    assert isinstance(on_demand(access=(OTHER,), groups=frozenset({"group"}))[0], Change)


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
