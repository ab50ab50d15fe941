"""The SCIM configuration of a connection, literals in and changes out.

1.3 Sync profiles at each login and turn SCIM on
1.4 Take the user id from externalId
1.5 Compare the SCIM mapping with the default
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.values import Diff, Table
from runbook_lib.http.message import Response
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.settings.model import MappingOverride
from runbook_lib.steps.scim_configuration import UNDO, UNDO_MAPPING
from runbook_lib.tenant import facts
from tests.builders import (
    MAPPING,
    OPTIONS,
    SCIM,
    SETTINGS,
    WORK_EMAIL,
    changes,
    connection,
    planned,
    refusal,
    said,
    tables,
    token,
    waiting,
)
from tests.steps.sheet import AUTH0, handover, without
from tests.steps.undone import BY_LATER_RUN, LIVE, RUNNING_JOBS, TAKES_BACK, Tenant, Trial, later, written

PATH = "/api/v2/connections/con_1"
ON = "SCIM configuration of c"
ACTIVE, NAME, EXTERNAL, MAIL = MAPPING
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def mapped(*rows):
    return replace(SCIM, mapping=rows)


# 1.3


@pytest.mark.parametrize("value", ["on_first_login", "never_on_login"])
def test_1_3_turns_sync_on_by_leaving_only_its_own_key_out(value):
    first, second = changes("1.3", connection=connection(set_user_root_attributes=value), scim_configuration=None)
    assert first.request.line == f"PATCH {PATH}"
    assert first.request.body == {"options": OPTIONS, "display_name": "Shown"}
    assert first.diffs == (Diff("connection c", "Sync at each login", f"off ({value})", "on"),)
    assert first.undo == {
        "kind": "options",
        "connection": "con_1",
        "before": {"set_user_root_attributes": value},
        "after": {},
    }
    assert (first.hazard, second.on, second.diffs) == (None, "connection c", (Diff("connection c", "SCIM", "off", "on"),))


def test_1_3_turns_scim_on_by_making_its_configuration():
    [change] = changes("1.3", connection=connection(), scim_configuration=None)
    assert change.request.line == f"POST {PATH}/scim-configuration"
    assert change.undo == {"kind": "scim-configuration", "connection": "con_1"}


@pytest.mark.parametrize(
    ("body", "made"),
    [({"created_at": "2026-06-01"}, {"scim_configuration": "2026-06-01"}), ({}, {}), ({"created_at": 1}, {}), ([], {})],
)
def test_1_3_tells_the_new_configuration_from_a_later_one_by_its_time(body, made):
    [change] = changes("1.3", connection=connection(), scim_configuration=None)
    assert change.receive(Response(201, body)) == made


def test_1_3_takes_the_new_configuration_from_the_answer_where_it_is_whole():
    [change] = changes("1.3", connection=connection(), scim_configuration=None)
    rows = [{"scim": row.scim, "auth0": row.auth0} for row in MAPPING]
    answer = {"connection_id": "con_1", "connection_name": "c", "user_id_attribute": "externalId", "mapping": rows}
    assert change.shows(Response(201, answer)) == ((facts.scim_configuration, replace(SCIM, created_at="")),)
    for cut_short in ({**answer, "mapping": []}, {**answer, "connection_id": "con_2"}, {**answer, "user_id_attribute": ""}):
        assert change.shows(Response(201, cut_short)) == ()


def test_1_3_plans_nothing_when_both_are_on_and_shows_them():
    assert planned("1.3", connection=connection()) == [
        Table(
            "Connection settings",
            ("setting", "found", "wanted"),
            (("Sync at each login", "on", "on"), ("SCIM", "on", "on")),
        )
    ]


# 1.4


def test_1_4_writes_the_configuration_whole_and_reads_it_back():
    wrong = replace(SCIM, user_id_attribute="userName")
    [change] = changes("1.4", scim_configuration=wrong)
    assert (change.on, change.diffs) == (ON, (Diff(ON, "User ID attribute", "userName", "externalId"),))
    assert change.request.line == f"PATCH {PATH}/scim-configuration"
    assert change.request.body == {
        "user_id_attribute": "externalId",
        "mapping": [{"scim": row.scim, "auth0": row.auth0} for row in MAPPING],
    }
    rows = [[row.scim, row.auth0] for row in MAPPING]
    assert change.undo == {
        "kind": "scim-mapping",
        "connection": "con_1",
        "before": {"user_id_attribute": "userName", "mapping": rows},
        "after": {"user_id_attribute": "externalId", "mapping": rows},
    }
    assert change.confirm(SCIM) == ()
    for after in (None, wrong, mapped(ACTIVE)):
        assert change.confirm(after) == ("user id attribute or mapping",)


def test_1_4_plans_nothing_when_it_is_done():
    assert planned("1.4") == []


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("1.4", "The SCIM configuration, which starts with externalId,"),
        ("1.5", "The SCIM mapping, which starts as the default,"),
    ],
)
def test_1_4_and_1_5_wait_for_scim(number, words):
    assert waiting(number, scim_configuration=None) == ("1.3", words, ())


# 1.5


@pytest.mark.parametrize("row", [None, ScimMappingRow("active", "other"), ScimMappingRow("other", "blocked")])
def test_1_5_is_blocked_unless_active_maps_to_blocked(row):
    found = mapped(NAME, EXTERNAL, MAIL, *((row,) if row else ()))
    reason, remedy = refusal("1.5", scim_configuration=found)
    assert reason.startswith("There must be a row active → blocked: without it people who leave")
    assert remedy == "Add or correct the row in Auth0 (Provisioning > Mapping of the connection)"


@pytest.mark.parametrize(
    ("mapping", "matching", "words"),
    [
        ((ACTIVE, NAME), ("userName",), "a row externalId → app_metadata.external_id: without it Auth0 drops the object id"),
        (MAPPING[:3], ("userName", WORK_EMAIL), f"a row {WORK_EMAIL} → email: without it Entra looks people up"),
        ((ACTIVE, EXTERNAL), ("userName",), "a row userName → upn: without it Entra looks people up"),
        (MAPPING, ("nickName",), "a row for nickName: without it Entra looks people up"),
        ((*MAPPING, ACTIVE), ("userName",), "There are 2 rows for active"),
        ((ACTIVE, NAME, ScimMappingRow("externalId", "")), ("userName",), "a row externalId → app_metadata.external_id"),
    ],
)
def test_1_5_is_blocked_where_nobody_could_be_found_or_linked(mapping, matching, words):
    assert words in refusal("1.5", scim_configuration=mapped(*mapping), matching_attributes=matching)[0]


@pytest.mark.parametrize(
    ("in_auth0", "in_entra"),
    [
        (f"{ENTERPRISE}.employeeNumber", f"{ENTERPRISE}:employeeNumber"),
        (f"{ENTERPRISE}:employeeNumber", f"{ENTERPRISE}.employeeNumber"),
        (f"{ENTERPRISE}.employeeNumber", f"{ENTERPRISE.lower()}:employeeNumber"),
        (
            "urn:ietf:params:scim:schemas:extension:Staff:2.0:User.badge",
            "urn:ietf:params:scim:schemas:extension:Staff:2.0:User:badge",
        ),
        ("nickName", "urn:ietf:params:scim:schemas:core:2.0:User:nickName"),
        ("urn:ietf:params:scim:schemas:core:2.0:User.nickName", "nickName"),
        ('urn:ietf:params:scim:schemas:core:2.0:User.emails[type eq "home"].value', 'emails[type eq "home"].value'),
    ],
)
def test_1_5_compares_attributes_whichever_service_spells_them(in_auth0, in_entra):
    found = mapped(*MAPPING, ScimMappingRow(in_auth0, "app_metadata.number"))
    assert len(said("1.5", scim_configuration=found, matching_attributes=("userName", in_entra))) == 1


def test_1_5_names_the_missing_row_as_auth0_spells_it():
    with pytest.raises(StepBlocked, match=re.escape(f"There must be a row for {ENTERPRISE}.employeeNumber: without it Entra")):
        planned("1.5", matching_attributes=("userName", f"{ENTERPRISE}:employeeNumber"))


def test_1_5_writes_the_mapping_of_the_settings_and_keeps_the_user_id_attribute():
    rows = (
        MappingOverride(scim="active", auth0="blocked"),
        MappingOverride(scim="userName", auth0="other"),
        MappingOverride(scim="externalId", auth0="app_metadata.external_id"),
        MappingOverride(scim="title", auth0="app_metadata.title"),
    )
    found = replace(mapped(ACTIVE, NAME, EXTERNAL, ScimMappingRow("gone", "x")), user_id_attribute="userName")
    readings = {"scim_configuration": found, "matching_attributes": ("userName",)}
    [change] = planned("1.5", SETTINGS.model_copy(update={"mapping": rows}), **readings)
    assert change.diffs == (
        Diff(ON, "userName", "preferred_username", "other"),
        Diff(ON, "gone", "x", ""),
        Diff(ON, "title", "", "app_metadata.title"),
    )
    assert change.request.line == f"PATCH {PATH}/scim-configuration"
    assert change.request.body == {
        "user_id_attribute": "userName",
        "mapping": [{"scim": row.scim, "auth0": row.auth0} for row in rows],
    }
    _reason, remedy = refusal("1.5", SETTINGS.model_copy(update={"mapping": rows[1:]}), **readings)
    assert remedy == "Add or correct the row in `mapping` of the settings (YAML)"


def test_1_5_shows_the_mapping_beside_the_default():
    default = (ACTIVE, ScimMappingRow("userName", "other"), EXTERNAL, ScimMappingRow("title", "app_metadata.title"))
    extra = (ScimMappingRow("x:manager", "app_metadata.manager"), ScimMappingRow("mail", "email"))
    readings = {
        "scim_configuration": mapped(ACTIVE, NAME, EXTERNAL, *extra),
        "default_mapping": default,
        "matching_attributes": ("userName",),
    }
    assert said("1.5", **readings) == [
        "4 rows differ from the default. Login and SCIM both write preferred_username, email: the last writer wins. "
        "Auth0's support reports that the row for manager makes later syncs fail: consider removing it in Entra."
    ]
    assert tables("1.5", **readings) == [
        Table(
            "SCIM mapping compared with the default",
            ("SCIM attribute", "Auth0 attribute", "compared with the default"),
            (
                ("active", "blocked", ""),
                ("userName", "preferred_username", "changed, was other"),
                ("externalId", "app_metadata.external_id", ""),
                ("x:manager", "app_metadata.manager", "extra"),
                ("mail", "email", "extra"),
                ("title", "app_metadata.title", "missing here"),
            ),
        )
    ]


def test_1_5_says_when_the_mapping_is_the_default():
    assert said("1.5") == [
        "The mapping is the default. Login and SCIM both write preferred_username, email: the last writer wins."
    ]


# On the sheet of the administrator

PROVISIONING = "Authentication > Enterprise > Microsoft Azure AD > the connection > Provisioning"


def test_1_3_and_1_4_on_the_sheet_say_what_to_set():
    found = handover("1.3", AUTH0)
    assert (found.where, found.clicks) == (PROVISIONING, ("Turn both settings on.",))
    assert found.values == (("Sync user profile attributes at each login", "on"), ("Sync user profiles using SCIM", "on"))
    found = handover("1.4", AUTH0)
    assert (found.where, found.clicks) == (f"{PROVISIONING} > Mapping", ("Set the attribute.",))
    assert found.values == (("SCIM attribute containing the User ID", "externalId"),)


def test_1_5_on_the_sheet_shows_the_rows_that_must_be_there():
    found = handover("1.5", AUTH0)
    assert (found.where, found.values) == (f"{PROVISIONING} > Mapping > Additional Mappings", (("active", "blocked"),))
    assert found.clicks[0].startswith("Check the rows. The default rows are enough.")
    rows = [{"scim": "userName", "auth0": "nickname"}, {"scim": "active", "auth0": "blocked"}]
    found = handover("1.5", without("auth0", mapping=rows))
    assert found.values == (("userName", "nickname"), ("active", "blocked"))
    assert found.clicks == ("Replace the rows with these.",)


@pytest.mark.parametrize("number", ["1.3", "1.4", "1.5"])
def test_1_3_to_1_5_on_the_sheet_link_to_provisioning_of_the_connection(number):
    assert handover(number, without("auth0", auth0_connection="con_1")).link.endswith("/con_1/provisioning")


# Taking back

TURNED_ON = written("scim-configuration", {"connection": "con_1"}, {"scim_configuration": "2026-11-24"}, step="1.3")
MADE = replace(SCIM, created_at="2026-11-24")
OTHERS_MAPPING = "Left on: someone else has changed its mapping or user id attribute since this run. (left)"


def test_1_3_is_taken_back_by_turning_scim_off():
    trial = Trial(UNDO, TURNED_ON)
    change = trial.change((), connection(), MAPPING, MADE, None)
    assert change.request.line == "DELETE /api/v2/connections/con_1/scim-configuration"
    assert (change.on, change.diffs, change.undo) == ("connection c", (Diff("connection c", "SCIM", "on", "off"),), TAKES_BACK)
    assert trial.step.title == "Turn SCIM off (step 1.3)"
    assert trial.reads == (RUNNING_JOBS, "connection", "default_mapping", "scim_configuration", "scim_tokens")
    assert trial.touches == ("scim_configuration", "scim_tokens", RUNNING_JOBS)


@pytest.mark.parametrize(("noted", "now"), [(None, "2026-11-25"), ("2026-11-24", None), (None, None)])
def test_1_3_is_taken_back_where_no_time_tells_that_it_is_another_one(noted, now):
    entry = replace(TURNED_ON, ids={"scim_configuration": noted} if noted else {})
    assert Trial(UNDO, entry).change((), connection(), MAPPING, replace(SCIM, created_at=now), ()).request.method == "DELETE"


def test_1_3_is_taken_back_when_scim_is_off():
    assert Trial(UNDO, TURNED_ON).sentences(LIVE, connection(), MAPPING, None, ()) == ["SCIM is off."]


@pytest.mark.parametrize("kind", ["scim-configuration", "scim-mapping", "token"])
def test_1_3_is_not_taken_back_after_a_later_run(kind):
    trial = Trial(UNDO, TURNED_ON, others=(later(kind),))
    assert trial.sentences((), connection(), MAPPING, SCIM, (token("t"),)) == [f"{BY_LATER_RUN} (left)"]
    assert Trial(UNDO, TURNED_ON, others=(later("options"),)).change((), connection(), MAPPING, SCIM, ())


def test_1_3_is_not_taken_back_where_it_was_turned_off_and_on_since():
    found = Trial(UNDO, TURNED_ON).sentences((), connection(), MAPPING, replace(SCIM, created_at="2026-11-25"), ())
    assert found == ["Left on: someone else turned SCIM off and on again after this run, at 2026-11-25. (left)"]


@pytest.mark.parametrize("is_plan", [True, False])
def test_1_3_is_not_taken_back_while_tokens_of_others_are_there(is_plan):
    trial = Trial(UNDO, TURNED_ON, written("token", ids={"token": "own"}), is_plan=is_plan)
    tokens = (token("own"), token("t1"), token("t2"))
    left = "t1, t2" if is_plan else "own, t1, t2"
    assert trial.sentences((), connection(), MAPPING, SCIM, tokens) == [
        f"Left on: turning SCIM off would also delete these tokens: {left}. (left)"
    ]


def test_1_3_in_a_plan_goes_with_the_tokens_that_the_undo_deletes_first():
    trial = Trial(UNDO, TURNED_ON, written("token", ids={"token": "own"}), is_plan=True)
    assert trial.change((), connection(), MAPPING, SCIM, (token("own"),)).request.method == "DELETE"


def test_1_3_is_not_taken_back_where_others_have_changed_it():
    other = (*MAPPING[:-1], ScimMappingRow("nickName", "nickname"))
    assert Trial(UNDO, TURNED_ON).sentences((), connection(), MAPPING, replace(SCIM, mapping=other), ()) == [OTHERS_MAPPING]
    assert Trial(UNDO, TURNED_ON).sentences((), connection(), MAPPING, replace(SCIM, user_id_attribute="userName"), ()) == [
        OTHERS_MAPPING
    ]


def test_1_3_counts_the_mapping_that_the_run_wrote_itself_as_its_own():
    other = (*MAPPING[:-1], ScimMappingRow("nickName", "nickname"))
    wrote = [written("scim-mapping", {"before": {}, "after": replace(SCIM, mapping=rows).as_json()}) for rows in (MAPPING, other)]
    trial = Trial(UNDO, TURNED_ON, *wrote)
    assert trial.change((), connection(), MAPPING, replace(SCIM, mapping=other), ()).request.method == "DELETE"
    assert trial.sentences((), connection(), MAPPING, SCIM, ()) == [OTHERS_MAPPING]


def test_1_3_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, TURNED_ON).change((), connection(), MAPPING, SCIM, ()).diffs
    assert Trial(UNDO, TURNED_ON).while_on(LIVE, connection(), MAPPING, SCIM, ()) == planned


def test_1_3_in_doubt_is_looked_for():
    assert UNDO.look(TURNED_ON, Tenant(scim_configuration=SCIM)) == (True, "SCIM is on.")
    assert UNDO.look(TURNED_ON, Tenant(scim_configuration=None)) == (False, "SCIM is off.")


BEFORE = replace(SCIM, user_id_attribute="userName", mapping=MAPPING[:2])
WROTE = written("scim-mapping", {"before": BEFORE.as_json(), "after": SCIM.as_json()}, step="1.4")


def test_1_4_and_1_5_are_taken_back_where_the_configuration_stands_as_it_was_written():
    trial = Trial(UNDO_MAPPING, WROTE)
    change = trial.change((), SCIM)
    assert change.request.line == "PATCH /api/v2/connections/con_1/scim-configuration"
    assert change.request.body == {
        "user_id_attribute": "userName",
        "mapping": [{"scim": "active", "auth0": "blocked"}, {"scim": "userName", "auth0": "preferred_username"}],
    }
    where = "SCIM configuration of c"
    diff = Diff(where, "User ID attribute and mapping", "as this run wrote them", "as before")
    assert (change.on, change.diffs, change.undo) == (where, (diff,), TAKES_BACK)
    assert trial.step.title == "Restore the SCIM configuration (step 1.4)"
    assert (trial.reads, trial.touches) == ((RUNNING_JOBS, "scim_configuration"), ("scim_configuration", RUNNING_JOBS))


@pytest.mark.parametrize("found", [None, BEFORE, replace(SCIM, mapping=MAPPING[:3])])
def test_1_4_and_1_5_are_left_where_others_have_changed_it(found):
    words = "Nothing to restore: the SCIM configuration has its earlier values, is gone, or someone else has changed it since "
    words += "this run."
    assert Trial(UNDO_MAPPING, WROTE).sentences(LIVE, found) == [words]


@pytest.mark.parametrize("kind", ["scim-mapping", "scim-configuration"])
def test_1_4_and_1_5_are_not_taken_back_after_a_later_run(kind):
    assert Trial(UNDO_MAPPING, WROTE, others=(later(kind),)).sentences((), SCIM) == [f"{BY_LATER_RUN} (left)"]
    assert Trial(UNDO_MAPPING, WROTE, others=(later("token"),)).change((), SCIM)


def test_1_4_and_1_5_are_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO_MAPPING, WROTE).change((), SCIM).diffs
    assert Trial(UNDO_MAPPING, WROTE).while_on(LIVE, SCIM) == planned


def test_1_4_and_1_5_in_doubt_are_looked_for():
    found = "The SCIM configuration {} the values that the request was to write."
    assert UNDO_MAPPING.look(WROTE, Tenant(scim_configuration=SCIM)) == (True, found.format("has"))
    assert UNDO_MAPPING.look(WROTE, Tenant(scim_configuration=BEFORE)) == (False, found.format("does not have"))
    assert UNDO_MAPPING.look(WROTE, Tenant(scim_configuration=None)) == (False, found.format("does not have"))


def test_how_1_3_to_1_5_are_taken_back():
    about = [(way.kind, way.words, way.needs, way.made, way.turn) for way in (UNDO, UNDO_MAPPING)]
    assert about == [
        ("scim-configuration", "turning SCIM on", {"connection": str}, "", 3),
        ("scim-mapping", "the SCIM configuration", {"before": dict, "after": dict}, "", 3),
    ]
