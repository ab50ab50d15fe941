"""Leases: one holder at a time, sure of it for less long than others wait, and free again when it dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import fsspec
import pytest

from runbook_lib.batch.machines.lease import FolderStore, Keeper, Lease, Terms, realm_of, surely_held
from runbook_lib.batch.machines.sharing import UrlStore
from runbook_lib.core.errors import LeaseLost, TenantBusy
from runbook_lib.engine.journal import Journal
from tests.patience import PATIENCE_S, until

QUICK = Terms(lasts_s=0.4, sure_s=0.2, renewed_every_s=0.05)
LONG = Terms(lasts_s=2 * PATIENCE_S, sure_s=PATIENCE_S, renewed_every_s=0.05)  # runs out in no test


def soon(_seconds):
    """Look again soon, however long the lease lasts."""
    time.sleep(0.01)


class Time:
    """A clock that sleeping moves."""

    def __init__(self):
        self.now = 0.0
        self.then = lambda: None

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.then()


@pytest.fixture(params=["folder", "url"])
def store(request, tmp_path):
    if request.param == "folder":
        return FolderStore(tmp_path / "leases")
    return UrlStore(fsspec.filesystem("memory"), f"/{tmp_path.name}")


def lease(store, holder, at=None, **changes):
    at = at or Time()
    return Lease(store, "contoso", holder, clock=at.clock, sleep=at.sleep, **changes)


def test_a_lease_that_was_given_back_is_taken_at_once(store):
    at = Time()
    for holder in ("first", "second", "third"):
        one = lease(store, holder, at)
        one.take()
        one.free()
    assert (at.now, store.names("contoso")) == (0.0, ["3"])


def test_one_that_is_renewed_is_not_taken_and_says_who_has_it(store):
    at = Time()
    first = lease(store, "run a on host b", at)
    first.take()
    at.then = first.renew
    with pytest.raises(TenantBusy, match="run a on host b"):
        lease(store, "second", at).take()
    assert first.renew()


def test_one_that_is_not_renewed_is_taken_after_its_time_and_its_holder_is_sure_of_it_for_less(store):
    at = Time()
    first, second = lease(store, "first", at), lease(store, "second", at)
    first.take()
    second.take()
    assert first.sure_until < at.now
    assert not first.renew()
    first.free()
    assert second.renew()
    assert first.sure_until == float("-inf")


def test_a_holder_that_was_only_frozen_cannot_come_back(store):
    at = Time()
    first, second = lease(store, "first", at), lease(store, "second", at)
    first.take()
    second.take()
    store.replace("contoso/1", '{"state": "held", "token": "late"}')  # what was under way when it froze
    assert not first.renew()
    assert second.renew()


def test_what_a_death_in_the_midst_of_taking_leaves_is_waited_out(store):
    store.create("contoso/7", "")
    one = lease(store, "next")
    one.take()
    assert store.names("contoso") == ["8"]


def test_of_many_takers_one_wins(store):
    won, lost = [], []

    def take(n):
        one = Lease(store, "contoso", str(n), LONG, sleep=soon)
        try:
            one.take()
            won.append(n)
            until(lambda: one.renew() and len(won) + len(lost) == 8, "the refusal of the others")
        except TenantBusy:
            lost.append(n)

    takers = [threading.Thread(target=take, args=(n,)) for n in range(8)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()
    assert (len(won), len(won) + len(lost)) == (1, 8)


def test_a_place_keeps_its_name(store):
    assert realm_of(store) == realm_of(store)


def test_the_keeper_renews_until_told_otherwise_and_tells_until_when(tmp_path):
    store = FolderStore(tmp_path / "leases")
    one, told, keeper = Lease(store, "contoso", "first", LONG), tmp_path / "until", Keeper(0.02)
    one.take()
    keeper.keep(one, told)
    for _ in range(3):
        before = float(told.read_text())
        until(lambda before=before: float(told.read_text()) > before, "a renewal")
        surely_held(told)
    with pytest.raises(TenantBusy):
        Lease(store, "contoso", "second", LONG, sleep=soon).take()
    keeper.drop(one)
    keeper.close()
    with pytest.raises(LeaseLost):
        surely_held(told)


def test_a_lease_that_somebody_took_over_is_told_as_lost(tmp_path):
    store = FolderStore(tmp_path / "leases")
    one, told, keeper = Lease(store, "contoso", "first", LONG), tmp_path / "until", Keeper(0.02)
    one.take()
    keeper.keep(one, told)
    store.create("contoso/2", "{}")
    until(lambda: is_lost(told), "the loss")
    keeper.close()


def is_lost(told):
    try:
        surely_held(told)
    except LeaseLost:
        return True
    return False


@pytest.mark.parametrize("text", ["", "nan", "soon", "10.0"])
def test_what_does_not_surely_say_held_is_lost(text, tmp_path):
    (tmp_path / "until").write_text(text)
    with pytest.raises(LeaseLost):
        surely_held(tmp_path / "until", clock=lambda: 10.0)


def test_a_journal_takes_nothing_once_the_lease_is_lost(tmp_path):
    def lost():
        raise LeaseLost

    journal = Journal(tmp_path / "journal.jsonl", guard=lost)
    with pytest.raises(LeaseLost):
        journal.write("intent", step="3.2")
    assert not journal.path.exists()


def test_the_lease_of_a_killed_process_runs_out(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from runbook_lib.batch.machines.lease import *\n"
        "one, keeper = Lease(FolderStore(Path(sys.argv[1])), 'contoso', 'first', Terms(0.4, 0.2, 0.05)), Keeper(0.05)\n"
        "one.take(); keeper.keep(one, Path(sys.argv[1]) / 'until'); print('held', flush=True); time.sleep(600)"
    )
    store = FolderStore(tmp_path)
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(TenantBusy):
            Lease(store, "contoso", "second", LONG, sleep=soon).take()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        Lease(store, "contoso", "second", QUICK).take()


def test_leases_count_by_a_clock_that_goes_on_while_the_machine_sleeps():
    import time

    from runbook_lib.batch.machines.lease import seconds_awake_or_asleep

    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system has no such clock by that name")
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= seconds_awake_or_asleep() <= time.clock_gettime(time.CLOCK_BOOTTIME)
