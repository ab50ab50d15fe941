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
        machine = Machine(open_http=lambda bundle, session=None: open_session(bundle, session or Noting()))
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


@pytest.fixture
def apply_at_once(sandbox, tmp_path):
    """Apply the procedure by a clock that hardly moves, and return the tool's own requests: apply_at_once(settings)."""

    def apply(settings):
        start, moments = len(sandbox.simulation.history), itertools.count()
        machine = Machine(clock=lambda: next(moments) / 100_000)
        session = tenant_session(settings, mode=RunMode.APPLY, out=tmp_path / "run" / settings.name, machine=machine)
        for step in session.steps:
            session.do(step.number)
        assert session.finish()[0] == "done"
        return [one for one in sandbox.simulation.history[start:] if one["service"] != "scim"]

    return apply


def test_applying_the_whole_procedure_takes_52_requests_at_most_18_of_them_auth0_s(apply_at_once, tenant):
    asked = Counter(one["service"] for one in apply_at_once(tenant("fresh")) if "batch" not in one)
    assert (asked.total() <= 52, asked["auth0"] <= 18) == (True, True), asked


def whole_writes(history):
    """Each write of a connection's options and of a schema, with the request before it and what that asked for."""
    own = [one for one in history if one["service"] in ("auth0", "graph")]
    for number, entry in enumerate(own):
        if entry["method"] in ("PATCH", "PUT") and (entry["service"] == "auth0" or entry["path"].endswith("/schema")):
            before = own[number - 1]
            items = [one for one in own[:number] if "batch" in before and one.get("batch") == before["batch"]]
            yield entry, items or [before]


@pytest.mark.parametrize("name", ["fresh", "half-done"])
def test_what_is_written_whole_is_told_by_the_answer_to_the_request_right_before(apply_at_once, tenant, name):
    """That is a reading of it, or Auth0's answer to a PATCH of the same connection, which holds the connection."""
    found = list(whole_writes(apply_at_once(tenant(name))))
    assert {entry["service"] for entry, _ in found} >= {"graph"}
    for entry, before in found:
        asked = [(one["method"], one["path"].rpartition("/")[2]) for one in before]
        is_own_answer = [(one["method"], one["path"], one["status"]) for one in before] == [("PATCH", entry["path"], 200)]
        is_read = ("GET", "connections" if entry["service"] == "auth0" else "schema") in asked
        assert is_read or (is_own_answer and entry["service"] == "auth0"), (entry["path"], asked)


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
