"""The fleet's page at the address that `lab --fleet` prints: planned by one press, then run, stopped, sifted and opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from tests.browser.lab import running_lab


@pytest.fixture
def fleet(playwright: Playwright, browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """The fleet's page, its tenants planned by its one button."""
    with running_lab(tmp_path, "--fleet") as lab:
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(lab.url)
        expect(page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()
        page.get_by_role("button", name="Run the whole page").click()
        expect(page.get_by_text("Tenants: 5 stopped, 3 to do, 1 already right.")).to_be_visible()
        expect(page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()
        yield page
        context.close()


def button(page: Page, name: str) -> Locator:
    return page.locator("button", has_text=re.compile(rf"^\s*{name}$"))


def test_a_person_plans_sifts_opens_runs_and_reads_how_it_ended(fleet):
    count = fleet.locator("p[role=status]", has_text="of 9 tenants")
    expect(count).to_have_text("9 of 9 tenants")
    fleet.get_by_label("Find", exact=True).fill("half")
    expect(count).to_have_text("1 of 9 tenants")
    fleet.get_by_label("Open", exact=True).select_option("half-done")
    with fleet.context.expect_page() as opened:
        fleet.get_by_role("link", name="report", exact=True).click()
    expect(opened.value).to_have_title(re.compile(r"^half-done: plan, .* UTC · Inbound SCIM$"))
    button(fleet, "Plan: write nothing").click()
    button(fleet, "Run").click()
    expect(fleet.get_by_role("alert").first).to_contain_text("the mode is Plan")
    button(fleet, "Apply").click()
    button(fleet, "Run").click()
    expect(button(fleet, "Stop")).to_be_enabled()
    expect(button(fleet, "Plan")).to_be_disabled()
    expect(fleet.get_by_text("Tenants: 5 stopped, 3 done, 1 already right.")).to_be_visible()
    expect(button(fleet, "Stop")).to_be_disabled()
