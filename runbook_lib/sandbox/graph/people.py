"""The organization, its users and groups, and the users that are deleted but not yet for good."""

from __future__ import annotations

from collections.abc import Iterable

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import READ_GROUPS, READ_MEMBERS, READ_USERS, WRITE_USERS, content, route
from runbook_lib.sandbox.graph.errors import bad, not_found
from runbook_lib.sandbox.graph.kinds import DIRECTORY_OBJECT, GROUP, ORGANIZATION, USER
from runbook_lib.sandbox.graph.odata import LISTING, METADATA, listing, one
from runbook_lib.sandbox.world import Document, EntraTenant, World

_READ_ORGANIZATION = ("Organization.Read.All", "Organization.ReadWrite.All", "User.Read", *READ_USERS)
_CHECK_LIMIT = 20  # "a maximum of 20 groups", directoryobject-checkmembergroups page
_CHANGES = (
    "accountEnabled businessPhones city companyName country department displayName employeeId faxNumber givenName jobTitle mail "
    "mailNickname mobilePhone officeLocation otherMails postalCode preferredLanguage state streetAddress surname usageLocation "
    "userPrincipalName userType"
).split()


@route("GET", "/organization", _READ_ORGANIZATION, query=LISTING)
def organization(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the tenant of the token, as a list of one."""
    domain = {"capabilities": "Email", "isDefault": True, "isInitial": True, "name": tenant.domain, "type": "Managed"}
    document: Document = {
        "id": tenant.id,
        "displayName": tenant.display_name,
        "tenantType": "AAD",
        "verifiedDomains": [domain],
        "countryLetterCode": None,
        "assignedPlans": [],
    }
    return listing(ORGANIZATION, call, [document])


# Users ---------------------------------------------------------------------------------------------------------------


def _user(tenant: EntraTenant, key: str) -> Document:
    """Return a user by object id or user principal name. Raises `Refused`."""
    names = (user for user in tenant.users.values() if user["userPrincipalName"].lower() == key.lower())
    if found := tenant.users.get(key.lower()) or next(names, None):
        return found
    raise not_found(key)


@route("GET", "/users", READ_USERS, query=LISTING)
def list_users(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List users, with a small set of properties unless others are selected (user-list page)."""
    return listing(USER, call, tenant.users.values())


@route("GET", "/users/{id}", READ_USERS)
def get_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user."""
    return one(USER, call, _user(tenant, call.params["id"]))


@route("PATCH", "/users/{id}", WRITE_USERS, query=())
def patch_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change a user: the way to try what a change or a departure does."""
    found = _user(tenant, call.params["id"])
    wanted = content(call, _CHANGES)
    if not isinstance(wanted.get("accountEnabled", True), bool):
        raise bad("Invalid value specified for property 'accountEnabled' of resource 'User'.")
    found.update(wanted)
    return Answer(204)


@route("DELETE", "/users/{id}", WRITE_USERS, query=())
def delete_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a user softly: for 30 days it can be restored (user-delete page)."""
    found = _user(tenant, call.params["id"])
    tenant.deleted_users[found["id"]] = {**tenant.users.pop(found["id"]), "deletedDateTime": world.clock.graph()}
    return Answer(204)


def _deleted(tenant: EntraTenant, call: Call) -> Document:
    if found := tenant.deleted_users.get(call.params["id"]):
        return found
    raise not_found(call.params["id"])


@route("GET", "/directory/deletedItems/microsoft.graph.user", READ_USERS, query=LISTING)
def list_deleted_users(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the users that are deleted softly."""
    return listing(USER, call, tenant.deleted_users.values())


@route("GET", "/directory/deletedItems/{id}", READ_USERS)
def get_deleted_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user that is deleted softly."""
    return one(USER, call, _deleted(tenant, call))


@route("POST", "/directory/deletedItems/{id}/restore", WRITE_USERS, query=())
def restore_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Bring a softly deleted user back."""
    found = _deleted(tenant, call)
    content(call, ())
    del tenant.deleted_users[found["id"]]
    tenant.users[found["id"]] = {**found, "deletedDateTime": None}
    return one(USER, call, tenant.users[found["id"]])


@route("DELETE", "/directory/deletedItems/{id}", WRITE_USERS, query=())
def purge_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a softly deleted user for good, with assignments and memberships."""
    gone = _deleted(tenant, call)["id"]
    del tenant.deleted_users[gone]
    tenant.assignments = [assignment for assignment in tenant.assignments if assignment["principalId"] != gone]
    tenant.members = {group: [member for member in ids if member != gone] for group, ids in tenant.members.items()}
    return Answer(204)


# Memberships ---------------------------------------------------------------------------------------------------------


def _typed(tenant: EntraTenant, object_ids: Iterable[str]) -> list[Document]:
    """Return members as a list of mixed types holds them; those deleted softly are not shown."""
    found = []
    for object_id in object_ids:
        for kind, objects in (("user", tenant.users), ("group", tenant.groups)):
            if object_id in objects:
                found.append({"@odata.type": f"#microsoft.graph.{kind}", **objects[object_id]})
    return found


def _groups_of(tenant: EntraTenant, object_id: str) -> list[str]:
    return [group for group, ids in tenant.members.items() if object_id in ids]


def _all_groups_of(tenant: EntraTenant, object_id: str) -> list[str]:
    found: list[str] = []
    waiting = [object_id]
    while waiting:
        for group in _groups_of(tenant, waiting.pop(0)):
            if group not in found:
                found.append(group)
                waiting.append(group)
    return found


def _all_members_of(tenant: EntraTenant, group_id: str) -> list[str]:
    found: list[str] = []
    waiting = [group_id]
    while waiting:
        for member in tenant.members.get(waiting.pop(0), []):
            if member not in found:
                found.append(member)
                waiting.append(member)
    return found


@route("GET", "/users/{id}/memberOf", READ_MEMBERS, query=LISTING)
def member_of(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the groups that hold a user directly."""
    found = _typed(tenant, _groups_of(tenant, _user(tenant, call.params["id"])["id"]))
    return listing(DIRECTORY_OBJECT, call, found)


@route("GET", "/users/{id}/transitiveMemberOf", READ_MEMBERS, query=LISTING)
def transitive_member_of(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the groups that hold a user, also through other groups."""
    found = _typed(tenant, _all_groups_of(tenant, _user(tenant, call.params["id"])["id"]))
    return listing(DIRECTORY_OBJECT, call, found)


@route("POST", "/users/{id}/checkMemberGroups", READ_MEMBERS, query=())
def check_member_groups(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer which of up to 20 groups hold a user, also through other groups."""
    user = _user(tenant, call.params["id"])
    wanted = content(call, ("groupIds",), ("groupIds",))["groupIds"]
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _CHECK_LIMIT:
        raise bad(f"The number of groupIds must be between 1 and {_CHECK_LIMIT}.")
    held = _all_groups_of(tenant, user["id"])
    return Answer(200, {"@odata.context": f"{METADATA}Collection(Edm.String)", "value": [i for i in wanted if i in held]})


def _group(tenant: EntraTenant, call: Call) -> Document:
    if found := tenant.groups.get(call.params["id"]):
        return found
    raise not_found(call.params["id"])


@route("GET", "/groups", READ_GROUPS, query=LISTING)
def list_groups(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List groups."""
    return listing(GROUP, call, tenant.groups.values())


@route("GET", "/groups/{id}", READ_GROUPS)
def get_group(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a group."""
    return one(GROUP, call, _group(tenant, call))


@route("GET", "/groups/{id}/members", READ_MEMBERS, query=LISTING)
def members(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List a group's direct members: users and groups."""
    return listing(DIRECTORY_OBJECT, call, _typed(tenant, tenant.members.get(_group(tenant, call)["id"], [])))


@route("GET", "/groups/{id}/transitiveMembers", READ_MEMBERS, query=LISTING)
def transitive_members(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List a group's members, also through other groups."""
    return listing(DIRECTORY_OBJECT, call, _typed(tenant, _all_members_of(tenant, _group(tenant, call)["id"])))
