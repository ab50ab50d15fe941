"""The attribute mappings of the job: three edits, saved in one replacement of the whole schema."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.step import Step, TakeBack, Yield
from runbook_lib.engine.values import (
    Change,
    Diff,
    Finding,
    Handover,
)
from runbook_lib.services.auth0.models import ScimToken
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import ServicePrincipal, SynchronizationJob, SynchronizationSchema
from runbook_lib.services.wire_json import Json, listed
from runbook_lib.services.wire_words import (
    EXTERNAL_ID,
    OBJECT_ID,
    WORK_EMAIL,
    WORK_EMAIL_PRECEDENCE,
)
from runbook_lib.settings.model import TenantSettings
from runbook_lib.steps import attribute_mapping_checks as checks
from runbook_lib.steps import groups_mapping, running_job
from runbook_lib.steps.attribute_mapping_checks import Flaw
from runbook_lib.steps.body import check, ensure, note, stage
from runbook_lib.steps.by_hand import ENTRA_GROUPS, MAPPING, Customer, in_entra, nothing_shows, together, without_tokens
from runbook_lib.steps.mapping_document import edited_parts, lost_parts, mapping_table, shown_rows
from runbook_lib.steps.running_job import Asked
from runbook_lib.steps.undoing.others import is_edited, later_run, refuse_live
from runbook_lib.steps.undoing.readings import InEntra, On, holds_token, running_jobs
from runbook_lib.steps.undoing.undo import Undo, left, undone
from runbook_lib.tenant import facts
from runbook_lib.tenant.seen_from_auth0 import Evidence
from runbook_lib.tenant.things import Thing
from runbook_lib.tenant.written import Written, takes_back

SCHEMA = "attribute mappings"


def _create_off(_customer: Customer) -> Handover:  # customize-application-attributes
    return Handover(
        MAPPING,
        ("Under Target Object Actions untick Create. Leave Update and Delete ticked.",),
        (("Create", "off"), ("Update", "on"), ("Delete", "on")),
    )


def _external_id_row(_customer: Customer) -> Handover:  # the procedure
    return Handover(
        f"{MAPPING} > Attribute Mappings",
        ("Find the line with these two attributes and choose Edit.",),
        (("Entra attribute", "mailNickname"), ("Target attribute", "externalId")),
    )


def _object_id(_customer: Customer) -> Handover:  # the procedure
    return Handover(
        "Edit Attribute, of the line externalId",
        ("Change the source attribute. Leave everything else. Choose OK.",),
        (("Source attribute", "objectId"),),
    )


def _work_email_row(_customer: Customer) -> Handover:  # the procedure
    return Handover(
        f"{MAPPING} > Attribute Mappings",
        ("Find the line with these two attributes and choose Edit.",),
        (("Entra attribute", "mail"), ("Target attribute", 'emails[type eq "work"].value')),
    )


def _match(_customer: Customer) -> Handover:  # customize-application-attributes
    return Handover(
        "Edit Attribute, of the line of the work email",
        ("Set both and choose OK. userName keeps matching precedence 1.",),
        (("Match objects using this attribute", "Yes"), ("Matching precedence", "2")),
    )


def _save_mappings(customer: Customer) -> Handover:  # the mapping of groups: customize-application-attributes
    groups = "Yes" if customer.settings.wants_groups else "No"
    return Handover(
        MAPPING,
        (
            "Choose Save and confirm.",
            f"Go back to the list of mappings, open {ENTRA_GROUPS}, set Enabled to {groups}, save.",
            "Check both again: they must show the following.",
        ),
        (
            ("Target Object Actions", "Update, Delete"),
            ("externalId", "objectId"),
            ('emails[type eq "work"].value', "mail, matching precedence 2"),
            ("Provision Microsoft Entra ID Groups, Enabled", groups),
        ),
    )


def _back(_customer: Customer) -> Handover:  # the procedure
    return Handover(MAPPING, ("Close with X, in the upper right corner. You are back at Provisioning.",))


def _flow_types(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    wanted = tuple(flow for flow in schema.flow_types if flow != "Add")
    if {"Update", "Delete"} - set(wanted):
        raise StepBlocked(
            f"The users' mapping has {', '.join(schema.flow_types) or 'no actions'}: Update and Delete must be on",
            "Turn Update and Delete on in Entra (Mappings > Provision Users > Target Object Actions), then run again",
        )
    return (
        (Diff(SCHEMA, "Target Object Actions", ", ".join(schema.flow_types), ", ".join(wanted)),)
        if wanted != schema.flow_types
        else ()
    )


def _external_id(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    checks.refuse(checks.flaws_of_external_id(schema))
    row = schema.row(EXTERNAL_ID)
    return (Diff(SCHEMA, EXTERNAL_ID, row.source, OBJECT_ID),) if row is not None and row.source != OBJECT_ID else ()


def _work_email(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    checks.refuse(chain(checks.flaws_of_work_email(schema), checks.flaws_of_matching(schema)))
    row = schema.row(WORK_EMAIL)
    others = [other.target for other in schema.rows() if other.precedence == WORK_EMAIL_PRECEDENCE and other.target != WORK_EMAIL]
    if others:
        raise StepBlocked(
            f"Another row, {others[0]}, already has matching precedence 2",
            "Give that row another precedence in Entra, then run again",
        )
    if not any(other.precedence == 1 and other.target != WORK_EMAIL for other in schema.rows()):
        raise StepBlocked("No row has matching precedence 1", "Give userName precedence 1 in Entra, then run again")
    wanted = str(WORK_EMAIL_PRECEDENCE)
    return (
        (Diff(SCHEMA, f"{WORK_EMAIL} precedence", str(row.precedence or "none"), wanted),)
        if row is not None and row.precedence != WORK_EMAIL_PRECEDENCE
        else ()
    )


_EXPECTED: dict[
    Callable[[SynchronizationSchema], tuple[Diff, ...]], Diff
] = {  # what a new job starts with, for plans made before it exists; entra-docs and three public lists
    _flow_types: Diff(SCHEMA, "Target Object Actions", "Add, Update, Delete", "Update, Delete"),
    _external_id: Diff(SCHEMA, EXTERNAL_ID, "mailNickname", OBJECT_ID),
    _work_email: Diff(SCHEMA, f"{WORK_EMAIL} precedence", "none", str(WORK_EMAIL_PRECEDENCE)),
}


def mapping_edits(schema: SynchronizationSchema | None, also: tuple[Diff, ...] = ()) -> tuple[Diff, ...]:
    """Return the differences of all three edits of the mapping of users.

    Raises `StepWaits` while there is no job. The error carries the differences that a new job will have, and those in `also`.
    """
    if schema is None:
        raise StepWaits(Thing.JOB, "The provisioning job with its mappings", (*_EXPECTED.values(), *also))
    checks.refuse(checks.flaws_of_the_mapping(schema))
    return (*_flow_types(schema), *_external_id(schema), *_work_email(schema))


def mappings_differ(job: SynchronizationJob | None, schema: SynchronizationSchema | None) -> bool:
    """Whether a running job uses mappings that differ from the wanted ones. Other steps refuse what cannot be corrected."""
    if job is None or not job.is_running or schema is None:
        return False
    try:
        return bool(mapping_edits(schema))
    except StepBlocked:
        return True


def _staged(schema: SynchronizationSchema | None, edit: Callable[[SynchronizationSchema], tuple[Diff, ...]]) -> Iterator[Yield]:
    if schema is None:
        raise StepWaits(Thing.JOB, "The provisioning job with its mappings", (_EXPECTED[edit],))
    checks.refuse(checks.flaws_of_the_mapping(schema))
    if diffs := edit(schema):
        yield Change(SCHEMA, diffs)


@stage(Thing.ACTIONS, by_hand=in_entra(_create_off, Evidence.creating), reads=(facts.schema,), saved_by=Thing.MAPPINGS)
def deselect_create(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Deselect Create under Target Object Actions.

    Why: with Create on, Entra makes a second user for every person that it does not find.
    """
    yield from _staged(schema, _flow_types)


