"""Directory objects: organization, applications, service principals, users, groups, assignments, batch."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from runbook_lib.sandbox.exchange import Answer, Call, Handler, Router
from runbook_lib.sandbox.graph.errors import bad, error, not_found, usual
from runbook_lib.sandbox.world import Document, EntraTenant, World

router = Router()
V1 = "/v1.0"
TEMPLATE_ID = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"
REPLICATION_READS = 2
USER_ROLE = "18d14569-c3bd-439b-9a66-3a2aee01d14f"
_ZERO = "00000000-0000-0000-0000-000000000000"
_READ_APPLICATIONS = (
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
)
_WRITE_APPLICATIONS = ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy")
_READ_USERS = ("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_READ_GROUPS = ("Group.Read.All", "GroupMember.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
_LISTING = ("$filter", "$select", "$top", "$count", "$skiptoken", "$search", "$orderby")


def tenant_of(world: World, call: Call) -> EntraTenant | None:
    """Return the tenant of a call's token, None when the token is missing, unknown or expired."""
    text = call.bearer() or ""
    for tenant in world.entra.values():
        if (grant := tenant.access_tokens.get(text)) and grant["expires"] > world.clock.timestamp():
            return tenant
    return None


def needs(
    method: str, template: str, permissions: Iterable[str], *, query: Iterable[str] = ("$select",), holds_the_world: bool = True
) -> Callable[[Callable[[World, Call, EntraTenant], Answer]], Handler]:
    """Register a handler `(world, call, tenant)` that runs with a token holding one of the permissions (reference pages)."""
    allowed, enough = frozenset(query), frozenset(permissions)

    def register(handler: Callable[[World, Call, EntraTenant], Answer]) -> Handler:
        def checked(world: World, call: Call) -> Answer:
            tenant = tenant_of(world, call)
            if tenant is None:
                return usual(world, 401)
            if enough and not enough & set(tenant.access_tokens[call.bearer() or ""]["permissions"]):
                return usual(world, 403)
            if unknown := set(call.arguments()) - allowed:
                return bad(world, f"The query parameter '{sorted(unknown)[0]}' is not simulated.")
            return handler(world, call, tenant)

        return router.on(method, V1 + template, holds_the_world=holds_the_world)(checked)

    return register


# Lists ---------------------------------------------------------------------------------------------------------------

_CLAUSE = re.compile(r"^(?:(\w+) eq (?:'((?:[^']|'')*)'|(true|false))|startswith\((\w+), ?'((?:[^']|'')*)'\)|(\w+) in \((.*)\))$")


def matching(text: str | None) -> Callable[[Document], bool]:
    """Return a test for an OData filter of `eq`, `in`, `startswith` joined by `and`. Raises `ValueError` for others."""
    tests = [_clause(part.strip()) for part in re.split(r" and (?=(?:[^']*'[^']*')*[^']*$)", text or "") if part.strip()]
    return lambda document: all(test(document) for test in tests)


def _clause(text: str) -> Callable[[Document], bool]:
    match = _CLAUSE.match(text)
    if match is None:
        raise ValueError(f"Invalid filter clause: {text}")
    name, quoted, boolean, prefix_name, prefix, in_name, listed = match.groups()
    if in_name:
        wanted = {item.replace("''", "'").lower() for item in re.findall(r"'((?:[^']|'')*)'", listed)}
        return lambda document: str(document.get(in_name)).lower() in wanted
    if prefix_name:
        return lambda document: str(document.get(prefix_name) or "").lower().startswith(prefix.replace("''", "'").lower())
    if boolean:
        return lambda document: document.get(name) is (boolean == "true")
    return lambda document: str(document.get(name)).lower() == quoted.replace("''", "'").lower()


