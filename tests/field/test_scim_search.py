"""Whether Auth0 finds people by user name is open in public: one search with the new token settles it for the tenant."""

from __future__ import annotations

import csv
import json
from urllib.parse import parse_qsl

import pytest


def searches(run):
    """The filters of the searches that the run itself sent to the SCIM endpoint: Entra's ask for no count."""
    asked = [dict(parse_qsl(entry["query"])) for entry in run.history if entry["service"] == "scim"]
    return [query["filter"] for query in asked if "count" in query]


def with_upn(found, alias):
    person = found.person(alias)
    found.profile(person)["upn"] = person["userPrincipalName"]
    return person


def said(run, step):
    return next(row["reason"] for row in run.rows if row["step"] == step)


@pytest.mark.parametrize(("switch", "finds"), [("finds", True), ("listed_only", False)])
def test_one_search_with_the_new_token_settles_by_what_people_are_found(control, customer, carry_out, tenant, switch, finds):
    control("POST", "/world", {"scim_search": switch})
    found = customer("fresh")
    adele = with_upn(found, "adele")
    run = carry_out(tenant("fresh"))
    assert run.status == "done"
    assert searches(run) == [f'userName eq "{adele["userPrincipalName"]}"']
    words = "Auth0's SCIM search finds users by upn" if finds else "Auth0's SCIM search does not find users by upn"
    assert words in said(run, "2.3")
    events = [json.loads(line) for line in (run.out / "journal.jsonl").read_text().splitlines()]
    assert [event["searches_every_field"] for event in events if event["event"] == "settled-search"] == [finds]


def test_what_is_settled_decides_the_forecast_of_the_start(control, customer, carry_out, tenant):
    """Before the search both readings are told of a person whose mail changed; after it the one that is so."""
    control("POST", "/world", {"scim_search": "listed_only"})
    found = customer("fresh")
    with_upn(found, "adele")
    with_upn(found, "grady")["mail"] = "new.name@fresh.example"
    plan = carry_out(tenant("fresh"), "plan")
    run = carry_out(tenant("fresh"))

    def told(of):
        rows = csv.DictReader((of.out / "forecast.csv").read_text().splitlines())
        row = next(row for row in rows if row["person"] == "Grady Archie")
        return row["fate"], row["other_readings"].partition(":")[0]

    assert (told(plan), told(run)) == (("update", "no user"), ("no user", ""))


def test_a_test_user_without_the_value_is_no_witness_and_another_person_is(customer, carry_out, tenant):
    found = customer("fresh")
    assert "upn" not in found.profile(found.person("adele"))
    holders = [
        one["upn"] for one in found.sandbox.world.auth0.users.values() if one.get("upn", "").endswith("@fresh.onmicrosoft.com")
    ]
    [asked] = searches(carry_out(tenant("fresh")))
    assert asked in [f'userName eq "{name}"' for name in holders]


def test_where_nobody_holds_the_value_nothing_is_asked(customer, carry_out, tenant):
    found = customer("fresh")
    for profile in found.sandbox.world.auth0.users.values():
        profile.pop("upn", None)
    run = carry_out(tenant("fresh"))
    assert (run.status, searches(run), "SCIM search" in said(run, "2.3")) == ("done", [], False)


def test_a_search_that_is_refused_settles_nothing_and_stops_nothing(control, customer, carry_out, tenant):
    with_upn(customer("fresh"), "adele")
    control("POST", "/faults", [{"service": "scim", "method": "GET", "path": "*/Users", "nth": 1, "kind": "403"}])
    run = carry_out(tenant("fresh"))
    assert (run.status, len(searches(run))) == ("done", 1)
    assert "and got no answer (answer 403" in said(run, "2.3")


def test_a_run_of_a_finished_tenant_asks_nothing_of_the_scim_endpoint(carry_out, tenant):
    assert searches(carry_out(tenant("complete"))) == []


def test_the_tools_own_search_is_no_use_of_the_token_by_entra(customer, control, carry_out, tenant):
    """A run that ends between the search and the save leaves a token that was used, and that Entra never had."""
    found = customer("half-done")
    with_upn(found, "adele")
    endpoint = f"https://{found.sandbox.ready['auth0_domain']}/scim/v2/connections/{found.connection['id']}/"
    guard = json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 20})
    old = {"BaseAddress": f"{endpoint}?aadOptscim062020", "SyncNotificationSettings": guard, "SyncAll": "false"}
    found.provisioning.secrets |= {**old, "SecretToken": "a token that has ended"}

    def no_test_of_what_is_saved(*numbers):
        asked = {"service": "graph", "method": "POST", "path": "*/validateCredentials", "kind": "403"}
        control("POST", "/faults", [{**asked, "nth": number} for number in numbers])

    def tokens():
        saved = found.sandbox.world.auth0.provisioning[found.connection["id"]].tokens
        return {token["token_id"]: bool(token["last_used_at"]) for token in saved}

    no_test_of_what_is_saved(1, 2)  # before the run, and of the new token in step 3.6
    broken = carry_out(tenant("half-done"))
    [left] = tokens()
    assert (broken.status, broken.statuses()["3.6"], len(searches(broken)), tokens()) == ("failed", "FAILED", 1, {left: True})
    no_test_of_what_is_saved(1)
    again = carry_out(tenant("half-done"))
    assert "has used it" not in said(again, "2.2")
    assert (again.status, again.statuses()["2.2"], left in tokens()) == ("done", "CHANGED", False)
