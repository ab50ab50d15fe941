"""The sign-ins to both sides, and that both mean the same customer."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib.core.errors import StepBlocked
from runbook_lib.core.step_numbers import sections_in
from runbook_lib.engine.step import Kind, Yield
from runbook_lib.engine.values import (
    Finding,
    Table,
)
from runbook_lib.services.auth0.models import Connection, SeenUsers
from runbook_lib.services.entra.models import Organization
from runbook_lib.services.sign_in import Grant
from runbook_lib.services.wire_words import (
    AUTH0_SCOPES,
    GRAPH_PERMISSIONS,
    SCIM_LOG_SCOPES,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.texts import is_guid
from runbook_lib.steps.body import check
from runbook_lib.steps.by_hand import AUTH0, ENTRA, done_without, together
from runbook_lib.tenant import facts
from runbook_lib.tenant.connection_age import connection_age
from runbook_lib.tenant.things import Thing


def refuse_missing_scopes(auth0: Grant) -> None:
    """Raise `StepBlocked` when the Auth0 token says that it lacks something a later step needs."""
    missing = [] if auth0.permissions is None else [scope for scope in AUTH0_SCOPES if scope not in auth0.permissions]
    if missing:
        raise StepBlocked(
            f"The Auth0 token lacks {', '.join(missing)}", "Grant these scopes to the Auth0 application, then run again"
        )


def refuse_missing_permissions(entra: Grant) -> None:
    """Raise `StepBlocked` when the Graph token says that it lacks something a later step needs."""
    for purpose, names in GRAPH_PERMISSIONS.items():
        if entra.permissions is not None and not entra.permissions & set(names):
            raise StepBlocked(
                f"The Graph token cannot {purpose}: it lacks {names[0]}",
                f"Grant the app registration {' or '.join(names[:2])} and have an administrator grant consent, then run again",
            )


def connection_table(connection: Connection, users: SeenUsers) -> Table:
    """Return the facts behind the verdict as a table."""
    return Table(
        "Connection",
        ("what", "value"),
        (("User ID attribute type", connection.user_id_attribute_type or "(absent)"), ("Users", str(users.total))),
    )


def verdict(connection: Connection, users: SeenUsers) -> str:
    """Return in two sentences which page the connection belongs to, and what follows from it."""
    age = connection_age(connection, users)
    return f"{age.why} {_MEANS[age.kind]}"


_MEANS = {
    "older": "This is an older connection, so this procedure applies.",
    "newer": "This is a newer connection, so follow Auth0's page New Connections.",
    "unsure": "A person must decide whether this procedure applies.",
}


def sign_in_to_entra(entra: Grant, organization: Organization, settings: TenantSettings) -> Iterator[Yield]:
    """Check the one sign-in, and say what cannot be checked."""
    refuse_missing_permissions(entra)
    yield Finding(
        f"Signed in to the Entra tenant {organization.display_name}. This run does not sign in to Auth0: the "
        f"administrator of {settings.auth0_domain} carries out {sections_in(AUTH0)}, following handover.html. This run "
        "cannot check whether the connection belongs to this Entra tenant, or whether it is an older connection."
    )


def sign_in_to_auth0(auth0: Grant, connection: Connection, users: SeenUsers, settings: TenantSettings) -> Iterator[Yield]:
    """Check the one sign-in, and say what cannot be checked."""
    refuse_missing_scopes(auth0)
    _refuse_another_tenant(connection, settings)
    is_named = settings.entra_tenant in connection.entra_tenant_names
    same = (
        "The connection names the same Entra tenant"
        if is_named
        else "This run cannot check that the connection belongs to that Entra tenant"
    )
    yield Finding(
        f"Signed in to Auth0. This run does not sign in to Entra: the administrator of {settings.entra_tenant} carries "
        f"out {sections_in(ENTRA)}, following handover.html. {same}. {verdict(connection, users)}"
    )
    if auth0.permissions is not None and not auth0.permissions & set(SCIM_LOG_SCOPES):
        yield Finding(f"The Auth0 token lacks {SCIM_LOG_SCOPES[0]}, so this run cannot read the SCIM log and can verify less.")
    yield connection_table(connection, users)


def _refuse_another_tenant(connection: Connection, settings: TenantSettings) -> None:
    """Raise `StepBlocked` when both sides name an Entra tenant by id and the ids differ. A tenant may have several domains."""
    ids = [name for name in connection.entra_tenant_names if is_guid(name)]
    if ids and is_guid(settings.entra_tenant) and settings.entra_tenant not in ids:
        raise StepBlocked(
            f"The connection belongs to Entra tenant {ids[0]}, but the settings name {settings.entra_tenant}",
            "Set entra_tenant to the Entra tenant that the connection uses",
        )


@check(
    Thing.SIGN_INS,
    by_hand=together(
        done_without(ENTRA, sign_in_to_auth0, Kind.CHECK, (facts.auth0_grant, facts.connection, facts.seen_users)),
        done_without(AUTH0, sign_in_to_entra, Kind.CHECK, (facts.entra_grant, facts.organization)),
    ),
    reads=(facts.auth0_grant, facts.entra_grant, facts.organization, facts.connection, facts.seen_users),
    stops_all=True,
)
def sign_ins(
    auth0: Grant, entra: Grant, organization: Organization, connection: Connection, users: SeenUsers, settings: TenantSettings
) -> Iterator[Yield]:
    """Check both sign-ins, their permissions, and that both sides mean the same Entra tenant.

    Why: if a missing permission showed only at the assignments, the tenant would be left half done; a token for another
    customer's tenant would set up the wrong tenant.
    """
    refuse_missing_scopes(auth0)
    refuse_missing_permissions(entra)
    known = {organization.id.lower(), *organization.domains}
    if connection.entra_tenant_names and not known & set(connection.entra_tenant_names):
        raise StepBlocked(
            f"The connection belongs to Entra tenant {connection.entra_tenant_names[0]}, but the Graph token belongs to "
            f"{organization.display_name}",
            "Set entra_tenant to the Entra tenant that the connection uses",
        )
    yield Finding(f"Both sign-ins work and belong to the Entra tenant {organization.display_name}. {verdict(connection, users)}")
    yield connection_table(connection, users)
