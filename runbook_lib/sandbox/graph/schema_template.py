"""The schema a new `scim` job starts with.

Rows: three independent public lists of the defaults (SCIMReferenceCode sample, SingleID and Capturi guides). Frame: a real
export published by SignPath (MicrosoftEntraIDScimConfiguration.json). Left out of it: the long entry
`defaultSourceObjectMappings`, and the mark `Secret` of the password, a word that Microsoft's own API description lacks.
Unverified: the rows' order, the keys of Join's parameters, the target's further attributes.
"""

from __future__ import annotations

import json

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
# The directories' objects, one attribute a word: `name` and its flags. a: anchor, r: required, b: Boolean, m: multivalued,
# o: ReadOnly; `->X,Y` a reference to objects X and Y, `=X` a complex value described by object X.
_EXTENSIONS = " ".join(f"extensionAttribute{number}" for number in range(1, 16))
_ENTRA_OBJECTS = {
    "User": (
        "objectId:a IsSoftDeleted:rb accountEnabled:rb streetAddress city state postalCode country companyName department "
        "employeeId employeeHireDate employeeLeaveDateTime employeeType employeeOrgData.costCenter employeeOrgData.division "
        f"dirSyncEnabled:b displayName:r immutableId appRoleAssignments=AppRoleAssignment {_EXTENSIONS} "
        "facsimileTelephoneNumber givenName jobTitle mail mailNickname:r manager->User mobile onPremisesSecurityIdentifier "
        "originalUserPrincipalName otherMails:m passwordProfile.password:r physicalDeliveryOfficeName preferredLanguage:r "
        "proxyAddresses:m surname:r telephoneNumber usageLocation userPrincipalName:r"
    ),
    "Group": (
        "objectId:a displayName:r appRoleAssignments=AppRoleAssignment mail description isPublic:b mailEnabled:rb mailNickname:r "
        "onPremisesSecurityIdentifier visibility members:m->Group,User proxyAddresses:m securityEnabled:rb groupTypes:m "
        f"creationOptions:m {_EXTENSIONS}"
    ),
    "ServicePrincipal": (
        "objectId:a displayName:r appId:r appRoles:r=AppRole microsoftFirstParty:b homepage appMetadata:o tags:m "
        "applicationTemplateId"
    ),
    "Application": "objectId:a appId:r appMetadata:o displayName appRoles:r=AppRole homepage identifierUris:rm replyUrls:rm",
    "AppRole": "id:ar allowedMemberTypes:rm description:r displayName:r isEnabled:rb origin value",
    "AppRoleAssignment": (
        "objectId:a id:r entitlement:r=AppRole principalId:r principalType:r resourceId:r resourceDisplayName:r "
        "servicePrincipalApplicationIdentifier displayName value"
    ),
}
# What the target's objects hold besides the mapped attributes. Unverified: the whole list (names from tutorials).
_TARGET_EXTRA = (
    'emails[type eq "home"].value',
    'emails[type eq "other"].value',
    "nickName",
    "userType",
    "locale",
    "timezone",
    "name.honorificPrefix",
    "name.honorificSuffix",
    'addresses[type eq "other"].formatted',
    'phoneNumbers[type eq "home"].value',
    'phoneNumbers[type eq "other"].value',
    'phoneNumbers[type eq "pager"].value',
    f"{USER_TARGET}:costCenter",
    f"{USER_TARGET}:organization",
    f"{USER_TARGET}:division",
    'roles[primary eq "True"].display',
    'roles[primary eq "True"].type',
    'roles[primary eq "True"].value',
)
_SYNCHRONIZE_ALL = ("User", "Group")
_SOFT_DELETED = ("User", "Group", "ServicePrincipal", "AppRoleAssignment")
ENTRA_DIRECTORY_ID = "66e4a8cc-1b7b-435e-95f8-f06cea133828"


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


def _flags(joining: str) -> list[Document]:
    """Return the metadata of an object mapping as a real export has them."""
    values = {
        "IsCustomerDefined": "false",
        "DisableMonitoringForChanges": "false",
        "Disposition": '"Normal"',
        "ExcludeFromReporting": "false",
        "EscrowBehavior": '"Default"',
        "Unsynchronized": "false",
        "OriginalJoiningProperty": joining,
    }
    return _pairs(values)


def _pairs(values: dict[str, str]) -> list[Document]:
    return [{"key": key, "value": value} for key, value in values.items()]


def _object_mapping(kind: str, directory: str, target: str, rows: tuple[tuple[str, str], ...], joining: str) -> Document:
    return {
        "enabled": True,
        "flowTypes": "Add,Update,Delete",
        "name": f"Provision {directory} {kind}s",
        "scope": None,
        "sourceObjectName": kind,
        "targetObjectName": target,
        "attributeMappings": [_mapping(source, name, int(name == joining)) for source, name in rows],
        "metadata": _flags(joining),
    }


# Directories ---------------------------------------------------------------------------------------------------------


def _definition(name: str, *, flags: str = "", references: tuple[str, ...] = (), complex_of: str = "") -> Document:
    kind = "Boolean" if "b" in flags else "Reference" if references or complex_of == "AppRoleAssignment" else "String"
    metadata = {"IsContainer": "true"} if references and "m" in flags else {}
    if complex_of:
        metadata["ComplexObjectDefinition"] = _complex(complex_of)
    return {
        "anchor": "a" in flags,
        "caseExact": False,
        "defaultValue": None,
        "flowNullValues": False,
        "multivalued": "m" in flags,
        "mutability": "ReadOnly" if "o" in flags else "ReadWrite",
        "name": name,
        "required": "r" in flags,
        "type": kind,
        "apiExpressions": [],
        "metadata": _pairs(metadata),
        "referencedObjects": [{"referencedObjectName": other, "referencedProperty": None} for other in references],
    }


