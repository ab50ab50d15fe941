"""Null where a list, an object or a text is documented: read as absent, wherever it stands in an answer.

Every place of real answers is made null in turn. Only what nothing works without, an id or a name of a thing, is refused, and
then in words.
"""

from __future__ import annotations

import contextlib
import copy
import json

import pytest

from runbook_lib.core.errors import StepBlocked, StepWaits, TransportError
from runbook_lib.http.message import understood
from runbook_lib.services.auth0 import models as auth0_models
from runbook_lib.services.entra import models as entra_models
from runbook_lib.steps.attribute_mappings import edited, mapping_edits
from runbook_lib.steps.verdict import parse_verdict


def places(value, at=()):
    """Every place in a JSON value, as keys from the root; of long lists the first two items."""
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, item in inside:
        yield (*at, key)
        yield from places(item, (*at, key))


def nulled(value, place):
    return put(value, place, None)


def put(value, place, odd):
    made = copy.deepcopy(value)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return made


def everything(record):
    """Look at all that a model tells, its properties included."""
    for name in dir(type(record)):
        if isinstance(getattr(type(record), name), property):
            getattr(record, name)


NEEDED = {
    "Connection": {"id", "name", "strategy"},
    "ScimConfiguration": {"connection_id", "connection_name"},
    "ScimToken": {"token_id", "created_at"},
    "Auth0User": {"user_id"},
    "ScimLogEntry": set(),
    "Organization": {"id"},
    "Application": {"id", "appId"},
    "ServicePrincipal": {"id", "appId"},
    "AppRoleAssignment": {"id", "principalId", "principalType", "appRoleId"},
    "EntraUser": {"id", "userPrincipalName"},
    "SynchronizationJob": {"id", "templateId"},
    "SavedCredentials": {"value", "key"},
}
ANSWERS = {
    "Connection": {
        "id": "con_1", "name": "contoso", "display_name": "Contoso", "strategy": "waad",
        "options": {"client_id": "x", "tenant_domain": "contoso.example", "domain_aliases": ["contoso.example"],
                    "userid_attribute": "sub", "set_user_root_attributes": "on_each_login", "useCommonEndpoint": False},
    },
    "ScimConfiguration": {
        "connection_id": "con_1", "connection_name": "contoso", "user_id_attribute": "externalId",
        "mapping": [{"scim": "userName", "auth0": "username"}, {"scim": "externalId", "auth0": "app_metadata.external_id"}],
    },
    "ScimToken": {
        "token_id": "tok_1", "scopes": ["get:users"], "created_at": "2026-01-01T00:00:00Z",
        "valid_until": "2027-01-01T00:00:00Z", "last_used_at": "2026-01-02T00:00:00Z",
    },
    "Auth0User": {
        "user_id": "waad|1", "email": "a@contoso.example", "blocked": False, "app_metadata": {"external_id": "1"},
        "identities": [{"connection": "contoso", "provider": "waad", "user_id": "1"}],
    },
    "ScimLogEntry": {
        "date": "2026-01-01T00:00:00Z", "type": "sscim",
        "details": {"connection_id": "con_1", "request": {"method": "get", "path": "/Users", "query": {"filter": "x"}}},
    },
    "Organization": {"id": "1", "displayName": "Contoso", "verifiedDomains": [{"name": "contoso.example"}]},
    "Application": {"id": "1", "appId": "2", "displayName": "Contoso", "createdDateTime": "2026-01-01T00:00:00Z"},
    "ServicePrincipal": {
        "id": "1", "appId": "2", "displayName": "Contoso", "appRoleAssignmentRequired": True, "applicationTemplateId": "3",
        "notes": "ours", "appRoles": [{"id": "4", "displayName": "User", "isEnabled": True, "allowedMemberTypes": ["User"]}],
    },
    "AppRoleAssignment": {
        "id": "1", "principalId": "2", "principalType": "User", "principalDisplayName": "Adele", "appRoleId": "3",
    },
    "EntraUser": {
        "id": "1", "userPrincipalName": "adele@contoso.example", "displayName": "Adele", "mail": "adele@contoso.example",
        "accountEnabled": True,
    },
    "SynchronizationJob": {
        "id": "scim.1", "templateId": "scim", "schedule": {"state": "Active", "interval": "PT40M"},
        "status": {"code": "Quarantine", "quarantine": {"reason": "EncounteredQuarantineException"},
                   "lastExecution": {"state": "Failed"}, "synchronizedEntryCountByType": [{"key": "User", "value": 3}]},
    },
    "SavedCredentials": {"value": [{"key": "BaseAddress", "value": "https://x.example"}, {"key": "SecretToken", "value": "*"}]},
}  # fmt: skip


@pytest.mark.parametrize("kind", ANSWERS)
def test_null_is_read_as_absent_in_every_place_but_an_id(kind):
    model, answer, refused = getattr(auth0_models, kind, None) or getattr(entra_models, kind), ANSWERS[kind], set()
    everything(model.from_wire(answer))
    for place in places(answer):
        try:
            with understood(kind):
                everything(model.from_wire(nulled(answer, place)))
        except TransportError:
            refused |= {key for key in place if isinstance(key, str)}
    assert refused <= NEEDED[kind] | {"value"}, refused


