"""Hand-over and its mirror over HTTPS: one side signs in, the other is handed over, and Auth0 alone shows what was done.

The customer's administrator of these tests is the mirror: a run that signs in to Entra only, with the token that was handed over.
"""

from __future__ import annotations

import json
import stat
from dataclasses import replace

import pytest

from runbook_lib.batch.undo import undo_run
from runbook_lib.engine.status import exit_code
from runbook_lib.procedures.handed_over import steps_for
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session
from tests.journeys.test_journeys import connection_of, scim_side

NOBODY_AT_ENTRA = {"entra_client_id": "", "entra_client_secret": ""}
NOBODY_AT_AUTH0 = {"auth0_client_id": "", "auth0_client_secret": ""}
TITLES = [(step.number, step.title) for step in OLDER_AZURE_AD.steps]
BY_MAIL = "adele.vance@fresh.example"  # the user that Auth0 finds: its search does not know the user principal name
SECTIONS_3_AND_4 = [*(f"3.{n}" for n in range(1, 14)), "4.1", "4.2", "4.3"]


@pytest.fixture
def handed(tenant):
    """Settings of a tenant whose Entra side is handed over."""
    return lambda name="fresh", **changes: tenant(name, **NOBODY_AT_ENTRA, **changes)


@pytest.fixture
def administrator(sandbox, tenant, tmp_path):
    """Settings of the customer's administrator, who was sent endpoint, client id and token."""

    def settings(token, name="fresh", **changes):
        connection = connection_of(sandbox, name)
        place = tmp_path / "sent by a safe channel"
        place.write_text(token)
        sent = {
            "scim_endpoint": f"https://{sandbox.world.auth0.domain}/scim/v2/connections/{connection['id']}",
            "scim_token": f"file:{place}",
            "oidc_client_id": connection["options"]["client_id"],
        }
        return tenant(name, **NOBODY_AT_AUTH0, **sent, **changes)

    return settings


@pytest.fixture
def page(tmp_path):
    """Open the session of a page, in a run folder of its own."""
    return lambda settings, run="page": tenant_session(
        settings, mode=RunMode.PLAN, out=tmp_path / run / settings.name, is_page=True
    )


def made_token(page, settings, run="page"):
    """Make the token as the button does, and return its text."""
    result, token = page(settings, run).make_token()
    assert (result.status, token is not None) == ("HANDOVER", True), result
    return token.reveal()


def tokens_of(sandbox, name="fresh"):
    return sandbox.world.auth0.provisioning[connection_of(sandbox, name)["id"]].tokens


def row(run, step):
    return next(row for row in run.rows if row["step"] == step)


def services(run):
    """The services that the tool itself has asked; what Entra sends to Auth0 is not the tool's."""
    return {entry["service"] for entry in run.history} - {"scim"}


# Hand-over ------------------------------------------------------------------------------------------------------------


def test_hand_over_carries_out_the_auth0_side_and_hands_over_the_rest(sandbox, handed, carry_out):
    run = carry_out(handed())
    statuses = run.statuses()
    assert (run.status, exit_code([run.status]), services(run)) == ("handover", 4, {"auth0"})
    assert [statuses[step] for step in ("0.1", "0.2", "1.2", "1.3", "2.1", "2.2", "3.1")] == [
        "PASSED", "PASSED", "CHANGED", "CHANGED", "PASSED", "HANDOVER", "PASSED"
    ]  # fmt: skip
    assert {statuses[step] for step in SECTIONS_3_AND_4[1:]} == {"HANDOVER"}
    assert "cannot check that the connection" not in row(run, "0.2")["reason"]  # the connection names this tenant
    assert tokens_of(sandbox) == []  # a token made by a headless run would be lost
    assert connection_of(sandbox, "fresh")["options"]["userid_attribute"] == "sub"


def test_hand_over_in_plan_mode_writes_nothing_and_leaves_the_sheet(handed, carry_out):
    run = carry_out(handed(), "plan")
    assert (run.status, run.writes(), row(run, "2.2")["status"]) == ("pending", [], "HANDOVER")
    for name in ("handover.html", "handover.md"):
        assert stat.S_IMODE((run.out / name).stat().st_mode) == 0o600
    assert 'href="handover.html"' in (run.out / "report.html").read_text()


