"""App registrations, enterprise applications, the non-gallery template, and who has access."""

from __future__ import annotations

import copy

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import (
    READ_APPLICATIONS,
    WRITE_APPLICATIONS,
    WRITE_ASSIGNMENTS,
    content,
    route,
    visible,
)
from runbook_lib.sandbox.graph.errors import bad, not_found
from runbook_lib.sandbox.graph.kinds import APP_ROLE_ASSIGNMENT, APPLICATION, APPLICATION_TEMPLATE, SERVICE_PRINCIPAL
from runbook_lib.sandbox.graph.odata import LISTING, METADATA, chosen, listing, one
from runbook_lib.sandbox.switches import Late
from runbook_lib.sandbox.world import Document, EntraTenant, World

TEMPLATE_ID = "8adf8e6e-67b2-4cf2-a259-e3dc5476c621"  # global cloud: applicationtemplate-instantiate page
USER_ROLE = "18d14569-c3bd-439b-9a66-3a2aee01d14f"
MSIAM_ACCESS_ROLE = "b9632174-c057-4f7e-951b-be3adc52bfe6"
ZERO = "00000000-0000-0000-0000-000000000000"
REPLICATION_READS = 2  # Unverified: that it is two; that reads are refused for a while is reported by Terraform and hamilton
_APPLICATION_CHANGES = (
    "displayName description notes tags identifierUris web spa publicClient signInAudience serviceManagementReference info api "
    "appRoles groupMembershipClaims isFallbackPublicClient optionalClaims requiredResourceAccess"
).split()
_SERVICE_PRINCIPAL_CHANGES = (
    "accountEnabled alternativeNames appRoleAssignmentRequired description displayName homepage loginUrl notes "
    "notificationEmailAddresses preferredSingleSignOnMode tags"
).split()


# App registrations ---------------------------------------------------------------------------------------------------


def _application(tenant: EntraTenant, call: Call) -> Document:
    """Return the app registration that a path names by id or appId. Raises `Refused`."""
    key = call.params.get("id") or call.params["app_id"].lower()
    name = "id" if "id" in call.params else "appId"
    found = next((document for document in tenant.applications.values() if document[name] == key), None)
    if found is None:
        raise not_found(key)
    return found


def _named(wanted: Document, resource: str) -> Document:
    """Return changes as they came. Raises `Refused` for a name that is no text, and roles that are no list of objects."""
    roles = wanted.get("appRoles", [])
    flawed = [
        name
        for name, is_right in (
            ("displayName", isinstance(wanted.get("displayName", ""), str)),
            ("appRoles", isinstance(roles, list) and all(isinstance(role, dict) and "id" in role for role in roles)),
        )
        if not is_right
    ]
    if flawed:
        raise bad(f"Invalid value specified for property '{flawed[0]}' of resource '{resource}'.")
    return wanted


