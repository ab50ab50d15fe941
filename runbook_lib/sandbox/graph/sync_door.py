"""What every route of the synchronization service begins with: its paths, and the application and job that a call names."""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.graph.applications import service_principal_of
from runbook_lib.sandbox.graph.door import READ_SYNCHRONIZATION, WRITE_SYNCHRONIZATION, TenantHandler, route, visible
from runbook_lib.sandbox.graph.errors import Refused, not_found
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning

TEMPLATES = ("scim", "customappsso")
# Unverified: how many reads the service lags behind the directory, and a new job behind its POST, and which of the codes that
# Terraform (403, 409) and hamilton (401, 409) wait out comes when.
SYNC_LAG_READS = 2
JOB_LAG_READS = 1
SYNC = "/servicePrincipals/{id}/synchronization"
JOB_PATH = SYNC + "/jobs/{job_id}"
NEVER = "0001-01-01T00:00:00Z"
READ, WRITE = READ_SYNCHRONIZATION, WRITE_SYNCHRONIZATION


def provisioning_of(tenant: EntraTenant, call: Call) -> Provisioning:
    """Return what the service keeps for an application, once it knows it. Raises `Refused` before: 401, then 403."""
    service_principal_id = service_principal_of(tenant, call)["id"]
    if service_principal_id not in tenant.provisioning:
        tenant.provisioning[service_principal_id] = Provisioning()
        tenant.readable_after[f"sync {service_principal_id}"] = SYNC_LAG_READS
    left = tenant.readable_after.get(f"sync {service_principal_id}", 0)
    if not visible(tenant, f"sync {service_principal_id}"):
        raise Refused(401 if left == SYNC_LAG_READS else 403, "UnknownError", "")
    return tenant.provisioning[service_principal_id]


def job_of(tenant: EntraTenant, call: Call) -> Document:
    """Return the job that a path names, once it can be read. Raises `Refused`."""
    found = provisioning_of(tenant, call).jobs.get(call.params["job_id"])
    if found is None or not visible(tenant, f"job {call.params['job_id']}"):
        raise not_found(call.params["job_id"])
    return found


def path_of(call: Call, rest: str) -> str:
    """Return the path of an answer's `@odata.context`."""
    return f"servicePrincipals('{call.params['id']}')/synchronization/{rest}"


def action(name: str, *, holds_the_world: bool = True, below: str = JOB_PATH) -> Callable[[TenantHandler], TenantHandler]:
    """Register a handler for an action, which Graph takes with and without its namespace."""

    def register(handler: TenantHandler) -> TenantHandler:
        for prefix in ("", "microsoft.graph."):
            path = f"{below}/{prefix}{name}"
            route("POST", path, WRITE, query=(), only_own=True, holds_the_world=holds_the_world)(handler)
        return handler

    return register


def forget_watermark(job: Document) -> None:
    """Let the next cycle be an initial one, which evaluates everyone."""
    job["status"].update(steadyStateFirstAchievedTime=NEVER, steadyStateLastAchievedTime=NEVER)
