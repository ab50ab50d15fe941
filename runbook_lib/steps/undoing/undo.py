"""What the steps of one undo share, and what a room says of how its writes are taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Body, Kind, Step, TakeBack, Yield
from runbook_lib.engine.values import Finding
from runbook_lib.services.wire_words import SECRET_TOKEN
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Record, Written


def left(text: str) -> Finding:
    """Return a finding that says that something of the run stays. A later undo looks at it again."""
    return Finding(text, is_left=True)


class Turn(IntEnum):
    """The order in which an undo takes back the kinds of writes.

    The job stops first. The application goes before what is in it, and Entra lets go of the token before mappings make users
    again. The marker goes last of all in Entra: it also says that this undo is at work.
    """

    THE_JOB_STOPS = 0
    WITH_ALL_THAT_IS_IN_IT = 1
    BEFORE_MAPPINGS = 2
    LATEST_WRITE_FIRST = 3
    LAST_IN_ENTRA = 4


class Seen(NamedTuple):
    """Whether anything is there that a write in doubt may have made, and what is there, in a sentence."""

    is_there: bool
    words: str


@dataclass
class Undo:
    """One undo: what is on record, the name of the application in the settings, whether it only plans.

    `entries` are the writes that the steps take back, by number. `has_stopped` once the step is over that stops the job: one
    that is on then was started by others. `deletable` tells whether an application is going to be deleted.
    """

    record: Record
    application_name: str
    is_plan: bool
    has_stopped: bool = False
    deletable: Callable[[View, str], bool] = lambda _view, _service_principal: False

    def __post_init__(self) -> None:
        self.entries: dict[str, Written] = {}

    @property
    def stop(self) -> str:
        """The number of the step that stops the job, empty when this run did not start it or it is over."""
        if self.has_stopped:
            return ""
        starts = ((number, entry) for number, entry in self.entries.items() if entry.kind == "start" and entry.is_certain)
        return next((number for number, entry in starts if not self.record.since(entry, "start")), "")

    def step(
        self,
        number: str,
        entry: Written,
        title: str,
        function: Callable[..., Iterator[Yield]],
        *reads: Fact[Any],
        touches: tuple[Fact[Any], ...] = (),
    ) -> Step:
        """Return the step of one write. What Entra made a moment ago may not show yet, and is looked for."""
        self.entries[number] = entry
        takes_back = entry.kind if entry.kind in (Thing.APPLICATION, Thing.JOB) and entry.is_certain else ""
        kind = Kind.ENSURE if touches else Kind.NOTE
        body = Body(f"write {number}", kind, function, reads, touches, takes_back=takes_back)
        return Step(number, f"{title} (step {entry.step})", body)

    def goes_along(self, service_principal: str) -> Fact[bool]:
        """Return the fact that tells whether the application that something is in is going to be deleted."""

        def look(view: View) -> bool:
            return service_principal not in self.record.kept and self.deletable(view, service_principal)

        return Fact(f"is deleted {service_principal[:8]}", look, is_derived=True)

    def along(self, service_principal: str) -> Finding:
        """Return the finding that something goes with its application; until that is deleted, it is still there."""
        is_gone = service_principal in self.record.deleted
        return Finding("Deleting the enterprise application removes it too.", is_left=not is_gone)

    def had_token(self, service_principal: str) -> bool:
        """Whether Entra held a token there before the run saved its own."""
        saves = [e for e in self.record.of_kind("credentials") if e.service_principal == service_principal]
        return bool(saves) and bool(saves[0].undo["before"].get(SECRET_TOKEN))

    def empties(self, service_principal: str) -> bool:
        """Whether this plan says that the token is taken out there, before anything was written."""
        saves = [e for e in self.record.of_kind("credentials") if e.service_principal == service_principal]
        return self.is_plan and bool(saves)


def _in_the_journal(_entry: Written, _view: View) -> Seen:
    return Seen(True, "The journal next to this report holds the earlier values.")


def undone(
    step: Callable[[Undo, str, Written], Step],
    kind: Thing,
    words: str,
    *,
    needs: Mapping[str, type],
    made: str = "",
    look: Callable[[Written, View], Seen] = _in_the_journal,
    turn: Turn = Turn.LATEST_WRITE_FIRST,
) -> TakeBack:
    """Return how one kind of write is taken back; see `engine.step.TakeBack` for the arguments."""
    return TakeBack(kind, words, step, look, needs, made, turn)
