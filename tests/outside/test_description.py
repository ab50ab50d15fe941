"""Auth0's own description as the judge: schemathesis sends what it allows and what it forbids; prism stands between."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.simulation import Delivery, Simulation
from tests.outside.conftest import EVERY_SCOPE, Judge
from tests.outside.installing import NODE_MODULES, PYTHON

FORM = "application/x-www-form-urlencoded"
CASES_AN_OPERATION = 60
# On which connection each operation is tried, so that what one deletes no other needs.
CONNECTIONS = {
    "DELETE /connections/{id}": "okta-saml",
    "DELETE /connections/{id}/users": "Username-Password-Authentication",
    "DELETE /connections/{id}/scim-configuration": "complete-azure-ad",
    "POST /connections/{id}/scim-configuration": "fresh-azure-ad",
}
# Findings that stay: code and operation, why. ST202: allowed by the description and refused; ST103: a status it does not name.
CURSOR = (
    "a cursor is one that a page gave: 400 'Invalid pagination cursor', in the description of connections-scim-configurations"
)
CLIENT_ID = "client ids have Auth0's own format `client-id`, whose pattern the description leaves out; an empty text is none"
MAPPING = "400 'Invalid mapping provided' in the description; a row names both sides, each once (configure-inbound-scim)"
EXCEPTIONS = {
    ("ST202", "GET /clients"): f"{CURSOR}; `q` is not simulated",
    ("ST202", "GET /connections"): f"{CURSOR}; offsets end at 1,000 records (support article on paging)",
    ("ST202", "GET /connections-scim-configurations"): CURSOR,
    ("ST202", "GET /connections/{id}/clients"): CURSOR,
    ("ST103", "GET /connections/{id}/clients"): "414 for a long address: list-and-search-users page",
    (
        "ST202",
        "GET /logs",
    ): "take is at most 100, sort and search have a syntax (retrieve-log-events-using-mgmt-api, log-search pages)",
    ("ST202", "GET /users"): "q and sort have a syntax (user-search-query-syntax); search engine v3 only; offsets end at 1,000",
    ("ST202", "PATCH /connections/{id}"): f"{CLIENT_ID}; waad options have types of their own (ConnectionOptionsAzureAD)",
    ("ST202", "PATCH /connections/{id}/clients"): f"{CLIENT_ID}; at most 50 in its text",
    ("ST202", "POST /connections"): f"{CLIENT_ID}; a strategy's options have types of their own",
    ("ST202", "PATCH /connections/{id}/scim-configuration"): MAPPING,
    ("ST202", "POST /connections/{id}/scim-configuration"): f"{MAPPING}; 400 for a second configuration in the description",
    (
        "ST202",
        "POST /connections/{id}/scim-configuration/tokens",
    ): "ten scopes (configure-inbound-scim); 'must be greater than 900'",
    ("ST202", "PATCH /users/{id}"): "root attributes that each login writes (alexkappa/terraform-provider-auth0 issue 292)",
    ("ST202", "DELETE /connections/{id}/users"): "a database connection, in the description",
}


SELDOM = {("ST103", "GET /connections/{id}/clients")}  # only where a random address is long enough


@pytest.fixture
def description(sandbox: Sandbox, contracts: Path, tmp_path: Path) -> Path:
    """Auth0's description at the sandbox's address, without form-encoded bodies, which no client of today sends."""
    found: dict[str, Any] = json.loads((contracts / "auth0" / "management-api-subset.openapi.json").read_text())
    found["servers"] = [{"url": f"https://{sandbox.world.auth0.domain}/api/v2"}]
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.get("requestBody", {}).get("content", {}).pop(FORM, None)
    path = tmp_path / "management-api.json"
    path.write_text(json.dumps(found))
    return path


def settings_of(sandbox: Sandbox, description: Path) -> str:
    """Return schemathesis' settings: for each operation an id that exists here."""
    lines = []
    for path, operations in json.loads(description.read_text())["paths"].items():
        for method in operations:
            names = {"id": _id(sandbox, f"{method.upper()} {path}"), "tokenId": _token_id(sandbox)}
            given = {f'"path.{name}" = {json.dumps(value)}' for name, value in names.items() if f"{{{name}}}" in path}
            if given:
                where = f'include-path = "{path}"\ninclude-method = "{method.upper()}"'
                lines.append(f"[[operations]]\n{where}\nparameters = {{ {', '.join(sorted(given))} }}\n")
    return "\n".join(lines)


def _id(sandbox: Sandbox, operation: str) -> str:
    auth0 = sandbox.world.auth0
    if " /users/" in operation:
        of_waad = [user["user_id"] for user in auth0.users.everyone() if user["user_id"].startswith("waad|")]
        return str(of_waad[0] if operation.startswith("DELETE") else of_waad[1])
    if " /logs/" in operation:
        return str(auth0.logs[0]["log_id"])
    wanted = CONNECTIONS.get(operation, "token-limit-azure-ad" if "tokenId" in operation else "half-done-azure-ad")
    return str(next(one["id"] for one in auth0.connections.values() if one["name"] == wanted))


