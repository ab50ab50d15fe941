"""Totals of a run, as the terminal and the summary say them, and how long its tenants took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from runbook_lib.engine.status import Status, counted
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.settings.model import RunMode

_SLOW_S, _SLOW_TIMES, _SLOWEST = 10.0, 2.0, 3  # a tenant is slow beyond both; so many are named


class Ended(Protocol):
    """What totals need to know of a tenant; `slowest` is its slowest step with its seconds."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> float | None: ...  # noqa: D102
    @property
    def steps(self) -> Mapping[str, Mapping[str, str]]: ...  # noqa: D102
    @property
    def slowest(self) -> tuple[str, float]: ...  # noqa: D102


def totals(rows: Sequence[Ended], mode: RunMode, procedure: Procedure) -> Iterator[str]:
    """Yield how many tenants ended how, what became of their steps."""
    yield f"Tenants: {counted(Counter(row.status for row in rows)) or 'none'}."
    steps = Counter(step["status"] for row in rows for step in row.steps.values())
    told = [f"{steps[status]} {_word(status, steps[status])}" for status in Status if steps.get(status)]
    unreached = len(procedure) * len(rows) - sum(steps[status] for status in Status)
    told += [f"{unreached} not reached"] if unreached else []
    wrote = " Nothing was written." if mode is RunMode.PLAN else ""
    yield f"{'Plan' if mode is RunMode.PLAN else 'Applied'}: {', '.join(told)}.{wrote}"


def _word(status: Status, count: int) -> str:
    word = status.word.lower()
    return f"{word}s" if status is Status.NOTED and count > 1 else word


@dataclass(frozen=True)
class Slow:
    """A tenant that took far longer than the others. `share` is that of the longest, in per cent."""

    name: str
    seconds: float
    why: str
    share: int


def durations(rows: Sequence[Ended], procedure: Procedure) -> tuple[str, tuple[Slow, ...]]:
    """Return in a sentence how long the tenants took, and those that took far longer, with their slowest step.

    Both are empty where nothing was carried out.
    """
    took = sorted((row for row in rows if row.seconds is not None), key=lambda row: -(row.seconds or 0.0))
    if not took:
        return "", ()
    longest, middle = took[0].seconds or 0.0, median(row.seconds or 0.0 for row in took)
    if len(took) == 1:
        return f"It took {_seconds(longest)}.", ()
    said = f"Half of the tenants took at most {_seconds(middle)}, the longest took {_seconds(longest)}."
    slow = [row for row in took[:_SLOWEST] if (row.seconds or 0.0) > max(_SLOW_S, _SLOW_TIMES * middle)]
    return said, tuple(_slow(row, longest, procedure) for row in slow)


def _seconds(count: float) -> str:
    return "1 second" if round(count) == 1 else f"{count:.0f} seconds"


def _slow(row: Ended, longest: float, procedure: Procedure) -> Slow:
    number, of_it = row.slowest
    why = f"{of_it:.0f} s of it in {number} {procedure.row(number).title}" if number in procedure.numbers else ""
    seconds = row.seconds or 0.0
    return Slow(row.name, seconds, why, max(1, round(100 * seconds / longest)))
