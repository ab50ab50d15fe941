"""Tables as Excel, Numbers, LibreOffice and PowerShell save them: which encoding, which delimiter, which lines are no rows."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from runbook_lib.core.errors import SettingsError
from runbook_lib.settings.code_pages import decoded

SIZE_LIMIT = 5_000_000
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r"\ufeff?sep=(.)\r?\n?", re.IGNORECASE)
_WORKBOOKS = {b"PK\x03\x04": "a workbook (Excel, LibreOffice or Numbers)", b"\xd0\xcf\x11\xe0": "a workbook of old Excel"}
_OTHERS = {
    "<": "HTML or XML",
    "{\\rtf": "RTF",
    "{": "JSON",
    "[[": "TOML",
    "[": "JSON",
    "%PDF": "a PDF",
    "- ": "YAML",
    "---": "YAML",
    "tenants:": "YAML",
}
_OF_DOS = "\x1a"  # ends a text of MS-DOS
_TITLE_LINES = 5
AS_CSV = "Save it as CSV UTF-8 (comma delimited)"


def text_of(path: Path) -> str:
    """Return the text of a regular file. Raises `SettingsError` for a pipe, a folder, a workbook, or a file that is too large."""
    try:
        if path.exists() and not path.is_file():  # a folder, or a pipe or device that would be read without end
            raise SettingsError(f"{path} cannot be read (it is not a regular file)", "Name a CSV or YAML file")
        with path.open("rb") as opened:
            octets = opened.read(SIZE_LIMIT + 1)
    except OSError as unreadable:
        raise SettingsError(f"{path} cannot be read ({unreadable.strerror})", "Check the path") from None
    if len(octets) > SIZE_LIMIT:
        raise SettingsError(f"{path.name} is larger than {SIZE_LIMIT} bytes", "Split it")
    for mark, kind in _WORKBOOKS.items():
        if octets.startswith(mark):
            raise SettingsError(f"{path.name} is {kind}, not text", AS_CSV)
    return _decoded(octets, path.name)


def _decoded(octets: bytes, name: str) -> str:
    if octets.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise SettingsError(f"{name} is UTF-32", AS_CSV)
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")) or 3 * octets.count(0) >= len(octets) > 0:
        return _utf_16(octets, name)
    if 0 in octets:
        raise SettingsError(f"{name} holds a NUL byte", "Save it as UTF-8 text")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        if (text := decoded(octets)) is not None:
            return text
        row = octets[: broken.start].count(b"\n") + 1
        raise SettingsError(f"{name} is not UTF-8", AS_CSV, row=row) from None


def _utf_16(octets: bytes, name: str) -> str:
    """Decode what Excel calls Unicode text, and Windows PowerShell's default; without a mark, its zeros tell the order."""
    has_mark = octets.startswith((b"\xff\xfe", b"\xfe\xff"))
    order = "utf-16" if has_mark else "utf-16-le" if octets[1::2].count(0) >= octets[::2].count(0) else "utf-16-be"
    try:
        return octets.decode(order).replace("\0", "\ufffd")
    except UnicodeDecodeError:
        raise SettingsError(f"{name} is cut UTF-16", "Save it again as UTF-8 text") from None


def rows_of(text: str, known: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with its number as a spreadsheet shows it. The first has the columns' names.

    A spreadsheet counts records, not lines, and does not show Excel's first line `sep=;`. PowerShell's `#TYPE` line and other
    comments are left out. The delimiter is the one that divides the header into most of the `known` names. Columns without a
    name and without a value are left out; spreadsheets write them where a cell was used once. Raises `SettingsError`.
    """
    for mark, kind in _OTHERS.items():
        if text.lstrip("\ufeff \t\r\n").startswith(mark):
            do_now = {"YAML": "Name it .yaml", "JSON": f"{AS_CSV}, or name it .yaml: YAML takes JSON too"}.get(kind, AS_CSV)
            raise SettingsError(f"the file holds {kind} instead of a table", do_now)
    said = _SEPARATOR.match(text)
    body = (text[said.end() :] if said else text.removeprefix("\ufeff")).removesuffix(_OF_DOS)
    delimiter = said[1] if said else _delimiter(body, known)
    rows: list[tuple[int, list[str]]] = []
    number = 0
    try:
        for number, record in enumerate(csv.reader(io.StringIO(body, newline=""), delimiter=delimiter, strict=True), start=1):
            cells = [cell.strip() for cell in record]
            if any(cells) and not _is_comment(cells, is_first=not rows):
                rows.append((number, cells))
    except csv.Error as broken:
        raise SettingsError(f"the CSV cannot be read: {broken}", "Check the quotes", row=number + 1) from None
    found = _without_empty_columns(_from_header(rows, known))
    _check_header(found, known)
    return found


def _is_comment(cells: Sequence[str], *, is_first: bool) -> bool:
    return (is_first and cells[0].startswith("#TYPE")) or (cells[0].startswith("#") and not any(cells[1:]))


def _from_header(rows: list[tuple[int, list[str]]], known: Sequence[str]) -> list[tuple[int, list[str]]]:
    """Leave out the title that Numbers and reports write above the header: that is the first line with two of the names."""
    for place, (_, cells) in enumerate(rows[:_TITLE_LINES]):
        if sum(column_name(cell) in known for cell in cells) >= 2:
            return rows[place:]
    return rows


def _delimiter(text: str, known: Sequence[str]) -> str:
    lines = [line for line in text.splitlines()[:_TITLE_LINES] if line.strip()]

    def named(delimiter: str) -> int:
        return max((sum(column_name(cell) in known for cell in line.split(delimiter)) for line in lines), default=0)

    return max(_DELIMITERS, key=lambda delimiter: (named(delimiter), delimiter == ","))


def _check_header(rows: list[tuple[int, list[str]]], known: Sequence[str]) -> None:
    """Raise `SettingsError` for a first row that names no column, which says less than the list of what it holds instead."""
    if not rows or any(column_name(cell) in known for cell in rows[0][1][1:]):
        return
    number, cells = rows[0]
    if len(cells) == 1 and sum(name in cells[0] for name in known) > 1:
        raise SettingsError("the first row is one cell: neither comma, semicolon, tab nor | divides it", AS_CSV, row=number)
    if sum(column_name(row[0]) in known for _, row in rows if row) > 2:
        raise SettingsError(
            "the names of the columns stand below one another", "Turn the table: one row for each tenant", row=number
        )
    if len(cells) > 1 and column_name(cells[0]) not in known:
        raise SettingsError("the first row names no column", f"Write the names into it: {', '.join(known)}", row=number)


def _without_empty_columns(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Leave out columns without a name, and empty cells behind the last. Raises `SettingsError` for one with values."""
    if not rows:
        return rows
    header = rows[0][1]
    unnamed = {place for place, cell in enumerate(header) if not cell}
    for number, cells in rows:
        if any(cell for place, cell in enumerate(cells) if place in unnamed):
            raise SettingsError("a column has values but no name", "Give the column a name or remove its values", row=number)
    cut = [(number, cells if any(cells[len(header) :]) else cells[: len(header)]) for number, cells in rows]
    return [(number, [cell for place, cell in enumerate(cells) if place not in unnamed]) for number, cells in cut]


def column_name(cell: str) -> str:
    """Return a header's cell as the name it means: `Auth0 Domain` is auth0_domain, whatever spaces it was typed with."""
    bare = unicodedata.normalize("NFKC", cell).strip(" \t\"'\u200b\ufeff\u201c\u201d\u2018\u2019")
    return re.sub(r"[\s_-]+", "_", bare).lower()
