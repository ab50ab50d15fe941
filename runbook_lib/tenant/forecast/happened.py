"""What a cycle did to each person, compared with the forecast: Auth0's users afterwards, and the provisioning log.

Pure: values in, values out. A fate that was open counts as foretold when any of the readings told came true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbook_lib.tenant.forecast.changes import BLOCKED, Unknown
from runbook_lib.tenant.forecast.people import value_at
from runbook_lib.tenant.forecast.values import Fate, FieldChange, Forecast, PersonForecast


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of one person. `words` says what differs, empty where nothing does; `log` is the provisioning log's last word.

    `is_as_foretold` is None where the forecast said that it cannot tell.
    """

    person: PersonForecast
    is_as_foretold: bool | None
    words: str = ""
    log: str = ""


def happened(
    forecast: Forecast, profiles: Iterable[Mapping[str, Any]], external_id: str | None, log: Mapping[str, str] | None = None
) -> tuple[Happened, ...]:
    """Return each person with what happened, in the forecast's order.

    `profiles` are the Auth0 users of the connection after the cycle; `external_id` the profile field that holds the external id;
    `log` the provisioning log's last word by object id, None where it could not be read.
    """
    by_id = {str(profile["user_id"]): profile for profile in profiles}
    linked: dict[str, list[str]] = {}
    for user_id, profile in by_id.items():
        if written := value_at(profile, external_id or ""):
            linked.setdefault(str(written).lower(), []).append(user_id)
    return tuple(_judged(person, by_id, linked, (log or {}).get(person.object_id, "")) for person in forecast.people)


def _judged(
    person: PersonForecast, by_id: Mapping[str, Mapping[str, Any]], linked: Mapping[str, list[str]], log: str
) -> Happened:
    if person.fate is Fate.CANNOT_TELL and not person.others:
        return Happened(person, None, "", log)
    ways = [_differs(fate, person, by_id, linked) for fate in person.fates if fate is not Fate.CANNOT_TELL]
    if "" in ways:
        return Happened(person, True, "", log)
    if Fate.CANNOT_TELL in person.fates:
        return Happened(person, None, "", log)
    return Happened(person, False, ways[0], log)


def _differs(fate: Fate, person: PersonForecast, by_id: Mapping[str, Mapping[str, Any]], linked: Mapping[str, list[str]]) -> str:
    """Return how the present state differs from a fate; empty when it does not."""
    users = [by_id[user_id] for user_id in person.auth0_users if user_id in by_id]
    own = linked.get(person.object_id.lower(), [])
    if fate is Fate.NO_USER:
        return f"was linked to {', '.join(own)}" if own and not set(own) & set(person.auth0_users) else ""
    if fate is Fate.DELETE:
        return "is still there" if users else ""
    if not users:
        return "has no Auth0 user any more"
    if fate is Fate.BLOCK:
        return "" if all(user.get("blocked") for user in users) else "is not blocked"
    if fate is Fate.UNBLOCK:
        return "is still blocked" if any(user.get("blocked") for user in users) else ""
    if fate is Fate.LEAVER:
        return "was blocked" if all(user.get("blocked") for user in users) else ""
    if fate is Fate.TWO_USERS:
        return f"was written into {', '.join(own)}" if own else ""
    return _unwritten(person, users[0])


def _unwritten(person: PersonForecast, user: Mapping[str, Any]) -> str:
    """Return which forecast changes are missing, and whether a block came that the forecast did not name."""
    missing = [change for change in person.changes if not isinstance(change.after, Unknown) and not _is_there(change, user)]
    words = [f"{change.field} is {value_at(user, change.field)!r} and not {change.after!r}" for change in missing]
    told = any(change.field == BLOCKED for change in person.changes)
    if user.get("blocked") and not told and person.in_scope:
        words.append("is blocked")
    return "; ".join(words)


def _is_there(change: FieldChange, user: Mapping[str, Any]) -> bool:
    value = bool(user.get(BLOCKED)) if change.field == BLOCKED else value_at(user, change.field)
    return value == change.after or str(value).lower() == str(change.after).lower()


def summed_up(found: Iterable[Happened]) -> str:
    """Return in a sentence how many people fared as foretold, and name those who did not."""
    people = tuple(found)
    right = sum(one.is_as_foretold is True for one in people)
    open_ones = sum(one.is_as_foretold is None for one in people)
    words = f"{right} of {len(people)} as foretold"
    if open_ones:
        words += f", {open_ones} could not be told"
    if others := [one for one in people if one.is_as_foretold is False]:
        words += "; otherwise: " + "; ".join(f"{one.person.called} (foretold {one.person.fate}; {one.words})" for one in others)
    return words
