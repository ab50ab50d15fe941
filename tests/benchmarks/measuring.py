"""Measures of a process and all it starts, and the proof that it did its work."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from runbook_lib.core.places import notebook
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.sandbox.process import launched

_PR_SET_CHILD_SUBREAPER = 36
_CHANGES_PENDING = 4
# As pip installs packages: compiled. Without that every process compiles what it imports.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYDEVD_DISABLE_FILE_VALIDATION": "1"
}


@dataclass(frozen=True)
class Measured:
    """One run: `wall_s` from process start to exit; `cpu_s` of the process and all it started; `served_s` is the sandbox's."""

    wall_s: float
    cpu_s: float
    served_s: float
    peak_pss_mb: float | None = None
    parent_mb: float = 0.0


@dataclass(frozen=True)
class Bench:
    """A sandbox of its own process."""

    ready: dict[str, str]

    @classmethod
    @contextmanager
    def opened(cls, tenants: int) -> Iterator[Bench]:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # what outlives its parent is ours to wait for, and to count
        with (
            tempfile.TemporaryDirectory() as folder,
            launched(Path(folder) / "ready.json", tenants=tenants) as ready,
        ):
            yield cls(ready)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.ready['control_token']}"}
        with requests.Session() as session:
            session.trust_env = False
            address = self.ready["control"] + path
            answer = session.request(method, address, json=body, headers=headers, verify=self.ready["ca_bundle"], timeout=120)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def sandbox(self) -> psutil.Process:
        living = (child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE)
        return next(child for child in living if "runbook_lib.sandbox" in child.cmdline())

    def measured(self, name: str, count: int, jobs: int, *, with_memory: bool = False) -> Measured:
        """Run a contestant and verify every output of it."""
        out = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        served, before = sum(self.sandbox().cpu_times()[:2]), resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.monotonic()
        command = self._command(name, count, jobs, out)
        with (out / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, env=_ENVIRONMENT) as process:
            peak = Peak(process.pid) if with_memory else None
            code = process.wait()
        wall_s = time.monotonic() - started
        _wait_for_orphans({self.sandbox().pid})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if code != (_CHANGES_PENDING if name == "ours" else 0):
            raise RuntimeError((out / "log").read_text())
        verify(name, out, count)
        shutil.rmtree(out)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        served_s = sum(self.sandbox().cpu_times()[:2]) - served
        return Measured(wall_s, cpu_s, served_s, peak.ended() if peak else None, max(peak.own_mb) if peak else 0.0)

    def _command(self, name: str, count: int, jobs: int, out: Path) -> list[str]:
        file = self.ready["tenants_file"]
        if name == "ours":  # as everybody calls it
            only = [part for number in range(1, count + 1) for part in ("--only", f"tenant-{number:04d}")]
            return [sys.executable, "-m", "runbook_lib", "run", file, "--jobs", str(jobs), "--out", str(out), *only]
        return [sys.executable, "-m", "tests.benchmarks.contestants", name, file, str(count), str(jobs), str(out)]


def _wait_for_orphans(keep: set[int]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        children = [child for child in psutil.Process().children() if child.pid not in keep]
        if not children:
            return
        for child in children:
            os.waitpid(child.pid, os.WNOHANG)
        time.sleep(0.02)
    raise RuntimeError(f"still there: {children}")


def verify(name: str, out: Path, count: int) -> None:
    """Raise `AssertionError` unless every tenant was planned whole, and, where there are pages, every page is complete."""
    results = sorted(out.rglob("results.json"))
    assert len(results) == count, f"{name}: {len(results)} results of {count}"
    if name == "ours":
        [summary] = out.rglob("summary.json")
        assert len(json.loads(summary.read_text())) == count
    for path in results:
        rows = json.loads(path.read_text())
        assert [row["step"] for row in rows] == [step.number for step in OLDER_AZURE_AD.steps], path
        assert sum(row["status"] == "PLANNED" for row in rows) == 14, path
        if name != "floor":
            page = json.loads((path.parent / notebook("inbound_scim").name).read_text())
            shown = [cell for cell in page["cells"] if "session.do" in "".join(cell["source"]) and cell["outputs"]]
            assert len(shown) == len(OLDER_AZURE_AD.steps), path
            assert f'name = "{path.parent.name}"' in json.dumps(page).replace('\\"', '"'), path
            assert page["metadata"]["papermill"]["exception"] is None, path


class Peak:
    """The highest sum of PSS of a process and all below it, looked at four times a second."""

    def __init__(self, pid: int) -> None:
        self._root, self._peak, self._end = psutil.Process(pid), 0.0, threading.Event()
        self.own_mb: list[float] = []  # of the process itself, over time
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._end.wait(0.25):
            total = 0.0
            for process in self._all():
                try:
                    pss = process.memory_full_info().pss / 1e6
                except psutil.Error:
                    continue
                total += pss
                if process.pid == self._root.pid:
                    self.own_mb.append(pss)
            self._peak = max(self._peak, total)

    def _all(self) -> list[psutil.Process]:
        try:
            return [self._root, *self._root.children(recursive=True)]
        except psutil.Error:
            return []

    def ended(self) -> float:
        self._end.set()
        self._thread.join()
        return self._peak
