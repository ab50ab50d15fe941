"""Times in headers, whatever zone and form a server writes them in."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runbook_lib.http.header_times import asked_wait_s, date_of, left_of

DATE = "Sat, 28 Nov 2026 13:00:00"


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000", "UTC"])
def test_a_date_is_aware_whatever_its_zone_is_called(zone):
    assert date_of({"Date": f"{DATE} {zone}"}) == datetime(2026, 11, 28, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "2.5"}, 2.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "Sat, 28 Nov 2026 13:00:04 -0000"}, 4.0),
        ({"Retry-After": "Sat, 28 Nov 2026 15:00:04 +0200"}, 4.0),
        ({"Retry-After": "Sat, 28 Nov 2026 12:00:04 GMT"}, 0.0),
        ({"Retry-After": "9" * 5000}, float("inf")),
        ({"Retry-After": "-inf"}, 0.0),
        ({"Retry-After": "0x10"}, None),
        ({"Retry-After": "2, 3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"x-ratelimit-reset": "1795870803"}, 3.0),
        ({"x-ratelimit-reset": "0"}, 0.0),
        ({}, None),
    ],
)
def test_a_wait_is_told_by_the_answers_own_clock(headers, wait_s):
    assert asked_wait_s({"Date": f"{DATE} -0000", **headers}) == wait_s


@pytest.mark.parametrize(
    ("text", "left"),
    [("7", 7), ("0", 0), ("-1", None), ("many", None), ("9" * 18, 10**18 - 1), ("9" * 5000, None)],
)
def test_a_count_of_requests_left_is_read_or_there_is_none(text, left):
    assert (left_of({"x-ratelimit-remaining": text}), left_of({})) == (left, None)


def test_a_date_of_twenty_digits_is_none():
    digits = "9" * 20
    assert asked_wait_s({"Retry-After": f"Mon, 01 Jan {digits} 00:00:00 GMT"}) is None
    assert date_of({"Date": f"Mon, 01 Jan 2026 10:00:00 +{digits}"}) is None
