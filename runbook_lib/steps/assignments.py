"""Who is assigned to the enterprise application for SCIM: those who may sign in, only added and never removed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Table,
)
from runbook_lib.http.message import Response
from runbook_lib.services.entra import batches, graph
from runbook_lib.services.entra.models import AppRoleAssignment, ServicePrincipal, SynchronizationJob, SynchronizationSchema
from runbook_lib.services.wire_words import (
    DEFAULT_ACCESS_ROLE,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import running_job
from runbook_lib.steps.attribute_mappings import mappings_differ
from runbook_lib.steps.body import ensure
from runbook_lib.steps.by_hand import APP, Customer, in_entra, nothing_shows
from runbook_lib.steps.running_job import Asked
from runbook_lib.steps.undoing.others import refuse_live
from runbook_lib.steps.undoing.readings import InEntra, On, is_listed_late, running_jobs
from runbook_lib.steps.undoing.undo import Seen, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.deleted_users import deleted_users_when_asked
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written

_SHOWN = 1_000  # people and groups in a table; the journal keeps it, so that it has an end
Deleted = Callable[[Collection[str]], frozenset[str]]  # tells which of some users are softly deleted
_NAMED = 10  # people in a sentence


# 30 to 60 s were seen: microsoft-graph-docs-contrib issue 2459; the page of the list names a delay too.
ASSIGNED_LATE = "Entra listed the new assignments with a delay; this run waited for them."


def _assign(customer: Customer) -> Handover:  # nested groups: how-provisioning-works
    named = tuple(("User", who) for who in customer.settings.assign)
    return Handover(
        f"{APP} > Users and groups > Add user/group",
        (
            "Assign these users:"
            if named
            else "Assign every user and group that has access to the sign-in application (step "
            f"{Thing.REGISTRATION.step}). Its page Users and groups lists them.",
            "Always assign the test user. Assigning groups requires Entra ID P1. Entra does not provision the members "
            "of nested groups.",
        ),
        (*named, ("Test user", customer.settings.test_user)),
    )


@ensure(
    Thing.ASSIGNMENTS,
    by_hand=in_entra(_assign, nothing_shows),
    undone_by=lambda: (UNDO,),
    reads=(
        facts.access,
        facts.enterprise_application,
        facts.assignments,
        facts.oidc_service_principal,
        facts.job,
        facts.schema,
        facts.forecast_when_asked,
        deleted_users_when_asked,
        facts.memory,
    ),
    touches=(facts.assignments, facts.jobs),
)
def assign_users_and_groups(
    access: tuple[AppRoleAssignment, ...],
    principal: ServicePrincipal | None,
    assigned: tuple[AppRoleAssignment, ...],
    oidc: ServicePrincipal | None,
    job: SynchronizationJob | None,
    schema: SynchronizationSchema | None,
    asked: Asked,
    deleted: Deleted,
    memory: Memory,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Assign the users and groups who currently have access.

    Copied from the sign-in application; only added, never removed.
    Blocked when: no one is assigned there: an empty list never means everybody; the job runs already, and its next cycle would
    harm people.
    """
    if not access:
        raise StepBlocked(
            "The sign-in application has no assignments, so there is no one to assign here",
            "Assign its users or groups, or list them in the settings (YAML, `assign`)",
        )
    present = {entry.principal_id for entry in assigned}
    yield from _who_has_access(access, present, oidc)
    unlisted = [entry for entry in access if entry.principal_id not in present]
    if awaited := [entry for entry in unlisted if entry.principal_id in memory.assigned_now]:
        yield Change("assignments", _assigned(awaited), None, listed_late=ASSIGNED_LATE)
    missing = [entry for entry in unlisted if entry.principal_id not in memory.assigned_now]
    missing = yield from _without_deleted(missing, deleted)
    diffs = _assigned(missing)
    if missing and principal is None:
        raise StepWaits(Thing.APPLICATION, "The enterprise application", diffs)
    if missing:
        differ = mappings_differ(job, schema)
        yield from running_job.guarded(job, asked, settings, is_anyway_left_out=not differ)
        yield from running_job.paused_first(job, principal, mappings_differ=differ, settings=settings)
    for start in range(0, len(missing), batches.LIMIT):
        yield _assigned_at_once(missing[start : start + batches.LIMIT], principal, memory)


