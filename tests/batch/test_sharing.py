"""Tasks of one run on several machines: parts of the list, one at a time at each tenant, outputs at a URL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import fsspec
import pytest

from runbook_lib.batch import command
from runbook_lib.batch.command import Wanted, carry_out, merged
from runbook_lib.batch.machines.lease import Terms
from runbook_lib.batch.machines.sharing import Mirror, Shard, Sharing
from runbook_lib.batch.one_tenant import Workshop, run_tenant
from runbook_lib.batch.progress import unseen
from runbook_lib.batch.runner import Options
from runbook_lib.core.errors import SettingsError
from runbook_lib.engine.journal import read_lines
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.settings.model import RunMode
from tests.patience import PATIENCE_S, until
from tests.reliability.commands import holding

LONG = Terms(lasts_s=2 * PATIENCE_S, sure_s=PATIENCE_S, renewed_every_s=0.1)  # renewed often, and sure for long


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_tenant_is_in_exactly_one_shard_whatever_else_is_in_the_file(count):
    names = [f"tenant-{n}" for n in range(200)]
    parts = [[name for name in names if Shard(k, count).has(name)] for k in range(count)]
    assert sorted(name for part in parts for name in part) == sorted(names)
    assert all(len(part) > 200 / count / 2 for part in parts)
    assert [Shard(k, count).has("TENANT-7") for k in range(count)] == [Shard(k, count).has("tenant-7") for k in range(count)]


@pytest.mark.parametrize("text", ["", "3", "3/3", "-1/3", "a/b", "1/0", "1 /2", "²/3"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(SettingsError, match="is no part of a whole"):
        Shard.from_text(text)


def applications_made(sandbox):
    made = [entry["path"] for entry in sandbox.simulation.history if entry["path"].endswith("/instantiate")]
    tokens = [entry["path"] for entry in sandbox.simulation.history if entry["method"] == "POST" and "/tokens" in entry["path"]]
    return len(made), max(Counter(tokens).values(), default=0)


def test_shards_of_one_run_meet_in_its_folder_and_the_last_one_sums_all_up(sandbox, tmp_path):
    everyone, names = Path(sandbox.ready["tenants_file"]), ("fresh", "half-done", "complete", "token-limit")
    seen = []
    for k in range(2):
        wanted = Wanted(everyone, RunMode.PLAN, names, out=tmp_path, run_id="monday", shard=Shard(k, 2))
        folder, outcomes, _ = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
        seen += [outcome.name for outcome in outcomes]
    assert (sorted(seen), folder) == (sorted(names), tmp_path / "monday")
    rows = json.loads((folder / "summary.json").read_text())
    assert {row["name"]: row["status"] for row in rows} == {
        "fresh": "pending",
        "half-done": "pending",
        "complete": "unchanged",
        "token-limit": "blocked",
    }


def test_shards_in_folders_of_their_own_are_summed_up_by_report(sandbox, tmp_path):
    everyone, names = Path(sandbox.ready["tenants_file"]), ("fresh", "complete", "token-limit", "half-done")
    folders = [
        carry_out(Wanted(everyone, None, names, out=tmp_path, shard=Shard(k, 2)), Options(OLDER_AZURE_AD), unseen)[0]
        for k in range(2)
    ]
    arguments = [sys.executable, "-m", "runbook_lib", "report", *map(str, folders), "--out", str(tmp_path / "all")]
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.returncode == 3, result.stderr
    rows = json.loads((tmp_path / "all" / "summary.json").read_text())
    assert sorted(row["name"] for row in rows) == sorted(names)
    page = (tmp_path / "all" / "summary.html").read_text()
    assert all((tmp_path / "all" / row["folder"] / "report.html").exists() for row in rows)
    assert all(f'href="{row["folder"]}/report.html"' in page for row in rows)


def test_of_a_tenant_that_several_runs_had_the_last_one_counts(sandbox, tmp_path):
    everyone = Path(sandbox.ready["tenants_file"])
    planned = carry_out(Wanted(everyone, RunMode.PLAN, ("fresh",), out=tmp_path), Options(OLDER_AZURE_AD), unseen)[0]
    applied = carry_out(Wanted(everyone, RunMode.APPLY, ("fresh",), out=tmp_path), Options(OLDER_AZURE_AD), unseen)[0]
    assert [(one.name, one.status) for one in merged([applied, planned], OLDER_AZURE_AD)] == [("fresh", "done")]


def test_the_same_task_again_does_nothing_that_is_done(sandbox, tmp_path):
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, ("fresh", "token-limit"), out=tmp_path, run_id="monday")
    _, first, _ = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    journal = (tmp_path / "monday" / "fresh" / "journal.jsonl").read_bytes()
    _, second, code = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    assert [one.status for one in first] == [one.status for one in second] == ["done", "blocked"]
    assert ((tmp_path / "monday" / "fresh" / "journal.jsonl").read_bytes(), code) == (journal, 3)


def test_a_run_of_other_tenants_is_not_joined(sandbox, tmp_path):
    everyone = Path(sandbox.ready["tenants_file"])
    carry_out(Wanted(everyone, None, ("fresh",), out=tmp_path, run_id="monday"), Options(OLDER_AZURE_AD), unseen)
    with pytest.raises(SettingsError, match="has other tenants"):
        carry_out(Wanted(everyone, None, ("complete",), out=tmp_path, run_id="monday"), Options(OLDER_AZURE_AD), unseen)
    with pytest.raises(SettingsError, match="no plain name"):
        carry_out(Wanted(everyone, None, ("fresh",), out=tmp_path, run_id="../x"), Options(OLDER_AZURE_AD), unseen)


def test_a_task_that_two_machines_have_at_the_same_time_acts_once(tmp_path):
    """Two machines: a temporary folder each, and with it locks of their own."""
    with Sandbox(seed=7, tenants=3) as sandbox:
        only = [word for n in (1, 2, 3) for word in ("--only", f"tenant-000{n}")]
        shared = ["--mode", "apply", "--run-id", "monday", "--out", str(tmp_path / "shared"), "--json", *only]
        tasks = []
        for machine in ("a", "b"):
            (tmp_path / machine).mkdir()
            command_line = [sys.executable, "-m", "runbook_lib", "run", sandbox.ready["tenants_file"], *shared]
            environment = {**os.environ, "TMPDIR": str(tmp_path / machine)}
            tasks.append(
                subprocess.Popen(command_line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
            )
        answers = [task.communicate(timeout=PATIENCE_S) for task in tasks]
        assert applications_made(sandbox) == (3, 1)
        results = [json.loads(out)["tenants"] for out, _ in answers]
        statuses = [sorted({result[n]["status"] for result in results}) for n in range(3)]
        assert all(found in (["done"], ["busy", "done"]) for found in statuses), answers
        rows = json.loads((tmp_path / "shared" / "monday" / "summary.json").read_text())
        assert [(row["name"], row["status"]) for row in rows] == [(f"tenant-000{n}", "done") for n in (1, 2, 3)]
        for n in (1, 2, 3):
            numbers = [event["n"] for event in read_lines(tmp_path / "shared" / "monday" / f"tenant-000{n}" / "journal.jsonl")]
            assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_whose_lease_is_lost_in_its_midst_sends_and_records_nothing_more(sandbox, tenant, tmp_path):
    settings, folder = tenant("fresh"), tmp_path / "monday" / "fresh"
    with Sharing.opened(tmp_path, None, LONG) as sharing, Workshop.opened(OLDER_AZURE_AD, sharing=sharing) as workshop:
        result = []
        work = threading.Thread(target=lambda: result.append(run_tenant(settings, RunMode.APPLY, folder, workshop)))
        with holding(sandbox, "PUT", "/synchronization/secrets") as held:
            work.start()
            assert held.reached.wait(PATIENCE_S)
            [lease] = [path for path in (tmp_path / "leases").iterdir() if path.name != "realm"]
            sharing.store.create(f"{lease.name}/2", json.dumps({"state": "held", "token": "a thief"}))
            [told] = sharing.scratch.glob("*.until")
            until(lambda: told.read_text() == "-inf", "the loss")
        work.join(PATIENCE_S)
    journal = folder / "journal.jsonl"
    assert [(one.status, "lease" in one.about) for one in result] == [("busy", True)]
    assert read_lines(journal)[-1]["event"] != "end"
    saved = sandbox.world.entra_by_name("fresh.onmicrosoft.com").provisioning.values()
    assert [job for one in saved for job in one.jobs.values() if job["schedule"]["state"] == "Active"] == []


# Outputs at a URL -----------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Be another machine: one with an empty folder of outputs."""

    def become(name):
        monkeypatch.setattr(command, "outputs_folder", lambda name=name: tmp_path / name)
        return tmp_path / name

    return become


