"""What fills the form before a person types: an earlier run's choices, or a row of a tenants file. It holds no secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.json_text import parsed
from runbook_lib.page.form import KEPT
from runbook_lib.run.report import write_private
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.tenants_file import read_tenants

CHOICES, SETTINGS = "choices.json", "settings.json"
SHOWN = 8  # earlier tenants that a person may choose from


@dataclass(frozen=True)
class EarlierTenant:
    """A tenant that an earlier run of the same outputs folder worked on. `key` is its folder in there; `when` is aware UTC."""

    key: str
    name: str
    domain: str
    connection: str
    when: datetime

    def choices(self, outputs: Path) -> dict[str, str]:
        """Return this tenant's choices for the form. Raises `SettingsError`."""
        return choices_of(TenantSettings.from_parameters(_read(outputs / self.key / SETTINGS)))


def earlier_tenants(folder: Path) -> tuple[EarlierTenant, ...]:
    """Return the real tenants that runs next to this one worked on, each once, the latest first, but for unreadable ones."""
    found: dict[tuple[str, str], EarlierTenant] = {}
    paths = [path for path in folder.parent.glob(f"*/*/{SETTINGS}") if folder not in path.parents]
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        with suppress(SettingsError):
            values = {name: str(value) for name, value in _read(path).items()}
            domain, connection = values.get("auth0_domain", ""), values.get("auth0_connection", "")
            if not values.get("cloud", "sandbox:").startswith("sandbox:"):
                when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                key = path.parent.relative_to(folder.parent).as_posix()
                found.setdefault((domain, connection), EarlierTenant(key, values.get("name", ""), domain, connection, when))
    return tuple(found.values())[:SHOWN]


def choices_of(settings: TenantSettings) -> dict[str, str]:
    """Return settings as the form keeps them: how each side signs in, and everything but the secrets."""
    values = {name: str(value) for name, value in settings.model_dump().items() if isinstance(value, str | int)}
    handed_over, secret = settings.handed_over, settings.entra_client_secret
    auth0 = "handover" if handed_over == "auth0" else "client" if settings.auth0_client_id else "token"
    entra = (
        "handover" if handed_over == "entra" else "token" if not settings.entra_client_id else "secret" if secret else "device"
    )
    every = {**values, "auth0_method": auth0, "entra_method": entra}
    return {name: every[name] for name in KEPT if every.get(name)}


def choices_of_row(tenants: Path, name: str | None) -> dict[str, str]:
    """Return the choices of a tenants file's row, of its only one where no name is given. Raises `SettingsError`."""
    return choices_of(_named({tenant.name: tenant for tenant in read_tenants(tenants, is_to_run=False)}, name, str(tenants)))


def choices_of_run(folder: Path, name: str | None) -> dict[str, str]:
    """Return the choices of a run or of an earlier page, empty where it worked in a sandbox that has ended.

    Raises `SettingsError` when it holds none, or several tenants and no name is given.
    """
    kept = folder / CHOICES
    if kept.exists() and name is None:
        return {str(key): str(value) for key, value in _read(kept).items()}
    found: dict[str, TenantSettings] = {}
    is_sandbox = False
    for path in sorted(folder.glob(f"*/{SETTINGS}")):
        values = _read(path)
        if str(values.get("cloud", "")).startswith("sandbox:"):
            is_sandbox = True
            continue
        found[str(values.get("name"))] = TenantSettings.from_parameters(values)
    if not found and is_sandbox:
        return {}
    return choices_of(_named(found, name, str(folder)))


def _named(found: Mapping[str, TenantSettings], name: str | None, where: str) -> TenantSettings:
    if name is not None and name in found:
        return found[name]
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise SettingsError(f"{where} holds no tenant", "Name a tenants file, or the folder of an earlier run")
    names = ", ".join(sorted(found))
    came_back = f"{where} has no tenant {name}; it has {names}" if name else f"{where} holds several tenants: {names}"
    raise SettingsError(came_back, "Choose one of them with --only NAME")


def _read(path: Path) -> dict[str, Any]:
    try:
        values = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as unreadable:
        raise SettingsError(f"{path} cannot be read ({type(unreadable).__name__})", "Restore the run's folder") from None
    return dict(values) if isinstance(values, dict) else {}


def lay_out(folder: Path, choices: Mapping[str, str], page: str) -> None:
    """Put choices where the page of this folder finds them. A page that was executed there before is kept as evidence."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    executed = folder / page
    if executed.exists():
        kept_at = datetime.fromtimestamp(executed.stat().st_mtime, UTC)
        executed.rename(folder / f"{executed.stem}-{kept_at:%Y%m%d-%H%M%S}{executed.suffix}")
    if choices:
        write_private(folder / CHOICES, json.dumps(dict(choices), indent=1))
