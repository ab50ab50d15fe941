"""The engine really provisions: what a wrong setting does to customers, it does here."""

from __future__ import annotations

import copy

import pytest

from runbook_lib.sandbox.entra_engine.scim_calls import operations
from tests.journeys.test_journeys import scim_side, user_mapping


@pytest.fixture
def started(tenant, carry_out, entra):
    carry_out(tenant("fresh"))
    customer = entra("fresh")
    _, saved = scim_side(customer, "fresh")
    [job_id] = saved.jobs
    return customer, saved, job_id


def test_create_left_on_makes_second_users_once_the_token_allows_it(sandbox, started, control):
    customer, saved, job_id = started
    mapping = user_mapping(saved.schemas[job_id])
    mapping["flowTypes"] = "Add,Update,Delete"
    for row in mapping["attributeMappings"]:
        if row["targetAttributeName"].startswith("emails"):
            row["matchingPriority"] = 0
    for provisioning in sandbox.world.auth0.provisioning.values():
        for token in provisioning.tokens:
            token["scopes"].append("post:users")
    before = set(sandbox.world.auth0.users)
    control("POST", "/cycle", {"job_id": job_id})
    made = set(sandbox.world.auth0.users) - before
    assert made
    assert {user_id.removeprefix("waad|") for user_id in made} <= set(customer.users)


def test_a_wrong_token_puts_the_job_in_quarantine(started, control):
    _, saved, job_id = started
    saved.secrets["SecretToken"] = f"tok_{'x' * 16}.{'0' * 64}"
    control("POST", "/cycle", {"job_id": job_id})
    status = saved.jobs[job_id]["status"]
    assert (status["code"], status["quarantine"]["reason"]) == ("Quarantine", "EncounteredQuarantineException")


def test_too_many_departures_are_held_back(sandbox, started, control):
    customer, saved, job_id = started
    control("POST", "/cycle", {"job_id": job_id})
    saved.secrets["SyncNotificationSettings"] = '{"DeleteThresholdEnabled":true,"DeleteThresholdValue":2}'
    for user in list(customer.users.values())[:5]:
        user["accountEnabled"] = False
    users = copy.deepcopy(sandbox.world.auth0.users)
    control("POST", "/cycle", {"job_id": job_id})
    assert saved.jobs[job_id]["status"]["quarantine"]["reason"] == "TooManyDeletes"
    assert sandbox.world.auth0.users == users


def test_a_wrong_match_updates_the_wrong_user(sandbox, started, control):
    customer, _, job_id = started
    alex, lee = (next(u for u in customer.users.values() if u["displayName"] == name) for name in ("Christie Cline", "Lee Gu"))
    alex["mail"], lee["mail"] = lee["mail"], alex["mail"]
    alex["userPrincipalName"], lee["userPrincipalName"] = "nobody-1@x", "nobody-2@x"
    control("POST", "/cycle", {"job_id": job_id})
    wrong = next(u for u in sandbox.world.auth0.users.values() if (u.get("app_metadata") or {}).get("external_id") == alex["id"])
    assert wrong["family_name"] == "Cline"
    assert wrong["nickname"] == lee["mailNickname"]


# entra-docs, application-provisioning-config-problem-scim-compatibility: the two dialects of one update
def test_the_two_patch_dialects():
    now = {"active": True, "displayName": "a", "name.givenName": "b"}
    wanted = {
        "active": "False",
        "displayName": "c",
        "name.givenName": "d",
        "nickName": "e",
        'emails[type eq "work"].value': "f@x",
    }
    assert operations(now, wanted, is_compliant=False) == [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "displayName", "value": "c"},
        {"op": "Replace", "path": "name.givenName", "value": "d"},
        {"op": "Add", "path": "nickName", "value": "e"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "f@x"},
    ]
    assert operations(now, wanted, is_compliant=True) == [
        {"op": "add", "path": 'emails[type eq "work"].value', "value": "f@x"},
        {"op": "add", "path": "nickName", "value": "e"},
        {"op": "replace", "value": {"active": False, "displayName": "c", "name.givenName": "d"}},
    ]
