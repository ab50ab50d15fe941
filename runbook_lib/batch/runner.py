"""Many tenants: a number at a time, in waves, until all are done or the run has to stop. Every tenant is accounted for."""

from __future__ import annotations

import functools
import json
import logging
import os
import secrets
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from runbook_lib.batch.kernels.forkserver import KernelKind, get_warm
from runbook_lib.batch.machines.lease import TERMS, Terms
from runbook_lib.batch.machines.sharing import Sharing
from runbook_lib.batch.one_tenant import TenantOutcome, Workshop, import_what_executes, run_tenant
from runbook_lib.batch.open_files import jobs_within, raised_limit
from runbook_lib.batch.shared_tokens import Grants
from runbook_lib.batch.slots import Course, Turn, Turns
from runbook_lib.batch.step_progress import parts_told
from runbook_lib.core.errors import NO_ROOM, JournalFailed, SettingsError
from runbook_lib.core.json_text import parsed
from runbook_lib.core.places import outputs_folder
from runbook_lib.core.process_memory import share_arenas
from runbook_lib.core.secret import scrubber
from runbook_lib.engine.status import exit_code
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.report import rows_of, tenant_status, write_private
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.process import output_name
from runbook_lib.tenant.things import Thing

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How a run is carried out. `canary` tenants go first, 0: no wave of their own; `max_failures` None: no limit.

    `executor` is the address of a cluster whose workers run the tenants; empty: this machine does. `terms` are those of leases.
    """

    procedure: Procedure
    mode: RunMode = RunMode.PLAN
    jobs: int = 16
    kernel: KernelKind = "auto"
    canary: int = 0
    max_failures: int | None = None
    executor: str = ""
    terms: Terms = TERMS


class Watcher(Protocol):
    """Receives the events of a run, from several threads."""

    def begins(self, name: str) -> None:
        """A tenant begins."""

    def step(self, name: str, number: str) -> None:
        """A tenant comes to a step."""

    def part(self, name: str, done: int, of: int) -> None:
        """A tenant's step has written some of its changes."""

    def ends(self, outcome: TenantOutcome) -> None:
        """A tenant is done, or will not be started."""

    def says(self, text: str) -> None:
        """Something about the run as a whole."""


class Stop:
    """Whether the run may start no further step, or no further tenant, and why. Signals and outcomes set it."""

    def __init__(self) -> None:
        self.signal = 0
        self.reason = ""

    def press(self) -> None:
        """Stop because a person pressed a button: as the first Ctrl-C does."""
        self.signal, self.reason = signal.SIGINT, "you pressed Stop"

    def is_urgent(self) -> bool:
        """Whether tenants in progress stop after their present step too."""
        return self.signal != 0


def new_run_folder(out: Path | None) -> Path:
    """Return a new folder `<run id>` below `out`, readable by its owner only."""
    folder = (out or outputs_folder()) / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    try:
        folder.mkdir(mode=0o700, parents=True)
    except OSError as refused:
        raise SettingsError(f"{folder} cannot be made ({refused.strerror})", "Choose another --out; nothing was sent") from None
    return folder


def run_tenants(
    tenants: Sequence[TenantSettings],
    options: Options,
    folder: Path,
    watcher: Watcher,
    sharing: Sharing | None = None,
    stop: Stop | None = None,
) -> tuple[tuple[TenantOutcome, ...], int]:
    """Run every tenant; one that fails does not affect another. Returns the outcomes, in order, and the exit code.

    Ctrl-C or SIGTERM lets the steps in hand end; what was not begun is in the outcomes as not-started. A second one ends all
    at once, which the journals survive. `stop` is one that a person may press elsewhere.
    """
    outcomes: dict[str, TenantOutcome] = {}
    stop = stop or Stop()
    share_arenas()
    options = _within_open_files(options, watcher)
    with (
        Workshop.opened(options.procedure, options.kernel, stop.is_urgent, sharing, tenants) as workshop,
        _stopped_by_signals(stop, watcher, workshop.scratch, "" if sharing else f" --resume {folder} goes on later."),
        _carrying(options, folder, workshop, stop) as carry,
    ):
        waves = [tenants[: options.canary], tenants[options.canary :]] if options.canary else [tenants]
        for number, wave in enumerate(waves):
            # Where tasks share a run, no task holds a lease while it waits: another task may be asking for it.
            ahead = 0 if sharing else (options.jobs + 1) // 2
            turns = Turns(options.jobs, options.procedure.numbers, lambda: stop.reason)
            with ThreadPoolExecutor(options.jobs + ahead, thread_name_prefix="tenant") as pool:
                run = _Wave(options, folder, carry, watcher, stop, turns, deque(wave), workshop.grants, outcomes)
                futures = [pool.submit(run.next) for _ in wave]
                if not options.executor:
                    import_what_executes(options.kernel)  # while the first of them waits for a token
                for future in futures:
                    future.result()
            start = options.procedure.number_of(Thing.START)
            if number == 0 and options.canary and (gate := _gate_failure(outcomes.values(), sharing, start)):
                stop.reason = stop.reason or f"the start gate ({start}) refused {gate} of the first wave"
    ordered = tuple(outcomes[tenant.name] for tenant in tenants)
    return ordered, 128 + stop.signal if stop.signal else exit_code(outcome.status for outcome in ordered)


