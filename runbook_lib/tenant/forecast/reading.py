"""Reads the people that a cycle concerns through the clients: in few requests, page by page, with progress.

It writes nothing. More than a thousand Auth0 users are read by an export job of Auth0's, which is a file that Auth0 makes; where
that is declined or fails, people are looked for by mail address and external id, and links beyond them cannot be told.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.models import ScimMappingRow
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.entra.models import AppRoleAssignment
from runbook_lib.services.wire_json import Json
from runbook_lib.services.wire_words import EXTERNAL_ID
from runbook_lib.tenant.forecast.arguments import Value
from runbook_lib.tenant.forecast.fate import GUID, MANAGER_PATH
from runbook_lib.tenant.forecast.job_mapping import UserMapping
from runbook_lib.tenant.forecast.matching import auth0_field
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, State
from runbook_lib.tenant.forecast.source_attributes import attributes_of_user, graph_fields, without_deletion_mark
from runbook_lib.tenant.scim_mapping import as_auth0_writes

PAGE_SIZE = 100  # users that a search answers at once
SEARCH_LIMIT = 1000  # docs-v2, view-search-results-by-page
HIDDEN = "HiddenMembership"
HIDDEN_MEMBERS_PERMISSION = "Member.Read.Hidden"  # Graph, group-list-members page
_ALWAYS_KEPT = ("email", "upn")
_NAMES = (*_ALWAYS_KEPT, "name")  # the name of a person that Entra no longer knows


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long reading is: a count and the total; None if the total is unknown."""

    what: str
    done: int
    total: int | None


@dataclass(frozen=True)
class Assigned:
    """Who is assigned, or will be: an entry for each role that a principal has, and the names of the roles by id.

    `role_names` leaves out the roles of which it is not known how the mapping language calls them.
    `present` are the object ids of those assigned already; None where it makes no difference.
    `sees_hidden`: the sign-in may see the members of groups whose membership is hidden; None when it does not say.
    """

    entries: tuple[AppRoleAssignment, ...]
    role_names: Mapping[str, str] = field(default_factory=dict)
    sees_hidden: bool | None = None
    present: frozenset[str] | None = None


@dataclass(frozen=True)
class Directory:
    """What was read of Entra: people by object id, and the groups whose members are not known or not provisioned."""

    people: Mapping[str, EntraPerson]
    nested_groups: int
    hidden_groups: tuple[str, ...]


@dataclass(frozen=True)
class Users:
    """What was read of Auth0. `searched_fields` is None when everybody was read; `total` counts all users of the connection."""

    profiles: tuple[Auth0Profile, ...]
    searched_fields: frozenset[str] | None
    total: int
    why_incomplete: str = ""


# Auth0 -----------------------------------------------------------------------------------------------------------------


def kept_fields(mapping: UserMapping, scim_rows: Iterable[ScimMappingRow]) -> frozenset[str]:
    """Return the profile fields (dotted paths) that the forecast compares: those that the job's rows reach, and names."""
    scim_fields = fields_by_path(scim_rows)
    reached = (auth0_field(row.target, scim_fields) for row in (*mapping.rows, *mapping.references))
    others = (auth0_field(EXTERNAL_ID, scim_fields), auth0_field(MANAGER_PATH, scim_fields))
    return frozenset(name for name in (*reached, *others, *_NAMES) if name and name != "blocked")


def fields_by_path(scim_rows: Iterable[ScimMappingRow]) -> dict[str, str]:
    """Return Auth0's SCIM mapping as a table: the profile field by SCIM path, as Auth0 spells it."""
    return {as_auth0_writes(row.scim): row.auth0 for row in scim_rows}


def root_fields(scim_rows: Iterable[ScimMappingRow]) -> tuple[str, ...]:
    """Return the root fields of users to ask for: all that a job's rows can reach, so that no schema has to be read first."""
    names = sorted({row.auth0.split(".")[0] for row in scim_rows} | set(_NAMES))
    return tuple(dict.fromkeys(["user_id", "blocked", "oid", "identities", *names]))


@dataclass(frozen=True)
class BegunUsers:
    """The first page of a connection's users, how many there are in all, and how to go on. `roots` are the root fields read."""

    connection_name: str
    roots: Sequence[str]
    total: int
    first: tuple[Json, ...]
    further: Iterator[Json]


def begin_users(auth0: Auth0Management, connection_name: str, roots: Sequence[str]) -> BegunUsers:
    """Read the first page of the Auth0 users of a connection; of more than a search finds, none is taken from it."""
    total, found = auth0.users_of_connection(connection_name, roots)
    first = tuple(islice(found, PAGE_SIZE)) if total <= SEARCH_LIMIT else ()
    return BegunUsers(connection_name, roots, total, first, found)


