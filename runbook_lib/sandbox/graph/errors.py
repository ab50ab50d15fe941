"""Error bodies of Microsoft Graph. Sources: Graph throttling and json-batching pages; issues named at the functions."""

from __future__ import annotations

import json
from typing import Any

from runbook_lib.sandbox.exchange import Answer
from runbook_lib.sandbox.world import World

_WORDS = {
    401: ("InvalidAuthenticationToken", "Access token has expired or is not yet valid."),
    403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    404: ("Request_ResourceNotFound", "Resource not found."),
    405: ("Request_BadRequest", "Specified HTTP method is not allowed for the request target."),
    409: ("Conflict", "The request conflicts with the current state."),
    429: ("TooManyRequests", "Please retry again later."),
    500: ("InternalServerError", "An internal error occurred."),
    503: ("ServiceUnavailable", "The service is temporarily unavailable."),
}


def body(world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own."""
    code, words = _WORDS[status]
    return error(world, status, code, message or words).body


def error(world: World, status: int, code: str, message: str) -> Answer:
    """Return an error in Graph's envelope."""
    request_id = world.ids.guid()
    details = {"date": world.clock.now.strftime("%Y-%m-%dT%H:%M:%S"), "request-id": request_id, "client-request-id": request_id}
    return Answer(status, {"error": {"code": code, "message": message, "innerError": details}}, {"request-id": request_id})


def usual(world: World, status: int) -> Answer:
    """Return the usual error of a status."""
    return error(world, status, *_WORDS[status])


def not_found(world: World, object_id: str) -> Answer:
    """Return the 404 of a directory object."""
    text = f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present."
    return error(world, 404, "Request_ResourceNotFound", text)


def bad(world: World, message: str) -> Answer:
    """Return a 400."""
    return error(world, 400, "Request_BadRequest", message)


def no_patch_of_schema(world: World, service_principal_id: str, job_id: str) -> Answer:
    """Return the 404 to a PATCH of a job's schema, JSON inside the message (msgraph-sdk-python issue 820)."""
    uri = f"https://syncfabric.windowsazure.com/api/servicePrincipals('{service_principal_id}')/synchronization/jobs('{job_id}')/schema?api-version=2.0"
    return error(
        world, 404, "UnknownError", json.dumps({"Message": f"No HTTP resource was found that matches the request URI '{uri}'."})
    )
