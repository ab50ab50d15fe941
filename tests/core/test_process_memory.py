"""A process that dies of a signal leaves no core with secrets, and no other process of the user reads its memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from runbook_lib.core.process_memory import keep_memory_private, write_no_core

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and /proc are read as Linux has them")


def told(code, **more):
    command = f"from runbook_lib.core.process_memory import *; from runbook_lib.core.secret import guard_process; {code}"
    return subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize("guard", ["write_no_core()", "keep_memory_private()", "guard_process()"])
def test_no_core_is_written_though_the_shell_allows_it(guard, tmp_path):
    code = (
        "import os, resource; hard = resource.getrlimit(resource.RLIMIT_CORE)[1]; "
        f"resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)); {guard}; "
        "print(resource.getrlimit(resource.RLIMIT_CORE), flush=True); os.abort()"
    )
    ended = told(code, cwd=tmp_path)
    assert (ended.returncode, ended.stdout.strip(), list(tmp_path.iterdir())) == (-signal.SIGABRT, "(0, 0)", [])


def test_a_kernel_or_command_is_not_dumpable():
    code = "keep_memory_private(); import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE
    assert told(code).stdout.strip() == "0"


def test_twice_is_as_good_as_once():
    assert told("keep_memory_private(); keep_memory_private(); print('fine')").stdout == "fine\n"
    assert os.getpid()
    assert (write_no_core.__doc__, keep_memory_private.__doc__) != (None, None)
