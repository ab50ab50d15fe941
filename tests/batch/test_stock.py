"""Papermill's own, unmodified engine: for `--kernel stock`, and for releases of Jupyter that the fast way was not tested with."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner
from papermill.engines import NBClientEngine

from runbook_lib.__main__ import main
from runbook_lib.batch import execution, one_tenant
from runbook_lib.batch.kernels import forkserver, tested
from runbook_lib.batch.one_tenant import Workshop, run_tenant
from runbook_lib.batch.slots import Course, StoppedEarly
from runbook_lib.core.errors import SettingsError
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from runbook_lib.settings.process import GRANT_VARIABLE, SHARED_VARIABLE

ROOT = Path(__file__).resolve().parent.parent.parent
READ_BY_OTHERS = 0o077


@pytest.fixture
def engine(monkeypatch):
    """The options that papermill's engine was called with, one entry a page."""
    calls, whole = [], NBClientEngine.execute_managed_notebook.__func__

    def noted(cls, nb_man, kernel_name, **options):
        calls.append((cls, type(nb_man).__module__, options))
        return whole(cls, nb_man, kernel_name, **options)

    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", classmethod(noted))
    return calls


@pytest.mark.parametrize("name", ["fresh", "token-limit", "half-done"])
def test_each_outcome_is_that_of_the_fast_way_and_the_engine_is_papermills_own(name, engine, sandbox, tenant, tmp_path):
    found = {}
    for kernel in ("stock", "auto"):
        sandbox.reset(7)
        with Workshop.opened(OLDER_AZURE_AD, kernel) as workshop:
            outcome = run_tenant(
                tenant(name), RunMode.APPLY, out := tmp_path / kernel / "run" / name, workshop
            )  # unseen by the other
        rows = json.loads((out / "results.json").read_text())
        found[kernel] = (outcome.status, [(row["step"], row["status"]) for row in rows])
    assert found["stock"] == found["auto"]
    stock, fast = engine[0], engine[1:]
    assert (stock[0], stock[1], fast) == (NBClientEngine, "papermill.engines", [])


def test_no_secret_is_on_disk_and_every_file_is_its_owners(sandbox, tenant, tmp_path):
    with Workshop.opened(OLDER_AZURE_AD, "stock") as workshop:
        run_tenant(tenant("fresh"), RunMode.APPLY, tmp_path / "fresh", workshop)
    files = [path for path in (tmp_path / "fresh").rglob("*") if path.is_file()]
    everything = "\n".join(path.read_text() for path in files)
    assert [secret for secret in sandbox.world.secrets() if secret and secret in everything] == []
    assert {path.name for path in files if stat.S_IMODE(path.stat().st_mode) & READ_BY_OTHERS} == set()
    assert {"inbound_scim.ipynb", "journal.jsonl", "report.html"} <= {path.name for path in files}


def test_a_stop_between_two_steps_is_heard(tenant, tmp_path):
    steps = []

    class Told(Course):
        def comes_to(self, step):
            steps.append(step)

    with Workshop.opened(OLDER_AZURE_AD, "stock", must_stop=lambda: "1.2" in steps) as workshop:
        outcome = run_tenant(tenant("fresh"), RunMode.PLAN, tmp_path / "fresh", workshop, Told())
    assert (outcome.status, steps) == ("interrupted", ["0.1", "0.2", "1.1", "1.2"])


def test_a_tenant_that_may_not_begin_leaves_the_page_of_an_earlier_run(tenant, tmp_path):
    class Refuses(Course):
        def begin(self):
            return "too many have failed"

    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "inbound_scim.ipynb").write_text("the earlier page")
    with Workshop.opened(OLDER_AZURE_AD, "stock") as workshop:
        outcome = run_tenant(tenant("fresh"), RunMode.PLAN, tmp_path / "fresh", workshop, Refuses())
    assert (outcome.status, outcome.about) == ("not-started", "not started: too many have failed")
    assert (tmp_path / "fresh" / "inbound_scim.ipynb").read_text() == "the earlier page"


def test_the_tested_releases_are_those_that_are_pinned():
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    assert {name: pins[name] for name in tested.TESTED} == tested.TESTED
    assert tested.untested() == ()


@pytest.fixture
def newer(monkeypatch):
    """A machine with an untested release of ipykernel."""
    monkeypatch.setitem(tested.TESTED, "ipykernel", "7.3.0")
    tested.untested.cache_clear()
    yield f"ipykernel {tested.version('ipykernel')} (tested: 7.3.0)"
    monkeypatch.undo()
    tested.untested.cache_clear()


def test_another_release_of_jupyter_gets_papermills_own_engine(newer):
    from runbook_lib.batch import stock_execution

    assert one_tenant.import_what_executes("auto") is stock_execution.execute
    assert tested.untested() == (newer,)


def test_the_tested_releases_get_the_fast_way_and_stock_never_does():
    from runbook_lib.batch import stock_execution

    found = [one_tenant.import_what_executes(kind) for kind in ("auto", "warm", "stock")]
    assert found == [execution.execute, execution.execute, stock_execution.execute]


def test_warm_kernels_are_refused_with_another_release_and_auto_says_what_it_takes(newer, sandbox, tmp_path):
    with pytest.raises(SettingsError, match=re.escape(newer)):
        forkserver.is_fast("warm")
    arguments = ["run", sandbox.ready["tenants_file"], "--only", "complete", "--out", str(tmp_path)]
    refused = CliRunner().invoke(main, [*arguments, "--kernel", "warm"])
    assert (refused.exit_code, newer in refused.stderr, list(tmp_path.iterdir())) == (2, True, [])
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0
    assert f"This run uses papermill's own engine, which is slower: the fast engine was not tested with {newer}." in told.stderr


def test_a_stop_is_one_class_for_both_ways():
    assert execution.StoppedEarly is StoppedEarly


def test_a_kernel_of_a_started_process_gets_no_token_in_its_environment(tenant):
    settings = tenant("fresh")
    secret = Path(settings.auth0_client_secret.removeprefix("file:")).read_text().strip()
    with Workshop.opened(OLDER_AZURE_AD, "stock", tenants=(settings,)) as workshop:
        given = workshop.environment_for(settings, RunMode.APPLY)
    assert GRANT_VARIABLE not in given
    assert SHARED_VARIABLE not in given
    assert [name for name, value in given.items() if secret in value] == []
