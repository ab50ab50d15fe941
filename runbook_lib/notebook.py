"""The one module a notebook imports: open a session, do the steps, show the summary."""

from __future__ import annotations

import atexit
import contextlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import tables
from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.change import Table
from runbook_lib.engine import StepResult
from runbook_lib.kernel import guard_kernel
from runbook_lib.report import ICONS
from runbook_lib.sandbox.process import launched
from runbook_lib.session import Session
from runbook_lib.settings import EXTRAS, RunMode, TenantSettings, attached_sandbox
from runbook_lib.visible import as_html, visible

PROJECT = Path(__file__).resolve().parent.parent
_COLOURS = {"CHANGED": "#1a7f37", "PASSED": "#1a7f37", "UNCHANGED": "#1a7f37", "BLOCKED": "#c62828", "FAILED": "#c62828"}


class View:
    """What a cell shows: HTML where the page can show it, the same in words elsewhere."""

    def __init__(self, page: str, words: str) -> None:
        self._page, self._words = page, words

    def _repr_html_(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return self._words


class NotebookSession:
    """A tenant's session on a page. Where a person is present nothing is written until Apply is pressed."""

    def __init__(self, session: Session, *, is_interactive: bool) -> None:
        self._session = session
        self._is_interactive = is_interactive

    def do(self, number: str) -> Any:
        """Show what a step finds, and carry it out as far as the mode, or the person, allows."""
        result = self._session.do(number)
        if self._is_interactive and result.status == "PLANNED" and result.kind in ("ensure", "probe", "check"):
            return self._with_button(result)
        return step_view(result)

    def summary(self) -> View:
        """Show all steps and write the report. The files lie in the folder of this run."""
        status, about = self._session.finish()
        rows = tuple(
            (row["step"], row["title"], f"{ICONS[row['status']]} {row['status']}", row["remedy"]) for row in self._session.rows()
        )
        table = Table("Summary", ("step", "what", "result", "what to do"), rows)
        page = f"<p><strong>{as_html(status)}</strong>: {as_html(about)}</p>{tables.html(table)}"
        return View(page, f"{status}: {visible(about)}\n\n{tables.text(table)}")

    def _with_button(self, result: StepResult) -> Any:
        import ipywidgets as widgets

        shown = widgets.HTML(step_view(result)._repr_html_())
        button = widgets.Button(
            description=f"Apply {result.step}", tooltip=f"Carry out step {result.step}", button_style="primary"
        )

        def pressed(_button: Any) -> None:
            button.disabled = True
            after = self._session.press(result.step)
            shown.value = step_view(after)._repr_html_()
            button.layout.display = "none" if after.status in ("CHANGED", "UNCHANGED", "PASSED") else ""
            button.disabled = False

        button.on_click(pressed)
        return widgets.VBox([shown, button])


def step_view(result: StepResult) -> View:
    """Return a step's result as a view: state in colour and words, reason, remedy, changes, evidence."""
    colour = _COLOURS.get(result.status, "#0969da")
    state = f'<strong style="color:{colour}">{ICONS[result.status]} {result.status}</strong>'
    page = [f"<p>{state} {result.step} {as_html(result.title)}</p>"]
    words = [f"{result.status} {result.step} {result.title}"]
    for text, style in ((result.reason, ""), (result.remedy, ' style="font-style:italic"')):
        if text:
            page.append(f"<p{style}>{as_html(text)}</p>")
            words.append(visible(text))
    shown = ([tables.diff_table(result.diffs)] if result.diffs else []) + list(result.tables)
    for table in shown:
        page.append(f"<p>{as_html(table.title)}</p>{tables.html(table)}")
        words.append(f"{table.title}\n{tables.text(table)}")
    return View("".join(page), "\n\n".join(words))


def open_session(*, mode: str = "", out: str = "", **parameters: str) -> NotebookSession:
    """Open the session of the tenant that the parameters name; without any, of the sandbox's tenant `fresh`.

    `mode` is plan or apply; empty means plan, and apply in the built-in sandbox, where nothing real can come to harm.
    `out` is the folder for journal, results and report. Raises `SettingsError`.
    """
    guard_kernel()
    is_interactive = _person_is_present()
    given = {name: value for name, value in parameters.items() if value}
    folder = Path(out) if out else PROJECT / "outputs" / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}" / (given.get("name") or "fresh")
    settings = TenantSettings.from_parameters({**given, **_extras(folder)}) if given else _sandbox_tenant()
    wanted = RunMode(mode) if mode else RunMode.PLAN if given else RunMode.APPLY
    session = Session(
        settings,
        mode=RunMode.PLAN if is_interactive else wanted,
        out=folder,
        show=_say if is_interactive else None,
        is_page=is_interactive,
    )
    return NotebookSession(session, is_interactive=is_interactive)


def _extras(folder: Path) -> dict[str, Any]:
    """Return what a flat parameter cannot carry, as the batch runner left it beside the page."""
    path = folder / "settings.json"
    return {key: value for key, value in json.loads(path.read_text()).items() if key in EXTRAS} if path.exists() else {}


def _sandbox_tenant() -> TenantSettings:
    ready_file = attached_sandbox()
    if ready_file is None:
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        ready_file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ready.json"
        stack.enter_context(launched(ready_file))
    tenants = read_tenants(Path(json.loads(ready_file.read_text())["tenants_file"]))
    return next(tenant for tenant in tenants if tenant.name == "fresh")


def _person_is_present() -> bool:
    """Whether the kernel may ask questions: true in JupyterLab, false under papermill and nbval."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))


def _say(message: str) -> None:
    from IPython.display import display

    display(View(f"<p>{as_html(message)}</p>", visible(message)))  # type: ignore[no-untyped-call]
