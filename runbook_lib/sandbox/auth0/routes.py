"""Token endpoint and Management API v2, as far as the procedure goes, with the quirks that cost customers most."""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from runbook_lib.sandbox.auth0 import default_mapping
from runbook_lib.sandbox.auth0.errors import NO_CONNECTION, NO_SCIM, NO_USER, NOT_CONFIGURED, error, oauth
from runbook_lib.sandbox.exchange import Answer, Call, Handler, Router
from runbook_lib.sandbox.world import Document, ScimProvisioning, World

router = Router()
TOKEN_LIFETIME_S = 86_400
SCIM_STRATEGIES = ("samlp", "oidc", "okta", "waad")
SCIM_SCOPES = tuple(f"{verb}:{kind}" for kind in ("users", "groups") for verb in ("get", "post", "put", "patch", "delete"))
_PATCHABLE = (  # ConnectionUpdate in the Management API description, additionalProperties: false
    "display_name",
    "options",
    "enabled_clients",
    "is_domain_connection",
    "show_as_button",
    "realms",
    "metadata",
    "authentication",
    "connected_accounts",
)


def needs(method: str, template: str, *scopes: str, query: Iterable[str] = ()) -> Callable[[Handler], Handler]:
    """Register a Management API handler that checks the token, its scopes and the names of the query's arguments."""
    allowed = frozenset(query)

    def register(handler: Handler) -> Handler:
        def checked(world: World, call: Call) -> Answer:
            grant = world.auth0.access_tokens.get(call.bearer() or "")
            if grant is None or grant["expires"] <= world.clock.timestamp():
                return error(401, "Invalid token", "invalid_token")
            if scopes and not set(scopes) & set(grant["scopes"]):
                return error(403, f"Insufficient scope, expected any of: {','.join(scopes)}", "insufficient_scope")
            if unknown := set(call.arguments()) - allowed:
                return error(
                    400,
                    f"Query validation error: 'Additional properties not allowed: {', '.join(sorted(unknown))}'.",
                    "invalid_query_string",
                )
            answer = _read(world, call, handler)
            return replace(answer, headers={**answer.headers, **_rate_limit(world)})

        return router.on(method, template)(checked)

    return register


def _read(world: World, call: Call, handler: Handler) -> Answer:
    """Run a handler on a call whose body is JSON or empty and whose numbers are numbers; else answer as the service does."""
    for name, least, most in (("page", 0, 10_000), ("per_page", 1, 100), ("take", 1, 100)):
        text = call.argument(name)
        if text is not None and not (text.isdecimal() and least <= int(text) <= most):
            about = f"Query validation error: 'Value must be between {least} and {most}' on property {name}."
            return error(400, about, "invalid_query_string")
    try:
        call.json()
    except ValueError:
        return error(400, "Payload validation error: 'Expected JSON'.", "invalid_body")
    return handler(world, call)


def _rate_limit(world: World) -> dict[str, str]:
    """Return the rate limit's headers, as with plenty left: `reset` is in unix seconds (docs-v2, rate-limit-use-cases)."""
    return {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "49", "x-ratelimit-reset": str(int(world.clock.timestamp()) + 1)}


def _scopes(world: World, call: Call) -> frozenset[str]:
    return frozenset(world.auth0.access_tokens[call.bearer() or ""]["scopes"])


# Token endpoint ------------------------------------------------------------------------------------------------------


