"""How fast a limit is refilled, learned from what its answers say is left."""

from __future__ import annotations

from dataclasses import dataclass

_LONGEST_S = 120.0  # of one look; the first are shorter, since a limit that is full in between is refilled for nothing


@dataclass
class Refill:
    """The rate at which a limit is surely refilled, `per_second`; 0 while that is not known.

    Learned between two answers, with no other request in flight: what is left went down by the requests sent in
    between and up by what was refilled. An answer tells whole requests, so that one less is counted, and the time is taken from
    the sending of the first to the arrival of the second. So the rate is never too high, and the longer the time the closer.
    """

    per_second: float = 0.0
    number: int = 0  # of the first answer's request
    remaining: int = -1  # what it said; -1: there is none
    sent_at: float = 0.0
    lasts_s: float = 5.0  # then the next look begins

    def look(self, remaining: int, number: int, during: tuple[float, float]) -> None:
        """Take an answer into account: what is left, the how manieth request it was of, when it was sent and answered."""
        sent_at, now = during
        if self.remaining >= 0 and now > self.sent_at:
            refilled = remaining - self.remaining - 1 + number - self.number
            self.per_second = max(self.per_second, refilled / (now - self.sent_at))
        if self.remaining < 0 or now - self.sent_at > self.lasts_s:
            self.number, self.remaining, self.sent_at = number, remaining, sent_at
            self.lasts_s = min(2 * self.lasts_s, _LONGEST_S)

    def begin_again(self) -> None:
        """Look from the next answer on; what is known stays."""
        self.remaining = -1

    def time_for(self, requests: float) -> float:
        """Return in how many seconds so many requests are refilled; infinite while the rate is not known."""
        return requests / self.per_second if self.per_second > 0 else float("inf")
