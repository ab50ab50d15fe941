"""The SCIM endpoint over HTTPS where sources speak: what a filter finds, values, whole attributes, addresses, user ids."""

from __future__ import annotations

import pytest

MAIL = 'emails[type eq "work"].value'
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
BROKEN = [{"filter": text} for text in ('userName eq "a" or', 'userName eq "a" and', 'or userName eq "a"')]
UPN = "Adele@fresh.onmicrosoft.com"


@pytest.fixture
def adele(management):
    user = management.user()
    user.update(email="Adele.Vance@fresh.example", upn=UPN)
    return user


@pytest.mark.parametrize(
    ("reading", "exact", "other_case", "mail_in_other_case"),
    [("finds", True, False, False), ("case_blind", True, True, True), ("listed_only", False, False, True)],
)
def test_a_filter_finds_by_the_switch(endpoint, control, adele, reading, exact, other_case, mail_in_other_case):
    assert control("POST", "/world", {"scim_search": reading}).json()["scim_search"] == reading
    found = {True: ["Adele Vance"], False: []}
    assert endpoint.found(f'userName eq "{UPN}"') == found[exact]
    assert endpoint.found(f'userName eq "{UPN.lower()}"') == found[other_case]
    assert endpoint.found(f'{MAIL} eq "{adele["email"]}"') == found[True]
    assert endpoint.found(f'{MAIL} eq "{adele["email"].upper()}"') == found[mail_in_other_case]
    assert endpoint.found(f'userName eq "nobody" or {MAIL} eq "{adele["email"]}"') == found[True]
    assert endpoint.found('externalId eq "x"') == []


def test_the_default_reading_is_shown(control):
    assert control("GET", "/world").json()["scim_search"] == "finds"


def test_active_is_true_or_false(endpoint, adele):
    for wrong in ("maybe", 1, [], {"a": 1}):
        answer = endpoint.patch(adele["user_id"], {"op": "replace", "path": "active", "value": wrong})
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue"), wrong
    assert "blocked" not in adele
    assert endpoint("POST", "/Users", {"userName": "a", "active": "maybe"}).status_code == 400
    for text, is_blocked in (("False", True), (True, False), (" TRUE ", False), (False, True)):
        endpoint.patch(adele["user_id"], {"op": "Replace", "path": "active", "value": text})
        assert endpoint.auth0.world.auth0.users[adele["user_id"]]["blocked"] is is_blocked


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("emails", ["email"]), ('emails[type eq "work"]', ["email"]), ("name", ["given_name", "family_name"]), (MAIL, ["email"]),
        ("phoneNumbers", ["work_phone_number", "mobile_phone_number"]), ('addresses[type eq "work"]', ["city"]),
        (ENTERPRISE, ["department"]), (f"{ENTERPRISE}:department", ["department"]),
    ],
)  # fmt: skip
def test_a_whole_attribute_is_removed_with_all_below_it(endpoint, adele, path, gone):
    adele["app_metadata"] = {
        "work_phone_number": "1",
        "mobile_phone_number": "2",
        "city": "Oslo",
        "department": "Sales",
        "title": "x",
    }
    flat = {**adele, **adele["app_metadata"]}
    assert endpoint.patch(adele["user_id"], {"op": "remove", "path": path}).status_code == 200
    after = endpoint.auth0.world.auth0.users[adele["user_id"]]
    now = {**after, **after["app_metadata"]}
    assert {key for key in flat if key not in now} == set(gone)


def test_a_value_at_a_filtered_path_sets_what_is_below_it(endpoint, adele):
    values = {"locality": "Bergen", "country": "NO"}
    assert (
        endpoint.patch(adele["user_id"], {"op": "add", "path": 'addresses[type eq "work"]', "value": values}).status_code == 200
    )
    assert endpoint.auth0.world.auth0.users[adele["user_id"]]["app_metadata"] == {"city": "Bergen", "country": "NO"}


