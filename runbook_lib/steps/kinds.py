"""The five kinds of step, and the decorators that make a step of a function.

A step function gets the values of its `reads` in order, then the settings, and yields `Change`s, `Finding`s and `Table`s.
It sends nothing: the engine does, and then asks the function again; nothing left means done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from runbook_lib.change import Change, Finding, Handover, Table
from runbook_lib.facts import Fact

Yield = Change | Finding | Table | Handover
Function = Callable[..., Iterator[Yield]]


class Kind(StrEnum):
    """What a step does: converge, show what a later step saves, judge, act and judge the answer, or tell the way."""

    ENSURE = "ensure"
    STAGE = "stage"
    CHECK = "check"
    PROBE = "probe"
    NOTE = "note"


@dataclass(frozen=True)
class Step:
    """One documented step. `saved_by` is the step that writes what a stage step shows.

    `takes_back` is the step whose object an undo looks for, where a service may not show it yet; elsewhere empty.
    """

    number: str
    kind: Kind
    function: Function
    reads: tuple[Fact[Any], ...]
    touches: tuple[Fact[Any], ...]
    saved_by: str
    documented: Function | None = None
    takes_back: str = ""

    @property
    def title(self) -> str:
        """The first line of the documented function's docstring, without its full stop."""
        words = (self.documented or self.function).__doc__ or ""
        return words.strip().splitlines()[0].rstrip(".").replace("`", "")

    def done_by(self, function: Function, kind: Kind, reads: tuple[Fact[Any], ...], touches: tuple[Fact[Any], ...] = ()) -> Step:
        """Return this documented step as another function does it, where a side belongs to somebody else."""
        return Step(self.number, kind, function, reads, touches, "", self.documented or self.function)


def _decorator(
    kind: Kind,
) -> Callable[..., Callable[[Function], Step]]:
    def with_facts(
        number: str, *, reads: tuple[Fact[Any], ...] = (), touches: tuple[Fact[Any], ...] = (), saved_by: str = ""
    ) -> Callable[[Function], Step]:
        def make(function: Function) -> Step:
            return Step(number, kind, function, reads, touches, saved_by)

        return make

    return with_facts


ensure = _decorator(Kind.ENSURE)
stage = _decorator(Kind.STAGE)
check = _decorator(Kind.CHECK)
probe = _decorator(Kind.PROBE)
note = _decorator(Kind.NOTE)