@check(Thing.EXTERNAL_ID_ROW, by_hand=in_entra(_external_id_row, Evidence.object_id), reads=(facts.schema,))
def find_external_id(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Find the line of externalId and mailNickname."""
    yield from _row_shown(schema, EXTERNAL_ID, checks.flaws_of_external_id)


@stage(Thing.EXTERNAL_ID, by_hand=in_entra(_object_id, Evidence.object_id), reads=(facts.schema,), saved_by=Thing.MAPPINGS)
def external_id_from_object_id(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Send the object id as externalId.

    Why: mailNickname is neither unique nor stable.
    """
    yield from _staged(schema, _external_id)


@check(Thing.WORK_EMAIL_ROW, by_hand=in_entra(_work_email_row, Evidence.work_email), reads=(facts.schema,))
def find_work_email(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Find the line of the work email and mail."""
    yield from _row_shown(schema, WORK_EMAIL, checks.flaws_of_work_email)


@stage(Thing.WORK_EMAIL, by_hand=in_entra(_match, Evidence.work_email), reads=(facts.schema,), saved_by=Thing.MAPPINGS)
def match_by_work_email(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Match by work email with precedence 2.

    Why: profiles made by login know no object id yet; their mail address is how Entra finds them the first time.
    """
    if schema is not None and (hazard := checks.matched_by_another_source(schema)):
        yield hazard
    yield from _staged(schema, _work_email)


def _row_shown(schema: SynchronizationSchema | None, target: str, flaws: Callable[..., Iterator[Flaw]]) -> Iterator[Yield]:
    if schema is None:
        raise StepWaits(Thing.JOB, "The provisioning job with its mappings")
    checks.refuse(chain(checks.flaws_of_the_mapping(schema), flaws(schema)))
    row = schema.row(target)
    if row is not None:
        precedence = f", matching precedence {row.precedence}" if row.precedence else ""
        yield Finding(f"{target} comes from {row.source}{precedence}.")


@ensure(
    Thing.MAPPINGS,
    by_hand=together(in_entra(_save_mappings, Evidence.mappings), without_tokens()),
    undone_by=lambda: (UNDO,),
    reads=(facts.schema, facts.enterprise_application, facts.job, facts.forecast_when_asked, facts.scim_tokens),
    touches=(facts.schema, facts.jobs),
)
def save_mappings(
    schema: SynchronizationSchema | None,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    asked: Asked,
    tokens: tuple[ScimToken, ...] | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Save the attribute mappings.

    The schema is replaced whole, so all three edits go in one PUT that carries everything read, the
    switch of the mapping of groups with them.
    Blocked when: the row of active is missing or would not tell Auth0 of a departure; the job runs already, and its next cycle
    would harm people; groups may be provisioned already, and the settings do not say whether to go on. Shown: the scoping filter.
    """
    groups_mapping.refuse_undecided(schema, tokens, settings)
    edits = mapping_edits(schema, groups_mapping.expected(settings))
    if schema is None or principal is None or job is None:  # mapping_edits has raised; this tells the type checker
        return
    checks.refuse(checks.flaws_of_departures(schema))
    switched = groups_mapping.edits(schema, settings)
    after = groups_mapping.edited(edited(schema), settings)
    yield from checks.about_scope(schema)
    yield mapping_table(schema, after)
    if edits or switched:
        yield from running_job.guarded(job, asked, settings)
        yield from running_job.paused_first(job, principal, mappings_differ=bool(edits), settings=settings)
        request = graph.put_schema(principal.id, job.id, after.document)
        undo = {
            "kind": UNDO.kind,
            "service_principal": principal.id,
            "job": job.id,
            "before": edited_parts(schema),
            "groups": groups_mapping.replaced(schema, settings),
            "rows": shown_rows(after),
        }
        yield Change(SCHEMA, (*edits, *switched), request, confirm=lambda fresh: lost_parts(after, fresh), undo=undo)


def edited(schema: SynchronizationSchema) -> SynchronizationSchema:
    """Return the schema with the three edits and nothing else changed."""
    document: Any = copy.deepcopy(dict(schema.document))
    rule, position = schema.user_mappings()[0]
    mapping = document["synchronizationRules"][rule]["objectMappings"][position]
    mapping["flowTypes"] = ",".join(flow for flow in schema.flow_types if flow != "Add")
    for row in listed(mapping.get("attributeMappings")):
        if row.get("targetAttributeName") == EXTERNAL_ID:
            row["source"] = {
                **(row.get("source") or {}),
                "expression": f"[{OBJECT_ID}]",
                "name": OBJECT_ID,
                "type": "Attribute",
                "parameters": [],
            }
        if row.get("targetAttributeName") == WORK_EMAIL:
            row["matchingPriority"] = WORK_EMAIL_PRECEDENCE
    return SynchronizationSchema(document)


@note(
    Thing.WAY_BACK,
    by_hand=in_entra(_back, nothing_shows),
)
def back_to_provisioning(settings: TenantSettings) -> Iterator[Yield]:
    """Return to the Provisioning screen.

    This step has nothing to do: the step that saved the mappings has read them back.
    """
    yield Finding(f"Nothing to do: step {Thing.MAPPINGS.step} has already read the mappings back.")


# Taking back ---------------------------------------------------------------------------------------------------------

Jobs = tuple[SynchronizationJob, ...]


def take_back(undo: Undo, number: str, entry: Written) -> Step:
    """Restore each attribute mapping that is still as the run wrote it."""
    entra, before = InEntra(entry.service_principal), entry.undo["before"]
    running = running_jobs(undo.record)

    def restore(
        found: SynchronizationSchema | None, jobs: Jobs, holds: bool, on: On, goes: bool, _settings: Any
    ) -> Iterator[Yield]:
        if found is None or entry.undo["job"] not in [job.id for job in jobs]:
            yield Finding("The job is gone, with its attribute mappings.")
            return
        if goes:
            yield undo.along(entra.id)
            return
        if later := later_run(undo.record, entry, "schema"):
            yield left(later)
            return
        document, diffs = _with_old_mappings(found, before, entry.undo.get("groups") or {})
        if not diffs:
            yield Finding(
                "The attribute mappings have their earlier values already, or someone else has changed them since this run."
            )
            return
        guard = refuse_live(undo, on, diffs)
        if "Add" in str(before["flowTypes"]) and holds and not undo.had_token(entra.id) and not undo.empties(entra.id):
            yield left("Left in place: Entra holds a token, so with Create on again a start would create users.")
            return
        # Mappings that hold others' edits still count as others' work, even when an undo writes them.
        rows = [] if is_edited(found, undo.record, entra.id) else shown_rows(SynchronizationSchema(document))
        undo.record.restores(entra.id, rows)
        request = graph.put_schema(entra.id, str(entry.undo["job"]), document)
        about = {**takes_back(entry), "service_principal": entra.id, "rows": rows}
        yield Change("attribute mappings", diffs, request, undo=about, guard=guard)

    reads = (entra.schema, entra.jobs, holds_token(undo.record, entra), running, undo.goes_along(entra.id))
    return undo.step(number, entry, "Restore the attribute mappings", restore, *reads, touches=(*entra.everything, running))


def _with_old_mappings(schema: SynchronizationSchema, before: Json, groups: dict[str, bool]) -> tuple[Json, tuple[Diff, ...]]:
    """Return the schema in which each edit that is still as this tool wrote it is taken back.

    `groups` are the switched mappings of groups, each with its earlier value; journals of earlier versions hold none.
    """
    switched = groups_mapping.with_switches(schema, groups_mapping.standing(schema, groups))
    document: Any = copy.deepcopy(dict(switched.document))
    rule, position = (schema.user_mappings() or ((0, 0),))[0]
    mapping = document["synchronizationRules"][rule]["objectMappings"][position]
    diffs = []
    if schema.flow_types == ("Update", "Delete") and before["flowTypes"] != mapping["flowTypes"]:
        diffs.append(Diff("attribute mappings", "Target Object Actions", mapping["flowTypes"], before["flowTypes"]))
        mapping["flowTypes"] = before["flowTypes"]
    for row in listed(mapping.get("attributeMappings")):
        name = row.get("targetAttributeName")
        source, precedence = before[EXTERNAL_ID] or {}, before[WORK_EMAIL]
        if name == EXTERNAL_ID and (row.get("source") or {}).get("name") == OBJECT_ID and source.get("name") != OBJECT_ID:
            diffs.append(Diff("attribute mappings", name, OBJECT_ID, str(source.get("name") or source.get("expression"))))
            row["source"] = source
        if name == WORK_EMAIL and row.get("matchingPriority") == WORK_EMAIL_PRECEDENCE != precedence:
            diffs.append(Diff("attribute mappings", f"{name} precedence", str(WORK_EMAIL_PRECEDENCE), str(precedence or "none")))
            row["matchingPriority"] = precedence
    words = groups_mapping.in_words(schema), groups_mapping.in_words(switched)
    if words[0] != words[1]:
        diffs.append(Diff("attribute mappings", groups_mapping.FIELD, *words))
    return document, tuple(diffs)


UNDO: TakeBack = undone(
    take_back, Thing.MAPPINGS, "the attribute mappings", needs={"service_principal": str, "job": str, "before": dict}
)
