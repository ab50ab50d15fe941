"""Graph without sockets, for the tests of the sandbox's Microsoft side: every call passes the simulation's one door."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import requests

from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.in_process import InProcessAdapter
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.simulation import Simulation
from runbook_lib.sandbox.world import EntraClient, EntraTenant, Provisioning, World

ORIGIN, LOGIN = "https://localhost:3", "https://localhost:2"
EVERYTHING = (
    "Application.ReadWrite.All AppRoleAssignment.ReadWrite.All Synchronization.ReadWrite.All User.ReadWrite.All Group.Read.All "
    "Organization.Read.All AuditLog.Read.All Directory.Read.All"
).split()


@dataclass
class Graph:
    """The demo tenant `name`, seen by one client. `token` is what the calls carry; `log` keeps every call with its answer."""

    name: str = "fresh"
    permissions: tuple[str, ...] = tuple(EVERYTHING)
    simulation: Simulation = field(init=False)
    token: str = field(init=False)
    log: list[tuple[Call, Answer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.simulation = simulate(build_world(7, auth0_domain="localhost:1"))
        self.world.scim_session = self._scim
        self.client = EntraClient("11111111-1111-4111-8111-111111111111", "a-secret", self.permissions)
        self.tenant.clients[self.client.client_id] = self.client
        self.token = self.sign_in(self.client)

    def _scim(self) -> requests.Session:
        session = requests.Session()
        session.mount("https://", InProcessAdapter(self.simulation, {"localhost:1": "auth0"}))
        return session

    @property
    def world(self) -> World:
        return self.simulation.world

    @property
    def tenant(self) -> EntraTenant:
        found = self.world.entra_by_name(f"{self.name}.onmicrosoft.com")
        assert found is not None
        return found

    def login(self, form: dict[str, str], path: str = "token") -> Answer:
        url = f"/{self.tenant.id}/oauth2/v2.0/{path}"
        return self.simulation.handle(Call("login", "POST", url, body=urlencode(form).encode(), origin=LOGIN)).answer

    def sign_in(self, client: EntraClient) -> str:
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
        answer = self.login({**form, "scope": f"{ORIGIN}/.default"})
        assert answer.status == 200, answer.body
        return str(answer.body["access_token"])

    def holding(self, *permissions: str) -> None:
        """Sign in again with other permissions."""
        self.client.permissions = permissions
        self.token = self.sign_in(self.client)

    def call(self, method: str, url: str, body: Any = None, **headers: str) -> Answer:
        """Send one call; `url` is relative to /v1.0 and may be a next link. Header names are written with `_`."""
        target = urlsplit(url.removeprefix(f"{ORIGIN}/v1.0"))
        sent = {"authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        if body is not None:
            sent.setdefault("content-type", "application/json")
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        call = Call("graph", method, f"/v1.0{unquote(target.path)}", target.query.replace(" ", "%20"), sent, content, ORIGIN)
        answer = self.simulation.handle(call).answer
        self.log.append((call, answer))
        return answer

    def get(self, url: str, **headers: str) -> Any:
        """Return the body of a GET that succeeds."""
        answer = self.call("GET", url, **headers)
        assert answer.status == 200, answer.body
        return answer.body

    def refusal(self, method: str, url: str, body: Any = None, **headers: str) -> tuple[int, str, str]:
        """Return status, code and message of a refused call."""
        answer = self.call(method, url, body, **headers)
        return answer.status, answer.body["error"]["code"], answer.body["error"]["message"]

    def person(self, name: str) -> dict[str, Any]:
        return next(user for user in self.tenant.users.values() if user["displayName"] == name)

    def new_application(self, name: str = "Mine", *, patient: bool = True) -> str:
        """Make an enterprise application; return its id, once the directory and the synchronization service know it."""
        path = "/applicationTemplates/8adf8e6e-67b2-4cf2-a259-e3dc5476c621/instantiate"
        made = self.call("POST", path, {"displayName": name})
        assert made.status == 201, made.body
        service_principal_id = str(made.body["servicePrincipal"]["id"])
        if patient:
            tries = [self.call("GET", f"/servicePrincipals/{service_principal_id}/synchronization/jobs").status for _ in range(5)]
            assert tries[-1] == 200
        return service_principal_id

    def provisioning(self) -> tuple[str, str, Provisioning]:
        """Return enterprise application, job id and provisioning of a tenant that has exactly one."""
        [(service_principal_id, found)] = self.tenant.provisioning.items()
        [job_id] = found.jobs
        return service_principal_id, job_id, found
