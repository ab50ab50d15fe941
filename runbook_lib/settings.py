"""What the operator asks for, checked before anything is sent. The only module that reads the environment."""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import tempfile
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from runbook_lib.errors import SettingsError
from runbook_lib.secret import Secret, looks_like_secret, scrubber

Hazards = Literal[
    "turn-common-endpoint-off", "change-user-id-attribute", "replace-tenant-url", "shared-mail-addresses", "other-side-confirmed"
]
Side = Literal["auth0", "entra"]
_NAME = re.compile(r"(?:auth0|[A-Za-z])(?:auth0|[A-Za-z_ ]){0,39}")  # no other digits: those are what secrets have
_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|keyring:[^/]+/.+|memory:[a-z0-9_]+)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AUTH0_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})?\.(?:auth0\.com|auth0app\.com)", re.ASCII)
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.ASCII)
_DNS_NAME_LIMIT = 253
_USER = re.compile(r"[^\s@/\\?%]+@[^\s@/\\?%]+")  # a guest's name holds #EXT#
_ORIGIN = re.compile(r"https://(?:localhost|127\.0\.0\.1):[0-9]{1,5}", re.ASCII)
_SECRET_FILE_LIMIT = 65_536
SCIM_ENDPOINT = re.compile(r"https://(?P<domain>[^/?#]+)/scim/v2/connections/(?P<connection>con_[A-Za-z0-9]+)/?", re.ASCII)
CORRECT_IT = "Correct it and run again; nothing was sent"
SANDBOX_VARIABLE = "INBOUND_SCIM_SANDBOX"
PACE_VARIABLE = "INBOUND_SCIM_PACE"
GRANT_VARIABLE = "INBOUND_SCIM_AUTH0_GRANT"
LEASE_VARIABLE = "INBOUND_SCIM_LEASE"
REALM_VARIABLE = "INBOUND_SCIM_REALM"
PAGE_VARIABLE = "INBOUND_SCIM_PAGE"


class RunMode(StrEnum):
    """`plan` writes nothing; `apply` writes what the plan shows."""

    PLAN = "plan"
    APPLY = "apply"


@dataclass(frozen=True)
class Cloud:
    """Where the Microsoft services are. `resource` is what a Graph token is asked for; `template_id` the non-gallery template."""

    name: str
    authority: str
    graph: str
    template_id: str
    portal: str
    ca_bundle: str | None = None
    auth0_domain: str | None = None

    @property
    def is_sandbox(self) -> bool:
        """Whether this is the built-in simulation."""
        return self.ca_bundle is not None

    @property
    def resource(self) -> str:
        """The origin of Graph."""
        parts = urlsplit(self.graph)
        return f"{parts.scheme}://{parts.netloc}"


_GLOBAL_TEMPLATE = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
# Hosts: Graph "national cloud deployments" page; template ids: Graph applicationtemplate-instantiate page.
CLOUDS: Mapping[str, Cloud] = {
    "public": Cloud(
        "public",
        "https://login.microsoftonline.com",
        "https://graph.microsoft.com/v1.0",
        _GLOBAL_TEMPLATE,
        "https://entra.microsoft.com",
    ),
    "usgov": Cloud(
        "usgov",
        "https://login.microsoftonline.us",
        "https://graph.microsoft.us/v1.0",
        "4602d0b4-76bb-404b-bca9-2652e1a39c6d",
        "https://entra.microsoft.us",
    ),
    "china": Cloud(
        "china",
        "https://login.partner.microsoftonline.cn",
        "https://microsoftgraph.chinacloudapi.cn/v1.0",
        "5a532e38-1581-4918-9658-008dc27c1d68",
        "https://entra.microsoftonline.cn",
    ),
}


_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, bidi marks and zero widths, half characters, line ends


