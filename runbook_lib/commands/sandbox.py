"""`sandbox`: the sandbox in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from runbook_lib.commands.terminal import refuse


@click.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="File that the sandbox writes once it is ready.")
@click.option(
    "--tenants", type=click.IntRange(0, 100_000), default=0, show_default=True, help="Number of further tenants like `fresh`."
)
@click.option("--seed", default=7, show_default=True, help="Determines ids and secrets.")
@click.option("--port", type=click.IntRange(0, 65_531), default=0, help="First of five ports; any free ports by default.")
def sandbox(ready_file: Path | None, tenants: int, seed: int, port: int) -> None:
    """Run the sandbox in the foreground.

    Example: python -m runbook_lib sandbox --ready-file /tmp/ready.json
    """
    from runbook_lib.core.errors import SettingsError
    from runbook_lib.sandbox.server import serve_forever

    try:
        serve_forever(ready_file=ready_file, tenants=tenants, seed=seed, port=port)
    except OSError as unable:
        where = f"the ready file {ready_file}" if unable.filename else f"port {port} and the four behind it"
        do_now = "Name a --ready-file in a folder that is yours, or five free ports by --port"
        refuse(SettingsError(f"the sandbox cannot have {where} ({unable.strerror})", do_now), 2)
