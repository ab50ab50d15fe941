"""Many tenants: waves, reasons to stop, resume, and signals."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from click.testing import CliRunner
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from runbook_lib.__main__ import main
from runbook_lib.batch import command, execution, one_tenant, runner
from runbook_lib.batch.command import Wanted
from runbook_lib.batch.kernels import manager as warm_kernels
from runbook_lib.batch.one_tenant import TenantOutcome, Workshop, run_tenant
from runbook_lib.batch.runner import Options, run_tenants
from runbook_lib.batch.slots import Course
from runbook_lib.batch.summary import tenant_rows
from runbook_lib.core.errors import SettingsError
from runbook_lib.core.secret import scrubber
from runbook_lib.engine.journal import read_lines
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.settings.model import RunMode
from tests.patience import PATIENCE_S, until
from tests.reliability.commands import holding


class Silent:
    def __init__(self):
        self.begun, self.ended, self.said = [], [], []

    def begins(self, name):
        self.begun.append(name)

    def step(self, name, number):
        pass

    def part(self, name, done, of):
        pass

    def ends(self, outcome):
        self.ended.append(outcome.name)

    def says(self, text):
        self.said.append(text)


class Steps(Course):
    """Tells each step."""

    def __init__(self, tell):
        self.comes_to = tell


@pytest.fixture
def pretend(monkeypatch):
    """Put tenants in place of real ones: pretend({"b": "failed"}); all others are done."""

    def arrange(statuses, results=()):
        def run(tenant, mode, folder, workshop, course):
            course.begin()
            status = statuses.get(tenant.name, "done")
            if isinstance(status, Exception):
                raise status
            folder.mkdir(parents=True)
            (folder / "journal.jsonl").write_text("".join(json.dumps({"event": "result", **one}) + "\n" for one in results))
            return TenantOutcome(tenant.name, status, "", folder)

        monkeypatch.setattr(runner, "run_tenant", run)

    return arrange


def named(tenant, *names):
    return [tenant("fresh").model_copy(update={"name": name}) for name in names]


def test_every_tenant_is_in_the_outcome_once_whatever_becomes_of_the_others(pretend, tenant, tmp_path):
    pretend({"b": "failed", "c": ZeroDivisionError("a defect")})
    watcher = Silent()
    outcomes, code = run_tenants(named(tenant, *"abcd"), Options(OLDER_AZURE_AD, jobs=2), tmp_path, watcher)
    assert [(o.name, o.status) for o in outcomes] == [("a", "done"), ("b", "failed"), ("c", "failed"), ("d", "done")]
    assert "ZeroDivisionError" in outcomes[2].about
    assert (sorted(watcher.ended), code) == (list("abcd"), 1)


def test_no_further_tenant_is_begun_after_so_many_failures(pretend, tenant, tmp_path):
    pretend(dict.fromkeys("abcd", "failed"))
    outcomes, code = run_tenants(named(tenant, *"abcd"), Options(OLDER_AZURE_AD, jobs=1, max_failures=2), tmp_path, Silent())
    assert [o.status for o in outcomes] == ["failed", "failed", "not-started", "not-started"]
    assert ("--max-failures is 2" in outcomes[3].about, code) == (True, 1)


@pytest.mark.parametrize(("step", "expected"), [("4.3", ["blocked", "not-started"]), ("2.2", ["blocked", "done"])])
def test_a_gate_failure_in_the_first_wave_stops_the_rest(step, expected, pretend, tenant, tmp_path):
    pretend({"a": "blocked"}, [{"step": step, "status": "BLOCKED"}])
    outcomes, _ = run_tenants(named(tenant, *"ab"), Options(OLDER_AZURE_AD, canary=1), tmp_path, Silent())
    assert [o.status for o in outcomes] == expected


def test_the_second_wave_begins_when_the_first_has_ended(monkeypatch, tenant, tmp_path):
    running, seen = threading.Semaphore(0), []

    def run(tenant, mode, folder, workshop, course):
        seen.append(tenant.name)
        if tenant.name == "a":
            running.acquire(timeout=0.05)  # it is never released: a tenant begun meanwhile would be seen before
            seen.append("a ended")
        return TenantOutcome(tenant.name, "done", "", folder)

    monkeypatch.setattr(runner, "run_tenant", run)
    run_tenants(named(tenant, *"ab"), Options(OLDER_AZURE_AD, jobs=4, canary=1), tmp_path, Silent())
    assert seen == ["a", "a ended", "b"]


def test_the_next_tenant_is_made_ready_meanwhile_and_begins_when_one_is_over(monkeypatch, tenant, tmp_path):
    seen, b_is_ready = [], threading.Event()

    def run(tenant, mode, folder, workshop, course):
        if tenant.name == "b":
            seen.append("b is ready")
            b_is_ready.set()
        assert course.begin() == ""
        seen.append(f"{tenant.name} begins")
        course.comes_to("0.1")
        if tenant.name == "a":
            assert not b_is_ready.wait(0.1)
            course.comes_to("2.1")
            assert b_is_ready.wait(PATIENCE_S)
            time.sleep(0.05)  # b would begin now, if it did not wait
            seen.append("a is over")
        course.is_over()
        return TenantOutcome(tenant.name, "done", "", folder)

    monkeypatch.setattr(runner, "run_tenant", run)
    run_tenants(named(tenant, *"ab"), Options(OLDER_AZURE_AD, jobs=1), tmp_path, Silent())
    assert seen == ["a begins", "b is ready", "a is over", "b begins"]


def test_a_tenant_that_is_ready_is_not_begun_any_more_when_the_run_stops(monkeypatch, tenant, tmp_path):
    b_is_ready, watcher = threading.Event(), Silent()

    def run(tenant, mode, folder, workshop, course):
        if tenant.name == "b":
            b_is_ready.set()
        if why_not := course.begin():
            return TenantOutcome(tenant.name, "not-started", f"not started: {why_not}", folder)
        course.comes_to("2.1")
        assert b_is_ready.wait(PATIENCE_S)
        course.is_over()
        time.sleep(0.05)  # b would begin now, if it did not wait until this failure is counted
        return TenantOutcome(tenant.name, "failed", "", folder)

    monkeypatch.setattr(runner, "run_tenant", run)
    outcomes, _ = run_tenants(named(tenant, *"abc"), Options(OLDER_AZURE_AD, jobs=1, max_failures=1), tmp_path, watcher)
    assert [o.status for o in outcomes] == ["failed", "not-started", "not-started"]
    assert "--max-failures is 1" in outcomes[1].about
    assert (watcher.begun, sorted(watcher.ended)) == (["a"], list("abc"))


def test_a_tenant_that_may_not_begin_sends_nothing_and_what_an_earlier_run_left_stays(sandbox, tenant, tmp_path):
    course = Course()
    course.begin = lambda: "enough is enough"
    (tmp_path / "fresh").mkdir()
    for name in ("inbound_scim.ipynb", "settings.json"):
        (tmp_path / "fresh" / name).write_text("of an earlier run")
    with Workshop.opened(OLDER_AZURE_AD) as workshop:
        workshop.grants.variables_for(tenant("fresh"))
        before = len(sandbox.simulation.history)
        outcome = run_tenant(tenant("fresh"), RunMode.APPLY, tmp_path / "fresh", workshop, course)
    assert (outcome.status, outcome.about) == ("not-started", "not started: enough is enough")
    assert {path.name: path.read_text() for path in outcome.folder.iterdir()} == {
        "inbound_scim.ipynb": "of an earlier run",
        "settings.json": "of an earlier run",
    }
    assert len(sandbox.simulation.history) == before


def test_a_kernel_that_dies_before_its_first_cell_is_started_again(monkeypatch, tenant, tmp_path):
    launch, started = warm_kernels.WarmProvisioner.launch_kernel, []

    async def dies_at_first(self, cmd, **kwargs):
        info = await launch(self, cmd, **kwargs)
        started.append(self.pid)
        if len(started) < 3:
            os.kill(self.pid, signal.SIGKILL)
        return info

    monkeypatch.setattr(warm_kernels.WarmProvisioner, "launch_kernel", dies_at_first)
    with Workshop.opened(OLDER_AZURE_AD, "warm") as workshop:
        outcome = run_tenant(tenant("complete"), RunMode.PLAN, tmp_path / "complete", workshop)
    assert (outcome.status, len(started)) == ("unchanged", 3)


@pytest.mark.parametrize("kernel", ["warm", "stock"])
def test_a_kernel_that_dies_in_the_middle_is_noticed_and_not_started_again(kernel, monkeypatch, tenant, tmp_path):
    provisioner = warm_kernels.WarmProvisioner if kernel == "warm" else LocalProvisioner
    launch, started = provisioner.launch_kernel, []

    async def noted(self, cmd, **kwargs):
        info = await launch(self, cmd, **kwargs)
        started.append(self.pid)
        return info

    monkeypatch.setattr(provisioner, "launch_kernel", noted)
    with Workshop.opened(OLDER_AZURE_AD, kernel) as workshop:
        kill = Steps(lambda step: step == "1.2" and os.kill(started[0], signal.SIGKILL))
        outcome = run_tenant(tenant("complete"), RunMode.PLAN, tmp_path / "complete", workshop, kill)
    assert (outcome.status, len(started)) == ("interrupted", 1)
    assert "the kernel died" in outcome.about
    assert json.loads((outcome.folder / "inbound_scim.ipynb").read_text())["nbformat"] == 4


def test_the_runner_starts_without_compiling_a_grammar_that_no_page_needs():
    code = (
        "import sys; from runbook_lib.core.without_grammar import without_grammar\n"
        "with without_grammar(): import nbformat, papermill\n"
        "print('lark' in sys.modules, 'rfc3987_syntax' in sys.modules); import rfc3987_syntax"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.stdout.strip(), done.returncode) == ("False False", 0), done.stderr


@pytest.mark.parametrize("kernel", ["warm", "auto", "stock"])
def test_a_page_is_the_same_whichever_way_its_kernel_starts(kernel, tenant, tmp_path, monkeypatch):
    """`auto` as where no kernel can be forked: a process of its own for each, spoken to the fast way."""
    if kernel == "auto":
        monkeypatch.setattr(warm_kernels, "can_be_warm", lambda: False)
    steps = []
    with Workshop.opened(OLDER_AZURE_AD, kernel) as workshop:
        outcome = run_tenant(tenant("fresh"), RunMode.PLAN, tmp_path / kernel, workshop, Steps(steps.append))
        assert [path.name for path in workshop.scratch.iterdir()] == ["pace"]
    nbformat.validate(nbformat.read(outcome.folder / "inbound_scim.ipynb", as_version=4))
    page = json.loads((outcome.folder / "inbound_scim.ipynb").read_text())
    results = json.loads((tmp_path / kernel / "results.json").read_text())
    assert (outcome.status, steps) == (
        "pending",
        [row["step"] for row in results],
    )
    shown = [cell for cell in page["cells"] if "session.do" in "".join(cell["source"]) and cell["outputs"]]
    assert len(shown) == len(OLDER_AZURE_AD)
    report = (outcome.folder / "report.html").read_text()
    assert "Signed in to Auth0 as" in report  # with the runner's token
    assert "Signed in to Entra as" in report
    assert {cell["metadata"]["papermill"]["status"] for cell in page["cells"]} == {"completed"}


@pytest.mark.parametrize(("every_s", "least"), [(10_000.0, 1), (10.0, 3)])
def test_a_page_is_written_now_and_then_and_at_the_end(monkeypatch, tenant, tmp_path, every_s, least):
    seconds, writes, write = itertools.count(), [], execution.write_page
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))  # a second passes between any two looks at it
    monkeypatch.setattr(execution, "time", clock)
    monkeypatch.setattr(execution, "write_page", lambda page, path: (writes.append(clock.monotonic()), write(page, path)))
    monkeypatch.setattr(execution, "SAVE_EVERY_S", every_s)
    with Workshop.opened(OLDER_AZURE_AD) as workshop:
        outcome = run_tenant(tenant("complete"), RunMode.PLAN, tmp_path / "complete", workshop)
    assert len(writes) >= least
    *while_it_ran, _at_the_end = itertools.pairwise([0.0, *writes])
    assert all(later - earlier >= every_s for earlier, later in while_it_ran)
    page = json.loads((outcome.folder / "inbound_scim.ipynb").read_text())
    assert page["metadata"]["papermill"]["end_time"]


def test_resume_does_only_what_is_not_done(sandbox, tmp_path, monkeypatch):
    everyone = Path(sandbox.ready["tenants_file"])
    wanted = Wanted(everyone, RunMode.APPLY, ("fresh", "token-limit"), out=tmp_path)
    folder, outcomes, code = command.carry_out(wanted, Options(OLDER_AZURE_AD))
    assert ([o.status for o in outcomes], code) == (["done", "blocked"], 3)
    done = (folder / "fresh" / "journal.jsonl").read_bytes()
    begun = []
    original = runner.run_tenant
    monkeypatch.setattr(runner, "run_tenant", lambda tenant, *rest: (begun.append(tenant.name), original(tenant, *rest))[1])
    folder_again, outcomes, code = command.carry_out(Wanted(None, resume=folder), Options(OLDER_AZURE_AD))
    assert (folder_again, begun, [o.status for o in outcomes], code) == (folder, ["token-limit"], ["done", "blocked"], 3)
    assert (folder / "fresh" / "journal.jsonl").read_bytes() == done
    assert [row["name"] for row in json.loads((folder / "summary.json").read_text())] == ["fresh", "token-limit"]


def test_a_row_whose_connection_was_corrected_is_not_finished_when_resumed(sandbox, tmp_path):
    rows = list(csv.DictReader(io.StringIO(Path(sandbox.ready["tenants_file"]).read_text())))
    row = next(row for row in rows if row["name"] == "fresh")

    def file(connection):
        path = Path(sandbox.ready["tenants_file"]).with_name("corrected.csv")
        with path.open("w", newline="") as target:
            writer = csv.DictWriter(target, row)
            writer.writeheader()
            writer.writerow({**row, "auth0_connection": connection})
        return path

    wanted = Wanted(file(row["auth0_connection"]), RunMode.APPLY, out=tmp_path)
    folder, [first], code = command.carry_out(wanted, Options(OLDER_AZURE_AD))
    assert (first.status, code) == ("done", 0)
    before = len(sandbox.simulation.history)
    _, [again], code = command.carry_out(Wanted(file("another"), resume=folder), Options(OLDER_AZURE_AD))
    assert (again.status, code) == ("failed", 1)
    assert [entry["path"] for entry in sandbox.simulation.history[before:]] == ["/oauth/token"]
    assert "Choose another folder" in (folder / "summary.html").read_text()


def test_a_folder_without_a_run_cannot_be_resumed(tmp_path):
    with pytest.raises(SettingsError, match="not the folder of a run"):
        command.carry_out(Wanted(None, resume=tmp_path), Options(OLDER_AZURE_AD))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_step_in_hand_end_and_resume_does_the_rest(number, code, tmp_path):
    with Sandbox(seed=7, tenants=3) as sandbox:
        names = [f"tenant-000{n}" for n in (1, 2, 3)]
        only = [word for name in names for word in ("--only", name)]
        arguments = ["run", sandbox.ready["tenants_file"], "--mode", "apply", "--jobs", "1", "--out", str(tmp_path), *only]
        told = tmp_path / "told.txt"
        with (
            told.open("w") as log,
            holding(sandbox, "PUT", "/synchronization/secrets") as held,
            subprocess.Popen([sys.executable, "-m", "runbook_lib", *arguments], stderr=log) as run,
        ):
            assert held.reached.wait(PATIENCE_S), told.read_text()
            run.send_signal(number)
            until(lambda: "Stopping: the steps in hand are finished first" in told.read_text(), "the message")
            held.release.set()
        assert run.returncode == code, told.read_text()
        [journal] = tmp_path.glob("*/tenant-0001/journal.jsonl")
        folder = journal.parent.parent
        rows = json.loads((folder / "summary.json").read_text())
        assert [(row["name"], row["status"]) for row in rows][1:] == [(name, "not-started") for name in names[1:]]
        assert (rows[0]["status"], read_lines(journal)[-1]["event"]) == ("interrupted", "result")
        _, outcomes, code = command.carry_out(Wanted(None, resume=folder), Options(OLDER_AZURE_AD))
        assert ([o.status for o in outcomes], code) == (["done"] * 3, 0)


def test_where_no_folder_can_be_made_nothing_is_sent(sandbox, tmp_path):
    (tmp_path / "file").touch()
    before = len(sandbox.simulation.history)
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, ("fresh",), out=tmp_path / "file")
    with pytest.raises(SettingsError, match=r"cannot be made \(Not a directory\)\. Choose another --out"):
        command.carry_out(wanted, Options(OLDER_AZURE_AD))
    assert len(sandbox.simulation.history) == before


def test_a_full_disk_is_told_as_what_it_is_and_the_others_go_on(sandbox, tmp_path, monkeypatch):
    def full(tenant, *_):
        if tenant.name == "fresh":
            raise OSError(errno.ENOSPC, "No space left on device")
        return TenantOutcome(tenant.name, "done", "", tmp_path)

    monkeypatch.setattr(runner, "run_tenant", full)
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, ("fresh", "complete"), out=tmp_path)
    _, outcomes, code = command.carry_out(wanted, Options(OLDER_AZURE_AD))
    assert ([one.status for one in outcomes], code) == (["failed", "done"], 1)
    assert "No space left on device" in outcomes[0].about
    assert "Make room" in outcomes[0].about
    assert "defect" not in outcomes[0].about


def test_a_journal_that_cannot_be_read_hides_nothing_of_the_others(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        begun = {"v": 2, "event": "run", "time": "2026-01-01T00:00:00+00:00", "tenant": name, "mode": "plan", "tool": "1"}
        (tmp_path / name / "journal.jsonl").write_text(json.dumps(begun) + "\n")
    (tmp_path / "one" / "journal.jsonl").write_text("garbage\n{}\n")
    (tmp_path / "run.json").write_text(json.dumps({"tenants_file": "x", "mode": "plan", "tenants": ["one", "two"]}))
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 1, result.output
    rows = json.loads((tmp_path / "summary.json").read_text())
    assert [(row["name"], row["status"]) for row in rows] == [("one", "failed"), ("two", "interrupted")]
    assert "line 1 is not readable" in rows[0]["about"]
    assert "Restore the file from a copy" in rows[0]["about"]


def test_a_clock_that_was_set_back_makes_no_time_negative(tmp_path):
    (tmp_path / "one").mkdir()
    events = [
        {"v": 2, "event": "run", "time": "2026-01-01T02:00:00+00:00"},
        {"v": 2, "event": "end", "time": "2026-01-01T01:00:00+00:00"},
    ]
    (tmp_path / "one" / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    [row] = tenant_rows([TenantOutcome("one", "done", "", tmp_path / "one")], OLDER_AZURE_AD)
    assert row.seconds == 0.0


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_report_for_which_there_is_no_room_says_so(code, tmp_path, monkeypatch):
    def refuse(path, text):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr("runbook_lib.batch.summary.write_private", refuse)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "journal.jsonl").write_text("")
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert (result.exit_code, os.strerror(code) in result.stderr, "Make room" in result.stderr) == (1, True, True)


def test_the_runner_looks_for_a_tenant_s_secrets_while_it_is_at_work_and_no_longer(monkeypatch, tenant, tmp_path):
    one = tenant("fresh")
    planted = tmp_path / "planted"
    planted.write_text("planted-secret-of-this-test")
    one = one.model_copy(update={"entra_client_secret": f"file:{planted}"})
    seen = []
    monkeypatch.setattr(one_tenant, "_run_here", lambda *_: seen.append(scrubber.scrub("planted-secret-of-this-test")))
    with Workshop.opened(OLDER_AZURE_AD) as workshop:
        run_tenant(one, RunMode.PLAN, tmp_path / "fresh", workshop)
    assert (seen, scrubber.scrub("planted-secret-of-this-test")) == (["***"], "planted-secret-of-this-test")
