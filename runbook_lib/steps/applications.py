"""The two applications in Entra: the existing one of the sign-in, and the one for SCIM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
)
from runbook_lib.http.message import Response
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import Application, ServicePrincipal, SynchronizationJob
from runbook_lib.settings.clouds import Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.texts import is_guid
from runbook_lib.steps.body import check, ensure
from runbook_lib.steps.by_hand import Customer, in_entra, nothing_shows
from runbook_lib.steps.undoing.others import in_application, later_run, named, refuse_live
from runbook_lib.steps.undoing.readings import InEntra, On, running_jobs, tokens_in_entra
from runbook_lib.steps.undoing.undo import Seen, Turn, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.app_notes import has_room, read_marker, without_marker
from runbook_lib.tenant.console_links import registration_link
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, takes_back


def _find_registration(customer: Customer) -> Handover:  # the procedure
    app_id = customer.connection.oidc_client_id
    return Handover(
        "App registrations > All applications",
        (
            "Search for the application by its client id.",
            "If you find it, go on. If not, stop and tell the sender of this sheet.",
        ),
        (("Application (client) id", app_id),),
        registration_link(customer.cloud, app_id).url if is_guid(app_id) else "",
    )


def _new_application(customer: Customer) -> Handover:  # use-scim-to-provision-users-and-groups
    return Handover(
        "Enterprise applications > New application > Create your own application",
        (
            "Enter the name.",
            "Choose Integrate any other application you don't find in the gallery (Non-gallery).",
            "Choose Create. An application created under App registrations cannot be provisioned.",
        ),
        (("Name", customer.settings.scim_app_name),),
        customer.applications,
    )


@check(
    Thing.REGISTRATION,
    by_hand=in_entra(_find_registration, Evidence.sign_in_application),
    reads=(facts.oidc_application, facts.oidc_service_principal),
)
def oidc_application(
    application: Application | None, principal: ServicePrincipal | None, settings: TenantSettings
) -> Iterator[Yield]:
    """Confirm that the OpenID Connect application is registered.

    Looked up by the connection's client id, never by name.
    """
    if principal is None:
        raise StepBlocked(
            "Entra has no OpenID Connect application with the client id of the connection",
            "Register the application first, or correct the client id of the connection; until then no one can sign in",
        )
    where = "registered here" if application else "registered in another tenant, and an enterprise application here"
    yield Finding(f"{principal.display_name} is {where}.")


@ensure(
    Thing.APPLICATION,
    by_hand=in_entra(_new_application, nothing_shows),
    undone_by=lambda: (UNDO, UNDO_NOTES),
    reads=(
        facts.enterprise_applications,
        facts.cloud,
        facts.memory,
        facts.jobs,
        facts.oidc_service_principal,
        facts.connection_id,
        facts.other_claim,
    ),
    touches=(facts.enterprise_applications, facts.jobs),
)
def enterprise_application(
    found: tuple[ServicePrincipal, ...],
    cloud: Cloud,
    memory: Memory,
    _jobs: tuple[SynchronizationJob, ...],
    oidc: ServicePrincipal | None,
    connection_id: str,
    other_claim: str,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Create the non-gallery enterprise application.

    Why: an application created under App registrations cannot be provisioned (entra-docs, known issues).
    Blocked when: several applications have the name, something else or another connection uses it, or another run works on it.
    """
    _refuse_several(found, memory, settings)
    if not found:
        yield _created(cloud, settings.scim_app_name)
        return
    if (oidc is not None and found[0].id == oidc.id) or found[0].template_id != cloud.template_id:
        raise StepBlocked(
            f"{settings.scim_app_name} exists, but not as a non-gallery application, so Entra cannot provision with it",
            "Set another scim_app_name",
        )
    if (marker := read_marker(found[0].notes)) and marker.connection != connection_id:
        raise StepBlocked(
            f"According to its notes, {settings.scim_app_name} provisions another connection, {marker.connection}",
            "Set another scim_app_name: each connection needs an enterprise application of its own",
        )
    if other_claim:
        raise StepBlocked(
            f"Another run is working on the application {settings.scim_app_name}: {other_claim}",
            "Wait until that run has ended. If it was interrupted, its claim expires after 15 minutes",
        )
    if not has_room(found[0].notes, connection_id):
        yield Finding(
            "Its notes are full, so this run cannot add its marker. Two machines that work on it at once cannot detect "
            "each other."
        )
    yield Finding(f"{found[0].display_name} exists.")


def _created(cloud: Cloud, name: str) -> Change:
    diff = Diff("enterprise applications", name, "", "non-gallery application")
    request, undo = graph.instantiate(cloud.template_id, name), {"kind": UNDO.kind}
    return Change(diff.on, (diff,), request, receive=_made_application, undo=undo, replicates=True, leaves=(facts.jobs,))


