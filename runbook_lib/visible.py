"""Texts of strangers, made harmless to read: no hidden characters, no markup, no formulas."""

from __future__ import annotations

import html
import re
import unicodedata

# Blank though they count as letters, symbols or marks: joiners, fillers, Braille's blank, variation selectors
# (Unicode, DerivedCoreProperties: Default_Ignorable_Code_Point; U+2800 is only drawn so).
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MATHS = re.compile(r"[$\\]")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the wide ones count in Japanese Excel


def visible(text: str) -> str:
    r"""Return the text with everything unseen, or that turns the direction of writing, shown as an escape such as `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if _is_seen(char) else char.encode("unicode_escape").decode() for char in text)


def _is_seen(char: str) -> bool:
    return (char.isprintable() or unicodedata.category(char) == "Zs") and not _BLANK.match(char)


def as_html(text: str) -> str:
    """Return the text as HTML that shows it as it is, also where MathJax is at work."""
    return without_maths(html.escape(visible(text)))


def without_maths(markup: str) -> str:
    """Return HTML in which no `$` or backslash of a text starts a formula. Its attributes may hold neither.

    MathJax reads what the browser made of the HTML, so that an entity is no help; a formula ends where an element does.
    """
    return _MATHS.sub(r"<span>\g<0></span>", markup)


def as_cell(text: str) -> str:
    """Return the text as a spreadsheet's cell: one that it would take for a formula starts with an apostrophe."""
    shown = visible(text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
