"""The whole procedure over HTTPS. The judge is the sandbox's own state and history, not the tool's report."""

from __future__ import annotations

import copy
import json

import pytest

from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session

TARGET_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def connection_of(sandbox, name):
    return next(c for c in sandbox.world.auth0.connections.values() if c["name"] == f"{name}-azure-ad")


def scim_side(entra_tenant, name):
    principals = [p for p in entra_tenant.service_principals.values() if p["displayName"] == f"Acme SCIM ({name})"]
    assert len(principals) == 1
    return principals[0], entra_tenant.provisioning[principals[0]["id"]]


def user_mapping(schema):
    return next(
        m for rule in schema["synchronizationRules"] for m in rule["objectMappings"] if m["targetObjectName"] == TARGET_USER
    )


def group_mapping(schema):
    return next(m for rule in schema["synchronizationRules"] for m in rule["objectMappings"] if m["sourceObjectName"] == "Group")


def principals_of(entra_tenant, service_principal_id):
    return {a["principalId"] for a in entra_tenant.assignments if a["resourceId"] == service_principal_id}


def test_apply_on_a_fresh_tenant_reaches_the_documented_state(sandbox, tenant, carry_out, entra):
    before = copy.deepcopy(connection_of(sandbox, "fresh"))
    run = carry_out(tenant("fresh"))
    assert (run.status, set(run.statuses().values())) == ("done", {"CHANGED", "PASSED", "UNCHANGED", "NOTED"})

    after = connection_of(sandbox, "fresh")
    wanted = {key: value for key, value in before["options"].items() if key != "set_user_root_attributes"}
    assert after["options"] == {**wanted, "userid_attribute": "sub", "useCommonEndpoint": False, "waad_common_endpoint": False}
    assert {key: value for key, value in after.items() if key != "options"} == {
        key: v for key, v in before.items() if key != "options"
    }

    provisioning = sandbox.world.auth0.provisioning[after["id"]]
    assert provisioning.configuration["user_id_attribute"] == "externalId"
    assert [sorted(token["scopes"]) for token in provisioning.tokens] == [["delete:users", "get:users", "patch:users"]]

    customer = entra("fresh")
    principal, saved = scim_side(customer, "fresh")
    oidc = next(p for p in customer.service_principals.values() if p["appId"] == after["options"]["client_id"])
    assert principals_of(customer, principal["id"]) == principals_of(customer, oidc["id"])
    assert len(principals_of(customer, principal["id"])) == 14
    [job] = saved.jobs.values()
    assert (job["templateId"], job["schedule"]["state"], job["status"]["quarantine"]) == ("scim", "Active", None)
    mapping = user_mapping(saved.schemas[job["id"]])
    rows = {row["targetAttributeName"]: row for row in mapping["attributeMappings"]}
    assert mapping["flowTypes"] == "Update,Delete"
    assert rows["externalId"]["source"] == {"expression": "[objectId]", "name": "objectId", "type": "Attribute", "parameters": []}
    assert rows['emails[type eq "work"].value']["matchingPriority"] == 2
    assert saved.secrets["BaseAddress"].endswith("?aadOptscim062020")
    guard = json.loads(saved.secrets["SyncNotificationSettings"])
    assert (guard["DeleteThresholdEnabled"], guard["DeleteThresholdValue"], saved.secrets["SyncAll"]) == (True, 20, "false")

    adele = next(user for user in customer.users.values() if user["displayName"] == "Adele Vance")
    [profile] = [u for u in sandbox.world.auth0.users.values() if u.get("email", "").lower() == adele["mail"].lower()]
    assert (profile["app_metadata"]["external_id"], profile.get("blocked", False)) == (adele["id"], False)


