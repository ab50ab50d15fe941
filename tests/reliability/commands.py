"""The command line in processes of its own, which can be killed, and the judge for tenants of a sandbox that really serves."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.world import EntraTenant
from runbook_lib.settings.tenants_file import read_tenants
from tests.patience import PATIENCE_S, until
from tests.reliability.laboratory import Laboratory


class Command:
    """`python -m runbook_lib run TENANTS --mode apply`, started and not waited for. Temporary files go below `out`."""

    def __init__(self, sandbox: Sandbox, out: Path, *only: str) -> None:
        self.out = out
        scratch = out / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        arguments = ["run", sandbox.ready["tenants_file"], "--mode", "apply", "--out", str(out / "runs")]
        arguments += [part for name in only for part in ("--only", name)]
        self._said = (out / "said.txt").open("w+b")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runbook_lib", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            env={**os.environ, "TMPDIR": str(scratch)},
        )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kernels(self) -> list[psutil.Process]:
        """The processes that the command has started and that send the requests."""
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill the command alone, and wait until the kernels that it leaves behind have noticed and are gone."""
        self._process.send_signal(signal.SIGSTOP)  # so that no kernel is started between looking and killing
        kernels = self.kernels()
        self._process.kill()
        self._process.wait()
        wait_until_gone(kernels)

    def kill_kernels(self) -> bool:
        """Kill the kernels alone; say whether there were any. The command goes on."""
        kernels = self.kernels()
        for kernel in kernels:
            with contextlib.suppress(psutil.NoSuchProcess):
                kernel.kill()
        wait_until_gone(kernels)
        return bool(kernels)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        return self._process.wait(PATIENCE_S)

    def said(self) -> str:
        self._said.flush()
        self._said.seek(0)
        return self._said.read().decode()

    def close(self) -> None:
        """Leave no process behind, whatever a test has found."""
        if self.is_running:
            self.kill()
        self._said.close()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def wait_until_gone(processes: list[psutil.Process]) -> None:
    until(lambda: not any(_is_alive(process) for process in processes), f"the end of {processes}")


def _is_alive(process: psutil.Process) -> bool:
    try:
        # A thread that still ends keeps the files of the process open, and with them the lock, though the first one is gone.
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.NoSuchProcess:
        return False


@dataclass
class Held:
    """One request that the sandbox keeps waiting: `reached` when it is there, `release` to let it be done."""

    reached: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def holding(sandbox: Sandbox, method: str, ending: str) -> Iterator[Held]:
    """Let the next request of a method, whose path ends so, wait before it is done."""
    held, simulation = Held(), sandbox.simulation
    handler = simulation._routed

    def slowly(call: Any) -> Any:
        if (call.method, call.path.endswith(ending), held.reached.is_set()) == (method, True, False):
            held.reached.set()
            held.release.wait(2 * PATIENCE_S)
        return handler(call)

    simulation._routed = slowly  # type: ignore[method-assign]
    try:
        yield held
    finally:
        held.release.set()
        simulation._routed = handler  # type: ignore[method-assign]


class Standing(Laboratory):
    """The judge for one tenant of a running sandbox. Made before the first run, when all is still as it was."""

    def __init__(self, sandbox: Sandbox, name: str, folder: Path) -> None:
        self.folder = folder
        everyone = {tenant.name: tenant for tenant in read_tenants(Path(sandbox.ready["tenants_file"]))}
        self.name, self.settings, self.furnished = name, everyone[name], False
        self.world, self.simulation = sandbox.world, sandbox.simulation
        self.early_starts = []
        self.before = copy.deepcopy((self.connection, self._schemas(), self._mapping_rows()))
        self.foreign_tokens = {token["token_id"] for token in self.tokens()}

    def journals(self) -> Iterable[Path]:
        return self.folder.rglob(f"{self.name}/journal.jsonl")

    @property
    def entra(self) -> EntraTenant:
        found = self.world.entra_by_name(f"{self.name}.onmicrosoft.com")
        assert found is not None
        return found

    @property
    def connection(self) -> dict[str, Any]:
        return next(c for c in self.world.auth0.connections.values() if c["name"] == f"{self.name}-azure-ad")

    @contextlib.contextmanager
    def starts_watched(self) -> Iterator[None]:
        """Judge the state at each start of this tenant's job, too."""
        handler = self.simulation._routed

        def watched(call: Any) -> Any:
            if call.method == "POST" and call.path.endswith("/start") and any(a["id"] in call.path for a in self.applications()):
                self.early_starts += self.wrongs(before_start=True)
            return handler(call)

        self.simulation._routed = watched  # type: ignore[method-assign]
        try:
            yield
        finally:
            self.simulation._routed = handler  # type: ignore[method-assign]


def of_nobody_s_business(sandbox: Sandbox, names: tuple[str, ...]) -> object:
    """Everything in the sandbox that a run of these tenants must not touch."""
    world, mine = sandbox.world, {f"{name}-azure-ad" for name in names}
    connections = {key: c for key, c in world.auth0.connections.items() if c["name"] not in mine}
    provisioning = {key: (p.configuration, p.tokens) for key, p in world.auth0.provisioning.items() if key in connections}
    customers = {}
    for entra in world.entra.values():
        is_mine = entra.domain.removesuffix(".onmicrosoft.com") in names
        principals = [p for p in entra.service_principals.values() if not (is_mine and p["displayName"].startswith("Acme SCIM"))]
        customers[entra.id] = (entra.users, entra.groups, principals, [] if is_mine else entra.assignments)
    return copy.deepcopy((connections, provisioning, customers))
