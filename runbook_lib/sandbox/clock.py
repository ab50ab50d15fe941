"""The sandbox's one clock: it stands still until a caller moves it, but for a small tick a request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

BEGINNING = datetime(2026, 1, 5, 9, 0, 0, tzinfo=UTC)
END = datetime(2050, 1, 1, tzinfo=UTC)  # what expires long after it still has a date that Python can write


@dataclass
class Clock:
    """A clock that can be moved forward. `now` is aware UTC.

    It does not follow the host's clock: what a service answers then depends on the calls alone, and repeats.
    """

    now: datetime = BEGINNING

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`, a fraction too. Raises `ValueError` for a step backward or beyond the clock's end."""
        if not 0 <= seconds <= (END - self.now).total_seconds():
            raise ValueError(f"the clock only moves forward, and not beyond {END.year}; it cannot move by {seconds} s")
        self.now += timedelta(seconds=seconds)

    def tick(self, seconds: float) -> None:
        """Move forward by the moment that a request takes."""
        self.now += timedelta(seconds=seconds)

    def timestamp(self) -> float:
        """Return seconds since 1970."""
        return self.now.timestamp()

    def auth0(self) -> str:
        """Return the time as the Management API writes it: `2025-11-06T03:50:36.919Z`."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now.microsecond // 1000:03d}Z"

    def graph(self) -> str:
        """Return the time as Microsoft Graph writes it: `2021-02-15T16:14:59.8643039Z`."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.now.microsecond:06d}0Z"

    def http_date(self) -> str:
        """Return the time as an HTTP `Date` header."""
        return format_datetime(self.now, usegmt=True)
