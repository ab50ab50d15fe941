"""The forecast of a cycle: each person's fate, of all readings the strictest first. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from runbook_lib.tenant.forecast.fate import Judge, Verdict
from runbook_lib.tenant.forecast.managers import Managers
from runbook_lib.tenant.forecast.people import Auth0Profile, EntraPerson, Links, Situation
from runbook_lib.tenant.forecast.scope import Scope, Standing
from runbook_lib.tenant.forecast.turns import Judged, Turns
from runbook_lib.tenant.forecast.values import Certainty, Fate, FieldChange, Forecast, OtherReading, PersonForecast


def forecast(situation: Situation) -> Forecast:
    """Return what the next cycle does to everybody in play, sorted by name; linear in people and Auth0 users."""
    return Forecast(
        tuple(sorted(each(situation), key=lambda one: (one.person.lower(), one.object_id))),
        assigned=sum(one.is_assigned or bool(one.groups) for one in situation.people),
        nested_groups=situation.nested_groups,
        hidden_groups=situation.hidden_groups,
        saw_auth0=situation.saw_auth0,
    )


def each(situation: Situation) -> Iterator[PersonForecast]:
    """Yield what the next cycle does to each person, as they come: for long lists whose progress is shown."""
    judge = Judge.of(situation)
    scopes: dict[str, Scope] = {}
    judged: list[Judged] = []
    for person in situation.people:
        scope, verdicts, wanted = judge.verdicts(person)
        scopes[person.object_id] = scope
        writes = scope.standing in (Standing.IN_SCOPE, Standing.CANNOT_TELL)
        writes = writes or (scope.standing is Standing.UNASSIGNED and bool(situation.hidden_groups))
        departs = scope.standing in (Standing.DISABLED, Standing.DELETED) and scope.is_entitled
        matched = departs and situation.readings.skips_disabled is not True
        judged.append(Judged(person, verdicts, wanted, writes, matched))
    managers = Managers.of(judge, tuple(judged), Turns.of(judge, judged).settled())
    names = {person.object_id.lower(): _known_as(person, judge) for person in situation.people}
    for one in judged:
        verdicts = managers.verdicts(one)
        further = judge.further_users(one.person, verdicts)
        yield replace(told(one.person, scopes[one.person.object_id], verdicts, names), further_users=further)
    if situation.links is Links.UNSEEN:
        yield from _unaccounted(judge)


def _unaccounted(judge: Judge) -> Iterator[PersonForecast]:
    """Yield the Auth0 users that carry no object id, where a job has run under another mapping.

    It may hold a link to any of them, also of a person who is gone for good and whose name another has now.
    """
    for profile in judge.situation.profiles:
        if judge.object_ids_of(profile):
            continue
        mail = profile.values.get("email")
        yield PersonForecast(
            person=str(mail or profile.values.get("upn") or profile.user_id),
            object_id="",
            upn=str(profile.values.get("upn") or ""),
            mail=str(mail) if mail else None,
            in_scope=False,
            scope_reason="not known in Entra",
            fate=Fate.CANNOT_TELL,
            auth0_users=(profile.user_id,),
            certainty=Certainty.OPEN,
            reason="the job has run under another mapping, and may link an unknown person to this Auth0 user",
        )


def told(
    person: EntraPerson, scope: Scope, verdicts: Iterable[Verdict], names: Mapping[str, str] | None = None
) -> PersonForecast:
    """Return one person's forecast of the verdicts of all readings: the strictest is the fate, the others stand next to it."""
    strict = sorted(verdicts, key=lambda verdict: -verdict.fate.strictness)
    first = strict[0]
    others: dict[Fate, Verdict] = {}
    for verdict in strict[1:]:
        if verdict.fate is not first.fate:
            others.setdefault(verdict.fate, verdict)
    known = names or {}
    certain = first.certainty if others or first.certainty is Certainty.DOCUMENTED else Certainty.DOCUMENTED
    return PersonForecast(
        person=_name(person),
        object_id=person.object_id,
        upn=person.upn,
        mail=person.mail,
        in_scope=scope.standing is Standing.IN_SCOPE,
        scope_reason=scope.reason,
        fate=first.fate,
        auth0_users=tuple(dict.fromkeys(user for verdict in strict for user in verdict.users)),
        matched_by=first.by,
        changes=first.changes,
        certainty=certain,
        reading="; ".join(dict.fromkeys(first.words)) if others else "",
        others=tuple(OtherReading("; ".join(dict.fromkeys(one.words)), fate) for fate, one in others.items()),
        other_people=tuple(known.get(other.lower(), f"object id {other}, which Entra does not know") for other in first.others),
        reason=first.reason,
        overwritten_otherwise=_owned_otherwise(strict),
        known_as="" if person.name or person.upn else known.get(person.object_id.lower(), ""),
    )


def _owned_otherwise(verdicts: Sequence[Verdict]) -> tuple[FieldChange, ...]:
    """Return the application's own values that only another reading than the first writes over, each field once."""
    own = {change.field for change in verdicts[0].changes if change.owned}
    found = (change for verdict in verdicts[1:] for change in verdict.changes if change.owned and change.field not in own)
    return tuple({change.field: change for change in found}.values())


def _known_as(person: EntraPerson, judge: Judge) -> str:
    """Return a person's name in Entra; of one that Entra no longer knows, that of the Auth0 user with the object id."""
    if person.name or person.upn:
        return _name(person)
    users = (judge.profiles.by_id[user] for user in judge.own_users(person))
    found = (str(user.values.get(field) or "") for user in users for field in ("name", "email", "upn"))
    return next((name for name in found if name), _name(person))


def _name(person: EntraPerson) -> str:
    return person.name or person.upn or person.object_id


def forecast_without_auth0(situation: Situation) -> Forecast:
    """Return the forecast where the Auth0 side is handed over: everybody counts as having a user who may sign in.

    This counts no harm too low: disabled people would be blocked; people who share an address may be written into the other.
    """
    assumed: dict[str, Auth0Profile] = {}
    for person in situation.people:
        key = (person.mail or person.upn).lower()
        values = {"email": person.mail} if person.mail else {"upn": person.upn}
        assumed.setdefault(key, Auth0Profile(f"user of {key}", is_blocked=False, oids=(), values=values))
    seen = forecast(replace(situation, profiles=tuple(assumed.values()), saw_auth0=False, searched_fields=None))
    return replace(seen, people=tuple(map(_assumed, seen.people)))


def _assumed(one: PersonForecast) -> PersonForecast:
    """Return a forecast made without reading Auth0: it assumes an update for everyone in scope."""
    fate = Fate.UPDATE if one.fate in (Fate.SAME, Fate.NO_USER) and one.in_scope else one.fate
    return replace(
        one,
        fate=fate,
        auth0_users=(),
        changes=(),
        overwritten_otherwise=(),
        further_users=(),
        others=tuple(other for other in one.others if other.fate is not fate),
    )
