"""The demo tenant `people`: what the README says of each person is what a start does."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from runbook_lib import sandbox as package
from tests.sandbox.live import Live

README = Path(package.__file__).with_name("README.md").read_text(encoding="utf-8")
FATES = (
    "update",
    "same",
    "no user",
    "block",
    "unblock",
    "delete",
    "someone else's user",
    "two users",
    "leaver who stays active",
    "cannot tell",
)
# Person: fate, and the row of the log that the first cycle writes, action, status, code or skip reason; None for no row.
PEOPLE: dict[str, tuple[str, tuple[str, str, str] | None]] = {
    "Adele Vance": ("update", ("update", "success", "")),
    "Alex Wilber": ("update", ("update", "success", "")),
    "Christie Cline": ("same", ("other", "skipped", "RedundantExport")),
    "Diego Siciliani": ("no user", ("create", "skipped", "SandboxNoMatchAndCreateOff")),
    "Grady Archie": ("block", ("disable", "success", "")),
    "Henrietta Mueller": ("block", ("disable", "success", "")),
    "Isaiah Langer": ("unblock", ("update", "success", "")),
    "Johanna Lorenz": ("delete", ("delete", "success", "")),
    "Joni Sherman": ("someone else's user", ("update", "success", "")),
    "Lee Gu": ("leaver who stays active", None),
    "Lidia Holloway": ("two users", ("other", "failure", "DuplicateTargetEntries")),
    "Lynne Robbins": ("leaver who stays active", ("create", "skipped", "NotEffectivelyEntitled")),
    "Megan Bowen": ("leaver who stays active", ("create", "skipped", "NotEffectivelyEntitled")),
    "Miriam Graham": ("cannot tell", ("other", "failure", "AttributeMappingExpressionError")),
}


@pytest.fixture
def live(sandbox, control) -> Iterator[Live]:
    with requests.Session() as session:
        session.trust_env, session.verify = False, sandbox.ready["ca_bundle"]
        found = Live(sandbox, control, session, "people")
        found.sign_in()
        yield found


def test_every_fate_occurs():
    assert sorted({fate for fate, _ in PEOPLE.values()}) == sorted(FATES)


def test_the_readme_tells_person_by_person():
    told = re.findall(r"^\| (\w+ \w+) \| ([\w' ]+) \|", README[README.index("## Demo tenants") :], re.MULTILINE)
    assert told == [(name, fate) for name, (fate, _) in PEOPLE.items()]


def test_the_first_cycle_after_the_start_does_to_each_person_what_is_told(live):
    users, ids = live.sandbox.world.auth0.users, object_ids(live)
    before = {user["user_id"]: copy.deepcopy(user) for user in users.values()}
    assert live.call("POST", f"{live.job}/start").status_code == 204
    live.cycle()
    rows = {name: (live.rows_of(ids[name]) or [None])[-1] for name in PEOPLE}
    assert rows == {name: row for name, (_, row) in PEOPLE.items()}
    changed = {
        profile["name"]: sorted(key for key in {*profile, *users[user_id]} if profile.get(key) != users[user_id].get(key))
        for user_id, profile in before.items()
        if user_id in users and users[user_id] != profile
    }
    assert changed == {
        "Adele Vance": ["app_metadata", "updated_at"],
        "Alex Wilber": ["app_metadata", "updated_at"],
        "Christie Cline": ["updated_at"],
        "Grady Archie": ["blocked", "updated_at"],
        "Henrietta Mueller": ["blocked", "updated_at"],
        "Isaiah Langer": ["blocked", "updated_at"],
        "Lee Gu": ["app_metadata", "family_name", "given_name", "name", "updated_at", "upn"],
    }
    assert {profile["name"] for user_id, profile in before.items() if user_id not in users} == {"Johanna Lorenz"}


@pytest.mark.parametrize("reading", ["skipped", "disabled"])
def test_the_leavers_of_before_are_blocked_only_where_the_switch_says_so(live, reading):
    live.switch(disabled_before_link=reading)
    assert live.call("POST", f"{live.job}/start").status_code == 204
    live.cycle()
    blocked = {user["name"] for user in live.sandbox.world.auth0.users.values() if user.get("blocked")}
    before = {"Grady Archie", "Henrietta Mueller"}
    assert blocked == (before if reading == "skipped" else before | {"Lynne Robbins", "Megan Bowen"})


def test_the_test_user_comes_to_no_harm(live):
    adele = live.person("Adele Vance")
    verdict, details = live.on_demand(adele["id"])
    assert (verdict["result"], details["action"]) == ("Success", "Update")
    assert live.auth0_user(adele["id"])["app_metadata"]["title"] == "Engineer"


def object_ids(live: Live) -> dict[str, str]:
    """The object id of each person, of those who are gone as their Auth0 users hold it."""
    there = {user["displayName"]: user["id"] for user in (live.tenant.users | live.tenant.deleted_users).values()}
    users = [user for user in live.sandbox.world.auth0.users.values() if user["identities"][0]["connection"] == "people-azure-ad"]
    return {user["name"]: user["oid"] for user in users} | there
