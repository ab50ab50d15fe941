"""What the Management API does beyond its shapes: scopes, hidden options, searches. Sources in sandbox/README.md."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.world import Auth0Client, Document, World


class Management:
    """The token endpoint and the Management API of one world, without sockets."""

    def __init__(self) -> None:
        self.world: World = build_world(7, auth0_domain="localhost:1")
        self.simulation = simulate(self.world)
        self.everything, self.without_options = self.world.auth0.clients.values()

    def token(self, client: Auth0Client, **changes: str) -> Answer:
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
        body = urlencode({**form, "audience": "https://localhost:1/api/v2/", **changes}).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.simulation.handle(Call("auth0", "POST", "/oauth/token", headers=headers, body=body)).answer

    def __call__(self, method: str, path: str, body: Any = None, query: str = "", client: Auth0Client | None = None) -> Answer:
        headers = {"authorization": f"Bearer {self.token(client or self.everything).body['access_token']}"}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return self.simulation.handle(Call("auth0", method, f"/api/v2{path}", query, headers, content)).answer

    def connection(self, name: str) -> Document:
        return next(entry for entry in self.world.auth0.connections.values() if entry["name"] == name)


@pytest.fixture
def auth0() -> Management:
    return Management()


def test_a_token_names_its_scopes_and_carries_them(auth0: Management) -> None:
    answer = auth0.token(auth0.everything)
    claims = json.loads(base64.urlsafe_b64decode(answer.body["access_token"].split(".")[1] + "=="))
    now = int(auth0.world.clock.timestamp())
    assert claims == {
        "iss": "https://localhost:1/",
        "sub": f"{auth0.everything.client_id}@clients",
        "aud": "https://localhost:1/api/v2/",
        "iat": now,
        "exp": now + 86_400,
        "scope": " ".join(auth0.everything.scopes),
        "gty": "client-credentials",
        "azp": auth0.everything.client_id,
    }
    assert (answer.body["scope"], answer.body["expires_in"]) == (claims["scope"], 86_400)


def test_a_token_opens_nothing_after_a_day(auth0: Management) -> None:
    headers = {"authorization": f"Bearer {auth0.token(auth0.everything).body['access_token']}"}
    call = Call("auth0", "GET", "/api/v2/clients", headers=headers)
    assert auth0.simulation.handle(call).answer.status == 200
    auth0.world.clock.advance(86_400)
    answer = auth0.simulation.handle(call).answer
    assert (answer.status, answer.body["errorCode"]) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "access_denied"),
        ({"client_id": "unknown"}, 401, "access_denied"),
        ({"audience": "https://localhost:1/api/v2"}, 403, "access_denied"),
        ({"audience": "https://other.auth0.com/api/v2/"}, 403, "access_denied"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_sign_in_is_refused_in_oauths_shape(auth0: Management, changes: dict[str, str], status: int, code: str) -> None:
    answer = auth0.token(auth0.everything, **changes)
    assert (answer.status, answer.body["error"], set(answer.body)) == (status, code, {"error", "error_description"})


@pytest.mark.parametrize("body", [b"[]", b"{", b"null"])
def test_a_sign_in_that_is_no_form_is_refused(auth0: Management, body: bytes) -> None:
    call = Call("auth0", "POST", "/oauth/token", headers={"content-type": "application/json"}, body=body)
    answer = auth0.simulation.handle(call).answer
    assert (answer.status, answer.body["error"]) == (400, "invalid_request")


def test_options_are_hidden_without_their_scope_and_everything_else_is_not(auth0: Management) -> None:
    path = f"/connections/{auth0.connection('fresh-azure-ad')['id']}"
    whole = auth0("GET", path).body
    hidden = auth0("GET", path, client=auth0.without_options)
    assert (hidden.status, hidden.body) == (200, {key: value for key, value in whole.items() if key != "options"})
    assert {"options"} & set().union(*auth0("GET", "/connections", client=auth0.without_options).body) == set()
    answer = auth0("PATCH", path, {"display_name": "x"}, client=auth0.without_options)
    assert (answer.status, "options" in answer.body) == (200, False)
    assert auth0.connection("fresh-azure-ad")["options"] == whole["options"]


@pytest.mark.parametrize(
    "body",
    [
        {"id": "con_x"},
        {"name": "renamed"},
        {"strategy": "oidc", "options": {}},
        {"provisioning_ticket_url": "https://x"},
        {},
        {"options": []},
        {"options": {"userid_attribute": "upn"}},
        {"options": {"set_user_root_attributes": "sometimes"}},
        {"options": {"useCommonEndpoint": "false"}},
        [],
        None,
        b"{",
    ],
)
def test_a_patch_outside_the_description_is_refused_and_changes_nothing(auth0: Management, body: Any) -> None:
    before = copy.deepcopy(auth0.connection("fresh-azure-ad"))
    answer = auth0("PATCH", f"/connections/{before['id']}", body)
    assert (answer.status, answer.body["errorCode"]) == (400, "invalid_body")
    assert auth0.connection("fresh-azure-ad") == before


def test_the_common_endpoint_is_mirrored_and_shuts_scim_out_in_both_directions(auth0: Management) -> None:
    common = auth0.connection("common-endpoint-azure-ad")
    path = f"/connections/{common['id']}"
    assert auth0("POST", f"{path}/scim-configuration").status == 400
    off = auth0("PATCH", path, {"options": {**common["options"], "useCommonEndpoint": False}}).body["options"]
    assert (off["useCommonEndpoint"], off["waad_common_endpoint"]) == (False, False)
    assert auth0("POST", f"{path}/scim-configuration").status == 201
    assert auth0("PATCH", path, {"options": {**off, "useCommonEndpoint": True}}).status == 400


def test_a_switch_from_object_ids_to_subjects_is_not_guarded(auth0: Management) -> None:
    connection = auth0.connection("oid-with-users-azure-ad")
    options = {**connection["options"], "userid_attribute": "sub"}
    assert auth0("PATCH", f"/connections/{connection['id']}", {"options": options}).status == 200
    assert auth0.connection("oid-with-users-azure-ad")["options"]["userid_attribute"] == "sub"


def test_each_way_of_paging_finds_every_connection_once(auth0: Management) -> None:
    everyone = [entry["name"] for entry in auth0("GET", "/connections").body]
    assert sorted(everyone) == sorted(entry["name"] for entry in auth0.world.auth0.connections.values())
    offsets, page = [], 0
    while part := auth0("GET", "/connections", None, f"page={page}&per_page=3").body:
        offsets += [entry["name"] for entry in part]
        page += 1
    checkpoints, query = [], "take=3"
    while True:
        body = auth0("GET", "/connections", None, query).body
        checkpoints += [entry["name"] for entry in body["connections"]]
        if "next" not in body:
            break
        query = f"take=3&from={body['next']}"
    assert offsets == checkpoints == everyone
    totals = auth0("GET", "/connections", None, "strategy=waad&include_totals=true&per_page=2").body
    assert {key: value for key, value in totals.items() if key != "connections"} == {"total": 9, "start": 0, "limit": 2}


@pytest.mark.parametrize(
    "query", ["per_page=0", "per_page=101", "per_page=x", "page=-1", "take=0", "take=101", "colour=red", "sort=x"]
)
def test_a_query_that_is_not_known_is_refused_loudly(auth0: Management, query: str) -> None:
    answer = auth0("GET", "/connections", None, query)
    assert (answer.status, answer.body["errorCode"]) == (400, "invalid_query_string")


def test_fields_choose_what_is_answered(auth0: Management) -> None:
    path = f"/connections/{auth0.connection('fresh-azure-ad')['id']}"
    assert auth0("GET", path, None, "fields=name,strategy").body == {"name": "fresh-azure-ad", "strategy": "waad"}
    assert "options" not in auth0("GET", path, None, "fields=options&include_fields=false").body
    [user] = auth0("GET", "/users-by-email", None, "email=owner@acme.example&fields=name").body
    assert user == {"name": "Owner"}


def test_users_are_searched_by_connection_and_by_mail(auth0: Management) -> None:
    of_fresh = auth0("GET", "/users", None, "q=identities.connection:%22fresh-azure-ad%22&include_totals=true&per_page=1").body
    assert (of_fresh["total"], len(of_fresh["users"])) == (13, 1)
    query = "q=identities.connection:%22fresh-azure-ad%22 AND email:%22Adele.Vance@fresh.example%22"
    [found] = auth0("GET", "/users", None, query).body
    assert found["name"] == "Adele Vance"
    assert auth0("GET", "/users", None, "q=email:*vance*").status == 400


def test_a_user_is_read_with_its_bar_in_the_address_changed_and_deleted(auth0: Management) -> None:
    user_id = next(key for key, user in auth0.world.auth0.users.items() if user.get("email") == "adele.vance@fresh.example")
    assert auth0("GET", f"/users/{user_id}").body["identities"][0]["connection"] == "fresh-azure-ad"
    auth0("PATCH", f"/users/{user_id}", {"app_metadata": {"a": 1}})
    after = auth0("PATCH", f"/users/{user_id}", {"blocked": True, "app_metadata": {"b": 2}}).body
    assert (after["blocked"], after["app_metadata"]) == (True, {"a": 1, "b": 2})
    assert auth0("DELETE", f"/users/{user_id}").status == 403
    assert auth0("GET", "/users/waad|nobody").body["errorCode"] == "inexistent_user"


@pytest.mark.parametrize("lifetime", [900, 0, -1, "3600", True, 901.5])
def test_a_lifetime_that_is_not_over_900_seconds_is_refused(auth0: Management, lifetime: Any) -> None:
    path = f"/connections/{auth0.connection('half-done-azure-ad')['id']}/scim-configuration/tokens"
    assert auth0("POST", path, {"scopes": ["get:users"], "token_lifetime": lifetime}).status == 400
    assert auth0("GET", path).body == []


def test_a_token_ends_when_its_lifetime_says(auth0: Management) -> None:
    path = f"/connections/{auth0.connection('half-done-azure-ad')['id']}/scim-configuration/tokens"
    made = auth0("POST", path, {"scopes": ["get:users"], "token_lifetime": 86_400}).body
    assert (made["created_at"][:10], made["valid_until"][:10]) == ("2026-01-05", "2026-01-06")
    assert made["created_at"][10:] == made["valid_until"][10:]
    assert "valid_until" not in auth0("POST", path, {"scopes": ["get:users"], "token_lifetime": None}).body


@pytest.mark.parametrize(
    "body", [{"scopes": []}, {"scopes": ["read:users"]}, {"scopes": "get:users"}, {"name": "x"}, [], 0, False, "", b"null"]
)
def test_a_token_request_outside_the_description_is_refused(auth0: Management, body: Any) -> None:
    path = f"/connections/{auth0.connection('half-done-azure-ad')['id']}/scim-configuration/tokens"
    assert (auth0("POST", path, body).status, auth0("GET", path).body) == (400, [])


def test_logs_are_found_by_type_and_connection_newest_first(auth0: Management) -> None:
    ids = [auth0.connection(name)["id"] for name in ("fresh-azure-ad", "half-done-azure-ad")]
    for connection_id in (*ids, ids[0]):
        auth0.simulation.handle(Call("scim", "GET", f"/scim/v2/connections/{connection_id}/Users"))
    rows = auth0("GET", "/logs", None, f'q=type:fscim AND connection_id:"{ids[0]}"').body
    assert [row["details"]["connection_id"] for row in rows] == [ids[0], ids[0]]
    assert rows[0]["date"] > rows[1]["date"]
    assert auth0("GET", "/logs", None, "q=type:sscim").body == []
    assert auth0("GET", "/logs", None, "q=user_id:x").status == 400
    after = auth0("GET", "/logs", None, f"from={rows[1]['log_id']}&take=1").body
    assert [row["details"]["connection_id"] for row in after] == [ids[1]]


def test_a_log_search_takes_either_of_two_types_in_the_order_asked_for(auth0: Management) -> None:
    connection_id = auth0.connection("complete-azure-ad")["id"]
    provisioning = auth0.simulation.world.auth0.provisioning[connection_id]
    [token] = provisioning.token_values.values()
    for headers in ({}, {"authorization": f"Bearer {token}"}):
        auth0.simulation.handle(Call("scim", "GET", f"/scim/v2/connections/{connection_id}/Users", headers=headers))
    either = "q=type:sscim OR type:fscim"
    newest, oldest = (auth0("GET", "/logs", None, f"{either}&sort=date:{order}&per_page=100").body for order in ("-1", "1"))
    assert [row["type"] for row in newest] == ["sscim", "fscim"]
    assert oldest == newest[::-1]
    both = f'q=(type:sscim OR type:fscim) AND connection_id:"{connection_id}"'
    assert auth0("GET", "/logs", None, both).body == newest
    assert auth0("GET", "/logs", None, f"{either}&page=1&per_page=1").body == newest[1:]
    assert auth0("GET", "/logs", None, f"{either}&sort=colour:1").status == 400


def test_defaults_of_other_strategies_are_not_made_up(auth0: Management) -> None:
    path = f"/connections/{auth0.connection('okta-saml')['id']}/scim-configuration"
    refused = auth0("POST", path)
    assert (refused.status, refused.headers["x-sandbox"]) == (501, "not simulated")
    assert auth0("GET", f"{path}/default-mapping").status == 501
    body = {"user_id_attribute": "userName", "mapping": [{"scim": "userName", "auth0": "email"}]}
    assert auth0("POST", path, body).body["mapping"] == body["mapping"]
