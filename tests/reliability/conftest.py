"""Tests as measurements: each records its figures, which are printed at the end of the run.

A test takes its number of trials from `trials`: a fixed sample as a rule, all of them with `--full`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

FIGURES = pytest.StashKey[dict[str, str]]()
KEPT = Path(__file__).parent / "figures.txt"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Record a figure: figure("random runs that did not converge", "0 of 2,000")."""
    figures = request.config.stash.setdefault(FIGURES, {})

    def record(name: str, value: object) -> None:
        figures[name] = str(value)

    return record


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How many trials to make: trials(sample, all_of_them)."""
    is_full = bool(request.config.getoption("--full"))
    return lambda sample, everything: everything if is_full else sample


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures; keep them in a file where everything was measured."""
    figures = config.stash.get(FIGURES, {})
    if not figures:
        return
    terminalreporter.section("measured")
    for name, value in sorted(figures.items()):
        terminalreporter.write_line(f"{name}: {value}")
    if config.getoption("--full"):
        keep(figures)
        terminalreporter.write_line(f"kept in {KEPT}")


def keep(figures: dict[str, str]) -> None:
    """Put figures in place of those of the same name; a run of a part of the tests leaves the other figures alone.

    Names hold colons, and so do values.
    """
    before = KEPT.read_text(encoding="utf-8").splitlines() if KEPT.exists() else []
    everything = dict(line.split(" = ", 1) for line in before) | figures
    KEPT.write_text("".join(f"{name} = {value}\n" for name, value in sorted(everything.items())), encoding="utf-8")
