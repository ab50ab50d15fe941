"""One lab, one page and one kernel for all browser tests; each test finds sandbox, folder and form as new."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import websocket
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

from tests.browser.lab import CHROMIUM_FLAGS, Lab, chromium, running_lab
from tests.patience import PATIENCE_S

PICTURES = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures"
NARROW = {"width": 1280, "height": 900}
PATIENCE_MS = PATIENCE_S * 1000
expect.set_options(timeout=PATIENCE_MS / 2)
SAMPLE = (  # what runs with the other tests before anything lands; all of them take minutes
    "test_the_printed_address_shows_the_page_alone_and_what_to_press",
    "test_keys_pressed_by_accident_change_no_cell",
    "test_from_the_command_to_the_first_plan_one_click_and_nothing_typed",
    "test_the_whole_procedure_by_clicking_only",
    "test_each_refused_tenant_says_why_and_writes_nothing",
    "test_sections_a_reload_and_a_kernel_restart_in_the_middle_show_the_true_state",
    "test_hand_over_from_sheet_and_token_to_verification",
    "test_secrets_being_typed_are_in_no_saved_notebook_even_with_widget_state",
    "test_the_keyboard_alone_starts_plans_jumps_and_applies",
    "test_a_tenant_is_connected_by_six_typed_fields_at_most_and_no_secret_is_saved",
    "test_a_person_signs_in_by_device_code_while_the_page_stays_alive",
    "test_axe_finds_nothing_in_plan_proof_editor_refusal_and_forms[1280-light]",
    "test_axe_finds_nothing_in_plan_proof_editor_refusal_and_forms[1920-dark]",
    "test_typed_secrets_stay_while_notes_come_and_go_and_the_way_to_sign_in_changes",
    "test_an_answer_to_what_was_typed_before_does_not_undo_what_is_typed_since",
    "test_the_keyboard_sifts_and_leads_from_a_red_mark_to_its_remedy",
    "test_a_long_table_can_be_searched_and_says_how_many_rows_are_shown",
    "test_what_a_person_looks_for_and_sorts_by_outlives_a_new_drawing",
    "test_axe_finds_nothing_in_a_table[long]",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put these tests last, for Playwright keeps an event loop running in this thread, and leave out what is not asked for."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent == here)
    if config.getoption("--browser") == "sample":
        for item in items:
            if item.path.parent == here and item.name not in SAMPLE:
                item.add_marker(pytest.mark.skip(reason="not in the sample: give --browser"))


@pytest.fixture(scope="session")
def playwright(request: pytest.FixtureRequest) -> Iterator[Playwright]:
    if not request.config.getoption("--browser"):
        pytest.skip("give --browser: these tests take some minutes")
    if chromium() is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_FLAGS, headless=True)
    yield started
    started.close()


@pytest.fixture(scope="session")
def lab(playwright: Playwright, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running_lab(tmp_path_factory.mktemp("lab")) as started:
        yield started


@dataclass
class Guide:
    """The runbook in a browser, as a person has it before them."""

    lab: Lab
    page: Page

    def open(self) -> None:
        """Open the page and wait until its kernel is there."""
        self.page.goto(self.lab.url)
        self.kernel_is_idle()

    def kernel_is_idle(self) -> None:
        """Wait until no cell runs. JupyterLab takes the focus when the last of them has run."""
        expect(self.page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()

    def start(self) -> None:
        """Press Start and wait for the plan. Where the page was started before, its cells are run again, as by a person."""
        self.page.evaluate("document.getElementById('scim-start')?.setAttribute('data-before', '')")
        self.page.get_by_role("button", name="Start the runbook").click()
        expect(self.page.locator("#scim-start:not([data-before])").get_by_text("✓ Connected")).to_be_visible()
        self.kernel_is_idle()

    @property
    def start_card(self) -> Locator:
        return self.page.locator("#scim-start")

    @property
    def rail(self) -> Locator:
        return self.page.get_by_role("navigation", name="Steps")

    @property
    def header(self) -> Locator:
        return self.page.locator(".scim-header")

    def line(self, number: str) -> Locator:
        """The line of a step, folded or not as the page has it."""
        return self.page.locator(f"#step-{number.replace('.', '-')}")

    def card(self, number: str) -> Locator:
        """The card of a step, unfolded first where it is a line."""
        self.line(number).evaluate("card => { const fold = card.querySelector('.scim-fold'); if (fold) fold.open = true; }")
        return self.line(number)

    def state(self, number: str) -> Locator:
        return self.card(number).locator(".scim-state")

    def states(self) -> dict[str, str]:
        """The words of the rail, by step."""
        rows = self.rail.locator("li a").all()
        return {row.locator("span").nth(1).inner_text(): row.locator(".scim-word").inner_text() for row in rows}

    def press(self, button: Locator) -> None:
        """Click a button, again where the page moved between pressing and releasing: a browser counts that as no click on it."""
        for _ in range(5):
            self.page.evaluate("window.hit = null")
            button.click()
            if self.page.evaluate("window.hit"):
                return
        raise AssertionError(f"the page never keeps still under {button}")

    def apply(self, number: str, *, ends: str = "Done") -> None:
        self.press(self.card(number).get_by_role("button", name=f"Apply {number}"))
        expect(self.state(number)).to_contain_text(ends)
        self.at_rest()

    def at_rest(self) -> None:
        """Wait until the page works no longer: until then cards fold and unfold, and a button may move from under a click."""
        expect(self.page.locator(".scim-work")).to_have_count(0)

    def demo(self, name: str) -> None:
        """Choose another tenant of the sandbox and wait for its plan."""
        self.page.get_by_label("Demo tenant").select_option(name)
        expect(self.start_card.locator("td", has_text=f"{name}-azure-ad")).to_be_visible()
        expect(self.start_card.get_by_text(re.compile("✓ Connected|has stopped"))).to_be_visible()

    def save(self) -> str:
        """Save the notebook as the person would, and return what is on disk."""
        before = self.lab.page.stat().st_mtime_ns
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            # JupyterLab ignores this while it still waits for the answer to the save before.
            self.page.get_by_role("button", name=re.compile("^Save")).first.click()
            self.page.wait_for_timeout(100)
            text = self.lab.page.read_text(encoding="utf-8")
            if self.lab.page.stat().st_mtime_ns != before and text.rstrip().endswith("}"):
                return text
        raise AssertionError("the notebook was not saved")

    def left(self) -> dict[Path, str]:
        """What is on disk, by file; those that JupyterLab renames while it saves are found by their lasting name."""
        found = {}
        for path in self.lab.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file() and not path.name.startswith(".~"):
                    found[path] = path.read_text(errors="replace")
        return found

    def picture(self, name: str, of: Locator | None = None) -> None:
        """Keep what is seen, or a piece of it, where pictures are asked for."""
        self.page.wait_for_timeout(300)
        PICTURES.mkdir(parents=True, exist_ok=True)
        (of or self.page).screenshot(path=str(PICTURES / f"{name}.png"))


def _control(lab: Lab, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {lab.ready['control_token']}"}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            method, lab.ready["control"] + path, json=body, headers=headers, verify=lab.ready["ca_bundle"], timeout=PATIENCE_S
        )
    answer.raise_for_status()
    return answer.json() if answer.content else None


@pytest.fixture
def control(lab: Lab) -> Callable[..., Any]:
    """Call the control API of the lab's sandbox: control("GET", "/state")."""
    return lambda method, path, body=None: _control(lab, method, path, body)


