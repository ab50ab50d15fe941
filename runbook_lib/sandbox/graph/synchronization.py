"""The provisioning service's templates and jobs: made, listed, deleted, started, paused, restarted."""

from __future__ import annotations

import copy

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import content, route, visible
from runbook_lib.sandbox.graph.errors import Refused, bad, not_found, not_simulated
from runbook_lib.sandbox.graph.kinds import JOB, TEMPLATE
from runbook_lib.sandbox.graph.odata import LISTING, METADATA, listing, one
from runbook_lib.sandbox.graph.schema_template import default_schema, template_schema
from runbook_lib.sandbox.graph.sync_door import (
    JOB_LAG_READS,
    JOB_PATH,
    NEVER,
    READ,
    SYNC,
    TEMPLATES,
    WRITE,
    action,
    forget_watermark,
    job_of,
    path_of,
    provisioning_of,
)
from runbook_lib.sandbox.world import Document, EntraTenant, World

RESET_SCOPES = frozenset(("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes"))
_PORTAL_RESTART = "QuarantineState,Watermark,Escrows"

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


@route("GET", f"{SYNC}/templates", READ, query=LISTING, only_own=True)
def list_templates(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the provisioning templates."""
    provisioning_of(tenant, call)
    application_id = tenant.service_principals[call.params["id"]]["applicationTemplateId"]
    return listing(
        TEMPLATE, call, [_template(world, name, application_id) for name in TEMPLATES], path=path_of(call, "templates")
    )


@route("GET", f"{SYNC}/templates/{{template_id}}", READ, only_own=True)
def get_template(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one template."""
    provisioning_of(tenant, call)
    if call.params["template_id"] not in TEMPLATES:
        raise not_found(call.params["template_id"])
    application_id = tenant.service_principals[call.params["id"]]["applicationTemplateId"]
    return one(TEMPLATE, call, _template(world, call.params["template_id"], application_id), path=path_of(call, "templates"))


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
            "steadyStateFirstAchievedTime": NEVER,
            "steadyStateLastAchievedTime": NEVER,
            "troubleshootingUrl": None,
            "progress": [],
            "synchronizedEntryCountByType": [],
        },
        "synchronizationJobSettings": [{"name": "AzureIngestionAttributeOptimization", "value": "False"}],
    }


@route("GET", f"{SYNC}/jobs", READ, query=LISTING, only_own=True)
def list_jobs(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the jobs that can be read already."""
    found = [job for job in provisioning_of(tenant, call).jobs.values() if visible(tenant, f"job {job['id']}")]
    return listing(JOB, call, found, path=path_of(call, "jobs"))


@route("POST", f"{SYNC}/jobs", WRITE, query=(), only_own=True)
def post_job(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Make a job. Unverified: a second one of the same template is a 409, its id being fixed by template and application."""
    wanted = content(call, ("templateId", "schedule", "synchronizationJobSettings"), ("templateId",))
    if set(wanted) != {"templateId"}:
        raise not_simulated("a new job with anything but a templateId")
    provisioning = provisioning_of(tenant, call)
    if not isinstance(wanted["templateId"], str) or wanted["templateId"] not in TEMPLATES:
        raise bad(f"Template '{wanted['templateId']}' was not found.")
    made = new_job(tenant, call.params["id"], wanted["templateId"])
    if made["id"] in provisioning.jobs:
        raise Refused(409, "Conflict", "A synchronization job with this identifier already exists.")
    provisioning.jobs[made["id"]] = made
    provisioning.schemas[made["id"]] = default_schema(world, call.params["id"], made["id"])
    tenant.readable_after[f"job {made['id']}"] = JOB_LAG_READS
    return Answer(201, {"@odata.context": f"{METADATA}{path_of(call, 'jobs')}/$entity", **copy.deepcopy(made)})


@route("GET", JOB_PATH, READ, only_own=True)
def get_job(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one job."""
    return one(JOB, call, job_of(tenant, call), path=path_of(call, "jobs"))


@route("DELETE", JOB_PATH, WRITE, query=(), only_own=True)
def delete_job(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a job; the accounts at the target stay, and so do the saved secrets (terraform-provider-azuread issue 1013)."""
    found, provisioning = job_of(tenant, call), provisioning_of(tenant, call)
    for kept in (provisioning.jobs, provisioning.schemas, provisioning.links, provisioning.departed):
        kept.pop(found["id"], None)
    return Answer(204)


# Running ---------------------------------------------------------------------------------------------------------------


@action("start")
def start(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Start, or go on where it paused; clears quarantine (synchronizationjob-start page).

    The page warns that calling it again and again while it runs can stop the service. Unverified: how; here a second start of
    an active job changes nothing. Credentials are not asked for: a job without any becomes Active (terraform-provider-azuread,
    acceptance test of a synchronization job), and its first cycle fails.
    """
    content(call, ())
    job = job_of(tenant, call)
    job["schedule"]["state"] = "Active"
    job["status"].update(code="Active", quarantine=None)
    return Answer(204)


@action("pause")
def pause(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Pause; what the job knows is kept."""
    content(call, ())
    job = job_of(tenant, call)
    job["schedule"]["state"] = "Disabled"
    job["status"]["code"] = "Paused"
    return Answer(204)


@action("restart")
def restart(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Restart with what `criteria.resetScope` clears; Full drops the links to matched users too (job-restart page).

    Empty criteria are the portal's restart: QuarantineState, Watermark, Escrows (jobRestartCriteria page).
    """
    criteria = content(call, ("criteria",)).get("criteria") or {}
    if not isinstance(criteria, dict):
        raise bad("Invalid value specified for property 'criteria'.")
    scopes = {scope.strip() for scope in str(criteria.get("resetScope") or _PORTAL_RESTART).split(",")}
    if set(criteria) - {"resetScope"} or scopes - RESET_SCOPES:
        raise bad("Invalid value specified for property 'resetScope'.")
    job = job_of(tenant, call)
    if "Full" in scopes:
        provisioning_of(tenant, call).links.pop(job["id"], None)
        provisioning_of(tenant, call).departed.pop(job["id"], None)
    if scopes & {"Full", "Watermark"}:
        forget_watermark(job)
    if scopes & {"Full", "QuarantineState"}:
        job["status"]["quarantine"] = None
    job["schedule"]["state"] = "Active"
    job["status"]["code"] = "Quarantine" if job["status"]["quarantine"] else "Active"
    return Answer(204)
