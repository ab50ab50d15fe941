"""Whether a request's body and query are what Auth0's Management API description allows, and Auth0's words when they are not.

The rules are JSON Schemas (`rules.py`, `option_rules.py`); jsonschema checks them. The words of a refusal are those of z-schema,
which the recorded errors of Auth0 have ("Expected type …", "No enum match for: …"). Unverified: which of several is named first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from runbook_lib.sandbox.auth0.errors import error
from runbook_lib.sandbox.auth0.json_schema import Draft202012Validator, FormatChecker, ValidationError, best_match
from runbook_lib.sandbox.exchange import Answer, Call

Schema = dict[str, Any]
CURSOR = re.compile(r"[0-9]{1,9}")


def _is_email(value: object) -> bool:
    """Local part of at most 64 characters, whole of at most 254 (user-profile-structure page)."""
    if not isinstance(value, str):
        return True
    local, at, domain = value.rpartition("@")
    return bool(at and local and domain) and len(local) <= 64 and len(value) <= 254 and not re.search(r"[\s@]", local + domain)


def _is_address(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]+[^\s]*", value) is not None


def _is_client_id(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[\w-]{1,64}", value, re.ASCII) is not None


_FORMATS = FormatChecker(())
for _name, _check in (("email", _is_email), ("strict-uri", _is_address), ("client-id", _is_client_id)):
    _FORMATS.checks(_name)(_check)


class Body:
    """The rule of one operation's body. `is_required`: an empty body is refused too."""

    def __init__(self, schema: Schema, *, is_required: bool = True) -> None:
        self._validator = Draft202012Validator(schema, format_checker=_FORMATS)
        self._is_required = is_required

    def refusal(self, call: Call) -> Answer | None:
        """Return Auth0's 400 for a body outside the description, or None."""
        if not call.body.strip() and not self._is_required:
            return None
        found = best_match(self._validator.iter_errors(call.json()))
        return None if found is None else error(400, f"Payload validation error: {_said(found)}.", "invalid_body")


class Query:
    """The rule of one operation's query: each argument has a schema of strings, integers or booleans; others are refused."""

    def __init__(self, properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> None:
        self._types = {name: schema.get("type") for name, schema in properties.items()}
        closed = {"type": "object", "additionalProperties": False, "properties": dict(properties), "required": list(required)}
        self._validator = Draft202012Validator(closed, format_checker=_FORMATS)

    def refusal(self, call: Call) -> Answer | None:
        """Return Auth0's 400 for a query outside the description, or None."""
        arguments = call.arguments()
        if not arguments and not self._validator.schema["required"]:
            return None
        values = {name: self._read(name, texts) for name, texts in arguments.items()}
        found = best_match(self._validator.iter_errors(values))
        if found is not None:
            return error(400, f"Query validation error: {_said(found)}.", "invalid_query_string")
        if (cursor := call.argument("from")) is not None and "log" not in call.path and not CURSOR.fullmatch(cursor):
            return error(400, "Invalid pagination cursor.", "invalid_query_string")  # the code: Unverified
        return None

    def _read(self, name: str, texts: list[str]) -> Any:
        """Return an argument as its type; what is not of the type stays a text and is refused."""
        kind = self._types.get(name)
        if kind == "array":
            return texts
        text = texts[-1]
        if kind == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
            return int(text)
        return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _said(found: ValidationError) -> str:
    """Return the error in z-schema's words with the property it is about."""
    where = ".".join(str(part) for part in found.absolute_path)
    return f"'{_words(found)}'" + (f" on property {where}" if where else "")


# Of each JSON Schema keyword z-schema's words, made from the refused value, the keyword's own value and the schema.
_WORDS: dict[str, Callable[[Any, Any, Any], str]] = {
    "additionalProperties": lambda value, _, schema: (
        f"Additional properties not allowed: {', '.join(sorted(set(value) - set(schema.get('properties', {}))))}"
    ),
    "required": lambda value, names, _: f"Missing required property: {next(name for name in names if name not in value)}",
    "type": lambda value, kinds, _: (
        f"Expected type {' or '.join(kinds) if isinstance(kinds, list) else kinds} but found type {_type(value)}"
    ),
    "enum": lambda value, *_: f"No enum match for: {_shown(value)}",
    "maxLength": lambda value, limit, _: f"String is too long ({len(value)} chars), maximum {limit}",
    "minLength": lambda value, limit, _: f"String is too short ({len(value)} chars), minimum {limit}",
    "maxItems": lambda value, limit, _: f"Array is too long ({len(value)}), maximum {limit}",
    "minItems": lambda value, limit, _: f"Array is too short ({len(value)}), minimum {limit}",
    "maxProperties": lambda value, limit, _: f"Too many properties defined ({len(value)}), maximum {limit}",
    "minProperties": lambda value, limit, _: f"Too few properties defined ({len(value)}), minimum {limit}",
    "maximum": lambda value, limit, _: f"Value {value} is greater than maximum {limit}",
    "minimum": lambda value, limit, _: f"Value {value} is less than minimum {limit}",
    "exclusiveMinimum": lambda value, limit, _: f"Value {value} is equal or less than exclusive minimum {limit}",
    "pattern": lambda value, pattern, _: f"String does not match pattern {pattern}: {_shown(value)}",
    "format": lambda value, name, _: f"Object didn't pass validation for format {name}: {_shown(value)}",
    "oneOf": lambda *_: "Data does not match any schemas from 'oneOf'",
}


def _words(found: ValidationError) -> str:
    return _WORDS[str(found.validator)](found.instance, found.validator_value, found.schema)


def _shown(value: Any) -> str:
    """Return a refused value, shortened: an answer is no place for kilobytes of it."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    kinds = {type(None): "null", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds[type(value)]
