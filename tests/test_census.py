"""Who would be blocked, missed or mixed up: people and Auth0 users in, counts and names out."""

from __future__ import annotations

import pytest

from runbook_lib.census import Census, Person, census_of, census_without_auth0
from runbook_lib.models import Auth0User


def person(name, mail="", *, enabled=True, id=""):  # noqa: A002 - the field's own name
    return Person(id or name, name, f"{name.lower()}@x" if mail == "" else mail, enabled)


def user(mail, *, blocked=False):
    return Auth0User(f"waad|{mail}", mail, blocked, frozenset(), {})


@pytest.mark.parametrize(
    ("who", "users", "blocked"),
    [
        (person("Ann"), [user("ann@x")], ()),
        (person("Ann", enabled=False), [user("ann@x")], ("Ann",)),
        (person("Ann", enabled=False), [user("ANN@X")], ("Ann",)),
        (person("Ann", "Ann@X", enabled=False), [user("ann@x")], ("Ann",)),
        (person("Ann", enabled=False), [user("ann@x", blocked=True)], ()),
        (person("Ann", enabled=False), [user("ann@x", blocked=True), user("ann@x")], ("Ann",)),
        (person("Ann", enabled=False), [], ()),
        (person("Ann", None, enabled=False), [], ("Ann",)),
    ],
)
def test_the_disabled_who_may_sign_in_would_be_blocked(who, users, blocked):
    assert census_of([who], users) == Census(1, would_be_blocked=blocked)


def test_each_id_counts_once_and_names_are_sorted():
    people = [person("Bob", enabled=False), person("Ann", enabled=False), person("Bob", enabled=False)]
    assert census_of(people, [user("ann@x"), user("bob@x")]) == Census(2, would_be_blocked=("Ann", "Bob"))


def test_a_person_without_a_name_goes_by_the_id():
    assert census_of([person("", None, enabled=False, id="id-1")], []).would_be_blocked == ("id-1",)


def test_shared_addresses_count_where_an_auth0_user_has_one():
    people = [person("A", "one@x"), person("B", "ONE@x"), person("C", "two@x"), person("D", "two@x"), person("E", "three@x")]
    census = census_of(people, [user("one@x"), user("three@x")])
    assert census == Census(5, sharing_mail=("one@x",), absent=("C", "D"))


def test_the_enabled_without_mail_and_those_absent_are_named_apart():
    people = [person("A", None), person("B", "b@x"), person("C", "C@x"), person("D", "d@x", enabled=False)]
    assert census_of(people, [user("c@x"), user(None)], 3) == Census(4, without_mail=("A",), absent=("B",), nested_groups=3)


def test_without_auth0_whoever_could_come_to_harm_counts():
    off = [person("D", "two@x", enabled=False), person("C", None, enabled=False)]
    people = [person("B", "one@x"), person("A", "ONE@x"), *off, person("E", None), person("E", None), person("F")]
    assert census_without_auth0(people, 3) == Census(
        6, would_be_blocked=("C", "D"), sharing_mail=("one@x",), without_mail=("E",), nested_groups=3, saw_auth0=False
    )
    assert census_without_auth0([]) == Census(0, saw_auth0=False)


def test_nobody_is_a_census_too():
    assert census_of([], []) == Census(0)


def test_it_is_said_in_words():
    assert str(Census(3)) == "3 people are assigned, groups included"
    whole = Census(9, ("A", "B"), ("c@x",), ("D",), ("E",), 2)
    assert str(whole) == (
        "9 people are assigned, groups included; 2 would be blocked in Auth0 (A, B); 1 have no user in Auth0 (E); "
        "1 have no mail address (D); 1 mail addresses are shared (c@x); 2 groups within groups are not provisioned"
    )


def test_five_names_are_shown_and_more_are_hinted_at():
    assert "(1, 2, 3, 4, 5)" in str(Census(5, absent=tuple("12345")))
    assert "(1, 2, 3, 4, 5 …)" in str(Census(6, absent=tuple("123456")))
