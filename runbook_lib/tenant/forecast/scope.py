"""Whether the job would provision a person, and why not. Source: entra-docs, how-provisioning-works and scoping filters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from runbook_lib.tenant.forecast import dotnet
from runbook_lib.tenant.forecast.arguments import Value, text_of
from runbook_lib.tenant.forecast.expressions import CannotTell
from runbook_lib.tenant.forecast.job_mapping import Clause
from runbook_lib.tenant.forecast.people import EntraPerson, Situation, State

_OPERATORS = frozenset(  # Graph's filter operators, and those of the portal besides (entra-docs, scoping filters)
    "IS NULL|IS NOT NULL|IS TRUE|IS FALSE|EQUALS|NOT EQUALS|REGEX MATCH|NOT REGEX MATCH|GREATER THAN|GREATER THAN OR EQUALS|"
    "INCLUDES|ENDS WITH|&|!&".split("|")
)
_UNUSABLE = frozenset(  # the same page: no roles, no type of user, no manager, no dates, no lists
    "appRoleAssignments userType manager createdDateTime employeeHireDate employeeLeaveDateTime businessPhones otherMails "
    "proxyAddresses".split()
)


class Standing(Enum):
    """A person's standing: whether the job provisions them, and if not, why."""

    IN_SCOPE = "in scope"
    DISABLED = "disabled"
    DELETED = "deleted"
    GONE = "gone"
    UNASSIGNED = "unassigned"
    FILTERED_OUT = "filtered out"
    NOT_LOOKED_AT = "not looked at"  # outside a filter, and leaving it disables no user
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Scope:
    """A person's standing, and why in the words of the table. `is_entitled`: assigned, whatever the account's state."""

    standing: Standing
    reason: str
    is_entitled: bool


def scope_of(person: EntraPerson, situation: Situation) -> Scope:
    """Return whether the job provisions a person: assigned, enabled, not deleted, and within the scoping filters.

    Only direct members of an assigned group count, not those of a group within it (entra-docs).
    """
    entitled = situation.syncs_everybody or person.is_assigned or bool(person.groups)
    how = _how(person, situation)
    if person.state is State.GONE:
        return Scope(Standing.GONE, "deleted", entitled)
    if person.state is State.DELETED and not entitled and situation.assigns_groups:
        return Scope(Standing.DELETED, "deleted, perhaps a member of an assigned group", is_entitled=True)
    if not entitled:
        return Scope(*_unassigned(person, situation), is_entitled=False)
    try:
        standing = _filtered(person, situation)
    except CannotTell as unknown:
        if person.state is State.DELETED:
            return Scope(Standing.DELETED, f"deleted, {how}", entitled)
        return Scope(Standing.CANNOT_TELL, f"{how}, and whether filtered out cannot be told: {unknown}", entitled)
    if standing is not None:
        return Scope(
            standing, "filtered out" if person.state is State.ENABLED else f"{person.state.value}, filtered out", entitled
        )
    if person.state is not State.ENABLED:
        standing = Standing.DELETED if person.state is State.DELETED else Standing.DISABLED
        return Scope(standing, f"{person.state.value}, {how}", entitled)
    return Scope(Standing.IN_SCOPE, how, entitled)


def _unassigned(person: EntraPerson, situation: Situation) -> tuple[Standing, str]:
    if person.state is State.DELETED:
        return Standing.DELETED, "deleted"
    reason = "hidden membership" if situation.hidden_groups else "unassigned"
    return Standing.UNASSIGNED, reason if person.state is State.ENABLED else f"disabled, {reason}"


def _how(person: EntraPerson, situation: Situation) -> str:
    if situation.syncs_everybody:
        return "everybody"
    if person.is_assigned:
        return "direct"
    return f"group {', '.join(person.groups)}" if person.groups else "unassigned"


def _filtered(person: EntraPerson, situation: Situation) -> Standing | None:
    filters = situation.mapping.filters
    if filters.unknown:
        raise CannotTell(filters.unknown)
    if filters.inputs and not _some_hold(filters.inputs, person):
        return Standing.NOT_LOOKED_AT
    if filters.groups and not _some_hold(filters.groups, person):
        return Standing.FILTERED_OUT
    return None


def _some_hold(groups: tuple[tuple[Clause, ...], ...], person: EntraPerson) -> bool:
    return any(all(holds(clause, person) for clause in group) for group in groups)


def holds(clause: Clause, person: EntraPerson) -> bool:
    """Return whether a clause is true of a person; of a null or empty attribute none is, those with NOT included (entra-docs).

    Raises `CannotTell` for an operator or an attribute that is not known, or that the page says a filter cannot use.
    """
    if clause.attribute in _UNUSABLE:
        raise CannotTell(f"Microsoft's page says that a scoping filter cannot use {clause.attribute}")
    if clause.attribute not in person.attributes:
        raise CannotTell(f"the attribute {clause.attribute} is not known")
    value = person.attributes[clause.attribute]
    operator = clause.operator.upper().replace("_", " ").strip()
    if operator not in _OPERATORS:
        raise CannotTell(f"the operator {clause.operator} is not among those of Microsoft's page")
    if operator in ("IS NULL", "IS NOT NULL"):
        return (value in (None, "", ())) is (operator == "IS NULL")
    if value in (None, "", ()):
        return False
    if operator in ("IS TRUE", "IS FALSE"):
        return text_of(value).lower() == ("true" if operator == "IS TRUE" else "false")
    if isinstance(value, tuple) or len(clause.values) != 1:
        count = "several values" if clause.values or isinstance(value, tuple) else "nothing to compare with"
        raise CannotTell(f"{clause.operator} with {count} is not documented")
    return _compared(operator, value, clause.values[0])


def _compared(operator: str, value: Value, wanted: str) -> bool:
    text = text_of(value)
    if operator in ("EQUALS", "NOT EQUALS"):
        return (text == wanted) is (operator == "EQUALS")
    if operator in ("REGEX MATCH", "NOT REGEX MATCH"):
        return _matches(text, wanted) is (operator == "REGEX MATCH")
    if operator in ("INCLUDES", "ENDS WITH"):
        return wanted in text if operator == "INCLUDES" else text.endswith(wanted)
    if operator in ("GREATER THAN", "GREATER THAN OR EQUALS") and all(re.fullmatch(r"-?\d+", one) for one in (text, wanted)):
        return int(text) > int(wanted) or (operator != "GREATER THAN" and int(text) == int(wanted))
    raise CannotTell(f"the operator {operator} of {wanted!r} is not foretold here")


def _matches(text: str, wanted: str) -> bool:
    """Return whether a text matches. No page says whether the whole text has to match, so both readings have to agree."""
    compiled = dotnet.pattern(wanted)
    if bool(compiled.search(text)) is not bool(compiled.fullmatch(text)):
        raise CannotTell(f"whether {wanted} has to match the whole of {text!r} is not documented")
    return bool(compiled.search(text))
