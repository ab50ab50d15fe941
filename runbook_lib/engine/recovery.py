"""What earlier runs of a tenant left behind: what they made, and the writes with an unknown outcome."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from runbook_lib.engine.events import Event, Intent, Outcome, Settled, Tries

_CLOCK_STEP_S = 2.0  # a Date header counts whole seconds
_ANSWER_LIMIT_S = 300.0  # longer than any request is waited for
_LATELY = timedelta(hours=1)
SAVED = "credentials"  # the kind of a write that a service may list only later
MADE_EACH_TIME = ("token",)  # sending such a request again makes a second object; the first may exist too


@dataclass(frozen=True)
class Doubt:
    """A write with an unknown outcome. `sent_at` is the service's own time, `before` the ids that existed before it.

    `step` is the number of the step that sent it, `kind` the kind of thing that it was about, as the journal's `undo` names it;
    empty for a write that cannot be taken back.
    """

    step: str
    request: str
    time: datetime
    sent_at: datetime | None
    before: tuple[str, ...]
    kind: str = ""

    def is_over_by(self, step: str, requests: Container[str]) -> bool:
        """Whether this doubt ends too: one of these requests succeeded, or the search for its result found nothing."""
        return self.step == step and self.request in requests and self.kind not in MADE_EACH_TIME

    def may_have_made(self, created_at: str) -> bool:
        """Whether a service made something within the minutes of the request, by the service's own clock."""
        if self.sent_at is None:
            return False
        try:
            later_s = (datetime.fromisoformat(created_at) - self.sent_at).total_seconds()
        except ValueError:
            return False
        return -_CLOCK_STEP_S <= later_s <= _ANSWER_LIMIT_S


@dataclass(frozen=True)
class Save:
    """A save that a service accepted and may list only later: its time, and what the service listed before."""

    time: datetime
    before: Mapping[str, str]


@dataclass(frozen=True)
class Past:
    """What earlier runs of a tenant left behind: ids of what they made, by kind and oldest first, and open doubts.

    `given_tokens` are the ids of the tokens that were sent to another service, the latest last, whether or not it took them;
    `tried_tokens` are those that this tool has searched with itself, or was about to.
    `late_since` is when they last wrote what other requests see only after minutes. `last_save` is when they last
    saved credentials.
    """

    made: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made_at: Mapping[str, datetime] = field(default_factory=dict)
    doubts: tuple[Doubt, ...] = ()
    given_tokens: tuple[str, ...] = ()
    late_since: datetime | None = None
    last_save: Save | None = None
    tried_tokens: frozenset[str] = frozenset()


def past_in(journals: Iterable[tuple[Event, ...]]) -> Past:
    """Return what journals of one connection tell, read in the order of time."""
    events = [(time, journal, event) for journal, read in enumerate(journals) for time, event in _in_time(read)]
    told = _Told()
    for _, journal, event in sorted(events, key=lambda entry: entry[0]):
        told.take(journal, event)
    return told.past()


@dataclass
class _Told:
    """What the events have shown so far. Doubts and saves are kept by journal and number of the intent until they are settled."""

    made: dict[str, list[str]] = field(default_factory=dict)
    made_at: dict[str, datetime] = field(default_factory=dict)
    open: dict[tuple[int, int], Doubt] = field(default_factory=dict)
    saving: dict[tuple[int, int], Mapping[str, str]] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    late_since: datetime | None = None
    last_save: Save | None = None

    def take(self, journal: int, event: Event) -> None:
        """Take the next event of a journal, in the order of time."""
        match event:
            case Intent():
                self._intent((journal, event.n), event)
            case Outcome(is_known=True):
                self._outcome((journal, event.of), event)
            case Tries():
                self.tried.add(event.token)
        if isinstance(event, Settled) or (isinstance(event, Outcome) and event.is_applied):
            # Sent again and known now, or looked for in vain.
            over = [key for key, doubt in self.open.items() if doubt.is_over_by(event.step, (event.request,))]
            for key in over:
                del self.open[key]

    def _intent(self, key: tuple[int, int], intent: Intent) -> None:
        self.open[key] = _doubt(intent)
        self.given += [str(intent.undo["token"])] if intent.undo.get("token") else []
        if intent.kind == SAVED:
            self.saving[key] = intent.undo.get("before") or {}

    def _outcome(self, key: tuple[int, int], outcome: Outcome) -> None:
        self.open.pop(key, None)
        before = self.saving.pop(key, None)
        if before is not None and outcome.is_applied:
            self.last_save = Save(outcome.at, before)
        self.late_since = outcome.at if outcome.is_late else self.late_since
        for kind, made in _kept(outcome):
            self.made.setdefault(kind, []).append(made)
            self.made_at[made] = outcome.at

    def past(self) -> Past:
        """Return it."""
        made = {kind: tuple(ids) for kind, ids in self.made.items()}
        doubts, given = tuple(self.open.values()), tuple(self.given)
        return Past(made, self.made_at, doubts, given, self.late_since, self.last_save, frozenset(self.tried))


def _kept(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """Yield kind and id of what a write made; there are thousands of assignments, and only an undo of the run asks for them."""
    return ((kind, str(made)) for kind, made in outcome.made.items() if not kind.startswith("assigned "))


def _in_time(events: tuple[Event, ...]) -> Iterator[tuple[str, Event]]:
    """Yield each event with a time that never decreases: within a journal the order counts, whatever the clock did."""
    latest = ""
    for event in events:
        latest = max(latest, event.time)
        yield latest, event


def _doubt(intent: Intent) -> Doubt:
    sent_at = datetime.fromisoformat(intent.sent_at) if intent.sent_at else None
    return Doubt(intent.step, intent.request, intent.at, sent_at, intent.before, intent.kind)


@dataclass
class Recovery:
    """What the engine remembers of writes: the doubts that are open, and when this tool made what.

    `made_at` holds times by the id of what was made, `earlier` by the kind of thing that an earlier run made. `late_since` is
    when this tool last wrote what other requests see only after minutes.
    """

    doubts: tuple[Doubt, ...] = ()
    made_at: dict[str, datetime] = field(default_factory=dict)
    earlier: dict[str, datetime] = field(default_factory=dict)
    late_since: datetime | None = None

    def recall(self, past: Past, _now: datetime) -> None:
        """Take over what the journals of earlier runs tell, as of a time."""
        self.doubts = past.doubts
        self.made_at = dict(past.made_at)
        self.late_since = past.late_since

    def doubted(self, kind: str) -> tuple[Doubt, ...]:
        """Return the open doubts about writes of a kind of thing."""
        return tuple(doubt for doubt in self.doubts if doubt.kind == kind)

    def made_lately(self, kind: str, now: datetime) -> datetime | None:
        """Return when a thing of a kind was last made, or may have been: within an hour, or in doubt; else None."""
        times = [doubt.time for doubt in self.doubted(kind)]
        times += [time for time in (self.earlier.get(kind),) if time and now - time < _LATELY]
        return max(times, default=None)
