"""Microsoft Graph's `$batch`: what was put off in it is asked again, and nothing else; what was refused is said in words.

Source: Graph throttling page, "Throttling and batching": the requests of a batch are judged one by one, the batch itself is
answered with 200, and those answered with 429 are to be sent again after their `Retry-After`, or all in a new batch after the
longest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from runbook_lib.core.errors import ApiError, RunbookError, TransportError
from runbook_lib.http.ahead import Asked
from runbook_lib.http.header_times import asked_wait_s
from runbook_lib.http.message import Request, Response, understood
from runbook_lib.http.refusals import api_error
from runbook_lib.http.service import Service
from runbook_lib.services.entra.permissions import name_permission

PATH = "/$batch"
LIMIT = 20  # "A maximum of 20 individual requests", Graph json-batching page
_TRIES_AGAIN = 5
_PUT_OFF = (429, 503)


class GraphService(Service):
    """Microsoft Graph. The items of a batch that it puts off are sent again alone; a plain request is sent as ever.

    What is written in batches here does no harm when it is done twice: a second assignment is refused as a duplicate, a second
    removal finds nothing.
    """

    def ask(self, request: Request) -> Response:
        """Send what changes nothing, a batch until every item is answered."""
        return self._completed(request, super().ask)

    def send(self, request: Request) -> Response:
        """Send a write, a batch of them until every item is answered."""
        return self._completed(request, super().send)

    def _once(self, request: Request, headers: Mapping[str, str], *, renew: bool) -> Response:
        try:
            return super()._once(request, headers, renew=renew)
        except ApiError as refused:
            name_permission(refused, request.method, request.path)
            raise

    def _signed_in_again(self, request: Request, refused: list[Any], post: Callable[[Request], Response]) -> dict[str, Any]:
        """Send the items that were refused for their token once more, with a new one."""
        if self._sign_in is None:
            return {}
        self._sign_in(True)
        return _by_id(post(Request(request.service, "POST", PATH, body={"requests": refused})))

    def asking_ahead(self, wanted: Sequence[Asked]) -> Sequence[Callable[[], None]]:
        """Return what asks for readings, 20 a request, and keeps each answer or refusal until it is read.

        An item that is put off to the end, or whose token is refused, is asked for alone where it is needed.
        """
        alone = [asked for asked in wanted if asked in self.ahead.tests]
        together = [asked for asked in wanted if asked not in self.ahead.tests]
        if len(together) == 1:
            alone, together = list(wanted), []
        parts = [partial(self._batch_ahead, together[start : start + LIMIT]) for start in range(0, len(together), LIMIT)]
        return [*parts, *super().asking_ahead(alone)]

    def _batch_ahead(self, wanted: Sequence[Asked]) -> None:
        at = self.ahead.now()
        try:
            items = list(self._answers(wanted))
        except RunbookError as broken:  # the batch as a whole: each reading would have met it
            for asked in wanted:
                self.ahead.keep(asked, at, error=_as_of(broken, self._attempt(asked)))
            return
        for asked, item in items:
            if item["status"] == 200:
                self.ahead.keep(asked, at, item.get("body"))
            elif item["status"] < 500 and item["status"] not in (408, *_PUT_OFF) and not _wants_a_new_token(item):
                refused = api_error(self._attempt(asked), item["status"], item.get("body"), _headers(item), service="graph")
                self.ahead.keep(asked, at, error=refused)

    def _attempt(self, asked: Asked) -> str:
        return f"GET {self.base_url}{asked[0]}"

    def batched(self, wanted: Sequence[Asked]) -> Iterator[tuple[Asked, Any]]:
        """Yield each reading with its body, 20 a request; None where it has to be asked for alone: refused, or put off.

        Those that were asked for ahead are used. While looking ahead, `NotReadYet` is raised with one batch of them at most.
        """
        if len(wanted) > LIMIT:
            self.ahead.goes_no_further()
        self.ahead.all_or_none(wanted)
        for start in range(0, len(wanted), LIMIT):
            part = wanted[start : start + LIMIT]
            there = {asked for asked in part if self.ahead.holds(asked)}
            if missing := [asked for asked in part if asked not in there]:
                self.ahead.begins()
            bodies = {asked: item.get("body") for asked, item in self._answers(missing) if item["status"] == 200}
            yield from ((asked, None if asked in there else bodies.get(asked)) for asked in part)

    def _answers(self, wanted: Sequence[Asked]) -> Iterator[tuple[Asked, Any]]:
        if not wanted:
            return
        items = [
            {"id": str(n), "method": "GET", "url": f"{path}?{urlencode(query, quote_via=quote, safe='$,()')}".rstrip("?")}
            for n, (path, query) in enumerate(wanted)
        ]
        answers = _by_id(self._completed(Request(self.name, "POST", PATH, body={"requests": items}), self._asked))
        yield from ((asked, answers[str(n)]) for n, asked in enumerate(wanted) if str(n) in answers)

    def _completed(self, request: Request, post: Callable[[Request], Response]) -> Response:
        answer = post(request)
        if request.path != PATH:
            return answer
        items = {str(item["id"]): item for item in request.body["requests"]}
        answers, waited_s = _by_id(answer), 0.0
        if refused := [name for name in items if name in answers and _wants_a_new_token(answers[name])]:
            answers |= self._signed_in_again(request, [items[name] for name in refused], post)
        for usual_s in islice(self._pace.waits(), _TRIES_AGAIN):
            late = [answers[name] for name in items if name in answers and answers[name]["status"] in _PUT_OFF]
            wait_s = max((_asked_s(one, usual_s) for one in late), default=0.0)
            waited_s += wait_s
            if not late or waited_s > self._pace.total_s:
                break
            self.put_off(wait_s)
            again = Request(request.service, "POST", PATH, body={"requests": [items[str(one["id"])] for one in late]})
            try:
                answers |= _by_id(post(again))
            except (ApiError, TransportError) as broken:
                if getattr(broken, "ambiguous", False):
                    raise
                break  # the others are done: what each item was told last stands
        return Response(answer.status, {"responses": [answers[name] for name in items if name in answers]}, answer.headers)


def _wants_a_new_token(item: Mapping[str, Any]) -> bool:
    """Whether an item was refused for its token, and not for an application that is not known yet (401 UnknownError)."""
    error = (item.get("body") or {}).get("error") if isinstance(item.get("body"), dict) else None
    return item["status"] == 401 and (not isinstance(error, dict) or error.get("code") != "UnknownError")


def _as_of(error: RunbookError, attempted: str) -> RunbookError:
    """Return an error of a batch as that of one reading in it."""
    own = copy(error)
    if isinstance(error, ApiError | TransportError) and PATH in error.attempted:
        own.attempted = attempted
    return own


def _by_id(answer: Response) -> dict[str, Any]:
    """Return a batch's items by their ids. Raises `TransportError` for an answer of another form: its writes are in doubt."""
    with understood("the answers of a batch"):
        return {str(item["id"]): {**item, "status": int(item["status"])} for item in answer.body.get("responses", [])}


