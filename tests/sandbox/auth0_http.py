"""Auth0's side of a running sandbox over HTTPS: the Management API with every scope, the SCIM endpoint, the file host."""

from __future__ import annotations

from typing import Any

import requests

from runbook_lib.sandbox.auth0.scim_configuration import new_configuration, new_token
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.world import Document, ScimProvisioning

EVERY_SCOPE = (
    "read:connections update:connections create:connections delete:connections read:connections_options "
    "update:connections_options read:scim_config create:scim_config update:scim_config delete:scim_config read:scim_token "
    "create:scim_token delete:scim_token read:users update:users delete:users read:logs read:clients "
    "read:directory_provisionings read:sessions delete:sessions read:refresh_tokens delete:refresh_tokens"
).split()
SCIM_SCOPES = [*(f"{verb}:users" for verb in ("get", "post", "put", "patch", "delete")), "get:groups"]


class Auth0:
    """Calls to Auth0's listeners of a sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.world = sandbox, sandbox.world
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = sandbox.ready["ca_bundle"]
        self.world.auth0.access_tokens["every-scope"] = {"scopes": EVERY_SCOPE, "expires": 1e12, "client_id": "test"}

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """Call the Management API; bytes are sent as they are."""
        address = f"https://{self.world.auth0.domain}/api/v2{path}"
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        headers = {"Authorization": "Bearer every-scope"}
        return self.session.request(method, address, params=query, headers=headers, timeout=20, **sent)

    def refusal(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, str, str]:
        """Return status, error code and message of a call that is refused."""
        answer = self(method, path, body, **query)
        content = answer.json()
        return answer.status_code, content.get("errorCode", ""), content["message"]

    def connection(self, name: str = "fresh-azure-ad") -> Document:
        return next(one for one in self.world.auth0.connections.values() if one["name"] == name)

    def path(self, name: str = "fresh-azure-ad") -> str:
        return f"/connections/{self.connection(name)['id']}"

    def user(self, email: str = "adele.vance@fresh.example") -> Document:
        return next(user for user in self.world.auth0.users.values() if user.get("email") == email)

    def found(self, query: str) -> list[str]:
        """Return the names of the users that a search finds."""
        answer = self("GET", "/users", q=query)
        assert answer.status_code == 200, answer.text
        return [user["name"] for user in answer.json()]


class Scim:
    """Calls to the SCIM endpoint of one connection, with every scope of users."""

    def __init__(self, auth0: Auth0, name: str = "fresh-azure-ad") -> None:
        self.auth0, self.connection = auth0, auth0.connection(name)
        provisioning = auth0.world.auth0.provisioning
        side = provisioning.setdefault(
            self.connection["id"], ScimProvisioning(new_configuration(auth0.world, self.connection, {}))
        )
        document, self.token = new_token(auth0.world, list(SCIM_SCOPES), None)
        side.tokens.append(document)
        side.token_values[document["token_id"]] = self.token

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        address = f"https://{self.auth0.world.auth0.domain}/scim/v2/connections/{self.connection['id']}{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.auth0.session.request(method, address, params=query, json=body, headers=headers, timeout=20)

    def found(self, text: str) -> list[str]:
        """Return the display names of the users that a filter finds."""
        answer = self("GET", "/Users", filter=text)
        assert answer.status_code == 200, answer.text
        return [user["displayName"] for user in answer.json()["Resources"]]

    def patch(self, user_id: str, *operations: Document) -> requests.Response:
        return self("PATCH", f"/Users/{user_id}", {"schemas": [], "Operations": list(operations)})
