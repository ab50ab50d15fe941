"""Entra's attribute mappings, literals in and changes out.

3.7 Deselect Create under Target Object Actions
3.8 Find the line of externalId and mailNickname
3.9 Send the object id as externalId
3.10 Find the line of the work email and mail
3.11 Match by work email with precedence 2
3.12 Save the attribute mappings
3.13 Return to the Provisioning screen
"""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest

from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Table
from runbook_lib.services.entra.models import SynchronizationSchema
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import groups_mapping
from runbook_lib.steps.attribute_mappings import UNDO
from runbook_lib.steps.mapping_document import shown_rows
from runbook_lib.tenant.forecast.values import Fate, Forecast
from tests.builders import (
    ADELE,
    GOOD,
    JOB,
    PRINCIPAL_ID,
    RUNNING,
    SCOPES,
    SETTINGS,
    SWITCH,
    WORK_EMAIL,
    attribute,
    changes,
    hazards,
    planned,
    refusal,
    right_schema,
    said,
    schema,
    tables,
    token,
    waiting,
    with_rows,
    with_user_mapping,
)
from tests.steps.sheet import ENTRA, handover, without
from tests.steps.undone import (
    BY_LATER_RUN,
    EVERYTHING,
    GOES,
    LIVE,
    RUNNING_JOBS,
    SHORT,
    TAKES_BACK,
    Tenant,
    Trial,
    later,
    written,
)

ON = "attribute mappings"
WHERE = "in Entra (Mappings > Provision Microsoft Entra ID Users)"
CREATE_OFF = Diff(ON, "Target Object Actions", "Add, Update, Delete", "Update, Delete")
OBJECT_ID = Diff(ON, "externalId", "mailNickname", "objectId")
SECOND = Diff(ON, f"{WORK_EMAIL} precedence", "none", "2")
GROUPS_OFF = Diff(ON, "Provision groups", "on", "off")
WANTS_GROUPS = TenantSettings.from_parameters({**GOOD, "groups_mapping": "on"})
ONLY_AT_CREATION = {"flowType": "ObjectAddOnly"}


def constant(text):
    return {"source": {"type": "Constant", "name": text, "expression": f'"{text}"', "parameters": []}}


def expression(text):
    return {"source": {"type": "Function", "name": text.partition("(")[0], "expression": text, "parameters": []}}


def source(name):
    return {"source": attribute(name)}


# 3.7, 3.9 and 3.11 show an edit; 3.12 saves all three

EDITS = {"3.7": CREATE_OFF, "3.9": OBJECT_ID, "3.11": SECOND}


@pytest.mark.parametrize("number", EDITS)
def test_3_7_and_3_9_and_3_11_show_their_edit_and_send_nothing(number):
    [change] = planned(number, schema=schema())
    assert (change.on, change.diffs, change.request) == (ON, (EDITS[number],), None)


@pytest.mark.parametrize("number", EDITS)
def test_3_7_and_3_9_and_3_11_plan_nothing_when_it_is_done(number):
    assert planned(number, schema=right_schema()) == []


@pytest.mark.parametrize("number", EDITS)
def test_3_7_and_3_9_and_3_11_wait_for_the_job_and_foretell_the_edit(number):
    assert waiting(number, schema=None) == ("3.4", "The provisioning job with its mappings", (EDITS[number],))


@pytest.mark.parametrize(("number", "diffs"), [("3.8", ()), ("3.10", ()), ("3.12", (CREATE_OFF, OBJECT_ID, SECOND, GROUPS_OFF))])
def test_3_8_and_3_10_and_3_12_wait_for_the_job(number, diffs):
    assert waiting(number, schema=None) == ("3.4", "The provisioning job with its mappings", diffs)


