"""What Jupyter's users type, typed: each command from an empty folder, its exit status, and what it leaves.

`python -m pytest tests/notebooks/test_as_typed.py --full` types every command for every tenant; without `--full` a sample.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from runbook_lib.engine.status import Outcome
from runbook_lib.settings.model import COLUMNS
from runbook_lib.settings.tenants_file import read_tenants

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "notebooks" / "inbound_scim.ipynb"
FLEET = ROOT / "notebooks" / "fleet.ipynb"
BIN = Path(sys.executable).parent
PLANTED = "planted-" + "secret-" + "0123456789"


@dataclass(frozen=True)
class Typed:
    """What a command came to: its exit status, all it said, and the folder that it was typed in."""

    code: int
    said: str
    folder: Path

    def leaves(self, text: str) -> list[str]:
        """The files below the folder that hold a text."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return [path.name for path in files if text.encode() in path.read_bytes()]


@pytest.fixture
def typed(tmp_path):
    """Type a command in an empty folder: typed("papermill", PAGE, "out.ipynb")."""

    def run(*words, **environment):
        folder = tmp_path / "empty"
        folder.mkdir(exist_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("INBOUND_SCIM_", "PYTEST_"))}
        clean |= {
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "INBOUND_SCIM_OUTPUTS": str(folder / "outputs"),
            **environment,
        }
        done = subprocess.run(
            [str(word) for word in words],
            cwd=folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Typed(done.returncode, done.stdout + done.stderr, folder)

    return run


@pytest.fixture
def is_full(request):
    return request.config.getoption("--full")


# Status of a tenant ------------------------------------------------------------------------------------------------------

WRONG_SECRET = {"auth0_client_secret": "env:PLANTED"}
# Which tenant, what is changed about it, the mode, whether a runner of another tool fails, and the exit status of `run`.
TENANTS = {
    "done": ("fresh", {}, "apply", False, 0),
    "pending": ("fresh", {}, "plan", False, 4),
    "blocked": ("fresh", WRONG_SECRET, "apply", True, 3),
    "failed": ("fresh", {}, "apply", True, 1),
}
REFUSED = {"service": "auth0", "method": "POST", "path": "*/tokens", "nth": 1, "kind": "403"}
RUNNERS = ("papermill", "papermill --engine runbook", "jupyter nbconvert --execute", "jupyter execute", "nbval", "run")
SAMPLE = {
    ("papermill", "blocked"),
    ("papermill --engine runbook", "failed"),
    ("jupyter nbconvert --execute", "failed"),
    ("jupyter execute", "blocked"),
    ("nbval", "pending"),
    ("run", "failed"),
}


def parameters_of(sandbox, status):
    name, changes, mode, _, _ = TENANTS[status]
    row = next(tenant for tenant in read_tenants(Path(sandbox.ready["tenants_file"])) if tenant.name == name)
    return {column: getattr(row, column) for column in COLUMNS} | changes, mode


def page_with(parameters, folder):
    """A copy of the page with other defaults, as a person makes one for runners that know no parameters."""
    page = nbformat.read(PAGE, as_version=4)
    cell = next(cell for cell in page.cells if "parameters" in cell.metadata.get("tags", []))
    for name, value in parameters.items():
        cell.source = re.sub(
            rf'^{name}: str = ".*?"', lambda found, n=name, v=value: f"{n}: str = {v!r}", cell.source, flags=re.M
        )
    for cell in page.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    path = folder / "page.ipynb"
    nbformat.write(page, path)
    return path


def command_for(runner, parameters, folder):
    if runner.startswith("papermill"):
        given = [word for name, value in parameters.items() for word in ("-r", name, value)]
        return [*runner.split(), PAGE, "out.ipynb", "--no-progress-bar", *given]
    if runner == "run":
        rows = [name for name in parameters if name in COLUMNS]
        lines = [",".join(rows), ",".join(parameters[name] for name in rows)]
        (folder / "tenants.csv").write_text("\n".join(lines) + "\n")
        return [sys.executable, "-m", "runbook_lib", "run", "tenants.csv", "--mode", parameters["mode"], "--out", "outputs"]
    page = page_with(parameters, folder)
    if runner == "nbval":
        return ["pytest", "--nbval-lax", "-c", os.devnull, "-p", "no:cacheprovider", page]
    return [*runner.split(), *(["--to", "notebook", "--output", "out.ipynb"] if "nbconvert" in runner else []), page]


@pytest.mark.parametrize("status", TENANTS)
@pytest.mark.parametrize("runner", RUNNERS)
def test_each_runner_ends_as_the_tenant_did_and_leaves_no_secret(runner, status, typed, sandbox, control, tmp_path, is_full):
    if not is_full and (runner, status) not in SAMPLE:
        pytest.skip("one of each kind is in the sample; --full types all")
    *_, is_error, own_code = TENANTS[status]
    parameters, mode = parameters_of(sandbox, status)
    if status == "failed":
        control("POST", "/faults", [REFUSED])
    (tmp_path / "empty").mkdir()
    command = command_for(runner, {**parameters, "mode": mode}, tmp_path / "empty")
    done = typed(*command, PLANTED=PLANTED)
    expected = own_code if runner == "run" else int(is_error)
    assert done.code == expected, done.said[-3000:]
    assert (done.leaves(PLANTED), PLANTED in done.said) == ([], False)
    secrets = [text for text in sandbox.world.secrets() if text]
    assert [text for text in secrets if done.leaves(text)] == []
    [report] = done.folder.rglob("report.html")
    assert "Sandbox: nothing real was touched." in report.read_text()
    if is_error and runner.startswith("papermill"):
        assert "TenantNotDone: Carrying out the procedure for" in done.said
        assert ("Traceback" in done.said) is (runner == "papermill")  # the stock engine's command shows its own code first
        assert "papermill-error-cell-tag" in (done.folder / "out.ipynb").read_text()


# Parameters --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["-p", "auth0_dmain", "x"],
            "(column auth0_dmain): there is no such parameter. Did you mean auth0_domain?",
        ),
        (["-p", "modus", "plan"], "(column modus): there is no such parameter. Did you mean mode?"),
        (["-p", "mode", "aply"], "(column mode): is neither plan nor apply. Did you mean apply?"),
        (["-p", "mode", "7"], "(column mode): is neither plan nor apply."),
    ],
)
@pytest.mark.parametrize("engine", [[], ["--engine", "runbook"]], ids=["stock", "runbook"])
def test_papermill_refuses_what_it_does_not_know_before_anything_is_sent(words, said, engine, typed, is_full):
    if engine and not is_full and words[1] != "auth0_dmain":
        pytest.skip("one of each kind is in the sample; --full types all")
    done = typed("papermill", *engine, PAGE, "out.ipynb", *words)
    assert done.code == (2 if engine else 1)
    assert f"Reading the settings {said} Correct it and run again; nothing was sent." in done.said
    assert "Traceback" not in done.said.partition("SettingsError")[2] + (done.said if engine else "")
    assert (done.folder / "outputs").exists() is False  # not even a folder was made
    assert (done.folder / "out.ipynb").exists() is not bool(engine)


