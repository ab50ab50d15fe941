"""How any kernel of a batch is started and spoken to, by public means of jupyter_client."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.kernelspec import KernelSpec
from jupyter_core.utils import ensure_event_loop
from traitlets.config import Config

SPEC = KernelSpec(
    argv=[sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
    display_name="Python 3 (ipykernel)",
    language="python",
    metadata={"supported_encryption": ["curve"]},
)


def over_ipc(folder: Path) -> Config:
    """Return a configuration that keeps kernel traffic off TCP, where every local user could read along.

    `folder` belongs to one kernel and holds its sockets and its connection file: by default kernels share names in the working
    directory, and ports that are free now may be taken before the kernel binds them.
    """
    options = {"connection_file": str(folder / "kernel.json")}
    if os.name == "posix":
        options |= {"transport": "ipc", "ip": str(folder / "kernel")}
    return Config({"KernelManager": options})


@contextmanager
def loop_closed() -> Iterator[None]:
    """Close this thread's event loop in the end: jupyter_core makes one for each thread and closes none."""
    try:
        yield
    finally:
        loop = ensure_event_loop()
        if not loop.is_running():
            loop.close()
