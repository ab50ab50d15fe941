"""Requests of all kernels of a run, kept together under each service's rate limit.

The limits belong to a tenant of a service, so that all kernels share one pace. What is known of it lies in a small file each,
locked while it is read and written; numbers only. Auth0 tells in every answer how many requests are left and when more are
(`x-ratelimit-*`; rate-limit-use-cases page); Graph tells after a refusal how long to wait (`Retry-After`; throttling page).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import portalocker

LOST_S = 130.0  # a request not answered by then never will be: its kernel is gone
LONGEST_WAIT_S = 300.0
_ASK_AGAIN_S = 0.025


@dataclass(frozen=True)
class Ticket:
    """A request that may be sent: the how manieth of all, and how many were on their way then."""

    number: int
    beside: int


@dataclass
class _Known:
    """What is known of one limit. Times are seconds of this machine's monotonic clock, which all its processes share."""

    left: int | None = None  # requests that the service will surely still take; None: it has not said
    renewed_at: float = 0.0  # when it takes more
    closed_until: float = 0.0  # nothing is sent before
    sent: list[tuple[int, float]] = field(default_factory=list)  # number and time of the requests on their way
    count: int = 0  # of requests so far
    has_answered: bool = False


class Pacer:
    """Lets a request pass when its service will take it. `folder` is shared by all processes of a run on this machine."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    def acquire(self, key: str) -> Ticket:
        """Wait until a request to the service `key` may be sent, and count it. `observe` or `forget` must follow."""
        while isinstance(tried := self._tried(key), float):
            self._sleep(tried)
        return tried

    def observe(self, key: str, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer to a request."""
        now = self._clock()
        left, renewed_s = headers.get("x-ratelimit-remaining"), _until_reset(headers)
        with self._held(key) as known:
            known.sent = [(number, at) for number, at in known.sent if number != ticket.number]
            known.has_answered = True
            if left is not None and left.isdecimal() and renewed_s is not None:
                # Answers overtake one another: none of those beside this one, and none sent since, is surely counted in it.
                known.left = int(left) - ticket.beside - (known.count - ticket.number)
                known.renewed_at = max(now + renewed_s, known.renewed_at)
            if status == 429:
                asked = _seconds(headers, "Retry-After", now_is=headers.get("Date"))
                wait_s = asked if asked is not None else renewed_s if renewed_s is not None else 1.0
                known.closed_until = max(known.closed_until, now + wait_s)

    def close(self, key: str, wait_s: float) -> None:
        """Let nothing pass for so long: a part of an answer said that the service is busy."""
        with self._held(key) as known:
            known.closed_until = max(known.closed_until, self._clock() + min(wait_s, LONGEST_WAIT_S))

    def forget(self, key: str, ticket: Ticket) -> None:
        """Count a request out that got no answer."""
        with self._held(key) as known:
            known.sent = [(number, at) for number, at in known.sent if number != ticket.number]

    def _tried(self, key: str) -> Ticket | float:
        """Return a ticket, or how many seconds to wait before the next try."""
        now = self._clock()
        with self._held(key) as known:
            known.sent = [(number, at) for number, at in known.sent if now - at < LOST_S]
            if now < known.closed_until:
                return known.closed_until - now
            is_open = known.left > 0 if known.left is not None else known.has_answered
            if not is_open and known.sent:
                return _ASK_AGAIN_S  # one goes first: its answer says how many more may
            if not is_open and now < known.renewed_at:
                return known.renewed_at - now
            known.count += 1
            ticket = Ticket(known.count, len(known.sent))
            known.sent.append((known.count, now))
            if known.left is not None:
                known.left -= 1
            return ticket

    def limit(self, key: str) -> PacedLimit:
        """Return the limit of one service of one tenant, as the HTTP layer takes it."""
        return PacedLimit(self, key)

    @contextmanager
    def _held(self, key: str) -> Iterator[_Known]:
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0) as opened:
            portalocker.lock(opened, portalocker.LOCK_EX)  # until it is closed; the system wakes who waits
            before = opened.read()
            known = _read(before)
            yield known
            opened.seek(0)
            opened.write(json.dumps(vars(known)).encode().ljust(len(before)))  # in one call, which no kill cuts in two


def _read(content: bytes) -> _Known:
    """Return what a file says. Of one that cannot be read nothing is known, and one request goes first again."""
    try:
        return _Known(**json.loads(content))
    except (ValueError, TypeError):
        return _Known()


@dataclass(frozen=True)
class PacedLimit:
    """One limit of a pacer."""

    pacer: Pacer
    key: str

    def acquire(self) -> Ticket:
        """Wait until a request may be sent."""
        return self.pacer.acquire(self.key)

    def observe(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from its answer."""
        self.pacer.observe(self.key, ticket, status, headers)

    def close(self, wait_s: float) -> None:
        """Let nothing pass for so long."""
        self.pacer.close(self.key, wait_s)

    def forget(self, ticket: Ticket) -> None:
        """There was no answer."""
        self.pacer.forget(self.key, ticket)


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until `x-ratelimit-reset`, a unix time, by the service's own clock as its `Date` shows it."""
    return _seconds({"at": headers.get("x-ratelimit-reset", "")}, "at", now_is=headers.get("Date"), is_time=True)


def _seconds(headers: Mapping[str, str], name: str, *, now_is: str | None, is_time: bool = False) -> float | None:
    value = headers.get(name) or ""
    try:
        now = parsedate_to_datetime(now_is or "").timestamp()
    except (TypeError, ValueError):
        now = time.time()
    try:
        number = float(value)
        return min(max(0.0, number - now if is_time else number), LONGEST_WAIT_S)
    except ValueError:
        pass
    try:
        return min(max(0.0, parsedate_to_datetime(value).timestamp() - now), LONGEST_WAIT_S) if value else None
    except (TypeError, ValueError):
        return None
