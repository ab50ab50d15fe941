"""The provisioning service's routes: templates, jobs, schema, secrets, on demand, start and pause, provisioning log."""

from __future__ import annotations

import copy

from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.errors import bad, error, no_patch_of_schema, not_found, usual
from runbook_lib.sandbox.graph.routes import listing, needs, visible
from runbook_lib.sandbox.graph.schema_template import default_schema, version
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning, World

TEMPLATES = ("scim", "customappsso")
SECRET_KEYS = ("BaseAddress", "SecretToken", "SyncNotificationSettings", "SyncAll", "SkipOutOfScopeDeletions")
SYNC_LAG_READS = 2
_WRITE = ("Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy")
_READ = (*_WRITE, "Synchronization.Read.All")
_SYNC = "/servicePrincipals/{id}/synchronization"
_JOB = _SYNC + "/jobs/{job_id}"
_NEVER = "0001-01-01T00:00:00Z"


def _lagging(world: World, tenant: EntraTenant, service_principal_id: str) -> Answer | None:
    """Return what the service says of an application it does not know yet: 401 UnknownError (hamilton, azuread 1628)."""
    if service_principal_id not in tenant.service_principals or not visible(tenant, service_principal_id):
        return not_found(world, service_principal_id)
    if service_principal_id not in tenant.provisioning:
        tenant.provisioning[service_principal_id] = Provisioning()
        tenant.readable_after[f"sync {service_principal_id}"] = SYNC_LAG_READS
    return None if visible(tenant, f"sync {service_principal_id}") else error(world, 401, "UnknownError", "")


def _job(tenant: EntraTenant, call: Call) -> Document | None:
    provisioning = tenant.provisioning.get(call.params["id"])
    return provisioning.jobs.get(call.params["job_id"]) if provisioning else None


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


