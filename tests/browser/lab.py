"""The real `lab` command in a process of its own, and a browser on its page."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-color-profile=srgb --font-render-hinting=none"
).split()


@functools.cache
def chromium() -> str | None:
    """Return the path of the machine's Chromium, or None. Ubuntu's `chromium-browser` is a stub that needs snap to start."""
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser")))
    return next((path for path in found if subprocess.run([path, "--version"], capture_output=True).returncode == 0), None)


@dataclass
class Lab:
    """A running `lab`: where its page is served, what its sandbox says of itself, and when (monotonic) it was asked for."""

    url: str
    folder: Path
    ready: dict[str, Any]
    asked_at: float

    @property
    def page(self) -> Path:
        """The copy of the runbook that this lab serves, in its run's folder."""
        [page] = self.folder.glob("*/inbound_scim.ipynb")
        return page


@contextlib.contextmanager
def running_lab(scratch: Path, *arguments: str, **environment: str) -> Iterator[Lab]:
    """Run `python -m runbook_lib lab`. Its address, token and all, is what it says on its standard error."""
    scratch.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "runbook_lib", "lab", "--no-browser", "--ServerApp.port_retries=200"]
    command += ["--out", str(scratch / "out"), *arguments, *(["--allow-root"] if os.geteuid() == 0 else [])]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    path, asked_at = scratch / "lab.log", time.monotonic()
    with path.open("wb") as log:
        own = {"HOME": str(scratch), **environment}
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**inherited, **own})
    try:
        url, folder = (_said(process, path, pattern) for pattern in (r"(http://127\.0\.0\.1:\d+/)", r"file://(/tmp/scim-[^/]+)/"))
        token = _said(process, path, r"token=(\w+)")
        _waited(process, path, lambda: (Path(folder) / "ready.json").exists())
        ready = json.loads((Path(folder) / "ready.json").read_text())
        yield Lab(f"{url}doc/tree/inbound_scim.ipynb?token={token}", scratch / "out", ready, asked_at)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _said(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """Return what the command said, once it has."""
    _waited(process, log, lambda: bool(re.search(pattern, log.read_text())))
    found = re.search(pattern, log.read_text())
    assert found
    return found[1]


def _waited(process: subprocess.Popen[bytes], log: Path, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"lab did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
