"""What replaces a body when its side is handed over: instructions for that administrator, and what this side can verify.

The words are those of the Auth0 Dashboard, as the procedure has them, and of the Microsoft Entra admin center, whose menus move
now and then; where they have moved since the document was written, both names stand. They come from

- the procedure: auth0.com/docs/authenticate/protocols/scim/inbound-scim-for-older-azure-ad-connections
- Microsoft's pages learn.microsoft.com/entra/identity/app-provisioning/NAME, where NAME is use-scim-to-provision-users-and-groups
  (use-scim-... in the rooms), customize-application-attributes, accidental-deletions, provision-on-demand, how-provisioning-works

and each function names its own. Unverified: all of it, in a real console of today.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Body, Function, Kind, Yield
from runbook_lib.engine.values import Finding, Handover, Skipped, State
from runbook_lib.services.auth0.models import Connection
from runbook_lib.services.wire_words import OTHER_SIDE_CONFIRMED
from runbook_lib.settings.clouds import Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant import facts, seen_from_auth0
from runbook_lib.tenant.console_links import applications_link, auth0_link
from runbook_lib.tenant.seen_from_auth0 import Evidence, Seen
from runbook_lib.tenant.things import Thing

AUTH0, ENTRA = "auth0", "entra"
NOTHING_SENT = "auth0, and its owner has sent nothing"
ByHand = Callable[[Body], Mapping[str, Body]]
"""Returns the bodies that replace a body, by the side that is handed over; `NOTHING_SENT` goes ahead of `AUTH0`."""

CONNECTION = "Authentication > Enterprise > Microsoft Azure AD > the connection"
APP = "Enterprise applications > the new application"
ENTRA_USERS = "Provision Microsoft Entra ID Users (once Provision Azure Active Directory Users)"
ENTRA_GROUPS = "Provision Microsoft Entra ID Groups (once Provision Azure Active Directory Groups)"
MAPPING = f"{APP} > Provisioning > Attribute mapping (once Mappings) > {ENTRA_USERS}"
TAKE_WORD = f": tick the box at step {Thing.START.step} of the page, or set accept: [{OTHER_SIDE_CONFIRMED}] (YAML)"


@dataclass(frozen=True)
class Customer:
    """The values that the instructions for the Entra side contain."""

    connection: Connection
    endpoint_url: str
    cloud: Cloud
    settings: TenantSettings

    @property
    def applications(self) -> str:
        """Where the portal lists enterprise applications."""
        return applications_link(self.cloud).url


def nobody_elses(_body: Body) -> Mapping[str, Body]:
    """Replace nothing: the body stays as it is, whichever side is handed over."""
    return {}


def together(*parts: ByHand) -> ByHand:
    """Combine the replacements for both sides."""

    def made(body: Body) -> Mapping[str, Body]:
        return {side: other for part in parts for side, other in part(body).items()}

    return made


def done_without(
    side: str, function: Function, kind: Kind, reads: tuple[Fact[Any], ...], touches: tuple[Fact[Any], ...] = ()
) -> ByHand:
    """Replace a body by another function, which does not need the sign-in to the side that is handed over."""
    return lambda body: {side: replace(body, function=function, kind=kind, reads=reads, touches=touches, saved_by="")}


def without_tokens(touches: tuple[Fact[Any], ...] | None = None) -> ByHand:
    """Keep the body's function without a sign-in to Auth0; it then reads no SCIM tokens."""
    unseen: dict[str, Fact[Any]] = {
        facts.scim_tokens.name: facts.unseen_tokens,
        facts.scim_tokens_when_asked.name: facts.unseen_tokens_when_asked,
    }

    def made(body: Body) -> Mapping[str, Body]:
        reads = tuple(unseen.get(fact.name, fact) for fact in body.reads)
        return {AUTH0: replace(body, reads=reads, touches=body.touches if touches is None else touches)}

    return made


# The Auth0 side --------------------------------------------------------------------------------------------------------


