"""Responses in which everything that names a person, a tenant or a secret is redacted. Keys and the services' words stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORDS = frozenset(  # members whose texts are the services' own words
    "schemas status detail scimtype error code message reason errorcode errormessage result name description statusinfo "
    "skipreason isactive type evaluationsucceeded parsingsucceeded".split()
)
_SIGNS = (
    (re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"), "<guid>"),
    (re.compile(r"[^\s@<>\"'|(),;:]+@[^\s@<>\"'|(),;:]+"), "<mail>"),
    (re.compile(r"\b(?:con|tok)_[A-Za-z0-9]+(?:\.[A-Za-z0-9_-]+)?"), "<id>"),
    (re.compile(r"https?://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"eyJ[\w.-]{20,}"), "<token>"),
    (re.compile(r"[A-Za-z0-9_~.-]{32,}"), "<long text>"),
)


def redacted(value: Any, names: tuple[str, ...] = (), key: str = "") -> Any:
    """Return a JSON value of the same shape. `names` are further texts to leave out, such as a person's display name."""
    if isinstance(value, Mapping):
        return {_text(str(member), names): redacted(item, names, str(member).lower()) for member, item in value.items()}
    if isinstance(value, list):
        return [redacted(item, names, key) for item in value]
    if isinstance(value, str):
        shown = _text(value, names)
        return shown if key in _WORDS or shown.startswith("<") or not value else f"<text of {len(value)}>"
    return value


def _text(text: str, names: tuple[str, ...]) -> str:
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(re.escape(name), "<name>", text, flags=re.IGNORECASE)
    for sign, shown in _SIGNS:
        text = sign.sub(shown, text)
    return text
