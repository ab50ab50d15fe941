"""A step as the engine carries it out: the place in a document, and the body that says how.

A body's function gets the values of its `reads` in order, then the settings, and yields `Change`s, `Finding`s, `Table`s and
`Hazard`s. It sends nothing: the engine does, and then asks the function again; nothing left means done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.values import Change, Finding, Handover, Hazard, Table

Yield = Change | Finding | Table | Handover | Hazard
Function = Callable[..., Iterator[Yield]]


class Kind(StrEnum):
    """What a step does: converge, show what a later step saves, judge, act and judge the answer, or tell the way."""

    ENSURE = "ensure"
    STAGE = "stage"
    CHECK = "check"
    PROBE = "probe"
    NOTE = "note"


@dataclass(frozen=True)
class TakeBack:
    """How an undo takes back one kind of write. `kind` is its word in the journal, `words` a person's name for the thing written.

    `step` makes the step that takes one write back. It gets the undo, the step's number, and the write.

    `needs` are the names that the journal must hold for that, each with the type of its value. `made` is the name under which
    the journal must hold the id of the thing made; empty if undo needs no id. `look` gets the write and the tenant. It returns
    whether anything is there that the write may have made, and a sentence about it, which the undo shows when no response said
    whether the write was carried out. Writes of a lower `turn` are taken back first.
    """

    kind: str
    words: str
    step: Callable[..., Step]
    look: Callable[..., tuple[bool, str]]
    needs: Mapping[str, type]
    made: str
    turn: int


def nothing_to_undo() -> tuple[TakeBack, ...]:
    """Return that a body writes nothing that an undo takes back."""
    return ()


@dataclass(frozen=True)
class Body:
    """How a step creates or changes a thing, checks it, or leaves it to another administrator.

    `thing` says what the body is about: other bodies wait for a thing, and the document says which step makes it. `saved_by` is
    the thing whose step writes what a stage shows.

    `touches` are the readings that the body's writes make stale; the first one lists what the service lists late. The engine
    reads `rereads` afresh before the body judges anything. `stops_all`: if this step stops, no later step can be judged.
    `is_last`: no write follows.

    `undone_by` returns how an undo takes the body's writes back, one entry for each kind of write. It is a function because a
    room defines the body before the way back.

    `takes_back` is the kind of thing that an undo looks for when a service may not show it yet; empty for other bodies.
    `elsewhere` are the bodies that replace this one when a side is handed over, by that side.
    """

    thing: str
    kind: Kind
    function: Function
    reads: tuple[Fact[Any], ...] = ()
    touches: tuple[Fact[Any], ...] = ()
    saved_by: str = ""
    rereads: tuple[Fact[Any], ...] = ()
    stops_all: bool = False
    is_last: bool = False
    takes_back: str = ""
    undone_by: Callable[[], tuple[TakeBack, ...]] = nothing_to_undo
    elsewhere: Mapping[str, Body] = field(default_factory=dict, compare=False, repr=False)

    @property
    def stale(self) -> tuple[Fact[Any], ...]:
        """The readings that its own writes make stale."""
        return self.touches or self.reads

    def __reduce__(self) -> tuple[Callable[[str, str], Body], tuple[str, str]]:
        """Go to another process by name: a body stands in its room under the name of its function."""
        return _body_of, (self.function.__module__, self.function.__name__)


def _body_of(room: str, name: str) -> Body:
    body: Body = getattr(import_module(room), name)
    return body


@dataclass(frozen=True)
class Step:
    """One step of a document: its number, its title, and how it is done."""

    number: str
    title: str
    body: Body

    @property
    def kind(self) -> Kind:
        """What it does."""
        return self.body.kind
