"""Auth0's token endpoint and Management API v2, as far as the procedure goes. Each part registers its routes at the one door."""

from __future__ import annotations

from runbook_lib.sandbox.auth0 import clients, connections, jobs, logs, scim_configuration, sessions, tokens, users
from runbook_lib.sandbox.auth0.door import router
from runbook_lib.sandbox.auth0.scim_configuration import new_configuration, new_token

__all__ = ["new_configuration", "new_token", "router"]
_PARTS = (tokens, connections, scim_configuration, sessions, users, clients, logs, jobs)
