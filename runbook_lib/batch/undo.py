"""Undo a run, tenant by tenant: settings come from the run's own folders, secrets from where their references point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import RunbookError, SettingsError, TenantBusy
from runbook_lib.core.json_text import parsed
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.sign_ins import open_view
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import RunMode, TenantSettings

Tell = tuple[Callable[[str], None], Callable[[str], None]]


def undo_run(
    run_dir: Path,
    procedure: Procedure,
    mode: RunMode,
    only: tuple[str, ...],
    say: Callable[[str], None],
    at: Callable[[str], None] = lambda _text: None,
) -> list[dict[str, Any]]:
    """Undo every tenant of a run folder and return one result each: name, folder, status, about, the rows of its steps, `left`.

    `left` is how many writes of the run stand, those of a plan included; a tenant that failed before its steps has none.

    `say` gets what a person must read to sign in, `at` what is being taken back now.

    A tenant whose settings or journal cannot be used failed, and hides nothing of the others. Raises `SettingsError` before
    anything is sent when there is nothing to undo.
    """
    folders = sorted(path.parent for path in run_dir.glob("*/journal.jsonl"))
    if not folders:
        raise SettingsError(f"{run_dir} holds no journal", "Name the folder of one run, such as outputs/20261124-101500-000000")
    tenants = {folder: _settings(folder) for folder in folders}
    names = {folder: found.name if isinstance(found, TenantSettings) else folder.name for folder, found in tenants.items()}
    if unknown := set(only) - set(names.values()):
        raise SettingsError(f"{run_dir} has no tenant {', '.join(sorted(unknown))}", "Name a tenant of that run")
    chosen = [folder for folder in folders if not only or names[folder] in only]
    return [_result(names[folder], tenants[folder], folder, procedure, mode, (say, at)) for folder in chosen]


def _settings(folder: Path) -> TenantSettings | SettingsError:
    """Return the settings that a run left, or why they cannot be used; that does not affect the other tenants."""
    path = folder / "settings.json"
    try:
        values = parsed(path.read_text(encoding="utf-8"))
        return TenantSettings.from_parameters(dict(values))
    except SettingsError as wrong:
        return wrong
    except (OSError, ValueError, TypeError) as unreadable:
        return SettingsError(f"{path} cannot be read ({type(unreadable).__name__})", "Restore the run's folder from a copy")


def _result(
    name: str,
    settings: TenantSettings | SettingsError,
    folder: Path,
    procedure: Procedure,
    mode: RunMode,
    tell: Tell,
) -> dict[str, Any]:
    try:
        if isinstance(settings, SettingsError):
            raise settings
        return _undone(settings, folder, procedure, mode, tell)
    except RunbookError as stopped:
        status = "busy" if isinstance(stopped, TenantBusy) else "failed"
        return {"name": name, "folder": str(folder), "status": status, "about": str(stopped), "steps": []}


def _undone(settings: TenantSettings, folder: Path, procedure: Procedure, mode: RunMode, tell: Tell) -> dict[str, Any]:
    say, at = tell
    view = open_view(settings, show=lambda code: say(code.message))
    session = Session(settings, procedure=procedure, mode=mode, out=folder, view=view, is_undo=True)
    try:
        for step in session.steps:
            at(f"{settings.name}: {step.title}")
            session.do(step.number)
        status, about = session.finish()
    finally:
        session.lock.free()
    told = {"name": settings.name, "folder": str(folder), "status": status, "about": about, "steps": session.rows()}
    return {**told, "left": len(session.standing)}
