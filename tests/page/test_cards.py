"""What a card says and offers, without a browser: one tenant of the sandbox, planned and carried out as by a person's presses."""

from __future__ import annotations

import re

import pytest

from runbook_lib.core.errors import SettingsError, TransportError
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.values import Diff
from runbook_lib.page import cards
from runbook_lib.page.controller import GuidedSession
from runbook_lib.page.form import Form
from runbook_lib.page.labels import changes, on_page
from runbook_lib.page.trouble import trouble_of
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.procedures.screen import Look
from runbook_lib.services.wire_words import NEW_CONNECTIONS_PAGE
from tests.patience import PATIENCE_S

SCREENS = [row.screen for row in OLDER_AZURE_AD if row.screen]


@pytest.fixture
def page(tenant, tmp_path):
    """A page with the demo tenant `fresh` open and planned; press(event, value, **fields) does as the person does."""
    guided = GuidedSession(tmp_path, procedure=OLDER_AZURE_AD, demos=lambda: (tenant("fresh"), tenant("oid-with-users")))
    guided.connect()
    guided.summary()
    wait(guided)
    yield guided
    guided.close()


def wait(guided):
    """Wait until the page's worker has done all it was asked for; to open a tenant it is asked twice."""
    for _ in range(2):
        guided._desk.do(lambda: None).result(PATIENCE_S)


def press(guided, event, value="", **fields):
    guided._steps.at_the_end(event, value, fields)
    wait(guided)


def card(guided, number):
    return cards.step(guided._desk.state, number)


def test_after_a_step_the_next_one_is_offered_with_about_how_long_it_takes(page):
    press(page, "apply", "1.2")
    assert card(page, "1.2")["next"] == {
        "step": "1.3",
        "title": "Sync profiles at each login and turn SCIM on",
        "about": "about 1 s",
    }
    assert OLDER_AZURE_AD.row("3.2").screen.seconds > OLDER_AZURE_AD.row("1.3").screen.seconds


def test_a_proof_says_when_it_was_read_with_its_zone(page):
    assert card(page, "1.2")["read_at"] == ""
    press(page, "apply", "1.2")
    assert re.fullmatch(r"\d\d:\d\d:\d\d UTC", card(page, "1.2")["read_at"])


def test_a_step_is_taken_back_with_what_was_written_after_it_and_nothing_before(page):
    for number in ("1.2", "1.3"):
        press(page, "apply", number)
    assert page._desk.state.undoable == ("1.2", "1.3")
    press(page, "undo-step", "1.3")
    state = page._desk.state
    assert (state.undo_since, state.is_undone) == ("1.3", False)
    assert [row[0] for row in state.undone.rows if "1.2" in row[0]] == []
    press(page, "undo")
    state = page._desk.state
    assert state.is_undone
    assert state.undoable == ("1.2",)
    assert (card(page, "1.2")["kind"], card(page, "1.3")["kind"]) == ("UNCHANGED", "PLANNED")
    assert card(page, "1.2")["can_undo"]  # what stands on record stays to be taken back, also after the page was opened again


def test_a_real_tenant_is_turned_on_by_the_number_of_people_only_and_not_by_the_button_of_its_section(page):
    desk = page._desk
    for section in "1234":
        desk.where = "sandbox" if section != "4" else "real"
        press(page, "apply-section", section)
    assert (card(page, "4.2")["kind"], card(page, "4.3")["kind"]) == ("CHANGED", "PLANNED")
    assert desk.state.due("4") == ()
    people = card(page, "4.3")["people"]
    assert people
    for typed in ({}, {"people": ""}, {"people": str(people + 1)}):
        press(page, "apply", "4.3", **typed)
        assert card(page, "4.3")["kind"] == "PLANNED"
    press(page, "apply", "4.3", people=str(people))
    assert card(page, "4.3")["kind"] == "CHANGED"
    assert "report.html" in {path.name for path in desk.tenant.session.out.iterdir()}  # at the end it is written by itself


def test_look_again_keeps_the_person_at_the_step_where_they_pressed_it(page):
    press(page, "apply", "1.2")
    press(page, "look", "3.3")
    assert page._desk.at.step == "3.3"
    assert card(page, "3.3")["presses"] > 0


def test_a_plan_that_a_person_asked_for_takes_the_focus_and_one_that_came_by_itself_does_not(page):
    assert (page._desk.at.step, card(page, "1.2")["presses"]) == ("1.2", 0)
    page._desk.do(lambda: page._desk.open_tenant(page._desk.tenant.session.view, is_press=True))
    wait(page)
    first = card(page, "1.2")["presses"]
    page._desk.do(lambda: page._desk.open_tenant(page._desk.tenant.session.view, is_press=True))
    wait(page)
    assert card(page, "1.2")["presses"] > first > 0


