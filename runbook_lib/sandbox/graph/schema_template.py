"""The schema a new `scim` job starts with.

Rows: three independent public lists of the defaults (SCIMReferenceCode sample, SingleID and Capturi guides). Frame: a real
export published by SignPath (MicrosoftEntraIDScimConfiguration.json). Unverified: their order, the keys of Join's parameters.
"""

from __future__ import annotations

from typing import Any

from runbook_lib.sandbox.world import Document, World

USER_TARGET = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_TARGET = "urn:ietf:params:scim:schemas:core:2.0:Group"
RULE_ID = "03f7d90d-bf71-41b1-bda6-aaf0ddbee5d8"  # the same in every SCIM job found
_SWITCH = 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'
_JOIN = 'Join(" ", [givenName], [surname])'

USER_ROWS: tuple[tuple[str, str], ...] = (
    ("userPrincipalName", "userName"),
    (_SWITCH, "active"),
    ("displayName", "displayName"),
    ("jobTitle", "title"),
    ("mail", 'emails[type eq "work"].value'),
    ("preferredLanguage", "preferredLanguage"),
    ("givenName", "name.givenName"),
    ("surname", "name.familyName"),
    (_JOIN, "name.formatted"),
    ("physicalDeliveryOfficeName", 'addresses[type eq "work"].formatted'),
    ("streetAddress", 'addresses[type eq "work"].streetAddress'),
    ("city", 'addresses[type eq "work"].locality'),
    ("state", 'addresses[type eq "work"].region'),
    ("postalCode", 'addresses[type eq "work"].postalCode'),
    ("country", 'addresses[type eq "work"].country'),
    ("telephoneNumber", 'phoneNumbers[type eq "work"].value'),
    ("mobile", 'phoneNumbers[type eq "mobile"].value'),
    ("facsimileTelephoneNumber", 'phoneNumbers[type eq "fax"].value'),
    ("mailNickname", "externalId"),
    ("employeeId", f"{USER_TARGET}:employeeNumber"),
    ("department", f"{USER_TARGET}:department"),
    ("manager", f"{USER_TARGET}:manager"),
)
GROUP_ROWS: tuple[tuple[str, str], ...] = (("displayName", "displayName"), ("objectId", "externalId"), ("members", "members"))
_SOURCE_ONLY = (
    "objectId",
    "IsSoftDeleted",
    "accountEnabled",
    "companyName",
    "employeeHireDate",
    "dirSyncEnabled",
    "appRoleAssignments",
    "otherMails",
    "proxyAddresses",
    "usageLocation",
)


def attribute(name: str) -> Document:
    """Return a mapping source that reads one attribute."""
    return {"expression": f"[{name}]", "name": name, "type": "Attribute", "parameters": []}


def _constant(text: str) -> Document:
    return {"expression": f'"{text}"', "name": text, "type": "Constant", "parameters": []}


def _function(name: str, expression: str, parameters: list[tuple[str, Document]]) -> Document:
    return {
        "expression": expression,
        "name": name,
        "type": "Function",
        "parameters": [{"key": key, "value": value} for key, value in parameters],
    }


def _source(text: str) -> Document:
    if text == _SWITCH:  # its empty default argument is absent from the parameters of a real export
        values = [("switchValue", _constant(word)) for word in ("False", "True", "True", "False")]
        return _function("Switch", text, [("source", attribute("IsSoftDeleted")), *values])
    if text == _JOIN:
        return _function(
            "Join", text, [("separator", _constant(" ")), ("source", attribute("givenName")), ("source", attribute("surname"))]
        )
    return attribute(text)


def _mapping(source: str, target: str, priority: int) -> Document:
    return {
        "defaultValue": None,
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": priority,
        "targetAttributeName": target,
        "source": _source(source),
    }


