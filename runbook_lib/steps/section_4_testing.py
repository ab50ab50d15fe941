"""Section 4: test with one user, then turn provisioning on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from runbook_lib import facts
from runbook_lib.census import Census
from runbook_lib.change import Change, Diff, Finding, Table
from runbook_lib.clients import microsoft_graph as graph
from runbook_lib.errors import StepBlocked, StepWaits, VerificationFailed
from runbook_lib.http import Response
from runbook_lib.models import (
    AppRoleAssignment,
    Auth0User,
    Connection,
    EntraUser,
    SavedCredentials,
    ScimConfiguration,
    ScimToken,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.settings import TenantSettings
from runbook_lib.steps.credentials import credential_differences, is_exact
from runbook_lib.steps.kinds import Yield, check, ensure, probe
from runbook_lib.steps.verdict import parse_verdict
from runbook_lib.vocabulary import EXTERNAL_ID, OBJECT_ID, SCIM_USER_ID_ATTRIBUTE, WAAD, WORK_EMAIL, WORK_EMAIL_PRECEDENCE


@check("4.1", reads=(facts.job,))
def ready_for_testing(job: SynchronizationJob | None, settings: TenantSettings) -> Iterator[Yield]:
    """Open provision on demand.

    Documented: Manage > Provisioning > Provision on Demand.
    Blocked when: the job is in quarantine. Starting it would clear that, and could let a mass deletion through.
    """
    if job is None:
        raise StepWaits("3.4", "The provisioning job")
    if job.is_quarantined:
        raise StepBlocked(
            f"The provisioning job is in quarantine ({job.quarantine_reason})",
            "Look at Provisioning > Overview in Entra, mend the cause and let an administrator clear it; this tool never does",
        )
    yield Finding("The job is ready.")


@probe(
    "4.2",
    reads=(
        facts.test_user_profiles,
        facts.test_user,
        facts.test_user_groups,
        facts.access,
        facts.scim_configuration,
        facts.enterprise_application,
        facts.job,
        facts.schema,
    ),
    touches=(facts.test_user_profiles,),
)
def provision_on_demand(
    profiles: tuple[Auth0User, ...],
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    scim: ScimConfiguration | None,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    schema: SynchronizationSchema | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Provision one user on demand.

    Documented: select an assigned user and choose Provision; a user who is not in Auth0 gives an error.
    Blocked when: the test user is unknown, disabled (they would be blocked in Auth0), not assigned, or absent from Auth0.
    """
    user, profile = _fit_for_testing(user, groups, access, profiles, settings)
    where = scim.auth0_attribute(EXTERNAL_ID) if scim else None
    if where and profile.attribute(where) == user.id:
        yield Finding(f"{user.display_name} is linked: Auth0 holds the Entra object id as external id.")
        return
    diff = Diff(f"user {user.display_name}", "external id in Auth0", "", "the Entra object id")
    if principal is None or job is None or schema is None:
        raise StepWaits("3.12", "The provisioning job with its mappings", (diff,))
    request = graph.provision_on_demand(principal.id, job.id, schema.rule_id, user.id)

    def is_another(after: tuple[Auth0User, ...]) -> tuple[str, ...]:
        return () if {entry.user_id for entry in after} == {profile.user_id} else ("the user's id in Auth0",)

    yield Change(diff.on, (diff,), request, receive=judge, evidence=told, confirm=is_another, undo={"kind": "on-demand"})


def _fit_for_testing(
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    profiles: tuple[Auth0User, ...],
    settings: TenantSettings,
) -> tuple[EntraUser, Auth0User]:
    user = fit_in_entra(user, groups, access, settings)
    if not profiles:
        raise StepBlocked(
            f"{user.display_name} ({user.mail or 'no mail address'}) has no user in Auth0 on this connection",
            "Let them sign in once, or set test_user to somebody who has",
        )
    if len(profiles) > 1:
        raise StepBlocked(
            f"{len(profiles)} Auth0 users of this connection share {user.mail}", "Set test_user to a user with one profile"
        )
    if profiles[0].is_blocked:
        raise StepBlocked(f"{user.display_name} is blocked in Auth0", "Set test_user to a user who may sign in")
    return user, profiles[0]


