"""What Entra has saved for the job: tenant URL, token, deletion guard and scope, saved whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from runbook_lib.core.errors import StepWaits
from runbook_lib.core.secret import Secret
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Hazard,
    lost,
)
from runbook_lib.http.message import Response
from runbook_lib.services.auth0.management import (
    delete_scim_token,
)
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import SavedCredentials, ServicePrincipal, SynchronizationJob, SynchronizationSchema
from runbook_lib.services.wire_json import Json
from runbook_lib.services.wire_words import (
    BASE_ADDRESS,
    SECRET_TOKEN,
    SYNC_ALL,
    SYNC_NOTIFICATION_SETTINGS,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import running_job
from runbook_lib.steps.attribute_mappings import mappings_differ
from runbook_lib.steps.body import ensure, stage
from runbook_lib.steps.by_hand import APP, Customer, in_entra, together, without_tokens
from runbook_lib.steps.credentials import (
    ON,
    UNLISTED,
    are_unlisted,
    credential_differences,
    entra_holds_a_token,
    notification_settings,
    orphans,
    same_endpoint,
    tenant_url,
)
from runbook_lib.steps.running_job import Asked
from runbook_lib.steps.undoing.others import later_run, refuse_live
from runbook_lib.steps.undoing.readings import InEntra, On, holds_token, may_be_emptied, running_jobs, tokens_in_entra
from runbook_lib.steps.undoing.undo import Seen, Turn, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.token_scopes import wanted_scopes
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, empties

# Seen by terraform-provider-azuread, which waits up to five minutes for it (its issue 1013).
LISTED_LATE = "Entra listed the saved credentials with a delay; this run waited for them."


_ACTED_ON = ("Tenant URL", "Provision")  # saved values: where a running job sends, and which people are in its scope


def _enter_url(customer: Customer) -> Handover:  # use-scim-...; the procedure
    return Handover(
        f"{APP} > Provisioning > New configuration (once Admin Credentials)",
        (
            "If the portal offers a choice of authentication methods, choose bearer token.",
            "Paste the whole tenant URL, including the part after the question mark.",
        ),
        (("Tenant URL", tenant_url(customer.endpoint_url)),),
    )


def _enter_token(
    customer: Customer,
) -> Handover:  # use-scim-...; the procedure; accidental-deletions; define-conditional-rules-...
    return Handover(
        f"{APP} > Provisioning > New configuration (once Admin Credentials), then Overview > Properties (once Settings)",
        (
            "Paste the token as Secret Token. The sender of this sheet gives it to you through a separate, safe channel.",
            "Choose Test Connection. The test must succeed.",
            "Choose Create (once Save).",
            "In the properties, turn on the prevention of accidental deletions. Enter the threshold and a mail address.",
            "If a scope is shown, choose Sync only assigned users and groups. Apply or save.",
        ),
        (
            ("Secret Token", "the token, sent separately from this sheet"),
            ("Accidental deletion threshold", str(customer.settings.deletion_threshold)),
            ("Scope", "Sync only assigned users and groups"),
        ),
    )


@stage(
    Thing.TENANT_URL,
    by_hand=in_entra(_enter_url, Evidence.tenant_url),
    reads=(facts.saved_credentials, facts.endpoint_url),
    saved_by=Thing.CREDENTIALS,
)
def enter_tenant_url(saved: SavedCredentials, endpoint_url: str, settings: TenantSettings) -> Iterator[Yield]:
    """Enter the SCIM endpoint URL with ?aadOptscim062020 as Tenant URL.

    Blocked when: Entra provisions another address with this application.
    """
    if diffs := tuple(diff for diff in credential_differences(saved, endpoint_url, settings) if diff.field == "Tenant URL"):
        yield Change(ON, diffs, hazard=_other_address(saved, endpoint_url))
    yield Finding(tenant_url(endpoint_url))


@ensure(
    Thing.CREDENTIALS,
    by_hand=together(in_entra(_enter_token, Evidence.saved_credentials), without_tokens(touches=(facts.saved_credentials,))),
    undone_by=lambda: (UNDO,),
    reads=(
        facts.saved_credentials,
        facts.enterprise_application,
        facts.job,
        facts.memory,
        facts.endpoint_url,
        facts.connection_id,
        facts.scim_tokens_when_asked,
        facts.schema_in_use,
        facts.forecast_when_asked,
    ),
    touches=(facts.saved_credentials, facts.scim_tokens, facts.jobs),
)
def save_credentials(
    saved: SavedCredentials,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    memory: Memory,
    endpoint_url: str,
    connection_id: str,
    tokens: Callable[[], tuple[ScimToken, ...] | None],
    schema: SynchronizationSchema | None,
    asked: Asked,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Paste the token, test the connection and save.

    The connection is tested before and after. Microsoft's own sample body turns the deletion guard off; this keeps a guard
    that is on and turns it on otherwise. A token of this tool's that another has replaced is deleted then.
    Blocked when: Entra provisions another address with this application; the job runs already, address or scope change or a
    token that works takes the place of one that does not, and its next cycle would harm people.
    """
    diffs = _what_is_missing(saved, memory, endpoint_url, settings)
    is_of_earlier = memory.listed_before is not None and are_unlisted(saved, tokens(), memory, endpoint_url, settings)
    if diffs and (memory.is_saved_now or is_of_earlier):  # Entra lists only after a while what it took: nothing is left to send
        yield from _sent_already(diffs, is_of_earlier=is_of_earlier)
        return
    is_revived = _is_revived(tokens, saved, job, memory, endpoint_url, settings)
    acted_on = {diff.field for diff in diffs} & set(_ACTED_ON)
    if principal is not None and (acted_on or is_revived):
        only_scope = acted_on == {"Provision"} and not is_revived and not mappings_differ(job, schema)
        yield from running_job.guarded(job, asked, settings, is_anyway_left_out=only_scope)
    if not diffs:
        yield from _superseded(connection_id, saved, memory, tokens, settings)
        yield Finding("Tenant URL, token and deletion guard are saved.")
        return
    if principal is None or job is None:
        raise StepWaits(Thing.JOB, "The provisioning job", diffs)
    if acted_on:
        yield from running_job.paused_first(job, principal, mappings_differ=mappings_differ(job, schema), settings=settings)
    if memory.scim_token is None:
        raise StepWaits(Thing.TOKEN, "A token, which Entra needs before it saves anything here,", diffs)
    yield _saved(saved, principal, job, memory, memory.scim_token, endpoint_url, diffs, settings)


