"""The page: the connect card, the rail of all steps, a card for each step, sections that can be applied, and the summary."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, Concatenate, ParamSpec

from runbook_lib import facts, tables
from runbook_lib.change import Table
from runbook_lib.consoles import Link, console_link
from runbook_lib.engine import StepResult
from runbook_lib.errors import RunbookError
from runbook_lib.facts import View
from runbook_lib.guided.connecting import AUTH0_METHODS, Connecting
from runbook_lib.guided.handover import beside_card, make_token, with_hand_over
from runbook_lib.guided.mapping_editor import MappingEditor
from runbook_lib.guided.words import DEMOS, DONE, MAPPING_STEP, SECTIONS, SHORT, TITLES, TONES, WORDS, lead, permission_table
from runbook_lib.guided.worker import Ticking, Worker
from runbook_lib.http import Deadline
from runbook_lib.mapping import row_differences
from runbook_lib.models import ScimMappingRow
from runbook_lib.report import ICONS, write_private
from runbook_lib.session import Session, open_view
from runbook_lib.settings import RunMode, TenantSettings, output_name
from runbook_lib.steps import STEPS
from runbook_lib.vocabulary import NEW_CONNECTIONS_PAGE, OTHER_SIDE_CONFIRMED
from runbook_lib.widgets.surface import Fields, Surface

SIGN_INS: Mapping[str, Callable[[Connecting], None]] = {
    "sign-in-auth0": Connecting.sign_in_to_auth0,
    "take-over-auth0": Connecting.take_over_auth0,
    "sign-in-entra": Connecting.sign_in_to_entra,
}


_P = ParamSpec("_P")


def _one_at_a_time(draw: Callable[Concatenate[GuidedSession, _P], None]) -> Callable[Concatenate[GuidedSession, _P], None]:
    """Let one thread draw at a time: of two, the one that looked first could show last, and what it shows would be old."""

    @functools.wraps(draw)
    def alone(page: GuidedSession, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        with page._drawing:
            draw(page, *args, **kwargs)

    return alone


class GuidedSession:
    """A tenant on a page where a person is. It plans when it is connected; it writes when a button is pressed, and only then."""

    _latest: ClassVar[GuidedSession | None] = None  # a kernel serves one page

    def __init__(
        self,
        folder: Path,
        *,
        demos: Callable[[], tuple[TenantSettings, ...]],
        given: TenantSettings | None = None,
        trouble: RunbookError | None = None,
    ) -> None:
        self._folder, self._demos = folder, demos
        self._cards: dict[str, Surface] = {}
        self._sections: dict[str, Surface] = {}
        self._start: Surface | None = None
        self._rail: Surface | None = None
        self._end: Surface | None = None
        self._worker = Worker()
        self._drawing = threading.RLock()
        self._connecting = Connecting(on_change=self._draw_start)
        self._session: Session | None = None
        self._where = "real" if given or trouble else "sandbox"
        self._demo = "fresh"
        self._busy: dict[str, str] = {}
        self._written = ""
        self._links: dict[str, Link | None] = {}
        self._mapping = MappingEditor()
        self._connecting.trouble = trouble
        self._remember()
        self._has_landed = False
        if GuidedSession._latest is not None:  # the cells were run again: this page takes over, and the tenant's lock with it
            GuidedSession._latest.close()
        GuidedSession._latest = self
        if given is not None:
            self._given(given)
        elif trouble is None and self._where == "sandbox":
            self._do(self._open_demo)

    def close(self) -> None:
        """Let go of the tenant, its lock included, when all work that was asked for is done, and take all pieces from the page.

        Pieces that nobody answers to would look alive, and a browser that opens the page again would ask for each of them.
        """
        self._do(self._close).result()
        for piece in (self._start, self._rail, self._end, *self._cards.values(), *self._sections.values()):
            if piece is not None:
                piece.close()

    # What the cells call ----------------------------------------------------------------------------------------------

    def connect(self) -> Surface:
        """Show the connect card."""
        self._start = Surface("Connect: open this page in JupyterLab.", self._on_start)
        self._draw_start()
        return self._start

    def steps(self) -> Surface:
        """Show the rail with the state of all steps."""
        self._rail = Surface("The state of all steps: open this page in JupyterLab.")
        self._draw_rail()
        return self._rail

    def section(self, number: str) -> Surface:
        """Show what is due in a section, and the button that applies it."""
        self._sections[number] = Surface(f"Section {number}: open this page in JupyterLab.", self._on_step)
        self._draw_section(number)
        return self._sections[number]

    def do(self, number: str) -> Surface:
        """Show the card of a step; it fills as soon as the step is planned."""
        self._cards[number] = Surface(f"Step {number}: open this page in JupyterLab.", self._on_step)
        self._draw_card(number)
        return self._cards[number]

    def frames(self, number: str) -> tuple[tables.DataFrame, ...]:
        """Return a step's tables, in order, as pandas tables to work on; none for a step that is not planned yet."""
        result = self._result(number)
        return tables.frames(tables.tables_of(result)) if result else ()

    def summary(self) -> Surface:
        """Show what is done and what is left, and the button that writes the report."""
        self._end = Surface("Summary: open this page in JupyterLab.", self._on_end)
        self._draw_end()
        return self._end

    # Connecting -------------------------------------------------------------------------------------------------------

    def _on_start(self, event: str, value: str, fields: Fields) -> None:
        form = self._connecting
        if event in ("where", "demo"):
            self._where, self._demo = fields.get("where", self._where), fields.get("demo", self._demo)
            self._do(self._open_demo if self._where == "sandbox" else self._close)
        elif event == "cancel":
            form.cancel()
        elif event == "again-auth0":
            form.leave_auth0()
        elif event == "again-entra":
            form.entra = None
        elif event == "search":
            form.find(fields.get("search", ""))
        else:
            form.take({name: text for name, text in fields.items() if name not in ("where", "demo", "connection", "person")})
            if event in ("connection", "person"):
                work = {"connection": lambda: form.choose(value), "person": lambda: form.choose_person(value)}[event]
                self._do(lambda: self._connect("Reading", work))
            elif event in SIGN_INS and not form.wrong:
                self._do(lambda: self._connect("Signing in", lambda: SIGN_INS[event](form)))
            elif event == "plan":
                self._do(lambda: self._connect("Planning", self._open_chosen))
        self._draw_start()

    def _connect(self, words: str, work: Callable[[], None]) -> None:
        """Do something that talks to the services, and show what came of it."""
        self._connecting.trouble, self._busy["start"] = None, words
        self._draw_start()
        try:
            work()
        except RunbookError as error:
            self._connecting.trouble = error
        finally:
            self._busy.pop("start", None)
            self._draw_start()

    def _open_demo(self) -> None:
        self._close()

        def work() -> None:
            settings = next(tenant for tenant in with_hand_over(self._demos()) if tenant.name == self._demo)
            self._connecting.sandbox = settings.cloud
            self._open(settings, open_view(settings, deadline=Deadline(math.inf)))

        self._connect("Starting", work)

    def _given(self, settings: TenantSettings) -> None:
        """Connect by the parameters of the notebook. A device code needs a person to ask for it."""
        form = self._connecting
        form.values |= {name: str(value) for name, value in settings.model_dump().items() if isinstance(value, str | int)}
        if settings.entra_client_secret or not settings.entra_client_id:
            self._do(
                lambda: self._connect(
                    "Signing in", lambda: self._open(settings, open_view(settings, deadline=Deadline(math.inf)))
                )
            )

    def _open_chosen(self) -> None:
        view = self._connecting.finish()
        self._open(view.settings, view)
        write_private(self._folder / "choices.json", json.dumps(self._connecting.kept(), indent=1))

    def _remember(self) -> None:
        """Fill the form with what was chosen before the kernel was restarted. No secret is among it."""
        path = self._folder / "choices.json"
        if path.exists():
            self._connecting.take(json.loads(path.read_text(encoding="utf-8")))
            self._where = "real"

    def _open(self, settings: TenantSettings, view: View) -> None:
        """Open the session of a tenant and plan every step."""
        self._close()
        out = self._folder / output_name(settings.name)
        settings = view.settings = _with_mapping_of(out, settings)
        self._session = Session(settings, mode=RunMode.PLAN, out=out, view=view, is_page=True)
        self._plan_all()
        if not self._has_landed and self._start is not None:  # running all cells has left the reader at the end of the page
            self._has_landed = True
            self._start.jump_to("scim-start")

    def _close(self) -> None:
        """Let go of the tenant that was open."""
        session, self._session, self._written = self._session, None, ""
        self._links, self._mapping = {}, MappingEditor()
        if session is not None:
            session.finish()
        self._draw_all()

    # Steps ------------------------------------------------------------------------------------------------------------

    def _on_step(self, event: str, value: str, fields: Fields) -> None:
        if event == "apply":
            self._do(lambda: self._press([value]), at=value)
        elif event == "apply-section":
            self._do(lambda: self._press(self._due(value)), at=value)
        elif event == "accept":
            self._do(lambda: self._accept(value), at=self._held_by(value))
        elif event == "look":
            self._do(lambda: self._look(value), at=value)
        elif event == "make-token":
            self._do(self._make_token, at="2.2")
        elif event == "take-word":
            self._do(self._take_word, at=value)
        elif event.startswith("mapping"):
            self._on_mapping(event, value, fields)

    def _do(self, work: Callable[[], None], at: str = "") -> Future[None]:
        """Let the worker do something. What goes wrong is said at the step or section `at`, else at the start."""
        return self._worker.do(work, lambda words: self._troubled(words, self._cards.get(at) or self._sections.get(at)))

    def _result(self, number: str) -> StepResult | None:
        return self._session.engine.results.get(number) if self._session else None

    def _due(self, section: str) -> list[str]:
        return [
            step.number for step in STEPS if step.number.startswith(f"{section}.") and self._can_apply(step.number, alone=False)
        ]

    def _can_apply(self, number: str, *, alone: bool = True) -> bool:
        """Whether a button for this step makes sense. In a section an earlier step may make what this one waits for."""
        result = self._result(number)
        if result is None or result.status != "PLANNED" or result.kind not in ("ensure", "probe", "check"):
            return False
        if number == MAPPING_STEP and self._mapping.is_edited:
            return False  # what is typed is not what would be written
        waits = result.waits_for
        return not waits or (not alone and waits[0] == number[0] and self._can_apply(waits, alone=False))

    def _plan_all(self) -> None:
        for step in STEPS:
            self._planned(step.number)
        self._draw_all()

    def _planned(self, number: str) -> None:
        """Plan a step anew, unless this page has carried it out: then what was done stays to be seen."""
        session, result = self._session, self._result(number)
        if session is None or (result is not None and result.status == "CHANGED"):
            return
        session.do(number)
        if number == MAPPING_STEP:
            self._look_at_mapping(session.view)
        self._links[number] = self._link(session.view, number)
        self._draw_card(number)
        self._draw_rail()

    def _press(self, numbers: list[str]) -> None:
        """Apply steps in their order until one does not succeed; then look at all others again."""
        session = self._session
        if session is None:
            return
        for number in numbers:
            self._busy[number] = "Reading everything again before the first write."
            self._draw_all()
            try:
                with Ticking(lambda seconds, number=number: self._tick(number, seconds)):  # type: ignore[misc]
                    result = session.press(number)
            finally:
                self._busy.pop(number, None)
            if number == MAPPING_STEP:
                self._look_at_mapping(session.view)
            self._draw_card(number)
            if result.status not in DONE:
                self._draw_all()  # what stopped it stays to be read; the others keep their plan
                return
        self._plan_all()

    def _tick(self, number: str, seconds: int) -> None:
        self._busy[number] = f"{self._doing()} ({seconds} s)"
        self._draw_card(number)

    def _doing(self) -> str:
        """Say what the session is at, from the last line of its journal."""
        last: Mapping[str, Any] = {}
        with contextlib.suppress(RunbookError):  # its last line may be half written at this very moment
            last = (self._session.journal.events() if self._session else ({},))[-1]
        if last.get("event") == "intent":
            return f"Sent {last['request']}; waiting for the answer"
        if last.get("event") == "outcome" and last.get("result") == "applied":
            return "Written; reading it back until it shows"
        return "Reading"

    def _accept(self, hazard: str) -> None:
        """Accept a hazard by its name and carry out the step that it holds back."""
        if self._session is None:
            return
        view = self._session.view
        view.settings = view.settings.model_copy(update={"accept": (*view.settings.accept, hazard)})
        self._press([self._held_by(hazard)])

    def _held_by(self, hazard: str) -> str:
        """Return the step that a hazard holds back."""
        results = self._session.engine.results.values() if self._session else ()
        return next((result.step for result in results if result.hazard == hazard), "")

    def _take_word(self) -> None:
        """Take the word of whom the other side belongs to for what cannot be seen from here, and plan anew."""
        session = self._session
        if session is None:
            return
        session.amend(accept=(*session.view.settings.accept, OTHER_SIDE_CONFIRMED))
        session.view.forget()
        self._plan_all()

    def _make_token(self) -> None:
        """Make the token that is handed over, and show it once."""
        if self._session is None:
            return
        self._busy["2.2"] = "Making the token."
        self._draw_card("2.2")
        try:
            result = make_token(self._session, self._cards["2.2"])
        finally:
            self._busy.pop("2.2", None)
        if result.status == "HANDOVER":
            self._plan_all()
        self._draw_all()  # what stopped it stays to be read

    def _look(self, number: str) -> None:
        if self._session is None:
            return
        self._session.view.forget()
        self._busy[number] = "Looking again."
        self._draw_card(number)
        try:
            self._session.engine.results.pop(number, None)
            self._planned(number)
        finally:
            self._busy.pop(number, None)
        self._plan_all()

    # The mapping of step 1.5 -------------------------------------------------------------------------------------------

    def _on_mapping(self, event: str, value: str, fields: Fields) -> None:
        editor = self._mapping
        editor.take(fields)
        if event == "mapping-add":
            editor.add()
        elif event == "mapping-missing":
            editor.add_missing(value)
        elif event == "mapping-remove":
            editor.remove(value)
        elif event == "mapping-default":
            editor.back_to_default()
        elif event == "mapping-undo":
            editor.undo()
            self._do(self._plan_mapping, at=MAPPING_STEP)
        elif event == "mapping-plan" and not editor.wrong:
            self._do(self._plan_mapping, at=MAPPING_STEP)
        self._draw_card(MAPPING_STEP)
        self._draw_section(MAPPING_STEP[0])

    def _plan_mapping(self) -> None:
        """Make the rows what the settings want, and plan the step that writes them; rows as Auth0 has them are no wish."""
        session, editor = self._session, self._mapping
        if session is None:
            return
        wanted = editor.rows if row_differences(editor.saved, editor.rows) else ()
        session.amend(mapping=[{"scim": row.scim, "auth0": row.auth0} for row in wanted])
        session.engine.results.pop(MAPPING_STEP, None)
        self._planned(MAPPING_STEP)
        self._draw_all()

    def _look_at_mapping(self, view: View) -> None:
        """Show the editor what Auth0 holds and proposes; nothing while SCIM is off or cannot be read."""
        try:
            scim, default = view.read(facts.scim_configuration), view.read(facts.default_mapping)
        except RunbookError:
            return  # the card says why already
        if scim is not None:
            self._mapping.look(scim.mapping, default, [ScimMappingRow(row.scim, row.auth0) for row in view.settings.mapping])

    def _link(self, view: View, number: str) -> Link | None:
        if view.cloud.is_sandbox:
            return None
        try:
            connection_id = view.read(facts.connection_id)
            is_signed_in = view.settings.handed_over != "entra"
            oidc = view.read(facts.oidc_service_principal) if is_signed_in and _knows_client_id(view.settings) else None
            scim = view.read(facts.enterprise_application) if is_signed_in else None
        except RunbookError:
            return None  # the card says why already
        return console_link(number, view.cloud, view.settings.auth0_domain, connection_id, oidc, scim)

    # Summary ----------------------------------------------------------------------------------------------------------

    def _on_end(self, event: str, _value: str, _fields: Fields) -> None:
        if event == "report":
            self._do(self._report)

    def _report(self) -> None:
        if self._session is not None:
            self._session.finish()
            self._written = str(self._session.out / "report.html")
            self._draw_end()

    # Drawing ----------------------------------------------------------------------------------------------------------

    def _draw_all(self) -> None:
        self._draw_start()
        for number in list(self._cards):  # cells may add some meanwhile
            self._draw_card(number)
        for number in list(self._sections):
            self._draw_section(number)
        self._draw_rail()
        self._draw_end()

    def _troubled(self, words: str, where: Surface | None = None) -> None:
        """Show the one line that a refusal or a bug is, where the person is looking."""
        self._busy.clear()
        self._draw_all()
        surface = where or self._start
        if surface is not None:
            surface.send({"alert": words})

    @_one_at_a_time
    def _draw_start(self) -> None:
        if self._start is None:
            return
        self._start.show(
            "connect",
            title="Connect",
            where=self._where,
            form=self._connecting,
            trouble=self._connecting.trouble,
            busy=self._busy.get("start", ""),
            is_open=self._session is not None,
            demo=self._demo,
            demos=tuple(DEMOS.items()),
            demo_about=DEMOS.get(self._demo, ""),
            overview=self._overview(),
            auth0_methods=AUTH0_METHODS,
            permissions=permission_table,
            new_page=NEW_CONNECTIONS_PAGE,
        )

    def _overview(self) -> Table:
        if self._session is None:
            return Table("", (), ())
        settings = self._session.settings
        rows = [("Auth0 connection", settings.auth0_connection), ("Entra tenant", settings.entra_tenant)]
        rows += [("New enterprise application", settings.scim_app_name), ("Test user", settings.test_user)]
        return Table("What this page works on", ("what", "which"), tuple(rows))

    @_one_at_a_time
    def _draw_rail(self) -> None:
        if self._rail is None:
            return
        rows = [self._row(step.number) for step in STEPS]
        done = sum(row["tone"] == "done" for row in rows)
        self._rail.show(
            "rail",
            heading=f"{done} of {len(rows)} steps done" if self._session else "Not connected",
            percent=round(100 * done / len(rows)),
            sections=[
                {"title": title, "rows": [row for row in rows if row["step"].startswith(f"{number}.")]}
                for number, title in SECTIONS.items()
            ],
        )

    def _row(self, number: str) -> dict[str, str]:
        result = self._result(number)
        word, icon, tone = "Open", "○", "idle"
        if number in self._busy:
            word, icon, tone = "Working", "◌", "due"
        elif result is not None:
            word, icon, tone = WORDS[result.status], ICONS[result.status], TONES.get(result.status, "idle")
            if result.kind == "stage" and result.status == "PLANNED":
                word = "Saved later"
        return {"step": number, "title": TITLES[number], "short": SHORT[number], "word": word, "icon": icon, "tone": tone}

    @_one_at_a_time
    def _draw_card(self, number: str) -> None:
        if number not in self._cards:
            return
        result = self._result(number)
        row = self._row(number)
        self._cards[number].show(
            "step",
            step=number,
            title=TITLES[number],
            result=result,
            kind=result.status if result else "",
            icon=row["icon"],
            word=row["word"],
            lead=lead(result) if result else "",
            waiting="Connect at the top of the page first.",
            busy=self._busy.get(number, ""),
            can_apply=self._can_apply(number),
            link=self._links.get(number),
            extra=beside_card(self._session, result),
            grid=self._mapping if number == MAPPING_STEP and self._mapping.rows else None,
        )

    @_one_at_a_time
    def _draw_section(self, number: str) -> None:
        if number not in self._sections:
            return
        rows = [self._row(step.number) for step in STEPS if step.number.startswith(f"{number}.")]
        done = sum(row["tone"] == "done" for row in rows)
        words = f"{done} of {len(rows)} steps of this section are done."
        busy = any(step.number in self._busy for step in STEPS if step.number.startswith(f"{number}."))
        due = 0 if number == "0" else len(self._due(number))
        self._sections[number].show("section", number=number, words=words, due=due, busy=busy)

    @_one_at_a_time
    def _draw_end(self) -> None:
        if self._end is None:
            return
        results: Mapping[str, StepResult] = self._session.engine.results if self._session else {}
        open_rows = [result for result in list(results.values()) if result.status in ("PLANNED", "BLOCKED", "FAILED", "HANDOVER")]
        todo = Table(
            "What is left",
            ("step", "what", "state", "what to do"),
            tuple((r.step, r.title, f"{ICONS[r.status]} {WORDS[r.status]}", r.remedy or "") for r in open_rows),
        )
        words = (
            "Connect first."
            if not results
            else "Nothing is left to do."
            if not open_rows
            else f"{len(open_rows)} steps are left."
        )
        name = self._session.settings.name if self._session else ""
        self._end.show(
            "summary",
            heading=f"Summary{f' for {name}' if name else ''}",
            words=words,
            todo=todo,
            ready=bool(results),
            written=self._written,
        )


def _knows_client_id(settings: TenantSettings) -> bool:
    """Whether it is known here which application the connection signs in with."""
    return settings.handed_over != "auth0" or bool(settings.oidc_client_id)


def _with_mapping_of(out: Path, settings: TenantSettings) -> TenantSettings:
    """Return the settings with the mapping that was planned in this folder before the kernel was restarted."""
    path = out / "settings.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() and not settings.mapping else {}
    if (kept.get("auth0_domain"), kept.get("auth0_connection")) != (settings.auth0_domain, settings.auth0_connection):
        return settings
    return TenantSettings.from_parameters({**settings.model_dump(), "mapping": kept.get("mapping") or ()})
