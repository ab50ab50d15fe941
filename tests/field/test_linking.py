"""Mappings with which no person can be linked, or no departure can reach Auth0, are found before anything is written."""

from __future__ import annotations

import copy

import pytest

DEFAULT_OF_ACTIVE = 'active from Switch([IsSoftDeleted], , "False", "True", "True", "False")'


def attribute(name):
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def test_the_row_of_active_was_removed(customer, held):
    """Reported in MicrosoftDocs/azure-docs issue 93829."""
    customer("half-done").without_row("active")
    step, reason, remedy = held("half-done")
    assert (step, "people who leave keep their access" in reason, DEFAULT_OF_ACTIVE in remedy) == ("3.12", True, True)


def test_active_comes_from_account_enabled(customer, held):
    """Reported in cloudflare/cloudflare-docs pull 30543."""
    customer("half-done").row("active")["source"] = attribute("accountEnabled")
    step, reason, remedy = held("half-done")
    assert (step, "people who lose their assignment, or leave the scope, keep their access" in reason) == ("3.12", True)
    assert DEFAULT_OF_ACTIVE in remedy


def test_a_running_job_whose_row_of_active_was_removed_since(customer, carry_out, tenant):
    """Reported in grokability/snipe-it issue 19526."""
    assert carry_out(tenant("half-done")).status == "done"
    found = customer("half-done")
    found.without_row("active")
    run = carry_out(tenant("half-done"))
    rows = {row["step"]: row for row in run.rows}
    assert (run.status, run.writes(), found.job["schedule"]["state"]) == ("blocked", [], "Active")
    assert "people who leave keep their access" in rows["3.12"]["reason"]
    assert "the row of active tells Auth0 of a departure (3.12)" in rows["4.3"]["reason"]
    assert "Provisioning is on." in rows["4.3"]["reason"]


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_what_a_running_job_no_longer_stands_on_is_told_and_repaired(mode, customer, carry_out, tenant):
    """The conditions that a run repairs itself are told in a plan, and hold after it was carried out."""
    assert carry_out(tenant("half-done")).status == "done"
    found = customer("half-done")
    found.mapping["flowTypes"] = "Add,Update,Delete"
    run = carry_out(tenant("half-done"), mode)
    last = next(row for row in run.rows if row["step"] == "4.3")
    if mode == "plan":
        assert (run.status, last["status"]) == ("pending", "PLANNED")
        assert "the mapping of users is on and Create is off (3.7)" in last["reason"]
    else:
        assert (run.status, found.mapping["flowTypes"], found.job["schedule"]["state"]) == ("done", "Update,Delete", "Active")


def test_the_external_id_is_sent_at_creation_only(customer, held):
    """Reported at learn.microsoft.com/answers/questions/1838905."""
    customer("half-done").row("externalId")["flowType"] = "ObjectAddOnly"
    step, reason, remedy = held("half-done")
    assert (step, "flow type ObjectAddOnly and not Always" in reason) == ("3.8", True)
    assert "externalId from objectId, Apply this mapping: Always" in remedy


def test_auth0s_mapping_has_no_row_for_the_external_id(customer, held):
    """Reported in langwatch/langwatch issue 6974."""
    found = customer("half-done")
    found.scim_rows[:] = [row for row in found.scim_rows if row["scim"] != "externalId"]
    step, reason, _ = held("half-done")
    assert (step, "a row externalId → app_metadata.external_id" in reason) == ("1.5", True)


def test_a_scoping_filter_is_shown_and_decides_who_is_in_scope(customer, carry_out, tenant):
    """Reported at learn.microsoft.com/answers/questions/552508."""
    operand = {"values": ["Engineer"]}
    clause = {"operatorName": "EQUALS", "sourceOperandName": "jobTitle", "targetOperand": operand}
    group = {"name": "Only engineers", "clauses": [clause]}
    customer("half-done").mapping["scope"] = {"categoryFilterGroups": [], "groups": [group], "inputFilterGroups": []}
    run = carry_out(tenant("half-done"), "plan")
    rows = {row["step"]: row for row in run.rows}
    assert "A scoping filter is set" in rows["3.12"]["reason"]
    titles = [table["title"] for table in rows["3.12"]["tables"]]
    assert "Scoping filter of users (a person must meet one of these rows)" in titles
    scopes = {row[3] for table in rows["4.3"]["tables"] for row in table["rows"] if table["title"].startswith("Forecast")}
    assert "no, filtered out" in scopes


def test_a_rule_without_mappings_is_read_as_an_empty_one(customer, carry_out, tenant):
    """A published template schema has null where an object is documented (MicrosoftDocs, tutorials of gallery applications)."""
    found = customer("half-done")
    schema = found.provisioning.schemas[found.job["id"]]
    schema["synchronizationRules"].append(
        {"id": "empty", "name": "EMPTY", "priority": 2, "editable": True, "metadata": [], "objectMappings": None}
    )
    before = copy.deepcopy(schema["synchronizationRules"][-1])
    assert carry_out(tenant("half-done"), "plan").status == "pending"
    assert carry_out(tenant("half-done")).status == "done"
    assert found.provisioning.schemas[found.job["id"]]["synchronizationRules"][-1] == before


