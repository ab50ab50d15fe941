"""Connection test, provision on demand and full cycles. Source: entra-docs, how-provisioning-works and its siblings.

No function here holds the world's lock while it talks to the SCIM endpoint, whose handlers need it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from runbook_lib.sandbox.entra_engine import people
from runbook_lib.sandbox.entra_engine.expressions import ExpressionError
from runbook_lib.sandbox.entra_engine.outcome import Outcome, log_book, skipped, verdict
from runbook_lib.sandbox.entra_engine.people import Standing
from runbook_lib.sandbox.entra_engine.person import PREFIX, Job, deleted, disabled, provisioned
from runbook_lib.sandbox.entra_engine.schema import sends_groups, user_mapping
from runbook_lib.sandbox.entra_engine.scim_calls import ScimClient, ScimError
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning, World


@dataclass(frozen=True)
class CredentialCheck:
    """What a connection test found."""

    ok: bool
    code: str = ""
    message: str = ""


def validate_credentials(
    world: World, tenant: EntraTenant, service_principal_id: str, base_address: str, secret_token: str, job_id: str | None
) -> CredentialCheck:
    """Ask the endpoint for a user that cannot be there: a random id in the first matching attribute."""
    with world.lock:
        schema = tenant.provisioning[service_principal_id].schemas.get(job_id or "")
        probed = user_mapping(schema).probed() if schema else "userName"
        probe = world.ids.guid()
    try:
        ScimClient(world, base_address, secret_token).find(probed, probe)
    except ScimError as failed:
        if failed.status in (401, 403):
            text = "You appear to have entered invalid credentials. Please confirm you are using the correct information."
            return CredentialCheck(False, f"{PREFIX}InvalidCredentials", text)
        return CredentialCheck(
            False, f"{PREFIX}CredentialValidationUnavailable", f"We received this unexpected response: {failed.status}"
        )
    return CredentialCheck(True)


def provision_on_demand(
    world: World,
    tenant: EntraTenant,
    service_principal_id: str,
    job_id: str,
    rule_id: str,
    subject_object_id: str,
    object_type: str,
) -> Document:
    """Provision one user and return Graph's answer. The dialect flag is documented as not honoured here."""
    with world.lock:
        job = _opened(world, tenant, service_principal_id, job_id, rule_id)
        user = tenant.users.get(subject_object_id) or tenant.deleted_users.get(subject_object_id)
        counts = user is not None and _counts_on_demand(world, tenant, service_principal_id, user["id"])
    if user is None:
        user = {"id": subject_object_id}
        outcome = Outcome("Failure", "other", "SourceObjectNotFound", "The object was not found in the source system.")
    else:
        outcome = _on_demand(job, user, is_assigned=counts)
    with world.lock:
        record = job.log.add(user, outcome)
    return verdict(world, user, outcome, record["changeId"], object_type)


def _on_demand(job: Job, user: Document, *, is_assigned: bool) -> Outcome:
    """Act for one person: a disabled or deleted one is skipped, a linked one out of scope disabled (entra-docs, limitations)."""
    standing = _standing(job, user, is_assigned=is_assigned)
    if isinstance(standing, Outcome):
        return standing
    if standing.is_in_scope:
        return provisioned(job, user, standing, legacy=True)
    leaves = standing.is_active and user["id"] in job.links and _is_followed(job, standing)
    return disabled(job, user, standing, legacy=True) if leaves else skipped(user, standing, job.links.get(user["id"], ""))


def run_cycle(world: World, job_id: str) -> Document:
    """Run one cycle of an active job and return what it did. Raises `LookupError` for an unknown job."""
    with world.lock:
        tenant, service_principal_id = _find(world, job_id)
        provisioning = tenant.provisioning[service_principal_id]
        document = provisioning.jobs[job_id]
        if document["schedule"]["state"] != "Active" or document["status"]["quarantine"]:
            return {"ran": False, "reason": "the job is not started or in quarantine"}
        job = _opened(world, tenant, service_principal_id, job_id, None)
        address, token = provisioning.secrets.get("BaseAddress", ""), provisioning.secrets.get("SecretToken", "")
    if not address or not token:  # Unverified: what the first cycle of a job without credentials says
        check = CredentialCheck(False, "CredentialsMissing", "Credentials are missing.")
    else:
        check = validate_credentials(world, tenant, service_principal_id, address, token, job_id)
    if not check.ok:
        with world.lock:
            _quarantine(job, "EncounteredQuarantineException", check.code, check.message)
        return {"ran": True, "quarantined": check.code}
    with world.lock:
        seen, gone = _everyone(job, service_principal_id)
        departures = len(gone) + sum(_is_departing(job, user, standing) for user, standing in seen)
        if (limit := _threshold(provisioning.secrets)) is not None and departures >= limit:
            _quarantine(job, "TooManyDeletes", "TooManyDeletes", f"{departures} departures reach the limit of {limit}.")
            return {"ran": True, "quarantined": "TooManyDeletes"}
    return _work_through(job, seen, gone, service_principal_id)