@router.on("POST", "/oauth/token")
def token(world: World, call: Call) -> Answer:
    """Issue a Management API token. Errors have OAuth's shape (Authentication API description)."""
    try:
        fields = call.json() if "json" in call.headers.get("content-type", "") else call.form()
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return oauth(400, "invalid_request", "The request body is not valid")
    if fields.get("grant_type") != "client_credentials":
        return oauth(400, "unsupported_grant_type", f"Unsupported grant type: {fields.get('grant_type')}")
    client = world.auth0.clients.get(fields.get("client_id", ""))
    if client is None or client.client_secret != fields.get("client_secret"):
        return oauth(401, "access_denied", "Unauthorized")
    audience = f"https://{world.auth0.domain}/api/v2/"
    if fields.get("audience") != audience:
        return oauth(403, "access_denied", f"Service not enabled within domain: {fields.get('audience')}")
    scope = " ".join(client.scopes)
    now = int(world.clock.timestamp())
    claims = {
        "iss": f"https://{world.auth0.domain}/",
        "sub": f"{client.client_id}@clients",
        "aud": audience,
        "iat": now,
        "exp": now + TOKEN_LIFETIME_S,
        "scope": scope,
        "gty": "client-credentials",
        "azp": client.client_id,
    }
    text = _jwt(claims, world.ids.base64url(32))
    world.auth0.access_tokens[text] = {"scopes": client.scopes, "expires": now + TOKEN_LIFETIME_S, "client_id": client.client_id}
    return Answer(200, {"access_token": text, "scope": scope, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"})


def _jwt(claims: dict[str, Any], signature: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'sandbox'})}.{part(claims)}.{signature}"


# Connections ---------------------------------------------------------------------------------------------------------


def _shown(connection: Document, scopes: frozenset[str]) -> Document:
    """Return a connection as a token may see it: without read:connections_options there are no options (migration page)."""
    shown = copy.deepcopy(connection)
    if "read:connections_options" not in scopes:
        shown.pop("options", None)
    return shown


_LIST = ("strategy", "name", "fields", "include_fields", "page", "per_page", "include_totals", "from", "take")


@needs("GET", "/api/v2/connections", "read:connections", query=_LIST)
def list_connections(world: World, call: Call) -> Answer:
    """Answer in one of three envelopes: a bare array, offsets with totals, or checkpoints."""
    wanted, name = call.arguments().get("strategy"), call.argument("name")
    found = [
        _shown(connection, _scopes(world, call))
        for connection in world.auth0.connections.values()
        if (wanted is None or connection["strategy"] in wanted) and (name is None or connection["name"] == name)
    ]
    return _paged(call, "connections", found, 100)


def _chosen(call: Call, document: Document) -> Document:
    """Return the fields that the call asks for, or all but those."""
    fields, keep = call.argument("fields"), call.argument("include_fields") != "false"
    return {key: value for key, value in document.items() if (key in fields.split(",")) == keep} if fields else document


def _paged(call: Call, key: str, found: list[Document], default_size: int) -> Answer:
    found = [_chosen(call, entry) for entry in found]
    if call.argument("take") is not None or call.argument("from") is not None:
        start, size = int(call.argument("from") or 0), int(call.argument("take") or 50)
        body: dict[str, Any] = {key: found[start : start + size]}
        if start + size < len(found):
            body["next"] = str(start + size)
        return Answer(200, body)
    size, page = int(call.argument("per_page") or default_size), int(call.argument("page") or 0)
    part = found[page * size : (page + 1) * size]
    if call.argument("include_totals") == "true":
        counts = {"total": len(found), "start": page * size, "limit": size}
        return Answer(200, {**counts, **({"length": len(part)} if key in ("users", "logs") else {}), key: copy.deepcopy(part)})
    return Answer(200, copy.deepcopy(part))


@needs("GET", "/api/v2/connections/{id}", "read:connections", query=("fields", "include_fields"))
def get_connection(world: World, call: Call) -> Answer:
    """Answer one connection."""
    connection = world.auth0.connections.get(call.params["id"])
    return NO_CONNECTION if connection is None else Answer(200, _chosen(call, _shown(connection, _scopes(world, call))))


_VALUES = {  # ConnectionOptionsAzureAD in the Management API description
    "userid_attribute": ("oid", "sub"),
    "set_user_root_attributes": ("on_each_login", "on_first_login", "never_on_login"),
    "useCommonEndpoint": (True, False),
}


