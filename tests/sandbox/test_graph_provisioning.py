"""The synchronization service in the sandbox's Graph: templates, jobs, schema, secrets, running, on demand, log."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from runbook_lib.sandbox.entra_engine import engine
from tests.sandbox.graph_world import Graph

URL = "https://localhost:1/scim/v2/connections/con_x?aadOptscim062020"


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def new(graph: Graph) -> str:
    """The path of a new application's synchronization."""
    return f"/servicePrincipals/{graph.new_application()}/synchronization"


@pytest.fixture
def job(graph: Graph, new: str) -> str:
    """The path of a new job that can be read."""
    made = graph.call("POST", f"{new}/jobs", {"templateId": "scim"})
    path = f"{new}/jobs/{made.body['id']}"
    assert [graph.call("GET", path).status for _ in range(2)][-1] == 200
    return path


@pytest.fixture
def done() -> tuple[Graph, str]:
    """The demo tenant that is complete, and the path of its job."""
    graph = Graph("complete")
    service_principal_id, job_id, _ = graph.provisioning()
    return graph, f"/servicePrincipals/{service_principal_id}/synchronization/jobs/{job_id}"


def pairs(**values: str) -> dict[str, Any]:
    return {"value": [{"key": key, "value": value} for key, value in values.items()]}


# Templates and jobs --------------------------------------------------------------------------------------------------


def test_a_non_gallery_application_offers_scim_as_its_default(graph, new):
    found = graph.get(f"{new}/templates?$select=id,default,factoryTag")["value"]
    assert [(entry["id"], entry["default"]) for entry in found] == [("scim", True), ("customappsso", False)]


def test_a_template_carries_its_schema(graph, new):
    found = graph.get(f"{new}/templates/scim")
    assert (found["schema"]["id"], found["schema"]["version"]) == ("scim.00000000000000000000000000000000", "6.0")
    assert graph.call("GET", f"{new}/templates/other").status == 404


def test_a_new_job_is_paused_and_its_id_tells_template_tenant_and_application(graph, new):
    made = graph.call("POST", f"{new}/jobs", {"templateId": "scim"})
    service_principal = graph.tenant.service_principals[new.split("/")[2]]
    assert (made.status, made.body["id"]) == (201, f"scim.{graph.tenant.id.replace('-', '')}.{service_principal['appId']}")
    assert made.body["schedule"] == {"expiration": None, "interval": "PT40M", "state": "Disabled"}
    assert made.body["status"]["code"] == "Paused"


def test_a_new_job_takes_a_read_to_show(graph, new):
    job_id = graph.call("POST", f"{new}/jobs", {"templateId": "scim"}).body["id"]
    assert [graph.call("GET", f"{new}/jobs/{job_id}").status for _ in range(2)] == [404, 200]
    assert [entry["id"] for entry in graph.get(f"{new}/jobs")["value"]] == [job_id]


def test_a_second_job_of_a_template_is_refused_and_the_first_stays(graph, new, job):
    assert graph.refusal("POST", f"{new}/jobs", {"templateId": "scim"})[:2] == (409, "Conflict")
    assert len(graph.get(f"{new}/jobs")["value"]) == 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"templateId": "nothing"}, "Template 'nothing' was not found."),
        ({}, "A value is required for property 'templateId'."),
        ({"templateId": "scim", "id": "x"}, "Invalid property 'id'."),
    ],
)
def test_a_job_without_a_template_it_could_come_from_is_refused(graph, new, body, words):
    assert graph.refusal("POST", f"{new}/jobs", body) == (400, "Request_BadRequest", words)


def test_deleting_a_job_takes_schema_and_links_and_leaves_the_secrets(done):
    graph, job = done
    _, _, saved = graph.provisioning()
    assert graph.call("DELETE", job).status == 204
    assert (saved.jobs, saved.schemas, saved.links, "SecretToken" in saved.secrets) == ({}, {}, {}, True)
    assert graph.call("GET", job).status == 404


# Schema --------------------------------------------------------------------------------------------------------------


def test_the_default_schema_has_the_documented_rows(graph, job):
    [rule] = graph.get(f"{job}/schema")["synchronizationRules"]
    groups, users = rule["objectMappings"]
    matching = {
        row["targetAttributeName"]: row["matchingPriority"] for row in users["attributeMappings"] if row["matchingPriority"]
    }
    sources = {row["targetAttributeName"]: row["source"]["expression"] for row in users["attributeMappings"]}
    assert (users["flowTypes"], len(users["attributeMappings"]), len(groups["attributeMappings"])) == ("Add,Update,Delete", 22, 3)
    assert (matching, sources["externalId"]) == ({"userName": 1}, "[mailNickname]")
    assert sources["active"] == 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'