def read_users(
    auth0: Auth0Management,
    connection_id: str,
    begun: BegunUsers,
    fields: frozenset[str],
    *,
    may_export: bool,
    search_for: Iterable[tuple[str, str]],
) -> Generator[Progress, None, Users]:
    """Read the Auth0 users of a connection from where it was begun; `fields` are kept of them.

    `search_for` are the (field, value) to look for where not everybody can be read.
    """
    connection_name, roots, total = begun.connection_name, begun.roots, begun.total
    if total <= SEARCH_LIMIT:
        profiles = yield from _taken(chain(begun.first, begun.further), fields, connection_name, total)
        return Users(profiles, None, total)
    why = "read_users_by_export is no"
    if may_export:
        try:
            profiles = yield from _taken(auth0.exported_users(connection_id, roots), fields, connection_name, total)
            return Users(profiles, None, total)
        except (ApiError, TransportError) as failed:
            why = f"the export of the connection's users failed ({failed.came_back})"
    pairs = tuple(dict.fromkeys(search_for))
    profiles = yield from _taken(auth0.users_with(connection_name, pairs, roots), fields, connection_name, None)
    return Users(profiles, frozenset(name for name, _ in pairs), total, why)


def _taken(
    found: Iterator[Json], fields: frozenset[str], connection_name: str, total: int | None
) -> Generator[Progress, None, tuple[Auth0Profile, ...]]:
    profiles: dict[str, Auth0Profile] = {}
    for number, user in enumerate(found, start=1):
        profile = Auth0Profile.of(user, fields, connection_name)
        profiles[profile.user_id] = profile
        if number % 100 == 0:
            yield Progress("Auth0 users", number, total)
    return tuple(profiles.values())


def names_of(document: Json) -> frozenset[str]:
    """Return the mail address and the user principal name of a softly deleted user as they were, lower case."""
    name = without_deletion_mark(str(document.get("userPrincipalName") or ""), str(document["id"]))
    return frozenset(text.lower() for text in (name, document.get("mail")) if text)


def names_without_object_id(profiles: Iterable[Auth0Profile], external_id: str | None) -> frozenset[str]:
    """Return the mail addresses and names of the Auth0 users that carry no Entra object id, lower case."""
    nameless = (one for one in profiles if not one.oids and not GUID.fullmatch(str(one.values.get(external_id or "") or "")))
    return frozenset(str(one.values[name]).lower() for one in nameless for name in _ALWAYS_KEPT if one.values.get(name))


def object_ids_in(profiles: Iterable[Auth0Profile], external_id: str | None) -> frozenset[str]:
    """Return the Entra object ids that Auth0 users carry, as external id or as `oid`, lower case."""
    named = (str(value) for one in profiles for value in (*one.oids, one.values.get(external_id or "")) if value)
    return frozenset(name.lower() for name in named if GUID.fullmatch(name))


# Entra -----------------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What is being collected of the directory."""

    names: frozenset[str]
    roles: Mapping[str, tuple[str, ...]]
    direct: Mapping[str, AppRoleAssignment]
    groups: Mapping[str, str]
    present: frozenset[str] | None = None
    entitled: set[str] = field(default_factory=set)  # who is a member of a group that is assigned already
    documents: dict[str, Json] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    nested: set[str] = field(default_factory=set)
    hidden: dict[str, bool] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)  # ids of groups of which a member was shown: two groups may have one name
    people: dict[str, EntraPerson] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)  # by object id; empty for none, left out where not known

    def add(self, document: Json, group_id: str = "") -> None:
        """Keep a user, and by which group they were found."""
        object_id = str(document["id"])
        if "manager" in document:
            self.managers[object_id] = str((document["manager"] or {}).get("id") or "").lower()
        if group_id:
            self.shown.add(group_id)
            if self.present is None or group_id in self.present:
                self.entitled.add(object_id)
            self.members.setdefault(object_id, []).append(self.groups[group_id])
        if object_id not in self.documents:
            self.documents[object_id] = document

    def without_known_manager(self) -> tuple[str, ...]:
        """Return the object ids of those who came as members of a group, and were not asked for with their manager."""
        found = self.documents.items()
        return tuple(
            object_id
            for object_id, document in found
            if object_id in self.members and object_id not in self.managers and document.get("accountEnabled") is True
        )

    def settle(self) -> None:
        """Turn the users that were read into people, and let their documents go."""
        for object_id, document in self.documents.items():
            enabled = document.get("accountEnabled") is True  # null: a token without the permission; not known is not enabled
            self.people[object_id] = self._person(document, State.ENABLED if enabled else State.DISABLED)
        self.documents.clear()

    def bury(self, document: Json) -> None:
        """Keep a softly deleted user."""
        object_id = str(document["id"])
        name = without_deletion_mark(str(document.get("userPrincipalName") or ""), object_id)
        self.people[object_id] = self._person({**document, "userPrincipalName": name}, State.DELETED)

    def _person(self, document: Json, state: State) -> EntraPerson:
        object_id = str(document["id"])
        # A member of an assigned group has that group's role as well: no page says which one counts.
        roles = None if object_id in self.members else self.roles.get(object_id)
        attributes: Mapping[str, Value] = attributes_of_user(document, self.names, roles)
        return EntraPerson(
            object_id,
            str(document.get("displayName") or ""),
            str(document.get("userPrincipalName") or ""),
            document.get("mail") or None,
            state,
            object_id in self.direct,
            tuple(self.members.get(object_id, ())),
            attributes,
            was_entitled=self.present is None or object_id in self.present or object_id in self.entitled,
            manager=self.managers.get(object_id),
        )


