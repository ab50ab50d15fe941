"""Read, plan, confirm, apply, wait, verify: the one place where a change becomes a request.

Before the first write every step is planned: when one of them is blocked, nothing at all is written. Every intent is on
disk before its request. An outcome in doubt is settled by reading; only what reading shows to be still missing is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Handover, Hazard, Table
from runbook_lib.errors import ApiError, RunbookError, StepBlocked, StepWaits, VerificationFailed
from runbook_lib.facts import Fact, View
from runbook_lib.http import Pace
from runbook_lib.journal import Journal
from runbook_lib.settings import RunMode
from runbook_lib.steps import STEPS, Kind, Step
from runbook_lib.writer import JUST_READ_S, Writer, diff_row

FRESH_S = 10.0  # a reading older than this is repeated before a write that depends on it
LOOKS = 5  # so many times in a row must a new object be missing before it counts as not made (terraform-provider-azuread)
SENDINGS = 3  # of one step's writes whose outcome is in doubt; then it is left to the next run
GATE = (
    facts.connection,
    facts.scim_configuration,
    facts.scim_tokens,
    facts.enterprise_applications,
    facts.saved_credentials,
    facts.schema,
    facts.jobs,
    facts.access,
    facts.assignments,
    facts.census,
    facts.test_user,
    facts.test_user_profiles,
)
ROUNDS = 40  # of apply and plan again: 40 batches of 20 assignments a round are enough for a large tenant


@dataclass(frozen=True)
class StepResult:
    """What became of one step. `status` is one of UNCHANGED PLANNED CHANGED PASSED NOTED HANDOVER SKIPPED BLOCKED FAILED.

    `waits_for` is the step that makes what this one needs, `hazard` the name of what must be accepted first; both mostly empty.
    `handover` is what somebody else has to do or has done.
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
    hazard: str = ""
    handover: Handover | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Plan:
    """What a step wants: its changes and what it reports."""

    changes: tuple[Change, ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...]
    handover: Handover | None = None


