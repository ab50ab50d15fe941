"""Where *Next* leads when the other administrator's part leaves no trace of its own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from runbook_lib.engine.result import StepResult
from runbook_lib.engine.values import Handover
from runbook_lib.page.connecting import Connecting
from runbook_lib.page.state import PageState
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD


def state_of(tested, start):
    """The page of a hand-over: all of Entra handed over, then what 4.2 and 4.3 show."""
    results = {}
    for number in OLDER_AZURE_AD.numbers:
        status = {"4.2": tested, "4.3": start}.get(number, "HANDOVER" if number >= "3.2" else "PASSED")
        handover = Handover("There", ("Do.",), state="seen" if status == "PASSED" else "open")
        results[number] = StepResult(number, "A step", "check", status, handover=handover)
    return PageState(
        OLDER_AZURE_AD,
        "sandbox",
        "fresh",
        Connecting(lambda: None),
        session=SimpleNamespace(engine=SimpleNamespace(results=results)),
    )


@pytest.mark.parametrize(
    ("tested", "start", "following"), [("HANDOVER", "HANDOVER", "3.2"), ("PASSED", "HANDOVER", "4.3"), ("PASSED", "PASSED", "")]
)
def test_a_linked_test_user_shows_that_the_steps_before_are_done(tested, start, following):
    assert state_of(tested, start).next_step == following