SCHEMA = {
    "id": "scim.1", "version": "v", "directories": [{"name": "Azure AD", "objects": [{"name": "User", "attributes": []}]}],
    "synchronizationRules": [
        {
            "id": "r", "name": "USER", "priority": 1, "editable": True, "metadata": [{"key": "k", "value": "v"}],
            "objectMappings": [
                {
                    "enabled": True, "flowTypes": "Add,Update,Delete", "name": "Users", "metadata": [],
                    "sourceObjectName": "User", "targetObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                    "scope": {"groups": [{"name": "g", "clauses": [{"sourceOperandName": "department", "operatorName": "EQUALS",
                                                                    "targetOperand": {"values": ["Sales"]}}]}],
                              "inputFilterGroups": [], "categoryFilterGroups": []},
                    "attributeMappings": [
                        {"targetAttributeName": "externalId", "matchingPriority": 0, "flowType": "Always", "defaultValue": "",
                         "source": {"expression": "[mailNickname]", "name": "mailNickname", "type": "Attribute",
                                    "parameters": []}},
                        {"targetAttributeName": "userName", "matchingPriority": 1, "flowType": "Always",
                         "source": {"expression": "[userPrincipalName]", "name": "userPrincipalName", "type": "Attribute"}},
                    ],
                },
                {"enabled": True, "flowTypes": "Add,Update,Delete", "name": "Groups", "sourceObjectName": "Group",
                 "targetObjectName": "urn:ietf:params:scim:schemas:core:2.0:Group", "attributeMappings": [], "scope": None},
            ],
        },
        {"id": "e", "name": "EMPTY", "priority": 2, "editable": True, "metadata": [], "objectMappings": []},
    ],
}  # fmt: skip


@pytest.mark.parametrize("place", list(places(SCHEMA)), ids=lambda place: ".".join(map(str, place)))
def test_a_schema_with_a_null_is_read_edited_or_refused_in_words(place):
    schema = entra_models.SynchronizationSchema.from_wire(nulled(SCHEMA, place))
    everything(schema)
    schema.rows()
    with contextlib.suppress(StepBlocked, StepWaits):
        if mapping_edits(schema):
            everything(edited(schema))


@pytest.mark.parametrize("odd", [5, "x", True, ["x"], {"x": 1}], ids=repr)
def test_a_schema_of_another_form_is_refused_in_words_or_does_no_harm(odd):
    refused = 0
    for place in places(SCHEMA):
        try:
            with understood("the schema"):
                schema = entra_models.SynchronizationSchema.from_wire(put(SCHEMA, place, odd))
        except TransportError:
            refused += 1
            continue
        everything(schema)
        schema.rows()
        with contextlib.suppress(StepBlocked, StepWaits):
            if mapping_edits(schema):
                everything(edited(schema))
    assert refused > 9


VERDICTS = [
    {
        "key": json.dumps({"result": "Failure", "details": {"errorCode": "X", "errorMessage": "no"}}),
        "value": json.dumps([{"provisioningSteps": [{"name": "import", "status": "success", "description": "d", "details": {}}],
                              "statusInfo": {"status": "failure", "errorCode": "X", "reason": "no"}}]),
    },
    {
        "key": "Microsoft.Identity.Health.CPP.Common.DataContracts.SyncFabric.StatusInfo",
        "value": json.dumps([{"provisioningSteps": [{"name": "import", "status": "success", "description": "d"}],
                              "statusInfo": {"status": "failure", "errorCode": "X", "reason": "no"}}]),
    },
]  # fmt: skip


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("part", ["key", "value"])
def test_a_verdict_with_a_null_keeps_the_reason_that_is_left(verdict, part):
    if not verdict[part].startswith(("{", "[")):
        inners = [None]
    else:
        whole = json.loads(verdict[part])
        inners = [None, *(nulled(whole, place) for place in places(whole)), *([[None], []] if isinstance(whole, list) else [])]
    for inner in inners:
        for answer in ({**verdict, part: inner if inner is None else json.dumps(inner)}, {**verdict, part: json.dumps(inner)}):
            found = parse_verdict(answer)
            assert not found.is_good or not (found.code or found.message)
            assert all(isinstance(text, str) and text != "None" for step in found.steps for text in step)


ODD_VERDICTS = (
    *(None, {}, {"key": None, "value": None}, {"@odata.context": "x"}, "ok", [], [1], 5, True),
    *({"key": "x", "value": "y"}, {"key": 1, "value": 2}, {"key": '"a"', "value": "[1]"}, {"key": {}, "value": []}),
    {"key": '{"details": "x", "result": 5}', "value": '{"statusInfo": "x", "provisioningSteps": "abc"}'},
    {"key": "{}", "value": '{"provisioningSteps": [1, "a", {"details": "x"}, {"details": {"SkipReason": null}}]}'},
    {"value": '{"provisioningSteps": {"a": 1}, "statusInfo": []}'},
)


@pytest.mark.parametrize("body", ODD_VERDICTS)
def test_a_verdict_of_nothing_is_not_good(body):
    assert not parse_verdict(body).is_good


def test_a_verdict_whose_first_form_says_nothing_takes_the_second_forms_reason():
    verdict = {
        "key": json.dumps({"result": "Failure", "details": None}),
        "value": json.dumps({"provisioningSteps": None, "statusInfo": {"errorCode": "X", "reason": "no such user"}}),
    }
    found = parse_verdict(verdict)
    assert (found.result, found.code, found.message) == ("failure", "X", "no such user")
