"""What tests set up again and again, as literals: good settings, and one tenant as a step reads it.

`planned("3.9", schema=schema())` is what step 3.9 yields for these readings. Steps are found by the document's number, so that
no test depends on the module that a step is in.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from runbook_lib.core.errors import RunbookError, StepBlocked, StepWaits
from runbook_lib.core.secret import Secret
from runbook_lib.engine.planner import with_numbers
from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.step import Step, Yield
from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Table
from runbook_lib.procedures.handed_over import steps_for
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.tenant_run import Session
from runbook_lib.services.auth0.models import Auth0User, Connection, ScimConfiguration, ScimMappingRow, ScimToken, SeenUsers
from runbook_lib.services.entra.models import (
    Application,
    AppRoleAssignment,
    EntraUser,
    Organization,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.sign_in import Grant
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.forecast.values import Fate, Forecast, PersonForecast
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.token_memory import Memory

GOOD = {
    "name": "contoso",
    "auth0_domain": "acme.eu.auth0.com",
    "auth0_connection": "contoso-azure-ad",
    "auth0_client_id": "abc",
    "auth0_client_secret": "env:A",
    "entra_tenant": "contoso.onmicrosoft.com",
    "entra_client_id": "00000000-0000-4000-8000-000000000001",
    "entra_client_secret": "env:B",
    "cloud": "public",
    "scim_app_name": "Acme SCIM",
    "test_user": "adele@contoso.com",
    "token_lifetime_days": "365",
    "turn_on": "yes",
}
HOSTILE_DOMAINS = [
    "",
    "auth0.com",
    ".auth0.com",
    "manage.auth0.com",
    "evil.com",
    "evil.com/.auth0.com",
    "evil.com#.auth0.com",
    "evil.com?.auth0.com",
    "evil.com\\.auth0.com",
    "user@evil.com#t.auth0.com",
    "acme.auth0.com@evil.com",
    "acme.auth0.com:443",
    "acme.auth0.com.evil.com",
    "acme.auth0.com/",
    "https://acme.auth0.com",
    "acme.auth0.com.",
    "-acme.auth0.com",
    "acme-.auth0.com",
    "ACME.auth0.com",
    "acme..auth0.com",
    "a.b.c.auth0.com",
    "acme.notauth0.com",
    "acme.auth0.co",
    "acme.auth0.com%2eevil.com",
    "acme\u3002auth0.com",
    "\u0430cme.auth0.com",
    "acme.auth\uff10.com",
    "127.0.0.1",
    "[::1]",
    "localhost:443",
    "acme auth0.com",
    "acme.auth0.com\x00",
    "acme.\u202eauth0.com",
    f"{'a' * 64}.auth0.com",
    "login.acme.example",
    "acme.auth0.com\n",
    "acme.auth0.com evil.com",
    "acme.auth0.com,evil.com",
    "acme.auth0.com;.evil.com",
    "acme\u2024auth0.com",
    "acme.auth0.c\u043em",
    "acme.\u212a.auth0.com.evil",
    "acme_1.auth0.com",
    "*.auth0.com",
    "manage.eu.auth0.com",
    "auth0app.com",
    "acme.auth0app.com.evil.com",
    "http://acme.auth0.com",
    "//acme.auth0.com",
    "localhost",
    "2130706433",
]
SANDBOX = {
    "auth0_domain": "localhost:4001",
    "authority": "https://localhost:4002",
    "graph": "https://localhost:4003/v1.0",
    "control": "https://localhost:4004",
    "control_token": "the-control-token",
    "ca_bundle": "/somewhere/ca.pem",
    "tenants_file": "/somewhere/tenants.csv",
}
GUID = "00000000-0000-4000-8000-0000000000"  # and two digits

# One tenant as literals: everything that steps read, by the name of the reading --------------------------------------------

SETTINGS = TenantSettings.from_parameters(GOOD)
OPTIONS: dict[str, Any] = {
    "client_id": "x",
    "client_secret": "options-canary",
    "null": None,
    "deep": {"list": [1, None, {"é": False}]},
}
WORK_EMAIL = 'emails[type eq "work"].value'
MAPPING = (
    ScimMappingRow("active", "blocked"),
    ScimMappingRow("userName", "preferred_username"),
    ScimMappingRow("externalId", "app_metadata.external_id"),
    ScimMappingRow(WORK_EMAIL, "email"),
)
SCIM = ScimConfiguration("con_1", "c", "externalId", MAPPING)
SCOPES = ("get:users", "patch:users", "delete:users")
URL = "https://acme.auth0.com/scim/v2/connections/con_1/"
TENANT_URL = f"{URL}?aadOptscim062020"
SAVED = SavedCredentials(
    {
        "BaseAddress": TENANT_URL,
        "SecretToken": "*",
        "SyncNotificationSettings": json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 14}),
        "SyncAll": "false",
    }
)
USER_ID, PRINCIPAL_ID = f"{GUID}aa", f"{GUID}bb"
PRINCIPAL = ServicePrincipal(PRINCIPAL_ID, "app", "Acme SCIM", True, CLOUDS["public"].template_id, ())
SIGN_IN_APP = ServicePrincipal(f"{GUID}cc", "x", "Acme sign-in", True, None, ())
JOB = SynchronizationJob("job", "scim", "Disabled", "Paused", None)
RUNNING = replace(JOB, schedule_state="Active")
USER = EntraUser(USER_ID, "adele@contoso.com", "Adele", "adele@contoso.com", True)
ACCESS = AppRoleAssignment("1", USER_ID, "User", "Adele", "role")
STAFF = AppRoleAssignment("2", "group", "Group", "Staff", "role")
ADELE = PersonForecast("Adele", USER_ID, "adele@contoso.com", None, True, "direct", Fate.UPDATE, ("waad|1",), "mail")


def connection(**options: Any) -> Connection:
    """Return the connection with these options on top; without any, no step has touched it."""
    return Connection("con_1", "c", "Shown", "waad", {**OPTIONS, **options}, {"metadata": {"a": "b"}})


def token(name: str, used: str | None = None, scopes: Iterable[str] = SCOPES, created: str = "2026-06-01T12:00:00Z") -> ScimToken:
    return ScimToken(name, frozenset(scopes), created, None, used)


NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def doubt(number: str = "2.2", method: str = "POST", *, sent_at: datetime | None = NOW, before: tuple[str, ...] = ()) -> Doubt:
    """Return the doubt of a step's write whose answer never arrived."""
    return Doubt(number, f"{method} /somewhere", NOW, sent_at, before, OLDER_AZURE_AD.row(number).body.thing)


