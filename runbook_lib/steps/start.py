"""The start of the job: every condition of the procedure, the forecast, and what the step says about a job that already runs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.core.step_numbers import sections_in
from runbook_lib.engine.step import Kind, Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Guard,
    Handover,
    Skipped,
)
from runbook_lib.services.auth0.models import Auth0User, Connection, ScimConfiguration, ScimToken
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import (
    AppRoleAssignment,
    EntraUser,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.wire_words import (
    OTHER_SIDE_CONFIRMED,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import forecast_gate, groups_mapping
from runbook_lib.steps.body import ensure
from runbook_lib.steps.by_hand import APP, AUTH0, TAKE_WORD, Customer, done_without, in_entra, together
from runbook_lib.steps.credentials import (
    notification_settings,
)
from runbook_lib.steps.start_conditions import Conditions, auth0_conditions, entra_conditions, is_linked, that_fail
from runbook_lib.steps.undoing.others import later_run
from runbook_lib.steps.undoing.readings import InEntra, jobs_now, running_jobs
from runbook_lib.steps.undoing.undo import Seen, Turn, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.values import Fate, Forecast
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, takes_back

JOB = "provisioning job"


TURNED_ON = Diff(JOB, "Provisioning Status", "Off", "On")


REREAD = (  # the start judges fresh readings only
    facts.connection,
    facts.scim_configuration,
    facts.scim_tokens,
    facts.enterprise_applications,
    facts.saved_credentials,
    facts.schema,
    facts.jobs,
    facts.access,
    facts.assignments,
    facts.forecast,
    facts.test_user,
    facts.test_user_profiles,
    facts.oidc_service_principal,  # the forecast needs it; in the same batch it costs no request
)


def _turn_on(customer: Customer) -> Handover:  # Start provisioning: use-scim-...; Provisioning Status: the procedure
    return Handover(
        f"{APP} > Provisioning > Overview",
        (
            "Wait until the sender of this sheet has confirmed in Auth0 that the test user is right.",
            "Before you start, look through the people assigned here, including the members of groups. Send the sender of "
            "this sheet the names of people who are disabled or deleted in Entra, people whose address or user name "
            "belonged to another person before, and people who share one. Wait for an answer.",
            "Sources disagree about people who are disabled before the first cycle. Microsoft's documentation says that "
            "the cycle skips them, so they keep their access to Auth0. Others report that it blocks them. Remove the "
            "assignments of people who must not be blocked.",
            "Choose Start provisioning (or set Provisioning Status to On and save).",
        ),
        (("Provisioning Status", "On"),),
        customer.applications,
    )


def is_left_alone(
    job: SynchronizationJob | None, forecast: Forecast | None, settings: TenantSettings
) -> Generator[Yield, None, bool]:
    """Return whether this run leaves the job as it is, because the job already runs or the settings do not want it started.

    Yields why. If the job runs, yields what its next cycle does to people; that holds nothing back, because this run does not
    cause it. Raises `StepBlocked` for a job in quarantine that the settings want started.
    """
    if job is not None and job.is_quarantined and settings.turn_on == "yes":
        raise StepBlocked(f"The provisioning job is in quarantine ({job.quarantine_reason})", f"See step {Thing.READINESS.step}")
    if settings.turn_on != "yes":
        yield Skipped("turn_on is no: this run does not start or stop the job.")
    is_running = job is not None and job.is_running
    if is_running:
        yield Finding("Provisioning is on.")
        if forecast is not None:
            yield from forecast_gate.told(forecast)
            yield from (Finding(f"In the next cycle, {hazard.why}.") for hazard in forecast_gate.dangers(forecast, settings))
    return is_running or settings.turn_on != "yes"


def tell_what_no_longer_holds(job: SynchronizationJob | None, conditions: Conditions) -> None:
    """Check the conditions of a job that runs, without stopping the job.

    Raises `StepWaits` with the conditions that fail. A plan shows them as pending; they block a run that cannot repair them.
    """
    if job is None or not job.is_running:
        return
    if failing := that_fail(conditions):
        words = "; ".join(failing)
        raise StepWaits(
            "",
            "The set of conditions for a running job",
            (Diff(JOB, "conditions", f"not met: {words}", "all met"),),
            came_back=f"The job is running although these conditions are not met: {words}. Entra goes on provisioning people",
            do_now="Carry out the steps named in brackets, or stop the job in Entra until the conditions are met; this "
            "tool does not stop it",
        )


def guarded(forecast: Forecast | None, saved: SavedCredentials, settings: TenantSettings) -> Iterator[Yield]:
    """Show the forecast, and hold the write back until a person accepts the harm.

    The job stops when the number of departures reaches the deletion guard; it need not exceed it (Microsoft's how-to of cloud
    sync on accidental deletions).
    """
    if forecast is not None:
        yield from forecast_gate.told(forecast)
        departing = sum(bool({Fate.BLOCK, Fate.DELETE} & set(person.fates)) for person in forecast.people)
        limit = int(notification_settings(saved, settings)["DeleteThresholdValue"])
        if departing >= limit:
            yield Finding(
                f"{departing} people may be blocked or deleted, which reaches the deletion guard of {limit}. The job then "
                "goes into quarantine in its first cycle, until an administrator allows these deletions in Entra "
                "(Provisioning > Overview)."
            )
        yield from forecast_gate.dangers(forecast, settings)


def on_scope(saved: SavedCredentials) -> Iterator[Finding]:
    """Say when people who go out of scope keep their access (entra-docs, skip-out-of-scope-deletions)."""
    if saved.values.get("SkipOutOfScopeDeletions", "").lower() == "true":
        yield Finding(
            "SkipOutOfScopeDeletions is True: people who lose their assignment, or are excluded by a scoping filter, keep "
            "their access to Auth0. People who are disabled or deleted in Entra lose their access."
        )


def started(job: SynchronizationJob, principal: ServicePrincipal, conditions: Conditions) -> Change:
    """Return the change that starts the job. Raises `StepWaits`, which names the conditions that do not hold."""
    if failing := that_fail(conditions):
        what = f"The start waits for these conditions: {'; '.join(failing)}"
        raise StepWaits(Thing.TEST_USER, what, (TURNED_ON,), came_back=what, do_now="Carry out the steps named in brackets first")
    return Change(
        JOB,
        (TURNED_ON,),
        graph.start_job(principal.id, job.id),
        rehearsal=graph.validate_credentials(principal.id, job.id),  # tests what is saved: the token may be deleted since
        undo={"kind": UNDO.kind, "service_principal": principal.id, "job": job.id},
        guard=Guard(JOB, facts.schema, _makes_users, lambda _schema: (graph.pause_job(principal.id, job.id),)),
    )


def _makes_users(schema: SynchronizationSchema | None) -> tuple[str, ...]:
    """Return what is wrong in the mappings for a job that is on: others may have turned Create on in that second."""
    return () if schema is None or "Add" not in schema.flow_types else ("Create is on in the attribute mappings",)


def turn_on_unseen(
    job: SynchronizationJob | None,
    principals: tuple[ServicePrincipal, ...],
    saved: SavedCredentials,
    schema: SynchronizationSchema | None,
    access: tuple[AppRoleAssignment, ...],
    assigned: tuple[AppRoleAssignment, ...],
    endpoint_url: str,
    other_claim: str,
    jobs: tuple[SynchronizationJob, ...],
    forecast: Forecast | None,
    user: EntraUser | None,
    memory: Memory,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Start when every condition in Entra holds and the owner of the Auth0 side has confirmed that side.

    That confirmation, named `other-side-confirmed`, replaces what the gate would read in Auth0. The forecast assumes that every
    assigned person has a user there.
    """
    conditions: Conditions = {}
    if schema is not None:
        conditions |= entra_conditions(principals, jobs, saved, schema, access, assigned, endpoint_url, other_claim, settings)
    if (yield from is_left_alone(job, forecast, settings)):
        tell_what_no_longer_holds(job, conditions)
        return
    yield from guarded(forecast, saved, settings)
    if OTHER_SIDE_CONFIRMED not in settings.accept:
        yield from _left_to_the_other_side()
        return
    if job is None or not principals or schema is None:
        raise StepWaits(Thing.JOB, "The provisioning job", (TURNED_ON,))
    conditions[f"the token sent is the saved one ({Thing.CREDENTIALS.step})"] = lambda: not memory.has_new_token
    conditions[f"the test user was provisioned on demand ({Thing.TEST_USER.step})"] = lambda: (
        user is not None and user.id in memory.tested_ids
    )
    yield from groups_mapping.told(schema, assigned, settings)
    yield from on_scope(saved)
    yield started(job, principals[0], conditions)


