"""One HTTP exchange as values: the call that came in, the answer that goes out, and the routes between them.

Every simulated service is a `Router` of plain functions `(world, call) -> Answer`. They know nothing of sockets, so the same
code serves HTTPS, the requests inside a Graph `$batch`, and an in-process transport.
"""

from __future__ import annotations

import functools
import json
import re
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


_DEEPEST = 100  # levels of lists and objects; a copy of a document takes several frames of Python's stack for each


def _depth(body: bytes) -> int:
    """Return how deep the brackets of a text nest; those inside strings count too, which only errs on the safe side."""
    deepest = depth = 0
    for byte in body:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def number(value: Any, name: str, least: float, most: float) -> float:
    """Return a number of the control API. Raises `ValueError` for anything else and for one out of bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"{name} is a number from {least:g} to {most:g}, not {value!r:.40}")
    return float(value)


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
        """Return the parsed body; None for an empty one. Raises `ValueError` when it is not JSON, or nested too deep to copy."""
        if not self.body.strip():
            return None
        if self.body.count(b"[") + self.body.count(b"{") > _DEEPEST and _depth(self.body) > _DEEPEST:
            raise ValueError("nested too deep")
        return json.loads(self.body, parse_constant=_no_constant)

    def form(self) -> dict[str, str]:
        """Return the fields of a form-encoded body, the last of each name; bytes that are no UTF-8 are replaced."""
        return dict(parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True))

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
    """One response. `body` is what will be JSON; None sends no body at all (as 204 does).

    Bytes go as they are, and so does a text whose type is HTML or XML.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"

    def encoded(self) -> bytes:
        """Return the body as bytes on the wire."""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str) and self.content_type.startswith(("text/html", "application/xml")):
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
            compiled, _, convertors = compile_path(template)
            pattern = re.compile(compiled.pattern, re.DOTALL)  # an id may hold any character, a line's end too
            self._routes.append((pattern, convertors, Route(method, template, handler, holds_the_world)))
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], tuple[str, ...]]:
        """Return the route for a call, its placeholder values, and, without one, the methods under which the path exists."""
        methods = []
        for pattern, convertors, route in self._routes:
            if match := pattern.match(path):
                if route.method == method:
                    values = {name: str(convertors[name].convert(value)) for name, value in match.groupdict().items()}
                    return route, values, ()
                methods.append(route.method)
        return None, {}, tuple(dict.fromkeys(methods))

    def routes(self) -> tuple[Route, ...]:
        """Return all routes, in order of registration."""
        return tuple(route for _, _, route in self._routes)
