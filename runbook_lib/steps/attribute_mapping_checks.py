"""Rows of Entra's mapping that would keep people from being linked, or a departure from reaching Auth0; found before any write.

The default rows are those of a new job of template `scim`: Microsoft's tutorial on building a SCIM endpoint, and entra-docs,
customize-application-attributes. A row that is applied at creation only never flows here, because Create is off (Graph page
attributeMapping, `flowType`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from runbook_lib.core.errors import StepBlocked
from runbook_lib.engine.values import Finding, Hazard, Table
from runbook_lib.services.entra.models import AttributeMapping, SynchronizationSchema
from runbook_lib.services.wire_json import listed
from runbook_lib.services.wire_words import ACTIVE, EXTERNAL_ID, OBJECT_ID, USER_NAME, WORK_EMAIL
from runbook_lib.tenant.forecast.arguments import Person
from runbook_lib.tenant.forecast.evaluation import evaluate, flowing
from runbook_lib.tenant.forecast.expressions import CannotTell, Node, attributes_of, read_source, texts_of

DEFAULT_SOURCES = {
    USER_NAME: "userPrincipalName",
    ACTIVE: 'Switch([IsSoftDeleted], , "False", "True", "True", "False")',
    WORK_EMAIL: "mail",
    EXTERNAL_ID: OBJECT_ID,  # the default is mailNickname, which the procedure replaces
}
ALWAYS = "Always"
_MOST_CASES = 1000  # combinations of values that a row of active is tried with
_TYPES = ("Attribute", "Constant", "Function", "None")  # Graph's attributeMappingSourceType, and the portal's fourth
_WHERE = "Entra (Mappings > Provision Microsoft Entra ID Users)"


class Flaw(NamedTuple):
    """What is wrong with the mapping, what follows from that, and what an administrator does about it."""

    why: str
    remedy: str


def refuse(flaws: Iterator[Flaw]) -> None:
    """Raise `StepBlocked` for the first flaw."""
    if flaw := next(flaws, None):
        raise StepBlocked(*flaw)


def flaws_of_the_mapping(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield why Entra would provision no user at all."""
    if schema.user_mapping() is None:
        yield Flaw(
            f"The job has {len(schema.user_mappings())} mappings from Entra users to SCIM users, and exactly one is needed",
            "Restore the default mappings in Entra, then run again",
        )
    elif not schema.maps_users:
        yield Flaw(
            "The mapping of users is off, so Entra would provision no one and report no departure to Auth0",
            f"Set Enabled to Yes in {_WHERE}, then run again",
        )
    yield from _flaws_of_types(schema)


