"""Discovery, client credentials by secret or certificate, device code, refresh. Errors carry Microsoft's AADSTS codes.

Sources: the identity platform's pages on client credentials, device code and certificate credentials; what msal 1.39 sends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from runbook_lib.sandbox.exchange import Answer, Call, Router
from runbook_lib.sandbox.login import errors, pages
from runbook_lib.sandbox.login.errors import Refused, body
from runbook_lib.sandbox.login.tokens import application_token, person_tokens
from runbook_lib.sandbox.world import Document, EntraClient, EntraTenant, World

__all__ = ["body", "router"]

router = Router()
CODE_LIFETIME_S = 900  # "the user has only 15 minutes", device code page
POLL_S = 1  # 5 on the page; shorter here, so that tests do not wait
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_GRAPH = re.compile(r"^https://(graph\.microsoft\.com|localhost(:\d+)?|127\.0\.0\.1(:\d+)?)$")
_GRAPH_API = "https://graph.microsoft.com"
_SIGN_IN_SCOPES = frozenset(("openid", "profile", "email", "offline_access"))

TenantHandler = Callable[[World, Call, EntraTenant], Answer]


def _route(method: str, template: str) -> Callable[[TenantHandler], TenantHandler]:
    """Register a handler for a path below a tenant's GUID or domain; what it refuses becomes the answer."""

    def register(handler: TenantHandler) -> TenantHandler:
        def answered(world: World, call: Call) -> Answer:
            try:
                tenant = world.entra_by_name(call.params["tenant"])
                if tenant is None:
                    raise errors.no_tenant(call.params["tenant"])
                return handler(world, call, tenant)
            except Refused as refused:
                return errors.answer(world, refused, call)

        router.on(method, "/{tenant}" + template)(answered)
        return handler

    return register


