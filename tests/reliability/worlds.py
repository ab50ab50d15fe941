"""Random tenants, what the forecast tells of their people, and what a cycle of the sandbox's engine then does to each.

The judge reads the engine's log and Auth0's users only. What no log row says did not happen.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from runbook_lib.http.session import open_session
from runbook_lib.run.machine import Machine
from runbook_lib.run.sign_ins import open_view
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.entra_engine.engine import run_cycle
from runbook_lib.sandbox.entra_engine.expressions.grammar import parsed
from runbook_lib.sandbox.graph.applications import new_assignment
from runbook_lib.sandbox.graph.schema_template import USER_TARGET, attribute
from runbook_lib.sandbox.in_process import InProcessAdapter
from runbook_lib.sandbox.server import simulate
from runbook_lib.tenant import facts
from runbook_lib.tenant.forecast.values import Fate, Forecast, PersonForecast
from runbook_lib.tenant.view import View
from tests.reliability.laboratory import IN_MEMORY, SERVICES, WORK_EMAIL, settings_in, user_mapping

TITLES = (  # expressions for the row of title: known, open where an attribute is empty, and not foretold
    "[jobTitle]",
    "ToUpper([jobTitle])",
    'Switch([department], "Staff", "Sales", "Seller", "Support", "Helper")',
    'Join(" ", [jobTitle], [department])',
    'Append([jobTitle], " (Contoso)")',
    'IIF([country]="Norway", [jobTitle], "Abroad")',
    "Coalesce([companyName], [jobTitle])",
    'Replace([jobTitle], "Engineer", , , "Developer", , )',
    r'Replace([jobTitle], , "(?<first>\\w+).*", , "${first}", , )',
    "PCase(NormalizeDiacritics([surname]))",
    "Left([jobTitle], 3)",
    "Mid([jobTitle], 2, 4)",
    'Word([jobTitle], 1, " ")',
    "IgnoreFlowIfNullOrEmpty([companyName])",
    'FormatDateTime(Now(), , "M/d/yyyy h:mm:ss tt", "yyyy")',
    'Item(Split([jobTitle], " "), 1)',
)
ACTIVES = (  # for the row of active
    'Switch([IsSoftDeleted], , "False", "True", "True", "False")',
    "Not([IsSoftDeleted])",
    "[accountEnabled]",
    'Switch([department], "True", "Support", "False")',
    'IIF([IsSoftDeleted]="True", "False", "True")',
)
NAMES = (  # for the row of userName
    "[userPrincipalName]",
    "ToLower([userPrincipalName])",
    "[originalUserPrincipalName]",
    "Coalesce([mail], [userPrincipalName])",
    'Append([mailNickname], "@complete.onmicrosoft.com")',
)
FILTERS = (
    {"operatorName": "EQUALS", "sourceOperandName": "jobTitle", "targetOperand": {"values": ["Engineer"]}},
    {"operatorName": "NOT EQUALS", "sourceOperandName": "department", "targetOperand": {"values": ["Sales"]}},
    {"operatorName": "REGEX MATCH", "sourceOperandName": "jobTitle", "targetOperand": {"values": ["Engineer.*"]}},
    {"operatorName": "IS NOT NULL", "sourceOperandName": "companyName", "targetOperand": {"values": []}},
)
ROWS = (  # other members of rows
    ("externalId", "matchingPriority", (3,)),
    ("displayName", "flowType", ("ObjectAddOnly", "ValueAddOnly")),
    ("title", "defaultValue", ("Employee",)),
)
SWITCHES = {
    "disabled_before_link": ("skipped", "disabled"),
    "scim_search": ("finds", "case_blind", "listed_only"),
    "unassigning": ("disables", "nothing"),
    "default_value": ("at_creation", "when_null"),
    "null_in_expressions": ("null", "empty"),
    "null_in_iif": ("fails", "compares"),
    "manager_in_answers": ("fails", "reads"),
    "management_search_of_upn_and_oid": (False, True),
}


@dataclass(frozen=True)
class Happened:
    """What a cycle did to a person: one of the classes of `told`, and the Auth0 user that was written to."""

    what: str
    target: str = ""
    detail: str = ""


class RandomTenant:
    """A tenant whose procedure is done, with random people, links, mappings and readings; `forecast` first, then `cycle`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed, self.folder, self.dice = seed, folder, random.Random(seed)
        self.world = build_world(7, auth0_domain=IN_MEMORY["auth0_domain"], names=["complete"])
        self.simulation = simulate(self.world)
        self.world.scim_session = self._session
        self.entra = next(iter(self.world.entra.values()))
        self.users = self.world.auth0.users
        self.connection = next(c for c in self.world.auth0.connections.values() if c["strategy"] == "waad")
        [(self.principal, self.provisioning)] = [(key, p) for key, p in self.entra.provisioning.items() if p.jobs]
        [self.job] = self.provisioning.jobs.values()
        self.schema = self.provisioning.schemas[self.job["id"]]
        self.mapping = user_mapping(self.schema)
        self.links = self.provisioning.links[self.job["id"]]
        guard = json.loads(self.provisioning.secrets["SyncNotificationSettings"])
        self.provisioning.secrets["SyncNotificationSettings"] = json.dumps({**guard, "DeleteThresholdValue": 400})
        self._shuffle()

    def _session(self) -> requests.Session:
        session = requests.Session()
        session.mount("https://", InProcessAdapter(self.simulation, SERVICES))
        return session

    def _chance(self, share: float) -> bool:
        return self.dice.random() < share

    # The world -----------------------------------------------------------------------------------------------------------

    def _shuffle(self) -> None:
        for name, values in SWITCHES.items():
            if self._chance(0.4):
                self.world.switches.set({name: self.dice.choice(values)})
        self._shuffle_job()
        self._shuffle_rows()
        self._shuffle_people()
        self._shuffle_users()
        self._shuffle_groups()
        self._shuffle_departures()
        self._shuffle_managers(random.Random(f"managers of {self.seed}"))

    def _shuffle_managers(self, dice: random.Random) -> None:
        """Give people managers: each other, themselves, people outside of the job or deleted ones."""
        everyone = [*self.entra.users, *self.entra.deleted_users]
        for object_id in everyone:
            if dice.random() < 0.25:
                self.entra.managers[object_id] = dice.choice(everyone)
        if dice.random() < 0.1:
            self._row(f"{USER_TARGET}:manager")["flowType"] = "ValueAddOnly"

    def _shuffle_job(self) -> None:
        kind = self.dice.choice(("new", "ran", "ran", "ran otherwise"))
        if kind == "new":
            self.links.clear()
            self.job["schedule"]["state"] = "Disabled"
            for user in self.users.values():
                user.pop("app_metadata", None)
        else:
            self.job["status"]["lastExecution"] = {"state": "Succeeded"}
            self.job["schedule"]["state"] = self.dice.choice(("Active", "Disabled"))
            for object_id in [one for one in self.links if self._chance(0.3)]:
                self.users[self.links.pop(object_id)].pop("app_metadata")
        if kind == "ran otherwise":  # its cycles sent the mail nickname
            for object_id, user_id in self.links.items():
                nickname = self.entra.users[object_id]["mailNickname"]
                self.users[user_id]["app_metadata"] = {"external_id": nickname}
            self._row("externalId")["source"] = attribute("mailNickname")
        if self._chance(0.1):
            self.provisioning.secrets["SkipOutOfScopeDeletions"] = "True"

    def _row(self, target: str) -> dict[str, Any]:
        return next(row for row in self.mapping["attributeMappings"] if row["targetAttributeName"] == target)

    def _shuffle_rows(self) -> None:
        for target, share, texts in (("title", 0.3, TITLES), ("active", 0.2, ACTIVES), ("userName", 0.2, NAMES)):
            if self._chance(share):
                self._row(target)["source"] = parsed(self.dice.choice(texts))
        for target, key, values in ROWS:
            if self._chance(0.1):
                self._row(target)[key] = self.dice.choice(values)
        if self._chance(0.1):
            self.mapping["attributeMappings"].remove(self._row("active"))
        if self._chance(0.15):
            key = self.dice.choice(("groups", "inputFilterGroups"))
            self.mapping["scope"] = {key: [{"name": "some", "clauses": [self.dice.choice(FILTERS)]}]}

    def finish_mapping(self) -> None:
        """Make the procedure's three changes, as a run does before it starts the job."""
        for row in self.mapping["attributeMappings"]:
            if row["targetAttributeName"] == "externalId":
                row["source"] = attribute("objectId")
            if row["targetAttributeName"] == WORK_EMAIL:
                row["matchingPriority"] = 2
        self.mapping["flowTypes"] = "Update,Delete"

    def _shuffle_people(self) -> None:
        everyone = list(self.entra.users.values())
        for user in everyone:
            self._shuffle_name(user, self.dice.choice(everyone), self.dice.random())
            if self._chance(0.1):
                user[self.dice.choice(("jobTitle", "department", "surname", "country"))] = None
            if self._chance(0.1):
                user["companyName"] = "Contoso"

    @staticmethod
    def _shuffle_name(user: dict[str, Any], other: dict[str, Any], turn: float) -> None:
        nickname, tenant = user["mailNickname"], "complete.onmicrosoft.com"
        changes: tuple[tuple[float, dict[str, Any]], ...] = (
            (0.06, {"mail": None}),
            (0.12, {"mail": f"new.{nickname}@complete.example"}),
            (0.17, {"mail": user["mail"] and user["mail"].title()}),
            (0.22, {"mail": other["mail"]}),
            (0.27, {"userPrincipalName": other["userPrincipalName"]}),
            (0.31, {"userPrincipalName": f"{nickname}_fabrikam.example#EXT#@{tenant}"}),
            (0.34, {"userPrincipalName": f"renamed.{nickname}@{tenant}"}),
        )
        change = next((made for share, made in changes if turn < share), {})
        if 0.22 <= turn < 0.27:  # a name is one person's at a time: the two change theirs
            other["userPrincipalName"] = user["userPrincipalName"]
        user.update(change)

    def _shuffle_users(self) -> None:
        for number, user in enumerate([one for one in self.users.values() if one["user_id"].startswith("waad|")]):
            self._shuffle_user(user, number, self.dice.random())
            if self._chance(0.1):
                user.pop("upn", None)
            elif self._chance(0.3):
                user["upn"] = self.entra.users[user["oid"]]["userPrincipalName"]
            if self._chance(0.05):
                user.pop("oid", None)
            if self._chance(0.04):
                user["app_metadata"] = {**user.get("app_metadata", {}), "manager": "waad|somebody"}

    def _shuffle_user(self, user: dict[str, Any], number: int, turn: float) -> None:
        if turn < 0.08:
            user["blocked"] = True
        elif turn < 0.13:
            user["app_metadata"] = {**user.get("app_metadata", {}), "title": "owner", "department": "billing 7"}
        elif turn < 0.19:
            self._copy(user, number)
        elif turn < 0.24:
            user["email"] = f"old.{user['email']}"
        elif turn < 0.28 and user["user_id"] not in self.links.values():
            del self.users[user["user_id"]]

    def _copy(self, user: dict[str, Any], number: int) -> None:
        twin = copy.deepcopy(user)
        subject = f"OldSubject{number:022d}"
        twin["user_id"] = f"waad|{subject}"
        twin["identities"][0]["user_id"] = subject
        twin.pop("app_metadata", None)
        if self._chance(0.5):
            twin.pop("upn", None)
        self.users[twin["user_id"]] = twin

    def _shuffle_groups(self) -> None:
        groups = list(self.entra.groups)
        if self._chance(0.2):
            self.entra.groups[groups[0]]["visibility"] = "HiddenMembership"
        if self._chance(0.2):
            self.entra.members[groups[0]].append(groups[1])  # a group within a group
        for object_id in list(self.entra.users):
            if self._chance(0.1):
                self._unassign(object_id)

    def _unassign(self, principal_id: str) -> None:
        self.entra.assignments[:] = [one for one in self.entra.assignments if one["principalId"] != principal_id]

    def _shuffle_departures(self) -> None:
        for object_id, user in list(self.entra.users.items()):
            turn = self.dice.random()
            if turn < 0.1:
                user["accountEnabled"] = False
            elif turn < 0.15:
                name = object_id.replace("-", "") + user["userPrincipalName"]
                self.entra.deleted_users[object_id] = {**self.entra.users.pop(object_id), "userPrincipalName": name}
            elif turn < 0.18:
                del self.entra.users[object_id]
                self._unassign(object_id)
                for members in self.entra.members.values():
                    members[:] = [one for one in members if one != object_id]
            elif turn < 0.21:
                self._made_again(object_id)

    def _made_again(self, object_id: str) -> None:
        """Delete a person for good and let them come back with another object id."""
        user = self.entra.users.pop(object_id)
        self._unassign(object_id)
        for members in self.entra.members.values():
            members[:] = [one for one in members if one != object_id]
        again = {**user, "id": self.world.ids.guid()}
        self.entra.users[again["id"]] = again
        for principal in (self.principal, self._sign_in()):
            role = next(
                iter(self.entra.service_principals[principal]["appRoles"]), {"id": "0" * 8 + "-0000" * 3 + "-" + "0" * 12}
            )
            service = self.entra.service_principals[principal]
            self.entra.assignments.append(new_assignment(self.world, "User", again, service, role["id"]))

    def _sign_in(self) -> str:
        client_id = self.connection["options"]["client_id"]
        return next(p["id"] for p in self.entra.service_principals.values() if p["appId"] == client_id)

    # Foretold and done -----------------------------------------------------------------------------------------------------

    def view(self) -> View:
        settings = settings_in(self.folder, "complete", self.world, self.entra, self.connection, IN_MEMORY)

        def open_http(ca_bundle: str | None, session: requests.Session | None = None) -> requests.Session:
            opened = open_session(ca_bundle, session)
            opened.mount("https://", InProcessAdapter(self.simulation, SERVICES))
            return opened

        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        machine = Machine(
            open_http=open_http, sleep=lambda _: None, now=lambda: datetime(2026, 6, 1, tzinfo=UTC), name="here", locks=locks
        )
        return open_view(settings, machine=machine)

    def forecast(self) -> Forecast:
        view = self.view()
        if self.seed % 3:  # where Graph tells no links they are inferred
            view.graph.beta = None
        found = view.read(facts.forecast)
        assert found is not None
        return found

    def cycle(self) -> dict[str, Happened]:
        """Start the job with the mapping as the procedure wants it, run a cycle, and return what happened by object id."""
        self.finish_mapping()
        self.job["schedule"]["state"], self.job["status"]["code"] = "Active", "Active"
        self.before = copy.deepcopy({user_id: dict(user) for user_id, user in self.users.items()})
        at = len(self.entra.provisioning_log)
        done = run_cycle(self.world, self.job["id"])
        assert done["ran"], done
        assert "quarantined" not in done, done
        return {row["sourceIdentity"]["id"]: self._happened(row) for row in self.entra.provisioning_log[at:]}

    def _happened(self, row: dict[str, Any]) -> Happened:
        target = row["targetIdentity"]["id"]
        code = ((row["provisioningStatusInfo"] or {}).get("errorInformation") or {}).get("errorCode", "")
        status, action = row["provisioningStatusInfo"]["status"], row["provisioningAction"]
        steps = json.dumps(row["provisioningSteps"])
        if status == "failure":
            return Happened("two users" if code == "DuplicateTargetEntries" else "failed", target, code)
        if "NoMatch" in steps or "ImportSkipped" in steps:
            return Happened("no user")
        if status == "skipped":
            return Happened("same" if "RedundantExport" in steps else "skipped", target)
        if action == "delete":
            return Happened("delete", target)
        changed = {entry["displayName"]: entry["newValue"] for entry in row["modifiedProperties"]}
        if action == "disable" and changed.get("active") == "False":
            return Happened("block", target)
        owner = self._owner(target)
        if owner and owner != row["sourceIdentity"]["id"]:
            return Happened("someone else's user", target, owner)
        if changed.get("active") == "True" and self.before[target].get("blocked"):
            return Happened("unblock", target)
        return Happened("update", target)

    def _owner(self, user_id: str) -> str:
        """Return whose Auth0 user it was before the cycle: by `oid`, else by an object id as external id."""
        user = self.before[user_id]
        external = str(user.get("app_metadata", {}).get("external_id", ""))
        return str(user.get("oid") or (external if external.count("-") == 4 else ""))


