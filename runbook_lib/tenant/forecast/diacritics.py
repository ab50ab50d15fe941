"""The table of NormalizeDiacritics. Source: entra-docs, functions-for-customizing-application-data, NormalizeDiacritics.

It is a fixed list and no Unicode rule: a letter outside it stays (azure-docs issue 106226 on Vietnamese letters), a-umlaut
becomes a and not ae, o with a stroke becomes oe.
"""

from __future__ import annotations

import unicodedata

from runbook_lib.tenant.forecast.expressions import CannotTell

_LISTED = {  # by plain letters what becomes them; capitals follow by changing the case of both
    "a": "ä à â ã å á ą ă ā ā́ ā̀ ā̂ ā̃ ǟ ā̈ ǡ a̱ å̄",
    "ae": "æ ǣ",
    "c": "ç č ć c̄ c̱",
    "d": "ď d̄ ḏ",
    "e": "ë è é ê ę ě ė ē ḗ ḕ ē̂ ē̃ ê̄ e̱ ë̄ e̊̄",
    "g": "ğ ḡ g̱",
    "i": "ï î ì í ī ī́ ī̀ ī̂ ī̃ i̱",
    "l": "ľ ł l̄ ḹ ḻ",
    "n": "ñ ń ň n̄ ṉ",
    "o": "ö ò ő õ ô ó ō ṓ ṑ ō̂ ō̃ ȫ ō̈ ǭ ȭ ȱ o̱",
    "oe": "ø ø̄ œ̄",
    "r": "ř r̄ ṟ ṝ",
    "s": "š ś ș ş s̄ s̱",
    "t": "ť ț t̄ ṯ",
    "u": "ü ù û ú ů ű ū ū́ ū̀ ū̂ ū̃ u̇̄ ǖ ṻ ṳ̄ u̱",
    "y": "ÿ ý ȳ ȳ́ ȳ̀ ȳ̃ y̱",
    "z": "ź ž ż z̄ ẕ",
}
_TABLE = {unicodedata.normalize("NFC", letter): plain for plain, letters in _LISTED.items() for letter in letters.split()}
_TABLE |= {letter.upper(): plain.upper() for letter, plain in _TABLE.items()}
_TABLE |= {"ß": "ss", "ı": "i", "İ": "I"}


def normalized(text: str) -> str:
    """Return `text` with the listed letters made plain. Raises `CannotTell` for an accent that stands apart and is not listed."""
    found = []
    for cluster in _clusters(unicodedata.normalize("NFC", text)):
        if len(cluster) > 1 and cluster not in _TABLE:
            raise CannotTell(f"{cluster!r} is not in the table of NormalizeDiacritics, and its accent stands apart")
        found.append(_TABLE.get(cluster, cluster))
    return "".join(found)


def _clusters(text: str) -> list[str]:
    """Return each letter with the accents that follow it."""
    found: list[str] = []
    for letter in text:
        if found and unicodedata.combining(letter):
            found[-1] += letter
        else:
            found.append(letter)
    return found
