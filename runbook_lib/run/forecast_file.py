"""The forecast as files of a run: forecast.csv, a row a person, and leavers.csv, those who left and may still sign in."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from runbook_lib.core.display import as_cell
from runbook_lib.engine.values import Table
from runbook_lib.run.report import write_private
from runbook_lib.tenant.forecast.values import Fate, Forecast, LeftKind, PersonForecast

COLUMNS = (
    "person",
    "object_id",
    "upn",
    "mail",
    "in_scope",
    "scope",
    "auth0_user",
    "matched_by",
    "fate",
    "other_readings",
    "changes",
    "rewritten_at_next_login",
    "own_values_lost",
    "certainty",
    "reading",
    "other_people",
    "reason",
    "further_auth0_users",
)
LEAVERS = ("person", "object_id", "upn", "mail", "auth0_user", "scope", "by_one_reading", "by_another_reading", "what_to_do")
_BLOCK_BY_HAND = "Block this user in Auth0 (User Management > Users > Block), or delete it, if the person must lose access"


def write_forecast(folder: Path, forecast: Forecast) -> None:
    """Write forecast.csv of all people concerned, and leavers.csv of those who left before and may stay active.

    leavers.csv is written even when it lists no person, so that its absence never reads as an empty list.
    """
    write_private(folder / "forecast.csv", _lines(COLUMNS, map(_row, forecast.people)))
    leavers = (person for person in forecast.people if LeftKind.LEAVER in person.leaves)
    write_private(folder / "leavers.csv", _lines(LEAVERS, map(_leaver, leavers)))


def write_table(path: Path, table: Table) -> None:
    """Write a table as CSV."""
    write_private(path, _lines(table.columns, table.rows))


def counts(forecast: Forecast | None) -> dict[str, int]:
    """Return the number of people by fate, fates without people left out; empty without a forecast."""
    found: Mapping[Fate, int] = forecast.counts() if forecast is not None else {}
    return {str(fate): count for fate, count in found.items() if count}


def in_words(found: Mapping[str, int]) -> str:
    """Return counts by fate as a text, empty where there are none."""
    return ", ".join(f"{count} {fate}" for fate, count in found.items())


def _row(person: PersonForecast) -> tuple[str, ...]:
    return (
        person.called,
        person.object_id,
        person.upn,
        person.mail or "",
        "yes" if person.in_scope else "no",
        person.scope_reason,
        ", ".join(person.auth0_users),
        person.matched_by,
        str(person.fate),
        "; ".join(f"{other.fate}: {other.reading}" for other in person.others),
        "; ".join(map(str, person.changes)),
        ", ".join(change.field for change in person.changes if change.rewritten_at_login),
        ", ".join(change.field for change in person.overwritten),
        str(person.certainty),
        person.reading,
        ", ".join(person.other_people),
        person.reason,
        ", ".join(person.further_users),
    )


def _leaver(person: PersonForecast) -> tuple[str, ...]:
    readings = [f"{person.fate}{f' ({person.reading})' if person.reading else ''}"]
    readings += [f"{other.fate} ({other.reading})" for other in person.others]
    one, another = readings[0], "; ".join(readings[1:])
    further = () if Fate.LEAVER in person.fates else person.further_users
    users = ", ".join(further or person.auth0_users)
    if further:
        another = "; ".join(
            filter(None, (another, "Entra does not update this user, because it uses another Auth0 user of the person"))
        )
    return (
        person.called,
        person.object_id,
        person.upn,
        person.mail or "",
        users,
        person.scope_reason,
        one,
        another,
        _BLOCK_BY_HAND,
    )


def _lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield CSV line by line, every cell in quotes and none of them a formula: ten thousand people are never one text."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    for row in chain((columns,), rows):
        writer.writerow([as_cell(cell) for cell in row])
        yield target.getvalue()
        target.seek(0)
        target.truncate()
