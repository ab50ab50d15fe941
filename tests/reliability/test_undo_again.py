"""A finished undo has nothing left: what services list late, and what others keep in place, makes no second undo write."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from runbook_lib.sandbox.graph.applications import new_assignment
from runbook_lib.sandbox.simulation import Fault
from tests.reliability.histories import Watched, results_of
from tests.reliability.laboratory import Laboratory, number_of_the_request
from tests.reliability.people import Colleagues

LATE = ({"calls": 1}, {"seconds": 120})


@contextlib.contextmanager
def killed_after_saving_secrets(lab: Laboratory) -> Iterator[None]:
    """End what runs inside before its first request after Entra has saved or emptied the secrets."""
    handler = lab.simulation._routed

    def watched(call):
        answer = handler(call)
        if call.method == "PUT" and call.path.endswith("/secrets"):
            lab.kills[lab.sent + 1] = "kill_before"
        return answer

    lab.simulation._routed = watched
    yield
    lab.simulation._routed = handler
    lab.mend()


@pytest.mark.parametrize(("late", "furnished"), [(LATE[0], True), (LATE[1], False)])
@pytest.mark.parametrize("acts", [(), ("make_a_token", "write_a_note", "edit_an_option")])
def test_a_second_undo_writes_nothing_after_one_that_ended_well(tmp_path, late, furnished, acts):
    lab = Laboratory(tmp_path, furnished=furnished)
    lab.world.switches.set({"secrets_list_after": late})
    colleagues = Colleagues(lab, random.Random(1))
    assert lab.run().status == "done"
    for act in acts:
        getattr(colleagues, act)()
    first, second = lab.undo(1), lab.undo(1)
    assert (first.status, second.status, second.writes, colleagues.lost()) == ("done", "unchanged", [], [])
    held = [saved.secrets.get("SecretToken") for saved in lab.entra.provisioning.values()]
    own = {token["token_id"] for token in lab.tokens()} - lab.foreign_tokens
    assert ([one for one in held if one], own) == ([], set())


def test_the_job_goes_when_only_a_note_of_others_keeps_the_application(tmp_path):
    lab = Laboratory(tmp_path)
    lab.run()
    Colleagues(lab, random.Random(1)).write_a_note()
    lab.undo(1)
    [application] = lab.applications()
    assert lab.entra.provisioning[application["id"]].jobs == {}
    assert any("someone else has edited its notes" in row["reason"] for row in results_of(lab.out(1)))


def test_the_job_stays_when_others_have_edited_its_mappings_between_two_undos(tmp_path):
    lab = Laboratory(tmp_path)
    lab.run()
    colleagues = Colleagues(lab, random.Random(1))
    colleagues.write_a_note()
    put = "/schema"
    handler = lab.simulation._routed

    def watched(call):
        answer = handler(call)
        if call.method == "PUT" and call.path.endswith(put):
            lab.kills[lab.sent + 1] = "kill_before"
        return answer

    lab.simulation._routed = watched
    assert lab.undo(1).status == "killed"
    lab.simulation._routed = handler
    lab.mend()
    [application] = lab.applications()
    saved = lab.entra.provisioning[application["id"]]
    [(job, schema)] = saved.schemas.items()
    row = schema["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"][3]
    row["source"] = {"expression": "[city]", "name": "city", "type": "Attribute", "parameters": []}
    assert (lab.undo(1).status, list(saved.jobs)) == ("done", [job])


def test_an_application_left_because_of_an_edit_is_left_by_the_next_undo_too(tmp_path):
    lab = Laboratory(tmp_path)
    lab.run()
    Colleagues(lab, random.Random(1)).turn_the_mapping_of_groups_on()
    first, second = lab.undo(1), lab.undo(1)
    assert (first.status, second.status, second.writes) == ("done", "unchanged", [])
    assert second.about == "nothing to do; 3 of the run's writes are left in place, with the reason below"
    [application] = lab.applications()
    [saved] = lab.entra.provisioning.values()
    assert (len(saved.jobs), application["notes"]) == (1, None)
    assert {a["resourceId"] for a in lab.entra.assignments} == {lab._oidc()}
    reason = "Left in place: someone else has changed its attribute mappings since."
    assert [row["reason"] for row in results_of(lab.out(1)) if "test user" not in row["title"]] == [reason, reason]


def test_what_is_in_an_application_that_stays_is_taken_back_although_the_reason_has_gone_meanwhile(tmp_path):
    lab = Laboratory(tmp_path)
    lab.run()
    Colleagues(lab, random.Random(1)).write_a_note()
    [application] = lab.applications()
    handler = lab.simulation._routed

    def watched(call):
        if call.method == "PUT" and call.path.endswith("/secrets"):
            application["notes"] = None
        return handler(call)

    lab.simulation._routed = watched
    assert lab.undo(1).status == "done"
    rows = {row["title"].partition(" (")[0]: row for row in results_of(lab.out(1))}
    assert "someone else has edited its notes" in rows["Delete the enterprise application"]["reason"]
    assert [row["title"] for row in rows.values() if "Deleting the enterprise application" in row["reason"]] == []
    assert [a for a in lab.entra.assignments if a["resourceId"] == application["id"]] == []
    assert [saved.jobs for saved in lab.entra.provisioning.values()] == [{}]


@pytest.mark.parametrize("late", LATE)
def test_a_token_that_entra_does_not_list_yet_is_not_said_to_be_gone(tmp_path, late):
    lab = Laboratory(tmp_path, furnished=True)
    lab.world.switches.set({"secrets_list_after": late})
    with killed_after_saving_secrets(lab):
        assert lab.run().status == "killed"
    before = {token["token_id"] for token in lab.tokens()}
    assert (lab.undo(1).status, {token["token_id"] for token in lab.tokens()}) == ("done", before)


def test_a_token_that_an_earlier_undo_took_out_counts_as_gone_although_entra_lists_it_yet(tmp_path):
    lab = Laboratory(tmp_path, furnished=True)
    lab.world.switches.set({"secrets_list_after": {"seconds": 120}})
    assert lab.run().status == "done"
    with killed_after_saving_secrets(lab):
        assert lab.undo(1).status == "killed"
    assert lab.undo(1).status == "done"
    assert ({token["token_id"] for token in lab.tokens()}, lab.undo(1).writes) == (lab.foreign_tokens, [])


def test_a_token_that_may_be_out_of_entra_is_left_until_entra_lists_what_it_holds(tmp_path):
    lab = Laboratory(tmp_path, furnished=True)
    lab.world.switches.set({"secrets_list_after": {"seconds": 120}})
    assert lab.run().status == "done"
    before = {token["token_id"] for token in lab.tokens()}
    lab.simulation.faults.append(Fault("graph", "PUT", "*/secrets", 1, "tls_alert"))
    for status in ("done", "unchanged"):  # the undo to whose request there was no answer, and one right after it
        assert (lab.undo(1).status, {token["token_id"] for token in lab.tokens()}) == (status, before)
        [row] = [row for row in results_of(lab.out(1)) if "token from Entra" in row["title"]]
        assert "undo again later to check" in row["reason"]
    lab.elapsed_s += 600
    lab.world.clock.advance(600)
    assert lab.undo(1).status == "done"
    assert ({token["token_id"] for token in lab.tokens()}, lab.undo(1).writes) == (lab.foreign_tokens, [])


@pytest.mark.parametrize("furnished", [False, True])
def test_a_job_that_others_start_in_the_second_of_a_write_of_an_undo_is_stopped_again(tmp_path, furnished):
    lab = Watched(tmp_path, furnished=furnished)
    colleagues = Colleagues(lab, random.Random(1))
    assert lab.run().status == "done"
    colleagues.write_a_note()  # keeps the application
    handler = lab.simulation._routed

    def watched(call):
        if call.method == "PUT" and call.path.endswith("/secrets"):
            colleagues.start_the_job()
        return handler(call)

    lab.simulation._routed = watched
    outcome = lab.undo(1)
    assert (outcome.status, "which was stopped again" in outcome.about, lab.bad_jobs()) == ("failed", True, [])
    lab.simulation._routed = handler
    assert lab.undo(1).status == "done"


@pytest.mark.parametrize("furnished", [False, True])
def test_notes_are_read_by_the_very_request_before_each_that_replaces_them(tmp_path, furnished):
    lab = Laboratory(tmp_path, furnished=furnished)
    machine, ticks = lab.machine(), itertools.count()
    # A real clock tells no time twice: of readings at once it is known which was asked for last.
    lab.machine = lambda _name="here": replace(machine, clock=lambda: machine.clock() + next(ticks) / 1_000_000)
    lab.run()
    lab.undo(1)
    own = [entry for entry in lab.simulation.history if entry["service"] in ("auth0", "graph") and "batch" not in entry]
    notes = [n for n, entry in enumerate(own) if entry["method"] == "PATCH" and "/servicePrincipals/" in entry["path"]]
    assert {own[n - 1]["path"].split("/")[2] for n in notes} <= {"servicePrincipals", "$batch"}
    assert {own[n - 1]["method"] for n in notes if not own[n - 1]["path"].endswith("$batch")} == {"GET"}
    assert len(notes) >= 3  # the claim and its end, of the run; the claim of the undo


WORK = {
    "a redirect URI": ("applications", {"web": {"redirectUris": ["https://acme.example/callback"]}}, "1 redirect URI"),
    "identifier URIs": ("applications", {"identifierUris": ["api://one", "api://two"]}, "2 identifier URIs"),
    "a certificate": ("applications", {"keyCredentials": [{"keyId": "1", "type": "AsymmetricX509Cert"}]}, "1 certificate"),
    "a client secret": ("applications", {"passwordCredentials": [{"keyId": "1", "hint": "abc"}]}, "1 client secret"),
    "a signing certificate": ("service_principals", {"keyCredentials": [{"keyId": "1", "usage": "Sign"}]}, "1 certificate"),
    "single sign-on": ("service_principals", {"preferredSingleSignOnMode": "saml"}, "single sign-on (saml)"),
}


@pytest.mark.parametrize("work", WORK)
def test_an_application_in_which_administrators_set_up_signing_in_stays(tmp_path, work):
    lab = Laboratory(tmp_path)
    lab.run()
    kind, edit, words = WORK[work]
    [principal] = lab.applications()
    documents = getattr(lab.entra, kind)
    document = next(d for d in documents.values() if d["appId"] == principal["appId"])
    document |= edit
    assert (lab.undo(1).status, lab.undo(1).writes) == ("done", [])
    [row] = [row for row in results_of(lab.out(1)) if row["title"].startswith("Delete the enterprise application")]
    assert row["reason"] == f"Left in place: it is set up for sign-ins ({words})."
    assert {name: document[name] for name in edit} == edit
    assert [saved.jobs for saved in lab.entra.provisioning.values()] == [{}]


@pytest.mark.parametrize("furnished", [False, True])
@pytest.mark.parametrize("kind", ["User", "Group"])
def test_who_is_assigned_again_by_hand_after_an_undo_stays_through_the_next(tmp_path, kind, furnished):
    lab = Laboratory(tmp_path, furnished=furnished)
    lab.run()
    Colleagues(lab, random.Random(1)).write_a_note()  # keeps the application
    [principal] = lab.applications()
    lab.undo(1)
    gone = lab.entra.groups if kind == "Group" else lab.entra.users
    again = new_assignment(lab.world, kind, next(iter(gone.values())), principal, principal["appRoles"][0]["id"])
    lab.entra.assignments.append(again)
    assert (lab.undo(1).writes, again in lab.entra.assignments) == ([], True)


HOUR_S = 3600


def test_what_got_no_answer_is_settled_once_nothing_of_it_shows_after_an_hour(tmp_path):
    lab = Laboratory(tmp_path, furnished=True)
    lab.break_at(number_of_the_request(tmp_path / "whole", "/scim-configuration/tokens", furnished=True), "kill_before")
    assert lab.run().status == "killed"
    lab.mend()
    [row] = [row for row in (lab.undo(1), results_of(lab.out(1)))[1] if "SCIM token" in row["title"]]
    assert (row["status"], "undo again later to check" in row["reason"]) == ("NOTED", True)
    lab.elapsed_s += HOUR_S
    lab.world.clock.advance(HOUR_S)
    assert lab.undo(1).writes == []
    [row] = [row for row in results_of(lab.out(1)) if "SCIM token" in row["title"]]
    assert (row["status"], row["reason"].partition(":")[0]) == ("UNCHANGED", "Nothing is left to undo")
    assert lab.undo(1).about == "nothing to do"


def test_what_got_no_answer_and_shows_stays_after_an_hour_too(tmp_path):
    lab = Laboratory(tmp_path, furnished=True)
    lab.break_at(number_of_the_request(tmp_path / "whole", "/scim-configuration/tokens", furnished=True), "kill_after")
    assert lab.run().status == "killed"
    lab.mend()
    lab.elapsed_s += HOUR_S
    lab.world.clock.advance(HOUR_S)
    tokens = [token["token_id"] for token in lab.tokens()]
    assert (lab.undo(1).status, [token["token_id"] for token in lab.tokens()]) == ("done", tokens)
    [row] = [row for row in results_of(lab.out(1)) if "SCIM token" in row["title"]]
    assert (row["status"], tokens[-1] in row["reason"]) == ("NOTED", True)


def test_an_application_goes_once_the_doubtful_write_of_another_run_in_it_is_settled(tmp_path):
    """Run 1 breaks before it makes the job, run 2 at the request that saves the token, run 1 is resumed: they write in turn."""
    lab = Laboratory(tmp_path)
    lab.break_at(number_of_the_request(tmp_path / "first", "/synchronization/jobs") - 1, "kill_after")
    assert lab.run().status == "killed"
    lab.mend()
    handler = lab.simulation._routed

    def watched(call):
        if call.path.endswith("/validateCredentials"):
            lab.kills[lab.sent + 1] = "kill_before"  # the request after it saves the token
        return handler(call)

    lab.simulation._routed = watched
    assert lab.run().status == "killed"
    lab.simulation._routed = handler
    lab.mend()
    assert lab.resume(1).status == "done"
    first = lab.undo(1)
    assert (first.status, len(lab.applications())) == ("done", 1)
    lab.elapsed_s += HOUR_S
    lab.world.clock.advance(HOUR_S)
    lab.undo(2)
    lab.undo(1)
    assert lab.applications() == []
    assert (lab.undo(1).writes, lab.undo(2).writes) == ([], [])


@pytest.mark.parametrize(("method", "path"), [("POST", "/pause"), ("PUT", "/schema")])
def test_what_an_undo_wrote_and_reading_back_did_not_show_is_taken_back_by_the_next(tmp_path, method, path):
    lab = Laboratory(tmp_path, furnished=path == "/schema")
    assert lab.run().status == "done"
    lab.simulation.faults.append(Fault("graph", method, f"*{path}", 1, "lost_write"))
    assert lab.undo(1).status == "failed"
    second = lab.undo(1)
    assert (second.status, [write for write in second.writes if write.endswith(path)] != []) == ("done", True)
    assert lab.undo(1).writes == []


def test_one_404_does_not_prove_that_the_job_is_gone_which_is_on(tmp_path):
    lab = Laboratory(tmp_path)
    assert lab.run().status == "done"
    [job] = [job for saved in lab.entra.provisioning.values() for job in saved.jobs.values()]
    lab.break_at(10, "404")  # the batch that reads the application and its jobs
    lab.undo(1)
    assert job["schedule"]["state"] == "Disabled"
    lab.mend()
    lab.undo(1)
    assert lab.applications() == []


def test_assignments_that_entra_does_not_list_yet_are_not_said_to_be_gone(tmp_path):
    lab = Laboratory(tmp_path, furnished=True)
    lab.world.switches.set({"assignments_list_after": {"seconds": 120}})
    before = [a["id"] for a in lab.entra.assignments]
    lab.break_at(
        number_of_the_request(tmp_path / "whole", "/synchronization/secrets", method="PUT", furnished=True), "kill_before"
    )
    assert lab.run().status == "killed"
    lab.mend()
    lab.undo(1)
    lab.world.clock.advance(600)
    lab.elapsed_s += 600
    lab.undo(1)
    assert [a["id"] for a in lab.entra.assignments] == before
