"""Read, plan, confirm, apply, wait, verify: the one place where a change becomes a request.

Before the first write every step is planned: when one of them is blocked, nothing at all is written. Every intent is on
disk before its request. An outcome in doubt is settled by planning again, never by sending again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Hazard, Table
from runbook_lib.errors import ApiError, RunbookError, StepBlocked, StepWaits, TransportError, VerificationFailed
from runbook_lib.facts import Fact, View
from runbook_lib.http import Pace, Request, Response, Service, is_not_there_yet
from runbook_lib.journal import Journal
from runbook_lib.settings import RunMode
from runbook_lib.steps import STEPS, Kind, Step

FRESH_S = 10.0  # a reading older than this is repeated before a write that depends on it
GATE = (
    facts.connection,
    facts.scim_configuration,
    facts.scim_tokens,
    facts.saved_credentials,
    facts.schema,
    facts.jobs,
    facts.access,
    facts.assignments,
    facts.test_user_profiles,
)
ROUNDS = 40  # of apply and plan again: 40 batches of 20 assignments a round are enough for a large tenant


@dataclass(frozen=True)
class StepResult:
    """What became of one step. `status` is one of UNCHANGED PLANNED CHANGED PASSED NOTED HANDOVER SKIPPED BLOCKED FAILED."""

    step: str
    title: str
    kind: str
    status: str
    reason: str = ""
    remedy: str = ""
    diffs: tuple[Diff, ...] = ()
    tables: tuple[Table, ...] = field(default=(), compare=False)


@dataclass(frozen=True)
class Plan:
    """What a step wants: its changes and what it reports."""

    changes: tuple[Change, ...]
    findings: tuple[str, ...]
    tables: tuple[Table, ...]


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
        on_result: Callable[[StepResult], None] = lambda result: None,
    ) -> None:
        self._view = view
        self._mode = mode
        self._journal = journal
        self._pace = pace
        self._sleep = sleep
        self._on_result = on_result
        self._steps = {step.number: step for step in STEPS}
        self._held_back = ""
        self._is_surveyed = False
        self.results: dict[str, StepResult] = {}

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows and return its result. Errors of the services become results."""
        step = self._steps[number]
        if stopped := self._stopped():
            result = self._result(step, "SKIPPED", reason=f"not reached: step {stopped} did not succeed")
        else:
            result = self.plan(step)
            if self._mode is RunMode.APPLY and result.status == "PLANNED" and step.kind is not Kind.STAGE:
                result = self.apply(step)
        return self._keep(result)

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it, whatever the mode, and return its result.

        Everything is read again first: the person may have mended in a console what held the writes back.
        """
        self._view.forget()
        self._is_surveyed, self._held_back = False, ""
        return self._keep(self.apply(self._steps[number]))

    def _stopped(self) -> str:
        bad = [
            r
            for r in self.results.values()
            if r.status == "FAILED" or (r.status == "BLOCKED" and r.step in ("0.1", "0.2", "1.1"))
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
                return self._result(
                    step,
                    "BLOCKED",
                    hazard.why,
                    f"If that is wanted, add accept: [{hazard.name}] to the settings",
                    diffs,
                    plan.tables,
                )
        if step.number == "4.3" and self._view.settings.turn_on != "yes":
            done = "SKIPPED"
        return self._result(step, "PLANNED" if plan.changes else done, reason, "", diffs, plan.tables)

    def _planned(self, step: Step) -> Plan:
        values = [self._view.read(fact) for fact in step.reads]
        yielded = tuple(step.function(*values, self._view.settings))
        return Plan(
            tuple(entry for entry in yielded if isinstance(entry, Change)),
            tuple(entry.text for entry in yielded if isinstance(entry, Finding)),
            tuple(entry for entry in yielded if isinstance(entry, Table)),
        )

    def _unaccepted(self, plan: Plan) -> Hazard | None:
        accepted = self._view.settings.accept
        return next((c.hazard for c in plan.changes if c.hazard and c.hazard.name not in accepted), None)

    def _from_error(self, step: Step, error: RunbookError) -> StepResult:
        if isinstance(error, StepWaits):
            diffs = tuple(diff for diff in error.planned if isinstance(diff, Diff))
            return self._result(step, "PLANNED" if diffs else "NOTED", f"{error.came_back}.", "", diffs)
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
        if held := self.survey():
            planned = self.plan(step)
            return replace(planned, status="SKIPPED" if planned.status == "PLANNED" else planned.status, reason=held)
        try:
            return self._converged(step)
        except StepWaits as waits:
            diffs = tuple(diff for diff in waits.planned if isinstance(diff, Diff))
            return self._result(step, "BLOCKED", f"{waits.came_back}.", f"{waits.do_now}.", diffs)
        except RunbookError as error:
            return self._from_error(step, error)

    def survey(self) -> str:
        """Plan every step once before the first write; return why nothing may be written, empty when all is well."""
        if not self._is_surveyed:
            self._is_surveyed = True
            for step in STEPS:
                result = self.plan(step)
                if result.status in ("BLOCKED", "FAILED"):
                    self._held_back = f"Held back: step {step.number} is {result.status.lower()} ({result.reason})"
                    break
        return self._held_back

    def _converged(self, step: Step) -> StepResult:
        """Apply and plan again until nothing is left."""
        if step.number == "4.3":
            self._view.forget(*GATE)  # the start gate judges nothing by an earlier reading
        else:
            self._view.stale(FRESH_S)
        plan = self._planned(step)
        made: list[Diff] = []
        tables = plan.tables
        for _ in range(ROUNDS):
            if not plan.changes:
                break
            for change in plan.changes:
                self._carry_out(step, change)
                made += change.diffs
            plan = self._settled(step, plan)
        else:
            raise VerificationFailed(step.title, tuple(diff.field for change in plan.changes for diff in change.diffs))
        result = self._result(
            step, "CHANGED" if made else "UNCHANGED", " ".join(plan.findings), "", tuple(made), tables or plan.tables
        )
        self._mark_staged(step)
        return result

    def _mark_staged(self, save: Step) -> None:
        for number, result in list(self.results.items()):
            if self._steps[number].saved_by == save.number and result.status == "PLANNED":
                self._keep(replace(result, status="CHANGED"))

    def _carry_out(self, step: Step, change: Change) -> None:
        """Send one change. Raises for a refusal; a doubtful outcome is left to `_settled`."""
        if change.request is None:
            raise StepBlocked("This change has no request", "This is a defect of the runbook: please report it")
        if change.rehearsal is not None:
            self._service(change.rehearsal).send(change.rehearsal)
        about = {"step": step.number, "on": change.on, "request": change.request.line}
        self._journal.write("intent", **about, diffs=[diff_row(diff) for diff in change.diffs])
        try:
            answer = self._sent(change.request)
            made = change.receive(answer) if change.receive else {}
        except (ApiError, TransportError) as error:
            in_doubt = error.ambiguous if isinstance(error, TransportError) else error.status >= 500
            self._journal.write("outcome", **about, result="unknown" if in_doubt else "refused", error=str(error))
            if not in_doubt:
                raise
            return
        except VerificationFailed as failed:
            self._journal.write("outcome", **about, result="refused", error=str(failed))
            raise
        finally:
            self._view.forget(*_stale(step))
        self._journal.write("outcome", **about, result="applied", made=made)
        if change.proof is not None:
            self._proven(change.proof)

    def _sent(self, request: Request) -> Response:
        """Send a write; again only while the answer says that an object just made is not known yet."""
        for wait in self._pace.waits():
            try:
                return self._service(request).send(request)
            except ApiError as error:
                if not (is_not_there_yet(error) and self._view.memory.made_application_id):
                    raise
                self._sleep(wait)
        return self._service(request).send(request)

    def _proven(self, proof: Request) -> None:
        """Send a proof until it succeeds: saved values take a moment to be used."""
        for wait in self._pace.waits():
            try:
                self._service(proof).send(proof)
            except ApiError as error:
                last = error
                self._sleep(wait)
            else:
                return
        raise last

    def _settled(self, step: Step, before: Plan) -> Plan:
        """Plan again until something has changed; verify side effects. Raises `VerificationFailed` when nothing does."""
        waiting: RunbookError | None = None
        for wait in self._pace.waits():
            self._view.forget(*_stale(step))
            try:
                plan = self._planned(step)
            except ApiError as error:
                if not is_not_there_yet(error):
                    raise
                waiting = error
            else:
                waiting = None
                if _requests(plan) != _requests(before):
                    self._confirmed(step, before)
                    return plan
            self._sleep(wait)
        if waiting is not None:
            raise waiting
        raise VerificationFailed(before.changes[0].on, tuple(diff.field for change in before.changes for diff in change.diffs))

    def _confirmed(self, step: Step, before: Plan) -> None:
        for change in before.changes:
            if change.confirm and (lost := change.confirm(self._view.read(step.reads[0]))):
                raise VerificationFailed(change.on, lost)

    def _service(self, request: Request) -> Service:
        return {"auth0": self._view.auth0.service, "graph": self._view.graph.service}[request.service]


def _stale(step: Step) -> tuple[Fact[Any], ...]:
    """Return the readings that a step's own writes make stale."""
    return step.touches or step.reads


def _requests(plan: Plan) -> tuple[Any, ...]:
    return tuple((change.on, change.diffs) for change in plan.changes)


def diff_row(diff: Diff) -> dict[str, str]:
    """Return a diff as the files hold it."""
    return {"on": diff.on, "field": diff.field, "before": diff.before, "after": diff.after}


def result_row(result: StepResult) -> dict[str, Any]:
    """Return a result as results.json and the journal hold it."""
    return {
        "step": result.step,
        "title": result.title,
        "kind": result.kind,
        "status": result.status,
        "reason": result.reason,
        "remedy": result.remedy,
        "diffs": [diff_row(diff) for diff in result.diffs],
    }
