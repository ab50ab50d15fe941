"""Section 1: configure SCIM settings in Auth0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Hazard, Table, differences, lost
from runbook_lib.clients.auth0_management import patch_connection, patch_scim_configuration, post_scim_configuration
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.mapping import (
    beside_default,
    is_complete,
    is_manager,
    is_written_by_login,
    missing_rows,
    row_differences,
)
from runbook_lib.models import Connection, Json, ScimConfiguration, ScimMappingRow
from runbook_lib.settings import TenantSettings
from runbook_lib.steps.kinds import Yield, check, ensure
from runbook_lib.vocabulary import SCIM_USER_ID_ATTRIBUTE

_ENDPOINT_KEYS = ("useCommonEndpoint", "waad_common_endpoint")


@check("1.1", reads=(facts.connection,))
def find_connection(connection: Connection, settings: TenantSettings) -> Iterator[Yield]:
    """Find the connection.

    Documented: Authentication > Enterprise > Microsoft Azure AD > [your-connection] > Settings.
    """
    yield Finding(f"{connection.name}, shown as {connection.display_name or connection.name}.")


@ensure("1.2", reads=(facts.connection, facts.user_count), touches=(facts.connection,))
def pairwise_subject(connection: Connection, users: int, settings: TenantSettings) -> Iterator[Yield]:
    """Use the pairwise subject as user id, and no common endpoint.

    Documented: User ID Attribute Type is Pairwise Subject Identifier (sub), Use Common Endpoint is Disabled.
    Why: user ids of existing profiles stay what they are; SCIM and the common endpoint exclude each other.
    Blocked when: it is oid and users exist (another page is meant), or the common endpoint is on (others would be locked out).
    """
    options = _options(connection)
    wanted = {"User ID attribute type": "sub", "Use common endpoint": "off"}
    yield _settings_table(connection, {**wanted, "Sync at each login": "on"})
    now = {
        "User ID attribute type": connection.user_id_attribute_type or "(absent: works as sub)",
        "Use common endpoint": "on" if connection.uses_common_endpoint else "off",
    }
    if not (diffs := differences(_on(connection), now, wanted)):
        return
    endpoint = {key: False for key in _ENDPOINT_KEYS if key in options}
    changed = {**options, "userid_attribute": "sub", **endpoint}
    yield _options_change(connection, changed, diffs, _hazard(connection, users))


def _options_change(connection: Connection, changed: Json, diffs: tuple[Diff, ...], hazard: Hazard | None = None) -> Change:
    """Return the change of the options to `changed`; its undo holds the few keys that differ, never the whole."""
    keys = (
        [key for key in {**connection.options, **changed} if connection.options.get(key) != changed.get(key)]
        if connection.options
        else []
    )
    undo = {
        "kind": "options",
        "connection": connection.id,
        "before": {key: connection.options[key] for key in keys if connection.options and key in connection.options},
        "after": {key: changed[key] for key in keys if key in changed},
    }
    request = patch_connection(connection, changed)
    return Change(_on(connection), diffs, request, hazard, confirm=_kept(connection, changed), undo=undo)


def _hazard(connection: Connection, users: int) -> Hazard | None:
    if connection.user_id_attribute_type == "oid":
        return Hazard(
            "change-user-id-attribute",
            f"User ids come from the object id and {users} users exist: this connection belongs to Auth0's page New Connections; "
            "with sub each of them would come back as a second user",
        )
    if connection.uses_common_endpoint:
        return Hazard(
            "turn-common-endpoint-off",
            "The common endpoint is on: people of other directories sign in through it and would be locked out",
        )
    return None


@ensure(
    "1.3",
    reads=(facts.connection, facts.scim_configuration),
    touches=(facts.connection, facts.scim_configuration, facts.scim_tokens),
)
def sync_and_scim_on(connection: Connection, scim: ScimConfiguration | None, settings: TenantSettings) -> Iterator[Yield]:
    """Sync profiles at each login and turn SCIM on.

    Documented: enable both Sync user profile attributes at each login and Sync user profiles using SCIM.
    Why: SCIM creates nobody here, so login must. On is written by leaving the key out: the Dashboard does not show the
    literal value as on (terraform-provider-auth0 issues 83 and 587).
    """
    options = _options(connection)
    now = {"Sync at each login": "on" if connection.syncs_at_each_login else f"off ({options.get('set_user_root_attributes')})"}
    if diffs := differences(_on(connection), now, {"Sync at each login": "on"}):
        changed = {key: value for key, value in options.items() if key != "set_user_root_attributes"}
        yield _options_change(connection, changed, diffs)
    if scim is None:
        diff = Diff(_on(connection), "SCIM", "off", "on")
        undo = {"kind": "scim-configuration", "connection": connection.id}
        yield Change(_on(connection), (diff,), post_scim_configuration(connection.id), undo=undo)


@ensure("1.4", reads=(facts.scim_configuration,))
def user_id_from_external_id(scim: ScimConfiguration | None, settings: TenantSettings) -> Iterator[Yield]:
    """Take the user id from `externalId`.

    Documented: the SCIM attribute containing the User ID is externalId.
    Why: step 3.9 makes Entra send the object id there; otherwise the first update finds nobody.
    """
    if scim is None:
        raise StepWaits("1.3", "The SCIM configuration, which starts with externalId,")
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

    undo = {"kind": "scim-mapping", "connection": scim.connection_id, "before": scim.as_json(), "after": wanted.as_json()}
    request = patch_scim_configuration(scim, user_id_attribute, mapping)
    return Change(diffs[0].on, diffs, request, confirm=differs, undo=undo)


@check("1.5", reads=(facts.scim_configuration, facts.default_mapping), touches=(facts.scim_configuration,))
def review_mapping(
    scim: ScimConfiguration | None, default: tuple[ScimMappingRow, ...], settings: TenantSettings
) -> Iterator[Yield]:
    """Review the SCIM mapping beside the default.

    Documented: review the Additional Mappings. Changed only where the settings carry a mapping of their own.
    Blocked when: no row maps `active`, for then leavers would keep their access.
    """
    if scim is None:
        raise StepWaits("1.3", "The SCIM mapping, which starts as the default,")
    wanted = tuple(ScimMappingRow(row.scim, row.auth0) for row in settings.mapping) or scim.mapping
    if not is_complete(wanted):
        raise StepBlocked(
            "The SCIM mapping has no row active -> blocked, so leavers would keep their access", "Add that row in Auth0"
        )
    if edits := row_differences(scim.mapping, wanted):  # their order means nothing
        diffs = tuple(Diff(f"SCIM configuration of {scim.connection_name}", *texts) for texts in edits)
        yield _scim_change(scim, scim.user_id_attribute, wanted, diffs)
        return
    changed = row_differences(default, scim.mapping)
    yield Finding(_summary(scim.mapping, changed))
    rows = tuple((row.scim, row.auth0, beside_default(row, default)) for row in scim.mapping)
    missing = tuple((row.scim, row.auth0, "missing here") for row in missing_rows(scim.mapping, default))
    yield Table("SCIM mapping beside the default", ("SCIM attribute", "Auth0 attribute", "beside the default"), rows + missing)


def _summary(mapping: tuple[ScimMappingRow, ...], changed: list[tuple[str, str, str]]) -> str:
    collisions = [row.auth0 for row in mapping if is_written_by_login(row)]
    beside = f"{len(changed)} rows differ from the default" if changed else "The mapping is the default"
    manager = " The row for manager makes Entra fail on later syncs (Auth0 support): consider removing it in Entra."
    return (
        f"{beside}. Login and SCIM both write {', '.join(collisions)}: the last writer wins."
        f"{manager if any(map(is_manager, mapping)) else ''}"
    )


def _on(connection: Connection) -> str:
    return f"connection {connection.name}"


def _options(connection: Connection) -> Json:
    if not connection.options:
        raise StepBlocked("The connection's options are not readable", "See step 0.1")
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
