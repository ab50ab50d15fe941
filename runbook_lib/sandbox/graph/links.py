"""The links between people and target users, one at a time. Source: objectConnection pages (beta), manage-object-connections."""

from __future__ import annotations

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import BETA, OWNED_BY, route
from runbook_lib.sandbox.graph.errors import Refused, bad, not_found
from runbook_lib.sandbox.graph.sync_door import JOB_PATH, READ, job_of, provisioning_of
from runbook_lib.sandbox.world import Document, EntraTenant, World

_READ = (*READ, "SynchronizationMetadata.Read.All", "SynchronizationMetadata.ReadWrite.All")
_WRITE = ("Synchronization.ReadWrite.All", "SynchronizationMetadata.ReadWrite.All", OWNED_BY)
_PATH = f"{BETA}{JOB_PATH}/objectConnections"


def _link(tenant: EntraTenant, call: Call) -> tuple[str, str] | None:
    """Return object id and target id of the link that a path names, by its source id first, then by its target id."""
    links = provisioning_of(tenant, call).links.get(job_of(tenant, call)["id"], {})
    wanted = call.params["object_id"]
    if wanted in links:
        return wanted, links[wanted]
    return next(((source, target) for source, target in links.items() if target == wanted), None)


def get_link(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one link; 404 for a person who is not linked."""
    found = _link(tenant, call)
    if found is None:
        raise not_found(call.params["object_id"])
    source, target = found
    user = tenant.users.get(source) or tenant.deleted_users.get(source) or {}
    document: Document = {
        "@odata.context": "https://graph.microsoft.com/beta/$metadata#microsoft.graph.objectConnection",
        "objectId": call.params["object_id"],
        "sourceAnchor": source,
        "targetAnchor": target,
        "displayName": user.get("displayName"),
        "objectTypeName": "User",
    }
    return Answer(200, document)


def delete_link(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Forget a link, again and again without harm; 409 while the job runs. The next cycle matches the person afresh."""
    job, found = job_of(tenant, call), _link(tenant, call)
    if job["schedule"]["state"] == "Active":
        raise Refused(409, "Conflict", "The synchronization job must be paused before a connection is deleted.")
    if found is not None:
        provisioning = provisioning_of(tenant, call)
        for kept in (provisioning.links, provisioning.departed):
            kept.get(job["id"], {}).pop(found[0], None)
    return Answer(204)


for _place in ("/{object_id}", "('{object_id}')"):
    route("GET", f"{_PATH}{_place}", _READ, only_own=True, query=())(get_link)
    route("DELETE", f"{_PATH}{_place}", _WRITE, only_own=True, query=())(delete_link)


@route("GET", _PATH, _READ, only_own=True, query=())
def list_links(_world: World, _call: Call, _tenant: EntraTenant) -> Answer:
    """Refuse: the links of a job cannot be listed (objectConnection page)."""
    raise bad("Listing object connections is not supported.", "BadRequest")
