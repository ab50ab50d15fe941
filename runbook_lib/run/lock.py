"""One run per tenant on this machine. The process that sends the requests holds the lock; its death releases the lock."""

from __future__ import annotations

import contextlib
import hashlib
import json
import unicodedata
from pathlib import Path

from filelock import FileLock, Timeout

from runbook_lib.core.errors import TenantBusy
from runbook_lib.core.json_text import parsed


def _file_name(owner: str, name: str) -> str:
    """Return by what name a lock's file is known."""
    return hashlib.sha256(f"{owner.lower()} {name}".encode()).hexdigest()[:32]


def _application_key(entra_tenant: str, scim_app_name: str) -> tuple[str, str]:
    """Return the key of an enterprise application's lock: two rows may name one application, with different connections.

    Entra compares display names without regard to case (Graph `$filter` page).
    """
    return f"entra {entra_tenant}", unicodedata.normalize("NFC", scim_app_name).casefold()


def locks_of(folder: Path, cloud: str) -> Path:
    """Return the folder of one cloud's locks: two sandboxes on this machine use the same names for different tenants."""
    if not cloud.startswith("sandbox:"):
        return folder
    own = folder / hashlib.sha256(cloud.encode()).hexdigest()[:16]
    own.mkdir(mode=0o700, exist_ok=True)
    return own


class TenantLock:
    """The lock of one connection. `holder` says in words who takes it, for the run that is refused. Not reentrant."""

    def __init__(self, folder: Path, auth0_domain: str, connection: str, holder: str) -> None:
        key = _file_name(auth0_domain, connection)
        self._folder, self._auth0_domain = folder, auth0_domain
        self._connection = connection
        self._holder = holder
        self._lock = FileLock(folder / f"{key}.lock", mode=0o600)
        self._note = folder / f"{key}.json"
        self._more: dict[str, TenantLock] = {}
        self._key = key

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return bool(self._lock.is_locked)

    def take(self) -> None:
        """Take the lock, or raise `TenantBusy` at once."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise TenantBusy(self._connection, self._who()) from None
        self._note.write_text(json.dumps({"holder": self._holder}), encoding="utf-8")

    def take_also(self, connection: str) -> None:
        """Take the lock for another name of the same connection. It is released with this one. Raises `TenantBusy`.

        One run may know a connection by its id and another by its name. Nothing happens when it is held already.
        """
        self._take(self._auth0_domain, connection)

    def take_application(self, entra_tenant: str, scim_app_name: str) -> None:
        """Take the lock of an enterprise application likewise: two rows may name one. Raises `TenantBusy`."""
        self._take(*_application_key(entra_tenant, scim_app_name))

    def _take(self, owner: str, name: str) -> None:
        key = _file_name(owner, name)
        if key != self._key and key not in self._more:
            other = TenantLock(self._folder, owner, name, self._holder)
            other.take()
            self._more[key] = other

    def free(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        for other in self._more.values():
            other.free()
        self._more = {}
        if self.is_held:
            self._lock.release()

    def _who(self) -> str:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # it is only there to say who
            return str(parsed(self._note.read_text(encoding="utf-8"))["holder"])
        return ""
