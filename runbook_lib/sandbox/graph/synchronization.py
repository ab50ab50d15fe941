"""The provisioning service's routes: templates, jobs, schema, secrets, on demand, start and pause, provisioning log."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.applications import service_principal_of
from runbook_lib.sandbox.graph.door import (
    READ_DIRECTORY,
    READ_SYNCHRONIZATION,
    WRITE_SYNCHRONIZATION,
    TenantHandler,
    content,
    route,
    visible,
)
from runbook_lib.sandbox.graph.errors import Refused, bad, no_patch_of_schema, not_found, not_simulated, throttled
from runbook_lib.sandbox.graph.kinds import JOB, PROVISIONING_RECORD, TEMPLATE
from runbook_lib.sandbox.graph.odata import LISTING, METADATA, listing, one
from runbook_lib.sandbox.graph.schema_template import default_schema, template_schema, version
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning, World

TEMPLATES = ("scim", "customappsso")
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
RESET_SCOPES = frozenset(("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes"))
# Unverified: how many reads the service lags behind the directory, and a new job behind its POST, and which of the codes that
# Terraform (403, 409) and hamilton (401, 409) wait out comes when.
SYNC_LAG_READS = 2
JOB_LAG_READS = 1
ON_DEMAND_LIMIT, LOG_LIMIT, WINDOW_S = 5, 5, 10.0  # "5 requests per 10 seconds": provisionondemand and throttling-limits pages
_SYNC = "/servicePrincipals/{id}/synchronization"
_JOB = _SYNC + "/jobs/{job_id}"
_NEVER = "0001-01-01T00:00:00Z"
_READ, _WRITE = READ_SYNCHRONIZATION, WRITE_SYNCHRONIZATION


def _provisioning(tenant: EntraTenant, call: Call) -> Provisioning:
    """Return what the service keeps for an application, once it knows it. Raises `Refused` before: 401, then 403."""
    service_principal_id = service_principal_of(tenant, call)["id"]
    if service_principal_id not in tenant.provisioning:
        tenant.provisioning[service_principal_id] = Provisioning()
        tenant.readable_after[f"sync {service_principal_id}"] = SYNC_LAG_READS
    left = tenant.readable_after.get(f"sync {service_principal_id}", 0)
    if not visible(tenant, f"sync {service_principal_id}"):
        raise Refused(401 if left == SYNC_LAG_READS else 403, "UnknownError", "")
    return tenant.provisioning[service_principal_id]


def _job(tenant: EntraTenant, call: Call) -> Document:
    found = _provisioning(tenant, call).jobs.get(call.params["job_id"])
    if found is None or not visible(tenant, f"job {call.params['job_id']}"):
        raise not_found(call.params["job_id"])
    return found


def _path(call: Call, rest: str) -> str:
    return f"servicePrincipals('{call.params['id']}')/synchronization/{rest}"


def _action(name: str, *, holds_the_world: bool = True, below: str = _JOB) -> Callable[[TenantHandler], TenantHandler]:
    """Register a handler for an action, which Graph takes with and without its namespace."""

    def register(handler: TenantHandler) -> TenantHandler:
        for prefix in ("", "microsoft.graph."):
            path = f"{below}/{prefix}{name}"
            route("POST", path, _WRITE, query=(), only_own=True, holds_the_world=holds_the_world)(handler)
        return handler

    return register


# Templates and jobs --------------------------------------------------------------------------------------------------


def _template(world: World, template_id: str, application_id: str | None) -> Document:
    """Return a template. Unverified: that a non-gallery application offers both."""
    fields = '[{"name":"baseaddress"},{"name":"secrettoken","secret":true}]'
    return {
        "id": template_id,
        "applicationId": application_id,
        "default": template_id == "scim",
        "description": None,
        "discoverable": True,
        "factoryTag": template_id,
        "metadata": [{"key": "configurationFields", "value": fields}],
        "schema": template_schema(world, template_id),
    }


@route("GET", f"{_SYNC}/templates", _READ, query=LISTING, only_own=True)
def list_templates(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the provisioning templates."""
    _provisioning(tenant, call)
    application_id = tenant.service_principals[call.params["id"]]["applicationTemplateId"]
    return listing(TEMPLATE, call, [_template(world, name, application_id) for name in TEMPLATES], path=_path(call, "templates"))


