"""Connections of the Management API, with the quirks that cost customers most: hidden options, options replaced whole."""

from __future__ import annotations

import copy
from typing import Any

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.door import checkpoint, chosen, needs, paged, scopes_of
from runbook_lib.sandbox.auth0.errors import NO_CONNECTION, error
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import Document, World

_ONE = "/api/v2/connections/{id}"


def _shown(connection: Document, scopes: frozenset[str]) -> Document:
    """Return a connection as a token may see it: without read:connections_options there are no options (migration page)."""
    return connection if "read:connections_options" in scopes else {k: v for k, v in connection.items() if k != "options"}


@needs("GET", "/api/v2/connections", "read:connections", query=rules.CONNECTIONS)
def list_connections(world: World, call: Call) -> Answer:
    """Answer in one of three envelopes: a bare array, offsets with totals, or checkpoints."""
    wanted, name, scopes = call.arguments().get("strategy"), call.argument("name"), scopes_of(world, call)
    found = [
        _shown(connection, scopes)
        for connection in world.auth0.connections.values()
        if (wanted is None or connection["strategy"] in wanted) and (name is None or connection["name"] == name)
    ]
    return paged(call, "connections", found, 100)


@needs("POST", "/api/v2/connections", "create:connections", body=rules.NEW_CONNECTION)
def post_connection(world: World, call: Call) -> Answer:
    """Make a connection, with what the service fills in (recorded, TestAccSCIMToken). 409 for a name in use (API description)."""
    body = call.json()
    if any(connection["name"] == body["name"] for connection in world.auth0.connections.values()):
        return error(409, "A connection with the same name already exists", "operation_not_supported")
    clients = body.pop("enabled_clients", [])
    made: Document = {
        "id": f"con_{world.ids.alphanumeric(16)}",
        "options": {},
        "display_name": body["name"],
        "is_domain_connection": False,
        "show_as_button": False,
        "authentication": {"active": True},
        "connected_accounts": {"active": False},
        "realms": [body["name"]],
        **body,
    }
    made["realms"] = made["realms"] or [body["name"]]
    if made["strategy"] == "waad":
        made["options"] = _mirrored({**_WAAD_DEFAULTS, **made["options"]})
    world.auth0.connections[made["id"]] = made
    world.auth0.enabled_clients[made["id"]] = enabled = list(dict.fromkeys(clients))
    return Answer(201, {**copy.deepcopy(_shown(made, scopes_of(world, call))), "enabled_clients": enabled})


_WAAD_DEFAULTS: Document = {  # go-auth0 recording, TestConnectionManager_Create
    "identity_api": "microsoft-identity-platform-v2.0",
    "should_trust_email_verified_connection": "never_set_emails_as_verified",
    "use_wsfed": False,
    "waad_protocol": "openid-connect",
}


