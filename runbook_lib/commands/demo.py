"""`demo`: the whole procedure on a sandbox, and the forecast next to what the first cycle did."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runbook_lib.commands.terminal import (
    as_next,
    command_line,
    new_folder,
    next_commands,
    one_line,
    print_json,
    print_line,
    say,
    shown,
    width,
)
from runbook_lib.core.display import cut

if TYPE_CHECKING:
    from runbook_lib.batch.one_tenant import TenantOutcome, Workshop
    from runbook_lib.http.service import Service
    from runbook_lib.settings.model import TenantSettings

    Rounds = dict[str, list[tuple[TenantOutcome, str]]]  # by title: how each tenant ended, and the calls where they were counted

_WIDEST = 150  # characters of a line of the table; the summaries have the whole sentences


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the outputs.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def demo(out: Path | None, as_json: bool) -> None:
    """Show the whole procedure on a sandbox: plan, apply, and again to show that nothing is left.

    Example: python -m runbook_lib demo
    """
    import tempfile

    from runbook_lib.batch.one_tenant import Workshop
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.sandbox.process import launched
    from runbook_lib.settings.tenants_file import read_tenants

    say("Starting a sandbox of Auth0 and Microsoft Entra on this machine. The demo sends nothing to other machines.")
    folder = new_folder(out)
    rounds: Rounds = {"plan": [], "apply": [], "apply again": []}

    with (
        tempfile.TemporaryDirectory() as scratch,
        launched(Path(scratch) / "ready.json") as ready,
        Workshop.opened(OLDER_AZURE_AD) as shop,
        one_line() as tell,
    ):
        everyone = {tenant.name: tenant for tenant in read_tenants(Path(ready["tenants_file"]))}
        course = _Course(everyone, folder, rounds, shop, tell)
        course.plan_all()
        course.carry_out("apply", "fresh", _call_counter(ready))
        beside = _forecast_beside_the_first_cycle(everyone["fresh"], ready, folder / "apply" / "fresh")
        course.carry_out("apply again", "fresh", _call_counter(ready))
        course.write_summaries()
    code = 0 if all(outcome.status == "unchanged" for outcome, _ in rounds["apply again"]) else 1
    if as_json:
        print_json([json.dumps(_as_json(folder, rounds, beside, code), ensure_ascii=False)])
    else:
        for line in _lines(folder, rounds, beside):
            print_line(line)
    next_commands(_next())
    sys.exit(code)


@dataclass(frozen=True)
class _Course:
    """A demo on its way: the tenants by name, the folder for the outputs, the rounds so far, and what tells how it goes."""

    everyone: dict[str, TenantSettings]
    folder: Path
    rounds: Rounds
    shop: Workshop
    tell: Callable[[str], None]

    def plan_all(self) -> None:
        """Plan every tenant, some at a time, and carry `half-done` through all rounds.

        `fresh` is applied later and alone, so that the calls counted are its own.
        """
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(4) as pool:
            others = [name for name in self.everyone if name != "half-done"]
            jobs = [pool.submit(self._half_done), *(pool.submit(self.carry_out, "plan", name) for name in others)]
        for job in jobs:
            job.result()

    def carry_out(self, title: str, name: str, calls: Callable[[], int] | None = None) -> None:
        """Run one tenant in a round, and count its calls by what `calls` returns before and after."""
        from runbook_lib.batch.one_tenant import run_tenant
        from runbook_lib.engine.status import Outcome
        from runbook_lib.settings.model import RunMode

        mode = RunMode.PLAN if title == "plan" else RunMode.APPLY
        before = calls() if calls else 0
        outcome = run_tenant(self.everyone[name], mode, self.folder / title.replace(" ", "-") / name, self.shop)
        self.rounds[title].append((outcome, str(calls() - before) if calls else ""))
        self.tell(f"{title}: {name}: {Outcome(outcome.status).word}")

    def _half_done(self) -> None:
        for title in self.rounds:
            self.carry_out(title, "half-done")

    def write_summaries(self) -> None:
        """Write a summary for each round, its tenants in the order of the tenants file."""
        from runbook_lib.batch.summary import write_summary

        order = list(self.everyone)
        for title, lines in self.rounds.items():
            lines.sort(key=lambda line: order.index(line[0].name))
            write_summary(self.folder / title.replace(" ", "-"), [outcome for outcome, _ in lines], self.shop.procedure)


def _next() -> tuple[tuple[str, str], ...]:
    return (
        ("to do the same by hand, on a page", command_line("lab")),
        ("to check whether you can start with a real tenant", command_line("doctor")),
    )


def _lines(folder: Path, rounds: Rounds, beside: str) -> Iterator[str]:
    """Yield the table of all rounds, a line a tenant, and what to know of it."""
    from runbook_lib.engine.status import Outcome
    from runbook_lib.run.place import SANDBOX

    limit = min(width(), _WIDEST)
    yield f"{'round':<12} {'tenant':<17} {'status':<13} {'calls':>5}  what to know"
    for title, lines in rounds.items():
        for outcome, count in lines:
            row = f"{title:<12} {outcome.name:<17} {Outcome(outcome.status).word:<13} {count:>5}  {outcome.about}"
            yield cut(shown(row), limit)
    yield ""
    yield from _totals(rounds)
    yield f"Forecast of fresh compared with its first cycle: {beside}"
    yield ""
    yield "plan writes nothing; some tenants are refused on purpose; the second apply finds nothing left to do."
    yield f"Full messages, pages, reports and journals: {folder}"
    yield SANDBOX


def _totals(rounds: Rounds) -> Iterator[str]:
    from runbook_lib.engine.status import counted

    for title, lines in rounds.items():
        yield f"{title + ':':<13} {counted(Counter(outcome.status for outcome, _ in lines))}."


def _as_json(folder: Path, rounds: Rounds, beside: str, code: int) -> dict[str, Any]:
    """Return what the demo did, round by round, with the folder of each tenant and the calls where they were counted."""
    rows = [
        {
            "round": title,
            "name": outcome.name,
            "status": outcome.status,
            "about": outcome.about,
            "folder": str(outcome.folder),
            "calls": int(count) if count else None,
        }
        for title, lines in rounds.items()
        for outcome, count in lines
    ]
    summaries = {title: str(folder / title.replace(" ", "-") / "summary.html") for title in rounds}
    about = {"folder": str(folder), "exit_code": code, "rounds": rows, "summaries": summaries}
    return {**about, "forecast_beside_first_cycle": beside, "next": as_next(_next())}


def _forecast_beside_the_first_cycle(settings: TenantSettings, ready: dict[str, str], folder: Path) -> str:
    """Let the sandbox run the first cycle of a tenant, and say how many people fared as foretold; both stand in a file."""
    from runbook_lib.http.message import Request
    from runbook_lib.run.after_start import look_back, table_of
    from runbook_lib.run.forecast_file import write_table
    from runbook_lib.run.sign_ins import open_view
    from runbook_lib.tenant import facts
    from runbook_lib.tenant.forecast.happened import summed_up

    view = open_view(settings)
    forecast, job = view.read(facts.forecast), view.read(facts.job)
    if job is None or not job.is_running:
        return "the job was not started"
    _control(ready).send(Request("control", "POST", "/cycle", body={"job_id": job.id}))
    found = look_back(view, forecast)
    write_table(folder / "first-cycle.csv", table_of(found))
    return summed_up(found)


def _control(ready: dict[str, str]) -> Service:
    """Return the sandbox's control API."""
    from runbook_lib.core.secret import Secret
    from runbook_lib.http.retry import Pace
    from runbook_lib.http.service import Service
    from runbook_lib.http.session import open_session

    token = Secret(ready["control_token"])
    session = open_session(ready["ca_bundle"])
    return Service("control", ready["control"], session=session, pace=Pace(), sign_in=lambda _renew: token)


def _call_counter(ready: dict[str, str]) -> Callable[[], int]:
    control = _control(ready)

    def calls() -> int:
        """Count the tool's requests; a batch is one, and what Entra sends to Auth0 is not the tool's."""
        history = control.read("/history")
        return sum(entry["service"] != "scim" and "batch" not in entry for entry in history)

    return calls
