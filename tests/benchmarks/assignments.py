"""One tenant with very many people to assign: the requests, the memory and the progress bar of `run`, whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.measuring import Bench

TENANT = "tenant-0001"
LIMIT = 20  # of a batch, Graph json-batching page
_TOLD = re.compile(rb"(\d+) of (\d+) requests")


@dataclass(frozen=True)
class Assigned:
    """What one run took. `batches` are the requests for assigning, `calls` all of the tool's; memory is the highest RSS in MB.

    `told` are the parts of the step that the progress bar showed, in order.
    """

    people: int
    batches: int
    calls: int
    wall_s: float
    runner_mb: float
    kernel_mb: float
    told: tuple[int, ...]


def assignments(counts: Sequence[int], say: Callable[[str], None]) -> None:
    """Apply the procedure to a tenant where so many people have access, one count after the other, and say what it took."""
    columns = ("people", "requests for assigning", "all requests", "s", "runner MB", "kernel MB", "the bar moved")
    say(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|\n")
    for count in counts:
        one = assigned(count)
        memory = f"{one.runner_mb:.0f} | {one.kernel_mb:.0f}"
        say(f"| {one.people} | {one.batches} | {one.calls} | {one.wall_s:.0f} | {memory} | {len(one.told)} times |\n")


def assigned(people: int) -> Assigned:
    """Measure one run on a terminal. Raises `AssertionError` unless the sandbox has everybody assigned, each once."""
    with Bench.opened(1) as bench, tempfile.TemporaryDirectory() as out:
        bench.control("POST", "/people", {"tenant": TENANT, "people": people})
        command = [sys.executable, "-m", "runbook_lib", "run", bench.ready["tenants_file"], "--only", TENANT]
        started = time.monotonic()
        code, shown, peaks = _on_a_terminal([*command, "--mode", "apply", "--out", out])
        wall_s = time.monotonic() - started
        assert code == 0, shown.decode(errors="replace")[-2000:]
        batches, calls = _judged(bench, people)
        told = tuple(dict.fromkeys(int(done) for done, _ in _TOLD.findall(shown)))
        runner_mb, *others = peaks
        return Assigned(people, batches, calls, wall_s, runner_mb, max(others), told)


def _judged(bench: Bench, people: int) -> tuple[int, int]:
    """Return how many batches assigned, and how many requests the tool made, by the sandbox's state and history."""
    [entra] = [one for one in bench.control("GET", "/state")["entra"].values() if one["domain"].startswith(TENANT)]
    [principal] = [one for one in entra["service_principals"].values() if one["displayName"] == f"Acme SCIM ({TENANT})"]
    given = Counter(one["principalId"] for one in entra["assignments"] if one["resourceId"] == principal["id"])
    asked = {one["principalId"] for one in entra["assignments"] if one["principalType"] in ("User", "Group")}
    assert set(given.values()) == {1}
    assert set(given) == asked
    assert len(given) >= people
    history = bench.control("GET", "/history")
    posts = [one for one in history if one["method"] == "POST" and one["path"].endswith("/appRoleAssignedTo")]
    own = [one for one in history if one["service"] != "scim" and "batch" not in one]
    return len({one["batch"] for one in posts}), len(own)


def _on_a_terminal(command: Sequence[str]) -> tuple[int, bytes, list[float]]:
    """Run a command on a terminal; return its code, what the terminal got, and the highest RSS of it and of what it started."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown = bytearray()

    def read() -> None:
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed
                return
            shown.extend(part)

    with Path(os.devnull).open("w") as nowhere, subprocess.Popen(command, stdout=nowhere, stderr=theirs) as process:
        os.close(theirs)
        reading = threading.Thread(target=read)
        reading.start()
        peaks: dict[int, float] = {process.pid: 0.0}
        while process.poll() is None:
            for pid in (process.pid, *_below(process.pid)):
                peaks[pid] = max(peaks.get(pid, 0.0), _highest_mb(pid))
            time.sleep(0.1)
        reading.join()
    os.close(ours)
    return process.returncode, bytes(shown), list(peaks.values())


def _below(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _highest_mb(pid: int) -> float:
    """Return the most that a process has had in memory so far, by the kernel's own record of it."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
