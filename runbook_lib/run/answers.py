"""Answers of a search or a probe about one Auth0 tenant, kept for later runs of this user on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from runbook_lib.core.json_text import parsed
from runbook_lib.run.report import write_private
from runbook_lib.settings.process import output_name
from runbook_lib.tenant.forecast.people import Readings


def remember(folder: Path, auth0_domain: str, settled: Mapping[str, bool]) -> Readings:
    """Add what is settled, by the names of `Readings`, to what is remembered of the tenant, and return all of it."""
    known = replace(remembered(folder, auth0_domain), **settled)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(
        _file(folder, auth0_domain), json.dumps({one.name: getattr(known, one.name) for one in fields(known)}, indent=1)
    )
    return known


def remembered(folder: Path, auth0_domain: str) -> Readings:
    """Return what is settled for the tenant. A file that is not there, or cannot be read, settles nothing."""
    try:
        kept = parsed(_file(folder, auth0_domain).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Readings()
    names = {one.name for one in fields(Readings)}
    told = kept.items() if isinstance(kept, dict) else ()
    return Readings(**{name: value for name, value in told if name in names and isinstance(value, bool)})


def _file(folder: Path, auth0_domain: str) -> Path:
    return folder / f"{output_name(auth0_domain)}.json"
