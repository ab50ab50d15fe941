"""The value of a source document.

Unverified: a document's parameters count, not its text, where the two differ; the text is read when there are no parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runbook_lib.sandbox.entra_engine.expressions import date_functions, text_functions
from runbook_lib.sandbox.entra_engine.expressions.grammar import COMPARISONS, SIGNATURES, keys, parsed
from runbook_lib.sandbox.entra_engine.expressions.values import ExpressionError, Value, is_empty, several, text

Arguments = dict[str, list[Value]]


@dataclass(frozen=True)
class Evaluator:
    """Evaluates sources for one person. `read` returns an attribute by Entra's name; `now` is the service's time, UTC.

    `null_is_empty`: Append, Mid and the like take null for an empty text; otherwise null in gives null out. `iif_compares_null`:
    a condition on an attribute without a value compares; otherwise it fails. Microsoft publishes neither (see README, switches).
    """

    read: Callable[[str], Value]
    now: datetime
    null_is_empty: bool = False
    iif_compares_null: bool = False

    def value(self, source: Mapping[str, Any]) -> Value:
        """Return the value of a source. Raises `ExpressionError`."""
        kind, name = source.get("type"), source.get("name")
        if kind == "Attribute":
            return self.read(str(name))
        if kind == "Constant":
            return "" if name is None else str(name)
        if kind != "Function":
            raise ExpressionError(f"A source of type {kind} cannot be evaluated.")
        if not source.get("parameters") and "(" in str(source.get("expression") or ""):
            source = parsed(str(source["expression"]))
        return self._called(source)

    def _called(self, source: Mapping[str, Any]) -> Value:
        name = str(source.get("name"))
        if name in COMPARISONS:
            left, right = (self.value(parameter["value"]) for parameter in source["parameters"])
            return _compared(name, left, right)
        if name not in SIGNATURES:
            raise ExpressionError(f"The function {name} is not known.")
        if name == "IIF" and not self.iif_compares_null:
            self._refuse_null(source)
        arguments = self._arguments(name, source.get("parameters") or [])
        return self._result(name, arguments)

    def _arguments(self, name: str, parameters: list[Mapping[str, Any]]) -> Arguments:
        """Return the values by key, in lower case. Keys that the function does not have count by place."""
        known = {key.removesuffix("...").lower() for key in SIGNATURES[name]}
        by_place = keys(name, len(parameters))
        found: Arguments = {}
        for place, parameter in enumerate(parameters):
            key = str(parameter.get("key")).lower()
            found.setdefault(key if key in known else by_place[place].lower(), []).append(self.value(parameter["value"]))
        return found

    def _refuse_null(self, source: Mapping[str, Any]) -> None:
        """Raise `ExpressionError` when an attribute of the condition has no value ("the condition check fails")."""
        for parameter in source.get("parameters") or []:
            if str(parameter.get("key")).lower() in ("condition", "parameter1"):
                for name in _attributes(parameter["value"]):
                    if is_empty(self.read(name)):
                        raise ExpressionError(f"The attribute {name} in the condition of IIF has no value.")

    def _result(self, name: str, arguments: Arguments) -> Value:
        if name == "Now":
            return date_functions.written(self.now)
        if name in date_functions.FUNCTIONS:
            return date_functions.FUNCTIONS[name](arguments)
        if name in _LOGIC:
            return _LOGIC[name](arguments)
        source = (arguments.get("source") or arguments.get("string") or [None])[0]
        if source is None and name in text_functions.NULL_GIVES_NULL and not self.null_is_empty:
            return None
        return text_functions.FUNCTIONS[name](arguments)


def _attributes(source: Mapping[str, Any]) -> list[str]:
    if source.get("type") == "Attribute":
        return [str(source.get("name"))]
    if source.get("type") == "Function" and not source.get("parameters") and source.get("expression"):
        source = parsed(str(source["expression"]))
    return [name for parameter in source.get("parameters") or [] for name in _attributes(parameter["value"])]


def _compared(operator: str, left: Value, right: Value) -> bool:
    """Compare two values: as numbers when both are, otherwise as texts with their case. Unverified: the latter for `<`."""
    one, other = text(left) or "", text(right) or ""
    try:
        pair: tuple[Any, Any] = (float(one), float(other))
    except ValueError:
        pair = (one, other)
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "=": lambda a, b: bool(a == b),
        "<>": lambda a, b: bool(a != b),
        "<": lambda a, b: bool(a < b),
        "<=": lambda a, b: bool(a <= b),
        ">": lambda a, b: bool(a > b),
        ">=": lambda a, b: bool(a >= b),
    }
    return tests[operator](*pair)


# Functions that choose and test --------------------------------------------------------------------------------------


def _only(arguments: Arguments, name: str) -> Value:
    return arguments.get(name.lower(), [None])[0]


def _switch(arguments: Arguments) -> Value:
    """Return the value of the first equal key; the key "" stands for null too (functions page, caution)."""
    source, pairs = text(_only(arguments, "source")) or "", arguments.get("switchvalue", [])
    if len(pairs) % 2:
        raise ExpressionError("Switch needs a value for each key.")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if (text(key) or "") == source:
            return value
    return _only(arguments, "defaultValue")


def _iif(arguments: Arguments) -> Value:
    """Choose by a condition. Unverified: what is neither true nor false counts as false."""
    condition = (text(_only(arguments, "condition")) or "").lower() == "true"
    return _only(arguments, "valueIfTrue" if condition else "valueIfFalse")


def _coalesce(arguments: Arguments) -> Value:
    """Return the first value that is not null. Unverified: an empty text is one."""
    return next((value for value in arguments.get("source", []) if value is not None and value != ()), None)


def _not(arguments: Arguments) -> bool:
    """Turn True round; everything else gives True, null too (functions page, read literally)."""
    return text(_only(arguments, "source")) != "True"


def _cbool(arguments: Arguments) -> bool:
    """Return whether a value is not zero. Raises `ExpressionError` for a text that is no truth value and no number."""
    written = (text(_only(arguments, "Expression")) or "0").lower()
    if written in ("true", "false"):
        return written == "true"
    try:
        return float(written) != 0
    except ValueError:
        raise ExpressionError(f"{written!r} is no truth value.") from None


def _item(arguments: Arguments) -> Value:
    """Return one of several values, counted from 1. Unverified: null outside of them."""
    values, index = several(_only(arguments, "attribute")), text_functions.whole(arguments, "index")
    return values[index - 1] if 1 <= index <= len(values) else None


_LOGIC: dict[str, Callable[[Arguments], Value]] = {
    "Switch": _switch,
    "IIF": _iif,
    "Coalesce": _coalesce,
    "Not": _not,
    "CBool": _cbool,
    "CStr": lambda arguments: text(_only(arguments, "value")),
    "Item": _item,
    "IsNull": lambda arguments: _only(arguments, "Expression") in (None, ()),
    "IsNullOrEmpty": lambda arguments: is_empty(_only(arguments, "Expression")),
    "IsPresent": lambda arguments: not is_empty(_only(arguments, "Expression")),
    "IsString": lambda arguments: isinstance(_only(arguments, "Expression"), str),
    "IgnoreFlowIfNullOrEmpty": lambda arguments: _only(arguments, "Expression"),
    "SingleAppRoleAssignment": lambda arguments: next(iter(several(_only(arguments, "appRoleAssignments"))), None),
}
