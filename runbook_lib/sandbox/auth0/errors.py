"""Error bodies of Auth0, as recorded or documented (Terraform provider recordings; Management API description)."""

from __future__ import annotations

from typing import Any

from runbook_lib.sandbox.exchange import Answer
from runbook_lib.sandbox.world import World

_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    414: "URI Too Long",
    429: "Too Many Requests",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_CODES = {401: "invalid_token", 429: "too_many_requests"}
_MESSAGES = {401: "Invalid token", 404: "Not Found", 429: "Global limit has been reached"}


def body(_world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own: faults and requests not simulated."""
    return error(status, message or _MESSAGES.get(status, _NAMES[status]), _CODES.get(status)).body


def error(status: int, message: str, code: str | None = None) -> Answer:
    """Return a Management API error; some have no `errorCode` (recorded)."""
    content = {"statusCode": status, "error": _NAMES[status], "message": message}
    return Answer(status, content if code is None else {**content, "errorCode": code})


def oauth(status: int, code: str, description: str) -> Answer:
    """Return a token endpoint error, which has OAuth's shape."""
    return Answer(status, {"error": code, "error_description": description})


NO_CONNECTION = error(404, "The connection does not exist", "inexistent_connection")
NOT_CONFIGURED = error(404, "Not Found")
NO_SCIM = error(
    404,
    "This connection type does not support SCIM. Please see our documentation for the currently supported connection types: "
    "https://auth0.com/docs/authenticate/protocols/scim/configure-inbound-scim.",
)
NO_USER = error(404, "The user does not exist.", "inexistent_user")
