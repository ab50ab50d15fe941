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

from runbook_lib.batch.kernels.forkserver import KernelKind, can_be_warm, is_fast
from runbook_lib.batch.machines.sharing import Held, Sharing
from runbook_lib.batch.shared_tokens import Grants
from runbook_lib.batch.slots import Course, PageRun, StoppedEarly
from runbook_lib.core.errors import JournalFailed, LeaseLost, SettingsError, TenantBusy
from runbook_lib.core.places import notebook
from runbook_lib.core.secret import scrubber
from runbook_lib.core.without_grammar import without_grammar
from runbook_lib.engine.journal import LastRun
from runbook_lib.http.breaker import Breaker
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.lock import TenantLock, locks_of
from runbook_lib.run.not_begun import tell_not_begun
from runbook_lib.run.report import rebuild_report, tenant_status, write_private
from runbook_lib.settings.model import COLUMNS, SECRET_COLUMNS, RunMode, TenantSettings
from runbook_lib.settings.process import PACE_VARIABLE, RUNNER_VARIABLE, child_environment, lock_folder
from runbook_lib.settings.references import resolve

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

    procedure: Procedure
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
        procedure: Procedure,
        kernel: KernelKind = "auto",
        must_stop: Callable[[], bool] = lambda: False,
        sharing: Sharing | None = None,
        tenants: Iterable[TenantSettings] = (),
    ) -> Iterator[Workshop]:
        """Make the folder and remove it at the end. `tenants` are all of the run, see `Grants`."""
        usual = tempfile.gettempdir()
        scratch = tempfile.mkdtemp(prefix="scim-", dir=usual if len(usual) < _SOCKET_PATH_LIMIT else "/tmp")  # noqa: S108
        pace = Path(scratch) / "pace"
        try:
            pace.mkdir()
            grants = Grants(tenants, breaker=Breaker(pace), pace=pace)
            yield cls(procedure, Path(scratch), kernel, must_stop, sharing, grants=grants)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def environment_for(self, tenant: TenantSettings, mode: RunMode) -> dict[str, str]:
        """Return the whole environment of a tenant's kernel.

        A token is handed over only to a kernel that is forked: that takes its environment in its memory, while one of a process
        that is started stands in /proc for all processes of the user. A started kernel signs in itself.
        """
        is_forked = is_fast(self.kernel) and can_be_warm()
        named = {PACE_VARIABLE: str(self.pace or self.scratch / "pace"), RUNNER_VARIABLE: "run"}
        return child_environment(**named, **(self.grants.variables_for(tenant, mode) if is_forked else {}))


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
            outcome = finished(tenant, workshop.procedure, mode, folder) or _run_here(
                tenant, mode, folder, workshop, course, held
            )
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
                with suppress(SettingsError):  # the kernel reports what is wrong
                    resolve(reference, column=column)
    try:
        yield
    finally:
        scrubber.forget(noted)


class _Recorded(Course):
    """Writes settings.json when the tenant gets its slot, so that a queued tenant keeps an earlier run's file."""

    def __init__(self, course: Course, path: Path, settings: str) -> None:
        self._path, self._settings, self._course = path, settings, course
        self.comes_to, self.is_over = course.comes_to, course.is_over  # type: ignore[method-assign]

    def begin(self) -> str:
        """Write the settings if the tenant has its slot."""
        why_not = self._course.begin()
        if not why_not:
            write_private(self._path, self._settings)
        return why_not


def import_what_executes(kernel: KernelKind) -> Callable[[PageRun], None]:
    """Import the module that executes pages and return it: half a second, best spent while waiting for something else."""
    with without_grammar():
        if is_fast(kernel):
            from runbook_lib.batch.execution import execute
        else:
            from runbook_lib.batch.stock_execution import execute
    return execute


def finished(tenant: TenantSettings, procedure: Procedure, mode: RunMode, folder: Path) -> TenantOutcome | None:
    """Return the outcome of a tenant that this run has finished in this mode, None when something is left to do.

    Finished means with these settings: after a row was corrected, or `turn_on` set to yes, the tenant is run again.
    """
    journal = folder / "journal.jsonl"
    if not journal.exists():
        return None
    try:
        status, about = tenant_status(journal, procedure)
        is_same = had_settings(journal, tenant)
    except JournalFailed:  # its run will say so
        return None
    is_finished = status in (*DONE, "pending") if mode is RunMode.PLAN else status in DONE
    return TenantOutcome(tenant.name, status, about, folder) if is_finished and is_same else None


def had_settings(journal: Path, tenant: TenantSettings) -> bool:
    """Whether the last run in a journal was given these settings. Raises `JournalFailed`."""
    last = LastRun.of(journal)
    return last is not None and last.settings == tenant.digest


