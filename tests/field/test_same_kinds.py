"""Further situations of the kinds that customers reported: each is judged by Auth0's users after a cycle, or by what was held."""

from __future__ import annotations

import csv
import json

from runbook_lib.sandbox.graph.people import delete_softly

OLD = "waad|OldSubject000000000000000000000"


def people_of(run):
    rows = csv.DictReader((run.out / "forecast.csv").read_text().splitlines())
    return {row["person"]: row for row in rows}


def second_user(found, person, **values):
    """Give a person a second Auth0 user, of an earlier app registration."""
    twin = json.loads(json.dumps(found.profile(person))) | values
    twin["user_id"], twin["identities"][0]["user_id"] = OLD, OLD.removeprefix("waad|")
    found.sandbox.world.auth0.users[OLD] = {key: value for key, value in twin.items() if value is not None}


def test_an_object_id_that_the_application_wrote_itself_does_not_make_its_values_entras(customer, held):
    """Before a job has ever run, no cycle can have written the external id: an Action of the customer's did."""
    found = customer("fresh")
    diego = found.person("diego")
    found.profile(diego)["app_metadata"] = {"external_id": diego["id"], "department": "billing 7"}
    step, reason, _ = held("fresh")
    assert (step, "would lose profile values" in reason, "app_metadata.department" in reason) == ("4.3", True, True)


def test_a_second_user_that_entra_never_touches_is_named(customer, carry_out, tenant, cycle):
    """Entra links the person to one Auth0 user; the other keeps its access when the person leaves."""
    found = customer("fresh")
    diego = found.person("diego")
    second_user(found, diego, upn=None)
    users = found.sandbox.world.auth0.users
    first = next(one for one in users.values() if one.get("oid") == diego["id"] and one["user_id"] != OLD)
    first |= {"upn": diego["userPrincipalName"], "email": "old.diego@fresh.example"}
    run = carry_out(tenant("fresh"))
    last = next(row for row in run.rows if row["step"] == "4.3")
    [left] = [table["rows"] for table in last["tables"] if table["title"] == "People left unchanged by the next cycle"]
    [named] = [row for row in left if row[1].startswith("have several Auth0 users")]
    assert (run.status, named[0], "Diego Siciliani" in named[3]) == ("done", "1", True)
    assert OLD in people_of(run)["Diego Siciliani"]["further_auth0_users"]
    cycle(found)
    diego["accountEnabled"] = False
    cycle(found)
    assert [users[one].get("blocked", False) for one in (first["user_id"], OLD)] == [True, False]


def test_a_second_user_of_somebody_who_departs_is_listed_among_the_leavers(customer, carry_out, tenant):
    found = customer("complete")
    diego = found.person("diego")
    second_user(found, diego, app_metadata={})
    diego["accountEnabled"] = False
    run = carry_out(tenant("complete", blocked_users_limit=1))
    leavers = list(csv.DictReader((run.out / "leavers.csv").read_text().splitlines()))
    assert [(one["person"], OLD in one["auth0_user"]) for one in leavers] == [("Diego Siciliani", True)]


def test_a_hidden_group_is_hidden_whatever_another_group_of_its_name_shows(customer, held):
    found = customer("fresh")
    hidden = next(group for group in found.entra.groups.values() if group["displayName"] == "Support")
    hidden["visibility"] = "HiddenMembership"
    shown = {**hidden, "id": "00000000-0000-4000-8000-000000000005", "visibility": "Public"}
    found.entra.groups[shown["id"]] = shown
    found.entra.members[shown["id"]] = [found.person("alex")["id"]]
    given = next(one for one in found.entra.assignments if one["principalId"] == hidden["id"])
    found.entra.assignments.append({**given, "id": "another", "principalId": shown["id"]})
    step, reason, _ = held("fresh")
    assert (step, "This sign-in cannot see the members of Support" in reason) == ("4.3", True)


def test_parameters_of_an_expression_that_are_null_are_no_crash(customer, held):
    """Null where a list's entry or an object is documented: what the row gives cannot be told, and nothing breaks off."""
    found = customer("half-done")
    found.row("active")["source"]["parameters"].insert(0, None)
    found.row("active")["source"]["parameters"][1]["value"] = None
    found.row("active")["source"]["expression"] = None
    step, reason, _ = held("half-done")
    assert (step, "people who leave keep their access" in reason) == ("3.12", True)


def test_a_text_where_the_mapping_needs_an_object_is_named_among_the_values_that_are_lost(
    customer, held, carry_out, tenant, cycle
):
    found = customer("half-done")
    next(row for row in found.scim_rows if row["auth0"] == "app_metadata.title")["auth0"] = "app_metadata.entra.title"
    found.profile(found.person("diego"))["app_metadata"] = {"entra": "the application's own"}
    step, reason, _ = held("half-done")
    assert (step, "would lose profile values" in reason, "app_metadata.entra.title" in reason) == ("4.3", True, True)
    assert carry_out(tenant("half-done", accept=("values-written-over",))).status == "done"
    cycle(found)
    assert found.profile(found.person("diego"))["app_metadata"]["entra"] == {"title": "Account Manager"}


