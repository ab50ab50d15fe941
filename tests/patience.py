"""How long a test waits for what must come: so long that a hang is told apart from a machine that is slow or busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

PATIENCE_S = 240.0
_LOOK_EVERY_S = 0.005

Found = TypeVar("Found")


def until(found: Callable[[], Found], what: str = "it") -> Found:
    """Return the first value of `found` that counts as true. Raises `AssertionError` when none came in `PATIENCE_S`."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE_S:.0f} s"
        time.sleep(_LOOK_EVERY_S)
    return value


def command_of(process: psutil.Process) -> list[str]:
    """Return the command of a process, nothing of one that has just ended."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # a zombie counts as no such process
        return []
