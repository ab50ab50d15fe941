"""Kernels that start fast and end fast: real ipykernels, each in a process of its own, forked from a warm one.

A stock kernel spends about 0.9 s of processor time on imports and start; a forked one shares them. Where processes cannot be
forked, stock kernels do the same work.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import threading
import time
from hmac import compare_digest
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from queue import Empty
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.client import KernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_client.session import Session
from tenacity import retry, retry_if_exception_type, stop_after_attempt
from traitlets import Type, default

from runbook_lib.batch.kernels.forkserver import can_be_warm, forking
from runbook_lib.batch.kernels.local import SPEC
from runbook_lib.batch.kernels.process import END_S, be_a_kernel

POLL_S = 0.005
BIND_S = 30.0
FORK_ATTEMPTS = 3
_processes = threading.Lock()  # multiprocessing reaps its children on every start, in any thread


def manager_class() -> type[AsyncKernelManager]:
    """Return the kernel manager to use on this system."""
    return WarmKernelManager if can_be_warm() else StartedKernelManager


class _EndsSoon(LocalProvisioner):
    """Waits for the end of a kernel as soon as that is requested, in short steps; jupyter_client looks every 100 ms."""

    async def shutdown_requested(self, restart: bool = False) -> None:
        deadline = time.monotonic() + END_S
        while await self.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Return how long jupyter_client waits in its turn; a stock kernel can hang here, see `be_a_kernel`."""
        return 1.0

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and its children; not the interrupt with which jupyter_client begins a shutdown.

        An idle kernel needs none, and one that arrives just as a request ends stops its loop in the middle: it then hears no
        shutdown request and has to be killed seconds later (seen with ipykernel 7.4.0).
        """
        if signum != signal.SIGINT or not getattr(self.parent, "shutting_down", False):
            await self._send(signum)

    async def _send(self, signum: int) -> None:
        await super().send_signal(signum)


@retry(retry=retry_if_exception_type((OSError, EOFError)), stop=stop_after_attempt(FORK_ATTEMPTS), reraise=True)
def _forked(arguments: list[str], environment: dict[str, str], folder: str) -> ForkServerProcess:
    """Return a kernel's process, forked from the warm one, which multiprocessing starts again when it was killed.

    When it is killed during the request it cannot answer. A kernel that it may have forked then ends by itself.
    """
    process = forking().Process(target=be_a_kernel, args=(arguments, environment, folder), daemon=True)
    process.start()
    return process


class WarmProvisioner(_EndsSoon):
    """Launches kernels by forking the warm process and looks after them.

    Whether a kernel lives is asked of the system: multiprocessing hears it from the warm process, and takes all kernels for dead
    when that one is killed, while they go on.
    """

    process: ForkServerProcess | None = None  # type: ignore[assignment]  # the base class has a Popen
    _handle: int | None = None  # of the kernel's process; None when there is none, or it was gone at once

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ended = select.poll()

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Fork a kernel. `cmd` is the kernel spec's command, of which only what follows `ipykernel_launcher` is used."""
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        folder = str(kwargs.get("cwd") or Path.cwd())
        with _processes:
            self.process = _forked(arguments, kwargs["env"], folder)
            self.pid = self.pgid = self.process.pid
            with contextlib.suppress(ProcessLookupError):
                self._handle = os.pidfd_open(self.process.ident or 0)
                self._ended.register(self._handle, select.POLLIN)
        await self._listening()
        return self.connection_info

    async def _listening(self) -> None:
        """Wait until the kernel has bound its last socket: a client that connects earlier retries only after 100 ms (zmq)."""
        last = Path(f"{self.connection_info['ip']}-{self.connection_info['iopub_port']}")
        deadline = time.monotonic() + BIND_S
        while not last.exists() and await self.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(POLL_S)

    async def poll(self) -> int | None:
        """Return the exit code, None while the kernel runs, 0 when there is none."""
        if self._handle is not None and not self._ended.poll(0):
            return None
        with _processes:
            return (self.process.exitcode or 0) if self.process else 0

    async def wait(self) -> int | None:
        """Wait for the end and return the exit code."""
        while (code := await self.poll()) is None:
            await asyncio.sleep(POLL_S)
        with _processes:
            if self.process:
                self.process.join()  # only so that multiprocessing takes note of the end
                self.process.close()
            self.process = None
        if self._handle is not None:
            self._ended.unregister(self._handle)
            os.close(self._handle)
            self._handle = None
        return code

    async def _send(self, signum: int) -> None:
        if self.pid is None or await self.poll() is not None:
            return
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:  # not yet the leader of its group
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    async def kill(self, restart: bool = False) -> None:
        """End the kernel and its children at once."""
        await self.send_signal(signal.SIGKILL)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel and its children to end."""
        await self.send_signal(signal.SIGTERM)


class QuickClient(BlockingKernelClient):
    """A client that waits in its thread for its kernel's messages, each on the channel it comes by, and for nothing else.

    It is ready when its first request is answered on both channels, not 200 ms after the last message. That the kernel lives is
    asked of its manager: no heart is listened to, by a thread of its own.
    """

    is_alive = BlockingKernelClient._async_is_alive  # type: ignore[assignment]  # nbclient waits for either kind

    @default("context")
    def _shared_context(self) -> zmq.Context[zmq.Socket[bytes]]:
        return zmq.Context.instance()  # each context has two threads

    def start_channels(
        self, shell: bool = True, iopub: bool = True, stdin: bool = False, hb: bool = False, control: bool = False
    ) -> None:
        """Open the channels that a page without a person needs."""
        super().start_channels(shell=shell, iopub=iopub, stdin=stdin, hb=hb, control=control)

    async def wait_for_ready(self, timeout: float | None = None) -> None:  # type: ignore[override]
        """Wait until the kernel answers. Raises `RuntimeError` when it dies before that, or does not answer in time."""
        deadline = time.monotonic() + (timeout or 60.0)
        while time.monotonic() < deadline:
            request = self.kernel_info()
            if self._answered(request) and self._idle(request):
                return
            if not await self.is_alive():
                raise RuntimeError("Kernel died before replying to kernel_info")
        raise RuntimeError("Kernel didn't respond in time")

    def _answered(self, request: str) -> bool:
        with contextlib.suppress(Empty):
            while True:
                answer = self.shell_channel.get_msg(timeout=1)
                if answer["parent_header"].get("msg_id") == request:
                    self._handle_kernel_info_reply(answer)
                    return True
        return False

    def _idle(self, request: str) -> bool:
        """Whether the other channel reports the end of the request: only then no output of a cell can be missed."""
        with contextlib.suppress(Empty):
            while True:
                message = self.iopub_channel.get_msg(timeout=0.2)
                is_ours = message["parent_header"].get("msg_id") == request
                if is_ours and message["content"].get("execution_state") == "idle":
                    return True
        return False


class _Messages(Session):
    """Takes messages apart, leaving their times as text: no caller uses them, and parsing them takes half of the time."""

    def deserialize(self, msg_list: list[Any], content: bool = True, copy: bool = True) -> dict[str, Any]:
        """Return a message. Raises `ValueError` for one that is not signed as it must be, or comes twice."""
        if not (content and copy and self.auth):
            return super().deserialize(msg_list, content, copy)
        signature, *parts = msg_list[:5]
        if len(parts) < 4 or not compare_digest(signature, self.sign(parts)) or signature in self.digest_history:
            raise ValueError("a message of the kernel that is incomplete, not signed with its key, or there already")
        self._add_digest(signature)
        header, parent, metadata, body = map(self.unpack, parts)
        return {
            "header": header,
            "msg_id": header["msg_id"],
            "msg_type": header["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": body,
            "buffers": [memoryview(part) for part in msg_list[5:]],
        }


class StartedKernelManager(AsyncKernelManager):
    """Starts kernels in processes of their own, as Jupyter does, and ends them without idle waits."""

    def _session_default(self) -> Session:
        return _Messages(parent=self)

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start a kernel: by this very Python. To find that out, jupyter_client would import all of IPython here."""
        return SPEC

    # `client_class` is of no effect in a manager of this kind: it comes with a factory of its own (jupyter_client 8.10.0).
    client_factory = Type(klass=KernelClient, default_value=QuickClient)
    provisioner_class: type[LocalProvisioner] = _EndsSoon

    async def start_kernel(self, **kwargs: Any) -> None:  # type: ignore[override]
        """Start a kernel."""
        if self.provisioner is None:
            self.provisioner = self.provisioner_class(kernel_spec=self.kernel_spec, parent=self)
        await super().start_kernel(**kwargs)


class WarmKernelManager(StartedKernelManager):
    """Starts kernels by forking the warm process."""

    provisioner_class = WarmProvisioner
