"""The switches of the world: what the sandbox does where sources disagree, or where no source has an answer.

Each switch has two or more readings, each with its source; the default is the vendor's text, or the stricter reading where the
vendor says nothing. `sandbox/README.md` lists them all; a test holds the list against this registry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Delay:
    """How long a service goes on answering the old state: so many `calls` that would have shown the new one, or `seconds`.

    Seconds are those of the sandbox's own clock. Exactly one of the two is set; both at zero means at once.
    """

    calls: int = 0
    seconds: float = 0.0

    def document(self) -> dict[str, float]:
        """Return the delay as `POST /world` takes it."""
        return {"seconds": self.seconds} if self.seconds else {"calls": self.calls}


@dataclass
class Late:
    """Something written a moment ago, which a service may not show or honour yet. `asked` counts by who asked."""

    written_at: float
    asked: dict[str, int] = field(default_factory=dict)

    def has_arrived(self, delay: Delay, now: float, asker: str) -> bool:
        """Count a question of `asker`; say whether the new state is answered. `now` is the sandbox's time in seconds."""
        if delay.seconds:
            return now >= self.written_at + delay.seconds
        before = self.asked.get(asker, 0)
        self.asked[asker] = before + 1
        return before >= delay.calls


@dataclass(frozen=True)
class Switch:
    """One switch. `readings` tells what each allowed value means; a switch of type `Delay` allows any delay and has one reading.

    `source` names who says so, for each reading.
    """

    name: str
    default: Any
    readings: Mapping[Any, str]
    source: str

    def parsed(self, value: Any) -> Any:
        """Return a value as the world keeps it. Raises `ValueError` for one that the switch does not allow."""
        if isinstance(self.default, Delay):
            return value if isinstance(value, Delay) else _delay(self.name, value)
        for allowed in self.readings:
            if type(value) is type(allowed) and value == allowed:
                return allowed
        raise ValueError(f"{self.name} is one of {', '.join(map(repr, self.readings))}, not {value!r}")


def _delay(name: str, value: Any) -> Delay:
    match value:
        case {"calls": int(calls), **rest} if not rest and type(calls) is int and calls >= 0:
            return Delay(calls=calls)
        case {"seconds": int(seconds) | float(seconds), **rest} if not rest and type(seconds) is not bool and seconds >= 0:
            return Delay(seconds=float(seconds))
    raise ValueError(f'{name} is {{"calls": n}} or {{"seconds": s}}, not {value!r}')


