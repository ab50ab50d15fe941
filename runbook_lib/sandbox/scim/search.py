"""Which users a SCIM filter finds: through the connection's mapping, by the switch `scim_search`."""

from __future__ import annotations

from typing import Any

from runbook_lib.sandbox.auth0.users import CASE_BLIND, SEARCHABLE
from runbook_lib.sandbox.scim import filter as scim_filter
from runbook_lib.sandbox.scim.filter import Term
from runbook_lib.sandbox.scim.resource import attribute, scim_value
from runbook_lib.sandbox.world import Document, World


def found_users(world: World, connection: str, mapping: list[Document], text: str) -> list[Document]:
    """Return the users of a connection that a filter finds, oldest first; all of them without one. Raises `ValueError`."""
    terms = scim_filter.parse(text) if text else [[]]
    rows = {row["scim"].lower(): row for row in mapping}
    found: dict[str, Document] = {}
    for group in terms:
        for user in _candidates(world, connection, rows, group):
            is_here = any(identity["connection"] == connection for identity in user.get("identities", []))
            if is_here and all(_holds(world, user, rows.get(attribute(term.path).lower()), term) for term in group):
                found[user["user_id"]] = user
    if len(terms) == 1:
        return list(found.values())
    return [user for user in world.auth0.users.holding("identities.connection", [connection]) if user["user_id"] in found]


def _candidates(world: World, connection: str, rows: dict[str, Document], group: list[Term]) -> list[Document]:
    """Return who may hold all of a group's terms, by the index of the first that has one: of a boolean all are."""
    for term in group:
        row = rows.get(attribute(term.path).lower())
        if row is None:
            return []
        if row["auth0"] != "blocked":
            return world.auth0.users.holding(row["auth0"], [term.value])
    return world.auth0.users.holding("identities.connection", [connection])


def _holds(world: World, user: Document, row: Document | None, term: Term) -> bool:
    if row is None:
        return False
    value = scim_value(user, row)
    if isinstance(value, bool):
        return str(value).lower() == term.value.lower()
    reading = world.switches["scim_search"]
    if reading == "listed_only" and row["auth0"].partition(".")[0] not in SEARCHABLE:
        return False
    is_blind = reading == "case_blind" or (reading == "listed_only" and row["auth0"] in CASE_BLIND)
    return value is not None and _text(value, is_blind=is_blind) == _text(term.value, is_blind=is_blind)


def _text(value: Any, *, is_blind: bool) -> str:
    return str(value).lower() if is_blind else str(value)
