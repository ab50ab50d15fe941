"""The command line. Heavy imports wait inside the commands, so that help answers at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from runbook_lib import __version__
from runbook_lib.errors import NO_ROOM
from runbook_lib.secret import guard_process, scrubber
from runbook_lib.visible import visible

EPILOG = """Exit codes: 0 done; 1 a tenant failed; 2 bad usage or input, nothing sent; 3 blocked; 4 changes pending,
or a hand-over waits for somebody else; 5 another run holds a tenant; 130/143 interrupted."""


class _Commands(click.Group):
    """Says in words that there is no room, or no right, for what a command leaves; all else is a defect and looks like one."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as refused:
            if refused.errno not in NO_ROOM:
                raise
            _say(f"Writing files: {refused}. Make room, then run again; a run's summary is made anew by: report RUN_DIR")
            sys.exit(1)


@click.group(epilog=EPILOG, cls=_Commands)
@click.version_option(__version__)
def main() -> None:
    """Inbound SCIM for older Azure AD connections, step by step."""
    os.umask(0o077)
    guard_process()

    def terminated(_number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(143)

    signal.signal(signal.SIGTERM, terminated)


def _shown(text: str) -> str:
    """Return the text for a terminal. It is scrubbed here as well: where the locale is ASCII, click writes past our stream."""
    return visible(scrubber.scrub(text))


def _say(text: str) -> None:
    click.echo(_shown(text), err=True)


def _new_folder(out: Path | None) -> Path:
    """Return a new run folder, or say why there is none and end: nothing was sent."""
    from runbook_lib.batch.runner import new_run_folder
    from runbook_lib.errors import SettingsError

    try:
        return new_run_folder(out)
    except SettingsError as wrong:
        _say(str(wrong))
        sys.exit(2)


@main.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the outputs.")
def demo(out: Path | None) -> None:
    """Show the whole procedure on a sandbox: plan, apply, and again to show that nothing is left.

    Example: python -m runbook_lib demo
    """
    import tempfile
    from concurrent.futures import ThreadPoolExecutor

    from runbook_lib.batch.one_tenant import TenantOutcome, Workshop, run_tenant
    from runbook_lib.batch.summary import write_summary
    from runbook_lib.batch.tenants_file import read_tenants
    from runbook_lib.sandbox.process import launched
    from runbook_lib.settings import RunMode

    _say("Starting a sandbox of Auth0 and Microsoft Entra on this machine. Nothing leaves it.")
    folder = _new_folder(out)
    rounds: dict[str, list[tuple[TenantOutcome, str]]] = {"plan": [], "apply": [], "apply again": []}

    with (
        tempfile.TemporaryDirectory() as scratch,
        launched(Path(scratch) / "ready.json") as ready,
        Workshop.opened() as shop,
        ThreadPoolExecutor(4) as pool,
    ):
        everyone = {tenant.name: tenant for tenant in read_tenants(Path(ready["tenants_file"]))}

        def carry_out(title: str, name: str, calls: Callable[[], int] | None = None) -> None:
            mode = RunMode.PLAN if title == "plan" else RunMode.APPLY
            before = calls() if calls else 0
            outcome = run_tenant(everyone[name], mode, folder / title.replace(" ", "-") / name, shop)
            rounds[title].append((outcome, str(calls() - before) if calls else ""))
            _say(f"  {title:<12} {name:<18} {outcome.status}")

        def half_done() -> None:
            for title in rounds:
                carry_out(title, "half-done")

        # Some at a time; `fresh` is applied alone, so that the calls counted are its own.
        jobs = [pool.submit(half_done), *(pool.submit(carry_out, "plan", name) for name in everyone if name != "half-done")]
        for job in jobs:
            job.result()
        for title in ("apply", "apply again"):
            carry_out(title, "fresh", _call_counter(ready))
        order = list(everyone)
        for title, lines in rounds.items():
            lines.sort(key=lambda line: order.index(line[0].name))
            write_summary(folder / title.replace(" ", "-"), [outcome for outcome, _ in lines])
    click.echo(f"\n{'round':<12} {'tenant':<18} {'status':<10} {'calls':>5}  what to know")
    for title, lines in rounds.items():
        for outcome, count in lines:
            click.echo(f"{title:<12} {outcome.name:<18} {outcome.status:<10} {count:>5}  {_shown(outcome.about[:110])}")
    click.echo("\nplan writes nothing; blocked tenants are refused on purpose; the second apply finds nothing left to do.")
    click.echo(f"Pages, reports and journals: {folder}")
    good = all(outcome.status == "unchanged" for outcome, _ in rounds["apply again"])
    sys.exit(0 if good else 1)


def _call_counter(ready: dict[str, str]) -> Callable[[], int]:
    from runbook_lib.http import Pace, Service, open_session
    from runbook_lib.secret import Secret

    token = Secret(ready["control_token"])
    control = Service(
        "control", ready["control"], session=open_session(ready["ca_bundle"]), pace=Pace(), sign_in=lambda _renew: token
    )

    def calls() -> int:
        """Count the tool's requests; a batch is one, and what Entra sends to Auth0 is not the tool's."""
        history = control.read("/history")
        return sum(entry["service"] != "scim" and "batch" not in entry for entry in history)

    return calls


@main.command()
@click.argument("tenants", type=click.Path(path_type=Path), required=False)
@click.option("--mode", type=click.Choice(["plan", "apply"]), help="plan, the default, writes nothing.")
@click.option("--only", metavar="NAME", multiple=True, help="Only this tenant; may be given again.")
@click.option("--jobs", type=click.IntRange(1, 200), default=16, show_default=True, help="So many tenants at a time.")
@click.option("--canary", type=click.IntRange(0), default=0, metavar="N", help="Run the first N alone, then the rest.")
@click.option("--max-failures", type=click.IntRange(1), metavar="N", help="Start no further tenant once N have failed.")
@click.option("--resume", type=click.Path(path_type=Path), metavar="RUN_DIR", help="Go on with a run: do what is not done.")
@click.option("--failed", is_flag=True, help="With --resume: only tenants that failed or were blocked.")
@click.option("--kernel", type=click.Choice(["auto", "warm", "stock"]), default="auto", help="How kernels are started.")
@click.option("--shard", metavar="K/N", help="Only part K of N, by name, K from 0: for one task of many.")
@click.option("--run-id", metavar="NAME", default="", help="A run that several tasks carry out: they meet in OUT/NAME.")
@click.option("--executor", metavar="URL", default="", help="dask://HOST:PORT: tenants run on that cluster's workers.")
@click.option("--out", metavar="FOLDER|URL", help="Where the runs go; a URL as fsspec knows it, such as s3://BUCKET/PATH.")
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

    from runbook_lib.batch.warm_process import KernelKind, get_warm

    if not executor:
        get_warm(cast("KernelKind", kernel))  # first: meanwhile this process imports what else it needs

    from runbook_lib.batch.command import Wanted, carry_out
    from runbook_lib.batch.runner import Options
    from runbook_lib.batch.sharing import Shard
    from runbook_lib.errors import SettingsError
    from runbook_lib.settings import RunMode

    options = Options(RunMode.PLAN, jobs, cast("KernelKind", kernel), canary, max_failures, executor)
    try:
        part = Shard.from_text(shard) if shard else None
        wanted = Wanted(tenants, RunMode(mode) if mode else None, only, resume, failed, out, run_id, part)
        folder, outcomes, code = carry_out(wanted, options)
    except SettingsError as wrong:
        _say(str(wrong))
        sys.exit(2)
    if as_json:
        rows = [{"name": o.name, "status": o.status, "about": o.about} for o in outcomes]
        click.echo(scrubber.scrub(json.dumps({"folder": str(folder), "tenants": rows}, ensure_ascii=False)))
    else:
        for outcome in outcomes:
            click.echo(f"{outcome.name:<24} {outcome.status:<12} {_shown(outcome.about)}")
        click.echo(f"\nSummary: {folder / 'summary.html'}")
    sys.exit(code)


@main.command()
@click.argument("tenants", type=click.Path(path_type=Path), required=False)
@click.option("--auth0-domain", metavar="DOMAIN", default="", help="The Auth0 tenant, such as acme.eu.auth0.com.")
@click.option("--client-id", metavar="ID", default="", help="A machine-to-machine application; left out: the secret is a token.")
@click.option("--client-secret", metavar="REFERENCE", default="", help="env:NAME, file:PATH or keyring:SERVICE/USER.")
@click.option("--cloud", default="", help="public, usgov, china or sandbox:READY_FILE; public when left out.")
@click.option("--entra-client-id", metavar="ID", default="", help="For every row of --out, where all customers have the same.")
@click.option("--entra-client-secret", metavar="REFERENCE", default="", help="The same.")
@click.option("--out", type=click.Path(path_type=Path), metavar="CSV", help="Tenants file to write; never overwrites.")
@click.option("--with-unsure", is_flag=True, help="Write rows for unsure connections too, not for older ones alone.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def inventory(
    tenants: Path | None,
    auth0_domain: str,
    client_id: str,
    client_secret: str,
    cloud: str,
    entra_client_id: str,
    entra_client_secret: str,
    out: Path | None,
    with_unsure: bool,
    as_json: bool,
) -> None:
    """Find every waad connection of an Auth0 tenant, and write a tenants file to start from. Changes nothing.

    Example: python -m runbook_lib inventory --auth0-domain acme.eu.auth0.com --client-id aBcD --client-secret env:AUTH0_SECRET
    --out tenants.csv

    With a tenants file in place of the options, its rows say how to sign in: python -m runbook_lib inventory tenants.csv
    """
    from runbook_lib.batch import inventory as listing
    from runbook_lib.errors import RunbookError, SettingsError, StepBlocked

    auth0 = {"auth0_domain": auth0_domain, "auth0_client_id": client_id, "auth0_client_secret": client_secret, "cloud": cloud}
    entra = {"entra_client_id": entra_client_id, "entra_client_secret": entra_client_secret}
    try:
        if out:
            listing.refuse_existing(out)
        settings = listing.sign_in_of({name: value for name, value in (auth0 | entra).items() if value}, tenants)
        _say(f"Reading the waad connections of {settings.auth0_domain} ...")
        found = listing.take_inventory(settings)
        kinds = ("older", "unsure") if with_unsure else ("older",)
        rows = [one for one in found if one.verdict.kind in kinds]
        if out:
            listing.write_new(out, listing.tenants_csv(rows, settings))
    except RunbookError as wrong:
        _say(str(wrong))
        sys.exit(2 if isinstance(wrong, SettingsError) else 3 if isinstance(wrong, StepBlocked) else 1)
    if as_json:
        result = {"auth0_domain": settings.auth0_domain, "connections": [listing.as_json(one) for one in found]}
        click.echo(scrubber.scrub(json.dumps(result, ensure_ascii=False)))
    else:
        click.echo(scrubber.scrub(listing.table(found)))
    counts = ", ".join(f"{sum(one.verdict.kind == kind for one in found)} {kind}" for kind in ("older", "newer", "unsure"))
    _say(f"{len(found)} waad connections: {counts}.")
    if out:
        left = listing.left_open(settings)
        _say(f"{out}: {len(rows)} rows, turn_on is no. Fill in {', '.join(left)}; then: python -m runbook_lib run {out}")


@main.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="Written when the sandbox serves.")
@click.option("--tenants", default=0, show_default=True, help="This many more tenants like `fresh`.")
@click.option("--seed", default=7, show_default=True, help="Ids and secrets follow from it.")
@click.option("--port", default=0, help="First of four ports; any free ones otherwise.")
def sandbox(ready_file: Path | None, tenants: int, seed: int, port: int) -> None:
    """Run the sandbox in the foreground.

    Example: python -m runbook_lib sandbox --ready-file /tmp/ready.json
    """
    from runbook_lib.sandbox.server import serve_forever

    serve_forever(ready_file=ready_file, tenants=tenants, seed=seed, port=port)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--fleet", is_flag=True, help="Open the page for many tenants, in place of the one for one.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the page and what it leaves.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def lab(fleet: bool, out: Path | None, options: tuple[str, ...]) -> None:
    """Open a copy of the runbook in JupyterLab, a sandbox running beside it. OPTIONS are JupyterLab's own.

    Example: python -m runbook_lib lab --no-browser
    """
    import subprocess
    import tempfile

    from runbook_lib.batch.one_tenant import NOTEBOOK
    from runbook_lib.lab import SCRATCH_PARENT, START, START_FLEET, copy_without_outputs, lab_command, lab_variables
    from runbook_lib.sandbox.process import launched
    from runbook_lib.settings import with_sandbox

    source = NOTEBOOK.with_name("fleet.ipynb") if fleet else NOTEBOOK
    page = _new_folder(out) / source.name
    copy_without_outputs(source, page)
    with tempfile.TemporaryDirectory(prefix="scim-", dir=SCRATCH_PARENT) as scratch:
        ready = Path(scratch) / "ready.json"
        environment = with_sandbox(ready, page.parent)
        environment |= lab_variables(Path(scratch), environment, START_FLEET if fleet else START)
        with subprocess.Popen(lab_command(page, options), env=environment) as server:  # noqa: S603 - our own command
            try:
                with launched(ready):  # beside Jupyter, which takes as long to start
                    sys.exit(server.wait())
            finally:
                server.terminate()


