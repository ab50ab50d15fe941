"""SCIM by others: scim2-tester on the endpoint, scim-patch as a second opinion on every PATCH of the provisioning engine."""

from __future__ import annotations

import copy
import json
import re
import sys
from typing import Any

import pytest

from runbook_lib.sandbox.auth0.scim_configuration import new_configuration, new_token
from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.scim.resource import flattened
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.simulation import Delivery, Simulation
from runbook_lib.sandbox.world import ScimProvisioning
from tests.outside.installing import HERE

SCOPES = [f"{verb}:users" for verb in ("get", "post", "put", "patch", "delete")]

# What scim2-tester finds and the sandbox keeps: check, words of the finding, why, and who says so.
EXCEPTIONS = [
    (
        "service_provider_config_endpoint|query_all_resource_types|query_all_schemas|.*_endpoint_methods|search_with_attributes",
        "does not simulate|instead of 405",
        "Auth0 documents no discovery paths and no POST /.search, and nobody published an answer of theirs",
    ),
    (
        "object_query_with_attributes|object_list_with_attributes",
        "excluded attribute",
        "Auth0 documents no choice of attributes (configure-inbound-scim lists the operations)",
    ),
    (
        "check_add_attribute|check_replace_attribute",
        "unexpected value for '(name|emails|phoneNumbers|ims|photos|addresses|entitlements|roles|x509Certificates)'",
        "what the mapping does not name is ignored: other types, display, middle names (configure-inbound-scim)",
    ),
    ("check_remove_attribute", "'active'", "Unverified: a user whose `active` is removed is not blocked, and so is active"),
]


def endpoint(sandbox: Sandbox) -> dict[str, str]:
    """Turn SCIM on for a connection; return its address and a token with every scope of users."""
    world = sandbox.world
    connection = next(one for one in world.auth0.connections.values() if one["name"] == "oid-with-users-azure-ad")
    side = world.auth0.provisioning[connection["id"]] = ScimProvisioning(new_configuration(world, connection, {}))
    document, text = new_token(world, list(SCOPES), None)
    side.tokens.append(document)
    side.token_values[document["token_id"]] = text
    return {"SCIM_BASE": f"https://{world.auth0.domain}/scim/v2/connections/{connection['id']}", "SCIM_TOKEN": text}


def conformance(lines: list[dict[str, Any]]) -> tuple[int, list[str], set[int]]:
    """Return how many checks succeeded, what no exception covers, and which exceptions were needed."""
    left, used = [], set()
    for line in (line for line in lines if line["status"] not in ("SUCCESS", "SKIPPED")):
        covering = [n for n, (check, words, _) in enumerate(EXCEPTIONS)
                    if re.fullmatch(check, line["check"]) and re.search(words, line["reason"])]  # fmt: skip
        used |= set(covering)
        left += [] if covering else [f"{line['check']}: {line['reason']}"]
    return sum(line["status"] == "SUCCESS" for line in lines), left, used


def test_the_endpoint_conforms_but_for_what_auth0_leaves_out(judge, sandbox):
    """Part of the ordinary run: scim2-tester is among the test requirements."""
    pytest.importorskip("scim2_tester", reason="pip install -r tests/requirements.txt brings scim2-tester")
    lines = judge([sys.executable, str(HERE / "judges" / "scim2_tester_run.py")], **endpoint(sandbox))
    succeeded, left, used = conformance(lines)
    assert left == []
    assert used == set(range(len(EXCEPTIONS)))  # one that is not needed any more goes
    assert succeeded >= 60


@pytest.fixture
def patches(monkeypatch, sandbox) -> list[dict[str, Any]]:
    """Every PATCH to the SCIM endpoint with the user before and after, as the endpoint shows it."""
    found: list[dict[str, Any]] = []
    original = Simulation.handle

    def handle(self: Simulation, call: Call) -> Delivery:
        if call.service != "scim" or call.method != "PATCH":
            return original(self, call)
        reading = Call("scim", "GET", call.path, headers=call.headers, origin=call.origin)
        before = original(self, reading).answer
        delivery = original(self, call)
        after = original(self, reading).answer
        operations = call.json()["Operations"]
        found.append({"before": before.body, "operations": operations, "after": copy.deepcopy(after.body), "n": call.number})
        return delivery

    monkeypatch.setattr(Simulation, "handle", handle)
    return found


def test_scim_patch_makes_the_same_of_every_patch_of_the_engine(
    judge, node, patches, sandbox, tenant, carry_out, control, entra, tmp_path
):
    """A run on `fresh` (on demand, the old dialect), its first cycle (the compliant one), changes of people, a second cycle."""
    assert carry_out(tenant("fresh")).status == "done"
    job = next(iter(next(p for p in entra("fresh").provisioning.values() if p.jobs).jobs))
    control("POST", "/cycle", {"job_id": job})
    people = list(entra("fresh").users.values())
    people[0]["displayName"], people[1]["accountEnabled"] = "Adele V. Vance", False
    people[2]["givenName"], people[2]["surname"], people[2]["department"] = "Chris", "Klein", "Legal"
    control("POST", "/cycle", {"job_id": job})
    people[1]["accountEnabled"] = True
    control("POST", "/cycle", {"job_id": job})
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps(patches))
    opinions = judge(node("scim_patch.mjs"), CASES=str(cases))
    assert len(opinions) == len(patches) >= 16
    rows = {row["scim"].lower() for row in default_rows(sandbox)}
    for case, opinion in zip(patches, opinions, strict=True):
        assert mapped(opinion["after"], rows) == mapped(case["after"], rows), case["operations"]


def default_rows(sandbox: Sandbox) -> list[dict[str, str]]:
    connection = next(one for one in sandbox.world.auth0.connections.values() if one["name"] == "fresh-azure-ad")
    rows: list[dict[str, str]] = sandbox.world.auth0.provisioning[connection["id"]].configuration["mapping"]
    return rows


def mapped(user: dict[str, Any], rows: set[str]) -> dict[str, str]:
    """Return a user's values that the mapping names, as texts in lower case for booleans: Entra's old dialect sends texts."""
    values = {path: value for path, value in flattened(user).items() if path.lower() in rows}
    return {path: str(value).lower() if path == "active" else value for path, value in values.items() if value not in (None, "")}