def _plain(value: Any) -> Any:
    """Normalise a text; refuse characters that nobody sees and that change what others see."""
    if not isinstance(value, str):
        return value
    text = unicodedata.normalize("NFC", value)
    if bad := next((c for c in text if unicodedata.category(c) in _UNSEEN), None):
        raise ValueError(f"holds the invisible character U+{ord(bad):04X}; type the value again by hand")
    if looks_like_secret(text):  # a name is on pages and in folders' names, and a cut or a slug of it would pass the scrubber
        raise ValueError("looks like a token, a key or a password; secrets are only ever named by a reference")
    return text.strip()


def _reference(value: str) -> str:
    if value and not _REFERENCE.fullmatch(value):
        raise ValueError("is not a reference; write env:NAME, file:PATH or keyring:SERVICE/USER, never the secret itself")
    return value


def _cloud(value: str) -> str:
    if value not in CLOUDS and not value.startswith("sandbox:"):
        raise ValueError(f"is none of {', '.join(CLOUDS)} or sandbox:READY_FILE")
    return value


def _entra_tenant(value: str) -> str:
    is_domain = bool(_DNS_NAME.fullmatch(value.lower())) and len(value) <= _DNS_NAME_LIMIT
    if not is_guid(value) and (not is_domain or value.replace(".", "").isdigit()):
        raise ValueError("is neither a tenant id (GUID) nor a domain name; common and organizations name no tenant")
    return value.lower()


def _optional_guid(value: str) -> str:
    if value and not is_guid(value):
        raise ValueError("is not an application (client) id, which is a GUID")
    return value.lower()


def _user(value: str) -> str:
    if not is_guid(value) and not _USER.fullmatch(value):
        raise ValueError("is neither a user principal name such as adele@contoso.com nor an object id (GUID)")
    return value


def _lifetime(value: str) -> str:
    if value not in ("", "never") and not (value.isascii() and value.isdigit() and 1 <= int(value) <= 3650):
        raise ValueError("is neither a number of days from 1 to 3650 nor never")
    return value


def _switch(value: str) -> str:
    words = {"": "yes", "yes": "yes", "true": "yes", "1": "yes", "no": "no", "false": "no", "0": "no"}
    if value.lower() not in words:
        raise ValueError("is neither yes nor no")
    return words[value.lower()]


Text = Annotated[str, BeforeValidator(_plain)]
Reference = Annotated[Text, AfterValidator(_reference)]
Person = Annotated[Text, AfterValidator(_user)]


