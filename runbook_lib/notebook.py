"""The one module a notebook imports: open a session, do the steps, show the summary."""

from __future__ import annotations

import atexit
import contextlib
import logging
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from runbook_lib.batch.machines.lease import surely_held
from runbook_lib.core.display import as_html, visible
from runbook_lib.core.errors import NoSuchStep, SettingsError, TenantNotDone
from runbook_lib.core.json_text import parsed
from runbook_lib.core.places import outputs_folder
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.status import Outcome, Status, Tone
from runbook_lib.engine.values import Table
from runbook_lib.page.kernel_guard import guard_kernel
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run import tables
from runbook_lib.run.machine import Machine
from runbook_lib.run.place import place_ahead, place_of
from runbook_lib.run.tenant_run import Session
from runbook_lib.sandbox.process import launched, reset
from runbook_lib.settings.model import EXTRAS, RunMode, TenantSettings
from runbook_lib.settings.parameters import (
    PAGE_PARAMETERS,
    as_texts,
    mode_of,
    names_a_tenant,
    names_set_in,
    refuse_literal_secrets,
    refuse_unknown,
)
from runbook_lib.settings.process import (
    OUTPUTS_VARIABLE,
    announce_sandbox,
    attached_sandbox,
    is_only_viewed,
    is_own_runner,
    lease_file,
    named_outputs,
    page_folder,
)
from runbook_lib.settings.tenants_file import read_tenants

if TYPE_CHECKING:
    from runbook_lib.page.controller import GuidedSession

VIEWED = (
    "This page is only viewed, not run by a person or a command: it plans and writes nothing. "
    "To write, open it in JupyterLab, or run it with papermill."
)
_TOLD_BY_ERROR = (Outcome.FAILED, Outcome.BLOCKED, Outcome.INTERRUPTED)  # to a runner that knows errors only


class View:
    """What a cell shows: HTML where the page can show it, the same in words elsewhere."""

    def __init__(self, page: str, words: str, shown: Sequence[Table] = ()) -> None:
        self._page, self._words, self._shown = page, words, shown

    def frames(self) -> tuple[tables.DataFrame, ...]:
        """Return the tables in it, in order, as pandas tables to work on."""
        return tables.frames(self._shown)

    def under(self, words: str) -> View:
        """Return this view with a line of words above it."""
        return View(f"<p><strong>{as_html(words)}</strong></p>{self._page}", f"{visible(words)}\n\n{self._words}", self._shown)

    def over(self, words: str) -> View:
        """Return this view with a line of words below it."""
        return View(f"{self._page}<p>{as_html(words)}</p>", f"{self._words}\n\n{visible(words)}", self._shown)

    def _repr_html_(self) -> str:
        return self._page

    def __repr__(self) -> str:
        return self._words


class NotebookSession:
    """A tenant's session on a page that runs by itself: headless, or when its outputs are compared."""

    _latest: ClassVar[NotebookSession | None] = None

    def __init__(self, session: Session) -> None:
        self._session = session
        self._raises = not is_own_runner()
        self._is_over = False
        NotebookSession._latest = self

    @classmethod
    def close_earlier(cls) -> None:
        """End the session that an earlier run of the cells opened in this kernel; its tenant's lock goes with it."""
        earlier, NotebookSession._latest = cls._latest, None
        if earlier is not None and not earlier._is_over:
            earlier._session.finish()

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
        return View(tables.html(table), tables.text(table), (table,)).under(place_ahead(settings))

    def steps(self) -> None:
        """Show nothing: the state of all steps stands in the summary."""

    def section(self, number: str) -> None:
        """Show nothing: a headless page has no buttons."""

    def do(self, number: str) -> View:
        """Show what a step finds, and carry it out as far as the mode allows. Raises `NoSuchStep`."""
        if number not in self._session.procedure.numbers:
            raise NoSuchStep(number, self._session.procedure.numbers)
        return step_view(self._session.do(number))

    def frames(self, number: str) -> tuple[tables.DataFrame, ...]:
        """Return a step's tables, in order, as pandas tables to work on. Raises `KeyError` for a step not done yet."""
        return tables.frames(tables.tables_of(self._session.engine.results[number]))

    def summary(self) -> View:
        """Write the report and show all steps. The files lie in the folder of this run.

        Under a runner that is not ours it raises `TenantNotDone` after that, when the tenant failed, was blocked or interrupted:
        such a runner's own exit status knows errors only.
        """
        status, about = self._session.finish()
        self._is_over = True
        view = self._summary_view(status, about)
        if not self._raises or Outcome(status) not in _TOLD_BY_ERROR:
            return view
        display(view)
        raise TenantNotDone(self._session.settings.name, Outcome(status).word.lower(), visible(about))

    def _summary_view(self, status: str, about: str) -> View:
        rows = tuple(
            (row["step"], row["title"], f"{Status(row['status']).icon} {Status(row['status']).word}", row["remedy"])
            for row in self._session.rows()
        )
        table = Table("Summary", ("step", "what", "result", "what to do"), rows)
        page = f"<p><strong>{Outcome(status).word}</strong>: {as_html(about)}</p>{tables.html(table)}"
        view = View(page, f"{Outcome(status).word}: {visible(about)}\n\n{tables.text(table)}", (table,))
        return view.over(place_of(self._session.settings.auth0_domain))


