"""Every waad connection of an Auth0 tenant: which procedure it belongs to, its SCIM, and a tenants file to start from."""

from __future__ import annotations

import csv
import io
import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from runbook_lib.core.display import visible
from runbook_lib.core.errors import SettingsError, StepBlocked
from runbook_lib.core.secret import scrubber
from runbook_lib.http.rate_limits import Pacer
from runbook_lib.http.time_limit import Deadline
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import auth0_side
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.models import Connection, ScimToken, SeenUsers
from runbook_lib.services.wire_words import WAAD
from runbook_lib.settings.model import COLUMNS, TO_BE_CHOSEN, TenantSettings, problems
from runbook_lib.settings.process import output_name
from runbook_lib.settings.tenants_file import anchored, read_tenants
from runbook_lib.tenant.connection_age import ConnectionAge, connection_age

AT_ONCE = 8  # readings side by side; the pace keeps them under the tenant's limit
_NAME_LIMIT = 120  # of an enterprise application, as TenantSettings has it
_SAME_IN_ALL = (
    "auth0_domain",
    "auth0_client_id",
    "auth0_client_secret",
    "entra_client_id",
    "entra_client_secret",
    "cloud",
)


@dataclass(frozen=True)
class Found:
    """One waad connection. `name` is safe for a folder and unique in the list; `users` counts its users in Auth0.

    `tokens` is empty while SCIM is off.
    """

    name: str
    connection: Connection
    verdict: ConnectionAge
    users: int
    has_scim: bool
    tokens: tuple[ScimToken, ...]

    @property
    def scim(self) -> str:
        """Whether SCIM is on, as a word."""
        return "on" if self.has_scim else "off"

    @property
    def tokens_end(self) -> str:
        """How many SCIM tokens there are and when the first of them ends, in words; empty when there is none."""
        if not self.tokens:
            return ""
        ends = sorted(token.valid_until[:10] for token in self.tokens if token.valid_until)
        return f"{len(self.tokens)}, {f'until {ends[0]}' if ends else 'never ending'}"


def sign_in_of(given: Mapping[str, str], tenants_file: Path | None) -> TenantSettings:
    """Return settings that serve only to sign in to one Auth0 tenant.

    They come from the columns in `given`, or from a tenants file, of which all rows that sign in to Auth0 must be of one Auth0
    tenant: the first of them signs in. The Entra sign-in is in them where all rows that have one share it. Raises `SettingsError`
    before anything is sent.
    """
    if tenants_file is None:
        if missing := [column for column in ("auth0_domain", "auth0_client_secret") if not given.get(column)]:
            names = " and ".join(f"--{column.replace('_', '-').replace('auth0-client', 'client')}" for column in missing)
            raise SettingsError(
                f"{names} {'is' if len(missing) == 1 else 'are'} not given",
                "Give it, or name a tenants file that has it",
                column=", ".join(missing),
            )
        return TenantSettings.from_parameters({**TO_BE_CHOSEN, **anchored(given, Path.cwd())})
    if wrong := [column for column, value in given.items() if value]:
        raise SettingsError("the tenants file gives it already", "Give one of both", column=", ".join(wrong))
    tenants = [tenant for tenant in read_tenants(tenants_file) if tenant.handed_over != "auth0"]
    if not tenants:
        raise SettingsError(f"no row of {tenants_file.name} signs in to Auth0", "Ask the owner of that tenant for the list")
    if len({(tenant.auth0_domain, tenant.cloud) for tenant in tenants}) > 1:
        raise SettingsError(f"{tenants_file.name} names more than one Auth0 tenant", "Keep rows of one of them")
    entra = {(one.entra_client_id, one.entra_client_secret) for one in tenants if one.handed_over != "entra"}
    client_id, secret = entra.pop() if len(entra) == 1 else ("", TO_BE_CHOSEN["entra_client_secret"])
    given = {**tenants[0].model_dump(), "entra_client_id": client_id, "entra_client_secret": secret}
    return TenantSettings.from_parameters(given)


def take_inventory(settings: TenantSettings) -> tuple[Found, ...]:
    """Return every waad connection of the Auth0 tenant, by name. Progress is told on standard error.

    Raises `StepBlocked` where Auth0 refuses the sign-in or leaves out the options, `ApiError`, `TransportError`.
    """
    with tempfile.TemporaryDirectory(prefix="scim-") as pace:
        limit = Pacer(Path(pace)).limit(f"auth0 {settings.auth0_domain}")
        management, sign_in = auth0_side(settings, machine=Machine(), deadline=Deadline(), limit=limit)
        sign_in.grant()
        connections = sorted(management.connections_of(WAAD), key=lambda connection: (connection.name.lower(), connection.name))
        if any(connection.options is None for connection in connections):
            raise StepBlocked(
                "Auth0 answered connections without their options", "Grant the Auth0 application read:connections_options"
            )
        with_scim = {configuration.connection_id for configuration in management.scim_configurations()}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            looked = pool.map(lambda connection: _looked_at(management, connection, with_scim), connections)
            shown = tqdm(looked, total=len(connections), unit="connection", disable=not sys.stderr.isatty(), leave=False)
            details = list(shown)
    names = _names(connections)
    return tuple(
        Found(name, connection, connection_age(connection, users), users.total, connection.id in with_scim, tokens)
        for name, connection, (users, tokens) in zip(names, connections, details, strict=True)
    )


