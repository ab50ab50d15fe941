"""The form of a synchronization schema: what of it the runbook looks into, judged once, when it is read."""

from __future__ import annotations

from typing import Any

from runbook_lib.services.wire_json import Json

_FILTER: list[Any] = [
    {"name": str, "clauses": [{"sourceOperandName": str, "operatorName": str, "targetOperand": {"values": list}}]}
]
_SCHEMA: dict[str, Any] = {
    "synchronizationRules": [
        {
            "objectMappings": [
                {
                    "sourceObjectName": str,
                    "targetObjectName": str,
                    "flowTypes": str,
                    "scope": {"groups": _FILTER, "inputFilterGroups": _FILTER, "categoryFilterGroups": _FILTER},
                    "attributeMappings": [{"targetAttributeName": str, "matchingPriority": int, "flowType": str, "source": dict}],
                }
            ]
        }
    ]
}


def check_schema(body: Json) -> None:
    """Raise `TypeError` that names the first place of another kind than documented; null is fit for every place."""
    _check(body, _SCHEMA, "schema")


def _check(value: Any, form: Any, at: str) -> None:
    """Judge a value by its form: a type, a list of the one form of its entries, or a dictionary of the keys that matter."""
    if value is None:
        return
    kind: type[Any] = form if isinstance(form, type) else type(form)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise TypeError(f"{at} is no {kind.__name__}")
    if isinstance(form, list) and isinstance(value, list):
        for place, entry in enumerate(value):
            _check(entry, form[0], f"{at}[{place}]")
    if isinstance(form, dict) and isinstance(value, dict):
        for key, inner in form.items():
            _check(value.get(key), inner, f"{at}.{key}")
