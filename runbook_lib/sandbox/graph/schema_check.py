"""What keeps the engine from reading a job's schema. Shapes: the synchronization types of Graph's metadata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from runbook_lib.sandbox.world import Document

# Graph's attributeMappingSourceType. Unverified: None, the fourth type of the portal (customize-application-attributes).
_TYPES = ("Attribute", "Constant", "Function", "None")


def schema_flaw(schema: Document) -> str | None:
    """Return the first flaw of a schema, None when the engine can read it. Where a list or an object is asked, null is none."""
    return next(_flaws(schema), None)


def _flaws(schema: Document) -> Iterator[str]:
    rules = schema.get("synchronizationRules")
    if not isinstance(rules, list) or not all(isinstance(rule, dict) and isinstance(rule.get("id"), str) for rule in rules):
        yield "The schema must hold synchronizationRules, each with an id."
        return
    for rule in rules:
        yield from _each(rule, "objectMappings", _mapping_flaws)
    yield from _each(schema, "directories", _directory_flaws)


def _each(holder: Document, name: str, check: Callable[[Document], Iterator[str]]) -> Iterator[str]:
    found = holder.get(name)
    if not isinstance(found, list | None) or not all(isinstance(one, dict) for one in found or []):
        yield f"{name} must be a list of objects."
        return
    for one in found or []:
        yield from check(one)


def _mapping_flaws(mapping: Document) -> Iterator[str]:
    names = ("sourceObjectName", "targetObjectName", "flowTypes")
    if not all(isinstance(mapping.get(name), str) for name in names):
        yield f"Every object mapping must hold {', '.join(names)}."
    yield from _each(mapping, "attributeMappings", _row_flaws)
    scope = mapping.get("scope")
    if not isinstance(scope, dict | None):
        yield "The scope of an object mapping must be an object."
        return
    for name in ("groups", "inputFilterGroups", "categoryFilterGroups"):
        yield from _each(scope or {}, name, lambda group: _each(group, "clauses", _clause_flaws))


def _row_flaws(row: Document) -> Iterator[str]:
    """Yield the flaws of a row. Graph's description lets a row have no source and no target attribute."""
    priority = row.get("matchingPriority")
    if isinstance(priority, bool) or not isinstance(priority, int | None):
        yield "matchingPriority must be a whole number."
    for name in ("targetAttributeName", "flowType", "defaultValue"):
        if not isinstance(row.get(name), str | None):
            yield f"{name} must be a text."
    if row.get("source") is not None:
        yield from _source_flaws(row["source"])


def _source_flaws(source: Any, depth: int = 0) -> Iterator[str]:
    if not isinstance(source, dict) or depth > 50:
        yield "Every source must be an object, nested 50 deep at most."
        return
    if source.get("type") not in _TYPES:
        yield "Every source must hold its type: Attribute, Constant or Function."
    for name in ("name", "expression"):
        if not isinstance(source.get(name), str | None):
            yield f"The {name} of a source must be a text."

    def parameter_flaws(parameter: Document) -> Iterator[str]:
        yield from _source_flaws(parameter.get("value"), depth + 1)

    yield from _each(source, "parameters", parameter_flaws)


def _clause_flaws(clause: Document) -> Iterator[str]:
    operand = clause.get("targetOperand")
    values = operand.get("values") if isinstance(operand, dict) else None
    if not isinstance(operand, dict | None) or not isinstance(values, list | None):
        yield "The target operand of a clause must hold a list of values."


def _directory_flaws(directory: Document) -> Iterator[str]:
    def object_flaws(kind: Document) -> Iterator[str]:
        yield from _each(kind, "attributes", lambda attribute: iter(()))

    yield from _each(directory, "objects", object_flaws)
