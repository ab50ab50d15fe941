"""What an undo reads: answers of Graph and what is on record in, readings out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.core.errors import ApiError
from runbook_lib.engine.recovery import Doubt
from runbook_lib.services.entra.models import Application, SavedCredentials
from runbook_lib.steps.undoing.readings import (
    InEntra,
    holds_token,
    is_listed_late,
    jobs_now,
    jobs_of,
    may_be_emptied,
    running_jobs,
    tokens_in_entra,
)
from runbook_lib.tenant.written import Emptied, Record
from tests.builders import ACCESS, JOB, PRINCIPAL, PRINCIPAL_ID, RUNNING, SAVED, schema, token
from tests.engine.world import api_error
from tests.steps.undone import EVERYTHING, HELD, RUNNING_JOBS, SHORT, Tenant, later, written

ENTRA = InEntra(PRINCIPAL_ID)
IN_IT = {"service_principal": PRINCIPAL_ID}
OTHER = replace(JOB, id="other", template_id="customappsso")
REGISTERED = Application("a", "app", "Acme SCIM")
TEN = datetime(2026, 11, 24, 10, tzinfo=UTC)
TEST = f"POST /servicePrincipals/{PRINCIPAL_ID}/synchronization/jobs/job/validateCredentials"


def graph(**answers):
    """Return Graph's readings: each returns its name and arguments but for those that are given."""

    def answering(name):
        def answer(*arguments, **more):
            found = answers.get(name, (name, *arguments, more))
            if isinstance(found, Exception):
                raise found
            return found[arguments[0]] if isinstance(found, dict) else found

        return answer

    names = ("service_principal_by_id", "application", "synchronization_jobs", "synchronization_schema", "saved_credentials")
    return {name: answering(name) for name in (*names, "assignments")}


def tenant(jobs=(JOB,), **readings):
    return Tenant(graph(), **{"enterprise_application_IN": PRINCIPAL, "provisioning_jobs_IN": jobs, **readings})


# One application -----------------------------------------------------------------------------------------------------


def test_all_readings_of_an_application_are_named_by_the_beginning_of_its_id():
    assert tuple(fact.name for fact in ENTRA.everything) == EVERYTHING
    assert ENTRA.id == PRINCIPAL_ID


def test_the_application_is_found_by_its_id_and_none_without_one():
    found = Tenant(graph())
    assert found.read(ENTRA.principal) == ("service_principal_by_id", PRINCIPAL_ID, {})
    assert found.read(InEntra("").principal) is None


def test_what_is_in_an_application_is_read_by_its_id():
    found = tenant(jobs=(OTHER, JOB))
    assert found.read(ENTRA.application) == ("application", "app", {"with_set_up": True})
    assert found.read(ENTRA.schema) == ("synchronization_schema", PRINCIPAL_ID, "job", {})
    assert found.read(ENTRA.saved) == ("saved_credentials", PRINCIPAL_ID, {})
    assert found.read(ENTRA.assignments) == ("assignments", PRINCIPAL_ID, {})
    found = Tenant(graph(synchronization_jobs=(JOB,)), enterprise_application_IN=PRINCIPAL)
    assert found.read(ENTRA.jobs) == (JOB,)


def test_in_an_application_that_is_gone_there_is_nothing():
    found = Tenant(graph(), enterprise_application_IN=None)
    assert [found.read(fact) for fact in ENTRA.everything[1:6]] == [None, (), None, SavedCredentials({}), ()]


def test_without_a_scim_job_there_are_no_mappings_and_credentials():
    found = tenant(jobs=(OTHER,))
    assert (ENTRA.job(found), found.read(ENTRA.schema), found.read(ENTRA.saved)) == (None, None, SavedCredentials({}))
    assert ENTRA.job(tenant(jobs=(OTHER, JOB))) == JOB


@pytest.mark.parametrize("error", [api_error(404), api_error(401, "UnknownError")])
def test_an_application_that_is_gone_has_no_jobs(error):
    assert jobs_of(Tenant(graph(synchronization_jobs=error)), PRINCIPAL_ID) == ()


@pytest.mark.parametrize("error", [api_error(403), api_error(401, "InvalidToken"), api_error(500, "UnknownError")])
def test_another_refusal_is_raised(error):
    with pytest.raises(ApiError):
        jobs_of(Tenant(graph(synchronization_jobs=error)), PRINCIPAL_ID)


def test_jobs_in_words():
    entry = written("job", IN_IT)
    assert jobs_now(entry, tenant(jobs=(JOB, RUNNING))) == "The provisioning job is job (off), job (on)."
    assert jobs_now(entry, tenant(jobs=())) == "There is no provisioning job."


# Jobs that are on ----------------------------------------------------------------------------------------------------


