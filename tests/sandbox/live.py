"""The sandbox's Microsoft side over HTTPS, for the tests of the provisioning engine: every call crosses a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.world import Document, EntraTenant, Provisioning

USER_TARGET = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
WORK_MAIL = 'emails[type eq "work"].value'


@dataclass
class Live:
    """The demo tenant `name` of a running sandbox, signed in as its first client. `job` is the path of its job."""

    sandbox: Sandbox
    control: Callable[..., requests.Response]
    session: requests.Session
    name: str = "complete"

    @property
    def tenant(self) -> EntraTenant:
        found = self.sandbox.world.entra_by_name(f"{self.name}.onmicrosoft.com")
        assert found is not None
        return found

    @property
    def saved(self) -> Provisioning:
        [found] = self.tenant.provisioning.values()
        return found

    @property
    def job_id(self) -> str:
        [job_id] = self.saved.jobs
        return job_id

    @property
    def job(self) -> str:
        [principal] = self.tenant.provisioning
        return f"/servicePrincipals/{principal}/synchronization/jobs/{self.job_id}"

    def sign_in(self) -> None:
        client = next(iter(self.tenant.clients.values()))
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
        form["scope"] = self.sandbox.ready["graph"].removesuffix("/v1.0") + "/.default"
        url = f"{self.sandbox.ready['authority']}/{self.tenant.id}/oauth2/v2.0/token"
        self.session.headers["Authorization"] = f"Bearer {self.session.post(url, data=form, timeout=20).json()['access_token']}"

    def call(self, method: str, path: str, body: Any = None, *, version: str = "v1.0") -> requests.Response:
        url = self.sandbox.ready["graph"].removesuffix("v1.0") + version + path
        return self.session.request(method, url, json=body, timeout=20)

    def switch(self, **values: Any) -> None:
        self.sandbox.world.switches.set(values)

    def cycle(self) -> Document:
        answer = self.control("POST", "/cycle", {"job_id": self.job_id})
        assert answer.status_code == 200
        return dict(answer.json())

    def on_demand(self, user_id: str) -> tuple[Document, Document]:
        """Return the verdict and the details of provision on demand."""
        rule_id = self.saved.schemas[self.job_id]["synchronizationRules"][0]["id"]
        subject = {"objectId": user_id, "objectTypeName": "User"}
        answer = self.call("POST", f"{self.job}/provisionOnDemand", {"parameters": [{"ruleId": rule_id, "subjects": [subject]}]})
        assert answer.status_code == 200, answer.text
        return json.loads(answer.json()["key"]), json.loads(answer.json()["value"])

    def person(self, name: str) -> Document:
        return next(user for user in self.tenant.users.values() if user["displayName"] == name)

    def auth0_user(self, user_id: str) -> Document:
        """The Auth0 user that a person is linked to."""
        return self.sandbox.world.auth0.users[self.saved.links[self.job_id][user_id]]

    def mapping(self) -> Document:
        """The object mapping of users, to be changed as an administrator changes it in the portal."""
        mappings = self.saved.schemas[self.job_id]["synchronizationRules"][0]["objectMappings"]
        return next(mapping for mapping in mappings if mapping["sourceObjectName"] == "User")

    def row(self, target: str) -> Document:
        return next(row for row in self.mapping()["attributeMappings"] if row["targetAttributeName"] == target)

    def rows_of(self, user_id: str) -> list[tuple[str, str, str]]:
        """Action, status and code or skip reason of each log row about a person, oldest first."""
        return [
            (row["provisioningAction"], row["provisioningStatusInfo"]["status"], _reason(row))
            for row in self.tenant.provisioning_log
            if row["sourceIdentity"]["id"] == user_id
        ]

    def scim(self) -> list[tuple[str, str, str]]:
        """Method, path and query of every SCIM request so far, without the connection tests."""
        found = [entry for entry in self.sandbox.simulation.history if entry["service"] == "scim"]
        return [(entry["method"], entry["path"], entry["query"]) for entry in found]

    def quiet(self) -> None:
        """Forget the requests so far."""
        self.sandbox.simulation.history.clear()


def _reason(row: Document) -> str:
    if information := row["provisioningStatusInfo"]["errorInformation"]:
        return str(information["errorCode"])
    return str(row["provisioningSteps"][-1]["details"].get("SkipReason", ""))


def attribute(name: str) -> Document:
    return {"expression": f"[{name}]", "name": name, "type": "Attribute", "parameters": []}


def constant(text: str) -> Document:
    return {"expression": json.dumps(text), "name": text, "type": "Constant", "parameters": []}


def row(target: str, source: Document, priority: int = 0, **more: Any) -> Document:
    """An attribute mapping as Graph writes it."""
    return {
        "defaultValue": None,
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": priority,
        "targetAttributeName": target,
        "source": source,
        **more,
    }
