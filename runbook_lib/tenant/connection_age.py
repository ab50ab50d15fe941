"""Which of Auth0's two pages a connection belongs to: one verdict for two steps, the form and the inventory.

Sources: Auth0's pages on inbound SCIM for older and for new Azure AD connections; its page on Azure AD v2, which warns that user
ids of v1 connections differ. The attribute was offered from 2024 on, so an older connection has no such key
(terraform-provider-auth0 issue 1006).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbook_lib.services.auth0.models import Connection
from runbook_lib.services.wire_json import Json

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


def connection_age(connection: Connection, users: int | None) -> ConnectionAge:
    """Judge a connection by its options and by whether it has users; None users: not counted."""
    options = connection.options
    if not options:
        return ConnectionAge("unsure", "Its options are not readable with this sign-in, so nothing can be said.")
    if connection.user_id_attribute_type == "oid":
        return ConnectionAge("newer", "User ids come from the object id (oid).", "User ids come from the object id (oid).")
    if connection.uses_common_endpoint:
        why = "The common endpoint is on: people from other directories sign in here, and SCIM cannot be used."
        return ConnectionAge("unsure", why, _doubt(options))
    if doubt := _doubt(options):
        return ConnectionAge("unsure", doubt, doubt)
    if users == 0:
        return ConnectionAge("unsure", "It has no users yet: switching it to oid and following the other page is simpler.")
    about = "is sub" if connection.user_id_attribute_type else "is not set, which works as sub"
    return ConnectionAge("older", f"User ids are pairwise: the attribute {about}{f', and {users} users exist' if users else ''}.")


def _doubt(options: Json) -> str:
    """Return why user ids may be no pairwise subjects of OpenID Connect, empty when nothing says so."""
    attribute = options.get("userid_attribute")
    if attribute not in (None, "", "sub"):
        return f"The user id attribute is {attribute}, which is neither sub nor oid."
    if options.get("identity_api") == _V1:
        return "It uses Azure AD v1, whose user id may be another claim."
    if _is_on(options.get("use_wsfed")) or str(options.get("waad_protocol") or "").lower() in ("ws-federation", "wsfed"):
        return "It signs in by WS-Federation, whose user id is another claim than the subject of OpenID Connect."
    named = str(options.get("tenant_domain") or options.get("domain") or "").lower()
    if named in _OF_ANY_TENANT:
        return f"It signs in through the endpoint {named}, which is of no single Entra tenant."
    return ""


def _is_on(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
