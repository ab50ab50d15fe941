"""What one page has on its desk: its pieces, the tenant that is open, the one thread that works, and where the person is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.page.connecting import Connecting
from runbook_lib.page.pieces import Pieces
from runbook_lib.page.state import PageState, Whereabouts
from runbook_lib.page.stop import Stop
from runbook_lib.page.tenant_at_work import TenantAtWork
from runbook_lib.page.worker import Worker
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.machine import Machine
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import RunMode
from runbook_lib.settings.process import output_name
from runbook_lib.tenant.view import View


@dataclass
class Desk:
    """One page. `folder` holds what it leaves; `where` is `sandbox` or `real`, `demo` the sandbox's tenant that is chosen."""

    folder: Path
    procedure: Procedure
    where: str
    demo: str = "fresh"
    pieces: Pieces = field(default_factory=Pieces)
    worker: Worker = field(default_factory=Worker)
    stop: Stop = field(default_factory=Stop)
    busy: dict[str, str] = field(default_factory=dict)
    tenant: TenantAtWork | None = None
    at: Whereabouts = field(default_factory=Whereabouts)

    def __post_init__(self) -> None:
        self.connecting = Connecting(lambda: self.draw("start"))
        self.connecting.sign_ins.deadline = self.stop

    @property
    def state(self) -> PageState:
        """What the page shows now."""
        shown = PageState(
            self.procedure, self.where, self.demo, self.connecting, busy=self.busy, at=self.at, folder=str(self.folder)
        )
        return self.tenant.shown_in(shown) if self.tenant else shown

    def draw(self, *names: str) -> None:
        """Show the named pieces as things are now, or all of them."""
        self.pieces.draw(*names)

    def do(self, work: Callable[[], None], at: str = "start") -> Future[None]:
        """Let the worker do something. The piece `at`, or the start, shows what goes wrong."""
        return self.worker.do(lambda: self._begun(work), lambda words: self._troubled(words, at))

    def _begun(self, work: Callable[[], None]) -> None:
        self.stop.begin()
        work()

    def _troubled(self, words: str, at: str) -> None:
        """Show one line about a refusal or a bug, at the piece where the person is looking."""
        self.busy.clear()
        self.draw()
        if panel := self.pieces.panel(at) or self.pieces.panel("start"):
            panel.send({"alert": words})

    @contextlib.contextmanager
    def at_work(self, words: str) -> Iterator[None]:
        """Say at the top of the page that work is in progress, from its first step to its last.

        Cards fold and unfold until then. What is done at one step meanwhile is said instead of `words`.
        """
        self.busy["page"] = words
        try:
            yield
        finally:
            self.busy.pop("page", None)

    # The tenant -------------------------------------------------------------------------------------------------------

    def open_tenant(self, view: View, *, is_press: bool = False) -> None:
        """Open the session of a tenant, signed in by this view, and plan every step. `is_press`: a person asked for the plan."""
        self.close_tenant()
        settings = view.settings
        out = self.folder / output_name(settings.name)
        machine = Machine(sleep=self.stop.sleep)
        session = Session(
            settings, procedure=self.procedure, mode=RunMode.PLAN, out=out, view=view, machine=machine, is_page=True
        )
        self.tenant = TenantAtWork(session, self.draw, self.busy, self.stop)
        self.tenant.plan_all()
        self.lead_on(is_press=is_press)

    def lead_on(self, *, is_press: bool = False) -> None:
        """Open the first step that is not finished, unless a step is open already. `is_press`: lead the focus on as well."""
        if not self.at.step:
            self.at = self.at.to(self.state.next_step, is_led=is_press)
        elif is_press:
            self.at = self.at.pressed()
        self.draw()

    def go_to(self, number: str) -> None:
        """Open a step that the person goes on with."""
        self.at = self.at.to(number)
        self.draw()

    def close_tenant(self) -> None:
        """Close the tenant that was open."""
        tenant, self.tenant, self.at = self.tenant, None, self.at.to("")
        if tenant is not None:
            tenant.session.finish()
        self.draw()
