"""Connection test, provision on demand and full cycles. Source: entra-docs, how-provisioning-works and its siblings.

No function here holds the world's lock while it talks to the SCIM endpoint, whose handlers need it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.entra_engine.mappings import (
    ExpressionError,
    UserMapping,
    is_departed,
    source_value,
    target_values,
    user_mapping,
)
from runbook_lib.sandbox.entra_engine.scim_calls import ScimClient, ScimError, operations, values_of
from runbook_lib.sandbox.world import Document, EntraTenant, World

PREFIX = "SystemForCrossDomainIdentityManagement"


@dataclass(frozen=True)
class CredentialCheck:
    """What a connection test found."""

    ok: bool
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one user: `result` is Success, Skipped or Failure; `action` create, update, disable, delete or other."""

    result: str
    action: str
    code: str = ""
    message: str = ""
    target_id: str = ""
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    matched: Document | None = None


@dataclass(frozen=True)
class _Job:
    """One job as the engine holds it while it works."""

    world: World
    tenant: EntraTenant
    service_principal_id: str
    document: Document
    mapping: UserMapping
    scim: ScimClient
    links: dict[str, str]


def validate_credentials(
    world: World, tenant: EntraTenant, service_principal_id: str, base_address: str, secret_token: str, job_id: str | None
) -> CredentialCheck:
    """Ask the endpoint for a user that cannot be there: a random id in the first matching attribute."""
    with world.lock:
        schema = tenant.provisioning[service_principal_id].schemas.get(job_id or "")
        mapping = user_mapping(schema) if schema else None
        probe = world.ids.guid()
    attribute = mapping.matching[0] if mapping and mapping.matching else "userName"
    try:
        ScimClient(world, base_address, secret_token).find(attribute, probe)
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
        assigned = subject_object_id in _assigned(tenant, service_principal_id)
    if user is None:
        outcome = Outcome("Failure", "other", "SourceObjectNotFound", "The object was not found in the source system.")
    elif not assigned or is_departed(tenant, user):
        text = (
            "This object is not assigned to the application."
            if not assigned
            else "This object is not active in the source system."
        )
        outcome = Outcome("Skipped", "other", "NotEffectivelyEntitled", text)
    else:
        outcome = _guarded(job, user, legacy=True)
    with world.lock:
        record = _log(job, user or {"id": subject_object_id}, outcome)
    return _verdict(
        world, tenant, user or {"id": subject_object_id}, outcome, record["changeId"], assigned=assigned, kind=object_type
    )


def run_cycle(world: World, job_id: str) -> Document:
    """Run one cycle of an active job and return what it did. Raises `LookupError` for an unknown job."""
    with world.lock:
        tenant, service_principal_id = _find(world, job_id)
        document = tenant.provisioning[service_principal_id].jobs[job_id]
        if document["schedule"]["state"] != "Active" or document["status"]["quarantine"]:
            return {"ran": False, "reason": "the job is not started or in quarantine"}
        job = _opened(world, tenant, service_principal_id, job_id, None)
        everyone = [*tenant.users.values(), *tenant.deleted_users.values()]
        in_scope = _assigned(tenant, service_principal_id)
        secrets = tenant.provisioning[service_principal_id].secrets
        if secrets.get("SyncAll", "").lower() == "true":
            in_scope = {user["id"] for user in everyone}
        gone = [object_id for object_id in job.links if object_id not in {user["id"] for user in everyone}]
    check = validate_credentials(world, tenant, service_principal_id, secrets["BaseAddress"], secrets["SecretToken"], job_id)
    if not check.ok:
        with world.lock:
            _quarantine(job, "EncounteredQuarantineException", check.code, check.message)
        return {"ran": True, "quarantined": check.code}
    leaving = [u for u in everyone if u["id"] in job.links and (u["id"] not in in_scope or is_departed(tenant, u))]
    departures = len(leaving) + len(gone)
    if (limit := _threshold(secrets)) is not None and departures > limit:
        with world.lock:
            _quarantine(job, "TooManyDeletes", "TooManyDeletes", f"{departures} departures are over the limit of {limit}.")
        return {"ran": True, "quarantined": "TooManyDeletes"}
    return _work_through(job, everyone, in_scope, gone, secrets)


