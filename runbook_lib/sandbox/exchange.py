"""One HTTP exchange as values: the call that came in, the answer that goes out, and the routes between them.

Every simulated service is a `Router` of plain functions `(world, call) -> Answer`. They know nothing of sockets, so the same
code serves HTTPS, the requests inside a Graph `$batch`, and an in-process transport.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, parse_qsl

from starlette.routing import compile_path

if TYPE_CHECKING:
    from runbook_lib.sandbox.world import World


@functools.lru_cache(maxsize=128)  # a service looks at one query many times
def _arguments(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


@dataclass(frozen=True)
class Call:
    """One request, as a service sees it.

    `path` is percent-decoded and starts with a slash; `query` is the raw query string; header names are lower-case;
    `origin` is `https://host:port` of the service as the client addressed it; `params` the values of the route's
    placeholders. `number` is its place in the history; `batch` that of the Graph batch it came in, else 0.
    """

    service: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    batch: int = 0
    number: int = 0

    def json(self) -> Any:
        """Return the parsed body; None for an empty one. Raises `ValueError` when it is not JSON."""
        return json.loads(self.body) if self.body.strip() else None

    def form(self) -> dict[str, str]:
        """Return the fields of a form-encoded body, the last of each name."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def arguments(self) -> dict[str, list[str]]:
        """Return the query's values by name, in order; blank values count."""
        return _arguments(self.query)

    def argument(self, name: str) -> str | None:
        """Return the last value of one query argument, or None."""
        values = self.arguments().get(name)
        return values[-1] if values else None

    def bearer(self) -> str | None:
        """Return the bearer token of the Authorization header, or None."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None


@dataclass(frozen=True)
class Answer:
    """One response. `body` is what will be JSON; None sends no body at all (as 204 does), a text of type HTML goes as it is."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    def encoded(self) -> bytes:
        """Return the body as bytes on the wire."""
        if isinstance(self.body, str) and self.content_type.startswith("text/html"):
            return self.body.encode()
        return b"" if self.body is None else json.dumps(self.body, separators=(",", ":")).encode()


Handler = Callable[["World", Call], Answer]


@dataclass(frozen=True)
class Route:
    """One route: a method, a path template as in Starlette (`/users/{id}`), and its handler."""

    method: str
    template: str
    handler: Handler
    holds_the_world: bool


class Router:
    """The routes of one service.

    A handler runs with the world's lock held, so it sees and leaves a whole state. One that calls another service over HTTP
    is registered with `holds_the_world=False` and takes `world.lock` itself around each state it touches.
    """

    def __init__(self) -> None:
        self._routes: list[tuple[Any, Any, Route]] = []

    def on(self, method: str, template: str, *, holds_the_world: bool = True) -> Callable[[Handler], Handler]:
        """Register the decorated handler for `method` on `template`; earlier registrations win."""

        def register(handler: Handler) -> Handler:
            pattern, _, convertors = compile_path(template)
            self._routes.append((pattern, convertors, Route(method, template, handler, holds_the_world)))
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], bool]:
        """Return the route for a call, its placeholder values, and whether the path exists under another method."""
        path_exists = False
        for pattern, convertors, route in self._routes:
            if match := pattern.match(path):
                path_exists = True
                if route.method == method:
                    values = {name: str(convertors[name].convert(value)) for name, value in match.groupdict().items()}
                    return route, values, True
        return None, {}, path_exists

    def routes(self) -> tuple[Route, ...]:
        """Return all routes, in order of registration."""
        return tuple(route for _, _, route in self._routes)
