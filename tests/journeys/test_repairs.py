"""What a re-run makes of a run that broke: over HTTPS, judged by the sandbox's state."""

from __future__ import annotations

import pytest

from runbook_lib.core.errors import TenantBusy
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session
from tests.journeys.test_journeys import connection_of, scim_side


def tokens_of(sandbox, name):
    return [token["token_id"] for token in sandbox.world.auth0.provisioning[connection_of(sandbox, name)["id"]].tokens]


def test_a_finished_tenant_without_its_journal_is_left_alone(sandbox, tenant, carry_out):
    run = carry_out(tenant("fresh"))
    before = tokens_of(sandbox, "fresh")
    (run.out / "journal.jsonl").unlink()
    again = carry_out(tenant("fresh"))
    assert (again.status, again.writes(), tokens_of(sandbox, "fresh"), len(before)) == ("unchanged", [], before, 1)


@pytest.mark.parametrize("kind", ["drop_after", "truncate"])
def test_a_token_whose_answer_was_lost_is_named_and_left_since_others_may_have_made_it(kind, sandbox, tenant, carry_out, control):
    control("POST", "/faults", [{"service": "auth0", "method": "POST", "path": "*/tokens", "nth": 1, "kind": kind}])
    run = carry_out(tenant("fresh"))
    first, _ = tokens_of(sandbox, "fresh")
    row = next(row for row in run.rows if row["step"] == "2.2")
    assert (run.status, [write for write in run.writes() if write.startswith("DELETE")]) == ("done", [])
    assert f"Auth0 lists {first} from that time. This run leaves it in place" in row["reason"]
    again = carry_out(tenant("fresh"))
    assert (again.status, again.writes(), first in str(again.rows)) == ("unchanged", [], True)


def test_an_application_whose_answer_was_lost_is_waited_for_not_made_again(tenant, carry_out, entra, control):
    control("POST", "/faults", [{"service": "graph", "method": "POST", "path": "*/instantiate", "nth": 1, "kind": "drop_after"}])
    run = carry_out(tenant("fresh"))
    scim_side(entra("fresh"), "fresh")  # exactly one
    assert (run.status, sum("/instantiate" in write for write in run.writes())) == ("done", 1)


@pytest.mark.parametrize("kind", ["reset", "drop_after"])
def test_a_claim_whose_answer_was_lost_is_this_runs_own_and_no_other_runs(kind, tenant, carry_out, control):
    path = "/v1.0/servicePrincipals/*"
    control("POST", "/faults", [{"service": "graph", "method": "PATCH", "path": path, "nth": 1, "kind": kind}])
    assert carry_out(tenant("fresh")).status == "done"


def test_a_run_that_stopped_before_saving_leaves_no_second_token(sandbox, tenant, carry_out, tmp_path):
    session = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "run-x" / "fresh")
    for step in OLDER_AZURE_AD.steps[:9]:
        session.do(step.number)
    [lost] = tokens_of(sandbox, "fresh")
    session.lock.free()  # what the end of its process does
    assert carry_out(tenant("fresh")).status == "done"
    assert lost not in tokens_of(sandbox, "fresh")
    assert len(tokens_of(sandbox, "fresh")) == 1


def test_a_second_session_of_a_tenant_is_refused_until_the_first_ends(tenant, tmp_path):
    first = tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "a" / "fresh")
    with pytest.raises(TenantBusy, match="another run holds it"):
        tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "b" / "fresh")
    first.finish()
    tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "b" / "fresh").finish()


def test_a_connection_named_by_its_id_and_by_its_name_is_one(sandbox, tenant, tmp_path):
    by_id = tenant("fresh", auth0_connection=connection_of(sandbox, "fresh")["id"])
    first = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "a" / "fresh")
    first.do("0.1")
    with pytest.raises(TenantBusy, match="another run holds it"):
        tenant_session(by_id, mode=RunMode.APPLY, out=tmp_path / "b" / "fresh")
    first.finish()
    first = tenant_session(by_id, mode=RunMode.APPLY, out=tmp_path / "b" / "fresh")
    second = tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "c" / "fresh")
    with pytest.raises(TenantBusy, match="another run holds it"):
        second.do("0.1")
    assert [entry for entry in sandbox.simulation.history if entry["method"] in ("PATCH", "PUT")] == []
    first.finish()
    assert second.do("0.1").status == "PASSED"
    second.finish()


def test_a_page_holds_the_tenant_only_while_it_acts(tenant, tmp_path):
    page = tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "a" / "fresh", is_page=True)
    run = tenant_session(tenant("fresh"), mode=RunMode.PLAN, out=tmp_path / "b" / "fresh")
    with pytest.raises(TenantBusy):
        page.do("0.1")
    run.finish()
    assert page.do("0.1").status == "PASSED"


def _disabled(customer, name):
    next(user for user in customer.users.values() if user["displayName"] == name)["accountEnabled"] = False


