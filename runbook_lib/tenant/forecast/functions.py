"""What each function of Entra's mapping language gives. Source: entra-docs, functions-for-customizing-application-data.

Where the reference page is silent and no example shows it, the result is `CannotTell`: what Join, Append and a comparison make
of null is stated by no public page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from runbook_lib.tenant.forecast import dotnet
from runbook_lib.tenant.forecast.arguments import Arguments, Value, text_of
from runbook_lib.tenant.forecast.date_formats import reformatted
from runbook_lib.tenant.forecast.diacritics import normalized
from runbook_lib.tenant.forecast.expressions import CannotTell

# Tests and choices ----------------------------------------------------------------------------------------------------


def _switch(arguments: Arguments) -> Value:
    """Switch: the value of the first equal key, case-sensitive; the key "" stands for null and empty; else the default."""
    keys, values = arguments.rest[::2], arguments.rest[1::2]
    if len(keys) != len(values):
        raise CannotTell("Switch has a key without a value")
    source = arguments.value("source")
    wanted = "" if source is None else text_of(source)
    for key, value in zip(keys, values, strict=True):
        if ("" if key is None else text_of(key)) == wanted:
            return value
    return arguments.value("defaultValue")


def _not(arguments: Arguments) -> bool:
    """Not: "If source value is True, returns False. Otherwise, returns True"."""
    value = arguments.value("source")
    if isinstance(value, str) and value != "True" and value.lower() == "true":
        raise CannotTell("whether Not regards capitals is not documented")
    return value not in (True, "True")


def _is_string(arguments: Arguments) -> bool:
    value = arguments.value("expression")
    if value is None:
        raise CannotTell("whether IsString is true of null is not documented")
    return isinstance(value, str)


def _cbool(arguments: Arguments) -> bool:
    """CBool: a non-zero value is True."""
    value = arguments.value("expression")
    if isinstance(value, bool):
        return value
    text = arguments.text("expression")
    if text in ("True", "False"):
        return text == "True"
    return arguments.number("expression") != 0


# Texts -------------------------------------------------------------------------------------------------------------------


def _append(arguments: Arguments) -> str:
    return arguments.text("source") + arguments.text("suffix")


def _coalesce(arguments: Arguments) -> Value:
    """Coalesce: the first that is not null. Whether an empty text counts as null is not stated."""
    for position, value in enumerate(arguments.rest, start=1):
        if value == "" and position < len(arguments.rest):
            raise CannotTell("whether Coalesce passes over an empty text is not documented")
        if value is not None:
            return value
    return None


def _join(arguments: Arguments) -> str:
    """Join: an empty text is left out, as the example `Join(", ", "", …)` shows; a list is joined value by value."""
    parts: list[str] = []
    for value in arguments.rest:
        if value is None:
            raise CannotTell("what Join makes of null is not documented")
        parts += value if isinstance(value, tuple) else [text_of(value)]
    return arguments.text("separator").join(part for part in parts if part)


def _left(arguments: Arguments) -> str:
    """Left: null gives "", a number below 0 or above the length gives the whole text."""
    if arguments.value("string") is None:
        return ""
    text, count = arguments.text("string"), arguments.number("numChars")
    return text if count < 0 else dotnet.part(text, 0, count)


def _right(arguments: Arguments) -> str:
    """Right: the counterpart of Left. The reference page is silent on it, so only unambiguous arguments give a value."""
    text, count = arguments.text("string"), arguments.number("numChars")
    if not 0 < count <= dotnet.length(text):
        raise CannotTell("what Right gives beyond the text is not documented")
    return dotnet.part(text, dotnet.length(text) - count, dotnet.length(text))


def _mid(arguments: Arguments) -> Value:
    """Mid: `start` counts from 1; a length beyond the end gives the rest."""
    if arguments.value("source") is None:
        return None  # null or empty: neither flows
    text, start, count = arguments.text("source"), arguments.number("start"), arguments.number("length")
    if not 1 <= start <= dotnet.length(text) or count < 0:
        raise CannotTell("what Mid gives beyond the text is not documented")
    return dotnet.part(text, start - 1, start - 1 + count)


def _word(arguments: Arguments) -> str:
    """Word: null, a number below 1 and too few words give ""."""
    if arguments.value("string") is None or arguments.number("wordNumber") < 1:
        return ""
    text, number = arguments.text("string"), arguments.number("wordNumber")
    words = re.split("[" + re.escape(arguments.text("delimiters")) + "]", text) if arguments.text("delimiters") else [text]
    if "" in words:
        raise CannotTell("whether Word counts nothing between two delimiters as a word is not documented")
    return words[number - 1] if number <= len(words) else ""


def _split(arguments: Arguments) -> Value:
    """Split: the parts, without the blanks around them, as the example shows."""
    if arguments.value("source") is None:
        return None
    delimiter = arguments.text("delimiter")
    if len(delimiter) != 1:
        raise CannotTell("Split takes one character")
    parts = tuple(part.strip() for part in arguments.text("source").split(delimiter))
    if "" in parts:
        raise CannotTell("whether Split keeps empty parts is not documented")
    return parts


def _item(arguments: Arguments) -> str:
    """Item: one of several values, counted from 1."""
    values, index = arguments.value("attribute"), arguments.number("index")
    if not isinstance(values, tuple) or not 1 <= index <= len(values):
        raise CannotTell("what Item gives outside the values is not documented")
    return values[index - 1]


def _count(arguments: Arguments) -> int:
    values = arguments.value("attribute")
    if not isinstance(values, tuple):
        raise CannotTell("Count needs an attribute of several values")
    return len(values)


def _pcase(arguments: Arguments) -> Value:
    if arguments.value("source") is None:
        return None
    text = arguments.text("source")
    return dotnet.proper(text, arguments.text("wordSeparators")) if arguments.has("wordSeparators") else dotnet.title(text)


def _only_role(arguments: Arguments) -> Value:
    """SingleAppRoleAssignment: the role of the only assignment. Entra does not support several, so those give no forecast."""
    roles = arguments.value("appRoleAssignments")
    if not isinstance(roles, tuple) or len(roles) > 1:
        raise CannotTell("the person has several roles, or the role is not known")
    return roles[0] if roles else None


def _of_text(make: Callable[[str], str], name: str) -> Callable[[Arguments], Value]:
    """Make a function of one text. Null gives null: null and an empty text are alike, neither flows."""

    def function(arguments: Arguments) -> Value:
        return None if arguments.value(name) is None else make(arguments.text(name))

    return function


def _in_case(change: Callable[[str, str], str]) -> Callable[[Arguments], Value]:
    def function(arguments: Arguments) -> Value:
        if arguments.value("source") is None:
            return None
        return change(arguments.text("source"), arguments.text("culture") if arguments.has("culture") else "")

    return function


# Replace -----------------------------------------------------------------------------------------------------------------


def _replace(arguments: Arguments) -> Value:
    """Replace: what it does depends on which arguments are given (five forms on the reference page)."""
    given = frozenset(arguments.named) - {"source"}
    form = _FORMS.get(given)
    if form is None:
        raise CannotTell(f"Replace with {', '.join(sorted(given)) or 'nothing'} is not documented")
    return form(arguments)


def _replace_text(arguments: Arguments) -> Value:
    if arguments.value("source") is None:
        return None
    old = arguments.text("Find")
    if not old:
        raise CannotTell("Replace of an empty text is not documented")
    return arguments.text("source").replace(old, arguments.text("Replacement"))


def _replace_in_template(arguments: Arguments) -> str:
    old = arguments.text("Find")
    if not old:
        raise CannotTell("Replace of an empty text is not documented")
    return arguments.text("Template").replace(old, arguments.text("source"))


def _replace_matches(arguments: Arguments) -> Value:
    if arguments.value("source") is None:
        return None
    compiled = dotnet.pattern(arguments.text("RegularExpression"))
    return dotnet.substitute(compiled, arguments.text("Replacement"), arguments.text("source"))


def _replace_group(arguments: Arguments) -> Value:
    if arguments.value("source") is None:
        return None
    group, replacement = arguments.text("RegularExpressionGroupName"), arguments.text("Replacement")
    compiled = _with_group(arguments, group)
    if "$" in replacement:
        raise CannotTell("whether a replacement of one group is read for $ is not documented")

    def one(match: re.Match[str]) -> str:
        start, end = match.span(group)
        if start < 0:
            return match[0]
        offset = match.start()
        return match[0][: start - offset] + replacement + match[0][end - offset :]

    return compiled.sub(one, arguments.text("source"))


def _replace_by_other(arguments: Arguments) -> Value:
    if arguments.value("source") not in (None, ""):
        return arguments.value("source")
    group = arguments.text("RegularExpressionGroupName")
    compiled = _with_group(arguments, group)
    if arguments.value("ReplacementPropertyName") in (None, ""):
        return None
    match = compiled.search(arguments.text("ReplacementPropertyName"))
    if match is None:
        raise CannotTell("what Replace gives when nothing matches in the other attribute is not documented")
    return match[group]


def _with_group(arguments: Arguments, group: str) -> re.Pattern[str]:
    compiled = dotnet.pattern(arguments.text("RegularExpression"))
    if group not in compiled.groupindex:
        raise CannotTell(f"the regular expression has no group {group}")
    return compiled


_FORMS = {
    frozenset({"Find", "Replacement"}): _replace_text,
    frozenset({"Find", "Template"}): _replace_in_template,
    frozenset({"RegularExpression", "Replacement"}): _replace_matches,
    frozenset({"RegularExpression", "RegularExpressionGroupName", "Replacement"}): _replace_group,
    frozenset({"RegularExpression", "RegularExpressionGroupName", "ReplacementPropertyName"}): _replace_by_other,
}


# Times -------------------------------------------------------------------------------------------------------------------


def _now(arguments: Arguments) -> datetime:
    if arguments.person.now is None:
        raise CannotTell("Now depends on when the cycle runs")
    return arguments.person.now().astimezone(UTC).replace(microsecond=0)


def _date_add(arguments: Arguments) -> datetime:
    return dotnet.later(arguments.time("dateTime"), arguments.text("interval"), arguments.number("value"))


def _date_diff(arguments: Arguments) -> int:
    return dotnet.between(arguments.text("interval"), arguments.time("date1"), arguments.time("date2"))


def _format_date(arguments: Arguments) -> str:
    if arguments.has("dateTimeStyles"):
        raise CannotTell("FormatDateTime with DateTimeStyles is not foretold here")
    return reformatted(arguments.text("source"), arguments.text("inputFormat"), arguments.text("outputFormat"))


def _is_present(arguments: Arguments) -> bool:
    return arguments.value("expression") not in (None, "", ())


FUNCTIONS: Mapping[str, Callable[[Arguments], Value]] = {
    "Append": _append,
    "CBool": _cbool,
    "CDate": lambda arguments: arguments.time("expression"),
    "CStr": lambda arguments: arguments.text("value"),
    "Coalesce": _coalesce,
    "Count": _count,
    "DateAdd": _date_add,
    "DateDiff": _date_diff,
    "FormatDateTime": _format_date,
    "IgnoreFlowIfNullOrEmpty": lambda arguments: arguments.value("expression"),  # null and empty never flow anyway
    "IsNull": lambda arguments: arguments.value("expression") is None,
    "IsNullOrEmpty": lambda arguments: not _is_present(arguments),
    "IsPresent": _is_present,
    "IsString": _is_string,
    "Item": _item,
    "Join": _join,
    "Left": _left,
    "Len": lambda arguments: dotnet.length(arguments.text("source")),
    "Mid": _mid,
    "NormalizeDiacritics": _of_text(normalized, "source"),
    "Not": _not,
    "Now": _now,
    "PCase": _pcase,
    "Redact": lambda arguments: arguments.value("value"),  # only the log holds [Redact]
    "Replace": _replace,
    "Right": _right,
    "SingleAppRoleAssignment": _only_role,
    "Split": _split,
    "StripSpaces": _of_text(lambda text: text.replace(" ", ""), "source"),
    "Switch": _switch,
    "ToLower": _in_case(dotnet.lower),
    "ToUpper": _in_case(dotnet.upper),
    "Trim": _of_text(str.strip, "source"),
    "Word": _word,
}
