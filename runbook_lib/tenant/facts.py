"""Settings and clients -> the objects this tenant means. Each fact is one reading, kept for a moment and dropped by a write.

A fact returns None for what does not exist yet. What a step needs is passed to it as values, so that steps know no HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from runbook_lib.core.errors import ApiError, RunbookError, StepBlocked
from runbook_lib.engine.readings import derived, fact, lasting
from runbook_lib.services.auth0.management import scim_endpoint_url
from runbook_lib.services.auth0.models import Auth0User, Connection, ScimConfiguration, ScimMappingRow, ScimToken, SeenUsers
from runbook_lib.services.entra.graph import validate_credentials
from runbook_lib.services.entra.models import (
    Application,
    AppRoleAssignment,
    EntraUser,
    Organization,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.sign_in import Grant
from runbook_lib.services.wire_words import USER_NAME, WORK_EMAIL
from runbook_lib.settings.clouds import Cloud
from runbook_lib.tenant.app_notes import is_held_by_other, read_marker
from runbook_lib.tenant.deleted_users import deleted_among
from runbook_lib.tenant.forecast.reading import HIDDEN_MEMBERS_PERMISSION, Assigned, finished, root_fields
from runbook_lib.tenant.forecast.situation import ASSUMED_SCIM_ROWS, Ground, foretold
from runbook_lib.tenant.forecast.values import Forecast
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.view import View

# Auth0 ---------------------------------------------------------------------------------------------------------------


@derived
def auth0_grant(view: View) -> Grant:
    """What the Auth0 token allows."""
    return view.auth0_sign_in.grant()


@derived
def entra_grant(view: View) -> Grant:
    """What the Graph token allows."""
    return view.entra_sign_in.grant()


@fact
def connection(view: View) -> Connection:
    """The connection, by id or exact name."""
    wanted = view.settings.auth0_connection
    if wanted.startswith("con_"):
        found = view.auth0.connection_by_id(wanted)
        if found is not None:
            return found
    named = view.auth0.connections_by_name(wanted)
    if len(named) != 1:
        raise StepBlocked(
            f"Auth0 has {len(named) or 'no'} connection{'s' if len(named) > 1 else ''} {wanted!r}",
            "Set auth0_connection to the connection's id (con_…) or exact name; both stand in the Auth0 dashboard",
        )
    return named[0]


@derived
def connection_id(view: View) -> str:
    """The connection's id; where this run does not sign in to Auth0, from the endpoint that its owner gave."""
    if view.settings.handed_over != "auth0":
        return view.read(connection).id
    return view.settings.endpoint_connection


@fact
def seen_users(view: View) -> SeenUsers:
    """How many users the connection has, and some of their ids."""
    try:
        fields = root_fields(wanted_scim_rows(view))
    except RunbookError:  # the step of the mapping reports that; the count needs no mapping
        return view.auth0.seen_users(view.read(connection).name)
    # The forecast asks the same: one request serves both.
    return view.auth0.seen_users(view.read(connection).name, fields)


@fact
def scim_configuration(view: View) -> ScimConfiguration | None:
    """The connection's SCIM configuration."""
    return view.auth0.scim_configuration(view.read(connection).id)


@lasting
def default_mapping(view: View) -> tuple[ScimMappingRow, ...]:
    """The mapping that Auth0 proposes. No call of the Management API changes it (its description has a GET alone)."""
    return view.auth0.default_mapping(view.read(connection).id)


@fact
def scim_tokens(view: View) -> tuple[ScimToken, ...] | None:
    """The connection's SCIM tokens, each with its last use by Entra; None while SCIM is off."""
    if view.read(scim_configuration) is None:
        return None
    found = tuple(map(view.memory.as_used_by_entra, view.auth0.scim_tokens(view.read(connection).id)))
    now = view.auth0.service.date or datetime.now(UTC)
    view.memory.expired_ids = frozenset(token.token_id for token in found if token.has_ended(now))
    view.memory.auth0_now = now
    return found


@derived
def scim_tokens_when_asked(view: View) -> Callable[[], tuple[ScimToken, ...] | None]:
    """The function that reads the SCIM tokens, for a step that needs them only when one may have become useless."""
    return lambda: view.read(scim_tokens)


@derived
def endpoint_url(view: View) -> str:
    """The SCIM endpoint URL."""
    return scim_endpoint_url(view.settings.auth0_domain, view.read(connection_id))


@derived
def unseen_tokens(_view: View) -> None:
    """Stands in for the SCIM tokens where this run does not sign in to Auth0."""
    return


@derived
def unseen_tokens_when_asked(_view: View) -> Callable[[], None]:
    """Stands in for the reading of the SCIM tokens where this run does not sign in to Auth0."""
    return lambda: None


@derived
def memory(view: View) -> Memory:
    """What this session remembers."""
    return view.memory


