"""What a forecast means for a write that a job acts on: unaccepted harm holds the write back; people left as they are get named.

The gate counts harm by kind, and a person accepts it by kind: by name in the settings, by a limit, or by typing the number.
People who stay as they are hold nothing back: every company has some, and an operator who is always stopped accepts blindly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbook_lib.engine.values import Finding, Hazard, Table
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.forecast.values import Forecast, HarmKind, LeftKind, PersonForecast

NAMED = 10  # people in a sentence; all are in forecast.csv
ROWS = 500  # people in a step's table, those at risk first; all are in forecast.csv
FILE = "forecast.csv"
TITLE = "Forecast: what the next cycle does to each person"
COLUMNS = (
    "person",
    "user name in Entra",
    "mail in Entra",
    "in scope",
    "Auth0 user",
    "matched by",
    "fate",
    "changes",
    "certainty",
    "why",
)
_CAUSES = {
    HarmKind.BLOCK: "would be blocked in Auth0 and lose their sessions",
    HarmKind.UNBLOCK: "{is} blocked in Auth0 now and would be unblocked",
    HarmKind.DELETE: "would be deleted in Auth0",
    HarmKind.SOMEONE_ELSES_USER: "would be written into an Auth0 user that is another person's",
    HarmKind.OVERWRITE: "would lose profile values that the application keeps",
    HarmKind.CANNOT_TELL: "{has} an outcome that cannot be predicted",
}
_LEAVES = {  # what is so, and what to do about it
    LeftKind.LEAVER: (
        "left Entra or lost access, and may stay active in Auth0: Microsoft's documentation says that the cycle skips "
        "them, others report that it blocks them",
        "Block them in Auth0 by hand if they must lose their access",
    ),
    LeftKind.TWO_USERS: (
        "have several Auth0 users: if several match, Entra neither updates nor blocks any of them; if one matches, Entra "
        "never touches the others, which keep their access when the person leaves",
        "Delete or block the Auth0 user that is not in use",
    ),
    LeftKind.NO_USER: (
        "have no user in Auth0 that Entra would find",
        "Nothing: Entra can link them after a sign-in, unless theirs is a secondary identity of a linked Auth0 user",
    ),
}
MANAGER_TITLE = "People who would get a manager in Auth0"
_WITH_MANAGER = (
    "Auth0's support reports that Entra cannot read such a user in later cycles: no later change of these people reaches "
    "Auth0, not even their departure",
    "Delete the row of manager in Entra (Mappings > Provision Microsoft Entra ID Users)",
)
LEFT_TITLE = "People left unchanged by the next cycle"
_READINGS_DIFFER = "Sources disagree about some of them; this is the stricter reading"


def dangers(forecast: Forecast, settings: TenantSettings, *, is_anyway_left_out: bool = False) -> Iterator[Hazard]:
    """Yield a hazard for each kind of harm that the cycle would cause, with how many people it concerns.

    `is_anyway_left_out`: leaves out the harm that the cycles of a running job cause whatever this run writes.
    """
    caused = forecast.caused()
    if is_anyway_left_out:
        caused = {kind: kept for kind, people in caused.items() if (kept := _beyond(forecast, kind, people))}
    for kind, people in caused.items():
        is_within_limit = kind is HarmKind.BLOCK and len(people) <= settings.blocked_users_limit
        if kind is not HarmKind.CANNOT_TELL and not is_within_limit:
            yield Hazard(kind.accept_word, harm(people, kind), len(people))
    unseen = tuple(_unseen(forecast))
    unknown = caused.get(HarmKind.CANNOT_TELL, ())
    if unknown or unseen:
        why = ". ".join((*([harm(unknown, HarmKind.CANNOT_TELL)] if unknown else []), *unseen))
        yield Hazard(HarmKind.CANNOT_TELL.accept_word, why, len(unknown))


def _beyond(forecast: Forecast, kind: HarmKind, people: Sequence[PersonForecast]) -> tuple[PersonForecast, ...]:
    return tuple(person for person in people if (person.object_id, kind) not in forecast.anyway)


def caused_anyway(forecast: Forecast) -> Iterator[Finding]:
    """Name the people that the next cycle of a running job harms whatever this run writes; they hold nothing back."""
    for kind, people in forecast.caused().items():
        if anyway := [person for person in people if (person.object_id, kind) in forecast.anyway]:
            yield Finding(f"In the next cycle, whether or not this run writes anything, {harm(anyway, kind)}.")


def _unseen(forecast: Forecast) -> Iterator[str]:
    """Yield a sentence for each thing that the run could not read: the forecast may then miss people who come to harm."""
    if forecast.hidden_groups:
        yield (
            f"This sign-in cannot see the members of {', '.join(forecast.hidden_groups)}, so the forecast cannot predict "
            "their outcome. Grant the app registration Member.Read.Hidden and have an administrator grant consent"
        )
    yield from (sentence.rstrip(".") for sentence in forecast.incomplete)


def harm(people: Sequence[PersonForecast], kind: HarmKind) -> str:
    """Return in a sentence the people that a cycle would harm in one way."""
    open_ones = any(person.others for person in people)
    doubt = f". {_READINGS_DIFFER}" if open_ones and kind is not HarmKind.OVERWRITE else ""
    return f"{_people(people, _CAUSES[kind])}: {named(people, kind)}{doubt}"


def _people(people: Sequence[PersonForecast], words: str) -> str:
    """Return the number of people and what is said of them, with the verb in the right number."""
    if len(people) == 1:
        return f"1 person {words.format_map({'is': 'is', 'has': 'has'})}"
    return f"{len(people)} people {words.format_map({'is': 'are', 'has': 'have'})}"


def named(people: Sequence[PersonForecast], kind: HarmKind | LeftKind | None = None) -> str:
    """Return the names of the first ten people, and say where the others are listed."""
    shown = "; ".join(_named(person, kind) for person in people[:NAMED])
    left = len(people) - NAMED
    return f"{shown} and {left} more, see {FILE}" if left > 0 else shown


def _named(person: PersonForecast, kind: HarmKind | LeftKind | None) -> str:
    name = person.upn or person.object_id
    about = [name] if name != person.called else []
    if kind is HarmKind.SOMEONE_ELSES_USER and (person.other_people or person.reason):
        others = ", ".join(person.other_people)
        about.append(f"the Auth0 user belongs to {others}" if others else person.reason)
    if kind is HarmKind.OVERWRITE:
        about.append(", ".join(change.field for change in person.overwritten))
    if kind is HarmKind.CANNOT_TELL and person.reason:
        about.append(person.reason)
    return f"{person.called} ({'; '.join(about)})" if about else person.called


def told(forecast: Forecast) -> Iterator[Finding | Table]:
    """Yield what the forecast says: counts by fate, the people it leaves as they are, and a table by person."""
    yield Finding(f"{counted(forecast)}.")
    if left := forecast.left():
        rows = tuple((str(len(people)), *_LEAVES[kind], named(people, kind)) for kind, people in left.items())
        yield Table(LEFT_TITLE, ("people", "situation", "what to do", "who"), rows)
    yield from with_a_manager(forecast)
    yield from expressions_compared(forecast)
    if forecast.people:
        yield table_of(forecast)


def with_a_manager(forecast: Forecast) -> Iterator[Table]:
    """Name the people whose Auth0 user would hold a manager after the cycle: later cycles may not be able to read it.

    Source: Auth0's support article on synchronization failures with the manager row.
    """
    people = [person for person in forecast.people if any(change.names_manager for change in person.changes)]
    if people:
        row = (str(len(people)), *_WITH_MANAGER, named(people))
        yield Table(MANAGER_TITLE, ("people", "situation", "what to do", "who"), (row,))


def expressions_compared(forecast: Forecast) -> Iterator[Finding | Table]:
    """Yield how Microsoft's own evaluation of expressions compares with the forecast's; nothing when nothing was evaluated."""
    if not (found := forecast.compared):
        return
    if failed := [one for one in found if one.failed]:
        yield Finding(f"This run asked Microsoft to evaluate {failed[0].target} and got no result ({failed[0].failed}).")
    different = [one for one in found if one.differs]
    answered = len(found) - len(failed)
    yield Finding(
        f"Microsoft evaluated {answered} expressions (parseExpression); {len(different)} of its results differ from the forecast."
    )
    if different:
        rows = tuple((one.target, one.expression, one.person, one.here or "nothing", one.there or "nothing") for one in different)
        columns = ("SCIM attribute", "expression", "person", "forecast", "Microsoft")
        yield Table("Expressions that Microsoft evaluates differently", columns, rows)


def counted(forecast: Forecast) -> str:
    """Return how many people are assigned, and how many have each fate."""
    counts = ", ".join(f"{count} {fate}" for fate, count in forecast.counts().items() if count)
    words = f"{forecast.assigned} people are assigned, including members of groups; forecast: {counts or 'no one is affected'}"
    if forecast.nested_groups:
        words += f"; Entra does not provision {forecast.nested_groups} nested groups"
    if forecast.assumes_default_mapping:
        words += "; there is no job yet, so the forecast assumes the default mapping with the changes of this procedure"
    if not forecast.saw_auth0:
        words += "; this run cannot read Auth0, so the forecast assumes that everyone has a user there"
    return words


def table_of(forecast: Forecast) -> Table:
    """Return the forecast as a table by person, the people most at risk first."""
    people = sorted(forecast.people, key=lambda person: -max(fate.strictness for fate in person.fates))
    left = len(people) - ROWS
    title = f"{TITLE} (first {ROWS} of {len(people)}; {FILE} has all)" if left > 0 else TITLE
    return Table(title, COLUMNS, tuple(row_of(person) for person in people[:ROWS]))


def row_of(person: PersonForecast) -> tuple[str, ...]:
    """Return one person as the row of the table."""
    return (
        person.called,
        person.upn,
        person.mail or "",
        f"yes, {person.scope_reason}" if person.in_scope else f"no, {person.scope_reason}",
        ", ".join(person.auth0_users),
        person.matched_by,
        fate_in_words(person),
        "; ".join(map(str, person.changes)),
        str(person.certainty),
        why(person),
    )


def fate_in_words(person: PersonForecast) -> str:
    """Return a person's fate, and the fates that other readings give."""
    others = [str(other.fate) for other in person.others if other.fate is not person.fate]
    return f"{person.fate} (or {', '.join(dict.fromkeys(others))})" if others else str(person.fate)


def why(person: PersonForecast) -> str:
    """Return the reason, the other people and the readings of a person's fate."""
    parts = [person.reason]
    parts += [f"with {', '.join(person.other_people)}"] * bool(person.other_people)
    parts += [f"Entra does not touch the person's other Auth0 user, {', '.join(person.further_users)}"] * bool(
        person.further_users
    )
    parts += [person.reading] * bool(person.others)
    parts += [f"{other.fate}: {other.reading}" for other in person.others]
    return "; ".join(part for part in parts if part)
