"""Microsoft Graph's `$batch`: what was put off in it is asked again, and nothing else; what was refused is said in words.

Source: Graph throttling page, "Throttling and batching": the requests of a batch are judged one by one, the batch itself is
answered with 200, and those answered with 429 are to be sent again after their `Retry-After`, or all in a new batch after the
longest of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from runbook_lib.errors import ApiError, TransportError
from runbook_lib.http import Request, Response, Service, api_error, retry_after_s, understood

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

    def _completed(self, request: Request, post: Callable[[Request], Response]) -> Response:
        answer = post(request)
        if request.path != PATH:
            return answer
        items = {str(item["id"]): item for item in request.body["requests"]}
        answers, waited_s = _by_id(answer), 0.0
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


def _by_id(answer: Response) -> dict[str, Any]:
    """Return a batch's items by their ids. Raises `TransportError` for an answer of another form: its writes are in doubt."""
    with understood("the answers of a batch"):
        return {str(item["id"]): {**item, "status": int(item["status"])} for item in answer.body.get("responses", [])}


def _asked_s(item: Mapping[str, Any], usual_s: float) -> float:
    asked = retry_after_s(_headers(item))
    return usual_s if asked is None else asked


def _headers(item: Mapping[str, Any]) -> dict[str, str]:
    """Return an item's headers as `http` looks them up: inside a batch their names are JSON, of any case."""
    named = {"retry-after": "Retry-After"}
    return {named.get(name.lower(), name.lower()): str(value) for name, value in (item.get("headers") or {}).items()}


class ItemsRefused(ApiError):
    """Some writes of a batch were refused, each in its own words. `is_partly_done` when others are done, or may be."""

    is_partly_done = False


def receiver(attempts: Sequence[str]) -> Callable[[Response], dict[str, str]]:
    """Return what judges the answer to a batch of writes, of which nothing is kept; `attempts` say what each item was to do.

    It raises `ItemsRefused` for items that planning again cannot settle.
    """

    def receive(answer: Response) -> dict[str, str]:
        wrong = [(attempt, error) for attempt, error in _errors(answer, attempts) if not _settles_by_itself(error)]
        if not wrong:
            return {}
        first, others = wrong[0][1], [f"{attempt}: {error.came_back}" for attempt, error in wrong[1:]]
        refused = ItemsRefused(wrong[0][0], first.status, first.code, first.message, first.request_id, first.do_now)
        refused.came_back = "; ".join([refused.came_back, *others])
        refused.is_partly_done = any(not 300 <= item["status"] < 500 for item in _by_id(answer).values())
        raise refused

    return receive


def refusals(answer: Response, attempts: Sequence[str]) -> tuple[tuple[str, str, str], ...]:
    """Return what a batch of writes was refused: what was attempted, what came back, what to do now; empty when all went well."""
    return tuple((attempt, error.came_back, error.do_now) for attempt, error in _errors(answer, attempts) if not _is_done(error))


def _errors(answer: Response, attempts: Sequence[str]) -> list[tuple[str, ApiError]]:
    items = _by_id(answer)
    found = [(attempt, items[str(n)]) for n, attempt in enumerate(attempts, start=1) if str(n) in items]
    return [
        (attempt, api_error(attempt, item["status"], item.get("body"), _headers(item)))
        for attempt, item in found
        if item["status"] >= 300
    ]


def _is_done(error: ApiError) -> bool:
    """Whether a refusal says that it was done before: terraform-provider-azuread and the Bicep extension know these words."""
    return error.status == 400 and "already exists" in error.message.lower()


def _settles_by_itself(error: ApiError) -> bool:
    """Whether planning again tells: done before, gone already, or an object that is not known everywhere yet."""
    return _is_done(error) or error.status == 404 or (error.status == 400 and "not a valid reference" in error.message.lower())
