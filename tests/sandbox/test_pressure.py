"""Rate limits by Auth0's plans: buckets of the Management API and the SCIM endpoint. Source: rate limit configurations pages."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from runbook_lib.sandbox import pressure
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.pressure import PLANS, Pressure


@pytest.fixture
def at(monkeypatch):
    """Set the clock of the buckets, in seconds; it stands still in between. Other threads of this process go by the machine's."""
    now = [1000.0]
    monkeypatch.setattr(pressure, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=time.sleep))
    return lambda seconds: now.__setitem__(0, 1000.0 + seconds)


def passing(taken: Pressure, count: int, path: str, service: str = "auth0", method: str = "GET") -> int:
    """Return how many of so many requests pass."""
    world = build_world(7, auth0_domain="localhost:1", names=[])
    answers = [taken.take(world, Call(service, method, path)) for _ in range(count)]
    return sum(answer is None or answer[0] for answer in answers)


def limited(plan: str) -> Pressure:
    made = Pressure()
    made.set({"plan": plan})
    return made


@pytest.mark.parametrize(
    ("plan", "burst", "in_ten_seconds"),
    [("free", 2, 20), ("enterprise", 50, 160), ("enterprise-development", 10, 20), ("private-100", 50, 500)],
)
def test_a_plan_with_one_bucket_takes_its_burst_and_then_its_rate(at, plan, burst, in_ten_seconds):
    bucket = limited(plan)
    assert passing(bucket, 200, "/api/v2/users") == burst
    total = 0
    for second in range(1, 11):
        at(second)
        total += passing(bucket, 1000, "/api/v2/connections")
    assert total == in_ten_seconds


@pytest.mark.parametrize("plan", ["essentials", "professional"])
def test_self_service_plans_count_by_kind_of_request(at, plan):
    bucket = limited(plan)
    assert passing(bucket, 100, "/api/v2/users") == 40
    assert passing(bucket, 100, "/api/v2/users/x", method="PATCH") == 20
    assert passing(bucket, 100, "/api/v2/logs") == 10
    assert passing(bucket, 100, "/api/v2/connections") == 5
    assert passing(bucket, 100, "/api/v2/connections-scim-configurations") == 0  # of the same kind
    assert passing(bucket, 100, "/api/v2/clients") == 100  # no rate is published
    at(60)
    assert passing(bucket, 1000, "/api/v2/users") == 40


@pytest.mark.parametrize(("plan", "one", "every"), [("free", 5, 5), ("enterprise", 25, 100), ("private-6000", 25, 3000)])
def test_the_scim_endpoint_is_limited_by_connection_and_by_tenant(at, plan, one, every):
    bucket = limited(plan)
    counts = [passing(bucket, 200, f"/scim/v2/connections/con_{n}/Users", "scim") for n in range(6)]
    assert counts == [one if one * n <= every else 0 for n in range(1, 7)]


def test_other_services_and_the_token_endpoint_are_not_limited(at):
    assert passing(limited("free"), 50, "/oauth/token") == passing(limited("free"), 50, "/v1.0/users", "graph") == 50


def test_a_429_over_https_tells_when_to_come_back(at, management, control):
    control("POST", "/pressure", {"plan": "free"})
    answers = [management("GET", "/clients") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    limit = {name: answers[-1].headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining")}
    assert limit == {"limit": "2", "remaining": "0"}
    assert answers[-1].json()["errorCode"] == "too_many_requests"


def test_a_429_of_the_scim_endpoint_has_its_shape(at, endpoint, control):
    control("POST", "/pressure", {"plan": "free"})
    answers = [endpoint("GET", "/Users", count=0) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].json()["status"] == "429"


def test_every_plan_has_a_rate_of_its_own():
    assert len(PLANS) == 11
