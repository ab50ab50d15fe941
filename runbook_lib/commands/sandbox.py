"""`sandbox`: the sandbox in the foreground."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written when the sandbox serves.")
@click.option("--tenants", default=0, show_default=True, help="This many more tenants like `fresh`.")
@click.option("--seed", default=7, show_default=True, help="Ids and secrets follow from it.")
@click.option("--port", default=0, help="First of five ports; any free ones otherwise.")
def sandbox(ready_file: Path | None, tenants: int, seed: int, port: int) -> None:
    """Run the sandbox in the foreground.

    Example: python -m runbook_lib sandbox --ready-file /tmp/ready.json
    """
    from runbook_lib.sandbox.server import serve_forever

    serve_forever(ready_file=ready_file, tenants=tenants, seed=seed, port=port)
