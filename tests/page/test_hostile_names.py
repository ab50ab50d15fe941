"""Names from strangers' directories, through a whole run: they are shown as they are and do nothing."""

from __future__ import annotations

import csv
import html
import io
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import yaml
from nbconvert import HTMLExporter

from runbook_lib.batch.summary import TenantRow, summary_csv
from runbook_lib.core.display import as_cell, as_html, visible
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from tests.notebooks.test_notebook import command_line

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "$\\href{javascript:alert(1)}{x}$",
    "\\(\\unicode{x}\\) \\begin{array}x\\end{array}",
    "=HYPERLINK(1)",
    "admin\u202egnp.exe",
    "zero\u200bwidth\u2066isolate\u2069",
    "\x1b[31mred\x07\r\nsecond line",
    "fill\u3164er\ufe0f\U000e0041",
    "</td></table><h1>gone</h1>",
]
APP_NAME = "=Acme <b>$x$</b>"
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\u3164\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
SUMMARY_TAGS = set(
    "main h2 figure figcaption svg text rect form label input fieldset legend select option button output script".split()
)
SUMMARY_TAGS |= set("details summary ul li colgroup col dl dt dd wbr defs pattern path circle".split())
TAGS = set("html meta title style h1 p strong br table thead tbody tr th td span a div code pre b head body".split())
REPORT_TAGS = set("main h2 dl dt dd figure figcaption caption svg rect path text wbr".split())


class Page(HTMLParser):
    """The tags, event attributes and texts of a page; a text ends where an element begins or ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.handlers: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.handlers += [name for name, value in attrs if name.startswith("on") or "javascript:" in (value or "")]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.fixture(scope="module")
def run_folder(running_sandbox, tmp_path_factory):
    running_sandbox.reset(7)
    fresh, complete = (running_sandbox.world.entra_by_name(f"{name}.onmicrosoft.com") for name in ("fresh", "complete"))
    people = [*fresh.users.values(), *fresh.groups.values()]
    for number, person in enumerate(people):
        person["displayName"] = HOSTILE[number % len(HOSTILE)]
        for assignment in fresh.assignments:
            if assignment["principalId"] == person["id"]:
                assignment["principalDisplayName"] = person["displayName"]
    for number, principal in enumerate(list(complete.service_principals.values())):
        twin = {**principal, "id": f"00000000-0000-4000-8000-00000000000{number}", "displayName": APP_NAME}
        complete.service_principals[twin["id"]] = twin
    rows = list(csv.DictReader(io.StringIO(Path(running_sandbox.ready["tenants_file"]).read_text())))[:2]
    rows[1] |= {"name": "+complete <i>$y$</i>", "scim_app_name": APP_NAME}
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "tenants.yaml").write_text(yaml.safe_dump(rows), encoding="utf-8")  # a spreadsheet's file may hold no formula
    result = command_line("run", folder / "tenants.yaml", "--mode", "apply", "--out", folder / "out")
    assert result.returncode == 3, result.stderr
    assert UNSEEN.findall(result.stdout + result.stderr) == []
    [made] = (folder / "out").iterdir()
    return made


def pages(folder: Path) -> dict[str, str]:
    """All HTML that the run made: reports, the summary, and the HTML outputs of the executed pages."""
    found = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.html")}
    for path in folder.rglob("*.ipynb"):
        outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
        shown = [output.get("data", {}).get("text/html", "") for output in outputs]
        found[f"{path.parent.name}/outputs"] = "".join(shown)
        words = [output.get("data", {}).get("text/plain", output.get("text", "")) for output in outputs]
        assert UNSEEN.findall("".join(words)) == []
    return found


def test_no_name_becomes_markup_and_nothing_unseen_is_left(run_folder):
    found = pages(run_folder)
    assert len(found) == 5
    for name, page in found.items():
        parsed = Page(page)
        ours = SUMMARY_TAGS if name == "summary.html" else REPORT_TAGS if name.endswith("report.html") else set()
        assert (name, parsed.tags - TAGS - ours, parsed.handlers, UNSEEN.findall(page)) == (name, set(), [], [])
    assert found["summary.html"].count("<script") == 1  # the one that sifts the rows


def test_the_names_are_shown_as_they_are(run_folder):
    found = pages(run_folder)
    for name in ("fresh/report.html", "fresh/outputs"):
        text = Page(found[name]).text
        assert [hostile for hostile in HOSTILE if visible(hostile) not in text] == []
    assert APP_NAME in Page(found["summary.html"]).text


def test_no_name_is_taken_for_a_formula_on_a_page(run_folder):
    for name, page in pages(run_folder).items():
        if name.endswith("outputs"):  # MathJax is at work on pages and their exports only
            starts = [text for text in Page(page).texts if re.search(r"\$.*\$|\\[(\[a-z]", text)]
            assert starts == []


def test_an_html_export_of_the_page_runs_nothing_of_theirs(run_folder):
    page = nbformat.read(run_folder / "fresh" / "inbound_scim.ipynb", as_version=4)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(page)
    parsed = Page(body)
    assert ("script" in parsed.tags, parsed.handlers, UNSEEN.findall(body)) == (False, [], [])
    assert (body.count("<img"), body.count('src="data:image/png;base64,')) == (1, 1)  # the page's own picture


def test_the_summary_table_holds_no_formula(run_folder):
    rows = list(csv.reader(io.StringIO((run_folder / "summary.csv").read_text())))
    assert rows[2][0] == "'+complete <i>$y$</i>"
    assert [cell for row in rows for cell in row if cell.lstrip()[:1] in tuple("=+-@")] == []


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", " =1", "\u00a0=1", "＝1"])
def test_a_cell_that_would_be_a_formula_is_a_text(cell):
    assert as_cell(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["\t=1", "\r=1", "\n=1", "plain", "a;=1"])
def test_a_cell_holds_no_control_character_and_stands_in_quotes(cell):
    line = summary_csv([TenantRow(cell, "", "", "")], OLDER_AZURE_AD).splitlines()[1]
    assert line.startswith(f'"{visible(cell)}","","","",')


@pytest.mark.parametrize("text", ["Zoë Müller", "山田　太郎", "שלום", "naïve – “quoted” …", "1\u00a0000 €", ""])
def test_what_can_be_seen_stays(text):
    assert visible(text) == text


def test_every_unseen_character_is_shown():
    for category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        chars = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == category][:3000]
        assert [char for char in chars if not re.fullmatch(r"\\([nrt]|x..|u....|U........)", visible(char))] == []


def test_html_shows_the_text_it_was_made_of():
    for hostile in HOSTILE:
        assert html.unescape(re.sub("</?span>", "", as_html(hostile))) == visible(hostile)
