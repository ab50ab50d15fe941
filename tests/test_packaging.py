"""The package as it is installed: what it declares, what is pinned, and that it works away from the clone."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from runbook_lib import __version__

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
EXTRAS = [Requirement(text) for texts in PROJECT["project"]["optional-dependencies"].values() for text in texts]
FOR_TESTS = [Requirement(text) for text in PROJECT["dependency-groups"]["tests"]]
PINNED = ("requirements.txt", "requirements/hashed.txt", "tests/requirements.txt")
OPTIONAL_HERE = {"keyring"}  # an extra that the tests do without: each system has another keyring


def imported(folder):
    """The first names of all modules that the Python files below a folder import, our own and Python's left out.

    The judges of tests/outside run in an environment of their own, or bring with them what they are asked with.
    """
    found = set()
    for path in (path for path in folder.rglob("*.py") if path.parent.name != "judges"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"runbook_lib", "tests", "keyring"}


def names(requirements):
    return {canonicalize_name(one.name) for one in requirements}


def undeclared(folder, requirements):
    providers = packages_distributions()
    return {
        module
        for module in imported(folder)
        if not {canonicalize_name(name) for name in providers.get(module, ())} & names(requirements)
    }


def pins(file):
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[a-z0-9]+\])?==([^\s;\\]+)", (ROOT / file).read_text(), re.MULTILINE)
    return {(canonicalize_name(name), version) for name, version in found} - {("inbound-scim-runbook", __version__)}


def test_every_package_that_is_imported_is_declared():
    assert undeclared(ROOT / "runbook_lib", DIRECT + EXTRAS) == set()
    assert undeclared(ROOT / "tests", DIRECT + EXTRAS + FOR_TESTS) == set()


def test_the_check_of_imports_sees_one_that_is_missing(tmp_path):
    (tmp_path / "module.py").write_text("def late():\n    from requests.adapters import HTTPAdapter\n    import os, yaml\n")
    assert undeclared(tmp_path, DIRECT) == set()
    assert undeclared(tmp_path, [one for one in DIRECT if one.name != "PyYAML"]) == {"yaml"}


@pytest.mark.parametrize("one", DIRECT + EXTRAS + FOR_TESTS, ids=str)
def test_a_dependency_has_a_lower_and_an_upper_bound(one):
    assert sorted(bound.operator for bound in one.specifier) == ["<", ">="]


@pytest.mark.parametrize("file", PINNED)
def test_pins_are_within_the_bounds_and_none_is_missing(file):
    pinned = {}
    for name, version in pins(file):
        pinned.setdefault(name, set()).add(version)
    wanted = DIRECT + (EXTRAS + FOR_TESTS if file.startswith("tests") else [Requirement("nbval>=0.11,<0.12")])
    wanted = [one for one in wanted if one.name not in OPTIONAL_HERE]
    assert {str(one) for one in wanted if not pinned.get(canonicalize_name(one.name))} == set()
    assert {
        str(one) for one in wanted for version in pinned[canonicalize_name(one.name)] if version not in one.specifier
    } == set()


def test_the_three_files_pin_the_same_releases():
    product, hashed, everything = map(pins, PINNED)
    assert product == hashed
    assert product <= everything
    text = (ROOT / "requirements/hashed.txt").read_text()
    assert text.count("--hash=sha256:") > len(hashed)
    assert re.findall(r"^[a-z0-9-]+==\S+(?: ;[^\\]*)?$", text, re.MULTILINE) == []  # each goes on with its hashes


def test_the_version_is_one():
    assert PROJECT["project"]["version"] == __version__
    assert (ROOT / "requirements.txt").read_text().splitlines()[-1] == f"inbound-scim-runbook=={__version__}"
    assert f"#egg=inbound_scim_runbook-{__version__}" in (ROOT / "requirements/links/clone.html").read_text()
    assert re.search(rf"^## {re.escape(__version__)} - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


# Installed --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files of this clone that git has or would take, in a folder whose name has a space."""
    folder = tmp_path_factory.mktemp("a clone")
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


