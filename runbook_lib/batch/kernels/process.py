"""The function that becomes a kernel. It runs in a fresh fork of the warm process; imports wait until then."""

from __future__ import annotations

import atexit
import logging
import os
import random
import signal
import sys
import threading
from multiprocessing import connection, parent_process

END_S = 2.0  # what a kernel may take to end


def be_a_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Become an ordinary ipykernel, until told to shut down.

    `arguments` are those of `ipykernel_launcher`. The kernel leads its own session, so that the terminal's Ctrl-C reaches the
    runner alone, and ends when the runner ends, however that happens.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    random.seed()
    threading.Thread(target=_end_with_runner, name="end with runner", daemon=True).start()
    sys.argv = ["ipykernel_launcher", *arguments]

    from runbook_lib.batch.kernels.application import KernelApp
    from runbook_lib.core.process_memory import keep_memory_private
    from runbook_lib.core.secret import guard_process

    keep_memory_private()
    guard_process()  # once more: the environment has come, and with it perhaps a proxy's password
    # 1: looks after no parent. ipykernel would end with the process it was forked from; this one ends with the runner, see above.
    application = KernelApp.instance(parent_handle=1)
    application.initialize(arguments)  # type: ignore[no-untyped-call]
    application.log.setLevel(logging.WARNING)  # traitlets makes a record of every debugging line and drops it in the handler
    application.start()  # type: ignore[no-untyped-call]
    # Closing stops the thread that the control thread may be flushing to, and then waits for it 10 s (ipykernel 7.4.0).
    application.control_thread.join(END_S)
    atexit._run_exitfuncs()  # multiprocessing ends its children without them (popen_forkserver, os._exit)


def _end_with_runner() -> None:
    runner = parent_process()
    if runner is not None:
        connection.wait([runner.sentinel])
        os.killpg(0, signal.SIGKILL)
