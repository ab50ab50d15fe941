"""`report`: summary and reports again, from the journals."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook_lib.commands.run import tell_end
from runbook_lib.commands.terminal import command_line, refuse

if TYPE_CHECKING:
    from runbook_lib.settings.model import RunMode


@click.command()
@click.argument("run_dirs", type=click.Path(path_type=Path, exists=True, file_okay=False), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the summary; by default the folder of the only run.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def report(run_dirs: tuple[Path, ...], out: Path | None, as_json: bool) -> None:
    """Rebuild a run's summary and reports from its journals, or make one summary of several runs, such as the shards of a fleet.

    Example: python -m runbook_lib report outputs/20261124-101500-000000

    Example: python -m runbook_lib report shard-0/* shard-1/* --out all
    """
    from runbook_lib.batch.command import merged
    from runbook_lib.batch.summary import write_summary
    from runbook_lib.core.errors import JournalFailed, RunbookError, SettingsError
    from runbook_lib.engine.status import exit_code
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.run.report import rebuild_report

    if len(run_dirs) > 1 and out is None:
        refuse(SettingsError("a summary of several runs has no folder of its own", "Give --out"), 2)
    try:
        outcomes = merged(run_dirs, OLDER_AZURE_AD)
    except RunbookError as wrong:
        refuse(wrong, 2)
    for outcome in outcomes:
        with contextlib.suppress(JournalFailed):  # the outcome says so
            rebuild_report(outcome.folder / "journal.jsonl", (outcome.status, outcome.about), OLDER_AZURE_AD)
    write_summary(out or run_dirs[0], outcomes, OLDER_AZURE_AD)
    code = exit_code(outcome.status for outcome in outcomes)
    mode, commands = _going_on(run_dirs)
    tell_end(out or run_dirs[0], outcomes, mode, code, as_json=as_json, commands=commands)
    sys.exit(code)


def _going_on(run_dirs: tuple[Path, ...]) -> tuple[RunMode, dict[str, str]]:
    """Return the mode of the runs, and the commands to go on: none for several runs, each of which has its own.

    The folder of a page that a person worked on goes on in JupyterLab; what it wrote was applied.
    """
    from runbook_lib.batch.runner import begun
    from runbook_lib.core.errors import SettingsError
    from runbook_lib.settings.model import RunMode

    folder, go_on = run_dirs[0], command_line("run", "--resume", run_dirs[0])
    try:
        modes = {begun(one)["mode"] for one in run_dirs}
    except SettingsError:
        modes, go_on = {RunMode.APPLY}, command_line("lab", "--resume", folder)
    mode = RunMode.PLAN if modes == {RunMode.PLAN} else RunMode.APPLY
    if len(run_dirs) > 1:
        return mode, dict.fromkeys(("go_on", "failed", "apply", "undo"), "")
    return mode, {"go_on": go_on, "failed": go_on, "apply": f"{go_on} --mode apply", "undo": command_line("undo", folder)}