def _refused_options(options: Any) -> Answer | None:
    """Refuse options that the description does not allow. Unverified: the wording."""
    if not isinstance(options, dict):
        return error(400, "Payload validation error: 'Expected type object' on property options.", "invalid_body")
    wrong = [name for name, values in _VALUES.items() if name in options and options[name] not in values]
    if wrong:
        return error(
            400, f"Payload validation error: 'No enum match for: {options[wrong[0]]}' on property options.", "invalid_body"
        )
    return None


@needs("PATCH", "/api/v2/connections/{id}", "update:connections")
def patch_connection(world: World, call: Call) -> Answer:
    """Replace `options` whole; reset `display_name` when it is left out; refuse unknown keys (API description, issue 1290)."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    body = call.json()
    if not isinstance(body, dict) or (unknown := [key for key in body if key not in _PATCHABLE]):
        named = ", ".join(unknown) if isinstance(body, dict) else "body"
        return error(400, f"Payload validation error: 'Additional properties not allowed: {named}'.", "invalid_body")
    if "options" in body and "update:connections_options" not in _scopes(world, call):
        return error(403, 'Updating the "options" property requires the "update:connections_options" scope', "insufficient_scope")
    if "options" in body and (refused := _refused_options(body["options"])):
        return refused
    options = body.get("options")
    if options and options.get("useCommonEndpoint") and connection["id"] in world.auth0.provisioning:
        return error(400, "The Azure AD common endpoint cannot be enabled for this connection when SCIM is enabled.")
    changed = {**copy.deepcopy(body), "display_name": body.get("display_name", connection["name"])}
    if options is not None and connection["strategy"] == "waad":
        changed["options"]["waad_common_endpoint"] = bool(options.get("useCommonEndpoint", False))
        changed["options"].setdefault("useCommonEndpoint", False)
    connection.update(changed)
    return Answer(200, _shown(connection, _scopes(world, call)))


# SCIM configuration --------------------------------------------------------------------------------------------------

_OTHER_DEFAULTS = replace(
    error(501, "The sandbox knows the SCIM defaults of waad connections only.", "not_simulated"),
    headers={"x-sandbox": "not simulated"},
)
_SCIM = "/api/v2/connections/{id}/scim-configuration"


@needs("GET", "/api/v2/connections-scim-configurations", "read:scim_config", query=("from", "take"))
def list_scim_configurations(world: World, call: Call) -> Answer:
    """Answer all SCIM configurations, by checkpoints."""
    found = [copy.deepcopy(entry.configuration) for entry in world.auth0.provisioning.values()]
    start, size = int(call.argument("from") or 0), int(call.argument("take") or 50)
    following = {"next": str(start + size)} if start + size < len(found) else {}
    return Answer(200, {"scim_configurations": found[start : start + size], **following})


@needs("GET", _SCIM, "read:scim_config")
def get_scim_configuration(world: World, call: Call) -> Answer:
    """Answer the configuration; two kinds of 404 (recorded)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    return NOT_CONFIGURED if found is None else Answer(200, copy.deepcopy(found.configuration))


