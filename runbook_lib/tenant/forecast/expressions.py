"""Entra's mapping language: a mapping's source as a tree, read from Graph's JSON or from the text that the portal shows.

Grammar (entra-docs, functions-for-customizing-application-data, "Syntax overview"): a function with arguments in parentheses,
an attribute in square brackets, a text in double quotes with backslash before a backslash or a quote, a number, an empty
argument; in a condition two of them with one of `= <> < <= > >=` between. Names are case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class CannotTell(Exception):
    """It is unknown what the language does here, so nothing that depends on it has a forecast. The message says what and why."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """A source attribute, by Entra's own name."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal; numbers are kept as their text."""

    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition of two sides."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A function call: by parameter name the argument, None where it is left empty; `rest` holds the repeated ones."""

    function: str
    arguments: tuple[tuple[str, Node], ...]
    rest: tuple[Node | None, ...] = ()

    def argument(self, name: str) -> Node | None:
        """Return an argument, None where it is left empty."""
        return dict(self.arguments).get(name)


Node = Attribute | Constant | Comparison | Call


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's parameters in order, and the name of the one that may be repeated at the end."""

    parameters: tuple[str, ...]
    repeated: str = ""


# Names of the parameters as Graph's own samples spell them (graph-docs, synchronizationschema-parseexpression, and real
# exports); those of functions without a sample follow the reference page.
SIGNATURES: Mapping[str, Signature] = {
    "Append": Signature(("source", "suffix")),
    "CBool": Signature(("expression",)),
    "CDate": Signature(("expression",)),
    "CStr": Signature(("value",)),
    "Coalesce": Signature((), "source"),
    "Count": Signature(("attribute",)),
    "DateAdd": Signature(("interval", "value", "dateTime")),
    "DateDiff": Signature(("interval", "date1", "date2")),
    "FormatDateTime": Signature(("source", "dateTimeStyles", "inputFormat", "outputFormat")),
    "IIF": Signature(("condition", "valueIfTrue", "valueIfFalse")),
    "IgnoreFlowIfNullOrEmpty": Signature(("expression",)),
    "IsNull": Signature(("expression",)),
    "IsNullOrEmpty": Signature(("expression",)),
    "IsPresent": Signature(("expression",)),
    "IsString": Signature(("expression",)),
    "Item": Signature(("attribute", "index")),
    "Join": Signature(("separator",), "source"),
    "Left": Signature(("string", "numChars")),
    "Len": Signature(("source",)),
    "Mid": Signature(("source", "start", "length")),
    "NormalizeDiacritics": Signature(("source",)),
    "Not": Signature(("source",)),
    "Now": Signature(()),
    "PCase": Signature(("source", "wordSeparators")),
    "Redact": Signature(("value",)),
    "Replace": Signature(
        (
            "source",
            "Find",
            "RegularExpression",
            "RegularExpressionGroupName",
            "Replacement",
            "ReplacementPropertyName",
            "Template",
        )
    ),
    "Right": Signature(("string", "numChars")),
    "SingleAppRoleAssignment": Signature(("appRoleAssignments",)),
    "Split": Signature(("source", "delimiter")),
    "StripSpaces": Signature(("source",)),
    "Switch": Signature(("source", "defaultValue"), "switchValue"),
    "ToLower": Signature(("source", "culture")),
    "ToUpper": Signature(("source", "culture")),
    "Trim": Signature(("source",)),
    "Word": Signature(("string", "wordNumber", "delimiters")),
}
_KEYS = {  # other spellings of a parameter's key, lower case: those of the reference page
    "Coalesce": {"defaultvalue": "source"},
    "Replace": {
        "oldvalue": "Find",
        "regexpattern": "RegularExpression",
        "regexgroupname": "RegularExpressionGroupName",
        "replacementvalue": "Replacement",
        "replacementattributename": "ReplacementPropertyName",
    },
    "Switch": {"key": "switchValue", "value": "switchValue"},
}


def read_source(source: Mapping[str, Any]) -> Node:
    """Return the tree of an attribute mapping's `source`: `type`, `name`, `expression`, `parameters` of key and value.

    Graph leaves empty arguments out of `parameters`, so they are read by key; the text counts where a key is unknown.
    Raises `CannotTell` when neither can be read, or when the two say different things.
    """
    kind, name = source.get("type"), str(source.get("name") or "")
    if kind == "Attribute" and name:
        return Attribute(name)
    if kind == "Constant":
        return Constant(name)
    text = str(source.get("expression") or "")
    if kind != "Function":
        return parse(text)
    try:
        by_text: Node | None = parse(text) if text else None
    except CannotTell:
        by_text = None
    if by_text is not None and not source.get("parameters"):
        return by_text
    try:
        by_key = _called(name, source.get("parameters") or ())
    except CannotTell:
        if by_text is None:
            raise
        return by_text
    if by_text in (None, by_key):
        return by_key
    raise CannotTell(f"the text {text} and the parameters next to it say different things")


