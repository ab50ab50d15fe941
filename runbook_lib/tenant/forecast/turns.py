"""The order of people within a cycle: one person's write changes the values by which Entra searches for another person.

A reused name or address stays in the former person's profile until the cycle comes to that person. No page documents the order in
which a cycle takes people, so a person whose search depends on the order gets a verdict for each order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, combinations

from runbook_lib.tenant.forecast.fate import BY_LINK, DISABLED, Judge, Verdict
from runbook_lib.tenant.forecast.matching import Match, Search, Wanted, is_listed
from runbook_lib.tenant.forecast.people import EntraPerson
from runbook_lib.tenant.forecast.values import Certainty, Fate

_MOST_MOVES = 4  # with more people, the forecast does not try every order
_WRITES = (Fate.UPDATE, Fate.SAME, Fate.UNBLOCK, Fate.BLOCK, Fate.SOMEONE_ELSES_USER)
_DEPARTS = (Fate.UNBLOCK, Fate.BLOCK, Fate.DELETE, Fate.SOMEONE_ELSES_USER)
ORDER = "another person who is searched by, or writes, the same value comes first in the cycle"


@dataclass(frozen=True, slots=True)
class Judged:
    """A person with the verdicts on them, taken alone.

    `is_matched_on_departure`: they left before the first match, and reports say that such a person is matched and disabled.
    """

    person: EntraPerson
    verdicts: tuple[Verdict, ...]
    wanted: tuple[Wanted, ...]
    is_in_scope: bool
    is_matched_on_departure: bool = False


@dataclass
class Turns:
    """Who writes which value into which Auth0 user, over all people of a cycle."""

    judge: Judge
    people: Mapping[str, Judged]
    claims: dict[str, list[str]] = field(default_factory=dict)  # user id -> object ids of those who may write to it
    # By field and value in lower case: the user written to, by which person, and the value as it is written.
    writers: dict[tuple[str, str], list[tuple[str, str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, judge: Judge, judged: Iterable[Judged]) -> Turns:
        """Collect all writes; linear in the people."""
        turns = cls(judge, {one.person.object_id: one for one in judged})
        for one in turns.people.values():
            turns._collect(one, one.verdicts)
        return turns

    def settled(self) -> dict[str, tuple[Verdict, ...]]:
        """Return the verdicts on everyone by object id.

        One order of writes may lead to further writes, so this repeats until no further person claims an Auth0 user.
        """
        while True:
            found = {object_id: self.verdicts(one) for object_id, one in self.people.items()}
            count = sum(map(len, self.claims.values()))
            for object_id, verdicts in found.items():
                self._collect(self.people[object_id], verdicts)
            if sum(map(len, self.claims.values())) == count:
                return found

    def _collect(self, one: Judged, verdicts: tuple[Verdict, ...]) -> None:
        for user in dict.fromkeys(user for verdict in verdicts for user in _written_to(verdict, one)):
            claimants = self.claims.setdefault(user, [])
            if one.person.object_id in claimants:
                continue
            claimants.append(one.person.object_id)
            for row in one.wanted if one.is_in_scope else ():
                if row.value:
                    written = (user, one.person.object_id, row.value)
                    self.writers.setdefault((row.field, row.value.lower()), []).append(written)

    def verdicts(self, one: Judged) -> tuple[Verdict, ...]:
        """Return the verdicts on a person, those of other orders added and the other claimants of their Auth0 user named."""
        own = tuple(each for verdict in one.verdicts for each in self._with_claimants(verdict, one))
        if all(verdict.by == BY_LINK for verdict in one.verdicts) or not (one.is_in_scope or one.is_matched_on_departure):
            return own
        moves = self._moves(one)
        if not moves:
            return own
        if len(moves) > _MOST_MOVES:
            return (*own, Verdict(Fate.CANNOT_TELL, reason="several people share the values that this person is searched by"))
        return (*own, *self._in_other_orders(one, moves))

    def _with_claimants(self, verdict: Verdict, one: Judged) -> tuple[Verdict, ...]:
        """Return the verdicts on a person whose Auth0 user others would write to as well: the order is not known."""
        if not _writes(verdict, one):
            return (verdict,)
        others = tuple(other for other in self.claims.get(verdict.users[0], ()) if other != one.person.object_id)
        if not others:
            return (verdict,)
        profile = self.judge.profiles.by_id[verdict.users[0]]
        own = one.person.object_id.lower()
        fate, reason = verdict.fate, verdict.reason
        if verdict.by != BY_LINK and own not in self.judge.object_ids_of(profile):
            fate, reason = Fate.SOMEONE_ELSES_USER, reason or "the matching attributes of several people find this Auth0 user"
        named = tuple(dict.fromkeys([*verdict.others, *others]))
        first = replace(verdict, fate=fate, reason=reason, others=named)
        if not one.is_in_scope:
            if verdict.fate is not Fate.SAME:
                return (first,)
            blocks = fate if fate is Fate.SOMEONE_ELSES_USER else Fate.BLOCK  # blocked already, unless another unblocks it first
            return (verdict, replace(first, fate=blocks).under(ORDER))
        if fate is Fate.SOMEONE_ELSES_USER:
            return (first,)
        return (first, *(replace(first, fate=after).under(ORDER) for after in self._after_others(verdict, others)))

    def _after_others(self, verdict: Verdict, others: tuple[str, ...]) -> tuple[Fate, ...]:
        """Return what becomes of a person in scope whose Auth0 user another has written to before, or blocked."""
        departs = any(not self.people[other].is_in_scope for other in others)
        found = {Fate.UNBLOCK: (Fate.UPDATE, Fate.SAME), Fate.UPDATE: (Fate.SAME,), Fate.SAME: (Fate.UPDATE,)}
        return (*found.get(verdict.fate, ()), *([Fate.UNBLOCK] if departs else ()))

    def _moves(self, one: Judged) -> tuple[tuple[str, str, str], ...]:
        """Return what others may have written before: (user, field, value after), where it changes a search of this person."""
        found: dict[tuple[str, str, str], None] = {}
        for row in one.wanted:
            if not row.value:
                continue
            for user in self.judge.profiles.with_value(row.field, row.value):
                for other in self.claims.get(user, ()):
                    after = self._written(other, row.field)
                    if other != one.person.object_id and after and after.lower() != row.value.lower():
                        found[user, row.field, after] = None
            for user, other, after in self.writers.get((row.field, row.value.lower()), ()):
                before = self.judge.profiles.by_id[user].values.get(row.field)
                if other != one.person.object_id and str(before or "").lower() != row.value.lower():
                    found[user, row.field, after] = None
        return tuple(found)

    def _written(self, object_id: str, name: str) -> str:
        if not self.people[object_id].is_in_scope:
            return ""
        return next((row.value for row in self.people[object_id].wanted if row.field == name), "")

    def _in_other_orders(self, one: Judged, moves: tuple[tuple[str, str, str], ...]) -> tuple[Verdict, ...]:
        found: dict[Match, None] = {}
        for search in self.judge.searches:
            for made in chain.from_iterable(combinations(moves, count) for count in range(1, len(moves) + 1)):
                found[self._after(one, search, made)] = None
        verdicts = (each for match in found for made in self._matched(one, match) for each in self._with_claimants(made, one))
        return tuple(verdict.under(ORDER, certainty=Certainty.OPEN) for verdict in verdicts)

    def _matched(self, one: Judged, found: Match) -> tuple[Verdict, ...]:
        if one.is_in_scope:
            return tuple(self.judge.with_manager(one.person, self.judge.matched(one.person, found)))
        left = self.judge.left(one.person, self.judge.own_users(one.person))
        verdict = self.judge.departing_match(one.person, found, left).under(DISABLED)
        return tuple(self.judge.with_manager(one.person, verdict))

    def _after(self, one: Judged, search: Search, moves: tuple[tuple[str, str, str], ...]) -> Match:
        """Return the users that the person's search finds once others have written."""
        moved = {(user, name): value for user, name, value in moves}
        for row in one.wanted:
            if row.unknown:
                return Match(by=row.target, unknown=row.unknown)
            if not search.every_field and not is_listed(row.field):
                continue
            wanted = row.value.lower() if search.ignores_case else row.value
            candidates = [*self.judge.profiles.with_value(row.field, row.value), *(user for user, _ in moved)]
            hits = []
            for user in dict.fromkeys(candidates):
                value = str(moved.get((user, row.field), self.judge.profiles.by_id[user].values.get(row.field) or ""))
                if (value.lower() if search.ignores_case else value) == wanted:
                    hits.append(user)
            if hits:
                return Match(tuple(hits), row.target)
        return Match()


def _written_to(verdict: Verdict, one: Judged) -> tuple[str, ...]:
    """Return the Auth0 users that the cycle may write to by a verdict; of a person who cannot be told, all of theirs."""
    if verdict.fate is Fate.CANNOT_TELL and one.is_in_scope:
        return verdict.users
    return verdict.users if _writes(verdict, one) else ()


def _writes(verdict: Verdict, one: Judged) -> bool:
    """Whether a verdict is about one Auth0 user that the cycle would write to, or would have if it were not blocked already."""
    if len(verdict.users) != 1 or verdict.fails:
        return False
    return (
        verdict.fate in _WRITES
        if one.is_in_scope
        else verdict.fate in _DEPARTS or (verdict.fate is Fate.SAME and bool(verdict.by))
    )