@route("GET", "/applications", READ_APPLICATIONS, query=LISTING)
def list_applications(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List app registrations."""
    return listing(APPLICATION, call, tenant.applications.values())


def get_application(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an app registration."""
    return one(APPLICATION, call, _application(tenant, call))


def patch_application(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change an app registration."""
    found = _application(tenant, call)
    found.update(_named(content(call, _APPLICATION_CHANGES), "Application"))
    return Answer(204)


def delete_application(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete an app registration and, in its home tenant, the enterprise application with it (application-delete page)."""
    found = _application(tenant, call)
    del tenant.applications[found["id"]]
    for service_principal_id in [k for k, v in tenant.service_principals.items() if v["appId"] == found["appId"]]:
        _forget(tenant, service_principal_id)
    return Answer(204)


# Enterprise applications ---------------------------------------------------------------------------------------------


def service_principal_of(tenant: EntraTenant, call: Call) -> Document:
    """Return the enterprise application that a path names by id or appId, once it has replicated. Raises `Refused`."""
    if "id" in call.params:
        key, found = call.params["id"], tenant.service_principals.get(call.params["id"])
    else:
        key = call.params["app_id"].lower()
        found = next((document for document in tenant.service_principals.values() if document["appId"] == key), None)
    if found is None or not visible(tenant, found["id"]):
        raise not_found(key)
    return found


@route("GET", "/servicePrincipals", READ_APPLICATIONS, query=LISTING)
def list_service_principals(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the enterprise applications that have replicated."""
    found = [document for document in tenant.service_principals.values() if visible(tenant, document["id"])]
    return listing(SERVICE_PRINCIPAL, call, found)


def get_service_principal(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer an enterprise application."""
    return one(SERVICE_PRINCIPAL, call, service_principal_of(tenant, call))


def patch_service_principal(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change an enterprise application."""
    found = service_principal_of(tenant, call)
    found.update(_named(content(call, _SERVICE_PRINCIPAL_CHANGES), "ServicePrincipal"))
    return Answer(204)


def delete_service_principal(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete an enterprise application with its jobs and assignments. The app registration stays."""
    _forget(tenant, service_principal_of(tenant, call)["id"])
    return Answer(204)


def _forget(tenant: EntraTenant, service_principal_id: str) -> None:
    tenant.service_principals.pop(service_principal_id, None)
    tenant.provisioning.pop(service_principal_id, None)
    tenant.assignments = [a for a in tenant.assignments if a["resourceId"] != service_principal_id]


for _place in ("/{id}", "(appId='{app_id}')"):
    route("GET", f"/applications{_place}", READ_APPLICATIONS)(get_application)
    route("PATCH", f"/applications{_place}", WRITE_APPLICATIONS, query=(), only_own=True)(patch_application)
    route("DELETE", f"/applications{_place}", WRITE_APPLICATIONS, query=(), only_own=True)(delete_application)
    route("GET", f"/servicePrincipals{_place}", READ_APPLICATIONS)(get_service_principal)
    route("PATCH", f"/servicePrincipals{_place}", WRITE_APPLICATIONS, query=(), only_own=True)(patch_service_principal)
    route("DELETE", f"/servicePrincipals{_place}", WRITE_APPLICATIONS, query=(), only_own=True)(delete_service_principal)


# The template --------------------------------------------------------------------------------------------------------


def _template() -> Document:
    """Return the one template of the sandbox; the gallery shows it as Custom (terraform-provider-azuread issue 1099)."""
    return {
        "id": TEMPLATE_ID,
        "displayName": "Custom",
        "categories": [],
        "description": None,
        "homePageUrl": None,
        "logoUrl": None,
        "publisher": None,
        "supportedProvisioningTypes": ["sync"],
        "supportedSingleSignOnModes": ["saml", "external"],
    }


@route("GET", "/applicationTemplates", query=LISTING)
def list_templates(_world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """List the templates."""
    return listing(APPLICATION_TEMPLATE, call, [_template()])


@route("GET", "/applicationTemplates/{id}")
def get_template(_world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Answer the template."""
    if call.params["id"] != TEMPLATE_ID:
        raise not_found(call.params["id"])
    return one(APPLICATION_TEMPLATE, call, _template())


def instantiate(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Make a non-gallery application (applicationtemplate-instantiate page). Each call makes another, of whatever name."""
    if call.params["id"] != TEMPLATE_ID:
        raise not_found(call.params["id"])
    wanted = content(call, ("displayName", "serviceManagementReference"), ("displayName",))
    if not isinstance(wanted["displayName"], str) or not wanted["displayName"].strip():
        raise bad("Invalid value specified for property 'displayName' of resource 'ApplicationTemplate'.")
    application, principal = new_application(world, tenant, wanted["displayName"], TEMPLATE_ID)
    if reference := wanted.get("serviceManagementReference"):
        tenant.applications[application["id"]]["serviceManagementReference"] = reference
        application["serviceManagementReference"] = reference
    client_id = tenant.access_tokens[call.bearer() or ""]["client_id"]
    tenant.owners |= {application["id"]: client_id, principal["id"]: client_id}
    tenant.readable_after[principal["id"]] = REPLICATION_READS
    context = f"{METADATA}microsoft.graph.applicationServicePrincipal"
    return Answer(201, {"@odata.context": context, "application": application, "servicePrincipal": principal})


for _action in ("instantiate", "microsoft.graph.instantiate"):
    route("POST", f"/applicationTemplates/{{id}}/{_action}", WRITE_APPLICATIONS, query=())(instantiate)


def _roles() -> list[Document]:
    """Return the two roles of a non-gallery application (Graph tutorial 2021, several public scripts)."""
    return [
        {
            "allowedMemberTypes": ["User"],
            "description": name,
            "displayName": name,
            "id": role_id,
            "isEnabled": True,
            "origin": "Application",
            "value": None,
        }
        for name, role_id in (("User", USER_ROLE), ("msiam_access", MSIAM_ACCESS_ROLE))
    ]


def new_application(world: World, tenant: EntraTenant, name: str, template_id: str | None) -> tuple[Document, Document]:
    """Add an app registration and its service principal; from the template they have roles and require assignment."""
    app_id = world.ids.guid()
    roles = _roles() if template_id else []
    application = _new_registration(world, name, template_id, app_id, roles)
    principal = _new_principal(world, name, template_id, app_id, roles)
    tenant.applications[application["id"]] = application
    tenant.service_principals[principal["id"]] = principal
    return copy.deepcopy(application), copy.deepcopy(principal)


def _new_registration(world: World, name: str, template_id: str | None, app_id: str, roles: list[Document]) -> Document:
    return {
        "id": world.ids.guid(),
        "appId": app_id,
        "applicationTemplateId": template_id,
        "appRoles": roles,
        "createdDateTime": world.clock.graph(),
        "deletedDateTime": None,
        "description": None,
        "displayName": name,
        "groupMembershipClaims": None,
        "identifierUris": [],
        "notes": None,
        "serviceManagementReference": None,
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "web": {"redirectUris": []},
    }


def _new_principal(world: World, name: str, template_id: str | None, app_id: str, roles: list[Document]) -> Document:
    return {
        "id": world.ids.guid(),
        "accountEnabled": True,
        "alternativeNames": [],
        "appDisplayName": name,
        "appId": app_id,
        "applicationTemplateId": template_id,
        "appRoleAssignmentRequired": bool(template_id),
        "appRoles": copy.deepcopy(roles),
        "deletedDateTime": None,
        "displayName": name,
        "homepage": None,
        "loginUrl": None,
        "notes": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "servicePrincipalNames": [app_id],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"] if template_id else ["HideApp"],
    }


# Assignments ---------------------------------------------------------------------------------------------------------

_ASSIGNED_TO = "/servicePrincipals/{id}/appRoleAssignedTo"


def _path(resource: Document) -> str:
    return f"servicePrincipals('{resource['id']}')/appRoleAssignedTo"


@route("GET", _ASSIGNED_TO, READ_APPLICATIONS, query=LISTING)
@route("GET", "/servicePrincipals(appId='{app_id}')/appRoleAssignedTo", READ_APPLICATIONS, query=LISTING)
def list_assignments(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List who has access; a new assignment may not show yet: the switch `assignments_list_after`.

    Both places are on Graph's page serviceprincipal-list-approleassignedto.
    Unverified: that a soft-deleted user stays on the list until deleted for good.
    """
    resource, delay, now = service_principal_of(tenant, call), world.switches["assignments_list_after"], world.clock.timestamp()
    found = [
        a
        for a in tenant.assignments
        if a["resourceId"] == resource["id"]
        and ((late := tenant.new_assignments.get(a["id"])) is None or late.has_arrived(delay, now, "list"))
    ]
    return listing(APP_ROLE_ASSIGNMENT, call, found, path=_path(resource))


@route("POST", _ASSIGNED_TO, WRITE_ASSIGNMENTS, READ_APPLICATIONS, query=())
def post_assignment(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Give a user or group access; duplicates and foreign roles are refused (serviceprincipal-post-approleassignedto page)."""
    names = ("principalId", "resourceId", "appRoleId")
    wanted = content(call, names, names)
    resource = service_principal_of(tenant, call)
    if wanted["resourceId"] != resource["id"]:
        raise bad("One or more properties are invalid.")
    kind, principal = _principal(tenant, str(wanted["principalId"]))
    if not isinstance(wanted["appRoleId"], str):
        raise bad("One or more properties are invalid.")
    roles = {role["id"] for role in resource["appRoles"] if role["isEnabled"]}
    if wanted["appRoleId"] not in (roles if resource["appRoles"] else {ZERO}):
        raise bad("Permission being assigned was not found on application.")
    if (principal["id"], resource["id"], wanted["appRoleId"]) in tenant.grants.of(tenant.assignments):
        raise bad("Permission being assigned already exists on the object")
    made = new_assignment(world, kind, principal, resource, wanted["appRoleId"])
    tenant.assignments.append(made)
    tenant.new_assignments[made["id"]] = Late(world.clock.timestamp())
    return Answer(201, {"@odata.context": f"{METADATA}{_path(resource)}/$entity", **copy.deepcopy(made)})


def _principal(tenant: EntraTenant, object_id: str) -> tuple[str, Document]:
    """Return a user or group. Unverified: the text for an unknown one; Terraform takes it for a replication delay."""
    for kind, found in (("User", tenant.users), ("Group", tenant.groups)):
        if object_id in found:
            return kind, found[object_id]
    raise bad("Not a valid reference update.")


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


@route("GET", f"{_ASSIGNED_TO}/{{assignment_id}}", READ_APPLICATIONS)
def get_assignment(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer one assignment."""
    return Answer(200, chosen(APP_ROLE_ASSIGNMENT, call)(_assignment(tenant, call)))


@route("DELETE", f"{_ASSIGNED_TO}/{{assignment_id}}", WRITE_ASSIGNMENTS, READ_APPLICATIONS, query=())
def delete_assignment(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Take access away."""
    tenant.assignments.remove(_assignment(tenant, call))
    return Answer(204)


def _assignment(tenant: EntraTenant, call: Call) -> Document:
    resource = service_principal_of(tenant, call)
    wanted = call.params["assignment_id"]
    found = next((a for a in tenant.assignments if a["id"] == wanted and a["resourceId"] == resource["id"]), None)
    if found is None:
        raise not_found(wanted)
    return found
