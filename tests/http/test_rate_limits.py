"""Limits of the plans, learned from headers alone: simulated callers at the sandbox's own buckets, in simulated time."""

import heapq
import itertools
import math
from email.utils import formatdate

import pytest

from runbook_lib.http.rate_limits import Pacer, kind_of
from runbook_lib.sandbox.pressure import PLANS, Bucket

CONNECTIONS, USERS = "read connections", "read users"
STARTED = 1_790_000_000.37  # a unix time between two seconds
LASTS_S = 60


class Callers:
    """Some callers for each kind of request, each of which sends its next when the last is answered, as the pacer lets them."""

    def __init__(self, folder, buckets, rtt_s, callers, counts):
        self.now, self.refused, self.ended, self.left = 0.0, 0, dict.fromkeys(buckets, 0.0), dict(counts)
        self._buckets, self._rtt_s, self._events, self._order = buckets, rtt_s, [], itertools.count()
        self._pacer = Pacer(folder, clock=lambda: self.now, sleep=self._wait)
        for number, kind in itertools.product(range(callers), buckets):
            self._plan(number / 1000, self._ask, kind)

    def _plan(self, at, do, *about):
        heapq.heappush(self._events, (at, next(self._order), do, about))

    def _wait(self, seconds):
        raise _NotYet(seconds)

    def run(self):
        while self._events:
            self.now, _, do, about = heapq.heappop(self._events)
            do(*about)
        return self

    def _ask(self, kind):
        if self.left[kind] > 0:
            try:
                ticket = self._pacer.acquire("auth0", kind)
            except _NotYet as later:
                self._plan(self.now + later.seconds, self._ask, kind)
            else:
                self.left[kind] -= 1
                self._plan(self.now + self._rtt_s / 2, self._serve, kind, ticket)

    def _serve(self, kind, ticket):
        bucket = self._buckets[kind]
        is_taken = bucket.fill(self.now)
        bucket.left -= is_taken
        self.refused += not is_taken
        headers = {
            "Date": formatdate(STARTED + self.now, usegmt=True),
            "x-ratelimit-limit": str(int(bucket.burst)),
            "x-ratelimit-remaining": str(int(bucket.left)),
            "x-ratelimit-reset": str(math.ceil(STARTED + self.now + bucket.empty_for_s())),
        }
        self._plan(self.now + self._rtt_s / 2, self._answered, kind, ticket, 200 if is_taken else 429, headers)

    def _answered(self, kind, ticket, status, headers):
        self._pacer.observe("auth0", ticket, status, headers)
        self.ended[kind] = self.now
        self._ask(kind)


class _NotYet(Exception):
    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds


def wasted(folder, rates, rtt_s, callers):
    """Return how many requests were refused, and by kind the part of the time in which a limit was not used."""
    shared = {rate: Bucket(*rate) for rate in rates.values()}
    counts = {kind: int(burst + rate * LASTS_S) // len(rates) * len(shared) for kind, (burst, rate) in rates.items()}
    found = Callers(folder, {kind: shared[rate] for kind, rate in rates.items()}, rtt_s, callers, counts).run()
    least = {kind: (burst + rate * LASTS_S - burst) / rate for kind, (burst, rate) in rates.items()}
    return found.refused, {kind: 1 - least[kind] / found.ended[kind] for kind in rates}


@pytest.mark.parametrize("callers", [2, 16])
@pytest.mark.parametrize("plan", ["free", "essentials", "enterprise-development"])
def test_no_limit_of_a_plan_is_exceeded_and_little_of_it_is_wasted(plan, callers, tmp_path):
    rates = PLANS[plan].kinds or dict.fromkeys(("connections", "read users"), PLANS[plan].whole)
    refused, waste = wasted(tmp_path, {CONNECTIONS: rates["connections"], USERS: rates["read users"]}, 0.1, callers)
    assert refused == 0
    assert max(waste.values()) <= (0.15 if plan == "free" else 0.10), waste


def test_one_limit_that_is_used_up_holds_up_no_other_kind(tmp_path):
    times = [0.0]
    pacer = Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds))
    for limit, kind, left in (("5", CONNECTIONS, "0"), ("40", USERS, "39")):
        reset = {"x-ratelimit-limit": limit, "x-ratelimit-remaining": left, "x-ratelimit-reset": "1790000090"}
        times[0] = 0.0 if kind == CONNECTIONS else 200.0
        pacer.observe("auth0", pacer.acquire("auth0", kind), 200, {"Date": formatdate(1_790_000_000), **reset})
    at = times[0]
    pacer.observe(
        "auth0",
        pacer.acquire("auth0", CONNECTIONS),
        200,
        {"Date": formatdate(1_790_000_000), **reset} | {"x-ratelimit-limit": "5", "x-ratelimit-remaining": "0"},
    )
    pacer.acquire("auth0", USERS)
    assert times[0] == at
    pacer.acquire("auth0", CONNECTIONS)
    assert times[0] == at + 90


def test_a_sender_that_holds_a_turn_does_not_wait_for_the_answer_to_it(tmp_path):
    times = [0.0]
    pacer = Pacer(tmp_path, clock=lambda: times[0], sleep=lambda seconds: times.__setitem__(0, times[0] + seconds))
    last = {"x-ratelimit-limit": "5", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "1790000010"}
    for kind in ("write connections", CONNECTIONS):
        pacer.observe("auth0", pacer.acquire("auth0", kind), 200, {"Date": formatdate(1_790_000_000), **last})
    held = pacer.acquire("auth0", "write connections")
    pacer.acquire("auth0", CONNECTIONS, held)
    assert times[0] == 10


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/api/v2/connections/con_1/scim-configuration", "read connections"),
        ("PATCH", "/api/v2/connections/con_1", "write connections"),
        ("GET", "/api/v2/users-by-email", "read users-by-email"),
        ("POST", "/oauth/token", "write oauth"),
        ("POST", "/$batch", "write $batch"),
    ],
)
def test_requests_are_told_apart_by_what_they_do_and_to_what(method, path, kind):
    assert kind_of(method, path) == kind