_Seen = list[tuple[Document, Standing | Outcome]]


def _everyone(job: Job, service_principal_id: str) -> tuple[_Seen, list[str]]:
    """Return the people that the cycle looks at, each with the standing, and the linked ones that are gone for good.

    A linked person who was out of scope before being deleted gets no DELETE any more (entra-docs, how-provisioning-works): the
    link is dropped.
    """
    tenant, syncs_all = job.tenant, job.provisioning.secrets.get("SyncAll", "").lower() == "true"
    assigned = _assigned(tenant, service_principal_id)
    found: _Seen = []
    for directory, counts_all in ((tenant.users, syncs_all), (tenant.deleted_users, False)):
        for user in directory.values():
            if (is_assigned := counts_all or user["id"] in assigned) or user["id"] in job.links:
                found.append((user, _standing(job, user, is_assigned=is_assigned)))
    gone = [object_id for object_id in job.links if object_id not in tenant.users and object_id not in tenant.deleted_users]
    for object_id in [object_id for object_id in gone if job.departed.get(object_id) == "out of scope"]:
        job.links.pop(object_id)
        job.departed.pop(object_id)
        gone.remove(object_id)
    return found, gone


def _standing(job: Job, user: Document, *, is_assigned: bool) -> Standing | Outcome:
    """Return why a person is in scope or not; a filter that cannot be judged is that person's failure."""
    active = people.is_active(job.tenant, user)
    try:
        passes = people.passes(job.mapping.filters, job.tenant, user)
        return Standing(is_assigned, active, passes, people.passes(job.mapping.input_filters, job.tenant, user))
    except ExpressionError as wrong:  # Unverified: its code
        return Outcome("Failure", "other", "ScopingFilterEvaluationError", str(wrong), standing=Standing(is_assigned, active))


def _is_departing(job: Job, user: Document, standing: Standing | Outcome) -> bool:
    """Whether this cycle is the first to deal with the departure of a linked person: what the delete guard counts."""
    if isinstance(standing, Outcome) or user["id"] not in job.links or user["id"] in job.departed:
        return False
    return not standing.is_entitled and (not standing.is_active or _is_followed(job, standing))


def _is_followed(job: Job, standing: Standing) -> bool:
    """Whether going out of scope is followed up at the target.

    Leaving `inputFilterGroups` is not (Graph filter page), nor anything with SkipOutOfScopeDeletions (entra-docs), nor losing
    the assignment where the switch `unassigning` says so.
    """
    if job.provisioning.secrets.get("SkipOutOfScopeDeletions", "").lower() == "true" or standing.is_entitled:
        return False
    return standing.is_assigned or job.world.switches["unassigning"] == "disables"


def _work_through(job: Job, seen: _Seen, gone: Iterable[str], service_principal_id: str) -> Document:
    counts: Counter[str] = Counter()

    def note(user: Document, outcome: Outcome) -> None:
        counts[outcome.action if outcome.result == "Success" else "other"] += 1
        with job.world.lock:
            job.log.add(user, outcome)

    for user, standing in seen:
        if (outcome := _one(job, user, standing)) is not None:
            note(user, outcome)
    for object_id in gone:
        note({"id": object_id}, deleted(job, object_id))
    escrowed = _escrowed_groups(job, service_principal_id)
    with job.world.lock:
        _finished(job, counts, escrowed=escrowed)
    return {"ran": True, "counts": dict(counts), "groups_escrowed": escrowed}


def _escrowed_groups(job: Job, service_principal_id: str) -> int:
    """Look for each assigned group at the endpoint and return how many it refuses; none while the mapping of groups is off.

    Making groups there is not simulated. Unverified: that a refused group makes the cycle end with EntryLevelErrors.
    """
    with job.world.lock:
        if not sends_groups(job.provisioning.schemas[job.document["id"]]):
            return 0
        ids = [a["principalId"] for a in job.tenant.assignments if a["resourceId"] == service_principal_id]
        names = [job.tenant.groups[one]["displayName"] for one in ids if one in job.tenant.groups]
    return sum(not job.scim.takes_group(name) for name in names)


def _one(job: Job, user: Document, standing: Standing | Outcome) -> Outcome | None:
    """Return what becomes of one person in a cycle, None when nothing is said of them."""
    if isinstance(standing, Outcome):
        return standing
    if standing.is_in_scope:
        return provisioned(job, user, standing, legacy=False)
    if user["id"] in job.links:
        if not standing.is_active or _is_followed(job, standing):
            return disabled(job, user, standing, legacy=False)
        return skipped(user, standing, job.links[user["id"]]) if standing.is_assigned else None
    was_disabled_before = standing.is_assigned and standing.passes and standing.passes_input
    if was_disabled_before and job.world.switches["disabled_before_link"] == "disabled":
        return disabled(job, user, standing, legacy=False)
    return skipped(user, standing)


