"""What Auth0 alone shows of the other administrator's work in Entra. It says what was seen, and never more.

A used token only shows that it is in use: *Test Connection* uses it too. That a user was changed by SCIM says that it was
saved, for provisioning takes what is saved. The deletion guard, the assignments and Create leave no trace that proves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from runbook_lib.core.errors import ApiError
from runbook_lib.engine.readings import derived, fact
from runbook_lib.services.auth0.management import is_called
from runbook_lib.services.auth0.models import Auth0User, ScimLogEntry, ScimToken
from runbook_lib.services.wire_words import AAD_OPT_SCIM, EXTERNAL_ID, SCIM_LOG_SCOPES, USER_NAME, WORK_EMAIL
from runbook_lib.tenant import facts
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_scopes import wanted_scopes
from runbook_lib.tenant.view import View

ON_DEMAND_LIMIT = 5  # users one provisions on demand at once, as members of a group (entra-docs, provision-on-demand)

RECENT = timedelta(days=1)


class Seen(NamedTuple):
    """Whether what was seen proves that a step was done, and what was seen, in a sentence; empty when there is nothing to say."""

    is_proof: bool
    words: str


@dataclass(frozen=True)
class Evidence:
    """One reading of Auth0.

    `used` are the tokens with exactly the wanted scopes that were used and have not ended, the one used last first. `log` are the
    requests to the endpoint, newest first, None without `read:logs`; `users` counts the connection's users; `external_id_at` is
    where SCIM stores the external id, None when nowhere; `profiles` are the users known by the test user's name or id,
    `test_user` what the settings call them; `now` is the time by Auth0's own clock.
    """

    used: tuple[ScimToken, ...]
    log: tuple[ScimLogEntry, ...] | None
    users: int
    external_id_at: str | None
    profiles: tuple[Auth0User, ...]
    test_user: str
    now: datetime | None = None

    def sign_in_application(self) -> Seen:
        """Whether the OpenID Connect application is registered."""
        words = f"Verified from Auth0: {self.users} users of this connection exist, who have signed in through it."
        return Seen(True, words) if self.users else Seen(False, "")

    def tenant_url(self) -> Seen:
        """Whether the tenant URL is entered with its flag. Unverified: that Entra ever sends the flag along."""
        if any(AAD_OPT_SCIM in entry.arguments for entry in self.log or ()):
            return Seen(True, f"Verified from Auth0: SCIM requests reach this connection with {AAD_OPT_SCIM}.")
        if not self.used:
            return Seen(False, "")
        return Seen(
            False,
            "Entra has used the token at the endpoint of this connection, so the address is right. Auth0 does not show "
            "whether it has its flag.",
        )

    def saved_credentials(self) -> Seen:
        """Whether tenant URL and token are saved: what was changed before there was that token proves nothing of it."""
        if not self.used:
            return Seen(False, "")
        made_at = self.used[0].created_at
        token = f"token {self.used[0].token_id} was last used {_day(self.used[0].last_used_at)}"
        changes = [entry for entry in self._changes() if _is_since(entry.date, made_at)]
        linked = self.linked()
        if not changes and not (linked and _is_since(str(linked.profile.get("updated_at")), made_at)):
            return Seen(False, f"The {token}, and no user has changed yet. A connection test uses the token without saving it.")
        how = f"SCIM has changed users, last {_day(changes[0].date)}" if changes else "SCIM has changed the test user"
        return Seen(True, f"Verified from Auth0: {token}, and {how}. Auth0 does not show whether the deletion guard is on.")

    def creating(self) -> Seen:
        """Whether Create is off: only that it is on can ever show."""
        tries = [entry for entry in self.log or () if entry.method == "POST"]
        if not tries:
            return Seen(False, "")
        return Seen(
            False,
            f"Entra has tried to create users, last {_day(tries[0].date)}: Create is still on, or was on then. The token "
            "lacks the scope post:users, so Entra cannot create any user.",
        )

    def object_id(self) -> Seen:
        """Whether the object id is sent as externalId."""
        linked = self.linked()
        if linked is None:
            return Seen(False, "")
        wanted = {str(value) for value in (linked.profile.get("oid"), self.test_user) if value and "@" not in str(value)}
        if not wanted:
            return Seen(False, "The test user has an external id, but Auth0 does not know the object id to compare it with.")
        if self._external_id(linked) in wanted:
            return Seen(True, "Verified from Auth0: the test user's external id is the Entra object id.")
        return Seen(False, "The test user's external id is not the Entra object id.")

    def work_email(self) -> Seen:
        """Whether people are matched by work email, behind another attribute."""
        lookups = [entry.search.lower() for entry in reversed(self.log or ()) if entry.method == "GET" and entry.search]
        by_mail, by_name = f"{WORK_EMAIL} eq".lower(), f"{USER_NAME} eq".lower()
        if any(first.startswith(by_name) and then.startswith(by_mail) for first, then in pairwise(lookups)):
            return Seen(True, "Verified from Auth0: Entra looks for people by user name, then by work email.")
        return Seen(False, "")

    def mappings(self) -> Seen:
        """Whether the attribute mappings are saved: never whole, for Create cannot be seen."""
        if self.object_id().is_proof and self.work_email().is_proof:
            return Seen(
                False,
                f"The changes of steps {Thing.EXTERNAL_ID.step} and {Thing.WORK_EMAIL.step} are in effect. Auth0 does not "
                "show whether Create is off.",
            )
        return Seen(False, "")

    def updated(self) -> Seen:
        """Whether the test user was updated by SCIM and may sign in."""
        if not self.profiles:
            words = f"Auth0 finds no user of this connection with the mail address, upn or object id {self.test_user}."
            return Seen(False, f"{words} Auth0 may have another mail address for this person until SCIM updates it.")
        if len(self.profiles) > 1:
            return Seen(False, f"{len(self.profiles)} Auth0 users of this connection match {self.test_user}.")
        if self.profiles[0].is_blocked:
            return Seen(False, "The test user is blocked in Auth0.")
        changes = [entry for entry in self._changes() if entry.user_id == self.profiles[0].user_id]
        if not self.used or not (self.linked() or changes):
            return Seen(False, "Auth0 has the test user, but SCIM has not updated them yet.")
        what = ["their external id is set"] * bool(self.linked())
        what += [f"the log has a change by SCIM, last {_day(entry.date)}" for entry in changes[:1]]
        return Seen(True, f"Verified from Auth0: the test user was updated by SCIM ({'; '.join(what)}) and is not blocked.")

    def cycles(self) -> Seen:
        """Whether provisioning is on: more people were changed than an administrator provisions on demand."""
        everyone = [entry for entry in self._changes() if entry.user_id not in {profile.user_id for profile in self.profiles}]
        people = {entry.user_id for entry in everyone if self._is_recent(entry)}
        if len(people) > ON_DEMAND_LIMIT:
            return Seen(
                True,
                f"Verified from Auth0: SCIM has changed {len(people)} people besides the test user within a day, last "
                f"{_day(everyone[0].date)}. So the job's cycles run.",
            )
        if len({entry.user_id for entry in everyone}) > ON_DEMAND_LIMIT:
            return Seen(
                False,
                "The job's cycles have run: SCIM last changed a user other than the test user on "
                f"{_day(everyone[0].date)}. Auth0 cannot show whether they still run until people change. Look at "
                "Provisioning > Overview in Entra.",
            )
        so_far = f"SCIM has changed {len(people) or 'no'} users other than the test user."
        return Seen(
            False, f"{so_far} Auth0 cannot show that the job's cycles run until SCIM has changed more than {ON_DEMAND_LIMIT}."
        )

    def _is_recent(self, entry: ScimLogEntry) -> bool:
        """Whether a change is of the cycles of the last day: cycles come every 40 minutes (entra-docs)."""
        try:
            return self.now is None or self.now - datetime.fromisoformat(entry.date) <= RECENT
        except ValueError:  # no time: unknown
            return False

    def linked(self) -> Auth0User | None:
        """Return the test user when there is exactly one and SCIM has given them an external id."""
        return self.profiles[0] if len(self.profiles) == 1 and self._external_id(self.profiles[0]) else None

    def _external_id(self, profile: Auth0User) -> str:
        return str(profile.attribute(self.external_id_at) or "") if self.external_id_at else ""

    def _changes(self) -> list[ScimLogEntry]:
        return [entry for entry in self.log or () if entry.has_changed_a_user]


def _is_since(time: str, start: str) -> bool:
    """Whether a service's time is no earlier than another; not where one of them is no time."""
    try:
        return datetime.fromisoformat(time) >= datetime.fromisoformat(start)
    except (ValueError, TypeError):  # a time without its zone cannot be compared with one that has it
        return False