@needs("GET", _ONE, "read:connections", query=rules.FIELDS)
def get_connection(world: World, call: Call) -> Answer:
    """Answer one connection."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    return Answer(200, copy.deepcopy(chosen(call, _shown(connection, scopes_of(world, call)))))


@needs("PATCH", _ONE, "update:connections")
def patch_connection(world: World, call: Call) -> Answer:
    """Replace `options` whole; reset `display_name` when it is left out; refuse unknown keys (API description, issue 1290).

    `options: null` is described. Unverified: its effect, here that of an empty object.
    """
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    rule = rules.CHANGED_WAAD_CONNECTION if connection["strategy"] == "waad" else rules.CHANGED_CONNECTION
    if refused := rule.refusal(call):
        return refused
    body = call.json()
    if "options" in body and "update:connections_options" not in scopes_of(world, call):
        return error(403, 'Updating the "options" property requires the "update:connections_options" scope', "insufficient_scope")
    clients = body.pop("enabled_clients", None)
    if clients is not None:
        world.auth0.enabled_clients[connection["id"]] = list(dict.fromkeys(clients))
        if "enabled_clients" in connection:  # tenants that still show it
            connection["enabled_clients"] = clients
    changed: dict[str, Any] = {**body, "display_name": body.get("display_name", connection["name"])}
    if "options" in body:
        changed["options"] = options = body["options"] or {}
        if options.get("useCommonEndpoint") and connection["id"] in world.auth0.provisioning:
            return error(400, "The Azure AD common endpoint cannot be enabled for this connection when SCIM is enabled.")
        if connection["strategy"] == "waad":
            changed["options"] = _mirrored(options)
    if changed.get("realms") == []:
        changed["realms"] = [connection["name"]]  # "if the array is empty … the connection name will be added as realm"
    connection.update(changed)
    return Answer(200, copy.deepcopy(_shown(connection, scopes_of(world, call))))


def _mirrored(options: Document) -> Document:
    """Return waad options with the mirror that the service adds (recorded, TestAccSCIMToken)."""
    common = bool(options.get("useCommonEndpoint", False))
    return {**options, "useCommonEndpoint": options.get("useCommonEndpoint", False), "waad_common_endpoint": common}


@needs("DELETE", _ONE, "delete:connections")
def delete_connection(world: World, call: Call) -> Answer:
    """Delete a connection with its users; 204 when there is none (API description). Unverified: that here it is done at once."""
    connection = world.auth0.connections.pop(call.params["id"], None)
    if connection is None:
        return Answer(204)
    world.auth0.provisioning.pop(connection["id"], None)
    world.auth0.enabled_clients.pop(connection["id"], None)
    for user in world.auth0.users.holding("identities.connection", [connection["name"]]):
        if any(identity["connection"] == connection["name"] for identity in user.get("identities", [])):
            world.auth0.users.remove(user["user_id"])
    return Answer(202, {"deleted_at": world.clock.auth0()})  # the body: recorded by go-auth0


@needs("GET", f"{_ONE}/clients", "read:connections", query=rules.ENABLED_CLIENTS)
def list_enabled_clients(world: World, call: Call) -> Answer:
    """Answer the applications for which a connection is enabled, by checkpoints."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found: list[Document] = [{"client_id": client_id} for client_id in world.auth0.enabled_clients.get(call.params["id"], [])]
    return checkpoint(call, "clients", found)


@needs("PATCH", f"{_ONE}/clients", "update:connections", body=rules.CHANGED_CLIENTS)
def patch_enabled_clients(world: World, call: Call) -> Answer:
    """Enable or disable a connection for applications. Unverified: that an unknown application is taken."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    enabled = dict.fromkeys(world.auth0.enabled_clients.get(call.params["id"], []))
    for entry in call.json():
        enabled.pop(entry["client_id"], None)
        if entry["status"]:
            enabled[entry["client_id"]] = None
    world.auth0.enabled_clients[call.params["id"]] = list(enabled)
    return Answer(204)


@needs("GET", f"{_ONE}/status", "read:connections")
def get_status(world: World, call: Call) -> Answer:
    """Say that a connection is online, as all are here; the description gives the answer no body."""
    return Answer(200) if call.params["id"] in world.auth0.connections else NO_CONNECTION


@needs("DELETE", f"{_ONE}/users", "delete:users", query=rules.DATABASE_USER)
def delete_database_user(world: World, call: Call) -> Answer:
    """Delete a user of a database connection by mail address; other connections are refused (API description)."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    if connection["strategy"] != "auth0":
        return error(400, "Connection must be a database connection")
    for user in world.auth0.users.holding("email", [call.argument("email") or ""]):
        here = any(identity["connection"] == connection["name"] for identity in user.get("identities", []))
        if here and user.get("email") == call.argument("email"):
            world.auth0.users.remove(user["user_id"])
    return Answer(204)


@needs("GET", "/api/v2/connections-directory-provisionings", "read:directory_provisionings", query=rules.CHECKPOINT)
def list_directory_provisionings(_world: World, call: Call) -> Answer:
    """Answer none: they are Google Workspace's (connections-directory-provisionings reference page)."""
    return checkpoint(call, "directory_provisionings", [])
