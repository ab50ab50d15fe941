"""Discovery, client credentials by secret or certificate, device code, refresh. Errors carry Microsoft's AADSTS codes."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from runbook_lib.sandbox.exchange import Answer, Call, Router
from runbook_lib.sandbox.world import EntraClient, EntraTenant, World

router = Router()
TOKEN_LIFETIME_S = 3599
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"


def body(world: World, status: int, message: str) -> Any:
    """Return the body of an error that has no words of its own."""
    return _error(world, status, "temporarily_unavailable", 90033, message or "A transient error has occurred.").body


def _error(world: World, status: int, code: str, number: int, text: str) -> Answer:
    now = world.clock.now.strftime("%Y-%m-%d %H:%M:%SZ")
    trace, correlation = world.ids.guid(), world.ids.guid()
    description = f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {now}"
    content = {"error": code, "error_description": description, "error_codes": [number], "timestamp": now}
    return Answer(status, {**content, "trace_id": trace, "correlation_id": correlation})


@router.on("GET", "/{tenant}/v2.0/.well-known/openid-configuration")
def discovery(world: World, call: Call) -> Answer:
    """Answer the endpoints of a tenant; msal insists on https in every one."""
    tenant = world.entra_by_name(call.params["tenant"])
    if tenant is None:
        return _no_tenant(world, call)
    base = f"{call.origin}/{tenant.id}"
    return Answer(
        200,
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "issuer": f"{base}/v2.0",
            "tenant_region_scope": "EU",
        },
    )


def _no_tenant(world: World, call: Call) -> Answer:
    text = f"Tenant '{call.params['tenant']}' not found. Check to make sure you have the correct tenant ID."
    return _error(world, 400, "invalid_tenant", 90002, text)


@router.on("POST", "/{tenant}/oauth2/v2.0/token")
def token(world: World, call: Call) -> Answer:
    """Issue a Graph token by one of the simulated grants."""
    tenant = world.entra_by_name(call.params["tenant"])
    if tenant is None:
        return _no_tenant(world, call)
    form = call.form()
    client = tenant.clients.get(form.get("client_id", ""))
    if client is None:
        text = f"Application with identifier '{form.get('client_id')}' was not found in the directory '{tenant.display_name}'."
        return _error(world, 400, "unauthorized_client", 700016, text)
    grants = {"client_credentials": _client_credentials, _DEVICE_CODE: _device_code, "refresh_token": _refresh}
    grant = grants.get(form.get("grant_type", ""))
    if grant is None:
        return _error(world, 400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    return grant(world, call, tenant, client)


def _client_credentials(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Answer:
    form = call.form()
    if not form.get("scope", "").endswith("/.default"):
        text = f"The provided request must include a 'scope' input parameter ending in /.default, not '{form.get('scope', '')}'."
        return _error(world, 400, "invalid_scope", 70011, text)
    if form.get("client_assertion_type") == _ASSERTION:
        if not _assertion_holds(form.get("client_assertion", ""), f"{call.origin}/{tenant.id}/oauth2/v2.0/token", client):
            return _error(world, 401, "invalid_client", 700027, "Client assertion failed signature validation.")
    elif not client.client_secret or form.get("client_secret") != client.client_secret:
        text = f"Invalid client secret provided. Ensure the secret is the client secret value for app '{client.client_id}'."
        return _error(world, 401, "invalid_client", 7000215, text)
    text = _access_token(world, tenant, client, {"roles": list(client.permissions)})
    return Answer(
        200, {"token_type": "Bearer", "expires_in": TOKEN_LIFETIME_S, "ext_expires_in": TOKEN_LIFETIME_S, "access_token": text}
    )


def _assertion_holds(assertion: str, audience: str, client: EntraClient) -> bool:
    for pem in client.certificates:
        key = (
            x509.load_pem_x509_certificate(pem.encode()).public_key()
            if "CERTIFICATE" in pem
            else load_pem_public_key(pem.encode())
        )
        try:
            claims = jwt.decode(assertion, key, algorithms=["PS256", "RS256"], audience=audience)  # type: ignore[arg-type]
        except jwt.InvalidTokenError:
            continue
        if claims.get("iss") == claims.get("sub") == client.client_id:
            return True
    return False


def _access_token(world: World, tenant: EntraTenant, client: EntraClient, permissions: dict[str, Any]) -> str:
    now = int(world.clock.timestamp())
    claims = {
        "aud": "https://graph.microsoft.com",
        "iss": f"https://sts.windows.net/{tenant.id}/",
        "iat": now,
        "nbf": now,
        "exp": now + TOKEN_LIFETIME_S,
        "appid": client.client_id,
        "tid": tenant.id,
        "ver": "1.0",
        **permissions,
    }
    text = f"{_part({'typ': 'JWT', 'alg': 'RS256'})}.{_part(claims)}.{world.ids.base64url(32)}"
    granted = permissions.get("roles") or str(permissions.get("scp", "")).split()
    tenant.access_tokens[text] = {"permissions": granted, "expires": now + TOKEN_LIFETIME_S, "client_id": client.client_id}
    return text


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@router.on("POST", "/{tenant}/oauth2/v2.0/devicecode")
def device_code(world: World, call: Call) -> Answer:
    """Start a device sign-in: a code for the device to poll with and one for the person to type."""
    tenant = world.entra_by_name(call.params["tenant"])
    if tenant is None:
        return _no_tenant(world, call)
    client = tenant.clients.get(call.form().get("client_id", ""))
    if client is None or not client.is_public_client:
        text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        return _error(world, 401, "invalid_client", 7000218, text)
    code, user_code = world.ids.base64url(24), world.ids.alphanumeric(9).upper()
    tenant.device_codes[code] = {"user_code": user_code, "client_id": client.client_id, "approved": False}
    where = f"{call.origin}/{tenant.id}/oauth2/deviceauth"
    message = f"To sign in, use a web browser to open the page {where} and enter the code {user_code} to authenticate."
    content = {"user_code": user_code, "device_code": code, "verification_uri": where, "expires_in": 900, "interval": 1}
    return Answer(200, {**content, "message": message})


@router.on("POST", "/{tenant}/oauth2/deviceauth")
def approve(world: World, call: Call) -> Answer:
    """Be the person who types the code. This form is the sandbox's own: `user_code`."""
    tenant = world.entra_by_name(call.params["tenant"])
    if tenant is None:
        return _no_tenant(world, call)
    wanted = call.form().get("user_code", "").strip().upper()
    for entry in tenant.device_codes.values():
        if entry["user_code"] == wanted:
            entry["approved"] = True
            return Answer(200, {"approved": wanted})
    return Answer(404, {"error": "no such code"})


