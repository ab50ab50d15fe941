"""One Auth0 Management API token for each Auth0 tenant and run: they are metered, and a fleet shares one tenant."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from runbook_lib.clients.sign_in import Grant
from runbook_lib.errors import RunbookError
from runbook_lib.secret import scrubber
from runbook_lib.session import fetched_grant
from runbook_lib.settings import TenantSettings, grant_for_child

RESERVE_S = 1800.0  # a token that ends sooner is not handed to a kernel that is started now
UNKNOWN_S = 3600.0  # for how long a token is handed out that does not say when it ends


_Key = tuple[str, str, str]


def _key(tenant: TenantSettings) -> _Key:
    return tenant.auth0_domain, tenant.auth0_client_id, tenant.auth0_client_secret


class Grants:
    """Fetches tokens when the first tenant needs them and hands them to kernels by their environment. Safe between threads.

    `tenants` are those of the run: when the last that shares a token has ended, it is let go, and the scrubber need not look
    for it any more. Without them everything is kept to the end.
    """

    def __init__(self, tenants: Iterable[TenantSettings] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._held: dict[_Key, tuple[Grant, float]] = {}
        self._left = Counter(map(_key, tenants))
        self._registered: defaultdict[_Key, list[str]] = defaultdict(list)

    def variables_for(self, tenant: TenantSettings) -> dict[str, str]:
        """Return the environment by which a kernel gets its token; none for a pasted token or a sign-in that is refused.

        The kernel then signs in itself, and its page tells what Auth0 said.
        """
        if not tenant.auth0_client_id:
            return {}
        key = _key(tenant)
        with self._lock:
            try:
                with scrubber.noting() as noted:
                    grant = self._grant(key, tenant)
            except RunbookError:
                return {}
            finally:
                self._registered[key] += noted
        return grant_for_child(tenant.auth0_domain, tenant.auth0_client_id, grant.token, grant.permissions)

    def ended(self, tenant: TenantSettings) -> None:
        """Let go of what no other tenant of the run needs. Nothing of this one may be left to be written."""
        key = _key(tenant)
        with self._lock:
            self._left[key] -= 1
            if self._left[key] == 0:
                self._held.pop(key, None)
                scrubber.forget(self._registered.pop(key, ()))

    def _grant(self, key: _Key, tenant: TenantSettings) -> Grant:
        grant, good_until = self._held.get(key, (None, 0.0))
        if grant is None or self._clock() >= good_until:
            grant = fetched_grant(tenant)
            lasts_s = UNKNOWN_S if grant.lasts_s is None else grant.lasts_s - RESERVE_S
            self._held[key] = (grant, self._clock() + lasts_s)
        return grant
