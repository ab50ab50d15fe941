"""A document of three rows, made here: the run, its files, the batch, the summary, the page and the undo take it as it is."""

from __future__ import annotations

import csv
import json
import pickle
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from runbook_lib.batch import command
from runbook_lib.batch.command import Wanted, carry_out
from runbook_lib.batch.progress import unseen
from runbook_lib.batch.runner import Options
from runbook_lib.batch.undo import undo_run
from runbook_lib.core.step_numbers import sections_in
from runbook_lib.page import cards
from runbook_lib.page.controller import GuidedSession
from runbook_lib.procedures.procedure import Procedure, Row, Section
from runbook_lib.procedures.undo import ways_back
from runbook_lib.run.report import tenant_status
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import COLUMNS, RunMode
from runbook_lib.steps import connection, scim_configuration
from runbook_lib.steps.by_hand import AUTH0, ENTRA
from runbook_lib.tenant.console_links import Place
from tests.patience import PATIENCE_S

FIND = Row("7.1", "See the connection", connection.find_connection, "See", Place.CONNECTION_SETTINGS)
ON = Row("8.1", "Let SCIM run", scim_configuration.sync_and_scim_on, "Run", Place.CONNECTION_PROVISIONING, "Enable it.")
KNOW = Row("8.2", "Know people", scim_configuration.user_id_from_external_id, "Know", Place.CONNECTION_PROVISIONING)
SCIM_ON = Procedure(
    "Turn SCIM on",
    "https://example.com/turn-scim-on",
    "scim_on",
    (Section("7", "Look", "Look", (FIND,), AUTH0), Section("8", "Turn on", "Turn on", (ON, KNOW), AUTH0)),
)
OPEN = f"""import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from runbook_lib.notebook import open_session
from {__name__} import SCIM_ON

session = open_session(procedure=SCIM_ON, mode=mode, out=out, {", ".join(f"{name}={name}" for name in COLUMNS)})"""


@pytest.fixture
def procedure(tmp_path):
    """The document with its page, which a kernel carries out."""
    parameters = nbformat.v4.new_code_cell("\n".join(f'{name} = ""' for name in (*COLUMNS, "mode", "out")))
    parameters.metadata["tags"] = ["parameters"]
    steps = [f'session.do("{number}")' for number in SCIM_ON.numbers]
    cells = [parameters, *map(nbformat.v4.new_code_cell, (OPEN, "session.connect()", *steps, "session.summary()"))]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "scim_on.ipynb")
    return replace(SCIM_ON, notebook=str(tmp_path / "scim_on"))


def carried_out(settings, mode, out):
    session = Session(settings, procedure=SCIM_ON, mode=mode, out=out)
    for step in session.steps:
        session.do(step.number)
    return session, session.finish()


def test_its_steps_are_planned_under_its_own_numbers(tenant, tmp_path):
    planned, outcome = carried_out(tenant("fresh"), RunMode.PLAN, tmp_path / "a" / "fresh")
    assert outcome == ("pending", "1 steps would change something")
    assert [(row["step"], row["title"], row["status"]) for row in planned.rows()] == [
        ("7.1", "See the connection", "PASSED"),
        ("8.1", "Let SCIM run", "PLANNED"),
        ("8.2", "Know people", "NOTED"),
    ]
    assert planned.rows()[2]["reason"].endswith("is made by step 8.1.")