class MappingOverride(BaseModel):
    """One row of a wanted SCIM mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    scim: Text
    auth0: Text


class TenantSettings(BaseModel):
    """One tenant, as one row of a tenants file, one form, or the parameters of the notebook.

    Sign-in to Auth0: with `auth0_client_id`, client credentials; without, the secret reference holds a pasted Management API
    token. Sign-in to Entra: with `entra_client_id` and a reference, a client secret or, when it holds PEM, a certificate;
    without the reference, device code; without the id, the reference holds a pasted Graph token.
    Where id and reference of a side are both empty nobody signs in there: that side is handed over to whom it belongs to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[Text, Field(min_length=1, max_length=120, description="your name for this tenant, used for folders")]
    auth0_domain: Annotated[Text, Field(description="the tenant's Auth0 domain, such as acme.eu.auth0.com")]
    auth0_connection: Annotated[Text, Field(min_length=1, max_length=128, description="connection id (con_…) or exact name")]
    auth0_client_id: Annotated[Text, Field(description="machine-to-machine application; empty: the secret is a token")] = ""
    auth0_client_secret: Annotated[Reference, Field(description="reference to its secret; empty as the id: somebody else's side")]
    entra_tenant: Annotated[Text, AfterValidator(_entra_tenant), Field(description="tenant id or verified domain")]
    entra_client_id: Annotated[Text, AfterValidator(_optional_guid), Field(description="app registration; empty: a token")] = ""
    entra_client_secret: Annotated[
        Reference,
        Field(description="reference to its secret or certificate; empty: device code, empty as the id: somebody else's side"),
    ] = ""
    cloud: Annotated[Text, AfterValidator(_cloud), Field(description="public, usgov, china or sandbox:READY_FILE")] = "public"
    scim_app_name: Annotated[Text, Field(min_length=1, max_length=120, description="name of the new enterprise application")]
    test_user: Annotated[Person, Field(max_length=320, description="user principal name or object id")]
    token_lifetime_days: Annotated[Text, AfterValidator(_lifetime), Field(description="days, or never")] = "365"  # noqa: S105 - a number of days
    turn_on: Annotated[Text, AfterValidator(_switch), Field(description="yes: start provisioning in step 4.3")] = "yes"

    mapping: Annotated[
        tuple[MappingOverride, ...], Field(description="wanted rows of the SCIM mapping; empty: it is only looked at")
    ] = ()
    assign: Annotated[
        tuple[Person, ...], Field(description="who gets access, by user principal name or object id; empty: as the OIDC app")
    ] = ()
    accept: Annotated[tuple[Hazards, ...], Field(description="dangerous changes that may be made")] = ()
    deletion_threshold: Annotated[int, Field(ge=1, le=100_000, description="deletions a cycle may make before it stops")] = 20
    blocked_users_limit: Annotated[
        int, Field(ge=0, le=100_000, description="people, disabled in Entra, whom the first cycle may block in Auth0")
    ] = 0
    scim_endpoint: Annotated[Text, Field(description="SCIM endpoint URL, from whom the Auth0 side belongs to")] = ""
    scim_token: Annotated[Reference, Field(description="reference to the SCIM token, from whom the Auth0 side belongs to")] = ""
    oidc_client_id: Annotated[
        Text, AfterValidator(_optional_guid), Field(description="client id of the connection, when nobody signs in to Auth0")
    ] = ""

    @model_validator(mode="after")
    def _hangs_together(self) -> TenantSettings:
        self._check_sides()
        cloud = self.find_cloud()
        if cloud.is_sandbox:
            if self.auth0_domain != cloud.auth0_domain:
                raise ValueError("auth0_domain: is not the sandbox's; in the sandbox no other is allowed")
        else:
            _check_auth0_domain(self.auth0_domain)
        return self

    def _check_sides(self) -> None:
        """Raise `ValueError` unless somebody signs in on one side, and what the other side gave fits."""
        given = [name for name in ("scim_endpoint", "scim_token", "oidc_client_id") if getattr(self, name)]
        if self.auth0_client_secret:
            if given:
                raise ValueError(
                    f"{given[0]}: is for tenants whose Auth0 side is somebody else's; here auth0_client_secret is given"
                )
            return
        if self.auth0_client_id:
            raise ValueError("auth0_client_secret: is empty, though auth0_client_id is not")
        if not self.entra_client_id and not self.entra_client_secret:
            raise ValueError("auth0_client_secret: is empty, and nobody signs in to Entra either; one side has to be yours")
        if self.scim_endpoint:
            self._check_endpoint()
            if not self.oidc_client_id:
                raise ValueError("oidc_client_id: is missing; with scim_endpoint it names the sign-in application")
        elif given:
            raise ValueError(f"{given[0]}: is given without scim_endpoint")

    def _check_endpoint(self) -> None:
        """Raise `ValueError` unless the endpoint is this connection's: Entra is told to send the token there."""
        found = SCIM_ENDPOINT.fullmatch(self.scim_endpoint)
        if found is None or found["domain"] != self.auth0_domain:
            raise ValueError(f"scim_endpoint: is not of the form https://{self.auth0_domain}/scim/v2/connections/con_…")
        if self.auth0_connection.startswith("con_") and found["connection"] != self.auth0_connection:
            raise ValueError("scim_endpoint: is that of another connection than auth0_connection")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], *, row: int | None = None) -> TenantSettings:
        """Return checked settings. Raises `SettingsError` that names each column and never shows a value of a secret one."""
        known = (*COLUMNS, *EXTRAS)
        if unknown := [name for name in parameters if name not in known]:
            raise unknown_names("setting", unknown, known, row=row)
        try:
            return cls(**dict(parameters))
        except ValidationError as invalid:
            raise _settings_error(invalid, row) from None

    def find_cloud(self) -> Cloud:
        """Return the cloud, reading the sandbox's ready file where it names one."""
        if self.cloud in CLOUDS:
            return CLOUDS[self.cloud]
        return sandbox_cloud(Path(self.cloud.removeprefix("sandbox:")))

    @property
    def handed_over(self) -> Side | None:
        """The side that somebody else takes care of; None where both are signed in to."""
        if not self.auth0_client_secret:
            return "auth0"
        return None if self.entra_client_id or self.entra_client_secret else "entra"

    @property
    def endpoint_connection(self) -> str:
        """The id of the connection that `scim_endpoint` names, empty without one."""
        found = SCIM_ENDPOINT.fullmatch(self.scim_endpoint)
        return found["connection"] if found else ""

    @property
    def token_lifetime_s(self) -> int | None:
        """The wanted lifetime of the SCIM token in seconds; None: it never ends."""
        return int(self.token_lifetime_days) * 86_400 if self.token_lifetime_days.isdigit() else None