def _left_to_the_other_side() -> Iterator[Yield]:
    yield Finding(
        "This run cannot read Auth0, so it starts the job only after the owner of the Auth0 side has confirmed that side."
    )
    remedy = (
        f"When the owner of the Auth0 side has confirmed {sections_in(AUTH0)}, set accept: [{OTHER_SIDE_CONFIRMED}] "
        "(YAML) and run again"
    )
    yield Handover("", remedy=remedy)


@ensure(
    Thing.START,
    by_hand=together(
        in_entra(
            _turn_on,
            Evidence.cycles,
            left_out="turn_on is no: the hand-over sheet does not ask the Entra administrator to turn provisioning on.",
            further=lambda _evidence, _settings: (
                f". If five or fewer people are assigned, rely on the administrator's confirmation{TAKE_WORD}"
            ),
        ),
        done_without(
            AUTH0,
            turn_on_unseen,
            Kind.ENSURE,
            (
                facts.job,
                facts.enterprise_applications,
                facts.saved_credentials,
                facts.schema,
                facts.access,
                facts.assignments,
                facts.endpoint_url,
                facts.other_claim,
                facts.jobs,
                facts.forecast_to_tell,
                facts.test_user,
                facts.memory,
            ),
            (facts.jobs,),
        ),
    ),
    reads=(
        facts.job,
        facts.enterprise_applications,
        facts.connection,
        facts.scim_configuration,
        facts.scim_tokens,
        facts.saved_credentials,
        facts.schema,
        facts.access,
        facts.assignments,
        facts.endpoint_url,
        facts.test_user_profiles,
        facts.test_user,
        facts.other_claim,
        facts.jobs,
        facts.matching_attributes,
        facts.forecast_to_tell,
    ),
    undone_by=lambda: (UNDO,),
    touches=(facts.jobs,),
    rereads=REREAD,
    is_last=True,
)
def turn_provisioning_on(
    job: SynchronizationJob | None,
    principals: tuple[ServicePrincipal, ...],
    connection: Connection,
    scim: ScimConfiguration | None,
    tokens: tuple[ScimToken, ...] | None,
    saved: SavedCredentials,
    schema: SynchronizationSchema | None,
    access: tuple[AppRoleAssignment, ...],
    assigned: tuple[AppRoleAssignment, ...],
    endpoint_url: str,
    profiles: tuple[Auth0User, ...],
    user: EntraUser | None,
    other_claim: str,
    jobs: tuple[SynchronizationJob, ...],
    matching: tuple[str, ...],
    forecast: Forecast | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Turn provisioning on.

    The step first reads again what the earlier steps set, and forecasts each person's fate. If one condition does not hold, it
    does not start the job. It never starts a job in quarantine and never calls restart. It names unmet conditions of a running
    job, and does not stop the job.
    Blocked when: the job is in quarantine; the first cycle would harm people, until a person accepts that by kind.
    """
    conditions: Conditions = auth0_conditions(connection, scim, tokens, matching, settings)
    if schema is not None:
        conditions |= entra_conditions(principals, jobs, saved, schema, access, assigned, endpoint_url, other_claim, settings)
    if (yield from is_left_alone(job, forecast, settings)):
        tell_what_no_longer_holds(job, conditions)
        return
    yield from guarded(forecast, saved, settings)
    if job is None or not principals or schema is None or scim is None:
        raise StepWaits(Thing.JOB, "The provisioning job", (TURNED_ON,))
    conditions[f"the test user is linked and not blocked ({Thing.TEST_USER.step})"] = lambda: is_linked(user, profiles, scim)
    yield from groups_mapping.told(schema, assigned, settings)
    yield from on_scope(saved)
    yield started(job, principals[0], conditions)


# Taking back ---------------------------------------------------------------------------------------------------------

Jobs = tuple[SynchronizationJob, ...]


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Stop the job that the run started."""
    entra = InEntra(entry.service_principal)
    there = entra.jobs_looked_for(str(entry.undo["job"]))

    def stop(jobs: Jobs, _settings: Any) -> Iterator[Yield]:
        job = next((job for job in jobs if job.id == entry.undo["job"]), None)
        if later := later_run(undo.record, entry, "start"):
            yield left(later)
        elif job is None or not job.is_running:
            yield Finding("The job is not running.")
        else:
            diff = Diff("provisioning job", "Provisioning Status", "On", "Off")
            request = graph.pause_job(entra.id, job.id)
            yield Change(diff.on, (diff,), request, stops=True, undo=takes_back(entry))

    return undo.step(number, entry, "Stop provisioning", stop, there, touches=(entra.jobs, running_jobs(undo.record)))


def _started_then(entry: Written, view: View) -> Seen:
    jobs = view.read(InEntra(entry.service_principal).jobs)
    return Seen(any(job.is_running for job in jobs if job.id == entry.undo["job"]), jobs_now(entry, view))


UNDO: TakeBack = undone(
    take_back,
    Thing.START,
    "the start of the job",
    needs={"service_principal": str, "job": str},
    look=_started_then,
    turn=Turn.THE_JOB_STOPS,
)
