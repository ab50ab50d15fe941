"""OData as Graph takes it: `$filter`, `$search`, `$orderby`, `$select`, `$top`, `$count` and pages; anything else is refused."""

from __future__ import annotations

import base64
import binascii
import copy
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.errors import bad, not_simulated
from runbook_lib.sandbox.graph.kinds import Kind
from runbook_lib.sandbox.world import Document

LISTING = ("$filter", "$select", "$top", "$count", "$skiptoken", "$search", "$orderby")
METADATA = "https://graph.microsoft.com/v1.0/$metadata#"
PAGE_SIZE = 100  # the directory's default; users and groups pages
LARGEST_PAGE = 999
LONGEST_IN = 15  # "Too many child clauses", recorded 2019
_UNSUPPORTED = "Request_UnsupportedQuery"
_PATH = r"\w+(?:/\w+)*"
_LITERAL = r"'(?:[^']|'')*'|true|false|null|[\w:.+-]+"
_COMPARISON = re.compile(rf"^({_PATH}) (eq|ne|gt|ge|lt|le) ({_LITERAL})$")
_STARTS = re.compile(rf"^startswith\( ?({_PATH}) ?, ?('(?:[^']|'')*') ?\)$", re.IGNORECASE)
_IN = re.compile(rf"^({_PATH}) in \( ?((?:{_LITERAL})(?: ?, ?(?:{_LITERAL}))*) ?\)$")
_BARE = re.compile(r"^([0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\d{4}-\d\d-\d\d[T\d:.Z+-]*)$")  # GUIDs and times stand without quotes
_OUTSIDE_QUOTES = r"(?=(?:[^']*'[^']*')*[^']*$)"
_SEARCH_TERM = re.compile(r'^"(?:(\w+):)?([^"]+)"$')

Test = Callable[[Document], bool]


def context(path: str, call: Call | None = None, *, single: bool = False) -> str:
    """Return the `@odata.context` of an answer: set, selected properties, and whether it is one entity."""
    selection = (call.argument("$select") or "") if call is not None else ""
    return f"{METADATA}{path}{f'({selection})' if selection else ''}{'/$entity' if single else ''}"


# Filters -------------------------------------------------------------------------------------------------------------


def matching(kind: Kind, text: str | None) -> Test:
    """Return the test of a filter of `eq`, `in`, `startswith`, `gt` and the like, joined by `and` and `or`. Raises `Refused`."""
    if text is None:
        return lambda _: True
    either = [[_clause(kind, part) for part in _split(branch, "and")] for branch in _split(text, "or")]
    if len(either) == 1 == len(either[0]):
        return either[0][0]  # as most are: asked of ten thousand users, each call counts
    return lambda document: any(all(test(document) for test in branch) for branch in either)


def _split(text: str, word: str) -> list[str]:
    return [part.strip() for part in re.split(rf" {word} {_OUTSIDE_QUOTES}", text)]


def _clause(kind: Kind, text: str) -> Test:
    if match := _COMPARISON.match(text):
        return _comparison(kind, *match.groups())
    if match := _STARTS.match(text):
        path = match[1]
        prefix = str(_folded(kind, path, _literal(kind, path, match[2])))
        return lambda document: str(_folded(kind, path, _value(document, path)) or "").startswith(prefix)
    if match := _IN.match(text):
        path = match[1]
        wanted = [_folded(kind, path, _literal(kind, path, item)) for item in re.findall(_LITERAL, match[2])]
        if len(wanted) > LONGEST_IN:
            words = "Too many child clauses specified in search filter expression containing 'OR' operators"
            raise bad(f"{words}: {len(wanted)}. Max allowed: {LONGEST_IN}.", _UNSUPPORTED)
        among = frozenset(wanted)
        return lambda document: _folded(kind, path, _value(document, path)) in among
    if re.match(r"^(not\b|endswith\(|\(|.*/(any|all)\()", text):
        raise not_simulated(f"the filter {text}")
    raise bad("Invalid filter clause", "BadRequest")


