"""The record of a tenant's run: append-only JSON lines, each in the file before the next thing happens.

Every intent is written before its request and every outcome after it, so that a run killed at any moment leaves a truth that
resume, undo and the reports can read. Status comes from here, never from the notebook's own metadata. What tells of a request
is on the disk, not only in the file, when `write` returns: it is there after a power cut too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import JournalFailed
from runbook_lib.core.files import NO_FOLLOW, own_folder
from runbook_lib.core.json_text import parsed
from runbook_lib.core.secret import scrubber
from runbook_lib.engine.events import Begun, Ended, Event, Line, Result, SettingsChanged, Undone, event_of

VERSION = 3  # 3 names the connection by its id, and each assignment that was made
NUMBERED = 2  # the first version whose events carry a number: what is older cannot be joined to its outcomes
_END = 16_384  # octets at the end of a journal; an outcome is a short line
_DERIVED = ("result", "waiting")  # planning again would tell the same; fsync for each would wait for a slow disk 26 times


class Journal:
    """The journal of one tenant in one run; several runs may follow one another in it. `clock` gives aware UTC times.

    `guard` is asked before each event, and raises when this run must not go on.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self._clock = clock
        self._guard = guard
        self._count: int | None = None

    def write(self, event: str, **facts: Any) -> int:
        """Append one event, and return its number. Raises `JournalFailed`: then send nothing.

        The disk has it when this returns; a step's result, which any run can find again, only with the event after it.
        """
        self._guard()
        try:
            if self._count is None:
                self._count = self._opened()
            record = {
                "v": VERSION,
                "n": self._count + 1,
                "time": self._clock().isoformat(timespec="milliseconds"),
                "event": event,
            }
            line = scrubber.scrub(json.dumps({**record, **facts}, ensure_ascii=False)) + "\n"
            _append(self.path, line, is_synced=event not in _DERIVED)
        except OSError as broken:
            self._count = None  # a part of the line may be in the file: cut it off before the next line
            raise JournalFailed(
                self.path, broken.strerror or str(broken), "Make room, or choose another folder, then run again"
            ) from None
        self._count += 1
        return self._count

    def events(self) -> tuple[Event, ...]:
        """Return all events, oldest first; empty when there is no journal. Raises `JournalFailed`."""
        return tuple(each_event(self.path)) if self.path.exists() else ()

    def _opened(self) -> int:
        """Make the folder, cut off what a kill left of a last line, and return how many events there are."""
        own_folder(self.path.parent)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o600))
            _sync_folder(self.path.parent)
            return 0
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):  # this event was never fully on record, so nothing was sent after it
            os.truncate(self.path, content.rfind(b"\n") + 1)
        return sum(1 for _ in each_line(self.path))


def _append(path: Path, line: str, *, is_synced: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | NO_FOLLOW)
    try:
        octets = line.encode("utf-8", "backslashreplace")  # a service may send half a surrogate
        if os.write(handle, octets) != len(octets):
            raise OSError(0, "the disk took only a part of the line")
        if is_synced:
            os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk knows the new file's name; Windows cannot open a folder, and does not need it."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def each_event(path: Path) -> Iterator[Event]:
    """Yield the events of a journal, see `each_line`."""
    return map(event_of, each_line(path))


def latest_events(path: Path) -> Iterator[Event]:
    """Yield the last events of a journal that another process writes now, the newest first; none when there is no journal.

    A line that is cut off or odd ends it; `each_event` raises for such a line.
    """
    with contextlib.suppress(JournalFailed, OSError):
        for line in reversed(_last_lines(path)):
            yield event_of(_checked(path, 0, line))


def _last_lines(path: Path) -> list[bytes]:
    """Return the last whole lines of a journal."""
    with path.open("rb") as opened:
        start = max(0, opened.seek(0, os.SEEK_END) - _END)
        opened.seek(start)
        return opened.read().split(b"\n")[1 if start else 0 : -1]


def read_lines(path: Path) -> tuple[Line, ...]:
    """Return the events of a journal as they stand in the file, see `each_line`."""
    return tuple(each_line(path))


def each_line(path: Path) -> Iterator[Line]:
    """Yield the events of a journal as they stand in the file.

    A torn last line is what a kill leaves and is passed over; a torn middle is an error.

    Raises `JournalFailed`, also for a journal that a newer version wrote.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            yield _checked(path, number, line)


_TEXTS = {
    "intent": ("step",),
    "outcome": ("step", "result"),
    "settled": ("step",),
    "result": ("step", "status"),
    "undone": ("at",),
}

_NUMBERS = {"intent": ("n",), "outcome": ("of",)}
_TIMED = ("run", "end", "connection", "taken-back", *_TEXTS)


def _checked(path: Path, number: int, line: bytes) -> Line:
    """Return a line's event. Raises `JournalFailed` for one that no version wrote so, or that a newer version wrote."""
    try:
        event = parsed(line)
    except ValueError:
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str) or not isinstance(event.get("v", 0), int):
        raise _odd(path, number, "is not readable")
    if event.get("v", 0) > VERSION:
        raise JournalFailed(path, "it was written by a newer version of this tool", "Update the tool, then run again")
    texts = [name for name in _TEXTS.get(event["event"], ()) if not isinstance(event.get(name), str)]
    if event.get("v", 0) >= NUMBERED and event["event"] in _TIMED:
        texts += [name for name in _NUMBERS.get(event["event"], ()) if type(event.get(name)) is not int]
        texts += [] if _time(event.get("time")) else ["time"]
        texts += [name for name in ("undo", "made") if not isinstance(event.get(name) or {}, dict)]
        texts += ["sent_at"] if event.get("sent_at") and not _time(event["sent_at"]) else []
    if texts:
        raise _odd(path, number, f"holds a {event['event']} event without a usable {texts[0]}")
    return event


def _time(value: object) -> datetime | None:
    """Return an aware time of a journal, None for what is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else None


def _odd(path: Path, number: int, what: str) -> JournalFailed:
    return JournalFailed(path, f"line {number} {what}", "Restore the file from a copy, or move it away and run again")


@dataclass
class LastRun:
    """What a journal tells of the last run in it, as far as reports and summaries need it; requests may be many thousands.

    `begun` and `ended` are the events of those names, None where there is none; `results` by step, the latest of each in the
    order they first came; `step` is the last that any event names; the times are as in the journal. `settings` is the digest of
    what the run was given last, empty before version 3; `undone` is the event that says that the run was taken back.
    """

    begun: Begun | None = None
    ended: Ended | None = None
    results: dict[str, Result] = field(default_factory=dict)
    step: str = ""
    first_at: str = ""
    last_at: str = ""
    settings: str = ""
    undone: Undone | None = None

    @classmethod
    def of(cls, path: Path) -> LastRun | None:
        """Read a journal; None when there is none, or nothing in it. Raises `JournalFailed`."""
        found: LastRun | None = None
        for event in each_event(path) if path.exists() else ():
            if found is None or isinstance(event, Begun):
                found = cls()
            found._take(event)
        return found

    def _take(self, event: Event) -> None:
        self.last_at = event.time
        self.first_at = self.first_at or self.last_at
        self.step = getattr(event, "step", "") or self.step
        match event:
            case Begun():
                self.begun = self.begun or event
                self.settings = event.text("settings")
            case SettingsChanged():
                self.settings = event.settings
            case Ended():
                self.ended = event
            case Undone():
                self.undone = event
            case Result():
                self.results[event.step] = event
