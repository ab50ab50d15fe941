"""SCIM Users of one connection. A token is bound to its connection and its scopes; each call leaves a log row."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from runbook_lib.sandbox.auth0 import sessions
from runbook_lib.sandbox.exchange import Answer, Call, Handler, Route, Router
from runbook_lib.sandbox.scim.resource import NotBoolean, attribute, below, flattened, set_scim_value, user_resource
from runbook_lib.sandbox.scim.search import found_users
from runbook_lib.sandbox.world import Document, ScimProvisioning, World


class _Routes(Router):
    """Routes that take one slash at the end, and `/users` for `/Users` as a field engineer's scripts do (auth0-bash)."""

    def find(self, method: str, path: str) -> tuple[Route | None, dict[str, str], tuple[str, ...]]:
        """Return the route of a path. Two slashes in a row are no path of the endpoint."""
        head, users, rest = path.partition("/users")
        spelled = f"{head}/Users{rest}" if users and rest[:1] in ("", "/") and head.count("/") == _DEPTH else path
        return super().find(method, spelled[:-1] if spelled.endswith("/") and not spelled.endswith("//") else spelled)


_DEPTH = "/scim/v2/connections/{connection_id}".count("/")
router = _Routes()
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
            answer = _refused(world, call, scope) or _malformed(call) or _handled(handler, world, call)
            _log(world, call, answer.status)
            return answer

        return router.on(method, _BASE + template)(checked)

    return register


def _handled(handler: Handler, world: World, call: Call) -> Answer:
    try:
        return handler(world, call)
    except NotBoolean as wrong:
        return _error(400, str(wrong), "invalidValue")


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
    if any(not re.fullmatch(r"-?[0-9]{1,9}", call.argument(name) or "0") for name in ("startIndex", "count")):
        return _error(400, "startIndex and count are integers.", "invalidValue")
    try:
        content = call.json()
    except ValueError:
        return _error(400, "The body is not JSON.", "invalidSyntax")
    if call.method in ("POST", "PUT", "PATCH") and not isinstance(content, dict):
        return _error(400, "The body is not an object.", "invalidSyntax")
    return None


def _logged(call: Call) -> Any:
    """Return a request's body for the log, where it is an object or null."""
    try:
        content = call.json()
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
                    "body": _logged(call),
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


def _connection_name(world: World, call: Call) -> str:
    return str(world.auth0.connections[call.params["connection_id"]]["name"])


def _user(world: World, call: Call) -> Document | None:
    """Return the user that a path names, when it is one of this connection."""
    user = world.auth0.users.peek(call.params["user_id"])
    name = _connection_name(world, call)
    is_here = user is not None and any(identity["connection"] == name for identity in user.get("identities", []))
    return user if is_here else None


def _shown(world: World, call: Call, user: Document) -> Document:
    location = f"{call.origin}/scim/v2/connections/{call.params['connection_id']}/Users/{quote(user['user_id'], safe='')}"
    return user_resource(user["user_id"], user, _mapping(world, call), location)


@_on("GET", "/Users", "get:users")
def list_users(world: World, call: Call) -> Answer:
    """Answer a ListResponse; the query argument `aadOptscim062020` and other unknown ones are ignored, as RFC 7644 allows."""
    try:
        found = found_users(world, _connection_name(world, call), _mapping(world, call), call.argument("filter") or "")
    except ValueError as unsupported:
        return _error(400, str(unsupported), "invalidFilter")
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
    """Make a user with the id that a first sign-in would give it.

    Under `oid` that is `waad|<connection>|<externalId>`, under `sub` `waad|<externalId>`: the second profile next to the one that
    sign-in made (real ids of both eras in public issues; support article on just-in-time and SCIM users). Okta's SCIM suite,
    which Auth0 has publishers pass, makes users without an externalId. Unverified: the id that such a user gets.
    """
    values = {attribute(path): value for path, value in flattened(call.json()).items()}
    key = values.get(_provisioning(world, call).configuration["user_id_attribute"])
    if key is not None and not (isinstance(key, str) and key):
        return _error(400, "The user id attribute is not a text.", "invalidValue")
    key = key or world.ids.guid()
    connection = world.auth0.connections[call.params["connection_id"]]
    is_oid = connection.get("options", {}).get("userid_attribute") == "oid"
    own_id = f"{connection['name']}|{key}" if is_oid else key
    user_id = f"{connection['strategy']}|{own_id}"
    if world.auth0.users.peek(user_id) is not None:
        return _error(409, "The user already exists.", "uniqueness")
    identity = {"connection": connection["name"], "provider": connection["strategy"], "user_id": own_id, "isSocial": False}
    user: Document = {"user_id": user_id, "identities": [identity], "created_at": world.clock.auth0(), "app_metadata": {}}
    _store(user, _mapping(world, call), values)
    world.auth0.users.put(user)
    return Answer(201, _shown(world, call, user), content_type=CONTENT_TYPE)


