"""One tenant's session: settings become clients, clients a view, the view an engine that leaves its files behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import __version__, facts
from runbook_lib.claim import this_machine
from runbook_lib.clients.auth0_management import Auth0Management
from runbook_lib.clients.batches import GraphService
from runbook_lib.clients.microsoft_graph import MicrosoftGraph
from runbook_lib.clients.sign_in import (
    Auth0ClientCredentials,
    DeviceCode,
    EntraSignIn,
    Grant,
    NobodySignsIn,
    PastedToken,
    SignIn,
    grant_of,
)
from runbook_lib.engine import Engine, StepResult, result_row
from runbook_lib.errors import JournalFailed, RunbookError, SettingsError, StepBlocked
from runbook_lib.facts import Memory, View
from runbook_lib.http import Deadline, Limit, Pace, Service, SignInSession, open_session
from runbook_lib.journal import Journal, past_of
from runbook_lib.lease import surely_held
from runbook_lib.lock import TenantLock
from runbook_lib.pacing import Pacer
from runbook_lib.report import status_of, write_private, write_report, write_results
from runbook_lib.secret import Secret
from runbook_lib.settings import (
    Cloud,
    RunMode,
    TenantSettings,
    handed_grant,
    lease_file,
    lock_folder,
    pace_folder,
    realm,
    resolve,
)
from runbook_lib.sheet import write_sheet
from runbook_lib.steps import steps_for
from runbook_lib.undo import steps_to_undo

BY_A_PERSON = "step by step, by a person"
SAVE_EVERY_S = 1.0
SANDBOX_PACE = Pace(first_s=0.02, factor=1.5, cap_s=0.2, total_s=6.0)  # its delays are counted in requests, not in seconds


def lease_guard() -> Callable[[], None]:
    """Return what raises `LeaseLost` when another task may have taken this kernel's tenant over."""
    until = lease_file()
    return (lambda: surely_held(until)) if until else (lambda: None)


@dataclass(frozen=True)
class Machine:
    """What a session needs of the machine it runs on; tests put their own in its place.

    `open_http` makes the HTTP session for a CA bundle (as `http.open_session`); `sleep` waits seconds; `now` gives aware UTC;
    `clock` counts seconds; `name` tells machines apart in claims, or places where leases are kept; `locks` is the folder of the
    locks; `guard` raises when the lease of this run is lost.
    """

    open_http: Callable[..., Any] = open_session
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    name: str = field(default_factory=lambda: realm() or this_machine())
    locks: Path = field(default_factory=lock_folder)
    guard: Callable[[], None] = field(default_factory=lease_guard)


