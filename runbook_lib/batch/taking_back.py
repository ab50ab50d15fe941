"""Undo a run, tenant by tenant: settings come from the run's own folders, secrets from where their references point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runbook_lib.errors import RunbookError, SettingsError, TenantBusy
from runbook_lib.session import Session, open_view
from runbook_lib.settings import RunMode, TenantSettings


def undo_run(run_dir: Path, mode: RunMode, only: tuple[str, ...], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Undo every tenant of a run folder and return one result each: name, status, about, and the rows of its steps.

    Raises `SettingsError` before anything is sent when a tenant's settings cannot be read.
    """
    folders = sorted(path.parent for path in run_dir.glob("*/journal.jsonl"))
    tenants = {folder: _settings(folder) for folder in folders}
    if unknown := set(only) - {settings.name for settings in tenants.values()}:
        raise SettingsError(f"{run_dir} has no tenant {', '.join(sorted(unknown))}", "Name a tenant of that run")
    if not tenants:
        raise SettingsError(f"{run_dir} holds no journal", "Name the folder of one run, such as outputs/20261124-101500-000000")
    return [_undone(settings, folder, mode, tell) for folder, settings in tenants.items() if not only or settings.name in only]


def _settings(folder: Path) -> TenantSettings:
    path = folder / "settings.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"{path} cannot be read ({type(unreadable).__name__})", "Restore the run's folder") from None
    return TenantSettings.from_parameters(values)


def _undone(settings: TenantSettings, folder: Path, mode: RunMode, tell: Callable[[str], None]) -> dict[str, Any]:
    result = {"name": settings.name, "folder": str(folder)}
    try:
        view = open_view(settings, show=lambda code: tell(code.message))
        session = Session(settings, mode=mode, out=folder, view=view, is_undo=True)
    except TenantBusy as busy:
        return {**result, "status": "busy", "about": str(busy), "steps": []}
    except RunbookError as stopped:
        return {**result, "status": "failed", "about": str(stopped), "steps": []}
    for step in session.steps:
        done = session.do(step.number)
        tell(f"{settings.name}: {done.status}: {done.title}")
    status, about = session.finish()
    return {**result, "status": status, "about": about, "steps": session.rows()}
