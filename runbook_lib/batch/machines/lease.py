"""A lease on a tenant, kept where tasks of one run meet: a task that is run twice does not act twice.

A lock belongs to one machine. A lease is a small file in a place that several machines see: its holder renews it, and a lease
that is not renewed ends. Each taking creates the file of the next number, which must not exist yet, so only one of two takers
wins.

No machine compares its clock with another's. A task that wants a lease watches it, by its own clock, for `lasts_s`, and takes
it if it was not renewed in that time. The holder counts from the moment before its last renewal and stops writing earlier,
after `sure_s`. It cannot stop a request that is in flight then; the claim in the enterprise application's notes, and the
reading before each write, guard against that.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from runbook_lib.core.errors import LeaseLost, TenantBusy
from runbook_lib.core.json_text import parsed

RENEWED_AT_ONCE = 16  # leases; at a URL each renewal takes some round trips


def seconds_awake_or_asleep() -> float:
    """Return seconds of a clock that all processes of this machine share and that counts its sleep.

    A lease goes on running out while a laptop sleeps. Linux's monotonic clock stands still then, and `CLOCK_BOOTTIME` does not
    (clock_gettime(2)); on macOS it is Python's `time.monotonic` that stands still, and `CLOCK_MONOTONIC` counts.
    """
    name = "CLOCK_BOOTTIME" if hasattr(time, "CLOCK_BOOTTIME") else "CLOCK_MONOTONIC"
    clock = getattr(time, name, None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


@dataclass(frozen=True)
class Terms:
    """How long a lease lasts that is not renewed, how long its holder is sure of it, and how often it is renewed; seconds."""

    lasts_s: float = 60.0
    sure_s: float = 40.0
    renewed_every_s: float = 10.0


TERMS = Terms()


class Store(Protocol):
    """Where leases are kept, a folder each, as `KEY/NAME`. Every method raises `OSError` when the place cannot be reached."""

    def names(self, key: str) -> list[str]:
        """Return the names of the files in a folder; none when there is no such folder."""

    def read(self, name: str) -> str | None:
        """Return a file's text, None when there is none."""

    def create(self, name: str, text: str) -> bool:
        """Write a file that is not there yet; False when it is."""

    def replace(self, name: str, text: str) -> None:
        """Write a file, whole."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""


class FolderStore:
    """A folder that several machines see, such as one of NFS. Exclusive creation is atomic there (open(2), O_EXCL)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def names(self, key: str) -> list[str]:
        """Return the names of the files in a folder."""
        try:
            return [path.name for path in (self._folder / key).iterdir()]
        except FileNotFoundError:
            return []

    def read(self, name: str) -> str | None:
        """Return a file's text."""
        try:
            return (self._folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def create(self, name: str, text: str) -> bool:
        """Write a file that is not there yet."""
        (self._folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            writer.write(text)
            writer.flush()
            os.fsync(writer.fileno())
        return True

    def replace(self, name: str, text: str) -> None:
        """Write a file, whole."""
        key, _, own = name.rpartition("/")
        part = f"{key}/.{own}.{secrets.token_hex(4)}"
        self.create(part, text)
        (self._folder / part).replace(self._folder / name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self._folder / name).unlink(missing_ok=True)


def realm_of(store: Store) -> str:
    """Return the name of a place where leases are kept; the first task names it.

    In claims it stands for the machine: as with a lock on one machine, the holder of the lease knows that the others are dead.
    """
    store.create("realm/name", secrets.token_hex(4))
    for _ in range(50):
        if text := store.read("realm/name"):
            return text
        time.sleep(0.02)  # the task that makes it is still writing
    raise OSError(0, "the file realm stays empty")


@dataclass(frozen=True)
class _Seen:
    number: int
    text: str

    @property
    def is_free(self) -> bool:
        return self.about().get("state") == "free"

    def about(self) -> dict[str, str]:
        with contextlib.suppress(ValueError, TypeError):  # half of the file is there: another process is writing it
            return {str(name): str(value) for name, value in parsed(self.text).items()}
        return {}


@dataclass(eq=False)
class Lease:
    """The lease `key` in a store. `holder` says in words who takes it; `clock` counts seconds, for itself."""

    store: Store
    key: str
    holder: str
    terms: Terms = TERMS
    clock: Callable[[], float] = seconds_awake_or_asleep
    sleep: Callable[[float], None] = time.sleep
    sure_until: float = float("-inf")  # by `clock`: until then no other process can have taken it
    _token: str = field(default_factory=lambda: secrets.token_hex(8))
    _number: int = 0
    _renewals: int = 0

    def take(self) -> None:
        """Take the lease, waiting for one that may have outlived its holder. Raises `TenantBusy` when the holder is alive."""
        seen = self._latest()
        while seen is not None and not seen.is_free and (changed := self._watched(seen)) is not seen:
            if changed is not None and not changed.is_free:
                raise TenantBusy(self.key, changed.about().get("holder", ""))
            seen = changed
        started = self.clock()
        self._number = seen.number + 1 if seen else 1
        if not self.store.create(self._name(self._number), self._text()) or not self._is_ours():
            self._number = 0
            raise TenantBusy(self.key, "another task that was faster")
        self.sure_until = started + self.terms.sure_s
        for number in self._numbers():
            if number < self._number:
                self.store.remove(self._name(number))

    def renew(self) -> bool:
        """Say that the holder is alive; return whether it still is the holder."""
        started = self.clock()
        if not self._is_ours():
            self.sure_until = float("-inf")
            return False
        self._renewals += 1
        self.store.replace(self._name(self._number), self._text())
        self.sure_until = started + self.terms.sure_s
        return True

    def free(self) -> None:
        """Give the lease back, unless another process has it."""
        self.sure_until = float("-inf")
        if self._number and self._is_ours():
            self.store.replace(self._name(self._number), json.dumps({"state": "free", "token": self._token}))
        self._number = 0

    def _watched(self, seen: _Seen) -> _Seen | None:
        """Watch a held lease; return what it changed to, or the same when it did not while it may last."""
        started = self.clock()
        while self.clock() - started <= self.terms.lasts_s:
            self.sleep(min(1.0, self.terms.lasts_s / 20))
            if (now := self._latest()) != seen:
                return now
        return seen

    def _latest(self) -> _Seen | None:
        numbers = self._numbers()
        if not numbers:
            return None
        return _Seen(max(numbers), self.store.read(self._name(max(numbers))) or "")

    def _is_ours(self) -> bool:
        latest = self._latest()
        return latest is not None and latest.number == self._number and latest.about().get("token") == self._token

    def _numbers(self) -> list[int]:
        return [int(name) for name in self.store.names(self.key) if name.isdecimal()]

    def _name(self, number: int) -> str:
        return f"{self.key}/{number}"

    def _text(self) -> str:
        about = {"state": "held", "token": self._token, "holder": self.holder, "renewals": self._renewals}
        return json.dumps(about)


class Keeper:
    """Renews leases while the work goes on, and tells the process that works until when each is sure.

    `until` files hold a time of `seconds_awake_or_asleep`, which all processes of the machine share.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._kept: dict[Lease, Path] = {}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def keep(self, lease: Lease, until: Path) -> None:
        """Renew a lease from now on."""
        _tell(until, lease.sure_until)
        with self._lock:
            self._kept[lease] = until

    def drop(self, lease: Lease) -> None:
        """Renew a lease no more; its work is over."""
        with self._lock:
            until = self._kept.pop(lease, None)
            if until is not None:
                until.unlink(missing_ok=True)

    def close(self) -> None:
        """End the thread."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(RENEWED_AT_ONCE, thread_name_prefix="lease") as pool:
            while not self._end.wait(self._every_s):
                with self._lock:
                    kept = list(self._kept)
                list(pool.map(self._renewed, kept))

    def _renewed(self, lease: Lease) -> None:
        with contextlib.suppress(OSError):  # the place cannot be reached: the time until which the lease is sure does not change
            lease.renew()
        with self._lock:
            if lease in self._kept:
                _tell(self._kept[lease], lease.sure_until)


def _tell(until: Path, time_s: float) -> None:
    part = until.with_name(f".{until.name}")
    part.write_text(repr(time_s), encoding="utf-8")
    part.replace(until)


def surely_held(until: Path, clock: Callable[[], float] = seconds_awake_or_asleep) -> None:
    """Raise `LeaseLost` unless the lease, of which `until` tells, is surely held now."""
    try:
        is_sure = clock() < float(until.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        is_sure = False
    if not is_sure:
        raise LeaseLost
