"""Settings become clients: each service with its sign-in, each secret reference resolved where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import Secret
from runbook_lib.http.breaker import Breaker
from runbook_lib.http.message import understood
from runbook_lib.http.rate_limits import Pacer
from runbook_lib.http.retry import SIGN_IN_PACE, Pace
from runbook_lib.http.service import Limit, Service
from runbook_lib.http.session import SignInSession, open_session
from runbook_lib.http.time_limit import FIRST_BATCH_S, SIGN_IN_TIMEOUT_S, Deadline
from runbook_lib.run.machine import Machine
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.shared import SharedAnswers, read_shared
from runbook_lib.services.entra.batches import GraphService
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.sign_in import (
    Auth0ClientCredentials,
    DeviceCode,
    EntraSignIn,
    Grant,
    NobodySignsIn,
    PastedToken,
    SignIn,
    grant_of,
)
from runbook_lib.settings.clouds import Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.process import handed_answers, handed_grant, pace_folder
from runbook_lib.settings.references import resolve
from runbook_lib.settings.secret_text import secret_text
from runbook_lib.tenant.view import View

SANDBOX_PACE = Pace(
    first_s=0.02, factor=1.5, cap_s=0.2, total_s=6.0, poll_s=0.05
)  # its delays are counted in requests, not in seconds


def open_view(
    settings: TenantSettings,
    *,
    machine: Machine | None = None,
    deadline: Deadline | None = None,
    show: Callable[[DeviceCode], None] | None = None,
) -> View:
    """Return a tenant's view, not signed in yet, all its requests under one deadline. Raises `SettingsError`.

    `show` gets what a person needs for a sign-in by device code; without it there is none.
    """
    machine = machine or Machine()
    deadline = deadline or Deadline(clock=machine.clock)
    auth0, auth0_sign_in = auth0_side(settings, machine=machine, deadline=deadline)
    graph, entra_sign_in = entra_side(settings, machine=machine, deadline=deadline, show=show)
    view = View(settings, _cloud(settings), auth0, graph, auth0_sign_in, entra_sign_in, clock=machine.clock)
    view.take(handed_answers(settings.auth0_domain, settings.auth0_connection))
    return view


def shared_by_all(settings: TenantSettings, grant: Grant, pace: Path, most: int, *, with_state: bool) -> SharedAnswers | None:
    """Return what all connections of an Auth0 tenant share; None where it has more than `most`. Raises `RunbookError`.

    Without the state only what no administrator can change.
    """
    service = Service(
        "auth0",
        f"https://{settings.auth0_domain}",
        session=open_session(settings.find_cloud().ca_bundle),
        pace=pace_of(settings.find_cloud()),
        sign_in=lambda _renew: grant.token,
        limit=Pacer(pace).limit(f"auth0 {settings.auth0_domain}"),
        breaker=Breaker(pace),
    )
    with understood("what the connections of the Auth0 tenant share"):
        return read_shared(Auth0Management(service), most, with_state=with_state)


def auth0_side(
    settings: TenantSettings,
    *,
    machine: Machine,
    deadline: Deadline,
    typed: Mapping[str, Secret] | None = None,
    limit: Limit | None = None,
) -> tuple[Auth0Management, SignIn]:
    """Return the Auth0 tenant and its sign-in. `typed` holds the secrets that references `memory:NAME` mean.

    Without a `limit` it is the one that the kernels of a run share.
    """
    cloud, base = _cloud(settings), f"https://{settings.auth0_domain}"
    shared = _shared(cloud, machine, deadline, _breaker())
    asked = Service("auth0", base, **{**shared, "pace": _sign_in_pace(cloud)}, time_limit_s=SIGN_IN_TIMEOUT_S)
    sign_in = _auth0_sign_in(settings, asked, typed or {})
    limit = limit or _limit(f"auth0 {settings.auth0_domain}")
    service = Service("auth0", base, **shared, sign_in=lambda renew: sign_in.grant(renew=renew).token, limit=limit)
    return Auth0Management(service), sign_in


def _shared(cloud: Cloud, machine: Machine, deadline: Deadline, breaker: Breaker | None) -> dict[str, Any]:
    """Return the arguments that the services of both sides share."""
    return {
        "session": machine.open_http(cloud.ca_bundle),
        "pace": pace_of(cloud),
        "first_pace": _sign_in_pace(cloud),
        "deadline": deadline,
        "sleep": machine.sleep,
        "breaker": breaker,
    }


def entra_side(
    settings: TenantSettings,
    *,
    machine: Machine,
    deadline: Deadline,
    typed: Mapping[str, Secret] | None = None,
    show: Callable[[DeviceCode], None] | None = None,
) -> tuple[MicrosoftGraph, SignIn]:
    """Return the Entra tenant and its sign-in. `show` gets what a person needs for a device code; for `typed` see above."""
    cloud = _cloud(settings)
    breaker = _breaker()
    session = SignInSession(_sign_in_pace(cloud), machine.sleep, breaker)
    machine.open_http(cloud.ca_bundle, session)
    sign_in = _entra_sign_in(settings, cloud, session, typed or {}, show)
    shared: Any = {
        **_shared(cloud, machine, deadline, breaker),
        "sign_in": lambda renew: sign_in.grant(renew=renew).token,
        "limit": _limit(f"graph {settings.entra_tenant}"),
        "first_limit_s": FIRST_BATCH_S,
    }
    beta = GraphService("graph", f"{cloud.resource}/beta", **shared)
    return MicrosoftGraph(GraphService("graph", cloud.graph, **shared), beta), sign_in


def _cloud(settings: TenantSettings) -> Cloud:
    try:
        return settings.find_cloud()
    except ValueError as missing:
        raise SettingsError(str(missing), "Correct it and run again; nothing was sent", column="cloud") from None


def pace_of(cloud: Cloud) -> Pace:
    """Return how long a run waits for a cloud."""
    return SANDBOX_PACE if cloud.is_sandbox else Pace()


def _sign_in_pace(cloud: Cloud) -> Pace:
    return SANDBOX_PACE if cloud.is_sandbox else SIGN_IN_PACE


def _breaker() -> Breaker | None:
    """Return the outages that the kernels of a run share, None outside a run."""
    folder = pace_folder()
    return Breaker(folder) if folder else None


def secret_of(reference: str, typed: Mapping[str, Secret], column: str) -> Secret:
    """Return the secret that a reference of the settings means. `typed` are a page's, by name. Raises `SettingsError`."""
    kind, _, name = reference.partition(":")
    if kind == "memory" and name in typed:
        return Secret(secret_text(typed[name].reveal().encode(), "the typed text", column))
    return resolve(reference, column=column)


