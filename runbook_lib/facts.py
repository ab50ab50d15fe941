"""Settings and clients -> the objects this tenant means. Each fact is one reading, kept for a moment and dropped by a write.

A fact returns None for what does not exist yet. What a step needs is passed to it as values, so that steps know no HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from runbook_lib.census import Census, Person, census_of, census_without_auth0
from runbook_lib.claim import is_held_by_other, read_marker
from runbook_lib.clients.auth0_management import Auth0Management, scim_endpoint_url
from runbook_lib.clients.microsoft_graph import MicrosoftGraph, Reading
from runbook_lib.clients.sign_in import Grant, SignIn
from runbook_lib.errors import ApiError, StepBlocked
from runbook_lib.evidence import Evidence
from runbook_lib.http import understood
from runbook_lib.journal import Doubt, Past
from runbook_lib.models import (
    Application,
    AppRoleAssignment,
    Auth0User,
    Connection,
    EntraUser,
    Organization,
    SavedCredentials,
    ScimConfiguration,
    ScimLogEntry,
    ScimMappingRow,
    ScimToken,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.secret import Secret
from runbook_lib.settings import Cloud, TenantSettings
from runbook_lib.vocabulary import EXTERNAL_ID, SCIM_LOG_SCOPES, SCIM_TOKEN_SCOPES

T = TypeVar("T")


@dataclass
class Memory:
    """What must survive from one step to the next and can be read nowhere: the text of a new SCIM token, until 3.6.

    The rest comes from journals: `own_token_ids` are the SCIM tokens this tool made, `given_token_ids` those of them that it
    sent to Entra, the latest last; `doubts` the writes whose outcome nobody knows, `made_at` when this tool made what has such
    an id, `earlier` when an earlier run made the object of a step. `claimed_id` is the application that this run has claimed.

    Where a side is handed over: `asks_for_token` while a person asks for a token to be made and shown; `is_brought` when
    `scim_token` was not made here but comes from the settings and stays; `saved_token_id` is the token that Entra took last,
    `tested_ids` are the Entra users provisioned on demand.
    """

    scim_token: Secret | None = None
    scim_token_id: str = ""
    asks_for_token: bool = False
    is_brought: bool = False
    saved_token_id: str = ""
    tested_ids: frozenset[str] = frozenset()
    own_token_ids: frozenset[str] = frozenset()
    given_token_ids: tuple[str, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    made_at: dict[str, datetime] = field(default_factory=dict)
    earlier: dict[str, datetime] = field(default_factory=dict)
    claimed_id: str = ""

    @classmethod
    def of(cls, past: Past) -> Memory:
        """Return what the journals of earlier runs tell."""
        return cls(
            own_token_ids=frozenset(past.made.get("token", ())),
            given_token_ids=past.given_tokens,
            saved_token_id=(past.made.get("saved_token") or ("",))[-1],
            tested_ids=frozenset(past.made.get("tested", ())),
            doubts=past.doubts,
            made_at=dict(past.made_at),
            earlier={
                step: past.made_at[past.made[kind][-1]]
                for step, kind in (("3.2", "service_principal"), ("3.4", "job"))
                if past.made.get(kind)
            },
        )

    @property
    def has_new_token(self) -> bool:
        """Whether there is a token that Entra is still to be given."""
        if self.scim_token is None:
            return False
        return not self.is_brought or self.scim_token_id != self.saved_token_id or bool(self.doubted("3.6"))

    def doubted(self, step: str) -> tuple[Doubt, ...]:
        """Return the open doubts about a step's writes."""
        return tuple(doubt for doubt in self.doubts if doubt.step == step)

    def made_lately(self, step: str, now: datetime) -> datetime | None:
        """Return when an earlier run last made, or may have made, what a step makes: within an hour, or in doubt; else None."""
        times = [doubt.time for doubt in self.doubted(step)]
        times += [time for time in (self.earlier.get(step),) if time and now - time < timedelta(hours=1)]
        return max(times, default=None)


