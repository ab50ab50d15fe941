"""The Stop button: no further request is sent, and every wait ends. Requests already sent stay on record."""

from __future__ import annotations

import math
import threading

from runbook_lib.core.errors import TransportError
from runbook_lib.http.time_limit import Deadline

AGAIN = "Press Apply again when you want to go on: the runbook reads first what was written"


class Stop(Deadline):
    """A deadline that a person sets by pressing Stop. Without a press there is none: they may come back after hours."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self._pressed = threading.Event()

    @property
    def is_pressed(self) -> bool:
        """Whether a person has pressed Stop since the work in progress began."""
        return self._pressed.is_set()

    def press(self) -> None:
        """Send nothing more, and end every wait."""
        self._pressed.set()

    def begin(self) -> None:
        """Begin new work: an earlier press no longer counts."""
        self._pressed.clear()

    def sleep(self, seconds: float) -> None:
        """Wait for the given time. Raises `TransportError` if a person presses Stop meanwhile."""
        if self._pressed.wait(seconds):
            self.check("Waiting")

    def check(self, attempted: str) -> None:
        """Raise `TransportError` when Stop was pressed: nothing more is sent."""
        if self.is_pressed:
            raise TransportError(attempted, "not sent: you pressed Stop", ambiguous=False, is_final=True, do_now=AGAIN)
