"""Tables as pandas DataFrames that show what changes, as HTML that escapes what tenants call things, and as plain text.

pandas comes when the first table is shown: its import takes longer than a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from runbook_lib.core.display import as_html, visible, without_maths
from runbook_lib.engine.result import StepResult
from runbook_lib.engine.values import Table
from runbook_lib.settings.process import is_own_runner
from runbook_lib.tenant.forecast.values import PersonForecast

if TYPE_CHECKING:
    from pandas import DataFrame as DataFrame
    from pandas.io.formats.style_render import CSSDict

ROWS_SHOWN = 200  # of a table on a page; ten thousand would be megabytes
_WIDEST = 100  # characters that a column of plain text is filled up to; one long text would put blanks into all rows
_LEFT = "text-align: left"  # JupyterLab aligns cells to the right, as for numbers; these cells hold words
_PAIRS = (("before", "after"), ("found", "wanted"), ("source before", "source after"), ("precedence before", "precedence after"))
_REMARKS = ("compared with the default", "changed here")  # columns whose texts show a difference
_OLD, _NEW = "color: #6e7781; text-decoration: line-through", "color: #1a7f37; font-weight: 600"
_REMARK = "color: #8a4b00; font-weight: 600"
_PEOPLE = (
    "person",
    "object_id",
    "upn",
    "mail",
    "in_scope",
    "auth0_user",
    "matched_by",
    "fate",
    "changes",
    "certainty",
    "reading",
)


def tables_of(result: StepResult) -> tuple[Table, ...]:
    """Return the tables of a step's result: its changes, its evidence, and what the other administrator has to click."""
    rows = tuple((diff.on, diff.field, diff.before, diff.after) for diff in result.diffs)
    changes = (Table("Changes", ("on", "field", "before", "after"), rows),) if rows else ()
    clicks = (result.handover.table(),) if result.handover is not None and result.handover.clicks else ()
    return (*changes, *result.tables, *clicks)


def frames(tables: Iterable[Table]) -> tuple[DataFrame, ...]:
    """Return tables as DataFrames of texts, one row for each of theirs; invisible characters are shown as escapes."""
    return tuple(_frame(table.columns, table.rows) for table in tables)


def frame_of_people(people: Iterable[PersonForecast]) -> DataFrame:
    """Return the fates of people as a DataFrame of texts: one row a person, in the order given, columns as in forecast.csv."""
    return _frame(_PEOPLE, [_person(person) for person in people])


def _person(one: PersonForecast) -> tuple[str, ...]:
    scope = one.scope_reason if one.in_scope else f"no: {one.scope_reason}"
    changes = "; ".join(map(str, one.changes))
    known = (one.person, one.object_id, one.upn, one.mail or "", scope, ", ".join(one.auth0_users), one.matched_by)
    return (*known, str(one.fate), changes, str(one.certainty), one.reading)


def _frame(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> DataFrame:
    import pandas as pd

    return pd.DataFrame([tuple(map(visible, row)) for row in rows], columns=list(columns), dtype="object")


def shown(table: Table, name: str, colours: Sequence[tuple[int, int, str]] = ()) -> str:
    """Return a table as a page shows it: its DataFrame, see `styled`.

    Under the runner of this package it is HTML of the same text and colours: there pandas would take 18 MB for each tenant in
    flight and a tenth of a page's processor time (tests/benchmarks/README.md). `session.frames` gives the DataFrames there too.
    """
    return html(table, (*_marks(table), *colours)) if is_own_runner() else styled(table, name, colours)


def styled(table: Table, name: str, colours: Sequence[tuple[int, int, str]] = ()) -> str:
    """Return a table's DataFrame as HTML, what changes in it coloured and its text escaped; of a very long one the beginning.

    `name` is unique on the page and the same in each run: the colours are found by it. `colours` are further cells, as (row,
    column, CSS). No text in it starts a formula.
    """
    from pandas.io.formats.style import Styler

    frame = _frame(table.columns, _beginning(table))
    marks = frame.copy()
    marks[:] = ""
    for row, column, css in (*_marks(table), *colours):
        if row < ROWS_SHOWN:
            marks.iat[row, column] = css
    left: CSSDict = {"selector": "th, td", "props": [("text-align", "left"), ("vertical-align", "top"), ("max-width", "40em")]}
    # As wide as its words: a column of many changes would else be squeezed to one word a line, and its row to a hand's height.
    wide: CSSDict = {"selector": "", "props": [("width", "max-content")]}
    page = (
        Styler(frame, uuid=name, cell_ids=False, escape="html")
        .hide(axis="index")
        .format_index(escape="html", axis=1)
        .set_table_attributes('class="dataframe"')
        .set_table_styles([wide, left])
        .apply(lambda _whole: marks, axis=None)
        .to_html()
    )
    return f'<div style="overflow-x:auto">{without_maths(page)}</div>'


def _marks(table: Table) -> Iterator[tuple[int, int, str]]:
    """Yield the cells that show a change, as (row, column, CSS)."""
    place = {column: number for number, column in enumerate(table.columns)}
    pairs = [(place[old], place[new]) for old, new in _PAIRS if old in place and new in place]
    remarks = [place[column] for column in _REMARKS if column in place]
    for number, row in enumerate(table.rows[:ROWS_SHOWN]):
        for old, new in pairs:
            if row[old] != row[new]:
                yield from ((number, old, _OLD), (number, new, _NEW))
        yield from ((number, column, _REMARK) for column in remarks if row[column])


def html(table: Table, colours: Iterable[tuple[int, int, str]] = ()) -> str:
    """Return a table as HTML, every cell escaped, and nothing in it a formula; of a very long one the beginning.

    `colours` are cells, as (row, column, CSS).
    """
    styles: dict[int, dict[int, str]] = {}
    for number, column, css in colours:
        styles.setdefault(number, {})[column] = css
    rows = "\n".join(_row("td", row, styles.get(number, {})) for number, row in enumerate(_beginning(table)))
    head = _row("th", table.columns, {})
    return f'<div style="overflow-x:auto"><table>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>'


def _row(kind: str, cells: Iterable[str], styles: Mapping[int, str]) -> str:
    """Return a row; `styles` are the CSS of some of its cells by column."""
    made = (f'<{kind} style="{_LEFT}{_more(styles.get(n))}">{as_html(cell)}</{kind}>' for n, cell in enumerate(cells))
    return f"<tr>{''.join(made)}</tr>"


def _more(css: str | None) -> str:
    return f"; {css}" if css else ""


def _beginning(table: Table) -> tuple[tuple[str, ...], ...]:
    """Return the rows to show; the last row says how many rows are left out."""
    left = len(table.rows) - ROWS_SHOWN
    if left <= 0:
        return table.rows
    rest = (f"… and {left:,} more", "all are in results.json", *[""] * len(table.columns))
    return (*table.rows[:ROWS_SHOWN], rest[: len(table.columns)])


def text(table: Table) -> str:
    """Return a table as plain text, set left; of a very long one the beginning."""
    rows = [tuple(map(visible, row)) for row in (table.columns, *_beginning(table))]
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
