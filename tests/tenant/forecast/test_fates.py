"""Each fate, under each reading. The vendors' texts are named in the library; here is what they come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.tenant.forecast.expressions import parse
from runbook_lib.tenant.forecast.forecasting import forecast, forecast_without_auth0
from runbook_lib.tenant.forecast.job_mapping import Clause, Filters, Row, default_mapping
from runbook_lib.tenant.forecast.people import Readings, State
from runbook_lib.tenant.forecast.values import Certainty, Fate, FieldChange, HarmKind, LeftKind
from tests.tenant.forecast.situations import (
    SCIM_FIELDS,
    SEEN,
    UNSEEN,
    fates,
    foretold,
    linked,
    object_id,
    person,
    situation,
    user,
)

BLOCK, DELETE, LEAVER, NO_USER, SAME = Fate.BLOCK, Fate.DELETE, Fate.LEAVER, Fate.NO_USER, Fate.SAME
ELSE, TELL, TWO, UNBLOCK, UPDATE = Fate.SOMEONE_ELSES_USER, Fate.CANNOT_TELL, Fate.TWO_USERS, Fate.UNBLOCK, Fate.UPDATE


def only(people, users, **changes):
    [found] = fates(people, users, **changes).values()
    return found


def mapping(**changes):
    """The default mapping with rows of other sources, by target; None removes a row."""
    rows = []
    for row in default_mapping().rows:
        text = changes.get(row.target, "")
        if text is not None:
            rows.append(replace(row, source=parse(text)) if text else row)
    return replace(default_mapping(), rows=tuple(rows))


# Enabled -------------------------------------------------------------------------------------------------------------


def test_who_is_found_is_updated_with_what_differs():
    found = foretold([person("Ann", jobTitle="Engineer")], [user("Ann")])["Ann"]
    assert (found.fate, found.auth0_users, found.matched_by, found.others) == (UPDATE, ("waad|Ann1",), "userName", ())
    assert found.changes == (
        FieldChange("app_metadata.title", None, "Engineer"),
        FieldChange("app_metadata.external_id", None, object_id("Ann")),
    )
    assert (found.certainty, found.harms, found.leaves) == (Certainty.DOCUMENTED, (), ())


def test_who_is_linked_and_like_entra_stays_the_same():
    assert only([person("Ann")], [linked("Ann")], **SEEN) == (SAME,)


def test_a_change_of_capitals_alone_does_not_flow_unless_the_attribute_is_case_exact():
    people, users = [person("Ann", displayName="ANN")], [linked("Ann")]
    assert only(people, users, **SEEN) == (SAME,)
    exact = replace(
        default_mapping(),
        rows=tuple(replace(row, is_case_exact=row.target == "displayName") for row in default_mapping().rows),
    )
    assert only(people, users, mapping=exact, **SEEN) == (UPDATE,)


def test_a_changed_mail_address_is_found_by_name_or_not_at_all():
    found = foretold([person("Ann", mail="new@contoso.com")], [user("Ann")])["Ann"]
    assert found.fates == (UPDATE, NO_USER)
    assert found.leaves == ()
    assert FieldChange("email", "ann@contoso.com", "new@contoso.com", rewritten_at_login=True) in found.changes
    settled = Readings(searches_every_field=False)
    assert only([person("Ann", mail="new@contoso.com")], [user("Ann")], readings=settled) == (NO_USER,)


def test_who_has_no_mail_address_is_found_by_name_only():
    assert only([person("Ann", mail=None)], [user("Ann", email=None)]) == (UPDATE, NO_USER)


def test_nobody_is_found_where_there_is_no_user():
    found = foretold([person("Ann")], [user("Bob")])["Ann"]
    assert (found.fates, found.leaves, found.auth0_users) == ((NO_USER,), (LeftKind.NO_USER,), ())


def test_capitals_in_a_mail_address_are_both_read():
    people, users = [person("Ann", mail="Ann@Contoso.com")], [user("Ann", upn=None)]
    assert only(people, users) == (UPDATE, NO_USER)
    assert only(people, users, readings=Readings(ignores_case=True)) == (UPDATE,)
    assert only(people, users, readings=Readings(ignores_case=False)) == (NO_USER,)


def test_who_is_blocked_by_hand_would_be_unblocked():
    found = foretold([person("Ann")], [user("Ann", blocked=True)])["Ann"]
    assert (found.fate, found.harms) == (UNBLOCK, (HarmKind.UNBLOCK,))
    assert FieldChange("blocked", True, False) in found.changes
    assert only([person("Ann")], [linked("Ann", blocked=True)], **SEEN) == (UNBLOCK, SAME)


def test_values_of_the_application_would_be_lost():
    own = {"app_metadata__department": "billing 7", "app_metadata__external_id": "crm-4711"}
    found = foretold([person("Ann", department="Sales")], [user("Ann", **own)])["Ann"]
    assert (found.fate, found.harms) == (UPDATE, (HarmKind.OVERWRITE,))
    assert [change.field for change in found.overwritten] == ["app_metadata.external_id", "app_metadata.department"]


def test_what_an_earlier_cycle_wrote_is_not_the_applications():
    old = linked("Ann", app_metadata__department="Support")
    found = foretold([person("Ann", department="Sales")], [old], **SEEN)["Ann"]
    assert (found.fate, found.harms) == (UPDATE, ())
    nickname = user("Ann", app_metadata__external_id="ann")
    assert foretold([person("Ann")], [nickname])["Ann"].harms == ()


def test_before_a_cycle_has_run_a_mail_nickname_as_external_id_is_the_applications():
    nickname = user("Ann", app_metadata__external_id="ann")
    assert foretold([person("Ann")], [nickname], cycles_ran=False)["Ann"].harms == (HarmKind.OVERWRITE,)


@pytest.mark.parametrize(
    ("name", "told"),
    [("Old Bea", (ELSE, UPDATE)), ("Ann, Maiden", (UPDATE,)), ("ann@contoso.com", (UPDATE,)), (None, (UPDATE,))],
)
def test_a_user_of_whom_nothing_says_whose_it_is_and_who_has_another_name(name, told):
    """The address may have been given again to Ann: the old person's user carries no object id."""
    kept = user("Ann", of=None)
    values = {key: value for key, value in {**kept.values, "name": name}.items() if value}
    found = foretold([person("Ann")], [replace(kept, values=values)])["Ann"]
    assert (found.fates, "the Auth0 user is named Old Bea" in found.reason) == (told, told[0] is ELSE)
    assert only([person("Ann")], [replace(user("Ann"), values=values)]) == (UPDATE,)


