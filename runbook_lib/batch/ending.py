"""How a run ended, for a terminal and for programs: totals, what equal tenants have in common once, and what to do next."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from runbook_lib import __version__
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.summary import TenantRow, Todo, forecast_of_all, todos_of
from runbook_lib.core.display import cut
from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine.status import Outcome
from runbook_lib.run.place import place_of_many
from runbook_lib.run.report import rows_of
from runbook_lib.settings.model import RunMode

ROWS = 20  # tenants that get a line each; more are grouped by what they have in common
_ABOUT = 100  # characters of a text that stands in full below
_NAMED = 5  # tenants by name in such a line
_SUMMARY = ("summary.html", "summary.json", "summary.csv", "junit.xml")
_RED = ("failed", "blocked", "busy")


def table(rows: Sequence[TenantRow], fitted: Callable[[str], str]) -> Iterator[str]:
    """Yield a line for each tenant, of more than `ROWS` one for those that ended alike. `fitted` cuts a line where it must."""
    if len(rows) <= ROWS:
        wide = max((len(row.name) for row in rows), default=0)
        for row in rows:
            about = cut(row.about, _ABOUT) if row.needs else row.about  # `needs` has the whole of it
            yield fitted(f"{row.name:<{wide}}  {Outcome(row.status).word:<13}  {about}".rstrip())
        return
    alike: dict[tuple[Outcome, str], list[str]] = {}
    for row in rows:
        if not row.needs:  # `needs` has the others
            alike.setdefault((Outcome(row.status), row.about), []).append(row.name)
    for (end, about), names in sorted(alike.items(), key=lambda found: list(Outcome).index(found[0][0])):
        yield f"{len(names)} {end.word.lower()}: {about}: {_named(names)}"


def needs(rows: Sequence[TenantRow]) -> Iterator[str]:
    """Yield what a person has to do, once for all tenants that need the same; nothing if no tenant needs a person."""
    todos = todos_of(rows)
    if todos:
        yield "What to do"
    for todo in todos:
        yield _head(todo, [rows[number].name for number in todo.tenants])
        if todo.reason:
            yield f"    {todo.reason}"
        if todo.remedy:
            yield f"    \u2192 {todo.remedy}"


def _head(todo: Todo, names: Sequence[str]) -> str:
    end = Outcome(todo.status)
    at = f" at {todo.step}" if todo.step else ""
    return f"{end.icon} {end.word}{at}: {_named(names)}"


def _named(names: Sequence[str]) -> str:
    """Return the first names of many, and how many more there are."""
    more = len(names) - _NAMED
    return f"{', '.join(names[:_NAMED])}{f' and {more} more' if more > 0 else ''}"


Following = tuple[tuple[str, str], ...]  # why, and the command; a command may be empty


def following(statuses: Iterable[str], mode: RunMode, commands: Mapping[str, str]) -> Following:
    """Return what to do next.

    `commands` are those to go on with the run, to do what failed again, to apply what was planned, and to take the run back.
    """
    found = set(statuses)
    steps: list[tuple[str, str]] = []
    if found & {"interrupted", "not-started"}:
        steps.append(("to go on where it stopped", commands["go_on"]))
    elif found & set(_RED):
        steps.append(("when what is named above is corrected", commands["failed"]))
    if "handover" in found:
        steps.append(("when the other administrators have done what their handover.html says", commands["go_on"]))
    if "pending" in found and mode is RunMode.PLAN and not found & {"interrupted", "not-started"}:
        steps.append(("to carry it out", commands["apply"]))
    if "done" in found:
        steps.append(("should it have to be taken back", commands["undo"]))
    return tuple(dict.fromkeys(steps)) or (("nothing is left to do", ""),)


def as_json(
    folder: Path, outcomes: Sequence[TenantOutcome], rows: Sequence[TenantRow], *, mode: RunMode, code: int, next_steps: object
) -> Iterator[str]:
    """Yield the result of a run as JSON, tenant by tenant: of thousands it is never whole in memory."""
    head = {
        "folder": str(folder),
        "version": __version__,
        "mode": str(mode),
        "place": place_of_many(row.auth0_domain for row in rows),
        "exit_code": code,
        "counts": dict(Counter(row.status for row in rows)),
        "forecast": forecast_of_all([{"forecast": row.forecast} for row in rows]),
        "files": {name: str(folder / name) for name in _SUMMARY if (folder / name).exists()},
        "next": next_steps,
    }
    yield f'{json.dumps(head, ensure_ascii=False)[:-1]}, "tenants": ['
    for number, (outcome, row) in enumerate(zip(outcomes, rows, strict=True)):
        yield f"{', ' if number else ''}{json.dumps(_tenant(outcome, row), ensure_ascii=False)}"
    yield "]}"


def _tenant(outcome: TenantOutcome, row: TenantRow) -> dict[str, Any]:
    """Return one tenant: how it ended, each step with its cure, what needs a person, and where its files are."""
    try:
        steps = rows_of(outcome.folder / "journal.jsonl") if row.seconds is not None else []
    except JournalFailed:  # the outcome says so
        steps = []
    return {
        "name": outcome.name,
        "status": outcome.status,
        "about": outcome.about,
        "folder": str(outcome.folder),
        "seconds": row.seconds,
        "forecast": dict(row.forecast),
        "needs": [{key: need[key] for key in ("step", "reason", "remedy")} for need in row.needs],
        "files": {label: str(outcome.folder / name) for label, name in row.files},
        "steps": [{key: value for key, value in step.items() if key != "tables"} for step in steps],
    }
