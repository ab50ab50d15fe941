"""One Auth0 Management API token for each Auth0 tenant and run: they are metered, and a fleet shares one tenant."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from runbook_lib.core.errors import RunbookError, TransportError
from runbook_lib.core.secret import scrubber
from runbook_lib.http.breaker import Breaker
from runbook_lib.run.sign_ins import fetched_grant, shared_by_all
from runbook_lib.services.auth0.shared import SharedAnswers
from runbook_lib.services.sign_in import Grant
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.process import answers_for_child, grant_for_child

RESERVE_S = 1800.0  # a token that ends sooner is not handed to a kernel that is started now
SHARED_S = 120.0  # how long what all tenants share is handed out before it is read again
WORTH_IT = 4  # tenants of a run: what is shared costs three calls, and saves each of them three
CONNECTIONS_A_TENANT = 100  # with more connections for each tenant of the run, the lists cost more than they save
UNKNOWN_S = 3600.0  # how long to hand out a token that does not say when it expires


_Key = tuple[str, str, str]


def _key(tenant: TenantSettings) -> _Key:
    return tenant.auth0_domain, tenant.auth0_client_id, tenant.auth0_client_secret


class Grants:
    """Fetches tokens when the first tenant needs them and hands them to kernels by their environment. Safe between threads.

    `tenants` are those of the run: when the last that shares a token has ended, it is let go, and the scrubber need not look
    for it any more. Without them everything is kept to the end.
    """

    def __init__(
        self,
        tenants: Iterable[TenantSettings] = (),
        clock: Callable[[], float] = time.monotonic,
        breaker: Breaker | None = None,
        pace: Path | None = None,
    ) -> None:
        self._clock = clock
        self._breaker = breaker
        self._lock = threading.Lock()
        self._held: dict[_Key, tuple[Grant, float]] = {}
        self._pace = pace
        self._left = Counter(map(_key, tenants))
        self._of_all = self._left.copy()
        self._shared: dict[_Key, tuple[SharedAnswers | None, float]] = {}
        self._registered: defaultdict[_Key, list[str]] = defaultdict(list)

    def variables_for(self, tenant: TenantSettings, mode: RunMode = RunMode.APPLY) -> dict[str, str]:
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
            shared = self._shared_answers(key, tenant, grant, mode)
        return grant_for_child(tenant.auth0_domain, tenant.auth0_client_id, grant.token, grant.permissions) | shared

    def _shared_answers(self, key: _Key, tenant: TenantSettings, grant: Grant, mode: RunMode) -> dict[str, str]:
        """Return the environment that hands over what this tenant's connection shares with others.

        Only plans take its state, which may be minutes old. A run that writes takes only the mapping that Auth0 proposes, which
        is read once a run. None where too few tenants of the run share it, or where it cannot be read: the kernel then reads by
        itself.
        """
        is_plan = mode is RunMode.PLAN
        if self._pace is None or self._of_all[key] < WORTH_IT:
            return {}
        shared, good_until = self._shared.get(key, (None, 0.0))
        if self._clock() >= good_until:
            try:
                most = CONNECTIONS_A_TENANT * self._of_all[key]
                shared = shared_by_all(tenant, grant, self._pace, most=most, with_state=is_plan)
            except RunbookError:
                shared = None
            self._shared[key] = (shared, self._clock() + (SHARED_S if is_plan or shared is None else math.inf))
        answers = shared.answers_for(tenant.auth0_connection) if shared else []
        return answers_for_child(tenant.auth0_domain, tenant.auth0_connection, answers)

    def outage(self, tenant: TenantSettings) -> TransportError | None:
        """Return why a tenant need not be begun: a service that it needs is out of order; None when all may be asked.

        A tenant whose turn it is to ask the service again is begun.
        """
        if self._breaker is None:
            return None
        cloud = tenant.find_cloud()
        for url in (f"https://{tenant.auth0_domain}", cloud.authority, cloud.graph):
            if error := self._breaker.outage(url, f"Reaching {url}"):
                return error
        return None

    def ended(self, tenant: TenantSettings) -> None:
        """Drop what no other tenant of the run needs. Call this when nothing of this tenant is left to be written."""
        key = _key(tenant)
        with self._lock:
            self._left[key] -= 1
            if self._left[key] == 0:
                self._held.pop(key, None)
                self._shared.pop(key, None)
                scrubber.forget(self._registered.pop(key, ()))

    def _grant(self, key: _Key, tenant: TenantSettings) -> Grant:
        grant, good_until = self._held.get(key, (None, 0.0))
        if grant is None or self._clock() >= good_until:
            grant = fetched_grant(tenant, self._breaker)
            lasts_s = UNKNOWN_S if grant.lasts_s is None else grant.lasts_s - RESERVE_S
            self._held[key] = (grant, self._clock() + lasts_s)
        return grant
