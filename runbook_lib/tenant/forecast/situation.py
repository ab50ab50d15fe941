"""Reads the situation of a tenant: the people that a cycle concerns on both sides, and everything that decides what it does."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.services.auth0.management import Auth0Management
from runbook_lib.services.auth0.models import Connection, ScimMappingRow
from runbook_lib.services.entra.graph import MicrosoftGraph
from runbook_lib.services.entra.models import SavedCredentials, SynchronizationJob, SynchronizationSchema
from runbook_lib.services.wire_words import EXTERNAL_ID, WORK_EMAIL
from runbook_lib.tenant.forecast.fate import GUID, LINKED, NOT_LINKED
from runbook_lib.tenant.forecast.forecasting import forecast, forecast_without_auth0
from runbook_lib.tenant.forecast.job_mapping import UserMapping, default_mapping, staged, user_mapping
from runbook_lib.tenant.forecast.matching import auth0_field, witness_of
from runbook_lib.tenant.forecast.oracle import compared
from runbook_lib.tenant.forecast.people import Auth0Profile, Links, Readings, Situation
from runbook_lib.tenant.forecast.reading import (
    Assigned,
    Directory,
    DirectoryReading,
    Progress,
    Users,
    begin_users,
    fields_by_path,
    kept_fields,
    names_without_object_id,
    object_ids_in,
    read_users,
    root_fields,
)
from runbook_lib.tenant.forecast.values import Certainty, Comparison, Fate, Forecast, HarmKind, PersonForecast, Witness

LINKS_ASKED = 100  # requests at most
SKIP_OUT_OF_SCOPE = "SkipOutOfScopeDeletions"  # entra-docs, skip-out-of-scope-deletions
ASSUMED_SCIM_ROWS = (  # where Auth0 is not read: the rows of its default mapping that decide a fate (docs-v2, recorded)
    ScimMappingRow("userName", "upn"),
    ScimMappingRow(WORK_EMAIL, "email"),
    ScimMappingRow(EXTERNAL_ID, "app_metadata.external_id"),
    ScimMappingRow("active", "blocked"),
)


@dataclass(frozen=True)
class Ground:
    """What the forecast is read from, besides the people: all of it is known already when people are read.

    `compares`: Microsoft is asked to evaluate expressions for a sample of people.
    `application` is the object id of the enterprise application that the job belongs to. `connection` is None where the Auth0
    side is handed over. `scim_rows` are Auth0's SCIM mapping as it will be.
    """

    connection: Connection | None
    scim_rows: tuple[ScimMappingRow, ...]
    schema: SynchronizationSchema | None
    job: SynchronizationJob | None
    saved: SavedCredentials
    assigned: Assigned
    needs_assignment: bool
    application: str = ""
    may_export: bool = True
    compares: bool = False
    readings: Readings = field(default_factory=Readings)


def foretold(auth0: Auth0Management, graph: MicrosoftGraph, ground: Ground) -> Generator[Progress, None, Forecast]:
    """Read the people that the next cycle concerns and return its forecast; yields progress on the way."""
    saved = user_mapping(ground.schema) if ground.schema else None
    mapping = staged(saved) if saved else default_mapping()
    reading = DirectoryReading(graph, ground.assigned, mapping, with_managers=_sends_managers(ground, mapping))
    users = Users((), None, 0)
    if ground.connection is not None:
        external_id = auth0_field(EXTERNAL_ID, fields_by_path(ground.scim_rows))
        fields = kept_fields(mapping, ground.scim_rows)
        begun = begin_users(auth0, ground.connection.name, root_fields(ground.scim_rows))
        first = (Auth0Profile.of(user, fields, ground.connection.name) for user in begun.first)
        yield from reading.everyone_assigned(object_ids_in(first, external_id))
        users = yield from read_users(
            auth0,
            ground.connection.id,
            begun,
            fields,
            may_export=ground.may_export,
            search_for=reading.names_to_search(external_id),
        )
        nameless = names_without_object_id(users.profiles, external_id)
        yield from reading.everyone_carried(object_ids_in(users.profiles, external_id), nameless)
    else:
        yield from reading.everyone_assigned()
        yield from reading.everyone_carried(frozenset())
    situation = _situation(ground, mapping, saved, reading.result(), users)
    found = forecast(situation) if ground.connection is not None else forecast_without_auth0(situation)
    if known := known_links(graph, ground, found, situation):
        situation = replace(situation, known_links=known)
        found = forecast(situation)
    found = replace(found, anyway=_anyway(ground, situation, saved), witness=_witness(situation))
    found = replace(found, compared=_evaluated_by_microsoft(graph, ground, situation))
    return replace(_with_the_unread(found, users, situation.links), assumes_default_mapping=ground.schema is None)


def _sends_managers(ground: Ground, mapping: UserMapping) -> bool:
    """Whether a manager may flow at all: mapped by the job and by Auth0."""
    scim_fields = fields_by_path(ground.scim_rows)
    return ground.connection is not None and any(auth0_field(row.target, scim_fields) for row in mapping.references)


def known_links(graph: MicrosoftGraph, ground: Ground, found: Forecast, situation: Situation) -> dict[str, str]:
    """Return, by object id, which Auth0 user the job holds people linked to: those it would harm with a link or without one.

    Where the external id does not show the links, they may lead anywhere, and everybody is asked for. Graph tells one link a
    request. A link to a user of another form of id than Auth0's settles nothing; that there is none counts only where Graph has
    told another, for a Graph without them answers 404 too.
    """
    if ground.job is None or ground.connection is None or not ground.application:
        return {}
    is_unseen = situation.links is Links.UNSEEN
    unsure = [one.object_id for one in found.people if one.object_id and (is_unseen or (one.harms and _hangs_on_a_link(one)))]
    ids, known = {profile.user_id for profile in situation.profiles}, dict[str, str]()
    none: list[str] = []
    try:
        for object_id in unsure[:LINKS_ASKED]:
            target = graph.linked_to(ground.application, ground.job.id, object_id)
            if target is None:
                none.append(object_id)
            elif target in ids:
                known[object_id] = target
    except (ApiError, TransportError):
        return known  # not granted, or not in this cloud: the links stay inferred
    return known | dict.fromkeys(none if known else (), "")


def _evaluated_by_microsoft(graph: MicrosoftGraph, ground: Ground, situation: Situation) -> tuple[Comparison, ...]:
    job, schema = ground.job, ground.schema
    if not ground.compares or job is None or schema is None or not ground.application:
        return ()
    return compared(functools.partial(graph.evaluated, ground.application, job.id), schema, situation.people)


def _witness(situation: Situation) -> Witness | None:
    """Return the first Auth0 user that can serve to test a search."""
    attributes = tuple(row.target for row in situation.mapping.matching)
    found = (witness_of(one.user_id, one.values, attributes, situation.scim_fields) for one in situation.profiles)
    return next((one for one in found if one is not None), None)


def _hangs_on_a_link(one: PersonForecast) -> bool:
    readings = (one.reading, *(other.reading for other in one.others))
    return any(words in reading for words in (LINKED, NOT_LINKED) for reading in readings)


def _anyway(ground: Ground, situation: Situation, saved: UserMapping | None) -> frozenset[tuple[str, HarmKind]]:
    """Return the people that a running job harms as it stands: with the assignments, the scope and the mapping as saved now.

    People who are only about to be assigned are not among them, whatever their fate: the run is about to touch them.
    """
    if ground.job is None or not ground.job.is_running or saved is None or ground.connection is None:
        return frozenset()
    everybody = ground.saved.sync_all.lower() == "true"
    people = tuple(one if one.was_entitled else replace(one, is_assigned=False, groups=()) for one in situation.people)
    now = forecast(replace(situation, people=people, mapping=saved, syncs_everybody=everybody))
    touched = {one.object_id for one in situation.people if (one.is_assigned or one.groups) and not one.was_entitled}
    return frozenset((one.object_id, kind) for one in now.people for kind in one.harms if one.object_id not in touched)


def _situation(ground: Ground, mapping: UserMapping, saved: UserMapping | None, directory: Directory, users: Users) -> Situation:
    scim_fields = fields_by_path(ground.scim_rows)
    return Situation(
        people=tuple(directory.people.values()),
        profiles=users.profiles,
        mapping=mapping,
        scim_fields=scim_fields,
        skips_out_of_scope=ground.saved.values.get(SKIP_OUT_OF_SCOPE, "").lower() == "true",
        needs_assignment=ground.needs_assignment,
        syncs_at_each_login=True,  # the procedure sees to it before anything is started
        cycles_ran=ground.job is not None and ground.job.has_run,
        links=links_of(ground.job, saved, users.profiles, auth0_field(EXTERNAL_ID, scim_fields)),
        readings=ground.readings,
        hidden_groups=directory.hidden_groups,
        nested_groups=directory.nested_groups,
        assigns_groups=any(entry.principal_type == "Group" for entry in ground.assigned.entries),
        searched_fields=users.searched_fields,
    )


def links_of(
    job: SynchronizationJob | None, saved: UserMapping | None, profiles: Iterable[Auth0Profile], external_id: str | None
) -> Links:
    """Return what can be known of the job's links: the external id shows them only where its cycles wrote the object id.

    A job that has run under another mapping left other texts as external id, or none.
    """
    if job is None:
        return Links.NONE
    if not job.has_run:
        return Links.SEEN  # only provision on demand can have linked, and it comes after the mapping is right
    texts = (str(one.values.get(external_id or "") or "") for one in profiles)
    wrote_another = any(text and not GUID.fullmatch(text) for text in texts)
    return Links.SEEN if saved is not None and saved.sends_object_id and not wrote_another else Links.UNSEEN


def _with_the_unread(found: Forecast, users: Users, links: Links) -> Forecast:
    """Return the forecast with one entry for all Auth0 users that were not read, where the job may hold links to them."""
    if users.searched_fields is None or links is Links.NONE:
        return found
    others = users.total - len(users.profiles)
    if others <= 0:
        return found
    why = f"{others} further Auth0 users of the connection were not read: {users.why_incomplete}"
    unread = PersonForecast(
        f"{others} further Auth0 users", "", "", None, False, "not read", Fate.CANNOT_TELL, certainty=Certainty.OPEN, reason=why
    )
    return replace(found, people=(*found.people, unread), incomplete=(why,))
