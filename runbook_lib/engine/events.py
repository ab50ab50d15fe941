"""The events of a journal, as its readers get them. On disk each is a line of JSON; this is the one place that takes it apart.

An event of an older journal lacks what its version did not write: texts are empty then, numbers 0, and mappings without entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

TRIES = "tries-token"
Line = Mapping[str, Any]  # an event as it stands in the file


@dataclass(frozen=True)
class Event:
    """One event of a run. `v` is the version of the journal, `n` the event's number in it, `time` an ISO text in UTC."""

    v: int
    n: int
    time: str

    @property
    def at(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.time)


@dataclass(frozen=True)
class Begun(Event):
    """A run began. `about` holds what the file says of it: tenant, mode, tool, and what else the run wrote down."""

    about: Line

    def text(self, name: str) -> str:
        """Return one of the texts about the run, empty where it has none."""
        return str(self.about.get(name) or "")


@dataclass(frozen=True)
class SettingsChanged(Event):
    """A person changed the settings. `settings` is their digest."""

    settings: str


@dataclass(frozen=True)
class Named(Event):
    """The run read the id of the thing that the journal is about."""

    id: str


@dataclass(frozen=True)
class Intent(Event):
    """The run is about to send a write. `before` are the ids that existed already, `undo` is what an undo needs.

    `sent_at` is the service's own time, empty where it had told none.
    """

    step: str
    on: str
    request: str
    sent_at: str
    before: tuple[str, ...]
    undo: Line

    @property
    def kind(self) -> str:
        """The kind of thing that is written; empty for a write that cannot be taken back."""
        return str(self.undo.get("kind") or "")


@dataclass(frozen=True)
class Outcome(Event):
    """How a write ended. `of` is the number of its intent, `made` the ids of what it made.

    `is_late`: other requests may not see it for minutes. `part` says which of how many writes of its step it is, None for a step
    of few.
    """

    of: int
    step: str
    request: str
    result: str
    made: Mapping[str, str]
    is_late: bool
    part: tuple[int, int] | None = None

    @property
    def is_known(self) -> bool:
        """Whether it is known what the service did."""
        return self.result != "unknown"

    @property
    def is_applied(self) -> bool:
        """Whether the service did it."""
        return self.result == "applied"


@dataclass(frozen=True)
class Settled(Event):
    """Readings have shown for long enough that a service did not carry out a write in doubt."""

    step: str
    request: str


@dataclass(frozen=True)
class Tries(Event):
    """This tool is about to use a token itself, although the token is for another service."""

    token: str


@dataclass(frozen=True)
class Waiting(Event):
    """A step waits for a service."""

    step: str
    what: str


@dataclass(frozen=True)
class Result(Event):
    """What became of a step. `row` is as in results.json."""

    step: str
    status: str
    row: Line

    @property
    def reason(self) -> str:
        """Why, in words."""
        return str(self.row.get("reason", ""))

    @property
    def remedy(self) -> str:
        """What to do, in words."""
        return str(self.row.get("remedy", ""))


@dataclass(frozen=True)
class TakenBack(Event):
    """An undo has taken a write back. `of` are the numbers of its intents."""

    step: str
    of: tuple[int, ...]


@dataclass(frozen=True)
class Ended(Event):
    """A run ended. `reported` is the time that its report shows, empty in older journals; `forecast` counts people by fate."""

    status: str
    about: str
    people: Mapping[str, str] | None
    reported: str
    forecast: Mapping[str, int]


@dataclass(frozen=True)
class Undone(Event):
    """The run was taken back: when, by which accounts, which steps, and how many of its writes are left."""

    when: str
    people: Mapping[str, str]
    steps: tuple[str, ...]
    left: int


@dataclass(frozen=True)
class Other(Event):
    """An event that a reader may ignore."""

    name: str
    step: str = ""
    about: Line = field(default_factory=dict)


_Base = tuple[int, int, str]
_ABOUT = ("v", "n", "time", "event")


def _text(line: Line, name: str) -> str:
    return str(line.get(name) or "")


def _rest(line: Line) -> Line:
    return {key: value for key, value in line.items() if key not in _ABOUT}


def _intent(line: Line, base: _Base) -> Intent:
    before = tuple(line.get("before") or ())
    step, on, request, sent_at = (_text(line, name) for name in ("step", "on", "request", "sent_at"))
    return Intent(*base, step, on, request, sent_at, before, line.get("undo") or {})


def _outcome(line: Line, base: _Base) -> Outcome:
    step, request, result = (_text(line, name) for name in ("step", "request", "result"))
    made, is_late, part = line.get("made") or {}, bool(line.get("late")), _part(line.get("part"))
    return Outcome(*base, int(line.get("of", 0)), step, request, result, made, is_late, part)


def _part(value: Any) -> tuple[int, int] | None:
    is_pair = isinstance(value, list) and len(value) == 2 and all(isinstance(number, int) for number in value)
    return (value[0], value[1]) if is_pair else None


def _ended(line: Line, base: _Base) -> Ended:
    people, forecast = line.get("people"), line.get("forecast") or {}
    return Ended(*base, _text(line, "status"), _text(line, "about"), people, _text(line, "reported"), forecast)


def _undone(line: Line, base: _Base) -> Undone:
    steps = tuple(map(str, line.get("steps") or ()))
    return Undone(*base, _text(line, "at"), line.get("people") or {}, steps, int(line.get("left") or 0))


_MADE: Mapping[str, Callable[[Line, _Base], Event]] = {
    "run": lambda line, base: Begun(*base, _rest(line)),
    "settings": lambda line, base: SettingsChanged(*base, _text(line, "settings")),
    "connection": lambda line, base: Named(*base, _text(line, "id")),
    "intent": _intent,
    "outcome": _outcome,
    "settled": lambda line, base: Settled(*base, _text(line, "step"), _text(line, "request")),
    TRIES: lambda line, base: Tries(*base, _text(line, "token")),
    "waiting": lambda line, base: Waiting(*base, _text(line, "step"), _text(line, "what")),
    "result": lambda line, base: Result(*base, _text(line, "step"), _text(line, "status"), _rest(line)),
    "taken-back": lambda line, base: TakenBack(*base, _text(line, "step"), tuple(line.get("of") or ())),
    "end": _ended,
    "undone": _undone,
}


def event_of(line: Line) -> Event:
    """Return the event that a line of a journal holds."""
    base = (int(line.get("v", 0)), int(line.get("n") or 0), _text(line, "time"))
    make = _MADE.get(line["event"])
    return make(line, base) if make else Other(*base, line["event"], _text(line, "step"), _rest(line))
