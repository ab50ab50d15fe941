"""The process that kernels are forked from: whether there can be one, and its start. Nothing heavy is imported here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Literal

from runbook_lib.batch.kernels.tested import untested
from runbook_lib.core.errors import SettingsError

KernelKind = Literal["auto", "warm", "stock"]
_LEAVE_OUT = "Leave out --kernel warm: papermill's own engine does the same, slower"


def is_fast(kind: KernelKind) -> bool:
    """Whether `run` executes pages the fast way, which needs the releases of Jupyter that it was tested with.

    Raises `SettingsError` for `warm` where it is not possible; `auto` takes papermill's own engine then.
    """
    if kind == "warm" and not can_be_warm():
        raise SettingsError("warm kernels need Linux 5.3 and a process that may have children", _LEAVE_OUT)
    if kind == "warm" and (others := untested()):
        raise SettingsError(f"warm kernels were not tested with {', '.join(others)}", _LEAVE_OUT)
    return kind != "stock" and not untested()


def can_be_warm() -> bool:
    """Whether kernels may be forked here: on Linux, outside of a daemonic process, which may have no children.

    On macOS system libraries that were used before a fork may crash after it (Python documentation, multiprocessing).
    """
    return sys.platform == "linux" and not multiprocessing.current_process().daemon and _has_handles()


def _has_handles() -> bool:
    """Whether this kernel of Linux gives handles of processes: since 5.3, and not in every container."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def get_warm(kind: KernelKind) -> None:
    """Start the warm process where kernels are forked from one: it takes a second, on another core, to import what they use."""
    if is_fast(kind) and can_be_warm():
        forking()
        forkserver.ensure_running()


def forking() -> ForkServerContext:
    """Return the context whose processes are forked from the warm one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runbook_lib.batch.kernels.preload"])
    return context
