"""Microsoft Graph v1.0, as far as the procedure needs it. Source: the Graph reference pages named at each call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from runbook_lib.clients import batches
from runbook_lib.errors import ApiError
from runbook_lib.http import Request, Service, segment
from runbook_lib.models import (
    Application,
    AppRoleAssignment,
    EntraUser,
    Organization,
    SavedCredentials,
    ServicePrincipal,
    SynchronizationJob,
    SynchronizationSchema,
)
from runbook_lib.secret import Secret
from runbook_lib.vocabulary import BASE_ADDRESS, SCIM_TEMPLATE_ID, SECRET_TOKEN, SYNC_ALL, SYNC_NOTIFICATION_SETTINGS

SERVICE = "graph"
PAGE_SIZE = "999"  # the most: user-list and group-list-members pages; undocumented for app role assignments
_IDS_A_FILTER = 15  # more values in one filter are refused: Graph query parameters page
_SP_FIELDS = "id,appId,displayName,appRoleAssignmentRequired,applicationTemplateId,appRoles,notes"
_USER_FIELDS = "id,userPrincipalName,displayName,mail,accountEnabled"


Reading = tuple[str, tuple[tuple[str, str], ...]]  # path and query of a GET


class MicrosoftGraph:
    """Typed reads of one Entra tenant. Every method raises `ApiError` or `TransportError`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.asked: list[Reading] = []  # what the reads so far asked for, by which they can be repeated in one request
        self._ahead: dict[Reading, Any] = {}

    def organization(self) -> Organization:
        """Return the tenant that the token is for."""
        body = self._read("/organization", (("$select", "id,displayName,verifiedDomains"),))
        return Organization.from_wire(body["value"][0])

    def application(self, app_id: str) -> Application | None:
        """Return the app registration, or None; one that lives in another tenant is not visible here."""
        body = self._optional(f"/applications(appId='{guid(app_id)}')", (("$select", "id,appId,displayName,createdDateTime"),))
        return Application.from_wire(body) if body else None

    def service_principal(self, app_id: str) -> ServicePrincipal | None:
        """Return the enterprise application of an appId, or None."""
        body = self._optional(f"/servicePrincipals(appId='{guid(app_id)}')", (("$select", _SP_FIELDS),))
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
        ids = [f"'{guid(user_id)}'" for user_id in user_ids]
        readings: list[Reading] = [
            ("/users", (("$filter", f"id in ({','.join(ids[start : start + _IDS_A_FILTER])})"), ("$select", _USER_FIELDS)))
            for start in range(0, len(ids), _IDS_A_FILTER)
        ]
        paged = (("$select", _USER_FIELDS), ("$top", PAGE_SIZE))
        readings += [(f"/groups/{guid(group_id)}/members", paged) for group_id in group_ids]
        users: dict[str, EntraUser] = {}
        nested: set[str] = set()
        for reading, body in self._batched(readings):
            for entry in self._all_pages(self.service.read(*reading) if body is None else body):
                kind = entry.get("@odata.type", "#microsoft.graph.user")
                if kind.endswith(".user"):
                    users[entry["id"]] = EntraUser.from_wire(entry)
                elif kind.endswith(".group"):
                    nested.add(entry["id"])
        return tuple(users.values()), len(nested)

    def read_ahead(self, readings: Iterable[Reading]) -> None:
        """Ask for many readings in one request; each is used up by the next read of the same path and query."""
        self._ahead = {reading: body for reading, body in self._batched(tuple(readings)) if body is not None}

    def _batched(self, readings: Sequence[Reading]) -> Iterator[tuple[Reading, Any]]:
        """Yield each reading with its body, 20 a request; None where it has to be asked for alone: refused, or put off."""
        for start in range(0, len(readings), batches.LIMIT):
            part = readings[start : start + batches.LIMIT]
            items = [
                {"id": str(n), "method": "GET", "url": f"{path}?{urlencode(query, quote_via=quote, safe='$,()')}".rstrip("?")}
                for n, (path, query) in enumerate(part)
            ]
            answer = self.service.ask(Request(SERVICE, "POST", batches.PATH, body={"requests": items}))
            bodies = {item["id"]: item.get("body") for item in answer.body["responses"] if item["status"] == 200}
            yield from ((reading, bodies.get(str(n))) for n, reading in enumerate(part))

    def _read(self, path: str, query: tuple[tuple[str, str], ...] = ()) -> Any:
        self.asked.append((path, query))
        if (path, query) in self._ahead:
            return self._ahead.pop((path, query))
        return self.service.read(path, query)

    def _all_pages(self, body: Any) -> Iterator[Any]:
        yield from body["value"]  # an answer without a list is no empty list
        yield from self.service.pages_from(body.get("@odata.nextLink"))

    def group_ids_of_user(self, user_id: str) -> frozenset[str]:
        """Return the ids of the groups a user is a direct member of; Entra provisions no nested members."""
        entries = self._all_pages(self._read(f"/users/{guid(user_id)}/memberOf", (("$select", "id"),)))
        return frozenset(entry["id"] for entry in entries)

    def synchronization_jobs(self, service_principal_id: str) -> tuple[SynchronizationJob, ...]:
        """Return the provisioning jobs of an enterprise application."""
        body = self._read(f"{_sync(service_principal_id)}/jobs")
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


def _sp(service_principal_id: str) -> str:
    return f"/servicePrincipals/{guid(service_principal_id)}"


def _sync(service_principal_id: str) -> str:
    return f"{_sp(service_principal_id)}/synchronization"


def _job(service_principal_id: str, job_id: str) -> str:
    return f"{_sync(service_principal_id)}/jobs/{segment(job_id)}"
