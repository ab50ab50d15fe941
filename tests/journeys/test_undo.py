"""Undo over HTTPS: the job stops first, then goes what the run made, in reverse, and nothing else."""

from __future__ import annotations

import copy
import json

import pytest

from runbook_lib.__main__ import main
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session


@pytest.fixture
def take_back(sandbox, sandbox_clock):
    """Undo a run: take_back(settings, run.out, "apply") gives status, rows and the writes, in order."""

    def undo(settings, out, mode="apply"):
        start = len(sandbox.simulation.history)
        session = tenant_session(settings, mode=RunMode(mode), out=out, is_undo=True, machine=sandbox_clock)
        for step in session.steps:
            session.do(step.number)
        status, _ = session.finish()
        writes = [
            (entry["method"], entry["path"].rpartition("/")[2])
            for entry in sandbox.simulation.history[start:]
            if entry["method"] != "GET"
            and entry["service"] in ("auth0", "graph")
            and not entry["path"].endswith(("token", "$batch"))
        ]
        return status, session.rows(), writes

    return undo


def state_of(sandbox, customer):
    """What a customer has, without what the undo cannot or must not put back: the person's profile, an empty note."""
    principals = {key: {**value, "notes": value["notes"] or None} for key, value in customer.service_principals.items()}
    return copy.deepcopy(
        (
            sandbox.world.auth0.connections,
            sandbox.world.auth0.provisioning,
            customer.applications,
            principals,
            customer.assignments,
        )
    )


def test_a_fresh_tenant_is_as_before_and_a_second_undo_does_nothing(sandbox, tenant, carry_out, entra, take_back):
    customer = entra("fresh")
    before = state_of(sandbox, customer)
    run = carry_out(tenant("fresh"))
    status, rows, writes = take_back(tenant("fresh"), run.out)
    assert (status, state_of(sandbox, customer)) == ("done", before)
    assert writes[0][1] == "pause"
    assert take_back(tenant("fresh"), run.out)[::2] == ("unchanged", [])
    assert any("An undo cannot remove" in row["reason"] for row in rows)


def test_plan_writes_nothing_and_names_what_apply_then_does(tenant, carry_out, take_back):
    run = carry_out(tenant("fresh"))
    status, planned, writes = take_back(tenant("fresh"), run.out, "plan")
    assert (status, writes) == ("pending", [])
    _, done, _ = take_back(tenant("fresh"), run.out)
    assert [row["title"] for row in planned if row["status"] == "PLANNED"] == [
        row["title"] for row in done if row["status"] == "CHANGED"
    ]


def test_an_application_that_was_there_keeps_everything_but_the_run_s_own(sandbox, tenant, carry_out, entra, take_back):
    customer = entra("half-done")
    before = state_of(sandbox, customer)
    [saved] = [p for p in customer.provisioning.values() if p.jobs]
    [(job_id, schema)] = copy.deepcopy(saved.schemas).items()
    run = carry_out(tenant("half-done"))
    status, rows, writes = take_back(tenant("half-done"), run.out)
    assert (status, state_of(sandbox, customer)) == ("done", before)
    after = {key: value for key, value in saved.schemas[job_id].items() if key != "version"}
    assert after == {key: value for key, value in schema.items() if key != "version"}
    assert saved.jobs[job_id]["schedule"]["state"] == "Paused" or saved.jobs[job_id]["schedule"]["state"] == "Disabled"
    assert ("DELETE", job_id) not in writes
    guard = json.loads(saved.secrets["SyncNotificationSettings"])
    assert (guard["DeleteThresholdEnabled"], set(saved.secrets)) == (True, {"SyncNotificationSettings"})
    assert take_back(tenant("half-done"), run.out)[::2] == ("unchanged", [])
    assert "guard" in " ".join(row["reason"] for row in rows)


def test_the_command_plans_then_undoes(sandbox, tenant, carry_out, entra):
    from click.testing import CliRunner

    run = carry_out(tenant("fresh"))
    planned = CliRunner().invoke(main, ["undo", str(run.out.parent)])
    assert (planned.exit_code, "Nothing was written" in planned.stdout) == (4, True)
    done = CliRunner().invoke(main, ["undo", str(run.out.parent), "--mode", "apply", "--json"])
    [result] = json.loads(done.stdout)
    assert (done.exit_code, result["status"], result["left"]) == (0, "done", 1), done.output  # the test user's profile
    assert "look at what remains of this run" in done.stderr
    assert not [p for p in entra("fresh").service_principals.values() if p["displayName"].startswith("Acme SCIM")]


def test_a_folder_without_journals_is_bad_usage(tmp_path):
    from click.testing import CliRunner

    result = CliRunner().invoke(main, ["undo", str(tmp_path)])
    assert (result.exit_code, "holds no journal" in result.stderr) == (2, True)