@pytest.mark.parametrize("number", ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12"])
def test_3_7_to_3_12_refuse_a_mapping_that_is_switched_off(number):
    reason, remedy = refusal(number, schema=with_user_mapping(schema(), enabled=False))
    assert reason.startswith("The mapping of users is off, so Entra would provision no one")
    assert remedy == f"Set Enabled to Yes {WHERE}, then run again"


@pytest.mark.parametrize("number", ["3.7", "3.8", "3.9", "3.10", "3.11", "3.12"])
def test_3_7_to_3_12_refuse_a_job_without_exactly_one_mapping_of_users(number):
    none = SynchronizationSchema({"synchronizationRules": []})
    assert refusal(number, schema=none) == (
        "The job has 0 mappings from Entra users to SCIM users, and exactly one is needed",
        "Restore the default mappings in Entra, then run again",
    )


# 3.7


def test_3_7_reads_the_actions_leniently():
    assert planned("3.7", schema=schema(flow="Update, Delete")) == []


@pytest.mark.parametrize(("flow", "shown"), [("Add,Update", "Add, Update"), ("Delete", "Delete"), ("", "no actions")])
@pytest.mark.parametrize("number", ["3.7", "3.12"])
def test_3_7_and_3_12_refuse_a_mapping_without_update_or_delete(number, flow, shown):
    reason, remedy = refusal(number, schema=schema(flow=flow))
    assert reason == f"The users' mapping has {shown}: Update and Delete must be on"
    assert remedy.startswith("Turn Update and Delete on in Entra")


# 3.8 and 3.10


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("3.8", "externalId comes from objectId."),
        ("3.10", f"{WORK_EMAIL} comes from mail, matching precedence 2."),
    ],
)
def test_3_10_and_3_8_show_the_line(number, words):
    assert planned(number, schema=right_schema()) == [Finding(words)]


# 3.9


@pytest.mark.parametrize("number", ["3.8", "3.9", "3.12"])
@pytest.mark.parametrize(
    ("edits", "reason"),
    [
        (
            [ONLY_AT_CREATION],
            "The row of externalId has the flow type ObjectAddOnly and not Always, and Create is off, so the object id "
            "never reaches Auth0 and no one is ever linked",
        ),
        ([], "The mapping has no row for externalId, so the object id never reaches Auth0 and no one is ever linked"),
        ([{}, {}], "The mapping has 2 rows for externalId, so it is unclear which value Entra sends"),
    ],
)
def test_3_9_refuses_a_row_by_which_nobody_is_ever_linked(number, edits, reason):
    why, remedy = refusal(number, schema=with_rows(schema(), "externalId", *edits))
    assert why == reason
    assert f"{WHERE}: externalId from objectId" in remedy


# 3.11


@pytest.mark.parametrize("number", ["3.10", "3.11"])
def test_3_11_names_the_row_of_another_path(number):
    home = {"targetAttributeName": 'emails[type eq "home"].value'}
    reason, remedy = refusal(number, schema=with_rows(schema(), WORK_EMAIL, home))
    assert reason == (
        f'The mapping has no row for {WORK_EMAIL} (emails[type eq "home"].value is another attribute), so people who have signed '
        "in before are not found by their address"
    )
    assert remedy == f"Restore the row {WHERE}: {WORK_EMAIL} from mail"


@pytest.mark.parametrize(
    ("target", "edit", "reason"),
    [
        (WORK_EMAIL, constant("a@b.example"), f"{WORK_EMAIL} comes from the constant a@b.example, which is the same"),
        (WORK_EMAIL, {"source": None}, f"{WORK_EMAIL} has no source, so it matches no one"),
        ("userName", expression('ToLower("x")'), 'userName comes from ToLower("x"), which is the same for everyone'),
    ],
)
def test_3_11_refuses_to_match_everybody_with_one_user_or_none(target, edit, reason):
    assert refusal("3.11", schema=with_rows(schema(), target, edit))[0].startswith(reason)


