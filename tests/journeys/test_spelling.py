"""Mail addresses with capitals: Entra and Auth0 both keep them, and Auth0 compares some of them exactly."""

from __future__ import annotations

import pytest

MIXED = "Adele.Vance@fresh.example"


@pytest.mark.parametrize(
    ("reading", "in_auth0"),
    [
        ("finds", MIXED),
        ("case_blind", MIXED),
        ("case_blind", MIXED.lower()),
        ("listed_only", MIXED),
        ("listed_only", MIXED.lower()),
    ],
)
def test_a_test_user_with_capitals_in_the_address_is_found_and_linked(
    sandbox, tenant, carry_out, entra, control, reading, in_auth0
):
    control("POST", "/world", {"scim_search": reading})
    [person] = [user for user in entra("fresh").users.values() if user["displayName"] == "Adele Vance"]
    [profile] = [user for user in sandbox.world.auth0.users.values() if user.get("email") == MIXED.lower()]
    person["mail"], profile["email"] = MIXED, in_auth0
    run = carry_out(tenant("fresh"))
    assert run.status == "done"
    assert sandbox.world.auth0.users[profile["user_id"]]["app_metadata"]["external_id"] == person["id"]
