"""How often a plan waits for an answer: requests that depend on one another, counted by a session that notes each of them."""

import itertools
import threading
from collections import Counter
from typing import ClassVar

import pytest

from runbook_lib.http.rate_limits import Ticket
from runbook_lib.http.session import Session as HttpSession
from runbook_lib.http.session import open_session
from runbook_lib.http.waves import WAVE
from runbook_lib.run.machine import Machine
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session


class Noting(HttpSession):
    """Notes each request with the thread it is sent in: threads of one wave send at once, any other thread one by one."""

    sent: ClassVar[list[tuple[str, str]]] = []

    def request(self, method, url, *args, **kwargs):
        self.sent.append((threading.current_thread().name, f"{method} {url}"))
        return super().request(method, url, *args, **kwargs)


def noting(bundle, session=None):
    """Open a session that notes what it sends."""
    return open_session(bundle, session or Noting())


def waves(sent):
    """The requests after the sign-ins, those of one wave together."""
    found = {}
    for number, (thread, line) in enumerate(sent):
        if "token" not in line.rpartition("/")[2] and "openid-configuration" not in line:
            wave = thread.rpartition("_")[0] if thread.startswith(WAVE) else number
            found.setdefault(wave, []).append(line)
    return list(found.values())


@pytest.fixture
def sent_by(tmp_path):
    """Plan a tenant and return what was sent: sent_by(settings)."""

    def plan(settings):
        Noting.sent = []
        machine = Machine(open_http=noting)
        session = tenant_session(settings, mode=RunMode.PLAN, out=tmp_path / "run" / settings.name, machine=machine)
        for step in session.steps:
            session.do(step.number)
        assert session.finish()[0] in ("unchanged", "pending")
        return Noting.sent

    return plan


@pytest.mark.parametrize(("name", "most"), [("fresh", 4), ("complete", 4)])
def test_a_plan_waits_for_an_answer_four_times_at_most(sent_by, tenant, name, most):
    found = waves(sent_by(tenant(name)))
    assert len(found) <= most, found


def test_a_plan_asks_both_services_at_once(sent_by, tenant):
    found = waves(sent_by(tenant("complete")))
    assert ["/api/v2/" in line for line in found[0]].count(True) == 1
    assert any("$batch" in line for line in found[0])


def test_no_reading_of_a_plan_is_sent_twice(sent_by, tenant, sandbox):
    start = len(sandbox.simulation.history)
    sent_by(tenant("complete"))
    asked = [(one["service"], one["path"], one["query"]) for one in sandbox.simulation.history[start:] if one["method"] == "GET"]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize(("service", "path", "step"), [("graph", "/organization", "0.2"), ("auth0", "/users-by-email", "4.2")])
def test_an_error_of_what_is_read_ahead_is_told_by_the_step_that_reads_it(carry_out, tenant, control, service, path, step):
    control("POST", "/faults", [{"service": service, "method": "GET", "path": f"*{path}", "nth": 1, "kind": "403"}])
    run = carry_out(tenant("complete"), "plan")
    statuses = run.statuses()
    before = [status for number, status in statuses.items() if float(number) < float(step)]
    assert statuses[step] == "FAILED"
    assert "FAILED" not in before
    assert sum(one["path"].endswith(path) for one in run.history) == 1


class Distant:
    """A clock by which each request takes so long; those of one wave take it together."""

    def __init__(self, delay_s):
        self.delay_s, self.looks = delay_s, itertools.count()
        Noting.sent = []

    def __call__(self):
        waits = {thread if thread.startswith(WAVE) else str(number) for number, (thread, _) in enumerate(Noting.sent)}
        return len({wait.rpartition("_")[0] or wait for wait in waits}) * self.delay_s + next(self.looks) / 100_000