def fit_in_entra(
    user: EntraUser | None, groups: frozenset[str], access: tuple[AppRoleAssignment, ...], settings: TenantSettings
) -> EntraUser:
    """Return the test user. Raises `StepBlocked` when they are unknown, disabled or not assigned."""
    if user is None:
        raise StepBlocked(
            f"Entra knows no user {settings.test_user}", "Set test_user to the user principal name of an assigned user"
        )
    if not user.is_enabled:
        raise StepBlocked(
            f"{user.display_name} is disabled in Entra and would be blocked in Auth0", "Set test_user to an enabled user"
        )
    if not ({user.id} | groups) & {entry.principal_id for entry in access}:
        raise StepBlocked(f"{user.display_name} is not assigned to the sign-in application", "Set test_user to an assigned user")
    return user


def told(answer: Response) -> tuple[Table, ...]:
    """Return what Entra says it did, step by step, for success and failure alike."""
    steps = parse_verdict(answer.body).steps
    return (Table("What Entra did, step by step", ("step", "status", "details"), steps),) if steps else ()


def judge(answer: Response) -> dict[str, str]:
    """Return nothing for a good verdict of provision on demand. Raises `VerificationFailed` for another."""
    verdict = parse_verdict(answer.body)
    if not verdict.is_good:
        hint = "the user is not in Auth0 and creating is off" if "nomatch" in verdict.code.lower() else verdict.message
        raise VerificationFailed("the test user after provision on demand", (f"{verdict.result} {verdict.code}: {hint}",))
    return {}


