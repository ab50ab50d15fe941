"""What a journal says that a run wrote: certain or in doubt, taken back since or standing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from runbook_lib.core.errors import JournalFailed
from runbook_lib.engine.events import Begun, Ended, Event, Intent, Outcome, Result, Settled, TakenBack
from runbook_lib.engine.journal import NUMBERED, Journal
from runbook_lib.engine.step import TakeBack
from runbook_lib.services.wire_json import Json

TAKES_BACK = "taking-back"  # the kind under which a write of an undo is on record itself
_WITH_ASSIGNMENT_IDS = 3  # the first version of a journal that holds the id of each assignment


@dataclass(frozen=True)
class Written:
    """One write of a run: the step, what its undo needs, and the ids of what it made.

    `run` names the run's folder; `numbers` are those of its intents in the journal. A write that is not `is_certain` has no
    outcome on record, or an unknown one: that it was sent proves nothing about who made what is there now.
    """

    step: str
    undo: Json
    ids: Json
    is_certain: bool = True
    run: str = ""
    numbers: tuple[int, ...] = ()
    time: str = ""
    request: str = ""
    version: int = _WITH_ASSIGNMENT_IDS

    @property
    def kind(self) -> str:
        """What was written."""
        return str(self.undo.get("kind"))

    @property
    def service_principal(self) -> str:
        """The id of the enterprise application that it belongs to, empty when it belongs to none or that is not known."""
        return str(self.undo.get("service_principal") or self.ids.get("service_principal") or "")

    @property
    def assignment_ids(self) -> frozenset[str]:
        """The ids of the assignments that it made."""
        return frozenset(value for name, value in self.ids.items() if name.startswith("assigned "))

    @property
    def knows_assignments(self) -> bool:
        """Whether its journal holds the id of each assignment; version 2 did not."""
        return self.version >= _WITH_ASSIGNMENT_IDS


@dataclass(frozen=True)
class Emptied:
    """When an earlier undo asked Entra to let go of the token, by the service's clock, and whether Entra surely did."""

    time: str
    is_certain: bool


@dataclass
class Record:
    """The standing writes of the run to take back, oldest first, and those of every other run of the connection.

    `restored` are the attribute mappings that undos of the run have written, by service principal, as rows of the portal. It is
    empty for a service principal whose mappings held others' edits: what was written then is not this tool's alone.
    """

    own: tuple[Written, ...]
    others: tuple[Written, ...] = ()
    token_ids: frozenset[str] = frozenset()  # made by this tool, in whichever run
    restored: dict[str, list[list[str]]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)  # service principals that this undo has deleted; Entra may show them yet
    emptied: set[str] = field(default_factory=set)  # those it has taken the token out of, until Entra lists that
    emptied_before: dict[str, Emptied] = field(default_factory=dict)  # those that earlier undos have, or may have
    unassigned: set[str] = field(default_factory=set)  # ids of the assignments that this undo has taken away
    kept: set[str] = field(default_factory=set)  # those it has looked at and left: what is in them is taken back one by one

    def restores(self, service_principal: str, rows: list[str]) -> None:
        """Remember the attribute mappings that an undo writes; no rows when they hold others' edits."""
        known = self.restored.setdefault(service_principal, [])
        known += [rows] if rows else []

    def since(self, entry: Written, *kinds: str) -> list[Written]:
        """Return what other runs have written of these kinds after a write of this one, and that stands."""
        return [other for other in self.others if other.kind in kinds and other.time > entry.time]

    def of_kind(self, *kinds: str) -> list[Written]:
        """Return this run's own certain writes of these kinds."""
        return [entry for entry in self.own if entry.kind in kinds and entry.is_certain]

    def service_principals(self) -> tuple[str, ...]:
        """Return the ids of the enterprise applications that any run of the connection has written to."""
        named = [entry.service_principal for entry in (*self.own, *self.others)]
        return tuple(dict.fromkeys(name for name in named if name))


def standing(journal: Journal, undone: Iterable[Event], ways: Mapping[str, TakeBack]) -> tuple[Written, ...]:
    """Return what the run of a journal wrote or may have written and no undo has taken back since, oldest first.

    `undone` are the events of the journal that undos of this run have left next to its own; `ways` tell how each kind of write is
    taken back. Raises `JournalFailed`, also for a journal of version 1, and for a write that this version does not know.
    """
    events = journal.events()
    if any(event.v < NUMBERED for event in events):
        came_back = "it was written by version 1 of this tool, which did not number what it wrote"
        raise JournalFailed(journal.path, came_back, "Take the run back by hand, with the report next to the journal")
    taken_back = _taken_back(tuple(undone))
    found = _written(events, journal.path.parent.parent.name)
    for entry in found:
        if missing := _missing(entry, ways.get(entry.kind)):
            came_back = f"line {entry.numbers[0]} holds a write ({entry.kind}) that this version cannot take back ({missing})"
            raise JournalFailed(journal.path, came_back, "Use the version of the tool that wrote it, or take it back by hand")
    return tuple(_once(entry for entry in found if not taken_back(entry)))


def written_since(own: tuple[Written, ...], step: str) -> tuple[Written, ...]:
    """Return a run's writes from the first one of a step on, oldest first; all of them where `step` is empty.

    What came after a step may rest on it, so that nothing in the middle can be taken back alone.
    """
    first = next((position for position, entry in enumerate(own) if entry.step == step), len(own)) if step else 0
    return own[first:]


