"""Thousands of random histories: nothing of others is lost, no job is left on that does harm, and what is said is so.

One measure alone: `python -m pytest tests/reliability/test_histories.py --full`.
"""

from __future__ import annotations

import shutil
from collections import Counter

from tests.reliability.histories import History


def test_no_history_of_runs_and_undos_loses_what_is_others_or_leaves_a_job_on_that_does_harm(tmp_path, figure, trials):
    count = trials(12, 5000)
    broken: dict[int, list[str]] = {}
    events: Counter[str] = Counter()
    for seed in range(count):
        history = History(tmp_path / str(seed), seed).play()
        events.update(told.partition(" ")[0].partition(":")[0] for told in history.told)
        if history.broken:
            broken[seed] = [*history.told, *history.broken]
        shutil.rmtree(tmp_path / str(seed))
    figure("histories: of 8 to 12 events, with colleagues between any two requests", count)
    figure("histories: runs, undos in them", f"{events['run']}, {events['undo']}")
    figure("histories: that broke an invariant", len(broken))
    assert broken == {}


def test_a_job_is_stopped_again_when_others_turn_create_on_in_the_second_of_its_start(tmp_path):
    history = History(tmp_path / "x", 0)
    lab = history.lab
    handler = lab.simulation._routed

    def watched(call):
        if call.method == "POST" and call.path.endswith("/start"):
            history.people.turn_create_on()
        return handler(call)

    lab.simulation._routed = watched
    outcome = lab.run()
    assert (outcome.status, "stopped again" in outcome.about, lab.bad_jobs()) == ("failed", True, [])
