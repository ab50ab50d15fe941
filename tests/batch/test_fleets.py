"""Small samples of whole fleets; 300 tenants: python -m tests.benchmarks --faulty 300, and --paced 40."""

from __future__ import annotations

from tests.benchmarks import fleets


def test_in_bad_weather_all_but_the_bad_tenants_are_done_and_a_resumed_run_touches_only_those():
    seen = fleets.faulty(12, jobs=4)
    assert seen.statuses == {"done": 9, "blocked": 3}
    assert all("Entra has no user nobody@" in about for about in seen.explained.values())
    assert set(seen.faults) == {"429", "reset"}
    assert (len(seen.started), seen.started & seen.explained.keys()) == (9, frozenset())
    assert (seen.resumed, seen.touched) == ({"done": 9, "blocked": 3}, frozenset(seen.explained))
    assert seen.secrets_found == ()


def test_kernels_of_one_run_share_a_low_limit_and_are_never_refused():
    seen = fleets.paced(10, jobs=2)
    assert (seen.refused, seen.requests > 20) == (0, True)
