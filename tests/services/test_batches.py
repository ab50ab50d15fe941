"""Graph's `$batch` over HTTPS: what is put off in it comes again alone, what is refused is said in words."""

from __future__ import annotations

import pytest

from runbook_lib.core.errors import TransportError
from runbook_lib.engine.journal import Journal, read_lines
from runbook_lib.http.message import Response
from runbook_lib.http.rate_limits import Pacer
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.undo import steps_to_undo, ways_back
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import open_view
from runbook_lib.services.entra import batches, graph
from runbook_lib.services.entra.batches import ItemsRefused
from runbook_lib.tenant.written import Record, standing

ASSIGNED_TO = "/v1.0/servicePrincipals/*/appRoleAssignedTo"


@pytest.fixture
def waits():
    return []


@pytest.fixture
def client(tenant, waits):
    """Graph as the tenant's session sees it; it does not wait, and keeps how long it would have."""
    view = open_view(tenant("half-done"), machine=Machine(sleep=waits.append))
    view.graph.organization()  # signed in
    return view.graph


@pytest.fixture
def customer(entra):
    return entra("half-done")


@pytest.fixture
def application(customer):
    """The id of the enterprise application for SCIM, without assignments yet."""
    [principal] = [one for one in customer.service_principals.values() if one["displayName"] == "Acme SCIM (half-done)"]
    customer.assignments = [one for one in customer.assignments if one["resourceId"] != principal["id"]]
    return principal["id"]


@pytest.fixture
def items(sandbox):
    """What was asked in batches so far, in order: method, last part of the path, status."""
    start = len(sandbox.simulation.history)
    return lambda: [
        (entry["method"], entry["path"].rsplit("/", 1)[1], entry["status"])
        for entry in sandbox.simulation.history[start:]
        if entry.get("batch")
    ]


def break_item(control, method, nth, kind, path=ASSIGNED_TO, **more):
    answer = control("POST", "/faults", [{"service": "graph", "method": method, "path": path, "nth": nth, "kind": kind, **more}])
    assert answer.status_code == 204


def assigned(customer, application):
    return sorted(one["principalId"] for one in customer.assignments if one["resourceId"] == application)


@pytest.mark.parametrize(
    "body", [None, [], "ok", {"responses": [{}]}, {"responses": [{"id": "1"}]}, {"responses": [{"id": "1", "status": "no"}]}]
)
def test_an_answer_of_another_form_leaves_the_writes_in_doubt(body):
    with pytest.raises(TransportError, match="another form") as odd:
        batches.receiver(["Assigning Adele"])(Response(200, body, {}))
    assert odd.value.ambiguous


def test_a_write_that_was_put_off_is_sent_again_alone_after_the_time_it_was_told(
    client, customer, application, items, waits, control
):
    break_item(control, "POST", 2, "429", retry_after_s=2.128)
    people = tuple(customer.users)[:3]
    answer = client.service.send(graph.assign(application, people, role(customer, application)))
    made = {f"assigned {one['principalId']}": one["id"] for one in customer.assignments if one["resourceId"] == application}
    assert (waits, batches.receiver(["", "", ""])(answer)) == ([2.128], made)
    assert [status for _, _, status in items()] == [201, 429, 201, 201]
    assert assigned(customer, application) == sorted(people)
    assert [(one["id"], one["status"]) for one in answer.body["responses"]] == [("1", 201), ("2", 201), ("3", 201)]


def test_several_are_sent_again_together_after_the_longest_time(client, customer, application, items, waits, control):
    break_item(control, "POST", 1, "503", retry_after_s=0.5)
    break_item(control, "POST", 3, "429", retry_after_s=3)
    break_item(control, "POST", 4, "429", retry_after_s=1)  # the first of the second batch, again
    people = tuple(customer.users)[:3]
    client.service.send(graph.assign(application, people, role(customer, application)))
    assert waits == [3.0, 1.0]
    assert [status for _, _, status in items()] == [503, 201, 429, 429, 201, 201]
    assert assigned(customer, application) == sorted(people)


def test_a_reading_that_was_put_off_is_asked_again_and_the_others_are_not(client, customer, items, waits, control):
    break_item(control, "GET", 1, "429", "/v1.0/users", retry_after_s=0.7)
    ids = tuple(customer.users)
    group = next(iter(customer.groups))
    people, _ = client.people(ids, [group])
    assert {person.id for person in people} >= set(ids)
    assert (waits, items()) == ([0.7], [("GET", "users", 429), ("GET", "members", 200), ("GET", "users", 200)])


