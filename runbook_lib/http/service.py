"""One service: authentication, time limits, retries, paging, and no secret in any error.

Reads are repeated when that can help; a write is sent once. It is sent again only when it is certain that it had no effect
(no connection, 429, an expired token); whatever is in doubt is settled by reading, which is the engine's work.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import requests

from runbook_lib.core.errors import ApiError, RunbookError, TransportError
from runbook_lib.core.secret import Secret
from runbook_lib.http.ahead import Ahead, Asked
from runbook_lib.http.breaker import Breaker
from runbook_lib.http.broken import quietly
from runbook_lib.http.header_times import date_of, left_of
from runbook_lib.http.message import Request, Response, revealed
from runbook_lib.http.rate_limits import Ticket, kind_of
from runbook_lib.http.refusals import api_error, judged
from runbook_lib.http.retry import Pace, asks_again, tries, writes_again
from runbook_lib.http.session import NoAuth, TokenAuth, content_of
from runbook_lib.http.time_limit import SIGN_IN_TIMEOUT_S, Deadline, hung_up_in_time

PAGE_LIMIT = 500
AT_ONCE = 4  # readings of one service that are sent ahead at once: Auth0 lets two to fifty through in a burst


class Limit(Protocol):
    """Keeps requests under a service's rate limit; see `pacing`."""

    def acquire(self, kind: str, held: Ticket | None = None) -> Ticket:
        """Wait until a request of a kind may be sent; see `kind_of`. `held` is one that its holder has not used yet."""

    def observe(self, ticket: Ticket, status: int, headers: Mapping[str, str]) -> None:
        """Learn from its answer."""

    def close(self, wait_s: float) -> None:
        """Let nothing pass for so long."""

    def forget(self, ticket: Ticket) -> None:
        """There was no answer."""


