"""A whole tenant in memory, runs that break at any request, and a judge that believes only the sandbox's state and history."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from requests.adapters import BaseAdapter

from runbook_lib.core.errors import RunbookError
from runbook_lib.http.session import open_session
from runbook_lib.run.machine import Machine
from runbook_lib.run.tenant_run import Session
from runbook_lib.sandbox.auth0.routes import new_token
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.in_process import InProcessAdapter
from runbook_lib.sandbox.server import Sandbox, simulate
from runbook_lib.sandbox.simulation import KINDS, Fault, Simulation
from runbook_lib.sandbox.world import EntraTenant, World
from runbook_lib.settings.model import RunMode, TenantSettings
from tests.builders import tenant_session

SERVICES = {"localhost:1": "auth0", "localhost:2": "login", "localhost:3": "graph", "localhost:5": "files"}
IN_MEMORY = {"auth0_domain": "localhost:1", "authority": "https://localhost:2", "graph": "https://localhost:3/v1.0"}
TARGET_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
WORK_EMAIL = 'emails[type eq "work"].value'
SCOPES = ["delete:users", "get:users", "patch:users"]
KILLS = ("kill_before", "kill_after")
ALL_KINDS = (*KINDS, *KILLS)


def settings_in(
    folder: Path, name: str, world: World, entra: EntraTenant, connection: Mapping[str, Any], ready: Mapping[str, str]
) -> TenantSettings:
    """Return the settings of one tenant of a simulated world, with its secrets and the world's addresses in files of a folder."""
    client = next(c for c in world.auth0.clients.values() if "read:connections_options" in c.scopes)
    application = next(c for c in entra.clients.values() if not c.is_public_client)
    for file, text in (("auth0", client.client_secret), ("entra", application.client_secret)):
        (folder / file).write_text(text)
    (folder / "ca.pem").touch()
    (folder / "ready.json").write_text(json.dumps({"ca_bundle": str(folder / "ca.pem"), **ready}))
    return TenantSettings.from_parameters(
        {
            "name": name,
            "auth0_domain": ready["auth0_domain"],
            "auth0_connection": connection["name"],
            "auth0_client_id": client.client_id,
            "auth0_client_secret": f"file:{folder / 'auth0'}",
            "entra_tenant": entra.id,
            "entra_client_id": application.client_id,
            "entra_client_secret": f"file:{folder / 'entra'}",
            "cloud": f"sandbox:{folder / 'ready.json'}",
            "scim_app_name": f"Acme SCIM ({name})",
            "test_user": next(iter(entra.users.values()))["userPrincipalName"],
        }
    )


class Killed(BaseException):
    """The process is gone: nothing after this line happens, no handler, no clean-up."""


class _Wire(BaseAdapter):
    """Carries the tool's own requests by another adapter, and kills the tool before or after one of them."""

    def __init__(self, laboratory: Laboratory, carrier: BaseAdapter) -> None:
        super().__init__()
        self._laboratory = laboratory
        self._carrier = carrier

    def send(self, request: requests.PreparedRequest, *given: Any, **named: Any) -> requests.Response:
        self._laboratory.let_others_work()
        kill = self._laboratory.next_kill()
        if kill == "kill_before":
            raise Killed
        answer = self._carrier.send(request, *given, **named)
        if kill == "kill_after":
            answer.close()
            raise Killed
        return answer

    def close(self) -> None:
        self._carrier.close()


@dataclass
class Outcome:
    """How a run ended: a status of the report, or `killed`; `writes` are the requests of the tool that may change something."""

    status: str
    about: str
    writes: list[str]
    requests: int


