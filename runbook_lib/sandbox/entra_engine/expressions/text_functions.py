"""The functions that make texts. Source: entra-docs functions-for-customizing-application-data."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from runbook_lib.sandbox.entra_engine.expressions.values import ExpressionError, Value, number, several, text

Arguments = dict[str, list[Value]]
# Unverified: null in, null out (or as the switch `null_in_expressions` says); the page says "" for Left and Word only.
NULL_GIVES_NULL = frozenset("Append Mid Right Trim ToLower ToUpper PCase StripSpaces NormalizeDiacritics Split".split())


def only(arguments: Arguments, name: str) -> Value:
    """Return the one value of a parameter, None when it was left out."""
    return arguments.get(name.lower(), [None])[0]


def words(arguments: Arguments, name: str) -> str:
    """Return the text of a parameter; null is empty."""
    return text(only(arguments, name)) or ""


def whole(arguments: Arguments, name: str) -> int:
    """Return a parameter that is a whole number. Raises `ExpressionError`."""
    return number(only(arguments, name))


def _upper(source: str) -> str:
    """Return a text in upper case as .NET's invariant culture has it: sign by sign, none of them grows."""
    return "".join(upper if len(upper := sign.upper()) == 1 else sign for sign in source)


def _lower(source: str) -> str:
    """Return a text in lower case as .NET's invariant culture has it: sign by sign, none of them grows."""
    return "".join(lower if len(lower := sign.lower()) == 1 else sign for sign in source)


def _join(arguments: Arguments) -> str:
    """Join what is not empty; the items of several values count each. Unverified: null is left out as an empty text is."""
    parts = [part for value in arguments.get("source", []) for part in several(value)]
    return words(arguments, "separator").join(part for part in parts if part)


def _left(arguments: Arguments) -> str:
    source, count = words(arguments, "String"), whole(arguments, "NumChars")
    return source if count < 0 else source[:count]


def _right(arguments: Arguments) -> str:
    """Return the last characters. Unverified: its limits are those of Left, turned round."""
    source, count = words(arguments, "String"), whole(arguments, "NumChars")
    return source if count < 0 or count >= len(source) else source[len(source) - count :]


def _mid(arguments: Arguments) -> str:
    """Return a part, counted from 1. Unverified: behind the end it is empty. Raises `ExpressionError` below 1."""
    source, start, length = words(arguments, "source"), whole(arguments, "start"), whole(arguments, "length")
    if start < 1 or length < 0:
        raise ExpressionError("Mid starts at 1 and has a length.")
    return source[start - 1 : start - 1 + length]


def _split(arguments: Arguments) -> tuple[str, ...]:
    """Split a text. The page's example shows blanks around the parts removed."""
    delimiter = words(arguments, "delimiter")
    if not delimiter:
        raise ExpressionError("Split needs a delimiter.")
    return tuple(part.strip() for part in words(arguments, "source").split(delimiter))


def _word(arguments: Arguments) -> str:
    """Return one word, counted from 1, "" when there is none. Unverified: two delimiters in a row make no empty word."""
    index, delimiters = whole(arguments, "WordNumber"), words(arguments, "Delimiters")
    pattern = f"[{re.escape(delimiters)}]" if delimiters else r"(?!)"
    found = [word for word in re.split(pattern, words(arguments, "String")) if word]
    return found[index - 1] if 1 <= index <= len(found) else ""


# Unicode categories that separate words for .NET's ToTitleCase: the list of the functions page, under PCase.
_SEPARATORS = frozenset("Zs Zl Zp Cc Cf Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So".split())


def _pcase(arguments: Arguments) -> str:
    """Return each word with a capital first letter.

    Without separators .NET's ToTitleCase decides, after lower-casing: a letter behind a digit starts a word there, one behind an
    apostrophe does not (its source). With separators only these count.
    """
    source, separators = _lower(words(arguments, "source")), text(only(arguments, "wordSeparators"))
    found, inside = [], False
    for sign in source:
        if separators is not None:
            found.append(sign if inside or sign in separators else _upper(sign))
            inside = sign not in separators
        elif sign.isalpha():
            found.append(sign if inside else _upper(sign))
            inside = True
        else:
            found.append(sign)
            inside = inside and (sign == "'" or unicodedata.category(sign) not in _SEPARATORS)
    return "".join(found)


