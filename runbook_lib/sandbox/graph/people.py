"""The organization, its users and groups, and the users that are deleted but not yet for good."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import (
    READ_DIRECTORY,
    READ_GROUPS,
    READ_MEMBERS,
    READ_USERS,
    WRITE_USERS,
    content,
    granted,
    parsed,
    route,
)
from runbook_lib.sandbox.graph.errors import bad, not_found, not_simulated
from runbook_lib.sandbox.graph.kinds import DIRECTORY_OBJECT, GROUP, ORGANIZATION, USER
from runbook_lib.sandbox.graph.odata import LISTING, METADATA, listing, one
from runbook_lib.sandbox.world import Document, EntraTenant, World

# organization-list page; User.Read is a delegated permission only.
_READ_ORGANIZATION = ("Organization.Read.All", "Organization.ReadWrite.All", "User.Read", *READ_DIRECTORY)
HIDDEN, _READ_HIDDEN = "HiddenMembership", "Member.Read.Hidden"
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


@route("GET", "/users", READ_USERS, query=(*LISTING, "$expand"))
def list_users(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List users, with a small set of properties unless others are selected (user-list page)."""
    wanted = _wanted_of_managers(call)
    answer = listing(USER, call, tenant.users.values())
    for shown in answer.body["value"] if wanted else ():
        manager = tenant.users.get(tenant.managers.get(shown["id"], ""))
        if manager is not None:
            shown["manager"] = {"@odata.type": "#microsoft.graph.user", **{name: manager.get(name) for name in wanted}}
    return answer


def _wanted_of_managers(call: Call) -> tuple[str, ...]:
    """Return the properties that are wanted of each user's manager, none where the query does not expand it. Raises `Refused`.

    A user without a manager is shown without the property (user-list-manager page). Only what is used is simulated; pages of
    expanded users hold 100 at most (known issue 13635).
    """
    text = call.argument("$expand")
    if text is None:
        return ()
    match = re.fullmatch(r"manager\(\$select=(\w+(?:,\w+)*)\)", text)
    selected = (call.argument("$select") or "id").split(",")
    if match is None or call.argument("$top") is not None or "id" not in selected:
        raise not_simulated(f"$expand={text} in this query")
    names = tuple(match[1].split(","))
    if unknown := [name for name in names if name not in USER.properties]:
        words = f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.user'."
        raise bad(f"Parsing OData Select and Expand failed: {words}", "BadRequest")
    return names


@route("GET", "/users/{id}", READ_USERS)
def get_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user."""
    return one(USER, call, _user(tenant, call.params["id"]))


@route("PATCH", "/users/{id}", WRITE_USERS, query=())
def patch_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Change a user: the way to try what a change or a departure does."""
    found = _user(tenant, call.params["id"])
    wanted = content(call, _CHANGES)
    if flawed := [name for name, value in wanted.items() if not _is_right(name, value)]:
        raise bad(f"Invalid value specified for property '{flawed[0]}' of resource 'User'.")
    found.update(wanted)
    return Answer(204)


def _is_right(name: str, value: object) -> bool:
    """Whether a value is of the property's type: a truth value, a list of texts, or a text, null where the user can lack it."""
    if name == "accountEnabled":
        return isinstance(value, bool)
    if name in USER.collections:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if name in ("userPrincipalName", "displayName", "mailNickname"):
        return isinstance(value, str) and value != ""
    return isinstance(value, str | None)