def test_a_refused_tenant_is_not_called_connected_and_no_step_is_at_hand_while_none_is_open(page):
    assert cards.start(page._desk.state)["stopped"] == ""
    page._start.heard("demo", "", {"where": "sandbox", "demo": "oid-with-users"})
    wait(page)
    assert cards.start(page._desk.state)["stopped"] == "1.2"
    assert "Step 1.2 has stopped" in page.pieces.panel("start").html
    page._start.heard("where", "", {"where": "real"})
    wait(page)
    assert cards.rail(page._desk.state)["here"] == ""


def test_of_a_dangerous_step_the_safe_way_is_the_first_button_and_accepting_is_folded(page):
    page._start.heard("demo", "", {"where": "sandbox", "demo": "oid-with-users"})
    wait(page)
    page.do("1.2")
    wait(page)
    html = page.pieces.panel("step 1.2").html
    first, _, rest = html.partition('<details class="scim-danger">')
    assert re.findall(r'class="scim-button scim-first" href="([^"]+)"[^>]*>([^<]+)<', first) == [
        (NEW_CONNECTIONS_PAGE, "Open the document for this connection ↗")
    ]
    assert 'data-event="apply"' not in html
    assert 'data-event="accept"' in rest


def test_what_to_do_at_the_end_names_the_card_instead_of_a_setting(page):
    page._start.heard("demo", "", {"where": "sandbox", "demo": "oid-with-users"})
    wait(page)
    todo = {row[0]: row[3] for row in cards.end(page._desk.state)["todo"].rows}
    assert todo["1.2"] == "Read what is dangerous about it at step 1.2; take the safe way there, or accept it."


def test_a_section_that_waits_names_the_step_that_comes_first(page):
    assert cards.section(page._desk.state, "4")["waits"] == "3.2"
    assert cards.section(page._desk.state, "1")["due"] == 2


def test_every_change_of_many_is_in_the_table_that_is_searched_and_the_count_is_true():
    diffs = tuple(Diff("assignments", f"Person {number}", "", "User") for number in range(250))
    shown = changes(StepResult("3.3", "Assign", "ensure", "PLANNED", diffs=diffs))
    assert (shown.title, shown.columns[2:], len(shown.rows)) == ("What will change", ("now", "wanted"), 250)
    assert shown.rows[0] == ("assignments", "Person 0", "(nothing)", "User")
    done = changes(StepResult("3.3", "Assign", "ensure", "CHANGED", diffs=diffs))
    assert (done.title, done.columns[2:]) == ("What was changed", ("before", "after"))


def test_what_to_do_is_said_in_the_words_of_the_page():
    assert on_page("Grant these scopes, then run again") == "Grant these scopes, then press Look again"
    assert on_page("Wait, then run again with --resume: it repeats nothing") == "Wait, then press Look again: it repeats nothing"


def test_an_error_at_a_button_says_what_was_asked_for_there_and_keeps_the_request_folded():
    error = TransportError(
        "POST https://acme.eu.auth0.com/oauth/token", "no such host", ambiguous=False, do_now="Check it in the settings"
    )
    told = trouble_of(error, "auth0", 1)
    assert (told.headline, told.remedy) == ("The sign-in to Auth0 did not succeed", "Check it above")
    assert told.details == "POST https://acme.eu.auth0.com/oauth/token: no such host"
    assert trouble_of(SettingsError("is missing", "Fill it in", column="test_user"), "plan", 2).column == "test_user"


def test_how_a_pasted_value_was_read_stays_said_until_it_is_typed_over():
    form = Form()
    form.take({"auth0_domain": "https://acme.eu.auth0.com/"})
    form.take({"auth0_domain": "acme.eu.auth0.com", "auth0_client_id": "abc"})  # the field shows by now what was read
    assert form.cleaned == {"auth0_domain": "Read as acme.eu.auth0.com."}
    form.take({"auth0_domain": "other.eu.auth0.com"})
    assert form.cleaned == {}


def test_each_step_that_is_done_in_a_console_has_a_sketch_with_the_same_words_as_its_marks():
    assert [row.number for row in OLDER_AZURE_AD if row.screen is None] == ["3.13"]
    for screen in SCREENS:
        numbers = [number for number, _ in screen.numbered]
        assert numbers == list(range(numbers[0], numbers[0] + len(screen.spots)))
        for number, spot in screen.numbered:
            assert f"{number}: {spot.words}" in screen.words
        assert screen.tab in ("", *screen.tabs)


def test_nothing_in_a_sketch_is_wider_than_the_sketch():
    for screen in SCREENS:
        assert 58 + 5.8 * len(screen.trail) < 400, screen.words
        for spot in screen.spots:
            room = 264 if spot.look in (Look.SWITCH_ON, Look.SWITCH_OFF) else 304
            value = 26 + 5.8 * len(spot.value) if spot.value else 0
            assert 5.8 * len(spot.label) + value < room, (screen.words, spot.label)
