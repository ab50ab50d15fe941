"""Section 3: configure SCIM in Entra for OIDC apps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from runbook_lib import facts
from runbook_lib.change import Change, Diff, Finding, Hazard, Table, lost
from runbook_lib.claim import read_marker
from runbook_lib.clients import batches
from runbook_lib.clients import microsoft_graph as graph
from runbook_lib.clients.auth0_management import delete_scim_token
from runbook_lib.errors import StepBlocked, StepWaits
from runbook_lib.facts import Memory
from runbook_lib.http import Response
from runbook_lib.models import (
    Application,
    AppRoleAssignment,
    Json,
    SavedCredentials,
    ScimToken,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.secret import Secret
from runbook_lib.settings import Cloud, TenantSettings
from runbook_lib.steps.credentials import (
    ON,
    credential_differences,
    notification_settings,
    orphans,
    same_endpoint,
    tenant_url,
)
from runbook_lib.steps.kinds import Yield, check, ensure, note, stage
from runbook_lib.vocabulary import (
    BASE_ADDRESS,
    DEFAULT_ACCESS_ROLE,
    EXTERNAL_ID,
    OBJECT_ID,
    SCIM_TEMPLATE_ID,
    SECRET_TOKEN,
    SYNC_ALL,
    SYNC_NOTIFICATION_SETTINGS,
    WORK_EMAIL,
    WORK_EMAIL_PRECEDENCE,
)

SCHEMA = "attribute mappings"


@check("3.1", reads=(facts.oidc_application, facts.oidc_service_principal))
def oidc_application(
    application: Application | None, principal: ServicePrincipal | None, settings: TenantSettings
) -> Iterator[Yield]:
    """Confirm that the OpenID Connect application is registered.

    Documented: App registrations holds the application for sign-in. Looked up by the connection's client id, never by name.
    """
    if principal is None:
        raise StepBlocked(
            "Entra knows no OpenID Connect application with the connection's client id",
            "Register it first, or correct the client id of the connection; without it nobody can sign in at all",
        )
    where = "registered here" if application else "registered in another tenant and present here as an enterprise application"
    yield Finding(f"{principal.display_name} is {where}.")


@ensure(
    "3.2",
    reads=(
        facts.enterprise_applications,
        facts.cloud,
        facts.memory,
        facts.jobs,
        facts.oidc_service_principal,
        facts.connection_id,
        facts.other_claim,
    ),
    touches=(facts.enterprise_applications, facts.jobs),
)
def enterprise_application(
    found: tuple[ServicePrincipal, ...],
    cloud: Cloud,
    memory: Memory,
    _jobs: tuple[SynchronizationJob, ...],
    oidc: ServicePrincipal | None,
    connection_id: str,
    other_claim: str,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Create the non-gallery enterprise application.

    Documented: Enterprise applications > New application > Create your own application.
    Why: an application born as an app registration cannot be provisioned (entra-docs, known issues).
    Blocked when: the name is taken twice, by something else, or for another connection, or another run is at work on it.
    """
    if len(found) > 1:
        ours = ", ".join(entry.id for entry in found if entry.id in memory.made_at)
        raise StepBlocked(
            f"Entra has {len(found)} enterprise applications named {settings.scim_app_name}"
            f"{f'; this tool made {ours}' if ours else ''}",
            "Delete or rename the one that is not wanted, or set another scim_app_name",
        )
    if not found:
        diff = Diff("enterprise applications", settings.scim_app_name, "", "non-gallery application")
        request = graph.instantiate(cloud.template_id, settings.scim_app_name)
        yield Change(diff.on, (diff,), request, receive=_made_application, undo={"kind": "application"}, replicates=True)
        return
    if (oidc is not None and found[0].id == oidc.id) or found[0].template_id != cloud.template_id:
        raise StepBlocked(
            f"{settings.scim_app_name} exists but was not made as a non-gallery application, so it cannot be provisioned",
            "Set another scim_app_name",
        )
    if (marker := read_marker(found[0].notes)) and marker.connection != connection_id:
        raise StepBlocked(
            f"{settings.scim_app_name} provisions another connection, {marker.connection}, as its notes say",
            "Set another scim_app_name: each connection needs an enterprise application of its own",
        )
    if other_claim:
        raise StepBlocked(
            f"Another run is at work on {settings.scim_app_name}: {other_claim}",
            "Wait until it has ended; a claim that is not renewed ends by itself after 15 minutes",
        )
    yield Finding(f"{found[0].display_name} exists.")


