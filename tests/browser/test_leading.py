"""What leads a person: the header, Enter to the next step, errors at the button, a page that says that it is dead."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LET_GO, run_in_kernel, settings_of
from tests.browser.lab import BROKEN_WORDS, STICKS_OUT
from tests.browser.test_connect import practise, sign_in_to_auth0

SIZES = ((1440, 900), (1024, 800), (800, 900), (390, 844), (640, 450), (320, 225))  # the last two: 200 and 400 % zoom


def test_after_apply_the_next_step_is_one_enter_away_and_the_done_one_folds_to_its_proof(guide):
    expect(guide.header).to_contain_text("SANDBOX")
    expect(guide.header).to_contain_text("0 of 14 changes")
    guide.apply("1.2")
    following = guide.card("1.2").get_by_role("button", name="Next: 1.3")
    expect(following).to_be_focused()
    guide.page.keyboard.press("Enter")
    expect(guide.line("1.3").get_by_role("button", name="Apply 1.3")).to_be_focused()
    expect(guide.line("1.2").locator(".scim-fold")).not_to_have_attribute("open", "")
    expect(guide.line("1.2").locator(".scim-proof")).to_contain_text(
        "User ID attribute type: (absent: Auth0 treats it as sub) → sub"
    )
    guide.page.keyboard.press("Enter")
    expect(guide.state("1.3")).to_contain_text("Done")
    expect(guide.header).to_contain_text("3 of 14 changes")  # step 1.4 is already right then


@pytest.mark.parametrize("number", ["0.2", "3.3", "4.3"])
def test_the_first_click_in_the_rail_on_a_folded_step_brings_its_words_and_its_card_into_view(guide, number):
    guide.rail.get_by_role("link", name=number).click()
    expect(guide.line(number).locator("summary").first).to_be_in_viewport()
    expect(guide.page.get_by_role("heading", name=re.compile(f"^{number} "))).to_be_in_viewport()
    expect(guide.line(number)).to_be_focused()


def test_start_pressed_again_leads_back_to_the_start(guide):
    guide.rail.get_by_role("link", name="4.3").click()
    guide.start()
    expect(guide.start_card.get_by_role("heading", name="Connect")).to_be_in_viewport()


def test_the_drawer_closes_by_escape_and_gives_the_focus_back(guide):
    guide.page.set_viewport_size({"width": 800, "height": 900})
    try:
        opener = guide.header.get_by_role("button", name="☰ Steps")
        opener.click()
        expect(guide.rail).to_be_visible()
        guide.page.keyboard.press("Escape")
        expect(guide.rail).to_be_hidden()
        expect(opener).to_be_focused()
        expect(opener).to_have_attribute("aria-expanded", "false")
    finally:
        guide.page.set_viewport_size({"width": 1280, "height": 900})


def test_a_tenant_of_an_earlier_run_fills_the_form_and_leads_to_the_secret(guide):
    row = settings_of(guide.lab, "fresh")
    settings = {
        name: value for name, value in row.items() if value and name not in ("auth0_client_secret", "entra_client_secret")
    }
    place = guide.lab.folder / "20200101-090000-1" / "contoso"
    place.mkdir(parents=True)
    settings |= {"name": "contoso", "cloud": "public", "auth0_domain": "contoso.eu.auth0.com", "auth0_client_secret": "env:NONE"}
    (place / "settings.json").write_text(json.dumps(settings))
    try:
        run_in_kernel(guide.lab, LET_GO)
        guide.start()
        guide.page.get_by_label("Go on with an earlier run").check()
        guide.start_card.get_by_role("button", name="Go on with contoso").click()
        expect(guide.page.get_by_label("Auth0 domain")).to_have_value("contoso.eu.auth0.com")
        expect(guide.page.get_by_label("Client secret", exact=True)).to_be_focused()
        expect(guide.header).to_contain_text("REAL TENANT")
    finally:
        shutil.rmtree(place.parent)


def test_a_done_step_is_taken_back_from_its_folded_line(guide):
    for number in ("1.2", "1.3"):
        guide.apply(number)
    guide.rail.get_by_role("button", name="Fold all", exact=True).click()
    guide.line("1.3").get_by_role("button", name="Undo step 1.3").click()
    end = guide.page.locator("#scim-summary")
    expect(end).to_contain_text("Step 1.3 and what was written after it")
    end.get_by_role("button", name="Take this back").click()
    expect(guide.header).to_contain_text("1 of 14 changes")
    assert (guide.states()["1.2"], guide.states()["1.3"]) == ("Already right", "To do")


def test_start_pressed_again_signs_nobody_out(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    sign_in_to_auth0(guide, row)
    guide.page.evaluate("document.getElementById('scim-start').setAttribute('data-before', '')")
    guide.page.get_by_role("button", name="Start the runbook").click()
    again = guide.page.locator("#scim-start:not([data-before])")
    expect(again.get_by_text("Signed in as").first).to_be_visible()
    expect(again.get_by_label("Set up my tenant")).to_be_checked()
    expect(again.get_by_text("✓ Connected")).to_have_count(0)


def test_an_error_stands_under_the_button_takes_the_focus_and_costs_one_field(guide):
    row = settings_of(guide.lab, "fresh")
    practise(guide)
    guide.page.get_by_label("Auth0 domain").fill(row["auth0_domain"])
    guide.page.get_by_label("Client id", exact=True).fill("another-client")
    guide.page.get_by_label("Client secret", exact=True).fill(row["auth0_client_secret"])
    press = guide.page.get_by_role("button", name="Sign in to Auth0")
    press.click()
    trouble = guide.start_card.get_by_role("alert")
    expect(trouble).to_be_focused()
    expect(trouble).to_be_in_viewport()
    assert 0 < trouble.bounding_box()["y"] - press.bounding_box()["y"] < 120
    expect(guide.page.get_by_label("Client secret", exact=True)).to_have_attribute("placeholder", "kept in memory")
    guide.page.get_by_label("Client id", exact=True).fill(row["auth0_client_id"])
    press.click()
    expect(guide.start_card.get_by_text("Signed in as").first).to_be_visible()


def test_a_page_without_its_kernel_says_so_and_comes_back_with_the_next_start(guide):
    guide.page.get_by_role("button", name="Restart the kernel").click()
    guide.page.get_by_role("button", name="Confirm Kernel Restart").click()
    guide.card("1.2").get_by_role("button", name="Apply 1.2").click()
    bar = guide.page.locator(".scim-dead")
    expect(bar).to_contain_text("What was written is safe and on record")
    expect(bar).to_contain_text("Start the runbook")
    guide.start()
    expect(bar).to_have_count(0)


def test_a_run_is_taken_back_on_the_page_and_the_sandbox_starts_over(guide, control):
    for number in ("1.2", "1.3"):
        guide.apply(number)
    end = guide.page.locator("#scim-summary")
    end.locator("#scim-undo").evaluate("(fold) => { fold.open = true; }")
    end.get_by_role("button", name="Show what would be taken back").click()
    expect(end.get_by_role("group", name="What would be taken back")).to_contain_text("step 1.3")
    end.get_by_role("button", name="Take all of it back").click()
    expect(guide.header).to_contain_text("0 of 14 changes")
    guide.apply("1.2")
    end.locator("#scim-reset").evaluate("(fold) => { fold.open = true; }")
    end.get_by_role("button", name="Start the sandbox over").click()
    expect(guide.header).to_contain_text("0 of 14 changes")
    connection = next(c for c in control("GET", "/state")["auth0"]["connections"].values() if c["name"] == "fresh-azure-ad")
    assert "userid_attribute" not in connection["options"]


def test_the_report_is_opened_and_the_calendar_file_downloaded_from_the_page(guide):
    end = guide.page.locator("#scim-summary")
    end.get_by_role("button", name="Write the report").click()
    expect(end.get_by_role("link", name="Open Report")).to_have_attribute("href", re.compile("^/files/fresh/report.html$"))
    with guide.page.expect_popup() as opened:
        end.get_by_role("link", name="Open Report").click()
    expect(opened.value.get_by_role("heading").first).to_be_visible()
    opened.value.set_viewport_size({"width": 390, "height": 844})
    assert (opened.value.evaluate(STICKS_OUT), opened.value.evaluate(BROKEN_WORDS, "body")) == (0, [])
    opened.value.emulate_media(media="print")
    assert opened.value.evaluate(BROKEN_WORDS, "body") == []
    opened.value.close()


def test_every_button_has_a_name_of_its_own_for_a_screen_reader(guide):
    guide.page.get_by_role("button", name="Unfold all").click()
    names = guide.page.evaluate(
        "[...document.querySelectorAll('.scim button')].filter((one) => one.checkVisibility())"
        ".map((one) => one.getAttribute('aria-label') ?? one.textContent.trim())"
    )
    assert len(names) > 30
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_stop_sends_nothing_more(guide, control):
    control("POST", "/faults", [{"service": "auth0", "method": "PATCH", "kind": "slow"}])
    guide.card("1.2").get_by_role("button", name="Apply 1.2").click()
    guide.header.get_by_role("button", name="Stop").click()
    expect(guide.header.get_by_role("button", name="Stop")).to_have_count(0)
    assert guide.states()["1.3"] == "To do"


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_page_is_usable_at_every_width_and_zoom(guide, width, height):
    guide.page.set_viewport_size({"width": width, "height": height})
    try:
        widths = guide.page.evaluate("[...document.querySelectorAll('.scim')].map((e) => e.scrollWidth - e.clientWidth)")
        assert max(widths) <= 0
        expect(guide.header.get_by_text("SANDBOX")).to_be_in_viewport()
        if width < 1100:
            expect(guide.rail).to_be_hidden()
            guide.header.get_by_role("button", name="☰ Steps").click()
        guide.rail.get_by_role("link", name="1.2").click()
        expect(guide.line("1.2")).to_be_in_viewport()
        words = guide.page.locator(".scim-state:visible, .scim-word:visible")
        broken = words.evaluate_all("words => words.filter((word) => word.getClientRects().length > 1).length")
        assert (broken, guide.page.evaluate(BROKEN_WORDS, ".scim")) == (0, [])
    finally:
        guide.page.set_viewport_size({"width": 1280, "height": 900})


def test_the_way_of_a_real_tenant_asks_for_the_number_of_people_before_it_turns_on(guide):
    run_in_kernel(guide.lab, "session._desk.where = 'real'; session._desk.draw()")
    for number in ("1.2", "1.3", "2.2", "3.2", "3.3", "3.4", "3.6", "3.12", "4.2"):
        guide.apply(number)
    card = guide.card("4.3")
    typed = card.get_by_label("type the number of people")
    typed.fill("3")
    card.get_by_role("button", name="Apply 4.3").click()
    expect(guide.page.locator(".scim-alert")).to_contain_text("another number of people than 3")
    told = re.search(r"forecast: (\d+) update", card.inner_text())
    assert told
    typed.fill(told[1])
    card.get_by_role("button", name="Apply 4.3").click()
    expect(guide.state("4.3")).to_contain_text("Done")
