"""Colleagues who act by hand in both consoles, and a record of what is theirs and must be there in the end."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from runbook_lib.sandbox.auth0.routes import new_configuration, new_token
from runbook_lib.sandbox.graph.applications import new_assignment
from runbook_lib.sandbox.world import ScimProvisioning
from tests.reliability.laboratory import SCOPES, Laboratory, group_mappings, user_mapping


@dataclass
class Theirs:
    """What colleagues have made or changed: tokens and assignments by id, SCIM rows, options, notes, secrets, redirect URIs."""

    tokens: set[str] = field(default_factory=set)
    assignments: set[str] = field(default_factory=set)
    rows: list[tuple[str, str]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    applications: set[str] = field(default_factory=set)
    started: set[str] = field(default_factory=set)
    redirects: dict[str, str] = field(default_factory=dict)


@dataclass
class Colleagues:
    """Acts in one laboratory's world; each method is one thing that a person does by hand."""

    lab: Laboratory
    dice: random.Random
    theirs: Theirs = field(default_factory=Theirs)
    is_bad_by_hand: bool = False  # a job that is on was spoilt by hand: no concern of the tool's

    def act(self) -> str:
        """Do one thing and return its name."""
        work = self.dice.choice(ACTS)
        getattr(self, work)()
        return work

    def _provisioning(self) -> ScimProvisioning | None:
        return self.lab.world.auth0.provisioning.get(self.lab.connection["id"])

    def _application(self) -> str | None:
        found = self.lab.applications()
        return found[0]["id"] if len(found) == 1 else None

    def turn_scim_on(self) -> None:
        if self._provisioning() is None:
            configuration = new_configuration(self.lab.world, self.lab.connection, {})
            self.lab.world.auth0.provisioning[self.lab.connection["id"]] = ScimProvisioning(configuration)
            self.theirs.rows = []

    def add_a_row(self) -> None:
        if found := self._provisioning():
            row = {"scim": f"urn:theirs:{len(self.theirs.rows)}", "auth0": f"app_metadata.theirs_{len(self.theirs.rows)}"}
            found.configuration["mapping"].append(row)
            found.configuration["updated_on"] = self.lab.world.clock.auth0()
            self.theirs.rows.append((row["scim"], row["auth0"]))

    def make_a_token(self) -> None:
        found = self._provisioning()
        if found and len(found.tokens) < 2:
            document, text = new_token(self.lab.world, list(SCOPES), None)
            found.tokens.append(document)
            found.token_values[document["token_id"]] = text
            self.theirs.tokens.add(document["token_id"])
            self.lab.foreign_tokens.add(document["token_id"])

    def put_their_token_into_entra(self) -> None:
        found, application = self._provisioning(), self._application()
        saved = self.lab.entra.provisioning.get(application or "")
        own = [text for token, text in (found.token_values if found else {}).items() if token in self.theirs.tokens]
        if saved and saved.jobs and own:
            endpoint = f"https://{self.lab.ready['auth0_domain']}/scim/v2/connections/{self.lab.connection['id']}/"
            saved.secrets |= {"BaseAddress": f"{endpoint}?aadOptscim062020", "SecretToken": own[-1]}
            self.theirs.secrets[str(application)] = own[-1]

    def assign_anew(self) -> None:
        if not (application := self._application()):
            return
        entra, mine = self.lab.entra, [a for a in self.lab.entra.assignments if a["resourceId"] == application]
        kind = self.dice.choice(("User", "User", "Group"))
        person = self.dice.choice(list((entra.users if kind == "User" else entra.groups).values()))
        for old in [a for a in mine if a["principalId"] == person["id"]]:
            entra.assignments.remove(old)
            self.theirs.assignments.discard(old["id"])
        resource = entra.service_principals[application]
        role = resource["appRoles"][0]["id"] if resource["appRoles"] else "00000000-0000-0000-0000-000000000000"
        made = new_assignment(self.lab.world, kind, person, resource, role)
        entra.assignments.append(made)
        self.theirs.assignments.add(made["id"])

    def take_an_assignment_away(self) -> None:
        mine = [a for a in self.lab.entra.assignments if a["resourceId"] == self._application()]
        if mine:
            gone = self.dice.choice(mine)
            self.lab.entra.assignments.remove(gone)
            self.theirs.assignments.discard(gone["id"])

    def write_a_note(self) -> None:
        if application := self._application():
            principal = self.lab.entra.service_principals[application]
            text = f"Ours since {len(self.theirs.notes)}." * self.dice.choice((1, 1, 20, 60))
            principal["notes"] = (
                f"{principal['notes'] or ''}{text}"[:1024] if len(principal["notes"] or "") < 900 else principal["notes"]
            )
            if principal["notes"].endswith(text):
                self.theirs.notes[application] = text

    def _registration(self) -> dict[str, Any] | None:
        principal = self.lab.entra.service_principals.get(self._application() or "", {})
        return next((one for one in self.lab.entra.applications.values() if one["appId"] == principal.get("appId")), None)

    def let_people_sign_in(self) -> None:
        if registration := self._registration():
            uri = f"https://theirs.example/{len(self.theirs.redirects)}"
            registration["web"]["redirectUris"].append(uri)
            self.theirs.redirects[uri] = registration["id"]

    def edit_an_option(self) -> None:
        key = self.dice.choice(("x_theirs", "app_domain", "icon_url"))
        self.lab.connection["options"][key] = self.theirs.options[key] = f"v{self.dice.randrange(100)}"

    def _job(self) -> tuple[str, dict[str, Any]] | None:
        saved = self.lab.entra.provisioning.get(self._application() or "")
        return next(iter(saved.jobs.items()), None) if saved else None

    def start_the_job(self) -> None:
        found = self._job()
        if found and not self.lab.is_bad(found[0]):  # a job that must not start is no test of the tool
            found[1]["schedule"]["state"] = "Active"
            found[1]["status"].update(code="Active", quarantine=None)
            self.theirs.started.add(found[0])

    def pause_the_job(self) -> None:
        if found := self._job():
            found[1]["schedule"]["state"] = "Disabled"
            found[1]["status"]["code"] = "Paused"
            self.theirs.started.discard(found[0])

    def turn_create_on(self) -> None:
        saved = self.lab.entra.provisioning.get(self._application() or "")
        for schema in saved.schemas.values() if saved else ():
            user_mapping(schema)["flowTypes"] = "Add,Update,Delete"
        self.is_bad_by_hand = True

    def turn_the_mapping_of_groups_on(self) -> None:
        saved = self.lab.entra.provisioning.get(self._application() or "")
        for schema in saved.schemas.values() if saved else ():
            group_mappings(schema)[0]["enabled"] = True

    def delete_a_token_of_the_tool(self) -> None:
        found = self._provisioning()
        own = [token for token in found.tokens if token["token_id"] not in self.theirs.tokens] if found else []
        own = [token for token in own if token["token_id"] not in self.lab.foreign_tokens]
        if found and own:
            found.tokens.remove(own[0])
            del found.token_values[own[0]["token_id"]]
            self.is_bad_by_hand = True

    def forget_lost(self) -> None:
        """Ask no more for what is gone."""
        found, entra = self._provisioning(), self.lab.entra
        tokens = {token["token_id"] for token in found.tokens} if found else set()
        self.lab.foreign_tokens -= self.theirs.tokens - tokens
        self.theirs.tokens &= tokens
        rows = {(row["scim"], row["auth0"]) for row in found.configuration["mapping"]} if found else set()
        self.theirs.rows = [row for row in self.theirs.rows if row in rows]
        self.theirs.assignments &= {a["id"] for a in entra.assignments}
        options = self.lab.connection["options"]
        self.theirs.options = {key: value for key, value in self.theirs.options.items() if options.get(key) == value}
        self.theirs.redirects = {uri: n for uri, n in self.theirs.redirects.items() if uri not in self._lost_redirects()}
        principals = entra.service_principals
        self.theirs.notes = {
            n: text for n, text in self.theirs.notes.items() if n in principals and text in (principals[n]["notes"] or "")
        }

    def _lost_redirects(self) -> list[str]:
        applications = self.lab.entra.applications
        there = {uri for one in applications.values() for uri in (one["web"] or {}).get("redirectUris", [])}
        return [uri for uri in self.theirs.redirects if uri not in there]

    def lost(self) -> list[str]:
        """Return what of theirs is gone or changed."""
        found, entra, gone = self._provisioning(), self.lab.entra, []
        tokens = {token["token_id"] for token in found.tokens} if found else set()
        gone += [f"token {token}" for token in self.theirs.tokens - tokens]
        rows = {(row["scim"], row["auth0"]) for row in found.configuration["mapping"]} if found else set()
        gone += [f"row {row}" for row in self.theirs.rows if row not in rows]
        assigned = {a["id"] for a in entra.assignments}
        gone += [f"assignment {one}" for one in self.theirs.assignments - assigned]
        gone += [f"option {key}" for key, v in self.theirs.options.items() if self.lab.connection["options"].get(key) != v]
        gone += [f"redirect URI {uri}" for uri in self._lost_redirects()]
        for application, text in self.theirs.notes.items():
            principal = entra.service_principals.get(application)
            gone += [f"note of {application}"] * (principal is None or text not in (principal["notes"] or ""))
        return gone


ACTS = tuple(
    name
    for name in vars(Colleagues)
    if not name.startswith("_") and name not in ("act", "lost", "forget_lost", "lab", "dice", "theirs", "is_bad_by_hand")
)
