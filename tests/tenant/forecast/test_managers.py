"""A mapped manager flows as the Auth0 user that the job has linked to that person: entra-docs, known issues for provisioning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.tenant.forecast.fate import MANAGER
from runbook_lib.tenant.forecast.job_mapping import Row, default_mapping
from runbook_lib.tenant.forecast.managers import FIRST, GIVEN_FIRST, LATER
from runbook_lib.tenant.forecast.people import Readings, State
from runbook_lib.tenant.forecast.values import Certainty, Fate, FieldChange, HarmKind
from tests.tenant.forecast.situations import SCIM_FIELDS, SEEN, UNSEEN, foretold, linked, object_id, person, user

PATH = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
FIELDS = {"scim_fields": {**SCIM_FIELDS, f"{PATH}.manager": "app_metadata.manager"}}
READS = {**FIELDS, "readings": Readings(manager_fails=False)}
KNOWN = {"known_links": {object_id("Boss"): "waad|Boss1", object_id("Ann"): "waad|Ann1"}, **SEEN, **READS}


def ann(people, users, **changes):
    return foretold([person("Ann", manager="Boss"), *people], [linked("Ann"), *users], **changes)["Ann"]


def manager_of(found):
    """What becomes of the manager's field, None where nothing does."""
    return next((change for change in found.changes if change.field == "app_metadata.manager"), None)


def test_a_manager_whom_the_job_has_linked_flows_as_that_auth0_user():
    found = ann([person("Boss")], [linked("Boss")], **KNOWN)
    assert (found.fates, found.changes) == (
        (Fate.UPDATE,),
        (FieldChange("app_metadata.manager", None, "waad|Boss1", names_manager=True),),
    )


def test_a_manager_who_is_there_already_is_no_change():
    found = foretold(
        [person("Ann", manager="Boss"), person("Boss")],
        [linked("Ann", app_metadata__manager="waad|Boss1"), linked("Boss")],
        **KNOWN,
    )
    assert (found["Ann"].fates, found["Ann"].changes) == ((Fate.SAME,), ())


def test_where_the_manager_is_linked_in_the_same_cycle_both_orders_are_told():
    found = foretold([person("Ann", manager="Boss"), person("Boss")], [user("Ann"), user("Boss")], **READS)["Ann"]
    assert found.fates == (Fate.UPDATE,)  # the external id flows as well
    found = ann([person("Boss")], [user("Boss")], known_links={object_id("Ann"): "waad|Ann1"}, **SEEN, **READS)
    assert (found.fates, found.certainty, found.reading) == ((Fate.UPDATE, Fate.SAME), Certainty.OPEN, FIRST)
    assert found.others[0].reading == LATER
    assert str(manager_of(found)) == "app_metadata.manager: nothing → cannot tell (waad|Boss1 if the manager is linked first)"


@pytest.mark.parametrize(
    ("people", "users"),
    [
        ([], []),  # not in play: neither assigned nor known to Auth0
        ([person("Boss")], []),  # without an Auth0 user
        ([person("Boss", assigned=False)], [user("Boss")]),  # not in scope, never linked
        ([person("Boss")], [user("Boss", upn=None), user("Boss", upn=None, number=2)]),  # two users: none is linked
    ],
)
def test_a_manager_who_is_never_linked_flows_nowhere(people, users):
    found = ann(people, users, **{**KNOWN, "known_links": {object_id("Ann"): "waad|Ann1"}})
    assert (found.fates, found.changes) == ((Fate.SAME,), ())


def test_who_has_no_manager_keeps_the_value_in_auth0():
    users = [linked("Ann", app_metadata__manager="crm-1")]
    found = foretold([person("Ann")], users, **KNOWN)["Ann"]
    assert (found.fates, found.changes, found.harms) == ((Fate.SAME,), (), ())


def test_a_manager_of_the_applications_own_would_be_lost():
    found = foretold(
        [person("Ann", manager="Boss"), person("Boss")], [user("Ann", app_metadata__manager="crm-1"), user("Boss")], **READS
    )
    assert found["Ann"].harms == (HarmKind.OVERWRITE,)
    assert [change.field for change in found["Ann"].overwritten] == ["app_metadata.manager"]
    nobody = foretold([person("Ann")], [user("Ann", app_metadata__manager="crm-1")], **READS)["Ann"]
    assert nobody.harms == ()


def test_a_disabled_manager_who_is_linked_still_flows_and_one_disabled_before_only_by_one_reading():
    found = ann([person("Boss", State.DISABLED)], [linked("Boss")], **KNOWN)
    assert manager_of(found).after == "waad|Boss1"
    links = {"known_links": {object_id("Ann"): "waad|Ann1", object_id("Boss"): ""}}
    for skips, fates in ((True, (Fate.SAME,)), (False, (Fate.UPDATE, Fate.SAME))):
        readings = Readings(manager_fails=False, skips_disabled=skips)
        changed = {**KNOWN, **links, "readings": readings}
        assert ann([person("Boss", State.DISABLED)], [user("Boss")], **changed).fates == fates


@pytest.mark.parametrize(
    ("manager", "why"),
    [
        (None, "the manager in Entra was not read"),
        ("Stranger", "whether the job holds a link to the manager is not known"),
    ],
)
def test_what_is_not_read_is_not_foretold(manager, why):
    changes = {**KNOWN, **UNSEEN, "known_links": {object_id("Ann"): "waad|Ann1"}}
    found = foretold([person("Ann", manager=manager)], [linked("Ann")], **changes)["Ann"]
    assert (found.fates, str(manager_of(found).after)) == ((Fate.UPDATE, Fate.SAME), f"cannot tell ({why})")