def at_url(url):
    files, root = fsspec.core.url_to_fs(url)
    files.invalidate_cache()
    return {path[len(root) + 1 :]: files.cat_file(path) for path in files.find(root)}


def test_what_reaches_a_url_is_what_lies_here_and_holds_no_secret(sandbox, machine, tmp_path):
    here, url = machine("a"), f"file://{tmp_path}/bucket"
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, ("fresh",), out=url, run_id="monday")
    folder, outcomes, _ = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    assert [one.status for one in outcomes] == ["done"]
    there = {name: octets for name, octets in at_url(url).items() if not name.startswith("leases/")}
    files = {path.relative_to(here).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert there == files
    assert {"monday/fresh/journal.jsonl", "monday/fresh/inbound_scim.ipynb", "monday/summary.html"} <= set(there)
    everything = b"\n".join(at_url(url).values()).decode()
    assert [text for text in sandbox.world.secrets() if text and text in everything] == []


def test_another_machine_goes_on_where_the_url_says_and_knows_its_tokens(sandbox, machine):
    url = "memory://bucket-of-two"
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, ("fresh", "token-limit"), out=url, run_id="monday")
    machine("a")
    carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    machine("b")
    sandbox.simulation.history.clear()
    _, outcomes, code = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    assert ([one.status for one in outcomes], code) == (["done", "blocked"], 3)
    assert not [entry for entry in sandbox.simulation.history if "fresh" in json.dumps(entry)]
    rows = json.loads(at_url(url)["monday/summary.json"])
    assert [(row["name"], row["status"]) for row in rows] == [("fresh", "done"), ("token-limit", "blocked")]
    assert b'href="fresh/report.html"' in at_url(url)["monday/summary.html"]