@ensure(
    "4.3",
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
        facts.census,
    ),
    touches=(facts.jobs,),
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
    census: Census | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Turn provisioning on.

    Documented: set the Provisioning Status to On. Everything earlier is read again first, and everybody assigned is counted;
    one false condition and the job is not started. A job in quarantine is never started, and restart is never called.
    Blocked when: the job is in quarantine; more people than the settings allow would be blocked at once; people share a mail
    address that one of them signs in with.
    """
    if (yield from is_left_alone(job, census, settings)):
        return
    diff = Diff("provisioning job", "Provisioning Status", "Off", "On")
    if job is None or not principals or schema is None or scim is None:
        raise StepWaits("3.4", "The provisioning job", (diff,))
    conditions: Conditions = {
        "the connection is Microsoft Azure AD and its options are readable (0.1)": lambda: (
            connection.strategy == WAAD and bool(connection.options)
        ),
        "the user id attribute type is sub and the common endpoint off (1.2)": lambda: (
            connection.user_id_attribute_type == "sub" and not connection.uses_common_endpoint
        ),
        "profiles are synced at each login (1.3)": lambda: connection.syncs_at_each_login,
        "the SCIM user id is externalId (1.4)": lambda: scim.user_id_attribute == SCIM_USER_ID_ATTRIBUTE,
        "leavers are blocked: active maps to blocked (1.5)": lambda: scim.auth0_attribute("active") == "blocked",
        "a token has exactly the three scopes and was used (2.3)": lambda: any(
            is_exact(t) and t.last_used_at for t in tokens or ()
        ),
        **entra_conditions(principals, saved, schema, access, assigned, endpoint_url, other_claim, settings),
        "the test user is linked and not blocked (4.2)": lambda: _is_linked(user, profiles, scim),
    }
    yield from on_groups(schema, assigned)
    yield started(diff, job, principals[0], conditions)


def on_groups(schema: SynchronizationSchema, assigned: tuple[AppRoleAssignment, ...]) -> Iterator[Finding]:
    """Say what the procedure is silent on: assigned groups are sent too, and its token is for users only.

    Auth0's page on SCIM groups (configure-scim-groups) is newer than the procedure. It is said, not blocked: users are
    provisioned either way, and who wants groups needs that mapping. Unverified: what Auth0 answers to a group with
    this token.
    """
    if schema.sends_groups and any(entry.principal_type == "Group" for entry in assigned):
        yield Finding(
            "The mapping of groups is on, as Entra makes it: assigned groups are sent as groups too, and the three scopes of the "
            "token are for users only. Unless you want groups in Auth0, turn that mapping off in the console."
        )


def is_left_alone(
    job: SynchronizationJob | None, census: Census | None, settings: TenantSettings
) -> Generator[Yield, None, bool]:
    """Say what is found before any condition is looked at, and return whether the job stays as it is.

    Raises `StepBlocked` for a job in quarantine and for a first cycle that would do harm.
    """
    if settings.turn_on != "yes":
        yield Finding("turn_on is no: the job is left as it is.")
        return True
    if job is not None and job.is_quarantined:
        raise StepBlocked(f"The provisioning job is in quarantine ({job.quarantine_reason})", "See step 4.1")
    if job is not None and job.is_running:
        yield Finding("Provisioning is on.")
        return True
    if census is not None:
        yield Finding(f"{census}.")
        _refuse_harm(census, settings)
    return False


Conditions = dict[str, Callable[[], bool]]


def entra_conditions(
    principals: tuple[ServicePrincipal, ...],
    saved: SavedCredentials,
    schema: SynchronizationSchema,
    access: tuple[AppRoleAssignment, ...],
    assigned: tuple[AppRoleAssignment, ...],
    endpoint_url: str,
    other_claim: str,
    settings: TenantSettings,
) -> Conditions:
    """Return what must hold in Entra before the start: by words, what tells whether it does."""
    return {
        "there is one enterprise application of the name, and no other run is at work on it (3.2)": lambda: (
            len(principals) == 1 and not other_claim
        ),
        "somebody is assigned, and everyone who has access (3.3)": lambda: (
            bool(assigned) and {entry.principal_id for entry in access} <= {entry.principal_id for entry in assigned}
        ),
        "tenant URL, token and deletion guard are saved (3.6)": lambda: (
            saved.holds_token and not credential_differences(saved, endpoint_url, settings)
        ),
        "Create is off (3.7)": lambda: schema.flow_types == ("Update", "Delete"),
        "externalId comes from objectId (3.9)": lambda: (row := schema.row(EXTERNAL_ID)) is not None and row.source == OBJECT_ID,
        "the work email matches with precedence 2, behind precedence 1 (3.11)": lambda: (
            (row := schema.row(WORK_EMAIL)) is not None
            and row.precedence == WORK_EMAIL_PRECEDENCE
            and any(other.precedence == 1 for other in schema.rows())
        ),
    }


def started(diff: Diff, job: SynchronizationJob, principal: ServicePrincipal, conditions: Conditions) -> Change:
    """Return the start of the job. Raises `StepWaits` that names the conditions that do not hold."""
    open_conditions = [name for name, holds in conditions.items() if not holds()]
    if open_conditions:
        raise StepWaits("4.2", f"What must hold before starting ({'; '.join(open_conditions)})", (diff,))
    return Change(
        diff.on,
        (diff,),
        graph.start_job(principal.id, job.id),
        rehearsal=graph.validate_credentials(principal.id, job.id),  # with what is saved: a token may have been deleted since
        undo={"kind": "start", "service_principal": principal.id, "job": job.id},
    )


def _refuse_harm(census: Census, settings: TenantSettings) -> None:
    """Raise `StepBlocked` when the first cycle would lock people out, or could change the wrong ones."""
    if len(census.would_be_blocked) > settings.blocked_users_limit:
        raise StepBlocked(
            f"{census}; the limit is {settings.blocked_users_limit} blocked",
            "Take the assignment from those who have left, or set blocked_users_limit (YAML) when they are to be blocked",
        )
    if census.sharing_mail and "shared-mail-addresses" not in settings.accept:
        raise StepBlocked(
            f"{census}; matching by mail may change the wrong user",
            "Give each person a mail address of their own, or add accept: [shared-mail-addresses] (YAML)",
        )


def _is_linked(user: EntraUser | None, profiles: tuple[Auth0User, ...], scim: ScimConfiguration) -> bool:
    where = scim.auth0_attribute(EXTERNAL_ID)
    if user is None or len(profiles) != 1 or profiles[0].is_blocked:
        return False
    return where is None or profiles[0].attribute(where) == user.id
