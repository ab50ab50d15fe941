"""Auth0's document "Inbound SCIM for Older Azure AD Connections": two conditions and 24 steps, in its order."""

from __future__ import annotations

from runbook_lib.procedures.older_azure_ad import auth0, before, entra, scim_token, testing
from runbook_lib.procedures.procedure import Procedure

OLDER_AZURE_AD = Procedure(
    "Inbound SCIM for Older Azure AD Connections",
    "https://auth0.com/docs/authenticate/protocols/scim/inbound-scim-for-older-azure-ad-connections",
    "inbound_scim",
    (before.SECTION, auth0.SECTION, scim_token.SECTION, entra.SECTION, testing.SECTION),
)
