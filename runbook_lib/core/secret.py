"""Secrets that cannot be shown, and the scrubber that removes them wherever text is written."""

from __future__ import annotations

import base64
import contextlib
import hmac
import html
import json
import logging
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, NoReturn, TextIO
from urllib.parse import quote, quote_plus, unquote, urlsplit

from runbook_lib.core.process_memory import write_no_core

MASK = "***"
_SHORTEST = 6  # a shorter value would eat ordinary words
_SHORTEST_LINE = 24  # of a PEM text: the lines of a key are 64 characters long, its last one often shorter
_SHAPES = re.compile(
    r"tok_[A-Za-z0-9]{16}\.[0-9a-f]{64}"  # SCIM token: Auth0 Terraform provider recordings
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"  # JWT
    r"|[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{30,}"  # client secret of Entra: gitleaks, rule azure-ad-client-secret
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",  # to the end where a log was cut
    re.DOTALL,
)
_AUTHORIZATION = re.compile(r"(?i)(\bbearer\s+|authorization\W{1,8}basic\s+)[A-Za-z0-9._~+/=-]{8,}")
_FIELDS = ("client_secret", "client_assertion", "access_token", "refresh_token", "id_token", "password")
_FIELD = re.compile(  # of JSON, of a Python dictionary or of a form; also where the text that has it is itself in one
    # Looking back after the word instead of before it lets the search go by first letters: three times as fast.
    f"((?:{'|'.join(f'{word}(?<![A-Za-z0-9_]{word})' for word in _FIELDS)})"
    r"""(?:\\*['"]\s*:\s*\\*['"]|=))[^\s&'"\\]+"""
)
_PASSWORD_IN_URL = re.compile(r"""(://[^\s/:@'"]*:)[^\s/'"]+(?=@)""")  # to the last @: a password may hold one
# What a text must hold, in small letters, for a pattern to match anywhere in it.
_WITH_WORDS = (
    (("bearer", "authorization"), _AUTHORIZATION),
    (("client_secret", "client_assertion", "_token", "password"), _FIELD),
    (("://",), _PASSWORD_IN_URL),
)
_SHAPE_PARTS = ("tok_", "eyJ", "Q~", "-----BEGIN ")
_EDGE = 24  # so many characters tell a secret that was cut, by verbose tracebacks for one; a token's public id has only 20
_CUT = r"[A-Za-z0-9_~+/.=-]*"
_LONG_WORD = re.compile(r"[A-Za-z0-9_-]{43,}")  # 32 random octets in base64; an Auth0 client id has 32 letters
_MIXED = 10  # capitals, small letters, and changes between them: of 64 random ones there are 26, 26 and 21
_VISIBLE = re.compile(r"[!-~]+")
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}")
_PERCENT = re.compile("%[0-9A-F]{2}")


