"""JupyterLab that ends with the process that started it: `python -m runbook_lib.page.jupyter SCRATCH [OPTIONS]...`.

The starting process holds the other end of standard input, which ends with it however it ends, by KILL too. Kernels look for
their parent themselves (ipykernel, `parentpoller`). `SCRATCH` is the folder that the starting process would have removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading


def _ends_with_standard_input() -> threading.Event:
    """Ask this process to end when standard input does. Return the event that says so."""
    is_alone = threading.Event()

    def until_alone() -> None:
        while os.read(0, 1024):  # not through `sys.stdin`, whose lock Python asks for as it ends
            pass
        is_alone.set()
        os.kill(os.getpid(), signal.SIGTERM)  # jupyter_server then ends its kernels

    threading.Thread(target=until_alone, daemon=True).start()
    return is_alone


def serve(scratch: str) -> None:
    """Serve until a signal, or until standard input ends."""
    is_alone = _ends_with_standard_input()
    from jupyterlab.labapp import main

    try:
        main()
    finally:
        if is_alone.is_set():
            shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    serve(sys.argv.pop(1))
