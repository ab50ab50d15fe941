"""The sheet for whom the other side belongs to: what to click and paste, filled in for this customer, as HTML and Markdown.

Both are made of the same `Handover`s that the steps show, so that page and sheet cannot differ. No token is on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from runbook_lib.engine import StepResult
from runbook_lib.report import write_private
from runbook_lib.settings import TenantSettings
from runbook_lib.templating import template

NAMES = ("handover.html", "handover.md")
_SECTIONS = {
    "0": "Before you start",
    "1": "Configure SCIM settings in Auth0",
    "2": "Retrieve SCIM endpoint URL and token",
    "3": "Configure SCIM in Entra",
    "4": "Testing",
}


def write_sheet(folder: Path, settings: TenantSettings, results: Iterable[StepResult], now: datetime) -> None:
    """Write handover.html and handover.md, where a step has something for somebody else to do; else leave the folder alone."""
    tasks = [result for result in results if result.handover is not None and result.handover.clicks]
    if tasks:
        for name in NAMES:
            write_private(folder / name, sheet(name, settings, tasks, now))


def sheet(name: str, settings: TenantSettings, tasks: Iterable[StepResult], now: datetime) -> str:
    """Return the text of `handover.html` or `handover.md`. Texts of strangers are escaped, hidden characters shown."""
    sections = [(title, [task for task in tasks if task.step.startswith(number)]) for number, title in _SECTIONS.items()]
    return template(f"{name}.j2").render(
        settings=settings,
        is_for_entra=settings.handed_over == "entra",
        sections=[(title, section) for title, section in sections if section],
        day=f"{now:%d %B %Y}",
    )
