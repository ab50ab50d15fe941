"""Requests of all kernels of a run, kept together under each service's rate limits.

The limits belong to a tenant of a service, so that all kernels share one pace. What is known of it lies in a small file each,
locked while it is read and written; numbers only. Auth0 tells in every answer how many requests are left and when more are
(`x-ratelimit-*`; rate-limit-use-cases page); Graph tells after a refusal how long to wait (`Retry-After`; throttling page).

On some plans Auth0 has a limit for each kind of request, on others one for all (rate limit configurations pages, July 2026).
Which kinds share a limit is learned: it is named by its size, `x-ratelimit-limit`, so that two limits of one size count as one,
which is never too fast. How fast a limit is refilled is learned too, because the header tells it in whole seconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runbook_lib.core.json_text import parsed
from runbook_lib.http.header_times import left_of, retry_after_s, until_reset_s
from runbook_lib.http.refill import Refill
from runbook_lib.http.shared_file import held, name_of, write_over

LOST_S = 130.0  # a request not answered by then never will be: its kernel is gone
LONGEST_WAIT_S = 300.0
_ASK_AGAIN_S = 0.025  # shorter waits would only make the processes look more often
_KIND = re.compile(r"(?:/api/v\d+)?/([A-Za-z$-]+)")


def kind_of(method: str, path: str) -> str:
    """Return by what a service may tell requests apart for its limits: whether it is a reading, and of what."""
    found = _KIND.match(path)
    return f"{'read' if method == 'GET' else 'write'} {found[1] if found else ''}".rstrip()


@dataclass(frozen=True)
class Ticket:
    """A request that may be sent: the how manieth of all, and its kind.

    `counted` holds, by the limit that it may count against, the how manieth it is there and how many were on their way then.
    """

    number: int
    kind: str = ""
    counted: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class _Limit:
    """What is known of one limit. Times are seconds of this machine's monotonic clock, which all its processes share."""

    left: float = 0.0  # requests that the service will surely still take, by the latest answer
    seen_at: float = 0.0  # when that answer came
    seen: int = 0  # which request it was the answer to
    renewed_at: float = 0.0  # when the service says that it takes more
    closed_until: float = 0.0  # nothing is sent before
    count: int = 0  # of requests so far
    size: float = 0.0
    refill: Refill = field(default_factory=Refill)

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> _Limit:
        """Return what a file says. Raises `TypeError`."""
        return cls(**{**found, "refill": Refill(**found["refill"])})

    def surely(self, now: float) -> float:
        """Return how many requests the service surely takes now."""
        return min(self.size, self.left + self.refill.per_second * (now - self.seen_at))

    def wait_s(self, now: float, on_their_way: int) -> float:
        """Return for how long nothing is to be sent; 0 when a request may be."""
        if now < self.closed_until:
            return self.closed_until - now
        if self.surely(now) >= 1:
            return 0.0
        if now >= self.renewed_at:  # one goes first: its answer says how many more may
            return _ASK_AGAIN_S if on_their_way else 0.0
        return max(_ASK_AGAIN_S, min(self.renewed_at - now, self.refill.time_for(1 - self.surely(now))))


@dataclass
class _Known:
    """What is known of a service: its limits by their names, which limit each kind of request counts against."""

    limits: dict[str, _Limit] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    sent: list[tuple[int, float, str]] = field(default_factory=list)  # number, time and kind of the requests on their way
    closed_until: float = 0.0
    count: int = 0
    has_answered: bool = False

    def limits_of(self, kind: str) -> dict[str, _Limit]:
        """Return what a request of a kind may count against: all, as long as none of its kind was answered."""
        name = self.kinds.get(kind)
        return self.limits if name is None else {name: self.limits[name]}

    def on_their_way(self, name: str, held: int = 0) -> int:
        """Return how many requests may count against a limit and are not answered yet; the one of number `held` is not sent."""
        return sum(self.kinds.get(kind, name) == name for number, _, kind in self.sent if number != held)

    def wait_s(self, now: float, kind: str, held: int = 0) -> float:
        """Return for how long no request of a kind is to be sent; 0 when one may be. Its sender waits for no `held` one."""
        if now < self.closed_until:
            return self.closed_until - now
        is_unknown = kind not in self.kinds and (bool(self.limits) or not self.has_answered)
        if is_unknown and any(other == kind or not self.has_answered for number, _, other in self.sent if number != held):
            return _ASK_AGAIN_S
        return max(
            (limit.wait_s(now, self.on_their_way(name, held)) for name, limit in self.limits_of(kind).items()), default=0.0
        )

    def sends(self, now: float, kind: str) -> Ticket:
        """Count a request that is sent."""
        self.count += 1
        counted = {}
        for name, limit in self.limits_of(kind).items():
            limit.count += 1
            limit.left -= 1
            counted[name] = (limit.count, self.on_their_way(name))
        self.sent.append((self.count, now, kind))
        return Ticket(self.count, kind, counted)

    def answered(self, ticket: Ticket) -> float | None:
        """Count a request out; return when it was sent, None when that was so long ago that it was counted out already."""
        found = next((at for number, at, _ in self.sent if number == ticket.number), None)
        self.sent = [one for one in self.sent if one[0] != ticket.number]
        return found


