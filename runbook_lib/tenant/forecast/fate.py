"""The fate of one person under each reading. Source: entra-docs, how-provisioning-works, and the pages that the readings name.

A reading is a claim on which sources disagree. Every open reading that makes a difference gives a verdict of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from runbook_lib.services.wire_words import EXTERNAL_ID
from runbook_lib.tenant.forecast.changes import BLOCKED, Unknown, blocked_after_departure, changes_of
from runbook_lib.tenant.forecast.expressions import CannotTell
from runbook_lib.tenant.forecast.matching import Match, Profiles, Search, Wanted, auth0_field, matches, searches, wanted_of
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, Links, Situation, State
from runbook_lib.tenant.forecast.scope import Scope, Standing, scope_of
from runbook_lib.tenant.forecast.values import Certainty, Fate, FieldChange

BY_LINK = "link"
MANAGER_PATH = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"
GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SKIPPED = "Microsoft's text: a person who was disabled before the first match is skipped"
DISABLED = "reports: a person who was disabled before the first match is matched and disabled"
LINKED = "the job holds the link of an earlier cycle"
NOT_LINKED = "the job holds no link to this Auth0 user"
UNCHANGED = "a cycle that goes on where the last one ended looks only at people who changed in Entra"
FAILS = "an expression that Entra cannot evaluate may fail the whole person, and nothing is sent"
DISABLED_FIRST = "this person was disabled when the account was deleted for good"
UNASSIGNED_FIRST = "this person was out of scope already when the account was deleted for good: no deletion is sent then"
MANAGER = "Auth0's support article on the manager row: Entra cannot read a user who has a manager, and the person fails"
UNASSIGNING = "Microsoft's text: a linked person who is no longer assigned is disabled"
NOT_UNASSIGNING = "one report (azure-docs issue 104769): nothing is sent about a person who is no longer assigned"
UNBLOCKING = "the row of active comes to true for a person who departs, and is sent as it is"
GIVEN_AGAIN = "the user name or address was another person's before, whose Auth0 user this is"
RENAMED = "the Auth0 user is this person's, who had another name before"
NOT_UNBLOCKING = "a departure sends nothing but that a person is not active"

_READ = (Fate.UPDATE, Fate.SAME, Fate.UNBLOCK, Fate.BLOCK, Fate.SOMEONE_ELSES_USER)  # the Auth0 user is read before it is written


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate under one reading, with the Auth0 users it is about. `others` are the people whose user it is, by object id.

    `fails`: Entra breaks off before it writes.
    """

    fate: Fate
    users: tuple[str, ...] = ()
    by: str = ""
    changes: tuple[FieldChange, ...] = ()
    reason: str = ""
    others: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    certainty: Certainty = Certainty.DOCUMENTED
    fails: bool = False

    def under(self, *words: str, certainty: Certainty = Certainty.OPEN) -> Verdict:
        """Return the verdict as that of a reading."""
        kept = tuple(word for word in words if word)
        if not kept:
            return self
        return replace(self, words=(*kept, *self.words), certainty=certainty)


def _named_otherwise(changes: tuple[FieldChange, ...]) -> str:
    """Return the present name of an Auth0 user if it shares no word with the new name; empty otherwise.

    A reused name or address finds the former person's user. Auth0 shows the mail address if a login brought no name.
    """
    change = next((one for one in changes if one.field == "name"), None)
    if change is None or isinstance(change.after, Unknown):
        return ""
    before, after = str(change.before or ""), str(change.after)
    return before if before and "@" not in before and not _words(before) & _words(after) else ""


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", name.casefold()))


