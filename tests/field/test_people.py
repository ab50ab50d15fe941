"""What a first cycle would do to people is foretold, named, and held until it is accepted."""

from __future__ import annotations

import json


def fate_of(run, person):
    row = next(row for row in run.rows if row["step"] == "4.3")
    [table] = [table for table in row["tables"] if table["title"].startswith("Forecast")]
    named = next(cells for cells in table["rows"] if cells[0] == person)
    return dict(zip(table["columns"], named, strict=True))


def test_a_disabled_person_whose_mail_changed_is_found_by_user_name(customer, held, carry_out, tenant, cycle):
    """Reported in MicrosoftDocs/azure-docs issue 64846."""
    found = customer("fresh")
    alex = found.person("alex")
    profile = found.profile(alex)
    profile["upn"] = alex["userPrincipalName"]
    alex |= {"accountEnabled": False, "mail": "left.alex.wilber@fresh.example"}
    step, reason, remedy = held("fresh")
    assert (step, "1 person would be blocked in Auth0" in reason, "Alex Wilber" in reason) == ("4.3", True, True)
    assert "accept: [block]" in remedy


def test_a_disabled_person_without_mail_and_without_any_user_is_no_harm(customer, carry_out, tenant):
    """Reported at community.auth0.com/t/199740."""
    found = customer("fresh")
    lynne = found.person("lynne")
    assert not [one for one in found.sandbox.world.auth0.users.values() if one.get("oid") == lynne["id"]]
    lynne |= {"accountEnabled": False, "mail": None}
    run = carry_out(tenant("fresh"))
    assert (run.status, fate_of(run, "Lynne Robbins")["fate"]) == ("done", "no user")


def test_an_enabled_person_whose_mail_changed_is_not_without_a_user(customer, carry_out, tenant):
    """Reported in cloudflare/cloudflare-docs issue 18257."""
    found = customer("fresh")
    grady = found.person("grady")
    found.profile(grady)["upn"] = grady["userPrincipalName"]
    grady["mail"] = "new.name@fresh.example"
    run = carry_out(tenant("fresh"), "plan")
    assert "update" in fate_of(run, "Grady Archie")["fate"]


def test_the_test_user_of_a_tenant_without_mail_is_found(customer, carry_out, tenant):
    """Reported at community.auth0.com/t/88924."""
    found = customer("fresh")
    alex = found.person("alex")
    profile = found.profile(alex)
    profile["upn"] = alex["userPrincipalName"]
    del profile["email"]
    alex["mail"] = None
    run = carry_out(tenant("fresh", test_user="alex@fresh.onmicrosoft.com"))
    profile = found.profile(alex)
    assert (run.status, run.statuses()["4.2"], profile["app_metadata"]["external_id"]) == ("done", "CHANGED", alex["id"])


def test_a_user_name_given_again_would_write_into_the_old_persons_user(customer, held):
    """Reported in onyx-dot-app/onyx pull 14074."""
    found = customer("fresh")
    grady, christie = found.person("grady"), found.person("christie")
    profile = found.profile(grady)
    profile |= {"email": "grady.archie@fresh.example", "upn": "grady@fresh.onmicrosoft.com"}
    found.forget(christie)
    grady["userPrincipalName"] = "grady.archie@fresh.onmicrosoft.com"
    christie["userPrincipalName"] = "grady@fresh.onmicrosoft.com"
    step, reason, _ = held("fresh")
    assert (step, "Christie Cline (grady@fresh.onmicrosoft.com; the Auth0 user belongs to Grady Archie)" in reason) == (
        "4.3",
        True,
    )


def test_a_person_with_two_users_is_named_and_holds_nothing(sandbox, customer, carry_out, tenant):
    """Reported in onepercentclub/bluebottle pull 5072."""
    found = customer("fresh")
    profile = found.profile(found.person("diego"))
    second = json.loads(json.dumps(profile))
    second["user_id"] = "waad|OldSubject000000000000000000000"
    second["identities"][0]["user_id"] = "OldSubject000000000000000000000"
    sandbox.world.auth0.users[second["user_id"]] = second
    run = carry_out(tenant("fresh"))
    last = next(row for row in run.rows if row["step"] == "4.3")
    assert (run.status, fate_of(run, "Diego Siciliani")["fate"]) == ("done", "two users")
    [left] = [table["rows"] for table in last["tables"] if table["title"] == "People left unchanged by the next cycle"]
    [named] = [row for row in left if row[1].startswith("have several Auth0 users")]
    assert (named[0], "Diego Siciliani" in named[3]) == ("1", True)


def test_a_user_blocked_by_hand_would_be_unblocked(customer, held, carry_out, tenant):
    """Reported in MicrosoftDocs/azure-docs pull 35963."""
    found = customer("fresh")
    found.profile(found.person("diego"))["blocked"] = True
    step, reason, _ = held("fresh")
    assert (step, "1 person is blocked in Auth0 now and would be unblocked: Diego Siciliani" in reason) == ("4.3", True)
    assert carry_out(tenant("fresh", accept=("unblock",))).status == "done"


def test_values_of_the_application_would_be_written_over(customer, held):
    """Reported in clerk/clerk-docs pull 3279."""
    found = customer("fresh")
    values = {"department": "billing group 7", "title": "owner", "external_id": "crm-4711"}
    found.profile(found.person("diego"))["app_metadata"] = values
    step, reason, remedy = held("fresh")
    assert (step, "accept: [values-written-over]" in remedy) == ("4.3", True)
    for name in values:
        assert f"app_metadata.{name}" in reason


