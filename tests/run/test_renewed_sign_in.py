"""A token that a service refuses is renewed once, and the request is sent again: at a sign-in's discovery and a rehearsal too."""

from __future__ import annotations

from runbook_lib.sandbox.simulation import Fault
from tests.reliability.laboratory import Laboratory

DISCOVERY = ("login", "GET", "*/openid-configuration")
REHEARSALS = ("graph", "POST", "*/validateCredentials")  # of the token that is to be saved, as saved, and before the start


def answers(lab, service, path):
    return [e["status"] for e in lab.simulation.history if e["service"] == service and e["path"].endswith(path)]


def test_one_401_at_discovery_and_at_each_rehearsal_costs_one_request_more_each(tmp_path):
    lab = Laboratory(tmp_path)
    lab.simulation.faults += [Fault(*DISCOVERY, 1, "401"), *(Fault(*REHEARSALS, nth, "401") for nth in (1, 3, 5))]
    assert (lab.run().status, lab.wrongs()) == ("done", [])
    assert answers(lab, "login", "/openid-configuration")[:2] == [401, 200]
    assert answers(lab, "graph", "/validateCredentials") == [401, 204] * 3
    assert len(answers(lab, "login", "/token")) == 1 + 3


def test_a_rehearsal_that_stays_refused_is_sent_again_once(tmp_path):
    lab = Laboratory(tmp_path)
    lab.simulation.faults += [Fault(*REHEARSALS, nth, "401") for nth in range(1, 9)]
    outcome = lab.run()
    assert (outcome.status, "3.6" in outcome.about, answers(lab, "graph", "/validateCredentials")) == ("failed", True, [401, 401])