def _api(lab: Lab, method: str, path: str) -> Any:
    """Call JupyterLab's own REST interface."""
    parts = urlsplit(lab.url)
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"token {parse_qs(parts.query)['token'][0]}"
        answer = session.request(method, f"{parts.scheme}://{parts.netloc}/api/{path}", timeout=PATIENCE_S)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def run_in_kernel(lab: Lab, code: str) -> None:
    """Run code in the kernel of the page; JupyterLab shows nothing of it."""
    [kernel] = [entry["kernel"]["id"] for entry in _api(lab, "GET", "sessions")]
    parts = urlsplit(lab.url)
    channel = websocket.create_connection(f"ws://{parts.netloc}/api/kernels/{kernel}/channels?{parts.query}", timeout=PATIENCE_S)
    header = {"msg_id": "ours", "msg_type": "execute_request", "version": "5.3", "username": "", "session": "tests"}
    content = {"code": code, "silent": True, "store_history": False, "allow_stdin": False, "stop_on_error": True}
    channel.send(
        json.dumps({"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []})
    )
    while True:
        heard = json.loads(channel.recv())
        if heard["header"]["msg_type"] == "execute_reply" and heard["parent_header"].get("msg_id") == "ours":
            break
    channel.close()
    assert heard["content"]["status"] == "ok", heard["content"]


def _clean(lab: Lab) -> None:
    """Make sandbox and folder as new, but for the page itself."""
    _control(lab, "POST", "/reset", {})
    _control(lab, "DELETE", "/faults")
    for path in lab.page.parent.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix in (".json", ".log"):
            path.unlink()


@dataclass
class FirstStart:
    """What the very first plan took, from the command to the first step's plan: seconds, clicks, and fields typed into."""

    seconds: float
    clicks: int
    typed: list[str]


LET_GO = """
from runbook_lib.page.controller import GuidedSession
if GuidedSession._latest is not None:
    GuidedSession._latest.close()
"""
# Counts what a person does on a page: clicks, and the fields that are typed into (not those that are chosen). Keeps which button
# the last click hit, and what JupyterLab sends to be saved, as it was before the server cleaned it. Has the folder of the page
# listed again where the server answers 404, as it does when a test clears the folder in the same moment: a dialog about that
# would stand before everything.
COUNTING = """
window.did = {clicks: 0, typed: []};
window.saved = [];
const plainly = window.fetch;
window.fetch = async (request, options) => {
  if (request.method === 'PUT' && request.url.includes('/api/contents/')) window.saved.push(await request.clone().text());
  const answer = await plainly(request, options);
  return answer.status === 404 && /\\/api\\/contents\\?/.test(request.url) ? plainly(request.url, options) : answer;
};
addEventListener('click', (event) => {
  if (event.isTrusted && event.detail) window.did.clicks += 1;
  window.hit = event.target.closest('button')?.textContent;
}, true);
addEventListener('input', ({target}) => {
  if (target.matches('textarea, input:not([type=radio], [type=checkbox])') && !window.did.typed.includes(target.id))
    window.did.typed.push(target.id);
}, true);
"""


@dataclass
class _Shared:
    """The page that all tests share, once it was started for the first time."""

    page: Page
    first: FirstStart
    errors: list[str]


@pytest.fixture(scope="session")
def shared(lab: Lab, browser: Browser) -> Iterator[_Shared]:
    context = browser.new_context(viewport=NARROW, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(PATIENCE_MS / 2)
    page = context.new_page()
    page.add_init_script(COUNTING)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(lab.url)
    page.get_by_role("button", name="Start the runbook").click()
    expect(page.locator("#step-0-1 .scim-state")).to_contain_text("Checked")
    seconds = time.monotonic() - lab.asked_at
    did = page.evaluate("window.did")
    yield _Shared(page, FirstStart(seconds, did["clicks"], did["typed"]), errors)
    context.close()


@pytest.fixture
def first_start(shared: _Shared) -> FirstStart:
    """How the lab's first plan came about."""
    return shared.first


@pytest.fixture
def guide(lab: Lab, shared: _Shared, request: pytest.FixtureRequest) -> Iterator[Guide]:
    """The runbook, started and planned on the sandbox as new. The page and its kernel are shared; what they work on is not.

    Parametrise with {"width": 1920, "dark": True} through `indirect`.
    """
    wish = getattr(request, "param", {})
    page, shared.errors[:] = shared.page, []
    page.set_viewport_size({**NARROW, "width": wish.get("width", NARROW["width"])})
    # The cells are run again on a clean table: first what runs is let go, so that nothing of it comes in between.
    run_in_kernel(lab, LET_GO)
    _clean(lab)
    page.evaluate("window.did = {clicks: 0, typed: []}")
    guide = Guide(lab, page)
    guide.start()
    yield guide
    log = lab.page.parent / "page.log"
    assert shared.errors == []
    if not wish.get("bugs"):
        assert log.read_text() == "", "the page has logged a bug"


def settings_of(lab: Lab, name: str) -> dict[str, str]:
    """The row of a demo tenant, its secret columns revealed."""
    import csv

    with Path(lab.ready["tenants_file"]).open() as handle:
        row = next(row for row in csv.DictReader(handle) if row["name"] == name)
    for column in ("auth0_client_secret", "entra_client_secret"):
        row[column] = Path(row[column].removeprefix("file:")).read_text()
    return row
