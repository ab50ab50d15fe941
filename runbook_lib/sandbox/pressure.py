"""What a network and a rate limit do to callers: a delay for every request, and a bucket of requests an Auth0 tenant takes.

Both count in real seconds, not in the sandbox's own: they are there to be felt. Off unless the control API turns them on.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.world import World


@dataclass
class Pressure:
    """`delay_s` before each answer; `per_second` requests to the Management API, `burst` at once; 0: no limit."""

    delay_s: float = 0.0
    per_second: float = 0.0
    burst: int = 10
    _left: float = 10.0
    _at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, body: dict[str, Any]) -> None:
        """Take new values, the bucket full. Raises `ValueError` for others than the three."""
        if unknown := set(body) - {"delay_s", "per_second", "burst"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        with self._lock:
            self.delay_s, self.per_second = float(body.get("delay_s", 0)), float(body.get("per_second", 0))
            self.burst = int(body.get("burst", 10))
            self._left, self._at = float(self.burst), time.monotonic()

    def wait(self) -> None:
        """Let the delay pass."""
        if self.delay_s:
            time.sleep(self.delay_s)

    def take(self, world: World) -> tuple[bool, dict[str, str]]:
        """Take a request out of the bucket; return whether there was one, and Auth0's headers.

        `x-ratelimit-reset` is in whole unix seconds (docs-v2, rate-limit-use-cases). Unverified: that a new request is meant
        by it, not a full bucket.
        """
        with self._lock:
            now = time.monotonic()
            self._left, self._at = min(self.burst, self._left + (now - self._at) * self.per_second), now
            is_there = self._left >= 1
            self._left -= is_there
            short_s = max(0.0, 1 - self._left) / self.per_second
        headers = {
            "x-ratelimit-limit": str(self.burst),
            "x-ratelimit-remaining": str(int(self._left)),
            "x-ratelimit-reset": str(math.ceil(world.clock.timestamp() + short_s)),
        }
        return is_there, headers
