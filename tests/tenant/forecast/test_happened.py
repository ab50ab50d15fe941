"""What a cycle did, set next to what was foretold. Literals in, sentences out."""

from __future__ import annotations

import pytest

from runbook_lib.tenant.forecast.changes import Unknown
from runbook_lib.tenant.forecast.happened import Happened, happened, summed_up
from runbook_lib.tenant.forecast.values import Fate, FieldChange, Forecast, OtherReading, PersonForecast

EXTERNAL_ID = "app_metadata.external_id"


def person(fate, *, users=("waad|1",), in_scope=True, **more):
    return PersonForecast("Bea", "id-1", "bea@contoso.com", None, in_scope, "direct", fate, users, **more)


def user(user_id="waad|1", **more):
    return {"user_id": user_id, **more}


def after(one, *profiles, log=None):
    [found] = happened(Forecast((one,)), profiles, EXTERNAL_ID, log)
    return found.is_as_foretold, found.words


LINKED = FieldChange(EXTERNAL_ID, None, "id-1")
UPDATED = person(Fate.UPDATE, changes=(LINKED, FieldChange("name", "Bea", "Bea B")))
RIGHT = user(app_metadata={"external_id": "id-1"}, name="Bea B")

BLOCKED_STILL = (False, "blocked is True and not False")


@pytest.mark.parametrize(
    ("one", "profiles", "expected"),
    [
        (UPDATED, (RIGHT,), (True, "")),
        (UPDATED, ({**RIGHT, "name": "bea b"},), (True, "")),
        (UPDATED, ({**RIGHT, "name": "Bea"},), (False, "name is 'Bea' and not 'Bea B'")),
        (UPDATED, ({**RIGHT, "blocked": True},), (False, "is blocked")),
        (UPDATED, (), (False, "has no Auth0 user any more")),
        (person(Fate.SAME), (user(),), (True, "")),
        (person(Fate.SAME, in_scope=False), (user(blocked=True),), (True, "")),
        (person(Fate.BLOCK), (user(blocked=True),), (True, "")),
        (person(Fate.BLOCK), (user(),), (False, "is not blocked")),
        (person(Fate.UNBLOCK, changes=(FieldChange("blocked", True, False),)), (user(blocked=False),), (True, "")),
        (person(Fate.UNBLOCK), (user(blocked=True),), (False, "is still blocked")),
        (person(Fate.DELETE), (), (True, "")),
        (person(Fate.DELETE), (user(),), (False, "is still there")),
        (person(Fate.LEAVER), (user(),), (True, "")),
        (person(Fate.LEAVER), (user(blocked=True),), (False, "was blocked")),
        (person(Fate.NO_USER, users=()), (user(),), (True, "")),
        (person(Fate.NO_USER, users=()), (RIGHT,), (False, "was linked to waad|1")),
        (person(Fate.TWO_USERS, users=("waad|1", "waad|2")), (user(), user("waad|2")), (True, "")),
        (person(Fate.TWO_USERS, users=("waad|1", "waad|2")), (RIGHT, user("waad|2")), (False, "was written into waad|1")),
        (person(Fate.CANNOT_TELL), (user(),), (None, "")),
        (person(Fate.CANNOT_TELL), (), (None, "")),
        (person(Fate.SAME, users=()), (), (False, "has no Auth0 user any more")),
        (person(Fate.SAME), ({**user(), "blocked": True},), (False, "is blocked")),
        (person(Fate.BLOCK, users=("waad|1", "waad|2")), (user(blocked=True), user("waad|2")), (False, "is not blocked")),
        (person(Fate.BLOCK, changes=(FieldChange("blocked", False, True),)), (user(blocked=True),), (True, "")),
        (person(Fate.SAME, changes=(FieldChange("blocked", None, False),)), (user(),), (True, "")),
        (person(Fate.UPDATE, changes=(FieldChange("blocked", True, False),)), (user(blocked=True),), BLOCKED_STILL),
        (person(Fate.UPDATE, changes=(FieldChange("blocked", False, True),)), (user(blocked=True),), (True, "")),
        (person(Fate.UPDATE, changes=(FieldChange("name", "B", Unknown("Guid")),)), (user(name="B"),), (True, "")),
        (person(Fate.TWO_USERS, users=("waad|1",)), (user(app_metadata={"external_id": "id-2"}),), (True, "")),
        (person(Fate.NO_USER), (RIGHT,), (True, "")),  # the user was theirs before
        (person(Fate.NO_USER, users=()), ({**RIGHT, "app_metadata": {"external_id": "ID-1"}},), (False, "was linked to waad|1")),
    ],
)
def test_each_fate_is_held_against_what_is_there_afterwards(one, profiles, expected):
    assert after(one, *profiles) == expected


def test_a_fate_that_was_open_is_as_foretold_when_any_reading_came_true():
    one = person(Fate.BLOCK, others=(OtherReading("Microsoft's text", Fate.LEAVER),))
    assert after(one, user()) == (True, "")
    assert after(one, user(blocked=True)) == (True, "")


def test_the_words_of_the_provisioning_log_stand_beside_it():
    [found] = happened(Forecast((UPDATED,)), [RIGHT], EXTERNAL_ID, {"id-1": "update success"})
    assert found == Happened(UPDATED, True, "", "update success")


def test_who_fared_otherwise_is_named():
    people = (UPDATED, person(Fate.LEAVER), person(Fate.CANNOT_TELL))
    found = happened(Forecast(people), [{**RIGHT, "blocked": True}], EXTERNAL_ID)
    assert summed_up(found) == (
        "0 of 3 as foretold, 1 could not be told; otherwise: Bea (foretold update; is blocked); Bea (foretold leaver who stays "
        "active; was blocked)"
    )
    assert summed_up(happened(Forecast((UPDATED,)), [RIGHT], EXTERNAL_ID)) == "1 of 1 as foretold"


def test_a_fate_that_cannot_be_told_by_some_reading_is_neither_right_nor_wrong():
    one = person(Fate.CANNOT_TELL, others=(OtherReading("", Fate.NO_USER),), users=())
    log = {"id-1": "failure"}
    assert happened(Forecast((one,)), [RIGHT], EXTERNAL_ID, log) == (Happened(one, None, "", "failure"),)
    assert happened(Forecast((one,)), [], EXTERNAL_ID, log) == (Happened(one, True, "", "failure"),)
    only = person(Fate.CANNOT_TELL)
    assert happened(Forecast((only,)), [RIGHT], EXTERNAL_ID, log) == (Happened(only, None, "", "failure"),)
    wrong = person(Fate.DELETE)
    assert happened(Forecast((wrong,)), [RIGHT], EXTERNAL_ID, log) == (Happened(wrong, False, "is still there", "failure"),)


def test_without_a_log_or_a_field_for_the_external_id_users_are_held_against_the_forecast_all_the_same():
    nobody = person(Fate.NO_USER, users=())
    assert happened(Forecast((nobody,)), [RIGHT], None) == (Happened(nobody, True, "", ""),)
    unnamed = PersonForecast("", "", "", None, True, "", Fate.NO_USER)
    assert happened(Forecast((unnamed,)), [user()], EXTERNAL_ID)[0].words == ""
    assert Happened(nobody, True) == Happened(nobody, True, "", "")
