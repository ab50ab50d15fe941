"""Steps as data: what was read goes in, what is missing comes out. No HTTP."""

from __future__ import annotations

import json

import pytest

from runbook_lib.change import Change, Diff
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.facts import Memory
from runbook_lib.models import Connection, SavedCredentials, ScimConfiguration, ScimMappingRow, ScimToken, SynchronizationSchema
from runbook_lib.settings import TenantSettings
from runbook_lib.steps import section_1_auth0_settings as section_1
from runbook_lib.steps import section_2_endpoint_and_token as section_2
from runbook_lib.steps.credentials import credential_differences, notification_settings, tenant_url
from runbook_lib.steps.section_3_entra_provisioning import edited, mapping_edits
from runbook_lib.steps.verdict import parse_verdict
from tests.test_settings import GOOD

SETTINGS = TenantSettings.from_parameters(GOOD)
URL = "https://acme.auth0.com/scim/v2/connections/con_1/"


def connection(**options):
    return Connection("con_1", "c", "Shown", "waad", {"client_id": "x", "unknown": {"a": None}, **options})


def changes(step, *values):
    return [entry for entry in step.function(*values, SETTINGS) if isinstance(entry, Change)]


def test_1_2_writes_sub_where_the_key_is_absent_and_keeps_everything_else():
    [change] = changes(section_1.pairwise_subject, connection(), 3)
    assert change.diffs == (Diff("connection c", "User ID attribute type", "(absent: works as sub)", "sub"),)
    assert change.request.body == {
        "options": {"client_id": "x", "unknown": {"a": None}, "userid_attribute": "sub"},
        "display_name": "Shown",
    }
    assert change.hazard is None


def test_1_2_plans_nothing_when_it_is_done():
    assert changes(section_1.pairwise_subject, connection(userid_attribute="sub", useCommonEndpoint=False), 3) == []


@pytest.mark.parametrize(
    ("options", "hazard"),
    [
        ({"userid_attribute": "oid"}, "change-user-id-attribute"),
        ({"userid_attribute": "sub", "waad_common_endpoint": True}, "turn-common-endpoint-off"),
    ],
)
def test_1_2_marks_what_would_lock_people_out(options, hazard):
    [change] = changes(section_1.pairwise_subject, connection(**options), 3)
    assert change.hazard.name == hazard


@pytest.mark.parametrize("value", ["on_first_login", "never_on_login"])
def test_1_3_turns_sync_on_by_leaving_the_key_out(value):
    first, _ = changes(section_1.sync_and_scim_on, connection(set_user_root_attributes=value), None)
    assert "set_user_root_attributes" not in first.request.body["options"]


def test_1_4_sends_the_mapping_back_as_it_was_read():
    scim = ScimConfiguration("con_1", "c", "userName", (ScimMappingRow("a", "b"), ScimMappingRow("c", "d")))
    [change] = changes(section_1.user_id_from_external_id, scim)
    assert change.request.body == {
        "user_id_attribute": "externalId",
        "mapping": [{"scim": "a", "auth0": "b"}, {"scim": "c", "auth0": "d"}],
    }


def test_1_5_is_blocked_without_a_row_for_active():
    scim = ScimConfiguration("con_1", "c", "externalId", (ScimMappingRow("userName", "upn"),))
    with pytest.raises(StepBlocked, match="leavers"):
        list(section_1.review_mapping.function(scim, (), SETTINGS))


def token(name, used=None, scopes=("get:users", "patch:users", "delete:users")):
    return ScimToken(name, frozenset(scopes), "2026-01-01", None, used)


def test_2_2_deletes_only_its_own_unused_token():
    memory = Memory(own_token_ids=frozenset({"tok_own"}))
    values = (connection(), (token("tok_own"), token("tok_foreign")), SavedCredentials({}), None, memory, URL)
    assert [change.request.line for change in changes(section_2.generate_token, *values)] == [
        "DELETE /api/v2/connections/con_1/scim-configuration/tokens/tok_own",
        "POST /api/v2/connections/con_1/scim-configuration/tokens",
    ]


def test_2_3_waits_for_a_token_with_exactly_three_scopes():
    with pytest.raises(StepWaits):
        list(section_2.token_scopes.function((token("t", scopes=("get:users",)),), Memory(), SETTINGS))


