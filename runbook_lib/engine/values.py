"""What a step wants done, as values: a `Diff` is one difference, a `Change` one request that removes some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from runbook_lib.http.message import Request, Response


@dataclass(frozen=True)
class Diff:
    """One difference. `before` and `after` are what a person reads; neither is ever a secret."""

    on: str
    field: str
    before: str
    after: str


@dataclass(frozen=True)
class Hazard:
    """Why a change is not made until the operator has accepted it by `name` in the settings.

    `count` is how many people it concerns, 0 where it is not about single people; an acceptance holds for that many, no more.
    A step that yields a hazard writes nothing until it is accepted; one on a change holds back that step as well.
    """

    name: str
    why: str
    count: int = 0


@dataclass(frozen=True)
class Finding:
    """A sentence in which a step reports what it saw. With `is_left` it says that the thing of the step stays."""

    text: str
    is_left: bool = False


@dataclass(frozen=True)
class Skipped(Finding):
    """A sentence that says why the settings leave this step out."""


@dataclass(frozen=True)
class Table:
    """Rows a step shows as evidence. `rows` are tuples in the order of `columns`; empty cells are empty texts.

    A table that `stays` compares what was there before a write with what the write makes of it. Any other one is replaced, once
    the step has written, by the one of the same title that was read after the write.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    stays: bool = field(default=False, compare=False)


State = Literal["open", "seen", "confirmed"]


@dataclass(frozen=True)
class Handover:
    """What the other administrator has to do: where in their console, what to click, and what exactly to enter there.

    `values` are (label, text) pairs. `state` is `open`, `seen` when this side shows that it was done, or `confirmed` when the
    settings only say so. `remedy` is what the person at this page does about it. Without clicks it is not on the sheet.
    """

    where: str
    clicks: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    link: str = ""
    state: State = "open"
    remedy: str = ""

    def table(self) -> Table:
        """Return it as rows for a page that shows tables."""
        clicks = tuple((click, "") for click in self.clicks)
        return Table(f"For the administrator of the other side: {self.where}", ("what to do", "exactly"), clicks + self.values)


@dataclass(frozen=True)
class Patience:
    """For a request whose answer may only mean "not yet", because a recent write of this tool takes effect after minutes.

    `what` says so in a sentence, for progress and report. The writer repeats the request while `is_not_yet` is true of its
    answer, for at most `limit_s` by the service's clock, and only within `YOUNG_S` of a write that `counts_late`, or of `since`:
    the time, by the service's clock, at which another person last wrote such a thing.

    `is_once_more` is true of an answer after which one repetition is worthwhile, whatever was written lately.
    """

    what: str
    is_not_yet: Callable[[Response], bool]
    limit_s: float = 420.0
    since: datetime | None = None
    is_once_more: Callable[[Response], bool] = lambda answer: False


@dataclass(frozen=True)
class Guard:
    """What must still hold after a write, and the requests that stop the harm if it does not hold.

    No service offers conditional writes, so others may change what a write depends on between the last reading and the write.
    `reading` is the fact to read afresh, `lost` returns texts that say what does not hold, `stop` the requests that stop `on`.
    """

    on: str
    reading: Any
    lost: Callable[[Any], tuple[str, ...]]
    stop: Callable[[Any], tuple[Request, ...]]


@dataclass(frozen=True)
class Change:
    """One request and the differences it removes; without a request it is a staged edit that a later Save step writes.

    `rehearsal` must succeed before the request is sent; `proof` after it. `receive` takes the answer (it keeps a token's
    text, or judges the answer by raising) and returns the ids of what was made, for the journal. `evidence` makes tables of
    the answer, good or bad, for the reader of the result. `confirm` gets the fresh reading and returns texts of unwanted side
    effects.

    For the journal: `before` are the ids that exist already, which tell older objects from one that a lost answer made; `undo` is
    JSON with what an undo of the change needs, never a secret. `replicates`: the thing made may stay unseen for minutes, and
    sending again would make it twice, so after a lost answer the engine looks for it until that time is over. `stops`: the
    request stops what runs, and waits for no claim. The engine checks `guard` after the write.

    `leaves` are readings that the step touches and this request does not. `shows` gets the answer and returns the readings that
    it holds, as pairs of a fact and its value; the engine does not read those again to see whether the write was done.

    For writes that take effect late: `counts_late` if other requests may not see the write for minutes; `patience` for a request
    that meets such a write; `listed_late` says in a sentence that a service lists the write only after a while. With
    `listed_late` and no request a change `is_awaited`: the service has accepted it and only has to list it.
    """

    on: str
    diffs: tuple[Diff, ...]
    request: Request | None = None
    hazard: Hazard | None = None
    rehearsal: Request | None = None
    proof: Request | None = None
    receive: Callable[[Response], dict[str, str]] | None = None
    evidence: Callable[[Response], tuple[Table, ...]] | None = None
    confirm: Callable[[Any], tuple[str, ...]] | None = None
    before: tuple[str, ...] = ()
    undo: Mapping[str, Any] | None = None
    replicates: bool = False
    stops: bool = False
    guard: Guard | None = None
    counts_late: bool = False
    patience: Patience | None = None
    listed_late: str = ""
    leaves: tuple[Any, ...] = ()
    shows: Callable[[Response], tuple[tuple[Any, Any], ...]] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether nothing is left to send: the service has accepted the change and does not list it yet."""
        return self.request is None and bool(self.listed_late)


def differences(on: str, now: dict[str, str], wanted: dict[str, str]) -> tuple[Diff, ...]:
    """Return one `Diff` for each field of `wanted` whose value `now` is another; absent fields read as empty."""
    return tuple(Diff(on, name, now.get(name, ""), value) for name, value in wanted.items() if now.get(name, "") != value)


def lost(sent: Any, found: Any, at: str = "") -> tuple[str, ...]:
    """Return the places where `found` does not hold what was `sent`.

    A service may add keys, reorder lists and leave nulls out; it may not lose or change anything.
    """
    if isinstance(sent, Mapping) and isinstance(found, Mapping):
        return tuple(
            place
            for key, value in sent.items()
            if not (value is None and key not in found)
            for place in (lost(value, found[key], f"{at}.{key}".strip(".")) if key in found else (f"{at}.{key}".strip("."),))
        )
    if isinstance(sent, list) and isinstance(found, list):
        left = list(found)
        places: list[str] = []
        for number, item in enumerate(sent):
            same = next((n for n, other in enumerate(left) if not lost(item, other)), None)
            if same is None:
                places.append(f"{at}[{number}]")
            else:
                del left[same]
        return tuple(places)
    return () if sent == found and isinstance(sent, bool) == isinstance(found, bool) else (at,)