class Service:
    """One service behind one base URL. `sign_in` returns a token, a new one when told that the last was refused.

    With a `first_pace` a service that has answered no request of this run gets `first_limit_s`, else the time of a sign-in: it
    answers soon, or it is out of order. Unverified: that a service at work answers its first request within that time.
    """

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
        breaker: Breaker | None = None,
        time_limit_s: float | None = None,
        first_pace: Pace | None = None,
        first_limit_s: float | None = None,
    ) -> None:
        self.name = name
        self.base_url = base_url.rstrip("/")
        self.date: datetime | None = None  # what the service's own clock said last: its times are compared with this
        self.ahead = Ahead()
        self._turn: tuple[str, Ticket] | None = None  # held for the write of this line
        self._left: int | None = None  # requests that the service will still take at once, by its last answer
        self._session = session
        self._pace = pace
        self._sign_in = sign_in
        self._deadline = deadline or Deadline()
        self._sleep = sleep
        self._limit = limit
        self._breaker = breaker
        self._time_limit_s = time_limit_s
        self._first_pace = first_pace  # None once it has answered
        self._first_limit_s = first_limit_s

    def sibling(self, name: str, base_url: str, token: Secret) -> Service:
        """Return another service behind the same session, pace and deadline, signed in to with a token that is not renewed.

        It has no rate limit of its own kind here: it is for single requests.
        """
        return Service(
            name,
            base_url,
            session=self._session,
            pace=self._pace,
            sign_in=lambda _renew: token,
            deadline=self._deadline,
            sleep=self._sleep,
            breaker=self._breaker,
            time_limit_s=self._time_limit_s,
        )

    def take_turn(self, request: Request) -> None:
        """Wait until a write may be sent, and hold its turn: what it stands on is read then, and grows no older by waiting."""
        self.give_turn_back()
        if self._limit:
            self._turn = request.line, self._limit.acquire(kind_of(request.method, request.path))

    def give_turn_back(self) -> None:
        """Give back a turn that is held and was not used."""
        turn, self._turn = self._turn, None
        if self._limit and turn:
            self._limit.forget(turn[1])

    def put_off(self, wait_s: float) -> None:
        """Wait, and let the other kernels of the run wait too, because a part of an answer said that the service is busy."""
        if self._limit:
            self._limit.close(wait_s)
        self._sleep(wait_s)

    def read(
        self,
        path: str,
        query: tuple[tuple[str, str], ...] = (),
        headers: Mapping[str, str] | None = None,
        beside: tuple[Asked, ...] = (),
    ) -> Any:
        """Return the body of a GET, repeated while the service is busy. Raises `ApiError` or `TransportError`.

        An answer that was asked for ahead is used; while looking ahead `NotReadYet` is raised for one that is not there, and
        the addresses in `beside` are then requested with it.
        """
        if headers is None and (found := self.ahead.answer((path, query), beside)) is not None:
            return found.given()
        self.ahead.begins()
        return self._read_now(path, query, headers)

    def _read_now(self, path: str, query: tuple[tuple[str, str], ...], headers: Mapping[str, str] | None = None) -> Any:
        return self._repeat(Request(self.name, "GET", path, query), asks_again, headers or {}).body

    def test(self, request: Request) -> Response:
        """Send a POST that changes nothing and whose answer is wanted like a reading's: it can be asked for ahead."""
        asked = self.ahead.as_asked(request)
        found = self.ahead.answer(asked)
        answer: Response = self.ask(request) if found is None else found.given()
        return answer

    def asking_ahead(self, wanted: Sequence[Asked]) -> Sequence[Callable[[], None]]:
        """Return what asks for readings and keeps each answer, or the error, until it is read; the parts may run at once."""
        lanes = min(AT_ONCE, len(wanted), self._left if self._left else AT_ONCE)
        return [functools.partial(self._ask_ahead, wanted[lane::lanes]) for lane in range(lanes)]

    def _ask_ahead(self, wanted: Sequence[Asked]) -> None:
        for asked in wanted:
            at = self.ahead.now()
            try:
                request = self.ahead.tests.get(asked)
                body = self._asked(request) if request else self._read_now(*asked)
                self.ahead.keep(asked, self.ahead.left_at(at), body)
            except RunbookError as error:  # raised where the reading is needed
                self.ahead.keep(asked, at, error=error)

    def ask(self, request: Request) -> Response:
        """Send a POST that changes nothing, such as a sign-in or a connection test; repeated like a reading."""
        self.ahead.goes_no_further()
        self.ahead.begins()
        return self._asked(request)

    def _asked(self, request: Request) -> Response:
        return self._repeat(request, asks_again, {})

    def send(self, request: Request) -> Response:
        """Send a write once; again only after 429, which says that nothing was done."""
        self.ahead.goes_no_further()
        self.ahead.clear()
        self.ahead.begins()
        return self._repeat(request, writes_again, {})

    def waits(self) -> Iterator[float]:
        """Wait between two questions about work in progress, and yield how long; ends when the pace's time is used up."""
        for wait_s in self._pace.waits():
            self._sleep(wait_s)
            yield wait_s

    def parts_elsewhere(self, url: str) -> Iterator[bytes]:
        """Yield a file that a link of this service names on another host, part by part; the token does not go there.

        The link's query is a signature, so no error shows it. Raises `TransportError`, `ApiError`.
        """
        target = urlsplit(url)
        attempted = f"GET {target.scheme}://{target.netloc}{target.path}"
        if target.scheme != "https" or not target.netloc:
            raise TransportError(attempted, "a link that is not https", ambiguous=False, is_final=True)
        self._deadline.check(attempted)
        with quietly(attempted), hung_up_in_time():
            answer = self._session.request("GET", url, headers={"Accept-Encoding": "identity"}, auth=NoAuth(), stream=True)
            with answer:
                if answer.status_code != 200:
                    raise api_error(attempted, answer.status_code, None, answer.headers)
                yield from answer.iter_content(65_536)

    def pages_from(self, link: str | None) -> Iterator[Any]:
        """Yield the items of the OData page that a next link names, and of those behind it; none for no link.

        A next link must lead to this service and may not repeat: it comes from the wire and the token goes with it.
        """
        seen: set[str] = set()
        while link:
            self.ahead.goes_no_further()  # many pages are read one by one, so that memory does not grow with them
            if not link.startswith(self.base_url + "/") or link in seen or len(seen) >= PAGE_LIMIT:
                came_back = "a next link that leads elsewhere or in a circle"
                raise TransportError(f"Reading the pages of {self.base_url}", came_back, ambiguous=False, is_final=True)
            seen.add(link)
            target = urlsplit(link)
            path = target.path[len(urlsplit(self.base_url).path) :]
            self.ahead.begins()
            body = self._read_now(path, tuple(parse_qsl(target.query, keep_blank_values=True)))
            yield from body["value"]
            link = body.get("@odata.nextLink")

    def _repeat(self, request: Request, again: Callable[[BaseException], bool], headers: Mapping[str, str]) -> Response:
        return tries(again, self._pace_of_a_first() or self._pace, self._sleep)(self._once_or_signed_in_again, request, headers)

    def _pace_of_a_first(self) -> Pace | None:
        """Return the first pace while nothing shows that the service is at work, to this tenant or another of the run."""
        if self._first_pace and self._breaker and self._breaker.has_answered(self.base_url):
            self._first_pace = None
        return self._first_pace

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
        auth = self._authorised(renew)
        limit_s = (self._first_limit_s or SIGN_IN_TIMEOUT_S) if self._pace_of_a_first() else self._time_limit_s
        passing = (
            contextlib.nullcontext()
            if self._breaker is None
            else self._breaker.passing(self.base_url, attempted, certain_after_s=limit_s)
        )
        with passing:
            return self._exchanged(request, attempted, headers, auth, limit_s)

    def _authorised(self, renew: bool) -> requests.auth.AuthBase:
        """Return what sets the token. A sign-in that failed was tried as often as it may be, and is not tried again here."""
        if self._sign_in is None:
            return NoAuth()
        try:
            return TokenAuth(self._sign_in(renew))
        except (ApiError, TransportError) as failed:
            failed.is_final = True
            raise

    def _exchanged(
        self, request: Request, attempted: str, headers: Mapping[str, str], auth: requests.auth.AuthBase, limit_s: float | None
    ) -> Response:
        with self._paced(request) as ticket, quietly(attempted), hung_up_in_time(limit_s):
            self.ahead.leaves()
            answer = self._session.request(
                request.method,
                self.base_url + request.path,
                params=list(request.query),
                data=None if request.body is None else json.dumps(revealed(request.body)).encode(),
                headers={
                    "Accept": "application/json",
                    **({"Content-Type": "application/json"} if request.body is not None else {}),
                    **headers,
                },
                auth=auth,
                stream=True,
            )
            with answer:
                content = content_of(answer)
        if self._limit and ticket:
            self._limit.observe(ticket, answer.status_code, answer.headers)
        self._left = left_of(answer.headers)
        self.date = date_of(answer.headers) or self.date
        if answer.status_code < 500:
            self._first_pace = None
        return judged(self.name, attempted, answer, content)

    @contextlib.contextmanager
    def _paced(self, request: Request) -> Iterator[Ticket | None]:
        """Wait for the service's limit first; a request that broke is counted out."""
        ticket = self._ticket(request)
        try:
            yield ticket
        except BaseException:
            if self._limit and ticket:
                self._limit.forget(ticket)
            raise

    def _ticket(self, request: Request) -> Ticket | None:
        """Wait for a request's turn under the limit; the one that is held for it is used up."""
        turn = self._turn
        if turn and turn[0] == request.line:
            self._turn = None
            return turn[1]
        return self._limit.acquire(kind_of(request.method, request.path), turn[1] if turn else None) if self._limit else None