class ViewedSession(NotebookSession):
    """A tenant's session on a page that people only look at, as Voila serves it: it plans, whatever mode is asked for."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._raises = False  # a person reads the page; a runner's exit status does not exist

    def connect(self) -> View:
        """Show what this page works on, and why it writes nothing."""
        return super().connect().under(VIEWED)


def step_view(result: StepResult) -> View:
    """Return a step's result as a view: state in colour and words, reason, remedy, changes, evidence."""
    status = Status(result.status)
    colour = (status.tone if status.tone in (Tone.DONE, Tone.STOP) else Tone.DUE).colour
    state = f'<strong style="color:{colour}">{status.icon} {status.word}</strong>'
    page = [f"<p>{state} {result.step} {as_html(result.title)}</p>"]
    words = [f"{status.icon} {status.word} {result.step} {result.title}"]
    for text, style in ((result.reason, ""), (result.remedy, ' style="font-style:italic"')):
        if text:
            page.append(f"<p{style}>{as_html(text)}</p>")
            words.append(visible(text))
    shown = tables.tables_of(result)
    for number, table in enumerate(shown):
        page.append(f"<p>{as_html(table.title)}</p>{tables.shown(table, f'{result.step}-{number}'.replace('.', '-'))}")
        words.append(f"{table.title}\n{tables.text(table)}")
    return View("".join(page), "\n\n".join(words), shown)


def open_session(
    *, procedure: Procedure = OLDER_AZURE_AD, mode: Any = "", out: Any = "", **parameters: Any
) -> NotebookSession | GuidedSession:
    """Open the session of the tenant that the parameters name; where they name none, of the sandbox's tenant `fresh`.

    Numbers and booleans are taken as their texts. `mode` is plan or apply; empty means plan, and apply in the built-in sandbox,
    where nothing real can come to harm. Where a person is present it is not looked at: the page plans, and writes when a button
    is pressed. A page that is only viewed plans. `out` is the folder for journal, results and report.
    A session that was opened in this kernel before is ended first. Raises `SettingsError` where no person is there to read it on
    the page, `TenantBusy`.
    """
    guard_kernel()
    given = as_texts(parameters)
    try:
        refuse_literal_secrets(given)
        refuse_unknown(names_set_in(cells_run(), PAGE_PARAMETERS), PAGE_PARAMETERS)
        asked = mode_of(mode)
    except SettingsError as wrong:
        if person_is_present():
            return _guided(procedure, {}, _folder_of(out), wrong)
        raise
    if person_is_present():
        return _guided(procedure, given, _folder_of(out))
    folder = Path(str(out)) if out else _new_folder() / (given.get("name") or "fresh")
    is_named = names_a_tenant(given)
    settings = _tenant({**given, **_extras(folder)}) if is_named else _fresh_tenant(given)
    wanted = asked or (RunMode.PLAN if is_named else RunMode.APPLY)
    _make(folder)
    NotebookSession.close_earlier()
    if is_only_viewed():
        return ViewedSession(Session(settings, procedure=procedure, mode=RunMode.PLAN, out=folder))
    machine = Machine(guard=_lease_guard())
    return NotebookSession(Session(settings, procedure=procedure, mode=wanted, out=folder, machine=machine))


