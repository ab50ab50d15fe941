"""A run that version 2 of the journal recorded, kept as that version wrote it: reports, re-runs and undo read it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from runbook_lib.engine.journal import Journal
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.undo import steps_to_undo, ways_back
from runbook_lib.run.journals import INDEX, journals_of, past_of
from runbook_lib.run.report import rows_of, tenant_status
from runbook_lib.tenant.written import Record, standing

STORED = Path(__file__).parent.parent / "journals" / "version-2.jsonl"


@pytest.fixture
def old(tmp_path):
    """The folder that the run left: outputs/RUN/fresh."""
    folder = tmp_path / "outputs" / "run-001" / "fresh"
    folder.mkdir(parents=True)
    shutil.copy(STORED, folder / "journal.jsonl")
    return folder


def told(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_it_is_of_version_2_and_tells_how_the_run_ended(old):
    assert {event["v"] for event in told(old)} == {2}
    assert tenant_status(old / "journal.jsonl", OLDER_AZURE_AD)[0] == "done"
    assert len(rows_of(old / "journal.jsonl")) == 26


def test_what_it_made_is_known_to_the_next_run_by_name_and_by_id(old):
    [run] = [event for event in told(old) if event["event"] == "run"]
    [connection_id] = {event["undo"]["connection"] for event in told(old) if (event.get("undo") or {}).get("connection")}
    for name in (run["connection"], connection_id):
        past = past_of([old / "journal.jsonl"], run["auth0_domain"], name)
        assert (len(past.made["token"]), len(past.made["service_principal"]), past.doubts) == (1, 1, ())


def test_it_is_found_by_the_connection_s_id_from_a_renamed_row(old):
    [run] = [event for event in told(old) if event["event"] == "run"]
    [connection_id] = {event["undo"]["connection"] for event in told(old) if (event.get("undo") or {}).get("connection")}
    renamed = old.parent.parent / "run-002" / "another-name"
    assert journals_of(renamed, run["auth0_domain"]) == ()
    assert journals_of(renamed, run["auth0_domain"], connection_id) == (old / "journal.jsonl",)
    assert (old.parent / INDEX).is_dir()


def test_all_that_it_wrote_is_to_be_taken_back(old):
    found = standing(Journal(old / "journal.jsonl"), (), ways_back(OLDER_AZURE_AD))
    steps, undo = steps_to_undo(OLDER_AZURE_AD, Record(found), "Acme SCIM (fresh)")
    assert {entry.kind for entry in found} == {
        "options", "scim-configuration", "token", "application", "notes", "assignments", "job", "credentials", "schema",
        "on-demand", "start",
    }  # fmt: skip
    assert all(entry.is_certain and entry.version == 2 for entry in found)
    assert (undo.stop, steps[0].title.partition(" (")[0]) == ("-1", "Stop provisioning")
    assert not any(entry.knows_assignments for entry in found)
