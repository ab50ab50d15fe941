"""Each step of the procedure has tests of its own, which a search for its number or its title finds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD

FILES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in Path(__file__).parent.glob("test_*.py")}


@pytest.mark.parametrize(("number", "title"), [(row.number, row.title) for row in OLDER_AZURE_AD])
def test_a_step_has_tests_that_a_search_finds(number, title):
    [found] = [file for file in FILES.values() if f"{number} {title}" in (ast.get_docstring(file) or "").splitlines()]
    names = [node.name for node in found.body if isinstance(node, ast.FunctionDef)]
    assert any(name.startswith(f"test_{number.replace('.', '_')}_") for name in names)
