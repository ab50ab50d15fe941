"""Sessions of the HTTP library: pooled, without redirects, whole answers only, within their time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from runbook_lib.core.secret import Secret
from runbook_lib.http.breaker import Breaker
from runbook_lib.http.broken import TooMuchError, quietly, refuse_page
from runbook_lib.http.refusals import api_error
from runbook_lib.http.retry import TRY_AGAIN, Pace, asks_again, tries
from runbook_lib.http.time_limit import SIGN_IN_TIMEOUT_S, TOTAL_TIMEOUT_S, Adapter, hung_up_in_time

CONNECT_TIMEOUT_S = 4.0  # a lost packet is sent again after one and after three seconds
BODY_LIMIT = 20_000_000


def usual_authorities() -> str:
    """Return the file of certificate authorities that requests takes when no other is named."""
    return str(DEFAULT_CA_BUNDLE_PATH)


class TokenAuth(requests.auth.AuthBase):
    """Sets the bearer token as an auth object, because an explicit header loses against ~/.netrc (psf/requests 3929)."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        prepared.headers["Authorization"] = f"Bearer {self._token.reveal()}"
        return prepared


class NoAuth(requests.auth.AuthBase):
    """Sends no credentials, those of ~/.netrc neither."""

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        """Leave the request as it is."""
        return prepared


class Session(requests.Session):
    """A pooled session that follows no redirect, lets no ~/.netrc in, and hangs up when an exchange takes too long in all."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = NoAuth()
        self.max_redirects = 0  # a redirect would carry the body, and with it a secret, to wherever it points

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request; time-outs are set here, also for msal, which sets none."""
        kwargs.setdefault("timeout", (CONNECT_TIMEOUT_S, TOTAL_TIMEOUT_S))
        return super().request(*args, **kwargs)


class SignInSession(Session):
    """The session that msal signs in with: repeated like a reading, and an error of this package when nothing helps."""

    def __init__(self, pace: Pace, sleep: Callable[[float], None], breaker: Breaker | None = None) -> None:
        super().__init__()
        self._tries = tries(asks_again, pace, sleep)
        self._breaker = breaker

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request, whole and in time. Raises `TransportError`, or `ApiError` for a service that stays busy."""
        answer: requests.Response = self._tries(self._once_whole, *args, **kwargs)
        if answer.status_code == 401 and str(args[0] if args else kwargs.get("method")).upper() == "GET":
            return self._tries(self._once_whole, *args, **kwargs)  # discovery needs no sign-in: a gateway's passing fault
        return answer

    def _once_whole(self, method: str, url: str, **kwargs: Any) -> requests.Response:
        attempted = f"{method.upper()} {url.partition('?')[0]}"
        passing = (
            contextlib.nullcontext()
            if self._breaker is None
            else self._breaker.passing(url, attempted, certain_after_s=SIGN_IN_TIMEOUT_S)
        )
        with passing:
            with quietly(attempted), hung_up_in_time(SIGN_IN_TIMEOUT_S):
                answer = super().request(method, url, **{**kwargs, "stream": True})
                with answer:  # msal takes it whole: it is read here, and never more than the limit
                    answer._content = content_of(answer)
            refuse_page(attempted, answer, answer.content)
            if answer.status_code in TRY_AGAIN:
                raise api_error(attempted, answer.status_code, _json(answer), answer.headers, service="microsoft")
        return answer


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def open_session(ca_bundle: str | None, session: requests.Session | None = None) -> requests.Session:
    """Return a pooled session. With a CA bundle of its own it ignores the environment, whose bundle would win otherwise."""
    session = session or Session()
    session.mount("https://", Adapter())
    if ca_bundle:
        session.trust_env = False
        session.verify = ca_bundle
    return session


def content_of(answer: requests.Response) -> bytes:
    """Return the whole body. Raises `TooMuchError` beyond the limit."""
    parts: list[bytes] = []
    size = 0
    for part in answer.iter_content(65_536):
        size += len(part)
        if size > BODY_LIMIT:
            raise TooMuchError(f"an answer of more than {BODY_LIMIT} bytes")
        parts.append(part)
    return b"".join(parts)
