"""References to secrets, and the secrets they stand for."""

from __future__ import annotations

import os
import re
from pathlib import Path

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import Secret
from runbook_lib.settings.secret_text import secret_text

_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:[^/]+/.+|memory:[a-z0-9_]+)")

_SECRET_FILE_LIMIT = 65_536


def is_reference(value: str) -> bool:
    """Whether a text names the place of a secret and is not the secret itself."""
    return bool(_REFERENCE.fullmatch(value))


def checked_reference(value: str) -> str:
    """Return a reference, or the empty text. Raises `ValueError` for a text of another form, which may be the secret."""
    if value and not is_reference(value):
        raise ValueError("is not a reference; write env:NAME, file:PATH or keyring:SERVICE/USER, never the secret itself")
    return value


def resolve(reference: str, *, column: str = "") -> Secret:
    """Return the secret a reference stands for. Raises `SettingsError` that names the reference, not what it holds."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        octets = os.environ.get(place, "").encode("utf-8", "surrogateescape")
    elif kind == "file":
        octets = _from_file(place, column)
    elif kind == "keyring":
        octets = _from_keyring(place, column).encode()
    elif kind == "memory":
        raise SettingsError(
            f"{place} was typed on a page that kept it only in memory, and that page is closed",
            f"Put the secret into the environment or a file, write env:NAME or file:PATH for {place} in the settings.json of the "
            "tenant's folder (or in the tenants file), then run the same command again; nothing was sent",
            column=column,
        )
    else:
        raise SettingsError("is not a reference", "Write env:NAME, file:PATH or keyring:SERVICE/USER", column=column)
    if not (value := secret_text(octets, reference, column)):
        raise SettingsError(f"{reference} is empty or not set", "Set it, then run again; nothing was sent", column=column)
    return Secret(value)


def _from_file(place: str, column: str) -> bytes:
    try:
        path = Path(place).expanduser()
        if path.exists() and not path.is_file():  # a folder, or a pipe that would wait for ever
            raise SettingsError(f"file:{place} is not a file", "Name the file that holds only the secret", column=column)
        with path.open("rb") as opened:
            octets = opened.read(_SECRET_FILE_LIMIT + 1)
    except (OSError, RuntimeError, ValueError) as unreadable:
        why = getattr(unreadable, "strerror", None) or "it is not a path"
        raise SettingsError(f"file:{place} cannot be read ({why})", "Check the path and its rights", column=column) from None
    if len(octets) > _SECRET_FILE_LIMIT:
        raise SettingsError(f"file:{place} is too large for a secret", "Name the file that holds only the secret", column=column)
    return octets


def _from_keyring(place: str, column: str) -> str:
    try:
        import keyring
    except ImportError:
        raise SettingsError(
            "keyring is not installed", "pip install 'inbound-scim-runbook[keyring]', or use env: or file:", column=column
        ) from None
    service, _, user = place.partition("/")
    try:
        return keyring.get_password(service, user) or ""
    except keyring.errors.KeyringError as refused:
        raise SettingsError(
            f"the keyring answered {type(refused).__name__}", "Unlock it, or use env: or file:", column=column
        ) from None
