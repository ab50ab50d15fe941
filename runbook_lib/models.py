"""What the services hold, as frozen values parsed once at the edge.

Each class has `from_wire`, which reads the service's JSON; sources are the API descriptions named in the clients.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.secret import scrubber
from runbook_lib.vocabulary import (
    BASE_ADDRESS,
    SECRET_TOKEN,
    SOURCE_GROUP,
    SOURCE_USER,
    SYNC_ALL,
    SYNC_NOTIFICATION_SETTINGS,
    TARGET_USER,
)

Json = Mapping[str, Any]


# Auth0 ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """An Auth0 connection. `options` is None when the service left it out, which is not the same as empty.

    `options` holds the customer's client secret in clear, so it never appears in a repr, and the secret is registered
    with the scrubber the moment it is read.
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
        if options and isinstance(options.get("client_secret"), str):
            scrubber.register(options["client_secret"])
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
class Generation:
    """Which of Auth0's two pages a connection belongs to: `kind` is older, newer or unsure; `why` is a whole sentence."""

    kind: str
    why: str


def generation(connection: Connection, users: int | None) -> Generation:
    """Judge a connection by its user id attribute and by whether it has users; None users: not counted.

    Source: Auth0's pages for older and new connections. The attribute was offered from 2024 on, so an older connection has no
    such key (terraform-provider-auth0 issue 1006).
    """
    if not connection.options:
        return Generation("unsure", "Its options are not readable with this sign-in, so nothing can be said.")
    if connection.user_id_attribute_type == "oid":
        return Generation("newer", "User ids come from the object id (oid).")
    if connection.uses_common_endpoint:
        return Generation(
            "unsure", "The common endpoint is on: people of other directories sign in here, and SCIM cannot be used."
        )
    if connection.options.get("identity_api") == "azure-active-directory-v1.0":
        return Generation("unsure", "It uses Azure AD v1, whose user id may be another claim.")
    if users == 0:
        return Generation("unsure", "It has no users yet: switching it to oid and following the other page is simpler.")
    about = "is sub" if connection.user_id_attribute_type else "is not set, which works as sub"
    return Generation("older", f"User ids are pairwise: the attribute {about}{f', and {users} users exist' if users else ''}.")


@dataclass(frozen=True)
class ScimMappingRow:
    """One row of a connection's SCIM mapping."""

    scim: str
    auth0: str


@dataclass(frozen=True)
class ScimConfiguration:
    """The SCIM configuration of a connection; that it exists is the switch "Sync user profiles using SCIM"."""

    connection_id: str
    connection_name: str
    user_id_attribute: str
    mapping: tuple[ScimMappingRow, ...]

    @classmethod
    def from_wire(cls, body: Json) -> ScimConfiguration:
        """Read one SCIM configuration of the Management API."""
        return cls(body["connection_id"], body["connection_name"], body["user_id_attribute"], mapping_rows(body))

    def as_json(self) -> dict[str, Any]:
        """Return what a write of it sets, as the journal holds it."""
        return {"user_id_attribute": self.user_id_attribute, "mapping": [[row.scim, row.auth0] for row in self.mapping]}

    def auth0_attribute(self, scim: str) -> str | None:
        """Return the Auth0 attribute that a SCIM attribute is stored in, or None."""
        return next((row.auth0 for row in self.mapping if row.scim == scim), None)


def mapping_rows(body: Json) -> tuple[ScimMappingRow, ...]:
    """Return the rows of a wire object's `mapping`, in its order."""
    return tuple(ScimMappingRow(row["scim"], row["auth0"]) for row in body["mapping"])


@dataclass(frozen=True)
class ScimToken:
    """What is known of a SCIM token after it was made; its text is not among it. Times are ISO texts of the service."""

    token_id: str
    scopes: frozenset[str]
    created_at: str
    valid_until: str | None
    last_used_at: str | None

    @classmethod
    def from_wire(cls, body: Json) -> ScimToken:
        """Read one entry of the token list."""
        return cls(
            body["token_id"], frozenset(body["scopes"]), body["created_at"], body.get("valid_until"), body.get("last_used_at")
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
        connections = frozenset(str(identity["connection"]) for identity in body.get("identities", []))
        return cls(body["user_id"], body.get("email"), bool(body.get("blocked", False)), connections, body)

    def attribute(self, path: str) -> Any:
        """Return a profile value by the dotted path that SCIM mappings use, or None."""
        value: Any = self.profile
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


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
            str(body.get("date", "")),
            body.get("type") == "sscim",
            str(details.get("connection_id", "")),
            str(request.get("method", "")).upper(),
            str(request.get("path", "")),
            str(query.get("filter", "")),
            frozenset(map(str, query)),
        )


