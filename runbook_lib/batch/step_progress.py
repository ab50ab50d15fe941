"""How far a step of many writes is, from the journal that its kernel writes: the kernel's own output belongs to the page."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runbook_lib.engine.events import Outcome, Waiting
from runbook_lib.engine.journal import latest_events

EVERY_S = 1.0


@contextlib.contextmanager
def parts_told(
    journal: Path, tell: Callable[[int, int], None], tell_wait: Callable[[str], None] = lambda step: None
) -> Iterator[None]:
    """Report, while the block runs, how many of a step's changes are written. Steps of one change report nothing.

    `tell_wait` gets the step that has begun to wait for a service, once for each wait.
    """
    has_ended = threading.Event()

    def watch() -> None:
        told, waited = None, ""
        while not has_ended.wait(EVERY_S):
            if (part := last_part(journal)) is not None and part != told:
                told = part
                tell(*part)
            if (step := last_wait(journal)) != waited:
                waited = step
                if step:
                    tell_wait(step)

    watching = threading.Thread(target=watch, name="parts", daemon=True)
    watching.start()
    try:
        yield
    finally:
        has_ended.set()
        watching.join()


def last_part(journal: Path) -> tuple[int, int] | None:
    """Return the part that the last outcome in a journal tells, None when there is none at its end."""
    return next((event.part for event in latest_events(journal) if isinstance(event, Outcome)), None)


def last_wait(journal: Path) -> str:
    """Return the step that waits for a service now, by the last event of a journal; empty when none waits."""
    last = next(latest_events(journal), None)
    return last.step if isinstance(last, Waiting) else ""
