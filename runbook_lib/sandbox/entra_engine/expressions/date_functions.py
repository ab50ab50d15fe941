"""The functions of dates. Source: entra-docs functions-for-customizing-application-data; .NET custom date and time formats.

A date travels as text in the format `M/d/yyyy h:mm:ss tt`, UTC, as the page says of CDate, DateAdd and Now.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from runbook_lib.sandbox.entra_engine.expressions.values import ExpressionError, Value, number, text

Arguments = dict[str, list[Value]]
_MONTHS = tuple(calendar.month_name[1:])
_DAYS = tuple(calendar.day_name)
_TOKEN = re.compile(r"y{1,5}|M{1,4}|d{1,4}|HH?|hh?|mm?|ss?|f{1,7}|F{1,7}|tt?|z{1,3}|K|'[^']*'|\"[^\"]*\"|\\.|.", re.DOTALL)
_WRITTEN = "M/d/yyyy h:mm:ss tt"
# What .NET's invariant culture reads, as far as the page's examples and usual exports go.
_READABLE = tuple(
    f"{date}{between}{time}{zone}"
    for date in ("yyyy-MM-dd", "M/d/yyyy", "yyyy/MM/dd")
    for between, time in (
        ("", ""),
        ("T", "HH:mm:ss"),
        (" ", "HH:mm:ss"),
        (" ", "h:mm:ss tt"),
        ("T", "HH:mm:ss.F"),
        ("T", "HH:mm"),
    )
    for zone in ("", "K")
)


def written(moment: datetime) -> str:
    """Return a moment as the functions write it."""
    return formatted(moment.astimezone(UTC), _WRITTEN)


def formatted(moment: datetime, pattern: str) -> str:
    """Return a moment in a .NET custom format."""
    return "".join(_part(moment, token) for token in _TOKEN.findall(pattern))


def _part(moment: datetime, token: str) -> str:
    letter, width = token[0], len(token)
    if letter in "'\"" and width > 1:
        return token[1:-1]
    if letter == "\\":
        return token[1:]
    numbers = {"H": moment.hour, "h": moment.hour % 12 or 12, "m": moment.minute, "s": moment.second}
    if letter in numbers:
        return f"{numbers[letter]:0{width}d}"
    if letter == "y":
        return f"{moment.year % 100:0{width}d}" if width < 3 else f"{moment.year:0{width}d}"
    if letter == "M":
        return _named(moment.month, _MONTHS, width, 1)
    if letter == "d":
        return _named(moment.day, _DAYS, width, 1) if width < 3 else _DAYS[moment.weekday()][: 3 if width == 3 else None]
    return _rest(moment, letter, width, token)


def _named(value: int, names: tuple[str, ...], width: int, first: int) -> str:
    if width < 3:
        return f"{value:0{width}d}"
    return names[value - first][: 3 if width == 3 else None]


def _rest(moment: datetime, letter: str, width: int, token: str) -> str:
    fraction = f"{moment.microsecond:06d}0"[:width]
    if letter == "f":
        return fraction
    if letter == "F":
        return fraction.rstrip("0")
    if letter == "t":
        return ("AM" if moment.hour < 12 else "PM")[:width]
    if letter in "zK":
        offset = int((moment.utcoffset() or timedelta()).total_seconds() // 60)
        if letter == "K" and offset == 0:
            return "Z"
        sign, hours, minutes = "-" if offset < 0 else "+", abs(offset) // 60, abs(offset) % 60
        return f"{sign}{hours:02d}:{minutes:02d}" if letter == "K" or width == 3 else f"{sign}{hours:0{width}d}"
    return token


_PATTERNS = {
    "H": r"(?P<H>\d{1,2})",
    "h": r"(?P<h>\d{1,2})",
    "m": r"(?P<m>\d{1,2})",
    "s": r"(?P<s>\d{1,2})",
    "t": r"(?P<t>[AaPp][Mm]?)",
    "K": r"(?P<z>Z|[+-]\d{1,2}(?::?\d{2})?)",
    "z": r"(?P<z>Z|[+-]\d{1,2}(?::?\d{2})?)",
    "F": r"(?P<f>\d{0,7})",
}


def read(value: str, pattern: str) -> datetime:
    """Return the moment of a text in a .NET custom format, UTC where it names no zone. Raises `ExpressionError`."""
    expression = "".join(_pattern(token) for token in _TOKEN.findall(pattern))
    try:
        match = re.fullmatch(expression, value.strip())
    except re.error:
        match = None  # a format that names one part twice
    if match is None:
        raise ExpressionError(f"{value!r} is no date in the format {pattern!r}.")
    try:
        return _moment({name: part for name, part in match.groupdict().items() if part})
    except ValueError:
        raise ExpressionError(f"{value!r} is no date.") from None


def _pattern(token: str) -> str:
    letter, width = token[0], len(token)
    if letter in "'\"" and width > 1:
        return re.escape(token[1:-1])
    if letter == "y":
        return rf"(?P<y>\d{{{max(width, 2)}}})"
    if letter == "M":
        return r"(?P<M>\d{1,2})" if width < 3 else r"(?P<month>[A-Za-z]+)"
    if letter == "d":
        return r"(?P<d>\d{1,2})" if width < 3 else r"[A-Za-z]+"
    if letter == "f":
        return rf"(?P<f>\d{{{width}}})"
    if letter in "HhmsK" and width == 2:
        return _PATTERNS[letter].replace("{1,2}", "{2}")
    return _PATTERNS.get(letter) or re.escape(token.removeprefix("\\"))


def _moment(parts: dict[str, str]) -> datetime:
    year = int(parts.get("y", "1"))
    if len(parts.get("y", "")) == 2:
        year += 2000 if year < 50 else 1900  # .NET's window; Unverified for Entra
    month = int(parts.get("M", "1"))
    if name := parts.get("month"):
        month = 1 + next(i for i, full in enumerate((*_MONTHS, "")) if full[:3].lower() == name[:3].lower())
    hour = int(parts.get("H") or parts.get("h") or "0")
    if half := parts.get("t"):
        hour = hour % 12 + (12 if half[0] in "Pp" else 0)
    fraction = int(parts.get("f", "0").ljust(6, "0")[:6])
    found = datetime(
        year, month, int(parts.get("d", "1")), hour, int(parts.get("m", "0")), int(parts.get("s", "0")), fraction, UTC
    )
    return found.replace(tzinfo=_zone(parts.get("z", "Z"))).astimezone(UTC)


def _zone(written: str) -> timezone:
    if written == "Z":
        return UTC
    digits = written[1:].replace(":", "")
    minutes = int(digits[:2] if len(digits) > 2 else digits) * 60 + int(digits[2:] or "0" if len(digits) > 2 else "0")
    return timezone(timedelta(minutes=-minutes if written[0] == "-" else minutes))


def moment(value: Value) -> datetime:
    """Return the moment of a text in any format that CDate reads. Raises `ExpressionError`, also for null."""
    source = text(value) or ""
    for pattern in _READABLE:
        try:
            return read(source, pattern)
        except ExpressionError:
            continue
    raise ExpressionError(f"{source!r} is no date.")


def _only(arguments: Arguments, name: str) -> Value:
    return arguments.get(name.lower(), [None])[0]


def _date_add(arguments: Arguments) -> str:
    interval, amount, start = (
        text(_only(arguments, "interval")),
        number(_only(arguments, "value")),
        moment(_only(arguments, "dateTime")),
    )
    steps = {"d": 86_400, "ww": 604_800, "h": 3_600, "n": 60, "s": 1}
    try:
        if interval in steps:
            return written(start + timedelta(seconds=amount * steps[interval]))
        if interval in ("yyyy", "m"):
            return written(_months_later(start, amount * (12 if interval == "yyyy" else 1)))
    except (OverflowError, ValueError):
        raise ExpressionError("The date is outside the calendar.") from None
    raise ExpressionError(f"{interval!r} is no interval.")


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=years, month=month + 1, day=min(start.day, calendar.monthrange(years, month + 1)[1]))


def _date_diff(arguments: Arguments) -> int:
    """Return the difference as Visual Basic's function of the name counts it: whole units; weeks, months, years by the calendar.

    The page's examples agree with that: -493 weeks, -113 months, -9 years.
    """
    interval, first, second = (
        text(_only(arguments, "interval")),
        moment(_only(arguments, "date1")),
        moment(_only(arguments, "date2")),
    )
    if interval == "yyyy":
        return second.year - first.year
    if interval == "m":
        return (second.year - first.year) * 12 + second.month - first.month
    if interval == "ww":
        sundays = [day.date().toordinal() - day.isoweekday() % 7 for day in (first, second)]
        return (sundays[1] - sundays[0]) // 7
    units = {"d": 86_400, "h": 3_600, "n": 60, "s": 1}
    if interval not in units:
        raise ExpressionError(f"{interval!r} is no interval.")
    return int((second - first).total_seconds() / units[interval])


def _format_date_time(arguments: Arguments) -> str | None:
    """Read in one format, write in another. Unverified: null stays null, and a date without a zone keeps its clock."""
    source = text(_only(arguments, "source"))
    if not source:
        return None
    return formatted(read(source, text(_only(arguments, "inputFormat")) or ""), text(_only(arguments, "outputFormat")) or "")


FUNCTIONS: dict[str, Callable[[Arguments], Value]] = {
    "CDate": lambda arguments: written(moment(_only(arguments, "Expression"))),
    "DateAdd": _date_add,
    "DateDiff": _date_diff,
    "FormatDateTime": _format_date_time,
}
