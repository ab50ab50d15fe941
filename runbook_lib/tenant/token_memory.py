"""What must survive from one step to the next and can be read nowhere: the text of a new SCIM token, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runbook_lib.core.secret import Secret
from runbook_lib.engine.recovery import Past, Recovery
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.tenant.scim_search import Searched
from runbook_lib.tenant.things import Thing

LISTED_WITHIN = timedelta(minutes=5)  # saved credentials are listed by then: terraform-provider-azuread waits as long


@dataclass
class Memory(Recovery):
    """What this session remembers: what the engine does, and the text of a new SCIM token until Entra has it.

    From journals: `own_token_ids` are the SCIM tokens that this tool made, `given_token_ids` those of them that it sent to Entra,
    the latest last; `saved_token_id` is the token that Entra took last, `tested_ids` are the Entra users provisioned on demand.

    Of this session: `saved_works` is whether what Entra has saved passed a test, None when it was not tested; `expired_ids` are
    the SCIM tokens that have ended by `auth0_now`, the time of Auth0's own clock at the last reading. `is_saved_now`: Entra took
    the credentials and has not listed them yet; `assigned_now` are the users and groups whose assignment it took so,
    `refused_now` those that it refused to assign as ones it does not know.
    `listed_before` is what Entra listed before an earlier run saved credentials minutes ago; None: none did.

    `tried_ids` are the SCIM tokens that this tool has, or may have, searched with itself before Entra had them; `searched` is
    what that search told, None while nothing was asked.

    Where a side is handed over: `asks_for_token` while a person asks for a token to be made and shown; `is_brought` when
    `scim_token` was not made here but comes from the settings and stays.
    """

    scim_token: Secret | None = None
    scim_token_id: str = ""
    asks_for_token: bool = False
    is_brought: bool = False
    saved_token_id: str = ""
    tested_ids: frozenset[str] = frozenset()
    own_token_ids: frozenset[str] = frozenset()
    given_token_ids: tuple[str, ...] = ()
    saved_works: bool | None = None
    expired_ids: frozenset[str] = frozenset()
    auth0_now: datetime | None = None
    is_saved_now: bool = False
    assigned_now: frozenset[str] = frozenset()
    refused_now: frozenset[str] = frozenset()
    listed_before: Mapping[str, str] | None = None
    tried_ids: frozenset[str] = frozenset()
    searched: Searched | None = None

    @classmethod
    def of(cls, past: Past, now: datetime) -> Memory:
        """Return what the journals of earlier runs tell at a time."""
        memory = cls()
        memory.recall(past, now)
        return memory

    def recall(self, past: Past, now: datetime) -> None:
        """Take over what the journals of earlier runs tell at a time; what this session has in hand stays."""
        super().recall(past, now)
        save = past.last_save
        self.listed_before = save.before if save and now - save.time < LISTED_WITHIN else None
        self.own_token_ids |= frozenset(past.made.get("token", ()))
        self.given_token_ids = past.given_tokens
        self.saved_token_id = (past.made.get("saved_token") or ("",))[-1]
        self.tried_ids |= past.tried_tokens
        self.tested_ids |= frozenset(past.made.get("tested", ()))
        made = {Thing.APPLICATION: past.made.get("service_principal"), Thing.JOB: past.made.get("job")}
        self.earlier = {thing: past.made_at[ids[-1]] for thing, ids in made.items() if ids}

    def as_used_by_entra(self, token: ScimToken) -> ScimToken:
        """Return a token without a use that can only be this tool's own: Entra has never been given it.

        Before Entra is given a token, it tests it, so that a given token was used by Entra after this tool's search.
        """
        is_own_use = token.token_id in self.tried_ids and token.token_id not in self.given_token_ids
        return replace(token, last_used_at=None) if is_own_use else token

    @property
    def has_new_token(self) -> bool:
        """Whether there is a token that Entra is still to be given."""
        if self.scim_token is None:
            return False
        is_another = self.scim_token_id != self.saved_token_id
        return not self.is_brought or is_another or bool(self.doubted(Thing.CREDENTIALS))
