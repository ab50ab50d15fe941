"""`$batch`: up to 20 requests in one. Source: Graph json-batching page."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import unquote, urlsplit

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import V1, content, parsed, route
from runbook_lib.sandbox.graph.errors import bad, error
from runbook_lib.sandbox.world import Document, EntraTenant, World

LIMIT = 20
_KEYS = frozenset(("id", "method", "url", "headers", "body", "dependsOn"))
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@route("POST", "/$batch", query=(), holds_the_world=False)
def batch(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Answer each item through the same door as if it came alone.

    The page allows any order of answers; here those that failed come last, so that a client that reads them by place fails.
    """
    items = _items(_requests(call))
    answers: dict[str, Document] = {}
    for item in items:
        failed = [other for other in item.get("dependsOn", []) if answers[other]["status"] >= 400]
        answers[item["id"]] = _failed_dependency(world, item) if failed else _answered(world, call, item)
    return Answer(200, {"responses": sorted(answers.values(), key=lambda answer: bool(answer["status"] >= 400))})


def _requests(call: Call) -> Any:
    """Return the requests as they came: annotations inside an item's body are the item's own."""
    content(call, ("requests",), ("requests",))
    return parsed(call, annotated=True)["requests"]


def _items(found: Any) -> list[Document]:
    """Return the items. Raises `Refused` for the whole batch: for a duplicate id that is documented; Unverified: the texts."""
    if not isinstance(found, list) or not found or not all(isinstance(item, dict) for item in found):
        raise bad("Invalid batch payload format.", "BadRequest")
    if len(found) > LIMIT:
        raise bad(f"Number of batch request steps exceeds the maximum value of {LIMIT}.", "BadRequest")
    known: set[str] = set()
    for item in found:
        if set(item) - _KEYS or item.get("method") not in _METHODS or not isinstance(item.get("url"), str):
            raise bad("Invalid batch payload format.", "BadRequest")
        if not isinstance(item.get("id"), str) or not item["id"]:
            raise bad("Invalid batch payload format.", "BadRequest")
        if not isinstance(item.get("dependsOn", []), list) or not isinstance(item.get("headers"), dict | None):
            raise bad("Invalid batch payload format.", "BadRequest")
        if item["id"] in known:
            raise bad(f"Request Id values must be unique within a batch. Duplicate Id: {item['id']}.", "BadRequest")
        if unknown := [other for other in item.get("dependsOn", []) if other not in known]:
            raise bad(f"The request {item['id']} depends on {unknown[0]}, which does not come before it.", "BadRequest")
        known.add(item["id"])
    return found


def _failed_dependency(world: World, item: Document) -> Document:
    made = error(world, 424, "FailedDependency", "The dependent request failed.")
    return {"id": item["id"], "status": 424, "headers": {"Content-Type": "application/json"}, "body": made.body}


def _answered(world: World, call: Call, item: Document) -> Document:
    """Return the answer to one item. Its url is relative to /v1.0; it runs with the token of the batch."""
    assert world.dispatch is not None  # noqa: S101 - a Simulation sets it
    try:
        target = urlsplit(item["url"])
    except ValueError:  # as with "//["
        made = error(world, 400, "BadRequest", "Invalid batch payload format.")
        return {"id": item["id"], "status": 400, "headers": {"Content-Type": "application/json"}, "body": made.body}
    headers = {name.lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    payload = item.get("body")
    inner = Call(
        "graph",
        item["method"],
        f"{V1}/{unquote(target.path).lstrip('/')}",
        target.query,
        {**headers, "authorization": call.headers.get("authorization", "")},
        b"" if payload is None else json.dumps(payload).encode(),
        call.origin,
        batch=call.number,
    )
    if target.scheme or target.netloc or inner.path == f"{V1}/$batch":
        made = error(world, 400, "BadRequest", "Invalid batch payload format.")
        return {"id": item["id"], "status": 400, "headers": {"Content-Type": "application/json"}, "body": made.body}
    answer = world.dispatch(inner)
    kept = {name: value for name, value in answer.headers.items() if name not in ("request-id", "client-request-id")}
    found: Document = {"id": item["id"], "status": answer.status, "headers": kept}
    if answer.body is not None:
        found["headers"] = {"Content-Type": "application/json", **kept}
        found["body"] = copy.deepcopy(answer.body)
    return found