def saved(**values: str) -> SavedCredentials:
    return SavedCredentials({**SAVED.values, **values})


def profile(external_id: str | None = USER_ID, *, blocked: bool = False, user_id: str = "waad|1") -> Auth0User:
    body = {"user_id": user_id, "app_metadata": {"external_id": external_id}, "updated_at": "2026-06-02T08:00:00Z"}
    return Auth0User(user_id, "adele@contoso.com", blocked, frozenset({"c"}), body)


def _row(source: dict[str, Any], target: str, precedence: int) -> dict[str, Any]:
    return {"source": source, "targetAttributeName": target, "matchingPriority": precedence, "flowType": "Always", "x": None}


def attribute(name: str) -> dict[str, Any]:
    return {"expression": f"[{name}]", "name": name, "type": "Attribute", "parameters": [], "unknown": 1}


SWITCH = 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'


def schema(
    flow: str = "Add,Update,Delete", source: str = "mailNickname", precedence: int = 0, sends_groups: bool | None = False
) -> SynchronizationSchema:
    """Return the schema that a new job starts with; its three edits come as arguments."""
    switch = {"expression": SWITCH, "name": "Switch", "type": "Function", "parameters": []}
    rows = [
        _row(attribute("userPrincipalName"), "userName", 1),
        _row(attribute(source), "externalId", 0),
        _row(attribute("mail"), WORK_EMAIL, precedence),
        {"source": switch, "targetAttributeName": "active", "matchingPriority": 0, "flowType": "Always"},
    ]
    target = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    users = {"sourceObjectName": "User", "targetObjectName": target, "flowTypes": flow, "attributeMappings": rows, "name": "any"}
    groups = {**users, "sourceObjectName": "Group", "targetObjectName": "group", "attributeMappings": []}
    groups |= {"enabled": sends_groups}
    return SynchronizationSchema(
        {"synchronizationRules": [{"id": "r", "objectMappings": [groups, users]}], "unknown": {"kept": [1]}}
    )


def right_schema(**changes: Any) -> SynchronizationSchema:
    """Return the schema with the three edits made."""
    return schema(**{"flow": "Update,Delete", "source": "objectId", "precedence": 2, **changes})


def with_user_mapping(found: SynchronizationSchema, **values: Any) -> SynchronizationSchema:
    """Return a schema with these keys of its mapping of users replaced."""
    document = copy.deepcopy(dict(found.document))
    document["synchronizationRules"][0]["objectMappings"][1].update(values)
    return SynchronizationSchema(document)


def with_rows(found: SynchronizationSchema, target: str, *edits: Mapping[str, Any]) -> SynchronizationSchema:
    """Return a schema with one row of this target for each edit: none removes the row, two make two of it."""
    rows: list[dict[str, Any]] = list((found.user_mapping() or {})["attributeMappings"])
    place = next(number for number, row in enumerate(rows) if row["targetAttributeName"] == target)
    return with_user_mapping(
        found, attributeMappings=[*rows[:place], *({**rows[place], **edit} for edit in edits), *rows[place + 1 :]]
    )


