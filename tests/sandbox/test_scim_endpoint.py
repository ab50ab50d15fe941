"""Auth0's SCIM endpoint, called without sockets. Sources: configure-inbound-scim (Auth0 docs), RFC 7644 where Auth0 is silent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from runbook_lib.sandbox.auth0.routes import new_configuration, new_token
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.world import Document, ScimProvisioning, World

MAIL = 'emails[type eq "work"].value'
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
THREE = ("get:users", "patch:users", "delete:users")


@dataclass
class Endpoint:
    """The endpoint of one connection, with a token for it."""

    world: World
    connection: Document
    token: str

    def __post_init__(self) -> None:
        self.simulation = simulate(self.world)

    def __call__(self, method: str, path: str, body: Any = None, query: str = "", **changes: Any) -> Answer:
        headers = {"authorization": f"Bearer {changes.get('token', self.token)}", "user-agent": "test"}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        address = f"/scim/v2/connections/{changes.get('connection', self.connection)['id']}{path}"
        return self.simulation.handle(Call("scim", method, address, query, headers, content, "https://localhost:1")).answer

    def found(self, text: str) -> list[str]:
        """The ids of the users that a filter finds."""
        answer = self("GET", "/Users", query=f"filter={quote(text)}")
        assert answer.status == 200, answer.body
        assert answer.body["totalResults"] == len(answer.body["Resources"])
        return [user["id"] for user in answer.body["Resources"]]

    def patch(self, user: Document, *operations: Document) -> Answer:
        return self("PATCH", f"/Users/{user['user_id']}", {"schemas": [], "Operations": list(operations)})


def connection_of(world: World, name: str) -> Document:
    return next(c for c in world.auth0.connections.values() if c["name"] == f"{name}-azure-ad")


def endpoint_of(world: World, name: str, scopes: tuple[str, ...] = THREE, lifetime_s: int | None = None) -> Endpoint:
    connection = connection_of(world, name)
    side = world.auth0.provisioning.setdefault(connection["id"], ScimProvisioning(new_configuration(world, connection, {})))
    document, text = new_token(world, list(scopes), lifetime_s)
    side.tokens.append(document)
    side.token_values[document["token_id"]] = text
    return Endpoint(world, connection, text)


@pytest.fixture
def world() -> World:
    return build_world(7, auth0_domain="localhost:1")


@pytest.fixture
def scim(world: World) -> Endpoint:
    return endpoint_of(world, "fresh")


@pytest.fixture
def adele(world: World) -> Document:
    return next(user for user in world.auth0.users.values() if user.get("email") == "adele.vance@fresh.example")


def test_a_user_shows_its_mapped_attributes_and_only_those(scim: Endpoint, adele: Document) -> None:
    answer = scim("GET", f"/Users/{adele['user_id']}")
    assert (answer.status, answer.content_type) == (200, "application/scim+json; charset=utf-8")
    assert answer.body == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": adele["user_id"],
        "active": True,
        "emails": [{"type": "work", "value": "adele.vance@fresh.example"}],
        "displayName": "Adele Vance",
        "name": {"givenName": "Adele", "familyName": "Vance"},
        "nickName": "adele",
        "meta": {
            "resourceType": "User",
            "location": f"https://localhost:1/scim/v2/connections/{scim.connection['id']}"
            f"/Users/{quote(adele['user_id'], safe='')}",
        },
    }


def test_filters_match_mapped_attributes_joined_by_and_and_or(scim: Endpoint, adele: Document) -> None:
    wanted = [adele["user_id"]]
    assert scim.found(f'{MAIL} eq "nobody@fresh.example" or displayName eq "Adele Vance"') == wanted
    assert scim.found('name.givenName eq "Adele" and name.familyName eq "Vance"') == wanted
    assert scim.found('name.givenName eq "Adele" and name.familyName eq "Wilber"') == []
    assert scim.found('externalId eq "11111111-1111-4111-8111-111111111111"') == []


def test_a_filter_with_another_operator_is_an_invalid_filter(scim: Endpoint) -> None:
    for text in ('userName sw "a"', "active pr", 'not (userName eq "a")', "userName eq"):
        answer = scim("GET", "/Users", query=f"filter={quote(text)}")
        assert (answer.status, answer.body["scimType"], answer.body["status"]) == (400, "invalidFilter", "400"), text


def test_a_list_is_paged_from_one_and_ignores_entras_flag(scim: Endpoint) -> None:
    everybody = scim("GET", "/Users", query="aadOptscim062020").body
    assert (everybody["totalResults"], everybody["startIndex"], everybody["itemsPerPage"]) == (13, 1, 13)
    page = scim("GET", "/Users", query="startIndex=12&count=5").body
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (13, 12, 2)
    assert page["Resources"] == everybody["Resources"][11:]


def test_users_of_other_connections_are_invisible(scim: Endpoint, world: World) -> None:
    foreign = next(user for user in world.auth0.users.values() if user.get("email") == "Adele.Vance@half-done.example")
    assert scim.found(f'{MAIL} eq "{foreign["email"]}"') == []
    for method in ("GET", "DELETE"):
        assert scim(method, f"/Users/{foreign['user_id']}").status == 404
    assert scim.patch(foreign, {"op": "replace", "path": "active", "value": False}).status == 404
    assert foreign == world.auth0.users[foreign["user_id"]]
    assert "blocked" not in foreign


def test_the_old_patch_dialect_sets_texts_and_texts_for_booleans(scim: Endpoint, adele: Document, world: World) -> None:
    answer = scim.patch(
        adele,
        {"op": "Add", "path": "externalId", "value": "oid-1"},
        {"op": "Replace", "path": MAIL, "value": "adele@new.example"},
        {"op": "Replace", "path": "name.familyName", "value": "Vancova"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Sales"},
        {"op": "Replace", "path": "active", "value": "False"},
    )
    assert (answer.status, answer.body["active"], answer.body[ENTERPRISE]) == (200, False, {"department": "Sales"})
    changed = {
        "email": "adele@new.example",
        "family_name": "Vancova",
        "blocked": True,
        "app_metadata": {"external_id": "oid-1", "department": "Sales"},
        "updated_at": world.clock.auth0(),
    }
    assert world.auth0.users[adele["user_id"]] == {**adele, **changed}
    assert scim.found('externalId eq "oid-1"') == [adele["user_id"]]


def test_the_compliant_dialect_sets_dotted_keys_of_one_value(scim: Endpoint, adele: Document, world: World) -> None:
    values = {"displayName": "A. V.", "name.givenName": "A.", f"{ENTERPRISE}:costCenter": "7", "active": False}
    assert scim.patch(adele, {"op": "replace", "value": values}).status == 200
    after = world.auth0.users[adele["user_id"]]
    assert (after["name"], after["given_name"], after["blocked"]) == ("A. V.", "A.", True)
    assert after["app_metadata"] == {"cost_center": "7"}
    assert scim.patch(adele, {"op": "replace", "path": "active", "value": True}).body["active"] is True
    assert world.auth0.users[adele["user_id"]]["blocked"] is False


def test_nested_values_count_by_their_full_paths(scim: Endpoint, adele: Document, world: World) -> None:
    emails = [{"type": "work", "value": "a@b.example", "primary": True}]
    operations = (
        {"op": "replace", "path": "emails", "value": emails},
        {"op": "replace", "path": "name", "value": {"givenName": "Ada"}},
        {"op": "add", "value": {ENTERPRISE: {"division": "North"}}},
    )
    assert scim.patch(adele, *operations).status == 200
    after = world.auth0.users[adele["user_id"]]
    assert (after["email"], after["given_name"], after["app_metadata"]) == ("a@b.example", "Ada", {"division": "North"})


def test_unmapped_attributes_are_ignored(scim: Endpoint, adele: Document, world: World) -> None:
    scim.patch(adele, {"op": "add", "path": "roles", "value": "admin"}, {"op": "replace", "value": {"password": "x", "id": "y"}})
    assert world.auth0.users[adele["user_id"]] == {**adele, "updated_at": world.clock.auth0()}


def test_removing_a_value_removes_it_and_removing_active_blocks_nobody(scim: Endpoint, adele: Document, world: World) -> None:
    scim.patch(adele, {"op": "Remove", "path": "nickName"}, {"op": "Remove", "path": "active"})
    after = world.auth0.users[adele["user_id"]]
    assert ("nickname" in after, after.get("blocked", False)) == (False, False)


def test_a_refused_patch_changes_nothing(scim: Endpoint, adele: Document, world: World) -> None:
    good = {"op": "replace", "path": "active", "value": False}
    bad: list[Any] = [
        {"Operations": [good, {"op": "move", "path": "active", "value": True}]},
        {"Operations": [good, {"op": "replace", "value": "no path"}]},
        {"Operations": [good, "text"]},
        {"Operations": good},
        [good],
        b"{not json",
    ]
    for body in bad:
        answer = scim("PATCH", f"/Users/{adele['user_id']}", body)
        assert (answer.status, answer.body["schemas"]) == (400, ["urn:ietf:params:scim:api:messages:2.0:Error"]), body
    assert world.auth0.users[adele["user_id"]] == adele


def test_a_delete_is_for_good(scim: Endpoint, adele: Document, world: World) -> None:
    assert scim("DELETE", f"/Users/{adele['user_id']}") == Answer(204)
    assert adele["user_id"] not in world.auth0.users
    assert scim("DELETE", f"/Users/{adele['user_id']}").status == 404


def test_a_post_makes_a_second_profile_beside_that_of_the_login(world: World, adele: Document) -> None:
    scim = endpoint_of(world, "fresh", ("get:users", "post:users"))
    body = {"externalId": "oid-1", "active": True, "emails": [{"type": "work", "value": adele["email"]}], "userName": "adele@x"}
    answer = scim("POST", "/Users", body)
    assert (answer.status, answer.body["id"]) == (201, "waad|oid-1")
    assert world.auth0.users["waad|oid-1"] == {
        "user_id": "waad|oid-1",
        "identities": [{"connection": "fresh-azure-ad", "provider": "waad", "user_id": "oid-1", "isSocial": False}],
        "created_at": world.clock.auth0(),
        "app_metadata": {"external_id": "oid-1"},
        "blocked": False,
        "email": adele["email"],
        "upn": "adele@x",
    }
    assert scim.found(f'{MAIL} eq "{adele["email"]}"') == [adele["user_id"], "waad|oid-1"]
    again = scim("POST", "/Users", body)
    assert (again.status, again.body["scimType"]) == (409, "uniqueness")


def test_a_put_replaces_the_mapped_attributes_and_keeps_the_rest(world: World, adele: Document) -> None:
    scim = endpoint_of(world, "fresh", ("put:users",))
    answer = scim("PUT", f"/Users/{adele['user_id']}", {"displayName": "Only", "active": False})
    assert answer.status == 200
    after = world.auth0.users[adele["user_id"]]
    assert (after["name"], after["blocked"], "email" in after, after["logins_count"]) == ("Only", True, False, 12)


@pytest.mark.parametrize(
    ("scopes", "method", "path"),
    [
        (THREE, "POST", "/Users"),
        (THREE, "PUT", "/Users/{id}"),
        (("post:users",), "GET", "/Users"),
        (("get:users",), "PATCH", "/Users/{id}"),
        (("patch:users",), "DELETE", "/Users/{id}"),
    ],
)
def test_a_missing_scope_is_refused(world: World, adele: Document, scopes: tuple[str, ...], method: str, path: str) -> None:
    answer = endpoint_of(world, "fresh", scopes)(method, path.format(id=adele["user_id"]), {})
    assert (answer.status, answer.body["status"]) == (403, "403")
    assert world.auth0.users[adele["user_id"]] == adele


def test_a_token_opens_its_own_connection_until_it_expires(world: World) -> None:
    scim = endpoint_of(world, "fresh", lifetime_s=3600)
    assert scim("GET", "/Users").status == 200
    assert scim("GET", "/Users", connection=connection_of(world, "half-done")).status == 401
    assert scim("GET", "/Users", token=f"{scim.token}0").status == 401
    world.clock.advance(3600)
    assert scim("GET", "/Users").status == 401


def test_the_first_use_of_a_token_is_noted_on_it(world: World, scim: Endpoint) -> None:
    [token] = world.auth0.provisioning[scim.connection["id"]].tokens
    assert "last_used_at" not in token
    scim("GET", "/Users")
    assert token["last_used_at"] == world.clock.auth0()


def test_every_call_leaves_a_log_row_in_the_shape_of_auth0s_log_schema(scim: Endpoint, world: World, adele: Document) -> None:
    scim("GET", f"/Users/{adele['user_id']}")
    scim("GET", "/Users/waad|nobody", query="a=b")
    rows = world.auth0.logs[-2:]
    assert [(row["type"], row["details"]["response"]["statusCode"]) for row in rows] == [("sscim", 200), ("fscim", 404)]
    assert rows[1]["details"] == {
        "action": "get:users",
        "connection_id": scim.connection["id"],
        "request": {
            "method": "GET",
            "path": f"/scim/v2/connections/{scim.connection['id']}/Users/waad|nobody",
            "query": {"a": "b"},
            "userAgent": "test",
            "ip": "127.0.0.1",
            "body": None,
        },
        "response": {"statusCode": 404},
    }


def test_a_mapping_of_the_customers_own_decides_what_is_stored(scim: Endpoint, adele: Document, world: World) -> None:
    rows = [{"scim": "title", "auth0": "user_metadata.role"}, {"scim": "active", "auth0": "blocked"}]
    world.auth0.provisioning[scim.connection["id"]].configuration["mapping"] = rows
    scim.patch(adele, {"op": "add", "path": "title", "value": "CEO"}, {"op": "add", "path": "displayName", "value": "ignored"})
    after = world.auth0.users[adele["user_id"]]
    assert (after["user_metadata"], after["name"]) == ({"role": "CEO"}, "Adele Vance")
    assert set(scim("GET", f"/Users/{adele['user_id']}").body) == {"schemas", "id", "meta", "title", "active"}


def test_groups_and_discovery_say_that_they_are_not_simulated(scim: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert scim("POST", "/Groups", {}).status == 501
    assert scim("GET", "/Groups").status == 403  # the token has no scope of groups
    answer = scim("GET", "/ServiceProviderConfig")
    assert (answer.status, answer.headers) == (404, {"x-sandbox": "not simulated"})
    assert "scim does not simulate GET" in capsys.readouterr().err