def _work_through(job: _Job, everyone: list[Document], in_scope: set[str], gone: list[str], secrets: dict[str, str]) -> Document:
    counts: dict[str, int] = {}
    for user in everyone:
        if user["id"] not in in_scope and (user["id"] not in job.links or secrets.get("SkipOutOfScopeDeletions") == "True"):
            continue
        outcome = _guarded(job, user, legacy=False, leaving=user["id"] not in in_scope)
        counts[outcome.action] = counts.get(outcome.action, 0) + 1
        with job.world.lock:
            _log(job, user, outcome)
    for object_id in gone:
        outcome = _deleted(job, object_id)
        counts[outcome.action] = counts.get(outcome.action, 0) + 1
        with job.world.lock:
            _log(job, {"id": object_id}, outcome)
    groups = [a for a in job.tenant.assignments if a["resourceId"] == job.service_principal_id and a["principalType"] == "Group"]
    with job.world.lock:
        _finished(job, counts, escrowed=len(groups))
    return {"ran": True, "counts": counts, "groups_escrowed": len(groups)}


def _find(world: World, job_id: str) -> tuple[EntraTenant, str]:
    for tenant in world.entra.values():
        for service_principal_id, provisioning in tenant.provisioning.items():
            if job_id in provisioning.jobs:
                return tenant, service_principal_id
    raise LookupError(job_id)


def _opened(world: World, tenant: EntraTenant, service_principal_id: str, job_id: str, rule_id: str | None) -> _Job:
    provisioning = tenant.provisioning[service_principal_id]
    mapping = user_mapping(provisioning.schemas[job_id], rule_id) or UserMapping(frozenset(), (), ())
    scim = ScimClient(world, provisioning.secrets["BaseAddress"], provisioning.secrets["SecretToken"])
    links = provisioning.links.setdefault(job_id, {})
    return _Job(world, tenant, service_principal_id, provisioning.jobs[job_id], mapping, scim, links)


def _assigned(tenant: EntraTenant, service_principal_id: str) -> set[str]:
    """Users assigned themselves, or direct members of an assigned group: nested members do not count (entra-docs)."""
    principals = [a["principalId"] for a in tenant.assignments if a["resourceId"] == service_principal_id]
    return {member for principal in principals for member in tenant.members.get(principal, [principal])}


def _threshold(secrets: dict[str, str]) -> int | None:
    try:
        settings = json.loads(secrets.get("SyncNotificationSettings", "{}"))
    except ValueError:
        return None
    return int(settings.get("DeleteThresholdValue") or 500) if settings.get("DeleteThresholdEnabled") else None


# One user ------------------------------------------------------------------------------------------------------------


def _guarded(job: _Job, user: Document, *, legacy: bool, leaving: bool = False) -> Outcome:
    try:
        return _one(job, user, legacy=legacy, leaving=leaving)
    except ScimError as failed:
        codes = {0: "Unavailable", 401: "InvalidCredentials", 409: "EntryConflict", 429: "TooManyRequests"}
        return Outcome("Failure", "other", f"{PREFIX}{codes.get(failed.status, 'ServiceIncompatible')}", failed.detail)
    except ExpressionError as unknown:
        return Outcome("Failure", "other", "AttributeMappingExpressionError", str(unknown))


def _one(job: _Job, user: Document, *, legacy: bool, leaving: bool) -> Outcome:
    target, problem = _matched(job, user)
    if problem is not None:
        return problem
    wanted = target_values(job.mapping, job.tenant, user, creating=target is None)
    if target is None:
        return _created(job, user, wanted)
    if leaving or is_departed(job.tenant, user):
        wanted = {"active": "False"}
    now = values_of(target)
    compliant = job.scim.is_compliant and not legacy
    todo = operations(now, wanted, is_compliant=compliant)
    with job.world.lock:
        job.links[user["id"]] = target["id"]
    if not todo or "Update" not in job.mapping.flows:
        text = "The state of the user in both the source and target systems already match."
        return Outcome("Skipped", "other", "RedundantExport", text, target["id"], matched=target)
    # The real engine compares with its own record; what the endpoint does not store would be sent in every cycle here.
    stored = values_of(job.scim.patch(target["id"], todo))
    changed = {
        path: (now.get(path), value) for path, value in wanted.items() if str(now.get(path, "")).lower() != str(value).lower()
    }
    if stored == now:
        return Outcome("Skipped", "other", "RedundantExport", "The target holds no other values.", target["id"], matched=target)
    action = "disable" if str(wanted.get("active")).lower() == "false" else "update"
    return Outcome("Success", action, target_id=target["id"], changed=changed, matched=target)


