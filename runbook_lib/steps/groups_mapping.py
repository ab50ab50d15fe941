"""Whether assigned groups are sent as groups: the operator's choice, saved by the step that saves the attribute mappings.

Entra makes a new job with the mapping of groups on, and the procedure is silent on groups. Its token is for users only, so each
cycle would end with EntryLevelErrors. The mapping is therefore off, unless the settings want groups: then it is on, and the token
has the scopes for groups as well. Sources: Graph, objectMapping, `enabled` ("when false, this object mapping will be skipped");
Auth0, inbound-scim-for-new-azure-ad-connections, which lets the reader turn the mapping on or off. Unverified: what Auth0 answers
to a group with a token for users only.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.values import Diff, Finding
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra.models import AppRoleAssignment, SynchronizationSchema, is_mapped
from runbook_lib.services.wire_json import Json, listed
from runbook_lib.services.wire_words import SOURCE_GROUP
from runbook_lib.settings.model import TenantSettings
from runbook_lib.tenant.token_scopes import has_group_scopes

MAPPINGS = "attribute mappings"
FIELD = "Provision groups"
ON, OFF = "on", "off"


def refuse_undecided(
    schema: SynchronizationSchema | None, tokens: tuple[ScimToken, ...] | None, settings: TenantSettings
) -> None:
    """Raise `StepBlocked` when groups may be in use and the settings do not say whether to go on sending them.

    A token with scopes for groups that was used shows it: turning the mapping off would leave those groups in Auth0 as they are.
    """
    used = [token.token_id for token in tokens or () if has_group_scopes(token) and token.last_used_at]
    if settings.groups_mapping or not used or (schema is not None and not schema.sends_groups):
        return
    raise StepBlocked(
        f"A SCIM token of the connection has the scopes for groups and has been used ({', '.join(used)}), so Entra may "
        "already provision groups to Auth0",
        "Set groups_mapping (YAML, or the page's form): on to go on sending groups, off to send users only. With off, the "
        "groups in Auth0 stay unchanged",
    )


def expected(settings: TenantSettings) -> tuple[Diff, ...]:
    """Return what differs in a new job, for plans made before it exists: Entra makes the mapping of groups on."""
    return () if settings.wants_groups else (Diff(MAPPINGS, FIELD, ON, OFF),)


def edits(schema: SynchronizationSchema, settings: TenantSettings) -> tuple[Diff, ...]:
    """Return the difference; none when the mapping is as wanted. Raises `StepBlocked` unless there is just one to turn on."""
    wanted = ON if settings.wants_groups else OFF
    if settings.wants_groups and (count := len(list(_of_groups(schema.document)))) != 1:
        raise StepBlocked(
            f"The job has {count} mappings of groups, but to send groups it needs exactly one",
            "Restore the default mappings in Entra, or set groups_mapping to off, then run again",
        )
    return (Diff(MAPPINGS, FIELD, in_words(schema), wanted),) if replaced(schema, settings) else ()


def edited(schema: SynchronizationSchema, settings: TenantSettings) -> SynchronizationSchema:
    """Return the schema with the mapping of groups on or off as wanted, and nothing else changed."""
    return with_switches(schema, dict.fromkeys(replaced(schema, settings), settings.wants_groups))


def replaced(schema: SynchronizationSchema, settings: TenantSettings) -> dict[str, bool]:
    """Return which mappings of groups are switched, by their key, and what each was before."""
    found = {key: is_mapped(mapping) for key, mapping in _of_groups(schema.document)}
    return {key: is_on for key, is_on in found.items() if is_on != settings.wants_groups}


def with_switches(schema: SynchronizationSchema, switches: dict[str, bool]) -> SynchronizationSchema:
    """Return the schema with these mappings of groups switched, by their key."""
    document: Any = copy.deepcopy(dict(schema.document))
    for key, mapping in _of_groups(document):
        if key in switches:
            mapping["enabled"] = switches[key]
    return SynchronizationSchema(document)


def standing(schema: SynchronizationSchema, before: dict[str, bool]) -> dict[str, bool]:
    """Return the switches that are still as this tool wrote them, each with its earlier value."""
    now = {key: is_mapped(mapping) for key, mapping in _of_groups(schema.document)}
    return {key: was for key, was in before.items() if key in now and now[key] != was}


def _of_groups(document: Json) -> Iterator[tuple[str, Any]]:
    """Yield each mapping of groups with a key: the two object names, and a number from the second of the same names on."""
    seen: dict[str, int] = {}
    for rule in listed(document.get("synchronizationRules")):
        for mapping in listed(rule.get("objectMappings")):
            if mapping.get("sourceObjectName") == SOURCE_GROUP:
                key = f"{mapping.get('sourceObjectName')} -> {mapping.get('targetObjectName')}"
                seen[key] = seen.get(key, 0) + 1
                yield (key if seen[key] == 1 else f"{key} #{seen[key]}"), mapping


def in_words(schema: SynchronizationSchema) -> str:
    """Return whether groups are sent, as the portal shows it."""
    return ON if schema.sends_groups else OFF


def shown(schema: SynchronizationSchema) -> list[str]:
    """Return the switch as a row of what people edit in the portal."""
    return [f"{SHOWN}{in_words(schema)}"]


SHOWN = "groups: "


def told(schema: SynchronizationSchema, assigned: tuple[AppRoleAssignment, ...], settings: TenantSettings) -> Iterator[Finding]:
    """Say what becomes of the assigned groups; nothing when none is assigned."""
    count = sum(entry.principal_type == "Group" for entry in assigned)
    if not count:
        return
    groups = "1 assigned group is" if count == 1 else f"{count} assigned groups are"
    if schema.sends_groups and settings.wants_groups:
        yield Finding(f"{groups} sent to Auth0 as groups too: groups_mapping is on, and the token has the scopes for groups.")
    elif not schema.sends_groups:
        yield Finding(
            f"{groups} not sent as groups: Entra sends only their members, because the mapping of groups is off (groups_mapping)."
        )


def is_as_wanted(schema: SynchronizationSchema, settings: TenantSettings) -> bool:
    """Whether Entra sends groups if, and only if, the settings want that."""
    return schema.sends_groups == settings.wants_groups
