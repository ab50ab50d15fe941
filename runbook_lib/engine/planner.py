"""What a step would do: readings in, a plan or a result out. Nothing is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from itertools import dropwhile
from typing import Any, TypeVar

from runbook_lib.core.errors import ApiError, RunbookError, StepBlocked, StepWaits
from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.result import Plan, StepResult
from runbook_lib.engine.step import Kind, Step, Yield
from runbook_lib.engine.tenant import Tenant
from runbook_lib.engine.values import Change, Diff, Finding, Handover, Hazard, Skipped, Table
from runbook_lib.http.retry import Pace

T = TypeVar("T")


class Planner:
    """Plans steps for one tenant. `is_too_young` tells whether an error only means that a service does not know an object yet."""

    def __init__(
        self,
        tenant: Tenant,
        *,
        pace: Pace,
        sleep: Callable[[float], None],
        numbers: StepNumbers,
        is_too_young: Callable[[ApiError], bool],
        steps: Callable[[], Iterable[Step]],
    ) -> None:
        self._tenant = tenant
        self._pace = pace
        self._sleep = sleep
        self._numbers = numbers
        self._is_too_young = is_too_young
        self._steps = steps
        self._has_read_ahead = False

    def look_ahead(self) -> None:
        """Read what all steps need, the first time this is asked for."""
        if not self._has_read_ahead:
            self.read_for(self._steps())

    def read_for(self, steps: Iterable[Step]) -> None:
        """Read what steps need in as few round trips as possible. An error is raised only where a step reads it."""
        self._has_read_ahead = True
        self._tenant.read_ahead(*dict.fromkeys(fact for step in steps for fact in step.body.reads))

    # Plans -----------------------------------------------------------------------------------------------------------

    def planned(self, step: Step, *, is_written: bool = False, shown: frozenset[str] = frozenset()) -> Plan:
        """Plan a step. Wait while a service does not know an object yet that was created a moment ago.

        With `is_written` to see what the step's write has done; `shown` are the names of the readings that its answer held.
        """
        for wait in self._pace.waits():
            try:
                return self._at_once(step, is_written, shown)
            except ApiError as error:
                if not self._is_too_young(error):
                    raise
                self._sleep(wait)
                looked_at = [fact for fact in step.body.stale[:1] if fact.name not in shown]
                if is_written and looked_at:  # time has passed: repeat the look at the write, and the readings that it depends on
                    self._tenant.forget(*looked_at)
        return self._at_once(step, is_written, shown)

    def _at_once(self, step: Step, is_written: bool, shown: frozenset[str]) -> Plan:
        if is_written:
            self._drop_what_came_with_the_last_look(step, shown)
        self.read_for(self._until_a_write(step, is_written) if self._has_read_ahead else self._steps())
        values = [self._tenant.read(fact) for fact in step.body.reads]
        said: list[Yield] = []
        try:
            for entry in step.body.function(*values, self._tenant.settings):
                said.append(with_numbers(entry, self._numbers))
        except StepWaits as waits:
            found = plan_of(said)
            waits.found, waits.tables, waits.hazards = " ".join(found.findings), found.tables, found.hazards
            raise
        return plan_of(said)

    def _until_a_write(self, step: Step, is_written: bool) -> Iterator[Step]:
        """Yield a step and the following ones up to the first that may write: until then no write makes their readings stale."""
        for other in dropwhile(lambda one: one is not step, self._steps()):
            yield other
            if other.kind in (Kind.ENSURE, Kind.PROBE) and not (is_written and other is step):
                return

    def _drop_what_came_with_the_last_look(self, written: Step, shown: frozenset[str]) -> None:
        """Drop readings of what the next write replaces, if they came with a look at this write that was too early.

        The next look reads them again in the same request, and so right before that write.
        """
        following = [step for step in self._until_a_write(written, is_written=True) if step is not written]
        for fact in dict.fromkeys(step.body.stale[0] for step in following if step.body.stale):
            if fact.name not in shown and self._tenant.is_latest(fact, math.inf):
                self._tenant.forget(fact)

    # Results ---------------------------------------------------------------------------------------------------------

    def plan(self, step: Step) -> StepResult:
        """Return what a step would do, without writing."""
        try:
            plan = self.planned(step)
        except RunbookError as error:
            return self.from_error(step, error)
        if held := self.held(step, plan):
            return held
        done = "SKIPPED" if plan.is_skipped else "NOTED" if plan.is_left else _DONE.get(step.kind, "UNCHANGED")
        if plan.handover is not None and not plan.changes:
            return self.handed_over(step, plan, plan.diffs, done)
        reason = " ".join(plan.findings)
        if plan.changes and step.body.saved_by:
            reason = f"{reason} Saved by step {self._numbers.of(step.body.saved_by)}.".strip()
        status = "PLANNED" if plan.changes else done
        return self.result(step, status, reason, "", plan.diffs, plan.tables + self.accepted(plan))

    def accepted(self, plan: Plan) -> tuple[Table, ...]:
        """Return which of a step's hazards were accepted, with the person and the time."""
        rows = tuple(self._acceptance(hazard) for hazard in plan.dangers)
        return (Table("Accepted", ("what", "people", "why it was asked", "by", "when"), rows),) if rows else ()

    def _acceptance(self, hazard: Hazard) -> tuple[str, ...]:
        given = self._tenant.settings.accepted
        records = [one for one in given if one.hazard == hazard.name and one.count >= hazard.count]
        who, when = (records[-1].who, records[-1].when) if records else ("the settings", "")
        return (hazard.name, str(hazard.count or ""), hazard.why, who, when)

    def handed_over(self, step: Step, plan: Plan, diffs: tuple[Diff, ...], done: str) -> StepResult:
        """Return the result of a handed-over step: open for its administrator, or done as far as this side can see."""
        handover = plan.handover or Handover("")
        status = {"open": "HANDOVER", "confirmed": "NOTED"}.get(handover.state, done)
        remedy = handover.remedy if handover.state == "open" else ""
        result = self.result(step, status, " ".join(plan.findings), remedy, diffs, plan.tables)
        return replace(result, handover=handover)

    def held(self, step: Step, plan: Plan) -> StepResult | None:
        """Return the result of a step with a hazard that a person must accept first. None when nothing is left to accept."""
        left = tuple(hazard for hazard in plan.dangers if not self._tenant.settings.accepts(hazard.name, hazard.count))
        if not left:
            return None
        remedy = f"If that is wanted, add accept: [{', '.join(hazard.name for hazard in left)}] to the settings"
        reason = ". ".join(dict.fromkeys(hazard.why.rstrip(".") for hazard in left))
        return replace(self.result(step, "BLOCKED", f"{reason}.", remedy, plan.diffs, plan.tables), hazards=left)

    def from_waits(self, step: Step, waits: StepWaits) -> StepResult:
        """Return the result of a step that waits for another step. A hazard that it has already named comes first."""
        diffs = with_numbers(tuple(diff for diff in waits.planned if isinstance(diff, Diff)), self._numbers)
        changes = (Change(step.title, diffs),) if diffs else ()
        plan = Plan(changes, (waits.found,), waits.tables, hazards=waits.hazards)
        if held := self.held(step, plan):
            return held
        came_back, do_now = self._numbers.put_in(waits.came_back), self._numbers.put_in(waits.do_now)
        reason, remedy = f"{waits.found} {came_back}.".strip(), "" if waits.thing else do_now
        tables = waits.tables + self.accepted(plan)
        result = self.result(step, "PLANNED" if diffs else "NOTED", reason, remedy, diffs, tables)
        return replace(result, waits_for=self._numbers.of(waits.thing))

    def from_error(self, step: Step, error: RunbookError) -> StepResult:
        """Return the result of a step that ended with an error."""
        if isinstance(error, StepWaits):
            return self.from_waits(step, error)
        if isinstance(error, StepBlocked):
            return self.result(step, "BLOCKED", self._numbers.put_in(error.reason), self._numbers.put_in(error.remedy))
        return self.result(step, "FAILED", f"{error.attempted}: {error.came_back}", self._numbers.put_in(error.do_now))

    def result(
        self,
        step: Step,
        status: str,
        reason: str = "",
        remedy: str = "",
        diffs: tuple[Diff, ...] = (),
        tables: tuple[Table, ...] = (),
    ) -> StepResult:
        """Return the result of a step."""
        return StepResult(step.number, step.title, str(step.kind), status, reason, remedy, diffs, tables)


