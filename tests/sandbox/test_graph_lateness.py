"""What Graph shows and honours late, its links, its evaluator, its hidden members: over HTTPS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox.live import Live, attribute

USER_ROLE = "18d14569-c3bd-439b-9a66-3a2aee01d14f"


@pytest.fixture
def live(sandbox, control) -> Iterator[Live]:
    with requests.Session() as session:
        session.trust_env, session.verify = False, sandbox.ready["ca_bundle"]
        found = Live(sandbox, control, session)
        found.sign_in()
        yield found


@pytest.fixture
def newcomer(live: Live) -> str:
    """A person with an Auth0 user, assigned a moment ago."""
    found = live.person("Grady Archie")["id"]
    live.saved.links[live.job_id].pop(found)
    live.tenant.assignments = [one for one in live.tenant.assignments if one["principalId"] != found]
    live.tenant.members = {group: [one for one in ids if one != found] for group, ids in live.tenant.members.items()}
    return found


def assign(live: Live, person: str) -> str:
    principal = live.job.split("/")[2]
    body = {"principalId": person, "resourceId": principal, "appRoleId": USER_ROLE}
    answer = live.call("POST", f"/servicePrincipals/{principal}/appRoleAssignedTo", body)
    assert answer.status_code == 201
    return f"/servicePrincipals/{principal}/appRoleAssignedTo"


# entra-docs provision-on-demand; hashicorp/terraform-provider-azuread issue 1423
def test_a_new_assignment_counts_on_demand_only_after_some_calls(live, newcomer):
    live.switch(assignments_count_after={"calls": 2})
    assign(live, newcomer)
    verdicts = [live.on_demand(newcomer)[0] for _ in range(3)]
    codes = [(one["result"], (one["details"] or {}).get("errorCode")) for one in verdicts]
    assert codes == [("Skipped", "NotEffectivelyEntitled")] * 2 + [("Success", None)]


def test_a_new_assignment_counts_on_demand_only_after_some_seconds_and_in_a_cycle_at_once(live, newcomer):
    live.switch(assignments_count_after={"seconds": 180})
    assign(live, newcomer)
    assert live.on_demand(newcomer)[0]["result"] == "Skipped"
    live.control("POST", "/clock", {"advance_s": 181})
    assert live.on_demand(newcomer)[0]["result"] == "Success"


def test_a_cycle_honours_a_new_assignment_at_once(live, newcomer):
    live.switch(assignments_count_after={"seconds": 180})
    assign(live, newcomer)
    live.cycle()
    assert newcomer in live.saved.links[live.job_id]


@pytest.mark.parametrize("delay", [{"calls": 2}, {"seconds": 60}])
def test_a_new_assignment_is_listed_late_and_refused_as_a_duplicate_at_once(live, newcomer, delay):
    live.switch(assignments_list_after=delay)
    path = assign(live, newcomer)

    def is_listed() -> bool:
        return newcomer in [one["principalId"] for one in live.call("GET", f"{path}?$top=999").json()["value"]]

    seen = [is_listed(), is_listed()]
    live.control("POST", "/clock", {"advance_s": 61})
    assert [*seen, is_listed()] == [False, False, True]
    body = {"principalId": newcomer, "resourceId": path.split("/")[2], "appRoleId": USER_ROLE}
    assert live.call("POST", path, body).status_code == 400


# hashicorp/terraform-provider-azuread issue 1013
@pytest.mark.parametrize("delay", [{"calls": 2}, {"seconds": 90}])
def test_saved_secrets_are_listed_late_and_used_at_once(live, delay):
    live.switch(secrets_list_after=delay)
    path = f"{live.job.rsplit('/jobs', 1)[0]}/secrets"
    before = live.call("GET", path).json()["value"]
    assert live.call("PUT", path, {"value": [{"key": "SyncAll", "value": "true"}]}).status_code == 204
    assert live.saved.secrets["SyncAll"] == "true"
    seen = [live.call("GET", path).json()["value"] for _ in range(2)]
    live.control("POST", "/clock", {"advance_s": 91})
    after = live.call("GET", path).json()["value"]
    assert seen == [before, before]
    assert after == [{**one, "value": "true"} if one["key"] == "SyncAll" else one for one in before]


# microsoftgraph/msgraph-metadata issues 347 and 127
@pytest.mark.parametrize("value", ["", "no JSON", "[]", '"x"'])
def test_notification_settings_must_be_a_json_object(live, value):
    path, before = f"{live.job.rsplit('/jobs', 1)[0]}/secrets", dict(live.saved.secrets)
    answer = live.call("PUT", path, {"value": [{"key": "SyncNotificationSettings", "value": value}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "UnknownError")
    assert json.loads(answer.json()["error"]["message"])["Error"]["Code"] == "InvalidNotificationSettings"
    assert live.saved.secrets == before


def test_empty_notification_settings_are_taken_and_stay(live):
    live.switch(secrets_list_after={"calls": 0})
    path = f"{live.job.rsplit('/jobs', 1)[0]}/secrets"
    assert live.call("PUT", path, {"value": [{"key": "SyncNotificationSettings", "value": "{}"}]}).status_code == 204
    assert {"key": "SyncNotificationSettings", "value": "{}"} in live.call("GET", path).json()["value"]


# hashicorp/terraform-provider-azuread sends `@odata.type` with everything
def test_annotations_are_taken_anywhere(live):
    jobs, kind = live.job.rsplit("/", 1)[0], "#microsoft.graph.synchronizationJob"
    assert live.call("POST", jobs, {"@odata.type": kind, "templateId": "customappsso"}).status_code == 201
    pair = {"@odata.type": "#microsoft.graph.synchronizationSecretKeyStringValuePair", "key": "SyncAll", "value": "false"}
    assert live.call("PUT", f"{jobs.rsplit('/', 1)[0]}/secrets", {"value@odata.type": "#Collection(x)", "value": [pair]}).ok
    first = f"{jobs}/{next(iter(live.saved.jobs))}"
    criteria = {"@odata.type": "#microsoft.graph.synchronizationJobRestartCriteria", "resetScope": "Watermark"}
    assert live.call("POST", f"{first}/restart", {"criteria": criteria}).status_code == 204


@pytest.mark.parametrize("reading", [False, True])
def test_put_schema_starts_a_new_initial_cycle_and_lifts_a_quarantine_as_the_switch_says(live, reading):
    live.switch(schema_lifts_quarantine=reading)
    status = live.saved.jobs[live.job_id]["status"]
    status.update(code="Quarantine", quarantine={"reason": "TooManyDeletes"}, steadyStateFirstAchievedTime="2026-01-01T00:00:00Z")
    links = dict(live.saved.links[live.job_id])
    assert live.call("PUT", f"{live.job}/schema", live.call("GET", f"{live.job}/schema").json()).status_code == 204
    assert status["steadyStateFirstAchievedTime"] == "0001-01-01T00:00:00Z"
    assert (status["code"], live.saved.links[live.job_id]) == ("Active" if reading else "Quarantine", links)


# Links: objectConnection pages (beta) --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/{}", "('{}')"])
def test_a_link_is_read_by_either_of_its_ids_and_one_that_is_not_there_is_a_404(live, place):
    adele = live.person("Adele Vance")
    target = live.saved.links[live.job_id][adele["id"]]
    for key in (adele["id"], target):
        found = live.call("GET", f"{live.job}/objectConnections{place.format(key)}", version="beta").json()
        assert {name: value for name, value in found.items() if not name.startswith("@")} == {
            "objectId": key,
            "sourceAnchor": adele["id"],
            "targetAnchor": target,
            "displayName": "Adele Vance",
            "objectTypeName": "User",
        }
    missing = live.call("GET", f"{live.job}/objectConnections{place.format('nobody')}", version="beta")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


def test_links_are_not_listed_and_not_in_version_one(live):
    assert live.call("GET", f"{live.job}/objectConnections", version="beta").status_code == 400
    assert live.call("GET", f"{live.job}/objectConnections/x").status_code == 404


def test_a_link_is_deleted_only_while_the_job_is_paused_and_then_again_without_harm(live):
    path = f"{live.job}/objectConnections/{live.person('Adele Vance')['id']}"
    assert live.call("DELETE", path, version="beta").status_code == 409
    assert live.call("POST", f"{live.job}/pause").status_code == 204
    assert [live.call("DELETE", path, version="beta").status_code for _ in range(2)] == [204, 204]
    assert live.call("GET", path, version="beta").status_code == 404


# parseExpression: synchronizationschema-parseexpression page --------------------------------------------------------


def parse(live: Live, expression: Any, properties: Any = (), below: str = "") -> dict[str, Any]:
    body = {"expression": expression, "testInputObject": {"definition": None, "properties": list(properties)}}
    answer = live.call("POST", f"{below or live.job}/schema/parseExpression", body)
    assert answer.status_code == 200, answer.text
    return {name: value for name, value in answer.json().items() if not name.startswith("@")}


def test_an_expression_is_parsed_and_evaluated_for_a_test_object(live):
    properties = [{"key": "givenName", "value": "Zoë"}, {"key": "proxyAddresses", "value": ["a@x", "b@x"]}]
    found = parse(live, 'Join(" ", NormalizeDiacritics([givenName]), [proxyAddresses])', properties)
    assert (found["parsingSucceeded"], found["evaluationSucceeded"], found["error"]) == (True, True, None)
    assert found["evaluationResult"] == ["Zoe a@x b@x"]
    assert [one["key"] for one in found["parsedExpression"]["parameters"]] == ["separator", "source", "source"]
    assert found["parsedExpression"]["parameters"][2]["value"] == attribute("proxyAddresses")


def test_the_keys_of_parameters_leave_out_empty_arguments(live):
    below = f"{live.job.rsplit('/jobs', 1)[0]}/templates/scim"
    found = parse(live, 'Switch([IsSoftDeleted], , "False", "True", "True", "False")', below=below)
    assert [one["key"] for one in found["parsedExpression"]["parameters"]] == ["source", *["switchValue"] * 4]
    default = live.row("active")["source"]
    assert found["parsedExpression"] == default


@pytest.mark.parametrize(
    ("expression", "is_parsed", "words"),
    [
        ("Join(", False, "The expression ends too early."),
        ("Join([a] [b])", False, "',' is expected at position 10, not '[b]'."),
        ("Rhyme([a])", True, "The function Rhyme is not known."),
        ('IIF([a] = "x", "y", "z")', True, "The attribute a in the condition of IIF has no value."),
    ],
)
def test_an_expression_that_fails_says_at_which_of_the_two_steps(live, expression, is_parsed, words):
    found = parse(live, expression)
    assert (found["parsingSucceeded"], found["evaluationSucceeded"], found["evaluationResult"]) == (is_parsed, False, [])
    assert found["error"]["message"] == words


def test_null_in_expressions_is_read_as_the_switches_say(live):
    asked = ('Append([a], "x")', "Mid([a], 1, 2)", 'IIF([a] = "", "none", "some")', 'Join("-", [a], "b")', 'Coalesce([a], "b")')
    assert [parse(live, one)["evaluationResult"] for one in asked] == [[], [], [], ["b"], ["b"]]
    live.switch(null_in_expressions="empty", null_in_iif="compares")
    assert [parse(live, one)["evaluationResult"] for one in asked] == [["x"], [""], ["none"], ["b"], ["b"]]


# The directory -------------------------------------------------------------------------------------------------------


def test_a_softly_deleted_user_goes_by_the_id_before_the_name_until_restored(live):
    adele = dict(live.person("Adele Vance"))
    assert live.call("DELETE", f"/users/{adele['id']}").status_code == 204
    path = "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,mail"
    [found] = live.call("GET", path).json()["value"]
    name = f"{adele['id'].replace('-', '')}{adele['userPrincipalName']}"
    assert found == {"id": adele["id"], "userPrincipalName": name, "mail": adele["mail"]}
    assert live.call("POST", f"/directory/deletedItems/{adele['id']}/restore").status_code == 200
    assert live.tenant.users[adele["id"]]["userPrincipalName"] == adele["userPrincipalName"]


def test_softly_deleted_users_are_listed_in_pages(live):
    gone = [user["id"] for user in list(live.tenant.users.values())[:5]]
    for user_id in gone:
        live.call("DELETE", f"/users/{user_id}")
    path, pages = "/directory/deletedItems/microsoft.graph.user?$top=2&$select=id", []
    while path:
        page = live.call("GET", path).json()
        pages.append([user["id"] for user in page["value"]])
        path = page.get("@odata.nextLink", "").removeprefix(live.sandbox.ready["graph"])
    assert pages == [gone[:2], gone[2:4], gone[4:]]


# microsoftgraph/microsoft-graph-docs issue 12552; permissions reference, Member.Read.Hidden
@pytest.mark.parametrize(("may_see", "shown"), [(False, 0), (True, 3)])
def test_the_members_of_a_hidden_group_are_shown_only_to_who_may_see_them(live, may_see, shown):
    support = next(group for group in live.tenant.groups.values() if group["displayName"] == "Support")
    support["visibility"] = "HiddenMembership"
    member = live.tenant.members[support["id"]][0]
    if may_see:
        client = next(iter(live.tenant.clients.values()))
        client.permissions = (*client.permissions, "Member.Read.Hidden")
        live.sign_in()
    for kind in ("members", "transitiveMembers"):
        assert len(live.call("GET", f"/groups/{support['id']}/{kind}").json()["value"]) == shown
    groups = live.call("GET", f"/users/{member}/memberOf").json()["value"]
    assert (support["id"] in [group["id"] for group in groups]) is may_see
    assert live.call("GET", f"/groups/{support['id']}?$select=visibility").json()["visibility"] == "HiddenMembership"