def test_a_batch_of_two_tenants_applies_it_goes_on_and_takes_it_back(procedure, sandbox, tmp_path):
    file, options = Path(sandbox.ready["tenants_file"]), Options(procedure, jobs=2)
    wanted = Wanted(file, RunMode.APPLY, ("fresh", "half-done"), out=tmp_path / "out")
    folder, outcomes, code = carry_out(wanted, options, unseen)
    assert ([(one.name, one.status) for one in outcomes], code) == ([("fresh", "done"), ("half-done", "unchanged")], 0)
    fresh = folder / "fresh"
    assert {"scim_on.ipynb", "results.json", "report.html", "journal.jsonl"} <= {path.name for path in fresh.iterdir()}
    results = json.loads((fresh / "results.json").read_text())
    assert [(row["step"], row["status"]) for row in results] == [("7.1", "PASSED"), ("8.1", "CHANGED"), ("8.2", "UNCHANGED")]
    assert "Know people" in (fresh / "report.html").read_text()
    rows = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    assert [[row[number] for number in SCIM_ON.numbers] for row in rows] == [
        ["PASSED", "CHANGED", "UNCHANGED"],
        ["PASSED", "UNCHANGED", "UNCHANGED"],
    ]
    page = (folder / "summary.html").read_text()
    assert ("8 Turn on" in page, 'href="fresh/scim_on.ipynb"' in page) == (True, True)

    _, again, code = carry_out(Wanted(None, resume=folder), options, unseen)
    assert ([one.status for one in again], code) == (["done", "unchanged"], 0)
    [undone] = undo_run(folder, procedure, RunMode.APPLY, ("fresh",), lambda _line: None)
    assert sorted(ways_back(procedure)) == ["options", "scim-configuration", "scim-mapping"]
    assert [(row["status"], row["title"]) for row in undone["steps"]] == [
        ("CHANGED", "Turn SCIM off (step 8.1)"),
        ("CHANGED", "Restore the connection (step 8.1)"),
    ]
    assert [one.status for one in command.outcomes_of(folder, procedure)] == ["undone", "unchanged"]


def test_a_person_on_the_page_starts_it_applies_it_and_takes_it_back(tenant, tmp_path):
    page = GuidedSession(tmp_path / "page", procedure=SCIM_ON, demos=lambda: (tenant("fresh"),))
    desk = page._desk

    def press(event, value=""):
        page._steps.at_the_end(event, value, {})
        wait()

    def wait():
        for _ in range(2):  # to open a tenant the worker is asked twice
            desk.do(lambda: None).result(PATIENCE_S)

    pieces = [page.connect(), page.steps(), *map(page.section, "78"), *map(page.do, SCIM_ON.numbers), page.summary()]
    wait()
    assert [piece.html != "" for piece in pieces] == [True] * len(pieces)
    assert [cards.step(desk.state, number)["kind"] for number in SCIM_ON.numbers] == ["PASSED", "PLANNED", "NOTED"]
    assert "Let SCIM run" in page.pieces.panel("rail").html
    assert (desk.state.changeable, desk.state.next_step, desk.state.due("8")) == (("8.1", "8.2"), "8.1", ("8.1",))
    press("apply-section", "8")
    assert [cards.step(desk.state, number)["kind"] for number in SCIM_ON.numbers] == ["PASSED", "CHANGED", "UNCHANGED"]
    assert cards.section(desk.state, "8")["words"] == "2 of 2 steps of this section are done."
    journal = desk.tenant.session.out / "journal.jsonl"
    assert tenant_status(journal, SCIM_ON)[0] == "done"
    press("undo-plan")
    press("undo")
    assert desk.state.is_undone
    assert cards.step(desk.state, "8.1")["kind"] == "PLANNED"
    page.close()


def test_a_sentence_names_its_sections_by_the_side_whose_they_are():
    assert SCIM_ON.by_thing.put_in(f"Carry out {sections_in(AUTH0)}.") == "Carry out sections 7 and 8."
    assert SCIM_ON.by_thing.put_in(f"Carry out {sections_in(ENTRA)}.") == "Carry out the steps of that side."
    assert replace(SCIM_ON, sections=SCIM_ON.sections[1:]).by_thing.sections(AUTH0) == "section 8"


def test_it_goes_to_another_process_as_names_of_bodies():
    assert pickle.loads(pickle.dumps(SCIM_ON)) == SCIM_ON
    assert len(pickle.dumps(SCIM_ON)) < 2000
