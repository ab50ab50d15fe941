"""Floors, single places, and the step numbers that join document, registry, notebook and report."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from runbook_lib.settings import COLUMNS
from runbook_lib.steps import STEPS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "runbook_lib"
FLOORS = {
    "vocabulary": 0, "pacing": 0, "errors": 0, "secret": 0, "visible": 0,
    "http": 1, "models": 1, "settings": 1, "journal": 1, "lock": 1, "lease": 1, "claim": 1, "kernel": 1, "lab": 1,
    "clients": 2, "change": 2, "templating": 2, "census": 2, "consoles": 2, "evidence": 2, "mapping": 2,
    "facts": 3,
    "steps": 4, "writer": 4,
    "engine": 5, "report": 5, "undo": 5,
    "sheet": 6, "tables": 6, "widgets": 6,
    "session": 7,
    "guided": 8, "batch": 8,
    "notebook": 9,
    "fleet": 10,
    "__main__": 11,
}  # fmt: skip
NUMBERS = ["0.1", "0.2", *(f"1.{n}" for n in range(1, 6)), *(f"2.{n}" for n in range(1, 4)), *(f"3.{n}" for n in range(1, 14))]
NUMBERS += [f"4.{n}" for n in range(1, 4)]


def modules():
    return [path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE]


def imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def part(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_lower_floors_and_the_sandbox_nothing(path):
    own = part(path)
    used = {name.split(".")[1] for name in imports(path) if name.startswith("runbook_lib.") and name.count(".") >= 1}
    used = {name for name in used if name in FLOORS or name == "sandbox"} - {own}
    if own == "sandbox":
        assert used == set()
        return
    allowed = {name for name, floor in FLOORS.items() if floor < FLOORS[own]}
    if own in ("notebook", "fleet", "__main__", "batch"):
        allowed |= {"sandbox", "batch"}
    if path.name == "warm_imports.py":
        allowed |= {"notebook"}  # what every kernel imports
    assert used <= allowed


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("requests", {"http.py", "sandbox/in_process.py", "sandbox/world.py", "sandbox/entra_engine/scim_calls.py"}),
        ("pandas", {"tables.py"}),
        ("papermill", {"batch/execution.py", "batch/one_tenant.py", "batch/pages.py"}),
        ("anywidget", {"widgets/surface.py"}),
        ("jinja2", {"templating.py"}),
    ],
)
def test_each_library_has_its_place(library, places):
    users = {str(path.relative_to(PACKAGE)) for path in modules() if any(name.split(".")[0] == library for name in imports(path))}
    assert users == places


def test_only_settings_reads_the_environment():
    readers = {path.name for path in modules() if re.search(r"os\.environ|os\.getenv", path.read_text())}
    assert readers == {"settings.py", "kernel_process.py"}  # the other one writes it: a forked kernel takes the one it is given


def test_sections_do_not_import_one_another():
    sections = list((PACKAGE / "steps").glob("section_*.py"))
    assert len(sections) == 5
    assert not [path for path in sections if any(".section_" in name for name in imports(path))]


def test_the_26_numbers_agree_in_registry_and_notebook():
    page = nbformat.read(ROOT / "notebooks" / "inbound_scim.ipynb", as_version=4)
    headings = [m.groups() for cell in page.cells for m in re.finditer(r"^## (\d\.\d+) (.+)$", cell.source, re.MULTILINE)]
    cells = [m[1] for cell in page.cells if (m := re.fullmatch(r'session\.do\("(.+)"\)', cell.source))]
    assert [step.number for step in STEPS] == NUMBERS
    assert headings == [(step.number, step.title) for step in STEPS]
    assert cells == NUMBERS


def test_the_parameters_cell_has_the_columns_and_mode_and_out():
    page = nbformat.read(ROOT / "notebooks" / "inbound_scim.ipynb", as_version=4)
    cell = next(cell for cell in page.cells if "parameters" in cell.metadata.get("tags", []))
    names = [node.target.id for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)]
    assert names == [*COLUMNS, "mode", "out"]


def test_every_step_says_what_is_documented():
    assert [step.number for step in STEPS if step.number[0] != "0" and "Documented:" not in (step.function.__doc__ or "")] == []
