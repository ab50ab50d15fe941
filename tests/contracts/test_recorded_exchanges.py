"""Exchanges recorded against live tenants, restated or replayed, and what the sandbox answers to the same requests."""

from __future__ import annotations

import json

import pytest

from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.graph.errors import no_patch_of_schema


@pytest.fixture
def auth0(sandbox):
    """Call the Management API with every scope: auth0("GET", path, body) -> (status, body)."""
    client = next(iter(sandbox.world.auth0.clients.values()))
    audience = f"https://{sandbox.world.auth0.domain}/api/v2/"
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    call = Call(
        "auth0",
        "POST",
        "/oauth/token",
        "",
        {"content-type": "application/json"},
        json.dumps({**form, "audience": audience}).encode(),
    )
    token = sandbox.simulation.handle(call).answer.body["access_token"]

    def send(method, path, body=None, query=""):
        content = b"" if body is None else json.dumps(body).encode()
        answer = sandbox.simulation.handle(
            Call("auth0", method, path, query, {"authorization": f"Bearer {token}"}, content)
        ).answer
        return answer.status, answer.body

    return send


@pytest.fixture
def waad(sandbox):
    connection = next(c for c in sandbox.world.auth0.connections.values() if c["name"] == "fresh-azure-ad")
    return f"/api/v2/connections/{connection['id']}"


# auth0/terraform-provider-auth0, test/data/recordings/TestAccSCIMConfiguration.yaml, interactions 0, 3 and 17
UNKNOWN = {
    "statusCode": 404,
    "error": "Not Found",
    "message": "The connection does not exist",
    "errorCode": "inexistent_connection",
}


def test_scim_configuration_of_an_unknown_connection(auth0):
    assert auth0("POST", "/api/v2/connections/con_xxxxxxxxxxxxxxxx/scim-configuration") == (404, UNKNOWN)


def test_scim_configuration_of_a_database_connection(auth0, sandbox):
    database = next(c["id"] for c in sandbox.world.auth0.connections.values() if c["strategy"] == "auth0")
    status, body = auth0("POST", f"/api/v2/connections/{database}/scim-configuration")
    assert (status, "errorCode" in body, body["message"][:44]) == (404, False, "This connection type does not support SCIM. ")


def test_scim_configuration_that_is_not_there(auth0, waad):
    assert auth0("GET", f"{waad}/scim-configuration") == (404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})


# the same repository, TestAccSCIMToken.yaml, interactions 2, 4, 5 and 9
def test_a_configuration_and_a_token_are_made_listed_and_deleted(auth0, waad):
    status, made = auth0("POST", f"{waad}/scim-configuration")
    assert (status, len(made["mapping"]), made["user_id_attribute"], made["strategy"]) == (201, 30, "externalId", "waad")
    assert set(made) == {
        "tenant_name", "connection_id", "connection_name", "strategy", "mapping", "updated_on", "created_at", "user_id_attribute",
    }  # fmt: skip
    status, token = auth0("POST", f"{waad}/scim-configuration/tokens", {"scopes": ["get:users", "post:users"]})
    assert (status, set(token)) == (201, {"token_id", "token", "scopes", "created_at"})
    assert token["token"].startswith(f"{token['token_id']}.")
    listed = {key: value for key, value in token.items() if key != "token"}
    assert auth0("GET", f"{waad}/scim-configuration/tokens") == (200, [listed])
    assert auth0("DELETE", f"{waad}/scim-configuration/tokens/{token['token_id']}") == (204, None)
    assert auth0("GET", f"{waad}/scim-configuration/tokens") == (200, [])


# auth0/go-auth0 v1, TestConnectionManager_DeleteSCIMConfiguration.yaml, interactions 2 and 4
def test_deleting_a_configuration_twice(auth0, waad, sandbox):
    client = next(iter(sandbox.world.auth0.access_tokens.values()))
    client["scopes"] = (*client["scopes"], "delete:scim_config")
    auth0("POST", f"{waad}/scim-configuration")
    assert [auth0("DELETE", f"{waad}/scim-configuration")[0] for _ in range(2)] == [204, 204]


# Management API description: 400, 409 and the closed schema of PATCH (auth0-deploy-cli issue 1290)
def test_what_the_description_refuses(auth0, waad):
    auth0("POST", f"{waad}/scim-configuration")
    assert auth0("POST", f"{waad}/scim-configuration")[0] == 400
    assert auth0("POST", f"{waad}/scim-configuration/tokens", {"scopes": ["get:users"], "token_lifetime": 900})[0] == 400
    for _ in range(2):
        assert auth0("POST", f"{waad}/scim-configuration/tokens", {"scopes": ["get:users"]})[0] == 201
    status, body = auth0("POST", f"{waad}/scim-configuration/tokens", {"scopes": ["get:users"]})
    assert (status, body["message"]) == (409, "Maximum of 2 tokens already issued for this connection")
    status, body = auth0("PATCH", waad, {"enabled_clients_x": []})
    assert (status, body["errorCode"]) == (400, "invalid_body")


# terraform-provider-auth0, TestAccConnectionAzureAD.yaml, interaction 5: what the PATCH left out is gone
def test_patch_replaces_options_and_resets_the_display_name(auth0, waad):
    _, before = auth0("GET", waad)
    kept = {key: value for key, value in before["options"].items() if key != "strategy_version"}
    status, after = auth0("PATCH", waad, {"options": {**kept, "userid_attribute": "sub"}})
    assert (status, after["options"]) == (200, {**kept, "userid_attribute": "sub"})
    assert after["display_name"] == before["name"] != before["display_name"]


# microsoftgraph/msgraph-sdk-python issue 820
def test_patch_of_a_schema_is_answered_with_json_inside_the_message(sandbox):
    error = no_patch_of_schema(sandbox.world, "sp", "job").body["error"]
    assert error["code"] == "UnknownError"
    assert json.loads(error["message"])["Message"].startswith("No HTTP resource was found that matches the request URI")


def test_recorded_bodies_have_the_keys_that_the_sandbox_answers(contracts, auth0, waad):
    """The recordings themselves: create a configuration, make a token, list, read the connection."""
    recorded = {
        entry["title"]: entry for entry in json.loads((contracts / "auth0" / "recorded-examples.json").read_text())["examples"]
    }
    replays = {
        "create SCIM configuration with EMPTY body on waad: defaults": ("POST", "/scim-configuration"),
        "create SCIM token (no lifetime): token returned once": ("POST", "/scim-configuration/tokens"),
        "list SCIM tokens: bare array, no token value, no last_used_at before use": ("GET", "/scim-configuration/tokens"),
    }
    for title, (method, path) in replays.items():
        known = recorded[title]
        status, body = auth0(method, waad + path, known["request"]["body"])
        want = known["response"]["body"]
        first, wanted = (body[0], want[0]) if isinstance(want, list) else (body, want)
        assert (status, set(first)) == (known["response"]["status"], set(wanted)), title
