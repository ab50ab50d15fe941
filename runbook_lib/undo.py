"""Take back what one run made, in reverse, and nothing else: each thing is a step like those of the procedure.

What to take back is read from the run's journal; how things are now is read from the services, so that a second undo finds
nothing to do and what somebody changed since is left alone. The job is stopped first: with it running, taking an assignment
away would block people in Auth0.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding
from runbook_lib.claim import read_marker, without_marker
from runbook_lib.clients import auth0_management as auth0
from runbook_lib.clients import batches
from runbook_lib.clients import microsoft_graph as graph
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.journal import Event
from runbook_lib.models import (
    Application,
    AppRoleAssignment,
    Connection,
    Json,
    SavedCredentials,
    ScimConfiguration,
    ScimMappingRow,
    ScimToken,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.steps.credentials import of_lost_answers
from runbook_lib.steps.kinds import Kind, Step, Yield
from runbook_lib.vocabulary import BASE_ADDRESS, EXTERNAL_ID, OBJECT_ID, SECRET_TOKEN, SYNC_ALL, WORK_EMAIL, WORK_EMAIL_PRECEDENCE


@dataclass(frozen=True)
class Made:
    """One write of the run: the step, what its undo needs, and the ids of what it made, empty when its answer was lost."""

    step: str
    undo: Json
    ids: Json

    @property
    def kind(self) -> str:
        """What was written."""
        return str(self.undo["kind"])


def made_by(events: tuple[Event, ...]) -> tuple[Made, ...]:
    """Return what a run's journal says it wrote, or may have written, in the order to take it back."""
    refused = {event["of"] for event in events if event["event"] == "outcome" and event["result"] == "refused"}
    made = {event["of"]: event.get("made") or {} for event in events if event["event"] == "outcome"}
    found = [
        Made(event["step"], event["undo"], made.get(event["n"], {}))
        for event in events
        if event["event"] == "intent" and event.get("undo") and event["n"] not in refused
    ]
    # The job stops first. The marker goes last of all in Entra: it also says that this undo is at work.
    order = {"start": 0, "notes": 2}
    latest_first = _once(found)[::-1]
    return tuple(sorted(latest_first, key=lambda entry: order.get(entry.kind, 1)))


def _once(found: list[Made]) -> list[Made]:
    """Return each thing once: a write in doubt was sent again, and a marker is renewed."""
    seen: list[Made] = []
    for entry in found:
        if entry.kind == "notes" and any(other.kind == "notes" for other in seen):
            continue
        if entry not in seen:
            seen.append(entry)
    return seen


def steps_to_undo(events: tuple[Event, ...], undone: tuple[Event, ...] = ()) -> tuple[Step, ...]:
    """Return one step for each thing to take back, numbered `-1`, `-2`, … in that order.

    `undone` are the events of earlier undos. What Entra made a moment ago may not show yet: it is looked for, unless an earlier
    undo has deleted it since.
    """
    found = made_by(events)
    whole = {str(entry.ids["service_principal"]) for entry in found if entry.kind == "application" and entry.ids}
    kinds = {entry.kind for entry in found}
    steps: list[Step] = []
    for entry in found:
        goes_along = str(entry.undo.get("service_principal", "")) in whole
        if goes_along and entry.kind != "start":
            continue  # it goes with the enterprise application
        if entry.kind == "scim-mapping" and "scim-configuration" in kinds:
            continue  # it goes with the SCIM configuration
        number = f"-{len(steps) + 1}"
        if entry.kind == "assignments":
            steps.append(_assignments(number, entry, stop=steps[0].number if "start" in kinds else ""))
        else:
            step = _MAKERS[entry.kind](number, entry)
            may_be_hidden = entry.kind in ("application", "job") and not _is_deleted(entry, step, events, undone)
            steps.append(replace(step, takes_back=entry.step) if may_be_hidden else step)
    return tuple(steps)


def _is_deleted(entry: Made, step: Step, events: tuple[Event, ...], undone: tuple[Event, ...]) -> bool:
    """Whether an earlier undo has carried out this step after the last time that the run may have made the thing."""
    made = [str(event["time"]) for event in events if event["event"] == "intent" and event.get("undo") == entry.undo]
    applied = [event for event in undone if event["event"] == "outcome" and event["result"] == "applied"]
    deleted = [str(event["time"]) for event in applied if event["step"] == step.number]
    return max(deleted, default="") > max(made)


def _step(
    number: str,
    entry: Made,
    title: str,
    function: Callable[..., Iterator[Yield]],
    *reads: facts.Fact[Any],
    touches: tuple[facts.Fact[Any], ...] = (),
) -> Step:
    function.__doc__ = f"{title} (step {entry.step})."
    return Step(number, Kind.ENSURE if touches else Kind.NOTE, function, reads, touches, "")


