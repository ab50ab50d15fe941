"""What a step wants done, as values: a `Diff` is one difference, a `Change` one request that removes some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Change:
    """One request and the differences it removes; without a request it is a staged edit that a later Save step writes.

    `rehearsal` must succeed before the request is sent; `proof` after it. `receive` takes the answer (it keeps a token's
    text, or judges the answer by raising) and returns the ids of what was made, for the journal. `confirm` gets the fresh
    reading and returns texts of unwanted side effects.
    """

    on: str
    diffs: tuple[Diff, ...]
    request: Request | None = None
    hazard: Hazard | None = None
    rehearsal: Request | None = None
    proof: Request | None = None
    receive: Callable[[Response], dict[str, str]] | None = None
    confirm: Callable[[Any], tuple[str, ...]] | None = None


def differences(on: str, now: dict[str, str], wanted: dict[str, str]) -> tuple[Diff, ...]:
    """Return one `Diff` for each field of `wanted` whose value `now` is another; absent fields read as empty."""
    return tuple(Diff(on, name, now.get(name, ""), value) for name, value in wanted.items() if now.get(name, "") != value)
