"""The forecast as values: each person's fate, what causes harm, and what is merely left as it is.

Everything here is frozen. A forecast of 10,000 people stays within some tens of megabytes, so the records have slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar


class Fate(StrEnum):
    """What the next cycle does to one person. The words are those of the table, `forecast.csv` and the summary."""

    UPDATE = "update"
    SAME = "same"
    NO_USER = "no user"
    BLOCK = "block"
    UNBLOCK = "unblock"
    DELETE = "delete"
    SOMEONE_ELSES_USER = "someone else's user"
    TWO_USERS = "two users"
    LEAVER = "leaver who stays active"
    CANNOT_TELL = "cannot tell"

    @property
    def strictness(self) -> int:
        """How harmful the fate is. If readings differ, the forecast shows the fate with the highest number."""
        return _FROM_MILD_TO_STRICT.index(self)


_FROM_MILD_TO_STRICT = (
    Fate.SAME,
    Fate.NO_USER,
    Fate.UPDATE,
    Fate.TWO_USERS,
    Fate.LEAVER,
    Fate.CANNOT_TELL,
    Fate.UNBLOCK,
    Fate.BLOCK,
    Fate.DELETE,
    Fate.SOMEONE_ELSES_USER,
)


class Certainty(StrEnum):
    """What a fate rests on: the vendors' own text, reports of customers, or a question that no public source answers."""

    DOCUMENTED = "documented"
    REPORTED = "reported"
    OPEN = "open"


class HarmKind(StrEnum):
    """What a cycle would cause. The start gate counts people by kind and refuses each kind until a person accepts it."""

    BLOCK = "block"
    UNBLOCK = "unblock"
    DELETE = "delete"
    SOMEONE_ELSES_USER = "someone else's user"
    OVERWRITE = "values written over"
    CANNOT_TELL = "cannot tell"

    @property
    def accept_word(self) -> str:
        """The word that accepts this kind in the settings' list `accept`: lower case, with hyphens."""
        return self.value.replace("'", "").replace(" ", "-")


