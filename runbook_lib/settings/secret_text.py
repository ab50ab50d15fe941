r"""What tools make of a secret, a key or a certificate: read, or named with the command that repairs it.

Windows PowerShell writes UTF-16, editors put marks in front, pipelines turn line ends into `\n` or spaces and wrap files in
base64, OpenSSL encrypts keys, Windows exports PFX and DER. A secret comes out as its bare text; a credential as PEM, key first,
then the key's own certificate, then others.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from runbook_lib.core.errors import SettingsError
from runbook_lib.settings.key_files import as_pem, binary_as_pem, refused
from runbook_lib.settings.pasted import SECRET_REFERENCES

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{200,}={0,2}\s*")  # shorter ones are secrets themselves
_QUOTES = ('""', "''", "\u201c\u201d", "\u2018\u2019")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# What pipelines leave where a variable is not set or not expanded, and what they and vaults show in a secret's place.
_PLACEHOLDER = re.compile(
    r"\$\([\w.-]+\)|\$\{\{?[^}]*\}\}?|%\w+%|\$env:\w+|\$[A-Z_]+|<[^<>]+>|[*\u2022\u25cf]{3,}"
    r"|\S{0,4}[*\u2022\u25cf]{3,}|\$\(.*\)"  # the portal shows the first letters of a secret that it no longer tells
    r"|@Microsoft\.KeyVault\(.*\)|(?:op|vault|https?|ref\+\w+)://\S+|vault:\S+"
    r"|(?i:none|null|undefined|change[_-]?me|replace[_-]?\w+|insert[_-]\w+|placeholder|todo|x{4,})"
    r"|(?i:your[_-]?(?:\w+[_-])*(?:secret|token|password|value)(?:[_-]here)?)"
)
_MORE = re.compile(
    r"\{|<(?:!doctype|html|\?xml)|(?:export|set|Bearer|Basic)\s|.*:\s", re.IGNORECASE
)  # JSON, a page, a line, a label
_ASSIGNMENT = re.compile(
    r"[A-Z][A-Z0-9]*_[A-Z0-9_]*=.+|(?i:[a-z_.-]*(?:secret|token|password)[a-z_.-]*\s*=\s*\S.*)"
)  # of an .env file
# SHA-1 and SHA-256, as the portal, certutil and openssl show them
_THUMBPRINT = re.compile(r"(?:[0-9a-f]{2}[: ]?){19}(?:(?:[0-9a-f]{2}[: ]?){12})?[0-9a-f]{2}", re.IGNORECASE)
# GnuPG, age, Ansible, sops; DPAPI, as ConvertFrom-SecureString and Export-Clixml of PowerShell use it
_ENCRYPTED = re.compile(
    r"BEGIN PGP MESSAGE|BEGIN AGE ENCRYPTED|^age-encryption\.org|^\$ANSIBLE_VAULT|ENC\[AES256_GCM|01000000d08c9ddf"
)
_OTHER_KEY = re.compile(
    r"<RSAKeyValue|\{.*\"kty\"|(?:ssh|ecdsa)-[a-z0-9-]+ AAAA", re.DOTALL
)  # XML of .NET, JWK, a public key of SSH
_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


def secret_text(octets: bytes, name: str, column: str = "", now: datetime | None = None) -> str:
    """Return the secret or the PEM that `octets` hold, empty when there is nothing.

    `name` is the reference as the operator wrote it, without the secret. Raises `SettingsError` with the remedy's code.
    """
    text = _decoded(octets)
    if text is None:
        if (pem := binary_as_pem(octets, name, column)) is None:
            raise refused(f"{name} is neither text nor a key or certificate", "RB-610", name, column)
        text = pem
    text = _bare(text)
    if _ENCRYPTED.search(text):
        raise refused(f"{name} holds what another program has encrypted", "RB-616", name, column)
    if "-----BEGIN" in text or text.startswith("PuTTY-User-Key-File"):
        if column == "auth0_client_secret":
            raise SettingsError(
                f"{name} holds a key, but a sign-in to Auth0 takes a client secret or a token",
                "Name the application's client secret (Applications > the application > Settings)",
                column=column,
            )
        return as_pem(text, name, column, now or datetime.now(UTC))
    if (inner := _unwrapped(text)) is not None:
        return secret_text(inner, name, column, now)
    return _one_line(text, name, column)


def _decoded(octets: bytes) -> str | None:
    """Return the text, None for binary. UTF-16 without a mark is told by its zeros: in ASCII every second octet is one."""
    for mark, encoding in _MARKS.items():
        if octets.startswith(mark):
            return _as_text(octets, encoding)
    octets = octets.rstrip(b"\0") if 0 not in octets.rstrip(b"\0") else octets  # a fixed field is filled up with zeros
    zeros = octets.count(0)
    if zeros and len(octets) % 2 == 0 and zeros * 3 >= len(octets):
        return _as_text(octets, "utf-16-le" if octets[1::2].count(0) >= octets[::2].count(0) else "utf-16-be")
    return None if zeros else _as_text(octets, "utf-8")


def _as_text(octets: bytes, encoding: str) -> str | None:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        return None


def _bare(text: str) -> str:
    """Return the text without what copying adds around it: white space, invisible marks, one pair of quotes."""
    bare = text.strip(" \t\r\n\0\ufeff\u200b\u00a0")
    for pair in _QUOTES:
        if len(bare) > 1 and bare[0] == pair[0] and bare[-1] == pair[1]:
            return bare[1:-1].strip()
    return bare


def _unwrapped(text: str) -> bytes | None:
    """Return what a text in base64 holds when that is PEM or DER, else None."""
    if not _BASE64.fullmatch(text):
        return None
    try:
        inner = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    return inner if inner.startswith((b"\x30\x82", b"\x30\x83")) or b"-----BEGIN" in inner else None


def _one_line(text: str, name: str, column: str) -> str:
    if "PRIVATE KEY" in text or "BEGIN CERTIFICATE" in text:
        raise refused(f"{name} holds neither a complete key nor a complete certificate", "RB-607", name, column)
    if _OTHER_KEY.match(text):
        raise refused(f"{name} holds a key as JSON or XML, or a public one", "RB-607", name, column)
    if _PLACEHOLDER.fullmatch(text):
        raise refused(f"{name} holds the name of a variable, an address or a mask, and not the secret", "RB-613", name, column)
    if column == "entra_client_secret" and _THUMBPRINT.fullmatch(text):
        raise refused(f"{name} holds the thumbprint of a certificate, which is not a secret", "RB-605", name, column)
    if "\n" in text or "\r" in text or _MORE.match(text) or _ASSIGNMENT.fullmatch(text):
        raise refused(f"{name} holds more than the secret", "RB-611", name, column)
    if column in SECRET_REFERENCES and not (text.isascii() and text.isprintable() and " " not in text):
        raise refused(f"{name} holds a character that no secret contains", "RB-615", name, column)
    if column == "entra_client_secret" and _GUID.fullmatch(text):
        raise refused(f"{name} holds a GUID, which is a Secret ID and not a secret", "RB-609", name, column)
    return text
