"""What Auth0 shows of the work in Entra: each sentence from the least that proves it, and not from less."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runbook_lib.services.auth0.models import Auth0User, ScimLogEntry, ScimToken
from runbook_lib.tenant.seen_from_auth0 import ON_DEMAND_LIMIT, Evidence, evidence
from runbook_lib.tenant.token_memory import Memory
from tests.builders import SETTINGS

OBJECT_ID = "00000000-0000-4000-8000-0000000000aa"
SCOPES = frozenset({"get:users", "patch:users", "delete:users"})
TOKEN = ScimToken("tok_1", SCOPES, "2026-01-01T08:00:00Z", None, "2026-01-02T08:00:00Z")
BY_NAME, BY_MAIL = 'userName eq "a@b.example"', 'emails[type eq "work"].value eq "a@b.example"'


def entry(method="PATCH", user="waad|1", *, search="", good=True, arguments=(), date="2026-01-03T08:00:00Z"):
    path = f"/scim/v2/connections/con_1/Users/{user.replace('|', '%7C')}" if user else "/scim/v2/connections/con_1/Users"
    return ScimLogEntry(date, good, "con_1", method, path, search, frozenset(arguments))


def profile(external_id=OBJECT_ID, *, oid=OBJECT_ID, blocked=False, updated="2026-01-02T08:00:00.000Z"):
    body = {"user_id": "waad|1", "app_metadata": {"external_id": external_id}, "oid": oid, "updated_at": updated}
    return Auth0User("waad|1", "a@b.example", blocked, frozenset({"c"}), body)


def seen(used=(TOKEN,), log=(), users=3, at="app_metadata.external_id", profiles=None, test_user="a@b.example"):
    return Evidence(tuple(used), log, users, at, (profile(),) if profiles is None else tuple(profiles), test_user)


@pytest.mark.parametrize(
    ("evidence", "step", "is_proof"),
    [
        (seen(users=0), "sign_in_application", False),
        (seen(), "sign_in_application", True),
        (seen(), "tenant_url", False),
        (seen(log=(entry(arguments=("aadOptscim062020",)),)), "tenant_url", True),
        (seen(used=()), "saved_credentials", False),
        (seen(profiles=()), "saved_credentials", False),
        (seen(profiles=(), log=(entry("GET", "", search=BY_NAME),)), "saved_credentials", False),
        (seen(profiles=(), log=(entry(good=False),)), "saved_credentials", False),
        (seen(profiles=(), log=(entry(),)), "saved_credentials", True),
        (seen(used=(), log=(entry(),)), "saved_credentials", False),
        (seen(log=None), "saved_credentials", True),
        (seen(log=None, profiles=(profile(updated="2025-12-31T08:00:00.000Z"),)), "saved_credentials", False),
        (seen(profiles=(), log=(entry(date="2025-12-31T08:00:00Z"),)), "saved_credentials", False),
        (seen(profiles=(), log=(entry(date=""), entry(date="2026-01-03"))), "saved_credentials", False),
        (seen(), "object_id", True),
        (seen(profiles=(profile("adele"),)), "object_id", False),
        (seen(profiles=(profile(oid=None),)), "object_id", False),
        (seen(profiles=(profile(oid=None),), test_user=OBJECT_ID), "object_id", True),
        (seen(at=None), "object_id", False),
        (seen(log=(entry("GET", "", search=BY_MAIL), entry("GET", "", search=BY_NAME))), "work_email", True),
        (seen(log=(entry("GET", "", search=BY_NAME), entry("GET", "", search=BY_MAIL))), "work_email", False),
        (seen(log=(entry("GET", "", search=BY_MAIL),)), "work_email", False),
        (seen(log=None), "work_email", False),
        (seen(log=(entry("GET", "", search=BY_MAIL), entry("GET", "", search=BY_NAME))), "mappings", False),
        (seen(log=(entry("POST", "", good=False),)), "creating", False),
        (seen(), "updated", True),
        (seen(log=None), "updated", True),
        (seen(used=()), "updated", False),
        (seen(profiles=(profile(blocked=True),)), "updated", False),
        (seen(profiles=(profile(), profile())), "updated", False),
        (seen(profiles=()), "updated", False),
        (seen(profiles=(profile(None),)), "updated", False),
        (seen(profiles=(profile(None),), log=(entry(user="waad|2"),)), "updated", False),
        (seen(profiles=(profile(None),), log=(entry(),)), "updated", True),
        (seen(log=[entry(user=f"waad|{n}") for n in range(1, ON_DEMAND_LIMIT + 2)]), "cycles", False),
        (seen(log=[entry(user=f"waad|{n}") for n in range(1, ON_DEMAND_LIMIT + 3)]), "cycles", True),
        (seen(log=[entry(user=f"waad|{n}", good=False) for n in range(1, 20)]), "cycles", False),
    ],
)
def test_a_step_is_verified_by_what_proves_it_and_by_nothing_less(evidence, step, is_proof):
    found = getattr(evidence, step)()
    assert (found.is_proof, found.words.startswith("Verified from Auth0")) == (is_proof, is_proof)


@pytest.mark.parametrize("ended", [frozenset(), frozenset({"tok_1"})])
def test_a_token_that_has_ended_is_no_evidence(ended):
    readings = {"scim_configuration": None, "scim_tokens": (TOKEN,), "scim_log": None, "known_as_test_user": ()}
    readings["seen_users"] = SimpleNamespace(total=3)
    view = SimpleNamespace(
        read=lambda fact: readings[fact.name],
        memory=Memory(expired_ids=ended),
        settings=SETTINGS,
        auth0=SimpleNamespace(service=SimpleNamespace(date=None)),
    )
    assert evidence.look(view).used == (() if ended else (TOKEN,))


def test_what_is_seen_against_a_step_is_said():
    assert "Create is still on" in seen(log=(entry("POST", "", good=False),)).creating().words
    assert "is not the Entra object id" in seen(profiles=(profile("adele"),)).object_id().words


def test_cycles_of_two_months_ago_verify_nothing_and_are_named_with_their_day():
    from datetime import UTC, datetime

    def change(number, day):
        return ScimLogEntry(day, True, "con_1", "PATCH", f"/Users/auth0|{number}", "", frozenset())

    log = tuple(change(n, "2026-01-05T09:00:00.000Z") for n in range(12))
    seen = Evidence((), log, 3, None, (), "adele@example.com", datetime(2026, 3, 5, tzinfo=UTC)).cycles()
    assert (seen.is_proof, "2026-01-05" in seen.words) == (False, True)
    fresh = Evidence((), log, 3, None, (), "adele@example.com", datetime(2026, 1, 5, 12, tzinfo=UTC)).cycles()
    assert (fresh.is_proof, "2026-01-05" in fresh.words) == (True, True)