# Writes that a running job acts on


def test_a_token_that_works_again_is_held_for_whom_the_job_would_then_block(customer, held, carry_out, tenant, cycle):
    """A running job whose token is gone does nothing; with a new one it does at once all that has waited."""
    found = customer("complete")
    saved = found.sandbox.world.auth0.provisioning[found.connection["id"]]
    saved.tokens.clear()
    saved.token_values.clear()
    found.person("diego")["accountEnabled"] = False
    step, reason, remedy = held("complete")
    assert (step, "1 person would be blocked in Auth0" in reason, "accept: [block]" in remedy) == ("3.6", True, True)
    assert carry_out(tenant("complete", accept=("block",))).status == "done"


def test_a_departure_that_a_running_job_deals_with_anyway_is_told_and_holds_no_assignment(customer, carry_out, tenant, cycle):
    """To hold the assignment back would take the access of the person who is to be assigned."""
    found = customer("complete")
    found.unassign(found.person("joni"))
    lee = found.person("lee")
    found.unassign(lee, application=found.principal["id"])
    run = carry_out(tenant("complete"))
    told = next(row["reason"] for row in run.rows if row["step"] == "3.3")
    assert (run.status, "whether or not this run writes anything, 1 person would be blocked" in told, "Joni Sherman" in told) == (
        "done",
        True,
        True,
    )
    cycle(found)
    assert [found.profile(one).get("blocked", False) for one in (lee, found.person("joni"))] == [False, True]


def test_a_change_of_scope_counts_only_whom_it_takes_out(customer, held):
    found = customer("complete")
    found.provisioning.secrets["SyncAll"] = "true"
    found.unassign(found.person("joni"))
    found.person("diego")["accountEnabled"] = False
    step, reason, _ = held("complete")
    assert (step, "1 person would be blocked in Auth0 and lose their sessions: Joni" in reason) == ("3.6", True)


def test_as_many_departures_as_the_deletion_guard_says_are_told_before_the_start(customer, carry_out, tenant):
    """The guard is reached, not exceeded: the job would go into quarantine in its first cycle."""
    found = customer("fresh")
    for alias in ("diego", "joni"):
        found.person(alias)["accountEnabled"] = False
    for threshold, is_told in (("2", True), ("3", False)):
        run = carry_out(tenant("fresh", blocked_users_limit=5, deletion_threshold=threshold), "plan")
        last = next(row for row in run.rows if row["step"] == "4.3")
        assert ("2 people may be blocked or deleted, which reaches the deletion guard of 2" in last["reason"]) is is_told


# Links that the external id does not show


def after_another_mapping(found):
    """Let the job have sent the mail nickname as external id: what it wrote shows no link."""
    found.job["status"]["lastExecution"] = {"state": "Succeeded"}
    found.job["schedule"]["state"] = "Disabled"
    nicknames = {user_id: found.entra.users[one]["mailNickname"] for one, user_id in links_of(found).items()}
    for user_id, nickname in nicknames.items():
        found.sandbox.world.auth0.users[user_id]["app_metadata"] = {"external_id": nickname}


def links_of(found):
    return found.provisioning.links[found.job["id"]]


def test_a_link_that_graph_tells_decides_whose_user_is_written(customer, carry_out, tenant):
    """The job holds Diego linked to Joni's Auth0 user, as after a name given again (onyx-dot-app/onyx pull 14074)."""
    found = customer("complete")
    after_another_mapping(found)
    diego, joni = found.person("diego"), found.person("joni")
    links_of(found)[diego["id"]] = links_of(found)[joni["id"]]
    run = carry_out(tenant("complete"), "plan")
    told = people_of(run)["Diego Siciliani"]
    assert (told["fate"], told["auth0_user"], told["other_people"], told["matched_by"]) == (
        "someone else's user",
        links_of(found)[joni["id"]],
        "Joni Sherman",
        "link",
    )
    asked = [entry for entry in run.history if "objectConnections" in entry["path"]]
    assert 0 < len(asked) <= 14


def test_where_graph_tells_no_link_at_all_that_there_is_none_is_not_believed(customer, carry_out, tenant):
    """The 404 of a person who is not linked is also that of a Graph without these links."""
    found = customer("complete")
    after_another_mapping(found)
    diego = found.person("diego")
    diego["accountEnabled"] = False
    links_of(found).clear()
    told = people_of(carry_out(tenant("complete"), "plan"))["Diego Siciliani"]
    assert (told["fate"], "the job holds no link" in told["other_readings"] + told["reading"]) == ("block", True)


