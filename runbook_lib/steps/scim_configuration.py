"""SCIM of the connection: whether it is on, the attribute that identifies users, and the attribute mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
    Table,
    differences,
)
from runbook_lib.http.message import Response
from runbook_lib.services.auth0 import management as auth0
from runbook_lib.services.auth0.management import (
    patch_scim_configuration,
    post_scim_configuration,
)
from runbook_lib.services.auth0.models import Connection, ScimConfiguration, ScimMappingRow, ScimToken
from runbook_lib.services.wire_words import (
    SCIM_USER_ID_ATTRIBUTE,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps.body import check, ensure
from runbook_lib.steps.by_hand import CONNECTION, in_auth0
from runbook_lib.steps.connection import UNDO as UNDO_OPTIONS
from runbook_lib.steps.connection import on_connection, options_change, readable_options
from runbook_lib.steps.undoing.others import later_run, refuse_live
from runbook_lib.steps.undoing.readings import On, running_jobs
from runbook_lib.steps.undoing.undo import Seen, Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.scim_mapping import (
    beside_default,
    is_manager,
    is_written_by_login,
    missing_rows,
    row_differences,
    written_by_several,
    wrong_as_a_whole,
)
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Written, takes_back


def _sync(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{CONNECTION} > Provisioning",
        ("Turn both settings on.",),
        (("Sync user profile attributes at each login", "on"), ("Sync user profiles using SCIM", "on")),
    )


def _external_id(_settings: TenantSettings) -> Handover:
    return Handover(
        f"{CONNECTION} > Provisioning > Mapping",
        ("Set the attribute.",),
        (("SCIM attribute containing the User ID", "externalId"),),
    )


def _mapping(settings: TenantSettings) -> Handover:
    rows = tuple((row.scim, row.auth0) for row in settings.mapping) or (("active", "blocked"),)
    return Handover(
        f"{CONNECTION} > Provisioning > Mapping > Additional Mappings",
        (
            "Replace the rows with these."
            if settings.mapping
            else "Check the rows. The default rows are enough. This row must exist; without it people who leave keep "
            "their access.",
        ),
        rows,
    )


@ensure(
    Thing.SCIM_CONFIGURATION,
    by_hand=in_auth0(_sync, "provisioning"),
    undone_by=lambda: (UNDO, UNDO_OPTIONS),
    reads=(facts.connection, facts.scim_configuration),
    touches=(facts.connection, facts.scim_configuration, facts.scim_tokens),
)
def sync_and_scim_on(connection: Connection, scim: ScimConfiguration | None, settings: TenantSettings) -> Iterator[Yield]:
    """Sync profiles at each login and turn SCIM on.

    Why: SCIM creates no users here, so login must. On is written by leaving the key out: the Dashboard does not show the
    literal value as on (terraform-provider-auth0 issues 83 and 587).
    """
    options = readable_options(connection)
    now = {"Sync at each login": "on" if connection.syncs_at_each_login else f"off ({options.get('set_user_root_attributes')})"}
    if diffs := differences(on_connection(connection), now, {"Sync at each login": "on"}):
        changed = {key: value for key, value in options.items() if key != "set_user_root_attributes"}
        yield options_change(connection, changed, diffs)
    yield _sync_table(connection, scim)
    if scim is None:
        diff = Diff(on_connection(connection), "SCIM", "off", "on")
        undo = {"kind": UNDO.kind, "connection": connection.id}
        request = post_scim_configuration(connection.id)
        yield Change(on_connection(connection), (diff,), request, receive=_made_at, undo=undo, shows=_answered(connection))


def _answered(connection: Connection) -> Callable[[Response], tuple[tuple[Fact[Any], ScimConfiguration], ...]]:
    """Return the function that takes the new SCIM configuration from Auth0's answer, if the answer is whole.

    Source: Management API description, POST /connections/{id}/scim-configuration: 201 with the configuration. The reading of the
    tokens, which comes next, is a 404 without one, and the start reads it again.
    """

    def shows(answer: Response) -> tuple[tuple[Fact[Any], ScimConfiguration], ...]:
        made = ScimConfiguration.from_wire(answer.body)
        is_whole = made.connection_id == connection.id and bool(made.user_id_attribute and made.mapping)
        return ((facts.scim_configuration, made),) if is_whole else ()

    return shows


def _made_at(answer: Response) -> dict[str, str]:
    """Return the creation time. It distinguishes this SCIM configuration from a later one, because configurations have no id."""
    created_at = answer.body.get("created_at") if isinstance(answer.body, dict) else None
    return {"scim_configuration": created_at} if isinstance(created_at, str) else {}


def _sync_table(connection: Connection, scim: ScimConfiguration | None) -> Table:
    syncs = ("Sync at each login", "on" if connection.syncs_at_each_login else "off", "on")
    return Table("Connection settings", ("setting", "found", "wanted"), (syncs, ("SCIM", "on" if scim else "off", "on")))


@ensure(
    Thing.USER_ID_ATTRIBUTE,
    by_hand=in_auth0(_external_id, "provisioning"),
    undone_by=lambda: (UNDO_MAPPING,),
    reads=(facts.scim_configuration,),
)
def user_id_from_external_id(scim: ScimConfiguration | None, settings: TenantSettings) -> Iterator[Yield]:
    """Take the user id from `externalId`.

    Why: a later step makes Entra send the object id there; otherwise the first update finds no user.
    """
    if scim is None:
        raise StepWaits(Thing.SCIM_CONFIGURATION, "The SCIM configuration, which starts with externalId,")
    now = {"User ID attribute": scim.user_id_attribute}
    if diffs := differences(f"SCIM configuration of {scim.connection_name}", now, {"User ID attribute": SCIM_USER_ID_ATTRIBUTE}):
        yield _scim_change(scim, SCIM_USER_ID_ATTRIBUTE, scim.mapping, diffs)


def _scim_change(
    scim: ScimConfiguration, user_id_attribute: str, mapping: tuple[ScimMappingRow, ...], diffs: tuple[Diff, ...]
) -> Change:
    """Return the change of a SCIM configuration, which is written whole."""
    wanted = replace(scim, user_id_attribute=user_id_attribute, mapping=mapping)

    def differs(after: ScimConfiguration | None) -> tuple[str, ...]:
        return () if after is not None and after.as_json() == wanted.as_json() else ("user id attribute or mapping",)

    undo = {
        "kind": UNDO_MAPPING.kind,
        "connection": scim.connection_id,
        "before": scim.as_json(),
        "after": wanted.as_json(),
    }
    request = patch_scim_configuration(scim, user_id_attribute, mapping)
    return Change(diffs[0].on, diffs, request, confirm=differs, undo=undo)


@check(
    Thing.SCIM_MAPPING,
    by_hand=in_auth0(_mapping, "provisioning"),
    undone_by=lambda: (UNDO_MAPPING,),
    reads=(facts.scim_configuration, facts.default_mapping, facts.matching_attributes),
    touches=(facts.scim_configuration,),
)
def review_mapping(
    scim: ScimConfiguration | None,
    default: tuple[ScimMappingRow, ...],
    matching: tuple[str, ...],
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Compare the SCIM mapping with the default.

    Changed only where the settings carry a mapping of their own.
    Blocked when: a row is missing without which leavers would keep their access, or no user could be found or linked; the object
    id would be written over a value of the profile; another row writes what blocks or links people.
    """
    if scim is None:
        raise StepWaits(Thing.SCIM_CONFIGURATION, "The SCIM mapping, which starts as the default,")
    wanted = tuple(ScimMappingRow(row.scim, row.auth0) for row in settings.mapping) or scim.mapping
    if flaw := wrong_as_a_whole(wanted, matching):
        where = "`mapping` of the settings (YAML)" if settings.mapping else "Auth0 (Provisioning > Mapping of the connection)"
        raise StepBlocked(flaw.rstrip("."), f"Add or correct the row in {where}")
    if edits := row_differences(scim.mapping, wanted):  # their order means nothing
        diffs = tuple(Diff(f"SCIM configuration of {scim.connection_name}", *texts) for texts in edits)
        yield _scim_change(scim, scim.user_id_attribute, wanted, diffs)
        return
    changed = row_differences(default, scim.mapping)
    yield Finding(_summary(scim.mapping, changed))
    for name, several in written_by_several(scim.mapping):
        yield Finding(f"{' and '.join(several)} all write {name}. Auth0 does not document which value wins.")
    rows = tuple((row.scim, row.auth0, beside_default(row, default)) for row in scim.mapping)
    missing = tuple((row.scim, row.auth0, "missing here") for row in missing_rows(scim.mapping, default))
    columns = ("SCIM attribute", "Auth0 attribute", "compared with the default")
    yield Table("SCIM mapping compared with the default", columns, rows + missing)


