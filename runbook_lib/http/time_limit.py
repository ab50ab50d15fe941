"""Time limits: of one exchange, and of all work on one tenant.

requests' own time-out starts again with every few bytes, so an answer that drips would be waited for without end. A
watchman shuts the socket down at the deadline, and the reader sees the end of the stream.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from runbook_lib.core.errors import TransportError
from runbook_lib.http import stage
from runbook_lib.http.authorities import share_authorities
from runbook_lib.http.broken import TooMuchError

TOTAL_TIMEOUT_S = 120.0  # provision on demand takes up to 30 s (entra-docs); requests' own time-out is per read only
SIGN_IN_TIMEOUT_S = 6.5  # a token endpoint answers within a second or is out of order
FIRST_BATCH_S = 12.0  # Graph answers a batch when its slowest part is done, and the first request of a run is one
TENANT_LIMIT_S = 7200.0

_log = logging.getLogger(__name__)

_watched = threading.local()


class _Connection(urllib3.connection.HTTPSConnection):
    """Tells the stage of an exchange: urllib3 connects and checks the certificate before it calls `request`."""

    def connect(self) -> None:
        stage.connects()
        share_authorities(self)
        super().connect()

    def request(self, *args: Any, **kwargs: Any) -> None:
        stage.is_up()
        super().request(*args, **kwargs)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 itself declares it
        if (watch := getattr(_watched, "watch", None)) is not None:
            watch.holds(self.sock)
        return super().getresponse()


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


class Adapter(HTTPAdapter):
    """Makes connections whose exchanges a watch can end, also through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use pools of such connections."""
        super().init_poolmanager(*args, **kwargs)
        _use_our_pool(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Use pools of such connections behind a proxy too."""
        manager = super().proxy_manager_for(*args, **kwargs)
        _use_our_pool(manager)
        return manager


def _use_our_pool(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}


class _Watch:
    """One exchange whose time is limited."""

    def __init__(self) -> None:
        self.sock: Any = None
        self.has_fired = False
        self._is_over = False
        self._lock = threading.Lock()

    def holds(self, sock: Any) -> None:
        """Take the socket that the answer comes through; shut it down at once when connecting and sending took all the time."""
        with self._lock:
            self.sock = sock
            if self.has_fired:
                _hang_up(sock)

    def fire(self) -> None:
        """Shut the socket of the exchange down, unless it is over: others may be using the socket then."""
        with self._lock:
            if self._is_over:
                return
            self.has_fired = True
            if self.sock is not None:
                _hang_up(self.sock)

    def end(self) -> None:
        """Let go of the socket."""
        with self._lock:
            self._is_over, self.sock = True, None


def _hang_up(sock: Any) -> None:
    # Through an https:// proxy there is TLS within TLS: an object of urllib3's that holds the socket.
    plain = sock if isinstance(sock, socket.socket) else sock.socket
    with contextlib.suppress(OSError):  # closed meanwhile
        socket.socket.shutdown(plain, socket.SHUT_RDWR)


class _Watchman:
    """One thread that fires what is due: a thread for each exchange costs more than sending the request.

    An exchange that ended in time stays listed until its time is up. So no thread has to be woken when the next one begins.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _Watch]] = []
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._count = itertools.count()

    def watch(self, watch: _Watch, limit_s: float) -> None:
        """Fire `watch` when `limit_s` have passed."""
        with self._news:
            heapq.heappush(self._due, (time.monotonic() + limit_s, next(self._count), watch))
            if self._due[0][2] is watch:
                self._news.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._fire_what_is_due, name="time limits", daemon=True)
                self._thread.start()

    def _fire_what_is_due(self) -> None:
        while True:
            with self._news:
                left_s = self._due[0][0] - time.monotonic() if self._due else None
                if left_s is None or left_s > 0:
                    self._news.wait(left_s)
                    continue
                watch = heapq.heappop(self._due)[2]
            try:
                watch.fire()
            except Exception:  # noqa: BLE001 - the others' time is limited all the same
                _log.exception("an exchange over its time could not be ended: this is a defect of the runbook, please report it")


_watchman = _Watchman()
if hasattr(os, "register_at_fork"):  # a child has neither the thread nor a part in these exchanges
    os.register_at_fork(after_in_child=lambda: _watchman.__init__())  # type: ignore[misc]


@contextlib.contextmanager
def hung_up_in_time(limit_s: float | None = None) -> Iterator[_Watch]:
    """Shut the socket of the exchange within down when `limit_s` have passed, `TOTAL_TIMEOUT_S` at most."""
    limit_s = min(limit_s or TOTAL_TIMEOUT_S, TOTAL_TIMEOUT_S)
    watch = _Watch()
    _watched.watch = watch
    _watchman.watch(watch, limit_s)
    try:
        yield watch
    except requests.exceptions.RequestException:
        if watch.has_fired:
            raise TooMuchError(f"an answer not complete after {limit_s:.0f} s") from None
        raise
    finally:
        watch.end()
        _watched.watch = None


class Deadline:
    """How long all work on one tenant may take. `clock` counts seconds."""

    def __init__(self, limit_s: float = TENANT_LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._start = clock()

    def check(self, attempted: str) -> None:
        """Raise `TransportError` when the time is used up: nothing more is sent."""
        if self._clock() - self._start > self._limit_s:
            raise TransportError(
                attempted, f"not sent: this tenant has taken over {self._limit_s:.0f} s", ambiguous=False, is_final=True
            )