def test_a_second_hand_over_run_sends_no_write(handed, carry_out):
    carry_out(handed())
    again = carry_out(handed())
    assert (again.status, again.writes()) == ("handover", [])


@pytest.mark.parametrize(("name", "step"), [("oid-with-users", "1.2"), ("token-limit", "2.2"), ("no-options-scope", "0.1")])
def test_hand_over_is_refused_for_the_same_reasons(name, step, handed, carry_out, sandbox):
    if name == "token-limit":
        for token in tokens_of(sandbox, name):
            token["last_used_at"] = None
    run = carry_out(handed(name))
    assert (run.status, run.writes(), row(run, step)["status"]) == ("blocked", [], "BLOCKED")


def test_the_sheet_is_filled_in_for_this_customer(sandbox, handed, carry_out):
    run = carry_out(handed(deletion_threshold=7), "plan")
    domain, connection = sandbox.world.auth0.domain, connection_of(sandbox, "fresh")
    for name in ("handover.html", "handover.md"):
        text = (run.out / name).read_text().replace("&#34;", '"')
        for wanted in (
            "fresh",
            handed().entra_tenant,
            f"https://{domain}/scim/v2/connections/{connection['id']}/?aadOptscim062020",
            connection["options"]["client_id"],
            "Acme SCIM (fresh)",
            "adele@fresh.onmicrosoft.com",
            "7",
            'emails[type eq "work"].value',
            "Matching precedence",
            "objectId",
            "Create",
        ):
            assert wanted in text, (name, wanted)
        assert [step for step in SECTIONS_3_AND_4 if f"{step} " not in text] == []


def test_the_administrators_work_is_verified_from_auth0_alone(sandbox, handed, administrator, page, carry_out, control, entra):
    carry_out(handed())
    text = made_token(page, handed())
    waiting = carry_out(handed())
    assert (waiting.status, row(waiting, "2.2")["status"]) == ("handover", "HANDOVER")
    assert "has not used it yet" in row(waiting, "2.2")["reason"]

    done = carry_out(administrator(text, accept=("other-side-confirmed",)))
    assert (done.status, services(done)) == ("done", {"graph", "login"})
    tested = carry_out(handed(turn_on="no", test_user=BY_MAIL))
    assert tested.statuses() | {"4.3": ""} == {
        **tested.statuses(), "2.2": "UNCHANGED", "2.3": "PASSED", "3.6": "PASSED", "3.9": "PASSED", "3.11": "PASSED",
        "4.1": "PASSED", "4.2": "PASSED", "4.3": "",
    }  # fmt: skip
    assert {tested.statuses()[step] for step in ("3.2", "3.3", "3.4", "3.5", "3.7", "3.12", "3.13")} == {"HANDOVER"}
    assert (tested.status, exit_code([tested.status]), tested.writes()) == ("unchanged", 0, [])
    assert row(carry_out(handed()), "4.3")["status"] == "HANDOVER"  # one user on demand proves no cycle

    _, saved = scim_side(entra("fresh"), "fresh")
    control("POST", "/cycle", {"job_id": next(iter(saved.jobs))})
    cycled = carry_out(handed(test_user=BY_MAIL))
    assert (cycled.status, row(cycled, "4.3")["status"]) == ("unchanged", "PASSED")
    assert "cycles run" in row(cycled, "4.3")["reason"]


def adeles_id(entra):
    return next(user["id"] for user in entra("fresh").users.values() if user["displayName"] == "Adele Vance")


@pytest.mark.parametrize("is_found", [False, True])
@pytest.mark.parametrize("is_id", [False, True])
def test_a_test_user_named_by_user_principal_name_or_object_id_is_verified_whether_auth0_finds_by_it_or_not(
    sandbox, handed, administrator, page, carry_out, control, entra, is_found, is_id
):
    assert control("POST", "/world", {"management_search_of_upn_and_oid": is_found}).status_code == 200
    carry_out(handed())
    carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    tested = carry_out(handed(turn_on="no", test_user=adeles_id(entra) if is_id else handed().test_user))
    assert (tested.status, row(tested, "4.2")["status"]) == ("unchanged", "PASSED")


