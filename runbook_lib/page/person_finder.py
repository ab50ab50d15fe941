"""Find the test user among the people who have access to the sign-in application."""

from __future__ import annotations

from dataclasses import dataclass, field

from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.models import Auth0User
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.entra.models import EntraUser

PEOPLE_SHOWN = 8
FIT_NOT_KNOWN = "has access; ask the owner of the Auth0 side whether they have signed in before"


@dataclass
class PersonFinder:
    """Who may be the test user. `oidc` is the name of the sign-in application, empty while it is not found.

    `shown` are the people found by `search`, `about` says how many there are; `fitness` is what can be said of the one chosen.
    """

    oidc: str = ""
    search: str = ""
    shown: tuple[EntraUser, ...] = ()
    about: str = ""
    person: EntraUser | None = None
    is_fit: bool = False
    fitness: str = ""
    _assigned: tuple[EntraUser, ...] = field(default=(), repr=False)

    def read(self, graph: MicrosoftGraph, client_id: str) -> None:
        """Read who is assigned to the sign-in application, directly or by a group."""
        self.forget()
        principal = graph.service_principal(client_id) if client_id else None
        if principal is None:
            return
        self.oidc = principal.display_name
        assigned = graph.assignments(principal.id)
        direct = [entry.principal_id for entry in assigned if entry.principal_type == "User"]
        groups = [entry.principal_id for entry in assigned if entry.principal_type == "Group"]
        everyone = {user.id: user for user in graph.people(direct, groups)[0]}
        self._assigned = tuple(sorted(everyone.values(), key=lambda user: user.display_name.lower()))
        self.find(self.search)

    def forget(self) -> None:
        """Forget all people, as before a sign-in."""
        self.oidc, self._assigned, self.shown, self.about, self.person = "", (), (), "", None

    def find(self, text: str) -> None:
        """Find people by name or address among those who have access."""
        self.search = text
        words = text.lower().split()
        found = [user for user in self._assigned if all(word in _searched(user) for word in words)]
        self.shown = tuple(found[:PEOPLE_SHOWN])
        more = f"; {len(found) - PEOPLE_SHOWN} more, type on" if len(found) > PEOPLE_SHOWN else ""
        self.about = f"{len(found)} of {len(self._assigned)} people with access{more}."

    def choose(
        self, user_id: str, graph: MicrosoftGraph | None, management: Auth0Management | None, connection: str
    ) -> EntraUser | None:
        """Choose the test user and say at once whether Auth0 knows them; `connection` is empty where that cannot be seen."""
        self.person = graph.user(user_id) if graph else None
        if self.person is None:
            return None
        if management is None or not connection:
            self.is_fit, self.fitness = False, FIT_NOT_KNOWN
            return self.person
        found = management.users_by_email(self.person.mail) if self.person.mail else ()
        profiles = tuple(profile for profile in found if connection in profile.connections)
        self.is_fit = len(profiles) == 1 and self.person.is_enabled and not profiles[0].is_blocked
        self.fitness = _fitness(self.person, profiles, is_fit=self.is_fit)
        return self.person


def _searched(user: EntraUser) -> str:
    return f"{user.display_name} {user.user_principal_name} {user.mail or ''}".lower()


def _fitness(person: EntraUser, profiles: tuple[Auth0User, ...], *, is_fit: bool) -> str:
    if not person.is_enabled:
        return "is disabled in Entra; choose a person who is enabled"
    if is_fit:
        return f"has signed in to Auth0 before as {profiles[0].user_id.split('|')[0]} user: a good choice"
    if not profiles:
        return "is not known to Auth0 on this connection; choose a person who has signed in"
    return "is blocked in Auth0, or there twice; choose another person"
