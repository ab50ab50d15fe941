"""One person through a job: matching, comparing, sending. Source: entra-docs how-provisioning-works and its siblings.

No function here holds the world's lock while it talks to the SCIM endpoint, whose handlers need it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.sandbox.entra_engine.expressions import Evaluator, ExpressionError, Value, text
from runbook_lib.sandbox.entra_engine.outcome import LogBook, Outcome, skipped
from runbook_lib.sandbox.entra_engine.people import Standing, attribute
from runbook_lib.sandbox.entra_engine.schema import USER_TARGET, UserMapping, has_source
from runbook_lib.sandbox.entra_engine.scim_calls import ScimClient, ScimError, differs, operations, values_of
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning, World

PREFIX = "SystemForCrossDomainIdentityManagement"
_MANAGER = f"{USER_TARGET}:manager"


@dataclass(frozen=True)
class Job:
    """One job as the engine holds it while it works. `links` leads from object ids to target ids, `departed` to reasons."""

    world: World
    tenant: EntraTenant
    provisioning: Provisioning
    document: Document
    mapping: UserMapping
    scim: ScimClient
    links: dict[str, str]
    departed: dict[str, str]
    log: LogBook


@dataclass(frozen=True)
class Found:
    """A target user and its values by path as they are now."""

    id: str
    values: dict[str, Any]


def provisioned(job: Job, user: Document, standing: Standing, *, legacy: bool) -> Outcome:
    """Match and update, or create, a person who is in scope; failures are outcomes too."""
    return _guarded(job, user, standing, lambda: _provisioned(job, user, standing, legacy=legacy))


def disabled(job: Job, user: Document, standing: Standing, *, legacy: bool) -> Outcome:
    """Send a departure as far as the mapping says so: the target attribute `active`, when its row comes to False."""
    return _guarded(job, user, standing, lambda: _disabled(job, user, standing, legacy=legacy))


def _guarded(job: Job, user: Document, standing: Standing, work: Any) -> Outcome:
    try:
        done: Outcome = work()
    except ScimError as failed:
        codes = {0: "Unavailable", 401: "InvalidCredentials", 409: "EntryConflict", 429: "TooManyRequests"}
        code = f"{PREFIX}{codes.get(failed.status, 'ServiceIncompatible')}"
        done = Outcome("Failure", "other", code, failed.detail, job.links.get(user["id"], ""))
    except ExpressionError as wrong:  # Unverified: its code, and that one such row fails the whole person
        done = Outcome("Failure", "other", "AttributeMappingExpressionError", str(wrong), job.links.get(user["id"], ""))
    return replace(done, standing=standing)


# Values --------------------------------------------------------------------------------------------------------------


def evaluator(job: Job, user: Document, standing: Standing) -> Evaluator:
    """Return what evaluates the job's mapping for one person."""

    def read(name: str) -> Value:
        return str(not standing.is_entitled) if name == "IsSoftDeleted" else attribute(job.tenant, user, name)

    return Evaluator(
        read,
        job.world.clock.now,
        null_is_empty=job.world.switches["null_in_expressions"] == "empty",
        iif_compares_null=job.world.switches["null_in_iif"] == "compares",
    )


def wanted_values(job: Job, user: Document, standing: Standing, now: dict[str, Any] | None) -> dict[str, str]:
    """Return the wanted values by target attribute; empty ones are absent, since nulls are never sent (entra-docs).

    `now` is None at creation; only then ObjectAddOnly rows flow. Unverified: other flow types than Always flow where the target
    has no value. Raises `ExpressionError`.
    """
    evaluate = evaluator(job, user, standing)
    found: dict[str, str] = {}
    for row in job.mapping.rows:
        target, flow = str(row["targetAttributeName"]), row.get("flowType") or "Always"
        if now is not None and (flow == "ObjectAddOnly" or (flow != "Always" and now.get(target) not in (None, ""))):
            continue
        value = text(_source_value(job, user, row, evaluate))
        is_empty = now is None or (not has_source(row) and now.get(target) in (None, ""))  # the type None: its default then
        if value in (None, "") and (is_empty or job.world.switches["default_value"] == "when_null"):
            value = row.get("defaultValue")
        if value not in (None, ""):
            found[target] = str(value)
    return found


def _source_value(job: Job, user: Document, row: Document, evaluate: Evaluator) -> Value:
    if not has_source(row):
        return None
    return _manager(job, user) if row["source"].get("name") == "manager" else evaluate.value(row["source"])


def _manager(job: Job, user: Document) -> str | None:
    """Return the target id of the person's manager: a reference flows only when the manager is linked (entra-docs).

    Unverified: a softly deleted manager is none, as Graph answers it.
    """
    manager = job.tenant.managers.get(user["id"], "")
    return job.links.get(manager) if manager in job.tenant.users else None


# In scope ------------------------------------------------------------------------------------------------------------


def _provisioned(job: Job, user: Document, standing: Standing, *, legacy: bool) -> Outcome:
    target = _matched(job, user, standing)
    if isinstance(target, Outcome):
        return target
    if target is None:
        return _created(job, user, standing)
    with job.world.lock:
        job.links[user["id"]] = target.id
        job.departed.pop(user["id"], None)
    return _updated(job, target, wanted_values(job, user, standing, target.values), legacy=legacy)


