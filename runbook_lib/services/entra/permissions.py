"""Which Graph permission a refused request needs. Source: the section Permissions of each request's page in the Graph reference.

Named is the least one that this tool asks for; a larger one does as well (`wire_words.GRAPH_PERMISSIONS`).
"""

from __future__ import annotations

import re
from typing import Final

from runbook_lib.core.errors import ApiError
from runbook_lib.core.remedies import remedy

_MISSING: Final = "RB-402"
_SP: Final = r"/servicePrincipals/[^/]+"
_NEEDED: Final = (
    (r"GET|POST|PUT|DELETE", rf"{_SP}/synchronization\b.*", "Synchronization.ReadWrite.All"),
    (r"POST|DELETE", rf"{_SP}/appRoleAssignedTo\b.*", "AppRoleAssignment.ReadWrite.All"),
    (r"POST|PATCH|DELETE", r"/(?:applicationTemplates|servicePrincipals|applications)\b.*", "Application.ReadWrite.All"),
    (r"GET", r"/(?:applicationTemplates|servicePrincipals|applications)\b.*", "Application.Read.All"),
    (r"GET", r"/organization\b.*", "Organization.Read.All"),
    (r"GET", r"/auditLogs/.*", "AuditLog.Read.All"),
    (r"GET", r"/groups/.*|/users/[^/]+/memberOf\b.*", "GroupMember.Read.All"),
    (r"GET", r"/(?:users|directory/deletedItems)\b.*", "User.Read.All"),
)


def name_permission(refused: ApiError, method: str, path: str) -> None:
    """Put the permission that the request needs into the remedy of a refusal that names none."""
    if (name := needed_for(method, path)) and refused.do_now.endswith(f"(see: {_MISSING})"):
        refused.do_now = remedy(_MISSING).words(permissions=name)


def needed_for(method: str, path: str) -> str:
    """Return the permission that a request needs, empty for one that this tool does not make."""
    return next(
        (name for methods, paths, name in _NEEDED if re.fullmatch(methods, method) and re.fullmatch(paths, path)),
        "",
    )
