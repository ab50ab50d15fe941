"""Random histories of one customer: runs, undos of any of them, faults, time, and colleagues between any two requests."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from runbook_lib.core.errors import RunbookError
from runbook_lib.run.tenant_run import Session
from runbook_lib.sandbox.entra_engine import engine
from runbook_lib.settings.model import RunMode, TenantSettings
from tests.builders import tenant_session
from tests.reliability.laboratory import ALL_KINDS, Killed, Laboratory, user_mapping
from tests.reliability.people import Colleagues

DAY_S = 86_400
SPANS_S = (5, 600, 5000, 31 * DAY_S, 400 * DAY_S)
LATE = ({"calls": 0}, {"calls": 0}, {"calls": 1}, {"seconds": 120})  # how long Entra lists what was saved before
READINGS_OF_AN_APPLICATION = 10
RUN_LENGTH, UNDO_LENGTH = 110, 50


class Watched(Laboratory):
    """A laboratory that notes which request of the tool makes a running job a bad one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.spoilt: list[str] = []

    def is_bad(self, job_id: str) -> list[str]:
        """Return what makes this job one that must not be on."""
        for saved in self.entra.provisioning.values():
            if job_id in saved.jobs:
                text = saved.secrets.get("SecretToken", "")
                scim = self.world.auth0.provisioning.get(self.connection["id"])
                now = self.world.clock.auth0()
                alive = [t for t in scim.tokens if t.get("valid_until", "9") > now] if scim else []
                found = ["Create is on"] * ("Add" in user_mapping(saved.schemas[job_id])["flowTypes"])
                found += ["no token"] * (not text)
                found += ["a dead token"] * (bool(text) and text.partition(".")[0] not in [t["token_id"] for t in alive])
                return found
        return []

    def bad_jobs(self) -> list[str]:
        """Return the jobs that are on and must not be."""
        jobs = [(n, job) for saved in self.entra.provisioning.values() for n, job in saved.jobs.items()]
        return [f"{n}: {why}" for n, job in jobs if job["schedule"]["state"] == "Active" for why in self.is_bad(n)]


@dataclass
class Made:
    """One run of the history: with which settings, where."""

    settings: TenantSettings
    out: Path


