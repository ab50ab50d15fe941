"""The controls of the fleet's page: what to run, how far each tenant is, and the matrix to search, filter and open.

They are ipywidgets' own. Nothing secret is typed into them, because the state of widgets may be saved with the page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import ipywidgets

from runbook_lib.core.display import as_html
from runbook_lib.engine.status import Outcome
from runbook_lib.engine.values import Table
from runbook_lib.run import tables

_ALL = "all"
_WIDE = "min(46rem, 95%)"
_FIELD = {"description_width": "11rem"}


@dataclass(frozen=True)
class Choices:
    """What the fields say. `confirmed` is the number of tenants that a person typed, empty for none."""

    tenants_file: str
    mode: str
    jobs: int
    canary: int
    confirmed: str


@dataclass(frozen=True)
class Line:
    """A tenant in the matrix: its outcome, what to know, an icon and a colour a step, and the HTML that opening it shows."""

    name: str
    status: Outcome
    about: str
    marks: tuple[tuple[str, str], ...]
    opened: Callable[[], str]


class Board:
    """The widgets. `on_plan`, `on_run` and `on_stop` are called when their buttons are pressed."""

    def __init__(
        self,
        choices: Choices,
        steps: Sequence[str],
        *,
        on_plan: Callable[[], None],
        on_run: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._steps = tuple(steps)
        self._lines: tuple[Line, ...] = ()
        self._bars: dict[str, Any] = {}
        self._lock = threading.RLock()  # tenants tell of themselves from threads of their own
        self._make_fields(choices)
        self._make_buttons(on_plan, on_run, on_stop)
        self._make_matrix()
        self.widget = ipywidgets.VBox([*self._fields, self._buttons, self._said, self._all, self._at_work, self._matrix_box])

    def _make_fields(self, choices: Choices) -> None:
        self._file = ipywidgets.Text(
            choices.tenants_file, description="Tenants file", style=_FIELD, layout=ipywidgets.Layout(width=_WIDE)
        )
        self._mode = ipywidgets.ToggleButtons(
            options=[("Plan: write nothing", "plan"), ("Apply", "apply")], value=choices.mode, description="Mode", style=_FIELD
        )
        self._jobs = ipywidgets.BoundedIntText(choices.jobs, min=1, max=200, description="Tenants at a time", style=_FIELD)
        self._canary = ipywidgets.BoundedIntText(choices.canary, min=0, max=10_000, description="First, alone", style=_FIELD)
        self._confirm = ipywidgets.Text("", description="Tenants to write to", placeholder="their number", style=_FIELD)
        self._confirm.layout.display = "none"
        self._fields = (self._file, self._mode, self._jobs, self._canary, self._confirm)

    def _make_buttons(self, on_plan: Callable[[], None], on_run: Callable[[], None], on_stop: Callable[[], None]) -> None:
        self.plan = ipywidgets.Button(
            description="Plan", button_style="primary", icon="search", tooltip="Read all, write nothing"
        )
        self.run = ipywidgets.Button(description="Run", button_style="warning", icon="play", tooltip="Write, in mode Apply")
        self.stop = ipywidgets.Button(description="Stop", icon="stop", tooltip="Let the steps in hand end", disabled=True)
        for button, pressed in ((self.plan, on_plan), (self.run, on_run), (self.stop, on_stop)):
            button.on_click(lambda _button, pressed=pressed: pressed())
        self._buttons = ipywidgets.HBox([self.plan, self.run, self.stop])
        self._said = ipywidgets.HTML("")
        self._all = ipywidgets.IntProgress(
            0, min=0, max=1, description="All tenants", style=_FIELD, layout=ipywidgets.Layout(width=_WIDE)
        )
        self._all.layout.display = "none"
        self._at_work = ipywidgets.VBox([])

    def _make_matrix(self) -> None:
        self._find = ipywidgets.Text("", description="Find", placeholder="tenant or message", continuous_update=True)
        ends = [("every status", _ALL), *((end.word, str(end)) for end in Outcome)]
        self._status = ipywidgets.Dropdown(options=ends, value=_ALL, description="Status")
        self._open = ipywidgets.Dropdown(options=[("none", "")], value="", description="Open")
        self._count, self._matrix, self._opened = ipywidgets.HTML(""), ipywidgets.HTML(""), ipywidgets.HTML("")
        for field in (self._find, self._status):
            field.observe(lambda _change: self._sift(), "value")
        self._open.observe(lambda _change: self._show_opened(), "value")
        sifting = ipywidgets.HBox([self._find, self._status, self._open], layout=ipywidgets.Layout(flex_flow="row wrap"))
        self._matrix_box = ipywidgets.VBox([sifting, self._count, self._opened, self._matrix])
        self._matrix_box.layout.display = "none"

    def choices(self) -> Choices:
        """Return what the fields say now."""
        return Choices(
            self._file.value.strip(), self._mode.value, self._jobs.value, self._canary.value, self._confirm.value.strip()
        )

    def say(self, text: str, *, is_wrong: bool = False) -> None:
        """Say something under the buttons; a screen reader reads it out."""
        role, tone = ("alert", "color: var(--jp-error-color1, #b3261e)") if is_wrong else ("status", "")
        lines = "<br>".join(map(as_html, text.split("\n")))
        self._said.value = f'<p role="{role}" style="{tone}">{lines}</p>'

    def ask_for_number(self) -> None:
        """Show the field in which a person types how many real tenants are written to."""
        self._confirm.layout.display = ""

    def begin(self, total: int) -> None:
        """Show that tenants are in progress: meanwhile a person can press Stop but start nothing."""
        with self._lock:
            self._bars = {}
            self._at_work.children = ()
            self._all.max, self._all.value, self._all.layout.display = max(1, total), 0, ""
            self._switch(is_at_work=True)

    def end(self) -> None:
        """Show that no tenant is in progress."""
        with self._lock:
            self._bars = {}
            self._at_work.children = ()
            self._all.layout.display = "none"
            self._confirm.value = ""
            self._switch(is_at_work=False)

    def _switch(self, *, is_at_work: bool) -> None:
        self.stop.disabled = not is_at_work
        for widget in (self.plan, self.run, *self._fields):
            widget.disabled = is_at_work

    def begins(self, name: str) -> None:
        """Show a bar for a tenant."""
        with self._lock:
            style = {**_FIELD, "bar_color": "#3447c5"}
            bar = ipywidgets.IntProgress(0, min=0, max=len(self._steps), description=name, style=style)
            self._bars[name] = ipywidgets.HBox([bar, ipywidgets.Label("")])
            self._at_work.children = tuple(self._bars.values())

    def step(self, name: str, number: str, words: str) -> None:
        """Move a tenant's bar to a step."""
        with self._lock:
            if box := self._bars.get(name):
                box.children[0].value = self._steps.index(number)
                box.children[1].value = words

    def ends(self, name: str) -> None:
        """Take a tenant's bar away and move that of all."""
        with self._lock:
            self._all.value += 1
            self._bars.pop(name, None)
            self._at_work.children = tuple(self._bars.values())

    def show(self, lines: Sequence[Line]) -> None:
        """Show how all tenants ended."""
        self._lines = tuple(lines)
        self._matrix_box.layout.display = ""
        self._sift()

    def _sift(self) -> None:
        """Show the tenants that match the search and filter fields."""
        words, status = self._find.value.strip().lower(), self._status.value
        found = [
            line for line in self._lines if status in (_ALL, str(line.status)) and words in f"{line.name} {line.about}".lower()
        ]
        self._count.value = f'<p role="status">{len(found)} of {len(self._lines)} tenants</p>'
        self._matrix.value = self._table(found)
        options = [("none", ""), *((line.name, line.name) for line in found)]
        is_kept = self._open.value in {value for _, value in options}
        kept = self._open.value if is_kept else ""
        self._open.options = options
        self._open.value = kept

    def _table(self, found: Sequence[Line]) -> str:
        rows = tuple((line.name, f"{line.status.icon} {line.status.word}", *(icon for icon, _ in line.marks)) for line in found)
        colours = [
            (row, 2 + column, f"color: {colour}; font-weight: 600")
            for row, line in enumerate(found)
            for column, (_, colour) in enumerate(line.marks)
            if colour
        ]
        return tables.html(Table("", ("tenant", "status", *self._steps), rows), colours)

    def _show_opened(self) -> None:
        line = next((one for one in self._lines if one.name == self._open.value), None)
        self._opened.value = line.opened() if line else ""


def links(folder: Path, files: Mapping[str, str]) -> str:
    """Return links to a tenant's files, as the Jupyter server of the page serves what lies below the page's folder."""
    below = Path.cwd()
    if not folder.absolute().is_relative_to(below):
        return f"<p>{as_html(str(folder))}</p>"
    place = folder.absolute().relative_to(below).as_posix()
    made = (
        f'<a href="../../files/{quote(place)}/{quote(name)}" target="_blank">{escape(label)}</a>' for label, name in files.items()
    )
    return f"<p>{' · '.join(made)}</p>"