def test_start_is_the_last_write_and_no_write_comes_before_the_reads_of_section_0(tenant, carry_out):
    run = carry_out(tenant("fresh"))
    assert run.writes()[-1].endswith("/start")
    paths = [(entry["method"], entry["path"]) for entry in run.history]
    first_write = next(n for n, (method, path) in enumerate(paths) if method != "GET" and not path.endswith(("token", "$batch")))
    reads = [path for _, path in paths[:first_write]]
    assert {"/v1.0/organization", "/api/v2/connections", "/api/v2/users"} <= set(reads)


def test_the_schema_outside_the_edits_is_untouched(tenant, carry_out, entra):
    _, saved = scim_side(entra("half-done"), "half-done")
    [(job_id, before)] = copy.deepcopy(saved.schemas).items()
    carry_out(tenant("half-done"))
    after = copy.deepcopy(saved.schemas[job_id])
    mapping = user_mapping(before)
    group_mapping(before)["enabled"] = False
    mapping["flowTypes"] = "Update,Delete"
    for row in mapping["attributeMappings"]:
        if row["targetAttributeName"] == "externalId":
            row["source"].update(expression="[objectId]", name="objectId")
        if row["targetAttributeName"].startswith("emails"):
            row["matchingPriority"] = 2
    del before["version"], after["version"]
    assert after == before


@pytest.mark.parametrize("name", ["fresh", "half-done", "many-assignments"])
def test_a_second_run_sends_no_write(name, tenant, carry_out):
    assert carry_out(tenant(name)).status == "done"
    again = carry_out(tenant(name))
    assert (again.status, again.writes()) == ("unchanged", [])


def test_a_complete_tenant_is_left_alone(tenant, carry_out):
    run = carry_out(tenant("complete"))
    assert (run.status, run.writes()) == ("unchanged", [])


def test_plan_sends_no_write_and_names_every_step_that_apply_then_changes(tenant, carry_out):
    plan = carry_out(tenant("fresh"), "plan")
    apply = carry_out(tenant("fresh"), "apply")
    assert (plan.status, plan.writes(), len(plan.rows)) == ("pending", [], len(OLDER_AZURE_AD))
    planned = {step for step, status in plan.statuses().items() if status == "PLANNED"}
    assert planned == {step for step, status in apply.statuses().items() if status == "CHANGED"}


def test_turn_on_no_leaves_the_job_stopped(tenant, carry_out, entra):
    run = carry_out(tenant("fresh", turn_on="no"))
    _, saved = scim_side(entra("fresh"), "fresh")
    [job] = saved.jobs.values()
    assert (run.statuses()["4.3"], job["schedule"]["state"]) == ("SKIPPED", "Disabled")


def test_a_cycle_updates_blocks_and_deletes_but_creates_nobody(sandbox, tenant, carry_out, entra, control):
    carry_out(tenant("fresh"))
    customer = entra("fresh")
    _, saved = scim_side(customer, "fresh")
    [job_id] = saved.jobs
    count = len(sandbox.world.auth0.users)
    assert control("POST", "/cycle", {"job_id": job_id}).json()["ran"] is True
    assert len(sandbox.world.auth0.users) == count
    alex, grady = (
        next(u for u in customer.users.values() if u["displayName"] == name) for name in ("Alex Wilber", "Grady Archie")
    )

    def profile(user):
        return next((u for u in sandbox.world.auth0.users.values() if u.get("email", "").lower() == user["mail"].lower()), None)

    assert profile(alex)["app_metadata"]["external_id"] == alex["id"]
    alex["accountEnabled"] = False
    del customer.users[grady["id"]]
    control("POST", "/cycle", {"job_id": job_id})
    assert profile(alex)["blocked"] is True
    assert profile(grady) is None
    assert len(sandbox.world.auth0.users) == count - 1


BLOCKED = {
    "oid-with-users": ("1.2", "New Connections"),
    "common-endpoint": ("1.2", "common endpoint is on"),
    "token-limit": ("2.2", "2 SCIM tokens already"),
    "no-options-scope": ("0.1", "without its options"),
}


