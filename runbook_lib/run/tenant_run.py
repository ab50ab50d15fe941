"""One tenant's run: its steps, its lock and its files. The tenant's view owns the settings; nothing else keeps a copy."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runbook_lib import __version__
from runbook_lib.core.errors import RunbookError, StepBlocked
from runbook_lib.core.secret import Secret
from runbook_lib.engine.engine import Engine
from runbook_lib.engine.events import TRIES, TakenBack
from runbook_lib.engine.journal import Journal
from runbook_lib.engine.result import StepResult, result_row
from runbook_lib.engine.values import Hazard
from runbook_lib.procedures.handed_over import steps_for
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.procedures.undo import steps_to_undo, ways_back
from runbook_lib.run.answers import remember, remembered
from runbook_lib.run.forecast_file import counts, write_forecast
from runbook_lib.run.handover_sheet import write_sheet
from runbook_lib.run.journals import journals_of, note, others_of, past_of, refuse_another, refuse_ids
from runbook_lib.run.lock import TenantLock, locks_of
from runbook_lib.run.machine import Machine
from runbook_lib.run.place import place_of
from runbook_lib.run.report import (
    UNDO,
    rebuild_report,
    tenant_status,
    undo_outcome,
    write_private,
    write_report,
    write_results,
)
from runbook_lib.run.sign_ins import open_view, pace_of, secret_of
from runbook_lib.settings.model import RunMode, TenantSettings
from runbook_lib.settings.process import state_folder
from runbook_lib.steps.undoing.undo import Undo
from runbook_lib.tenant import facts
from runbook_lib.tenant.new_token import may_search, search
from runbook_lib.tenant.notes_claim import NotesClaim
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.token_memory import Memory
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Record, Written, emptied_before, restored_rows, standing, written_since

BY_A_PERSON = "step by step, by a person"
SAVE_EVERY_S = 1.0


class Session:
    """The steps of one tenant, and the files they leave in `out`. `view` is one that is signed in already.

    With `is_undo` the steps are those that take back what the journal in `out` says was made; they leave files of their own.
    `undo_since` then leaves standing what was written before the first write of that step.

    It holds the tenant's lock on this machine until `finish`; on a page, which may stay open for days, for each action only.
    Raises `TenantBusy` when another has it, `SettingsError`, `JournalFailed`.
    """

    def __init__(
        self,
        settings: TenantSettings,
        *,
        procedure: Procedure,
        mode: RunMode,
        out: Path,
        view: View | None = None,
        machine: Machine | None = None,
        is_undo: bool = False,
        undo_since: str = "",
        is_page: bool = False,
    ) -> None:
        self.procedure = procedure
        self.mode, self.out, self._is_undo, self._is_page = mode, out, is_undo, is_page
        self._rows: dict[str, tuple[StepResult, dict[str, Any]]] = {}
        self._cut_off: set[str] = set()  # steps that began and have not ended
        self._saved_at = time.monotonic()
        self._undo_since = undo_since
        machine = machine or Machine()
        self.view = view or open_view(settings, machine=machine)
        self.view.settings = settings
        self._now, self._keeps_lock, self._connection_id = machine.now, False, ""
        self.lock = TenantLock(
            locks_of(machine.locks, settings.cloud), settings.auth0_domain, settings.auth0_connection, str(out)
        )
        with self._holding():
            self._open(machine)
            self._begin(machine)
            if not is_page:
                self._keeps_lock = True

    def _open(self, machine: Machine) -> None:
        """Take up what earlier runs have left, and choose the steps. Raises `JournalFailed`, `SettingsError`."""
        settings, view = self.settings, self.view
        self._record = Journal(self.out / "journal.jsonl", machine.now, machine.guard)
        refuse_another(self._record, settings)
        self.journal, self._undoing = self._record, None
        self.steps = steps_for(self.procedure, settings)
        if self._is_undo:
            self.journal = Journal(self.out / "undo.jsonl", machine.now, machine.guard)
            own = written_since(self.standing, self._undo_since)
            undone = self.journal.events()
            record = Record(own, restored=restored_rows(undone), emptied_before=emptied_before(undone))
            is_plan = self.mode is RunMode.PLAN
            self.steps, self._undoing = steps_to_undo(self.procedure, record, settings.scim_app_name, is_plan=is_plan)
        if not view.cloud.is_sandbox:  # those come and go at one address
            view.settled = remembered(state_folder(), settings.auth0_domain)
        self._keep_settings()
        # What earlier runs of this tenant left: only tokens that one of them made may ever be deleted.
        journals = journals_of(self.out, settings.auth0_domain)
        view.memory = Memory.of(past_of(journals, settings.auth0_domain, settings.auth0_connection), machine.now())
        if not self._is_undo:
            _bring_token(view, settings)

    def _begin(self, machine: Machine) -> None:
        """Make the engine, and put on record that the run begins."""
        settings = self.settings
        self.view.run = f"{re.sub(r'[^A-Za-z0-9_-]', '-', self.out.parent.name) or 'run'}@{machine.name}"
        self.engine = Engine(
            self.view,
            is_applying=self.mode is RunMode.APPLY,
            journal=self.journal,
            pace=pace_of(self.view.cloud),
            sleep=machine.sleep,
            now=machine.now,
            steps=self.steps,
            numbers=self.procedure.by_thing,
            guard=NotesClaim(self.view, leaves_marker=not self._is_undo),
            on_result=self._save_now_and_then,
        )
        self.journal.write(
            "run",
            tenant=settings.name,
            auth0_domain=settings.auth0_domain,
            connection=settings.auth0_connection,
            mode=str(self.mode),
            tool=__version__,
            by=BY_A_PERSON if self._is_page else "",
            settings=settings.digest,
        )

    @property
    def standing(self) -> tuple[Written, ...]:
        """What this run has written and no undo has taken back since, oldest first. Raises `JournalFailed`."""
        return standing(self._record, Journal(self.out / "undo.jsonl", self._now).events(), ways_back(self.procedure))

    def amend(self, **changes: Any) -> None:
        """Change settings from here on, checked like the first ones. Does not plan again what was planned with the old ones.

        Raises `SettingsError`.
        """
        self.view.settings = TenantSettings.from_parameters({**self.settings.model_dump(), **changes})
        self._keep_settings()
        self.journal.write("settings", settings=self.settings.digest)

    def accept(self, hazards: Iterable[Hazard]) -> None:
        """Accept hazards because a person said so, each for as many people as it concerns now; on record with who and when."""
        who, when = ", ".join(self._people().values()) or "the person at the page", self._now().isoformat(timespec="seconds")
        records = [{"hazard": hazard.name, "count": hazard.count, "who": who, "when": when} for hazard in hazards]
        self.amend(accepted=[*(one.model_dump() for one in self.view.settings.accepted), *records])
        for record in records:
            self.journal.write("accepted", **record)
        self.engine.reconsider()

    @property
    def settings(self) -> TenantSettings:
        """The settings as they are now. The view has the only copy; `settings.json` is written of it."""
        return self.view.settings

    def _keep_settings(self) -> None:
        write_private(self.out / "settings.json", json.dumps(self.settings.model_dump(mode="json"), indent=1))

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """Hold the tenant's lock for an action; keep it if the whole run holds it."""
        if self._keeps_lock:
            yield
            return
        self.lock.take()
        try:
            yield
        finally:
            if not self._keeps_lock:
                self.lock.free()

    def _hold_by_id(self) -> RunbookError | None:
        """Hold the connection by its id too: another run may name it so, and this one by its name. Raises `TenantBusy`.

        Return what went wrong with reading the id, which becomes the result of the step at hand: it would only meet the same.
        A connection that is not there has no id to hold, and the steps that need one say so.
        The enterprise application is held likewise, by the id of its Entra tenant: another row may name that by its domain.
        """
        if self.settings.handed_over != "entra":
            self.lock.take_application(self.settings.entra_tenant, self.settings.scim_app_name)
        if not self._connection_id and not any(result.status == "FAILED" for result in self.engine.results.values()):
            try:
                self._connection_id = self.view.read(facts.connection_id)
            except StepBlocked:
                pass
            except RunbookError as failed:
                return failed
            if self._connection_id:
                self._recall()
        if self._connection_id:
            self.lock.take_also(self._connection_id)
        if self.settings.handed_over != "entra" and (known := self.view.known(facts.organization)):
            self.lock.take_application(known.id, self.settings.scim_app_name)
        return None

    def _recall(self) -> None:
        """Remember what every earlier run of the connection left, whatever it called the connection. Raises `JournalFailed`."""
        settings, connection_id = self.settings, self._connection_id
        found = self.view.known(facts.connection)
        names = (connection_id, settings.auth0_connection, *([found.name] if found else []))
        refuse_ids(self._record, connection_id)
        note(self.out, settings.auth0_domain, connection_id)
        journals = journals_of(self.out, settings.auth0_domain, connection_id)
        self.view.memory.recall(past_of(journals, settings.auth0_domain, *names), self._now())
        self.journal.write("connection", id=connection_id)
        if self._undoing:
            others = [path for path in journals if path.parent != self.out]
            ways = ways_back(self.procedure)
            self._undoing.record.others = others_of(others, settings.auth0_domain, *names, ways=ways)
            self._undoing.record.token_ids = self.view.memory.own_token_ids

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows. Raises `TenantBusy`, `JournalFailed`."""
        self._cut_off.add(number)
        with self._holding():
            self.engine.look_ahead()
            self._search_once()
            failed = self._hold_by_id()
            result = self.engine.fails(number, failed) if failed else self.engine.do(number)
            if self._undoing and self.mode is RunMode.APPLY:
                self._took_back(self._undoing, result)
        self._cut_off.discard(number)
        return result

    def _took_back(self, undoing: Undo, result: StepResult) -> None:
        """Record that nothing of a write is left, so that a later undo ignores what is there by then."""
        entry = undoing.entries[result.step]
        undoing.has_stopped |= entry.kind == "start" and entry.is_certain and result.status in ("CHANGED", "UNCHANGED")
        is_over = result.status == "UNCHANGED" or (result.status == "CHANGED" and not result.is_left)
        if entry.kind == "application" and entry.service_principal:
            (undoing.record.deleted if is_over else undoing.record.kept).add(entry.service_principal)
        if is_over:
            self.journal.write("taken-back", of=list(entry.numbers), step=entry.step)

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it. Raises `TenantBusy`."""
        with self._holding():
            self._search_once()
            failed = self._hold_by_id()
            result = self.engine.fails(number, failed) if failed else self.engine.press(number)
            if not self._keeps_lock:
                self.engine.release()
        return result

    def _search_once(self) -> None:
        """Search once with the token that the session has just made; on record first, so that it never counts as Entra's use.

        What it settles for the Auth0 tenant is remembered.
        """
        memory = self.view.memory
        if memory.scim_token is None or memory.scim_token_id in memory.tried_ids or not may_search(self.view):
            return
        self.journal.write(TRIES, token=memory.scim_token_id)
        memory.tried_ids |= {memory.scim_token_id}
        search(self.view, memory.scim_token)
        if memory.searched is None or memory.searched.finds is None:
            return
        self.journal.write("settled-search", searches_every_field=memory.searched.finds, about=memory.searched.words)
        if not self.view.cloud.is_sandbox:  # those come and go at one address
            remember(state_folder(), self.settings.auth0_domain, {"searches_every_field": memory.searched.finds})

    def make_token(self) -> tuple[StepResult, Secret | None]:
        """Make a SCIM token because a person asked to see it; return the result and the token, None when none was made.

        The caller shows it once; from then on nothing here has it. Raises `TenantBusy`, and `StepBlocked` where Entra is ours.
        """
        if self.settings.handed_over != "entra":
            step = self.procedure.number_of(Thing.CREDENTIALS)
            raise StepBlocked(
                f"This run signs in to Entra, so step {step} gives Entra the token itself", f"Carry out step {step}"
            )
        memory = self.view.memory
        memory.asks_for_token = True
        try:
            result = self.press(self.procedure.number_of(Thing.TOKEN))
        finally:
            memory.asks_for_token = False
            token, memory.scim_token = memory.scim_token, None
        return result, token

    def finish(self) -> tuple[str, str]:
        """End the run: end its claim, write the report and the end event, free the lock; return the status and what to know."""
        self.engine.release()
        self._save()
        rows = self.rows()
        outcome = self._outcome(rows)
        now = self._now().isoformat(timespec="seconds")
        report = UNDO if self._is_undo else "report.html"
        mode = BY_A_PERSON if self._is_page else str(self.mode)
        about = {"tenant": self.settings.name, "mode": mode, "version": __version__, "time": now}
        if not self._is_undo:
            write_sheet(self.out, self.settings, self.procedure, self.engine.results.values(), self._now(), self._people())
        about["place"] = place_of(self.settings.auth0_domain)
        foretold = {} if self._is_undo else self._keep_forecast()
        write_report(
            self.out / report,
            **about,
            rows=rows,
            outcome=outcome,
            people=self._people(),
            forecast=foretold,
            procedure=self.procedure,
        )
        self.journal.write("end", status=outcome[0], about=outcome[1], people=self._people(), reported=now, forecast=foretold)
        if self._undoing and any(row["status"] == "CHANGED" for row in rows):
            self._tell_undone(now)
        self._keeps_lock = False
        self.lock.free()
        return outcome

    def _keep_forecast(self) -> dict[str, int]:
        """Write the latest forecast, person by person, and return how many people have each fate; empty without a forecast."""
        if self.view.foretold is None:
            return {}
        write_forecast(self.out, self.view.foretold)
        return counts(self.view.foretold)

    def _outcome(self, rows: list[dict[str, Any]]) -> tuple[str, str]:
        """Return the tenant's outcome. A step that did not end, as after an interrupt, outweighs everything but errors."""
        is_undone = self._is_undo and self.mode is RunMode.APPLY
        outcome = undo_outcome(rows, len(self.standing) if is_undone else 0, self.procedure)
        cut_off = next((step.number for step in self.steps if step.number in self._cut_off), "")
        if not cut_off or outcome[0] in ("failed", "blocked"):
            return outcome
        return "interrupted", f"interrupted at {cut_off}, run again"

    def _tell_undone(self, now: str) -> None:
        """Write into the run's own journal and report that it was taken back: when, by which accounts, and how much is left."""
        over = [event for event in self.journal.events() if isinstance(event, TakenBack)]
        left = len(self.standing)
        steps = sorted({event.step for event in over})
        self._record.write("undone", at=now, people=self._people(), steps=steps, left=left)
        rebuild_report(self._record.path, tenant_status(self._record.path, self.procedure), self.procedure)

    def _people(self) -> dict[str, str]:
        """Return who signed in on each side, where the token tells."""
        grants = {"Auth0": self.view.auth0_sign_in.current, "Entra": self.view.entra_sign_in.current}
        return {side: grant.who for side, grant in grants.items() if grant is not None and grant.who}

    def rows(self) -> list[dict[str, Any]]:
        """Return the result rows so far, in the document's order."""
        results: Mapping[str, StepResult] = self.engine.results
        return [self._row(results[step.number]) for step in self.steps if step.number in results]

    def _row(self, result: StepResult) -> dict[str, Any]:
        """Return a result's row. Each is made only once, because every step writes all rows again."""
        known = self._rows.get(result.step)
        if known is None or known[0] is not result:
            known = self._rows[result.step] = (result, result_row(result))
        return known[1]

    def _save_now_and_then(self, _result: StepResult) -> None:
        """Save the rows: of a headless run once a second, since the journal has them and `finish` saves them all."""
        if self._is_page or time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        write_results(self.out / ("undo.json" if self._is_undo else "results.json"), self.rows())
        self._saved_at = time.monotonic()


def _bring_token(view: View, settings: TenantSettings) -> None:
    """Put the SCIM token from the owner of the Auth0 side into memory; the step that saves credentials takes it from there."""
    memory = view.memory
    if settings.scim_token:
        memory.scim_token = secret_of(settings.scim_token, view.typed, "scim_token")
        memory.scim_token_id, memory.is_brought = _token_name(memory.scim_token), True


def _token_name(token: Secret) -> str:
    """Return what names a token on record: its public id, or a digest of a text of another form (see `secret`)."""
    text = token.reveal()
    token_id, _, rest = text.partition(".")
    is_usual = bool(rest) and re.fullmatch(r"tok_[A-Za-z0-9]{16}", token_id)
    return token_id if is_usual else f"token-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
