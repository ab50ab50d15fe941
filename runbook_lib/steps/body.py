"""The decorators that turn a function into a body, one for each kind of step.

Each decorator requires `by_hand`: what replaces the body when its side is handed over. The decorators of bodies that write also
require `undone_by`: how an undo takes the writes back. Forgetting either is a type error. A body's thing is a `Thing` if other
steps refer to it, otherwise any words that no other body has. For the other arguments see `engine.step.Body`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Body, Function, Kind, TakeBack, nothing_to_undo
from runbook_lib.steps.by_hand import ByHand
from runbook_lib.tenant.things import Thing

Facts = tuple[Fact[Any], ...]
Decorator = Callable[[Function], Body]
UndoneBy = Callable[[], tuple[TakeBack, ...]]


def ensure(
    thing: str,
    *,
    by_hand: ByHand,
    undone_by: UndoneBy,
    reads: Facts = (),
    touches: Facts = (),
    rereads: Facts = (),
    is_last: bool = False,
) -> Decorator:
    """Make a body that creates or changes a thing until it is as wanted."""

    def make(function: Function) -> Body:
        body = Body(thing, Kind.ENSURE, function, reads, touches, "", rereads, is_last=is_last, undone_by=undone_by)
        return _with_hands(body, by_hand)

    return make


def probe(thing: str, *, by_hand: ByHand, undone_by: UndoneBy, reads: Facts = (), touches: Facts = ()) -> Decorator:
    """Make a body that acts and whose result is the service's response."""
    return lambda function: _with_hands(Body(thing, Kind.PROBE, function, reads, touches, undone_by=undone_by), by_hand)


def stage(thing: str, *, by_hand: ByHand, saved_by: Thing, reads: Facts = ()) -> Decorator:
    """Make a body that shows an edit; the step of another thing saves it."""
    return lambda function: _with_hands(Body(thing, Kind.STAGE, function, reads, saved_by=saved_by), by_hand)


def check(
    thing: str,
    *,
    by_hand: ByHand,
    reads: Facts = (),
    touches: Facts = (),
    stops_all: bool = False,
    undone_by: UndoneBy = nothing_to_undo,
) -> Decorator:
    """Make a body that checks, and writes only what the settings ask for explicitly."""

    def make(function: Function) -> Body:
        return _with_hands(Body(thing, Kind.CHECK, function, reads, touches, stops_all=stops_all, undone_by=undone_by), by_hand)

    return make


def note(thing: str, *, by_hand: ByHand) -> Decorator:
    """Make a body that only says where to go in the consoles."""
    return lambda function: _with_hands(Body(thing, Kind.NOTE, function), by_hand)


def _with_hands(body: Body, by_hand: ByHand) -> Body:
    return replace(body, elsewhere=by_hand(body))
