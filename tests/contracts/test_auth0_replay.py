"""Every published recording of Auth0 replayed against the sandbox, and every kind of answer held against Auth0's description."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft202012Validator
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from runbook_lib.sandbox.auth0.routes import new_configuration, new_token
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.world import Document, ScimProvisioning, World
from tests.contracts.test_vendors_descriptions import Request, Response

NOT_REPLAYED = {
    "create waad connection with userid_attribute=sub": "of May 2025, with thumbprints, app_domain and a provisioning ticket; "
    "the other recording of a new connection is of November 2025 and has none",
}
EVERY_SCOPE = (
    "read:connections update:connections create:connections delete:connections read:connections_options "
    "update:connections_options read:scim_config create:scim_config "
    "update:scim_config delete:scim_config read:scim_token create:scim_token delete:scim_token read:users update:users "
    "delete:users read:logs read:clients"
).split()
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONNECTION = re.compile(r"con_[A-Za-z0-9]{16}")
TOKEN = re.compile(r"tok_[A-Za-z0-9]{16}(\.([0-9a-f]{64}|<64 lowercase hex characters, masked here>))?")


class Management:
    """The Management API of one world, called without sockets, with every scope unless said otherwise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.simulation = simulate(world)
        self.grant(EVERY_SCOPE)

    def grant(self, scopes: list[str]) -> None:
        self.world.auth0.access_tokens["test"] = {"scopes": scopes, "expires": 1e12, "client_id": "test"}

    def call(self, method: str, path: str, body: Any = None, query: str = "", token: str = "test") -> tuple[Call, Answer]:
        content = b"" if body is None else json.dumps(body).encode()
        call = Call("auth0", method, path, query, {"authorization": f"Bearer {token}"}, content)
        return call, self.simulation.handle(call).answer


@pytest.fixture
def world() -> World:
    return build_world(7, auth0_domain="localhost:1")


@pytest.fixture
def management(world: World) -> Management:
    return Management(world)


def known(world: World, connection_id: str, strategy: str, name: str, document: Document | None = None) -> None:
    """Put a connection into the world as a recording has it."""
    made = {"id": connection_id, "name": name, "display_name": name, "strategy": strategy, "options": {}}
    world.auth0.connections[connection_id] = copy.deepcopy(document or made)


def given(world: World, title: str, connection_id: str, answered: Any) -> None:
    """Bring the world to where it was when the exchange was recorded."""
    if isinstance(answered, dict) and "connections" in answered:
        for document in answered["connections"]:
            known(world, document["id"], "", "", document)
    elif isinstance(answered, dict) and "options" in answered:
        known(world, connection_id, "", "", answered)
        if title.startswith("PATCH options"):
            document = world.auth0.connections[connection_id]
            document["display_name"] = "Reset when left out"
            document["options"].update(strategy_version=2, userid_attribute="oid")
            del document["options"]["set_user_root_attributes"]
    elif "unknown connection" not in title:
        strategy = "auth0" if "database" in title else "okta" if "okta" in title else "waad"
        name = answered.get("connection_name", "any") if isinstance(answered, dict) else "any"
        if connection_id not in world.auth0.connections:
            known(world, connection_id, strategy, name)
    if "tenant_name" in (answered or {}):
        world.auth0.name = answered["tenant_name"]
    if title.startswith(("list tokens after", "PATCH SCIM", "delete SCIM configuration, first")):
        connection = world.auth0.connections[connection_id]
        world.auth0.provisioning[connection_id] = ScimProvisioning(new_configuration(world, connection, {}))
    if title.startswith("read SCIM configuration when none"):
        world.auth0.provisioning.pop(connection_id, None)


def plain(value: Any, mapping: list[Document]) -> Any:
    """Return a body with what no two runs share named alike: times, token ids and texts, the trimmed default mapping."""
    if isinstance(value, dict):
        return {key: plain(item, mapping) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, mapping) for item in value]
    if isinstance(value, str) and TIME.fullmatch(value):
        return "<time>"
    if isinstance(value, str) and CONNECTION.fullmatch(value):
        return "<connection>"
    if isinstance(value, str) and TOKEN.fullmatch(value):
        return "<token>" if "." in value else "<token id>"
    return mapping if value == "<30 entries, see default-mapping.*.json>" else value


