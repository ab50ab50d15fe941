"""The SCIM configuration of a connection and its tokens, in the Management API."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import timedelta

from runbook_lib.sandbox.auth0 import default_mapping, rules
from runbook_lib.sandbox.auth0.door import checkpoint, needs
from runbook_lib.sandbox.auth0.errors import NO_CONNECTION, NO_SCIM, NOT_CONFIGURED, error
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import Document, ScimProvisioning, World

SCIM_STRATEGIES = ("samlp", "oidc", "okta", "waad")

_OTHER_DEFAULTS = replace(
    error(501, "The sandbox knows the SCIM defaults of waad connections only.", "not_simulated"),
    headers={"x-sandbox": "not simulated"},
)
INVALID_MAPPING = error(400, "Invalid mapping provided")
_SCIM = "/api/v2/connections/{id}/scim-configuration"


@needs("GET", "/api/v2/connections-scim-configurations", "read:scim_config", query=rules.CHECKPOINT)
def list_scim_configurations(world: World, call: Call) -> Answer:
    """Answer all SCIM configurations, by checkpoints."""
    return checkpoint(call, "scim_configurations", [entry.configuration for entry in world.auth0.provisioning.values()])


@needs("GET", _SCIM, "read:scim_config")
def get_scim_configuration(world: World, call: Call) -> Answer:
    """Answer the configuration; two kinds of 404 (recorded)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    return NOT_CONFIGURED if found is None else Answer(200, copy.deepcopy(found.configuration))


@needs("POST", _SCIM, "create:scim_config", body=rules.NEW_SCIM)
def post_scim_configuration(world: World, call: Call) -> Answer:
    """Turn SCIM on. Without a body: externalId and the default mapping (recorded)."""
    connection = world.auth0.connections.get(call.params["id"])
    if connection is None:
        return NO_CONNECTION
    if connection["strategy"] not in SCIM_STRATEGIES:
        return NO_SCIM
    if connection["id"] in world.auth0.provisioning:
        return error(400, "SCIM configuration alreay exists for connection")  # sic, in the API description
    if connection.get("options", {}).get("useCommonEndpoint"):
        return error(400, "SCIM cannot be enabled for this connection when the Azure AD common endpoint is used.")
    body = call.json() or {}
    if "mapping" in body and not _is_one_to_one(body["mapping"]):
        return INVALID_MAPPING
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
        "mapping": _stored(body["mapping"] if "mapping" in body else default_mapping.rows()),
        "updated_on": now,
        "created_at": now,
        "user_id_attribute": body.get("user_id_attribute") or "externalId",
    }


def _is_one_to_one(rows: list[Document]) -> bool:
    """Say whether each row names both sides, and no side is named twice (configure-inbound-scim: "one-to-one")."""
    sides = [[row.get(side) for row in rows] for side in ("scim", "auth0")]
    return all(all(names) and len(set(names)) == len(names) for names in sides)


def _stored(rows: list[Document]) -> list[Document]:
    """Return rows as they come back: the keys in the order scim, auth0, whatever was sent (recorded, Terraform provider)."""
    return [{"scim": row["scim"], "auth0": row["auth0"]} for row in rows]


@needs("PATCH", _SCIM, "update:scim_config", body=rules.CHANGED_SCIM)
def patch_scim_configuration(world: World, call: Call) -> Answer:
    """Replace both fields; `updated_on` moves, `created_at` stays (recorded)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    if found is None:
        return NOT_CONFIGURED
    body = call.json()
    if not _is_one_to_one(body["mapping"]):
        return INVALID_MAPPING
    found.configuration.update({**body, "mapping": _stored(body["mapping"])}, updated_on=world.clock.auth0())
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


@needs("POST", f"{_SCIM}/tokens", "create:scim_token", body=rules.NEW_TOKEN)
def post_token(world: World, call: Call) -> Answer:
    """Make a token; its text is answered this once. A third is a 409 (API description)."""
    if call.params["id"] not in world.auth0.connections:
        return NO_CONNECTION
    found = world.auth0.provisioning.get(call.params["id"])
    if found is None:
        return NOT_CONFIGURED
    body = call.json() or {}
    now, expired_count = world.clock.auth0(), world.switches["expired_tokens_count"]
    if sum(expired_count or token.get("valid_until", "9") > now for token in found.tokens) >= 2:
        return error(409, "Maximum of 2 tokens already issued for this connection")
    made, text = new_token(world, body.get("scopes") or list(rules.SCIM_SCOPES), body.get("token_lifetime"))
    found.tokens.append(made)
    found.token_values[made["token_id"]] = text
    return Answer(201, {"token_id": made["token_id"], "token": text, **{k: v for k, v in made.items() if k != "token_id"}})


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
