"""A run under a small limit of open files: it takes fewer tenants at a time, says so, and ends with its summary."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from runbook_lib.batch.open_files import jobs_within, raised_limit
from tests.patience import PATIENCE_S


@pytest.mark.parametrize(
    ("jobs", "limit", "at_once"), [(16, None, 16), (16, 1024, 16), (16, 256, 8), (100, 1024, 40), (16, 64, 1), (1, 20, 1)]
)
def test_so_many_tenants_at_once_as_files_allow(jobs, limit, at_once):
    assert jobs_within(jobs, limit) == at_once


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_the_limit_is_raised_as_far_as_this_user_may():
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        limit = raised_limit()
        assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert limit is not None
        assert limit > 64
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux")
def test_a_run_with_256_files_ends_with_its_summary(sandbox, tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "run", sandbox.ready["tenants_file"], "--out", str(tmp_path / "out")]
    script = f"ulimit -n 256; exec {' '.join(command)} --only fresh --only complete --jobs 16"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert ended.returncode == 4, ended.stderr
    assert "8 tenants at a time instead of 16: this process may have 256 files open" in ended.stderr
    [run] = (tmp_path / "out").iterdir()
    assert [row["status"] for row in json.loads((run / "summary.json").read_text())] == ["pending", "unchanged"]