@pytest.mark.parametrize("number", ["3.11", "3.12"])
def test_3_11_refuses_when_another_row_has_precedence_2(number):
    reason, remedy = refusal(number, schema=with_rows(schema(), "externalId", {"matchingPriority": 2}))
    assert reason == "Another row, externalId, already has matching precedence 2"
    assert remedy == "Give that row another precedence in Entra, then run again"


@pytest.mark.parametrize("number", ["3.11", "3.12"])
def test_3_11_refuses_when_no_row_has_precedence_1(number):
    reason, remedy = refusal(number, schema=with_rows(schema(), "userName", {"matchingPriority": 0}))
    assert (reason, remedy) == (
        "No row has matching precedence 1",
        "Give userName precedence 1 in Entra, then run again",
    )


def test_3_11_replaces_another_precedence():
    [change] = changes("3.11", schema=schema(precedence=3))
    assert change.diffs == (Diff(ON, f"{WORK_EMAIL} precedence", "3", "2"),)


def test_3_11_asks_before_people_are_matched_by_another_source():
    [hazard] = hazards("3.11", schema=with_rows(schema(), WORK_EMAIL, source("userPrincipalName")))
    assert hazard.name == "match-by-another-source"
    assert "comes from userPrincipalName and not from mail" in hazard.why
    assert hazards("3.11", schema=schema()) == []


# 3.12


def test_3_12_makes_the_three_edits_and_no_other_in_one_request():
    before = schema()
    [change] = changes("3.12", schema=before)
    assert (change.on, change.diffs) == (ON, (CREATE_OFF, OBJECT_ID, SECOND))
    wanted = json.loads(json.dumps(before.document).replace("mailNickname", "objectId"))
    users = wanted["synchronizationRules"][0]["objectMappings"][1]
    users["flowTypes"], users["attributeMappings"][2]["matchingPriority"] = "Update,Delete", 2
    assert change.request.line == f"PUT /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/schema"
    assert change.request.body == wanted
    assert changes("3.12", schema=SynchronizationSchema(wanted)) == []


def test_3_12_puts_the_three_places_on_record_as_they_were_and_the_rows_as_they_will_be():
    [change] = changes("3.12", schema=schema())
    assert change.undo == {
        "kind": "schema",
        "service_principal": PRINCIPAL_ID,
        "job": "job",
        "before": {"flowTypes": "Add,Update,Delete", "externalId": attribute("mailNickname"), WORK_EMAIL: 0},
        "groups": {},
        "rows": [
            "actions: Update, Delete",
            "groups: off",
            "userPrincipalName -> userName 1 Always",
            "objectId -> externalId  Always",
            f"mail -> {WORK_EMAIL} 2 Always",
            f"{SWITCH} -> active  Always",
        ],
    }


def test_3_12_reads_back_that_nothing_else_was_lost():
    [change] = changes("3.12", schema=schema())
    sent = copy.deepcopy(change.request.body)
    assert change.confirm(None) == ("the schema",)
    assert change.confirm(SynchronizationSchema({**sent, "version": "2", "added": 1})) == ()
    users = sent["synchronizationRules"][0]["objectMappings"][1]
    users["flowTypes"] = "Update, Delete"
    assert change.confirm(SynchronizationSchema(sent)) == ()
    del sent["unknown"]
    assert change.confirm(SynchronizationSchema(sent)) == ("unknown",)


def test_3_12_shows_the_mappings_before_and_after():
    assert tables("3.12", schema=schema()) == [
        Table(
            "Attribute mappings before and after",
            ("SCIM attribute", "source before", "source after", "precedence before", "precedence after", "changed here"),
            (
                ("(Target Object Actions)", "Add, Update, Delete", "Update, Delete", "", "", "actions"),
                ("(Provision groups)", "off", "off", "", "", ""),
                ("userName", "userPrincipalName", "userPrincipalName", "1", "1", ""),
                ("externalId", "mailNickname", "objectId", "", "", "source"),
                (WORK_EMAIL, "mail", "mail", "", "2", "precedence"),
                ("active", SWITCH, SWITCH, "", "", ""),
            ),
        )
    ]