def test_put_replaces_the_schema_whole_and_keeps_what_nobody_knows(graph, job):
    schema = graph.get(f"{job}/schema")
    sent = {**copy.deepcopy(schema), "x_unknown": {"nested": [None, "\u00e9"]}}
    sent["synchronizationRules"][0]["objectMappings"][1]["flowTypes"] = "Update,Delete"
    del sent["directories"]
    assert graph.call("PUT", f"{job}/schema", sent).status == 204
    found = graph.get(f"{job}/schema")
    assert found == {**sent, "version": found["version"]}
    assert found["version"].startswith("Date:2026-01-05T09:00")
    assert found["version"] != schema["version"]


def test_put_of_a_schema_starts_a_new_initial_cycle_and_keeps_the_links(done):
    graph, job = done
    _, job_id, saved = graph.provisioning()
    saved.jobs[job_id]["status"]["steadyStateFirstAchievedTime"] = "2026-01-01T00:00:00Z"
    links = dict(saved.links[job_id])
    assert graph.call("PUT", f"{job}/schema", graph.get(f"{job}/schema")).status == 204
    assert graph.get(job)["status"]["steadyStateFirstAchievedTime"] == "0001-01-01T00:00:00Z"
    assert saved.links[job_id] == links != {}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"synchronizationRules": "x"},
        {"synchronizationRules": [{}]},
        {"synchronizationRules": [{"id": "r", "objectMappings": [{}]}]},
    ],
)
def test_a_schema_that_the_engine_could_not_read_is_refused_and_changes_nothing(graph, job, body):
    before = graph.get(f"{job}/schema")
    assert graph.refusal("PUT", f"{job}/schema", body)[:2] == (400, "InvalidSchema")
    assert graph.get(f"{job}/schema") == before


# microsoftgraph/msgraph-sdk-python issue 820
def test_patch_of_a_schema_is_a_404_with_json_in_its_message(graph, job):
    status, code, message = graph.refusal("PATCH", f"{job}/schema", {"version": "x"})
    assert (status, code) == (404, "UnknownError")
    service_principal_id, job_id = job.split("/")[2], job.rsplit("/", 1)[1]
    assert json.loads(message) == {
        "Message": "No HTTP resource was found that matches the request URI 'https://syncfabric.windowsazure.com/api/"
        f"servicePrincipals('{service_principal_id}')/synchronization/jobs('{job_id}')/schema?api-version=2.0'."
    }


# Secrets -------------------------------------------------------------------------------------------------------------


def test_a_saved_token_reads_back_as_a_star_and_the_rest_as_it_is(graph, new):
    graph.world.switches.set({"secrets_list_after": {"calls": 0}})
    assert graph.call("PUT", f"{new}/secrets", pairs(BaseAddress=URL, SecretToken="tok_secret", SyncAll="false")).status == 204
    assert graph.get(f"{new}/secrets")["value"] == pairs(BaseAddress=URL, SecretToken="*", SyncAll="false")["value"]


def test_a_star_that_is_sent_back_becomes_the_token(done):
    graph, job = done
    secrets = f"{job.rsplit('/jobs', 1)[0]}/secrets"
    assert graph.call("PUT", secrets, {"value": graph.get(secrets)["value"]}).status == 204
    assert graph.provisioning()[2].secrets["SecretToken"] == "*"
    assert graph.refusal("POST", f"{job}/validateCredentials", {"useSavedCredentials": True})[0] == 400


@pytest.mark.parametrize(
    ("reading", "left"), [("merge", {"BaseAddress": URL, "SyncAll": "true"}), ("replace", {"SyncAll": "true"})]
)
def test_keys_that_are_not_sent_stay_or_go_as_the_world_says(graph, new, reading, left):
    graph.world.switches.set({"put_secrets": reading})
    graph.call("PUT", f"{new}/secrets", pairs(BaseAddress=URL, SyncAll="false"))
    graph.call("PUT", f"{new}/secrets", pairs(SyncAll="true"))
    assert graph.tenant.provisioning[new.split("/")[2]].secrets == left


def test_an_empty_text_removes_a_key(graph, new):
    graph.world.switches.set({"secrets_list_after": {"calls": 0}})
    graph.call("PUT", f"{new}/secrets", pairs(BaseAddress=URL, SyncAll="false"))
    graph.call("PUT", f"{new}/secrets", pairs(BaseAddress=""))
    assert graph.get(f"{new}/secrets")["value"] == pairs(SyncAll="false")["value"]


# microsoftgraph/msgraph-beta-sdk-java issue 372
def test_a_key_in_another_casing_is_an_internal_error_and_saves_nothing(graph, new):
    refused = graph.refusal("PUT", f"{new}/secrets", pairs(SyncAll="false", baseAddress=URL))
    assert refused == (500, "InternalError", "Requested value 'baseAddress' was not found.")
    assert graph.get(f"{new}/secrets")["value"] == []


