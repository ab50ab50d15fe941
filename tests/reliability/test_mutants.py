"""Each line of a guard changed in every way mutmut knows: a test has to notice."""

from __future__ import annotations

import subprocess
import sys

from tests.reliability.mutants import TESTS


def test_a_change_in_a_guard_is_noticed(trials, figure):
    modules = trials(["run/lock"], list(TESTS))
    command = [sys.executable, "-m", "tests.reliability.mutants", *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("mutants ") and " killed" in line]
    for line in lines:
        name, _, value = line.partition(": ")
        figure(name, value)
    assert (done.returncode, len(set(lines))) == (0, len(modules) + 1), done.stdout + done.stderr
