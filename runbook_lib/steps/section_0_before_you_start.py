"""Before you start: the two conditions, and everything that could stop a later step."""

from __future__ import annotations

from collections.abc import Iterator

from runbook_lib import facts
from runbook_lib.change import Finding, Table
from runbook_lib.clients.sign_in import Grant
from runbook_lib.errors import StepBlocked
from runbook_lib.models import Connection, Organization
from runbook_lib.settings import TenantSettings
from runbook_lib.steps.kinds import Yield, check
from runbook_lib.vocabulary import AUTH0_SCOPES, GRAPH_PERMISSIONS, WAAD


@check("0.1", reads=(facts.connection,))
def connection_type(connection: Connection, settings: TenantSettings) -> Iterator[Yield]:
    """Check that the connection is of the Microsoft Azure AD type.

    Documented: the tenant is connected with the Microsoft Azure AD connection type.
    Why: only `waad` connections have the settings of step 1.2; without `options` a PATCH would wipe the connection.
    """
    if connection.strategy != WAAD:
        raise StepBlocked(
            f"{connection.name} is a connection of type {connection.strategy}, not Microsoft Azure AD ({WAAD})",
            "Name a Microsoft Azure AD connection; for other types follow Auth0's page for that type",
        )
    if not connection.options:
        raise StepBlocked(
            f"Auth0 answered {connection.name} without its options, so its settings cannot be read or safely written",
            "Grant the Auth0 application read:connections_options and update:connections_options, then run again",
        )
    yield Finding(f"{connection.name} is a Microsoft Azure AD connection and its options are readable.")


@check("0.2", reads=(facts.auth0_grant, facts.entra_grant, facts.organization, facts.connection, facts.user_count))
def sign_ins(
    auth0: Grant, entra: Grant, organization: Organization, connection: Connection, users: int, settings: TenantSettings
) -> Iterator[Yield]:
    """Check both sign-ins, their permissions, and that both sides mean the same Entra tenant.

    Why: a missing permission found in step 3.3 would leave the tenant half done; a token for another customer's tenant
    would set up the wrong one.
    """
    refuse_missing_scopes(auth0)
    refuse_missing_permissions(entra)
    known = {organization.id.lower(), *organization.domains}
    if connection.entra_tenant_names and not known & set(connection.entra_tenant_names):
        raise StepBlocked(
            f"The connection belongs to Entra tenant {connection.entra_tenant_names[0]}, "
            f"the Graph token to {organization.display_name}",
            "Set entra_tenant to the tenant that the connection signs in with",
        )
    yield Finding(f"Both sign-ins work and mean the Entra tenant {organization.display_name}. {verdict(connection, users)}")
    yield connection_table(connection, users)


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
                f"Grant the app registration {' or '.join(names[:2])} and have an administrator consent, then run again",
            )


def connection_table(connection: Connection, users: int) -> Table:
    """Return what the verdict is made of."""
    return Table(
        "Connection",
        ("what", "value"),
        (("User ID attribute type", connection.user_id_attribute_type or "(absent)"), ("Users", str(users))),
    )


def verdict(connection: Connection, users: int) -> str:
    """Return in a sentence whether this procedure is meant for the connection."""
    if connection.user_id_attribute_type == "oid":
        return "User ids come from the object id: this is a newer connection, for which Auth0's page New Connections is meant."
    if users == 0:
        return "The connection has no users yet: consider oid and Auth0's page New Connections instead."
    return "User ids are pairwise (sub): this is an older connection, which this procedure is for."
