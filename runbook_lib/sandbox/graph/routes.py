"""All routes of Microsoft Graph that the sandbox simulates, v1.0 and one of beta. Importing this registers them on `router`."""

from __future__ import annotations

from runbook_lib.sandbox.graph import batch as _batch
from runbook_lib.sandbox.graph import credentials as _credentials
from runbook_lib.sandbox.graph import links as _links
from runbook_lib.sandbox.graph import on_demand as _on_demand
from runbook_lib.sandbox.graph import people as _people
from runbook_lib.sandbox.graph import schemas as _schemas
from runbook_lib.sandbox.graph import synchronization as _synchronization
from runbook_lib.sandbox.graph.applications import TEMPLATE_ID, USER_ROLE, new_application, new_assignment
from runbook_lib.sandbox.graph.door import router

__all__ = ["REGISTERED", "TEMPLATE_ID", "USER_ROLE", "new_application", "new_assignment", "router"]

REGISTERED = (_batch, _credentials, _links, _on_demand, _people, _schemas, _synchronization)
