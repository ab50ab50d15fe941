"""Entra's own names of user attributes and Graph's, and the values that the mapping language sees.

Sources: the `User` object of a real schema export; Graph's user resource; entra-docs, customize-application-attributes (guests).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runbook_lib.tenant.forecast.arguments import Value

ALWAYS_READ = ("id", "displayName", "userPrincipalName", "mail", "accountEnabled", "mailNickname")
_OTHER_NAMES = {  # where Graph's name is another: a path in its document
    "objectId": "id",
    "mobile": "mobilePhone",
    "facsimileTelephoneNumber": "faxNumber",
    "physicalDeliveryOfficeName": "officeLocation",
    "immutableId": "onPremisesImmutableId",
    "dirSyncEnabled": "onPremisesSyncEnabled",
    "telephoneNumber": "businessPhones",
    "originalUserPrincipalName": "userPrincipalName",
}
_OTHER_NAMES |= {f"extensionAttribute{n}": f"onPremisesExtensionAttributes.extensionAttribute{n}" for n in range(1, 16)}
_SAME_NAMES = frozenset(
    "accountEnabled ageGroup businessPhones city companyName consentProvidedForMinor country creationType createdDateTime "
    "department displayName employeeHireDate employeeId employeeLeaveDateTime employeeType externalUserState faxNumber "
    "givenName jobTitle legalAgeGroupClassification mail mailNickname mobilePhone officeLocation onPremisesDistinguishedName "
    "onPremisesDomainName onPremisesImmutableId onPremisesSamAccountName onPremisesSecurityIdentifier onPremisesSyncEnabled "
    "onPremisesUserPrincipalName otherMails postalCode preferredLanguage proxyAddresses state streetAddress surname "
    "usageLocation userPrincipalName userType employeeOrgData.costCenter employeeOrgData.division".split()
)
_EXTENSION = re.compile(r"extension_[0-9a-f]{32}_\w+", re.IGNORECASE)


def graph_path(name: str) -> str:
    """Return where Graph's user holds an attribute of Entra's; empty if Graph does not have it or Entra computes it."""
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    return name if name in _SAME_NAMES or _EXTENSION.fullmatch(name) else ""


def graph_fields(names: Iterable[str]) -> tuple[str, ...]:
    """Return the properties of Graph's user that hold these attributes, in order, those that are always read first."""
    roots = (graph_path(name).split(".")[0] for name in sorted(names))
    return tuple(dict.fromkeys([*ALWAYS_READ, *(root for root in roots if root)]))


def attributes_of_user(user: Mapping[str, Any], names: Iterable[str], roles: tuple[str, ...] | None = None) -> dict[str, Value]:
    """Return the values of attributes by Entra's names. An attribute that Graph lacks is left out, which means unknown.

    `roles` are the names of the roles assigned to the person, None where they are not known.
    """
    found: dict[str, Value] = {}
    for name in names:
        if name == "userPrincipalName":
            found[name] = without_guest_mark(str(user.get(name) or "")) or None
        elif name == "telephoneNumber":
            found[name] = next(iter(user.get("businessPhones") or ()), None)
        elif name == "appRoleAssignments" and roles is not None:
            found[name] = roles
        elif path := graph_path(name):
            found[name] = _value(user, path)
    return found


def _value(user: Mapping[str, Any], path: str) -> Value:
    value: Any = user
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, list):
        return tuple(map(str, value))
    return value if isinstance(value, str | bool | int) else None


def without_guest_mark(name: str) -> str:
    """Return a user principal name as the job takes it: a guest's alias_domain#EXT#@tenant becomes alias@domain."""
    at = name.upper().find("#EXT#")
    if at < 0:
        return name
    before = name[:at]
    alias, underscore, domain = before.rpartition("_")
    return f"{alias}@{domain}" if underscore else before


def without_deletion_mark(name: str, object_id: str) -> str:
    """Return a softly deleted user's name as it was: Entra puts the object id in front of it, without hyphens."""
    mark = object_id.replace("-", "")
    return name[len(mark) :] if name.lower().startswith(mark.lower()) else name
