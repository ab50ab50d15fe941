"""A job's schema as the engine reads it, and the values it makes of a user. Source: entra-docs, customize-attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbook_lib.sandbox.world import Document, EntraTenant

USER_TARGET = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
# The engine's own attribute names beside Graph's, where they differ (names of a real export).
_GRAPH_NAMES = {
    "objectId": "id",
    "mobile": "mobilePhone",
    "physicalDeliveryOfficeName": "officeLocation",
    "facsimileTelephoneNumber": "faxNumber",
}


class ExpressionError(Exception):
    """A mapping that cannot be evaluated."""


@dataclass(frozen=True)
class UserMapping:
    """The user object mapping: what may be done, which target attributes match in order, and the rows."""

    flows: frozenset[str]
    matching: tuple[str, ...]
    rows: tuple[Document, ...]


def user_mapping(schema: Document, rule_id: str | None = None) -> UserMapping | None:
    """Return the user mapping of the rule, or of the first rule that has one."""
    for rule in schema["synchronizationRules"]:
        if rule_id not in (None, rule["id"]):
            continue
        for mapping in rule["objectMappings"]:
            if (
                mapping["sourceObjectName"] == "User"
                and mapping["targetObjectName"] == USER_TARGET
                and mapping.get("enabled", True)
            ):
                rows = mapping["attributeMappings"]
                matching = sorted(
                    (row["matchingPriority"], row["targetAttributeName"]) for row in rows if row.get("matchingPriority")
                )
                flows = frozenset(flow.strip() for flow in mapping["flowTypes"].split(","))
                return UserMapping(flows, tuple(name for _, name in matching), tuple(rows))
    return None


def is_departed(tenant: EntraTenant, user: Document) -> bool:
    """Whether a user is soft-deleted or disabled: the engine's IsSoftDeleted (entra-docs, how-provisioning-works)."""
    return user["id"] in tenant.deleted_users or user.get("accountEnabled") is False


def source_value(tenant: EntraTenant, user: Document, name: str) -> Any:
    """Return one source attribute of a user, by the engine's name."""
    if name == "IsSoftDeleted":
        return str(is_departed(tenant, user))
    if name == "telephoneNumber":
        return next(iter(user.get("businessPhones") or []), None)
    return user.get(_GRAPH_NAMES.get(name, name))


def evaluate(source: Document, tenant: EntraTenant, user: Document) -> Any:
    """Return the value of a mapping source. Raises `ExpressionError` for a function the sandbox does not know."""
    if source["type"] == "Attribute":
        return source_value(tenant, user, source["name"])
    if source["type"] == "Constant":
        return source["name"]
    arguments = [(p["key"], evaluate(p["value"], tenant, user)) for p in source["parameters"]]
    if source["name"] == "Switch":
        value, *cases = [value for _, value in arguments]
        return dict(zip(cases[::2], cases[1::2], strict=False)).get(value)
    values = [value for _, value in arguments]
    if source["name"] == "Join":
        separator, *parts = values
        return separator.join(str(part) for part in parts if part)
    if source["name"] == "Append":
        return "".join(str(value or "") for value in values)
    if source["name"] == "Coalesce":
        return next((value for value in values if value), None)
    if source["name"] in ("ToLower", "ToUpper", "StripSpaces"):
        text = str(values[0] or "")
        return {"ToLower": text.lower(), "ToUpper": text.upper(), "StripSpaces": text.replace(" ", "")}[source["name"]]
    raise ExpressionError(f"The function {source['name']} is not simulated.")


def target_values(mapping: UserMapping, tenant: EntraTenant, user: Document, *, creating: bool) -> dict[str, Any]:
    """Return the wanted values by target attribute; empty ones are absent, since nulls are never sent (entra-docs)."""
    found: dict[str, Any] = {}
    for row in mapping.rows:
        if row["source"]["name"] == "manager" or (row.get("flowType") == "ObjectAddOnly" and not creating):
            continue  # a reference flows only when the manager is linked; the sandbox links none
        value = evaluate(row["source"], tenant, user) or row.get("defaultValue")
        if value not in (None, ""):
            found[row["targetAttributeName"]] = value
    return found
