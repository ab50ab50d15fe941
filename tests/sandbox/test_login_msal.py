"""Microsoft login proved with msal itself, as its own documentation uses it, over HTTPS."""

from __future__ import annotations

from collections.abc import Iterator

import msal
import pytest
import requests


@pytest.fixture
def http(sandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # a bundle named by the environment would win over `verify`
        session.verify = sandbox.ready["ca_bundle"]
        yield session


@pytest.fixture
def known(sandbox, entra, http):
    customer = entra("fresh")
    client = next(iter(customer.clients.values()))
    arguments = {"authority": f"{sandbox.ready['authority']}/{customer.id}", "instance_discovery": False, "http_client": http}
    return customer, client, arguments, [f"{sandbox.ready['graph'].removesuffix('/v1.0')}/.default"]


def test_a_second_ask_for_a_token_comes_from_msals_cache(known, sandbox):
    _, client, arguments, scopes = known
    application = msal.ConfidentialClientApplication(client.client_id, client_credential=client.client_secret, **arguments)
    answers = [application.acquire_token_for_client(scopes) for _ in range(2)]
    assert [answer["token_source"] for answer in answers] == ["identity_provider", "cache"]
    asked = [entry["path"].rsplit("/", 1)[1] for entry in sandbox.simulation.history if entry["service"] == "login"]
    assert asked == ["openid-configuration", "token"]


def test_an_error_comes_back_as_msal_returns_it(known):
    _, client, arguments, scopes = known
    application = msal.ConfidentialClientApplication(client.client_id, client_credential="wrong", **arguments)
    answer = application.acquire_token_for_client(scopes)
    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [7000215])


def test_a_tenant_that_is_not_there_is_an_error_when_msal_is_made(known, sandbox):
    _, client, arguments, _ = known
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        msal.ConfidentialClientApplication(
            client.client_id,
            client_credential=client.client_secret,
            **{**arguments, "authority": f"{sandbox.ready['authority']}/nobody.example"},
        )


def test_a_person_who_types_the_code_into_the_page_becomes_an_account_whose_tokens_are_refreshed(known, http):
    customer, _, arguments, scopes = known
    public = next(client for client in customer.clients.values() if client.is_public_client)
    application = msal.PublicClientApplication(public.client_id, **arguments)
    flow = application.initiate_device_flow(scopes)
    assert "<form" in http.get(flow["verification_uri"], timeout=10).text
    assert http.post(flow["verification_uri"], data={"user_code": flow["user_code"]}, timeout=10).status_code == 200
    first = application.acquire_token_by_device_flow(flow)
    [account] = application.get_accounts()
    assert account["username"] == f"admin@{customer.domain}"
    kept = application.acquire_token_silent(scopes, account)
    renewed = application.acquire_token_silent(scopes, account, force_refresh=True)
    assert (first["access_token"] == kept["access_token"], kept["token_source"]) == (True, "cache")
    assert renewed["access_token"] != first["access_token"]


def test_the_path_that_msal_asks_for_instances_names_the_tenants_document(sandbox, entra, http):
    base = f"{sandbox.ready['authority']}/{entra('fresh').id}"
    answer = http.get(
        f"{sandbox.ready['authority']}/common/discovery/instance",
        params={"api-version": "1.1", "authorization_endpoint": f"{base}/oauth2/v2.0/authorize"},
        timeout=10,
    )
    assert answer.json()["tenant_discovery_endpoint"] == f"{base}/v2.0/.well-known/openid-configuration"
