"""The summary of a fleet in a browser: found and sifted by keyboard and mouse, nothing from outside, nothing axe objects to."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from runbook_lib.batch.summary import TenantRow, summary_html
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.tenant.forecast.fate import Fate
from tests.browser.lab import STICKS_OUT

TENANTS = 300
ENDS = (("done", "PASSED"), ("failed", "FAILED"), ("handover", "HANDOVER"), ("pending", "PLANNED"), ("not-started", ""))


def a_tenant(number):
    status, result = ENDS[number % len(ENDS)]
    about = {"step": "3.6", "reason": f"says {result}", "remedy": f"mend {result}"}
    steps = {step.number: {**about, "step": step.number, "status": "PASSED"} for step in OLDER_AZURE_AD if step.number < "3.6"}
    steps |= {"3.6": {**about, "status": result}}
    files = (("report", "report.html"), ("hand-over", "handover.html"))
    fates = dict.fromkeys(map(str, Fate), 248)
    return TenantRow(
        f"tenant-{number:04d}", status, "why", f"tenant-{number:04d}", 3.0, steps if result else {}, files, forecast=fates
    )


@pytest.fixture
def summary(browser, request, tmp_path):
    """The page of 300 tenants, opened from disk, and every address it asked for."""
    width, scheme = getattr(request, "param", (1280, "light"))
    (tmp_path / "summary.html").write_text(summary_html([a_tenant(number) for number in range(TENANTS)], OLDER_AZURE_AD))
    context = browser.new_context(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page, page_errors, asked = context.new_page(), [], []
    page.on("pageerror", lambda error: page_errors.append(str(error)))
    page.on("request", lambda one: asked.append(one.url))
    page.goto((tmp_path / "summary.html").as_uri())
    yield page
    assert (page_errors, {url.partition(":")[0] for url in asked}) == ([], {"file"})
    context.close()


@pytest.mark.parametrize("summary", [(w, s) for w in (390, 1280, 1920) for s in ("light", "dark")], indirect=True)
def test_axe_finds_nothing_and_nothing_sticks_out(summary):
    found = Axe().run(summary).response
    assert "color-contrast" in {entry["id"] for entry in found["passes"]}
    assert [(entry["id"], entry["nodes"][0]["html"][:160]) for entry in found["violations"]] == []
    assert summary.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("summary", [(w, "light") for w in (390, 1280, 1920)], indirect=True)
def test_each_step_has_a_column_of_its_own_next_to_the_forecast(summary):
    heads = summary.locator(".matrix thead tr:nth-child(2) th:not(.who)")
    assert heads.count() == 2 + len(OLDER_AZURE_AD.numbers) + len(Fate)
    boxes = heads.evaluate_all("all => all.map((head) => [head.offsetWidth, head.scrollWidth - head.clientWidth])")
    assert (min(width for width, _ in boxes) >= 24, max(hidden for _, hidden in boxes)) == (True, 0)


@pytest.mark.parametrize("summary", [(w, "light") for w in (703, 1047)], indirect=True)
def test_on_paper_nothing_sticks_out(summary):
    """Of A4 within its margins, upright and across."""
    summary.emulate_media(media="print")
    assert summary.evaluate(STICKS_OUT) == 0


def test_tenants_are_found_by_text_status_and_step(summary):
    shown, rows = summary.locator("output"), summary.locator(".matrix tbody tr:visible")
    summary.get_by_label("Find", exact=True).fill("mend failed")
    expect(shown).to_have_text("60 of 300 shown")
    summary.get_by_role("button", name="Show all").click()
    summary.get_by_label("Done 60").uncheck()
    expect(shown).to_have_text("240 of 300 shown")
    summary.get_by_label("Step", exact=True).select_option(label="3.6 Paste the token, test the connection and save")
    summary.get_by_label("is", exact=True).select_option("HANDOVER")
    expect(shown).to_have_text("60 of 300 shown")
    assert rows.count() == 60
    expect(summary.locator(".todo tbody tr:visible")).to_have_count(1)
    summary.get_by_role("button", name="Show all").click()
    summary.get_by_label("Order", exact=True).select_option("by status")
    expect(rows.first).to_contain_text("Failed")


def test_the_keyboard_sifts_and_leads_from_a_red_mark_to_its_remedy(summary):
    summary.keyboard.press("Tab")
    summary.keyboard.type("tenant-0001")
    expect(summary.locator("output")).to_have_text("1 of 300 shown")
    for _ in range(4):
        summary.keyboard.press("Tab")
    summary.keyboard.press("Space")  # another status is left out: nothing changes for this tenant
    expect(summary.locator("output")).to_have_text("1 of 300 shown")
    mark = summary.get_by_label("tenant-0001, 3.6: Failed, what to do")
    mark.focus()
    summary.keyboard.press("Enter")
    expect(summary.locator("tr:target")).to_contain_text("mend FAILED")
