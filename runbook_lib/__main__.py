"""The command line; each command has a module in `commands`."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from runbook_lib import __version__
from runbook_lib.commands.demo import demo
from runbook_lib.commands.doctor import doctor
from runbook_lib.commands.inventory import inventory
from runbook_lib.commands.lab import lab
from runbook_lib.commands.report import report
from runbook_lib.commands.run import run
from runbook_lib.commands.sandbox import sandbox
from runbook_lib.commands.terminal import Commands
from runbook_lib.commands.undo import undo
from runbook_lib.core.process_memory import keep_memory_private
from runbook_lib.core.secret import guard_process

EPILOG = """Exit codes: 0 done; 1 a tenant failed; 2 bad usage or input, nothing sent; 3 blocked; 4 changes pending,
or the other side's administrator has to act; 5 another run holds a tenant; 130/143 interrupted."""


@click.group(epilog=EPILOG, cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Inbound SCIM for older Azure AD connections, step by step."""
    os.umask(0o077)
    guard_process()
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a customer's letters shows them as escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def terminated(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTERM, terminated)


for one in (demo, run, inventory, doctor, sandbox, lab, report, undo):
    main.add_command(one)


def command() -> None:
    """Start the command line in a process of its own."""
    keep_memory_private()
    main()


if __name__ == "__main__":
    command()
