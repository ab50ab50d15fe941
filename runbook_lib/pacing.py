"""Requests of all kernels of a run, kept together under each service's rate limit.

The limits belong to a tenant of a service, so that all kernels share one pace. What is known of it lies in a small file each,
locked while it is read and written; numbers only. Auth0 tells in every answer how many requests are left and when more are
(`x-ratelimit-*`; rate-limit-use-cases page); Graph tells after a refusal how long to wait (`Retry-After`; throttling page).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

from filelock import FileLock

LOST_S = 130.0  # a request not answered by then never will be: its kernel is gone
LONGEST_WAIT_S = 300.0
_POLL_S = 0.001
_RECHECK_S = 0.25


@dataclass
class _Known:
    """What is known of one limit. Times are seconds of this machine's monotonic clock, which all its processes share."""

    left: int | None = None  # requests that the service would still take; None: it has not said
    renewed_at: float = 0.0  # when it takes more
    closed_until: float = 0.0  # nothing is sent before
    sent: list[float] = field(default_factory=list)  # requests that are on their way
    has_answered: bool = False


class Pacer:
    """Lets a request pass when its service will take it. `folder` is shared by all processes of a run on this machine."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    def acquire(self, key: str) -> None:
        """Wait until a request to the service `key` may be sent, and count it. An answer or `forget` must follow."""
        while wait := self._tried(key):
            self._sleep(wait)

    def observe(self, key: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer."""
        now = self._clock()
        with self._held(key) as known:
            known.sent = known.sent[1:]
            known.has_answered = True
            wait_s = _seconds(headers, "Retry-After", now_is=headers.get("Date"))
            left, renewed_s = headers.get("x-ratelimit-remaining"), _until_reset(headers)
            if left is not None and left.isdecimal() and renewed_s is not None:
                renewed_at = now + renewed_s
                is_late = renewed_at < known.renewed_at - 0.5  # an answer that was overtaken
                known.left = min(int(left), known.left or 0) if is_late else int(left)
                known.renewed_at = max(renewed_at, known.renewed_at)
            if status == 429:
                known.left = 0 if known.left is not None else None
                asked = wait_s if wait_s is not None else renewed_s if renewed_s is not None else 1.0
                known.closed_until = max(known.closed_until, now + min(asked, LONGEST_WAIT_S))

    def forget(self, key: str) -> None:
        """Count a request out that got no answer."""
        with self._held(key) as known:
            known.sent = known.sent[1:]

    def _tried(self, key: str) -> float:
        """Return how many seconds to wait; 0: the request is counted and may go."""
        now = self._clock()
        with self._held(key) as known:
            known.sent = [at for at in known.sent if now - at < LOST_S]
            if now < known.closed_until:
                return known.closed_until - now
            if known.left is None:
                if not known.has_answered and known.sent:
                    return _RECHECK_S / 10  # one asks first: its answer says how many more may
            elif known.left - len(known.sent) <= 0:
                if now < known.renewed_at:
                    return min(known.renewed_at - now, _RECHECK_S)
                if known.sent:  # one asks again, when the time has come
                    return _RECHECK_S / 10
            known.sent.append(now)
        return 0.0

    @contextmanager
    def _held(self, key: str) -> Iterator[_Known]:
        path = self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"
        with FileLock(f"{path}.lock", mode=0o600, poll_interval=_POLL_S):
            known = _Known(**json.loads(path.read_text())) if path.exists() else _Known()
            yield known
            path.write_text(json.dumps(asdict(known)))


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
