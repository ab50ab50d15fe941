"""Microsoft Graph v1.0, as far as the procedure needs it. Source: the Graph reference pages named at each call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

from runbook_lib.core.errors import ApiError
from runbook_lib.core.secret import Secret
from runbook_lib.http.ahead import Asked
from runbook_lib.http.message import Request, segment
from runbook_lib.services.entra import batches
from runbook_lib.services.entra.models import (
    Application,
    AppRoleAssignment,
    EntraUser,
    Evaluated,
    Organization,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.services.wire_json import Json
from runbook_lib.services.wire_words import BASE_ADDRESS, SCIM_TEMPLATE_ID, SECRET_TOKEN, SYNC_ALL, SYNC_NOTIFICATION_SETTINGS

SERVICE = "graph"
PAGE_SIZE = "999"  # the most: user-list and group-list-members pages; undocumented for app role assignments
_IDS_A_FILTER = 15  # more values in one filter are refused: Graph query parameters page
_SP_FIELDS = "id,appId,displayName,appRoleAssignmentRequired,applicationTemplateId,appRoles,notes"
_APPLICATION_FIELDS = "id,appId,displayName,createdDateTime"
# For people who sign in. With keyCredentials, Graph answers 150 such requests a minute and tenant: application-get page.
_SET_UP_FIELDS = "identifierUris,keyCredentials,passwordCredentials,publicClient,spa,web"
_SP_SET_UP_FIELDS = "keyCredentials,passwordCredentials,preferredSingleSignOnMode"
_USER_FIELDS = "id,userPrincipalName,displayName,mail,accountEnabled"
_WITH_MANAGER = ("$expand", "manager($select=id)")  # of lists of users, user-list-manager page; of members it is not documented


@dataclass(frozen=True, slots=True)
class DirectoryPart:
    """A part of the directory as it was read. `group_id` is empty for users that were asked for by id.

    `users` are Graph's documents with the properties asked for, `nested` the ids of groups within the group; an answer about
    the group itself has its `visibility`. Where managers were asked for and told, each user has a `manager`, None for none.
    """

    group_id: str
    users: tuple[Json, ...] = ()
    nested: tuple[str, ...] = ()
    visibility: str | None = None


class MicrosoftGraph:
    """Typed reads of one Entra tenant. Every method raises `ApiError` or `TransportError`."""

    def __init__(self, service: batches.GraphService, beta: batches.GraphService | None = None) -> None:
        self.service = service
        self.beta = beta  # the same service's beta version, for what v1.0 has not; None where it is not to be asked

    def organization(self) -> Organization:
        """Return the tenant that the token is for."""
        body = self._read("/organization", (("$select", "id,displayName,verifiedDomains"),))
        return Organization.from_wire(body["value"][0])

    def application(self, app_id: str, *, with_set_up: bool = False) -> Application | None:
        """Return the app registration, or None; one that lives in another tenant is not visible here."""
        fields = f"{_APPLICATION_FIELDS},{_SET_UP_FIELDS}" if with_set_up else _APPLICATION_FIELDS
        body = self._optional(f"/applications(appId='{guid(app_id)}')", (("$select", fields),))
        return Application.from_wire(body) if body else None

    def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """Return the enterprise application of an appId, or None."""
        body = self._optional(f"/servicePrincipals(appId='{guid(app_id)}')", (("$select", _SP_FIELDS),))
        return ServicePrincipal.from_wire(body) if body else None

    def service_principal_by_id(self, service_principal_id: str) -> ServicePrincipal | None:
        """Return the enterprise application of an id, whatever its name is, or None; with what is set up in it."""
        body = self._optional(_sp(service_principal_id), (("$select", f"{_SP_FIELDS},{_SP_SET_UP_FIELDS}"),))
        return ServicePrincipal.from_wire(body) if body else None

    def service_principals_named(self, display_name: str) -> tuple[ServicePrincipal, ...]:
        """Return every enterprise application of exactly that display name; names are not unique."""
        filtered = f"displayName eq '{literal(display_name)}'"
        body = self._read("/servicePrincipals", (("$filter", filtered), ("$select", _SP_FIELDS)))
        # Over all pages: one may be empty and name another (Graph paging page), and what is not seen is made again.
        return tuple(ServicePrincipal.from_wire(entry) for entry in self._all_pages(body))

    def assignments(self, service_principal_id: str) -> tuple[AppRoleAssignment, ...]:
        """Return everyone assigned to an enterprise application, over all pages; of the usual size where a larger is refused."""
        path = f"{_sp(service_principal_id)}/appRoleAssignedTo"
        try:
            first = self._read(path, (("$top", PAGE_SIZE),))
        except ApiError as refused:
            if refused.status != 400:
                raise
            first = self._read(path)
        return tuple(AppRoleAssignment.from_wire(entry) for entry in self._all_pages(first))

    def user(self, id_or_upn: str) -> EntraUser | None:
        """Return a user by object id or user principal name, or None."""
        body = self._optional(f"/users/{quote(id_or_upn, safe='@')}", (("$select", _USER_FIELDS),))
        return EntraUser.from_wire(body) if body else None

    def people(self, user_ids: Sequence[str], group_ids: Sequence[str]) -> tuple[tuple[EntraUser, ...], int]:
        """Return the users of these ids and the direct members of these groups, each once, and how many members are groups.

        A user that Entra has deleted, softly or for good, is not among them. Read in batches, 300 users a request.
        """
        readings = _of_users(user_ids, ("$select", _USER_FIELDS))
        paged = (("$select", _USER_FIELDS), ("$top", PAGE_SIZE))
        readings += [(f"/groups/{guid(group_id)}/members", paged) for group_id in group_ids]
        users: dict[str, EntraUser] = {}
        nested: set[str] = set()
        for reading, body in self.service.batched(readings):
            part = self._directory_part(reading, self.service.read(*reading) if body is None else body)
            users |= {entry["id"]: EntraUser.from_wire(entry) for entry in part.users}
            nested.update(part.nested)
        return tuple(users.values()), len(nested)

    def directory(
        self, user_ids: Sequence[str], group_ids: Sequence[str], fields: Iterable[str], *, with_managers: bool = False
    ) -> Iterator[DirectoryPart]:
        """Yield the users of these ids, and the groups of these ids with their direct members, as they are read.

        `fields` are the properties of users; `with_managers`: those of these ids with their managers. Read in batches: 300 users,
        or ten groups, a request.
        """
        selected = ("$select", ",".join(dict.fromkeys(("id", *fields))))
        readings: list[Asked] = []
        for group_id in group_ids:
            path = f"/groups/{guid(group_id)}"
            readings.append((path, (("$select", "id,displayName,visibility"),)))
            readings.append((f"{path}/members", (selected, ("$top", PAGE_SIZE))))
        readings += _of_users(user_ids, selected, *([_WITH_MANAGER] if with_managers else []))
        for reading, body in self.service.batched(readings):
            asked, answer = (reading, body) if body is not None else self._alone(reading)
            if answer is not None:
                yield self._directory_part(asked, answer)

    def _alone(self, reading: Asked) -> tuple[Asked, Any]:
        """Return what was asked in the end, and the answer: None for a group that was deleted, whose assignment may be listed.

        Managers are left out where Graph refuses to tell them.
        """
        try:
            return reading, self.service.read(*reading)
        except ApiError as error:
            if error.status == 404 and reading[0].startswith("/groups/"):
                return reading, None
            if error.status not in (400, 403, 501) or _WITH_MANAGER not in reading[1]:
                raise
        without = (reading[0], tuple(pair for pair in reading[1] if pair != _WITH_MANAGER))
        return without, self.service.read(*without)

    def _directory_part(self, asked: Asked, answer: Any) -> DirectoryPart:
        path, query = asked
        group_id = path.split("/")[2] if path.startswith("/groups/") else ""
        if group_id and not path.endswith("/members"):
            return DirectoryPart(group_id, visibility=str(answer.get("visibility") or ""))
        users, nested = [], []
        for entry in self._all_pages(answer):
            kind = entry.get("@odata.type", "#microsoft.graph.user")
            if kind.endswith(".user"):
                users.append({"manager": None, **entry} if _WITH_MANAGER in query else entry)
            elif kind.endswith(".group"):
                nested.append(str(entry["id"]))
        return DirectoryPart(group_id, tuple(users), tuple(nested))

    def deleted_users(self, fields: Iterable[str]) -> Iterator[Json]:
        """Yield the softly deleted users (directory-deleteditems-list): for 30 days they can be restored."""
        query = (("$select", ",".join(dict.fromkeys(("id", *fields)))), ("$top", PAGE_SIZE))
        yield from self._all_pages(self._read("/directory/deletedItems/microsoft.graph.user", query))

    def _read(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> Any:
        return self.service.read(path, query)

    def _all_pages(self, body: Any) -> Iterator[Any]:
        yield from body["value"]  # an answer without a list is no empty list
        yield from self.service.pages_from(body.get("@odata.nextLink"))

    def group_ids_of_user(self, user_id: str) -> frozenset[str]:
        """Return the ids of the groups a user is a direct member of; Entra provisions no nested members."""
        entries = self._all_pages(self._read(f"/users/{guid(user_id)}/memberOf", (("$select", "id"),)))
        return frozenset(entry["id"] for entry in entries)

    def synchronization_jobs(self, service_principal_id: str, known: Iterable[str] = ()) -> tuple[SynchronizationJob, ...]:
        """Return the provisioning jobs of an enterprise application. `known` are the ids of those that were read before."""
        sync, schemas = _sync(service_principal_id), [f"{_job(service_principal_id, job_id)}/schema" for job_id in known]
        # A caller that reads the jobs ahead reads the saved credentials and the schema next, whose addresses are known here.
        body = self.service.read(f"{sync}/jobs", beside=tuple((path, ()) for path in (f"{sync}/secrets", *schemas)))
        return tuple(SynchronizationJob.from_wire(entry) for entry in self._all_pages(body))

    def template_ids(self, service_principal_id: str) -> tuple[str, ...]:
        """Return the ids of the provisioning templates an enterprise application offers."""
        body = self._read(f"{_sync(service_principal_id)}/templates", (("$select", "id"),))
        return tuple(str(entry["id"]) for entry in body["value"])

    def saved_credentials(self, service_principal_id: str) -> SavedCredentials:
        """Return the saved tenant URL and settings; the token reads back as `*`."""
        return SavedCredentials.from_wire(self._read(f"{_sync(service_principal_id)}/secrets"))

    def synchronization_schema(self, service_principal_id: str, job_id: str) -> SynchronizationSchema:
        """Return the schema of a job, whole."""
        return SynchronizationSchema.from_wire(self._read(f"{_job(service_principal_id, job_id)}/schema"))

    def provisioning_log(self, job_id: str) -> dict[str, str]:
        """Return the last word of the provisioning log on each person of a job, by object id: action, status, reason.

        Needs AuditLog.Read.All; at most five requests in ten seconds (provisioningobjectsummary-list). Entries may trail.
        """
        body = self._read("/auditLogs/provisioning", (("$filter", f"jobId eq '{literal(job_id)}'"),))
        found: dict[str, str] = {}
        for entry in self._all_pages(body):
            person = str((entry.get("sourceIdentity") or {}).get("id") or "")
            status = entry.get("provisioningStatusInfo") or {}
            reason = str((status.get("errorInformation") or {}).get("errorCode") or "")
            words = (str(entry.get("provisioningAction") or ""), str(status.get("status") or ""), reason)
            found.setdefault(person, " ".join(filter(None, words)))  # newest first
        return found

    def evaluated(
        self, service_principal_id: str, job_id: str, expression: str, properties: Sequence[Mapping[str, object]]
    ) -> Evaluated:
        """Return what Microsoft makes of an expression for a test object: `properties` are its keys and values.

        Source: synchronizationschema-parseexpression. It changes nothing. Raises `ApiError`.
        """
        body = {"expression": expression, "testInputObject": {"properties": list(properties)}}
        path = f"{_job(service_principal_id, job_id)}/schema/parseExpression"
        answer = self.service.ask(Request(SERVICE, "POST", path, body=body)).body
        error = answer.get("error") or {}
        failed = (
            "" if answer.get("evaluationSucceeded") else str(error.get("message") or error.get("code") or "no reason is given")
        )
        return Evaluated(tuple(map(str, answer.get("evaluationResult") or ())), failed)

    def linked_to(self, service_principal_id: str, job_id: str, object_id: str) -> str | None:
        """Return the id of the target user that a job holds a person linked to; None where Graph knows no such link.

        Source: beta, synchronization-synchronizationjob-get-objectconnection: a person who is not linked is a 404, and links
        cannot be listed. Raises `ApiError`.
        """
        if self.beta is None:
            return None
        path = f"{_job(service_principal_id, job_id)}/objectConnections/{guid(object_id)}"
        try:
            return str(self.beta.read(path)["targetAnchor"])
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _optional(self, path: str, query: tuple[tuple[str, str], ...]) -> Any:
        try:
            return self._read(path, query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise


def instantiate(template_id: str, display_name: str) -> Request:
    """Build the POST that makes a non-gallery application (applicationtemplate-instantiate). It is not idempotent."""
    path = f"/applicationTemplates/{guid(template_id)}/instantiate"
    return Request(SERVICE, "POST", path, body={"displayName": display_name})


def patch_notes(service_principal_id: str, notes: str | None) -> Request:
    """Build the PATCH that writes the notes of an enterprise application."""
    return Request(SERVICE, "PATCH", _sp(service_principal_id), body={"notes": notes})


def assign(service_principal_id: str, principal_ids: tuple[str, ...], app_role_id: str) -> Request:
    """Build the batch of POSTs that assigns up to 20 users or groups (serviceprincipal-post-approleassignedto)."""
    if len(principal_ids) > batches.LIMIT:
        raise ValueError(f"a batch carries at most {batches.LIMIT} requests")
    items = [
        {
            "id": str(position),
            "method": "POST",
            "url": f"{_sp(service_principal_id)}/appRoleAssignedTo",
            "headers": {"Content-Type": "application/json"},
            "body": {"principalId": principal_id, "resourceId": service_principal_id, "appRoleId": app_role_id},
        }
        for position, principal_id in enumerate(principal_ids, start=1)
    ]
    return Request(SERVICE, "POST", batches.PATH, body={"requests": items})


def post_job(service_principal_id: str) -> Request:
    """Build the POST of a provisioning job (synchronization-synchronization-post-jobs)."""
    return Request(SERVICE, "POST", f"{_sync(service_principal_id)}/jobs", body={"templateId": SCIM_TEMPLATE_ID})


def validate_credentials(
    service_principal_id: str, job_id: str, tenant_url: str | None = None, token: Secret | None = None
) -> Request:
    """Build the connection test: with a tenant URL and a token, or with what is saved (…-validatecredentials)."""
    body: dict[str, Any] = {"useSavedCredentials": True}
    if tenant_url is not None:
        entries = [{"key": BASE_ADDRESS, "value": tenant_url}, {"key": SECRET_TOKEN, "value": token}]
        body = {"useSavedCredentials": False, "templateId": SCIM_TEMPLATE_ID, "credentials": entries}
    return Request(SERVICE, "POST", f"{_job(service_principal_id, job_id)}/validateCredentials", body=body)


def put_credentials(
    service_principal_id: str, tenant_url: str, token: Secret, notification: Mapping[str, Any], others: Mapping[str, str]
) -> Request:
    """Build the PUT of the saved credentials, always the whole set: whether PUT merges is not documented.

    `others` are the remaining keys as read, SyncAll among them.
    """
    values: dict[str, Any] = {
        **others,
        BASE_ADDRESS: tenant_url,
        SECRET_TOKEN: token,
        SYNC_NOTIFICATION_SETTINGS: json.dumps(dict(notification), separators=(",", ":")),
        SYNC_ALL: "false",
    }
    return put_credentials_as_they_are(service_principal_id, values)


def put_credentials_as_they_are(service_principal_id: str, values: Mapping[str, Any]) -> Request:
    """Build the PUT of saved credentials. An empty text removes a key (terraform-provider-azuread); `*` is never sent back."""
    if "*" in values.values():
        raise ValueError("a masked value would be saved as the secret")
    body = {"value": [{"key": key, "value": value} for key, value in values.items()]}
    return Request(SERVICE, "PUT", f"{_sync(service_principal_id)}/secrets", body=body)


def put_schema(service_principal_id: str, job_id: str, document: Mapping[str, Any]) -> Request:
    """Build the PUT that replaces a job's schema (…-synchronizationschema-update)."""
    return Request(SERVICE, "PUT", f"{_job(service_principal_id, job_id)}/schema", body=dict(document))


