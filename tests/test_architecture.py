"""Floors, single places, and the step numbers that join document, registry, notebook and report."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import nbformat
import pytest

from runbook_lib.engine.step import TakeBack
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.undo import ways_back
from runbook_lib.settings.model import COLUMNS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "runbook_lib"
FLOORS = {
    "core": 0,
    "http": 1, "settings": 1,
    "services": 2,
    "engine": 3,
    "tenant": 4,
    "steps": 5,
    "procedures": 6,
    "run": 7,
    "page": 8, "batch": 8,
    "__main__": 9, "commands": 9, "notebook": 9, "fleet": 9,
}  # fmt: skip
HTTP = {f"http/{name}.py" for name in ("broken", "refusals", "service", "session", "time_limit")}
NUMBERS = list(OLDER_AZURE_AD.numbers)


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


def arrows(path):
    """The folders of the package that a module imports, other than its own."""
    names = {name.split(".")[1] for name in imports(path) if name.startswith("runbook_lib.")}
    return {name for name in names if name in FLOORS or name == "sandbox"} - {part(path)}


def is_allowed(path, other):
    own = part(path)
    if other == "sandbox":
        return own in ("page", "batch") or FLOORS[own] == FLOORS["notebook"]
    return FLOORS[other] < FLOORS[own] or {own, other} <= {"notebook", "fleet", "__main__", "commands"}


def test_a_folder_imports_only_lower_floors_and_the_sandbox_nothing():
    found = {
        (str(path.relative_to(PACKAGE)), other)
        for path in modules()
        for other in arrows(path)
        if part(path) != "sandbox" and not is_allowed(path, other)
    }
    assert found == set()
    assert [path for path in modules() if part(path) == "sandbox" and arrows(path)] == []


def test_the_root_holds_the_doors_only():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", "notebook", "fleet"}


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("requests", {*HTTP, "sandbox/in_process.py", "sandbox/world.py", "sandbox/entra_engine/scim_calls.py"}),
        ("pandas", {"run/tables.py"}),
        (
            "papermill",
            {f"batch/{name}.py" for name in ("execution", "one_tenant", "papermill_engine", "private_output", "stock_execution")},
        ),
        ("anywidget", {"page/panel.py"}),
        ("jinja2", {"core/templates.py"}),
    ],
)
def test_each_library_has_its_place(library, places):
    users = {str(path.relative_to(PACKAGE)) for path in modules() if any(name.split(".")[0] == library for name in imports(path))}
    assert users == places


REVEALS = {  # where the text of a secret is taken out, and for what
    "core/secret.py": "to compare it, and to scrub it",
    "http/message.py": "the body of a request",
    "http/session.py": "the header of a request",
    "page/kernel_guard.py": "a token that a person asked to see, on its way to the page",
    "run/sign_ins.py": "what was typed, and the credential that msal wants as text",
    "run/tenant_run.py": "the public id in the token that the other side sent",
    "services/sign_in.py": "the claims of an access token",
    "settings/process.py": "a token for the kernels of this run",
}


def test_a_secret_is_revealed_where_the_list_says_only():
    files = {str(path.relative_to(PACKAGE)): path.read_text() for path in modules() if part(path) != "sandbox"}
    assert {name for name, text in files.items() if ".reveal()" in text} == set(REVEALS)


def test_no_module_has_more_than_400_lines():
    own = [path for path in modules() if part(path) != "sandbox"]
    assert [str(path) for path in own if len(path.read_text().splitlines()) > 400] == []


def test_functions_are_small():
    own = [path for path in modules() if part(path) != "sandbox"]
    nodes = [node for path in own for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    lines = sorted(node.end_lineno - node.lineno + 1 for node in nodes)
    assert (lines[len(lines) // 2] <= 7, lines[len(lines) * 9 // 10] <= 20) == (True, True)


def length(function):
    """How many lines a function has; of a command of the command line, whose head lists its options, those of its body."""
    is_command = any(ast.unparse(decorator).startswith("click.command(") for decorator in function.decorator_list)
    first = function.body[1].lineno if is_command else function.lineno  # the first statement is the docstring
    return function.end_lineno - first + 1


def test_no_function_has_more_than_40_lines():
    functions = [
        (str(path.relative_to(PACKAGE)), node)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert len(functions) > 2000
    assert [(path, node.name, length(node)) for path, node in functions if length(node) > 40] == []


def test_only_settings_reads_the_environment():
    readers = {str(path.relative_to(PACKAGE)) for path in modules() if re.search(r"os\.environ|os\.getenv", path.read_text())}
    assert readers == {
        "settings/process.py",
        "settings/references.py",
        "batch/kernels/process.py",
    }  # a forked kernel takes the environment it is given


def texts(path):
    """The texts and comments of a module, or the lines of another file."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return source.splitlines()
    found = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [*(line for text in found for line in text.splitlines()), *(t.string for t in tokens if t.type == tokenize.COMMENT)]


