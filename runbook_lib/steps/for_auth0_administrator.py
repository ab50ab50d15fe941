"""The mirror of the hand-over: nobody signs in to Auth0 here. What its administrator has to set, make and send back.

Documented: sections 1 and 2 of the procedure (auth0.com/docs/authenticate/protocols/scim/, there
inbound-scim-for-older-azure-ad-connections), whose words of the Auth0 Dashboard stand here. The values of a connection's tabs are
theirs too; Unverified: in a real dashboard of today. Sections 3 and 4 are carried out; what of them
needs Auth0 says that it was not looked at, and provisioning starts only on the word of whom the Auth0 side belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from runbook_lib import facts
from runbook_lib.census import Census
from runbook_lib.change import Change, Diff, Finding, Handover
from runbook_lib.clients import microsoft_graph as graph
from runbook_lib.clients.sign_in import Grant
from runbook_lib.consoles import auth0_link
from runbook_lib.errors import StepWaits
from runbook_lib.facts import Memory
from runbook_lib.http import Response
from runbook_lib.models import (
    AppRoleAssignment,
    EntraUser,
    Organization,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.settings import TenantSettings
from runbook_lib.steps import section_0_before_you_start as section_0
from runbook_lib.steps import section_1_auth0_settings as section_1
from runbook_lib.steps import section_2_endpoint_and_token as section_2
from runbook_lib.steps import section_3_entra_provisioning as section_3
from runbook_lib.steps import section_4_testing as section_4
from runbook_lib.steps.kinds import Kind, Step, Yield
from runbook_lib.vocabulary import OTHER_SIDE_CONFIRMED, SCIM_TOKEN_SCOPES


def sign_in_to_entra(entra: Grant, organization: Organization, settings: TenantSettings) -> Iterator[Yield]:
    """Check the one sign-in, and say what cannot be checked."""
    section_0.refuse_missing_permissions(entra)
    yield Finding(
        f"Signed in to the Entra tenant {organization.display_name}. Nobody signs in to Auth0: sections 1 and 2 are for the "
        f"administrator of {settings.auth0_domain}, as handover.html says. That the connection belongs to this Entra tenant, and "
        "that it is an older one, cannot be checked from here."
    )


# What the administrator does ------------------------------------------------------------------------------------------

_CONNECTION = "Authentication > Enterprise > Microsoft Azure AD > the connection"


def _type(settings: TenantSettings) -> Handover:
    return Handover(
        "Authentication > Enterprise",
        ("The connection is listed under Microsoft Azure AD. Under another type: stop, this procedure is not for it.",),
        (("Connection", settings.auth0_connection),),
    )


def _find(settings: TenantSettings) -> Handover:
    return Handover(f"{_CONNECTION} > Settings", ("Open the connection.",), (("Connection", settings.auth0_connection),))


def _user_id(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{_CONNECTION} > Settings",
        (
            "Look at both settings, and set them so.",
            "Is the attribute type oid and users exist: stop, the connection is a newer one and needs Auth0's other page.",
            "Is the common endpoint on: others sign in through it. Turn it off only when nobody is locked out by that.",
        ),
        (("User ID Attribute Type", "Pairwise Subject Identifier (sub)"), ("Use Common Endpoint", "Disabled")),
    )


def _sync(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{_CONNECTION} > Provisioning",
        ("Turn both on.",),
        (("Sync user profile attributes at each login", "on"), ("Sync user profiles using SCIM", "on")),
    )


def _external_id(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{_CONNECTION} > Provisioning > Mapping",
        ("Set the attribute.",),
        (("SCIM attribute containing the User ID", "externalId"),),
    )


def _mapping(settings: TenantSettings) -> Handover:
    rows = tuple((row.scim, row.auth0) for row in settings.mapping) or (("active", "blocked"),)
    return Handover(
        f"{_CONNECTION} > Provisioning > Mapping > Additional Mappings",
        (
            "Replace the rows by these."
            if settings.mapping
            else "Look through the rows; the default ones will do. This row must be there, or leavers keep their access.",
        ),
        rows,
    )


def _endpoint(settings: TenantSettings) -> Handover:
    return Handover(
        f"{_CONNECTION} > Provisioning > SCIM Setup",
        ("Copy the SCIM Endpoint URL and send it back, and with it the Client ID from the tab Settings. Neither is a secret.",),
        (
            ("Send back", f"SCIM Endpoint URL, as https://{settings.auth0_domain}/scim/v2/connections/con_…"),
            ("Send back", "Client ID"),
        ),
    )


def _token(settings: TenantSettings) -> Handover:
    ends = "never" if settings.token_lifetime_s is None else f"in {settings.token_lifetime_days} days"
    return Handover(
        f"{_CONNECTION} > Provisioning > SCIM Setup > Generate New Token",
        (
            "Auth0 allows two tokens a connection. Delete one only when nobody uses it.",
            "The text is shown once. Send it back by a safe channel, never with this sheet.",
        ),
        (("Expires", ends),),
    )


def _scopes(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{_CONNECTION} > Provisioning > SCIM Setup > Generate New Token",
        ("Select exactly these scopes, no other: with post:users Entra could make second users.",),
        tuple(("Scope", scope) for scope in SCIM_TOKEN_SCOPES),
    )


_PARTS: tuple[tuple[Step, Callable[[TenantSettings], Handover], str], ...] = (
    (section_0.connection_type, _type, "settings"),
    (section_1.find_connection, _find, "settings"),
    (section_1.pairwise_subject, _user_id, "settings"),
    (section_1.sync_and_scim_on, _sync, "provisioning"),
    (section_1.user_id_from_external_id, _external_id, "provisioning"),
    (section_1.review_mapping, _mapping, "provisioning"),
    (section_2.copy_endpoint_url, _endpoint, "provisioning"),
    (section_2.generate_token, _token, "provisioning"),
    (section_2.token_scopes, _scopes, "provisioning"),
)


def _handed_over(step: Step, tells: Callable[[TenantSettings], Handover], tab: str) -> Step:
    def told(settings: TenantSettings) -> Iterator[Yield]:
        given = {"2.1": settings.scim_endpoint, "2.2": settings.scim_token and "the token"}.get(step.number)
        if given:
            yield Finding(f"Given by the owner of the Auth0 side: {given}.")
        elif OTHER_SIDE_CONFIRMED in settings.accept:
            yield Finding(
                f"Confirmed by the owner of the Auth0 side, as the settings say ({OTHER_SIDE_CONFIRMED}); not verified."
            )
        is_confirmed = given or (OTHER_SIDE_CONFIRMED in settings.accept and step.number not in ("2.1", "2.2"))
        connection = settings.endpoint_connection or settings.auth0_connection
        has_link = connection.startswith("con_") and not settings.cloud.startswith("sandbox:")
        yield replace(
            tells(settings),
            state="confirmed" if is_confirmed else "open",
            link=auth0_link(settings.auth0_domain, connection, tab).url if has_link else "",
            remedy=f"Send handover.html to the administrator of {settings.auth0_domain}; run again with what they send back",
        )

    return step.done_by(told, Kind.NOTE, ())


def waiting(step: Step) -> Step:
    """Return a step of section 3 or 4 as it is before the other side has sent what it is carried out with."""

    def told(_settings: TenantSettings) -> Iterator[Yield]:
        yield Finding("Waits for what the owner of the Auth0 side sends back: endpoint and client id (2.1), token (2.2).")

    return step.done_by(told, Kind.NOTE, ())


# What is carried out though Auth0 cannot be looked at ------------------------------------------------------------------


def provision_on_demand(
    user: EntraUser | None,
    groups: frozenset[str],
    access: tuple[AppRoleAssignment, ...],
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    schema: SynchronizationSchema | None,
    memory: Memory,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Provision one user, and take Entra's verdict for it; it is not repeated once this tool has it, or the job runs."""
    user = section_4.fit_in_entra(user, groups, access, settings)
    unseen = "Whether their id in Auth0 is the old one cannot be seen from here."
    if user.id in memory.tested_ids or (job is not None and job.is_running):
        yield Finding(f"{user.display_name} was provisioned on demand, or cycles run. {unseen}")
        return
    yield Finding(unseen)
    diff = Diff(f"user {user.display_name}", "provisioned on demand", "", "updated in Auth0")
    if principal is None or job is None or schema is None:
        raise StepWaits("3.12", "The provisioning job with its mappings", (diff,))
    request = graph.provision_on_demand(principal.id, job.id, schema.rule_id, user.id)

    def tested(answer: Response) -> dict[str, str]:
        section_4.judge(answer)
        memory.tested_ids |= {user.id}
        return {"tested": user.id}

    yield Change(diff.on, (diff,), request, receive=tested, evidence=section_4.told, undo={"kind": "on-demand"})