def _what_is_missing(saved: SavedCredentials, memory: Memory, endpoint_url: str, settings: TenantSettings) -> tuple[Diff, ...]:
    """Return the differences between what Entra has saved and what is wanted, including a token that is not saved yet."""
    diffs = credential_differences(saved, endpoint_url, settings)
    if not memory.has_new_token and saved.holds_token:
        return diffs
    before = "saved" if saved.holds_token else ""
    return (*diffs, Diff(ON, "Secret Token", before, f"the token of step {Thing.TOKEN.step}"))


def _sent_already(diffs: tuple[Diff, ...], *, is_of_earlier: bool) -> Iterator[Yield]:
    yield Change(ON, diffs, listed_late=LISTED_LATE)
    if is_of_earlier:
        yield Finding(UNLISTED)


def _saved(
    saved: SavedCredentials,
    principal: ServicePrincipal,
    job: SynchronizationJob,
    memory: Memory,
    token: Secret,
    endpoint_url: str,
    diffs: tuple[Diff, ...],
    settings: TenantSettings,
) -> Change:
    """Return the one write that saves URL, token and deletion guard, tested before with what it sends and after as saved."""
    url = tenant_url(endpoint_url)
    known = (BASE_ADDRESS, SECRET_TOKEN, SYNC_NOTIFICATION_SETTINGS, SYNC_ALL)
    others = {key: value for key, value in saved.values.items() if key not in known and value != "*"}
    wanted = notification_settings(saved, settings)
    return Change(
        ON,
        diffs,
        graph.put_credentials(principal.id, url, token, wanted, others),
        hazard=_other_address(saved, endpoint_url),
        rehearsal=graph.validate_credentials(principal.id, job.id, url, token),
        proof=graph.validate_credentials(principal.id, job.id),
        receive=_forget(memory, token),
        listed_late=LISTED_LATE,
        confirm=_listed_as_saved(memory, others, wanted),
        leaves=() if job.is_running or memory.own_token_ids - {memory.scim_token_id} else (facts.scim_tokens,),
        undo={
            "kind": UNDO.kind,
            "service_principal": principal.id,
            "token": memory.scim_token_id,
            "before": dict(saved.values),  # the sensitive ones read as `*`
        },
    )