def test_a_test_user_whom_the_scoping_filter_leaves_out_is_refused_before_the_first_write(customer, held, tenant):
    """Entra answers with a skip (learn.microsoft.com/answers/questions/552508), which came after everything was written."""
    found = customer("half-done")
    clause = {"operatorName": "EQUALS", "sourceOperandName": "jobTitle", "targetOperand": {"values": ["Nobody's"]}}
    found.mapping["scope"] = {"groups": [{"name": "nobody", "clauses": [clause]}]}
    step, reason, _ = held("half-done")
    assert (step, "outside the scope of the job: filtered out" in reason) == ("4.2", True)


def test_a_manager_that_the_application_wrote_is_named_before_there_is_a_job(customer, held):
    """A new job's default mapping sends the manager (entra-docs, use-scim-to-provision-users-and-groups)."""
    found = customer("fresh")
    found.profile(found.person("diego"))["app_metadata"] = {"manager": "crm-1"}
    found.entra.managers[found.person("diego")["id"]] = found.person("alex")["id"]
    step, reason, _ = held("fresh")
    assert (step, "app_metadata.manager" in reason) == ("4.3", True)


def test_a_work_email_of_precedence_1_leaves_none_of_precedence_1_behind(customer, held):
    """The document moves it to 2: what matches first must be another row, which is looked at before the first write."""
    found = customer("half-done")
    found.row("userName")["matchingPriority"] = 3
    found.row('emails[type eq "work"].value')["matchingPriority"] = 1
    step, reason, _ = held("half-done")
    assert (step, reason) == ("3.11", "No row has matching precedence 1")


def test_an_assigned_group_that_was_deleted_has_no_members_and_breaks_nothing(customer, held):
    """Its members lose what they had by it: who was provisioned through it alone would be blocked (entra-docs, as unassigned)."""
    found = customer("complete")
    found.job["schedule"]["state"] = "Disabled"
    support = next(group for group in found.entra.groups.values() if group["displayName"] == "Support")
    del found.entra.groups[support["id"]]
    members = [found.entra.users[one] for one in found.entra.members.pop(support["id"])]
    alone = [one for one in members if not any(given["principalId"] == one["id"] for given in found.entra.assignments)]
    alone = [one for one in alone if any(user.get("oid") == one["id"] for user in found.sandbox.world.auth0.users.values())]
    step, reason, _ = held("complete")
    assert (step, len(alone) > 0, all(one["displayName"] in reason for one in alone)) == ("4.3", True, True)


# Auth0 users that were linked to each other


def made_secondary(found, person, primary="auth0|private", **values):
    """Link a person's Auth0 user to another one of theirs: it becomes a secondary identity with its profile in it."""
    users = found.sandbox.world.auth0.users
    profile = users.pop(found.profile(person)["user_id"])
    data = {name: profile[name] for name in ("email", "name", "oid")}
    first = {"connection": "Username-Password-Authentication", "provider": "auth0", "user_id": "private", "isSocial": False}
    identities = [first, {**profile["identities"][0], "profileData": data}]
    users[primary] = {"user_id": primary, "email": "private@home.example", "name": "Private", "identities": identities, **values}
    return users[primary]


def test_a_leaver_whose_sign_in_was_linked_to_another_user_is_named(customer, carry_out, tenant, cycle):
    """Auth0's page on inbound SCIM: the user must be the primary identity of a linked one, else SCIM does not find it."""
    found = customer("fresh")
    diego = found.person("diego")
    diego["accountEnabled"] = False
    profile = made_secondary(found, diego)
    run = carry_out(tenant("fresh"))
    assert (run.status, people_of(run)["Diego Siciliani"]["fate"]) == ("done", "leaver who stays active")
    cycle(found)
    assert not profile.get("blocked")


def test_a_linked_user_that_another_persons_address_finds_is_that_of_the_person_who_signs_in(customer, held):
    found = customer("fresh")
    diego, joni = found.person("diego"), found.person("joni")
    made_secondary(found, diego, email=joni["mail"])
    found.forget(joni)
    step, reason, _ = held("fresh")
    assert (step, "Joni Sherman (joni@fresh.onmicrosoft.com; the Auth0 user belongs to Diego Siciliani)" in reason) == (
        "4.3",
        True,
    )


def test_a_softly_deleted_person_who_had_access_is_left_out_of_the_assignments(customer, carry_out, tenant):
    """Whether Graph still lists such an assignment is not published; that it makes none to a deleted user is sure."""
    found = customer("fresh")
    joni = found.person("joni")
    delete_softly(found.sandbox.world, found.entra, joni["id"])
    run = carry_out(tenant("fresh", blocked_users_limit=1))
    told = next(row["reason"] for row in run.rows if row["step"] == "3.3")
    assert (run.status, "Entra has deleted 1 of them, so they were not assigned: Joni Sherman" in told) == ("done", True)
