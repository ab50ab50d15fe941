"""The state of every simulated service: one software company's Auth0 tenant and its customers' Entra tenants.

What a service returns is kept here in the service's own wire shape (plain dicts), so that unknown fields survive a
round trip. Everything random or timed comes from `ids` and `clock`; two worlds of one seed that get the same calls are equal.
"""

from __future__ import annotations

import copy
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runbook_lib.sandbox.clock import Clock
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.ids import Ids
from runbook_lib.sandbox.switches import Late, Switches
from runbook_lib.sandbox.users import Users

if TYPE_CHECKING:
    import requests

Document = dict[str, Any]


@dataclass
class Auth0Client:
    """A machine-to-machine application: who may ask for a Management API token, with which scopes.

    Without `has_grant` the application exists, but it is not authorised for the Management API.
    """

    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    name: str = "Inbound SCIM runbook"
    has_grant: bool = True


@dataclass
class ScimProvisioning:
    """The SCIM side of one connection: its configuration and the tokens issued, oldest first.

    `tokens` holds the wire documents of GET tokens; `token_values` the text of each, by token id.
    """

    configuration: Document
    tokens: list[Document] = field(default_factory=list)
    token_values: dict[str, str] = field(default_factory=dict)


@dataclass
class Auth0Tenant:
    """The Auth0 tenant of the software company; every customer is one connection of it.

    `enabled_clients` holds, by connection id, the applications it is enabled for; `jobs` the export jobs by id; `ended` whose
    sessions or refresh tokens have come to an end;
    `files_origin` is the other host, on which export files lie.
    """

    domain: str
    name: str
    clients: dict[str, Auth0Client] = field(default_factory=dict)
    connections: dict[str, Document] = field(default_factory=dict)
    provisioning: dict[str, ScimProvisioning] = field(default_factory=dict)
    users: Users = field(default_factory=Users)
    logs: list[Document] = field(default_factory=list)
    access_tokens: dict[str, Document] = field(default_factory=dict)
    enabled_clients: dict[str, list[str]] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    ended: dict[str, Late] = field(default_factory=dict)
    files_origin: str = "https://localhost:5"

    def __setattr__(self, name: str, value: Any) -> None:
        """Let `users` be set to any mapping of profiles by id."""
        super().__setattr__(name, Users(value) if name == "users" and not isinstance(value, Users) else value)


@dataclass
class EntraClient:
    """An app registration that may sign in to one Entra tenant.

    `permissions` are application permissions by name (the token's `roles`); `certificates` PEM texts of its public keys;
    a `is_public_client` one may use device code, its signed-in person then holds `delegated` permissions (the token's `scp`).
    `is_secret_expired` refuses a right secret as one that has run out.
    """

    client_id: str
    client_secret: str
    permissions: tuple[str, ...]
    delegated: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    is_public_client: bool = False
    is_secret_expired: bool = False


@dataclass
class Provisioning:
    """What the provisioning service keeps for one service principal: saved secrets by key, jobs by id, schemas by job id.

    `links` remembers, by job id and Entra object id, the id of the matched user at the SCIM endpoint: Entra caches it
    after a match. `departed` remembers by the same keys whose departure was dealt with, and why: "inactive" or "out of scope".
    `listed` is what GET secrets goes on answering for a while after a PUT.
    """

    secrets: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, Document] = field(default_factory=dict)
    schemas: dict[str, Document] = field(default_factory=dict)
    links: dict[str, dict[str, str]] = field(default_factory=dict)
    departed: dict[str, dict[str, str]] = field(default_factory=dict)
    listed: tuple[dict[str, str], Late] | None = None


@dataclass
class Grants:
    """Which roles are held, so that a duplicate among thousands is seen at once. It follows a list that others only add to."""

    _held: set[tuple[str, str, str]] = field(default_factory=set)
    _list: list[Document] = field(default_factory=list)
    _count: int = 0
    _last: Document | None = None

    def of(self, assignments: list[Document]) -> set[tuple[str, str, str]]:
        """Return (principal, resource, role) of each app role assignment; counted again when more happened than an addition."""
        if assignments is not self._list or (self._count and assignments[self._count - 1 : self._count] != [self._last]):
            self._held, self._list, self._count = set(), assignments, 0
        for one in assignments[self._count :]:
            self._held.add((one["principalId"], one["resourceId"], one["appRoleId"]))
        self._count, self._last = len(assignments), assignments[-1] if assignments else None
        return self._held


