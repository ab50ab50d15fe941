"""What a broken exchange means, and what to do about it: no header, address or secret of the library's own texts gets through."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import requests
import urllib3

from runbook_lib.core.errors import TransportError
from runbook_lib.core.remedies import remedy
from runbook_lib.core.secret import scrubber
from runbook_lib.http import stage

_EXPIRED, _NOT_YET_VALID, _OTHER_HOST = 10, 9, 62  # of OpenSSL: X509_V_ERR_…
_TITLE = re.compile(rb"<title[^>]*>([^<]{1,80})", re.IGNORECASE)
_CONNECT = re.compile(r"Tunnel connection failed: (\d{3})")  # http.client keeps the answer to CONNECT in its text only
_OF_THE_BUNDLE = ("NO_CERTIFICATE_OR_CRL_FOUND", "PEM LIB", "PEM_LIB")  # of OpenSSL, for a file that holds no whole certificate


class TooMuchError(Exception):
    """An answer that is too long or takes too long."""


@dataclass(frozen=True)
class _Trouble:
    """What happened. `is_sent`: the request may have left; `again`: sending it again may help."""

    came_back: str
    remedy: str
    is_sent: bool = False
    again: bool = False


@contextlib.contextmanager
def quietly(attempted: str) -> Iterator[None]:
    """Turn what the HTTP library raises into a `TransportError`. `attempted` is method and URL.

    Only an error before the connection stands means that the service never got the request; any other leaves that in doubt,
    a redirect included: "303 See Other" is the answer to a POST that was carried out (RFC 9110, 15.4.4).
    """
    stage.begin()
    try:
        yield
    except requests.exceptions.RequestException as broken:
        trouble = _trouble(broken, host_of(attempted))
        is_sent = stage.stands() or (trouble.is_sent and not stage.is_connecting())
        raise _as_error(attempted, replace(trouble, is_sent=is_sent)) from None
    except TooMuchError as over:
        raise _as_error(attempted, _Trouble(str(over), "RB-111", is_sent=True, again=True)) from None
    except OSError as broken:
        if "CA certificate bundle" not in str(broken):  # requests' own words for a path that is none; all else is a defect
            raise
        raise _as_error(attempted, _Trouble("the file of trusted certificates is not there", "RB-112")) from None


def host_of(attempted: str) -> str:
    """Return the host of `METHOD URL`, for a message."""
    return urlsplit(attempted.partition(" ")[2] or attempted).netloc or "the service"


def _as_error(attempted: str, trouble: _Trouble) -> TransportError:
    return TransportError(
        attempted,
        trouble.came_back,
        ambiguous=trouble.is_sent,
        is_final=not trouble.again,
        is_outage=not trouble.is_sent,
        do_now=remedy(trouble.remedy).words(host=host_of(attempted)),
    )


def _trouble(broken: requests.exceptions.RequestException, host: str) -> _Trouble:
    causes = list(_causes(broken))
    if isinstance(broken, requests.exceptions.TooManyRedirects):
        return _Trouble("a redirect, which is never followed", "RB-110", is_sent=True)
    if isinstance(broken, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):  # the services' own are valid
        return _Trouble("the proxy's address cannot be used", "RB-108")
    if isinstance(broken, requests.exceptions.ProxyError):
        return _proxy_trouble(causes, host)
    if isinstance(broken, requests.exceptions.SSLError):
        return _tls_trouble(causes)
    if any(isinstance(cause, socket.gaierror | urllib3.exceptions.NameResolutionError) for cause in causes):
        return _Trouble(f"the name {host} does not resolve", "RB-101")
    if isinstance(broken, requests.exceptions.ConnectTimeout):
        return _Trouble("no connection in time", "RB-103", again=True)
    if any(isinstance(cause, urllib3.exceptions.NewConnectionError) for cause in causes):
        is_refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
        return _Trouble("the connection is refused" if is_refused else "no way leads to the host", "RB-102")
    in_time = not isinstance(broken, requests.exceptions.ReadTimeout)
    return _Trouble("the connection broke" if in_time else "no answer in time", "RB-111", is_sent=True, again=True)


def _proxy_trouble(causes: list[BaseException], host: str) -> _Trouble:
    """Tell a proxy that does not answer from one that answers CONNECT with an error (RFC 9110, 9.3.6)."""
    status = next((int(found[1]) for cause in causes if (found := _CONNECT.search(str(cause)))), 0)
    if status == 407:
        return _Trouble("the proxy asks for a sign-in (407)", "RB-107")
    if status >= 500:
        return _Trouble(f"the proxy cannot reach {host} ({status})", "RB-117")
    if status:
        return _Trouble(f"the proxy refuses the connection to {host} ({status})", "RB-116")
    return _Trouble("the proxy does not answer", "RB-108")


def _tls_trouble(causes: list[BaseException]) -> _Trouble:
    """Tell a certificate, which is judged before anything is sent, from TLS that broke at any time, also after a write."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            if cause.verify_code in (_EXPIRED, _NOT_YET_VALID):
                return _Trouble("the certificate is out of its time", "RB-105")
            if cause.verify_code == _OTHER_HOST or "mismatch" in str(cause):
                return _Trouble("the certificate is another host's", "RB-106")
            return _Trouble("the certificate is not trusted", "RB-104")
    if any(words in str(cause).upper() for cause in causes for words in _OF_THE_BUNDLE):
        return _Trouble("the file of trusted certificates holds none", "RB-112")
    if any(isinstance(cause, PermissionError) for cause in causes):
        return _Trouble("the file of trusted certificates may not be read", "RB-112")
    return _Trouble("TLS broke", "RB-115", is_sent=True, again=True)


def _causes(broken: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it holds: requests and urllib3 keep the cause in `args`, in `reason` or as the context."""
    seen: set[int] = set()
    waiting = [broken]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        held = (*one.args, getattr(one, "reason", None), one.__cause__, one.__context__)
        waiting += [other for other in held if isinstance(other, BaseException)]


def refuse_page(attempted: str, answer: requests.Response, content: bytes) -> None:
    """Raise `TransportError` for a page or a text in place of an answer: a gateway wrote it, whatever its status.

    The services write JSON, or nothing. Left to the caller are a redirect, an answer that was cut short, 429, and 404 of a token
    endpoint, whose form for an unknown tenant is not published. A success is in doubt, because the gateway may have asked the
    service first; so is a 5xx, which the services' own edge writes as HTML too.
    """
    form = _form_of(answer, content)
    if not form or answer.status_code == 429 or (answer.status_code == 404 and attempted.startswith("POST ")):
        return
    title = _TITLE.search(content)
    named = f' with the title "{title[1].decode(errors="replace").strip()}"' if title else ""
    is_in_doubt = answer.ok or answer.status_code >= 500
    raise TransportError(
        attempted,
        scrubber.scrub(f"answer {answer.status_code}, not JSON but {form}{named}"),
        ambiguous=is_in_doubt,
        is_final=answer.status_code < 500,
        do_now=remedy("RB-107" if answer.status_code == 407 else "RB-109").words(host=host_of(attempted)),
    )


def _form_of(answer: requests.Response, content: bytes) -> str:
    """Return in words what stands in the place of JSON, empty for JSON, for the beginning of it, and for nothing."""
    begins = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:15].lower()
    if "html" in answer.headers.get("Content-Type", "").lower() or begins.startswith((b"<html", b"<!doctype html")):
        return "an HTML page"
    if not begins or begins.startswith((b"{", b"[", b'"')) or begins[:4] in (b"null", b"true", b"fals") or begins[:1].isdigit():
        return ""
    return "XML" if begins.startswith(b"<?xml") else "a text"
