"""How one change becomes a request: claim, rehearsal, intent on disk, the request itself, proof, outcome on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Table
from runbook_lib.claim import Marker, claimed, needs_renewal, read_marker, with_marker, without_marker
from runbook_lib.clients.batches import ItemsRefused
from runbook_lib.clients.microsoft_graph import patch_notes
from runbook_lib.errors import ApiError, RunbookError, StepBlocked, TransportError, VerificationFailed
from runbook_lib.facts import View
from runbook_lib.http import Pace, Request, Response, Service, is_not_there_yet, understood
from runbook_lib.journal import Doubt, Journal
from runbook_lib.models import ServicePrincipal

JUST_READ_S = 1.0  # what a write replaces is read within this time before it: what somebody has just changed is not to be lost

CLAIMS = 3  # so many times a claim is written that cannot be read back
MANY = 10  # writes of a step; then its outcomes say how far it is
YOUNG_S = 600.0  # "sometimes 5 minutes are not enough" for what was just made to be known everywhere: msgraph-bicep issue 193


class Writer:
    """Carries out changes of one tenant, one by one, and keeps its record of what is in doubt."""

    def __init__(
        self, view: View, *, journal: Journal, pace: Pace, sleep: Callable[[float], None], now: Callable[[], datetime]
    ) -> None:
        self._view = view
        self._journal = journal
        self._pace = pace
        self._sleep = sleep
        self._now = now
        self.evidence: tuple[Table, ...] = ()  # of the answers since somebody emptied it

    def carry_out(self, step: str, change: Change, part: tuple[int, int] = (1, 1)) -> bool:
        """Send one change and return whether its outcome is known. Raises the service's refusal, or `JournalFailed`.

        `part` says which of how many changes of the step it is; the journal tells it to whoever watches.
        """
        if change.request is None:
            raise StepBlocked("This change has no request", "This is a defect of the runbook: please report it")
        if change.request.service == "graph" and not change.stops:
            self._claim(is_start=step == "4.3")
        if change.rehearsal is not None:
            self._service(change.rehearsal).ask(change.rehearsal)
        doubt = Doubt(step, change.request.line, self._now(), self._service(change.request).date, change.before)
        about = {"step": step, "on": change.on, "request": change.request.line}
        number = self._intent(about, doubt, change.diffs, change.undo)
        is_accepted = False
        try:
            made = self._made(change, change.request)
            is_accepted = True
            if change.proof is not None:
                self._prove(change.proof)
        except VerificationFailed as failed:
            self._outcome(number, about, "refused", error=str(failed))
            raise
        except (ApiError, TransportError) as error:
            # Accepted, but what was saved does not work: nobody knows what the service holds now.
            is_unknown = is_accepted or _is_ambiguous(error)
            is_partly_done = isinstance(error, ItemsRefused) and error.is_partly_done  # an undo has something to take back
            result = "unknown" if is_unknown else "partly" if is_partly_done else "refused"
            self._outcome(number, about, result, error=str(error))
            if is_unknown:
                self._view.memory.doubts += (doubt,)
            if is_accepted or not is_unknown:
                raise
            return False
        self._outcome(number, about, "applied", made=made, **({"part": list(part)} if part[1] >= MANY else {}))
        self._view.memory.made_at |= dict.fromkeys(made.values(), self._now())
        self._forget_doubts(step, {change.request.line})
        return True

    def settle(self, step: str, changes: Iterable[Change]) -> None:
        """Put on record that writes in doubt were not done: reading has shown that for long enough."""
        lines = {change.request.line for change in changes if change.request}
        for line in sorted(lines):
            self._journal.write("settled", step=step, request=line, result="not done")
        self._forget_doubts(step, lines)

    def is_too_young(self, error: ApiError) -> bool:
        """Whether an error only means that one service has not heard yet of what another made within the last minutes.

        That is an object whose id is known, or an application that was made though nobody read the answer.
        """
        if not is_not_there_yet(error):
            return False
        memory = self._view.memory
        times = [made_at for made_id, made_at in memory.made_at.items() if made_id in error.attempted]
        if "/synchronization" in error.attempted:
            times += [doubt.time for doubt in memory.doubted("3.2")]
        return any((self._now() - time).total_seconds() < YOUNG_S for time in times)

    # One request ---------------------------------------------------------------------------------------------------------

    def _intent(self, about: dict[str, str], doubt: Doubt, diffs: tuple[Diff, ...], undo: Any) -> int:
        sent_at = doubt.sent_at.isoformat() if doubt.sent_at else None
        rows = [diff_row(diff) for diff in diffs]
        return self._journal.write("intent", **about, diffs=rows, sent_at=sent_at, before=list(doubt.before), undo=undo)

    def _outcome(self, number: int, about: dict[str, str], result: str, **facts: Any) -> None:
        self._journal.write("outcome", of=number, **about, result=result, **facts)

    def _made(self, change: Change, request: Request) -> dict[str, str]:
        answer = self._sent(request)
        with understood(f"the answer to {request.line}"):
            if change.evidence:
                self.evidence += change.evidence(answer)
            return change.receive(answer) if change.receive else {}

    def _sent(self, request: Request) -> Response:
        """Send a write; again only while the answer says that an object just made is not known yet."""
        for wait in self._pace.waits():
            try:
                return self._service(request).send(request)
            except ApiError as error:
                if not self.is_too_young(error):
                    raise
                self._sleep(wait)
        return self._service(request).send(request)

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
        memory = self._view.memory
        memory.doubts = tuple(doubt for doubt in memory.doubts if doubt.step != step or doubt.request not in lines)

    def _service(self, request: Request) -> Service:
        return {"auth0": self._view.auth0.service, "graph": self._view.graph.service}[request.service]

    # The claim on the enterprise application ---------------------------------------------------------------------------

    def release(self) -> None:
        """End this run's claim where it still stands. Errors of the services are left to time: a claim ends by itself."""
        if self._view.memory.claimed_id:
            with contextlib.suppress(RunbookError):
                self._view.forget(facts.enterprise_applications)
                principal = self._principal()
                if (marker := read_marker(principal.notes)) and marker.run == self._view.run:
                    self._note(principal, Marker(marker.connection))

    def _claim(self, *, is_start: bool) -> None:
        """See to it that the enterprise application carries this run's claim; the start, being the last write, ends it.

        Raises `StepBlocked` when a run on another machine is at work on it.
        """
        principal, connection = self._view.read(facts.enterprise_application), self._view.read(facts.connection_id)
        if principal is None:  # not made yet: this very write makes it
            return
        now = facts.graph_time(self._view)
        if needs_renewal(read_marker(principal.notes), connection, self._view.run, now):
            self._view.stale(JUST_READ_S, facts.enterprise_applications)
            principal = self._principal()
            if other := self._view.read(facts.other_claim):
                raise StepBlocked(f"Another run is at work: {other}", "Wait until it has ended")
            self._write_claim(principal, connection, now)
            principal = self._principal()
        if is_start:
            self._note(principal, Marker(connection))

    def _write_claim(self, principal: ServicePrincipal, connection: str, now: datetime) -> None:
        """Write the claim until it is read back: after a lost answer it may not be there, and that is nobody else's doing."""
        for _ in range(CLAIMS):
            self._note(principal, claimed(connection, self._view.run, now))
            self._view.forget(facts.enterprise_applications)
            principal = self._principal()
            if (marker := read_marker(principal.notes)) and marker.run == self._view.run:
                return
            if self._view.read(facts.other_claim):
                break
        raise StepBlocked("Another run claimed the enterprise application at this moment", "Wait until it has ended")

    def _principal(self) -> ServicePrincipal:
        principal = self._view.read(facts.enterprise_application)
        if principal is None:
            raise StepBlocked("The enterprise application is gone, or there are two of its name", "Look at it in Entra")
        return principal

    def _note(self, principal: ServicePrincipal, marker: Marker) -> None:
        """Write a marker into the notes, on record like every write. In doubt it is left: it is read back, or runs out."""
        request = patch_notes(principal.id, with_marker(principal.notes, marker))
        about = {"step": "3.2", "on": "notes of the enterprise application", "request": request.line}
        undo = {"kind": "notes", "service_principal": principal.id, "before": without_marker(principal.notes)}
        number = self._intent(about, Doubt("3.2", request.line, self._now(), None, ()), (), undo)
        try:
            self._sent(request)
        except (ApiError, TransportError) as broken:
            self._outcome(number, about, "unknown" if _is_ambiguous(broken) else "refused", error=str(broken))
            if not _is_ambiguous(broken):
                raise
        else:
            self._outcome(number, about, "applied")
        self._view.memory.claimed_id = principal.id if marker.run else ""


def _is_ambiguous(error: ApiError | TransportError) -> bool:
    return error.ambiguous if isinstance(error, TransportError) else error.status >= 500


def diff_row(diff: Diff) -> dict[str, str]:
    """Return a diff as the files hold it."""
    return {"on": diff.on, "field": diff.field, "before": diff.before, "after": diff.after}
