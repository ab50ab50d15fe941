"""A sandbox in a process of its own. Imports nothing of the server, so that asking for one costs nothing here."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def launched(ready_file: Path, *, tenants: int = 0, seed: int = 7) -> Iterator[dict[str, str]]:
    """Run a sandbox in a process of its own and yield what its ready file says; it ends with the block or with this process."""
    command = [sys.executable, "-m", "runbook_lib.sandbox", "--ready-file", str(ready_file), "--exit-with-parent"]
    command += ["--tenants", str(tenants), "--seed", str(seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603 - our own module
    try:
        deadline = time.monotonic() + 30
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the sandbox did not start; try it by hand: python -m runbook_lib sandbox")
            time.sleep(0.02)
        yield json.loads(ready_file.read_text())
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait(10)


def reset(ready_file: Path) -> None:
    """Start the sandbox that wrote this file over, by its control API. Raises `OSError` when it does not answer."""
    import ssl
    import urllib.request

    ready = json.loads(ready_file.read_text())
    headers = {"Authorization": f"Bearer {ready['control_token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{ready['control']}/reset", b"{}", headers, method="POST")  # noqa: S310 - https, our own
    trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ready["ca_bundle"]))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusting)
    with opener.open(request, timeout=20):
        pass
