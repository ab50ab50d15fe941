"""Which Auth0 users a search finds: by which fields, by which values, and what keeps it from being told.

Sources: entra-docs, customize-application-attributes; Auth0's user-profile-structure and configure-inbound-scim pages.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbook_lib.tenant.forecast.expressions import parse
from runbook_lib.tenant.forecast.job_mapping import Row, default_mapping
from runbook_lib.tenant.forecast.matching import (
    Match,
    Profiles,
    Search,
    Wanted,
    auth0_field,
    breaks_a_search,
    is_listed,
    match,
    unlisted,
    value_of,
    wanted_of,
    witness_of,
)
from runbook_lib.tenant.forecast.people import State
from runbook_lib.tenant.forecast.values import Witness
from tests.tenant.forecast.situations import SCIM_FIELDS, linked, object_id, person, situation, user

WORK_EMAIL = 'emails[type eq "work"].value'
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def test_a_scim_attribute_leads_to_the_field_that_auth0_maps_it_to_in_either_spelling():
    assert auth0_field("userName", SCIM_FIELDS) == "upn"
    assert auth0_field(f"{ENTERPRISE}:department", SCIM_FIELDS) == "app_metadata.department"
    assert auth0_field(f"{ENTERPRISE}:department", {f"{ENTERPRISE}:department": "unit"}) == "unit"
    assert auth0_field("nickName", SCIM_FIELDS) is None


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("email", True),
        ("username", True),
        ("identities", True),
        ("app_metadata.external_id", True),
        ("user_metadata.page", True),
        ("upn", False),
        ("oid", False),
        ("app_metadata", False),
    ],
)
def test_auth0s_page_lists_the_fields_that_can_be_searched(name, listed):
    assert is_listed(name) is listed


@pytest.mark.parametrize(("value", "breaks"), [('a"b', True), ("a\\b", True), ("o'neil@x.com", False), ("ä+%&@x.com", False)])
def test_a_quote_and_a_backslash_break_a_search(value, breaks):
    assert breaks_a_search(value) is breaks


def test_matching_attributes_of_which_the_page_does_not_list_the_field():
    assert unlisted(("userName", WORK_EMAIL, "nickName", "externalId"), SCIM_FIELDS) == (("userName", "upn"),)
    assert unlisted((), SCIM_FIELDS) == ()


@pytest.mark.parametrize(
    ("values", "matching", "witness"),
    [
        ({"upn": "ann@x.com"}, ("userName", WORK_EMAIL), Witness("userName", "upn", "ann@x.com", "waad|1")),
        ({"upn": ""}, ("userName",), None),
        ({"upn": 5}, ("userName",), None),
        ({"upn": 'a"b'}, ("userName",), None),
        ({"email": "ann@x.com"}, ("userName", WORK_EMAIL), None),
        ({"oid": "1", "upn": ""}, ("userName", "id"), Witness("id", "oid", "1", "waad|1")),
    ],
)
def test_a_witness_holds_a_value_that_a_search_can_be_asked_for(values, matching, witness):
    assert witness_of("waad|1", values, matching, {**SCIM_FIELDS, "id": "oid"}) == witness


def test_users_are_found_by_a_value_in_capitals_or_without_regard_to_them():
    ann, twin = user("Ann", email="Ann@X.com"), user("Ann", email="ann@x.com", number=2)
    nobody = user("Bob", email=None)
    profiles = Profiles.of((ann, twin, nobody), frozenset({"email"}))
    assert profiles.with_value("email", "ANN@x.com") == ("waad|Ann1", "waad|Ann2")
    assert profiles.with_value("email", "ann@x.com", ignores_case=False) == ("waad|Ann2",)
    assert profiles.with_value("email", "zoe@x.com") == ()
    assert profiles.with_value("upn", "ann@x.com") == ()  # not indexed: it is no field of a matching row


def rows(*found):
    return replace(default_mapping(), rows=tuple(found))


def row(target, text, precedence, unknown=""):
    return Row(target, None if unknown else parse(text), unknown, precedence, "Always")


def test_each_row_is_searched_for_in_order_without_those_that_have_no_value():
    """What follows a row that cannot be told, or has no value, is still searched for."""
    mapping = rows(
        row("externalId", "[objectId]", 5),
        row(WORK_EMAIL, "[mail]", 4),
        row("nickName", "[mailNickname]", 3),
        row("title", "[jobTitle]", 2),
        row("displayName", "", 1, unknown="the function Guid is not foretold here"),
    )
    ann = person("Ann", mail='a"b')
    assert wanted_of(ann, situation([ann], [], mapping=mapping)) == (
        Wanted("displayName", unknown="displayName of this person: the function Guid is not foretold here"),
        Wanted("nickName", unknown="Auth0's SCIM mapping has no row for nickName, by which Entra matches"),
        Wanted(WORK_EMAIL, unknown=f"{WORK_EMAIL} holds a character that breaks the search"),
        Wanted("externalId", "app_metadata.external_id", object_id("Ann")),
    )


EVERY, LISTED = Search(every_field=True, ignores_case=True), Search(every_field=False, ignores_case=False)


@pytest.mark.parametrize(
    ("search", "searched", "wanted", "found"),
    [
        (EVERY, None, [Wanted("userName", "upn", "ANN@contoso.onmicrosoft.com")], Match(("waad|Ann1",), "userName")),
        (LISTED, None, [Wanted("userName", "upn", "ann@contoso.onmicrosoft.com")], Match()),
        (LISTED, None, [Wanted(WORK_EMAIL, "email", "ANN@contoso.com")], Match()),
        (
            EVERY,
            None,
            [Wanted("userName", "upn", "zoe"), Wanted(WORK_EMAIL, "email", "ann@contoso.com")],
            Match(("waad|Ann1",), WORK_EMAIL),
        ),
        (EVERY, None, [Wanted("userName", unknown="why"), Wanted(WORK_EMAIL, "email", "x")], Match(by="userName", unknown="why")),
        (EVERY, {"email"}, [Wanted(WORK_EMAIL, "email", "zoe")], Match()),
        (
            EVERY,
            {"email"},
            [Wanted("userName", "upn", "zoe")],
            Match(by="userName", unknown="the users of the connection were not read, and none was looked for by upn"),
        ),
        (EVERY, None, [], Match()),
    ],
)
def test_the_first_row_with_a_hit_ends_the_search(search, searched, wanted, found):
    profiles = Profiles.of((user("Ann"),), frozenset({"email", "upn"}))
    given = situation([], [], searched_fields=searched and frozenset(searched))
    assert match(tuple(wanted), search, profiles, given) == found


def test_nothing_is_found_and_nothing_wanted_where_nothing_is_said():
    assert Match() == Match((), "", "")
    assert Wanted("title") == Wanted("title", "", "", "")


def test_a_reading_of_a_search_says_what_it_claims():
    assert EVERY.words() == "Auth0's SCIM search finds users by every mapped field, whatever the capitals"
    assert LISTED.words() == (
        "Auth0's SCIM search finds users only by the fields that Auth0's page lists, so not by upn, by the capitals"
    )


def test_a_rows_value_knows_departures_and_the_time():
    active = row("active", 'Switch([IsSoftDeleted], , "False", "True", "True", "False")', None)
    given = situation([], [], now=lambda: datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert value_of(active, person("Ann"), given) == "True"
    assert value_of(active, person("Ann", State.DISABLED), given) == "False"
    assert value_of(active, person("Ann"), given, departed=True) == "False"
    assert value_of(row("title", "Now()", None), person("Ann"), given) == "1/5/2026 9:00:00 AM"
    assert value_of(row("title", "[jobTitle]", None), person("Ann"), given) is None


def test_an_external_id_finds_who_carries_it():
    profiles = Profiles.of((linked("Ann"),), frozenset({"app_metadata.external_id"}))
    assert profiles.with_value("app_metadata.external_id", object_id("Ann").upper()) == ("waad|Ann1",)
