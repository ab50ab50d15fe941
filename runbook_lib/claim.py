"""The marker and claim that a run writes into the notes of the enterprise application, where a run on another machine sees it.

It says which connection the application provisions, and which run is at work on it until when. A run is named `RUN@MACHINE`:
runs of one machine exclude one another by a lock, so that another one of this machine can only be dead. The window between
reading and writing it is small but not closed: Graph offers no condition on a write. So it is read back, and again before the
start.
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
_FORM = re.compile(
    r"\[inbound-scim-runbook (?P<connection>con_\w+)"
    r"(?:; run (?P<run>[\w-]+@\w+) until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?\]"
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
    until = found["until"]
    return Marker(
        found["connection"], found["run"], datetime.strptime(until, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if until else None
    )


def with_marker(notes: str | None, marker: Marker) -> str:
    """Return the notes with this marker in place of an earlier one; what else they say is kept."""
    rest = _FORM.sub("", notes or "").rstrip()
    return f"{rest}\n{marker}".strip()[-_NOTES_LIMIT:]


def without_marker(notes: str | None) -> str:
    """Return the notes without a marker."""
    return _FORM.sub("", notes or "").strip()


def this_machine() -> str:
    """Return a short name for this machine and its user that tells neither: the notes are the customer's to read."""
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    return hashlib.sha256(f"{platform.node()} {uuid.getnode()} {user}".encode()).hexdigest()[:8]


def claimed(connection: str, run: str, now: datetime) -> Marker:
    """Return the claim of a run for the next minutes. `now` is Graph's own time."""
    return Marker(connection, run, (now + LASTS).replace(microsecond=0))


def is_held_by_other(marker: Marker | None, run: str, now: datetime) -> bool:
    """Whether a run on another machine is at work on the application."""
    if marker is None or marker.run is None or marker.until is None:
        return False
    return marker.run.partition("@")[2] != run.partition("@")[2] and now < marker.until


def needs_renewal(marker: Marker | None, connection: str, run: str, now: datetime) -> bool:
    """Whether a run has to write its claim before it writes anything else."""
    if marker is None or marker.connection != connection or marker.run != run or marker.until is None:
        return True
    return now > marker.until - LASTS + RENEWED_AFTER
