"""The Auth0 Management API, as far as the procedure needs it. Source: Auth0's API description, management-api-oas.json."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.core.json_text import parsed
from runbook_lib.http.message import Request, segment, understood
from runbook_lib.http.service import Service
from runbook_lib.services.auth0.models import (
    Auth0User,
    Connection,
    ScimConfiguration,
    ScimLogEntry,
    ScimMappingRow,
    ScimToken,
    SeenUsers,
    mapping_rows,
)
from runbook_lib.services.wire_json import Json

SERVICE = "auth0"
PAGE_SIZE = "100"  # the most a list call gives at once
_SEARCH_PAGES = 10  # both end at 1,000 (docs-v2, view-search-results-by-page and retrieve-log-events-using-mgmt-api)
_FIELDS_LOOKED_THROUGH = ("user_id", "email", "upn", "oid", "blocked", "identities", "app_metadata")
_PAIRS_A_SEARCH = 25  # keeps the address of the request below 4,000 characters as a rule


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
        return tuple(Connection.from_wire(entry) for entry in self.listed("connections", strategy))

    def scim_configurations(self) -> tuple[ScimConfiguration, ...]:
        """Return every SCIM configuration of the tenant (API description, connections-scim-configurations)."""
        return tuple(ScimConfiguration.from_wire(entry) for entry in self.listed("scim_configurations"))

    def listed(self, what: Literal["connections", "scim_configurations"], strategy: str = "") -> Iterator[Any]:
        """Yield the documents of a list as they come, page after page."""
        path = "/api/v2/connections" if what == "connections" else "/api/v2/connections-scim-configurations"
        yield from self._by_checkpoints(path, what, (("strategy", strategy),) if strategy else ())

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

    def seen_users(self, connection_name: str, fields: Sequence[str] = ("user_id",)) -> SeenUsers:
        """Return how many users have an identity of the connection, and the ids of the first hundred, by one request.

        The search may lag some seconds behind.
        """
        total, found = self.users_of_connection(connection_name, fields)
        return SeenUsers(total, tuple(str(user["user_id"]) for user in islice(found, int(PAGE_SIZE))))

    def users_of_connection(self, connection_name: str, fields: Sequence[str]) -> tuple[int, Iterator[Json]]:
        """Return how many users the connection has, and the users with these root fields, up to the 1,000 at which a search ends.

        The search may lag some seconds behind (Auth0 docs, user-search-query-syntax). The users are read as they are taken.
        """
        query = (("q", f"identities.connection:{_quoted(connection_name)}"), ("fields", ",".join(fields)))
        body = self.service.read("/api/v2/users", (*query, ("per_page", PAGE_SIZE), ("page", "0"), ("include_totals", "true")))
        first, total = body["users"], int(body["total"])

        def everybody() -> Iterator[Json]:
            yield from first
            if total > len(first):
                yield from self._by_pages("/api/v2/users", query, first=1)

        return total, everybody()

    def users_with(self, connection_name: str, pairs: Sequence[tuple[str, str]], fields: Sequence[str]) -> Iterator[Json]:
        """Yield the connection's users that have one of these (field, value), 25 a search, with these root fields."""
        for start in range(0, len(pairs), _PAIRS_A_SEARCH):
            any_of = " OR ".join(f"{name}:{_quoted(value)}" for name, value in pairs[start : start + _PAIRS_A_SEARCH])
            query = f"identities.connection:{_quoted(connection_name)} AND ({any_of})"
            yield from self._by_pages("/api/v2/users", (("q", query), ("fields", ",".join(fields))))

    def exported_users(self, connection_id: str, fields: Sequence[str]) -> Iterator[Json]:
        """Yield every user of a connection, however many, from an export job, with these root fields.

        The job is asked for until it is done; its file is gzipped, one JSON object a line, on another host, to which the token
        does not go; its link is good for 60 s (docs-v2, bulk-user-exports; Management API reference, jobs). It is read in parts
        and kept nowhere. Raises `ApiError`, `TransportError`.
        """
        body = {"connection_id": connection_id, "format": "json", "fields": [{"name": name} for name in fields]}
        job_id = str(self.service.send(Request(SERVICE, "POST", "/api/v2/jobs/users-exports", body=body)).body["id"])
        lines = _lines(self.service.parts_elsewhere(self._exported(job_id)))
        with understood("the file of exported users"):
            yield from (parsed(line) for line in lines if line.strip())

    def _exported(self, job_id: str) -> str:
        """Return the link of a finished export job. Raises `TransportError` when it failed or takes too long."""
        path = f"/api/v2/jobs/{segment(job_id)}"
        for _ in self.service.waits():
            job = self.service.read(path)
            if job["status"] == "completed":
                return str(job["location"])
            if job["status"] == "failed":
                raise TransportError("Exporting the users of the connection", "the job failed", ambiguous=False, is_final=True)
        raise TransportError("Exporting the users of the connection", "the job is not done yet", ambiguous=False, is_final=True)

    def users_by_email(self, email: str) -> tuple[Auth0User, ...]:
        """Return the users of that mail address, of every connection. Consistent at once, unlike the search.

        Auth0 keeps an enterprise user's address as Entra sent it, and compares it case-sensitively (user-profile-structure page,
        Management API description): asked for as it is given, and in lower case, as older profiles hold it.
        """
        found: dict[str, Auth0User] = {}
        for spelling in dict.fromkeys((email, email.lower())):
            body = self.service.read("/api/v2/users-by-email", (("email", spelling),))
            found |= {user.user_id: user for user in map(Auth0User.from_wire, body)}
        return tuple(found.values())

    def users_known_as(self, connection_name: str, name: str) -> tuple[Auth0User, ...]:
        """Return the connection's users that Entra would call so: by mail address or `upn`, or by object id.

        Sign-in stores `upn` and `oid` (Auth0 community 113967), SCIM the former. Auth0's page on profiles lists neither among
        the fields that a search finds by, so that an empty answer proves nothing when `name` is a `upn` or an object id.
        """
        keys = ("app_metadata.external_id", "oid") if "@" not in name else ("email", "upn")
        any_of = " OR ".join(f"{key}:{_quoted(name.lower() if key == 'email' else name)}" for key in keys)
        query = f"identities.connection:{_quoted(connection_name)} AND ({any_of})"
        return tuple(map(Auth0User.from_wire, self._by_pages("/api/v2/users", (("q", query),))))

    def users_looked_through(self, connection_name: str, name: str) -> tuple[Auth0User, ...]:
        """Return the users of that `upn`, mail address or `oid`, capitals aside, among the first 1,000 of the connection.

        For what the search may not find by (`users_known_as`): the profiles are read and compared here.
        """
        _total, everybody = self.users_of_connection(connection_name, _FIELDS_LOOKED_THROUGH)
        return tuple(Auth0User.from_wire(body) for body in everybody if is_called(body, name))

    def scim_log(self, connection_id: str) -> tuple[ScimLogEntry, ...]:
        """Return the latest requests to the connection's SCIM endpoint, newest first; those among the last 1,000 of the tenant.

        The entries name the connection inside `details`, so that it is not among the searchable fields: it is looked for here.
        """
        query = (("q", "type:sscim OR type:fscim"), ("sort", "date:-1"))
        found = map(ScimLogEntry.from_wire, self._by_pages("/api/v2/logs", query))
        return tuple(entry for entry in found if entry.connection_id == connection_id)

    def _by_pages(self, path: str, query: tuple[tuple[str, str], ...], first: int = 0) -> Iterator[Any]:
        """Yield what a search of users or of the log finds, page after page, up to the 1,000 at which one ends."""
        for page in range(first, _SEARCH_PAGES):
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


def is_called(profile: Json, name: str) -> bool:
    """Whether a profile's `upn`, mail address or `oid` is `name`, capitals aside."""
    return name.lower() in {str(profile.get(field) or "").lower() for field in ("upn", "email", "oid")}


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a gzipped file as its parts arrive. Raises `ValueError` for a file that is cut short or no gzip."""
    unzip, rest = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), b""
    for part in parts:
        try:
            *lines, rest = (rest + unzip.decompress(part)).split(b"\n")
        except zlib.error as broken:
            raise ValueError(f"no gzip ({broken})") from None
        yield from lines
    if not unzip.eof:
        raise ValueError("the file is cut short")
    yield rest


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
