"""What a run's journal says is to be taken back, and in which order: events in, steps out."""

from __future__ import annotations

import pytest

from runbook_lib.undo import Made, made_by, steps_to_undo

OPTIONS = {"kind": "options", "before": {}, "after": {}}
APPLICATION = {"kind": "application"}
JOB = {"kind": "job", "service_principal": "sp"}
ASSIGNMENTS = {"kind": "assignments", "service_principal": "sp", "principals": ["u"]}
NOTES = {"kind": "notes", "service_principal": "sp", "before": ""}
START = {"kind": "start", "service_principal": "sp", "job": "j"}
MAPPING = {"kind": "scim-mapping", "before": {}, "after": {}}
CONFIGURATION = {"kind": "scim-configuration"}


def events(*writes):
    """Return the events of writes (undo, result, made); a result of None: the process died."""
    found = []
    for undo, result, made in writes:
        number = len(found) + 1
        found.append({"event": "intent", "n": number, "step": f"s{len(found)}", "undo": undo})
        found.append({"event": "outcome", "n": number + 1, "of": number, "result": result, "made": made})
        if result is None:
            found[-1] = {"event": "other", "n": number + 1}
    return tuple({**event, "time": f"2026-11-24T10:00:{event['n']:02}.000+00:00"} for event in found)


def kinds(*writes):
    return [entry.kind for entry in made_by(events(*writes))]


def titles(*writes):
    return [(step.number, step.title.partition(" (")[0]) for step in steps_to_undo(events(*writes))]


def test_what_was_written_or_may_have_been_is_taken_back_latest_first():
    found = made_by(
        events(
            (OPTIONS, "applied", None),
            (CONFIGURATION, "unknown", None),
            (JOB, "applied", {"job": "j"}),
            (APPLICATION, None, None),
        )
    )
    assert found == (
        Made("s6", APPLICATION, {}),
        Made("s4", JOB, {"job": "j"}),
        Made("s2", CONFIGURATION, {}),
        Made("s0", OPTIONS, {}),
    )


def test_what_was_refused_or_needs_no_undo_is_not():
    assert kinds((OPTIONS, "refused", None), (None, "applied", None), (JOB, "applied", None)) == ["job"]


def test_the_job_stops_first_and_the_marker_goes_last():
    order = kinds((NOTES, "applied", None), (OPTIONS, "applied", None), (START, "applied", None), (JOB, "applied", None))
    assert order == ["start", "job", "options", "notes"]


def test_a_marker_renewed_and_a_write_sent_again_are_one():
    again = {**events((CONFIGURATION, "unknown", None))[0], "n": 9}
    renewed = {"event": "intent", "n": 10, "step": "s0", "undo": {**NOTES, "before": "else"}}
    marker = {"event": "intent", "n": 8, "step": "s9", "undo": NOTES}
    found = made_by((*events((CONFIGURATION, "unknown", None)), marker, again, renewed))
    assert found == (Made("s0", CONFIGURATION, {}), Made("s9", NOTES, {}))


def test_steps_are_numbered_in_their_order():
    assert titles((OPTIONS, "applied", None), (JOB, "applied", None), (START, "applied", None)) == [
        ("-1", "Stop provisioning"),
        ("-2", "Delete the provisioning job"),
        ("-3", "Restore the connection"),
    ]


def test_all_of_an_application_goes_with_it_but_the_job_stops_first():
    made = (APPLICATION, "applied", {"service_principal": "sp"})
    rest = [(undo, "applied", None) for undo in (JOB, ASSIGNMENTS, NOTES, START)]
    assert titles(made, *rest) == [("-1", "Stop provisioning"), ("-2", "Delete the enterprise application")]
    lost = (APPLICATION, "unknown", None)
    assert len(titles(lost, *rest)) == 5
    other = (APPLICATION, "applied", {"service_principal": "another"})
    assert len(titles(other, *rest)) == 5


def test_a_mapping_goes_with_its_configuration():
    assert titles((CONFIGURATION, "applied", None), (MAPPING, "applied", None)) == [("-1", "Turn SCIM off")]
    assert titles((MAPPING, "applied", None)) == [("-1", "Restore the SCIM configuration")]


@pytest.mark.parametrize("other", [START, OPTIONS])
def test_assignments_are_a_step_beside_others(other):
    numbers = [number for number, _ in titles((ASSIGNMENTS, "applied", None), (other, "applied", None))]
    assert numbers == ["-1", "-2"]


def test_nothing_made_is_nothing_to_do():
    assert steps_to_undo(()) == ()


def sought(*writes, undone=()):
    """Return which steps' objects undo looks for although they do not show."""
    return [step.takes_back for step in steps_to_undo(events(*writes), undone)]


def test_what_entra_made_may_not_show_yet_and_is_looked_for():
    assert sought((OPTIONS, "applied", None), (APPLICATION, None, None)) == ["s2", ""]
    assert sought((JOB, "applied", {"job": "j"})) == ["s0"]


def test_what_an_earlier_undo_has_deleted_since_is_not_looked_for():
    def deleted(result, second, step="-1"):
        return ({"event": "outcome", "step": step, "result": result, "time": f"2026-11-24T10:00:{second}.000+00:00"},)

    write = (APPLICATION, "applied", {"service_principal": "sp"})
    assert sought(write, undone=deleted("applied", "30")) == [""]
    assert sought(write, undone=deleted("unknown", "30")) == ["s0"]
    assert sought(write, undone=deleted("applied", "30", step="-2")) == ["s0"]
    assert sought(write, undone=deleted("applied", "00")) == ["s0"]
