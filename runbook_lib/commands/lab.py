"""`lab`: JupyterLab on a copy of the page, a sandbox running next to it."""

from __future__ import annotations

import contextlib
import difflib
import signal
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from runbook_lib.commands.terminal import command_line, new_folder, refuse, shown

_LAST_PORT = 65_535
_TABLES = (".csv", ".tsv", ".txt", ".yaml", ".yml")
_OWN_OPTIONS = ("fleet", "resume", "only", "out")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--fleet", is_flag=True, help="Open the page for many tenants instead of the page for one.")
@click.option(
    "--resume", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Go on in the folder of an earlier run."
)
@click.option("--only", metavar="NAME", help="The tenant of TENANTS, or of the run to resume, that fills the form.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page and its outputs.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[TENANTS] [JUPYTERLAB_OPTIONS]...")
def lab(fleet: bool, resume: Path | None, only: str | None, out: Path | None, options: tuple[str, ...]) -> None:
    """Open a copy of the runbook in JupyterLab, a sandbox running next to it.

    TENANTS is a tenants file: one row of it fills the form with everything but the secrets, and so does an earlier run.

    Example: python -m runbook_lib lab tenants.csv --only contoso

    Example: python -m runbook_lib lab --resume outputs/20261124-101500-000000
    """
    from runbook_lib.core.errors import SettingsError
    from runbook_lib.core.places import notebook
    from runbook_lib.page.earlier import choices_of_row, choices_of_run, lay_out
    from runbook_lib.page.lab import is_root, served
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD

    _refuse_slips(options)
    tenants, options = _tenants_among(options)
    if only and not (tenants or resume):
        raise click.UsageError("--only names a tenant of TENANTS or of a run: name one, as in lab tenants.csv --only NAME.")
    if fleet and (tenants or only):
        raise click.UsageError("--fleet takes neither TENANTS nor --only: choose the tenants file on its page.")
    source = notebook("fleet" if fleet else OLDER_AZURE_AD.notebook)
    folder = (resume or new_folder(out)).resolve()
    try:
        choices = choices_of_row(tenants, only) if tenants else choices_of_run(folder, only) if resume else {}
    except SettingsError as wrong:
        refuse(wrong, 2)
    lay_out(folder, choices, source.name)
    _end_with_terminal()
    with contextlib.suppress(KeyboardInterrupt), served(source, folder, options) as serving:
        if serving is None:  # JupyterLab has said why, or answered --help
            sys.exit(0 if {"--help", "--help-all", "--version"} & {*options} else 1)
        click.echo(f"The page:   {serving.address}", err=True)
        click.echo(f"Its folder: {shown(str(folder))}", err=True)
        if is_root():
            click.echo(
                "JupyterLab runs as root, because you do: anyone with the address above has root's rights on this machine.",
                err=True,
            )
        click.echo("To stop it: press Ctrl-C here. The page stays in its folder.", err=True)
        click.echo(f"To go on later: {command_line('lab', '--resume', shown(str(folder)))}", err=True)
        sys.exit(serving.process.wait())
    sys.exit(130)


def _tenants_among(options: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """Return the tenants file, which may stand behind JupyterLab's own options, and the options without it."""
    found = [
        place
        for place, option in enumerate(options)
        if not option.startswith("-") and (place == 0 or Path(option).suffix.lower() in _TABLES)
    ]
    if len(found) > 1:
        raise click.UsageError("lab takes one tenants file.")
    return (Path(options[found[0]]), options[: found[0]] + options[found[0] + 1 :]) if found else (None, options)


def _refuse_slips(options: tuple[str, ...]) -> None:
    """Raise for an option that must be one of this command's, misspelt, and for a port that is none: JupyterLab would go on."""
    for option, following in pairwise((*options, "")):
        name, _, value = option.partition("=")
        if name == "--port" and not ((port := value or following).isdigit() and int(port) <= _LAST_PORT):
            raise click.BadParameter(f"{port!r} is no port from 0 to {_LAST_PORT}.", param_hint="--port")
        if name.startswith("--") and (near := difflib.get_close_matches(name[2:], _OWN_OPTIONS, 1)):
            raise click.NoSuchOption(name, possibilities=[f"--{near[0]}"])


def _end_with_terminal() -> None:
    """End in order when the terminal is closed, so that the folder of keys and sockets is removed; not under `nohup`."""

    def hung_up(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # Windows has none
        signal.signal(signal.SIGHUP, hung_up)