class Session:
    """The steps of one tenant, and the files they leave in `out`. `view` is one that is signed in already.

    With `is_undo` the steps are those that take back what the journal in `out` says was made; they leave files of their own.

    It holds the tenant's lock on this machine until `finish`; on a page, which may stay open for days, for each action only.
    Raises `TenantBusy` when another has it, `SettingsError`, `JournalFailed`.
    """

    def __init__(
        self,
        settings: TenantSettings,
        *,
        mode: RunMode,
        out: Path,
        view: View | None = None,
        machine: Machine | None = None,
        is_undo: bool = False,
        is_page: bool = False,
    ) -> None:
        self.settings, self.mode, self.out, self._is_undo, self._is_page = settings, mode, out, is_undo, is_page
        self._rows: dict[str, tuple[StepResult, dict[str, Any]]] = {}
        self._saved_at = time.monotonic()
        machine = machine or Machine()
        view = view or open_view(settings, machine=machine)
        self._now, self._keeps_lock, self._connection_id = machine.now, False, ""
        self.lock = TenantLock(machine.locks, settings.auth0_domain, settings.auth0_connection, str(out))
        with self._holding():
            self._open(view, machine)
            if not is_page:
                self._keeps_lock = True

    def _open(self, view: View, machine: Machine) -> None:
        settings = self.settings
        record = Journal(self.out / "journal.jsonl", machine.now, machine.guard)
        _refuse_another(record, settings)
        self.journal = Journal(self.out / "undo.jsonl", machine.now, machine.guard) if self._is_undo else record
        self.steps = steps_to_undo(record.events(), self.journal.events()) if self._is_undo else steps_for(settings)
        self.view = view
        self._keep_settings()
        # What earlier runs of this tenant left: only tokens that one of them made may ever be deleted.
        journals = sorted(self.out.parent.parent.glob(f"*/{self.out.name}/journal.jsonl"))
        self.view.memory = Memory.of(past_of(journals, settings.auth0_domain, settings.auth0_connection))
        if not self._is_undo:
            _bring_token(self.view, settings)
        self.view.run = f"{re.sub(r'[^A-Za-z0-9_-]', '-', self.out.parent.name) or 'run'}@{machine.name}"
        self.engine = Engine(
            self.view,
            mode=self.mode,
            journal=self.journal,
            pace=_pace(view.cloud),
            sleep=machine.sleep,
            now=machine.now,
            steps=self.steps,
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
        )

    def amend(self, **changes: Any) -> None:
        """Change settings from here on, checked like those given. What was planned by the old ones is not planned again here.

        Raises `SettingsError`.
        """
        self.settings = TenantSettings.from_parameters({**self.view.settings.model_dump(), **changes})
        self.view.settings = self.settings
        self._keep_settings()

    def _keep_settings(self) -> None:
        write_private(self.out / "settings.json", json.dumps(self.settings.model_dump(mode="json"), indent=1))

    @contextlib.contextmanager
    def _holding(self) -> Iterator[None]:
        """Hold the tenant's lock for an action, and keep it where the whole run holds it."""
        if self._keeps_lock:
            yield
            return
        self.lock.take()
        try:
            yield
        finally:
            if not self._keeps_lock:
                self.lock.free()

    def _hold_by_id(self) -> None:
        """Hold the connection by its id too: another run may name it so, and this one by its name. Raises `TenantBusy`.

        Where the id cannot be read the steps say why, and nothing is written.
        """
        if not self._connection_id and not any(result.status == "FAILED" for result in self.engine.results.values()):
            with contextlib.suppress(RunbookError):
                self._connection_id = self.view.read(facts.connection_id)
        if self._connection_id:
            self.lock.take_also(self._connection_id)

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows. Raises `TenantBusy`."""
        with self._holding():
            self._hold_by_id()
            return self.engine.do(number)

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it. Raises `TenantBusy`."""
        with self._holding():
            self._hold_by_id()
            result = self.engine.press(number)
            if not self._keeps_lock:
                self.engine.release()
            return result

    def make_token(self) -> tuple[StepResult, Secret | None]:
        """Make a SCIM token because a person asked to see it; return the result and the token, None when none was made.

        The caller shows it once; from then on nothing here has it. Raises `TenantBusy`, and `StepBlocked` where Entra is ours.
        """
        if self.settings.handed_over != "entra":
            raise StepBlocked("Entra is signed in to here, and step 3.6 hands the token over", "Carry out step 3.6")
        memory = self.view.memory
        memory.asks_for_token = True
        try:
            result = self.press("2.2")
        finally:
            memory.asks_for_token = False
            token, memory.scim_token = memory.scim_token, None
        return result, token

    def finish(self) -> tuple[str, str]:
        """End the run: end its claim, write the report and the end event, free the lock; return the status and what to know."""
        self.engine.release()
        self._save()
        rows = self.rows()
        outcome = status_of(rows)
        now = self._now().isoformat(timespec="seconds")
        report = "undo.html" if self._is_undo else "report.html"
        mode = BY_A_PERSON if self._is_page else str(self.mode)
        about = {"tenant": self.settings.name, "mode": mode, "version": __version__, "time": now}
        if not self._is_undo:
            write_sheet(self.out, self.settings, self.engine.results.values(), self._now())
        write_report(self.out / report, **about, rows=rows, outcome=outcome, people=self._people())
        self.journal.write("end", status=outcome[0], about=outcome[1], people=self._people(), reported=now)
        self._keeps_lock = False
        self.lock.free()
        return outcome

    def _people(self) -> dict[str, str]:
        """Return who signed in on each side, where the token tells."""
        grants = {"Auth0": self.view.auth0_sign_in.current, "Entra": self.view.entra_sign_in.current}
        return {side: grant.who for side, grant in grants.items() if grant is not None and grant.who}

    def rows(self) -> list[dict[str, Any]]:
        """Return the result rows so far, in the document's order."""
        results: Mapping[str, StepResult] = self.engine.results
        return [self._row(results[step.number]) for step in self.steps if step.number in results]

    def _row(self, result: StepResult) -> dict[str, Any]:
        """Return a result's row, made once: all of them are wanted again after each step."""
        known = self._rows.get(result.step)
        if known is None or known[0] is not result:
            known = self._rows[result.step] = (result, result_row(result))
        return known[1]

    def _save_now_and_then(self, _result: StepResult) -> None:
        """Save the rows, on a run that nobody watches once a second: the journal has them, and `finish` saves them all."""
        if self._is_page or time.monotonic() - self._saved_at >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        write_results(self.out / ("undo.json" if self._is_undo else "results.json"), self.rows())
        self._saved_at = time.monotonic()


