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
    lines = [f"{name}: {value}" for name, value in sorted(figures.items())]
    for line in lines:
        terminalreporter.write_line(line)
    if config.getoption("--full"):
        KEPT.write_text("\n".join(lines) + "\n", encoding="utf-8")
        terminalreporter.write_line(f"kept in {KEPT}")
