"""What `run` and `report` do: choose the tenants, carry them out, and leave the summaries, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from runbook_lib.batch import progress
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.runner import DONE, Options, Watcher, begin, begun, new_run_folder, outcome_of, run_tenants
from runbook_lib.batch.summary import write_summary
from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.errors import SettingsError
from runbook_lib.report import tenant_status
from runbook_lib.settings import RunMode, TenantSettings


@dataclass(frozen=True)
class Wanted:
    """Which tenants of which file, in which mode: as the command line says. `mode` None: plan, or as in the run resumed."""

    tenants_file: Path | None
    mode: RunMode | None = None
    only: tuple[str, ...] = ()
    resume: Path | None = None
    failed: bool = False
    out: Path | None = None


Watching = Callable[[int], AbstractContextManager[Watcher]]


def carry_out(
    wanted: Wanted, options: Options, watching: Watching = progress.shown
) -> tuple[Path, tuple[TenantOutcome, ...], int]:
    """Run the wanted tenants; return the run's folder, how each tenant of the run ended, and the exit code.

    Raises `SettingsError` before anything is sent.
    """
    if wanted.failed and not wanted.resume:
        raise SettingsError("--failed goes with --resume RUN_DIR", "Name the run whose failed tenants are meant")
    folder, everyone, kept = _resumed(wanted) if wanted.resume else _new(wanted)
    mode = wanted.mode or (begun(folder)["mode"] if wanted.resume else RunMode.PLAN)
    todo = [tenant for tenant in everyone if tenant.name not in kept]
    if not wanted.resume:
        begin(folder, _file_of(wanted), [tenant.name for tenant in everyone], mode)
    outcomes, code = dict(kept), 0
    try:
        with watching(len(todo)) as watcher:
            made, code = run_tenants(todo, replace(options, mode=mode), folder, watcher)
        outcomes |= {outcome.name: outcome for outcome in made}
    finally:
        missing = [tenant.name for tenant in everyone if tenant.name not in outcomes]
        outcomes |= {name: outcome_of(folder, name) for name in missing}
        ordered = tuple(outcomes[tenant.name] for tenant in everyone)
        write_summary(folder, ordered)
    return folder, ordered, code


def outcomes_of(folder: Path) -> tuple[TenantOutcome, ...]:
    """Return how the tenants of a run ended, from their journals. Raises `SettingsError` when the folder is of no run."""
    if (folder / "run.json").exists():
        return tuple(outcome_of(folder, name) for name in begun(folder)["tenants"])
    places = sorted(path.parent for path in folder.glob("*/journal.jsonl"))  # of a run that did not write down its tenants
    if not places:
        raise SettingsError(f"{folder} holds no journal", "Name the folder of one run, such as outputs/20261124-101500-000000")
    return tuple(TenantOutcome(place.name, *tenant_status(place / "journal.jsonl"), place) for place in places)


def _file_of(wanted: Wanted) -> Path:
    if wanted.tenants_file is None:
        raise SettingsError("no tenants file is named", "Name one, or a run to go on with: --resume RUN_DIR")
    return wanted.tenants_file


def _new(wanted: Wanted) -> tuple[Path, Sequence[TenantSettings], dict[str, TenantOutcome]]:
    everyone = _chosen(read_tenants(_file_of(wanted)), wanted.only)
    return new_run_folder(wanted.out), everyone, {}


def _resumed(wanted: Wanted) -> tuple[Path, Sequence[TenantSettings], dict[str, TenantOutcome]]:
    """Return the run's folder, its tenants as the file has them now, and the outcomes of those that need nothing."""
    folder = Path(wanted.resume or "")
    about = begun(folder)
    listed = {tenant.name: tenant for tenant in read_tenants(wanted.tenants_file or about["tenants_file"])}
    if gone := [name for name in about["tenants"] if name not in listed]:
        raise SettingsError(f"the tenants file has no {', '.join(gone)} any more", "Put the rows back, or start a new run")
    everyone = [listed[name] for name in about["tenants"]]
    mode = wanted.mode or about["mode"]
    finished = (*DONE, "pending") if mode is RunMode.PLAN else DONE
    asked = ("failed", "blocked", "busy") if wanted.failed else None
    chosen = {tenant.name for tenant in _chosen(everyone, wanted.only)}
    earlier = [outcome_of(folder, name) for name in about["tenants"]]
    kept = {
        outcome.name: outcome
        for outcome in earlier
        if outcome.status in finished or outcome.name not in chosen or (asked and outcome.status not in asked)
    }
    return folder, everyone, kept


def _chosen(tenants: Sequence[TenantSettings], only: tuple[str, ...]) -> Sequence[TenantSettings]:
    if unknown := set(only) - {tenant.name for tenant in tenants}:
        raise SettingsError(f"--only: there is no tenant {', '.join(sorted(unknown))}", "Write the name as in the tenants file")
    return [tenant for tenant in tenants if not only or tenant.name in only]
