"""Which users Entra would find in Auth0: by the matching rows in their order, each value through Auth0's SCIM mapping.

Source: entra-docs, customize-application-attributes (one search per matching attribute, the first with a hit ends; two hits are
an error). Auth0's configure-inbound-scim and user-profile-structure pages say that a SCIM filter reaches only the listed fields;
Okta's SCIM suites, which Auth0 asks publishers to pass, search by a field outside that list. So both readings are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from runbook_lib.tenant.forecast.arguments import Person, Value
from runbook_lib.tenant.forecast.evaluation import evaluate, flowing
from runbook_lib.tenant.forecast.expressions import CannotTell
from runbook_lib.tenant.forecast.job_mapping import Row
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, Situation, State
from runbook_lib.tenant.forecast.values import Witness
from runbook_lib.tenant.scim_mapping import as_auth0_writes

SEARCH_WORDS = "Auth0's SCIM search finds users"
_LISTED = frozenset(  # docs-v2, user-profile-structure: the root fields that can be searched
    "blocked created_at email email_verified family_name given_name identities last_ip last_login logins_count name nickname "
    "phone_number phone_verified updated_at user_id username".split()
)


def auth0_field(target: str, scim_fields: Mapping[str, str]) -> str | None:
    """Return the profile field behind a SCIM attribute. Entra joins schema and name in another way than Auth0."""
    return scim_fields.get(as_auth0_writes(target)) or scim_fields.get(target)


def is_listed(name: str) -> bool:
    """Whether Auth0's page lists a field as one that can be searched."""
    return name in _LISTED or name.startswith(("app_metadata.", "user_metadata."))


def breaks_a_search(value: str) -> bool:
    """Whether a value holds a character that a SCIM filter cannot carry (entra-docs, known issues: special characters)."""
    return bool(set(value) & set('"\\'))


def unlisted(matching: Iterable[str], scim_fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the matching attributes with the field behind each, of those whose field Auth0's page does not list."""
    found = ((attribute, auth0_field(attribute, scim_fields)) for attribute in matching)
    return tuple((attribute, name) for attribute, name in found if name and not is_listed(name))


def witness_of(
    user_id: str, values: Mapping[str, object], matching: Iterable[str], scim_fields: Mapping[str, str]
) -> Witness | None:
    """Return an Auth0 user as a witness; None if it holds no value that a search can use.

    `values` are the profile's values by dotted path.
    """
    for attribute, name in unlisted(matching, scim_fields):
        value = values.get(name)
        if isinstance(value, str) and value and not breaks_a_search(value):
            return Witness(attribute, name, value, user_id)
    return None


@dataclass(frozen=True, slots=True)
class Search:
    """One reading of what a search in Auth0 finds."""

    every_field: bool
    ignores_case: bool

    def words(self) -> str:
        """Say what the reading claims."""
        fields = "by every mapped field" if self.every_field else "only by the fields that Auth0's page lists, so not by upn"
        return f"{SEARCH_WORDS} {fields}, {'whatever' if self.ignores_case else 'by'} the capitals"


@dataclass(frozen=True, slots=True)
class Match:
    """What a search finds: the users and the SCIM attribute that found them, or why the result is unknown."""

    users: tuple[str, ...] = ()
    by: str = ""
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One matching row for one person: the field that would be searched and the value, or why neither is known."""

    target: str
    field: str = ""
    value: str = ""
    unknown: str = ""


@dataclass
class Profiles:
    """The Auth0 users of the connection, by id and by the values of the fields that are searched."""

    by_id: dict[str, Auth0Profile]
    _by_value: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, profiles: tuple[Auth0Profile, ...], fields: frozenset[str]) -> Profiles:
        """Index users by the values of some fields, ignoring capitals; linear in the users."""
        found = cls({profile.user_id: profile for profile in profiles})
        for name in fields:
            index = found._by_value.setdefault(name, {})
            for profile in profiles:
                value = profile.values.get(name)
                if value is not None:
                    index.setdefault(str(value).lower(), []).append(profile.user_id)
        return found

    def with_value(self, name: str, value: str, *, ignores_case: bool = True) -> tuple[str, ...]:
        """Return the ids of the users whose field has a value."""
        found = self._by_value.get(name, {}).get(value.lower(), ())
        if ignores_case:
            return tuple(found)
        return tuple(one for one in found if str(self.by_id[one].values[name]) == value)


def wanted_of(person: EntraPerson, situation: Situation) -> tuple[Wanted, ...]:
    """Return what each matching row would search for, in order; rows without a value are left out, as Entra does."""
    return tuple(_wanted(person, situation))


def _wanted(person: EntraPerson, situation: Situation) -> Iterator[Wanted]:
    for row in situation.mapping.matching:
        try:
            value = value_of(row, person, situation)
        except CannotTell as reason:
            yield Wanted(row.target, unknown=f"{row.target} of this person: {reason}")
            continue
        if value is None:
            continue
        name = auth0_field(row.target, situation.scim_fields)
        if name is None:
            yield Wanted(row.target, unknown=f"Auth0's SCIM mapping has no row for {row.target}, by which Entra matches")
        elif breaks_a_search(value):
            yield Wanted(row.target, unknown=f"{row.target} holds a character that breaks the search")
        else:
            yield Wanted(row.target, name, value)


def value_of(row: Row, person: EntraPerson, situation: Situation, *, departed: bool | None = None) -> str | None:
    """Return what a row gives for a person, None for null and empty. Raises `CannotTell`.

    `departed`: the engine's own `IsSoftDeleted`, true of a person who is deleted, disabled, unassigned or filtered out
    (entra-docs, how-provisioning-works); by default as the account's state says.
    """
    if row.source is None:
        raise CannotTell(row.unknown)
    is_departed = person.state is not State.ENABLED if departed is None else departed
    attributes: dict[str, Value] = {**person.attributes, "IsSoftDeleted": str(is_departed)}
    return flowing(evaluate(row.source, Person(attributes, situation.now)))


def searches(situation: Situation) -> tuple[Search, ...]:
    """Return the readings of a search that are open for this tenant."""
    readings = situation.readings
    every = (True, False) if readings.searches_every_field is None else (readings.searches_every_field,)
    case = (True, False) if readings.ignores_case is None else (readings.ignores_case,)
    return tuple(Search(one, other) for one in every for other in case)


def match(wanted: tuple[Wanted, ...], search: Search, profiles: Profiles, situation: Situation) -> Match:
    """Return the users that the rows find under one reading."""
    for row in wanted:
        if row.unknown:
            return Match(by=row.target, unknown=row.unknown)
        if not search.every_field and not is_listed(row.field):
            continue
        found = profiles.with_value(row.field, row.value, ignores_case=search.ignores_case)
        if found:
            return Match(found, row.target)
        if situation.searched_fields is not None and row.field not in situation.searched_fields:
            return Match(
                by=row.target, unknown=f"the users of the connection were not read, and none was looked for by {row.field}"
            )
    return Match()


def matches(
    wanted: tuple[Wanted, ...], profiles: Profiles, situation: Situation, open_searches: tuple[Search, ...]
) -> tuple[tuple[str, Match], ...]:
    """Return the results of the readings, each different result once with the reading's words; no words if all agree."""
    found: dict[Match, Search] = {}
    for search in open_searches:
        found.setdefault(match(wanted, search, profiles, situation), search)
    if len(found) == 1:
        return tuple(("", one) for one in found)
    return tuple((search.words(), one) for one, search in found.items())
