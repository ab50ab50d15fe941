"""Small random situations and everything that the forecast tells of them: python -m tests.tenant.forecast.kept writes the file.

The right of what is kept is measured elsewhere: tests/reliability holds forecasts against what a cycle then does. Here it is held
to the last word, so that no change of the rules goes unseen.
"""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

from runbook_lib.tenant.forecast.expressions import parse
from runbook_lib.tenant.forecast.forecasting import forecast, forecast_without_auth0
from runbook_lib.tenant.forecast.job_mapping import Clause, Filters, Row, default_mapping
from runbook_lib.tenant.forecast.people import Links, Readings, State
from runbook_lib.tenant.forecast.scope import scope_of
from tests.tenant.forecast.situations import SCIM_FIELDS, linked, object_id, person, situation, user

FILE = Path(__file__).with_name("kept.json")
COUNT = 260
NAMES = ("Ann", "Bob", "Cat", "Dan", "Eve")
MANAGER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"
ACTIVES = (
    "[accountEnabled]",
    'Switch([department], "True", "Sales", "False")',
    "Not([IsSoftDeleted])",
    'Append([companyName], "")',
)
NAMES_OF_ROWS = ("[mail]", "[mailNickname]", "ToLower([userPrincipalName])", 'IIF([companyName]="x", [mail], "z")')
OPEN = (None, None, True, False)


