"""The one person who is provisioned on demand before anyone else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits, VerificationFailed
from runbook_lib.core.remedies import Remedy, find, remedy
from runbook_lib.engine.step import Kind, Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Patience,
    Table,
)
from runbook_lib.http.message import Response
from runbook_lib.services.auth0.models import Auth0User, ScimConfiguration
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import (
    AppRoleAssignment,
    EntraUser,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.wire_words import (
    EXTERNAL_ID,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import tested_user
from runbook_lib.steps.body import check, probe
from runbook_lib.steps.by_hand import APP, AUTH0, Customer, done_without, in_entra, together
from runbook_lib.steps.running_job import Asked
from runbook_lib.steps.undoing.undo import Undo, left, undone
from runbook_lib.steps.verdict import Verdict, parse_verdict
from runbook_lib.tenant import facts
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.written import Written


def _open_on_demand(_customer: Customer) -> Handover:  # provision-on-demand
    return Handover(
        f"{APP} > Manage > Provisioning",
        ("Do not start provisioning yet.", "Open Provision on demand."),
    )


def _test(customer: Customer) -> Handover:  # provision-on-demand
    return Handover(
        f"{APP} > Provisioning > Provision on demand",
        (
            "Select the user, choose Provision.",
            "A good result: Entra updated the user, or skipped the user because nothing had to change.",
            "A bad result: Entra created the user, or did not find the user in the target. Stop and tell the sender of "
            "this sheet.",
        ),
        (("User", customer.settings.test_user),),
    )


def _another_address(evidence: Evidence, settings: TenantSettings) -> str:
    """Say what may help when Auth0 knows no user by the test user's name."""
    if evidence.profiles:
        return ""
    return f". Or set test_user to the mail address that Auth0 shows for this person instead of {settings.test_user}"


def _assignment_does_not_count(answer: Response) -> bool:
    return parse_verdict(answer.body).is_not_yet


def _token_is_refused(answer: Response) -> bool:
    return parse_verdict(answer.body).is_token_refused


# A token that was just saved may be refused for some seconds. The document names no time (Unverified), so that one repetition
# has to do; a person's update is the same when it is sent twice.
# entra-docs, provision on demand: "up to a few minutes between when an object is assigned and when that assignment is honored".
ASSIGNMENT_COUNTS = Patience(
    "Entra recognized the new assignment with a delay; this run repeated provision on demand until it did.",
    _assignment_does_not_count,
    is_once_more=_token_is_refused,
)


@check(Thing.READINESS, by_hand=in_entra(_open_on_demand, Evidence.updated), reads=(facts.job,))
def ready_for_testing(job: SynchronizationJob | None, settings: TenantSettings) -> Iterator[Yield]:
    """Open provision on demand.

    Blocked when: the job is in quarantine. Starting it would clear that, and could let a mass deletion through.
    """
    if job is None:
        raise StepWaits(Thing.JOB, "The provisioning job")
    if job.is_quarantined:
        raise StepBlocked(
            f"The provisioning job is in quarantine ({job.quarantine_reason})",
            "Look at Provisioning > Overview in Entra, fix the cause and have an administrator clear the quarantine; this "
            "tool never clears it",
        )
    yield Finding("The job is ready.")


