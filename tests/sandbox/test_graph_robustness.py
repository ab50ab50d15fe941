"""No input makes the Microsoft side crash: whatever is sent, Graph answers with an error of its own."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from runbook_lib.sandbox.graph.routes import router
from tests.sandbox.graph_world import Graph
from tests.sandbox.live import row

ODD: tuple[Any, ...] = (None, 0, -1, 1.5, True, "", "x", "\u00e9\u0000", [], [None], [[]], {}, {"x": {}}, [{"key": []}], 10**40)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return Graph("complete")


def bodies(graph: Graph) -> dict[str, Any]:
    """A right body for each write, by the end of its path."""
    principal, job_id, saved = graph.provisioning()
    rule = saved.schemas[job_id]["synchronizationRules"][0]["id"]
    adele = graph.person("Adele Vance")["id"]
    return {
        "/schema": saved.schemas[job_id],
        "/secrets": {"value": [{"key": "SyncAll", "value": "false"}]},
        "/jobs": {"templateId": "scim"},
        "validateCredentials": {"useSavedCredentials": True, "templateId": "scim", "credentials": []},
        "provisionOnDemand": {"parameters": [{"ruleId": rule, "subjects": [{"objectId": adele, "objectTypeName": "User"}]}]},
        "restart": {"criteria": {"resetScope": "Full"}},
        "parseExpression": {"expression": "Left([a], 1)", "testInputObject": {"properties": [{"key": "a", "value": "b"}]}},
        "appRoleAssignedTo": {"principalId": adele, "resourceId": principal, "appRoleId": "18d14569-c3bd-439b-9a66-3a2aee01d14f"},
        "checkMemberGroups": {"groupIds": ["x"]},
        "instantiate": {"displayName": "x"},
        "$batch": {"requests": [{"id": "1", "method": "GET", "url": "/users", "dependsOn": [], "headers": {}, "body": {}}]},
        "$ref": {"@odata.id": f"https://graph.microsoft.com/v1.0/users/{adele}"},
        "": {"displayName": "x", "accountEnabled": True, "businessPhones": ["1"], "appRoles": [], "tags": [], "notes": "n"},
    }


def paths(graph: Graph) -> Iterator[tuple[str, str]]:
    """Every route with the ids of objects that are there."""
    principal, job_id, _ = graph.provisioning()
    adele, group = graph.person("Adele Vance")["id"], next(iter(graph.tenant.groups))
    application = next(iter(graph.tenant.applications.values()))
    ids = {"job_id": job_id, "template_id": "scim", "assignment_id": "x", "object_id": adele, "app_id": application["appId"]}
    for route in router.routes():
        one = {"users": adele, "groups": group, "servicePrincipals": principal, "applications": application["id"]}
        kind = route.template.split("/")[2].split("(")[0]
        path = route.template
        for name, value in {**ids, "id": one.get(kind, "8adf8e6e-67b2-4cf2-a259-e3dc5476c621")}.items():
            path = path.replace("{" + name + "}", value)
        if route.method != "DELETE":
            yield route.method, path.removeprefix("/v1.0")


def spoiled(value: Any, chance: random.Random) -> Any:
    """A copy in which one place, somewhere, holds something odd."""
    found = copy.deepcopy(value)
    place = found
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return chance.choice(ODD)
        key = chance.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and chance.random() < 0.85:
            place = place[key]
            continue
        if isinstance(place, dict) and chance.random() < 0.2:
            place[chance.choice(("x", "\u00e9", "@odata.type", ""))] = chance.choice(ODD)
        elif isinstance(place, dict) and chance.random() < 0.2:
            del place[key]
        else:
            place[key] = chance.choice(ODD)
        return found


def test_no_body_crashes_a_write(graph):
    chance, right, before = random.Random(11), bodies(graph), graph.world.snapshot()
    crashed = []
    for method, path in [found for found in paths(graph) if found[0] != "GET"]:
        pattern = next(end for end in right if path.endswith(end))
        odd = [*ODD, b"{", b"[" * 100_000, b"\xff", *(spoiled(right[pattern], chance) for _ in range(60))]
        for body in odd:
            answer = graph.call(method, path, body)
            is_documented = answer.status == 500 and answer.body["error"]["code"] == "InternalError"  # key in another casing
            if answer.status >= 500 and not is_documented:
                crashed.append((method, path, body, answer.status))
        graph.world.restore(before)
        before = graph.world.snapshot()
    assert crashed == []


QUERIES = (
    "$top=0&$top=x",
    "$top=99999999999999999999",
    "$skiptoken=x",
    "$skiptoken=%C3%A9",
    "$filter=",
    "$filter=id eq",
    "$filter=(((",
    "$filter=startswith(displayName,'",
    "$filter=displayName in ()",
    "$filter=id eq '%00'",
    "$select=,",
    "$select=%C3%A9",
    "$orderby=displayName sideways",
    "$orderby=,",
    "$search=%22",
    "$search=x",
    "$count=maybe",
    "$expand=manager",
    "x",
    "=",
    "%",
)


def test_no_query_crashes_a_read(graph):
    reads = sorted({path for method, path in paths(graph) if method == "GET"})
    answers = [
        (path, query, graph.call("GET", f"{path}?{query}", consistencylevel="eventual").status)
        for path in [*reads, *(path.rsplit("/", 1)[0] + "/%00\u00e9'" for path in reads)]
        for query in QUERIES
    ]
    assert [found for found in answers if found[2] >= 500] == []


def test_the_engine_works_through_any_schema_that_put_takes(graph):
    """Whatever is kept as a schema, the next provision on demand and cycle answer."""
    chance, (principal, job_id, saved) = random.Random(5), graph.provisioning()
    job, kept = f"/servicePrincipals/{principal}/synchronization/jobs/{job_id}", copy.deepcopy(saved.schemas[job_id])
    mapping = kept["synchronizationRules"][0]["objectMappings"][1]
    mapping["scope"] = {"groups": [{"name": "f", "clauses": [{"sourceOperandName": "city", "operatorName": "EQUALS"}]}]}
    switch = next(one for one in mapping["attributeMappings"] if one["targetAttributeName"] == "active")["source"]
    mapping["attributeMappings"] += [row("nickName", switch, defaultValue="x"), row("title", {"type": "None"})]
    small = {**kept, "directories": [], "synchronizationRules": [{"id": "r", "objectMappings": [mapping]}]}
    taken = 0
    for _ in range(250):
        if graph.call("PUT", f"{job}/schema", spoiled(small, chance)).status == 204:
            taken += 1
            subject = {"objectId": graph.person("Adele Vance")["id"], "objectTypeName": "User"}
            rules = saved.schemas[job_id]["synchronizationRules"]
            body = {"parameters": [{"ruleId": rules[0]["id"] if rules else "r", "subjects": [subject]}]}
            graph.tenant.on_demand_times.clear()
            assert graph.call("POST", f"{job}/provisionOnDemand", body).status in (200, 400)
    assert taken > 100
