"""Entra's own names of attributes, where Graph's user has them, and the values that the mapping language sees."""

from __future__ import annotations

import pytest

from runbook_lib.tenant.forecast.source_attributes import (
    ALWAYS_READ,
    attributes_of_user,
    graph_fields,
    graph_path,
    without_deletion_mark,
    without_guest_mark,
)

OTHERS = {
    "objectId": "id",
    "mobile": "mobilePhone",
    "facsimileTelephoneNumber": "faxNumber",
    "physicalDeliveryOfficeName": "officeLocation",
    "immutableId": "onPremisesImmutableId",
    "dirSyncEnabled": "onPremisesSyncEnabled",
    "telephoneNumber": "businessPhones",
    "originalUserPrincipalName": "userPrincipalName",
    "extensionAttribute1": "onPremisesExtensionAttributes.extensionAttribute1",
    "extensionAttribute15": "onPremisesExtensionAttributes.extensionAttribute15",
}
EXTENSION = f"extension_{'0a' * 16}_costCentre"


@pytest.mark.parametrize(("name", "path"), OTHERS.items())
def test_where_graph_calls_an_attribute_otherwise(name, path):
    assert graph_path(name) == path


@pytest.mark.parametrize("name", ["city", "employeeOrgData.costCenter", "employeeOrgData.division", "companyName", EXTENSION])
def test_where_graph_calls_an_attribute_the_same(name):
    assert graph_path(name) == name


@pytest.mark.parametrize(
    "name", ["IsSoftDeleted", "appRoleAssignments", "manager", "extensionAttribute16", "extensionAttribute0", "extension_1_x"]
)
def test_what_graph_has_not(name):
    assert graph_path(name) == ""


def test_what_is_always_read_comes_first_and_each_property_once():
    assert ALWAYS_READ == ("id", "displayName", "userPrincipalName", "mail", "accountEnabled", "mailNickname")
    wanted = {
        "objectId",
        "mobile",
        "IsSoftDeleted",
        "employeeOrgData.division",
        "employeeOrgData.costCenter",
        "extensionAttribute3",
    }
    assert graph_fields(wanted) == (*ALWAYS_READ, "employeeOrgData", "onPremisesExtensionAttributes", "mobilePhone")


USER = {
    "id": "object-id",
    "userPrincipalName": "ann_other.example#EXT#@contoso.onmicrosoft.com",
    "accountEnabled": True,
    "mobilePhone": "1",
    "businessPhones": ["2", "3"],
    "faxNumber": None,
    "officeLocation": "Oslo",
    "onPremisesSyncEnabled": False,
    "onPremisesExtensionAttributes": {"extensionAttribute1": "one"},
    "employeeOrgData": {"division": "North", "costCenter": 7},
    "otherMails": ["a@b.example", 5],
    "proxyAddresses": [],
    "city": {"name": "no text"},
    EXTENSION: "cc",
}


def test_values_by_entras_names():
    names = {
        "objectId": "object-id",
        "userPrincipalName": "ann@other.example",
        "originalUserPrincipalName": "ann_other.example#EXT#@contoso.onmicrosoft.com",
        "accountEnabled": True,
        "mobile": "1",
        "telephoneNumber": "2",
        "businessPhones": ("2", "3"),
        "facsimileTelephoneNumber": None,
        "physicalDeliveryOfficeName": "Oslo",
        "dirSyncEnabled": False,
        "extensionAttribute1": "one",
        "extensionAttribute2": None,
        "employeeOrgData.division": "North",
        "employeeOrgData.costCenter": 7,
        "otherMails": ("a@b.example", "5"),
        "proxyAddresses": (),
        "city": None,
        "department": None,
        EXTENSION: "cc",
    }
    assert attributes_of_user(USER, [*names, "IsSoftDeleted", "appRoleAssignments"]) == names


def test_roles_are_known_where_they_are_given_and_phones_and_names_may_be_missing():
    assert attributes_of_user(USER, ["appRoleAssignments"], ()) == {"appRoleAssignments": ()}
    assert attributes_of_user(USER, ["appRoleAssignments"], ("Admin",)) == {"appRoleAssignments": ("Admin",)}
    empty = {"businessPhones": [], "userPrincipalName": None, "onPremisesExtensionAttributes": None}
    names = ["telephoneNumber", "userPrincipalName", "extensionAttribute1"]
    assert attributes_of_user(empty, names) == dict.fromkeys(names)
    assert attributes_of_user({}, names) == dict.fromkeys(names)


@pytest.mark.parametrize(
    ("name", "as_taken"),
    [
        ("ann@contoso.com", "ann@contoso.com"),
        ("ann_b_other.example#EXT#@contoso.com", "ann_b@other.example"),
        ("ann#EXT#@contoso.com", "ann"),
        ("ann_other.example#ext#@contoso.com", "ann@other.example"),
        ("ann@contoso.com#", "ann@contoso.com#"),
        ("", ""),
    ],
)
def test_a_guests_name_is_taken_without_its_mark(name, as_taken):
    assert without_guest_mark(name) == as_taken


def test_a_deleted_persons_name_is_taken_without_the_object_id():
    object_id = "0A1b2c3d-0000-4000-8000-000000000001"
    mark = "0a1b2c3d000040008000000000000001"
    assert without_deletion_mark(f"{mark}ann@contoso.com", object_id) == "ann@contoso.com"
    assert without_deletion_mark("ann@contoso.com", object_id) == "ann@contoso.com"
    assert without_deletion_mark(f"x{mark}ann@contoso.com", object_id) == f"x{mark}ann@contoso.com"
