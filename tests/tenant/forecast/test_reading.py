"""Who is in play, read over HTTP from the sandbox: in few requests, whole, and never by a token sent elsewhere."""

from __future__ import annotations

import gzip
import json
from collections import Counter

import pytest

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.run.sign_ins import open_view
from runbook_lib.sandbox.demo_tenants import grow
from runbook_lib.sandbox.graph import people
from runbook_lib.sandbox.graph.applications import new_assignment
from runbook_lib.sandbox.graph.errors import bad
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.reading import Progress, begin_users, finished, read_users
from runbook_lib.tenant.forecast.values import Fate


@pytest.fixture
def forecast(sandbox, tenant):
    def read(name, **changes):
        return open_view(tenant(name, **changes)).read(facts.forecast)

    return read


@pytest.fixture
def requests_for(sandbox, tenant):
    """The requests that reading the forecast takes beyond what it rests on, a batch as one."""

    def count(name, **changes):
        view = open_view(tenant(name, **changes))
        for fact in (
            facts.connection,
            facts.oidc_service_principal,
            facts.job,
            facts.schema,
            facts.saved_credentials,
            facts.access,
            facts.assignments,
        ):
            view.read(fact)
        facts.wanted_scim_rows(view)
        at = len(sandbox.simulation.history)
        view.read(facts.forecast)
        entries = [entry for entry in sandbox.simulation.history[at:] if "batch" not in entry]
        return Counter(f"{entry['method']} {entry['path'].split('/')[-1]}" for entry in entries)

    return count


def fates(found):
    return {one.person: one.fate for one in found.people}


def test_a_new_customer_costs_a_batch_and_a_search(requests_for):
    """The people that Auth0 users carry are asked for in the batch of those assigned, with their managers."""
    assert requests_for("fresh") == {"POST $batch": 1, "GET users": 1}


def test_managers_of_members_that_no_auth0_user_carries_cost_one_batch_more(requests_for, sandbox):
    for profile in sandbox.world.auth0.users.values():
        profile.pop("oid", None)
    asked = requests_for("fresh")  # the softly deleted too: users without an object id may be theirs
    assert asked == {"POST $batch": 2, "GET users": 1, "GET microsoft.graph.user": 1}


def test_a_finished_customer_is_the_same_but_for_what_a_cycle_still_writes(forecast):
    found = forecast("complete")
    assert set(fates(found).values()) == {Fate.UPDATE, Fate.NO_USER}
    assert (found.assigned, found.caused(), found.assumes_default_mapping) == (14, {}, False)


def test_before_there_is_a_job_its_default_mapping_is_assumed(forecast):
    found = forecast("fresh")
    assert (found.assumes_default_mapping, found.caused()) == (True, {})
    assert fates(found)["Lynne Robbins"] is Fate.NO_USER


def test_people_whom_auth0_users_name_are_read_though_nobody_assigned_them(forecast, entra, requests_for):
    customer = entra("complete")
    alex = next(user for user in customer.users.values() if user["displayName"] == "Alex Wilber")
    customer.assignments[:] = [one for one in customer.assignments if one["principalId"] != alex["id"]]
    for members in customer.members.values():
        members[:] = [one for one in members if one != alex["id"]]
    assert requests_for("complete") == {"POST $batch": 1, "GET users": 1, f"GET {alex['id']}": 1}
    found = forecast("complete").of(alex["id"])
    assert (found.fate, found.scope_reason) == (Fate.BLOCK, "unassigned")


def test_the_softly_deleted_and_those_gone_for_good_are_told_apart(forecast, entra, requests_for):
    customer = entra("complete")
    alex, grady = (
        next(u for u in customer.users.values() if u["displayName"] == name) for name in ("Alex Wilber", "Grady Archie")
    )
    mark = alex["id"].replace("-", "")
    customer.deleted_users[alex["id"]] = {
        **customer.users.pop(alex["id"]),
        "userPrincipalName": mark + alex["userPrincipalName"],
    }
    del customer.users[grady["id"]]
    links = {f"GET {one['id']}": 1 for one in (alex, grady)}  # asked only of those whose fate hangs on the job's link
    assert requests_for("complete") == {"POST $batch": 1, "GET users": 1, "GET microsoft.graph.user": 1, **links}
    found = forecast("complete")
    assert (found.of(alex["id"]).fate, found.of(alex["id"]).upn) == (Fate.BLOCK, "alex@complete.onmicrosoft.com")
    assert (found.of(grady["id"]).fate, found.of(grady["id"]).person) == (Fate.DELETE, "Grady Archie")