def listing(world: World, call: Call, found: Iterable[Document], page_size: int = 100) -> Answer:
    """Answer a page of a list, filtered and selected; the next link repeats the query with a skip token."""
    try:
        test = matching(call.argument("$filter"))
    except ValueError as unsupported:
        return bad(world, str(unsupported))
    if call.argument("$search") is not None:
        if call.headers.get("consistencylevel", "").lower() != "eventual":
            return bad(
                world,
                "Request with $search query parameter only works with a special request header: 'ConsistencyLevel: eventual'",
            )
        name, _, words = (call.argument("$search") or "").strip('"').partition(":")
        found = [document for document in found if words.lower() in str(document.get(name) or "").lower()]
    items = [document for document in found if test(document)]
    size, start = int(call.argument("$top") or page_size), int(call.argument("$skiptoken") or 0)
    if not 1 <= size <= 999:
        return bad(world, "Invalid page size specified: must be between 1 and 999 inclusive.")
    body: Document = {"@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{call.path.removeprefix(V1 + '/')}"}
    if start + size < len(items):
        rest = [(name, value) for name, value in parse_qsl(call.query, keep_blank_values=True) if name != "$skiptoken"]
        body["@odata.nextLink"] = f"{call.origin}{call.path}?{urlencode([*rest, ('$skiptoken', str(start + size))])}"
    body["value"] = [selected(call, document) for document in items[start : start + size]]
    return Answer(200, body)


def selected(call: Call, document: Document) -> Document:
    """Return a copy of a document with the fields that `$select` names, or all."""
    names = (call.argument("$select") or "").split(",")
    return copy.deepcopy(document if names == [""] else {name: document[name] for name in ["id", *names] if name in document})


def one(world: World, call: Call, document: Document | None, object_id: str) -> Answer:
    """Answer one directory object, or its 404."""
    if document is None:
        return not_found(world, object_id)
    return Answer(
        200,
        {
            "@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{call.path.split('/')[2]}/$entity",
            **selected(call, document),
        },
    )


def visible(tenant: EntraTenant, object_id: str) -> bool:
    """Say whether a new object has replicated, counting this read."""
    left = tenant.readable_after.get(object_id, 0)
    if left > 0:
        tenant.readable_after[object_id] = left - 1
    return left <= 0


# Organization, applications, service principals ----------------------------------------------------------------------


