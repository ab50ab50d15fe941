"""Tenants on a real dask cluster of this machine: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import yaml

from runbook_lib.batch.command import Wanted, carry_out
from runbook_lib.batch.machines import cluster
from runbook_lib.batch.machines.lease import Terms
from runbook_lib.batch.progress import unseen
from runbook_lib.batch.runner import Options
from runbook_lib.core.errors import SettingsError
from runbook_lib.engine.journal import read_lines
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.settings.model import RunMode
from tests.patience import PATIENCE_S, until

QUICK = Terms(lasts_s=10.0, sure_s=8.0, renewed_every_s=0.5)  # sure for long: the machine may be busy
TENANTS, THREADS = 8, 3


@pytest.fixture
def dask(tmp_path):
    """Start a scheduler and two workers: the address, and the workers' processes by their dask name."""
    module, started = [sys.executable, "-m"], []

    def start(*arguments, name):
        with (tmp_path / f"{name}.log").open("w") as log:
            environment = {**os.environ, "SCIM_TEST_ENTRA_SECRET": ""}
            started.append(subprocess.Popen([*module, *map(str, arguments)], stdout=log, stderr=log, env=environment))
        return started[-1]

    described = tmp_path / "scheduler.json"
    here = ("--host", "127.0.0.1", "--no-dashboard")
    start("distributed.cli.dask_scheduler", *here, "--port", "0", "--scheduler-file", described, name="scheduler")
    address = json.loads(until(lambda: described.exists() and described.read_text()))["address"]
    workers = {
        name: start(
            "distributed.cli.dask_worker", address, *here, "--no-nanny", "--nthreads", THREADS, "--name", name,
            "--local-directory", tmp_path, name=name,
        )
        for name in ("a", "b")
    }  # fmt: skip
    for name in workers:
        until(lambda name=name: "Registered to" in (tmp_path / f"{name}.log").read_text())
    yield address.replace("tcp://", "dask://"), workers
    for process in reversed(started):
        process.kill()
        process.wait()


