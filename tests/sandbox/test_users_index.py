"""The store of users: a search looks at few of many, and never misses one that a caller changed in place."""

from __future__ import annotations

import copy

import pytest

from runbook_lib.sandbox.users import Users


def profile(number: int, **changes: object) -> dict:
    return {"user_id": f"waad|{number}", "email": f"Person{number}@x.example", "identities": [{"connection": "c"}], **changes}


@pytest.fixture
def many() -> Users:
    users = Users()
    for number in range(10_000):
        users.put(profile(number))
    return users


def test_a_search_among_ten_thousand_looks_at_the_one_that_is_meant(many):
    assert many.holding("email", ["person77@X.example", "nobody@x.example"]) == [profile(77)]
    assert len(many.holding("identities.connection", ["c"])) == 10_000
    assert many.holding("upn", ["x"]) == []


def test_a_change_that_is_put_back_is_found_by_its_new_value(many):
    assert many.holding("email", ["new@x.example"]) == []
    user = many.peek("waad|5")
    user["email"] = "new@x.example"
    many.put(user)
    assert many.holding("email", ["NEW@x.example"]) == [user]


def test_whoever_was_handed_out_is_looked_at_in_every_search(many):
    handed_out = many["waad|9000"]
    assert many.holding("email", ["person1@x.example"]) == [profile(1), profile(9000)]
    handed_out["email"] = "other@x.example"
    assert handed_out in many.holding("email", ["other@x.example"])
    many.settle()
    assert many.holding("email", ["other@x.example"]) == [handed_out]


def test_who_went_through_all_of_them_makes_every_search_look_at_all(many):
    everyone = list(many.values())
    everyone[3]["email"] = "three@x.example"
    assert len(many.holding("email", ["three@x.example"])) == 10_000


def test_the_order_is_that_of_making_and_a_removed_user_is_gone(many):
    many.put(profile(3, email="same@x.example"))
    many.put(profile(10_001, email="same@x.example"))
    many.put(profile(1, email="same@x.example"))
    found = many.holding("email", ["same@x.example"])
    assert [user["user_id"] for user in found] == ["waad|1", "waad|3", "waad|10001"]
    many.remove("waad|3")
    del many["waad|1"]
    assert [user["user_id"] for user in many.holding("email", ["same@x.example"])] == ["waad|10001"]
    assert "waad|3" not in many
    assert len(many) == 9999


def test_a_copy_is_apart_and_equal(many):
    apart = copy.deepcopy(many)
    assert apart == many
    apart["waad|1"]["email"] = "changed@x.example"
    assert many.peek("waad|1") == profile(1)
    assert apart != many
