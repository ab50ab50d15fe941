"""Secrets, keys and certificates as openssl, Windows, the portal and pipelines make them: read, or named with the repair."""

from __future__ import annotations

import base64
import os
import subprocess
from datetime import UTC, datetime, timedelta

import msal
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from runbook_lib.core.errors import SettingsError
from runbook_lib.settings.references import resolve

NOW = datetime.now(UTC)


def certified(key, signer=None, days=9, begins=None):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runbook")])
    start = NOW + timedelta(days=begins) if begins else min(NOW, NOW + timedelta(days=days)) - timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(NOW + timedelta(days=days))
    return made.sign(signer or key, hashes.SHA256())


KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
CERTIFICATE, OTHER = certified(KEY), certified(OTHER_KEY)


def pem(key, form=PrivateFormat.PKCS8, password=None):
    return key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password) if password else NoEncryption()).decode()


def shown(certificate):
    return certificate.public_bytes(Encoding.PEM).decode()


def bundle(certificates, encoding):
    return pkcs7.serialize_certificates(certificates, encoding)


GOOD = pem(KEY) + shown(CERTIFICATE)
TRUSTED = subprocess.run(
    ["openssl", "x509", "-trustout", "-addtrust", "clientAuth"],
    input=shown(CERTIFICATE),
    text=True,
    check=True,
    capture_output=True,
).stdout
SHORT_KEY = subprocess.run(["openssl", "genrsa", "512"], check=True, capture_output=True).stdout


@pytest.fixture
def read(tmp_path):
    """Return what a reference to a file with these octets stands for: read(octets)."""

    def resolved(octets, column="entra_client_secret"):
        (tmp_path / "credential").write_bytes(octets if isinstance(octets, bytes) else octets.encode())
        return resolve(f"file:{tmp_path / 'credential'}", column=column).reveal()

    return resolved


def code_of(refused):
    return refused.value.do_now.rpartition("(see: ")[2].rstrip(")")


PASSING = {
    "PKCS #8": GOOD,
    "traditional": pem(KEY, PrivateFormat.TraditionalOpenSSL) + shown(CERTIFICATE),
    "certificate first": shown(CERTIFICATE) + pem(KEY),
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "a UTF-8 mark": "\ufeff" + GOOD,
    "UTF-16 with a mark": GOOD.encode("utf-16"),
    "UTF-16 without": GOOD.encode("utf-16-le"),
    "bag attributes of openssl pkcs12": f"Bag Attributes\n    localKeyID: 01\nKey Attributes: <No Attributes>\n{GOOD}",
    "line ends as two letters": GOOD.replace("\n", "\\n"),
    "Windows line ends as four letters": GOOD.replace("\n", "\\r\\n"),
    "spaces in place of line ends": GOOD.replace("\n", " "),
    "quotes around": f'"{GOOD.strip()}"\n',
    "base64 of PEM": base64.b64encode(GOOD.encode()),
    "base64 in lines": base64.encodebytes(GOOD.encode()),
    "a certificate with the notes of openssl x509 -trustout": pem(KEY) + TRUSTED,
    "a chain, the own certificate last": pem(KEY) + shown(OTHER) + shown(CERTIFICATE),
    "the certificate renewed with the same key": pem(KEY) + shown(certified(KEY, days=-3)) + shown(CERTIFICATE),
    "two keys, of which the second is the certificate's": pem(OTHER_KEY) + pem(KEY) + shown(CERTIFICATE),
    "a certificate of Windows as .p7b": pem(KEY) + bundle([OTHER, CERTIFICATE], Encoding.PEM).decode(),
    "PFX without a password": pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, NoEncryption()),
    "base64 of PFX": base64.b64encode(pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, NoEncryption())),
}


@pytest.mark.parametrize("octets", PASSING.values(), ids=PASSING)
def test_a_credential_is_read_however_its_tool_wrote_it(octets, read):
    text = read(octets)
    application = msal.ConfidentialClientApplication(
        "22222222-2222-4222-8222-222222222222",
        authority="https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111",
        client_credential={"private_key": text, "public_certificate": text},
        instance_discovery=False,
        http_client=NeverCalled(),
    )
    assert application is not None
    assert x509.load_pem_x509_certificates(text.encode())[0] == CERTIFICATE
    assert text.startswith("-----BEGIN ")


class NeverCalled:
    """Knows the one document that msal reads at once."""

    def get(self, url, **_):
        base = url.partition("/v2.0")[0]
        return Document(f'{{"issuer": "{base}/v2.0", "authorization_endpoint": "{base}/a", "token_endpoint": "{base}/t"}}')

    def close(self):
        """Hold nothing."""


