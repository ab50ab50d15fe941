"""Take back what one run made, in reverse, and nothing else: each thing is a step like those of the procedure.

What to take back is read from the run's journal; how things are now is read from the services. A thing goes by its id, a value
when it stands as the run wrote it and no later run has written it again. What no answer told is left and named, and so is
what others have done since. While a provisioning job is on that this run did not start, nothing is taken back at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from runbook_lib.engine.step import Step, TakeBack
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.steps import applications
from runbook_lib.steps.undoing.doubts import in_doubt
from runbook_lib.steps.undoing.others import in_application
from runbook_lib.steps.undoing.readings import InEntra
from runbook_lib.steps.undoing.undo import Undo
from runbook_lib.tenant import facts
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Record, Written


def ways_back(procedure: Procedure) -> Mapping[str, TakeBack]:
    """Return how each kind of write of a procedure's steps is taken back."""
    return {way.kind: way for row in procedure for way in row.body.undone_by()}


def in_order(own: tuple[Written, ...], ways: Mapping[str, TakeBack]) -> tuple[Written, ...]:
    """Return the writes in the order to take them back, the latest first as a rule."""
    return tuple(sorted(own, key=lambda entry: (ways[entry.kind].turn, -own.index(entry))))


def steps_to_undo(
    procedure: Procedure, record: Record, application_name: str = "", *, is_plan: bool = False
) -> tuple[tuple[Step, ...], Undo]:
    """Return one step for each write of the run, numbered `-1`, `-2`, … in that order, and the undo that they belong to."""
    undo = Undo(record, application_name, is_plan)
    ways = ways_back(procedure)
    ordered = in_order(record.own, ways)
    numbered = [(f"-{position}", entry) for position, entry in enumerate(ordered, start=1)]
    made = {entry.service_principal: entry for entry in ordered if entry.kind == "application" and entry.is_certain}
    undo.deletable = lambda view, service_principal: _is_deleted(undo, made, view, service_principal)
    return tuple(_made_step(undo, number, entry, ways[entry.kind]) for number, entry in numbered), undo


def _made_step(undo: Undo, number: str, entry: Written, way: TakeBack) -> Step:
    if not entry.is_certain or (way.made and way.made not in entry.ids):
        return in_doubt(undo, number, entry, way)
    return way.step(undo, number, entry)


def _is_deleted(undo: Undo, made: dict[str, Written], view: View, service_principal: str) -> bool:
    """Whether the application of that id is the run's own and nothing of others keeps it."""
    if service_principal not in made:
        return False
    found = InEntra(service_principal)
    principal = view.read(found.principal)
    if principal is None:
        return True
    theirs = view.read(in_application(undo.record, made[service_principal], found))
    return not applications.not_to_delete(principal, theirs, view.read(facts.connection_id), undo.application_name)
