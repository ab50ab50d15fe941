"""Times and counts in headers. Times are told by the service's own clock: this machine's may be wrong by minutes.

An answer carries its own time (`Date`, RFC 9110 6.6.1). A moment in another header (`Retry-After` as a date, Auth0's
`x-ratelimit-reset` as a unix time) is compared with that, never with this machine's clock unless the answer has no `Date`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

Headers = Mapping[str, str]
_DIGITS = 18  # of a number that any service counts to; Python itself refuses to read thousands of them


def date_of(headers: Headers) -> datetime | None:
    """Return the time of the service's own clock, aware; None when the answer has no `Date`."""
    try:
        found = parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError, OverflowError):  # the last for a year or a zone of twenty digits
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)  # a zone of -0000 says UTC too (RFC 5322, 3.3)


def retry_after_s(headers: Headers) -> float | None:
    """Return the seconds that `Retry-After` asks for, None when it is missing or unreadable.

    It is a number, which Graph sends with a fraction, or a date.
    """
    value = headers.get("Retry-After")
    if not value:
        return None
    number = _number(value)
    if number is not None:
        return max(0.0, number)
    moment = date_of({"Date": value})
    return None if moment is None else max(0.0, moment.timestamp() - _now(headers))


def until_reset_s(headers: Headers) -> float | None:
    """Return the seconds until Auth0's `x-ratelimit-reset`, a unix time; None without one."""
    moment = _number(headers.get("x-ratelimit-reset") or "")
    return None if moment is None else max(0.0, moment - _now(headers))


def left_of(headers: Headers) -> int | None:
    """Return how many more requests Auth0's `x-ratelimit-remaining` allows; None without it, and for what is no count."""
    text = headers.get("x-ratelimit-remaining", "")
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else None


def asked_wait_s(headers: Headers) -> float | None:
    """Return the seconds after which a refused request may be sent again, None when the answer does not say."""
    asked = retry_after_s(headers)
    return asked if asked is not None else until_reset_s(headers)


def _now(headers: Headers) -> float:
    date = date_of(headers)
    return date.timestamp() if date else time.time()


def _number(text: str) -> float | None:
    """Return the number that a text says; None for "nan" too, which would be a wait of no time at all."""
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
