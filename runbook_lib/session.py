"""One tenant's session: settings become clients, clients a view, the view an engine that leaves its files behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import __version__
from runbook_lib.clients.auth0_management import Auth0Management
from runbook_lib.clients.microsoft_graph import MicrosoftGraph
from runbook_lib.clients.sign_in import Auth0ClientCredentials, EntraSignIn, PastedToken, SignIn
from runbook_lib.engine import Engine, StepResult, result_row
from runbook_lib.errors import SettingsError
from runbook_lib.facts import Memory, View
from runbook_lib.http import Pace, Service, open_session
from runbook_lib.journal import Journal, made_by_us
from runbook_lib.report import status_of, write_report, write_results
from runbook_lib.settings import Cloud, RunMode, TenantSettings, resolve
from runbook_lib.steps import STEPS

SANDBOX_PACE = Pace(first_s=0.02, factor=1.5, cap_s=0.2, total_s=6.0)  # its delays are counted in requests, not in seconds


class Session:
    """The steps of one tenant, and the files they leave in `out`. `show` gets messages for a person, such as a device code."""

    def __init__(self, settings: TenantSettings, *, mode: RunMode, out: Path, show: Callable[[str], None] | None = None) -> None:
        self.settings, self.mode, self.out = settings, mode, out
        try:
            cloud = settings.find_cloud()
        except ValueError as missing:
            raise SettingsError(str(missing), "Correct it and run again; nothing was sent", column="cloud") from None
        self.journal = Journal(out / "journal.jsonl")
        pace = SANDBOX_PACE if cloud.is_sandbox else Pace()
        self.view = _view(settings, cloud, pace, show)
        self.engine = Engine(self.view, mode=mode, journal=self.journal, pace=pace, on_result=self._save)
        self.journal.write("run", tenant=settings.name, connection=settings.auth0_connection, mode=str(mode), tool=__version__)
        # Only tokens that an earlier run beside this one made may ever be deleted.
        self.view.memory.own_token_ids = made_by_us(out.parent.parent, "token")

    def do(self, number: str) -> StepResult:
        """Carry out one step as far as the mode allows."""
        return self.engine.do(number)

    def finish(self) -> tuple[str, str]:
        """End the run: write the report and the end event; return the tenant's status and what to know about it."""
        rows = self.rows()
        status, about = status_of(rows)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_report(
            self.out / "report.html", tenant=self.settings.name, mode=str(self.mode), version=__version__, rows=rows, time=now
        )
        self.journal.write("end", status=status, about=about)
        return status, about

    def rows(self) -> list[dict[str, Any]]:
        """Return the result rows so far, in the document's order."""
        results: Mapping[str, StepResult] = self.engine.results
        return [result_row(results[step.number]) for step in STEPS if step.number in results]

    def _save(self, _result: StepResult) -> None:
        write_results(self.out / "results.json", self.rows())


def _view(settings: TenantSettings, cloud: Cloud, pace: Pace, show: Callable[[str], None] | None) -> View:
    http = open_session(cloud.ca_bundle)
    base = f"https://{settings.auth0_domain}"
    auth0_sign_in = _auth0_sign_in(settings, Service("auth0", base, session=http, pace=pace))
    entra_sign_in = _entra_sign_in(settings, cloud, show)
    auth0 = Service("auth0", base, session=http, pace=pace, sign_in=lambda renew: auth0_sign_in.grant(renew=renew).token)
    graph = Service("graph", cloud.graph, session=http, pace=pace, sign_in=lambda renew: entra_sign_in.grant(renew=renew).token)
    return View(settings, cloud, Auth0Management(auth0), MicrosoftGraph(graph), auth0_sign_in, entra_sign_in, Memory())


def _auth0_sign_in(settings: TenantSettings, service: Service) -> SignIn:
    secret = resolve(settings.auth0_client_secret, column="auth0_client_secret")
    if not settings.auth0_client_id:
        return PastedToken(secret, "Auth0")
    return Auth0ClientCredentials(service, settings.auth0_domain, settings.auth0_client_id, secret)


def _entra_sign_in(settings: TenantSettings, cloud: Cloud, show: Callable[[str], None] | None) -> SignIn:
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
        session=open_session(cloud.ca_bundle),
        known_authority=not cloud.is_sandbox,
        show=show,
    )
