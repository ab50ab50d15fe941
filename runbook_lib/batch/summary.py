"""The summary of a run: one page with tenants and steps, and the same for spreadsheets, programs and build servers.

All of it comes from the journals, so that it can be made again at any time.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # only written with, nothing is parsed

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.errors import JournalFailed
from runbook_lib.journal import Event, read_events
from runbook_lib.report import ICONS, write_private
from runbook_lib.steps import STEPS
from runbook_lib.templating import template
from runbook_lib.visible import as_cell, visible

GOOD = ("done", "unchanged", "pending", "handover")
_RED = ("BLOCKED", "FAILED")
_FILES = (("page", "inbound_scim.ipynb"), ("report", "report.html"), ("hand-over", "handover.html"), ("journal", "journal.jsonl"))
_SPANS = (("up to 5 s", 5.0), ("up to 15 s", 15.0), ("up to 60 s", 60.0), ("up to 5 min", 300.0), ("longer", float("inf")))


@dataclass(frozen=True)
class TenantRow:
    """One tenant.

    `folder` is as seen from the summary; `steps` by number as in results.json; `seconds` from first to last event, None when
    nothing was begun.
    """

    name: str
    status: str
    about: str
    folder: str
    seconds: float | None = None
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()

    @property
    def needs(self) -> tuple[dict[str, str], ...]:
        """What is wrong and what to do: the red steps, or the tenant's own words when none is red."""
        if self.status == "handover":
            waiting = [row for row in self.steps.values() if row["status"] == "HANDOVER"]
            return ({"step": waiting[0]["step"], "reason": self.about, "remedy": waiting[0]["remedy"]},) if waiting else ()
        if self.status in GOOD:
            return ()
        red = tuple(row for row in self.steps.values() if row["status"] in _RED)
        remedy = "" if red else "Run again with --resume"
        return red or ({"step": "", "reason": self.about, "remedy": remedy},)


def write_summary(folder: Path, outcomes: Sequence[TenantOutcome], *, is_mirrored: bool = False) -> None:
    """Write summary.html, summary.json, summary.csv and junit.xml; tenants in the order of `outcomes`.

    With `is_mirrored` other machines' pages and reports are not here, but will lie beside the summary where it is copied to.
    """
    rows = [_row(outcome, folder) for outcome in outcomes]
    if is_mirrored:
        rows = [replace(row, files=_FILES if row.seconds is not None else ()) for row in rows]
    write_private(folder / "summary.json", json.dumps([_flat(row) for row in rows], indent=1, ensure_ascii=False))
    write_private(folder / "summary.csv", summary_csv(rows))
    write_private(folder / "summary.html", summary_html(rows))
    write_private(folder / "junit.xml", junit(rows))


def tenant_rows(outcomes: Iterable[TenantOutcome]) -> list[TenantRow]:
    """Return a row for each tenant, with what its journal tells of its steps."""
    return [_row(outcome, outcome.folder.parent) for outcome in outcomes]


def _row(outcome: TenantOutcome, base: Path) -> TenantRow:
    events = _last_run(outcome.folder / "journal.jsonl") if outcome.status != "not-started" else ()
    steps = {
        event["step"]: {name: str(event.get(name, "")) for name in ("step", "status", "reason", "remedy")}
        for event in events
        if event["event"] == "result"
    }
    times = [datetime.fromisoformat(event["time"]) for event in events]
    return TenantRow(
        outcome.name,
        outcome.status,
        outcome.about,
        Path(os.path.relpath(outcome.folder, base)).as_posix(),
        max(0.0, round((times[-1] - times[0]).total_seconds(), 1)) if times else None,  # a clock may have been set back
        steps,
        tuple((label, name) for label, name in _FILES if (outcome.folder / name).exists()),
    )


def _last_run(journal: Path) -> tuple[Event, ...]:
    try:
        events = read_events(journal) if journal.exists() else ()
    except JournalFailed:  # the outcome says so
        return ()
    starts = [position for position, event in enumerate(events) if event["event"] == "run"]
    return events[starts[-1] :] if starts else ()


def _flat(row: TenantRow) -> dict[str, Any]:
    return {"name": row.name, "status": row.status, "about": row.about, "folder": row.folder, "seconds": row.seconds}


def summary_csv(rows: Sequence[TenantRow]) -> str:
    """Return the rows as CSV, every cell in quotes: where the semicolon separates, one with a semicolon would be two."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    writer.writerow(["name", "status", "about", "folder", "seconds", *(step.number for step in STEPS)])
    for row in rows:
        statuses = [row.steps.get(step.number, {}).get("status", "") for step in STEPS]
        seconds = "" if row.seconds is None else str(row.seconds)
        writer.writerow([as_cell(value) for value in (row.name, row.status, row.about, row.folder, seconds, *statuses)])
    return target.getvalue()


def summary_html(rows: Sequence[TenantRow]) -> str:
    """Return one page without outside resources: counts, durations, what to do, and tenants by steps; every text escaped."""
    return template("summary.html.j2").render(
        tenants=rows,
        total=len(rows),
        counts=Counter(row.status for row in rows).most_common(),
        durations=_durations(rows),
        steps=STEPS,
        icons=ICONS,
    )


def _durations(rows: Sequence[TenantRow]) -> list[tuple[str, int]]:
    """Return how many tenants took how long, by spans."""
    took = [row.seconds for row in rows if row.seconds is not None]
    limits = [0.0, *(limit for _, limit in _SPANS)]
    return [
        (words, sum(least < max(seconds, 0.01) <= most for seconds in took))
        for (words, most), least in zip(_SPANS, limits, strict=False)
        if took
    ]


def junit(rows: Sequence[TenantRow]) -> str:
    """Return the rows as JUnit XML, a test case each, for build servers."""
    suite = ElementTree.Element("testsuite", name="inbound-scim-runbook", tests=str(len(rows)))
    suite.set("failures", str(sum(row.status not in GOOD for row in rows)))
    suite.extend(_cases(rows))
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _cases(rows: Sequence[TenantRow]) -> Iterator[ElementTree.Element]:
    for row in rows:
        case = ElementTree.Element("testcase", classname="tenant", name=visible(row.name), time=str(row.seconds or 0))
        if row.status not in GOOD:
            failure = ElementTree.SubElement(case, "failure", type=row.status, message=visible(row.about))
            failure.text = "\n".join(visible(f"{need['step']} {need['reason']} {need['remedy']}".strip()) for need in row.needs)
        yield case