_Details = tuple[SeenUsers, tuple[ScimToken, ...]]


def _looked_at(management: Auth0Management, connection: Connection, with_scim: set[str]) -> _Details:
    tokens = management.scim_tokens(connection.id) if connection.id in with_scim else ()
    return management.seen_users(connection.name), tokens


def _names(connections: Iterable[Connection]) -> list[str]:
    """Return a plain folder name for each connection; where two differ in case alone, the later one gets a hash of its id."""
    names: list[str] = []
    for connection in connections:
        name = output_name(connection.name.lower())
        names.append(output_name(f"{connection.name} {connection.id}") if name in names else name)
    return names


def as_json(found: Found) -> dict[str, Any]:
    """Return one connection for programs. Of tokens there are ids and times, never texts."""
    return {
        "name": found.name,
        "connection": found.connection.name,
        "connection_id": found.connection.id,
        "display_name": found.connection.display_name or "",
        "entra_tenant": next(iter(found.connection.entra_tenant_names), ""),
        "verdict": found.verdict.kind,
        "why": found.verdict.why,
        "users": found.users,
        "scim": found.scim,
        "tokens": [
            {
                "token_id": token.token_id,
                "created_at": token.created_at,
                "valid_until": token.valid_until,
                "last_used_at": token.last_used_at,
                "scopes": sorted(token.scopes),
            }
            for token in found.tokens
        ],
    }


def table(found: Sequence[Found]) -> str:
    """Return the connections as lines for a terminal, hidden characters shown."""
    rows: list[tuple[str, ...]] = [("name", "which", "users", "SCIM", "tokens", "why")]
    for one in found:
        cells = (one.name, one.verdict.kind, str(one.users), one.scim, one.tokens_end, one.verdict.why)
        rows.append(tuple(map(visible, cells)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return "\n".join("  ".join((*map(str.ljust, row, widths), row[-1])) for row in rows)


def tenants_csv(found: Iterable[Found], settings: TenantSettings) -> str:
    """Return a tenants file with a row for each connection, SCIM to stay off until a person turns it on.

    What cannot be known, or would be refused there, is left empty, and `run` asks for it by row and column. Secrets are the
    references that signed in here.
    """
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    same = {column: getattr(settings, column) for column in _SAME_IN_ALL if not _is_open(settings, column)}
    same |= {"token_lifetime_days": "365", "turn_on": "no"}
    for one in found:
        tenant = next((name for name in one.connection.entra_tenant_names if not problems({"entra_tenant": name})), "")
        title = _plain(one.connection.display_name or "") or one.connection.name
        row = {
            "name": one.name,
            "auth0_connection": one.connection.id,
            "entra_tenant": tenant,
            "scim_app_name": f"{title[: _NAME_LIMIT - 5]} SCIM",
        }
        writer.writerow({**same, **row})
    return target.getvalue()


def left_open(settings: TenantSettings) -> tuple[str, ...]:
    """Return the columns that the operator has to fill in, because no list of connections holds their values."""
    return (*(column for column in ("entra_client_id", "entra_client_secret") if _is_open(settings, column)), "test_user")


def _is_open(settings: TenantSettings, column: str) -> bool:
    value = getattr(settings, column)
    return value == TO_BE_CHOSEN.get(column) or (column.startswith("entra_") and not value)


def _plain(title: str) -> str:
    """Return a display name without invisible characters, and without what would make it a spreadsheet's formula."""
    seen = "".join(char for char in unicodedata.normalize("NFC", title) if visible(char) == char)
    return re.sub(r"\s+", " ", seen).lstrip("=+-@＝＋－＠ ").strip()


def write_new(path: Path, text: str) -> None:
    """Write a private file that is not there yet. Raises `SettingsError` when it exists: a tenants file is a person's work."""
    refuse_existing(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as refused:
        raise SettingsError(f"{path} cannot be written ({refused.strerror})", "Choose another --out") from None
    with os.fdopen(handle, "w", encoding="utf-8") as writer:
        writer.write(scrubber.scrub(text))


def refuse_existing(path: Path) -> None:
    """Raise `SettingsError` when the file is there, or would not be read as CSV."""
    if path.exists() or path.is_symlink():
        raise SettingsError(f"{path} is there already and is never overwritten", "Choose another --out")
    if path.suffix.lower() in (".yaml", ".yml"):
        raise SettingsError(f"{path.name} would be read as YAML, and this writes CSV", "Choose a name that ends in .csv")
    if not path.absolute().parent.is_dir():
        raise SettingsError(f"{path.parent} is not a folder", "Make it, or choose another --out")
