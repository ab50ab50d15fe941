"""Microsoft login without msal: every refusal with its number, the page for the code, what the tokens say."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.world import EntraClient
from tests.sandbox.graph_world import LOGIN, ORIGIN, Graph

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
PUBLIC = "22222222-2222-4222-8222-222222222222"


@pytest.fixture
def graph() -> Graph:
    made = Graph()
    made.tenant.clients[PUBLIC] = EntraClient(
        PUBLIC, "", (), ("User.Read.All", "Application.ReadWrite.All"), is_public_client=True
    )
    return made


def credentials(graph: Graph, **changes: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials", "client_id": graph.client.client_id, "client_secret": graph.client.client_secret}
    return {**form, "scope": f"{ORIGIN}/.default", **changes}


def without(form: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in form.items() if key != name}


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(found, dict)
    return found


def number(answer: Any) -> tuple[int, str, int]:
    [code] = answer.body["error_codes"]
    assert answer.body["error_description"].startswith(f"AADSTS{code}: ")
    return answer.status, answer.body["error"], code


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_id": "00000000-0000-4000-8000-00000000dead"}, (400, "unauthorized_client", 700016)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"scope": f"{ORIGIN}/User.Read.All"}, (400, "invalid_scope", 1002012)),
        ({"scope": "nonsense/.default"}, (400, "invalid_scope", 70011)),
        ({"scope": "https://vault.azure.net/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": "https://localhost.evil.example/.default"}, (400, "invalid_resource", 500011)),
    ],
)
def test_a_wrong_request_gets_its_number(graph, changes, expected):
    assert number(graph.login(credentials(graph, **changes))) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grant_type", (400, "invalid_request", 900144)),
        ("client_id", (400, "invalid_request", 900144)),
        ("scope", (400, "invalid_request", 900144)),
        ("client_secret", (401, "invalid_client", 7000218)),
    ],
)
def test_a_missing_field_gets_its_number(graph, name, expected):
    assert number(graph.login(without(credentials(graph), name))) == expected


def test_a_secret_that_has_run_out_is_told_apart_from_a_wrong_one(graph):
    graph.client.is_secret_expired = True
    assert number(graph.login(credentials(graph))) == (401, "invalid_client", 7000222)
    assert number(graph.login(credentials(graph, client_secret="wrong"))) == (401, "invalid_client", 7000215)


def test_an_unknown_tenant_is_refused_by_discovery_and_by_the_token_endpoint(graph):
    for method, path in (("GET", "v2.0/.well-known/openid-configuration"), ("POST", "oauth2/v2.0/token")):
        answer = graph.simulation.handle(Call("login", method, f"/nobody.example/{path}", origin=LOGIN)).answer
        assert number(answer) == (400, "invalid_tenant", 90002)


def test_an_error_has_the_vendors_fields_and_the_callers_correlation_id(graph):
    mine = "aaaaaaaa-0000-4000-8000-000000000001"
    path = f"/{graph.tenant.id}/oauth2/v2.0/token"
    body = graph.simulation.handle(Call("login", "POST", path, headers={"client-request-id": mine}, origin=LOGIN)).answer.body
    assert set(body) == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri",
    }  # fmt: skip
    assert (body["correlation_id"], body["timestamp"]) == (mine, "2026-01-05 09:00:00Z")
    words = "The request body must contain the following parameter: 'grant_type'."
    assert body["error_description"] == (
        f"AADSTS900144: {words} Trace ID: {body['trace_id']} Correlation ID: {mine} Timestamp: 2026-01-05 09:00:00Z"
    )


def test_a_tenant_answers_to_its_domain_and_always_names_its_id(graph):
    path = "/FRESH.onmicrosoft.com/v2.0/.well-known/openid-configuration"
    found = graph.simulation.handle(Call("login", "GET", path, origin=LOGIN)).answer.body
    assert found["token_endpoint"] == f"{LOGIN}/{graph.tenant.id}/oauth2/v2.0/token"
    assert all(value.startswith(f"{LOGIN}/{graph.tenant.id}/") for key, value in found.items() if key.endswith("endpoint"))


def test_an_application_token_says_what_it_may_and_lives_by_the_sandboxs_clock(graph):
    found = claims(graph.sign_in(graph.client))
    now = int(graph.world.clock.timestamp())
    assert (found["aud"], found["tid"], found["appid"]) == (ORIGIN, graph.tenant.id, graph.client.client_id)
    assert (found["roles"], found["exp"] - now) == (list(graph.permissions), 3599)
    assert "scp" not in found


def test_the_public_name_of_graph_is_a_scope_too(graph):
    answer = graph.login(credentials(graph, scope="https://graph.microsoft.com/.default"))
    assert claims(answer.body["access_token"])["aud"] == "https://graph.microsoft.com"


# Certificates --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    return tuple(rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))  # type: ignore[return-value]


def assertion_form(graph: Graph, key: rsa.RSAPrivateKey, **changes: Any) -> dict[str, str]:
    now = int(time.time())
    content = {
        "aud": f"{LOGIN}/{graph.tenant.id}/oauth2/v2.0/token",
        "iss": graph.client.client_id,
        "sub": graph.client.client_id,
        "exp": now + 600,
        "nbf": now,
        **changes,
    }
    form = without(credentials(graph), "client_secret")
    return {**form, "client_assertion_type": ASSERTION, "client_assertion": jwt.encode(content, key, algorithm="PS256")}


@pytest.fixture
def certified(graph: Graph, keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> Graph:
    public = keys[0].public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    graph.client.certificates = (public.decode(),)
    return graph


def test_an_assertion_by_the_registered_key_is_taken(certified, keys):
    assert certified.login(assertion_form(certified, keys[0])).status == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "https://login.microsoftonline.com/x/oauth2/v2.0/token"}, 700023),
        ({"iss": "someone-else"}, 700021),
        ({"exp": 1_000_000_000}, 700024),
        ({"nbf": 4_000_000_000}, 700024),
    ],
)
def test_an_assertion_for_another_purpose_is_refused(certified, keys, changes, code):
    assert number(certified.login(assertion_form(certified, keys[0], **changes))) == (401, "invalid_client", code)


def test_an_assertion_by_another_key_or_none_is_refused(certified, keys):
    assert number(certified.login(assertion_form(certified, keys[1]))) == (401, "invalid_client", 700027)
    form = {**assertion_form(certified, keys[0]), "client_assertion": "nonsense"}
    assert number(certified.login(form)) == (401, "invalid_client", 700027)


# Device code ---------------------------------------------------------------------------------------------------------


def started(graph: Graph, **changes: str) -> dict[str, Any]:
    form = {"client_id": PUBLIC, "scope": f"{ORIGIN}/.default offline_access openid profile", **changes}
    answer = graph.login(form, "devicecode")
    assert answer.status == 200, answer.body
    found = answer.body
    assert isinstance(found, dict)
    return found


def polled(graph: Graph, flow: dict[str, Any], client_id: str = PUBLIC) -> Any:
    return graph.login({"grant_type": DEVICE, "client_id": client_id, "device_code": flow["device_code"]})


def decide(graph: Graph, **body: str) -> Any:
    path = f"/{graph.tenant.id}/sandbox/approve"
    return graph.simulation.handle(Call("login", "POST", path, body=json.dumps(body).encode(), origin=LOGIN)).answer


def test_a_device_waits_until_the_person_has_approved_and_then_gets_its_tokens_once(graph):
    flow = started(graph)
    assert number(polled(graph, flow)) == (400, "authorization_pending", 70016)
    assert decide(graph, user_code=flow["user_code"].lower()).status == 200
    tokens = polled(graph, flow).body
    assert claims(tokens["access_token"])["scp"] == "User.Read.All Application.ReadWrite.All"
    assert (claims(tokens["id_token"])["aud"], claims(tokens["access_token"])["upn"]) == (PUBLIC, "admin@fresh.onmicrosoft.com")
    assert abs(claims(tokens["id_token"])["iat"] - time.time()) < 60
    assert number(polled(graph, flow)) == (400, "bad_verification_code", 70018)


def test_a_persons_token_opens_graph_with_delegated_permissions(graph):
    flow = started(graph)
    decide(graph, user_code=flow["user_code"])
    graph.token = polled(graph, flow).body["access_token"]
    assert [graph.call("GET", path).status for path in ("/users", "/groups")] == [200, 403]


def test_a_declined_and_an_expired_code_end_the_wait(graph):
    declined, expired = started(graph), started(graph)
    decide(graph, user_code=declined["user_code"], decision="decline")
    assert number(polled(graph, declined))[:2] == (400, "authorization_declined")
    graph.world.clock.advance(901)
    assert number(polled(graph, expired)) == (400, "expired_token", 70020)
    assert decide(graph, user_code=expired["user_code"]).status == 404


def test_another_client_cannot_poll_with_the_code(graph):
    flow = started(graph)
    decide(graph, user_code=flow["user_code"])
    assert number(polled(graph, flow, graph.client.client_id)) == (400, "bad_verification_code", 70018)
    assert polled(graph, flow).status == 200


def test_a_confidential_client_gets_no_device_code(graph):
    answer = graph.login({"client_id": graph.client.client_id, "scope": f"{ORIGIN}/.default"}, "devicecode")
    assert number(answer) == (401, "invalid_client", 7000218)


def test_a_refresh_token_is_good_for_its_own_client_only(graph):
    flow = started(graph)
    decide(graph, user_code=flow["user_code"])
    form = {"grant_type": "refresh_token", "client_id": PUBLIC, "refresh_token": polled(graph, flow).body["refresh_token"]}
    assert "access_token" in graph.login(form).body
    assert number(graph.login({**form, "client_id": graph.client.client_id})) == (400, "invalid_grant", 70000)
    assert number(graph.login({**form, "refresh_token": "made-up"})) == (400, "invalid_grant", 70000)


def page(graph: Graph, method: str = "GET", body: bytes = b"") -> Any:
    path = f"/{graph.tenant.id}/oauth2/deviceauth"
    return graph.simulation.handle(Call("login", method, path, body=body, origin=LOGIN)).answer


def test_the_page_for_the_code_is_html_with_a_labelled_field(graph):
    answer = page(graph)
    text = answer.encoded().decode()
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert '<label for="user_code">Code</label>' in text
    assert 'id="user_code" name="user_code"' in text


def test_the_page_approves_a_code_and_says_so(graph):
    flow = started(graph)
    answer = page(graph, "POST", f"user_code={flow['user_code']}&decision=approve".encode())
    assert (answer.status, '<p role="status">You are signed in' in answer.encoded().decode()) == (200, True)
    assert polled(graph, flow).status == 200


def test_the_page_shows_a_wrong_code_again_and_never_as_markup(graph):
    text = page(graph, "POST", b"user_code=%22%3E%3Cscript%3E").encoded().decode()
    assert '<p role="alert">That code didn&#x27;t work.' in text
    assert "<script>" not in text
    assert "&quot;&gt;&lt;script&gt;" in text


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"user_code": "x", "more": 1}'])
def test_the_scripts_door_takes_its_own_form_only(graph, body):
    path = f"/{graph.tenant.id}/sandbox/approve"
    assert graph.simulation.handle(Call("login", "POST", path, body=body, origin=LOGIN)).answer.status == 400
