"""What a person sees while tenants run: one line for all on a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.runner import Watcher
from runbook_lib.core.display import cut, visible
from runbook_lib.engine.status import Outcome, counted
from runbook_lib.procedures.procedure import Procedure

FEW = 10  # tenants whose ends are told one by one where there is no terminal; the steps of one alone
_ABOUT = 120  # characters of a tenant's message during the run; the end shows all of it
QUIET_S = 30.0  # without a line
EVERY_S = 5.0  # at most a line so often, while many tenants end
_GOOD = ("done", "unchanged", "pending", "handover")
_BAR = "{percentage:3.0f}%|{bar:20}| {elapsed} {desc}"
_REQUEST = re.compile(r" \(request [^()]*\)")  # the same refusal has another one for each tenant


@contextmanager
def shown(total: int, procedure: Procedure) -> Iterator[Watcher]:
    """Yield a watcher for `total` tenants that suits standard error."""
    watcher = _Line(total, procedure) if sys.stderr.isatty() else _Lines(total, sys.stderr, procedure)
    try:
        yield watcher
    finally:
        watcher.close()


@contextmanager
def unseen(_total: int, _procedure: Procedure) -> Iterator[Watcher]:
    """Yield a watcher that shows nothing, for pages whose outputs a test compares."""
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


class _Troubles:
    """Says each kind of trouble once: fifty tenants that Auth0 refuses alike are one line, and stand together at the end."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def line(self, outcome: TenantOutcome) -> str:
        """Return the line for a tenant that needs a person; empty if it needs none or the line was shown before."""
        kind = outcome.status, _REQUEST.sub("", outcome.about)
        if outcome.status in _GOOD or kind in self._said:
            return ""
        self._said.add(kind)
        return f"{outcome.name}: {Outcome(outcome.status).word}: {cut(outcome.about, _ABOUT)}"


class _Lines(_Nothing):
    """Lines for a log: one for each of few tenants, one now and then for many, one for each step of a single tenant."""

    def __init__(self, total: int, stream: TextIO, procedure: Procedure) -> None:
        self._procedure = procedure
        self._total = total
        self._stream = stream
        self._count = 0
        self._tenths: dict[tuple[str, int], int] = {}
        self._at: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._troubles = _Troubles()
        self._said_at = time.monotonic()
        self._lock = threading.Lock()

    def step(self, name: str, number: str) -> None:
        """Write where a tenant is, or where all are when nothing was written for a while: a silent log tells nothing."""
        with self._lock:
            self._at[name] = number
            if self._total == 1:
                self.says(f"{name}: {number} {self._procedure.row(number).title}")
            elif time.monotonic() - self._said_at >= QUIET_S:
                first = min(self._at, key=lambda one: self._procedure.numbers.index(self._at[one]))
                self.says(f"{self._place()} {len(self._at)} at work, {first} at {self._at[first]}")

    def ends(self, outcome: TenantOutcome) -> None:
        """Write how a tenant ended; of many only how far all are, and each kind of trouble once."""
        with self._lock:
            self._at.pop(outcome.name, None)
            self._count += 1
            self._counts[outcome.status] += 1
            trouble = self._troubles.line(outcome)
            if self._total <= FEW:
                self.says(f"{self._place()} {outcome.name}: {Outcome(outcome.status).word}: {cut(outcome.about, _ABOUT)}")
            elif trouble:
                self.says(f"{self._place()} {trouble}")
            elif self._count == self._total or time.monotonic() - self._said_at >= EVERY_S:
                self.says(f"{self._place()} {counted(self._counts)}")

    def part(self, name: str, done: int, of: int) -> None:
        """Write a line at each tenth of a step of many writes, of one tenant alone."""
        with self._lock:
            if self._total == 1 and done * 10 // of > self._tenths.get((name, of), 0):
                self._tenths[name, of] = done * 10 // of
                self.says(f"{name}: {done} of {of} requests of this step")

    def says(self, text: str) -> None:
        """Write one line."""
        self._said_at = time.monotonic()
        self._stream.write(visible(text) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is left to do."""

    def _place(self) -> str:
        return f"[{self._count}/{self._total}]"


class _Line(_Nothing):
    """One line on a terminal that is written over: how far all tenants are, by steps, and what the last of them is at."""

    def __init__(self, total: int, procedure: Procedure) -> None:
        self._procedure = procedure
        self._lock = threading.RLock()  # a signal's handler says something while this thread may be writing
        self._total = total
        self._bar: Any = tqdm(total=total * len(self._procedure), dynamic_ncols=True, leave=False, bar_format=_BAR)
        self._at: dict[str, int] = {}
        self._count = 0
        self._counts: Counter[str] = Counter()
        self._troubles = _Troubles()

    def begins(self, name: str) -> None:
        """Count a tenant as at work."""
        with self._lock:
            self._at[name] = 0

    def step(self, name: str, number: str) -> None:
        """Move the line by a step."""
        with self._lock:
            done = self._procedure.numbers.index(number)
            self._bar.n += done - self._at.get(name, 0)
            self._at[name] = done
            self._tell(f"{number} {self._procedure.row(number).title}" if self._total == 1 else f"{name} at {number}")

    def part(self, name: str, done: int, of: int) -> None:
        """Show how far a step of many writes is."""
        with self._lock:
            self._tell(f"{name}: {done} of {of} requests")

    def ends(self, outcome: TenantOutcome) -> None:
        """Move the line to the tenant's end, and keep the first of each kind of trouble above it."""
        with self._lock:
            self._bar.n += len(self._procedure) - self._at.pop(outcome.name, 0)
            self._count += 1
            self._counts[outcome.status] += 1
            self._tell("")
            if self._total > 1 and (trouble := self._troubles.line(outcome)):
                self.says(trouble)

    def says(self, text: str) -> None:
        """Write one line above."""
        with self._lock:
            tqdm.write(visible(text), file=sys.stderr)

    def close(self) -> None:
        """Take the line away: the command reports the result."""
        self._bar.close()

    def _tell(self, last: str) -> None:
        ended = f"{self._count} of {self._total} tenants" + (f" ({counted(self._counts)})" if self._count else "")
        at_work = f", {len(self._at)} at work" if len(self._at) > 1 else ""
        words = last if self._total == 1 else f"{ended}{at_work}{f', {last}' if last else ''}"
        self._bar.set_description_str(visible(words), refresh=False)
        self._bar.refresh()