def _asked_s(item: Mapping[str, Any], usual_s: float) -> float:
    asked = asked_wait_s(_headers(item))
    return usual_s if asked is None else asked


def _headers(item: Mapping[str, Any]) -> dict[str, str]:
    """Return an item's headers as `http` looks them up: inside a batch their names are JSON, of any case."""
    named = {"retry-after": "Retry-After"}
    return {named.get(name.lower(), name.lower()): str(value) for name, value in (item.get("headers") or {}).items()}


class ItemsRefused(ApiError):
    """Some writes of a batch were refused, each in its own words."""


def receiver(attempts: Sequence[str]) -> Callable[[Response], dict[str, str]]:
    """Return what judges the answer to a batch of writes; `attempts` say what each item was to do.

    It keeps the ids of the assignments that were made, by `assigned ID` of the user or group; one that was there before is not
    among them. It raises `ItemsRefused` for items that planning again cannot settle.
    """

    def receive(answer: Response) -> dict[str, str]:
        wrong = [(attempt, error) for attempt, error in _errors(answer, attempts) if not _settles_by_itself(error)]
        made = _made(answer)
        if not wrong:
            return made
        first, others = wrong[0][1], [f"{attempt}: {error.came_back}" for attempt, error in wrong[1:]]
        refused = ItemsRefused(wrong[0][0], first.status, first.code, first.message, first.request_id, first.do_now)
        refused.came_back = "; ".join([refused.came_back, *others])
        refused.made = made
        refused.is_partly_done = any(not 300 <= item["status"] < 500 for item in _by_id(answer).values())
        raise refused

    return receive


def _made(answer: Response) -> dict[str, str]:
    bodies = [item.get("body") for item in _by_id(answer).values() if item["status"] == 201]
    named = [body for body in bodies if isinstance(body, dict) and {"id", "principalId"} <= body.keys()]
    return {f"assigned {body['principalId']}": str(body["id"]) for body in named}


def done(answer: Response) -> tuple[int, ...]:
    """Return which items of a batch are done, counted from 0: those that succeeded, and those that had been done before."""
    items = _by_id(answer)
    errors = {name: api_error("", item["status"], item.get("body"), {}, service="graph") for name, item in items.items()}
    return tuple(sorted(int(name) - 1 for name, item in items.items() if item["status"] < 300 or _is_done(errors[name])))


def unknown(answer: Response) -> tuple[int, ...]:
    """Return which items of a batch were refused because Entra does not know the object, or not everywhere yet, from 0."""
    items = _by_id(answer)
    errors = {name: api_error("", item["status"], item.get("body"), {}, service="graph") for name, item in items.items()}
    return tuple(sorted(int(name) - 1 for name, item in items.items() if item["status"] >= 300 and _is_unknown(errors[name])))


def refusals(answer: Response, attempts: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """Return what a batch of writes was refused: what was attempted, what came back, what to do now; empty when all went well."""
    return tuple((attempt, error.came_back, error.do_now) for attempt, error in _errors(answer, attempts) if not _is_done(error))


def _errors(answer: Response, attempts: Sequence[str]) -> list[tuple[str, ApiError]]:
    items = _by_id(answer)
    found = [(attempt, items[str(n)]) for n, attempt in enumerate(attempts, start=1) if str(n) in items]
    return [(attempt, _refused(attempt, item)) for attempt, item in found if item["status"] >= 300]


def _refused(attempt: str, item: Mapping[str, Any]) -> ApiError:
    """Return the error of one item. What is written in batches are assignments."""
    error = api_error(attempt, item["status"], item.get("body"), _headers(item), service="graph")
    name_permission(error, "POST", "/servicePrincipals/ID/appRoleAssignedTo")
    return error


def _is_done(error: ApiError) -> bool:
    """Whether a refusal says that it was done before: terraform-provider-azuread and the Bicep extension know these words."""
    return error.status == 400 and "already exists" in error.message.lower()


def _settles_by_itself(error: ApiError) -> bool:
    """Whether planning again tells: done before, gone already, or an object that is not known everywhere yet."""
    return _is_done(error) or _is_unknown(error)


def _is_unknown(error: ApiError) -> bool:
    return error.status == 404 or (error.status == 400 and "not a valid reference" in error.message.lower())