@dataclass
class History:
    """One history: what happened, and what broke an invariant."""

    folder: Path
    seed: int
    told: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.folder.mkdir()
        self.lab = Watched(self.folder, furnished=self.dice.random() < 0.5)
        self.people = Colleagues(self.lab, self.dice)
        self.lab.world.switches.set({"secrets_list_after": self.dice.choice(LATE)})
        self.runs: list[Made] = []
        self.known_users = set(self.lab.world.auth0.users)
        self.by_hand: set[str] = set()
        self.acted_at: int | None = None  # so many requests had been sent when colleagues acted in the midst of an event

    def play(self) -> History:
        """Let 8 to 12 events happen, judging after each."""
        for _ in range(self.dice.randint(8, 12)):
            event = self.dice.choices(("run", "undo", "act", "time", "cycle", "twice"), weights=(30, 28, 24, 8, 6, 4))[0]
            bad = set(self.lab.bad_jobs())
            self.by_hand, self.acted_at = set(), None
            getattr(self, f"_{event}")()
            self._judge(event, bad)
            if self.broken:
                break
        return self

    # Events --------------------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        self.told.append(f"by hand: {self.people.act()}")

    def _time(self) -> None:
        seconds = self.dice.choice(SPANS_S)
        self.told.append(f"{seconds} s pass")
        self.lab.elapsed_s += seconds
        self.lab.world.clock.advance(seconds)

    def _cycle(self) -> None:
        """Run a cycle of each job that is on and as it must be."""
        for saved in self.lab.entra.provisioning.values():
            for job_id, job in saved.jobs.items():
                if job["schedule"]["state"] == "Active" and not self.lab.is_bad(job_id):
                    self.told.append("a cycle")
                    engine.run_cycle(self.lab.world, job_id)

    def _settings(self) -> TenantSettings:
        """Return the row as it is now: renamed, by the connection's id, with turn_on switched."""
        changes = {"turn_on": self.dice.choice(("yes", "yes", "no"))}
        if self.dice.random() < 0.2:
            changes["name"] = f"renamed-{self.dice.randint(1, 2)}"
        if self.dice.random() < 0.2:
            changes["auth0_connection"] = self.lab.connection["id"]
        return TenantSettings.from_parameters({**self.lab.settings.model_dump(), **changes})

    def _run(self) -> None:
        settings, self.lab.runs = self._settings(), self.lab.runs + 1
        self.runs.append(Made(settings, self.folder / "outputs-here" / f"run-{self.lab.runs:03d}" / settings.name))
        mode = self.dice.choice(("apply", "apply", "apply", "plan"))
        is_disturbed = self._disturb(RUN_LENGTH)
        at = len(self.lab.simulation.history)
        status = self._session(self.runs[-1], mode, is_undo=False)
        self.told.append(f"run {len(self.runs)} {mode} {settings.name} {settings.auth0_connection} {settings.turn_on}: {status}")
        if mode == "plan" and self.lab.writes(at):
            self.broken.append(f"a plan wrote {self.lab.writes(at)}")
        if status in ("done", "unchanged") and mode == "apply" and not is_disturbed:
            self._judge_success(settings)

    def _undo(self) -> None:
        if self.runs:
            number = self.dice.randrange(len(self.runs))
            is_disturbed = self._disturb(UNDO_LENGTH)
            self._undo_one(number, is_disturbed=is_disturbed)

    def _twice(self) -> None:
        if self.runs:
            number = self.dice.randrange(len(self.runs))
            self._undo_one(number, is_disturbed=True)
            at = len(self.lab.simulation.history)
            self._undo_one(number, is_disturbed=True)
            if any(write for write in self.lab.writes(at) if "/pause" not in write) and "done" in self.told[-2]:
                self.broken.append(f"a second undo wrote {self.lab.writes(at)}")

    def _undo_one(self, number: int, *, is_disturbed: bool) -> None:
        made = self.runs[number]
        if not (made.out / "journal.jsonl").exists():
            return
        secrets = {key: saved.secrets.get("SecretToken") for key, saved in self.lab.entra.provisioning.items()}
        applications = set(self.lab.entra.service_principals)
        status = self._session(made, "apply", is_undo=True)
        self.told.append(f"undo of run {number + 1}{' with a fault' if is_disturbed else ''}: {status}")
        for application, text in self.people.theirs.secrets.items():
            saved = self.lab.entra.provisioning.get(application)
            was_theirs = secrets.get(application) == text and application in applications
            if was_theirs and not is_disturbed and (saved is None or saved.secrets.get("SecretToken") != text):
                self.broken.append("an undo took their token out of Entra")

    def _disturb(self, length: int) -> bool:
        """Break a request, or let colleagues act between two, or neither; say whether."""
        kind = self.dice.random()
        if kind < 0.3:
            self.lab.break_at(self.dice.randint(1, length), self.dice.choice(ALL_KINDS))
        elif kind < 0.5:
            self.lab.before_request(self.dice.randint(1, length), self._between)
        return kind < 0.5

    def _between(self) -> None:
        before, self.acted_at = set(self.lab.bad_jobs()), len(self.lab.simulation.history)
        self.told.append(f"meanwhile by hand: {self.people.act()}")
        self.by_hand = set(self.lab.bad_jobs()) - before

    def _session(self, made: Made, mode: str, *, is_undo: bool) -> str:
        session: Session | None = None
        try:
            session = tenant_session(made.settings, mode=RunMode(mode), out=made.out, machine=self.lab.machine(), is_undo=is_undo)
            for step in session.steps:
                session.do(step.number)
            status, _ = session.finish()
        except Killed:
            status = "killed"
        except RunbookError as stopped:
            status = f"stopped ({stopped})"
        if session is not None:
            session.lock.free()
        self.lab.mend()
        self.lab.meanwhile.clear()
        return status

    # The judge -----------------------------------------------------------------------------------------------------------

    def _judge(self, event: str, bad_before: set[str]) -> None:
        if self._came_between():
            self.people.forget_lost()
        self.broken += [f"of others is lost: {what}" for what in self.people.lost()]
        if not self.lab.foreign_tokens <= {token["token_id"] for token in self.lab.tokens()}:
            self.broken.append("a token of others is gone")
        if event in ("run", "undo", "twice"):
            worse = set(self.lab.bad_jobs()) - bad_before - self.by_hand
            self.broken += [f"a job is on with {what}" for what in worse]
        if created := set(self.lab.world.auth0.users) - self.known_users:
            self.broken.append(f"created {created}")

    def _came_between(self) -> bool:
        """Whether colleagues acted between a reading and the write made of it: no service has a condition on writes.

        A document that is replaced is read by the request before. An application goes with all that is in it, which takes
        several readings.
        """
        history = self.lab.simulation.history[self.acted_at :] if self.acted_at is not None else []
        following = [entry for entry in history if entry["service"] in ("auth0", "graph")][:READINGS_OF_AN_APPLICATION]
        is_replaced = bool(following) and following[0]["method"] != "GET"
        return is_replaced or any(e["method"] == "DELETE" and "/applications/" in e["path"] for e in following)

    def _judge_success(self, settings: TenantSettings) -> None:
        """A run without faults or colleagues in between said that all is right: then it is."""
        off = ("not started",) if settings.turn_on == "no" else ()
        theirs = (
            "saved token is not ours",
            "SCIM mapping",
            "schema outside the edits",
            "assignments",
            "foreign token gone",
            "option ",
        )
        found = [w for w in self.lab.wrongs() if w not in off and not w.startswith(theirs)]
        found = [w for w in found if not w.endswith("own tokens") or w.startswith("0")]
        if found:
            self.broken.append(f"said done, but {found}")
        self.broken += [f"said done, but {bad}" for bad in self.lab.bad_jobs()]


def results_of(out: Path) -> list[dict[str, str]]:
    """Return the rows that an undo has left."""
    path = out / "undo.json"
    return json.loads(path.read_text()) if path.exists() else []
