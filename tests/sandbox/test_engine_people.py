"""What the engine does to people: scope, matching, departures, what flows. Sources: sandbox/README.md, Provisioning engine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests.sandbox.live import USER_TARGET, WORK_MAIL, Live, attribute, constant, row


@pytest.fixture
def live(sandbox, control) -> Iterator[Live]:
    """The demo tenant `complete`: everyone linked but one, no one provisioned yet."""
    with requests.Session() as session:
        session.trust_env, session.verify = False, sandbox.ready["ca_bundle"]
        found = Live(sandbox, control, session)
        found.sign_in()
        yield found


def unlink(live: Live, user_id: str) -> None:
    live.saved.links[live.job_id].pop(user_id, None)


def unassign(live: Live, user_id: str) -> None:
    live.tenant.assignments = [one for one in live.tenant.assignments if one["principalId"] != user_id]
    live.tenant.members = {group: [one for one in ids if one != user_id] for group, ids in live.tenant.members.items()}


# Departures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [None, constant("True")])
def test_a_departure_that_is_not_mapped_does_not_flow(live, source):
    grady = live.person("Grady Archie")
    grady["accountEnabled"] = False
    rows = live.mapping()["attributeMappings"]
    rows.remove(live.row("active"))
    if source:
        rows.append(row("active", source))
    live.cycle()
    assert not live.auth0_user(grady["id"]).get("blocked")


@pytest.mark.parametrize(("leaves_by", "is_blocked"), [("disabling", True), ("unassigning", False)])
def test_active_from_account_enabled_tells_of_disabling_and_not_of_unassigning(live, leaves_by, is_blocked):
    grady = live.person("Grady Archie")
    live.row("active")["source"] = attribute("accountEnabled")
    if leaves_by == "disabling":
        grady["accountEnabled"] = False
    else:
        unassign(live, grady["id"])
    live.cycle()
    assert bool(live.auth0_user(grady["id"]).get("blocked")) is is_blocked


@pytest.mark.parametrize("reading", ["disables", "nothing"])
def test_unassigning_a_linked_person_disables_or_does_nothing_as_the_switch_says(live, reading):
    live.switch(unassigning=reading)
    grady = live.person("Grady Archie")
    unassign(live, grady["id"])
    live.cycle()
    assert bool(live.auth0_user(grady["id"]).get("blocked")) is (reading == "disables")
    assert live.rows_of(grady["id"]) == ([("disable", "success", "")] if reading == "disables" else [])


@pytest.mark.parametrize("reading", ["skipped", "disabled"])
@pytest.mark.parametrize("is_deleted", [False, True])
def test_whoever_was_disabled_before_the_first_match_is_skipped_or_disabled_as_the_switch_says(live, reading, is_deleted):
    live.switch(disabled_before_link=reading)
    grady = live.person("Grady Archie")
    auth0_user = live.auth0_user(grady["id"])
    unlink(live, grady["id"])
    grady["accountEnabled"] = False
    if is_deleted:
        assert live.call("DELETE", f"/users/{grady['id']}").status_code == 204
        live.row("userName")["source"] = attribute("mail")
    live.quiet()
    live.cycle()
    now = live.sandbox.world.auth0.users[auth0_user["user_id"]]
    if reading == "skipped":
        assert live.rows_of(grady["id"]) == [("create", "skipped", "NotEffectivelyEntitled")]
        assert not now.get("blocked")
        assert [query for _, _, query in live.scim() if "grady" in query] == []
    else:
        assert live.rows_of(grady["id"]) == [("disable", "success", "")]
        assert now["blocked"] is True


# Microsoft Q&A 5601366: the four values of such a skip
def test_the_skip_of_a_disabled_person_has_the_shape_of_a_live_one(live):
    grady = live.person("Grady Archie")
    unlink(live, grady["id"])
    grady["accountEnabled"] = False
    verdict, details = live.on_demand(grady["id"])
    step = details["provisioningSteps"][-1]
    assert (verdict["result"], verdict["details"]["errorCode"]) == ("Skipped", "NotEffectivelyEntitled")
    assert step == {
        "name": "EntrySynchronizationSkip",
        "type": "Export",
        "status": "Skipped",
        "description": "The User 'grady@complete.onmicrosoft.com' will be skipped due to the following reasons: "
        "1) This object is not active in the source system.",
        "timestamp": step["timestamp"],
        "details": {
            "SkipReason": "NotEffectivelyEntitled",
            "ReportableIdentifier": "grady@complete.onmicrosoft.com",
            "IsActive": "False",
            "Assigned to the application": "True",
            "IsInProvisioningScope": "True",
        },
    }


@pytest.mark.parametrize(
    ("is_enabled", "is_linked", "is_blocked"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_on_demand_disables_a_linked_unassigned_person_and_skips_the_disabled(live, is_enabled, is_linked, is_blocked):
    grady = live.person("Grady Archie")
    auth0_user = live.auth0_user(grady["id"])
    grady["accountEnabled"] = is_enabled
    unassign(live, grady["id"])
    if not is_linked:
        unlink(live, grady["id"])
    verdict, details = live.on_demand(grady["id"])
    assert (verdict["result"], details["action"] == "Disable") == ("Success" if is_blocked else "Skipped", is_blocked)
    assert bool(live.sandbox.world.auth0.users[auth0_user["user_id"]].get("blocked")) is is_blocked


def test_a_person_deleted_for_good_is_deleted_and_one_unassigned_before_is_not(live):
    grady, lee = live.person("Grady Archie"), live.person("Lee Gu")
    targets = [live.saved.links[live.job_id][one["id"]] for one in (grady, lee)]
    unassign(live, lee["id"])
    live.cycle()
    for one in (grady, lee):
        assert live.call("DELETE", f"/users/{one['id']}").status_code == 204
        assert live.call("DELETE", f"/directory/deletedItems/{one['id']}").status_code == 204
    live.cycle()
    assert [target in live.sandbox.world.auth0.users for target in targets] == [False, True]


def test_the_delete_guard_trips_at_its_value_and_counts_only_new_departures(live):
    live.saved.secrets["SyncNotificationSettings"] = json.dumps({"DeleteThresholdEnabled": True, "DeleteThresholdValue": 2})
    for name in ("Grady Archie", "Lee Gu", "Adele Vance"):
        live.person(name)["accountEnabled"] = False
        live.cycle()
    assert live.saved.jobs[live.job_id]["status"]["quarantine"] is None
    for name in ("Alex Wilber", "Diego Siciliani"):
        live.person(name)["accountEnabled"] = False
    assert live.cycle()["quarantined"] == "TooManyDeletes"
    assert not live.auth0_user(live.person("Alex Wilber")["id"]).get("blocked")


def test_a_person_who_comes_back_is_unblocked_and_counts_again_when_leaving(live):
    grady = live.person("Grady Archie")
    for is_enabled in (False, True):
        grady["accountEnabled"] = is_enabled
        live.cycle()
        assert live.auth0_user(grady["id"])["blocked"] is not is_enabled
    assert live.saved.departed[live.job_id] == {}


# Scope ---------------------------------------------------------------------------------------------------------------


def clause(operator: str, *values: str, name: str = "jobTitle") -> dict:
    return {"sourceOperandName": name, "operatorName": operator, "targetOperand": {"values": list(values)}}


def scoped(live: Live, kind: str, *groups: list[dict]) -> None:
    live.mapping()["scope"] = {
        "categoryFilterGroups": [],
        "groups": [],
        "inputFilterGroups": [],
        kind: [{"name": "f", "clauses": clauses} for clauses in groups],
    }


@pytest.mark.parametrize(
    ("clauses", "passes"),
    [
        ([clause("EQUALS", "Engineer")], True),
        ([clause("EQUALS", "engineer")], False),
        ([clause("NOT EQUALS", "Engineer")], False),
        ([clause("NOT EQUALS", "Clerk", name="faxNumber")], False),
        ([clause("IS NULL", name="mobile")], True),
        ([clause("IS NOT NULL", name="mobile")], False),
        ([clause("IS TRUE", name="accountEnabled")], True),
        ([clause("IS FALSE", name="accountEnabled")], False),
        ([clause("REGEX MATCH", "gine")], True),
        ([clause("REGEX MATCH", "^Clerk")], False),
        ([clause("NOT REGEX MATCH", "^Clerk")], True),
        ([clause("NOT REGEX MATCH", "^Clerk", name="mobile")], False),
        ([clause("GREATER_THAN", "9", name="employeeId")], True),
        ([clause("GREATER_THAN", "10", name="employeeId")], False),
        ([clause("Greater_Than_OR_EQUALS", "10", name="employeeId")], True),
        ([clause("GREATER_THAN", "1")], False),
        ([clause("INCLUDES", "gin")], True),
        ([clause("INCLUDES", "GIN")], False),
        ([clause("ENDS_WITH", "eer")], True),
        ([clause("ENDS_WITH", "Eng")], False),
        ([clause("&", "Engineer or Clerk")], True),
        ([clause("!&", "Engineer or Clerk")], False),
        ([clause("EQUALS", "Engineer"), clause("EQUALS", "Bergen", name="city")], False),
    ],
)
def test_each_operator_of_scoping_filters_lets_in_whom_it_should(live, clauses, passes):
    adele = live.person("Adele Vance")
    adele["employeeId"] = "10"
    unlink(live, adele["id"])
    scoped(live, "groups", clauses)
    verdict, details = live.on_demand(adele["id"])
    assert details["provisioningSteps"][-2]["details"].get("Scoping filter evaluation passed", "True") == str(passes)
    assert (adele["id"] in live.saved.links[live.job_id], verdict["result"] == "Skipped") == (passes, not passes)


def test_one_of_several_filters_is_enough(live):
    adele = live.person("Adele Vance")
    scoped(live, "groups", [clause("EQUALS", "Clerk")], [clause("EQUALS", "Oslo", name="city")])
    assert live.on_demand(adele["id"])[0]["result"] == "Success"


@pytest.mark.parametrize(("kind", "is_blocked"), [("groups", True), ("inputFilterGroups", False)])
@pytest.mark.parametrize("skips", [False, True])
def test_falling_out_of_groups_disables_and_out_of_input_filters_does_not(live, kind, is_blocked, skips):
    alex = live.person("Alex Wilber")
    if skips:
        live.saved.secrets["SkipOutOfScopeDeletions"] = "True"
    live.saved.secrets.pop("SyncNotificationSettings")
    scoped(live, kind, [clause("EQUALS", "Engineer")])
    live.cycle()
    assert bool(live.auth0_user(alex["id"]).get("blocked")) is (is_blocked and not skips)


def test_an_operator_that_nobody_knows_fails_the_person_and_sends_nothing(live):
    scoped(live, "groups", [clause("RHYMES WITH", "x")])
    live.quiet()
    assert live.on_demand(live.person("Adele Vance")["id"])[0]["result"] == "Failure"
    assert live.scim() == []


# Matching ------------------------------------------------------------------------------------------------------------


def test_a_fresh_match_is_patched_without_a_read_by_id_and_a_linked_person_is_read(live):
    adele = live.person("Adele Vance")
    target = live.saved.links[live.job_id].pop(adele["id"])
    live.quiet()
    live.on_demand(adele["id"])
    assert [(method, "filter" in query) for method, _, query in live.scim()] == [("GET", True), ("GET", True), ("PATCH", False)]
    assert live.saved.links[live.job_id][adele["id"]] == target
    live.quiet()
    adele["jobTitle"] = "Clerk"
    live.on_demand(adele["id"])
    assert [(method, "filter" in query) for method, _, query in live.scim()] == [("GET", False), ("PATCH", False)]


def test_custom_rows_match_too_in_the_order_of_their_priority(live):
    adele = live.person("Adele Vance")
    unlink(live, adele["id"])
    live.row("displayName")["matchingPriority"] = 3
    adele["mail"] = adele["userPrincipalName"] = "nobody@x.example"
    live.quiet()
    assert live.on_demand(adele["id"])[0]["result"] == "Success"
    asked = [query.split("+eq+")[0].removeprefix("filter=") for _, _, query in live.scim() if query]
    assert asked == ["userName", "emails%5Btype", "displayName"]
    assert adele["id"] in live.saved.links[live.job_id]


def test_two_hits_are_an_error_that_links_nobody(live):
    adele = live.person("Adele Vance")
    unlink(live, adele["id"])
    live.mapping()["attributeMappings"].remove(live.row("userName"))
    live.row(WORK_MAIL)["source"] = constant("same@x.example")
    for name in ("Alex Wilber", "Lee Gu"):
        live.auth0_user(live.person(name)["id"])["email"] = "same@x.example"
    verdict, _ = live.on_demand(adele["id"])
    assert (verdict["result"], verdict["details"]["errorCode"]) == ("Failure", "DuplicateTargetEntries")
    assert adele["id"] not in live.saved.links[live.job_id]


def test_a_person_without_any_matching_value_is_not_searched(live):
    adele = live.person("Adele Vance")
    unlink(live, adele["id"])
    live.row("userName")["matchingPriority"] = 0
    adele["mail"] = None
    live.quiet()
    assert live.on_demand(adele["id"])[0]["details"]["errorCode"] == "ImportSkipped"
    assert live.scim() == []


def test_no_match_with_create_off_is_skipped_with_a_numbered_reason(live):
    isaiah = next(user for user in live.tenant.users.values() if user["id"] not in live.saved.links[live.job_id])
    verdict, details = live.on_demand(isaiah["id"])
    step = details["provisioningSteps"][-1]
    assert (verdict["result"], verdict["details"]["errorCode"]) == ("Skipped", "SandboxNoMatchAndCreateOff")
    assert (step["name"], step["details"]["SkipReason"]) == ("EntrySynchronizationSkip", "SandboxNoMatchAndCreateOff")
    assert "will be skipped due to the following reasons: 1) " in step["description"]


# entra-docs customize-application-attributes; MicrosoftDocs/azure-docs commit f182ef7
@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("userPrincipalName", "adele@fabrikam.example"),
        ("originalUserPrincipalName", "adele_fabrikam.example#EXT#@complete.onmicrosoft.com"),
    ],
)
def test_a_guest_is_sent_as_alias_and_domain_unless_the_original_name_is_mapped(live, source, sent):
    adele = live.person("Adele Vance")
    adele["userPrincipalName"] = "adele_fabrikam.example#EXT#@complete.onmicrosoft.com"
    live.row("userName")["source"] = attribute(source)
    live.on_demand(adele["id"])
    assert live.auth0_user(adele["id"])["upn"] == sent


# What flows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("reading", "sent"), [("at_creation", None), ("when_null", "nowhere")])
def test_a_default_value_is_used_at_creation_only_or_whenever_the_source_is_null(live, reading, sent):
    live.switch(default_value=reading)
    adele = live.person("Adele Vance")
    adele["city"] = None
    live.row('addresses[type eq "work"].locality')["defaultValue"] = "nowhere"
    live.on_demand(adele["id"])
    assert live.auth0_user(adele["id"])["app_metadata"].get("city") == sent


def test_a_switch_with_a_default_reads_its_parameters_by_key(live):
    adele = live.person("Adele Vance")
    parameters = [("source", attribute("department")), ("defaultValue", constant("Other")), ("switchValue", constant("Sales"))]
    parameters += [("switchValue", constant("Field")), ("switchValue", constant("Support")), ("switchValue", constant("Desk"))]
    source = {"type": "Function", "name": "Switch", "expression": "", "parameters": []}
    source["parameters"] = [{"key": key, "value": value} for key, value in parameters]
    live.row("title")["source"] = source
    for department, title in (("Support", "Desk"), ("Sales", "Field"), ("Legal", "Other")):
        adele["department"] = department
        live.on_demand(adele["id"])
        assert live.auth0_user(adele["id"])["app_metadata"]["title"] == title


def test_a_row_for_creation_only_does_not_flow_to_a_matched_user(live):
    adele = live.person("Adele Vance")
    live.row("externalId")["flowType"] = "ObjectAddOnly"
    live.auth0_user(adele["id"])["app_metadata"] = {}
    live.on_demand(adele["id"])
    assert "external_id" not in live.auth0_user(adele["id"])["app_metadata"]


@pytest.mark.parametrize(("is_exact", "title"), [(False, "engineer"), (True, "Engineer")])
def test_a_change_of_case_alone_flows_only_to_an_attribute_that_minds_case(live, is_exact, title):
    adele = live.person("Adele Vance")
    live.auth0_user(adele["id"])["app_metadata"]["title"] = "engineer"
    target = live.saved.schemas[live.job_id]["directories"][1]
    [users] = [kind for kind in target["objects"] if kind["name"] == USER_TARGET]
    next(one for one in users["attributes"] if one["name"] == "title")["caseExact"] = is_exact
    live.on_demand(adele["id"])
    assert live.auth0_user(adele["id"])["app_metadata"]["title"] == title


def test_an_expression_that_cannot_be_evaluated_fails_the_person_and_changes_nothing(live):
    adele = live.person("Adele Vance")
    before = dict(live.auth0_user(adele["id"]))
    live.row("title")["source"] = {"type": "Function", "name": "Rhyme", "expression": "Rhyme([city])", "parameters": []}
    verdict, _ = live.on_demand(adele["id"])
    assert (verdict["result"], verdict["details"]["errorCode"]) == ("Failure", "AttributeMappingExpressionError")
    assert live.auth0_user(adele["id"]) == before


@pytest.mark.parametrize("reading", ["fails", "reads"])
def test_a_manager_flows_once_linked_and_may_make_the_person_unreadable(live, reading):
    live.switch(manager_in_answers=reading)
    adele, alex = live.person("Adele Vance"), live.person("Alex Wilber")
    body = {"@odata.id": f"https://graph.microsoft.com/v1.0/users/{alex['id']}"}
    assert live.call("PUT", f"/users/{adele['id']}/manager/$ref", body).status_code == 204
    assert live.call("GET", f"/users/{adele['id']}/manager").json()["id"] == alex["id"]
    assert live.on_demand(adele["id"])[0]["result"] == "Success"
    assert live.auth0_user(adele["id"])["app_metadata"]["manager"] == live.saved.links[live.job_id][alex["id"]]
    adele["accountEnabled"] = False
    live.cycle()
    assert bool(live.auth0_user(adele["id"]).get("blocked")) is (reading == "reads")


@pytest.mark.parametrize("source", [None, {"type": "None", "name": None, "expression": None, "parameters": []}])
@pytest.mark.parametrize(("before", "after"), [(None, "Employee"), ("Clerk", "Clerk")])
def test_a_row_without_a_source_gives_its_default_to_an_empty_target(live, source, before, after):
    adele = live.person("Adele Vance")
    live.auth0_user(adele["id"])["app_metadata"]["title"] = before
    live.row("title").update(source=source, defaultValue="Employee")
    schema = live.saved.schemas[live.job_id]
    assert live.call("PUT", f"{live.job}/schema", schema).status_code == 204
    live.on_demand(adele["id"])
    assert live.auth0_user(adele["id"])["app_metadata"]["title"] == after


@pytest.mark.parametrize("kind", ["Attribut", "", None, 5])
def test_a_source_of_a_type_that_graph_does_not_describe_is_refused(live, kind):
    live.row("title")["source"]["type"] = kind
    answer = live.call("PUT", f"{live.job}/schema", live.saved.schemas[live.job_id])
    assert answer.status_code == 400
    assert "type: Attribute, Constant or Function" in answer.json()["error"]["message"]


def test_a_row_without_a_target_says_nothing(live):
    adele = live.person("Adele Vance")
    live.row("title")["targetAttributeName"] = None
    assert live.call("PUT", f"{live.job}/schema", live.saved.schemas[live.job_id]).status_code == 204
    assert live.on_demand(adele["id"])[0]["result"] in ("Success", "Skipped")


def test_a_manager_who_is_deleted_softly_is_none(live):
    adele, alex = live.person("Adele Vance"), live.person("Alex Wilber")
    live.tenant.managers[adele["id"]] = alex["id"]
    live.call("DELETE", f"/users/{alex['id']}")
    live.on_demand(adele["id"])
    assert "manager" not in live.auth0_user(adele["id"])["app_metadata"]


# Records -------------------------------------------------------------------------------------------------------------


# The keys and spellings of a live record of July 2026 (graph2otel, collector test)
def test_a_log_row_is_whole(live):
    adele = live.person("Adele Vance")
    adele["jobTitle"] = "Clerk"
    live.cycle()
    found = live.call("GET", f"/auditLogs/provisioning?$filter=sourceIdentity/id eq '{adele['id']}'").json()["value"]
    [record] = found
    principal_id = live.job.split("/")[2]
    principal = live.tenant.service_principals[principal_id]
    directories = {one["readOnly"]: one["id"] for one in live.saved.schemas[live.job_id]["directories"]}
    assert record["initiatedBy"] == {"displayName": "Azure AD Provisioning Service", "id": "", "initiatorType": "system"}
    assert record["servicePrincipal"] == {"displayName": principal["displayName"], "id": principal_id}
    assert record["sourceSystem"] == {"details": {}, "displayName": "Microsoft Entra ID", "id": directories[True]}
    assert record["targetSystem"] == {
        "details": {
            "ApplicationId": "8adf8e6e-67b2-4cf2-a259-e3dc5476c621",
            "ServicePrincipalDisplayName": principal["displayName"],
            "ServicePrincipalId": principal_id,
        },
        "displayName": "customappsso",
        "id": directories[False],
    }
    assert record["sourceIdentity"] == {
        "details": {"DisplayName": "Adele Vance", "id": adele["id"], "odatatype": "User"},
        "displayName": "Adele Vance",
        "id": adele["id"],
        "identityType": "User",
    }
    assert record["targetIdentity"]["identityType"] == USER_TARGET
    assert {"displayName": "title", "oldValue": None, "newValue": "Clerk"} in record["modifiedProperties"]
    steps = [(step["name"], step["provisioningStepType"], step["status"]) for step in record["provisioningSteps"]]
    assert steps == [
        ("EntryImport", "import", "success"),
        ("EntryImport", "matching", "success"),
        ("EntrySynchronizationScoping", "scoping", "success"),
        ("EntryExportUpdate", "export", "success"),
    ]
    status = live.call("GET", live.job).json()["status"]
    assert record["cycleId"] == status["lastExecution"]["activityIdentifier"]


def test_two_jobs_of_one_application_work_side_by_side_each_with_its_own_links(live):
    adele, first, jobs = live.person("Adele Vance"), live.job_id, live.job.rsplit("/", 1)[0]
    second = live.call("POST", jobs, {"templateId": "customappsso"}).json()["id"]
    assert [live.call("GET", f"{jobs}/{second}").status_code for _ in range(2)] == [404, 200]
    assert live.control("POST", "/cycle", {"job_id": second}).json()["ran"] is False
    assert live.call("POST", f"{jobs}/{second}/start").status_code == 204
    links = dict(live.saved.links[first])
    assert live.control("POST", "/cycle", {"job_id": second}).json()["ran"] is True
    assert live.saved.links[first] == links
    assert adele["id"] not in live.saved.links[second] or live.saved.links[second][adele["id"]] == links[adele["id"]]
    assert {row["jobId"] for row in live.tenant.provisioning_log} == {second}
    assert live.control("POST", "/cycle", {"job_id": first}).json()["ran"] is True
