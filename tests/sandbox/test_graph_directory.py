"""Microsoft Graph in the sandbox: the door, applications, people, assignments, batch."""

from __future__ import annotations

import pytest

from runbook_lib.sandbox.demo_tenants import build_world
from tests.sandbox.graph_world import ORIGIN, Graph

USER_ROLE, MSIAM_ACCESS = "18d14569-c3bd-439b-9a66-3a2aee01d14f", "b9632174-c057-4f7e-951b-be3adc52bfe6"
TEMPLATE = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
DENIED = (403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
# microsoftgraph/microsoft-graph-docs-contrib issue 8800, hashicorp/terraform-provider-azuread issue 1628
UNAUTHORIZED = (401, "UnknownError", "")


@pytest.fixture
def graph() -> Graph:
    return Graph()


def oidc(graph: Graph) -> str:
    found = graph.get("/servicePrincipals?$filter=startswith(displayName,'Acme sign-in')&$select=id")
    return str(found["value"][0]["id"])


# The door ------------------------------------------------------------------------------------------------------------


def test_a_call_without_a_token_is_told_so(graph):
    graph.token = ""
    assert graph.refusal("GET", "/organization") == (401, "InvalidAuthenticationToken", "Access token is empty.")


def test_a_token_nobody_issued_is_not_parsed(graph):
    graph.token = "made-up"
    words = "CompactToken parsing failed with error code: 80049217"
    assert graph.refusal("GET", "/organization") == (401, "InvalidAuthenticationToken", words)


def test_a_token_ends_after_its_lifetime_by_the_sandboxs_clock(graph):
    graph.world.clock.advance(3590)
    assert graph.call("GET", "/organization").status == 200
    graph.world.clock.advance(10)
    words = "Lifetime validation failed, the token is expired."
    assert graph.refusal("GET", "/organization") == (401, "InvalidAuthenticationToken", words)


def test_an_error_names_both_request_ids_and_keeps_the_callers_own(graph):
    mine = "aaaaaaaa-0000-4000-8000-000000000001"
    answer = graph.call("GET", "/users/nobody", client_request_id=mine)
    inner = answer.body["error"]["innerError"]
    assert (inner["client-request-id"], answer.headers["client-request-id"]) == (mine, mine)
    assert inner["request-id"] == answer.headers["request-id"] != mine
    assert inner["date"].startswith("2026-01-05T09:00")


def test_a_success_names_a_request_id_too(graph):
    assert graph.call("GET", "/organization").headers["request-id"]


@pytest.mark.parametrize(
    "url", ["/organization?$expand=x", "/users?$skip=3", "/users/x?$top=1", "/servicePrincipals?api-version=1"]
)
def test_a_parameter_that_is_not_simulated_is_refused_and_marked(graph, url):
    answer = graph.call("GET", url)
    assert (answer.status, answer.headers["x-sandbox"]) == (400, "not simulated")


@pytest.mark.parametrize(("method", "url", "status"), [("GET", "/me", 404), ("PUT", "/users", 405)])
def test_a_route_that_is_not_simulated_is_refused(graph, method, url, status):
    assert graph.call(method, url).status == status


def test_a_body_that_is_not_json_is_refused_in_graphs_words(graph):
    words = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
    for body in (b"{", b"[1]", b'"text"'):
        assert graph.refusal("POST", f"/servicePrincipals/{oidc(graph)}/appRoleAssignedTo", body) == (400, "BadRequest", words)


def test_a_write_without_content_type_is_refused(graph):
    answer = graph.refusal("POST", f"/applicationTemplates/{TEMPLATE}/instantiate", b'{"displayName":"x"}', content_type="")
    assert answer == (400, "BadRequest", "Write requests (excluding DELETE) must contain the Content-Type header declaration.")


# Permissions: section "Permissions" of each reference page
@pytest.mark.parametrize(
    ("method", "url", "enough"),
    [
        ("GET", "/organization", ("Organization.Read.All",)),
        ("GET", "/organization", ("Directory.Read.All",)),
        ("GET", "/directory/deletedItems/microsoft.graph.user", ("User.Read.All",)),
        ("GET", "/users/x/manager", ("User.Read.All",)),
        ("GET", "/applications", ("Application.Read.All",)),
        ("GET", "/servicePrincipals", ("Application.Read.All",)),
        ("GET", "/servicePrincipals/x/appRoleAssignedTo", ("Application.Read.All",)),
        ("POST", f"/applicationTemplates/{TEMPLATE}/instantiate", ("Application.ReadWrite.OwnedBy",)),
        ("PATCH", "/servicePrincipals/x", ("Application.ReadWrite.All",)),
        ("POST", "/servicePrincipals/x/appRoleAssignedTo", ("AppRoleAssignment.ReadWrite.All", "Application.Read.All")),
        ("DELETE", "/servicePrincipals/x/appRoleAssignedTo/y", ("AppRoleAssignment.ReadWrite.All", "Directory.Read.All")),
        ("GET", "/servicePrincipals/x/synchronization/jobs", ("Synchronization.Read.All",)),
        ("POST", "/servicePrincipals/x/synchronization/jobs", ("Synchronization.ReadWrite.All",)),
        ("PUT", "/servicePrincipals/x/synchronization/secrets", ("Synchronization.ReadWrite.All",)),
        ("POST", "/servicePrincipals/x/synchronization/jobs/y/provisionOnDemand", ("Synchronization.ReadWrite.All",)),
        ("GET", "/users", ("User.Read.All",)),
        ("PATCH", "/users/x", ("User.ReadWrite.All",)),
        ("GET", "/groups", ("Group.Read.All",)),
        ("GET", "/groups/x/members", ("GroupMember.Read.All",)),
        ("GET", "/auditLogs/provisioning", ("AuditLog.Read.All", "Directory.Read.All")),
    ],
)
def test_each_call_needs_exactly_the_permissions_of_its_page(graph, method, url, enough):
    for missing in enough:
        graph.holding(*(name for name in enough if name != missing))
        assert graph.refusal(method, url, {}) == (UNAUTHORIZED if "/synchronization/" in url else DENIED)
    graph.holding(*enough)
    assert graph.call(method, url, None if method == "GET" else {}).status in (200, 400, 404)


def test_the_organization_is_not_shown_to_who_may_read_users_only(graph):
    graph.holding("User.Read.All")
    assert graph.refusal("GET", "/organization") == DENIED


def test_owned_by_configures_only_what_the_client_made(graph):
    graph.holding("Application.ReadWrite.OwnedBy")
    mine, theirs = graph.new_application(), oidc(graph)
    assert graph.call("PATCH", f"/servicePrincipals/{mine}", {"notes": "mine"}).status == 204
    assert graph.refusal("PATCH", f"/servicePrincipals/{theirs}", {"notes": "mine"}) == DENIED
    assert graph.refusal("GET", f"/servicePrincipals/{theirs}/synchronization/jobs") == UNAUTHORIZED
    assert graph.call("GET", f"/servicePrincipals/{theirs}").status == 200


# Applications --------------------------------------------------------------------------------------------------------


def test_an_application_is_found_by_app_id_in_both_spellings(graph):
    app_id = graph.get("/applications?$filter=startswith(displayName,'Acme')")["value"][0]["appId"]
    by_key = graph.get(f"/applications(appId='{app_id}')?$select=id,appId,displayName")
    by_filter = graph.get(f"/applications?$filter=appId eq '{app_id}'&$select=id,appId,displayName")
    assert {key: by_key[key] for key in ("id", "appId", "displayName")} == by_filter["value"][0]
    assert by_key["@odata.context"] == "https://graph.microsoft.com/v1.0/$metadata#applications(id,appId,displayName)/$entity"
    assert graph.get(f"/applications/{by_key['id']}")["appId"] == app_id


def test_an_unknown_app_id_is_a_404_by_key_and_an_empty_list_by_filter(graph):
    unknown = "00000000-0000-4000-8000-000000000000"
    assert graph.refusal("GET", f"/servicePrincipals(appId='{unknown}')")[:2] == (404, "Request_ResourceNotFound")
    assert graph.get(f"/servicePrincipals?$filter=appId eq '{unknown}'")["value"] == []


def test_the_gallery_shows_the_non_gallery_template_as_custom(graph):
    assert [entry["id"] for entry in graph.get("/applicationTemplates?$filter=displayName eq 'Custom'")["value"]] == [TEMPLATE]
    assert graph.get(f"/applicationTemplates/{TEMPLATE}")["displayName"] == "Custom"


@pytest.mark.parametrize("action", ["instantiate", "microsoft.graph.instantiate"])
def test_instantiate_makes_an_application_with_two_roles_that_requires_assignment(graph, action):
    made = graph.call("POST", f"/applicationTemplates/{TEMPLATE}/{action}", {"displayName": "Mine"})
    principal = made.body["servicePrincipal"]
    assert (made.status, made.body["application"]["appId"]) == (201, principal["appId"])
    assert [(role["displayName"], role["id"]) for role in principal["appRoles"]] == [
        ("User", USER_ROLE),
        ("msiam_access", MSIAM_ACCESS),
    ]
    assert (principal["appRoleAssignmentRequired"], principal["applicationTemplateId"]) == (True, TEMPLATE)
    assert principal["tags"] == ["WindowsAzureActiveDirectoryIntegratedApp"]


def test_instantiate_twice_makes_two_of_one_name(graph):
    first, second = graph.new_application(), graph.new_application()
    found = graph.get("/servicePrincipals?$filter=displayName eq 'Mine'&$select=id")["value"]
    assert {entry["id"] for entry in found} == {first, second}


def test_a_new_application_is_not_readable_at_once_and_the_synchronization_service_lags_behind_it(graph):
    new = graph.new_application(patient=False)
    directory = [graph.call("GET", f"/servicePrincipals/{new}").status for _ in range(3)]
    synchronization = [graph.call("GET", f"/servicePrincipals/{new}/synchronization/templates").status for _ in range(3)]
    assert (directory, synchronization) == ([404, 404, 200], [401, 403, 200])


def test_the_lag_of_the_synchronization_service_says_unknown_error_without_words(graph):
    new = graph.new_application(patient=False)
    for _ in range(2):
        graph.call("GET", f"/servicePrincipals/{new}")
    assert graph.refusal("GET", f"/servicePrincipals/{new}/synchronization/jobs") == (401, "UnknownError", "")


def test_notes_and_tags_can_be_changed_and_roles_cannot(graph):
    new = graph.new_application()
    assert graph.call("PATCH", f"/servicePrincipals/{new}", {"notes": "runbook", "tags": ["a"]}).status == 204
    assert graph.get(f"/servicePrincipals/{new}?$select=notes,tags") == {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals(notes,tags)/$entity",
        "notes": "runbook",
        "tags": ["a"],
    }
    refused = graph.refusal("PATCH", f"/servicePrincipals/{new}", {"appRoles": []})
    assert refused == (400, "Request_BadRequest", "Invalid property 'appRoles'.")


def test_deleting_the_app_registration_takes_the_enterprise_application_along(graph):
    new = graph.new_application()
    app_id = graph.get(f"/servicePrincipals/{new}")["appId"]
    assert graph.call("DELETE", f"/applications(appId='{app_id}')").status == 204
    assert graph.call("GET", f"/servicePrincipals/{new}").status == 404
    assert new not in graph.tenant.provisioning


def test_deleting_the_enterprise_application_leaves_the_app_registration(graph):
    new = graph.new_application()
    app_id = graph.get(f"/servicePrincipals/{new}")["appId"]
    assert graph.call("DELETE", f"/servicePrincipals/{new}").status == 204
    assert graph.call("GET", f"/applications(appId='{app_id}')").status == 200


# Assignments ---------------------------------------------------------------------------------------------------------


def test_an_assignment_is_made_read_and_deleted(graph):
    new, adele = graph.new_application(), graph.person("Adele Vance")["id"]
    body = {"principalId": adele, "resourceId": new, "appRoleId": USER_ROLE}
    made = graph.call("POST", f"/servicePrincipals/{new}/appRoleAssignedTo", body)
    assert made.status == 201
    context = f"https://graph.microsoft.com/v1.0/$metadata#servicePrincipals('{new}')/appRoleAssignedTo/$entity"
    assert made.body["@odata.context"] == context
    assert (made.body["principalType"], made.body["principalDisplayName"]) == ("User", "Adele Vance")
    listed = [[a["id"] for a in graph.get(f"/servicePrincipals/{new}/appRoleAssignedTo")["value"]] for _ in range(2)]
    assert listed == [[], [made.body["id"]]]
    path = f"/servicePrincipals/{new}/appRoleAssignedTo/{made.body['id']}"
    assert [graph.call("DELETE", path).status for _ in range(2)] == [204, 404]
    assert graph.get(f"/servicePrincipals/{new}/appRoleAssignedTo")["value"] == []


def test_the_same_assignment_again_is_refused_and_another_role_is_not(graph):
    new, adele = graph.new_application(), graph.person("Adele Vance")["id"]
    path = f"/servicePrincipals/{new}/appRoleAssignedTo"
    first = {"principalId": adele, "resourceId": new, "appRoleId": USER_ROLE}
    assert graph.call("POST", path, first).status == 201
    words = "Permission being assigned already exists on the object"
    assert graph.refusal("POST", path, first) == (400, "Request_BadRequest", words)
    assert graph.call("POST", path, {**first, "appRoleId": MSIAM_ACCESS}).status == 201


@pytest.mark.parametrize("role", ["00000000-0000-0000-0000-000000000000", "00000000-0000-4000-8000-00000000beef"])
def test_a_role_the_application_does_not_declare_is_refused_also_the_default_one(graph, role):
    new, adele = graph.new_application(), graph.person("Adele Vance")["id"]
    body = {"principalId": adele, "resourceId": new, "appRoleId": role}
    words = "Permission being assigned was not found on application."
    assert graph.refusal("POST", f"/servicePrincipals/{new}/appRoleAssignedTo", body) == (400, "Request_BadRequest", words)


def test_an_application_without_roles_takes_the_default_one_only(graph):
    sales = next(iter(graph.tenant.groups))
    graph.tenant.assignments.clear()
    body = {"principalId": sales, "resourceId": oidc(graph), "appRoleId": "00000000-0000-0000-0000-000000000000"}
    made = graph.call("POST", f"/servicePrincipals/{oidc(graph)}/appRoleAssignedTo", body)
    assert (made.status, made.body["principalType"]) == (201, "Group")


def test_an_unknown_principal_is_no_valid_reference(graph):
    new = graph.new_application()
    body = {"principalId": "00000000-0000-4000-8000-00000000beef", "resourceId": new, "appRoleId": USER_ROLE}
    refused = graph.refusal("POST", f"/servicePrincipals/{new}/appRoleAssignedTo", body)
    assert refused == (400, "Request_BadRequest", "Not a valid reference update.")


@pytest.mark.parametrize("by", ["/{id}", "(appId='{appId}')"])
def test_many_assignments_come_in_three_pages_of_a_hundred_and_each_once(by):
    graph = Graph("many-assignments")
    principal = graph.tenant.service_principals[oidc(graph)]
    url, sizes, seen = f"/servicePrincipals{by.format_map(principal)}/appRoleAssignedTo", [], []
    while url:
        page = graph.get(url)
        sizes.append(len(page["value"]))
        seen += [entry["principalId"] for entry in page["value"]]
        url = page.get("@odata.nextLink", "")
    everyone = [a["principalId"] for a in graph.tenant.assignments]
    assert (sizes, seen) == ([100, 100, len(everyone) - 200], everyone)


# People --------------------------------------------------------------------------------------------------------------


def test_the_organization_is_the_tenant_of_the_token(graph):
    found = graph.get("/organization?$select=id,displayName,verifiedDomains")["value"]
    assert found == [
        {
            "id": graph.tenant.id,
            "displayName": "Fresh Ltd",
            "verifiedDomains": [
                {
                    "capabilities": "Email",
                    "isDefault": True,
                    "isInitial": True,
                    "name": "fresh.onmicrosoft.com",
                    "type": "Managed",
                }
            ],
        }
    ]


def test_a_user_is_found_by_id_and_by_name_in_any_case(graph):
    adele = graph.person("Adele Vance")
    assert graph.get(f"/users/{adele['id']}")["id"] == adele["id"]
    assert graph.get("/users/ADELE@fresh.onmicrosoft.com")["id"] == adele["id"]


def test_a_user_comes_with_few_properties_unless_others_are_selected(graph):
    adele = graph.person("Adele Vance")
    usual = {
        "@odata.context", "businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
        "preferredLanguage", "surname", "userPrincipalName", "id",
    }  # fmt: skip
    assert set(graph.get(f"/users/{adele['id']}")) == usual
    found = graph.get(f"/users/{adele['id']}?$select=accountEnabled,employeeId,otherMails")
    assert (found["accountEnabled"], found["employeeId"], found["otherMails"]) == (True, None, [])
    assert "id" not in found


def test_a_user_goes_softly_comes_back_and_goes_for_good(graph):
    adele = graph.person("Adele Vance")["id"]
    assert graph.call("DELETE", f"/users/{adele}").status == 204
    assert graph.call("GET", f"/users/{adele}").status == 404
    [gone] = graph.get("/directory/deletedItems/microsoft.graph.user?$select=id,deletedDateTime")["value"]
    assert (gone["id"], gone["deletedDateTime"][:4]) == (adele, "2026")
    assert graph.call("POST", f"/directory/deletedItems/{adele}/restore").status == 200
    assert graph.call("GET", f"/users/{adele}").status == 200
    assert [graph.call("DELETE", f"/{place}/{adele}").status for place in ("users", "directory/deletedItems")] == [204, 204]
    assert graph.get("/directory/deletedItems/microsoft.graph.user")["value"] == []
    assert adele not in str((graph.tenant.assignments, graph.tenant.members))


def test_a_user_can_be_disabled_and_not_given_what_graph_does_not_know(graph):
    adele = graph.person("Adele Vance")["id"]
    assert graph.call("PATCH", f"/users/{adele}", {"accountEnabled": False}).status == 204
    assert graph.get(f"/users/{adele}?$select=accountEnabled")["accountEnabled"] is False
    assert graph.refusal("PATCH", f"/users/{adele}", {"shoeSize": 1})[2] == "Invalid property 'shoeSize'."
    assert graph.call("PATCH", f"/users/{adele}", {"accountEnabled": "no"}).status == 400


@pytest.fixture
def nested(graph):
    """Put the group Support into the group Sales; return both ids and a member of Support only."""
    ids = {group["displayName"]: group["id"] for group in graph.tenant.groups.values()}
    graph.tenant.members[ids["Sales"]].append(ids["Support"])
    return ids["Sales"], ids["Support"], graph.tenant.members[ids["Support"]][0]


def test_direct_members_of_a_group_are_users_and_groups(graph, nested):
    sales, support, inner = nested
    found = graph.get(f"/groups/{sales}/members?$select=id")["value"]
    assert {"@odata.type": "#microsoft.graph.group", "id": support} in found
    assert inner not in [member["id"] for member in found]


def test_transitive_members_and_memberships_look_through_groups(graph, nested):
    sales, support, inner = nested
    assert inner in [member["id"] for member in graph.get(f"/groups/{sales}/transitiveMembers")["value"]]
    assert [group["id"] for group in graph.get(f"/users/{inner}/memberOf")["value"]] == [support]
    assert [group["id"] for group in graph.get(f"/users/{inner}/transitiveMemberOf")["value"]] == [support, sales]


def test_groups_in_a_circle_end(graph, nested):
    sales, support, inner = nested
    graph.tenant.members[support].append(sales)
    assert [group["id"] for group in graph.get(f"/users/{inner}/transitiveMemberOf")["value"]] == [support, sales]
    assert len(graph.get(f"/groups/{sales}/transitiveMembers")["value"]) == len(
        {*graph.tenant.members[sales], *graph.tenant.members[support]}
    )


def test_check_member_groups_looks_through_groups_and_takes_at_most_twenty(graph, nested):
    sales, _, inner = nested
    path = f"/users/{inner}/checkMemberGroups"
    assert graph.call("POST", path, {"groupIds": [sales, "other"]}).body["value"] == [sales]
    assert graph.call("POST", path, {"groupIds": [sales] * 21}).status == 400


# Batch ---------------------------------------------------------------------------------------------------------------


def item(number: int, method: str = "GET", url: str = "/organization", **more: object) -> dict[str, object]:
    return {"id": str(number), "method": method, "url": url, **more}


def batch(graph: Graph, *items: object) -> dict[str, tuple[int, object]]:
    answer = graph.call("POST", "/$batch", {"requests": list(items)})
    assert answer.status == 200, answer.body
    return {entry["id"]: (entry["status"], entry.get("body")) for entry in answer.body["responses"]}


def test_each_item_of_a_batch_is_answered_as_if_it_came_alone(graph):
    new, adele = graph.new_application(), graph.person("Adele Vance")["id"]
    body = {"principalId": adele, "resourceId": new, "appRoleId": USER_ROLE}
    post = {"headers": {"Content-Type": "application/json"}, "body": body}
    path = f"/servicePrincipals/{new}/appRoleAssignedTo"
    answers = batch(graph, item(1, "POST", path, **post), item(2, "POST", path, **post), item(3, url="/users/nobody%40x"))
    assert [answers[number][0] for number in ("1", "2", "3")] == [201, 400, 404]
    assert "nobody@x" in str(answers["3"][1])


def test_the_answers_of_a_batch_come_in_another_order(graph):
    answer = graph.call("POST", "/$batch", {"requests": [item(1, url="/users/nobody"), item(2)]})
    assert [entry["id"] for entry in answer.body["responses"]] == ["2", "1"]


def test_an_item_with_a_body_needs_its_content_type(graph):
    answers = batch(graph, item(1, "POST", f"/applicationTemplates/{TEMPLATE}/instantiate", body={"displayName": "x"}))
    assert answers["1"][0] == 400
    assert "Content-Type" in str(answers["1"][1])


def test_an_item_that_depends_on_a_failed_one_is_not_sent(graph):
    answers = batch(graph, item(1, url="/users/nobody"), item(2, dependsOn=["1"]), item(3, dependsOn=["2"]), item(4))
    assert {number: status for number, (status, _) in answers.items()} == {"1": 404, "2": 424, "3": 424, "4": 200}
    assert [entry["path"] for entry in graph.simulation.history if entry.get("batch")] == [
        "/v1.0/users/nobody",
        "/v1.0/organization",
    ]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([item(1), item(1)], "Request Id values must be unique within a batch. Duplicate Id: 1."),
        ([item(n) for n in range(21)], "Number of batch request steps exceeds the maximum value of 20."),
        ([], "Invalid batch payload format."),
        ([item(1, "PURGE")], "Invalid batch payload format."),
        ([{"method": "GET", "url": "/users"}], "Invalid batch payload format."),
        ([item(1, dependsOn=["9"])], "The request 1 depends on 9, which does not come before it."),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_whole(graph, items, words):
    before = len(graph.simulation.history)
    assert graph.refusal("POST", "/$batch", {"requests": items}) == (400, "BadRequest", words)
    assert len(graph.simulation.history) == before + 1


@pytest.mark.parametrize("url", ["/$batch", f"{ORIGIN}/v1.0/users"])
def test_a_batch_in_a_batch_and_an_absolute_url_are_refused(graph, url):
    assert batch(graph, item(1, url=url))["1"][0] == 400


def test_a_batch_runs_with_the_permissions_of_its_own_token(graph):
    graph.holding("User.Read.All")
    answers = batch(graph, item(1, url="/users"), item(2, url="/applications"))
    assert {number: status for number, (status, _) in answers.items()} == {"1": 200, "2": 403}


def test_two_worlds_of_one_seed_answer_alike():
    first, second = Graph(), Graph()
    assert build_world(7, auth0_domain="localhost:1").entra.keys() == first.world.entra.keys()
    for url in ("/users", "/applications", "/users/nobody"):
        assert first.call("GET", url) == second.call("GET", url)


# user-list-manager page: the manager stands in each user, and a user without one is shown without the property
def test_a_list_of_users_shows_managers_where_they_are_expanded(graph):
    adele, alex = (graph.person(name)["id"] for name in ("Adele Vance", "Alex Wilber"))
    graph.tenant.managers[adele] = alex
    found = graph.get(f"/users?$filter=id in ('{adele}','{alex}')&$select=id&$expand=manager($select=id,displayName)")["value"]
    manager = {"@odata.type": "#microsoft.graph.user", "id": alex, "displayName": "Alex Wilber"}
    assert sorted(found, key=len) == [{"id": alex}, {"id": adele, "manager": manager}]


@pytest.mark.parametrize(
    ("query", "is_marked"),
    [
        ("$expand=manager", True),
        ("$expand=manager($levels=max;$select=id)", True),
        ("$expand=memberOf($select=id)", True),
        ("$expand=manager($select=id)&$top=999&$select=id", True),
        ("$expand=manager($select=id)&$select=displayName", True),
        ("$expand=manager($select=nonsense)", False),
    ],
)
def test_what_is_not_simulated_of_expansion_is_refused(graph, query, is_marked):
    answer = graph.call("GET", f"/users?{query}")
    assert (answer.status, "x-sandbox" in answer.headers) == (400, is_marked)
