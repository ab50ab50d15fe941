"""Sessions and refresh tokens of a user, and their end when SCIM deactivates the user.

Sources: configure-inbound-scim (deactivation ends all Auth0 sessions and revokes refresh tokens); reference pages of user
sessions and refresh tokens (202, asynchronous). Who has signed in has one of each here. Unverified: a deleted user's are gone
at once.
"""

from __future__ import annotations

import hashlib

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.door import checkpoint, needs
from runbook_lib.sandbox.auth0.errors import NO_USER
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.switches import Late
from runbook_lib.sandbox.world import Document, World

_USER = "/api/v2/users/{id:path}"


def end(world: World, user_id: str, *kinds: str) -> None:
    """Note that a user's `sessions` or `tokens` end; the switch `sessions_end_after` says how long they go on being listed."""
    for kind in kinds or ("sessions", "tokens"):
        world.auth0.ended[f"{kind} of {user_id}"] = Late(world.clock.timestamp())


def _listed(world: World, call: Call, kind: str, more: Document) -> Answer:
    user = world.auth0.users.peek(call.params["id"])
    if user is None:
        return NO_USER
    ending = world.auth0.ended.get(f"{kind} of {user['user_id']}")
    now, delay = world.clock.timestamp(), world.switches["sessions_end_after"]
    is_over = ending is not None and ending.has_arrived(delay, now, "sessions")
    if is_over or "last_login" not in user:
        return checkpoint(call, kind, [])
    number = hashlib.sha256(f"{kind} {user['user_id']}".encode()).hexdigest()[:24]
    made = {"id": number, "user_id": user["user_id"], "created_at": user["last_login"], **more}
    return checkpoint(call, kind, [made])


@needs("GET", f"{_USER}/sessions", "read:sessions", query=rules.CHECKPOINT)
def list_sessions(world: World, call: Call) -> Answer:
    """Answer a user's sessions."""
    return _listed(world, call, "sessions", {"clients": []})


@needs("GET", f"{_USER}/refresh-tokens", "read:refresh_tokens", query=rules.CHECKPOINT)
def list_refresh_tokens(world: World, call: Call) -> Answer:
    """Answer a user's refresh tokens, without their texts."""
    return _listed(world, call, "tokens", {"rotating": False, "resource_servers": []})


@needs("DELETE", f"{_USER}/sessions", "delete:sessions")
def delete_sessions(world: World, call: Call) -> Answer:
    """End a user's sessions."""
    return _ended(world, call, "sessions")


@needs("DELETE", f"{_USER}/refresh-tokens", "delete:refresh_tokens")
def delete_refresh_tokens(world: World, call: Call) -> Answer:
    """Revoke a user's refresh tokens."""
    return _ended(world, call, "tokens")


def _ended(world: World, call: Call, kind: str) -> Answer:
    if world.auth0.users.peek(call.params["id"]) is None:
        return NO_USER
    end(world, call.params["id"], kind)
    return Answer(202)
