"""Results as files: results.json and report.html for a tenant, and what the journal says of its status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runbook_lib.core.display import moment
from runbook_lib.core.files import replaced
from runbook_lib.core.json_text import parsed
from runbook_lib.core.secret import scrubber
from runbook_lib.core.templates import template
from runbook_lib.engine.events import Undone
from runbook_lib.engine.journal import LastRun
from runbook_lib.engine.status import Outcome, Status
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.place import place_of
from runbook_lib.tenant.things import Thing

_TELLING = (
    Thing.TOKEN,
    Thing.TEST_USER,
    Thing.START,
)  # the handed-over steps that leave a trace of whether they were done; most others leave none

UNDO = "undo.html"  # the report of an undo
_OF = (
    ("Auth0 tenant", "auth0_domain"),
    ("Auth0 connection", "auth0_connection"),
    ("Entra tenant", "entra_tenant"),
    ("Enterprise application", "scim_app_name"),
)


def write_private(path: Path, text: str | Iterable[str]) -> None:
    """Write a file that appears whole or not at all, without secrets, readable by its owner only.

    A caller may pass a long text in parts, each of whole lines: the scrubber would not find a secret cut in two.
    """
    with replaced(path) as writer:
        for piece in (text,) if isinstance(text, str) else text:
            writer.write(scrubber.scrub(piece))


def write_results(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write results.json: one object a step and line, in the document's order.

    It is written again and again, without indentation: with it Python's encoder skips its C part and takes ten times as long.
    """
    write_private(path, "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n")


def tenant_status(journal: Path, procedure: Procedure) -> tuple[str, str]:
    """Return a tenant's status and what to know about it, from its journal alone.

    The status is done, unchanged, pending, handover, blocked, failed or interrupted. A run without an end event was interrupted.
    """
    last = LastRun.of(journal)
    if last is None:
        return "interrupted", "did not start, run again"
    if last.undone is not None:
        return "undone", _taken_back(last.undone)
    if last.ended is None:
        return "interrupted", f"interrupted at {last.step or 'the start'}, run again"
    if last.ended.status == "interrupted":
        return "interrupted", last.ended.about
    return status_of(_rows(last), procedure)


def _taken_back(undone: Undone) -> str:
    """Return when, and by which accounts, a run was taken back, and how much of it is left."""
    who = "; ".join(f"{side}: {name}" for side, name in undone.people.items())
    left = f", {undone.left} of its writes were left in place (see undo.html)" if undone.left else ""
    return f"taken back {undone.when}{f' by {who}' if who else ''}{left}"


def rows_of(journal: Path) -> list[dict[str, Any]]:
    """Return the result rows of the last run in a journal, the latest of each step, in the order they first came."""
    last = LastRun.of(journal)
    return _rows(last) if last else []


def _rows(last: LastRun) -> list[dict[str, Any]]:
    rows = [dict(event.row) for event in last.results.values()]
    return [_row_after_undo(row, last.undone) for row in rows] if last.undone else rows


def _row_after_undo(row: dict[str, Any], undone: Undone) -> dict[str, Any]:
    """Return a row as it reads after the undo: it no longer claims that the step's writes stand."""
    if row["status"] == "PLANNED":
        return {**row, "status": "NOTED", "reason": f"Planned, but not written. {row['reason']}".strip()}
    if row["status"] != "CHANGED":
        return row
    is_back = row["step"] in undone.steps
    words = f"Taken back {undone.when}." if is_back else "Written by the run; the undo left it (see undo.html)."
    return {**row, "status": "NOTED", "reason": f"{words} {row['reason']}".strip()}