# Entra ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Organization:
    """The Entra tenant a token is for. `domains` are its verified domain names, lower case."""

    id: str
    display_name: str
    domains: frozenset[str]

    @classmethod
    def from_wire(cls, body: Json) -> Organization:
        """Read one Graph organization."""
        domains = frozenset(str(domain["name"]).lower() for domain in body.get("verifiedDomains", []))
        return cls(body["id"], body.get("displayName", ""), domains)


@dataclass(frozen=True)
class AppRole:
    """A role that a service principal offers."""

    id: str
    display_name: str
    is_enabled: bool
    member_types: frozenset[str]


@dataclass(frozen=True)
class Application:
    """An app registration. `created_at` is ISO 8601, empty when it was not asked for."""

    id: str
    app_id: str
    display_name: str
    created_at: str = ""

    @classmethod
    def from_wire(cls, body: Json) -> Application:
        """Read one Graph application."""
        return cls(body["id"], body["appId"], body.get("displayName", ""), body.get("createdDateTime") or "")


@dataclass(frozen=True)
class ServicePrincipal:
    """An enterprise application. `template_id` names the gallery template it was made from, None for app registrations."""

    id: str
    app_id: str
    display_name: str
    requires_assignment: bool
    template_id: str | None
    app_roles: tuple[AppRole, ...]
    notes: str | None = None

    @classmethod
    def from_wire(cls, body: Json) -> ServicePrincipal:
        """Read one Graph service principal."""
        roles = tuple(
            AppRole(
                role["id"],
                role.get("displayName") or "",
                role.get("isEnabled", True),
                frozenset(role.get("allowedMemberTypes", [])),
            )
            for role in body.get("appRoles", [])
        )
        return cls(
            body["id"],
            body["appId"],
            body.get("displayName", ""),
            bool(body.get("appRoleAssignmentRequired", False)),
            body.get("applicationTemplateId"),
            roles,
            body.get("notes"),
        )


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class AppRoleAssignment:
    """Who has access to an enterprise application. `principal_type` is `User`, `Group` or `ServicePrincipal`."""

    id: str
    principal_id: str
    principal_type: str
    principal_name: str
    app_role_id: str

    @classmethod
    def from_wire(cls, body: Json) -> AppRoleAssignment:
        """Read one Graph app role assignment."""
        kind, role = sys.intern(body["principalType"]), sys.intern(body["appRoleId"])  # the same for thousands
        return cls(body["id"], body["principalId"], kind, body.get("principalDisplayName") or "", role)


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class EntraUser:
    """A user of the Entra tenant."""

    id: str
    user_principal_name: str
    display_name: str
    mail: str | None
    is_enabled: bool

    @classmethod
    def from_wire(cls, body: Json) -> EntraUser:
        """Read one Graph user."""
        return cls(
            body["id"],
            body["userPrincipalName"],
            body.get("displayName") or "",
            body.get("mail"),
            body.get("accountEnabled") is True,  # null is what a token without the permission is told: not known is not enabled
        )


@dataclass(frozen=True)
class SynchronizationJob:
    """A provisioning job. `quarantine_reason` is None unless it is in quarantine."""

    id: str
    template_id: str
    schedule_state: str
    status_code: str
    quarantine_reason: str | None

    @classmethod
    def from_wire(cls, body: Json) -> SynchronizationJob:
        """Read one Graph synchronization job."""
        status = body.get("status") or {}
        quarantine = status.get("quarantine")
        reason = (quarantine.get("reason") or "unknown reason") if quarantine else None
        if reason is None and status.get("code") == "Quarantine":
            reason = "unknown reason"
        return cls(
            body["id"], body["templateId"], (body.get("schedule") or {}).get("state", ""), str(status.get("code", "")), reason
        )

    @property
    def is_running(self) -> bool:
        """Whether cycles are scheduled."""
        return self.schedule_state == "Active"

    @property
    def is_quarantined(self) -> bool:
        """Whether the job is in quarantine; `start` would clear that, so it is never sent then."""
        return self.quarantine_reason is not None


