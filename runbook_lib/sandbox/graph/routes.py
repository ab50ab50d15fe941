"""All routes of Microsoft Graph v1.0 that the sandbox simulates. Importing this registers them on `router`."""

from __future__ import annotations

from runbook_lib.sandbox.graph import batch as _batch
from runbook_lib.sandbox.graph import people as _people
from runbook_lib.sandbox.graph import synchronization as _synchronization
from runbook_lib.sandbox.graph.applications import TEMPLATE_ID, USER_ROLE, new_application, new_assignment
from runbook_lib.sandbox.graph.door import router

__all__ = ["REGISTERED", "TEMPLATE_ID", "USER_ROLE", "new_application", "new_assignment", "router"]

REGISTERED = (_batch, _people, _synchronization)
