"""Requests to the sandbox without sockets, for tests that need thousands of them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import BaseAdapter

from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.simulation import BREAKING_KINDS, Simulation


class InProcessAdapter(BaseAdapter):
    """Hands each request to the simulation. `services` maps `host:port` to the service's name."""

    def __init__(self, simulation: Simulation, services: Mapping[str, str]) -> None:
        super().__init__()
        self._simulation = simulation
        self._services = services

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Return the simulation's answer; a transport fault is the error that requests would raise."""
        target = urlsplit(request.url or "")
        service = service_of(self._services[target.netloc], target.path)
        body = request.body or b""
        call = Call(
            service,
            request.method or "GET",
            unquote(target.path),
            target.query,
            {name.lower(): str(value) for name, value in request.headers.items()},
            body.encode() if isinstance(body, str) else bytes(body),
            f"https://{target.netloc}",
        )
        delivery = self._simulation.handle(call)
        if delivery.transport == "tls_alert":
            raise requests.exceptions.SSLError("sandbox: tls_alert")
        if delivery.transport in BREAKING_KINDS:
            raise requests.exceptions.ConnectionError(f"sandbox: {delivery.transport}")
        content = delivery.answer.encoded()
        if delivery.transport == "truncate":
            raise requests.exceptions.ChunkedEncodingError("sandbox: truncate")
        answer = requests.Response()
        answer.status_code = delivery.answer.status
        date = self._simulation.world.clock.http_date()
        answer.headers.update({"Date": date, "Content-Type": delivery.answer.content_type, **delivery.answer.headers})
        answer.raw = io.BytesIO(content)
        answer.url = request.url or ""
        answer.request = request
        return answer

    def close(self) -> None:
        """Hold nothing open."""


def service_of(listener: str, path: str) -> str:
    """Return the service a path of a listener belongs to: the SCIM endpoint shares Auth0's host."""
    return "scim" if listener == "auth0" and path.startswith("/scim/") else listener
