"""ipykernel's own application, without what a page that nobody works in has no use for."""

from __future__ import annotations

from typing import Any

from ipykernel.kernelapp import IPKernelApp


class KernelApp(IPKernelApp):
    """Takes requests in its main thread. Subshells, for several people at once, would need a thread that hands each one on."""

    def init_control(self, context: Any) -> None:
        """Open the control channel."""
        super().init_control(context)  # type: ignore[no-untyped-call]
        self.shell_channel_thread = None

    def init_kernel(self) -> None:
        """Make the kernel; it would sleep before each reply, for streams whose end nobody waits for. We wait for it."""
        super().init_kernel()  # type: ignore[no-untyped-call]
        self.kernel._execute_sleep = 0.0