def provision_unseen(
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    schema: SynchronizationSchema | None,
    assigned: tuple[AppRoleAssignment, ...],
    memory: Memory,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Provision one user and rely on Entra's verdict. The step does not repeat this once it has the verdict or the job runs."""
    user = fit_in_entra(user, groups, access, settings)
    unseen = "This run cannot see whether the person kept their user id in Auth0."
    if user.id in memory.tested_ids or (job is not None and job.is_running):
        yield Finding(f"{user.display_name} was provisioned on demand, or the job's cycles have run. {unseen}")
        return
    yield Finding(unseen)
    diff = Diff(f"user {user.display_name}", "provisioned on demand", "", "updated in Auth0")
    if principal is None or job is None or schema is None:
        raise StepWaits(Thing.MAPPINGS, "The provisioning job with its mappings", (diff,))
    request = graph.provision_on_demand(principal.id, job.id, schema.rule_id, user.id)

    def tested(answer: Response) -> dict[str, str]:
        judge(answer)
        memory.tested_ids |= {user.id}
        return {"tested": user.id}

    yield Change(
        diff.on,
        (diff,),
        request,
        receive=tested,
        evidence=told,
        undo={"kind": UNDO.kind},
        patience=replace(ASSIGNMENT_COUNTS, since=assigned_at({user.id} | groups, assigned)),
    )


@probe(
    Thing.TEST_USER,
    by_hand=together(
        in_entra(_test, Evidence.updated, must_be_seen=True, further=_another_address),
        done_without(
            AUTH0,
            provision_unseen,
            Kind.PROBE,
            (
                facts.test_user,
                facts.test_user_groups,
                facts.access,
                facts.enterprise_application,
                facts.job,
                facts.schema,
                facts.assignments,
                facts.memory,
            ),
            (facts.jobs,),
        ),
    ),
    undone_by=lambda: (UNDO,),
    reads=(
        facts.test_user_profiles,
        facts.test_user,
        facts.test_user_groups,
        facts.access,
        facts.scim_configuration,
        facts.enterprise_application,
        facts.job,
        facts.schema,
        facts.forecast_when_asked,
        facts.assignments,
    ),
    touches=(facts.test_user_profiles,),
)
def provision_on_demand(
    profiles: tuple[Auth0User, ...],
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    scim: ScimConfiguration | None,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    schema: SynchronizationSchema | None,
    asked: Asked,
    assigned: tuple[AppRoleAssignment, ...],
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Provision one user on demand.

    Blocked when: the test user is unknown, disabled (they would be blocked in Auth0), not assigned, or absent from Auth0; what
    is sent of them would harm them or another person.
    """
    user, profile = _fit_for_testing(user, groups, access, profiles, settings)
    where = scim.auth0_attribute(EXTERNAL_ID) if scim else None
    if where and profile.attribute(where) == user.id:
        yield Finding(f"{user.display_name} is linked: Auth0 holds the Entra object id as the external id.")
        return
    diff = Diff(f"user {user.display_name}", "external id in Auth0", "", "the Entra object id")
    tested_user.refuse_harm(asked().of(user.id), profile, settings)
    if principal is None or job is None or schema is None:
        raise StepWaits(Thing.MAPPINGS, "The provisioning job with its mappings", (diff,))
    request = graph.provision_on_demand(principal.id, job.id, schema.rule_id, user.id)
    yield Change(
        diff.on,
        (diff,),
        request,
        receive=judge,
        evidence=told,
        confirm=_still_the_one(profile),
        undo={"kind": UNDO.kind},
        patience=replace(ASSIGNMENT_COUNTS, since=assigned_at({user.id} | groups, assigned)),
    )


def _still_the_one(profile: Auth0User) -> Callable[[tuple[Auth0User, ...]], tuple[str, ...]]:
    """Return the function that checks whether Auth0 still has this user and no other."""

    def differs(after: tuple[Auth0User, ...]) -> tuple[str, ...]:
        return () if {entry.user_id for entry in after} == {profile.user_id} else ("the user's id in Auth0",)

    return differs


def assigned_at(principals: frozenset[str] | set[str], assigned: tuple[AppRoleAssignment, ...]) -> datetime | None:
    """Return when one of these users and groups was last assigned, by Graph's clock; None where it tells no time."""
    times = [entry.created_at for entry in assigned if entry.principal_id in principals]
    try:
        return datetime.fromisoformat(max(times, default="")).astimezone(UTC)
    except ValueError:
        return None


def _fit_for_testing(
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    profiles: tuple[Auth0User, ...],
    settings: TenantSettings,
) -> tuple[EntraUser, Auth0User]:
    user = fit_in_entra(user, groups, access, settings)
    if not profiles:
        raise StepBlocked(
            f"{user.display_name} ({user.user_principal_name}, {user.mail or 'no mail address'}) has no Auth0 user on this "
            "connection: a search by mail address, user name, object id and external id found none",
            "Let the person sign in once, or set test_user to a person who has an Auth0 user",
        )
    if len(profiles) > 1:
        raise StepBlocked(
            f"{len(profiles)} Auth0 users of this connection are {user.display_name}'s: "
            f"{', '.join(profile.user_id for profile in profiles)}",
            "Set test_user to a person with one Auth0 user",
        )
    if profiles[0].is_blocked:
        raise StepBlocked(f"{user.display_name} is blocked in Auth0", "Set test_user to a person who may sign in")
    return user, profiles[0]


def fit_in_entra(
    user: EntraUser | None, groups: frozenset[str], access: tuple[AppRoleAssignment, ...], settings: TenantSettings
) -> EntraUser:
    """Return the test user. Raises `StepBlocked` when they are unknown, disabled or not assigned."""
    if user is None:
        raise StepBlocked(
            f"Entra has no user {settings.test_user}", "Set test_user to the user principal name of an assigned user"
        )
    if not user.is_enabled:
        raise StepBlocked(
            f"{user.display_name} is disabled in Entra, so Entra would block them in Auth0",
            "Set test_user to a person whose account is enabled",
        )
    if not ({user.id} | groups) & {entry.principal_id for entry in access}:
        raise StepBlocked(f"{user.display_name} is not assigned to the sign-in application", "Set test_user to an assigned user")
    return user


def told(answer: Response) -> tuple[Table, ...]:
    """Return what Entra says it did, step by step, for success and failure alike."""
    steps = parse_verdict(answer.body).steps
    return (Table("What Entra did, step by step", ("step", "status", "details"), steps),) if steps else ()


def _remedy_of(verdict: Verdict) -> Remedy | None:
    """Return the remedy for a bad verdict. Entra has one code for every skip; what it says about the person is more precise."""
    if verdict.is_filtered_out:
        return remedy("RB-504")
    if verdict.is_disabled:
        return remedy("RB-512")
    if verdict.is_token_refused:
        return remedy("RB-505")
    return find("scim", verdict.code, text=f"{verdict.code} {verdict.message}")


def judge(answer: Response) -> dict[str, str]:
    """Check the verdict of provision on demand and return no ids. Raises `VerificationFailed` for a bad verdict."""
    verdict = parse_verdict(answer.body)
    if not verdict.is_good:
        hint = "the user is not in Auth0 and creating is off" if "nomatch" in verdict.code.lower() else verdict.message
        failed = VerificationFailed("the test user after provision on demand", (f"{verdict.result} {verdict.code}: {hint}",))
        found = _remedy_of(verdict)
        if found is not None:
            failed.do_now = found.words()
        raise failed
    return {}


# Taking back ---------------------------------------------------------------------------------------------------------


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Say what cannot be taken back."""

    def tell(_settings: Any) -> Iterator[Yield]:
        yield left("An undo cannot remove what provisioning wrote into the test user's profile, including the external id.")

    return undo.step(number, entry, "Keep the test user as provisioned", tell)


UNDO: TakeBack = undone(take_back, Thing.TEST_USER, "provisioning of the test user", needs={})
