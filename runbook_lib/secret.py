"""Secrets that cannot be shown, and the scrubber that removes them wherever text is written."""

from __future__ import annotations

import base64
import hmac
import html
import json
import logging
import re
import threading
from typing import Any, NoReturn
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 6  # a shorter value would eat ordinary words
_SHORTEST_LINE = 24  # of a PEM text: the lines of a key are 64 characters long, its last one often shorter
_SHAPES = re.compile(
    r"tok_[A-Za-z0-9]{16}\.[0-9a-f]{64}"  # SCIM token: Auth0 Terraform provider recordings
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"  # JWT
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",  # to the end where a log was cut
    re.DOTALL,
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}")


class Scrubber:
    """Knows every live secret of this process and takes it out of texts, in plain and in encoded form."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._longest_first: tuple[str, ...] | None = ()

    def register(self, value: str) -> None:
        """Remember a secret text; every later `scrub` removes it. Texts under 6 characters are not remembered."""
        if len(value) < _SHORTEST:
            return
        forms = _encoded_forms(value)
        with self._lock:
            if not forms <= self._forms:
                self._forms |= forms
                self._longest_first = None

    def scrub(self, text: str) -> str:
        """Return `text` with every registered secret, and everything shaped like one, replaced by `***`."""
        # One search for each form: with the secrets of hundreds of tenants, one pattern of all forms is far slower.
        for form in self._ordered():
            if form in text:
                text = text.replace(form, MASK)
        return _BEARER.sub(rf"\1{MASK}", _SHAPES.sub(MASK, text))

    def _ordered(self) -> tuple[str, ...]:
        with self._lock:
            if self._longest_first is None:
                self._longest_first = tuple(sorted(self._forms, key=lambda form: (-len(form), form)))
            return self._longest_first


def _encoded_forms(value: str) -> set[str]:
    """Return the text as URLs, JSON, Python, HTML and base64 write it, also JSON within JSON as in a notebook file."""
    texts = {value, repr(value)[1:-1], _json(value), json.dumps(value, ensure_ascii=False)[1:-1]}
    texts |= {_json(text) for text in texts}
    texts |= {escaped.replace("&quot;", "&#34;").replace("&#x27;", "&#39;") for escaped in map(html.escape, tuple(texts))}
    texts |= {html.escape(value), *_url_forms(value), *_base64_forms(value.encode("utf-8", "surrogatepass"))}
    if "-----BEGIN" in value:
        texts |= {line for line in value.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")}
    return {text for text in texts if len(text) >= _SHORTEST}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _url_forms(value: str) -> set[str]:
    octets = value.encode("utf-8", "surrogatepass")
    quoted = {quote(octets, safe=""), quote(octets), quote_plus(octets)}
    return quoted | {re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), text) for text in quoted}


def _base64_forms(octets: bytes) -> set[str]:
    """Return base64 of the octets alone and, by three alignments, within a longer text such as `id:secret` of Basic."""
    forms = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(octets).decode()
        forms |= {alone, alone.rstrip("=")}
        for before, first in ((0, 0), (1, 2), (2, 3)):  # characters that other octets have a part in are left out
            forms.add(encode(bytes(before) + octets).decode()[first : (before + len(octets)) * 8 // 6])
    return forms


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
        return isinstance(other, Secret) and hmac.compare_digest(_octets(self), _octets(other))

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    __reduce__ = __reduce_ex__ = __getstate__ = __copy__ = __deepcopy__ = _refuse


def _octets(secret: Secret) -> bytes:
    return secret.reveal().encode("utf-8", "surrogatepass")


class ScrubbingFormatter(logging.Formatter):
    """A log formatter whose finished line, traceback included, passes the scrubber."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without secrets."""
        return scrubber.scrub(super().format(record))
