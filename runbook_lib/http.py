"""The one place that talks HTTP: authentication, time limits, retries, paging, and no secret in any error.

Reads are repeated when that can help; a write is sent once. It is sent again only when it is certain that it had no effect
(no connection, 429, an expired token); whatever is in doubt is settled by reading, which is the engine's work.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from runbook_lib.errors import ApiError, RunbookError, TransportError
from runbook_lib.pacing import Ticket
from runbook_lib.secret import Secret, scrubber

CONNECT_TIMEOUT_S = 10.0
TOTAL_TIMEOUT_S = 120.0  # provision on demand takes up to 30 s (entra-docs); requests' own time-out is per read only
BODY_LIMIT = 20_000_000
PAGE_LIMIT = 500
TENANT_LIMIT_S = 7200.0
_log = logging.getLogger(__name__)
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Pace:
    """How long to wait between tries: `first_s`, then `factor` times more, at most `cap_s`, for `total_s` in all."""

    first_s: float = 1.0
    factor: float = 1.6
    cap_s: float = 15.0
    total_s: float = 300.0

    def waits(self) -> Iterator[float]:
        """Yield the waits in seconds until `total_s` is used up."""
        spent, wait = 0.0, self.first_s
        while spent < self.total_s:
            yield wait
            spent, wait = spent + wait, min(wait * self.factor, self.cap_s)


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


class _TokenAuth(requests.auth.AuthBase):
    """Sets the bearer token as an auth object, because an explicit header loses against ~/.netrc (psf/requests 3929)."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return prepared


class _NoAuth(requests.auth.AuthBase):
    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        return prepared


class Session(requests.Session):
    """A pooled session that follows no redirect, lets no ~/.netrc in, and hangs up when an exchange takes too long in all."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = _NoAuth()
        self.max_redirects = 0  # a redirect would carry the body, and with it a secret, to wherever it points

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; time-outs are set here, also for msal, which sets none."""
        kwargs.setdefault("timeout", (CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S))
        return super().request(*args, **kwargs)


class SignInSession(Session):
    """The session that msal signs in with: repeated like a reading, and an error of this package when nothing helps."""

    def __init__(self, pace: Pace, sleep: Callable[[float], None]) -> None:
        super().__init__()
        self._tries = _tries(_asks_again, pace, sleep)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request, whole and in time. Raises `TransportError`, or `ApiError` for a service that stays busy."""
        return self._tries(self._once_whole, *args, **kwargs)

    def _once_whole(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        attempted = f"{method.upper()} {url.partition('?')[0]}"
        with _quietly(attempted), _hung_up_after(TOTAL_TIMEOUT_S):
            answer = super().request(method, url, **{**kwargs, "stream": True})
            with answer:  # msal takes it whole: it is read here, and never more than the limit
                answer._content = _content(answer)
        if answer.status_code in _TRY_AGAIN:
            raise api_error(attempted, answer.status_code, None, answer.headers)
        return answer


def open_session(ca_bundle: str | None, session: requests.Session | None = None) -> requests.Session:
    """Return a pooled session. With a CA bundle of its own it ignores the environment, whose bundle would win otherwise."""
    session = session or Session()
    session.mount("https://", _Adapter())
    if ca_bundle:
        session.trust_env = False
        session.verify = ca_bundle
    return session


# A deadline for the whole exchange: requests' own time-out starts anew with every few bytes, so that an answer that drips
# would be waited for without end. A watchman shuts the socket down, and the reader sees the end of the stream.

_watched = threading.local()


class _Connection(urllib3.connection.HTTPSConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3 itself declares it
        if (watch := getattr(_watched, "watch", None)) is not None:
            watch.sock = self.sock
        return super().getresponse()


class _Pool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Connection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        _use_our_pool(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        _use_our_pool(manager)
        return manager


def _use_our_pool(manager: urllib3.PoolManager) -> None:
    manager.pool_classes_by_scheme = {**manager.pool_classes_by_scheme, "https": _Pool}


class _Watch:
    """One exchange whose time is limited."""

    def __init__(self) -> None:
        self.sock: Any = None
        self.has_fired = False
        self._is_over = False
        self._lock = threading.Lock()

    def fire(self) -> None:
        """Shut the socket of the exchange down, unless it is over: others may be using the socket then."""
        with self._lock:
            if self._is_over:
                return
            self.has_fired = True
            if self.sock is not None:
                # Through an https:// proxy there is TLS within TLS: an object of urllib3's that holds the socket.
                plain = self.sock if isinstance(self.sock, socket.socket) else self.sock.socket
                with contextlib.suppress(OSError):  # closed meanwhile
                    socket.socket.shutdown(plain, socket.SHUT_RDWR)

    def end(self) -> None:
        """Let go of the socket."""
        with self._lock:
            self._is_over, self.sock = True, None


class _Watchman:
    """One thread that fires what is due: a thread for each exchange costs more than sending the request.

    An exchange that ended in time stays listed until its time is up. So nobody has to be woken when the next one begins.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _Watch]] = []
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._count = itertools.count()

    def watch(self, watch: _Watch, limit_s: float) -> None:
        """Fire `watch` when `limit_s` have passed."""
        with self._news:
            heapq.heappush(self._due, (time.monotonic() + limit_s, next(self._count), watch))
            if self._due[0][2] is watch:
                self._news.notify()
            if self._thread is None:
                self._thread = threading.Thread(target=self._fire_what_is_due, name="time limits", daemon=True)
                self._thread.start()

    def _fire_what_is_due(self) -> None:
        while True:
            with self._news:
                left_s = self._due[0][0] - time.monotonic() if self._due else None
                if left_s is None or left_s > 0:
                    self._news.wait(left_s)
                    continue
                watch = heapq.heappop(self._due)[2]
            try:
                watch.fire()
            except Exception:  # noqa: BLE001 - the others' time is limited all the same
                _log.exception("an exchange over its time could not be ended: this is a defect of the runbook, please report it")