def test_users_that_were_not_read_may_be_linked_to_the_manager():
    changes = {**KNOWN, "known_links": {object_id("Ann"): "waad|Ann1"}, "searched_fields": frozenset({"email", "upn"})}
    found = ann([], [], **changes)
    assert str(manager_of(found).after) == "cannot tell (whether the job holds a link to the manager is not known)"


def test_a_manager_who_may_be_found_in_several_users_is_not_foretold():
    open_links = {**READS, "known_links": {object_id("Ann"): "waad|Ann1"}, **UNSEEN}
    found = ann([person("Boss")], [user("Boss"), user("Boss", number=2)], **open_links)
    assert str(manager_of(found).after) == "cannot tell (which Auth0 user the manager gets is not known)"


def test_a_manager_who_cannot_be_told_is_not_foretold():
    quoted = person("Boss", userPrincipalName='b"oss@contoso.onmicrosoft.com')
    found = ann([quoted], [user("Boss")], **{**KNOWN, "known_links": {object_id("Ann"): "waad|Ann1"}})
    assert str(manager_of(found).after) == "cannot tell (which Auth0 user the manager gets is not known)"


def rows(**changes):
    return replace(default_mapping(), references=(Row(f"{PATH}:manager", None, "", None, "Always", **changes),))


def test_the_rows_own_rules_hold():
    added = replace(default_mapping(), references=(Row(f"{PATH}:manager", None, "", None, "ValueAddOnly"),))
    assert str(manager_of(ann([person("Boss")], [linked("Boss")], mapping=added, **KNOWN)).after) == (
        "cannot tell (the row flows ValueAddOnly)"
    )
    found = foretold([person("Ann")], [linked("Ann")], mapping=rows(default="boss"), **KNOWN)["Ann"]
    assert str(manager_of(found).after) == "cannot tell (whether the default value 'boss' flows to a user that exists)"
    held = replace(default_mapping(), flows=frozenset({"Delete"}))
    assert ann([person("Boss")], [linked("Boss")], mapping=held, **KNOWN).changes == ()
    unmapped = {**KNOWN, "scim_fields": SCIM_FIELDS}
    assert ann([person("Boss")], [linked("Boss")], **unmapped).fates == (Fate.SAME,)


def test_a_field_that_another_row_writes_too_is_not_foretold():
    fields = {**FIELDS["scim_fields"], f"{PATH}.manager": "app_metadata.department"}
    boss, anns = person("Boss"), person("Ann", manager="Boss", department="Sales")
    found = foretold([anns, boss], [linked("Ann"), linked("Boss")], **{**KNOWN, "scim_fields": fields})["Ann"]
    assert [str(change.after) for change in found.changes] == ["cannot tell (several rows write it: Sales, waad|Boss1)"]


def test_who_is_not_written_to_gets_no_manager():
    boss, users = person("Boss"), [linked("Ann"), linked("Boss")]
    for left in (person("Ann", State.DISABLED, manager="Boss"), person("Ann", assigned=False, manager="Boss")):
        found = foretold([left, boss], users, **KNOWN)["Ann"]
        assert manager_of(found) is None
    blocked = foretold([person("Ann", manager="Boss"), boss], [linked("Ann", blocked=True), users[1]], **KNOWN)["Ann"]
    assert (blocked.fates, manager_of(blocked).after) == ((Fate.UNBLOCK, Fate.SAME), "waad|Boss1")
    failing = {**KNOWN, "readings": Readings(manager_fails=True)}
    found = foretold([person("Ann", manager="Boss"), boss], [linked("Ann", app_metadata__manager="old"), users[1]], **failing)
    assert (found["Ann"].fates, found["Ann"].changes) == ((Fate.SAME,), ())


def test_two_people_who_manage_each_other_and_one_who_manages_themselves():
    people = [person("Ann", manager="Bob"), person("Bob", manager="Ann"), person("Cid", manager="Cid")]
    links = {object_id(name): f"waad|{name}1" for name in ("Ann", "Bob", "Cid")}
    found = foretold(people, [linked("Ann"), linked("Bob"), linked("Cid")], **{**KNOWN, "known_links": links})
    assert {name: manager_of(one).after for name, one in found.items()} == {
        "Ann": "waad|Bob1",
        "Bob": "waad|Ann1",
        "Cid": "waad|Cid1",
    }


@pytest.mark.parametrize(("fails", "fates"), [(None, (Fate.SOMEONE_ELSES_USER, Fate.SAME)), (False, (Fate.SOMEONE_ELSES_USER,))])
def test_a_user_to_whom_another_gives_a_manager_first_may_not_be_read(fails, fates):
    bea = person("Bea", mail="ann@contoso.com")
    known = {**KNOWN, "readings": Readings(manager_fails=fails)}
    people, users = [person("Ann", manager="Boss"), person("Boss"), bea], [linked("Ann"), linked("Boss")]
    found = foretold(people, users, **known)
    assert found["Bea"].fates == fates
    assert [other.reading for other in found["Bea"].others if GIVEN_FIRST in other.reading] == [
        f"{GIVEN_FIRST}; {MANAGER}" for _ in fates[1:]
    ]
    without = foretold([person("Ann"), *people[1:]], users, **known)
    assert without["Bea"].fates == (Fate.SOMEONE_ELSES_USER,)
