"""SCIM filters with `eq`, `and`, `or`: what Auth0 documents for users (configure-inbound-scim)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_TOKEN = re.compile(r'\s*(?:(?P<path>[A-Za-z][\w.:$-]*(?:\[[^\]]*\](?:\.\w+)?)?)|(?P<text>"(?:[^"\\]|\\.)*"))')

Test = Callable[[Callable[[str], Any]], bool]


def parse(text: str) -> Test:
    """Return a test of a value look-up by SCIM path. Raises `ValueError` for anything but eq, and, or."""
    words = _words(text)
    terms: list[list[tuple[str, str]]] = [[]]
    while words:
        if len(words) < 3 or words[1].lower() != "eq":
            raise ValueError(f"unsupported filter: {text}")
        terms[-1].append((words[0], _value(words[2])))
        words = words[3:]
        if words:
            joiner = words.pop(0).lower()
            if joiner == "or":
                terms.append([])
            elif joiner != "and":
                raise ValueError(f"unsupported filter: {text}")
    if not terms[0]:
        raise ValueError("empty filter")
    return lambda look_up: any(all(_equal(look_up(path), value) for path, value in term) for term in terms)


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


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    return value is not None and str(value).lower() == wanted.lower()  # case-insensitive, as RFC 7643's userName
