"""A procedure as data: sections of rows, each row a documented step with its body."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbook_lib.core.step_numbers import StepNumbers
from runbook_lib.engine.step import Body, Step
from runbook_lib.procedures.screen import Screen
from runbook_lib.steps.by_hand import AUTH0, ENTRA
from runbook_lib.tenant.console_links import Place


@dataclass(frozen=True)
class Row:
    """One documented step. `documented` is what the document says of it, empty for what it takes for granted.

    `label` has at most 18 characters, for a list. A person does it by hand in `console`; `screen` is what to look at there, None
    where there is nothing to.
    """

    number: str
    title: str
    body: Body
    label: str
    console: Place
    documented: str = ""
    screen: Screen | None = None

    @property
    def step(self) -> Step:
        """The step as the engine carries it out."""
        return Step(self.number, self.title, self.body)


@dataclass(frozen=True)
class Section:
    """One section of the document. `label` is its title in a word or two; `side` whose console it is done in, empty for both."""

    number: str
    title: str
    label: str
    rows: tuple[Row, ...]
    side: str = ""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers of its rows, in order."""
        return tuple(row.number for row in self.rows)

    @property
    def heading(self) -> str:
        """The label with its number; a section that the document does not number has none."""
        return self.label if self.number == "0" else f"{self.number} {self.label}"


@dataclass(frozen=True)
class Procedure:
    """One document. `page` is where the vendor publishes it.

    `notebook` is the page that carries it out: a name among the notebooks, or a path, without suffix.
    """

    name: str
    page: str
    notebook: str
    sections: tuple[Section, ...]

    def __iter__(self) -> Iterator[Row]:
        """Return all rows, in the document's order."""
        return (row for section in self.sections for row in section.rows)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return sum(len(section.rows) for section in self.sections)

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all rows, in the document's order."""
        return tuple(row.step for row in self)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers of all rows, in the document's order."""
        return tuple(row.number for row in self)

    @property
    def by_thing(self) -> StepNumbers:
        """The numbers of all rows, by what each is about, and of the sections by side."""
        sides = {side: tuple(one.number for one in self.sections if one.side == side) for side in (AUTH0, ENTRA)}
        return StepNumbers({row.body.thing: row.number for row in self}, sides)

    def number_of(self, thing: str) -> str:
        """Return the number of the row that is about a thing, empty when there is none."""
        return next((row.number for row in self if row.body.thing == thing), "")

    def row(self, number: str) -> Row:
        """Return the row of a number. Raises `KeyError` for a number that the document does not have."""
        for row in self:
            if row.number == number:
                return row
        raise KeyError(number)

    def section(self, number: str) -> Section:
        """Return the section of a step's or a section's number. Raises `KeyError` when there is none."""
        for section in self.sections:
            if section.number == number.partition(".")[0]:
                return section
        raise KeyError(number)
