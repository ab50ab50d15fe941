"""Read, plan, confirm, apply, wait, verify: the one place where a change becomes a request.

Before the first write the engine plans every step; if one of them is blocked, it writes nothing at all. Every intent is on disk
before its request. If an outcome is in doubt, the engine reads the service, and sends again only what is still missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from runbook_lib.core.errors import RunbookError, StepWaits
from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.convergence import Convergence
from runbook_lib.engine.guard import NoGuard, WriteGuard
from runbook_lib.engine.journal import Journal
from runbook_lib.engine.planner import Planner
from runbook_lib.engine.result import StepResult, result_row
from runbook_lib.engine.step import Kind, Step
from runbook_lib.engine.tenant import Tenant
from runbook_lib.engine.writer import Writer
from runbook_lib.http.retry import Pace

_NO_NUMBERS = StepNumbers()


class Engine:
    """Carries out steps for one tenant. `on_result` gets every result; the latest of a step replaces the earlier ones.

    `is_applying`: changes are made, and not only planned. `numbers` are those of the document that texts refer to. `guard` is
    asked before each write.
    """

    def __init__(
        self,
        tenant: Tenant,
        *,
        is_applying: bool,
        journal: Journal,
        pace: Pace,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        steps: tuple[Step, ...],
        numbers: StepNumbers = _NO_NUMBERS,
        guard: WriteGuard | None = None,
        on_result: Callable[[StepResult], None] = lambda result: None,
    ) -> None:
        self._tenant = tenant
        self._is_applying = is_applying
        self._journal = journal
        self._now = now
        self._on_result = on_result
        self._steps = {step.number: step for step in steps}
        self._writer = Writer(tenant, journal=journal, pace=pace, sleep=sleep, now=now, numbers=numbers, guard=guard or NoGuard())
        self._planner = Planner(
            tenant,
            pace=pace,
            sleep=sleep,
            numbers=numbers,
            is_too_young=self._writer.is_too_young,
            steps=self._steps.values,
        )
        self._convergence = Convergence(tenant, planner=self._planner, writer=self._writer, pace=pace, sleep=sleep, now=now)
        self._numbers = numbers
        self._held_by: StepResult | None = None
        self._is_surveyed = False
        self.results: dict[str, StepResult] = {}

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows and return its result. Errors of the services become results."""
        step = self._steps[number]
        if self._held_by is not None and self._held_by.step == number:
            return self._keep(self._held_by)
        if stopped := self._stopped():
            return self._keep(self._planner.result(step, "SKIPPED", reason=f"not reached: step {stopped} did not succeed"))
        result = self.plan(step)
        if self._is_applying and self._is_due(step, result):
            result = self.apply(step)
        elif self._is_applying and result.status == "BLOCKED":
            self.survey()  # nothing was due before, so nothing is written now; the steps after it are still planned
        return self._keep(result)

    def look_ahead(self) -> None:
        """Read what all steps need, the first time this is asked for."""
        self._planner.look_ahead()

    def _is_due(self, step: Step, planned: StepResult) -> bool:
        """Whether a step has something to write, or to look for because a service may not show it yet."""
        if step.body.takes_back and planned.status == "UNCHANGED":
            return self._tenant.memory.made_lately(step.body.takes_back, self._now()) is not None
        return planned.status == "PLANNED" and step.kind is not Kind.STAGE

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it, whatever the mode, and return its result.

        Everything is read again first: the person may have corrected in a console what held the writes back.
        """
        self._tenant.forget()
        self.reconsider()
        return self._keep(self.apply(self._steps[number]))

    def fails(self, number: str, error: RunbookError) -> StepResult:
        """Return the result of a step that an error keeps from starting, and keep that result."""
        return self._keep(self._planner.from_error(self._steps[number], error))

    def reconsider(self) -> None:
        """Forget what held back the writes, because a person has accepted it. The next write first plans every step again."""
        self._is_surveyed, self._held_by = False, None

    def release(self) -> None:
        """Let other runs write."""
        self._writer.release()

    def _stopped(self) -> str:
        """Return the first step that stops the run; later steps are skipped. Empty if none.

        A step that blocks during the writes stops the steps that depend on it. One that the survey finds stops all writes.
        """
        is_writing = self._is_applying and self._held_by is None
        return next((result.step for result in self.results.values() if self._stops(result, is_writing=is_writing)), "")

    def _stops(self, result: StepResult, *, is_writing: bool) -> bool:
        is_stopping = is_writing or self._steps[result.step].body.stops_all
        return result.status == "FAILED" or (result.status == "BLOCKED" and is_stopping)

    def _keep(self, result: StepResult) -> StepResult:
        self.results[result.step] = result
        self._journal.write("result", **result_row(result))
        self._on_result(result)
        return result

    def plan(self, step: Step) -> StepResult:
        """Return what a step would do, without writing."""
        return self._planner.plan(step)

    # Applying --------------------------------------------------------------------------------------------------------

    def apply(self, step: Step) -> StepResult:
        """Carry out a step's changes and prove them by planning again. Writes nothing while any step is blocked."""
        if (held_by := self.survey()) is not None:
            return held_by if held_by.step == step.number else self._held_back(step, held_by)
        try:
            result = self._convergence.converged(step)
        except StepWaits as waits:
            waiting = self._planner.from_waits(step, waits)
            do_now = self._numbers.put_in(waits.do_now)
            return waiting if waiting.hazards else replace(waiting, status="BLOCKED", remedy=f"{do_now}.", waits_for="")
        except RunbookError as error:
            return replace(self._planner.from_error(step, error), tables=self._writer.evidence)
        if result.status != "BLOCKED" and result.handover is None:
            self._mark_staged(step)
        return result

    def _held_back(self, step: Step, held_by: StepResult) -> StepResult:
        """Return the step's plan, with the step that holds back all writes."""
        planned = self.plan(step)
        if planned.status in ("BLOCKED", "FAILED"):
            return planned
        why = f"Held back: step {held_by.step} is {held_by.status.lower()} ({held_by.reason})."
        reason = f"{why} {planned.reason}".rstrip(" .")
        return replace(planned, status="SKIPPED" if planned.status == "PLANNED" else planned.status, reason=reason)

    def survey(self) -> StepResult | None:
        """Plan every step once before the first write. Return the result that forbids all writes, or None."""
        if not self._is_surveyed:
            self._is_surveyed = True
            self._planner.read_for(self._steps.values())
            planned = (self.plan(step) for step in self._steps.values())
            self._held_by = next((result for result in planned if result.status in ("BLOCKED", "FAILED")), None)
            if self._held_by is not None:
                self._keep(self._held_by)
        return self._held_by

    def _mark_staged(self, save: Step) -> None:
        """Mark the stages that a step has saved."""
        for number, result in list(self.results.items()):
            if result.status == "PLANNED" and self._steps[number].body.saved_by == save.body.thing:
                self._keep(replace(result, status="CHANGED"))
