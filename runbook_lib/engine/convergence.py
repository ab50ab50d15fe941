"""Apply and plan again until nothing is left. An outcome in doubt is settled by reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain, islice, repeat

from runbook_lib.core.errors import StepBlocked, StepWaits, VerificationFailed
from runbook_lib.engine.planner import Planner
from runbook_lib.engine.readings import FRESH_S, JUST_READ_S, RIGHT_BEFORE_S, Fact
from runbook_lib.engine.result import Plan, StepResult, after_writing
from runbook_lib.engine.step import Body, Step
from runbook_lib.engine.tenant import Tenant
from runbook_lib.engine.values import Change, Diff, Guard
from runbook_lib.engine.writer import Writer
from runbook_lib.http.retry import Pace

LOOKS = 5  # a new object must be missing this many times in a row to count as not made (terraform-provider-azuread)
SENDINGS = 3  # a step sends a write with a doubtful outcome at most this often, then leaves it to the next run
QUIET_LOOKS = 3  # with their pauses these looks take some seconds, as after any write; only a longer wait is reported
LISTED_S = 300.0  # saved settings are listed within five minutes (terraform-provider-azuread waits as long)
ROUNDS = 40  # of apply and plan again: 40 batches of 20 assignments a round are enough for a large tenant


class Convergence:
    """Carries out the changes of a step and proves them by planning again."""

    def __init__(
        self,
        tenant: Tenant,
        *,
        planner: Planner,
        writer: Writer,
        pace: Pace,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
    ) -> None:
        self._tenant = tenant
        self._planner = planner
        self._writer = writer
        self._pace = pace
        self._sleep = sleep
        self._now = now
        self._shown: frozenset[str] = frozenset()  # names of the readings that the answers to the latest writes held

    def converged(self, step: Step) -> StepResult:
        """Apply a step's changes until none is left. Raises the services' errors, `VerificationFailed`, `JournalFailed`."""
        try:
            return self._converged(step)
        finally:
            self._writer.give_turns_back()

    def _converged(self, step: Step) -> StepResult:
        self._writer.evidence, self._writer.waited = (), ()
        plan = self._fresh_plan(step)
        made: dict[Diff, None] = {}  # in order; thousands of them, as assignments are, are looked up and not gone through
        first, accepted, sendings = plan, self._planner.accepted(plan), 0
        for _ in range(ROUNDS):
            if held := self._planner.held(step, plan):  # a fresh reading may show what the survey did not
                return held
            if not plan.changes:
                break
            is_known, left = self._carried_out_in_turn(step, plan)
            made |= dict.fromkeys(diff for change in plan.changes if change not in left for diff in change.diffs)
            sendings += not is_known
            if sendings >= SENDINGS:
                raise VerificationFailed(step.title, ("no answer tells whether it was done",))
            plan = self._settled(step, _without_proof_of(left, plan), is_known=is_known)
        else:
            raise VerificationFailed(step.title, tuple(diff.field for diff in plan.diffs))
        if plan.handover is not None:
            return self._planner.handed_over(step, plan, tuple(made), "CHANGED" if made else "UNCHANGED")
        tables = after_writing(first.tables, plan.tables) + accepted + self._writer.evidence
        reason = " ".join(dict.fromkeys((*first.findings, *plan.findings, *self._writer.waited)))
        status = "CHANGED" if made else "NOTED" if plan.is_left else "UNCHANGED"
        return replace(self._planner.result(step, status, reason, "", tuple(made), tables), is_left=plan.is_left)

    def _carried_out_in_turn(self, step: Step, plan: Plan) -> tuple[bool, tuple[Change, ...]]:
        """Send the due changes until one has an unknown outcome, or has waited so long that its readings are old.

        Return whether all outcomes are known, and the changes that are to be planned again before they are sent.
        """
        self._shown = frozenset()
        due = tuple(change for change in plan.changes if not change.is_awaited)
        for number, change in enumerate(due):
            if number and self._is_overtaken(change):
                return True, due[number:]
            if not self._carried_out(step, change, (number + 1, len(due))):
                return False, ()
        return True, ()

    def _is_overtaken(self, change: Change) -> bool:
        """Wait for the turn of a step's further write. Return whether its readings have grown too old meanwhile.

        A write that a service lists late is sent as planned: another reading would not show the step's earlier writes.
        """
        if change.request is None or change.listed_late:
            return False
        began_at = self._tenant.clock()
        self._writer.take_turn(change.request)
        return self._tenant.clock() - began_at > JUST_READ_S

    def _carried_out(self, step: Step, change: Change, part: tuple[int, int]) -> bool:
        try:
            return self._writer.carry_out(step, change, part)
        finally:
            touched = _shows(step.body, (change,))
            self._tenant.forget(*touched)
            self._shown -= {fact.name for fact in touched}
            for fact, value in self._writer.shown:
                self._tenant.learn(fact, value)
                self._shown |= {fact.name}

    # Before a write --------------------------------------------------------------------------------------------------

    def _fresh_plan(self, step: Step) -> Plan:
        """Plan from fresh readings. Read what a write would replace or create immediately before the write."""
        body = step.body
        self._take_turn(step)
        if body.rereads:
            self._tenant.read_again(*body.rereads)
        else:
            self._tenant.stale(FRESH_S)
        plan = self._planner.planned(step)
        is_old = self._is_any_old(body, plan)
        if not self._planner.held(step, plan) and self._writer.guard_for(step, plan):
            is_old |= self._is_any_old(body, plan)  # a claim is a write of its own, which the last reading has to come after
        if is_old:
            plan = self._planner.planned(step)
        lately = self._tenant.memory.made_lately(body.takes_back or body.thing, self._now())
        replicates = any(change.replicates for change in plan.changes)
        may_be_hidden = not plan.changes and not plan.is_left if body.takes_back else replicates
        return self._looked_for(step, plan, lately) if lately and may_be_hidden else plan

    def _take_turn(self, step: Step) -> None:
        """Wait for the turn of a step's first write, then repeat its readings: the wait may take seconds.

        A step whose earlier readings show nothing to write takes no turn; fresh readings decide, as always.
        """
        try:
            plan = self._planner.planned(step)
        except (StepBlocked, StepWaits):
            return
        if requests := [change.request for change in plan.changes if change.request]:
            self._writer.take_turn(requests[0])

    def _is_any_old(self, body: Body, plan: Plan) -> bool:
        """Drop the readings that must be fresh for the writes of a plan. Return whether there were any."""
        is_old = bool(plan.changes) and self._tenant.stale(JUST_READ_S, *_shows(body, plan.changes))
        requests = [change for change in plan.changes if change.request]
        if any(change.request and change.request.method == "DELETE" for change in requests):
            is_old |= self._tenant.stale(0.0, *body.stale)  # what is in a thing goes with it
        is_replaced = any(
            change.request and change.request.method in ("PATCH", "PUT") and not change.rehearsal for change in requests
        )
        if is_replaced and (is_old or not self._tenant.is_latest(body.stale[0], RIGHT_BEFORE_S)):
            # Read a document right before writing it whole; otherwise the write would undo what others wrote meanwhile.
            is_old |= self._tenant.stale(0.0, body.stale[0])
        return is_old

    def _looked_for(self, step: Step, plan: Plan, latest: datetime) -> Plan:
        """Look for what an earlier run made, or may have made, until it shows or the time for replication is over."""
        for look, wait in enumerate(self._pace.waits(), start=1):
            if look >= LOOKS and (self._now() - latest).total_seconds() > self._pace.total_s:
                break
            self._sleep(wait)
            self._tenant.forget(*step.body.stale)
            if not (again := self._planner.planned(step)).wants_the_same_as(plan):
                return again
        self._writer.settle(step.number, plan.changes)
        return plan

    # After a write ---------------------------------------------------------------------------------------------------

    def _settled(self, step: Step, before: Plan, *, is_known: bool) -> Plan:
        """Plan again until something has changed, and verify side effects.

        If nothing changed after an answer that said done, raises `VerificationFailed`. If the outcome is in doubt, returns the
        plan to be sent again: at once if doing it twice does no harm, otherwise when replication can no longer hide the write.
        """
        is_patient = is_known or any(change.replicates for change in before.changes)
        is_late = any(change.listed_late for change in before.changes) and not any(change.stops for change in before.changes)
        guards = [change.guard.reading for change in before.changes if change.guard is not None]
        touched, shown = _shows(step.body, before.changes), self._shown
        for _ in chain([None], self._looks(step, before) if is_patient else ()):
            old = [fact for fact in (self._with_the_late(touched) if is_late else touched) if fact.name not in shown]
            if old or guards:
                self._tenant.forget(*old, *guards)
            try:
                plan = self._planner.planned(step, is_written=True, shown=shown)
            finally:  # planning may refuse to go on by what only a guard brings to a halt
                self._look_at_guards(step, before)
            shown = frozenset()  # an answer that does not show the write proves nothing: from here on, read it
            if not plan.wants_the_same_as(before) and not plan.is_awaited:
                self._confirmed(step, before)
                return plan
        if is_known:
            raise VerificationFailed(plan.changes[0].on, tuple(diff.field for diff in plan.diffs))
        self._writer.settle(step.number, before.changes)
        return plan

    def _with_the_late(self, touched: tuple[Fact[object], ...]) -> list[Fact[object]]:
        """Return the reading that lists late, and those that the same service tells: they come in the same request."""
        late = self._tenant.lists_late.name
        return [fact for number, fact in enumerate(touched) if number == 0 or self._tenant.told_by(fact) <= {late}]

    def _looks(self, step: Step, before: Plan) -> Iterator[None]:
        """Sleep before each further look: as long as the pace allows, and longer for what a service lists late."""
        late = [(change.listed_late, change.request) for change in before.changes if change.listed_late]
        for wait_s in islice(self._pace.waits(), QUIET_LOOKS if late else None):
            self._sleep(wait_s)
            yield
        for what, request in late[:1]:
            yield from self._writer.waits_for(step.number, what, request, self._poll(), LISTED_S)

    def _poll(self) -> Iterator[float]:
        """Yield the pace's waits, then its interval for what takes minutes."""
        return chain(self._pace.waits(), repeat(self._pace.poll_s))

    def _confirmed(self, step: Step, before: Plan) -> None:
        for change in before.changes:
            if change.confirm and (lost := change.confirm(self._tenant.read(step.body.reads[0]))):
                raise VerificationFailed(change.on, lost)

    def _look_at_guards(self, step: Step, before: Plan) -> None:
        for change in before.changes:
            if change.guard is not None:
                self._guarded(step, change.guard)

    def _guarded(self, step: Step, guard: Guard) -> None:
        """Check after a write that its preconditions still hold, and stop its effect when they do not."""
        found = self._tenant.read(guard.reading)
        if lost := guard.lost(found):
            for request in guard.stop(found):
                self._writer.carry_out(step, Change(guard.on, (), request, stops=True))
            raise VerificationFailed(f"{guard.on}, which was stopped again", lost)


def _without_proof_of(left: tuple[Change, ...], plan: Plan) -> Plan:
    """Return a plan without the proof of the changes that were not sent."""
    unsent = {id(change) for change in left}
    changes = (replace(one, confirm=None, guard=None) if id(one) in unsent else one for one in plan.changes)
    return replace(plan, changes=tuple(changes)) if left else plan


def _shows(body: Body, changes: tuple[Change, ...]) -> tuple[Fact[object], ...]:
    """Return the readings that show whether a write was done: those that it may have changed."""
    left = set.intersection(*({fact.name for fact in change.leaves} for change in changes)) if changes else set()
    return tuple(fact for position, fact in enumerate(body.stale) if position == 0 or fact.name not in left)
