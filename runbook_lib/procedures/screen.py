"""The screen of a console on which a person does a step by hand: what to look at there, in which order, by which labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_ROOM = 56  # characters
DASHBOARD, PORTAL = "the Auth0 Dashboard", "the Microsoft Entra admin center"


class Look(StrEnum):
    """What a thing on a screen looks like."""

    SWITCH_ON = "on"
    SWITCH_OFF = "off"
    TICKED = "ticked"
    UNTICKED = "not ticked"
    FIELD = "field"
    ROW = "row"
    BUTTON = "button"


@dataclass(frozen=True)
class Spot:
    """One thing to look at. `value` is what stands there when the step is done, empty where there is nothing to read."""

    label: str
    look: Look
    value: str = ""

    @property
    def words(self) -> str:
        """The thing in words, as a person who does not see the sketch needs it."""
        if self.look in (Look.FIELD, Look.ROW):
            return f"{self.label}: {self.value}" if self.value else self.label
        return f"{self.label} ({self.look})" if self.look is not Look.BUTTON else f"the button {self.label}"


@dataclass(frozen=True)
class Screen:
    """Where a step is done by hand. `path` leads there from the console's menu; `tab` is the one of `tabs` to choose.

    `older` says what an older generation of the console calls it, empty where that is the same. `seconds` is about how long the
    step takes in a real tenant (Unverified: estimated from its requests, and from how long Entra says that copies take).
    """

    console: str
    path: tuple[str, ...]
    spots: tuple[Spot, ...]
    tabs: tuple[str, ...] = ()
    tab: str = ""
    older: str = ""
    seconds: int = 5

    @property
    def numbered(self) -> Iterator[tuple[int, Spot]]:
        """Each spot with its number in the order to look; the tab, where there is one, has the first number."""
        return enumerate(self.spots, start=2 if self.tab else 1)

    @property
    def trail(self) -> str:
        """The end of the path, as much of it as a sketch has room for."""
        shown = list(self.path)
        while len(" › ".join(shown)) > _ROOM and len(shown) > 1:
            del shown[0]
        return " › ".join(shown)

    @property
    def words(self) -> str:
        """The whole sketch in words."""
        first = [f"1: the tab {self.tab}"] if self.tab else []
        marks = [*first, *(f"{number}: {spot.words}" for number, spot in self.numbered)]
        return f"Sketch of {self.console}, {' > '.join(self.path)}. Look at {'; '.join(marks)}."