def _called(name: str, parameters: Any) -> Node:
    signature = _signature(name)
    other_keys = _KEYS.get(name, {})
    canonical = {key.lower(): key for key in (*signature.parameters, signature.repeated) if key}
    single: dict[str, Node] = {}
    rest: list[Node | None] = []
    for parameter in parameters:
        if not isinstance(parameter, Mapping) or not isinstance(parameter.get("value"), Mapping):
            raise CannotTell(f"{name} has a parameter without a value")
        key = str(parameter.get("key")).lower()
        known = canonical.get(key) or other_keys.get(key)
        if known is None:
            raise CannotTell(f"{name} has a parameter {parameter.get('key')}, which no public page names")
        node = read_source(parameter["value"])
        if known == signature.repeated:
            rest.append(node)
        else:
            single[known] = node
    return Call(name, tuple((key, single[key]) for key in signature.parameters if key in single), tuple(rest))


def _signature(name: str) -> Signature:
    found = SIGNATURES.get(name)
    if found is None:
        raise CannotTell(f"the function {name} is not foretold here")
    return found


# The text form ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<attribute>\[[^\[\]]+\])
    |(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z][A-Za-z0-9]*)
    |(?P<operator><>|<=|>=|[=<>])
    |(?P<mark>[(),])
    )""",
    re.VERBOSE | re.DOTALL,
)


def parse(text: str) -> Node:
    """Return the tree of an expression as the portal shows it. Raises `CannotTell` for text that is none of the language."""
    tokens = _tokens(text)
    node, position = _condition(tokens, 0)
    if node is None or position != len(tokens):
        raise CannotTell(f"the expression {text!r} cannot be read")
    return node


def attributes_of(node: Node | None) -> frozenset[str]:
    """Return the names of the source attributes that an expression needs."""
    if isinstance(node, Attribute):
        return frozenset({node.name})
    if isinstance(node, Comparison):
        return attributes_of(node.left) | attributes_of(node.right)
    if isinstance(node, Call):
        return frozenset().union(*(attributes_of(value) for _, value in node.arguments), *map(attributes_of, node.rest))
    return frozenset()


def texts_of(node: Node | None) -> frozenset[str]:
    """Return the literal texts of an expression, with which it may compare."""
    if isinstance(node, Constant):
        return frozenset({node.text})
    if isinstance(node, Comparison):
        return texts_of(node.left) | texts_of(node.right)
    if isinstance(node, Call):
        return frozenset().union(*(texts_of(value) for _, value in node.arguments), *map(texts_of, node.rest))
    return frozenset()


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise CannotTell(f"the expression {text!r} cannot be read from character {position + 1} on")
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


def _condition(tokens: list[tuple[str, str]], position: int) -> tuple[Node | None, int]:
    left, position = _operand(tokens, position)
    if position < len(tokens) and tokens[position][0] == "operator":
        operator = tokens[position][1]
        right, position = _operand(tokens, position + 1)
        if left is None or right is None:
            raise CannotTell(f"a side of {operator} is missing")
        return Comparison(operator, left, right), position
    return left, position


def _operand(tokens: list[tuple[str, str]], position: int) -> tuple[Node | None, int]:
    if position >= len(tokens):
        return None, position
    kind, token = tokens[position]
    if kind == "attribute":
        return Attribute(token[1:-1]), position + 1
    if kind == "text":
        return Constant(_unescaped(token[1:-1])), position + 1
    if kind == "number":
        return Constant(token), position + 1
    if kind == "name" and tokens[position + 1 : position + 2] == [("mark", "(")]:
        return _arguments(token, tokens, position + 2)
    return None, position


def _arguments(name: str, tokens: list[tuple[str, str]], position: int) -> tuple[Node, int]:
    found: list[Node | None] = []
    while True:
        node, position = _condition(tokens, position)
        found.append(node)
        mark = tokens[position] if position < len(tokens) else ("", "")
        if mark == ("mark", ")"):
            return _positional(name, found if found != [None] else []), position + 1
        if mark != ("mark", ","):
            raise CannotTell(f"the arguments of {name} cannot be read")
        position += 1


def _positional(name: str, found: list[Node | None]) -> Call:
    signature = _signature(name)
    count = len(signature.parameters)
    if not signature.repeated:
        while len(found) > count and found[-1] is None:
            found.pop()
        if len(found) > count:
            raise CannotTell(f"{name} takes {count} arguments, not {len(found)}")
    pairs = zip(signature.parameters, found, strict=False)
    rest = found[count:] if signature.repeated else []
    return Call(name, tuple((key, node) for key, node in pairs if node is not None), tuple(rest))


def _unescaped(text: str) -> str:
    if re.search(r'\\(?![\\"])', text.replace("\\\\", "")):
        raise CannotTell(f"the text {text!r} has a backslash before a character for which that is not documented")
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
