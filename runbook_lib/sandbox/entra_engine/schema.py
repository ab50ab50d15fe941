"""A job's schema as the engine reads it. Source: entra-docs customize-application-attributes; Graph synchronization types."""

from __future__ import annotations

from dataclasses import dataclass

from runbook_lib.sandbox.world import Document

USER_TARGET = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@dataclass(frozen=True)
class UserMapping:
    """The user object mapping: what may be done, the rows that match in ascending priority, all rows, and the scope.

    A row without a target attribute says nothing, one without a source matches no user.
    `case_exact` are the target attributes whose case counts; of the others a change of case alone is no change.
    """

    flows: frozenset[str] = frozenset()
    matching: tuple[Document, ...] = ()
    rows: tuple[Document, ...] = ()
    filters: tuple[Document, ...] = ()
    input_filters: tuple[Document, ...] = ()
    case_exact: frozenset[str] = frozenset()

    def probed(self) -> str:
        """Return the target attribute that a connection test asks for: the first that matches."""
        return str(self.matching[0]["targetAttributeName"]) if self.matching else "userName"


def user_mapping(schema: Document, rule_id: str | None = None) -> UserMapping:
    """Return the user mapping of the rule, or of the first rule that has one; an empty one when there is none."""
    for rule in schema.get("synchronizationRules") or []:
        if rule_id in (None, rule["id"]):
            for mapping in rule.get("objectMappings") or []:
                if _is_of_users(mapping):
                    return _mapping(schema, mapping)
    return UserMapping()


def _is_of_users(mapping: Document) -> bool:
    names = (mapping["sourceObjectName"], mapping["targetObjectName"])
    return names == ("User", USER_TARGET) and mapping.get("enabled") is not False


def sends_groups(schema: Document) -> bool:
    """Whether a mapping of groups is on; one that is off is skipped (Graph, objectMapping `enabled`)."""
    mappings = [mapping for rule in schema.get("synchronizationRules") or [] for mapping in rule.get("objectMappings") or []]
    return any(m["sourceObjectName"] == "Group" and m.get("enabled") is not False for m in mappings)


def _mapping(schema: Document, mapping: Document) -> UserMapping:
    rows = tuple(row for row in mapping.get("attributeMappings") or [] if row.get("targetAttributeName"))
    scope = mapping.get("scope") or {}
    return UserMapping(
        flows=frozenset(flow.strip() for flow in mapping["flowTypes"].split(",")),
        matching=tuple(
            sorted(
                (row for row in rows if row.get("matchingPriority") and has_source(row)),
                key=lambda row: int(row["matchingPriority"]),
            )
        ),
        rows=rows,
        filters=tuple(scope.get("groups") or ()),
        input_filters=tuple(scope.get("inputFilterGroups") or ()),
        case_exact=frozenset(_case_exact(schema)),
    )


def has_source(row: Document) -> bool:
    """Whether a row has a source: the portal's type None has none (customize-application-attributes).

    Unverified: how Graph shows that type; without a source, or with one of type None.
    """
    source = row.get("source") or {"type": "None"}
    return str(source.get("type")) != "None"


def _case_exact(schema: Document) -> list[str]:
    return [
        attribute["name"]
        for directory in schema.get("directories") or []
        for kind in directory.get("objects") or []
        if kind.get("name") == USER_TARGET
        for attribute in kind.get("attributes") or []
        if attribute.get("caseExact")
    ]
