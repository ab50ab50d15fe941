"""A whole fleet over a bad network, and one under a low rate limit; the judge is the sandbox, not what the tool reports."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbook_lib.sandbox.pressure import PLANS
from tests.benchmarks.measuring import Bench

BAD = 3
WEATHER = (
    {"kind": "429", "share": 0.05, "service": "auth0"},
    {"kind": "429", "share": 0.05, "service": "graph"},
    {"kind": "reset", "share": 0.01, "service": "auth0"},
    {"kind": "reset", "share": 0.01, "service": "graph"},
)
_OWN = ("auth0", "graph", "login")


@dataclass(frozen=True)
class Faulty:
    """A fleet in bad weather: tenants by status, the faults struck, and the tenants the resumed run asked for."""

    statuses: dict[str, int]
    explained: dict[str, str]
    faults: dict[str, int]
    resumed: dict[str, int]
    started: frozenset[str]
    touched: frozenset[str]
    secrets_found: tuple[str, ...]


def faulty(count: int, jobs: int = 16) -> Faulty:
    """Apply the procedure to so many tenants, three of them without their test user, then go on with `--resume`."""
    with Bench.opened(count) as bench, tempfile.TemporaryDirectory() as folder:
        tenants, bad = _with_bad_rows(bench, Path(folder), count)
        bench.control("POST", "/faults", list(WEATHER))
        first = _run([str(tenants), "--mode", "apply", "--jobs", str(jobs), "--out", f"{folder}/out"])
        history = bench.control("GET", "/history")
        bench.control("DELETE", "/faults")
        again = _run(["--resume", first["folder"], "--jobs", str(jobs)])
        later = bench.control("GET", "/history")[len(history) :]
        state = bench.control("GET", "/state")
        assert {one["name"] for one in again["tenants"] if one["status"] == "blocked"} == bad
        return Faulty(
            dict(Counter(one["status"] for one in first["tenants"])),
            {one["name"]: one["about"] for one in first["tenants"] if one["status"] != "done"},
            dict(Counter(entry["fault"] for entry in history if entry.get("fault"))),
            dict(Counter(one["status"] for one in again["tenants"])),
            _started(state),
            _touched(later, state),
            _found(Path(folder) / "out", _secrets(Path(bench.ready["tenants_file"]).parent)),
        )


def _with_bad_rows(bench: Bench, folder: Path, count: int) -> tuple[Path, set[str]]:
    """Write a tenants file of the `tenant-…` rows; three of them name a test user who does not exist."""
    with Path(bench.ready["tenants_file"]).open(newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["name"].startswith("tenant-")][:count]
    bad = {row["name"] for row in rows[:: max(1, count // BAD)][:BAD]}
    for row in rows:
        if row["name"] in bad:
            row["test_user"] = "nobody@" + row["test_user"].partition("@")[2]
    path = folder / "tenants.csv"
    with path.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path, bad


def _run(arguments: Sequence[str]) -> Any:
    command = [sys.executable, "-m", "runbook_lib", "run", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout)


def _started(state: Any) -> frozenset[str]:
    """Return the tenants whose one SCIM job is started, one enterprise application and one token each."""
    started = set()
    for entra in state["entra"].values():
        name = entra["domain"].removesuffix(".onmicrosoft.com")
        ours = [one["id"] for one in entra["service_principals"].values() if one["displayName"] == f"Acme SCIM ({name})"]
        jobs = [job for one in ours if one in entra["provisioning"] for job in entra["provisioning"][one]["jobs"].values()]
        connection = next(one["id"] for one in state["auth0"]["connections"].values() if one["name"] == f"{name}-azure-ad")
        tokens = state["auth0"]["scim_tokens"].get(connection, [])
        if len(ours) == len(jobs) == len(tokens) == 1 and jobs[0]["schedule"]["state"] == "Active":
            started.add(name)
    return frozenset(name for name in started if name.startswith("tenant-"))


def _touched(history: Sequence[dict[str, Any]], state: Any) -> frozenset[str]:
    """Return the tenants of which something in Auth0 was asked: by the id or the name of their connection."""
    paths = " ".join(f"{one['path']}?{one['query']}" for one in history if one["service"] in _OWN)
    connections = state["auth0"]["connections"].values()
    named = [one for one in connections if one["id"] in paths or one["name"] in paths]
    return frozenset(one["name"].removesuffix("-azure-ad") for one in named)


def _secrets(folder: Path) -> set[str]:
    return {path.read_text() for path in (folder / "secrets").iterdir()}


def _found(folder: Path, secrets: set[str]) -> tuple[str, ...]:
    """Return the files that hold a secret of the tenants file, or a SCIM token's text."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            found += [str(path)] * (any(secret in text for secret in secrets) or ("tok_" in text and _holds_token(text)))
    return tuple(found)


def _holds_token(text: str) -> bool:
    return any(len(rest) > 64 and rest[16:17] == "." for rest in text.split("tok_")[1:])


@dataclass(frozen=True)
class Paced:
    """A fleet under a limit: requests that counted, how many were refused, and the seconds between the first and the last.

    `wasted` is the part of the time in which the limit would have let another request pass and none came.
    """

    requests: int
    refused: int
    span_s: float
    wasted: float


def paced(count: int, per_second: float = 2.0, burst: int = 10, jobs: int = 4) -> Paced:
    """Plan so many tenants, several kernels at once, while Auth0 takes so many requests a second.

    2 a second is what it grants a tenant without production: 10 at once of an enterprise, 2 of a free plan (rate limit
    configurations pages).
    """
    with Bench.opened(count) as bench, tempfile.TemporaryDirectory() as folder:
        bench.control("POST", "/pressure", {"per_second": per_second, "burst": burst})
        names = [argument for number in range(1, count + 1) for argument in ("--only", f"tenant-{number:04d}")]
        done = _run([bench.ready["tenants_file"], *names, "--jobs", str(jobs), "--out", f"{folder}/out"])
        assert {one["status"] for one in done["tenants"]} == {"pending"}
        history = bench.control("GET", "/history")
        return _used(history, "/api/v2/", burst, per_second)


def paced_by_kind(count: int, plan: str = "essentials") -> Paced:
    """Apply the procedure to so many tenants, all at once, on a plan with a limit for each kind; the figures are connections'."""
    with Bench.opened(count) as bench, tempfile.TemporaryDirectory() as folder:
        bench.control("POST", "/pressure", {"plan": plan})
        names = [argument for number in range(1, count + 1) for argument in ("--only", f"tenant-{number:04d}")]
        command = [bench.ready["tenants_file"], *names, "--mode", "apply", "--jobs", str(count), "--out", f"{folder}/out"]
        assert {one["status"] for one in _run(command)["tenants"]} == {"done"}
        history = bench.control("GET", "/history")
        assert not [one for one in history if one["status"] == 429]
        return _used(history, "/api/v2/connections", *PLANS[plan].kinds["connections"])


def _used(history: Sequence[dict[str, Any]], path: str, burst: float, per_second: float) -> Paced:
    limited = [one for one in history if one["service"] == "auth0" and one["path"].startswith(path)]
    times = [one["at_s"] for one in limited]
    needed_s, span_s = (len(limited) - burst) / per_second, max(times) - min(times)
    return Paced(len(limited), sum(one["status"] == 429 for one in limited), span_s, 1 - needed_s / span_s)