@pytest.mark.parametrize("value", [None, "x", [{"key": "SyncAll"}], [{"key": "SyncAll", "value": None}], ["x"]])
def test_secrets_in_another_form_are_refused(graph, new, value):
    assert graph.call("PUT", f"{new}/secrets", {"value": value}).status == 400


# Credentials ---------------------------------------------------------------------------------------------------------


def test_saved_credentials_that_work_are_answered_204_through_both_spellings_and_both_paths(done):
    graph, job = done
    jobs = job.rsplit("/", 1)[0]
    for path in (job, jobs):
        for action in ("validateCredentials", "microsoft.graph.validateCredentials"):
            assert graph.call("POST", f"{path}/{action}", {"useSavedCredentials": True}).status == 204


def test_sent_credentials_are_tested_and_not_saved(done):
    graph, job = done
    before = dict(graph.provisioning()[2].secrets)
    sent = pairs(BaseAddress=before["BaseAddress"], SecretToken="tok_wrong")["value"]
    body = {"useSavedCredentials": False, "templateId": "scim", "credentials": sent}
    status, code, _ = graph.refusal("POST", f"{job}/validateCredentials", body)
    assert (status, code) == (400, "SystemForCrossDomainIdentityManagementInvalidCredentials")
    body["credentials"][1]["value"] = before["SecretToken"]
    assert graph.call("POST", f"{job}/validateCredentials", body).status == 204
    assert graph.provisioning()[2].secrets == before


def test_a_test_of_credentials_asks_the_endpoint_for_a_user_that_cannot_be_there(done):
    graph, job = done
    graph.call("POST", f"{job}/validateCredentials", {"useSavedCredentials": True})
    probe = graph.simulation.history[-1]
    assert (probe["service"], probe["method"], probe["status"]) == ("scim", "GET", 200)
    assert probe["query"].startswith("filter=userName+eq+%22")


@pytest.mark.parametrize("body", [{"useSavedCredentials": True}, {"useSavedCredentials": False, "credentials": []}, {}])
def test_credentials_that_are_missing_are_named(graph, job, body):
    assert graph.refusal("POST", f"{job}/validateCredentials", body)[:2] == (400, "CredentialsMissing")


# Running -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", ["", "microsoft.graph."])
def test_a_job_starts_pauses_and_goes_on(done, namespace):
    graph, job = done
    states = []
    for action in ("pause", "start", "start"):
        assert graph.call("POST", f"{job}/{namespace}{action}").status == 204
        found = graph.get(job)
        states.append((found["schedule"]["state"], found["status"]["code"]))
    assert states == [("Disabled", "Paused"), ("Active", "Active"), ("Active", "Active")]


def test_start_clears_quarantine(done):
    graph, job = done
    _, job_id, saved = graph.provisioning()
    saved.jobs[job_id]["status"].update(code="Quarantine", quarantine={"reason": "TooManyDeletes"})
    assert graph.call("POST", f"{job}/start").status == 204
    assert (graph.get(job)["status"]["code"], graph.get(job)["status"]["quarantine"]) == ("Active", None)


# hashicorp/terraform-provider-azuread, testAccSynchronizationJob_basic: started without any secret, enabled is true
def test_a_job_without_credentials_starts_and_its_first_cycle_fails_into_quarantine(graph, job):
    assert graph.call("POST", f"{job}/start").status == 204
    found = graph.get(job)
    assert (found["schedule"]["state"], found["status"]["code"]) == ("Active", "Active")
    assert engine.run_cycle(graph.world, found["id"]) == {"ran": True, "quarantined": "CredentialsMissing"}
    assert graph.get(job)["status"]["quarantine"]["reason"] == "EncounteredQuarantineException"


@pytest.mark.parametrize(
    ("scope", "keeps_links", "code"),
    [
        ("Full", False, "Active"),
        ("Watermark", True, "Quarantine"),
        ("Watermark, QuarantineState", True, "Active"),
        ("None", True, "Quarantine"),
        ("", True, "Active"),
    ],
)
def test_restart_clears_what_its_scope_names(done, scope, keeps_links, code):
    graph, job = done
    _, job_id, saved = graph.provisioning()
    saved.jobs[job_id]["status"].update(code="Quarantine", quarantine={"reason": "TooManyDeletes"})
    assert graph.call("POST", f"{job}/restart", {"criteria": {"resetScope": scope}}).status == 204
    assert (job_id in saved.links, graph.get(job)["status"]["code"]) == (keeps_links, code)


def test_restart_with_an_unknown_scope_is_refused(done):
    graph, job = done
    assert graph.call("POST", f"{job}/restart", {"criteria": {"resetScope": "Everything"}}).status == 400


# On demand -----------------------------------------------------------------------------------------------------------


