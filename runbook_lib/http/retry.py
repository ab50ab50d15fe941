"""What is sent again, how often and after how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, stop_after_delay

from runbook_lib.core.errors import ApiError, TransportError

TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Pace:
    """How long to wait between tries: `first_s`, then `factor` times more, at most `cap_s`, for `total_s` in all.

    A request is tried `attempts` times at most. `patience_s` is the longest wait that a service may ask for; None: `total_s`.
    `poll_s` lies between two looks at what takes minutes.
    """

    first_s: float = 1.0
    factor: float = 1.6
    cap_s: float = 15.0
    total_s: float = 300.0
    attempts: int = 6
    patience_s: float | None = None
    poll_s: float = 10.0

    def waits(self) -> Iterator[float]:
        """Yield the waits in seconds until `total_s` is used up."""
        spent, wait = 0.0, self.first_s
        while spent < self.total_s:
            yield wait
            spent, wait = spent + wait, min(wait * self.factor, self.cap_s)


# A sign-in answers at once or not at all: five tries in four seconds, or one that waits for a connection. A refusal for a rate
# limit is waited for as elsewhere.
SIGN_IN_PACE = Pace(first_s=0.25, factor=2.0, cap_s=2.0, total_s=3.9, attempts=5, patience_s=300.0)


def tries(again: Callable[[BaseException], bool], pace: Pace, sleep: Callable[[float], None]) -> Retrying:
    """Return what repeats a call while `again` says so, as often and as long as the pace allows."""

    def wait(state: RetryCallState) -> float:
        asked = getattr(state.outcome.exception() if state.outcome else None, "retry_after_s", None)
        if asked is not None:
            return float(asked)
        return min(pace.first_s * pace.factor ** (state.attempt_number - 1), pace.cap_s)

    def goes_on(error: BaseException) -> bool:
        # Told to come back later than this run waits for anything, there is no use in waiting for less.
        longest = pace.total_s if pace.patience_s is None else pace.patience_s
        return again(error) and (getattr(error, "retry_after_s", None) or 0.0) <= longest

    return Retrying(
        retry=retry_if_exception(goes_on),
        stop=stop_after_attempt(pace.attempts) | stop_after_delay(pace.total_s),
        wait=wait,
        sleep=sleep,
        reraise=True,
    )


def asks_again(error: BaseException) -> bool:
    """Whether a reading, or a POST that changes nothing, is sent again."""
    if isinstance(error, TransportError):
        return not error.is_final
    return isinstance(error, ApiError) and error.status in TRY_AGAIN and not error.is_final


def writes_again(error: BaseException) -> bool:
    """Whether a write is sent again: only when the service certainly did not carry it out."""
    if isinstance(error, TransportError):
        return not error.ambiguous and not error.is_final
    return isinstance(error, ApiError) and error.status == 429 and not error.is_final
