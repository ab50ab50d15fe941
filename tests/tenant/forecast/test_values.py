from dataclasses import astuple

from runbook_lib.tenant.forecast.values import (
    Certainty,
    Comparison,
    Fate,
    FieldChange,
    Forecast,
    HarmKind,
    LeftKind,
    OtherReading,
    PersonForecast,
)


def person(name, fate, **others):
    return PersonForecast(name, f"id of {name}", f"{name}@contoso.com", None, True, "direct", fate, **others)


LEAVER = person("Cid", Fate.BLOCK, others=(OtherReading("disabled people are skipped", Fate.LEAVER),))
OWNER = person("Dot", Fate.UPDATE, changes=(FieldChange("app_metadata.title", "owner", "Engineer", owned=True),))
FORECAST = Forecast((person("Ann", Fate.SAME), person("Bea", Fate.UPDATE), LEAVER, OWNER, person("Eve", Fate.NO_USER)))


def test_people_are_counted_by_fate_in_the_order_of_the_table():
    counts = FORECAST.counts()
    assert list(counts) == list(Fate)
    assert {fate: count for fate, count in counts.items() if count} == {
        Fate.UPDATE: 2,
        Fate.SAME: 1,
        Fate.NO_USER: 1,
        Fate.BLOCK: 1,
    }


def test_a_person_whose_readings_differ_is_both_caused_and_left():
    assert FORECAST.caused() == {HarmKind.BLOCK: (LEAVER,), HarmKind.OVERWRITE: (OWNER,)}
    assert FORECAST.left() == {LeftKind.LEAVER: (LEAVER,), LeftKind.NO_USER: (FORECAST.people[-1],)}


def test_every_kind_of_harm_has_a_word_to_accept_it_by():
    assert [kind.accept_word for kind in HarmKind] == [
        "block",
        "unblock",
        "delete",
        "someone-elses-user",
        "values-written-over",
        "cannot-tell",
    ]


def test_every_fate_has_its_place_between_mild_and_strict():
    assert sorted(Fate, key=lambda fate: fate.strictness)[-1] is Fate.SOMEONE_ELSES_USER
    assert len({fate.strictness for fate in Fate}) == len(Fate)


def test_a_change_reads_as_field_before_and_after():
    assert str(FieldChange("email", None, "ann@contoso.com")) == "email: nothing → ann@contoso.com"


def test_the_words_are_those_of_the_table_and_of_files():
    assert [fate.value for fate in Fate] == [
        "update",
        "same",
        "no user",
        "block",
        "unblock",
        "delete",
        "someone else's user",
        "two users",
        "leaver who stays active",
        "cannot tell",
    ]
    assert [one.value for one in Certainty] == ["documented", "reported", "open"]


def test_fates_from_mild_to_strict():
    """What leaves a person as they are is milder than what is not known, and that milder than harm."""
    assert [fate.value for fate in sorted(Fate, key=lambda fate: fate.strictness)] == [
        "same",
        "no user",
        "update",
        "two users",
        "leaver who stays active",
        "cannot tell",
        "unblock",
        "block",
        "delete",
        "someone else's user",
    ]


def test_nothing_more_is_told_of_a_person_than_is_known():
    one = person("Ann", Fate.SAME)
    known = ("Ann", "id of Ann", "Ann@contoso.com", None, True, "direct", Fate.SAME)
    assert astuple(one) == (*known, (), "", (), Certainty.DOCUMENTED, "", (), (), "", (), (), "")
    assert (one.called, one.fates, one.overwritten, one.harms, one.leaves) == ("Ann", (Fate.SAME,), (), (), ())
    assert astuple(Forecast()) == ((), 0, 0, (), True, False, (), frozenset(), None, ())
    assert astuple(FieldChange("email", None, "a")) == ("email", None, "a", False, False, False)
    assert (Forecast().counts(), Forecast().caused(), Forecast().left()) == (dict.fromkeys(Fate, 0), {}, {})


def test_who_entra_has_deleted_for_good_is_called_as_in_auth0():
    assert person("object-id", Fate.DELETE, known_as="Ann").called == "Ann"


def test_a_person_is_found_by_object_id():
    assert FORECAST.of("id of Cid") is LEAVER
    assert FORECAST.of("id of Zoe") is None


def test_an_evaluation_differs_only_where_microsoft_answered():
    def compared(here, there, **failed):
        return Comparison("title", "[jobTitle]", "Ann", here, there, **failed)

    assert [compared("a", "a").differs, compared("a", "b").differs, compared("a", "", failed="403").differs] == [
        False,
        True,
        False,
    ]
    assert compared("a", "a").failed == ""


def test_further_users_are_two_of_who_stays_and_a_leavers_of_who_departs():
    stays, departs = (
        person("Ann", Fate.SAME, further_users=("waad|2",)),
        PersonForecast("Bea", "id", "", None, False, "disabled", Fate.LEAVER, further_users=("waad|2",)),
    )
    assert (stays.leaves, departs.leaves) == ((LeftKind.TWO_USERS,), (LeftKind.LEAVER,))
    possible = person("Cid", Fate.UPDATE, others=(OtherReading("", Fate.NO_USER),))
    assert possible.leaves == ()  # some reading finds a user


def test_values_that_only_another_reading_writes_over_are_harm_too():
    lost = FieldChange("app_metadata.title", "owner", "Engineer", owned=True)
    one = person("Ann", Fate.SAME, overwritten_otherwise=(lost,))
    assert (one.overwritten, one.harms) == ((lost,), (HarmKind.OVERWRITE,))