def test_a_disabled_member_of_a_hidden_group(customer, held, sandbox):
    """Reported in microsoftgraph/microsoft-graph-docs issue 12552."""
    found = customer("fresh")
    next(group for group in found.entra.groups.values() if group["displayName"] == "Support")["visibility"] = "HiddenMembership"
    found.person("miriam")["accountEnabled"] = False
    step, reason, _ = held("fresh")
    assert (step, "cannot see the members of Support" in reason, "Member.Read.Hidden" in reason) == ("4.3", True, True)


def test_people_who_lost_their_assignment_while_the_job_was_stopped(customer, held):
    """Reported at learn.microsoft.com/answers/questions/552508."""
    found = customer("complete")
    found.job["schedule"]["state"] = "Disabled"
    found.job["status"]["code"] = "Paused"
    gone = [found.person(alias) for alias in ("henrietta", "isaiah", "johanna", "joni", "lee")]
    found.unassign(*gone)
    for group in found.entra.members.values():
        group[:] = [one for one in group if one not in {person["id"] for person in gone}]
    step, reason, _ = held("complete")
    assert (step, "5 people would be blocked in Auth0" in reason) == ("4.3", True)


# Writes that a running job acts on


def test_people_are_not_added_to_a_running_job_that_would_block_them(customer, held, carry_out, tenant):
    """Reported at learn.microsoft.com/answers/questions/6670."""
    found = customer("complete")
    added = [found.person(alias) for alias in ("henrietta", "isaiah", "johanna", "joni")]
    found.unassign(*added, application=found.principal["id"])
    for person in added[:2]:
        person["accountEnabled"] = False
    step, reason, remedy = held("complete")
    assert (step, "2 people would be blocked in Auth0" in reason, "accept: [block]" in remedy) == ("3.3", True, True)
    run = carry_out(tenant("complete", accept=("block",)))
    assert (run.status, run.statuses()["3.3"]) == ("done", "CHANGED")


def test_everybody_to_assigned_names_who_would_be_blocked(customer, held):
    """Reported in FusionAuth/fusionauth-issues issue 3244."""
    found = customer("complete")
    found.provisioning.secrets["SyncAll"] = "true"
    adele = found.person("adele")
    found.entra.assignments[:] = [one for one in found.entra.assignments if one["principalId"] == adele["id"]]
    step, reason, remedy = held("complete")
    assert (step, "people would be blocked in Auth0" in reason, "accept: [block]" in remedy) == ("3.6", True, True)
    assert "in its next cycle 12 people would be blocked" in reason


def test_another_job_that_runs_is_named_and_none_is_made(customer, held):
    """Reported in AzureAD/entra-id-inbound-provisioning pull 17."""
    found = customer("half-done")
    job = found.job
    other = {**json.loads(json.dumps(job)), "id": "customappsso.1", "templateId": "customappsso"}
    other["schedule"]["state"] = "Active"
    found.provisioning.jobs[other["id"]] = other
    found.provisioning.schemas[other["id"]] = json.loads(json.dumps(found.provisioning.schemas[job["id"]]))
    del found.provisioning.jobs[job["id"]]
    step, reason, _ = held("half-done")
    assert (step, "customappsso.1, template customappsso, running" in reason) == ("3.4", True)


def test_a_running_job_of_other_mappings_is_paused_before_people_are_added(customer, carry_out, tenant):
    """An application that provisions already is adopted: its old mappings must not take up the new assignments."""
    found = customer("complete")
    found.unassign(found.person("joni"), application=found.principal["id"])
    found.row("externalId")["source"] = {"type": "Attribute", "name": "mailNickname", "expression": "[mailNickname]"}
    run = carry_out(tenant("complete"))
    writes = [write.rpartition("/")[2] for write in run.writes()]
    assert (run.status, found.job["schedule"]["state"]) == ("done", "Active")
    assert writes.index("pause") < writes.index("schema") < writes.index("start")
    batches = [
        n for n, entry in enumerate(run.history) if entry["path"].endswith("/appRoleAssignedTo") and entry["method"] == "POST"
    ]
    paused = next(n for n, entry in enumerate(run.history) if entry["path"].endswith("/pause"))
    assert paused < min(batches)


def test_a_manager_that_the_application_wrote_itself_is_among_the_values_that_may_be_lost(customer, held):
    """Entra's default mapping sends the manager, which Auth0's writes into app_metadata (Auth0 support on the manager row)."""
    found = customer("half-done")
    found.profile(found.person("diego"))["app_metadata"] = {"manager": "crm-1"}
    found.entra.managers[found.person("diego")["id"]] = found.person("alex")["id"]
    step, reason, _ = held("half-done")
    assert (step, "would lose profile values" in reason, "app_metadata.manager" in reason) == ("4.3", True, True)


def test_a_person_deleted_for_good_is_called_as_auth0_calls_them(customer, carry_out, tenant):
    """Entra no longer knows the name of an account 30 days after its deletion (entra-docs, recover deleted users)."""
    found = customer("complete")
    diego = found.person("diego")
    del found.entra.users[diego["id"]]
    found.unassign(diego)
    for members in found.entra.members.values():
        members[:] = [one for one in members if one != diego["id"]]
    run = carry_out(tenant("complete"), "plan")
    assert fate_of(run, "Diego Siciliani")["fate"] == "delete"