@needs("POST", _SCIM, "create:scim_config")
def post_scim_configuration(world: World, call: Call) -> Answer:
    """Turn SCIM on. Without a body: externalId and the default mapping (recorded)."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    if connection["strategy"] not in SCIM_STRATEGIES:
        return NO_SCIM
    if connection["id"] in world.auth0.provisioning:
        return error(400, "SCIM configuration alreay exists for connection")  # sic, in the API description
    if connection["options"].get("useCommonEndpoint"):
        return error(400, "SCIM cannot be enabled for this connection when the Azure AD common endpoint is used.")
    body = call.json() or {}
    if refused := _refused_configuration(body, both=False):
        return refused
    if connection["strategy"] != "waad" and set(body) != {"user_id_attribute", "mapping"}:
        return _OTHER_DEFAULTS
    configuration = new_configuration(world, connection, body)
    world.auth0.provisioning[connection["id"]] = ScimProvisioning(configuration)
    return Answer(201, copy.deepcopy(configuration))


def new_configuration(world: World, connection: Document, body: Document) -> Document:
    """Return the document of a new SCIM configuration."""
    now = world.clock.auth0()
    return {
        "tenant_name": world.auth0.name,
        "connection_id": connection["id"],
        "connection_name": connection["name"],
        "strategy": connection["strategy"],
        "mapping": copy.deepcopy(body.get("mapping") or default_mapping.rows()),
        "updated_on": now,
        "created_at": now,
        "user_id_attribute": body.get("user_id_attribute") or "externalId",
    }


def _refused_configuration(body: Any, *, both: bool) -> Answer | None:
    known = ("user_id_attribute", "mapping")
    if not isinstance(body, dict) or set(body) - set(known):
        return error(400, "Payload validation error: 'Additional properties not allowed'.", "invalid_body")
    if both and (missing := [name for name in known if name not in body]):
        return error(400, f"Payload validation error: 'Missing required property: {missing[0]}'.", "invalid_body")
    rows = body.get("mapping", [])
    if not isinstance(rows, list) or any(not isinstance(row, dict) or set(row) != {"scim", "auth0"} for row in rows):
        return error(400, "Invalid mapping provided")
    return None


@needs("PATCH", _SCIM, "update:scim_config")
def patch_scim_configuration(world: World, call: Call) -> Answer:
    """Replace both fields; `updated_on` moves, `created_at` stays (recorded)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    if found is None:
        return NOT_CONFIGURED
    body = call.json()
    if refused := _refused_configuration(body, both=True):
        return refused
    found.configuration.update(copy.deepcopy(body), updated_on=world.clock.auth0())
    return Answer(200, copy.deepcopy(found.configuration))


@needs("DELETE", _SCIM, "delete:scim_config")
def delete_scim_configuration(world: World, call: Call) -> Answer:
    """Turn SCIM off; a second time is 204 too (recorded). Unverified: that the tokens go with it."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    world.auth0.provisioning.pop(call.params["id"], None)
    return Answer(204)


@needs("GET", f"{_SCIM}/default-mapping", "read:scim_config")
def get_default_mapping(world: World, call: Call) -> Answer:
    """Answer the mapping Auth0 proposes; rows have the key order auth0, scim (recorded)."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    if connection["strategy"] not in SCIM_STRATEGIES:
        return NO_SCIM
    if connection["strategy"] != "waad":
        return _OTHER_DEFAULTS
    return Answer(200, {"mapping": [{"auth0": row["auth0"], "scim": row["scim"]} for row in default_mapping.rows()]})


@needs("GET", f"{_SCIM}/tokens", "read:scim_token")
def list_tokens(world: World, call: Call) -> Answer:
    """Answer the tokens, without their texts (recorded)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    return NOT_CONFIGURED if found is None else Answer(200, copy.deepcopy(found.tokens))  # Unverified: 404 when not configured


@needs("POST", f"{_SCIM}/tokens", "create:scim_token")
def post_token(world: World, call: Call) -> Answer:
    """Make a token; its text is answered this once. A third is a 409 (API description)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    if found is None:
        return NOT_CONFIGURED
    body = call.json() or {}
    if refused := _refused_token(body):
        return refused
    if len(found.tokens) >= 2:  # Unverified: an expired one counts
        return error(409, "Maximum of 2 tokens already issued for this connection")
    made, text = new_token(world, list(body.get("scopes") or SCIM_SCOPES), body.get("token_lifetime"))
    found.tokens.append(made)
    found.token_values[made["token_id"]] = text
    return Answer(201, {"token_id": made["token_id"], "token": text, **{k: v for k, v in made.items() if k != "token_id"}})


def _refused_token(body: Any) -> Answer | None:
    """Refuse a token request against the description: closed, known scopes and at least one, a lifetime over 900 s."""
    if not isinstance(body, dict) or set(body) - {"scopes", "token_lifetime"}:
        return error(400, "Payload validation error: 'Additional properties not allowed'.", "invalid_body")
    scopes, lifetime = body.get("scopes", list(SCIM_SCOPES)), body.get("token_lifetime")
    if not isinstance(scopes, list) or not scopes or any(scope not in SCIM_SCOPES for scope in scopes):
        return error(400, "Payload validation error: 'Invalid value' on property scopes.", "invalid_body")
    if lifetime is not None and (type(lifetime) is not int or lifetime <= 900):
        return error(400, "Payload validation error: 'Value must be > 900' on property token_lifetime.", "invalid_body")
    return None


