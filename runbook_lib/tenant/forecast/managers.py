"""Managers: a mapped manager flows as the Auth0 user that the job has linked to that person.

Source: entra-docs, known issues for provisioning (a reference flows once the person it names is provisioned too). Unverified:
that a reference is not sent again within the cycle that links the other person. In which order a cycle takes people is documented
nowhere, so a manager who is only about to be linked gives a value that is not foretold, and both fates where it decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from runbook_lib.tenant.forecast.changes import Unknown, changes_by_reference
from runbook_lib.tenant.forecast.fate import BY_LINK, UNCHANGED, Judge, Verdict
from runbook_lib.tenant.forecast.people import EntraPerson, Links
from runbook_lib.tenant.forecast.turns import Judged
from runbook_lib.tenant.forecast.values import Certainty, Fate

FIRST = "the manager is linked before this person's turn in the cycle"
LATER = "the manager is linked later in the cycle, and the value flows in another one"
GIVEN_FIRST = "another person gives the same Auth0 user a manager first in the cycle"
_SENT = (Fate.UPDATE, Fate.SAME, Fate.UNBLOCK, Fate.BLOCK, Fate.SOMEONE_ELSES_USER, Fate.CANNOT_TELL)


@dataclass
class Managers:
    """Everybody's verdicts by object id, in which the manager's Auth0 user is looked up.

    `people` are by object id in lower case. `givers` are those who may write a manager into an Auth0 user, by that user's id.
    """

    judge: Judge
    people: Mapping[str, Judged]
    verdicts_of: Mapping[str, tuple[Verdict, ...]]
    givers: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, judge: Judge, people: tuple[Judged, ...], verdicts_of: Mapping[str, tuple[Verdict, ...]]) -> Managers:
        """Index the people, and what each may write."""
        managers = cls(judge, {one.person.object_id.lower(): one for one in people}, verdicts_of)
        for one in people if judge.situation.mapping.references else ():
            for verdict in managers._own(one):
                if any(change.names_manager and change.after is not None for change in verdict.changes):
                    managers.givers.setdefault(verdict.users[0], set()).add(one.person.object_id)
        return managers

    def verdicts(self, one: Judged) -> tuple[Verdict, ...]:
        """Return the verdicts on a person with the manager among the changes, where one may flow.

        Another person in the same cycle may write a manager into the Auth0 user that this one finds. Then Entra may not read it.
        """
        own = self._own(one)
        if not self.givers:
            return own
        return tuple(each for verdict in own for each in self._once_given(one.person, verdict))

    def _once_given(self, person: EntraPerson, verdict: Verdict) -> Iterator[Verdict]:
        givers = {giver for user in verdict.users for giver in self.givers.get(user, ())}
        if givers - {person.object_id} and not self.judge.has_manager(verdict.users):
            yield from self.judge.with_manager(person, verdict, GIVEN_FIRST)
        else:
            yield verdict

    def _own(self, one: Judged) -> tuple[Verdict, ...]:
        found = self.verdicts_of[one.person.object_id]
        if not self.judge.situation.mapping.references or not one.is_in_scope:
            return found
        target = self._user_of_manager(one.person)
        return tuple(each for verdict in found for each in self._with_manager(one.person, verdict, target))

    def _with_manager(self, person: EntraPerson, verdict: Verdict, target: object) -> Iterator[Verdict]:
        if verdict.fate not in _SENT or len(verdict.users) != 1 or not verdict.by or verdict.fails or UNCHANGED in verdict.words:
            yield verdict
            return
        profile = self.judge.profiles.by_id[verdict.users[0]]
        linked = self.judge.was_written(person, profile)
        changes = changes_by_reference(person, profile, self.judge.situation, target, linked=linked)
        if not changes:
            yield verdict
            return
        others = (change for change in verdict.changes if change.field not in {own.field for own in changes})
        written = replace(verdict, changes=(*others, *changes))
        if verdict.fate is not Fate.SAME:
            yield written
        elif all(isinstance(change.after, Unknown) for change in changes):
            yield replace(written, fate=Fate.UPDATE).under(FIRST, certainty=Certainty.OPEN)
            yield verdict.under(LATER, certainty=Certainty.OPEN)
        else:
            yield replace(written, fate=Fate.UPDATE)

    def _user_of_manager(self, person: EntraPerson) -> object:
        """Return the id of the Auth0 user that flows as manager, None if none does, or why that is unknown."""
        if person.manager is None:
            return Unknown("the manager in Entra was not read")
        if not person.manager:
            return None
        manager = self.people.get(person.manager)
        if manager is None:
            situation = self.judge.situation
            is_unseen = situation.links is Links.UNSEEN or (
                situation.links is Links.SEEN and situation.searched_fields is not None
            )
            return Unknown("whether the job holds a link to the manager is not known") if is_unseen else None
        links = self.judge.links_of(manager.person, manager.wanted)
        found = {link for link in links if link}
        if "" in links:
            verdicts = self.verdicts_of[manager.person.object_id]
            if any(verdict.fate is Fate.CANNOT_TELL for verdict in verdicts):
                return Unknown("which Auth0 user the manager gets is not known")
            found.update(
                verdict.users[0]
                for verdict in verdicts
                if verdict.by not in ("", BY_LINK) and len(verdict.users) == 1 and not verdict.fails
            )
        if len(found) > 1:
            return Unknown("which Auth0 user the manager gets is not known")
        user = next(iter(found), None)
        return Unknown(f"{user} if the manager is linked first") if user and "" in links else user
