"""What a person reads names its actors, and uses the field's words: docs/contributing.md, How we write."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "runbook_lib"
UNSAID = re.compile(r"\b(somebody|anybody|nobody|whoever|whom|whomever|mend|mended|anew|beside)\b", re.IGNORECASE)
CODE = re.compile(r"`[^`\n]+`")
INVERTED = re.compile(r"(?:^|[.:;] )(?:Is|Are|Has|Have|Was|Were|Does|Should) [^.?:]{3,80}(?:, |: )")  # "Is it lost, press again"


def docstrings(tree):
    """The nodes of a module's docstrings, which also stand under attributes."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}


def texts_of_code(path):
    """The texts of a module that have a space in them and are no docstring, with their lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value and id(node) not in skipped:
            yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def notes_of_code(path):
    """The docstrings and comments of a module, with their lines; a name in backquotes is no word."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield f"{path.relative_to(ROOT)}:{node.lineno}", CODE.sub("it", node.value.value)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield f"{path.relative_to(ROOT)}:{token.start[0]}", CODE.sub("it", token.string.lstrip("# "))


def texts():
    for path in PACKAGE.rglob("*.py"):
        if "sandbox" not in path.parts:  # a service's own words are the service's
            yield from texts_of_code(path)
    for path in [*PACKAGE.rglob("*.j2"), PACKAGE / "core" / "remedies.toml", ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", re.sub(r"data-beside|scim-beside", "", line)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                yield f"{path.name} {cell.id}", cell.source


@pytest.mark.parametrize("pattern", [UNSAID, INVERTED], ids=["words", "inverted conditionals"])
def test_what_a_person_reads_is_plain_english(pattern):
    assert [f"{place}: {found[0]!r} in {text[:90]!r}" for place, text in texts() if (found := pattern.search(text))] == []


@pytest.mark.parametrize("pattern", [UNSAID, INVERTED], ids=["words", "inverted conditionals"])
def test_what_a_programmer_reads_is_plain_english(pattern):
    files = [
        path for folder in (PACKAGE, ROOT / "tests") for path in sorted(folder.rglob("*.py")) if path != Path(__file__).resolve()
    ]
    notes = [note for path in files for note in notes_of_code(path)]
    assert [f"{place}: {found[0]!r} in {text[:90]!r}" for place, text in notes if (found := pattern.search(text))] == []


def test_a_docstring_and_a_comment_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_prose.ROOT", tmp_path)
    (tmp_path / "module.py").write_text(
        '"""Ask whoever is there, and `nobody_else`."""\n\nit = 1  # Is it lost, press again\n', encoding="utf-8"
    )
    notes = list(notes_of_code(tmp_path / "module.py"))
    assert notes == [("module.py:1", "Ask whoever is there, and it."), ("module.py:3", "Is it lost, press again")]
    assert [bool(UNSAID.search(text)) for _place, text in notes] == [True, False]
    assert [bool(INVERTED.search(text)) for _place, text in notes] == [False, True]
