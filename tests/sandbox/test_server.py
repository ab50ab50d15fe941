"""The sandbox over real sockets: addresses, certificates, the wire faults, the control API, the process of its own."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from runbook_lib.sandbox.process import launched
from runbook_lib.sandbox.server import BODY_LIMIT, Sandbox
from runbook_lib.sandbox.simulation import KINDS
from tests.patience import PATIENCE_S, until

Control = Callable[..., requests.Response]


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = sandbox.ready["ca_bundle"]
        yield session


@pytest.fixture
def connections(sandbox: Sandbox, http: requests.Session) -> str:
    """The address of a read that works; the session holds the token for it."""
    client = next(iter(sandbox.world.auth0.clients.values()))
    domain = sandbox.ready["auth0_domain"]
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    answer = http.post(f"https://{domain}/oauth/token", data={**form, "audience": f"https://{domain}/api/v2/"}, timeout=10)
    http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return f"https://{domain}/api/v2/connections"


@contextlib.contextmanager
def raw_connection(sandbox: Sandbox) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=sandbox.ready["ca_bundle"])
    with (
        socket.create_connection(("127.0.0.1", sandbox.ports["auth0"]), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wire,
    ):
        yield wire


def raw_answer(sandbox: Sandbox, request: bytes) -> bytes:
    """Send bytes over TLS and return all that comes back until the connection ends."""
    with raw_connection(sandbox) as wire:
        wire.sendall(request)
        parts = []
        while part := wire.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_the_ready_file_says_what_is_promised_and_is_the_owners_only(sandbox: Sandbox) -> None:
    assert set(sandbox.ready) == {"auth0_domain", "authority", "graph", "ca_bundle", "control", "control_token", "tenants_file"}
    folder = Path(sandbox.ready["ca_bundle"]).parent
    [ready_file] = folder.glob("ready.json")
    assert json.loads(ready_file.read_text()) == sandbox.ready
    assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    secret_files = list((folder / "secrets").iterdir())
    assert len(secret_files) > 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret_files} == {0o600}


def test_only_this_machine_is_served(sandbox: Sandbox) -> None:
    assert {bound.getsockname()[0] for bound in sandbox._sockets.values()} == {"127.0.0.1"}


def test_both_names_of_the_machine_have_a_certificate(sandbox: Sandbox, http: requests.Session) -> None:
    port = sandbox.ports["graph"]
    for host in ("localhost", "127.0.0.1"):
        assert http.get(f"https://{host}:{port}/v1.0/organization", timeout=10).status_code == 401


def test_nobody_trusts_the_sandbox_without_its_authority(sandbox: Sandbox) -> None:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(f"{sandbox.ready['graph']}/organization", timeout=10)


def test_another_host_name_is_not_served(sandbox: Sandbox, connections: str, http: requests.Session) -> None:
    for host in ("evil.example", "localhost", f"localhost:{sandbox.ports['graph']}"):
        assert http.get(connections, headers={"Host": host}, timeout=10).status_code == 421
    assert [entry["path"] for entry in sandbox.simulation.history] == ["/oauth/token"]


def test_a_body_over_the_limit_is_refused(connections: str, http: requests.Session, sandbox: Sandbox) -> None:
    assert http.patch(connections, data=b"x" * (BODY_LIMIT + 1), timeout=20).status_code == 413
    assert [entry["path"] for entry in sandbox.simulation.history] == ["/oauth/token"]


def test_the_date_header_is_that_of_the_sandboxs_clock(
    connections: str, http: requests.Session, control: Control, sandbox: Sandbox
) -> None:
    assert control("POST", "/clock", {"advance_s": 54_000}).status_code == 200
    answer = http.get(f"{connections}?name=x", timeout=10)
    assert answer.headers["Date"] == sandbox.world.clock.http_date()
    assert "06 Jan 2026" in answer.headers["Date"]
    assert answer.headers["x-ratelimit-remaining"] == "49"


def test_a_204_has_no_body_and_the_connection_lives_on(connections: str, http: requests.Session) -> None:
    [connection] = http.get(f"{connections}?name=half-done-azure-ad", timeout=10).json()
    tokens = f"{connections}/{connection['id']}/scim-configuration/tokens"
    made = http.post(tokens, json={"scopes": ["get:users"]}, timeout=10).json()
    answer = http.delete(f"{tokens}/{made['token_id']}", timeout=10)
    assert (answer.status_code, answer.content, answer.headers.get("Content-Type")) == (204, b"", None)
    assert http.get(tokens, timeout=10).json() == []


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
def test_a_drop_ends_the_connection_without_an_answer(sandbox: Sandbox, control: Control, kind: str) -> None:
    control("POST", "/faults", [{"service": "auth0", "kind": kind}])
    request = b"GET /api/v2/connections HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % sandbox.ports["auth0"]
    try:
        answer = raw_answer(sandbox, request)
    except (ConnectionError, ssl.SSLEOFError):
        answer = b""
    assert answer == b""


def test_a_tls_alert_breaks_the_encryption_after_the_request_was_carried_out(
    control: Control, connections: str, http: requests.Session, sandbox: Sandbox
) -> None:
    [connection] = http.get(f"{connections}?name=half-done-azure-ad", timeout=10).json()
    tokens = f"{connections}/{connection['id']}/scim-configuration/tokens"
    control("POST", "/faults", [{"method": "POST", "path": "*/tokens", "nth": 2, "kind": "tls_alert"}])
    assert http.post(tokens, json={"scopes": ["get:users"]}, timeout=10).status_code == 201
    with pytest.raises(requests.exceptions.SSLError):
        http.post(tokens, json={"scopes": ["get:users"]}, timeout=10)
    assert len(http.get(tokens, timeout=10).json()) == 2
    entry = sandbox.simulation.history[-2]
    assert (entry["method"], entry["status"], entry["fault"]) == ("POST", 0, "tls_alert")


ADDRESSES = {
    "auth0": ("auth0", "/api/v2/connections"),
    "scim": ("auth0", "/scim/v2/connections/con_x/Users"),
    "login": ("login", "/common/discovery/instance"),
    "graph": ("graph", "/v1.0/organization"),
    "files": ("files", "/job_x/file.json.gz"),
}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("slow", "lost_write")])
@pytest.mark.parametrize("service", ADDRESSES)
def test_every_fault_strikes_every_service_at_the_nth_request(
    sandbox: Sandbox, control: Control, http: requests.Session, service: str, kind: str
) -> None:
    listener, path = ADDRESSES[service]
    address = f"https://localhost:{sandbox.ports[listener]}{path}"
    usual = http.get(address, timeout=10).status_code
    control("POST", "/faults", [{"service": service, "nth": 2, "kind": kind}])
    seen: list[object] = []
    for _ in range(3):
        try:
            seen.append(http.get(address, timeout=10).status_code)
        except requests.exceptions.RequestException as broken:
            seen.append(type(broken))
    assert (seen[0], seen[2]) == (usual, usual)
    if kind.isdecimal():
        assert seen[1] == int(kind)
    else:
        assert isinstance(seen[1], type)
        assert (seen[1] is requests.exceptions.SSLError) == (kind == "tls_alert")


def test_a_reset_is_a_reset(sandbox: Sandbox, control: Control) -> None:
    control("POST", "/faults", [{"service": "auth0", "kind": "reset"}])
    with raw_connection(sandbox) as wire:
        wire.sendall(b"GET /api/v2/clients HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % sandbox.ports["auth0"])
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: socket.socket.recv(wire, 65536), b""))  # beneath TLS, where Python makes an end of file of a reset


def test_a_truncated_answer_promises_more_than_it_sends(
    sandbox: Sandbox, control: Control, connections: str, http: requests.Session
) -> None:
    control("POST", "/faults", [{"path": "/api/v2/connections", "kind": "truncate"}])
    lines = [f"GET {urlsplit(connections).path} HTTP/1.1", f"Host: {sandbox.ready['auth0_domain']}"]
    lines.append(f"Authorization: {http.headers['Authorization']}")
    head, _, body = raw_answer(sandbox, ("\r\n".join(lines) + "\r\n\r\n").encode()).partition(b"\r\n\r\n")
    promised = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    assert head.startswith(b"HTTP/1.1 200")
    assert 0 < len(body) < promised
    control("POST", "/faults", [{"path": "/api/v2/connections", "kind": "truncate"}])
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        http.get(connections, timeout=10)


def test_a_slow_answer_comes_whole_in_the_end(control: Control, connections: str, http: requests.Session) -> None:
    whole = http.get(connections, timeout=10).json()
    control("POST", "/faults", [{"path": "/api/v2/connections", "kind": "slow"}])
    started = time.monotonic()
    assert http.get(connections, timeout=10).json() == whole
    assert time.monotonic() - started > 0.5


def test_the_session_goes_on_after_each_wire_fault(control: Control, connections: str, http: requests.Session) -> None:
    for kind in ("drop_before", "drop_after", "reset", "tls_alert", "truncate"):
        control("POST", "/faults", [{"path": "/api/v2/connections", "kind": kind}])
        with pytest.raises(requests.exceptions.RequestException):
            http.get(connections, timeout=10)
        assert http.get(connections, timeout=10).status_code == 200


def test_the_control_api_wants_its_own_token(sandbox: Sandbox, http: requests.Session) -> None:
    for token in ("", "wrong", "Bearer"):
        answer = http.get(f"{sandbox.ready['control']}/state", headers={"Authorization": f"Bearer {token}"}, timeout=10)
        assert (answer.status_code, set(answer.json())) == (401, {"error"})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/faults", [{"kind": "nonsense"}], 400),
        ("POST", "/faults", {"kind": "500"}, 400),
        ("POST", "/faults", ["500"], 400),
        ("POST", "/faults", [{"kind": "500", "nth": "x"}], 400),
        ("POST", "/clock", {"advance_s": -1}, 400),
        ("POST", "/clock", {}, 400),
        ("POST", "/clock", None, 400),
        ("POST", "/reset", [1], 400),
        ("POST", "/reset", {"seed": "x"}, 400),
        ("POST", "/cycle", {}, 400),
        ("POST", "/world", {}, 400),
        ("POST", "/world", {"scim_search": "sometimes"}, 400),
        ("POST", "/world", {"no_such_switch": True}, 400),
        ("POST", "/world", ["scim_search"], 400),
        ("POST", "/pressure", {"plan": "gold"}, 400),
        ("POST", "/pressure", {"delay_s": 1e308}, 400),
        ("POST", "/pressure", {"delay_s": -1}, 400),
        ("POST", "/pressure", {"per_second": "2"}, 400),
        ("POST", "/pressure", {"burst": [10]}, 400),
        ("POST", "/faults", [{"kind": "503", "share": 2}], 400),
        ("POST", "/faults", [{"kind": "503", "retry_after_s": True}], 400),
        ("POST", "/clock", {"advance_s": 10**18}, 400),
        ("POST", "/clock", {"advance_s": 800_000_000}, 400),
        ("POST", "/certificates", {"client_id": "unknown", "pem": "x"}, 400),
        ("POST", "/people", {"tenant": "fresh", "people": 10**9}, 400),
        ("POST", "/people", {"tenant": "unknown", "people": 1}, 400),
        ("POST", "/cycle", {"job_id": "unknown"}, 404),
        ("GET", "/nothing", None, 404),
        ("PUT", "/state", None, 404),
    ],
)
def test_bad_control_requests_are_refused_in_plain_words(
    control: Control, method: str, path: str, body: object, status: int
) -> None:
    answer = control(method, path, body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


def test_a_certificate_that_cannot_be_read_is_refused_before_a_sign_in_meets_it(sandbox: Sandbox, control: Control) -> None:
    client = next(entry for tenant in sandbox.world.entra.values() for entry in tenant.clients.values())
    assert (
        control("POST", "/certificates", {"client_id": client.client_id, "pem": "-----BEGIN CERTIFICATE-----"}).status_code == 400
    )
    assert client.certificates == ()


def test_switches_are_set_and_shown_and_a_reset_brings_back_the_defaults(control: Control) -> None:
    beginning = control("GET", "/world").json()
    changed = control("POST", "/world", {"scim_search": "listed_only", "assignments_count_after": {"seconds": 180}})
    expected = {**beginning, "scim_search": "listed_only", "assignments_count_after": {"seconds": 180}}
    assert (changed.status_code, changed.json(), control("GET", "/world").json()) == (200, expected, expected)
    control("POST", "/reset")
    assert control("GET", "/world").json() == beginning


def test_faults_can_be_taken_back(control: Control, connections: str, http: requests.Session) -> None:
    control("POST", "/faults", [{"service": "auth0", "kind": "500"}])
    assert control("DELETE", "/faults").status_code == 204
    assert http.get(connections, timeout=10).status_code == 200


def test_a_reset_brings_back_the_beginning_and_keeps_the_addresses(
    sandbox: Sandbox, control: Control, connections: str, http: requests.Session
) -> None:
    beginning = control("POST", "/reset").status_code, control("GET", "/state").json()
    assert http.get(connections, timeout=10).status_code == 401  # its token is of the world before
    sandbox.world.auth0.connections.clear()
    control("POST", "/faults", [{"kind": "500"}])
    assert control("POST", "/reset", {"seed": 7}).status_code == 204
    assert (204, control("GET", "/state").json()) == beginning
    assert control("GET", "/history").json() == []
    control("POST", "/reset", {"seed": 8})
    assert control("GET", "/state").json() != beginning[1]
    control("POST", "/reset", {"seed": 7})


def test_a_process_of_its_own_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ready_file = tmp_path / "deep" / "ready.json"
    with launched(ready_file, tenants=2) as ready, requests.Session() as session:
        session.trust_env = False
        headers = {"Authorization": f"Bearer {ready['control_token']}"}
        state = session.get(f"{ready['control']}/state", headers=headers, verify=ready["ca_bundle"], timeout=10).json()
        domains = [tenant["domain"] for tenant in state["entra"].values()]
        assert domains[-2:] == ["tenant-0001.onmicrosoft.com", "tenant-0002.onmicrosoft.com"]
        folder = Path(ready["ca_bundle"]).parent
        assert folder.exists()
    assert (ready_file.exists(), folder.exists()) == (False, False)


def test_the_command_ends_cleanly_on_a_signal(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    command = [sys.executable, "-m", "runbook_lib.sandbox", "--ready-file", str(ready_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until(ready_file.exists, "the ready file")
        ready = json.loads(ready_file.read_text())
        os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, ready_file.exists(), Path(ready["ca_bundle"]).exists()) == (0, False, False)
    assert (ready["control_token"] in errors, "Traceback" in errors) == (False, False)


def test_stopping_ends_connections_that_clients_keep_open() -> None:
    with contextlib.ExitStack() as client:
        with Sandbox(seed=7) as own:
            wire = client.enter_context(raw_connection(own))
            wire.sendall(b"GET /api/v2/clients HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % own.ports["auth0"])
            assert wire.recv(12) == b"HTTP/1.1 401"
        wire.settimeout(PATIENCE_S)
        with contextlib.suppress(ConnectionError):
            while wire.recv(65536):
                pass


def test_clients_that_keep_their_connections_leave_no_socket_open_behind_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    unclosed: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda about: unclosed.append(about.exc_value))
    with contextlib.ExitStack() as clients:
        with Sandbox() as own:
            for wish in ("", "Connection: close\r\n"):
                client = clients.enter_context(raw_connection(own))
                host = f"localhost:{own.ports['graph']}"
                client.sendall(f"GET /v1.0/organization HTTP/1.1\r\nHost: {host}\r\n{wish}\r\n".encode())
                assert client.recv(9) == b"HTTP/1.1 "
        gc.collect()
    assert unclosed == []
