"""The value of a mapping's source for one person. Source: entra-docs, functions-for-customizing-application-data."""

from __future__ import annotations

import re

from runbook_lib.tenant.forecast.arguments import Arguments, Person, Value, text_of
from runbook_lib.tenant.forecast.expressions import Attribute, Call, CannotTell, Comparison, Constant, Node, attributes_of
from runbook_lib.tenant.forecast.functions import FUNCTIONS


def evaluate(node: Node | None, person: Person) -> Value:
    """Return the value of an expression for a person. Raises `CannotTell` with the reason if it cannot be predicted."""
    if node is None:
        return None
    if isinstance(node, Attribute):
        if node.name not in person.attributes:
            raise CannotTell(f"the attribute {node.name} is not known")
        return person.attributes[node.name]
    if isinstance(node, Constant):
        return node.text
    if isinstance(node, Comparison):
        return _compared(node, person)
    if node.function == "IIF":
        return _iif(node, person)
    arguments = {name: evaluate(value, person) for name, value in node.arguments}
    return FUNCTIONS[node.function](Arguments(node.function, arguments, [evaluate(one, person) for one in node.rest], person))


def flowing(value: Value) -> str | None:
    """Return a value as the text that Entra sends, None for null and empty, which it never sends (entra-docs, customize page)."""
    if value is None or value == "" or value == ():
        return None
    if isinstance(value, tuple):
        raise CannotTell("a list of values flows only into a multi-valued attribute")
    return text_of(value)


# Conditions ---------------------------------------------------------------------------------------------------------


def _iif(call: Call, person: Person) -> Value:
    """IIF: "If the source attribute used within the IIF function is empty or null, the condition check fails"."""
    condition = call.argument("condition")
    for name in attributes_of(condition):
        if evaluate(Attribute(name), person) in (None, "", ()):
            raise CannotTell(f"{name} is empty, and the condition of IIF fails on that")
    found = evaluate(condition, person)
    if not isinstance(found, bool) and text_of(found).lower() not in ("true", "false"):
        raise CannotTell("the condition of IIF is neither true nor false")
    is_true = found if isinstance(found, bool) else text_of(found).lower() == "true"
    return evaluate(call.argument("valueIfTrue" if is_true else "valueIfFalse"), person)


def _compared(node: Comparison, person: Person) -> bool:
    sides = evaluate(node.left, person), evaluate(node.right, person)
    if any(side in (None, "", ()) for side in sides):
        raise CannotTell("what a comparison with an empty value gives is not documented")
    left, right = (text_of(side) for side in sides)
    if all(re.fullmatch(r"-?\d+(\.\d+)?", side) for side in (left, right)):
        return _ordered(node.operator, float(left), float(right))
    if node.operator not in ("=", "<>"):
        raise CannotTell("how texts are ordered in a condition is not documented")
    if left != right and left.lower() == right.lower():
        raise CannotTell("whether a condition regards capitals is not documented")
    return (left == right) is (node.operator == "=")


def _ordered(operator: str, left: float, right: float) -> bool:
    comparisons = {"=": left == right, "<>": left != right, "<": left < right, "<=": left <= right}
    return (comparisons | {">": left > right, ">=": left >= right})[operator]