def provision_on_demand(service_principal_id: str, job_id: str, rule_id: str, user_id: str) -> Request:
    """Build the POST that provisions one user now (…-provisionondemand). `objectTypeName` is case-sensitive."""
    subject = {"objectId": guid(user_id), "objectTypeName": "User"}
    body = {"parameters": [{"ruleId": rule_id, "subjects": [subject]}]}
    return Request(SERVICE, "POST", f"{_job(service_principal_id, job_id)}/provisionOnDemand", body=body)


def start_job(service_principal_id: str, job_id: str) -> Request:
    """Build the POST that starts a job. It clears quarantine, so it is never sent to a quarantined one."""
    return Request(SERVICE, "POST", f"{_job(service_principal_id, job_id)}/start")


def pause_job(service_principal_id: str, job_id: str) -> Request:
    """Build the POST that pauses a job."""
    return Request(SERVICE, "POST", f"{_job(service_principal_id, job_id)}/pause")


def delete_job(service_principal_id: str, job_id: str) -> Request:
    """Build the DELETE of a job; the accounts it provisioned stay as they are (synchronizationjob-delete)."""
    return Request(SERVICE, "DELETE", _job(service_principal_id, job_id))


def unassign(service_principal_id: str, assignment_ids: Sequence[str]) -> Request:
    """Build the batch of DELETEs that takes up to 20 app role assignments away (serviceprincipal-delete-approleassignedto)."""
    urls = [f"{_sp(service_principal_id)}/appRoleAssignedTo/{segment(entry)}" for entry in assignment_ids]
    items = [{"id": str(position), "method": "DELETE", "url": url} for position, url in enumerate(urls, start=1)]
    return Request(SERVICE, "POST", batches.PATH, body={"requests": items})


