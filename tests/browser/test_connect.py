"""Signing in by hand, choosing from what is found, and what becomes of the secrets typed meanwhile."""

from __future__ import annotations

import datetime
import json
import re

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from playwright.sync_api import expect

from runbook_lib.sandbox.demo_tenants import build_world
from tests.browser.conftest import settings_of

ADELE = "Adele Vance"


def practise(guide):
    """Open the form for a real tenant, and let it mean the sandbox."""
    guide.page.get_by_label("Set up my tenant").check()
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
    expect(verdicts).to_have_count(9)
    expect(verdicts.filter(has_text="oid-with-users-azure-ad")).to_contain_text("newer")
    expect(verdicts.filter(has_text="oid-with-users-azure-ad").get_by_role("link")).to_have_attribute(
        "href", re.compile("inbound-scim-for-new-azure-ad-connections")
    )
    expect(verdicts.filter(has_text="common-endpoint-azure-ad")).to_contain_text("unsure")
    expect(verdicts.filter(has_text="fresh-azure-ad")).to_contain_text("older")
    assert max(pill.bounding_box()["width"] for pill in verdicts.locator(".scim-state").all()) < 160  # a word is no bar
    expect(guide.page.get_by_role("heading", name="Connection", exact=True)).to_be_focused()  # where the sign-in leads
    verdicts.filter(has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("Client secret of an app registration").check()
    expect(guide.page.get_by_role("textbox", name="Entra tenant")).to_have_value(row["entra_tenant"])
    guide.page.get_by_label("Application (client) id").fill(row["entra_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill(row["entra_client_secret"])
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card).to_contain_text("Acme sign-in (fresh)")
    expect(guide.page.get_by_label("Name of the new enterprise application")).to_have_value("Fresh employees SCIM")
    choose_and_plan(guide)
    typed = guide.page.evaluate("window.did.typed")
    # The tenant and the name of the application are found, and stand in their fields already.
    assert typed == [
        "scim-auth0_domain",
        "scim-auth0_client_id",
        "scim-auth0_secret",
        "scim-entra_client_id",
        "scim-entra_secret",
        "scim-search",
    ]
    guide.apply("1.2")
    _no_secret_is_anywhere(guide, row)


def wants_widget_state(guide):
    """Turn saving of widget state over in JupyterLab's menu and return whether it is on now."""
    guide.page.get_by_role("menuitem", name="Settings").click()
    item = guide.page.locator("li.lm-Menu-item", has_text="Save Widget State Automatically")
    was_on = "lm-mod-toggled" in (item.get_attribute("class") or "")
    item.click()
    return not was_on


def test_secrets_being_typed_are_in_no_saved_notebook_even_with_widget_state(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    guide.page.evaluate("window.saved = []")
    assert wants_widget_state(guide)
    try:
        guide.page.get_by_label("Client secret", exact=True).fill(row["auth0_client_secret"])
        saved = guide.save()  # between typing and pressing: the field is full, the notebook is not
        assert row["auth0_client_secret"] not in saved
        wanted = guide.page.evaluate("window.saved.at(-1)")
        assert "application/vnd.jupyter.widget-state+json" in json.loads(wanted)["content"]["metadata"]["widgets"]
        guide.page.get_by_label("Client secret", exact=True).fill("")
        sign_in_to_auth0(guide, row)
        expect(guide.page.locator("input[type=password]")).to_have_count(0)
        assert row["auth0_client_secret"] not in guide.save()
        _no_secret_is_anywhere(guide, row)
        # What the browser wanted to save, before the server's own cleaning, held the widgets, and no secret either.
        sent = guide.page.evaluate("window.saved")
        assert len(sent) >= 3
        assert not [body for body in sent if row["auth0_client_secret"] in body]
    finally:
        assert not wants_widget_state(guide)


def _no_secret_is_anywhere(guide, row):
    guide.save()
    files = guide.left()
    assert files
    secrets = (row["auth0_client_secret"], row["entra_client_secret"])
    assert [path for path, text in files.items() for secret in secrets if secret in text] == []
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
    expect(guide.start_card).to_contain_text("a custom domain does not work here")
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


def certificate():
    """Return a PEM with the private key and its certificate, and the certificate alone."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "runbook")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    signed = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    public = signed.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return private + public, public


def test_a_certificate_signs_in_and_a_kernel_restart_keeps_the_choices_without_the_secrets(guide, control, tmp_path):
    row = settings_of(guide.lab, "fresh")
    both, public = certificate()
    place = tmp_path / "certificate.pem"
    practise(guide)
    sign_in_to_auth0(guide, row)
    guide.start_card.locator("label", has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("Certificate of an app registration").check()
    guide.page.get_by_label("Application (client) id").fill(row["entra_client_id"])
    guide.page.get_by_label("Certificate file").fill(str(place))
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card.get_by_role("alert")).to_contain_text("cannot be read")
    place.write_text(both)
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card.get_by_role("alert")).to_contain_text("AADSTS700027")  # Entra does not know it yet
    control("POST", "/certificates", {"client_id": row["entra_client_id"], "pem": public})
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card).to_contain_text("Acme sign-in (fresh)")
    choose_and_plan(guide)
    guide.apply("1.2")
    private = both.splitlines()[1]
    _no_secret_is_anywhere(guide, {**row, "entra_client_secret": private})

    guide.page.get_by_role("button", name="Restart the kernel").click()
    guide.page.get_by_role("button", name="Confirm Kernel Restart").click()
    guide.page.get_by_role("button", name="Start the runbook").click()
    expect(guide.page.get_by_label("Auth0 domain")).to_have_value(row["auth0_domain"])
    expect(guide.page.get_by_label("Client id", exact=True)).to_have_value(row["auth0_client_id"])
    expect(guide.page.get_by_label("Client secret", exact=True)).to_have_value("")
    kept = json.loads((guide.lab.page.parent / "choices.json").read_text())
    assert (kept["entra_method"], kept["entra_certificate"]) == ("certificate", str(place))


def pasted(guide, row):
    """Return a Management API token and a Graph token, as a user has them from elsewhere."""
    ready = guide.lab.ready
    auth0 = {
        "grant_type": "client_credentials",
        "client_id": row["auth0_client_id"],
        "client_secret": row["auth0_client_secret"],
        "audience": f"https://{row['auth0_domain']}/api/v2/",
    }
    entra = {
        "grant_type": "client_credentials",
        "client_id": row["entra_client_id"],
        "client_secret": row["entra_client_secret"],
        "scope": f"{ready['graph'].removesuffix('/v1.0')}/.default",
    }
    with requests.Session() as session:
        session.trust_env, session.verify = False, ready["ca_bundle"]
        first = session.post(f"https://{row['auth0_domain']}/oauth/token", json=auth0, timeout=10)
        second = session.post(f"{ready['authority']}/{row['entra_tenant']}/oauth2/v2.0/token", data=entra, timeout=10)
    return first.json()["access_token"], second.json()["access_token"]


def test_pasted_tokens_sign_in_on_both_sides_and_a_wrong_one_is_refused_in_words(guide):
    row = settings_of(guide.lab, "fresh")
    auth0, graph = pasted(guide, row)
    practise(guide)
    guide.page.get_by_label("A Management API token that I paste").check()
    guide.page.get_by_label("Auth0 domain").fill(row["auth0_domain"])
    token = guide.page.get_by_label("Management API token", exact=True)
    token.fill("not.a.token")
    guide.page.get_by_role("button", name="Sign in to Auth0").click()
    expect(guide.start_card.get_by_role("alert")).to_contain_text("What to do")
    expect(token).to_have_value("")
    token.fill(auth0)
    guide.page.get_by_role("button", name="Sign in to Auth0").click()
    expect(guide.start_card.get_by_text("Signed in as").first).to_be_visible()
    guide.start_card.locator("label", has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("A Graph token that I paste").check()
    expect(guide.page.get_by_label("Application (client) id")).to_have_count(0)
    guide.page.get_by_label("Graph token", exact=True).fill(graph)
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card).to_contain_text("Acme sign-in (fresh)")
    choose_and_plan(guide)
    guide.apply("1.2")
    _no_secret_is_anywhere(guide, {"auth0_client_secret": auth0, "entra_client_secret": graph})
    assert "Traceback" not in guide.page.content()
