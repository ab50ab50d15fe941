"""What is wrong with a mapping and what an administrator does about it, word for word, over small schemas."""

from __future__ import annotations

import pytest

from runbook_lib.services.entra.models import SOURCE_USER, TARGET_USER, SynchronizationSchema
from runbook_lib.steps import attribute_mapping_checks as checks

WHERE = "in Entra (Mappings > Provision Microsoft Entra ID Users)"
EMAIL = 'emails[type eq "work"].value'
SWITCH = 'Switch([IsSoftDeleted], , "False", "True", "True", "False")'
OPTIONAL_NAME = 'Switch([accountEnabled], "False", "True", "True")'


def row(target, source=None, **more):
    return {"targetAttributeName": target, "source": source, "flowType": "Always", **more}


def attribute(name):
    return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}


def function(text):
    return {"type": "Function", "name": text.partition("(")[0], "expression": text, "parameters": []}


def schema(*rows, others=()):
    users = {"sourceObjectName": SOURCE_USER, "targetObjectName": TARGET_USER}
    users |= {"name": "Users", "enabled": True, "attributeMappings": list(rows)}
    return SynchronizationSchema({"synchronizationRules": [{"objectMappings": [users, *others]}]})


@pytest.mark.parametrize("kind", ["Attribute", "Constant", "Function", "None"])
def test_the_types_of_source_that_are_described_are_kept(kind):
    assert list(checks.flaws_of_the_mapping(schema(row("nickName", {"type": kind})))) == []


@pytest.mark.parametrize("of_a_row", [row("nickName"), row("nickName", {}), row("nickName", {"expression": ""}), None])
def test_a_row_without_a_source_or_a_type_is_kept(of_a_row):
    assert list(checks.flaws_of_the_mapping(schema(of_a_row))) == []


@pytest.mark.parametrize(
    ("target", "named", "mapping", "place"),
    [
        ("nickName", "nickName", {"name": "Groups", "targetObjectName": "urn:Group"}, "Groups"),
        (None, "no target attribute", {"name": None, "targetObjectName": "urn:Group"}, "urn:Group"),
    ],
)
def test_a_type_of_source_that_is_not_described_is_named_with_its_row_and_its_mapping(target, named, mapping, place):
    other = {**mapping, "attributeMappings": [None, row("fine", {"type": "None"}), row(target, {"type": "Script"})]}
    assert list(checks.flaws_of_the_mapping(schema(others=(None, {"attributeMappings": None}, other)))) == [
        (
            f"The row of {named} in the mapping {place} has a source of type 'Script', which Graph does not describe, so Graph "
            "would refuse the whole schema",
            f"Delete the row in Entra (Mappings > {place}), or give it another source, then run again",
        )
    ]


def test_a_matching_row_without_a_target_finds_no_one():
    for target in (None, ""):
        assert list(checks.flaws_of_matching(schema(row(target, attribute("mail"), matchingPriority=3)))) == [
            (
                "A row with matching precedence 3 has no target attribute, so it matches no one",
                f"Delete the row {WHERE}, then run again",
            )
        ]


@pytest.mark.parametrize(
    ("target", "source", "why", "restored"),
    [
        ("userName", None, "userName has no source, so it matches no one", ": userName from userPrincipalName"),
        (EMAIL, None, f"{EMAIL} has no source, so it matches no one", f": {EMAIL} from mail"),
        ("title", {"type": "None"}, "title has no source, so it matches no one", " for title, as in the default mapping"),
        (
            "title",
            function('"all"'),
            'title comes from "all", which is the same for everyone, and Entra matches people by it',
            " for title, as in the default mapping",
        ),
    ],
)
def test_a_matching_row_from_nothing_or_the_same_for_all_is_restored(target, source, why, restored):
    found = list(checks.flaws_of_matching(schema(row(target, source, matchingPriority=2))))
    assert found == [(why, f"Restore the row {WHERE}{restored}")]


def test_a_row_that_matches_no_one_by_wish_or_by_what_cannot_be_read_is_let_be():
    assert list(checks.flaws_of_matching(schema(row("title", None), row("name", function("Unheard("), matchingPriority=2)))) == []


@pytest.mark.parametrize(
    ("rows", "why", "remedy"),
    [
        (
            (),
            f"The mapping has no row for {EMAIL}, so people who have signed in before are not found by their address",
            f"Restore the row {WHERE}: {EMAIL} from mail",
        ),
        (
            (row("EMAILS[primary eq true].value", attribute("mail")),),
            f"The mapping has no row for {EMAIL} (EMAILS[primary eq true].value is another attribute), so people who have "
            "signed in before are not found by their address",
            f"Restore the row {WHERE}: {EMAIL} from mail",
        ),
        (
            (row(EMAIL, attribute("mail")), row(EMAIL, attribute("otherMails"))),
            f"The mapping has 2 rows for {EMAIL}, so it is unclear which value Entra sends",
            f"Keep one row {WHERE}: {EMAIL} from mail",
        ),
    ],
)
def test_the_row_of_the_work_email_is_there_once(rows, why, remedy):
    assert list(checks.flaws_of_work_email(schema(*rows))) == [(why, remedy)]


@pytest.mark.parametrize("flow", ["", "Always", None])
def test_a_row_that_always_flows_has_no_flaw(flow):
    assert list(checks.flaws_of_external_id(schema(row("externalId", attribute("objectId"), flowType=flow)))) == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (function(SWITCH), None),
        (function(OPTIONAL_NAME), "people who lose their assignment, or leave the scope, keep their access"),
        (attribute("IsSoftDeleted"), "people who leave keep their access"),
        (function('"False"'), "people who stay would be blocked"),
        (function("Unheard("), "this tool cannot read it, and people who leave may keep their access"),
        (function('Switch([department], Not([IsSoftDeleted]), "Sales", "False")'), None),
        (
            function('IIF([employeeType]="Contractor", "False", Not([IsSoftDeleted]))'),
            "whether people who leave lose their access depends on their employeeType, and some of them may keep it",
        ),
        (
            function('Switch([IsSoftDeleted], "1", "True", "0")'),
            "it sends 0, which is neither true nor false, and people who leave may keep their access",
        ),
        (
            function(f"Coalesce({', '.join(f'[a{n}]' for n in range(12))})"),  # too many to try each value
            "whether people who leave lose their access depends on their "
            "a0, a1, a10, a11, a2, a3, a4, a5, a6, a7, a8, a9, and some of them may keep it",
        ),
    ],
)
def test_active_tells_departures_and_blocks_no_one_who_stays(source, why):
    flaws = list(checks.flaws_of_departures(schema(row("active", source))))
    assert [flaw.remedy for flaw in flaws] == [f"Restore the row {WHERE}: active from {SWITCH}" for _ in ([why] if why else [])]
    assert [flaw.why.partition(", so ")[2] for flaw in flaws] == ([why] if why else [])


def test_two_rows_of_active_are_told_once():
    [flaw] = checks.flaws_of_departures(schema(row("active", function(SWITCH)), row("active", attribute("accountEnabled"))))
    assert flaw == (
        "The mapping has 2 rows for active, so it is unclear which value Entra sends",
        f"Keep one row {WHERE}: active from {SWITCH}",
    )