SWITCHES: tuple[Switch, ...] = (
    Switch(
        "disabled_before_link",
        "skipped",
        {
            "skipped": "a person who was disabled or deleted before the first match is skipped (NotEffectivelyEntitled); "
            "nothing is sent",
            "disabled": "such a person is matched and disabled in the target",
        },
        "skipped: entra-docs how-provisioning-works and identity-governance-applications-existing-users, Microsoft Q&A 5601366; "
        "disabled: reports without a log",
    ),
    Switch(
        "scim_search",
        "finds",
        {
            "finds": "a SCIM filter finds users by every default-mapped root attribute, in the exact case",
            "case_blind": "the same, whatever the case",
            "listed_only": "a SCIM filter finds users only by the fields that Auth0 lists as searchable: never by upn",
        },
        "finds: Okta's SCIM suites, which Auth0 asks publishers to pass; case_blind: the suite's case check (status only); "
        "listed_only: Auth0's configure-inbound-scim and user-profile-structure pages",
    ),
    Switch(
        "management_search_of_upn_and_oid",
        False,
        {
            False: "the Management API's user search finds nothing by upn and oid, which its page does not list",
            True: "it finds users by upn and oid",
        },
        "false: Auth0's user-search-query-syntax and user-profile-structure pages; true: no source, the sandbox's earlier guess",
    ),
    Switch(
        "put_secrets",
        "merge",
        {
            "merge": "PUT secrets keeps the keys that were not sent",
            "replace": "PUT secrets drops the keys that were not sent",
        },
        "merge: entra-docs pull request 2084, Infisical's Entra secret sync, terraform-provider-azuread; "
        "replace: the word of the method, cloud-sync how-to",
    ),
    Switch(
        "unassigning",
        "disables",
        {
            "disables": "a linked person who loses the assignment is disabled in the target",
            "nothing": "nothing is sent and nothing is logged about such a person",
        },
        "disables: entra-docs how-provisioning-works; nothing: azure-docs issue 104769",
    ),
    Switch(
        "expired_tokens_count",
        True,
        {
            True: "an expired SCIM token counts towards the two that a connection may have",
            False: "only tokens that are not expired count",
        },
        'true: Management API description, Auth0\'s UI component; false: "active" in configure-inbound-scim',
    ),
    Switch(
        "default_value",
        "at_creation",
        {
            "at_creation": "a row's defaultValue is used only when the target user is created",
            "when_null": "it is used whenever the source has no value",
        },
        "at_creation: the portal's text in entra-docs customize-application-attributes; when_null: Graph's attributeMapping page",
    ),
    Switch(
        "null_in_expressions",
        "null",
        {
            "null": "Append, Mid, ToLower and the like give null for a null source: nothing flows",
            "empty": "they take null for an empty text",
        },
        "neither is published; Join leaves null out and Coalesce passes over it in both",
    ),
    Switch(
        "null_in_iif",
        "fails",
        {
            "fails": "a condition of IIF on an attribute without a value fails the person",
            "compares": "the condition compares with an empty text",
        },
        'fails: entra-docs functions-for-customizing-application-data ("the condition check fails"); '
        "compares: entra-docs hr-user-creation-issues, entra-docs issue 120",
    ),
    Switch(
        "manager_in_answers",
        "fails",
        {
            "fails": "the engine cannot read a target user whose manager is a mere text, and the person fails",
            "reads": "it reads such a user",
        },
        "fails: Auth0's support article on synchronization failures with the manager row; reads: no source",
    ),
    Switch(
        "schema_lifts_quarantine",
        False,
        {
            False: "PUT schema starts a new initial cycle and leaves a quarantine as it is",
            True: "PUT schema lifts a quarantine too",
        },
        "false: start and restart are named as what clears it (entra-docs application-provisioning-quarantine-status); "
        "true: the same page says that a change of mapping restarts provisioning",
    ),
    Switch(
        "assignments_count_after",
        Delay(calls=1),
        {"delay": "how long provision on demand does not honour a new assignment: 200, Skipped, NotEffectivelyEntitled"},
        '"a replication delay of up to a few minutes": entra-docs provision-on-demand; terraform-provider-azuread issue 1423',
    ),
    Switch(
        "assignments_list_after",
        Delay(calls=1),
        {"delay": "how long GET appRoleAssignedTo does not list a new assignment"},
        "serviceprincipal-list-approleassignedto page; 30 to 60 s: microsoft-graph-docs-contrib issue 2459",
    ),
    Switch(
        "secrets_list_after",
        Delay(calls=1),
        {"delay": "how long GET secrets answers what was saved before the last PUT"},
        "terraform-provider-azuread waits up to 5 minutes until the list has as many keys as sent; its issue 1013",
    ),
    Switch(
        "sessions_end_after",
        Delay(),
        {"delay": "how long the sessions and refresh tokens of a deactivated user are still listed"},
        "asynchronous, eventually consistent: Auth0's pages on managing sessions and refresh tokens by API",
    ),
)
REGISTRY: Mapping[str, Switch] = {switch.name: switch for switch in SWITCHES}


class Switches(Mapping[str, Any]):
    """The switches of one world by name. Its keys are fixed; `set` changes values, all of them or none."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values: dict[str, Any] = {switch.name: switch.default for switch in SWITCHES}
        self.set(values or {})

    def set(self, values: Mapping[str, Any]) -> None:
        """Set switches by name. Raises `ValueError` for an unknown name or a value not allowed, and then changes nothing."""
        if unknown := sorted(set(values) - set(REGISTRY)):
            raise ValueError(f"there is no switch {unknown[0]!r}; the switches are {', '.join(REGISTRY)}")
        self._values |= {name: REGISTRY[name].parsed(value) for name, value in values.items()}

    def document(self) -> dict[str, Any]:
        """Return all switches as `POST /world` takes them."""
        return {name: value.document() if isinstance(value, Delay) else value for name, value in self._values.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
