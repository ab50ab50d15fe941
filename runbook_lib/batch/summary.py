"""The summary of a run: one page with tenants and steps, and the same for spreadsheets, programs and build servers.

All of it comes from the journals, so that it can be made again at any time.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # only written with, nothing is parsed

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.errors import JournalFailed
from runbook_lib.journal import Event, LastRun
from runbook_lib.report import ICONS, write_private
from runbook_lib.steps import STEPS
from runbook_lib.templating import template
from runbook_lib.visible import as_cell, visible

GOOD = ("done", "unchanged", "pending", "handover")
_RED = ("BLOCKED", "FAILED")
# What the page shows alike: as wanted, to be written, somebody else's turn, stopped, not begun. Order: the most urgent first.
_KINDS = {
    "bad": ("failed", "blocked", "busy", "interrupted", "FAILED", "BLOCKED", "INTERRUPTED"),
    "hand": ("handover", "HANDOVER"),
    "dim": ("not-started", "SKIPPED", "NOTED"),
    "plan": ("pending", "PLANNED"),
    "ok": ("done", "unchanged", "CHANGED", "UNCHANGED", "PASSED"),
}
_KIND_OF = {word: kind for kind, words in _KINDS.items() for word in words}
_URGENCY = [word for words in _KINDS.values() for word in words]
_ICONS = {**ICONS, "INTERRUPTED": "!"}  # of a step that a run was at when it ended; no result of a step
_PART = 100_000  # characters
_REQUEST = re.compile(r" \(request [^()]*\)$")  # the same refusal has another one for each tenant; reports keep it
_SECTIONS = ("Before", "1 Auth0", "2 Token", "3 Microsoft Entra", "4 Testing")
_FILES = (("page", "inbound_scim.ipynb"), ("report", "report.html"), ("hand-over", "handover.html"), ("journal", "journal.jsonl"))
_SPANS = (
    ("up to 2 s", 2.0),
    ("up to 5 s", 5.0),
    ("up to 15 s", 15.0),
    ("up to 60 s", 60.0),
    ("up to 5 min", 300.0),
    ("longer", float("inf")),
)


@dataclass
class Todo:
    """What needs somebody, once for all tenants that need the same; `tenants` by their place among the rows."""

    status: str
    step: str
    reason: str
    remedy: str
    tenants: list[int] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What the page shows it like."""
        return _KIND_OF[self.status]


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
        cut = next((row for row in self.steps.values() if row["status"] == "INTERRUPTED"), {"step": "", "reason": self.about})
        return red or ({**cut, "remedy": "Go on with the run: --resume, or the same --run-id again"},)


def write_summary(folder: Path, outcomes: Sequence[TenantOutcome], *, is_mirrored: bool = False) -> None:
    """Write summary.html, summary.json, summary.csv and junit.xml; tenants in the order of `outcomes`.

    With `is_mirrored` other machines' pages and reports are not here, but will lie beside the summary where it is copied to.
    """
    rows = [_row(outcome, folder) for outcome in outcomes]
    if is_mirrored:
        rows = [replace(row, files=_files_elsewhere(row)) for row in rows]
    write_private(folder / "summary.json", json.dumps([_flat(row) for row in rows], indent=1, ensure_ascii=False))
    write_private(folder / "summary.csv", summary_csv(rows))
    write_private(folder / "summary.html", _by_lines(_summary_parts(rows)))
    write_private(folder / "junit.xml", junit(rows))


def _files_elsewhere(row: TenantRow) -> tuple[tuple[str, str], ...]:
    """Return the files that a tenant has left on some machine: a sheet only where a step is handed over."""
    has_sheet = any(step["status"] == "HANDOVER" for step in row.steps.values())
    return tuple(file for file in _FILES if row.seconds is not None and (has_sheet or file[0] != "hand-over"))


def tenant_rows(outcomes: Iterable[TenantOutcome]) -> list[TenantRow]:
    """Return a row for each tenant, with what its journal tells of its steps."""
    return [_row(outcome, outcome.folder.parent) for outcome in outcomes]


