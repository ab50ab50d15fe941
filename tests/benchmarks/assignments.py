"""One tenant with very many people to assign: requests, time and memory of the whole procedure."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from runbook_lib.batch.tenants_file import read_tenants
from runbook_lib.sandbox import demo_tenants
from runbook_lib.sandbox.graph.routes import new_assignment
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.session import Session
from runbook_lib.settings import RunMode
from runbook_lib.steps import STEPS


def assignments(count: int, say: Callable[[str], None]) -> None:
    """Apply the procedure to a tenant where `count` people have access, and say what it took."""
    with Sandbox(seed=7, tenants=1) as sandbox, tempfile.TemporaryDirectory() as out:
        settings = next(one for one in read_tenants(Path(sandbox.ready["tenants_file"])) if one.name == "tenant-0001")
        _populate(sandbox, count)
        before_mb, started = _peak_mb(), time.monotonic()
        session = Session(settings, mode=RunMode.APPLY, out=Path(out) / "run" / settings.name)
        for step in STEPS:
            session.do(step.number)
        status, about = session.finish()
        took_s, grown_mb = time.monotonic() - started, _peak_mb() - before_mb
        assert status == "done", about
        entra = sandbox.world.entra_by_name("tenant-0001.onmicrosoft.com")
        assert entra is not None
        principal = next(one for one in entra.service_principals.values() if one["displayName"] == settings.scim_app_name)
        given = Counter(one["principalId"] for one in entra.assignments if one["resourceId"] == principal["id"])
        assert len(given) == sum(given.values()) >= count
        batches = {
            one["batch"]
            for one in sandbox.simulation.history
            if one.get("batch") and one["method"] == "POST" and one["path"].endswith("/appRoleAssignedTo")
        }
        say(f"| {count} assignments | {len(batches)} requests for assigning, {took_s:.0f} s in all, {grown_mb:.0f} MB more |\n")


def _populate(sandbox: Sandbox, count: int) -> None:
    world = sandbox.world
    entra = world.entra_by_name("tenant-0001.onmicrosoft.com")
    assert entra is not None
    connection = next(one for one in world.auth0.connections.values() if one["name"] == "tenant-0001-azure-ad")
    oidc = next(one for one in entra.service_principals.values() if one["appId"] == connection["options"]["client_id"])
    customer = demo_tenants.Customer(world, "tenant-0001", entra, connection, oidc)
    for number in range(len(demo_tenants.PEOPLE), count):
        user = demo_tenants._entra_user(customer, number)
        entra.assignments.append(new_assignment(world, "User", user, oidc, "00000000-0000-0000-0000-000000000000"))
        demo_tenants._login(customer, user, with_upn=False)


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