@dataclass
class Laboratory:
    """One tenant. `furnish` makes a customer with much that exists already and must survive.

    With a `sandbox` its world takes the place of the sandbox's, and every request goes over HTTPS.
    """

    folder: Path
    furnished: bool = False
    sandbox: Sandbox | None = None
    machine_name: str = "here"
    kills: dict[int, str] = field(default_factory=dict)
    meanwhile: dict[int, Callable[[], object]] = field(default_factory=dict)
    sent: int = 0
    early_starts: list[str] = field(default_factory=list)
    runs: int = 0
    elapsed_s: float = 0.0
    set_back_s: float = 0.0  # by so much this machine's clock was set back

    def __post_init__(self) -> None:
        self.name = "half-done" if self.furnished else "fresh"
        self.ready = self.sandbox.ready if self.sandbox else IN_MEMORY
        self.world = build_world(7, auth0_domain=self.ready["auth0_domain"], names=[self.name])
        if self.sandbox:
            self.simulation = self._taken_over(self.sandbox)
        else:
            self.simulation = simulate(self.world)
            self.world.scim_session = self._entra_session
        if self.furnished:
            self._furnish()
        self.before = copy.deepcopy((self.connection, self._schemas(), self._mapping_rows()))
        self.foreign_tokens = {token["token_id"] for token in self.tokens()}
        self._watch_starts()
        self.settings = settings_in(self.folder, self.name, self.world, self.entra, self.connection, self.ready)

    @property
    def entra(self) -> EntraTenant:
        """The customer's Entra tenant; a lost write puts other objects in its place."""
        return next(iter(self.world.entra.values()))

    @property
    def connection(self) -> dict[str, Any]:
        """The customer's connection."""
        return next(c for c in self.world.auth0.connections.values() if c["strategy"] == "waad")

    def _taken_over(self, sandbox: Sandbox) -> Simulation:
        """Put this world in the sandbox, without what an earlier laboratory left there."""
        sandbox.reset()
        simulation = sandbox.simulation
        vars(simulation).pop("_routed", None)  # the watch of an earlier laboratory
        self.world.ca_bundle, self.world.dispatch = sandbox.ready["ca_bundle"], sandbox.world.dispatch
        simulation.world = self.world
        return simulation

    # The world ---------------------------------------------------------------------------------------------------------

    def _entra_session(self) -> requests.Session:
        session = requests.Session()
        session.mount("https://", InProcessAdapter(self.simulation, SERVICES))
        return session

    def _furnish(self) -> None:
        """Make another person's set-up: a token in use, 40 mapping rows, a deletion guard, an edited mapping, more options."""
        provisioning = self.world.auth0.provisioning[self.connection["id"]]
        document, text = new_token(self.world, ["get:users"], None)
        provisioning.tokens.append(document)
        provisioning.token_values[document["token_id"]] = text
        rows = provisioning.configuration["mapping"]
        rows += [{"scim": f"urn:example:{n}", "auth0": f"app_metadata.own_{n}"} for n in range(40 - len(rows))]
        options = self.connection["options"]
        options |= {f"x_key_{n}": {"deep": [n, None, {"é": False}]} for n in range(25 - len(options))}
        options["set_user_root_attributes"] = "on_first_login"
        [saved] = [p for p in self.entra.provisioning.values() if p.jobs]
        guard = {"Enabled": True, "Recipients": "it@example.com", "DeleteThresholdEnabled": True, "DeleteThresholdValue": 14}
        saved.secrets = {"SyncNotificationSettings": json.dumps(guard), "SkipOutOfScopeDeletions": "True"}
        mapping = user_mapping(next(iter(saved.schemas.values())))
        row = next(row for row in mapping["attributeMappings"] if row["targetAttributeName"] == "title")
        row["source"] = {"expression": "[department]", "name": "department", "type": "Attribute", "parameters": []}
        self.entra.assignments = [
            a for a in self.entra.assignments if a["principalType"] != "Group" or a["resourceId"] == self._oidc()
        ]

    def _oidc(self) -> str:
        client_id = self.connection["options"]["client_id"]
        return next(p["id"] for p in self.entra.service_principals.values() if p["appId"] == client_id)

    def tokens(self) -> list[dict[str, Any]]:
        found = self.world.auth0.provisioning.get(self.connection["id"])
        return found.tokens if found else []

    def _mapping_rows(self) -> Any:
        found = self.world.auth0.provisioning.get(self.connection["id"])
        return found.configuration["mapping"] if found else None

    def _schemas(self) -> Any:
        return [schema for p in self.entra.provisioning.values() for schema in p.schemas.values()]

    def applications(self) -> list[dict[str, Any]]:
        return [p for p in self.entra.service_principals.values() if p["displayName"] == self.settings.scim_app_name]

    # Runs --------------------------------------------------------------------------------------------------------------

    def next_kill(self) -> str:
        self.sent += 1
        return self.kills.get(self.sent, "")

    def break_at(self, number: int, kind: str) -> None:
        """Let the `number`-th request from now on go wrong: of all services, or of the tool's own for a kill."""
        if kind in KILLS:
            self.kills[self.sent + number] = kind
        else:
            self.simulation.faults.append(Fault("*", "*", "*", number, kind))

    def before_request(self, number: int, work: Callable[[], object]) -> None:
        """Let another person do all their work between two requests of the tool, right before its `number`-th from now on."""
        self.meanwhile[self.sent + number] = work

    def let_others_work(self) -> None:
        if work := self.meanwhile.pop(self.sent + 1, None):
            work()

    def mend(self) -> None:
        self.kills.clear()
        self.simulation.faults.clear()

    def machine(self, name: str = "here") -> Machine:
        def open_http(ca_bundle: str | None, session: requests.Session | None = None) -> requests.Session:
            opened = open_session(ca_bundle, session)
            carrier = opened.get_adapter("https://") if self.sandbox else InProcessAdapter(self.simulation, SERVICES)
            opened.mount("https://", _Wire(self, carrier))
            return opened

        def sleep(seconds: float) -> None:
            self.elapsed_s += seconds
            self.world.clock.advance(seconds)

        locks = self.folder / f"locks-{name}"
        locks.mkdir(exist_ok=True)
        start = datetime(2026, 6, 1, tzinfo=UTC)
        return Machine(
            open_http=open_http,
            sleep=sleep,
            now=lambda: start + timedelta(seconds=self.elapsed_s + self.sent * 0.01 - self.set_back_s),
            clock=lambda: self.elapsed_s + self.sent * 0.01,
            name=name,
            locks=locks,
        )

    def run(self, mode: str = "apply", *, machine: str = "here") -> Outcome:
        """Run all steps in a folder of its own, next to those of earlier runs."""
        self.runs += 1
        return self._session(self.out(self.runs, machine), mode, machine)

    def resume(self, run: int) -> Outcome:
        """Run a run again in its own folder: the first is 1."""
        return self._session(self.out(run), "apply", "here")

    def undo(self, run: int, mode: str = "apply", *, machine: str = "here") -> Outcome:
        """Take a run back: the first is 1."""
        return self._session(self.out(run, machine), mode, machine, is_undo=True)

    def out(self, run: int, machine: str = "here") -> Path:
        return self.folder / f"outputs-{machine}" / f"run-{run:03d}" / self.name

    def _session(self, out: Path, mode: str, machine: str, *, is_undo: bool = False) -> Outcome:
        at = len(self.simulation.history)
        session: Session | None = None
        try:
            session = tenant_session(self.settings, mode=RunMode(mode), out=out, machine=self.machine(machine), is_undo=is_undo)
            for step in session.steps:
                session.do(step.number)
            status, about = session.finish()
        except Killed:
            status, about = "killed", ""
        except RunbookError as stopped:
            status, about = "stopped", str(stopped)
        if session is not None:
            session.lock.free()  # as the end of the process does
        return Outcome(status, about, self.writes(at), len(self.simulation.history) - at)

    def writes(self, since: int = 0) -> list[str]:
        return [
            f"{entry['method']} {entry['path']}"
            for entry in self.simulation.history[since:]
            if entry["method"] != "GET"
            and entry["service"] in ("auth0", "graph")
            and not entry["path"].endswith(("/oauth/token", "/$batch", "/validateCredentials"))
        ]

    # The judge ---------------------------------------------------------------------------------------------------------

    def _watch_starts(self) -> None:
        handler = self.simulation._routed

        def watched(call: Any) -> Any:
            if call.method == "POST" and call.path.endswith("/start"):
                self.early_starts += self.wrongs(before_start=True)
            if call.path.endswith("/restart"):
                self.early_starts.append("restart was called")
            return handler(call)

        self.simulation._routed = watched  # type: ignore[method-assign]

    def wrongs(self, *, before_start: bool = False) -> list[str]:
        """Return what differs from the one right end state; nothing else counts, least of all the tool's report."""
        connection, schemas, mapping_rows = self.before
        found: list[str] = []
        wanted = {key: value for key, value in connection["options"].items() if key != "set_user_root_attributes"}
        wanted |= {"userid_attribute": "sub", "useCommonEndpoint": False, "waad_common_endpoint": False}
        found += [
            f"option {key}"
            for key in {**wanted, **self.connection["options"]}
            if wanted.get(key, 0) != self.connection["options"].get(key, 0)
        ]
        found += [
            f"connection {key}" for key, value in connection.items() if key != "options" and self.connection.get(key) != value
        ]
        provisioning = self.world.auth0.provisioning.get(self.connection["id"])
        if provisioning is None:
            return [*found, "no SCIM configuration"]
        found += ["user id attribute"] * (provisioning.configuration["user_id_attribute"] != "externalId")
        found += ["SCIM mapping"] * (mapping_rows is not None and provisioning.configuration["mapping"] != mapping_rows)
        tokens = {token["token_id"]: sorted(token["scopes"]) for token in provisioning.tokens}
        found += ["foreign token gone"] * (not self.foreign_tokens <= set(tokens))
        left = self.foreign_tokens | self.tokens_of_lost_answers()
        own = {token_id: scopes for token_id, scopes in tokens.items() if token_id not in left}
        found += [f"{len(own)} own tokens"] * (len(own) != 1)
        found += ["token scopes"] * any(scopes != SCOPES for scopes in own.values())
        applications = self.applications()
        if len(applications) != 1:
            return [*found, f"{len(applications)} applications"]
        return found + self._entra_wrongs(applications[0]["id"], set(own), schemas, before_start=before_start)

    def journals(self) -> Iterable[Path]:
        """Return the journals of all runs so far."""
        return self.folder.glob("outputs-*/*/*/journal.jsonl")

    def tokens_of_lost_answers(self) -> set[str]:
        """Return the tokens whose ids no run has read: they may be others', so that the tool names them and leaves them."""
        journals = [path.read_text() for path in self.journals()]
        ids = {token["token_id"] for token in self.tokens()} - self.foreign_tokens
        return {token_id for token_id in ids if not any(f'"token": "{token_id}"' in text for text in journals)}

    def follow_the_remedy(self, outcome: Outcome) -> bool:
        """Delete, as a person, the token that a blocked run names because its maker is unknown; say whether it named one."""
        named = [token_id for token_id in self.tokens_of_lost_answers() if token_id in outcome.about]
        if outcome.status != "blocked" or not named:
            return False
        found = self.world.auth0.provisioning[self.connection["id"]]
        found.tokens = [token for token in found.tokens if token["token_id"] not in named]
        for token_id in named:
            del found.token_values[token_id]
        return True

    def _entra_wrongs(self, application: str, own: set[str], schemas: Any, *, before_start: bool) -> list[str]:
        saved = self.entra.provisioning.get(application)
        if saved is None or len(saved.jobs) != 1:
            return [f"{len(saved.jobs) if saved else 0} jobs"]
        [job] = saved.jobs.values()
        access = {a["principalId"] for a in self.entra.assignments if a["resourceId"] == self._oidc()}
        assigned = {a["principalId"] for a in self.entra.assignments if a["resourceId"] == application}
        found = ["assignments"] * (assigned != access)
        token = saved.secrets.get("SecretToken", "")
        found += ["saved token is not ours"] * (token.partition(".")[0] not in own)
        found += ["tenant URL"] * (
            not saved.secrets.get("BaseAddress", "").endswith(f"{self.connection['id']}/?aadOptscim062020")
        )
        guard = json.loads(saved.secrets.get("SyncNotificationSettings", "{}"))
        limit = 14 if self.furnished else 20
        found += ["deletion guard"] * ((guard.get("DeleteThresholdEnabled"), guard.get("DeleteThresholdValue")) != (True, limit))
        found += ["recipients"] * (self.furnished and guard.get("Recipients") != "it@example.com")
        found += ["another saved key"] * (self.furnished and saved.secrets.get("SkipOutOfScopeDeletions") != "True")
        found += ["sync all"] * (saved.secrets.get("SyncAll") != "false")
        found += _schema_wrongs(saved.schemas[job["id"]], schemas[0] if schemas else None)
        person = self.entra.users[next(iter(self.entra.users))]
        profiles = [u for u in self.world.auth0.users.values() if u.get("email", "").lower() == person["mail"].lower()]
        linked = [u.get("app_metadata", {}).get("external_id") for u in profiles]
        found += ["test user"] * (linked != [person["id"]] or bool(profiles[0].get("blocked")))
        found += ["quarantine"] * (job["status"]["quarantine"] is not None)
        if not before_start:
            found += ["not started"] * (job["schedule"]["state"] != "Active")
        return found