@needs("GET", f"{_SYNC}/templates", _READ, query=("$select", "$top", "$filter"))
def list_templates(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the provisioning templates. Unverified: that a non-gallery application offers both."""
    if lag := _lagging(world, tenant, call.params["id"]):
        return lag
    fields = '[{"name":"baseaddress"},{"name":"secrettoken","secret":true}]'
    found = [
        {
            "id": name,
            "applicationId": tenant.service_principals[call.params["id"]]["applicationTemplateId"],
            "default": name == "scim",
            "description": None,
            "discoverable": True,
            "factoryTag": name,
            "metadata": [{"key": "configurationFields", "value": fields}],
        }
        for name in TEMPLATES
    ]
    return listing(world, call, found)


@needs("GET", f"{_SYNC}/jobs", _READ, query=("$select", "$top", "$filter"))
def list_jobs(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the jobs."""
    if lag := _lagging(world, tenant, call.params["id"]):
        return lag
    return listing(world, call, tenant.provisioning[call.params["id"]].jobs.values())


@needs("POST", f"{_SYNC}/jobs", _WRITE)
def post_job(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Make a job. Unverified: a second one of the same template is a 409, its id being fixed by template and application."""
    if lag := _lagging(world, tenant, call.params["id"]):
        return lag
    template_id = (call.json() or {}).get("templateId")
    if template_id not in TEMPLATES:
        return bad(world, f"Template '{template_id}' was not found.")
    provisioning, made = tenant.provisioning[call.params["id"]], new_job(tenant, call.params["id"], template_id)
    if made["id"] in provisioning.jobs:
        return error(world, 409, "Conflict", "A synchronization job with this identifier already exists.")
    provisioning.jobs[made["id"]] = made
    provisioning.schemas[made["id"]] = default_schema(world, call.params["id"], made["id"])
    context = f"https://graph.microsoft.com/v1.0/$metadata#servicePrincipals('{call.params['id']}')/synchronization/jobs/$entity"
    return Answer(201, {"@odata.context": context, **copy.deepcopy(made)})


@needs("GET", _JOB, _READ)
def get_job(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one job."""
    found = _job(tenant, call)
    return not_found(world, call.params["job_id"]) if found is None else Answer(200, copy.deepcopy(found))


@needs("DELETE", _JOB, _WRITE)
def delete_job(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a job; accounts stay as they are."""
    if _job(tenant, call) is None:
        return not_found(world, call.params["job_id"])
    provisioning = tenant.provisioning[call.params["id"]]
    for kept in (provisioning.jobs, provisioning.schemas, provisioning.links):
        kept.pop(call.params["job_id"], None)
    return Answer(204)


# Schema --------------------------------------------------------------------------------------------------------------


@needs("GET", f"{_JOB}/schema", _READ, query=())
def get_schema(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the whole schema."""
    if _job(tenant, call) is None:
        return not_found(world, call.params["job_id"])
    return Answer(200, copy.deepcopy(tenant.provisioning[call.params["id"]].schemas[call.params["job_id"]]))


@needs("PUT", f"{_JOB}/schema", _WRITE)
def put_schema(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Replace the schema whole; links are dropped, a new initial cycle starts. Unverified: how strictly it is checked."""
    job = _job(tenant, call)
    if job is None:
        return not_found(world, call.params["job_id"])
    content = call.json()
    if not isinstance(content, dict) or not isinstance(content.get("synchronizationRules"), list):
        return error(world, 400, "InvalidSchema", "The schema must hold synchronizationRules.")
    tenant.provisioning[call.params["id"]].schemas[job["id"]] = {**content, "version": version(world)}
    job["status"]["steadyStateFirstAchievedTime"] = _NEVER
    return Answer(204)


@needs("PATCH", f"{_JOB}/schema", _WRITE)
def patch_schema(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Refuse, as recorded: only PUT works."""
    return no_patch_of_schema(world, call.params["id"], call.params["job_id"])


# Secrets -------------------------------------------------------------------------------------------------------------


@needs("GET", f"{_SYNC}/secrets", _READ)
def get_secrets(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer what is saved; the token reads back as `*` (terraform-provider-azuread, synchronization.go)."""
    if lag := _lagging(world, tenant, call.params["id"]):
        return lag
    saved = tenant.provisioning[call.params["id"]].secrets
    return Answer(200, {"value": [{"key": key, "value": "*" if key == "SecretToken" else value} for key, value in saved.items()]})


@needs("PUT", f"{_SYNC}/secrets", _WRITE)
def put_secrets(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Save credentials. Unverified: keys that are not sent stay; an empty text removes one (Terraform does so)."""
    if lag := _lagging(world, tenant, call.params["id"]):
        return lag
    entries = (call.json() or {}).get("value")
    if not isinstance(entries, list):
        return bad(world, "A value is required for property 'value'.")
    if wrong := _wrong_key(world, entries):
        return wrong
    saved = tenant.provisioning[call.params["id"]].secrets
    for entry in entries:
        saved[entry["key"]] = entry["value"]
    for key in [key for key, value in saved.items() if value == ""]:
        del saved[key]
    return Answer(204)


def _wrong_key(world: World, entries: list[Document]) -> Answer | None:
    """Return the 500 for a key in another casing (msgraph-beta-sdk-java issue 372)."""
    wrong = next((entry.get("key") for entry in entries if entry.get("key") not in SECRET_KEYS), None)
    return error(world, 500, "InternalError", f"Requested value '{wrong}' was not found.") if wrong is not None else None


@needs("POST", f"{_JOB}/validateCredentials", _WRITE, holds_the_world=False)
def validate_credentials(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Test a connection for real. Unverified: status and code of a failure; only the 204 is documented."""
    with world.lock:
        if _job(tenant, call) is None:
            return not_found(world, call.params["job_id"])
        content: Document = call.json() or {}
        saved = dict(tenant.provisioning[call.params["id"]].secrets)
    if not content.get("useSavedCredentials"):
        entries = content.get("credentials") or []
        if wrong := _wrong_key(world, entries):
            return wrong
        saved = {entry["key"]: entry["value"] for entry in entries}
    if not saved.get("BaseAddress") or not saved.get("SecretToken"):
        return error(
            world, 400, "CredentialsMissing", "Credentials are missing. Please provide admin credentials in order to proceed."
        )
    check = engine.validate_credentials(
        world, tenant, call.params["id"], saved["BaseAddress"], saved["SecretToken"], call.params["job_id"]
    )
    return Answer(204) if check.ok else error(world, 400, check.code, check.message)


# Running -------------------------------------------------------------------------------------------------------------


@needs("POST", f"{_JOB}/start", _WRITE)
def start(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Start or go on; clears quarantine (Graph synchronizationjob-start page)."""
    job = _job(tenant, call)
    if job is None:
        return not_found(world, call.params["job_id"])
    if not tenant.provisioning[call.params["id"]].secrets.get("SecretToken"):
        return error(
            world, 400, "CredentialsMissing", "Credentials are missing. Please provide admin credentials in order to proceed."
        )
    job["schedule"]["state"] = "Active"
    job["status"].update(code="Active", quarantine=None)
    return Answer(204)


@needs("POST", f"{_JOB}/pause", _WRITE)
def pause(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Pause; the state of the job is kept."""
    job = _job(tenant, call)
    if job is None:
        return not_found(world, call.params["job_id"])
    job["schedule"]["state"] = "Disabled"
    job["status"]["code"] = "Paused"
    return Answer(204)


@needs("POST", f"{_JOB}/restart", _WRITE)
def restart(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Restart; a full reset drops the links."""
    job = _job(tenant, call)
    if job is None:
        return not_found(world, call.params["job_id"])
    if "Full" in str(((call.json() or {}).get("criteria") or {}).get("resetScope")):
        tenant.provisioning[call.params["id"]].links.pop(job["id"], None)
    job["schedule"]["state"] = "Active"
    job["status"].update(code="Active", quarantine=None)
    return Answer(204)


ON_DEMAND_LIMIT, ON_DEMAND_WINDOW_S = 5, 10.0  # "5 requests per 10 seconds", provisionondemand page


@needs("POST", f"{_JOB}/provisionOnDemand", _WRITE, holds_the_world=False)
def provision_on_demand(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Provision one object now. The answer is 200 for failures too; the verdict is inside."""
    with world.lock:
        refused = _refused_on_demand(world, call, tenant)
    if refused is not None:
        return refused
    parameter = (call.json() or {})["parameters"][0]
    subject = parameter["subjects"][0]
    answer = engine.provision_on_demand(
        world,
        tenant,
        call.params["id"],
        call.params["job_id"],
        parameter["ruleId"],
        subject["objectId"],
        subject["objectTypeName"],
    )
    return Answer(200, answer)


def _refused_on_demand(world: World, call: Call, tenant: EntraTenant) -> Answer | None:
    job = _job(tenant, call)
    if job is None:
        return not_found(world, call.params["job_id"])
    now = world.clock.timestamp()
    tenant.on_demand_times = [time for time in tenant.on_demand_times if time > now - ON_DEMAND_WINDOW_S]
    if len(tenant.on_demand_times) >= ON_DEMAND_LIMIT:
        return Answer(429, usual(world, 429).body, {"Retry-After": "2.128"})
    tenant.on_demand_times.append(now)
    provisioning = tenant.provisioning[call.params["id"]]
    if not provisioning.secrets.get("SecretToken"):
        return error(
            world, 400, "CredentialsMissing", "Credentials are missing. Please provide admin credentials in order to proceed."
        )
    parameters = (call.json() or {}).get("parameters") or [{}]
    rule_id = parameters[0].get("ruleId", "")
    if rule_id not in [rule["id"] for rule in provisioning.schemas[job["id"]]["synchronizationRules"]]:
        words = f"The request identified this synchronization job: {job['id']}.  "
        text = f"{words}The request also identified this synchronization rule: {rule_id}."
        return error(world, 400, "RequestParameterInvalid", f"{text}  However, the job does not include the rule.")
    subjects = parameters[0].get("subjects") or [{}]
    if subjects[0].get("objectTypeName") != "User":
        return error(
            world, 400, "RequestParameterInvalid", f"The sandbox provisions no {subjects[0].get('objectTypeName')} on demand."
        )
    return None


@needs("GET", "/auditLogs/provisioning", ("AuditLog.Read.All",), query=("$filter", "$top"))
def provisioning_log(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List provisioning log records by jobId, changeId or status, newest first."""
    return listing(world, call, list(reversed(tenant.provisioning_log)), 50)
