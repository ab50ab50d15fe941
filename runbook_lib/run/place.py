"""Says sandbox or real tenant in words: the first or last line of everything that a person reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runbook_lib.core.display import show_as
from runbook_lib.core.json_text import parsed
from runbook_lib.settings.clouds import SANDBOX_WORD, is_sandbox_domain
from runbook_lib.settings.model import TenantSettings

SANDBOX = "Sandbox: nothing real was touched."
_SANDBOX_AHEAD = "Sandbox: nothing real is touched. Auth0 and Microsoft Entra are simulated on this machine."


def place_ahead(settings: TenantSettings) -> str:
    """Return the first line of a page or a sheet: where it works."""
    if is_sandbox_domain(settings.auth0_domain):
        return _SANDBOX_AHEAD
    return f"Real tenant: Auth0 {settings.auth0_domain}, Microsoft Entra {settings.entra_tenant}."


def place_ahead_of_many(auth0_domains: Iterable[str]) -> str:
    """Return the line for tenants that are about to start."""
    line = place_of_many(auth0_domains)
    return _SANDBOX_AHEAD if line == SANDBOX else line or "Nothing is left to do."


def place_of(auth0_domain: str) -> str:
    """Return the line for a tenant that was carried out. From here on no port of a sandbox is shown."""
    if not is_sandbox_domain(auth0_domain):
        return f"Real tenant: Auth0 {auth0_domain}." if auth0_domain else ""
    show_as(auth0_domain, SANDBOX_WORD)
    return SANDBOX


def place_of_many(auth0_domains: Iterable[str]) -> str:
    """Return the line for tenants that were carried out; empty when none was begun."""
    are_sandbox = [is_sandbox_domain(domain) for domain in auth0_domains if domain]
    if not are_sandbox:
        return ""
    if all(are_sandbox):
        return SANDBOX
    if not any(are_sandbox):
        return "Real tenants."
    return f"{sum(are_sandbox)} of {len(are_sandbox)} tenants are the sandbox's; the others are real."


def domain_of(folder: Path) -> str:
    """Return the Auth0 domain of the tenant that left this folder, empty when it was not begun."""
    path = folder / "settings.json"
    about: dict[str, Any] = parsed(path.read_text(encoding="utf-8")) if path.exists() else {}
    return str(about.get("auth0_domain", ""))
