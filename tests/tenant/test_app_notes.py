"""The marker in the notes: notes and times in, notes and answers out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.tenant import app_notes as claim
from runbook_lib.tenant.app_notes import (
    LASTS,
    RENEWED_AFTER,
    Marker,
    claimed,
    is_held_by_other,
    needs_renewal,
    read_marker,
    with_marker,
)

NOW = datetime(2026, 6, 1, 12, 0, 0, 500, tzinfo=UTC)
HELD = Marker("con_1", "run-1@here", datetime(2026, 6, 1, 12, 15, tzinfo=UTC))
TEXT = "[inbound-scim-runbook con_1; run run-1@here until 2026-06-01T12:15:00Z]"


def test_a_claim_lasts_15_minutes_and_is_renewed_after_5():
    assert [timedelta(minutes=15), timedelta(minutes=5)] == [LASTS, RENEWED_AFTER]
    assert claimed("con_1", "run-1@here", NOW) == HELD


def test_it_is_written_and_read_the_same():
    assert str(HELD) == TEXT
    assert read_marker(f"ours\n{TEXT} and more") == HELD
    assert str(Marker("con_1")) == "[inbound-scim-runbook con_1]"
    assert read_marker("[inbound-scim-runbook con_1]") == Marker("con_1")
    assert str(Marker("con_1", "run-1@here")) == str(Marker("con_1", None, NOW)) == "[inbound-scim-runbook con_1]"


@pytest.mark.parametrize("notes", [None, "", "inbound-scim-runbook con_1", "[inbound-scim-runbook other]", TEXT[:-3]])
def test_notes_without_a_marker_have_none(notes):
    assert read_marker(notes) is None


def test_other_notes_are_kept_around_the_marker():
    assert with_marker(None, Marker("con_1")) == "[inbound-scim-runbook con_1]"
    assert with_marker(f"  ours \n{TEXT}", Marker("con_2")) == "  ours \n[inbound-scim-runbook con_2]"
    assert with_marker(f"a {TEXT} b", HELD) == f"a  b\n{TEXT}"
    assert claim.without_marker(None) == ""
    assert with_marker(with_marker("ours", HELD), HELD) == with_marker("ours", HELD)


@pytest.mark.parametrize("notes", ["", "ours", " ours \n", "\n\n", "\tours\n[not a marker]", "x" * 900])
def test_without_the_marker_notes_are_as_before_to_the_letter(notes):
    assert claim.without_marker(with_marker(notes, HELD)) == notes


@pytest.mark.parametrize(("length", "fits"), [(1023 - len(TEXT), True), (1024 - len(TEXT), False), (1024, False)])
def test_notes_without_room_get_no_marker_and_are_never_cut(length, fits):
    assert with_marker("x" * length, HELD) == (f"{'x' * length}\n{TEXT}" if fits else None)


@pytest.mark.parametrize(
    "until", ["2026-13-45T99:99:99Z", "9999-99-99T00:00:00Z", "2026-06-01", "T", "\u0662026-06-01T12:00:00Z"]
)
def test_a_date_that_is_none_is_no_claim(until):
    found = read_marker(f"[inbound-scim-runbook con_1; run run-1@there until {until}]")
    assert found in (None, Marker("con_1"))
    assert not is_held_by_other(found, "run-2@here", NOW)


@pytest.mark.parametrize(("minutes", "held"), [(15, True), (16, False), (60 * 24 * 365 * 7000, False)])
def test_no_claim_holds_for_longer_than_15_minutes(minutes, held):
    marker = Marker("con_1", "run-1@there", NOW + timedelta(minutes=minutes))
    assert is_held_by_other(marker, "run-2@here", NOW) is held
    assert needs_renewal(Marker("con_1", "run-2@here", marker.until), "con_1", "run-2@here", NOW) is not held


@pytest.mark.parametrize(
    ("marker", "run", "at", "held"),
    [
        (HELD, "run-2@there", NOW, True),
        (HELD, "run-1@there", NOW, True),
        (HELD, "run-2@here", NOW, False),
        (HELD, "run-2@there", HELD.until - timedelta(seconds=1), True),
        (HELD, "run-2@there", HELD.until, False),
        (Marker("con_1"), "run-2@there", NOW, False),
        (Marker("con_1", "run-1@here"), "run-2@there", NOW, False),
        (None, "run-2@there", NOW, False),
    ],
)
def test_only_a_living_claim_of_another_machine_holds(marker, run, at, held):
    assert is_held_by_other(marker, run, at) is held


@pytest.mark.parametrize(
    ("marker", "connection", "run", "minutes", "needs"),
    [
        (HELD, "con_1", "run-1@here", 5, False),
        (HELD, "con_1", "run-1@here", 5.1, True),
        (HELD, "con_1", "run-1@here", 0, False),
        (HELD, "con_2", "run-1@here", 0, True),
        (HELD, "con_1", "run-2@here", 0, True),
        (Marker("con_1", "run-1@here"), "con_1", "run-1@here", 0, True),
        (Marker("con_1"), "con_1", "run-1@here", 0, True),
        (None, "con_1", "run-1@here", 0, True),
    ],
)
def test_a_claim_is_renewed_in_time_and_by_its_own_run(marker, connection, run, minutes, needs):
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert needs_renewal(marker, connection, run, start + timedelta(minutes=minutes)) is needs


def test_the_machine_is_named_without_being_told(monkeypatch):
    here = claim.this_machine()
    assert len(here) == 8
    assert int(here, 16) >= 0
    assert claim.this_machine() == here
    for what, value in (("platform.node", "other"), ("uuid.getnode", 5), ("os.getuid", 12345)):
        with monkeypatch.context() as changed:
            changed.setattr(what, lambda value=value: value)
            assert claim.this_machine() != here


def test_a_claim_of_the_year_one_is_renewed():
    first = read_marker("[inbound-scim-runbook con_A; run r@m until 0001-01-01T00:00:00Z]")
    assert needs_renewal(first, "con_A", "r@m", datetime(2026, 1, 5, tzinfo=UTC)) is True