# Entra ---------------------------------------------------------------------------------------------------------------


def _start(number: str, entry: Made) -> Step:
    def stop(jobs: tuple[SynchronizationJob, ...], principal: ServicePrincipal | None, _settings: Any) -> Iterator[Yield]:
        job = next((job for job in jobs if job.id == entry.undo["job"]), None)
        if job is None or principal is None or not job.is_running:
            yield Finding("The job does not run.")
            return
        diff = Diff("provisioning job", "Provisioning Status", "On", "Off")
        yield Change(diff.on, (diff,), graph.pause_job(principal.id, job.id), stops=True)

    return _step(number, entry, "Stop provisioning", stop, facts.jobs, facts.enterprise_application, touches=(facts.jobs,))


def _on_demand(number: str, entry: Made) -> Step:
    def tell(_settings: Any) -> Iterator[Yield]:
        yield Finding("Cannot be undone: what provisioning wrote into the test user's profile, its external id included, stays.")

    return _step(number, entry, "Keep the test user as provisioned", tell)


def _schema(number: str, entry: Made) -> Step:
    before = entry.undo["before"]

    def restore(
        schema: SynchronizationSchema | None,
        principal: ServicePrincipal | None,
        job: SynchronizationJob | None,
        _settings: Any,
    ) -> Iterator[Yield]:
        if schema is None or principal is None or job is None or job.id != entry.undo["job"]:
            yield Finding("The job is gone, and its attribute mappings with it.")
            return
        document, diffs = _with_old_mappings(schema, before)
        if diffs:
            yield Change("attribute mappings", diffs, graph.put_schema(principal.id, job.id, document))
        else:
            yield Finding("The attribute mappings are as before, or were changed since by somebody else.")

    reads = (facts.schema, facts.enterprise_application, facts.job)
    return _step(number, entry, "Restore the attribute mappings", restore, *reads, touches=(facts.schema,))


def _with_old_mappings(schema: SynchronizationSchema, before: Json) -> tuple[Json, tuple[Diff, ...]]:
    """Return the schema with those of the three edits taken back that still stand as this tool wrote them."""
    document: Any = copy.deepcopy(dict(schema.document))
    rule, position = (schema.user_mappings() or ((0, 0),))[0]
    mapping = document["synchronizationRules"][rule]["objectMappings"][position]
    diffs = []
    if schema.flow_types == ("Update", "Delete") and before["flowTypes"] != mapping["flowTypes"]:
        diffs.append(Diff("attribute mappings", "Target Object Actions", mapping["flowTypes"], before["flowTypes"]))
        mapping["flowTypes"] = before["flowTypes"]
    for row in mapping["attributeMappings"]:
        name = row["targetAttributeName"]
        source, precedence = before[EXTERNAL_ID], before[WORK_EMAIL]
        if name == EXTERNAL_ID and row["source"].get("name") == OBJECT_ID and source.get("name") != OBJECT_ID:
            diffs.append(Diff("attribute mappings", name, OBJECT_ID, str(source.get("name") or source.get("expression"))))
            row["source"] = source
        if name == WORK_EMAIL and row.get("matchingPriority") == WORK_EMAIL_PRECEDENCE != precedence:
            diffs.append(Diff("attribute mappings", f"{name} precedence", str(WORK_EMAIL_PRECEDENCE), str(precedence or "none")))
            row["matchingPriority"] = precedence
    return document, tuple(diffs)


def _credentials(number: str, entry: Made) -> Step:
    before = {key: str(value) for key, value in entry.undo["before"].items()}

    def restore(saved: SavedCredentials, principal: ServicePrincipal | None, endpoint: str, _settings: Any) -> Iterator[Yield]:
        if before.get(SECRET_TOKEN):
            yield Finding("Cannot be undone: the token that Entra held before. Enter it again in Entra before starting the job.")
        if principal is None or saved.tenant_url.partition("?")[0] != endpoint or not saved.holds_token:
            yield Finding("Entra no longer holds what this run saved.")
            return
        wanted = {BASE_ADDRESS: before.get(BASE_ADDRESS, ""), SYNC_ALL: before.get(SYNC_ALL, "")}
        diffs = [Diff("entra credentials", key, saved.values.get(key, ""), value) for key, value in wanted.items()]
        diffs.append(Diff("entra credentials", "Secret Token", "saved", "removed"))
        yield Finding("A deletion guard that this run turned on stays on.")
        shown = {key: value for key, value in saved.values.items() if value != "*"}
        request = graph.put_credentials_as_they_are(principal.id, {**shown, **wanted, SECRET_TOKEN: ""})
        yield Change("entra credentials", tuple(diff for diff in diffs if diff.before != diff.after), request)

    reads = (facts.saved_credentials, facts.enterprise_application, facts.endpoint_url)
    return _step(number, entry, "Take the token out of Entra", restore, *reads, touches=(facts.saved_credentials,))


