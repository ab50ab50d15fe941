"""The page as its cells call it: each call puts a piece on the page, and the pieces' events go to where they are handled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from runbook_lib.core.errors import NoSuchStep, RunbookError
from runbook_lib.page import cards
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.desk import Desk
from runbook_lib.page.panel import Panel
from runbook_lib.page.pieces import Pieces
from runbook_lib.page.start_events import StartEvents
from runbook_lib.page.step_events import StepEvents
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run import tables
from runbook_lib.settings.model import TenantSettings

Demos = Callable[[], tuple[TenantSettings, ...]]


class GuidedSession:
    """A tenant on a page where a person is. It plans when it is connected; it writes when a button is pressed, and only then."""

    _latest: ClassVar[GuidedSession | None] = None  # a kernel serves one page

    def __init__(
        self,
        folder: Path,
        *,
        procedure: Procedure,
        demos: Demos,
        reset: Callable[[str], None] = lambda _cloud: None,
        given: TenantSettings | None = None,
        trouble: RunbookError | None = None,
    ) -> None:
        self._desk = Desk(folder, procedure, "real" if given or trouble else "sandbox")
        self._asked = (folder, given)
        self._start, self._steps = StartEvents(self._desk, demos), StepEvents(self._desk, reset, self._reopen)
        if trouble is not None:
            self.connecting.fail(trouble, "start")
        self._start.remember()
        self._take_the_page()
        if given is not None:
            self._start.given(given)
        elif trouble is None and self._desk.where == "sandbox":
            self._desk.do(self._start.open_demo)

    @classmethod
    def folder_in_use(cls) -> Path | None:
        """Return the folder of the page that this kernel has, None before its cells were run."""
        return cls._latest._desk.folder if cls._latest is not None else None

    @classmethod
    def begun_again(cls, folder: Path, given: TenantSettings | None) -> GuidedSession | None:
        """Return the page that this kernel has, for cells that are run again; None where the cells ask for another.

        The sign-ins and the typed values stay. The tenant that is open is planned again.
        """
        page = cls._latest
        if page is None or page._asked != (folder, given):
            return None
        page._renew()
        return page

    def _renew(self) -> None:
        desk = self._desk
        desk.pieces.close()
        desk.pieces = Pieces()
        if desk.tenant is not None:
            desk.do(desk.tenant.plan_afresh)
        elif desk.where == "sandbox":
            desk.do(self._start.open_demo)

    def _reopen(self) -> None:
        self._start.open_demo()

    def _take_the_page(self) -> None:
        """Close the page that an earlier run of the cells opened; its tenant's lock goes with it."""
        if GuidedSession._latest is not None:
            GuidedSession._latest.close()
        GuidedSession._latest = self

    def close(self) -> None:
        """Let go of the tenant when all work that was asked for is done, and take all pieces from the page."""
        self._desk.do(self._desk.close_tenant).result()
        self._desk.pieces.close()
        if GuidedSession._latest is self:
            GuidedSession._latest = None

    @property
    def connecting(self) -> Connecting:
        """The state of the connect card."""
        return self._desk.connecting

    @property
    def pieces(self) -> Pieces:
        """The pieces on the page."""
        return self._desk.pieces

    # What the cells call ----------------------------------------------------------------------------------------------

    def connect(self) -> Panel:
        """Show the connect card."""
        words = "Connect: open this page in JupyterLab."
        return self.pieces.add("start", words, "connect", lambda: cards.start(self._desk.state), self._start.heard)

    def steps(self) -> Panel:
        """Show the header, and the rail with the state of all steps."""
        words = "The state of all steps: open this page in JupyterLab."
        return self.pieces.add("rail", words, "rail", lambda: cards.rail(self._desk.state), self._steps.heard)

    def section(self, number: str) -> Panel:
        """Show what is due in a section, and the button that applies it. Raises `NoSuchStep`."""
        known = tuple(section.number for section in self._desk.procedure.sections)
        if number not in known:
            raise NoSuchStep(number, known)
        words = f"Section {number}: open this page in JupyterLab."
        return self.pieces.add(
            f"section {number}", words, "section", lambda: cards.section(self._desk.state, number), self._steps.heard
        )

    def do(self, number: str) -> Panel:
        """Show the card of a step; it fills as soon as the step is planned. Raises `NoSuchStep`."""
        if number not in self._desk.procedure.numbers:
            raise NoSuchStep(number, self._desk.procedure.numbers)
        words = f"Step {number}: open this page in JupyterLab."
        return self.pieces.add(f"step {number}", words, "step", lambda: cards.step(self._desk.state, number), self._steps.heard)

    def frames(self, number: str) -> tuple[tables.DataFrame, ...]:
        """Return a step's tables, in order, as pandas tables to work on; none for a step that is not planned yet."""
        result = self._desk.state.results.get(number)
        return tables.frames(tables.tables_of(result)) if result else ()

    def summary(self) -> Panel:
        """Show what is done and what is left, and what the run leaves behind."""
        words = "Summary: open this page in JupyterLab."
        end = self.pieces.add("end", words, "summary", lambda: cards.end(self._desk.state), self._steps.at_the_end)
        self._start.land()
        return end
