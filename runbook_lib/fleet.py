"""What the notebook of a fleet imports: its tenants, a plan of all, a run of all, and pictures of what came of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from runbook_lib.batch import progress
from runbook_lib.batch.charts import Picture, chart
from runbook_lib.batch.command import Wanted, Watching, carry_out
from runbook_lib.batch.inventory import sign_in_of, take_inventory
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.runner import Options, Stop, Watcher
from runbook_lib.batch.summary import TenantRow, tenant_rows
from runbook_lib.batch.totals import totals
from runbook_lib.core.display import visible
from runbook_lib.core.errors import RunbookError, SettingsError, TenantNotDone
from runbook_lib.engine.status import Outcome, Status, Tone, counted
from runbook_lib.engine.values import Table
from runbook_lib.notebook import VIEWED, View, cells_run, display, person_is_present, sandbox_file
from runbook_lib.page.fleet_board import Board, Choices, Line, links
from runbook_lib.page.kernel_guard import guard_kernel
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run import tables
from runbook_lib.run.place import place_ahead_of_many, place_of_many
from runbook_lib.settings.clouds import is_sandbox_domain
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.parameters import FLEET_PARAMETERS, count_of, mode_of, names_set_in, refuse_unknown
from runbook_lib.settings.process import is_only_viewed, named_outputs
from runbook_lib.settings.tenants_file import read_tenants

_NAMED = 10  # tenants in an error's message


class Fleet:
    """The tenants of one file. `plan` and `run` carry the notebook out for each; the rest shows the last of these rounds."""

    def __init__(
        self, tenants_file: Path, mode: RunMode, out: Path | None, options: Options, *, raises: bool = False, about: str = ""
    ) -> None:
        """`raises` says whether `summary` tells by an error who is not done; `about` is said ahead of the tenants."""
        self._file, self._mode, self._out, self._options = tenants_file, mode, out, options
        self._raises, self._about = raises, about
        self._rows: Sequence[TenantRow] = ()
        self._is_live = person_is_present() and not is_only_viewed()
        self._desk: FleetDesk | None = None
        self.folder: Path | None = None

    def tenants(self) -> View:
        """Show the rows of the tenants file. Raises `SettingsError` that names every bad one."""
        columns = ("name", "auth0_connection", "entra_tenant", "scim_app_name", "test_user", "turn_on")
        everyone = read_tenants(self._file)
        rows = tuple(tuple(getattr(tenant, column) for column in columns) for tenant in everyone)
        view = _view(Table(f"{len(rows)} tenants", columns, rows))
        placed = view.under(place_ahead_of_many(tenant.auth0_domain for tenant in everyone))
        return placed.under(self._about) if self._about else placed

    def inventory(self) -> View:
        """Show every waad connection of the Auth0 tenant, those outside of the file too, and which procedure each belongs to.

        Where every row hands Auth0 over there is nothing to list: its owner knows. Raises `SettingsError` for several tenants.
        """
        if all(tenant.handed_over == "auth0" for tenant in read_tenants(self._file)):
            return _said("This run does not sign in to Auth0: the owner of that tenant has the list.")
        found = take_inventory(sign_in_of({}, self._file))
        rows = tuple((one.connection.name, one.verdict.kind, str(one.users), one.scim, one.verdict.why) for one in found)
        return _view(Table(f"{len(rows)} connections", ("connection", "which", "users", "SCIM", "why"), rows))

    def controls(self) -> Any:
        """Show the controls to a person, who plans, runs and stops with them; all tenants are planned at once.

        A headless page has no buttons: the cells below plan and run.
        """
        if not self._is_live:
            return _said("The controls are for a person at this page; here the cells below plan and run.")
        if self._desk is None:
            self._desk = FleetDesk(self)
            self._desk.plan()
        return self._desk.board.widget

    def plan(self) -> View:
        """Plan every tenant and show how each stands. Writes nothing."""
        return self._of_controls() if self._is_live else self._carried_out(RunMode.PLAN)

    def run(self) -> View:
        """Apply the procedure to every tenant whose conditions hold, when `mode` is apply; otherwise say so and write nothing."""
        if self._is_live:
            return self._of_controls()
        if self._mode is not RunMode.APPLY:
            return _said("Nothing was written: the mode is plan.")
        return self._carried_out(RunMode.APPLY)

    def carry_out(self, wanted: Wanted, options: Options, watching: Watching, stop: Stop | None = None) -> None:
        """Carry the tenants out and keep how they ended for all that is shown. Raises `SettingsError`."""
        self.folder, outcomes, _ = carry_out(wanted, options, watching, stop=stop)
        self._rows = tenant_rows(outcomes, options.procedure)

    @property
    def procedure(self) -> Procedure:
        """What is carried out."""
        return self._options.procedure

    @property
    def rows(self) -> Sequence[TenantRow]:
        """How the tenants of the last round ended."""
        return self._rows

    @property
    def asked(self) -> tuple[Path, RunMode, Path | None, Options]:
        """What the page's parameters ask for: tenants file, mode, folder for the runs, and how they are carried out."""
        return self._file, self._mode, self._out, self._options

    def _of_controls(self) -> View:
        """Show the last round of the controls: a cell that is run never writes while a person is there."""
        return self._ended() if self._rows else _said("The controls above plan and run. Run this cell to see their last round.")

    def _carried_out(self, mode: RunMode) -> View:
        self.carry_out(Wanted(self._file, mode, out=self._out), self._options, progress.unseen)
        return self._ended()

    def _ended(self) -> View:
        rows = tuple((row.name, Outcome(row.status).word, row.about) for row in self._rows)
        view = _view(Table(self._counted(), ("tenant", "status", "about"), rows))
        return view.over(place_of_many(row.auth0_domain for row in self._rows))

    def _counted(self) -> str:
        """Return how many tenants of the last round ended how; empty before there was one."""
        return counted(Counter(row.status for row in self._rows))

    def matrix(self) -> View:
        """Show tenants by steps: an icon each, empty where a step was not reached."""
        numbers = self.procedure.numbers
        icons = {number: [_icon(row, number) for row in self._rows] for number in numbers}
        rows = tuple(
            (row.name, Outcome(row.status).word, *(icons[number][n] for number in numbers)) for n, row in enumerate(self._rows)
        )
        legend = "   ".join(f"{status.icon} {status.word}" for status in Status)
        colours = [
            (line, 2 + column, f"color: {tone.colour}; font-weight: 600")
            for line, row in enumerate(self._rows)
            for column, number in enumerate(numbers)
            if (tone := _tone(row, number)) in (Tone.STOP, Tone.HAND, Tone.DUE)
        ]
        table = Table(f"Tenants by steps:   {legend}", ("tenant", "status", *numbers), rows)
        page = f"<p>{escape(visible(table.title))}</p>{tables.shown(table, 'matrix', colours)}"
        return View(page, f"{visible(table.title)}\n\n{tables.text(table)}", (table,))

    def needs(self) -> View:
        """Show what a person has to do, and how."""
        rows = tuple((row.name, need["step"], need["reason"], need["remedy"]) for row in self._rows for need in row.needs)
        return _view(Table(f"{len(rows)} things to do", ("tenant", "step", "what is wrong", "what to do"), rows))

    def summary(self) -> View:
        """Show how many tenants ended how.

        Under a runner of another tool it raises `TenantNotDone` after that, when a tenant of a named file failed, was blocked,
        interrupted or not started: such a runner's own exit status knows errors only.
        """
        words = self._counted()
        view = _said(f"{words}." if words else "No tenant was carried out.")
        view = view.over(place_of_many(row.auth0_domain for row in self._rows))
        stopped = [row for row in self._rows if Outcome(row.status).exit_code not in (0, 4)]  # neither done nor with open work
        if not (self._raises and stopped):
            return view
        display(view)
        named = "; ".join(f"{row.name} ({Outcome(row.status).word.lower()})" for row in stopped[:_NAMED])
        more = f" and {len(stopped) - _NAMED} more" if len(stopped) > _NAMED else ""
        raise TenantNotDone(f"{len(stopped)} of {len(self._rows)} tenants", "not done", f"{named}{more}")

    def chart(self) -> Picture:
        """Draw, for each step, how many tenants are as wanted there, to do, stopped, or not there yet."""
        return chart(self._rows, self.procedure)