def _token_id(sandbox: Sandbox) -> str:
    [connection] = [one for one in sandbox.world.auth0.connections.values() if one["name"] == "token-limit-azure-ad"]
    return str(sandbox.world.auth0.provisioning[connection["id"]].tokens[0]["token_id"])


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    """A Management API token with every scope."""
    sandbox.world.auth0.access_tokens["outside-judge"] = {"scopes": EVERY_SCOPE, "expires": 1e12, "client_id": "outside"}
    return "outside-judge"


def test_schemathesis_finds_no_crash_and_nothing_forbidden_that_is_taken(
    judge: Judge, python, sandbox: Sandbox, description: Path, token: str, tmp_path: Path
):
    """Every described operation, by the bounds of its schemas and by random cases, allowed and forbidden ones."""
    python("")
    _leave_a_log_row(sandbox)
    settings, report = tmp_path / "schemathesis.toml", tmp_path / "report.json"
    settings.write_text(settings_of(sandbox, description))
    command = [str(PYTHON.with_name("schemathesis")), "--config-file", str(settings), "run", str(description)]
    command += ["-H", f"Authorization: Bearer {token}", "--tls-verify", sandbox.ready["ca_bundle"], "--checks", "all"]
    command += ["--phases", "examples,coverage,fuzzing", "-n", str(CASES_AN_OPERATION), "--seed", "1", "--continue-on-failure"]
    command += ["--report", "json", "--report-json-path", str(report), "--no-color", "--generation-database", "none"]
    done = judge.run([*command, "-u", f"https://{sandbox.world.auth0.domain}/api/v2"], timeout_s=900)
    told = json.loads(report.read_text())
    found = {(failure["code"], operation) for failure in told["failures"] for operation in failure["operations"]}
    assert (told["errors"], told["operations"]["tested"], told["complete"]) == ([], 26, True), done.stdout[-4000:]
    assert sorted(found - set(EXCEPTIONS)) == [], done.stdout[-12000:]
    assert set(EXCEPTIONS) - found <= SELDOM  # one that is not needed any more goes
    assert told["test_cases"]["generated"] > 4000
    assert 500 not in {entry["status"] for entry in sandbox.simulation.history}


def _leave_a_log_row(sandbox: Sandbox) -> None:
    connection = next(iter(sandbox.world.auth0.connections))
    sandbox.simulation.handle(Call("scim", "GET", f"/scim/v2/connections/{connection}/Users"))


@dataclass
class Recorded:
    """What the runbook sent to the Management API and what came back."""

    call: Call
    answer: Answer


@pytest.fixture
def recorded(monkeypatch, tenant, carry_out) -> list[Recorded]:
    """The exchanges with the Management API of a whole run on `fresh` and of one that verifies a hand-over."""
    found: list[Recorded] = []
    original = Simulation.handle

    def handle(self: Simulation, call: Call) -> Delivery:
        delivery = original(self, call)
        if call.service == "auth0" and call.path.startswith("/api/v2/"):
            found.append(Recorded(call, delivery.answer))
        return delivery

    monkeypatch.setattr(Simulation, "handle", handle)
    assert carry_out(tenant("fresh")).status == "done"
    carry_out(tenant("fresh", entra_client_id="", entra_client_secret="", test_user="adele.vance@fresh.example"))
    return found


@pytest.fixture
def upstream(recorded: list[Recorded]) -> Iterator[str]:
    """A server that answers each recorded request as it was answered: prism speaks no TLS to its own callers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = recorded[int(self.headers["x-exchange"])].answer
            content = answer.encoded()
            self.send_response(answer.status)
            if answer.body is not None:
                self.send_header("content-type", answer.content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 - the names that http.server asks for

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def prism(node, upstream: str, description: Path) -> Iterator[str]:
    """Prism in front of the upstream, with Auth0's description; it tells violations in a header of each answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = json.loads(description.read_text())
    found["servers"] = [{"url": f"{upstream}/api/v2"}]
    description.write_text(json.dumps(found))
    command = ["node", str(NODE_MODULES / "@stoplight" / "prism-cli" / "dist" / "index.js"), "proxy", str(description)]
    command += [f"{upstream}/api/v2", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield _answering(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(10)


def _answering(address: str, process: subprocess.Popen[bytes]) -> str:
    """Wait until prism answers. Raises `AssertionError` when it ends or takes more than 60 s."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "prism ended at once"
        try:
            requests.get(address, timeout=5)
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return address
    raise AssertionError("prism did not answer within 60 s")


def test_prism_passes_every_exchange_of_the_runbook(prism: str, recorded: list[Recorded]):
    wrong = requests.get(
        f"{prism}/connections?per_page=many", headers={"Authorization": "Bearer x", "x-exchange": "0"}, timeout=20
    )
    assert "per_page" in str(json.loads(wrong.headers["sl-violations"])[0]["location"])  # it does look
    violations = []
    for number, exchange in enumerate(recorded):
        call = exchange.call
        headers = {"Authorization": "Bearer x", "x-exchange": str(number)}
        if call.body:
            headers["Content-Type"] = "application/json"
        address = f"{prism}{quote(call.path.removeprefix('/api/v2'))}?{call.query}"
        answer = requests.request(call.method, address, data=call.body or None, headers=headers, timeout=20)
        found = json.loads(answer.headers.get("sl-violations", "[]"))
        violations += [f"{call.method} {call.path}: {one['location']} {one['message']}" for one in found]
        assert answer.status_code == exchange.answer.status
    assert violations == []
    assert len(recorded) >= 25
