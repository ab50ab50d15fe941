"""Every text of a connection's options that is not known to be public is a secret; a sign-in object shows none."""

from __future__ import annotations

import pytest

from runbook_lib.core.secret import scrubber
from runbook_lib.services.auth0.models import Connection
from runbook_lib.services.sign_in import EntraSignIn

PLANTED = {
    "client_secret": "s3cr3t-of-the-client",
    "app_secret_2": "s3cr3t-under-another-name",
    "nested": {"deep": [{"apiKey": "s3cr3t-in-the-deep-1"}, "s3cr3t-in-a-list-22"]},
}
PUBLIC = {"client_id": "11111111-2222-3333-4444-555555555555", "tenant_domain": "acme.onmicrosoft.com", "x_word": "Department"}


def connection(options):
    return Connection.from_wire({"id": "con_1", "name": "acme", "strategy": "waad", "options": options})


@pytest.mark.parametrize(
    "text", ["s3cr3t-of-the-client", "s3cr3t-under-another-name", "s3cr3t-in-the-deep-1", "s3cr3t-in-a-list-22"]
)
def test_a_secret_under_any_name_is_hidden_wherever_a_service_echoes_it(text):
    with scrubber.noting() as noted:
        connection({**PLANTED, **PUBLIC})
    try:
        assert scrubber.scrub(f"400: invalid value {text}") == "400: invalid value ***"
    finally:
        scrubber.forget(noted)


def test_what_is_public_and_plain_words_stay_readable():
    with scrubber.noting() as noted:
        connection({**PLANTED, **PUBLIC})
    try:
        said = " ".join(PUBLIC.values())
        assert scrubber.scrub(said) == said
    finally:
        scrubber.forget(noted)


@pytest.mark.parametrize(
    "credential",
    ["s3cr3t-of-the-application", {"private_key": "s3cr3t-of-the-application", "thumbprint": "s3cr3t-of-the-application"}],
)
def test_the_sign_in_to_entra_shows_no_secret(credential):
    with scrubber.noting() as noted:
        sign_in = EntraSignIn(
            authority="https://localhost", tenant="t", client_id="c", credential=credential, resource="r", session=None,
            known_authority=False,
        )  # fmt: skip
    scrubber.forget(noted)
    assert "s3cr3t" not in f"{vars(sign_in)} {sign_in!r}"