def test_jobs_that_are_on_are_looked_for_in_every_application_that_a_run_has_written_to_or_that_has_the_name():
    jobs = {"sp1": (RUNNING, replace(RUNNING, id="j2")), "sp2": (JOB,), "named": (replace(RUNNING, id="j3"),), "sp3": ()}
    own = (written("job", {"service_principal": "sp1"}), written("token"), written("start", {"service_principal": "sp1"}))
    record = Record(own, (later("job", service_principal="sp2"), later("job", service_principal="sp3")))
    fact = running_jobs(record)
    named = (replace(PRINCIPAL, id="named"), replace(PRINCIPAL, id="sp1"))
    found = Tenant(graph(synchronization_jobs=jobs), enterprise_applications=named)
    assert (fact.name, fact.look(found)) == (RUNNING_JOBS, (("job", "sp1"), ("j2", "sp1"), ("j3", "named")))


def used(name, ago):
    return token(name, (TEN - ago).isoformat())


def test_without_a_sign_in_to_entra_a_token_that_was_used_within_the_hour_shows_a_job_that_is_on():
    tokens = (
        used("now", timedelta(minutes=59)),
        used("before", timedelta(hours=1)),
        used("theirs", timedelta(minutes=1)),
        token("never"),
    )
    record = Record((), token_ids=frozenset({"now", "before", "never"}))
    found = Tenant(handed_over="entra", scim_tokens=tokens)
    assert running_jobs(record).look(found) == (("now", ""),)
    found.readings["scim_tokens"] = None
    assert running_jobs(record).look(found) == ()


def test_without_auth0_s_clock_this_machine_s_tells():
    record = Record((), token_ids=frozenset({"now", "before"}))
    found = Tenant(handed_over="entra")
    found.auth0.service.date = None
    now = datetime.now(UTC)
    ago = {"now": timedelta(minutes=1), "before": timedelta(hours=2)}
    found.readings["scim_tokens"] = tuple(token(name, (now - since).isoformat()) for name, since in ago.items())
    assert running_jobs(record).look(found) == (("now", ""),)


def test_with_auth0_handed_over_the_jobs_tell():
    found = Tenant(graph(synchronization_jobs=(RUNNING,)), handed_over="auth0", enterprise_applications=(PRINCIPAL,))
    assert running_jobs(Record(())).look(found) == (("job", PRINCIPAL_ID),)


# Tokens in Entra -----------------------------------------------------------------------------------------------------

SAVE = written("credentials", {**IN_IT, "token": "own", "before": {}})
EMPTY = SavedCredentials({})


def holds(record=Record(()), jobs=(JOB,), saved=SAVED, answer=None, after=timedelta(0)):
    fact, found = holds_token(record, ENTRA), tenant(jobs=jobs, saved_credentials_IN=saved)
    found.graph.service.date, found.answer = TEN + after, answer
    assert (fact.name, fact.is_derived) == (f"Entra holds a token {SHORT}", True)
    return fact.look(found), found.asked


def test_a_token_is_there_where_entra_lists_one():
    assert holds() == (True, [])
    assert holds(saved=EMPTY) == (False, [])
    assert holds(jobs=(OTHER,)) == (False, [])
    assert holds(Record((), emptied={PRINCIPAL_ID})) == (False, [])


@pytest.mark.parametrize(("after_s", "is_asked"), [(299, True), (300, False)])
def test_for_five_minutes_after_a_save_a_test_of_what_is_saved_tells(after_s, is_asked):
    after = timedelta(seconds=after_s)
    assert holds(Record((SAVE,)), saved=EMPTY, after=after) == (is_asked, [TEST] if is_asked else [])


def test_a_save_in_doubt_counts_and_one_elsewhere_or_of_something_else_does_not():
    doubtful = replace(SAVE, is_certain=False)
    assert holds(Record((doubtful,)), saved=EMPTY) == (True, [TEST])
    elsewhere = written("credentials", {**SAVE.undo, "service_principal": "other"})
    for one in (elsewhere, written("schema", IN_IT)):
        assert holds(Record((one,)), saved=EMPTY) == (False, [])


def test_what_was_saved_and_does_not_work_is_no_token():
    assert holds(Record((SAVE,)), saved=EMPTY, answer=api_error(400)) == (False, [TEST])
    assert holds(Record((SAVE,)), saved=EMPTY, answer=api_error(404)) == (False, [TEST])


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_an_answer_that_says_nothing_about_what_is_saved_is_raised(status):
    with pytest.raises(ApiError):
        holds(Record((SAVE,)), saved=EMPTY, answer=api_error(status))


@pytest.mark.parametrize(("after_s", "late"), [(0, True), (299, True), (300, False)])
def test_what_was_made_within_five_minutes_may_be_listed_late(after_s, late):
    found = Tenant()
    found.graph.service.date = TEN + timedelta(seconds=after_s)
    assert is_listed_late(written("assignments"), found) is late


def emptied(ago_s, *, is_certain=True):
    """Return a record by which an earlier undo took the token out, or may have, so many seconds before now."""
    return Record((), emptied_before={PRINCIPAL_ID: Emptied((TEN - timedelta(seconds=ago_s)).isoformat(), is_certain)})


