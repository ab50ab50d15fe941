"""The sheet: whatever a customer is called, it stays text; nothing on it comes from elsewhere."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from runbook_lib.core.display import visible
from runbook_lib.core.templates import as_code
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.values import Handover
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.handover_sheet import sheet
from runbook_lib.settings.model import TenantSettings
from tests.builders import GOOD

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "`code` and ``more``",
    "[link](https://evil.example)",
    "# heading\n- item | cell",
    "`",
    "a\u202eb",
    "{{ 7 * 7 }} {% raw %}",
    "&lt;b&gt;",
    "![x](https://evil.example/x.png) @everyone https://evil.example",
]
NOW = datetime(2026, 1, 5, tzinfo=UTC)


def made(which, hostile, **changes):
    settings = TenantSettings.from_parameters({**GOOD, "entra_client_id": "", "entra_client_secret": "", **changes})
    handover = Handover("Somewhere", ("Click.",), (("Value", hostile),))
    result = StepResult("3.2", "Create it", "check", "HANDOVER", hostile, handover=handover)
    seen = StepResult("3.3", "Assign", "check", "PASSED", hostile, handover=Handover("There", ("Do.",), state="seen"))
    return sheet(which, settings, OLDER_AZURE_AD, [result, seen], NOW)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.text = set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses |= {value for name, value in attributes if name in ("src", "href", "onerror", "style")}

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_value_is_text_in_the_html(hostile):
    page = Tags()
    page.feed(made("handover.html", hostile, **({"name": hostile} if hostile.isprintable() else {})))
    assert page.tags & {"script", "img", "b", "iframe", "link"} == set()
    assert page.addresses == set()
    assert visible(hostile) in page.text


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_value_is_a_code_span_in_the_markdown(hostile):
    text = made("handover.md", hostile, **({"name": hostile} if hostile.isprintable() else {}))
    assert f"- `Value`: {as_code(hostile)}\n" in text
    without_spans = re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", text)
    assert [mark for mark in ("<", "evil", "[", "{{", "&", "\u202e") if mark in without_spans] == []


@pytest.mark.parametrize(
    ("text", "span"), [("plain", "`plain`"), ("a`b", "``a`b``"), ("`", "`` ` ``"), ("a\n b", r"`a\n b`"), ("", "` `")]
)
def test_a_code_span_is_fenced_longer_than_what_is_in_it(text, span):
    assert as_code(text) == span


def test_the_sheet_uses_nothing_from_elsewhere():
    page = made("handover.html", "x")
    assert re.findall(r"(?:src|href)=|@import|url\(|<link|<script", page) == []
    assert "@media print" in page
