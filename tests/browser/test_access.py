"""For everybody: axe finds nothing in what is ours, the keyboard is enough, light and dark, narrow and wide."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

SIGHTS = [{"width": width, "dark": dark} for width in (1280, 1920) for dark in (False, True)]


def dark(guide):
    """Choose JupyterLab's dark theme as a person would."""
    guide.page.get_by_role("menuitem", name="Settings").click()
    guide.page.get_by_text("Theme", exact=True).hover()
    guide.page.get_by_text("JupyterLab Dark", exact=True).click()
    expect(guide.page.locator("body[data-jp-theme-light=false]")).to_have_count(1)


def light(guide):
    guide.page.get_by_role("menuitem", name="Settings").click()
    guide.page.get_by_text("Theme", exact=True).hover()
    guide.page.get_by_text("JupyterLab Light", exact=True).click()


def complaints(guide):
    found = Axe().run(guide.page, context=".scim", options={"resultTypes": ["violations"]}).response["violations"]
    return [(entry["id"], node["html"][:160]) for entry in found for node in entry["nodes"]]


@pytest.mark.parametrize(
    "guide", SIGHTS, indirect=True, ids=lambda sight: f"{sight['width']}-{'dark' if sight['dark'] else 'light'}"
)
def test_axe_finds_nothing_in_plan_proof_refusal_and_forms(guide, request):
    sight = request.node.callspec.params["guide"]
    guide.start()
    if sight["dark"]:
        dark(guide)
    try:
        assert complaints(guide) == []
        guide.apply("1.2")
        assert complaints(guide) == []
        guide.demo("common-endpoint")
        assert complaints(guide) == []
        guide.page.get_by_label("Real tenant").check()
        expect(guide.page.get_by_label("Auth0 domain")).to_be_visible()
        assert complaints(guide) == []
        widths = guide.page.evaluate("[...document.querySelectorAll('.scim')].map((e) => e.scrollWidth - e.clientWidth)")
        assert max(widths) <= 0
    finally:
        if sight["dark"]:
            light(guide)


def test_the_keyboard_alone_plans_jumps_and_applies(guide):
    guide.start()
    row = guide.rail.get_by_role("link", name="1.2")
    row.focus()
    guide.page.keyboard.press("Enter")
    expect(guide.card("1.2")).to_be_focused()
    for _ in range(8):
        guide.page.keyboard.press("Tab")
        if guide.page.evaluate("document.activeElement.textContent") == "Apply 1.2":
            break
    guide.page.keyboard.press("Enter")
    expect(guide.state("1.2")).to_contain_text("Done")
