"""Keys and certificates in the forms that OpenSSL and Windows give them, as the PEM that the sign-in takes."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.remedies import remedy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_KEYS = ("PRIVATE KEY", "RSA PRIVATE KEY")
_CERTIFICATES = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
_BEGINS = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*(?:PRIVATE KEY|CERTIFICATE)-")
_ONLY_CERTIFICATES = ("PKCS7", "CMS")
_DATA, _SIGNED_DATA = (
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01",
    b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02",
)  # of PKCS #7 (RFC 2315, 14)
LEAST_BITS = 1024
_LINE = 64  # letters of base64 in a line of PEM (RFC 7468)


def as_pem(text: str, name: str, column: str, now: datetime) -> str:
    """Return key and certificates of a text that holds PEM, however its lines were broken or joined.

    The key's own certificate comes first after the key, because the sign-in names that one by its thumbprint.
    Raises `SettingsError` that says what is missing or does not fit.
    """
    blocks = _blocks(text)
    for kind, body in blocks:
        if kind == "ENCRYPTED PRIVATE KEY" or "ENCRYPTED" in body:
            raise refused(f"the key in {name} is encrypted", "RB-601", name, column)
    if "OPENSSH PRIVATE KEY" in text or "PuTTY-User-Key-File" in text or "BEGIN PGP" in text:
        raise refused(f"{name} holds a key in another program's format", "RB-612", name, column)
    keys = [_pem(kind, body) for kind, body in blocks if kind in _KEYS]
    certificates = [_certificate(body) for kind, body in blocks if kind in _CERTIFICATES]
    certificates += [one for kind, body in blocks if kind in _ONLY_CERTIFICATES for one in _certificates_of(body)]
    if not keys and any(kind == "EC PRIVATE KEY" for kind, _ in blocks):
        raise refused(f"the key in {name} is not an RSA key", "RB-607", name, column)
    if not blocks or not (keys or certificates):
        raise refused(f"{name} holds neither a complete key nor a complete certificate", "RB-607", name, column)
    if not (keys and certificates) and len(_BEGINS.findall(text)) > len(keys) + len(certificates):
        raise refused(f"a key or certificate in {name} is cut off", "RB-607", name, column)
    privates = [_rsa_key(key, name, column) for key in keys]
    if not certificates:
        raise refused(f"{name} holds a key without its certificate", "RB-604", name, column)
    if not keys:
        raise refused(f"{name} holds a certificate without its key", "RB-605", name, column)
    loaded = _loaded(certificates, name, column)
    publics = [one.public_key() for one in loaded]
    own = next((place for place, private in enumerate(privates) if private.public_key() in publics), 0)
    return keys[own] + "".join(_own_first(privates[own], loaded, certificates, name, column, now))


def _loaded(certificates: Sequence[str], name: str, column: str) -> list[Certificate]:
    from cryptography import x509

    try:
        return [x509.load_pem_x509_certificate(one.encode()) for one in certificates]
    except (ValueError, TypeError) as broken:
        raise refused(f"a key or certificate in {name} cannot be read", "RB-607", name, column) from broken


def _rsa_key(key: str, name: str, column: str) -> RSAPrivateKey:
    """Return a key that can sign for a sign-in. Raises `SettingsError` for another kind and for one that is too short.

    Windows and its services take no RSA key below 1,024 bits (Microsoft's update KB2661254).
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError) as broken:
        raise refused(f"a key or certificate in {name} cannot be read", "RB-607", name, column) from broken
    if not isinstance(private, RSAPrivateKey):
        raise refused(f"the key in {name} is not an RSA key", "RB-607", name, column)
    if private.key_size < LEAST_BITS:
        raise refused(f"the key in {name} has {private.key_size} bits, too few for a sign-in", "RB-607", name, column)
    return private


