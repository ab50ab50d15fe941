"""Assigned groups: their mapping is off by default and on with the scopes where the operator wants it; undo puts it back."""

from __future__ import annotations

import copy
import json

import pytest

from tests.journeys.test_journeys import connection_of, group_mapping, scim_side
from tests.journeys.test_undo import take_back  # noqa: F401 - a fixture

USERS = {"get:users", "patch:users", "delete:users"}
GROUPS = {"get:groups", "post:groups", "patch:groups", "delete:groups"}


@pytest.fixture
def seen(sandbox, entra, control):
    """What a tenant has: seen("fresh") gives the job's id, its schema, and the scopes of the connection's tokens."""

    def look(name):
        _, saved = scim_side(entra(name), name)
        [(job, schema)] = saved.schemas.items()
        tokens = sandbox.world.auth0.provisioning[connection_of(sandbox, name)["id"]].tokens
        return job, schema, [set(token["scopes"]) for token in tokens]

    return look


@pytest.mark.parametrize(("choice", "is_on", "scopes"), [("", False, USERS), ("off", False, USERS), ("on", True, USERS | GROUPS)])
def test_the_mapping_of_groups_is_as_chosen_and_no_cycle_ends_with_errors(
    choice, is_on, scopes, tenant, carry_out, seen, control
):
    settings = tenant("fresh", groups_mapping=choice)
    run = carry_out(settings)
    job, schema, tokens = seen("fresh")
    assert (run.status, group_mapping(schema)["enabled"], tokens) == ("done", is_on, [scopes])
    assert [write for write in run.writes() if write.endswith("/schema")] == [next(w for w in run.writes() if "/schema" in w)]
    found = control("POST", "/cycle", {"job_id": job}).json()
    assert (found["ran"], found["groups_escrowed"]) == (True, 0)
    again = carry_out(settings)
    assert (again.status, again.writes()) == ("unchanged", [])


def test_groups_with_a_token_for_users_only_end_each_cycle_with_errors(tenant, carry_out, seen, control, entra):
    carry_out(tenant("fresh"))
    job, schema, _ = seen("fresh")
    group_mapping(schema)["enabled"] = True
    assert control("POST", "/cycle", {"job_id": job}).json()["groups_escrowed"] == 2
    _, saved = scim_side(entra("fresh"), "fresh")
    assert saved.jobs[job]["status"]["lastExecution"]["state"] == "EntryLevelErrors"
    repaired = carry_out(tenant("fresh"))
    assert (repaired.status, repaired.statuses()["3.12"], group_mapping(seen("fresh")[1])["enabled"]) == (
        "done",
        "CHANGED",
        False,
    )


def test_a_plan_names_the_switch_before_there_is_a_job_and_4_3_says_what_becomes_of_groups(tenant, carry_out):
    planned = next(row for row in carry_out(tenant("fresh"), "plan").rows if row["step"] == "3.12")
    switch = {"on": "attribute mappings", "field": "Provision groups", "before": "on", "after": "off"}
    assert switch in planned["diffs"]
    assert "2 assigned groups are not sent as groups" in carry_out(tenant("fresh")).rows[-1]["reason"]
    wanted = next(row for row in carry_out(tenant("many-assignments", groups_mapping="on"), "plan").rows if row["step"] == "3.12")
    assert [diff for diff in wanted["diffs"] if diff["field"] == "Provision groups"] == []


def test_where_a_token_for_groups_is_in_use_the_operator_is_asked_before_anything_is_written(sandbox, tenant, carry_out, seen):
    [token] = sandbox.world.auth0.provisioning[connection_of(sandbox, "complete")["id"]].tokens
    token["scopes"] = sorted(USERS | GROUPS)
    group_mapping(seen("complete")[1])["enabled"] = True
    asked = carry_out(tenant("complete"))
    row = next(row for row in asked.rows if row["step"] == "3.12")
    assert (asked.status, row["status"], asked.writes()) == ("blocked", "BLOCKED", [])
    assert "groups_mapping" in row["remedy"]
    kept = carry_out(tenant("complete", groups_mapping="on"))
    assert (kept.status, kept.writes()) == ("unchanged", [])
    off = carry_out(tenant("complete", groups_mapping="off"))
    _, schema, tokens = seen("complete")
    assert (off.status, group_mapping(schema)["enabled"], USERS in tokens) == ("done", False, True)


def test_undo_puts_the_switch_back_and_leaves_one_that_others_have_set_since(tenant, carry_out, seen, take_back):  # noqa: F811
    before = copy.deepcopy(seen("half-done")[1])
    run = carry_out(tenant("half-done", turn_on="no"))
    assert group_mapping(seen("half-done")[1])["enabled"] is False
    assert take_back(tenant("half-done"), run.out)[0] == "done"
    after = seen("half-done")[1]
    assert {**after, "version": ""} == {**before, "version": ""}

    again = carry_out(tenant("half-done", turn_on="no"))
    intent = next(
        event
        for event in map(json.loads, (again.out / "journal.jsonl").read_text().splitlines())
        if event["event"] == "intent" and (event.get("undo") or {}).get("kind") == "schema"
    )
    assert list(intent["undo"]["groups"].values()) == [True]
    group_mapping(seen("half-done")[1])["enabled"] = True  # others turn it on again
    status, rows, _ = take_back(tenant("half-done"), again.out)
    restored = next(row for row in rows if row["title"] == "Restore the attribute mappings (step 3.12)")
    assert [diff["field"] for diff in restored["diffs"] if diff["field"] == "Provision groups"] == []
    assert (status, group_mapping(seen("half-done")[1])["enabled"]) == ("done", True)


@pytest.mark.parametrize(("choice", "words"), [("", "set Enabled to No"), ("on", "set Enabled to Yes")])
def test_the_sheet_for_the_entra_administrator_says_what_to_do_with_groups(choice, words, tenant, carry_out):
    handed = tenant("fresh", entra_client_id="", entra_client_secret="", groups_mapping=choice)
    run = carry_out(handed, "plan")
    assert words in (run.out / "handover.md").read_text()


@pytest.mark.parametrize("choice", ["", "on"])
def test_the_sheet_for_the_auth0_administrator_names_the_scopes(choice, tenant, carry_out):
    handed = tenant("fresh", auth0_client_id="", auth0_client_secret="", groups_mapping=choice)
    text = (carry_out(handed, "plan").out / "handover.md").read_text()
    assert [scope for scope in sorted(GROUPS) if scope in text] == (sorted(GROUPS) if choice else [])
