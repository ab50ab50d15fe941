"""Rows as pandas tables, and those as HTML that escapes what tenants call things."""

from __future__ import annotations

import pandas as pd

from runbook_lib.change import Diff, Table
from runbook_lib.visible import visible, without_maths


def frame(table: Table) -> pd.DataFrame:
    """Return a step's table as a DataFrame of texts, one row for each of its rows; what nobody would see is shown as escapes."""
    rows = [tuple(map(visible, row)) for row in table.rows]
    return pd.DataFrame(rows, columns=list(table.columns), dtype="object")


def diff_table(diffs: tuple[Diff, ...]) -> Table:
    """Return differences as a table: what on, which field, before, after."""
    return Table("Changes", ("on", "field", "before", "after"), tuple((d.on, d.field, d.before, d.after) for d in diffs))


def html(table: Table) -> str:
    """Return a table as HTML, every cell escaped, and nothing in it a formula."""
    text = frame(table).to_html(index=False, border=0, justify="left", max_rows=None)
    return f'<div style="overflow-x:auto">{without_maths(text)}</div>'


def text(table: Table) -> str:
    """Return a table as plain text."""
    return str(frame(table).to_string(index=False, justify="left"))
