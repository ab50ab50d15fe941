"""The schema of a job as a document: what people see of it, and which parts differ from what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbook_lib.engine.values import (
    Table,
    lost,
)
from runbook_lib.services.entra.models import SynchronizationSchema
from runbook_lib.services.wire_json import Json, listed
from runbook_lib.services.wire_words import (
    EXTERNAL_ID,
    WORK_EMAIL,
)
from runbook_lib.steps import groups_mapping


def shown_rows(schema: SynchronizationSchema) -> list[str]:
    """Return the mappings as the portal shows them: a text a row of the users' mapping, one for the actions, one for groups."""
    rows = [f"{row.source} -> {row.target} {row.precedence or ''} {row.flow_type}".strip() for row in schema.rows()]
    return [f"actions: {', '.join(schema.flow_types)}", *groups_mapping.shown(schema), *rows]


def edited_parts(schema: SynchronizationSchema) -> Json:
    """Return the three places that the edits change, as they are."""
    mapping = schema.user_mapping() or {}
    rows = {row.get("targetAttributeName"): row for row in listed(mapping.get("attributeMappings"))}
    return {
        "flowTypes": mapping.get("flowTypes"),
        EXTERNAL_ID: rows[EXTERNAL_ID].get("source"),
        WORK_EMAIL: rows[WORK_EMAIL].get("matchingPriority"),
    }


def lost_parts(expected: SynchronizationSchema, fresh: SynchronizationSchema | None) -> tuple[str, ...]:
    """Return the parts of the whole schema that differ from what was sent. Order, added defaults and version do not count."""
    if fresh is None:
        return ("the schema",)
    sent = {key: value for key, value in expected.document.items() if key != "version" and not key.startswith("@odata")}
    return lost(_normal(sent), _normal(fresh.document))


def _normal(value: Any) -> Any:
    """Return a schema with its comma-joined flags in one spelling: the docs show spaces, the service none."""
    if isinstance(value, Mapping):
        return {k: v.replace(" ", "") if k == "flowTypes" and isinstance(v, str) else _normal(v) for k, v in value.items()}
    return [_normal(item) for item in value] if isinstance(value, list) else value


def mapping_table(before: SynchronizationSchema, after: SynchronizationSchema) -> Table:
    """Return the mappings before and after the edits, one row each, and the actions as the first row."""
    actions = (", ".join(before.flow_types), ", ".join(after.flow_types))
    rows = [("(Target Object Actions)", *actions, "", "", "actions" if actions[0] != actions[1] else "")]
    switch = (groups_mapping.in_words(before), groups_mapping.in_words(after))
    rows.append(("(Provision groups)", *switch, "", "", "enabled" if switch[0] != switch[1] else ""))
    for was, will in zip(before.rows(), after.rows(), strict=True):
        changed = (["source"] if was.source != will.source else []) + (
            ["precedence"] if was.precedence != will.precedence else []
        )
        precedences = (str(was.precedence or ""), str(will.precedence or ""))
        rows.append((will.target, was.source, will.source, *precedences, ", ".join(changed)))
    columns = ("SCIM attribute", "source before", "source after", "precedence before", "precedence after", "changed here")
    return Table("Attribute mappings before and after", columns, tuple(rows), stays=True)