@pytest.mark.parametrize(("name", "step", "words"), [(name, *rest) for name, rest in BLOCKED.items()])
def test_refused_demo_tenants_are_blocked_without_a_write(name, step, words, tenant, carry_out):
    run = carry_out(tenant(name))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (run.status, row["step"], run.writes()) == ("blocked", step, [])
    assert words in row["reason"]
    assert row["remedy"]


def test_the_missing_options_scopes_are_named(tenant, carry_out):
    row = carry_out(tenant("no-options-scope")).rows[0]
    assert "read:connections_options" in row["remedy"]
    assert "update:connections_options" in row["remedy"]


def _other_strategy(sandbox, customer):
    connection_of(sandbox, "fresh")["strategy"] = "samlp"


def _of_another_entra_tenant(sandbox, customer):
    options = connection_of(sandbox, "fresh")["options"]
    options |= {"tenantId": "00000000-0000-4000-8000-00000000dead", "tenant_domain": "x.example", "domain": "x.example"}


def _no_oidc_application(sandbox, customer):
    client_id = connection_of(sandbox, "fresh")["options"]["client_id"]
    customer.service_principals = {k: v for k, v in customer.service_principals.items() if v["appId"] != client_id}
    customer.applications = {k: v for k, v in customer.applications.items() if v["appId"] != client_id}


def _nobody_assigned(sandbox, customer):
    customer.assignments = []


def _two_of_the_name(sandbox, customer):
    from runbook_lib.sandbox.graph.routes import TEMPLATE_ID, new_application

    for _ in range(2):
        new_application(sandbox.world, customer, "Acme SCIM (fresh)", TEMPLATE_ID)


def _adele(customer):
    return next(user for user in customer.users.values() if user["displayName"] == "Adele Vance")


def _test_user_disabled(sandbox, customer):
    _adele(customer)["accountEnabled"] = False


def _test_user_not_assigned(sandbox, customer):
    adele = _adele(customer)["id"]
    customer.assignments = [a for a in customer.assignments if a["principalId"] != adele]
    customer.members = {group: [member for member in ids if member != adele] for group, ids in customer.members.items()}


def _test_user_never_signed_in(sandbox, customer):
    mail = _adele(customer)["mail"].lower()
    sandbox.world.auth0.users = {k: v for k, v in sandbox.world.auth0.users.items() if v.get("email") != mail}


def _no_assignment_permission(sandbox, customer):
    client_id, client = next(iter(customer.clients.items()))
    kept = tuple(name for name in client.permissions if not name.startswith("AppRole"))
    customer.clients[client_id] = type(client)(client_id, client.client_secret, kept)


@pytest.mark.parametrize(
    ("spoil", "step", "words"),
    [
        (_other_strategy, "0.1", "type samlp"),
        (_no_assignment_permission, "0.2", "AppRoleAssignment.ReadWrite.All"),
        (_of_another_entra_tenant, "0.2", "belongs to Entra tenant 00000000-0000-4000-8000-00000000dead"),
        (_no_oidc_application, "3.1", "no OpenID Connect application"),
        (_two_of_the_name, "3.2", "2 enterprise applications named"),
        (_nobody_assigned, "3.3", "The sign-in application has no assignments"),
        (_test_user_disabled, "4.2", "disabled in Entra"),
        (_test_user_not_assigned, "4.2", "not assigned"),
        (_test_user_never_signed_in, "4.2", "no Auth0 user"),
    ],
)
def test_each_refusal_has_its_own_words_and_sends_no_write(spoil, step, words, sandbox, tenant, carry_out, entra):
    spoil(sandbox, entra("fresh"))
    run = carry_out(tenant("fresh"))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (run.status, row["step"], run.writes()) == ("blocked", step, [])
    assert words in row["reason"]


