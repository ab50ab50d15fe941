"""Which of Auth0's two pages a connection belongs to: one verdict for two steps, the form and the inventory.

Sources: Auth0's pages on inbound SCIM for older and for new Azure AD connections; its page on Azure AD v2, which warns that user
ids of v1 connections differ. The attribute was offered from 2024 on, so an older connection has no such key
(terraform-provider-auth0 issue 1006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbook_lib.services.auth0.models import Connection, SeenUsers
from runbook_lib.services.wire_json import Json
from runbook_lib.services.wire_words import WAAD
from runbook_lib.settings.texts import is_guid

_V1 = "azure-active-directory-v1.0"
_OF_ANY_TENANT = ("common", "organizations", "consumers")  # Microsoft identity platform, endpoints without a tenant


@dataclass(frozen=True)
class ConnectionAge:
    """`kind` is older, newer or unsure; `why` is a whole sentence.

    `doubt` says, also in a sentence, why user ids of existing people may be no pairwise subjects; empty when nothing says so.
    """

    kind: str
    why: str
    doubt: str = ""


def connection_age(connection: Connection, users: SeenUsers | None) -> ConnectionAge:
    """Judge a connection by its options, by whether it has users and by their ids; `None` users were not counted."""
    options = connection.options
    if not options:
        return ConnectionAge("unsure", "This sign-in cannot read the options of the connection, so its age is unknown.")
    if connection.user_id_attribute_type == "oid":
        return ConnectionAge("newer", "User ids come from the object id (oid).", "User ids come from the object id (oid).")
    if connection.uses_common_endpoint:
        why = "The common endpoint is on: users from other directories sign in here, and SCIM does not work."
        return ConnectionAge("unsure", why, _doubt(options))
    if doubt := _doubt(options) or _doubt_of_ids(users.ids if users else ()):
        return ConnectionAge("unsure", doubt, doubt)
    if users is not None and users.total == 0:
        return ConnectionAge(
            "unsure", "The connection has no users yet: it is simpler to switch it to oid and follow the other page."
        )
    about = "is sub" if connection.user_id_attribute_type else "is not set, which works as sub"
    counted = f", and {users.total} users exist" if users else ""
    return ConnectionAge("older", f"User ids are pairwise: the attribute {about}{counted}.")


def _doubt(options: Json) -> str:
    """Return why user ids may not be pairwise subjects of OpenID Connect; empty when nothing says so."""
    attribute = options.get("userid_attribute")
    if attribute not in (None, "", "sub"):
        return f"The user id attribute is {attribute}, neither sub nor oid."
    if options.get("identity_api") == _V1:
        return "The connection uses Azure AD v1, whose user id may be another claim."
    if _is_on(options.get("use_wsfed")) or str(options.get("waad_protocol") or "").lower() in ("ws-federation", "wsfed"):
        return "The connection uses WS-Federation, whose user id is not the subject claim of OpenID Connect."
    named = str(options.get("tenant_domain") or options.get("domain") or "").lower()
    if named in _OF_ANY_TENANT:
        return f"The connection uses the endpoint {named}, which does not belong to a single Entra tenant."
    return ""


def _doubt_of_ids(ids: tuple[str, ...]) -> str:
    """Return why the users' own ids are not pairwise subjects; empty when most of them may be.

    Under `oid` the last part of an id is the Entra object id (ids in public issues). A PATCH of the options that left the
    attribute out has turned such a connection to sub (terraform-provider-auth0 issue 1006).
    """
    own = [one.rpartition("|")[2] for one in ids if one.startswith(f"{WAAD}|")]
    object_ids, names = sum(is_guid(one) for one in own), sum("@" in one for one in own)
    if 2 * object_ids > len(own):
        return f"Of {len(own)} user ids looked at, {object_ids} end in an Entra object id, so these people signed in by oid."
    if 2 * names > len(own):
        return f"Of {len(own)} user ids looked at, {names} end in a user name, so these people signed in by another claim."
    return ""


def _is_on(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
