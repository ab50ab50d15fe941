"""What Auth0 holds, as frozen values parsed once at the edge.

Each class has `from_wire`, which reads the service's JSON; sources are the API descriptions named in the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from runbook_lib.core.secret import scrubber
from runbook_lib.services.wire_json import Json, listed

# Options of a waad connection whose texts are no secrets (Auth0's API description, connections; auth0-deploy-cli exports).
_PUBLIC_OPTIONS = frozenset(
    "client_id tenantId tenant_domain domain domain_aliases userid_attribute set_user_root_attributes identity_api waad_protocol "
    "app_domain app_id icon_url scope basic_profile upstream_params non_persistent_attrs useWsfed use_wsfed "
    "cert_rollover_notification api_enable_users max_groups_to_retrieve should_trust_email_verified_connection thumbprints "
    "granted signInEndpoint authorizationURL tokenURL userInfoURL federated_connections_access_tokens".split()
)
_WORD = re.compile(r"[A-Za-z_-]{1,24}")  # no digit, one word: what a page says would be hidden with it


def _secret_texts(value: Any, key: str = "") -> Iterator[str]:
    """Yield the texts of a connection's options that may be secrets, at any depth."""
    if key in _PUBLIC_OPTIONS or key.startswith("ext_"):
        return
    if isinstance(value, str) and (key == "client_secret" or not _WORD.fullmatch(value)):
        yield value
    for name, item in value.items() if isinstance(value, Mapping) else ():
        yield from _secret_texts(item, str(name))
    for item in value if isinstance(value, list) else ():
        yield from _secret_texts(item, key)


@dataclass(frozen=True)
class Connection:
    """An Auth0 connection. `options` is None when the service left it out, which is not the same as empty.

    `options` holds the customer's client secret in clear, and other secrets under names that no page lists, so it never appears
    in a repr, and every text of it that is not known to be public is registered with the scrubber the moment it is read.
    """

    id: str
    name: str
    display_name: str | None
    strategy: str
    options: Json | None = field(repr=False)
    others: Json = field(repr=False, default_factory=dict)

    @classmethod
    def from_wire(cls, body: Json) -> Connection:
        """Read one connection of the Management API; `others` are its further top-level keys."""
        options = body.get("options")
        for text in _secret_texts(options or {}):
            scrubber.register(text)
        known = ("id", "name", "display_name", "strategy", "options")
        others = {key: value for key, value in body.items() if key not in known}
        return cls(body["id"], body["name"], body.get("display_name"), body["strategy"], options, others)

    @property
    def user_id_attribute_type(self) -> str | None:
        """`sub`, `oid`, or None: older connections have no such key, which behaves as `sub` (terraform-provider-auth0 1006)."""
        return (self.options or {}).get("userid_attribute")

    @property
    def uses_common_endpoint(self) -> bool:
        """Whether either of the two mirrored keys of the common endpoint is on."""
        options = self.options or {}
        return bool(options.get("useCommonEndpoint") or options.get("waad_common_endpoint"))

    @property
    def syncs_at_each_login(self) -> bool:
        """Whether the profile is refreshed at each login: the key is absent or says so."""
        return bool((self.options or {}).get("set_user_root_attributes", "on_each_login") == "on_each_login")

    @property
    def oidc_client_id(self) -> str:
        """The appId of the OpenID Connect application in Entra."""
        return str((self.options or {}).get("client_id", ""))

    @property
    def entra_tenant_names(self) -> tuple[str, ...]:
        """The GUID and domain names by which the options name the Entra tenant, lower case."""
        options = self.options or {}
        names = (options.get("tenantId"), options.get("tenant_domain"), options.get("domain"))
        return tuple(dict.fromkeys(str(name).lower() for name in names if name))


@dataclass(frozen=True)
class ScimMappingRow:
    """One row of a connection's SCIM mapping."""

    scim: str
    auth0: str


