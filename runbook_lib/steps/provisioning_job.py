"""The provisioning job of the enterprise application."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
)
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import ServicePrincipal, SynchronizationJob
from runbook_lib.services.wire_words import (
    SCIM_TEMPLATE_ID,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.body import ensure
from runbook_lib.steps.by_hand import APP, Customer, in_entra, nothing_shows
from runbook_lib.steps.undoing.others import in_job, later_run, named, refuse_live
from runbook_lib.steps.undoing.readings import InEntra, On, jobs_now, running_jobs, tokens_in_entra
from runbook_lib.steps.undoing.undo import Seen, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, takes_back


def _get_started(_customer: Customer) -> Handover:  # New configuration: use-scim-...; Get started: the procedure
    return Handover(
        f"{APP} > Provisioning",
        ("Choose New configuration (once Get started, then the Provisioning Mode Automatic).",),
    )


@ensure(
    Thing.JOB,
    by_hand=in_entra(_get_started, nothing_shows),
    undone_by=lambda: (UNDO,),
    reads=(facts.enterprise_application, facts.jobs),
    touches=(facts.jobs, facts.saved_credentials, facts.schema),
)
def synchronization_job(
    principal: ServicePrincipal | None, jobs: tuple[SynchronizationJob, ...], settings: TenantSettings
) -> Iterator[Yield]:
    """Get started with automatic provisioning.

    In Graph: a synchronization job of template scim, not started.
    Blocked when: a job of another template runs, because Entra keeps one set of credentials for all jobs of an application.
    """
    ours = [job for job in jobs if job.template_id == SCIM_TEMPLATE_ID]
    others = [job for job in jobs if job.template_id != SCIM_TEMPLATE_ID]
    if running := [job for job in others if job.is_running]:
        raise StepBlocked(
            f"Another provisioning job of the enterprise application is running: {named_jobs(running)}. It would use the "
            "new token and provision the same people as the job of this procedure",
            "Look at that job in Entra. Stop or delete it if you do not need it, or set another scim_app_name",
        )
    if len(ours) > 1:
        raise StepBlocked(
            f"The enterprise application has {len(ours)} SCIM jobs: {named_jobs(ours)}", "Delete the job that you do not need"
        )
    if others:
        yield Finding(f"There is another provisioning job, which is stopped: {named_jobs(others)}. This run does not change it.")
    if ours:
        yield Finding("The provisioning job exists.")
        return
    diff = Diff("provisioning job", "template", "", SCIM_TEMPLATE_ID)
    if principal is None:
        raise StepWaits(Thing.APPLICATION, "The enterprise application", (diff,))
    undo = {"kind": UNDO.kind, "service_principal": principal.id}
    request = graph.post_job(principal.id)
    yield Change(diff.on, (diff,), request, receive=lambda answer: {"job": answer.at("id")}, undo=undo, replicates=True)


def named_jobs(jobs: Sequence[SynchronizationJob]) -> str:
    """Return jobs by id, with their template and their state."""
    return "; ".join(f"{job.id}, template {job.template_id}, {_state(job)}" for job in jobs)


def _state(job: SynchronizationJob) -> str:
    running = "running" if job.is_running else "stopped"
    return f"{running}, in quarantine ({job.quarantine_reason})" if job.is_quarantined else running


# Taking back ---------------------------------------------------------------------------------------------------------

Jobs = tuple[SynchronizationJob, ...]


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Delete the provisioning job that the run made, by its id."""
    entra, job_id = InEntra(entry.service_principal), str(entry.ids["job"])
    running = running_jobs(undo.record)

    def delete(jobs: Jobs, on: On, theirs: tuple[str, ...], goes: bool, _settings: Any) -> Iterator[Yield]:
        found = next((job for job in jobs if job.id == job_id), None)
        if found is None:
            yield Finding("The job is gone.")
        elif goes:
            yield undo.along(entra.id)
        elif later := later_run(undo.record, entry, "schema", "credentials", "start"):
            yield left(later)
        elif theirs:
            yield left(named(theirs))
        else:
            diff = Diff("provisioning job", "job", found.template_id, "deleted")
            guard = refuse_live(undo, on, (diff,))
            yield Change(diff.on, (diff,), graph.delete_job(entra.id, job_id), undo=takes_back(entry), guard=guard)

    reads = (entra.jobs, running, in_job(undo.record, entra), undo.goes_along(entra.id))
    touches = (*entra.everything, running, tokens_in_entra(undo.record))
    return undo.step(number, entry, "Delete the provisioning job", delete, *reads, touches=touches)


def _made_then(entry: Written, view: View) -> Seen:
    return Seen(bool(view.read(InEntra(entry.service_principal).jobs)), jobs_now(entry, view))


UNDO: TakeBack = undone(
    take_back, Thing.JOB, "the provisioning job", needs={"service_principal": str}, made="job", look=_made_then
)
