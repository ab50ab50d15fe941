"""`doctor`: what must be there before a first real tenant."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook_lib.commands.terminal import again, as_next, command_line, next_commands, print_json, print_line, refuse

if TYPE_CHECKING:
    from runbook_lib.run.doctor import Check
    from runbook_lib.settings.model import TenantSettings


@click.command()
@click.argument("tenants", type=click.Path(path_type=Path), required=False)
@click.option("--only", metavar="NAME", default="", help="The tenant to check; the first of the file by default.")
@click.option("--cloud", default="public", show_default=True, help="Without a file: public, usgov or china.")
@click.option("--probe", is_flag=True, help="Also ask the tenant what no documentation answers; reads only.")
@click.option("--scim-token", metavar="REFERENCE", default="", help="For --probe: a SCIM token that may read (get:users).")
@click.option("--write", "may_write", is_flag=True, help="For --probe: also send writes; use a test tenant.")
@click.option("--disabled", metavar="WHO", default="", help="For --probe --write: a disabled person; they may get blocked.")
@click.option("--unmatched", metavar="WHO", default="", help="For --probe --write: a person without an Auth0 user.")
@click.option("--throw-away", metavar="URL", default="", help="For --probe --write: the SCIM endpoint of a connection for tests.")
@click.option("--throw-away-token", metavar="REFERENCE", default="", help="Its SCIM token, which may create (post:users).")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON, without names and secrets in the answers.")
def doctor(
    tenants: Path | None,
    only: str,
    cloud: str,
    probe: bool,
    scim_token: str,
    may_write: bool,
    disabled: str,
    unmatched: str,
    throw_away: str,
    throw_away_token: str,
    as_json: bool,
) -> None:
    """Look at what must be there before a first real tenant: versions, network, clock, sign-ins, permissions. Changes nothing.

    Example: python -m runbook_lib doctor

    Example: python -m runbook_lib doctor tenants.csv --only contoso

    Example: python -m runbook_lib doctor tenants.csv --only contoso --probe --scim-token env:SCIM_TOKEN --json > probe.json
    """
    from runbook_lib.batch import doctor as command
    from runbook_lib.core.errors import RunbookError, SettingsError
    from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
    from runbook_lib.run.doctor import examine
    from runbook_lib.run.machine import Machine
    from runbook_lib.run.probe import Answer

    checks: list[Check] = []
    answers: tuple[Answer, ...] = ()
    options = command.ProbeOptions(scim_token, throw_away, throw_away_token, disabled, unmatched, may_write)
    try:
        settings = command.tenant_of(tenants, only)
        if probe and settings is None:
            raise SettingsError("--probe needs a tenant", "Name a tenants file")
        for check in examine(settings, command.cloud_of(settings, cloud), Machine(), OLDER_AZURE_AD):
            if not as_json:
                _print(check, is_first=not checks or checks[-1].group != check.group)
            checks.append(check)
        if probe and settings is not None:
            answers = command.probed(settings, options, Machine())
    except RunbookError as wrong:
        refuse(wrong, 2 if isinstance(wrong, SettingsError) else 1)
    bad = sum(check.status == "bad" for check in checks)
    following = _next(bad, tenants, settings)
    if as_json:
        result = {**command.as_json(checks, answers), "exit_code": int(bool(bad)), "next": as_next(following)}
        print_json([json.dumps(result, ensure_ascii=False, indent=1)])
    else:
        for answer in answers:
            print_line(command.answer_line(answer))
        click.echo()
        print_line(_totals(checks))
    next_commands(following)
    sys.exit(1 if bad else 0)


def _print(check: Check, *, is_first: bool) -> None:
    """Print a check, the first of a group under its head."""
    from runbook_lib.batch.doctor import line

    if is_first:
        print_line(check.group)
    for text in line(check).split("\n"):
        print_line(f"  {text}")


def _totals(checks: Sequence[Check]) -> str:
    counts = Counter(check.status for check in checks)
    words = (("bad", "to correct"), ("unknown", "not known"), ("ok", "as they must be"))
    told = ", ".join(f"{counts[status]} {word}" for status, word in words if counts[status])
    return f"Checks: {told}."


def _next(bad: int, tenants: Path | None, settings: TenantSettings | None) -> tuple[tuple[str, str], ...]:
    if bad:
        return (("correct what is marked \u2717, see docs/troubleshooting.md; then look again", again()),)
    if settings is None or tenants is None:
        options = ("--auth0-domain", "DOMAIN", "--client-id", "ID", "--client-secret", "env:NAME", "--out", "tenants.csv")
        return (
            ("to write a tenants file from what Auth0 has", command_line("inventory", *options)),
            ("with a tenants file, to look at sign-ins and permissions too", command_line("doctor", "tenants.csv")),
        )
    return (("ready: to see what would be done", command_line("run", tenants, "--only", settings.name)),)