def test_a_journal_is_never_replaced_by_a_shorter_one(tmp_path):
    mirror = Mirror(f"file://{tmp_path}/bucket", tmp_path / "here")
    for place, text in (("bucket", "one\n"), ("here", "one\ntwo\n")):
        (tmp_path / place / "monday" / "fresh").mkdir(parents=True)
        (tmp_path / place / "monday" / "fresh" / "journal.jsonl").write_text(text)
    mirror.fetch_journals("fresh")
    assert (tmp_path / "here" / "monday" / "fresh" / "journal.jsonl").read_text() == "one\ntwo\n"


@pytest.mark.parametrize("url", ["nonsense://bucket/x", "s3://bucket/x"])
def test_a_url_that_cannot_be_used_stops_the_run_before_anything_is_sent(url, sandbox, machine):
    machine("a")
    before = len(sandbox.simulation.history)
    with pytest.raises(SettingsError, match="cannot be used"):
        carry_out(Wanted(Path(sandbox.ready["tenants_file"]), out=url), Options(OLDER_AZURE_AD), unseen)
    assert len(sandbox.simulation.history) == before


def test_a_url_that_breaks_at_the_end_is_told_and_all_is_kept_here(sandbox, machine, monkeypatch):
    here = machine("a")
    monkeypatch.setattr(Mirror, "put", lambda self, folder: (_ for _ in ()).throw(PermissionError("no")))
    wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.PLAN, ("fresh",), out="memory://broken", run_id="monday")
    _, [outcome], code = carry_out(wanted, Options(OLDER_AZURE_AD), unseen)
    assert (outcome.status, code) == ("failed", 1)
    assert "pending, but the shared place cannot be used" in outcome.about
    assert (here / "monday" / "fresh" / "report.html").exists()
