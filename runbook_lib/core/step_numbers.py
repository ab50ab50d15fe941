"""Texts that name a step by the thing it is about; which number it has is known to the document that is carried out alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PLACE = re.compile(r"\{step of ([^{}]+)\}")


def number_of(thing: str) -> str:
    """Return the place in a text where the number of the step goes that is about a thing."""
    return f"{{step of {thing}}}"


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of a document's steps, by the thing that each is about."""

    by_thing: Mapping[str, str] = field(default_factory=dict)

    def of(self, thing: str) -> str:
        """Return the number of a thing's step; the thing itself where the document has no such step."""
        return self.by_thing.get(thing, thing)

    def put_in(self, text: str) -> str:
        """Return a text with the numbers in their places."""
        return _PLACE.sub(lambda found: self.of(found[1]), text) if "{step of " in text else text
