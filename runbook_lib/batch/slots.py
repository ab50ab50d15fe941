"""Slots: a limited number of tenants runs at once, and the next tenants have their kernels ready.

A kernel takes a tenth of a second of processor time to start. If kernels started when tenants end, a whole wave would start at
once and send no request meanwhile. A kernel that starts while other tenants wait for answers costs no time.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_STEP = re.compile(r'session\.do\("([0-9.]+)"\)')


def step_of(source: str) -> str:
    """Return the number of the step that a cell carries out, empty when it carries out none."""
    found = _STEP.search(source)
    return found[1] if found else ""


class StoppedEarly(Exception):
    """The run must not go on with this tenant, and stopped before the next cell. Its text says why."""


class Course:
    """Progress callbacks of one tenant's run. This base class ignores them."""

    def begin(self) -> str:
        """The run is ready and has done nothing yet; may wait. Returns why it must not begin; empty when it may."""
        return ""

    def comes_to(self, step: str) -> None:
        """A step begins."""

    def is_over(self) -> None:
        """The run sends no further request to the services."""


START_S = 60.0  # how long a kernel may take to answer


@dataclass(frozen=True)
class PageRun:
    """One notebook to execute with parameters into `result`, an output path of papermill's, in a kernel of its own.

    `sockets` is an empty folder for this kernel; `course` hears how it goes. Executing it raises papermill's
    `PapermillExecutionError`, nbclient's `DeadKernelError`, `RuntimeError` for a kernel that does not start, `StoppedEarly`.
    """

    page: Path
    result: str
    parameters: Mapping[str, str]
    sockets: Path
    environment: Mapping[str, str]
    course: Course
    must_stop: Callable[[], bool]


class Turns:
    """The slots of a run with at most `jobs` tenants in progress; more may have a kernel if there are threads for them.

    `steps` are the numbers of all steps, in order: once a quarter of a tenant's steps are done, the next tenant's kernel may
    start. `why_not` says why no further tenant may begin; empty when one may.
    """

    def __init__(self, jobs: int, steps: Sequence[str], why_not: Callable[[], str]) -> None:
        self._late = frozenset(steps[len(steps) // 4 :])
        self._starts, self._at_work = threading.Semaphore(jobs), threading.Semaphore(jobs)
        self._why_not = why_not

    @contextmanager
    def taken(self) -> Iterator[Turn]:
        """Wait until a tenant's kernel may be started, and give the tenant's turn."""
        turn = Turn(self._starts, self._at_work, self._late, self._why_not)
        self._starts.acquire()
        try:
            yield turn
        finally:
            turn.end()


class Turn(Course):
    """One tenant's turn, used by the thread that carries it out."""

    def __init__(
        self, starts: threading.Semaphore, at_work: threading.Semaphore, late: frozenset[str], why_not: Callable[[], str]
    ) -> None:
        self._starts, self._at_work, self._late, self._why_not = starts, at_work, late, why_not
        self._is_at_work = self._has_let_start = False

    def begin(self) -> str:
        """Wait until fewer tenants are at work."""
        if not self._is_at_work:
            self._at_work.acquire()
            self._is_at_work = True
        return self._why_not()

    def comes_to(self, step: str) -> None:
        """Let the next tenant's kernel start when this one is far enough."""
        if not self._has_let_start and step in self._late:
            self._has_let_start = True
            self._starts.release()

    def is_over(self) -> None:
        """Let another tenant begin while this one's kernel ends and its page is written."""
        if self._is_at_work:
            self._is_at_work = False
            self._at_work.release()

    def end(self) -> None:
        """Release both slots."""
        self.is_over()
        if not self._has_let_start:
            self._starts.release()
