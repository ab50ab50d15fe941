"""What counts late at a service is waited for, within one run, and the report says what was waited for."""

from __future__ import annotations

import json

import pytest

from runbook_lib.run.machine import Machine
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session


@pytest.fixture
def run_by_its_clock(sandbox_clock, tmp_path):
    """Run all steps while the sandbox's clock moves as long as the run sleeps: run(settings) -> rows and events."""

    def run(settings, name="run"):
        session = tenant_session(settings, mode=RunMode.APPLY, out=tmp_path / name / settings.name, machine=sandbox_clock)
        for step in session.steps:
            session.do(step.number)
        status, _ = session.finish()
        events = [json.loads(line) for line in (session.out / "journal.jsonl").read_text().splitlines()]
        return status, {row["step"]: row for row in session.rows()}, events, (session.out / "report.html").read_text()

    return run


SAVED = "Entra listed the saved credentials with a delay; this run waited for them."
LATE = {
    "assignments_count_after": {"seconds": 180},
    "assignments_list_after": {"seconds": 30},
    "secrets_list_after": {"seconds": 90},
}


def waited_for(events):
    return {event["step"]: event["what"] for event in events if event["event"] == "waiting"}


def test_a_fresh_tenant_is_done_in_one_run_though_assignments_count_and_secrets_list_late(control, tenant, run_by_its_clock):
    assert control("POST", "/world", LATE).status_code == 200
    status, rows, events, report = run_by_its_clock(tenant("fresh"))
    assert (status, rows["3.6"]["status"], rows["4.2"]["status"]) == ("done", "CHANGED", "CHANGED")
    waited = waited_for(events)
    assert waited == {
        "3.3": "Entra listed the new assignments with a delay; this run waited for them.",
        "3.6": SAVED,
        "4.2": "Entra recognized the new assignment with a delay; this run repeated provision on demand until it did.",
    }
    assert all(what in report for what in waited.values())


def test_an_assignment_that_does_not_count_in_seven_minutes_is_left_for_later_and_then_found(control, tenant, run_by_its_clock):
    control("POST", "/world", {"assignments_count_after": {"seconds": 500}})
    status, rows, _, _ = run_by_its_clock(tenant("fresh"))
    assert (status, rows["4.2"]["status"]) == ("failed", "FAILED")
    assert rows["4.2"]["remedy"].startswith("Run again in a few minutes: Entra does not know yet that the test user is assigned")
    assert "(see: RB-503)" in rows["4.2"]["remedy"]
    status, rows, _, _ = run_by_its_clock(tenant("fresh"), "again")
    assert (status, rows["4.2"]["status"]) == ("done", "CHANGED")


def test_provision_on_demand_is_repeated_within_its_limit(control, tenant, run_by_its_clock, sandbox):
    control("POST", "/world", {"assignments_count_after": {"calls": 3}})
    run_by_its_clock(tenant("fresh"))
    asked = [entry for entry in sandbox.simulation.history if entry["path"].endswith("/provisionOnDemand")]
    assert [entry["status"] for entry in asked] == [200] * 4


REFUSED_BY_AUTH0 = {"service": "scim", "method": "PATCH", "path": "*/Users/*", "kind": "401"}


def updates(sandbox):
    """What Auth0 answered to Entra's updates of users."""
    return [entry["status"] for entry in sandbox.simulation.history if (entry["service"], entry["method"]) == ("scim", "PATCH")]


def test_provision_on_demand_is_sent_once_more_when_auth0_refuses_entras_token(control, tenant, run_by_its_clock, sandbox):
    control("POST", "/faults", [{**REFUSED_BY_AUTH0, "nth": 1}])
    status, rows, _, _ = run_by_its_clock(tenant("fresh"))
    assert (status, rows["4.2"]["status"]) == ("done", "CHANGED")
    assert updates(sandbox) == [401, 200]


def test_a_token_that_auth0_goes_on_refusing_is_named_and_nothing_is_started(control, tenant, run_by_its_clock, sandbox):
    control("POST", "/faults", [{**REFUSED_BY_AUTH0, "nth": nth} for nth in range(1, 5)])
    status, rows, _, _ = run_by_its_clock(tenant("fresh"))
    assert (status, rows["4.2"]["status"], rows["4.3"]["status"]) == ("failed", "FAILED", "SKIPPED")
    assert updates(sandbox) == [401, 401]
    assert "InvalidCredentials" in rows["4.2"]["reason"]
    assert "if Auth0 still refuses it, make a new SCIM token and save it in Entra" in rows["4.2"]["remedy"]
    assert rows["4.2"]["remedy"].endswith("(see: RB-505)")