def test_nobody_is_locked_out_unless_the_operator_says_how_many(tenant, carry_out, entra):
    _disabled(entra("fresh"), "Grady Archie")
    run = carry_out(tenant("fresh"))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (run.status, row["step"], run.writes(), "Grady Archie" in row["reason"]) == ("blocked", "4.3", [], True)
    assert carry_out(tenant("fresh", blocked_users_limit=1)).status == "done"


def test_a_member_of_an_assigned_group_counts_too(tenant, carry_out, entra):
    _disabled(entra("fresh"), "Miriam Graham")  # in a group only
    assert carry_out(tenant("fresh")).status == "blocked"


def test_people_who_share_an_address_of_an_auth0_user_are_not_matched_by_mail_unasked(tenant, carry_out, entra):
    users = {user["displayName"]: user for user in entra("fresh").users.values()}
    users["Alex Wilber"]["mail"] = users["Christie Cline"]["mail"]
    run = carry_out(tenant("fresh"))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (row["step"], run.writes(), "another person's: " in row["reason"]) == ("4.3", [], True), row
    assert carry_out(tenant("fresh", accept=("someone-elses-user",))).status == "done"


def test_an_application_that_provisions_another_address_is_not_taken_over_unasked(tenant, carry_out, entra):
    _, saved = scim_side(entra("half-done"), "half-done")
    saved.secrets = {"BaseAddress": "https://elsewhere.example/scim/", "SecretToken": "another-token"}
    run = carry_out(tenant("half-done"))
    row = next(row for row in run.rows if row["status"] == "BLOCKED")
    assert (row["step"], run.writes(), "elsewhere.example" in row["reason"]) == ("3.5", [], True)
    assert carry_out(tenant("half-done", accept=("replace-tenant-url",))).status == "done"


def test_a_claim_of_another_machine_holds_the_writes_back(sandbox, tenant, carry_out, entra):
    principal, _ = scim_side(entra("half-done"), "half-done")
    connection = connection_of(sandbox, "half-done")["id"]
    principal["notes"] = f"Ours.\n[inbound-scim-runbook {connection}; run 20260105-080000@0badcafe until 2026-01-05T09:10:00Z]"
    run = carry_out(tenant("half-done"))
    assert (run.status, run.writes(), run.statuses()["3.2"]) == ("blocked", [], "BLOCKED")
    sandbox.world.clock.advance(900)
    assert carry_out(tenant("half-done")).status == "done"
    assert principal["notes"] == f"Ours.\n[inbound-scim-runbook {connection}]"


def test_a_marker_of_another_connection_is_respected(tenant, carry_out, entra):
    principal, _ = scim_side(entra("half-done"), "half-done")
    principal["notes"] = "[inbound-scim-runbook con_0000000000000000]"
    run = carry_out(tenant("half-done"))
    assert (run.status, run.writes(), run.statuses()["3.2"]) == ("blocked", [], "BLOCKED")


# A year later ----------------------------------------------------------------------------------------------------------


def test_a_token_that_has_ended_is_replaced_by_a_run_of_the_finished_tenant(sandbox, tenant, carry_out):
    carry_out(tenant("fresh"))
    [ended] = tokens_of(sandbox, "fresh")
    sandbox.world.clock.advance(366 * 86_400)
    planned = carry_out(tenant("fresh"), "plan")
    row = next(row for row in planned.rows if row["step"] == "2.2")
    assert (planned.status, row["status"], "connection test" in row["reason"]) == ("pending", "PLANNED", True)
    again = carry_out(tenant("fresh"))
    [new] = tokens_of(sandbox, "fresh")
    assert (again.status, new != ended) == ("done", True)
    assert (carry_out(tenant("fresh")).status, tokens_of(sandbox, "fresh")) == ("unchanged", [new])


def test_a_token_of_entra_s_that_was_deleted_is_replaced_though_another_stands_beside_it(sandbox, tenant, carry_out):
    carry_out(tenant("fresh"))
    provisioning = sandbox.world.auth0.provisioning[connection_of(sandbox, "fresh")["id"]]
    [held] = provisioning.tokens
    other = {**held, "token_id": "tok_Other00000000000"}
    provisioning.tokens[:] = [other]
    provisioning.token_values = {other["token_id"]: f"{other['token_id']}.{'0' * 64}"}
    again = carry_out(tenant("fresh"))
    ids = tokens_of(sandbox, "fresh")
    assert (again.status, ids[0], len(ids)) == ("done", other["token_id"], 2)
    assert carry_out(tenant("fresh")).status == "unchanged"


def test_a_token_that_is_about_to_end_is_named_with_its_day(sandbox, tenant, carry_out):
    carry_out(tenant("fresh"))
    sandbox.world.clock.advance(350 * 86_400)
    again = carry_out(tenant("fresh"))
    row = next(row for row in again.rows if row["step"] == "2.2")
    assert (again.status, "expires on 2027-01-05, in 14 days" in row["reason"]) == ("unchanged", True)
