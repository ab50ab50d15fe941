"""The process that kernels are forked from: whether there can be one, and its start. Nothing heavy is imported here."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Literal

KernelKind = Literal["auto", "warm", "stock"]


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
    if kind != "stock" and can_be_warm():
        forking()
        forkserver.ensure_running()


def forking() -> ForkServerContext:
    """Return the context whose processes are forked from the warm one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["runbook_lib.batch.warm_imports"])
    return context