def _is_revived(
    asked: Callable[[], tuple[ScimToken, ...] | None],
    saved: SavedCredentials,
    job: SynchronizationJob | None,
    memory: Memory,
    endpoint_url: str,
    settings: TenantSettings,
) -> bool:
    """Whether a working token replaces a broken one while the job runs: the job then acts at once."""
    if job is None or not job.is_running or (tokens := asked()) is None:
        return False
    return not entra_holds_a_token(tokens, saved, job, memory, endpoint_url, wanted_scopes(settings))


def _other_address(saved: SavedCredentials, endpoint_url: str) -> Hazard | None:
    """Return the hazard of an application that provisions another endpoint: that endpoint must not get our token by mistake."""
    if not saved.tenant_url or same_endpoint(saved.tenant_url, endpoint_url):
        return None
    return Hazard(
        "replace-tenant-url",
        f"This application provisions {saved.tenant_url.partition('?')[0]}, which is not the endpoint of this connection",
    )


def _listed_as_saved(memory: Memory, others: dict[str, str], guard: Json) -> Callable[[SavedCredentials], tuple[str, ...]]:
    def differs(after: SavedCredentials) -> tuple[str, ...]:
        memory.is_saved_now = False
        return lost({"others": others, "guard": guard}, _kept_credentials(after, others))

    return differs


def _kept_credentials(after: SavedCredentials, others: dict[str, str]) -> Json:
    return {"others": {key: after.values.get(key) for key in others}, "guard": after.notification_settings}


def _superseded(
    connection_id: str,
    saved: SavedCredentials,
    memory: Memory,
    tokens: Callable[[], tuple[ScimToken, ...] | None],
    settings: TenantSettings,
) -> Iterator[Change]:
    """Delete this tool's tokens that another token has replaced. Auth0 is read only where there may be one."""
    if not memory.own_token_ids - {memory.saved_token_id if memory.is_saved_now else ""}:  # there is only the one in use
        return
    for token in orphans(tokens() or (), memory, saved):
        gone = Diff(f"SCIM tokens of {settings.auth0_connection}", token.token_id, "made by this tool, replaced since", "deleted")
        yield Change(gone.on, (gone,), delete_scim_token(connection_id, token.token_id))


def _forget(memory: Memory, token: Secret) -> Callable[[Response], dict[str, str]]:
    """Return the function that drops the token's text once Entra has it."""

    def receive(_answer: Response) -> dict[str, str]:
        memory.saved_works = True
        if memory.scim_token == token:
            memory.scim_token = token if memory.is_brought else None
            memory.saved_token_id, memory.is_saved_now = memory.scim_token_id, True
            memory.given_token_ids += (memory.scim_token_id,)
        return {"saved_token": memory.scim_token_id}

    return receive


