"""The hand-over sheet and the report of an undo in a browser: on a small screen, in the dark and on paper."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from runbook_lib.engine.result import StepResult
from runbook_lib.engine.values import Handover
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.handover_sheet import sheet
from runbook_lib.run.report import write_report
from runbook_lib.settings.model import TenantSettings
from tests.browser.lab import BROKEN_WORDS, STICKS_OUT
from tests.builders import GOOD

VALUES = (
    ("Target Object Actions", "Update, Delete"),
    ('emails[type eq "work"].value', "mail, matching precedence 2"),
    ("Match objects using this attribute", "Yes"),
    ("Provision Microsoft Entra ID Groups, Enabled", "No"),
    ("Tenant URL", "https://a-tenant-of-a-long-name.eu.auth0.com/scim/v2/connections/con_AbCdEfGhIjKlMnOp/?aadOptscim062020"),
)
LOOKS = [(width, scheme) for width in (320, 800, 1280) for scheme in ("light", "dark")]
UNDONE = [
    {"step": "-1", "title": "Stop provisioning (step 4.3)", "status": "PLANNED", "reason": "", "remedy": "", "tables": [],
     "diffs": [{"on": "provisioning job", "field": "Provisioning Status", "before": "On", "after": ""}]},
    {"step": "-2", "title": "Keep the test user (step 4.2)", "status": "NOTED", "reason": "Cannot be undone.", "remedy": "",
     "tables": [], "diffs": []},
]  # fmt: skip


def write_sheet(path):
    settings = TenantSettings.from_parameters({**GOOD, "entra_client_id": "", "entra_client_secret": ""})
    task = StepResult("3.12", "Save", "ensure", "HANDOVER", "", handover=Handover("Mappings", ("Choose Save.",), VALUES))
    path.write_text(sheet("handover.html", settings, OLDER_AZURE_AD, [task], datetime(2026, 1, 5, tzinfo=UTC)))


def write_undo(path, mode="plan"):
    write_report(
        path, tenant="contoso", mode=mode, version="0", rows=UNDONE, time="2026-01-05T09:00:00+00:00",
        outcome=("pending", "1 step would change something"), place="Sandbox: nothing real was touched.",
        procedure=OLDER_AZURE_AD,
    )  # fmt: skip


@pytest.fixture
def opened(browser, tmp_path):
    """Open a file that `write` writes, in a width and a colour scheme: opened(write, name, width, scheme)."""
    contexts = []

    def page(write, name, width=1280, scheme="light"):
        write(tmp_path / name)
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        one = contexts[-1].new_page()
        one.goto((tmp_path / name).as_uri())
        return one

    yield page
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize(("write", "name"), [(write_sheet, "handover.html"), (write_undo, "undo.html")], ids=["sheet", "undo"])
def test_no_word_breaks_nothing_sticks_out_and_axe_finds_nothing(write, name, width, scheme, opened):
    page = opened(write, name, width, scheme)
    assert (page.evaluate(BROKEN_WORDS, "body"), page.evaluate(STICKS_OUT)) == ([], 0)
    found = Axe().run(page).response
    assert [(entry["id"], entry["nodes"][0]["html"][:160]) for entry in found["violations"]] == []


@pytest.mark.parametrize(("write", "name"), [(write_sheet, "handover.html"), (write_undo, "undo.html")], ids=["sheet", "undo"])
def test_on_paper_no_word_breaks_and_nothing_sticks_out(write, name, opened):
    page = opened(write, name, 703)  # of A4 within its margins
    page.emulate_media(media="print")
    assert (page.evaluate(BROKEN_WORDS, "body"), page.evaluate(STICKS_OUT)) == ([], 0)


def test_the_report_of_an_undo_numbers_what_it_does_and_leaves_no_cell_empty(opened):
    page = opened(write_undo, "undo.html")
    expect(page.get_by_role("heading", name="What would be taken back")).to_be_visible()
    assert page.locator(".steps > tbody > tr > .step").all_inner_texts() == ["1", "2"]
    assert page.locator(".inner tbody td").all_inner_texts() == ["provisioning job", "Provisioning Status", "On", "(nothing)"]
