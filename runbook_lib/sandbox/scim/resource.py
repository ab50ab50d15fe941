"""Between Auth0 user profiles and SCIM users, through a connection's mapping. Source: Auth0 docs, configure-inbound-scim."""

from __future__ import annotations

import re
from typing import Any

from runbook_lib.sandbox.world import Document


class NotBoolean(ValueError):
    """A text for `active` that is neither true nor false."""


ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_FILTERED = re.compile(r'^(\w+)\[(\w+) eq "([^"]*)"\](?:\.(\w+))?$')


def attribute(path: str) -> str:
    """Return a SCIM path as mappings spell it: the enterprise schema is joined with a dot there, with a colon by Entra."""
    prefix = f"{ENTERPRISE}:"
    return f"{ENTERPRISE}.{path[len(prefix) :]}" if path.lower().startswith(prefix.lower()) else path


def get(profile: Document, auth0: str) -> Any:
    """Return a profile value by its dotted Auth0 path."""
    value: Any = profile
    for key in auth0.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def put(profile: Document, auth0: str, value: Any) -> None:
    """Set a profile value by its dotted Auth0 path; None removes it.

    Unverified: what stands where the path needs an object gives way to one.
    """
    *parents, last = auth0.split(".")
    for key in parents:
        if not isinstance(profile.get(key), dict):
            profile[key] = {}
        profile = profile[key]
    if value is None:
        profile.pop(last, None)
    else:
        profile[last] = value


def scim_value(profile: Document, row: Document) -> Any:
    """Return what SCIM shows for one mapping row; `active` is `blocked` turned round."""
    value = get(profile, row["auth0"])
    return not value if row["auth0"] == "blocked" else value


def set_scim_value(profile: Document, row: Document, value: Any) -> None:
    """Store a SCIM value through one mapping row; None removes it. Entra sends booleans as texts too, in any case.

    Raises `NotBoolean`. Unverified: a user whose `active` is removed is not blocked.
    """
    if row["auth0"] == "blocked" and value is not None:
        active = {"true": True, "false": False}.get(str(value).strip().lower()) if isinstance(value, bool | str) else None
        if active is None:
            raise NotBoolean(f"active is true or false, not {value!r:.50}")
        put(profile, "blocked", not active)
    else:
        put(profile, row["auth0"], value)


def user_resource(user_id: str, profile: Document, mapping: list[Document], location: str) -> Document:
    """Return the SCIM user of a profile; attributes outside the mapping do not appear."""
    resource: Document = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": user_id}
    for row in mapping:
        value = scim_value(profile, row)
        if value is not None:
            _place(resource, row["scim"], value)
    if ENTERPRISE in resource:
        resource["schemas"].append(ENTERPRISE)
    resource["meta"] = {"resourceType": "User", "location": location}
    return resource


def _place(resource: Document, path: str, value: Any) -> None:
    if path.startswith(f"{ENTERPRISE}."):
        resource.setdefault(ENTERPRISE, {})[path[len(ENTERPRISE) + 1 :]] = value
    elif filtered := _FILTERED.match(path):
        name, key, wanted, sub = filtered.groups()
        items = resource.setdefault(name, [])
        item = next((item for item in items if item.get(key) == wanted), None)
        if item is None:
            item = {key: wanted}
            items.append(item)
        item[sub or "value"] = value
    else:
        *parents, last = path.split(".")
        for parent in parents:
            resource = resource.setdefault(parent, {})
        resource[last] = value


def below(path: str, mapping: list[Document]) -> list[str]:
    """Return the mapped SCIM paths that stand below one: `name.givenName` below `name`."""
    start = attribute(path).lower()
    return [row["scim"] for row in mapping if row["scim"].lower().startswith((f"{start}.", f"{start}["))]


def flattened(resource: Document) -> dict[str, Any]:
    """Return a SCIM user's values by path, as mappings spell them; `id`, `meta` and `schemas` are left out."""
    found: dict[str, Any] = {}
    for name, value in resource.items():
        if name in ("schemas", "id", "meta"):
            continue
        if isinstance(value, list):
            for item in value:
                kind = item.get("type") if isinstance(item, dict) else None
                if kind:
                    found |= {
                        f'{name}[type eq "{kind}"].{sub}': text for sub, text in item.items() if sub not in ("type", "primary")
                    }
        elif isinstance(value, dict):
            found |= {f"{name}.{sub}": text for sub, text in value.items()}
        else:
            found[name] = value
    return found
