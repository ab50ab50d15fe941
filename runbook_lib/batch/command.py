"""What `run` and `report` do: choose the tenants, carry them out, and leave the summaries, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runbook_lib.batch import progress
from runbook_lib.batch.machines.sharing import Mirror, Shard, Sharing
from runbook_lib.batch.one_tenant import TenantOutcome, finished
from runbook_lib.batch.runner import (
    Options,
    Stop,
    Watcher,
    begin,
    begun,
    new_run_folder,
    outcome_of,
    run_tenants,
    told_by_journal,
)
from runbook_lib.batch.summary import write_summary
from runbook_lib.core.errors import JournalFailed, SettingsError
from runbook_lib.core.places import outputs_folder
from runbook_lib.engine.journal import LastRun
from runbook_lib.engine.status import exit_code
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.place import place_ahead_of_many
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.process import output_name
from runbook_lib.settings.tenants_file import read_tenants


@dataclass(frozen=True)
class Wanted:
    """Which tenants of which file, and in which mode, as on the command line. `mode` None: plan, or that of the resumed run.

    `run_id` names a run that several tasks carry out, `shard` this one's part of it; `out` may be a URL that fsspec knows.
    """

    tenants_file: Path | None
    mode: RunMode | None = None
    only: tuple[str, ...] = ()
    resume: Path | None = None
    failed: bool = False
    out: Path | str | None = None
    run_id: str = ""
    shard: Shard | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other machines may work on this run, or on another one at the same time."""
        return bool(self.run_id) or self._url is not None

    @property
    def _url(self) -> str | None:
        return self.out if isinstance(self.out, str) and "://" in self.out else None

    @property
    def base(self) -> Path:
        """The folder of runs on this machine."""
        return outputs_folder() if self.out is None or self._url else Path(self.out)

    def mirror(self) -> Mirror | None:
        """Return the mirror of the URL, None for a folder."""
        return Mirror(self._url, self.base) if self._url else None


_SIGNALLED = 128  # and above: the exit codes of a run that was told to stop
Watching = Callable[[int, Procedure], AbstractContextManager[Watcher]]


@dataclass(frozen=True)
class _Run:
    """A run's folder, all its tenants, those of this task, and the outcomes of those that are left alone.

    `meant` are the names that `--only` and `--shard` leave: how they ended makes the exit code, of those left alone too.
    """

    folder: Path
    everyone: Sequence[TenantSettings]
    mine: Sequence[TenantSettings]
    kept: dict[str, TenantOutcome]
    mode: RunMode
    meant: frozenset[str]


def carry_out(
    wanted: Wanted,
    options: Options,
    watching: Watching = progress.shown,
    say: Callable[[str], None] = lambda _text: None,
    stop: Stop | None = None,
) -> tuple[Path, tuple[TenantOutcome, ...], int]:
    """Run the wanted tenants; return the run's folder, how each tenant of this task ended, and the exit code.

    `say` gets the line that tells sandbox from real, before anything is sent; `stop` may be pressed meanwhile.
    Raises `SettingsError` before that.
    """
    if wanted.failed and not wanted.resume:
        raise SettingsError("--failed goes with --resume RUN_DIR", "Name the run whose failed tenants to run again")
    if wanted.resume and wanted.is_shared:
        raise SettingsError("--resume goes with neither --run-id nor a URL", "Give the same --out and --run-id again: it goes on")
    if options.executor and (wanted.out is None or wanted.resume):
        raise SettingsError("--executor needs --out, and no --resume", "Name a folder that all workers see, or a URL")
    with _shared(wanted, options) as sharing:
        run = _begun(wanted, options.procedure, sharing)
        todo = [tenant for tenant in run.mine if tenant.name not in run.kept]
        outcomes, code = {name: outcome for name, outcome in run.kept.items() if name in {one.name for one in run.mine}}, 0
        say(place_ahead_of_many(tenant.auth0_domain for tenant in todo))
        try:
            with watching(len(todo), options.procedure) as watcher:
                made, code = run_tenants(todo, replace(options, mode=run.mode), run.folder, watcher, sharing, stop)
            outcomes |= {outcome.name: outcome for outcome in made}
            if code < _SIGNALLED:
                code = exit_code(outcome.status for outcome in outcomes.values() if outcome.name in run.meant)
        finally:
            left = [one.name for one in run.mine if one.name not in outcomes]
            outcomes |= {name: outcome_of(run.folder, name, options.procedure) for name in left}
            ordered = tuple(outcomes[one.name] for one in run.mine)
            _summarise(run, ordered, options.procedure, sharing)
    return run.folder, ordered, code


@contextmanager
def _shared(wanted: Wanted, options: Options) -> Iterator[Sharing | None]:
    if not wanted.is_shared and not options.executor:
        yield None
        return
    with Sharing.opened(wanted.base, wanted.mirror(), options.terms) as sharing:
        yield sharing


def _summarise(run: _Run, mine: tuple[TenantOutcome, ...], procedure: Procedure, sharing: Sharing | None) -> None:
    """Write the summary: of this task's tenants, or of the whole run as far as it is when other tasks have a part in it."""
    if sharing is None:
        write_summary(run.folder, mine, procedure)
        return
    with sharing.summarising(run.folder):
        own = {outcome.name: outcome for outcome in mine if outcome.status != "busy"}
        others = [one.name for one in run.everyone if one.name not in own]
        outcomes = own | {name: outcome_of(run.folder, name, procedure) for name in others}
        ordered = tuple(outcomes[one.name] for one in run.everyone)
        write_summary(run.folder, ordered, procedure, is_mirrored=sharing.mirror is not None)


