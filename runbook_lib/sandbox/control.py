"""The control API: look into the sandbox, move its clock, break it, run a cycle. Not part of any simulated service."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

from runbook_lib.sandbox.demo_tenants import grow, shown_state
from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.sandbox.exchange import Answer, Call, number
from runbook_lib.sandbox.login.routes import public_key
from runbook_lib.sandbox.simulation import Simulation, parse_faults


def control(simulation: Simulation, token: str, reset: Callable[[int | None], None], call: Call) -> Answer:
    """Answer one control request. `reset` rebuilds the world with a seed, or with the same one."""
    if not hmac.compare_digest((call.bearer() or "").encode(), token.encode()):
        return Answer(401, {"error": "the control token is missing or wrong"})
    try:
        body = call.json()
        return _answered(simulation, reset, call, body)
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        return Answer(400, {"error": f"cannot do {call.method} {call.path}: {wrong}"})


def _answered(simulation: Simulation, reset: Callable[[int | None], None], call: Call, body: Any) -> Answer:
    world = simulation.world
    match (call.method, call.path):
        case ("GET", "/state"):
            with world.lock:
                return Answer(200, shown_state(world))
        case ("GET", "/history"):
            with world.lock:
                return Answer(200, json.loads(json.dumps(simulation.history)))
        case ("POST", "/reset"):
            seed = (body or {}).get("seed")
            if seed is not None and type(seed) is not int:
                raise ValueError("seed is a whole number")
            reset(seed)
            return Answer(204)
        case ("GET", "/world"):
            with world.lock:
                return Answer(200, world.switches.document())
        case (_, "/faults" | "/pressure" | "/clock" | "/certificates" | "/people" | "/world"):
            return _arranged(simulation, call, body)
        case ("POST", "/cycle"):
            job_id = str(body["job_id"])
            try:
                return Answer(200, engine.run_cycle(world, job_id))
            except LookupError:
                return Answer(404, {"error": "there is no such job"})
    return Answer(404, {"error": f"control knows no {call.method} {call.path}"})


def _arranged(simulation: Simulation, call: Call, body: Any) -> Answer:
    """Answer what changes the conditions under which the services work."""
    world = simulation.world
    match (call.method, call.path):
        case ("POST", "/faults"):
            simulation.faults.extend(parse_faults(body))
            return Answer(204)
        case ("DELETE", "/faults"):
            simulation.faults.clear()
            return Answer(204)
        case ("POST", "/pressure"):
            simulation.pressure.set(body)
            return Answer(204)
        case ("POST", "/clock"):
            with world.lock:
                world.clock.advance(number(body["advance_s"], "advance_s", 0, 1e9))
            return Answer(200, {"now": world.clock.auth0()})
        case ("POST", "/world"):  # where sources disagree: see switches.py
            if not isinstance(body, dict) or not body:
                raise ValueError("expected an object of switches by name")
            with world.lock:
                world.switches.set(body)
                return Answer(200, world.switches.document())
        case ("POST", "/people"):  # as in a company that is larger
            with world.lock:
                grow(world, str(body["tenant"]), int(number(body["people"], "people", 0, 2e5)))
                world.auth0.users.settle()
            return Answer(204)
        case ("POST", "/certificates"):  # as a user uploads one under Certificates & secrets
            with world.lock:
                clients = (entry for tenant in world.entra.values() for entry in tenant.clients.values())
                client = {entry.client_id: entry for entry in clients}[body["client_id"]]
                public_key(str(body["pem"]))
                client.certificates = (*client.certificates, str(body["pem"]))
            return Answer(204)
    return Answer(404, {"error": f"control knows no {call.method} {call.path}"})
