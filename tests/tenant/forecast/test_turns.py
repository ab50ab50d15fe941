"""The person who comes first in a cycle moves the values by which others are searched: the order is documented nowhere."""

from __future__ import annotations

import pytest

from runbook_lib.tenant.forecast.people import Readings, State
from runbook_lib.tenant.forecast.turns import ORDER, Judged
from runbook_lib.tenant.forecast.values import Certainty, Fate
from tests.tenant.forecast.situations import SEEN, fates, foretold, linked, object_id, person, user

NAMES = ("Bea", "Cid", "Dot", "Eve", "Fay")
SHARED = "shared@contoso.com"


def ann_among(count, **changes):
    """Ann has an address that so many others get too; her own user holds it already, and bears no name."""
    people = [person("Ann", mail=SHARED), *(person(name, mail=SHARED) for name in NAMES[:count])]
    return foretold(people, [user("Ann", email=SHARED, upn=None), *map(user, NAMES[:count])], **changes)["Ann"]


@pytest.mark.parametrize("count", range(1, 5))
def test_the_orders_of_four_others_are_gone_through(count):
    found = ann_among(count)
    assert set(found.fates) == {Fate.TWO_USERS, Fate.UPDATE, Fate.SAME}
    assert (found.certainty, ORDER in found.reading) == (Certainty.OPEN, True)


def test_the_orders_of_five_others_are_not():
    found = ann_among(5)
    assert (found.fate, found.reason) == (Fate.CANNOT_TELL, "several people share the values that this person is searched by")


def test_capitals_decide_between_the_orders():
    """Bea's new address is Ann's in other capitals: two users have it only where a search passes over capitals."""
    people = [person("Ann", mail=SHARED), person("Bea", mail=SHARED.upper())]
    users = [user("Ann", email=SHARED, upn=None), user("Bea")]
    blind = fates(people, users, readings=Readings(ignores_case=True, searches_every_field=True))
    exact = fates(people, users, readings=Readings(ignores_case=False, searches_every_field=True))
    assert (Fate.TWO_USERS in blind["Ann"], Fate.TWO_USERS in exact["Ann"]) == (True, False)


def test_a_row_that_cannot_be_searched_by_decides_nothing():
    """Ann's name is Bea's new one: only where upn can be searched, what Bea's user holds matters."""
    people = [person("Ann"), person("Bea", userPrincipalName="ann@contoso.onmicrosoft.com")]
    users = [user("Ann", upn=None), user("Bea")]
    listed = fates(people, users, readings=Readings(ignores_case=True, searches_every_field=False))
    every = fates(people, users, readings=Readings(ignores_case=True, searches_every_field=True))
    assert Fate.SOMEONE_ELSES_USER not in listed["Ann"]
    assert Fate.SOMEONE_ELSES_USER in every["Ann"]


def test_who_departs_first_leaves_a_user_blocked_for_who_stays():
    """The address of one who left was given again: the user may be blocked before the new person's turn, and unblocked by it."""
    people = [person("Ann", State.DISABLED), person("Bea", mail="ann@contoso.com")]
    found = foretold(people, [linked("Ann", of="Bea")], known_links={object_id("Ann"): "waad|Ann1"}, **SEEN)
    assert {"Bea"} == set(found["Ann"].other_people)
    assert Fate.SOMEONE_ELSES_USER in found["Bea"].fates


def test_a_person_is_not_matched_on_departure_unless_that_is_said():
    assert Judged(person("Ann"), (), (), is_in_scope=True).is_matched_on_departure is False
