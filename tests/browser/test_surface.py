"""What is typed survives whatever is drawn meanwhile: the page's script in a browser, with what the page would draw."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from runbook_lib.errors import SettingsError
from runbook_lib.guided.page import GuidedSession
from runbook_lib.widgets import surface

SCRIPT = surface._HERE / "surface.js"
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
    guided = GuidedSession(tmp_path, demos=tuple, trouble=SettingsError("is odd", "Mend it", column="cloud"))
    guided._connecting.trouble = None
    guided.connect()
    yield guided
    guided.close()


def drawn(form):
    form._draw_start()
    return form._start.html


def test_typed_secrets_stay_while_notes_come_and_go_and_the_way_to_sign_in_changes(page, form):
    page.evaluate("begin", drawn(form))
    page.get_by_label("Client secret").fill("planted-secret")  # and stay in the field
    for change in (
        lambda: setattr(form._connecting, "trouble", SettingsError("is odd", "Mend it", column="cloud")),
        lambda: form._connecting.take({"auth0_domain": "not a domain"}),
        lambda: setattr(form._connecting, "auth0_method", "token"),
        lambda: setattr(form._connecting, "trouble", None),
        lambda: setattr(form._connecting, "auth0_method", "client"),
    ):
        change()
        page.evaluate("draw", drawn(form))
        assert page.locator("#scim-auth0_secret").input_value() == "planted-secret"
        assert page.evaluate("document.activeElement.id") == "scim-auth0_secret"
    assert "planted-secret" not in str(page.evaluate("window.sent"))


def test_an_answer_to_what_was_typed_before_does_not_undo_what_is_typed_since(page, form):
    page.evaluate("begin", drawn(form))
    domain = page.get_by_label("Auth0 domain")
    domain.fill("acme")
    page.wait_for_function("window.sent.length === 1")
    domain.fill("acme.eu.auth0.com")
    page.get_by_label("Client id", exact=True).focus()
    form._connecting.take({"auth0_domain": "acme"})
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("acme.eu.auth0.com")
    page.wait_for_function("window.sent.length === 2")
    assert page.evaluate("window.sent.at(-1).fields.auth0_domain") == "acme.eu.auth0.com"
    form._connecting.take({"auth0_domain": "found.eu.auth0.com"})  # what Python finds out goes on being shown
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("found.eu.auth0.com")
    form._connecting.take({"auth0_domain": "again.eu.auth0.com"})
    page.evaluate("draw", drawn(form))
    expect(domain).to_have_value("again.eu.auth0.com")
