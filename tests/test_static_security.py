"""bandit over the package and the code of the notebooks; the audit of dependencies, which runs in .ci/run.

bandit is a test because its answer depends on this repository alone. An audit's depends on the day and on the network.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "runbook_lib"
ACCEPTED = {  # by file: what bandit finds and why it stays
    "batch/inventory.py": {"B105": "words about tokens, not secrets"},
    "batch/one_tenant.py": {"B108": "a folder of its own is made there, mode 0700; sockets need a short path"},
    "batch/papermill_engine.py": {"B108": "a folder of its own is made there, mode 0700; sockets need a short path"},
    "batch/kernels/manager.py": {"B604": "the shell channel of a kernel"},
    "batch/summary.py": {"B405": "writes XML and reads none"},
    "page/handover.py": {"B105": "names of fields, not secrets", "B704": "marks as safe only what a template has escaped"},
    "page/form.py": {"B105": "names of fields, not secrets"},
    "page/trouble.py": {"B105": "labels of fields, not secrets"},
    "notebook.py": {"B105": "names of fields, not secrets"},
    "settings/model.py": {"B105": "names of fields, not secrets"},
    "core/templates.py": {"B704": "marks as safe only what it has escaped"},
    "tenant/things.py": {"B105": "names of things, not secrets"},
    "page/lab.py": {
        "B108": "a folder of its own is made there, mode 0700; sockets need a short path",
        "B404": "starts JupyterLab",
        "B603": "by a command of ours, without a shell",
    },
    "sandbox/auth0/tokens.py": {"B105": "token_type is no password"},
    "sandbox/login/tokens.py": {"B105": "token_type is no password"},
    "sandbox/demo_tenants.py": {"B101": "tells mypy what is true"},
    "sandbox/graph/batch.py": {"B101": "tells mypy what is true"},
    "sandbox/ids.py": {"B311": "ids and secrets of the sandbox repeat on purpose"},
    "sandbox/process.py": {"B404": "starts the sandbox", "B603": "by a command of ours, without a shell"},
}


def findings(folder: Path) -> dict[str, set[str]]:
    """What bandit finds below a folder: test ids by file. Fails when it could not read every file."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--format", "json", "--recursive", str(folder)]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    assert report["errors"] == []
    read = {Path(name) for name in report["metrics"] if name != "_totals"}
    assert read == set(folder.rglob("*.py"))
    found: dict[str, set[str]] = {}
    for result in report["results"]:
        found.setdefault(str(Path(result["filename"]).relative_to(folder)), set()).add(result["test_id"])
    return found


def test_bandit_finds_nothing_in_the_package_but_what_is_accepted():
    assert findings(PACKAGE) == {name: set(reasons) for name, reasons in ACCEPTED.items()}


def test_bandit_finds_nothing_in_the_notebooks(tmp_path):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = nbformat.read(path, as_version=4)
        code = "\n\n".join(cell.source for cell in page.cells if cell.cell_type == "code")
        assert {"session.do(", "fleet.run("} & {*re.findall(r"\w+\.\w+\(", code)}
        (tmp_path / path.with_suffix(".py").name).write_text(code)
    assert findings(tmp_path) == {}


def test_bandit_would_find_it(tmp_path):
    (tmp_path / "bad.py").write_text("import subprocess\nsubprocess.call(input(), shell=True)\n")
    assert findings(tmp_path) == {"bad.py": {"B404", "B602"}}


@pytest.fixture
def audit():
    specification = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


BAD, OURS = ["jinja2 3.1.2: GHSA-h5c8-rqwp-cp95"], ["requests 2.31.0: GHSA-9wx4-h78v-vm56"]


@pytest.mark.parametrize(
    ("of_the_known", "of_ours", "code", "said"),
    [
        ({"pypi": None, "osv": None}, [], 0, "NOT AUDITED, neither pypi nor osv"),
        ({"pypi": [], "osv": None}, [], 0, "NOT AUDITED"),
        ({"pypi": [], "osv": BAD}, [], 0, "2 packages asked of osv, 0 advisories"),
        ({"pypi": BAD}, OURS, 1, "pip-audit: requests 2.31.0: GHSA-9wx4-h78v-vm56"),
        ({"pypi": BAD}, None, 1, "FAILED, pypi could not be asked about every installed package"),
    ],
)
def test_only_a_source_that_knows_advisories_counts_as_an_audit(of_the_known, of_ours, code, said, audit, monkeypatch, capsys):
    monkeypatch.setattr(audit, "installed", lambda: "a==1\nb==2\n")
    monkeypatch.setattr(audit, "advisories", lambda source, asked: of_the_known[source] if asked == audit.KNOWN_BAD else of_ours)
    assert audit.main() == code
    assert said in capsys.readouterr().out