def _object_mapping(kind: str, directory: str, target: str, rows: tuple[tuple[str, str], ...], joining: str) -> Document:
    flags = {
        "IsCustomerDefined": "false",
        "DisableMonitoringForChanges": "false",
        "Disposition": '"Normal"',
        "ExcludeFromReporting": "false",
    }
    flags |= {"EscrowBehavior": '"Default"', "Unsynchronized": "false", "OriginalJoiningProperty": joining}
    return {
        "enabled": True,
        "flowTypes": "Add,Update,Delete",
        "name": f"Provision {directory} {kind}s",
        "scope": None,
        "sourceObjectName": kind,
        "targetObjectName": target,
        "attributeMappings": [_mapping(source, name, int(name == joining)) for source, name in rows],
        "metadata": [{"key": key, "value": value} for key, value in flags.items()],
    }


def _definition(name: str, *, anchor: str, required: tuple[str, ...]) -> Document:
    kind = "Boolean" if name in ("active", "IsSoftDeleted", "accountEnabled") else "String"
    return {
        "anchor": name == anchor,
        "caseExact": False,
        "defaultValue": None,
        "flowNullValues": False,
        "multivalued": name in ("members", "otherMails", "proxyAddresses", "appRoleAssignments"),
        "mutability": "ReadWrite",
        "name": name,
        "required": name in required,
        "type": "Reference" if name in ("manager", "members", f"{USER_TARGET}:manager") else kind,
        "apiExpressions": [],
        "metadata": [],
        "referencedObjects": [],
    }


def _directory(directory_id: str, name: str, version: str, objects: dict[str, list[str]], *, read_only: bool) -> Document:
    anchor = "objectId" if read_only else "id"
    required = ("IsSoftDeleted", "displayName") if read_only else ("id", "userName", "displayName")
    return {
        "id": directory_id,
        "discoveryDateTime": None,
        "discoverabilities": "AttributeNames,AttributeDataTypes" if read_only else "None",
        "name": name,
        "readOnly": read_only,
        "version": version,
        "objects": [
            {
                "name": kind,
                "supportedApis": [kind],
                "attributes": [_definition(attribute_name, anchor=anchor, required=required) for attribute_name in names],
                "metadata": [{"key": "ConnectorDataStorageRequired", "value": "true"}],
            }
            for kind, names in objects.items()
        ],
    }


def version(world: World) -> str:
    """Return a schema version as the service writes it."""
    return f"Date:{world.clock.graph()}, ActivityId:{world.ids.guid()}"


def default_schema(world: World, service_principal_id: str, job_id: str, directory: str = "Microsoft Entra ID") -> Document:
    """Return the whole schema of a new job. `directory` is the name Entra goes by; older tenants say Azure Active Directory."""
    now = version(world)
    context = f"https://graph.microsoft.com/v1.0/$metadata#servicePrincipals('{service_principal_id}')/synchronization/jobs('{job_id}')/schema"
    plain = [source for source, _ in USER_ROWS if source not in (_SWITCH, _JOIN)]
    rule: dict[str, Any] = {
        "containerFilter": None,
        "editable": True,
        "groupFilter": None,
        "id": RULE_ID,
        "name": "USERGROUP_OUTBOUND_USERGROUP",
        "priority": 1,
        "sourceDirectoryName": directory,
        "targetDirectoryName": "customappsso",
        "metadata": [{"key": "supportsProvisionOnDemand", "value": "true"}],
        "objectMappings": [
            _object_mapping("Group", directory, GROUP_TARGET, GROUP_ROWS, "displayName"),
            _object_mapping("User", directory, USER_TARGET, USER_ROWS, "userName"),
        ],
    }
    return {
        "@odata.context": f"{context}/$entity",
        "id": job_id,
        "version": now,
        "synchronizationRules": [rule],
        "directories@odata.context": f"{context}/directories",
        "directories": [
            _directory(
                "66e4a8cc-1b7b-435e-95f8-f06cea133828",
                directory,
                now,
                {"User": [*_SOURCE_ONLY, *plain], "Group": [source for source, _ in GROUP_ROWS]},
                read_only=True,
            ),
            _directory(
                world.ids.guid(),
                "customappsso",
                now,
                {GROUP_TARGET: ["id", *(t for _, t in GROUP_ROWS)], USER_TARGET: ["id", *(t for _, t in USER_ROWS)]},
                read_only=False,
            ),
        ],
    }
