"""Texts that name a step by the thing it is about; which number it has is known to the document that is carried out alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PLACE = re.compile(r"\{(step of|sections in) ([^{}]+)\}")


def number_of(thing: str) -> str:
    """Return the place in a text where the number of the step goes that is about a thing."""
    return f"{{step of {thing}}}"


def sections_in(side: str) -> str:
    """Return the place in a text where the sections of a side go."""
    return f"{{sections in {side}}}"


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of a document's steps, by the thing that each is about, and of its sections, by side."""

    by_thing: Mapping[str, str] = field(default_factory=dict)
    by_side: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of(self, thing: str) -> str:
        """Return the number of a thing's step; the thing itself where the document has no such step."""
        return self.by_thing.get(thing, thing)

    def sections(self, side: str) -> str:
        """Return the sections of a side in words, with their numbers."""
        numbers = self.by_side.get(side, ())
        if len(numbers) < 2:
            return f"section {numbers[0]}" if numbers else "the steps of that side"
        return f"sections {', '.join(numbers[:-1])} and {numbers[-1]}"

    def put_in(self, text: str) -> str:
        """Return a text with the numbers in their places."""
        return _PLACE.sub(self._number, text) if "{s" in text else text

    def _number(self, found: re.Match[str]) -> str:
        return self.of(found[2]) if found[1] == "step of" else self.sections(found[2])