class Pacer:
    """Lets a request pass when its service will take it. `folder` is shared by all processes of a run on this machine."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    def acquire(self, key: str, kind: str = "", held: Ticket | None = None) -> Ticket:
        """Wait until a request of a kind may be sent to the service `key`, and count it. `observe` or `forget` must follow.

        `held` is a ticket that its holder will use later: it would wait in vain for the answer to that.
        """
        while isinstance(tried := self._tried(key, kind, held.number if held else 0), float):
            self._sleep(tried)
        return tried

    def observe(self, key: str, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer to a request."""
        now = self._clock()
        left, renewed_s = left_of(headers), _bounded(until_reset_s(headers))
        with self._held(key) as known:
            sent_at = known.answered(ticket)
            known.has_answered = True
            if left is not None and renewed_s is not None and sent_at is not None:
                name = headers.get("x-ratelimit-limit", "")
                _learn(known, ticket, name, left, renewed_s, (sent_at, now))
            if status == 429:
                asked = _bounded(retry_after_s(headers))
                wait_s = asked if asked is not None else renewed_s if renewed_s is not None else 1.0
                _close(known, ticket.kind, now + wait_s)

    def close(self, key: str, wait_s: float) -> None:
        """Let nothing pass for so long: a part of an answer said that the service is busy."""
        with self._held(key) as known:
            known.closed_until = max(known.closed_until, self._clock() + min(wait_s, LONGEST_WAIT_S))

    def forget(self, key: str, ticket: Ticket) -> None:
        """Count a request out that got no answer."""
        with self._held(key) as known:
            known.answered(ticket)
            for name in ticket.counted.keys() & known.limits.keys():
                known.limits[name].refill.begin_again()  # the service may have counted it or not

    def _tried(self, key: str, kind: str, held: int) -> Ticket | float:
        """Return a ticket, or how many seconds to wait before the next try."""
        now = self._clock()
        with self._held(key) as known:
            known.sent = [one for one in known.sent if now - one[1] < LOST_S]
            return known.wait_s(now, kind, held) or known.sends(now, kind)

    def limit(self, key: str) -> PacedLimit:
        """Return the limit of one service of one tenant, as the HTTP layer takes it."""
        return PacedLimit(self, key)

    @contextmanager
    def _held(self, key: str) -> Iterator[_Known]:
        with held(self._folder / name_of(key)) as opened:
            before = opened.read()
            known = _read(before)
            yield known
            write_over(opened, before, asdict(known))


def _learn(known: _Known, ticket: Ticket, name: str, remaining: int, renewed_s: float, during: tuple[float, float]) -> None:
    """Take over how many requests a limit has left; `during` is from when to when the request was on its way."""
    now, is_new = during[1], name not in known.limits
    limit = known.limits.setdefault(name, _Limit(size=float(name) if name.isdecimal() else float("inf")))
    known.kinds[ticket.kind] = name
    for other in (ticket.counted.keys() & known.limits.keys()) - {name}:  # it did not count there, as was feared
        known.limits[other].left += 1
        known.limits[other].refill.begin_again()
    number, beside = ticket.counted.get(name, (limit.count, known.on_their_way(name)))
    limit.renewed_at = max(now + renewed_s, limit.renewed_at)
    if not is_new and number < limit.seen:
        return  # answers overtake one another: a later one is known
    # It may count none of the requests that were in flight with this one, and none of those sent since.
    limit.left, limit.seen_at, limit.seen = float(remaining - beside - (limit.count - number)), now, number
    if beside == 0 and number == limit.count and name in ticket.counted:
        limit.refill.look(remaining, number, during)


def _close(known: _Known, kind: str, until: float) -> None:
    """Let nothing of a kind pass before a time, nothing at all where its limit is not known."""
    name = known.kinds.get(kind)
    if name is None:
        known.closed_until = max(known.closed_until, until)
    else:
        limit = known.limits[name]
        limit.closed_until, limit.left = max(limit.closed_until, until), min(limit.left, 0.0)
        limit.refill = Refill()  # another client takes requests too, or the limit has changed


def _read(content: bytes) -> _Known:
    """Return what a file says. Of one that cannot be read nothing is known, and one request goes first again."""
    try:
        found = parsed(content)
        return _Known(**{**found, "limits": {name: _Limit.of(one) for name, one in found["limits"].items()}})
    except (ValueError, TypeError, KeyError, AttributeError):
        return _Known()


@dataclass(frozen=True)
class PacedLimit:
    """One limit of a pacer."""

    pacer: Pacer
    key: str

    def acquire(self, kind: str, held: Ticket | None = None) -> Ticket:
        """Wait until a request of a kind may be sent."""
        return self.pacer.acquire(self.key, kind, held)

    def observe(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from its answer."""
        self.pacer.observe(self.key, ticket, status, headers)

    def close(self, wait_s: float) -> None:
        """Let nothing pass for so long."""
        self.pacer.close(self.key, wait_s)

    def forget(self, ticket: Ticket) -> None:
        """There was no answer."""
        self.pacer.forget(self.key, ticket)


def _bounded(wait_s: float | None) -> float | None:
    return None if wait_s is None else min(wait_s, LONGEST_WAIT_S)
