"""SCIM filters with `eq`, `and`, `or`: what Auth0 documents for users (configure-inbound-scim)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r'\s*(?:(?P<path>[A-Za-z][\w.:$-]*(?:\[[^\]]*\](?:\.\w+)?)?)|(?P<text>"(?:[^"\\]|\\.)*"))')


@dataclass(frozen=True)
class Term:
    """`path eq value`."""

    path: str
    value: str


def parse(text: str) -> list[list[Term]]:
    """Return the terms: of a list each must hold, of the lists one. Raises `ValueError` for anything but eq, and, or."""
    words = _words(text)
    terms: list[list[Term]] = [[]]
    while words:
        if len(words) < 3 or words[1].lower() != "eq":
            raise ValueError(f"unsupported filter: {text}")
        terms[-1].append(Term(words[0], _value(words[2])))
        words = words[3:]
        if words:
            joiner = words.pop(0).lower()
            if joiner == "or":
                terms.append([])
            elif joiner != "and" or not words:
                raise ValueError(f"unsupported filter: {text}")
    if not all(terms):  # nothing before or after an `or` would be true of everybody
        raise ValueError(f"unsupported filter: {text}")
    return terms


def _words(text: str) -> list[str]:
    words, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unsupported filter: {text}")
        words.append(match.group().strip())
        position = match.end()
    return words


def _value(word: str) -> str:
    return word[1:-1].replace('\\"', '"').replace("\\\\", "\\") if word.startswith('"') else word
