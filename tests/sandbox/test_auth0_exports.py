"""Export jobs over HTTPS: the job, its file on another host for a minute, and that this host takes no token of Auth0's."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.sandbox.auth0_http import Auth0

FIELDS = [
    {"name": "user_id"},
    {"name": "email"},
    {"name": "app_metadata"},
    {"name": "identities[0].connection", "export_as": "via"},
]


def completed(management: Auth0, body: dict[str, Any]) -> dict[str, Any]:
    """Run a job to its end and return it as it is answered then."""
    job = management("POST", "/jobs/users-exports", body).json()
    states = [job["status"]]
    while job["status"] != "completed" and len(states) < 10:
        job = management("GET", f"/jobs/{job['id']}").json()
        states.append(job["status"])
    assert states == ["pending", "processing", "completed"]
    return job


@pytest.fixture
def download(management: Auth0):
    """Get an address without any header of the Management API."""
    return lambda address, **more: management.session.get(address, timeout=20, **more)


def test_an_export_holds_all_users_of_a_connection_as_ndjson(management, control, download):
    control("POST", "/people", {"tenant": "fresh", "people": 1200})
    adele = management.user()
    adele["app_metadata"], adele["email"] = {"external_id": "oid-1", "deep": {"a": [1]}}, "Adele.Vance@fresh.example"
    job = completed(management, {"connection_id": management.connection()["id"], "format": "json", "fields": FIELDS})
    assert {key: job[key] for key in ("type", "format", "fields", "connection_id", "percentage_done")} == {
        "type": "users_export", "format": "json", "fields": FIELDS, "connection_id": management.connection()["id"],
        "percentage_done": 100,
    }  # fmt: skip
    answer = download(job["location"])
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/gzip")
    rows = [json.loads(line) for line in gzip.decompress(answer.content).decode().splitlines()]
    assert len(rows) == 1199
    assert rows[0] == {
        "user_id": adele["user_id"],
        "email": "Adele.Vance@fresh.example",
        "app_metadata": {"external_id": "oid-1", "deep": {"a": [1]}},
        "via": "fresh-azure-ad",
    }
    assert {row["via"] for row in rows} == {"fresh-azure-ad"}


def test_the_file_lies_on_another_host_and_takes_no_token_of_auth0s(management, download, sandbox):
    job = completed(management, {"connection_id": management.connection()["id"], "format": "json"})
    host = urlsplit(job["location"]).netloc
    assert host == f"localhost:{sandbox.ports['files']}" != management.world.auth0.domain
    answer = download(job["location"], headers={"Authorization": "Bearer every-scope"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/xml")
    assert "<Code>InvalidArgument</Code>" in answer.text
    assert download(job["location"]).status_code == 200
    refused, good = sandbox.simulation.history[-2:]
    assert (refused["service"], refused["status"], refused["carried"]) == ("files", 400, "authorization")
    assert (good["status"], "carried" in good) == (200, False)
    [signature] = parse_qs(urlsplit(job["location"]).query)["Signature"]
    assert signature not in json.dumps(sandbox.simulation.history)


def test_a_link_is_good_for_60_seconds_and_the_job_gives_another_for_a_day(management, download, control):
    job = completed(management, {"format": "json"})
    control("POST", "/clock", {"advance_s": 58})
    assert download(job["location"]).status_code == 200
    control("POST", "/clock", {"advance_s": 2})
    answer = download(job["location"])
    assert (answer.status_code, "Request has expired" in answer.text) == (403, True)
    again = management("GET", f"/jobs/{job['id']}").json()["location"]
    assert (again != job["location"], download(again).status_code) == (True, 200)
    assert download(again.replace("Signature=", "Signature=0")).status_code == 403
    control("POST", "/clock", {"advance_s": 86_400})
    assert management.refusal("GET", f"/jobs/{job['id']}")[:2] == (404, "inexistent_job")


def test_without_a_connection_all_users_are_exported_and_a_limit_holds(management, download):
    everyone = completed(management, {"format": "json"})
    lines = gzip.decompress(download(everyone["location"]).content).splitlines()
    assert len(lines) == len(management.world.auth0.users)
    few = completed(management, {"format": "json", "limit": 5})
    assert len(gzip.decompress(download(few["location"]).content).splitlines()) == 5


def test_a_csv_export_quotes_against_injection_and_holds_no_whole_metadata(management, download):
    fields = [{"name": "email", "export_as": "mail"}, {"name": "logins_count"}, {"name": "app_metadata.external_id"}]
    job = completed(management, {"connection_id": management.connection()["id"], "format": "csv", "fields": fields})
    text = gzip.decompress(download(job["location"]).content).decode()
    [names, first, *_] = csv.reader(io.StringIO(text))
    assert (names, first) == (["mail", "logins_count", "app_metadata.external_id"], ["'adele.vance@fresh.example", "12", ""])
    assert management.refusal("POST", "/jobs/users-exports", {"format": "csv", "fields": FIELDS})[0] == 400
    many = [{"name": f"app_metadata.a{n}"} for n in range(31)]
    assert management.refusal("POST", "/jobs/users-exports", {"format": "csv", "fields": many})[:2] == (400, "invalid_body")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"format": "xml"}, 400), ({"limit": 0}, 400), ({"fields": [{}]}, 400), ({"fields": "user_id"}, 400), ({"color": 1}, 400),
        ({"connection_id": "con_x"}, 404), ([], 400),
    ],
)  # fmt: skip
def test_a_job_outside_the_description_is_refused(management, body, status):
    assert management("POST", "/jobs/users-exports", body).status_code == status
    assert management.world.auth0.jobs == {}


def test_the_file_host_breaks_as_the_others_do(management, download, control):
    job = completed(management, {"format": "json"})
    control("POST", "/faults", [{"service": "files", "kind": "503"}, {"service": "files", "kind": "drop_after", "nth": 2}])
    answer = download(job["location"])
    assert (answer.status_code, answer.headers["Content-Type"], "<Code>SlowDown</Code>" in answer.text) == (
        503,
        "application/xml",
        True,
    )
    with pytest.raises(requests.ConnectionError):
        download(job["location"])
    assert download(job["location"]).status_code == 200
