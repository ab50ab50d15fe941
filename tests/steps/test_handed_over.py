"""What takes a step's place where its side is handed over, literals in and changes out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.core.errors import VerificationFailed
from runbook_lib.core.secret import Secret
from runbook_lib.engine.step import Kind
from runbook_lib.engine.values import Diff, Finding, Skipped
from runbook_lib.http.message import Response
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.tenant.token_memory import Memory
from tests.builders import (
    DONE,
    NOTHING_MADE,
    PRINCIPAL_ID,
    RUNNING,
    URL,
    USER_ID,
    changes,
    planned,
    refusal,
    said,
    step,
    token,
    waiting,
)
from tests.steps.sheet import AUTH0, AUTH0_SENT, CONFIRMED, ENDPOINT, ENTRA, SENT, handover, without


def kinds(settings):
    return {row.number: step(row.number, settings).kind for row in OLDER_AZURE_AD}


# The administrator of the Entra side ---------------------------------------------------------------------------------


def test_without_a_sign_in_to_entra_its_steps_judge_from_auth0_and_the_token_alone_is_written():
    found = kinds(ENTRA)
    assert {kind for number, kind in found.items() if number[0] in "34"} == {Kind.CHECK}
    in_auth0 = {row.number: row.body.kind for row in OLDER_AZURE_AD if row.number[0] in "12"}
    assert {number: found[number] for number in in_auth0} == in_auth0


def test_a_step_in_entra_is_open_until_auth0_shows_it_or_the_administrator_confirms_it():
    settings, shows_nothing = ENTRA, replace(DONE["evidence"], used=(), profiles=())
    opened = handover("3.6", settings, evidence=shows_nothing)
    assert (opened.state, opened.remedy) == (
        "open",
        "Send handover.html to the administrator of contoso.onmicrosoft.com; run again when they have carried it out",
    )
    assert handover("3.6", settings).state == "seen"
    assert handover("3.6", without("entra", **CONFIRMED), evidence=shows_nothing).state == "confirmed"
    assert said("3.6", without("entra", **CONFIRMED), evidence=shows_nothing) == [
        "According to the settings (other-side-confirmed), the administrator has confirmed this step. This run cannot verify it."
    ]


def test_the_test_user_is_not_taken_on_the_administrator_s_word():
    nothing = replace(DONE["evidence"], profiles=())
    assert handover("4.2", without("entra", **CONFIRMED), evidence=nothing).state == "open"
    assert handover("4.2", ENTRA).state == "seen"


def test_the_sheet_says_exactly_what_to_enter():
    assert ("Name", "Acme SCIM") in handover("3.2", ENTRA).values
    assert ("Tenant URL", f"{URL}?aadOptscim062020") in handover("3.5", ENTRA).values


def test_where_provisioning_is_not_to_be_turned_on_the_administrator_gets_nothing_to_do():
    assert planned("4.3", without("entra", turn_on="no")) == [
        Skipped("turn_on is no: the hand-over sheet does not ask the Entra administrator to turn provisioning on.")
    ]


# The token that a person hands over


def tokens(*found, **memory):
    return planned("2.2", ENTRA, scim_tokens=found, memory=Memory(**memory))


def test_no_token_is_made_before_a_person_asks_for_it():
    [finding, asked] = tokens()
    assert finding == Finding("No token with exactly the three scopes has been used yet.")
    assert asked.remedy.startswith("Open the page (python -m runbook_lib lab), press Make and show the token once at step 2.2")


def test_a_token_that_a_person_asks_for_is_made_and_kept_for_the_page_alone():
    memory = Memory(asks_for_token=True)
    [change] = changes("2.2", ENTRA, scim_tokens=(), memory=memory)
    assert change.diffs == (
        Diff("SCIM tokens of c", "new token", "", "get:users, patch:users, delete:users; 365 days; to be shown once"),
    )
    assert change.request.line == "POST /api/v2/connections/con_1/scim-configuration/tokens"
    assert change.undo == {"kind": "token", "connection": "con_1"}
    assert change.receive(Response(201, {"token": "tok-canary", "token_id": "tok_2"})) == {"token": "tok_2"}
    assert (memory.scim_token, memory.own_token_ids) == (Secret("tok-canary"), {"tok_2"})


def test_a_token_of_this_tool_that_was_never_used_is_replaced_when_a_person_asks_again():
    gone, made = [
        entry
        for entry in tokens(token("tok_1"), token("tok_9", "2026-06-02"), asks_for_token=True, own_token_ids=frozenset({"tok_1"}))
        if hasattr(entry, "request")
    ]
    assert (gone.request.method, gone.request.line.rpartition("/")[2]) == ("DELETE", "tok_1")
    assert made.before == ("tok_1", "tok_9")


def test_two_tokens_of_others_leave_no_room_for_one():
    reason, _ = refusal(
        "2.2", ENTRA, scim_tokens=(token("a", scopes=("x",)), token("b", scopes=("y",))), memory=Memory(asks_for_token=True)
    )
    assert reason.startswith("The connection has 2 SCIM tokens already, the most Auth0 allows")


def test_a_token_waits_for_the_scim_configuration():
    assert waiting("2.2", ENTRA, scim_tokens=None, memory=Memory(asks_for_token=True))[:2] == (
        "1.3",
        "The SCIM configuration that a token belongs to",
    )


def test_what_became_of_a_token_is_told():
    used, unused = token("tok_1", "2026-06-02T10:00:00Z"), token("tok_1")
    ours = frozenset({"tok_1"})
    assert tokens(used)[-1] == Finding("Verified from Auth0: token tok_1 was last used 2026-06-02.")
    assert tokens(unused, own_token_ids=ours)[1] == Finding(
        "The token exists (tok_1, made by this tool, last used never), but Entra has not used it yet."
    )
    in_memory = {"scim_token": Secret("t"), "scim_token_id": "tok_1", "own_token_ids": ours}
    assert tokens(unused, **in_memory)[1] == Finding("This run made a new token. The page that asked for it shows it once.")


# The owner of the Auth0 side -----------------------------------------------------------------------------------------


def test_without_a_sign_in_to_auth0_its_steps_are_instructions_and_entra_s_wait_for_what_is_sent_back():
    assert {kind for number, kind in kinds(AUTH0).items() if number[0] in "1234"} == {Kind.NOTE}
    [waits] = planned("3.2", AUTH0)
    assert waits == Finding(
        "Waiting for the owner of the Auth0 side to send the endpoint and client id (2.1) and the token (2.2)."
    )


def test_once_endpoint_and_token_are_sent_back_the_steps_in_entra_are_done():
    kept = {row.number: row.body.kind for row in OLDER_AZURE_AD if row.number[0] in "34"}
    assert {number: kind for number, kind in kinds(AUTH0_SENT).items() if number[0] in "34"} == kept


def test_a_step_in_auth0_is_open_until_its_owner_confirms_it():
    assert handover("1.2", AUTH0).state == "open"
    assert handover("1.2", AUTH0).remedy == (
        "Send handover.html to the administrator of acme.eu.auth0.com; run again with the values that they send back"
    )
    assert handover("1.2", without("auth0", **CONFIRMED)).state == "confirmed"


def test_an_endpoint_is_not_taken_on_its_owner_s_word_but_when_it_is_given():
    assert handover("2.1", without("auth0", **CONFIRMED)).state == "open"
    given = planned("2.1", AUTH0_SENT)
    assert given[0] == Finding(f"The owner of the Auth0 side sent {ENDPOINT}.")
    assert given[1].state == "confirmed"


# The test user, and the start, with Auth0 unseen


def test_one_user_is_provisioned_and_entra_s_verdict_is_remembered():
    memory = Memory()
    [change] = changes("4.2", AUTH0_SENT, memory=memory)
    assert change.diffs == (Diff("user Adele", "provisioned on demand", "", "updated in Auth0"),)
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/provisionOnDemand"
    assert change.undo == {"kind": "on-demand"}
    with pytest.raises(VerificationFailed):
        change.receive(Response(200, {"key": '{"result": "Failure"}', "value": ""}))
    assert memory.tested_ids == set()


@pytest.mark.parametrize("readings", [{"memory": Memory(tested_ids={USER_ID})}, {"job": RUNNING}])
def test_a_user_who_was_provisioned_is_not_provisioned_again(readings):
    assert planned("4.2", AUTH0_SENT, **readings) == [
        Finding(
            "Adele was provisioned on demand, or the job's cycles have run. This run cannot see whether the person kept "
            "their user id in Auth0."
        )
    ]


def test_a_user_waits_for_the_job_and_its_mappings():
    readings = {name: value for name, value in NOTHING_MADE.items() if name in ("enterprise_application", "job", "schema")}
    assert waiting("4.2", AUTH0_SENT, **readings)[:2] == ("3.12", "The provisioning job with its mappings")


def test_the_job_is_not_started_on_this_side_s_word_alone():
    left = planned("4.3", AUTH0_SENT)[-1]
    assert left.remedy == (
        "When the owner of the Auth0 side has confirmed sections 1 and 2, set accept: [other-side-confirmed] (YAML) and run again"
    )


def test_the_job_is_started_once_both_sides_hold():
    settings = without("auth0", **SENT, **CONFIRMED)
    [change] = changes("4.3", settings, memory=Memory(tested_ids={USER_ID}, is_brought=True))
    assert change.request.line == f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/start"
    assert change.undo == {"kind": "start", "service_principal": PRINCIPAL_ID, "job": "job"}


def test_the_start_waits_for_the_test_user_and_names_them():
    settings = without("auth0", **SENT, **CONFIRMED)
    assert waiting("4.3", settings, memory=Memory(is_brought=True)).what == (
        "The start waits for these conditions: the test user was provisioned on demand (4.2)"
    )


def test_the_start_waits_for_the_job():
    settings = without("auth0", **SENT, **CONFIRMED)
    assert waiting("4.3", settings, job=None, jobs=(), schema=None)[:2] == ("3.4", "The provisioning job")