def _row(outcome: TenantOutcome, base: Path) -> TenantRow:
    last = _last_run(outcome.folder / "journal.jsonl") if outcome.status != "not-started" else None
    steps = {event["step"]: _cell(event) for event in (last.results.values() if last else ())}
    if outcome.status == "interrupted" and last and (at := next((s.number for s in STEPS if s.number not in steps), "")):
        about = outcome.about if f" {at}," in outcome.about else f"interrupted before {at}"
        steps[at] = {"step": at, "status": "INTERRUPTED", "reason": about, "remedy": ""}
    lasted = datetime.fromisoformat(last.last_at) - datetime.fromisoformat(last.first_at) if last else None
    return TenantRow(
        outcome.name,
        outcome.status,
        outcome.about,
        Path(os.path.relpath(outcome.folder, base)).as_posix(),
        max(0.0, round(lasted.total_seconds(), 1)) if lasted is not None else None,  # a clock may have been set back
        steps,
        tuple((label, name) for label, name in _FILES if (outcome.folder / name).exists()),
    )


def _cell(event: Event) -> dict[str, str]:
    """Return what the page shows of a step; of one that is as wanted it tells no reasons."""
    step, status = event["step"], event["status"]
    if _KIND_OF.get(status) == "ok" or status == "SKIPPED":
        return _same(step, status, "", "")
    return _same(step, status, str(event.get("reason", "")), str(event.get("remedy", "")))


@functools.lru_cache(10_000)
def _same(step: str, status: str, reason: str, remedy: str) -> dict[str, str]:
    """Return one object for the same content, which thousands of tenants have."""
    return {"step": step, "status": status, "reason": reason, "remedy": remedy}


def _last_run(journal: Path) -> LastRun | None:
    """Return the last run in a journal, None when none was begun or the journal cannot be read: the outcome says so."""
    with contextlib.suppress(JournalFailed):
        if (last := LastRun.of(journal)) and last.begun:
            return last
    return None


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
    return "".join(_summary_parts(rows))


def _by_lines(parts: Iterable[str]) -> Iterator[str]:
    """Yield a text again in longer parts of whole lines; of thousands of tenants it is never whole in memory."""
    line: list[str] = []
    size = 0
    for part in parts:
        line.append(part)
        size += len(part)
        if size >= _PART and part.endswith("\n"):
            yield "".join(line)
            line, size = [], 0
    yield "".join(line)


def _summary_parts(rows: Sequence[TenantRow]) -> Iterator[str]:
    todos = _todos(rows)
    counts = sorted(Counter(row.status for row in rows).items(), key=lambda counted: _URGENCY.index(counted[0]))
    return template("summary.html.j2").generate(
        tenants=rows,
        total=len(rows),
        counts=[(status, count, _KIND_OF[status]) for status, count in counts],
        durations=_durations(rows),
        todos=todos,
        places={(number, todo.step): place for place, todo in enumerate(todos, start=1) for number in todo.tenants},
        steps=STEPS,
        sections=[(title, sum(step.number[0] == str(place) for step in STEPS)) for place, title in enumerate(_SECTIONS)],
        icons=_ICONS,
        kinds=_KIND_OF,
    )


def _todos(rows: Sequence[TenantRow]) -> list[Todo]:
    """Return what needs somebody, the most urgent first, and what many tenants need once."""
    found: dict[tuple[str, ...], Todo] = {}
    for number, row in enumerate(rows):
        for need in row.needs:
            key = (row.status, need["step"], _REQUEST.sub("", need["reason"]), need["remedy"])
            found.setdefault(key, Todo(*key)).tenants.append(number)
    return sorted(found.values(), key=lambda todo: _URGENCY.index(todo.status))


def _durations(rows: Sequence[TenantRow]) -> list[tuple[str, int, str]]:
    """Return how many tenants took how long, by spans up to the longest there is; of what kind the bar is: of none."""
    took = [row.seconds for row in rows if row.seconds is not None]
    limits = [0.0, *(limit for _, limit in _SPANS)]
    spans = [
        (words, sum(least < max(seconds, 0.01) <= most for seconds in took), "")
        for (words, most), least in zip(_SPANS, limits, strict=False)
    ]
    while spans and not spans[-1][1]:
        spans.pop()
    return spans


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
