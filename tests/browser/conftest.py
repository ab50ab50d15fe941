"""One lab and one browser for all browser tests; each test has a page, a kernel and a sandbox as new."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, Playwright, expect, sync_playwright

from tests.browser.lab import CHROMIUM_FLAGS, Lab, chromium, running_lab

PICTURES = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures"
expect.set_options(timeout=30_000)


@pytest.fixture(scope="session")
def playwright(request: pytest.FixtureRequest) -> Iterator[Playwright]:
    if not request.config.getoption("--browser"):
        pytest.skip("give --browser: these tests take some minutes and a quiet machine")
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
def lab(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
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
        expect(self.page.get_by_text(re.compile(r"\| Idle"))).to_be_visible()

    def start(self) -> None:
        """Open the page, press Start, and wait for the plan."""
        self.open()
        self.page.get_by_role("button", name="Start the runbook").click()
        expect(self.start_card.get_by_text("✓ Connected")).to_be_visible()

    @property
    def start_card(self) -> Locator:
        return self.page.locator("#scim-start")

    @property
    def rail(self) -> Locator:
        return self.page.get_by_role("navigation", name="Steps")

    def card(self, number: str) -> Locator:
        return self.page.locator(f"#step-{number.replace('.', '-')}")

    def state(self, number: str) -> Locator:
        return self.card(number).locator(".scim-state")

    def states(self) -> dict[str, str]:
        """The words of the rail, by step."""
        rows = self.rail.locator("li a").all()
        return {row.locator("span").nth(1).inner_text(): row.locator(".scim-word").inner_text() for row in rows}

    def apply(self, number: str, *, ends: str = "Done") -> None:
        self.card(number).get_by_role("button", name=f"Apply {number}").click()
        expect(self.state(number)).to_contain_text(ends)

    def demo(self, name: str) -> None:
        """Choose another tenant of the sandbox and wait for its plan."""
        self.page.get_by_label("Demo tenant").select_option(name)
        expect(self.start_card.locator("td", has_text=f"{name}-azure-ad")).to_be_visible()
        expect(self.start_card.get_by_text("✓ Connected")).to_be_visible()

    def save(self) -> str:
        """Save the notebook as the person would, and return what is on disk."""
        before = self.lab.page.stat().st_mtime_ns
        self.page.get_by_role("button", name=re.compile("^Save")).first.click()
        for _ in range(400):
            self.page.wait_for_timeout(50)
            text = self.lab.page.read_text(encoding="utf-8")
            if self.lab.page.stat().st_mtime_ns != before and text.rstrip().endswith("}"):
                return text
        raise AssertionError("the notebook was not saved")

    def picture(self, name: str) -> None:
        """Keep what is seen, where pictures are asked for."""
        self.page.wait_for_timeout(300)
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(PICTURES / f"{name}.png"))


def _control(lab: Lab, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {lab.ready['control_token']}"}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(
            method, lab.ready["control"] + path, json=body, headers=headers, verify=lab.ready["ca_bundle"], timeout=20
        )
    answer.raise_for_status()
    return answer.json() if answer.content else None


@pytest.fixture
def control(lab: Lab) -> Callable[..., Any]:
    """Call the control API of the lab's sandbox: control("GET", "/state")."""
    return lambda method, path, body=None: _control(lab, method, path, body)


def _end_kernels(lab: Lab) -> None:
    parts = urlsplit(lab.url)
    base, token = f"{parts.scheme}://{parts.netloc}", parse_qs(parts.query)["token"][0]
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"token {token}"
        for entry in session.get(f"{base}/api/sessions", timeout=20).json():
            session.delete(f"{base}/api/sessions/{entry['id']}", timeout=20)


@pytest.fixture
def guide(lab: Lab, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Guide]:
    """The runbook not yet started. Parametrise with {"width": 1920, "dark": True} through `indirect`."""
    wish = getattr(request, "param", {})
    _end_kernels(lab)
    _control(lab, "POST", "/reset", {})
    for path in lab.page.parent.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path != lab.page:
            path.unlink()
    lab.page.write_bytes(lab.pristine)
    context = browser.new_context(
        viewport={"width": wish.get("width", 1280), "height": wish.get("height", 900)},
        color_scheme="dark" if wish.get("dark") else "light",
        permissions=["clipboard-read", "clipboard-write"],
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Guide(lab, page)
    context.close()
    log = lab.page.parent / "page.log"
    assert errors == []
    if not wish.get("bugs"):
        assert (log.read_text() if log.exists() else "") == "", "the page has logged a bug"


def settings_of(lab: Lab, name: str) -> dict[str, str]:
    """The row of a demo tenant, its secret columns revealed."""
    import csv

    with Path(lab.ready["tenants_file"]).open() as handle:
        row = next(row for row in csv.DictReader(handle) if row["name"] == name)
    for column in ("auth0_client_secret", "entra_client_secret"):
        row[column] = Path(row[column].removeprefix("file:")).read_text()
    return row
