"""What must hold before a write is sent: a claim that keeps runs of other machines away, handed in by the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from runbook_lib.http.message import Request

Noted = Callable[[str, str, Request, Mapping[str, Any]], None]
"""Sends a write of a guard's own, on record like every write: the thing it is about, on what, the request, its undo."""


class WriteGuard(Protocol):
    """Decides before each write whether it may be sent. A write that stops a job is sent without asking."""

    def before(self, request: Request, noted: Noted, *, is_last: bool) -> None:
        """Make sure that this run may write. `is_last`: after this write the guard is not needed any more.

        Raises `StepBlocked` when another run is at work.
        """

    def release(self, noted: Noted) -> None:
        """Let other runs write. Errors of the services are left to time."""


class NoGuard:
    """Holds nothing back."""

    def before(self, request: Request, noted: Noted, *, is_last: bool) -> None:
        """Let every write pass."""

    def release(self, noted: Noted) -> None:
        """Nothing is held."""