def delete_application(application_id: str) -> Request:
    """Build the DELETE of an app registration, which takes its enterprise application with it (application-delete)."""
    return Request(SERVICE, "DELETE", f"/applications/{guid(application_id)}")


def literal(text: str) -> str:
    """Return `text` for use between the quotes of an OData literal."""
    return text.replace("'", "''")


def guid(text: str) -> str:
    """Return `text` when it is a GUID. Raises `ValueError` otherwise, so that nothing else gets into a path."""
    return str(UUID(text))


def _of_users(user_ids: Sequence[str], *query: tuple[str, str]) -> list[Asked]:
    """Return what asks for users by id, as many a reading as a filter may name."""
    ids = [f"'{guid(user_id)}'" for user_id in user_ids]
    parts = (ids[start : start + _IDS_A_FILTER] for start in range(0, len(ids), _IDS_A_FILTER))
    return [("/users", (("$filter", f"id in ({','.join(part)})"), *query)) for part in parts]


def _sp(service_principal_id: str) -> str:
    return f"/servicePrincipals/{guid(service_principal_id)}"


def _sync(service_principal_id: str) -> str:
    return f"{_sp(service_principal_id)}/synchronization"


def _job(service_principal_id: str, job_id: str) -> str:
    return f"{_sync(service_principal_id)}/jobs/{segment(job_id)}"