def _device_code(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Answer:
    form = call.form()
    entry = tenant.device_codes.get(form.get("device_code") or form.get("code", ""))
    if entry is None:
        return _error(world, 400, "bad_verification_code", 70018, "Bad verification code received from Microsoft Account.")
    if not entry["approved"]:
        return _error(world, 400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending.")
    return _delegated(world, call, tenant, client)


def _refresh(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Answer:
    if call.form().get("refresh_token", "") not in tenant.refresh_tokens:
        return _error(world, 400, "invalid_grant", 70000, "Provided grant is invalid or malformed.")
    return _delegated(world, call, tenant, client)


def _delegated(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Answer:
    person, refresh = f"admin@{tenant.domain}", world.ids.base64url(48)
    tenant.refresh_tokens[refresh] = {"client_id": client.client_id}
    scopes = " ".join(client.delegated)
    access = _access_token(world, tenant, client, {"scp": scopes, "upn": person, "name": "Sandbox Administrator"})
    # msal compares these two times with the host's clock, so the sandbox's own, which stands still, would not do.
    now = int(time.time())
    identity = {
        "aud": client.client_id,
        "iss": f"{call.origin}/{tenant.id}/v2.0",
        "iat": now,
        "exp": now + TOKEN_LIFETIME_S,
        "sub": person,
        "oid": "00000000-0000-4000-8000-0000000000ad",
        "tid": tenant.id,
        "preferred_username": person,
        "name": "Sandbox Administrator",
    }
    content = {
        "token_type": "Bearer",
        "scope": scopes,
        "expires_in": TOKEN_LIFETIME_S,
        "access_token": access,
        "refresh_token": refresh,
        "id_token": f"{_part({'typ': 'JWT', 'alg': 'RS256'})}.{_part(identity)}.{world.ids.base64url(32)}",
        "client_info": _part({"uid": identity["oid"], "utid": tenant.id}),
    }
    return Answer(200, content)
