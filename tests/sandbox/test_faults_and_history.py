"""The one door: faults, history and routing, without sockets through the in-process adapter."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import requests

from runbook_lib.sandbox.demo_tenants import build_world, shown_state
from runbook_lib.sandbox.exchange import Call
from runbook_lib.sandbox.in_process import InProcessAdapter
from runbook_lib.sandbox.server import simulate
from runbook_lib.sandbox.simulation import KINDS, STATUS_KINDS, Simulation, parse_faults

AUTH0, GRAPH = "https://localhost:1", "https://localhost:3"


@pytest.fixture
def simulation() -> Simulation:
    return simulate(build_world(7, auth0_domain="localhost:1"))


@pytest.fixture
def http(simulation: Simulation) -> requests.Session:
    session = requests.Session()
    session.mount(
        "https://", InProcessAdapter(simulation, {"localhost:1": "auth0", "localhost:2": "login", "localhost:3": "graph"})
    )
    client = next(iter(simulation.world.auth0.clients.values()))
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    answer = session.post(f"{AUTH0}/oauth/token", json={**form, "audience": "https://localhost:1/api/v2/"})
    session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return session


def fault(simulation: Simulation, **values: Any) -> None:
    simulation.faults.extend(parse_faults([values]))


def first_connection(simulation: Simulation) -> str:
    return next(c["id"] for c in simulation.world.auth0.connections.values() if c["name"] == "fresh-azure-ad")


def test_the_history_names_every_request_in_order(simulation: Simulation, http: requests.Session) -> None:
    http.get(f"{AUTH0}/api/v2/connections?name=fresh-azure-ad")
    http.get(f"{AUTH0}/scim/v2/connections/con_x/Users")
    http.get(f"{GRAPH}/v1.0/organization")
    assert simulation.history == [
        {"n": 1, "service": "auth0", "method": "POST", "path": "/oauth/token", "query": "", "status": 200},
        {
            "n": 2,
            "service": "auth0",
            "method": "GET",
            "path": "/api/v2/connections",
            "query": "name=fresh-azure-ad",
            "status": 200,
        },
        {"n": 3, "service": "scim", "method": "GET", "path": "/scim/v2/connections/con_x/Users", "query": "", "status": 401},
        {"n": 4, "service": "graph", "method": "GET", "path": "/v1.0/organization", "query": "", "status": 401},
    ]


def test_a_secret_in_an_address_stands_in_the_history_as_its_id(simulation: Simulation, http: requests.Session) -> None:
    client = next(iter(simulation.world.auth0.clients.values()))
    http.get(f"{AUTH0}/api/v2/connections?name={client.client_secret}")
    http.get(f"{AUTH0}/api/v2/users/{client.client_secret}")
    assert simulation.history[-2]["query"] == f"name=<secret of {client.client_id}>"
    assert client.client_secret not in json.dumps(simulation.history)


@pytest.mark.parametrize("kind", STATUS_KINDS)
def test_a_status_fault_is_answered_in_the_services_own_shape_before_anything_happens(
    simulation: Simulation, http: requests.Session, kind: str
) -> None:
    fault(simulation, service="auth0", method="POST", path="*/scim-configuration", nth=1, kind=kind)
    url = f"{AUTH0}/api/v2/connections/{first_connection(simulation)}/scim-configuration"
    answer = http.post(url)
    assert (answer.status_code, answer.json()["statusCode"]) == (int(kind), int(kind))
    assert ("Retry-After" in answer.headers) == (kind in ("429", "503"))
    assert http.get(url).status_code == 404
    assert simulation.history[-2]["fault"] == kind


def test_status_faults_have_the_shape_of_each_service(simulation: Simulation, http: requests.Session) -> None:
    fault(simulation, service="graph", kind="500")
    fault(simulation, service="login", kind="500")
    fault(simulation, service="scim", kind="500")
    assert set(http.get(f"{GRAPH}/v1.0/organization").json()["error"]) >= {"code", "message", "innerError"}
    assert set(http.get("https://localhost:2/common/discovery").json()) >= {"error", "error_description"}
    assert http.get(f"{AUTH0}/scim/v2/connections/con_x/Users").json()["status"] == "500"


def test_the_nth_match_is_struck_and_only_that_one(simulation: Simulation, http: requests.Session) -> None:
    fault(simulation, service="auth0", path="/api/v2/connections", nth=2, kind="500")
    url = f"{AUTH0}/api/v2/connections"
    statuses = [http.get(f"{AUTH0}/api/v2/clients").status_code] + [http.get(url).status_code for _ in range(3)]
    assert statuses == [200, 200, 500, 200]


def test_two_faults_for_one_request_both_count_it(simulation: Simulation, http: requests.Session) -> None:
    fault(simulation, path="/api/v2/connections", nth=1, kind="500")
    fault(simulation, path="/api/v2/connections", nth=2, kind="429")
    url = f"{AUTH0}/api/v2/connections"
    assert [http.get(url).status_code for _ in range(3)] == [500, 429, 200]


@pytest.mark.parametrize(
    ("kind", "happened"), [("drop_before", False), ("reset", False), ("drop_after", True), ("truncate", True)]
)
def test_a_transport_fault_leaves_the_request_done_or_not_done(
    simulation: Simulation, http: requests.Session, kind: str, happened: bool
) -> None:
    fault(simulation, method="POST", kind=kind)
    connection = first_connection(simulation)
    with pytest.raises((requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        http.post(f"{AUTH0}/api/v2/connections/{connection}/scim-configuration")
    assert (connection in simulation.world.auth0.provisioning) == happened


def test_a_lost_write_is_answered_as_done_and_forgotten(simulation: Simulation, http: requests.Session) -> None:
    fault(simulation, method="POST", kind="lost_write")
    before = copy.deepcopy(simulation.world.auth0.provisioning)
    url = f"{AUTH0}/api/v2/connections/{first_connection(simulation)}/scim-configuration"
    assert http.post(url).status_code == 201
    assert simulation.world.auth0.provisioning == before
    assert http.post(url).status_code == 201


def test_faults_that_make_no_sense_are_refused() -> None:
    for wrong in ({"kind": "500"}, [{"kind": "explode"}], [{"kind": "500", "when": 1}], [{}], None):
        with pytest.raises(ValueError):
            parse_faults(wrong)
    assert [entry.kind for entry in parse_faults([{"kind": kind} for kind in KINDS])] == list(KINDS)


def test_what_is_not_simulated_says_so(
    simulation: Simulation, http: requests.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    unknown = http.get(f"{AUTH0}/api/v2/roles")
    method = http.put(f"{AUTH0}/api/v2/connections/{first_connection(simulation)}")
    assert [(answer.status_code, answer.headers["x-sandbox"]) for answer in (unknown, method)] == [
        (404, "not simulated"),
        (405, "not simulated"),
    ]
    assert capsys.readouterr().err.splitlines() == [
        "sandbox: auth0 does not simulate GET /api/v2/roles",
        f"sandbox: auth0 does not simulate PUT /api/v2/connections/{first_connection(simulation)}",
    ]


def test_the_clock_ticks_a_little_with_each_request_and_not_otherwise(simulation: Simulation, http: requests.Session) -> None:
    start = simulation.world.clock.timestamp()
    for _ in range(3):
        http.get(f"{AUTH0}/api/v2/clients")
    assert simulation.world.clock.timestamp() == pytest.approx(start + 0.15)


def test_two_worlds_of_one_seed_answer_alike_and_another_seed_does_not() -> None:
    def story(seed: int) -> list[Any]:
        simulation = simulate(build_world(seed, auth0_domain="localhost:1"))
        client = next(iter(simulation.world.auth0.clients.values()))
        form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
        body = json.dumps({**form, "audience": "https://localhost:1/api/v2/"}).encode()
        token = simulation.handle(
            Call("auth0", "POST", "/oauth/token", headers={"content-type": "application/json"}, body=body)
        ).answer
        headers = {"authorization": f"Bearer {token.body['access_token']}"}
        path = f"/api/v2/connections/{first_connection(simulation)}/scim-configuration"
        made = [simulation.handle(Call("auth0", "POST", p, headers=headers)).answer for p in (path, f"{path}/tokens")]
        return [token, *made, shown_state(simulation.world)]

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_the_state_holds_no_secret_and_shows_when_one_changes(simulation: Simulation, http: requests.Session) -> None:
    connection = simulation.world.auth0.connections[first_connection(simulation)]
    before = shown_state(simulation.world)
    texts = list(simulation.world.secrets())
    assert len(texts) > 20
    assert [text for text in texts if text in json.dumps(before)] == []

    masked = before["auth0"]["connections"][connection["id"]]["options"]["client_secret"]
    connection["options"]["client_secret"] = "another one"
    after = shown_state(simulation.world)["auth0"]["connections"][connection["id"]]["options"]["client_secret"]
    assert masked != after
    assert masked.endswith(f" of {connection['id']}>")


def test_a_saved_token_stays_masked_when_auth0_no_longer_knows_it(simulation: Simulation) -> None:
    provisioning = next(p for tenant in simulation.world.entra.values() for p in tenant.provisioning.values() if p.secrets)
    saved = provisioning.secrets["SecretToken"]
    simulation.world.auth0.provisioning.clear()
    state = json.dumps(shown_state(simulation.world))
    assert (saved in state, f'"SecretToken": "{saved.partition(".")[0]}"' in state) == (False, True)


def test_a_batch_item_names_the_batch_it_came_in_and_meets_faults_of_its_own(
    simulation: Simulation, http: requests.Session
) -> None:
    tenant = next(iter(simulation.world.entra.values()))
    client = next(iter(tenant.clients.values()))
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    scope = {"scope": f"{GRAPH}/.default"}
    token = http.post(f"https://localhost:2/{tenant.id}/oauth2/v2.0/token", data={**form, **scope}).json()["access_token"]
    fault(simulation, service="graph", path="/v1.0/organization", nth=2, kind="429")
    items = [{"id": str(n), "method": "GET", "url": "/organization"} for n in (1, 2)]
    answer = http.post(f"{GRAPH}/v1.0/$batch", json={"requests": items}, headers={"Authorization": f"Bearer {token}"})
    assert [item["status"] for item in answer.json()["responses"]] == [200, 429]
    envelope, *inner = [entry for entry in simulation.history if entry["service"] == "graph"]
    assert (envelope["path"], envelope["status"]) == ("/v1.0/$batch", 200)
    assert [(entry["batch"], entry["path"], entry["status"]) for entry in inner] == [
        (envelope["n"], "/v1.0/organization", 200),
        (envelope["n"], "/v1.0/organization", 429),
    ]


def test_a_fault_with_a_share_strikes_so_many_of_all_requests(simulation: Simulation, http: requests.Session) -> None:
    fault(simulation, service="auth0", kind="429", share=0.25, retry_after_s=1.5)
    answers = [http.get(f"{AUTH0}/api/v2/connections") for _ in range(400)]
    struck = [answer for answer in answers if answer.status_code == 429]
    assert 70 < len(struck) < 130
    assert {answer.headers["Retry-After"] for answer in struck} == {"1.5"}