class Situations:
    """Situations drawn from a seed: people with names in common, users of theirs and of others, mappings and readings."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.managers = random.Random(f"managers {seed}")
        self.names = self.dice.sample(NAMES, self.dice.randint(1, 4))

    def chance(self, share: float) -> bool:
        return self.dice.random() < share

    def person(self, name: str):
        state = self.dice.choice((*[State.ENABLED] * 4, State.DISABLED, State.DELETED, State.GONE))
        more = {"department": self.dice.choice(("Sales", "Support", None)), "jobTitle": self.dice.choice(("Engineer", None))}
        if self.chance(0.35):
            other = self.dice.choice(NAMES).lower()
            more |= self.dice.choice(
                ({"mail": f"{other}@contoso.com"}, {"userPrincipalName": f"{other}@contoso.onmicrosoft.com"}, {"mail": None})
            )
        if self.chance(0.1):
            more |= {"userPrincipalName": 'a"b@contoso.onmicrosoft.com'}
        assigned, groups = self.dice.choice(((True, ()), (True, ()), (False, ()), (False, ("Staff",)), (True, ("Staff", "All"))))
        manager = self.managers.choice(("", None, *self.names, self.names[0], self.managers.choice(NAMES)))
        return person(name, state, assigned=assigned, groups=groups, manager=manager, **more)

    def user(self, name: str, number: int):
        values: dict[str, object] = {"number": number, "blocked": self.chance(0.2)}
        if self.chance(0.4):
            values["of"] = self.dice.choice((*NAMES, None))
        values |= self.dice.choice(
            ({}, {}, {"upn": None}, {"email": None}, {"email": f"{name}@contoso.com"}, {"email": "old@contoso.com"})
        )
        values |= self.dice.choice(({}, {}, {"app_metadata__department": "own"}, {"app_metadata__manager": "boss"}))
        values |= self.dice.choice(({}, {}, {"app_metadata__external_id": name.lower()}, {"app_metadata__external_id": "crm-1"}))
        if self.chance(0.3):
            values["app_metadata__external_id"] = object_id(self.dice.choice(NAMES))
        return linked(name, **values) if self.chance(0.3) and "app_metadata__external_id" not in values else user(name, **values)

    def mapping(self):
        found = default_mapping()
        sources = {
            "active": ACTIVES,
            "userName": NAMES_OF_ROWS,
            "title": ('IIF([companyName]="x", "y", "z")', 'Append([jobTitle], "!")'),
        }
        rows = []
        for row in found.rows:
            if row.target in sources and self.chance(0.2):
                row = replace(row, source=parse(self.dice.choice(sources[row.target])))
            if row.target == "title" and self.chance(0.2):
                row = replace(row, source=None, unknown="its source cannot be read")
            if self.chance(0.03):
                row = replace(row, flow_type=self.dice.choice(("ObjectAddOnly", "ValueAddOnly")))
            if self.chance(0.03):
                row = replace(row, default="Employee")
            rows.append(replace(row, is_case_exact=self.chance(0.2)))
        if self.chance(0.1):
            rows = [row for row in rows if row.target != "active"]
        if self.chance(0.1):
            rows.append(Row("nickName", parse("[displayName]"), "", None, "Always"))
        flows = self.dice.choice(
            (found.flows, found.flows, found.flows, frozenset({"Update"}), found.flows | {"Add"}, frozenset({"Delete"}))
        )
        sent, default = self.managers.choice(("Always", "Always", "ValueAddOnly")), self.managers.choice(("", "", "boss"))
        references = (Row(MANAGER, None, "", None, sent, default=default),) if self.chance(0.2) else ()
        references = references or self.managers.choice(((), (Row(MANAGER, None, "", None, "Always"),)))
        return replace(found, flows=flows, rows=tuple(rows), filters=self.filters(), references=references)

    def filters(self) -> Filters:
        clause = (
            (Clause("department", "EQUALS", ("Sales",)),),
            (Clause("jobTitle", "IS NOT NULL", ()), Clause("department", "NOT EQUALS", ("Support",))),
        )
        if self.chance(0.65):
            return Filters()
        return self.dice.choice(
            (Filters(groups=clause[:1]), Filters(inputs=clause[:1]), Filters(groups=clause), Filters(unknown="odd"))
        )

    def situation(self):
        people = [self.person(name) for name in self.names]
        users = [
            self.user(name, number)
            for number in (1, 2)
            for name in (*self.names, "Fay")
            if self.chance(0.9 if number == 1 else 0.2)
        ]
        fields = {**SCIM_FIELDS, "nickName": "name"}
        if self.chance(0.3):
            fields[MANAGER.replace("User:", "User.")] = "app_metadata.manager"
        if self.managers.random() < 0.5:
            fields[MANAGER.replace("User:", "User.")] = self.managers.choice(("app_metadata.manager", "app_metadata.title"))
        if self.chance(0.08):
            fields["userName"] = "email"
        if self.chance(0.05):
            del fields["userName"]
        known = {}
        if self.chance(0.2) and users:
            known = {object_id(self.names[0]): self.dice.choice((users[0].user_id, "", "waad|elsewhere"))}
        return situation(
            people,
            users,
            mapping=self.mapping(),
            scim_fields=fields,
            links=self.dice.choice((Links.NONE, Links.SEEN, Links.SEEN, Links.UNSEEN)),
            known_links=known,
            readings=Readings(*(self.dice.choice(OPEN) for _ in range(5))),
            hidden_groups=("Board",) if self.chance(0.1) else (),
            assigns_groups=self.chance(0.5),
            syncs_everybody=self.chance(0.1),
            skips_out_of_scope=self.chance(0.15),
            cycles_ran=self.chance(0.5),
            needs_assignment=self.chance(0.7),
            syncs_at_each_login=self.chance(0.8),
            searched_fields=frozenset({"email"}) if self.chance(0.1) else None,
            nested_groups=self.dice.randint(0, 2),
        )


def told(seed: int) -> list[list[str]]:
    """Everything that is told of one situation, a row a person; every ninth as it is told without a look at Auth0."""
    found = Situations(seed).situation()
    made = forecast_without_auth0(found) if seed % 9 == 8 else forecast(found)
    head = [str(made.assigned), str(made.nested_groups), ", ".join(made.hidden_groups), str(made.saw_auth0)]
    scopes = [f"{one.name}: {scope_of(one, found)}" for one in found.people]
    return [head, scopes, *map(_row, made.people)]


def _row(one) -> list[str]:
    return [
        one.person,
        one.called,
        one.object_id,
        one.upn,
        str(one.mail),
        f"{one.in_scope} {one.scope_reason}",
        f"{one.fate} {one.certainty} {one.matched_by}",
        ", ".join(one.auth0_users),
        "; ".join(f"{change} {change.rewritten_at_login} {change.owned}" for change in one.changes),
        "; ".join(map(str, one.overwritten_otherwise)),
        one.reading,
        "; ".join(f"{other.fate}: {other.reading}" for other in one.others),
        ", ".join(one.other_people),
        ", ".join(one.further_users),
        one.reason,
        ", ".join((*one.harms, *one.leaves)),
    ]


def main() -> None:
    """Write what is told today."""
    FILE.write_text(json.dumps([told(seed) for seed in range(COUNT)], indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
