"""What turning provisioning on would do to the people assigned, counted before it happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbook_lib.models import Auth0User


@dataclass(frozen=True)
class Person:
    """Somebody assigned, or a direct member of an assigned group. One that Entra no longer lists counts as not enabled."""

    id: str
    name: str
    mail: str | None
    is_enabled: bool


@dataclass(frozen=True)
class Census:
    """Counts and names, each sorted.

    `would_be_blocked`: disabled or deleted in Entra, and with an Auth0 user that may sign in today, or of whom nobody can tell;
    Auth0 would block them and end their sessions. `sharing_mail`: addresses of several people that an Auth0 user has, so that
    matching by mail may change the wrong one. `without_mail` and `absent`: enabled, but nobody Entra could update by mail.
    Without `saw_auth0` everybody counts as having a user there, so that no harm is counted too low.
    """

    people: int
    would_be_blocked: tuple[str, ...] = ()
    sharing_mail: tuple[str, ...] = ()
    without_mail: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    nested_groups: int = 0
    saw_auth0: bool = True

    def __str__(self) -> str:
        parts = [f"{self.people} people are assigned, groups included"]
        parts += [f"{len(self.would_be_blocked)} would be blocked in Auth0 ({_some(self.would_be_blocked)})"] * bool(
            self.would_be_blocked
        )
        parts += [f"{len(self.absent)} have no user in Auth0 ({_some(self.absent)})"] * bool(self.absent)
        parts += [f"{len(self.without_mail)} have no mail address ({_some(self.without_mail)})"] * bool(self.without_mail)
        parts += [f"{len(self.sharing_mail)} mail addresses are shared ({_some(self.sharing_mail)})"] * bool(self.sharing_mail)
        parts += [f"{self.nested_groups} groups within groups are not provisioned"] * bool(self.nested_groups)
        parts += ["Auth0 could not be looked at, so everybody counts as having a user there"] * (not self.saw_auth0)
        return "; ".join(parts)


def census_of(people: Iterable[Person], profiles: Iterable[Auth0User], nested_groups: int = 0) -> Census:
    """Count `people`, each id once, against the Auth0 users of the connection that have one of their mail addresses."""
    everyone = list({person.id: person for person in people}.values())
    by_mail: dict[str, list[Auth0User]] = {}
    for profile in profiles:
        by_mail.setdefault((profile.email or "").lower(), []).append(profile)
    mails = Counter(person.mail.lower() for person in everyone if person.mail)

    def may_sign_in(person: Person) -> bool:
        return not person.mail or any(not profile.is_blocked for profile in by_mail.get(person.mail.lower(), []))

    enabled = [person for person in everyone if person.is_enabled]
    return Census(
        len(everyone),
        would_be_blocked=_names(person for person in everyone if not person.is_enabled and may_sign_in(person)),
        sharing_mail=tuple(sorted(mail for mail, count in mails.items() if count > 1 and mail in by_mail)),
        without_mail=_names(person for person in enabled if not person.mail),
        absent=_names(person for person in enabled if person.mail and person.mail.lower() not in by_mail),
        nested_groups=nested_groups,
    )


def census_without_auth0(people: Iterable[Person], nested_groups: int = 0) -> Census:
    """Count `people` where nobody can look at Auth0: each counts as having a user there who may sign in."""
    everyone = tuple(people)
    assumed = [
        Auth0User("", person.mail, is_blocked=False, connections=frozenset(), profile={}) for person in everyone if person.mail
    ]
    return replace(census_of(everyone, assumed, nested_groups), saw_auth0=False)


def _names(people: Iterable[Person]) -> tuple[str, ...]:
    return tuple(sorted(person.name or person.id for person in people))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
