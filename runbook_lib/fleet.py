"""What the notebook of a fleet imports: its tenants, a plan of all, a run of all, and pictures of what came of it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from runbook_lib import tables
from runbook_lib.batch import progress
from runbook_lib.batch.command import Wanted, carry_out
from runbook_lib.batch.inventory import sign_in_of, take_inventory
from runbook_lib.batch.runner import Options
from runbook_lib.batch.summary import TenantRow, tenant_rows
from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.change import Table
from runbook_lib.kernel import guard_kernel
from runbook_lib.notebook import View, person_is_present, sandbox_file
from runbook_lib.report import ICONS
from runbook_lib.settings import RunMode
from runbook_lib.steps import STEPS
from runbook_lib.visible import visible

# What a bar is made of, from the left: word, colour, statuses of a step. A step that has no result was not reached.
_PARTS = (
    ("as wanted", "#1a7f37", ("UNCHANGED", "CHANGED", "PASSED", "NOTED")),
    ("planned", "#0969da", ("PLANNED",)),
    ("handed over", "#8a4b00", ("HANDOVER",)),
    ("stopped", "#c62828", ("BLOCKED", "FAILED", "INTERRUPTED")),
    ("not reached", "#6e7781", ("SKIPPED", "")),
)
_ROW, _LABEL, _BAR = 18, 330, 420  # pixels


class Picture:
    """An SVG picture; where none can be shown, the same in words."""

    def __init__(self, svg: str, words: str) -> None:
        self._svg, self._words = svg, words

    def _repr_svg_(self) -> str:
        return self._svg

    def __repr__(self) -> str:
        return self._words


class Fleet:
    """The tenants of one file. `plan` and `run` carry the notebook out for each; the rest shows the last of these rounds."""

    def __init__(self, tenants_file: Path, mode: RunMode, out: Path | None, options: Options) -> None:
        self._file, self._mode, self._out, self._options = tenants_file, mode, out, options
        self._rows: Sequence[TenantRow] = ()
        self.folder: Path | None = None

    def tenants(self) -> View:
        """Show the rows of the tenants file. Raises `SettingsError` that names every bad one."""
        columns = ("name", "auth0_connection", "entra_tenant", "scim_app_name", "test_user", "turn_on")
        rows = tuple(tuple(getattr(tenant, column) for column in columns) for tenant in read_tenants(self._file))
        return _view(Table(f"{len(rows)} tenants", columns, rows))

    def inventory(self) -> View:
        """Show every waad connection of the Auth0 tenant, those outside of the file too, and which procedure each belongs to.

        Where every row hands Auth0 over there is nothing to list: its owner knows. Raises `SettingsError` for several tenants.
        """
        if all(tenant.handed_over == "auth0" for tenant in read_tenants(self._file)):
            return _said("Nobody signs in to Auth0 here: whom that tenant belongs to has the list.")
        found = take_inventory(sign_in_of({}, self._file))
        rows = tuple((one.connection.name, one.verdict.kind, str(one.users), one.scim, one.verdict.why) for one in found)
        return _view(Table(f"{len(rows)} connections", ("connection", "which", "users", "SCIM", "why"), rows))

    def plan(self) -> View:
        """Plan every tenant and show how each stands. Writes nothing."""
        return self._carried_out(RunMode.PLAN)

    def run(self) -> View:
        """Apply the procedure to every tenant whose conditions hold, when `mode` is apply; otherwise say so and write nothing."""
        if self._mode is not RunMode.APPLY:
            return _said("Nothing was written: the mode is plan.")
        return self._carried_out(RunMode.APPLY)

    def _carried_out(self, mode: RunMode) -> View:
        watching = progress.on_page if person_is_present() else progress.unseen
        self.folder, outcomes, _ = carry_out(Wanted(self._file, mode, out=self._out), self._options, watching)
        self._rows = tenant_rows(outcomes)
        counts = Counter(row.status for row in self._rows)
        title = ", ".join(f"{count} {status}" for status, count in counts.items())
        return _view(Table(title, ("tenant", "status", "about"), tuple((row.name, row.status, row.about) for row in self._rows)))

    def matrix(self) -> View:
        """Show tenants by steps: an icon each, empty where a step was not reached."""
        icons = {number: [_icon(row, number) for row in self._rows] for number in _NUMBERS}
        rows = tuple((row.name, row.status, *(icons[number][n] for number in _NUMBERS)) for n, row in enumerate(self._rows))
        legend = "   ".join(f"{icon} {status}" for status, icon in ICONS.items())
        return _view(Table(f"Tenants by steps:   {legend}", ("tenant", "status", *_NUMBERS), rows))

    def needs(self) -> View:
        """Show what needs somebody, and what to do about it."""
        rows = tuple((row.name, need["step"], need["reason"], need["remedy"]) for row in self._rows for need in row.needs)
        return _view(Table(f"{len(rows)} things to do", ("tenant", "step", "what is wrong", "what to do"), rows))

    def chart(self) -> Picture:
        """Draw, for each step, how many tenants are as wanted there, planned, stopped, or not there yet."""
        labels = [textwrap.shorten(f"{step.number} {step.title}", _LABEL // 7, placeholder=" …") for step in STEPS]
        bars = [(label, _counted(self._rows, number)) for label, number in zip(labels, _NUMBERS, strict=True)]
        return Picture(_svg(bars, len(self._rows)), _words(bars))


_NUMBERS = tuple(step.number for step in STEPS)


def open_fleet(*, tenants_file: str = "", mode: str = "", out: str = "", jobs: int = 16, canary: int = 0) -> Fleet:
    """Open the fleet of a tenants file; without one, of the sandbox's demo tenants, one started here if none runs.

    `mode` is plan or apply; empty means plan, and apply in the built-in sandbox. `out` is the folder for what the runs leave.
    """
    guard_kernel()
    wanted = RunMode(mode) if mode else RunMode.PLAN if tenants_file else RunMode.APPLY
    path = Path(tenants_file) if tenants_file else sandbox_file()
    return Fleet(path, wanted, Path(out) if out else None, Options(jobs=jobs, canary=canary))


def _said(text: str) -> View:
    return View(f"<p>{escape(text)}</p>", text)


def _view(table: Table) -> View:
    page = f"<p>{escape(visible(table.title))}</p>{tables.html(table)}"
    return View(page, f"{visible(table.title)}\n\n{tables.text(table)}", (table,))


def _icon(row: TenantRow, number: str) -> str:
    return ICONS.get(row.steps.get(number, {}).get("status", ""), "")


def _counted(rows: Sequence[TenantRow], number: str) -> tuple[int, ...]:
    statuses = [_meant(row, number) for row in rows]
    return tuple(sum(status in meant for status in statuses) for _, _, meant in _PARTS)


def _meant(row: TenantRow, number: str) -> str:
    """Return a step's status, HANDOVER for a mere note of a tenant that waits: such a step comes after what is waited for."""
    status = row.steps.get(number, {}).get("status", "")
    return "HANDOVER" if status == "NOTED" and row.status == "handover" else status


