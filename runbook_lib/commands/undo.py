"""`undo`: take back what one run made."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from runbook_lib.commands.terminal import (
    again,
    next_commands,
    on_interrupt,
    one_line,
    print_json,
    print_line,
    refuse,
    say,
)


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--mode", type=click.Choice(["plan", "apply"]), default="plan", show_default=True, help="plan writes nothing.")
@click.option("--only", metavar="NAME", multiple=True, help="Only this tenant; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def undo(run_dir: Path, mode: str, only: tuple[str, ...], as_json: bool) -> None:
    """Take back what one run made, in reverse: the job is stopped first. Says what cannot be undone.

    Example: python -m runbook_lib undo outputs/20261124-101500-000000 --mode apply
    """
    from runbook_lib.batch.undo import undo_run
    from runbook_lib.core.errors import SettingsError
    from runbook_lib.engine.status import exit_code
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.settings.model import RunMode

    on_interrupt(f"The journal records what is undone, so the same command continues: {again()}")
    try:
        with one_line() as tell:
            results = undo_run(run_dir, OLDER_AZURE_AD, RunMode(mode), only, say, tell)
    except SettingsError as wrong:
        refuse(wrong, 2)
    code = exit_code(result["status"] for result in results)
    following = _next(mode, code, sum(result.get("left", 0) for result in results))
    if as_json:
        print_json([json.dumps(results, ensure_ascii=False)])
    else:
        for result in results:
            for line in _lines(result):
                print_line(line)
        for line in _totals(results, mode):
            print_line(line)
    next_commands(following)
    sys.exit(code)


def _lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield what becomes of each write of a tenant, the latest first, under a line that says how the tenant stands."""
    from runbook_lib.engine.status import Outcome, Status

    yield f"{result['name']}: {Outcome(result['status']).word}: {result['about']}"
    for row in result["steps"]:
        status = Status(row["status"])
        yield f"  {status.icon} {status.word:<13} {row['title']}. {row['reason']} {row['remedy']}".rstrip()
        for diff in row["diffs"]:
            yield f"      {diff['field']}: {diff['before'] or '(nothing)'} -> {diff['after'] or '(nothing)'}"
    yield ""


def _totals(results: list[dict[str, Any]], mode: str) -> Iterator[str]:
    """Yield how many writes of all tenants come to what, and where each tenant's report is."""
    from runbook_lib.engine.status import Status

    counts = Counter(row["status"] for result in results for row in result["steps"])
    told = ", ".join(f"{counts[status]} {status.word.lower()}" for status in Status if counts.get(status))
    wrote = " Nothing was written: add --mode apply to carry it out." if mode == "plan" else ""
    yield f"{'Undo, planned' if mode == 'plan' else 'Undo'}: {told or 'nothing to undo'}.{wrote}"
    for result in results:
        if (report := Path(result["folder"]) / "undo.html").exists():
            yield f"Report of {result['name']}: {report}"


def _next(mode: str, code: int, left: int) -> tuple[tuple[str, str], ...]:
    if mode == "plan" and code == 4:
        return (("to undo it", again(mode="apply")),)
    if code:
        return (("once you have corrected the problems above", again()),)
    if left:
        return (("look at what remains of this run; the lines above give the reasons", ""),)
    return (("nothing of this run is left to undo", ""),)