@dataclass(frozen=True)
class ScimConfiguration:
    """The SCIM configuration of a connection; that it exists is the switch "Sync user profiles using SCIM".

    `created_at` tells one from another that was made in its place; empty when the service does not say.
    """

    connection_id: str
    connection_name: str
    user_id_attribute: str
    mapping: tuple[ScimMappingRow, ...]
    created_at: str = ""

    @classmethod
    def from_wire(cls, body: Json) -> ScimConfiguration:
        """Read one SCIM configuration of the Management API."""
        created_at = str(body.get("created_at") or "")
        attribute = body.get("user_id_attribute") or ""
        return cls(body["connection_id"], body["connection_name"], attribute, mapping_rows(body), created_at)

    def as_json(self) -> dict[str, Any]:
        """Return what a write of it sets, as the journal holds it."""
        return {"user_id_attribute": self.user_id_attribute, "mapping": [[row.scim, row.auth0] for row in self.mapping]}

    def auth0_attribute(self, scim: str) -> str | None:
        """Return the Auth0 attribute that a SCIM attribute is stored in, or None."""
        return next((row.auth0 for row in self.mapping if row.scim == scim), None)


def mapping_rows(body: Json) -> tuple[ScimMappingRow, ...]:
    """Return the rows of a wire object's `mapping`, in its order; null is read as an empty list, and a null row as none."""
    return tuple(ScimMappingRow(row.get("scim") or "", row.get("auth0") or "") for row in listed(body["mapping"]))


@dataclass(frozen=True)
class ScimToken:
    """What is known of a SCIM token after it was made; its text is not among it. Times are ISO texts of the service."""

    token_id: str
    scopes: frozenset[str]
    created_at: str
    valid_until: str | None
    last_used_at: str | None

    def has_ended(self, now: datetime) -> bool:
        """Whether its lifetime is over; a time that is none is no end."""
        ends = self.ends_at
        return ends is not None and ends <= now

    @property
    def ends_at(self) -> datetime | None:
        """When it ends; None when it never does, or the service wrote no time."""
        try:
            found = datetime.fromisoformat(self.valid_until or "")
        except ValueError:
            return None
        return found if found.tzinfo else None

    @classmethod
    def from_wire(cls, body: Json) -> ScimToken:
        """Read one entry of the token list."""
        return cls(
            body["token_id"],
            frozenset(listed(body["scopes"])),
            body["created_at"],
            body.get("valid_until"),
            body.get("last_used_at"),
        )


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class Auth0User:
    """A user profile, as far as this runbook looks at it. `connections` are the names of the identities' connections."""

    user_id: str
    email: str | None
    is_blocked: bool
    connections: frozenset[str]
    profile: Json = field(repr=False)

    @classmethod
    def from_wire(cls, body: Json) -> Auth0User:
        """Read one user of the Management API."""
        connections = frozenset(str(identity["connection"]) for identity in listed(body.get("identities")))
        return cls(body["user_id"], body.get("email"), bool(body.get("blocked", False)), connections, body)

    def attribute(self, path: str) -> Any:
        """Return a profile value by the dotted path that SCIM mappings use, or None."""
        value: Any = self.profile
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


@dataclass(frozen=True)
class SeenUsers:
    """How many users a connection has, and the ids of the first hundred."""

    total: int
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScimLogEntry:
    """One request to a SCIM endpoint, as the tenant log keeps it; its body, which is personal data, is left there.

    `path` and `search` are the request's path and `filter`; `arguments` the names in its query. Source: docs-v2,
    tenant-logs/logs-schema.json, events sscim and fscim.
    """

    date: str
    is_success: bool
    connection_id: str
    method: str
    path: str
    search: str
    arguments: frozenset[str]

    @classmethod
    def from_wire(cls, body: Json) -> ScimLogEntry:
        """Read one log event."""
        details = body.get("details") or {}
        request = details.get("request") or {}
        query = request.get("query") or {}
        return cls(
            str(body.get("date") or ""),
            body.get("type") == "sscim",
            str(details.get("connection_id") or ""),
            str(request.get("method") or "").upper(),
            str(request.get("path") or ""),
            str(query.get("filter") or ""),
            frozenset(map(str, query)),
        )

    @property
    def has_changed_a_user(self) -> bool:
        """Whether the request changed a user, or deleted one."""
        return self.is_success and self.method in ("PATCH", "PUT", "DELETE")

    @property
    def user_id(self) -> str:
        """Return the id of the user that the path names."""
        return unquote(self.path.rstrip("/").rsplit("/Users/", 1)[-1])