def _limit(key: str) -> Limit | None:
    """Return the rate limit that all kernels of a run share, None outside a run."""
    folder = pace_folder()
    return Pacer(folder).limit(key) if folder else None


def fetched_grant(settings: TenantSettings, breaker: Breaker | None = None) -> Grant:
    """Return a new Auth0 token for settings that name a client. Raises `RunbookError`."""
    cloud = settings.find_cloud()
    service = Service(
        "auth0",
        f"https://{settings.auth0_domain}",
        session=open_session(cloud.ca_bundle),
        pace=_sign_in_pace(cloud),
        breaker=breaker,
        time_limit_s=SIGN_IN_TIMEOUT_S,
    )
    return _auth0_sign_in(settings, service, {}).grant()


def _auth0_sign_in(settings: TenantSettings, service: Service, typed: Mapping[str, Secret]) -> SignIn:
    if settings.handed_over == "auth0":
        return NobodySignsIn("Auth0")
    secret = secret_of(settings.auth0_client_secret, typed, "auth0_client_secret")
    if not settings.auth0_client_id:
        return PastedToken(secret, "Auth0")
    handed = handed_grant(settings.auth0_domain, settings.auth0_client_id)
    grant = replace(grant_of(handed[0]), permissions=handed[1]) if handed else None
    return Auth0ClientCredentials(service, settings.auth0_domain, settings.auth0_client_id, secret, grant)


def _entra_sign_in(
    settings: TenantSettings,
    cloud: Cloud,
    session: SignInSession,
    typed: Mapping[str, Secret],
    show: Callable[[DeviceCode], None] | None,
) -> SignIn:
    if settings.handed_over == "entra":
        return NobodySignsIn("Entra")
    credential: Any = None
    if settings.entra_client_secret:
        secret = secret_of(settings.entra_client_secret, typed, "entra_client_secret")
        if not settings.entra_client_id:
            return PastedToken(secret, "Graph")
        text = secret.reveal()
        credential = {"private_key": text, "public_certificate": text} if "-----BEGIN" in text else text
    return EntraSignIn(
        authority=cloud.authority,
        tenant=settings.entra_tenant,
        client_id=settings.entra_client_id,
        credential=credential,
        resource=cloud.resource,
        session=session,
        known_authority=not cloud.is_sandbox,
        show=show,
    )
