"""The doctor: what must be there before a first tenant, and the questions that no page answers."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runbook_lib.batch.doctor import ProbeOptions, as_json, probed
from runbook_lib.core.secret import Secret
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run import answers as answers_kept
from runbook_lib.run.doctor import _certificates, _clock, examine
from runbook_lib.run.machine import Machine
from runbook_lib.run.redacted import redacted
from runbook_lib.services.wire_words import AUTH0_SCOPES, GRAPH_PERMISSIONS
from runbook_lib.settings.clouds import CLOUDS
from runbook_lib.tenant.forecast.people import Readings


def examined(settings):
    return list(examine(settings, settings.find_cloud(), Machine(), OLDER_AZURE_AD))


def test_a_tenant_that_is_ready_has_every_check_good_and_every_permission_by_name(tenant):
    checks = examined(tenant("fresh"))
    assert [check for check in checks if check.status == "bad"] == []
    names = {check.what for check in checks}
    assert set(AUTH0_SCOPES) | {" or ".join(held[:2]) for held in GRAPH_PERMISSIONS.values()} <= names
    assert {"Python", "network to Auth0", "network to Microsoft Graph", "sign-in to Auth0", "sign-in to Entra"} <= names


def test_a_missing_scope_is_named_with_where_to_grant_it(tenant):
    checks = {check.what: check for check in examined(tenant("no-options-scope"))}
    assert checks["read:connections_options"].status == "bad"
    assert checks["read:connections_options"].now.startswith("Grant it: Auth0 dashboard > Applications > APIs")


def test_a_refused_sign_in_has_the_remedy_of_its_cause_and_the_other_side_is_still_looked_at(tenant, tmp_path):
    (tmp_path / "wrong").write_text("another-secret-than-it-should-be")
    checks = {check.what: check for check in examined(tenant("fresh", auth0_client_secret=f"file:{tmp_path / 'wrong'}"))}
    assert (checks["sign-in to Auth0"].status, checks["sign-in to Entra"].status) == ("bad", "ok")
    assert "(see: RB-301)" in checks["sign-in to Auth0"].now


@pytest.mark.parametrize(("minutes", "status"), [(0, "ok"), (-10, "bad"), (60, "bad")])
def test_a_clock_that_is_minutes_off_is_told(minutes, status):
    theirs = datetime(2026, 1, 1, 12, tzinfo=UTC)
    check = _clock("Auth0", theirs, datetime(2026, 1, 1, 12 + minutes // 60, minutes % 60, tzinfo=UTC) if minutes >= 0
                   else datetime(2026, 1, 1, 11, 60 + minutes, tzinfo=UTC))  # fmt: skip
    assert (check.status, "RB-113" in check.now) == (status, status == "bad")


def test_the_command_tells_what_is_not_reached_and_ends_with_1(sandbox, tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "doctor", "--json"]
    environment = {"HTTPS_PROXY": "http://127.0.0.1:9", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    checks = {check["what"]: check for check in json.loads(done.stdout)["checks"]}
    assert (done.returncode, checks["proxy"]["found"]) == (1, "127.0.0.1:9")
    assert "(see: RB-108)" in checks["network to Microsoft Graph"]["now"]


def test_the_command_looks_at_one_tenant_of_a_file(sandbox):
    command = [sys.executable, "-m", "runbook_lib", "doctor", sandbox.ready["tenants_file"], "--only", "fresh"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Checks: 34 as they must be.")
    assert done.stderr.splitlines()[-1] == f"  python -m runbook_lib run {sandbox.ready['tenants_file']} --only fresh"
    heads = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")][:-1]
    assert heads == ["This machine", "Network", "Auth0", "Microsoft Entra"]


def test_authorities_that_cannot_be_read_are_told_before_any_sign_in(tmp_path, monkeypatch):
    (tmp_path / "empty.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    [check] = _certificates(CLOUDS["public"])
    assert (check.status, "RB-104" in check.now, "REQUESTS_CA_BUNDLE" in check.found) == ("bad", True, True)


# The probe -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def finished(carry_out, tenant):
    carry_out(tenant("fresh", turn_on="no"))
    return tenant("fresh")


def scim_token(sandbox, settings, tmp_path):
    """Make a SCIM token that may read, as a person does in the dashboard; return a reference to it."""
    from runbook_lib.http.time_limit import Deadline
    from runbook_lib.run.sign_ins import auth0_side
    from runbook_lib.services.auth0.management import post_scim_token

    management, _ = auth0_side(settings, machine=Machine(), deadline=Deadline())
    [connection] = management.connections_by_name(settings.auth0_connection)
    token = Secret(management.service.send(post_scim_token(connection.id, ("get:users", "patch:users"), None)).at("token"))
    (tmp_path / "scim").write_text(token.reveal())
    return f"file:{tmp_path / 'scim'}"


def test_the_probe_only_reads_unless_told_and_names_nobody(sandbox, finished, tmp_path):
    reference = scim_token(sandbox, finished, tmp_path)
    start = len(sandbox.simulation.history)
    found = probed(finished, ProbeOptions(scim_token=reference), Machine())
    asked = [entry for entry in sandbox.simulation.history[start:] if entry["method"] != "GET"]
    assert {entry["path"].rpartition("/")[2] for entry in asked} <= {"token", "parseExpression", "$batch"}
    text = json.dumps(as_json([], found))
    user = next(iter(next(iter(sandbox.world.entra.values())).users.values()))
    secret = Path(reference.removeprefix("file:")).read_text()
    for private in (finished.test_user, finished.auth0_connection, secret, user["id"], user["displayName"]):
        assert private.lower() not in text.lower(), private
    assert {answer.question[0] for answer in found if not answer.asked} == {"1", "2", "6"}
    assert {answer.question[0] for answer in found} == set("1234567")


def test_what_the_search_finds_is_what_the_probe_settles(sandbox, control, finished, tmp_path):
    reference = scim_token(sandbox, finished, tmp_path)
    for switch, settled in (("finds", {"searches_every_field": True, "ignores_case": False}),
                            ("case_blind", {"searches_every_field": True, "ignores_case": True}),
                            ("listed_only", {"searches_every_field": False, "ignores_case": True})):  # fmt: skip
        control("POST", "/world", {"scim_search": switch})
        found = probed(finished, ProbeOptions(scim_token=reference), Machine())
        assert dict(answer.reading for answer in found if answer.reading) == settled


def test_a_patch_of_the_probe_changes_nothing(sandbox, finished, tmp_path):
    reference = scim_token(sandbox, finished, tmp_path)
    found = probed(finished, ProbeOptions(scim_token=reference, may_write=True), Machine())
    [patch] = [answer for answer in found if answer.question.startswith("3")]
    assert (patch.status, patch.asked) == (200, "")


def asked_of(found, number):
    return [answer for answer in found if answer.question.startswith(number)]


@pytest.mark.parametrize(("counts", "status"), [(True, 409), (False, 200)])
def test_the_probe_asks_for_a_third_token_where_one_of_two_has_ended_and_leaves_none(sandbox, control, finished, counts, status):
    control("POST", "/world", {"expired_tokens_count": counts})
    connection = next(one for one in sandbox.world.auth0.connections.values() if one["name"] == finished.auth0_connection)
    tokens = sandbox.world.auth0.provisioning[connection["id"]].tokens
    tokens.append({**tokens[0], "token_id": "tok_ended", "valid_until": "2026-01-01T00:00:00.000Z"})
    before = [token["token_id"] for token in tokens]
    [told] = asked_of(probed(finished, ProbeOptions(), Machine()), "4")
    assert told.asked == "this call writes; --write allows it"
    [told] = asked_of(probed(finished, ProbeOptions(may_write=True), Machine()), "4")
    assert (told.asked, told.status) == ("", status)
    assert [token["token_id"] for token in sandbox.world.auth0.provisioning[connection["id"]].tokens] == before


@pytest.mark.parametrize("reading", ["skipped", "disabled"])
def test_the_probe_asks_on_demand_for_a_disabled_person_and_takes_a_skip_for_no_answer_about_cycles(
    sandbox, control, finished, entra, reading
):
    control("POST", "/world", {"disabled_before_link": reading, "assignments_count_after": {"calls": 0}})
    people = {user["displayName"]: user for user in entra("fresh").users.values()}
    known = {user.get("oid") for user in sandbox.world.auth0.users.values()}
    assigned = {one["principalId"] for one in entra("fresh").assignments if one["principalType"] == "User"}
    disabled = next(user for user in people.values() if user["id"] in known & assigned and user["displayName"] != "Adele Vance")
    disabled["accountEnabled"] = False
    [unmatched] = [user for user in people.values() if user["id"] not in known]
    options = ProbeOptions(may_write=True, disabled=disabled["userPrincipalName"], unmatched=unmatched["userPrincipalName"])
    first, second = asked_of(probed(finished, options, Machine()), "5")
    assert (first.asked, first.body["result"], first.reading) == ("", "skipped", None)
    assert (second.asked, second.body["result"]) == ("", "skipped")
    for private in (disabled["displayName"], disabled["mail"], unmatched["displayName"], unmatched["mail"]):
        assert private.lower() not in json.dumps([first.body, second.body]).lower()


def test_the_probe_makes_a_user_on_a_throw_away_connection_and_takes_it_away(sandbox, finished, tenant, tmp_path):
    from runbook_lib.http.time_limit import Deadline
    from runbook_lib.run.sign_ins import auth0_side
    from runbook_lib.services.auth0.management import post_scim_token, scim_endpoint_url

    other = tenant("half-done")
    management, _ = auth0_side(other, machine=Machine(), deadline=Deadline())
    [connection] = management.connections_by_name(other.auth0_connection)
    request = post_scim_token(connection.id, ("get:users", "post:users", "delete:users"), None)
    (tmp_path / "away").write_text(Secret(management.service.send(request).at("token")).reveal())
    before = set(sandbox.world.auth0.users)
    options = ProbeOptions(
        may_write=True,
        throw_away=scim_endpoint_url(other.auth0_domain, connection.id),
        throw_away_token=f"file:{tmp_path / 'away'}",
    )
    [told] = asked_of(probed(finished, options, Machine()), "7")
    assert (told.asked, told.status, told.body["status"], told.body["detail"]) == ("", 200, "201", "waad|<36 signs>")
    assert set(sandbox.world.auth0.users) == before


def test_what_is_settled_is_remembered_and_added_to(tmp_path):
    first = {"searches_every_field": False}
    assert answers_kept.remember(tmp_path, "acme.auth0.com", first) == Readings(searches_every_field=False)
    second = {"skips_disabled": True}
    both = Readings(searches_every_field=False, skips_disabled=True)
    assert answers_kept.remember(tmp_path, "acme.auth0.com", second) == both
    assert answers_kept.remembered(tmp_path, "acme.auth0.com") == both
    assert answers_kept.remembered(tmp_path, "other.auth0.com") == Readings()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"searches_every_field": "yes", "unknown": true}'])
def test_a_broken_memory_settles_nothing(content, tmp_path):
    answers_kept.remember(tmp_path, "acme.auth0.com", {})
    [kept] = tmp_path.iterdir()
    kept.write_text(content)
    assert answers_kept.remembered(tmp_path, "acme.auth0.com") == Readings()


def test_an_answer_is_kept_without_names_ids_and_secrets():
    answer = {
        "detail": "User adele@contoso.example (11111111-1111-4111-8111-111111111111) of con_abcdefghijklmnop was not found",
        "displayName": "Adele Vance",
        "active": True,
        "tok_abcdefghijklmnop.secret-text": 1,
    }
    assert redacted(answer, ("Adele Vance",)) == {
        "detail": "User <mail> (<guid>) of <id> was not found",
        "displayName": "<name>",
        "active": True,
        "<id>": 1,
    }