def test_nothing_is_waited_for_where_nothing_is_late(control, tenant, run_by_its_clock):
    control("POST", "/world", {name: {"calls": 0} for name in LATE})
    status, rows, events, _ = run_by_its_clock(tenant("fresh"))
    assert (status, [event for event in events if event["event"] == "waiting"]) == ("done", [])
    assert "with a delay" not in json.dumps(rows)


class ProcessEnds(BaseException):
    """The process ends at this moment, as by a kill."""


def ended_after_saving(sandbox, settings, out):
    """Run all steps in a process that ends as soon as Entra has taken the credentials and does not list them yet."""

    def sleep(seconds):
        if any(entry["method"] == "PUT" and entry["path"].endswith("/secrets") for entry in sandbox.simulation.history):
            raise ProcessEnds
        sandbox.world.clock.advance(seconds)

    machine = Machine(sleep=sleep, now=lambda: sandbox.world.clock.now, name="here")
    session = tenant_session(settings, mode=RunMode.APPLY, out=out, machine=machine)
    with pytest.raises(ProcessEnds):
        all(session.do(step.number) for step in session.steps)
    session.lock.free()


def tokens_made(sandbox):
    return [
        entry
        for entry in sandbox.simulation.history
        if entry["path"].endswith("/scim-configuration/tokens") and entry["method"] == "POST"
    ]


def test_a_new_process_waits_for_credentials_that_an_earlier_one_saved(control, tenant, run_by_its_clock, sandbox, tmp_path):
    control("POST", "/world", LATE)
    ended_after_saving(sandbox, tenant("fresh"), tmp_path / "first" / "fresh")
    status, rows, events, _ = run_by_its_clock(tenant("fresh"), "second")
    assert (status, len(tokens_made(sandbox)), waited_for(events)["3.6"]) == ("done", 1, SAVED)
    assert "This run makes no other token and waits until Entra lists them." in rows["2.2"]["reason"]


def test_credentials_that_are_not_listed_in_five_minutes_are_left_to_a_later_run(
    control, tenant, run_by_its_clock, sandbox, tmp_path
):
    control("POST", "/world", {"secrets_list_after": {"seconds": 86_400}})
    ended_after_saving(sandbox, tenant("fresh"), tmp_path / "first" / "fresh")
    status, rows, _, _ = run_by_its_clock(tenant("fresh"), "second")
    assert (status, rows["3.6"]["status"], len(tokens_made(sandbox))) == ("failed", "FAILED", 1)
    control("POST", "/world", {"secrets_list_after": {"calls": 0}})
    status, _, _, _ = run_by_its_clock(tenant("fresh"), "third")
    assert (status, len(tokens_made(sandbox))) == ("done", 1)


def test_credentials_that_somebody_changed_since_are_not_waited_for(control, tenant, run_by_its_clock, sandbox, entra, tmp_path):
    """What Entra lists is neither the old nor the new state: nothing is late, and the run saves again at once."""
    control("POST", "/world", {"secrets_list_after": {"seconds": 90}})
    ended_after_saving(sandbox, tenant("fresh"), tmp_path / "first" / "fresh")
    control("POST", "/world", {"secrets_list_after": {"calls": 0}})
    saved = next(side for side in entra("fresh").provisioning.values() if side.jobs)
    saved.secrets["SyncAll"] = "true"
    status, _, events, _ = run_by_its_clock(tenant("fresh"), "second")
    assert (status, len(tokens_made(sandbox)), "3.6" in waited_for(events)) == ("done", 2, False)


# Values count, not only keys: what replaces saved credentials has the same keys --------------------------------------


def without_guard(secrets):
    secrets.pop("SyncNotificationSettings")


def with_another_recipient(secrets):
    secrets["SyncNotificationSettings"] = '{"Enabled":true,"Recipients":"scim@complete.example"}'


def with_everybody_in_scope(secrets):
    secrets["SyncAll"] = "true"


def with_another_address(secrets):
    secrets["BaseAddress"] = "https://elsewhere.example/scim"


@pytest.mark.parametrize("drift", [without_guard, with_another_recipient, with_everybody_in_scope, with_another_address])
@pytest.mark.parametrize("delay", [{"calls": 1}, {"seconds": 90}])
def test_what_replaces_saved_credentials_is_waited_for_by_its_values(control, tenant, run_by_its_clock, entra, delay, drift):
    saved = next(iter(entra("complete").provisioning.values())).secrets
    drift(saved)
    control("POST", "/world", {"secrets_list_after": delay})
    status, rows, events, _ = run_by_its_clock(tenant("complete", accept=["replace-tenant-url", "values-written-over"]))
    assert (status, rows["3.6"]["status"], SAVED in rows["3.6"]["reason"]) == ("done", "CHANGED", delay != {"calls": 1})
    assert waited_for(events) == ({} if delay == {"calls": 1} else {"3.6": SAVED})
