"""The engine as a SCIM client, in both of its PATCH dialects (entra-docs, use-scim and scim-compatibility pages)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlsplit

import requests

from runbook_lib.sandbox.world import Document, World

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
FLAG = "aadOptscim062020"
TIMEOUT_S = 20


class ScimError(Exception):
    """An answer of the SCIM endpoint that is no success; status 0 when none came."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ScimClient:
    """Sends to one SCIM endpoint. The query of the saved address selects the dialect and is not part of the requests."""

    def __init__(self, world: World, base_address: str, token: str) -> None:
        parts = urlsplit(base_address)
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self.is_compliant = FLAG in parse_qs(parts.query, keep_blank_values=True)
        self._session = world.scim_session() if world.scim_session else requests.Session()
        self._session.trust_env = False
        if world.ca_bundle:
            self._session.verify = world.ca_bundle
        self._session.headers.update({"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"})
        self._session.headers["User-Agent"] = ""  # Entra may send none (kortix-ai/suna issue 7297)

    def find(self, attribute: str, value: str) -> list[Document]:
        """Return the users whose attribute equals a value."""
        text = f'{attribute} eq "{value}"'
        found: list[Document] = self._send("GET", f"/Users?filter={quote_plus(text)}").get("Resources", [])
        return found

    def get(self, user_id: str) -> Document:
        """Return one user."""
        return self._send("GET", f"/Users/{quote(user_id, safe='')}")

    def create(self, values: dict[str, Any]) -> Document:
        """Make a user."""
        return self._send("POST", "/Users", resource(values))

    def patch(self, user_id: str, operations: list[Document]) -> Document:
        """Change a user."""
        return self._send("PATCH", f"/Users/{quote(user_id, safe='')}", {"schemas": [PATCH_OP], "Operations": operations})

    def delete(self, user_id: str) -> None:
        """Delete a user."""
        self._send("DELETE", f"/Users/{quote(user_id, safe='')}")

    def takes_group(self, name: str) -> bool:
        """Whether the endpoint answers a search for a group by its name."""
        text = f'displayName eq "{name}"'
        try:
            self._send("GET", f"/Groups?filter={quote_plus(text)}")
        except ScimError:
            return False
        return True

    def _send(self, method: str, path: str, body: Document | None = None) -> Document:
        try:
            answer = self._session.request(method, self._base + path, json=body, timeout=TIMEOUT_S, allow_redirects=False)
            content: Document = answer.json() if answer.content else {}
        except (requests.RequestException, ValueError) as broken:
            raise ScimError(0, f"No usable answer from the SCIM endpoint ({type(broken).__name__}).") from None
        if not answer.ok:
            raise ScimError(answer.status_code, str(content.get("detail", "")))
        return content


def differs(now: Any, wanted: Any, *, exact: bool = False) -> bool:
    """Whether a value is another one; a change of case alone counts where the target attribute is caseExact (entra-docs)."""
    before, after = "" if now is None else str(now), str(wanted)
    return before != after if exact else before.lower() != after.lower()


def operations(now: dict[str, Any], changed: dict[str, Any], *, is_compliant: bool) -> list[Document]:
    """Return the PATCH operations that bring changed values to what is there now.

    The old dialect has capitalised names, one operation an attribute, and booleans as texts. The compliant one has
    lower-case names, a boolean `active`, and one path-less `replace` whose keys are dotted when several attributes change.
    """
    if not is_compliant:
        return [{"op": "Replace" if path in now else "Add", "path": path, "value": value} for path, value in changed.items()]
    values = {path: str(value).lower() == "true" if path == "active" else value for path, value in changed.items()}
    listed = {path: value for path, value in values.items() if "[" in path}
    simple = {path: value for path, value in values.items() if "[" not in path}
    found: list[Document] = [
        {"op": "replace" if path in now else "add", "path": path, "value": value} for path, value in listed.items()
    ]
    added = {path: value for path, value in simple.items() if path not in now}
    found += [{"op": "add", "path": path, "value": value} for path, value in added.items()]
    replaced = {path: value for path, value in simple.items() if path in now}
    if len(replaced) == 1:
        path, value = next(iter(replaced.items()))
        found.append({"op": "replace", "path": path, "value": value})
    elif replaced:
        found.append({"op": "replace", "value": replaced})
    return found


def resource(values: dict[str, Any]) -> Document:
    """Return the body of a new user."""
    body: Document = {"schemas": [CORE, ENTERPRISE], "roles": [], "meta": {"resourceType": "User"}}
    for path, value in values.items():
        if path == "active":
            body["active"] = str(value).lower() == "true"
        elif path.startswith(f"{ENTERPRISE}:"):
            body.setdefault(ENTERPRISE, {})[path[len(ENTERPRISE) + 1 :]] = value
        elif "[" in path:
            name, rest = path.split("[", 1)
            kind, sub = rest.split('"')[1], path.rsplit(".", 1)[1]
            items = body.setdefault(name, [])
            item = next((item for item in items if item["type"] == kind), None)
            if item is None:
                item = {"type": kind, **({"primary": True} if name == "emails" else {})}
                items.append(item)
            item[sub] = value
        elif "." in path:
            name, sub = path.split(".", 1)
            body.setdefault(name, {})[sub] = value
        else:
            body[path] = value
    return body


def values_of(user: Document) -> dict[str, Any]:
    """Return a SCIM user's values by path, as attribute mappings spell them."""
    found: dict[str, Any] = {}
    for name, value in user.items():
        if name in ("schemas", "id", "meta"):
            continue
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            for item in value:
                found |= {f'{name}[type eq "{item.get("type")}"].{sub}': text for sub, text in item.items() if sub != "type"}
        elif isinstance(value, dict):
            joint = ":" if name == ENTERPRISE else "."
            found |= {f"{name}{joint}{sub}": text for sub, text in value.items()}
        else:
            found[name] = value
    return found
