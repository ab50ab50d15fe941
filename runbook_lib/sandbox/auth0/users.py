"""Users of the Management API: search, by mail, by id. Mail addresses keep their case (user-profile-structure page)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0 import sessions as _sessions  # noqa: F401 - /users/{id} below would match its paths
from runbook_lib.sandbox.auth0.door import chosen, needs, paged
from runbook_lib.sandbox.auth0.errors import NO_USER, error
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.users import values_at
from runbook_lib.sandbox.world import Document, World

# Both lists: user-profile-structure and user-search-query-syntax pages.
CASE_BLIND = frozenset(("email", "name", "given_name", "family_name", "nickname"))
SEARCHABLE = CASE_BLIND | {
    "app_metadata",
    "blocked",
    "created_at",
    "email_verified",
    "identities",
    "last_ip",
    "last_login",
    "logins_count",
    "phone_number",
    "phone_verified",
    "updated_at",
    "user_id",
    "user_metadata",
    "username",
}
_ONE = r'[\w.]+:"(?:[^"\\]|\\.)*"'
_GROUP = re.compile(rf"\({_ONE}(?: OR {_ONE})*\)|{_ONE}")
_QUERY = re.compile(rf"(?:(?:{_GROUP.pattern})(?: AND (?:{_GROUP.pattern}))*)?")
_TERM = re.compile(r'([\w.]+):"((?:[^"\\]|\\.)*)"')
_SORT = re.compile(r"[\w.]+:(1|-1)")
Group = dict[str, set[str]]


@needs("GET", "/api/v2/users", "read:users", query=rules.USERS)
def list_users(world: World, call: Call) -> Answer:
    """Search users by `field:"value"` terms joined by AND, each alone or several in parentheses joined by OR.

    The service's other queries are refused loudly (user-search-query-syntax page). `connection` counts for search engine v1 only
    (API description), which the sandbox does not have.
    """
    query, sort = call.argument("q") or "", call.argument("sort")
    if not _QUERY.fullmatch(query):
        return error(400, 'The sandbox knows field:"value", AND, and (… OR …) in a query', "invalid_query_string")
    if call.argument("search_engine") in ("v1", "v2"):
        return error(400, "The sandbox knows search engine v3 only", "invalid_query_string")
    if sort is not None and not _SORT.fullmatch(sort):
        return error(400, f"Query validation error: 'String does not match pattern: {sort}' on property sort.", "invalid_sort")
    found = search(world, [_wanted(group) for group in _GROUP.findall(query)])
    return paged(call, "users", _sorted(found, sort))


def search(world: World, groups: list[Group]) -> list[Document]:
    """Return the users that hold, for each group, one of its values at one of its paths, oldest first."""
    if not groups:
        return world.auth0.users.everyone()
    narrowest = min(groups, key=lambda group: ("identities.connection" in group, len(group)))
    candidates: dict[str, Document] = {}
    for path, values in narrowest.items():
        candidates |= {user["user_id"]: user for user in world.auth0.users.holding(path, values)}
    tests = [_tests(world, group) for group in groups]
    return [user for user in candidates.values() if all(any(test(user) for test in anyone) for anyone in tests)]


def _wanted(group: str) -> Group:
    """Return the values that one of a query's groups asks for, by path."""
    found: Group = {}
    for path, value in _TERM.findall(group):
        found.setdefault(path, set()).add(value.replace('\\"', '"').replace("\\\\", "\\"))
    return found


def _tests(world: World, group: Group) -> list[Callable[[Document], bool]]:
    """Return the tests of which one must hold; a field by which the search does not find has none."""
    return [_test(path, values) for path, values in group.items() if is_searchable(world, path)]


def is_searchable(world: World, path: str) -> bool:
    """Say whether a search finds by a field: those that Auth0's page lists, and by a switch `upn` and `oid`."""
    root = path.partition(".")[0]
    return root in SEARCHABLE or (root in ("upn", "oid") and bool(world.switches["management_search_of_upn_and_oid"]))


