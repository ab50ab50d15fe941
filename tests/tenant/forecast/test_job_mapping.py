"""The job's mapping as the forecast reads it: a schema document in, rows, filters and references out."""

from __future__ import annotations

import pytest

from runbook_lib.services.entra.models import SynchronizationSchema
from runbook_lib.tenant.forecast.expressions import CannotTell, Constant, parse
from runbook_lib.tenant.forecast.job_mapping import Clause, Filters, Row, default_mapping, object_id_source, staged, user_mapping

USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
WORK_EMAIL = 'emails[type eq "work"].value'


def attribute(name):
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def schema(*rows, scope=None, flows="Add,Update,Delete", directories=()):
    mapping = {
        "sourceObjectName": "User",
        "targetObjectName": USER,
        "flowTypes": flows,
        "enabled": True,
        "attributeMappings": list(rows),
        "scope": scope,
    }
    rule = {"id": "rule", "objectMappings": [mapping]}
    return SynchronizationSchema({"directories": list(directories), "synchronizationRules": [rule]})


def row(target, source, **more):
    return {"targetAttributeName": target, "source": source, **more}


def test_rows_are_read_with_their_precedence_flow_type_and_default():
    found = user_mapping(
        schema(
            row("userName", attribute("userPrincipalName"), matchingPriority=1, flowType="Always"),
            row("title", attribute("jobTitle"), matchingPriority=0, flowType="ObjectAddOnly", defaultValue="Staff"),
            row("displayName", attribute("displayName"), matchingPriority=None, flowType=None, defaultValue=None),
        )
    )
    assert found is not None
    assert found.rows == (
        Row("userName", parse("[userPrincipalName]"), "", 1, "Always"),
        Row("title", parse("[jobTitle]"), "", None, "ObjectAddOnly", False, "Staff"),
        Row("displayName", parse("[displayName]"), "", None, "Always"),
    )
    assert (found.flows, found.filters, found.references) == ({"Add", "Update", "Delete"}, Filters(), ())
    assert [one.flows for one in found.rows] == [True, False, True]


def test_rows_that_match_are_tried_in_the_order_of_their_precedence():
    found = user_mapping(
        schema(
            row(WORK_EMAIL, attribute("mail"), matchingPriority=2),
            row("displayName", attribute("displayName")),
            row("userName", attribute("userPrincipalName"), matchingPriority=1),
        )
    )
    assert [one.target for one in found.matching] == ["userName", WORK_EMAIL]


def test_a_source_that_cannot_be_read_is_known_as_such_and_one_that_is_missing_sends_nothing():
    odd = {"type": "Function", "name": "SelectUniqueValue", "expression": "SelectUniqueValue([mail])", "parameters": []}
    found = user_mapping(schema(row("title", odd), row("nickName", {"type": "None"}), row("locale", None)))
    with pytest.raises(CannotTell) as reason:
        parse("SelectUniqueValue([mail])")
    by_target = {one.target: one for one in found.rows}
    assert (by_target["title"].source, by_target["title"].unknown) == (None, str(reason.value))
    assert (by_target["nickName"].source, by_target["nickName"].unknown) == (Constant(""), "")
    assert (by_target["locale"].source, by_target["locale"].unknown) == (Constant(""), "")


def test_a_row_without_a_target_attribute_is_none():
    assert [one.target for one in user_mapping(schema(row(None, attribute("mail")), row("", None), row("title", None))).rows] == [
        "title"
    ]


def test_a_row_of_the_manager_names_another_person():
    manager = row(f"{USER}:manager", attribute("manager"))
    text = row("title", {"type": "Constant", "name": "manager", "expression": '"manager"', "parameters": []})
    created = row("costCenter", attribute("manager"), flowType="ObjectAddOnly")
    found = user_mapping(schema(manager, text, created))
    reference = Row(f"{USER}:manager", None, "", None, "Always")
    assert (found.references, [one.target for one in found.rows]) == ((reference,), ["title"])


def test_attributes_in_which_capitals_count():
    attributes = [{"name": "displayName", "caseExact": True}, {"name": "title", "caseExact": False}, {"name": "userName"}]
    group = {"name": "Group", "attributes": [{"name": "title", "caseExact": True}]}
    of_users = {"name": USER, "attributes": attributes}
    directories = ({"objects": None}, {"objects": [of_users, group]}, {"objects": [{"name": USER, "attributes": None}]})
    rows = [row(name, attribute("displayName")) for name in ("displayName", "title", "userName")]
    found = user_mapping(schema(*rows, directories=directories))
    assert [one.is_case_exact for one in found.rows] == [True, False, False]


