"""No input crashes a service: random bodies, queries and addresses, without sockets so that there can be many."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbook_lib.sandbox.auth0.scim_configuration import new_configuration, new_token
from runbook_lib.sandbox.demo_tenants import build_world
from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.world import ScimProvisioning
from tests.sandbox.auth0_http import EVERY_SCOPE, SCIM_SCOPES

WORDS = st.sampled_from(
    "Operations op path value replace Remove add emails name active userName externalId members schemas options mapping scim "
    "auth0 scopes token_lifetime user_id_attribute app_metadata blocked fields format connection_id status client_id "
    "emails[typeeq|work] emails[typeeq|work].value urn:ietf:params:scim:schemas:extension:enterprise:2.0:User".split()
).map(lambda word: word.replace("eq|work", ' eq "work"'))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4), max_leaves=12
)
BODIES = st.binary(max_size=12) | VALUES.map(lambda value: json.dumps(value).encode())
PATCHES = st.lists(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "Replace", "remove"])}, optional={"path": WORDS, "value": VALUES})
)
QUERIES = st.text(alphabet='abc=&%20"()[]', max_size=30) | st.sampled_from(
    [
        "filter=userName%20eq",
        "filter=",
        "count=-1&startIndex=0",
        "page=9&per_page=0",
        "q=a:%22",
        "from=%00",
        "sort=:",
        "fields=,,",
    ]
)


NESTED = st.sampled_from([b"[" * 5000, b'{"a":' * 5000, b"9" * 5000, b'{"a":1e400}', b'{"a":"\\ud800"}', b'{"a":NaN}'])


def addresses(world: Any) -> list[tuple[str, str, str]]:
    connection = next(one["id"] for one in world.auth0.connections.values() if one["name"] == "fresh-azure-ad")
    user = next(user["user_id"] for user in world.auth0.users.everyone() if user["user_id"].startswith("waad|"))
    one, scim = f"/api/v2/connections/{connection}", f"/scim/v2/connections/{connection}/Users"
    configuration = f"{one}/scim-configuration"
    of_auth0 = [
        "/api/v2/connections",
        one,
        f"{one}/clients",
        f"{one}/status",
        f"{one}/users",
        configuration,
        f"{configuration}/tokens",
    ]
    of_auth0 += [
        f"{configuration}/default-mapping",
        "/api/v2/users",
        f"/api/v2/users/{user}",
        "/api/v2/users-by-email",
        "/api/v2/logs",
    ]
    of_auth0 += ["/api/v2/clients", "/api/v2/jobs/users-exports", "/api/v2/jobs/x", "/oauth/token"]
    tenant = next(iter(world.entra))
    of_login = [f"/{tenant}/oauth2/v2.0/token", f"/{tenant}/oauth2/v2.0/devicecode", f"/{tenant}/sandbox/approve"]
    return [
        *(("auth0", path, "every-scope") for path in of_auth0),
        *(("scim", path, "scim") for path in (scim, f"{scim}/{user}", f"{scim}/")),
        *(("login", path, "") for path in (*of_login, f"/{tenant}/oauth2/deviceauth")),
        ("files", "/job_x/a.json.gz", ""),
    ]


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), body=BODIES | NESTED, query=QUERIES, method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
def test_whatever_comes_is_answered_and_not_with_a_500(data, body, query, method):
    world = build_world(7, auth0_domain="localhost:1", names=["fresh"])
    world.auth0.access_tokens["every-scope"] = {"scopes": EVERY_SCOPE, "expires": 1e12, "client_id": "test"}
    connection = next(one for one in world.auth0.connections.values() if one["name"] == "fresh-azure-ad")
    side = world.auth0.provisioning[connection["id"]] = ScimProvisioning(new_configuration(world, connection, {}))
    document, text = new_token(world, list(SCIM_SCOPES), None)
    side.tokens.append(document)
    side.token_values[document["token_id"]] = text
    service, path, token = data.draw(st.sampled_from(addresses(world)))
    if service == "scim" and method == "PATCH":
        body = json.dumps({"Operations": data.draw(PATCHES)}).encode()
    headers = {"authorization": f"Bearer {text if token == 'scim' else token}", "content-type": "application/json"}
    simulation = simulate(world)
    answer = simulation.handle(Call(service, method, path, query, headers, body, "https://localhost:1")).answer
    assert 200 <= answer.status < 500 or answer.status == 501
    answer.encoded()
    again = Call("scim", "GET", f"/scim/v2/connections/{connection['id']}/Users", headers={"authorization": f"Bearer {text}"})
    assert simulation.handle(again).answer.status in (200, 401)  # what was stored can be shown
