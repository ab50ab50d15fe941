"""What became of one person, and the records of it: the log row of a cycle, and the verdict of provision on demand.

Source: a live log record of July 2026 (graph2otel's test), the example of the provisionondemand page, entra-docs
provision-on-demand (skips, numbered reasons).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.entra_engine.people import Standing
from runbook_lib.sandbox.entra_engine.schema import USER_TARGET
from runbook_lib.sandbox.world import Document, EntraTenant, World

ENTRA = "Microsoft Entra ID"
_EXPORTS = {
    "create": "EntryExportAdd",
    "update": "EntryExportUpdate",
    "disable": "EntryExportUpdate",
    "delete": "EntryExportDelete",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one user: `result` is Success, Skipped or Failure; `action` create, update, disable, delete or other.

    `changed` holds before and after by target attribute; `matched` the target's values, when it was read.
    """

    result: str
    action: str
    code: str = ""
    message: str = ""
    target_id: str = ""
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    matched: dict[str, str] | None = None
    standing: Standing = field(default_factory=lambda: Standing(True, True))


def skipped(user: Document, standing: Standing, target_id: str = "") -> Outcome:
    """Return the skip of a person who is not in scope, with its reasons numbered."""
    reasons = " ".join(f"{number}) {reason}" for number, reason in enumerate(standing.reasons(), start=1))
    text = f"The User '{_name(user)}' will be skipped due to the following reasons: {reasons}"
    action = "other" if target_id else "create"
    return Outcome("Skipped", action, "NotEffectivelyEntitled", text, target_id, standing=standing)


def _name(user: Document) -> str:
    return str(user.get("userPrincipalName") or user["id"])


def modified(outcome: Outcome) -> list[Document]:
    """Return what changed, each with the value before and after."""
    return [
        {"displayName": path, "oldValue": None if before is None else str(before), "newValue": str(after)}
        for path, (before, after) in outcome.changed.items()
    ]


def _steps(user: Document, outcome: Outcome) -> list[Document]:
    """Return the steps: name, type, status, description, details. The spelling of types and statuses is that of verdicts."""

    def step(name: str, kind: str, status: str, description: str, details: Document) -> Document:
        return {"name": name, "type": kind, "status": status, "description": description, "details": details}

    name, standing = _name(user), outcome.standing
    found = [step("EntryImport", "Import", "Success", f"Retrieved User '{name}' from {ENTRA}", {"objectId": user["id"]})]
    if outcome.matched is not None:
        found.append(step("EntryImport", "Matching", "Success", f"Retrieved  '{name}' from customappsso", outcome.matched))
    scope = {
        "Active in the source system": str(standing.is_active),
        "Assigned to the application": str(standing.is_assigned),
        "User has the required role": str(standing.is_assigned),
        "Scoping filter evaluation passed": str(standing.passes and standing.passes_input),
        "ScopeEvaluationResult": "{}",
    }
    text = "Determine if User in scope by evaluating against each scoping filter"
    found.append(step("EntrySynchronizationScoping", "Scoping", "Success" if standing.is_in_scope else "Failure", text, scope))
    found.append(step(*_export(user, outcome)))
    return found


def _export(user: Document, outcome: Outcome) -> tuple[str, str, str, str, Document]:
    """Return the last step: what was sent, or why nothing was."""
    if outcome.result == "Skipped":
        details = {"SkipReason": outcome.code, "ReportableIdentifier": _name(user)}
        if outcome.code == "NotEffectivelyEntitled":
            standing = outcome.standing
            details |= {
                "IsActive": str(standing.is_active),
                "Assigned to the application": str(standing.is_assigned),
                "IsInProvisioningScope": str(standing.passes and standing.passes_input),
            }
        return "EntrySynchronizationSkip", "Export", "Skipped", outcome.message, details
    name = _EXPORTS.get(outcome.action, "EntryExportUpdate")
    text = outcome.message or f"User '{_name(user)}' was {outcome.action}d in customappsso"
    details = {path: str(after) for path, (_, after) in outcome.changed.items()}
    return name, "Export", outcome.result, text, details or ({"ErrorCode": outcome.code} if outcome.code else {})


