"""Provision on demand, and the provisioning log."""

from __future__ import annotations

from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.credentials import credentials_missing
from runbook_lib.sandbox.graph.door import READ_DIRECTORY, content, route
from runbook_lib.sandbox.graph.errors import bad, not_simulated, throttled
from runbook_lib.sandbox.graph.kinds import PROVISIONING_RECORD
from runbook_lib.sandbox.graph.odata import listing
from runbook_lib.sandbox.graph.sync_door import action, job_of, provisioning_of
from runbook_lib.sandbox.world import Document, EntraTenant, World

ON_DEMAND_LIMIT, LOG_LIMIT, WINDOW_S = 5, 5, 10.0  # "5 requests per 10 seconds": provisionondemand and throttling-limits pages


def _limited(world: World, times: list[float], limit: int) -> Answer | None:
    """Count a request; return the 429 when there were `limit` in the window already.

    The sandbox's clock stands still, so it takes those who are told to wait as having waited: it moves on to the window's end.
    """
    now = world.clock.timestamp()
    times[:] = [time for time in times if time > now - WINDOW_S]
    if len(times) < limit:
        times.append(now)
        return None
    world.clock.tick(times[0] + WINDOW_S - now)
    return throttled(world)


@action("provisionOnDemand", holds_the_world=False)
def provision_on_demand(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Provision one object now (provisionondemand page). The answer is 200 for failures too; the verdict is inside."""
    with world.lock:
        job_id = job_of(tenant, call)["id"]
        if limited := _limited(world, tenant.on_demand_times, ON_DEMAND_LIMIT):
            return limited
        rule_id, subject = _subject(call)
        provisioning = provisioning_of(tenant, call)
        if not provisioning.secrets.get("SecretToken") or not provisioning.secrets.get("BaseAddress"):
            raise credentials_missing()
        if rule_id not in [rule["id"] for rule in provisioning.schemas[job_id]["synchronizationRules"]]:
            words = f"The request identified this synchronization job: {job_id}.  "
            text = f"{words}The request also identified this synchronization rule: {rule_id}."
            raise bad(f"{text}  However, the job does not include the rule.", "RequestParameterInvalid")
        if subject.get("objectTypeName") != "User" or set(subject) != {"objectId", "objectTypeName"}:
            raise not_simulated("provisioning anything but one User on demand")
        if not isinstance(subject["objectId"], str):
            raise bad("The subject's objectId must be a text.", "RequestParameterInvalid")
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