@derived
def cloud(view: View) -> Cloud:
    """Which Microsoft cloud this is."""
    return view.cloud


# Entra ---------------------------------------------------------------------------------------------------------------


@fact
def organization(view: View) -> Organization:
    """The Entra tenant of the Graph token."""
    return view.graph.organization()


@fact
def oidc_application(view: View) -> Application | None:
    """The app registration that the connection signs in with."""
    return view.graph.application(_oidc_client_id(view))


@fact
def oidc_service_principal(view: View) -> ServicePrincipal | None:
    """The enterprise application of the sign-in."""
    return view.graph.service_principal(_oidc_client_id(view))


def _oidc_client_id(view: View) -> str:
    if view.settings.handed_over == "auth0":
        return view.settings.oidc_client_id
    client_id = view.read(connection).oidc_client_id
    try:
        return str(UUID(client_id))
    except ValueError:
        raise StepBlocked(
            f"The connection's client id {client_id!r} is no Entra application id", "Correct the client id of the connection"
        ) from None


@fact
def enterprise_applications(view: View) -> tuple[ServicePrincipal, ...]:
    """Every enterprise application of the wanted name."""
    return view.graph.service_principals_named(view.settings.scim_app_name)


@derived
def enterprise_application(view: View) -> ServicePrincipal | None:
    """The enterprise application for SCIM, when there is exactly one."""
    found = view.read(enterprise_applications)
    return found[0] if len(found) == 1 else None


@derived
def other_claim(view: View) -> str:
    """Which run of another machine is working on the enterprise application, in words; empty when none is."""
    principal = view.read(enterprise_application)
    marker = read_marker(principal.notes) if principal else None
    if marker is None or not is_held_by_other(marker, view.run, graph_time(view)):
        return ""
    return f"run {marker.run}, until {marker.until:%H:%M} UTC unless it goes on"


def graph_time(view: View) -> datetime:
    """Return the time by Graph's own clock, as its last answer told it; this machine's when there is none yet."""
    return view.graph.service.date or datetime.now(UTC)


@fact
def scim_application(view: View) -> Application | None:
    """The app registration of the enterprise application for SCIM."""
    principal = view.read(enterprise_application)
    return view.graph.application(principal.app_id) if principal else None


@fact
def access(view: View) -> tuple[AppRoleAssignment, ...]:
    """Users and groups who have access to the sign-in application, each once; or those the settings name."""
    if view.settings.assign:
        return tuple(_named(view, who) for who in view.settings.assign)
    principal = view.read(oidc_service_principal)
    found = view.graph.assignments(principal.id) if principal else ()
    kept = {entry.principal_id: entry for entry in found if entry.principal_type in ("User", "Group")}
    gone = deleted_among(view, kept)
    return tuple(entry for object_id, entry in kept.items() if object_id not in gone)


def _named(view: View, who: str) -> AppRoleAssignment:
    user = view.graph.user(who)
    if user is None:
        raise StepBlocked(f"The settings assign {who}, which Entra does not know", "Correct the list `assign`")
    return AppRoleAssignment("", user.id, "User", user.display_name, "")


@fact
def assignments(view: View) -> tuple[AppRoleAssignment, ...]:
    """Who is assigned to the enterprise application for SCIM."""
    principal = view.read(enterprise_application)
    return view.graph.assignments(principal.id) if principal else ()


@fact
def jobs(view: View) -> tuple[SynchronizationJob, ...]:
    """The provisioning jobs of the enterprise application."""
    principal = view.read(enterprise_application)
    known = [entry.id for entry in view.last(jobs) or () if entry.template_id == "scim"]
    return view.graph.synchronization_jobs(principal.id, known) if principal else ()


@derived
def job(view: View) -> SynchronizationJob | None:
    """The SCIM provisioning job."""
    found = [entry for entry in view.read(jobs) if entry.template_id == "scim"]
    return found[0] if len(found) == 1 else None


@fact
def saved_credentials(view: View) -> SavedCredentials:
    """What Entra has saved for the job; empty before there is one."""
    principal = view.read(enterprise_application)
    if principal is None or view.read(job) is None:
        return SavedCredentials({})
    saved, found = view.graph.saved_credentials(principal.id), view.read(job)
    if saved.holds_token and view.memory.saved_works is None and not view.memory.has_new_token and found is not None:
        view.memory.saved_works = _works(view, principal.id, found.id)
    return replace(saved, works=view.memory.saved_works if saved.holds_token else None)


