"""The marker and claim that a run writes into the notes of the enterprise application, where a run on another machine sees it.

The marker says which connection the application provisions; the claim says which run works on it, and until when. A run is
named `RUN@MACHINE`. Runs of one machine exclude each other by a lock, so another claim of this machine can only be a dead
run's. The window between reading and writing the notes is small but not closed, because Graph offers no condition on a write.
So the run reads its claim back after the write, and again before the start.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LASTS = timedelta(minutes=15)
RENEWED_AFTER = timedelta(minutes=5)
_LONGEST = LASTS + timedelta(seconds=10)  # by Graph's own clock, on which answers of two of its servers may differ
_FORM = re.compile(
    r"\n?\[inbound-scim-runbook (?P<connection>con_[A-Za-z0-9_]+)"
    r"(?:; run (?P<run>[A-Za-z0-9_-]+@[A-Za-z0-9_]+) until (?P<until>[0-9T:Z-]+))?\]"
)
_NOTES_LIMIT = 1024  # Graph servicePrincipal page


@dataclass(frozen=True)
class Marker:
    """What the notes say: the connection, and the run that is at work until a time of Graph's own clock; None when none is."""

    connection: str
    run: str | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        claim = f"; run {self.run} until {self.until:%Y-%m-%dT%H:%M:%SZ}" if self.run and self.until else ""
        return f"[inbound-scim-runbook {self.connection}{claim}]"


def read_marker(notes: str | None) -> Marker | None:
    """Return the marker in the notes of an enterprise application, or None."""
    found = _FORM.search(notes or "")
    if found is None:
        return None
    until = _time(found["until"])
    # A date that cannot be parsed holds no run back: without a time there is no claim, and the next run writes its own.
    return Marker(found["connection"], found["run"] if until else None, until)


def _time(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def with_marker(notes: str | None, marker: Marker) -> str | None:
    """Return the notes with this marker in place of an earlier one; None if there is no room: the tool never cuts notes."""
    rest = without_marker(notes)
    whole = f"{rest}\n{marker}" if rest else str(marker)
    return whole if len(whole) <= _NOTES_LIMIT else None


def has_room(notes: str | None, connection: str) -> bool:
    """Whether the claim of a run of a usual name fits into the notes."""
    return with_marker(notes, claimed(connection, f"{'0' * 22}@{'0' * 8}", datetime(2026, 1, 1, tzinfo=UTC))) is not None


def without_marker(notes: str | None) -> str:
    """Return the notes as they were before a marker, to the letter."""
    return _FORM.sub("", notes or "")


def this_machine() -> str:
    """Return a short name for this machine and user that reveals neither, because the customer can read the notes."""
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()} {user}".encode()).hexdigest()[:8]


def claimed(connection: str, run: str, now: datetime) -> Marker:
    """Return the claim of a run for the next minutes. `now` is Graph's own time."""
    return Marker(connection, run, (now + LASTS).replace(microsecond=0))


def is_held_by_other(marker: Marker | None, run: str, now: datetime) -> bool:
    """Whether a run on another machine is at work on the application."""
    if marker is None or marker.run is None or marker.until is None:
        return False
    is_alive = now < marker.until <= now + _LONGEST  # no claim is made for longer
    return marker.run.partition("@")[2] != run.partition("@")[2] and is_alive


def needs_renewal(marker: Marker | None, connection: str, run: str, now: datetime) -> bool:
    """Whether a run has to write its claim before it writes anything else."""
    if marker is None or marker.connection != connection or marker.run != run or marker.until is None:
        return True
    return not LASTS - RENEWED_AFTER <= marker.until - now <= _LONGEST
