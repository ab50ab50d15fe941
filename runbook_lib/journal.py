"""The record of a tenant's run: append-only JSON lines, each in the file before the next thing happens.

Every intent is written before its request and every outcome after it, so that a run killed at any moment leaves a truth that
resume, undo and the reports can read. Status comes from here, never from the notebook's own metadata. What tells of a request
is on the disk, not only in the file, when `write` returns: it is there after a power cut too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib.errors import JournalFailed
from runbook_lib.secret import scrubber

VERSION = 2
Event = Mapping[str, Any]
_DERIVED = ("result",)  # tells nothing that planning again would not; 26 times a run a slow disk would be waited for
_CLOCK_STEP_S = 2.0  # a Date header counts whole seconds
_ANSWER_LIMIT_S = 300.0  # longer than any request is waited for


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
            self._count = None  # a part of the line may be there: cut it off before the next one
            raise JournalFailed(
                self.path, broken.strerror or str(broken), "Make room, or choose another folder, then run again"
            ) from None
        self._count += 1
        return self._count

    def events(self) -> tuple[Event, ...]:
        """Return all events, oldest first; empty when there is no journal. Raises `JournalFailed`."""
        return read_events(self.path) if self.path.exists() else ()

    def _opened(self) -> int:
        """Make the folder, cut off what a kill left of a last line, and return how many events there are."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.path.exists():
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))
            _sync_folder(self.path.parent)
            return 0
        content = self.path.read_bytes()
        if not content.endswith(b"\n"):  # an event that never was on record: nothing was sent after it
            os.truncate(self.path, content.rfind(b"\n") + 1)
        return len(read_events(self.path))


def _append(path: Path, line: str, *, is_synced: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
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


def read_events(path: Path) -> tuple[Event, ...]:
    """Return the events of a journal, see `each_event`."""
    return tuple(each_event(path))


def each_event(path: Path) -> Iterator[Event]:
    """Yield the events of a journal. A torn last line is what a kill leaves and is passed over; a torn middle is an error.

    Raises `JournalFailed`, also for a journal that a newer version wrote.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError:
                event = None
            if not isinstance(event, dict) or "event" not in event:
                raise JournalFailed(
                    path, f"line {number} is not readable", "Restore the file from a copy, or move it away and run again"
                )
            if event.get("v", 0) > VERSION:
                raise JournalFailed(path, "it was written by a newer version of this tool", "Update the tool, then run again")
            yield event


@dataclass
class LastRun:
    """What a journal tells of the last run in it, as far as reports and summaries need it; requests may be many thousands.

    `begun` and `ended` are the events of those names, None where there is none; `results` by step, the latest of each in the
    order they first came; `step` is the last that any event names; the times are as in the journal.
    """

    begun: Event | None = None
    ended: Event | None = None
    results: dict[str, Event] = field(default_factory=dict)
    step: str = ""
    first_at: str = ""
    last_at: str = ""

    @classmethod
    def of(cls, path: Path) -> LastRun | None:
        """Read a journal; None when there is none, or nothing in it. Raises `JournalFailed`."""
        found: LastRun | None = None
        for event in each_event(path) if path.exists() else ():
            if found is None or event["event"] == "run":
                found = cls()
            found._take(event)
        return found

    def _take(self, event: Event) -> None:
        self.last_at = str(event.get("time", ""))
        self.first_at = self.first_at or self.last_at
        self.step = str(event.get("step", self.step))
        match event["event"]:
            case "run":
                self.begun = event
            case "end":
                self.ended = event
            case "result":
                self.results[event["step"]] = event


@dataclass(frozen=True)
class Doubt:
    """A write of an earlier run whose outcome nobody knows. `sent_at` is the service's own time, `before` the ids there were."""

    step: str
    request: str
    time: datetime
    sent_at: datetime | None
    before: tuple[str, ...]

    def may_have_made(self, created_at: str) -> bool:
        """Whether what a service made at this time, by its own clock, was made in the minutes of the request."""
        if self.sent_at is None:
            return False
        try:
            later_s = (datetime.fromisoformat(created_at) - self.sent_at).total_seconds()
        except ValueError:
            return False
        return -_CLOCK_STEP_S <= later_s <= _ANSWER_LIMIT_S


@dataclass(frozen=True)
class Past:
    """What earlier runs of a tenant left behind: ids of what they made, by kind and oldest first, and open doubts.

    `given_tokens` are the ids of the SCIM tokens that were sent to Entra, the latest last, whether or not it took them.
    """

    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made_at: Mapping[str, datetime] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
    given_tokens: tuple[str, ...] = ()


def past_of(journals: Iterable[Path], auth0_domain: str, connection: str) -> Past:
    """Return what the journals of one connection tell, read in the order of time. Raises `JournalFailed`.

    Those of other connections tell nothing here, nor does one of version 1, which did not number its events.
    """
    made: dict[str, list[str]] = {}
    made_at: dict[str, datetime] = {}
    open_intents: dict[tuple[Path, int], Doubt] = {}
    given: list[str] = []
    ours = [(path, read) for path in journals if _is_of(read := read_events(path), auth0_domain, connection)]
    events = [(time, path, event) for path, read in ours for time, event in _in_time(read)]
    for _, path, event in sorted(events, key=lambda entry: entry[0]):
        if event["event"] == "intent":
            open_intents[path, int(event["n"])] = _doubt(event)
            given += [token for token in ((event.get("undo") or {}).get("token"),) if token]
        elif event["event"] == "outcome" and event["result"] != "unknown":
            open_intents.pop((path, int(event["of"])), None)
            for kind, value in (event.get("made") or {}).items():
                made.setdefault(kind, []).append(str(value))
                made_at[str(value)] = datetime.fromisoformat(event["time"])
        if event["event"] == "settled" or (event["event"] == "outcome" and event["result"] == "applied"):
            same = (event["step"], event["request"])  # sent again and known now, or looked for in vain
            open_intents = {key: doubt for key, doubt in open_intents.items() if (doubt.step, doubt.request) != same}
    return Past({kind: tuple(ids) for kind, ids in made.items()}, made_at, tuple(open_intents.values()), tuple(given))


def _in_time(events: tuple[Event, ...]) -> Iterator[tuple[str, Event]]:
    """Yield each event with a time that no later one comes before: within a journal its order tells, whatever the clock did."""
    latest = ""
    for event in events:
        latest = max(latest, str(event["time"]))
        yield latest, event


def _is_of(events: tuple[Event, ...], auth0_domain: str, connection: str) -> bool:
    runs = {(event.get("auth0_domain"), event.get("connection"), event["v"]) for event in events if event["event"] == "run"}
    return runs == {(auth0_domain, connection, VERSION)}


def _doubt(event: Event) -> Doubt:
    sent_at = event.get("sent_at")
    return Doubt(
        event["step"],
        event["request"],
        datetime.fromisoformat(event["time"]),
        datetime.fromisoformat(sent_at) if sent_at else None,
        tuple(event.get("before") or ()),
    )
