"""Auth0's token endpoint for machine-to-machine applications. Errors have OAuth's shape (Authentication API description)."""

from __future__ import annotations

import base64
import json
from typing import Any

from runbook_lib.sandbox.auth0.door import router
from runbook_lib.sandbox.auth0.errors import oauth
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import World

TOKEN_LIFETIME_S = 86_400


@router.on("POST", "/oauth/token")
def token(world: World, call: Call) -> Answer:
    """Issue a Management API token.

    The texts of the refusals: node-auth0 issue 682 (wrong secret), terraform-provider-auth0 issue 951 (audience), ruby-auth0
    issue 610 and auth0-python issue 173 (no grant). A wrong secret and an unknown client get the same words.
    """
    fields = _fields(call)
    if fields is None:
        return oauth(400, "invalid_request", "The request body is not valid")
    if fields.get("grant_type") != "client_credentials":
        return oauth(400, "unsupported_grant_type", f"Unsupported grant type: {fields.get('grant_type')}")
    client = world.auth0.clients.get(str(fields.get("client_id", "")))
    if client is None or client.client_secret != fields.get("client_secret"):
        return oauth(401, "access_denied", "Unauthorized")
    audience = f"https://{world.auth0.domain}/api/v2/"
    if fields.get("audience") != audience:
        return oauth(403, "access_denied", f"Service not enabled within domain: {fields.get('audience')}")
    if not client.has_grant:
        words = f'Client is not authorized to access "{audience}". You need to create a "client-grant" associated to this API.'
        return oauth(403, "access_denied", f"{words} See: https://auth0.com/docs/api/v2#!/Client_Grants/post_client_grants")
    scope = " ".join(client.scopes)
    now = int(world.clock.timestamp())
    claims = {
        "iss": f"https://{world.auth0.domain}/",
        "sub": f"{client.client_id}@clients",
        "aud": audience,
        "iat": now,
        "exp": now + TOKEN_LIFETIME_S,
        "scope": scope,
        "gty": "client-credentials",
        "azp": client.client_id,
    }
    text = _jwt(claims, world.ids.base64url(32))
    world.auth0.access_tokens[text] = {"scopes": client.scopes, "expires": now + TOKEN_LIFETIME_S, "client_id": client.client_id}
    return Answer(200, {"access_token": text, "scope": scope, "expires_in": TOKEN_LIFETIME_S, "token_type": "Bearer"})


def _fields(call: Call) -> dict[str, Any] | None:
    try:
        fields = call.json() if "json" in call.headers.get("content-type", "") else call.form()
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None


def _jwt(claims: dict[str, Any], signature: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT', 'kid': 'sandbox'})}.{part(claims)}.{signature}"