def test_one_slash_at_the_end_and_a_lower_case_path_are_the_same_address(endpoint, adele):
    user = f"/Users/{adele['user_id']}"
    assert {endpoint("GET", path).status_code for path in ("/Users", "/Users/", "/users", "/users/", user, f"{user}/")} == {200}
    assert endpoint("GET", f"/users/{adele['user_id']}").json()["id"] == adele["user_id"]
    assert endpoint("GET", "/Users//").status_code == 404
    assert endpoint("GET", "//Users").status_code == 404


@pytest.mark.parametrize(
    ("attribute", "expected"), [("oid", "waad|fresh-azure-ad|oid-1"), ("sub", "waad|oid-1"), (None, "waad|oid-1")]
)
def test_a_new_user_has_the_id_that_its_first_sign_in_would_make(endpoint, management, attribute, expected):
    options = management.connection()["options"]
    options.pop("userid_attribute", None)
    options |= {} if attribute is None else {"userid_attribute": attribute}
    made = endpoint("POST", "/Users", {"userName": "new@x.example", "externalId": "oid-1"})
    assert (made.status_code, made.json()["id"]) == (201, expected)
    assert management.world.auth0.users[expected]["identities"][0]["user_id"] == expected.removeprefix("waad|")
    assert endpoint("POST", "/Users", {"userName": "new@x.example", "externalId": "oid-1"}).status_code == 409
    assert endpoint("GET", f"/Users/{expected}").json()["userName"] == "new@x.example"


def test_a_user_without_an_external_id_is_made_too(endpoint):
    made = endpoint("POST", "/Users", {"userName": "a@x.example", "name": {"givenName": "A"}})
    assert (made.status_code, made.json()["active"]) == (201, True)


@pytest.mark.parametrize("query", [{"startIndex": "x"}, {"count": "1" * 30}, {"filter": "("}, {"filter": " "}, *BROKEN])
def test_no_query_crashes_the_endpoint(endpoint, query):
    assert endpoint("GET", "/Users", **query).status_code == 400


@pytest.mark.parametrize("operation", [{"op": "add", "path": 5, "value": 1}, {"op": "add", "path": [], "value": 1}, {"op": None}])
def test_no_operation_crashes_the_endpoint(endpoint, adele, operation):
    answer = endpoint.patch(adele["user_id"], operation)
    assert (answer.status_code, answer.json()["status"]) == (400, "400")


def counts(management, user_id):
    """How many sessions and refresh tokens a user has."""
    answers = [management("GET", f"/users/{user_id}/{kind}").json() for kind in ("sessions", "refresh-tokens")]
    return len(answers[0]["sessions"]), len(answers[1]["tokens"])


@pytest.mark.parametrize(("delay", "just_after"), [({"calls": 0}, (0, 0)), ({"seconds": 30}, (1, 1))])
def test_deactivation_ends_sessions_and_refresh_tokens_by_a_switch(endpoint, management, control, adele, delay, just_after):
    control("POST", "/world", {"sessions_end_after": delay})
    user_id = adele["user_id"]
    assert counts(management, user_id) == (1, 1)
    endpoint.patch(user_id, {"op": "replace", "path": "title", "value": "CEO"})
    assert counts(management, user_id) == (1, 1)
    endpoint.patch(user_id, {"op": "replace", "path": "active", "value": False})
    assert counts(management, user_id) == just_after
    control("POST", "/clock", {"advance_s": 30})
    assert counts(management, user_id) == (0, 0)
    assert endpoint("DELETE", f"/Users/{user_id}").status_code == 204
    assert management("GET", f"/users/{user_id}/sessions").status_code == 404


def test_sessions_and_refresh_tokens_are_ended_by_hand_each_on_its_own(management, adele):
    assert management("DELETE", f"/users/{adele['user_id']}/sessions").status_code == 202
    assert counts(management, adele["user_id"]) == (0, 1)
    assert management("DELETE", f"/users/{adele['user_id']}/refresh-tokens").status_code == 202
    assert counts(management, adele["user_id"]) == (0, 0)
    assert management("DELETE", "/users/waad|nobody/sessions").status_code == 404


def test_groups_are_listed_and_there_are_none(endpoint):
    assert endpoint("GET", "/Groups").json()["totalResults"] == 0
