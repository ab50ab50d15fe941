"""What a test of taking back sets up: writes on record, the undo that they belong to, and a tenant that is literals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import Change, Finding
from runbook_lib.steps.undoing.readings import Running
from runbook_lib.steps.undoing.undo import Undo
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.written import Record, Written
from tests.builders import PRINCIPAL_ID, SETTINGS

WRITTEN_AT, LATER = "2026-11-24T10:00:00+00:00", "2026-11-24T11:00:00+00:00"
SHORT = PRINCIPAL_ID[:8]
TAKES_BACK = {"kind": "taking-back", "of": [7, 9]}
GOES = "Deleting the enterprise application removes it too."
BY_LATER_RUN = "Left in place: run 2026-11-25 has written to it later (undo that run first)."


def written(kind: str, undo: dict[str, Any] | None = None, ids: dict[str, str] | None = None, **about: Any) -> Written:
    """Return a write of the run."""
    known = {"step": "3.2", "numbers": (7, 9), "time": WRITTEN_AT, "run": "2026-11-24", "request": "POST /it", **about}
    return Written(undo={"kind": kind, **(undo or {})}, ids=ids or {}, **known)


def later(kind: str, **undo: Any) -> Written:
    """Return a write of a later run."""
    return written(kind, undo, time=LATER, run="2026-11-25")


class Trial:
    """One write that is taken back, in an undo of what else is on record."""

    def __init__(
        self, way: TakeBack, entry: Written, *own: Written, others: tuple[Written, ...] = (), is_plan: bool = False, **record: Any
    ) -> None:
        self.entry = entry
        self.undo = Undo(Record((entry, *own), others, **record), "Acme SCIM", is_plan)
        self.step: Step = way.step(self.undo, "-1", entry)
        assert self.step.number == "-1"
        for fact in (*self.step.body.reads, *self.step.body.touches):
            _rests_on(fact, record=self.undo.record, entry=entry)

    def says(self, *values: Any) -> list[Yield]:
        """Return what the step yields for these readings."""
        return list(self.step.body.function(*values, SETTINGS))

    def sentences(self, *values: Any) -> list[str]:
        """Return the sentences; there is no change. One that says that something stays ends with ` (left)`."""
        found = self.says(*values)
        assert not any(isinstance(one, Change) for one in found)
        return [f"{one.text}{' (left)' if one.is_left else ''}" for one in found if isinstance(one, Finding)]

    def change(self, *values: Any) -> Change:
        """Return the one change. Others may turn a job on in that second, which is looked at after what such a job lives on."""
        [found] = [one for one in self.says(*values) if isinstance(one, Change)]
        assert found.stops or found.is_awaited or found.on.startswith("notes of") or found.guard is not None
        return found

    def while_on(self, *values: Any) -> tuple[object, ...]:
        """Return what is planned for these readings, by which a job is on: it waits for the run's own stop, or is blocked."""
        with pytest.raises(StepBlocked, match="Provisioning is on"):
            self.says(*values)
        self.undo.entries["-9"] = written("start")
        with pytest.raises(StepWaits) as waits:
            self.says(*values)
        assert (waits.value.thing, waits.value.what) == ("-9", "The stop of the job")
        return waits.value.planned

    @property
    def reads(self) -> tuple[str, ...]:
        """The names of what it reads."""
        return tuple(fact.name for fact in self.step.body.reads)

    @property
    def touches(self) -> tuple[str, ...]:
        """The names of what its write makes stale."""
        return tuple(fact.name for fact in self.step.body.touches)


def _rests_on(fact: Fact[Any], **known: Any) -> None:
    """Fail where a reading was made of another record or another write than those that are known."""
    names = getattr(fact.look, "__code__", None)
    for name, cell in zip(names.co_freevars if names else (), getattr(fact.look, "__closure__", None) or (), strict=False):
        assert cell.cell_contents is known.get(name, cell.cell_contents), f"{fact.name}: {name}"


IN_IT = tuple(
    f"{name} {SHORT}"
    for name in ("enterprise application", "app registration", "provisioning jobs", "attribute mappings", "saved credentials")
)
EVERYTHING = (*IN_IT, f"assignments {SHORT}", "enterprise_applications")
LIVE = (Running("job", PRINCIPAL_ID),)  # what tells that a provisioning job is on
RUNNING_JOBS, HELD = "running provisioning jobs", "tokens that Entra may hold"


class Tenant:
    """A tenant whose readings are given by name, with `_IN` for those of its application; the others are read from its
    services.

    `asked` are the requests that were sent to test something.
    """

    def __init__(self, graph: dict[str, Callable[..., Any]] | None = None, handed_over: str = "", **readings: Any) -> None:
        self.readings = {
            f"{name[:-3]} {SHORT}".replace("_", " ") if name.endswith("_IN") else name: value for name, value in readings.items()
        }
        self.memory = Memory()
        self.asked: list[str] = []
        self.forgotten: list[str] = []
        self.answer: Exception | None = None
        self.settings = SimpleNamespace(handed_over=handed_over)
        services = [SimpleNamespace(date=datetime(2026, 11, 24, 10, tzinfo=UTC), ask=self._ask) for _ in range(2)]
        self.graph = SimpleNamespace(service=services[0], **(graph or {}))
        self.auth0 = SimpleNamespace(service=services[1])

    def read(self, fact: Fact[Any], max_age_s: float = 30.0) -> Any:
        if fact.name in self.readings:
            value = self.readings[fact.name]
            return value.pop(0) if isinstance(value, list) else value
        return fact.look(self)

    def forget(self, *facts: Fact[Any]) -> None:
        self.forgotten += [fact.name for fact in facts]

    def _ask(self, request: Any) -> None:
        self.asked.append(request.line)
        if self.answer is not None:
            raise self.answer