DONE: dict[str, Any] = {  # every step is done but the last
    "auth0_grant": Grant(Secret("auth0-canary"), None),
    "entra_grant": Grant(Secret("entra-canary"), None),
    "organization": Organization(f"{GUID}dd", "Contoso", frozenset({"contoso.com"})),
    "connection": connection(userid_attribute="sub"),
    "connection_id": "con_1",
    "seen_users": SeenUsers(3),
    "scim_configuration": SCIM,
    "default_mapping": MAPPING,
    "matching_attributes": ("userName", WORK_EMAIL),
    "scim_tokens": (token("tok_1", "2026-06-02"),),
    "endpoint_url": URL,
    "cloud": CLOUDS["public"],
    "oidc_application": Application(f"{GUID}ee", "x", "Acme sign-in"),
    "oidc_service_principal": SIGN_IN_APP,
    "enterprise_applications": (PRINCIPAL,),
    "enterprise_application": PRINCIPAL,
    "other_claim": "",
    "access": (ACCESS,),
    "assignments": (ACCESS, STAFF),
    "jobs": (JOB,),
    "job": JOB,
    "saved_credentials": SAVED,
    "schema": right_schema(),
    "test_user": USER,
    "test_user_groups": frozenset(),
    "test_user_profiles": (profile(),),
    "evidence": Evidence((token("tok_1", "2026-06-02"),), (), 3, "app_metadata.external_id", (profile(),), "adele@contoso.com"),
    "unseen_tokens": None,
    "unseen_tokens_when_asked": lambda: None,
    "forecast_to_tell": Forecast(),
    "forecast_when_asked": lambda: Forecast((ADELE,)),
    "deleted_users_when_asked": lambda _object_ids: frozenset(),
}
NOTHING_MADE: dict[str, Any] = {  # what this procedure makes is not there yet
    "scim_configuration": None,
    "scim_tokens": None,
    "enterprise_applications": (),
    "enterprise_application": None,
    "assignments": (),
    "jobs": (),
    "job": None,
    "saved_credentials": SavedCredentials({}),
    "schema": None,
    "test_user_profiles": (profile(None),),
}


NUMBERS = OLDER_AZURE_AD.by_thing


def tenant_session(settings: TenantSettings, **named: Any) -> Session:
    """Open a tenant's session on the usual procedure; see `Session`."""
    return Session(settings, procedure=OLDER_AZURE_AD, **named)


# A step's plan -----------------------------------------------------------------------------------------------------------


def step(number: str, settings: TenantSettings = SETTINGS) -> Step:
    """Return a step by the document's number, as it is done with these settings."""
    return next(step for step in steps_for(OLDER_AZURE_AD, settings) if step.number == number)


def planned(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> list[Yield]:
    """Return what a step yields in a tenant where all is done but for these readings, by name. Nothing is sent."""
    body = step(number, settings).body
    names = [reading.name for reading in body.reads]
    if unknown := set(readings) - {*DONE, "memory"}:
        raise TypeError(f"there is no reading {unknown}")
    values = {"memory": Memory(), **DONE, **readings}
    is_running = values["job"] is not None and values["job"].is_running
    values["schema_in_use"] = values["schema"] if is_running else None
    values["scim_tokens_when_asked"] = lambda: values["scim_tokens"]
    try:
        return [with_numbers(entry, NUMBERS) for entry in body.function(*(values[name] for name in names), settings)]
    except RunbookError as error:
        for name, value in vars(error).items():
            setattr(error, name, with_numbers(value, NUMBERS) if isinstance(value, str | tuple) else value)
        raise


def changes(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> list[Change]:
    return [entry for entry in planned(number, settings, **readings) if isinstance(entry, Change)]


def hazards(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> list[Hazard]:
    """Return the hazards that a step yields, those on its changes included."""
    found = planned(number, settings, **readings)
    on_changes = [entry.hazard for entry in found if isinstance(entry, Change) and entry.hazard]
    return [entry for entry in found if isinstance(entry, Hazard)] + on_changes


def said(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> list[str]:
    """Return the sentences that a step reports."""
    return [entry.text for entry in planned(number, settings, **readings) if isinstance(entry, Finding)]


def tables(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> list[Table]:
    return [entry for entry in planned(number, settings, **readings) if isinstance(entry, Table)]


def refusal(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> tuple[str, str]:
    """Return reason and remedy of a step that blocks."""
    with pytest.raises(StepBlocked) as blocked:
        planned(number, settings, **readings)
    return blocked.value.reason, blocked.value.remedy


class Waiting(NamedTuple):
    """The step that makes what is missing, the missing thing in words, and what is planned all the same."""

    for_step: str
    what: str
    diffs: tuple[Diff, ...]


def waits(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> StepWaits:
    with pytest.raises(StepWaits) as caught:
        planned(number, settings, **readings)
    return caught.value


def waiting(number: str, settings: TenantSettings = SETTINGS, **readings: Any) -> Waiting:
    """Return what a step waits for."""
    found = waits(number, settings, **readings)
    return Waiting(
        OLDER_AZURE_AD.number_of(found.thing), found.what, tuple(entry for entry in found.planned if isinstance(entry, Diff))
    )