def _attribute(word: str) -> Document:
    """Return the definition that a word of the tables above stands for."""
    word, _, complex_of = word.partition("=")
    word, _, references = word.partition("->")
    name, _, flags = word.partition(":")
    return _definition(name, flags=flags, references=tuple(references.split(",")) if references else (), complex_of=complex_of)


def _object_metadata(name: str, *, stored: bool = True) -> list[Document]:
    values = {
        "IsSoftDeletionSupported": str(name in ("User", "AppRoleAssignment")).lower(),
        "ConnectorDataStorageRequired": str(stored).lower(),
        "IsSynchronizeAllSupported": str(name in _SYNCHRONIZE_ALL).lower(),
    }
    if name == "User":
        values["PropertyNameAccountEnabled"] = "accountEnabled"
    if name in _SOFT_DELETED:
        values["PropertyNameSoftDeleted"] = "IsSoftDeleted"
    return _pairs(values)


def _complex(name: str) -> str:
    """Return what a real export keeps of a complex attribute: JSON in a text, defaults left out, and again inside it."""
    rows: list[Document] = [{"matchingPriority": 1, "targetAttributeName": "id"}]
    if name == "AppRole":
        rows = [
            {"defaultValue": "User", "targetAttributeName": "allowedMemberTypes"},
            {"defaultValue": ".", "targetAttributeName": "description"},
            {"matchingPriority": 1, "targetAttributeName": "displayName"},
            {"defaultValue": "True", "targetAttributeName": "isEnabled"},
        ]
    definition = {
        "attributes": [_sparse(_attribute(word)) for word in _ENTRA_OBJECTS[name].split()],
        "metadata": _object_metadata(name, stored=False),
        "name": name,
        "supportedApis": [name],
    }
    mapping = {
        "attributeMappings": rows,
        "flowTypes": "Add, Update, Delete",
        "metadata": _flags("displayName" if name == "AppRole" else "id"),
        "sourceObjectName": "",
        "targetObjectName": name,
    }
    return json.dumps({"definition": definition, "mapping": mapping}, separators=(",", ":"), sort_keys=True)


def _sparse(definition: Document) -> Document:
    kept = ("apiExpressions", "metadata", "name")
    usual = _definition("")
    return {
        key: value
        for key, value in definition.items()
        if key in kept
        or (value != usual[key] and key not in ("referencedObjects", "type"))
        or (key == "type" and value == "Boolean")
    }


def _directory(directory_id: str, name: str, version: str, objects: dict[str, list[Document]], *, is_source: bool) -> Document:
    return {
        "id": directory_id,
        "discoveryDateTime": None,
        "discoverabilities": "AttributeNames,AttributeDataTypes" if is_source else "None",
        "name": name,
        "readOnly": is_source,
        "version": version,
        "objects": [
            {
                "name": kind,
                "supportedApis": [kind],
                "attributes": attributes,
                "metadata": _object_metadata(kind, stored=not is_source or kind in _SYNCHRONIZE_ALL),
            }
            for kind, attributes in objects.items()
        ],
    }


def _target_objects() -> dict[str, list[Document]]:
    flags = {"userName": "r", "active": "b"}
    manager = f"{USER_TARGET}:manager"
    user = [_definition("id", flags="ar")]
    for name in (*(target for _, target in USER_ROWS), *_TARGET_EXTRA):
        user.append(_definition(name, flags=flags.get(name, ""), references=(USER_TARGET,) if name == manager else ()))
    group = [
        _definition("id", flags="ar"),
        _definition("displayName", flags="r"),
        _definition("externalId"),
        _definition("members", flags="m", references=(USER_TARGET, GROUP_TARGET)),
    ]
    return {GROUP_TARGET: group, USER_TARGET: user}


def version(world: World) -> str:
    """Return a schema version as the service writes it."""
    return f"Date:{world.clock.graph()}, ActivityId:{world.ids.guid()}"


def default_schema(world: World, service_principal_id: str, job_id: str, directory: str = "Microsoft Entra ID") -> Document:
    """Return the whole schema of a new job. `directory` is the name Entra goes by; older tenants say Azure Active Directory."""
    now = version(world)
    context = f"https://graph.microsoft.com/v1.0/$metadata#servicePrincipals('{service_principal_id}')/synchronization/jobs('{job_id}')/schema"
    return {
        "@odata.context": f"{context}/$entity",
        "id": job_id,
        "version": now,
        "synchronizationRules": [_rule(directory)],
        "directories@odata.context": f"{context}/directories",
        "directories": _directories(world.ids.guid(), directory, now),
    }


def template_schema(world: World, template_id: str, directory: str = "Microsoft Entra ID") -> Document:
    """Return the schema of a template, as templates carry theirs (Graph tutorial 2021). Its ids do not draw on the sequence."""
    now = f"Date:{world.clock.graph()}, ActivityId:00000000-0000-0000-0000-000000000000"
    return {
        "id": f"{template_id}.00000000000000000000000000000000",
        "version": "6.0",
        "synchronizationRules": [_rule(directory)],
        "directories": _directories("00000000-0000-0000-0000-000000000000", directory, now),
    }


def _rule(directory: str) -> Document:
    return {
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


def _directories(target_id: str, directory: str, now: str) -> list[Document]:
    source = {kind: [_attribute(word) for word in words.split()] for kind, words in _ENTRA_OBJECTS.items()}
    return [
        _directory(ENTRA_DIRECTORY_ID, directory, now, source, is_source=True),
        _directory(target_id, "customappsso", now, _target_objects(), is_source=False),
    ]
