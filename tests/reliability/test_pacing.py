"""Requests under a rate limit: never one too many, and hardly one too few."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runbook_lib.batch.one_tenant import Workshop, run_tenant
from runbook_lib.http import Pace, Service, open_session
from runbook_lib.pacing import Pacer, Ticket
from runbook_lib.session import fetched_grant
from runbook_lib.settings import RunMode

PER_SECOND, BURST, WORKERS = 2, 10, 6


@pytest.fixture
def limited(control):
    control("POST", "/pressure", {"per_second": PER_SECOND, "burst": BURST})


def refused(sandbox):
    return [entry for entry in sandbox.simulation.history if entry["service"] == "auth0" and entry["status"] == 429]


def test_workers_together_never_exceed_the_limit_and_waste_at_most_a_tenth(limited, sandbox, tenant, tmp_path, trials, figure):
    count, token = trials(36, 240), fetched_grant(tenant("fresh")).token
    numbers, lock = iter(range(count)), threading.Lock()

    def work():
        with open_session(sandbox.ready["ca_bundle"]) as session:
            service = Service(
                "auth0",
                f"https://{sandbox.ready['auth0_domain']}",
                session=session,
                pace=Pace(),
                sign_in=lambda _renew: token,
                limit=Pacer(tmp_path).limit("auth0"),
            )
            while True:
                with lock:
                    if next(numbers, None) is None:
                        return
                service.read("/api/v2/connections", (("name", "fresh-azure-ad"),))

    started = time.monotonic()
    workers = [threading.Thread(target=work) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.monotonic() - started
    least = (count - BURST) / PER_SECOND
    figure(f"{count} requests at {PER_SECOND}/s", f"{len(refused(sandbox))} over the limit, {least / took:.0%} of it used")
    assert refused(sandbox) == []
    assert least <= took + 0.5
    assert took <= least / 0.9 + 2.0  # the last second of a short sample may be a whole one


def test_all_wait_as_long_as_one_was_told_to(tmp_path):
    times = [0.0]
    pacer = Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds))
    pacer.observe("graph", pacer.acquire("graph"), 429, {"Retry-After": "7.5"})
    Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds)).acquire("graph")
    assert times[0] == 7.5
    pacer.acquire("another")
    assert times[0] == 7.5


def test_a_request_whose_kernel_died_is_forgotten_in_time(tmp_path):
    times = [0.0]
    pacer = Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds))
    pacer.acquire("auth0")  # the first, whose answer everybody waits for, and which never comes
    pacer.acquire("auth0")
    assert 120 < times[0] < 140


@pytest.mark.parametrize("value", ["0", "-5", "junk", "1e9", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_odd_waits_end(value, tmp_path):
    times = [0.0]
    pacer = Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds))
    pacer.observe("graph", pacer.acquire("graph"), 429, {"Retry-After": value})
    pacer.acquire("graph")
    assert times[0] <= 300


def test_a_run_signs_in_to_auth0_once_and_its_token_is_on_no_disk(sandbox, tenant, tmp_path):
    with Workshop.opened() as workshop:
        for name in ("complete", "half-done", "fresh"):
            assert run_tenant(tenant(name), RunMode.PLAN, tmp_path / name, workshop).status in ("unchanged", "pending")
        left = [path.read_bytes() for path in workshop.scratch.rglob("*") if path.is_file()]
    sign_ins = [entry for entry in sandbox.simulation.history if entry["service"] == "auth0" and entry["path"] == "/oauth/token"]
    assert len(sign_ins) == 1
    files = [path.read_bytes() for path in Path(tmp_path).rglob("*") if path.is_file()]
    tokens = [token.encode() for token in sandbox.world.auth0.access_tokens]
    assert tokens
    assert [token for token in tokens if any(token in content for content in (*left, *files))] == []


ENDLESS = """
import sys
from pathlib import Path
from runbook_lib.pacing import Pacer
pacer = Pacer(Path(sys.argv[1]))
while True:
    pacer.observe("auth0", pacer.acquire("auth0"), 200, {})
"""


def test_processes_killed_as_they_write_leave_the_others_their_pace(tmp_path, trials):
    counts = []
    for number in range(trials(5, 100)):
        with subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)]) as endless:
            known = wait_for_more(tmp_path, counts[-1] if counts else 0)
            time.sleep(number % 7 / 1000)
            endless.kill()
        counts.append(json.loads(known.read_bytes())["count"])
        pacer = Pacer(tmp_path)
        pacer.forget("auth0", Ticket(counts[-1], 0))  # what the killed process may have been about
    assert counts == sorted(set(counts))


def wait_for_more(folder, count):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in folder.glob("*.json"):
            with contextlib.suppress(ValueError):
                if json.loads(path.read_bytes())["count"] > count:
                    return path
        time.sleep(0.005)
    raise AssertionError("the process does nothing")


def test_of_a_file_that_cannot_be_read_nothing_is_known(tmp_path):
    Pacer(tmp_path).observe("auth0", Pacer(tmp_path).acquire("auth0"), 429, {"Retry-After": "200"})
    [path] = tmp_path.iterdir()
    for content in (b"", b'{"left": 3, "cou', b"[]", b'{"other": 1}', b"\xff"):
        path.write_bytes(content)
        assert Pacer(tmp_path).acquire("auth0") == Ticket(1, 0)


def test_a_shorter_state_leaves_nothing_of_a_longer_one(tmp_path):
    pacer = Pacer(tmp_path)
    pacer.observe("auth0", pacer.acquire("auth0"), 200, {})
    tickets = [pacer.acquire("auth0") for _ in range(30)]
    [path] = tmp_path.iterdir()
    longest = len(path.read_bytes())
    for ticket in tickets:
        pacer.observe("auth0", ticket, 200, {})
    assert json.loads(path.read_bytes())["sent"] == []
    assert len(path.read_bytes()) == longest
