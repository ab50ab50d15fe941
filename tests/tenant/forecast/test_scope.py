"""Clauses of scoping filters, one by one. Source: entra-docs, define-conditional-rules-for-provisioning-user-accounts."""

from __future__ import annotations

import pytest

from runbook_lib.tenant.forecast.expressions import CannotTell
from runbook_lib.tenant.forecast.job_mapping import Clause
from runbook_lib.tenant.forecast.people import EntraPerson, State
from runbook_lib.tenant.forecast.scope import holds

PERSON = {
    "level": "10",
    "on": True,
    "off": "False",
    "job": "Engineer",
    "empty": "",
    "nothing": None,
    "none": (),
    "some": ("a", "b"),
}


def met(attribute, operator, *values):
    person = EntraPerson("an id", "Ann", "", None, State.ENABLED, attributes=PERSON)
    return holds(Clause(attribute, operator, values), person)


@pytest.mark.parametrize(
    ("attribute", "operator", "values", "is_met"),
    [
        ("on", "IS TRUE", (), True),
        ("on", "IS FALSE", (), False),
        ("off", "IS FALSE", (), True),
        ("off", "is_true", (), False),
        ("level", "GREATER_THAN", ("9",), True),
        ("level", "GREATER_THAN", ("10",), False),
        ("level", "GREATER_THAN", ("-11",), True),
        ("level", "GREATER_THAN_OR_EQUALS", ("10",), True),
        ("level", "GREATER_THAN_OR_EQUALS", ("11",), False),
        ("level", "GREATER_THAN_OR_EQUALS", ("9",), True),
        ("job", "INCLUDES", ("gin",), True),
        ("job", "INCLUDES", ("GIN",), False),
        ("job", "NOT REGEX MATCH", ("Clerk",), True),
        ("empty", "NOT EQUALS", ("Engineer",), False),
        ("nothing", "NOT REGEX MATCH", ("Clerk",), False),
        ("empty", "IS NULL", (), True),
        ("nothing", "IS NULL", (), True),
        ("none", "IS NULL", (), True),
        ("some", "IS NOT NULL", (), True),
    ],
)
def test_a_clause_is_met_as_documented(attribute, operator, values, is_met):
    assert met(attribute, operator, *values) is is_met


@pytest.mark.parametrize(
    ("attribute", "operator", "values", "why"),
    [
        ("height", "IS NULL", (), "the attribute height is not known"),
        ("some", "EQUALS", ("a",), "EQUALS with several values is not documented"),
        ("job", "EQUALS", ("a", "b"), "EQUALS with several values is not documented"),
        ("job", "EQUALS", (), "EQUALS with nothing to compare with is not documented"),
        ("nothing", "STARTS_WITH", ("a",), "the operator STARTS_WITH is not among those of Microsoft's page"),
        ("userType", "EQUALS", ("Member",), "Microsoft's page says that a scoping filter cannot use userType"),
        ("job", "GREATER_THAN", ("9",), "the operator GREATER THAN of '9' is not foretold here"),
        ("level", "GREATER_THAN", ("high",), "the operator GREATER THAN of 'high' is not foretold here"),
        ("level", "&", ("8",), "the operator & of '8' is not foretold here"),
        ("job", "REGEX MATCH", ("Eng",), "whether Eng has to match the whole of 'Engineer' is not documented"),
    ],
)
def test_a_clause_that_is_not_documented_says_why(attribute, operator, values, why):
    with pytest.raises(CannotTell) as told:
        met(attribute, operator, *values)
    assert str(told.value) == why
