"""Cells that a person runs one by one, in any order, in a kernel that asks nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runbook_lib import notebook
from runbook_lib.core.errors import NoSuchStep, SettingsError, TenantBusy, TenantNotDone
from runbook_lib.notebook import NotebookSession, open_session
from runbook_lib.settings.model import COLUMNS, RunMode
from runbook_lib.settings.tenants_file import read_tenants
from tests.builders import tenant_session


@pytest.fixture
def parameters(sandbox):
    row = next(tenant for tenant in read_tenants(Path(sandbox.ready["tenants_file"])) if tenant.name == "fresh")
    return {column: getattr(row, column) for column in COLUMNS}


@pytest.fixture(autouse=True)
def _nothing_stays_open():
    yield
    NotebookSession.close_earlier()


def test_the_cell_that_opens_the_page_can_be_run_again(parameters, tmp_path):
    first = open_session(**parameters, out=tmp_path / "first")
    first.do("0.1")
    again = open_session(**parameters, out=tmp_path / "again")
    assert repr(again.do("0.1")).startswith("✓ Checked 0.1")
    assert (tmp_path / "first" / "report.html").is_file()  # the earlier run was ended, not forgotten
    assert not (tmp_path / "again" / "report.html").exists()


def test_a_refused_opening_leaves_the_open_page_as_it_is(parameters, tmp_path):
    first = open_session(**parameters, out=tmp_path / "first")
    with pytest.raises(SettingsError, match="Did you mean apply"):
        open_session(**parameters, mode="aply", out=tmp_path / "again")
    assert repr(first.do("0.1")).startswith("✓ Checked 0.1")
    assert not (tmp_path / "first" / "report.html").exists()


def test_another_run_of_the_tenant_still_keeps_the_page_out(parameters, tenant, tmp_path):
    other = tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "other")
    try:
        with pytest.raises(TenantBusy, match="another run holds it"):
            open_session(**parameters, out=tmp_path / "page")
    finally:
        other.finish()


def test_a_step_can_be_run_twice_and_before_those_ahead_of_it(parameters, tmp_path):
    page = open_session(**parameters, out=tmp_path / "page")
    once, twice = (repr(page.do("3.9")) for _ in range(2))
    assert once == twice
    assert once.startswith("○ To do 3.9")
    page.summary()
    assert [row["step"] for row in json.loads((tmp_path / "page" / "results.json").read_text())] == ["3.9"]


def test_a_save_that_is_run_before_its_steps_writes_nothing_and_says_which_is_missing(parameters, sandbox, tmp_path):
    page = open_session(**parameters, mode="apply", out=tmp_path / "page")
    assert "Carry out step 3.4 first." in repr(page.do("3.12"))
    sent = {(entry["service"], entry["method"]) for entry in sandbox.simulation.history if entry["method"] in ("PUT", "PATCH")}
    assert sent == set()
    with pytest.raises(TenantNotDone, match=r"stopped, 3\.12"):
        page.summary()


@pytest.mark.parametrize("number", ["9.9", 3.9, "", "3"])
def test_a_step_that_does_not_exist_is_named_with_those_that_do(number, parameters, tmp_path):
    page = open_session(**parameters, out=tmp_path / "page")
    with pytest.raises(NoSuchStep) as refused:
        page.do(number)
    assert str(refused.value).startswith(f"Looking for step {number}: the procedure has no such step. Known are 0.1, 0.2, 1.1,")
    assert refused.value._render_traceback_() == [f"NoSuchStep: {refused.value}"]


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_sent(parameters, sandbox, tmp_path):
    (tmp_path / "a file").write_text("")
    before = len(sandbox.simulation.history)
    with pytest.raises(SettingsError) as refused:
        open_session(**parameters, out=tmp_path / "a file" / "page")
    assert f"(column out): the folder {tmp_path / 'a file' / 'page'} cannot be made (Not a directory)." in str(refused.value)
    assert len(sandbox.simulation.history) == before


def test_the_paths_that_papermill_adds_when_asked_are_no_unknown_parameters(parameters, tmp_path, monkeypatch):
    cell = '# Parameters\nmode = "plan"\nPAPERMILL_INPUT_PATH = "a.ipynb"\nPAPERMILL_OUTPUT_PATH = "b.ipynb"\n'
    monkeypatch.setattr(notebook, "cells_run", lambda: (cell,))
    assert repr(open_session(**parameters, mode="plan", out=tmp_path / "page").do("0.1")).startswith("✓ Checked 0.1 ")
    monkeypatch.setattr(notebook, "cells_run", lambda: (f'{cell}PAPERMILL_PATH = "c"',))
    with pytest.raises(SettingsError, match="column PAPERMILL_PATH"):
        open_session(**parameters, mode="plan", out=tmp_path / "page")


def test_a_page_that_is_only_viewed_says_so_and_how_to_write(parameters, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    page = open_session(**parameters, mode="apply", out=tmp_path / "page")
    words = repr(page.connect())
    assert words.startswith("This page is only viewed, not run by a person or a command: it plans and writes nothing. To write, ")
    assert repr(page.do("1.2")).startswith("○ To do 1.2")
