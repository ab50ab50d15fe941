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
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # only written with, nothing is parsed

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.totals import durations, totals
from runbook_lib.core.display import as_cell, moment, visible
from runbook_lib.core.errors import JournalFailed
from runbook_lib.core.json_text import parsed
from runbook_lib.core.places import notebook
from runbook_lib.core.templates import template
from runbook_lib.engine.events import Result
from runbook_lib.engine.journal import LastRun
from runbook_lib.engine.status import Outcome, Status, Tone
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.place import place_of_many
from runbook_lib.run.report import write_private
from runbook_lib.settings.model import RunMode
from runbook_lib.tenant.forecast.values import Fate

GOOD = ("done", "unchanged", "pending", "handover")
_INTERRUPTED = "INTERRUPTED"  # of the step that a run was at when it ended; no result of a step
_TONES: dict[str, Tone] = {str(outcome): outcome.tone for outcome in Outcome}
_TONES |= {str(status): status.tone for status in Status} | {_INTERRUPTED: Tone.STOP}
_ICONS = {str(status): status.icon for status in Status} | {_INTERRUPTED: "!"}
_WORDS = {str(one): one.word for one in (*Status, *Outcome)} | {_INTERRUPTED: "Interrupted"}
_MODES = {"plan": "plan, which writes nothing", "apply": "apply"}
_RED = tuple(status for status in Status if status.is_bad)
_NAMED = 4  # sign-ins that are named; of more the number
_PART = 100_000  # characters
_REQUEST = re.compile(r" \(request [^()]*\)$")  # the same refusal has another one for each tenant; reports keep it
_FILES = (
    ("report", "report.html"),
    ("hand-over", "handover.html"),
    ("forecast", "forecast.csv"),
    ("leavers", "leavers.csv"),
    ("journal", "journal.jsonl"),
)


