"""Sign-ins: Auth0 by client credentials or a pasted token; Entra by secret, certificate, device code or a pasted token.

Tokens live in memory only. What a token may do is read from the answer or from its claims, which are not verified here: they
serve to name a missing permission before the first write, and the service decides.
"""

from __future__ import annotations

import base64
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from runbook_lib.core.errors import ApiError, StepBlocked
from runbook_lib.core.json_text import parsed
from runbook_lib.core.remedies import find, remedy
from runbook_lib.core.secret import Secret
from runbook_lib.http.broken import host_of
from runbook_lib.http.message import Request, revealed, understood
from runbook_lib.http.service import Service
from runbook_lib.http.session import SignInSession

_AADSTS = re.compile(r"AADSTS(\d+)")
_AADSTS_WORDS = re.compile(r'AADSTS\d+: [^"\\]+')  # to the end of the text in JSON, or of its first line


@dataclass(frozen=True)
class Grant:
    """A token and what it says of itself.

    `permissions` is None when it does not say; `lasts_s` when its end is not known; `who` is the person or the application,
    empty when it does not say; `until` is aware UTC.
    """

    token: Secret
    permissions: frozenset[str] | None
    lasts_s: float | None = None
    who: str = ""
    until: datetime | None = None


@dataclass(frozen=True)
class DeviceCode:
    """What a person needs for a sign-in by device code: where to go and what to type there. `cancel` ends the waiting."""

    link: str
    code: str
    message: str
    cancel: Callable[[], None]


class SignIn(Protocol):
    """Gives a token, the same one until asked to renew it. `current` is the one it has, None before the first sign-in."""

    @property
    def current(self) -> Grant | None:
        """The grant it has already."""
        ...

    def grant(self, *, renew: bool = False) -> Grant:
        """Return the current grant, a new one when `renew`."""
        ...


class PastedToken:
    """A token that the user pasted. It cannot be renewed."""

    def __init__(self, token: Secret, service: str) -> None:
        self._grant = grant_of(token)
        self._service = service

    @property
    def current(self) -> Grant | None:
        """The pasted token."""
        return self._grant

    def grant(self, *, renew: bool = False) -> Grant:
        """Return the pasted token. Raises `StepBlocked` when a new one is needed."""
        if renew:
            raise StepBlocked(f"The pasted {self._service} token is no longer accepted", "Paste a fresh token and run again")
        return self._grant


class NobodySignsIn:
    """Stands in for a side that is handed over: each request that would need a token there is refused before it is sent."""

    current: Grant | None = None

    def __init__(self, service: str) -> None:
        self._service = service

    def grant(self, *, renew: bool = False) -> Grant:
        """Raise `StepBlocked`."""
        raise StepBlocked(
            f"This run does not sign in to {self._service}: that side is handed over",
            f"Look at handover.html, or give a sign-in to {self._service} in the settings",
        )


class _FetchedToken(ABC):
    """Keeps the grant that `_fetch` got, until asked to renew it."""

    _current: Grant | None = None

    def __init__(self) -> None:
        self._fetching = threading.Lock()

    @property
    def current(self) -> Grant | None:
        """The grant it has already."""
        return self._current

    def grant(self, *, renew: bool = False) -> Grant:
        """Return the token, fetched once. Raises `StepBlocked` in the service's words when the sign-in is refused."""
        refused = self._current
        with self._fetching:  # readings at once wait for one token
            if self._current is None or (renew and self._current is refused):
                with understood("the answer to the sign-in"):
                    self._current = self._fetch()
            return self._current

    @abstractmethod
    def _fetch(self) -> Grant:
        """Return a new grant."""


class Auth0ClientCredentials(_FetchedToken):
    """A machine-to-machine application of the Auth0 tenant. Source: Auth0 docs, Management API tokens for production."""

    def __init__(self, service: Service, domain: str, client_id: str, client_secret: Secret, handed: Grant | None = None) -> None:
        super().__init__()
        self._service = service
        self._current = handed
        self._body = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "audience": f"https://{domain}/api/v2/",
        }

    def _fetch(self) -> Grant:
        try:
            body = self._service.ask(Request("auth0", "POST", "/oauth/token", body=self._body)).body
        except ApiError as refused:
            if refused.status in (400, 401, 403, 404):
                raise StepBlocked(f"Auth0 refused the sign-in: {refused.came_back}", auth0_remedy(refused)) from None
            if refused.status == 429:
                refused.do_now = auth0_remedy(refused)
            raise
        scope = body.get("scope")
        scopes, lasts_s = frozenset(scope.split()) if scope else None, body.get("expires_in")
        grant = grant_of(Secret(body["access_token"]))
        return replace(grant, permissions=scopes, lasts_s=float(lasts_s) if isinstance(lasts_s, int | float) else None)


