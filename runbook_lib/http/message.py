"""One request and one answer, as values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from runbook_lib.core.errors import TransportError
from runbook_lib.core.secret import Secret, scrubber


@dataclass(frozen=True)
class Request:
    """One request as a value. `body` is JSON-able and may hold `Secret`s, which are revealed only as it is sent."""

    service: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = field(default=None, repr=False)

    @property
    def line(self) -> str:
        """Method and path, as shown and journalled."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Response:
    """One answer. `body` is the parsed JSON, None when empty."""

    status: int
    body: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def at(self, *keys: str) -> str:
        """Return the text at a place in the body. Raises `TransportError` when there is none: what happened is then in doubt."""
        value = self.body
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, str):
            raise TransportError("Reading an answer", f"it holds no {'.'.join(keys)}", ambiguous=True)
        return value


@contextlib.contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what is raised over an answer of another form than documented, as `null` is, into a `TransportError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as odd:
        came_back = f"an answer of another form than documented ({type(odd).__name__}: {odd})"
        raise TransportError(f"Reading {what}", scrubber.scrub(came_back), ambiguous=True) from odd


def revealed(value: Any) -> Any:
    """Return a JSON-able value with the texts of its `Secret`s in place."""
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: revealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [revealed(item) for item in value]
    return value


def segment(text: str) -> str:
    """Return an id as one segment of a path. Raises `ValueError` for one that would lead out of it, as `..` does."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")
