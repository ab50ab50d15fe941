"""Hand-over: nobody signs in to Entra here. What its administrator has to click and paste, and what Auth0 shows of it.

Documented: sections 3 and 4 of the procedure. The words are those of the Microsoft Entra admin center, whose menus move now and
then; where they have moved since the document was written, both names stand here. They come from

- the procedure: auth0.com/docs/authenticate/protocols/scim/inbound-scim-for-older-azure-ad-connections
- Microsoft's pages learn.microsoft.com/entra/identity/app-provisioning/NAME, where NAME is use-scim-to-provision-users-and-groups
  (use-scim-... below), customize-application-attributes, accidental-deletions, provision-on-demand, how-provisioning-works

and each function names its own. Unverified: all of it, in a real portal of today.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Handover, State
from runbook_lib.clients.auth0_management import delete_scim_token, post_scim_token
from runbook_lib.clients.sign_in import Grant
from runbook_lib.consoles import applications_link, registration_link
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.evidence import Evidence, Seen
from runbook_lib.facts import Memory
from runbook_lib.models import Connection, ScimToken
from runbook_lib.settings import Cloud, TenantSettings, is_guid
from runbook_lib.steps import section_0_before_you_start as section_0
from runbook_lib.steps import section_2_endpoint_and_token as section_2
from runbook_lib.steps import section_3_entra_provisioning as section_3
from runbook_lib.steps import section_4_testing as section_4
from runbook_lib.steps.credentials import is_exact, of_lost_answers, tenant_url
from runbook_lib.steps.kinds import Kind, Step, Yield
from runbook_lib.vocabulary import OTHER_SIDE_CONFIRMED, SCIM_LOG_SCOPES, SCIM_TOKEN_SCOPES


def sign_in_to_auth0(auth0: Grant, connection: Connection, users: int, settings: TenantSettings) -> Iterator[Yield]:
    """Check the one sign-in, and say what cannot be checked."""
    section_0.refuse_missing_scopes(auth0)
    _refuse_another_tenant(connection, settings)
    is_named = settings.entra_tenant in connection.entra_tenant_names
    same = "is the one the connection names" if is_named else "cannot be checked from here"
    yield Finding(
        f"Signed in to Auth0. Nobody signs in to Entra: sections 3 and 4 are for the administrator of {settings.entra_tenant}, "
        f"as handover.html says. That Entra tenant {same}. {section_0.verdict(connection, users)}"
    )
    if auth0.permissions is not None and not auth0.permissions & set(SCIM_LOG_SCOPES):
        yield Finding(f"Without {SCIM_LOG_SCOPES[0]} the SCIM log cannot be read, so that less can be verified.")
    yield section_0.connection_table(connection, users)


def _refuse_another_tenant(connection: Connection, settings: TenantSettings) -> None:
    """Raise `StepBlocked` when both name their Entra tenant by id, and not the same one. A domain may be one of several."""
    ids = [name for name in connection.entra_tenant_names if is_guid(name)]
    if ids and is_guid(settings.entra_tenant) and settings.entra_tenant not in ids:
        raise StepBlocked(
            f"The connection belongs to Entra tenant {ids[0]}, the settings name {settings.entra_tenant}",
            "Set entra_tenant to the tenant that the connection signs in with",
        )


# The token ------------------------------------------------------------------------------------------------------------


def token_to_hand_over(
    connection: Connection, tokens: tuple[ScimToken, ...] | None, memory: Memory, settings: TenantSettings
) -> Iterator[Yield]:
    """Make a token only when a person asks for it, since somebody has to see it.

    Why: its text can be read once. Made by a run that nobody watches it would be lost, or would have to be written down. One
    that this tool made and nobody has used is replaced then: it is lost, or was never sent.
    """
    yield from section_2.token_table(tokens or ())
    where = f"SCIM tokens of {connection.name}"
    ours = memory.own_token_ids | {token.token_id for token in of_lost_answers(tokens or (), memory)}
    ours -= {memory.scim_token_id} if memory.scim_token is not None else set()
    unused = [token for token in tokens or () if token.token_id in ours and token.last_used_at is None]
    used = [token for token in tokens or () if is_exact(token) and token.last_used_at]
    others = [token for token in tokens or () if token not in unused]
    if memory.scim_token is not None:
        yield Finding("A new token was made. It is shown once, on the page that asked for it.")
        yield Handover("", remedy=_SEND)
        return
    if memory.asks_for_token:
        if tokens is None:
            raise StepWaits("1.3", "The SCIM configuration that a token belongs to")
        for token in unused:
            gone = Diff(where, token.token_id, "made by this tool, never used", "deleted")
            yield Change(where, (gone,), delete_scim_token(connection.id, token.token_id))
        section_2.refuse_at_limit(others, memory)
        yield _new_token(where, connection, tuple(token.token_id for token in tokens), memory, settings)
        return
    if used:
        latest = max(used, key=lambda token: token.last_used_at or "")
        yield Finding(f"Verified from Auth0: token {latest.token_id} was last used {(latest.last_used_at or '')[:10]}.")
        return
    if unused:
        yield Finding(f"The token was made ({section_2.named(unused, memory)}); it waits to be used in Entra.")
        yield Handover("", remedy=_SEND)
        return
    section_2.refuse_at_limit(others, memory)
    yield Finding("No token with exactly the three scopes has been used yet.")
    yield Handover("", remedy=_MAKE)


_MAKE = (
    "Open the page (python -m runbook_lib lab), press Make and show the token once at step 2.2, and send it by a safe channel, "
    "apart from handover.html"
)
_TAKE_WORD = f": tick the box at step 4.3 of the page, or give accept: [{OTHER_SIDE_CONFIRMED}] (YAML)"
_SEND = "Send it by a safe channel, apart from handover.html. Is its text lost, make another at step 2.2 of the page"


def _new_token(where: str, connection: Connection, there: tuple[str, ...], memory: Memory, settings: TenantSettings) -> Change:
    lifetime = "never ends" if settings.token_lifetime_s is None else f"{settings.token_lifetime_days} days"
    diff = Diff(where, "new token", "", f"{', '.join(SCIM_TOKEN_SCOPES)}; {lifetime}; to be shown once")
    request = post_scim_token(connection.id, SCIM_TOKEN_SCOPES, settings.token_lifetime_s)
    undo = {"kind": "token", "connection": connection.id}
    return Change(where, (diff,), request, receive=section_2.kept_in(memory), before=there, undo=undo)


# What the administrator does --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Customer:
    """What the instructions are filled in with."""

    connection: Connection
    endpoint_url: str
    cloud: Cloud
    settings: TenantSettings

    @property
    def applications(self) -> str:
        """Where the portal lists enterprise applications."""
        return applications_link(self.cloud).url


_APP = "Enterprise applications > the new application"
_ENTRA_USERS = "Provision Microsoft Entra ID Users (once Provision Azure Active Directory Users)"
_MAPPING = f"{_APP} > Provisioning > Attribute mapping (once Mappings) > {_ENTRA_USERS}"


def _find_registration(customer: Customer) -> Handover:  # procedure, 3.1
    app_id = customer.connection.oidc_client_id
    return Handover(
        "App registrations > All applications",
        (
            "Search for the application by its client id.",
            "It is there: go on. It is not: stop, and tell whoever sent you this sheet.",
        ),
        (("Application (client) id", app_id),),
        registration_link(customer.cloud, app_id).url if is_guid(app_id) else "",
    )


def _new_application(customer: Customer) -> Handover:  # procedure, 3.2; use-scim-to-provision-users-and-groups
    return Handover(
        "Enterprise applications > New application > Create your own application",
        (
            "Enter the name.",
            "Choose Integrate any other application you don't find in the gallery (Non-gallery).",
            "Choose Create. An application that was made under App registrations cannot be provisioned.",
        ),
        (("Name", customer.settings.scim_app_name),),
        customer.applications,
    )


def _assign(customer: Customer) -> Handover:  # procedure, 3.3; nested groups: how-provisioning-works
    named = tuple(("User", who) for who in customer.settings.assign)
    return Handover(
        f"{_APP} > Users and groups > Add user/group",
        (
            "Assign these users:"
            if named
            else "Assign every user and group who has access to the sign-in application of 3.1: that one's Users and "
            "groups are the list.",
            "Assign the test user in any case. Assigning groups needs Entra ID P1; groups within groups are not followed.",
        ),
        (*named, ("Test user", customer.settings.test_user)),
    )


def _get_started(_customer: Customer) -> Handover:  # New configuration: use-scim-...; Get started: procedure, 3.4
    return Handover(
        f"{_APP} > Provisioning",
        ("Choose New configuration (once Get started, then the Provisioning Mode Automatic).",),
    )


def _enter_url(customer: Customer) -> Handover:  # use-scim-...; procedure, 3.5
    return Handover(
        f"{_APP} > Provisioning > New configuration (once Admin Credentials)",
        ("Where there is a choice, take bearer token.", "Paste the tenant URL whole, with what follows the question mark."),
        (("Tenant URL", tenant_url(customer.endpoint_url)),),
    )


def _enter_token(
    customer: Customer,
) -> Handover:  # use-scim-...; procedure, 3.6; accidental-deletions; define-conditional-rules-...
    return Handover(
        f"{_APP} > Provisioning > New configuration (once Admin Credentials), then Overview > Properties (once Settings)",
        (
            "Paste the token, which comes to you by another, safe channel, as Secret Token.",
            "Choose Test Connection. It has to succeed.",
            "Choose Create (once Save).",
            "Among the properties, turn the prevention of accidental deletions on, and enter the threshold and a mail address.",
            "Where a scope is shown, it is Sync only assigned users and groups. Apply or save.",
        ),
        (
            ("Secret Token", "the token, sent apart from this sheet"),
            ("Accidental deletion threshold", str(customer.settings.deletion_threshold)),
            ("Scope", "Sync only assigned users and groups"),
        ),
    )


def _create_off(_customer: Customer) -> Handover:  # procedure, 3.7; customize-application-attributes
    return Handover(
        _MAPPING,
        ("Under Target Object Actions untick Create. Leave Update and Delete ticked.",),
        (("Create", "off"), ("Update", "on"), ("Delete", "on")),
    )


def _external_id_row(_customer: Customer) -> Handover:  # procedure, 3.8
    return Handover(
        f"{_MAPPING} > Attribute Mappings",
        ("Find the line with these two attributes and choose Edit.",),
        (("Entra attribute", "mailNickname"), ("Target attribute", "externalId")),
    )


def _object_id(_customer: Customer) -> Handover:  # procedure, 3.9
    return Handover(
        "Edit Attribute, of the line externalId",
        ("Change the source attribute. Leave everything else. Choose OK.",),
        (("Source attribute", "objectId"),),
    )


def _work_email_row(_customer: Customer) -> Handover:  # procedure, 3.10
    return Handover(
        f"{_MAPPING} > Attribute Mappings",
        ("Find the line with these two attributes and choose Edit.",),
        (("Entra attribute", "mail"), ("Target attribute", 'emails[type eq "work"].value')),
    )


def _match(_customer: Customer) -> Handover:  # procedure, 3.11; customize-application-attributes
    return Handover(
        "Edit Attribute, of the line of the work email",
        ("Set both and choose OK. userName keeps matching precedence 1.",),
        (("Match objects using this attribute", "Yes"), ("Matching precedence", "2")),
    )


def _save_mappings(_customer: Customer) -> Handover:  # procedure, 3.12
    return Handover(
        _MAPPING,
        (
            "Choose Save and confirm.",
            "Look at the list once more: it must show the following.",
        ),
        (
            ("Target Object Actions", "Update, Delete"),
            ("externalId", "objectId"),
            ('emails[type eq "work"].value', "mail, matching precedence 2"),
        ),
    )


def _back(_customer: Customer) -> Handover:  # procedure, 3.13
    return Handover(_MAPPING, ("Close with X, in the upper right corner. You are back at Provisioning.",))


def _open_on_demand(_customer: Customer) -> Handover:  # procedure, 4.1; provision-on-demand
    return Handover(
        f"{_APP} > Manage > Provisioning",
        ("Do not start provisioning yet.", "Open Provision on demand."),
    )


def _test(customer: Customer) -> Handover:  # procedure, 4.2; provision-on-demand
    return Handover(
        f"{_APP} > Provisioning > Provision on demand",
        (
            "Select the user, choose Provision.",
            "Right is: the user was updated, or skipped because nothing had to change.",
            "Wrong is: the user was created, or not found in the target. Then stop, and tell whoever sent you this sheet.",
        ),
        (("User", customer.settings.test_user),),
    )


def _turn_on(customer: Customer) -> Handover:  # Start provisioning: use-scim-...; Provisioning Status: procedure, 4.3
    return Handover(
        f"{_APP} > Provisioning > Overview",
        (
            "Wait until whoever sent you this sheet has seen in Auth0 that the test user is right.",
            "Choose Start provisioning (or set Provisioning Status to On and save).",
            "People who are assigned here, but disabled in Entra, are blocked in Auth0 by the first cycle: take them out before.",
        ),
        (("Provisioning Status", "On"),),
        customer.applications,
    )


def _nothing(_evidence: Evidence) -> Seen:
    return Seen(False, "")


_PARTS: tuple[tuple[Step, Callable[[Customer], Handover], Callable[[Evidence], Seen]], ...] = (
    (section_3.oidc_application, _find_registration, Evidence.sign_in_application),
    (section_3.enterprise_application, _new_application, _nothing),
    (section_3.assign_users_and_groups, _assign, _nothing),
    (section_3.synchronization_job, _get_started, _nothing),
    (section_3.enter_tenant_url, _enter_url, Evidence.tenant_url),
    (section_3.save_credentials, _enter_token, Evidence.saved_credentials),
    (section_3.deselect_create, _create_off, Evidence.creating),
    (section_3.find_external_id, _external_id_row, Evidence.object_id),
    (section_3.external_id_from_object_id, _object_id, Evidence.object_id),
    (section_3.find_work_email, _work_email_row, Evidence.work_email),
    (section_3.match_by_work_email, _match, Evidence.work_email),
    (section_3.save_mappings, _save_mappings, Evidence.mappings),
    (section_3.back_to_provisioning, _back, _nothing),
    (section_4.ready_for_testing, _open_on_demand, Evidence.updated),
    (section_4.provision_on_demand, _test, Evidence.updated),
    (section_4.turn_provisioning_on, _turn_on, Evidence.cycles),
)


def _handed_over(step: Step, tells: Callable[[Customer], Handover], shows: Callable[[Evidence], Seen]) -> Step:
    def judged(
        connection: Connection, endpoint_url: str, cloud: Cloud, evidence: Evidence, settings: TenantSettings
    ) -> Iterator[Yield]:
        if step.number == "4.3" and settings.turn_on != "yes":
            yield Finding("turn_on is no: whoever does the Entra side is not asked to turn provisioning on.")
            return
        seen = shows(evidence)
        if seen.words:
            yield Finding(seen.words)
        is_confirmed = OTHER_SIDE_CONFIRMED in settings.accept and step.number != "4.2"  # that a user was updated has to be seen
        if is_confirmed and not seen.is_proof:
            yield Finding(f"Confirmed by the administrator ({OTHER_SIDE_CONFIRMED}); not verified.")
        remedy = f"Send handover.html to the administrator of {settings.entra_tenant}; run again when it is done"
        if step.number == "4.3":
            remedy += f". Has it fewer people, take the administrator's word{_TAKE_WORD}"
        state: State = "seen" if seen.is_proof else "confirmed" if is_confirmed else "open"
        yield replace(tells(Customer(connection, endpoint_url, cloud, settings)), state=state, remedy=remedy)

    return step.done_by(judged, Kind.CHECK, (facts.connection, facts.endpoint_url, facts.cloud, facts.evidence))


STEPS: tuple[Step, ...] = (
    section_0.sign_ins.done_by(sign_in_to_auth0, Kind.CHECK, (facts.auth0_grant, facts.connection, facts.user_count)),
    section_2.generate_token.done_by(
        token_to_hand_over, Kind.ENSURE, (facts.connection, facts.scim_tokens, facts.memory), (facts.scim_tokens,)
    ),
    *(_handed_over(step, tells, shows) for step, tells, shows in _PARTS),
)
"""What takes the place of the documented steps of the same numbers."""
