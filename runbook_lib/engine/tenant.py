"""What the engine needs to know of the tenant that it works for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.recovery import Recovery
from runbook_lib.http.service import Service

T = TypeVar("T")


class Accepted(Protocol):
    """One acceptance on record: the hazard, the number of people, who accepted it and when."""

    @property
    def hazard(self) -> str:
        """The hazard's name."""

    @property
    def count(self) -> int:
        """How many people it was accepted for."""

    @property
    def who(self) -> str:
        """Who accepted it."""

    @property
    def when(self) -> str:
        """When, as text."""


class Acceptances(Protocol):
    """What has been accepted of hazards."""

    @property
    def accepted(self) -> Sequence[Accepted]:
        """The acceptances that a person gave, oldest first."""

    def accepts(self, name: str, count: int = 0) -> bool:
        """Whether a hazard is accepted for so many people."""


class Tenant(Protocol):
    """One tenant: its readings, its services, and what is remembered of earlier writes.

    `settings` are passed on to the steps; the engine itself asks them for acceptances alone. `inside` names, by a part of a
    request's path, the kind of thing that such a request needs: just made, it may not be known there yet.
    """

    @property
    def settings(self) -> Acceptances:
        """The settings of the tenant."""

    @property
    def clock(self) -> Callable[[], float]:
        """What counts the seconds by which readings age."""

    @property
    def memory(self) -> Recovery:
        """What is remembered of writes."""

    @property
    def services(self) -> Mapping[str, Service]:
        """The services, by the name that requests call them."""

    @property
    def lists_late(self) -> Service:
        """The service that lists only after a while what it took."""

    @property
    def inside(self) -> Mapping[str, str]:
        """By a part of a path, the kind of thing that a request of such a path needs."""

    def read(self, fact: Fact[T], max_age_s: float = ...) -> T:
        """Return a fact's value."""

    def read_ahead(self, *facts: Fact[Any]) -> None:
        """Read facts before they are needed."""

    def read_again(self, *facts: Fact[Any]) -> None:
        """Drop readings and read them afresh."""

    def learn(self, fact: Fact[T], value: T) -> None:
        """Keep what the answer to the latest request holds of a fact, as if it had been read."""

    def forget(self, *facts: Fact[Any]) -> None:
        """Drop readings that a write made stale; none named drops all."""

    def is_latest(self, fact: Fact[Any], max_age_s: float) -> bool:
        """Whether a reading is one answer, no older than this, after which no request was sent."""

    def told_by(self, fact: Fact[Any]) -> frozenset[str]:
        """Return the names of the services that a reading asked when it was last read."""

    def stale(self, max_age_s: float, *facts: Fact[Any]) -> bool:
        """Drop the readings that are older, of the named facts or of all; say whether there were any."""
