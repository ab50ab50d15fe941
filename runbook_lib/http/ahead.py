"""Answers that were asked for before they are needed, so that those that do not depend on one another are waited for together.

A reading that is looked ahead for is carried out without sending anything: where it comes to a request whose answer is not
there, it stops with `NotReadYet`. Those requests are sent together, and the reading is carried out again. What a reading depends
on is found by doing so, and is written down nowhere. Pattern: Marlow et al., There is no Fork (Haxl, ICFP 2014).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.core.errors import RunbookError
from runbook_lib.http.message import Request

Asked = tuple[str, tuple[tuple[str, str], ...]]  # path and query of a GET
KEPT_S = 30.0  # how old an answer may be when it is used; a reading may be as old


class NotReadYet(Exception):
    """A reading came to requests whose answers are not there; none named: it cannot be looked ahead for any further."""

    def __init__(self, by: Ahead, asked: Iterable[Asked] = ()) -> None:
        super().__init__()
        self.by, self.asked = by, tuple(asked)


@dataclass(frozen=True)
class Kept:
    """An answer's body, or the error that asking for it ended with; `at` in seconds of the clock."""

    at: float
    body: Any = field(default=None, repr=False)
    error: RunbookError | None = None

    def given(self) -> Any:
        """Return the body. Raises the error."""
        if self.error is not None:
            raise self.error
        return self.body


class Ahead:
    """The answers of one service that are there already. Each is used once, except while looking ahead."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[Asked, Kept] = {}
        self._is_looking = False
        self._of_thread = threading.local()
        self.tests: dict[Asked, Request] = {}  # what is asked by a POST
        self.trace: list[Asked] = []  # what readings came to, in order
        self.oldest = float("inf")  # when the oldest answer was asked for that was used since this was set
        self.began_at = float("-inf")  # when the latest request was sent, or the latest of those that were sent together

    def as_asked(self, request: Request) -> Asked:
        """Return by what the answer to a POST that changes nothing is kept; no path of a GET looks like it."""
        self.tests[asked := (request.line, ())] = request
        return asked

    def answer(self, asked: Asked, beside: tuple[Asked, ...] = ()) -> Kept | None:
        """Return an answer that is there, None where it has to be asked for.

        Raises `NotReadYet` while looking ahead; with `beside`, the addresses that may be requested with it.
        """
        self.trace.append(asked)
        found = self._kept.get(asked) if self._is_looking else self._kept.pop(asked, None)
        if found is not None and self._clock() - found.at <= KEPT_S:
            self.oldest = min(self.oldest, found.at)
            return found
        if self._is_looking:
            raise NotReadYet(self, (asked, *(one for one in beside if one not in self._kept)))
        return None

    def holds(self, asked: Asked) -> bool:
        """Whether an answer is there."""
        return asked in self._kept

    def error_of(self, asked: Asked) -> RunbookError | None:
        """Return the error that asking for a reading ended with, None where there is an answer or nothing."""
        found = self._kept.get(asked)
        return found.error if found else None

    def goes_no_further(self) -> None:
        """Raise `NotReadYet` while looking ahead: what comes now is sent only when it is needed."""
        if self._is_looking:
            raise NotReadYet(self)

    def all_or_none(self, asked: Iterable[Asked]) -> None:
        """Raise `NotReadYet` with all requests that are missing, while looking ahead: they can be sent together."""
        if self._is_looking and (missing := [one for one in asked if one not in self._kept]):
            raise NotReadYet(self, missing)

    def keep(self, asked: Asked, at: float, body: Any = None, error: RunbookError | None = None) -> None:
        """Keep an answer, or the error that asking for it ended with."""
        self._kept[asked] = Kept(at, body, error)

    def now(self) -> float:
        """Return the time by which answers age."""
        return self._clock()

    def leaves(self) -> None:
        """Note that this thread's request leaves: it may have waited for its turn under a limit."""
        self._of_thread.left_at = self._clock()

    def left_at(self, asked_at: float) -> float:
        """Return when this thread's request left that was asked for then; an answer is no older than that."""
        return max(asked_at, getattr(self._of_thread, "left_at", asked_at))

    def begins(self) -> None:
        """Note that a request is sent now, or several together: what was read before is not the latest reading any more."""
        self.began_at = self._clock()

    def clear(self) -> None:
        """Drop every answer: something was written, or is to be read afresh."""
        self._kept.clear()

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Send nothing within, and use answers without using them up."""
        self._is_looking = True
        try:
            yield
        finally:
            self._is_looking = False
