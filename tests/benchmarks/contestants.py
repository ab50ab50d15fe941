"""What `run` is compared with: the same plan of the same tenants. Run as a process of its own, so that start-up counts.

python -m tests.benchmarks.contestants NAME TENANTS_FILE COUNT JOBS OUT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

POOL = 4  # processes of papermill: the fastest of 2, 4, 8 and 16 on 2 cores


def floor(tenants: Sequence[Any], jobs: int, out: Path) -> None:
    """Bare threads in one process: the same calls through the same clients, one small file a tenant; no notebook, no journal."""
    from runbook_lib.engine.engine import Engine
    from runbook_lib.engine.journal import Journal
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.run.sign_ins import SANDBOX_PACE, open_view

    class NoJournal(Journal):
        def write(self, event: str, **facts: Any) -> int:
            return 0

    def one(tenant: Any) -> None:
        nowhere, view = NoJournal(out / "none"), open_view(tenant)
        view.read_ahead = lambda *_facts: None  # type: ignore[method-assign]  # one question after the other, as a script asks
        engine = Engine(view, is_applying=False, journal=nowhere, pace=SANDBOX_PACE, steps=OLDER_AZURE_AD.steps)
        rows = [{"step": step.number, "status": engine.do(step.number).status} for step in OLDER_AZURE_AD.steps]
        (out / tenant.name).mkdir()
        (out / tenant.name / "results.json").write_text(json.dumps(rows))

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(one, tenants))


def loop(tenants: Sequence[Any], _jobs: int, out: Path) -> None:
    """A Python loop of papermill, as its documentation shows it."""
    for tenant in tenants:
        papermill_one(tenant.model_dump(mode="json"), out)


def pool(tenants: Sequence[Any], _jobs: int, out: Path) -> None:
    """A process pool of papermill."""
    with ProcessPoolExecutor(POOL) as processes:
        for done in [processes.submit(papermill_one, tenant.model_dump(mode="json"), out) for tenant in tenants]:
            done.result()


def papermill_one(values: dict[str, Any], out: Path) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    from runbook_lib.batch.one_tenant import STARTS
    from runbook_lib.core.places import notebook
    from runbook_lib.settings.model import COLUMNS

    folder = out / values["name"]
    folder.mkdir()
    parameters = {**{name: values[name] for name in COLUMNS}, "mode": "plan", "out": str(folder)}
    for start in range(1, STARTS + 1):
        try:
            papermill.execute_notebook(
                str(notebook("inbound_scim")), str(folder / notebook("inbound_scim").name), parameters, progress_bar=False
            )
        except (DeadKernelError, RuntimeError):  # a port it was to bind is taken: one kernel in some hundred, measured
            if start == STARTS:
                raise
        else:
            return


CONTESTANTS: dict[str, Callable[[Sequence[Any], int, Path], None]] = {"floor": floor, "loop": loop, "pool": pool}


def main() -> None:
    from runbook_lib.settings.tenants_file import read_tenants

    name, file, count, jobs, out = sys.argv[1:]
    tenants = [tenant for tenant in read_tenants(Path(file)) if tenant.name.startswith("tenant-")][: int(count)]
    CONTESTANTS[name](tenants, int(jobs), Path(out))


if __name__ == "__main__":
    main()
