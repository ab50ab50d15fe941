"""What an answer means: a success, or an error of this package with the remedy for its cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from runbook_lib.core.errors import ApiError, RunbookError, TransportError
from runbook_lib.core.json_text import parsed
from runbook_lib.core.remedies import find
from runbook_lib.core.secret import scrubber
from runbook_lib.http.broken import host_of, refuse_page
from runbook_lib.http.header_times import asked_wait_s
from runbook_lib.http.message import Response


def judged(service: str, attempted: str, answer: requests.Response, content: bytes) -> Response:
    """Return a success. Raises `ApiError` for an error answer, `TransportError` for a success that is not JSON."""
    refuse_page(attempted, answer, content)
    body: Any = None
    if content.strip():
        try:
            body = parsed(content)
        except ValueError:
            if answer.ok:  # a success cut short: it may have taken effect
                raise TransportError(attempted, f"answer {answer.status_code} whose body is not JSON", ambiguous=True) from None
    if 200 <= answer.status_code < 300:
        return Response(answer.status_code, body, answer.headers)
    raise api_error(attempted, answer.status_code, body, answer.headers, service=service)


class SlowDown(ApiError):
    """An answer 429 or 503 that may say when to come back: `retry_after_s`, None when it does not."""

    retry_after_s: float | None = None


def api_error(attempted: str, status: int, body: Any, headers: Mapping[str, str], *, service: str = "") -> ApiError:
    """Return the error for an answer, reading the shapes of both services: Graph's `error` object and Auth0's flat one.

    `service` is whose remedies fit: auth0, graph or microsoft, the sign-in.
    """
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
    do_now = _do_now(service, attempted, status, code, f"{message} {inner}" if isinstance(inner, dict) else message)
    error = kind(attempted, status, code, scrubber.scrub(message), request_id, do_now)
    if isinstance(error, SlowDown):
        error.retry_after_s = asked_wait_s(headers)
    return error


def _do_now(service: str, attempted: str, status: int, code: str, text: str) -> str:
    names = {"host": host_of(attempted), "scope": text.rsplit("any of: ", 1)[-1]}
    thing = attempted.partition("?")[0].rpartition("/")[2]  # the collection that a POST adds to
    if found := find(service, f"{status} {thing}", f"{status} {code}", code, str(status), text=text):
        return found.words(**names)
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
        nested = parsed(message)
    except ValueError:
        return message
    return str(nested.get("Message", message)) if isinstance(nested, dict) else message


YOUNG_S = 600.0  # "sometimes 5 minutes are not enough" for what was just made to be known everywhere: msgraph-bicep issue 193


def is_not_there_yet(error: RunbookError) -> bool:
    """Whether an error is what a service says of an object it does not know yet, right after another service made it.

    Terraform retries 403 and 409, hamilton 401 and 409, and reads answer 404 (terraform-provider-azuread, manicminer/hamilton).
    """
    return isinstance(error, ApiError) and (
        error.status in (403, 404, 409) or (error.status == 401 and error.code == "UnknownError")
    )