@dataclass
class EntraTenant:
    """One customer's Entra tenant. Directory objects are wire documents by object id.

    `assignments` are app role assignments, oldest first; `members` group id -> ids of its direct members; `deleted_users` are
    soft-deleted ones. `readable_after` counts, by object id, how many more reads a new object stays invisible
    (replication delay). `owners` names, by object id, the client that made an application or service principal. `managers`
    names the manager of a user; `new_assignments` are those that may not yet count or be listed, by assignment id.
    """

    id: str
    domain: str
    display_name: str
    clients: dict[str, EntraClient] = field(default_factory=dict)
    applications: dict[str, Document] = field(default_factory=dict)
    service_principals: dict[str, Document] = field(default_factory=dict)
    users: dict[str, Document] = field(default_factory=dict)
    deleted_users: dict[str, Document] = field(default_factory=dict)
    groups: dict[str, Document] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    assignments: list[Document] = field(default_factory=list)
    provisioning: dict[str, Provisioning] = field(default_factory=dict)
    provisioning_log: list[Document] = field(default_factory=list)
    access_tokens: dict[str, Document] = field(default_factory=dict)
    refresh_tokens: dict[str, Document] = field(default_factory=dict)
    device_codes: dict[str, Document] = field(default_factory=dict)
    readable_after: dict[str, int] = field(default_factory=dict)
    on_demand_times: list[float] = field(default_factory=list)
    log_times: list[float] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)
    new_assignments: dict[str, Late] = field(default_factory=dict)
    grants: Grants = field(default_factory=Grants, repr=False, compare=False)


@dataclass
class World:
    """Everything the sandbox knows. Take `lock` before reading or changing it outside a handler.

    `switches` say what the services do where sources disagree.
    """

    auth0: Auth0Tenant
    entra: dict[str, EntraTenant]
    ids: Ids
    clock: Clock
    ca_bundle: str = ""
    dispatch: Callable[[Call], Answer] | None = field(default=None, repr=False, compare=False)
    scim_session: Callable[[], requests.Session] | None = field(default=None, repr=False, compare=False)
    switches: Switches = field(default_factory=Switches)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    def entra_by_name(self, tenant: str) -> EntraTenant | None:
        """Return the Entra tenant whose id or domain `tenant` is, or None."""
        wanted = tenant.lower()
        return next((t for t in self.entra.values() if wanted in (t.id, t.domain.lower())), None)

    def snapshot(self) -> tuple[Auth0Tenant, dict[str, EntraTenant]]:
        """Return a copy of all state, for `restore`."""
        return copy.deepcopy((self.auth0, self.entra))

    def restore(self, snapshot: tuple[Auth0Tenant, dict[str, EntraTenant]]) -> None:
        """Put all state back to a snapshot; issued access tokens stay valid."""
        tokens, entra_tokens = self.auth0.access_tokens, {t.id: t.access_tokens for t in self.entra.values()}
        self.auth0, self.entra = snapshot
        self.auth0.access_tokens = tokens
        for tenant in self.entra.values():
            tenant.access_tokens = entra_tokens.get(tenant.id, tenant.access_tokens)

    def secrets(self) -> dict[str, str]:
        """Return every live secret text with the id that stands for it in state and history."""
        named = {client.client_secret: f"<secret of {client.client_id}>" for client in self.auth0.clients.values()}
        for connection in self.auth0.connections.values():
            if secret := connection.get("options", {}).get("client_secret"):
                named[secret] = f"<client secret {_digest(secret)} of {connection['id']}>"
        for provisioning in self.auth0.provisioning.values():
            named |= {text: token_id for token_id, text in provisioning.token_values.items()}
        for job_id, job in self.auth0.jobs.items():
            named |= dict.fromkeys(job["links"], f"<signature of {job_id}>")
        named |= {text: f"<access token {n}>" for n, text in enumerate(self.auth0.access_tokens, start=1)}
        for tenant in self.entra.values():
            named |= {c.client_secret: f"<secret of {c.client_id}>" for c in tenant.clients.values() if c.client_secret}
            saved = [p.secrets["SecretToken"] for p in tenant.provisioning.values() if p.secrets.get("SecretToken")]
            named |= {text: _token_id(text) for text in saved if text not in named}
            named |= {text: f"<access token {n} of {tenant.domain}>" for n, text in enumerate(tenant.access_tokens, start=1)}
            named |= {text: f"<refresh token {n} of {tenant.domain}>" for n, text in enumerate(tenant.refresh_tokens, start=1)}
        return named

    def without_secrets(self, text: str) -> str:
        """Return `text` with every secret replaced by its id.

        Secrets here have 24 characters at least. Most texts have no such word that is not a GUID, and then not all the secrets of
        thousands of tenants have to be gathered.
        """
        if not any(len(word) >= _SHORTEST and not _GUID.fullmatch(word) for word in _WORD.findall(text)):
            return text
        for secret, name in self.secrets().items():
            if secret and secret in text:
                text = text.replace(secret, name)
        return text


_SHORTEST = 24
_WORD = re.compile(r"[A-Za-z0-9_~.%-]+")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _digest(secret: str) -> str:
    """Return what changes when a secret changes, and does not tell it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


def _token_id(text: str) -> str:
    """Return the id of a saved SCIM token, also of one that is no longer live; another text is named by its digest."""
    token_id, dot, _ = text.partition(".")
    return token_id if dot and token_id.startswith("tok_") else f"<saved secret {_digest(text)}>"
