"""One run a tenant on this machine: a lock that the process which sends the requests holds, and that its death frees."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from filelock import FileLock, Timeout

from runbook_lib.errors import TenantBusy


class TenantLock:
    """The lock of one connection. `holder` says in words who takes it, for whoever is refused. Not reentrant."""

    def __init__(self, folder: Path, auth0_domain: str, connection: str, holder: str) -> None:
        key = hashlib.sha256(f"{auth0_domain.lower()} {connection}".encode()).hexdigest()[:32]
        self._folder, self._auth0_domain = folder, auth0_domain
        self._connection = connection
        self._holder = holder
        self._lock = FileLock(folder / f"{key}.lock", mode=0o600)
        self._note = folder / f"{key}.json"
        self._alias: TenantLock | None = None

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
        """Take the lock of another name of the same connection, to be given back with this one. Raises `TenantBusy`.

        One run may know a connection by its id and another by its name. Nothing happens when it is held already.
        """
        if self._alias is None and connection != self._connection:
            alias = TenantLock(self._folder, self._auth0_domain, connection, self._holder)
            alias.take()
            self._alias = alias

    def free(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._alias is not None:
            self._alias.free()
            self._alias = None
        if self.is_held:
            self._lock.release()

    def _who(self) -> str:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # it is only there to say who
            return str(json.loads(self._note.read_text(encoding="utf-8"))["holder"])
        return ""