@pytest.mark.parametrize("own", [["owner"], {"of": "crm"}, 7, False])
def test_what_is_no_text_is_the_applications_though_a_cycle_has_run(own):
    found = foretold([person("Ann", jobTitle="Engineer")], [linked("Ann", app_metadata__title=own)], **SEEN)["Ann"]
    assert (found.fate, [change.field for change in found.overwritten]) == (UPDATE, ["app_metadata.title"])


def test_what_comes_of_an_active_that_is_neither_true_nor_false_cannot_be_told():
    people, odd = [person("Ann"), person("Bob", State.DISABLED)], mapping(active='Switch([IsSoftDeleted], "1", "True", "0")')
    found = foretold(people, [linked("Ann"), linked("Bob")], mapping=odd, **SEEN)
    assert {name: one.fate for name, one in found.items()} == {"Ann": TELL, "Bob": TELL}


def test_null_never_flows():
    assert only([person("Ann", jobTitle=None)], [linked("Ann", app_metadata__title="Engineer")], **SEEN) == (SAME,)


# Several -------------------------------------------------------------------------------------------------------------


def test_two_users_of_one_address_are_named_and_updated_by_nobody():
    users = [user("Ann", upn=None), user("Ann", upn=None, number=2)]
    found = foretold([person("Ann")], users)["Ann"]
    assert (found.fates, found.auth0_users) == ((TWO,), ("waad|Ann1", "waad|Ann2"))
    assert found.leaves == (LeftKind.TWO_USERS,)


def test_two_users_of_which_one_has_the_name_depend_on_the_reading():
    assert only([person("Ann")], [user("Ann"), user("Ann", upn=None, number=2)]) == (TWO, UPDATE)


def test_a_name_given_again_leads_to_the_old_person_who_is_named():
    ann = person("Ann", userPrincipalName="ann.b@contoso.onmicrosoft.com")
    bea = person("Bea", userPrincipalName="ann@contoso.onmicrosoft.com")
    found = foretold([ann, bea], [user("Ann")])
    assert found["Bea"].fates == (ELSE, NO_USER)
    assert (found["Bea"].other_people, found["Bea"].harms) == (("Ann",), (HarmKind.SOMEONE_ELSES_USER,))
    assert found["Ann"].fate is UPDATE
    assert "Bea" in found["Ann"].other_people


