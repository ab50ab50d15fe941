"""SCIM Users of one connection. A token is bound to its connection and its scopes; each call leaves a log row."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from runbook_lib.sandbox.exchange import Answer, Call, Handler, Router
from runbook_lib.sandbox.scim import filter as scim_filter
from runbook_lib.sandbox.scim.resource import attribute, flattened, scim_value, set_scim_value, user_resource
from runbook_lib.sandbox.world import Document, ScimProvisioning, World

router = Router()
CONTENT_TYPE = "application/scim+json; charset=utf-8"
_BASE = "/scim/v2/connections/{connection_id}"
_LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def body(_world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own."""
    return _error(status, message or "The request failed").body


def _error(status: int, detail: str, scim_type: str | None = None) -> Answer:
    content: Document = {"schemas": [_ERROR], "status": str(status), "detail": detail}
    return Answer(status, content if scim_type is None else {**content, "scimType": scim_type}, content_type=CONTENT_TYPE)


def _on(method: str, template: str, scope: str) -> Callable[[Handler], Handler]:
    """Register a handler that runs only for a valid token of the connection with the scope."""

    def register(handler: Handler) -> Handler:
        def checked(world: World, call: Call) -> Answer:
            answer = _refused(world, call, scope) or _malformed(call) or handler(world, call)
            _log(world, call, answer.status)
            return answer

        return router.on(method, _BASE + template)(checked)

    return register


def _refused(world: World, call: Call, scope: str) -> Answer | None:
    provisioning = world.auth0.provisioning.get(call.params["connection_id"])
    text = call.bearer() or ""
    token = (
        next((t for t in provisioning.tokens if provisioning.token_values[t["token_id"]] == text), None) if provisioning else None
    )
    if token is None or token.get("valid_until", "9") <= world.clock.auth0():
        return _error(401, "The token is invalid or has expired.")
    token["last_used_at"] = world.clock.auth0()
    if scope not in token["scopes"]:
        return _error(403, f"Insufficient scope, expected: {scope}")
    return None


def _malformed(call: Call) -> Answer | None:
    """Refuse a body that is not a JSON object, and paging that is no number (RFC 7644 section 3.12)."""
    if any(not (call.argument(name) or "0").lstrip("-").isdecimal() for name in ("startIndex", "count")):
        return _error(400, "startIndex and count are integers.", "invalidValue")
    try:
        content = call.json()
    except ValueError:
        return _error(400, "The body is not JSON.", "invalidSyntax")
    if call.method in ("POST", "PUT", "PATCH") and not isinstance(content, dict):
        return _error(400, "The body is not an object.", "invalidSyntax")
    return None


def _logged(body: bytes) -> Any:
    """Return a request's body for the log, where it is an object or null."""
    try:
        content = json.loads(body or b"null")
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _log(world: World, call: Call, status: int) -> None:
    """Append a tenant log row: `sscim` or `fscim` (docs-v2, tenant-logs/logs-schema.json)."""
    world.auth0.logs.append(
        {
            "log_id": f"90020260105{len(world.auth0.logs):045d}",
            "date": world.clock.auth0(),
            "type": "sscim" if status < 400 else "fscim",
            "description": f"SCIM {call.method}",
            "client_name": "",
            "environment_name": "sandbox-1",
            "tenant_name": world.auth0.name,
            "ip": "127.0.0.1",
            "user_agent": call.headers.get("user-agent", ""),
            "details": {
                "action": f"{call.method.lower()}:users",
                "connection_id": call.params["connection_id"],
                "request": {
                    "method": call.method,
                    "path": call.path,
                    "query": {name: values[-1] for name, values in call.arguments().items()},
                    "userAgent": call.headers.get("user-agent", ""),
                    "ip": "127.0.0.1",
                    "body": _logged(call.body),
                },
                "response": {"statusCode": status},
            },
        }
    )


def _provisioning(world: World, call: Call) -> ScimProvisioning:
    return world.auth0.provisioning[call.params["connection_id"]]


def _mapping(world: World, call: Call) -> list[Document]:
    rows: list[Document] = _provisioning(world, call).configuration["mapping"]
    return rows


def _users(world: World, call: Call) -> dict[str, Document]:
    name = world.auth0.connections[call.params["connection_id"]]["name"]
    return {
        user_id: user
        for user_id, user in world.auth0.users.items()
        if any(identity["connection"] == name for identity in user.get("identities", []))
    }


def _shown(world: World, call: Call, user: Document) -> Document:
    location = f"{call.origin}/scim/v2/connections/{call.params['connection_id']}/Users/{quote(user['user_id'], safe='')}"
    return user_resource(user["user_id"], user, _mapping(world, call), location)