def test_a_test_user_beyond_what_a_search_lists_is_found_by_what_scim_changed(
    sandbox, handed, administrator, page, carry_out, monkeypatch
):
    monkeypatch.setattr("runbook_lib.services.auth0.management.Auth0Management.users_looked_through", lambda *_: ())
    carry_out(handed())
    carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    assert row(carry_out(handed(turn_on="no")), "4.2")["status"] == "PASSED"


def test_a_test_user_whom_auth0_does_not_know_by_that_name_is_asked_for_by_mail_address(handed, carry_out):
    found = row(carry_out(handed(test_user="unknown@fresh.onmicrosoft.com")), "4.2")
    assert found["status"] == "HANDOVER"
    assert found["remedy"].endswith(
        "Or set test_user to the mail address that Auth0 shows for this person instead of unknown@fresh.onmicrosoft.com"
    )


def test_without_the_scope_for_logs_less_is_verified_and_it_says_so(sandbox, handed, administrator, page, carry_out):
    client_id, client = next(iter(sandbox.world.auth0.clients.items()))
    kept = tuple(scope for scope in client.scopes if not scope.startswith("read:logs"))
    sandbox.world.auth0.clients[client_id] = replace(client, scopes=kept)
    carry_out(handed())
    carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    run = carry_out(handed(turn_on="no", test_user=BY_MAIL))
    assert "read:logs" in row(run, "0.2")["reason"]
    assert [run.statuses()[step] for step in ("2.2", "3.9", "3.11", "4.2")] == ["UNCHANGED", "PASSED", "HANDOVER", "PASSED"]
    assert not [entry for entry in run.history if entry["path"].endswith("/logs")]


def test_a_token_that_was_only_tried_proves_no_saved_credentials(sandbox, handed, page, carry_out):
    carry_out(handed())
    made_token(page, handed())
    tokens_of(sandbox)[0]["last_used_at"] = "2026-01-05T09:00:00.000Z"
    run = carry_out(handed())
    assert [run.statuses()[step] for step in ("2.2", "3.6", "4.2")] == ["UNCHANGED", "HANDOVER", "HANDOVER"]
    assert "without saving" in row(run, "3.6")["reason"]
    assert run.status == "handover"


def test_create_that_is_still_on_shows_in_the_log(sandbox, handed, administrator, page, carry_out, entra, control):
    carry_out(handed())
    carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    _, saved = scim_side(entra("fresh"), "fresh")
    [(job_id, schema)] = saved.schemas.items()
    mapping = next(
        m for rule in schema["synchronizationRules"] for m in rule["objectMappings"] if m["sourceObjectName"] == "User"
    )
    mapping["flowTypes"] = "Add,Update,Delete"
    control("POST", "/cycle", {"job_id": job_id})
    run = carry_out(handed())
    assert (row(run, "3.7")["status"], "Create is still on" in row(run, "3.7")["reason"]) == ("HANDOVER", True)


def test_what_the_administrator_confirms_is_noted_and_the_test_still_has_to_be_seen(handed, carry_out):
    run = carry_out(handed(accept=("other-side-confirmed",)))
    assert [run.statuses()[step] for step in ("2.2", "3.7", "4.2", "4.3")] == ["HANDOVER", "NOTED", "HANDOVER", "NOTED"]
    assert run.status == "handover"


# The token ------------------------------------------------------------------------------------------------------------


def test_the_token_is_made_by_the_writer_and_its_text_is_in_no_file(sandbox, handed, page, carry_out, tmp_path):
    carry_out(handed())
    session = page(handed())
    _, token = session.make_token()
    session.finish()
    [made] = tokens_of(sandbox)
    assert sorted(made["scopes"]) == ["delete:users", "get:users", "patch:users"]
    assert (
        sandbox.world.auth0.provisioning[connection_of(sandbox, "fresh")["id"]].token_values[made["token_id"]] == token.reveal()
    )
    assert session.view.memory.scim_token is None
    events = [json.loads(line) for line in (session.out / "journal.jsonl").read_text().splitlines()]
    [intent] = [event for event in events if event["event"] == "intent"]
    assert (intent["step"], intent["undo"]["kind"]) == ("2.2", "token")
    assert [event["made"] for event in events if event["event"] == "outcome"] == [{"token": made["token_id"]}]
    everything = "\n".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert token.reveal() not in everything
    assert token.reveal().partition(".")[2] not in everything