def turn_provisioning_on(
    job: SynchronizationJob | None,
    principals: tuple[ServicePrincipal, ...],
    saved: SavedCredentials,
    schema: SynchronizationSchema | None,
    access: tuple[AppRoleAssignment, ...],
    assigned: tuple[AppRoleAssignment, ...],
    endpoint_url: str,
    other_claim: str,
    census: Census | None,
    user: EntraUser | None,
    memory: Memory,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Start when everything in Entra holds and the owner of the Auth0 side has confirmed theirs.

    What the gate would read in Auth0 stands on that confirmation, named `other-side-confirmed`. Everybody assigned counts as
    having a user there.
    """
    if (yield from section_4.is_left_alone(job, census, settings)):
        return
    if OTHER_SIDE_CONFIRMED not in settings.accept:
        yield Finding("The Auth0 side was not looked at, so the job is not started on this side's word alone.")
        remedy = f"When the owner of the Auth0 side has confirmed sections 1 and 2: accept: [{OTHER_SIDE_CONFIRMED}] (YAML)"
        yield Handover("", remedy=remedy)
        return
    diff = Diff("provisioning job", "Provisioning Status", "Off", "On")
    if job is None or not principals or schema is None:
        raise StepWaits("3.4", "The provisioning job", (diff,))
    conditions = section_4.entra_conditions(principals, saved, schema, access, assigned, endpoint_url, other_claim, settings)
    conditions["the token given is the one saved (3.6)"] = lambda: not memory.has_new_token
    conditions["the test user was provisioned on demand (4.2)"] = lambda: user is not None and user.id in memory.tested_ids
    yield from section_4.on_groups(schema, assigned)
    yield section_4.started(diff, job, principals[0], conditions)


STEPS: tuple[Step, ...] = (
    section_0.sign_ins.done_by(sign_in_to_entra, Kind.CHECK, (facts.entra_grant, facts.organization)),
    *(_handed_over(step, tells, tab) for step, tells, tab in _PARTS),
    replace(
        section_3.save_credentials,
        reads=tuple(facts.unseen_tokens if fact is facts.scim_tokens else fact for fact in section_3.save_credentials.reads),
        touches=(facts.saved_credentials,),
    ),
    section_4.provision_on_demand.done_by(
        provision_on_demand,
        Kind.PROBE,
        (
            facts.test_user,
            facts.test_user_groups,
            facts.access,
            facts.enterprise_application,
            facts.job,
            facts.schema,
            facts.memory,
        ),
        (facts.jobs,),
    ),
    section_4.turn_provisioning_on.done_by(
        turn_provisioning_on,
        Kind.ENSURE,
        (
            facts.job,
            facts.enterprise_applications,
            facts.saved_credentials,
            facts.schema,
            facts.access,
            facts.assignments,
            facts.endpoint_url,
            facts.other_claim,
            facts.census,
            facts.test_user,
            facts.memory,
        ),
        (facts.jobs,),
    ),
)
"""What takes the place of the documented steps of the same numbers."""