def outcomes_of(folder: Path, procedure: Procedure) -> tuple[TenantOutcome, ...]:
    """Return how the tenants of a run ended, from their journals. Raises `SettingsError` when the folder is of no run."""
    if (folder / "run.json").exists():
        return tuple(outcome_of(folder, name, procedure) for name in begun(folder)["tenants"])
    places = sorted(path.parent for path in folder.glob("*/journal.jsonl"))  # of a run that did not write down its tenants
    if not places:
        raise SettingsError(f"{folder} holds no journal", "Name the folder of one run, such as outputs/20261124-101500-000000")
    return tuple(told_by_journal(place.name, place, procedure) for place in places)


def merged(folders: Sequence[Path], procedure: Procedure) -> tuple[TenantOutcome, ...]:
    """Return how the tenants of several runs ended, each once: as the run left it that was at work on it last.

    Raises `SettingsError` when a folder is of no run.
    """
    latest: dict[str, tuple[str, TenantOutcome]] = {}
    for folder in folders:
        for outcome in outcomes_of(folder, procedure):
            at = _last_at(outcome.folder / "journal.jsonl")
            if outcome.name not in latest or at > latest[outcome.name][0]:
                latest[outcome.name] = (at, outcome)
    return tuple(outcome for _, outcome in latest.values())


def _last_at(journal: Path) -> str:
    """Return the time of a journal's last event, as text in UTC; empty when there is none."""
    try:
        last = LastRun.of(journal)
    except JournalFailed:  # the outcome says so
        return ""
    return last.last_at if last else ""


def _file_of(wanted: Wanted) -> Path:
    if wanted.tenants_file is None:
        raise SettingsError("no tenants file is named", "Name one, or a run to go on with: --resume RUN_DIR")
    return wanted.tenants_file


def _begun(wanted: Wanted, procedure: Procedure, sharing: Sharing | None) -> _Run:
    if wanted.resume:
        return _resumed(wanted, procedure)
    return _joined(wanted, procedure, sharing) if wanted.run_id else _new(wanted)


def _new(wanted: Wanted) -> _Run:
    mine = _part(_chosen(read_tenants(_file_of(wanted)), wanted.only), wanted.shard)
    folder, mode = new_run_folder(wanted.base), wanted.mode or RunMode.PLAN
    begin(folder, _file_of(wanted), [tenant.name for tenant in mine], mode)
    return _Run(folder, mine, mine, {}, mode, frozenset(tenant.name for tenant in mine))


def _joined(wanted: Wanted, procedure: Procedure, sharing: Sharing | None) -> _Run:
    """Start the run with this id, or join it if another task has started it. Finished tenants are skipped."""
    if output_name(wanted.run_id) != wanted.run_id:
        raise SettingsError(f"--run-id {wanted.run_id} is no plain name", "Use small letters, digits, - and _; 64 at most")
    everyone = _chosen(read_tenants(_file_of(wanted)), wanted.only)
    folder = wanted.base / wanted.run_id
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode, names = wanted.mode or RunMode.PLAN, [tenant.name for tenant in everyone]
    if sharing and sharing.mirror:
        sharing.mirror.fetch_run(wanted.run_id)
    if not (folder / "run.json").exists():
        begin(folder, _file_of(wanted), names, mode)
    if begun(folder)["tenants"] != names:
        raise SettingsError(f"the run {wanted.run_id} has other tenants", "Name the same file as its other tasks, or another id")
    found = {tenant.name: finished(tenant, procedure, mode, folder / output_name(tenant.name)) for tenant in everyone}
    kept = {name: outcome for name, outcome in found.items() if outcome is not None}
    mine = _part(everyone, wanted.shard)
    return _Run(folder, everyone, mine, kept, mode, frozenset(tenant.name for tenant in mine))


def _resumed(wanted: Wanted, procedure: Procedure) -> _Run:
    """Return a resumed run, with its tenants as the tenants file holds them now."""
    folder = Path(wanted.resume or "")
    about = begun(folder)
    listed = {tenant.name: tenant for tenant in read_tenants(wanted.tenants_file or about["tenants_file"])}
    if gone := [name for name in about["tenants"] if name not in listed]:
        raise SettingsError(f"the tenants file has no {', '.join(gone)} any more", "Put the rows back, or start a new run")
    everyone = [listed[name] for name in about["tenants"]]
    mode = wanted.mode or about["mode"]
    asked = ("failed", "blocked", "busy") if wanted.failed else None
    chosen = frozenset(tenant.name for tenant in _part(_chosen(everyone, wanted.only), wanted.shard))
    earlier = [outcome_of(folder, name, procedure) for name in about["tenants"]]
    kept = {
        outcome.name: outcome
        for outcome in earlier
        if finished(listed[outcome.name], procedure, mode, outcome.folder)
        or outcome.name not in chosen
        or (asked and outcome.status not in asked)
    }
    return _Run(folder, everyone, everyone, kept, mode, chosen)


def _part(tenants: Sequence[TenantSettings], shard: Shard | None) -> Sequence[TenantSettings]:
    return [tenant for tenant in tenants if shard is None or shard.has(tenant.name)]


def _chosen(tenants: Sequence[TenantSettings], only: tuple[str, ...]) -> Sequence[TenantSettings]:
    if unknown := set(only) - {tenant.name for tenant in tenants}:
        raise SettingsError(f"--only: there is no tenant {', '.join(sorted(unknown))}", "Write the name as in the tenants file")
    return [tenant for tenant in tenants if not only or tenant.name in only]
