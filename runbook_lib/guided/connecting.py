"""Sign in to both sides and choose from what is found there. Nothing that can be found is asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from runbook_lib.clients.auth0_management import Auth0Management
from runbook_lib.clients.microsoft_graph import MicrosoftGraph
from runbook_lib.clients.sign_in import DeviceCode, Grant, SignIn
from runbook_lib.consoles import AUTH0, Link, registration_link
from runbook_lib.errors import RunbookError, SettingsError
from runbook_lib.facts import View
from runbook_lib.http import Deadline
from runbook_lib.models import Connection, EntraUser, Generation, generation
from runbook_lib.secret import Secret
from runbook_lib.session import Machine, auth0_side, entra_side
from runbook_lib.settings import CLOUDS, SCIM_ENDPOINT, TO_BE_CHOSEN, TenantSettings, problems
from runbook_lib.vocabulary import AUTH0_SCOPES, GRAPH_PERMISSIONS, WAAD
from runbook_lib.widgets.surface import Fields

COUNTED = 50  # connections whose users are counted at once; one call each
PEOPLE_SHOWN = 8
TYPED = {  # fields that hold secrets
    "auth0_secret": "auth0_client_secret",
    "entra_secret": "entra_client_secret",
    "given_token": "scim_token",
}
GIVEN = ("scim_endpoint", "oidc_client_id")  # what is known only when nobody signs in to Auth0
KEPT = (  # what a page may remember of a form; no secret is among it
    "auth0_domain auth0_client_id auth0_connection entra_tenant entra_client_id cloud scim_app_name test_user "
    "token_lifetime_days deletion_threshold turn_on auth0_method entra_method entra_certificate scim_endpoint oidc_client_id"
).split()
AUTH0_METHODS = {
    "client": "Application: client id and secret",
    "token": "A Management API token that I paste",
    "handover": "Nobody: its owner does the Auth0 part",
}
ENTRA_METHODS = {
    "device": "Device code: I sign in with my own account",
    "secret": "Client secret of an app registration",
    "certificate": "Certificate of an app registration",
    "token": "A Graph token that I paste",
    "handover": "Nobody: the customer's administrator does the Entra part",
}


@dataclass(frozen=True)
class Permission:
    """One permission: whether the sign-in has it, and what it is for."""

    name: str
    is_there: bool
    needed_for: str


@dataclass(frozen=True)
class SignedIn:
    """What a sign-in turned out to be. `permissions` is empty when the token does not tell."""

    tenant: str
    who: str
    until: str
    permissions: tuple[Permission, ...]
    grant_at: Link | None

    @property
    def missing(self) -> tuple[Permission, ...]:
        """The permissions that a later step will need and that are not there."""
        return tuple(entry for entry in self.permissions if not entry.is_there)


@dataclass(frozen=True)
class Candidate:
    """A connection one may choose."""

    connection: Connection
    users: int | None
    verdict: Generation


@dataclass
class Connecting:
    """The state of the connect form. `values` holds what is typed, by settings column; secrets are in `_typed` and nowhere else.

    `is_told`: nobody signs in to Auth0, and what its owner has sent so far was taken over.
    `on_change` is told whenever there is something new to show, also from the thread that does the work.
    """

    on_change: Callable[[], None]
    values: dict[str, str] = field(default_factory=lambda: {"cloud": "public", "token_lifetime_days": "365", "turn_on": "yes"})
    wrong: dict[str, str] = field(default_factory=dict)
    auth0_method: str = "client"
    entra_method: str = "device"
    busy: str = ""
    trouble: RunbookError | None = None
    auth0: SignedIn | None = None
    is_told: bool = False
    entra: SignedIn | None = None
    candidates: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None
    code: DeviceCode | None = None
    oidc: str = ""
    people: tuple[EntraUser, ...] = ()
    people_about: str = ""
    person: EntraUser | None = None
    person_about: str = ""
    person_is_fit: bool = False
    search: str = ""
    _typed: dict[str, Secret] = field(default_factory=dict, repr=False)
    _assigned: tuple[EntraUser, ...] = field(default=(), repr=False)
    _management: Auth0Management | None = None
    _graph: MicrosoftGraph | None = None
    _sign_ins: dict[str, SignIn] = field(default_factory=dict, repr=False)

    # While typing -----------------------------------------------------------------------------------------------------

    def take(self, fields: Fields) -> None:
        """Take over what is typed, secrets into memory, and say what is wrong with it."""
        for name, text in fields.items():
            if name in TYPED:
                if text:
                    self._typed[TYPED[name]] = Secret(text.strip())
            elif name in ("auth0_method", "entra_method"):
                setattr(self, name, text)
            elif name == "search":
                self.search = text
            else:
                self.values[name] = text.strip()
        if self.auth0_method == "handover":
            self._know_by_endpoint()
        self.wrong = self._problems()

    def _know_by_endpoint(self) -> None:
        """Take domain and connection from the endpoint, where it was sent; the name of a connection, when typed, stays."""
        if self.entra_method == "handover":
            self.entra_method = "device"  # one side has to be ours
        found = SCIM_ENDPOINT.fullmatch(self.values.get("scim_endpoint", ""))
        if found is None:
            return
        self.values["auth0_domain"] = found["domain"]
        if self.values.get("auth0_connection", "con_").startswith("con_") or not self.values["auth0_connection"]:
            self.values["auth0_connection"] = found["connection"]

    def _problems(self) -> dict[str, str]:
        """Return what the settings model says of what is typed; an empty field is not wrong before it is sent."""
        given = self._given()
        if self.auth0_method == "handover":
            given["auth0_client_secret"] = ""
        return problems(given)

    def _given(self) -> dict[str, Any]:
        """Return what is typed and belongs to the way of signing in that is chosen."""
        other = {"entra_certificate", *(GIVEN if self.auth0_method != "handover" else ("auth0_client_id",))}
        return {name: text for name, text in self.values.items() if text and name not in other}

    def draft(self) -> TenantSettings:
        """Return settings as far as they are known, the rest open; good for signing in and for nothing else."""
        return TenantSettings.from_parameters({**TO_BE_CHOSEN, **self._parameters()})

    def _parameters(self) -> dict[str, Any]:
        given = self._given()
        given["auth0_client_secret"] = "" if self.auth0_method == "handover" else "memory:auth0_client_secret"
        if given.get("scim_endpoint"):
            given["scim_token"] = "memory:scim_token"  # noqa: S105 - where it is, not what it is
        given["entra_client_secret"] = {
            "device": "",
            "handover": "",
            "certificate": f"file:{self.values.get('entra_certificate', '')}",
        }.get(self.entra_method, "memory:entra_client_secret")
        if self.auth0_method == "token":
            given["auth0_client_id"] = ""
        if self.entra_method in ("token", "handover"):
            given["entra_client_id"] = ""
        elif not given.get("entra_client_id"):
            given["entra_client_id"] = "00000000-0000-0000-0000-000000000000"
        return given

    # Auth0 ------------------------------------------------------------------------------------------------------------

    def sign_in_to_auth0(self) -> None:
        """Sign in, and find every connection of the type with its verdict."""
        self.leave_auth0()
        settings = self.draft()
        self._management, self._sign_ins["auth0"] = auth0_side(settings, typed=self._typed, **_watched())
        grant = self._sign_ins["auth0"].grant()
        connections = self._management.connections_of(WAAD)
        self.candidates = tuple(self._candidate(connection, n) for n, connection in enumerate(connections))
        self.auth0 = SignedIn(
            settings.auth0_domain,
            _who(grant),
            _time(grant),
            _scopes(grant),
            Link("Auth0: APIs", f"{AUTH0}/#/apis"),
        )
        older = [entry for entry in self.candidates if entry.verdict.kind == "older"]
        if len(older) == 1:
            self.choose(older[0].connection.id)

    def leave_auth0(self) -> None:
        """Go back to where nobody is signed in."""
        self.auth0, self.candidates, self.chosen, self.entra, self.is_told = None, (), None, None, False

    def take_over_auth0(self) -> None:
        """Take over what the owner of the Auth0 side has sent, or that nothing came yet. Raises `SettingsError`."""
        self.leave_auth0()
        self.draft()
        for column in (
            "auth0_domain",
            "auth0_connection",
        ):  # not required by the form: the endpoint, when it is there, tells them
            if not self.values.get(column):
                raise SettingsError("is missing", "Fill it in, or the endpoint that tells it", column=column)
        if self.values.get("scim_endpoint") and "scim_token" not in self._typed:
            raise SettingsError("no token was pasted", "Paste the SCIM token that came with the endpoint", column="scim_token")
        self._management, self.is_told = None, True

    def _candidate(self, connection: Connection, position: int) -> Candidate:
        users = self._management.user_count(connection.name) if self._management and position < COUNTED else None
        return Candidate(connection, users, generation(connection, users))

    def choose(self, connection_id: str) -> None:
        """Choose a connection: its name becomes the tenant's, its Entra tenant the one to sign in to."""
        self.chosen = next(entry for entry in self.candidates if entry.connection.id == connection_id)
        connection = self.chosen.connection
        self.values["auth0_connection"] = connection.id
        self.values["name"] = connection.name
        if connection.entra_tenant_names:
            self.values["entra_tenant"] = connection.entra_tenant_names[0]
        self.values["scim_app_name"] = f"{connection.display_name or connection.name} SCIM"
        self.entra, self.person = None, None

    # Entra ------------------------------------------------------------------------------------------------------------

    def sign_in_to_entra(self) -> None:
        """Sign in, find the application of the sign-in from the connection, and who has access to it."""
        self.entra, self.person, self.people, self.code = None, None, (), None
        settings = self.draft()
        self._graph, self._sign_ins["entra"] = entra_side(settings, typed=self._typed, show=self._show_code, **_watched())
        try:
            grant = self._sign_ins["entra"].grant()
        finally:
            self.code = None
        self.on_change()
        organization = self._graph.organization()
        at = registration_link(settings.find_cloud(), settings.entra_client_id, "CallAnAPI")
        self.entra = SignedIn(
            organization.display_name, grant.who or "the pasted token", _time(grant), _graph_permissions(grant), at
        )
        if self.is_told:
            self.values["name"] = f"{organization.display_name}, {self.values['auth0_connection']}"
            self.values.setdefault("scim_app_name", "Auth0 SCIM")
        self._find_people()

    def _show_code(self, code: DeviceCode) -> None:
        self.code = code
        self.on_change()

    def cancel(self) -> None:
        """Stop waiting for a device code."""
        if self.code:
            self.code.cancel()

    def _find_people(self) -> None:
        """Read who may be the test user: those assigned to the sign-in application, directly or by a group."""
        client_id = self.chosen.connection.oidc_client_id if self.chosen else self.values.get("oidc_client_id", "")
        if self._graph is None or not client_id:
            return
        principal = self._graph.service_principal(client_id)
        if principal is None:
            self.oidc, self._assigned = "", ()
            return
        self.oidc = principal.display_name
        assigned = self._graph.assignments(principal.id)
        groups = [entry.principal_id for entry in assigned if entry.principal_type == "Group"]
        members = {user.id: user for user in self._graph.people((), groups)[0]}
        direct = {
            entry.principal_id: EntraUser(entry.principal_id, "", entry.principal_name, None, is_enabled=True)
            for entry in assigned
            if entry.principal_type == "User"
        }
        self._assigned = tuple(sorted({**direct, **members}.values(), key=lambda user: user.display_name.lower()))
        self.find(self.search)

    def find(self, text: str) -> None:
        """Find people by name among those who have access."""
        self.search = text
        words = text.lower().split()
        found = [user for user in self._assigned if all(word in user.display_name.lower() for word in words)]
        self.people = tuple(found[:PEOPLE_SHOWN])
        more = f"; {len(found) - PEOPLE_SHOWN} more, type on" if len(found) > PEOPLE_SHOWN else ""
        self.people_about = f"{len(found)} of {len(self._assigned)} people with access{more}."

    def choose_person(self, user_id: str) -> None:
        """Choose the test user and say at once whether Auth0 knows them, where that can be seen."""
        self.person = self._graph.user(user_id) if self._graph else None
        if self.person is None:
            return
        self.values["test_user"] = self.person.user_principal_name
        if self._management is None or self.chosen is None:
            self.person_is_fit = False
            self.person_about = "has access; ask the owner of the Auth0 side whether they have signed in before"
            return
        name = self.chosen.connection.name
        found = self._management.users_by_email(self.person.mail) if self.person.mail else ()
        profiles = [profile for profile in found if name in profile.connections]
        self.person_is_fit = len(profiles) == 1 and self.person.is_enabled and not profiles[0].is_blocked
        self.person_about = (
            "is disabled in Entra; choose somebody who is not"
            if not self.person.is_enabled
            else f"has signed in to Auth0 before as {profiles[0].user_id.split('|')[0]} user: a good choice"
            if self.person_is_fit
            else "is not known to Auth0 on this connection; choose somebody who has signed in"
            if not profiles
            else "is blocked in Auth0, or there twice; choose somebody else"
        )

    # The end ----------------------------------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether everything is known that a plan needs."""
        if not self.knows_auth0 or self.wrong or (not self.entra and self.entra_method != "handover"):
            return False
        return bool(self.values.get("test_user") if self.types_person else self.person and self.oidc)

    @property
    def knows_auth0(self) -> bool:
        """Whether the Auth0 side is settled: a connection that is not a newer one is chosen, or somebody else's."""
        return self.is_told or (self.chosen is not None and self.chosen.verdict.kind != "newer")

    @property
    def types_person(self) -> bool:
        """Whether the test user has to be typed, since nobody here can see who has access."""
        return self.entra_method == "handover" or (self.is_told and not self.values.get("oidc_client_id"))

    def finish(self) -> View:
        """Return the view of the tenant, signed in on both sides."""
        settings = TenantSettings.from_parameters(self._parameters())
        if settings.handed_over == "entra":
            self._graph, self._sign_ins["entra"] = entra_side(settings, **_watched())
        elif settings.handed_over == "auth0":
            self._management, self._sign_ins["auth0"] = auth0_side(settings, **_watched())
        if self._management is None or self._graph is None:
            raise ValueError("not signed in yet")
        cloud = settings.find_cloud()
        sign_ins = self._sign_ins
        return View(settings, cloud, self._management, self._graph, sign_ins["auth0"], sign_ins["entra"], typed=self._typed)

    def kept(self) -> dict[str, str]:
        """Return what a page may remember for the next time."""
        every = {**self.values, "auth0_method": self.auth0_method, "entra_method": self.entra_method}
        return {name: every[name] for name in KEPT if every.get(name)}

    @property
    def entra_methods(self) -> Mapping[str, str]:
        """The ways to sign in to Entra; one side has to be ours."""
        return {way: words for way, words in ENTRA_METHODS.items() if way != "handover" or not self.is_told}

    @property
    def lifetime_about(self) -> str:
        """When a token made today would end, in words."""
        days = self.values.get("token_lifetime_days", "")
        if days == "never":
            return "It never ends. Nobody is reminded to change it."
        if not re.fullmatch("[0-9]{1,4}", days):
            return "Days, or never."
        return (
            f"Ends on {datetime.now(UTC) + timedelta(days=int(days)):%d %B %Y}. Provisioning stops then; make a new one before."
        )

    @property
    def clouds(self) -> Mapping[str, str]:
        """The clouds one may choose."""
        words = {"public": "Microsoft Entra (worldwide)", "usgov": "US government", "china": "China, run by 21Vianet"}
        return {**{name: words[name] for name in CLOUDS}, **({self.sandbox: "Sandbox, to practise"} if self.sandbox else {})}

    sandbox: str = ""


def _watched() -> Any:
    """Return this machine without a deadline: a person watches, and may come back to the page after hours."""
    return {"machine": Machine(), "deadline": Deadline(math.inf)}


def _who(grant: Grant) -> str:
    return grant.who or "the pasted token"


def _time(grant: Grant) -> str:
    return f"{grant.until:%d %B %Y, %H:%M} UTC" if grant.until else "not told"


def _scopes(grant: Grant) -> tuple[Permission, ...]:
    if grant.permissions is None:
        return ()
    return tuple(Permission(scope, scope in grant.permissions, f"step {steps}") for scope, steps in AUTH0_SCOPES.items())


def _graph_permissions(grant: Grant) -> tuple[Permission, ...]:
    held = grant.permissions
    if held is None:
        return ()
    return tuple(Permission(names[0], bool(held & set(names)), purpose) for purpose, names in GRAPH_PERMISSIONS.items())
