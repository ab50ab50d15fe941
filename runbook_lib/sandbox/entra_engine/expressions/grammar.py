"""From the text of an expression to its source document, as parseExpression answers it (`parsedExpression`).

Source: entra-docs functions-for-customizing-application-data ("Syntax overview"); the keys of parameters of Switch, Join, Mid,
Append and Replace from the samples of Graph's parseExpression page. Unverified: the keys of the other functions (here the names
of the functions page), and the form of a comparison (here a function named by its operator, with `left` and `right`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbook_lib.sandbox.entra_engine.expressions.values import ExpressionError
from runbook_lib.sandbox.world import Document

LONGEST = 10_000  # characters: Graph attributeMappingSource page
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<attribute>\[[^\[\]]+\])|(?P<number>&H[0-9A-Fa-f]+|-?\d+(?:\.\d+)?)"""
    r"""|(?P<name>[A-Za-z_]\w*)|(?P<sign><>|<=|>=|[=<>(),]))""",
)
# The keys of parameters by function; a key with `...` repeats, a group of them repeats together.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "Append": ("source", "suffix"),
    "CBool": ("Expression",),
    "CDate": ("Expression",),
    "CStr": ("value",),
    "Coalesce": ("source...",),
    "DateAdd": ("interval", "value", "dateTime"),
    "DateDiff": ("interval", "date1", "date2"),
    "FormatDateTime": ("source", "dateTimeStyles", "inputFormat", "outputFormat"),
    "IIF": ("condition", "valueIfTrue", "valueIfFalse"),
    "IgnoreFlowIfNullOrEmpty": ("Expression",),
    "IsNull": ("Expression",),
    "IsNullOrEmpty": ("Expression",),
    "IsPresent": ("Expression",),
    "IsString": ("Expression",),
    "Item": ("attribute", "index"),
    "Join": ("separator", "source..."),
    "Left": ("String", "NumChars"),
    "Len": ("source",),
    "Mid": ("source", "start", "length"),
    "NormalizeDiacritics": ("source",),
    "Not": ("source",),
    "Now": (),
    "PCase": ("source", "wordSeparators"),
    "Replace": (
        "source",
        "Find",
        "RegularExpression",
        "RegularExpressionGroupName",
        "Replacement",
        "ReplacementPropertyName",
        "Template",
    ),
    "Right": ("String", "NumChars"),
    "SingleAppRoleAssignment": ("appRoleAssignments",),
    "Split": ("source", "delimiter"),
    "StripSpaces": ("source",),
    "Switch": ("source", "defaultValue", "switchValue..."),
    "ToLower": ("source", "culture"),
    "ToUpper": ("source", "culture"),
    "Trim": ("source",),
    "Word": ("String", "WordNumber", "Delimiters"),
}


def keys(name: str, count: int) -> list[str]:
    """Return the key of each of `count` arguments by place; unknown functions number theirs."""
    signature = SIGNATURES.get(name, ("parameter...",))
    found = list(signature[:count])
    while signature and len(found) < count and signature[-1].endswith("..."):
        found.append(signature[-1])
    found += [f"parameter{place}" for place in range(len(found) + 1, count + 1)]
    return [key.removesuffix("...") for key in found]


@dataclass
class _Reader:
    """The tokens of an expression, each with its kind, its text and where it starts and ends."""

    text: str
    tokens: list[tuple[str, str, int, int]]
    place: int = 0

    def next_is(self, *signs: str) -> bool:
        """Whether the next token is one of these signs."""
        return self.place < len(self.tokens) and self.tokens[self.place][:1] == ("sign",) and self._word() in signs

    def _word(self) -> str:
        return self.tokens[self.place][1]

    def take(self) -> tuple[str, str, int, int]:
        """Return the next token. Raises `ExpressionError` at the end."""
        if self.place >= len(self.tokens):
            raise ExpressionError("The expression ends too early.")
        self.place += 1
        return self.tokens[self.place - 1]

    def expect(self, sign: str) -> None:
        """Pass over a sign. Raises `ExpressionError` when another token stands there."""
        kind, word, start, _ = self.take()
        if (kind, word) != ("sign", sign):
            raise ExpressionError(f"'{sign}' is expected at position {start + 1}, not '{word}'.")

    def written(self, since: int) -> str:
        """Return the text from one position to the end of the last token."""
        return self.text[since : self.tokens[self.place - 1][3]]


def parsed(text: str) -> Document:
    """Return the source document of an expression. Raises `ExpressionError` when it breaks the grammar."""
    if len(text) > LONGEST:
        raise ExpressionError(f"An expression has at most {LONGEST} characters.")
    reader = _Reader(text, _tokens(text))
    found = _expression(reader)
    if reader.place < len(reader.tokens):
        _, word, start, _ = reader.tokens[reader.place]
        raise ExpressionError(f"'{word}' at position {start + 1} is not expected.")
    return found


def _tokens(text: str) -> list[tuple[str, str, int, int]]:
    found, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ExpressionError(f"Position {position + 1} of the expression cannot be read.")
        kind = match.lastgroup
        found.append((kind, match[kind], match.start(kind), match.end(kind)))
        position = match.end()
    return found


def _expression(reader: _Reader, depth: int = 0) -> Document:
    """Return a term, or the comparison of two."""
    if depth > 50:
        raise ExpressionError("The expression is nested too deeply.")
    start = reader.tokens[reader.place][2] if reader.place < len(reader.tokens) else 0
    left = _term(reader, depth)
    if not reader.next_is(*COMPARISONS):
        return left
    _, operator, _, _ = reader.take()
    right = _term(reader, depth)
    return _function(operator, [("left", left), ("right", right)], reader.written(start))


def _term(reader: _Reader, depth: int) -> Document:
    kind, word, start, _ = reader.take()
    if kind == "text":
        return _leaf("Constant", re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL), word)
    if kind == "attribute":
        return _leaf("Attribute", word[1:-1].strip(), word)
    if kind == "number":
        return _leaf("Constant", str(int(word[2:], 16)) if word.startswith("&H") else word, word)
    if kind == "name" and reader.next_is("("):
        return _call(reader, word, start, depth)
    if kind == "name":
        return _leaf("Constant", word, word)  # a bare word such as vbBinaryCompare
    raise ExpressionError(f"'{word}' at position {start + 1} is not expected.")


def _call(reader: _Reader, name: str, start: int, depth: int) -> Document:
    """Return a function with its arguments; empty ones are left out, as in a real export."""
    reader.expect("(")
    arguments: list[Document | None] = []
    while not reader.next_is(")"):
        arguments.append(None if reader.next_is(",") else _expression(reader, depth + 1))
        if not reader.next_is(")"):
            reader.expect(",")
            if reader.next_is(")"):
                arguments.append(None)
    reader.expect(")")
    named = zip(keys(name, len(arguments)), arguments, strict=True)
    return _function(name, [(key, value) for key, value in named if value is not None], reader.written(start))


def _leaf(kind: str, name: str, written: str) -> Document:
    return {"expression": written, "name": name, "type": kind, "parameters": []}


def _function(name: str, parameters: list[tuple[str, Document]], written: str) -> Document:
    listed = [{"key": key, "value": value} for key, value in parameters]
    return {"expression": written, "name": name, "type": "Function", "parameters": listed}