@route("GET", f"{_SYNC}/templates/{{template_id}}", _READ, only_own=True)
def get_template(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one template."""
    _provisioning(tenant, call)
    if call.params["template_id"] not in TEMPLATES:
        raise not_found(call.params["template_id"])
    application_id = tenant.service_principals[call.params["id"]]["applicationTemplateId"]
    return one(TEMPLATE, call, _template(world, call.params["template_id"], application_id), path=_path(call, "templates"))


def new_job(tenant: EntraTenant, service_principal_id: str, template_id: str) -> Document:
    """Return the document of a new job: paused, with the id form seen in real ones (Graph tutorial 2021)."""
    app_id = tenant.service_principals[service_principal_id]["appId"]
    return {
        "id": f"{template_id}.{tenant.id.replace('-', '')}.{app_id}",
        "templateId": template_id,
        "schedule": {"expiration": None, "interval": "PT40M", "state": "Disabled"},
        "status": {
            "countSuccessiveCompleteFailures": 0,
            "escrowsPruned": False,
            "code": "Paused",
            "lastExecution": None,
            "lastSuccessfulExecution": None,
            "lastSuccessfulExecutionWithExports": None,
            "quarantine": None,
            "steadyStateFirstAchievedTime": _NEVER,
            "steadyStateLastAchievedTime": _NEVER,
            "troubleshootingUrl": None,
            "progress": [],
            "synchronizedEntryCountByType": [],
        },
        "synchronizationJobSettings": [{"name": "AzureIngestionAttributeOptimization", "value": "False"}],
    }


@route("GET", f"{_SYNC}/jobs", _READ, query=LISTING, only_own=True)
def list_jobs(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the jobs that can be read already."""
    found = [job for job in _provisioning(tenant, call).jobs.values() if visible(tenant, f"job {job['id']}")]
    return listing(JOB, call, found, path=_path(call, "jobs"))


@route("POST", f"{_SYNC}/jobs", _WRITE, query=(), only_own=True)
def post_job(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Make a job. Unverified: a second one of the same template is a 409, its id being fixed by template and application."""
    wanted = content(call, ("templateId", "schedule", "synchronizationJobSettings"), ("templateId",))
    if set(wanted) != {"templateId"}:
        raise not_simulated("a new job with anything but a templateId")
    provisioning = _provisioning(tenant, call)
    if wanted["templateId"] not in TEMPLATES:
        raise bad(f"Template '{wanted['templateId']}' was not found.")
    made = new_job(tenant, call.params["id"], wanted["templateId"])
    if made["id"] in provisioning.jobs:
        raise Refused(409, "Conflict", "A synchronization job with this identifier already exists.")
    provisioning.jobs[made["id"]] = made
    provisioning.schemas[made["id"]] = default_schema(world, call.params["id"], made["id"])
    tenant.readable_after[f"job {made['id']}"] = JOB_LAG_READS
    return Answer(201, {"@odata.context": f"{METADATA}{_path(call, 'jobs')}/$entity", **copy.deepcopy(made)})


@route("GET", _JOB, _READ, only_own=True)
def get_job(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one job."""
    return one(JOB, call, _job(tenant, call), path=_path(call, "jobs"))


@route("DELETE", _JOB, _WRITE, query=(), only_own=True)
def delete_job(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a job; the accounts at the target stay, and so do the saved secrets (terraform-provider-azuread issue 1013)."""
    found, provisioning = _job(tenant, call), _provisioning(tenant, call)
    for kept in (provisioning.jobs, provisioning.schemas, provisioning.links):
        kept.pop(found["id"], None)
    return Answer(204)


# Schema --------------------------------------------------------------------------------------------------------------


@route("GET", f"{_JOB}/schema", _READ, query=(), only_own=True)
def get_schema(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the whole schema."""
    return Answer(200, copy.deepcopy(_provisioning(tenant, call).schemas[_job(tenant, call)["id"]]))


@route("PUT", f"{_JOB}/schema", _WRITE, query=(), only_own=True)
def put_schema(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Replace the schema whole, keeping whatever was sent; a new initial cycle starts (how-provisioning-works), links stay.

    Unverified: how strictly it is checked; here only that the engine can read it.
    """
    job = _job(tenant, call)
    found = _parsed(call)
    if (flaw := _flaw(found)) is not None:
        raise bad(flaw, "InvalidSchema")
    _provisioning(tenant, call).schemas[job["id"]] = {**found, "version": version(world)}
    _watermark_gone(job)
    return Answer(204)


def _parsed(call: Call) -> Document:
    try:
        found = call.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        words = (
            "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
        )
        raise bad(words, "BadRequest")
    return found


def _flaw(schema: Document) -> str | None:
    """Return what keeps the engine from reading a schema, None when nothing does."""
    rules = schema.get("synchronizationRules")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) and isinstance(rule.get("id"), str) for rule in rules):
        return "The schema must hold synchronizationRules, each with an id."
    for rule in rules:
        for mapping in rule.get("objectMappings") or [{}]:
            names = ("sourceObjectName", "targetObjectName", "flowTypes")
            if not all(isinstance(mapping.get(name), str) for name in names):
                return f"Every object mapping must hold {', '.join(names)}."
            for row in mapping.get("attributeMappings") or []:
                if not isinstance(row.get("source"), dict) or not row.get("targetAttributeName"):
                    return "Every attribute mapping must hold source and targetAttributeName."
    return None


def _watermark_gone(job: Document) -> None:
    job["status"].update(steadyStateFirstAchievedTime=_NEVER, steadyStateLastAchievedTime=_NEVER)


@route("PATCH", f"{_JOB}/schema", _WRITE, query=(), only_own=True)
def patch_schema(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Refuse, as recorded: only PUT works."""
    return no_patch_of_schema(world, call.params["id"], call.params["job_id"])


# Secrets -------------------------------------------------------------------------------------------------------------


@route("GET", f"{_SYNC}/secrets", _READ, query=(), only_own=True)
def get_secrets(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer what is saved; sensitive values read back as `*` (terraform-provider-azuread, synchronization.go)."""
    saved = _provisioning(tenant, call).secrets
    found = [{"key": key, "value": "*" if key in SENSITIVE else value} for key, value in saved.items()]
    return Answer(
        200, {"@odata.context": f"{METADATA}Collection(microsoft.graph.synchronizationSecretKeyStringValuePair)", "value": found}
    )


@route("PUT", f"{_SYNC}/secrets", _WRITE, query=(), only_own=True)
def put_secrets(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Save credentials, as sent: a `*` read earlier becomes the token.

    Unverified: keys that are not sent stay, unless the world says `secrets_put_replaces`; an empty text removes one (Terraform
    does so).
    """
    provisioning = _provisioning(tenant, call)
    sent = _entries(content(call, ("value",), ("value",))["value"])
    kept = {**({} if world.secrets_put_replaces else provisioning.secrets), **sent}
    provisioning.secrets = {key: value for key, value in kept.items() if value != ""}
    return Answer(204)


def _entries(found: Any) -> dict[str, str]:
    """Return key-value pairs. Raises `Refused`: 500 for a key in another casing (msgraph-beta-sdk-java issue 372)."""
    if not isinstance(found, list) or not all(isinstance(entry, dict) and set(entry) == {"key", "value"} for entry in found):
        raise bad("One or more properties are invalid.")
    for entry in found:
        if entry["key"] not in SECRET_KEYS:
            raise Refused(500, "InternalError", f"Requested value '{entry['key']}' was not found.")
        if not isinstance(entry["value"], str):
            raise bad("One or more properties are invalid.")
    return {entry["key"]: entry["value"] for entry in found}


def _credentials_missing() -> Refused:
    """Return the refusal of what needs credentials. The code is Terraform's (on-demand test); Unverified: status and text."""
    return Refused(400, "CredentialsMissing", "Credentials are missing. Please provide admin credentials in order to proceed.")


def validate_credentials(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Test a connection for real. Unverified: status and code of a failure; only the 204 is documented."""
    with world.lock:
        provisioning = _provisioning(tenant, call)
        job_id = _job(tenant, call)["id"] if "job_id" in call.params else None
        wanted = content(call, ("applicationIdentifier", "templateId", "useSavedCredentials", "credentials"))
        saved = dict(provisioning.secrets) if wanted.get("useSavedCredentials") else _entries(wanted.get("credentials") or [])
        if wanted.get("templateId") not in (None, *TEMPLATES):
            raise bad(f"Template '{wanted['templateId']}' was not found.")
    if not saved.get("BaseAddress") or not saved.get("SecretToken"):
        raise _credentials_missing()
    check = engine.validate_credentials(world, tenant, call.params["id"], saved["BaseAddress"], saved["SecretToken"], job_id)
    if not check.ok:
        raise Refused(400, check.code, check.message)
    return Answer(204)


_action("validateCredentials", holds_the_world=False)(validate_credentials)
_action("validateCredentials", holds_the_world=False, below=f"{_SYNC}/jobs")(validate_credentials)


# Running -------------------------------------------------------------------------------------------------------------


@_action("start")
def start(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Start, or go on where it paused; clears quarantine (synchronizationjob-start page).

    The page warns that calling it again and again while it runs can stop the service. Unverified: how; here a second start of
    an active job changes nothing. Unverified: what it says without credentials.
    """
    content(call, ())
    job = _job(tenant, call)
    if not _provisioning(tenant, call).secrets.get("SecretToken"):
        raise _credentials_missing()
    job["schedule"]["state"] = "Active"
    job["status"].update(code="Active", quarantine=None)
    return Answer(204)


@_action("pause")
def pause(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Pause; what the job knows is kept."""
    content(call, ())
    job = _job(tenant, call)
    job["schedule"]["state"] = "Disabled"
    job["status"]["code"] = "Paused"
    return Answer(204)


@_action("restart")
def restart(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Restart with what `criteria.resetScope` clears; Full drops the links to matched users too (job-restart page)."""
    criteria = content(call, ("criteria",)).get("criteria") or {}
    scopes = {scope.strip() for scope in str(criteria.get("resetScope") or "None").split(",")}
    if set(criteria) - {"resetScope"} or scopes - RESET_SCOPES:
        raise bad("Invalid value specified for property 'resetScope'.")
    job = _job(tenant, call)
    if "Full" in scopes:
        _provisioning(tenant, call).links.pop(job["id"], None)
    if scopes & {"Full", "Watermark"}:
        _watermark_gone(job)
    if scopes & {"Full", "QuarantineState"}:
        job["status"]["quarantine"] = None
    job["schedule"]["state"] = "Active"
    job["status"]["code"] = "Quarantine" if job["status"]["quarantine"] else "Active"
    return Answer(204)


def _limited(world: World, times: list[float], limit: int) -> Answer | None:
    """Count a request; return the 429 when there were `limit` in the window already.

    The sandbox's clock stands still, so it takes those who are told to wait as having waited: it moves on to the window's end.
    """
    now = world.clock.timestamp()
    times[:] = [time for time in times if time > now - WINDOW_S]
    if len(times) < limit:
        times.append(now)
        return None
    world.clock.advance(times[0] + WINDOW_S - now)
    return throttled(world)


@_action("provisionOnDemand", holds_the_world=False)
def provision_on_demand(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Provision one object now (provisionondemand page). The answer is 200 for failures too; the verdict is inside."""
    with world.lock:
        job_id = _job(tenant, call)["id"]
        if limited := _limited(world, tenant.on_demand_times, ON_DEMAND_LIMIT):
            return limited
        rule_id, subject = _subject(call)
        provisioning = _provisioning(tenant, call)
        if not provisioning.secrets.get("SecretToken") or not provisioning.secrets.get("BaseAddress"):
            raise _credentials_missing()
        if rule_id not in [rule["id"] for rule in provisioning.schemas[job_id]["synchronizationRules"]]:
            words = f"The request identified this synchronization job: {job_id}.  "
            text = f"{words}The request also identified this synchronization rule: {rule_id}."
            raise bad(f"{text}  However, the job does not include the rule.", "RequestParameterInvalid")
        if subject.get("objectTypeName") != "User" or set(subject) != {"objectId", "objectTypeName"}:
            raise not_simulated("provisioning anything but one User on demand")
    answer = engine.provision_on_demand(
        world, tenant, call.params["id"], job_id, rule_id, subject["objectId"], subject["objectTypeName"]
    )
    return Answer(200, answer)


def _subject(call: Call) -> tuple[str, Document]:
    """Return rule id and subject of the one parameter. Unverified: the words for a request of another form."""
    found = content(call, ("parameters",), ("parameters",))["parameters"]
    if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
        raise bad("The request must hold exactly one parameter.", "RequestParameterInvalid")
    subjects = found[0].get("subjects")
    if not isinstance(subjects, list) or len(subjects) != 1 or not isinstance(subjects[0], dict):
        raise bad("The request must hold exactly one subject.", "RequestParameterInvalid")
    return str(found[0].get("ruleId") or ""), subjects[0]


@route("GET", "/auditLogs/provisioning", ("AuditLog.Read.All",), READ_DIRECTORY, query=("$filter", "$top", "$skiptoken"))
def provisioning_log(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List provisioning log records, newest first (provisioningobjectsummary-list page)."""
    if limited := _limited(world, tenant.log_times, LOG_LIMIT):
        return limited
    return listing(PROVISIONING_RECORD, call, list(reversed(tenant.provisioning_log)))