def number_of_the_request(folder: Path, path: str, *, method: str = "POST", furnished: bool = False) -> int:
    """Return the number of the tool's own request of a first run that writes to a path."""
    folder.mkdir()
    laboratory, seen = Laboratory(folder, furnished=furnished), []
    handler = laboratory.simulation._routed

    def watched(call: Any) -> Any:
        seen.extend([laboratory.sent] * (call.method == method and call.path.endswith(path)))
        return handler(call)

    laboratory.simulation._routed = watched  # type: ignore[method-assign]
    laboratory.run()
    return seen[0]


def user_mapping(schema: dict[str, Any]) -> dict[str, Any]:
    return next(
        m for rule in schema["synchronizationRules"] for m in rule["objectMappings"] if m["targetObjectName"] == TARGET_USER
    )


def group_mappings(schema: dict[str, Any]) -> list[dict[str, Any]]:
    mappings = [m for rule in schema["synchronizationRules"] for m in rule["objectMappings"]]
    return [mapping for mapping in mappings if mapping["sourceObjectName"] == "Group"]


def _schema_wrongs(schema: dict[str, Any], before: dict[str, Any] | None) -> list[str]:
    mapping = user_mapping(schema)
    rows = {row["targetAttributeName"]: row for row in mapping["attributeMappings"]}
    found = ["Create is on"] * (mapping["flowTypes"] != "Update,Delete")
    found += ["externalId"] * (rows["externalId"]["source"]["expression"] != "[objectId]")
    found += ["work email"] * (rows[WORK_EMAIL]["matchingPriority"] != 2)
    found += ["groups are sent"] * any(one["enabled"] is not False for one in group_mappings(schema))
    if before is not None:
        after, wanted = copy.deepcopy(schema), copy.deepcopy(before)
        for document in (after, wanted):
            document.pop("version", None)
            own = user_mapping(document)
            own["flowTypes"] = ""
            for one in group_mappings(document):
                one["enabled"] = False
            for row in own["attributeMappings"]:
                if row["targetAttributeName"] == "externalId":
                    row["source"] = {}
                if row["targetAttributeName"] == WORK_EMAIL:
                    row["matchingPriority"] = 0
        found += ["schema outside the edits"] * (after != wanted)
    return found
