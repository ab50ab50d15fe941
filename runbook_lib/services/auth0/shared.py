"""What all connections of one Auth0 tenant share, read once: each connection's own answers are then taken from the lists.

Source: Management API description: `GET /connections` with a strategy and `GET /connections-scim-configurations` answer the same
documents as the calls for one connection. Unverified: that the default mapping is the same for all connections of a strategy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from runbook_lib.http.ahead import Asked
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.wire_words import WAAD

Answers = list[tuple[Asked, Any]]  # None as the body: there is no such object


@dataclass(frozen=True)
class SharedAnswers:
    """The documents of all waad connections, as they came: they hold secrets, and are for no disk.

    Without their state a connection is its id and name alone, `configurations` is None, and only what no administrator can
    change is answered: the mapping that Auth0 proposes.
    """

    connections: Mapping[str, Any] = field(repr=False)
    configurations: Mapping[str, Any] | None = field(repr=False)
    default_mapping: Any = field(repr=False)

    def answers_for(self, wanted: str) -> Answers:
        """Return the answers about the connection of an id or exact name; none where it is not in the list."""
        for connection in self.connections.values():
            if wanted in (connection["id"], connection["name"]):
                path = f"/api/v2/connections/{connection['id']}"
                proposed: tuple[Asked, Any] = ((f"{path}/scim-configuration/default-mapping", ()), self.default_mapping)
                return [*self._state(wanted, connection, path), proposed]
        return []

    def _state(self, wanted: str, connection: Any, path: str) -> Answers:
        """Return the answers about the connection itself and its SCIM configuration."""
        if self.configurations is None:
            return []
        own: tuple[Asked, Any] = ((path, ()), connection)
        if wanted != connection["id"]:
            own = (("/api/v2/connections", (("name", wanted),)), [connection])
        return [own, ((f"{path}/scim-configuration", ()), self.configurations.get(connection["id"]))]


def read_shared(management: Auth0Management, most: int, *, with_state: bool = True) -> SharedAnswers | None:
    """Read the lists; None where the tenant has more than `most` connections, of which too few are wanted, or none.

    Raises `ApiError`, `TransportError`.
    """
    connections = {one["id"]: one for one in islice(management.listed("connections", WAAD), most + 1)}
    if not 0 < len(connections) <= most:
        return None
    default_mapping = management.service.read(f"/api/v2/connections/{next(iter(connections))}/scim-configuration/default-mapping")
    if not with_state:
        named = {name: {"id": name, "name": one["name"]} for name, one in connections.items()}
        return SharedAnswers(named, None, default_mapping)
    configurations = {one["connection_id"]: one for one in management.listed("scim_configurations")}
    return SharedAnswers(connections, configurations, default_mapping)
