"""Which journals belong to a connection, whatever the folders of their runs and tenants are called.

A row may be renamed, or name the connection once by its name and once by its id. Each tenant therefore writes its folder's name
into an index in its run's folder, `.connections/KEY`, as soon as it has read the connection's id: looking for a connection's
journals costs one look into each run, however many tenants a run has.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from runbook_lib.core.errors import JournalFailed
from runbook_lib.core.files import NO_FOLLOW
from runbook_lib.engine.events import Begun, Event, Intent, Named
from runbook_lib.engine.journal import NUMBERED, Journal, each_event
from runbook_lib.engine.recovery import Past, past_in
from runbook_lib.engine.step import TakeBack
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.written import Written, standing

INDEX = ".connections"


def journals_of(out: Path, auth0_domain: str, connection_id: str = "") -> tuple[Path, ...]:
    """Return the journals that may belong to a connection: those of the tenant's folder name, and those of its index.

    `out` is the tenant's folder in its run; `connection_id` is empty while nothing has been read yet. Raises `JournalFailed`.
    """
    base, key = out.parent.parent, _key(auth0_domain, connection_id)
    found = set(base.glob(f"*/{out.name}/journal.jsonl"))
    for run in base.iterdir() if connection_id and base.is_dir() else ():
        if any(run.glob("*/journal.jsonl")):
            _indexed(run)
            found |= {run / name / "journal.jsonl" for name in _lines(run / INDEX / key)}
    return tuple(sorted(path for path in found if path.is_file()))


def note(out: Path, auth0_domain: str, connection_id: str) -> None:
    """Write a tenant's folder into the index of its connection, once. Raises `JournalFailed`."""
    _indexed(out.parent)
    _append(out.parent / INDEX / _key(auth0_domain, connection_id), out.name)


def past_of(journals: Iterable[Path], auth0_domain: str, *names: str) -> Past:
    """Return what the journals of one connection tell. Raises `JournalFailed`.

    `names` are all that the connection is called: its id and its name. Journals of other connections tell nothing here, nor
    does one of version 1, which did not number its events.
    """
    return past_in(read for path in journals if is_of(read := tuple(each_event(path)), auth0_domain, *names))


def is_of(events: tuple[Event, ...], auth0_domain: str, *names: str) -> bool:
    """Whether a journal is of the connection that is called so: by the id that it holds, else by how its settings call it.

    One that runs of two connections wrote into tells nothing.
    """
    runs = [event for event in events if isinstance(event, Begun)]
    if not runs or any(event.v < NUMBERED or event.text("auth0_domain") != auth0_domain for event in runs):
        return False
    ids = {event.id for event in events if isinstance(event, Named)}
    ids |= {_connection_in(event) for event in events} - {""}
    if ids and any(name.startswith("con_") for name in names):
        return ids <= set(names)
    return {event.text("connection") for event in runs} <= set(names)


def _connection_in(event: Event) -> str:
    """Return the id of the connection that a write is about, empty where it tells none."""
    return str(event.undo.get("connection") or "") if isinstance(event, Intent) else ""


def others_of(journals: Iterable[Path], auth0_domain: str, *names: str, ways: Mapping[str, TakeBack]) -> tuple[Written, ...]:
    """Return the standing writes of other runs of a connection, `ways` as for `standing`. Raises `JournalFailed`."""
    found: list[Written] = []
    for path in journals:
        journal, undone = Journal(path), Journal(path.with_name("undo.jsonl"))
        if is_of(journal.events(), auth0_domain, *names):
            found += standing(journal, undone.events(), ways)
    return tuple(found)


def refuse_another(journal: Journal, settings: TenantSettings) -> None:
    """Raise `JournalFailed` when the journal is another tenant's: its tokens and doubts are not ours.

    One run may have called the connection by its name and another by its id. Whether that is the same `refuse_ids` tells.
    """
    for event in journal.events():
        if not isinstance(event, Begun):
            continue
        names = {event.text("connection"), settings.auth0_connection}
        is_same = len(names) == 1 or sum(name.startswith("con_") for name in names) == 1
        if event.text("auth0_domain") != settings.auth0_domain or not is_same:
            raise _of_another(journal, event.text("tenant"), event.text("connection"))


def refuse_ids(journal: Journal, connection_id: str) -> None:
    """Raise `JournalFailed` when the journal names another connection than the one that was read."""
    for event in journal.events():
        named = event.id if isinstance(event, Named) else _connection_in(event)
        if named and named != connection_id:
            raise _of_another(journal, "another connection", named)


def _of_another(journal: Journal, tenant: str, connection: str) -> JournalFailed:
    came_back = f"it is the journal of {tenant} (connection {connection})"
    return JournalFailed(journal.path, came_back, "Choose another folder: start a new run, without --resume or another --run-id")


def _key(auth0_domain: str, connection_id: str) -> str:
    return hashlib.sha256(f"{auth0_domain.lower()} {connection_id}".encode()).hexdigest()[:32]


def _indexed(run: Path) -> None:
    """Make the index of a run that has none, of the journals that are there: earlier versions made none."""
    try:
        (run / INDEX).mkdir(mode=0o700)
    except OSError:  # it is there; or the run is not this user's, and holds nothing that this user's runs have made
        return
    for path in sorted(run.glob("*/journal.jsonl")):
        for auth0_domain, connection_id in _named_in(path):
            _append(run / INDEX / _key(auth0_domain, connection_id), path.parent.name)


def _named_in(journal: Path) -> Iterator[tuple[str, str]]:
    """Yield the Auth0 domain and the id of the connection that a journal names; nothing where it names none."""
    domain = ""
    try:
        for event in each_event(journal):
            domain = event.text("auth0_domain") or domain if isinstance(event, Begun) else domain
            found = _connection_in(event)
            if domain and found:
                yield domain, found
                return
    except JournalFailed:  # the run of that tenant reports it
        return


def _lines(place: Path) -> tuple[str, ...]:
    try:
        handle = os.open(place, os.O_RDONLY | NO_FOLLOW)
    except FileNotFoundError:
        return ()
    except OSError as refused:
        raise _failed(place, refused) from None
    with os.fdopen(handle, encoding="utf-8") as lines:
        return tuple(line for line in lines.read().splitlines() if line == Path(line).name)


def _append(place: Path, line: str) -> None:
    if line in _lines(place):
        return
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NO_FOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as writer:
            writer.write(f"{line}\n")
    except OSError as refused:
        raise _failed(place, refused) from None


def _failed(place: Path, refused: OSError) -> JournalFailed:
    about = refused.strerror or str(refused)
    return JournalFailed(place, about, "Make room, or choose another folder, then run again")