def test_an_address_given_again_is_seen_where_only_addresses_can_be_searched():
    bea = person("Bea", mail="ann@contoso.com")
    found = foretold([bea], [user("Ann")])["Bea"]
    assert (found.fate, found.other_people) == (ELSE, (f"object id {object_id('Ann')}, which Entra does not know",))


def test_a_person_made_again_takes_over_a_user_that_carries_the_old_object_id():
    found = foretold([person("Ann")], [user("Ann", of="Ann before")])["Ann"]
    assert found.fate is ELSE


def test_two_people_of_one_address_whose_user_says_nothing_of_the_owner_are_both_named():
    people = [person("Ann", mail="office@contoso.com"), person("Bea", mail="office@contoso.com")]
    found = foretold(people, [user("Office", of=None, upn=None)])
    assert [found["Ann"].fate, found["Bea"].fate] == [ELSE, ELSE]
    assert (found["Ann"].other_people, found["Bea"].other_people) == (("Bea",), ("Ann",))


def test_the_value_that_another_writes_first_may_lead_to_two_users():
    """Bea's new address is the old one of Ann's user: before Bea's turn Ann is found once, after it twice."""
    ann = person("Ann", mail="shared@contoso.com", userPrincipalName="a@x.com")
    bea = person("Bea", mail="shared@contoso.com")
    found = foretold([ann, bea], [user("Ann", email="shared@contoso.com", upn=None), user("Bea")])
    assert TWO in found["Ann"].fates


# Disabled, deleted, unassigned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.DISABLED, State.DELETED])
def test_who_left_before_the_first_cycle_is_told_by_both_readings(state):
    found = foretold([person("Ann", state)], [user("Ann")])["Ann"]
    assert (found.fates, found.certainty) == ((BLOCK, LEAVER), Certainty.REPORTED)
    assert (found.harms, found.leaves) == ((HarmKind.BLOCK,), (LeftKind.LEAVER,))
    assert found.changes == (FieldChange("blocked", False, True),)
    assert "reports" in found.reading
    assert "skipped" in found.others[0].reading


@pytest.mark.parametrize(("skips", "fate"), [(True, LEAVER), (False, BLOCK)])
def test_where_the_reading_is_settled_one_fate_is_told(skips, fate):
    assert only([person("Ann", State.DISABLED)], [user("Ann")], readings=Readings(skips_disabled=skips)) == (fate,)


def test_a_leaver_whose_address_changed_is_found_by_name():
    assert only([person("Ann", State.DISABLED, mail="left@contoso.com")], [user("Ann")]) == (BLOCK, LEAVER)


def test_a_leaver_without_any_user_harms_nobody():
    assert only([person("Ann", State.DISABLED, mail=None)], [user("Bob")]) == (NO_USER,)


def test_a_leaver_who_is_blocked_already_stays_so():
    assert only([person("Ann", State.DISABLED)], [user("Ann", blocked=True)]) == (SAME,)


@pytest.mark.parametrize("state", [State.DISABLED, State.DELETED])
def test_a_linked_person_who_leaves_is_blocked(state):
    assert only([person("Ann", state)], [linked("Ann")], **SEEN)[0] is BLOCK
    assert only([person("Ann", state, assigned=False)], [linked("Ann")], **SEEN)[0] is BLOCK


def test_a_linked_person_who_lost_the_assignment_is_blocked():
    found = foretold([person("Ann", assigned=False)], [linked("Ann")], **SEEN)["Ann"]
    assert found.fates == (BLOCK, LEAVER)
    assert (found.in_scope, found.scope_reason) == (False, "unassigned")
    settled = Readings(unassigning_disables=False)
    assert only([person("Ann", assigned=False)], [linked("Ann")], readings=settled, **SEEN) == (LEAVER,)


def test_who_was_never_assigned_is_left_alone():
    assert only([person("Ann", assigned=False)], [user("Ann")]) == (LEAVER,)
    assert only([person("Ann", assigned=False)], [user("Ann")], needs_assignment=False) == (SAME,)


def test_out_of_scope_deletions_can_be_skipped_but_a_disabled_account_counts_all_the_same():
    skips = {"skips_out_of_scope": True, **SEEN}
    assert only([person("Ann", assigned=False)], [linked("Ann")], **skips) == (LEAVER,)
    assert only([person("Ann", State.DISABLED)], [linked("Ann")], **skips)[0] is BLOCK


