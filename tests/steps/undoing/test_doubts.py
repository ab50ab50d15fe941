"""What a run may have written, because no response told: what is there in, a sentence out, and never a change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.engine.step import Kind
from runbook_lib.steps.undoing.doubts import in_doubt
from runbook_lib.steps.undoing.undo import Seen, Undo, undone
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.written import Record
from tests.builders import PRINCIPAL, PRINCIPAL_ID, SETTINGS
from tests.steps.undone import SHORT, Tenant, written

ENTRY = written("job", {"service_principal": PRINCIPAL_ID}, is_certain=False, step="3.4", request="POST /jobs")
WHOSE = "the response to POST /jobs was lost, so the journal does not show whether it took effect"
TEN = datetime(2026, 11, 24, 10, tzinfo=UTC)


def trial(entry=ENTRY, seen=Seen(True, "A job is there."), **record):
    asked = []
    way = undone(max, Thing.JOB, "the job", needs={}, look=lambda *found: asked.append(found) or seen)
    undo = Undo(Record((entry,), **record), "Acme SCIM", is_plan=False)
    return in_doubt(undo, "-2", entry, way), asked


def said(now, *, is_young=False):
    step, _ = trial()
    [found] = step.body.function(now, is_young, SETTINGS)
    return found.text, found.is_left


def test_what_is_there_may_be_others_work():
    text, is_left = said(Seen(True, "A job is there."), is_young=True)
    assert (text, is_left) == (
        f"Left in place: {WHOSE}, and someone else may have made this. A job is there. If you do not need it, remove it by hand.",
        True,
    )


def test_what_is_not_there_may_not_show_yet_or_was_never_made():
    late = f"Left in place: {WHOSE}. There is none. The service may list it later: undo again later to check."
    assert said(Seen(False, "There is none."), is_young=True) == (late, True)
    assert said(Seen(False, "There is none.")) == (f"Nothing is left to undo: {WHOSE}. There is none.", False)


def test_the_step_reads_what_is_there_and_writes_nothing():
    step, _ = trial()
    assert (step.number, step.title, step.kind) == (
        "-2",
        "Leave the job, which someone else may have made (step 3.4)",
        Kind.ENSURE,
    )
    assert [fact.name for fact in step.body.reads] == ["what is there, -2", "may still show, -2"]
    assert [fact.name for fact in step.body.touches] == ["what is there, -2"]
    assert [fact.is_derived for fact in step.body.reads] == [True, True]
    assert step.body.takes_back == ""


def there(entry, principal):
    step, asked = trial(entry)
    tenant = Tenant(**{"enterprise application " + SHORT: principal})
    return step.body.reads[0].look(tenant), asked, tenant


def test_what_the_kind_of_write_looks_for_is_looked_for():
    seen, asked, tenant = there(ENTRY, PRINCIPAL)
    assert (seen, asked) == (Seen(True, "A job is there."), [(ENTRY, tenant)])
    assert there(written("token"), None)[0] == Seen(True, "A job is there.")


def test_where_the_application_is_gone_nothing_is_there():
    assert there(ENTRY, None)[0] == Seen(False, "The enterprise application is gone.")


@pytest.mark.parametrize(
    ("auth0", "graph", "is_young"),
    [
        (None, None, True),
        (timedelta(hours=1), None, False),
        (None, timedelta(minutes=59), True),
        (timedelta(minutes=59), timedelta(hours=1), False),
        (timedelta(hours=2), timedelta(minutes=1), False),
    ],
)
def test_by_the_services_own_clocks_it_may_still_show_for_an_hour(auth0, graph, is_young):
    step, _ = trial()
    tenant = Tenant()
    tenant.auth0.service.date = None if auth0 is None else TEN + auth0
    tenant.graph.service.date = None if graph is None else TEN + graph
    assert step.body.reads[1].look(tenant) is is_young


def test_in_an_application_that_this_undo_has_deleted_nothing_shows_later():
    step, _ = trial(deleted={PRINCIPAL_ID})
    assert step.body.reads[1].look(Tenant()) is False
    step, _ = trial(replace(ENTRY, undo={"kind": "token"}), deleted={"", PRINCIPAL_ID})
    assert step.body.reads[1].look(Tenant()) is True