def test_a_worker_is_killed_in_mid_run_and_every_tenant_is_done_exactly_once(dask, tmp_path):
    address, workers = dask
    with Sandbox(seed=7, tenants=TENANTS) as sandbox:
        sandbox.simulation.pressure.delay_s = 0.2  # so that many are at work at the same time, however fast the machine
        names = tuple(f"tenant-000{n}" for n in range(1, TENANTS + 1))
        wanted = Wanted(Path(sandbox.ready["tenants_file"]), RunMode.APPLY, names, out=tmp_path / "shared", run_id="monday")
        options, results = Options(OLDER_AZURE_AD, executor=address, terms=QUICK), []
        run = threading.Thread(target=lambda: results.append(carry_out(wanted, options, unseen)))
        run.start()
        folder = tmp_path / "shared" / "monday"
        # More of them at work than one worker has threads: some are on the other one.
        until(lambda: sum(is_writing(path) for path in folder.glob("*/journal.jsonl")) > THREADS)
        workers["a"].kill()
        sandbox.simulation.pressure.delay_s = 0.0
        run.join(2 * PATIENCE_S)
        [(_, outcomes, code)] = results
        assert ([(one.name, one.status) for one in outcomes], code) == ([(name, "done") for name in names], 0)
        rows = json.loads((folder / "summary.json").read_text())
        assert [(row["name"], row["status"]) for row in rows] == [(name, "done") for name in names]

        # The judge is the sandbox: its state, and every request in order.
        for name in names:
            entra = sandbox.world.entra_by_name(f"{name}.onmicrosoft.com")
            made = [one for one in entra.service_principals.values() if one["displayName"] == f"Acme SCIM ({name})"]
            assert len(made) == 1
            assert [job["status"]["code"] for job in entra.provisioning[made[0]["id"]].jobs.values()] == ["Active"]
            assigned = Counter(entry["principalId"] for entry in entra.assignments if entry["resourceId"] == made[0]["id"])
            assert set(assigned.values()) == {1}
        tokens = [len(entry.tokens) for key, entry in sandbox.world.auth0.provisioning.items() if is_of(sandbox, key, names)]
        assert tokens == [1] * TENANTS
        sent = [entry["path"] for entry in sandbox.simulation.history if entry["path"].endswith("/instantiate")]
        assert len(sent) == TENANTS
        starts = Counter(entry["path"] for entry in sandbox.simulation.history if entry["path"].endswith("/start"))
        assert set(starts.values()) == {1}
        secrets = [text for text in sandbox.world.secrets() if text]
        texts = [path.read_text() for path in (tmp_path).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert [text for text in secrets if any(text in one for one in texts)] == []
    begun = [[event["event"] for event in read_lines(path)].count("run") for path in folder.glob("*/journal.jsonl")]
    assert max(begun) == 2, "nobody was at work on the worker that was killed"


def is_writing(journal):
    return b'"event": "intent"' in journal.read_bytes() and b'"event": "end"' not in journal.read_bytes()


def is_of(sandbox, connection_id, names):
    return sandbox.world.auth0.connections[connection_id]["name"].removesuffix("-azure-ad") in names


def test_a_worker_resolves_references_itself_and_says_what_it_lacks(dask, sandbox, tmp_path, monkeypatch):
    rows = [line.split(",") for line in Path(sandbox.ready["tenants_file"]).read_text().splitlines()[:2]]
    column = rows[0].index("entra_client_secret")
    monkeypatch.setenv("SCIM_TEST_ENTRA_SECRET", "here-but-not-on-the-workers")
    rows[1][column] = "env:SCIM_TEST_ENTRA_SECRET"
    (tmp_path / "one.csv").write_text("\n".join(map(",".join, rows)))
    before = len(sandbox.simulation.history)
    options = Options(OLDER_AZURE_AD, executor=dask[0], terms=QUICK)
    _, [outcome], code = carry_out(Wanted(tmp_path / "one.csv", out=tmp_path / "shared"), options, unseen)
    assert (outcome.status, code, len(sandbox.simulation.history)) == ("failed", 1, before)
    assert "on a worker: Reading the settings (column entra_client_secret): env:SCIM_TEST_ENTRA_SECRET is empty" in outcome.about


def test_workers_carry_out_tenants_of_which_one_side_is_somebody_elses(dask, sandbox, tmp_path):
    with Path(sandbox.ready["tenants_file"]).open(newline="") as handle:
        [fresh, half_done] = [row for row in csv.DictReader(handle) if row["name"] in ("fresh", "half-done")]
    connection = next(one for one in sandbox.world.auth0.connections.values() if one["name"] == "half-done-azure-ad")
    (tmp_path / "token").write_text("tok-" + "x" * 40)
    mirror = {
        "auth0_client_id": "",
        "auth0_client_secret": "",
        "scim_endpoint": f"https://{sandbox.world.auth0.domain}/scim/v2/connections/{connection['id']}",
        "scim_token": f"file:{tmp_path / 'token'}",
        "oidc_client_id": connection["options"]["client_id"],
    }
    rows = [{**fresh, "entra_client_id": "", "entra_client_secret": ""}, {**half_done, **mirror}]
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(rows))
    wanted = Wanted(tmp_path / "two.yaml", RunMode.APPLY, out=f"file://{tmp_path / 'shared'}", run_id="monday")
    _, outcomes, _ = carry_out(wanted, Options(OLDER_AZURE_AD, executor=dask[0], terms=QUICK), unseen)
    folder = tmp_path / "shared" / "monday"
    assert (outcomes[0].status, (folder / "fresh" / "handover.html").exists()) == ("handover", True)
    # The token belongs to no connection; so Entra's test of it stops the mirror: on the worker, with what the YAML alone carries.
    assert outcomes[1].about.startswith("3.6: "), outcomes[1]
    page = (folder / "summary.html").read_text()
    linked = set(re.findall(r'<a href="([^"#]+)">', page))
    assert (len(linked), [file for file in linked if not (folder / file).exists()]) == (10, [])


@pytest.mark.parametrize(
    ("address", "words"),
    [("dask://127.0.0.1:1", "no dask scheduler answers"), ("ray://x:1", "is not known"), ("127.0.0.1:8786", "is not known")],
)
def test_an_executor_that_is_not_there_stops_the_run_before_anything_is_sent(address, words, sandbox, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    before = len(sandbox.simulation.history)
    with pytest.raises(SettingsError, match=words):
        carry_out(
            Wanted(Path(sandbox.ready["tenants_file"]), None, ("fresh",), out=tmp_path),
            Options(OLDER_AZURE_AD, executor=address),
            unseen,
        )
    assert len(sandbox.simulation.history) == before


def test_workers_need_a_place_that_all_of_them_see(sandbox):
    with pytest.raises(SettingsError, match="--executor needs --out"):
        carry_out(Wanted(Path(sandbox.ready["tenants_file"])), Options(OLDER_AZURE_AD, executor="dask://127.0.0.1:1"), unseen)
