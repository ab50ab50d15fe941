"""A procedure with one side handed over: the same rows, done without a sign-in there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runbook_lib.engine.step import Body, Step
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.by_hand import AUTH0, NOTHING_SENT


def steps_for(procedure: Procedure, settings: TenantSettings) -> tuple[Step, ...]:
    """Return the steps of all rows, those of a side that is handed over as they are done without a sign-in there."""
    sides: tuple[str, ...] = (settings.handed_over,) if settings.handed_over else ()
    if settings.handed_over == AUTH0 and not (settings.scim_endpoint and settings.scim_token):
        sides = (NOTHING_SENT, AUTH0)
    return tuple(replace(step, body=_done_by_hand(step.body, sides)) for step in procedure.steps)


def _done_by_hand(body: Body, sides: Iterable[str]) -> Body:
    return next((body.elsewhere[side] for side in sides if side in body.elsewhere), body)