def _comparison(kind: Kind, path: str, operator: str, literal: str) -> Test:
    wanted = _folded(kind, path, _literal(kind, path, literal))
    if operator == "eq":
        return lambda document: bool(_folded(kind, path, _value(document, path)) == wanted)
    if operator == "ne" or path != "activityDateTime":
        raise not_simulated(f"the operator {operator} on {path}")
    compare: dict[str, Callable[[str, str], bool]] = {
        "gt": lambda a, b: a > b,
        "ge": lambda a, b: a >= b,
        "lt": lambda a, b: a < b,
        "le": lambda a, b: a <= b,
    }
    return lambda document: compare[operator](str(_value(document, path)), str(wanted))


def _literal(kind: Kind, path: str, text: str) -> Any:
    """Return the value of a literal, checked against the property. Raises `Refused` for an unknown or unfilterable property."""
    name = path.split("/", 1)[0]
    if name not in kind.properties:
        words = f"Could not find a property named '{name}' on type 'microsoft.graph.{kind.name}'."
        raise bad(f"Invalid filter clause: {words}", "BadRequest")
    if path not in kind.filterable:
        words = f"Unsupported or invalid query filter clause specified for property '{path}' of resource"
        raise bad(f"{words} '{kind.name[:1].upper()}{kind.name[1:]}'.", _UNSUPPORTED)
    if text == "null":
        return None
    is_boolean, is_text = text in ("true", "false"), text.startswith("'") or _BARE.match(text) is not None
    if not (is_boolean if path in kind.booleans else is_text):
        words = "A binary operator with incompatible types was detected."
        raise bad(f"Invalid filter clause: {words}", "BadRequest")
    if is_boolean:
        return text == "true"
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _value(document: Document, path: str) -> Any:
    if "/" not in path:
        return document.get(path)
    value: Any = document
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _folded(kind: Kind, path: str, value: Any) -> Any:
    if not isinstance(value, str) or (kind.compares_case and path not in kind.caseless):
        return value
    return value.lower()


# Search and order ----------------------------------------------------------------------------------------------------


def is_advanced(call: Call) -> bool:
    """Whether the caller asked for an advanced query (Graph aad-advanced-queries page)."""
    return call.headers.get("consistencylevel", "").lower() == "eventual"


def _searching(kind: Kind, call: Call) -> Test:
    text = call.argument("$search")
    if text is None:
        return lambda _: True
    if not is_advanced(call):
        words = "Request with $search query parameter only works through MSGraph with a special request header"
        raise bad(f"{words}: 'ConsistencyLevel: eventual'", _UNSUPPORTED)
    either = [[_term(kind, term.strip()) for term in re.split(r" AND ", branch)] for branch in re.split(r" OR ", text)]
    return lambda document: any(all(test(document) for test in branch) for branch in either)


def _term(kind: Kind, text: str) -> Test:
    """Return the test of one `"property:value"`: words of the name, beginnings of anything else (search-query-parameter page)."""
    match = _SEARCH_TERM.match(text)
    if match is None or match[1] is None or match[1] not in kind.searchable:
        raise bad(f"Unrecognized query argument specified: '{text}'.", _UNSUPPORTED)
    name, wanted = match[1], match[2].strip().lower()

    def found(document: Document) -> bool:
        value = document.get(name)
        texts = [str(item).lower() for item in (value if isinstance(value, list) else [value or ""])]
        if name not in ("displayName", "description"):
            return any(item.startswith(wanted) for item in texts)
        tokens = re.findall(r"[^\W_]+", texts[0])
        return all(any(token.startswith(word) for token in tokens) for word in re.findall(r"[^\W_]+", wanted))

    return found


def _ordered(kind: Kind, call: Call, found: list[Document]) -> list[Document]:
    text = call.argument("$orderby")
    if text is None:
        return found
    name, _, direction = text.partition(" ")
    if kind.entity_set not in ("users", "groups") or name not in ("displayName", "userPrincipalName"):
        raise not_simulated(f"the order {text} of {kind.entity_set}")
    if name not in kind.properties or direction.lower() not in ("", "asc", "desc"):
        raise bad("Invalid $orderby clause", "BadRequest")
    if (call.argument("$filter") or call.argument("$search")) and not is_advanced(call):
        raise bad("Sorting not supported for current query.", _UNSUPPORTED)
    return sorted(found, key=lambda document: str(document.get(name) or "").lower(), reverse=direction.lower() == "desc")


