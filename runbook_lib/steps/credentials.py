"""What the token, the saved credentials and the start gate share: tenant URL, deletion guard, and which token Entra holds."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.values import Diff, differences
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra.models import SavedCredentials, SynchronizationJob
from runbook_lib.services.wire_words import AAD_OPT_SCIM, SCIM_GROUP_SCOPES, SCIM_TOKEN_SCOPES
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory

ON = "entra credentials"


def tenant_url(endpoint_url: str) -> str:
    """Return the SCIM endpoint URL with its flag, once. Applying it twice changes nothing."""
    query = urlsplit(endpoint_url).query
    if AAD_OPT_SCIM in query.split("&"):
        return endpoint_url
    return f"{endpoint_url}{'&' if query else '?'}{AAD_OPT_SCIM}"


def notification_settings(saved: SavedCredentials, settings: TenantSettings) -> dict[str, Any]:
    """Return the notification settings with the deletion guard on: existing values stay, missing ones are added."""
    kept = saved.notification_settings
    if saved.guards_deletions:
        return kept
    return {"Enabled": False, **kept, "DeleteThresholdEnabled": True, "DeleteThresholdValue": settings.deletion_threshold}


def credential_differences(saved: SavedCredentials, endpoint_url: str, settings: TenantSettings) -> tuple[Diff, ...]:
    """Return the differences between the saved and the wanted settings, without the token."""
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


def is_exact(token: ScimToken, scopes: tuple[str, ...] = SCIM_TOKEN_SCOPES) -> bool:
    """Whether a token has exactly the wanted scopes: by default the three for users."""
    return token.scopes == frozenset(scopes)


def entra_holds_a_token(
    tokens: tuple[ScimToken, ...],
    saved: SavedCredentials,
    job: SynchronizationJob | None,
    memory: Memory,
    endpoint_url: str,
    scopes: tuple[str, ...] = SCIM_TOKEN_SCOPES,
) -> bool:
    """Whether readings show that the saved token works: Entra has one for this endpoint, and a token with our scopes was used.

    Entra never says which token it holds. Four things speak against it: Entra's test of what it has saved failed, the job is in
    quarantine, this session has made a newer token, or an earlier save has an unknown outcome.
    """
    if memory.has_new_token or memory.doubted(Thing.CREDENTIALS) or saved.works is False:
        return False
    if not saved.holds_token or job is None or job.is_quarantined:
        return False
    return same_address(saved.tenant_url, tenant_url(endpoint_url)) and any(
        is_exact(token, scopes) and token.last_used_at and token.token_id not in memory.expired_ids for token in tokens
    )


def are_unlisted(
    saved: SavedCredentials, tokens: tuple[ScimToken, ...] | None, memory: Memory, endpoint_url: str, settings: TenantSettings
) -> bool:
    """Whether Entra accepted credentials from an earlier run minutes ago and still lists the older ones.

    That run's token must still exist; otherwise the saved credentials do not work. Source: terraform-provider-azuread.
    """
    if memory.listed_before is None or dict(saved.values) != dict(memory.listed_before):
        return False
    is_there = any(token.token_id == memory.saved_token_id and token.token_id not in memory.expired_ids for token in tokens or ())
    return is_there and (not saved.holds_token or bool(credential_differences(saved, endpoint_url, settings)))


UNLISTED = "Entra accepted credentials from a run some minutes ago and does not list them yet."


def orphans(tokens: tuple[ScimToken, ...], memory: Memory, saved: SavedCredentials) -> tuple[ScimToken, ...]:
    """Return this tool's useless tokens: their text is lost, or another token has replaced them.

    A token counts as this tool's only if the tool read the answer; one that a lost response may have made stays (`may_be_ours`).
    The token in this session's memory is never among them, nor one that Entra may be using: of the tokens that Entra was given,
    the one used last, because each save ends with a test. If the outcome of the latest save is unknown, all earlier ones may be.
    """
    ours = memory.own_token_ids
    if memory.scim_token is not None:
        ours -= {memory.scim_token_id}
    alive = [token for token in tokens if token.token_id not in memory.expired_ids]
    given = [token for token in alive if token.token_id in memory.given_token_ids] if saved.holds_token else []
    if memory.doubted(Thing.CREDENTIALS):
        serving = [token for token in given if token.token_id != memory.given_token_ids[-1]]
    else:
        serving = sorted(given, key=lambda token: token.last_used_at or "")[-1:]
    return tuple(token for token in tokens if token.token_id in ours and token not in serving)


def may_be_ours(tokens: tuple[ScimToken, ...], memory: Memory) -> tuple[ScimToken, ...]:
    """Return the tokens that this tool may have made by requests whose responses were lost."""
    known = memory.own_token_ids
    return tuple(token for token in may_be_of(tokens, memory.doubted(Thing.TOKEN)) if token.token_id not in known)


def may_be_of(tokens: tuple[ScimToken, ...], doubts: tuple[Doubt, ...]) -> tuple[ScimToken, ...]:
    """Return the tokens that fit such a request: with our scopes, never used, new since then, and made within its minutes.

    The tool names them and never deletes them: a person may have made a token by hand while the request was lost.
    """
    posts = [doubt for doubt in doubts if doubt.request.startswith("POST")]
    return tuple(token for token in tokens if any(_fits(token, doubt) for doubt in posts))


def _fits(token: ScimToken, doubt: Doubt) -> bool:
    is_new = token.token_id not in doubt.before and token.last_used_at is None
    is_of_a_kind = any(is_exact(token, scopes) for scopes in (SCIM_TOKEN_SCOPES, (*SCIM_TOKEN_SCOPES, *SCIM_GROUP_SCOPES)))
    return is_new and is_of_a_kind and doubt.may_have_made(token.created_at)
