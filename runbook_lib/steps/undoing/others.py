"""What others have done since the run: a job that is on, their work inside what this run made, a later run of this tool."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from runbook_lib.core.errors import StepBlocked, StepWaits
from runbook_lib.engine.readings import Fact
from runbook_lib.engine.values import Diff, Guard
from runbook_lib.http.message import Request
from runbook_lib.services.entra import graph
from runbook_lib.services.entra.models import SynchronizationSchema
from runbook_lib.services.wire_json import Json
from runbook_lib.steps import groups_mapping
from runbook_lib.steps.mapping_document import shown_rows
from runbook_lib.steps.undoing.readings import InEntra, On, holds_token, running_jobs, tokens_in_entra
from runbook_lib.steps.undoing.undo import Undo
from runbook_lib.tenant.app_notes import without_marker
from runbook_lib.tenant.view import View
from runbook_lib.tenant.written import Record, Written


def refuse_live(undo: Undo, running: On, diffs: tuple[Diff, ...] = ()) -> Guard:
    """Raise while a provisioning job of the connection is on, because such a job needs everything that a run wrote.

    Returns the guard for the write: others may turn a job on before the write arrives. Raises `StepWaits` for the step that stops
    the job, or `StepBlocked` when the run did not start the job.
    """
    if not running:
        return Guard("the provisioning job", running_jobs(undo.record), _turned_on, _pauses)
    if stop := undo.stop:
        raise StepWaits(stop, "The stop of the job", diffs, came_back="This step waits until an earlier step has stopped the job")
    jobs = ", ".join(job.id for job in running)
    raise StepBlocked(
        f"Provisioning is on ({jobs}), and the journal does not show that this run started it. So nothing is "
        "undone: the job would run without its token, or with mappings that create users, and it would block in Auth0 the "
        "people whose assignments were removed",
        "Turn provisioning off in Entra (Provisioning > Overview > Stop provisioning), or undo the run that started it; then "
        "undo this run again",
    )


def _turned_on(running: On) -> tuple[str, ...]:
    """Return the jobs that others have turned on meanwhile. A token that is in use does not say what is on at this moment."""
    return tuple(f"others turned {job.id} on while what it lives on was taken back" for job in running if job.service_principal)


def _pauses(running: On) -> tuple[Request, ...]:
    return tuple(graph.pause_job(job.service_principal, job.id) for job in running if job.service_principal)


def later_run(record: Record, entry: Written, *kinds: str) -> str:
    """Return a sentence when a later run has written the same thing; empty when none has."""
    later = record.since(entry, *kinds)
    return f"Left in place: {_by_run(later)}." if later else ""


def _by_run(later: list[Written]) -> str:
    """Return the clause that names the later run, by its latest write that is known to be carried out."""
    known = [entry for entry in later if entry.is_certain]
    if known:
        return f"run {known[-1].run} has written to it later (undo that run first)"
    return f"run {later[-1].run} may have written to it later, but the response was lost (undo that run to see what is there)"


def in_job(record: Record, entra: InEntra) -> Fact[tuple[str, ...]]:
    """Return the fact that tells, as clauses, what others have done in the job since; empty when they did nothing."""

    def look(view: View) -> tuple[str, ...]:
        schema, is_held = view.read(entra.schema), view.read(holds_token(record, entra))
        found = ["someone else has changed its attribute mappings since"] if is_edited(schema, record, entra.id) else []
        given = {str(entry.undo["token"]) for entry in record.of_kind("credentials") if entry.service_principal == entra.id}
        if is_held and not given:
            found.append("Entra holds a token that this run did not save")
        elif is_held and _others_tokens(view, record):
            found.append("Auth0 has a token that this tool did not make, and Entra may hold it")
        return tuple(found)

    return Fact(f"others' work in the job {entra.id[:8]}", look, is_derived=True)


def _others_tokens(view: View, record: Record) -> bool:
    return bool(view.read(tokens_in_entra(record)) - record.token_ids)


def is_edited(schema: SynchronizationSchema | None, record: Record, service_principal: str) -> bool:
    """Whether the mappings hold others' edits: they differ from those that the run, or an undo of it, wrote last.

    If an undo wrote mappings that already held others' edits, they still count as edited. Journals of version 2 do not say.
    """
    wrote = [entry.undo["rows"] for entry in record.of_kind("schema")[-1:] if entry.undo.get("rows") is not None]
    restored = record.restored.get(service_principal)
    if schema is None or (not wrote and restored is None):
        return False
    return not any(sorted(rows) == sorted(_as_in(rows, schema)) for rows in (*wrote, *(restored or ())))


def _as_in(rows: list[str], schema: SynchronizationSchema) -> list[str]:
    """Return the current mappings as rows, without the switch of groups if the journal is from before that switch was kept."""
    knows_groups = any(row.startswith(groups_mapping.SHOWN) for row in rows)
    return [row for row in shown_rows(schema) if knows_groups or not row.startswith(groups_mapping.SHOWN)]


def in_application(record: Record, entry: Written, entra: InEntra) -> Fact[tuple[str, ...]]:
    """Return the fact that tells what others have done in an application that this run made; empty when they did nothing.

    `entry` is the write that made it. What this run may have made by a write in doubt counts as others' work.
    """
    inside = ("assignments", "job", "credentials", "schema", "start", "on-demand")
    job_fact = in_job(record, entra)

    def look(view: View) -> tuple[str, ...]:
        principal = view.read(entra.principal)
        if principal is None:
            return ()
        later = [other for other in record.since(entry, *inside) if other.service_principal == entra.id]
        found = [_by_run(later)] if later else []
        job_ids = {str(write.ids.get("job")) for write in record.of_kind("job")}
        jobs = view.read(entra.jobs)
        foreign = [job for job in jobs if job.id not in job_ids]
        found += ["it has a provisioning job, and the journal does not show that this run made it"] if foreign else []
        in_it = view.read(job_fact)
        found += in_it if jobs else ()
        found += ["someone else has edited its notes"] if without_marker(principal.notes) else []
        registered = view.read(entra.application)
        set_up = dict.fromkeys((*(registered.set_up if registered else ()), *principal.set_up))
        found += [f"it is set up for sign-ins ({', '.join(set_up)})"] if set_up else []
        ours = record.of_kind("assignments")
        ids = {assignment for write in ours for assignment in write.assignment_ids}
        ids_unknown = {who for write in ours if not write.knows_assignments for who in write.undo["principals"]}
        # Read last: of all that others do in an application, they assign people most often.
        theirs = [a for a in view.read(entra.assignments) if a.id not in ids and a.principal_id not in ids_unknown]
        found += [f"the journal does not show that this run made {len(theirs)} of its assignments"] if theirs else []
        return tuple(found)

    return Fact(f"others' work in the application {entra.id[:8]}", look, is_derived=True)


def named(clauses: Iterable[str]) -> str:
    """Return the sentence that says why undo leaves something."""
    return f"Left in place: {'; '.join(clauses)}."


def equal(options: Json, key: str, other: Json) -> bool:
    """Whether two documents hold the same under a key, absence included."""
    return (key in options, _plain(options.get(key))) == (key in other, _plain(other.get(key)))


def _plain(value: Any) -> Any:
    """Return a JSON value in a form in which `true` differs from 1."""
    return (type(value).__name__, value)