def status_of(rows: Iterable[Mapping[str, Any]], procedure: Procedure) -> tuple[str, str]:
    """Return the status of a tenant from its result rows, and the first thing to act on."""
    found = list(rows)
    for status, word in (("FAILED", "failed"), ("BLOCKED", "blocked")):
        if bad := next((row for row in found if row["status"] == status), None):
            return word, f"{bad['step']}: {bad['reason']}"
    # Only the start is ever skipped by choice. The run did not reach any other skipped step, even if no row says why.
    if skipped := next(
        (row for row in found if row["status"] == "SKIPPED" and row["step"] != procedure.number_of(Thing.START)), None
    ):
        return "failed", f"{skipped['step']}: {skipped['reason']}"
    planned = [row["step"] for row in found if row["status"] == "PLANNED"]
    if planned:
        return "pending", f"{len(planned)} steps would change something"
    telling = [procedure.number_of(thing) for thing in _TELLING]
    if any(row["status"] == "HANDOVER" and row["step"] in telling for row in found):
        count = sum(row["status"] == "HANDOVER" for row in found)
        return "handover", f"{count} steps wait for the other side's administrator: see handover.html"
    changed = [row["step"] for row in found if row["status"] == "CHANGED"]
    return ("done", f"{len(changed)} steps changed something") if changed else ("unchanged", "nothing to do")


def undo_outcome(rows: Iterable[Mapping[str, Any]], left: int, procedure: Procedure) -> tuple[str, str]:
    """Return how an undo ended, with how many writes of the run it has left in place: one that ended well may leave some."""
    status, about = status_of(rows, procedure)
    if not left or status not in ("done", "unchanged"):
        return status, about
    writes = "1 of the run's writes is" if left == 1 else f"{left} of the run's writes are"
    return status, f"{about}; {writes} left in place, with the reason below"


def rebuild_report(journal: Path, outcome: tuple[str, str], procedure: Procedure) -> None:
    """Write report.html and results.json next to a journal, of the last run in it: what the run itself writes at its end.

    Nothing is written when no run was begun.
    """
    last = LastRun.of(journal)
    if last is None or last.begun is None:
        return
    run, end = last.begun, last.ended
    ended_at = (end.reported or end.time) if end else last.last_at
    rows = sorted(_rows(last), key=lambda row: [int(part) for part in row["step"].split(".")])
    write_results(journal.parent / "results.json", rows)
    write_report(
        journal.parent / "report.html",
        tenant=run.text("tenant") or journal.parent.name,
        mode=run.text("by") or run.text("mode"),
        version=run.text("tool"),
        rows=rows,
        time=datetime.fromisoformat(ended_at).isoformat(timespec="seconds"),
        outcome=outcome,
        people=end.people if end else None,
        place=place_of(run.text("auth0_domain")),
        forecast=end.forecast if end else None,
        procedure=procedure,
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
    place: str,
    forecast: Mapping[str, int] | None = None,
    procedure: Procedure,
) -> None:
    """Write report.html: one file, no outside resources, every text escaped, hidden characters shown.

    The settings next to it name the tenant. `outcome` is the status and what to know about it; `people` who signed in, by
    side; `place` says sandbox or real in words; `forecast` counts people by fate.
    """
    status, about = outcome
    page = template("report.html.j2").render(
        tenant=tenant,
        mode=mode,
        version=version,
        rows=rows,
        time=moment(datetime.fromisoformat(time)),
        statuses={str(status): status for status in Status},
        seen=[status for status in Status if any(row["status"] == status for row in rows)],
        word=Outcome(status).word,
        is_undo=path.name == UNDO,
        facts=dict(_facts_of(path.parent)),
        status=status,
        about=about,
        people=people or {},
        place=place,
        forecast=forecast or {},
        number=procedure.number_of,
        has_sheet=any(row["status"] == "HANDOVER" for row in rows),
    )
    write_private(path, page)


def _facts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what a report in this folder is of: the run, and both sides' tenants, where the settings of the run are there."""
    yield "Run", folder.absolute().parent.name
    path = folder / "settings.json"
    settings: dict[str, Any] = parsed(path.read_text(encoding="utf-8")) if path.exists() else {}
    for label, column in _OF:
        if value := settings.get(column):
            yield label, str(value)