def test_the_page_itself_shows_a_refusal_in_one_line(typed):
    typed("papermill", PAGE, "out.ipynb", "-p", "modus", "plan")
    page = json.loads(typed("true").folder.joinpath("out.ipynb").read_text())
    errors = [output for cell in page["cells"] for output in cell.get("outputs", []) if output["output_type"] == "error"]
    assert [error["traceback"] for error in errors] == [[f"SettingsError: {errors[0]['evalue']}"]]


def test_numbers_and_booleans_are_taken_as_their_texts(typed):
    done = typed("papermill", PAGE, "out.ipynb", "-p", "token_lifetime_days", "365", "-p", "turn_on", "False")
    assert done.code == 0, done.said[-2000:]
    [settings] = done.folder.rglob("settings.json")
    wanted = json.loads(settings.read_text())
    assert (wanted["token_lifetime_days"], wanted["turn_on"]) == ("365", "no")
    [results] = done.folder.rglob("results.json")
    assert json.loads(results.read_text())[-1]["status"] == "SKIPPED"  # 4.3 leaves the job stopped


@pytest.mark.parametrize("engine", [[], ["--engine", "runbook"]], ids=["stock", "runbook"])
def test_papermill_may_add_its_own_paths(engine, typed, is_full):
    if engine and not is_full:
        pytest.skip("one of each kind is in the sample; --full types all")
    done = typed("papermill", *engine, "--inject-paths", PAGE, "out.ipynb", "-p", "mode", "plan")
    assert done.code == 0, done.said[-2000:]
    page = nbformat.read(done.folder / "out.ipynb", as_version=4)
    assert any('PAPERMILL_OUTPUT_PATH = "out.ipynb"' in cell.source for cell in page.cells)


def test_a_literal_secret_is_refused_and_the_refusal_says_that_the_page_holds_it(typed):
    done = typed("papermill", PAGE, "out.ipynb", "-r", "auth0_client_secret", PLANTED)
    assert done.code == 1
    assert "(column auth0_client_secret): is not a reference" in done.said
    assert "This page now holds it: delete the file and make a new secret" in done.said
    assert PLANTED not in done.said
    page = json.loads((done.folder / "out.ipynb").read_text())  # papermill put it there, before the page could refuse it
    assert [cell["metadata"]["tags"] for cell in page["cells"] if PLANTED in json.dumps(cell)] == [["injected-parameters"]]


