"""Text that is not Unicode, as spreadsheets write plain CSV: read where one encoding makes words of it, else not at all.

Excel writes Windows code page 1252 in Western Europe and America, Mac Roman as "CSV (Macintosh)" and on older Macs, and code page
850 as "CSV (MS-DOS)". All other code pages have letters at the same places. So each word of the text must be one that a language
of the encoding could have. Two readings that both could be are none: a wrong name would be written into a customer's tenant.
"""

from __future__ import annotations

import re

# The letters beyond ASCII of each language. Icelandic is left out: three of its letters stand where Turkish ones do elsewhere.
_ALPHABETS = tuple(
    frozenset(letters)
    for letters in (
        "äöüß",  # German
        "àâæçèéêëîïôœùûü",  # French
        "áéíóúüñ",  # Spanish
        "áàâãçéêíóôõú",  # Portuguese
        "àèéìíòóùú",  # Italian
        "åäöæøé",  # Danish, Finnish, Norwegian, Swedish
        "áéëèïíóöü",  # Dutch
        "àçèéíïòóúü",  # Catalan
    )
)
_WORD = re.compile(r"[^\x00-\x40\x5b-\x60\x7b-\x7f]+")  # letters of ASCII, and all beyond it
_BEFORE = "\u2018\u201a\u201c\u201e\u00ab\u2039"  # opening quotes
_BEHIND = "\u2018\u2019\u201c\u201d\u00bb\u203a" + "\u2122\u00ae\u00a9\u00aa\u00ba\u20ac"  # closing quotes, ™®©ªº€
_ALONE = _BEFORE + _BEHIND + "\u2013\u2014\u2022\u00b7\u00a0\u00a7\u00b0"
# What no word has: these letters at the beginning of more letters, and these two where others follow than in `cœur`, `põe`.
_UNHEARD_OF = re.compile(r"^[àâãçëìïñòù].|[œŒ](?![uU])|[õÕ](?![eE])")
_APOSTROPHE = "\u2019"


def decoded(octets: bytes) -> str | None:
    """Return the text that octets can only mean, None when no encoding or more than one makes sense.

    Line ends of old Macs (a carriage return alone) are written with Mac Roman only.
    """
    if b"\r" in octets and b"\n" not in octets:
        return _sensible(octets, "mac_roman")
    found = {name: text for name in ("cp1252", "mac_roman") if (text := _sensible(octets, name)) is not None}
    if not found and (dos := _sensible(octets, "cp850")) is not None:
        return dos
    texts = set(found.values())
    return texts.pop() if len(texts) == 1 and not ("mac_roman" in found and _sensible(octets, "cp850")) else None


def misread(text: str) -> str:
    """Return what a text was before a program read its UTF-8 as code page 1252 or Mac Roman; empty for a text that is whole."""
    for encoding in ("cp1252", "mac_roman"):
        try:
            before = text.encode(encoding).decode()
        except UnicodeError:
            continue
        if before != text:
            return before
    return ""


def _sensible(octets: bytes, encoding: str) -> str | None:
    try:
        text = octets.decode(encoding)
    except UnicodeDecodeError:
        return None
    return text if all(map(_is_word, _WORD.findall(text))) else None


def _is_word(word: str) -> bool:
    """Whether a run of letters and signs is a word of a language, mostly of ASCII, with signs only where they are written."""
    if word.isascii() or all(sign in _ALONE for sign in word):
        return True
    parts = word.lstrip(_BEFORE).rstrip(_BEHIND).split(_APOSTROPHE)
    return all(map(_is_of_a_language, parts))


def _is_of_a_language(word: str) -> bool:
    own = {letter.lower() for letter in word if not letter.isascii()}
    if not own or word.lower() in ("à", "è", "é", "ó", "ú"):
        return bool(word)
    is_known = any(own <= alphabet for alphabet in _ALPHABETS)
    is_mostly_ascii = 2 * sum(letter.isascii() for letter in word) >= len(word)
    return is_known and is_mostly_ascii and not (_UNHEARD_OF.search(word) or _is_of_mixed_case(word))


def _is_of_mixed_case(word: str) -> bool:
    """Whether a letter beyond ASCII breaks the case of its word: `CafÄ`, `SÆo`, `OíBrien`."""
    for before, letter, after in zip(" " + word[:-1], word, word[1:] + " ", strict=True):
        is_inner_capital = letter.isupper() and (before.islower() or (before.isupper() and after.islower()))
        if not letter.isascii() and (is_inner_capital or (letter.islower() and after.isupper())):
            return True
    return False