def _test(path: str, values: set[str]) -> Callable[[Document], bool]:
    steps = tuple(path.split("."))
    if path not in CASE_BLIND:
        return lambda user: not values.isdisjoint(values_at(user, steps))
    blind = {value.lower() for value in values}
    return lambda user: any(value.lower() in blind for value in values_at(user, steps))


def _sorted(found: list[Document], sort: str | None) -> list[Document]:
    """Return users in the order asked for; those without the field come last. Unverified: how values of two types compare."""
    if sort is None:
        return found
    field, _, direction = sort.partition(":")
    keyed = [(next(values_at(user, tuple(field.split("."))), None), user) for user in found]
    there = sorted((pair for pair in keyed if pair[0] is not None), key=lambda pair: str(pair[0]), reverse=direction == "-1")
    return [user for _, user in there] + [user for value, user in keyed if value is None]


@needs("GET", "/api/v2/users-by-email", "read:users", query=rules.BY_EMAIL)
def users_by_email(world: World, call: Call) -> Answer:
    """Answer the users of one mail address, "case-sensitive" in the API description."""
    email = call.argument("email") or ""
    found = [user for user in world.auth0.users.holding("email", [email]) if user.get("email") == email and email]
    return Answer(200, copy.deepcopy([chosen(call, user) for user in found]))


@needs("GET", "/api/v2/users/{id:path}", "read:users", query=rules.FIELDS)
def get_user(world: World, call: Call) -> Answer:
    """Answer one user."""
    user = world.auth0.users.peek(call.params["id"])
    return NO_USER if user is None else Answer(200, copy.deepcopy(chosen(call, user)))


_SYNCED = ("email", "email_verified", "family_name", "given_name", "name", "nickname", "picture")


@needs("PATCH", "/api/v2/users/{id:path}", "update:users", body=rules.CHANGED_USER)
def patch_user(world: World, call: Call) -> Answer:
    """Change a user; metadata is merged, null removes. Properties that the description does not name change nothing.

    Root attributes that each login writes are refused (alexkappa/terraform-provider-auth0 issue 292 quotes the words).
    """
    user = world.auth0.users.peek(call.params["id"])
    if user is None:
        return NO_USER
    changes = {key: value for key, value in call.json().items() if key in rules.PROFILE_FIELDS}
    if refused := _refused_root(world, user, changes):
        return refused
    for key, value in changes.items():
        _change(user, key, value)
    user["updated_at"] = world.clock.auth0()
    world.auth0.users.put(user)
    return Answer(200, copy.deepcopy(user))


def _change(user: Document, key: str, value: Any) -> None:
    if key in ("app_metadata", "user_metadata"):
        merged = {**user.get(key, {}), **value}
        user[key] = {name: item for name, item in merged.items() if item is not None}  # "null removes": metadata page
    elif value is None:
        user.pop(key, None)
    else:
        user[key] = value


def _refused_root(world: World, user: Document, changes: Document) -> Answer | None:
    names = sorted(set(changes) & set(_SYNCED))
    held = {identity["connection"] for identity in user.get("identities", [])}
    synced = [
        connection["name"]
        for connection in world.auth0.connections.values()
        if connection["name"] in held
        and connection["strategy"] == "waad"
        and connection.get("options", {}).get("set_user_root_attributes", "on_each_login") == "on_each_login"
    ]
    if not names or not synced:
        return None
    about = (
        f"The following user attributes cannot be updated: {', '.join(names)}. The connection ({synced[0]}) should either be a "
    )
    more = "database connection (using the Auth0 store), a passwordless connection (email or sms) or has disabled "
    last = "'Sync user profile attributes at each login'."
    return error(400, f"{about}{more}{last}", "operation_not_supported")


@needs("DELETE", "/api/v2/users/{id:path}", "delete:users")
def delete_user(world: World, call: Call) -> Answer:
    """Delete a user; an unknown one is 204 too."""
    world.auth0.users.remove(call.params["id"])
    return Answer(204)