EXTRAS = (
    "mapping",
    "assign",
    "accept",
    "deletion_threshold",
    "blocked_users_limit",
    "scim_endpoint",
    "scim_token",
    "oidc_client_id",
)
COLUMNS: tuple[str, ...] = tuple(name for name in TenantSettings.model_fields if name not in EXTRAS)
REQUIRED: tuple[str, ...] = tuple(name for name, field in TenantSettings.model_fields.items() if field.is_required())
SECRET_COLUMNS = ("auth0_client_secret", "entra_client_secret", "scim_token")
_PLAINER = {
    "missing": "is missing",
    "string_too_short": "is empty",
    "string_type": "is not a text",
    "tuple_type": "is not a list",
    "extra_forbidden": "does not belong here",
}


def unknown_names(what: str, names: Sequence[object], known: Sequence[str], *, row: int | None = None) -> SettingsError:
    """Return the error for names nobody knows. One that does not look like a name is not repeated: it may be a secret."""
    hints = []
    for name in map(str, names):
        near = difflib.get_close_matches(name, known, 1)
        hints += [f"Did you mean {near[0]}"] if near else []
    shown = [name if _NAME.fullmatch(name) else "(not a name)" for name in map(str, names)]
    hint = "; ".join(hints) or f"Known are {', '.join(known)}"
    return SettingsError(f"there is no such {what}", hint, row=row, column=", ".join(shown))


# What a form leaves open until it can be chosen from the live tenants. Never part of settings that a step sees.
TO_BE_CHOSEN: Mapping[str, str] = {
    "name": "(open)",
    "auth0_connection": "(open)",
    "scim_app_name": "(open)",
    "test_user": "open@example.invalid",
    "auth0_domain": "open.auth0.com",
    "auth0_client_secret": "memory:auth0_client_secret",
    "entra_tenant": "open.example",
    "entra_client_secret": "memory:entra_client_secret",
}