def _run_here(
    tenant: TenantSettings,
    mode: RunMode,
    folder: Path,
    workshop: Workshop,
    course: Course,
    held: Held | None = None,
) -> TenantOutcome:
    started = time.monotonic()
    if (refused := _not_begun(tenant, mode, folder, workshop)) is not None:
        return refused
    environment = workshop.environment_for(tenant, mode)  # the first asks for a token, and meanwhile another thread may import
    import_what_executes(workshop.kernel)
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = tenant.model_dump(mode="json")
    course = _Recorded(course, folder / "settings.json", json.dumps(values, indent=1))
    parameters = {**{name: values[name] for name in COLUMNS}, "mode": str(mode), "out": str(folder)}
    variables = {**environment, **(held.variables if held else {})}
    journal, page = folder / "journal.jsonl", folder / notebook(workshop.procedure.notebook).name
    before = _size(journal)
    for start in range(1, STARTS + 1):
        trouble = kind = ""
        try:
            _execute(parameters, page, variables, workshop, course, held)
        except PapermillExecutionError as failed:
            kind, trouble = failed.ename, f"{failed.ename}: {failed.evalue}"
        except StoppedEarly as stopped:
            kind, trouble = _why_stopped(held, str(stopped))
        except (DeadKernelError, RuntimeError) as died:
            trouble = f"the kernel died: {died}"
            if _size(journal) == before and start < STARTS:
                continue
        break
    status, about = _how_it_ended(journal, workshop.procedure, kind, trouble, has_written=_size(journal) > before)
    return TenantOutcome(tenant.name, status, about, folder, time.monotonic() - started)


def _how_it_ended(journal: Path, procedure: Procedure, kind: str, trouble: str, *, has_written: bool) -> tuple[str, str]:
    """Return the status of a run and what to know about it.

    `kind` is the name of the error that ended the page, `trouble` its words; both are empty when none did. `has_written` tells
    whether the run has added to the journal.
    """
    if kind in _REFUSED:  # the journal, if any, is not this run's
        status, about = _REFUSED[kind], trouble
    elif has_written:
        status, about = _ended(journal, procedure)
    elif kind == "StoppedEarly":
        status, about = "not-started", f"not started: {trouble}"
    else:
        status, about = "failed", trouble or "nothing happened"
    return status, scrubber.scrub(about if not trouble or trouble in about else f"{about} ({trouble})")


def _why_stopped(held: Held | None, why: str) -> tuple[str, str]:
    """Return what ended a run between two cells, as the name of an error and in words."""
    if held is not None and held.is_lost():
        return LeaseLost.__name__, str(LeaseLost())
    return "StoppedEarly", why


def _not_begun(tenant: TenantSettings, mode: RunMode, folder: Path, workshop: Workshop) -> TenantOutcome | None:
    """Return the outcome of a tenant that need not be begun, None for one that may. An outage leaves a report all the same."""
    if busy := _held(tenant, folder):
        return TenantOutcome(tenant.name, "busy", busy, folder)
    if outage := workshop.grants.outage(tenant):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            tell_not_begun(tenant, workshop.procedure, mode, folder, outage)
        except JournalFailed as failed:
            return TenantOutcome(tenant.name, "failed", str(failed), folder)
        return TenantOutcome(tenant.name, "failed", scrubber.scrub(f"not begun: {outage}"), folder)
    return None


def _held(tenant: TenantSettings, folder: Path) -> str:
    """Return why a tenant cannot start; empty when it can. This saves the start of a kernel that would be refused."""
    lock = TenantLock(locks_of(lock_folder(), tenant.cloud), tenant.auth0_domain, tenant.auth0_connection, str(folder))
    try:
        lock.take()
    except TenantBusy as busy:
        return str(busy)
    lock.free()
    return ""


def _ended(journal: Path, procedure: Procedure) -> tuple[str, str]:
    """Return how a run ended, from its journal; one that died before its end gets its report here."""
    status, about = tenant_status(journal, procedure)
    if status == "interrupted":
        rebuild_report(journal, (status, about), procedure)
    return status, about


def _execute(
    parameters: Mapping[str, str],
    page: Path,
    environment: Mapping[str, str],
    workshop: Workshop,
    course: Course,
    held: Held | None,
) -> None:
    from runbook_lib.batch.private_output import private

    def must_stop() -> bool:
        return workshop.must_stop() or (held is not None and held.is_lost())

    execute, source = import_what_executes(workshop.kernel), notebook(workshop.procedure.notebook)
    sockets = Path(tempfile.mkdtemp(dir=workshop.scratch))
    try:
        execute(PageRun(source, private(page), parameters, sockets, environment, course, must_stop))
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
