"""Dates in .NET's custom formats, as FormatDateTime takes them.

Sources: learn.microsoft.com, custom date and time formats; dotnet/runtime, DateTimeParse.cs (hours of two halves of the day).
"""

from __future__ import annotations

import re
from datetime import datetime

from runbook_lib.tenant.forecast.expressions import CannotTell

_SPECIFIER = re.compile(r"(y+|M+|d+|H+|h+|m+|s+|f+|F+|t+|z+|K|'[^']*'|\\.|.)", re.DOTALL)
_READ = {  # by specifier what it reads; an invariant culture, so names of days and months are left out
    "yyyy": r"(?P<y>\d{4})",
    "MM": r"(?P<m>\d\d)",
    "M": r"(?P<m>\d\d?)",
    "dd": r"(?P<d>\d\d)",
    "d": r"(?P<d>\d\d?)",
    "HH": r"(?P<H>\d\d)",
    "H": r"(?P<H>\d\d?)",
    "hh": r"(?P<h>\d\d)",
    "h": r"(?P<h>\d\d?)",
    "mm": r"(?P<M>\d\d)",
    "ss": r"(?P<S>\d\d)",
    "tt": r"(?P<half>AM|PM)",
    "zzz": r"(?P<zone>[+-]\d\d:\d\d)",
    "K": r"(?P<zone>Z|[+-]\d\d:\d\d)?",
}
_LITERAL = frozenset("-/:., TZ")  # stand for themselves; a colon and a slash do so in the invariant culture


def reformatted(text: str, read_as: str, written_as: str) -> str:
    """Return a date text in another format. Raises `CannotTell` where the text does not fit, or for a specifier not known."""
    return _written(_read(text, read_as), written_as)


def _specifiers(form: str) -> list[str]:
    if len(form) < 2:
        raise CannotTell(f"{form!r} is a standard format, whose result depends on a culture")
    return _SPECIFIER.findall(form)


def _read(text: str, form: str) -> datetime:
    parts = []
    for piece in _specifiers(form):
        if re.fullmatch(r"f+", piece):
            parts.append(rf"\d{{{len(piece)}}}")
        elif piece in _READ:
            parts.append(_READ[piece])
        else:
            parts.append(re.escape(_literal(piece, form)))
    try:
        match = re.fullmatch("".join(parts), text, re.ASCII)
    except re.error:
        raise CannotTell(f"the format {form!r} names a part twice") from None
    if match is None or not {"y", "m", "d"} <= match.groupdict().keys():
        raise CannotTell(f"{text!r} is no date of the format {form!r}")
    return _time(match.groupdict(), text)


def _time(parts: dict[str, str | None], text: str) -> datetime:
    hour = _hour(parts, text)
    zone = parts.get("zone")
    if zone and zone != "Z":
        # Unverified by the reference page: RoundtripKind keeps the time as written, or turns it into the service's own zone.
        raise CannotTell(f"what FormatDateTime does with the zone of {text!r} is not documented")
    try:
        year, month, day = (int(parts[name] or 0) for name in ("y", "m", "d"))
        return datetime(year, month, day, hour, int(parts.get("M") or 0), int(parts.get("S") or 0))
    except ValueError:
        raise CannotTell(f"{text!r} is no date") from None


def _hour(parts: dict[str, str | None], text: str) -> int:
    """Return the hour of the day. Without AM or PM an hour of 12 is before noon; with H the half has to agree with the hour."""
    hour, half = int(parts.get("H") or parts.get("h") or 0), parts.get("half")
    is_late = half == "PM"
    if "h" in parts and "H" not in parts and hour <= 12:
        return hour % 12 + 12 * is_late
    if "h" in parts or (half and is_late is not (hour >= 12)):
        raise CannotTell(f"{text!r} is no date")
    return hour


def _written(time: datetime, form: str) -> str:
    hour = time.hour % 12 or 12
    written = {
        "yyyy": f"{time.year:04}",
        "yy": f"{time.year % 100:02}",
        "MM": f"{time.month:02}",
        "M": str(time.month),
        "dd": f"{time.day:02}",
        "d": str(time.day),
        "HH": f"{time.hour:02}",
        "H": str(time.hour),
        "hh": f"{hour:02}",
        "h": str(hour),
        "mm": f"{time.minute:02}",
        "ss": f"{time.second:02}",
        "tt": "PM" if time.hour >= 12 else "AM",
    }
    return "".join(written[piece] if piece in written else _literal(piece, form) for piece in _specifiers(form))


def _literal(piece: str, form: str) -> str:
    if piece[0] == "'" and len(piece) > 1:
        return piece[1:-1]
    if piece[0] == "\\" and len(piece) == 2:
        return piece[1]
    if piece in _LITERAL:
        return piece
    raise CannotTell(f"{piece!r} in the format {form!r} is not foretold here")
