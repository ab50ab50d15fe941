"""What steps 2.2, 3.5, 3.6 and the start gate share: the wanted tenant URL, deletion guard, and which token Entra holds."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from runbook_lib.change import Diff, differences
from runbook_lib.facts import Memory
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


def is_exact(token: ScimToken) -> bool:
    """Whether a token has exactly the three scopes of step 2.3."""
    return token.scopes == frozenset(SCIM_TOKEN_SCOPES)


def entra_holds_a_token(
    tokens: tuple[ScimToken, ...], saved: SavedCredentials, job: SynchronizationJob | None, memory: Memory, endpoint_url: str
) -> bool:
    """Whether reading alone shows that the saved token works: one is saved for this endpoint and a fitting one was used.

    Entra never tells which token it holds. A job in quarantine, or a token this session has made since, speaks against it.
    """
    if memory.scim_token is not None or not saved.holds_token or job is None or job.is_quarantined:
        return False
    return same_address(saved.tenant_url, tenant_url(endpoint_url)) and any(
        is_exact(token) and token.last_used_at for token in tokens
    )
