"""What the page shows at one moment, as one record. Its methods are pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runbook_lib.engine.result import StepResult
from runbook_lib.engine.status import Status, Tone
from runbook_lib.engine.step import Kind
from runbook_lib.engine.values import Table
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.mapping_editor import MappingEditor
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.tenant_run import Session
from runbook_lib.tenant import facts
from runbook_lib.tenant.console_links import Link
from runbook_lib.tenant.forecast.values import Fate
from runbook_lib.tenant.things import Thing

IS_TOUCHED = (Fate.UPDATE, Fate.BLOCK, Fate.UNBLOCK, Fate.DELETE, Fate.SOMEONE_ELSES_USER, Fate.CANNOT_TELL)
APPLICABLE = ("ensure", "probe", "check")  # kinds of step that a button can carry out


@dataclass(frozen=True)
class Whereabouts:
    """Where the person is: the step that is open, and the number of presses, each of which leads the focus on once.

    Without `is_led` the step is open and the focus stays where the person has it.
    """

    step: str = ""
    presses: int = 0
    is_led: bool = True

    def to(self, step: str, *, is_led: bool = True) -> Whereabouts:
        """Return being at another step, after one more press."""
        return Whereabouts(step, self.presses + 1, is_led)

    def pressed(self) -> Whereabouts:
        """Return being at the same step after one more press."""
        return Whereabouts(self.step, self.presses + 1)


@dataclass(frozen=True)
class PageState:
    """What the page shows.

    `where` is `sandbox` or `real`. `busy` holds, by step number or under `start`, what is being done there in words; `links` the
    place of each step in its console; `read_at` when a step's proof was read (aware UTC); `written` the path of the report, empty
    until it was written. `undoable` are the steps whose writes are on record and stand. `undone` is what an undo would take back,
    or has taken back where `is_undone`, from the step `undo_since` on; empty: all. Without `session` no tenant is open.
    """

    procedure: Procedure
    where: str
    demo: str
    connecting: Connecting
    session: Session | None = None
    busy: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, Link | None] = field(default_factory=dict)
    mapping: MappingEditor = field(default_factory=MappingEditor)
    read_at: Mapping[str, datetime] = field(default_factory=dict)
    written: str = ""
    undone: Table | None = None
    is_undone: bool = False
    undo_since: str = ""
    undoable: tuple[str, ...] = ()
    folder: str = ""
    at: Whereabouts = field(default_factory=Whereabouts)

    @property
    def results(self) -> Mapping[str, StepResult]:
        """What became of each step so far, by number."""
        return self.session.engine.results if self.session else {}

    @property
    def start(self) -> str:
        """The number of the step that turns provisioning on."""
        return self.procedure.number_of(Thing.START)

    @property
    def is_sandbox(self) -> bool:
        """Whether the tenant that is open, or about to be opened, is the sandbox's."""
        return self.session.view.cloud.is_sandbox if self.session else self.where == "sandbox"

    @property
    def name(self) -> str:
        """What the tenant is called, empty while none is open."""
        return self.session.settings.name if self.session else ""

    @property
    def connection(self) -> str:
        """What the connection is called, as far as it is known."""
        if self.session is None:
            return ""
        found = self.session.view.known(facts.connection)
        return found.name if found else self.session.settings.auth0_connection

    @property
    def changeable(self) -> tuple[str, ...]:
        """The numbers of the steps that can change something in this tenant."""
        is_on = self.session is None or self.session.settings.turn_on == "yes"
        rows = (row.step for row in self.procedure)
        return tuple(
            step.number for step in rows if step.kind in (Kind.ENSURE, Kind.STAGE) and (is_on or step.number != self.start)
        )

    def is_finished(self, number: str) -> bool:
        """Whether nothing is left to do at a step."""
        result = self.results.get(number)
        if result is None:
            return False
        tone = Status(result.status).tone
        return tone in (Tone.DONE, Tone.IDLE) or (tone is Tone.HAND and self._is_covered(number))

    def _is_covered(self, number: str) -> bool:
        """Whether the linked test user shows that the other administrator is past this step, which may leave no trace itself."""
        tested = self.procedure.number_of(Thing.TEST_USER)
        result = self.results.get(tested)
        numbers = self.procedure.numbers
        is_seen = result is not None and result.handover is not None and result.handover.state == "seen"
        return is_seen and numbers.index(number) < numbers.index(tested)

    @property
    def next_step(self) -> str:
        """The first step that a person has to look at, empty when there is none: a stage is carried out by its Save step."""
        open_ones = (row.number for row in self.procedure if not self.is_finished(row.number) and row.body.kind is not Kind.STAGE)
        return next(open_ones, "") if self.results else ""

    def has_editor(self, number: str) -> bool:
        """Whether this is the step whose rows are edited on its card."""
        return number == self.procedure.number_of(Thing.SCIM_MAPPING)

    def can_apply(self, number: str, *, alone: bool = True) -> bool:
        """Return whether a button for this step makes sense. In a section an earlier step may make what this one waits for."""
        result = self.results.get(number)
        if result is None or result.status != "PLANNED" or result.kind not in APPLICABLE:
            return False
        if self.has_editor(number) and self.mapping.is_edited:
            return False  # what is typed is not what would be written
        waits = result.waits_for
        in_section = waits in self.procedure.section(number).numbers
        return not waits or (not alone and in_section and self.can_apply(waits, alone=False))

    @property
    def asks_for_people(self) -> bool:
        """Whether the user has to type the number of people before the start: everywhere but in the sandbox."""
        return self.where != "sandbox"

    def due(self, section: str) -> tuple[str, ...]:
        """Return the numbers of a section's steps that its button would carry out, in order.

        A start that needs the number of people is not among them: its own card asks for that.
        """
        numbers = (number for number in self.procedure.section(section).numbers if self.can_apply(number, alone=False))
        return tuple(number for number in numbers if number != self.start or not self.asks_for_people)


def touched(session: Session) -> int:
    """Return how many people the forecast says that the start will touch; 0 while nothing was foretold."""
    forecast = session.view.foretold
    return sum(count for fate, count in forecast.counts().items() if fate in IS_TOUCHED) if forecast else 0
