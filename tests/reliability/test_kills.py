"""Processes really killed, at random moments and inside a write: running again must end in exactly the right state."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from collections import Counter

import pytest

from runbook_lib.core.errors import TenantBusy
from runbook_lib.engine.journal import read_lines
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.machine import Machine
from runbook_lib.run.report import tenant_status
from runbook_lib.settings.model import RunMode
from tests.builders import tenant_session
from tests.patience import PATIENCE_S, until
from tests.reliability.commands import Command, Standing, holding, of_nobody_s_business

TENANTS = ("fresh", "half-done")
SUCCESS = ("done", "unchanged")


@pytest.fixture
def command(sandbox):
    """Start the command: command(folder, "fresh"). None outlives the test."""
    with contextlib.ExitStack() as started:
        yield lambda out, *only: started.enter_context(Command(sandbox, out, *only))


def summary_of(command):
    """The rows of the latest run's summary."""
    latest = max((command.out / "runs").iterdir())
    return json.loads((latest / "summary.json").read_text())


def kill_at(command, moment, target):
    """Kill the command, or its kernel as soon as there is one, so many seconds after its start; say whether it was in time."""
    while command.is_running:
        if time.monotonic() - command.started >= moment:
            if target == "command":
                command.kill()
                return True
            if command.kill_kernels():
                return True
        time.sleep(0.005)
    return False


def trial(sandbox, command, out, names, moment, target):
    """Kill one run and run again; return whether the kill was in time, when the run ended, and what is wrong afterwards."""
    sandbox.reset(7)
    judges, foreign = [Standing(sandbox, name, out) for name in names], of_nobody_s_business(sandbox, names)
    with contextlib.ExitStack() as watching:
        for judge in judges:
            watching.enter_context(judge.starts_watched())
        first = command(out, *names)
        is_killed = kill_at(first, moment, target)
        first.end()
        lasted_s = time.monotonic() - first.started
        journals = list((out / "runs").rglob("journal.jsonl"))
        claimed_done = [path.parent.name for path in journals if tenant_status(path, OLDER_AZURE_AD)[0] in SUCCESS]
        wrongs = [f"untrue report of {judge.name}" for judge in judges if judge.name in claimed_done and judge.wrongs()]
        again = command(out, *names)
        wrongs += [f"exit code {again.end()}: {again.said()}"] * (again.end() != 0)
    rows = [(row["name"], row["status"] in SUCCESS) for row in summary_of(again)]
    wrongs += [f"summary {rows}"] * (rows != [(name, True) for name in names])
    wrongs += [f"{judge.name}: {wrong}" for judge in judges for wrong in (*judge.wrongs(), *judge.early_starts)]
    wrongs += ["something foreign was touched"] * (of_nobody_s_business(sandbox, names) != foreign)
    for journal in (out / "runs").rglob("journal.jsonl"):
        assert read_lines(journal)  # raises where one cannot be read
    return is_killed, lasted_s, wrongs


def test_kills_at_random_moments_are_repaired_by_running_again(sandbox, command, tmp_path, figure, trials):
    names = TENANTS[: trials(1, len(TENANTS))]
    whole = command(tmp_path / "whole", *names)
    assert whole.end() == 0, whole.said()
    takes_s = time.monotonic() - whole.started
    count = trials(3, 100)
    dice = random.Random(3)
    killed: Counter[str] = Counter()
    wrongs = {}
    for number in itertools.count():
        done = killed.total()
        if done == count:
            break
        assert number < 2 * count + 60, "runs end before they are killed"
        moment = takes_s * (done + dice.random()) / count
        target = "kernel" if done % 3 == 2 else "command"
        in_time, lasted_s, wrong = trial(sandbox, command, tmp_path / str(number), names, moment, target)
        killed[target] += in_time
        takes_s = takes_s if in_time else 0.9 * min(takes_s, lasted_s)  # the machine had other work when it was measured
        if wrong:
            wrongs[number, target, round(moment, 2)] = wrong
    figure("kills: of the command, of its kernel only", f"{killed['command']}, {killed['kernel']}")
    figure("kills: a whole run takes", f"{takes_s:.1f} s")
    figure("kills: runs not right after running again", len(wrongs))
    assert wrongs == {}


def test_the_warm_process_and_its_helper_killed_as_they_start_do_not_end_the_batch(sandbox, command, tmp_path):
    """The process that kernels are forked from, and the tracker of resources of multiprocessing."""
    with holding(sandbox, "POST", "/oauth/token"):  # the command signs in before it begins a tenant
        first = command(tmp_path, *TENANTS)
        until(lambda: len(first.kernels()) >= 2, "the two processes")
        first.kill_kernels()
    assert first.end() == 0, first.said()
    rows = [(row["name"], row["status"]) for row in summary_of(first)]
    assert rows == [("fresh", "done"), ("half-done", "done")], first.said()


def test_a_kernel_killed_inside_a_write_is_reported_as_interrupted_there(sandbox, command, tmp_path):
    judge = Standing(sandbox, "fresh", tmp_path)
    with holding(sandbox, "PUT", "/synchronization/secrets") as held:
        first = command(tmp_path, "fresh")
        assert held.reached.wait(PATIENCE_S), first.said()
        assert first.kill_kernels()
    assert first.end() == 1
    [row] = summary_of(first)
    assert (row["status"], row["about"].partition(" (")[0]) == ("interrupted", "interrupted at 3.6, run again")
    report = (max((tmp_path / "runs").iterdir()) / "fresh" / "report.html").read_text()
    assert "interrupted at 3.6, run again" in report
    assert not any(word in report.lower() for word in ("completed", ">done<"))
    again = command(tmp_path, "fresh")
    assert (again.end(), summary_of(again)[0]["status"], judge.wrongs()) == (0, "done", [])


def test_a_tenant_at_work_is_refused_at_once_and_free_when_its_process_is_killed(sandbox, command, tenant, tmp_path):
    with holding(sandbox, "PUT", "/synchronization/secrets") as held:
        first = command(tmp_path / "x", "fresh")
        assert held.reached.wait(PATIENCE_S), first.said()
        [folder] = (tmp_path / "x" / "runs").iterdir()
        second = command(tmp_path / "x", "fresh")
        assert second.end() == 5
        assert f"another run holds it ({folder / 'fresh'})" in " ".join(second.said().split())
        [locks] = (tmp_path / "x" / "tmp").glob("inbound-scim-runbook-*")
        with pytest.raises(TenantBusy):
            tenant_session(tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "direct" / "fresh", machine=Machine(locks=locks))
        assert first.is_running  # so the refusal did not wait for its end
        first.kill()
        tenant_session(
            tenant("fresh"), mode=RunMode.APPLY, out=tmp_path / "direct" / "fresh", machine=Machine(locks=locks)
        ).lock.free()
