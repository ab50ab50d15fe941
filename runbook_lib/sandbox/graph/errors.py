"""Error bodies of Microsoft Graph. Sources: the throttling, json-batching and advanced-queries pages; others at the functions."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from runbook_lib.sandbox.exchange import Answer
from runbook_lib.sandbox.world import World

RETRY_AFTER_S = "2.128"  # recorded, a fraction: Graph throttling page
_WORDS = {
    401: ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    404: ("Request_ResourceNotFound", "Resource not found."),
    405: ("Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
    409: ("Conflict", "The request conflicts with the current state."),
    429: ("TooManyRequests", "Please retry again later."),
    500: ("InternalServerError", "An internal error occurred."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
    504: ("GatewayTimeout", "The request timed out."),
}


class Refused(Exception):
    """A request that a handler refuses; the door turns it into the answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


def body(world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own."""
    code, words = _WORDS[status]
    return error(world, status, code, message or words).body


def error(world: World, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in Graph's envelope. The door puts the caller's own `client-request-id` in."""
    with world.lock:
        request_id, now = world.ids.guid(), world.clock.now
    details = {"date": now.strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request_id, "client-request-id": request_id}
    content = {"error": {"code": code, "message": message, "innerError": details}}
    return Answer(status, content, {"request-id": request_id, **(headers or {})})


def with_request_id(world: World, answer: Answer, client_request_id: str | None) -> Answer:
    """Return an answer with Graph's two request ids in its headers, and in its body when it is an error."""
    with world.lock:
        request_id = answer.headers.get("request-id") or world.ids.guid()
    mine = client_request_id or request_id
    content = answer.body
    if answer.status >= 400 and isinstance(content, dict) and isinstance(content.get("error"), dict):
        content = copy.deepcopy(content)
        content["error"]["innerError"]["client-request-id"] = mine
    return Answer(
        answer.status, content, {**answer.headers, "request-id": request_id, "client-request-id": mine}, answer.content_type
    )


def denied() -> Refused:
    """Return the 403 of a token that lacks a permission (Graph json-batching page, example)."""
    return Refused(403, *_WORDS[403])


def unauthorized() -> Refused:
    """Return the 401 of the synchronization service to a token that lacks a permission.

    Its code says nothing and its message is empty (microsoft-graph-docs-contrib issue 8800, azuread provider issue 1628).
    """
    return Refused(401, "UnknownError", "")


def not_found(object_id: str) -> Refused:
    """Return the 404 of a directory object."""
    text = f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present."
    return Refused(404, "Request_ResourceNotFound", text)


def bad(message: str, code: str = "Request_BadRequest") -> Refused:
    """Return a 400 of the directory. The gateway before it says `BadRequest`, an untaken query `Request_UnsupportedQuery`."""
    return Refused(400, code, message)


def not_simulated(what: str) -> Refused:
    """Return the 400 to something that Graph may well know and the sandbox does not."""
    return Refused(400, "BadRequest", f"The sandbox does not simulate {what}.", {"x-sandbox": "not simulated"})


def throttled(world: World) -> Answer:
    """Return a 429 in the recorded form (Graph throttling page)."""
    made = error(world, 429, *_WORDS[429], {"Retry-After": RETRY_AFTER_S})
    made.body["error"]["innerError"] |= {"code": "429", "message": "Please retry after", "status": "429"}
    return made


def no_patch_of_schema(world: World, service_principal_id: str, job_id: str) -> Answer:
    """Return the 404 to a PATCH of a job's schema, JSON inside the message (msgraph-sdk-python issue 820)."""
    uri = (
        f"https://syncfabric.windowsazure.com/api/servicePrincipals('{service_principal_id}')"
        f"/synchronization/jobs('{job_id}')/schema?api-version=2.0"
    )
    text = json.dumps({"Message": f"No HTTP resource was found that matches the request URI '{uri}'."}, separators=(",", ":"))
    return error(world, 404, "UnknownError", text)