class Environment:
    """A Python environment that has the product's dependencies and not the product."""

    def __init__(self, folder: Path, *, is_empty: bool) -> None:
        self.folder, self.elsewhere = folder / "venv", folder / "elsewhere"
        self.elsewhere.mkdir()
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.folder], check=True)
        self.places = ["-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        if not is_empty:  # only a path: what this environment itself links, such as this clone, is not seen through it
            purelib = subprocess.run(
                [self.bin("python"), *self.places], check=True, capture_output=True, text=True
            ).stdout.strip()
            Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
        self.options = [] if is_empty else ["--no-index", "--no-deps", "--ignore-installed", "--no-build-isolation"]

    def bin(self, name: str) -> Path:
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / name

    def pip_install(self, *what: object) -> None:
        command = [sys.executable, "-m", "pip", "--python", self.bin("python"), "install", "-q", *self.options, *what]
        done = subprocess.run([*map(str, command)], cwd=self.elsewhere, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, *command: object) -> subprocess.CompletedProcess:
        """Run a command in another folder, with an empty home."""
        named = {**os.environ, "HOME": str(self.elsewhere / "home")}
        return subprocess.run(
            [*map(str, command)], cwd=self.elsewhere, env=named, capture_output=True, text=True, check=False, timeout=300
        )


@pytest.fixture
def environment(request, tmp_path):
    """With --full one that is empty, so that pip fetches everything; else it shares this environment's dependencies."""
    return Environment(tmp_path, is_empty=request.config.getoption("--full"))


def test_the_wheel_works_in_any_folder(clone, environment, tmp_path):
    options = ["--no-deps", *environment.options[3:]]
    subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", *options, "-w", tmp_path, clone], check=True)
    [wheel] = tmp_path.glob("*.whl")
    environment.pip_install(wheel)
    runbook = environment.bin("inbound-scim-runbook")

    demo = environment.run(runbook, "demo")
    assert demo.returncode == 0, demo.stderr
    assert "the second apply finds nothing left to do" in demo.stdout
    [run] = (environment.elsewhere / "outputs").iterdir()
    assert demo.stdout.strip().endswith(str(run)) or str(run) in demo.stdout
    assert len(list(run.glob("*/*/inbound_scim.ipynb"))) >= 10
    installed = environment.run(environment.bin("python"), *environment.places).stdout.strip()
    assert sorted(path.name for path in Path(installed, "runbook_lib", "notebooks").iterdir()) == sorted(
        path.name for path in (ROOT / "notebooks").glob("*.ipynb")
    )
    assert not Path(installed, "outputs").exists()

    lab = environment.run(runbook, "lab", "--fleet", "--version")
    assert lab.returncode == 0, lab.stderr
    assert len(list((environment.elsewhere / "outputs").glob("*/fleet.ipynb"))) == 1


def test_a_build_leaves_out_what_an_earlier_one_left(clone, tmp_path):
    stale = clone / "build" / "lib" / "runbook_lib" / "of_yesterday.py"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path, clone]
    subprocess.run(command, check=True)
    [wheel] = tmp_path.glob("*.whl")
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", wheel], check=True, capture_output=True, text=True).stdout
    assert "of_yesterday" not in listed
    assert "runbook_lib/notebooks/inbound_scim.ipynb" in listed


def test_the_requirements_install_the_clone_from_any_folder(clone, environment, request):
    file = clone / "requirements.txt"
    if not request.config.getoption("--full"):  # without the index: what is said of the clone alone
        file.write_text("".join(f"{line}\n" for line in file.read_text().splitlines()[-3:]))
    environment.pip_install("-r", file)
    where = environment.run(environment.bin("python"), "-c", "import runbook_lib; print(runbook_lib.__file__)")
    assert where.stdout.strip() == str(clone / "runbook_lib" / "__init__.py"), where.stderr
    assert environment.run(environment.bin("inbound-scim-runbook"), "--version").stdout.strip().endswith(__version__)
    engines = "from importlib.metadata import entry_points; print([e.name for e in entry_points(group='papermill.engine')])"
    assert "runbook" in environment.run(environment.bin("python"), "-c", engines).stdout


def test_the_shell_completes_a_verb():
    asked = {"_INBOUND_SCIM_RUNBOOK_COMPLETE": "bash_complete", "COMP_WORDS": "inbound-scim-runbook inv", "COMP_CWORD": "1"}
    command = Path(sysconfig.get_path("scripts"), "inbound-scim-runbook")
    done = subprocess.run([command], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout == "plain,inventory\n"


def test_each_hook_before_a_commit_is_a_check_of_the_whole():
    hooks = re.findall(r"^ +entry: \.venv/bin/(\S+)", (ROOT / ".pre-commit-config.yaml").read_text(), re.MULTILINE)
    checked = re.findall(r"^\.venv/bin/(\S+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert set(hooks) <= set(checked)
    assert {"ruff", "mypy"} <= set(hooks)


def test_the_public_ci_calls_the_one_check_on_each_python_that_is_declared():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    declared = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert jobs["run"]["strategy"]["matrix"]["python"] == declared
    assert jobs["run"]["steps"][-1] == {"run": ".ci/run"}
