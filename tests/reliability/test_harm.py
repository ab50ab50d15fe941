"""No person is harmed unnamed or unaccepted: random tenants, all limits at zero, run, cycle, run again, cycle."""

from __future__ import annotations

import copy
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from runbook_lib.run.machine import Machine
from runbook_lib.run.tenant_run import Session
from runbook_lib.sandbox.entra_engine.engine import run_cycle
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.tenant.forecast.values import HarmKind
from tests.builders import tenant_session
from tests.reliability.worlds import RandomTenant

CAUSED_BY = {  # what happened to a person: the kinds of which one must have been accepted
    "block": (HarmKind.BLOCK, HarmKind.SOMEONE_ELSES_USER),
    "unblock": (HarmKind.UNBLOCK, HarmKind.SOMEONE_ELSES_USER),
    "delete": (HarmKind.DELETE,),
    "someone else's user": (HarmKind.SOMEONE_ELSES_USER,),
    "values lost": (HarmKind.OVERWRITE, HarmKind.SOMEONE_ELSES_USER),
}


ACTED_ON = ("3.3", "3.12", "4.3")  # what a cycle acts on; 3.6 too, where it changes the scope


def carried_out(tenant: RandomTenant, out: Path, accept: tuple[str, ...] = ()) -> tuple[Session, str]:
    """Run the whole procedure with every limit at zero; return the session and how it ended."""
    view = tenant.view()
    view.settings = TenantSettings.from_parameters({**view.settings.model_dump(), "accept": accept})
    now = datetime(2026, 6, 1, tzinfo=UTC)
    machine = Machine(sleep=lambda _: None, now=lambda: now, name="here", locks=tenant.folder / "locks")
    session = tenant_session(view.settings, mode=RunMode.APPLY, out=out, view=view, machine=machine)
    for step in session.steps:
        session.do(step.number)
    return session, session.finish()[0]


def is_its_doing(session: Session) -> bool:
    """Whether a run wrote something that the next cycle acts on."""
    changed = [result for result in session.engine.results.values() if result.status == "CHANGED"]
    scope = any(result.step == "3.6" and any(diff.field == "Provision" for diff in result.diffs) for result in changed)
    return scope or any(result.step in ACTED_ON for result in changed)


def named_by(session: Session) -> set[str]:
    """Return the people, and the Auth0 users, that a run named as those that the next cycle may harm."""
    forecast = session.view.foretold
    at_risk = [person for person in forecast.people if person.harms] if forecast else []
    return {person.object_id for person in at_risk} | {user for person in at_risk for user in person.auth0_users}


def sees_everybody(session: Session) -> bool:
    """Whether a run made a forecast, and could see the members of every group; else it says so and the kind is held."""
    return session.view.foretold is not None and not session.view.foretold.hidden_groups


def harmed(tenant: RandomTenant) -> list[tuple[str, str, str]]:
    """Let the job run a cycle, where it runs, and return who was harmed by it, how, and the Auth0 user.

    Of a person who is gone for good, and whose link nothing shows, only the Auth0 user can be named before.
    """
    tenant.before = copy.deepcopy({user_id: dict(user) for user_id, user in tenant.users.items()})
    at = len(tenant.entra.provisioning_log)
    if tenant.job["schedule"]["state"] == "Active":
        run_cycle(tenant.world, tenant.job["id"])
    rows = [(row["sourceIdentity"]["id"], tenant._happened(row)) for row in tenant.entra.provisioning_log[at:]]
    found = [(object_id, done.what, done.target) for object_id, done in rows]
    lost = [(user_id, "values lost", user_id) for user_id in tenant.before if user_id in tenant.users and _lost(tenant, user_id)]
    return [one for one in found if one[1] in CAUSED_BY] + lost


def _lost(tenant: RandomTenant, user_id: str) -> bool:
    """Whether values of the application's own are others now; what a cycle had written before is not the application's."""
    own, now = tenant.before[user_id].get("app_metadata", {}), tenant.users[user_id].get("app_metadata", {})
    was_linked = str(own.get("external_id", "")).count("-") == 4
    return not was_linked and any(own.get(name) != now.get(name) for name in ("title", "department") if name in own)


def test_nobody_is_harmed_unnamed_or_unaccepted_by_run_cycle_run_cycle(tmp_path, figure, trials):
    count = trials(25, 2000)
    ended: Counter[str] = Counter()
    unaccepted, unnamed = [], []
    for seed in range(count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        tenant, named = RandomTenant(folder, seed), set()
        for turn in ("first", "second"):
            was_running = tenant.job["schedule"]["state"] == "Active"
            session, status = carried_out(tenant, folder / turn / "complete")
            ended[f"{turn} {status}"] += 1
            found = harmed(tenant)
            named |= named_by(session)
            # What a job does that ran before, and was left as it is, is not the tool's doing; but it has been named.
            if is_its_doing(session) or not was_running:
                unaccepted += [(seed, turn, status, one) for one in found]
            elif sees_everybody(session):
                unnamed += [(seed, turn, status, one) for one in found if not named & {one[0], one[2]}]
    figure("harm: random tenants run twice, each time with a cycle", count)
    figure("harm: how the runs ended", ", ".join(f"{number} {how}" for how, number in sorted(ended.items())))
    figure("harm: people harmed unaccepted", len(unaccepted))
    figure("harm: people harmed unnamed", len(unnamed))
    assert (unaccepted, unnamed) == ([], [])
    assert ended["first blocked"]


def test_only_what_was_accepted_happens(tmp_path, figure, trials):
    """With some kinds of harm accepted, and the hazards of a mapping, no other kind happens to any person."""
    count = trials(25, 1000)
    ended: Counter[str] = Counter()
    wrong = []
    for seed in range(count):
        folder = tmp_path / str(seed)
        folder.mkdir()
        tenant, dice = RandomTenant(folder, seed), random.Random(seed)
        kinds = [kind for kind in HarmKind if dice.random() < 0.8]
        was_running = tenant.job["schedule"]["state"] == "Active"
        session, status = carried_out(tenant, folder / "run" / "complete", tuple(kind.accept_word for kind in kinds))
        ended[status] += 1
        found = harmed(tenant)
        if (is_its_doing(session) or not was_running) and HarmKind.CANNOT_TELL not in kinds:
            wrong += [(seed, status, kinds, one) for one in found if not set(CAUSED_BY[one[1]]) & set(kinds)]
    figure("harm: random tenants run with some kinds accepted", count)
    figure("harm: how these runs ended", ", ".join(f"{number} {how}" for how, number in sorted(ended.items())))
    figure("harm: people harmed in a way that was not accepted", len(wrong))
    assert wrong == []
    assert ended["done"]
