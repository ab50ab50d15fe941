"""What tasks of one run on several machines share: a place for outputs, leases on tenants, and each one's part of the list.

The place is a folder that all machines see, or a URL that fsspec knows. A URL is no place to keep a journal while it is written:
nothing there is fsynced, and no object is appended to. So a run on a URL works in a folder of this machine, where every intent is
on disk before its request, and copies: the journal while the tenant is at work, and everything when it ends. What reaches the URL
has been through the same scrubber; who may read it there is for its owner to say, 0600 means nothing to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runbook_lib.batch.machines.lease import TERMS, FolderStore, Keeper, Lease, Store, Terms, realm_of
from runbook_lib.core.errors import SettingsError, TenantBusy
from runbook_lib.run.journals import INDEX
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.process import LEASE_VARIABLE, REALM_VARIABLE, output_name

LEASES = "leases"  # next to the runs' folders: a lease keeps two runs apart as well
COPIED_EVERY_S = 5.0
_TURNS = 240


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, the first being 0, as Kubernetes counts indexed jobs and Argo its sequences."""

    number: int
    count: int

    @classmethod
    def from_text(cls, text: str) -> Shard:
        """Read `K/N`. Raises `SettingsError`."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or int(found[1]) >= int(found[2]):
            raise SettingsError(f"--shard {text} is no part of a whole", "Write K/N; K counts from 0, so that 9/10 is the last")
        return cls(int(found[1]), int(found[2]))

    def has(self, name: str) -> bool:
        """Whether a tenant is in this part. It follows from the name alone, so that other rows may come and go."""
        plain = unicodedata.normalize("NFC", name).casefold()
        return int(hashlib.sha256(plain.encode()).hexdigest(), 16) % self.count == self.number


class UrlStore:
    """Leases at a URL. Creation is exclusive as far as fsspec's file system makes it so: s3fs and gcsfs ask the service to."""

    def __init__(self, files: Any, root: str) -> None:
        self._files, self._root = files, root

    def names(self, key: str) -> list[str]:
        """Return the names of the files in a folder."""
        self._files.invalidate_cache()
        try:
            return [str(path).rstrip("/").rpartition("/")[2] for path in self._files.ls(f"{self._root}/{key}", detail=False)]
        except FileNotFoundError:
            return []

    def read(self, name: str) -> str | None:
        """Return a file's text."""
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}")).decode()
        except FileNotFoundError:
            return None

    def create(self, name: str, text: str) -> bool:
        """Write a file that is not there yet."""
        self._files.makedirs(f"{self._root}/{name}".rpartition("/")[0], exist_ok=True)
        try:
            self._files.pipe_file(f"{self._root}/{name}", text.encode(), mode="create")
        except FileExistsError:
            return False
        return True

    def replace(self, name: str, text: str) -> None:
        """Write a file, whole."""
        self._files.pipe_file(f"{self._root}/{name}", text.encode())

    def remove(self, name: str) -> None:
        """Remove a file."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{name}")


class Mirror:
    """Copies runs between a folder of this machine and a URL. Raises what the file system raises, mostly `OSError`."""

    def __init__(self, url: str, folder: Path) -> None:
        try:
            import fsspec
        except ImportError:
            raise SettingsError(
                "--out is a URL, and fsspec is not installed", "pip install 'inbound-scim-runbook[shared]', or name a folder"
            ) from None
        try:
            self.files, self.root = fsspec.core.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as unknown:
            raise SettingsError(f"--out {url} cannot be used ({unknown})", "Install what fsspec asks for") from None
        self.url, self._folder = url.rstrip("/"), folder

    def fetch_journals(self, tenant: str) -> None:
        """Fetch the journals of a tenant's earlier runs: they say which tokens are ours and what is in doubt."""
        self.files.invalidate_cache()
        for path in self.files.glob(f"{self.root}/*/{tenant}/journal.jsonl"):
            self._fetch(str(path))

    def fetch_run(self, run: str) -> None:
        """Fetch what a summary needs: the run's description and its journals."""
        self.files.invalidate_cache()
        for pattern in ("run.json", "*/journal.jsonl"):
            for path in self.files.glob(f"{self.root}/{run}/{pattern}"):
                self._fetch(str(path))

    def _fetch(self, path: str) -> None:
        """Get one file, unless what is here is as long or longer: a journal only grows, and ours may not have been copied yet."""
        target = self._folder.joinpath(*path.rstrip("/").split("/")[-(2 if path.endswith("run.json") else 3) :])
        content = bytes(self.files.cat_file(path))
        if target.exists() and target.stat().st_size >= len(content):
            return
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as writer:
            writer.write(content)
        part.replace(target)

    def put(self, folder: Path) -> None:
        """Copy the files of a folder, and those of the folders in it, to the URL."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                self.put_file(path)

    def put_file(self, path: Path) -> None:
        """Copy one file to the URL."""
        target = f"{self.root}/{path.relative_to(self._folder).as_posix()}"
        self.files.makedirs(target.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(target, path.read_bytes())


@dataclass
class Sharing:
    """The shared place of a run: leases on its tenants, and a mirror where the place is a URL."""

    store: Store
    mirror: Mirror | None
    scratch: Path
    keeper: Keeper
    realm: str
    terms: Terms
    _at_work: set[Path] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, base: Path, mirror: Mirror | None, terms: Terms = TERMS) -> Iterator[Sharing]:
        """Open the place of runs `base`, or that of the mirror. Raises `SettingsError` where it cannot be used."""
        scratch = Path(tempfile.mkdtemp(prefix="scim-lease-"))
        try:
            try:
                store: Store = UrlStore(mirror.files, f"{mirror.root}/{LEASES}") if mirror else FolderStore(base / LEASES)
                realm = realm_of(store)
            except OSError as refused:
                where = mirror.url if mirror else base
                raise SettingsError(f"{where} cannot be written ({type(refused).__name__})", "Check it and its rights") from None
            sharing = cls(store, mirror, scratch, Keeper(terms.renewed_every_s), realm, terms)
            copying = threading.Thread(target=sharing._copy_journals, name="copying", daemon=True)
            copying.start()
            try:
                yield sharing
            finally:
                sharing.keeper.close()
                sharing._ended.set()
                copying.join()
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    @contextlib.contextmanager
    def held(self, tenant: TenantSettings, folder: Path) -> Iterator[Held]:
        """Hold the lease on a tenant, whose journals are then up to date here. Raises `TenantBusy`, `OSError`."""
        key = hashlib.sha256(f"{tenant.auth0_domain.lower()} {tenant.auth0_connection}".encode()).hexdigest()[:32]
        lease = Lease(self.store, key, f"{folder.parent.name} on {platform.node()}", self.terms)
        lease.take()
        until = self.scratch / f"{key}.until"
        self.keeper.keep(lease, until)
        try:
            if self.mirror:
                self.mirror.fetch_journals(folder.name)
            self._at_work.add(folder)
            yield Held(lease, {LEASE_VARIABLE: str(until), REALM_VARIABLE: self.realm})
            self._at_work.discard(folder)
            if self.mirror and not Held(lease, {}).is_lost():
                self.mirror.put(folder)
                self.mirror.put(folder.parent / INDEX)
        finally:
            self._at_work.discard(folder)
            self.keeper.drop(lease)
            lease.free()

    @contextlib.contextmanager
    def summarising(self, folder: Path) -> Iterator[None]:
        """Let one task at a time write the summary of a run, from what all of them have left so far."""
        lease = Lease(self.store, f"summary-{output_name(folder.name)}", platform.node(), self.terms)
        _taken_in_turn(lease)
        self.keeper.keep(lease, self.scratch / "summary.until")
        try:
            if self.mirror:
                self.mirror.fetch_run(folder.name)
            yield
            if self.mirror:
                for path in folder.iterdir():
                    if path.is_file() and not path.name.startswith("."):
                        self.mirror.put_file(path)
        finally:
            self.keeper.drop(lease)
            lease.free()

    def _copy_journals(self) -> None:
        """Copy the journals of tenants in progress now and then: if this machine is lost, most of its work is still on record."""
        copied: dict[Path, int] = {}
        while self.mirror and not self._ended.wait(COPIED_EVERY_S):
            for folder in tuple(self._at_work):
                journal = folder / "journal.jsonl"
                size = journal.stat().st_size if journal.exists() else 0
                if size > copied.get(folder, 0):
                    with contextlib.suppress(OSError):  # at the end it is copied whole, and told when that fails
                        self.mirror.put_file(journal)
                        copied[folder] = size


@dataclass(frozen=True)
class Held:
    """A lease that is held, and the variables by which a kernel learns of it."""

    lease: Lease
    variables: Mapping[str, str]

    def is_lost(self) -> bool:
        """Whether another task may have taken it."""
        return self.lease.clock() >= self.lease.sure_until


def _taken_in_turn(lease: Lease) -> None:
    """Take a lease that others hold for a moment only."""
    for _ in range(_TURNS):
        with contextlib.suppress(TenantBusy):
            return lease.take()
        lease.sleep(0.5)
    raise TenantBusy(lease.key, "others, one after the other")