def test_what_stays_put_off_is_an_error_in_words_and_the_others_are_done(client, customer, application, items, waits, control):
    for nth in (1, 3, 4, 5, 6, 7):
        break_item(control, "POST", nth, "429", retry_after_s=0.1)
    first, second = tuple(customer.users)[:2]
    answer = client.service.send(graph.assign(application, (first, second), role(customer, application)))
    with pytest.raises(ItemsRefused, match="Assigning Adele: answer 429 TooManyRequests") as refused:
        batches.receiver(["Assigning Adele", "Assigning Ben"])(answer)
    assert (refused.value.do_now, refused.value.is_partly_done) == (
        "Wait a minute, then run again with fewer at a time (--jobs) (see: RB-407)",
        True,
    )
    assert (waits, len(items()), assigned(customer, application)) == ([0.1] * 5, 7, [second])


def test_nobody_waits_longer_than_a_run_waits_for_anything(client, customer, application, items, waits, control):
    break_item(control, "POST", 1, "429", retry_after_s=86_400)
    client.service.send(graph.assign(application, tuple(customer.users)[:2], role(customer, application)))
    assert (waits, len(items())) == ([], 2)


def test_the_other_kernels_of_the_run_wait_too(client, customer, application, waits, control, tmp_path):
    now = [1000.0]
    pacer = Pacer(tmp_path, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    client.service._limit = pacer.limit("graph")
    break_item(control, "POST", 1, "429", retry_after_s=4)
    client.service.send(graph.assign(application, tuple(customer.users)[:2], role(customer, application)))
    assert (waits, now[0]) == ([4.0], 1004.0)  # its own clock stood still while it waited, so that the pacer's did the waiting


def test_what_an_item_is_refused_for_is_said_with_the_persons_name(carry_out, tenant, customer, control):
    break_item(control, "POST", 2, "403")
    customer.assignments = [one for one in customer.assignments if one["resourceDisplayName"] != "Acme SCIM (half-done)"]
    run = carry_out(tenant("half-done"))
    row = next(row for row in run.rows if row["step"] == "3.3")
    people = [one["principalDisplayName"] for one in customer.assignments]
    name = row["reason"].partition(":")[0].removeprefix("Assigning ")
    assert (row["status"], run.status, name in people) == ("FAILED", "failed", True)
    assert 'answer 403 Authorization_RequestDenied "Insufficient privileges' in row["reason"]
    assert row["remedy"].startswith("Grant AppRoleAssignment.ReadWrite.All to the app registration")
    [refused] = [table for table in row["tables"] if table["title"] == "What Graph refused"]
    assert [cells[0] for cells in refused["rows"]] == [f"Assigning {name}"]


def test_an_undo_takes_back_what_a_batch_did_beside_an_item_that_was_refused(carry_out, tenant, customer, application, control):
    break_item(control, "POST", 2, "403")
    run = carry_out(tenant("half-done"))
    journal = Journal(run.out / "journal.jsonl")
    [partly] = [one for one in read_lines(journal.path) if one["event"] == "outcome" and one["step"] == "3.3"]
    assert (partly["result"], len(partly["made"])) == ("partly", len(assigned(customer, application)))
    steps, _ = steps_to_undo(OLDER_AZURE_AD, Record(standing(journal, (), ways_back(OLDER_AZURE_AD))))
    assert "Remove the assignments (step 3.3)" in [step.title for step in steps]


def test_somebody_deleted_meanwhile_is_named_when_time_has_not_settled_it(carry_out, tenant, customer, application, control):
    gone = next(iter(customer.users))
    for nth in range(1, 60):
        break_item(control, "POST", nth, "404")
    row = next(row for row in carry_out(tenant("half-done")).rows if row["step"] == "3.3")
    assert row["status"] == "FAILED"
    assert customer.users[gone]["displayName"] in row["reason"]
    assert "Request_ResourceNotFound" in str(row["tables"])


def role(customer, application):
    return customer.service_principals[application]["appRoles"][0]["id"]


def test_an_item_that_was_refused_for_its_token_is_sent_again_with_a_new_one(client, customer, application, items, control):
    break_item(control, "POST", 2, "401")
    people = tuple(customer.users)[:3]
    answer = client.service.send(graph.assign(application, people, role(customer, application)))
    assert [status for _, _, status in items()] == [201, 401, 201, 201]
    assert [one["status"] for one in answer.body["responses"]] == [201, 201, 201]
    assert assigned(customer, application) == sorted(people)
