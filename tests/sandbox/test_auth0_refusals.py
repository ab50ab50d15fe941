"""What Auth0's description forbids, over HTTPS: bodies, queries, addresses; and no input crashes. Sources: sandbox/README.md."""

from __future__ import annotations

import copy
import json

import pytest

from runbook_lib.sandbox.auth0 import default_mapping

ROWS = default_mapping.rows()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "'Too few properties defined (0), minimum 1'"),
        ({"display_name": 5}, "'Expected type string but found type integer' on property display_name"),
        ({"display_name": "x" * 129}, "'String is too long (129 chars), maximum 128' on property display_name"),
        ({"is_domain_connection": "x"}, "'Expected type boolean but found type string' on property is_domain_connection"),
        ({"metadata": "x"}, "'Expected type object but found type string' on property metadata"),
        ({"metadata": {str(n): "" for n in range(11)}}, "'Too many properties defined (11), maximum 10' on property metadata"),
        ({"metadata": {"a": "x" * 256}}, "'String is too long (256 chars), maximum 255' on property metadata.a"),
        ({"authentication": {}}, "'Missing required property: active' on property authentication"),
        ({"enabled_clients": [1]}, "'Expected type string but found type integer' on property enabled_clients.0"),
        ({"name": "x"}, "'Additional properties not allowed: name'"),
        ({"options": []}, "'Expected type object or null but found type array' on property options"),
        ({"options": {"scope": "x"}}, "'Expected type array or null but found type string' on property options.scope"),
        ({"options": {"userid_attribute": "upn"}}, "'No enum match for: upn' on property options.userid_attribute"),
        ({"options": {"use_wsfed": 0}}, "'Expected type boolean but found type integer' on property options.use_wsfed"),
        ({"options": {"ext_groups": None}}, "'Expected type boolean but found type null' on property options.ext_groups"),
        ({"options": {"upstream_params": {"x": {"alias": "y"}}}},
         "'No enum match for: y' on property options.upstream_params.x.alias"),
    ],
)  # fmt: skip
def test_a_connection_takes_only_what_is_described(management, body, message):
    before = copy.deepcopy(management.connection())
    assert management.refusal("PATCH", management.path(), body) == (400, "invalid_body", f"Payload validation error: {message}.")
    assert management.connection() == before


def test_options_are_checked_by_the_connections_strategy(management):
    """Another strategy may call an option so: the type of waad's is waad's alone."""
    assert management("PATCH", management.path("okta-saml"), {"options": {"domain_aliases": "x"}}).status_code == 200


def test_null_for_options_is_described_and_leaves_none(management):
    answer = management("PATCH", management.path(), {"options": None}).json()
    assert answer["options"] == {"useCommonEndpoint": False, "waad_common_endpoint": False}


@pytest.mark.parametrize(
    "body",
    [{"user_id_attribute": 5, "mapping": ROWS}, {"user_id_attribute": "externalId", "mapping": {}},
     {"user_id_attribute": "externalId", "mapping": [{"scim": 1, "auth0": "x"}]}, {"mapping": ROWS, "user_id_attribute": None},
     {"user_id_attribute": "externalId"}, [], "x"],
)  # fmt: skip
def test_a_scim_configuration_takes_only_what_is_described(management, body):
    path = f"{management.path('half-done-azure-ad')}/scim-configuration"
    before = management("GET", path).json()
    assert management.refusal("PATCH", path, body)[:2] == (400, "invalid_body")
    assert management("GET", path).json() == before
    if body != {"user_id_attribute": "externalId"}:
        assert management.refusal("POST", f"{management.path()}/scim-configuration", body)[:2] == (400, "invalid_body")


@pytest.mark.parametrize(
    "rows",
    [[{"scim": "title", "auth0": "a"}, {"scim": "title", "auth0": "b"}],
     [{"scim": "a", "auth0": "name"}, {"scim": "b", "auth0": "name"}], [{"scim": "title"}],
     [{"scim": "", "auth0": "name"}], [{}]],
)  # fmt: skip
def test_a_mapping_is_one_to_one(management, rows):
    path = f"{management.path('half-done-azure-ad')}/scim-configuration"
    body = {"user_id_attribute": "externalId", "mapping": rows}
    assert management.refusal("PATCH", path, body) == (400, "", "Invalid mapping provided")
    assert management.refusal("POST", f"{management.path()}/scim-configuration", body) == (400, "", "Invalid mapping provided")