def _keep(world: World, changed: Document) -> None:
    """Keep a changed user; one who is blocked by it loses sessions and refresh tokens (configure-inbound-scim)."""
    before = world.auth0.users.peek(changed["user_id"]) or {}
    if changed.get("blocked") and not before.get("blocked"):
        sessions.end(world, changed["user_id"])
    world.auth0.users.put(changed)


def _store(user: Document, mapping: list[Document], values: dict[str, Any]) -> None:
    rows = {row["scim"].lower(): row for row in mapping}
    for path, value in values.items():
        if row := rows.get(attribute(path).lower()):
            set_scim_value(user, row, value)


@_on("GET", "/Users/{user_id:path}", "get:users")
def get_user(world: World, call: Call) -> Answer:
    """Answer one user of this connection; the others are invisible."""
    user = _user(world, call)
    return _no_user(call) if user is None else Answer(200, _shown(world, call, user), content_type=CONTENT_TYPE)


def _no_user(call: Call) -> Answer:
    return _error(404, f"Resource {call.params['user_id']} not found")


@_on("PUT", "/Users/{user_id:path}", "put:users")
def put_user(world: World, call: Call) -> Answer:
    """Replace the mapped attributes."""
    user = _user(world, call)
    if user is None:
        return _no_user(call)
    mapping, changed = _mapping(world, call), copy.deepcopy(user)
    values = {row["scim"]: None for row in mapping if row["auth0"] != "blocked"}
    _store(changed, mapping, {**values, **flattened(call.json())})
    _keep(world, changed)
    return Answer(200, _shown(world, call, changed), content_type=CONTENT_TYPE)


@_on("PATCH", "/Users/{user_id:path}", "patch:users")
def patch_user(world: World, call: Call) -> Answer:
    """Apply the operations of both Entra dialects: capitalised names, texts for booleans, dotted keys in a value object."""
    user = _user(world, call)
    if user is None:
        return _no_user(call)
    changed, mapping = copy.deepcopy(user), _mapping(world, call)
    operations = call.json().get("Operations")
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        return _error(400, "Operations is a list of objects.", "invalidSyntax")
    for operation in operations:
        if str(operation.get("op")).lower() not in ("add", "replace", "remove"):
            return _error(400, f"Unknown operation {operation.get('op')}", "invalidSyntax")
        path = operation.get("path")
        if path is None and not isinstance(operation.get("value"), dict):
            return _error(400, "An operation without a path needs an object", "noTarget")
        if path is not None and not isinstance(path, str):
            return _error(400, "A path is a text.", "invalidPath")
        _store(changed, mapping, _values(operation, mapping))
    changed["updated_at"] = world.clock.auth0()
    _keep(world, changed)
    return Answer(200, _shown(world, call, changed), content_type=CONTENT_TYPE)


def _values(operation: Document, mapping: list[Document]) -> dict[str, Any]:
    """Return what one operation sets, by SCIM path; None for what it removes. Nested values count by their full paths.

    A path that names a whole attribute (`emails`, `name`, `emails[type eq "work"]`) removes all that is mapped below it (RFC 7644
    section 3.5.2.2).
    """
    path: str | None = operation.get("path")
    value: Any = operation.get("value")
    is_removed = str(operation["op"]).lower() == "remove"
    if path is not None and is_removed:
        return dict.fromkeys([path, *below(path, mapping)])
    if path is not None and isinstance(value, dict) and path.endswith("]"):
        return {f"{path}.{sub}": item for sub, item in value.items()}
    values = {**value, **flattened(value)} if path is None else {path: value, **flattened({path: value})}
    return dict.fromkeys(values) if is_removed else values


@_on("DELETE", "/Users/{user_id:path}", "delete:users")
def delete_user(world: World, call: Call) -> Answer:
    """Delete the Auth0 user for good (configure-inbound-scim)."""
    if _user(world, call) is None:
        return _no_user(call)
    world.auth0.users.remove(call.params["user_id"])
    return Answer(204)


@_on("GET", "/Groups", "get:groups")
def list_groups(_world: World, _call: Call) -> Answer:
    """Answer no groups: Okta's SCIM suite, which Auth0 has publishers pass, wants a 200."""
    empty = {"schemas": [_LIST], "totalResults": 0, "startIndex": 1, "itemsPerPage": 0, "Resources": []}
    return Answer(200, empty, content_type=CONTENT_TYPE)


@router.on("POST", _BASE + "/Groups")
def post_group(_world: World, _call: Call) -> Answer:
    """Refuse: groups are not simulated."""
    return _error(501, "The sandbox does not simulate SCIM groups.")