@pytest.fixture
def apply_at_once(sandbox, tmp_path):
    """Apply the procedure by a clock that hardly moves, or over a network, and return the tool's own requests."""

    def apply(settings, delay_s=0.0):
        start, machine = len(sandbox.simulation.history), Machine(open_http=noting, clock=Distant(delay_s))
        session = tenant_session(settings, mode=RunMode.APPLY, out=tmp_path / "run" / settings.name, machine=machine)
        for step in session.steps:
            session.do(step.number)
        assert session.finish()[0] == "done"
        return [one for one in sandbox.simulation.history[start:] if one["service"] != "scim"]

    return apply


@pytest.mark.parametrize(("delay_s", "most", "most_of_auth0"), [(0, 50, 18), (0.1, 54, 19), (0.25, 56, 21)])
def test_applying_the_whole_procedure_takes_so_many_requests_at_most(apply_at_once, tenant, delay_s, most, most_of_auth0):
    """What is read right before a write is asked for again where the requests since took longer than that."""
    asked = Counter(one["service"] for one in apply_at_once(tenant("fresh"), delay_s) if "batch" not in one)
    assert (asked.total() <= most, asked["auth0"] <= most_of_auth0) == (True, True), asked


def test_a_tenant_of_a_fleet_asks_auth0_sixteen_times_at_most(apply_at_once, tenant):
    """The sign-in and the mapping that Auth0 proposes are read once for all tenants of a run (tests/batch/test_read_once.py)."""
    asked = [one for one in apply_at_once(tenant("fresh")) if one["service"] == "auth0" and "batch" not in one]
    shared = [one["path"] for one in asked if one["path"].endswith(("/oauth/token", "/default-mapping"))]
    assert len(shared) == len(set(shared)) == 2
    assert len(asked) - len(shared) <= 16


def test_the_jobs_are_looked_for_in_the_request_that_looks_for_the_assignments(apply_at_once, tenant):
    """So the synchronization service is asked whether it knows the application before a job is posted, and at no cost."""
    history = apply_at_once(tenant("fresh"))
    looks = [one["batch"] for one in history if "batch" in one and one["path"].endswith("/synchronization/jobs")]
    assigned = [one["batch"] for one in history if "batch" in one and one["path"].endswith("/appRoleAssignedTo")]
    assert set(looks) & set(assigned)
    posted = [one["status"] for one in history if one["method"] == "POST" and one["path"].endswith("/synchronization/jobs")]
    assert posted == [201]


def schemas_written(history):
    """For each write of a schema what was asked for in the request before it."""
    own = [one for one in history if one["service"] in ("auth0", "graph")]
    for number, entry in enumerate(own):
        if entry["method"] == "PUT" and entry["path"].endswith("/schema"):
            before = own[number - 1]
            items = [one for one in own[:number] if "batch" in before and one.get("batch") == before["batch"]]
            yield [(one["method"], one["path"].rpartition("/")[2]) for one in items or [before]]


def options_written(sent):
    """For each write of a connection, with its line, what was sent before it: one request, or one wave."""
    together = waves(sent)
    return [
        (group[0], before)
        for before, group in itertools.pairwise(together)
        if group[0].startswith("PATCH") and "/api/v2/" in group[0]
    ]


@pytest.mark.parametrize(("name", "delay_s"), [("fresh", 0), ("half-done", 0), ("fresh", 0.25)])
def test_what_is_written_whole_is_told_by_the_answer_to_the_request_right_before(apply_at_once, tenant, name, delay_s):
    """That is a reading of it, or Auth0's answer to a PATCH of the same connection, which holds the connection."""
    schemas = list(schemas_written(apply_at_once(tenant(name), delay_s)))
    assert schemas
    assert all(("GET", "schema") in asked for asked in schemas), schemas
    options = options_written(Noting.sent)
    assert (name == "fresh") <= bool(options)
    assert [
        before
        for line, before in options
        if before != [line] and not any(one.startswith("GET ") and one.endswith("/api/v2/connections") for one in before)
    ] == []


