"""What is typed survives whatever is drawn meanwhile: the page's script in a browser, with what the page would draw."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from runbook_lib.core.errors import SettingsError
from runbook_lib.page import panel as surface
from runbook_lib.page.controller import GuidedSession
from runbook_lib.page.sign_ins import Candidate, SignedIn
from runbook_lib.page.trouble import Trouble
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.services.auth0.models import Connection
from runbook_lib.services.entra.models import EntraUser
from runbook_lib.tenant.connection_age import ConnectionAge

SCRIPT = surface._HERE / "panel.js"
MODEL = """
window.draws = {};
window.sent = [];
window.html = '';
const model = {
  get: () => window.html,
  on: (name, does) => { window.draws[name] = does; },
  off: () => {},
  send: (message) => window.sent.push(message),
};
window.begin = (html) => { window.html = html; render({model, el: document.body}); };
window.draw = (html) => { window.html = html; window.draws['change:html'](); };
"""


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.add_script_tag(content=SCRIPT.read_text() + MODEL, type="module")
    page.wait_for_function("!!window.begin")
    yield page
    page.close()


@pytest.fixture
def form(tmp_path):
    """The connect form of a page, and what it draws."""
    guided = GuidedSession(
        tmp_path, procedure=OLDER_AZURE_AD, demos=tuple, trouble=SettingsError("is odd", "Mend it", column="cloud")
    )
    guided.connecting.trouble = None
    guided.connect()
    yield guided
    guided.close()


def drawn(form):
    form.pieces.draw("start")
    return form.pieces.panel("start").html


def test_typed_secrets_stay_while_notes_come_and_go_and_the_way_to_sign_in_changes(page, form):
    page.evaluate("begin", drawn(form))
    page.get_by_label("Client secret").fill("planted-secret")  # and stay in the field
    for change in (
        lambda: setattr(form.connecting, "trouble", Trouble("start", "That is odd", "Correct it", column="cloud")),
        lambda: form.connecting.form.take({"auth0_domain": "not a domain"}),
        lambda: setattr(form.connecting.form, "auth0_method", "token"),
        lambda: setattr(form.connecting, "trouble", None),
        lambda: setattr(form.connecting.form, "auth0_method", "client"),
    ):
        change()
        page.evaluate("draw", drawn(form))
        assert page.locator("#scim-auth0_secret").input_value() == "planted-secret"
        assert page.evaluate("document.activeElement.id") == "scim-auth0_secret"
    assert "planted-secret" not in str(page.evaluate("window.sent"))


def test_of_many_connections_the_chosen_one_is_in_sight_and_its_verdict_is_a_small_mark(page, form):
    ins = form.connecting.sign_ins
    ins.auth0 = SignedIn("acme.eu.auth0.com", "an application", "", (), None)
    named = [Connection(f"con_{number}", f"customer-{number}-azure-ad", None, "waad", {}) for number in range(60)]
    ins.candidates = tuple(Candidate(one, 12, ConnectionAge("older", "User ids are pairwise.")) for one in named)
    ins.chosen = ins.candidates[45]
    page.add_style_tag(content=(surface._HERE / "panel.css").read_text())
    page.evaluate("begin", drawn(form))
    chosen = page.locator("label", has_text="customer-45-azure-ad")
    page.wait_for_function("document.querySelector('.scim-list').scrollTop > 0")
    page.locator(".scim-list").evaluate("(list) => list.scrollIntoView()")
    expect(chosen).to_be_in_viewport()
    mark = chosen.locator(".scim-state")
    expect(mark).to_have_text("✓ older")
    assert mark.bounding_box()["width"] < chosen.bounding_box()["width"] / 4


def test_test_users_stand_with_their_address(page, form):
    people = form.connecting.people
    people.oidc = "Acme sign-in"
    people.shown = (EntraUser("1", "adele@acme.com", "Adele Vance", None, True),)
    form.connecting.sign_ins.auth0 = form.connecting.sign_ins.entra = SignedIn("acme", "an application", "", (), None)
    form.connecting.sign_ins.chosen = Candidate(Connection("con_1", "acme-ad", None, "waad", {}), 1, ConnectionAge("older", ""))
    page.evaluate("begin", drawn(form))
    expect(page.locator("label", has_text="Adele Vance")).to_contain_text("adele@acme.com")


def test_a_page_whose_server_has_ended_says_how_to_go_on(browser):
    page = browser.new_page()
    page.clock.install()
    page.add_script_tag(content=SCRIPT.read_text() + MODEL, type="module")
    page.wait_for_function("!!window.begin")
    page.evaluate("begin", '<div data-folder="/runs/one"><button type="button" data-event="apply">Apply 1.2</button></div>')
    page.get_by_role("button", name="Apply 1.2").click()
    page.clock.fast_forward(7_000)  # nothing answers, neither the kernel nor the server
    told = page.get_by_role("alert")
    expect(told).to_contain_text("What was written is safe and on record.")
    expect(told).to_contain_text("The program that serves this page has ended. Start it again in a terminal: ")
    expect(told).to_contain_text("python -m runbook_lib lab --resume /runs/one")
    page.close()


def test_an_answer_to_what_was_typed_before_does_not_undo_what_is_typed_since(page, form):
    page.evaluate("begin", drawn(form))
    domain = page.get_by_label("Auth0 domain")
    domain.fill("acme")
    page.wait_for_function("window.sent.length === 1")
    domain.fill("acme.eu.auth0.com")
    page.get_by_label("Client id", exact=True).focus()
    form.connecting.form.take({"auth0_domain": "acme"})
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("acme.eu.auth0.com")
    page.wait_for_function("window.sent.length === 2")
    assert page.evaluate("window.sent.at(-1).fields.auth0_domain") == "acme.eu.auth0.com"
    form.connecting.form.take({"auth0_domain": "found.eu.auth0.com"})  # what Python finds out goes on being shown
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("found.eu.auth0.com")
    form.connecting.form.take({"auth0_domain": "again.eu.auth0.com"})
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("again.eu.auth0.com")