def _summary(mapping: tuple[ScimMappingRow, ...], changed: list[tuple[str, str, str]]) -> str:
    collisions = [row.auth0 for row in mapping if is_written_by_login(row)]
    beside = f"{len(changed)} rows differ from the default" if changed else "The mapping is the default"
    manager = " Auth0's support reports that the row for manager makes later syncs fail: consider removing it in Entra."
    return (
        f"{beside}. Login and SCIM both write {', '.join(collisions)}: the last writer wins."
        f"{manager if any(map(is_manager, mapping)) else ''}"
    )


# Taking back ---------------------------------------------------------------------------------------------------------


def take_back_mapping(undo: Undo, number: str, entry: Written) -> Step:
    """Restore the SCIM configuration if it is still as the run wrote it."""
    before, after, running = entry.undo["before"], entry.undo["after"], running_jobs(undo.record)

    def restore(on: On, scim: ScimConfiguration | None, _settings: Any) -> Iterator[Yield]:
        if scim is None or scim.as_json() != after:
            yield Finding(
                "Nothing to restore: the SCIM configuration has its earlier values, is gone, or someone else "
                "has changed it since this run."
            )
        elif later := later_run(undo.record, entry, "scim-mapping", "scim-configuration"):
            yield left(later)
        else:
            mapping = tuple(ScimMappingRow(*row) for row in before["mapping"])
            where = f"SCIM configuration of {scim.connection_name}"
            diff = Diff(where, "User ID attribute and mapping", "as this run wrote them", "as before")
            guard = refuse_live(undo, on, (diff,))
            request = auth0.patch_scim_configuration(scim, before["user_id_attribute"], mapping)
            yield Change(where, (diff,), request, undo=takes_back(entry), guard=guard)

    reads = (running, facts.scim_configuration)  # what the write replaces is read last
    return undo.step(number, entry, "Restore the SCIM configuration", restore, *reads, touches=reads[::-1])


