"""The scopes that the SCIM token needs: three for users, and four more where the operator wants groups.

Sources: the procedure for the three; Auth0's page inbound-scim-for-new-azure-ad-connections for the four. The page
for older connections does not mention groups.
"""

from __future__ import annotations

from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.wire_words import SCIM_GROUP_SCOPES, SCIM_TOKEN_SCOPES
from runbook_lib.settings.model import TenantSettings


def wanted_scopes(settings: TenantSettings) -> tuple[str, ...]:
    """Return the scopes of a new SCIM token, in the order that a person reads them."""
    return (*SCIM_TOKEN_SCOPES, *SCIM_GROUP_SCOPES) if settings.wants_groups else SCIM_TOKEN_SCOPES


def in_words(settings: TenantSettings) -> str:
    """Return what the report calls the wanted scopes."""
    return "the seven scopes for users and groups" if settings.wants_groups else "the three scopes"


def has_group_scopes(token: ScimToken) -> bool:
    """Whether a token may write groups."""
    return bool(token.scopes & set(SCIM_GROUP_SCOPES[1:]))