class LeftKind(StrEnum):
    """What a cycle would leave as it is. These people are named and listed; they hold nothing up."""

    LEAVER = "leaver who stays active"
    TWO_USERS = "two users"
    NO_USER = "no user"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an Auth0 profile that would change.

    `field` is Auth0's dotted path (`app_metadata.department`); `before` and `after` are JSON values, None when absent.
    `rewritten_at_login`: the next sign-in writes the token's value over it. `owned`: the value before is the application's
    own (in `app_metadata` or `user_metadata`, and no earlier cycle wrote it), so that the cycle would lose it. `names_manager`:
    it comes from a row that names another person.
    """

    field: str
    before: object
    after: object
    rewritten_at_login: bool = False
    owned: bool = False
    names_manager: bool = False

    def __str__(self) -> str:
        return f"{self.field}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class OtherReading:
    """The fate of the same person where a source that disagrees is right; `reading` says in words what it claims."""

    reading: str
    fate: Fate


@dataclass(frozen=True, slots=True)
class PersonForecast:
    """What the next cycle does to one person.

    `person`, `upn` and `mail` are as Entra has them; `person` is the display name, or the object id when Entra knows no name.
    `in_scope` with `scope_reason`: direct, group NAME, everybody, unassigned, filtered out, disabled, deleted, hidden membership.
    `auth0_users` are the user ids found; `matched_by` says by what: a link, or the SCIM attribute of the matching row.
    `changes` would flow with `fate`; `overwritten_otherwise` are the application's own values that another reading writes over.
    Where readings differ, `fate` is the strictest one and `others` holds the rest.
    `other_people` names whose user it is (another person's user), or who shares the address or name (two users).
    `further_users` are Auth0 users of the same person that may sign in and that Entra does not touch under some reading.
    `reason` says in one sentence why, for `cannot tell` what is missing. `known_as` is the name in Auth0 of a person that Entra
    has deleted for good.
    """

    person: str
    object_id: str
    upn: str
    mail: str | None
    in_scope: bool
    scope_reason: str
    fate: Fate
    auth0_users: tuple[str, ...] = ()
    matched_by: str = ""
    changes: tuple[FieldChange, ...] = ()
    certainty: Certainty = Certainty.DOCUMENTED
    reading: str = ""
    others: tuple[OtherReading, ...] = ()
    other_people: tuple[str, ...] = ()
    reason: str = ""
    overwritten_otherwise: tuple[FieldChange, ...] = ()
    further_users: tuple[str, ...] = ()
    known_as: str = ""

    @property
    def called(self) -> str:
        """What the person is called: in Entra, or in Auth0 where Entra has deleted them for good and knows no name."""
        return self.known_as or self.person

    @property
    def fates(self) -> tuple[Fate, ...]:
        """Every fate that some reading gives, the strictest first."""
        return tuple(dict.fromkeys((self.fate, *(other.fate for other in self.others))))

    @property
    def overwritten(self) -> tuple[FieldChange, ...]:
        """The application's own values that would be written over under any reading."""
        return (*(change for change in self.changes if change.owned), *self.overwritten_otherwise)

    @property
    def harms(self) -> tuple[HarmKind, ...]:
        """What the cycle may cause to this person under any reading; empty when it causes no harm."""
        found = [HarmKind(fate.value) for fate in self.fates if fate in _HARMFUL]
        return (*found, *([HarmKind.OVERWRITE] if self.overwritten else []))

    @property
    def leaves(self) -> tuple[LeftKind, ...]:
        """What the cycle may leave as it is with this person; without a user counts only who is found by no reading.

        Further Auth0 users count as two users of a person who stays, and as a leaver's of one who departs.
        """
        left = [LeftKind(fate.value) for fate in self.fates if fate in _LEFT and (fate is not Fate.NO_USER or fate is self.fate)]
        further = LeftKind.TWO_USERS if self.in_scope else LeftKind.LEAVER
        return tuple(dict.fromkeys([*left, *([further] if self.further_users else [])]))


_HARMFUL = {Fate.BLOCK, Fate.UNBLOCK, Fate.DELETE, Fate.SOMEONE_ELSES_USER, Fate.CANNOT_TELL}
_LEFT = {Fate.LEAVER, Fate.TWO_USERS, Fate.NO_USER}


@dataclass(frozen=True, slots=True)
class Witness:
    """An Auth0 user known to hold a value in a field that Auth0's page does not list as one that can be searched.

    `attribute` is the SCIM attribute that searches by it, `field` Auth0's dotted path.
    """

    attribute: str
    field: str
    value: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One expression for one person: what it gives here and at Microsoft, empty for nothing. `failed`: why not answered."""

    target: str
    expression: str
    person: str
    here: str
    there: str
    failed: str = ""

    @property
    def differs(self) -> bool:
        """Whether Microsoft's answer differs from the forecast's."""
        return not self.failed and self.here != self.there


@dataclass(frozen=True, slots=True)
class Forecast:
    """The next cycle, person by person, sorted by name.

    `assigned` counts the people assigned, members of assigned groups included, enabled or not. `nested_groups`: how many groups
    within assigned groups are not provisioned. `hidden_groups`: names of assigned groups whose members this sign-in cannot see.
    `saw_auth0` is False where the Auth0 side is handed over: every assigned person then counts as having a user there who may
    sign in. `assumes_default_mapping`: the job does not exist yet, so Entra's default mapping with the procedure's changes
    stands in for its schema. `anyway` are people, by object id, and harms that the cycles of a running job cause whatever this
    run writes, without people who are only about to be assigned. `incomplete` says, a sentence each, what was not read. `witness`
    is an Auth0 user that a search can be tried on; None where there is none. `compared` are expressions
    that Microsoft has evaluated for a sample of people; empty where that was not asked for.
    """

    people: tuple[PersonForecast, ...] = ()
    assigned: int = 0
    nested_groups: int = 0
    hidden_groups: tuple[str, ...] = ()
    saw_auth0: bool = True
    assumes_default_mapping: bool = False
    incomplete: tuple[str, ...] = ()
    anyway: frozenset[tuple[str, HarmKind]] = frozenset()
    witness: Witness | None = None
    compared: tuple[Comparison, ...] = ()

    def counts(self) -> Mapping[Fate, int]:
        """Return how many people have each fate, every fate in the order of the table."""
        found = Counter(person.fate for person in self.people)
        return {fate: found[fate] for fate in Fate}

    def caused(self) -> Mapping[HarmKind, tuple[PersonForecast, ...]]:
        """Return the people that the cycle would harm, by kind; a person stands under every kind that some reading gives."""
        return _grouped(self.people, HarmKind, lambda person: person.harms)

    def left(self) -> Mapping[LeftKind, tuple[PersonForecast, ...]]:
        """Return the people that the cycle would leave as they are, by kind."""
        return _grouped(self.people, LeftKind, lambda person: person.leaves)

    def of(self, object_id: str) -> PersonForecast | None:
        """Return the forecast of one person by Entra object id, or None."""
        return next((person for person in self.people if person.object_id == object_id), None)


Kind = TypeVar("Kind", HarmKind, LeftKind)


def _grouped(
    people: Iterable[PersonForecast], kinds: type[Kind], of: Callable[[PersonForecast], tuple[Kind, ...]]
) -> dict[Kind, tuple[PersonForecast, ...]]:
    found: dict[Kind, list[PersonForecast]] = {}
    for person in people:
        for kind in of(person):
            found.setdefault(kind, []).append(person)
    return {kind: tuple(found[kind]) for kind in kinds if kind in found}


def _shown(value: object) -> str:
    return "nothing" if value is None else str(value)
