"""Readings carried out ahead in waves: all requests that wait for no other are sent together, to every service at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from runbook_lib.core.errors import RunbookError, StepBlocked, TransportError
from runbook_lib.http.ahead import Asked, NotReadYet
from runbook_lib.http.service import Service

WAVE = "wave"  # the names of its threads begin so
_numbers = itertools.count(1)


class _Waves:
    """One reading ahead. A service that nothing came back from in a wave is not asked again."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = services
        self._tried: set[tuple[str, Asked]] = set()
        self._down: set[str] = set()

    def looked(self, look: Callable[[], object]) -> Sequence[tuple[str, Asked]] | None:
        """Carry a reading out by what is there; return what it still needs, None when it is over or cannot go on."""
        with ExitStack() as looking:
            for service in self._services:
                looking.enter_context(service.ahead.looking())
            try:
                look()
            except NotReadYet as stop:
                by = next((service.name for service in self._services if service.ahead is stop.by), "")
                needed = [(by, asked) for asked in stop.asked if by not in self._down and (by, asked) not in self._tried]
                return needed or None
            except RunbookError:  # raised again where the reading is needed: the answer is kept
                pass
        return None

    def send(self, needed: Iterable[tuple[str, Asked]]) -> None:
        """Ask for readings, at once as far as the services let."""
        for service in self._services:
            service.ahead.begins()
        self._tried |= (wanted := dict.fromkeys(needed)).keys()
        asked = {service: [one for name, one in wanted if name == service.name] for service in self._services}
        jobs = [job for service, ones in asked.items() if ones for job in service.asking_ahead(ones)]
        if len(jobs) == 1:
            jobs[0]()
        elif jobs:
            with ThreadPoolExecutor(len(jobs), thread_name_prefix=f"{WAVE} {next(_numbers)}") as pool:
                for done in [pool.submit(job) for job in jobs]:
                    done.result()
        self._down |= {service.name for service, ones in asked.items() if ones and _is_down(service, ones)}


def read_in_waves(
    looks: Mapping[str, Callable[[], object]], services: Sequence[Service], first: Iterable[tuple[str, Asked]] = ()
) -> None:
    """Carry readings out ahead, as far as that goes. Raises nothing of the services: errors wait where they are read.

    `looks` are readings by name; each must have no effect but to keep what it read. `first` are (service, request) that will
    probably be needed, and go with the first wave.
    """
    waves, left, needed = _Waves(services), dict(looks), list(first)
    while left:
        for name, look in list(left.items()):
            wanted = waves.looked(look)
            if wanted is None:
                del left[name]
            else:
                needed += wanted
        if not needed:
            return
        waves.send(needed)
        needed = []


def _is_down(service: Service, asked: Iterable[Asked]) -> bool:
    errors = [service.ahead.error_of(one) for one in asked]
    return all(isinstance(error, TransportError | StepBlocked) for error in errors)
