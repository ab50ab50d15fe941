"""Which token serves, which is an orphan, and what Entra should have saved: readings and memory in, answers out."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from runbook_lib.core.secret import Secret
from runbook_lib.engine.recovery import Doubt
from runbook_lib.engine.values import Diff
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra.models import SavedCredentials, SynchronizationJob
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import credentials
from runbook_lib.steps.credentials import (
    credential_differences,
    entra_holds_a_token,
    may_be_ours,
    notification_settings,
    orphans,
    same_address,
    same_endpoint,
    tenant_url,
)
from runbook_lib.tenant.token_memory import Memory
from tests.builders import GOOD

SETTINGS = TenantSettings.from_parameters(GOOD)
URL = "https://acme.auth0.com/scim/v2/connections/con_1/"
FLAG = "aadOptscim062020"
SCOPES = ("get:users", "patch:users", "delete:users")
SENT = datetime(2026, 6, 1, 12, tzinfo=UTC)
JOB = SynchronizationJob("job", "scim", "Active", "Active", None)
SAVED = SavedCredentials({"BaseAddress": f"{URL}?{FLAG}", "SecretToken": "*"})


def token(name, used=None, scopes=SCOPES, created="2026-06-01T12:00:00Z"):
    return ScimToken(name, frozenset(scopes), created, None, used)


def doubt(kind="token", request="POST /tokens", sent_at=SENT, before=()):
    return Doubt("2.2", request, SENT, sent_at, before, kind)


def names(tokens):
    return [entry.token_id for entry in tokens]


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        (URL, f"{URL}?{FLAG}"),
        (f"{URL}?x=1", f"{URL}?x=1&{FLAG}"),
        (f"{URL}?{FLAG}", f"{URL}?{FLAG}"),
        (f"{URL}?x=1&{FLAG}", f"{URL}?x=1&{FLAG}"),
        (f"{URL}?x{FLAG}", f"{URL}?x{FLAG}&{FLAG}"),
    ],
)
def test_the_tenant_url_has_the_flag_once(url, wanted):
    assert tenant_url(url) == wanted


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (f"{URL}?{FLAG}", f"{URL.rstrip('/')}?{FLAG}", True),
        (URL, URL.rstrip("/"), True),
        (f"{URL}?{FLAG}", URL, False),
        (f"{URL}?{FLAG}/", f"{URL}?{FLAG}", True),
        (URL, URL.replace("con_1", "con_2"), False),
    ],
)
def test_a_slash_before_the_query_makes_no_other_address(one, other, same):
    assert same_address(one, other) is same
    assert same_address(other, one) is same


@pytest.mark.parametrize(
    ("saved", "same"),
    [(URL, True), (f"{URL}?a=1?b", True), (URL.upper(), True), (URL.rstrip("/"), True), (URL[:-2], False), ("", False)],
)
def test_an_endpoint_is_the_same_whatever_its_query(saved, same):
    assert same_endpoint(saved, f"{URL}?{FLAG}?c") is same
    assert same_endpoint(f"{URL}?{FLAG}?c", saved) is same


def guarded(**guard):
    return SavedCredentials({"SyncNotificationSettings": json.dumps(guard)})


@pytest.mark.parametrize(
    ("guard", "wanted"),
    [
        ({}, {"Enabled": False, "DeleteThresholdEnabled": True, "DeleteThresholdValue": 20}),
        ({"Enabled": True, "Recipients": "it"}, {"Enabled": True, "Recipients": "it", "DeleteThresholdEnabled": True}),
        ({"DeleteThresholdEnabled": False, "DeleteThresholdValue": 5}, {"Enabled": False, "DeleteThresholdEnabled": True}),
    ],
)
def test_a_guard_that_is_off_is_turned_on_at_the_settings_value(guard, wanted):
    assert notification_settings(guarded(**guard), SETTINGS) == {**wanted, "DeleteThresholdValue": 20}


@pytest.mark.parametrize("value", [1, 14, 5000])
def test_a_guard_that_is_on_is_kept_neither_raised_nor_lowered(value):
    guard = {"DeleteThresholdEnabled": True, "DeleteThresholdValue": value, "Recipients": "it"}
    assert notification_settings(guarded(**guard), SETTINGS) == guard
    found = {diff.field for diff in credential_differences(guarded(**guard), URL, SETTINGS)}
    assert found == {"Tenant URL", "Provision"}


def test_all_that_differs_is_named():
    def diff(field, before, after):
        return Diff("entra credentials", field, before, after)

    assert credential_differences(SavedCredentials({}), URL, SETTINGS) == (
        diff("Tenant URL", "", f"{URL}?{FLAG}"),
        diff("Deletion guard", "off", "20"),
        diff("Provision", "", "assigned only"),
    )


@pytest.mark.parametrize(
    ("sync_all", "shown"), [("true", "everybody"), ("True", "everybody"), ("false", None), ("False", None), ("", "")]
)
def test_only_those_assigned_are_provisioned(sync_all, shown):
    found = credential_differences(SavedCredentials({"SyncAll": sync_all}), URL, SETTINGS)
    assert [diff.before for diff in found if diff.field == "Provision"] == ([] if shown is None else [shown])


def test_an_address_that_differs_by_a_slash_is_left():
    found = credential_differences(SavedCredentials({"BaseAddress": f"{URL.rstrip('/')}?{FLAG}"}), URL, SETTINGS)
    assert [diff.field for diff in found] == ["Deletion guard", "Provision"]


@pytest.mark.parametrize(
    ("scopes", "exact"), [(SCOPES, True), (SCOPES[:2], False), ((*SCOPES, "post:users"), False), ((), False)]
)
def test_a_token_is_exact_with_three_scopes(scopes, exact):
    assert credentials.is_exact(token("t", scopes=scopes)) is exact


# Which token Entra holds -----------------------------------------------------------------------------------------------


def holds(tokens=(token("tok_1", "2026-06-02"),), saved=SAVED, job=JOB, memory=None):
    return entra_holds_a_token(tokens, saved, job, memory or Memory(), URL)


def test_a_fitting_token_in_use_and_one_saved_for_this_endpoint_is_enough():
    assert holds() is True
    assert holds((token("tok_0"), token("tok_1", "2026-06-02"))) is True
    assert holds(saved=SavedCredentials({**SAVED.values, "BaseAddress": f"{URL.rstrip('/')}?{FLAG}"})) is True
    assert holds(memory=Memory(doubts=(doubt("token"),))) is True


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": ()},
        {"tokens": (token("tok_1"),)},
        {"tokens": (token("tok_1", "2026-06-02", SCOPES[:2]),)},
        {"tokens": (token("tok_1"), token("tok_2", "2026-06-02", SCOPES[:2]))},
        {"saved": SavedCredentials({"BaseAddress": f"{URL}?{FLAG}"})},
        {"saved": SavedCredentials({"SecretToken": "*"})},
        {"saved": SavedCredentials({"BaseAddress": URL, "SecretToken": "*"})},
        {"job": None},
        {"job": SynchronizationJob("job", "scim", "Active", "Quarantine", "why")},
        {"memory": Memory(scim_token=Secret("text-of-a-token"), scim_token_id="tok_2")},
        {"memory": Memory(doubts=(doubt("credentials"),))},
    ],
)
def test_one_thing_that_speaks_against_it_is_enough(changes):
    assert holds(**changes) is False


# Orphans -------------------------------------------------------------------------------------------------------------

EMPTY = SavedCredentials({})


def own(*ids, **more):
    return Memory(own_token_ids=frozenset(ids), **more)


def test_an_own_token_whose_text_is_lost_is_an_orphan_and_a_foreign_one_never():
    assert names(orphans((token("own"), token("foreign"), token("used", "2026-06-02")), own("own"), EMPTY)) == ["own"]
    assert orphans((token("foreign"),), Memory(), EMPTY) == ()


def test_the_one_in_memory_is_none():
    memory = own("own", "new", scim_token=Secret("text-of-a-token"), scim_token_id="new")
    assert names(orphans((token("own"), token("new")), memory, EMPTY)) == ["own"]
    assert names(orphans((token("own"), token("new")), own("own", "new", scim_token_id="new"), EMPTY)) == ["own", "new"]


def test_of_the_tokens_given_to_entra_the_one_used_last_serves():
    tokens = (token("a", "2026-06-03"), token("b", "2026-06-02"), token("c"))
    memory = own("a", "b", "c", given_token_ids=("a", "b", "c"))
    assert names(orphans(tokens, memory, SAVED)) == ["b", "c"]
    assert names(orphans(tokens[::-1], memory, SAVED)) == ["c", "b"]


def test_a_token_that_was_never_given_does_not_serve():
    tokens = (token("a", "2026-06-02"), token("b", "2026-06-09"))
    assert names(orphans(tokens, own("a", "b", given_token_ids=("a",)), SAVED)) == ["b"]


def test_none_serves_where_entra_holds_none():
    memory = own("a", given_token_ids=("a",))
    assert names(orphans((token("a", "2026-06-02"),), memory, EMPTY)) == ["a"]


def test_while_the_latest_save_is_in_doubt_the_earlier_ones_serve():
    tokens = (token("a", "2026-06-02"), token("b", "2026-06-03"), token("c", "2026-06-04"))
    memory = own("a", "b", "c", given_token_ids=("a", "b", "c"), doubts=(doubt("credentials"),))
    assert names(orphans(tokens, memory, SAVED)) == ["c"]


def test_a_token_of_a_lost_answer_is_no_orphan_for_others_may_have_made_it():
    assert names(orphans((token("lost"), token("foreign", "2026-06-02")), Memory(doubts=(doubt(),)), EMPTY)) == []


# Tokens of lost answers ------------------------------------------------------------------------------------------------


def found(tokens, *doubts):
    return names(may_be_ours(tokens, Memory(doubts=doubts)))


def test_each_new_fitting_token_may_be_of_it_but_one_that_is_known():
    assert found((token("old"), token("new"), token("other")), doubt(before=("old",))) == ["new", "other"]
    memory = Memory(doubts=(doubt(),), own_token_ids=frozenset({"known"}))
    assert names(may_be_ours((token("known"), token("new")), memory)) == ["new"]


@pytest.mark.parametrize(
    ("tokens", "doubts"),
    [
        ((token("a"),), [doubt(before=("a",))]),
        ((token("a", "2026-06-02"),), [doubt()]),
        ((token("a", scopes=SCOPES[:2]),), [doubt()]),
        ((token("a", created="no time"),), [doubt()]),
        ((token("a"),), [doubt(sent_at=None)]),
        ((token("a"),), [doubt(request="DELETE /tokens")]),
        ((token("a"),), [doubt("credentials")]),
        ((token("a"),), []),
        ((), [doubt()]),
    ],
)
def test_what_cannot_be_of_a_lost_answer_is_not_named(tokens, doubts):
    assert found(tokens, *doubts) == []


@pytest.mark.parametrize(("later_s", "fits"), [(-3, False), (-2, True), (0, True), (300, True), (301, False)])
def test_it_was_made_in_the_minutes_of_the_request(later_s, fits):
    created = (SENT + timedelta(seconds=later_s)).isoformat()
    assert found((token("a", created=created),), doubt()) == (["a"] if fits else [])


def test_each_doubt_is_looked_at_by_itself():
    later = doubt(sent_at=SENT + timedelta(hours=1), before=("a",))
    tokens = (token("a"), token("b", created="2026-06-01T13:00:01Z"))
    assert found(tokens, doubt(), later) == ["a", "b"]