def test_who_is_deleted_for_good_is_deleted_in_auth0_too():
    [found] = foretold([person("Ann", State.GONE, assigned=False)], [linked("Ann")], **SEEN).values()
    assert (found.person, found.fates, found.harms[0]) == (object_id("Ann"), (DELETE, LEAVER), HarmKind.DELETE)
    assert only([person("Ann", State.GONE)], [linked("Ann", blocked=True)], **SEEN) == (DELETE, SAME)
    without = replace(default_mapping(), flows=frozenset({"Update"}))
    assert only([person("Ann", State.GONE)], [linked("Ann")], mapping=without, **SEEN) == (LEAVER,)


def test_where_there_is_no_job_nothing_is_linked():
    assert only([person("Ann", assigned=False)], [linked("Ann")]) == (LEAVER,)
    assert only([person("Ann", State.GONE, assigned=False)], [linked("Ann")]) == (LEAVER,)


def test_links_that_the_external_id_does_not_show_are_feared():
    assert only([person("Ann", assigned=False)], [user("Ann")], **UNSEEN) == (BLOCK, LEAVER)
    assert only([person("Ann")], [user("Ann", email="old@contoso.com", upn=None)], **UNSEEN) == (UPDATE, NO_USER)


def test_a_link_that_graph_tells_is_certain():
    ann = person("Ann", assigned=False)
    told = {"known_links": {object_id("Ann"): "waad|Ann1"}, "readings": Readings(unassigning_disables=True), **SEEN}
    assert only([ann], [user("Ann")], **told) == (BLOCK,)
    none = {**told, "known_links": {object_id("Ann"): ""}}
    assert only([ann], [linked("Ann")], **none) == (LEAVER,)


# The row of active ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fate"),
    [
        (None, LEAVER),
        ("[accountEnabled]", LEAVER),
        ('"True"', LEAVER),
        ('Switch([IsSoftDeleted], "False", "False", "True")', BLOCK),
    ],
)
def test_a_departure_blocks_only_as_far_as_the_row_of_active_says_so(source, fate):
    assert only([person("Ann", assigned=False)], [linked("Ann")], mapping=mapping(active=source), **SEEN)[0] is fate


def test_without_auth0s_row_of_blocked_nobody_is_blocked():
    fields = {path: name for path, name in SCIM_FIELDS.items() if path != "active"}
    assert only([person("Ann", State.DISABLED)], [linked("Ann")], scim_fields=fields, **SEEN) == (LEAVER,)


def test_a_row_that_comes_to_false_blocks_who_stays():
    rule = 'Switch([employeeType], "True", "contractor", "False")'
    assert only([person("Ann", employeeType="contractor")], [user("Ann")], mapping=mapping(active=rule)) == (BLOCK,)


def test_an_active_row_that_is_not_known_is_said_not_to_be_known():
    rule = 'IIF([companyName]="Contoso", "True", "False")'
    found = foretold([person("Ann")], [user("Ann")], mapping=mapping(active=rule))["Ann"]
    assert (found.fate, found.reason) == (
        TELL,
        "whether this person stays blocked: companyName is empty, and the condition of IIF fails on that",
    )


