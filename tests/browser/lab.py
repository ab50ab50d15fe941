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

import psutil

from tests.patience import PATIENCE_S, command_of

CHROMIUM_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-color-profile=srgb --font-render-hinting=none"
).split()


BROKEN_WORDS = r"""(selector) => {
  const found = [];
  const seen = (range) => [...range.getClientRects()].filter((one) => one.width > 0.5);
  const onLines = (range) => new Set(seen(range).map((one) => Math.round(one.top)));
  for (const root of document.querySelectorAll(selector)) {
    const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode;
      if (!node.parentElement.checkVisibility() || node.parentElement.closest('svg, code')) continue;
      for (const word of node.data.matchAll(/(?<![^\s])[(]?\p{L}{2,18}[).,:;]?(?![^\s])/gu)) {
        const range = document.createRange();
        range.setStart(node, word.index);
        range.setEnd(node, word.index + word[0].length);
        if (onLines(range).size > 1) found.push(word[0]);
      }
    }
  }
  return found;
}"""  # the words of up to 18 letters that stand on more than one line; addresses and ids may be broken
STICKS_OUT = "document.documentElement.scrollWidth - window.innerWidth"  # pixels that a person has to scroll sideways for


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
    """Run `python -m runbook_lib lab`. The browser follows the address that the command itself prints."""
    scratch.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "runbook_lib", "lab", "--no-browser", "--ServerApp.port_retries=200"]
    command += ["--out", str(scratch / "out"), *arguments]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    path, asked_at = scratch / "lab.log", time.monotonic()
    with path.open("wb") as log:
        own = {"HOME": str(scratch), **environment}
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**inherited, **own})
    try:
        address = _said(process, path, r"The page: +(http://\S+)")
        yield Lab(address, scratch / "out", json.loads(ready_file_of(process.pid).read_text()), asked_at)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def ready_file_of(command: int) -> Path:
    """Return the ready file of the sandbox that a `lab` command, named by its process id, has started."""
    lines = [command_of(child) for child in psutil.Process(command).children()]
    [line] = [line for line in lines if "runbook_lib.sandbox" in line]
    return Path(line[line.index("--ready-file") + 1])


def _said(process: subprocess.Popen[bytes], log: Path, pattern: str) -> str:
    """Return what the command said, once it has."""
    _waited(process, log, lambda: bool(re.search(pattern, log.read_text())))
    found = re.search(pattern, log.read_text())
    assert found
    return found[1]


def _waited(process: subprocess.Popen[bytes], log: Path, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"lab did not start: {log.read_text()[-2000:]}")
        time.sleep(0.05)
