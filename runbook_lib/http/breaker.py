"""An outage, known to all processes of a run: a service that does not answer is asked a few times in all, not by every tenant.

What is known of a host lies in a small file, locked while it is read and written. While it has not answered yet, and after a
failure, one request goes first. After `FAILURES` in a row, or one that is certain (the name does not resolve, the connection is
refused or not made in time, a first request had no answer in its time) of a host that has not answered in this run, the host
counts as out of order: requests are refused here, in the words of the last failure, and one is let through now and then, after
5 s, 10 s, 20 s, up to a minute. Any answer ends the outage. An outage in the midst of a run finds at most `IN_FLIGHT` requests
to the host on their way.

Pattern: Nygard, Release It!, Circuit Breaker.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.core.json_text import parsed
from runbook_lib.http.shared_file import held, name_of, write_over

FAILURES = 5
IN_FLIGHT = 8  # to one host at a time; with the probes of a minute an outage costs a fleet twelve requests at most
FIRST_PROBE_S, LAST_PROBE_S = 5.0, 60.0
_LOST_S = 30.0  # a request that went first and was not heard of again: its process is gone
_SLOW_S = 5.0  # after a failure the requests on their way are waited for so long before another goes
_ASK_AGAIN_S = 0.025
_DOWN = frozenset({502, 503, 504})


@dataclass
class _Known:
    """What is known of one host. Times are seconds of this machine's monotonic clock, which all its processes share."""

    has_answered: bool = False
    failures: int = 0  # in a row
    probe_at: float = 0.0
    probe_after_s: float = FIRST_PROBE_S
    words: tuple[str, str] = ("", "")  # came_back and do_now of the last failure
    in_flight: list[float] = field(default_factory=list)  # when each request went that has not ended yet

    @property
    def is_out(self) -> bool:
        return self.failures >= FAILURES


class Breaker:
    """Lets requests to a host pass, or refuses them. `folder` is shared by all processes of a run on this machine."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._sleep = sleep

    @contextmanager
    def passing(self, url: str, attempted: str, *, certain_after_s: float | None = None) -> Iterator[None]:
        """Send one request within. Raises `TransportError` in place of sending it while the host is out of order.

        A request that breaks after `certain_after_s` is certain evidence of an outage; None: how long it took says nothing.
        """
        host = urlsplit(url).netloc
        while not isinstance(began := self._enter(host, attempted), float):
            if isinstance(began, TransportError):
                raise began
            self._sleep(_ASK_AGAIN_S)
        try:
            yield
        except TransportError as broken:
            is_silent = certain_after_s is not None and self._clock() - began >= certain_after_s
            self._failed(host, began, broken, is_certain=is_silent or broken.is_outage)
            raise
        except ApiError as refusal:
            if refusal.status in _DOWN:
                self._failed(host, began, refusal, is_certain=False)
            else:
                self._answered(host, began)
            raise
        except BaseException:
            self._forgotten(host, began)
            raise
        self._answered(host, began)

    def outage(self, url: str, attempted: str) -> TransportError | None:
        """Return the error for a host that is out of order and not to be asked now, None for any other."""
        with self._held(urlsplit(url).netloc) as known:
            return _refusal(known, attempted) if known.is_out and self._clock() < known.probe_at else None

    def has_answered(self, url: str) -> bool:
        """Whether a host has answered a request of this run, and none has failed since."""
        with self._held(urlsplit(url).netloc) as known:
            return known.has_answered and not known.failures

    def _enter(self, host: str, attempted: str) -> TransportError | float | None:
        """Return when a request went that may be sent now, None when to ask again, or why it may not be sent."""
        now = self._clock()
        with self._held(host) as known:
            known.in_flight = [since for since in known.in_flight if now - since < _LOST_S]
            if known.is_out:
                if now < known.probe_at:
                    return _refusal(known, attempted)
                known.probe_at, known.probe_after_s = now + known.probe_after_s, min(2 * known.probe_after_s, LAST_PROBE_S)
            elif not known.has_answered or known.failures:
                if any(now - since < (_LOST_S if not known.has_answered else _SLOW_S) for since in known.in_flight):
                    return None
            elif len(known.in_flight) >= IN_FLIGHT:
                return None
            known.in_flight = [*known.in_flight, now]
            return now

    def _answered(self, host: str, began: float) -> None:
        with self._held(host) as known:
            others = _without(known.in_flight, began)
            vars(known).update(vars(_Known(has_answered=True, in_flight=others)))

    def _failed(self, host: str, began: float, error: TransportError | ApiError, *, is_certain: bool) -> None:
        with self._held(host) as known:
            was_out, known.in_flight = known.is_out, _without(known.in_flight, began)
            known.failures = FAILURES if is_certain and not known.has_answered else known.failures + 1
            known.words = (error.came_back, error.do_now)
            if known.is_out and not was_out:
                known.probe_after_s = 2 * FIRST_PROBE_S
                known.probe_at = self._clock() + FIRST_PROBE_S

    def _forgotten(self, host: str, began: float) -> None:
        with self._held(host) as known:
            known.in_flight = _without(known.in_flight, began)

    @contextmanager
    def _held(self, host: str) -> Iterator[_Known]:
        path = self._folder / f"outage-{name_of(host)}"
        with held(path) as opened:
            before = opened.read()
            known = _read(before)
            unchanged = replace(known)
            yield known
            if known != unchanged:
                write_over(opened, before, vars(known))


def _without(in_flight: list[float], began: float) -> list[float]:
    """Return the requests in flight without one that began then; the same when it counts as lost already."""
    left = list(in_flight)
    if began in left:
        left.remove(began)
    return left


def _refusal(known: _Known, attempted: str) -> TransportError:
    came_back = f"{known.words[0]} (not sent again: the service is out of order, see: RB-114)"  # the cause first: lines are cut
    return TransportError(attempted, came_back, ambiguous=False, is_final=True, is_outage=True, do_now=known.words[1])


def _read(content: bytes) -> _Known:
    """Return what a file says. Of one that cannot be read nothing is known, and one request goes first again."""
    try:
        known = _Known(**parsed(content))
    except (ValueError, TypeError):
        return _Known()
    known.words = (str(known.words[0]), str(known.words[1]))
    return known