def _matched(job: _Job, user: Document) -> tuple[Document | None, Outcome | None]:
    """Return the linked or found target user. Matching stops at the first attribute with a hit."""
    if linked := job.links.get(user["id"]):
        try:
            return job.scim.get(linked), None
        except ScimError as failed:
            if failed.status != 404:
                raise
            with job.world.lock:
                del job.links[user["id"]]
            return None, Outcome("Failure", "other", "InvalidAnchor", "The linked user no longer exists in the target system.")
    wanted = target_values(job.mapping, job.tenant, user, creating=True)
    for attribute in job.mapping.matching:
        if attribute not in wanted:
            continue
        found = job.scim.find(attribute, str(wanted[attribute]))
        if len(found) > 1:
            return None, Outcome("Failure", "other", "DuplicateTargetEntries", f"{len(found)} users match {attribute}.")
        if found:
            return found[0], None
    return None, None


def _created(job: _Job, user: Document, wanted: dict[str, Any]) -> Outcome:
    if "Add" not in job.mapping.flows or is_departed(job.tenant, user):
        # Unverified: no source shows the code for "no match and Create off"; these words are the sandbox's.
        text = "The user is not present in the target system and creating users is turned off."
        return Outcome("Skipped", "other", "SandboxNoMatchAndCreateOff", text)
    made = job.scim.create(wanted)
    with job.world.lock:
        job.links[user["id"]] = made["id"]
    return Outcome("Success", "create", target_id=made["id"], changed={path: (None, value) for path, value in wanted.items()})


def _deleted(job: _Job, object_id: str) -> Outcome:
    """Delete the target of a user that is gone from Entra for good."""
    target = job.links[object_id]
    if "Delete" not in job.mapping.flows:
        return Outcome("Skipped", "other", "EntrySynchronizationSkipped", "Deleting users is turned off.", target)
    try:
        job.scim.delete(target)
    except ScimError as failed:
        if failed.status != 404:
            return Outcome("Failure", "other", f"{PREFIX}ServiceIncompatible", failed.detail, target)
    with job.world.lock:
        del job.links[object_id]
    return Outcome("Success", "delete", target_id=target)


# Records -------------------------------------------------------------------------------------------------------------


def _quarantine(job: _Job, reason: str, code: str, message: str) -> None:
    now = job.world.clock.graph()
    problem = {"code": code, "message": message, "tenantActionable": True}
    status = job.document["status"]
    count = status["countSuccessiveCompleteFailures"] + 1
    status.update(code="Quarantine", countSuccessiveCompleteFailures=count)
    status["lastExecution"] = _execution(job, "Failed", {}, 0) | {"error": problem}
    status["quarantine"] = {
        "currentBegan": now,
        "nextAttempt": now,
        "reason": reason,
        "seriesBegan": now,
        "seriesCount": count,
        "error": problem,
    }


def _finished(job: _Job, counts: dict[str, int], escrowed: int) -> None:
    status, now = job.document["status"], job.world.clock.graph()
    execution = _execution(job, "EntryLevelErrors" if escrowed else "Succeeded", counts, escrowed)
    status.update(code="Active", countSuccessiveCompleteFailures=0, lastExecution=execution, lastSuccessfulExecution=execution)
    if status["steadyStateFirstAchievedTime"].startswith("0001"):
        status["steadyStateFirstAchievedTime"] = now
    status["steadyStateLastAchievedTime"] = now
    status["synchronizedEntryCountByType"] = [{"key": "User to SCIM User", "value": len(job.links)}]


def _execution(job: _Job, state: str, counts: dict[str, int], escrowed: int) -> Document:
    exported = sum(count for action, count in counts.items() if action != "other")
    now = job.world.clock.graph()
    return {
        "activityIdentifier": job.world.ids.guid(),
        "countEntitled": sum(counts.values()),
        "countEntitledForProvisioning": sum(counts.values()),
        "countEscrowed": escrowed,
        "countEscrowedRaw": escrowed,
        "countExported": exported,
        "countExports": exported,
        "countImported": sum(counts.values()),
        "countImportedDeltas": 0,
        "countImportedReferenceDeltas": 0,
        "state": state,
        "error": None,
        "timeBegan": now,
        "timeEnded": now,
    }