@pytest.mark.parametrize("url", [URL, URL.rstrip("/"), f"{URL}?x=1", f"{URL}?aadOptscim062020", f"{URL}?x=1&aadOptscim062020"])
def test_the_flag_is_appended_once(url):
    assert tenant_url(url).count("aadOptscim062020") == 1
    assert tenant_url(tenant_url(url)) == tenant_url(url)


def test_a_guard_that_is_on_is_kept_and_one_that_is_off_turned_on():
    on = {"Enabled": True, "Recipients": "it@x", "DeleteThresholdEnabled": True, "DeleteThresholdValue": 14}
    off = {**on, "DeleteThresholdEnabled": False}
    assert notification_settings(SavedCredentials({"SyncNotificationSettings": json.dumps(on)}), SETTINGS) == on
    assert notification_settings(SavedCredentials({"SyncNotificationSettings": json.dumps(off)}), SETTINGS) == {
        **on,
        "DeleteThresholdValue": 20,
    }


def test_saved_credentials_that_are_right_differ_in_nothing():
    guard = json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 14})
    saved = SavedCredentials(
        {"BaseAddress": tenant_url(URL), "SecretToken": "*", "SyncNotificationSettings": guard, "SyncAll": "false"}
    )
    assert credential_differences(saved, URL, SETTINGS) == ()


def schema(flow="Add,Update,Delete", source="mailNickname", precedence=0, extra=()):
    def row(name, target, matching=0):
        value = {"expression": f"[{name}]", "name": name, "type": "Attribute", "parameters": [], "unknown": 1}
        return {"source": value, "targetAttributeName": target, "matchingPriority": matching, "flowType": "Always", "x": None}

    rows = [
        row("userPrincipalName", "userName", 1),
        row(source, "externalId"),
        row("mail", 'emails[type eq "work"].value', precedence),
        *extra,
    ]
    target = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    users = {"sourceObjectName": "User", "targetObjectName": target, "flowTypes": flow, "attributeMappings": rows, "name": "any"}
    groups = {**users, "sourceObjectName": "Group", "targetObjectName": "group", "attributeMappings": []}
    return SynchronizationSchema(
        {"synchronizationRules": [{"id": "r", "objectMappings": [groups, users]}], "unknown": {"kept": [1]}}
    )


def test_3_12_makes_the_three_edits_and_no_other():
    before = schema()
    assert [diff.field for diff in mapping_edits(before)] == [
        "Target Object Actions",
        "externalId",
        'emails[type eq "work"].value precedence',
    ]
    wanted = json.loads(json.dumps(before.document).replace("mailNickname", "objectId"))
    users = wanted["synchronizationRules"][0]["objectMappings"][1]
    users["flowTypes"], users["attributeMappings"][2]["matchingPriority"] = "Update,Delete", 2
    assert edited(before).document == wanted
    assert mapping_edits(edited(before)) == ()


def test_flow_types_are_read_leniently():
    assert mapping_edits(schema(flow="Update, Delete", source="objectId", precedence=2)) == ()


@pytest.mark.parametrize("flow", ["Add,Update", "Add", "Delete"])
def test_a_mapping_without_update_or_delete_is_blocked(flow):
    with pytest.raises(StepBlocked, match="Update and Delete"):
        mapping_edits(schema(flow=flow))


# Graph provisionondemand page (form A) and entra-docs cross-tenant-synchronization-configure-graph step 11 (form B)
@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ('{"result":"Success","details":null}', "{}", True),
        ('{"result":"Skipped","details":{"errorCode":"RedundantExport"}}', "{}", True),
        ('{"result":"Skipped","details":{"errorCode":"NotEffectivelyEntitled"}}', "{}", False),
        ('{"result":"Failure","details":{"errorCode":"X"}}', "{}", False),
        ("Microsoft.Identity.StatusInfo", '[{"provisioningSteps":[{"name":"EntryExportUpdate","status":"Success"}]}]', True),
        (
            "Microsoft.Identity.StatusInfo",
            '[{"provisioningSteps":[{"name":"EntrySynchronizationSkip","status":"Skipped"}]}]',
            False,
        ),
        ("nonsense", "nonsense", False),
    ],
)
def test_only_success_and_redundant_export_are_good_verdicts(key, value, good):
    assert parse_verdict({"key": key, "value": value}).is_good is good