def _refuse_another(journal: Journal, settings: TenantSettings) -> None:
    """Raise `JournalFailed` when the journal is another tenant's: its tokens and doubts are not ours."""
    for event in journal.events():
        whose_id = (event.get("auth0_domain"), event.get("connection"))
        if event["event"] == "run" and whose_id != (settings.auth0_domain, settings.auth0_connection):
            raise JournalFailed(
                journal.path, f"it is the journal of {event.get('tenant')}", "Choose another folder, then run again"
            )


def _bring_token(view: View, settings: TenantSettings) -> None:
    """Put the SCIM token that the owner of the Auth0 side gave into memory, where step 3.6 takes it from."""
    memory = view.memory
    if settings.scim_token:
        memory.scim_token = _secret(settings.scim_token, view.typed, "scim_token")
        memory.scim_token_id, memory.is_brought = _token_name(memory.scim_token), True


def _token_name(token: Secret) -> str:
    """Return what names a token on record: its public id, or a digest of a text of another form (see `secret`)."""
    text = token.reveal()
    token_id, _, rest = text.partition(".")
    is_usual = bool(rest) and re.fullmatch(r"tok_[A-Za-z0-9]{16}", token_id)
    return token_id if is_usual else f"token-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def open_view(
    settings: TenantSettings,
    *,
    machine: Machine | None = None,
    deadline: Deadline | None = None,
    show: Callable[[DeviceCode], None] | None = None,
) -> View:
    """Return a tenant's view, not signed in yet, all its requests under one deadline. Raises `SettingsError`.

    `show` gets what a person needs for a sign-in by device code; without it there is none.
    """
    machine = machine or Machine()
    deadline = deadline or Deadline(clock=machine.clock)
    auth0, auth0_sign_in = auth0_side(settings, machine=machine, deadline=deadline)
    graph, entra_sign_in = entra_side(settings, machine=machine, deadline=deadline, show=show)
    return View(settings, _cloud(settings), auth0, graph, auth0_sign_in, entra_sign_in, clock=machine.clock)


def auth0_side(
    settings: TenantSettings,
    *,
    machine: Machine,
    deadline: Deadline,
    typed: Mapping[str, Secret] | None = None,
    limit: Limit | None = None,
) -> tuple[Auth0Management, SignIn]:
    """Return the Auth0 tenant and its sign-in. `typed` holds the secrets that references `memory:NAME` mean.

    Without a `limit` it is the one that the kernels of a run share.
    """
    cloud, base = _cloud(settings), f"https://{settings.auth0_domain}"
    shared: Any = {
        "session": machine.open_http(cloud.ca_bundle),
        "pace": _pace(cloud),
        "deadline": deadline,
        "sleep": machine.sleep,
    }
    sign_in = _auth0_sign_in(settings, Service("auth0", base, **shared), typed or {})
    limit = limit or _limit(f"auth0 {settings.auth0_domain}")
    service = Service("auth0", base, **shared, sign_in=lambda renew: sign_in.grant(renew=renew).token, limit=limit)
    return Auth0Management(service), sign_in