@pytest.mark.parametrize(
    ("edits", "who"),
    [
        ([], "The mapping has no row for active, so people who leave keep their access"),
        ([{}, {}], "The mapping has 2 rows for active, so it is unclear which value Entra sends"),
        ([ONLY_AT_CREATION], "and Create is off, so people who leave keep their access"),
        (
            [source("accountEnabled")],
            "active comes from accountEnabled, so people who lose their assignment, or leave the scope, keep their access",
        ),
        ([constant("True")], "active comes from the constant True, so people who leave keep their access"),
        ([{"source": None}], "active comes from nothing, so people who leave keep their access"),
        ([expression("Unheard([IsSoftDeleted])")], "so this tool cannot read it, and people who leave may keep their access"),
        ([source("IsSoftDeleted")], "active comes from IsSoftDeleted, so people who leave keep"),
        ([constant("False")], "active comes from the constant False, so people who stay would be blocked"),
    ],
)
def test_3_12_refuses_a_row_of_active_that_would_not_tell_auth0_of_a_departure(edits, who):
    reason, remedy = refusal("3.12", schema=with_rows(schema(), "active", *edits))
    assert who in reason
    assert f"{WHERE}: active from {SWITCH}" in remedy


@pytest.mark.parametrize("text", [SWITCH, "Not([IsSoftDeleted])", 'IIF([IsSoftDeleted]="True","False","True")'])
def test_3_12_takes_every_row_of_active_that_tells_departures(text):
    assert isinstance(planned("3.12", schema=with_rows(schema(), "active", expression(text)))[-1], Change)


def test_3_12_shows_the_scoping_filter():
    clause = {"sourceOperandName": "jobTitle", "operatorName": "EQUALS", "targetOperand": {"values": ["Engineer", None]}}
    other = {"sourceOperandName": "department", "operatorName": "IS NOT NULL", "targetOperand": None}
    scope = {
        "categoryFilterGroups": None,
        "groups": [{"name": "", "clauses": [other]}, None],
        "inputFilterGroups": [{"name": "Only engineers", "clauses": [clause, other]}],
    }
    found = planned("3.12", schema=with_user_mapping(schema(), scope=scope))
    assert isinstance(found[0], Finding)
    assert found[0].text.startswith("A scoping filter is set: Entra provisions only assigned people who meet it.")
    rows = (("department IS NOT NULL",), ("Only engineers: jobTitle EQUALS Engineer and department IS NOT NULL",))
    assert found[1] == Table("Scoping filter of users (a person must meet one of these rows)", ("condition",), rows)


@pytest.mark.parametrize("scope", [None, {}, {"groups": None, "inputFilterGroups": []}])
def test_3_12_says_nothing_of_a_filter_that_is_none(scope):
    assert said("3.12", schema=with_user_mapping(schema(), scope=scope)) == []


def test_3_12_reads_rules_mappings_and_rows_that_are_null_as_none():
    document = copy.deepcopy(dict(schema().document))
    document["synchronizationRules"] += [{"id": "empty", "objectMappings": None}, None]
    document["synchronizationRules"][0]["objectMappings"].append(None)
    document["synchronizationRules"][0]["objectMappings"][1]["attributeMappings"].append(None)
    [change] = changes("3.12", schema=SynchronizationSchema.from_wire(document))
    assert change.diffs == (CREATE_OFF, OBJECT_ID, SECOND)
    assert change.request.body["synchronizationRules"][1:] == [{"id": "empty", "objectMappings": None}, None]


@pytest.mark.parametrize("enabled", [True, None])
def test_3_12_turns_the_mapping_of_groups_off_with_its_one_request(enabled):
    [change] = changes("3.12", schema=right_schema(sends_groups=enabled))
    assert change.diffs == (GROUPS_OFF,)
    groups, users = change.request.body["synchronizationRules"][0]["objectMappings"]
    assert (groups["enabled"], "enabled" in users) == (False, False)
    assert change.undo["groups"] == {"Group -> group": True}


