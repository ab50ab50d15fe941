"""Access, refresh and id tokens in the forms of Microsoft's. Their signature cannot be verified: it is not one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.world import Document, EntraClient, EntraTenant, World

LIFETIME_S = 3599
ADMINISTRATOR_ID = "00000000-0000-4000-8000-0000000000ad"


def application_token(world: World, tenant: EntraTenant, client: EntraClient, resource: str) -> Document:
    """Return the answer to client credentials: a token whose `roles` are the application permissions."""
    claims = {"idtyp": "app", "roles": list(client.permissions)}
    text = _access_token(world, tenant, client, resource, client.permissions, claims)
    return {"token_type": "Bearer", "expires_in": LIFETIME_S, "ext_expires_in": LIFETIME_S, "access_token": text}


def person_tokens(world: World, call: Call, tenant: EntraTenant, client: EntraClient, resource: str) -> Document:
    """Return the answer to a person's sign-in: `scp` holds the delegated permissions.

    Its `scope` also names `.default`, as reported of the real one; msal takes that as the key of its cache.
    """
    person = {"oid": ADMINISTRATOR_ID, "name": "Sandbox Administrator"}
    upn = f"admin@{tenant.domain}"
    claims = {"idtyp": "user", "scp": " ".join(client.delegated), "upn": upn, **person}
    access = _access_token(world, tenant, client, resource, client.delegated, claims)
    refresh = world.ids.base64url(48)
    tenant.refresh_tokens[refresh] = {"client_id": client.client_id, "resource": resource}
    granted = [f"{resource}/{name}" for name in (*client.delegated, ".default")]
    # msal compares iat and exp with the host's clock, so the sandbox's own, which stands still, would not do.
    now = int(time.time())
    identity = {
        "aud": client.client_id,
        "iss": f"{call.origin}/{tenant.id}/v2.0",
        "iat": now,
        "nbf": now,
        "exp": now + LIFETIME_S,
        "sub": ADMINISTRATOR_ID,
        "tid": tenant.id,
        "preferred_username": upn,
        "ver": "2.0",
        **person,
    }
    return {
        "token_type": "Bearer",
        "scope": " ".join(["openid", "profile", *granted]),
        "expires_in": LIFETIME_S,
        "ext_expires_in": LIFETIME_S,
        "access_token": access,
        "refresh_token": refresh,
        "id_token": _unsigned(world, identity),
        "client_info": _part({"uid": ADMINISTRATOR_ID, "utid": tenant.id}),
    }


def _access_token(
    world: World, tenant: EntraTenant, client: EntraClient, resource: str, granted: tuple[str, ...], claims: dict[str, Any]
) -> str:
    now = int(world.clock.timestamp())
    text = _unsigned(
        world,
        {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_S,
            "appid": client.client_id,
            "tid": tenant.id,
            "ver": "1.0",
            **claims,
        },
    )
    tenant.access_tokens[text] = {
        "permissions": list(granted),
        "expires": now + LIFETIME_S,
        "client_id": client.client_id,
        "is_person": claims["idtyp"] == "user",
    }
    return text


def _unsigned(world: World, claims: dict[str, Any]) -> str:
    return f"{_part({'typ': 'JWT', 'alg': 'RS256'})}.{_part(claims)}.{world.ids.base64url(32)}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
