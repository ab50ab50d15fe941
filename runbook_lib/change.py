"""What a step wants done, as values: a `Diff` is one difference, a `Change` one request that removes some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from runbook_lib.http import Request, Response


@dataclass(frozen=True)
class Diff:
    """One difference. `before` and `after` are what a person reads; neither is ever a secret."""

    on: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Hazard:
    """Why a change is not made until the operator has accepted it by `name` in the settings."""

    name: str
    why: str


@dataclass(frozen=True)
class Finding:
    """A sentence a step reports about what it saw."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows a step shows as evidence. `rows` are tuples in the order of `columns`; empty cells are empty texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


State = Literal["open", "seen", "confirmed"]


@dataclass(frozen=True)
class Handover:
    """What somebody else has to do: where in their console, what to click, and what exactly to enter there.

    `values` are (label, text) pairs. `state` is `open`, `seen` when this side shows that it was done, or `confirmed` when the
    settings only say so. `remedy` is what the person at this page does about it. Without clicks it is not on the sheet.
    """

    where: str
    clicks: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    link: str = ""
    state: State = "open"
    remedy: str = ""

    def table(self) -> Table:
        """Return it as rows for a page that shows tables."""
        clicks = tuple((click, "") for click in self.clicks)
        return Table(f"For whoever takes care of the other side: {self.where}", ("what to do", "exactly"), clicks + self.values)


@dataclass(frozen=True)
class Change:
    """One request and the differences it removes; without a request it is a staged edit that a later Save step writes.

    `rehearsal` must succeed before the request is sent; `proof` after it. `receive` takes the answer (it keeps a token's
    text, or judges the answer by raising) and returns the ids of what was made, for the journal. `evidence` makes tables of
    the answer, good or bad, for whoever reads the result. `confirm` gets the fresh reading and returns texts of unwanted side
    effects.

    For the journal: `before` are the ids that exist already, by which what a lost answer made is told apart; `undo` is JSON with
    what taking the change back needs, never a secret. `replicates`: what the request makes may stay unseen for minutes and would
    be made twice by sending again, so that after a lost answer it is looked for until that time is over. `stops`: it brings
    things to a halt, and waits for no claim.
    """

    on: str
    diffs: tuple[Diff, ...]
    request: Request | None = None
    hazard: Hazard | None = None
    rehearsal: Request | None = None
    proof: Request | None = None
    receive: Callable[[Response], dict[str, str]] | None = None
    evidence: Callable[[Response], tuple[Table, ...]] | None = None
    confirm: Callable[[Any], tuple[str, ...]] | None = None
    before: tuple[str, ...] = ()
    undo: Mapping[str, Any] | None = None
    replicates: bool = False
    stops: bool = False


def differences(on: str, now: dict[str, str], wanted: dict[str, str]) -> tuple[Diff, ...]:
    """Return one `Diff` for each field of `wanted` whose value `now` is another; absent fields read as empty."""
    return tuple(Diff(on, name, now.get(name, ""), value) for name, value in wanted.items() if now.get(name, "") != value)


def lost(sent: Any, found: Any, at: str = "") -> tuple[str, ...]:
    """Return the places where `found` does not hold what was `sent`.

    A service may add keys, reorder lists and leave nulls out; it may not lose or change anything.
    """
    if isinstance(sent, Mapping) and isinstance(found, Mapping):
        return tuple(
            place
            for key, value in sent.items()
            if not (value is None and key not in found)
            for place in (lost(value, found[key], f"{at}.{key}".strip(".")) if key in found else (f"{at}.{key}".strip("."),))
        )
    if isinstance(sent, list) and isinstance(found, list):
        left = list(found)
        places: list[str] = []
        for number, item in enumerate(sent):
            same = next((n for n, other in enumerate(left) if not lost(item, other)), None)
            if same is None:
                places.append(f"{at}[{number}]")
            else:
                del left[same]
        return tuple(places)
    return () if sent == found and isinstance(sent, bool) == isinstance(found, bool) else (at,)