def problems(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with each of these values, in words; what is not among them counts as open.

    It asks the one settings model, so that a form says while typing what a tenants file would be told.
    """
    try:
        TenantSettings(**{**TO_BE_CHOSEN, **values})
    except ValidationError as invalid:
        return {column: words for column, words in reversed(_found(invalid)) if column in values}
    return {}


def _settings_error(invalid: ValidationError, row: int | None) -> SettingsError:
    found = _found(invalid)
    came_back = found[0][1] if len(found) == 1 else "; ".join(f"{column} {words}" for column, words in found)
    return SettingsError(came_back, CORRECT_IT, row=row, column=", ".join(column for column, _ in found))


def _found(invalid: ValidationError) -> list[tuple[str, str]]:
    """Return (column, what is wrong) for each complaint."""
    found = []
    for error in invalid.errors(include_input=False, include_url=False):
        column = ".".join(map(str, error["loc"]))
        words = _PLAINER.get(error["type"], error["msg"].removeprefix("Value error, "))
        if not column and ": " in words:
            column, _, words = words.partition(": ")
        found.append((column, words))
    return found


def _check_auth0_domain(domain: str) -> None:
    """Raise `ValueError` unless `domain` can only mean an Auth0 tenant: the token and the secret are sent there."""
    if not _AUTH0_DOMAIN.fullmatch(domain) or domain.startswith("manage."):
        raise ValueError(
            "auth0_domain: is not of the form <tenant>.auth0.com or <tenant>.<region>.auth0.com; "
            "a custom domain cannot be used here, take the tenant's own from the Auth0 dashboard"
        )


def sandbox_cloud(ready_file: Path) -> Cloud:
    """Return the cloud that a sandbox's ready file describes. Only loopback https addresses are taken."""
    try:
        ready = json.loads(ready_file.read_text(encoding="utf-8"))
        authority, graph, domain, ca_bundle = (str(ready[key]) for key in ("authority", "graph", "auth0_domain", "ca_bundle"))
        scrubber.register(str(ready.get("control_token", "")))
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            "cloud: names a ready file that is not there or not of a sandbox; start one with: python -m runbook_lib sandbox"
        ) from None
    if not all(map(_ORIGIN.fullmatch, (authority, graph.removesuffix("/v1.0"), f"https://{domain}"))):
        raise ValueError("cloud: the ready file names an address outside this machine")
    return Cloud("sandbox", authority, graph, _GLOBAL_TEMPLATE, CLOUDS["public"].portal, ca_bundle, domain)


def lock_folder() -> Path:
    """Return the folder of this user's locks on this machine, made when missing and readable by nobody else.

    In the temporary folder: it is there on every machine, and a lock means nothing after a restart.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    folder = Path(tempfile.gettempdir()) / f"inbound-scim-runbook-{user}"
    with contextlib.suppress(FileExistsError):  # something else of that name, as a link that leads nowhere
        folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        raise SettingsError(f"{folder} belongs to somebody else", "Remove it, or set TMPDIR to a folder of your own")
    return folder


def attached_sandbox() -> Path | None:
    """Return the ready file of a sandbox that runs beside this process, when one was announced to it."""
    named = os.environ.get(SANDBOX_VARIABLE)
    return Path(named) if named and Path(named).exists() else None


def announce_sandbox(ready_file: Path) -> None:
    """Let this process and its children find this sandbox."""
    os.environ[SANDBOX_VARIABLE] = str(ready_file)


def page_folder() -> Path | None:
    """Return the folder in which the page of this kernel lies, when `lab` has put it there."""
    named = os.environ.get(PAGE_VARIABLE)
    return Path(named) if named else None


def with_sandbox(ready_file: Path, page: Path | None = None) -> dict[str, str]:
    """Return the environment for a child process that is to find this sandbox, and the folder of its page."""
    named = {SANDBOX_VARIABLE: str(ready_file), **({PAGE_VARIABLE: str(page)} if page else {})}
    return child_environment(**named)


def pace_folder() -> Path | None:
    """Return the folder in which the kernels of a run share their pace, None outside of a run."""
    named = os.environ.get(PACE_VARIABLE)
    return Path(named) if named and Path(named).is_dir() else None


def lease_file() -> Path | None:
    """Return the file that says until when this kernel's lease is sure, None where no lease is needed."""
    named = os.environ.get(LEASE_VARIABLE)
    return Path(named) if named else None


def realm() -> str:
    """Return the name of the place where this run's leases are kept, empty when there are none."""
    return os.environ.get(REALM_VARIABLE, "")


