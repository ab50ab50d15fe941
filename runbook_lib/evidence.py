"""What Auth0 alone shows of the work that somebody else does in Entra. It says what was seen, and never more.

That a token was used says that somebody has it: *Test Connection* uses it too. That a user was changed by SCIM says that it was
saved, for provisioning takes what is saved. The deletion guard, the assignments and Create leave no trace that proves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import unquote

from runbook_lib.models import Auth0User, ScimLogEntry, ScimToken
from runbook_lib.vocabulary import AAD_OPT_SCIM, USER_NAME, WORK_EMAIL

ON_DEMAND_LIMIT = 5  # users one provisions on demand at once, as members of a group (entra-docs, provision-on-demand)


class Seen(NamedTuple):
    """Whether what was seen proves that a step was done, and what was seen, in a sentence; empty when there is nothing to say."""

    is_proof: bool
    words: str


@dataclass(frozen=True)
class Evidence:
    """One reading of Auth0.

    `used` are the tokens with exactly the three scopes that were used, `log` the requests to the endpoint, newest first, None
    without `read:logs`; `users` counts the connection's users; `external_id_at` is where SCIM stores the external id, None when
    nowhere; `profiles` are the users known by the test user's name or id, `test_user` what the settings call them.
    """

    used: tuple[ScimToken, ...]
    log: tuple[ScimLogEntry, ...] | None
    users: int
    external_id_at: str | None
    profiles: tuple[Auth0User, ...]
    test_user: str

    def sign_in_application(self) -> Seen:
        """Whether the OpenID Connect application is registered (3.1)."""
        words = f"Verified from Auth0: {self.users} users of this connection exist, who have signed in through it."
        return Seen(True, words) if self.users else Seen(False, "")

    def tenant_url(self) -> Seen:
        """Whether the tenant URL is entered with its flag (3.5). Unverified: that Entra ever sends the flag along."""
        if any(AAD_OPT_SCIM in entry.arguments for entry in self.log or ()):
            return Seen(True, f"Verified from Auth0: SCIM requests come to this connection, with {AAD_OPT_SCIM}.")
        if not self.used:
            return Seen(False, "")
        return Seen(
            False,
            "The token was used at this connection's endpoint, so the address is right; its flag cannot be seen from Auth0.",
        )

    def saved_credentials(self) -> Seen:
        """Whether tenant URL and token are saved (3.6)."""
        if not self.used:
            return Seen(False, "")
        token = f"token {self.used[0].token_id} was last used {_day(self.used[0].last_used_at)}"
        changes = self._changes()
        if not changes and not self.linked():
            return Seen(False, f"The {token}, and no user was changed yet: testing the connection does that without saving.")
        how = f"SCIM has changed users, last {_day(changes[0].date)}" if changes else "SCIM has changed the test user"
        return Seen(True, f"Verified from Auth0: {token}, and {how}. Whether the deletion guard is on cannot be seen from Auth0.")

    def creating(self) -> Seen:
        """Whether Create is off (3.7): only that it is on can ever show."""
        tries = [entry for entry in self.log or () if entry.method == "POST"]
        if not tries:
            return Seen(False, "")
        return Seen(
            False,
            f"Entra has tried to create users, last {_day(tries[0].date)}: Create is still on, or was then. Without the scope "
            "post:users the token lets none be created.",
        )

    def object_id(self) -> Seen:
        """Whether the object id is sent as externalId (3.8, 3.9)."""
        linked = self.linked()
        if linked is None:
            return Seen(False, "")
        wanted = {str(value) for value in (linked.profile.get("oid"), self.test_user) if value and "@" not in str(value)}
        if not wanted:
            return Seen(False, "The test user has an external id; Auth0 does not know the object id to compare it with.")
        if self._external_id(linked) in wanted:
            return Seen(True, "Verified from Auth0: the test user's external id is the Entra object id.")
        return Seen(False, "The test user's external id is not the Entra object id.")

    def work_email(self) -> Seen:
        """Whether people are matched by work email, behind another attribute (3.10, 3.11)."""
        lookups = [entry.search.lower() for entry in reversed(self.log or ()) if entry.method == "GET" and entry.search]
        by_mail, by_name = f"{WORK_EMAIL} eq".lower(), f"{USER_NAME} eq".lower()
        if any(first.startswith(by_name) and then.startswith(by_mail) for first, then in pairwise(lookups)):
            return Seen(True, "Verified from Auth0: Entra looks for people by user name, then by work email.")
        return Seen(False, "")

    def mappings(self) -> Seen:
        """Whether the attribute mappings are saved (3.12): never whole, for Create cannot be seen."""
        if self.object_id().is_proof and self.work_email().is_proof:
            return Seen(False, "What steps 3.9 and 3.11 change is in effect; whether Create is off cannot be seen from Auth0.")
        return Seen(False, "")

    def updated(self) -> Seen:
        """Whether the test user was updated by SCIM and may sign in (4.1, 4.2)."""
        if not self.profiles:
            words = f"Auth0 finds no user of this connection as {self.test_user}."
            return Seen(False, f"{words} It may know them by another mail address until SCIM has updated them.")
        if len(self.profiles) > 1:
            return Seen(False, f"{len(self.profiles)} users of this connection are known as {self.test_user}.")
        if self.profiles[0].is_blocked:
            return Seen(False, "The test user is blocked in Auth0.")
        changes = [entry for entry in self._changes() if _user_id(entry) == self.profiles[0].user_id]
        if not self.used or not (self.linked() or changes):
            return Seen(False, "Auth0 has the test user; SCIM has not updated them yet.")
        what = ["their external id is set"] * bool(self.linked())
        what += [f"the log has a change by SCIM, last {_day(entry.date)}" for entry in changes[:1]]
        return Seen(True, f"Verified from Auth0: the test user was updated by SCIM ({'; '.join(what)}) and is not blocked.")

    def cycles(self) -> Seen:
        """Whether provisioning is on (4.3): more people were changed than somebody provisions on demand."""
        people = {_user_id(entry) for entry in self._changes()} - {profile.user_id for profile in self.profiles}
        if len(people) > ON_DEMAND_LIMIT:
            return Seen(True, f"Verified from Auth0: SCIM has changed {len(people)} people besides the test user: cycles run.")
        so_far = f"SCIM has changed {len(people) or 'nobody'} besides the test user."
        return Seen(False, f"{so_far} That cycles run shows from Auth0 only once it has changed more than {ON_DEMAND_LIMIT}.")

    def linked(self) -> Auth0User | None:
        """Return the test user when there is exactly one and SCIM has given them an external id."""
        return self.profiles[0] if len(self.profiles) == 1 and self._external_id(self.profiles[0]) else None

    def _external_id(self, profile: Auth0User) -> str:
        return str(profile.attribute(self.external_id_at) or "") if self.external_id_at else ""

    def _changes(self) -> list[ScimLogEntry]:
        return [entry for entry in self.log or () if entry.is_success and entry.method in ("PATCH", "PUT", "DELETE")]


def _user_id(entry: ScimLogEntry) -> str:
    return unquote(entry.path.rstrip("/").rsplit("/Users/", 1)[-1])


def _day(time: str | None) -> str:
    """Return the day of a service's ISO time; the page shows no more, so that it repeats."""
    return (time or "never")[:10]
