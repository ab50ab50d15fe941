"""Export jobs: all users of a connection, however many, in one file on another host.

Sources: bulk-user-exports page; Management API reference, jobs (create export users job, get a job).
"""

from __future__ import annotations

import copy
import csv
import gzip
import io
import json
import re
from typing import Any
from urllib.parse import quote

from runbook_lib.sandbox.auth0 import rules
from runbook_lib.sandbox.auth0.door import needs
from runbook_lib.sandbox.auth0.errors import NO_CONNECTION, error
from runbook_lib.sandbox.exchange import Answer, Call, Router
from runbook_lib.sandbox.world import Document, World

LINK_S = 60
JOB_S = 86_400
POLLS = 2  # how often a job is asked for until it is done. Unverified: real ones take seconds to hours
CSV_FIELDS = 30
# Unverified: which fields an export holds when none is named; these are the normalized profile's that the page lets export.
DEFAULT_FIELDS = (
    "user_id",
    "email",
    "email_verified",
    "name",
    "nickname",
    "given_name",
    "family_name",
    "created_at",
    "updated_at",
)
_STEP = re.compile(r"(\w+)|\[(\d+)\]")
files = Router()


@needs("POST", "/api/v2/jobs/users-exports", "read:users", body=rules.NEW_EXPORT)
def post_users_export(world: World, call: Call) -> Answer:
    """Start an export; without a connection of all users. Unverified: an unknown connection is a 404; format json by default."""
    body = call.json() or {}
    connection = world.auth0.connections.get(body.get("connection_id", ""))
    if "connection_id" in body and connection is None:
        return NO_CONNECTION
    if body.get("format") == "csv" and (wrong := _refused_csv(body)):
        return error(400, wrong, "invalid_body")
    job: Document = {
        "type": "users_export",
        "status": "pending",
        **({} if connection is None else {"connection_id": connection["id"], "connection": connection["name"]}),
        "format": body.get("format", "json"),
        **{name: body[name] for name in ("limit", "fields") if name in body},
        "created_at": world.clock.auth0(),
        "id": f"job_{world.ids.alphanumeric(16)}",
    }
    world.auth0.jobs[job["id"]] = {"job": job, "ends": world.clock.timestamp() + JOB_S, "polls": 0, "links": {}}
    return Answer(200, copy.deepcopy(job))


def _refused_csv(body: Document) -> str:
    names = [field["name"] for field in body.get("fields", [])]
    if len(names) > CSV_FIELDS:
        return f"Payload validation error: 'Array is too long ({len(names)}), maximum {CSV_FIELDS}' on property fields."
    whole = [name for name in names if name in ("app_metadata", "user_metadata")]
    return f"CSV exports cannot hold {whole[0]} as a single object." if whole else ""


@needs("GET", "/api/v2/jobs/{id}", "read:users", "create:users", "create:passwords_checking_job")
def get_job(world: World, call: Call) -> Answer:
    """Answer a job; when it is done, with a link that is new each time and good for 60 s. After 24 h it is forgotten."""
    entry = world.auth0.jobs.get(call.params["id"])
    if entry is None or entry["ends"] <= world.clock.timestamp():
        return error(404, "The job does not exist.", "inexistent_job")
    job = entry["job"]
    entry["polls"] += 1
    if entry["polls"] < POLLS:
        job["status"] = "processing"
        return Answer(200, {**copy.deepcopy(job), "percentage_done": 100 * entry["polls"] // POLLS})
    if job["status"] != "completed":
        job["status"], entry["content"] = "completed", _written(world, job)
    signature = world.ids.hexadecimal(64)
    expires = int(world.clock.timestamp()) + LINK_S
    entry["links"][signature] = expires
    where = f"{world.auth0.files_origin}/{quote(job['id'])}/{quote(world.auth0.name)}.{job['format']}.gz"
    location = f"{where}?Expires={expires}&Signature={signature}"
    return Answer(200, {**copy.deepcopy(job), "percentage_done": 100, "location": location})


def _written(world: World, job: Document) -> bytes:
    """Return the export file: gzipped NDJSON, or gzipped CSV with OWASP's quotes."""
    users = world.auth0.users
    name = job.get("connection")
    found = users.everyone() if name is None else users.holding("identities.connection", [name])
    if name is not None:
        found = [user for user in found if any(identity["connection"] == name for identity in user.get("identities", []))]
    fields = [(field["name"], field.get("export_as", field["name"])) for field in job.get("fields", [])]
    fields = fields or [(field, field) for field in DEFAULT_FIELDS]
    rows = [{shown: _at(user, path) for path, shown in fields} for user in found[: job.get("limit", len(found))]]
    text = _csv([shown for _, shown in fields], rows) if job["format"] == "csv" else _ndjson(rows)
    return gzip.compress(text.encode(), compresslevel=1, mtime=0)


def _at(user: Document, path: str) -> Any:
    """Return the value at an export field's path: dots and `[n]`; None where there is none."""
    value: Any = user
    for name, place in _STEP.findall(path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[int(place)] if isinstance(value, list) and int(place) < len(value) else None
    return value


def _ndjson(rows: list[Document]) -> str:
    """Return one object a line, without the fields that a user has not. Unverified: that such fields are left out."""
    kept = ({name: value for name, value in row.items() if value is not None} for row in rows)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in kept)


def _csv(names: list[str], rows: list[Document]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(names)
    for row in rows:
        writer.writerow([f"'{value}" if isinstance(value, str) else value for value in row.values()])  # against CSV injection
    return written.getvalue()


# The host of the files: not Auth0's, and it knows no Auth0 token ---------------------------------------------------------


def body(_world: World, status: int, message: str) -> str:
    """Return the body of an error that has no words of its own."""
    return _xml(status, message)


def _xml(status: int, message: str) -> str:
    """Return an error of the file host: XML, as Amazon S3 writes it (S3 error responses page)."""
    code = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 503: "SlowDown"}.get(status, "InternalError")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message or code}</Message></Error>\n'


def _refused(status: int, message: str) -> Answer:
    return Answer(status, _xml(status, message), content_type="application/xml")


@files.on("GET", "/{job_id}/{name}")
def get_file(world: World, call: Call) -> Answer:
    """Answer the file of a link that is signed and still good; a request with an Authorization header is refused.

    Amazon S3, on which Auth0 keeps exports, takes one way to sign in only (S3 error responses page).
    """
    if "authorization" in call.headers:
        words = "Only one auth mechanism allowed; only the Signature query string parameter or the Authorization header"
        return _refused(400, f"{words} should be specified")
    entry = world.auth0.jobs.get(call.params["job_id"])
    expires = None if entry is None else entry["links"].get(call.argument("Signature"))
    if entry is None or expires is None or str(expires) != call.argument("Expires"):
        return _refused(403, "Access Denied")
    if expires <= world.clock.timestamp():
        return _refused(403, "Request has expired")
    return Answer(200, entry["content"], content_type="application/gzip")
