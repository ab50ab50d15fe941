"""The tenant that is open on the page: plan its steps, carry them out when a person presses a button, and show progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from runbook_lib.core.errors import RunbookError, StepBlocked
from runbook_lib.engine.events import Event, Intent, Outcome
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.status import Status, Tone
from runbook_lib.engine.values import Hazard, Table
from runbook_lib.page.ending import token_end
from runbook_lib.page.handover import make_token
from runbook_lib.page.mapping_editor import MappingEditor
from runbook_lib.page.panel import Fields, Panel
from runbook_lib.page.state import PageState, touched
from runbook_lib.page.stop import Stop
from runbook_lib.page.undoing import undo, undoable
from runbook_lib.page.worker import Ticking
from runbook_lib.run.report import write_private
from runbook_lib.run.tenant_run import Session
from runbook_lib.run.token_end import token_end_event
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.services.wire_words import OTHER_SIDE_CONFIRMED
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.tenant import facts
from runbook_lib.tenant.console_links import Link, console_link
from runbook_lib.tenant.scim_mapping import row_differences
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View


@dataclass
class TenantAtWork:
    """One open tenant. `draw` shows the named pieces, or all; `busy` is shared with the page."""

    session: Session
    draw: Callable[..., None]
    busy: dict[str, str]
    stop: Stop
    mapping: MappingEditor = field(default_factory=MappingEditor)
    links: dict[str, Link | None] = field(default_factory=dict)
    read_at: dict[str, datetime] = field(default_factory=dict)
    written: str = ""
    undone: Table | None = None
    is_undone: bool = False
    undo_since: str = ""
    undoable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.undoable = undoable(self.session)

    def shown_in(self, state: PageState) -> PageState:
        """Return what the page shows with this tenant open."""
        return replace(
            state,
            session=self.session,
            links=self.links,
            mapping=self.mapping,
            read_at=self.read_at,
            written=self.written,
            undone=self.undone,
            is_undone=self.is_undone,
            undo_since=self.undo_since,
            undoable=self.undoable,
        )

    def result(self, number: str) -> StepResult | None:
        """Return what became of a step so far."""
        return self.session.engine.results.get(number)

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left that a person has to do."""
        results = list(self.session.engine.results.values())
        open_ones = [one for one in results if Status(one.status).tone not in (Tone.DONE, Tone.IDLE) and one.kind != "stage"]
        return len(results) == len(self.session.procedure) and not open_ones

    # Planning ---------------------------------------------------------------------------------------------------------

    def plan_all(self) -> None:
        """Plan every step that this page has not carried out."""
        for number in self.session.procedure.numbers:
            self.plan(number)
        self.draw()

    def plan_afresh(self) -> None:
        """Read everything again and plan; the results of what this page has carried out stay visible."""
        self.session.view.forget()
        self.plan_all()

    def plan(self, number: str) -> None:
        """Plan a step again, unless this page has carried it out: then its result stays visible."""
        result = self.result(number)
        if result is not None and result.status == Status.CHANGED:
            return
        self.session.do(number)
        self._look_at_mapping(number)
        self.links[number] = self._link(number)
        self.draw(f"step {number}", "rail")

    def look_again(self, number: str) -> None:
        """Read everything again and plan, the named step even when this page has carried it out."""
        self.session.view.forget()
        with self._working(number, "Looking again."):
            self.session.engine.results.pop(number, None)
            self.plan(number)
        self.plan_all()

    # Writing ----------------------------------------------------------------------------------------------------------

    def press(self, numbers: Iterable[str]) -> str:
        """Apply steps in their order until one does not succeed; then plan all others again. Return the number of the last."""
        last = ""
        for number in numbers:
            last = number
            with self._working(number, "Reading everything again before the first write."):
                self.draw()
                with Ticking(lambda seconds, number=number: self._tick(number, seconds)):  # type: ignore[misc]
                    result = self.session.press(number)
                self.read_at[number], self.undoable = datetime.now(UTC), undoable(self.session)
            self._look_at_mapping(number)
            self.draw(f"step {number}")
            if Status(result.status).tone is not Tone.DONE:
                self.draw()  # what stopped it stays to be read; the others keep their plan
                return last
        self.plan_all()
        if last and self.is_finished:
            self.write_report()  # a person who comes to the end of the page finds the files there
        return last

    def check_people(self, number: str, fields: Fields) -> None:
        """Raise `StepBlocked` unless the user typed the number of people that a start will touch."""
        typed, people = fields.get("people", "").strip() or "none", touched(self.session)
        if typed != str(people):
            raise StepBlocked(
                f"Step {number} will touch another number of people than {typed}. Nothing was written",
                "Read the forecast on this card, then type how many people it says",
            )

    def accept(self, number: str, fields: Fields) -> None:
        """Accept what holds a step back, each kind with the number of people that was typed.

        The step is carried out where nothing else has to come before it; else it is planned again.
        """
        result = self.result(number)
        if result is None:
            return
        for hazard in result.hazards:
            self._check_typed(hazard, fields)
        self.session.accept(result.hazards)
        self.plan(number)
        again = self.result(number)
        if again is not None and again.status == Status.PLANNED and not again.waits_for:
            self.press([number])
        else:
            self.plan_all()

    def _check_typed(self, hazard: Hazard, fields: Fields) -> None:
        """Raise `StepBlocked` unless the number of people was typed, or the connection's name where it is not about people."""
        typed = fields.get(f"{'count' if hazard.count else 'name'}-{hazard.name}", "").strip()
        if hazard.count and typed != str(hazard.count):
            raise StepBlocked(
                f"{hazard.name} concerns {hazard.count} people, and {typed or 'nothing'} was typed",
                "Read the names, then type the number",
            )
        if not hazard.count:
            self._check_name(typed)

    def _check_name(self, typed: str) -> None:
        known = self.session.view.known(facts.connection)
        if typed not in {self.session.settings.auth0_connection, *([known.name] if known else [])}:
            raise StepBlocked(
                f"{typed or 'Nothing'} was typed, and that is not the name of this connection. Nothing was written",
                "Read the danger, then type the name as it stands above the field",
            )

    def confirm_other_side(self) -> None:
        """Record the other administrator's confirmation for what cannot be verified here, then plan again."""
        self.session.amend(accept=(*self.session.view.settings.accept, OTHER_SIDE_CONFIRMED))
        self.session.view.forget()
        self.plan_all()

    def make_token(self, number: str, card: Panel) -> None:
        """Make the token that is handed over, and show it once on the card of its step."""
        with self._working(number, "Making the token."):
            self.draw(f"step {number}")
            result = make_token(self.session, card)
        self.undoable = undoable(self.session)
        if result.status == Status.HANDOVER:
            self.plan_all()
        self.draw()  # what stopped it stays to be read

    def plan_mapping(self) -> None:
        """Put the edited rows into the settings and plan their step; rows that equal Auth0's are not put there."""
        wanted = self.mapping.rows if row_differences(self.mapping.saved, self.mapping.rows) else ()
        self.session.amend(mapping=[{"scim": row.scim, "auth0": row.auth0} for row in wanted])
        number = self.session.procedure.number_of(Thing.SCIM_MAPPING)
        self.session.engine.results.pop(number, None)
        self.plan(number)
        self.draw()

    def write_report(self) -> None:
        """Write the report and its siblings, and a calendar file for the day on which the token ends."""
        session = self.session
        session.finish()
        if ends := token_end(session):
            known = session.view.known(facts.connection)
            name = known.name if known else session.settings.auth0_connection
            event = token_end_event(session.settings.name, name, ends, datetime.now(UTC))
            write_private(session.out / "token-end.ics", event)
        self.written = str(session.out / "report.html")
        self.draw("end")

    def undo(self, mode: RunMode, fields: Fields) -> None:
        """Show what an undo would take back, or take it back: of a real tenant once the connection's name was typed.

        Where `undo_since` names a step, what was written before it stays.
        """
        if mode is RunMode.APPLY and not self.session.view.cloud.is_sandbox:
            self._check_name(fields.get("connection", "").strip())
        with self._working("end", "Taking back" if mode is RunMode.APPLY else "Reading"):
            self.draw("end", "rail")
            self.undone = undo(self.session, self.stop, mode, self.undo_since)
            self.is_undone = mode is RunMode.APPLY
        self.draw()

    # Saying what goes on ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _working(self, number: str, words: str) -> Any:
        self.busy[number] = words
        self.draw(f"step {number}")
        try:
            yield
        finally:
            self.busy.pop(number, None)

    def _tick(self, number: str, seconds: int) -> None:
        self.busy[number] = f"{self._doing()} ({seconds} s)"
        self.draw(f"step {number}")

    def _doing(self) -> str:
        """Say what the session is doing, from the last line of its journal."""
        last: Event | None = None
        with contextlib.suppress(RunbookError):  # its last line may be half written at this very moment
            last = self.session.journal.events()[-1]
        if isinstance(last, Intent):
            return f"Sent {last.request}; waiting for the answer"
        if isinstance(last, Outcome) and last.is_applied:
            return "Written; reading it back until it shows"
        return "Reading"

    def _look_at_mapping(self, number: str) -> None:
        """Show the editor what Auth0 holds and proposes; nothing while SCIM is off or cannot be read."""
        if number != self.session.procedure.number_of(Thing.SCIM_MAPPING):
            return
        view = self.session.view
        try:
            scim, default = view.read(facts.scim_configuration), view.read(facts.default_mapping)
        except RunbookError:
            return  # the card says why already
        if scim is not None:
            self.mapping.look(scim.mapping, default, [ScimMappingRow(row.scim, row.auth0) for row in view.settings.mapping])

    def _link(self, number: str) -> Link | None:
        view: View = self.session.view
        if view.cloud.is_sandbox:
            return None
        try:
            connection_id = view.read(facts.connection_id)
            is_signed_in = view.settings.handed_over != "entra"
            oidc = view.read(facts.oidc_service_principal) if is_signed_in and _knows_client_id(view.settings) else None
            scim = view.read(facts.enterprise_application) if is_signed_in else None
        except RunbookError:
            return None  # the card says why already
        place = self.session.procedure.row(number).console
        return console_link(place, view.cloud, view.settings.auth0_domain, connection_id, oidc, scim)


def _knows_client_id(settings: TenantSettings) -> bool:
    """Whether this side knows which application the connection signs in with."""
    return settings.handed_over != "auth0" or bool(settings.oidc_client_id)
