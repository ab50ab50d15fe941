"""What becomes of this process's memory: no core file holds it, no other process of the user reads it, its threads share it."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_PR_SET_DUMPABLE = 4  # prctl(2)
_M_ARENA_MAX = -8  # mallopt(3)
_ARENAS = 2


def write_no_core() -> None:
    """Let no core file hold secrets when this process, or one that it starts, dies of a signal; nothing where there are none."""
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limit; a container may forbid to set it
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_memory_private() -> None:
    """Write no core, hand none over, and let no other process of the user read this one's memory and environment.

    Where cores are handed to a program, as to systemd-coredump, a limit of their size does not count (core(5)), but a process
    that is not dumpable is not handed over, and only root reads its /proc/PID/environ and mem (proc(5)). The processes that it
    starts are dumpable again.
    """
    write_no_core()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def share_arenas() -> None:
    """Let the threads of this process take memory from two places, before they start; glibc would give each thread its own.

    A run with 16 tenants in flight has 24 threads, and what each has once used is kept for it alone: a fifth of the process.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)
