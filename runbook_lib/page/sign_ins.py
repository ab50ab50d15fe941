"""The two sign-ins of the page and what they find. The page does not ask for anything that it can find."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.http.time_limit import Deadline
from runbook_lib.page.form import Form
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import auth0_side, entra_side
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.models import Connection
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.sign_in import DeviceCode, Grant, SignIn
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS, WAAD
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.connection_age import ConnectionAge, connection_age
from runbook_lib.tenant.console_links import AUTH0, Link, registration_link

COUNTED = 50  # connections whose users are counted at once; one call each


@dataclass(frozen=True)
class Permission:
    """One permission: whether the sign-in has it, and what it is for."""

    name: str
    is_there: bool
    needed_for: str


@dataclass(frozen=True)
class SignedIn:
    """The result of a sign-in. `permissions` is empty when the token does not say."""

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
    verdict: ConnectionAge


@dataclass
class SignIns:
    """Who is signed in where, the connections found, and the one chosen.

    `on_change` is called when there is something new to show, also from the thread that does the work. `deadline` is asked
    before every request of these sign-ins.
    """

    on_change: Callable[[], None]
    deadline: Deadline = field(default_factory=lambda: Deadline(math.inf))  # a person may come back to the page after hours
    auth0: SignedIn | None = None
    entra: SignedIn | None = None
    candidates: tuple[Candidate, ...] = ()
    chosen: Candidate | None = None
    code: DeviceCode | None = None
    management: Auth0Management | None = None
    graph: MicrosoftGraph | None = None
    holders: dict[str, SignIn] = field(default_factory=dict, repr=False)

    def to_auth0(self, form: Form) -> None:
        """Sign in to Auth0, and find every connection of the type with its verdict."""
        self.leave_auth0()
        settings = form.draft()
        self.management, self.holders["auth0"] = auth0_side(settings, typed=form.secrets, **self._watched())
        grant = self.holders["auth0"].grant()
        connections = self.management.connections_of(WAAD)
        self.candidates = tuple(self._candidate(connection, n) for n, connection in enumerate(connections))
        at = Link("Auth0: APIs", f"{AUTH0}/#/apis")
        self.auth0 = SignedIn(settings.auth0_domain, _who(grant), _time(grant), _scopes(grant), at)

    def to_entra(self, form: Form) -> str:
        """Sign in to Entra and return the name of the organization there."""
        self.entra, self.code = None, None
        settings = form.draft()
        self.graph, self.holders["entra"] = entra_side(settings, typed=form.secrets, show=self._show_code, **self._watched())
        try:
            grant = self.holders["entra"].grant()
        finally:
            self.code = None
        self.on_change()
        organization = self.graph.organization()
        at = registration_link(settings.find_cloud(), settings.entra_client_id, "CallAnAPI")
        self.entra = SignedIn(organization.display_name, _who(grant), _time(grant), _graph_permissions(grant), at)
        return organization.display_name

    def _show_code(self, code: DeviceCode) -> None:
        self.code = code
        self.on_change()

    def cancel(self) -> None:
        """Stop waiting for a device code."""
        if self.code:
            self.code.cancel()

    def leave_auth0(self) -> None:
        """Sign out of both services."""
        self.auth0, self.candidates, self.chosen, self.entra, self.management = None, (), None, None, None

    @property
    def only_older(self) -> Candidate | None:
        """The one older connection of the tenant, None where there are none or several."""
        older = [entry for entry in self.candidates if entry.verdict.kind == "older"]
        return older[0] if len(older) == 1 else None

    def choose(self, connection_id: str) -> Connection:
        """Choose one of the connections found. The sign-in to Entra starts again: it may be of another tenant."""
        self.chosen = next(entry for entry in self.candidates if entry.connection.id == connection_id)
        self.entra = None
        return self.chosen.connection

    def stand_in(self, settings: TenantSettings) -> None:
        """Use the stand-in for a handed-over side, where this run does not sign in."""
        if settings.handed_over == "entra":
            self.graph, self.holders["entra"] = entra_side(settings, **self._watched())
        elif settings.handed_over == "auth0":
            self.management, self.holders["auth0"] = auth0_side(settings, **self._watched())

    def _candidate(self, connection: Connection, position: int) -> Candidate:
        users = self.management.seen_users(connection.name) if self.management and position < COUNTED else None
        return Candidate(connection, users.total if users else None, connection_age(connection, users))

    def _watched(self) -> Any:
        return {"machine": Machine(), "deadline": self.deadline}


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
