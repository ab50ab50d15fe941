"""What a service that does not answer costs: how many requests, and how long until every tenant is told."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

from runbook_lib.sandbox.process import launched
from tests.misbehaving import Server, say

SERVICES = {"Auth0": "auth0_domain", "Entra's sign-in": "authority", "Graph": "graph"}  # what the ready file calls their address
KINDS = {
    "busy": lambda handler, _: say(handler, 503),  # a balancer without servers behind it
    "silent": lambda _handler, _number: time.sleep(60),  # takes the connection and says nothing
    "block page": lambda handler, _: say(handler, 403, b"<html><title>Blocked</title></html>", Content_Type="text/html"),
    "unreachable": None,  # no packet comes back: the queue of the listener is full
    "refused": None,  # no process listens there
}


@dataclass(frozen=True)
class Outage:
    """One measurement. `requests` are those that reached the server; `begun` how many tenants had a kernel of their own."""

    service: str
    kind: str
    tenants: int
    wall_s: float
    requests: int
    exit_code: int
    statuses: dict[str, int]
    begun: int
    untold: tuple[str, ...]  # tenants without a folder, a report or a remedy


def outage(kind: str, tenants: int, jobs: int = 16, service: str = "Auth0") -> Outage:
    """Plan so many tenants while one service is out of order as `kind` says, by the command, and count."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="outage-")))
        ready = stack.enter_context(launched(folder / "ready.json", tenants=tenants))
        authority = trustme.CA()
        server = stack.enter_context(_Silent()) if kind == "unreachable" else Server(authority, KINDS[kind] or KINDS["busy"])
        stack.callback(server.close)
        if kind == "refused":
            server.close()
        file = _tenants_file(folder, {**ready, **_broken(service, server)}, ready, authority, tenants)
        command = [
            sys.executable,
            "-m",
            "runbook_lib",
            "run",
            str(file),
            "--jobs",
            str(jobs),
            "--json",
            "--out",
            str(folder / "out"),
        ]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall_s = time.monotonic() - started
        rows = json.loads(done.stdout)["tenants"]
        begun = sum(not row["about"].startswith("not begun: ") for row in rows)
        statuses = dict(Counter(row["status"] for row in rows))
        [run] = [path.parent for path in (folder / "out").glob("*/summary.json")]
        untold = tuple(row["name"] for row in rows if not _is_told(run / row["name"]))
        return Outage(service, kind, tenants, wall_s, len(server.seen), done.returncode, statuses, begun, untold)


class _Silent(ExitStack):
    """An address that takes no connection and refuses none: Linux drops what comes when a listener's queue is full."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[object] = []
        listening = self.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = self.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        self.url = f"https://localhost:{listening.getsockname()[1]}"


def _is_told(out: Path) -> bool:
    report = out / "report.html"
    return (out / "journal.jsonl").is_file() and report.is_file() and "see: RB-" in report.read_text(encoding="utf-8")


def _broken(service: str, server: Server | _Silent) -> dict[str, str]:
    """Return what the ready file says of a service that the server stands in for."""
    address = {"Auth0": server.url.removeprefix("https://"), "Graph": f"{server.url}/v1.0"}.get(service, server.url)
    return {SERVICES[service]: address}


def _tenants_file(folder: Path, broken: dict[str, str], ready: dict[str, str], authority: trustme.CA, tenants: int) -> Path:
    """Write the sandbox's tenants with another address of a service, and trust that one too."""
    bundle = folder / "both.pem"
    bundle.write_bytes(Path(ready["ca_bundle"]).read_bytes() + authority.cert_pem.bytes())
    (folder / "broken.json").write_text(json.dumps({**broken, "ca_bundle": str(bundle)}))
    with Path(ready["tenants_file"]).open(encoding="utf-8", newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["name"].startswith("tenant-")][:tenants]
    with (folder / "tenants.csv").open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0].keys())
        writer.writeheader()
        domain = broken["auth0_domain"]
        writer.writerows({**row, "auth0_domain": domain, "cloud": f"sandbox:{folder / 'broken.json'}"} for row in rows)
    return folder / "tenants.csv"