def test_a_run_of_another_tenant_is_not_taken_back(sandbox, tenant, carry_out):
    """A user copied settings over, or took a journal along: the undo sends the other tenant no request."""
    from click.testing import CliRunner

    run = carry_out(tenant("fresh"))
    (run.out / "settings.json").write_text(json.dumps(tenant("half-done").model_dump(mode="json")))
    start = len(sandbox.simulation.history)
    result = CliRunner().invoke(main, ["undo", str(run.out.parent), "--mode", "apply"])
    assert (result.exit_code, "it is the journal of fresh" in result.stdout) == (1, True)
    assert len(sandbox.simulation.history) == start


def test_hostile_names_do_nothing_on_the_page_of_an_undo(tenant, carry_out, entra, take_back):
    customer, hostile = entra("fresh"), "=1<img src=x onerror=alert(1)>\u202e"
    for assignment in customer.assignments:
        assignment["principalDisplayName"] = hostile
    run = carry_out(tenant("fresh", scim_app_name="=Acme <b>SCIM</b>"))
    take_back(tenant("fresh", scim_app_name="=Acme <b>SCIM</b>"), run.out, "plan")
    page = (run.out / "undo.html").read_text()
    assert "&lt;b&gt;SCIM" in page
    assert ("<b>SCIM" in page, "<img" in page, "\u202e" in page) == (False, False, False)


def test_settings_that_cannot_be_used_hide_nothing_of_the_other_tenants(tenant, carry_out):
    from runbook_lib.batch.undo import undo_run

    run = carry_out(tenant("fresh"))
    for number, text in enumerate(("null", "[]", "{", '{"name": "fresh"}')):
        odd = run.out.parent / f"odd-{number}"
        odd.mkdir()
        (odd / "journal.jsonl").write_text((run.out / "journal.jsonl").read_text())
        (odd / "settings.json").write_text(text)
    results = undo_run(run.out.parent, OLDER_AZURE_AD, RunMode.APPLY, (), lambda _line: None)
    odd_ones = [(f"odd-{number}", "failed") for number in range(4)]
    assert sorted((one["name"], one["status"]) for one in results) == [("fresh", "done"), *odd_ones]


def test_a_report_after_an_undo_says_that_the_run_was_taken_back_and_claims_nothing_any_more(tenant, carry_out, take_back):
    from runbook_lib.run.report import tenant_status

    run = carry_out(tenant("fresh"))
    take_back(tenant("fresh"), run.out)
    status, about = tenant_status(run.out / "journal.jsonl", OLDER_AZURE_AD)
    assert (status, about.startswith("taken back 20"), "Auth0: " in about) == ("undone", True, True)
    assert "Taken back</strong>: taken back" in (run.out / "report.html").read_text()
    rows = json.loads((run.out / "results.json").read_text())
    assert [row["step"] for row in rows if row["status"] in ("CHANGED", "PLANNED")] == []
    assert next(row for row in rows if row["step"] == "3.4")["reason"].startswith("Taken back 20")


def test_a_run_undone_and_made_again_is_not_taken_back_by_the_first_undo_again(sandbox, tenant, carry_out, entra, take_back):
    first = carry_out(tenant("fresh"))
    take_back(tenant("fresh"), first.out)
    second = carry_out(tenant("fresh"))
    assert second.status == "done"
    before = state_of(sandbox, entra("fresh"))
    assert take_back(tenant("fresh"), first.out)[::2] == ("unchanged", [])
    assert state_of(sandbox, entra("fresh")) == before


def test_a_job_that_others_started_keeps_everything_until_it_is_off(sandbox, tenant, carry_out, entra, take_back):
    run = carry_out(tenant("fresh", turn_on="no"))
    customer = entra("fresh")
    [saved] = [p for p in customer.provisioning.values() if p.jobs]
    [job] = saved.jobs.values()
    job["schedule"]["state"] = "Active"
    before = state_of(sandbox, customer)
    status, rows, writes = take_back(tenant("fresh", turn_on="no"), run.out)
    assert (status, writes, state_of(sandbox, customer)) == ("blocked", [], before)
    assert "Turn provisioning off in Entra" in str(rows)
    job["schedule"]["state"] = "Disabled"
    assert take_back(tenant("fresh", turn_on="no"), run.out)[0] == "done"
    assert not [p for p in customer.service_principals.values() if p["displayName"].startswith("Acme SCIM")]


def test_what_others_did_inside_of_the_application_keeps_it(sandbox, tenant, carry_out, entra, take_back):
    run = carry_out(tenant("fresh"))
    customer = entra("fresh")
    [saved] = [p for p in customer.provisioning.values() if p.jobs]
    principal = next(p for p in customer.service_principals.values() if p["displayName"].startswith("Acme SCIM"))
    principal["notes"] += "\nAsk Miriam before you delete this."
    status, rows, _ = take_back(tenant("fresh"), run.out)
    assert principal["id"] in customer.service_principals
    row = next(row for row in rows if "enterprise application" in row["title"])
    assert (status, row["status"], "someone else has edited its notes" in row["reason"]) == ("done", "NOTED", True)
    assert (saved.secrets.get("SecretToken"), principal["notes"]) == (None, "\nAsk Miriam before you delete this.")
