"""One tenant's session: settings become clients, clients a view, the view an engine that leaves its files behind."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import __version__
from runbook_lib.claim import this_machine
from runbook_lib.clients.auth0_management import Auth0Management
from runbook_lib.clients.microsoft_graph import MicrosoftGraph
from runbook_lib.clients.sign_in import Auth0ClientCredentials, EntraSignIn, Grant, PastedToken, SignIn
from runbook_lib.engine import Engine, StepResult, result_row
from runbook_lib.errors import JournalFailed, SettingsError
from runbook_lib.facts import Memory, View
from runbook_lib.http import Deadline, Limit, Pace, Service, SignInSession, open_session
from runbook_lib.journal import Journal, past_of
from runbook_lib.lock import TenantLock
from runbook_lib.pacing import Pacer
from runbook_lib.report import status_of, write_private, write_report, write_results
from runbook_lib.settings import Cloud, RunMode, TenantSettings, handed_grant, lock_folder, pace_folder, resolve
from runbook_lib.steps import STEPS
from runbook_lib.undo import steps_to_undo

SANDBOX_PACE = Pace(first_s=0.02, factor=1.5, cap_s=0.2, total_s=6.0)  # its delays are counted in requests, not in seconds


@dataclass(frozen=True)
class Machine:
    """What a session needs of the machine it runs on; tests put their own in its place.

    `open_http` makes the HTTP session for a CA bundle (as `http.open_session`); `sleep` waits seconds; `now` gives aware UTC;
    `clock` counts seconds; `name` tells machines apart in claims; `locks` is the folder of the locks.
    """

    open_http: Callable[..., Any] = open_session
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    name: str = field(default_factory=this_machine)
    locks: Path = field(default_factory=lock_folder)


class Session:
    """The steps of one tenant, and the files they leave in `out`. `show` gets messages for a person, such as a device code.

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
        show: Callable[[str], None] | None = None,
        machine: Machine | None = None,
        is_undo: bool = False,
        is_page: bool = False,
    ) -> None:
        self.settings, self.mode, self.out, self._is_undo = settings, mode, out, is_undo
        machine = machine or Machine()
        try:
            cloud = settings.find_cloud()
        except ValueError as missing:
            raise SettingsError(str(missing), "Correct it and run again; nothing was sent", column="cloud") from None
        self._now, self._keeps_lock = machine.now, False
        self.lock = TenantLock(machine.locks, settings.auth0_domain, settings.auth0_connection, str(out))
        with self._holding():
            self._open(cloud, machine, show)
            if not is_page:
                self._keeps_lock = True

    def _open(self, cloud: Cloud, machine: Machine, show: Callable[[str], None] | None) -> None:
        settings = self.settings
        record = Journal(self.out / "journal.jsonl", machine.now)
        _refuse_another(record, settings)
        self.journal = Journal(self.out / "undo.jsonl", machine.now) if self._is_undo else record
        self.steps = steps_to_undo(record.events()) if self._is_undo else STEPS
        write_private(self.out / "settings.json", json.dumps(settings.model_dump(mode="json"), indent=1))
        pace = SANDBOX_PACE if cloud.is_sandbox else Pace()
        self.view = _view(settings, cloud, pace, machine, show)
        # What earlier runs of this tenant left: only tokens that one of them made may ever be deleted.
        journals = sorted(self.out.parent.parent.glob(f"*/{self.out.name}/journal.jsonl"))
        self.view.memory = Memory.of(past_of(journals, settings.auth0_domain, settings.auth0_connection))
        self.view.run = f"{re.sub(r'[^A-Za-z0-9_-]', '-', self.out.parent.name) or 'run'}@{machine.name}"
        self.engine = Engine(
            self.view,
            mode=self.mode,
            journal=self.journal,
            pace=pace,
            sleep=machine.sleep,
            now=machine.now,
            steps=self.steps,
            on_result=self._save,
        )
        self.journal.write(
            "run",
            tenant=settings.name,
            auth0_domain=settings.auth0_domain,
            connection=settings.auth0_connection,
            mode=str(self.mode),
            tool=__version__,
        )

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

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows. Raises `TenantBusy`."""
        with self._holding():
            return self.engine.do(number)

    def press(self, number: str) -> StepResult:
        """Apply one step because a person asked for it. Raises `TenantBusy`."""
        with self._holding():
            result = self.engine.press(number)
            if not self._keeps_lock:
                self.engine.release()
            return result

    def finish(self) -> tuple[str, str]:
        """End the run: end its claim, write the report and the end event, free the lock; return the status and what to know."""
        self.engine.release()
        rows = self.rows()
        outcome = status_of(rows)
        now = self._now().isoformat(timespec="seconds")
        report = "undo.html" if self._is_undo else "report.html"
        about = {"tenant": self.settings.name, "mode": str(self.mode), "version": __version__, "time": now}
        write_report(self.out / report, **about, rows=rows, outcome=outcome)
        self.journal.write("end", status=outcome[0], about=outcome[1])
        self._keeps_lock = False
        self.lock.free()
        return outcome

    def rows(self) -> list[dict[str, Any]]:
        """Return the result rows so far, in the document's order."""
        results: Mapping[str, StepResult] = self.engine.results
        return [result_row(results[step.number]) for step in self.steps if step.number in results]

    def _save(self, _result: StepResult) -> None:
        write_results(self.out / ("undo.json" if self._is_undo else "results.json"), self.rows())