def _own_first(
    private: RSAPrivateKey, loaded: Sequence[Certificate], certificates: Sequence[str], name: str, column: str, now: datetime
) -> list[str]:
    """Return the certificates, the key's own first. Raises `SettingsError` when none is, or it is not valid now."""
    # Of a renewed certificate of the same key both may be in the file: the one that lasts longest is meant.
    begun = [place for place, one in enumerate(loaded) if one.public_key() == private.public_key()]
    own = max(
        begun, key=lambda place: (loaded[place].not_valid_before_utc <= now, loaded[place].not_valid_after_utc), default=None
    )
    if own is None:
        raise refused(f"key and certificate in {name} do not belong together", "RB-606", name, column)
    if loaded[own].not_valid_after_utc < now:
        ended = f"{loaded[own].not_valid_after_utc:%Y-%m-%d}"
        raise refused(f"the certificate in {name} expired on {ended}", "RB-608", name, column)
    if loaded[own].not_valid_before_utc > now:
        begins = f"{loaded[own].not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise refused(f"the certificate in {name} is valid from {begins} on, and it is {now:%Y-%m-%d %H:%M} UTC here",
                      "RB-614", name, column)  # fmt: skip
    return [certificates[own], *certificates[:own], *certificates[own + 1 :]]


def binary_as_pem(octets: bytes, name: str, column: str) -> str | None:
    """Return PEM for a PFX without a password or a DER file, None for octets of another kind.

    Raises `SettingsError` for a PFX with a password. What a DER file lacks is said where PEM is judged.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

    if not octets.startswith(b"\x30"):
        return None
    try:
        return x509.load_der_x509_certificate(octets).public_bytes(Encoding.PEM).decode()
    except ValueError:
        pass
    try:
        return _key_as_pem(load_der_private_key(octets, None))
    except TypeError:
        raise refused(f"the key in {name} is encrypted", "RB-601", name, column) from None
    except ValueError:
        return "".join(_certificates_in(octets)) if _SIGNED_DATA in octets[:20] else _pfx_as_pem(octets, name, column)


def _certificates_of(body: str) -> list[str]:
    try:
        return _certificates_in(base64.b64decode("".join(body.split()), validate=True))
    except ValueError:
        return []


def _certificates_in(octets: bytes) -> list[str]:
    """Return the certificates of a .p7b, which holds nothing else; none for one that cannot be read."""
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

    try:
        return [one.public_bytes(Encoding.PEM).decode() for one in pkcs7.load_der_pkcs7_certificates(octets)]
    except ValueError:
        return []


def _pfx_as_pem(octets: bytes, name: str, column: str) -> str | None:
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

    if _DATA not in octets[:64]:  # which every PFX begins with (RFC 7292)
        return None
    for password in (None, b""):
        try:
            key, certificate, others = pkcs12.load_key_and_certificates(octets, password)
        except ValueError:
            continue
        found = [one.public_bytes(Encoding.PEM).decode() for one in (certificate, *others) if one is not None]
        return (_key_as_pem(key) if key is not None else "") + "".join(found)
    raise refused(f"{name} is a PFX with a password", "RB-602", name, column)


def _key_as_pem(key: object) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined, no-any-return]


def _blocks(text: str) -> list[tuple[str, str]]:
    """Return kind and body of each block. Pipelines write line ends as two letters, or leave spaces in their place."""
    lines = text.replace("\\r", "").replace("\\n", "\n") if "\\n" in text else text
    return [(kind, body) for kind, body in _BLOCK.findall(lines)]


def _certificate(body: str) -> str:
    """Return a certificate as PEM. `openssl x509 -trustout` writes notes of its own behind the certificate: they are cut off."""
    try:
        octets = base64.b64decode("".join(body.split()), validate=True)
    except ValueError:
        return _pem("CERTIFICATE", body)  # what is wrong is said where it is read
    if octets[:2] == b"\x30\x82":  # a sequence whose length stands in two octets (X.690, 8.1.3)
        octets = octets[: 4 + int.from_bytes(octets[2:4])]
    return _pem("CERTIFICATE", base64.b64encode(octets).decode())


def _pem(kind: str, body: str) -> str:
    letters = "".join(body.split())
    lines = "\n".join(letters[at : at + _LINE] for at in range(0, len(letters), _LINE))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"


def refused(came_back: str, code: str, name: str, column: str) -> SettingsError:
    """Return the error for a file that cannot be used, with what to do about it. `name` is the reference to it."""
    path = name.partition(":")[2] if name.startswith("file:") else "FILE"
    return SettingsError(came_back, remedy(code).words(file=path), column=column)
