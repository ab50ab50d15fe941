"""Texts of strangers, made harmless to read: no hidden characters, no markup, no formulas."""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime

# Blank though they count as letters, symbols or marks: joiners, fillers, Braille's blank, variation selectors
# (Unicode, DerivedCoreProperties: Default_Ignorable_Code_Point; U+2800 is only drawn so).
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_MATHS = re.compile(r"[$\\]")
_places: dict[str, str] = {}
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # the wide ones count in Japanese Excel


def show_as(address: str, word: str) -> None:
    """Let a word stand for an address in every text that is shown from here on.

    The sandbox's ports are other ones each time and mean nothing to a reader.
    """
    _places[address] = word


def visible(text: str) -> str:
    r"""Return the text with everything unseen, or that turns the direction of writing, shown as an escape such as `\u202e`.

    A word stands for each address that `show_as` was told of.
    """
    return characters(_with_places(text) if _places and ":" in text else text)


def _with_places(text: str) -> str:
    for address, word in _places.items():
        if address in text:
            text = re.sub(rf"{re.escape(address)}(?![0-9])", word, text)
    return text


def characters(text: str) -> str:
    """Return the text with its unseen characters as escapes, every address as it is: for a field whose text is sent back."""
    if text.isprintable() and (text.isascii() or not _BLANK.search(text)):  # as nearly every text is
        return text
    return "".join(char if _is_seen(char) else char.encode("unicode_escape").decode() for char in text)


def _is_seen(char: str) -> bool:
    return (char.isprintable() or unicodedata.category(char) == "Zs") and not _BLANK.match(char)


def cut(text: str, limit: int) -> str:
    """Return the text, cut after a word and marked with an ellipsis where it is longer than so many characters."""
    if len(text) <= limit:
        return text
    return f"{text[: max(1, limit - 2)].rsplit(' ', 1)[0]} \u2026"


def moment(time: datetime) -> str:
    """Return a time for a person, with its zone: `28 November 2026, 11:50:43 UTC`."""
    return f"{time.astimezone(UTC):%d %B %Y, %H:%M:%S} UTC".removeprefix("0")


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
