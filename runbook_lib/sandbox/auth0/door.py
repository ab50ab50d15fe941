"""What every Management API request passes: token, scopes, query, body; and how its lists are paged."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.checks import Body, Query
from runbook_lib.sandbox.auth0.errors import error
from runbook_lib.sandbox.exchange import Answer, Call, Handler, Router
from runbook_lib.sandbox.world import Document, World

router = Router()
PAGING_LIMIT = 1000
ADDRESS_LIMIT = 8192


def needs(
    method: str, template: str, *scopes: str, query: Query = rules.NOTHING, body: Body | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler that runs only with a valid token, one of the scopes, and a query and body as described."""

    def register(handler: Handler) -> Handler:
        def checked(world: World, call: Call) -> Answer:
            answer = _refused(world, call, scopes) or _malformed(call, query, body) or handler(world, call)
            if answer.status in (401, 414):
                return answer
            return replace(answer, headers={**answer.headers, **_rate_limit(world)})

        return router.on(method, template)(checked)

    return register


def _refused(world: World, call: Call, scopes: tuple[str, ...]) -> Answer | None:
    """Refuse an address that is too long, a token that is not valid, and one without the scopes.

    414 for a long query: the list-and-search-users page. Unverified: the length, here 8,192 characters of path and query.
    """
    if len(call.path) + len(call.query) > ADDRESS_LIMIT:
        return error(414, "Request-URI Too Long")
    grant = world.auth0.access_tokens.get(call.bearer() or "")
    if grant is None or grant["expires"] <= world.clock.timestamp():
        return error(401, "Invalid token", "invalid_token")
    if scopes and not set(scopes) & set(grant["scopes"]):
        return error(403, f"Insufficient scope, expected any of: {','.join(scopes)}", "insufficient_scope")
    return None


def _malformed(call: Call, query: Query, body: Body | None) -> Answer | None:
    if refused := query.refusal(call):
        return refused
    if beyond := _beyond_paging(call):
        return beyond
    try:
        call.json()
    except ValueError:
        return error(400, "Payload validation error: 'Expected JSON'.", "invalid_body")
    return body.refusal(call) if body else None


def _beyond_paging(call: Call) -> Answer | None:
    """Refuse offsets beyond the first 1,000 records, as Auth0 does whatever the list holds (support article on paging)."""
    page, size = call.argument("page"), call.argument("per_page")
    if page and (int(page) + 1) * int(size or 50) > PAGING_LIMIT and int(page) > 0:
        return error(400, f"Requesting page {page} exceeds the allowed maximum of {PAGING_LIMIT} records", "invalid_paging")
    return None


def _rate_limit(world: World) -> dict[str, str]:
    """Return the rate limit's headers, as with plenty left: `reset` is in unix seconds (docs-v2, rate-limit-use-cases)."""
    return {"x-ratelimit-limit": "50", "x-ratelimit-remaining": "49", "x-ratelimit-reset": str(int(world.clock.timestamp()) + 1)}


def scopes_of(world: World, call: Call) -> frozenset[str]:
    """Return the scopes of a call that has passed the door."""
    return frozenset(world.auth0.access_tokens[call.bearer() or ""]["scopes"])


def chosen(call: Call, document: Document) -> Document:
    """Return the fields that the call asks for, or all but those."""
    fields, keep = call.argument("fields"), call.argument("include_fields") != "false"
    return {key: value for key, value in document.items() if (key in fields.split(",")) == keep} if fields else document


def paged(call: Call, key: str, found: list[Document], default_size: int = 50) -> Answer:
    """Answer a list in one of three envelopes: a bare array, offsets with totals, or checkpoints. Copies only what it answers."""
    if call.argument("take") is not None or call.argument("from") is not None:
        return checkpoint(call, key, found)
    size, page = int(call.argument("per_page") or default_size), int(call.argument("page") or 0)
    part = _copied(call, found[page * size : (page + 1) * size])
    if call.argument("include_totals") == "true":
        counts = {"total": len(found), "start": page * size, "limit": size}
        return Answer(200, {**counts, **({"length": len(part)} if key in ("users", "logs") else {}), key: part})
    return Answer(200, part)


def checkpoint(call: Call, key: str, found: list[Document], default_size: int = 50) -> Answer:
    """Answer a part of a list and, when there is more, the cursor of the next. Unverified: the form of a cursor."""
    start, size = int(call.argument("from") or 0), int(call.argument("take") or default_size)
    body: dict[str, Any] = {key: _copied(call, found[start : start + size])}
    if start + size < len(found):
        body["next"] = str(start + size)
    return Answer(200, body)


def _copied(call: Call, part: list[Document]) -> list[Document]:
    return copy.deepcopy([chosen(call, entry) for entry in part])