def test_3_12_turns_the_mapping_of_groups_on_where_the_settings_want_groups():
    [change] = changes("3.12", WANTS_GROUPS, schema=right_schema())
    assert change.diffs == (Diff(ON, "Provision groups", "off", "on"),)
    assert changes("3.12", WANTS_GROUPS, schema=right_schema(sends_groups=True)) == []


def test_3_12_refuses_to_send_groups_without_exactly_one_mapping_of_them():
    document = copy.deepcopy(dict(right_schema().document))
    del document["synchronizationRules"][0]["objectMappings"][0]
    reason, remedy = refusal("3.12", WANTS_GROUPS, schema=SynchronizationSchema(document))
    assert reason == "The job has 0 mappings of groups, but to send groups it needs exactly one"
    assert remedy.startswith("Restore the default mappings in Entra, or set groups_mapping to off")


def test_3_12_refuses_to_decide_whether_groups_that_may_be_in_use_are_sent_on():
    used = (token("tok_1", "2026-06-02", (*SCOPES, "post:groups")),)
    readings = {"schema": right_schema(sends_groups=True), "scim_tokens": used}
    reason, remedy = refusal("3.12", **readings)
    assert reason.startswith("A SCIM token of the connection has the scopes for groups and has been used (tok_1)")
    assert remedy.startswith("Set groups_mapping (YAML, or the page's form)")
    off = TenantSettings.from_parameters({**GOOD, "groups_mapping": "off"})
    assert [change.diffs for change in changes("3.12", off, **readings)] == [(GROUPS_OFF,)]


def test_3_12_holds_back_what_the_next_cycle_of_a_running_job_would_act_on():
    harmed = Forecast((replace(ADELE, fate=Fate.BLOCK),), assigned=1)
    found = planned("3.12", schema=schema(), job=RUNNING, forecast_when_asked=lambda: harmed)
    assert [entry.name for entry in found if isinstance(entry, Hazard)] == ["block"]
    pause, save = [entry for entry in found if isinstance(entry, Change)]
    assert (pause.request.line[-15:], save.request.line[:3]) == ("/jobs/job/pause", "PUT")


def test_3_12_pauses_no_job_that_it_would_not_start_again():
    reason, _remedy = refusal("3.12", SETTINGS.model_copy(update={"turn_on": "no"}), schema=schema(), job=RUNNING)
    assert reason == (
        "The running job uses mappings that this run must change first. It would pause the job, and turn_on "
        "is no, so the job would stay paused"
    )


# 3.13


def test_3_13_has_nothing_to_do():
    words = "Nothing to do: step 3.12 has already read the mappings back."
    assert planned("3.13") == [Finding(words)]


# On the sheet of the administrator


SHEET = "Enterprise applications > the new application > Provisioning > Attribute mapping (once Mappings) > "
SHEET += "Provision Microsoft Entra ID Users (once Provision Azure Active Directory Users)"


@pytest.mark.parametrize(
    ("number", "where", "values"),
    [
        ("3.7", SHEET, (("Create", "off"), ("Update", "on"), ("Delete", "on"))),
        ("3.8", f"{SHEET} > Attribute Mappings", (("Entra attribute", "mailNickname"), ("Target attribute", "externalId"))),
        ("3.9", "Edit Attribute, of the line externalId", (("Source attribute", "objectId"),)),
        ("3.10", f"{SHEET} > Attribute Mappings", (("Entra attribute", "mail"), ("Target attribute", WORK_EMAIL))),
        (
            "3.11",
            "Edit Attribute, of the line of the work email",
            (("Match objects using this attribute", "Yes"), ("Matching precedence", "2")),
        ),
        (
            "3.12",
            SHEET,
            (
                ("Target Object Actions", "Update, Delete"),
                ("externalId", "objectId"),
                (WORK_EMAIL, "mail, matching precedence 2"),
                ("Provision Microsoft Entra ID Groups, Enabled", "No"),
            ),
        ),
        ("3.13", SHEET, ()),
    ],
)
def test_3_7_to_3_13_on_the_sheet_say_what_to_enter(number, where, values):
    found = handover(number, ENTRA)
    assert (found.where, found.values) == (where, values)