@dataclass
class View:
    """One tenant as seen through both services. Readings are shared between steps and age.

    `typed` are the secrets that references `memory:NAME` of the settings mean: those that a person typed on a page.
    """

    settings: TenantSettings
    cloud: Cloud
    auth0: Auth0Management
    graph: MicrosoftGraph
    auth0_sign_in: SignIn
    entra_sign_in: SignIn
    memory: Memory = field(default_factory=Memory)
    clock: Callable[[], float] = time.monotonic
    run: str = "run@here"
    typed: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    _readings: dict[str, tuple[float, Any]] = field(default_factory=dict)
    _asked: dict[str, tuple[Reading, ...]] = field(default_factory=dict)

    def read(self, fact: Fact[T], max_age_s: float = 30.0) -> T:
        """Return a fact's value, read anew when it is older than `max_age_s`."""
        if fact.is_derived:
            return fact.look(self)
        kept = self._readings.get(fact.name)
        if kept is not None and self.clock() - kept[0] <= max_age_s:
            value: T = kept[1]
            return value
        start = len(self.graph.asked)
        with understood(f"the {fact.name.replace('_', ' ')}"):
            value = fact.look(self)
        self._readings[fact.name] = (self.clock(), value)
        self._asked[fact.name] = tuple(self.graph.asked[start:])
        return value

    def read_again(self, *facts: Fact[Any]) -> None:
        """Drop readings and ask Graph anew, in one request, for all that they were made of; the next `read`s make them again."""
        self.forget(*facts)
        with understood("what the start depends on"):
            self.graph.read_ahead(dict.fromkeys(reading for fact in facts for reading in self._asked.get(fact.name, ())))

    def forget(self, *facts: Fact[Any]) -> None:
        """Drop readings that a write made stale; none named drops all."""
        for name in [fact.name for fact in facts] or list(self._readings):
            self._readings.pop(name, None)

    def stale(self, max_age_s: float, *facts: Fact[Any]) -> bool:
        """Drop the readings older than `max_age_s`, of the named facts or of all; say whether there were any."""
        now, names = self.clock(), {fact.name for fact in facts}
        old = [n for n, kept in self._readings.items() if now - kept[0] > max_age_s and (not names or n in names)]
        for name in old:
            del self._readings[name]
        return bool(old)


@dataclass(frozen=True)
class Fact(Generic[T]):
    """A named reading; a derived one costs no request and is never kept."""

    name: str
    look: Callable[[View], T]
    is_derived: bool = False


def fact(look: Callable[[View], T]) -> Fact[T]:
    """Make a fact of a function that reads it."""
    return Fact(look.__name__, look)


def derived(look: Callable[[View], T]) -> Fact[T]:
    """Make a fact of a function that only combines other facts."""
    return Fact(look.__name__, look, is_derived=True)


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
    """The connection's id; where nobody signs in to Auth0, from the endpoint that its owner gave."""
    if view.settings.handed_over != "auth0":
        return view.read(connection).id
    return view.settings.endpoint_connection


@fact
def user_count(view: View) -> int:
    """How many users the connection has."""
    return view.auth0.user_count(view.read(connection).name)


@fact
def scim_configuration(view: View) -> ScimConfiguration | None:
    """The connection's SCIM configuration."""
    return view.auth0.scim_configuration(view.read(connection).id)


@fact
def default_mapping(view: View) -> tuple[ScimMappingRow, ...]:
    """The mapping that Auth0 proposes."""
    return view.auth0.default_mapping(view.read(connection).id)


@fact
def scim_tokens(view: View) -> tuple[ScimToken, ...] | None:
    """The connection's SCIM tokens; None while SCIM is off."""
    if view.read(scim_configuration) is None:
        return None
    return view.auth0.scim_tokens(view.read(connection).id)


