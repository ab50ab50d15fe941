"""Undo on the page what this page made: show it first, then do it, with the steps of the command `undo`."""

from __future__ import annotations

from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine.status import Status
from runbook_lib.engine.values import Table
from runbook_lib.page.stop import Stop
from runbook_lib.run.machine import Machine
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import RunMode

NOTHING = "This page has made nothing that can be taken back."


def undoable(session: Session) -> tuple[str, ...]:
    """Return the steps whose writes are on record and still in place, oldest first; none if the journal cannot be read."""
    try:
        return tuple(dict.fromkeys(entry.step for entry in session.standing))
    except JournalFailed:
        return ()  # an undo reports what is wrong with the journal


def undo(session: Session, stop: Stop, mode: RunMode, since: str = "") -> Table:
    """Plan or carry out the undo of a run and return what becomes of each write, the latest first.

    The job is stopped first. Only what this run's journal says it made is taken back, from the step `since` on where one is
    named. Raises `RunbookError`.
    """
    undoing = Session(
        session.settings,
        procedure=session.procedure,
        mode=mode,
        out=session.out,
        view=session.view,
        machine=Machine(sleep=stop.sleep),
        is_undo=True,
        undo_since=since,
    )
    rows = []
    try:
        for step in undoing.steps:
            done = undoing.do(step.number)
            status = Status(done.status)
            about = "After provisioning is stopped." if done.waits_for else done.reason or done.remedy
            rows.append((done.title, f"{status.icon} {status.word}", about))
    finally:
        undoing.finish()
    title = "What would be taken back" if mode is RunMode.PLAN else "What was taken back"
    return Table(title, ("what", "state", "about"), tuple(rows))