def test_a_group_within_a_group_is_counted_and_a_hidden_one_named(forecast, entra):
    customer = entra("fresh")
    sales, support = customer.groups
    customer.members[sales].append(support)
    customer.groups[support]["visibility"] = "HiddenMembership"
    found = forecast("fresh")
    assert (found.nested_groups, found.hidden_groups) == (1, ("Support",))


# More than a search gives -------------------------------------------------------------------------------------------------


@pytest.fixture
def large(sandbox):
    grow(sandbox.world, "fresh", 1030)


def test_more_than_a_thousand_users_are_read_by_an_export_whose_host_gets_no_token(large, sandbox, forecast):
    at = len(sandbox.simulation.history)
    found = forecast("fresh")
    entries = sandbox.simulation.history[at:]
    files = [entry for entry in entries if entry["path"].endswith(".json.gz")]
    assert (len(found.people), found.incomplete, [entry["status"] for entry in files]) == (1030, (), [200])
    assert sum("batch" not in entry for entry in entries) < 40
    assert Counter(fates(found).values())[Fate.NO_USER] == 1


def test_declined_the_export_is_not_made_and_people_are_looked_for(large, sandbox, forecast):
    at = len(sandbox.simulation.history)
    found = forecast("fresh", read_users_by_export="no")
    assert not [entry for entry in sandbox.simulation.history[at:] if "jobs/users-exports" in entry["path"]]
    assert Fate.NO_USER not in fates(found).values()  # who is not found by mail may be by a name that no search reaches
    assert fates(found)["Lynne Robbins"] is Fate.CANNOT_TELL


class Auth0:
    """A tenant of so many users whose export job ends in a given way."""

    def __init__(self, total, ends=None):
        self.total, self.ends, self.asked = total, ends, []

    def users_of_connection(self, name, fields):
        return self.total, iter([{"user_id": f"u{n}"} for n in range(min(self.total, 1000))])

    def exported_users(self, connection_id, fields):
        if self.ends:
            raise self.ends
        return iter([{"user_id": f"u{n}"} for n in range(self.total)])

    def users_with(self, name, pairs, fields):
        self.asked = list(pairs)
        return iter([{"user_id": "u1", "email": "a@x"}, {"user_id": "u1", "email": "a@x"}])


def read(auth0, *, may_export=True, on_progress=None):
    pairs = [("email", "a@x"), ("email", "a@x")]
    begun = begin_users(auth0, "c", ("user_id", "email"))
    steps = read_users(auth0, "con_1", begun, frozenset({"email"}), may_export=may_export, search_for=pairs)
    return finished(steps, on_progress)


@pytest.mark.parametrize("total", [0, 999, 1000, 1001, 2500])
def test_every_user_is_read_once(total):
    told = []
    found = read(Auth0(total), on_progress=told.append)
    assert (len(found.profiles), found.searched_fields, found.total) == (total, None, total)
    assert told == [Progress("Auth0 users", n, total) for n in range(100, total + 1, 100)]


@pytest.mark.parametrize(
    "ends",
    [
        TransportError("Exporting", "the job failed", ambiguous=False, is_final=True),
        ApiError("POST", 403, "insufficient_scope", "", "", "Grant it"),
    ],
)
def test_an_export_that_fails_is_said_and_people_are_looked_for(ends):
    auth0 = Auth0(1001, ends)
    found = read(auth0)
    assert (len(found.profiles), found.searched_fields, auth0.asked) == (1, frozenset({"email"}), [("email", "a@x")])
    assert found.why_incomplete == f"the export of the connection's users failed ({ends.came_back})"


class Files:
    """Serves an export job that is done at the second question, and its file in small parts."""

    def __init__(self, content, states=("pending", "completed")):
        self.content, self.states, self.sent = content, list(states), []

    def send(self, request):
        self.sent.append(request)
        return type("Answer", (), {"body": {"id": "job_1"}})()

    def waits(self):
        yield from (0.0,) * len(self.states)

    def read(self, path):
        state = self.states.pop(0)
        return {"status": state, "location": "https://files.example/x.gz?Signature=s"}

    def parts_elsewhere(self, url):
        yield from (self.content[start : start + 7] for start in range(0, len(self.content), 7))


LINES = "".join(json.dumps({"user_id": f"waad|{n}", "name": "Zoë"}, ensure_ascii=False) + "\n" for n in range(3))


def test_the_file_of_an_export_is_unzipped_as_it_arrives():
    service = Files(gzip.compress(LINES.encode()))
    users = list(Auth0Management(service).exported_users("con_1", ["user_id", "name"]))
    assert [user["user_id"] for user in users] == ["waad|0", "waad|1", "waad|2"]
    assert service.sent[0].body == {
        "connection_id": "con_1",
        "format": "json",
        "fields": [{"name": "user_id"}, {"name": "name"}],
    }


