"""What a person sees while tenants run: a line for each of them and one for all on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.runner import Watcher
from runbook_lib.steps import STEPS
from runbook_lib.visible import visible

LINES = 20  # of tenants at work at most; those beyond are seen in the line for all
_POSITIONS = {step.number: position for position, step in enumerate(STEPS, start=1)}
_TITLES = {step.number: step.title for step in STEPS}


@contextmanager
def shown(total: int) -> Iterator[Watcher]:
    """Give a watcher of `total` tenants that fits standard error."""
    watcher = _Bars(total) if sys.stderr.isatty() else _Lines(total, sys.stderr)
    try:
        yield watcher
    finally:
        watcher.close()


@contextmanager
def on_page(total: int) -> Iterator[Watcher]:
    """Give a watcher of `total` tenants for a person at a notebook, where standard error looks like an error."""
    yield _Lines(total, sys.stdout)


@contextmanager
def unseen(_total: int) -> Iterator[Watcher]:
    """Give a watcher that shows nothing, for pages whose outputs are compared."""
    yield _Nothing()


class _Nothing:
    def begins(self, name: str) -> None:
        """Say nothing."""

    def step(self, name: str, number: str) -> None:
        """Say nothing."""

    def part(self, name: str, done: int, of: int) -> None:
        """Say nothing."""

    def ends(self, outcome: TenantOutcome) -> None:
        """Say nothing."""

    def says(self, text: str) -> None:
        """Say nothing."""


class _Lines(_Nothing):
    """One line when a tenant ends, as a log wants it."""

    def __init__(self, total: int, stream: TextIO) -> None:
        self._total = total
        self._stream = stream
        self._count = 0
        self._tenths: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()

    def ends(self, outcome: TenantOutcome) -> None:
        """Write how a tenant ended."""
        with self._lock:
            self._count += 1
            self.says(f"[{self._count}/{self._total}] {outcome.name}: {outcome.status}: {outcome.about}")

    def part(self, name: str, done: int, of: int) -> None:
        """Write a line at each tenth of a step of many writes."""
        with self._lock:
            if done * 10 // of > self._tenths.get((name, of), 0):
                self._tenths[name, of] = done * 10 // of
                self.says(f"{name}: {done} of {of} requests of this step")

    def says(self, text: str) -> None:
        """Write one line."""
        self._stream.write(visible(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""


class _Bars:
    """One bar a tenant at work, its steps, and one for all, with how many ended how."""

    def __init__(self, total: int) -> None:
        self._lock = threading.Lock()
        self._all: Any = tqdm(total=total, unit="tenant", position=0, dynamic_ncols=True, desc="all tenants")
        self._bars: dict[str, Any] = {}
        self._free = list(range(LINES, 0, -1))
        self._counts: dict[str, int] = {}

    def begins(self, name: str) -> None:
        """Open a line for the tenant when there is room."""
        with self._lock:
            if self._free:
                self._bars[name] = tqdm(
                    total=len(STEPS), position=self._free.pop(), leave=False, dynamic_ncols=True, desc=name[:24], unit="step"
                )

    def step(self, name: str, number: str) -> None:
        """Move the tenant's line to a step."""
        with self._lock:
            if bar := self._bars.get(name):
                bar.n = _POSITIONS[number] - 1
                bar.set_postfix_str(f"{number} {_TITLES[number]}"[:60])

    def part(self, name: str, done: int, of: int) -> None:
        """Show how far a step of many writes is."""
        with self._lock:
            if bar := self._bars.get(name):
                bar.set_postfix_str(f"{done} of {of} requests")

    def ends(self, outcome: TenantOutcome) -> None:
        """Close the tenant's line, move the line for all, and keep the end of a tenant that needs somebody."""
        with self._lock:
            if bar := self._bars.pop(outcome.name, None):
                self._free.append(-bar.pos)
                bar.close()
            self._counts[outcome.status] = self._counts.get(outcome.status, 0) + 1
            self._all.set_postfix(self._counts, refresh=False)
            self._all.update()
        if outcome.status not in ("done", "unchanged", "pending", "handover"):
            self.says(f"{outcome.name}: {outcome.status}: {outcome.about}")

    def says(self, text: str) -> None:
        """Write one line above the bars."""
        with self._lock:
            tqdm.write(visible(text), file=sys.stderr)

    def close(self) -> None:
        """Close all lines."""
        for bar in self._bars.values():
            bar.close()
        self._all.close()