def test_rows_come_back_with_their_keys_in_the_recorded_order(management):
    path = f"{management.path('half-done-azure-ad')}/scim-configuration"
    sent = [{"auth0": row["auth0"], "scim": row["scim"]} for row in ROWS]
    answer = management("PATCH", path, {"mapping": sent, "user_id_attribute": "externalId"}).text
    assert json.dumps(ROWS, separators=(",", ":")) in answer
    assert json.dumps(ROWS, separators=(",", ":")) in management("GET", path).text


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/connections", {"from": "abc"}), ("/connections", {"strategy": "azure"}), ("/connections", {"include_totals": "maybe"}),
        ("/connections-scim-configurations", {"from": "abc"}), ("/connections-scim-configurations", {"take": "0"}),
        ("/users", {"search_engine": "v9"}), ("/users", {"per_page": "101"}), ("/users", {"page": "x"}),
        ("/users", {"color": "red"}),
        ("/users-by-email", {}), ("/clients", {"is_global": "1"}), ("/logs", {"take": "101"}), ("/logs", {"per_page": "1e2"}),
    ],
)  # fmt: skip
def test_a_query_takes_only_what_is_described(management, path, query):
    assert management.refusal("GET", path, **query)[:2] == (400, "invalid_query_string")


def test_an_address_that_is_too_long_is_a_414(management):
    any_of = " OR ".join(f'email:"someone-{n}@fresh.example"' for n in range(300))
    assert management("GET", "/users", q=f"({any_of})").status_code == 414


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/scim-configuration/tokens", {"token_lifetime": 10**12}),
        ("POST", "/scim-configuration/tokens", {"token_lifetime": 1e400}),
        ("POST", "/scim-configuration/tokens", b"\xff\xfe"),
        ("POST", "/scim-configuration", b"\x00"),
        ("PATCH", "", b"[" * 100_000),
        ("PATCH", "", b'{"options": {"x": ' + b"[" * 400 + b"]" * 400 + b"}}"),
        ("PATCH", "", b'{"display_name": NaN}'),
        ("PATCH", "", b'{"options": {"client_id": "\\ud800"}}'),
    ],
)
def test_no_body_crashes_the_service(management, method, path, body):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    answer = management(method, management.path("half-done-azure-ad") + path, body)
    assert answer.status_code in (200, 201, 400)
    assert isinstance(answer.json(), dict)


@pytest.mark.parametrize(("is_counted", "status"), [(True, 409), (False, 201)])
def test_an_expired_token_counts_towards_two_by_a_switch(management, control, is_counted, status):
    path = f"{management.path('half-done-azure-ad')}/scim-configuration/tokens"
    for _ in range(2):
        assert management("POST", path, {"scopes": ["get:users"], "token_lifetime": 901}).status_code == 201
    control("POST", "/clock", {"advance_s": 902})
    control("POST", "/world", {"expired_tokens_count": is_counted})
    assert management("POST", path, {"scopes": ["get:users"]}).status_code == status


def test_an_application_without_a_grant_is_told_so(management, sandbox):
    client = next(iter(sandbox.world.auth0.clients.values()))
    client.has_grant = False
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    domain = sandbox.world.auth0.domain
    answer = management.session.post(
        f"https://{domain}/oauth/token", json={**form, "audience": f"https://{domain}/api/v2/"}, timeout=10
    )
    assert (answer.status_code, answer.json()["error"]) == (403, "access_denied")
    assert answer.json()["error_description"].startswith(f'Client is not authorized to access "https://{domain}/api/v2/".')


def test_routes_that_other_clients_ask_for(management):
    path = management.path()
    assert management("GET", f"{path}/clients").json() == {"clients": []}
    assert management("PATCH", f"{path}/clients", [{"client_id": "abc", "status": True}]).status_code == 204
    assert management("GET", f"{path}/clients").json() == {"clients": [{"client_id": "abc"}]}
    assert management("PATCH", f"{path}/clients", [{"client_id": "abc", "status": False}]).status_code == 204
    assert management("GET", f"{path}/clients").json() == {"clients": []}
    assert management("GET", f"{path}/status").status_code == 200
    assert management("GET", "/connections/con_x/status").status_code == 404
    assert management("GET", "/connections-directory-provisionings").json() == {"directory_provisionings": []}
    assert management.refusal("DELETE", f"{path}/users", email="x@x.example")[::2] == (
        400,
        "Connection must be a database connection",
    )
    assert management.refusal("GET", "/logs/nothing")[:2] == (404, "inexistent_log")
    assert management("PUT", path).headers["Allow"] == "GET, PATCH, DELETE"


def test_a_connection_is_made_once_and_deleted_with_its_users(management):
    body = {"name": "new-azure-ad", "strategy": "waad", "options": {"client_id": "x", "userid_attribute": "oid"}}
    made = management("POST", "/connections", body)
    assert (made.status_code, made.json()["realms"], made.json()["options"]["waad_common_endpoint"]) == (
        201,
        ["new-azure-ad"],
        False,
    )
    assert management.refusal("POST", "/connections", body)[0] == 409
    assert management.refusal("POST", "/connections", {**body, "name": "a b"})[:2] == (400, "invalid_body")
    assert management.refusal("POST", "/connections", {**body, "name": "b", "options": {"userid_attribute": "x"}})[0] == 400
    user = management.user()
    assert management("DELETE", management.path()).status_code == 202
    assert user["user_id"] not in management.world.auth0.users
    assert management("DELETE", "/connections/con_x").status_code == 204