def _lease_guard() -> Callable[[], None]:
    """Return what raises `LeaseLost` when another task may have taken this kernel's tenant over."""
    until = lease_file()
    return (lambda: surely_held(until)) if until else (lambda: None)


def cells_run() -> tuple[str, ...]:
    """Return the code of the cells that this kernel has run so far, the present one included; none outside of a kernel."""
    from IPython import get_ipython

    shell = get_ipython()
    return tuple(map(str, shell.user_ns.get("In", ()))) if shell is not None else ()


def _folder_of(out: Any) -> Path:
    """Return the folder of a page where a person is: cells that are run again stay in theirs."""
    from runbook_lib.page.controller import GuidedSession

    return Path(str(out)) if out else page_folder() or GuidedSession.folder_in_use() or _new_folder()


def _guided(procedure: Procedure, given: dict[str, Any], folder: Path, trouble: SettingsError | None = None) -> GuidedSession:
    from runbook_lib.page.controller import GuidedSession  # brings widgets, which a page without a person has no use for

    _log_to(folder)
    tenant = None
    if given and trouble is None:
        try:
            tenant = _tenant(given)
        except SettingsError as wrong:
            trouble = wrong
    if trouble is None and (page := GuidedSession.begun_again(folder, tenant)) is not None:
        return page
    return GuidedSession(folder, procedure=procedure, demos=sandbox_tenants, reset=_reset_sandbox, given=tenant, trouble=trouble)


def _reset_sandbox(cloud: str) -> None:
    """Start the sandbox of a cloud `sandbox:READY_FILE` over."""
    reset(Path(cloud.removeprefix("sandbox:")))


def _tenant(given: dict[str, Any]) -> TenantSettings:
    """Return the settings. A parameter left empty is not given, but for the one that says by that whose side Auth0 is."""
    return TenantSettings.from_parameters({"auth0_client_secret": "", **given})


def _log_to(folder: Path) -> None:
    """Keep what only a maintainer can use in a file of the run's folder, without secrets: `guard_kernel` sees to that."""
    _make(folder)
    path = folder / "page.log"
    path.touch(mode=0o600)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log = logging.getLogger("runbook_lib")
    log.handlers = [handler]
    log.propagate = False


def _make(folder: Path) -> None:
    """Make the folder of this run. Raises `SettingsError` where nothing can be made, as below a folder that is read-only."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as failed:
        do_now = f"Name another folder by the parameter out, or all outputs' folder by {OUTPUTS_VARIABLE}; nothing was sent"
        raise SettingsError(f"the folder {folder} cannot be made ({failed.strerror})", do_now, column="out") from None


def _new_folder() -> Path:
    return (named_outputs() or outputs_folder()) / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"


def _extras(folder: Path) -> dict[str, Any]:
    """Return what a flat parameter cannot carry, as the batch runner left it next to the page."""
    path = folder / "settings.json"
    return {key: value for key, value in parsed(path.read_text()).items() if key in EXTRAS} if path.exists() else {}


def sandbox_tenants() -> tuple[TenantSettings, ...]:
    """Return the sandbox's tenants; a sandbox is started for them when this process finds none."""
    return read_tenants(sandbox_file())


def sandbox_file() -> Path:
    """Return the tenants file of the running sandbox; one is started when this process finds none."""
    ready_file = attached_sandbox()
    if ready_file is None:
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        ready_file = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "ready.json"
        stack.enter_context(launched(ready_file))
        announce_sandbox(ready_file)
    return Path(parsed(ready_file.read_text())["tenants_file"])


def _fresh_tenant(wishes: dict[str, Any]) -> TenantSettings:
    fresh = next(tenant for tenant in sandbox_tenants() if tenant.name == "fresh")
    return _tenant({**fresh.model_dump(), **wishes}) if wishes else fresh


def display(view: View) -> None:
    """Show a view as an output of the cell at hand, before the cell has ended."""
    from IPython.display import display as show

    show(view)  # type: ignore[no-untyped-call]


def person_is_present() -> bool:
    """Whether the kernel may ask questions: true in JupyterLab, false under papermill and nbval."""
    from IPython import get_ipython

    return bool(getattr(getattr(get_ipython(), "kernel", None), "_allow_stdin", False))