@derived
def endpoint_url(view: View) -> str:
    """The SCIM endpoint URL."""
    return scim_endpoint_url(view.settings.auth0_domain, view.read(connection_id))


@derived
def unseen_tokens(_view: View) -> None:
    """Stands in for the SCIM tokens where nobody signs in to Auth0."""
    return


@fact
def scim_log(view: View) -> tuple[ScimLogEntry, ...] | None:
    """The latest requests to the SCIM endpoint, newest first; None when the sign-in may not read the log."""
    held = view.read(auth0_grant).permissions
    if held is not None and not held & set(SCIM_LOG_SCOPES):
        return None
    try:
        return view.auth0.scim_log(view.read(connection).id)
    except ApiError as error:
        if error.status == 403:
            return None
        raise


@fact
def known_as_test_user(view: View) -> tuple[Auth0User, ...]:
    """The users of the connection whom Entra would call by the test user's name or id."""
    return view.auth0.users_known_as(view.read(connection).name, view.settings.test_user)


@derived
def evidence(view: View) -> Evidence:
    """What Auth0 shows of the work in Entra."""
    scim, wanted = view.read(scim_configuration), frozenset(SCIM_TOKEN_SCOPES)
    used = [token for token in view.read(scim_tokens) or () if token.scopes == wanted and token.last_used_at]
    return Evidence(
        tuple(sorted(used, key=lambda token: token.last_used_at or "", reverse=True)),
        view.read(scim_log),
        view.read(user_count),
        scim.auth0_attribute(EXTERNAL_ID) if scim else None,
        view.read(known_as_test_user),
        view.settings.test_user,
    )


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
    """Which run of another machine is at work on the enterprise application, in words; empty when none is."""
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
    return tuple({entry.principal_id: entry for entry in found if entry.principal_type in ("User", "Group")}.values())


def _named(view: View, who: str) -> AppRoleAssignment:
    user = view.graph.user(who)
    if user is None:
        raise StepBlocked(f"The settings assign {who}, whom Entra does not know", "Correct the list `assign`")
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
    return view.graph.synchronization_jobs(principal.id) if principal else ()


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
    return view.graph.saved_credentials(principal.id)


@fact
def schema(view: View) -> SynchronizationSchema | None:
    """The schema of the job."""
    principal, found = view.read(enterprise_application), view.read(job)
    return view.graph.synchronization_schema(principal.id, found.id) if principal and found else None


@fact
def census(view: View) -> Census | None:
    """What turning provisioning on would do to the people assigned; None where it is on already, or not to be turned on."""
    found = view.read(job)
    if view.settings.turn_on != "yes" or (found is not None and found.is_running):
        return None
    assigned = {entry.principal_id: entry for entry in (*view.read(access), *view.read(assignments))}.values()
    groups = [entry.principal_id for entry in assigned if entry.principal_type == "Group"]
    people, nested = view.graph.people([e.principal_id for e in assigned if e.principal_type == "User"], groups)
    gone = [Person(e.principal_id, e.principal_name, None, is_enabled=False) for e in assigned if e.principal_type == "User"]
    known = {person.id for person in people}
    everyone = [Person(u.id, u.display_name, u.mail, is_enabled=u.is_enabled) for u in people]
    everyone += [person for person in gone if person.id not in known]
    if view.settings.handed_over == "auth0":
        return census_without_auth0(everyone, nested)
    mails = sorted({person.mail.lower() for person in everyone if person.mail})
    return census_of(everyone, view.auth0.users_of_connection(view.read(connection).name, mails), nested)


@fact
def test_user(view: View) -> EntraUser | None:
    """The user that step 4.2 provisions."""
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
    """The Auth0 profiles of this connection that carry the test user's mail address."""
    user, name = view.read(test_user), view.read(connection).name
    found = view.auth0.users_by_email(user.mail) if user and user.mail else ()
    return tuple(profile for profile in found if name in profile.connections)