@dataclass
class Judge:
    """Judges people one by one against the Auth0 users of a situation, which are indexed once."""

    situation: Situation
    profiles: Profiles
    searches: tuple[Search, ...]
    external_id: str | None
    by_external_id: dict[str, list[str]]
    by_oid: dict[str, list[str]]
    by_nickname: dict[str, list[str]]

    @classmethod
    def of(cls, situation: Situation) -> Judge:
        """Index the Auth0 users; linear in them."""
        external_id = auth0_field(EXTERNAL_ID, situation.scim_fields)
        fields = {auth0_field(row.target, situation.scim_fields) for row in situation.mapping.matching} | {"email", "upn"}
        profiles = Profiles.of(situation.profiles, frozenset(name for name in fields if name))
        judge = cls(situation, profiles, searches(situation), external_id, {}, {}, {})
        for profile in situation.profiles:
            judge.by_nickname.setdefault(str(profile.values.get(external_id or "") or "").lower(), []).append(profile.user_id)
            for oid in profile.oids:
                judge.by_oid.setdefault(oid.lower(), []).append(profile.user_id)
            judge.by_external_id.setdefault(judge.object_id_in(profile).lower(), []).append(profile.user_id)
        return judge

    def object_id_in(self, profile: Auth0Profile) -> str:
        """Return the Entra object id that a profile carries as external id, empty where it carries another text or none."""
        value = str(profile.values.get(self.external_id or "") or "")
        return value if GUID.fullmatch(value) else ""

    def object_ids_of(self, profile: Auth0Profile) -> frozenset[str]:
        """Return the Entra object ids that a profile carries, lower case."""
        return frozenset(one.lower() for one in (*profile.oids, self.object_id_in(profile)) if one)

    def own_users(self, person: EntraPerson) -> tuple[str, ...]:
        """Return a person's Auth0 users: found by external id or `oid`, otherwise by name and mail address."""
        own = [*self.by_external_id.get(person.object_id.lower(), ()), *self.by_oid.get(person.object_id.lower(), ())]
        if not own and person.state is not State.GONE:
            named = [self.profiles.with_value("upn", person.upn) if person.upn else ()]
            named += [self.profiles.with_value("email", person.mail) if person.mail else ()]
            own = [one for found in named for one in found if not self._owner(one, person)]
        return tuple(dict.fromkeys(own))

    def further_users(self, person: EntraPerson, verdicts: Iterable[Verdict]) -> tuple[str, ...]:
        """Return the Auth0 users of a person that may sign in, and that Entra does not touch under some verdict.

        Entra links a person to one user; another one, of an earlier app registration, keeps its access when the person leaves.
        """
        own = [*self.own_users(person)]
        for name, value in (("upn", person.upn), ("email", person.mail)):
            found = self.profiles.with_value(name, value) if value else ()
            own += [one for one in found if not self._owner(one, person)]
        active = [one for one in dict.fromkeys(own) if not self.profiles.by_id[one].is_blocked]
        written = [set(verdict.users) for verdict in verdicts if len(verdict.users) == 1 and verdict.by]
        return tuple(one for one in active if any(one not in users for users in written))

    def _owner(self, user_id: str, person: EntraPerson) -> str:
        """Return the object id of another person who owns the Auth0 user; empty when nothing says so."""
        profile, own = self.profiles.by_id[user_id], person.object_id.lower()
        if profile.oids and own not in map(str.lower, profile.oids):
            return profile.oids[0]
        written = self.object_id_in(profile)
        return written if written.lower() != own else ""

    # The verdicts ----------------------------------------------------------------------------------------------------

    def verdicts(self, person: EntraPerson) -> tuple[Scope, tuple[Verdict, ...], tuple[Wanted, ...]]:
        """Return a person's standing, one verdict or more, and what the matching rows would search for."""
        scope = scope_of(person, self.situation)
        wanted = () if person.state is State.GONE else wanted_of(person, self.situation)
        if scope.standing is Standing.CANNOT_TELL or (scope.standing is Standing.UNASSIGNED and self.situation.hidden_groups):
            return scope, (self._unknown_scope(person, scope, wanted),), wanted
        return scope, tuple(self._by_link(person, scope, wanted)), wanted

    def _unknown_scope(self, person: EntraPerson, scope: Scope, wanted: tuple[Wanted, ...]) -> Verdict:
        """Return the verdict for an unknown standing: the fate is certain only if the standing makes no difference."""
        inside = Standing.DISABLED if person.state is State.DISABLED else Standing.IN_SCOPE
        outside = Standing.FILTERED_OUT if scope.is_entitled else Standing.UNASSIGNED
        scopes = (Scope(inside, scope.reason, is_entitled=True), Scope(outside, scope.reason, scope.is_entitled))
        found = [one for each in scopes for one in self._by_link(person, each, wanted)]
        if len({one.fate for one in found}) == 1:
            return found[0]
        users = tuple(dict.fromkeys(user for one in found for user in one.users))
        return Verdict(Fate.CANNOT_TELL, users, reason=f"whether this person is in scope is not known ({scope.reason})")

    def _by_link(self, person: EntraPerson, scope: Scope, wanted: tuple[Wanted, ...]) -> Iterator[Verdict]:
        """Yield the verdicts for each link that the job may hold."""
        links = self.links_of(person, wanted)
        for link in links:
            words = "" if len(links) == 1 else LINKED if link else NOT_LINKED
            found = self._linked(person, scope, link) if link else self._unlinked(person, scope, wanted)
            for one in found:
                yield from (each.under(words) for each in self.with_manager(person, one))
                if scope.standing is Standing.IN_SCOPE and any(
                    isinstance(change.after, Unknown) and change.after.may_stay for change in one.changes
                ):
                    yield Verdict(Fate.SAME, one.users, one.by, words=(FAILS,), certainty=Certainty.OPEN, fails=True)

    def with_manager(self, person: EntraPerson, verdict: Verdict, order: str = "") -> Iterator[Verdict]:
        """Yield a verdict, and what becomes of it where Entra cannot read the Auth0 user: then nothing is sent at all.

        `order` says in which order of the cycle the Auth0 user has a manager, where it has none before.
        """
        fails = self.situation.readings.manager_fails
        if fails is False or not verdict.by or verdict.fails or verdict.fate not in _READ:
            yield verdict
            return
        if not order and not self.has_manager(verdict.users):
            yield verdict
            return
        if fails is None or order:
            yield verdict
        left = replace(self.left(person, verdict.users, verdict.by), fails=True)
        left = left.under(MANAGER, certainty=Certainty.REPORTED) if fails is None else left
        yield left.under(order, certainty=Certainty.OPEN) if order else left

    def has_manager(self, users: tuple[str, ...]) -> bool:
        """Whether one of these Auth0 users has a manager now."""
        name = auth0_field(MANAGER_PATH, self.situation.scim_fields)
        return name is not None and any(self.profiles.by_id[user].values.get(name) for user in users)

    def links_of(self, person: EntraPerson, wanted: tuple[Wanted, ...]) -> tuple[str, ...]:
        """Return the Auth0 users that the job may have linked a person to; an empty text for no link."""
        known = self.situation.known_links.get(person.object_id)
        if known is not None:
            return (known if known in self.profiles.by_id else "",)
        if self.situation.links is Links.NONE:
            return ("",)
        if seen := self.by_external_id.get(person.object_id.lower()):
            return (*seen, "")
        if self.situation.links is Links.SEEN:
            return ("",)
        found = [user for _, one in self.matches(wanted) for user in one.users if len(one.users) == 1]
        nickname = str(person.attributes.get("mailNickname") or "").lower()  # what Entra's default mapping sends as external id
        found += self.by_nickname.get(nickname, ()) if nickname else ()
        return (*dict.fromkeys([*self.own_users(person), *found]), "")

    def matches(self, wanted: tuple[Wanted, ...]) -> tuple[tuple[str, Match], ...]:
        """Return what the open readings of a search find for a person."""
        return matches(wanted, self.profiles, self.situation, self.searches)

    # Linked ----------------------------------------------------------------------------------------------------------

    def _linked(self, person: EntraPerson, scope: Scope, link: str) -> Iterator[Verdict]:
        profile = self.profiles.by_id[link]
        if scope.standing is Standing.IN_SCOPE:
            written = self.written(person, profile, BY_LINK)
            yield written
            if written.fate is Fate.UNBLOCK:
                yield Verdict(Fate.SAME, (link,), BY_LINK, words=(UNCHANGED,), certainty=Certainty.DOCUMENTED)
        elif scope.standing is Standing.GONE:
            yield from self._gone(person, profile)
        elif person.state is not State.ENABLED:
            yield from self._departs(person, profile)
        elif scope.standing is Standing.NOT_LOOKED_AT:
            yield self.left(person, (link,))
        elif scope.standing in (Standing.UNASSIGNED, Standing.FILTERED_OUT):
            yield from self._out_of_scope(person, scope, link)
        else:
            yield from self._departs(person, profile)

    def _gone(self, person: EntraPerson, profile: Auth0Profile) -> Iterator[Verdict]:
        """Yield the verdicts on a linked person who is deleted for good: the target is deleted, unless they left scope before."""
        link = (profile.user_id,)
        if "Delete" not in self.situation.mapping.flows:
            yield self.left(person, link)
            return
        deleted = Verdict(Fate.DELETE, link, BY_LINK)
        yield deleted.under(DISABLED_FIRST, certainty=Certainty.DOCUMENTED) if profile.is_blocked else deleted
        if profile.is_blocked:
            yield self.left(person, link).under(UNASSIGNED_FIRST, certainty=Certainty.DOCUMENTED)

    def _out_of_scope(self, person: EntraPerson, scope: Scope, link: str) -> Iterator[Verdict]:
        if self.situation.skips_out_of_scope:
            yield self.left(person, (link,))
            return
        gone, *sent_nothing = self._departs(person, self.profiles.by_id[link])
        yield from sent_nothing
        disables = self.situation.readings.unassigning_disables if scope.standing is Standing.UNASSIGNED else True
        left = self.left(person, (link,))
        if disables is not False:
            yield gone if disables or gone.fate is left.fate else gone.under(UNASSIGNING, certainty=Certainty.DOCUMENTED)
        if disables is not True and (disables is False or gone.fate is not left.fate):
            yield left.under(NOT_UNASSIGNING, certainty=Certainty.REPORTED)

    def _departs(self, person: EntraPerson, profile: Auth0Profile) -> Iterator[Verdict]:
        """Yield the verdicts on the linked user of a person who departs: no source says whether one may unblock."""
        verdict = self._departing(person, profile, BY_LINK)
        if verdict.fate is not Fate.UNBLOCK:
            yield verdict
            return
        yield verdict.under(UNBLOCKING)
        yield self.left(person, verdict.users).under(NOT_UNBLOCKING)

    def _departing(self, person: EntraPerson, profile: Auth0Profile, by: str) -> Verdict:
        """Return what becomes of the Auth0 user of a person who departs."""
        users = (profile.user_id,)
        try:
            after = blocked_after_departure(person, self.situation)
        except CannotTell as unknown:
            return Verdict(Fate.CANNOT_TELL, users, by, reason=f"whether the departure blocks: {unknown}")
        if after is None or after is profile.is_blocked:
            return self.left(person, users, by)
        return Verdict(Fate.BLOCK if after else Fate.UNBLOCK, users, by, (FieldChange(BLOCKED, profile.is_blocked, after),))

    # Not linked ------------------------------------------------------------------------------------------------------

    def _unlinked(self, person: EntraPerson, scope: Scope, wanted: tuple[Wanted, ...]) -> Iterator[Verdict]:
        if scope.standing is Standing.IN_SCOPE:
            for words, found in self.matches(wanted):
                yield from (one.under(words) for one in self._with_another_name(self.matched(person, found)))
        elif scope.standing in (Standing.DISABLED, Standing.DELETED) and scope.is_entitled:
            yield from self._disabled_before(person, wanted)
        else:
            yield self.left(person, self.own_users(person))

    def matched(self, person: EntraPerson, found: Match) -> Verdict:
        """Return the verdict on a person in scope, for whose user Entra searches."""
        if found.unknown:
            return Verdict(Fate.CANNOT_TELL, self.own_users(person), found.by, reason=found.unknown)
        if len(found.users) > 1:
            return Verdict(Fate.TWO_USERS, found.users, found.by, reason=f"{len(found.users)} Auth0 users match {found.by}")
        if found.users:
            return self.written(person, self.profiles.by_id[found.users[0]], found.by)
        if "Add" in self.situation.mapping.flows:
            return Verdict(Fate.CANNOT_TELL, reason="no Auth0 user is found, and Create is on: Entra would try to make one")
        own = self.own_users(person)
        seen = "their Auth0 user is not found by" if own else "no Auth0 user is found by"
        return Verdict(Fate.NO_USER, own, reason=f"{seen} the matching attributes, and Create is off")

    def written(self, person: EntraPerson, profile: Auth0Profile, by: str) -> Verdict:
        """Return the verdict on a person in scope and the Auth0 user that Entra writes to."""
        users = (profile.user_id,)
        changes = changes_of(person, profile, self.situation, linked=self.was_written(person, profile))
        if owner := self._owner(profile.user_id, person):
            return Verdict(Fate.SOMEONE_ELSES_USER, users, by, changes, "this Auth0 user carries another object id", (owner,))
        blocked = next((change for change in changes if change.field == BLOCKED), None)
        if blocked is not None and isinstance(blocked.after, Unknown):
            return Verdict(Fate.CANNOT_TELL, users, by, changes, f"whether this person stays blocked: {blocked.after.reason}")
        if blocked is not None:
            return Verdict(Fate.BLOCK if blocked.after else Fate.UNBLOCK, users, by, changes)
        return Verdict(Fate.UPDATE if changes else Fate.SAME, users, by, changes)

    def _with_another_name(self, verdict: Verdict) -> Iterator[Verdict]:
        """Yield a verdict, two where nothing says whose the Auth0 user is that is found and it has another name altogether."""
        found = [self.profiles.by_id[user] for user in verdict.users] if verdict.by else []
        named = _named_otherwise(verdict.changes) if len(found) == 1 and not self.object_ids_of(found[0]) else ""
        if named:
            reason = f"the Auth0 user is named {named} and carries no object id"
            yield replace(verdict, fate=Fate.SOMEONE_ELSES_USER, reason=reason).under(GIVEN_AGAIN)
        yield verdict.under(RENAMED if named else "")

    def was_written(self, person: EntraPerson, profile: Auth0Profile) -> bool:
        """Whether an earlier cycle wrote a profile; otherwise the customer's application may have written all of it."""
        return self.situation.cycles_ran and self.object_id_in(profile).lower() == person.object_id.lower()

    def _disabled_before(self, person: EntraPerson, wanted: tuple[Wanted, ...]) -> Iterator[Verdict]:
        """Yield the verdicts on a person who was disabled or deleted before the first match: sources disagree."""
        skips = self.situation.readings.skips_disabled
        left = self.left(person, self.own_users(person))
        if skips is not False:
            yield left.under(SKIPPED, certainty=Certainty.DOCUMENTED) if skips is None else left
        if skips is not True:
            for words, found in self.matches(wanted):
                verdict = self.departing_match(person, found, left)
                yield verdict.under(DISABLED if skips is None else "", words, certainty=Certainty.REPORTED)

    def departing_match(self, person: EntraPerson, found: Match, left: Verdict) -> Verdict:
        """Return the verdict on a departed person under the reports, which say that Entra matches and disables such people."""
        if found.unknown:
            return Verdict(Fate.CANNOT_TELL, left.users, found.by, reason=found.unknown)
        if len(found.users) != 1:
            return Verdict(Fate.TWO_USERS, found.users, found.by) if found.users else left
        verdict = self._departing(person, self.profiles.by_id[found.users[0]], found.by)
        owner = self._owner(found.users[0], person)
        if owner and verdict.fate in (Fate.BLOCK, Fate.UNBLOCK):
            reason = "this Auth0 user carries another object id"
            return Verdict(Fate.SOMEONE_ELSES_USER, verdict.users, found.by, verdict.changes, reason, (owner,))
        return verdict

    def left(self, person: EntraPerson, users: tuple[str, ...], by: str = "") -> Verdict:
        """Return the verdict on a person about which Entra sends no request."""
        if not users:
            return Verdict(Fate.NO_USER, reason="there is no Auth0 user of this person")
        if all(self.profiles.by_id[user].is_blocked for user in users):
            return Verdict(Fate.SAME, users, by, reason="blocked already")
        if person.state is not State.ENABLED:
            return Verdict(Fate.LEAVER, users, by, reason="left Entra, and nothing about it is sent to Auth0")
        has_access = not self.situation.needs_assignment or person.is_assigned or bool(person.groups)
        if has_access:
            return Verdict(Fate.SAME, users, by, reason="not provisioned, and may sign in as before")
        return Verdict(Fate.LEAVER, users, by, reason="lost the assignment, and nothing about it is sent to Auth0")
