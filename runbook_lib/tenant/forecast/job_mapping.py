"""The job's mapping of users, as the forecast needs it: which rows match, which flow, and by which filter people are chosen.

Source: Graph's synchronizationSchema, objectMapping, attributeMapping and filter resources; entra-docs,
customize-application-attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runbook_lib.services.entra.models import SynchronizationSchema
from runbook_lib.services.wire_json import listed
from runbook_lib.services.wire_words import EXTERNAL_ID, OBJECT_ID, TARGET_USER, WORK_EMAIL, WORK_EMAIL_PRECEDENCE
from runbook_lib.tenant.forecast.expressions import CannotTell, Constant, Node, attributes_of, parse, read_source

ALWAYS, AT_CREATION = "Always", "ObjectAddOnly"
_NO_SOURCE = Constant("")
_REFERENCES = ("manager",)  # flow only once the other person is provisioned too


@dataclass(frozen=True, slots=True)
class Row:
    """One attribute mapping. `source` is None where it cannot be read, for the reason in `unknown`.

    `precedence` is None for a row that matches no user. `is_case_exact`: a change of capitals alone flows too. `default` is the
    row's default value: used at creation only by the portal's text, whenever the source is null by Graph's page.
    """

    target: str
    source: Node | None
    unknown: str
    precedence: int | None
    flow_type: str
    is_case_exact: bool = False
    default: str = ""

    @property
    def flows(self) -> bool:
        """Whether the row may send anything to an existing user; a row that is applied at creation only does not."""
        return self.flow_type != AT_CREATION


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a scoping filter; `values` are the texts that it compares with."""

    attribute: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Filters:
    """Scoping filters: clauses of a group hold together, of several groups one has to hold.

    Leaving `groups` disables a person; leaving `inputs` does not (Graph, filter resource). `unknown` says what else there is.
    """

    groups: tuple[tuple[Clause, ...], ...] = ()
    inputs: tuple[tuple[Clause, ...], ...] = ()
    unknown: str = ""


@dataclass(frozen=True, slots=True)
class UserMapping:
    """The mapping of users: the actions that it allows, the rows in their order, and the scoping filters.

    `references` are the rows that name another person: the manager. Their source is None, for it is no value of the person's.
    """

    flows: frozenset[str]
    rows: tuple[Row, ...]
    filters: Filters = Filters()
    references: tuple[Row, ...] = ()

    @property
    def matching(self) -> tuple[Row, ...]:
        """The rows that match, in the order in which they are tried."""
        return tuple(sorted((row for row in self.rows if row.precedence), key=lambda row: row.precedence or 0))

    @property
    def attributes(self) -> frozenset[str]:
        """The names of all source attributes that rows and filters need."""
        clauses = {clause.attribute for group in (*self.filters.groups, *self.filters.inputs) for clause in group}
        return frozenset(clauses).union(*(attributes_of(row.source) for row in self.rows))

    @property
    def sends_object_id(self) -> bool:
        """Whether a cycle writes the object id as external id, which makes links visible in Auth0."""
        own = object_id_source()
        return any(row.target == EXTERNAL_ID and row.flows and row.source == own for row in self.rows)


def object_id_source() -> Node:
    """Return the source that the procedure gives to externalId."""
    return parse(f"[{OBJECT_ID}]")


def user_mapping(schema: SynchronizationSchema) -> UserMapping | None:
    """Return the mapping of users; None unless the schema has exactly one."""
    found = schema.user_mapping()
    if found is None:
        return None
    exact = frozenset(_case_exact(schema.document))
    documents = tuple(row for row in listed(found.get("attributeMappings")) if row.get("targetAttributeName"))
    rows = tuple(row for row in (_row(row, exact) for row in documents) if row is not None)
    references = tuple(_reference(row, exact) for row in documents if _is_reference(row) and row.get("flowType") != AT_CREATION)
    return UserMapping(frozenset(schema.flow_types), rows, _filters(found.get("scope")), references)


def staged(mapping: UserMapping) -> UserMapping:
    """Return the mapping with the procedure's three changes, which a run saves before it assigns anyone or starts the job."""

    def changed(row: Row) -> Row:
        if row.target == EXTERNAL_ID:
            return replace(row, source=object_id_source(), unknown="")
        return replace(row, precedence=WORK_EMAIL_PRECEDENCE) if row.target == WORK_EMAIL else row

    return replace(mapping, flows=mapping.flows - {"Add"}, rows=tuple(map(changed, mapping.rows)))