ROWS_THAT_SAY_LITTLE = [
    {"targetAttributeName": "nickName", "source": None},
    {"targetAttributeName": "nickName"},
    {"targetAttributeName": "nickName", "source": {"type": "None", "name": None, "expression": None, "parameters": []}},
    {"targetAttributeName": "title", "source": None, "defaultValue": "Employee"},
    {"targetAttributeName": None, "source": attribute("displayName")},
    {"targetAttributeName": "nickName", "source": {"type": "Constant", "name": "", "expression": "", "parameters": []}},
    {"targetAttributeName": "nickName", "source": {"type": "Function", "name": "", "expression": "", "parameters": []}},
]


@pytest.mark.parametrize("row", ROWS_THAT_SAY_LITTLE)
def test_a_row_without_a_source_or_a_target_is_kept_as_it_is(row, customer, carry_out, tenant):
    """Graph describes both as optional (attributeMapping); the portal has a type None (customize-application-attributes).

    A person whose expression Entra cannot evaluate fails, so that the test user of 4.2 may stop the run at the end.
    """
    found = customer("half-done")
    found.mapping["attributeMappings"].append(dict(row))
    assert carry_out(tenant("half-done"), "plan").status == "pending"
    run = carry_out(tenant("half-done"))
    stopped = {one["step"] for one in run.rows if one["status"] in ("failed", "blocked")}
    assert stopped <= ({"4.2"} if (row.get("source") or {}).get("type") == "Function" else set())
    assert found.mapping["attributeMappings"][-1] == row


@pytest.mark.parametrize("kind", ["Attribut", None, "unknownFutureValue"])
def test_a_row_that_graph_would_refuse_is_named_before_anything_is_written(kind, customer, held):
    """Graph's description knows Attribute, Constant and Function, and the schema is written whole."""
    found = customer("half-done")
    source = {"type": kind, "name": "displayName", "expression": "[displayName]", "parameters": []}
    found.mapping["attributeMappings"].append({"targetAttributeName": "nickName", "source": source})
    step, reason, remedy = held("half-done")
    assert (step, f"The row of nickName in the mapping {found.mapping['name']} has a source of type {kind!r}" in reason) == (
        "3.7",
        True,
    )
    assert "Delete the row in Entra" in remedy


def test_a_matching_row_without_a_target_is_named_before_anything_is_written(customer, held):
    found = customer("half-done")
    found.mapping["attributeMappings"].append({"targetAttributeName": None, "source": attribute("mail"), "matchingPriority": 3})
    step, reason, _ = held("half-done")
    assert (step, "A row with matching precedence 3 has no target attribute, so it matches no one" in reason) == ("3.11", True)


@pytest.mark.parametrize("name", ["nickname", "name", "email", "user_id"])
def test_auth0s_mapping_sends_the_object_id_into_a_value_of_the_profile(name, customer, held):
    """A row of Auth0's mapping that leads to a root attribute: the object id would take the place of people's values."""
    found = customer("half-done")
    next(row for row in found.scim_rows if row["scim"] == "externalId")["auth0"] = name
    step, reason, _ = held("half-done")
    assert (step, f"not externalId → {name}" in reason, "a row externalId → app_metadata.external_id" in reason) == (
        "1.5",
        True,
        True,
    )


@pytest.mark.parametrize(("row", "name"), [("active", "blocked"), ("externalId", "app_metadata.external_id")])
def test_another_row_of_auth0s_mapping_writes_what_blocks_or_links_people(row, name, customer, held):
    found = customer("half-done")
    next(one for one in found.scim_rows if one["scim"] == "title")["auth0"] = name
    step, reason, _ = held("half-done")
    assert (step, f"title must not write {name}: a row {row} → {name} writes it" in reason) == ("1.5", True)


@pytest.mark.parametrize("name", ["user_id", "identities", "oid"])
def test_a_row_of_auth0s_mapping_writes_whose_user_it_is(name, customer, held):
    found = customer("half-done")
    next(one for one in found.scim_rows if one["scim"] == "title")["auth0"] = name
    step, reason, _ = held("half-done")
    assert (step, f"title must not write {name}, which says whose user it is" in reason) == ("1.5", True)


def test_two_rows_of_auth0s_mapping_that_write_one_attribute_are_named_and_not_foretold(customer, carry_out, tenant):
    """Auth0's page on SCIM for Okta advises userName to email: with Entra's two matching rows both write it."""
    found = customer("half-done")
    next(row for row in found.scim_rows if row["scim"] == "userName")["auth0"] = "email"
    run = carry_out(tenant("half-done"), "plan")
    rows = {row["step"]: row for row in run.rows}
    assert 'userName and emails[type eq "work"].value all write email' in rows["1.5"]["reason"]
    [table] = [table for table in rows["4.3"]["tables"] if table["title"].startswith("Forecast")]
    changes = table["columns"].index("changes")
    told = next(row[changes] for row in table["rows"] if row[0] == "Adele Vance")
    assert told.count("email: ") == 1
    assert "several rows write it" in told