def test_a_misspelt_secret_is_refused_and_the_refusal_says_that_the_page_holds_it(typed):
    done = typed("papermill", PAGE, "out.ipynb", "-r", "auth0_client_secrt", PLANTED)
    assert done.code == 1
    assert "Did you mean auth0_client_secret? Correct it and run again; nothing was sent. If it is the secret" in done.said
    assert "this page now holds it: delete the file and make a new secret" in done.said
    assert PLANTED not in done.said


@pytest.mark.parametrize(
    "words",
    [
        ("-r", "auth0_client_secret", PLANTED),
        ("-y", f"auth0_client_secret: [{PLANTED}]"),
        ("-y", f"entra_client_secret: {{value: {PLANTED}}}"),
        ("-r", "auth0_client_secrt", PLANTED),
    ],
    ids=["text", "list", "mapping", "misspelt"],
)
def test_our_engine_refuses_a_literal_secret_before_papermill_writes_it(words, typed):
    done = typed("papermill", "--engine", "runbook", PAGE, "out.ipynb", *words)
    assert done.code == 2
    assert "nothing was sent" in done.said or "Nothing was written or sent" in done.said
    assert (done.leaves(PLANTED), list(done.folder.iterdir()), PLANTED in done.said) == ([], [], False)


# nbval -------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone of what is here, outputs and all, without what git does not know."""
    target = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


@pytest.mark.parametrize("flag", ["--nbval", "--nbval-lax"])
def test_nbval_as_typed_finds_the_committed_outputs_and_leaves_nothing(flag, typed, clone, is_full):
    if flag == "--nbval-lax" and not is_full:
        pytest.skip("lax compares nothing that strict does not; --full types it")
    before = sorted((clone / "outputs").iterdir())
    done = typed("sh", "-c", f"cd {clone} && pytest {flag} notebooks/")
    assert done.code == 0, done.said[-4000:]
    pages = [nbformat.read(path, as_version=4) for path in sorted((clone / "notebooks").glob("*.ipynb"))]
    cells = sum(cell.cell_type == "code" for page in pages for cell in page.cells)
    assert f"{cells} passed" in done.said
    assert sorted((clone / "outputs").iterdir()) == before


def test_nbval_is_strict_a_changed_output_is_found(typed, clone, tmp_path):
    shutil.copyfile(clone / "conftest.py", tmp_path / "conftest.py")
    shutil.copytree(clone / "tests" / "notebooks", tmp_path / "tests" / "notebooks")
    page = (clone / "notebooks" / "inbound_scim.ipynb").read_text().replace("A token with exactly the three scopes", "Two tokens")
    (tmp_path / "page.ipynb").write_text(page)
    done = typed("pytest", "--nbval", tmp_path / "page.ipynb")
    assert done.code == 1
    assert "1 failed" in done.said


def test_the_projects_own_tests_collect_no_notebook(typed, clone):
    done = typed("sh", "-c", f"cd {clone} && pytest --collect-only notebooks/")
    assert "no tests collected" in done.said or "no tests ran" in done.said


# A fleet -----------------------------------------------------------------------------------------------------------------


def test_papermill_fails_with_the_page_of_a_fleet_of_which_a_tenant_is_not_done(typed, sandbox):
    lines = Path(sandbox.ready["tenants_file"]).read_text().splitlines()
    folder = typed("true").folder
    named = [line for line in lines if line.startswith(("fresh,", "token-limit,"))]
    (folder / "tenants.csv").write_text("\n".join([lines[0], *named]) + "\n")
    done = typed("papermill", FLEET, "out.ipynb", "--no-progress-bar", "-p", "tenants_file", "tenants.csv")
    assert done.code == 1, done.said[-2000:]
    assert "Carrying out the procedure for 1 of 2 tenants: not done, token-limit (stopped)." in done.said
    assert len([*done.folder.rglob("summary.html")]) == 1  # written before


# A page that is only viewed ----------------------------------------------------------------------------------------------


def test_a_page_that_voila_serves_plans_and_says_why(typed):
    page = shutil.copyfile(PAGE, typed("true").folder / "page.ipynb")
    done = typed("jupyter", "execute", page, SERVER_SOFTWARE="voila/0.5.13")  # as voila tells each kernel that it starts
    assert done.code == 0, done.said[-2000:]
    [results] = done.folder.rglob("results.json")
    assert {row["status"] for row in json.loads(results.read_text())} == {"PASSED", "PLANNED", "NOTED"}
    [report] = done.folder.rglob("report.html")
    assert Outcome.PENDING.word in report.read_text()
