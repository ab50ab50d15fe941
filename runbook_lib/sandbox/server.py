"""The sandbox over HTTPS, on this machine only: five listeners of one world, certificates by a throw-away authority."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import trustme
import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from runbook_lib.sandbox.auth0 import errors as auth0_errors
from runbook_lib.sandbox.auth0 import jobs as auth0_jobs
from runbook_lib.sandbox.auth0 import routes as auth0_routes
from runbook_lib.sandbox.control import control
from runbook_lib.sandbox.demo_tenants import build_world, write_tenants_file
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph import errors as graph_errors
from runbook_lib.sandbox.graph import routes as graph_routes
from runbook_lib.sandbox.graph import synchronization as _synchronization  # noqa: F401 - registers its routes
from runbook_lib.sandbox.in_process import service_of
from runbook_lib.sandbox.login import routes as login_routes
from runbook_lib.sandbox.scim import routes as scim_routes
from runbook_lib.sandbox.simulation import BREAKING_KINDS, Delivery, Simulation
from runbook_lib.sandbox.world import World

LISTENERS = ("auth0", "login", "graph", "control", "files")
TLS_ALERT = bytes((21, 3, 3, 0, 2, 2, 80))  # a fatal internal_error in clear: RFC 8446 section 6
BODY_LIMIT = 4_000_000
DRIP_S = 0.05


def simulate(world: World) -> Simulation:
    """Return all services over a world."""
    routers = {
        "auth0": auth0_routes.router,
        "scim": scim_routes.router,
        "login": login_routes.router,
        "graph": graph_routes.router,
        "files": auth0_jobs.files,
    }
    bodies = {
        "auth0": auth0_errors.body,
        "scim": scim_routes.body,
        "login": login_routes.body,
        "graph": graph_errors.body,
        "files": auth0_jobs.body,
    }
    return Simulation(world, routers, bodies)


class _Protocol(H11Protocol):
    """Lets the application reach its connection, so that a fault can cut it as a network would."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._socket = transport.get_extra_info("socket")
        application = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            await application({**scope, "sandbox.transport": transport}, receive, send)

        self.app = with_transport

    def hang_up(self) -> None:
        """Close the connection now, whatever the client does.

        asyncio waits half a minute for the good-bye of a TLS client, and what was closed twice can no longer be aborted.
        """
        with contextlib.suppress(OSError):  # the client was quicker
            self._socket.shutdown(socket.SHUT_RDWR)


