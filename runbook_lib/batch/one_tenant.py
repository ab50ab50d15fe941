"""The notebook carried out for one tenant. What happened is read from the journal, never from the page."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.batch.grants import Grants
from runbook_lib.batch.warm_kernels import KernelKind
from runbook_lib.errors import TenantBusy
from runbook_lib.lock import TenantLock
from runbook_lib.report import rebuild_report, tenant_status, write_private
from runbook_lib.secret import scrubber
from runbook_lib.settings import COLUMNS, PACE_VARIABLE, RunMode, TenantSettings, child_environment, lock_folder

PROJECT = Path(__file__).resolve().parent.parent.parent
NOTEBOOK = PROJECT / "notebooks" / "inbound_scim.ipynb"
STARTS = 3  # of a kernel that dies before its first cell
_REFUSED_AT_THE_START = {"TenantBusy": "busy", "SettingsError": "failed", "JournalFailed": "failed"}
_SOCKET_PATH_LIMIT = 60  # of the 107 characters that the address of a socket may have


@dataclass(frozen=True)
class TenantOutcome:
    """How one tenant ended: `status` as in `report.tenant_status`, or busy, or not-started; `folder` holds what it left."""

    name: str
    status: str
    about: str
    folder: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class Workshop:
    """What the tenants of a run share. `scratch` is a folder for sockets; their pace is kept in it too."""

    scratch: Path
    kernel: KernelKind = "auto"
    must_stop: Callable[[], bool] = lambda: False
    grants: Grants = field(default_factory=Grants)

    @classmethod
    @contextmanager
    def opened(cls, kernel: KernelKind = "auto", must_stop: Callable[[], bool] = lambda: False) -> Iterator[Workshop]:
        """Make the folder and remove it at the end."""
        usual = tempfile.gettempdir()
        scratch = tempfile.mkdtemp(prefix="scim-", dir=usual if len(usual) < _SOCKET_PATH_LIMIT else "/tmp")  # noqa: S108
        try:
            (Path(scratch) / "pace").mkdir()
            yield cls(Path(scratch), kernel, must_stop)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def environment_for(self, tenant: TenantSettings) -> dict[str, str]:
        """Return the whole environment of a tenant's kernel."""
        return child_environment(**{PACE_VARIABLE: str(self.scratch / "pace")}, **self.grants.variables_for(tenant))


def run_tenant(
    tenant: TenantSettings, mode: RunMode, folder: Path, workshop: Workshop, on_step: Callable[[str], None] = lambda step: None
) -> TenantOutcome:
    """Execute the notebook for one tenant and return how it ended, from its journal.

    A kernel that dies before anything is in the journal has done nothing, and is started again. Raises what is a defect.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from runbook_lib.batch.execution import StoppedEarly

    started = time.monotonic()
    if busy := _held(tenant, folder):
        return TenantOutcome(tenant.name, "busy", busy, folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = tenant.model_dump(mode="json")
    write_private(folder / "settings.json", json.dumps(values, indent=1))
    journal, page = folder / "journal.jsonl", folder / "inbound_scim.ipynb"
    before = _size(journal)
    for start in range(1, STARTS + 1):
        trouble = kind = ""
        try:
            _execute(
                {**{name: values[name] for name in COLUMNS}, "mode": str(mode), "out": str(folder)},
                page,
                tenant,
                workshop,
                on_step,
            )
        except PapermillExecutionError as failed:
            kind, trouble = failed.ename, f"{failed.ename}: {failed.evalue}"
        except StoppedEarly:
            if _size(journal) == before:
                return TenantOutcome(tenant.name, "not-started", "not started: the run was asked to stop", folder)
            trouble = "the run was asked to stop"
        except (DeadKernelError, RuntimeError) as died:
            trouble = f"the kernel died: {died}"
            if _size(journal) == before and start < STARTS:
                continue
        break
    status, about = _ended(journal) if _size(journal) > before else ("failed", trouble or "nothing happened")
    if kind in _REFUSED_AT_THE_START:  # the journal, if any, is an earlier run's
        status, about = _REFUSED_AT_THE_START[kind], trouble
    about = scrubber.scrub(about if not trouble or trouble in about else f"{about} ({trouble})")
    return TenantOutcome(tenant.name, status, about, folder, time.monotonic() - started)


def _held(tenant: TenantSettings, folder: Path) -> str:
    """Return why a tenant cannot be begun, empty when it can: a kernel would only be started to be refused."""
    lock = TenantLock(lock_folder(), tenant.auth0_domain, tenant.auth0_connection, str(folder))
    try:
        lock.take()
    except TenantBusy as busy:
        return str(busy)
    lock.free()
    return ""


def _ended(journal: Path) -> tuple[str, str]:
    """Return how a run ended, from its journal; one that died before its end gets its report here."""
    status, about = tenant_status(journal)
    if status == "interrupted":
        rebuild_report(journal, (status, about))
    return status, about


def _execute(
    parameters: Mapping[str, str], page: Path, tenant: TenantSettings, workshop: Workshop, on_step: Callable[[str], None]
) -> None:
    from runbook_lib.batch.execution import execute
    from runbook_lib.batch.pages import private

    sockets = Path(tempfile.mkdtemp(dir=workshop.scratch))
    try:
        execute(
            NOTEBOOK,
            private(page),
            parameters,
            kernel=workshop.kernel,
            sockets=sockets,
            environment=workshop.environment_for(tenant),
            on_step=on_step,
            must_stop=workshop.must_stop,
        )
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
