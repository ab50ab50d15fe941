"""The whole procedure by clicking, and what a person sees when it may not go on."""

from __future__ import annotations

import os
import time

import pytest
from playwright.sync_api import expect

from runbook_lib.steps import STEPS
from tests.browser.conftest import PICTURES
from tests.browser.lab import running_lab

DONE = {"Done", "Checked", "Already right", "Note"}


def entra_state(control, name="fresh"):
    return next(entry for entry in control("GET", "/state")["entra"].values() if entry["domain"].startswith(f"{name}."))


def writes(control):
    paths = ("/oauth/token", "/v1.0/$batch")
    return [
        f"{entry['method']} {entry['path']}"
        for entry in control("GET", "/history")
        if entry["service"] in ("auth0", "graph") and entry["method"] != "GET" and entry["path"] not in paths
    ]


def test_the_first_plan_is_one_click_and_no_typing_away_within_15_s(playwright, browser, tmp_path):
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 2 * cores:
        pytest.skip(f"the machine is busy with other things (load {load:.0f} on {cores} cores), so that no time means anything")
    seconds = []
    while not seconds or (min(seconds) >= 15 and len(seconds) < 3):  # a first start also fills the disk's cache
        started = time.monotonic()
        with running_lab(tmp_path / str(len(seconds))) as lab, browser.new_page() as page:
            page.goto(lab.url)
            page.get_by_role("button", name="Start the runbook").click()
            expect(page.locator("#step-0-1 .scim-state")).to_contain_text("Checked")
            seconds.append(time.monotonic() - started)
    assert min(seconds) < 15


def test_the_whole_procedure_by_clicking_only(guide, control):
    guide.start()
    assert writes(control) == []
    states = guide.states()
    assert list(states) == [step.number for step in STEPS]
    assert states["0.1"] == "Checked"
    assert (states["1.2"], states["3.7"], states["4.3"]) == ("To do", "Saved later", "To do")

    for number in ("1.2", "1.3", "2.2", "3.2", "3.3", "3.4", "3.6", "3.12", "4.2", "4.3"):
        guide.apply(number)
    expect(guide.rail).to_contain_text("25 of 26 steps done")
    assert set(guide.states().values()) <= DONE

    state = entra_state(control)
    [provisioning] = [entry for entry in state["provisioning"].values() if entry["jobs"]]
    [job] = provisioning["jobs"].values()
    assert job["schedule"]["state"] == "Active"

    summary = guide.page.locator("#scim-summary")
    expect(summary).to_contain_text("Nothing is left to do")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    assert (guide.lab.page.parent / "fresh" / "report.html").exists()


def test_a_section_is_applied_with_one_click(guide, control):
    guide.start()
    for section in ("1", "2", "3", "4"):
        guide.page.locator(f"#section-{section}").get_by_role("button", name=f"Apply section {section}").click()
        expect(guide.page.locator(f"#section-{section}").get_by_role("button")).to_have_count(0)
    expect(guide.rail).to_contain_text("25 of 26 steps done")


@pytest.mark.parametrize(
    ("name", "step", "words"),
    [
        ("oid-with-users", "1.2", "User ids come from the object id"),
        ("common-endpoint", "1.2", "people of other directories sign in"),
        ("token-limit", "2.2", "SCIM tokens already"),
        ("no-options-scope", "0.1", "without its options"),
    ],
)
def test_a_refused_tenant_says_why_and_writes_nothing(name, step, words, guide, control):
    guide.start()
    guide.demo(name)
    expect(guide.state(step)).to_contain_text("Stopped")
    expect(guide.card(step)).to_contain_text(words)
    button = guide.page.get_by_role("button", name="Apply 3.2")
    if button.count():
        button.click()
        expect(guide.state("3.2")).to_contain_text("Skipped")
    assert writes(control) == []
    assert "Traceback" not in guide.page.content()


def test_a_dangerous_change_is_made_only_after_its_named_acknowledgement(guide, control):
    guide.start()
    guide.demo("common-endpoint")
    accept = guide.card("1.2").get_by_role("button", name="Accept and apply 1.2")
    accept.click()
    assert writes(control) == []  # the box was not ticked, so the browser keeps the form
    guide.card("1.2").get_by_role("checkbox").check()
    accept.click()
    expect(guide.state("1.2")).to_contain_text("Done")


def test_reload_and_kernel_restart_in_the_middle_show_the_true_state(guide, control):
    guide.start()
    for number in ("1.2", "1.3", "2.2", "3.2"):
        guide.apply(number)
    guide.save()
    guide.page.reload()
    expect(guide.state("3.2")).to_contain_text("Done")
    guide.apply("3.3")

    guide.page.get_by_role("button", name="Restart the kernel").click()
    guide.page.get_by_role("button", name="Confirm Kernel Restart").click()
    guide.page.get_by_role("button", name="Start the runbook").click()
    expect(guide.state("3.3")).to_contain_text("Already right")
    assert [guide.states()[number] for number in ("1.2", "1.3", "3.2")] == ["Already right"] * 3
    # The token's text went with the kernel: its own orphan is replaced, and the rest carried out.
    for number in ("2.2", "3.4", "3.6", "3.12", "4.2", "4.3"):
        guide.apply(number)
    expect(guide.rail).to_contain_text("25 of 26 steps done")


def test_an_error_of_a_service_is_shown_in_plain_words_with_its_remedy(guide, control):
    guide.start()
    control("POST", "/faults", [{"service": "auth0", "method": "PATCH", "kind": "403"}])
    guide.card("1.2").get_by_role("button", name="Apply 1.2").click()
    expect(guide.state("1.2")).to_contain_text("Failed")
    expect(guide.card("1.2")).to_contain_text("What to do")
    guide.card("1.2").get_by_role("button", name="Look again").click()
    expect(guide.state("1.2")).to_contain_text("To do")
    guide.apply("1.2")


def test_pictures_for_the_readme(guide, request):
    if not request.config.getoption("--pictures"):
        pytest.skip("pictures are written with --pictures")
    guide.start()
    guide.picture("start")
    guide.rail.get_by_role("link", name="1.2").click()
    guide.picture("plan")
    for number in ("1.2", "1.3"):
        guide.apply(number)
    guide.rail.get_by_role("link", name="1.2").click()
    guide.picture("applied")
    for section in ("2", "3", "4"):
        guide.page.locator(f"#section-{section}").get_by_role("button", name=f"Apply section {section}").click()
        expect(guide.page.locator(f"#section-{section}").get_by_role("button")).to_have_count(0)
    guide.page.locator("#scim-summary").get_by_role("button", name="Write the report").click()
    expect(guide.page.locator("#scim-summary")).to_contain_text("report.html")
    guide.page.goto((guide.lab.page.parent / "fresh" / "report.html").as_uri())
    guide.page.screenshot(path=str(PICTURES / "report.png"))
