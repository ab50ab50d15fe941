"""One tenant, its services and its journal, in memory, for tests of the engine's parts. `log` holds all that they do."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.recovery import Recovery
from runbook_lib.engine.step import Body, Kind, Step
from runbook_lib.http.message import Request, Response
from runbook_lib.http.retry import Pace

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVICE_NOON = NOON - timedelta(seconds=90)  # its clock is another one
PACE = Pace(first_s=1, factor=2, cap_s=4, total_s=10, poll_s=7)  # waits 1, 2, 4, 4
MAKE = Request("north", "POST", "/things", body={"name": "x"})
NUMBERS = StepNumbers({"thing": "3.2", "saving": "3.9"})


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def api_error(status: int = 400, code: str = "", attempted: str = "POST /things") -> ApiError:
    return ApiError(attempted, status, code, "", "", "Do something")


def lost(*, ambiguous: bool = True) -> TransportError:
    return TransportError("POST /things", "nothing", ambiguous=ambiguous)


@functools.cache
def fact(name: str = "there") -> Fact[Any]:
    """Return a reading whose value is what the world holds under its name."""
    return Fact(name, lambda world: world.values.get(name))


def step(function: Callable[..., Any], number: str = "3.2", kind: Kind = Kind.ENSURE, thing: str = "thing", **body: Any) -> Step:
    return Step(number, f"Title {number}", Body(thing, kind, function, **body))


@dataclass
class Service:
    """A service that answers each request line with what `answers` hold for it, the last one for ever."""

    name: str
    log: list[Any]
    date: datetime | None = SERVICE_NOON
    answers: dict[str, list[Any]] = field(default_factory=dict)
    turn: Callable[[], None] = lambda: None  # what happens while a turn is waited for

    def send(self, request: Request) -> Response:
        return self._answer("send", request)

    def ask(self, request: Request) -> Response:
        return self._answer("ask", request)

    def take_turn(self, request: Request) -> None:
        self.log.append(("turn", self.name, request.line))
        self.turn()

    def give_turn_back(self) -> None:
        self.log.append(("turn back", self.name))

    def _answer(self, how: str, request: Request) -> Response:
        self.log.append((how, request.line))
        answers = self.answers.get(request.line, [Response(200, {})])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """The tenant, with two services, a clock that sleeping moves on, and a journal; `values` are what its readings hold."""

    def __init__(self, **values: Any) -> None:
        self.values = values
        self.log: list[Any] = []
        self.lines: list[dict[str, Any]] = []  # of the journal
        self.time = NOON
        self.north, self.south = Service("north", self.log), Service("south", self.log)
        self.memory = Recovery()
        self.settings = Settings()
        self.inside: Mapping[str, str] = {"/in": "thing"}
        self.old: set[str] = set()  # the readings that are too old before a write
        self.latest: set[str] = set()
        self.tellers: dict[str, set[str]] = {}  # by reading, the services that it asks

    # The engine's tenant

    @property
    def services(self) -> Mapping[str, Any]:
        return {"north": self.north, "south": self.south}

    @property
    def lists_late(self) -> Any:
        return self.south

    def clock(self) -> float:
        return self.time.timestamp()

    def told_by(self, fact: Fact[Any]) -> frozenset[str]:
        return frozenset(self.tellers.get(fact.name, {"north", "south"}))

    def read(self, fact: Fact[Any], max_age_s: float = 30.0) -> Any:
        self.log.append(("read", fact.name))
        return fact.look(self)

    def read_ahead(self, *facts: Fact[Any]) -> None:
        self.log.append(("read ahead", *(fact.name for fact in facts)))

    def read_again(self, *facts: Fact[Any]) -> None:
        self.log.append(("read again", *(fact.name for fact in facts)))

    def learn(self, fact: Fact[Any], value: Any) -> None:
        self.log.append(("learn", fact.name, value))
        self.values[fact.name] = value

    def forget(self, *facts: Fact[Any]) -> None:
        self.log.append(("forget", *(fact.name for fact in facts)))

    def is_latest(self, fact: Fact[Any], max_age_s: float) -> bool:
        self.log.append(("latest", fact.name, max_age_s))
        return fact.name in self.latest

    def stale(self, max_age_s: float, *facts: Fact[Any]) -> bool:
        self.log.append(("stale", max_age_s, *(fact.name for fact in facts)))
        found = {fact.name for fact in facts} & self.old
        self.old -= found
        return bool(found)

    # Its journal and its clock

    def write(self, event: str, **facts: Any) -> int:
        self.log.append(("journal", event))
        self.lines.append({"event": event, **facts})
        return len(self.lines)

    def sleep(self, wait_s: float) -> None:
        self.log.append(("sleep", wait_s))
        self.time += timedelta(seconds=wait_s)

    def now(self) -> datetime:
        return self.time

    # What was done

    def done(self, *kinds: str) -> list[Any]:
        """Return what was done of these kinds, in order."""
        return [entry for entry in self.log if entry[0] in kinds]


@dataclass
class Settings:
    """What has been accepted: by name, for so many people, and who did."""

    given: dict[str, int] = field(default_factory=dict)
    accepted: list[Any] = field(default_factory=list)

    def accepts(self, name: str, count: int = 0) -> bool:
        return self.given.get(name, -1) >= count


def acceptance(hazard: str, count: int, who: str, when: str) -> Any:
    return SimpleNamespace(hazard=hazard, count=count, who=who, when=when)


class Guard:
    """A guard that asks nothing, and writes `request` of its own before the first write."""

    def __init__(self, world: World, request: Request | None = None) -> None:
        self.world, self.request = world, request

    def before(self, request: Request, noted: Callable[..., None], *, is_last: bool) -> None:
        self.world.log.append(("guard", request.line, is_last))
        if self.request is not None:
            own, self.request = self.request, None
            noted("thing", "the notes", own, {"kind": "notes"})

    def release(self, noted: Callable[..., None]) -> None:
        noted("thing", "the notes", Request("south", "PATCH", "/notes"), {})


@dataclass(frozen=True)
class LongPace(Pace):
    """A pace whose waits do not end with the time that it names."""

    def waits(self) -> Any:
        return itertools.repeat(self.first_s)