def _refuse_several(found: tuple[ServicePrincipal, ...], memory: Memory, settings: TenantSettings) -> None:
    """Raise `StepBlocked` where Entra has more than one application of the name: the tool does not guess which one is meant."""
    if len(found) > 1:
        ours = ", ".join(entry.id for entry in found if entry.id in memory.made_at)
        raise StepBlocked(
            f"Entra has {len(found)} enterprise applications named {settings.scim_app_name}"
            f"{f'; this tool made {ours}' if ours else ''}",
            "Delete or rename the one that is not wanted, or set another scim_app_name",
        )


def _made_application(answer: Response) -> dict[str, str]:
    return {"application": answer.at("application", "id"), "service_principal": answer.at("servicePrincipal", "id")}


# Taking back ---------------------------------------------------------------------------------------------------------


def _applications_now(_entry: Written, view: View) -> Seen:
    named = ", ".join(f"{found.display_name} ({found.id})" for found in view.read(facts.enterprise_applications))
    if named:
        return Seen(True, f"Entra lists {named}.")
    return Seen(False, "Entra lists no enterprise application with this name.")


def _marker_now(entry: Written, view: View) -> Seen:
    principal = view.read(InEntra(entry.service_principal).principal)
    marker = read_marker(principal.notes) if principal else None
    return Seen(marker is not None, f"The notes contain {marker}." if marker else "The notes contain no marker.")


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Delete the enterprise application that the run made, by its id, unless others have worked in it."""
    entra, running = InEntra(entry.service_principal), running_jobs(undo.record)
    theirs_in_it = in_application(undo.record, entry, entra)

    def delete(
        principal: ServicePrincipal | None,
        registered: Application | None,
        on: On,
        theirs: tuple[str, ...],
        connection_id: str,
        _settings: Any,
    ) -> Iterator[Yield]:
        if principal is None or registered is None:
            yield Finding("The enterprise application is gone.")
            return
        if reason := not_to_delete(principal, theirs, connection_id, undo.application_name):
            yield left(reason)
            return
        diff = Diff("enterprise applications", principal.display_name, "made by this run", "deleted, with everything in it")
        guard = refuse_live(undo, on, (diff,))
        yield Change(diff.on, (diff,), graph.delete_application(registered.id), undo=takes_back(entry), guard=guard)

    reads = (entra.principal, entra.application, running, theirs_in_it, facts.connection_id)
    touches = (*entra.everything, running, tokens_in_entra(undo.record))
    return undo.step(number, entry, "Delete the enterprise application", delete, *reads, touches=touches)


def not_to_delete(principal: ServicePrincipal, theirs: tuple[str, ...], connection_id: str, name: str) -> str:
    """Return why undo leaves an application that the run made; empty when undo may delete it."""
    if principal.display_name != name:
        return f"Left in place: the enterprise application was renamed to {principal.display_name}."
    if (marker := read_marker(principal.notes)) and marker.connection != connection_id:
        return f"Left in place: according to its notes the application now provisions another connection, {marker.connection}."
    return named(theirs) if theirs else ""


def take_back_notes(undo: Undo, number: str, entry: Written) -> Step:
    """Take this tool's marker out of the notes of an application that existed before the run."""
    entra = InEntra(entry.service_principal)

    def clean(principal: ServicePrincipal | None, goes: bool, connection_id: str, _settings: Any) -> Iterator[Yield]:
        marker = read_marker(principal.notes) if principal else None
        if principal is None or marker is None or marker.connection != connection_id:
            yield Finding("The notes contain no marker of this connection.")
        elif goes:
            yield undo.along(entra.id)
        elif later := later_run(undo.record, entry, "notes"):
            yield left(later)
        else:
            diff = Diff("notes of the enterprise application", "marker", str(marker), "")
            yield Change(diff.on, (diff,), graph.patch_notes(entra.id, without_marker(principal.notes) or None))

    reads = (entra.principal, undo.goes_along(entra.id), facts.connection_id)
    touches = (entra.principal, facts.enterprise_applications)
    return undo.step(number, entry, "Remove the marker from the notes", clean, *reads, touches=touches)


UNDO: TakeBack = undone(
    take_back,
    Thing.APPLICATION,
    "the enterprise application",
    needs={},
    made="service_principal",
    look=_applications_now,
    turn=Turn.WITH_ALL_THAT_IS_IN_IT,
)
UNDO_NOTES: TakeBack = undone(
    take_back_notes,
    Thing.NOTES,
    "the marker in the notes",
    needs={"service_principal": str, "before": str},
    look=_marker_now,
    turn=Turn.LAST_IN_ENTRA,
)
