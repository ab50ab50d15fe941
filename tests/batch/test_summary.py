"""The summary of a run, made from journals."""

from __future__ import annotations

import csv
import io
import json
import re
from xml.etree import ElementTree

import pytest

from runbook_lib.batch import summary as summaries
from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.summary import TenantRow, junit, summary_html, tenant_rows, write_summary
from runbook_lib.core.display import visible
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD

HOSTILE = "=1+1<script>alert(1)</script>\u202e"


@pytest.fixture
def summary(tenant, carry_out, tmp_path):
    done, blocked = carry_out(tenant("fresh")), carry_out(tenant("token-limit"))
    outcomes = [
        TenantOutcome("fresh", done.status, done.about, done.out),
        TenantOutcome(HOSTILE, blocked.status, blocked.about, blocked.out),
        TenantOutcome("third", "not-started", "not started: 1 tenants failed", tmp_path / "third"),
    ]
    write_summary(tmp_path, outcomes, OLDER_AZURE_AD)
    return tmp_path


def test_the_page_has_a_cell_for_every_tenant_and_step_and_the_remedy_of_every_red_one(summary):
    page = (summary / "summary.html").read_text()
    matrix = page[page.index("<h2>All tenants") :]
    assert len(re.findall(r'<td class="s ', matrix)) == 3 * len(OLDER_AZURE_AD.steps)
    todo = page[page.index("<h2>What to do") : page.index("<h2>All tenants")]
    assert "2 SCIM tokens already" in todo
    assert "not started: 1 tenants failed" in todo
    assert 'href="run-0/fresh/report.html"' in matrix


def test_the_page_says_what_it_is_of_and_the_totals_of_the_terminal(summary):
    page = (summary / "summary.html").read_text()
    told = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page))
    assert (told["Run"], told["Mode"]) == (summary.name, "apply")
    assert re.fullmatch(r".* UTC to .* UTC", told["When"])
    assert ("Auth0: " in told["Signed in as"], told["Version"].startswith("inbound-scim-runbook ")) == (True, True)
    assert "Tenants: 1 stopped, 1 not started, 1 done." in page


def test_each_bar_has_a_pattern_of_its_own_and_its_word(summary):
    page = (summary / "summary.html").read_text()
    chart = page[page.index("How the tenants ended") : page.index("How long they took")]
    assert re.findall(r'<rect class="bar" fill="url\(#of-(\w+)\)"', chart) == ["stop", "idle", "done"]
    assert re.findall(r'text-anchor="end">([\w ]+)</text>', chart) == ["Stopped", "Not started", "Done"]
    assert {f"of-{kind}" for kind in ("stop", "idle", "done", "hand", "due")} == set(re.findall(r'<pattern id="([\w-]+)"', chart))


def test_the_page_needs_nothing_from_outside_and_runs_nothing_of_a_tenant(summary):
    page = (summary / "summary.html").read_text()
    assert re.findall(r'(?:src|href)="(?:https?:)?//', page) == []
    assert page.count("<script>") == 1
    assert "alert(1)</script>" not in page
    assert "\u202e" not in page


def test_spreadsheet_program_and_build_server_get_the_same_tenants(summary):
    table = list(csv.DictReader(io.StringIO((summary / "summary.csv").read_text())))
    assert [row["status"] for row in table] == ["done", "blocked", "not-started"]
    assert table[1]["name"].startswith("'=1+1")
    assert (table[0]["1.2"], table[1]["2.2"], table[2]["2.2"]) == ("CHANGED", "BLOCKED", "")
    assert [row["status"] for row in json.loads((summary / "summary.json").read_text())] == ["done", "blocked", "not-started"]
    suite = ElementTree.fromstring((summary / "junit.xml").read_text().split("\n", 1)[1])
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert [failure.get("type") for failure in suite.iter("failure")] == ["blocked", "not-started"]


@pytest.mark.parametrize("text", ["<a href='javascript:1'>&\"", "]]><x/>", "\x00\x1b[31m\u0085\ufffe\ud800", "&#0;&xxe;"])
def test_no_name_and_no_word_of_a_service_breaks_the_build_server_s_file(text):
    steps = {"1.2": {"step": "1.2", "status": "FAILED", "reason": text, "remedy": text}}
    suite = ElementTree.fromstring(junit([TenantRow(text, "failed", text, text, 1.0, steps)]).split("\n", 1)[1])
    [case] = suite
    assert (case.get("name"), case[0].get("message")) == (visible(text), visible(text))
    assert case[0].text == f"1.2 {visible(text)} {visible(text)}"
    assert [element.tag for element in suite.iter()] == ["testsuite", "testcase", "failure"]


def row(name, status, *, about="", **steps):
    results = {number.replace("_", "."): word for number, word in steps.items()}
    return TenantRow(
        name,
        status,
        about,
        name,
        1.0,
        {n: {"step": n, "status": word, "reason": f"{word} (request {name})", "remedy": "mend"} for n, word in results.items()},
    )


def test_what_many_tenants_need_is_said_once_and_the_most_urgent_comes_first():
    rows = [row("a", "not-started"), row("b", "failed", **{"3_2": "FAILED"}), row("c", "failed", **{"3_2": "FAILED"})]
    page = summary_html(rows, OLDER_AZURE_AD)
    todo = page[page.index("<h2>What to do") : page.index("<h2>All tenants")]
    assert re.findall(r'data-of="(\d)"', todo) == ["1", "2", "0"]
    assert (todo.count("<tr id="), todo.count("FAILED"), todo.count(">Failed<"), "request" in todo) == (2, 1, 1, False)
    assert page.count('<a href="#todo-1" aria-label=') == 2  # each red cell leads there


def test_a_hand_over_has_a_colour_and_a_word_of_its_own_and_says_what_comes_next():
    page = summary_html(
        [row("a", "handover", about="see handover.html", **{"1_1": "PASSED", "2_2": "HANDOVER", "3_2": "HANDOVER"})],
        OLDER_AZURE_AD,
    )
    assert page.count('<td class="s HANDOVER hand"') == 2
    assert '<span class="word hand">Handed over</span>' in page
    todo = page[page.index("<h2>What to do") : page.index("<h2>All tenants")]
    assert ("see handover.html" in todo, "mend" in todo) == (True, True)


def test_an_interrupted_tenant_shows_where(tmp_path, tenant, carry_out):
    out = carry_out(tenant("fresh"), "plan").out
    lines = (out / "journal.jsonl").read_text().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if '"result"' in line and '"step": "1.2"' in line)
    (out / "journal.jsonl").write_text("".join(lines[:cut]))
    [seen] = tenant_rows([TenantOutcome("fresh", "interrupted", "interrupted at 1.1, run again", out)], OLDER_AZURE_AD)
    assert seen.steps["1.2"]["status"] == "INTERRUPTED"
    assert [(need["step"], need["reason"]) for need in seen.needs] == [("1.2", "interrupted before 1.2")]


def test_a_sheet_on_another_machine_is_linked_only_where_there_is_one(tmp_path):
    rows = [row("a", "done", **{"1_1": "PASSED"}), row("b", "handover", **{"2_2": "HANDOVER"})]
    linked = [[label for label, _ in summaries._files_elsewhere(one, OLDER_AZURE_AD)] for one in rows]
    assert linked == [["page", "report", "journal"], ["page", "report", "hand-over", "journal"]]
