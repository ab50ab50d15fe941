"""What differs, and what of something sent cannot be found again."""

from __future__ import annotations

import pytest

from runbook_lib.engine.values import Change, Diff, Handover, Table, differences, lost


def test_only_wanted_fields_that_differ_are_differences():
    assert differences("it", {"a": "1", "b": "2", "x": "9"}, {"a": "1", "b": "3", "c": "4", "d": ""}) == (
        Diff("it", "b", "2", "3"),
        Diff("it", "c", "", "4"),
    )


def test_a_change_asks_for_nothing_that_is_not_said():
    plain = Change("it", ())
    assert (plain.request, plain.hazard, plain.rehearsal, plain.proof, plain.receive, plain.evidence, plain.confirm) == (
        None,
    ) * 7
    assert (plain.before, plain.undo, plain.replicates, plain.stops) == ((), None, False, False)


def test_a_hand_over_is_open_until_something_says_otherwise_and_reads_as_a_table():
    assert Handover("Entra") == Handover("Entra", (), (), "", "open", "")
    handed_over = Handover("Entra", ("Select Save",), (("Tenant URL", "https://x"),))
    assert handed_over.table() == Table(
        "For the administrator of the other side: Entra",
        ("what to do", "exactly"),
        (("Select Save", ""), ("Tenant URL", "https://x")),
    )


@pytest.mark.parametrize(
    ("sent", "found", "places"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ()),
        ({"a": None}, {}, ()),
        ({"a": None}, {"a": None}, ()),
        ({"a": None}, {"a": 1}, ("a",)),
        ({"a": 1}, {}, ("a",)),
        ({"a": 1}, {"a": 2}, ("a",)),
        ({"a": 1}, {"a": True}, ("a",)),
        ({"a": False}, {"a": 0}, ("a",)),
        ({"a": True}, {"a": True}, ()),
        ({"a": 1}, {"a": None}, ("a",)),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, ("a.b.c",)),
        ({"a": {"b": 1, "c": 2, "d": 3}}, {"a": {"c": 2}}, ("a.b", "a.d")),
        ({"a": {"b": 1}}, {"a": [1]}, ("a",)),
        ({"a": [1, 2, 3]}, {"a": [3, 1, 2]}, ()),
        ({"a": [1, 2]}, {"a": [2, 1, 9]}, ()),
        ({"a": [1, 1]}, {"a": [1]}, ("a[1]",)),
        ({"a": [1, 1]}, {"a": [1, 2]}, ("a[1]",)),
        ({"a": [1, 5, 2]}, {"a": [1, 2]}, ("a[1]",)),
        ({"a": [{"k": 1}]}, {"a": [{"k": 1, "more": 2}]}, ()),
        ({"a": [1]}, {"a": {"0": 1}}, ("a",)),
        ([5], [], ("[0]",)),
        (1, 2, ("",)),
    ],
)
def test_what_was_sent_and_is_not_found_is_named(sent, found, places):
    assert lost(sent, found) == places


def test_the_place_begins_where_it_is_told_to():
    assert lost({"b": 1}, {}, "a") == ("a.b",)
    assert lost([1], [], "a") == ("a[0]",)
    assert lost(1, 2, "a") == ("a",)