def test_3_12_on_the_sheet_says_what_to_do_about_groups():
    assert handover("3.12", ENTRA).clicks[1].endswith("set Enabled to No, save.")
    wanted = handover("3.12", without("entra", groups_mapping="on"))
    assert wanted.values[3] == ("Provision Microsoft Entra ID Groups, Enabled", "Yes")
    assert wanted.clicks[1].endswith("set Enabled to Yes, save.")


# Taking back

BEFORE = {"flowTypes": "Add,Update,Delete", "externalId": attribute("mailNickname"), WORK_EMAIL: 0}
WROTE = {"service_principal": PRINCIPAL_ID, "job": "job", "before": BEFORE, "groups": {}, "rows": shown_rows(right_schema())}
ENTRY = written("schema", WROTE, step="3.12")
CLEAR = ((JOB,), False, (), False)  # its jobs, Entra holds a token, jobs that are on, it goes along


AS_BEFORE = with_user_mapping(right_schema(), **dict(schema().user_mapping() or {}))  # all else stays as it was found


def diff(field, before, after):
    return Diff("attribute mappings", field, before, after)


ACTIONS = diff("Target Object Actions", "Update,Delete", "Add,Update,Delete")
SOURCE, PRECEDENCE = diff("externalId", "objectId", "mailNickname"), diff(f"{WORK_EMAIL} precedence", "2", "none")


def test_3_12_is_taken_back_where_the_edits_stand():
    trial = Trial(UNDO, ENTRY)
    change = trial.change(right_schema(), *CLEAR)
    assert (change.on, change.diffs) == ("attribute mappings", (ACTIONS, SOURCE, PRECEDENCE))
    assert change.request.line == f"PUT /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/schema"
    assert change.request.body == AS_BEFORE.document
    rows = shown_rows(schema())
    assert change.undo == {**TAKES_BACK, "service_principal": PRINCIPAL_ID, "rows": rows}
    assert trial.undo.record.restored == {PRINCIPAL_ID: [rows]}
    assert trial.step.title == "Restore the attribute mappings (step 3.12)"
    holds, goes = f"Entra holds a token {SHORT}", f"is deleted {SHORT}"
    assert trial.reads == (f"attribute mappings {SHORT}", f"provisioning jobs {SHORT}", holds, RUNNING_JOBS, goes)
    assert trial.touches == (*EVERYTHING, RUNNING_JOBS)


@pytest.mark.parametrize(
    ("found", "diffs"),
    [
        (right_schema(flow="Update"), (SOURCE, PRECEDENCE)),
        (right_schema(source="mail"), (ACTIONS, PRECEDENCE)),
        (right_schema(precedence=3), (ACTIONS, SOURCE)),
    ],
)
def test_3_12_leaves_edits_of_others_and_what_holds_them_stays_theirs(found, diffs):
    trial = Trial(UNDO, ENTRY)
    change = trial.change(found, *CLEAR)
    assert (change.diffs, change.undo["rows"], trial.undo.record.restored) == (diffs, [], {PRINCIPAL_ID: []})


def test_3_12_shows_what_was_there_before_in_words():
    before = {"flowTypes": "Update,Delete", "externalId": {"expression": "Mid([x])"}, WORK_EMAIL: 7}
    trial = Trial(UNDO, written("schema", {**WROTE, "before": before}))
    change = trial.change(right_schema(), *CLEAR)
    assert change.diffs == (diff("externalId", "objectId", "Mid([x])"), diff(f"{WORK_EMAIL} precedence", "2", "7"))


