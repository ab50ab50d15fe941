"""Answers that are no errors and say nothing: a hotel's sign-in page, a proxy's own JSON, an empty list where there is one.

Whatever comes, it is a clear failure or of no effect; it is never taken for "there is nothing", and running again ends right.
"""

from __future__ import annotations

import io
import random

import pytest
import requests

from runbook_lib.sandbox.in_process import InProcessAdapter
from tests.reliability import laboratory as laboratories
from tests.reliability.laboratory import Laboratory

SUCCESS = ("done", "unchanged")
BODIES = {
    "page": b"<html><title>Welcome to our hotel</title></html>",
    "proxy": b'{"error": "blocked", "message": "see the policy"}',
    "nothing": b"",
    "null": b"null",
    "object": b"{}",
    "list": b"[]",
    "text": b'"ok"',
    "odd entries": b'{"value": [{}], "responses": [{}]}',
}


@pytest.fixture
def odd(monkeypatch):
    """Put a body in place of the answer to the n-th request of the tool: odd["at"], odd["body"]; 0 for none."""
    wanted = {"at": 0, "body": b"", "sent": 0}

    class Odd(InProcessAdapter):
        def send(self, request, *given, **named):
            answer = super().send(request, *given, **named)
            wanted["sent"] += 1
            if wanted["sent"] == wanted["at"]:
                answer.status_code, answer.raw = 200, io.BytesIO(wanted["body"])
            return answer

    monkeypatch.setattr(laboratories, "InProcessAdapter", Odd)
    return wanted


def trial(folder, odd, furnished, number, kind):
    """Run with one odd answer, then as often as needed, twice at most; return what is wrong."""
    folder.mkdir()
    laboratory = Laboratory(folder, furnished=furnished)
    laboratory.world.scim_session = lambda: plain_session(laboratory)  # Entra's own requests are answered as they should be
    odd |= {"at": number, "body": BODIES[kind], "sent": 0}
    outcome = laboratory.run()
    odd["at"] = 0
    wrongs = ["untrue report"] * (outcome.status in SUCCESS and bool(laboratory.wrongs()))
    wrongs += [f"unclear: {outcome.about}"] * (outcome.status == "stopped")
    for _ in range(2):
        if outcome.status in SUCCESS and not laboratory.wrongs():
            break
        laboratory.follow_the_remedy(outcome)  # a token whose text was never read is named; only a person deletes it
        outcome = laboratory.run()
    return outcome, wrongs + laboratory.wrongs() + laboratory.early_starts + [outcome.status] * (outcome.status not in SUCCESS)


def plain_session(laboratory):
    session = requests.Session()
    session.mount("https://", InProcessAdapter(laboratory.simulation, laboratories.SERVICES))
    return session


def test_no_odd_answer_is_taken_for_nothing(odd, tmp_path, figure, trials):
    everything = []
    for furnished in (False, True):
        (tmp_path / str(furnished)).mkdir()
        odd |= {"at": 0, "sent": 0}
        whole = Laboratory(tmp_path / str(furnished), furnished=furnished)
        whole.world.scim_session = lambda whole=whole: plain_session(whole)
        assert whole.run().status == "done"
        everything += [(furnished, n, kind) for n in range(1, odd["sent"] + 1) for kind in BODIES]
    random.Random(4).shuffle(everything)
    chosen = everything[: trials(10, len(everything))]
    wrongs = {}
    for number, one in enumerate(chosen):
        if found := trial(tmp_path / f"{number}", odd, *one)[1]:
            wrongs[one] = found
    figure("odd answers: requests x bodies tried", f"{len(chosen)} of {len(everything)}")
    figure("odd answers: runs not right after running again, or untrue", len(wrongs))
    assert wrongs == {}


def test_an_answer_without_a_list_is_no_empty_list(odd, tmp_path):
    """An empty object for the members of a group would let the forecast count no one, and the start block them all."""
    laboratory = Laboratory(tmp_path)
    for number in range(1, 17):  # the plan's readings
        odd |= {"at": number, "body": b"{}", "sent": 0}
        outcome = laboratory.run("plan")
        assert (number, outcome.writes) == (number, [])
        if outcome.status == "failed":
            assert "an answer of another form than documented" in outcome.about or "holds no" in outcome.about
