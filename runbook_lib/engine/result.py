"""The result of a step, and the plan of what it wants to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runbook_lib.engine.values import Change, Diff, Handover, Hazard, Table


@dataclass(frozen=True)
class StepResult:
    """What became of one step. `status` is one of UNCHANGED PLANNED CHANGED PASSED NOTED HANDOVER SKIPPED BLOCKED FAILED.

    `waits_for` is the step that makes what this one needs, `hazards` what must be accepted first; both mostly empty.
    `handover` is what the other administrator has to do or has done. `is_left`: something stays that the step is about.
    """

    step: str
    title: str
    kind: str
    status: str
    reason: str = ""
    remedy: str = ""
    diffs: tuple[Diff, ...] = ()
    tables: tuple[Table, ...] = field(default=(), compare=False)
    waits_for: str = ""
    hazards: tuple[Hazard, ...] = ()
    handover: Handover | None = field(default=None, compare=False)
    is_left: bool = False


@dataclass(frozen=True)
class Plan:
    """What a step wants: its changes and what it reports. `is_skipped`: the settings leave the step out."""

    changes: tuple[Change, ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    handover: Handover | None = None
    hazards: tuple[Hazard, ...] = ()
    is_left: bool = False
    is_skipped: bool = False

    @property
    def dangers(self) -> tuple[Hazard, ...]:
        """Every hazard of the step and of its changes, each name once."""
        of_changes = (change.hazard for change in self.changes if change.hazard is not None)
        return tuple({hazard.name: hazard for hazard in (*self.hazards, *of_changes)}.values())

    @property
    def diffs(self) -> tuple[Diff, ...]:
        """The differences of all changes."""
        return tuple(diff for change in self.changes for diff in change.diffs)

    @property
    def is_awaited(self) -> bool:
        """Whether the service has accepted every change already and only has to list them."""
        return bool(self.changes) and all(change.is_awaited for change in self.changes)

    def wants_the_same_as(self, other: Plan) -> bool:
        """Whether both plans remove the same differences from the same things."""
        return _wanted(self) == _wanted(other)


def _wanted(plan: Plan) -> tuple[Any, ...]:
    return tuple((change.on, change.diffs) for change in plan.changes)


def after_writing(before: tuple[Table, ...], after: tuple[Table, ...]) -> tuple[Table, ...]:
    """Return a written step's tables: each as it was read after the write, but one that compares before and after stays."""
    fresh = {table.title: table for table in after}
    kept = tuple(table if table.stays else fresh.get(table.title, table) for table in before)
    return kept + tuple(table for table in after if table.title not in {one.title for one in before})


def diff_row(diff: Diff) -> dict[str, str]:
    """Return a diff as the files hold it."""
    return {"on": diff.on, "field": diff.field, "before": diff.before, "after": diff.after}


def result_row(result: StepResult) -> dict[str, Any]:
    """Return a result as results.json and the journal hold it: all that the report shows of it."""
    return {
        "step": result.step,
        "title": result.title,
        "kind": result.kind,
        "status": result.status,
        "reason": result.reason,
        "remedy": result.remedy,
        "diffs": [diff_row(diff) for diff in result.diffs],
        "tables": [{"title": table.title, "columns": table.columns, "rows": table.rows} for table in result.tables],
    }