DEFAULT_ROLE = "00000000-0000-0000-0000-000000000000"
NOTHING = frozenset({Fate.SAME, Fate.NO_USER, Fate.LEAVER})
TOLD = {  # by what happened: the fates that foretell it
    "two users": {Fate.TWO_USERS},
    "failed": NOTHING,
    "no user": {Fate.NO_USER},
    "same": {Fate.SAME, Fate.SOMEONE_ELSES_USER, Fate.LEAVER},
    "skipped": NOTHING,
    "delete": {Fate.DELETE},
    "block": {Fate.BLOCK, Fate.SOMEONE_ELSES_USER},
    "someone else's user": {Fate.SOMEONE_ELSES_USER},
    "unblock": {Fate.UNBLOCK, Fate.SOMEONE_ELSES_USER},
    "update": {Fate.UPDATE, Fate.SOMEONE_ELSES_USER},
}


def is_as_foretold(told: PersonForecast | None, happened: Happened | None, forecast: Forecast) -> bool:
    """Whether a person's forecast holds what happened, or said that it cannot be told: of them, of their user, of their group."""
    if told is None:
        untold = {user for one in forecast.people if one.fate is Fate.CANNOT_TELL for user in one.auth0_users}
        return happened is None or happened.what == "skipped" or happened.target in untold or bool(forecast.hidden_groups)
    if Fate.CANNOT_TELL in told.fates:
        return True
    wanted = NOTHING if happened is None else TOLD[happened.what]
    return bool(wanted & set(told.fates))
