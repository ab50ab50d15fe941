"""Rows as HTML that escapes what tenants call things, as plain text, and as pandas tables to work on.

pandas makes its tables when somebody asks for them: its own HTML of a page's tables took a tenth of the page's processor time,
and to have it imported a third of its memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runbook_lib.change import Table
from runbook_lib.engine import StepResult
from runbook_lib.visible import as_html, visible

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame

ROWS_SHOWN = 200  # of a table on a page; ten thousand would be megabytes that nobody scrolls through
_LEFT = ' style="text-align: left"'  # JupyterLab sets cells to the right, as for numbers; what is here is words


def tables_of(result: StepResult) -> tuple[Table, ...]:
    """Return what a step's result has to show as tables: its changes, its evidence, what somebody else has to click."""
    rows = tuple((diff.on, diff.field, diff.before, diff.after) for diff in result.diffs)
    changes = (Table("Changes", ("on", "field", "before", "after"), rows),) if rows else ()
    clicks = (result.handover.table(),) if result.handover is not None and result.handover.clicks else ()
    return (*changes, *result.tables, *clicks)


def frames(tables: Iterable[Table]) -> tuple[DataFrame, ...]:
    """Return tables as DataFrames of texts, one row for each of theirs; what nobody would see is shown as escapes."""
    import pandas as pd

    shown = (([tuple(map(visible, row)) for row in table.rows], list(table.columns)) for table in tables)
    return tuple(pd.DataFrame(rows, columns=columns, dtype="object") for rows, columns in shown)


def html(table: Table) -> str:
    """Return a table as HTML, every cell escaped, and nothing in it a formula; of a very long one the beginning."""
    rows = "\n".join(_row("td", row) for row in _beginning(table))
    head = _row("th", table.columns)
    return f'<div style="overflow-x:auto"><table>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _row(kind: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{kind}{_LEFT}>{as_html(cell)}</{kind}>' for cell in cells)}</tr>"


def _beginning(table: Table) -> tuple[tuple[str, ...], ...]:
    """Return the rows that are shown, the last of them saying how many are not."""
    left = len(table.rows) - ROWS_SHOWN
    if left <= 0:
        return table.rows
    rest = (f"… and {left:,} more", "all are in results.json", *[""] * len(table.columns))
    return (*table.rows[:ROWS_SHOWN], rest[: len(table.columns)])


def text(table: Table) -> str:
    """Return a table as plain text, set left; of a very long one the beginning."""
    rows = [tuple(map(visible, row)) for row in (table.columns, *_beginning(table))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