def _works(view: View, service_principal_id: str, job_id: str) -> bool | None:
    """Whether Entra reaches the SCIM endpoint with what it has saved, asked twice; None where it cannot be asked.

    Entra never says which token it holds, so only this test shows that its token has expired or was deleted. Unverified: that a
    failed test is a 400, and that every cloud has the test (copies of the page disagree about China).
    """
    request = validate_credentials(service_principal_id, job_id)
    service = view.graph.service
    for send in (service.test, service.ask):
        try:
            send(request)
        except ApiError as refused:
            if refused.status != 400:
                return None
        else:
            return True
    return False


@fact
def schema(view: View) -> SynchronizationSchema | None:
    """The schema of the job."""
    principal, found = view.read(enterprise_application), view.read(job)
    return view.graph.synchronization_schema(principal.id, found.id) if principal and found else None


@derived
def schema_in_use(view: View) -> SynchronizationSchema | None:
    """The schema by which the job runs; None while it does not run."""
    found = view.read(job)
    return view.read(schema) if found is not None and found.is_running else None


@derived
def matching_attributes(view: View) -> tuple[str, ...]:
    """The SCIM attributes by which Entra will look people up: those of the job, or the procedure's before there is one."""
    found = view.read(schema) if view.settings.handed_over != "entra" else None
    targets = [row.target for row in found.rows() if row.precedence and row.target] if found else [USER_NAME]
    return tuple(dict.fromkeys([*targets, WORK_EMAIL]))


@fact
def forecast(view: View) -> Forecast:
    """What the next provisioning cycle does to each person."""
    found = view.read(job)
    auth0_is_ours = view.settings.handed_over != "auth0"
    principal, sign_in = view.read(enterprise_application), view.read(oidc_service_principal)
    held = view.read(entra_grant).permissions
    present = view.read(assignments)
    coming = {entry.principal_id: entry for entry in view.read(access)}
    for entry in present:
        coming.pop(entry.principal_id, None)
    ground = Ground(
        connection=view.read(connection) if auth0_is_ours else None,
        scim_rows=wanted_scim_rows(view),
        schema=view.read(schema),
        job=found,
        saved=view.read(saved_credentials),
        assigned=Assigned(
            (*coming.values(), *present),
            {role.id: role.display_name for role in (principal.app_roles if principal else ()) if role.has_one_name},
            None if held is None else HIDDEN_MEMBERS_PERMISSION in held,
            frozenset(entry.principal_id for entry in present) if found and found.is_running else None,
        ),
        needs_assignment=sign_in is None or sign_in.requires_assignment,
        application=principal.id if principal else "",
        may_export=view.settings.read_users_by_export == "yes",
        compares=view.settings.compare_expressions == "yes",
        readings=view.settled,
    )
    view.foretold = finished(foretold(view.auth0, view.graph, ground))
    return view.foretold


def wanted_scim_rows(view: View) -> tuple[ScimMappingRow, ...]:
    """Return Auth0's SCIM mapping as it will be: the settings' rows, else those that are there, else Auth0's default."""
    if view.settings.mapping:
        return tuple(ScimMappingRow(row.scim, row.auth0) for row in view.settings.mapping)
    if view.settings.handed_over == "auth0":
        return ASSUMED_SCIM_ROWS
    there = view.read(scim_configuration)
    return there.mapping if there else view.read(default_mapping)


@derived
def forecast_to_tell(view: View) -> Forecast | None:
    """What the next cycle does to each person; None if the job does not run and the settings leave it off."""
    found = view.read(job)
    is_running = found is not None and found.is_running
    return view.read(forecast) if is_running or view.settings.turn_on == "yes" else None


@derived
def forecast_when_asked(view: View) -> Callable[[], Forecast]:
    """The function that reads the forecast, for a step that needs it only if the job runs and the step writes."""
    return lambda: view.read(forecast)


@fact
def test_user(view: View) -> EntraUser | None:
    """The user that is provisioned on demand."""
    return view.graph.user(view.settings.test_user)


@fact
def test_user_groups(view: View) -> frozenset[str]:
    """The groups of the test user; read only when the user is not assigned directly."""
    user = view.read(test_user)
    if user is None or user.id in {entry.principal_id for entry in view.read(access)}:
        return frozenset()
    return view.graph.group_ids_of_user(user.id)


@fact
def test_user_profiles(view: View) -> tuple[Auth0User, ...]:
    """The Auth0 users of this connection that are the test user's: by mail address, or as the forecast finds them.

    A search by mail address is consistent at once; one by user name is not possible with certainty, so that people without a
    mail address are looked for among all users of the connection.
    """
    user, name = view.read(test_user), view.read(connection).name
    if user is None:
        return ()
    found = view.auth0.users_by_email(user.mail) if user.mail else ()
    if of_connection := tuple(profile for profile in found if name in profile.connections):
        return of_connection
    foretold_for = view.read(forecast).of(user.id)
    ids = foretold_for.auth0_users if foretold_for else ()
    return tuple(profile for user_id in ids if (profile := view.auth0.user(user_id)) is not None)