@pytest.mark.parametrize(
    ("content", "states", "words"),
    [
        (gzip.compress(LINES.encode())[:-9], ("completed",), "cut short"),
        (b"<html>", ("completed",), "no gzip"),
        (gzip.compress(b"not json\n"), ("completed",), "JSONDecodeError"),
        (b"", ("pending", "failed"), "the job failed"),
        (b"", ("pending", "processing"), "not done yet"),
    ],
)
def test_an_export_that_is_not_whole_is_no_reading(content, states, words):
    with pytest.raises(TransportError, match=words):
        list(Auth0Management(Files(content, states)).exported_users("con_1", ["user_id"]))


def test_managers_are_read_of_those_assigned_and_of_members_of_groups(forecast, entra):
    """Adele is assigned, Diego a member of a group: who manages them is told by the same requests, or by one batch more."""
    customer = entra("complete")
    people = {user["displayName"]: user["id"] for user in customer.users.values()}
    customer.managers[people["Adele Vance"]] = customer.managers[people["Diego Siciliani"]] = people["Alex Wilber"]
    customer.assignments[:] = [one for one in customer.assignments if one["principalId"] != people["Diego Siciliani"]]
    group = next(iter(customer.members))
    customer.members[group] = [people["Diego Siciliani"]]
    found = forecast("complete")
    changes = {
        name: [change.field for change in found.of(people[name]).changes if change.field == "app_metadata.manager"]
        for name in ("Adele Vance", "Diego Siciliani", "Alex Wilber")
    }
    assert changes["Adele Vance"] == ["app_metadata.manager"]
    assert changes["Diego Siciliani"] == ["app_metadata.manager"]
    assert changes["Alex Wilber"] == []


def test_where_graph_refuses_to_tell_managers_the_rest_is_read_without_them(forecast, sandbox, monkeypatch):
    """The people are foretold all the same, and their manager is said to be unknown."""

    def refused(_call):
        raise bad("Request not supported.", "Request_UnsupportedQuery")

    monkeypatch.setattr(people, "_wanted_of_managers", lambda call: refused(call) if call.argument("$expand") else ())
    found = forecast("complete")
    told = {str(change.after) for one in found.people for change in one.changes if change.field == "app_metadata.manager"}
    assert told == {"cannot tell (the manager in Entra was not read)"}
    assert len(found.people) == 14


ROLES = {"type": "Attribute", "name": "appRoleAssignments", "expression": "[appRoleAssignments]", "parameters": []}
ONE_ROLE = {
    "type": "Function",
    "name": "SingleAppRoleAssignment",
    "expression": "SingleAppRoleAssignment([appRoleAssignments])",
    "parameters": [{"key": "appRoleAssignments", "value": ROLES}],
}


@pytest.mark.parametrize("kind", ["one role", "two roles", "a group's role as well", "a value that is not the name"])
def test_a_role_is_foretold_only_where_a_person_has_one_of_one_name(kind, forecast, sandbox, entra):
    """SingleAppRoleAssignment promises nothing of several roles (entra-docs), and no page says whether it gives value or name."""
    customer = entra("complete")
    [(principal, saved)] = [(key, one) for key, one in customer.provisioning.items() if one.jobs]
    [schema] = saved.schemas.values()
    rows = [row for mapping in schema["synchronizationRules"][0]["objectMappings"] for row in mapping["attributeMappings"]]
    next(row for row in rows if row["targetAttributeName"] == "title")["source"] = ONE_ROLE
    adele = next(user for user in customer.users.values() if user["displayName"] == "Adele Vance")
    service = customer.service_principals[principal]
    role, other = service["appRoles"][:2]
    customer.assignments[:] = [one for one in customer.assignments if one["principalId"] != adele["id"]]
    for members in customer.members.values():
        members[:] = [one for one in members if one != adele["id"]]
    customer.assignments.append(new_assignment(sandbox.world, "User", adele, service, role["id"]))
    if kind == "two roles":
        customer.assignments.append(new_assignment(sandbox.world, "User", adele, service, other["id"]))
    if kind == "a group's role as well":
        next(iter(customer.members.values())).append(adele["id"])
    if kind == "a value that is not the name":
        role["value"] = "other"
    [title] = [change.after for change in forecast("complete").of(adele["id"]).changes if change.field == "app_metadata.title"]
    assert str(title) == {
        "one role": role["displayName"],
        "two roles": "cannot tell (the person has several roles, or the role is not known)",
    }.get(kind, "cannot tell (the attribute appRoleAssignments is not known)")
