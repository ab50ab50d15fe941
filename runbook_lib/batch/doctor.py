"""The command `doctor`: which tenant it looks at, and what it prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.http.retry import SIGN_IN_PACE
from runbook_lib.http.service import Service
from runbook_lib.run.answers import remember
from runbook_lib.run.doctor import Check
from runbook_lib.run.machine import Machine
from runbook_lib.run.probe import Answer, Probe
from runbook_lib.run.sign_ins import open_view
from runbook_lib.services.auth0.management import scim_endpoint_url
from runbook_lib.settings.clouds import CLOUDS, Cloud
from runbook_lib.settings.model import TenantSettings
from runbook_lib.settings.process import state_folder
from runbook_lib.settings.references import resolve
from runbook_lib.settings.tenants_file import read_tenants
from runbook_lib.tenant import facts
from runbook_lib.tenant.view import View

MARKS = {"ok": "\u2713", "bad": "\u2717", "unknown": "?"}


@dataclass(frozen=True)
class ProbeOptions:
    """What may be used for the probe: references to SCIM tokens, people, and whether it may write."""

    scim_token: str = ""
    throw_away: str = ""
    throw_away_token: str = ""
    disabled: str = ""
    unmatched: str = ""
    may_write: bool = False


def tenant_of(tenants: Path | None, only: str) -> TenantSettings | None:
    """Return the tenant to look at: the one named, the only one, or the first of a file; None without a file."""
    if tenants is None:
        return None
    rows = read_tenants(tenants)
    if not only:
        return rows[0]
    for row in rows:
        if row.name == only:
            return row
    raise SettingsError(f"{tenants.name} has no tenant {only!r}", f"Known are {', '.join(row.name for row in rows[:10])}")


def cloud_of(settings: TenantSettings | None, name: str) -> Cloud:
    """Return the tenant's cloud, or the one named. Raises `SettingsError`."""
    if settings is not None:
        return settings.find_cloud()
    if name not in CLOUDS:
        raise SettingsError(f"is none of {', '.join(CLOUDS)}", "Name one of them", column="cloud")
    return CLOUDS[name]


def line(check: Check) -> str:
    """Return a check for a terminal; a bad one has a second line that says what to do."""
    first = f"{MARKS[check.status]} {check.what}: {check.found}"
    return f"{first}\n    {check.now}." if check.now else first


def probed(settings: TenantSettings, options: ProbeOptions, machine: Machine) -> tuple[Answer, ...]:
    """Ask the seven questions of a tenant, and remember what they settle, unless it is a sandbox's. Raises `RunbookError`."""
    view = open_view(settings, machine=machine)
    url = scim_endpoint_url(settings.auth0_domain, view.read(facts.connection_id))
    probe = Probe(
        view,
        _scim(url, options.scim_token, view, machine),
        _scim(options.throw_away, options.throw_away_token, view, machine),
        options.disabled,
        options.unmatched,
        options.may_write,
    )
    answers = tuple(probe.answers())
    if not view.cloud.is_sandbox:
        remember(state_folder(), settings.auth0_domain, dict(answer.reading for answer in answers if answer.reading))
    return answers


def _scim(url: str, reference: str, view: View, machine: Machine) -> Service | None:
    if not url or not reference:
        return None
    if not url.startswith(f"https://{view.settings.auth0_domain}/scim/v2/connections/"):
        raise SettingsError(
            "is not an endpoint of this Auth0 tenant", "Copy it from the connection's Provisioning tab", column="throw-away"
        )
    token = resolve(reference, column="scim_token")
    session = machine.open_http(view.cloud.ca_bundle)
    return Service("scim", url, session=session, pace=SIGN_IN_PACE, sleep=machine.sleep, sign_in=lambda _renew: token)


def as_json(checks: Iterable[Check], answers: Iterable[Answer]) -> dict[str, Any]:
    """Return the report as JSON; answers hold no names and no secrets, so that they can be sent in."""
    return {"checks": [asdict(check) for check in checks], "answers": [_answer(answer) for answer in answers]}


def _answer(answer: Answer) -> Mapping[str, Any]:
    row = asdict(answer)
    row["settles"] = dict([answer.reading]) if answer.reading else {}
    del row["reading"]
    return row


def answer_line(answer: Answer) -> str:
    """Return an answer for a terminal."""
    if answer.asked:
        return f"? {answer.question}: not asked: {answer.asked}"
    settled = f" (settles {answer.reading[0]}: {'yes' if answer.reading[1] else 'no'})" if answer.reading else ""
    return f"{MARKS['ok']} {answer.question}: {answer.call} -> {answer.status}{settled}"
