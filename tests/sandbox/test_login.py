"""Microsoft login, proved with msal itself over HTTPS."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from runbook_lib.core.errors import StepBlocked
from runbook_lib.http.session import open_session
from runbook_lib.services.sign_in import EntraSignIn


@pytest.fixture
def sign_in(sandbox, entra):
    def make(client_id, credential, show=None):
        return EntraSignIn(
            authority=sandbox.ready["authority"],
            tenant=entra("fresh").id,
            client_id=client_id,
            credential=credential,
            resource=sandbox.ready["graph"].removesuffix("/v1.0"),
            session=open_session(sandbox.ready["ca_bundle"]),
            known_authority=False,
            show=show,
        )

    return make


@pytest.fixture
def application(entra):
    return next(iter(entra("fresh").clients.values()))


def test_a_client_secret_gets_a_token_with_its_permissions(sign_in, application):
    grant = sign_in(application.client_id, application.client_secret).grant()
    assert grant.permissions == frozenset(application.permissions)


def test_a_wrong_secret_is_refused_in_microsofts_words(sign_in, application):
    with pytest.raises(StepBlocked, match="AADSTS7000215"):
        sign_in(application.client_id, "wrong-secret").grant()


def test_an_unknown_application_is_refused(sign_in):
    with pytest.raises(StepBlocked, match="AADSTS700016"):
        sign_in("00000000-0000-4000-8000-00000000dead", "x").grant()


def test_a_certificate_signs_in_and_another_one_does_not(sign_in, application, entra):
    def pem():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runbook")])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        certificate = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return private, certificate.public_bytes(serialization.Encoding.PEM).decode()

    private, public = pem()
    other_private, other_public = pem()
    entra("fresh").clients[application.client_id] = type(application)(
        application.client_id, "", application.permissions, (), (public,)
    )
    assert sign_in(application.client_id, {"private_key": private, "public_certificate": public}).grant().permissions
    with pytest.raises(StepBlocked, match="AADSTS700027"):
        sign_in(application.client_id, {"private_key": other_private, "public_certificate": other_public}).grant()


def test_a_person_signs_in_by_device_code_and_is_renewed_silently(sign_in, sandbox, entra):
    customer = entra("fresh")
    public = next(client for client in customer.clients.values() if client.is_public_client)
    shown = []

    def approve(code):
        shown.append(code)
        with open_session(sandbox.ready["ca_bundle"]) as session:
            [entry] = customer.device_codes.values()
            url = f"{sandbox.ready['authority']}/{customer.id}/oauth2/deviceauth"
            assert (code.code, code.link) == (entry["user_code"], url)
            assert session.post(url, data={"user_code": entry["user_code"]}, timeout=10).status_code == 200

    person = sign_in(public.client_id, None, approve)
    first = person.grant()
    assert first.permissions == frozenset(public.delegated)
    assert person.grant().token == first.token
    assert person.grant(renew=True).token != first.token
    assert len(shown) == 1


def test_device_code_without_a_person_says_what_to_do(sign_in, entra):
    public = next(client for client in entra("fresh").clients.values() if client.is_public_client)
    with pytest.raises(StepBlocked, match="this run has none"):
        sign_in(public.client_id, None).grant()
