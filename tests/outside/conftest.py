"""Other people's clients run as processes of their own and print what they found as JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runbook_lib.sandbox.server import Sandbox
from tests.outside.installing import HERE, NODE_MODULES, PYTHON, is_installed

EVERY_SCOPE = (
    "read:connections update:connections create:connections delete:connections read:connections_options "
    "update:connections_options read:scim_config create:scim_config update:scim_config delete:scim_config read:scim_token "
    "create:scim_token delete:scim_token read:users update:users delete:users read:logs read:clients "
    "read:directory_provisionings"
).split()


@dataclass
class Judge:
    """Runs one judge of `judges/` against the sandbox and returns what it printed: a dict for each line of JSON."""

    sandbox: Sandbox

    def __call__(self, command: list[str], *arguments: str, **settings: str) -> list[dict[str, Any]]:
        done = self.run([*command, *arguments], **settings)
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def run(self, command: list[str], *, timeout_s: float = 300, **settings: str) -> subprocess.CompletedProcess[str]:
        bundle = self.sandbox.ready["ca_bundle"]
        trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), bundle)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")}
        return subprocess.run(
            command, env={**kept, **trust, **settings}, capture_output=True, text=True, timeout=timeout_s, check=False
        )


@pytest.fixture
def judge(sandbox: Sandbox) -> Judge:
    return Judge(sandbox)


def _asked_for(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--outside"):
        pytest.skip("with other people's clients: python -m tests.outside installs them and runs this")
    if not is_installed():
        pytest.fail("the clients are not installed, or their pins changed: run python -m tests.outside")


@pytest.fixture
def python(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """The command of a judge that needs packages of the outside environment."""
    _asked_for(request)
    return lambda name: [str(PYTHON), str(HERE / "judges" / name)]


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """The command of a judge that needs node modules."""
    _asked_for(request)
    return lambda name: ["node", str(_linked(name))]


def _linked(name: str) -> Path:
    """Return a judge's path next to the modules: Node looks for them from the file upwards."""
    place = NODE_MODULES.parent / name
    place.write_text((HERE / "judges" / name).read_text())
    return place


@pytest.fixture
def auth0_settings(sandbox: Sandbox) -> dict[str, str]:
    """How to sign in to the sandbox's Auth0 with every scope."""
    client = next(iter(sandbox.world.auth0.clients.values()))
    client.scopes = tuple(EVERY_SCOPE)
    return {
        "AUTH0_DOMAIN": sandbox.world.auth0.domain,
        "AUTH0_CLIENT_ID": client.client_id,
        "AUTH0_CLIENT_SECRET": client.client_secret,
    }


@pytest.fixture
def entra_settings(sandbox: Sandbox) -> dict[str, str]:
    """How to sign in to the sandbox's Entra tenant of `complete`."""
    tenant = sandbox.world.entra_by_name("complete.onmicrosoft.com")
    assert tenant is not None
    client = next(iter(tenant.clients.values()))
    return {
        "ENTRA_AUTHORITY": sandbox.ready["authority"],
        "ENTRA_TENANT": tenant.id,
        "ENTRA_CLIENT_ID": client.client_id,
        "ENTRA_CLIENT_SECRET": client.client_secret,
        "GRAPH": sandbox.ready["graph"],
    }
