"""One Auth0 Management API token for each Auth0 tenant and run: they are metered, and a fleet shares one tenant."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runbook_lib.clients.sign_in import Grant
from runbook_lib.errors import RunbookError
from runbook_lib.session import fetched_grant
from runbook_lib.settings import TenantSettings, grant_for_child

RESERVE_S = 1800.0  # a token that ends sooner is not handed to a kernel that begins now
UNKNOWN_S = 3600.0  # for how long a token is handed out that does not say when it ends


class Grants:
    """Fetches tokens when the first tenant needs them and hands them to kernels by their environment. Safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str, str], tuple[Grant, float]] = {}

    def variables_for(self, tenant: TenantSettings) -> dict[str, str]:
        """Return the environment by which a kernel gets its token; none for a pasted token or a sign-in that is refused.

        The kernel then signs in itself, and its page tells what Auth0 said.
        """
        if not tenant.auth0_client_id:
            return {}
        key = (tenant.auth0_domain, tenant.auth0_client_id, tenant.auth0_client_secret)
        with self._lock:
            try:
                grant = self._grant(key, tenant)
            except RunbookError:
                return {}
        return grant_for_child(tenant.auth0_domain, tenant.auth0_client_id, grant.token, grant.permissions)

    def _grant(self, key: tuple[str, str, str], tenant: TenantSettings) -> Grant:
        grant, good_until = self._held.get(key, (None, 0.0))
        if grant is None or self._clock() >= good_until:
            grant = fetched_grant(tenant)
            lasts_s = UNKNOWN_S if grant.lasts_s is None else grant.lasts_s - RESERVE_S
            self._held[key] = (grant, self._clock() + lasts_s)
        return grant