_watchman = _Watchman()
if hasattr(os, "register_at_fork"):  # a child has neither the thread nor a part in these exchanges
    os.register_at_fork(after_in_child=lambda: _watchman.__init__())  # type: ignore[misc]


@contextlib.contextmanager
def _hung_up_after(limit_s: float) -> Iterator[_Watch]:
    """Shut the socket of the exchange within down when `limit_s` have passed."""
    watch = _Watch()
    _watched.watch = watch
    _watchman.watch(watch, limit_s)
    try:
        yield watch
    except requests.exceptions.RequestException:
        if watch.has_fired:
            raise _TooMuchError(f"an answer not complete after {limit_s:.0f} s") from None
        raise
    finally:
        watch.end()
        _watched.watch = None


@contextlib.contextmanager
def _quietly(attempted: str) -> Iterator[None]:
    """Turn what the HTTP library raises into a `TransportError`, whose text tells no header, address or secret."""
    try:
        yield
    except requests.exceptions.TooManyRedirects:
        raise TransportError(attempted, "a redirect, which is never followed", ambiguous=False, is_final=True) from None
    except requests.exceptions.RequestException as broken:
        is_untrusted = isinstance(broken, requests.exceptions.SSLError)
        raise TransportError(attempted, _what_broke(broken), ambiguous=not _never_sent(broken), is_final=is_untrusted) from None
    except _TooMuchError as over:
        raise TransportError(attempted, str(over), ambiguous=True) from None