def _log(job: _Job, user: Document, outcome: Outcome) -> Document:
    """Append a provisioning log record, as seen live in 2026-07 (graph2otel test record): lower-case words."""
    failed = outcome.result == "Failure"
    record: Document = {
        "id": job.world.ids.guid(),
        "activityDateTime": job.world.clock.graph(),
        "changeId": job.world.ids.guid(),
        "cycleId": job.world.ids.guid(),
        "jobId": job.document["id"],
        "tenantId": job.tenant.id,
        "durationInMilliseconds": 630,
        "provisioningAction": outcome.action,
        "provisioningStatusInfo": {
            "status": outcome.result.lower(),
            "errorInformation": {"errorCode": outcome.code, "reason": outcome.message} if failed else None,
        },
        "sourceIdentity": {"id": user["id"], "displayName": user.get("displayName", ""), "identityType": "User"},
        "targetIdentity": {"id": outcome.target_id, "displayName": "", "identityType": "User"},
        "modifiedProperties": [],
        "provisioningSteps": [],
    }
    job.tenant.provisioning_log.append(record)
    return record


def _verdict(
    world: World, tenant: EntraTenant, user: Document, outcome: Outcome, change_id: str, *, assigned: bool, kind: str
) -> Document:
    """Return Graph's answer: the verdict is JSON in `key`, the details JSON in `value` (provisionondemand page, example)."""
    now = world.clock.graph()
    details = {"errorCode": outcome.code, "errorMessage": outcome.message}
    name = user.get("userPrincipalName", user["id"])

    def step(name_: str, type_: str, status: str, description: str, about: dict[str, Any]) -> Document:
        return {"name": name_, "type": type_, "status": status, "description": description, "timestamp": now, "details": about}

    steps = [
        step("EntryImport", "Import", "Success", f"Retrieved User '{name}' from Azure Active Directory", {"objectId": user["id"]})
    ]
    if outcome.matched is not None:
        about = {path: str(value) for path, value in values_of(outcome.matched).items()} | {"id": outcome.target_id}
        steps.append(step("EntryImport", "Matching", "Success", f"Retrieved  '{name}' from customappsso", about))
    active = str(source_value(tenant, user, "IsSoftDeleted") != "True")
    scope = {"Active in the source system": active, "Assigned to the application": str(assigned), "ScopeEvaluationResult": "{}"}
    text = f"Determine if {kind} in scope by evaluating against each scoping filter"
    steps.append(step("EntrySynchronizationScoping", "Scoping", "Success" if assigned else "Failure", text, scope))
    exports = {"create": "EntryExportAdd", "update": "EntryExportUpdate", "disable": "EntryExportUpdate"}
    export = exports.get(outcome.action, "EntrySynchronizationSkip")
    about = {path: str(after) for path, (_, after) in outcome.changed.items()} or {"SkipReason": outcome.code}
    steps.append(step(export, "Export", outcome.result, outcome.message or f"User '{name}' was updated in customappsso", about))
    value = {
        "action": outcome.action.capitalize(),
        "changeId": change_id,
        "startTime": now,
        "endTime": now,
        "reportableIdentifier": name,
        "modifiedProperties": [
            {"displayName": path, "oldValue": None if before is None else str(before), "newValue": str(after)}
            for path, (before, after) in outcome.changed.items()
        ],
        "provisioningSteps": steps,
        "statusInfo": {
            "status": outcome.result,
            "errorCode": outcome.code or None,
            "reason": outcome.message or None,
            "additionalDetails": None,
            "errorCategory": None,
            "recommendedAction": None,
        },
        "sourceIdentity": {"id": user["id"], "type": kind, "displayName": None, "details": None},
        "sourceSystem": {"id": None, "name": "Azure Active Directory", "details": None},
        "targetIdentity": {"id": outcome.target_id, "type": "User", "displayName": None, "details": None},
        "targetSystem": {"id": None, "name": "customappsso", "details": None},
    }
    key = {"result": outcome.result, "details": details if outcome.code else None}
    context = "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.stringKeyStringValuePair"
    return {"@odata.context": context, "key": json.dumps(key), "value": json.dumps(value)}