class Scrubber:
    """Knows every live secret of this process and takes it out of texts, in plain and in encoded form."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: Counter[str] = Counter()  # each value was registered, and not forgotten
        self._forms: Counter[str] = Counter()  # of how many values each form is one
        self._longest_first: tuple[str, ...] | None = ()
        self._edges: dict[str, str] = {}
        self._noting = threading.local()

    def register(self, value: str) -> None:
        """Remember a secret text; every later `scrub` removes it. Texts under 6 characters are not remembered."""
        if len(value) < _SHORTEST:
            return
        with self._lock:
            self._times[value] += 1
            if (noted := getattr(self._noting, "values", None)) is not None:
                noted.append(value)
            if self._times[value] > 1:
                return
            self._forms.update(_encoded_forms(value))
            self._edges = {**self._edges, **_edges(value)}  # a new one: others may be walking over the old
            self._longest_first = None

    @contextlib.contextmanager
    def noting(self) -> Iterator[list[str]]:
        """Give a list of what this thread registers in the block, for `forget`."""
        noted: list[str] = []
        self._noting.values = noted
        try:
            yield noted
        finally:
            self._noting.values = None

    def forget(self, values: Iterable[str]) -> None:
        """Take back so many registrations: no text that is still to be written can hold these secrets.

        For a run of many tenants. Each text is searched for every secret there is, so that its time would grow with the square
        of the tenants.
        """
        with self._lock:
            for value in values:
                self._times[value] -= 1
                if not self._times[value]:
                    del self._times[value]
                    self._forms -= Counter(_encoded_forms(value))
                    self._longest_first = None
            self._edges = {edge: rest for value in self._times for edge, rest in _edges(value).items()}

    def scrub(self, text: str) -> str:
        """Return `text` with every registered secret, and everything shaped like one, replaced by `***`."""
        # One search for each form: with the secrets of hundreds of tenants, one pattern of all forms is far slower.
        for form in self._ordered():
            if form in text:
                text = text.replace(form, MASK)
        for edge, rest in self._edges.items():
            if edge in text:
                text = re.sub(rest, MASK, text)
        lower = text.lower()
        for words, shape in _WITH_WORDS:
            if any(word in lower for word in words):  # looking for words is many times faster than for a pattern
                text = shape.sub(rf"\1{MASK}", text)
        return _SHAPES.sub(MASK, text) if any(part in text for part in _SHAPE_PARTS) else text

    def scrub_json(self, value: Any) -> Any:
        """Return a JSON value with all its texts scrubbed, keys too; numbers stay, whatever digits a secret is made of."""
        if isinstance(value, str):
            return self.scrub(value)
        if isinstance(value, dict):
            return {self.scrub_json(key): self.scrub_json(item) for key, item in value.items()}
        return [self.scrub_json(item) for item in value] if isinstance(value, list) else value

    def _ordered(self) -> tuple[str, ...]:
        with self._lock:
            if self._longest_first is None:
                self._longest_first = tuple(sorted(self._forms, key=lambda form: (-len(form), form)))
            return self._longest_first


def _encoded_forms(value: str) -> set[str]:
    """Return the text as URLs, JSON, Python, HTML and base64 write it; also JSON as Python shows it and one within another."""
    in_json = {_json(value), json.dumps(value, ensure_ascii=False)[1:-1]}
    texts = {value, *in_json}
    texts |= {shown for text in texts for shown in _python_forms(text)}
    texts |= {_json(text) for text in texts}
    texts |= {escaped for text in texts for escaped in _html_forms(text)} | {_json(text) for text in _html_forms(value)}
    texts |= {*_json_forms(value), value.replace('"', '""')}  # CSV doubles quotes
    texts |= {url for text in (value, *in_json) for url in _url_forms(text)}
    in_url = quote(value.encode("utf-8", "surrogatepass"), safe="")
    texts |= {quote(url, safe="") for url in _url_forms(value)}  # an address within an address
    for text in (value, _json(value), in_url):  # RFC 6749, 2.3.1: Basic encodes what is URL-encoded already
        texts |= _base64_forms(text.encode("utf-8", "surrogatepass"))
    if "-----BEGIN" in value:
        texts |= {line for line in value.splitlines() if len(line) >= _SHORTEST_LINE and not line.startswith("-----")}
    return {text for text in texts if len(text) >= _SHORTEST}


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_forms(text: str) -> set[str]:
    """Return the text as other makers of JSON write it: with `/` escaped, or safe within HTML, as Go, Flask and .NET do."""
    escaped = _json(text)
    forms = {form.replace("/", "\\/") for form in (escaped, json.dumps(text, ensure_ascii=False)[1:-1])}
    for marks in ("<>&", "<>&'", "<>&'+`"):
        forms.add("".join(rf"\u{ord(char):04x}" if char in marks else char for char in escaped))
    net = "".join(rf"\u{ord(char):04X}" if char in "<>&'+`" else char for char in escaped).replace('\\"', r"\u0022")
    return forms | {_ESCAPE.sub(lambda found: rf"\u{found[0][2:].upper()}", net)}


def _html_forms(text: str) -> set[str]:
    """Return the text as HTML and XML write it: pandas leaves quotes alone, XML single ones, markupsafe has numbers for both."""
    whole = html.escape(text)
    numbered = whole.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    return {whole, numbered, whole.replace("&#x27;", "'"), html.escape(text, quote=False)}


def _python_forms(text: str) -> set[str]:
    """Return the text as Python shows it, also as octets, in either kind of quotes: those around depend on the whole text."""
    octets = text.encode("utf-8", "surrogatepass")
    shown = {repr(text)[1:-1], repr('"' + text)[2:-1], repr(octets)[2:-1], repr(b'"' + octets)[3:-1]}
    return shown | {ascii(text)[1:-1], ascii('"' + text)[2:-1]}


def _url_forms(value: str) -> set[str]:
    octets = value.encode("utf-8", "surrogatepass")
    quoted = {quote(octets, safe=""), quote(octets), quote_plus(octets)}
    quoted |= {text.replace("~", "%7E") for text in quoted}  # as before RFC 3986; every Entra secret has one
    return quoted | {_PERCENT.sub(lambda match: match[0].lower(), text) for text in quoted}


def _base64_forms(octets: bytes) -> set[str]:
    """Return base64 of the octets alone and, by three alignments, within a longer text such as `id:secret` of Basic."""
    forms = set()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        alone = encode(octets).decode()
        forms |= {alone, alone.rstrip("=")}
        for before, first in ((0, 0), (1, 2), (2, 3)):  # characters that other octets have a part in are left out
            forms.add(encode(bytes(before) + octets).decode()[first : (before + len(octets)) * 8 // 6])
    return forms


def _edges(value: str) -> dict[str, str]:
    """Return both ends of a long secret, each with the pattern of what is left of the secret where the other end was cut.

    Patterns are compiled when an end is met, which is hardly ever.
    """
    if len(value) < 2 * _EDGE or not _VISIBLE.fullmatch(value):
        return {}
    head, tail = value[:_EDGE], value[-_EDGE:]
    # A tail starts at the dots that stand for what was left out: elsewhere it would eat what stands before the secret.
    return {head: re.escape(head) + _CUT, tail: rf"(?<=\.\.\.){_CUT}{re.escape(tail)}|(?<=…){_CUT}{re.escape(tail)}"}


scrubber = Scrubber()


def looks_like_secret(text: str) -> bool:
    """Whether an unregistered text has the shape of a token, a key or an address with a password, or is a long random word."""
    return Scrubber().scrub(text) != text or _is_random(text.strip())


def _is_random(text: str) -> bool:
    """Whether a text is like a client secret of Auth0: 64 letters and digits in no order, which no name and no id is."""
    capitals, small = sum(letter.isupper() for letter in text), sum(letter.islower() for letter in text)
    changes = sum(before.isupper() != after.isupper() for before, after in pairwise(text) if (before + after).isalpha())
    return bool(_LONG_WORD.fullmatch(text)) and min(capitals, small, changes) >= _MIXED


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
        """Return the text. Only the HTTP layer, the builder of a request that carries it, and the kernel may call this.

        The kernel does for the one message in which a person asked to see a token (`kernel.ticket_for`).
        """
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


def guard_process() -> None:
    """Redact secrets in all that this process logs and writes to its streams, other libraries' lines too. Idempotent.

    Covers what people turn on to find a fault: http.client's debuglevel prints whole headers and bodies. What a library writes
    straight to a file descriptor, and a secret written in two pieces, pass by.
    """
    write_no_core()
    _register_proxy_passwords()
    scrub_logs()
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:  # as under pythonw
            _scrub_stream(stream)


def scrub_logs() -> None:
    """Let every log record of this process be made without secrets, so that no handler, also a later one, can write one."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _CleanRecords):
        logging.setLogRecordFactory(_CleanRecords(make))


