"""A table of many rows on the page: found in, sorted, counted, and left as the person arranged it when the page draws again."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from runbook_lib.core.templates import template
from runbook_lib.engine.values import Table
from runbook_lib.page import panel
from tests.browser.test_surface import page  # noqa: F401 - a fixture

MANY = Table(
    "Who has access", ("name", "type"), tuple((f"Person {n}", "Group" if n % 50 == 0 else "User") for n in range(1, 251))
)
FEW = Table("SCIM tokens", ("token", "used"), (("token 1", "never"),))


def drawn(table):
    card = template("page/parts.html.j2").module.table(table)
    return f'<section class="scim-card">{card}</section>'


def names(page):  # noqa: F811
    return page.locator("tbody tr:visible td:first-child").all_inner_texts()


def test_a_long_table_can_be_searched_and_says_how_many_rows_are_shown(page):  # noqa: F811
    page.evaluate("begin", drawn(MANY))
    expect(page.get_by_role("status")).to_have_text("250 rows")
    page.get_by_label("Find in “Who has access”").fill("group 1")
    assert names(page) == ["Person 100", "Person 150"]
    expect(page.get_by_role("status")).to_have_text("2 of 250 rows")
    page.get_by_label("Find in “Who has access”").fill("nobody of that name")
    expect(page.get_by_role("status")).to_have_text("0 of 250 rows")


def test_a_long_table_is_sorted_as_people_count_and_by_keyboard_too(page):  # noqa: F811
    page.evaluate("begin", drawn(MANY))
    button = page.get_by_role("button", name="name")
    button.click()
    assert names(page)[:3] == ["Person 1", "Person 2", "Person 3"]
    button.press("Enter")
    assert names(page)[:3] == ["Person 250", "Person 249", "Person 248"]
    expect(page.get_by_role("columnheader", name="name")).to_have_attribute("aria-sort", "descending")


def test_what_a_person_looks_for_and_sorts_by_outlives_a_new_drawing(page):  # noqa: F811
    page.evaluate("begin", drawn(MANY))
    page.get_by_label("Find in “Who has access”").fill("Person 24")
    page.get_by_role("button", name="name").click()
    page.get_by_role("button", name="name").click()
    before = names(page)
    page.evaluate("draw", drawn(MANY))
    assert (names(page), before[0], len(before)) == (before, "Person 249", 13)
    expect(page.get_by_role("status")).to_have_text("13 of 250 rows")


def test_the_rows_that_are_shown_are_copied_as_csv(page):  # noqa: F811
    page.evaluate(
        "Object.defineProperty(navigator, 'clipboard', {value: {writeText: async (text) => { window.copied = text; }}})"
    )
    page.evaluate("begin", drawn(MANY))
    page.get_by_label("Find in “Who has access”").fill("group 1")
    page.get_by_role("button", name="Copy “Who has access” as CSV").click()
    page.wait_for_function("!!window.copied")
    assert page.evaluate("window.copied").splitlines() == ['"name","type"', '"Person 100","Group"', '"Person 150","Group"']


def test_a_short_table_has_no_controls(page):  # noqa: F811
    page.evaluate("begin", drawn(FEW))
    assert (page.get_by_role("searchbox").count(), page.get_by_role("button").count()) == (0, 0)


@pytest.mark.parametrize("table", [MANY, FEW], ids=["long", "short"])
def test_axe_finds_nothing_in_a_table(table, page):  # noqa: F811
    style = (panel._HERE / "panel.css").read_text()
    page.add_style_tag(content=style)
    page.evaluate("begin", drawn(table))
    found = Axe().run(page, context=".scim", options={"resultTypes": ["violations"]}).response
    assert [(entry["id"], node["html"][:160]) for entry in found["violations"] for node in entry["nodes"]] == []