def restored_rows(undone: Iterable[Event]) -> dict[str, list[list[str]]]:
    """Return what undos have written of the attribute mappings, see `Record.restored`; nothing of undos before this version."""
    record = Record(())
    for event in undone:
        rows = event.undo.get("rows") if isinstance(event, Intent) else None
        if isinstance(event, Intent) and isinstance(rows, list):
            record.restores(str(event.undo.get("service_principal")), [str(row) for row in rows])
    return record.restored


def empties(entry: Written) -> Json:
    """Return how the journal of an undo names the request that takes the token out of Entra."""
    return {**takes_back(entry), "empties": entry.service_principal}


def emptied_before(undone: Iterable[Event]) -> dict[str, Emptied]:
    """Return when undos last took the token out of Entra, or may have, by service principal. Earlier versions do not tell."""
    events = tuple(undone)
    results = {event.of: event.result for event in events if isinstance(event, Outcome)}
    found: dict[str, Emptied] = {}
    for event in events:
        result = results.get(event.n, "unknown")
        if isinstance(event, Intent) and event.undo.get("empties") and result != "refused":
            found[str(event.undo["empties"])] = Emptied(event.sent_at or event.time, result != "unknown")
    return found


def _missing(entry: Written, way: TakeBack | None) -> str:
    """Return the first name that the journal must hold to take a write back and does not; empty when it holds them all."""
    if way is None:
        return "kind"
    return next((name for name, kind in way.needs.items() if not isinstance(entry.undo.get(name), kind)), "")


def _written(events: tuple[Event, ...], run: str) -> list[Written]:
    outcomes = {event.of: event for event in events if isinstance(event, Outcome)}
    settled = [(event.n, (event.step, event.request)) for event in events if isinstance(event, Settled)]
    found, latest, told = [], "", ""
    for event in events:
        # Within a journal its order tells, and between journals the service's own clock, whatever this machine's did.
        latest, told = max(latest, event.time), max(told, event.sent_at if isinstance(event, Intent) else "")
        if not isinstance(event, Intent) or not event.undo or event.kind == TAKES_BACK:
            continue
        outcome = outcomes.get(event.n)
        result = outcome.result if outcome else "unknown"
        is_settled = any(n > event.n and (event.step, event.request) == same for n, same in settled)
        if result == "refused" or (result == "unknown" and is_settled):
            continue
        about = (run, (event.n,), told or latest, event.request, event.v)
        found.append(Written(event.step, event.undo, outcome.made if outcome else {}, result != "unknown", *about))
    return found


def _once(found: Iterable[Written]) -> list[Written]:
    """Return each thing once: a write in doubt was sent again, and a marker is renewed."""
    seen: list[Written] = []
    for entry in found:
        same = next((n for n, other in enumerate(seen) if _is_same(entry, other)), None)
        if same is None:
            seen.append(entry)
        else:
            first = seen[same]
            certain = first.is_certain or entry.is_certain
            seen[same] = replace(first, is_certain=certain, numbers=(*first.numbers, *entry.numbers), time=entry.time)
    return seen


def _is_same(entry: Written, other: Written) -> bool:
    """Whether two writes are one thing: markers of one application, or one write sent twice of which the first is in doubt.

    Of what is made by each request, as a token is, the first one may be there as well as the second.
    """
    if entry.kind == other.kind == "notes":
        return entry.service_principal == other.service_principal
    is_made = entry.kind in ("application", "job", "token", "assignments")
    if entry.undo != other.undo or other.is_certain:
        return False
    return not (is_made and entry.is_certain)


class _TakenBack:
    """Tells whether an undo has taken a write back."""

    def __init__(self, numbers: frozenset[int], before: str) -> None:
        self._numbers, self._before = numbers, before

    def __call__(self, entry: Written) -> bool:
        return bool(self._numbers & set(entry.numbers)) or entry.time < self._before


def _taken_back(undone: tuple[Event, ...]) -> _TakenBack:
    numbers: set[int] = set()
    # An intent of an undo that puts back a value; of what it deletes, the service tells by id whether it is gone.
    by_intent = {event.n: event.undo["of"] for event in undone if isinstance(event, Intent) and event.kind == TAKES_BACK}
    of_step: dict[str, set[int]] = {}  # in this undo, put back by a step that has not ended
    mode, ended = "", ""
    for event in undone:
        match event:
            case Begun():
                mode, of_step = event.text("mode"), {}
            case TakenBack():
                numbers |= set(event.of)
            case Outcome(is_applied=True):
                of_step.setdefault(event.step, set()).update(by_intent.get(event.of, ()))
                numbers |= set(by_intent.get(event.of, ()))
            case Result(status="FAILED"):  # reading back did not show it: the service may have lost it
                numbers -= of_step.pop(event.step, set())
            # Before version 3 an undo did not say what it had taken back: one that ended well had taken back everything.
            case Ended() if event.v < _WITH_ASSIGNMENT_IDS and mode == "apply" and event.status in ("done", "unchanged"):
                ended = event.time
    return _TakenBack(frozenset(numbers), ended)


def takes_back(entry: Written) -> Json:
    """Return how the journal of an undo names the write that a request takes back."""
    return {"kind": TAKES_BACK, "of": list(entry.numbers)}
