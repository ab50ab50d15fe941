"""Connections whose user ids are no pairwise subjects: one verdict, and nothing is written unconfirmed."""

from __future__ import annotations

import pytest

from runbook_lib.services.auth0.models import Connection, SeenUsers
from runbook_lib.tenant.connection_age import connection_age


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"identity_api": "azure-active-directory-v1.0"}, "The connection uses Azure AD v1, whose user id may be another claim."),
        ({"userid_attribute": "userName"}, "The user id attribute is userName, neither sub nor oid."),
        ({"waad_protocol": "ws-federation"}, "The connection uses WS-Federation"),
    ],
)
def test_a_connection_of_another_kind_is_not_written_before_a_person_has_confirmed(
    options, why, customer, held, carry_out, tenant
):
    """Auth0's page on Azure AD v2 warns of v1 connections; a published configuration has the attribute userName."""
    found = customer("fresh").connection
    found["options"].update(options)
    step, reason, remedy = held("fresh")
    assert (step, reason.startswith(why), "accept: [change-user-id-attribute]" in remedy) == ("1.2", True, True)
    plan = carry_out(tenant("fresh"), "plan")
    verdict = connection_age(Connection.from_wire(found), SeenUsers(14))
    said = next(row["reason"] for row in plan.rows if row["step"] == "0.2")
    assert (verdict.kind, verdict.why in said, plan.status) == ("unsure", True, "blocked")


def test_confirmed_it_is_carried_out(customer, carry_out, tenant):
    customer("fresh").connection["options"]["identity_api"] = "azure-active-directory-v1.0"
    run = carry_out(tenant("fresh", accept=("change-user-id-attribute",)))
    assert run.status == "done"
    accepted = [table for row in run.rows for table in row["tables"] if table["title"] == "Accepted"]
    assert accepted[0]["rows"][0][0] == "change-user-id-attribute"


def test_users_whose_ids_are_object_ids_signed_in_by_another_attribute(customer, held):
    """A PATCH without the attribute turned a connection of oid into one of sub (terraform-provider-auth0 issue 1006)."""
    found = customer("fresh")
    users = found.sandbox.world.auth0.users
    for user in [one for one in users.values() if one["user_id"].startswith("waad|") and one.get("oid")]:
        del users[user["user_id"]]
        users[f"waad|{user['oid']}"] = {**user, "user_id": f"waad|{user['oid']}"}
    step, reason, remedy = held("fresh")
    assert (step, "end in an Entra object id" in reason, "accept: [change-user-id-attribute]" in remedy) == ("1.2", True, True)
