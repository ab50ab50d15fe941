"""What an undo reads: the enterprise application by its id, whatever its name is now, and what it contains."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from runbook_lib.core.errors import ApiError
from runbook_lib.engine.readings import Fact
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import (
    Application,
    AppRoleAssignment,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.wire_words import SCIM_TEMPLATE_ID
from runbook_lib.tenant import facts
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Record, Written

_QUIET = timedelta(hours=1)
_LISTED = timedelta(minutes=5)


class Running(NamedTuple):
    """A provisioning job that is on, with its enterprise application; when Entra is handed over, a token that is in use."""

    id: str
    service_principal: str = ""


On = tuple[Running, ...]


class InEntra:
    """The readings of one enterprise application, found by id. Without an application each of them is empty."""

    def __init__(self, service_principal: str) -> None:
        self.id = service_principal
        short = service_principal[:8]
        self.principal: Fact[ServicePrincipal | None] = Fact(f"enterprise application {short}", self._principal)
        self.application: Fact[Application | None] = Fact(f"app registration {short}", self._application)
        self.jobs: Fact[tuple[SynchronizationJob, ...]] = Fact(f"provisioning jobs {short}", self._jobs)
        self.schema: Fact[SynchronizationSchema | None] = Fact(f"attribute mappings {short}", self._schema)
        self.saved: Fact[SavedCredentials] = Fact(f"saved credentials {short}", self._saved)
        self.assignments: Fact[tuple[AppRoleAssignment, ...]] = Fact(f"assignments {short}", self._assignments)

    @property
    def everything(self) -> tuple[Fact[Any], ...]:
        """All readings of it, and the readings by name that the engine uses to keep its claim."""
        own = (self.principal, self.application, self.jobs, self.schema, self.saved, self.assignments)
        return (*own, facts.enterprise_applications)

    def _principal(self, view: View) -> ServicePrincipal | None:
        return view.graph.service_principal_by_id(self.id) if self.id else None

    def _application(self, view: View) -> Application | None:
        principal = view.read(self.principal)
        return view.graph.application(principal.app_id, with_set_up=True) if principal else None

    def _jobs(self, view: View) -> tuple[SynchronizationJob, ...]:
        return jobs_of(view, self.id) if view.read(self.principal) else ()

    def jobs_looked_for(self, job_id: str) -> Fact[tuple[SynchronizationJob, ...]]:
        """Return the reading of its jobs that asks twice before it believes that a job is gone, because the job may be on."""

        def look(view: View) -> tuple[SynchronizationJob, ...]:
            jobs = view.read(self.jobs)
            if job_id in [job.id for job in jobs]:
                return jobs
            view.forget(self.principal, self.jobs)
            return view.read(self.jobs)

        return Fact(f"the job {job_id}", look, is_derived=True)

    def job(self, view: View) -> SynchronizationJob | None:
        """Return its SCIM job."""
        return next((job for job in view.read(self.jobs) if job.template_id == SCIM_TEMPLATE_ID), None)

    def _schema(self, view: View) -> SynchronizationSchema | None:
        job = self.job(view)
        return view.graph.synchronization_schema(self.id, job.id) if job else None

    def _saved(self, view: View) -> SavedCredentials:
        return view.graph.saved_credentials(self.id) if self.job(view) else SavedCredentials({})

    def _assignments(self, view: View) -> tuple[AppRoleAssignment, ...]:
        return view.graph.assignments(self.id) if view.read(self.principal) else ()


def jobs_of(view: View, service_principal: str) -> tuple[SynchronizationJob, ...]:
    """Return the jobs of an enterprise application; none when it is gone."""
    try:
        return view.graph.synchronization_jobs(service_principal)
    except ApiError as error:
        # The synchronization service answers 401 UnknownError for an application that it does not know, or no longer knows.
        if error.status == 404 or (error.status == 401 and error.code == "UnknownError"):
            return ()
        raise


def jobs_now(entry: Written, view: View) -> str:
    """Return a sentence that names the existing provisioning jobs."""
    shown = ", ".join(
        f"{job.id} ({'on' if job.is_running else 'off'})" for job in view.read(InEntra(entry.service_principal).jobs)
    )
    return f"The provisioning job is {shown}." if shown else "There is no provisioning job."


def running_jobs(record: Record) -> Fact[On]:
    """Return the reading of the jobs that are on in any application of the connection, whatever its name is now.

    If this run does not sign in to Entra, the reading returns this tool's tokens that were used within the last hour instead:
    cycles come every 40 minutes (entra-docs, how-provisioning-works).
    """

    def look(view: View) -> On:
        if view.settings.handed_over == "entra":
            now = view.auth0.service.date or datetime.now(UTC)
            ours = [token for token in _tokens(view) if token.token_id in record.token_ids and token.last_used_at]
            return tuple(Running(t.token_id) for t in ours if now - datetime.fromisoformat(str(t.last_used_at)) < _QUIET)
        named = [principal.id for principal in view.read(facts.enterprise_applications)]
        known = dict.fromkeys((*record.service_principals(), *named))
        return tuple(Running(job.id, one) for one in known for job in jobs_of(view, one) if job.is_running)

    return Fact("running provisioning jobs", look)


def holds_token(record: Record, entra: InEntra) -> Fact[bool]:
    """Return the reading of whether Entra holds a token in that application, listed or not.

    Entra lists what was saved only after a while (terraform-provider-azuread waits five minutes). So a token that this undo has
    just taken out counts as gone. Within that time after the run saved its token, or after an earlier undo took the token out,
    the reading asks Entra to test what it has saved.
    """

    def look(view: View) -> bool:
        job = entra.job(view)
        if job is None or entra.id in record.emptied:
            return False
        is_listed, emptied = view.read(entra.saved).holds_token, record.emptied_before.get(entra.id)
        is_old_news = emptied is not None and emptied.is_certain and _is_recent(emptied.time, view)
        if is_listed and not is_old_news:
            return True
        return (is_listed or _saved_lately(view, record, entra.id)) and _works(view, entra.id, job.id)

    return Fact(f"Entra holds a token {entra.id[:8]}", look, is_derived=True)


def may_be_emptied(record: Record, entra: InEntra, number: str) -> Fact[bool]:
    """Return the reading of whether a request without an answer may have taken the token out, which Entra may not list yet.

    This undo's step of that number sent the request, or an earlier undo did.
    """

    def look(view: View) -> bool:
        emptied = record.emptied_before.get(entra.id)
        is_in_doubt = any(doubt.step == number for doubt in view.memory.doubts)
        return is_in_doubt or (emptied is not None and _is_recent(emptied.time, view))

    return Fact(f"may be emptied {entra.id[:8]}", look, is_derived=True)


def is_listed_late(entry: Written, view: View) -> bool:
    """Whether Graph, by its own clock, may not list yet what a write made."""
    return _is_recent(entry.time, view)


def _is_recent(time: str, view: View) -> bool:
    return facts.graph_time(view) - datetime.fromisoformat(time) < _LISTED


def _saved_lately(view: View, record: Record, service_principal: str) -> bool:
    saves = [e for e in record.own if e.kind == "credentials" and e.service_principal == service_principal]  # in doubt too
    return any(_is_recent(entry.time, view) for entry in saves)


def _works(view: View, service_principal: str, job: str) -> bool:
    """Ask Entra to test what it has saved. Raises `ApiError` when the answer says nothing about the saved credentials."""
    try:
        view.graph.service.ask(graph.validate_credentials(service_principal, job))
    except ApiError as refused:
        if refused.status >= 500 or refused.status in (401, 403, 429):
            raise
        return False
    return True


def tokens_in_entra(record: Record) -> Fact[frozenset[str]]:
    """Return the reading of the ids of the tokens that Entra may hold in any application that the record names.

    Entra never says which token it holds. If Auth0 has a token that this tool did not make, the reading asks Entra to test what
    it has saved; Entra then holds the token that Auth0 shows as just used. Unverified: that `last_used_at` shows this at once;
    when it does not, the reading rules out no token.
    """

    def look(view: View) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        if view.settings.handed_over:
            return found  # one side does not tell
        for service_principal in (known for known in record.service_principals() if known not in record.deleted):
            entra = InEntra(service_principal)
            job = entra.job(view)
            if job is not None and view.read(holds_token(record, entra)):
                found |= _held(view, record, service_principal, job.id)
        return found

    return Fact("tokens that Entra may hold", look)


def _held(view: View, record: Record, service_principal: str, job: str) -> frozenset[str]:
    before = _tokens(view)
    ids = frozenset(token.token_id for token in before)
    if ids <= record.token_ids:
        return ids
    if not _works(view, service_principal, job):
        return ids  # what is saved does not work (now), which rules none out
    view.forget(facts.scim_tokens)
    used = {token.token_id: token.last_used_at for token in before}
    moved = frozenset(token.token_id for token in _tokens(view) if token.last_used_at != used.get(token.token_id))
    return moved or ids


def _tokens(view: View) -> tuple[ScimToken, ...]:
    return view.read(facts.scim_tokens) or ()
