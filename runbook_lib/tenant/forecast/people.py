"""The people that a cycle concerns, as both services hold them, and everything else that the forecast depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from runbook_lib.services.wire_json import listed
from runbook_lib.tenant.forecast.arguments import Value
from runbook_lib.tenant.forecast.job_mapping import UserMapping


class State(Enum):
    """What Entra says of an account; `GONE` is one that it no longer knows at all, deleted for good."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class EntraPerson:
    """A person in Entra. `groups` are the names of the assigned groups that they are a direct member of.

    `was_entitled`: they are assigned already, directly or by a group, and not only by what a run is about to write.
    `attributes` are by Entra's own names and hold what the mapping needs; those of a person who is gone are empty.
    `manager` is the object id of their manager, empty for none, None where it was not read.
    """

    object_id: str
    name: str
    upn: str
    mail: str | None
    state: State
    is_assigned: bool = False
    groups: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    was_entitled: bool = True
    manager: str | None = None


@dataclass(frozen=True, slots=True)
class Auth0Profile:
    """An Auth0 user of the connection. `values` are the profile's values by dotted path, absent ones left out.

    `oids` are the Entra object ids of the people whose sign-in it is: one, more only of a user to which others were linked.

    `in_the_way` holds, by dotted path, a value that stands where the path needs an object: what is written there takes its place.
    Unverified: that Auth0 writes it. It may refuse instead.
    """

    user_id: str
    is_blocked: bool
    oids: tuple[str, ...]
    values: Mapping[str, object]
    in_the_way: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, profile: Mapping[str, Any], fields: frozenset[str], connection: str) -> Auth0Profile:
        """Read a user of the Management API or of an export, keeping the values of `fields` (dotted paths)."""
        found = {path: value for path in fields if (value := value_at(profile, path)) is not None}
        others = (path for path in fields if path not in found)
        in_the_way = {path: value for path in others if (value := _in_the_way(profile, path)) is not None}
        oids = tuple(dict.fromkeys(_oids(profile, connection)))
        return cls(str(profile["user_id"]), bool(profile.get("blocked", False)), oids, found, in_the_way)


def value_at(profile: Mapping[str, Any], path: str) -> Any:
    """Return a profile's value by its dotted path, None where there is none."""
    value: Any = profile
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _oids(profile: Mapping[str, Any], connection: str) -> Iterator[str]:
    """Yield the object ids that the identities of a connection carry.

    The root of a profile is that of the first identity; a linked one keeps its own in `profileData` (docs-v2,
    user-account-linking).
    """
    identities = [one for one in listed(profile.get("identities")) if isinstance(one, Mapping)]
    if not identities or identities[0].get("connection") == connection:
        yield from filter(None, (str(profile.get("oid") or ""),))
    for identity in identities[1:]:
        data = identity.get("profileData")
        if identity.get("connection") == connection and isinstance(data, Mapping) and data.get("oid"):
            yield str(data["oid"])


def _in_the_way(profile: Mapping[str, Any], path: str) -> Any:
    """Return the value in a profile that stands where a dotted path needs an object; None if there is none."""
    value: Any = profile
    for key in path.split(".")[:-1]:
        value = value.get(key)
        if not isinstance(value, Mapping):
            return value
    return None


@dataclass(frozen=True, slots=True)
class Readings:
    """How this tenant behaves where sources disagree. None: the question is open, and the forecast shows both readings.

    `searches_every_field`: Auth0's SCIM search finds by every mapped field, `upn` included. `ignores_case`: it does so whatever
    the capitals. `skips_disabled`: a person disabled before the first link is skipped. `unassigning_disables`: a linked person
    who loses the assignment is disabled. `manager_fails`: Entra cannot read an Auth0 user whose manager is a mere text, and the
    person fails.
    """

    searches_every_field: bool | None = None
    ignores_case: bool | None = None
    skips_disabled: bool | None = None
    unassigning_disables: bool | None = None
    manager_fails: bool | None = None


class Links(Enum):
    """What can be known of the job's links between people and Auth0 users.

    `NONE`: there is no job, so no link. `SEEN`: a link is seen by the object id that a cycle wrote as external id. `UNSEEN`: the
    job has run, and its cycles did not write the object id.
    """

    NONE = "none"
    SEEN = "seen"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides what a cycle does.

    `scim_fields` is Auth0's SCIM mapping: the profile field by SCIM path, spelled as Auth0 does. `known_links` holds, by object
    id, the Auth0 user id that Graph says a person is linked to, or "" where it says that there is no link.
    `searched_fields` is None when all users of the connection were read; else the fields by which users were looked for.
    `assigns_groups`: whether a group is assigned, of which a softly deleted person may have been a member: Graph does not say.
    `cycles_ran`: a cycle of the job has run, so that what stands in the metadata of a linked user may have come from Entra.
    `needs_assignment`: only people with access may sign in. `now` is None where no time is given for expressions.
    """

    people: tuple[EntraPerson, ...]
    profiles: tuple[Auth0Profile, ...]
    mapping: UserMapping
    scim_fields: Mapping[str, str]
    syncs_everybody: bool = False
    skips_out_of_scope: bool = False
    cycles_ran: bool = True
    needs_assignment: bool = True
    syncs_at_each_login: bool = True
    links: Links = Links.NONE
    known_links: Mapping[str, str] = field(default_factory=dict)
    readings: Readings = Readings()
    hidden_groups: tuple[str, ...] = ()
    nested_groups: int = 0
    assigns_groups: bool = False
    searched_fields: frozenset[str] | None = None
    saw_auth0: bool = True
    now: Callable[[], datetime] | None = None
