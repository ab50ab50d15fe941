"""What the mapping language takes from .NET: letter case, regular expressions, dates. Anything else is `CannotTell`.

Sources: learn.microsoft.com, .NET: regular expression language, substitutions in regular expressions, custom date and time
format strings, TextInfo.ToTitleCase; VB's DateAndTime.DateDiff, whose results the examples of the reference page have.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime, timedelta, timezone

from runbook_lib.tenant.forecast.expressions import CannotTell

# Letter case -----------------------------------------------------------------------------------------------------------

_NOT_INVARIANT = frozenset("\u0130\u0131\u017f")  # .NET leaves these three alone where no culture is given
_OWN_RULES = ("tr", "az", "lt", "el")  # languages whose letters change case by rules of their own


def lower(text: str, culture: str = "") -> str:
    """Return `text` in lower case, letter by letter, as .NET does."""
    _plain(text, culture)
    return "".join(_single(letter, letter.lower()) for letter in text)


def upper(text: str, culture: str = "") -> str:
    """Return `text` in upper case, letter by letter: a sharp s stays."""
    _plain(text, culture)
    return "".join(_single(letter, letter.upper()) for letter in text)


def _single(letter: str, changed: str) -> str:
    return letter if len(changed) != 1 or letter in _NOT_INVARIANT else changed


def _plain(text: str, culture: str) -> None:
    if culture.lower().split("-")[0] in _OWN_RULES:
        raise CannotTell(f"letters of the culture {culture} change case by rules of their own")


def title(text: str) -> str:
    """Return `text` as TextInfo.ToTitleCase makes it of lower case: an apostrophe ends no word, a digit begins none."""
    found: list[str] = []
    inside = False
    for letter in lower(text):
        is_letter = unicodedata.category(letter)[0] == "L"
        found.append(upper(letter) if is_letter and not inside else letter)
        inside = is_letter or (inside and not _ends_word(letter))
    return "".join(found)


def _ends_word(letter: str) -> bool:
    return letter != "'" and (unicodedata.category(letter)[0] in "ZPS" or unicodedata.category(letter) in ("Cc", "Cf"))


def proper(text: str, separators: str) -> str:
    """Return `text` with the first character after each separator in upper case and the others in lower case."""
    found: list[str] = []
    begins = True
    for letter in lower(text):
        found.append(upper(letter) if begins else letter)
        begins = letter in separators
    return "".join(found)


# Parts of texts, counted in UTF-16 units ---------------------------------------------------------------------------------


def length(text: str) -> int:
    """Return the length as .NET counts it: a character outside the basic plane counts twice."""
    return len(text.encode("utf-16-le")) // 2


def part(text: str, start: int, end: int) -> str:
    """Return the UTF-16 units from `start` to `end`, from 0. Raises `CannotTell` where a character would be cut in two."""
    try:
        return text.encode("utf-16-le")[2 * start : 2 * end].decode("utf-16-le")
    except UnicodeDecodeError:
        raise CannotTell("a character would be cut in two") from None


# Regular expressions -----------------------------------------------------------------------------------------------------

_NAMED = re.compile(r"\(\?<(?P<name>[A-Za-z_]\w*)>")
_FOREIGN = (  # what the two languages read differently, or only one of them reads
    (re.compile(r"\(\?P"), "a group in Python's spelling"),
    (re.compile(r"\(\?<\w*-"), "a balancing group"),
    (re.compile(r"\(\?\("), "an alternation by condition"),
    (re.compile(r"\(\?[a-z]*[ns]*-?[nx]"), "an option of .NET's own"),
    (re.compile(r"\\[pPcGNXCkuU]"), "an escape that Python lacks"),
    (re.compile(r"\[[^\]]*-\["), "a subtraction of characters"),
    (re.compile(r"(?<!\\)[*+?}]\+"), "a possessive quantifier"),
    (re.compile(r"\(\?'"), "a group named in quotes"),
)


def pattern(text: str) -> re.Pattern[str]:
    """Return a .NET regular expression as Python's. Raises `CannotTell` for what Python reads differently, or not at all."""
    plain = text.replace("\\\\", "")
    for found, what in _FOREIGN:
        if found.search(plain):
            raise CannotTell(f"the regular expression {text} holds {what}")
    python = _NAMED.sub(r"(?P<\g<name>>", text).replace("\\z", "\\Z") if "\\Z" not in plain else ""
    if not python:
        raise CannotTell(f"the regular expression {text} holds an end that Python spells otherwise")
    try:
        return re.compile(python)
    except re.error as unknown:
        raise CannotTell(f"the regular expression {text} cannot be translated ({unknown})") from None


_SUBSTITUTION = re.compile(r"\$(?:(?P<dollar>\$)|(?P<whole>&)|\{(?P<braced>\w+)\}|(?P<number>\d+)|(?P<other>[`'+_]))")