def test_a_lost_token_is_replaced_and_one_of_somebody_else_stays(sandbox, handed, page, carry_out):
    carry_out(handed())
    provisioning = sandbox.world.auth0.provisioning[connection_of(sandbox, "fresh")["id"]]
    foreign = {"token_id": "tok_Foreign000000000", "scopes": ["get:users"], "created_at": "2026-01-01T00:00:00.000Z"}
    provisioning.tokens.append(foreign)
    provisioning.token_values[foreign["token_id"]] = "x" * 30
    first = made_token(page, handed(), "one")
    second = made_token(page, handed(), "two")  # at the limit of two, so the first has to go
    ids = [token["token_id"] for token in tokens_of(sandbox)]
    assert (len(ids), ids[0], first != second) == (2, foreign["token_id"], True)
    assert provisioning.token_values[ids[1]] == second


def test_no_third_token_is_made_beside_two_that_are_not_ours(sandbox, handed, page):
    result, token = page(handed("token-limit")).make_token()
    assert (result.status, token, len(tokens_of(sandbox, "token-limit"))) == ("BLOCKED", None, 2)
    assert "2 SCIM tokens already" in result.reason


def test_no_token_is_made_before_scim_is_on_or_while_a_step_is_blocked(handed, page, sandbox):
    result, token = page(handed()).make_token()
    assert (result.status, token, result.reason) == (
        "BLOCKED", None, "The SCIM configuration that a token belongs to is made by step 1.3."
    )  # fmt: skip
    result, token = page(handed("oid-with-users"), "other").make_token()
    assert ("Held back: step 1.2 is blocked" in result.reason, token) == (True, None)
    assert sandbox.world.auth0.provisioning.get(connection_of(sandbox, "oid-with-users")["id"]) is None


@pytest.mark.parametrize("kind", ["drop_after", "500", "truncate"])
def test_a_token_whose_answer_was_lost_is_left_and_another_made(kind, sandbox, handed, page, carry_out, control):
    carry_out(handed())
    control("POST", "/faults", [{"service": "auth0", "method": "POST", "path": "*/tokens", "nth": 1, "kind": kind}])
    text = made_token(page, handed())
    provisioning = sandbox.world.auth0.provisioning[connection_of(sandbox, "fresh")["id"]]
    lost = [value for value in provisioning.token_values.values() if value != text]
    assert (len(lost), len(provisioning.token_values)) == (0 if kind == "500" else 1, 1 if kind == "500" else 2)


def test_undo_takes_back_the_auth0_side_that_a_hand_over_made(sandbox, handed, page):
    before = json.loads(json.dumps(connection_of(sandbox, "fresh")))
    session = page(handed())
    for step in ("1.2", "1.3"):
        assert session.press(step).status == "CHANGED"
    session.make_token()
    session.finish()
    [result] = undo_run(session.out.parent, OLDER_AZURE_AD, RunMode.APPLY, (), lambda _line: None)
    assert result["status"] == "done", result
    assert connection_of(sandbox, "fresh") == before
    assert sandbox.world.auth0.provisioning.get(before["id"]) is None


# The mirror -----------------------------------------------------------------------------------------------------------


def test_the_mirror_waits_with_a_sheet_and_writes_nothing_before_it_is_sent_anything(tenant, carry_out):
    run = carry_out(tenant("fresh", **NOBODY_AT_AUTH0))
    statuses = run.statuses()
    assert (run.status, run.writes(), services(run)) == ("handover", [], {"graph", "login"})
    assert {statuses[step] for step in ("0.1", "1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2", "2.3")} == {"HANDOVER"}
    assert {statuses[step] for step in SECTIONS_3_AND_4} == {"NOTED"}
    sheet = (run.out / "handover.md").read_text()
    for wanted in ("Pairwise Subject Identifier (sub)", "externalId", "Generate New Token", "patch:users", "Send back"):
        assert wanted in sheet


