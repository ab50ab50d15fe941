"""The whole procedure by clicking, and what a person sees when it may not go on."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import expect

from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from tests.browser.conftest import PICTURES, run_in_kernel, settings_of

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


def restart_kernel(guide):
    """Restart the kernel by JupyterLab's button and start the runbook again."""
    guide.page.get_by_role("button", name="Restart the kernel").click()
    guide.page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(guide.page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()
    guide.start()


def apply_section(guide, section):
    """Press the one button of a section and wait until it has nothing left to press."""
    card = guide.page.locator(f"#section-{section}")
    guide.press(card.get_by_role("button", name=f"Apply section {section}"))
    expect(card.get_by_role("button")).to_have_count(0)


def test_from_the_command_to_the_first_plan_one_click_and_nothing_typed(first_start, record_property, capsys):
    assert (first_start.clicks, first_start.typed) == (1, [])
    record_property("seconds", round(first_start.seconds, 1))
    with capsys.disabled():
        load = f", load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else ""
        print(f"\nfrom `lab` to the plan of step 0.1: {first_start.seconds:.1f} s (wanted: at most 12 on a quiet machine{load})")  # noqa: T201


def test_the_whole_procedure_by_clicking_only(guide, control):
    assert writes(control) == []
    states = guide.states()
    assert list(states) == [step.number for step in OLDER_AZURE_AD.steps]
    assert states["0.1"] == "Checked"
    assert (states["1.2"], states["3.7"], states["4.3"]) == ("To do", "Saved later", "To do")

    for number in ("1.2", "1.3", "2.2", "3.2", "3.3", "3.4", "3.6", "3.12", "4.2", "4.3"):
        guide.apply(number)
    expect(guide.header).to_contain_text("14 of 14 changes")
    assert set(guide.states().values()) <= DONE

    state = entra_state(control)
    [provisioning] = [entry for entry in state["provisioning"].values() if entry["jobs"]]
    [job] = provisioning["jobs"].values()
    assert job["schedule"]["state"] == "Active"

    summary = guide.page.locator("#scim-summary")
    expect(summary).to_contain_text("Done: Entra now tells Auth0 about changes to people")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    assert (guide.lab.page.parent / "fresh" / "report.html").exists()


def test_from_the_plan_to_provisioning_on_in_at_most_six_clicks(guide, control):
    guide.page.evaluate("window.did = {clicks: 0, typed: []}")
    for section in ("1", "2", "3", "4"):
        apply_section(guide, section)
    expect(guide.header).to_contain_text("14 of 14 changes")
    [job] = next(entry for entry in entra_state(control)["provisioning"].values() if entry["jobs"])["jobs"].values()
    assert job["schedule"]["state"] == "Active"
    did = guide.page.evaluate("window.did")
    assert (did["clicks"] <= 6, did["typed"]) == (True, [])


REFUSED = {
    "oid-with-users": ("1.2", "User ids come from the object id"),
    "common-endpoint": ("1.2", "users from other directories sign in"),
    "token-limit": ("2.2", "SCIM tokens already"),
    "no-options-scope": ("0.1", "without its options"),
}


def test_each_refused_tenant_says_why_and_writes_nothing(guide, control):
    tried = 0
    for name, (step, words) in REFUSED.items():
        guide.demo(name)
        expect(guide.state(step)).to_contain_text("Stopped")
        expect(guide.card(step)).to_contain_text(words)
        expect(guide.card(step)).to_contain_text("Accept" if step == "1.2" else "What to do")
        button = guide.card("3.2").get_by_role("button", name="Apply 3.2")
        if button.count():
            button.click()
            expect(guide.state("3.2")).to_contain_text("Skipped")
            tried += 1
        assert writes(control) == []
        assert "Traceback" not in guide.page.content()
    assert tried == 3  # where the options cannot be read, no step can even be planned


def test_a_dangerous_change_is_made_only_after_its_named_acknowledgement(guide, control):
    guide.demo("common-endpoint")
    card = guide.card("1.2")
    accept = card.get_by_role("button", name="Accept and apply 1.2")
    expect(accept).to_be_hidden()
    card.get_by_text("Accept the danger").click()
    typed = card.get_by_label("Type the name of the connection")
    expect(typed).to_have_value("")
    typed.fill("another-connection")
    accept.click()
    told = card.locator(".scim-alert")
    expect(told).to_contain_text("not the name of this connection")
    expect(told).to_be_focused()
    assert 0 < told.bounding_box()["y"] - accept.bounding_box()["y"] < 120
    assert writes(control) == []
    typed.fill("common-endpoint-azure-ad")
    accept.click()
    expect(guide.state("1.2")).to_contain_text("Done")


def test_sections_a_reload_and_a_kernel_restart_in_the_middle_show_the_true_state(guide, control):
    apply_section(guide, "1")
    for number in ("2.2", "3.2"):
        guide.apply(number)
    guide.save()
    guide.page.reload()
    expect(guide.state("3.2")).to_contain_text("Done")
    guide.apply("3.3")

    restart_kernel(guide)
    expect(guide.state("3.3")).to_contain_text("Already right")
    assert [guide.states()[number] for number in ("1.2", "1.3", "3.2")] == ["Already right"] * 3
    # The token's text went with the kernel: its own orphan is replaced, and the rest carried out.
    for section in ("2", "3", "4"):
        apply_section(guide, section)
    expect(guide.header).to_contain_text("14 of 14 changes")
    auth0 = control("GET", "/state")["auth0"]
    connection = next(entry["id"] for entry in auth0["connections"].values() if entry["name"] == "fresh-azure-ad")
    assert len(auth0["scim_tokens"][connection]) == 1


def test_an_error_of_a_service_is_shown_in_plain_words_with_its_remedy(guide, control):
    control("POST", "/faults", [{"service": "auth0", "method": "PATCH", "kind": "403"}])
    guide.card("1.2").get_by_role("button", name="Apply 1.2").click()
    expect(guide.state("1.2")).to_contain_text("Failed")
    expect(guide.card("1.2")).to_contain_text("What to do")
    assert "Traceback" not in guide.page.content()
    guide.card("1.2").get_by_role("button", name="Look again").click()
    expect(guide.state("1.2")).to_contain_text("To do")
    guide.apply("1.2")


def test_what_entra_did_is_shown_under_4_2_also_when_it_failed(guide, control):
    for section in ("1", "2", "3"):
        apply_section(guide, section)
    control("POST", "/faults", [{"service": "scim", "method": "PATCH", "kind": "403"}])
    guide.apply("4.2", ends="Failed")
    table = guide.card("4.2").get_by_role("group", name="What Entra did, step by step")
    expect(table).to_contain_text("Retrieved User 'adele@fresh.onmicrosoft.com'")
    expect(table).to_contain_text("Failure")
    guide.card("4.2").get_by_role("button", name="Look again").click()
    guide.apply("4.2")
    expect(table).to_contain_text("EntryExportUpdate")
    guide.page.locator("#scim-summary").get_by_role("button", name="Write the report").click()
    expect(guide.page.locator("#scim-summary")).to_contain_text("report.html")
    assert "EntryExportUpdate" in (guide.lab.page.parent / "fresh" / "report.html").read_text()


BROKEN = """
from runbook_lib.engine.engine import Engine
whole = Engine.press
def broken(self, number):
    secret = self._tenant.auth0_sign_in._body["client_secret"].reveal()
    raise ZeroDivisionError(f"planted, with {secret}")
Engine.press = broken
"""


@pytest.mark.parametrize("guide", [{"bugs": True}], indirect=True, ids=["planted"])
def test_a_bug_is_one_line_with_a_reference_and_its_details_are_in_the_log(guide):
    row = settings_of(guide.lab, "fresh")
    run_in_kernel(guide.lab, BROKEN)
    guide.card("1.2").get_by_role("button", name="Apply 1.2").click()
    alert = guide.page.locator(".scim-alert")
    expect(alert).to_have_count(1)
    line = alert.inner_text()
    reference = re.fullmatch(r"Something broke that should not \(reference ([0-9a-f]{6})\)\. Details .*", line)
    assert reference
    expect(guide.page.locator(".scim", has=guide.card("1.2")).locator(".scim-alert")).to_have_count(1)  # where one looks
    seen = guide.page.content()
    assert not [words for words in ("Traceback", "ZeroDivisionError", "planted") if words in seen]
    log = (guide.lab.page.parent / "page.log").read_text()
    assert f"reference {reference[1]}" in log
    assert "Traceback (most recent call last)" in log
    assert "ZeroDivisionError: planted, with " in log
    assert row["auth0_client_secret"] not in log
    run_in_kernel(guide.lab, "Engine.press = whole")
    guide.apply("1.2")  # the page lives on
    expect(alert).to_have_count(0)


def test_pictures_for_the_readme(guide, request):
    if not request.config.getoption("--pictures"):
        pytest.skip("pictures are written with --pictures")
    guide.demo("oid-with-users")
    guide.rail.get_by_role("link", name="1.2").click()
    guide.picture("danger")
    guide.demo("fresh")
    expect(guide.state("4.3")).to_contain_text("To do")
    guide.page.get_by_role("link", name="Back to the start").click()
    guide.picture("start")
    guide.rail.get_by_role("link", name="1.2").click()
    guide.picture("plan")
    guide.apply("1.2")
    guide.picture("applied")
    guide.apply("1.3")
    guide.rail.get_by_role("link", name="1.5").click()
    guide.card("1.5").get_by_text("Edit the mapping").click()
    guide.card("1.5").get_by_label("Auth0 attribute, row 2", exact=True).fill("emaill")
    guide.card("1.5").get_by_label("SCIM attribute, row 3", exact=True).fill("externalID")
    expect(guide.card("1.5")).to_contain_text("did you mean externalId")
    guide.card("1.5").locator("#scim-map").evaluate("(editor) => editor.scrollIntoView({block: 'start'})")
    guide.picture("mapping")
    guide.card("1.5").get_by_role("button", name="Undo my edits").click()
    for section in ("2", "3", "4"):
        apply_section(guide, section)
    summary = guide.page.locator("#scim-summary")
    summary.get_by_role("button", name="Write the report").click()
    expect(summary).to_contain_text("report.html")
    summary.evaluate("(end) => end.scrollIntoView({block: 'start'})")
    guide.picture("end", of=summary)
    with guide.page.context.new_page() as report:
        report.goto((guide.lab.page.parent / "fresh" / "report.html").as_uri())
        report.screenshot(path=str(PICTURES / "report.png"))
