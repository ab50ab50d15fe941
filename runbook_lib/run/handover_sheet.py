"""The sheet for the administrator of the other side: what to click and paste, filled in for this customer, as HTML and Markdown.

Both are made of the same `Handover`s that the steps show, so that page and sheet cannot differ. No token is on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from runbook_lib import __version__
from runbook_lib.core.display import moment
from runbook_lib.core.templates import template
from runbook_lib.engine.result import StepResult
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.place import place_ahead
from runbook_lib.run.report import write_private
from runbook_lib.settings.model import TenantSettings

NAMES = ("handover.html", "handover.md")


def write_sheet(
    folder: Path,
    settings: TenantSettings,
    procedure: Procedure,
    results: Iterable[StepResult],
    now: datetime,
    people: Mapping[str, str],
) -> None:
    """Write handover.html and handover.md, where a step has a task for the other administrator; else leave the folder alone."""
    tasks = [result for result in results if result.handover is not None and result.handover.clicks]
    if tasks:
        for name in NAMES:
            write_private(folder / name, sheet(name, settings, procedure, tasks, now, people))


def sheet(
    name: str,
    settings: TenantSettings,
    procedure: Procedure,
    tasks: Iterable[StepResult],
    now: datetime,
    people: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the text of `handover.html` or `handover.md`. Texts of strangers are escaped, hidden characters shown.

    `people` are those who signed in for the run that made it, by side.
    """
    sections = [(section.title, [task for task in tasks if task.step in section.numbers]) for section in procedure.sections]
    return template(f"{name}.j2").render(
        settings=settings,
        place=place_ahead(settings),
        is_for_entra=settings.handed_over == "entra",
        sections=[(title, section) for title, section in sections if section],
        made=moment(now),
        by="; ".join(f"{side}: {who}" for side, who in people.items()),
        version=__version__,
    )
