"""Hand-over by clicking: the sheet, the token shown once, and the verification once the customer's administrator is done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from runbook_lib.page.handover import with_hand_over
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.tenants_file import read_tenants
from tests.browser.conftest import PICTURES, settings_of
from tests.browser.lab import BROKEN_WORDS, STICKS_OUT
from tests.browser.test_access import complaints
from tests.browser.test_connect import practise, sign_in_to_auth0
from tests.browser.test_procedure import writes
from tests.builders import tenant_session

TOKEN = re.compile(r"tok_[A-Za-z0-9]{16}\.[0-9a-f]{64}")


def start_hand_over(guide, row):
    practise(guide)
    sign_in_to_auth0(guide, row)
    guide.start_card.locator("label", has_text="fresh-azure-ad").get_by_role("radio").check()
    guide.page.get_by_label("No sign-in: the customer's administrator does the Entra part").check()
    guide.page.get_by_label("Test user").fill(row["test_user"])
    guide.page.get_by_role("button", name="Plan all steps").click()
    expect(guide.state("1.2")).to_contain_text("To do")


def the_administrator_does_their_part(guide, row, token, connection_id, place, tmp_path):
    """Sign in to Entra only, with what was sent, and carry everything out."""
    place.write_text(token)
    settings = TenantSettings.from_parameters(
        {
            **settings_of(guide.lab, "fresh"),
            "auth0_client_id": "",
            "auth0_client_secret": "",
            "entra_client_secret": f"file:{tmp_path / 'entra'}",
            "scim_endpoint": f"https://{row['auth0_domain']}/scim/v2/connections/{connection_id}/",
            "scim_token": f"file:{place}",
            "oidc_client_id": row["oidc_client_id"],
            "accept": ("other-side-confirmed",),
            "auth0_connection": connection_id,
        }
    )
    session = tenant_session(settings, mode=RunMode.APPLY, out=tmp_path / "run" / "fresh")
    for step in session.steps:
        session.do(step.number)
    assert session.finish()[0] == "done"


def test_hand_over_from_sheet_and_token_to_verification(guide, control, tmp_path):
    row = settings_of(guide.lab, "fresh")
    start_hand_over(guide, row)
    expect(guide.state("3.6")).to_contain_text("Handed over")
    expect(guide.card("3.6")).to_contain_text("Accidental deletion threshold")
    expect(guide.card("3.5")).to_contain_text("?aadOptscim062020")
    assert writes(control) == []

    guide.page.get_by_role("menuitem", name="Settings").click()
    guide.page.get_by_text("Save Widget State Automatically").click()
    for number in ("1.2", "1.3"):
        guide.apply(number)
    make = guide.card("2.2").get_by_role("button", name="Make and show the token once")
    make.click()
    shown = guide.card("2.2").get_by_role("group", name="SCIM token, shown once")
    expect(shown).to_be_visible()
    expect(guide.card("2.2")).to_contain_text("has not used it yet")  # the card was drawn again, and what it shows stayed
    token = shown.locator("code").inner_text()
    assert TOKEN.fullmatch(token)
    shown.get_by_role("button", name="Copy").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    assert guide.page.evaluate("navigator.clipboard.readText()") == token

    summary = guide.page.locator("#scim-summary")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    saved = guide.save()  # while it is on the screen
    assert token not in saved
    secret = token.partition(".")[2]
    files = guide.left()
    assert {path.name for path in files} >= {"handover.html", "handover.md", "report.html", "journal.jsonl"}
    assert [path.name for path, text in files.items() if secret in text] == []

    shown.get_by_role("button", name="Hide").click()
    assert secret not in guide.page.content()
    guide.page.reload()
    expect(guide.state("2.2")).to_contain_text("Handed over")
    assert secret not in guide.page.content()

    connection = next(c for c in control("GET", "/state")["auth0"]["connections"].values() if c["name"] == "fresh-azure-ad")
    (tmp_path / "entra").write_text(row["entra_client_secret"])
    sent = {**row, "oidc_client_id": connection["options"]["client_id"]}
    the_administrator_does_their_part(guide, sent, token, connection["id"], tmp_path / "sent", tmp_path)

    guide.card("4.2").get_by_role("button", name="Look again").click()
    expect(guide.state("4.2")).to_contain_text("Checked")
    expect(guide.card("4.2")).to_contain_text("Verified from Auth0")
    expect(guide.card("4.2").get_by_role("button", name=re.compile("^Next: 3"))).to_have_count(0)
    expect(guide.state("2.2")).to_contain_text("Already right")
    assert {guide.states()[number] for number in ("3.6", "3.9", "3.11")} == {"Checked"}
    assert guide.states()["3.7"] == "Handed over"  # leaves no trace


def given_by_its_owner(guide, control):
    """Make the settings of sections 1 and 2 as the owner of the Auth0 side would, and return endpoint, client id and token."""
    settings = with_hand_over(read_tenants(Path(guide.lab.ready["tenants_file"])))[-1]
    session = tenant_session(settings, mode=RunMode.APPLY, out=guide.lab.folder.parent / "owner" / "fresh")
    for step in session.steps:
        session.do(step.number)
    _, token = session.make_token()
    session.finish()
    connection = next(c for c in control("GET", "/state")["auth0"]["connections"].values() if c["name"] == "fresh-azure-ad")
    endpoint = f"https://{settings.auth0_domain}/scim/v2/connections/{connection['id']}/"
    return endpoint, connection["options"]["client_id"], token.reveal()


def nobody_signs_in_to_auth0(guide):
    practise(guide)
    guide.page.get_by_label("No sign-in: its owner does the Auth0 part").check()
    expect(guide.start_card.get_by_label("SCIM endpoint URL")).to_be_visible()  # another form: a person sees it, then types


def sign_in_to_entra(guide, row):
    guide.page.get_by_role("button", name="Go on with Entra").click()
    guide.page.get_by_label("Client secret of an app registration").check()
    expect(guide.page.get_by_label("No sign-in: the customer's administrator")).to_have_count(0)  # one side has to be ours
    guide.page.get_by_role("textbox", name="Entra tenant").fill(row["entra_tenant"])
    guide.page.get_by_label("Application (client) id").fill(row["entra_client_id"])
    guide.page.get_by_label("Client secret", exact=True).fill(row["entra_client_secret"])
    guide.page.get_by_role("button", name="Sign in to Entra").click()
    expect(guide.start_card).to_contain_text("Sign in to Entra differently")


def test_the_mirror_from_what_was_sent_to_provisioning_turned_on(guide, control):
    row = settings_of(guide.lab, "fresh")
    endpoint, client_id, token = given_by_its_owner(guide, control)
    nobody_signs_in_to_auth0(guide)
    go_on = guide.page.get_by_role("button", name="Go on with Entra")
    guide.start_card.get_by_label("SCIM endpoint URL").fill(f"{endpoint}Users")
    expect(guide.start_card).to_contain_text("This is not of the form")
    guide.start_card.get_by_label("SCIM endpoint URL").fill(endpoint)
    expect(guide.start_card.get_by_label("Auth0 domain")).to_have_value(row["auth0_domain"])  # found, not typed
    expect(guide.start_card.get_by_role("textbox", name="Connection", exact=True)).to_have_value(re.compile("con_"))
    go_on.click()  # the browser keeps the form: client id and token are missing
    expect(guide.start_card.get_by_text("Microsoft Entra", exact=True)).to_have_count(0)
    guide.start_card.get_by_label("Client id of the connection").fill(client_id)
    guide.start_card.get_by_label("SCIM token").fill(token)
    assert complaints(guide) == []
    sign_in_to_entra(guide, row)
    expect(guide.start_card).to_contain_text("Acme sign-in (fresh)")
    guide.start_card.get_by_label("Test user").fill("adele")
    guide.start_card.get_by_label("Adele Vance").check()
    expect(guide.start_card).to_contain_text("ask the owner of the Auth0 side")
    typed = guide.page.evaluate("window.did.typed")
    assert len(typed) == 7
    before = len(writes(control))
    guide.page.get_by_role("button", name="Plan all steps").click()
    expect(guide.state("3.2")).to_contain_text("To do")
    expect(guide.state("1.2")).to_contain_text("Handed over")
    expect(guide.card("2.2")).to_contain_text("The owner of the Auth0 side sent the token")
    assert len(writes(control)) == before

    for number in ("3.2", "3.3", "3.4", "3.6", "3.12", "4.2"):
        guide.apply(number)
    expect(guide.card("4.2").get_by_role("group", name="What Entra did, step by step")).to_contain_text("EntryExportUpdate")
    expect(guide.state("4.3")).to_contain_text("Handed over")
    take = guide.card("4.3").get_by_role("button", name="Accept their confirmation")
    take.click()
    expect(guide.state("4.3")).to_contain_text("Handed over")  # the box was not ticked
    guide.card("4.3").get_by_label("The owner of the Auth0 side has told me").check()
    assert complaints(guide) == []
    take.click()
    expect(guide.state("4.3")).to_contain_text("To do")
    told = re.search(r"forecast: (\d+) update", guide.card("4.3").inner_text())
    assert told
    guide.card("4.3").get_by_label("type the number of people").fill(told[1])
    guide.apply("4.3")
    expect(guide.state("1.2")).to_contain_text("Note")
    _the_token_is_nowhere(guide, token)


def _the_token_is_nowhere(guide, token):
    secret = token.partition(".")[2]
    guide.save()
    assert [path.name for path, text in guide.left().items() if secret in text] == []
    assert secret not in guide.page.content()


def test_the_mirror_before_anything_was_sent_makes_the_sheet_for_the_owner(guide, control):
    row = settings_of(guide.lab, "fresh")
    nobody_signs_in_to_auth0(guide)
    guide.start_card.get_by_label("Auth0 domain").fill(row["auth0_domain"])
    guide.page.get_by_role("button", name="Go on with Entra").click()
    expect(guide.start_card.get_by_role("alert")).to_contain_text("The connection is missing")
    guide.start_card.get_by_role("textbox", name="Connection", exact=True).fill("fresh-azure-ad")
    sign_in_to_entra(guide, row)
    guide.start_card.get_by_label("Test user").fill(row["test_user"])
    guide.page.get_by_role("button", name="Plan all steps").click()
    expect(guide.state("1.2")).to_contain_text("Handed over")
    expect(guide.card("3.2")).to_contain_text("Waiting for the owner of the Auth0 side to send the endpoint")
    assert writes(control) == []
    summary = guide.page.locator("#scim-summary")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    [sheet] = guide.lab.folder.rglob("handover.md")
    assert "1.4" in sheet.read_text()
    assert "fresh-azure-ad" in sheet.read_text()


def test_the_sheet_is_readable_on_paper_and_on_a_small_screen(guide):
    row = settings_of(guide.lab, "fresh")
    start_hand_over(guide, row)
    summary = guide.page.locator("#scim-summary")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    [sheet] = guide.lab.folder.rglob("handover.html")
    assert sheet.exists()
    with guide.page.expect_popup() as opened:
        summary.get_by_role("link", name="Open Sheet for the other side").click()
    page = opened.value
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("heading", name="3.9 Send the object id as externalId")).to_be_visible()
    assert (page.evaluate(STICKS_OUT), page.evaluate(BROKEN_WORDS, "body")) == (0, [])
    assert len(page.pdf(format="A4")) > 10_000
    page.emulate_media(media="print")
    assert page.evaluate(BROKEN_WORDS, "body") == []
    page.close()


def test_the_demo_of_a_hand_over_is_one_choice_away_and_right_for_everybody(guide, control):
    guide.start()
    guide.page.get_by_label("Demo tenant").select_option("hand-over")
    expect(guide.state("4.2")).to_contain_text("Handed over")
    guide.page.locator("#section-1").get_by_role("button", name="Apply section 1").click()
    expect(guide.state("1.3")).to_contain_text("Done")
    assert complaints(guide) == []
    guide.card("2.2").get_by_role("button", name="Make and show the token once").click()
    expect(guide.card("2.2").get_by_role("button", name="Copy")).to_be_focused()
    assert complaints(guide) == []
    guide.page.get_by_label("Set up my tenant").check()
    expect(guide.page.get_by_label("Auth0 domain")).to_be_visible()
    assert TOKEN.search(guide.save()) is None


def test_pictures_of_a_hand_over(guide, control, request, tmp_path):
    if not request.config.getoption("--pictures"):
        pytest.skip("pictures are written with --pictures")
    row = settings_of(guide.lab, "fresh")
    start_hand_over(guide, row)
    expect(guide.state("4.3")).to_contain_text("Handed over")
    guide.page.locator("#scim-entra-stage").evaluate("(stage) => stage.scrollIntoView({block: 'start'})")
    guide.picture("handover-choose")
    guide.rail.get_by_role("link", name="3.6").click()
    guide.picture("handover-plan", of=guide.card("3.6"))
    for number in ("1.2", "1.3"):
        guide.apply(number)
    guide.rail.get_by_role("link", name="2.2").click()
    card = guide.card("2.2")
    card.get_by_role("button", name="Make and show the token once").click()
    shown = card.get_by_role("group", name="SCIM token, shown once")
    expect(shown).to_be_visible()
    card.screenshot(path=str(PICTURES / "handover-token.png"), mask=[shown.locator("code")], mask_color="#d9dee5")
    token = shown.locator("code").inner_text()
    shown.get_by_role("button", name="Hide").click()
    summary = guide.page.locator("#scim-summary")
    summary.get_by_role("button", name="Write the report").click()
    with guide.page.expect_popup() as opened:
        summary.get_by_role("link", name="Open Sheet for the other side").click()
    opened.value.set_viewport_size({"width": 1000, "height": 900})
    opened.value.wait_for_timeout(300)
    opened.value.screenshot(path=str(PICTURES / "handover-sheet.png"))
    opened.value.close()
    connection = next(c for c in control("GET", "/state")["auth0"]["connections"].values() if c["name"] == "fresh-azure-ad")
    (tmp_path / "entra").write_text(row["entra_client_secret"])
    sent = {**row, "oidc_client_id": connection["options"]["client_id"]}
    the_administrator_does_their_part(guide, sent, token, connection["id"], tmp_path / "sent", tmp_path)
    card = guide.card("4.2")
    card.get_by_role("button", name="Look again").click()
    expect(guide.state("4.2")).to_contain_text("Checked")
    guide.rail.get_by_role("link", name="4.2").click()
    guide.picture("handover-verified")
