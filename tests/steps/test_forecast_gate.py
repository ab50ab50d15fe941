"""What a forecast holds back, what it merely names, and how it is shown. Literals in, hazards and tables out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.values import Change, Diff, Finding, Hazard, Table
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import forecast_gate, running_job
from runbook_lib.tenant.forecast.values import (
    Certainty,
    Fate,
    FieldChange,
    Forecast,
    HarmKind,
    OtherReading,
    PersonForecast,
)
from tests.builders import ACCESS, JOB, PRINCIPAL, RUNNING, SETTINGS, planned


def person(name, fate, **more):
    return PersonForecast(name, f"id of {name}", f"{name.lower()}@contoso.com", None, True, "direct", fate, **more)


def dangers(*people, settings=SETTINGS, **more):
    return list(forecast_gate.dangers(Forecast(tuple(people), **more), settings))


def accepting(**update):
    return TenantSettings.from_parameters({**SETTINGS.model_dump(), **update})


OWN = FieldChange("app_metadata.department", "billing group 7", "Sales", owned=True)


@pytest.mark.parametrize(
    ("one", "name", "why"),
    [
        (person("Bea", Fate.BLOCK), "block", "1 person would be blocked in Auth0 and lose their sessions: Bea (bea@contoso.com)"),
        (
            person("Bea", Fate.UNBLOCK),
            "unblock",
            "1 person is blocked in Auth0 now and would be unblocked: Bea (bea@contoso.com)",
        ),
        (person("Bea", Fate.DELETE), "delete", "1 person would be deleted in Auth0: Bea (bea@contoso.com)"),
        (
            person("Bea", Fate.SOMEONE_ELSES_USER, other_people=("Abe",)),
            "someone-elses-user",
            "1 person would be written into an Auth0 user that is another person's: Bea (bea@contoso.com; the Auth0 user "
            "belongs to Abe)",
        ),
        (
            person("Bea", Fate.UPDATE, changes=(OWN,)),
            "values-written-over",
            "1 person would lose profile values that the application keeps: Bea (bea@contoso.com; app_metadata.department)",
        ),
        (
            person("Bea", Fate.CANNOT_TELL, reason="the expression uses Guid"),
            "cannot-tell",
            "1 person has an outcome that cannot be predicted: Bea (bea@contoso.com; the expression uses Guid)",
        ),
    ],
)
def test_each_kind_of_harm_is_a_hazard_of_its_own_with_its_count_and_names(one, name, why):
    assert dangers(one) == [Hazard(name, why, 1)]
    assert HarmKind(one.harms[0]).accept_word == name


@pytest.mark.parametrize("fate", [Fate.UPDATE, Fate.SAME, Fate.NO_USER, Fate.TWO_USERS, Fate.LEAVER])
def test_what_a_cycle_leaves_as_it_is_holds_nothing(fate):
    assert dangers(person("Bea", fate)) == []


def test_a_person_who_is_harmed_by_one_reading_only_is_held_too():
    left = person("Bea", Fate.BLOCK, reading="reports: blocked", others=(OtherReading("Microsoft's text: skipped", Fate.LEAVER),))
    [hazard] = dangers(left)
    assert hazard.why.endswith("Bea (bea@contoso.com). Sources disagree about some of them; this is the stricter reading")


def test_ten_are_named_and_the_others_counted():
    people = [person(f"P{number:02}", Fate.BLOCK) for number in range(13)]
    [hazard] = dangers(*people)
    assert (hazard.count, "P09 (p09@contoso.com) and 3 more, see forecast.csv" in hazard.why, "P10" in hazard.why) == (
        13,
        True,
        False,
    )


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (1, 0), (2, 0)])
def test_the_limit_of_people_to_be_blocked_holds_as_before(limit, count):
    assert len(dangers(person("Bea", Fate.BLOCK), settings=accepting(blocked_users_limit=limit))) == count


def test_hidden_groups_and_what_was_not_read_are_held_and_the_permission_is_named():
    [hazard] = dangers(hidden_groups=("Support",), incomplete=("The list of users ended early.", "Xerxes was not read"))
    assert hazard == Hazard(
        "cannot-tell",
        "This sign-in cannot see the members of Support, so the forecast cannot predict their outcome. Grant the app "
        "registration Member.Read.Hidden and have an administrator grant consent. The list of users ended early. Xerxes "
        "was not read",
    )


def test_the_words_that_accept_are_those_that_the_settings_know():
    for kind in HarmKind:
        assert accepting(accept=[kind.accept_word]).accepts(kind.accept_word, 10_000)


@pytest.mark.parametrize(("count", "is_accepted"), [(0, True), (1, True), (2, True), (3, False)])
def test_an_acceptance_by_a_person_holds_for_as_many_as_were_named_then(count, is_accepted):
    record = {"hazard": "unblock", "count": 2, "who": "adele@contoso.com", "when": "2026-11-28T09:00:00+00:00"}
    settings = accepting(accepted=[record])
    assert (settings.accepts("unblock", count), settings.accepts("block", count)) == (is_accepted, False)


# What is told


def test_what_is_left_is_named_with_what_to_do():
    people = (person("Ann", Fate.LEAVER), person("Bea", Fate.TWO_USERS), person("Cid", Fate.NO_USER))
    counts, left, _table = forecast_gate.told(Forecast(people, assigned=3))
    assert counts == Finding(
        "3 people are assigned, including members of groups; forecast: 1 no user, 1 two users, 1 leaver who stays active."
    )
    assert left == Table(
        "People left unchanged by the next cycle",
        ("people", "situation", "what to do", "who"),
        (
            (
                "1",
                "left Entra or lost access, and may stay active in Auth0: Microsoft's documentation says that the cycle "
                "skips them, others report that it blocks them",
                "Block them in Auth0 by hand if they must lose their access",
                "Ann (ann@contoso.com)",
            ),
            (
                "1",
                "have several Auth0 users: if several match, Entra neither updates nor blocks any of them; if one "
                "matches, Entra never touches the others, which keep their access when the person leaves",
                "Delete or block the Auth0 user that is not in use",
                "Bea (bea@contoso.com)",
            ),
            (
                "1",
                "have no user in Auth0 that Entra would find",
                "Nothing: Entra can link them after a sign-in, unless theirs is a secondary identity of a linked Auth0 user",
                "Cid (cid@contoso.com)",
            ),
        ),
    )


def test_counts_say_what_was_assumed():
    words = forecast_gate.counted(Forecast((), nested_groups=2, saw_auth0=False, assumes_default_mapping=True))
    assert words == (
        "0 people are assigned, including members of groups; forecast: no one is affected; Entra does not "
        "provision 2 nested groups; there is no job yet, so the forecast assumes the default mapping with the changes of this "
        "procedure; this run cannot read Auth0, so the forecast assumes that everyone has a user there"
    )


def test_the_table_has_a_row_a_person_those_at_risk_first():
    bea = PersonForecast(
        "Bea",
        "id",
        "bea@contoso.com",
        "bea@contoso.example",
        False,
        "disabled, direct",
        Fate.BLOCK,
        ("waad|1",),
        "userName",
        (FieldChange("blocked", False, True), OWN),
        Certainty.OPEN,
        "reports: blocked",
        (OtherReading("Microsoft's text: skipped", Fate.LEAVER),),
        ("Abe",),
        "why",
    )
    *_, table = forecast_gate.told(Forecast((person("Ann", Fate.SAME), bea)))
    assert table == Table(
        "Forecast: what the next cycle does to each person",
        (
            "person",
            "user name in Entra",
            "mail in Entra",
            "in scope",
            "Auth0 user",
            "matched by",
            "fate",
            "changes",
            "certainty",
            "why",
        ),
        (
            (
                "Bea",
                "bea@contoso.com",
                "bea@contoso.example",
                "no, disabled, direct",
                "waad|1",
                "userName",
                "block (or leaver who stays active)",
                "blocked: False → True; app_metadata.department: billing group 7 → Sales",
                "open",
                "why; with Abe; reports: blocked; leaver who stays active: Microsoft's text: skipped",
            ),
            ("Ann", "ann@contoso.com", "", "yes, direct", "", "", "same", "", "documented", ""),
        ),
    )


def test_of_a_very_long_forecast_the_table_shows_those_at_risk():
    people = (*(person(f"P{number:04}", Fate.SAME) for number in range(600)), person("Zoe", Fate.BLOCK))
    table = forecast_gate.table_of(Forecast(people))
    assert (len(table.rows), table.rows[0][0]) == (500, "Zoe")
    assert table.title.endswith("(first 500 of 601; forecast.csv has all)")


@pytest.mark.parametrize("count", [10, 11])
def test_more_than_ten_are_told_as_more(count):
    [hazard] = dangers(*(person(f"P{number:02}", Fate.BLOCK) for number in range(count)))
    assert ("and 1 more, see forecast.csv" in hazard.why, "more" in hazard.why) == (count == 11, count == 11)


@pytest.mark.parametrize(("count", "is_cut"), [(500, False), (501, True)])
def test_a_table_of_five_hundred_is_whole(count, is_cut):
    table = forecast_gate.table_of(Forecast(tuple(person(f"P{number:04}", Fate.SAME) for number in range(count))))
    assert (len(table.rows), "first 500 of 501" in table.title) == (500, is_cut)


def test_each_person_is_named_once_and_told_what_belongs_to_the_kind_alone():
    alike = PersonForecast("bea@contoso.com", "id-1", "bea@contoso.com", None, True, "direct", Fate.BLOCK)
    unknown = PersonForecast("id-2", "id-2", "", None, False, "deleted", Fate.BLOCK, other_people=("Abe",), reason="why")
    nameless = replace(unknown, person="Cid")
    [hazard] = dangers(alike, unknown, nameless)
    assert hazard.why.endswith(": bea@contoso.com; id-2; Cid (id-2)")


# The start


def test_the_start_is_held_until_each_kind_is_accepted():
    forecast = Forecast((person("Bea", Fate.BLOCK), person("Cid", Fate.UNBLOCK)))
    entries = planned("4.3", forecast_to_tell=forecast)
    assert [entry.name for entry in entries if isinstance(entry, Hazard)] == ["block", "unblock"]
    assert isinstance(entries[-1], Change)


def test_where_no_forecast_was_made_nothing_is_said_of_people():
    assert [type(entry) for entry in planned("4.3", forecast_to_tell=None, assignments=(ACCESS,))] == [Change]


# Writes that a running job acts on


def asked(forecast):
    return lambda: forecast


def test_a_write_that_a_running_job_acts_on_is_held_as_a_start_is():
    forecast = Forecast((person("Bea", Fate.BLOCK),))
    found = list(running_job.guarded(RUNNING, asked(forecast), SETTINGS))
    assert found[0] == Finding("The job is running, so the next cycle applies this change.")
    assert found[-1] == Hazard(
        "block",
        "The job is running, so in its next cycle 1 person would be blocked in Auth0 and lose their sessions: Bea "
        "(bea@contoso.com)",
        1,
    )


@pytest.mark.parametrize("job", [None, JOB])
def test_where_no_job_runs_the_forecast_is_not_even_read(job):
    def never():
        raise AssertionError("was read")

    assert list(running_job.guarded(job, never, SETTINGS)) == []


def test_a_running_job_of_other_mappings_is_paused_before_anything_else():
    finding, change = running_job.paused_first(RUNNING, PRINCIPAL, mappings_differ=True, settings=SETTINGS)
    assert finding.text.startswith("The running job uses mappings that this run must change first. This run pauses the job now")
    assert change.request.line.endswith("/jobs/job/pause")
    assert (change.on, change.stops, change.undo) == ("provisioning job", True, None)
    assert change.diffs == (
        Diff("provisioning job", "Provisioning Status", "On", "Off until provisioning is turned on again at the end"),
    )


@pytest.mark.parametrize(
    ("job", "principal", "mappings_differ"),
    [(JOB, PRINCIPAL, True), (None, PRINCIPAL, True), (RUNNING, None, True), (RUNNING, PRINCIPAL, False)],
)
def test_else_it_is_not_paused(job, principal, mappings_differ):
    assert list(running_job.paused_first(job, principal, mappings_differ=mappings_differ, settings=SETTINGS)) == []


def test_it_is_not_paused_where_it_would_not_be_started_again():
    settings = SETTINGS.model_copy(update={"turn_on": "no"})
    with pytest.raises(StepBlocked, match=r"turn_on is no, so the job would stay paused\. Set turn_on to yes, or pause the job"):
        list(running_job.paused_first(RUNNING, PRINCIPAL, mappings_differ=True, settings=settings))


def test_people_who_would_get_a_manager_are_named_with_what_to_do():
    """Auth0's support article: Entra cannot read a user with a manager, so a later departure may not reach Auth0."""
    manager = FieldChange("app_metadata.manager", None, "waad|boss", names_manager=True)
    other = FieldChange("app_metadata.title", None, "Clerk")
    found = list(
        forecast_gate.told(
            Forecast((person("Ann", Fate.UPDATE, changes=(manager,)), person("Bea", Fate.UPDATE, changes=(other,))))
        )
    )
    [table] = [one for one in found if isinstance(one, Table) and one.title == "People who would get a manager in Auth0"]
    [(count, what, cure, who)] = table.rows
    assert (count, who) == ("1", "Ann (ann@contoso.com)")
    assert ("not even their departure" in what, "Delete the row of manager in Entra" in cure) == (True, True)
    assert not [one for one in forecast_gate.told(Forecast((person("Bea", Fate.UPDATE),))) if "manager" in str(one)]
