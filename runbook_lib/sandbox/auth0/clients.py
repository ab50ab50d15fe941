"""The applications of the Auth0 tenant."""

from __future__ import annotations

from dataclasses import replace

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.door import needs, paged
from runbook_lib.sandbox.auth0.errors import error
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.world import Document, World

APP_TYPE = "non_interactive"


@needs("GET", "/api/v2/clients", "read:clients", "read:client_keys", "read:client_summary", query=rules.CLIENTS)
def list_clients(world: World, call: Call) -> Answer:
    """Answer the applications, without their secrets. All are first-party, machine-to-machine, and none is the global one."""
    if call.argument("q") is not None:
        refused = error(400, "The sandbox does not search applications by q", "invalid_query_string")
        return replace(refused, headers={"x-sandbox": "not simulated"})
    kinds = call.argument("app_type")
    excluded = (
        call.argument("is_global") == "true"
        or call.argument("is_first_party") == "false"
        or call.argument("external_client_id") is not None
        or (kinds is not None and APP_TYPE not in kinds.split(","))
    )
    found: list[Document] = [
        {"client_id": client.client_id, "name": client.name, "app_type": APP_TYPE, "is_first_party": True, "global": False}
        for client in world.auth0.clients.values()
        if not excluded
    ]
    return paged(call, "clients", found)