def test_every_recording_is_answered_alike(contracts: Path, management: Management) -> None:
    examples = json.loads((contracts / "auth0" / "recorded-examples.json").read_text())["examples"]
    mapping = json.loads((contracts / "auth0" / "default-mapping.waad.json").read_text())["mapping"]
    replayed = []
    for example in examples:
        title, request, recorded = example["title"], example["request"], example["response"]
        if title.startswith(tuple(NOT_REPLAYED)):
            continue
        target = urlsplit(request["url"])
        parts = target.path.split("/")
        if not title.startswith("create waad"):
            given(management.world, title, parts[4] if len(parts) > 4 else "", recorded["body"])
        path = target.path
        if parts[-1].startswith("tok_"):  # the recorded token is not ours: delete the one we have
            path = "/".join([*parts[:-1], management.world.auth0.provisioning[parts[4]].tokens[0]["token_id"]])
        _, answer = management.call(request["method"], path, request["body"], target.query)
        assert answer.status == recorded["status"], title
        assert plain(answer.body, mapping) == plain(recorded["body"], mapping), title
        if answer.body is not None:
            assert answer.content_type == recorded["content_type"], title
        replayed.append(title)
    assert (len(replayed), len(examples)) == (18, 19)


def test_a_changed_configuration_keeps_when_it_was_made(management: Management) -> None:
    """Recorded as PATCH SCIM configuration: updated_on moves, created_at stays."""
    path = f"/api/v2/connections/{connection(management.world)['id']}/scim-configuration"
    made = management.call("POST", path)[1].body
    management.world.clock.advance(10)
    rows = [{"scim": "scim", "auth0": "attr_auth0"}]
    after = management.call("PATCH", path, {"user_id_attribute": "x", "mapping": rows})[1].body
    assert after == {**made, "user_id_attribute": "x", "mapping": rows, "updated_on": after["updated_on"]}
    assert after["updated_on"] > made["updated_on"] == after["created_at"]


def test_the_documented_errors_are_worded_as_documented(contracts: Path, management: Management) -> None:
    """Those of the collected error bodies that the sandbox can be brought to answer, compared whole."""
    errors = {
        entry["when"]: entry["body"]
        for entry in json.loads((contracts / "auth0" / "management-api-errors.json").read_text())["errors"]
    }
    one = connection(management.world)
    base = f"/api/v2/connections/{one['id']}"
    scim, tokens = f"{base}/scim-configuration", f"{base}/scim-configuration/tokens"
    common = connection(management.world, "common-endpoint")
    management.call("POST", scim)

    def expected(start: str) -> Document:
        [body] = [body for when, body in errors.items() if when.startswith(start)]
        return dict(body)

    cases: list[tuple[str, Callable[[], tuple[Call, Answer]]]] = [
        ("POST scim-configuration when one", lambda: management.call("POST", scim)),
        (
            "POST scim-configuration while",
            lambda: management.call("POST", f"/api/v2/connections/{common['id']}/scim-configuration"),
        ),
        (
            "PATCH connection enabling",
            lambda: management.call("PATCH", base, {"options": {**one["options"], "useCommonEndpoint": True}}),
        ),
        ("third SCIM token", lambda: [management.call("POST", tokens, {"scopes": ["get:users"]}) for _ in range(3)][-1]),
        ("connection id unknown", lambda: management.call("GET", "/api/v2/connections/con_0000000000000000")),
    ]
    for start, ask in cases:
        _, answer = ask()
        assert answer.body == expected(start), start
    management.grant([scope for scope in EVERY_SCOPE if scope != "update:connections_options"])
    _, answer = management.call("PATCH", base, {"options": one["options"]})
    assert answer.body == expected("PATCH connection with options but without")
    management.grant(["read:users"])
    _, answer = management.call("GET", scim)
    assert answer.body == {**expected("token lacks"), "message": "Insufficient scope, expected any of: read:scim_config"}


def connection(world: World, name: str = "fresh") -> Document:
    return next(entry for entry in world.auth0.connections.values() if entry["name"] == f"{name}-azure-ad")


