"""Situations that customers reported in public, reduced to the smallest input. Each test names its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.world import EntraTenant
from tests.journeys.test_journeys import connection_of, scim_side, user_mapping


@dataclass
class Customer:
    """One demo tenant's world, to be changed as people change it."""

    sandbox: Sandbox
    entra: EntraTenant
    name: str

    def person(self, alias: str) -> dict[str, Any]:
        """Return the Entra user whose user name begins so."""
        return next(user for user in self.entra.users.values() if user["userPrincipalName"].startswith(f"{alias}@"))

    def profile(self, person: dict[str, Any]) -> dict[str, Any]:
        """Return the Auth0 user that carries a person's object id."""
        return next(user for user in self.sandbox.world.auth0.users.values() if user.get("oid") == person["id"])

    def forget(self, person: dict[str, Any]) -> None:
        """Take a person's Auth0 user away: they have never signed in."""
        del self.sandbox.world.auth0.users[self.profile(person)["user_id"]]

    @property
    def connection(self) -> dict[str, Any]:
        """Return the connection."""
        return connection_of(self.sandbox, self.name)

    @property
    def scim_rows(self) -> list[dict[str, str]]:
        """Return the rows of Auth0's SCIM mapping."""
        rows: list[dict[str, str]] = self.sandbox.world.auth0.provisioning[self.connection["id"]].configuration["mapping"]
        return rows

    @property
    def principal(self) -> dict[str, Any]:
        """Return the enterprise application for SCIM."""
        return scim_side(self.entra, self.name)[0]

    @property
    def provisioning(self) -> Any:
        """Return jobs, schemas and secrets of the application."""
        return scim_side(self.entra, self.name)[1]

    @property
    def job(self) -> dict[str, Any]:
        """Return the job of template scim."""
        return next(job for job in self.provisioning.jobs.values() if job["templateId"] == "scim")

    @property
    def mapping(self) -> dict[str, Any]:
        """Return the mapping of users."""
        return user_mapping(self.provisioning.schemas[self.job["id"]])

    def row(self, target: str) -> dict[str, Any]:
        """Return a row of the mapping of users."""
        return next(row for row in self.mapping["attributeMappings"] if row["targetAttributeName"] == target)

    def without_row(self, target: str) -> None:
        """Take a row out of the mapping of users."""
        self.mapping["attributeMappings"].remove(self.row(target))

    def unassign(self, *people: dict[str, Any], application: str = "") -> None:
        """Take people's assignments away, of one application or of all."""
        ids = {person["id"] for person in people}
        self.entra.assignments[:] = [
            one
            for one in self.entra.assignments
            if one["principalId"] not in ids or (application and one["resourceId"] != application)
        ]


@pytest.fixture
def customer(sandbox: Sandbox, entra: Callable[[str], EntraTenant]) -> Callable[[str], Customer]:
    return lambda name: Customer(sandbox, entra(name), name)


@pytest.fixture
def cycle(control):
    """Run one provisioning cycle of a customer's job."""

    def run(found: Customer) -> None:
        assert control("POST", "/cycle", {"job_id": found.job["id"]}).status_code == 200

    return run


@pytest.fixture
def held(carry_out, tenant):
    """Run a tenant and return what held it: step, reason, remedy; nothing must have been written."""

    def run(name: str, mode: str = "apply", **changes: Any) -> tuple[str, str, str]:
        found = carry_out(tenant(name, **changes), mode)
        row = next(row for row in found.rows if row["status"] == "BLOCKED")
        assert found.status == "blocked"
        assert found.writes() == []
        return row["step"], row["reason"], row["remedy"]

    return run