def _row(row: Mapping[str, Any], exact: frozenset[str]) -> Row | None:
    """Return a row, None for one of the manager.

    A row without a source is the portal's type None: it sends nothing of its own, and its default value to a target without a
    value (customize-application-attributes). Unverified: how Graph shows that type.
    """
    source, unknown, target = row.get("source"), "", str(row["targetAttributeName"])
    if _is_reference(row):
        return None
    node: Node | None = None
    try:
        node = _NO_SOURCE if source is None or source.get("type") == "None" else read_source(source)
    except CannotTell as reason:
        unknown = str(reason)
    precedence, flow_type = row.get("matchingPriority") or None, row.get("flowType") or ALWAYS
    return Row(target, node, unknown, precedence, flow_type, target in exact, str(row.get("defaultValue") or ""))


def _reference(row: Mapping[str, Any], exact: frozenset[str]) -> Row:
    target, flow_type = str(row["targetAttributeName"]), row.get("flowType") or ALWAYS
    return Row(target, None, "", None, flow_type, target in exact, str(row.get("defaultValue") or ""))


def _is_reference(row: Mapping[str, Any]) -> bool:
    source = row.get("source") or {}
    return source.get("name") in _REFERENCES and source.get("type") == "Attribute"


def _case_exact(document: Mapping[str, Any]) -> Iterable[str]:
    """Yield the target attributes in which capitals count: a change of them alone flows (entra-docs, function reference)."""
    for directory in document.get("directories") or ():
        for entry in directory.get("objects") or ():
            if entry.get("name") == TARGET_USER:
                yield from (str(one.get("name")) for one in entry.get("attributes") or () if one.get("caseExact") is True)


def _filters(scope: Mapping[str, Any] | None) -> Filters:
    if not scope:
        return Filters()
    known = ("groups", "inputFilterGroups")
    others = [key for key, value in scope.items() if value and key not in known and not key.startswith("@")]
    groups, inputs = (tuple(_group(group) for group in scope.get(key) or ()) for key in known)
    return Filters(groups, inputs, f"the scoping filter has {', '.join(others)}, which is not foretold here" if others else "")


def _group(group: Mapping[str, Any]) -> tuple[Clause, ...]:
    return tuple(
        Clause(
            str(clause.get("sourceOperandName")),
            str(clause.get("operatorName")),
            tuple(map(str, (clause.get("targetOperand") or {}).get("values") or ())),
        )
        for clause in group.get("clauses") or ()
    )


# What a new job starts with, with the procedure's three changes; entra-docs, use-scim-to-provision-users-and-groups, and three
# public lists of the defaults. It stands in for the schema until there is a job.
_DEFAULT_ROWS = (
    ("[userPrincipalName]", "userName"),
    ('Switch([IsSoftDeleted], , "False", "True", "True", "False")', "active"),
    ("[displayName]", "displayName"),
    ("[jobTitle]", "title"),
    ("[mail]", WORK_EMAIL),
    ("[preferredLanguage]", "preferredLanguage"),
    ("[givenName]", "name.givenName"),
    ("[surname]", "name.familyName"),
    ('Join(" ", [givenName], [surname])', "name.formatted"),
    ("[physicalDeliveryOfficeName]", 'addresses[type eq "work"].formatted'),
    ("[streetAddress]", 'addresses[type eq "work"].streetAddress'),
    ("[city]", 'addresses[type eq "work"].locality'),
    ("[state]", 'addresses[type eq "work"].region'),
    ("[postalCode]", 'addresses[type eq "work"].postalCode'),
    ("[country]", 'addresses[type eq "work"].country'),
    ("[telephoneNumber]", 'phoneNumbers[type eq "work"].value'),
    ("[mobile]", 'phoneNumbers[type eq "mobile"].value'),
    ("[facsimileTelephoneNumber]", 'phoneNumbers[type eq "fax"].value'),
    (f"[{OBJECT_ID}]", EXTERNAL_ID),
    ("[employeeId]", f"{TARGET_USER}:employeeNumber"),
    ("[department]", f"{TARGET_USER}:department"),
)
_DEFAULT_PRECEDENCE = {"userName": 1, WORK_EMAIL: WORK_EMAIL_PRECEDENCE}


def default_mapping() -> UserMapping:
    """Return Entra's default mapping of users with the procedure's changes made."""
    rows = (Row(target, parse(text), "", _DEFAULT_PRECEDENCE.get(target), ALWAYS) for text, target in _DEFAULT_ROWS)
    manager = Row(f"{TARGET_USER}:manager", None, "", None, ALWAYS)
    return UserMapping(frozenset({"Update", "Delete"}), tuple(rows), references=(manager,))
