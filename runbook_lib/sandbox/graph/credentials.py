"""The provisioning service's saved secrets, and the test of a connection."""

from __future__ import annotations

import json
from typing import Any

from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import content, route
from runbook_lib.sandbox.graph.errors import Refused, bad
from runbook_lib.sandbox.graph.odata import METADATA
from runbook_lib.sandbox.graph.sync_door import READ, SYNC, TEMPLATES, WRITE, action, job_of, provisioning_of
from runbook_lib.sandbox.switches import Late
from runbook_lib.sandbox.world import EntraTenant, Provisioning, World

# The enum synchronizationSecret of the v1.0 metadata; a key in another casing is not a member.
SECRET_KEYS = frozenset(
    "UserName Password SecretToken AppKey BaseAddress ClientIdentifier ClientSecret SingleSignOnType Sandbox Url Domain "
    "ConsumerKey ConsumerSecret TokenKey TokenExpiration Oauth2AccessToken Oauth2AccessTokenCreationTime Oauth2RefreshToken "
    "SyncAll InstanceName Oauth2ClientId Oauth2ClientSecret CompanyId UpdateKeyOnSoftDelete SynchronizationSchedule "
    "SystemOfRecord SandboxName EnforceDomain SyncNotificationSettings SkipOutOfScopeDeletions Oauth2AuthorizationCode "
    "Oauth2RedirectUri ApplicationTemplateIdentifier Oauth2TokenExchangeUri Oauth2AuthorizationUri AuthenticationType Server "
    "PerformInboundEntitlementGrants HardDeletesEnabled SyncAgentCompatibilityKey SyncAgentADContainer ValidateDomain "
    "TestReferences ConnectionString".split()
)
# Unverified: which keys count as sensitive, but for SecretToken (terraform-provider-azuread, synchronization.go).
SENSITIVE = frozenset(
    "Password SecretToken AppKey ClientSecret ConsumerSecret TokenKey Oauth2AccessToken Oauth2RefreshToken Oauth2ClientSecret "
    "Oauth2AuthorizationCode ConnectionString".split()
)


@route("GET", f"{SYNC}/secrets", READ, query=(), only_own=True)
def get_secrets(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer what is saved; sensitive values read back as `*` (terraform-provider-azuread, synchronization.go).

    What was saved a moment ago may not show yet: the switch `secrets_list_after`.
    """
    found = [{"key": key, "value": value} for key, value in _listed(world, provisioning_of(tenant, call)).items()]
    return Answer(
        200, {"@odata.context": f"{METADATA}Collection(microsoft.graph.synchronizationSecretKeyStringValuePair)", "value": found}
    )


@route("PUT", f"{SYNC}/secrets", WRITE, query=(), only_own=True)
def put_secrets(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Save credentials, as sent: a `*` read earlier becomes the token.

    A value is replaced whole. SyncNotificationSettings must be a JSON object, `{}` too, and cannot be removed (msgraph-metadata
    issues 347 and 127). Keys that are not sent stay, or go as the switch `put_secrets` says; an empty text removes one
    (Terraform does so).
    """
    provisioning = provisioning_of(tenant, call)
    sent = _entries(content(call, ("value",), ("value",))["value"])
    if "SyncNotificationSettings" in sent and not _is_json_object(sent["SyncNotificationSettings"]):
        raise Refused(400, "UnknownError", json.dumps(_INVALID_SETTINGS))
    shown = _shown(provisioning) if provisioning.listed is None else provisioning.listed[0]
    provisioning.listed = (shown, Late(world.clock.timestamp()))
    kept = {**(provisioning.secrets if world.switches["put_secrets"] == "merge" else {}), **sent}
    provisioning.secrets = {key: value for key, value in kept.items() if value != ""}
    return Answer(204)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _shown(provisioning: Provisioning) -> dict[str, str]:
    return {key: "*" if key in SENSITIVE else value for key, value in provisioning.secrets.items()}


def _listed(world: World, provisioning: Provisioning) -> dict[str, str]:
    """Return what a listing shows: the last PUT, once it has arrived."""
    if provisioning.listed is not None:
        shown, late = provisioning.listed
        if not late.has_arrived(world.switches["secrets_list_after"], world.clock.timestamp(), "list"):
            return shown
        provisioning.listed = None
    return _shown(provisioning)


def _entries(found: Any) -> dict[str, str]:
    """Return key-value pairs. Raises `Refused`: 500 for a key in another casing (msgraph-beta-sdk-java issue 372)."""
    if not isinstance(found, list) or not all(isinstance(entry, dict) and set(entry) == {"key", "value"} for entry in found):
        raise bad("One or more properties are invalid.")
    for entry in found:
        if not isinstance(entry["key"], str):
            raise bad("One or more properties are invalid.")
        if entry["key"] not in SECRET_KEYS:
            raise Refused(500, "InternalError", f"Requested value '{entry['key']}' was not found.")
        if not isinstance(entry["value"], str):
            raise bad("One or more properties are invalid.")
    return {entry["key"]: entry["value"] for entry in found}


# Unverified: the wording inside; the code and that it is wrapped are reported (msgraph-metadata issue 347).
_INVALID_SETTINGS = {
    "Error": {"Code": "InvalidNotificationSettings", "Message": "The notification settings are not valid."},
}


def credentials_missing() -> Refused:
    """Return the refusal of what needs credentials. The code is Terraform's (on-demand test); Unverified: status and text."""
    return Refused(400, "CredentialsMissing", "Credentials are missing. Please provide admin credentials in order to proceed.")


def validate_credentials(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Test a connection for real. Unverified: status and code of a failure; only the 204 is documented."""
    with world.lock:
        provisioning = provisioning_of(tenant, call)
        job_id = job_of(tenant, call)["id"] if "job_id" in call.params else None
        wanted = content(call, ("applicationIdentifier", "templateId", "useSavedCredentials", "credentials"))
        saved = dict(provisioning.secrets) if wanted.get("useSavedCredentials") else _entries(wanted.get("credentials") or [])
        if wanted.get("templateId") is not None and wanted["templateId"] not in TEMPLATES:
            raise bad(f"Template '{wanted['templateId']}' was not found.")
    if not saved.get("BaseAddress") or not saved.get("SecretToken"):
        raise credentials_missing()
    check = engine.validate_credentials(world, tenant, call.params["id"], saved["BaseAddress"], saved["SecretToken"], job_id)
    if not check.ok:
        raise Refused(400, check.code, check.message)
    return Answer(204)


action("validateCredentials", holds_the_world=False)(validate_credentials)
action("validateCredentials", holds_the_world=False, below=f"{SYNC}/jobs")(validate_credentials)
