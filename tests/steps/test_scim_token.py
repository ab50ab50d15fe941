"""The SCIM token, literals in and changes out. Which token is in use is in `test_credentials.py`.

2.1 Copy the SCIM endpoint URL
2.2 Generate a SCIM token
2.3 Give the token exactly the scopes get:users, patch:users and delete:users
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runbook_lib.core.errors import TransportError
from runbook_lib.core.secret import Secret
from runbook_lib.engine.values import Change, Diff, Finding, Table
from runbook_lib.http.message import Response
from runbook_lib.services.entra.models import SavedCredentials
from runbook_lib.steps.scim_token import UNDO
from runbook_lib.tenant import facts
from runbook_lib.tenant.scim_search import Searched
from tests.builders import (
    RUNNING,
    SAVED,
    SCOPES,
    SETTINGS,
    URL,
    Memory,
    changes,
    connection,
    doubt,
    planned,
    refusal,
    said,
    saved,
    tables,
    token,
    waiting,
)
from tests.steps.sheet import AUTH0, AUTH0_SENT, ENDPOINT, handover, without
from tests.steps.undone import HELD, LIVE, RUNNING_JOBS, Tenant, Trial, written

PATH = "/api/v2/connections/con_1/scim-configuration/tokens"
THREE = ["get:users", "patch:users", "delete:users"]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def generated(tokens, settings=SETTINGS, **readings):
    """Return what step 2.2 yields for these tokens, its table aside."""
    found = planned("2.2", settings, **{"scim_tokens": tokens, "job": RUNNING, **readings})
    return [entry for entry in found if not isinstance(entry, Table)]


# 2.1


def test_2_1_shows_the_endpoint():
    assert planned("2.1") == [Finding(URL)]


# 2.2


def test_2_2_makes_a_token_and_keeps_its_text_in_memory_alone():
    memory = Memory(own_token_ids=frozenset({"earlier"}))
    [change] = generated((token("foreign"),), memory=memory)
    assert change.on == "SCIM tokens of c"
    assert change.diffs == (Diff("SCIM tokens of c", "new token", "", "get:users, patch:users, delete:users; 365 days"),)
    assert change.request.line == f"POST {PATH}"
    assert change.request.body == {"scopes": THREE, "token_lifetime": 365 * 86_400}
    assert (change.before, change.undo) == (("foreign",), {"kind": "token", "connection": "con_1"})
    assert change.receive(Response(201, {"token": "text-canary", "token_id": "tok_new"})) == {"token": "tok_new"}
    assert (memory.scim_token.reveal(), memory.scim_token_id) == ("text-canary", "tok_new")
    assert memory.own_token_ids == {"earlier", "tok_new"}


@pytest.mark.parametrize("body", [{"token": "text-canary"}, {"token_id": "tok_new"}, None])
def test_2_2_an_answer_cut_short_leaves_the_memory_alone(body):
    memory = Memory()
    [change] = generated((), memory=memory)
    with pytest.raises(TransportError):
        change.receive(Response(201, body))
    assert memory == Memory()


def test_2_2_adds_the_token_of_the_answer_to_those_that_were_read():
    [change] = generated((token("foreign"),))
    answer = {"token_id": "tok_new", "token": "text-canary", "scopes": THREE, "created_at": "2026-06-01T12:00:00Z"}
    assert change.shows(Response(201, answer)) == ((facts.scim_tokens, (token("foreign"), token("tok_new"))),)


def test_2_2_reads_the_tokens_again_where_it_deletes_one_first():
    *_gone, change = generated((token("mine"),), memory=Memory(own_token_ids=frozenset({"mine"})))
    assert (len(_gone), change.request.method, change.shows) == (1, "POST", None)


def test_2_2_a_token_that_never_ends_has_no_lifetime():
    [change] = generated((), SETTINGS.model_copy(update={"token_lifetime_days": "never"}))
    assert change.request.body == {"scopes": THREE}
    assert change.diffs[0].after.endswith("; never ends")


def test_2_2_makes_none_while_one_is_in_memory_or_at_work():
    new = Memory(scim_token=Secret("text-canary"), scim_token_id="new")
    assert generated((token("new"),), memory=new) == [
        Finding("This session keeps the new token in memory until step 3.6 saves it.")
    ]
    assert isinstance(generated((token("other"),), memory=new)[0], Change)
    held = generated((token("a", "2026-01-02"),))
    assert held == [Finding("Entra holds a token with exactly the three scopes, and has used it.")]


def test_2_2_makes_none_while_entra_does_not_list_what_an_earlier_run_saved():
    """What is listed is still what was listed before that save, and the token of that save is there."""
    memory = Memory(own_token_ids=frozenset({"a"}), given_token_ids=("a",), saved_token_id="a", listed_before={})
    late = "Entra accepted credentials from a run some minutes ago and does not list them yet."
    found = generated((token("a"),), saved_credentials=SavedCredentials({}), memory=memory)
    assert found == [Finding(f"{late} This run makes no other token and waits until Entra lists them.")]
    for tokens, values in (((), {}), ((token("a"),), {"SyncAll": "true"})):
        assert isinstance(generated(tokens, saved_credentials=SavedCredentials(values), memory=memory)[-1], Change)


@pytest.mark.parametrize(
    "readings",
    [
        {"saved_credentials": saved(SyncAll="true")},
        {"saved_credentials": saved(SecretToken="")},
        {"job": None},
        {"job": replace(RUNNING, quarantine_reason="why")},
    ],
)
def test_2_2_makes_one_where_entra_has_not_all_it_needs(readings):
    assert isinstance(generated((token("a", "2026-01-02"),), **readings)[0], Change)


def test_2_2_makes_one_where_what_entra_holds_no_longer_works():
    failing = SavedCredentials(SAVED.values, works=False)
    finding, change = generated((token("a", "2026-01-02"),), saved_credentials=failing)
    assert finding == Finding("Entra's connection test with its saved token fails: the token has expired or was deleted.")
    assert change.request.line == f"POST {PATH}"


def test_2_2_waits_for_scim():
    for_step, what, diffs = waiting("2.2", scim_tokens=None)
    assert (for_step, what) == ("1.3", "The SCIM configuration that a token belongs to")
    assert [diff.field for diff in diffs] == ["new token"]


def test_2_2_deletes_only_its_own_unused_token_and_says_why():
    gone, made = generated((token("own"), token("foreign")), memory=Memory(own_token_ids=frozenset({"own"})))
    assert (gone.on, gone.undo, gone.request.line) == ("SCIM tokens of c", None, f"DELETE {PATH}/own")
    [diff] = gone.diffs
    assert (diff.on, diff.field, diff.after) == ("SCIM tokens of c", "own", "deleted")
    assert diff.before
    assert made.before == ("own", "foreign")


def test_2_2_never_deletes_a_foreign_token_to_make_room():
    reason, remedy = refusal("2.2", scim_tokens=(token("a"), token("b", "2026-01-02T03:04:05Z", ())))
    assert reason == (
        "The connection has 2 SCIM tokens already, the most Auth0 allows: a, last used never; b, last used 2026-01-02"
    )
    assert remedy.startswith("Delete the one that is not in use")


def test_2_2_says_which_of_the_tokens_in_its_way_it_made_itself():
    memory = Memory(own_token_ids=frozenset({"a"}), given_token_ids=("a",))
    reason, _remedy = refusal("2.2", scim_tokens=(token("a"), token("b")), memory=memory)
    assert reason.endswith("a, made by this tool, last used never; b, last used never")


def test_2_2_names_a_token_that_a_lost_answer_may_have_made_and_leaves_it():
    doubts = (doubt("2.2", "POST"),)
    finding, change = generated((token("perhaps"),), memory=Memory(doubts=doubts))
    assert "got no response. Auth0 lists perhaps from that time" in finding.text
    assert change.request.line == f"POST {PATH}"
    reason, _remedy = refusal("2.2", scim_tokens=(token("perhaps"), token("b")), memory=Memory(doubts=doubts))
    assert "perhaps, perhaps made by this tool, whose request got no response, last used never" in reason


def test_2_2_names_a_second_token_that_would_serve_as_well():
    _held, second = said("2.2", job=RUNNING, scim_tokens=(token("a", "2026-01-02"), token("b", "2026-01-03")))
    assert second.startswith("Entra uses one of 2 such tokens (a, last used 2026-01-02; b, last used 2026-01-03)")


@pytest.mark.parametrize(
    ("until", "days"),
    [("2026-06-30T12:00:00+00:00", 29), ("2026-07-01T12:00:00+00:00", None), (None, None), ("no time", None)],
)
def test_2_2_names_the_day_on_which_provisioning_stops_when_it_is_near(until, days):
    used = replace(token("a", "2026-05-02"), valid_until=until)
    _held, *rest = said("2.2", job=RUNNING, scim_tokens=(used,), memory=Memory(auth0_now=NOW))
    assert [words.split(".")[0] for words in rest] == ([f"Token a expires on 2026-06-30, in {days} days"] if days else [])


def test_2_2_shows_the_tokens_without_ids():
    tokens = (token("a", "2026"), token("b", None, {"z", "y"}))
    rows = (("token 1", "delete:users, get:users, patch:users", "yes"), ("token 2", "y, z", "never"))
    assert tables("2.2", job=RUNNING, scim_tokens=tokens) == [Table("SCIM tokens", ("token", "scopes", "used"), rows)]
    assert tables("2.2", scim_tokens=()) == []


def test_2_2_plans_nothing_twice():
    assert changes("2.2", job=RUNNING) == []


# 2.3


def test_2_3_is_content_with_one_exact_token():
    words = "A token with exactly the three scopes exists."
    assert planned("2.3", scim_tokens=(token("a", scopes=()), token("b"))) == [Finding(words)]


@pytest.mark.parametrize("tokens", [None, (), (token("a", scopes=SCOPES[:1]),), (token("a", scopes=(*SCOPES, "post:users")),)])
def test_2_3_waits_for_a_token_with_exactly_three_scopes(tokens):
    words = "A token with exactly get:users, patch:users, delete:users"
    assert waiting("2.3", scim_tokens=tokens) == ("2.2", words, ())


def test_2_3_says_what_a_search_with_the_token_has_settled():
    words = "Auth0's SCIM search finds users by upn."
    assert said("2.3", memory=Memory(searched=Searched(True, words)))[1:] == [words]


# On the sheet of the administrator


def test_2_2_and_2_3_on_the_sheet_say_what_to_generate():
    found = handover("2.2", AUTH0)
    where = "Authentication > Enterprise > Microsoft Azure AD > the connection > Provisioning > SCIM Setup"
    assert (found.state, found.where, found.values) == ("open", f"{where} > Generate New Token", (("Expires", "in 365 days"),))
    assert handover("2.2", without("auth0", token_lifetime_days="never")).values == (("Expires", "never"),)
    assert handover("2.2", AUTH0_SENT).state == "confirmed"
    assert said("2.2", AUTH0_SENT) == ["The owner of the Auth0 side sent the token."]
    found = handover("2.3", AUTH0)
    assert (found.where, found.values) == (f"{where} > Generate New Token", tuple(("Scope", scope) for scope in THREE))
    groups = handover("2.3", without("auth0", groups_mapping="on")).values
    assert (groups[:3], len(groups)) == (found.values, 7)
    found = handover("2.1", AUTH0)
    assert (found.where, len(found.values), found.state) == (where, 2, "open")
    assert found.values[0] == ("Send back", "SCIM Endpoint URL, as https://acme.eu.auth0.com/scim/v2/connections/con_…")
    assert said("2.1", AUTH0_SENT) == [f"The owner of the Auth0 side sent {ENDPOINT}."]


# Taking back

ENTRY = written("token", {"connection": "con_1"}, {"token": "own"}, step="2.2")
TOKENS = (token("own"), token("other"))


def test_2_2_is_taken_back_by_deleting_the_token():
    trial = Trial(UNDO, ENTRY)
    change = trial.change(TOKENS, connection(), (), frozenset({"other"}))
    assert change.request.line == f"DELETE {PATH}/own"
    diff = Diff("SCIM tokens of c", "own", "made by this run", "deleted")
    assert (change.on, change.diffs, change.undo) == ("SCIM tokens of c", (diff,), None)
    assert trial.step.title == "Delete the SCIM token (step 2.2)"
    assert trial.reads == ("scim_tokens", "connection", RUNNING_JOBS, HELD)
    assert trial.touches == ("scim_tokens", RUNNING_JOBS, HELD)


@pytest.mark.parametrize("found", [None, (), (token("other"),)])
def test_2_2_is_taken_back_when_the_token_is_gone(found):
    assert Trial(UNDO, ENTRY).sentences(found, connection(), LIVE, frozenset({"own"})) == ["The token is gone."]


def test_2_2_is_not_taken_back_while_entra_may_hold_the_token():
    held = frozenset({"own"})
    found = Trial(UNDO, ENTRY).sentences(TOKENS, connection(), (), held)
    assert found == ["Left in place: Entra may still hold own. (left)"]
    assert Trial(UNDO, ENTRY, is_plan=True).change(TOKENS, connection(), (), held).request.method == "DELETE"


def test_2_2_is_not_taken_back_while_a_job_is_on():
    planned = Trial(UNDO, ENTRY).change(TOKENS, connection(), (), frozenset()).diffs
    assert Trial(UNDO, ENTRY).while_on(TOKENS, connection(), LIVE, frozenset()) == planned


def test_2_2_in_doubt_is_looked_for_among_the_tokens_of_that_time():
    tenant = Tenant(scim_tokens=(token("tok_1"), token("tok_2"), token("old", created="2026-05-01T12:00:00Z")))
    tenant.memory.doubts = (doubt(),)
    assert UNDO.look(ENTRY, tenant) == (True, "Auth0 lists tok_1, tok_2.")
    tenant.memory.doubts = ()
    assert UNDO.look(ENTRY, tenant) == (False, "Auth0 lists no token from that time.")
    tenant.readings["scim_tokens"] = None
    assert UNDO.look(ENTRY, tenant) == (False, "Auth0 lists no token from that time.")


def test_how_2_2_is_taken_back():
    about = (UNDO.kind, UNDO.words, UNDO.needs, UNDO.made, UNDO.turn)
    assert about == ("token", "a SCIM token", {"connection": str}, "token", 3)