def test_an_unknown_person_in_the_list_stops_before_any_write(tenant, carry_out, entra):
    adele, unknown = _adele(entra("fresh"))["userPrincipalName"], "nobody@fresh.example"
    run = carry_out(tenant("fresh", assign=(adele, unknown)))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (run.status, run.writes(), unknown in row["reason"]) == ("blocked", [], True)


def test_a_list_that_names_somebody_twice_assigns_them_once(tenant, carry_out, entra):
    adele = _adele(entra("fresh"))
    run = carry_out(tenant("fresh", assign=(adele["userPrincipalName"], adele["id"])))
    principal, _ = scim_side(entra("fresh"), "fresh")
    ours = [a["principalId"] for a in entra("fresh").assignments if a["resourceId"] == principal["id"]]
    assert (run.status, ours) == ("done", [adele["id"]])


def test_a_name_with_quotes_finds_its_own_application_and_no_other(tenant, carry_out, entra):
    """An apostrophe that ended the OData literal would find nothing, or everything; the next run would make a second one."""
    settings = tenant("fresh", scim_app_name="O'Neill's ' or displayName ne '")
    assert carry_out(settings).status == "done"
    again = carry_out(settings)
    assert (again.status, again.writes()) == ("unchanged", [])
    assert [p["displayName"] for p in entra("fresh").service_principals.values()].count(settings.scim_app_name) == 1


def test_a_quarantined_job_is_never_started(tenant, carry_out, entra):
    _, saved = scim_side(entra("half-done"), "half-done")
    [job] = saved.jobs.values()
    job["status"].update(code="Quarantine", quarantine={"reason": "TooManyDeletes"})
    run = carry_out(tenant("half-done"))
    assert (run.status, run.statuses()["4.1"], run.writes()) == ("blocked", "BLOCKED", [])


def test_pressing_apply_again_after_mending_the_cause_carries_on(sandbox, tenant, tmp_path):
    session = tenant_session(tenant("token-limit"), mode=RunMode.PLAN, out=tmp_path / "run" / "token-limit")
    provisioning = sandbox.world.auth0.provisioning[connection_of(sandbox, "token-limit")["id"]]
    assert session.engine.press("3.2").status == "SKIPPED"
    gone = provisioning.tokens.pop()
    del provisioning.token_values[gone["token_id"]]
    assert session.engine.press("3.2").status == "CHANGED"


def test_an_accepted_hazard_is_carried_out(sandbox, tenant, carry_out):
    run = carry_out(tenant("common-endpoint", accept=("turn-common-endpoint-off",)))
    options = connection_of(sandbox, "common-endpoint")["options"]
    assert (run.status, options["useCommonEndpoint"], options["waad_common_endpoint"]) == ("done", False, False)


def test_a_deletion_guard_that_is_on_is_kept_when_everything_else_is_saved_anew(tenant, carry_out, entra):
    _, saved = scim_side(entra("complete"), "complete")
    saved.secrets["BaseAddress"] = saved.secrets["BaseAddress"].replace("?aadOptscim062020", "")
    before = saved.secrets["SyncNotificationSettings"]
    assert carry_out(tenant("complete")).status == "done"
    assert json.loads(saved.secrets["SyncNotificationSettings"]) == json.loads(before)
    assert saved.secrets["BaseAddress"].endswith("?aadOptscim062020")


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "500", "truncate", "reset"])
def test_a_broken_write_of_the_connection_is_repaired_by_running_again(kind, sandbox, tenant, carry_out, control):
    control("POST", "/faults", [{"service": "auth0", "method": "PATCH", "path": "/api/v2/connections/*", "nth": 1, "kind": kind}])
    carry_out(tenant("fresh"))
    assert carry_out(tenant("fresh")).status in ("done", "unchanged")
    options = connection_of(sandbox, "fresh")["options"]
    assert (options["userid_attribute"], options["x_unknown"]) == (
        "sub",
        {"nested": {"entries": [1, None, "\u00e9"], "off": False}},
    )