class FleetDesk:
    """Carries out what a person presses on the fleet's page, in a thread: the page stays alive, and Stop is heard."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        path, mode, self._out, options = fleet.asked
        choices = Choices(str(path), str(mode), options.jobs, options.canary, "")
        self.board = Board(choices, fleet.procedure.numbers, on_plan=self.plan, on_run=self.run, on_stop=self.stop)
        self._stop = Stop()
        self._planned: tuple[str, ...] = ()
        self._work: threading.Thread | None = None

    def plan(self) -> None:
        """Plan all tenants of the file that the field names."""
        self._begin(RunMode.PLAN)

    def run(self) -> None:
        """Write, where the mode is apply and, for real tenants, their number was typed."""
        choices = self.board.choices()
        if choices.mode != RunMode.APPLY:
            self.board.say("Nothing was written: the mode is Plan. Choose Apply, then press Run.", is_wrong=True)
            return
        self._begin(RunMode.APPLY)

    def stop(self) -> None:
        """Let the steps in hand end, and begin no further one."""
        self._stop.press()
        self.board.say("Stopping: the steps in hand are finished first.")

    def wait(self) -> None:
        """Wait until what was pressed is done."""
        if self._work is not None:
            self._work.join()

    def _begin(self, mode: RunMode) -> None:
        if self._work is not None and self._work.is_alive():
            self.board.say("Still at work: press Stop first.", is_wrong=True)
            return
        choices = self.board.choices()
        try:
            tenants = read_tenants(Path(choices.tenants_file))
        except SettingsError as wrong:
            self.board.say("\n".join(wrong.lines or (str(wrong),)), is_wrong=True)
            return
        if mode is RunMode.APPLY and (missing := self._not_confirmed(choices, tenants)):
            self.board.ask_for_number()
            self.board.say(missing, is_wrong=True)
            return
        self._stop = Stop()
        self.board.begin(len(tenants))
        place = place_ahead_of_many(tenant.auth0_domain for tenant in tenants)
        self.board.say(f"{'Planning' if mode is RunMode.PLAN else 'Writing to'} {len(tenants)} tenants. {place}")
        self._work = threading.Thread(target=self._carry_out, args=(mode, choices), name="fleet", daemon=True)
        self._work.start()

    def _not_confirmed(self, choices: Choices, tenants: Sequence[TenantSettings]) -> str:
        """Return what is missing before real tenants are written to, empty when nothing is."""
        if all(is_sandbox_domain(tenant.auth0_domain) for tenant in tenants):
            return ""
        if self._planned != _signature(tenants):
            return "These are real tenants, and the file was not planned on this page as it is now. Press Plan and read it first."
        if choices.confirmed != str(len(tenants)):
            return "These are real tenants. Type how many of them are written to, then press Run again."
        return ""

    def _carry_out(self, mode: RunMode, choices: Choices) -> None:
        options = Options(self._fleet.procedure, jobs=choices.jobs, canary=choices.canary)
        wanted = Wanted(Path(choices.tenants_file), mode, out=self._out)
        try:
            self._fleet.carry_out(wanted, options, self._watching, self._stop)
            if mode is RunMode.PLAN:
                self._planned = _signature(read_tenants(Path(choices.tenants_file)))
        except (RunbookError, OSError) as wrong:
            self.board.say(f"{wrong}", is_wrong=True)
        else:
            self._tell_end(mode)
        finally:
            self.board.end()

    @contextmanager
    def _watching(self, _total: int, procedure: Procedure) -> Iterator[Watcher]:
        yield _OnBoard(self.board, procedure)

    def _tell_end(self, mode: RunMode) -> None:
        rows, folder = self._fleet.rows, self._fleet.folder
        self.board.show([_line(row, folder, self._fleet.procedure) for row in rows if folder])
        words = "\n".join(totals(rows, mode, self._fleet.procedure))
        place = place_of_many(row.auth0_domain for row in rows)
        self.board.say(f"{words}\n{place}\nSummary: {folder}/summary.html")


def _signature(tenants: Sequence[TenantSettings]) -> tuple[str, ...]:
    """Return what tells rows of a file from those of another."""
    return tuple(tenant.digest for tenant in tenants)


class _OnBoard:
    """Shows on the board what happens to the tenants of a run."""

    def __init__(self, board: Board, procedure: Procedure) -> None:
        self._board, self._procedure = board, procedure

    def begins(self, name: str) -> None:
        """Show a bar."""
        self._board.begins(name)

    def step(self, name: str, number: str) -> None:
        """Move it."""
        self._board.step(name, number, f"{number} {self._procedure.row(number).title}")

    def part(self, name: str, done: int, of: int) -> None:
        """Say nothing: a step's own parts are in its tenant's page."""

    def ends(self, outcome: TenantOutcome) -> None:
        """Take it away."""
        self._board.ends(outcome.name)

    def says(self, text: str) -> None:
        """Say it."""
        self._board.say(text)


def _line(row: TenantRow, folder: Path, procedure: Procedure) -> Line:
    marks = tuple((_icon(row, number), tone.colour if (tone := _tone(row, number)) else "") for number in procedure.numbers)
    return Line(row.name, Outcome(row.status), row.about, marks, _opener(row, folder, procedure))


def _opener(row: TenantRow, folder: Path, procedure: Procedure) -> Callable[[], str]:
    """Return what makes the HTML of an opened tenant: what to do, each step, and its files."""

    def opened() -> str:
        needs = tuple((need["step"], need["reason"], need["remedy"]) for need in row.needs)
        steps = tuple(
            (step.number, step.title, f"{_icon(row, step.number)} {_word(row, step.number)}", row.steps[step.number]["reason"])
            for step in procedure
            if step.number in row.steps
        )
        todo = tables.html(Table("", ("step", "what is wrong", "what to do"), needs)) if needs else ""
        files = links(folder / row.folder, dict(row.files))
        shown = tables.html(Table("", ("step", "what", "result", "about"), steps))
        return f"<h3>{escape(visible(row.name))}</h3>{todo}{files}{shown}"

    return opened


def _word(row: TenantRow, number: str) -> str:
    status = row.steps[number]["status"]
    return next((known.word for known in Status if known == status), "Interrupted")


def open_fleet(
    *,
    procedure: Procedure = OLDER_AZURE_AD,
    tenants_file: str = "",
    mode: Any = "",
    out: Any = "",
    jobs: int | str = 16,
    canary: int | str = 0,
) -> Fleet:
    """Open the fleet of a tenants file; without one, of the sandbox's demo tenants, one started here if none runs.

    `mode` is plan or apply; empty means plan, and apply in the built-in sandbox. A page that is only viewed plans. `out` is the
    folder for what the runs leave. Raises `SettingsError` for a parameter that it does not know or cannot use.
    """
    guard_kernel()
    refuse_unknown(names_set_in(cells_run(), FLEET_PARAMETERS), FLEET_PARAMETERS)
    asked = mode_of(mode)
    path = Path(tenants_file) if tenants_file else sandbox_file()
    wanted = asked or (RunMode.PLAN if tenants_file else RunMode.APPLY)
    is_viewed = is_only_viewed()
    return Fleet(
        path,
        RunMode.PLAN if is_viewed else wanted,
        Path(str(out)) if out else named_outputs(),
        Options(procedure, jobs=count_of("jobs", jobs, least=1, most=200), canary=count_of("canary", canary)),
        # The sandbox refuses some of its demo tenants on purpose; a person reads the page, where an error is in the way.
        raises=bool(tenants_file) and not (is_viewed or person_is_present()),
        about=VIEWED if is_viewed else "",
    )


def _said(text: str) -> View:
    return View(f"<p>{escape(text)}</p>", text)


def _view(table: Table) -> View:
    page = f"<p>{escape(visible(table.title))}</p>{tables.html(table)}"
    return View(page, f"{visible(table.title)}\n\n{tables.text(table)}", (table,))


def _icon(row: TenantRow, number: str) -> str:
    status = row.steps.get(number, {}).get("status", "")
    return next((known.icon for known in Status if known == status), "")


def _tone(row: TenantRow, number: str) -> Tone | None:
    status = row.steps.get(number, {}).get("status", "")
    return next((known.tone for known in Status if known == status), None)