class Engine:
    """Carries out steps for one tenant. `on_result` is told every result, the latest of a step replacing the earlier."""

    def __init__(
        self,
        view: View,
        *,
        mode: RunMode,
        journal: Journal,
        pace: Pace,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steps: tuple[Step, ...] = STEPS,
        on_result: Callable[[StepResult], None] = lambda result: None,
    ) -> None:
        self._view = view
        self._mode = mode
        self._journal = journal
        self._pace = pace
        self._sleep = sleep
        self._now = now
        self._writer = Writer(view, journal=journal, pace=pace, sleep=sleep, now=now)
        self._on_result = on_result
        self._steps = {step.number: step for step in steps}
        self._held_by: StepResult | None = None
        self._is_surveyed = False
        self.results: dict[str, StepResult] = {}

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows and return its result. Errors of the services become results."""
        step = self._steps[number]
        if self._held_by is not None and self._held_by.step == number:
            result = self._held_by
        elif stopped := self._stopped():
            result = self._result(step, "SKIPPED", reason=f"not reached: step {stopped} did not succeed")
        else:
            result = self.plan(step)
            if self._mode is RunMode.APPLY and self._is_due(step, result):
                result = self.apply(step)
        return self._keep(result)

    def _is_due(self, step: Step, planned: StepResult) -> bool:
        """Whether a step has something to write, or to look for because a service may not show it yet."""
        if step.takes_back and planned.status == "UNCHANGED":
            return self._view.memory.made_lately(step.takes_back, self._now()) is not None
        return planned.status == "PLANNED" and step.kind is not Kind.STAGE

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it, whatever the mode, and return its result.

        Everything is read again first: the person may have mended in a console what held the writes back.
        """
        self._view.forget()
        self._is_surveyed, self._held_by = False, None
        return self._keep(self.apply(self._steps[number]))

    def release(self) -> None:
        """End this run's claim on the enterprise application."""
        self._writer.release()

    def _stopped(self) -> str:
        """Return the step because of which no later one is tried, empty when there is none.

        A step that is blocked in the midst of writing stops what is built on it; one that the survey found blocks all writes.
        """
        is_writing = self._mode is RunMode.APPLY and self._held_by is None
        bad = [
            r
            for r in self.results.values()
            if r.status == "FAILED" or (r.status == "BLOCKED" and (is_writing or r.step in ("0.1", "0.2", "1.1")))
        ]
        return bad[0].step if bad else ""

    def _keep(self, result: StepResult) -> StepResult:
        self.results[result.step] = result
        self._journal.write("result", **result_row(result))
        self._on_result(result)
        return result

    # Planning --------------------------------------------------------------------------------------------------------

    def plan(self, step: Step) -> StepResult:
        """Return what a step would do, without writing."""
        try:
            plan = self._planned(step)
        except RunbookError as error:
            return self._from_error(step, error)
        diffs = tuple(diff for change in plan.changes for diff in change.diffs)
        done = {Kind.CHECK: "PASSED", Kind.NOTE: "NOTED"}.get(step.kind, "UNCHANGED")
        reason = " ".join(plan.findings)
        if plan.changes:
            reason = f"{reason} Saved by step {step.saved_by}.".strip() if step.saved_by else reason
            if hazard := self._unaccepted(plan):
                remedy = f"If that is wanted, add accept: [{hazard.name}] to the settings"
                blocked = self._result(step, "BLOCKED", hazard.why, remedy, diffs, plan.tables)
                return replace(blocked, hazard=hazard.name)
        if step.number == "4.3" and self._view.settings.turn_on != "yes":
            done = "SKIPPED"
        if plan.handover is not None and not plan.changes:
            return self._handed_over(step, plan, diffs, done)
        return self._result(step, "PLANNED" if plan.changes else done, reason, "", diffs, plan.tables)

    def _handed_over(self, step: Step, plan: Plan, diffs: tuple[Diff, ...], done: str) -> StepResult:
        """Return the result of a step that is somebody else's: waiting for them, or done as far as this side shows."""
        handover = plan.handover or Handover("")
        status = {"open": "HANDOVER", "confirmed": "NOTED"}.get(handover.state, done)
        remedy = handover.remedy if handover.state == "open" else ""
        result = self._result(step, status, " ".join(plan.findings), remedy, diffs, plan.tables)
        return replace(result, handover=handover)

    def _planned(self, step: Step) -> Plan:
        """Plan a step, waiting while a service says that an object made a moment ago is not known to it yet."""
        for wait in self._pace.waits():
            try:
                return self._planned_at_once(step)
            except ApiError as error:
                if not self._writer.is_too_young(error):
                    raise
                self._sleep(wait)
        return self._planned_at_once(step)

    def _planned_at_once(self, step: Step) -> Plan:
        values = [self._view.read(fact) for fact in step.reads]
        changes: list[Change] = []
        findings: list[str] = []
        tables: list[Table] = []
        handover: Handover | None = None
        try:
            for entry in step.function(*values, self._view.settings):
                if isinstance(entry, Change):
                    changes.append(entry)
                elif isinstance(entry, Finding):
                    findings.append(entry.text)
                elif isinstance(entry, Handover):
                    handover = entry
                else:
                    tables.append(entry)
        except StepWaits as waits:
            waits.found = " ".join(findings)
            raise
        return Plan(tuple(changes), tuple(findings), tuple(tables), handover)

    def _unaccepted(self, plan: Plan) -> Hazard | None:
        accepted = self._view.settings.accept
        return next((c.hazard for c in plan.changes if c.hazard and c.hazard.name not in accepted), None)

    def _from_error(self, step: Step, error: RunbookError) -> StepResult:
        if isinstance(error, StepWaits):
            diffs = tuple(diff for diff in error.planned if isinstance(diff, Diff))
            planned = self._result(step, "PLANNED" if diffs else "NOTED", f"{error.found} {error.came_back}.".strip(), "", diffs)
            return replace(planned, waits_for=error.for_step)
        if isinstance(error, StepBlocked):
            return self._result(step, "BLOCKED", error.reason, error.remedy)
        return self._result(step, "FAILED", f"{error.attempted}: {error.came_back}", error.do_now)

    def _result(
        self,
        step: Step,
        status: str,
        reason: str = "",
        remedy: str = "",
        diffs: tuple[Diff, ...] = (),
        tables: tuple[Table, ...] = (),
    ) -> StepResult:
        return StepResult(step.number, step.title, str(step.kind), status, reason, remedy, diffs, tables)

    # Applying --------------------------------------------------------------------------------------------------------

    def apply(self, step: Step) -> StepResult:
        """Carry out a step's changes and prove them by planning again. Writes nothing while any step is blocked."""
        if (held_by := self.survey()) is not None:
            if held_by.step == step.number:
                return held_by
            planned = self.plan(step)
            reason = f"Held back: step {held_by.step} is {held_by.status.lower()} ({held_by.reason})"
            return replace(planned, status="SKIPPED" if planned.status == "PLANNED" else planned.status, reason=reason)
        self._writer.evidence = ()
        try:
            return self._converged(step)
        except StepWaits as waits:
            diffs = tuple(diff for diff in waits.planned if isinstance(diff, Diff))
            return self._result(step, "BLOCKED", f"{waits.found} {waits.came_back}.".strip(), f"{waits.do_now}.", diffs)
        except RunbookError as error:
            return replace(self._from_error(step, error), tables=self._writer.evidence)

    def survey(self) -> StepResult | None:
        """Plan every step once before the first write; return the result because of which nothing may be written, or None."""
        if not self._is_surveyed:
            self._is_surveyed = True
            planned = (self.plan(step) for step in self._steps.values())
            self._held_by = next((result for result in planned if result.status in ("BLOCKED", "FAILED")), None)
            if self._held_by is not None:
                self._keep(self._held_by)
        return self._held_by

    def _converged(self, step: Step) -> StepResult:
        """Apply and plan again until nothing is left."""
        plan = self._fresh_plan(step)
        made: dict[Diff, None] = {}  # in order; thousands of them, as assignments are, are looked up and not gone through
        findings, tables, sendings = plan.findings, plan.tables, 0
        for _ in range(ROUNDS):
            if not plan.changes:
                break
            parts = len(plan.changes)
            is_known = all(self._carried_out(step, change, (part, parts)) for part, change in enumerate(plan.changes, start=1))
            made |= {diff: None for change in plan.changes for diff in change.diffs}
            sendings += not is_known
            if sendings >= SENDINGS:
                raise VerificationFailed(step.title, ("no answer tells whether it was done",))
            plan = self._settled(step, plan, is_known=is_known)
        else:
            raise VerificationFailed(step.title, tuple(diff.field for change in plan.changes for diff in change.diffs))
        if plan.handover is not None:
            return self._handed_over(step, plan, tuple(made), "CHANGED" if made else "UNCHANGED")
        reason = " ".join(dict.fromkeys((*findings, *plan.findings)))
        shown = (tables or plan.tables) + self._writer.evidence
        result = self._result(step, "CHANGED" if made else "UNCHANGED", reason, "", tuple(made), shown)
        self._mark_staged(step)
        return result

    def _carried_out(self, step: Step, change: Change, part: tuple[int, int]) -> bool:
        try:
            return self._writer.carry_out(step.number, change, part)
        finally:
            self._view.forget(*_stale(step))

    def _fresh_plan(self, step: Step) -> Plan:
        """Plan by fresh readings; what a write would replace or make is read within a moment of writing it."""
        if step.number == "4.3":
            self._view.read_again(*GATE)  # the start gate judges nothing by an earlier reading
        else:
            self._view.stale(FRESH_S)
        plan = self._planned(step)
        if plan.changes and self._view.stale(JUST_READ_S, *_stale(step)):
            plan = self._planned(step)
        lately = self._view.memory.made_lately(step.takes_back or step.number, self._now())
        may_be_hidden = not plan.changes if step.takes_back else any(change.replicates for change in plan.changes)
        return self._looked_for(step, plan, lately) if lately and may_be_hidden else plan

    def _looked_for(self, step: Step, plan: Plan, latest: datetime) -> Plan:
        """Look for what an earlier run made, or may have made, until it shows or the time that replication takes is over."""
        for look, wait in enumerate(self._pace.waits(), start=1):
            if look >= LOOKS and (self._now() - latest).total_seconds() > self._pace.total_s:
                break
            self._sleep(wait)
            self._view.forget(*_stale(step))
            if _requests(again := self._planned(step)) != _requests(plan):
                return again
        self._writer.settle(step.number, plan.changes)
        return plan

    def _mark_staged(self, save: Step) -> None:
        for number, result in list(self.results.items()):
            if self._steps[number].saved_by == save.number and result.status == "PLANNED":
                self._keep(replace(result, status="CHANGED"))

    def _settled(self, step: Step, before: Plan, *, is_known: bool) -> Plan:
        """Plan again until something has changed, and verify side effects.

        Nothing changed: after an answer that said done, that is `VerificationFailed`; in doubt, the plan is returned to be
        sent again, at once where doing it twice does no harm, and else when replication cannot hide it any more.
        """
        is_patient = is_known or any(change.replicates for change in before.changes)
        for wait in chain(self._pace.waits() if is_patient else (), [None]):
            self._view.forget(*_stale(step))
            plan = self._planned(step)
            if _requests(plan) != _requests(before):
                self._confirmed(step, before)
                return plan
            if wait is not None:
                self._sleep(wait)
        if is_known:
            raise VerificationFailed(
                before.changes[0].on, tuple(diff.field for change in before.changes for diff in change.diffs)
            )
        self._writer.settle(step.number, before.changes)
        return plan

    def _confirmed(self, step: Step, before: Plan) -> None:
        for change in before.changes:
            if change.confirm and (lost := change.confirm(self._view.read(step.reads[0]))):
                raise VerificationFailed(change.on, lost)


def _stale(step: Step) -> tuple[Fact[Any], ...]:
    """Return the readings that a step's own writes make stale."""
    return step.touches or step.reads


def _requests(plan: Plan) -> tuple[Any, ...]:
    return tuple((change.on, change.diffs) for change in plan.changes)


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
        "tables": [asdict(table) for table in result.tables],
    }