def _job(number: str, entry: Made) -> Step:
    def delete(jobs: tuple[SynchronizationJob, ...], principal: ServicePrincipal | None, _settings: Any) -> Iterator[Yield]:
        is_same = principal is not None and principal.id == entry.undo["service_principal"]
        job = next((job for job in jobs if entry.ids.get("job") in (None, job.id) and job.template_id == "scim"), None)
        if principal is None or not is_same or job is None:
            yield Finding("The job is gone.")
            return
        diff = Diff("provisioning job", "job", job.template_id, "deleted")
        yield Change(diff.on, (diff,), graph.delete_job(principal.id, job.id))

    touches = (facts.jobs, facts.schema, facts.saved_credentials)
    return _step(number, entry, "Delete the provisioning job", delete, facts.jobs, facts.enterprise_application, touches=touches)


def _assignments(number: str, entry: Made, *, stop: str) -> Step:
    """Return the step; `stop` is the number of the step that stops the job, empty when this run did not start it."""
    ours = frozenset(entry.undo["principals"])

    def take_away(
        assigned: tuple[AppRoleAssignment, ...],
        principal: ServicePrincipal | None,
        job: SynchronizationJob | None,
        _settings: Any,
    ) -> Iterator[Yield]:
        left = [who for who in assigned if who.principal_id in ours]
        if principal is None or principal.id != entry.undo["service_principal"] or not left:
            yield Finding("They are no longer assigned.")
            return
        diffs = tuple(Diff("assignments", who.principal_name, who.principal_type, "") for who in left)
        if job is not None and job.is_running:
            if stop:
                raise StepWaits(stop, "The stop of the job", diffs)
            yield Finding(
                f"Left in place: the job runs, and without their assignment these {len(left)} users and groups would be blocked "
                "in Auth0. Turn provisioning off in Entra, then undo again."
            )
            return
        yield Finding("Before the job is ever started again, look who is assigned: those who are not would be blocked in Auth0.")
        for start in range(0, len(left), batches.LIMIT):
            part = left[start : start + batches.LIMIT]
            request = graph.unassign(principal.id, tuple(who.id for who in part))
            receive = batches.receiver([f"Taking the assignment of {who.principal_name} away" for who in part])
            yield Change("assignments", diffs[start : start + batches.LIMIT], request, receive=receive)

    reads = (facts.assignments, facts.enterprise_application, facts.job)
    return _step(number, entry, "Take the assignments away", take_away, *reads, touches=(facts.assignments,))


def _application(number: str, entry: Made) -> Step:
    def delete(
        found: tuple[ServicePrincipal, ...],
        application: Application | None,
        connection_id: str,
        memory: facts.Memory,
        _settings: Any,
    ) -> Iterator[Yield]:
        if not found:
            gone = "The enterprise application is gone, or has another name now."
            yield Finding(gone if entry.ids else "Entra shows no enterprise application of the name.")
            return
        marker = read_marker(found[0].notes)
        is_ours = marker.connection == connection_id if marker else _is_of_lost_answer(application, memory)
        is_certain = entry.ids["service_principal"] == found[0].id if entry.ids else is_ours
        if len(found) > 1 or application is None or not is_certain:
            yield Finding(
                "Left in place: an enterprise application of the name of which it is not certain that this run made it."
            )
            return
        diff = Diff("enterprise applications", found[0].display_name, "made by this run", "deleted, and all that belongs to it")
        yield Change(diff.on, (diff,), graph.delete_application(application.id))

    reads = (facts.enterprise_applications, facts.scim_application, facts.connection_id, facts.memory)
    touches = (facts.enterprise_applications, facts.scim_application, facts.jobs, facts.assignments)
    return _step(number, entry, "Delete the enterprise application", delete, *reads, touches=touches)


def _is_of_lost_answer(application: Application | None, memory: facts.Memory) -> bool:
    """Whether the application was made in the minutes of a request for it whose answer nobody read; there was none before."""
    requests = [doubt for doubt in memory.doubted("3.2") if doubt.request.endswith("/instantiate")]
    return application is not None and any(doubt.may_have_made(application.created_at) for doubt in requests)


def _notes(number: str, entry: Made) -> Step:
    def clean(principal: ServicePrincipal | None, _settings: Any) -> Iterator[Yield]:
        if principal is None or read_marker(principal.notes) is None or principal.id != entry.undo["service_principal"]:
            yield Finding("The notes hold no marker.")
            return
        diff = Diff("notes of the enterprise application", "marker", str(read_marker(principal.notes)), "")
        yield Change(diff.on, (diff,), graph.patch_notes(principal.id, without_marker(principal.notes) or None))

    fact = facts.enterprise_application
    return _step(number, entry, "Take the marker out of the notes", clean, fact, touches=(facts.enterprise_applications,))