def test_a_schema_with_no_mapping_of_users_or_two_has_none():
    assert user_mapping(SynchronizationSchema({"synchronizationRules": []})) is None
    two = schema()
    rule = two.document["synchronizationRules"][0]
    rule["objectMappings"].append(dict(rule["objectMappings"][0]))
    assert user_mapping(two) is None


def test_scoping_filters_are_read_and_what_else_is_in_a_scope_is_named():
    clause = {"sourceOperandName": "jobTitle", "operatorName": "EQUALS", "targetOperand": {"values": ["Engineer", 7]}}
    bare = {"sourceOperandName": "department", "operatorName": "IS NULL", "targetOperand": None}
    scope = {
        "@odata.type": "#microsoft.graph.filter",
        "groups": [{"name": "a", "clauses": [clause, bare]}, {"name": "b", "clauses": None}],
        "inputFilterGroups": [{"clauses": [bare]}],
        "categoryFilterGroups": [],
    }
    found = user_mapping(schema(row("title", attribute("jobTitle")), scope=scope))
    engineers, nobody = Clause("jobTitle", "EQUALS", ("Engineer", "7")), Clause("department", "IS NULL", ())
    assert found.filters == Filters(((engineers, nobody), ()), ((nobody,),), "")
    assert found.attributes == {"jobTitle", "department"}
    odd = user_mapping(schema(scope={"groups": None, "categoryFilterGroups": [{}], "another": [1]}))
    assert odd.filters.unknown == "the scoping filter has categoryFilterGroups, another, which is not foretold here"
    assert (odd.filters.groups, odd.filters.inputs) == ((), ())


def test_the_procedures_changes_are_made_and_nothing_else():
    before = user_mapping(
        schema(
            row("userName", attribute("userPrincipalName"), matchingPriority=1),
            row("externalId", attribute("mailNickname")),
            row(WORK_EMAIL, attribute("mail")),
            row("title", attribute("jobTitle")),
        )
    )
    after = staged(before)
    assert (before.sends_object_id, after.sends_object_id) == (False, True)
    assert after.flows == {"Update", "Delete"}
    assert [(one.target, one.source, one.precedence) for one in after.rows] == [
        ("userName", parse("[userPrincipalName]"), 1),
        ("externalId", object_id_source(), None),
        (WORK_EMAIL, parse("[mail]"), 2),
        ("title", parse("[jobTitle]"), None),
    ]
    unknown = staged(user_mapping(schema(row("externalId", {"type": "Function", "expression": "Guid("}))))
    assert [(one.source, one.unknown) for one in unknown.rows] == [(object_id_source(), "")]


def test_the_object_id_is_sent_by_a_row_that_flows():
    created = user_mapping(schema(row("externalId", attribute("objectId"), flowType="ObjectAddOnly")))
    other = user_mapping(schema(row("nickName", attribute("objectId"))))
    sent = user_mapping(schema(row("externalId", attribute("objectId"))))
    assert (created.sends_object_id, other.sends_object_id, sent.sends_object_id) == (False, False, True)


def test_the_default_mapping_is_that_of_a_new_job_with_the_changes_made():
    work = 'addresses[type eq "work"]'
    expected = {
        "userName": "[userPrincipalName]",
        "active": 'Switch([IsSoftDeleted], , "False", "True", "True", "False")',
        "displayName": "[displayName]",
        "title": "[jobTitle]",
        WORK_EMAIL: "[mail]",
        "preferredLanguage": "[preferredLanguage]",
        "name.givenName": "[givenName]",
        "name.familyName": "[surname]",
        "name.formatted": 'Join(" ", [givenName], [surname])',
        f"{work}.formatted": "[physicalDeliveryOfficeName]",
        f"{work}.streetAddress": "[streetAddress]",
        f"{work}.locality": "[city]",
        f"{work}.region": "[state]",
        f"{work}.postalCode": "[postalCode]",
        f"{work}.country": "[country]",
        'phoneNumbers[type eq "work"].value': "[telephoneNumber]",
        'phoneNumbers[type eq "mobile"].value': "[mobile]",
        'phoneNumbers[type eq "fax"].value': "[facsimileTelephoneNumber]",
        "externalId": "[objectId]",
        f"{USER}:employeeNumber": "[employeeId]",
        f"{USER}:department": "[department]",
    }
    found = default_mapping()
    assert {one.target: one.source for one in found.rows} == {target: parse(text) for target, text in expected.items()}
    assert [(one.target, one.precedence) for one in found.matching] == [("userName", 1), (WORK_EMAIL, 2)]
    assert {(one.unknown, one.flow_type, one.is_case_exact, one.default) for one in found.rows} == {("", "Always", False, "")}
    assert (found.flows, found.filters, found.references) == (
        {"Update", "Delete"},
        Filters(),
        (Row(f"{USER}:manager", None, "", None, "Always"),),
    )
