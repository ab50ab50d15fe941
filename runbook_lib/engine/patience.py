"""Waiting for what a service shows only after minutes, measured by the service's own clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime


def patient_waits(
    waits: Iterator[float], limit_s: float, still_s: float, date: Callable[[], datetime | None], sleep: Callable[[float], None]
) -> Iterator[None]:
    """Sleep and yield, again and again, until `limit_s` have passed by the service's clock, which `date` tells.

    A clock that stands still or lags behind the sleeping, as a simulation's may, is waited for `still_s` of sleeping; then there
    is no use in going on.
    """
    began, slept_s = date(), 0.0
    for wait_s in waits:
        now = date()
        began = began or now
        passed_s = (now - began).total_seconds() if began and now else 0.0
        if passed_s >= limit_s or (slept_s >= still_s and passed_s < slept_s / 2):
            return
        sleep(wait_s)
        slept_s += wait_s
        yield
