"""The SCIM mapping being edited: what may be planned, what is said of a row, and what becomes of edits."""

from __future__ import annotations

import pytest

from runbook_lib.page.mapping_editor import LOGIN_TOO, MANAGER_FAILS, MappingEditor
from runbook_lib.services.auth0.models import ScimConfiguration, ScimMappingRow
from runbook_lib.settings.model import TO_BE_CHOSEN, TenantSettings
from runbook_lib.steps.scim_configuration import review_mapping
from runbook_lib.tenant.scim_mapping import ENTERPRISE, row_differences, wrong_with_auth0, wrong_with_scim

DEFAULT = tuple(
    ScimMappingRow(*texts)
    for texts in (
        ("userName", "upn"),
        ("externalId", "app_metadata.external_id"),
        ("active", "blocked"),
        ("title", "app_metadata.title"),
        (f"{ENTERPRISE}.manager", "app_metadata.manager"),
        ('emails[type eq "work"].value', "email"),
    )
)


@pytest.fixture
def editor():
    made = MappingEditor()
    made.look(DEFAULT, DEFAULT, ())
    return made


def row(editor, scim):
    return next(shown for shown in editor.shown if shown.scim == scim)


@pytest.mark.parametrize(
    "path",
    [
        "userName",
        'emails[type eq "work"].value',
        'addresses[type eq "home"].postalCode',
        "roles[primary eq true].value",
        f"{ENTERPRISE}.department",
        "urn:contoso:params:scim:schemas:extension:2.0:User.badge",
    ],
)
def test_attributes_of_rfc_7643_and_of_own_schemas_are_right(path):
    assert wrong_with_scim(path, (ScimMappingRow(path, "x"),), ()) == ""


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "is empty"),
        ("username", "did you mean userName"),
        ("id", "no SCIM attribute"),
        ("password", "no SCIM attribute"),
        ("emails.value", "no SCIM attribute"),
        (f"{ENTERPRISE}:department", "colon"),
        (f"{ENTERPRISE}.departement", "did you mean"),
    ],
)
def test_other_scim_attributes_are_wrong_with_a_reason(path, words):
    assert words in wrong_with_scim(path, (ScimMappingRow(path, "x"),), ())


def test_what_auth0_holds_already_is_right_whatever_it_is():
    assert wrong_with_scim("test_attribute", (ScimMappingRow("test_attribute", "Odd Name"),), ("test_attribute",)) == ""
    assert wrong_with_auth0("Odd Name", (ScimMappingRow("test_attribute", "Odd Name"),), ("Odd Name",)) == ""


@pytest.mark.parametrize(
    ("name", "is_right"),
    [
        ("nickname", True),
        ("app_metadata.a.b-c", True),
        ("user_metadata.x", True),
        ("app_metadata", False),
        ("", False),
        ("app_metadata.", False),
        ("app_metadata.x y", False),
        ("other.x", False),
    ],
)
def test_auth0_attributes_are_of_the_profile_or_of_metadata(name, is_right):
    assert (wrong_with_auth0(name, (ScimMappingRow("x", name),), ()) == "") is is_right


def test_an_attribute_in_two_rows_is_wrong_in_both(editor):
    editor.add(ScimMappingRow("title", "blocked"))
    wrong = [(shown.scim, shown.wrong_scim, shown.wrong_auth0) for shown in editor.shown if shown.wrong_scim or shown.wrong_auth0]
    assert wrong == [
        ("active", "", "stands in two rows"),
        ("title", "stands in two rows", ""),
        ("title", "stands in two rows", "stands in two rows"),
    ]
    assert editor.wrong == "3 rows are not right yet."


def test_each_row_says_how_it_differs_and_who_else_writes(editor):
    editor.take({"auth0-4": "app_metadata.role"})
    editor.remove("2")
    editor.add(ScimMappingRow("nickName", "nickname"))
    said = {shown.scim: (shown.beside_default, shown.is_edit, shown.flags) for shown in editor.shown}
    assert said == {
        "userName": ("", False, (LOGIN_TOO,)),
        'emails[type eq "work"].value': ("", False, (LOGIN_TOO,)),
        "active": ("", False, ()),
        "title": ("changed, was app_metadata.title", True, ()),
        f"{ENTERPRISE}.manager": ("", False, (MANAGER_FAILS,)),
        "nickName": ("extra", True, (LOGIN_TOO,)),
    }
    assert editor.missing == (ScimMappingRow("externalId", "app_metadata.external_id"),)


@pytest.mark.parametrize(("scim", "words"), [("active", "keep their access"), ("externalId", "drops the object id")])
def test_rows_that_people_depend_on_cannot_be_planned_away(scim, words, editor):
    editor.remove(str(row(editor, scim).key))
    assert words in editor.wrong
    editor.add_missing(scim)
    assert (editor.wrong, editor.is_edited) == ("", False)  # the order means nothing


def test_edits_survive_another_look_and_are_given_up_by_undo(editor):
    editor.take({"auth0-4": "app_metadata.role"})
    editor.look(DEFAULT, DEFAULT, ())
    assert row(editor, "title").auth0 == "app_metadata.role"
    editor.undo()
    assert (editor.rows, editor.is_edited, editor.can_undo) == (DEFAULT, False, False)


def test_planned_rows_are_shown_until_they_are_written(editor):
    wanted = DEFAULT[:-1]
    editor.look(DEFAULT, DEFAULT, wanted)
    assert (editor.rows, editor.is_edited, editor.can_undo) == (wanted, False, True)
    editor.look(wanted, DEFAULT, wanted)
    assert (editor.can_undo, editor.is_default) == (False, False)
    editor.back_to_default()
    assert (editor.rows, editor.is_edited, editor.is_default) == (DEFAULT, True, True)


def test_a_field_that_is_typed_in_again_after_undo_is_a_new_one(editor):
    before = {shown.key for shown in editor.shown}
    editor.take({"auth0-4": "x"})
    editor.undo()
    assert before.isdisjoint(shown.key for shown in editor.shown)
    editor.take({"auth0-4": "typed into a field that is gone"})
    assert editor.rows == DEFAULT


def test_removing_leads_to_the_next_row_and_adding_to_the_new_one(editor):
    editor.remove("4")
    assert editor.focus[0] == "scim-map-5-remove"
    editor.remove("5")
    assert editor.focus[0] == "scim-map-6-remove"
    editor.remove("6")
    assert editor.focus[0] == "scim-map-3-remove"
    for key in ("1", "2", "3", "no number", "99"):
        editor.remove(key)
    assert (editor.rows, editor.focus[0]) == ((), "scim-map-add")
    editor.add()
    assert editor.focus[0] == "scim-map-7-scim"


def test_another_order_of_the_same_rows_is_nothing_to_write():
    assert row_differences(DEFAULT, DEFAULT[::-1]) == []
    mapping = [{"scim": entry.scim, "auth0": entry.auth0} for entry in reversed(DEFAULT)]
    settings = TenantSettings.from_parameters({**TO_BE_CHOSEN, "mapping": mapping})
    found = list(
        review_mapping.function(ScimConfiguration("con_1", "c", "externalId", DEFAULT), DEFAULT, ("userName",), settings)
    )
    assert [type(entry).__name__ for entry in found] == ["Finding", "Table"]
