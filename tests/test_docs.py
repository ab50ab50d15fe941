"""The documentation is true: links lead somewhere, pictures are there and small, commands are ones that exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "runbook_lib" / "sandbox" / "README.md"]
PICTURES = ROOT / "docs" / "pictures"
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACE = re.compile(r"`((?:runbook_lib|tests|docs|notebooks)/[\w./-]+)`")
MODULE = re.compile(r"python -m (tests[\w.]*\w)")
VERB = re.compile(r"(?:inbound-scim-runbook|-m runbook_lib) ([a-z]+)(?:[ `\n]|$)")


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page):
    return [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_its_heading(page):
    targets = [(page.parent / link.partition("#")[0] if link[0] != "#" else page, link.partition("#")[2]) for link in links(page)]
    assert [str(path) for path, _ in targets if not path.exists()] == []
    assert [f"{path}#{anchor}" for path, anchor in targets if anchor and anchor not in anchors(path)] == []


def test_every_file_and_module_of_the_project_that_is_named_is_there():
    named = {found for page in PAGES for found in PLACE.findall(page.read_text(encoding="utf-8"))}
    named |= {module.replace(".", "/") for page in PAGES for module in MODULE.findall(page.read_text(encoding="utf-8"))}
    named = {place for place in named if not place.endswith("THING.py")}
    assert {"runbook_lib/tenant/things.py", "tests/outside"} <= named
    missing = [place for place in sorted(named) if not (ROOT / place).exists() and not (ROOT / f"{place}.py").exists()]
    assert missing == []


def test_every_page_is_reached_from_the_readme():
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= {
        Path(link.partition("#")[0]).name for link in links(ROOT / "README.md")
    }


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_bytes()) <= 6000


def test_every_picture_is_shown_and_small():
    shown = {Path(link).name for page in PAGES for link in links(page) if link.endswith(".png")}
    sizes = {path.name: path.stat().st_size for path in PICTURES.iterdir()}
    assert shown == set(sizes)
    assert {name: size for name, size in sizes.items() if size > 200_000} == {}


def test_every_command_that_is_named_exists():
    named = {verb for page in PAGES for verb in VERB.findall(page.read_text(encoding="utf-8"))}
    usage = subprocess.run([sys.executable, "-m", "runbook_lib", "--help"], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"^  ([a-z]+) ", usage, re.MULTILINE))
    assert {"demo", "run", "lab", "undo"} <= named & known
    assert named - known - {"doctor"} == set()