# Answers -------------------------------------------------------------------------------------------------------------


def chosen(kind: Kind, call: Call) -> Callable[[Document], Document]:
    """Return what copies a document with the properties that `$select` names, or the usual ones. Raises `Refused`."""
    text = call.argument("$select")
    if not text:
        names = kind.usual
    else:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        for name in names:
            if not kind.selects(name):
                words = f"Could not find a property named '{name}' on type 'microsoft.graph.{kind.name}'."
                raise bad(f"Parsing OData Select and Expand failed: {words}", "BadRequest")
    if not names:
        return lambda document: {
            key: copy.deepcopy(value) for key, value in document.items() if key in kind.properties or key == "@odata.type"
        }

    def copied(document: Document) -> Document:
        kept = {key: document[key] for key in ("@odata.type",) if key in document}
        missing: Document = {name: [] if name in kind.collections else None for name in names if name in kind.properties}
        return copy.deepcopy({**kept, **missing, **{name: document[name] for name in names if name in document}})

    return copied


def listing(kind: Kind, call: Call, found: Iterable[Document], *, path: str = "", page_size: int = PAGE_SIZE) -> Answer:
    """Answer a page of a list. The next link repeats the query, with a token that names the last item. Raises `Refused`."""
    test, searched, copied = matching(kind, call.argument("$filter")), _searching(kind, call), chosen(kind, call)
    items = _ordered(kind, call, [document for document in found if test(document) and searched(document)])
    size, start = _page_size(call, page_size), _start(call, items)
    content: Document = {"@odata.context": context(path or kind.entity_set, call)}
    if call.argument("$count") is not None:
        if call.argument("$count") != "true" or not is_advanced(call):
            raise not_simulated("$count without the value true and the header ConsistencyLevel: eventual")
        content["@odata.count"] = len(items)
    if start + size < len(items):
        rest = [(name, value) for name, value in parse_qsl(call.query, keep_blank_values=True) if name != "$skiptoken"]
        query = urlencode([*rest, ("$skiptoken", _token(items[start + size - 1]["id"]))], safe="$")
        content["@odata.nextLink"] = f"{call.origin}{call.path}?{query}"
    content["value"] = [copied(document) for document in items[start : start + size]]
    return Answer(200, content)


def one(kind: Kind, call: Call, document: Document, *, path: str = "") -> Answer:
    """Answer one entity. Raises `Refused`."""
    return Answer(200, {"@odata.context": context(path or kind.entity_set, call, single=True), **chosen(kind, call)(document)})


def _page_size(call: Call, usual: int) -> int:
    text = call.argument("$top")
    if text is None:
        return usual
    if not re.fullmatch(r"-?\d{1,9}", text):
        raise bad(f"Invalid value '{text}' for $top query option found.", "BadRequest")
    if not 1 <= int(text) <= LARGEST_PAGE:
        raise bad(f"Invalid page size specified: '{text}'. Must be between 1 and {LARGEST_PAGE} inclusive.", _UNSUPPORTED)
    return int(text)


def _token(object_id: str) -> str:
    return base64.urlsafe_b64encode(f"after {object_id}".encode()).rstrip(b"=").decode()


def _start(call: Call, items: list[Document]) -> int:
    """Return where a page starts. Unverified: a token whose item is gone is answered as an expired one."""
    text = call.argument("$skiptoken")
    if text is None:
        return 0
    expired = bad(
        "The specified page token value has expired and can no longer be included in your request.", "Directory_ExpiredPageToken"
    )
    try:
        last = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().removeprefix("after ")
    except (binascii.Error, ValueError):
        raise expired from None
    place = next((number for number, document in enumerate(items, start=1) if document["id"] == last), None)
    if place is None:
        raise expired
    return place
