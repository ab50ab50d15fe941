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
from runbook_lib.http.rate_limits import Pacer, Ticket
from runbook_lib.http.retry import Pace
from runbook_lib.http.service import Service
from runbook_lib.http.session import open_session
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.sign_ins import fetched_grant
from runbook_lib.settings.model import RunMode
from tests.patience import PATIENCE_S, until

WORKERS = 6
CONNECTIONS, USERS = "/api/v2/connections", "/api/v2/users"
NEVER_TOO_MANY = [  # what the control API is told; (burst, requests a second) by path
    ({"per_second": 2, "burst": 10}, {CONNECTIONS: (10, 2)}),
    ({"per_second": 2, "burst": 2}, {CONNECTIONS: (2, 2)}),
    ({"plan": "essentials"}, {CONNECTIONS: (5, 50 / 60), USERS: (40, 500 / 60)}),
]


def refused(sandbox):
    return [entry for entry in sandbox.simulation.history if entry["service"] == "auth0" and entry["status"] == 429]


@pytest.mark.parametrize(("pressure", "rates"), NEVER_TOO_MANY, ids=["10 at once", "2 at once", "essentials"])
def test_workers_together_never_exceed_a_limit_and_are_soon_through(
    pressure, rates, control, sandbox, tenant, tmp_path, trials, figure
):
    """How little of a limit they waste is measured here, by this machine's clock, and judged in simulated time in tests/http."""
    control("POST", "/pressure", pressure)
    token, took = fetched_grant(tenant("fresh")).token, {}
    counts = {path: int(burst + rate * trials(8, 110)) for path, (burst, rate) in rates.items()}
    queries = {CONNECTIONS: (("name", "fresh-azure-ad"),), USERS: (("q", 'email:"nobody@fresh.example"'),)}
    left, lock, started = dict(counts), threading.Lock(), time.monotonic()

    def work(path):
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
                    left[path] -= 1
                    if left[path] < 0:
                        return
                service.read(path, queries[path])
                took[path] = time.monotonic() - started

    workers = [threading.Thread(target=work, args=(path,)) for path in counts for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    least = {path: (counts[path] - burst) / rate for path, (burst, rate) in rates.items()}
    used = ", ".join(f"{least[path] / took[path]:.0%} of {counts[path]} requests' time" for path in counts)
    figure(f"limit {pressure}", f"{len(refused(sandbox))} over it, {used} used")
    assert refused(sandbox) == []
    for path in counts:
        assert least[path] <= took[path] + 0.5
        assert took[path] <= 2 * least[path] + PATIENCE_S, (path, took[path], least[path])


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
    with Workshop.opened(OLDER_AZURE_AD) as workshop:
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
from runbook_lib.http.rate_limits import Pacer
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
        pacer.forget("auth0", Ticket(counts[-1]))  # what the killed process may have been about
    assert counts == sorted(set(counts))


def wait_for_more(folder, count):
    def more():
        for path in folder.glob("*.json"):
            with contextlib.suppress(ValueError):
                if json.loads(path.read_bytes())["count"] > count:
                    return path
        return None

    return until(more, "a request")


def test_of_a_file_that_cannot_be_read_nothing_is_known(tmp_path):
    Pacer(tmp_path).observe("auth0", Pacer(tmp_path).acquire("auth0"), 429, {"Retry-After": "200"})
    [path] = tmp_path.iterdir()
    for content in (b"", b'{"left": 3, "cou', b"[]", b'{"other": 1}', b"\xff"):
        path.write_bytes(content)
        assert Pacer(tmp_path).acquire("auth0") == Ticket(1)


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