def new_token(world: World, scopes: list[str], lifetime_s: int | None) -> tuple[Document, str]:
    """Return the document and the text of a new SCIM token: `tok_<16>.<64 hex>` (recorded)."""
    token_id = f"tok_{world.ids.alphanumeric(16)}"
    document: Document = {"token_id": token_id, "scopes": scopes, "created_at": world.clock.auth0()}
    if lifetime_s is not None:
        ends = copy.copy(world.clock)
        ends.now += timedelta(seconds=lifetime_s)
        document["valid_until"] = ends.auth0()
    return document, f"{token_id}.{world.ids.hexadecimal(64)}"


@needs("DELETE", f"{_SCIM}/tokens/{{token_id}}", "delete:scim_token")
def delete_token(world: World, call: Call) -> Answer:
    """Delete a token. Unverified: an unknown id is a 404."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    token_id = call.params["token_id"]
    if found is None or token_id not in found.token_values:
        return NOT_CONFIGURED
    found.tokens = [entry for entry in found.tokens if entry["token_id"] != token_id]
    del found.token_values[token_id]
    return Answer(204)


# Users, clients, logs ------------------------------------------------------------------------------------------------


@needs(
    "GET",
    "/api/v2/users",
    "read:users",
    query=("q", "search_engine", "page", "per_page", "include_totals", "fields", "include_fields"),
)
def list_users(world: World, call: Call) -> Answer:
    """Search users by `field:"value"` terms joined by AND, each alone or several in parentheses joined by OR.

    Other queries of Auth0's query syntax are refused loudly (docs, user-search-query-syntax).
    """
    query = call.argument("q") or ""
    if not _QUERY.fullmatch(query):
        return error(400, 'The sandbox knows field:"value", AND, and (… OR …) in a query', "invalid_query_string")
    found = list(world.auth0.users.values())
    for wanted in sorted(
        map(_wanted, _GROUP.findall(query)), key=lambda wanted: ("email",) not in wanted
    ):  # few have one address
        found = [user for user in found if any(not wanted[path].isdisjoint(_values(user, path)) for path in wanted)]
    return _paged(call, "users", found, 50)


_ONE = r'[\w.]+:"(?:[^"\\]|\\.)*"'
_GROUP = re.compile(rf"\({_ONE}(?: OR {_ONE})*\)|{_ONE}")
_QUERY = re.compile(rf"(?:(?:{_GROUP.pattern})(?: AND (?:{_GROUP.pattern}))*)?")
_TERM = re.compile(r'([\w.]+):"((?:[^"\\]|\\.)*)"')


def _wanted(group: str) -> dict[tuple[str, ...], set[str]]:
    """Return the values that one of a query's groups asks for, by path."""
    found: dict[tuple[str, ...], set[str]] = {}
    for path, value in _TERM.findall(group):
        found.setdefault(tuple(path.split(".")), set()).add(value.replace('\\"', '"').replace("\\\\", "\\").lower())
    return found


def _values(value: Any, path: tuple[str, ...]) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _values(item, path)]
    if not path:
        return [] if value is None else [str(value).lower()]
    return _values(value.get(path[0]), path[1:]) if isinstance(value, dict) else []


@needs("GET", "/api/v2/users-by-email", "read:users", query=("email", "fields", "include_fields"))
def users_by_email(world: World, call: Call) -> Answer:
    """Answer the users of one mail address."""
    email = call.argument("email")
    if not email:
        return error(400, "Query validation error: 'Missing required property: email'.", "invalid_query_string")
    found = [user for user in world.auth0.users.values() if user.get("email") == email.lower()]
    return Answer(200, copy.deepcopy([_chosen(call, user) for user in found]))


