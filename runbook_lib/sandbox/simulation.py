"""The one door into the simulated services: every request passes faults, history and routing here, whatever carried it."""

from __future__ import annotations

import contextlib
import fnmatch
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runbook_lib.sandbox.exchange import Answer, Call, Router, number
from runbook_lib.sandbox.ids import Ids
from runbook_lib.sandbox.pressure import Pressure
from runbook_lib.sandbox.world import World

TICK_S = 0.05
STATUS_KINDS = ("401", "403", "404", "409", "429", "500", "503")
TRANSPORT_KINDS = ("drop_before", "drop_after", "reset", "tls_alert", "truncate", "slow")
BREAKING_KINDS = ("drop_before", "drop_after", "reset", "tls_alert")  # no answer reaches the caller
_FAULT_KEYS = ("service", "method", "path", "nth", "kind", "share", "retry_after_s")
KINDS = (*STATUS_KINDS, *TRANSPORT_KINDS, "lost_write")


@dataclass
class Fault:
    """A fault waiting for the `nth` request that matches; `kind` is one of KINDS.

    With a `share` it strikes that part of all matching requests, for as long as it stands. `retry_after_s` goes with 429 and 503.
    """

    service: str
    method: str
    path: str
    nth: int
    kind: str
    seen: int = 0
    share: float = 0.0
    retry_after_s: float = 0.1
    chance: Ids = field(default_factory=lambda: Ids(0), repr=False)

    def strikes(self, call: Call) -> bool:
        """Count the call when it matches; say whether it is the one."""
        wanted = ((self.service, call.service), (self.method, call.method), (self.path, call.path))
        if not all(pattern == "*" or fnmatch.fnmatchcase(value, pattern) for pattern, value in wanted):
            return False
        self.seen += 1
        return self.chance.happens(self.share) if self.share else self.seen == self.nth


@dataclass(frozen=True)
class Delivery:
    """An answer and what happens to it on the way: `transport` is empty or one of TRANSPORT_KINDS.

    `drop_before` and `reset` cut the connection before the request is carried out; `drop_after` after it; `tls_alert` carries it
    out and then breaks the encryption: in place of an answer come bytes that are none (RFC 8446 section 6).
    """

    answer: Answer
    transport: str = ""


