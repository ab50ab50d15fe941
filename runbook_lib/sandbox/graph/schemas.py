"""A job's schema: read whole, replaced whole, and the evaluator of its expressions."""

from __future__ import annotations

import copy
from typing import Any

from runbook_lib.sandbox.entra_engine.expressions import Evaluator, ExpressionError, Value, text
from runbook_lib.sandbox.entra_engine.expressions import parsed as parsed_expression
from runbook_lib.sandbox.exchange import Answer, Call
from runbook_lib.sandbox.graph.door import NO_PAYLOAD, content, parsed, route
from runbook_lib.sandbox.graph.errors import bad, no_patch_of_schema, not_found
from runbook_lib.sandbox.graph.odata import METADATA
from runbook_lib.sandbox.graph.schema_check import schema_flaw
from runbook_lib.sandbox.graph.schema_template import version
from runbook_lib.sandbox.graph.sync_door import (
    JOB_PATH,
    READ,
    SYNC,
    TEMPLATES,
    WRITE,
    action,
    forget_watermark,
    job_of,
    provisioning_of,
)
from runbook_lib.sandbox.world import Document, EntraTenant, World


@route("GET", f"{JOB_PATH}/schema", READ, query=(), only_own=True)
def get_schema(_world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Answer the whole schema."""
    return Answer(200, copy.deepcopy(provisioning_of(tenant, call).schemas[job_of(tenant, call)["id"]]))


@route("PUT", f"{JOB_PATH}/schema", WRITE, query=(), only_own=True)
def put_schema(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Replace the schema whole, keeping whatever was sent; a new initial cycle starts (how-provisioning-works), links stay.

    It begins with the next turn of a running job. Unverified: how strictly a schema is checked; here only that the engine can
    read it.
    """
    job = job_of(tenant, call)
    found = parsed(call, annotated=True)
    if not isinstance(found, dict):
        raise bad(NO_PAYLOAD, "BadRequest")
    if (flaw := schema_flaw(found)) is not None:
        raise bad(flaw, "InvalidSchema")
    provisioning_of(tenant, call).schemas[job["id"]] = {**found, "version": version(world)}
    forget_watermark(job)
    if world.switches["schema_lifts_quarantine"] and job["status"]["quarantine"]:
        job["status"].update(code="Active", quarantine=None)
    return Answer(204)


@route("PATCH", f"{JOB_PATH}/schema", WRITE, query=(), only_own=True)
def patch_schema(world: World, call: Call, _tenant: EntraTenant) -> Answer:
    """Refuse, as recorded: only PUT works."""
    return no_patch_of_schema(world, call.params["id"], call.params["job_id"])


# Expressions ---------------------------------------------------------------------------------------------------------


def parse_expression(world: World, call: Call, tenant: EntraTenant) -> Answer:
    """Parse an expression and evaluate it for a test object (synchronizationschema-parseexpression page).

    Unverified: the code and text of a failure, and what an evaluation without a test object says; here attributes have no value.
    """
    if "job_id" in call.params:
        job_of(tenant, call)
    elif call.params["template_id"] not in TEMPLATES:
        raise not_found(call.params["template_id"])
    wanted = content(call, ("expression", "testInputObject", "targetAttributeDefinition"), ("expression",))
    if not isinstance(wanted["expression"], str):
        raise bad("Invalid value specified for property 'expression'.")
    answer: Document = {
        "@odata.context": f"{METADATA}microsoft.graph.parseExpressionResponse",
        "error": None,
        "evaluationSucceeded": False,
        "evaluationResult": [],
        "parsedExpression": None,
        "parsingSucceeded": False,
    }
    attributes = _test_object(wanted.get("testInputObject"))
    try:
        answer |= {"parsedExpression": parsed_expression(wanted["expression"]), "parsingSucceeded": True}
        value = _evaluator(world, attributes).value(answer["parsedExpression"])
        shown = [] if value is None else list(value) if isinstance(value, tuple) else [text(value)]
        answer |= {"evaluationResult": shown, "evaluationSucceeded": True}
    except ExpressionError as wrong:
        code = "ExpressionEvaluationError" if answer["parsingSucceeded"] else "ExpressionParsingError"
        answer["error"] = {"code": code, "message": str(wrong), "tenantActionable": True}
    return Answer(200, answer)


def _evaluator(world: World, attributes: dict[str, Value]) -> Evaluator:
    return Evaluator(
        attributes.get,
        world.clock.now,
        null_is_empty=world.switches["null_in_expressions"] == "empty",
        iif_compares_null=world.switches["null_in_iif"] == "compares",
    )


def _test_object(found: Any) -> dict[str, Value]:
    """Return the attributes of a test object by name; several values are a list. Raises `Refused`."""
    properties = (found or {}).get("properties") if isinstance(found, dict | None) else False
    if not isinstance(properties, list | None):
        raise bad("Invalid value specified for property 'testInputObject'.")
    attributes: dict[str, Value] = {}
    for one in properties or []:
        if not isinstance(one, dict) or not isinstance(one.get("key"), str):
            raise bad("Invalid value specified for property 'properties'.")
        value = one.get("value")
        if isinstance(value, bool):
            value = str(value)
        attributes[one["key"]] = tuple(map(str, value)) if isinstance(value, list) else None if value is None else str(value)
    return attributes


for _below in (f"{JOB_PATH}/schema", f"{SYNC}/templates/{{template_id}}/schema"):
    action("parseExpression", below=_below)(parse_expression)
