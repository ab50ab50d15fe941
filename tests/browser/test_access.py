"""For everybody: axe finds nothing in what is ours, the keyboard is enough, light and dark, narrow and wide."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

SIGHTS = [{"width": width, "dark": dark} for width in (1280, 1920) for dark in (False, True)]


def choose_theme(guide, name):
    """Choose a theme of JupyterLab as a person would."""
    guide.page.get_by_role("menuitem", name="Settings").click()
    guide.page.get_by_text("Theme", exact=True).hover()
    guide.page.get_by_text(f"JupyterLab {name}", exact=True).click()
    expect(guide.page.locator(f"body[data-jp-theme-light={'false' if name == 'Dark' else 'true'}]")).to_have_count(1)


def complaints(guide):
    """What axe finds in our pieces of the page; that it looked at anything is made sure of."""
    found = Axe().run(guide.page, context=".scim", options={"resultTypes": ["violations"]}).response
    assert {"color-contrast", "label", "button-name"} <= {entry["id"] for entry in found["passes"]}
    return [(entry["id"], node["html"][:160]) for entry in found["violations"] for node in entry["nodes"]]


def nothing_sticks_out(guide):
    widths = guide.page.evaluate("[...document.querySelectorAll('.scim')].map((e) => e.scrollWidth - e.clientWidth)")
    return len(widths) > 30 and max(widths) <= 0


@pytest.mark.parametrize(
    "guide", SIGHTS, indirect=True, ids=lambda sight: f"{sight['width']}-{'dark' if sight['dark'] else 'light'}"
)
def test_axe_finds_nothing_in_plan_proof_editor_refusal_and_forms(guide, request):
    sight = request.node.callspec.params["guide"]
    if sight["dark"]:
        choose_theme(guide, "Dark")
    try:
        guide.apply("1.3")
        guide.card("1.5").get_by_text("Edit the mapping").click()
        guide.card("1.5").get_by_label("SCIM attribute, row 1", exact=True).fill("username")
        expect(guide.card("1.5").get_by_text("did you mean userName")).to_be_visible()
        assert complaints(guide) == []  # plans, a proof, and the editor with rows of all kinds
        assert nothing_sticks_out(guide)
        guide.demo("common-endpoint")
        assert complaints(guide) == []  # a refusal and an acknowledgement
        guide.page.get_by_label("Set up my tenant").check()
        expect(guide.page.get_by_label("Auth0 domain")).to_be_visible()
        assert complaints(guide) == []
        assert nothing_sticks_out(guide)
    finally:
        if sight["dark"]:
            choose_theme(guide, "Light")


def press_tab_until(guide, condition, limit=80):
    """Press Tab until the element that has the focus fulfils a JavaScript condition on `at`; fail when none does."""
    for _ in range(limit):
        guide.page.keyboard.press("Tab")
        if guide.page.evaluate(f"(({{activeElement: at}}) => {condition})(document)"):
            return
    raise AssertionError(f"no Tab leads to {condition}")


def test_the_keyboard_alone_starts_plans_jumps_and_applies(guide):
    guide.open()
    guide.page.evaluate("document.getElementById('scim-start')?.setAttribute('data-before', '')")
    press_tab_until(guide, "at.getAttribute('aria-label') === 'Start the runbook'")
    guide.page.keyboard.press("Enter")
    expect(guide.page.locator("#scim-start:not([data-before])").get_by_text("✓ Connected")).to_be_visible()
    guide.kernel_is_idle()
    expect(guide.state("1.2")).to_contain_text("To do")

    press_tab_until(guide, "at.dataset.jump === 'step-1-2'", limit=400)
    guide.page.keyboard.press("Enter")
    expect(guide.card("1.2")).to_be_focused()
    press_tab_until(guide, "at.textContent === 'Apply 1.2'", limit=8)
    guide.page.keyboard.press("Enter")
    expect(guide.state("1.2")).to_contain_text("Done")
    assert guide.page.evaluate("window.did.clicks") == 0


def test_the_keyboard_alone_edits_the_mapping(guide):
    guide.apply("1.3")
    card = guide.card("1.5")
    expect(card.get_by_text("Edit the mapping")).to_be_visible()
    card.focus()  # where the rail leads to
    press_tab_until(guide, "at.matches('#scim-map > summary')", limit=6)
    guide.page.keyboard.press("Enter")
    press_tab_until(guide, "at.name === 'auth0-8'", limit=30)
    guide.page.keyboard.type("app_metadata.nick")  # Tab has selected what was there
    expect(card).to_contain_text("changed, was nickname")
    press_tab_until(guide, "at.textContent === 'Remove'", limit=2)
    guide.page.keyboard.press("Enter")
    expect(card.get_by_role("button", name=re.compile("^Remove row 8: photos"))).to_be_focused()
    press_tab_until(guide, "at.textContent === 'Add a row'", limit=120)
    guide.page.keyboard.press("Enter")
    expect(card.get_by_label("SCIM attribute, row 30", exact=True)).to_be_focused()
    guide.page.keyboard.type("roles")
    guide.page.keyboard.press("Tab")
    guide.page.keyboard.type("app_metadata.roles")
    expect(card.get_by_role("button", name="Plan these rows")).to_be_enabled()
    guide.page.keyboard.press("Enter")
    expect(guide.state("1.5")).to_contain_text("To do")
    expect(card.get_by_role("group", name="What will change")).to_contain_text("app_metadata.roles")