def test_3_12_leaves_what_was_right_before():
    before = {"flowTypes": "Update,Delete", "externalId": attribute("objectId"), WORK_EMAIL: 2}
    trial = Trial(UNDO, written("schema", {**WROTE, "before": before}))
    words = ["The attribute mappings have their earlier values already, or someone else has changed them since this run."]
    assert trial.sentences(right_schema(), *CLEAR) == words
    trial = Trial(UNDO, written("schema", {**WROTE, "before": {**before, "externalId": None, WORK_EMAIL: 2}}))
    assert trial.change(right_schema(), *CLEAR).diffs == (diff("externalId", "objectId", "None"),)


def test_3_12_is_taken_back_when_nothing_of_it_stands():
    words = ["The attribute mappings have their earlier values already, or someone else has changed them since this run."]
    assert Trial(UNDO, ENTRY).sentences(schema(), (JOB,), True, LIVE, False) == words


@pytest.mark.parametrize(("found", "jobs"), [(None, (JOB,)), (right_schema(), ()), (right_schema(), (replace(JOB, id="new"),))])
def test_3_12_is_taken_back_when_the_job_is_gone(found, jobs):
    words = ["The job is gone, with its attribute mappings."]
    assert Trial(UNDO, ENTRY).sentences(found, jobs, True, LIVE, True) == words


def test_3_12_goes_with_the_application():
    assert Trial(UNDO, ENTRY).sentences(right_schema(), (JOB,), True, LIVE, True) == [f"{GOES} (left)"]


def test_3_12_is_not_taken_back_after_a_later_run():
    assert Trial(UNDO, ENTRY, others=(later("schema"),)).sentences(right_schema(), *CLEAR) == [f"{BY_LATER_RUN} (left)"]


def test_3_12_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change(right_schema(), (JOB,), False, (), False).diffs
    assert Trial(UNDO, ENTRY).while_on(right_schema(), (JOB,), False, LIVE, False) == planned


HOLDS = ((JOB,), True, (), False)


def test_3_12_is_not_taken_back_while_entra_holds_a_token_that_a_start_would_make_users_with():
    words = "Left in place: Entra holds a token, so with Create on again a start would create users. (left)"
    assert Trial(UNDO, ENTRY).sentences(right_schema(), *HOLDS) == [words]
    save = written("credentials", {"service_principal": PRINCIPAL_ID, "before": {}})
    assert Trial(UNDO, ENTRY, save).sentences(right_schema(), *HOLDS) == [words]
    assert Trial(UNDO, ENTRY, save, is_plan=True).change(right_schema(), *HOLDS)
    theirs = written("credentials", {"service_principal": PRINCIPAL_ID, "before": {"SecretToken": "*"}})
    assert Trial(UNDO, ENTRY, theirs).change(right_schema(), *HOLDS)
    without_add = written("schema", {**WROTE, "before": {**BEFORE, "flowTypes": "Update,Delete"}})
    assert Trial(UNDO, without_add).change(right_schema(), *HOLDS).diffs == (SOURCE, PRECEDENCE)


def test_3_12_switches_groups_back():
    found = right_schema(sends_groups=True)
    trial = Trial(UNDO, written("schema", {**WROTE, "groups": groups_mapping.replaced(schema(), WANTS_GROUPS)}))
    change = trial.change(found, *CLEAR)
    assert change.diffs[3:] == (diff(groups_mapping.FIELD, groups_mapping.in_words(found), groups_mapping.in_words(schema())),)
    assert change.request.body == AS_BEFORE.document


def test_how_3_12_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("schema", "the attribute mappings", {"service_principal": str, "job": str, "before": dict}, "", 3)
    assert UNDO.look(ENTRY, Tenant()) == (True, "The journal next to this report holds the earlier values.")