def _made_application(answer: Response) -> dict[str, str]:
    return {"application": answer.at("application", "id"), "service_principal": answer.at("servicePrincipal", "id")}


@ensure(
    "3.3",
    reads=(facts.access, facts.enterprise_application, facts.assignments, facts.oidc_service_principal),
    touches=(facts.assignments,),
)
def assign_users_and_groups(
    access: tuple[AppRoleAssignment, ...],
    principal: ServicePrincipal | None,
    assigned: tuple[AppRoleAssignment, ...],
    oidc: ServicePrincipal | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Assign the users and groups who currently have access.

    Documented: assign the Azure AD users and groups who currently have access. Copied from the sign-in application; only
    added, never removed.
    Blocked when: nobody is assigned there: an empty list never means everybody.
    """
    if not access:
        raise StepBlocked(
            "Nobody is assigned to the sign-in application, so there is nobody to assign here",
            "Assign its users or groups, or list them in the settings (YAML, `assign`)",
        )
    users = sum(entry.principal_type == "User" for entry in access)
    open_door = (
        " Anyone in the tenant may sign in without being assigned: those are not provisioned."
        if oidc and not oidc.requires_assignment
        else ""
    )
    yield Finding(f"{users} users and {len(access) - users} groups have access.{open_door}")
    present = {entry.principal_id for entry in assigned}
    rows = tuple(
        (entry.principal_name, entry.principal_type, "yes" if entry.principal_id in present else "no") for entry in access[:50]
    )
    yield Table("Who has access" + (" (first 50)" if len(access) > 50 else ""), ("name", "type", "assigned"), rows)
    missing = [entry for entry in access if entry.principal_id not in present]
    diffs = tuple(Diff("assignments", entry.principal_name, "", entry.principal_type) for entry in missing)
    if missing and principal is None:
        raise StepWaits("3.2", "The enterprise application", diffs)
    for start in range(0, len(missing), batches.LIMIT):
        part = missing[start : start + batches.LIMIT]
        attempts = [f"Assigning {entry.principal_name}" for entry in part]
        request = graph.assign(principal.id, tuple(entry.principal_id for entry in part), _role(principal)) if principal else None
        undo = {
            "kind": "assignments",
            "service_principal": principal.id if principal else "",
            "principals": [entry.principal_id for entry in part],
        }
        yield Change(
            "assignments",
            diffs[start : start + batches.LIMIT],
            request,
            receive=batches.receiver(attempts),
            evidence=_refused(attempts),
            undo=undo,
        )


def _refused(attempts: Sequence[str]) -> Callable[[Response], tuple[Table, ...]]:
    """Return what shows the people whom Graph refused to assign, and its words; nothing when all are."""

    def tables(answer: Response) -> tuple[Table, ...]:
        rows = batches.refusals(answer, attempts)
        return (Table("What Graph refused", ("attempted", "what came back", "what to do now"), rows),) if rows else ()

    return tables


def _role(principal: ServicePrincipal) -> str:
    """Return the role to assign: the application's own `User`, since roles do not carry over from another application."""
    roles = [role for role in principal.app_roles if role.is_enabled and "User" in role.member_types]
    named = [role for role in roles if role.display_name == "User"]
    return (named or roles)[0].id if roles else DEFAULT_ACCESS_ROLE


@ensure("3.4", reads=(facts.enterprise_application, facts.jobs), touches=(facts.jobs, facts.saved_credentials, facts.schema))
def synchronization_job(
    principal: ServicePrincipal | None, jobs: tuple[SynchronizationJob, ...], settings: TenantSettings
) -> Iterator[Yield]:
    """Get started with automatic provisioning.

    Documented: Provisioning > Get started > Automatic. In Graph: a synchronization job of template scim, not started.
    """
    ours = [job for job in jobs if job.template_id == SCIM_TEMPLATE_ID]
    if len(ours) > 1:
        raise StepBlocked(f"The enterprise application has {len(ours)} SCIM jobs", "Delete the one that is not wanted")
    if ours:
        yield Finding("The provisioning job exists.")
        return
    diff = Diff("provisioning job", "template", "", SCIM_TEMPLATE_ID)
    if principal is None:
        raise StepWaits("3.2", "The enterprise application", (diff,))
    undo = {"kind": "job", "service_principal": principal.id}
    request = graph.post_job(principal.id)
    yield Change(diff.on, (diff,), request, receive=lambda answer: {"job": answer.at("id")}, undo=undo, replicates=True)


@stage("3.5", reads=(facts.saved_credentials, facts.endpoint_url), saved_by="3.6")
def enter_tenant_url(saved: SavedCredentials, endpoint_url: str, settings: TenantSettings) -> Iterator[Yield]:
    """Enter the SCIM endpoint URL with ?aadOptscim062020 as Tenant URL.

    Documented: Admin Credentials > Tenant URL, with the query parameter that fixes known Azure AD issues.
    Blocked when: Entra provisions another address with this application.
    """
    if diffs := tuple(diff for diff in credential_differences(saved, endpoint_url, settings) if diff.field == "Tenant URL"):
        yield Change(ON, diffs, hazard=_other_address(saved, endpoint_url))
    yield Finding(tenant_url(endpoint_url))


@ensure(
    "3.6",
    reads=(
        facts.saved_credentials,
        facts.enterprise_application,
        facts.job,
        facts.memory,
        facts.endpoint_url,
        facts.connection_id,
        facts.scim_tokens,
    ),
    touches=(facts.saved_credentials, facts.scim_tokens),
)
def save_credentials(
    saved: SavedCredentials,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    memory: Memory,
    endpoint_url: str,
    connection_id: str,
    tokens: tuple[ScimToken, ...] | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Paste the token, test the connection and save.

    Documented: Secret Token, then Save. The connection is tested before and after. Microsoft's own sample body turns the
    deletion guard off; this keeps a guard that is on and turns it on otherwise. A token of this tool's that another has
    taken the place of is deleted then.
    Blocked when: Entra provisions another address with this application.
    """
    diffs = credential_differences(saved, endpoint_url, settings)
    if memory.has_new_token or not saved.holds_token:
        diffs = (*diffs, Diff(ON, "Secret Token", "saved" if saved.holds_token else "", "the token of step 2.2"))
    if not diffs:
        yield from _superseded(connection_id, settings, orphans(tokens or (), memory, saved))
        yield Finding("Tenant URL, token and deletion guard are saved.")
        return
    if principal is None or job is None:
        raise StepWaits("3.4", "The provisioning job", diffs)
    if memory.scim_token is None:
        raise StepWaits("2.2", "A token, whose text is needed to save anything here,", diffs)
    token, url = memory.scim_token, tenant_url(endpoint_url)
    known = (BASE_ADDRESS, SECRET_TOKEN, SYNC_NOTIFICATION_SETTINGS, SYNC_ALL)
    others = {key: value for key, value in saved.values.items() if key not in known and value != "*"}
    wanted = notification_settings(saved, settings)
    yield Change(
        ON,
        diffs,
        graph.put_credentials(principal.id, url, token, wanted, others),
        hazard=_other_address(saved, endpoint_url),
        rehearsal=graph.validate_credentials(principal.id, job.id, url, token),
        proof=graph.validate_credentials(principal.id, job.id),
        receive=_forget(memory, token),
        confirm=lambda after: lost({"others": others, "guard": wanted}, _kept_credentials(after, others)),
        undo={
            "kind": "credentials",
            "service_principal": principal.id,
            "token": memory.scim_token_id,
            "before": dict(saved.values),  # the sensitive ones read as `*`
        },
    )


def _other_address(saved: SavedCredentials, endpoint_url: str) -> Hazard | None:
    """Return the hazard of taking the application away from another endpoint, to which a token of ours must not go by mistake."""
    if not saved.tenant_url or same_endpoint(saved.tenant_url, endpoint_url):
        return None
    return Hazard(
        "replace-tenant-url", f"Entra provisions {saved.tenant_url.partition('?')[0]} with this application, another address"
    )


def _kept_credentials(after: SavedCredentials, others: dict[str, str]) -> Json:
    return {"others": {key: after.values.get(key) for key in others}, "guard": after.notification_settings}


def _superseded(connection_id: str, settings: TenantSettings, useless: tuple[ScimToken, ...]) -> Iterator[Yield]:
    for token in useless:
        gone = Diff(f"SCIM tokens of {settings.auth0_connection}", token.token_id, "made by this tool, replaced since", "deleted")
        yield Change(gone.on, (gone,), delete_scim_token(connection_id, token.token_id))


def _forget(memory: Memory, token: Secret) -> Callable[[Response], dict[str, str]]:
    """Return what drops the token's text once Entra has it."""

    def receive(_answer: Response) -> dict[str, str]:
        if memory.scim_token == token:
            memory.scim_token = token if memory.is_brought else None
            memory.saved_token_id = memory.scim_token_id
            memory.given_token_ids += (memory.scim_token_id,)
        return {"saved_token": memory.scim_token_id}

    return receive


# Attribute mappings --------------------------------------------------------------------------------------------------


def _flow_types(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    wanted = tuple(flow for flow in schema.flow_types if flow != "Add")
    if {"Update", "Delete"} - set(wanted):
        raise StepBlocked(
            f"Users are mapped with {', '.join(schema.flow_types) or 'no actions'}: Update and Delete must be on",
            "Turn Update and Delete on in Entra (Mappings > Provision Users > Target Object Actions), then run again",
        )
    return (
        (Diff(SCHEMA, "Target Object Actions", ", ".join(schema.flow_types), ", ".join(wanted)),)
        if wanted != schema.flow_types
        else ()
    )


def _external_id(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    row = schema.row(EXTERNAL_ID)
    if row is None:
        raise StepBlocked("The mapping has no single row for externalId", "Restore the default mappings in Entra, then run again")
    return (Diff(SCHEMA, EXTERNAL_ID, row.source, OBJECT_ID),) if row.source != OBJECT_ID else ()


def _work_email(schema: SynchronizationSchema) -> tuple[Diff, ...]:
    row = schema.row(WORK_EMAIL)
    if row is None:
        raise StepBlocked(
            "The mapping has no single row for the work email", "Restore the default mappings in Entra, then run again"
        )
    others = [other.target for other in schema.rows() if other.precedence == WORK_EMAIL_PRECEDENCE and other.target != WORK_EMAIL]
    if others:
        raise StepBlocked(
            f"Matching precedence 2 is taken by {others[0]}", "Give that row another precedence in Entra, then run again"
        )
    if not any(other.precedence == 1 for other in schema.rows()):
        raise StepBlocked("No row has matching precedence 1", "Give userName precedence 1 in Entra, then run again")
    wanted = str(WORK_EMAIL_PRECEDENCE)
    return (
        (Diff(SCHEMA, f"{WORK_EMAIL} precedence", str(row.precedence or "none"), wanted),)
        if row.precedence != WORK_EMAIL_PRECEDENCE
        else ()
    )


_EXPECTED: dict[
    Callable[[SynchronizationSchema], tuple[Diff, ...]], Diff
] = {  # what a new job starts with, for plans made before it exists; entra-docs and three public lists
    _flow_types: Diff(SCHEMA, "Target Object Actions", "Add, Update, Delete", "Update, Delete"),
    _external_id: Diff(SCHEMA, EXTERNAL_ID, "mailNickname", OBJECT_ID),
    _work_email: Diff(SCHEMA, f"{WORK_EMAIL} precedence", "none", str(WORK_EMAIL_PRECEDENCE)),
}


def mapping_edits(schema: SynchronizationSchema | None) -> tuple[Diff, ...]:
    """Return the differences of all three edits. Raises `StepWaits` with the expected ones before there is a job."""
    if schema is None:
        raise StepWaits("3.4", "The provisioning job with its mappings", tuple(_EXPECTED.values()))
    _one_user_mapping(schema)
    return (*_flow_types(schema), *_external_id(schema), *_work_email(schema))


def _one_user_mapping(schema: SynchronizationSchema) -> None:
    if schema.user_mapping() is None:
        raise StepBlocked(
            f"The job has {len(schema.user_mappings())} mappings from Entra users to SCIM users, and exactly one is needed",
            "Restore the default mappings in Entra, then run again",
        )


def _staged(schema: SynchronizationSchema | None, edit: Callable[[SynchronizationSchema], tuple[Diff, ...]]) -> Iterator[Yield]:
    if schema is None:
        raise StepWaits("3.4", "The provisioning job with its mappings", (_EXPECTED[edit],))
    _one_user_mapping(schema)
    if diffs := edit(schema):
        yield Change(SCHEMA, diffs)


@stage("3.7", reads=(facts.schema,), saved_by="3.12")
def deselect_create(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Deselect Create under Target Object Actions.

    Documented: Mappings > Provision Azure Active Directory Users > Target Object Actions, deselect Create.
    Why: with it Entra makes a second user for everyone it does not find.
    """
    yield from _staged(schema, _flow_types)


@check("3.8", reads=(facts.schema,))
def find_external_id(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Find the line of externalId and mailNickname.

    Documented: Attribute Mappings, the line containing externalId and mailNickname.
    """
    yield from _row_shown(schema, EXTERNAL_ID)


@stage("3.9", reads=(facts.schema,), saved_by="3.12")
def external_id_from_object_id(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Send the object id as externalId.

    Documented: change Source attribute to objectId. Why: mailNickname is neither unique nor stable.
    """
    yield from _staged(schema, _external_id)


@check("3.10", reads=(facts.schema,))
def find_work_email(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Find the line of the work email and mail.

    Documented: Attribute Mappings, the line containing emails[type eq "work"].value and mail.
    """
    yield from _row_shown(schema, WORK_EMAIL)


@stage("3.11", reads=(facts.schema,), saved_by="3.12")
def match_by_work_email(schema: SynchronizationSchema | None, settings: TenantSettings) -> Iterator[Yield]:
    """Match by work email with precedence 2.

    Documented: Match objects using this attribute: Yes; Matching precedence: 2.
    Why: profiles made by login know no object id yet; their mail address is how Entra finds them the first time.
    """
    yield from _staged(schema, _work_email)


def _row_shown(schema: SynchronizationSchema | None, target: str) -> Iterator[Yield]:
    if schema is None:
        raise StepWaits("3.4", "The provisioning job with its mappings")
    row = schema.row(target)
    if row is None:
        raise StepBlocked(f"The mapping has no single row for {target}", "Restore the default mappings in Entra, then run again")
    precedence = f", matching precedence {row.precedence}" if row.precedence else ""
    yield Finding(f"{target} comes from {row.source}{precedence}.")


@ensure("3.12", reads=(facts.schema, facts.enterprise_application, facts.job), touches=(facts.schema,))
def save_mappings(
    schema: SynchronizationSchema | None,
    principal: ServicePrincipal | None,
    job: SynchronizationJob | None,
    settings: TenantSettings,
) -> Iterator[Yield]:
    """Save the attribute mappings.

    Documented: choose Save. The schema is replaced whole, so all three edits go in one PUT that carries everything read.
    """
    edits = mapping_edits(schema)
    if schema is None or principal is None or job is None:  # mapping_edits has raised; this tells the type checker
        return
    after = edited(schema)
    yield _mapping_table(schema, after)
    if edits:
        request = graph.put_schema(principal.id, job.id, after.document)
        undo = {"kind": "schema", "service_principal": principal.id, "job": job.id, "before": _edited_parts(schema)}
        yield Change(SCHEMA, edits, request, confirm=lambda fresh: lost_parts(after, fresh), undo=undo)


def _edited_parts(schema: SynchronizationSchema) -> Json:
    """Return the three places that the edits change, as they are."""
    mapping = schema.user_mapping() or {}
    rows = {row["targetAttributeName"]: row for row in mapping["attributeMappings"]}
    return {
        "flowTypes": mapping.get("flowTypes"),
        EXTERNAL_ID: rows[EXTERNAL_ID]["source"],
        WORK_EMAIL: rows[WORK_EMAIL].get("matchingPriority"),
    }


def edited(schema: SynchronizationSchema) -> SynchronizationSchema:
    """Return the schema with the three edits and nothing else changed."""
    document: Any = copy.deepcopy(dict(schema.document))
    rule, position = schema.user_mappings()[0]
    mapping = document["synchronizationRules"][rule]["objectMappings"][position]
    mapping["flowTypes"] = ",".join(flow for flow in schema.flow_types if flow != "Add")
    for row in mapping["attributeMappings"]:
        if row["targetAttributeName"] == EXTERNAL_ID:
            row["source"] = {
                **row["source"],
                "expression": f"[{OBJECT_ID}]",
                "name": OBJECT_ID,
                "type": "Attribute",
                "parameters": [],
            }
        if row["targetAttributeName"] == WORK_EMAIL:
            row["matchingPriority"] = WORK_EMAIL_PRECEDENCE
    return SynchronizationSchema(document)


def lost_parts(expected: SynchronizationSchema, fresh: SynchronizationSchema | None) -> tuple[str, ...]:
    """Return what of the whole schema is not as sent. Order, added defaults and the version do not count."""
    if fresh is None:
        return ("the schema",)
    sent = {key: value for key, value in expected.document.items() if key != "version" and not key.startswith("@odata")}
    return lost(_normal(sent), _normal(fresh.document))


def _normal(value: Any) -> Any:
    """Return a schema with its comma-joined flags in one spelling: the docs show spaces, the service none."""
    if isinstance(value, Mapping):
        return {k: v.replace(" ", "") if k == "flowTypes" and isinstance(v, str) else _normal(v) for k, v in value.items()}
    return [_normal(item) for item in value] if isinstance(value, list) else value


def _mapping_table(before: SynchronizationSchema, after: SynchronizationSchema) -> Table:
    rows = []
    for was, will in zip(before.rows(), after.rows(), strict=True):
        changed = [f"source was {was.source}"] if was.source != will.source else []
        changed += [f"precedence was {was.precedence or 'none'}"] if was.precedence != will.precedence else []
        rows.append((will.source, will.target, str(will.precedence or ""), "; ".join(changed)))
    title = f"Attribute mappings (actions: {', '.join(after.flow_types)})"
    return Table(title, ("Entra attribute", "SCIM attribute", "matching precedence", "changed here"), tuple(rows))


@note("3.13")
def back_to_provisioning(settings: TenantSettings) -> Iterator[Yield]:
    """Return to the Provisioning screen.

    Documented: select X in the upper-right corner. Nothing to do here: step 3.12 has read the mappings back.
    """
    yield Finding("Nothing to do: reading the mappings back in step 3.12 stands in for it.")