@needs("GET", "/organization", ("Organization.Read.All", "Directory.Read.All", "User.Read", "Application.Read.All"))
def organization(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the tenant of the token."""
    domains = [{"name": tenant.domain, "isDefault": True, "isInitial": True, "type": "Managed", "capabilities": "Email"}]
    document = {"id": tenant.id, "displayName": tenant.display_name, "verifiedDomains": domains, "tenantType": "AAD"}
    context = "https://graph.microsoft.com/v1.0/$metadata#organization"
    return Answer(200, {"@odata.context": context, "value": [selected(call, document)]})


def _by_app_id(found: dict[str, Document], app_id: str) -> Document | None:
    return next((document for document in found.values() if document["appId"] == app_id.lower()), None)


@needs("GET", "/applications(appId='{app_id}')", _READ_APPLICATIONS)
def application_by_app_id(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an app registration by its appId."""
    return one(world, call, _by_app_id(tenant.applications, call.params["app_id"]), call.params["app_id"])


@needs("GET", "/applications", _READ_APPLICATIONS, query=_LISTING)
def list_applications(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List app registrations."""
    return listing(world, call, tenant.applications.values())


@needs("GET", "/applications/{id}", _READ_APPLICATIONS)
def application(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an app registration by object id."""
    return one(world, call, tenant.applications.get(call.params["id"]), call.params["id"])


@needs("DELETE", "/applications/{id}", _WRITE_APPLICATIONS)
def delete_application(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete an app registration and its service principal."""
    document = tenant.applications.pop(call.params["id"], None)
    if document is None:
        return not_found(world, call.params["id"])
    for service_principal_id in [k for k, v in tenant.service_principals.items() if v["appId"] == document["appId"]]:
        _forget_service_principal(tenant, service_principal_id)
    return Answer(204)


def _forget_service_principal(tenant: EntraTenant, service_principal_id: str) -> None:
    tenant.service_principals.pop(service_principal_id, None)
    tenant.provisioning.pop(service_principal_id, None)
    tenant.assignments = [a for a in tenant.assignments if a["resourceId"] != service_principal_id]


@needs("GET", "/servicePrincipals(appId='{app_id}')", _READ_APPLICATIONS)
def service_principal_by_app_id(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an enterprise application by its appId."""
    document = _by_app_id(tenant.service_principals, call.params["app_id"])
    if document and not visible(tenant, document["id"]):
        document = None
    return one(world, call, document, call.params["app_id"])


@needs("GET", "/servicePrincipals", _READ_APPLICATIONS, query=_LISTING)
def list_service_principals(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List enterprise applications that have replicated."""
    return listing(world, call, [document for document in tenant.service_principals.values() if visible(tenant, document["id"])])


@needs("GET", "/servicePrincipals/{id}", _READ_APPLICATIONS)
def service_principal(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an enterprise application by object id."""
    found = tenant.service_principals.get(call.params["id"]) if visible(tenant, call.params["id"]) else None
    return one(world, call, found, call.params["id"])


_SP_PATCHABLE = {"notes", "tags", "accountEnabled", "appRoleAssignmentRequired", "displayName", "notificationEmailAddresses"}


@needs("PATCH", "/servicePrincipals/{id}", _WRITE_APPLICATIONS)
def patch_service_principal(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change an enterprise application."""
    document, body = tenant.service_principals.get(call.params["id"]), call.json() or {}
    if document is None or not visible(tenant, call.params["id"]):
        return not_found(world, call.params["id"])
    if unknown := set(body) - _SP_PATCHABLE:
        return bad(world, f"Property {sorted(unknown)[0]} cannot be changed in the sandbox.")
    document.update(body)
    return Answer(204)


@needs("DELETE", "/servicePrincipals/{id}", _WRITE_APPLICATIONS)
def delete_service_principal(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete an enterprise application with its jobs and assignments."""
    if call.params["id"] not in tenant.service_principals:
        return not_found(world, call.params["id"])
    _forget_service_principal(tenant, call.params["id"])
    return Answer(204)


@needs("GET", "/applicationTemplates", (), query=_LISTING)
def list_templates(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """List the one template of the sandbox; the gallery shows it as Custom (terraform-provider-azuread 1099)."""
    return listing(world, call, [{"id": TEMPLATE_ID, "displayName": "Custom"}])


def instantiate(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Make a non-gallery application. Each call makes another one, of the same name if asked."""
    body = call.json() or {}
    if call.params["id"] != TEMPLATE_ID:
        return not_found(world, call.params["id"])
    if not body.get("displayName") or set(body) - {"displayName", "serviceManagementReference"}:
        return bad(world, "A value is required for property 'displayName' of resource 'ApplicationTemplate'.")
    made_application, made_principal = new_application(world, tenant, body["displayName"], TEMPLATE_ID)
    tenant.readable_after[made_principal["id"]] = REPLICATION_READS
    context = "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.applicationServicePrincipal"
    return Answer(201, {"@odata.context": context, "application": made_application, "servicePrincipal": made_principal})


for _path in ("instantiate", "microsoft.graph.instantiate"):
    needs("POST", f"/applicationTemplates/{{id}}/{_path}", _WRITE_APPLICATIONS)(instantiate)


def new_application(world: World, tenant: EntraTenant, name: str, template_id: str | None) -> tuple[Document, Document]:
    """Add an app registration and its service principal; from the template they have two roles (Graph tutorial)."""
    app_id = world.ids.guid()
    roles = [
        {
            "allowedMemberTypes": ["User"],
            "description": role,
            "displayName": role,
            "id": role_id,
            "isEnabled": True,
            "origin": "Application",
            "value": None,
        }
        for role, role_id in (("User", USER_ROLE), ("msiam_access", "b9632174-c057-4f7e-951b-be3adc52bfe6"))
        if template_id
    ]
    made_application: Document = {
        "id": world.ids.guid(),
        "appId": app_id,
        "applicationTemplateId": template_id,
        "createdDateTime": world.clock.graph(),
        "displayName": name,
        "signInAudience": "AzureADMyOrg",
        "identifierUris": [],
        "web": {"redirectUris": []},
    }
    made_principal: Document = {
        "id": world.ids.guid(),
        "accountEnabled": True,
        "appDisplayName": name,
        "appId": app_id,
        "applicationTemplateId": template_id,
        "appRoleAssignmentRequired": bool(template_id),
        "appRoles": roles,
        "displayName": name,
        "notes": None,
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"] if template_id else ["HideApp"],
    }
    tenant.applications[made_application["id"]] = made_application
    tenant.service_principals[made_principal["id"]] = made_principal
    return copy.deepcopy(made_application), copy.deepcopy(made_principal)


# Assignments ---------------------------------------------------------------------------------------------------------

_READ_ASSIGNMENTS = (*_READ_APPLICATIONS, "AppRoleAssignment.ReadWrite.All")


@needs("GET", "/servicePrincipals/{id}/appRoleAssignedTo", _READ_ASSIGNMENTS, query=_LISTING)
def list_assignments(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List who has access."""
    if call.params["id"] not in tenant.service_principals or not visible(tenant, call.params["id"]):
        return not_found(world, call.params["id"])
    return listing(world, call, [a for a in tenant.assignments if a["resourceId"] == call.params["id"]])


@needs("POST", "/servicePrincipals/{id}/appRoleAssignedTo", ("AppRoleAssignment.ReadWrite.All",))
def post_assignment(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Give a user or group access; duplicates and foreign roles are refused (serviceprincipal-post-approleassignedto)."""
    body = call.json() or {}
    resource = tenant.service_principals.get(call.params["id"])
    if resource is None or not visible(tenant, call.params["id"]):
        return not_found(world, call.params["id"])
    if set(body) != {"principalId", "resourceId", "appRoleId"} or body["resourceId"] != resource["id"]:
        return bad(world, "One or more properties are invalid.")
    kind, principal = _principal(tenant, body["principalId"])
    if principal is None:
        return bad(world, "Not a valid reference update.")
    roles = {role["id"] for role in resource["appRoles"] if role["isEnabled"]} or {_ZERO}
    if body["appRoleId"] not in roles:
        return bad(world, "Permission being assigned was not found on application.")
    if any(
        a["resourceId"] == resource["id"] and a["principalId"] == body["principalId"] and a["appRoleId"] == body["appRoleId"]
        for a in tenant.assignments
    ):
        return bad(world, "Permission being assigned already exists on the object")
    made = new_assignment(world, kind, principal, resource, body["appRoleId"])
    tenant.assignments.append(made)
    return Answer(201, copy.deepcopy(made))


def _principal(tenant: EntraTenant, object_id: str) -> tuple[str, Document | None]:
    if object_id in tenant.users:
        return "User", tenant.users[object_id]
    return "Group", tenant.groups.get(object_id)


def new_assignment(world: World, kind: str, principal: Document, resource: Document, role_id: str) -> Document:
    """Return the document of an app role assignment."""
    return {
        "id": world.ids.base64url(32),
        "deletedDateTime": None,
        "appRoleId": role_id,
        "createdDateTime": world.clock.graph(),
        "principalDisplayName": principal["displayName"],
        "principalId": principal["id"],
        "principalType": kind,
        "resourceDisplayName": resource["displayName"],
        "resourceId": resource["id"],
    }


@needs("DELETE", "/servicePrincipals/{id}/appRoleAssignedTo/{assignment_id}", ("AppRoleAssignment.ReadWrite.All",))
def delete_assignment(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Take access away."""
    kept = [a for a in tenant.assignments if a["id"] != call.params["assignment_id"]]
    if len(kept) == len(tenant.assignments):
        return not_found(world, call.params["assignment_id"])
    tenant.assignments = kept
    return Answer(204)


# Users and groups ----------------------------------------------------------------------------------------------------


def _user(tenant: EntraTenant, key: str) -> Document | None:
    return tenant.users.get(key) or next(
        (u for u in tenant.users.values() if u["userPrincipalName"].lower() == key.lower()), None
    )


@needs("GET", "/users", _READ_USERS, query=_LISTING)
def list_users(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List users."""
    return listing(world, call, tenant.users.values())


@needs("GET", "/users/{id}", _READ_USERS)
def get_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user by object id or user principal name."""
    return one(world, call, _user(tenant, call.params["id"]), call.params["id"])


@needs("PATCH", "/users/{id}", ("User.ReadWrite.All", "Directory.ReadWrite.All"))
def patch_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change a user: the way to try what a change or a departure does."""
    user = _user(tenant, call.params["id"])
    if user is None:
        return not_found(world, call.params["id"])
    user.update(call.json() or {})
    return Answer(204)


@needs("DELETE", "/users/{id}", ("User.ReadWrite.All", "Directory.ReadWrite.All"))
def delete_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Soft-delete a user."""
    user = _user(tenant, call.params["id"])
    if user is None:
        return not_found(world, call.params["id"])
    tenant.deleted_users[user["id"]] = tenant.users.pop(user["id"])
    return Answer(204)


@needs("DELETE", "/directory/deletedItems/{id}", ("User.ReadWrite.All", "Directory.ReadWrite.All"))
def purge_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a soft-deleted user for good."""
    if tenant.deleted_users.pop(call.params["id"], None) is None:
        return not_found(world, call.params["id"])
    tenant.assignments = [a for a in tenant.assignments if a["principalId"] != call.params["id"]]
    return Answer(204)


@needs("GET", "/users/{id}/memberOf", _READ_GROUPS, query=_LISTING)
def member_of(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the groups that hold a user directly."""
    if _user(tenant, call.params["id"]) is None:
        return not_found(world, call.params["id"])
    return listing(world, call, [tenant.groups[group] for group, ids in tenant.members.items() if call.params["id"] in ids])


@needs("GET", "/groups", _READ_GROUPS, query=_LISTING)
def list_groups(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List groups."""
    return listing(world, call, tenant.groups.values())


@needs("GET", "/groups/{id}", _READ_GROUPS)
def get_group(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a group."""
    return one(world, call, tenant.groups.get(call.params["id"]), call.params["id"])


@needs("GET", "/groups/{id}/members", _READ_GROUPS, query=_LISTING)
def members(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List a group's direct members."""
    if call.params["id"] not in tenant.groups:
        return not_found(world, call.params["id"])
    return listing(world, call, [tenant.users[i] for i in tenant.members.get(call.params["id"], []) if i in tenant.users])


# Batch ---------------------------------------------------------------------------------------------------------------


@needs("POST", "/$batch", (), query=(), holds_the_world=False)
def batch(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Answer up to 20 requests, each through the same door as if it came alone (Graph json-batching page)."""
    items = (call.json() or {}).get("requests")
    if not isinstance(items, list) or not 1 <= len(items) <= 20:
        return error(world, 400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")
    if len({item.get("id") for item in items}) != len(items):
        return error(world, 400, "BadRequest", "Request Id values must be unique within a batch.")
    return Answer(200, {"responses": [_item(world, call, item) for item in items]})


def _item(world: World, call: Call, item: Document) -> Document:
    assert world.dispatch is not None  # noqa: S101 - a Simulation sets it
    target = urlsplit(str(item["url"]))
    headers = {name.lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    content: Any = item.get("body")
    inner = Call(
        "graph",
        str(item["method"]).upper(),
        V1 + target.path,
        target.query,
        {**headers, "authorization": call.headers.get("authorization", "")},
        b"" if content is None else json.dumps(content).encode(),
        call.origin,
        batch=call.number,
    )
    answer = world.dispatch(inner)
    return {
        "id": item["id"],
        "status": answer.status,
        "headers": {"Content-Type": answer.content_type, **answer.headers},
        "body": copy.deepcopy(answer.body),
    }
