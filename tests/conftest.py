"""One sandbox over HTTPS for the whole session, as new for each test."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from runbook_lib.run.machine import Machine
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.world import EntraTenant
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.tenants_file import read_tenants
from tests.builders import tenant_session
from tests.misbehaving import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--browser",
        nargs="?",
        const="all",
        choices=("all", "sample"),
        help="tests/browser too, all or a fixed sample: needs Debian's chromium",
    )
    parser.addoption("--full", action="store_true", help="tests/reliability: all trials instead of a sample")
    parser.addoption(
        "--outside", action="store_true", help="tests/outside in full: `python -m tests.outside` installs the clients"
    )
    parser.addoption("--pictures", action="store_true", help="tests/browser: write the pictures that the README shows")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    running_sandbox.reset(7)
    return running_sandbox


@pytest.fixture
def control(sandbox: Sandbox) -> Callable[..., requests.Response]:
    """Call the control API: control("POST", "/clock", {...})."""

    def call(method: str, path: str, body: Any = None) -> requests.Response:
        headers = {"Authorization": f"Bearer {sandbox.ready['control_token']}"}
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, sandbox.ready["control"] + path, json=body, headers=headers, verify=sandbox.ready["ca_bundle"], timeout=20
            )

    return call


@dataclass
class Run:
    """What one run of all steps left."""

    status: str
    about: str
    rows: list[dict[str, Any]]
    out: Path
    history: list[dict[str, Any]]

    def statuses(self) -> dict[str, str]:
        return {row["step"]: row["status"] for row in self.rows}

    def writes(self) -> list[str]:
        """The requests that could change something at a service: not GETs, sign-ins, connection tests, batches, Entra's."""
        return [
            f"{entry['method']} {entry['path']}"
            for entry in self.history
            if entry["method"] != "GET"
            and entry["service"] in ("auth0", "graph")
            and entry["path"] not in ("/oauth/token", "/v1.0/$batch")
            and not entry["path"].endswith("/validateCredentials")
        ]

    def calls(self) -> int:
        """The tool's own requests: a batch is one, and waiting polls do not count.

        A poll is a reading repeated at once, or one that the synchronization service, behind the directory, does not know yet;
        and provision on demand repeated at once, until the service honours a new assignment.
        """
        own = [entry for entry in self.history if entry["service"] != "scim" and "batch" not in entry]
        asked = [(entry["method"], entry["service"], entry["path"], entry["query"]) for entry in own]
        polls = sum(
            (entry["path"].endswith("/provisionOnDemand") and asked[n] == asked[n - 1])
            or (
                entry["method"] == "GET"
                and (asked[n] == asked[n - 1] or (entry["status"] in (401, 403, 404) and "/synchronization/" in entry["path"]))
            )
            for n, entry in enumerate(own)
        )
        return len(own) - polls


@pytest.fixture
def tenant(sandbox: Sandbox) -> Callable[..., TenantSettings]:
    """Settings of a demo tenant, with changes: tenant("fresh", turn_on="no")."""
    everyone = {entry.name: entry for entry in read_tenants(Path(sandbox.ready["tenants_file"]))}

    def settings(name: str, **changes: Any) -> TenantSettings:
        return TenantSettings.from_parameters({**everyone[name].model_dump(), **changes})

    return settings


@pytest.fixture
def sandbox_clock(sandbox: Sandbox) -> Machine:
    """A machine whose time is the sandbox's: sleeping moves the sandbox's clock and takes no time."""
    clock = sandbox.world.clock
    return Machine(sleep=clock.advance, now=lambda: clock.now, name="here")


@pytest.fixture
def carry_out(sandbox: Sandbox, sandbox_clock: Machine, tmp_path: Path) -> Callable[..., Run]:
    """Run all steps for settings: carry_out(settings, "apply"). What it waits for takes no time."""
    counter = iter(range(1000))

    def run(settings: TenantSettings, mode: str = "apply") -> Run:
        start = len(sandbox.simulation.history)
        out = tmp_path / f"run-{next(counter)}" / settings.name
        session = tenant_session(settings, mode=RunMode(mode), out=out, machine=sandbox_clock)
        for step in session.steps:
            session.do(step.number)
        status, about = session.finish()
        return Run(status, about, session.rows(), out, copy.deepcopy(sandbox.simulation.history[start:]))

    return run


@pytest.fixture
def entra(sandbox: Sandbox) -> Callable[[str], EntraTenant]:
    """The Entra tenant of a demo tenant."""

    def find(name: str) -> EntraTenant:
        found = sandbox.world.entra_by_name(f"{name}.onmicrosoft.com")
        assert found is not None
        return found

    return find


@pytest.fixture
def contracts() -> Path:
    """The vendors' descriptions and recordings, which are other people's and not in this repository."""
    named = os.environ.get("CONTRACTS_DIR")
    if not named:
        pytest.skip(
            "set CONTRACTS_DIR to a folder with auth0/management-api-subset.openapi.json (from auth0/docs-v2, "
            "main/docs/oas/management/v2) and graph/openapi-v1.0-subset.json (from microsoftgraph/msgraph-metadata)"
        )
    return Path(named)


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def ca_bundle(authority, tmp_path):
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


@pytest.fixture
def serve(authority):
    """Start a server: serve(answer)."""
    with contextlib.ExitStack() as stack:

        def start(answer):
            server = Server(authority, answer)
            stack.callback(server.close)
            return server

        yield start
