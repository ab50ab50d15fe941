"""How far a step of many writes is, from the journal that its kernel writes: the kernel's own output belongs to the page."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

EVERY_S = 1.0
_END = 4096  # octets; an outcome is a short line


@contextlib.contextmanager
def parts_told(journal: Path, tell: Callable[[int, int], None]) -> Iterator[None]:
    """Tell, while the block runs, how many of how many changes of a step are written; nothing for steps of one change."""
    has_ended = threading.Event()

    def watch() -> None:
        told = None
        while not has_ended.wait(EVERY_S):
            if (part := last_part(journal)) is not None and part != told:
                told = part
                tell(*part)

    watching = threading.Thread(target=watch, name="parts", daemon=True)
    watching.start()
    try:
        yield
    finally:
        has_ended.set()
        watching.join()


def last_part(journal: Path) -> tuple[int, int] | None:
    """Return the part that the last outcome in a journal tells, None when there is none at its end."""
    try:
        with journal.open("rb") as opened:
            opened.seek(0, 2)
            opened.seek(max(0, opened.tell() - 4 * _END))
            lines = opened.read().split(b"\n")[1:-1]
    except OSError:
        return None
    for line in reversed(lines):
        if b'"outcome"' in line:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                done, of = json.loads(line)["part"]
                return int(done), int(of)
            return None
    return None
