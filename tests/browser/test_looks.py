"""The page in a person's own colours, without motion, and on paper."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from runbook_lib.page import panel as surface
from tests.browser.test_access import complaints, nothing_sticks_out
from tests.browser.test_surface import page  # noqa: F401 - a fixture

INK_AND_GROUND = "(label) => [getComputedStyle(label).color, getComputedStyle(label.closest('jp-button')).backgroundColor]"


def test_in_a_persons_own_colours_every_word_is_seen_and_what_is_chosen_has_a_border(guide):
    guide.page.emulate_media(forced_colors="active")
    try:
        ink, ground = guide.page.get_by_text("Start the runbook", exact=True).first.evaluate(INK_AND_GROUND)
        assert (ink, ground) == ("rgb(255, 255, 255)", "rgb(52, 71, 197)")
        border = "(pill) => getComputedStyle(pill).borderTopWidth"
        assert {pill.evaluate(border) for pill in guide.page.locator(".scim-state:visible").all()} == {"1px"}
        marks = guide.card("1.3").locator(".scim-sketch .ground")
        assert marks.evaluate("(part) => getComputedStyle(part).stroke") == "rgb(0, 0, 0)"
        assert nothing_sticks_out(guide)
        assert complaints(guide) == []
    finally:
        guide.page.emulate_media(forced_colors="none")


def test_nothing_turns_where_a_person_wants_no_motion(page):  # noqa: F811
    page.add_style_tag(content=(surface._HERE / "panel.css").read_text())
    page.evaluate("begin", '<span class="scim-turning">Working</span>')
    turns = "(at) => getComputedStyle(at, '::before').animationName"
    assert page.locator(".scim-turning").evaluate(turns) == "scim-turn"
    page.emulate_media(reduced_motion="reduce")
    assert page.locator(".scim-turning").evaluate(turns) == "none"


def test_on_paper_the_whole_page_is_there_unfolded_and_without_buttons(guide):
    guide.apply("1.2")
    try:
        guide.page.emulate_media(media="print")
        guide.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert guide.page.evaluate("document.documentElement.scrollHeight") > 10 * 900
        expect(guide.line("3.12").locator("table").first).to_be_visible()
        expect(guide.page.get_by_role("heading", name=re.compile("^3.12"))).to_be_visible()
        expect(guide.page.locator(".scim button:visible")).to_have_count(0)
        scrolls = guide.page.locator(".scim-scroll:visible").evaluate_all("all => all.map((e) => e.scrollWidth - e.clientWidth)")
        assert max(scrolls) <= 1
    finally:
        guide.page.evaluate("dispatchEvent(new Event('afterprint'))")
        guide.page.emulate_media(media="screen")
    expect(guide.line("3.12").locator("table").first).to_be_hidden()