class DirectoryReading:
    """Reads people in Entra in two turns: those assigned, then those whose object ids Auth0 users carry.

    `with_managers`: managers are read too, of those who are asked for by id in the same requests.
    """

    def __init__(self, graph: MicrosoftGraph, assigned: Assigned, mapping: UserMapping, *, with_managers: bool = False) -> None:
        names = mapping.attributes | {"mailNickname"}
        direct = {entry.principal_id: entry for entry in assigned.entries if entry.principal_type == "User"}
        groups = {entry.principal_id: entry.principal_name for entry in assigned.entries if entry.principal_type == "Group"}
        self._graph, self._assigned, self._fields = graph, assigned, graph_fields(names)
        self._with_managers = with_managers
        self._found = _Found(names, _roles(assigned), direct, groups, assigned.present)
        self._asked_for: frozenset[str] = frozenset()  # object ids, lower case

    def everyone_assigned(self, object_ids: frozenset[str] = frozenset()) -> Iterator[Progress]:
        """Read everybody assigned and the direct members of assigned groups; and those of further object ids with them.

        With `object_ids` that Auth0 users are known to carry, a later request for those is saved.
        """
        direct = tuple(self._found.direct)
        self._asked_for = frozenset(one.lower() for one in direct) | object_ids
        further = sorted(object_ids - {one.lower() for one in direct})
        yield from self._read((*direct, *further), tuple(self._found.groups))

    def names_to_search(self, external_id: str | None) -> Iterator[tuple[str, str]]:
        """Yield the fields and values by which the Auth0 users of those read so far can be looked for."""
        for object_id, document in self._found.documents.items():
            if mail := str(document.get("mail") or ""):
                yield "email", mail
            if external_id:
                yield external_id, object_id

    def everyone_carried(self, object_ids: frozenset[str], names: frozenset[str] = frozenset()) -> Iterator[Progress]:
        """Read those of these people who are not known yet, and with them the managers of members of groups.

        `names` are the mail addresses and names of Auth0 users that carry no object id: a softly deleted member of an assigned
        group, which Graph no longer lists as such, may be found by them.
        """
        known = {object_id.lower() for object_id in self._found.documents}
        missing = tuple(sorted(object_ids - known))
        members = self._found.without_known_manager() if self._with_managers else ()
        asked_for = tuple(one for one in missing if one not in self._asked_for)
        yield from self._read((*asked_for, *members), ())
        self._settle({*self._found.direct, *missing}, names if self._found.groups else frozenset())

    def _settle(self, wanted: set[str], names: frozenset[str]) -> None:
        """Look among the softly deleted for people that Entra no longer lists; a person who is not there is gone for good."""
        found = self._found
        found.settle()
        gone = wanted - set(found.people)
        for document in self._graph.deleted_users(self._fields) if gone or names else ():
            if document["id"] in gone or names_of(document) & names:
                found.bury(document)
        for object_id in gone - set(found.people):
            name = found.direct[object_id].principal_name if object_id in found.direct else ""
            found.people[object_id] = EntraPerson(object_id, name, "", None, State.GONE, object_id in found.direct)

    def result(self) -> Directory:
        """Return what was read. A hidden group that shows no members to a sign-in without the permission counts as unknown."""
        found = self._found
        hidden = [group for group, is_hidden in found.hidden.items() if is_hidden and group not in found.shown]
        unseen = tuple(found.groups[group] for group in hidden if self._assigned.sees_hidden is not True)
        return Directory(found.people, len(found.nested), unseen)

    def _read(self, users: tuple[str, ...], groups: tuple[str, ...]) -> Iterator[Progress]:
        parts = self._graph.directory(users, groups, self._fields, with_managers=self._with_managers)
        for number, part in enumerate(parts, start=1):
            if part.visibility is not None:
                self._found.hidden[part.group_id] = part.visibility == HIDDEN
            for document in part.users:
                self._found.add(document, part.group_id)
            self._found.nested.update(part.nested)
            if number % 20 == 0:
                yield Progress("people in Entra", len(self._found.documents), len(users) if not groups else None)


def _roles(assigned: Assigned) -> dict[str, tuple[str, ...]]:
    """Return the role names of those assigned directly; a person with a role of unknown name is left out."""
    found: dict[str, list[str]] = {}
    for entry in assigned.entries:
        if entry.principal_type == "User":
            found.setdefault(entry.principal_id, []).append(assigned.role_names.get(entry.app_role_id, ""))
    return {object_id: tuple(names) for object_id, names in found.items() if all(names)}


def finished(steps: Generator[Progress, None, Any], on_progress: Any = None) -> Any:
    """Run a reading to its end and return what it read; calls `on_progress` with each `Progress`."""
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        if on_progress is not None:
            on_progress(progress)