def _flaws_of_types(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield the rows that Graph would refuse. A write sends the whole schema, and Graph's description knows three types."""
    mappings = (
        mapping for rule in listed(schema.document["synchronizationRules"]) for mapping in listed(rule.get("objectMappings"))
    )
    for mapping in mappings:
        for row in listed(mapping.get("attributeMappings")):
            kind = (row.get("source") or {}).get("type", "Attribute")
            if kind not in _TYPES:
                target = str(row.get("targetAttributeName") or "")
                name = mapping.get("name") or mapping.get("targetObjectName")
                yield Flaw(
                    f"The row of {target or 'no target attribute'} in the mapping {name} has a source of type {kind!r}, which "
                    "Graph does not describe, so Graph would refuse the whole schema",
                    f"Delete the row in Entra (Mappings > {name}), or give it another source, then run again",
                )


def flaws_of_external_id(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield why the object id would not reach Auth0, whatever the row's source is."""
    yield from _flaws_of_row(schema, EXTERNAL_ID, "the object id never reaches Auth0 and no one is ever linked")


def flaws_of_departures(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield why a departure would not block a person in Auth0, or block the wrong people."""
    yield from _flaws_of_row(schema, ACTIVE, "people who leave keep their access")
    row = _source_row(schema, ACTIVE)
    if row is None:
        return
    words, source = _in_words(row.get("source") or {}), _read(row)
    leaves, stays = _active_of(source, is_soft_deleted=True), _active_of(source, is_soft_deleted=False)
    if leaves != {"false"}:
        is_unread = source is None and words != "nothing"
        who = "this tool cannot read it, and people who leave may keep their access" if is_unread else _who_keeps(source, leaves)
        yield Flaw(f"{ACTIVE} comes from {words}, so {who}", _restore(ACTIVE))
    elif "true" not in stays:
        yield Flaw(f"{ACTIVE} comes from {words}, so people who stay would be blocked", _restore(ACTIVE))


def _who_keeps(source: Node | None, leaves: frozenset[str]) -> str:
    """Return what follows from a row that does not send false for every person who leaves."""
    if odd := sorted(leaves - {"true", "false", ""}):
        return f"it sends {odd[0]}, which is neither true nor false, and people who leave may keep their access"
    if (others := sorted(_others(source))) and leaves != {"true"}:
        return f"whether people who leave lose their access depends on their {', '.join(others)}, and some of them may keep it"
    if "accountEnabled" in attributes_of(source):
        return "people who lose their assignment, or leave the scope, keep their access"
    return "people who leave keep their access"


def flaws_of_matching(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield why matching would find no user, or the same Auth0 user for everybody."""
    mapping = schema.user_mapping() or {}
    for row in listed(mapping.get("attributeMappings")):
        target, source = str(row.get("targetAttributeName") or ""), row.get("source") or {}
        if not row.get("matchingPriority") and target != WORK_EMAIL:
            continue
        if not target:
            yield Flaw(
                f"A row with matching precedence {row['matchingPriority']} has no target attribute, so it matches no one",
                f"Delete the row in {_WHERE}, then run again",
            )
        elif (words := _in_words(source)) == "nothing":
            yield Flaw(f"{target} has no source, so it matches no one", _restore(target))
        elif _is_same_for_all(source):
            yield Flaw(
                f"{target} comes from {words}, which is the same for everyone, and Entra matches people by it", _restore(target)
            )


def flaws_of_work_email(schema: SynchronizationSchema) -> Iterator[Flaw]:
    """Yield why the row of the work email cannot match people."""
    found = [row for row in schema.rows() if row.target == WORK_EMAIL]
    if len(found) != 1:
        yield _none_or_several(schema, WORK_EMAIL, len(found), "people who have signed in before are not found by their address")


def matched_by_another_source(schema: SynchronizationSchema) -> Hazard | None:
    """Return the hazard of matching people by a work email that is not Entra's `mail`; None where it is."""
    row = schema.row(WORK_EMAIL)
    if row is None or row.source == DEFAULT_SOURCES[WORK_EMAIL]:
        return None
    return Hazard(
        "match-by-another-source",
        f"{WORK_EMAIL} comes from {row.source or 'nothing'} and not from mail. Entra matches people by this value, so it "
        f"does not find people that Auth0 knows by their mail address. The default is {WORK_EMAIL} from mail",
    )


def about_scope(schema: SynchronizationSchema) -> Iterator[Finding | Table]:
    """Show the scoping filter, which decides who is provisioned as much as the assignments do."""
    if not schema.filters:
        return
    yield Finding(
        "A scoping filter is set: Entra provisions only assigned people who meet it. The next cycle blocks, in Auth0, a "
        "linked person who does not meet it."
    )
    yield Table(
        "Scoping filter of users (a person must meet one of these rows)", ("condition",), tuple((f,) for f in schema.filters)
    )


# One row --------------------------------------------------------------------------------------------------------------


def _flaws_of_row(schema: SynchronizationSchema, target: str, so: str) -> Iterator[Flaw]:
    found = [row for row in schema.rows() if row.target == target]
    if len(found) != 1:
        yield _none_or_several(schema, target, len(found), so)
    elif found[0].flow_type not in ("", ALWAYS):
        yield Flaw(
            f"The row of {target} has the flow type {found[0].flow_type} and not {ALWAYS}, and Create is off, so {so}",
            f"{_restore(target)}, Apply this mapping: {ALWAYS}",
        )


def _none_or_several(schema: SynchronizationSchema, target: str, count: int, so: str) -> Flaw:
    if count:
        return Flaw(
            f"The mapping has {count} rows for {target}, so it is unclear which value Entra sends", _restore(target, one=True)
        )
    near = _near(schema.rows(), target)
    instead = f" ({near} is another attribute)" if near else ""
    return Flaw(f"The mapping has no row for {target}{instead}, so {so}", _restore(target))


def _near(rows: tuple[AttributeMapping, ...], target: str) -> str:
    """Return the attribute of a row that is spelled alike, or belongs to the same SCIM attribute; empty when there is none."""
    stem = target.partition("[")[0].lower()
    return next((row.target for row in rows if row.target.partition("[")[0].lower() == stem), "")


def _restore(target: str, *, one: bool = False) -> str:
    rows = "Keep one row" if one else "Restore the row"
    source = DEFAULT_SOURCES.get(target)
    default = f": {target} from {source}" if source else f" for {target}, as in the default mapping"
    return f"{rows} in {_WHERE}{default}"


def _source_row(schema: SynchronizationSchema, target: str) -> dict[str, Any] | None:
    rows = listed((schema.user_mapping() or {}).get("attributeMappings"))
    found = [row for row in rows if row.get("targetAttributeName") == target]
    return found[0] if len(found) == 1 else None


def _active_of(source: Node | None, *, is_soft_deleted: bool) -> frozenset[str]:
    """Return what a row may send for enabled people, in lower case; an empty text for nothing or for an unknown value.

    IsSoftDeleted is true for people unassigned or filtered out too (entra-docs, how-provisioning-works): those are the people
    looked at here, so accountEnabled stays true. Every other attribute may hold each text of the expression, another, or none.
    """
    known = {"IsSoftDeleted": str(is_soft_deleted), "accountEnabled": "True"}
    names, values = sorted(_others(source)), (*sorted(texts_of(source)), "another", None)
    if source is None or len(values) ** len(names) > _MOST_CASES:
        return frozenset(("",))
    cases = (dict(zip(names, case, strict=True)) for case in product(values, repeat=len(names)))
    return frozenset(_sent(source, Person({**known, **case})) for case in cases)


def _sent(source: Node, person: Person) -> str:
    try:
        return (flowing(evaluate(source, person)) or "").lower()
    except CannotTell:
        return ""


def _others(source: Node | None) -> frozenset[str]:
    """Return the attributes of a source except those that say whether a person is there."""
    return attributes_of(source) - {"IsSoftDeleted", "accountEnabled"}


def _read(row: dict[str, Any]) -> Node | None:
    """Return a row's source, None where it cannot be read."""
    try:
        return read_source(row.get("source") or {})
    except CannotTell:
        return None


def _is_same_for_all(source: dict[str, Any]) -> bool:
    try:
        return not attributes_of(read_source(source))
    except CannotTell:
        return False


def _in_words(source: dict[str, Any]) -> str:
    """Return a source as the portal shows it; a constant with that word."""
    if source.get("type") == "Constant":
        return f"the constant {source.get('name') or source.get('expression') or '(empty)'}"
    return str((source.get("name") if source.get("type") == "Attribute" else source.get("expression")) or "nothing")
