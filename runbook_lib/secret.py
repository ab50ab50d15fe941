"""Secrets that cannot be shown, and the scrubber that removes them wherever text is written."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import re
import threading
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 6  # a shorter value would eat ordinary words
_SHAPES = re.compile(
    r"tok_[A-Za-z0-9]{16}\.[0-9a-f]{64}"  # SCIM token: Auth0 Terraform provider recordings
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"  # JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}")


class Scrubber:
    """Knows every live secret of this process and takes it out of texts, in plain and in encoded form."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def register(self, value: str) -> None:
        """Remember a secret text; every later `scrub` removes it. Texts under 6 characters are not remembered."""
        if len(value) < _SHORTEST:
            return
        with self._lock:
            self._forms |= _encoded_forms(value)
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def scrub(self, text: str) -> str:
        """Return `text` with every registered secret, and everything shaped like one, replaced by `***`."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return _BEARER.sub(rf"\1{MASK}", _SHAPES.sub(MASK, text))


def _encoded_forms(value: str) -> set[str]:
    octets = value.encode()
    forms = {
        value,
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
    }
    forms |= {base64.b64encode(octets).decode(), base64.urlsafe_b64encode(octets).decode()}
    forms |= {form.rstrip("=") for form in (base64.b64encode(octets).decode(), base64.urlsafe_b64encode(octets).decode())}
    return {form for form in forms if len(form) >= _SHORTEST}


scrubber = Scrubber()


class Secret:
    """A text that no print, format, JSON, pickle or copy gives away. `reveal()` is the only way out.

    Making one registers it with `scrubber`, so that even a text built from it elsewhere is masked when written.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError("a Secret holds a text")
        object.__setattr__(self, "_value", value)
        scrubber.register(value)

    def reveal(self) -> str:
        """Return the text. Only the HTTP layer and the builder of a request that carries it may call this."""
        value: str = object.__getattribute__(self, "_value")
        return value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = _refuse


class ScrubbingFormatter(logging.Formatter):
    """A log formatter whose finished line, traceback included, passes the scrubber."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return scrubber.scrub(super().format(record))
