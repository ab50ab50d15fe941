"""The applications in Entra, literals in and changes out.

3.1 Confirm that the OpenID Connect application is registered
3.2 Create the non-gallery enterprise application
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.engine.values import Diff, Finding
from runbook_lib.http.message import Response
from runbook_lib.settings.clouds import CLOUDS
from tests.builders import GUID, NOTHING_MADE, PRINCIPAL, PRINCIPAL_ID, SIGN_IN_APP, Memory, planned, refusal, said

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
