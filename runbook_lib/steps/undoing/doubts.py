"""Writes whose response was lost: the run may have made something. Undo looks for it and names it, and never takes it back.

If the service has had time to show it and shows nothing, undo counts the write as not carried out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import Finding
from runbook_lib.steps.undoing.readings import InEntra
from runbook_lib.steps.undoing.undo import Seen, Undo, left
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written

_SHOWS = timedelta(hours=1)  # Unverified: the longest that others report is a quarter of an hour (terraform-provider-azuread)


def in_doubt(undo: Undo, number: str, entry: Written, way: TakeBack) -> Step:
    """Name what this run may have made. A request whose response was lost does not prove that it made what is there now."""

    def seen(view: View) -> Seen:
        return _is_gone(entry, view) or Seen(*way.look(entry, view))

    def tell(now: Seen, is_young: bool, _settings: Any) -> Iterator[Yield]:
        unknown = f"the response to {entry.request} was lost, so the journal does not show whether it took effect"
        if now.is_there:
            theirs = "and someone else may have made this"
            yield left(f"Left in place: {unknown}, {theirs}. {now.words} If you do not need it, remove it by hand.")
        elif is_young:
            yield left(f"Left in place: {unknown}. {now.words} The service may list it later: undo again later to check.")
        else:
            yield Finding(f"Nothing is left to undo: {unknown}. {now.words}")

    title = f"Leave {way.words}, which someone else may have made"
    there = Fact(f"what is there, {number}", seen, is_derived=True)
    young = Fact(f"may still show, {number}", lambda view: _is_young(undo, entry, view), is_derived=True)
    return undo.step(number, entry, title, tell, there, young, touches=(there,))


def _is_gone(entry: Written, view: View) -> Seen | None:
    """Return that nothing of a write is left when its enterprise application is gone; None when the application is there."""
    if not entry.service_principal or view.read(InEntra(entry.service_principal).principal) is not None:
        return None
    return Seen(False, "The enterprise application is gone.")


def _is_young(undo: Undo, entry: Written, view: View) -> bool:
    """Whether a service, by its own clock, may not show a write's result yet; never in an application that this undo deleted."""
    if entry.service_principal and entry.service_principal in undo.record.deleted:
        return False
    told = [date for date in (view.auth0.service.date, view.graph.service.date) if date is not None]
    return not told or max(told) - datetime.fromisoformat(entry.time) < _SHOWS
