"""The applications in Entra, literals in and changes out.

3.1 Confirm that the OpenID Connect application is registered
3.2 Create the non-gallery enterprise application
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Diff, Finding
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import Application
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.steps.applications import UNDO, UNDO_NOTES
from tests.builders import GUID, NOTHING_MADE, PRINCIPAL, PRINCIPAL_ID, SIGN_IN_APP, Memory, connection, planned, refusal, said
from tests.steps.sheet import ENTRA, handover
from tests.steps.undone import (
    BY_LATER_RUN,
    EVERYTHING,
    GOES,
    HELD,
    IN_IT,
    LIVE,
    RUNNING_JOBS,
    SHORT,
    TAKES_BACK,
    Tenant,
    Trial,
    later,
    written,
)

TEMPLATE = CLOUDS["public"].template_id
TWIN = replace(PRINCIPAL, id=f"{GUID}ff")


# 3.1


def test_3_1_says_where_the_sign_in_application_is_registered():
    assert planned("3.1") == [Finding("Acme sign-in is registered here.")]
    elsewhere = "Acme sign-in is registered in another tenant, and an enterprise application here."
    assert planned("3.1", oidc_application=None) == [Finding(elsewhere)]


def test_3_1_refuses_a_tenant_without_the_sign_in_application():
    reason, remedy = refusal("3.1", oidc_application=None, oidc_service_principal=None)
    assert reason == "Entra has no OpenID Connect application with the client id of the connection"
    assert remedy.startswith("Register the application first, or correct the client id of the connection")


# 3.2


def test_3_2_makes_the_application_of_the_cloud_s_template():
    [change] = planned("3.2", **NOTHING_MADE)
    assert (change.on, change.diffs) == (
        "enterprise applications",
        (Diff("enterprise applications", "Acme SCIM", "", "non-gallery application"),),
    )
    assert change.request.line == f"POST /applicationTemplates/{TEMPLATE}/instantiate"
    assert change.request.body == {"displayName": "Acme SCIM"}
    assert (change.undo, change.replicates) == ({"kind": "application"}, True)
    answer = Response(201, {"application": {"id": "a"}, "servicePrincipal": {"id": "s"}})
    assert change.receive(answer) == {"application": "a", "service_principal": "s"}


def test_3_2_takes_the_template_of_another_cloud():
    cloud = replace(CLOUDS["public"], template_id=f"{GUID}99")
    [change] = planned("3.2", **NOTHING_MADE, cloud=cloud)
    assert change.request.line == f"POST /applicationTemplates/{GUID}99/instantiate"


@pytest.mark.parametrize("notes", [None, "[inbound-scim-runbook con_1]", "of the customer"])
def test_3_2_plans_nothing_when_the_application_is_there(notes):
    assert planned("3.2", enterprise_applications=(replace(PRINCIPAL, notes=notes),)) == [Finding("Acme SCIM exists.")]


def test_3_2_refuses_two_applications_of_the_name_and_says_which_this_tool_made():
    readings = {"enterprise_applications": (PRINCIPAL, TWIN)}
    reason, remedy = refusal("3.2", **readings)
    assert reason == "Entra has 2 enterprise applications named Acme SCIM"
    assert remedy == "Delete or rename the one that is not wanted, or set another scim_app_name"
    reason, _remedy = refusal("3.2", **readings, memory=Memory(made_at={PRINCIPAL_ID: None}))
    assert reason == f"Entra has 2 enterprise applications named Acme SCIM; this tool made {PRINCIPAL_ID}"


@pytest.mark.parametrize(
    "readings",
    [
        {"enterprise_applications": (replace(PRINCIPAL, template_id=None),)},
        {"enterprise_applications": (replace(PRINCIPAL, template_id="another"),)},
        {"enterprise_applications": (PRINCIPAL,), "oidc_service_principal": replace(SIGN_IN_APP, id=PRINCIPAL_ID)},
    ],
)
def test_3_2_refuses_an_application_that_cannot_be_provisioned(readings):
    reason, remedy = refusal("3.2", **readings)
    assert reason == "Acme SCIM exists, but not as a non-gallery application, so Entra cannot provision with it"
    assert remedy == "Set another scim_app_name"


def test_3_2_refuses_the_application_of_another_connection():
    found = replace(PRINCIPAL, notes="[inbound-scim-runbook con_2]")
    reason, remedy = refusal("3.2", enterprise_applications=(found,))
    assert reason == "According to its notes, Acme SCIM provisions another connection, con_2"
    assert remedy == "Set another scim_app_name: each connection needs an enterprise application of its own"


def test_3_2_refuses_while_another_run_is_at_work_on_the_application():
    reason, remedy = refusal("3.2", other_claim="run x@y, until 12:00 UTC")
    assert reason == "Another run is working on the application Acme SCIM: run x@y, until 12:00 UTC"
    assert remedy.startswith("Wait until that run has ended")


@pytest.mark.parametrize(("length", "is_full"), [(0, False), (850, False), (1024, True)])
def test_3_2_says_when_the_notes_have_no_room_for_the_marker(length, is_full):
    found = said("3.2", enterprise_applications=(replace(PRINCIPAL, notes="n" * length),))
    assert (found[0].startswith("Its notes are full, so this run cannot add its marker"), found[-1]) == (
        is_full,
        "Acme SCIM exists.",
    )


# On the sheet of the administrator


def test_3_1_and_3_2_on_the_sheet_say_what_to_find_and_what_to_create():
    found = handover("3.1", ENTRA)
    assert (found.where, found.values) == ("App registrations > All applications", (("Application (client) id", "x"),))
    assert found.link == ""
    found = handover("3.2", ENTRA)
    assert found.where == "Enterprise applications > New application > Create your own application"
    assert found.values == (("Name", "Acme SCIM"),)
    assert found.link.startswith("https://entra.microsoft.com/")


def test_3_1_on_the_sheet_opens_the_registration_where_its_id_is_known():
    client_id = f"{GUID}77"
    found = handover("3.1", ENTRA, connection=connection(client_id=client_id))
    assert found.values == (("Application (client) id", client_id),)
    assert client_id in found.link


# Taking back


ENTRY = written("application", ids={"application": "a", "service_principal": PRINCIPAL_ID})
REGISTERED = Application(f"{GUID}11", "app", "Acme SCIM")
OURS = "[inbound-scim-runbook con_1]"


def test_3_2_is_taken_back_by_deleting_the_application_and_all_that_is_in_it():
    trial = Trial(UNDO, ENTRY)
    change = trial.change(PRINCIPAL, REGISTERED, (), (), "con_1")
    diff = Diff("enterprise applications", "Acme SCIM", "made by this run", "deleted, with everything in it")
    assert (change.on, change.diffs, change.undo) == ("enterprise applications", (diff,), TAKES_BACK)
    assert change.request.line == f"DELETE /applications/{GUID}11"
    assert trial.step.title == "Delete the enterprise application (step 3.2)"
    assert trial.reads == (*IN_IT[:2], RUNNING_JOBS, f"others' work in the application {SHORT}", "connection_id")
    assert trial.touches == (*EVERYTHING, RUNNING_JOBS, HELD)
    assert trial.step.body.takes_back == "application"


@pytest.mark.parametrize("readings", [(None, REGISTERED), (PRINCIPAL, None)])
def test_3_2_is_taken_back_when_the_application_is_gone(readings):
    assert Trial(UNDO, ENTRY).sentences(*readings, (), (), "con_1") == ["The enterprise application is gone."]


@pytest.mark.parametrize(
    ("found", "theirs", "why"),
    [
        (replace(PRINCIPAL, display_name="Other"), (), "the enterprise application was renamed to Other."),
        (
            replace(PRINCIPAL, notes="[inbound-scim-runbook con_2]"),
            (),
            "according to its notes the application now provisions another connection, con_2.",
        ),
        (replace(PRINCIPAL, notes=OURS), ("its notes were edited", "it has a key"), "its notes were edited; it has a key."),
    ],
)
def test_3_2_is_not_taken_back_when_others_have_worked_in_it(found, theirs, why):
    assert Trial(UNDO, ENTRY).sentences(found, REGISTERED, LIVE, theirs, "con_1") == [f"Left in place: {why} (left)"]


def test_3_2_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change(PRINCIPAL, REGISTERED, (), (), "con_1").diffs
    assert Trial(UNDO, ENTRY).while_on(PRINCIPAL, REGISTERED, LIVE, (), "con_1") == planned


def test_3_2_in_doubt_is_looked_for_by_name():
    tenant = Tenant(enterprise_applications=(PRINCIPAL, replace(TWIN, display_name="Twin")))
    assert UNDO.look(ENTRY, tenant) == (True, f"Entra lists Acme SCIM ({PRINCIPAL_ID}), Twin ({GUID}ff).")
    nothing = (False, "Entra lists no enterprise application with this name.")
    assert UNDO.look(ENTRY, Tenant(enterprise_applications=())) == nothing


NOTES = written("notes", {"service_principal": PRINCIPAL_ID, "before": ""})
MARKED = replace(PRINCIPAL, notes=f"of the customer\n{OURS}")


def test_the_marker_is_taken_out_of_the_notes():
    trial = Trial(UNDO_NOTES, NOTES)
    change = trial.change(MARKED, False, "con_1")
    assert change.request.line == f"PATCH /servicePrincipals/{PRINCIPAL_ID}"
    assert change.request.body == {"notes": "of the customer"}
    assert (change.on, change.diffs) == (
        "notes of the enterprise application",
        (Diff("notes of the enterprise application", "marker", OURS, ""),),
    )
    assert trial.change(replace(PRINCIPAL, notes=OURS), False, "con_1").request.body == {"notes": None}
    assert trial.step.title == "Remove the marker from the notes (step 3.2)"
    assert trial.reads == (IN_IT[0], f"is deleted {SHORT}", "connection_id")
    assert trial.touches == (IN_IT[0], "enterprise_applications")


@pytest.mark.parametrize("found", [None, PRINCIPAL, replace(PRINCIPAL, notes="[inbound-scim-runbook con_2]")])
def test_a_marker_that_is_gone_or_another_connection_s_is_left(found):
    assert Trial(UNDO_NOTES, NOTES).sentences(found, False, "con_1") == ["The notes contain no marker of this connection."]


def test_the_marker_goes_with_the_application_or_stays_for_a_later_run():
    trial = Trial(UNDO_NOTES, NOTES, others=(later("notes"),))
    assert trial.sentences(MARKED, True, "con_1") == [f"{GOES} (left)"]
    assert trial.sentences(MARKED, False, "con_1") == [f"{BY_LATER_RUN} (left)"]


def test_a_marker_in_doubt_is_looked_for_in_the_notes():
    assert UNDO_NOTES.look(NOTES, Tenant(enterprise_application_IN=MARKED)) == (True, f"The notes contain {OURS}.")
    assert UNDO_NOTES.look(NOTES, Tenant(enterprise_application_IN=PRINCIPAL)) == (False, "The notes contain no marker.")
    assert UNDO_NOTES.look(NOTES, Tenant(enterprise_application_IN=None)) == (False, "The notes contain no marker.")


def test_how_the_writes_of_3_2_are_taken_back():
    assert (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn) == (
        "application",
        "the enterprise application",
        {},
        "service_principal",
        1,
    )
    assert (UNDO_NOTES.kind, UNDO_NOTES.words, UNDO_NOTES.made, UNDO_NOTES.turn) == ("notes", "the marker in the notes", "", 4)
    assert UNDO_NOTES.needs == {"service_principal": str, "before": str}