@dataclass
class Todo:
    """What a person has to do, once for all tenants that need the same; `tenants` by their place among the rows."""

    status: str
    step: str
    reason: str
    remedy: str
    tenants: list[int] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The look that the page gives it."""
        return _TONES[self.status]


@dataclass(frozen=True)
class Carried:
    """How a tenant was carried out: mode and version in words, from when to when, and who signed in."""

    mode: str
    version: str
    first_at: str
    last_at: str
    people: tuple[str, ...] = ()


@dataclass(frozen=True)
class TenantRow:
    """One tenant.

    `folder` is as seen from the summary; `steps` by number as in results.json; `seconds` from first to last event, None when
    nothing was begun; `auth0_domain` is then empty. `forecast` counts people by fate, empty where none was made. `slowest` is the
    slowest step and its seconds; `run` says when, in which mode and by which accounts it was done, None when nothing was begun.
    """

    name: str
    status: str
    about: str
    folder: str
    seconds: float | None = None
    steps: dict[str, dict[str, str]] = field(default_factory=dict)
    files: tuple[tuple[str, str], ...] = ()
    auth0_domain: str = ""
    forecast: Mapping[str, int] = field(default_factory=dict)
    connection: str = ""
    slowest: tuple[str, float] = ("", 0.0)
    run: Carried | None = None

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


def write_summary(folder: Path, outcomes: Sequence[TenantOutcome], procedure: Procedure, *, is_mirrored: bool = False) -> None:
    """Write summary.html, summary.json, summary.csv and junit.xml; tenants in the order of `outcomes`.

    With `is_mirrored` other machines' pages and reports are not here, but will lie next to the summary where it is copied to.
    """
    rows = [_row(outcome, folder, procedure) for outcome in outcomes]
    if is_mirrored:
        rows = [replace(row, files=_files_elsewhere(row, procedure)) for row in rows]
    write_private(folder / "summary.json", json.dumps([_flat(row) for row in rows], indent=1, ensure_ascii=False))
    write_private(folder / "summary.csv", summary_csv(rows, procedure))
    write_private(folder / "summary.html", _by_lines(_summary_parts(rows, procedure, folder)))
    write_private(folder / "junit.xml", junit(rows))


def _files_elsewhere(row: TenantRow, procedure: Procedure) -> tuple[tuple[str, str], ...]:
    """Return the files that a tenant has left on some machine: a sheet or a forecast only where there is one."""
    has_sheet = any(step["status"] == "HANDOVER" for step in row.steps.values())
    missing = {*(() if has_sheet else ("hand-over",)), *(() if row.forecast else ("forecast", "leavers"))}
    return tuple(file for file in _files(procedure) if row.seconds is not None and file[0] not in missing)


def _files(procedure: Procedure) -> tuple[tuple[str, str], ...]:
    """Return the files that a tenant may leave: what the summary calls each, and its name."""
    return (("page", notebook(procedure.notebook).name), *_FILES)


def tenant_rows(outcomes: Iterable[TenantOutcome], procedure: Procedure) -> list[TenantRow]:
    """Return a row for each tenant, with what its journal tells of its steps."""
    return [_row(outcome, outcome.folder.parent, procedure) for outcome in outcomes]


def _row(outcome: TenantOutcome, base: Path, procedure: Procedure) -> TenantRow:
    last = _last_run(outcome.folder / "journal.jsonl") if outcome.status != "not-started" else None
    steps = {event.step: _cell(event) for event in (last.results.values() if last else ())}
    if (
        outcome.status == "interrupted"
        and last
        and (at := next((number for number in procedure.numbers if number not in steps), ""))
    ):
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
        tuple((label, name) for label, name in _files(procedure) if (outcome.folder / name).exists()),
        sys.intern(last.begun.text("auth0_domain")) if last and last.begun else "",
        last.ended.forecast if last and last.ended else {},
        last.begun.text("connection") if last and last.begun else "",
        _slowest(last) if last else ("", 0.0),
        _carried(last) if last else None,
    )


def _slowest(last: LastRun) -> tuple[str, float]:
    """Return the step with the longest time between the result before and its own, and the seconds of that."""
    before, found = datetime.fromisoformat(last.first_at), ("", 0.0)
    for result in sorted(last.results.values(), key=lambda one: one.time):
        at = datetime.fromisoformat(result.time)
        found = max(found, (result.step, (at - before).total_seconds()), key=lambda one: one[1])
        before = at
    return found


def _carried(last: LastRun) -> Carried | None:
    if last.begun is None:
        return None
    mode = sys.intern(last.begun.text("by") or last.begun.text("mode"))
    people = tuple(sys.intern(f"{side}: {who}") for side, who in (last.ended.people or {} if last.ended else {}).items())
    return Carried(mode, sys.intern(last.begun.text("tool")), last.first_at, last.last_at, people)


def _cell(result: Result) -> dict[str, str]:
    """Return what the page shows of a step; it shows no reasons for a step that is as wanted."""
    step, status = result.step, result.status
    if _TONES.get(status) is Tone.DONE or status == "SKIPPED":
        return _same(step, status, "", "")
    return _same(step, status, result.reason, result.remedy)


@functools.lru_cache(10_000)
def _same(step: str, status: str, reason: str, remedy: str) -> dict[str, str]:
    """Return one shared object for equal content, because thousands of tenants have the same."""
    return {"step": step, "status": status, "reason": reason, "remedy": remedy}


def _last_run(journal: Path) -> LastRun | None:
    """Return the last run in a journal, None when none was begun or the journal cannot be read: the outcome says so."""
    with contextlib.suppress(JournalFailed):
        if (last := LastRun.of(journal)) and last.begun:
            return last
    return None


def _flat(row: TenantRow) -> dict[str, Any]:
    row_itself = {"name": row.name, "status": row.status, "about": row.about, "folder": row.folder, "seconds": row.seconds}
    return {**row_itself, "forecast": dict(row.forecast)}


def summary_csv(rows: Sequence[TenantRow], procedure: Procedure) -> str:
    """Return the rows as CSV with every cell in quotes: otherwise a spreadsheet may split a cell at a semicolon."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    columns = _columns(procedure)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([as_cell(value(row)) for value in columns.values()])
    return target.getvalue()


