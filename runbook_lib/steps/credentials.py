"""What steps 2.2, 3.5, 3.6 and the start gate share: the wanted tenant URL, deletion guard, and which token Entra holds."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from runbook_lib.change import Diff, differences
from runbook_lib.facts import Memory
from runbook_lib.journal import Doubt
from runbook_lib.models import SavedCredentials, ScimToken, SynchronizationJob
from runbook_lib.settings import TenantSettings
from runbook_lib.vocabulary import AAD_OPT_SCIM, SCIM_TOKEN_SCOPES

ON = "entra credentials"


def tenant_url(endpoint_url: str) -> str:
    """Return the SCIM endpoint URL with the flag of step 3.5, once. Applying it twice changes nothing."""
    query = urlsplit(endpoint_url).query
    if AAD_OPT_SCIM in query.split("&"):
        return endpoint_url
    return f"{endpoint_url}{'&' if query else '?'}{AAD_OPT_SCIM}"


def notification_settings(saved: SavedCredentials, settings: TenantSettings) -> dict[str, Any]:
    """Return the notification settings with the deletion guard on: what is there is kept, what is missing is added."""
    kept = saved.notification_settings
    if saved.guards_deletions:
        return kept
    return {"Enabled": False, **kept, "DeleteThresholdEnabled": True, "DeleteThresholdValue": settings.deletion_threshold}


def credential_differences(saved: SavedCredentials, endpoint_url: str, settings: TenantSettings) -> tuple[Diff, ...]:
    """Return what of the saved settings differs, the token aside."""
    guard, wanted_guard = saved.notification_settings, notification_settings(saved, settings)
    now = {
        "Tenant URL": saved.tenant_url,
        "Deletion guard": str(guard.get("DeleteThresholdValue")) if saved.guards_deletions else "off",
        "Provision": "everybody" if saved.sync_all.lower() == "true" else "assigned only" if saved.sync_all else "",
    }
    wanted = {
        "Tenant URL": tenant_url(endpoint_url),
        "Deletion guard": str(wanted_guard["DeleteThresholdValue"]),
        "Provision": "assigned only",
    }
    if same_address(now["Tenant URL"], wanted["Tenant URL"]):
        wanted["Tenant URL"] = now["Tenant URL"]
    return differences(ON, now, wanted)


def same_address(one: str, other: str) -> bool:
    """Whether two tenant URLs mean the same: a slash before the query makes no difference."""
    return one.replace("/?", "?").rstrip("/") == other.replace("/?", "?").rstrip("/")


def same_endpoint(saved_url: str, endpoint_url: str) -> bool:
    """Whether a saved tenant URL leads to the endpoint, whatever its query."""
    return saved_url.partition("?")[0].rstrip("/").lower() == endpoint_url.partition("?")[0].rstrip("/").lower()


def is_exact(token: ScimToken) -> bool:
    """Whether a token has exactly the three scopes of step 2.3."""
    return token.scopes == frozenset(SCIM_TOKEN_SCOPES)


def entra_holds_a_token(
    tokens: tuple[ScimToken, ...], saved: SavedCredentials, job: SynchronizationJob | None, memory: Memory, endpoint_url: str
) -> bool:
    """Whether reading alone shows that the saved token works: one is saved for this endpoint and a fitting one was used.

    Entra never tells which token it holds. A job in quarantine, a token this session has made since, or an earlier save of
    which nobody knows whether it was done, speaks against it.
    """
    if memory.has_new_token or memory.doubted("3.6"):
        return False
    if not saved.holds_token or job is None or job.is_quarantined:
        return False
    return same_address(saved.tenant_url, tenant_url(endpoint_url)) and any(
        is_exact(token) and token.last_used_at for token in tokens
    )


def orphans(tokens: tuple[ScimToken, ...], memory: Memory, saved: SavedCredentials) -> tuple[ScimToken, ...]:
    """Return the tokens that this tool made and that serve nobody: their text is lost, or another has taken their place.

    Never the one in this session's memory, nor one that Entra may be using. Of the tokens it was given, that is the one used
    last, for saving a token ends with a test of what is saved; while nobody knows whether it took the latest, the earlier ones.
    """
    ours = memory.own_token_ids | {token.token_id for token in of_lost_answers(tokens, memory)}
    if memory.scim_token is not None:
        ours -= {memory.scim_token_id}
    given = [token for token in tokens if token.token_id in memory.given_token_ids] if saved.holds_token else []
    if memory.doubted("3.6"):
        serving = [token for token in given if token.token_id != memory.given_token_ids[-1]]
    else:
        serving = sorted(given, key=lambda token: token.last_used_at or "")[-1:]
    return tuple(token for token in tokens if token.token_id in ours and token not in serving)


def of_lost_answers(tokens: tuple[ScimToken, ...], memory: Memory) -> list[ScimToken]:
    """Return the tokens that this tool made though nobody read the answer."""
    return [token for doubt in memory.doubted("2.2") for token in _of_lost_answer(tokens, doubt)]


def _of_lost_answer(tokens: tuple[ScimToken, ...], doubt: Doubt) -> tuple[ScimToken, ...]:
    """Return the token that a request made whose answer was lost, when it can be no other.

    It was not there before, is the only such one, has our scopes, was never used, and was made in the minutes of the request
    by the service's own clock. Somebody else's new token fits by no more than chance.
    """
    fitting = [
        token
        for token in tokens
        if token.token_id not in doubt.before
        and is_exact(token)
        and token.last_used_at is None
        and doubt.may_have_made(token.created_at)
    ]
    return tuple(fitting) if len(fitting) == 1 and doubt.request.startswith("POST") else ()
