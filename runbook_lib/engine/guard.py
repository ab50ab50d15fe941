"""What must hold before a write is sent: a claim that keeps runs of other machines away, handed in by the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from runbook_lib.http.message import Request

Noted = Callable[[str, str, Request, Mapping[str, Any]], None]
"""Sends one of the guard's own writes and records it like every write: its thing, what it is on, the request, its undo."""


class WriteGuard(Protocol):
    """Decides before each write whether it may be sent. A write that stops a job is sent without asking."""

    def before(self, request: Request, noted: Noted, *, is_last: bool) -> None:
        """Make sure that this run may write. `is_last`: the run needs the guard no longer after this write.

        Raises `StepBlocked` when another run is at work.
        """

    def release(self, noted: Noted) -> None:
        """Let other runs write. Ignore the services' errors: a claim ends by itself."""


class NoGuard:
    """Holds nothing back."""

    def before(self, request: Request, noted: Noted, *, is_last: bool) -> None:
        """Let every write pass."""

    def release(self, noted: Noted) -> None:
        """Nothing is held."""
