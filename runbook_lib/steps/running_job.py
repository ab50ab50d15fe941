"""Writes that a running job acts on at once: they pass the same forecast and the same limits as the start of a job.

A run may adopt an application that provisions already. Its job would provision newly assigned people with its old mappings. So
the run pauses the job before it assigns anyone, and the last step starts the job again, behind the start gate. Source of the
pause: Graph, synchronizationjob-pause; a change of mappings begins a new initial cycle (entra-docs, how-provisioning-works).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.step import Yield
from runbook_lib.engine.values import Change, Diff, Finding
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import ServicePrincipal, SynchronizationJob
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import forecast_gate
from runbook_lib.tenant.forecast.values import Forecast

JOB = "provisioning job"
Asked = Callable[[], Forecast]


def guarded(
    job: SynchronizationJob | None, asked: Asked, settings: TenantSettings, *, is_anyway_left_out: bool = False
) -> Iterator[Yield]:
    """Say what the next cycle would do after a write, and hold the write back until a person accepts the harm.

    Yields nothing when the job does not run: the gate then guards its start. `asked` reads the forecast. `is_anyway_left_out`:
    the write changes only who is in scope. Harm that the next cycle causes without the write too is named but holds nothing back.
    """
    if job is None or not job.is_running:
        return
    forecast = asked()
    yield Finding("The job is running, so the next cycle applies this change.")
    yield from forecast_gate.told(forecast)
    if is_anyway_left_out:
        yield from forecast_gate.caused_anyway(forecast)
    for hazard in forecast_gate.dangers(forecast, settings, is_anyway_left_out=is_anyway_left_out):
        so = "The job is running, so in its next cycle" if hazard.count else "The job is running."
        yield replace(hazard, why=f"{so} {hazard.why}")


def paused_first(
    job: SynchronizationJob | None, principal: ServicePrincipal | None, *, mappings_differ: bool, settings: TenantSettings
) -> Iterator[Yield]:
    """Yield the pause of a running job before a write that the job would act on with mappings that this run must still change.

    Raises `StepBlocked` when the settings do not let the run start the job again.
    """
    if job is None or principal is None or not job.is_running or not mappings_differ:
        return
    if settings.turn_on != "yes":
        raise StepBlocked(
            "The running job uses mappings that this run must change first. It would pause the job, and turn_on is no, so "
            "the job would stay paused",
            "Set turn_on to yes, or pause the job in Entra (Provisioning > Pause provisioning), then run again",
        )
    yield Finding(
        "The running job uses mappings that this run must change first. This run pauses the job now; the last "
        "step starts it again."
    )
    diff = Diff(JOB, "Provisioning Status", "On", "Off until provisioning is turned on again at the end")
    yield Change(JOB, (diff,), graph.pause_job(principal.id, job.id), stops=True)
