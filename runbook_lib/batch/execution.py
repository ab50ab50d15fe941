"""One page executed by papermill: few writes, a word at each step, and a stop between cells.

papermill saves the page twice a cell, which for a long page costs more than running it; here at most every 5 s and at the end.
"""

from __future__ import annotations

import copy
import functools
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.execute import prepare_notebook_metadata, raise_for_execution_errors
from papermill.translators import translate_parameters

from runbook_lib.batch.kernels.local import loop_closed, over_ipc
from runbook_lib.batch.kernels.manager import manager_class
from runbook_lib.batch.private_output import write_page
from runbook_lib.batch.slots import START_S, Course, PageRun, StoppedEarly, step_of

ENGINE = "runbook run"  # not the engine `runbook` that papermill finds by its entry point
KERNEL = "python3"
_GIVEN = "injected-parameters"
SAVE_EVERY_S = 5.0
LOOK_EVERY_S = 1.0  # how often to ask whether a silent kernel is alive


def execute(run: PageRun) -> None:
    """Execute a notebook; see `PageRun` for what it raises."""
    # What `papermill.execute_notebook` does, without reading and checking the same page for each tenant and writing each twice.
    filled = _filled(run.page, dict(run.parameters))
    with loop_closed():
        executed = papermill_engines.execute_notebook_with_engine(
            ENGINE,
            prepare_notebook_metadata(filled, str(run.page), run.result, report_mode=False),
            kernel_name=KERNEL,
            output_path=run.result,
            progress_bar=False,
            start_timeout=START_S,
            store_widget_state=False,  # a password typed into a widget would be stored with it
            extra_arguments=["--HistoryManager.enabled=False"],  # IPython would keep the parameters in its history file
            kernel_manager_class=manager_class(),
            config=over_ipc(run.sockets),
            environment=dict(run.environment),
            course=run.course,
            must_stop=run.must_stop,
        )
    raise_for_execution_errors(executed, run.result)


def _filled(page: Path, parameters: dict[str, str]) -> nbformat.NotebookNode:
    """Return the page with these parameters in a cell behind the one that has the defaults, where papermill puts them."""
    filled = copy.deepcopy(_loaded(page))
    cell = {
        "id": _GIVEN,
        "cell_type": "code",
        "metadata": {"tags": [_GIVEN], "papermill": {}},
        "source": translate_parameters(KERNEL, "python", parameters, "Parameters"),
        "execution_count": None,
        "outputs": [],
    }
    behind = next(number for number, cell in enumerate(filled.cells, start=1) if "parameters" in cell.metadata.tags)
    filled.cells.insert(behind, nbformat.from_dict(cell))  # type: ignore[no-untyped-call]
    filled.metadata.papermill["parameters"] = parameters
    return filled


@functools.cache
def _loaded(page: Path) -> nbformat.NotebookNode:
    """Return a page as papermill reads it, but unchecked, for which nbformat compiles a schema of its own: the page is ours."""
    loaded: nbformat.NotebookNode = nbformat.v4.reads(page.read_text(encoding="utf-8"))  # type: ignore[no-untyped-call]
    loaded.metadata["papermill"] = {
        "default_parameters": {},
        "parameters": {},
        "environment_variables": {},
        "version": papermill.__version__,
    }
    for cell in loaded.cells:
        cell.metadata["papermill"] = {}
        cell.metadata.setdefault("tags", [])
    return loaded