def _find(world: World, job_id: str) -> tuple[EntraTenant, str]:
    for tenant in world.entra.values():
        for service_principal_id, provisioning in tenant.provisioning.items():
            if job_id in provisioning.jobs:
                return tenant, service_principal_id
    raise LookupError(job_id)


def _opened(world: World, tenant: EntraTenant, service_principal_id: str, job_id: str, rule_id: str | None) -> Job:
    provisioning: Provisioning = tenant.provisioning[service_principal_id]
    schema = provisioning.schemas[job_id]
    scim = ScimClient(world, provisioning.secrets.get("BaseAddress", ""), provisioning.secrets.get("SecretToken", ""))
    return Job(
        world,
        tenant,
        provisioning,
        provisioning.jobs[job_id],
        user_mapping(schema, rule_id),
        scim,
        provisioning.links.setdefault(job_id, {}),
        provisioning.departed.setdefault(job_id, {}),
        log_book(world, tenant, service_principal_id, job_id, schema),
    )


def _assigned(tenant: EntraTenant, service_principal_id: str) -> set[str]:
    """Users assigned themselves, or direct members of an assigned group: nested members do not count (entra-docs)."""
    principals = [a["principalId"] for a in tenant.assignments if a["resourceId"] == service_principal_id]
    return {member for principal in principals for member in tenant.members.get(principal, [principal])}


def _counts_on_demand(world: World, tenant: EntraTenant, service_principal_id: str, user_id: str) -> bool:
    """Whether an assignment of the person counts for provision on demand: a new one does not at once (entra-docs)."""
    if tenant.provisioning[service_principal_id].secrets.get("SyncAll", "").lower() == "true":
        return True
    delay, now = world.switches["assignments_count_after"], world.clock.timestamp()
    found = [
        a["id"]
        for a in tenant.assignments
        if a["resourceId"] == service_principal_id
        and (a["principalId"] == user_id or user_id in tenant.members.get(a["principalId"], ()))
    ]
    new = [tenant.new_assignments[assignment_id] for assignment_id in found if assignment_id in tenant.new_assignments]
    arrived = [late.has_arrived(delay, now, f"on demand {user_id}") for late in new]  # each one counts the question
    return len(new) < len(found) or any(arrived)


def _threshold(secrets: dict[str, str]) -> int | None:
    """Return how many departures trip the delete guard, None when it is off.

    The saved secret decides, not the job's settings (entra-docs pull request 2084); the 500th departure trips a threshold of 500
    (cloud-sync how-to).
    """
    try:
        settings = json.loads(secrets.get("SyncNotificationSettings", "{}"))
        return int(settings.get("DeleteThresholdValue") or 500) if settings.get("DeleteThresholdEnabled") else None
    except (ValueError, TypeError, AttributeError):
        return None


# Status --------------------------------------------------------------------------------------------------------------


def _quarantine(job: Job, reason: str, code: str, message: str) -> None:
    now = job.world.clock.graph()
    problem = {"code": code, "message": message, "tenantActionable": True}
    status = job.document["status"]
    count = status["countSuccessiveCompleteFailures"] + 1
    status.update(code="Quarantine", countSuccessiveCompleteFailures=count)
    status["lastExecution"] = _execution(job, "Failed", Counter(), 0) | {"error": problem}
    status["quarantine"] = {
        "currentBegan": now,
        "nextAttempt": now,
        "reason": reason,
        "seriesBegan": now,
        "seriesCount": count,
        "error": problem,
    }


def _finished(job: Job, counts: Counter[str], escrowed: int) -> None:
    status, now = job.document["status"], job.world.clock.graph()
    execution = _execution(job, "EntryLevelErrors" if escrowed else "Succeeded", counts, escrowed)
    status.update(code="Active", countSuccessiveCompleteFailures=0, lastExecution=execution, lastSuccessfulExecution=execution)
    if status["steadyStateFirstAchievedTime"].startswith("0001"):
        status["steadyStateFirstAchievedTime"] = now
    status["steadyStateLastAchievedTime"] = now
    status["synchronizedEntryCountByType"] = [{"key": "User to SCIM User", "value": len(job.links)}]


def _execution(job: Job, state: str, counts: Counter[str], escrowed: int) -> Document:
    """Return a task execution; its activityIdentifier is the cycleId of its log rows (Graph synchronizationTaskExecution)."""
    exported = sum(count for action, count in counts.items() if action != "other")
    now, seen = job.world.clock.graph(), counts.total()
    return {
        "activityIdentifier": job.log.cycle_id,
        "countEntitled": seen,
        "countEntitledForProvisioning": seen,
        "countEscrowed": escrowed,
        "countEscrowedRaw": escrowed,
        "countExported": exported,
        "countExports": exported,
        "countImported": seen,
        "countImportedDeltas": 0,
        "countImportedReferenceDeltas": 0,
        "state": state,
        "error": None,
        "timeBegan": now,
        "timeEnded": now,
    }
