"""What a process is told by its environment, and the places where it keeps things."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from runbook_lib.core.errors import SettingsError
from runbook_lib.core.json_text import parsed
from runbook_lib.core.secret import Secret

SANDBOX_VARIABLE = "INBOUND_SCIM_SANDBOX"

PACE_VARIABLE = "INBOUND_SCIM_PACE"

GRANT_VARIABLE = "INBOUND_SCIM_AUTH0_GRANT"

SHARED_VARIABLE = "INBOUND_SCIM_SHARED"

LEASE_VARIABLE = "INBOUND_SCIM_LEASE"

REALM_VARIABLE = "INBOUND_SCIM_REALM"

PAGE_VARIABLE = "INBOUND_SCIM_PAGE"

RUNNER_VARIABLE = "INBOUND_SCIM_RUNNER"

OUTPUTS_VARIABLE = "INBOUND_SCIM_OUTPUTS"


def lock_folder() -> Path:
    """Return the folder of this user's locks on this machine, made when missing and readable by this user only.

    In the temporary folder: it is there on every machine, and a lock means nothing after a restart.
    """
    user = os.getuid() if hasattr(os, "getuid") else os.getlogin()
    folder = Path(tempfile.gettempdir()) / f"inbound-scim-runbook-{user}"
    with contextlib.suppress(FileExistsError):  # something else of that name, as a link that leads nowhere
        folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or not folder.is_dir() or (hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()):
        raise SettingsError(f"{folder} belongs to another user", "Remove it, or set TMPDIR to a folder of your own")
    return folder


def state_folder() -> Path:
    """Return the folder of what this user's runs remember of tenants; it may not be there yet (XDG base directories)."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "inbound-scim-runbook" / "answers"


def attached_sandbox() -> Path | None:
    """Return the ready file of the sandbox that the environment names; None when it names none."""
    named = os.environ.get(SANDBOX_VARIABLE)
    return Path(named) if named and Path(named).exists() else None


def announce_sandbox(ready_file: Path) -> None:
    """Let this process and its children find this sandbox."""
    os.environ[SANDBOX_VARIABLE] = str(ready_file)


def page_folder() -> Path | None:
    """Return the folder in which the page of this kernel lies, when `lab` has put it there."""
    named = os.environ.get(PAGE_VARIABLE)
    return Path(named) if named else None


def with_sandbox(ready_file: Path, page: Path | None = None) -> dict[str, str]:
    """Return the environment for a child process that is to find this sandbox, and the folder of its page."""
    named = {SANDBOX_VARIABLE: str(ready_file), **({PAGE_VARIABLE: str(page)} if page else {})}
    return child_environment(**named)


def is_own_runner() -> bool:
    """Whether the runner of this package executes this kernel's page. It learns how the tenant ended from the journal."""
    return bool(os.environ.get(RUNNER_VARIABLE))


def is_only_viewed() -> bool:
    """Whether this kernel serves a page that people only look at.

    Voila names itself in the environment of each kernel that it starts (voila, handler.py: `kernel_env[SERVER_SOFTWARE] =
    "voila/…"`), also of one that it starts before a person comes (`VOILA_PREHEAT`).
    """
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila/") or "VOILA_PREHEAT" in os.environ


def named_outputs() -> Path | None:
    """Return the folder for outputs that the environment names, None when it names none."""
    named = os.environ.get(OUTPUTS_VARIABLE)
    return Path(named) if named else None


def named_ca_bundle() -> tuple[str, str]:
    """Return the variable that names a file of certificate authorities for requests, and the file; both empty when none does."""
    found = ((name, os.environ.get(name, "")) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return next(((name, path) for name, path in found if path), ("", ""))


def pace_folder() -> Path | None:
    """Return the folder in which the kernels of a run share their pace, None outside of a run."""
    named = os.environ.get(PACE_VARIABLE)
    return Path(named) if named and Path(named).is_dir() else None


def lease_file() -> Path | None:
    """Return the file that says until when this kernel's lease is sure, None where no lease is needed."""
    named = os.environ.get(LEASE_VARIABLE)
    return Path(named) if named else None


def realm() -> str:
    """Return the name of the place where this run's leases are kept, empty when there are none."""
    return os.environ.get(REALM_VARIABLE, "")


def handed_grant(auth0_domain: str, client_id: str) -> tuple[Secret, frozenset[str] | None] | None:
    """Return the Auth0 token that the runner fetched for all its kernels, and its scopes; None when there is none.

    It comes by the environment, which is on no disk, and leaves it here, so that no child process gets it.
    """
    text = os.environ.pop(GRANT_VARIABLE, "")
    if not text:
        return None
    grant = parsed(text)
    token = Secret(grant["token"])
    scopes = None if grant["scopes"] is None else frozenset(grant["scopes"])
    return (token, scopes) if (grant["domain"], grant["client_id"]) == (auth0_domain, client_id) else None


def grant_for_child(auth0_domain: str, client_id: str, token: Secret, scopes: frozenset[str] | None) -> dict[str, str]:
    """Return the variable by which a kernel is handed a token."""
    listed = None if scopes is None else sorted(scopes)
    named = {"domain": auth0_domain, "client_id": client_id, "token": token.reveal(), "scopes": listed}
    return {GRANT_VARIABLE: json.dumps(named)}


def handed_answers(auth0_domain: str, connection: str) -> list[tuple[tuple[str, tuple[tuple[str, str], ...]], Any]]:
    """Return the answers about a connection that the runner read for all its kernels: path and query, and the body.

    They come as the token does, because a connection's document holds secrets.
    """
    text = os.environ.pop(SHARED_VARIABLE, "")
    handed = parsed(text) if text else {}
    if (handed.get("domain"), handed.get("connection")) != (auth0_domain, connection):
        return []
    return [((path, tuple((name, value) for name, value in query)), body) for (path, query), body in handed["answers"]]


def answers_for_child(auth0_domain: str, connection: str, answers: list[Any]) -> dict[str, str]:
    """Return the variable by which a kernel is handed answers; none for no answers."""
    if not answers:
        return {}
    return {SHARED_VARIABLE: json.dumps({"domain": auth0_domain, "connection": connection, "answers": answers})}


def child_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with some variables more, for a child process."""
    return {**os.environ, **variables}


_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")  # Windows makes no folder of these names


def output_name(name: str) -> str:
    """Return a folder name for a tenant: the name itself when plain, else an ASCII slug with a hash that keeps it unique."""
    if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) and not _DEVICE.fullmatch(name):
        return name
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:40] or "tenant"
    return f"{slug}-{hashlib.sha256(unicodedata.normalize('NFC', name).encode()).hexdigest()[:8]}"
