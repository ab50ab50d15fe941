"""Finished means with these settings: what a run was given is on record, and a corrected row is run again."""

from __future__ import annotations

import pytest

from runbook_lib.batch.one_tenant import finished
from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine.journal import Journal
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.journals import refuse_another
from runbook_lib.settings.model import RunMode


def test_a_tenant_that_is_done_with_these_settings_is_finished(tenant, carry_out):
    run = carry_out(tenant("fresh"))
    outcome = finished(tenant("fresh"), OLDER_AZURE_AD, RunMode.APPLY, run.out)
    assert outcome is not None
    assert outcome.status == "done"


@pytest.mark.parametrize(
    "changes", [{"turn_on": "no"}, {"auth0_connection": "another"}, {"token_lifetime_days": "30"}, {"scim_app_name": "Another"}]
)
def test_with_other_settings_it_is_not(changes, tenant, carry_out):
    run = carry_out(tenant("fresh"))
    assert finished(tenant("fresh", **changes), OLDER_AZURE_AD, RunMode.APPLY, run.out) is None


def test_the_journal_of_another_tenant_in_the_folder_finishes_nothing(tenant, carry_out):
    run = carry_out(tenant("fresh"))
    assert finished(tenant("half-done"), OLDER_AZURE_AD, RunMode.APPLY, run.out) is None


def test_a_run_that_was_taken_back_is_not_finished(tenant, carry_out):
    from tests.builders import tenant_session

    run = carry_out(tenant("fresh"))
    session = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=run.out, is_undo=True)
    for step in session.steps:
        session.do(step.number)
    session.finish()
    assert finished(tenant("fresh"), OLDER_AZURE_AD, RunMode.APPLY, run.out) is None


def test_a_corrected_connection_in_the_folder_of_a_run_is_refused_by_both_names_and_what_to_do(tenant, carry_out):
    run = carry_out(tenant("fresh"))
    with pytest.raises(JournalFailed) as refused:
        refuse_another(Journal(run.out / "journal.jsonl"), tenant("fresh", auth0_connection="corrected"))
    assert refused.value.came_back == f"it is the journal of fresh (connection {tenant('fresh').auth0_connection})"
    assert refused.value.do_now == "Choose another folder: start a new run, without --resume or another --run-id"
    refuse_another(Journal(run.out / "journal.jsonl"), tenant("fresh"))
