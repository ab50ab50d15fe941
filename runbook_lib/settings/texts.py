"""What the texts of the settings may be; each check raises `ValueError` with what is wrong, never with the value."""

from __future__ import annotations

import re
import unicodedata
from typing import Any
from uuid import UUID

from runbook_lib.core.secret import looks_like_secret

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTH0_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})?\.(?:auth0\.com|auth0app\.com)", re.ASCII)
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_DNS_NAME_LIMIT = 253
_USER = re.compile(r"[^\s@/\\?%]+@[^\s@/\\?%]+")  # a guest's name holds #EXT#
_SPACES = re.compile("[\u00a0\u2000-\u200a\u202f\u205f\u3000]")  # what web pages and mails put in the place of a space
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, bidi marks and zero widths, half characters, line ends


def checked_text(value: Any) -> Any:
    """Normalise a text; refuse invisible characters that change how the text is displayed."""
    if not isinstance(value, str):
        return value
    text = _SPACES.sub(" ", unicodedata.normalize("NFC", value))
    if bad := next((c for c in text if unicodedata.category(c) in _UNSEEN), None):
        what_to_do = "a line end; write the value on one line" if bad in "\r\n" else "type the value again by hand"
        raise ValueError(f"holds the invisible character U+{ord(bad):04X}; {what_to_do}")
    if looks_like_secret(text):  # a name is on pages and in folders' names, and a cut or a slug of it would pass the scrubber
        raise ValueError("looks like a token, a key or a password; give a reference to the secret instead")
    return text.strip()


def checked_entra_tenant(value: str) -> str:
    """Return a tenant id or a domain name in lower case. Raises `ValueError`."""
    is_domain = bool(_DNS_NAME.fullmatch(value.lower())) and len(value) <= _DNS_NAME_LIMIT
    if not is_guid(value) and (not is_domain or value.replace(".", "").isdigit()):
        raise ValueError("is neither a tenant id (GUID) nor a domain name; common and organizations do not name a tenant")
    return value.lower()


def checked_optional_guid(value: str) -> str:
    """Return an application id in lower case, or nothing. Raises `ValueError`."""
    if value and not is_guid(value):
        raise ValueError("is not an application (client) id, which is a GUID")
    return value.lower()


def checked_user(value: str) -> str:
    """Return a user principal name or an object id. Raises `ValueError`."""
    if not is_guid(value) and not _USER.fullmatch(value):
        raise ValueError("is neither a user principal name such as adele@contoso.com nor an object id (GUID)")
    return value


def checked_lifetime(value: str) -> str:
    """Return a number of days, never, or nothing. Raises `ValueError`."""
    value = value.lower()
    if value not in ("", "never") and not (value.isascii() and value.isdigit() and 1 <= int(value) <= 3650):
        raise ValueError("is neither a number of days from 1 to 3650 nor never")
    return value


def checked_switch(value: str) -> str:
    """Return yes or no, yes for nothing. Raises `ValueError`."""
    words = {"": "yes", "yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no"}
    if value.lower() not in words:
        raise ValueError("is neither yes nor no")
    return words[value.lower()]


def checked_groups(value: str) -> str:
    """Return on, off, or nothing. Raises `ValueError`."""
    words = {"": "", "on": "on", "yes": "on", "true": "on", "1": "on", "off": "off", "no": "off", "false": "off", "0": "off"}
    if value.lower() not in words:
        raise ValueError("is neither on nor off")
    return words[value.lower()]


def check_auth0_domain(domain: str) -> None:
    """Raise `ValueError` unless `domain` can only mean an Auth0 tenant: the token and the secret are sent there."""
    if not domain:
        raise ValueError("auth0_domain: is empty")
    if not _AUTH0_DOMAIN.fullmatch(domain) or domain.startswith("manage."):
        raise ValueError(
            "auth0_domain: is not of the form <tenant>.auth0.com or <tenant>.<region>.auth0.com; a custom domain does not "
            "work here: use the tenant's own domain from the Auth0 dashboard"
        )


def is_guid(text: str) -> bool:
    """Whether a text is a GUID as Microsoft writes it: with hyphens and nothing around it."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
