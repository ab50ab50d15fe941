"""The connection, literals in and changes out.

0.1 Check that the connection is of the Microsoft Azure AD type
1.1 Find the connection
1.2 Use the pairwise subject as user id, and no common endpoint
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.values import Diff, Finding, Table
from runbook_lib.http.message import Response
from runbook_lib.services.auth0.models import SeenUsers
from runbook_lib.steps.connection import UNDO
from runbook_lib.tenant import facts
from tests.builders import OPTIONS, changes, connection, hazards, planned, refusal, said, tables
from tests.steps.sheet import AUTH0, handover, without
from tests.steps.undone import BY_LATER_RUN, LIVE, RUNNING_JOBS, TAKES_BACK, Tenant, Trial, later, written

CONNECTION = connection()
ENDPOINT_ON = {"useCommonEndpoint": True, "waad_common_endpoint": True}


# 0.1


def test_0_1_takes_a_connection_of_the_azure_ad_type_with_readable_options():
    words = "c is a Microsoft Azure AD connection, and this run can read its options."
    assert planned("0.1", connection=CONNECTION) == [Finding(words)]


def test_0_1_refuses_a_connection_of_another_type():
    reason, remedy = refusal("0.1", connection=replace(CONNECTION, strategy="oidc"))
    assert reason == "c is a connection of type oidc, not Microsoft Azure AD (waad)"
    assert remedy == "Name a Microsoft Azure AD connection; for other types follow Auth0's page for that type"


@pytest.mark.parametrize("options", [None, {}])
def test_0_1_refuses_options_that_auth0_did_not_show(options):
    reason, remedy = refusal("0.1", connection=replace(CONNECTION, options=options))
    assert reason == "Auth0 returned c without its options, so this run cannot read its settings or write them safely"
    assert "Grant the Auth0 application read:connections_options and update:connections_options" in remedy


# 1.1


def test_1_1_names_the_connection():
    assert planned("1.1", connection=CONNECTION) == [Finding("Found the connection c, displayed as Shown.")]
    assert planned("1.1", connection=replace(CONNECTION, display_name=None)) == [
        Finding("Found the connection c, displayed as c.")
    ]


# 1.2


def test_1_2_plans_nothing_when_it_is_done():
    assert changes("1.2", connection=connection(userid_attribute="sub", useCommonEndpoint=False)) == []


def test_1_2_writes_sub_where_the_key_is_absent_and_keeps_everything_else():
    [change] = changes("1.2", connection=CONNECTION)
    assert change.diffs == (Diff("connection c", "User ID attribute type", "(absent: Auth0 treats it as sub)", "sub"),)
    assert change.request.line == "PATCH /api/v2/connections/con_1"
    assert change.request.body == {"options": {**OPTIONS, "userid_attribute": "sub"}, "display_name": "Shown"}
    assert change.hazard is None


ANSWER = {"id": "con_1", "name": "c", "display_name": "Shown", "strategy": "waad", "metadata": {"a": "b"}}
NEVER = {"set_user_root_attributes": "never_on_login"}


def test_1_2_takes_the_connection_from_the_answer_where_the_next_step_reads_the_options_back():
    [change] = changes("1.2", connection=connection(**NEVER))
    options = {**OPTIONS, **NEVER, "userid_attribute": "sub"}
    assert change.shows(Response(200, {**ANSWER, "options": options})) == (
        (facts.connection, connection(**NEVER, userid_attribute="sub")),
    )
    [alone] = changes("1.2", connection=CONNECTION)
    assert alone.shows is None


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        {**ANSWER, "options": {**OPTIONS, **NEVER, "userid_attribute": "oid"}},
        {**ANSWER, "options": {**OPTIONS, **NEVER, "userid_attribute": "sub"}, "id": "con_2"},
        {**ANSWER, "options": {**OPTIONS, **NEVER, "userid_attribute": "sub"}, "metadata": {}},
    ],
)
def test_1_2_takes_nothing_from_an_answer_that_is_not_whole_or_not_as_it_was_sent(answer):
    [change] = changes("1.2", connection=connection(**NEVER))
    assert change.shows(Response(200, answer)) == ()


def test_1_2_turns_both_keys_of_the_common_endpoint_off():
    [change] = changes("1.2", connection=connection(userid_attribute="oid", **ENDPOINT_ON))
    off = {"userid_attribute": "sub", "useCommonEndpoint": False, "waad_common_endpoint": False}
    assert change.request.body == {"options": {**OPTIONS, **off}, "display_name": "Shown"}
    assert change.diffs == (
        Diff("connection c", "User ID attribute type", "oid", "sub"),
        Diff("connection c", "Use common endpoint", "on", "off"),
    )


def test_1_2_sends_no_display_name_where_there_is_none():
    [change] = changes("1.2", connection=replace(CONNECTION, display_name=None))
    assert change.request.body == {"options": {**OPTIONS, "userid_attribute": "sub"}}


def test_1_2_puts_only_the_changed_keys_on_record_and_no_secret():
    [change] = changes("1.2", connection=connection(userid_attribute="oid", useCommonEndpoint=True))
    assert change.undo == {
        "kind": "options",
        "connection": "con_1",
        "before": {"userid_attribute": "oid", "useCommonEndpoint": True},
        "after": {"userid_attribute": "sub", "useCommonEndpoint": False},
    }
    [change] = changes("1.2", connection=CONNECTION)
    assert (change.undo["before"], change.undo["after"]) == ({}, {"userid_attribute": "sub"})
    assert "canary" not in json.dumps(change.undo) + str(change.diffs) + repr(change)


def test_1_2_misses_nothing_that_was_sent_or_was_there():
    [change] = changes("1.2", connection=CONNECTION)
    after = connection(userid_attribute="sub", added=1)
    assert change.confirm(after) == ()
    assert change.confirm(replace(after, options={**OPTIONS, "userid_attribute": "sub", "deep": {}})) == ("options.deep.list",)
    assert change.confirm(replace(after, display_name="c")) == ("display_name",)
    assert change.confirm(replace(after, others={})) == ("metadata",)


def test_1_2_asks_before_user_ids_change_and_before_others_are_locked_out():
    oid, common = hazards("1.2", connection=connection(userid_attribute="oid", useCommonEndpoint=True))
    assert (oid.name, common.name) == ("change-user-id-attribute", "turn-common-endpoint-off")
    [common] = hazards("1.2", connection=connection(userid_attribute="sub", waad_common_endpoint=True))
    assert common.name == "turn-common-endpoint-off"
    assert common.why.startswith("The common endpoint is on")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"userid_attribute": "oid"}, "User ids come from the object id (oid)."),
        ({"userid_attribute": "userName"}, "The user id attribute is userName, neither sub nor oid."),
        ({"userid_attribute": "sub", "identity_api": "azure-active-directory-v1.0"}, "The connection uses Azure AD v1"),
        ({"waad_protocol": "ws-federation"}, "The connection uses WS-Federation"),
        ({"use_wsfed": True}, "The connection uses WS-Federation"),
        ({"tenant_domain": "organizations"}, "The connection uses the endpoint organizations"),
    ],
)
def test_1_2_asks_a_person_where_user_ids_may_be_no_pairwise_subjects(options, words):
    [hazard] = hazards("1.2", connection=connection(**options), seen_users=SeenUsers(3))
    assert (hazard.name, hazard.count) == ("change-user-id-attribute", 0)
    assert hazard.why.startswith(words)
    assert "The connection has 3 users" in hazard.why


@pytest.mark.parametrize("options", [{}, {"userid_attribute": "sub"}, {"identity_api": "microsoft-identity-platform-v2.0"}])
def test_1_2_asks_nothing_where_they_are(options):
    assert hazards("1.2", connection=connection(**options)) == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, ("(absent)", "off", "on")),
        (
            {"userid_attribute": "oid", "useCommonEndpoint": True, "set_user_root_attributes": "never_on_login"},
            ("oid", "on", "off"),
        ),
    ],
)
def test_1_2_shows_the_settings_first(options, found):
    names, wanted = ("User ID attribute type", "Use common endpoint", "Sync at each login"), ("sub", "off", "on")
    rows = tuple(zip(names, found, wanted, strict=True))
    assert tables("1.2", connection=connection(**options)) == [Table("Connection settings", ("setting", "found", "wanted"), rows)]


@pytest.mark.parametrize("options", [None, {}])
@pytest.mark.parametrize("number", ["1.2", "1.3"])
def test_1_2_and_1_3_never_write_options_that_were_not_readable(options, number):
    reason, remedy = refusal(number, connection=replace(CONNECTION, options=options))
    assert (reason, remedy) == ("Auth0 does not show this run the options of the connection", "See step 0.1")


def test_1_2_says_nothing_where_it_shows_a_table():
    assert said("1.2", connection=CONNECTION) == []


# On the sheet of the administrator


def test_0_1_1_1_and_1_2_on_the_sheet_name_the_connection_and_what_to_set():
    named = (("Connection", "contoso-azure-ad"),)
    found = handover("0.1", AUTH0)
    assert (found.where, found.values, found.state) == ("Authentication > Enterprise", named, "open")
    settings = "Authentication > Enterprise > Microsoft Azure AD > the connection > Settings"
    found = handover("1.1", AUTH0)
    assert (found.where, found.clicks, found.values) == (settings, ("Open the connection.",), named)
    found = handover("1.2", AUTH0)
    assert (found.where, len(found.clicks)) == (settings, 3)
    assert found.values == (
        ("User ID Attribute Type", "Pairwise Subject Identifier (sub)"),
        ("Use Common Endpoint", "Disabled"),
    )


@pytest.mark.parametrize("number", ["0.1", "1.1", "1.2"])
def test_0_1_1_1_and_1_2_on_the_sheet_link_to_the_settings_of_the_connection(number):
    found = handover(number, without("auth0", auth0_connection="con_1"))
    assert found.link == "https://manage.auth0.com/dashboard/eu/acme/connections/enterprise/waad/con_1/settings"


# Taking back


OLD = {"userid_attribute": "oid", "a": 1}
NEW = {"userid_attribute": "sub", "b": True}
ENTRY = written("options", {"before": OLD, "after": NEW}, step="1.2")


def standing(**options):
    return replace(connection(), options={"kept": {"x": 1}, **options})


def diff(key, before, after):
    return Diff("connection c", key, before, after)


def test_1_2_is_taken_back_key_by_key():
    trial = Trial(UNDO, ENTRY)
    change = trial.change((), standing(**NEW))
    assert change.request.line == "PATCH /api/v2/connections/con_1"
    assert change.request.body["options"] == {"kept": {"x": 1}, "userid_attribute": "oid", "a": 1}
    assert (change.on, change.diffs, change.undo) == (
        "connection c",
        (diff("userid_attribute", "sub", "oid"), diff("a", "(absent)", "1"), diff("b", "True", "(absent)")),
        TAKES_BACK,
    )
    assert len(trial.says((), standing(**NEW))) == 1
    assert trial.step.title == "Restore the connection (step 1.2)"
    assert (trial.reads, trial.touches) == ((RUNNING_JOBS, "connection"), ("connection", RUNNING_JOBS))


def test_1_2_is_taken_back_where_it_stands_as_it_was_written():
    change = Trial(UNDO, ENTRY).change((), standing(userid_attribute="another", a=2, b=True))
    assert change.request.body["options"] == {"kept": {"x": 1}, "userid_attribute": "another", "a": 2}
    assert change.diffs == (diff("b", "True", "(absent)"),)


def test_1_2_tells_true_from_one():
    nothing = Trial(UNDO, ENTRY).sentences((), standing(userid_attribute="another", a=2, b=1))
    assert nothing == ["The connection has its earlier options already, or someone else has changed them since this run."]


def test_1_2_is_taken_back_but_for_what_a_later_run_has_written():
    others = (later("options", before={"userid_attribute": "oid"}, after={"b": True}),)
    trial = Trial(UNDO, ENTRY, others=others)
    change = trial.change((), standing(**NEW))
    assert change.diffs == (diff("a", "(absent)", "1"),)
    assert Finding(BY_LATER_RUN, is_left=True) in trial.says((), standing(**NEW))
    both = (later("options", before=OLD, after=NEW),)
    assert Trial(UNDO, ENTRY, others=both).sentences(LIVE, standing(**NEW)) == [f"{BY_LATER_RUN} (left)"]
    other_kind = (later("schema", before=OLD, after=NEW),)
    assert len(Trial(UNDO, ENTRY, others=other_kind).change((), standing(**NEW)).diffs) == 3


def test_1_2_is_not_taken_back_while_a_job_is_on_or_the_options_are_not_readable():
    planned = Trial(UNDO, ENTRY).change((), standing(**NEW)).diffs
    assert Trial(UNDO, ENTRY).while_on(LIVE, standing(**NEW)) == planned
    with pytest.raises(StepBlocked) as blocked:
        Trial(UNDO, ENTRY).says((), replace(connection(), options=None))
    assert (blocked.value.reason, blocked.value.remedy) == (
        "Auth0 does not show this run the options of the connection",
        "See step {step of connection type}",
    )


@pytest.mark.parametrize(
    ("options", "is_there", "words"),
    [
        (NEW, True, "userid_attribute was oid, is sub; b was (absent), is True; a was 1, is (absent)."),
        (OLD, False, "userid_attribute was oid, is oid; b was (absent), is (absent); a was 1, is 1."),
        (None, True, "userid_attribute was oid, is (absent); b was (absent), is (absent); a was 1, is (absent)."),
    ],
)
def test_1_2_in_doubt_is_looked_for_in_the_options(options, is_there, words):
    assert UNDO.look(ENTRY, Tenant(connection=replace(connection(), options=options))) == (is_there, words)


def test_how_1_2_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("options", "options of the connection", {"before": dict, "after": dict}, "", 3)