@needs("GET", "/api/v2/users/{id:path}", "read:users", query=("fields", "include_fields"))
def get_user(world: World, call: Call) -> Answer:
    """Answer one user."""
    user = world.auth0.users.get(call.params["id"])
    return NO_USER if user is None else Answer(200, copy.deepcopy(_chosen(call, user)))


@needs("PATCH", "/api/v2/users/{id:path}", "update:users")
def patch_user(world: World, call: Call) -> Answer:
    """Change a user; metadata is merged, the rest replaced."""
    user = world.auth0.users.get(call.params["id"])
    if user is None:
        return NO_USER
    for key, value in (call.json() or {}).items():
        user[key] = {**user.get(key, {}), **value} if key in ("app_metadata", "user_metadata") else value
    return Answer(200, copy.deepcopy(user))


@needs("DELETE", "/api/v2/users/{id:path}", "delete:users")
def delete_user(world: World, call: Call) -> Answer:
    """Delete a user; an unknown one is 204 too."""
    world.auth0.users.pop(call.params["id"], None)
    return Answer(204)


@needs("GET", "/api/v2/clients", "read:clients", query=("page", "per_page", "include_totals", "fields", "include_fields"))
def list_clients(world: World, call: Call) -> Answer:
    """Answer the applications, without their secrets."""
    found = [{"client_id": c.client_id, "name": c.name, "app_type": "non_interactive"} for c in world.auth0.clients.values()]
    return _paged(call, "clients", found, 50)


_LOG_QUERY = ("q", "search", "from", "take", "page", "per_page", "sort", "include_totals")
_SORTABLE = (
    "date|connection|client_id|client_name|ip|user_id|user_name|description|user_agent|type|details|strategy|strategy_type"
)
_LOG_LIMIT = 1000


def _log_value(row: Document, name: str) -> Any:
    return row["type"] if name == "type" else row["details"].get("connection_id")


@needs("GET", "/api/v2/logs", "read:logs", "read:logs_users", query=_LOG_QUERY)
def list_logs(world: World, call: Call) -> Answer:
    """Answer log rows: newest first with `q` or `search`, or oldest first after `from`.

    A query is `field:value` terms joined by OR, groups of these by AND (log-search-query-syntax page); only type and
    connection_id are known here. A search ends at 1,000 rows; a checkpoint read ignores the query (docs-v2,
    retrieve-log-events-using-mgmt-api). `sort` takes the names that the API description lists; only date is known here.
    """
    if (after := call.argument("from")) is not None:
        rows = world.auth0.logs
        start = next((n for n, row in enumerate(rows, start=1) if row["log_id"] == after), 0)
        return Answer(200, copy.deepcopy(rows[start : start + int(call.argument("take") or 50)]))
    order = call.argument("sort") or "date:-1"
    if not re.fullmatch(rf"({_SORTABLE}):(1|-1)", order):
        about = f"Query validation error: 'String does not match pattern: {order}' on property sort."
        return error(400, about, "invalid_query_string")
    if not order.startswith("date:"):
        return error(400, "The sandbox sorts log rows by date only", "invalid_query_string")
    found = list(world.auth0.logs) if order == "date:1" else list(reversed(world.auth0.logs))
    for group in filter(None, (call.argument("q") or call.argument("search") or "").split(" AND ")):
        terms = [term.strip().partition(":")[::2] for term in group.strip("() ").split(" OR ")]
        if any(name not in ("type", "connection_id") for name, _ in terms):
            return error(400, "The sandbox knows only type and connection_id in log queries", "invalid_query_string")
        found = [row for row in found if any(_log_value(row, name) == value.strip('"') for name, value in terms)]
    found = found[:_LOG_LIMIT]
    if call.argument("take") is not None:
        return Answer(200, copy.deepcopy(found[: int(call.argument("take") or 50)]))
    return _paged(call, "logs", copy.deepcopy(found), 50)
