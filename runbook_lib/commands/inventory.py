"""`inventory`: every waad connection of an Auth0 tenant, and a tenants file to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runbook_lib.commands.terminal import again, as_next, command_line, next_commands, print_json, refuse, say
from runbook_lib.core.secret import scrubber

if TYPE_CHECKING:
    from runbook_lib.settings.model import TenantSettings


@click.command()
@click.argument("tenants", type=click.Path(path_type=Path), required=False)
@click.option("--auth0-domain", metavar="DOMAIN", default="", help="The Auth0 tenant, such as acme.eu.auth0.com.")
@click.option("--client-id", metavar="ID", default="", help="A machine-to-machine application; without it the secret is a token.")
@click.option("--client-secret", metavar="REFERENCE", default="", help="env:NAME, file:PATH or keyring:SERVICE/USER.")
@click.option("--cloud", default="", help="public (default), usgov, china or sandbox:READY_FILE.")
@click.option("--entra-client-id", metavar="ID", default="", help="For every row of --out, if all customers share it.")
@click.option("--entra-client-secret", metavar="REFERENCE", default="", help="The same.")
@click.option("--out", type=click.Path(path_type=Path), metavar="CSV", help="Tenants file to write; never overwrites.")
@click.option("--with-unsure", is_flag=True, help="Write rows for unsure connections too, not only for older ones.")
@click.option("--json", "as_json", is_flag=True, help="The result as JSON.")
def inventory(
    tenants: Path | None,
    auth0_domain: str,
    client_id: str,
    client_secret: str,
    cloud: str,
    entra_client_id: str,
    entra_client_secret: str,
    out: Path | None,
    with_unsure: bool,
    as_json: bool,
) -> None:
    """Find every waad connection of an Auth0 tenant, and write a tenants file to start from. Changes nothing.

    Example: python -m runbook_lib inventory --auth0-domain acme.eu.auth0.com --client-id aBcD --client-secret env:AUTH0_SECRET
    --out tenants.csv

    With a tenants file in place of the options, its rows say how to sign in: python -m runbook_lib inventory tenants.csv
    """
    from runbook_lib.batch import inventory as listing
    from runbook_lib.core.errors import RunbookError, SettingsError, StepBlocked

    auth0 = {"auth0_domain": auth0_domain, "auth0_client_id": client_id, "auth0_client_secret": client_secret, "cloud": cloud}
    entra = {"entra_client_id": entra_client_id, "entra_client_secret": entra_client_secret}
    try:
        if out:
            listing.refuse_existing(out)
        settings = listing.sign_in_of({name: value for name, value in (auth0 | entra).items() if value}, tenants)
        say(f"Reading the waad connections of {settings.auth0_domain} ...")
        found = listing.take_inventory(settings)
        kinds = ("older", "unsure") if with_unsure else ("older",)
        rows = [one for one in found if one.verdict.kind in kinds]
        if out:
            listing.write_new(out, listing.tenants_csv(rows, settings))
    except RunbookError as wrong:
        refuse(wrong, 2 if isinstance(wrong, SettingsError) else 3 if isinstance(wrong, StepBlocked) else 1)
    following = _next(len(found), out, settings)
    if as_json:
        connections = [listing.as_json(one) for one in found]
        written = {"file": str(out) if out else "", "rows": len(rows) if out else 0}
        result = {"auth0_domain": settings.auth0_domain, "connections": connections, **written, "next": as_next(following)}
        print_json([json.dumps(result, ensure_ascii=False)])
    else:
        click.echo(scrubber.scrub(listing.table(found)))
    counts = ", ".join(f"{sum(one.verdict.kind == kind for one in found)} {kind}" for kind in ("older", "newer", "unsure"))
    say(f"{len(found)} waad connections: {counts}.")
    if out:
        say(f"{out}: {len(rows)} rows, turn_on is no. Fill in {', '.join(listing.left_open(settings))}; everything else is set.")
    next_commands(following)


def _next(count: int, out: Path | None, settings: TenantSettings) -> tuple[tuple[str, str], ...]:
    from runbook_lib.batch.inventory import left_open

    if out:
        return ((f"when {', '.join(left_open(settings))} are filled in", command_line("run", out)),)
    if not count:
        return (("this Auth0 tenant has no Microsoft Azure AD connection: check the domain", ""),)
    return (("to write a tenants file to start from", again(out="tenants.csv")),)
