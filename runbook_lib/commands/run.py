"""`run`: the notebook for every tenant of a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook_lib.commands.terminal import (
    again,
    as_next,
    command_line,
    next_commands,
    print_json,
    print_line,
    refuse,
    say,
    width,
)
from runbook_lib.core.display import cut

if TYPE_CHECKING:
    from runbook_lib.batch.one_tenant import TenantOutcome
    from runbook_lib.batch.summary import TenantRow
    from runbook_lib.settings.model import RunMode


@click.command()
@click.argument("tenants", type=click.Path(path_type=Path), required=False)
@click.option("--mode", type=click.Choice(["plan", "apply"]), help="plan, the default, writes nothing.")
@click.option("--only", metavar="NAME", multiple=True, help="Only this tenant; may be given again.")
@click.option("--jobs", type=click.IntRange(1, 200), default=16, show_default=True, help="Number of tenants to run at a time.")
@click.option("--canary", type=click.IntRange(0), default=0, metavar="N", help="Run the first N alone, then the rest.")
@click.option("--max-failures", type=click.IntRange(1), metavar="N", help="Start no further tenant once N have failed.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN_DIR", help="Continue a run: skip finished tenants.")
@click.option("--failed", is_flag=True, help="With --resume: only tenants that failed or were blocked.")
@click.option("--kernel", type=click.Choice(["auto", "warm", "stock"]), default="auto", help="stock: papermill's own engine.")
@click.option("--shard", metavar="K/N", help="Run only shard K of N, by name, K from 0: one task of several.")
@click.option("--run-id", metavar="NAME", default="", help="A run shared by several tasks, which meet in OUT/NAME.")
@click.option("--executor", metavar="URL", default="", help="dask://HOST:PORT: tenants run on that cluster's workers.")
@click.option("--out", metavar="FOLDER|URL", help="Folder for the runs, or an fsspec URL such as s3://BUCKET/PATH.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def run(
    tenants: Path | None,
    mode: str | None,
    only: tuple[str, ...],
    jobs: int,
    canary: int,
    max_failures: int | None,
    resume: Path | None,
    failed: bool,
    kernel: str,
    shard: str | None,
    run_id: str,
    executor: str,
    out: str | None,
    as_json: bool,
) -> None:
    """Run the notebook for every tenant of a CSV or YAML file.

    \b
    Plan all, write nothing:
      python -m runbook_lib run tenants.csv
    Three first, then the rest:
      python -m runbook_lib run tenants.csv --mode apply --canary 3
    One tenant:
      python -m runbook_lib run tenants.csv --mode apply --only contoso
    Go on with a run, hand-overs included; or with what failed alone:
      python -m runbook_lib run --resume outputs/20261124-101500-000000
      python -m runbook_lib run --resume outputs/20261124-101500-000000 --failed
    One task of ten, which meet in a folder:
      python -m runbook_lib run tenants.csv --run-id monday --shard $JOB_COMPLETION_INDEX/10 --out /shared
    The same, at a URL:
      python -m runbook_lib run tenants.csv --run-id monday --shard 0/10 --out s3://acme-scim/runs
    On the workers of a dask cluster:
      python -m runbook_lib run tenants.csv --mode apply --executor dask://10.0.0.5:8786 --out /shared
    """  # noqa: D301 - click wants the backspace itself: it keeps these lines as they are
    from typing import cast

    from runbook_lib.batch.kernels.forkserver import KernelKind, get_warm
    from runbook_lib.batch.kernels.tested import untested
    from runbook_lib.core.errors import SettingsError

    try:
        if not executor:
            get_warm(cast("KernelKind", kernel))  # first: meanwhile this process imports what else it needs
    except SettingsError as wrong:
        refuse(wrong, 2)
    if kernel == "auto" and (others := untested()):
        say(f"This run uses papermill's own engine, which is slower: the fast engine was not tested with {', '.join(others)}.")

    from runbook_lib.batch.command import Wanted, carry_out
    from runbook_lib.batch.machines.sharing import Shard
    from runbook_lib.batch.runner import Options, begun
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.settings.model import RunMode

    options = Options(OLDER_AZURE_AD, RunMode.PLAN, jobs, cast("KernelKind", kernel), canary, max_failures, executor)
    try:
        part = Shard.from_text(shard) if shard else None
        wanted = Wanted(tenants, RunMode(mode) if mode else None, only, resume, failed, out, run_id, part)
        folder, outcomes, code = carry_out(wanted, options, say=say)
    except SettingsError as wrong:
        refuse(wrong, 2)
    go_on: str = again() if run_id else command_line("run", "--resume", folder)
    rest = go_on if run_id else f"{go_on} --failed"
    commands = {"go_on": go_on, "failed": rest, "apply": again(mode="apply"), "undo": command_line("undo", folder)}
    tell_end(folder, outcomes, wanted.mode or begun(folder)["mode"], code, as_json=as_json, commands=commands)
    sys.exit(code)


def tell_end(
    folder: Path,
    outcomes: Sequence[TenantOutcome],
    mode: RunMode,
    code: int,
    *,
    as_json: bool,
    commands: Mapping[str, str],
) -> None:
    """Print how a run ended and say what to do next, by `commands` as `ending.following` takes them."""
    from runbook_lib.batch import ending
    from runbook_lib.batch.summary import tenant_rows
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.run.place import place_of_many

    rows = tenant_rows(outcomes, OLDER_AZURE_AD)
    statuses = [row.status for row in rows]
    following = ending.following(statuses, mode, commands)
    if as_json:
        about = ending.as_json(folder, outcomes, rows, mode=mode, code=code, next_steps=as_next(following))
        print_json(about)
    else:
        for line in _lines(rows, mode, folder):
            print_line(line)
        print_line(place_of_many(row.auth0_domain for row in rows))
    next_commands(following)


def _lines(rows: Sequence[TenantRow], mode: RunMode, folder: Path) -> Iterator[str]:
    from runbook_lib.batch import ending
    from runbook_lib.batch.summary import forecast_of_all
    from runbook_lib.batch.totals import totals
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.run.forecast_file import in_words

    limit = width()
    yield from ending.table(rows, lambda line: cut(line, limit))
    if needs := list(ending.needs(rows)):
        yield from ("", *needs)
    yield ""
    yield from totals(rows, mode, OLDER_AZURE_AD)
    if words := in_words(forecast_of_all([{"forecast": row.forecast} for row in rows])):
        yield f"Forecast of all tenants, each person in forecast.csv: {words}"
    yield f"Summary: {folder / 'summary.html'}"
