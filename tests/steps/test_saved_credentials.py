"""What Entra saves: tenant URL, token and deletion guard; literals in and changes out.

3.5 Enter the SCIM endpoint URL with ?aadOptscim062020 as Tenant URL
3.6 Paste the token, test the connection and save
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbook_lib.core.secret import Secret
from runbook_lib.engine.values import Diff, Finding, Hazard
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import SavedCredentials
from runbook_lib.steps.saved_credentials import LISTED_LATE, UNDO
from runbook_lib.tenant.forecast.values import Fate, Forecast
from tests.builders import (
    ADELE,
    JOB,
    PRINCIPAL_ID,
    RUNNING,
    SAVED,
    SETTINGS,
    TENANT_URL,
    URL,
    Memory,
    changes,
    doubt,
    hazards,
    planned,
    refusal,
    said,
    saved,
    schema,
    token,
    waiting,
)
from tests.steps.sheet import ENTRA, handover
from tests.steps.undone import (
    BY_LATER_RUN,
    EVERYTHING,
    GOES,
    HELD,
    LIVE,
    RUNNING_JOBS,
    SHORT,
    TAKES_BACK,
    Tenant,
    Trial,
    later,
    written,
)

ON = "entra credentials"
ELSEWHERE = "https://elsewhere.example/scim/"
EMPTY = SavedCredentials({})
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
FIRST_SAVE = (
    Diff(ON, "Tenant URL", "", TENANT_URL),
    Diff(ON, "Deletion guard", "off", "20"),
    Diff(ON, "Provision", "", "assigned only"),
    Diff(ON, "Secret Token", "", "the token of step 2.2"),
)


def with_token(**more):
    return Memory(**{"scim_token": Secret("text-canary"), "scim_token_id": "new", **more})


# 3.5


def test_3_5_shows_the_tenant_url_that_3_6_saves():
    change, finding = planned("3.5", saved_credentials=EMPTY)
    assert (change.diffs, change.request, change.hazard) == ((Diff(ON, "Tenant URL", "", TENANT_URL),), None, None)
    assert finding == Finding(TENANT_URL)


@pytest.mark.parametrize("address", [TENANT_URL, TENANT_URL.replace("/?", "?")])
def test_3_5_leaves_an_address_that_is_right(address):
    assert planned("3.5", saved_credentials=saved(BaseAddress=address)) == [Finding(TENANT_URL)]


@pytest.mark.parametrize("number", ["3.5", "3.6"])
def test_3_5_and_3_6_ask_before_an_application_goes_to_another_address(number):
    [hazard] = hazards(number, saved_credentials=saved(BaseAddress=f"{ELSEWHERE}?x"), memory=with_token())
    why = f"This application provisions {ELSEWHERE}, which is not the endpoint of this connection"
    assert hazard == Hazard("replace-tenant-url", why)


@pytest.mark.parametrize("number", ["3.5", "3.6"])
def test_3_5_and_3_6_only_add_the_flag_to_the_address_that_is_right(number):
    readings = {"saved_credentials": saved(BaseAddress=URL), "memory": with_token()}
    assert hazards(number, **readings) == []
    assert changes(number, **readings)[0].diffs[0] == Diff(ON, "Tenant URL", URL, TENANT_URL)


# 3.6


def test_3_6_is_done_when_entra_holds_all_of_it():
    assert planned("3.6") == [Finding("Tenant URL, token and deletion guard are saved.")]


def test_3_6_saves_address_token_and_guard_and_tests_before_and_after():
    [change] = planned("3.6", saved_credentials=EMPTY, memory=with_token())
    assert (change.on, change.diffs) == (ON, FIRST_SAVE)
    path = f"/servicePrincipals/{PRINCIPAL_ID}/synchronization"
    assert change.request.line == f"PUT {path}/secrets"
    values = {entry["key"]: entry["value"] for entry in change.request.body["value"]}
    guard = '{"Enabled":false,"DeleteThresholdEnabled":true,"DeleteThresholdValue":20}'
    assert values == {
        "BaseAddress": TENANT_URL,
        "SecretToken": Secret("text-canary"),
        "SyncNotificationSettings": guard,
        "SyncAll": "false",
    }
    assert change.rehearsal.line == change.proof.line == f"POST {path}/jobs/job/validateCredentials"
    credentials = {entry["key"]: entry["value"] for entry in change.rehearsal.body["credentials"]}
    assert credentials == {"BaseAddress": TENANT_URL, "SecretToken": Secret("text-canary")}
    assert change.proof.body == {"useSavedCredentials": True}


def test_3_6_keeps_what_else_is_saved_and_never_sends_a_mask_back():
    [change] = planned("3.6", saved_credentials=saved(Other="kept", Masked="*", SyncAll="true"), memory=with_token())
    values = {entry["key"]: entry["value"] for entry in change.request.body["value"]}
    assert values.pop("SecretToken") == Secret("text-canary")
    assert values == {
        "Other": "kept",
        "BaseAddress": TENANT_URL,
        "SyncNotificationSettings": '{"DeleteThresholdEnabled":true,"DeleteThresholdValue":14}',
        "SyncAll": "false",
    }


def test_3_6_puts_no_secret_on_record():
    [change] = planned("3.6", saved_credentials=EMPTY, memory=with_token())
    assert change.undo == {"kind": "credentials", "service_principal": PRINCIPAL_ID, "token": "new", "before": {}}
    assert "canary" not in repr(change) + json.dumps(change.undo)


def test_3_6_forgets_the_text_once_entra_has_it_and_waits_until_it_is_listed():
    memory = with_token()
    [change] = planned("3.6", saved_credentials=EMPTY, memory=memory)
    assert change.receive(Response(204, None)) == {"saved_token": "new"}
    assert (memory.scim_token, memory.saved_token_id, memory.given_token_ids) == (None, "new", ("new",))
    assert (memory.saved_works, memory.is_saved_now) == (True, True)
    [awaited] = planned("3.6", saved_credentials=EMPTY, memory=memory)
    assert (awaited.request, awaited.is_awaited, awaited.diffs) == (None, True, FIRST_SAVE)


def test_3_6_keeps_the_text_of_a_token_that_was_brought():
    memory = with_token(is_brought=True)
    [change] = planned("3.6", saved_credentials=EMPTY, memory=memory)
    change.receive(Response(204, None))
    assert memory.scim_token == Secret("text-canary")


def test_3_6_reads_back_that_nothing_else_was_lost():
    memory = with_token(is_saved_now=False)
    found = saved(Other="kept", SyncAll="true")
    [change] = planned("3.6", saved_credentials=found, memory=memory)
    assert change.confirm(found) == ()
    assert change.confirm(SavedCredentials({**found.values, "Other": "lost"})) == ("others.Other",)
    assert change.confirm(SavedCredentials({**found.values, "SyncNotificationSettings": ""})) == (
        "guard.DeleteThresholdEnabled",
        "guard.DeleteThresholdValue",
    )
    assert memory.is_saved_now is False


@pytest.mark.parametrize("missing", ["job", "enterprise_application"])
def test_3_6_waits_for_the_job(missing):
    found = waiting("3.6", saved_credentials=EMPTY, **{missing: None})
    assert found == ("3.4", "The provisioning job", FIRST_SAVE)


def test_3_6_waits_for_the_text_of_a_token():
    found = waiting("3.6", saved_credentials=EMPTY)
    assert found == ("2.2", "A token, which Entra needs before it saves anything here,", FIRST_SAVE)


def test_3_6_deletes_a_token_of_its_own_that_another_has_taken_the_place_of():
    memory = Memory(own_token_ids=frozenset({"old", "now"}), given_token_ids=("old", "now"))
    tokens = (token("old", "2026-06-01"), token("now", "2026-06-02"), token("foreign"))
    gone, finding = planned("3.6", memory=memory, scim_tokens=tokens)
    assert gone.request.line == "DELETE /api/v2/connections/con_1/scim-configuration/tokens/old"
    [diff] = gone.diffs
    assert (diff.on, diff.field, diff.after) == ("SCIM tokens of contoso-azure-ad", "old", "deleted")
    assert finding == Finding("Tenant URL, token and deletion guard are saved.")


# A job that runs already

HARMED = Forecast((replace(ADELE, fate=Fate.BLOCK),), assigned=1)


@pytest.mark.parametrize(
    "found",
    [saved(BaseAddress=URL), saved(SyncAll="true"), SavedCredentials(SAVED.values, works=False)],
)
def test_3_6_holds_back_what_the_next_cycle_of_a_running_job_would_act_on(found):
    readings = {"saved_credentials": found, "job": RUNNING, "memory": with_token()}
    assert [hazard.name for hazard in hazards("3.6", **readings, forecast_when_asked=lambda: HARMED)] == ["block"]


def test_3_6_holds_nothing_back_where_only_the_scope_changes_and_the_cycle_harms_them_anyway():
    anyway = replace(HARMED, anyway=frozenset((ADELE.object_id, kind) for kind in HARMED.people[0].harms))
    memory = with_token(is_brought=True, saved_token_id="new")
    readings = {"saved_credentials": saved(SyncAll="true"), "job": RUNNING, "memory": memory}
    assert hazards("3.6", **readings, forecast_when_asked=lambda: anyway) == []
    assert [
        words
        for words in said("3.6", **readings, forecast_when_asked=lambda: anyway)
        if "whether or not this run writes anything" in words
    ]


def test_3_6_pauses_a_job_that_runs_by_other_mappings_before_it_sends_it_elsewhere():
    readings = {"saved_credentials": saved(BaseAddress=URL), "job": RUNNING, "memory": with_token(), "schema": schema()}
    first, second = changes("3.6", **readings)
    assert first.request.line.endswith("/jobs/job/pause")
    assert second.request.line.startswith("PUT ")
    reason, _remedy = refusal("3.6", SETTINGS.model_copy(update={"turn_on": "no"}), **readings)
    assert reason == (
        "The running job uses mappings that this run must change first. It would pause the job, and turn_on "
        "is no, so the job would stay paused"
    )


def test_3_6_does_not_look_at_a_forecast_while_no_job_runs():
    def never():
        raise AssertionError("was read")

    [change] = planned("3.6", saved_credentials=EMPTY, job=JOB, memory=with_token(), forecast_when_asked=never)
    assert change.request.line.startswith("PUT ")


def test_3_6_saves_again_while_nobody_knows_whether_the_last_save_arrived():
    doubts = (doubt("3.6", "PUT"),)
    memory = with_token(is_brought=True, saved_token_id="new", doubts=doubts)
    [change] = planned("3.6", memory=memory)
    assert change.diffs == (Diff(ON, "Secret Token", "saved", "the token of step 2.2"),)


# On the sheet of the administrator


def test_3_5_and_3_6_on_the_sheet_say_what_to_enter():
    found = handover("3.5", ENTRA)
    where = "Enterprise applications > the new application > Provisioning > New configuration (once Admin Credentials)"
    assert (found.where, found.values) == (where, (("Tenant URL", TENANT_URL),))
    found = handover("3.6", ENTRA)
    assert (found.where, found.state) == (f"{where}, then Overview > Properties (once Settings)", "seen")
    assert found.values == (
        ("Secret Token", "the token, sent separately from this sheet"),
        ("Accidental deletion threshold", "20"),
        ("Scope", "Sync only assigned users and groups"),
    )


# Taking back

ENTRY = written(
    "credentials",
    {"service_principal": PRINCIPAL_ID, "token": "own", "before": {"BaseAddress": "https://old", "SyncAll": "true"}},
    step="3.6",
)
# The endpoint, Entra holds a token, jobs that are on, tokens in Entra, it goes along, it may be out already.
CLEAR = (URL, True, (), frozenset(), False, False)


def diffs(*rows):
    return tuple(Diff("entra credentials", *row) for row in rows)


EMPTIED = diffs(("BaseAddress", TENANT_URL, "https://old"), ("SyncAll", "false", "true"), ("Secret Token", "saved", "removed"))


def test_3_6_is_taken_back_by_saving_what_was_there_without_the_token():
    trial = Trial(UNDO, ENTRY)
    change = trial.change(SAVED, *CLEAR)
    assert change.request.line == f"PUT /servicePrincipals/{PRINCIPAL_ID}/synchronization/secrets"
    values = {entry["key"]: entry["value"] for entry in change.request.body["value"]}
    assert values == {
        "BaseAddress": "https://old",
        "SyncAll": "true",
        "SecretToken": "",
        "SyncNotificationSettings": SAVED.values["SyncNotificationSettings"],
    }
    assert (change.on, change.diffs, change.undo) == ("entra credentials", EMPTIED, {**TAKES_BACK, "empties": PRINCIPAL_ID})
    assert change.listed_late == LISTED_LATE
    assert Finding("The deletion guard stays on if this run turned it on.") in trial.says(SAVED, *CLEAR)
    assert trial.step.title == "Remove the token from Entra (step 3.6)"
    holds = f"Entra holds a token {SHORT}"
    further = (RUNNING_JOBS, HELD, f"is deleted {SHORT}", f"may be emptied {SHORT}")
    assert trial.reads == (f"saved credentials {SHORT}", "endpoint_url", holds, *further)
    assert trial.touches == (f"saved credentials {SHORT}", *EVERYTHING, RUNNING_JOBS, HELD)


def test_3_6_where_nothing_was_saved_before_is_emptied():
    entry = written("credentials", {**ENTRY.undo, "before": {}}, step="3.6")
    assert Trial(UNDO, entry).change(saved(SyncAll=""), *CLEAR).diffs == diffs(
        ("BaseAddress", TENANT_URL, ""), ("Secret Token", "saved", "removed")
    )


def test_3_6_is_waited_for_once_entra_took_it():
    trial = Trial(UNDO, ENTRY)
    assert trial.change(SAVED, *CLEAR).receive(Response(204, None)) == {}
    assert trial.undo.record.emptied == {PRINCIPAL_ID}
    awaited = trial.change(SAVED, *CLEAR)
    assert (awaited.request, awaited.diffs, awaited.listed_late) == (None, EMPTIED, LISTED_LATE)
    empty = SavedCredentials({"BaseAddress": "https://old", "SyncAll": "true"})
    assert trial.sentences(empty, URL, False, (), frozenset(), False, False) == [
        "Entra no longer holds the credentials that this run saved."
    ]
    assert trial.undo.record.emptied == set()


def test_3_6_says_that_a_token_of_others_cannot_be_put_back():
    entry = written("credentials", {**ENTRY.undo, "before": {"SecretToken": "*"}}, step="3.6")
    words = "This undo cannot restore the token that Entra held before. Enter that token in Entra again before you start the job."
    assert Trial(UNDO, entry).says(SAVED, *CLEAR)[0] == Finding(words)


def test_3_6_goes_with_the_application():
    assert Trial(UNDO, ENTRY).sentences(SAVED, URL, True, LIVE, frozenset(), True, False) == [f"{GOES} (left)"]


@pytest.mark.parametrize(
    ("found", "holds"), [(SAVED, False), (saved(BaseAddress="https://another.auth0.com/scim/v2/connections/x"), True)]
)
def test_3_6_is_left_where_entra_holds_something_else(found, holds):
    trial = Trial(UNDO, ENTRY)
    assert trial.sentences(found, URL, holds, LIVE, frozenset(), False, False) == [
        "Entra no longer holds the credentials that this run saved."
    ]


def test_3_6_is_taken_back_where_entra_does_not_list_yet_what_it_holds():
    found = SavedCredentials({"BaseAddress": "https://another.auth0.com/scim/v2/connections/x"})
    assert Trial(UNDO, ENTRY).change(found, *CLEAR).request.method == "PUT"


def test_3_6_is_not_taken_back_after_a_later_run():
    assert Trial(UNDO, ENTRY, others=(later("credentials"),)).sentences(SAVED, *CLEAR) == [f"{BY_LATER_RUN} (left)"]


def test_3_6_is_not_taken_back_where_entra_may_hold_a_token_of_others():
    trial = Trial(UNDO, ENTRY, token_ids=frozenset({"own"}))
    assert trial.sentences(SAVED, URL, True, (), frozenset({"own", "t2", "t1"}), False, False) == [
        "Left in place: Auth0 has a token that this tool did not make (t1, t2), and Entra may hold it instead of own. (left)"
    ]
    assert trial.change(SAVED, URL, True, (), frozenset({"own"}), False, False).request.method == "PUT"


def test_3_6_that_may_be_out_already_is_looked_at_later():
    trial = Trial(UNDO, ENTRY, token_ids=frozenset({"own"}))
    [words] = trial.sentences(SAVED, URL, True, (), frozenset({"own", "t1"}), False, True)
    assert words.endswith(
        "instead of own. No answer told whether it was taken out, and Entra lists that only after minutes: "
        "undo again later to check. (left)"
    )


def test_3_6_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change(SAVED, URL, True, (), frozenset(), False, False).diffs
    assert Trial(UNDO, ENTRY).while_on(SAVED, URL, True, LIVE, frozenset(), False, False) == planned


def test_3_6_in_doubt_is_looked_for_in_entra():
    assert UNDO.look(ENTRY, Tenant(saved_credentials_IN=SAVED)) == (True, "Entra holds a token.")
    nothing = (False, "Entra holds no token.")
    assert UNDO.look(ENTRY, Tenant(saved_credentials_IN=SavedCredentials({}))) == nothing


def test_how_3_6_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    needs = {"service_principal": str, "token": str, "before": dict}
    assert about == ("credentials", "the saved tenant URL and token", needs, "", 2)