def _refuse_another(journal: Journal, settings: TenantSettings) -> None:
    """Raise `JournalFailed` when the journal is another tenant's: its tokens and doubts are not ours."""
    for event in journal.events():
        whose_id = (event.get("auth0_domain"), event.get("connection"))
        if event["event"] == "run" and whose_id != (settings.auth0_domain, settings.auth0_connection):
            raise JournalFailed(
                journal.path, f"it is the journal of {event.get('tenant')}", "Choose another folder, then run again"
            )


def _view(settings: TenantSettings, cloud: Cloud, pace: Pace, machine: Machine, show: Callable[[str], None] | None) -> View:
    base, deadline = f"https://{settings.auth0_domain}", Deadline(clock=machine.clock)
    shared: Any = {
        "session": machine.open_http(cloud.ca_bundle),
        "pace": pace,
        "deadline": deadline,
        "sleep": machine.sleep,
    }
    auth0_sign_in = _auth0_sign_in(settings, Service("auth0", base, **shared))
    sign_in_session = SignInSession(pace, machine.sleep)
    machine.open_http(cloud.ca_bundle, sign_in_session)
    entra_sign_in = _entra_sign_in(settings, cloud, sign_in_session, show)
    auth0 = Service(
        "auth0",
        base,
        **shared,
        sign_in=lambda renew: auth0_sign_in.grant(renew=renew).token,
        limit=_limit(f"auth0 {settings.auth0_domain}"),
    )
    graph = Service(
        "graph",
        cloud.graph,
        **shared,
        sign_in=lambda renew: entra_sign_in.grant(renew=renew).token,
        limit=_limit(f"graph {settings.entra_tenant}"),
    )
    return View(settings, cloud, Auth0Management(auth0), MicrosoftGraph(graph), auth0_sign_in, entra_sign_in, clock=machine.clock)


def _limit(key: str) -> Limit | None:
    """Return the limit that all kernels of a run share, None where there is no run."""
    folder = pace_folder()
    return Pacer(folder).limit(key) if folder else None


def fetched_grant(settings: TenantSettings) -> Grant:
    """Return a new Auth0 token for settings that name a client. Raises `RunbookError`."""
    cloud = settings.find_cloud()
    pace = SANDBOX_PACE if cloud.is_sandbox else Pace()
    service = Service("auth0", f"https://{settings.auth0_domain}", session=open_session(cloud.ca_bundle), pace=pace)
    return _auth0_sign_in(settings, service).grant()


def _auth0_sign_in(settings: TenantSettings, service: Service) -> SignIn:
    secret = resolve(settings.auth0_client_secret, column="auth0_client_secret")
    if not settings.auth0_client_id:
        return PastedToken(secret, "Auth0")
    handed = handed_grant(settings.auth0_domain, settings.auth0_client_id)
    grant = Grant(*handed) if handed else None
    return Auth0ClientCredentials(service, settings.auth0_domain, settings.auth0_client_id, secret, grant)


def _entra_sign_in(settings: TenantSettings, cloud: Cloud, session: SignInSession, show: Callable[[str], None] | None) -> SignIn:
    credential: Any = None
    if settings.entra_client_secret:
        secret = resolve(settings.entra_client_secret, column="entra_client_secret")
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
