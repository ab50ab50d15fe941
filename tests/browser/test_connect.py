"""Signing in by hand, choosing from what is found, and what becomes of the secrets typed meanwhile."""

from __future__ import annotations

import json
import re

import requests
from playwright.sync_api import expect

from runbook_lib.sandbox.demo_tenants import build_world
from tests.browser.conftest import settings_of

ADELE = "Adele Vance"


def practise(guide):
    """Open the form for a real tenant, and let it mean the sandbox."""
    guide.open()
    guide.page.get_by_role("button", name="Start the runbook").click()
    expect(guide.start_card.get_by_text("✓ Connected")).to_be_visible()
    guide.page.get_by_label("Real tenant").check()
    guide.page.get_by_label("Microsoft cloud").select_option(label="Sandbox, to practise")


def sign_in_to_auth0(guide, row):
    guide.page.get_by_label("Auth0 domain").fill(row["auth0_domain"])
    guide.page.get_by_label("Client id", exact=True).fill(row["auth0_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill(row["auth0_client_secret"])
    guide.page.get_by_role("button", name="Sign in to Auth0").click()
    expect(guide.start_card.get_by_text("Signed in as").first).to_be_visible()


def choose_and_plan(guide, name="fresh"):
    guide.page.get_by_label("Test user").fill("adele")
    guide.start_card.get_by_label(ADELE).check()
    expect(guide.start_card).to_contain_text("a good choice")
    guide.page.get_by_role("button", name="Plan all steps").click()
    expect(guide.start_card.get_by_text("✓ Connected")).to_be_visible()
    expect(guide.state("1.2")).to_contain_text("To do")


def test_a_tenant_is_connected_by_six_typed_fields_at_most_and_no_secret_is_saved(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    sign_in_to_auth0(guide, row)
    expect(guide.start_card).to_contain_text("All 11 permissions are there")
    verdicts = guide.start_card.locator("label", has=guide.page.locator('input[name="connection"]'))
    expect(verdicts).to_have_count(8)
    expect(verdicts.filter(has_text="oid-with-users-azure-ad")).to_contain_text("newer")
    expect(verdicts.filter(has_text="oid-with-users-azure-ad").get_by_role("link")).to_have_attribute(
        "href", re.compile("inbound-scim-for-new-azure-ad-connections")
    )
    expect(verdicts.filter(has_text="common-endpoint-azure-ad")).to_contain_text("unsure")
    expect(verdicts.filter(has_text="fresh-azure-ad")).to_contain_text("older")
    verdicts.filter(has_text="fresh-azure-ad").get_by_role("radio").check()

    expect(guide.page.get_by_label("Entra tenant", exact=True)).to_have_value(row["entra_tenant"])  # found, not typed
    guide.page.get_by_label("Client secret of an app registration").check()
    guide.page.get_by_label("Application (client) id").fill(row["entra_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill(row["entra_client_secret"])
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card).to_contain_text("Acme sign-in (fresh)")
    expect(guide.page.get_by_label("Name of the new enterprise application")).to_have_value("Fresh employees SCIM")
    choose_and_plan(guide)
    guide.apply("1.2")
    _no_secret_is_anywhere(guide, row)


def test_secrets_being_typed_are_in_no_saved_notebook_even_with_widget_state(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    guide.page.get_by_role("menuitem", name="Settings").click()
    guide.page.get_by_text("Save Widget State Automatically").click()
    guide.page.get_by_label("Client secret", exact=True).fill(row["auth0_client_secret"])
    saved = guide.save()  # between typing and pressing: the field is full, the notebook is not
    assert row["auth0_client_secret"] not in saved
    guide.page.get_by_label("Client secret", exact=True).fill("")
    sign_in_to_auth0(guide, row)
    expect(guide.page.locator("input[type=password]")).to_have_count(0)
    assert row["auth0_client_secret"] not in guide.save()
    _no_secret_is_anywhere(guide, row)


def _no_secret_is_anywhere(guide, row):
    guide.save()
    files = [path for path in guide.lab.folder.rglob("*") if path.is_file()]
    assert files
    secrets = (row["auth0_client_secret"], row["entra_client_secret"])
    assert [path for path in files for text in secrets if text in path.read_text(errors="replace")] == []
    assert not any(text in guide.page.content() for text in secrets)


def test_a_person_signs_in_by_device_code_while_the_page_stays_alive(guide):
    row = settings_of(guide.lab, "fresh")
    world = build_world(7, auth0_domain=row["auth0_domain"])
    entra = next(tenant for tenant in world.entra.values() if tenant.id == row["entra_tenant"])
    public = next(client for client in entra.clients.values() if client.is_public_client)
    practise(guide)
    sign_in_to_auth0(guide, row)
    guide.start_card.locator("label", has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("Device code").check()
    guide.page.get_by_label("Application (client) id").fill(public.client_id)
    guide.page.get_by_role("button", name="Get a code").click()
    code = guide.page.locator("#scim-device-code")
    expect(code).to_be_visible()
    guide.page.get_by_role("button", name="Copy").click()
    assert guide.page.evaluate("navigator.clipboard.readText()") == code.inner_text()

    guide.page.get_by_role("button", name="Cancel").click()  # answered at once, so the page does not hang
    expect(code).to_have_count(0)
    guide.page.get_by_role("button", name="Get a code").click()
    expect(code).to_be_visible()
    link = guide.start_card.get_by_role("link", name=re.compile("deviceauth")).get_attribute("href")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(link, data={"user_code": code.inner_text()}, verify=guide.lab.ready["ca_bundle"], timeout=10)
    assert answer.status_code == 200
    expect(guide.start_card).to_contain_text("admin@fresh.onmicrosoft.com")
    choose_and_plan(guide)


def test_what_is_typed_is_judged_while_typing(guide):
    practise(guide)
    guide.page.get_by_label("Microsoft cloud").select_option(label="Microsoft Entra (worldwide)")
    domain = guide.page.get_by_label("Auth0 domain")
    domain.press_sequentially("login.customer.com")
    expect(domain).to_have_attribute("aria-invalid", "true")
    expect(guide.start_card).to_contain_text("a custom domain cannot be used here")
    domain.fill("acme.eu.auth0.com")
    expect(domain).not_to_have_attribute("aria-invalid", "true")


def test_a_refused_sign_in_and_a_missing_permission_say_what_to_do(guide):
    practise(guide)
    row = settings_of(guide.lab, "no-options-scope")
    guide.page.get_by_label("Auth0 domain").fill(row["auth0_domain"])
    guide.page.get_by_label("Client id", exact=True).fill(row["auth0_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill("not-the-secret-at-all")
    guide.page.get_by_role("button", name="Sign in to Auth0").click()
    expect(guide.start_card).to_contain_text("Auth0 refused the sign-in")
    expect(guide.page.get_by_label("Client secret", exact=True)).to_have_value("")
    sign_in_to_auth0(guide, row)
    expect(guide.start_card).to_contain_text("1 permission missing")
    expect(guide.start_card).to_contain_text("read:connections_options")
    assert "Traceback" not in guide.page.content()


def test_a_kernel_restart_keeps_the_choices_and_asks_for_the_secrets_again(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    sign_in_to_auth0(guide, row)
    guide.start_card.locator("label", has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("Client secret of an app registration").check()
    guide.page.get_by_label("Application (client) id").fill(row["entra_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill(row["entra_client_secret"])
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    choose_and_plan(guide)
    kept = json.loads((guide.lab.page.parent / "choices.json").read_text())
    assert kept["entra_client_id"] == row["entra_client_id"]

    guide.page.get_by_role("button", name="Restart the kernel").click()
    guide.page.get_by_role("button", name="Confirm Kernel Restart").click()
    guide.page.get_by_role("button", name="Start the runbook").click()
    expect(guide.page.get_by_label("Auth0 domain")).to_have_value(row["auth0_domain"])
    expect(guide.page.get_by_label("Client id", exact=True)).to_have_value(row["auth0_client_id"])
    expect(guide.page.get_by_label("Client secret", exact=True)).to_have_value("")
