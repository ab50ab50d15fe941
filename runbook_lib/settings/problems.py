"""What is wrong with a tenants file, told so that a person can correct it: equal problems once, with the rows they are in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runbook_lib.core.errors import SettingsError

KINDS = 10  # so many kinds of problems are told; a file with more is best corrected by kind
_RUNS = 6  # so many runs of rows are written out
_VERBS = ("is ", "holds ", "was ", "looks ", "names ", "does ")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in one row. `words` follow the column's name; `row` is as a spreadsheet shows it.

    `hint` is what to do where that is not plain; `meant` is what may have been meant in this row.
    """

    row: int
    column: str
    words: str
    hint: str = ""
    meant: str = ""


def together(problems: Sequence[Problem], correct_it: str) -> SettingsError:
    """Return one error for all: that of the only problem, else one line for each kind, `KINDS` at most."""
    kinds: dict[tuple[str, str, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda one: one.row):
        kinds.setdefault((problem.column, problem.words, problem.hint), []).append(problem)
    if len(problems) == 1:
        [one] = problems
        return SettingsError(one.words + _meant(one), one.hint or correct_it, row=one.row, column=one.column or None)
    rows = len({problem.row for problem in problems})
    shown = [_line(same) for same in list(kinds.values())[:KINDS]]
    left = [f"and {len(kinds) - KINDS} more kinds of problems"] if len(kinds) > KINDS else []
    head = f"{len(problems)} problems in {rows} rows" if rows > 1 else f"{len(problems)} problems in row {problems[0].row}"
    lines = [head, *(f"  {line}" for line in (*shown, *left)), "The whole file is refused"]
    error = SettingsError("\n".join(lines), correct_it)
    error.lines = (f"{error.attempted}: {lines[0]}", *lines[1:-1], f"{lines[-1]}. {correct_it}.")
    return error


def _line(same: Sequence[Problem]) -> str:
    first = same[0]
    hint = f". {first.hint}" if first.hint else ""
    if len(same) == 1:
        place = f"row {first.row}, column {first.column}" if first.column else f"row {first.row}"
        return f"{place}: {first.words}{_meant(first)}{hint}"
    where = f"in {len(same)} rows: {_runs([one.row for one in same])}"
    column = f"column {first.column}" if first.column else ""
    what = f"{column}{' ' if first.words.startswith(_VERBS) else ': '}{first.words}" if column else first.words
    example = next((one for one in same if one.meant), None)
    such = f". In row {example.row}: did you mean {example.meant}?" if example else ""
    return f"{what} {where}{such}{hint}"


def _meant(problem: Problem) -> str:
    return f". Did you mean {problem.meant}?" if problem.meant else ""


def _runs(rows: Iterable[int]) -> str:
    """Return numbers in words: 2 to 5, 9, 12 to 14."""
    runs: list[list[int]] = []
    for row in sorted(set(rows)):
        if runs and row == runs[-1][1] + 1:
            runs[-1][1] = row
        else:
            runs.append([row, row])
    texts = [f"{first}" if first == last else f"{first} to {last}" for first, last in runs]
    return ", ".join(texts[:_RUNS]) + (f" and {len(texts) - _RUNS} more places" if len(texts) > _RUNS else "")