@contextlib.contextmanager
def understood(what: str) -> Iterator[None]:
    """Turn what is raised over an answer of another form than documented, as `null` is, into a `TransportError`."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as odd:
        came_back = f"an answer of another form than documented ({type(odd).__name__}: {odd})"
        raise TransportError(f"Reading {what}", scrubber.scrub(came_back), ambiguous=True) from odd


class Deadline:
    """How long all work on one tenant may take. `clock` counts seconds."""

    def __init__(self, limit_s: float = TENANT_LIMIT_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._start = clock()

    def check(self, attempted: str) -> None:
        """Raise `TransportError` when the time is used up: nothing more is sent."""
        if self._clock() - self._start > self._limit_s:
            raise TransportError(
                attempted, f"not sent: this tenant has taken over {self._limit_s:.0f} s", ambiguous=False, is_final=True
            )


class Limit(Protocol):
    """Keeps requests under a service's rate limit; see `pacing`."""

    def acquire(self) -> Ticket:
        """Wait until a request may be sent."""

    def observe(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from its answer."""

    def close(self, wait_s: float) -> None:
        """Let nothing pass for so long."""

    def forget(self, ticket: Ticket) -> None:
        """There was no answer."""


class Service:
    """One service behind one base URL. `sign_in` returns a token, a new one when told that the last was refused."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        session: requests.Session,
        pace: Pace,
        sign_in: Callable[[bool], Secret] | None = None,
        deadline: Deadline | None = None,
        sleep: Callable[[float], None] = time.sleep,
        limit: Limit | None = None,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.date: datetime | None = None  # what the service's own clock said last: its times are compared with this
        self._session = session
        self._pace = pace
        self._sign_in = sign_in
        self._deadline = deadline or Deadline()
        self._sleep = sleep
        self._limit = limit

    def put_off(self, wait_s: float) -> None:
        """Wait, and let the other kernels of the run wait too, because a part of an answer said that the service is busy."""
        if self._limit:
            self._limit.close(wait_s)
        self._sleep(wait_s)

    def read(self, path: str, query: tuple[tuple[str, str], ...] = (), headers: Mapping[str, str] | None = None) -> Any:
        """Return the body of a GET, repeated while the service is busy. Raises `ApiError` or `TransportError`."""
        return self._repeat(Request(self.name, "GET", path, query), _asks_again, headers or {}).body

    def ask(self, request: Request) -> Response:
        """Send a POST that changes nothing, such as a sign-in or a connection test; repeated like a reading."""
        return self._repeat(request, _asks_again, {})

    def send(self, request: Request) -> Response:
        """Send a write once; again only after 429, which says that nothing was done."""
        return self._repeat(request, _writes_again, {})

    def pages_from(self, link: str | None) -> Iterator[Any]:
        """Yield the items of the OData page that a next link names, and of those behind it; none for no link.

        A next link must lead to this service and may not repeat: it comes from the wire and the token goes with it.
        """
        seen: set[str] = set()
        while link:
            if not link.startswith(self.base_url + "/") or link in seen or len(seen) >= PAGE_LIMIT:
                came_back = "a next link that leads elsewhere or in a circle"
                raise TransportError(f"Reading the pages of {self.base_url}", came_back, ambiguous=False, is_final=True)
            seen.add(link)
            target = urlsplit(link)
            path = target.path[len(urlsplit(self.base_url).path) :]
            body = self.read(path, tuple(parse_qsl(target.query, keep_blank_values=True)))
            yield from body["value"]
            link = body.get("@odata.nextLink")

    def _repeat(self, request: Request, again: Callable[[BaseException], bool], headers: Mapping[str, str]) -> Response:
        return _tries(again, self._pace, self._sleep)(self._once_or_signed_in_again, request, headers)

    def _once_or_signed_in_again(self, request: Request, headers: Mapping[str, str]) -> Response:
        try:
            return self._once(request, headers, renew=False)
        except ApiError as refused:
            # The synchronization service says 401 UnknownError for an application it does not know yet: no fault of the token.
            if refused.status != 401 or refused.code == "UnknownError" or self._sign_in is None:
                raise
        return self._once(request, headers, renew=True)

    def _once(self, request: Request, headers: Mapping[str, str], *, renew: bool) -> Response:
        attempted = f"{request.method} {self.base_url}{request.path}"
        self._deadline.check(attempted)
        auth = _TokenAuth(self._sign_in(renew)) if self._sign_in else _NoAuth()
        with self._paced() as ticket, _quietly(attempted), _hung_up_after(TOTAL_TIMEOUT_S):
            answer = self._session.request(
                request.method,
                self.base_url + request.path,
                params=list(request.query),
                data=None if request.body is None else json.dumps(_revealed(request.body)).encode(),
                headers={
                    "Accept": "application/json",
                    **({"Content-Type": "application/json"} if request.body is not None else {}),
                    **headers,
                },
                auth=auth,
                stream=True,
            )
            with answer:
                content = _content(answer)
        if self._limit and ticket:
            self._limit.observe(ticket, answer.status_code, answer.headers)
        self.date = _date(answer.headers) or self.date
        return _judged(attempted, answer, content)

    @contextlib.contextmanager
    def _paced(self) -> Iterator[Ticket | None]:
        """Wait for the service's limit first; a request that broke is counted out."""
        ticket = self._limit.acquire() if self._limit else None
        try:
            yield ticket
        except BaseException:
            if self._limit and ticket:
                self._limit.forget(ticket)
            raise


class _TooMuchError(Exception):
    """An answer that is too long or takes too long."""


def _content(answer: requests.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_content(65_536):
        size += len(part)
        if size > BODY_LIMIT:
            raise _TooMuchError(f"an answer of more than {BODY_LIMIT} bytes")
        parts.append(part)
    return b"".join(parts)


def _judged(attempted: str, answer: requests.Response, content: bytes) -> Response:
    body: Any = None
    if content.strip():
        try:
            body = json.loads(content)
        except ValueError:
            if answer.ok:  # a success cut short: it may have taken effect
                raise TransportError(attempted, f"answer {answer.status_code} whose body is not JSON", ambiguous=True) from None
    if 200 <= answer.status_code < 300:
        return Response(answer.status_code, body, answer.headers)
    raise api_error(attempted, answer.status_code, body, answer.headers)


class SlowDown(ApiError):
    """An answer 429 or 503 that may say when to come back: `retry_after_s`, None when it does not."""

    retry_after_s: float | None = None


def api_error(attempted: str, status: int, body: Any, headers: Mapping[str, str]) -> ApiError:
    """Return the error for an answer, reading the shapes of both services: Graph's `error` object and Auth0's flat one."""
    inner = body.get("error") if isinstance(body, dict) else None
    if isinstance(inner, dict):  # Graph; the synchronization service wraps JSON once more inside `message`
        code, message = str(inner.get("code", "")), _unwrapped(str(inner.get("message", "")))
        details = inner.get("innerError") or inner.get("innererror") or {}
        request_id = str(details.get("request-id", "")) or headers.get("request-id", "")
    elif isinstance(body, dict):  # the Management API, or OAuth
        code = str(body.get("errorCode") or body.get("error") or "")
        message = str(body.get("message") or body.get("error_description") or "")
        request_id = headers.get("x-auth0-requestid", "")
    else:
        code, message, request_id = "", "", ""
    kind = SlowDown if status in (429, 503) else ApiError
    error = kind(attempted, status, code, scrubber.scrub(message), request_id, _do_now(status, code, message))
    if isinstance(error, SlowDown):
        error.retry_after_s = retry_after_s(headers)
    return error


def _do_now(status: int, code: str, message: str) -> str:
    if code == "insufficient_scope":
        named = message.rsplit("any of: ", 1)[-1]
        return f"Grant the Auth0 application the scope {named} (Applications > APIs > Auth0 Management API)"
    if code == "Authorization_RequestDenied":
        return "Grant the missing Graph permission to the app registration and have an administrator consent to it"
    return {
        400: "Read the service's words above; the request was refused as it stands",
        401: "Sign in again: the token was not accepted",
        403: "Grant the missing permission, then run again",
        404: "Check that the object still exists and is in this tenant",
        409: "Something of that name or number is there already; run again to read it afresh",
        429: "Wait a minute, then run again",
    }.get(status, "Run again; if it stays, give the request id to the service's support")


def _unwrapped(message: str) -> str:
    try:
        nested = json.loads(message)
    except ValueError:
        return message
    return str(nested.get("Message", message)) if isinstance(nested, dict) else message


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return seconds from `Retry-After` (a number, which Graph sends with a fraction, or a date) or Auth0's reset time."""
    now = time.time()
    value = headers.get("Retry-After")
    try:
        if value is not None:
            return max(0.0, _number(value))
        if reset := headers.get("x-ratelimit-reset"):
            return max(0.0, _number(reset) - now)
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()) if value else None
    except (TypeError, ValueError):
        return None


def _number(text: str) -> float:
    """Return the number that a text says. Raises `ValueError`, also for "nan", which would be a wait of no time at all."""
    if math.isnan(number := float(text)):
        raise ValueError(text)
    return number


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        return parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None


def _tries(again: Callable[[BaseException], bool], pace: Pace, sleep: Callable[[float], None]) -> Retrying:
    """Return what repeats a call while `again` says so: six times at most, as long as the pace allows."""

    def wait(state: RetryCallState) -> float:
        asked = getattr(state.outcome.exception() if state.outcome else None, "retry_after_s", None)
        if asked is not None:
            return float(asked)
        return min(pace.first_s * pace.factor ** (state.attempt_number - 1), pace.cap_s)

    def goes_on(error: BaseException) -> bool:
        # Told to come back later than this run waits for anything, there is no use in waiting for less.
        return again(error) and (getattr(error, "retry_after_s", None) or 0.0) <= pace.total_s

    return Retrying(
        retry=retry_if_exception(goes_on),
        stop=stop_after_attempt(6) | stop_after_delay(pace.total_s),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


def _asks_again(error: BaseException) -> bool:
    if isinstance(error, TransportError):
        return not error.is_final
    return isinstance(error, ApiError) and error.status in _TRY_AGAIN


def _writes_again(error: BaseException) -> bool:
    if isinstance(error, TransportError):
        return not error.ambiguous and not error.is_final
    return isinstance(error, ApiError) and error.status == 429


def _never_sent(broken: requests.exceptions.RequestException) -> bool:
    return isinstance(broken, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError) or (
        "NewConnectionError" in repr(broken) or "NameResolutionError" in repr(broken)
    )


def _what_broke(broken: requests.exceptions.RequestException) -> str:
    kind = {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no answer in time",
        "SSLError": "the certificate is not trusted",
    }
    return kind.get(type(broken).__name__, "the connection broke")


def _revealed(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _revealed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(item) for item in value]
    return value


def segment(text: str) -> str:
    """Return an id as one segment of a path. Raises `ValueError` for one that would lead out of it, as `..` does."""
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no id")
    return quote(text, safe="")


def is_not_there_yet(error: RunbookError) -> bool:
    """Whether an error is what a service says of an object it does not know yet, right after another service made it.

    Terraform retries 403 and 409, hamilton 401 and 409, and reads answer 404 (terraform-provider-azuread, manicminer/hamilton).
    """
    return isinstance(error, ApiError) and (
        error.status in (403, 404, 409) or (error.status == 401 and error.code == "UnknownError")
    )