class Document:
    status_code, headers = 200, {}

    def __init__(self, text):
        self.text = text

    def raise_for_status(self):
        """All is well."""


REFUSED = {
    "encrypted PKCS #8": (pem(KEY, password=b"p") + shown(CERTIFICATE), "RB-601"),
    "encrypted traditional": (pem(KEY, PrivateFormat.TraditionalOpenSSL, b"p") + shown(CERTIFICATE), "RB-601"),
    "encrypted DER": (KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(b"p")), "RB-601"),
    "PFX with a password": (
        pkcs12.serialize_key_and_certificates(b"x", KEY, CERTIFICATE, None, BestAvailableEncryption(b"p")),
        "RB-602",
    ),
    "a key alone": (pem(KEY), "RB-604"),
    "a key alone in DER": (KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), "RB-604"),
    "a certificate alone": (shown(CERTIFICATE), "RB-605"),
    "a certificate alone in DER": (CERTIFICATE.public_bytes(Encoding.DER), "RB-605"),
    "base64 of a DER certificate": (base64.b64encode(CERTIFICATE.public_bytes(Encoding.DER)), "RB-605"),
    "another's certificate": (pem(KEY) + shown(OTHER), "RB-606"),
    "a cut key": (pem(KEY)[:300] + "\n-----END PRIVATE KEY-----\n" + shown(CERTIFICATE), "RB-607"),
    "a key without its end": (pem(KEY)[:300], "RB-607"),
    "an elliptic key": (pem(elliptic := ec.generate_private_key(ec.SECP256R1())) + shown(certified(elliptic)), "RB-607"),
    "a public key": (KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "RB-607"),
    "an expired certificate": (pem(KEY) + shown(certified(KEY, days=-1)), "RB-608"),
    "a certificate of next year": (pem(KEY) + shown(certified(KEY, days=700, begins=365)), "RB-614"),
    "an Ed25519 key without a certificate": (pem(ed25519.Ed25519PrivateKey.generate()), "RB-607"),
    "a key of 512 bits": (SHORT_KEY, "RB-607"),
    "hyphens of a word processor": (
        pem(KEY).replace("-----", "\u2014") + shown(CERTIFICATE).replace("-----", "\u2014"),
        "RB-607",
    ),
    "lines that a mail has quoted": ("".join(f"> {line}\n" for line in pem(KEY).splitlines()), "RB-607"),
    "a variable that Azure Pipelines did not expand": ("$(EntraSecret)", "RB-613"),
    "a variable that a shell did not expand": ("${ENTRA_SECRET}", "RB-613"),
    "a variable of PowerShell": ("$env:ENTRA_SECRET", "RB-613"),
    "a variable of cmd": ("%ENTRA_SECRET%\r\n", "RB-613"),
    "an expression of GitHub Actions": ("${{ secrets.ENTRA }}", "RB-613"),
    "stars of a log": ("***", "RB-613"),
    "dots of a console": ("\u2022" * 12, "RB-613"),
    "a text in angle brackets": ("<your-secret>", "RB-613"),
    "a label before the secret": ("Client secret: planted", "RB-611"),
    "a header": ("Bearer planted", "RB-611"),
    "a hyphen of a word processor": ("abc\u2013planted~x", "RB-615"),
    "the Secret ID": ("3f2b8c1d-9a7e-4c55-8d10-1f2e3d4c5b6a", "RB-609"),
    "neither text nor a key": (b"\x00\x01\x02\xff\xfe" * 7, "RB-610"),
    "JSON of a command line tool": ('{"appId": "x", "password": "planted"}', "RB-611"),
    "several lines": ("one\ntwo\n", "RB-611"),
    "a shell line": ("export ENTRA_SECRET=planted", "RB-611"),
    "a line of an .env file": ("ENTRA_SECRET=planted", "RB-611"),
    "a thumbprint": (OTHER.fingerprint(hashes.SHA1()).hex(":").upper(), "RB-605"),
    "a key as XML": ("<RSAKeyValue><Modulus>planted</Modulus></RSAKeyValue>", "RB-607"),
    "a reference of Azure's that was not resolved": (
        "@Microsoft.KeyVault(SecretUri=https://planted.vault.azure.net/x)",
        "RB-613",
    ),
    "a reference of a password manager": ("op://planted/item/secret", "RB-613"),
    "the word for nothing": ("None", "RB-613"),
    "a .p7b": (bundle([CERTIFICATE], Encoding.DER), "RB-605"),
    "a .p7b as text": (bundle([CERTIFICATE], Encoding.PEM), "RB-605"),
    "a certificate that is cut off": (pem(KEY) + shown(CERTIFICATE)[:-20], "RB-607"),
    "a JWK": ('{"kty": "RSA", "n": "planted", "e": "AQAB"}', "RB-607"),
    "a public key of SSH": ("ssh-rsa AAAAB3planted me@here", "RB-607"),
    "a thumbprint of SHA-256": (OTHER.fingerprint(hashes.SHA256()).hex(), "RB-605"),
    "a thumbprint with spaces": (OTHER.fingerprint(hashes.SHA1()).hex(" "), "RB-605"),
    "what the portal shows of a saved secret": ("abc" + "*" * 18, "RB-613"),
    "an address in a vault": ("https://planted.vault.azure.net/secrets/x", "RB-613"),
    "a command of a shell": ("$(cat planted.txt)", "RB-613"),
    "a placeholder of an example": ("your-client-secret", "RB-613"),
    "a placeholder to be replaced": ("REPLACE_ME", "RB-613"),
    "a page of a sign-in": ("<!DOCTYPE html><html>planted</html>", "RB-611"),
    "a small line of an .env file": ("client_secret=planted", "RB-611"),
    "a secret with a space": ("abc8 planted", "RB-615"),
    "colours of a terminal": ("\x1b[32mplanted", "RB-615"),
    "what GnuPG encrypted": ("-----BEGIN PGP MESSAGE-----\n\nplanted\n-----END PGP MESSAGE-----\n", "RB-616"),
    "what sops encrypted": ("secret: ENC[AES256_GCM,data:planted,type:str]", "RB-616"),
    "a SecureString": ("01000000d08c9ddf0115d1118c7a00c04fc297eb01000000" + "a1" * 99, "RB-616"),
    "an SSH key": (pem(KEY, PrivateFormat.OpenSSH), "RB-612"),
    "a PuTTY key": ("PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n", "RB-612"),
}