@route("DELETE", "/users/{id}", WRITE_USERS, query=())
def delete_user(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a user softly: for 30 days it can be restored (user-delete page)."""
    delete_softly(world, tenant, _user(tenant, call.params["id"])["id"])
    return Answer(204)


def delete_softly(world: World, tenant: EntraTenant, user_id: str) -> None:
    """Move a user to the deleted ones; the name then begins with the object id without dashes, so that it can be given again."""
    user = tenant.users.pop(user_id)
    name = f"{_prefix(user_id)}{user['userPrincipalName']}"
    tenant.deleted_users[user_id] = {**user, "userPrincipalName": name, "deletedDateTime": world.clock.graph()}


def _prefix(user_id: str) -> str:
    return user_id.replace("-", "")


@route("GET", "/directory/deletedItems/microsoft.graph.user", READ_USERS, query=LISTING)
def list_deleted_users(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the users that are deleted softly."""
    return listing(USER, call, tenant.deleted_users.values())


@route("GET", "/directory/deletedItems/{id}", READ_USERS)
def get_deleted_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user that is deleted softly."""
    return one(USER, call, _named(call, tenant.deleted_users))


@route("POST", "/directory/deletedItems/{id}/restore", WRITE_USERS, query=())
def restore_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Bring a softly deleted user back."""
    found = _named(call, tenant.deleted_users)
    content(call, ())
    del tenant.deleted_users[found["id"]]
    name = found["userPrincipalName"].removeprefix(_prefix(found["id"]))
    tenant.users[found["id"]] = {**found, "userPrincipalName": name, "deletedDateTime": None}
    return one(USER, call, tenant.users[found["id"]])


@route("DELETE", "/directory/deletedItems/{id}", WRITE_USERS, query=())
def purge_user(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Delete a softly deleted user for good, with assignments and memberships."""
    gone = _named(call, tenant.deleted_users)["id"]
    del tenant.deleted_users[gone]
    tenant.assignments = [assignment for assignment in tenant.assignments if assignment["principalId"] != gone]
    tenant.members = {group: [member for member in ids if member != gone] for group, ids in tenant.members.items()}
    tenant.managers = {user: manager for user, manager in tenant.managers.items() if gone not in (user, manager)}
    return Answer(204)


# Managers ------------------------------------------------------------------------------------------------------------


@route("GET", "/users/{id}/manager", READ_USERS)
def get_manager(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a user's manager; 404 when there is none (user-list-manager page)."""
    user = _user(tenant, call.params["id"])
    manager = tenant.users.get(tenant.managers.get(user["id"], ""))
    if manager is None:
        raise not_found("manager")
    return one(DIRECTORY_OBJECT, call, {"@odata.type": "#microsoft.graph.user", **manager})


@route("PUT", "/users/{id}/manager/$ref", WRITE_USERS, query=())
def put_manager(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Set a user's manager by reference (user-post-manager page)."""
    user = _user(tenant, call.params["id"])
    found = parsed(call, annotated=True)
    reference = found.get("@odata.id") if isinstance(found, dict) else None
    manager_id = str(reference).rstrip("/").rsplit("/", 1)[-1]
    if not isinstance(reference, str) or manager_id not in tenant.users:
        raise bad("Invalid value specified for property '@odata.id'.")
    tenant.managers[user["id"]] = manager_id
    return Answer(204)


@route("DELETE", "/users/{id}/manager/$ref", WRITE_USERS, query=())
def delete_manager(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Take a user's manager away."""
    tenant.managers.pop(_user(tenant, call.params["id"])["id"], None)
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


def _shows_members(tenant: EntraTenant, call: Call, group_id: str) -> bool:
    """Whether a call may see who is in a group: of hidden membership none is shown, without an error (permissions reference)."""
    return tenant.groups[group_id].get("visibility") != HIDDEN or _READ_HIDDEN in granted(call, tenant)


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


def _all_members_of(tenant: EntraTenant, call: Call, group_id: str) -> list[str]:
    found: dict[str, None] = {}
    waiting = [group_id]
    while waiting:
        place = waiting.pop(0)
        if place in tenant.groups and _shows_members(tenant, call, place):
            new = [member for member in tenant.members.get(place, []) if member not in found]
            found |= dict.fromkeys(new)
            waiting += new
    return list(found)


def _shown(tenant: EntraTenant, call: Call, groups: Iterable[str]) -> list[str]:
    return [group for group in groups if _shows_members(tenant, call, group)]


@route("GET", "/users/{id}/memberOf", READ_MEMBERS, query=LISTING)
def member_of(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the groups that hold a user directly."""
    found = _typed(tenant, _shown(tenant, call, _groups_of(tenant, _user(tenant, call.params["id"])["id"])))
    return listing(DIRECTORY_OBJECT, call, found)


@route("GET", "/users/{id}/transitiveMemberOf", READ_MEMBERS, query=LISTING)
def transitive_member_of(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List the groups that hold a user, also through other groups."""
    found = _typed(tenant, _shown(tenant, call, _all_groups_of(tenant, _user(tenant, call.params["id"])["id"])))
    return listing(DIRECTORY_OBJECT, call, found)


@route("POST", "/users/{id}/checkMemberGroups", READ_MEMBERS, query=())
def check_member_groups(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer which of up to 20 groups hold a user, also through other groups."""
    user = _user(tenant, call.params["id"])
    wanted = content(call, ("groupIds",), ("groupIds",))["groupIds"]
    if not isinstance(wanted, list) or not 1 <= len(wanted) <= _CHECK_LIMIT:
        raise bad(f"The number of groupIds must be between 1 and {_CHECK_LIMIT}.")
    held = _shown(tenant, call, _all_groups_of(tenant, user["id"]))
    return Answer(200, {"@odata.context": f"{METADATA}Collection(Edm.String)", "value": [i for i in wanted if i in held]})


def _named(call: Call, documents: Mapping[str, Document]) -> Document:
    """Return the document that the address names by its id."""
    if found := documents.get(call.params["id"]):
        return found
    raise not_found(call.params["id"])


@route("GET", "/groups", READ_GROUPS, query=LISTING)
def list_groups(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List groups."""
    return listing(GROUP, call, tenant.groups.values())


@route("GET", "/groups/{id}", READ_GROUPS)
def get_group(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer a group."""
    return one(GROUP, call, _named(call, tenant.groups))


@route("GET", "/groups/{id}/members", READ_MEMBERS, query=LISTING)
def members(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List a group's direct members: users and groups; none when they are hidden from the caller."""
    group_id = _named(call, tenant.groups)["id"]
    shown = tenant.members.get(group_id, []) if _shows_members(tenant, call, group_id) else []
    return listing(DIRECTORY_OBJECT, call, _typed(tenant, shown))


@route("GET", "/groups/{id}/transitiveMembers", READ_MEMBERS, query=LISTING)
def transitive_members(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """List a group's members, also through other groups."""
    return listing(DIRECTORY_OBJECT, call, _typed(tenant, _all_members_of(tenant, call, _named(call, tenant.groups)["id"])))
