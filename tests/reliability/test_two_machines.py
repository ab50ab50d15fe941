"""Two operators on two machines: one works through a whole run between any two requests of the other's.

Neither service offers a condition on a write, so that the claim in the application's notes narrows the window and cannot close
it. What must hold: two reports of success never come with a wrong state, and what went wrong is named by running again.
"""

from __future__ import annotations

from collections import Counter

from tests.reliability.laboratory import Laboratory, Outcome

SUCCESS = ("done", "unchanged")
CLAIM_LASTS_S = 15 * 60
SECOND_TOKEN = ["2 own tokens"]


def interleaved(folder, furnished, number):
    """Let a run here be interrupted before its `number`-th request by a whole run there; return how both ended."""
    folder.mkdir()
    laboratory = Laboratory(folder, furnished=furnished)
    there: list[Outcome] = []
    laboratory.before_request(number, lambda: there.append(laboratory.run(machine="there")))
    return laboratory, [laboratory.run(), *there]


def run_again(laboratory):
    """Run once more on both machines, when no claim stands any more."""
    laboratory.elapsed_s += CLAIM_LASTS_S
    laboratory.world.clock.advance(CLAIM_LASTS_S)
    return [laboratory.run(), laboratory.run(machine="there")]


def verdict(laboratory, again):
    """How it ended: good, or a wrong state that the re-runs name, or bad."""
    wrongs = laboratory.wrongs()
    if not wrongs:
        return "good" if all(one.status in SUCCESS for one in again) else "bad"
    if any("2 applications" in wrong for wrong in wrongs):
        is_named = all(one.status == "blocked" and "2 enterprise applications named" in one.about for one in again)
        return "blocked: two applications" if is_named else "bad"
    return "named: a token too many" if wrongs == SECOND_TOKEN and _both_tokens_named(laboratory) else "bad"


def _both_tokens_named(laboratory):
    own = [token["token_id"] for token in laboratory.tokens() if token["token_id"] not in laboratory.foreign_tokens]
    results = (laboratory.out(laboratory.runs, "there") / "results.json").read_text()
    return all(token_id in results for token_id in own)


def test_two_machines_at_once_never_both_report_success_over_a_wrong_state(tmp_path, figure, trials):
    chosen = []
    for furnished in (False, True):
        (tmp_path / str(furnished)).mkdir()
        alone = Laboratory(tmp_path / str(furnished), furnished=furnished)
        alone.run()
        chosen += [(furnished, number) for number in range(1, alone.sent + 1)]
    everything = len(chosen)
    verdicts: Counter[str] = Counter()
    untrue, early, bad = [], [], []
    for furnished, number in chosen[:: everything // trials(6, everything)]:
        laboratory, ended = interleaved(tmp_path / f"{furnished}-{number}", furnished, number)
        both = all(one.status in SUCCESS for one in ended)
        untrue += [(furnished, number)] * (both and bool(laboratory.wrongs()))
        verdicts[how := verdict(laboratory, run_again(laboratory))] += 1
        bad += [(furnished, number, laboratory.wrongs())] * (how == "bad")
        # A token that the other machine has made meanwhile is no condition of the gate.
        early += [(furnished, number)] * any(wrong not in SECOND_TOKEN for wrong in laboratory.early_starts)
    figure("two machines: interleavings", f"{sum(verdicts.values())} of {everything}")
    for how in ("good", "blocked: two applications", "named: a token too many", "bad"):
        figure(f"two machines: {how}", verdicts[how])
    assert (untrue, early, bad) == ([], [], [])


def test_a_run_there_while_one_is_at_work_here_writes_nothing(tmp_path):
    laboratory, [here, there] = interleaved(tmp_path / "x", True, 40)
    assert (here.status, there.status, there.writes, "run-001@here" in there.about) == ("done", "blocked", [], True)
    assert laboratory.wrongs() == []
