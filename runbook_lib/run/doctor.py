"""What must be there before a first real tenant: versions, network, clock, sign-ins, each permission by name. It only reads."""

from __future__ import annotations

import platform
import ssl
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from urllib.request import getproxies

from runbook_lib import __version__
from runbook_lib.core.errors import ApiError, RunbookError, TransportError
from runbook_lib.core.remedies import remedy
from runbook_lib.http.retry import SIGN_IN_PACE
from runbook_lib.http.service import Service
from runbook_lib.http.session import usual_authorities
from runbook_lib.http.time_limit import SIGN_IN_TIMEOUT_S, Deadline
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import auth0_side, entra_side
from runbook_lib.services.sign_in import Grant, SignIn
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS
from runbook_lib.settings.clouds import Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.process import named_ca_bundle

OLDEST_PYTHON = (3, 11)
MACHINE, NETWORK, AUTH0, ENTRA = "This machine", "Network", "Auth0", "Microsoft Entra"
AUTH0_AND_ENTRA = "Auth0 and Microsoft Entra"
CLOCK_LIMIT_S = 120.0  # a certificate sign-in tolerates some minutes; warn at two, before they matter
PACKAGES = ("requests", "urllib3", "msal", "cryptography", "papermill", "jupyterlab", "pydantic", "certifi")
WHERE_AUTH0 = "Auth0 dashboard > Applications > APIs > Auth0 Management API > Machine to Machine Applications"
WHERE_GRAPH = "App registrations > the application > API permissions (application permissions), then Grant admin consent"


@dataclass(frozen=True)
class Check:
    """One thing looked at. `status` is ok, bad or unknown; `now` what to do about a bad one, empty otherwise.

    `group` says what it is about: this machine, the network, Auth0 or Entra.
    """

    what: str
    status: str
    found: str
    now: str = ""
    group: str = ""


def examine(settings: TenantSettings | None, cloud: Cloud, machine: Machine, procedure: Procedure) -> Iterator[Check]:
    """Yield the checks as they are made, those of the machine first. Without settings no tenant is asked."""
    numbers = procedure.by_thing
    for check in _examined(settings, cloud, machine):
        yield replace(check, found=numbers.put_in(check.found), now=numbers.put_in(check.now))


def _examined(settings: TenantSettings | None, cloud: Cloud, machine: Machine) -> Iterator[Check]:
    yield from _of(MACHINE, _machine(), _certificates(cloud))
    hosts = {"Microsoft's sign-in": cloud.authority, "Microsoft Graph": cloud.graph}
    if settings is not None:
        hosts = {"Auth0": f"https://{settings.auth0_domain}", **hosts}
    is_reached = {}
    for name, url in hosts.items():
        reached = list(_of(NETWORK, _host(name, url, cloud, machine)))
        is_reached[name] = reached[0].status == "ok"
        yield from reached
    if settings is None:
        now = "Name one: doctor tenants.csv --only NAME"
        yield Check("sign-ins", "unknown", "not asked: no tenants file was named", now, AUTH0_AND_ENTRA)
        return
    if settings.handed_over != "auth0":
        sign_in = partial(_auth0_sign_in, settings, machine)
        yield from _of(AUTH0, _signed_in("Auth0", sign_in, _IN_AUTH0, is_reached=is_reached["Auth0"]))
    if settings.handed_over != "entra":
        sign_in = partial(_entra_sign_in, settings, machine)
        yield from _of(ENTRA, _signed_in("Entra", sign_in, _IN_ENTRA, is_reached=is_reached["Microsoft's sign-in"]))


def _of(group: str, *found: Iterator[Check]) -> Iterator[Check]:
    """Yield the checks as those of a group."""
    for check in chain(*found):
        yield replace(check, group=group)


def _auth0_sign_in(settings: TenantSettings, machine: Machine) -> SignIn:
    return auth0_side(settings, machine=machine, deadline=Deadline(clock=machine.clock))[1]


def _entra_sign_in(settings: TenantSettings, machine: Machine) -> SignIn:
    return entra_side(settings, machine=machine, deadline=Deadline(clock=machine.clock))[1]


def _machine() -> Iterator[Check]:
    is_new = sys.version_info[:2] >= OLDEST_PYTHON
    now = "" if is_new else f"Install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer"
    yield Check("Python", "ok" if is_new else "bad", f"{platform.python_version()} on {platform.platform(terse=True)}", now)
    yield Check("runbook", "ok", __version__)
    for name in PACKAGES:
        try:
            yield Check(name, "ok", version(name))
        except PackageNotFoundError:
            yield Check(name, "bad", "is not installed", "pip install -r requirements.txt")
    proxy = getproxies().get("https", "")
    yield Check("proxy", "ok", proxy.rpartition("@")[2].removeprefix("http://") or "none")  # without its user and password


