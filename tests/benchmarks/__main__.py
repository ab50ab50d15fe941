"""Compare ways to carry out many tenants, by one command: .venv/bin/python -m tests.benchmarks

Contestants take turns within a round, so that a machine that gets slower gets slower for all; every output of every run is
verified. Prints Markdown, as tests/benchmarks/README.md has it.
"""

from __future__ import annotations

import itertools
import platform
import statistics
import sys
from datetime import UTC, datetime

import click
import psutil

from tests.benchmarks import fleets
from tests.benchmarks.assignments import assignments
from tests.benchmarks.interactive import interactive
from tests.benchmarks.measuring import Bench, Measured
from tests.benchmarks.outage import KINDS, SERVICES, outage

RATIOS = (
    # what is divided by what, at which delay, at how many in flight, what it must reach
    ("ours", "floor", 100, "at most 1"),
    ("ours", "floor", 250, "at most 0.7"),
    ("loop", "ours", 0, "at least 15"),
    ("pool", "ours", 0, "at least 8"),
)


_CONTESTANTS = ((0, ("floor", "ours", "pool", "loop")), (100, ("floor", "ours")), (250, ("floor", "ours")))


@click.command()
@click.option(
    "--quick", is_flag=True, help="One round of floor and ours at 100 and 250 ms, and the page's wait: under five minutes."
)
@click.option("--page/--no-page", default=True, show_default=True, help="How long a person at a page waits.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--tenants", default=40, show_default=True)
@click.option("--jobs", default=16, show_default=True, help="Tenants in flight, of the floor and of ours.")
@click.option(
    "--delay", "delays", type=click.Choice(["0", "100", "250"]), multiple=True, default=["0", "100", "250"], help="ms a request."
)
@click.option("--speed/--no-speed", default=True, show_default=True)
@click.option("--memory/--no-memory", default=True, show_default=True)
@click.option("--many", default=0, show_default=True, help="Also compare the parent's memory at 300 and at so many tenants.")
@click.option("--faulty", default=0, help="Also carry out so many tenants in bad weather, three of them bad.")
@click.option("--outage", "outages", default=0, help="Also plan so many tenants, and one, while a service does not answer.")
@click.option("--paced", default=0, help="Also plan so many tenants at 2 requests a second, with 10 at once and with 2.")
@click.option("--by-plan", default=0, help="Also apply the procedure to so many on a plan with a limit for each kind of request.")
@click.option(
    "--assign", "counts", type=int, multiple=True, help="Also assign so many people on one tenant; again: one after another."
)
def main(
    rounds: int,
    tenants: int,
    jobs: int,
    delays: tuple[str, ...],
    *,
    quick: bool,
    page: bool,
    speed: bool,
    memory: bool,
    many: int,
    counts: tuple[int, ...],
    faulty: int,
    outages: int,
    paced: int,
    by_plan: int,
) -> None:
    """Measure, and print the results as Markdown."""
    load = psutil.getloadavg()[0]
    _say(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {psutil.cpu_count()} cores, Python {platform.python_version()}, ")
    _say(f"{platform.system()} {platform.release()}, load before {load:.1f}; {tenants} tenants planned, {jobs} in flight\n")
    if quick:
        rounds, delays, memory = 1, ("100", "250"), False
    if page:
        interactive(_say)
    if speed:
        with Bench.opened(tenants) as bench:
            for delay_ms, names in _CONTESTANTS:
                if str(delay_ms) in delays:
                    _speed(bench, delay_ms, names, rounds, tenants, jobs)
    if memory:
        with Bench.opened(tenants) as bench:
            bench.control("POST", "/pressure", {"delay_s": 0.1})
            peak = bench.measured("ours", tenants, jobs, with_memory=True)
            assert peak.peak_pss_mb is not None
            _say(f"| memory | peak {peak.peak_pss_mb:.0f} MB, {peak.peak_pss_mb / jobs:.0f} MB a tenant in flight |\n")
    if many:
        for count in (300, many):
            with Bench.opened(count) as bench:
                grown = bench.measured("ours", count, jobs, with_memory=True)
                _say(f"| parent at {count} tenants, to the end of its summary | {grown.parent_mb:.0f} MB at its highest, ")
                _say(f"{grown.wall_s:.0f} s, CPU {1000 * grown.cpu_s / count:.0f} ms a tenant |\n")
    if counts:
        assignments(counts, _say)
    _outages(outages, jobs)
    _weather(faulty, paced, by_plan, jobs)


def _weather(faulty: int, paced: int, by_plan: int, jobs: int) -> None:
    if faulty:
        seen = fleets.faulty(faulty, jobs)
        _say(f"\n| {faulty} tenants in bad weather | {seen.statuses}, faults {seen.faults}, started {len(seen.started)}, ")
        _say(f"resumed {seen.resumed}, touched then {sorted(seen.touched)}, files with secrets {len(seen.secrets_found)} |\n")
        _say("".join(f"| {name} | {about} |\n" for name, about in seen.explained.items()))
    for burst in (10, 2) if paced else ():
        _held(f"{paced} tenants planned at 2 requests a second, {burst} at once", fleets.paced(paced, burst=burst))
    if by_plan:
        _held(f"{by_plan} tenants applied on essentials, requests about connections", fleets.paced_by_kind(by_plan))


def _held(what: str, held: fleets.Paced) -> None:
    figures = f"{held.requests} requests in {held.span_s:.0f} s, {held.refused} refused, {held.wasted:.1%} of the limit wasted"
    _say(f"| {what} | {figures} |\n")


def _outages(tenants: int, jobs: int) -> None:
    for count in (1, tenants) if tenants else ():
        for service, kind in itertools.product(SERVICES, KINDS):
            cost = outage(kind, count, jobs, service)
            figures = f"{cost.requests} requests, {cost.wall_s:.0f} s, {cost.begun} begun, {cost.statuses}, exit {cost.exit_code}"
            untold = f", not told: {', '.join(cost.untold)}" if cost.untold else ""
            _say(f"| {count} tenants, {service} is {kind} | {figures}{untold} |\n")


def _speed(bench: Bench, delay_ms: int, names: tuple[str, ...], rounds: int, tenants: int, jobs: int) -> None:
    bench.control("POST", "/pressure", {"delay_s": delay_ms / 1000})
    runs: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(1, rounds + 1):
        for name in names:
            runs[name].append(bench.measured(name, tenants, jobs))
            sys.stderr.write(f"{delay_ms} ms, round {number}, {name}: {runs[name][-1].wall_s:.2f} s\n")
    _say(f"\n| {delay_ms} ms | wall s | CPU s a tenant | of the sandbox's a tenant |\n|---|---|---|---|\n")
    for name, measured in runs.items():
        walls = _range([one.wall_s for one in measured])
        cpu, served = ([value(one) / tenants for one in measured] for value in (_cpu_s, _served_s))
        _say(f"| {name} | {walls} | {_range(cpu, 3)} | {_range(served, 3)} |\n")
    for top, bottom, at_ms, wanted in RATIOS:
        if at_ms == delay_ms:
            ratios = [a.wall_s / b.wall_s for a, b in zip(runs[top], runs[bottom], strict=True)]
            each = " ".join(f"{ratio:.2f}" for ratio in ratios)
            _say(f"| {top} / {bottom} | {_range(ratios)} | each round: {each} | must be {wanted} |\n")


def _cpu_s(one: Measured) -> float:
    return one.cpu_s


def _served_s(one: Measured) -> float:
    return one.served_s


def _range(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}–{max(values):.{digits}f}]"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
