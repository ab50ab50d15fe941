"""Tenants carried out by the workers of a dask cluster (dask.distributed, an optional extra).

What travels is what a tenants file holds: references to secrets, not secrets. Each worker resolves them where it runs, from its
own environment, files or keyring, and fetches its own tokens; what comes back are outcomes, scrubbed. dask starts a task again
when its worker dies, even with `retries=0` (seen with distributed 2026.8), so every tenant is under a lease, and one that is
finished is left alone.
"""

from __future__ import annotations

import atexit
import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib.batch.kernels.forkserver import KernelKind
from runbook_lib.batch.machines.lease import Terms
from runbook_lib.batch.machines.sharing import Mirror, Sharing
from runbook_lib.batch.one_tenant import TenantOutcome, Workshop, run_tenant
from runbook_lib.batch.slots import Course
from runbook_lib.core.errors import SettingsError
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.settings.model import SECRET_COLUMNS, RunMode, TenantSettings
from runbook_lib.settings.process import lock_folder, output_name
from runbook_lib.settings.tenants_file import missing

if TYPE_CHECKING:
    from runbook_lib.batch.runner import Carry, Options

CONNECT_S = 20
_LOOKED_EVERY_S = 0.5
_worker = threading.Lock()
_open: dict[tuple[str, str, str], tuple[Workshop, Path]] = {}  # of this worker process, by run
_until_the_end = contextlib.ExitStack()
atexit.register(_until_the_end.close)


@contextlib.contextmanager
def on_cluster(options: Options, folder: Path, workshop: Workshop, must_stop: Callable[[], bool]) -> Iterator[Carry]:
    """Yield the function that carries out one tenant on the cluster at `options.executor`. Raises `SettingsError` without one.

    To stop, a file is put where the leases are: whatever network lies between, the workers see that place.
    """
    distributed = _distributed()
    kind, _, address = options.executor.partition("://")
    if kind != "dask" or not address:
        raise SettingsError(f"--executor {options.executor} is not known", "Write dask://HOST:PORT, the address of a scheduler")
    if workshop.sharing is None:
        raise SettingsError("--executor needs a place that all workers see", "Give --out")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as refused:
        raise SettingsError(f"no dask scheduler answers at {address} ({type(refused).__name__})", "Check the address") from None
    store, mirror = workshop.sharing.store, workshop.sharing.mirror
    stop_file = f"stops/{secrets.token_hex(8)}"
    url = mirror.url if mirror else ""
    task = (options.procedure, options.mode.value, str(folder), url, stop_file, options.kernel, options.terms)

    def carry(tenant: TenantSettings, place: Path, course: Course) -> TenantOutcome:
        if why_not := course.begin():
            return TenantOutcome(tenant.name, "not-started", f"not started: {why_not}", place)
        key = f"{folder.name}-{place.name}-{secrets.token_hex(4)}"
        future = client.submit(work, tenant.model_dump(mode="json"), *task, key=key, pure=False, retries=0)
        try:
            status, about, seconds = _waited_for(future, must_stop, lambda: store.create(stop_file, ""))
        except (distributed.KilledWorker, CancelledError, OSError) as lost:
            return TenantOutcome(tenant.name, "failed", f"the cluster lost it ({type(lost).__name__}); run again", place)
        return TenantOutcome(tenant.name, status, about, place, seconds)

    with client:
        try:
            yield carry
        finally:
            store.remove(stop_file)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise SettingsError(
            "--executor needs dask.distributed", "pip install 'inbound-scim-runbook[dask]', here and on the workers"
        ) from None
    return distributed


def _waited_for(future: Any, must_stop: Callable[[], bool], stop: Callable[[], object]) -> tuple[str, str, float]:
    """Return the result of a task, telling its worker to stop when this run has to."""
    # Not `future.result(timeout=...)`: with distributed 2026.8 its time-out can end in an UnboundLocalError.
    has_ended, has_told = threading.Event(), False
    future.add_done_callback(lambda _: has_ended.set())
    while not has_ended.wait(_LOOKED_EVERY_S):
        if must_stop() and not has_told:
            stop()
            has_told = True
    status, about, seconds = future.result()
    return status, about, seconds


def work(
    values: dict[str, Any],
    procedure: Procedure,
    mode: str,
    folder: str,
    url: str,
    stop_file: str,
    kernel: KernelKind,
    terms: Terms,
) -> tuple[str, str, float]:
    """Carry one tenant out on a worker; return status, what to know, and seconds. A worker has threads for several at once."""
    started = time.monotonic()
    try:
        tenant = TenantSettings.from_parameters(values)
        for column in SECRET_COLUMNS:
            reference = getattr(tenant, column)
            if reference and (wrong := missing(reference, column)):  # here it may be another machine's file, or none
                raise wrong
        workshop, base = _workshop(procedure, Path(folder), url, kernel, terms)
    except SettingsError as refused:  # of this worker, not of the tenants file, which was read whole elsewhere
        return "failed", f"on a worker: {refused}", time.monotonic() - started
    store = workshop.sharing.store if workshop.sharing else None
    workshop = replace(workshop, must_stop=lambda: store is not None and store.read(stop_file) is not None)
    outcome = run_tenant(tenant, RunMode(mode), base / Path(folder).name / output_name(tenant.name), workshop)
    return outcome.status, outcome.about, time.monotonic() - started


def _workshop(procedure: Procedure, folder: Path, url: str, kernel: KernelKind, terms: Terms) -> tuple[Workshop, Path]:
    """Return what the tenants of a run share on this worker, and its folder of runs; kept until the worker ends."""
    key = (str(folder), url, kernel)
    with _worker:
        if key not in _open:
            base = Path(tempfile.mkdtemp(prefix="scim-run-")) if url else folder.parent
            sharing = _until_the_end.enter_context(Sharing.opened(base, Mirror(url, base) if url else None, terms))
            pace = lock_folder() / f"pace-{folder.name}"
            pace.mkdir(mode=0o700, exist_ok=True)
            workshop = _until_the_end.enter_context(Workshop.opened(procedure, kernel, sharing=sharing))
            _open[key] = (replace(workshop, pace=pace), base)
        return _open[key]
