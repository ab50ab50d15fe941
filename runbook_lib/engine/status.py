"""What became of a step and of a tenant: each word once, with its sentence, icon, tone and exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """How urgent a status looks, the most urgent first."""

    STOP = "stop"
    HAND = "hand"
    IDLE = "idle"
    DUE = "due"
    DONE = "done"

    @property
    def colour(self) -> str:
        """A CSS colour that carries white text with a contrast of at least 4.5 to 1."""
        return _COLOURS[self]


_COLOURS = {Tone.STOP: "#c62828", Tone.HAND: "#8a4b00", Tone.IDLE: "#6e7781", Tone.DUE: "#0969da", Tone.DONE: "#1a7f37"}


class Status(StrEnum):
    """What became of one step."""

    UNCHANGED = "UNCHANGED"
    PLANNED = "PLANNED"
    CHANGED = "CHANGED"
    PASSED = "PASSED"
    NOTED = "NOTED"
    HANDOVER = "HANDOVER"
    SKIPPED = "SKIPPED"
    BLOCKED = "BLOCKED"
    FAILED = "FAILED"

    @property
    def word(self) -> str:
        """What the page calls it."""
        return _LOOKS[self].word

    @property
    def sentence(self) -> str:
        """What a card says when the step gives no reason of its own; empty when it always gives one."""
        return _LOOKS[self].sentence

    @property
    def meaning(self) -> str:
        """What a legend says of it."""
        return _MEANINGS[self]

    @property
    def icon(self) -> str:
        """One character that stands for it in a table."""
        return _LOOKS[self].icon

    @property
    def tone(self) -> Tone:
        """How urgent it looks."""
        return _LOOKS[self].tone

    @property
    def is_bad(self) -> bool:
        """Whether a person has to act before the step can go on."""
        return self.tone is Tone.STOP


@dataclass(frozen=True)
class _Look:
    word: str
    sentence: str
    icon: str
    tone: Tone


_LOOKS = {
    Status.UNCHANGED: _Look("Already right", "Already as wanted.", "=", Tone.DONE),
    Status.PLANNED: _Look("To do", "This will be written when you press Apply.", "\u25cb", Tone.DUE),
    Status.CHANGED: _Look("Done", "Written, and the service shows it.", "\u2713", Tone.DONE),
    Status.PASSED: _Look("Checked", "As it should be.", "\u2713", Tone.DONE),
    Status.NOTED: _Look("Note", "", "i", Tone.IDLE),
    Status.HANDOVER: _Look("Handed over", "This is for the administrator of the other side.", "\u2192", Tone.HAND),
    Status.SKIPPED: _Look("Skipped", "Not done.", "\u2013", Tone.IDLE),
    Status.BLOCKED: _Look("Stopped", "", "\u25a0", Tone.STOP),
    Status.FAILED: _Look("Failed", "", "\u2716", Tone.STOP),
}

_MEANINGS = {
    Status.UNCHANGED: "was as wanted, nothing was written",
    Status.PLANNED: "would be written",
    Status.CHANGED: "written, and the service shows it",
    Status.PASSED: "looked at, as it must be",
    Status.NOTED: "nothing to write here",
    Status.HANDOVER: "the other administrator does it",
    Status.SKIPPED: "not done",
    Status.BLOCKED: "a condition is not met, nothing was written",
    Status.FAILED: "it was tried and did not succeed",
}


class Outcome(StrEnum):
    """What became of one tenant, the most urgent first."""

    FAILED = "failed"
    BLOCKED = "blocked"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    HANDOVER = "handover"
    NOT_STARTED = "not-started"
    PENDING = "pending"
    DONE = "done"
    UNCHANGED = "unchanged"
    UNDONE = "undone"

    @property
    def word(self) -> str:
        """What pages, files and the terminal call it; the same as of the step that decides it."""
        return _ENDS[self].word

    @property
    def icon(self) -> str:
        """One character that stands for it."""
        return _ENDS[self].icon

    @property
    def exit_code(self) -> int:
        """The process's exit code when no other tenant's outweighs it."""
        return _ENDS[self].exit_code

    @property
    def tone(self) -> Tone:
        """How urgent it looks."""
        return _ENDS[self].tone


@dataclass(frozen=True)
class _End:
    word: str
    icon: str
    exit_code: int
    tone: Tone


_ENDS = {
    Outcome.FAILED: _End("Failed", "\u2716", 1, Tone.STOP),
    Outcome.BLOCKED: _End("Stopped", "\u25a0", 3, Tone.STOP),
    Outcome.BUSY: _End("Held by another run", "\u25c6", 5, Tone.STOP),
    Outcome.INTERRUPTED: _End("Interrupted", "!", 1, Tone.STOP),
    Outcome.HANDOVER: _End("Handed over", "\u2192", 4, Tone.HAND),
    Outcome.NOT_STARTED: _End("Not started", "\u2013", 1, Tone.IDLE),
    Outcome.PENDING: _End("To do", "\u25cb", 4, Tone.DUE),
    Outcome.DONE: _End("Done", "\u2713", 0, Tone.DONE),
    Outcome.UNCHANGED: _End("Already right", "=", 0, Tone.DONE),
    Outcome.UNDONE: _End("Taken back", "\u21b6", 0, Tone.IDLE),
}
_OUTWEIGHS = (1, 5, 3, 4)  # a failure outweighs a busy tenant, that a block, that open work


def counted(counts: Mapping[str, int]) -> str:
    """Return how many tenants ended how, the most urgent first: `2 stopped, 31 done`."""
    return ", ".join(f"{counts[end]} {end.word.lower()}" for end in Outcome if counts.get(end))


def exit_code(outcomes: Iterable[str]) -> int:
    """Return the exit code for tenants that ended so. Raises `ValueError` for a word that is no `Outcome`."""
    codes = {Outcome(outcome).exit_code for outcome in outcomes}
    return next((code for code in _OUTWEIGHS if code in codes), 0)