class _FewerSaves(NotebookExecutionManager):  # type: ignore[misc]
    """Saves the page at most every `SAVE_EVERY_S` while it runs, and at the end; never one of which no cell has run."""

    _saved_at: float | None = None

    def begin(self) -> None:
        """Count from now: the page may have waited for its turn."""
        self.set_timer()
        self.nb.metadata.papermill["start_time"] = self.start_time.isoformat()
        self._saved_at = time.monotonic()

    def save(self, **_papermills: Any) -> None:
        """Save the page when it is time to."""
        if self._saved_at is None:
            return  # until then the page of an earlier run stays in its place
        if time.monotonic() - self._saved_at >= SAVE_EVERY_S or self.end_time is not None:
            write_page(self.nb, self.output_path)
            self._saved_at = time.monotonic()

    def cell_complete(self, cell: nbformat.NotebookNode, **_papermills: Any) -> None:
        """End a cell as papermill does, which reads the time it has just written by guessing its form, in a tenth of its work."""
        about, end = cell.metadata.papermill, self.now()
        about["end_time"] = end.isoformat()
        about["duration"] = (end - datetime.fromisoformat(about["start_time"])).total_seconds()
        if about["status"] != self.FAILED:
            about["status"] = self.COMPLETED
        self.save()

    def notebook_complete(self, **kwargs: Any) -> None:
        """End the page; papermill would call cells complete that were never run."""
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        self.save()


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """Runs the cells one by one, telling of each step, and stops before the next cell when asked to.

    Each page has a thread, which waits for one message after the other (see `QuickClient`): with nbclient's own three tasks a
    cell and their event loop, pages took half as long again.
    """

    course: Course
    must_stop: Callable[[], bool]

    def papermill_execute_cells(self) -> None:
        """Run the cells. Raises `StoppedEarly`; an error in a cell ends the run, and papermill raises it later."""
        if why_not := self.course.begin():
            raise StoppedEarly(why_not)
        self.nb_man.begin()
        for index, cell in enumerate(self.nb.cells):
            if cell.cell_type == "code" and self.must_stop():
                raise StoppedEarly("the run was asked to stop")
            if step := step_of(cell.source):
                self.course.comes_to(step)
            if not self._carry_out(cell, index):
                break
        self.course.is_over()

    def _carry_out(self, cell: nbformat.NotebookNode, index: int) -> bool:
        self.nb_man.cell_start(cell, index)
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as failed:
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=failed)
            return False
        finally:
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
        return True

    def output(
        self, outs: list[nbformat.NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> nbformat.NotebookNode | None:
        """Keep an output. nbformat would check each against its schema, by a library that is slow at that: a tenth of a page."""
        is_shown = msg["msg_type"] in ("display_data", "execute_result")
        is_plain = not (display_id or self.clear_before_next_output or self.output_hook_stack[msg["parent_header"].get("msg_id")])
        if not (is_shown and is_plain):
            kept: nbformat.NotebookNode | None = super().output(outs, msg, display_id, cell_index)
            return kept
        content = {name: msg["content"][name] for name in ("data", "metadata", "execution_count") if name in msg["content"]}
        outs.append(nbformat.from_dict({"output_type": msg["msg_type"], **content}))  # type: ignore[no-untyped-call]
        return outs[-1]

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Take the messages of a request until it has ended. Raises `DeadKernelError`, nbclient's `CellTimeoutError`."""
        quiet_s = 0.0
        while True:
            try:
                message = self.kc.iopub_channel.get_msg(timeout=LOOK_EVERY_S)
            except Empty:
                await self._async_check_alive()
                # The kernel has answered but not reported the end: messages were lost.
                quiet_s = quiet_s + LOOK_EVERY_S if self.kc.shell_channel.msg_ready() else 0.0
                if quiet_s >= self.iopub_timeout:
                    about = "Timeout waiting for IOPub output"
                    raise CellTimeoutError.error_from_timeout_and_cell(about, self.iopub_timeout, cell) from None
                continue
            quiet_s = 0.0
            if message["parent_header"].get("msg_id") == parent_msg_id:
                try:
                    self.process_message(message, cell, cell_index)
                except CellExecutionComplete:
                    return

    async def _async_poll_for_reply(
        self, msg_id: str, cell: nbformat.NotebookNode, _timeout: int | None, output: Awaitable[None], _alive: Awaitable[None]
    ) -> dict[str, Any] | None:
        """Return the answer to a request, after all its messages. Raises `DeadKernelError`."""
        await output
        reply: dict[str, Any] | None = await self.async_wait_for_reply(msg_id, cell)
        if reply:
            cell.execution_count = reply["content"].get("execution_count")
        return reply

    async def _async_poll_kernel_alive(self) -> None:
        """Skip the poll: the code that waits for a message also watches the kernel."""


class _Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's own engine with the two classes above in place of its own."""

    @classmethod
    def execute_notebook(cls, nb: nbformat.NotebookNode, kernel_name: str, output_path: str | None = None, **kwargs: Any) -> Any:
        manager = _FewerSaves(nb, output_path=output_path, progress_bar=False, autosave_cell_every=SAVE_EVERY_S)
        manager.notebook_start()
        try:
            cls.execute_managed_notebook(manager, kernel_name, **kwargs)
        finally:
            manager.notebook_complete()
        return manager.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        *,
        environment: dict[str, str],
        course: Course,
        must_stop: Callable[[], bool],
        start_timeout: float,
        kernel_manager_class: type,
        config: Any,
        extra_arguments: list[str],
        store_widget_state: bool,
        **_papermills: Any,
    ) -> None:
        client = _Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=start_timeout,
            kernel_manager_class=kernel_manager_class,
            config=config,
            extra_arguments=extra_arguments,
            store_widget_state=store_widget_state,
            timeout=None,
            record_timing=False,
        )
        client.course, client.must_stop = course, must_stop
        client.execute(env=environment)


papermill_engines.register(ENGINE, _Engine)
