"""A person's source attributes and the evaluated arguments of one function call.

Values are None (null), a text, a bool, an int, an aware UTC time, or a tuple of texts (a multi-valued attribute).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runbook_lib.tenant.forecast import dotnet
from runbook_lib.tenant.forecast.expressions import CannotTell

Value = None | str | bool | int | datetime | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """The source attributes by Entra's names; one that is not among them was not read. `now` is None where no time is given."""

    attributes: Mapping[str, Value]
    now: Callable[[], datetime] | None = None


def text_of(value: Value) -> str:
    """Return a single value as text: booleans as True and False, times in the language's form."""
    if isinstance(value, datetime):
        return dotnet.shown(value)
    if value is None or isinstance(value, tuple):
        raise CannotTell("a null or a list of values where a text is needed")
    return str(value)


class Arguments:
    """The evaluated arguments of one call."""

    def __init__(self, function: str, named: Mapping[str, Value], rest: Sequence[Value], person: Person) -> None:
        self.function = function
        self.named = named
        self.rest = rest
        self.person = person

    def value(self, name: str) -> Value:
        """Return an argument as it is, None where it is empty."""
        return self.named.get(name)

    def has(self, name: str) -> bool:
        """Say whether an argument is given."""
        return name in self.named

    def text(self, name: str) -> str:
        """Return an argument as text. Raises `CannotTell` for null and for a list."""
        value = self.named.get(name)
        if value is None or isinstance(value, tuple):
            raise CannotTell(f"{self.function} of a null or of a list is not documented")
        return text_of(value)

    def number(self, name: str) -> int:
        """Return an argument as a whole number. Raises `CannotTell` for anything else."""
        text = self.text(name)
        if not re.fullmatch(r"-?\d+", text):
            raise CannotTell(f"{self.function} needs a number and got {text!r}")
        return int(text)

    def time(self, name: str) -> datetime:
        """Return an argument as a UTC time. Raises `CannotTell` for a text of an unknown form."""
        value = self.named.get(name)
        return value if isinstance(value, datetime) else dotnet.date(self.text(name))
