"""What a person sees at the address that `lab` prints, before anything is pressed, and what a slip of the hand does to it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.lab import running_lab

KEYS = ("d d", "x", "a", "b", "m", "y", "r", "1", "v", "Shift+M", "Control+Shift+ArrowDown", "Enter")


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """A `lab` of its own: in the shared one cells have run, and an open page objects when its file changes on disk."""
    with running_lab(tmp_path_factory.mktemp("first-screen")) as started:
        yield started


def opened(lab, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(lab.url)
    expect(page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()
    return page


def cells(page):
    """Kind and text of each cell, in order, as they are seen; the mark that JupyterLab shows under the mouse does not count."""
    return page.locator(".jp-Notebook .jp-Cell").evaluate_all(
        "cells => cells.map(cell => [cell.className.match(/jp-(Code|Markdown|Raw)Cell/)[1], cell.innerText.replaceAll('¶', '')])"
    )


def test_the_printed_address_shows_the_page_alone_and_what_to_press(lab, browser):
    page = opened(lab, browser)
    expect(page.get_by_role("button", name="Start the runbook")).to_be_visible()
    expect(page.locator(".jp-Cell").first).to_contain_text("Press Start the runbook above.")
    expect(page.locator(".jp-Cell").first).to_be_in_viewport()
    assert page.locator(".jp-CodeCell").count() > 20
    assert [one for one in page.locator(".jp-CodeCell .jp-Cell-inputWrapper").all() if one.is_visible()] == []
    for absent in ("#filebrowser", ".lm-DockPanel-tabBar", ".jp-cell-toolbar"):
        expect(page.locator(absent).filter(visible=True)).to_have_count(0)
    page.close()


def test_keys_pressed_by_accident_change_no_cell(lab, browser):
    page = opened(lab, browser)
    heading = page.get_by_role("heading", name="1.2", exact=False).first
    heading.click()
    before = cells(page)
    for keys in KEYS:
        heading.click()
        for key in keys.split():
            page.keyboard.press(key)
        page.keyboard.press("Escape")
        assert cells(page) == before, keys
    heading.dblclick()  # JupyterLab shows the source then, and lets nothing be typed into it
    page.keyboard.type("gone")
    source = page.locator(".jp-Cell.jp-mod-selected")
    expect(source).to_contain_text("## 1.2 ")
    assert "gone" not in source.inner_text()
    page.keyboard.press("Shift+Enter")
    assert cells(page) == before
    page.close()
