"""What the page finds out and where it sends people: verdicts, links, and complaints while typing."""

from __future__ import annotations

import threading

import pytest

from runbook_lib.core.errors import NoSuchStep, SettingsError
from runbook_lib.http.time_limit import Deadline
from runbook_lib.page import panel as surface
from runbook_lib.page.controller import GuidedSession
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import auth0_side
from runbook_lib.services.auth0.models import Connection, SeenUsers
from runbook_lib.services.entra.models import ServicePrincipal
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.settings.model import problems
from runbook_lib.settings.references import resolve
from runbook_lib.tenant.connection_age import connection_age
from runbook_lib.tenant.console_links import console_link


def connection(**options):
    return Connection("con_1", "contoso", "Contoso", "waad", options or None)


@pytest.mark.parametrize(
    ("options", "users", "kind"),
    [
        ({"client_id": "x"}, 12, "older"),
        ({"userid_attribute": "sub"}, None, "older"),
        ({"userid_attribute": "oid"}, 12, "newer"),
        ({"client_id": "x"}, 0, "unsure"),
        ({"client_id": "x", "waad_common_endpoint": True}, 12, "unsure"),
        ({"client_id": "x", "identity_api": "azure-active-directory-v1.0"}, 12, "unsure"),
        ({}, 12, "unsure"),
    ],
)
def test_a_connection_is_older_newer_or_unsure(options, users, kind):
    assert connection_age(connection(**options), None if users is None else SeenUsers(users)).kind == kind


@pytest.mark.parametrize(
    ("ids", "doubt"),
    [
        ([f"waad|con_1|{'0a' * 4}-0000-4000-8000-{'0b' * 6}"], "Of 1 user ids looked at, 1 end in an Entra object id"),
        (["waad|ann@contoso.com", "waad|eQ", "waad|bea@contoso.com"], "Of 3 user ids looked at, 2 end in a user name"),
        (["waad|eQ", f"waad|{'0a' * 4}-0000-4000-8000-{'0b' * 6}"], ""),  # made by SCIM, as one of two
        (["auth0|ann@contoso.com"], ""),  # a linked user's first identity is another connection's
        ([], ""),
    ],
)
def test_the_ids_of_the_users_themselves_may_leave_doubt(ids, doubt):
    found = connection_age(connection(client_id="x"), SeenUsers(12, tuple(ids)))
    assert (found.kind, found.doubt.startswith(doubt)) == ("unsure" if doubt else "older", True)
    assert bool(found.doubt) is bool(doubt)


def test_the_connections_of_a_tenant_are_listed_over_all_checkpoints(tenant, sandbox, monkeypatch):
    management, _ = auth0_side(tenant("fresh"), machine=Machine(), deadline=Deadline())
    everything = management.connections_of("waad")
    monkeypatch.setattr("runbook_lib.services.auth0.management.PAGE_SIZE", "3")
    assert management.connections_of("waad") == everything
    assert len(everything) > 3


def test_links_lead_to_the_step_s_place_in_the_cloud_of_the_tenant():
    scim = ServicePrincipal("11", "22", "SCIM", requires_assignment=True, template_id=None, app_roles=())
    cloud = CLOUDS["usgov"]
    assert console_link(OLDER_AZURE_AD.row("1.3").console, cloud, "acme.eu.auth0.com", "con_1", scim, None).url == (
        "https://manage.auth0.com/dashboard/eu/acme/connections/enterprise/waad/con_1/provisioning"
    )
    assert console_link(OLDER_AZURE_AD.row("1.2").console, cloud, "acme.auth0.com", "con_1", scim, None).url.startswith(
        "https://manage.auth0.com/dashboard/us/acme/"
    )
    link = console_link(OLDER_AZURE_AD.row("3.3").console, cloud, "acme.auth0.com", "con_1", None, scim)
    assert link.url == "https://entra.microsoft.us/#view/Microsoft_AAD_IAM/ManagedAppMenuBlade/~/Users/objectId/11/appId/22"
    assert console_link(OLDER_AZURE_AD.row("3.1").console, cloud, "acme.auth0.com", "con_1", None, None) is None


def test_problems_are_those_of_the_settings_model_and_only_of_what_was_given():
    assert problems({"auth0_domain": "acme.eu.auth0.com", "token_lifetime_days": "never"}) == {}
    assert problems({"auth0_domain": "login.acme.com"})["auth0_domain"].startswith("is not of the form")
    assert set(problems({"entra_client_id": "x", "token_lifetime_days": "soon"})) == {"entra_client_id", "token_lifetime_days"}


def test_what_was_typed_on_a_page_cannot_be_read_by_another_run():
    with pytest.raises(SettingsError, match=r"kept it only in memory.*for auth0_client_secret in the settings.json"):
        resolve("memory:auth0_client_secret", column="auth0_client_secret")


def test_of_two_threads_that_draw_none_shows_what_is_no_longer_true(tmp_path, monkeypatch):
    page = GuidedSession(
        tmp_path, procedure=OLDER_AZURE_AD, demos=tuple, trouble=SettingsError("is odd", "Mend it", column="cloud")
    )
    start = page.connect()
    page.connecting.form.values["auth0_domain"] = "old.eu.auth0.com"
    is_rendered, other_has_drawn = threading.Event(), threading.Event()
    draw = surface.drawn

    def slowly(piece, **values):
        html = draw(piece, **values)
        if threading.current_thread() is first:
            is_rendered.set()
            other_has_drawn.wait(1)  # in vain, where one draws at a time
        return html

    monkeypatch.setattr(surface, "drawn", slowly)
    first = threading.Thread(target=page.pieces.draw, args=("start",))
    first.start()
    assert is_rendered.wait(10)
    page.connecting.form.values["auth0_domain"] = "new.eu.auth0.com"
    page.pieces.draw("start")
    other_has_drawn.set()
    first.join()
    assert "new.eu.auth0.com" in start.html
    page.close()


def test_a_cell_for_a_step_that_does_not_exist_leaves_the_page_as_it_was(tmp_path):
    page = GuidedSession(
        tmp_path, procedure=OLDER_AZURE_AD, demos=tuple, trouble=SettingsError("is odd", "Correct it", column="cloud")
    )
    for cell, number in ((page.do, "9.9"), (page.section, "9")):
        with pytest.raises(NoSuchStep, match=f"^Looking for step {number}: the procedure has no such step. Known are 0"):
            cell(number)
    page.do("0.1")
    page.pieces.draw()
    page.close()