def _without_deleted(missing: list[AppRoleAssignment], deleted: Deleted) -> Generator[Finding, None, list[AppRoleAssignment]]:
    """Yield the names of the users that Entra has deleted, and return the others."""
    gone = deleted([entry.principal_id for entry in missing])
    if left_out := [entry.principal_name for entry in missing if entry.principal_id in gone]:
        names = ", ".join(left_out[:_NAMED]) + (", …" if len(left_out) > _NAMED else "")
        yield Finding(f"Entra has deleted {len(left_out)} of them, so they were not assigned: {names}.")
    return [entry for entry in missing if entry.principal_id not in gone]


def _who_has_access(
    access: tuple[AppRoleAssignment, ...], present: set[str], oidc: ServicePrincipal | None
) -> Iterator[Finding | Table]:
    """Say who may sign in, and which of them are assigned; `present` holds the ids of the assigned ones."""
    users = sum(entry.principal_type == "User" for entry in access)
    open_door = (
        " Anyone in the tenant may sign in without an assignment. Entra does not provision people without an assignment."
        if oidc and not oidc.requires_assignment
        else ""
    )
    yield Finding(f"{users} users and {len(access) - users} groups have access.{open_door}")
    rows = tuple(
        (entry.principal_name, entry.principal_type, "yes" if entry.principal_id in present else "no")
        for entry in access[:_SHOWN]
    )
    yield Table("Who has access" + (f" (first {_SHOWN:,})" if len(access) > _SHOWN else ""), ("name", "type", "assigned"), rows)


def _assigned_at_once(part: Sequence[AppRoleAssignment], principal: ServicePrincipal | None, memory: Memory) -> Change:
    """Return the change that assigns these users and groups by one batch of Graph."""
    attempts = [f"Assigning {entry.principal_name}" for entry in part]
    request = graph.assign(principal.id, tuple(entry.principal_id for entry in part), _role(principal)) if principal else None
    undo = {
        "kind": UNDO.kind,
        "service_principal": principal.id if principal else "",
        "principals": [entry.principal_id for entry in part],
    }
    return Change(
        "assignments",
        _assigned(part),
        request,
        receive=_taken(memory, part, attempts),
        evidence=_refused(attempts),
        confirm=_all_listed(memory),
        undo=undo,
        counts_late=True,  # provision on demand honours a new assignment after some minutes (entra-docs)
        listed_late=ASSIGNED_LATE,
    )


def _assigned(entries: Sequence[AppRoleAssignment]) -> tuple[Diff, ...]:
    return tuple(Diff("assignments", entry.principal_name, "", entry.principal_type) for entry in entries)


def _taken(memory: Memory, part: Sequence[AppRoleAssignment], attempts: Sequence[str]) -> Callable[[Response], dict[str, str]]:
    """Return a function that checks the response and remembers which people Entra assigned: Entra may list them only later."""
    judged = batches.receiver(attempts)

    def receive(answer: Response) -> dict[str, str]:
        memory.assigned_now |= {part[position].principal_id for position in batches.done(answer)}
        memory.refused_now |= {part[position].principal_id for position in batches.unknown(answer)}
        return judged(answer)

    return receive


def _all_listed(memory: Memory) -> Callable[[object], tuple[str, ...]]:
    def forget(_access: object) -> tuple[str, ...]:
        memory.assigned_now = frozenset()
        return ()

    return forget


