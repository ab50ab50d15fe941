"""A document of three rows, made here: the run, its files, the batch's summary and the page take it as it is."""

from __future__ import annotations

import csv
import json

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.batch.summary import write_summary
from runbook_lib.page import cards
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.state import PageState
from runbook_lib.procedures.procedure import Procedure, Row, Section
from runbook_lib.procedures.undo import ways_back
from runbook_lib.run.tenant_run import Session
from runbook_lib.settings.model import RunMode
from runbook_lib.steps import connection, scim_configuration
from runbook_lib.tenant.console_links import Place

SCIM_ON = Procedure(
    "Turn SCIM on",
    "https://example.com/turn-scim-on",
    (
        Section(
            "7", "Look", "Look", (Row("7.1", "See the connection", connection.find_connection, "See", Place.CONNECTION_SETTINGS),)
        ),
        Section(
            "8",
            "Turn on",
            "Turn on",
            (
                Row(
                    "8.1", "Let SCIM run", scim_configuration.sync_and_scim_on, "Run", Place.CONNECTION_PROVISIONING, "Enable it."
                ),
                Row("8.2", "Know people", scim_configuration.user_id_from_external_id, "Know", Place.CONNECTION_PROVISIONING),
            ),
        ),
    ),
)


def carried_out(settings, mode, out):
    session = Session(settings, mode=mode, out=out, procedure=SCIM_ON)
    for step in session.steps:
        session.do(step.number)
    return session, session.finish()


def test_its_steps_are_planned_carried_out_and_found_done_under_its_own_numbers(tenant, tmp_path):
    planned, outcome = carried_out(tenant("fresh"), RunMode.PLAN, tmp_path / "a" / "fresh")
    assert outcome == ("pending", "1 steps would change something")
    assert [(row["step"], row["title"], row["status"]) for row in planned.rows()] == [
        ("7.1", "See the connection", "PASSED"),
        ("8.1", "Let SCIM run", "PLANNED"),
        ("8.2", "Know people", "NOTED"),
    ]
    assert planned.rows()[2]["reason"].endswith("is made by step 8.1.")
    assert carried_out(tenant("fresh"), RunMode.APPLY, tmp_path / "b" / "fresh")[1] == ("done", "1 steps changed something")
    assert carried_out(tenant("fresh"), RunMode.APPLY, tmp_path / "c" / "fresh")[1] == ("unchanged", "nothing to do")


def test_its_files_and_the_summary_have_its_rows(tenant, tmp_path):
    folder = tmp_path / "run" / "fresh"
    _, (status, about) = carried_out(tenant("fresh"), RunMode.APPLY, folder)
    assert [row["step"] for row in json.loads((folder / "results.json").read_text())] == ["7.1", "8.1", "8.2"]
    assert "Know people" in (folder / "report.html").read_text()
    write_summary(folder.parent, [TenantOutcome("fresh", status, about, folder)], procedure=SCIM_ON)
    [row] = csv.DictReader((folder.parent / "summary.csv").read_text().splitlines())
    assert [row[number] for number in SCIM_ON.numbers] == ["PASSED", "CHANGED", "UNCHANGED"]
    assert "Turn on" in (folder.parent / "summary.html").read_text()


def test_the_page_lists_it(tenant, tmp_path):
    session, _ = carried_out(tenant("fresh"), RunMode.PLAN, tmp_path / "run" / "fresh")
    state = PageState(SCIM_ON, "sandbox", "fresh", Connecting(lambda *_: None), session)
    assert state.changeable == ("8.1", "8.2")
    assert state.next_step == "8.1"
    assert cards.section(state, "8")["words"].endswith("of 2 steps of this section are done.")


def test_its_writes_are_taken_back_by_the_bodies_that_made_them(tenant, tmp_path):
    folder = tmp_path / "run" / "fresh"
    carried_out(tenant("fresh"), RunMode.APPLY, folder)
    undo = Session(tenant("fresh"), mode=RunMode.APPLY, out=folder, procedure=SCIM_ON, is_undo=True)
    assert sorted(ways_back(SCIM_ON)) == ["options", "scim-configuration", "scim-mapping"]
    assert [(undo.do(step.number).status, step.title) for step in undo.steps] == [
        ("CHANGED", "Turn SCIM off (step 8.1)"),
        ("CHANGED", "Restore the connection (step 8.1)"),
    ]
    assert undo.finish()[0] == "done"
    assert carried_out(tenant("fresh"), RunMode.PLAN, tmp_path / "b" / "fresh")[1][0] == "pending"
