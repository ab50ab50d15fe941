"""A person as the engine sees them: the attributes by Entra's own names, and whether they are in scope.

Source: entra-docs how-provisioning-works (scope, IsSoftDeleted), define-conditional-rules-for-provisioning-user-accounts
(filters), customize-application-attributes (guests, the names of attributes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runbook_lib.sandbox.entra_engine.expressions import ExpressionError, Value, text
from runbook_lib.sandbox.entra_engine.expressions.text_functions import matches
from runbook_lib.sandbox.world import Document, EntraTenant

# Entra's own attribute names and Graph's, where they differ (names of a real export).
_GRAPH_NAMES = {
    "objectId": "id",
    "mobile": "mobilePhone",
    "physicalDeliveryOfficeName": "officeLocation",
    "facsimileTelephoneNumber": "faxNumber",
    "immutableId": "onPremisesImmutableId",
    "dirSyncEnabled": "onPremisesSyncEnabled",
}


@dataclass(frozen=True)
class Standing:
    """Why a person is in scope of a job or not. `passes_input` tells of `inputFilterGroups`, `passes` of `groups`."""

    is_assigned: bool
    is_active: bool
    passes: bool = True
    passes_input: bool = True

    @property
    def is_entitled(self) -> bool:
        """Whether the person is to have an account: the opposite of the attribute IsSoftDeleted."""
        return self.is_assigned and self.is_active and self.passes

    @property
    def is_in_scope(self) -> bool:
        """Whether the person is provisioned: entitled, and let in by `inputFilterGroups`."""
        return self.is_entitled and self.passes_input

    def reasons(self) -> list[str]:
        """Return why the person is not in scope, in the order and words of logs (entra-docs provision-on-demand).

        Unverified: the words of the scoping filter.
        """
        found = []
        if not self.is_active:
            found.append("This object is not active in the source system.")
        if not self.is_assigned:
            found += [
                "This object is not assigned to the application.",
                "This object does not have required entitlement for provisioning.",
            ]
        if not (self.passes and self.passes_input):
            found.append("This object does not match a scoping filter.")
        return found


def is_active(tenant: EntraTenant, user: Document) -> bool:
    """Whether a user is neither soft-deleted nor disabled."""
    return user["id"] not in tenant.deleted_users and user.get("accountEnabled") is not False


def attribute(tenant: EntraTenant, user: Document, name: str) -> Value:
    """Return an attribute of a user by Entra's name, IsSoftDeleted apart. Unknown names have no value."""
    if name == "userPrincipalName":
        return _without_guest_suffix(user.get(name))
    if name == "originalUserPrincipalName":
        return user.get("userPrincipalName")
    if name == "telephoneNumber":
        return next(iter(user.get("businessPhones") or []), None)
    if name == "appRoleAssignments":
        return tuple(_roles(tenant, user))
    if name.startswith("extensionAttribute"):
        return _plain((user.get("onPremisesExtensionAttributes") or {}).get(name))
    value: Any = user
    for part in _GRAPH_NAMES.get(name, name).split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return _plain(value)


def _plain(value: Any) -> Value:
    """Return a Graph value as the engine holds it: booleans are texts, lists are several values."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return None if isinstance(value, dict) else value


def _without_guest_suffix(name: Any) -> str | None:
    """Return a guest's name as alias@domain, without #EXT# (customize-application-attributes)."""
    if not isinstance(name, str) or "#EXT#" not in name.upper():
        return name if isinstance(name, str) else None
    alias = name[: name.upper().index("#EXT#")]
    local, underscore, domain = alias.rpartition("_")
    return f"{local}@{domain}" if underscore else alias


def _roles(tenant: EntraTenant, user: Document) -> list[str]:
    """Return the names of the roles assigned to a user. Unverified: a role without a value goes by its display name."""
    roles = {
        role["id"]: role.get("value") or role["displayName"]
        for principal in tenant.service_principals.values()
        for role in principal.get("appRoles") or []
    }
    return [roles[a["appRoleId"]] for a in tenant.assignments if a["principalId"] == user["id"] and a["appRoleId"] in roles]


# Scoping filters -----------------------------------------------------------------------------------------------------


def passes(groups: tuple[Document, ...], tenant: EntraTenant, user: Document) -> bool:
    """Whether a person meets one of the filters, each with all of its clauses; no filter lets everyone in.

    Raises `ExpressionError` for an operator that the service does not have.
    """
    return not groups or any(all(_clause(clause, tenant, user) for clause in group.get("clauses") or []) for group in groups)


def _clause(clause: Document, tenant: EntraTenant, user: Document) -> bool:
    """Judge one clause. A source without a value makes every clause false but IS NULL.

    Unverified: of several target values one is enough; each clause of a filter on several source values is false.
    """
    operator = str(clause.get("operatorName") or "").upper().replace("_", " ").strip()
    found = attribute(tenant, user, str(clause.get("sourceOperandName")))
    value = "" if isinstance(found, tuple) else text(found) or ""
    if operator in ("IS NULL", "IS NOT NULL"):
        return bool(value) == (operator == "IS NOT NULL")
    targets = [str(target) for target in (clause.get("targetOperand") or {}).get("values") or []]
    if operator in ("IS TRUE", "IS FALSE"):
        return value == ("True" if operator == "IS TRUE" else "False")
    if operator not in _OPERATORS:
        raise ExpressionError(f"The operator {clause.get('operatorName')} is not known.")
    return value != "" and _OPERATORS[operator](value, targets)


def _number(written: str) -> int | None:
    return int(written) if written.lstrip("-").isdecimal() else None


def _is_greater(value: str, targets: list[str], *, or_equal: bool = False) -> bool:
    """Compare whole numbers; the page asks for integers on both sides."""
    mine = _number(value)
    others = [other for target in targets if (other := _number(target)) is not None]
    return mine is not None and any(mine > other or (or_equal and mine == other) for other in others)


_OPERATORS: dict[str, Callable[[str, list[str]], bool]] = {
    "EQUALS": lambda value, targets: value in targets,
    "NOT EQUALS": lambda value, targets: value not in targets,
    "REGEX MATCH": lambda value, targets: any(matches(target, value) for target in targets),
    "NOT REGEX MATCH": lambda value, targets: not any(matches(target, value) for target in targets),
    "GREATER THAN": _is_greater,
    "GREATER THAN OR EQUALS": lambda value, targets: _is_greater(value, targets, or_equal=True),
    "INCLUDES": lambda value, targets: any(target in value for target in targets),
    "ENDS WITH": lambda value, targets: any(value.endswith(target) for target in targets),
    "&": lambda value, targets: any(value in target for target in targets),
    "!&": lambda value, targets: not any(value in target for target in targets),
}
