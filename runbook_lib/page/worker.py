"""One thread that does the work of a page, so that the page stays alive while a service is slow or a person signs in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from runbook_lib.core.errors import RunbookError
from runbook_lib.page.panel import broke


class Worker:
    """Does one piece of work after the other."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="runbook")

    def do(self, work: Callable[[], None], on_trouble: Callable[[str], None]) -> Future[None]:
        """Do `work` after all earlier work. `on_trouble` gets the one line that describes a refusal or a bug."""
        return self._pool.submit(self._guarded, work, on_trouble)

    def _guarded(self, work: Callable[[], None], on_trouble: Callable[[str], None]) -> None:
        try:
            work()
        except RunbookError as error:
            on_trouble(f"{error.attempted}: {error.came_back}. What to do: {error.do_now}.")
        except Exception:  # noqa: BLE001 - a page has no other place for a bug than its log and one line
            on_trouble(broke())


class Ticking:
    """While the block runs, call `show(seconds)` about once a second."""

    def __init__(self, show: Callable[[int], None]) -> None:
        self._show, self._over = show, threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> None:
        self._started = time.monotonic()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._over.wait(1.0):
            self._show(int(time.monotonic() - self._started))