def handed_grant(auth0_domain: str, client_id: str) -> tuple[Secret, frozenset[str] | None] | None:
    """Return the Auth0 token that the runner fetched for all its kernels, and its scopes; None when there is none.

    It comes by the environment, which is on no disk, and leaves it here, so that no child process gets it.
    """
    text = os.environ.pop(GRANT_VARIABLE, "")
    if not text:
        return None
    grant = json.loads(text)
    token = Secret(grant["token"])
    scopes = None if grant["scopes"] is None else frozenset(grant["scopes"])
    return (token, scopes) if (grant["domain"], grant["client_id"]) == (auth0_domain, client_id) else None


def grant_for_child(auth0_domain: str, client_id: str, token: Secret, scopes: frozenset[str] | None) -> dict[str, str]:
    """Return the variable by which a kernel is handed a token."""
    listed = None if scopes is None else sorted(scopes)
    named = {"domain": auth0_domain, "client_id": client_id, "token": token.reveal(), "scopes": listed}
    return {GRANT_VARIABLE: json.dumps(named)}


def child_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with some variables more, for a child process."""
    return {**os.environ, **variables}


def resolve(reference: str, *, column: str = "") -> Secret:
    """Return the secret a reference stands for. Raises `SettingsError` that names the reference, not what it holds."""
    kind, _, place = reference.partition(":")
    if kind == "env":
        value = os.environ.get(place, "")
    elif kind == "file":
        value = _from_file(place, column)
    elif kind == "keyring":
        value = _from_keyring(place, column)
    elif kind == "memory":
        raise SettingsError(
            f"{place} was typed on a page, which kept it in memory only and is closed",
            f"Put the secret into the environment or a file, write env:NAME or file:PATH for {place} in the settings.json of the "
            "tenant's folder (or in the tenants file), then run the same command again; nothing was sent",
            column=column,
        )
    else:
        raise SettingsError("is not a reference", "Write env:NAME, file:PATH or keyring:SERVICE/USER", column=column)
    if not value:
        raise SettingsError(f"{reference} is empty or not set", "Set it, then run again; nothing was sent", column=column)
    return Secret(value)


def _from_file(place: str, column: str) -> str:
    try:
        path = Path(place).expanduser()
        if path.exists() and not path.is_file():  # a folder, or a pipe that would wait for ever
            raise SettingsError(f"file:{place} is not a file", "Name the file that holds only the secret", column=column)
        with path.open("rb") as opened:
            octets = opened.read(_SECRET_FILE_LIMIT + 1)
        text = octets.decode("utf-8-sig")  # Windows editors put a mark in front
    except (OSError, RuntimeError, ValueError) as unreadable:
        raise SettingsError(
            f"file:{place} cannot be read ({type(unreadable).__name__})", "Check the path and its rights", column=column
        ) from None
    if len(octets) > _SECRET_FILE_LIMIT:
        raise SettingsError(f"file:{place} is too large for a secret", "Name the file that holds only the secret", column=column)
    return text.rstrip("\r\n")


def _from_keyring(place: str, column: str) -> str:
    try:
        import keyring
    except ImportError:
        raise SettingsError(
            "keyring is not installed", "pip install 'inbound-scim-runbook[keyring]', or use env: or file:", column=column
        ) from None
    service, _, user = place.partition("/")
    try:
        return keyring.get_password(service, user) or ""
    except keyring.errors.KeyringError as refused:
        raise SettingsError(
            f"the keyring answered {type(refused).__name__}", "Unlock it, or use env: or file:", column=column
        ) from None


_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")  # Windows makes no folder of these names


def output_name(name: str) -> str:
    """Return a folder name for a tenant: the name itself when plain, else an ASCII slug with a hash that keeps it unique."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) and not _DEVICE.fullmatch(name):
        return name
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:40] or "tenant"
    return f"{slug}-{hashlib.sha256(unicodedata.normalize('NFC', name).encode()).hexdigest()[:8]}"


def is_guid(text: str) -> bool:
    """Whether a text is a GUID as Microsoft writes it: with hyphens and nothing around it."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
