"""Users of the Management API over HTTPS: mail's case, what is searched, paging's end, changes. Sources: sandbox/README.md."""

from __future__ import annotations

import pytest

from tests.sandbox.auth0_http import Auth0

MIXED = "Adele.Vance@fresh.example"


@pytest.fixture
def adele(management: Auth0) -> dict:
    user = management.user()
    user["email"] = MIXED
    return user


def test_mail_is_asked_for_in_the_spelling_that_is_kept(management, adele):
    found = {mail: [user["user_id"] for user in management("GET", "/users-by-email", email=mail).json()]
             for mail in (MIXED, MIXED.lower(), MIXED.upper())}  # fmt: skip
    assert found == {MIXED: [adele["user_id"]], MIXED.lower(): [], MIXED.upper(): []}


def test_a_search_is_blind_to_case_for_five_fields_only(management, adele):
    adele["app_metadata"] = {"external_id": "AbC"}
    for field in ("email", "name", "given_name", "family_name", "nickname"):
        assert management.found(f'identities.connection:"fresh-azure-ad" AND {field}:"{adele[field].swapcase()}"') == [
            "Adele Vance"
        ]
    assert management.found('app_metadata.external_id:"AbC"') == ["Adele Vance"]
    assert management.found('app_metadata.external_id:"abc"') == []
    assert management.found('identities.connection:"FRESH-azure-ad"') == []


@pytest.mark.parametrize("is_found", [False, True])
def test_upn_and_oid_are_searched_by_a_switch(management, control, adele, is_found):
    adele["upn"] = "adele@fresh.onmicrosoft.com"
    assert (
        control("POST", "/world", {"management_search_of_upn_and_oid": is_found}).json()["management_search_of_upn_and_oid"]
        is is_found
    )
    expected = ["Adele Vance"] if is_found else []
    assert management.found(f'oid:"{adele["oid"]}"') == expected
    assert management.found(f'upn:"{adele["upn"]}"') == expected
    assert management.found(f'(upn:"{adele["upn"]}" OR email:"{MIXED}")') == ["Adele Vance"]
    assert management.found('picture:"x"') == []


def test_a_profile_changed_in_place_is_found_as_it_is_now(management, adele):
    assert management.found('nickname:"adele" AND identities.connection:"fresh-azure-ad"') == ["Adele Vance"]
    adele["nickname"] = "countess"
    assert management.found('nickname:"adele" AND identities.connection:"fresh-azure-ad"') == []
    assert management.found('nickname:"countess"') == ["Adele Vance"]
    adele["identities"][0]["connection"] = "elsewhere"
    assert management.found('nickname:"countess" AND identities.connection:"fresh-azure-ad"') == []


def test_offsets_end_at_a_thousand_records_with_a_400(management, control):
    assert control("POST", "/people", {"tenant": "fresh", "people": 1100}).status_code == 204
    query = 'identities.connection:"fresh-azure-ad"'
    assert len(management("GET", "/users", q=query, page=9, per_page=100).json()) == 100
    assert management.refusal("GET", "/users", q=query, page=10, per_page=100) == (
        400, "invalid_paging", "Requesting page 10 exceeds the allowed maximum of 1000 records")  # fmt: skip
    assert management.refusal("GET", "/connections", page=20, per_page=50)[:2] == (400, "invalid_paging")
    assert management("GET", "/users", q=query, include_totals="true", per_page=1).json()["total"] == 1099


def test_users_come_in_the_order_that_is_asked_for(management):
    query = 'identities.connection:"fresh-azure-ad"'
    down = [user["name"] for user in management("GET", "/users", q=query, sort="name:-1").json()]
    assert down == sorted(down, reverse=True)
    assert len(down) == 13
    assert management.refusal("GET", "/users", sort="name")[:2] == (400, "invalid_sort")


def test_root_attributes_that_each_login_writes_are_not_changed_by_hand(management, adele):
    options = management.connection()["options"]
    assert management("PATCH", f"/users/{adele['user_id']}", {"name": "A. Vance"}).json()["name"] == "A. Vance"
    options.pop("set_user_root_attributes")
    status, code, message = management.refusal("PATCH", f"/users/{adele['user_id']}", {"nickname": "x", "blocked": True})
    assert (status, code) == (400, "operation_not_supported")
    assert message.startswith("The following user attributes cannot be updated: nickname. The connection (fresh-azure-ad)")
    assert "blocked" not in adele
    assert management("PATCH", f"/users/{adele['user_id']}", {"blocked": True}).json()["blocked"] is True


@pytest.mark.parametrize(
    "body",
    [
        {"blocked": "true"}, {"email": "no address"}, {"email": f"{'x' * 65}@x.example"}, {"given_name": ""}, {"name": "x" * 301},
        {"picture": "not an address"}, {"phone_number": "123"}, {"app_metadata": []}, {"app_metadata": None}, [], b"{",
    ],
)  # fmt: skip
def test_a_change_of_a_user_outside_the_description_is_refused(management, adele, body):
    before = dict(adele)
    assert management.refusal("PATCH", f"/users/{adele['user_id']}", body)[:2] == (400, "invalid_body")
    assert management.world.auth0.users[adele["user_id"]] == before


def test_null_in_metadata_removes_and_the_rest_stays(management, adele):
    adele["app_metadata"] = {"a": 1, "b": 2}
    answer = management("PATCH", f"/users/{adele['user_id']}", {"app_metadata": {"a": None, "c": 3}, "picture": None})
    assert answer.json()["app_metadata"] == {"b": 2, "c": 3}
