"""Readings of a tenant: named, shared between steps, kept for a moment, dropped by a write."""

from __future__ import annotations

import contextlib
import functools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from runbook_lib.http.ahead import Ahead, Asked
from runbook_lib.http.message import understood
from runbook_lib.http.service import Service
from runbook_lib.http.waves import read_in_waves

T = TypeVar("T")
FRESH_S = 10.0  # a reading older than this is repeated before a write that depends on it
RIGHT_BEFORE_S = 0.5  # no request lies between such a reading and its write; the time is what the page itself takes
JUST_READ_S = 1.0  # read what a write replaces at most this long before it, to keep another writer's change


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A named reading; `look` gets the tenant. A derived one costs no request and is never kept.

    `is_lasting`: no one can change it, so that it is read once.
    """

    name: str
    look: Callable[[Any], T]
    is_derived: bool = False
    is_lasting: bool = False


def fact(look: Callable[[Any], T]) -> Fact[T]:
    """Make a fact of a function that reads it."""
    return Fact(look.__name__, look)


def lasting(look: Callable[[Any], T]) -> Fact[T]:
    """Make a fact of a function that reads what no one can change."""
    return Fact(look.__name__, look, is_lasting=True)


def derived(look: Callable[[Any], T]) -> Fact[T]:
    """Make a fact of a function that only combines other facts."""
    return Fact(look.__name__, look, is_derived=True)


@dataclass
class _Noted:
    """The requests of a reading, by service, and when the oldest of the reused responses was requested."""

    asked: tuple[tuple[str, Asked], ...] = ()
    oldest: float = float("inf")


@dataclass(kw_only=True)
class KeptReadings(ABC):
    """The readings of one tenant. They are shared between steps and age by `clock`, in seconds."""

    clock: Callable[[], float] = time.monotonic
    _readings: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _asked: dict[str, tuple[tuple[str, Asked], ...]] = field(default_factory=dict)
    _last: dict[str, Any] = field(default_factory=dict)
    _lasting: set[str] = field(default_factory=set)

    @property
    @abstractmethod
    def services(self) -> Mapping[str, Service]:
        """The services that are read from, by the name that requests call them."""

    @property
    def may_read_ahead(self) -> bool:
        """Whether the run may request readings before a step needs them."""
        return True

    def __post_init__(self) -> None:
        for service in self.services.values():
            service.ahead = Ahead(self.clock)

    def read(self, fact: Fact[T], max_age_s: float = 30.0) -> T:
        """Return a fact's value, read again when it is older than `max_age_s`."""
        if fact.is_derived:
            return fact.look(self)
        kept = self._readings.get(fact.name)
        if kept is not None and (fact.is_lasting or self.clock() - kept[0] <= max_age_s):
            value: T = kept[1]
            return value
        with self._noted() as noted, understood(f"the {fact.name.replace('_', ' ')}"):
            value = fact.look(self)
        self._readings[fact.name] = (min(self.clock(), noted.oldest), value)
        self._asked[fact.name] = noted.asked
        self._last[fact.name] = value
        if fact.is_lasting:
            self._lasting.add(fact.name)
        return value

    @contextlib.contextmanager
    def _noted(self) -> Iterator[_Noted]:
        """Note the requests of a reading itself and the age of the oldest response it used. Nested readings note their own."""
        services = tuple(self.services.values())
        outer = [(service.ahead.trace, service.ahead.oldest) for service in services]
        for service in services:
            service.ahead.trace, service.ahead.oldest = [], float("inf")
        noted = _Noted()
        try:
            yield noted
            noted.asked = tuple((service.name, asked) for service in services for asked in service.ahead.trace)
        finally:
            noted.oldest = min(service.ahead.oldest for service in services)
            for service, (trace, oldest) in zip(services, outer, strict=True):
                service.ahead.trace, service.ahead.oldest = trace, oldest

    def read_ahead(self, *facts: Fact[Any]) -> None:
        """Read facts in as few waves as their dependencies allow, all services at once. An error waits where it is read.

        Readings that are kept and young enough are not repeated. Nothing is read ahead until a person has signed in.
        """
        if not self.may_read_ahead:
            return
        looks = {fact.name: functools.partial(self.read, fact) for fact in facts}
        earlier = [asked for fact in facts if fact.name not in self._readings for asked in self._asked.get(fact.name, ())]
        read_in_waves(looks, tuple(self.services.values()), earlier)

    def known(self, fact: Fact[T]) -> T | None:
        """Return the kept value of a fact, however old. None where it was not read, or a write dropped it."""
        kept = self._readings.get(fact.name)
        return kept[1] if kept else None

    def last(self, fact: Fact[T]) -> T | None:
        """Return the last value read of a fact, for display: it may be old, and a write may have changed it since."""
        return self._last.get(fact.name)

    def read_again(self, *facts: Fact[Any]) -> None:
        """Drop readings and read them again. The requests that they sent before are sent together.

        A reading from a moment ago stays if no request was sent since: to repeat it would only ask the same twice.
        """
        if old := [fact for fact in facts if not self.is_latest(fact, RIGHT_BEFORE_S)]:
            self.forget(*old)
        self.read_ahead(*facts)

    def learn(self, fact: Fact[T], value: T) -> None:
        """Keep the value of a fact that the answer to the latest request holds; it is as old as that request."""
        self._readings[fact.name] = (max(service.ahead.began_at for service in self.services.values()), value)
        self._last[fact.name] = value

    def forget(self, *facts: Fact[Any]) -> None:
        """Drop readings that a write made stale; none named drops all."""
        self._drop_answers()
        for name in [fact.name for fact in facts] or list(self._readings):
            self._readings.pop(name, None)

    def _drop_answers(self) -> None:
        """Drop unused responses to requests that were sent ahead: they may be older than what the run must read now."""
        for service in self.services.values():
            service.ahead.clear()

    def is_latest(self, fact: Fact[Any], max_age_s: float) -> bool:
        """Whether a reading rests on one response, no older than this, with no later request to any service."""
        kept, asked = self._readings.get(fact.name), self._asked.get(fact.name, ())
        if kept is None or len(asked) != 1:
            return False
        began_at = max(service.ahead.began_at for service in self.services.values())
        return kept[0] >= began_at and self.clock() - kept[0] <= max_age_s

    def told_by(self, fact: Fact[Any]) -> frozenset[str]:
        """Return the names of the services that a reading asked when it was last read; none where it needed no request."""
        return frozenset(service for service, _ in self._asked.get(fact.name, ()))

    def stale(self, max_age_s: float, *facts: Fact[Any]) -> bool:
        """Drop the readings older than `max_age_s`, of the named facts or of all; say whether there were any.

        Lasting facts, which no one can change, stay unless they are named.
        """
        self._drop_answers()
        now, names = self.clock(), {fact.name for fact in facts} or self._readings.keys() - self._lasting
        old = [n for n, kept in self._readings.items() if n in names and now - kept[0] > max_age_s]
        for name in old:
            del self._readings[name]
        return bool(old)
