"""The claim of a run on the enterprise application, in its notes: runs of other machines see it there and wait."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runbook_lib.core.errors import RunbookError, StepBlocked
from runbook_lib.engine.guard import Noted
from runbook_lib.engine.readings import RIGHT_BEFORE_S
from runbook_lib.http.message import Request
from runbook_lib.services.entra.graph import patch_notes
from runbook_lib.services.entra.models import ServicePrincipal
from runbook_lib.tenant import facts
from runbook_lib.tenant.app_notes import Marker, claimed, needs_renewal, read_marker, with_marker, without_marker
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View

CLAIMS = 3  # how often a claim is written again when it cannot be read back


class NotesClaim:
    """Makes sure, before each write in Entra, that the enterprise application carries this run's claim.

    `leaves_marker`: its end leaves a marker that names the connection; otherwise only where there was one before the claim.
    """

    def __init__(self, view: View, *, leaves_marker: bool = True) -> None:
        self._view = view
        self._leaves_marker = leaves_marker
        self._claimed_id = ""  # the application that this run has claimed

    def before(self, request: Request, noted: Noted, *, is_last: bool) -> None:
        """Make sure that the claim is valid and lasts. After the last write the notes only name the connection.

        Raises `StepBlocked` when a run on another machine is at work on the application.
        """
        if request.service != "graph":
            return
        principal, connection = self._view.read(facts.enterprise_application), self._view.read(facts.connection_id)
        if principal is None:  # not made yet: this very write makes it
            return
        now = facts.graph_time(self._view)
        claim = claimed(connection, self._view.run, now)
        has_room = with_marker(principal.notes, claim) is not None  # notes that are full are left as they are, without a claim
        if has_room and needs_renewal(read_marker(principal.notes), connection, self._view.run, now):
            principal = self._principal_now()
            self._leaves_marker |= read_marker(principal.notes) is not None
            if other := self._view.read(facts.other_claim):
                raise StepBlocked(f"Another run is at work: {other}", "Wait until it has ended")
            self._claim(principal, connection, now, noted)
        if is_last and has_room:
            self._note(self._principal_now(), Marker(connection), noted)

    def release(self, noted: Noted) -> None:
        """End this run's claim if it still stands. Ignore the services' errors: a claim ends by itself."""
        if self._claimed_id:
            with contextlib.suppress(RunbookError):
                self._view.forget(facts.enterprise_applications)
                principal = self._principal_now()
                if (marker := read_marker(principal.notes)) and marker.run == self._view.run:
                    self._note(principal, Marker(marker.connection) if self._leaves_marker else None, noted)

    def _claim(self, principal: ServicePrincipal, connection: str, now: datetime, noted: Noted) -> None:
        """Write the claim until it is read back: after a lost answer it may be missing without another run's doing."""
        for _ in range(CLAIMS):
            self._note(principal, claimed(connection, self._view.run, now), noted)
            self._view.forget(facts.enterprise_applications)
            principal = self._principal_now()
            if (marker := read_marker(principal.notes)) and marker.run == self._view.run:
                return
            if self._view.read(facts.other_claim):
                break
        raise StepBlocked("Another run claimed the enterprise application at this moment", "Wait until it has ended")

    def _principal_now(self) -> ServicePrincipal:
        """Return the application by a reading right before: notes are replaced whole, and people write into them too."""
        if not self._view.is_latest(facts.enterprise_applications, RIGHT_BEFORE_S):
            self._view.forget(facts.enterprise_applications)
        principal = self._view.read(facts.enterprise_application)
        if principal is None:
            raise StepBlocked("The enterprise application is gone, or there are two of its name", "Look at it in Entra")
        return principal

    def _note(self, principal: ServicePrincipal, marker: Marker | None, noted: Noted) -> None:
        """Write a marker into the notes; None takes it out."""
        notes = with_marker(principal.notes, marker) if marker else without_marker(principal.notes)
        if notes is None:
            raise StepBlocked("Others have filled the notes of the enterprise application at this moment", "Run again")
        undo: Mapping[str, Any] = {
            "kind": Thing.NOTES,
            "service_principal": principal.id,
            "before": without_marker(principal.notes),
        }
        noted(Thing.APPLICATION, "notes of the enterprise application", patch_notes(principal.id, notes or None), undo)
        self._claimed_id = principal.id if marker and marker.run else ""
