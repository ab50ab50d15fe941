"""A procedure with one side handed over: the same rows, done without a sign-in there."""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.engine.step import Step
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.by_hand import AUTH0, waiting


def steps_for(procedure: Procedure, settings: TenantSettings) -> tuple[Step, ...]:
    """Return the steps of all rows, those of a side that is handed over as they are done without a sign-in there."""
    side = settings.handed_over
    if not side:
        return procedure.steps
    steps = tuple(replace(step, body=step.body.elsewhere.get(side, step.body)) for step in procedure.steps)
    if side == AUTH0 and not (settings.scim_endpoint and settings.scim_token):
        return tuple(replace(step, body=waiting(step.body)) if step.number[0] in "34" else step for step in steps)
    return steps
