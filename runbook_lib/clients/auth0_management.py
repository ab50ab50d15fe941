"""The Auth0 Management API, as far as the procedure needs it. Source: Auth0's API description, management-api-oas.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from runbook_lib.errors import ApiError
from runbook_lib.http import Request, Service, segment
from runbook_lib.models import (
    Auth0User,
    Connection,
    ScimConfiguration,
    ScimLogEntry,
    ScimMappingRow,
    ScimToken,
    mapping_rows,
)

SERVICE = "auth0"
PAGE_SIZE = "100"  # the most a list call gives at once
_SEARCH_PAGES = 10  # both end at 1,000 (docs-v2, view-search-results-by-page and retrieve-log-events-using-mgmt-api)
_EMAILS_A_SEARCH = 50  # keeps the address of the request below 4,000 characters as a rule


class Auth0Management:
    """Typed reads of one Auth0 tenant. Every method raises `ApiError` or `TransportError`."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def connection_by_id(self, connection_id: str) -> Connection | None:
        """Return the connection, or None when there is none of that id."""
        try:
            return Connection.from_wire(self.service.read(_connection(connection_id)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def connections_by_name(self, name: str) -> tuple[Connection, ...]:
        """Return the connections of exactly that name: none or one, names being unique in a tenant."""
        body = self.service.read("/api/v2/connections", (("name", name),))
        return tuple(Connection.from_wire(entry) for entry in body)

    def connections_of(self, strategy: str) -> tuple[Connection, ...]:
        """Return every connection of a strategy, by checkpoints: offsets end at 1,000 (docs-v2, deprecations)."""
        found = self._by_checkpoints("/api/v2/connections", "connections", (("strategy", strategy),))
        return tuple(Connection.from_wire(entry) for entry in found)

    def scim_configurations(self) -> tuple[ScimConfiguration, ...]:
        """Return every SCIM configuration of the tenant (API description, connections-scim-configurations)."""
        found = self._by_checkpoints("/api/v2/connections-scim-configurations", "scim_configurations")
        return tuple(ScimConfiguration.from_wire(entry) for entry in found)

    def _by_checkpoints(self, path: str, key: str, query: tuple[tuple[str, str], ...] = ()) -> Iterator[Any]:
        """Yield the entries of a list, page after page. A checkpoint that comes again is the end: it would go in a circle."""
        query, seen = (*query, ("take", PAGE_SIZE)), {""}
        following = ""
        while True:
            body = self.service.read(path, (*query, ("from", following)) if following else query)
            yield from body[key]
            following = str(body.get("next") or "")
            if following in seen:
                return
            seen.add(following)

    def scim_configuration(self, connection_id: str) -> ScimConfiguration | None:
        """Return the SCIM configuration, or None when SCIM is off.

        A 404 has two meanings; only the one without an error code says "not configured" (recorded, TestAccSCIMConfiguration 17).
        """
        try:
            return ScimConfiguration.from_wire(self.service.read(_scim(connection_id)))
        except ApiError as error:
            if error.status == 404 and error.code != "inexistent_connection":
                return None
            raise

    def default_mapping(self, connection_id: str) -> tuple[ScimMappingRow, ...]:
        """Return the SCIM mapping that Auth0 proposes for this connection."""
        return mapping_rows(self.service.read(f"{_scim(connection_id)}/default-mapping"))

    def scim_tokens(self, connection_id: str) -> tuple[ScimToken, ...]:
        """Return the connection's SCIM tokens, without their texts."""
        return tuple(ScimToken.from_wire(entry) for entry in self.service.read(f"{_scim(connection_id)}/tokens"))

    def user_count(self, connection_name: str) -> int:
        """Return how many users have an identity of the connection. The search may lag some seconds behind."""
        query = (("q", f"identities.connection:{_quoted(connection_name)}"), ("per_page", "1"), ("include_totals", "true"))
        return int(self.service.read("/api/v2/users", query)["total"])

    def users_of_connection(self, connection_name: str, emails: Sequence[str]) -> tuple[Auth0User, ...]:
        """Return the connection's users that have one of the mail addresses, without their profiles, 50 addresses a request.

        The search may lag some seconds behind (Auth0 docs, user-search-query-syntax: phrases in quotes, AND, OR, parentheses).
        """
        found: list[Auth0User] = []
        for start in range(0, len(emails), _EMAILS_A_SEARCH):
            any_of = " OR ".join(f"email:{_quoted(email)}" for email in emails[start : start + _EMAILS_A_SEARCH])
            query = f"identities.connection:{_quoted(connection_name)} AND ({any_of})"
            fields = "user_id,email,blocked,identities"
            users = map(Auth0User.from_wire, self._by_pages("/api/v2/users", (("q", query), ("fields", fields))))
            found += (replace(user, profile={}) for user in users)
        return tuple(found)

    def users_by_email(self, email: str) -> tuple[Auth0User, ...]:
        """Return the users of that mail address, of every connection. Consistent at once, unlike the search."""
        body = self.service.read("/api/v2/users-by-email", (("email", email.lower()),))
        return tuple(Auth0User.from_wire(entry) for entry in body)

    def users_known_as(self, connection_name: str, name: str) -> tuple[Auth0User, ...]:
        """Return the connection's users that Entra would call so: by mail address or `upn`, or by object id.

        Sign-in stores `upn` and `oid` (Auth0 community 113967), SCIM the former. Unverified: that the search finds by them.
        """
        keys = ("app_metadata.external_id", "oid") if "@" not in name else ("email", "upn")
        any_of = " OR ".join(f"{key}:{_quoted(name.lower() if key == 'email' else name)}" for key in keys)
        query = f"identities.connection:{_quoted(connection_name)} AND ({any_of})"
        return tuple(map(Auth0User.from_wire, self._by_pages("/api/v2/users", (("q", query),))))

    def scim_log(self, connection_id: str) -> tuple[ScimLogEntry, ...]:
        """Return the latest requests to the connection's SCIM endpoint, newest first; those among the last 1,000 of the tenant.

        The entries name the connection inside `details`, so that it is not among the searchable fields: it is looked for here.
        """
        query = (("q", "type:sscim OR type:fscim"), ("sort", "date:-1"))
        found = map(ScimLogEntry.from_wire, self._by_pages("/api/v2/logs", query))
        return tuple(entry for entry in found if entry.connection_id == connection_id)

    def _by_pages(self, path: str, query: tuple[tuple[str, str], ...]) -> Iterator[Any]:
        """Yield what a search of users or of the log finds, page after page, up to the 1,000 at which one ends."""
        for page in range(_SEARCH_PAGES):
            body = self.service.read(path, (*query, ("per_page", PAGE_SIZE), ("page", str(page))))
            yield from body
            if len(body) < int(PAGE_SIZE):
                return

    def user(self, user_id: str) -> Auth0User | None:
        """Return one user, or None."""
        try:
            return Auth0User.from_wire(self.service.read(f"/api/v2/users/{segment(user_id)}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def _quoted(text: str) -> str:
    """Return a text as a phrase of a Lucene query."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def patch_connection(connection: Connection, options: Mapping[str, Any]) -> Request:
    """Build the PATCH that replaces the options.

    The body carries all options, because `options` is replaced whole, and `display_name`, because it is reset to the name
    when left out. Null values go back as they were read: leaving one out would drop the key.
    """
    body: dict[str, Any] = {"options": dict(options)}
    if connection.display_name is not None:
        body["display_name"] = connection.display_name
    return Request(SERVICE, "PATCH", _connection(connection.id), body=body)


def post_scim_configuration(connection_id: str) -> Request:
    """Build the POST that turns SCIM on. An empty body gets waad's defaults: externalId and 30 rows (recorded)."""
    return Request(SERVICE, "POST", _scim(connection_id), body={})


def patch_scim_configuration(scim: ScimConfiguration, user_id_attribute: str, mapping: tuple[ScimMappingRow, ...]) -> Request:
    """Build the PATCH of a SCIM configuration; both fields are required and `mapping` is replaced."""
    rows = [{"scim": row.scim, "auth0": row.auth0} for row in mapping]
    return Request(SERVICE, "PATCH", _scim(scim.connection_id), body={"user_id_attribute": user_id_attribute, "mapping": rows})


def delete_scim_configuration(connection_id: str) -> Request:
    """Build the DELETE that turns SCIM off."""
    return Request(SERVICE, "DELETE", _scim(connection_id))


def post_scim_token(connection_id: str, scopes: tuple[str, ...], lifetime_s: int | None) -> Request:
    """Build the POST of a SCIM token. `lifetime_s` must be over 900; None means that it never ends."""
    body: dict[str, Any] = {"scopes": list(scopes)}
    if lifetime_s is not None:
        body["token_lifetime"] = lifetime_s
    return Request(SERVICE, "POST", f"{_scim(connection_id)}/tokens", body=body)


def delete_scim_token(connection_id: str, token_id: str) -> Request:
    """Build the DELETE of a SCIM token."""
    return Request(SERVICE, "DELETE", f"{_scim(connection_id)}/tokens/{segment(token_id)}")


def scim_endpoint_url(auth0_domain: str, connection_id: str) -> str:
    """Return the SCIM endpoint URL. No API answers it; Auth0's own page builds it this way (docs-v2, universal components)."""
    return f"https://{auth0_domain}/scim/v2/connections/{connection_id}/"


def _connection(connection_id: str) -> str:
    return f"/api/v2/connections/{segment(connection_id)}"


def _scim(connection_id: str) -> str:
    return f"{_connection(connection_id)}/scim-configuration"