def _certificates(cloud: Cloud) -> Iterator[Check]:
    """Look whether the authorities that answers are checked against can be read.

    requests takes them from REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, else from certifi (requests documentation, SSL Cert
    Verification).
    """
    variable, named = named_ca_bundle()
    path = cloud.ca_bundle or named or usual_authorities()
    source = "the sandbox" if cloud.ca_bundle else f"{variable} ({path})" if named else "certifi"
    try:
        count = len(ssl.create_default_context(cafile=path).get_ca_certs())
    except OSError as refused:
        now = f"Let {variable or 'REQUESTS_CA_BUNDLE'} name a PEM file with certificates, or unset it (see: RB-104)"
        yield Check("certificates", "bad", f"{source} cannot be used ({refused.strerror or refused})", now)
        return
    yield Check("certificates", "ok", f"authorities of {source}: {count}")


def _host(name: str, url: str, cloud: Cloud, machine: Machine) -> Iterator[Check]:
    """Send a host any request: even an error proves that it answers. Compare its clock with this machine's."""
    session = machine.open_http(cloud.ca_bundle)
    service = Service(name, url, session=session, pace=SIGN_IN_PACE, sleep=machine.sleep, time_limit_s=SIGN_IN_TIMEOUT_S)
    try:
        service.read("/.well-known/openid-configuration")
    except ApiError as answered:
        if answered.status >= 500:
            yield Check(f"network to {name}", "bad", answered.came_back, answered.do_now)
            return
    except TransportError as broken:
        if "not JSON" not in broken.came_back or broken.is_outage:
            yield Check(f"network to {name}", "bad", broken.came_back, broken.do_now)
            return
    yield Check(f"network to {name}", "ok", service.base_url)
    if service.date is not None and not cloud.is_sandbox:
        yield _clock(name, service.date, machine.now())


def _clock(name: str, theirs: datetime, ours: datetime) -> Check:
    apart_s = (ours - theirs).total_seconds()
    words = f"{abs(apart_s):.0f} s {'ahead of' if apart_s > 0 else 'behind'} {name}"
    is_right = abs(apart_s) <= CLOCK_LIMIT_S
    return Check("clock", "ok" if is_right else "bad", words, "" if is_right else remedy("RB-113").words())


def _granted(name: str, sign_in: Callable[[], SignIn], *, is_reached: bool) -> Grant | Check:
    what = f"sign-in to {name}"
    if not is_reached:
        return Check(what, "unknown", "not asked: the host was not reached")
    try:
        return sign_in().grant()
    except RunbookError as refused:
        return Check(what, "bad", refused.came_back, refused.do_now)


@dataclass(frozen=True)
class _Permission:
    """A permission that a sign-in needs: one of `names` is enough. `where` is where an administrator grants it."""

    what: str
    names: tuple[str, ...]
    why: str
    where: str

    def in_token(self, grant: Grant) -> Check:
        """Look whether the token has it."""
        if grant.permissions is None:
            return Check(self.what, "unknown", f"the token does not say; {self.why}", f"See that it is granted: {self.where}")
        held = sorted(grant.permissions & set(self.names))
        if not held:
            return Check(self.what, "bad", f"missing; {self.why}", f"Grant it: {self.where}")
        return Check(self.what, "ok", f"{', '.join(held)}; {self.why}")


_IN_AUTH0 = tuple(_Permission(scope, (scope,), f"needed for {steps}", WHERE_AUTH0) for scope, steps in AUTH0_SCOPES.items())
_IN_ENTRA = tuple(
    _Permission(" or ".join(names[:2]), names, f"needed to {purpose}", WHERE_GRAPH)
    for purpose, names in GRAPH_PERMISSIONS.items()
)


def _signed_in(name: str, sign_in: Callable[[], SignIn], needed: tuple[_Permission, ...], *, is_reached: bool) -> Iterator[Check]:
    """Sign in to a service, and look for each permission that the procedure needs there."""
    grant = _granted(name, sign_in, is_reached=is_reached)
    if isinstance(grant, Check):
        yield grant
        return
    yield Check(f"sign-in to {name}", "ok", grant.who or "the token does not say who")
    for permission in needed:
        yield permission.in_token(grant)