class EntraSignIn(_FetchedToken):
    """Sign-in to one Entra tenant through msal, by client secret, certificate or device code.

    `credential` is msal's client credential; None means device code, for which `show` gets link and code.
    """

    def __init__(
        self,
        *,
        authority: str,
        tenant: str,
        client_id: str,
        credential: Any,
        resource: str,
        session: SignInSession,
        known_authority: bool,
        show: Callable[[DeviceCode], None] | None = None,
    ) -> None:
        super().__init__()
        self._credential = _hidden(credential)  # `vars()` and a debugger's repr show this object
        self._resource = resource
        self._show = show
        self._application: Any = None
        self._arguments = {
            "client_id": client_id,
            "authority": f"{authority}/{tenant}",
            "http_client": session,
            "instance_discovery": known_authority,
        }

    @property
    def is_by_device_code(self) -> bool:
        """Whether a person has to type a code."""
        return self._credential is None

    def _fetch(self) -> Grant:
        try:
            answer = self._by_device_code() if self._credential is None else self._as_application()
        except ValueError as unknown:  # msal raises this for a tenant that its authority does not know
            words = _told_of_tenant(unknown)
            raise StepBlocked(f"Microsoft refused the sign-in: {words}", _tenant_remedy(words)) from None
        if "access_token" not in answer:
            words = str(answer.get("error_description") or answer.get("error") or "no token").splitlines()[0]
            raise StepBlocked(f"Microsoft refused the sign-in: {words}", microsoft_remedy(answer))
        return grant_of(Secret(answer["access_token"]))

    def _as_application(self) -> Any:
        import msal  # only kernels sign in: a batch's runner starts sooner without

        if self._application is None:
            self._application = msal.ConfidentialClientApplication(
                client_credential=revealed(self._credential), **self._arguments
            )
        else:
            self._application.remove_tokens_for_client()  # asked again means that the service refused the cached token
        return self._application.acquire_token_for_client([f"{self._resource}/.default"])

    def _by_device_code(self) -> Any:
        import msal

        if self._show is None:
            raise StepBlocked(
                "Signing in by device code needs a person, and this run has none",
                "Set entra_client_secret to a reference, or open the notebook in JupyterLab",
            )
        if self._application is None:
            self._application = msal.PublicClientApplication(**self._arguments)
        scopes = [f"{self._resource}/.default"]
        for account in self._application.get_accounts():  # there is one only when a token of theirs was refused
            if answer := self._application.acquire_token_silent(scopes, account, force_refresh=True):
                return answer
        flow = self._application.initiate_device_flow(scopes)
        if "user_code" not in flow:
            return flow
        # msal stops polling at the time that the flow names (documented at acquire_token_by_device_flow).
        code = DeviceCode(flow["verification_uri"], flow["user_code"], flow["message"], lambda: flow.update(expires_at=0))
        self._show(code)
        return self._application.acquire_token_by_device_flow(flow)


def waits_for_a_person(sign_in: SignIn) -> bool:
    """Whether the next request would have a person sign in first."""
    return isinstance(sign_in, EntraSignIn) and sign_in.is_by_device_code and sign_in.current is None


def microsoft_remedy(answer: Mapping[str, Any]) -> str:
    """Return what to do about a refusal of Microsoft's sign-in, by its AADSTS number, else by its OAuth error.

    Microsoft advises against depending on the numbers, as they change. Here they choose the words for a person, and the
    answer stands next to them; an unknown number gets the general remedy.
    """
    told = str(answer.get("error_description") or "")
    numbers = [*_AADSTS.findall(told)[:1], *map(str, answer.get("error_codes") or ())]
    found = find("microsoft", *numbers) or find(
        "microsoft", str(answer.get("error") or "")
    )  # unauthorized_client has many causes
    return (found or remedy("RB-299")).words()


def _told_of_tenant(unknown: ValueError) -> str:
    """Return Microsoft's own words: msal 1.39 has them only in the context of its own (authority.py)."""
    found = _AADSTS_WORDS.search(str(unknown.__context__ or ""))
    return (found[0] if found else str(unknown).splitlines()[0]).strip()


def _tenant_remedy(told: str) -> str:
    number = _AADSTS.search(told)
    return ((find("microsoft", number[1]) if number else None) or remedy("RB-206")).words()


def auth0_remedy(refused: ApiError) -> str:
    """Return what to do about a refusal of Auth0's token endpoint.

    Its texts differ between versions, so a text is looked for only where a status has several causes.
    """
    found = None
    if refused.status == 403:
        found = find("auth0-token", "unauthorized_client" if refused.code == "unauthorized_client" else "-", text=refused.message)
        found = found or (remedy("RB-308") if refused.message else None)
    found = found or find("auth0-token", str(refused.status))
    return (found or remedy("RB-301")).words(host=host_of(refused.attempted))


def _hidden(credential: Any) -> Any:
    """Return msal's credential with each of its texts in a `Secret`."""
    if isinstance(credential, dict):
        return {name: _hidden(value) for name, value in credential.items()}
    return Secret(credential) if isinstance(credential, str) else credential


def grant_of(token: Secret) -> Grant:
    """Return a token with what its claims say of it, which is nothing for one that is no JWT."""
    claims = _claims(token)
    named = claims.get("roles") or claims.get("scp") or claims.get("scope") or claims.get("permissions")
    names = named.split() if isinstance(named, str) else named
    who = next((str(claims[name]) for name in ("upn", "unique_name", "app_displayname", "appid", "azp") if claims.get(name)), "")
    ends = claims.get("exp")
    until = datetime.fromtimestamp(ends, UTC) if isinstance(ends, int) else None
    return Grant(token, frozenset(names) if names else None, who=who, until=until)


def _claims(token: Secret) -> dict[str, Any]:
    try:
        payload = token.reveal().split(".")[1]
        claims = parsed(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