def _within_open_files(options: Options, watcher: Watcher) -> Options:
    """Return the options with at most as many tenants at a time as the limit of open files allows; say so if that is fewer."""
    limit = raised_limit()
    jobs = jobs_within(options.jobs, limit)
    if jobs >= options.jobs:
        return options
    watcher.says(f"{jobs} tenants at a time instead of {options.jobs}: this process may have {limit} files open (ulimit -n).")
    return replace(options, jobs=jobs)


Carry = Callable[[TenantSettings, Path, Course], TenantOutcome]


@contextmanager
def _carrying(options: Options, folder: Path, workshop: Workshop, stop: Stop) -> Iterator[Carry]:
    """Yield the function that carries out one tenant: here, or on a cluster."""
    if options.executor:
        from runbook_lib.batch.machines.cluster import on_cluster

        with on_cluster(options, folder, workshop, stop.is_urgent) as carry:
            yield carry
    else:
        get_warm(options.kernel)  # meanwhile this process imports what executes pages
        yield lambda tenant, place, course: run_tenant(tenant, options.mode, place, workshop, course)


@dataclass
class _Watched(Course):
    """A tenant's turn that is watched. `is_patient`: the next one begins only when it is known how this one ended."""

    turn: Turn
    watcher: Watcher
    name: str
    journal: Path
    is_patient: bool
    watching: ExitStack
    has_begun: bool = False

    def begin(self) -> str:
        """Tell that it is begun, if it is; a kernel that died at once is started again, which is no other beginning."""
        why_not = self.turn.begin()
        if not why_not and not self.has_begun:
            self.has_begun = True
            self.watcher.begins(self.name)
            tell = functools.partial(self.watcher.part, self.name)
            self.watching.enter_context(parts_told(self.journal, tell, self._waits))
        return why_not

    def _waits(self, step: str) -> None:
        words = "waits, because what was written counts at the service only after some minutes"
        self.watcher.says(f"{self.name}: step {step} {words}")

    def comes_to(self, step: str) -> None:
        """Tell the step."""
        self.turn.comes_to(step)
        self.watcher.step(self.name, step)

    def is_over(self) -> None:
        """Let the next tenant begin, if it may."""
        if not self.is_patient:
            self.turn.is_over()


