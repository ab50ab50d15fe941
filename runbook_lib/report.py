"""Results as files: results.json and report.html for a tenant, and what the journal says of its status."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook_lib.journal import LastRun
from runbook_lib.secret import scrubber
from runbook_lib.templating import template

EXIT_CODES = {
    "done": 0,
    "unchanged": 0,
    "failed": 1,
    "interrupted": 1,
    "not-started": 1,
    "blocked": 3,
    "pending": 4,
    "handover": 4,
    "busy": 5,
}
ICONS = {
    "UNCHANGED": "=",
    "PLANNED": "\u2026",
    "CHANGED": "\u2713",
    "PASSED": "\u2713",
    "NOTED": "i",
    "HANDOVER": "\u21aa",
    "SKIPPED": "\u2013",
    "BLOCKED": "\u2716",
    "FAILED": "\u2716",
}


_TELLING = ("2.2", "4.2", "4.3")  # of steps handed over, those that show whether it was done; most others leave no trace


def exit_code(statuses: Iterable[str]) -> int:
    """Return the exit code for tenants that ended so: a failure outweighs a busy tenant, that a block, that open work."""
    codes = {EXIT_CODES[status] for status in statuses}
    return next((code for code in (1, 5, 3, 4) if code in codes), 0)


def write_private(path: Path, text: str | Iterable[str]) -> None:
    """Write a file that appears whole or not at all, without secrets, readable by its owner only.

    Of a long text it may get the parts one after the other, each of whole lines: a secret cut in two would not be found.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    # Half a character, as a service may send one, cannot be written; as an escape it can, and JSON reads it back.
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as writer:
        for piece in (text,) if isinstance(text, str) else text:
            writer.write(scrubber.scrub(piece))
    part.replace(path)


def write_results(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write results.json: one object a step and line, in the document's order.

    It is written now and then; with indentation Python's encoder does without its C part and takes ten times as long.
    """
    write_private(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


def tenant_status(journal: Path) -> tuple[str, str]:
    """Return a tenant's status and what to know about it, from its journal alone.

    The status is done, unchanged, pending, handover, blocked, failed or interrupted. A run without an end event was interrupted.
    """
    last = LastRun.of(journal)
    if last is None:
        return "interrupted", "did not start, run again"
    if last.ended is None:
        return "interrupted", f"interrupted at {last.step or 'the start'}, run again"
    return status_of(_rows(last))


def rows_of(journal: Path) -> list[dict[str, Any]]:
    """Return the result rows of the last run in a journal, the latest of each step, in the order they first came."""
    last = LastRun.of(journal)
    return _rows(last) if last else []


def _rows(last: LastRun) -> list[dict[str, Any]]:
    about = ("v", "n", "time", "event")
    return [{key: value for key, value in event.items() if key not in about} for event in last.results.values()]


def status_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the status of a tenant from its result rows, and the first thing to act on."""
    found = list(rows)
    for status, word in (("FAILED", "failed"), ("BLOCKED", "blocked")):
        if bad := next((row for row in found if row["status"] == status), None):
            return word, f"{bad['step']}: {bad['reason']}"
    # Only 4.3 is ever skipped by choice; anything else was not reached, whatever became of the row that says why.
    if skipped := next((row for row in found if row["status"] == "SKIPPED" and row["step"] != "4.3"), None):
        return "failed", f"{skipped['step']}: {skipped['reason']}"
    planned = [row["step"] for row in found if row["status"] == "PLANNED"]
    if planned:
        return "pending", f"{len(planned)} steps would change something"
    if any(row["status"] == "HANDOVER" and row["step"] in _TELLING for row in found):
        return "handover", f"{sum(row['status'] == 'HANDOVER' for row in found)} steps wait for somebody else: see handover.html"
    changed = [row["step"] for row in found if row["status"] == "CHANGED"]
    return ("done", f"{len(changed)} steps changed something") if changed else ("unchanged", "nothing to do")


def rebuild_report(journal: Path, outcome: tuple[str, str]) -> None:
    """Write report.html and results.json beside a journal, of the last run in it: what the run itself writes at its end.

    Nothing is written when no run was begun.
    """
    last = LastRun.of(journal)
    if last is None or last.begun is None:
        return
    run, end = last.begun, last.ended or {}
    rows = sorted(_rows(last), key=lambda row: [int(part) for part in row["step"].split(".")])
    write_results(journal.parent / "results.json", rows)
    write_report(
        journal.parent / "report.html",
        tenant=run["tenant"],
        mode=run.get("by") or run["mode"],
        version=run["tool"],
        rows=rows,
        time=datetime.fromisoformat(end.get("reported") or end.get("time") or last.last_at).isoformat(timespec="seconds"),
        outcome=outcome,
        people=end.get("people"),
    )


def write_report(
    path: Path,
    *,
    tenant: str,
    mode: str,
    version: str,
    rows: list[dict[str, Any]],
    time: str,
    outcome: tuple[str, str],
    people: Mapping[str, str] | None = None,
) -> None:
    """Write report.html: one file, no outside resources, every text escaped, hidden characters shown.

    `outcome` is the status and what to know about it; `people` who signed in, by side.
    """
    status, about = outcome
    page = template("report.html.j2").render(
        tenant=tenant,
        mode=mode,
        version=version,
        rows=rows,
        time=time,
        icons=ICONS,
        status=status,
        about=about,
        people=people or {},
        has_sheet=any(row["status"] == "HANDOVER" for row in rows),
    )
    write_private(path, page)
