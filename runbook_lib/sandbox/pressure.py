"""What a network and a rate limit do to callers: a delay for every request, and the buckets of requests an Auth0 tenant takes.

Both count in real seconds, not in the sandbox's own: they are there to be felt. Off unless the control API turns them on.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.exchange import Call, number
from runbook_lib.sandbox.world import World


@dataclass
class Bucket:
    """A bucket of `burst` requests, refilled with `per_second` of them."""

    burst: float
    per_second: float
    left: float = -1.0
    at: float = 0.0

    def fill(self, now: float) -> bool:
        """Fill up to a time; return whether there is a request in it."""
        self.left = self.burst if self.left < 0 else min(self.burst, self.left + (now - self.at) * self.per_second)
        self.at = now
        return self.left >= 1

    def empty_for_s(self) -> float:
        """Return in how many seconds there is a request in it."""
        return max(0.0, 1 - self.left) / self.per_second


Rate = tuple[float, float]  # burst, requests a second


@dataclass(frozen=True)
class Plan:
    """The rates of one plan: of the Management API as a whole or by kind of request, and of the SCIM endpoint.

    Source: Auth0's rate limit configurations pages, July 2026.
    """

    whole: Rate | None = None
    kinds: dict[str, Rate] = field(default_factory=dict)
    scim_connection: float = 25
    scim_tenant: float = 100


_BY_KIND = {
    "read users": (40.0, 500 / 60),
    "write users": (20.0, 200 / 60),
    "logs": (10.0, 100 / 60),
    "connections": (5.0, 50 / 60),
}
# Private clouds: requests a second of the Management API, then of the SCIM endpoint over all connections. Unverified: a burst;
# the pages give rates only, so that here it is one second's requests.
_PRIVATE = {"20": (20, 100), "100": (50, 100), "500": (250, 250), "1500": (750, 750), "3000": (1500, 1500), "6000": (3000, 3000)}
PLANS: dict[str, Plan] = {
    "free": Plan((2, 2), scim_connection=5, scim_tenant=5),
    "essentials": Plan(kinds=_BY_KIND),
    "professional": Plan(kinds=_BY_KIND),
    "enterprise": Plan((50, 16)),
    "enterprise-development": Plan((10, 2)),
    **{f"private-{name}": Plan((rate, rate), scim_tenant=scim) for name, (rate, scim) in _PRIVATE.items()},
}


def _kind(call: Call) -> str:
    """Return the kind of a Management API request, as the plans with rates by kind name them."""
    part = call.path.removeprefix("/api/v2/").split("/")[0]
    if part in ("users", "users-by-email"):
        return "read users" if call.method == "GET" else "write users"
    return "connections" if part.startswith("connections") else part


@dataclass
class Pressure:
    """`delay_s` before each answer; `per_second` requests to the Management API, `burst` at once; or the rates of a `plan`."""

    delay_s: float = 0.0
    per_second: float = 0.0
    burst: int = 10
    plan: str = ""
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_limiting(self) -> bool:
        """Whether requests are counted."""
        return bool(self.per_second or self.plan)

    def set(self, body: dict[str, Any]) -> None:
        """Take new values, all buckets full. Raises `ValueError` for others than the four and for an unknown plan."""
        if unknown := set(body) - {"delay_s", "per_second", "burst", "plan"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        plan = str(body.get("plan", ""))
        if plan and plan not in PLANS:
            raise ValueError(f"plan is one of {', '.join(PLANS)}, not {plan!r}")
        delay_s = number(body.get("delay_s", 0), "delay_s", 0, 600)
        per_second = number(body.get("per_second", 0), "per_second", 0, 1e6)
        burst = int(number(body.get("burst", 10), "burst", 1, 1e6))
        with self._lock:
            self.delay_s, self.per_second, self.burst, self.plan = delay_s, per_second, burst, plan
            self._buckets.clear()

    def wait(self) -> None:
        """Let the delay pass."""
        if self.delay_s:
            time.sleep(self.delay_s)

    def _rates(self, call: Call) -> dict[str, Rate]:
        """Return the buckets that a call is taken out of, by name."""
        plan = PLANS[self.plan] if self.plan else Plan((self.burst, self.per_second))
        if call.service == "auth0" and call.path.startswith("/api/v2/"):
            by_kind = plan.kinds.get(_kind(call))
            named = {"management": plan.whole, _kind(call): by_kind}
            return {name: rate for name, rate in named.items() if rate is not None}
        if call.service == "scim" and self.plan:
            connection = "/".join(call.path.split("/")[:5])
            one, every = plan.scim_connection, plan.scim_tenant
            return {connection: (one, one), "scim": (every, every)}
        return {}

    def take(self, world: World, call: Call) -> tuple[bool, dict[str, str]] | None:
        """Take a call out of its buckets; return whether it may pass, and Auth0's headers; None where no limit holds.

        `x-ratelimit-reset` is in whole unix seconds (docs-v2, rate-limit-use-cases). Unverified: that a new request is meant
        by it, not a full bucket; that the SCIM endpoint sends the same headers.
        """
        if not self.is_limiting or not (rates := self._rates(call)):
            return None
        with self._lock:
            now = time.monotonic()
            buckets = [self._buckets.setdefault(name, Bucket(*rate)) for name, rate in rates.items()]
            filled = [bucket.fill(now) for bucket in buckets]
            is_there = all(filled)
            for bucket in buckets:
                bucket.left -= is_there  # one that is refused costs nothing
            tightest = max(buckets, key=Bucket.empty_for_s)
            short_s = tightest.empty_for_s()
        headers = {
            "x-ratelimit-limit": str(int(tightest.burst)),
            "x-ratelimit-remaining": str(int(tightest.left)),
            "x-ratelimit-reset": str(math.ceil(world.clock.timestamp() + short_s)),
        }
        return is_there, headers