class Sandbox:
    """A running sandbox in this process; a context manager. `ready` is what the ready file says.

    `folder` keeps the CA, the tenants file and its secret files; without one a temporary folder is made and removed.
    """

    def __init__(self, *, seed: int = 7, tenants: int = 0, port: int = 0, ready_file: Path | None = None) -> None:
        self._seed, self._tenants = seed, tenants
        self._folder = Path(tempfile.mkdtemp(prefix="inbound-scim-sandbox-"))
        self._ready_file = ready_file or self._folder / "ready.json"
        self._sockets = {name: _listener(port + offset if port else 0) for offset, name in enumerate(LISTENERS)}
        self.ports = {name: bound.getsockname()[1] for name, bound in self._sockets.items()}
        self._token = secrets.token_urlsafe(32)
        self._servers: list[uvicorn.Server] = []
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self._up = threading.Event()
        self.simulation = simulate(self._build(seed))
        self.ready: dict[str, str] = {}

    @property
    def world(self) -> World:
        """The state of all services."""
        return self.simulation.world

    def __enter__(self) -> Sandbox:
        self._certify()
        self._thread.start()
        if not self._up.wait(20):
            raise RuntimeError("the sandbox did not come up within 20 s")
        self.ready = {
            "auth0_domain": f"localhost:{self.ports['auth0']}",
            "authority": f"https://localhost:{self.ports['login']}",
            "graph": f"https://localhost:{self.ports['graph']}/v1.0",
            "ca_bundle": str(self._folder / "ca.pem"),
            "control": f"https://localhost:{self.ports['control']}",
            "control_token": self._token,
            "tenants_file": str(write_tenants_file(self.world, self._folder, self._ready_file)),
        }
        _write_at_once(self._ready_file, json.dumps(self.ready, indent=1))
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.should_exit = True
            server.force_exit = True
        self._thread.join(10)
        self._ready_file.unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def reset(self, seed: int | None = None) -> None:
        """Start again, with another seed if given; addresses stay. Rewrites the tenants file."""
        world = self._build(self._seed if seed is None else seed)
        self._seed = self._seed if seed is None else seed
        world.ca_bundle = str(self._folder / "ca.pem")
        with self.world.lock:
            self.simulation.history.clear()
            self.simulation.faults.clear()
            self.simulation.pressure.set({})
            self.simulation.world = world
        world.dispatch = lambda call: self.simulation.handle(call).answer
        write_tenants_file(world, self._folder, self._ready_file)

    def _build(self, seed: int) -> World:
        world = build_world(seed, auth0_domain=f"localhost:{self.ports['auth0']}", extra_tenants=self._tenants)
        world.auth0.files_origin = f"https://localhost:{self.ports['files']}"
        world.auth0.users.settle()
        return world

    def _certify(self) -> None:
        authority = trustme.CA(organization_name="inbound-scim-runbook sandbox")
        authority.cert_pem.write_to_path(str(self._folder / "ca.pem"))
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            str(self._folder / "server.pem")
        )
        (self._folder / "server.pem").chmod(0o600)
        self.world.ca_bundle = str(self._folder / "ca.pem")

    def _serve(self) -> None:
        for name in LISTENERS:
            config = uvicorn.Config(
                self._application(name),
                http=_Protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=120,
                ssl_certfile=str(self._folder / "server.pem"),
            )
            self._servers.append(uvicorn.Server(config))
        asyncio.run(self._serve_all())

    async def _serve_all(self) -> None:
        serving = [
            asyncio.create_task(server.serve(sockets=[self._sockets[name]]))
            for name, server in zip(LISTENERS, self._servers, strict=True)
        ]
        while not all(server.started for server in self._servers):
            await asyncio.sleep(0.005)
        self._up.set()
        await asyncio.gather(*serving)
        for connection in self._connections:
            connection.hang_up()  # a client that keeps its connection would leave the socket open behind us
        for _ in range(1000):
            if not self._connections:
                return
            await asyncio.sleep(0.005)

    @property
    def _connections(self) -> list[Any]:
        return [connection for server in self._servers for connection in server.server_state.connections]

    def _application(self, listener: str) -> Any:
        origin = f"https://localhost:{self.ports[listener]}"
        hosts = {f"localhost:{self.ports[listener]}", f"127.0.0.1:{self.ports[listener]}"}

        async def application(scope: Scope, receive: Receive, send: Send) -> None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            body = await _body(receive)
            if headers.get("host") not in hosts:
                delivery = Delivery(Answer(421, {"error": "this host is not served here"}))
            elif body is None:
                delivery = Delivery(Answer(413, {"error": f"more than {BODY_LIMIT} bytes"}))
            else:
                query = scope["query_string"].decode("latin-1")
                call = Call(service_of(listener, scope["path"]), scope["method"], scope["path"], query, headers, body, origin)
                delivery = await run_in_threadpool(self._delivered, listener, call)
            await _deliver(delivery, scope, send, self.world.clock.http_date())

        return application

    def _delivered(self, listener: str, call: Call) -> Delivery:
        try:
            if listener == "control":
                return Delivery(control(self.simulation, self._token, self.reset, call))
            return self.simulation.handle(call)
        except Exception:
            traceback.print_exc()  # a bug must look like a bug; uvicorn answers 500 in silence at this log level
            raise


def _listener(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets TCP_NODELAY only when named
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))  # never another address: the sandbox answers everybody who can reach it
    return bound


async def _body(receive: Receive) -> bytes | None:
    parts, size = [], 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if size <= BODY_LIMIT:
            parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts) if size <= BODY_LIMIT else None


async def _deliver(delivery: Delivery, scope: Scope, send: Send, date: str) -> None:
    transport = scope.get("sandbox.transport")
    if delivery.transport in BREAKING_KINDS and transport is not None:
        if delivery.transport == "tls_alert":
            os.write(transport.get_extra_info("socket").fileno(), TLS_ALERT)  # past the encryption, as a broken proxy does
        if delivery.transport == "reset":
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return
    answer, content = delivery.answer, delivery.answer.encoded()
    if delivery.transport == "truncate" and not content and transport is not None:
        transport.close()  # of an answer without a body, what can be cut is the whole
        return
    headers = {"date": date, **{name.lower(): value for name, value in answer.headers.items()}}
    if answer.body is not None:
        headers |= {"content-type": answer.content_type, "content-length": str(len(content))}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
    if delivery.transport == "truncate" and content and transport is not None:
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        transport.close()
        return
    if delivery.transport == "slow":
        for start in range(0, len(content), max(1, len(content) // 20)):
            await send(
                {"type": "http.response.body", "body": content[start : start + max(1, len(content) // 20)], "more_body": True}
            )
            await asyncio.sleep(DRIP_S)
        content = b""
    await send({"type": "http.response.body", "body": content})


def _write_at_once(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, readable by its owner only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as writer:
        writer.write(text)
    part.replace(path)


def serve_forever(*, ready_file: Path | None, tenants: int, seed: int, port: int, exit_with_parent: bool = False) -> None:
    """Serve until interrupted, terminated, or, when asked, until standard input ends because the parent process is gone."""
    stop = threading.Event()

    def asked_to_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked_to_stop)
    if exit_with_parent:

        def until_alone() -> None:
            sys.stdin.buffer.read()
            stop.set()

        threading.Thread(target=until_alone, daemon=True).start()
    with Sandbox(seed=seed, tenants=tenants, port=port, ready_file=ready_file) as sandbox:
        sys.stderr.write(f"sandbox: serving; ready file {sandbox._ready_file}; stop with Ctrl-C\n")
        stop.wait()
