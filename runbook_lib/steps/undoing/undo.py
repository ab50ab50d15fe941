"""What the steps of one undo share, and how a room declares the way to take back its writes."""

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
    """Return a finding that says that something the run made stays. A later undo looks at it again."""
    return Finding(text, is_left=True)


class Turn(IntEnum):
    """The order in which an undo takes back the kinds of writes.

    Undo stops the job first. It deletes the application before it looks at what is inside the application. It takes the token out
    of Entra before it restores mappings that create users. It removes the marker from the notes last of all in Entra, because the
    marker also tells other runs that this undo is in progress.
    """

    THE_JOB_STOPS = 0
    WITH_ALL_THAT_IS_IN_IT = 1
    BEFORE_MAPPINGS = 2
    LATEST_WRITE_FIRST = 3
    LAST_IN_ENTRA = 4


class Seen(NamedTuple):
    """What an undo sees of a write in doubt: whether something that it may have made is there, and a sentence about it."""

    is_there: bool
    words: str


@dataclass
class Undo:
    """One undo: what is on record, the name of the application in the settings, whether it only plans.

    `entries` are the writes that the steps take back, by step number. `has_stopped` becomes true when the step that stops the job
    is over; if a job is on after that, others have started it. `deletable` tells whether this undo will delete an application.
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
        """The number of the step that stops the job; empty when this run did not start the job, or when that step is over."""
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
        """Return the step that takes one write back. The engine looks for what Entra made a moment ago and may not show yet."""
        self.entries[number] = entry
        takes_back = entry.kind if entry.kind in (Thing.APPLICATION, Thing.JOB) and entry.is_certain else ""
        kind = Kind.ENSURE if touches else Kind.NOTE
        body = Body(f"write {number}", kind, function, reads, touches, takes_back=takes_back)
        return Step(number, f"{title} (step {entry.step})", body)

    def goes_along(self, service_principal: str) -> Fact[bool]:
        """Return the fact that tells whether this undo will delete the application, and so everything inside it."""

        def look(view: View) -> bool:
            return service_principal not in self.record.kept and self.deletable(view, service_principal)

        return Fact(f"is deleted {service_principal[:8]}", look, is_derived=True)

    def along(self, service_principal: str) -> Finding:
        """Return the finding that deleting the application removes something too; until then it is still there."""
        is_gone = service_principal in self.record.deleted
        return Finding("Deleting the enterprise application removes it too.", is_left=not is_gone)

    def had_token(self, service_principal: str) -> bool:
        """Whether Entra held a token in that application before the run saved its own."""
        saves = [e for e in self.record.of_kind("credentials") if e.service_principal == service_principal]
        return bool(saves) and bool(saves[0].undo["before"].get(SECRET_TOKEN))

    def empties(self, service_principal: str) -> bool:
        """Whether this is a plan, which writes nothing yet, and it says that it takes the token out of that application."""
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
    """Return how an undo takes back one kind of write; see `engine.step.TakeBack` for the arguments."""
    return TakeBack(kind, words, step, look, needs, made, turn)