def entra_side(
    settings: TenantSettings,
    *,
    machine: Machine,
    deadline: Deadline,
    typed: Mapping[str, Secret] | None = None,
    show: Callable[[DeviceCode], None] | None = None,
) -> tuple[MicrosoftGraph, SignIn]:
    """Return the Entra tenant and its sign-in. `show` gets what a person needs for a device code; for `typed` see above."""
    cloud = _cloud(settings)
    session = SignInSession(_pace(cloud), machine.sleep)
    machine.open_http(cloud.ca_bundle, session)
    sign_in = _entra_sign_in(settings, cloud, session, typed or {}, show)
    service = GraphService(
        "graph",
        cloud.graph,
        session=machine.open_http(cloud.ca_bundle),
        pace=_pace(cloud),
        deadline=deadline,
        sleep=machine.sleep,
        sign_in=lambda renew: sign_in.grant(renew=renew).token,
        limit=_limit(f"graph {settings.entra_tenant}"),
    )
    return MicrosoftGraph(service), sign_in


def _cloud(settings: TenantSettings) -> Cloud:
    try:
        return settings.find_cloud()
    except ValueError as missing:
        raise SettingsError(str(missing), "Correct it and run again; nothing was sent", column="cloud") from None


def _pace(cloud: Cloud) -> Pace:
    return SANDBOX_PACE if cloud.is_sandbox else Pace()


def _secret(reference: str, typed: Mapping[str, Secret], column: str) -> Secret:
    kind, _, name = reference.partition(":")
    return typed[name] if kind == "memory" and name in typed else resolve(reference, column=column)


def _limit(key: str) -> Limit | None:
    """Return the limit that all kernels of a run share, None where there is no run."""
    folder = pace_folder()
    return Pacer(folder).limit(key) if folder else None


def fetched_grant(settings: TenantSettings) -> Grant:
    """Return a new Auth0 token for settings that name a client. Raises `RunbookError`."""
    cloud = settings.find_cloud()
    service = Service("auth0", f"https://{settings.auth0_domain}", session=open_session(cloud.ca_bundle), pace=_pace(cloud))
    return _auth0_sign_in(settings, service, {}).grant()


def _auth0_sign_in(settings: TenantSettings, service: Service, typed: Mapping[str, Secret]) -> SignIn:
    if settings.handed_over == "auth0":
        return NobodySignsIn("Auth0")
    secret = _secret(settings.auth0_client_secret, typed, "auth0_client_secret")
    if not settings.auth0_client_id:
        return PastedToken(secret, "Auth0")
    handed = handed_grant(settings.auth0_domain, settings.auth0_client_id)
    grant = replace(grant_of(handed[0]), permissions=handed[1]) if handed else None
    return Auth0ClientCredentials(service, settings.auth0_domain, settings.auth0_client_id, secret, grant)


def _entra_sign_in(
    settings: TenantSettings,
    cloud: Cloud,
    session: SignInSession,
    typed: Mapping[str, Secret],
    show: Callable[[DeviceCode], None] | None,
) -> SignIn:
    if settings.handed_over == "entra":
        return NobodySignsIn("Entra")
    credential: Any = None
    if settings.entra_client_secret:
        secret = _secret(settings.entra_client_secret, typed, "entra_client_secret")
        if not settings.entra_client_id:
            return PastedToken(secret, "Graph")
        text = secret.reveal()
        credential = {"private_key": text, "public_certificate": text} if "-----BEGIN" in text else text
    return EntraSignIn(
        authority=cloud.authority,
        tenant=settings.entra_tenant,
        client_id=settings.entra_client_id,
        credential=credential,
        resource=cloud.resource,
        session=session,
        known_authority=not cloud.is_sandbox,
        show=show,
    )