@_route("GET", "/v2.0/.well-known/openid-configuration")
def discovery(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the endpoints of a tenant; msal insists on https in every one."""
    base = f"{call.origin}/{tenant.id}"
    content = {
        "token_endpoint": f"{base}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
        "issuer": f"{base}/v2.0",
        "tenant_region_scope": "EU",
    }
    return Answer(200, content)


@router.on("GET", "/common/discovery/instance")
def instance_discovery(_world: World, call: Call) -> Answer:
    """Answer where a tenant's discovery document is, for an msal that was not told to leave this out."""
    endpoint = call.argument("authorization_endpoint") or ""
    document = re.sub(r"/oauth2(/v2\.0)?/authorize$", "/v2.0/.well-known/openid-configuration", endpoint)
    return Answer(200, {"tenant_discovery_endpoint": document, "api-version": "1.1", "metadata": []})


# Tokens --------------------------------------------------------------------------------------------------------------


def _field(form: dict[str, str], name: str) -> str:
    if not form.get(name):
        raise errors.missing(name)
    return form[name]


def _client(tenant: EntraTenant, form: dict[str, str]) -> EntraClient:
    client_id = _field(form, "client_id")
    if client_id not in tenant.clients:
        raise errors.no_application(client_id, tenant.display_name)
    return tenant.clients[client_id]


@_route("POST", "/oauth2/v2.0/token")
def token(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Issue a Graph token by one of the simulated grants."""
    grants = {"client_credentials": _client_credentials, _DEVICE_CODE: _by_device_code, "refresh_token": _refresh}
    form = call.form()
    grant, client = grants.get(_field(form, "grant_type")), _client(tenant, form)
    if grant is None:
        raise Refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
    return Answer(200, grant(world, call, tenant, client), {"Cache-Control": "no-store", "Pragma": "no-cache"})


def _client_credentials(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Document:
    form = call.form()
    scope = _field(form, "scope")
    if not scope.endswith("/.default"):
        raise errors.scope_without_default(scope)
    resource = _resource(scope, tenant)
    if form.get("client_assertion_type") == _ASSERTION:
        _assertion_holds(form.get("client_assertion", ""), call, tenant, client)
    else:
        _secret_holds(form.get("client_secret"), client)
    return application_token(world, tenant, client, resource)


def _resource(scope: str, tenant: EntraTenant) -> str:
    """Return the API that a scope names. Only Graph is there, under its own name and under the sandbox's. Raises `Refused`."""
    resource = scope.removesuffix("/.default")
    if not resource.startswith("https://"):
        raise errors.bad_scope(scope)
    if not _GRAPH.match(resource.rstrip("/")):
        raise errors.no_resource(resource, tenant.display_name)
    return resource.rstrip("/")


def _secret_holds(secret: str | None, client: EntraClient) -> None:
    if secret is None:
        raise errors.no_credential()
    if not client.client_secret or secret != client.client_secret:
        raise errors.wrong_secret(client.client_id)
    if client.is_secret_expired:
        raise errors.expired_secret(client.client_id)


def _assertion_holds(assertion: str, call: Call, tenant: EntraTenant, client: EntraClient) -> None:
    """Check a client assertion: signed by a certificate of the client, for this endpoint, from this client, and in time.

    In time by the host's clock, which made it. Raises `Refused`.
    """
    audiences = [f"{call.origin}/{name}/oauth2/v2.0/token" for name in (tenant.id, tenant.domain)]
    claims: Document = {}
    for pem in client.certificates:
        try:
            claims = jwt.decode(
                assertion,
                public_key(pem),
                algorithms=["PS256", "RS256"],
                audience=audiences,
                options={"require": ["exp", "iss", "sub", "aud"]},
            )
            break
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise errors.bad_assertion(700024) from None
        except jwt.InvalidAudienceError:
            raise errors.bad_assertion(700023) from None
        except jwt.InvalidTokenError:
            continue
    if not claims:
        raise errors.bad_assertion(700027)
    if not claims["iss"] == claims["sub"] == client.client_id:
        raise errors.bad_assertion(700021)


def public_key(pem: str) -> RSAPublicKey:
    """Return the key of a certificate or of a public key's PEM. Raises `ValueError` for anything but an RSA key."""
    content = pem.encode()
    is_certificate = b"CERTIFICATE" in content
    found = x509.load_pem_x509_certificate(content).public_key() if is_certificate else load_pem_public_key(content)
    if not isinstance(found, RSAPublicKey):
        raise ValueError("the key is not an RSA key")
    return found


def _refresh(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Document:
    entry = tenant.refresh_tokens.get(_field(call.form(), "refresh_token"))
    if entry is None or entry["client_id"] != client.client_id:
        raise Refused(400, "invalid_grant", 70000, "Provided grant is invalid or malformed.")
    return person_tokens(world, call, tenant, client, entry["resource"])


# Device code ---------------------------------------------------------------------------------------------------------


@_route("POST", "/oauth2/v2.0/devicecode")
def device_code(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Start a device sign-in: a code for the device to poll with and one for the person to type."""
    form = call.form()
    client = _client(tenant, form)
    if not client.is_public_client:
        raise errors.no_credential()
    resource = _delegated_resource(_field(form, "scope"), tenant, client)
    code, user_code = world.ids.base64url(24), world.ids.alphanumeric(9).upper()
    tenant.device_codes[code] = {
        "user_code": user_code,
        "client_id": client.client_id,
        "resource": resource,
        "expires": world.clock.timestamp() + CODE_LIFETIME_S,
        "decision": "",
    }
    where = f"{call.origin}/{tenant.id}/oauth2/deviceauth"
    message = f"To sign in, use a web browser to open the page {where} and enter the code {user_code} to authenticate."
    content = {"user_code": user_code, "device_code": code, "verification_uri": where, "expires_in": CODE_LIFETIME_S}
    return Answer(200, {**content, "interval": POLL_S, "message": message})


def _delegated_resource(scopes: str, tenant: EntraTenant, client: EntraClient) -> str:
    """Return the API that a person's sign-in asks for: `<api>/.default`, or delegated permissions, each with or without its API.

    A permission without an API is Graph's (permissions and consent overview). Raises `Refused`: for two APIs at once, and for a
    permission without consent. Unverified: that the device learns of the latter here, not the person on the page.
    """
    wanted = [scope for scope in scopes.split() if scope not in _SIGN_IN_SCOPES]
    if not wanted:
        raise errors.bad_scope(scopes)
    split = [scope.rpartition("/")[::2] if "//" in scope else (_GRAPH_API, scope) for scope in wanted]
    apis = {api for api, _ in split}
    if len(apis) > 1:
        raise errors.two_resources(scopes)
    unknown = [name for _, name in split if name != ".default" and name not in client.delegated]
    if unknown:
        raise errors.no_consent(client.client_id)
    return _resource(f"{apis.pop()}/.default", tenant)


def _by_device_code(world: World, call: Call, tenant: EntraTenant, client: EntraClient) -> Document:
    """Return the tokens once the person has approved; a code is good for one sign-in. Unverified: the number of a decline."""
    form = call.form()
    code = form.get("device_code") or _field(form, "code")
    entry = tenant.device_codes.get(code)
    if entry is None or entry["client_id"] != client.client_id:
        raise Refused(400, "bad_verification_code", 70018, "Bad verification code received from Microsoft Account.")
    if entry["expires"] <= world.clock.timestamp():
        words = "The provided value for the input parameter 'device_code' is not valid. This device code has expired."
        raise Refused(400, "expired_token", 70020, words)
    if not entry["decision"]:
        raise Refused(
            400, "authorization_pending", 70016, "OAuth 2.0 device flow error. Authorization is pending. Continue polling."
        )
    del tenant.device_codes[code]
    if entry["decision"] == "decline":
        raise Refused(400, "authorization_declined", 70018, "The end user has denied the authorization request.")
    return person_tokens(world, call, tenant, client, entry["resource"])


def _decide(world: World, tenant: EntraTenant, user_code: str, decision: str) -> str:
    """Note what a person says to a code; return what is wrong with it, empty when nothing is."""
    if decision not in ("approve", "decline"):
        return "The decision is approve or decline."
    now, wanted = world.clock.timestamp(), user_code.strip().upper()
    entry = next((entry for entry in tenant.device_codes.values() if entry["user_code"] == wanted), None)
    if entry is None or entry["expires"] <= now or entry["decision"]:
        return "That code didn't work. Check the code and try again."
    entry["decision"] = decision
    return ""


@_route("GET", "/oauth2/deviceauth")
def page(_world: World, _call: Call, tenant: EntraTenant) -> Answer:
    """Show the page on which a person types the code."""
    return pages.form(tenant.display_name)


@_route("POST", "/oauth2/deviceauth")
def type_code(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Take the page's form: `user_code` and `decision`, which is to approve unless said otherwise."""
    form = call.form()
    code, decision = form.get("user_code", ""), form.get("decision", "approve")
    if problem := _decide(world, tenant, code, decision):
        return pages.form(tenant.display_name, code=code, problem=problem, status=400)
    return pages.done("You are signed in on your device." if decision == "approve" else "The sign-in was declined.")


@_route("POST", "/sandbox/approve")
def approve(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Be the person, for scripts. This path is the sandbox's own: JSON with `user_code` and, if wanted, `decision`."""
    try:
        found: Any = call.json()
    except ValueError:
        found = None
    if not isinstance(found, dict) or set(found) - {"user_code", "decision"}:
        return Answer(400, {"error": "expected JSON with user_code and, if wanted, decision"})
    problem = _decide(world, tenant, str(found.get("user_code", "")), str(found.get("decision", "approve")))
    return Answer(404, {"error": problem}) if problem else Answer(200, {"user_code": found["user_code"]})