@dataclass
class _Wave:
    options: Options
    folder: Path
    carry: Carry
    watcher: Watcher
    stop: Stop
    turns: Turns
    waiting: deque[TenantSettings]
    grants: Grants
    outcomes: dict[str, TenantOutcome]
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> None:
        """Run the next tenant, unless the run has to stop, and keep its outcome."""
        with self.turns.taken() as turn:
            tenant = self.waiting.popleft()
            self._one(tenant, turn)
        self.grants.ended(tenant)

    def _one(self, tenant: TenantSettings, turn: Turn) -> None:
        place = self.folder / output_name(tenant.name)
        if self.stop.reason:
            outcome = TenantOutcome(tenant.name, "not-started", f"not started: {self.stop.reason}", place)
        else:
            with ExitStack() as watching:
                is_patient = self.options.max_failures is not None
                course = _Watched(turn, self.watcher, tenant.name, place / "journal.jsonl", is_patient, watching)
                outcome = self._run(tenant, place, course)
        with self._counting:
            self.outcomes[tenant.name] = outcome
            failed = sum(kept.status in ("failed", "interrupted", "busy") for kept in self.outcomes.values())
            if self.options.max_failures is not None and failed >= self.options.max_failures and not self.stop.reason:
                self.stop.reason = f"{failed} tenants failed, and --max-failures is {self.options.max_failures}"
                self.watcher.says(f"No further tenant is started: {self.stop.reason}.")
        self.watcher.ends(outcome)

    def _run(self, tenant: TenantSettings, place: Path, course: Course) -> TenantOutcome:
        try:
            return self.carry(tenant, place, course)
        except Exception as defect:  # noqa: BLE001 - the next tenant has nothing to do with it
            if isinstance(defect, OSError) and defect.errno in NO_ROOM:
                about = f"the files of this run cannot be written ({defect}). Make room, then run again with --resume"
                return TenantOutcome(tenant.name, "failed", scrubber.scrub(about), place)
            _log.exception("%s: this is a defect of the runbook, please report it", tenant.name)
            about = scrubber.scrub(f"a defect of the runbook, please report it: {type(defect).__name__}: {defect}")
            return TenantOutcome(tenant.name, "failed", about, place)


def _gate_failure(outcomes: Iterable[TenantOutcome], sharing: Sharing | None, start: str) -> str:
    """Return the name of a tenant that the start gate refused, empty when there is none."""
    for outcome in outcomes:
        if outcome.status != "blocked":
            continue
        if sharing and sharing.mirror:  # where a worker of another machine carried it out, its journal is not here yet
            sharing.mirror.fetch_journals(outcome.folder.name)
        rows = rows_of(outcome.folder / "journal.jsonl")
        if any(row["step"] == start and row["status"] == "BLOCKED" for row in rows):
            return outcome.name
    return ""


@contextmanager
def _stopped_by_signals(stop: Stop, watcher: Watcher, scratch: Path, go_on: str) -> Iterator[None]:
    def asked(number: int, _frame: FrameType | None) -> None:
        if stop.signal:
            shutil.rmtree(scratch, ignore_errors=True)
            os._exit(128 + number)  # the kernels end with this process, wherever they are
        stop.signal = number
        stop.reason = f"the run was {'interrupted' if number == signal.SIGINT else 'terminated'}"
        watcher.says(f"Stopping: the steps in hand are finished first. Once more stops at once.{go_on}")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# Runs that go on ------------------------------------------------------------------------------------------------------


def begin(folder: Path, tenants_file: Path, names: Sequence[str], mode: RunMode) -> None:
    """Write down what the run is about, so that it can be resumed when nothing else is left of it.

    Tasks that share a run may all do so at once: each writes the same, whole or not at all.
    """
    about = {"tenants_file": str(tenants_file.absolute()), "mode": str(mode), "tenants": list(names)}
    own = folder / f".run-{secrets.token_hex(4)}.json"
    write_private(own, json.dumps(about, indent=1, ensure_ascii=False))
    own.replace(folder / "run.json")


def begun(folder: Path) -> dict[str, Any]:
    """Return what `begin` wrote. Raises `SettingsError` when the folder is of no run."""
    try:
        about = parsed((folder / "run.json").read_text(encoding="utf-8"))
        return {"tenants_file": Path(about["tenants_file"]), "mode": RunMode(about["mode"]), "tenants": list(about["tenants"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise SettingsError(f"{folder} is not the folder of a run", "Name a folder that holds a run.json") from None


def outcome_of(folder: Path, name: str, procedure: Procedure) -> TenantOutcome:
    """Return how a tenant of an earlier run ended, from its journal alone."""
    place = folder / output_name(name)
    if not (place / "journal.jsonl").exists():
        return TenantOutcome(name, "not-started", "not started", place)
    return told_by_journal(name, place, procedure)


def told_by_journal(name: str, place: Path, procedure: Procedure) -> TenantOutcome:
    """Return how a tenant ended. One whose journal cannot be read counts as failed; the others still show."""
    try:
        status, about = tenant_status(place / "journal.jsonl", procedure)
    except JournalFailed as unreadable:
        status, about = "failed", str(unreadable)
    return TenantOutcome(name, status, about, place)