def test_a_user_with_a_manager_may_be_one_that_entra_cannot_read():
    """Auth0's support article: every later sync of such a person fails, that of a departure included."""
    fields = {**SCIM_FIELDS, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.manager": "app_metadata.manager"}
    managed = linked("Ann", app_metadata__manager="waad|Boss")
    assert only([person("Ann", jobTitle="Engineer")], [managed], scim_fields=fields, **SEEN) == (UPDATE, SAME)
    left = [person("Ann", State.DISABLED)]
    assert only(left, [managed], scim_fields=fields, **SEEN) == (BLOCK, LEAVER)
    assert only(left, [managed], scim_fields=fields, readings=Readings(manager_fails=True), **SEEN) == (LEAVER,)


# Rows ----------------------------------------------------------------------------------------------------------------


def test_a_matching_row_that_is_not_known_leaves_the_person_untold():
    found = foretold([person("Ann", givenName="A")], [user("Ann")], mapping=mapping(userName='Join(".", [givenName], [surname])'))
    assert (found["Ann"].fate, found["Ann"].reason) == (
        TELL,
        "userName of this person: what Join makes of null is not documented",
    )


def test_a_row_that_is_not_known_may_fail_the_whole_person_and_is_shown():
    found = foretold([person("Ann")], [user("Ann")], mapping=_unreadable())
    assert found["Ann"].fates == (UPDATE, SAME)
    assert str(found["Ann"].changes[0]) == "app_metadata.title: nothing → cannot tell (the function Guid is not foretold here)"


def _unreadable():
    rows = (Row("title", None, "the function Guid is not foretold here", None, "Always"), *default_mapping().rows)
    return replace(default_mapping(), rows=tuple(row for row in rows if row.target != "title" or row.source is None))


def test_a_row_for_creation_never_flows_and_a_default_value_is_not_known_to():
    rows = default_mapping().rows
    created = tuple(replace(row, flow_type="ObjectAddOnly") if row.target == "externalId" else row for row in rows)
    assert only([person("Ann")], [user("Ann")], mapping=replace(default_mapping(), rows=created)) == (SAME,)
    default = tuple(replace(row, default="Employee") if row.target == "title" else row for row in rows)
    found = foretold([person("Ann")], [linked("Ann")], mapping=replace(default_mapping(), rows=default), **SEEN)["Ann"]
    assert found.fates == (UPDATE, SAME)


def test_matching_rows_are_tried_by_precedence_and_a_custom_one_too():
    rows = tuple(replace(row, precedence={"externalId": 1, "userName": 2}.get(row.target)) for row in default_mapping().rows)
    ann = foretold([person("Ann")], [linked("Ann"), user("Ann", number=2)], mapping=replace(default_mapping(), rows=rows))["Ann"]
    assert (ann.matched_by, ann.auth0_users) == ("externalId", ("waad|Ann1",))


def test_a_matching_row_that_auth0_does_not_map_is_not_foretold():
    rows = tuple(replace(row, precedence={"postalCode": 1}.get(row.target)) for row in default_mapping().rows)
    rows += (Row("nickName", parse("[mailNickname]"), "", 1, "Always"),)
    found = foretold([person("Ann")], [user("Ann")], mapping=replace(default_mapping(), rows=rows))["Ann"]
    assert (found.fate, found.reason) == (TELL, "Auth0's SCIM mapping has no row for nickName, by which Entra matches")


def test_with_create_on_who_is_not_found_is_not_foretold():
    adds = replace(default_mapping(), flows=frozenset({"Add", "Update", "Delete"}))
    assert only([person("Ann")], [], mapping=adds) == (TELL,)


# Scope ---------------------------------------------------------------------------------------------------------------


def filtered(operator, *values, attribute="companyName", inputs=False):
    group = ((Clause(attribute, operator, values),),)
    return replace(default_mapping(), filters=Filters(inputs=group) if inputs else Filters(groups=group))


@pytest.mark.parametrize(
    ("operator", "values", "is_inside"),
    [
        ("EQUALS", ("Contoso",), True),
        ("EQUALS", ("contoso",), False),
        ("NOT EQUALS", ("Contoso",), False),
        ("NOT_EQUALS", ("Fabrikam",), True),
        ("IS NULL", (), False),
        ("IS NOT NULL", (), True),
        ("REGEX MATCH", ("Cont.*",), True),
        ("NOT REGEX MATCH", ("Fab.*",), True),
        ("INCLUDES", ("tos",), True),
        ("ENDS_WITH", ("toso",), True),
        ("ENDS_WITH", ("Cont",), False),
    ],
)
def test_a_scoping_filter_decides_who_is_provisioned(operator, values, is_inside):
    found = foretold([person("Ann", companyName="Contoso")], [user("Ann")], mapping=filtered(operator, *values))["Ann"]
    assert (found.in_scope, found.scope_reason) == ((True, "direct") if is_inside else (False, "filtered out"))
    assert found.fate is (UPDATE if is_inside else SAME)


@pytest.mark.parametrize(("operator", "is_inside"), [("NOT EQUALS", False), ("NOT REGEX MATCH", False), ("IS NULL", True)])
def test_an_empty_attribute_makes_a_clause_false_those_with_not_included(operator, is_inside):
    found = foretold([person("Ann")], [user("Ann")], mapping=filtered(operator, "x"))["Ann"]
    assert found.in_scope is is_inside


def test_leaving_the_filter_disables_and_leaving_the_input_filter_does_not():
    ann = person("Ann", companyName="Fabrikam")
    assert only([ann], [linked("Ann")], mapping=filtered("EQUALS", "Contoso"), **SEEN)[0] is BLOCK
    assert only([ann], [linked("Ann")], mapping=filtered("EQUALS", "Contoso", inputs=True), **SEEN) == (SAME,)


@pytest.mark.parametrize(
    ("operator", "values"), [("REGEX MATCH", ("Cont",)), ("EQUALS", ("a", "b")), ("SOUNDS LIKE", ("x",)), ("&", ("3",))]
)
def test_a_clause_that_is_not_documented_leaves_the_person_untold(operator, values):
    found = foretold([person("Ann", companyName="Contoso")], [linked("Ann")], mapping=filtered(operator, *values), **SEEN)["Ann"]
    assert found.fate is TELL
    assert only([person("Ann", companyName="Contoso")], [], mapping=filtered(operator, *values)) == (NO_USER,)


def test_members_of_an_assigned_group_are_in_scope_by_its_name():
    found = foretold([person("Ann", assigned=False, groups=("Sales",))], [user("Ann")])["Ann"]
    assert (found.in_scope, found.scope_reason, found.fate) == (True, "group Sales", UPDATE)


def test_hidden_members_are_not_foretold_where_it_matters():
    hidden = {"hidden_groups": ("Support",)}
    found = foretold([person("Ann", State.DISABLED, assigned=False)], [user("Ann")], **hidden)["Ann"]
    assert (found.fate, found.scope_reason) == (TELL, "disabled, hidden membership")
    assert only([person("Ann", State.DISABLED, assigned=False)], [], **hidden) == (NO_USER,)


def test_with_everybody_in_scope_no_assignment_is_needed():
    assert only([person("Ann", assigned=False)], [user("Ann")], syncs_everybody=True) == (UPDATE,)


# The whole -----------------------------------------------------------------------------------------------------------


def test_users_that_were_not_read_leave_those_untold_who_could_be_among_them():
    searched = {"searched_fields": frozenset({"email", "app_metadata.external_id"})}
    assert only([person("Ann")], [user("Ann")], **searched) == (UPDATE,)
    found = foretold([person("Bob")], [], **searched)["Bob"]
    assert found.fates == (TELL, NO_USER)


def test_people_are_sorted_by_name_and_those_assigned_counted():
    found = forecast(situation([person("Bob"), person("ann"), person("Cid", assigned=False)], [user("Cid")], nested_groups=2))
    assert [one.person for one in found.people] == ["ann", "Bob", "Cid"]
    assert (found.assigned, found.nested_groups) == (2, 2)


def test_where_nobody_looks_at_auth0_everybody_counts_as_having_a_user_there():
    people = [
        person("Ann"),
        person("Bob", State.DISABLED),
        person("Cid", mail="office@x.com"),
        person("Dot", mail="Office@x.com"),
    ]
    found = forecast_without_auth0(situation(people, []))
    assert {one.person: (one.fate, one.auth0_users, one.changes) for one in found.people} == {
        "Ann": (UPDATE, (), ()),
        "Bob": (BLOCK, (), ()),
        "Cid": (ELSE, (), ()),
        "Dot": (ELSE, (), ()),
    }
    assert not found.saw_auth0


def test_further_users_of_a_person_are_those_that_entra_does_not_touch():
    """Entra links a person to one Auth0 user; who shares neither name nor object id with them is no user of theirs."""
    users = [
        linked("Ann"),
        user("Ann", number=2),
        user("Ann", number=3, blocked=True),
        user("Ann", of=None, number=4, upn=None),
        user("Ann", of="Bea", number=5),
    ]
    found = foretold([person("Ann"), person("Bea")], users, known_links={object_id("Ann"): "waad|Ann1"}, **SEEN)
    assert found["Ann"].further_users == ("waad|Ann2", "waad|Ann4")
    assert LeftKind.TWO_USERS in found["Ann"].leaves


def test_further_users_of_who_departs_stay_active():
    users = [linked("Ann"), user("Ann", number=2)]
    links = {"known_links": {object_id("Ann"): "waad|Ann1"}, **SEEN}
    found = foretold([person("Ann", State.DISABLED)], users, **links)["Ann"]
    assert (found.fates, found.further_users, found.leaves) == ((Fate.BLOCK,), ("waad|Ann2",), (LeftKind.LEAVER,))
    assert foretold([person("Ann", State.DISABLED)], users[:1], **links)["Ann"].leaves == ()


def test_before_a_cycle_has_run_nothing_in_the_metadata_came_from_entra():
    users = [linked("Ann", app_metadata__title="Captain")]
    people = [person("Ann", jobTitle="Clerk")]
    own = {ran: [change.field for change in foretold(people, users, cycles_ran=ran)["Ann"].overwritten] for ran in (True, False)}
    assert own == {True: [], False: ["app_metadata.title"]}