def _words(bars: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    words = [word for word, _, _ in _PARTS]
    said = [", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True) if n) for _, counts in bars]
    return "\n".join(f"{label:<{_LABEL // 7}} {text}" for (label, _), text in zip(bars, said, strict=True))


def _svg(bars: Sequence[tuple[str, tuple[int, ...]]], total: int) -> str:
    """Return stacked bars. A part says its number, so that colour is not all that tells them apart."""
    width, height = _LABEL + _BAR + 20, (len(bars) + 2) * _ROW + 10
    marks = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" font-family="sans-serif" font-size="12"><title>Steps and tenants</title>'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    ]
    for place, (word, colour, _) in enumerate(_PARTS):
        left = width - (len(_PARTS) - place) * 112
        marks.append(f'<rect x="{left}" y="6" width="12" height="12" fill="{colour}"/>')
        marks.append(f'<text x="{left + 16}" y="16" fill="#1f2328">{word}</text>')
    for line, (label, counts) in enumerate(bars):
        y, x = (line + 1) * _ROW + 10, float(_LABEL)
        marks.append(f'<text x="{_LABEL - 8}" y="{y + 12}" text-anchor="end" fill="#1f2328">{escape(label)}</text>')
        for count, (_, colour, _) in zip(counts, _PARTS, strict=True):
            if count:
                span = _BAR * count / total
                marks.append(f'<rect x="{x:.1f}" y="{y}" width="{span:.1f}" height="{_ROW - 3}" fill="{colour}"/>')
                middle = x + span / 2
                marks.append(f'<text x="{middle:.1f}" y="{y + 12}" text-anchor="middle" fill="#ffffff">{count}</text>')
                x += span
    return "\n".join([*marks, "</svg>"])