def tour(management: Management) -> list[tuple[bool, Call, Answer]]:
    """Return exchanges of every operation and every kind of refusal; first whether the request is a proper one."""
    world = management.world
    done = connection(world, "complete")
    base = f"/api/v2/connections/{connection(world)['id']}"
    scim, tokens = f"{base}/scim-configuration", f"{base}/scim-configuration/tokens"
    user = next(iter(world.auth0.users))
    lists = (
        ("/api/v2/connections", "strategy=waad&take=3"),
        ("/api/v2/connections", "take=50&from=3"),
        ("/api/v2/connections", "include_totals=true&per_page=2&page=1"),
        ("/api/v2/connections", "fields=name,strategy&include_fields=true"),
        ("/api/v2/connections-scim-configurations", "take=1"),
        ("/api/v2/clients", "include_totals=true"),
        ("/api/v2/clients", ""),
        ("/api/v2/users", "include_totals=true&per_page=2"),
        ("/api/v2/users", "q=identities.connection:%22fresh-azure-ad%22&search_engine=v3"),
        ("/api/v2/users-by-email", "email=owner@acme.example"),
        ("/api/v2/logs", "search=type:sscim"),
        ("/api/v2/logs", "per_page=5&include_totals=true"),
        ("/api/v2/logs", "q=type:sscim%20OR%20type:fscim&sort=date:-1&per_page=100&page=0"),
        (base, "fields=options&include_fields=false"),
        (f"/api/v2/users/{user}", ""),
        (f"/api/v2/connections/{done['id']}/scim-configuration", ""),
        (f"{scim}/default-mapping", ""),
        (tokens, ""),
        (scim, ""),
        ("/api/v2/connections/con_0000000000000000", ""),
        ("/api/v2/users/waad|nobody", ""),
    )
    proper = [management.call("GET", path, None, query) for path, query in lists]
    proper += [
        management.call("PATCH", base, {"display_name": "x", "options": connection(world)["options"]}),
        management.call("POST", scim, {}),
        management.call("POST", scim),
        management.call("GET", scim),
        management.call("PATCH", scim, {"user_id_attribute": "externalId", "mapping": [{"scim": "a", "auth0": "b"}]}),
        *[management.call("POST", tokens, {"scopes": ["get:users"], "token_lifetime": 901}) for _ in range(3)],
        management.call("GET", tokens),
        management.call("PATCH", f"/api/v2/users/{user}", {"blocked": True}),
        management.call("DELETE", f"/api/v2/users/{user}"),
        management.call("DELETE", scim),
        management.call("GET", "/api/v2/connections", token="nobody's"),
    ]
    management.grant([])
    proper.append(management.call("GET", "/api/v2/users"))
    management.grant(EVERY_SCOPE)
    improper = [
        management.call("PATCH", base, {"id": "con_x"}),
        management.call("PATCH", base, {"options": None}),
        management.call("PATCH", base, {"options": {"userid_attribute": "upn"}}),
        management.call("PATCH", scim, {"mapping": []}),
        management.call("POST", tokens, {"scopes": []}),
        management.call("GET", "/api/v2/connections", None, "per_page=101"),
        management.call("GET", "/api/v2/connections", None, "colour=red"),
    ]
    return [(True, *exchange) for exchange in proper] + [(False, *exchange) for exchange in improper]


