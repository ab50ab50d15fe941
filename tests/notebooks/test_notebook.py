"""The committed page under its three runners, and the hunt for secrets in what a run leaves."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from tests.notebooks.refresh import LANGUAGE

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "notebooks").glob("*.ipynb"))


def command_line(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "runbook_lib", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, **environment},
        check=False,
    )


def outputs(page):
    return [output for cell in json.loads(page.read_text())["cells"] for output in cell.get("outputs", [])]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_committed_page_is_complete_without_widgets(page):
    every = outputs(page)
    assert [output for output in every if output["output_type"] == "error"] == []
    assert not [kind for output in every for kind in output.get("data", {}) if "jupyter.widget" in kind]
    assert "open this page in JupyterLab" not in page.read_text()
    metadata = json.loads(page.read_text())["metadata"]
    assert "widgets" not in metadata
    assert metadata["language_info"] == LANGUAGE
    if page.stem == "inbound_scim":
        shown = ["".join(output["data"]["text/html"]) for output in every if "data" in output]
        assert [
            step.number for step in OLDER_AZURE_AD.steps if not any(f"</strong> {step.number} " in html for html in shown)
        ] == []
        assert sum("<table" in html for html in shown) >= 15  # what was there, what is wanted, what was found


def test_run_applies_headless_and_leaves_no_secret(sandbox, tmp_path):
    result = command_line("run", sandbox.ready["tenants_file"], "--mode", "apply", "--only", "fresh", "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    [run_folder] = (tmp_path / "out").iterdir()
    folder = run_folder / "fresh"
    assert not [kind for output in outputs(folder / "inbound_scim.ipynb") for kind in output.get("data", {}) if "widget" in kind]
    names = {path.name for path in folder.iterdir()}
    assert {"inbound_scim.ipynb", "results.json", "journal.jsonl", "report.html"} <= names
    assert {"summary.json", "summary.csv", "summary.html"} <= {path.name for path in run_folder.iterdir()}
    rows = json.loads((folder / "results.json").read_text())
    assert (len(rows), set(rows[0])) == (
        len(OLDER_AZURE_AD),
        {"step", "title", "kind", "status", "reason", "remedy", "diffs", "tables"},
    )

    secrets = [text for text in sandbox.world.secrets() if text]
    assert len(secrets) >= 20
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    everything = "\n".join([result.stdout, result.stderr, *(path.read_text() for path in files)])
    assert [text for text in secrets if text in everything] == []
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}


@pytest.mark.parametrize(("name", "mode", "code"), [("fresh", "plan", 4), ("token-limit", "apply", 3), ("complete", "apply", 0)])
def test_exit_codes(name, mode, code, sandbox, tmp_path):
    result = command_line("run", sandbox.ready["tenants_file"], "--mode", mode, "--only", name, "--out", tmp_path, "--json")
    assert result.returncode == code, result.stderr
    assert json.loads(result.stdout)["tenants"][0]["name"] == name


def test_bad_input_ends_with_2_before_any_request(sandbox, tmp_path):
    before = len(sandbox.simulation.history)
    text = Path(sandbox.ready["tenants_file"]).read_text().replace("auth0_client_secret", "auth0_secret", 1)
    (tmp_path / "bad.csv").write_text(text)
    result = command_line("run", tmp_path / "bad.csv", "--mode", "apply", "--out", tmp_path / "out")
    assert (result.returncode, len(sandbox.simulation.history), (tmp_path / "out").exists()) == (2, before, False)
    assert "auth0_secret" in result.stderr


def test_a_run_that_ended_without_an_end_is_interrupted(tmp_path):
    from runbook_lib.engine.journal import Journal
    from runbook_lib.run.report import tenant_status

    journal = Journal(tmp_path / "journal.jsonl")
    journal.write("run", tenant="x")
    journal.write("intent", step="3.6")
    with (tmp_path / "journal.jsonl").open("a") as handle:
        handle.write('{"torn')
    assert tenant_status(tmp_path / "journal.jsonl", OLDER_AZURE_AD) == ("interrupted", "interrupted at 3.6, run again")