@pytest.mark.parametrize(
    ("record", "is_asked"),
    [(emptied(299), True), (emptied(300), False), (emptied(299, is_certain=False), False), (Record(()), False)],
)
def test_what_an_earlier_undo_took_out_lately_may_be_listed_still_and_a_test_tells(record, is_asked):
    assert holds(record) == (True, [TEST] if is_asked else [])
    assert holds(record, answer=api_error(400)) == (not is_asked, [TEST] if is_asked else [])


@pytest.mark.parametrize(
    ("record", "step", "may_be"),
    [
        (Record(()), "-1", False),
        (Record(()), "-2", True),
        (emptied(299), "-1", True),
        (emptied(300), "-1", False),
        (emptied(300), "-2", True),
    ],
)
def test_the_token_may_be_out_where_a_request_for_that_is_in_doubt_or_was_a_moment_ago(record, step, may_be):
    fact, found = may_be_emptied(record, ENTRA, "-2"), Tenant()
    found.memory.doubts = (Doubt(step, "PUT /it", TEN, None, ()),)
    assert (fact.name, fact.is_derived, fact.look(found)) == (f"may be emptied {SHORT}", True, may_be)


def test_a_job_that_seems_to_be_gone_is_looked_for_a_second_time():
    fact = ENTRA.jobs_looked_for("job")
    assert (fact.name, fact.is_derived) == ("the job job", True)
    found = Tenant(provisioning_jobs_IN=[(OTHER,), (JOB,)])
    assert fact.look(found) == (JOB,)
    assert found.forgotten == [ENTRA.principal.name, ENTRA.jobs.name]
    found = Tenant(provisioning_jobs_IN=[(JOB,)])
    assert (fact.look(found), found.forgotten) == ((JOB,), [])


def held(tokens, *, own=(), answer=None, record=None, **readings):
    record = record or Record((SAVE,), token_ids=frozenset(own))
    fact = tokens_in_entra(record)
    assert fact.name == HELD
    found = tenant(**{"saved_credentials_IN": SAVED, "scim_tokens": tokens, **readings})
    found.answer = answer
    return fact.look(found), found.asked, found.forgotten


OURS, THEIRS = token("own"), token("theirs")


def test_where_all_tokens_are_this_tool_s_own_entra_may_hold_each():
    assert held((OURS, token("own2")), own=("own", "own2", "gone")) == ({"own", "own2"}, [], [])


def test_the_token_that_a_test_uses_is_the_one_that_entra_holds():
    after = (OURS, replace(THEIRS, last_used_at="2026-11-24"), token("new"))
    assert held([(OURS, THEIRS), after], own=("own",)) == ({"theirs"}, [TEST], ["scim_tokens"])


def test_where_no_token_tells_none_is_ruled_out():
    both = (replace(OURS, last_used_at="2026-11-01"), THEIRS)
    assert held([both, both], own=("own",)) == ({"own", "theirs"}, [TEST], ["scim_tokens"])
    assert held([both, None], own=("own",)) == ({"own", "theirs"}, [TEST], ["scim_tokens"])
    assert held(both, own=("own",), answer=api_error(400)) == ({"own", "theirs"}, [TEST], [])


@pytest.mark.parametrize("side", ["auth0", "entra"])
def test_one_side_does_not_tell(side):
    assert held((OURS, THEIRS), own=("own",), handed_over=side) == (frozenset(), [], [])


def test_only_applications_with_a_job_and_a_token_hold_one_and_not_those_that_this_undo_deleted():
    assert held((OURS,), own=("own",), jobs=()) == (frozenset(), [], [])
    assert held((OURS,), own=("own",), saved_credentials_IN=EMPTY, record=Record((written("job", IN_IT),))) == (
        frozenset(),
        [],
        [],
    )
    assert held((OURS,), record=Record((SAVE,), deleted={PRINCIPAL_ID})) == (frozenset(), [], [])
    assert held((OURS,), record=Record(())) == (frozenset(), [], [])


def test_the_tokens_of_several_applications_are_put_together():
    second = InEntra("99999999-sp")
    record = Record((SAVE, written("job", {"service_principal": second.id})), token_ids=frozenset({"own", "own2"}))
    found = tenant(saved_credentials_IN=SAVED, scim_tokens=[(OURS,), (token("own2"),)])
    found.readings |= {second.principal.name: PRINCIPAL, second.jobs.name: (JOB,), second.saved.name: SAVED}
    assert tokens_in_entra(record).look(found) == {"own", "own2"}


def test_the_mappings_are_those_of_the_scim_job():
    found = tenant(jobs=(OTHER, JOB), attribute_mappings_IN=schema(), assignments_IN=(ACCESS,))
    assert (found.read(ENTRA.schema), found.read(ENTRA.assignments)) == (schema(), (ACCESS,))