@dataclass
class Simulation:
    """All services over one world. `routers` and `error_bodies` are by service name."""

    world: World
    routers: dict[str, Router]
    error_bodies: Mapping[str, Callable[[World, int, str], Any]]
    history: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    pressure: Pressure = field(default_factory=Pressure)

    def __post_init__(self) -> None:
        self.world.dispatch = lambda call: self.handle(call).answer

    def handle(self, call: Call) -> Delivery:
        """Answer one call, with the fault that is due, and record it."""
        if not call.batch:
            self.pressure.wait()
        with self.world.lock:
            self.world.clock.tick(TICK_S)
            struck = [fault for fault in self.faults if fault.strikes(call)]  # each one counts, also behind one that strikes
            fault = struck[0] if struck else None
            entry = self._record(call)
        kind = fault.kind if fault else ""
        delivery = self._limited(replace(call, number=entry["n"]), fault)
        entry["status"] = 0 if delivery.transport in BREAKING_KINDS else delivery.answer.status
        if kind:
            entry["fault"] = kind
        return delivery

    def _record(self, call: Call) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "n": len(self.history) + 1,
            "service": call.service,
            "method": call.method,
            "path": self.world.without_secrets(call.path),
            "query": self.world.without_secrets(call.query),
            "status": 0,
        }
        if call.batch:
            entry["batch"] = call.batch
        if call.service == "files" and "authorization" in call.headers:
            entry["carried"] = "authorization"
        if self.pressure.is_limiting:
            entry["at_s"] = time.monotonic()
        self.history.append(entry)
        return entry

    def _limited(self, call: Call, fault: Fault | None) -> Delivery:
        """Deliver, as far as the rate limits of the Management API and of the SCIM endpoint allow."""
        taken = self.pressure.take(self.world, call)
        if taken is None:
            return self._delivered(call, fault)
        is_there, headers = taken
        if not is_there:
            return Delivery(self._error(call, 429, headers))
        delivery = self._delivered(call, fault)
        return replace(delivery, answer=replace(delivery.answer, headers={**delivery.answer.headers, **headers}))

    def _delivered(self, call: Call, fault: Fault | None) -> Delivery:
        kind = fault.kind if fault else ""
        if fault and kind in STATUS_KINDS:
            headers = {"Retry-After": str(fault.retry_after_s)} if kind in ("429", "503") else {}
            return Delivery(self._error(call, int(kind), headers))
        if call.batch and kind in TRANSPORT_KINDS:
            return self._delivered_in_batch(call, kind)
        if kind in ("drop_before", "reset"):
            return Delivery(Answer(503), kind)
        answer = self._lost(call) if kind == "lost_write" else self._routed(call)
        return Delivery(answer, kind if kind in TRANSPORT_KINDS else "")

    def _delivered_in_batch(self, call: Call, kind: str) -> Delivery:
        """Deliver an item of a batch whose way inside the service breaks: it is 503, or 504 once it is carried out."""
        if kind in ("drop_before", "reset"):
            return Delivery(self._error(call, 503, {}))
        answer = self._routed(call)
        return Delivery(answer if kind == "slow" else self._error(call, 504, {}))

    def _error(self, call: Call, status: int, headers: Mapping[str, str], words: str = "") -> Answer:
        """Return an error in the shape of the call's service."""
        body = self.error_bodies[call.service](self.world, status, words)
        shape = {"content_type": "application/xml"} if isinstance(body, str) else {}
        return Answer(status, body, headers, **shape)

    def _lost(self, call: Call) -> Answer:
        """Answer as if all went well, and forget it.

        The world is held meanwhile, so that no other client's write is lost too; not for a handler that waits for other requests.
        """
        route, _, _ = self.routers[call.service].find(call.method, call.path)
        with contextlib.nullcontext() if route and not route.holds_the_world else self.world.lock:
            before = self.world.snapshot()
            answer = self._routed(call)
            self.world.restore(before)
        return answer

    def _routed(self, call: Call) -> Answer:
        router = self.routers[call.service]
        route, params, others = router.find(call.method, call.path)
        if route is None:
            sys.stderr.write(f"sandbox: {call.service} does not simulate {call.method} {call.path}\n")
            allow = {"Allow": ", ".join(others)} if others else {}
            headers = {"x-sandbox": "not simulated", **allow}
            return self._error(call, 405 if others else 404, headers, "The sandbox does not simulate this request.")
        call = replace(call, params=params)
        if not route.holds_the_world:
            return route.handler(self.world, call)
        with self.world.lock:
            return route.handler(self.world, call)


def parse_faults(body: Any) -> list[Fault]:
    """Return the faults of a control request. Raises `ValueError` on anything else than a list of known ones."""
    if not isinstance(body, list):
        raise ValueError("expected a list of faults")
    faults = []
    for entry in body:
        kind = str(entry.get("kind"))
        if kind not in KINDS or not set(entry) <= set(_FAULT_KEYS):
            raise ValueError(f"kind is one of {', '.join(KINDS)}; keys are {', '.join(_FAULT_KEYS)}")
        service, method, path = (str(entry.get(name) or "*") for name in ("service", "method", "path"))
        share = number(entry.get("share", 0), "share", 0, 1)
        retry_after_s = number(entry.get("retry_after_s", 0.1), "retry_after_s", 0, 1e6)
        nth = int(number(entry.get("nth") or 1, "nth", 1, 1e9))
        # Each from a sequence of its own: of two that drew alike, the rarer would always be behind the other.
        chance = Ids(int.from_bytes(f"{kind} {service} {method} {path}".encode()))
        faults.append(Fault(service, method, path, nth, kind, share=share, retry_after_s=retry_after_s, chance=chance))
    return faults