def test_a_step_s_number_stands_in_the_procedures_only():
    known = "|".join(re.escape(number) for number in sorted(NUMBERS, key=len, reverse=True))
    number = re.compile(rf"(?<![\w./])(?<!TLS )(?<!stroke-width: )(?<!stroke-width=\")(?:{known})(?!r?em\b| s\b|\w|\.\d)")
    files = [path for path in PACKAGE.rglob("*") if path.suffix in (".py", ".j2", ".toml")]
    others = [path for path in files if part(path) not in ("procedures", "sandbox")]
    assert len(others) > 200
    named = {(str(path.relative_to(PACKAGE)), text) for path in others for text in texts(path) if number.search(text)}
    assert {one for one in named if "RFC " not in one[1]} == set()


def test_a_section_s_number_stands_in_the_procedures_only():
    number = re.compile(r"\bsections? \d", re.IGNORECASE)
    files = [
        path
        for path in PACKAGE.rglob("*")
        if path.suffix in (".py", ".j2", ".toml") and part(path) not in ("procedures", "sandbox")
    ]
    named = {(str(path.relative_to(PACKAGE)), text) for path in files for text in texts(path) if number.search(text)}
    assert {one for one in named if "RFC " not in one[1]} == set()


def test_the_engine_knows_no_service():
    words = re.compile("auth0|entra|scim|graph", re.IGNORECASE)
    files = list((PACKAGE / "engine").glob("*.py"))
    assert len(files) > 10
    assert [(path.name, words.findall(path.read_text())) for path in files if words.search(path.read_text())] == []


def test_no_module_knows_all_steps():
    assert [str(path) for path in modules() if re.search(r"\bSTEPS\b", path.read_text())] == []


def test_the_doors_alone_choose_a_procedure():
    def names_one(path):
        return any(
            re.fullmatch(r"runbook_lib\.procedures\.(?!procedure$|screen$|handed_over$|undo$)\w+", name) for name in imports(path)
        )

    assert {part(path) for path in modules() if names_one(path)} - {"procedures"} == {"commands", "notebook", "fleet"}


def test_rooms_import_one_another_downward_only():
    rooms = {path.stem: imports(path) for path in (PACKAGE / "steps").glob("[!_]*.py")}
    graph = {room: {other for other in rooms if f"runbook_lib.steps.{other}" in used} for room, used in rooms.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(rooms)


def test_what_a_step_writes_has_its_way_back_in_the_room_and_an_undo_finds_each_of_them():
    """The kind of a write is taken from the way back, so that no write is on record without one."""
    rooms = [import_module(f"runbook_lib.steps.{path.stem}") for path in sorted((PACKAGE / "steps").glob("[!_]*.py"))]
    made = {id(value): value.kind for room in rooms for value in vars(room).values() if isinstance(value, TakeBack)}
    kinds = [
        ast.unparse(value)
        for room in rooms
        for node in ast.walk(ast.parse(Path(room.__file__).read_text()))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "kind"
    ]
    assert len(kinds) > 10
    assert [kind for kind in kinds if not re.fullmatch(r"UNDO(_\w+)?\.kind", kind)] == []
    assert sorted(made.values()) == sorted(ways_back(OLDER_AZURE_AD))


def test_the_numbers_of_a_section_are_in_order_and_none_is_missing():
    for section in OLDER_AZURE_AD.sections:
        assert list(section.numbers) == [f"{section.number}.{n}" for n, _ in enumerate(section.rows, start=1)]


def test_the_numbers_agree_in_procedure_and_notebook():
    page = nbformat.read(ROOT / "notebooks" / "inbound_scim.ipynb", as_version=4)
    headings = [m.groups() for cell in page.cells for m in re.finditer(r"^## (\d\.\d+) (.+)$", cell.source, re.MULTILINE)]
    cells = [m[1] for cell in page.cells if (m := re.fullmatch(r'session\.do\("(.+)"\)', cell.source))]
    assert headings == [(step.number, step.title) for step in OLDER_AZURE_AD.steps]
    assert cells == NUMBERS


def test_the_parameters_cell_has_the_columns_and_mode_and_out():
    page = nbformat.read(ROOT / "notebooks" / "inbound_scim.ipynb", as_version=4)
    cell = next(cell for cell in page.cells if "parameters" in cell.metadata.get("tags", []))
    names = [node.target.id for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)]
    assert names == [*COLUMNS, "mode", "out"]


def test_every_step_says_what_is_documented():
    assert [row.number for row in OLDER_AZURE_AD if row.number[0] != "0" and not row.documented] == []


@pytest.mark.parametrize("row", tuple(OLDER_AZURE_AD), ids=lambda row: row.number)
def test_a_search_for_a_step_by_number_or_title_finds_its_test(row):
    """A test's name begins with the number, and the module's docstring has the title."""
    sources = [path.read_text() for path in (ROOT / "tests" / "steps").glob("test_*.py")]
    name = f"def test_{row.number.replace('.', '_')}_"
    found = [source for source in sources if name in source and f"\n{row.number} {row.title}\n" in source]
    assert len(found) == 1