def test_what_is_written_whole_is_read_again_when_time_has_passed_since_its_last_reading(tenant, sandbox, tmp_path):
    late_s, moments = [0.0], itertools.count()
    machine = Machine(clock=lambda: next(moments) / 100_000 + late_s[0])
    session = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "run" / "fresh", machine=machine)
    for step in session.steps[: [step.number for step in session.steps].index("1.3")]:
        session.do(step.number)
    start, late_s[0] = len(sandbox.simulation.history), 0.6
    session.do("1.3")
    session.finish()
    asked = [(one["method"], one["path"].rpartition("/")[2]) for one in sandbox.simulation.history[start:]]
    assert asked[0] == ("GET", "connections")
    assert asked[1][0] == "PATCH"


def test_a_run_of_a_finished_tenant_takes_fourteen_requests_at_most_sign_ins_included(carry_out, tenant):
    run = carry_out(tenant("complete"))
    assert run.status == "unchanged"
    assert run.calls() <= 14


def test_the_options_are_read_back_once_after_their_last_write(apply_at_once, tenant):
    asked = [(one["method"], one["path"]) for one in apply_at_once(tenant("fresh")) if one["service"] == "auth0"]
    last = max(number for number, (method, _) in enumerate(asked) if method == "PATCH")
    before_the_start = asked[last:][:3]
    assert ("GET", "/api/v2/connections") in before_the_start, before_the_start


class SlowTurns:
    """A limit where the turn of each write comes a minute late, and others' at once; it notes both."""

    def __init__(self, wait):
        self.wait, self.noted = wait, []

    def acquire(self, kind, _held=None):
        self.noted.append(kind)
        if kind.startswith("write"):
            self.wait()
        return Ticket(len(self.noted), kind)

    def observe(self, *_answer):
        pass

    def forget(self, _ticket):
        pass


def test_what_a_write_replaces_is_read_after_the_wait_for_its_turn(tenant, sandbox, tmp_path):
    late_s = [0.0]
    moments = itertools.count()
    machine = Machine(clock=lambda: late_s[0] + next(moments) / 100_000)
    session = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "run" / "fresh", machine=machine)
    limit = SlowTurns(lambda: late_s.__setitem__(0, late_s[0] + 60))
    session.view.auth0.service._limit = limit
    for step in session.steps[: [step.number for step in session.steps].index("1.3")]:
        session.do(step.number)
    session.finish()
    after_its_turn = limit.noted[limit.noted.index("write connections") + 1 :]
    assert "read connections" in after_its_turn
    assert not any(kind.startswith("write") for kind in after_its_turn)
    own = [(one["method"], one["path"].rpartition("/")[2]) for one in sandbox.simulation.history if one["service"] == "auth0"]
    assert (own[-2], own[-1][0]) == (("GET", "connections"), "PATCH")


def test_a_further_write_of_a_step_that_waited_long_for_its_turn_is_planned_again_first(tenant, sandbox, tmp_path):
    """Step 1.3 has two: while the second waited, another administrator may have turned SCIM on, or changed the options."""
    late_s, moments = [0.0], itertools.count()
    machine = Machine(clock=lambda: late_s[0] + next(moments) / 100_000)
    session = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "run" / "fresh", machine=machine)
    numbers = [step.number for step in session.steps]
    for number in numbers[: numbers.index("1.3")]:
        session.do(number)
    start = len(sandbox.simulation.history)
    session.view.auth0.service._limit = SlowTurns(lambda: late_s.__setitem__(0, late_s[0] + 60))
    result = session.do("1.3")
    session.finish()
    own = [(one["method"], one["path"].rpartition("/")[2]) for one in sandbox.simulation.history[start:]]
    writes = [number for number, (method, _) in enumerate(own) if method in ("PATCH", "POST")]
    assert result.status == "CHANGED"
    assert len(writes) == 2
    assert ("GET", "scim-configuration") in own[writes[0] + 1 : writes[1]]