@pytest.mark.parametrize(("octets", "code"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_sign_in_is_named_with_what_repairs_it(octets, code, read, tmp_path):
    with pytest.raises(SettingsError) as refused:
        read(octets)
    assert code_of(refused) == code
    assert str(tmp_path / "credential") in str(refused.value)
    assert "planted" not in str(refused.value)


SECRETS = {
    "a line end": "abc~DEF-123\n",
    "Windows PowerShell": "\ufeffabc~DEF-123\r\n".encode("utf-16-le"),
    "UTF-16 without a mark": "abc~DEF-123\r\n".encode("utf-16-le"),
    "UTF-16 of the other order": "abc~DEF-123".encode("utf-16-be"),
    "a UTF-8 mark": b"\xef\xbb\xbfabc~DEF-123",
    "spaces": "  abc~DEF-123 \t",
    "a space that does not break": "abc~DEF-123\u00a0",
    "quotes": '"abc~DEF-123"',
    "a field filled up with zeros": b"abc~DEF-123\0\0\0",
    "smart quotes": "\u201cabc~DEF-123\u201d\n",
}


@pytest.mark.parametrize("octets", SECRETS.values(), ids=SECRETS)
def test_a_secret_comes_out_bare_whatever_editor_wrote_it(octets, read):
    assert read(octets) == "abc~DEF-123"


def test_a_credential_in_a_variable_is_read_like_one_in_a_file(monkeypatch):
    monkeypatch.setenv("ENTRA_CREDENTIAL", GOOD.replace("\n", "\\n"))
    assert resolve("env:ENTRA_CREDENTIAL", column="entra_client_secret").reveal() == GOOD


def test_a_key_for_auth0_is_named_as_none_that_signs_in(read):
    with pytest.raises(SettingsError, match="a sign-in to Auth0 takes a client secret or a token"):
        read(GOOD, column="auth0_client_secret")


def test_the_command_that_the_encrypted_key_is_answered_with_repairs_it(tmp_path, read):
    (tmp_path / "credential.pem").write_text(pem(KEY, password=b"p") + shown(CERTIFICATE))
    commands = ["openssl pkey -passin pass:p -in credential.pem -out plain.pem", "openssl x509 -in credential.pem"]
    subprocess.run(commands[0].split(), cwd=tmp_path, check=True)
    told = subprocess.run(commands[1].split(), cwd=tmp_path, check=True, capture_output=True, env={**os.environ})
    assert read((tmp_path / "plain.pem").read_bytes() + told.stdout).startswith("-----BEGIN PRIVATE KEY-----")
