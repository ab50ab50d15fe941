"""The notebook carried out for one tenant. What happened is read from the journal, never from the page."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.batch.grants import Grants
from runbook_lib.batch.quick_imports import without_grammar
from runbook_lib.batch.sharing import Held, Sharing
from runbook_lib.batch.turns import Course
from runbook_lib.batch.warm_process import KernelKind
from runbook_lib.errors import JournalFailed, LeaseLost, SettingsError, TenantBusy
from runbook_lib.lock import TenantLock
from runbook_lib.report import rebuild_report, tenant_status, write_private
from runbook_lib.secret import scrubber
from runbook_lib.settings import (
    COLUMNS,
    PACE_VARIABLE,
    SECRET_COLUMNS,
    RunMode,
    TenantSettings,
    child_environment,
    lock_folder,
    resolve,
)

PROJECT = Path(__file__).resolve().parent.parent.parent
NOTEBOOK = PROJECT / "notebooks" / "inbound_scim.ipynb"
DONE = ("done", "unchanged")
STARTS = 3  # of a kernel that dies before its first cell
_REFUSED = {"TenantBusy": "busy", "SettingsError": "failed", "JournalFailed": "failed", "LeaseLost": "busy"}
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
    """What the tenants of a run share. `scratch` is a folder for sockets; their pace is kept in it too.

    `sharing` is there when tasks on other machines may be at work on the same run; `pace` when other processes of this machine
    keep the same pace.
    """

    scratch: Path
    kernel: KernelKind = "auto"
    must_stop: Callable[[], bool] = lambda: False
    sharing: Sharing | None = None
    pace: Path | None = None
    grants: Grants = field(default_factory=Grants)

    @classmethod
    @contextmanager
    def opened(
        cls,
        kernel: KernelKind = "auto",
        must_stop: Callable[[], bool] = lambda: False,
        sharing: Sharing | None = None,
        tenants: Iterable[TenantSettings] = (),
    ) -> Iterator[Workshop]:
        """Make the folder and remove it at the end. `tenants` are all of the run, see `Grants`."""
        usual = tempfile.gettempdir()
        scratch = tempfile.mkdtemp(prefix="scim-", dir=usual if len(usual) < _SOCKET_PATH_LIMIT else "/tmp")  # noqa: S108
        try:
            (Path(scratch) / "pace").mkdir()
            yield cls(Path(scratch), kernel, must_stop, sharing, grants=Grants(tenants))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def environment_for(self, tenant: TenantSettings) -> dict[str, str]:
        """Return the whole environment of a tenant's kernel."""
        return child_environment(**{PACE_VARIABLE: str(self.pace or self.scratch / "pace")}, **self.grants.variables_for(tenant))


def run_tenant(
    tenant: TenantSettings,
    mode: RunMode,
    folder: Path,
    workshop: Workshop,
    course: Course = Course(),  # noqa: B008 - it has no state
) -> TenantOutcome:
    """Execute the notebook for one tenant and return how it ended, from its journal.

    Where tasks share the run, its lease is held meanwhile, and a tenant that another task has finished is left alone.
    A kernel that dies before anything is in the journal has done nothing, and is started again. Raises what is a defect.
    """
    with _looked_for(tenant):
        return _run(tenant, mode, folder, workshop, course)


def _run(tenant: TenantSettings, mode: RunMode, folder: Path, workshop: Workshop, course: Course) -> TenantOutcome:
    if workshop.sharing is None:
        return _run_here(tenant, mode, folder, workshop, course)
    outcome = None
    try:
        with workshop.sharing.held(tenant, folder) as held:
            outcome = finished(tenant.name, mode, folder) or _run_here(tenant, mode, folder, workshop, course, held)
    except TenantBusy as busy:
        return TenantOutcome(tenant.name, "busy", str(busy), folder)
    except OSError as broken:
        about = f"{outcome.status if outcome else 'not begun'}, but the shared place cannot be used ({broken}); see {folder}"
        return TenantOutcome(tenant.name, "failed", scrubber.scrub(about), folder)
    return outcome