def _scim_now(_entry: Written, view: View) -> Seen:
    is_on = view.read(facts.scim_configuration) is not None
    return Seen(is_on, "SCIM is on." if is_on else "SCIM is off.")


def _mapping_now(entry: Written, view: View) -> Seen:
    scim = view.read(facts.scim_configuration)
    is_there = scim is not None and scim.as_json() == entry.undo["after"]
    return Seen(
        is_there, f"The SCIM configuration {'has' if is_there else 'does not have'} the values that the request was to write."
    )


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Turn SCIM off again, unless others have added to it."""
    running = running_jobs(undo.record)

    def delete(
        on: On,
        connection: Connection,
        default: tuple[ScimMappingRow, ...],
        scim: ScimConfiguration | None,
        tokens: tuple[ScimToken, ...] | None,
        _settings: Any,
    ) -> Iterator[Yield]:
        if scim is None:
            yield Finding("SCIM is off.")
        elif later := later_run(undo.record, entry, "scim-configuration", "scim-mapping", "token"):
            yield left(later)
        elif reason := _added_since(undo, entry, scim, tokens or (), default):
            yield left(reason)
        else:
            diff = Diff(f"connection {connection.name}", "SCIM", "on", "off")
            guard = refuse_live(undo, on, (diff,))
            request = auth0.delete_scim_configuration(connection.id)
            yield Change(diff.on, (diff,), request, undo=takes_back(entry), guard=guard)

    reads = (running, facts.connection, facts.default_mapping, facts.scim_configuration, facts.scim_tokens)
    touches = (facts.scim_configuration, facts.scim_tokens, running)
    return undo.step(number, entry, "Turn SCIM off", delete, *reads, touches=touches)


def _added_since(
    undo: Undo, entry: Written, scim: ScimConfiguration, tokens: tuple[ScimToken, ...], default: tuple[ScimMappingRow, ...]
) -> str:
    """Return why undo leaves the SCIM configuration; empty when it is still as this run left it."""
    made_at = entry.ids.get("scim_configuration")
    if made_at and scim.created_at and made_at != scim.created_at:
        return f"Left on: someone else turned SCIM off and on again after this run, at {scim.created_at}."
    own = {write.ids.get("token") for write in undo.record.of_kind("token")} if undo.is_plan else set()
    if others := [token.token_id for token in tokens if token.token_id not in own]:
        return f"Left on: turning SCIM off would also delete these tokens: {', '.join(others)}."
    wrote = [write.undo["after"] for write in undo.record.of_kind("scim-mapping")]
    rows = tuple(ScimMappingRow(*row) for row in wrote[-1]["mapping"]) if wrote else default
    if scim.user_id_attribute != SCIM_USER_ID_ATTRIBUTE or row_differences(rows, scim.mapping):
        return "Left on: someone else has changed its mapping or user id attribute since this run."
    return ""


UNDO_MAPPING: TakeBack = undone(
    take_back_mapping, Thing.SCIM_MAPPING, "the SCIM configuration", needs={"before": dict, "after": dict}, look=_mapping_now
)
UNDO: TakeBack = undone(take_back, Thing.SCIM_CONFIGURATION, "turning SCIM on", needs={"connection": str}, look=_scim_now)
