"""The one module a notebook imports: open a session, do the steps, show the summary."""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook_lib import tables
from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.change import Table
from runbook_lib.engine import StepResult
from runbook_lib.errors import SettingsError
from runbook_lib.kernel import guard_kernel
from runbook_lib.report import ICONS
from runbook_lib.sandbox.process import launched
from runbook_lib.session import Session
from runbook_lib.settings import EXTRAS, RunMode, TenantSettings, announce_sandbox, attached_sandbox, page_folder
from runbook_lib.visible import as_html, visible

if TYPE_CHECKING:
    from runbook_lib.guided.page import GuidedSession

PROJECT = Path(__file__).resolve().parent.parent
_COLOURS = {"CHANGED": "#1a7f37", "PASSED": "#1a7f37", "UNCHANGED": "#1a7f37", "BLOCKED": "#c62828", "FAILED": "#c62828"}


class View:
    """What a cell shows: HTML where the page can show it, the same in words elsewhere."""

    def __init__(self, page: str, words: str, shown: Sequence[Table] = ()) -> None:
        self._page, self._words, self._shown = page, words, shown

    def frames(self) -> tuple[tables.DataFrame, ...]:
        """Return the tables in it, in order, as pandas tables to work on."""
        return tables.frames(self._shown)

    def _repr_html_(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return self._words


class NotebookSession:
    """A tenant's session on a page that runs by itself: headless, or when its outputs are compared."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def connect(self) -> View:
        """Show what this page works on."""
        settings = self._session.settings
        rows = (
            ("Auth0 tenant", settings.auth0_domain),
            ("Connection", settings.auth0_connection),
            ("Entra tenant", settings.entra_tenant),
            ("New enterprise application", settings.scim_app_name),
            ("Test user", settings.test_user),
        )
        table = Table("This page works on", ("what", "which"), rows)
        return View(tables.html(table), tables.text(table), (table,))

    def steps(self) -> None:
        """Show nothing: the state of all steps stands in the summary."""

    def section(self, number: str) -> None:
        """Show nothing: there is nobody to press a button."""

    def do(self, number: str) -> View:
        """Show what a step finds, and carry it out as far as the mode allows."""
        return step_view(self._session.do(number))

    def frames(self, number: str) -> tuple[tables.DataFrame, ...]:
        """Return a step's tables, in order, as pandas tables to work on. Raises `KeyError` for a step not done yet."""
        return tables.frames(tables.tables_of(self._session.engine.results[number]))

    def summary(self) -> View:
        """Show all steps and write the report. The files lie in the folder of this run."""
        status, about = self._session.finish()
        rows = tuple(
            (row["step"], row["title"], f"{ICONS[row['status']]} {row['status']}", row["remedy"]) for row in self._session.rows()
        )
        table = Table("Summary", ("step", "what", "result", "what to do"), rows)
        page = f"<p><strong>{as_html(status)}</strong>: {as_html(about)}</p>{tables.html(table)}"
        return View(page, f"{status}: {visible(about)}\n\n{tables.text(table)}", (table,))


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
    shown = tables.tables_of(result)
    for table in shown:
        page.append(f"<p>{as_html(table.title)}</p>{tables.html(table)}")
        words.append(f"{table.title}\n{tables.text(table)}")
    return View("".join(page), "\n\n".join(words), shown)


def open_session(*, mode: str = "", out: str = "", **parameters: str) -> NotebookSession | GuidedSession:
    """Open the session of the tenant that the parameters name; without any, of the sandbox's tenant `fresh`.

    `mode` is plan or apply; empty means plan, and apply in the built-in sandbox, where nothing real can come to harm. Where a
    person is present it is not looked at: the page plans, and writes when a button is pressed. `out` is the folder for journal,
    results and report. Raises `SettingsError` where no person is there to read it on the page.
    """
    guard_kernel()
    given = {name: value for name, value in parameters.items() if value}
    if person_is_present():
        return _guided(given, Path(out) if out else page_folder() or _new_folder())
    folder = Path(out) if out else _new_folder() / (given.get("name") or "fresh")
    settings = _tenant({**given, **_extras(folder)}) if given else _fresh_tenant()
    wanted = RunMode(mode) if mode else RunMode.PLAN if given else RunMode.APPLY
    return NotebookSession(Session(settings, mode=wanted, out=folder))


def _guided(given: dict[str, str], folder: Path) -> GuidedSession:
    from runbook_lib.guided.page import GuidedSession  # brings widgets, which a page without a person has no use for

    _log_to(folder)
    if not given:
        return GuidedSession(folder, demos=sandbox_tenants)
    try:
        return GuidedSession(folder, demos=sandbox_tenants, given=_tenant(given))
    except SettingsError as wrong:
        return GuidedSession(folder, demos=sandbox_tenants, trouble=wrong)


def _tenant(given: dict[str, Any]) -> TenantSettings:
    """Return the settings. A parameter left empty is not given, but for the one that says by that whose side Auth0 is."""
    return TenantSettings.from_parameters({"auth0_client_secret": "", **given})


def _log_to(folder: Path) -> None:
    """Keep what only a maintainer can use in a file of the run's folder, without secrets: `guard_kernel` sees to that."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "page.log"
    path.touch(mode=0o600)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("runbook_lib")
    log.handlers = [handler]
    log.propagate = False


def _new_folder() -> Path:
    return PROJECT / "outputs" / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def _extras(folder: Path) -> dict[str, Any]:
    """Return what a flat parameter cannot carry, as the batch runner left it beside the page."""
    path = folder / "settings.json"
    return {key: value for key, value in json.loads(path.read_text()).items() if key in EXTRAS} if path.exists() else {}


def sandbox_tenants() -> tuple[TenantSettings, ...]:
    """Return the sandbox's tenants; a sandbox is started for them when none runs beside this process."""
    return read_tenants(sandbox_file())


def sandbox_file() -> Path:
    """Return the tenants file of the sandbox that runs beside this process; one is started when none does."""
    ready_file = attached_sandbox()
    if ready_file is None:
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        ready_file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ready.json"
        stack.enter_context(launched(ready_file))
        announce_sandbox(ready_file)
    return Path(json.loads(ready_file.read_text())["tenants_file"])


def _fresh_tenant() -> TenantSettings:
    return next(tenant for tenant in sandbox_tenants() if tenant.name == "fresh")


def person_is_present() -> bool:
    """Whether the kernel may ask questions: true in JupyterLab, false under papermill and nbval."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))