def in_auth0(
    tells: Callable[[TenantSettings], Handover], tab: str, sent_back: Callable[[TenantSettings], str] | None = None
) -> ByHand:
    """Replace a body by instructions for the administrator of the Auth0 side. The link opens `tab` of the connection.

    `sent_back` returns the value that this side needs from them, empty until they have sent it. Where it is given, their
    confirmation alone is not enough.
    """

    def told(settings: TenantSettings) -> Iterator[Yield]:
        given = sent_back(settings) if sent_back else ""
        if given:
            yield Finding(f"The owner of the Auth0 side sent {given}.")
        elif OTHER_SIDE_CONFIRMED in settings.accept:
            yield Finding(
                f"According to the settings ({OTHER_SIDE_CONFIRMED}), the owner of the Auth0 side has confirmed this step. "
                "This run cannot verify it."
            )
        is_confirmed = given or (OTHER_SIDE_CONFIRMED in settings.accept and sent_back is None)
        yield replace(
            tells(settings),
            state="confirmed" if is_confirmed else "open",
            link=_connection_link(settings, tab),
            remedy=f"Send handover.html to the administrator of {settings.auth0_domain}; run again with the values that "
            "they send back",
        )

    return done_without(AUTH0, told, Kind.NOTE, ())


def _connection_link(settings: TenantSettings, tab: str) -> str:
    connection = settings.endpoint_connection or settings.auth0_connection
    has_link = connection.startswith("con_") and not settings.cloud.startswith("sandbox:")
    return auth0_link(settings.auth0_domain, connection, tab).url if has_link else ""


def _waits(_settings: TenantSettings) -> Iterator[Yield]:
    """Say what a step in Entra waits for until the owner of the Auth0 side has sent the endpoint and the token."""
    yield Finding(
        f"Waiting for the owner of the Auth0 side to send the endpoint and client id ({Thing.ENDPOINT.step}) and the token "
        f"({Thing.TOKEN.step})."
    )


# The Entra side --------------------------------------------------------------------------------------------------------


def nothing_shows(_evidence: Evidence) -> Seen:
    """Return that Auth0 shows nothing of a step in Entra."""
    return Seen(False, "")


def in_entra(
    tells: Callable[[Customer], Handover],
    shows: Callable[[Evidence], Seen],
    *,
    must_be_seen: bool = False,
    left_out: str = "",
    further: Callable[[Evidence, TenantSettings], str] = lambda _evidence, _settings: "",
) -> ByHand:
    """Replace a body by instructions for the administrator of the Entra side, and by what Auth0 shows of their work.

    Where the Auth0 side is handed over instead, the body waits until its owner has sent the endpoint and the token.

    `must_be_seen`: their confirmation alone is not enough. `left_out` is the sentence that says that the administrator has
    nothing to do, for settings that do not want provisioning turned on. `further` adds advice for the person at this page.
    """

    def judged(
        connection: Connection, endpoint_url: str, cloud: Cloud, evidence: Evidence, settings: TenantSettings
    ) -> Iterator[Yield]:
        if left_out and settings.turn_on != "yes":
            yield Skipped(left_out)
            return
        seen = shows(evidence)
        if seen.words:
            yield Finding(seen.words)
        is_confirmed = OTHER_SIDE_CONFIRMED in settings.accept and not must_be_seen
        if is_confirmed and not seen.is_proof:
            yield Finding(
                f"According to the settings ({OTHER_SIDE_CONFIRMED}), the administrator has confirmed this step. "
                "This run cannot verify it."
            )
        remedy = f"Send handover.html to the administrator of {settings.entra_tenant}; run again when they have carried it out"
        state: State = "seen" if seen.is_proof else "confirmed" if is_confirmed else "open"
        handover = tells(Customer(connection, endpoint_url, cloud, settings))
        yield replace(handover, state=state, remedy=f"{remedy}{further(evidence, settings)}")

    reads = (facts.connection, facts.endpoint_url, facts.cloud, seen_from_auth0.evidence)
    return together(done_without(ENTRA, judged, Kind.CHECK, reads), done_without(NOTHING_SENT, _waits, Kind.NOTE, ()))