@_on("GET", "/Users", "get:users")
def list_users(world: World, call: Call) -> Answer:
    """Answer a ListResponse; the query argument `aadOptscim062020` and other unknown ones are ignored, as RFC 7644 allows."""
    found = list(_users(world, call).values())
    if text := call.argument("filter"):
        try:
            test = scim_filter.parse(text)
        except ValueError as unsupported:
            return _error(400, str(unsupported), "invalidFilter")
        rows = {row["scim"].lower(): row for row in _mapping(world, call)}

        def look_up(user: Document) -> Callable[[str], Any]:
            return lambda path: scim_value(user, row) if (row := rows.get(attribute(path).lower())) else None

        found = [user for user in found if test(look_up(user))]
    start, count = max(1, int(call.argument("startIndex") or 1)), max(0, int(call.argument("count") or 100))
    page = found[start - 1 : start - 1 + count]
    content = {
        "schemas": [_LIST],
        "totalResults": len(found),
        "startIndex": start,
        "itemsPerPage": len(page),
        "Resources": [_shown(world, call, user) for user in page],
    }
    return Answer(200, content, content_type=CONTENT_TYPE)


@_on("POST", "/Users", "post:users")
def post_user(world: World, call: Call) -> Answer:
    """Make a user `waad|<externalId>`: the second profile beside the one that login made (Unverified form of the id)."""
    values = {attribute(path): value for path, value in flattened(call.json()).items()}
    key = values.get(_provisioning(world, call).configuration["user_id_attribute"])
    if not key:
        return _error(400, "The user id attribute is missing.", "invalidValue")
    connection = world.auth0.connections[call.params["connection_id"]]
    user_id = f"{connection['strategy']}|{key}"
    if user_id in world.auth0.users:
        return _error(409, "The user already exists.", "uniqueness")
    identity = {"connection": connection["name"], "provider": connection["strategy"], "user_id": key, "isSocial": False}
    user: Document = {"user_id": user_id, "identities": [identity], "created_at": world.clock.auth0(), "app_metadata": {}}
    _store(user, _mapping(world, call), values)
    world.auth0.users[user_id] = user
    return Answer(201, _shown(world, call, user), content_type=CONTENT_TYPE)


def _store(user: Document, mapping: list[Document], values: dict[str, Any]) -> None:
    rows = {row["scim"].lower(): row for row in mapping}
    for path, value in values.items():
        if row := rows.get(attribute(path).lower()):
            set_scim_value(user, row, value)


@_on("GET", "/Users/{user_id:path}", "get:users")
def get_user(world: World, call: Call) -> Answer:
    """Answer one user of this connection; the others are invisible."""
    user = _users(world, call).get(call.params["user_id"])
    return _no_user(call) if user is None else Answer(200, _shown(world, call, user), content_type=CONTENT_TYPE)


def _no_user(call: Call) -> Answer:
    return _error(404, f"Resource {call.params['user_id']} not found")


@_on("PUT", "/Users/{user_id:path}", "put:users")
def put_user(world: World, call: Call) -> Answer:
    """Replace the mapped attributes."""
    user = _users(world, call).get(call.params["user_id"])
    if user is None:
        return _no_user(call)
    mapping = _mapping(world, call)
    values = {row["scim"]: None for row in mapping if row["auth0"] != "blocked"}
    _store(user, mapping, {**values, **flattened(call.json())})
    return Answer(200, _shown(world, call, user), content_type=CONTENT_TYPE)


@_on("PATCH", "/Users/{user_id:path}", "patch:users")
def patch_user(world: World, call: Call) -> Answer:
    """Apply the operations of both Entra dialects: capitalised names, texts for booleans, dotted keys in a value object."""
    user = _users(world, call).get(call.params["user_id"])
    if user is None:
        return _no_user(call)
    changed = copy.deepcopy(user)
    operations = call.json().get("Operations")
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        return _error(400, "Operations is a list of objects.", "invalidSyntax")
    for operation in operations:
        if str(operation.get("op")).lower() not in ("add", "replace", "remove"):
            return _error(400, f"Unknown operation {operation.get('op')}", "invalidSyntax")
        if operation.get("path") is None and not isinstance(operation.get("value"), dict):
            return _error(400, "An operation without a path needs an object", "noTarget")
        _store(changed, _mapping(world, call), _values(operation))
    changed["updated_at"] = world.clock.auth0()
    world.auth0.users[user["user_id"]] = changed
    return Answer(200, _shown(world, call, changed), content_type=CONTENT_TYPE)


def _values(operation: Document) -> dict[str, Any]:
    """Return what one operation sets, by SCIM path; None for what it removes. Nested values count by their full paths."""
    path: str | None = operation.get("path")
    value: Any = operation.get("value")
    values = {**value, **flattened(value)} if path is None else {path: value, **flattened({path: value})}
    return dict.fromkeys(values) if str(operation["op"]).lower() == "remove" else values


@_on("DELETE", "/Users/{user_id:path}", "delete:users")
def delete_user(world: World, call: Call) -> Answer:
    """Delete the Auth0 user for good (configure-inbound-scim)."""
    if call.params["user_id"] not in _users(world, call):
        return _no_user(call)
    del world.auth0.users[call.params["user_id"]]
    return Answer(204)


@router.on("GET", _BASE + "/Groups")
@router.on("POST", _BASE + "/Groups")
def groups(_world: World, _call: Call) -> Answer:
    """Refuse: groups are not simulated."""
    return _error(501, "The sandbox does not simulate SCIM groups.")
