"""What would flow to an Auth0 user: every row that is not for creation only, through Auth0's SCIM mapping, where it differs.

Sources: entra-docs, customize-application-attributes (null is not sent; only what differs is sent; a row's default value is
used at creation) and the function reference (a change of capitals flows only into a case-exact attribute); Auth0's
configure-inbound-scim (`active` is `blocked` turned round; what is not mapped is dropped; each login writes the root attributes).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbook_lib.services.wire_words import EXTERNAL_ID
from runbook_lib.tenant.forecast.expressions import CannotTell
from runbook_lib.tenant.forecast.job_mapping import ALWAYS, Row
from runbook_lib.tenant.forecast.matching import auth0_field, value_of
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, Situation
from runbook_lib.tenant.forecast.values import FieldChange

BLOCKED = "blocked"
ACTIVE = "active"
_METADATA = ("app_metadata.", "user_metadata.")
_Sent = list[tuple[Row, object]]  # what rows send to one field, in their order


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that the forecast cannot predict. `may_stay`: Entra may send nothing, perhaps nothing of the whole person."""

    reason: str
    may_stay: bool = True

    def __str__(self) -> str:
        return f"cannot tell ({self.reason})"


def changes_of(person: EntraPerson, profile: Auth0Profile, situation: Situation, *, linked: bool) -> tuple[FieldChange, ...]:
    """Return the changes of the Auth0 user to which a person in scope is, or becomes, linked.

    `linked` by an earlier cycle: what stands in the metadata under mapped names came from Entra then.
    """
    if "Update" not in situation.mapping.flows:
        return ()
    return tuple(_changes(person, profile, situation, linked=linked))


def _changes(person: EntraPerson, profile: Auth0Profile, situation: Situation, *, linked: bool) -> Iterator[FieldChange]:
    for name, written in _written(person, situation).items():
        yield from _change(name, written, person, profile, situation, linked=linked)


def _change(
    name: str, written: _Sent, person: EntraPerson, profile: Auth0Profile, situation: Situation, *, linked: bool
) -> Iterator[FieldChange]:
    """Yield the change of a field to which rows send values, if it is one."""
    before = profile.is_blocked if name == BLOCKED else profile.values.get(name, profile.in_the_way.get(name))
    if all(_is_same(before, value, row) for row, value in written):
        return
    owned = name.startswith(_METADATA) and before not in (None, "")
    if owned and isinstance(before, str):  # Entra sends texts alone, so that anything else is the application's own
        owned = not linked and not any(_came_from_entra(row, before, person, situation) for row, _ in written)
    yield FieldChange(name, before, _settled(written), _is_rewritten(name, situation), owned)


def changes_by_reference(
    person: EntraPerson, profile: Auth0Profile, situation: Situation, target: object, *, linked: bool
) -> tuple[FieldChange, ...]:
    """Return the changes by the rows that name another person, whose Auth0 user is `target`: None for none, or `Unknown`."""
    if "Update" not in situation.mapping.flows:
        return ()
    found, others = dict[str, _Sent](), _written(person, situation)
    for row in situation.mapping.references:
        name, after = auth0_field(row.target, situation.scim_fields), _if_it_flows(row, target)
        if name and after is not None:
            found.setdefault(name, list(others.get(name, ()))).append((row, after))
    changed = (_change(name, written, person, profile, situation, linked=linked) for name, written in found.items())
    return tuple(replace(change, names_manager=True) for each in changed for change in each)


def _written(person: EntraPerson, situation: Situation) -> dict[str, _Sent]:
    """Return what is sent to each field of the profile, in the order of the rows; a row without a value sends nothing."""
    found: dict[str, _Sent] = {}
    for row in situation.mapping.rows:
        name = auth0_field(row.target, situation.scim_fields) if row.flows else None
        after = _after(row, name, person, situation) if name else None
        if name and after is not None:
            found.setdefault(name, []).append((row, after))
    return found


def _settled(written: _Sent) -> object:
    """Return the value that stays. No page documents which value stays when several rows write different ones."""
    values = tuple(dict.fromkeys(value for _, value in written))
    if len(values) == 1:
        return values[0]
    may_stay = any(isinstance(value, Unknown) and value.may_stay for value in values)
    return Unknown(f"several rows write it: {', '.join(map(str, values))}", may_stay)


def _after(row: Row, name: str, person: EntraPerson, situation: Situation) -> object:
    try:
        value = value_of(row, person, situation)
        after = _if_it_flows(row, value)
        return _blocked_by(value) if name == BLOCKED and value is not None and after == value else after
    except CannotTell as reason:
        return Unknown(str(reason))


def _blocked_by(value: str) -> bool:
    """Return what a text for `active` makes of `blocked`. Raises `CannotTell` for another text than true and false."""
    active = {"true": True, "false": False}.get(value.strip().lower())
    if active is None:
        raise CannotTell(f"{ACTIVE} gets {value!r}, which is neither true nor false")
    return not active


def _if_it_flows(row: Row, value: object) -> object:
    """Return what a row sends of a value; None for nothing."""
    if value is None:
        return Unknown(f"whether the default value {row.default!r} flows to a user that exists") if row.default else None
    return value if row.flow_type == ALWAYS else Unknown(f"the row flows {row.flow_type}")


def _is_same(before: object, after: object, row: Row) -> bool:
    if isinstance(after, Unknown) or before is None:
        return False
    left, right = str(before), str(after)
    return left == right if row.is_case_exact else left.lower() == right.lower()


def _came_from_entra(row: Row, before: str, person: EntraPerson, situation: Situation) -> bool:
    """Whether the external id is the mail nickname, which Entra's default mapping has sent: only a cycle can have."""
    nickname = person.attributes.get("mailNickname")
    is_nickname = nickname is not None and before.lower() == str(nickname).lower()
    return row.target == EXTERNAL_ID and situation.cycles_ran and is_nickname


def _is_rewritten(name: str, situation: Situation) -> bool:
    return situation.syncs_at_each_login and "." not in name and name != BLOCKED


def blocked_after_departure(person: EntraPerson, situation: Situation) -> bool | None:
    """Return what a departure makes of `blocked`: True, False, or None if Entra sends nothing about it. Raises `CannotTell`.

    Entra computes `IsSoftDeleted` for it; a row of another source, or none, sends nothing or the contrary.
    """
    if "Update" not in situation.mapping.flows:
        return None
    for row in situation.mapping.rows:
        if row.flows and auth0_field(row.target, situation.scim_fields) == BLOCKED:
            value = value_of(row, person, situation, departed=True)
            if value is None and row.default:
                raise CannotTell(f"whether the default value {row.default!r} flows to a user that exists")
            if row.flow_type != ALWAYS:
                raise CannotTell(f"the row of {row.target} flows {row.flow_type}")
            return None if value is None else _blocked_by(value)
    return None