def on_demand(graph: Graph, job: str, name: str = "Adele Vance") -> dict[str, Any]:
    rule_id = graph.get(f"{job}/schema")["synchronizationRules"][0]["id"]
    subject = {"objectId": graph.person(name)["id"], "objectTypeName": "User"}
    return {"parameters": [{"ruleId": rule_id, "subjects": [subject]}]}


def test_provision_on_demand_answers_200_with_json_in_key_and_value(done):
    graph, job = done
    answer = graph.call("POST", f"{job}/provisionOnDemand", on_demand(graph, job))
    assert (answer.status, set(answer.body)) == (200, {"@odata.context", "key", "value"})
    assert json.loads(answer.body["key"])["result"] in ("Success", "Skipped")
    assert json.loads(answer.body["value"])["sourceIdentity"]["id"] == graph.person("Adele Vance")["id"]


def test_a_sixth_on_demand_in_ten_seconds_is_throttled_in_the_recorded_form_and_a_later_one_is_not(done):
    graph, job = done
    body = on_demand(graph, job)
    answers = [graph.call("POST", f"{job}/provisionOnDemand", body) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429, 200]
    assert answers[5].headers["Retry-After"] == "2.128"
    error = answers[5].body["error"]
    assert (error["code"], error["message"]) == ("TooManyRequests", "Please retry again later.")
    assert (error["innerError"]["code"], error["innerError"]["message"]) == ("429", "Please retry after")


def test_a_foreign_rule_is_refused_by_name(done):
    graph, job = done
    body = on_demand(graph, job)
    body["parameters"][0]["ruleId"] = "33f7c90d-bf71-41b1-bda6-aaf0ddbee5d8"
    status, code, words = graph.refusal("POST", f"{job}/provisionOnDemand", body)
    assert (status, code) == (400, "RequestParameterInvalid")
    assert words.endswith("rule: 33f7c90d-bf71-41b1-bda6-aaf0ddbee5d8.  However, the job does not include the rule.")


def test_on_demand_without_credentials_says_so(graph, job):
    assert graph.refusal("POST", f"{job}/provisionOnDemand", on_demand(graph, job))[:2] == (400, "CredentialsMissing")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["parameters"].clear(),
        lambda body: body["parameters"][0]["subjects"].append({}),
        lambda body: body["parameters"][0]["subjects"][0].update(objectTypeName="user"),
        lambda body: body["parameters"][0]["subjects"][0].update(objectTypeName="Group"),
    ],
)
def test_on_demand_for_anything_but_one_user_is_refused_and_nothing_is_sent(done, change):
    graph, job = done
    body = on_demand(graph, job)
    change(body)
    assert graph.call("POST", f"{job}/provisionOnDemand", body).status == 400
    assert [entry for entry in graph.simulation.history if entry["service"] == "scim"] == []


# Log -----------------------------------------------------------------------------------------------------------------


def test_the_log_finds_a_change_by_job_and_user_newest_first(done):
    graph, job = done
    for name in ("Adele Vance", "Alex Wilber", "Adele Vance"):
        assert graph.call("POST", f"{job}/provisionOnDemand", on_demand(graph, job, name)).status == 200
    adele = graph.person("Adele Vance")["id"]
    found = graph.get(f"/auditLogs/provisioning?$filter=jobId eq '{job.rsplit('/', 1)[1]}' and sourceIdentity/id eq '{adele}'")
    ours = [record for record in reversed(graph.tenant.provisioning_log) if record["sourceIdentity"]["id"] == adele]
    assert [record["changeId"] for record in found["value"]] == [record["changeId"] for record in ours]
    assert len(ours) == 2


def test_the_log_minds_case_but_for_the_status(done):
    graph, job = done
    graph.call("POST", f"{job}/provisionOnDemand", on_demand(graph, job))
    status = graph.tenant.provisioning_log[0]["provisioningStatusInfo"]["status"].upper()
    job_id = job.rsplit("/", 1)[1].upper()
    assert len(graph.get(f"/auditLogs/provisioning?$filter=provisioningStatusInfo/status eq '{status}'")["value"]) == 1
    assert graph.get(f"/auditLogs/provisioning?$filter=jobId eq '{job_id}'")["value"] == []


def test_the_log_takes_times_with_greater_and_less(done):
    graph, job = done
    graph.call("POST", f"{job}/provisionOnDemand", on_demand(graph, job))
    counts = [
        len(graph.get(f"/auditLogs/provisioning?$filter=activityDateTime {operator} 2026-01-05T10:00:00Z")["value"])
        for operator in ("lt", "gt")
    ]
    assert counts == [1, 0]


def test_the_log_takes_five_requests_in_ten_seconds(done):
    graph, _ = done
    assert [graph.call("GET", "/auditLogs/provisioning").status for _ in range(7)] == [200] * 5 + [429, 200]