# The log -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LogBook:
    """What all rows of one job's cycle have in common, kept once."""

    world: World
    tenant: EntraTenant
    job_id: str
    cycle_id: str
    principal: Document
    source: Document
    target: Document

    def add(self, user: Document, outcome: Outcome) -> Document:
        """Append a row of the provisioning log and return it."""
        steps = [
            {**{key: value for key, value in step.items() if key != "type"}, "status": step["status"].lower()}
            | {"provisioningStepType": step["type"].lower()}
            for step in _steps(user, outcome)
        ]
        shown, details = user.get("displayName") or "", {"id": user["id"], "odatatype": "User"}
        row: Document = {
            "id": self.world.ids.guid(),
            "activityDateTime": self.world.clock.graph(),
            "changeId": self.world.ids.guid(),
            "cycleId": self.cycle_id,
            "durationInMilliseconds": 630,
            "initiatedBy": {"displayName": "Azure AD Provisioning Service", "id": "", "initiatorType": "system"},
            "jobId": self.job_id,
            "modifiedProperties": modified(outcome),
            "provisioningAction": outcome.action,
            "provisioningStatusInfo": {"errorInformation": _error(outcome), "status": outcome.result.lower()},
            "provisioningSteps": steps,
            "servicePrincipal": self.principal,
            "sourceIdentity": {
                "details": {"DisplayName": shown, **details},
                "displayName": shown,
                "id": user["id"],
                "identityType": "User",
            },
            "sourceSystem": self.source,
            "targetIdentity": {"details": {}, "displayName": "", "id": outcome.target_id, "identityType": USER_TARGET},
            "targetSystem": self.target,
            "tenantId": self.tenant.id,
        }
        self.tenant.provisioning_log.append(row)
        return row


def _error(outcome: Outcome) -> Document | None:
    if outcome.result != "Failure":
        return None
    return {
        "additionalDetails": None,
        "errorCategory": "failure",
        "errorCode": outcome.code,
        "reason": outcome.message,
        "recommendedAction": None,
    }


def log_book(world: World, tenant: EntraTenant, principal_id: str, job_id: str, schema: Document) -> LogBook:
    """Return the log book of one cycle, or of one provision on demand."""
    principal = tenant.service_principals[principal_id]
    ids = {bool(one.get("readOnly")): one.get("id") for one in schema.get("directories") or []}
    details = {
        "ApplicationId": principal["applicationTemplateId"],
        "ServicePrincipalDisplayName": principal["displayName"],
        "ServicePrincipalId": principal["id"],
    }
    return LogBook(
        world,
        tenant,
        job_id,
        world.ids.guid(),
        {"displayName": principal["displayName"], "id": principal["id"]},
        {"details": {}, "displayName": ENTRA, "id": ids.get(True)},
        {"details": details, "displayName": "customappsso", "id": ids.get(False)},
    )


def verdict(world: World, user: Document, outcome: Outcome, change_id: str, kind: str) -> Document:
    """Return Graph's answer: the verdict is JSON in `key`, the details JSON in `value` (provisionondemand page, example)."""
    now = world.clock.graph()
    value = {
        "action": outcome.action.capitalize(),
        "changeId": change_id,
        "startTime": now,
        "endTime": now,
        "reportableIdentifier": _name(user),
        "modifiedProperties": modified(outcome),
        "provisioningSteps": [{**step, "timestamp": now} for step in _steps(user, outcome)],
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
        "targetIdentity": {"id": outcome.target_id, "type": USER_TARGET, "displayName": None, "details": None},
        "targetSystem": {"id": None, "name": "customappsso", "details": None},
    }
    details = {"errorCode": outcome.code, "errorMessage": outcome.message}
    key = {"result": outcome.result, "details": details if outcome.code else None}
    context = "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.stringKeyStringValuePair"
    return {"@odata.context": context, "key": json.dumps(key), "value": json.dumps(value)}