@contextmanager
def _looked_for(tenant: TenantSettings) -> Iterator[None]:
    """Let the scrubber of this process, which writes the page, know a tenant's secrets while it is at work.

    Its kernel knows them too, and has sent nothing that holds one; a second look costs little.
    """
    with scrubber.noting() as noted:
        for column in SECRET_COLUMNS:
            if reference := getattr(tenant, column):
                with suppress(SettingsError):  # the kernel says what is wrong
                    resolve(reference, column=column)
    try:
        yield
    finally:
        scrubber.forget(noted)


class _Recorded(Course):
    """Writes down what a tenant is run with, as soon as it is its turn: before, what an earlier run has left is not touched."""

    def __init__(self, course: Course, path: Path, settings: str) -> None:
        self._path, self._settings, self._course = path, settings, course
        self.comes_to, self.is_over = course.comes_to, course.is_over  # type: ignore[method-assign]

    def begin(self) -> str:
        """Write it, if it is its turn."""
        why_not = self._course.begin()
        if not why_not:
            write_private(self._path, self._settings)
        return why_not


def import_what_executes() -> None:
    """Import what executes pages: half a second that is worth doing while something else is waited for."""
    with without_grammar():
        import runbook_lib.batch.execution  # noqa: F401


def finished(name: str, mode: RunMode, folder: Path) -> TenantOutcome | None:
    """Return the outcome of a tenant that this run has finished in this mode, None when something is left to do."""
    if not (folder / "journal.jsonl").exists():
        return None
    try:
        status, about = tenant_status(folder / "journal.jsonl")
    except JournalFailed:  # its run will say so
        return None
    is_finished = status in (*DONE, "pending") if mode is RunMode.PLAN else status in DONE
    return TenantOutcome(name, status, about, folder) if is_finished else None


def _run_here(
    tenant: TenantSettings,
    mode: RunMode,
    folder: Path,
    workshop: Workshop,
    course: Course,
    held: Held | None = None,
) -> TenantOutcome:
    started = time.monotonic()
    if busy := _held(tenant, folder):
        return TenantOutcome(tenant.name, "busy", busy, folder)
    environment = workshop.environment_for(tenant)  # the first asks for a token, and meanwhile another thread may import
    import_what_executes()
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from runbook_lib.batch.execution import StoppedEarly

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = tenant.model_dump(mode="json")
    course = _Recorded(course, folder / "settings.json", json.dumps(values, indent=1))
    journal, page = folder / "journal.jsonl", folder / "inbound_scim.ipynb"
    before = _size(journal)
    for start in range(1, STARTS + 1):
        trouble = kind = ""
        try:
            _execute(
                {**{name: values[name] for name in COLUMNS}, "mode": str(mode), "out": str(folder)},
                page,
                {**environment, **(held.variables if held else {})},
                workshop,
                course,
                held,
            )
        except PapermillExecutionError as failed:
            kind, trouble = failed.ename, f"{failed.ename}: {failed.evalue}"
        except StoppedEarly as stopped:
            kind, trouble = _why_stopped(held, str(stopped))
        except (DeadKernelError, RuntimeError) as died:
            trouble = f"the kernel died: {died}"
            if _size(journal) == before and start < STARTS:
                continue
        break
    if kind in _REFUSED:  # the journal, if any, is not this run's
        status, about = _REFUSED[kind], trouble
    elif _size(journal) > before:
        status, about = _ended(journal)
    elif kind == "StoppedEarly":
        status, about = "not-started", f"not started: {trouble}"
    else:
        status, about = "failed", trouble or "nothing happened"
    about = scrubber.scrub(about if not trouble or trouble in about else f"{about} ({trouble})")
    return TenantOutcome(tenant.name, status, about, folder, time.monotonic() - started)


def _why_stopped(held: Held | None, why: str) -> tuple[str, str]:
    """Return what ended a run between two cells, as the name of an error and in words."""
    if held is not None and held.is_lost():
        return LeaseLost.__name__, str(LeaseLost())
    return "StoppedEarly", why


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
    parameters: Mapping[str, str],
    page: Path,
    environment: Mapping[str, str],
    workshop: Workshop,
    course: Course,
    held: Held | None,
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
            environment=environment,
            course=course,
            must_stop=lambda: workshop.must_stop() or (held is not None and held.is_lost()),
        )
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
