"""The tenant log: searched by type and connection, or read on from a row."""

from __future__ import annotations

import copy
import re
from typing import Any

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.door import chosen, needs, paged
from runbook_lib.sandbox.auth0.errors import error
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import Document, World

_SORTABLE = (
    "date|connection|client_id|client_name|ip|user_id|user_name|description|user_agent|type|details|strategy|strategy_type"
)
_LOG_LIMIT = 1000


def _log_value(row: Document, name: str) -> Any:
    return row["type"] if name == "type" else row["details"].get("connection_id")


@needs("GET", "/api/v2/logs", "read:logs", "read:logs_users", query=rules.LOGS)
def list_logs(world: World, call: Call) -> Answer:
    """Answer log rows: newest first with `q` or `search`, or oldest first after `from`.

    A query is `field:value` terms joined by OR, groups of these by AND (log-search-query-syntax page); only type and
    connection_id are known here. A search ends at 1,000 rows; a checkpoint read ignores the query (docs-v2,
    retrieve-log-events-using-mgmt-api). `sort` takes the names that the API description lists; only date is known here.
    """
    take = call.argument("take")
    if take is not None and not 1 <= int(take) <= 100:  # "up to 100": retrieve-log-events-using-mgmt-api
        about = f"Query validation error: 'Value {take} is not between 1 and 100' on property take."
        return error(400, about, "invalid_query_string")
    if (after := call.argument("from")) is not None:
        rows = world.auth0.logs
        start = next((n for n, row in enumerate(rows, start=1) if row["log_id"] == after), 0)
        return _rows(call, rows[start : start + int(take or 50)])
    order = call.argument("sort") or "date:-1"
    if not re.fullmatch(rf"({_SORTABLE}):(1|-1)", order):
        about = f"Query validation error: 'String does not match pattern: {order}' on property sort."
        return error(400, about, "invalid_query_string")
    if not order.startswith("date:"):
        return error(400, "The sandbox sorts log rows by date only", "invalid_query_string")
    found = list(world.auth0.logs) if order == "date:1" else list(reversed(world.auth0.logs))
    for group in filter(None, (call.argument("q") or call.argument("search") or "").split(" AND ")):
        terms = [term.strip().partition(":")[::2] for term in group.strip("() ").split(" OR ")]
        if any(name not in ("type", "connection_id") for name, _ in terms):
            return error(400, "The sandbox knows only type and connection_id in log queries", "invalid_query_string")
        found = [row for row in found if any(_log_value(row, name) == value.strip('"') for name, value in terms)]
    found = found[:_LOG_LIMIT]
    return _rows(call, found[: int(take)]) if take is not None else paged(call, "logs", found)


def _rows(call: Call, rows: list[Document]) -> Answer:
    return Answer(200, copy.deepcopy([chosen(call, row) for row in rows]))


@needs("GET", "/api/v2/logs/{id}", "read:logs", "read:logs_users")
def get_log(world: World, call: Call) -> Answer:
    """Answer one row."""
    row = next((row for row in world.auth0.logs if row["log_id"] == call.params["id"]), None)
    return error(404, "Log not found.", "inexistent_log") if row is None else Answer(200, copy.deepcopy(row))
