"""One page executed by papermill's own, unmodified engine; it uses only what papermill and nbclient document.

It takes about twice as long as `batch/execution.py`. It is taken for releases of Jupyter that the other was not tested with, and
for `--kernel stock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import papermill
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager

from runbook_lib.batch.kernels.local import SPEC, loop_closed, over_ipc
from runbook_lib.batch.slots import START_S, PageRun, StoppedEarly, step_of


def execute(run: PageRun) -> None:
    """Execute a notebook; see `PageRun` for what it raises."""
    if why_not := run.course.begin():  # before papermill writes over the page of an earlier run
        raise StoppedEarly(why_not)

    def look(cell: Any, cell_index: int) -> None:
        if run.must_stop():
            raise StoppedEarly("the run was asked to stop")
        if step := step_of(cell.source):
            run.course.comes_to(step)

    with loop_closed():
        papermill.execute_notebook(
            str(run.page),
            run.result,
            dict(run.parameters),
            kernel_name="python3",
            progress_bar=False,
            start_timeout=START_S,
            on_cell_start=look,
            store_widget_state=False,  # a password typed into a widget would be stored with it
            extra_arguments=["--HistoryManager.enabled=False"],  # IPython would keep the parameters in its history file
            kernel_manager_class=_manager_with(run.environment),
            config=over_ipc(run.sockets),
        )
    run.course.is_over()


def _manager_with(environment: Mapping[str, str]) -> type[AsyncKernelManager]:
    """Return jupyter_client's kernel manager, which starts a kernel by this very Python in this environment."""

    class InEnvironment(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            """How to start a kernel. A kernel spec of the same name in the person's own folders may name another Python."""
            return SPEC

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            """Start the kernel."""
            await super().start_kernel(**{**options, "env": dict(environment)})

    return InEnvironment
