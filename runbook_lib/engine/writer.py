"""How one change becomes a request: guard, rehearsal, intent on disk, the request itself, proof, outcome on disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from runbook_lib.core.errors import ApiError, StepBlocked, TransportError, VerificationFailed
from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.guard import WriteGuard
from runbook_lib.engine.journal import Journal
from runbook_lib.engine.patience import patient_waits
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.result import Plan, diff_row
from runbook_lib.engine.step import Step
from runbook_lib.engine.tenant import Tenant
from runbook_lib.engine.values import Change, Diff, Patience, Table
from runbook_lib.http.message import Request, Response, understood
from runbook_lib.http.refusals import YOUNG_S, is_not_there_yet
from runbook_lib.http.retry import Pace
from runbook_lib.http.service import Service

MANY = 10  # writes of a step; then its outcomes say how far it is


class Writer:
    """Carries out changes of one tenant, one by one, and keeps its record of what is in doubt."""

    def __init__(
        self,
        tenant: Tenant,
        *,
        journal: Journal,
        pace: Pace,
        sleep: Callable[[float], None],
        now: Callable[[], datetime],
        numbers: StepNumbers,
        guard: WriteGuard,
    ) -> None:
        self._tenant = tenant
        self._numbers = numbers
        self._guard = guard
        self._journal = journal
        self._pace = pace
        self._sleep = sleep
        self._now = now
        self._noted_count = 0  # writes of the guard's own
        self.evidence: tuple[Table, ...] = ()  # of the answers since the engine emptied it
        self.waited: tuple[str, ...] = ()  # what was waited for since then, in sentences
        self.shown: tuple[tuple[Fact[Any], Any], ...] = ()  # the readings that the answer to the last change holds

    def carry_out(self, step: Step, change: Change, part: tuple[int, int] = (1, 1)) -> bool:
        """Send one change and return whether its outcome is known. Raises the service's refusal, or `JournalFailed`.

        `part` says which of how many changes of the step it is; the journal passes it on to its observers.
        """
        self.shown = ()
        if change.request is None:
            raise StepBlocked("This change has no request", "This is a defect of the runbook: please report it")
        if not change.stops:
            self._guard.before(change.request, self._noted, is_last=step.body.is_last)
        if change.rehearsal is not None:
            self._rehearsed(change.rehearsal)
        doubt = self._doubt(step, change, change.request)
        about = {"step": step.number, "on": change.on, "request": change.request.line}
        number = self._intent(about, change.undo, doubt, change.diffs)
        is_accepted = False
        try:
            made = self._made(step.number, change, change.request)
            is_accepted = True
            if change.proof is not None:
                self._prove(change.proof)
        except VerificationFailed as failed:
            self._outcome(number, about, "refused", error=str(failed))
            raise
        except (ApiError, TransportError) as error:
            # The service accepted the write, but the saved values do not work: what the service holds now is unknown.
            is_unknown = is_accepted or _is_ambiguous(error)
            self._broken(number, about, error, is_unknown=is_unknown)
            if is_unknown:
                self._tenant.memory.doubts += (doubt,)
            if is_accepted or not is_unknown:
                raise
            return False
        self._done(number, about, change, made, part)
        return True

    def _doubt(self, step: Step, change: Change, request: Request) -> Doubt:
        """Return the doubt about a write, which stays open until the outcome is known."""
        kind = str((change.undo or {}).get("kind") or "")
        return Doubt(step.number, request.line, self._now(), self._service(request).date, change.before, kind)

    def _broken(self, number: int, about: dict[str, str], error: ApiError | TransportError, *, is_unknown: bool) -> None:
        """Put on record that a write ended with an error."""
        is_partly_done = isinstance(error, ApiError) and error.is_partly_done  # an undo has something to take back
        result = "unknown" if is_unknown else "partly" if is_partly_done else "refused"
        made = dict(error.made) if isinstance(error, ApiError) else {}
        self._outcome(number, about, result, error=str(error), **({"made": made} if made else {}))

    def _done(self, number: int, about: dict[str, str], change: Change, made: dict[str, str], part: tuple[int, int]) -> None:
        """Record and remember that a service carried out a write."""
        more = ({"part": list(part)} if part[1] >= MANY else {}) | ({"late": True} if change.counts_late else {})
        self._outcome(number, about, "applied", made=made, **more)
        memory, now = self._tenant.memory, self._now()
        memory.made_at |= dict.fromkeys((made[name] for name in made if not name.startswith("assigned ")), now)
        if change.counts_late:
            memory.late_since = now
        self._forget_doubts(about["step"], {about["request"]})

    def settle(self, step: str, changes: Iterable[Change]) -> None:
        """Record that no service carried out these writes in doubt: readings have shown that for long enough."""
        lines = {change.request.line for change in changes if change.request}
        for line in sorted(lines):
            self._journal.write("settled", step=step, request=line, result="not done")
        self._forget_doubts(step, lines)

    def is_too_young(self, error: ApiError) -> bool:
        """Whether an error only means that one service does not know yet what another created within the last minutes.

        That is an object whose id is known, or one that may exist although no response arrived.
        """
        if not is_not_there_yet(error):
            return False
        memory = self._tenant.memory
        times = [made_at for made_id, made_at in memory.made_at.items() if made_id in error.attempted]
        for part, kind in self._tenant.inside.items():
            times += [doubt.time for doubt in memory.doubted(kind)] if part in error.attempted else []
        return any((self._now() - time).total_seconds() < YOUNG_S for time in times)

    def take_turn(self, request: Request) -> None:
        """Wait until a write may be sent. Hold its turn until the write is sent or the turn is given back."""
        self._service(request).take_turn(request)

    def give_turns_back(self) -> None:
        """Give back the turns that are held and were not used."""
        for service in self._tenant.services.values():
            service.give_turn_back()

    # One request ---------------------------------------------------------------------------------------------------------

    def _intent(self, about: dict[str, str], undo: Any, doubt: Doubt | None = None, diffs: tuple[Diff, ...] = ()) -> int:
        sent_at = doubt.sent_at.isoformat() if doubt and doubt.sent_at else None
        before = list(doubt.before) if doubt else []
        rows = [diff_row(diff) for diff in diffs]
        return self._journal.write("intent", **about, diffs=rows, sent_at=sent_at, before=before, undo=undo)

    def _outcome(self, number: int, about: dict[str, str], result: str, **facts: Any) -> None:
        self._journal.write("outcome", of=number, **about, result=result, **facts)

    def waits_for(self, step: str, what: str, request: Request | None, waits: Iterator[float], limit_s: float) -> Iterator[None]:
        """Record what the step waits for, then wait as `patient_waits` does, by the clock of the request's service.

        Without a request, because an earlier run sent it, the clock of the service that lists late counts.
        """
        service = self._service(request) if request else self._tenant.lists_late
        self._journal.write("waiting", step=step, what=what)
        self.waited = tuple(dict.fromkeys((*self.waited, what)))
        return patient_waits(waits, limit_s, self._pace.total_s, lambda: service.date, self._sleep)

    def _made(self, step: str, change: Change, request: Request) -> dict[str, str]:
        answer = self._answered_in_the_end(step, change.patience, request)
        with understood(f"the answer to {request.line}"):
            if change.evidence:
                self.evidence += change.evidence(answer)
            made = change.receive(answer) if change.receive else {}
        self.shown = _shown(change, answer)
        return made

    def _answered_in_the_end(self, step: str, patience: Patience | None, request: Request) -> Response:
        """Send a request until its response no longer means "not yet", and once more where `is_once_more` says so."""
        answer = self._patiently_sent(step, patience, request)
        if patience is not None and patience.is_once_more(answer):
            self._sleep(self._pace.poll_s)
            answer = self._patiently_sent(step, patience, request)
        return answer

    def _patiently_sent(self, step: str, patience: Patience | None, request: Request) -> Response:
        """Send a request. Repeat it while the response only means that a recent write does not count yet."""
        answer = self._sent(request)
        if patience is None or not self._is_young(patience, request) or not patience.is_not_yet(answer):
            return answer
        for _ in self.waits_for(step, patience.what, request, itertools.repeat(self._pace.poll_s), patience.limit_s):
            answer = self._sent(request)
            if not patience.is_not_yet(answer):
                break
        return answer

    def _is_young(self, patience: Patience, request: Request) -> bool:
        """Whether this tool or another person made such a write, which counts late, within the last minutes."""
        ours, theirs = self._tenant.memory.late_since, patience.since
        service_time = self._service(request).date or self._now()
        ages = ([self._now() - ours] if ours else []) + ([service_time - theirs] if theirs else [])
        return any(age.total_seconds() < YOUNG_S for age in ages)

    def _sent(self, request: Request) -> Response:
        """Send a write. Send it again only while the answer says that the service does not know a new object yet."""
        for wait in self._pace.waits():
            try:
                return self._service(request).send(request)
            except ApiError as error:
                if not self.is_too_young(error):
                    raise
                self._sleep(wait)
        return self._service(request).send(request)

    def _rehearsed(self, rehearsal: Request) -> None:
        """Send a rehearsal; if it is refused, send it once more: one service calls the other for it and does not retry."""
        try:
            self._service(rehearsal).ask(rehearsal)
        except ApiError as refused:
            if refused.status != 400:
                raise
            self._service(rehearsal).ask(rehearsal)

    def _prove(self, proof: Request) -> None:
        """Send a proof until it succeeds: saved values take a moment to be used."""
        for wait in self._pace.waits():
            try:
                self._service(proof).ask(proof)
            except ApiError as error:
                last = error
                self._sleep(wait)
            else:
                return
        raise last

    def _forget_doubts(self, step: str, lines: set[str]) -> None:
        memory = self._tenant.memory
        memory.doubts = tuple(doubt for doubt in memory.doubts if not doubt.is_over_by(step, lines))

    def _service(self, request: Request) -> Service:
        return self._tenant.services[request.service]

    # The guard ---------------------------------------------------------------------------------------------------------

    def guard_for(self, step: Step, plan: Plan) -> bool:
        """Ask the guard before the writes of a plan, except for the last step's. Return whether the guard wrote anything.

        Raises `StepBlocked`.
        """
        before = self._noted_count
        for change in plan.changes if not step.body.is_last else ():
            if change.request and not change.stops:
                self._guard.before(change.request, self._noted, is_last=False)
        return self._noted_count > before

    def release(self) -> None:
        """Let other runs write. Errors of the services are ignored: a claim expires by itself."""
        self._guard.release(self._noted)

    def _noted(self, thing: str, on: str, request: Request, undo: Mapping[str, Any]) -> None:
        """Send one of the guard's own writes, recorded like every write. After a lost response the claim is read back."""
        step = self._numbers.of(thing)
        about = {"step": step, "on": on, "request": request.line}
        number = self._intent(about, undo)
        self._noted_count += 1
        try:
            self._sent(request)
        except (ApiError, TransportError) as broken:
            self._outcome(number, about, "unknown" if _is_ambiguous(broken) else "refused", error=str(broken))
            if not _is_ambiguous(broken):
                raise
        else:
            self._outcome(number, about, "applied")


def _shown(change: Change, answer: Response) -> tuple[tuple[Fact[Any], Any], ...]:
    """Return the readings that an answer holds; none if it has another form: the engine then reads what was written."""
    if change.shows is None:
        return ()
    try:
        with understood("the state that an answer holds"):
            return change.shows(answer)
    except TransportError:
        return ()


def _is_ambiguous(error: ApiError | TransportError) -> bool:
    """Whether the service may have carried out the request; a gateway says 408 when it got no whole exchange."""
    return error.ambiguous if isinstance(error, TransportError) else error.status >= 500 or error.status == 408