def _refused(attempts: Sequence[str]) -> Callable[[Response], tuple[Table, ...]]:
    """Return a function that shows the people that Graph refused to assign, and its words; no table when all are."""

    def tables(answer: Response) -> tuple[Table, ...]:
        rows = batches.refusals(answer, attempts)
        return (Table("What Graph refused", ("attempted", "what came back", "what to do now"), rows),) if rows else ()

    return tables


def _role(principal: ServicePrincipal) -> str:
    """Return the role to assign: the application's own `User`, since roles do not carry over from another application."""
    roles = [role for role in principal.app_roles if role.is_enabled and "User" in role.member_types]
    named = [role for role in roles if role.display_name == "User"]
    return (named or roles)[0].id if roles else DEFAULT_ACCESS_ROLE


# Taking back ---------------------------------------------------------------------------------------------------------


_UNLISTED = "they are gone, or Entra lists them with a delay. Undo again later to check."


def _noted(undo: Undo, judge: Callable[[Response], dict[str, str]], ids: frozenset[str]) -> Callable[[Response], dict[str, str]]:
    """Return a function that checks the answer and remembers which assignments Entra removed."""

    def receive(answer: Response) -> dict[str, str]:
        judged = judge(answer)
        undo.record.unassigned |= ids
        return judged

    return receive


def _wanted_then(entry: Written, view: View) -> Seen:
    wanted, assigned = set(entry.undo["principals"]), view.read(InEntra(entry.service_principal).assignments)
    count = sum(one.principal_id in wanted for one in assigned)
    return Seen(count > 0, f"The request was to assign {len(wanted)} users and groups; {count} of them are assigned.")


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Take away the assignments that the run made, by their ids."""
    entra, running = InEntra(entry.service_principal), running_jobs(undo.record)

    def take_away(assigned: tuple[AppRoleAssignment, ...], on: On, goes: bool, is_young: bool, _settings: Any) -> Iterator[Yield]:
        ours = [who for who in assigned if who.id in entry.assignment_ids]
        principals = set(entry.undo["principals"])
        unsure = [who for who in assigned if who.principal_id in principals and who not in ours]
        if goes:
            yield undo.along(entra.id)
            return
        if unsure:
            names = ", ".join(who.principal_name for who in unsure[:5]) + (", …" if len(unsure) > 5 else "")
            yield left(
                f"Left in place: {len(unsure)} assignments ({names}). The journal does not show that this run made "
                "them: someone else made them later, or the response with their ids was lost."
            )
        unlisted = entry.assignment_ids - {who.id for who in ours} - undo.record.unassigned
        if unlisted and is_young:
            yield left(f"Entra does not list {len(unlisted)} assignments of this run: {_UNLISTED}")
        if not ours:
            yield Finding("No assignment of this run is left." if unsure else "The assignments are gone.")
            return
        diffs = tuple(Diff("assignments", who.principal_name, who.principal_type, "") for who in ours)
        guard = refuse_live(undo, on, diffs)
        yield Finding(
            "Before you start the job again, check the assignments: people without an assignment would be blocked in Auth0."
        )
        for first in range(0, len(ours), batches.LIMIT):
            part = ours[first : first + batches.LIMIT]
            request = graph.unassign(entra.id, tuple(who.id for who in part))
            judge = batches.receiver([f"Removing the assignment of {who.principal_name}" for who in part])
            receive = _noted(undo, judge, frozenset(who.id for who in part))
            yield Change("assignments", diffs[first : first + batches.LIMIT], request, receive=receive, guard=guard)

    young = Fact("may be listed late", lambda view: is_listed_late(entry, view), is_derived=True)
    reads = (entra.assignments, running, undo.goes_along(entra.id), young)
    return undo.step(number, entry, "Remove the assignments", take_away, *reads, touches=(*entra.everything, running))


UNDO: TakeBack = undone(
    take_back, Thing.ASSIGNMENTS, "assignments", needs={"service_principal": str, "principals": list}, look=_wanted_then
)
