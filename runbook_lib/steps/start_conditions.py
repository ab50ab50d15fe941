"""Every condition of the procedure, as it must hold while the job runs."""

from __future__ import annotations

from collections.abc import Callable

from runbook_lib.services.auth0.models import Auth0User, Connection, ScimConfiguration, ScimToken
from runbook_lib.services.entra.models import (
    AppRoleAssignment,
    EntraUser,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.wire_words import (
    EXTERNAL_ID,
    OBJECT_ID,
    SCIM_TEMPLATE_ID,
    SCIM_USER_ID_ATTRIBUTE,
    WAAD,
    WORK_EMAIL,
    WORK_EMAIL_PRECEDENCE,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import attribute_mapping_checks as checks
from runbook_lib.steps import groups_mapping
from runbook_lib.steps.credentials import (
    credential_differences,
    is_exact,
)
from runbook_lib.tenant.scim_mapping import (
    wrong_as_a_whole,
)
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_scopes import in_words, wanted_scopes

_MAPPINGS = Thing.MAPPINGS.step
_APPLICATION = Thing.APPLICATION.step
Conditions = dict[str, Callable[[], bool]]


def auth0_conditions(
    connection: Connection,
    scim: ScimConfiguration | None,
    tokens: tuple[ScimToken, ...] | None,
    matching: tuple[str, ...],
    settings: TenantSettings,
) -> Conditions:
    """Return the conditions in Auth0 while the job runs: by the words of each, the function that checks it."""
    return {
        f"the connection is Microsoft Azure AD and its options are readable ({Thing.CONNECTION_TYPE.step})": lambda: (
            connection.strategy == WAAD and bool(connection.options)
        ),
        f"the user id attribute type is sub and the common endpoint off ({Thing.USER_ID_TYPE.step})": lambda: (
            connection.user_id_attribute_type == "sub" and not connection.uses_common_endpoint
        ),
        f"profiles are synced at each login ({Thing.SCIM_CONFIGURATION.step})": lambda: connection.syncs_at_each_login,
        f"SCIM is on and its user id is externalId ({Thing.USER_ID_ATTRIBUTE.step})": lambda: (
            scim is not None and scim.user_id_attribute == SCIM_USER_ID_ATTRIBUTE
        ),
        f"people can be found and linked, and leavers are blocked, by Auth0's mapping ({Thing.SCIM_MAPPING.step})": lambda: (
            scim is not None and not wrong_as_a_whole(scim.mapping, matching)
        ),
        f"a token with exactly {in_words(settings)} has been used ({Thing.TOKEN_SCOPES.step})": lambda: any(
            is_exact(t, wanted_scopes(settings)) and t.last_used_at for t in tokens or ()
        ),
    }


def entra_conditions(
    principals: tuple[ServicePrincipal, ...],
    jobs: tuple[SynchronizationJob, ...],
    saved: SavedCredentials,
    schema: SynchronizationSchema,
    access: tuple[AppRoleAssignment, ...],
    assigned: tuple[AppRoleAssignment, ...],
    endpoint_url: str,
    other_claim: str,
    settings: TenantSettings,
) -> Conditions:
    """Return the conditions in Entra while the job runs: by the words of each, the function that checks it."""
    return {
        f"there is one enterprise application with this name, and no other run is working on it ({_APPLICATION})": lambda: (
            len(principals) == 1 and not other_claim
        ),
        f"at least one person is assigned, and so is everyone who has access ({Thing.ASSIGNMENTS.step})": lambda: (
            bool(assigned) and {entry.principal_id for entry in access} <= {entry.principal_id for entry in assigned}
        ),
        f"no other job of the application is running ({Thing.JOB.step})": lambda: (
            not any(job.is_running for job in jobs if job.template_id != SCIM_TEMPLATE_ID)
        ),
        f"tenant URL, token and deletion guard are saved ({Thing.CREDENTIALS.step})": lambda: (
            saved.holds_token and not credential_differences(saved, endpoint_url, settings)
        ),
    } | _mapping_conditions(schema, settings)


def _mapping_conditions(schema: SynchronizationSchema, settings: TenantSettings) -> Conditions:
    """Return the conditions on the attribute mappings while the job runs."""
    return {
        f"the mapping of users is on and Create is off ({Thing.ACTIONS.step})": lambda: (
            schema.flow_types == ("Update", "Delete") and not any(checks.flaws_of_the_mapping(schema))
        ),
        f"externalId comes from objectId and always flows ({Thing.EXTERNAL_ID.step})": lambda: (
            (row := schema.row(EXTERNAL_ID)) is not None
            and row.source == OBJECT_ID
            and not any(checks.flaws_of_external_id(schema))
        ),
        f"the work email matches with precedence 2, behind precedence 1 ({Thing.WORK_EMAIL.step})": lambda: (
            (row := schema.row(WORK_EMAIL)) is not None
            and row.precedence == WORK_EMAIL_PRECEDENCE
            and any(other.precedence == 1 for other in schema.rows())
            and not any(checks.flaws_of_matching(schema))
        ),
        f"groups are sent exactly if groups_mapping is on ({_MAPPINGS})": lambda: groups_mapping.is_as_wanted(schema, settings),
        f"the row of active tells Auth0 of a departure ({_MAPPINGS})": lambda: not any(checks.flaws_of_departures(schema)),
    }


def that_fail(conditions: Conditions) -> list[str]:
    """Return the words of the conditions that do not hold."""
    return [name for name, holds in conditions.items() if not holds()]


def is_linked(user: EntraUser | None, profiles: tuple[Auth0User, ...], scim: ScimConfiguration) -> bool:
    """Whether the test user has one Auth0 user, which may sign in and carries the Entra object id."""
    where = scim.auth0_attribute(EXTERNAL_ID)
    if user is None or len(profiles) != 1 or profiles[0].is_blocked:
        return False
    return where is None or profiles[0].attribute(where) == user.id
