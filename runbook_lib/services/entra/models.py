"""What Entra holds, as frozen values parsed once at the edge.

Each class has `from_wire`, which reads the service's JSON; sources are the API descriptions named in the client.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.core.json_text import parsed
from runbook_lib.services.entra.schema_form import check_schema
from runbook_lib.services.wire_json import Json, listed
from runbook_lib.services.wire_words import (
    BASE_ADDRESS,
    SECRET_TOKEN,
    SOURCE_GROUP,
    SOURCE_USER,
    SYNC_ALL,
    SYNC_NOTIFICATION_SETTINGS,
    TARGET_USER,
)


@dataclass(frozen=True)
class Organization:
    """The Entra tenant a token is for. `domains` are its verified domain names, lower case."""

    id: str
    display_name: str
    domains: frozenset[str]

    @classmethod
    def from_wire(cls, body: Json) -> Organization:
        """Read one Graph organization."""
        domains = frozenset(str(domain["name"]).lower() for domain in listed(body.get("verifiedDomains")))
        return cls(body["id"], body.get("displayName") or "", domains)


@dataclass(frozen=True)
class AppRole:
    """A role that a service principal offers. `value` is what tokens hold of it, empty for none."""

    id: str
    display_name: str
    is_enabled: bool
    member_types: frozenset[str]
    value: str = ""

    @property
    def has_one_name(self) -> bool:
        """Whether value and name are one: where they differ, no page says which of them the mapping language gives."""
        return self.value in ("", self.display_name)


@dataclass(frozen=True)
class Application:
    """An app registration. `created_at` is ISO 8601, empty when it was not asked for; `set_up` as of a service principal."""

    id: str
    app_id: str
    display_name: str
    created_at: str = ""
    set_up: tuple[str, ...] = ()

    @classmethod
    def from_wire(cls, body: Json) -> Application:
        """Read one Graph application."""
        names = (body["id"], body["appId"], body.get("displayName") or "")
        return cls(*names, body.get("createdDateTime") or "", _set_up(body))


def _set_up(body: Json) -> tuple[str, ...]:
    """Return what administrators have set up for signing in, as clauses; a new application of the template has none of it.

    Of what was not asked for there is nothing. Source: Graph, application and servicePrincipal. Unverified: that an application
    which was just made from the template has none of it.
    """
    places = [body.get(place) or {} for place in ("web", "spa", "publicClient")]
    found = {
        "redirect URI": [uri for place in places for uri in listed(place.get("redirectUris"))],
        "identifier URI": listed(body.get("identifierUris")),
        "certificate": listed(body.get("keyCredentials")),
        "client secret": listed(body.get("passwordCredentials")),
    }
    counted = [f"{len(of)} {name}{'s' if len(of) > 1 else ''}" for name, of in found.items() if of]
    mode = body.get("preferredSingleSignOnMode")
    return (*counted, *([f"single sign-on ({mode})"] if mode else []))


@dataclass(frozen=True)
class ServicePrincipal:
    """An enterprise application. `template_id` names the gallery template it was made from, None for app registrations.

    `set_up` is what administrators have set up in it for signing in, as clauses; empty also where that was not asked for.
    """

    id: str
    app_id: str
    display_name: str
    requires_assignment: bool
    template_id: str | None
    app_roles: tuple[AppRole, ...]
    notes: str | None = None
    set_up: tuple[str, ...] = ()

    @classmethod
    def from_wire(cls, body: Json) -> ServicePrincipal:
        """Read one Graph service principal."""
        roles = tuple(
            AppRole(
                role["id"],
                role.get("displayName") or "",
                role.get("isEnabled") is not False,
                frozenset(listed(role.get("allowedMemberTypes"))),
                role.get("value") or "",
            )
            for role in listed(body.get("appRoles"))
        )
        return cls(
            body["id"],
            body["appId"],
            body.get("displayName") or "",
            bool(body.get("appRoleAssignmentRequired", False)),
            body.get("applicationTemplateId"),
            roles,
            body.get("notes"),
            _set_up(body),
        )


@dataclass(frozen=True, slots=True)  # there may be tens of thousands
class AppRoleAssignment:
    """Who has access to an enterprise application. `principal_type` is `User`, `Group` or `ServicePrincipal`.

    `created_at` is Graph's text of when they were assigned; empty where it tells none.
    """

    id: str
    principal_id: str
    principal_type: str
    principal_name: str
    app_role_id: str
    created_at: str = ""

    @classmethod
    def from_wire(cls, body: Json) -> AppRoleAssignment:
        """Read one Graph app role assignment."""
        kind, role = sys.intern(body["principalType"]), sys.intern(body["appRoleId"])  # the same for thousands
        name, created_at = body.get("principalDisplayName") or "", body.get("createdDateTime") or ""
        return cls(body["id"], body["principalId"], kind, name, role, created_at)


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
    """A provisioning job. `quarantine_reason` is None unless it is in quarantine; `has_run`: a cycle of it has begun."""

    id: str
    template_id: str
    schedule_state: str
    status_code: str
    quarantine_reason: str | None
    has_run: bool = True

    @classmethod
    def from_wire(cls, body: Json) -> SynchronizationJob:
        """Read one Graph synchronization job."""
        status = body.get("status") or {}
        quarantine = status.get("quarantine")
        reason = (quarantine.get("reason") or "unknown reason") if quarantine else None
        if reason is None and status.get("code") == "Quarantine":
            reason = "unknown reason"
        ran = bool(status.get("lastExecution") or status.get("lastSuccessfulExecution"))
        ran = ran or (body.get("schedule") or {}).get("state") == "Active"
        ran = ran or any(entry.get("value") for entry in status.get("synchronizedEntryCountByType") or ())
        state = (body.get("schedule") or {}).get("state") or ""
        return cls(body["id"], body["templateId"], state, str(status.get("code") or ""), reason, ran)

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
    """What the provisioning service keeps next to the jobs: texts by key; the token itself comes back as `*`.

    `works`: whether a test of the connection with what is saved succeeded; None when it was not tested.
    """

    values: Mapping[str, str]
    works: bool | None = None

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
            found = parsed(self.values.get(SYNC_NOTIFICATION_SETTINGS) or "{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def guards_deletions(self) -> bool:
        """Whether a cycle with too many departures stops the job."""
        settings = self.notification_settings
        return settings.get("DeleteThresholdEnabled") is True and bool(settings.get("DeleteThresholdValue"))


@dataclass(frozen=True)
class AttributeMapping:
    """One row of the portal's attribute mapping table. `precedence` is None where the row does not match objects.

    `source_type` is Attribute, Constant or Function (attributeMappingSource page); empty where the service tells none.
    """

    source: str
    target: str
    precedence: int | None
    flow_type: str
    source_type: str = "Attribute"


@dataclass(frozen=True)
class SynchronizationSchema:
    """The schema of a job, whole: it is written by replacement, so everything that was read is kept in `document`."""

    document: Json = field(repr=False)

    @classmethod
    def from_wire(cls, body: Json) -> SynchronizationSchema:
        """Read the schema of a job. Raises `TypeError` for one of another form: steps look into it long after it was read."""
        check_schema(body)
        return cls({**body, "synchronizationRules": body["synchronizationRules"] or []})

    def user_mappings(self) -> tuple[tuple[int, int], ...]:
        """Return the (rule, object mapping) positions that map Entra users to SCIM users.

        Found by object names: display names differ between tenants (graph-docs and real exports show three).
        """
        return tuple(
            (rule_index, mapping_index)
            for rule_index, rule in enumerate(self.document.get("synchronizationRules") or ())
            for mapping_index, mapping in enumerate((rule or {}).get("objectMappings") or ())
            if mapping and mapping.get("sourceObjectName") == SOURCE_USER and mapping.get("targetObjectName") == TARGET_USER
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
        rules = listed(self.document["synchronizationRules"])
        mappings = (mapping for rule in rules for mapping in listed(rule.get("objectMappings")))
        return any(mapping.get("sourceObjectName") == SOURCE_GROUP and is_mapped(mapping) for mapping in mappings)

    @property
    def maps_users(self) -> bool:
        """Whether the mapping of users is switched on."""
        return is_mapped(self.user_mapping() or {})

    @property
    def filters(self) -> tuple[str, ...]:
        """The scoping filter of users, one text a group of clauses; a person in none of them is out of scope; empty: no filter.

        Groups are joined by OR, clauses within one by AND (filter page). `inputFilterGroups` are listed too: who does not
        meet them is not read at all.
        """
        scope = (self.user_mapping() or {}).get("scope") or {}
        names = ("groups", "inputFilterGroups", "categoryFilterGroups")
        return tuple(_filter_group(group) for name in names for group in listed(scope.get(name)))

    @property
    def rule_id(self) -> str:
        """The id of the rule that holds the user mapping; empty when there is none."""
        positions = self.user_mappings()
        return str(self.document["synchronizationRules"][positions[0][0]].get("id") or "") if positions else ""

    @property
    def flow_types(self) -> tuple[str, ...]:
        """What may be done to users: some of Add, Update, Delete. Read leniently: the docs show spaces, the service none."""
        mapping = self.user_mapping() or {}
        return tuple(flow.strip() for flow in str(mapping.get("flowTypes") or "").split(",") if flow.strip())

    def rows(self) -> tuple[AttributeMapping, ...]:
        """Return the user attribute mappings, in portal order."""
        mapping = self.user_mapping() or {}
        return tuple(
            AttributeMapping(
                _shown(row.get("source") or {}),
                row.get("targetAttributeName") or "",
                row.get("matchingPriority") or None,
                row.get("flowType") or "",
                (row.get("source") or {}).get("type") or "",
            )
            for row in listed(mapping.get("attributeMappings"))
        )

    def row(self, target: str) -> AttributeMapping | None:
        """Return the row of one target attribute, or None when there is not exactly one."""
        found = [row for row in self.rows() if row.target == target]
        return found[0] if len(found) == 1 else None


def is_mapped(mapping: Json) -> bool:
    """Whether an object mapping is switched on; it is where the service says nothing."""
    return mapping.get("enabled") is not False


def _shown(source: Json) -> str:
    """Return a mapping's source as the portal shows it: the bare name of an attribute, the text of an expression."""
    return str((source.get("name") if source.get("type") == "Attribute" else source.get("expression")) or "")


def _filter_group(group: Json) -> str:
    """Return a group of a scoping filter in words, with its name where it has one."""
    words = " and ".join(_clause(clause) for clause in listed(group.get("clauses"))) or "(no condition)"
    return f"{group['name']}: {words}" if group.get("name") else words


def _clause(clause: Json) -> str:
    values = ", ".join(str(value) for value in listed((clause.get("targetOperand") or {}).get("values")))
    return " ".join(filter(None, (str(clause.get("sourceOperandName") or ""), str(clause.get("operatorName") or ""), values)))


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression comes to; `error` is why Microsoft could not evaluate it, else empty."""

    values: tuple[str, ...]
    error: str = ""

    @classmethod
    def from_wire(cls, body: Json) -> Evaluated:
        """Read the answer of parseExpression."""
        error = body.get("error") or {}
        failed = "" if body.get("evaluationSucceeded") else str(error.get("message") or error.get("code") or "no reason is given")
        return cls(tuple(map(str, body.get("evaluationResult") or ())), failed)