@dataclass(frozen=True)
class SavedCredentials:
    """What the provisioning service keeps beside the jobs: texts by key; the token itself comes back as `*`."""

    values: Mapping[str, str]

    @classmethod
    def from_wire(cls, body: Json) -> SavedCredentials:
        """Read the Graph synchronization secrets."""
        return cls({entry["key"]: entry.get("value") or "" for entry in body["value"]})

    @property
    def tenant_url(self) -> str:
        """The SCIM endpoint that Entra sends to; empty when none is saved."""
        return self.values.get(BASE_ADDRESS, "")

    @property
    def holds_token(self) -> bool:
        """Whether some token is saved; which one, Entra does not tell."""
        return bool(self.values.get(SECRET_TOKEN))

    @property
    def sync_all(self) -> str:
        """`false`: only those assigned are provisioned."""
        return self.values.get(SYNC_ALL, "")

    @property
    def notification_settings(self) -> dict[str, Any]:
        """The parsed notification settings, in which the deletion guard lives; empty when absent or not JSON."""
        try:
            parsed = json.loads(self.values.get(SYNC_NOTIFICATION_SETTINGS) or "{}")
        except ValueError:
            return {}
        return parsed if isinstance(parsed, dict) else {}

    @property
    def guards_deletions(self) -> bool:
        """Whether a cycle with too many departures stops the job."""
        settings = self.notification_settings
        return settings.get("DeleteThresholdEnabled") is True and bool(settings.get("DeleteThresholdValue"))


@dataclass(frozen=True)
class AttributeMapping:
    """One row of the portal's attribute mapping table. `precedence` is None where the row does not match objects."""

    source: str
    target: str
    precedence: int | None
    flow_type: str


@dataclass(frozen=True)
class SynchronizationSchema:
    """The schema of a job, whole: it is written by replacement, so everything that was read is kept in `document`."""

    document: Json = field(repr=False)

    @classmethod
    def from_wire(cls, body: Json) -> SynchronizationSchema:
        """Read the schema of a job."""
        return cls({**body, "synchronizationRules": body["synchronizationRules"]})

    def user_mappings(self) -> tuple[tuple[int, int], ...]:
        """Return the (rule, object mapping) positions that map Entra users to SCIM users.

        Found by object names: display names differ between tenants (graph-docs and real exports show three).
        """
        return tuple(
            (rule_index, mapping_index)
            for rule_index, rule in enumerate(self.document.get("synchronizationRules", []))
            for mapping_index, mapping in enumerate(rule.get("objectMappings", []))
            if mapping.get("sourceObjectName") == SOURCE_USER and mapping.get("targetObjectName") == TARGET_USER
        )

    def user_mapping(self) -> Json | None:
        """Return the one object mapping for users, or None when there is not exactly one."""
        positions = self.user_mappings()
        if len(positions) != 1:
            return None
        rule, mapping = positions[0]
        found: Json = self.document["synchronizationRules"][rule]["objectMappings"][mapping]
        return found

    @property
    def sends_groups(self) -> bool:
        """Whether a mapping of groups is on: assigned groups are then sent as such, not only their members."""
        mappings = (mapping for rule in self.document["synchronizationRules"] for mapping in rule.get("objectMappings", []))
        return any(mapping.get("sourceObjectName") == SOURCE_GROUP and mapping.get("enabled", True) for mapping in mappings)

    @property
    def rule_id(self) -> str:
        """The id of the rule that holds the user mapping; empty when there is none."""
        positions = self.user_mappings()
        return str(self.document["synchronizationRules"][positions[0][0]]["id"]) if positions else ""

    @property
    def flow_types(self) -> tuple[str, ...]:
        """What may be done to users: some of Add, Update, Delete. Read leniently: the docs show spaces, the service none."""
        mapping = self.user_mapping() or {}
        return tuple(flow.strip() for flow in str(mapping.get("flowTypes", "")).split(",") if flow.strip())

    def rows(self) -> tuple[AttributeMapping, ...]:
        """Return the user attribute mappings, in portal order."""
        mapping = self.user_mapping() or {}
        return tuple(
            AttributeMapping(
                _shown(row.get("source") or {}),
                row["targetAttributeName"],
                row.get("matchingPriority") or None,
                row.get("flowType", ""),
            )
            for row in mapping.get("attributeMappings", [])
        )

    def row(self, target: str) -> AttributeMapping | None:
        """Return the row of one target attribute, or None when there is not exactly one."""
        found = [row for row in self.rows() if row.target == target]
        return found[0] if len(found) == 1 else None


def _shown(source: Json) -> str:
    """Return a mapping's source as the portal shows it: the bare name of an attribute, the text of an expression."""
    return str(source.get("name") if source.get("type") == "Attribute" else source.get("expression", ""))