def test_the_mirror_carries_out_entra_and_starts_only_on_the_owners_word(sandbox, handed, administrator, page, carry_out, entra):
    carry_out(handed())
    text = made_token(page, handed())
    run = carry_out(administrator(text))
    principal, saved = scim_side(entra("fresh"), "fresh")
    [job] = saved.jobs.values()
    assert (run.status, row(run, "4.2")["status"], row(run, "4.3")["status"]) == ("handover", "CHANGED", "HANDOVER")
    assert ("other-side-confirmed" in row(run, "4.3")["remedy"], job["schedule"]["state"]) == (True, "Disabled")
    assert saved.secrets["SecretToken"] == text
    assert connection_of(sandbox, "fresh")["id"] in principal["notes"]
    assert "cannot see whether the person kept their user id" in row(run, "4.2")["reason"]

    confirmed = carry_out(administrator(text, accept=("other-side-confirmed",)))
    assert (confirmed.status, job["schedule"]["state"]) == ("done", "Active")
    assert [
        path for path in confirmed.writes() if not path.endswith("validateCredentials") and "/servicePrincipals/" not in path
    ] == []
    again = carry_out(administrator(text, accept=("other-side-confirmed",)))
    assert (again.status, again.writes()) == ("unchanged", [])


def test_a_new_token_in_the_settings_takes_the_place_of_the_saved_one(sandbox, handed, administrator, page, carry_out, entra):
    carry_out(handed())
    carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    newer = made_token(page, handed(), "later")
    run = carry_out(administrator(newer, accept=("other-side-confirmed",)))
    _, saved = scim_side(entra("fresh"), "fresh")
    assert (row(run, "3.6")["status"], saved.secrets["SecretToken"] == newer) == ("CHANGED", True)


def test_the_mirror_counts_everybody_as_having_a_user_before_it_starts(handed, administrator, page, carry_out, entra):
    carry_out(handed())
    text = made_token(page, handed())
    grady = next(user for user in entra("fresh").users.values() if user["displayName"] == "Grady Archie")
    grady["accountEnabled"] = False
    run = carry_out(administrator(text, accept=("other-side-confirmed",)))
    assert (run.status, row(run, "4.3")["status"], run.writes()) == ("blocked", "BLOCKED", [])
    assert "Grady Archie" in row(run, "4.3")["reason"]


def test_a_token_that_auth0_does_not_know_is_refused_before_it_is_saved(handed, administrator, carry_out, entra):
    carry_out(handed())
    run = carry_out(administrator(f"tok_{'A' * 16}.{'0' * 64}", accept=("other-side-confirmed",)))
    _, saved = scim_side(entra("fresh"), "fresh")
    assert (run.status, row(run, "3.6")["status"], saved.secrets.get("SecretToken")) == ("failed", "FAILED", None)


def test_the_given_token_is_in_no_file_of_the_mirror(handed, administrator, page, carry_out):
    carry_out(handed())
    text = made_token(page, handed())
    run = carry_out(administrator(text))
    everything = "\n".join(path.read_text() for path in run.out.parent.rglob("*") if path.is_file())
    assert text not in everything
    assert text.partition(".")[2] not in everything


def test_undo_of_the_mirror_takes_back_entra_without_asking_auth0(
    sandbox, handed, administrator, page, carry_out, entra, tmp_path
):
    carry_out(handed())
    run = carry_out(administrator(made_token(page, handed()), accept=("other-side-confirmed",)))
    start = len(sandbox.simulation.history)
    (tmp_path / "sent by a safe channel").unlink()  # to take back needs no token
    [result] = undo_run(run.out.parent, OLDER_AZURE_AD, RunMode.APPLY, (), lambda _line: None)
    assert result["status"] == "done", result
    assert not [p for p in entra("fresh").service_principals.values() if p["displayName"] == "Acme SCIM (fresh)"]
    assert "auth0" not in {entry["service"] for entry in sandbox.simulation.history[start:]}


def test_every_step_keeps_the_document_s_title_whoever_does_it(sandbox, tenant, handed, administrator):
    before_anything_came_back = tenant("fresh", **NOBODY_AT_AUTH0)
    for settings in (tenant("fresh"), handed(), before_anything_came_back, administrator("a token that was sent")):
        assert [(step.number, step.title) for step in steps_for(OLDER_AZURE_AD, settings)] == TITLES