# The table of the functions page, in composed form. It is no Unicode decomposition: letters outside of it stay.
_TABLE = {
    "a": "ä à â ã å á ą ă ā ā́ ā̀ ā̂ ā̃ ǟ ā̈ ǡ a̱ å̄",
    "ae": "æ ǣ",
    "c": "ç č ć c̄ c̱",
    "d": "ď d̄ ḏ",
    "e": "ë è é ê ę ě ė ē ḗ ḕ ē̂ ē̃ ê̄ e̱ ë̄ e̊̄",
    "g": "ğ ḡ g̱",
    "i": "ï î ì í ı ī ī́ ī̀ ī̂ ī̃ i̱",
    "l": "ľ ł l̄ ḹ ḻ",
    "n": "ñ ń ň n̄ ṉ",
    "o": "ö ò ő õ ô ó ō ṓ ṑ ō̂ ō̃ ȫ ō̈ ǭ ȭ ȱ o̱",
    "oe": "ø ø̄ œ̄",
    "r": "ř r̄ ṟ ṝ",
    "ss": "ß",
    "s": "š ś ș ş s̄ s̱",
    "t": "ť ț t̄ ṯ",
    "u": "ü ù û ú ů ű ū ū́ ū̀ ū̂ ū̃ u̇̄ ǖ ṻ ṳ̄ u̱",
    "y": "ÿ ý ȳ ȳ́ ȳ̀ ȳ̃ y̱",
    "z": "ź ž ż z̄ ẕ",
}
_PLAIN = {unicodedata.normalize("NFC", letter): plain for plain, letters in _TABLE.items() for letter in letters.split()} | {
    unicodedata.normalize("NFC", letter.upper()): plain.upper()
    for plain, letters in _TABLE.items()
    for letter in letters.split()
    if letter not in ("ß", "ı")
}
_PLAIN["İ"] = "I"


def _normalize_diacritics(arguments: Arguments) -> str:
    composed = unicodedata.normalize("NFC", words(arguments, "source"))
    letters: list[str] = []
    for sign in composed:
        if letters and unicodedata.combining(sign):
            letters[-1] += sign
        else:
            letters.append(sign)
    return "".join(_PLAIN.get(letter, letter) for letter in letters)


# Replace -------------------------------------------------------------------------------------------------------------


def _replace(arguments: Arguments) -> Value:
    """Replace, in the way that the given parameters ask for (functions page, five ways). Raises `ExpressionError`."""
    source, old, pattern, group, new, other, template = (
        text(only(arguments, name))
        for name in (
            "source",
            "Find",
            "RegularExpression",
            "RegularExpressionGroupName",
            "Replacement",
            "ReplacementPropertyName",
            "Template",
        )
    )
    if old and template is not None:
        return template.replace(old, source or "")
    if old and new is not None:
        return None if source is None else source.replace(old, new)
    if pattern and group and "replacementpropertyname" in arguments:
        return source or _group_of(pattern, group, other or "")
    if pattern and group and new is not None:
        return None if source is None else _group_replaced(pattern, group, new, source)
    if pattern and new is not None:
        return None if source is None else _compiled(pattern).sub(_template(new), source)
    raise ExpressionError("Replace has no such combination of parameters.")


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return a .NET pattern. Raises `ExpressionError` for what Python's regular expressions lack."""
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z_])", "(?P<", pattern))
    except re.error as wrong:
        raise ExpressionError(f"The pattern {pattern!r} cannot be read: {wrong}.") from None


def _template(new: str) -> Callable[[re.Match[str]], str]:
    """Return what fills .NET's `${name}`, `$1` and `$$` from a match; an unknown group stays as it is written."""

    def filled(match: re.Match[str]) -> str:
        def one(reference: re.Match[str]) -> str:
            if reference[0] == "$$":
                return "$"
            name = reference[1] or reference[2]
            try:
                return match[int(name) if name.isdecimal() else name] or ""
            except IndexError:
                return reference[0]

        return re.sub(r"\$(?:\{(\w+)\}|(\d+)|\$)", one, new)

    return filled


def _span(match: re.Match[str], group: str) -> tuple[int, int]:
    try:
        return match.span(int(group) if group.isdecimal() else group)
    except (IndexError, KeyError):
        raise ExpressionError(f"The pattern has no group {group!r}.") from None


def _group_replaced(pattern: str, group: str, new: str, source: str) -> str:
    parts, position = [], 0
    for match in _compiled(pattern).finditer(source):
        start, end = _span(match, group)
        if start >= position:
            parts += [source[position:start], new]
            position = end
    return "".join([*parts, source[position:]])


def _group_of(pattern: str, group: str, other: str) -> str | None:
    """Return what a group matches. Unverified: null when the pattern does not."""
    match = _compiled(pattern).search(other)
    if match is None:
        return None
    start, end = _span(match, group)
    return other[start:end] if start >= 0 else None


def matches(pattern: str, value: str) -> bool:
    """Whether a .NET pattern is found in a text: the test of scoping filters. Raises `ExpressionError`."""
    return _compiled(pattern).search(value) is not None


FUNCTIONS: dict[str, Callable[[Arguments], Value]] = {
    "Append": lambda arguments: words(arguments, "source") + words(arguments, "suffix"),
    "Join": _join,
    "Left": _left,
    "Right": _right,
    "Mid": _mid,
    "Len": lambda arguments: len(words(arguments, "source")),
    "Trim": lambda arguments: words(arguments, "source").strip(),
    "Split": _split,
    "Word": _word,
    "ToLower": lambda arguments: _lower(words(arguments, "source")),
    "ToUpper": lambda arguments: _upper(words(arguments, "source")),
    "PCase": _pcase,
    "StripSpaces": lambda arguments: words(arguments, "source").replace(" ", ""),
    "NormalizeDiacritics": _normalize_diacritics,
    "Replace": _replace,
}
