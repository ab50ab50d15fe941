"""The Auth0 connection: its type, its user id, and its options, which are written whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Hazard,
    Table,
    differences,
    lost,
)
from runbook_lib.http.message import Response
from runbook_lib.services.auth0 import management as auth0
from runbook_lib.services.auth0.management import (
    patch_connection,
)
from runbook_lib.services.auth0.models import Connection, SeenUsers
from runbook_lib.services.wire_json import Json
from runbook_lib.services.wire_words import (
    WAAD,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.body import check, ensure
from runbook_lib.steps.by_hand import CONNECTION, in_auth0
from runbook_lib.steps.undoing.others import equal, later_run, refuse_live
from runbook_lib.steps.undoing.readings import On, running_jobs
from runbook_lib.steps.undoing.undo import Seen, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.connection_age import connection_age
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, takes_back


def _type(settings: TenantSettings) -> Handover:
    return Handover(
        "Authentication > Enterprise",
        ("The connection is listed under Microsoft Azure AD. If it is under another type, stop: this procedure does not apply.",),
        (("Connection", settings.auth0_connection),),
    )


def _find(settings: TenantSettings) -> Handover:
    return Handover(f"{CONNECTION} > Settings", ("Open the connection.",), (("Connection", settings.auth0_connection),))


def _user_id(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{CONNECTION} > Settings",
        (
            "Check both settings and set them as shown below.",
            "If the type is oid and the connection has users, stop: it is a new connection. Follow Auth0's page for "
            "new connections.",
            "If the common endpoint is on, users from other directories sign in through it. Turn it off only if that locks no "
            "one out.",
        ),
        (("User ID Attribute Type", "Pairwise Subject Identifier (sub)"), ("Use Common Endpoint", "Disabled")),
    )


@check(Thing.CONNECTION_TYPE, by_hand=in_auth0(_type, "settings"), reads=(facts.connection,), stops_all=True)
def connection_type(connection: Connection, settings: TenantSettings) -> Iterator[Yield]:
    """Check that the connection is of the Microsoft Azure AD type.

    Why: only `waad` connections have a user id attribute type; without `options` a PATCH would wipe the connection.
    """
    if connection.strategy != WAAD:
        raise StepBlocked(
            f"{connection.name} is a connection of type {connection.strategy}, not Microsoft Azure AD ({WAAD})",
            "Name a Microsoft Azure AD connection; for other types follow Auth0's page for that type",
        )
    if not connection.options:
        raise StepBlocked(
            f"Auth0 returned {connection.name} without its options, so this run cannot read its settings or write them safely",
            "Grant the Auth0 application read:connections_options and update:connections_options, then run again",
        )
    yield Finding(f"{connection.name} is a Microsoft Azure AD connection, and this run can read its options.")


@check(Thing.CONNECTION, by_hand=in_auth0(_find, "settings"), reads=(facts.connection,), stops_all=True)
def find_connection(connection: Connection, settings: TenantSettings) -> Iterator[Yield]:
    """Find the connection."""
    yield Finding(f"Found the connection {connection.name}, displayed as {connection.display_name or connection.name}.")


_ENDPOINT_KEYS = ("useCommonEndpoint", "waad_common_endpoint")


@ensure(
    Thing.USER_ID_TYPE,
    by_hand=in_auth0(_user_id, "settings"),
    undone_by=lambda: (UNDO,),
    reads=(facts.connection, facts.seen_users),
    touches=(facts.connection,),
)
def pairwise_subject(connection: Connection, users: SeenUsers, settings: TenantSettings) -> Iterator[Yield]:
    """Use the pairwise subject as user id, and no common endpoint.

    Why: this keeps the user ids of existing profiles; a connection cannot use SCIM and the common endpoint together.
    Blocked when: user ids may not be pairwise subjects (Auth0's other page applies, or each user would come back as a second
    user), or the common endpoint is on (turning it off would lock others out).
    """
    options = readable_options(connection)
    if hazard := _doubtful(connection, users):
        yield hazard
    wanted = {"User ID attribute type": "sub", "Use common endpoint": "off"}
    yield _settings_table(connection, {**wanted, "Sync at each login": "on"})
    now = {
        "User ID attribute type": connection.user_id_attribute_type or "(absent: Auth0 treats it as sub)",
        "Use common endpoint": "on" if connection.uses_common_endpoint else "off",
    }
    if not (diffs := differences(on_connection(connection), now, wanted)):
        return
    endpoint = {key: False for key in _ENDPOINT_KEYS if key in options}
    changed = {**options, "userid_attribute": "sub", **endpoint}
    change = options_change(connection, changed, diffs, _others_locked_out(connection))
    # The next step writes the options too and reads them back; until then Auth0's answer shows what this step did.
    yield change if connection.syncs_at_each_login else replace(change, shows=_answered(connection, change))


def _answered(before: Connection, change: Change) -> Callable[[Response], tuple[tuple[Fact[Connection], Connection], ...]]:
    """Return the function that takes the connection from the answer to a PATCH, if the answer is whole and as it was sent.

    Source: Management API description, PATCH /connections/{id}: 200 with the connection.
    """

    def shows(answer: Response) -> tuple[tuple[Fact[Connection], Connection], ...]:
        after = Connection.from_wire(answer.body)
        is_as_sent = after.id == before.id and change.confirm is not None and not change.confirm(after)
        return ((facts.connection, after),) if is_as_sent else ()

    return shows


def options_change(connection: Connection, changed: Json, diffs: tuple[Diff, ...], hazard: Hazard | None = None) -> Change:
    """Return the change of the options to `changed`; its undo holds only the keys that differ, never all options."""
    keys = (
        [key for key in {**connection.options, **changed} if connection.options.get(key) != changed.get(key)]
        if connection.options
        else []
    )
    undo = {
        "kind": UNDO.kind,
        "connection": connection.id,
        "before": {key: connection.options[key] for key in keys if connection.options and key in connection.options},
        "after": {key: changed[key] for key in keys if key in changed},
    }
    request = patch_connection(connection, changed)
    return Change(on_connection(connection), diffs, request, hazard, confirm=_kept(connection, changed), undo=undo)


def _doubtful(connection: Connection, users: SeenUsers) -> Hazard | None:
    """Return the hazard of a connection whose user ids may not be pairwise subjects; None when nothing says so."""
    doubt = connection_age(connection, users).doubt
    if not doubt:
        return None
    return Hazard(
        "change-user-id-attribute",
        f"{doubt} The connection has {users.total} users. Auth0's page New Connections may apply to it, or neither page. With "
        "sub each of them may get a second Auth0 user",
    )


def _others_locked_out(connection: Connection) -> Hazard | None:
    if not connection.uses_common_endpoint:
        return None
    return Hazard(
        "turn-common-endpoint-off",
        "The common endpoint is on: users from other directories sign in through it, and turning it off would lock them out",
    )


def on_connection(connection: Connection) -> str:
    """Return the name under which tables show a difference in the connection itself."""
    return f"connection {connection.name}"


def readable_options(connection: Connection) -> Json:
    """Return the options. Raises `StepBlocked` when the sign-in may not read them: a write without them would wipe them."""
    if not connection.options:
        raise StepBlocked("Auth0 does not show this run the options of the connection", f"See step {Thing.CONNECTION_TYPE.step}")
    return connection.options


def _settings_table(connection: Connection, wanted: dict[str, str]) -> Table:
    now = {
        "User ID attribute type": connection.user_id_attribute_type or "(absent)",
        "Use common endpoint": "on" if connection.uses_common_endpoint else "off",
        "Sync at each login": "on" if connection.syncs_at_each_login else "off",
    }
    return Table(
        "Connection settings", ("setting", "found", "wanted"), tuple((name, now[name], value) for name, value in wanted.items())
    )


def _kept(before: Connection, options: Json) -> Callable[[Any], tuple[str, ...]]:
    """Return a check that the options read back are those sent and that the rest of the connection is as it was.

    The server may add keys, never lose or change one.
    """

    def differs(after: Connection) -> tuple[str, ...]:
        rest = {"display_name": before.display_name, **before.others}
        return lost({"options": options, **rest}, {"options": after.options, "display_name": after.display_name, **after.others})

    return differs


# Taking back ---------------------------------------------------------------------------------------------------------


_ABSENT = "(absent)"


def _options_then_and_now(entry: Written, view: View) -> Seen:
    before, now = entry.undo["before"], view.read(facts.connection).options or {}
    keys = {**entry.undo["after"], **before}
    words = f"{'; '.join(f'{key} was {before.get(key, _ABSENT)}, is {now.get(key, _ABSENT)}' for key in keys)}."
    return Seen(any(equal(now, key, entry.undo["after"]) for key in keys), words)


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Restore each option that is still as the run wrote it."""
    before, after, running = entry.undo["before"], entry.undo["after"], running_jobs(undo.record)

    def restore(on: On, connection: Connection, _settings: Any) -> Iterator[Yield]:
        options = connection.options
        if not options:
            raise StepBlocked(
                "Auth0 does not show this run the options of the connection", f"See step {Thing.CONNECTION_TYPE.step}"
            )
        later = {key for other in undo.record.since(entry, "options") for key in {**other.undo["before"], **other.undo["after"]}}
        standing = [key for key in {**before, **after} if equal(options, key, after)]
        ours = [key for key in standing if key not in later]
        if len(ours) < len(standing):
            yield left(later_run(undo.record, entry, "options"))
        changed = {key: value for key, value in options.items() if key not in ours or key in before}
        changed |= {key: before[key] for key in ours if key in before}
        where = f"connection {connection.name}"
        diffs = tuple(
            Diff(where, key, _shown(options, key), _shown(changed, key)) for key in ours if not equal(options, key, changed)
        )
        if diffs:
            guard = refuse_live(undo, on, diffs)
            yield Change(where, diffs, auth0.patch_connection(connection, changed), undo=takes_back(entry), guard=guard)
        elif len(ours) == len(standing):
            yield Finding("The connection has its earlier options already, or someone else has changed them since this run.")

    reads = (running, facts.connection)  # what the write replaces is read last
    return undo.step(number, entry, "Restore the connection", restore, *reads, touches=reads[::-1])


def _shown(options: Json, key: str) -> str:
    return str(options[key]) if key in options else "(absent)"


UNDO: TakeBack = undone(
    take_back,
    Thing.USER_ID_TYPE,
    "options of the connection",
    needs={"before": dict, "after": dict},
    look=_options_then_and_now,
)