def substitute(compiled: re.Pattern[str], replacement: str, text: str) -> str:
    """Return `text` with every match replaced; `$1`, `${name}`, `$&` and `$$` are read as .NET reads them."""
    names = compiled.groupindex
    if names and len(names) != compiled.groups and re.search(r"\$\{?\d", replacement):
        raise CannotTell("groups with and without names are counted differently in .NET")

    def one(match: re.Match[str]) -> str:
        return _SUBSTITUTION.sub(lambda found: _substituted(found, match), replacement)

    return compiled.sub(one, text)


def _substituted(found: re.Match[str], match: re.Match[str]) -> str:
    if found["other"]:
        raise CannotTell(f"the substitution {found[0]} is not foretold here")
    if found["dollar"]:
        return "$"
    if found["whole"]:
        return match[0]
    name = found["braced"] or found["number"]
    try:
        return match[int(name) if name.isdigit() else name] or ""
    except IndexError:
        return found[0]  # .NET leaves a reference to no group as it stands


# Dates -------------------------------------------------------------------------------------------------------------------

_DATE = re.compile(
    r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)(?:[T ](?P<H>\d\d):(?P<M>\d\d)(?::(?P<S>\d\d)(?:\.\d+)?)?)?(?P<zone>Z|[+-]\d\d:\d\d)?"
)
_SHOWN = re.compile(r"(?P<m>\d\d?)/(?P<d>\d\d?)/(?P<y>\d{4})(?: (?P<H>\d\d?):(?P<M>\d\d):(?P<S>\d\d) (?P<half>AM|PM))?")


def date(text: str) -> datetime:
    """Return the aware UTC time of a text in ISO 8601 or in the language's own form M/d/yyyy h:mm:ss tt.

    Unverified: that a text without a zone is UTC. Raises `CannotTell` for another form.
    """
    match = _DATE.fullmatch(text.strip()) or _SHOWN.fullmatch(text.strip())
    if match is None:
        raise CannotTell(f"{text!r} is no date of a form that the reference page shows")
    parts = match.groupdict()
    hour = int(parts["H"] or 0)
    if parts.get("half"):
        hour = hour % 12 + 12 * (parts["half"] == "PM")
    try:
        time = datetime(int(parts["y"]), int(parts["m"]), int(parts["d"]), hour, int(parts["M"] or 0), int(parts["S"] or 0))
    except ValueError:
        raise CannotTell(f"{text!r} is no date") from None
    return time.replace(tzinfo=_zone(parts.get("zone"))).astimezone(UTC)


def _zone(text: str | None) -> timezone:
    if text in (None, "Z"):
        return UTC
    sign = -1 if str(text)[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(str(text)[1:3]), minutes=int(str(text)[4:6])))


def shown(time: datetime) -> str:
    """Return a time as the language shows it: M/d/yyyy h:mm:ss tt."""
    half = "PM" if time.hour >= 12 else "AM"
    return f"{time.month}/{time.day}/{time.year} {time.hour % 12 or 12}:{time.minute:02}:{time.second:02} {half}"


def later(time: datetime, interval: str, count: int) -> datetime:
    """Return the time `count` intervals later; a day that the month lacks becomes its last (DateTime.AddMonths)."""
    spans = {"d": timedelta(days=1), "ww": timedelta(weeks=1), "h": timedelta(hours=1)}
    spans |= {"n": timedelta(minutes=1), "s": timedelta(seconds=1)}
    if interval in spans:
        return time + count * spans[interval]
    if interval not in ("yyyy", "m"):
        raise CannotTell(f"the interval {interval!r} is not documented")
    months = time.year * 12 + time.month - 1 + count * (12 if interval == "yyyy" else 1)
    first = time.replace(year=months // 12, month=months % 12 + 1, day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    return first.replace(day=min(time.day, (following - timedelta(days=1)).day))


def between(interval: str, first: datetime, second: datetime) -> int:
    """Return the intervals from `first` to `second`, as VB's DateDiff counts: ww by Sundays, d, h, n and s whole ones.

    Raises `CannotTell` for months and years where whole ones and changes of the calendar differ: the examples show neither.
    """
    seconds = {"d": 86400, "h": 3600, "n": 60, "s": 1}
    if interval in seconds:
        return int((second - first).total_seconds() / seconds[interval])
    if interval == "ww":
        sundays = [time - timedelta(days=(time.weekday() + 1) % 7) for time in (first, second)]
        return int(int((sundays[1] - sundays[0]).total_seconds() / 86400) / 7)
    months = (second.year - first.year) * 12 + second.month - first.month
    found = {"m": months, "yyyy": second.year - first.year}.get(interval)
    if found is None:
        raise CannotTell(f"the interval {interval!r} is not documented")
    if later(first, interval, found) > second >= first or later(first, interval, found) < second <= first:
        raise CannotTell(f"whether DateDiff counts whole {interval} or changes of the calendar is not known")
    return found
