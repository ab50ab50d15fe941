"""ipykernel's own application, without the parts that only an interactive page uses."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any

import zmq
from ipykernel.iostream import IOPubThread
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.async_helpers import _should_be_async
from IPython.core.inputtransformer2 import TransformerManager
from traitlets import Type
from traitlets.config import Config
from traitlets.config.loader import DeferredConfigString

_SETTING = re.compile(r"--([A-Za-z]+)\.([A-Za-z_]+)=(.*)")
_plain: set[str] = set()  # cells that are Python as they stand: no magic, no help, nothing to wait for


def prepare(cells: Iterable[str]) -> None:
    """Look through cells once, in the process that kernels are forked from: IPython takes each apart four times to run it."""
    for cell in cells:
        python = TransformerManager().transform_cell(cell)  # type: ignore[no-untyped-call]
        if python == f"{cell}\n" and not _should_be_async(python):
            _plain.add(cell)


class _Shell(ZMQInteractiveShell):
    """Runs cells that are known to be plain Python without looking for anything else in them."""

    def transform_cell(self, raw_cell: str) -> str:
        """Return a cell as Python."""
        if raw_cell in _plain:
            return f"{raw_cell}\n"
        python: str = super().transform_cell(raw_cell)  # type: ignore[no-untyped-call]
        return python

    def should_run_async(self, raw_cell: str, **found: Any) -> bool:
        """Whether a cell waits for something at its outermost level."""
        return raw_cell not in _plain and super().should_run_async(raw_cell, **found)


class _Kernel(IPythonKernel):
    shell_class = Type(_Shell)
    # ipykernel would sleep before each reply, so that its streams can drain. This kernel waits for their end instead.
    _execute_sleep = 0.0

    def _publish_status(self, status: str, *where: Any, **parent: Any) -> None:
        """Tell that a request has ended, not that it begins: who listens here has sent it."""
        if status != "busy":
            super()._publish_status(status, *where, **parent)  # type: ignore[no-untyped-call]

    def _publish_execute_input(self, *code: Any) -> None:
        """Do not echo the cell's source."""


class _IOPub(IOPubThread):
    """Sends a message in the thread that has it: handing it on to another, some 150 times a page, costs more than sending it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._sending = threading.Lock()  # with it a socket may be used by several threads (ZeroMQ guide, chapter 2)

    def send_multipart(self, *args: Any, **kwargs: Any) -> None:
        """Send a message."""
        with self._sending:
            self._really_send(*args, **kwargs)  # type: ignore[no-untyped-call]


class KernelApp(IPKernelApp):
    """Takes requests in its main thread. Subshells, for several people at once, would need a thread that hands each one on."""

    kernel_class = Type(_Kernel)

    def parse_command_line(self, argv: Any = None) -> None:
        """Take over the arguments with which kernels are started here, for which no parser of hundreds of options is needed."""
        match argv:
            case ["-f", file, *settings] if all(found := [_SETTING.fullmatch(text) for text in settings]):
                self.argv, self.connection_file = list(argv), file
                for setting in filter(None, found):
                    self.update_config(Config({setting[1]: {setting[2]: DeferredConfigString(setting[3])}}))
            case _:
                super().parse_command_line(argv)

    def init_control(self, context: Any) -> None:
        """Open the control channel."""
        super().init_control(context)  # type: ignore[no-untyped-call]
        self.shell_channel_thread = None

    def init_iopub(self, context: Any) -> None:
        """Open the channel that tells what happens. Its readers connect before the first cell, so no welcome message is sent."""
        socket = context.socket(zmq.PUB)
        socket.linger = 1000
        self._apply_curve_server_options(socket)
        self.iopub_port = self._bind_socket(socket, self.iopub_port)  # type: ignore[no-untyped-call]
        self.configure_tornado_logger()  # type: ignore[no-untyped-call]
        self.iopub_thread = _IOPub(socket, pipe=True, session=self.session)
        self.iopub_thread.start()  # type: ignore[no-untyped-call]
        self.iopub_socket = self.iopub_thread.background_socket

    def init_heartbeat(self) -> None:
        """Open no heartbeat channel: the manager asks the operating system whether this process lives."""
