"""What every request to Graph passes: the token, its permissions, the query parameters, the body's form.

Permissions: section "Permissions" of each reference page. A call that needs two of them names two sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from runbook_lib.sandbox.exchange import Answer, Call, Handler, Router
from runbook_lib.sandbox.graph.errors import Refused, bad, denied, error, not_simulated, unauthorized, with_request_id
from runbook_lib.sandbox.world import Document, EntraTenant, World

router = Router()
V1, BETA = "/v1.0", "/beta"
OWNED_BY = "Application.ReadWrite.OwnedBy"
READ_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
READ_APPLICATIONS = ("Application.Read.All", "Application.ReadWrite.All", OWNED_BY, *READ_DIRECTORY)
WRITE_APPLICATIONS = ("Application.ReadWrite.All", OWNED_BY, "Directory.ReadWrite.All")
READ_USERS = ("User.Read.All", "User.ReadWrite.All", *READ_DIRECTORY)
WRITE_USERS = ("User.ReadWrite.All", "Directory.ReadWrite.All")
READ_GROUPS = ("Group.Read.All", "Group.ReadWrite.All", *READ_DIRECTORY)
READ_MEMBERS = ("GroupMember.Read.All", *READ_GROUPS)
WRITE_ASSIGNMENTS = ("AppRoleAssignment.ReadWrite.All",)
WRITE_SYNCHRONIZATION = ("Synchronization.ReadWrite.All", OWNED_BY)
READ_SYNCHRONIZATION = ("Synchronization.Read.All", *WRITE_SYNCHRONIZATION)

NO_PAYLOAD = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format."
TenantHandler = Callable[[World, Call, EntraTenant], Answer]


def route(
    method: str,
    template: str,
    *permissions: Iterable[str],
    query: Iterable[str] = ("$select",),
    only_own: bool = False,
    holds_the_world: bool = True,
) -> Callable[[TenantHandler], TenantHandler]:
    """Register a handler `(world, call, tenant)` for a path below /v1.0; one that begins with /beta is taken as it is.

    `permissions`: of each set the token must hold one. `query`: the parameters taken, any other is refused. `only_own`: the
    permission ReadWrite.OwnedBy counts only for an object `{id}` that the client made itself.
    """
    allowed, sets = frozenset(query), [frozenset(names) for names in permissions]

    def register(handler: TenantHandler) -> TenantHandler:
        def answered(world: World, call: Call) -> Answer:
            try:
                with world.lock:
                    tenant, grant = _admitted(world, call)
                    held = _held(call, tenant, grant, only_own=only_own)
                    if not all(names & held for names in sets):
                        raise unauthorized() if "/synchronization" in template else denied()
                    _checked(call, allowed)
                answer = handler(world, call, tenant)
            except Refused as refused:
                answer = error(world, refused.status, refused.code, refused.message, refused.headers)
            return with_request_id(world, answer, call.headers.get("client-request-id"))

        _register(method, template, answered, holds_the_world=holds_the_world)
        return handler

    return register


def _register(method: str, template: str, handler: Handler, *, holds_the_world: bool) -> None:
    path = template if template.startswith(BETA) else V1 + template
    router.on(method, path, holds_the_world=holds_the_world)(handler)


def _admitted(world: World, call: Call) -> tuple[EntraTenant, Document]:
    """Return the tenant of a call's token and what was granted. Raises `Refused` in the words of Graph's three 401s."""
    text = call.bearer()
    if text is None:
        raise Refused(401, "InvalidAuthenticationToken", "Access token is empty.")
    for tenant in world.entra.values():
        if grant := tenant.access_tokens.get(text):
            if grant["expires"] <= world.clock.timestamp():
                raise Refused(401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired.")
            return tenant, grant
    raise Refused(401, "InvalidAuthenticationToken", "CompactToken parsing failed with error code: 80049217")


def _held(call: Call, tenant: EntraTenant, grant: Document, *, only_own: bool) -> set[str]:
    """Return the permissions that count. OwnedBy is an application permission: no person can hold it (permissions reference).

    Unverified: that it reads every application, and configures the provisioning of own ones only.
    """
    held = set(grant["permissions"])
    if grant.get("is_person"):
        held.discard(OWNED_BY)
    if only_own and tenant.owners.get(call.params.get("id", "")) != grant["client_id"]:
        held.discard(OWNED_BY)
    return held


def _checked(call: Call, allowed: frozenset[str]) -> None:
    if unknown := sorted(set(call.arguments()) - allowed):
        raise not_simulated(f"the query parameter '{unknown[0]}' here")
    if call.body.strip() and call.method != "GET" and "json" not in call.headers.get("content-type", ""):
        raise bad("Write requests (excluding DELETE) must contain the Content-Type header declaration.", "BadRequest")


def content(call: Call, allowed: Iterable[str], required: Iterable[str] = ()) -> Document:
    """Return the body as an object with only the `allowed` keys and all `required` ones. Raises `Refused`.

    OData annotations may stand anywhere and are left out: Terraform sends `@odata.type` with everything.
    """
    found = parsed(call)
    if found is None and not call.body.strip() and not tuple(required):
        return {}
    if not isinstance(found, dict):
        raise bad(NO_PAYLOAD, "BadRequest")
    names = frozenset(allowed)
    if unknown := [name for name in found if name not in names]:
        raise bad(f"Invalid property '{unknown[0]}'.")
    if missing := [name for name in required if name not in found]:
        raise bad(f"A value is required for property '{missing[0]}'.")
    return found


def parsed(call: Call, *, annotated: bool = False) -> Any:
    """Return the body, None when it is no JSON; OData annotations are left out unless `annotated`."""
    try:
        found = call.json()
        return found if annotated else _bare(found)
    except (ValueError, RecursionError):
        return None


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if not key.startswith("@") and "@odata." not in key}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def granted(call: Call, tenant: EntraTenant) -> frozenset[str]:
    """Return the permissions of a call's token."""
    return frozenset(tenant.access_tokens[call.bearer() or ""]["permissions"])


def visible(tenant: EntraTenant, object_id: str) -> bool:
    """Say whether a new object has replicated, counting this read."""
    left = tenant.readable_after.get(object_id, 0)
    if left > 0:
        tenant.readable_after[object_id] = left - 1
    return left <= 0