# Auth0 ---------------------------------------------------------------------------------------------------------------


def _token(number: str, entry: Made) -> Step:
    def delete(
        tokens: tuple[ScimToken, ...] | None, connection: Connection, memory: facts.Memory, _settings: Any
    ) -> Iterator[Yield]:
        known = [token for token in tokens or () if token.token_id == entry.ids.get("token")]
        left = known if entry.ids else of_lost_answers(tokens or (), memory)
        if not left:
            yield Finding("The token is gone.")
        for token in left:
            diff = Diff(f"SCIM tokens of {connection.name}", token.token_id, "made by this run", "deleted")
            yield Change(diff.on, (diff,), auth0.delete_scim_token(connection.id, token.token_id))

    reads = (facts.scim_tokens, facts.connection, facts.memory)
    return _step(number, entry, "Delete the SCIM token", delete, *reads, touches=(facts.scim_tokens,))


def _scim_mapping(number: str, entry: Made) -> Step:
    before, after = entry.undo["before"], entry.undo["after"]

    def restore(scim: ScimConfiguration | None, _settings: Any) -> Iterator[Yield]:
        now = (
            {"user_id_attribute": scim.user_id_attribute, "mapping": [[r.scim, r.auth0] for r in scim.mapping]} if scim else None
        )
        if scim is None or now != after:
            yield Finding("The SCIM configuration is as before, gone, or was changed since by somebody else.")
            return
        mapping = tuple(ScimMappingRow(*row) for row in before["mapping"])
        on = f"SCIM configuration of {scim.connection_name}"
        diff = Diff(on, "User ID attribute and mapping", "as this run wrote them", "as before")
        yield Change(on, (diff,), auth0.patch_scim_configuration(scim, before["user_id_attribute"], mapping))

    fact = facts.scim_configuration
    return _step(number, entry, "Restore the SCIM configuration", restore, fact, touches=(fact,))


def _scim_configuration(number: str, entry: Made) -> Step:
    def delete(
        scim: ScimConfiguration | None,
        tokens: tuple[ScimToken, ...] | None,
        connection: Connection,
        memory: facts.Memory,
        _settings: Any,
    ) -> Iterator[Yield]:
        if scim is None:
            yield Finding("SCIM is off.")
            return
        if foreign := [token.token_id for token in tokens or () if token.token_id not in memory.own_token_ids]:
            yield Finding(f"Left on: somebody else has made {', '.join(foreign)} since, which would go with it.")
            return
        diff = Diff(f"connection {connection.name}", "SCIM", "on", "off")
        yield Change(diff.on, (diff,), auth0.delete_scim_configuration(connection.id))

    reads = (facts.scim_configuration, facts.scim_tokens, facts.connection, facts.memory)
    touches = (facts.scim_configuration, facts.scim_tokens)
    return _step(number, entry, "Turn SCIM off", delete, *reads, touches=touches)


def _options(number: str, entry: Made) -> Step:
    before, after = entry.undo["before"], entry.undo["after"]

    def restore(connection: Connection, _settings: Any) -> Iterator[Yield]:
        options = connection.options
        if not options:
            raise StepBlocked("The connection's options are not readable", "See step 0.1")
        # Only what still stands as this run wrote it; a key may be absent before, after, or now.
        ours = [k for k in {**before, **after} if (k in options, options.get(k)) == (k in after, after.get(k))]
        changed = {key: value for key, value in options.items() if key not in ours or key in before}
        changed |= {key: before[key] for key in ours if key in before}
        on = f"connection {connection.name}"
        diffs = tuple(
            Diff(on, key, _shown(options, key), _shown(changed, key))
            for key in ours
            if _shown(options, key) != _shown(changed, key)
        )
        if diffs:
            yield Change(on, diffs, auth0.patch_connection(connection, changed))
        else:
            yield Finding("The connection is as before, or was changed since by somebody else.")

    return _step(number, entry, "Restore the connection", restore, facts.connection, touches=(facts.connection,))


def _shown(options: Json, key: str) -> str:
    return str(options[key]) if key in options else "(absent)"


_MAKERS: dict[str, Callable[[str, Made], Step]] = {
    "start": _start,
    "on-demand": _on_demand,
    "schema": _schema,
    "credentials": _credentials,
    "job": _job,
    "application": _application,
    "notes": _notes,
    "token": _token,
    "scim-mapping": _scim_mapping,
    "scim-configuration": _scim_configuration,
    "options": _options,
}