def _updated(job: Job, target: Found, wanted: dict[str, str], *, legacy: bool) -> Outcome:
    """Send what differs, and nothing when nothing does."""
    exact, now = job.mapping.case_exact, target.values
    changed = {
        path: (now.get(path), value) for path, value in wanted.items() if differs(now.get(path), value, exact=path in exact)
    }
    seen = {path: str(value) for path, value in now.items()} | {"id": target.id}
    if not changed or "Update" not in job.mapping.flows:
        return Outcome("Skipped", "other", "RedundantExport", _SAME, target.id, matched=seen)
    todo = operations(
        now, {path: after for path, (_, after) in changed.items()}, is_compliant=job.scim.is_compliant and not legacy
    )
    # The real engine compares with its own record; what the endpoint does not store would be sent in every cycle here.
    if values_of(job.scim.patch(target.id, todo)) == now:
        return Outcome("Skipped", "other", "RedundantExport", _SAME, target.id, matched=seen)
    action = "disable" if wanted.get("active", "").lower() == "false" else "update"
    return Outcome("Success", action, target_id=target.id, changed=changed, matched=seen)


_SAME = "The state of the entry in both the source and target systems already match."


def _matched(job: Job, user: Document, standing: Standing) -> Found | Outcome | None:
    """Return the linked or found target user, None when there is none, or what went wrong.

    Once linked, only the link counts. Before, one request for each matching row with a value, by priority, until one hits; the
    found user is changed without a further request (a trace: OneUptime issue 2134).
    """
    if linked := job.links.get(user["id"]):
        return _linked(job, user, linked)
    evaluate, asked = evaluator(job, user, standing), False
    for row in job.mapping.matching:
        path, value = str(row["targetAttributeName"]), text(evaluate.value(row["source"]))
        if not value:
            continue
        asked = True
        found = job.scim.find(path, value)
        if len(found) > 1:
            return Outcome("Failure", "other", "DuplicateTargetEntries", f"{len(found)} users match {path}.")
        if found:
            return _readable(job, found[0])
    if not asked:
        return Outcome("Skipped", "other", "ImportSkipped", "The object has no value for any matching attribute.")
    return None


def _linked(job: Job, user: Document, target_id: str) -> Found | Outcome:
    try:
        return _readable(job, job.scim.get(target_id))
    except ScimError as failed:
        if failed.status != 404:
            raise
    with job.world.lock:
        job.links.pop(user["id"], None)
    return Outcome("Failure", "other", "InvalidAnchor", "The linked user no longer exists in the target system.", target_id)


def _readable(job: Job, resource: Document) -> Found:
    """Return a target user as the engine reads it. Raises `ScimError` for a manager that is a mere text.

    Auth0's support article on the manager row reports that Entra cannot deserialize such an answer; the code is Unverified.
    """
    values = values_of(resource)
    if job.world.switches["manager_in_answers"] == "fails" and isinstance(values.get(_MANAGER), str):
        raise ScimError(200, "Deserialization of the response failed: the value of manager is not a complex attribute.")
    return Found(str(resource["id"]), values)


def _created(job: Job, user: Document, standing: Standing) -> Outcome:
    if "Add" not in job.mapping.flows:
        # Unverified: no source shows the code for "no match and Create off"; the code and its reason are the sandbox's, the
        # shape is that of other skips.
        reason = "1) This object is not present in the target system and creating objects is turned off."
        name = user.get("userPrincipalName") or user["id"]
        message = f"The User '{name}' will be skipped due to the following reasons: {reason}"
        return Outcome("Skipped", "create", "SandboxNoMatchAndCreateOff", message)
    wanted = wanted_values(job, user, standing, None)
    made = job.scim.create(wanted)
    with job.world.lock:
        job.links[user["id"]] = made["id"]
    return Outcome("Success", "create", target_id=made["id"], changed={path: (None, value) for path, value in wanted.items()})


# Out of scope --------------------------------------------------------------------------------------------------------


def _disabled(job: Job, user: Document, standing: Standing, *, legacy: bool) -> Outcome:
    """Disable. What is not mapped does not flow: without a row for `active`, or with one that stays True, nothing is sent.

    Unverified: that a departure sends nothing but `active`.
    """
    target = _matched(job, user, standing)
    if target is None or isinstance(target, Outcome):
        return target or skipped(user, standing)
    with job.world.lock:
        job.links[user["id"]] = target.id
        job.departed[user["id"]] = "inactive" if not standing.is_active else "out of scope"
    wanted = {path: value for path, value in wanted_values(job, user, standing, target.values).items() if path == "active"}
    return _updated(job, target, wanted if wanted.get("active", "").lower() == "false" else {}, legacy=legacy)


def deleted(job: Job, object_id: str) -> Outcome:
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
        job.links.pop(object_id, None)
        job.departed.pop(object_id, None)
    return Outcome("Success", "delete", target_id=target)
