"""Compares the forecast's evaluation of mapping expressions with Microsoft's own, for a sample of people. It writes nothing.

Source: Graph, synchronizationschema-parseexpression: an expression is evaluated for a test object that is given along.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from runbook_lib.core.errors import ApiError, TransportError
from runbook_lib.services.entra.models import Evaluated, SynchronizationSchema
from runbook_lib.services.wire_json import listed
from runbook_lib.tenant.forecast.arguments import Person, Value, text_of
from runbook_lib.tenant.forecast.evaluation import evaluate, flowing
from runbook_lib.tenant.forecast.expressions import CannotTell, attributes_of, read_source
from runbook_lib.tenant.forecast.people import EntraPerson, State
from runbook_lib.tenant.forecast.values import Comparison

SAMPLE = 5  # people; one request for each of them and each expression
Ask = Callable[[str, list[dict[str, object]]], Evaluated]


@dataclass(frozen=True, slots=True)
class _Expression:
    target: str
    text: str
    source: dict[str, object]


def compared(ask: Ask, schema: SynchronizationSchema, people: Iterable[EntraPerson]) -> tuple[Comparison, ...]:
    """Return each expression of the mapping of users with what it gives here and at Microsoft, for the first people in play.

    An error takes the place of an answer, and ends the requests.
    """
    return tuple(_compared(ask, schema, list(_sample(people))))


def _sample(people: Iterable[EntraPerson]) -> Iterator[EntraPerson]:
    enabled = (one for one in people if one.state is State.ENABLED and (one.is_assigned or one.groups))
    yield from (one for _, one in zip(range(SAMPLE), enabled, strict=False))


def _compared(ask: Ask, schema: SynchronizationSchema, people: list[EntraPerson]) -> Iterator[Comparison]:
    for expression in _expressions(schema):
        for person in people:
            attributes: dict[str, Value] = {**person.attributes, "IsSoftDeleted": "False"}
            ours = _ours(expression, attributes)
            try:
                theirs = _theirs(ask(expression.text, _properties(expression, attributes)))
            except (ApiError, TransportError) as failed:
                yield Comparison(expression.target, expression.text, person.name, ours, "", failed.came_back)
                return
            yield Comparison(expression.target, expression.text, person.name, ours, theirs)


def _expressions(schema: SynchronizationSchema) -> Iterator[_Expression]:
    """Yield the rows that are expressions; a row of a mere attribute or a constant would not test the evaluator."""
    for row in listed((schema.user_mapping() or {}).get("attributeMappings")):
        source = row.get("source") or {}
        if source.get("type") == "Function" and source.get("expression"):
            yield _Expression(str(row.get("targetAttributeName")), str(source["expression"]), source)


def _ours(expression: _Expression, attributes: dict[str, Value]) -> str:
    try:
        return flowing(evaluate(read_source(expression.source), Person(attributes))) or ""
    except CannotTell as reason:
        return f"cannot tell ({reason})"


def _theirs(answer: Evaluated) -> str:
    return ", ".join(answer.values) if not answer.error else f"fails ({answer.error})"


def _properties(expression: _Expression, attributes: dict[str, Value]) -> list[dict[str, object]]:
    """Return the attributes that an expression names, as Graph takes a test object; one that is not known is left out."""
    try:
        names = sorted(attributes_of(read_source(expression.source)))
    except CannotTell:
        names = sorted(attributes)
    return [{"key": name, "value": _wire(attributes[name])} for name in names if name in attributes]


def _wire(value: Value) -> object:
    return list(value) if isinstance(value, tuple) else None if value is None else text_of(value)