@main.command()
@click.argument("run_dirs", type=click.Path(path_type=Path, exists=True, file_okay=False), nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the summary; the run's own when there is one run.")
def report(run_dirs: tuple[Path, ...], out: Path | None) -> None:
    """Rebuild a run's summary and reports from its journals, or make one summary of several runs, such as the shards of a fleet.

    Example: python -m runbook_lib report outputs/20261124-101500-000000

    Example: python -m runbook_lib report shard-0/* shard-1/* --out all
    """
    from runbook_lib.batch.command import merged
    from runbook_lib.batch.summary import write_summary
    from runbook_lib.errors import JournalFailed, RunbookError
    from runbook_lib.report import exit_code, rebuild_report

    if len(run_dirs) > 1 and out is None:
        _say("A summary of several runs needs a folder of its own: give --out.")
        sys.exit(2)
    try:
        outcomes = merged(run_dirs)
    except RunbookError as wrong:
        _say(str(wrong))
        sys.exit(2)
    for outcome in outcomes:
        with contextlib.suppress(JournalFailed):  # the outcome says so
            rebuild_report(outcome.folder / "journal.jsonl", (outcome.status, outcome.about))
    write_summary(out or run_dirs[0], outcomes)
    for outcome in outcomes:
        click.echo(f"{outcome.name:<24} {outcome.status:<12} {_shown(outcome.about)}")
    sys.exit(exit_code(outcome.status for outcome in outcomes))


@main.command()
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--mode", type=click.Choice(["plan", "apply"]), default="plan", show_default=True, help="plan writes nothing.")
@click.option("--only", metavar="NAME", multiple=True, help="Only this tenant; may be given again.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def undo(run_dir: Path, mode: str, only: tuple[str, ...], as_json: bool) -> None:
    """Take back what one run made, in reverse: the job is stopped first. Says what cannot be undone.

    Example: python -m runbook_lib undo outputs/20261124-101500-000000 --mode apply
    """
    from runbook_lib.batch.taking_back import undo_run
    from runbook_lib.errors import SettingsError
    from runbook_lib.report import ICONS, exit_code
    from runbook_lib.settings import RunMode

    try:
        results = undo_run(run_dir, RunMode(mode), only, _say)
    except SettingsError as wrong:
        _say(str(wrong))
        sys.exit(2)
    if as_json:
        click.echo(scrubber.scrub(json.dumps(results)))
    else:
        for result in results:
            click.echo()
            click.echo(_shown(f"{result['name']}: {result['status']}: {result['about']}"))
            for row in result["steps"]:
                line = f"  {ICONS[row['status']]} {row['status']:<10} {row['title']}. {row['reason']} {row['remedy']}"
                click.echo(_shown(line.rstrip()))
                for diff in row["diffs"]:
                    line = f"      {diff['field']}: {diff['before'] or '(nothing)'} -> {diff['after'] or '(nothing)'}"
                    click.echo(_shown(line))
        click.echo("\nNothing was written: add --mode apply to carry it out." if mode == "plan" else "")
    sys.exit(exit_code(result["status"] for result in results))


if __name__ == "__main__":
    main()