def _day(time: str | None) -> str:
    """Return the day of a service's ISO time; the page shows no more, so that it repeats."""
    return (time or "never")[:10]


@fact
def scim_log(view: View) -> tuple[ScimLogEntry, ...] | None:
    """The latest requests to the SCIM endpoint, newest first; None when the sign-in may not read the log."""
    held = view.read(facts.auth0_grant).permissions
    if held is not None and not held & set(SCIM_LOG_SCOPES):
        return None
    try:
        return view.auth0.scim_log(view.read(facts.connection).id)
    except ApiError as error:
        if error.status == 403:
            return None
        raise


@fact
def known_as_test_user(view: View) -> tuple[Auth0User, ...]:
    """The users of the connection that carry the test user's name or id.

    Where the search finds no user, because it may know neither `upn` nor `oid`: those among the connection's users, and among the
    users that SCIM changed last.
    """
    own, name = view.read(facts.connection).name, view.settings.test_user
    if found := view.auth0.users_known_as(own, name) or view.auth0.users_looked_through(own, name):
        return found
    changed = dict.fromkeys(entry.user_id for entry in view.read(scim_log) or () if entry.has_changed_a_user)
    profiles = (view.auth0.user(user_id) for user_id in list(changed)[:ON_DEMAND_LIMIT])
    return tuple(one for one in profiles if one is not None and own in one.connections and is_called(one.profile, name))


@derived
def evidence(view: View) -> Evidence:
    """What Auth0 shows of the work in Entra."""
    scim, wanted = view.read(facts.scim_configuration), frozenset(wanted_scopes(view.settings))
    tokens = view.read(facts.scim_tokens) or ()  # that reading also tells which tokens have ended
    alive = [token for token in tokens if token.token_id not in view.memory.expired_ids]
    used = [token for token in alive if token.scopes == wanted and token.last_used_at]
    return Evidence(
        tuple(sorted(used, key=lambda token: token.last_used_at or "", reverse=True)),
        view.read(scim_log),
        view.read(facts.seen_users).total,
        scim.auth0_attribute(EXTERNAL_ID) if scim else None,
        view.read(known_as_test_user),
        view.settings.test_user,
        view.auth0.service.date,
    )