# Taking back ---------------------------------------------------------------------------------------------------------


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Take the token that the run saved out of Entra."""
    entra, before = InEntra(entry.service_principal), {key: str(value) for key, value in entry.undo["before"].items()}
    running, held_tokens = running_jobs(undo.record), tokens_in_entra(undo.record)

    def restore(
        saved: SavedCredentials,
        endpoint: str,
        holds: bool,
        on: On,
        held: frozenset[str],
        goes: bool,
        may_be_out: bool,
        _settings: Any,
    ) -> Iterator[Yield]:
        if not saved.holds_token:
            undo.record.emptied.discard(entra.id)
        if before.get(SECRET_TOKEN):
            yield Finding(
                "This undo cannot restore the token that Entra held before. Enter that token in Entra again "
                "before you start the job."
            )
        if goes:
            yield undo.along(entra.id)
        elif entra.id in undo.record.emptied:
            yield Change("entra credentials", _emptied(entra.id, saved, before, entry).diffs, listed_late=LISTED_LATE)
        elif not holds or (saved.holds_token and not same_endpoint(saved.tenant_url, endpoint)):
            yield Finding("Entra no longer holds the credentials that this run saved.")
        elif later := later_run(undo.record, entry, "credentials"):
            yield left(later)
        elif others := held - undo.record.token_ids:
            yield left(f"{_may_hold(others)} instead of {entry.undo['token']}.{_UNLISTED if may_be_out else ''}")
        else:
            yield from _taken_out(undo, entra.id, _emptied(entra.id, saved, before, entry), on)

    holds, may_be_out = holds_token(undo.record, entra), may_be_emptied(undo.record, entra, number)
    reads = (entra.saved, facts.endpoint_url, holds, running, held_tokens, undo.goes_along(entra.id), may_be_out)
    touches = (entra.saved, *entra.everything, running, held_tokens)
    return undo.step(number, entry, "Remove the token from Entra", restore, *reads, touches=touches)


def _taken_out(undo: Undo, service_principal_id: str, change: Change, on: On) -> Iterator[Yield]:
    guard = refuse_live(undo, on, change.diffs)
    yield Finding("The deletion guard stays on if this run turned it on.")
    yield replace(change, receive=lambda _answer: _noted(undo, service_principal_id), listed_late=LISTED_LATE, guard=guard)


_UNLISTED = " No answer told whether it was taken out, and Entra lists that only after minutes: undo again later to check."


def _may_hold(others: frozenset[str]) -> str:
    return f"Left in place: Auth0 has a token that this tool did not make ({', '.join(sorted(others))}), and Entra may hold it"


def _noted(undo: Undo, service_principal: str) -> dict[str, str]:
    """Remember that Entra took the request: it may list what was saved before for some minutes."""
    undo.record.emptied.add(service_principal)
    return {}


def _emptied(service_principal: str, saved: SavedCredentials, before: dict[str, str], entry: Written) -> Change:
    wanted = {BASE_ADDRESS: before.get(BASE_ADDRESS, ""), SYNC_ALL: before.get(SYNC_ALL, "")}
    diffs = [Diff("entra credentials", key, saved.values.get(key, ""), value) for key, value in wanted.items()]
    diffs.append(Diff("entra credentials", "Secret Token", "saved", "removed"))
    shown = {key: value for key, value in saved.values.items() if value != "*"}
    request = graph.put_credentials_as_they_are(service_principal, {**shown, **wanted, SECRET_TOKEN: ""})
    shown_diffs = tuple(diff for diff in diffs if diff.before != diff.after)
    return Change("entra credentials", shown_diffs, request, undo=empties(entry))


def _saved_now(entry: Written, view: View) -> Seen:
    is_there = view.read(InEntra(entry.service_principal).saved).holds_token
    return Seen(is_there, "Entra holds a token." if is_there else "Entra holds no token.")


UNDO: TakeBack = undone(
    take_back,
    Thing.CREDENTIALS,
    "the saved tenant URL and token",
    needs={"service_principal": str, "token": str, "before": dict},
    look=_saved_now,
    turn=Turn.BEFORE_MAPPINGS,
)