class _CleanRecords:
    """Makes log records of which message, traceback and stack are finished texts that have passed the scrubber.

    A filter on our own logger would not do: the records of urllib3 and msal never pass it (logging documentation, "Filter").
    """

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *arguments: Any, **named: Any) -> logging.LogRecord:
        record = self._make(*arguments, **named)
        record.msg, record.args = scrubber.scrub(_message(record)), ()
        if record.exc_info:
            # A formatter takes a traceback that is there as text; without the exception it cannot make its own.
            record.exc_text = scrubber.scrub("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
            record.exc_info = None
        if record.stack_info:
            record.stack_info = scrubber.scrub(record.stack_info)
        return record


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as wrong:  # noqa: BLE001 - whatever a value's own rendering raises, its logging must not stop the caller
        return f"{record.msg} (its values cannot be shown: {type(wrong).__name__})"


def _scrub_stream(stream: TextIO) -> None:
    write = stream.write
    if isinstance(write, _CleanWrite):
        return
    setattr(stream, "write", _CleanWrite(write))  # noqa: B010 - a method of this one stream; all else of it stays as it is


class _CleanWrite:
    def __init__(self, write: Callable[[str], int]) -> None:
        self._write = write

    def __call__(self, text: str) -> int:
        self._write(scrubber.scrub(text) if isinstance(text, str) else text)
        return len(text)


def _register_proxy_passwords() -> None:
    """Register the passwords of the proxies that requests would use: they are in its errors and in its headers."""
    from urllib.request import getproxies

    for address in getproxies().values():
        try:
            password = urlsplit(address if "://" in address else f"http://{address}").password  # requests takes one without, too
        except ValueError:  # no address; requests will say so
            continue
        if password:
            scrubber.register(password)
            scrubber.register(unquote(password))