def _columns(procedure: Procedure) -> dict[str, Callable[[TenantRow], str]]:
    """Return the columns of the spreadsheet: what each is called, and what stands there for a tenant."""
    return {
        "name": lambda row: row.name,
        "status": lambda row: row.status,
        "about": lambda row: row.about,
        "folder": lambda row: row.folder,
        "seconds": lambda row: "" if row.seconds is None else str(row.seconds),
        **{number: functools.partial(_status_at, number) for number in procedure.numbers},
        **{f"forecast: {fate}": functools.partial(_people_of, fate) for fate in Fate},
    }


def _status_at(number: str, row: TenantRow) -> str:
    return row.steps.get(number, {}).get("status", "")


def _people_of(fate: Fate, row: TenantRow) -> str:
    return str(row.forecast.get(fate, 0)) if row.forecast else ""


def summary_html(rows: Sequence[TenantRow], procedure: Procedure) -> str:
    """Return one page without outside resources: counts, durations, what to do, and tenants by steps; every text escaped."""
    return "".join(_summary_parts(rows, procedure, None))


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


def _summary_parts(rows: Sequence[TenantRow], procedure: Procedure, folder: Path | None) -> Iterator[str]:
    todos = todos_of(rows)
    facts = dict(facts_of(rows, folder))
    mode = RunMode.PLAN if facts.get("Mode", "").startswith("plan") else RunMode.APPLY
    said, slow = durations(rows, procedure)
    counts = sorted(Counter(row.status for row in rows).items(), key=lambda counted: list(Outcome).index(Outcome(counted[0])))
    return template("summary.html.j2").generate(
        tenants=rows,
        place=place_of_many(row.auth0_domain for row in rows),
        total=len(rows),
        counts=[(status, count, _TONES[status]) for status, count in counts],
        facts=facts,
        totals=tuple(totals(rows, mode, procedure)),
        said=said,
        slow=slow,
        todos=todos,
        places={(number, todo.step): place for place, todo in enumerate(todos, start=1) for number in todo.tenants},
        steps=tuple(procedure),
        sections=[(section.heading, len(section.rows)) for section in procedure.sections],
        icons=_ICONS,
        kinds=_TONES,
        words=_WORDS,
        fates=[str(fate) for fate in Fate if any(row.forecast.get(fate) for row in rows)],
    )


def facts_of(rows: Sequence[TenantRow], folder: Path | None) -> Iterator[tuple[str, str]]:
    """Yield a summary's subject: run, mode, tenants file, from when to when, who signed in, and the version; what is known."""
    runs = [row.run for row in rows if row.run]
    if folder is not None:
        yield "Run", folder.absolute().name
    if modes := sorted({_MODES.get(run.mode, run.mode) for run in runs}):
        yield "Mode", " and ".join(modes)
    if folder is not None and (folder / "run.json").exists():
        yield "Tenants file", str(parsed((folder / "run.json").read_text(encoding="utf-8")).get("tenants_file", ""))
    if runs:
        first, last = min(run.first_at for run in runs), max(run.last_at for run in runs)
        yield "When", f"{moment(datetime.fromisoformat(first))} to {moment(datetime.fromisoformat(last))}"
    if people := sorted({who for run in runs for who in run.people}):
        yield "Signed in as", "; ".join(people) if len(people) <= _NAMED else f"{len(people)} sign-ins, named in the reports"
    if versions := sorted({run.version for run in runs if run.version}):
        yield "Version", f"inbound-scim-runbook {', '.join(versions)}"


def todos_of(rows: Sequence[TenantRow]) -> list[Todo]:
    """Return what a person has to do, the most urgent first; what many tenants need comes once."""
    found: dict[tuple[str, ...], Todo] = {}
    for number, row in enumerate(rows):
        for need in row.needs:
            key = (row.status, need["step"], _REQUEST.sub("", need["reason"]), need["remedy"])
            found.setdefault(key, Todo(*key)).tenants.append(number)
    return sorted(found.values(), key=lambda todo: list(Outcome).index(Outcome(todo.status)))


def forecast_of_all(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many people of all tenants have each fate, of rows as summary.json holds them."""
    found: Counter[str] = Counter()
    for row in rows:
        found.update(row.get("forecast") or {})
    return {str(fate): found[fate] for fate in Fate if found[fate]}


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