_DONE = {Kind.CHECK: "PASSED", Kind.NOTE: "NOTED"}


def plan_of(said: Iterable[Yield]) -> Plan:
    """Return the plan that a body's values make."""
    entries = tuple(said)
    handovers = [entry for entry in entries if isinstance(entry, Handover)]
    return Plan(
        tuple(entry for entry in entries if isinstance(entry, Change)),
        tuple(entry.text for entry in entries if isinstance(entry, Finding)),
        tuple(entry for entry in entries if isinstance(entry, Table)),
        handovers[-1] if handovers else None,
        tuple(entry for entry in entries if isinstance(entry, Hazard)),
        any(isinstance(entry, Finding) and entry.is_left for entry in entries),
        any(isinstance(entry, Skipped) for entry in entries),
    )


def with_numbers(said: T, numbers: StepNumbers) -> T:
    """Return what a body has yielded, with the numbers of the steps filled in. Tables hold no numbers."""
    return _filled(said, numbers)  # type: ignore[no-any-return]


def _filled(value: Any, numbers: StepNumbers) -> Any:
    if isinstance(value, str):
        return numbers.put_in(value)
    if isinstance(value, tuple):
        return tuple(_filled(one, numbers) for one in value)
    if isinstance(value, Change):
        diffs = _filled(value.diffs, numbers)
        return value if diffs == value.diffs else replace(value, diffs=diffs)
    if isinstance(value, Diff | Finding | Handover | Hazard):
        changed = {one.name: new for one in fields(value) if (new := _filled(old := getattr(value, one.name), numbers)) != old}
        return replace(value, **changed) if changed else value
    return value
