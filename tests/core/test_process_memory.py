"""Threads take their memory from two places, not each from one of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import re, sys, threading
from pathlib import Path
from runbook_lib.core.process_memory import share_arenas

if sys.argv[1] == "shared":
    share_arenas()
have = threading.Barrier(9)
read = threading.Event()

def take():
    kept = [bytearray(60_000) for _ in range(20)]
    have.wait()
    read.wait()
    return kept

for _ in range(8):
    threading.Thread(target=take).start()
have.wait()
# glibc reserves 64 MB for an arena, at an address that is a multiple of that; what it has not used yet cannot be read.
lines = Path("/proc/self/maps").read_text().splitlines()
starts = [int(line.split("-")[0], 16) for line in lines if re.search(r" rw-p 0+ 00:00 0 *$", line)]
print(sum(start % (64 << 20) == 0 for start in starts))
read.set()
"""


def arenas(how):
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="what other systems do with threads' memory is not looked at")
def test_threads_share_what_glibc_gives_them():
    alone = arenas("alone")
    if alone < 8:
        pytest.skip("another C library, or a limit from outside")
    assert arenas("shared") <= 1  # besides the main one, which is no mapping of its own