def test_a_tour_of_all_operations_follows_auth0s_description(contracts: Path, management: Management) -> None:
    description = json.loads((contracts / "auth0" / "management-api-subset.openapi.json").read_text())
    description["servers"] = [{"url": "https://tenant.auth0.com/api/v2"}]
    # One exception: a last page by checkpoint has no `next`, and then fits two branches of this oneOf.
    pages = description["components"]["schemas"]["ListConnectionsResponseContent"]
    pages["anyOf"] = pages.pop("oneOf")
    api = OpenAPI.from_dict(description, config=Config(spec_validator_cls=None))
    problems, statuses = [], set()
    for is_proper, call, answer in tour(management):
        query = ImmutableMultiDict([(name, value) for name, values in call.arguments().items() for value in values])
        parameters = RequestParameters(query=query, header=Headers(list(call.headers.items())))
        request = Request(
            "https://tenant.auth0.com", call.path, call.method.lower(), call.body or None, "application/json", parameters
        )
        response = Response(answer.status, answer.encoded(), answer.content_type.split(";")[0])
        errors = list(api.unmarshal_request(request).errors) if is_proper else []
        if answer.status < 300 and answer.status != 204:
            errors += api.unmarshal_response(request, response).errors
        elif answer.status >= 300:  # errors have no schema in the description: the status must be one that it lists
            operation = description["paths"][template(call.path)][call.method.lower()]
            listed = str(answer.status) in operation["responses"]
            assert listed, (call.method, call.path, answer.status)
        statuses.add(answer.status)
        problems += [f"{call.method} {call.path}?{call.query} {answer.status}: {said(error)}" for error in errors]
    assert problems == [], "\n".join(problems)
    assert statuses == {200, 201, 204, 400, 401, 403, 404, 409}


def template(path: str) -> str:
    """Return the description's path of a request."""
    path = re.sub(r"/connections/con_\w+", "/connections/{id}", path.removeprefix("/api/v2"))
    return re.sub(r"^/users/.+", "/users/{id}", path)


def said(error: Any) -> str:
    cause = error.__cause__ or error
    return f"{type(error).__name__} {str(cause)[:200]} " + "; ".join(e.message[:300] for e in getattr(cause, "schema_errors", ()))


def test_the_token_endpoint_follows_auth0s_description(contracts: Path, world: World) -> None:
    description = json.loads((contracts / "auth0" / "token-endpoint-subset.openapi.json").read_text())
    operation = description["paths"]["/oauth/token"]["post"]
    client = next(iter(world.auth0.clients.values()))
    right = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "audience": "https://localhost:1/api/v2/",
    }
    wrong = ({"grant_type": "password"}, {"client_secret": "x"}, {"client_id": "x"}, {"audience": "https://localhost:1/api/v2"})
    simulation = simulate(world)
    answers = []
    for changes in ({}, *wrong):
        body = json.dumps({**right, **changes}).encode()
        call = Call("auth0", "POST", "/oauth/token", headers={"content-type": "application/json"}, body=body)
        answers.append(simulation.handle(call).answer)
    assert [answer.status for answer in answers] == [200, 400, 401, 401, 403]
    assert {str(answer.status) for answer in answers} <= set(operation["responses"])
    schemas = description["components"]["schemas"]
    assert set(schemas["TokenResponse"]["required"]) <= set(answers[0].body) <= set(schemas["TokenResponse"]["properties"])
    assert (answers[0].body["token_type"], answers[0].body["expires_in"]) == ("Bearer", 86_400)
    for answer in answers[1:]:
        assert set(schemas["ErrorResponse"]["required"]) <= set(answer.body) <= set(schemas["ErrorResponse"]["properties"])


def test_log_rows_follow_auth0s_log_schema(contracts: Path, management: Management) -> None:
    schemas = json.loads((contracts / "auth0" / "tenant-log-scim-events.schema.json").read_text())["schemas"]
    one = connection(management.world)
    side = ScimProvisioning(new_configuration(management.world, one, {}))
    management.world.auth0.provisioning[one["id"]] = side
    document, text = new_token(management.world, ["get:users", "patch:users"], None)
    side.tokens, side.token_values = [document], {document["token_id"]: text}
    base = f"/scim/v2/connections/{one['id']}/Users"
    for method, path, body in (
        ("GET", base, b""),
        ("PATCH", f"{base}/waad|nobody", b'{"Operations": []}'),
        ("PATCH", base, b"["),
    ):
        call = Call("scim", method, path, "filter=x", {"authorization": f"Bearer {text}", "user-agent": "t"}, body)
        management.simulation.handle(call)
    _, answer = management.call("GET", "/api/v2/logs", None, f"q=connection_id:%22{one['id']}%22")
    assert [row["type"] for row in answer.body] == ["fscim", "fscim"]
    for row in answer.body:
        assert [error.message for error in Draft202012Validator(schemas[row["type"]]).iter_errors(row)] == []
