"""Planted secrets, looked for in everything a run leaves, while everything that could show them is turned on.

A real `run` over HTTPS, in a home of its own: root logger at DEBUG, http.client's debuglevel, msal with personal data, verbose
tracebacks, and a debugging hook in the kernel that prints every request and answer whole, and the environment.
The hook writes the same to a file of its own as well, past the guards: there the search must find what it finds nowhere else.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import html
import io
import itertools
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, quote_plus

import nbformat
import pytest
import requests
from nbconvert import HTMLExporter

from runbook_lib.sandbox.demo_tenants import write_tenants_file
from runbook_lib.sandbox.server import Sandbox
from runbook_lib.sandbox.simulation import KINDS
from tests.patience import PATIENCE_S

PROXY_PASSWORD = "proxy/canary+word 1"
AWKWARD = "'\"q&<é\\/+=%"  # what every way of writing writes in its own way
AWKWARD_ASCII = AWKWARD.replace("é", "")  # a client secret with another letter is refused before anything is sent
CONTROL = "home/trace.log"
RUN, THEIRS = "monday", "another person's"
OF_RUN = ("summary.json", "summary.csv", "summary.html", "junit.xml")
OF_TENANT = ("settings.json", "results.json", "report.html", "inbound_scim.ipynb", "forecast.csv")
PIECE = 24  # so many characters in a row are a leak as well: verbose tracebacks cut long values in the middle
PLACES = [
    {"service": "auth0", "method": "POST", "path": "/oauth/token"},
    {"service": "auth0", "method": "GET", "path": "/api/v2/connections"},
    {"service": "auth0", "method": "PATCH", "path": "/api/v2/connections/*"},
    {"service": "auth0", "method": "POST", "path": "*/scim-configuration/tokens"},
    {"service": "graph", "method": "PUT", "path": "*/synchronization/secrets"},
    {"service": "login", "method": "POST", "path": "*/token"},
]
EVERYWHERE = """
import http.client, logging
logging.basicConfig(level=logging.DEBUG)
http.client.HTTPConnection.debuglevel = 1
"""
PARENT = """
import atexit, sys, urllib.request
atexit.register(lambda: (logging.debug("proxies %s", urllib.request.getproxies()), print(urllib.request.getproxies())))
"""
IN_KERNEL = """
import base64, json, os
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import msal
import requests

init, send, seen = msal.ClientApplication.__init__, requests.Session.send, []

def with_pii(self, *positional, **named):
    init(self, *positional, **{**named, "enable_pii_log": True})

def loudly(self, prepared, **named):
    answer = send(self, prepared, **named)
    print("sent", prepared.method, prepared.url, dict(prepared.headers), prepared.body and prepared.body[:8000])
    print("got", answer.status_code, dict(answer.headers), answer.text[:8000])
    if not seen:
        seen.append(1)
        print(dict(os.environ))
        try:
            requests.get("https://acme.eu.auth0.com/", timeout=5)
        except requests.RequestException as refused:
            print("through the proxy", repr(refused))
    with (Path.home() / "trace.log").open("ab") as past_the_guards:
        past_the_guards.write(f"{dict(prepared.headers)} {prepared.body} {answer.text} {dict(os.environ)}".encode())
    if os.environ.get("CANARY_ECHO") and prepared.method == "PATCH" and "/connections/" in prepared.url:
        told = {"statusCode": 400, "error": "Bad Request", "message": f"Payload validation error: {prepared.body.decode()}"}
        answer.status_code, answer._content = 400, json.dumps(told).encode()
    if os.environ.get("CANARY_DEFECT") and prepared.method == "POST" and prepared.url.endswith("/tokens"):
        raise RuntimeError("a defect", prepared.headers, prepared.body, answer.text)
    return answer

msal.ClientApplication.__init__, requests.Session.send = with_pii, loudly
"""


@dataclass
class Planted:
    """The secrets by what they are, and how to find them: whole in every form, or a piece of one."""

    by_name: dict[str, str]
    whole: dict[bytes, str] = field(default_factory=dict)
    pieces: dict[bytes, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, secret in self.by_name.items():
            self.whole |= {form.encode(): name for form in forms(secret) if len(form) > 6}
            start = secret.index(".") + 1 if secret.startswith("tok_") else 0  # what stands before is a token's public id
            self.pieces |= {secret[at : at + PIECE].encode(): name for at in range(start, len(secret) - PIECE + 1, 8)}

    def found_in(self, content: bytes, *, also_pieces: bool = True) -> set[str]:
        """The names of the secrets that the content shows."""
        needles = {**self.whole, **self.pieces} if also_pieces else self.whole
        return {name for needle, name in needles.items() if needle in content}


def forms(secret: str) -> set[str]:
    """The secret in plain, base64 (also inside a longer text, by its three alignments), URL-encoded, JSON and HTML escaped."""
    octets = secret.encode()
    aligned = [base64.b64encode(b"x" * shift + octets).decode()[shift + (shift > 0) : -4] for shift in range(3)]
    in_json = json.dumps(secret)[1:-1]
    found = {secret, in_json, json.dumps(in_json)[1:-1], repr(in_json.encode())[2:-1], repr(secret)[1:-1], *aligned}
    found |= {base64.urlsafe_b64encode(octets).decode().rstrip("="), quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return found | {html.escape(text) for text in tuple(found)}


@dataclass
class Leaks:
    """What a run left and showed: contents by place, and each state that a file of the output folder was seen in meanwhile."""

    code: int
    left: dict[str, bytes]
    meanwhile: dict[tuple[str, int, int], bytes]

    def hits(self, planted: Planted) -> list[tuple[str, str]]:
        found = [(place, name) for place, content in self.left.items() for name in planted.found_in(content)]
        states = self.meanwhile.items()
        return found + [
            (f"{key[0]} meanwhile", n) for key, content in states for n in planted.found_in(content, also_pieces=False)
        ]


@dataclass
class Stage:
    """A sandbox with awkward secrets, a proxy that refuses, and homes with everything turned on."""

    sandbox: Sandbox
    proxy: str
    folder: Path
    count: Iterator[int] = field(default_factory=itertools.count)

    def reset(self) -> dict[str, str]:
        """Start afresh; return the pasted tokens."""
        self.sandbox.reset(23)
        world = self.sandbox.world
        next(iter(world.auth0.clients.values())).client_secret = f"auth0-canary{AWKWARD_ASCII}{'A0z' * 12}"
        for number, tenant in enumerate(world.entra.values()):
            next(iter(tenant.clients.values())).client_secret = f"entra-canary-{number}{AWKWARD_ASCII}{'E9x' * 6}"
        for number, connection in enumerate(world.auth0.connections.values()):
            if "client_secret" in connection["options"]:
                connection["options"]["client_secret"] = f"oidc-canary-{number}{AWKWARD}{'O7y' * 9}"
                connection["options"]["x_theirs"] = {"deep": [f"option-canary-{number}{AWKWARD}{'P5q' * 9}"]}
        ready = self.sandbox.ready
        write_tenants_file(world, Path(ready["tenants_file"]).parent, Path(ready["tenants_file"]).parent / "ready.json")
        return self._pasted()

    def _pasted(self) -> dict[str, str]:
        ready, world = self.sandbox.ready, self.sandbox.world
        tenant = world.entra_by_name("half-done.onmicrosoft.com")
        auth0, entra = next(iter(world.auth0.clients.values())), next(iter(tenant.clients.values()))
        domain = ready["auth0_domain"]
        wanted = {
            "CANARY_AUTH0": (f"https://{domain}/oauth/token", auth0, {"audience": f"https://{domain}/api/v2/"}),
            "CANARY_GRAPH": (
                f"{ready['authority']}/{tenant.id}/oauth2/v2.0/token",
                entra,
                {"scope": f"{ready['graph'].removesuffix('/v1.0')}/.default"},
            ),
        }
        tokens = {}
        with requests.Session() as session:
            session.trust_env = False
            for name, (url, client, more) in wanted.items():
                body = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
                answer = session.post(url, data={**body, **more}, verify=ready["ca_bundle"], timeout=20)
                tokens[name] = answer.json()["access_token"]
        return tokens

    def break_once(self, fault: dict[str, object]) -> None:
        """Plan one fault, through the control API."""
        with requests.Session() as session:
            session.trust_env = False
            token, bundle = self.sandbox.ready["control_token"], self.sandbox.ready["ca_bundle"]
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{self.sandbox.ready['control']}/faults"
            session.post(url, json=[fault], headers=headers, verify=bundle, timeout=20).raise_for_status()

    def planted(self, pasted: dict[str, str]) -> Planted:
        """All secrets there are by now, those issued during the run included."""
        named = {name: secret for secret, name in self.sandbox.world.secrets().items() if secret}
        options = [c["options"].get("x_theirs") for c in self.sandbox.world.auth0.connections.values()]
        return Planted(
            {
                **named,
                **{f"option of connection {n}": value["deep"][0] for n, value in enumerate(options) if value},
                **{f"pasted token {name}": token for name, token in pasted.items()},
                "proxy password": PROXY_PASSWORD,
                "control token": self.sandbox.ready["control_token"],
            }
        )

    def run(self, pasted: dict[str, str], tenants: tuple[str, ...], *, is_shared: bool = False, **more: str) -> Leaks:
        """Run the command for these tenants, `half-done` with pasted tokens, and gather what it left.

        With `is_shared` others know the run's folder and have put links where its files will be.
        """
        base = self.folder / f"{next(self.count)}"
        links = hostile_links(base) if is_shared else []
        home = prepared_home(base)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON", "PYTEST"))}
        environment |= {"HOME": str(home), "IPYTHONDIR": str(base / "ipython"), "TMPDIR": str(base / "t"), **pasted, **more}
        environment |= {"PYTHONPATH": str(base / "site"), "HTTPS_PROXY": self.proxy, "PYTHONFAULTHANDLER": "1"}
        command = [sys.executable, "-m", "runbook_lib", "run", str(self._tenants_file(base)), "--mode", "apply"]
        command += [*(f"--only={name}" for name in tenants), "--out", str(base / "out"), *(["--run-id", RUN] if links else [])]
        with (base / "stdout").open("wb") as out, (base / "stderr").open("wb") as error:
            process = subprocess.Popen(command, env=environment, cwd=home, stdout=out, stderr=error)
            meanwhile = seen_meanwhile(process, base / "out")
        assert [link for link in links if link.is_symlink() or (base / "theirs").read_text() != THEIRS] == []
        return Leaks(process.returncode, gathered(base), meanwhile)

    def _tenants_file(self, base: Path) -> Path:
        rows = list(csv.DictReader(io.StringIO(Path(self.sandbox.ready["tenants_file"]).read_text())))
        for row in rows:
            if row["name"] == "half-done":
                row |= {"auth0_client_id": "", "auth0_client_secret": "env:CANARY_AUTH0"}
                row |= {"entra_client_id": "", "entra_client_secret": "env:CANARY_GRAPH"}
        path = base / "home" / "tenants.csv"
        with path.open("w", newline="") as target:
            writer = csv.DictWriter(target, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path


def hostile_links(base: Path) -> list[Path]:
    """Make the run's folder with a link at each name that can be foreseen; all lead to a file of another person."""
    base.mkdir()
    (base / "theirs").write_text(THEIRS)
    folder = base / "out" / RUN
    (folder / "fresh").mkdir(mode=0o700, parents=True)
    places = [*(folder / name for name in OF_RUN), *(folder / "fresh" / name for name in OF_TENANT)]
    for place in places:
        place.symlink_to(base / "theirs")
    return places


def prepared_home(base: Path) -> Path:
    """Make a home, an IPython profile and a site folder with everything turned on."""
    startup = base / "ipython" / "profile_default" / "startup"
    for folder in (base / "home", base / "t", base / "site", startup):
        folder.mkdir(parents=True)
    (base / "site" / "sitecustomize.py").write_text(f"{EVERYWHERE}import sys\nif 'runbook_lib' in sys.orig_argv:{_in(PARENT)}")
    (startup / "00-loud.py").write_text(EVERYWHERE + IN_KERNEL)
    (startup.parent / "ipython_config.py").write_text("get_config().InteractiveShell.xmode = 'Verbose'\n")
    return base / "home"


def _in(block: str) -> str:
    return block.replace("\n", "\n    ")


def seen_meanwhile(process: subprocess.Popen, out: Path) -> dict[tuple[str, int, int], bytes]:
    """Look at every file below `out` every 20 ms until the process has ended, and once more."""
    seen: dict[tuple[str, int, int], bytes] = {}
    deadline, is_over = time.monotonic() + PATIENCE_S, False
    while not is_over:
        assert time.monotonic() < deadline
        is_over = process.poll() is not None
        for path in out.rglob("*"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a part became the whole meanwhile
                about = path.stat()
                key = (path.name, about.st_mtime_ns, about.st_size)
                if key not in seen:
                    seen[key] = path.read_bytes()
        time.sleep(0.02)
    return seen


def gathered(base: Path) -> dict[str, bytes]:
    """Every file below the base but the tools we put there, and an HTML export of each page."""
    ours = (base / "site", base / "ipython" / "profile_default" / "startup")
    files = [path for path in base.rglob("*") if path.is_file() and not any(path.is_relative_to(place) for place in ours)]
    left = {str(path.relative_to(base)): path.read_bytes() for path in files}
    for path in files:
        if path.suffix == ".ipynb":
            page = nbformat.read(path, as_version=4)
            left[f"{path.relative_to(base)} as HTML"] = HTMLExporter().from_notebook_node(page)[0].encode()
    return left


class RefusingProxy(socketserver.StreamRequestHandler):
    """Answers 407 to every request, after reading it."""

    asked: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        lines = []
        while line := self.rfile.readline().strip():
            lines.append(line)
        self.asked.append(b"\n".join(lines))
        self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with Sandbox(seed=23) as sandbox, socketserver.ThreadingTCPServer(("127.0.0.1", 0), RefusingProxy) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        proxy = f"http://someone:{quote(PROXY_PASSWORD, safe='')}@127.0.0.1:{server.server_address[1]}"
        yield Stage(sandbox, proxy, tmp_path_factory.mktemp("c"))
        server.shutdown()
        thread.join()


def page_of(leaks: Leaks, tenant: str) -> str:
    return next(content.decode() for place, content in leaks.left.items() if place.endswith(f"{tenant}/inbound_scim.ipynb"))


@dataclass
class Verdict:
    """What was found over several runs."""

    planted: set[str] = field(default_factory=set)
    control: set[str] = field(default_factory=set)
    hits: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    runs: int = 0
    places: int = 0
    states: int = 0

    def add(self, title: str, leaks: Leaks, planted: Planted) -> None:
        assert "sent POST" in page_of(leaks, "fresh"), leaks.left["stderr"][-3000:]  # the loud hook was at work
        found = leaks.hits(planted)
        control = {name for place, name in found if place == CONTROL}
        assert len(control) >= 4, f"{title}: the search misses what the control file shows"
        self.planted |= set(planted.by_name)
        self.control |= control
        self.runs, self.places, self.states = self.runs + 1, self.places + len(leaks.left), self.states + len(leaks.meanwhile)
        if past := [(place, name) for place, name in found if place != CONTROL]:
            self.hits[title] = past


def test_no_planted_secret_is_found_anywhere(stage, trials, figure):
    verdict = Verdict()

    pasted = stage.reset()
    leaks = stage.run(pasted, ("fresh", "half-done"), is_shared=True)
    assert leaks.code == 0, leaks.left["stderr"][-3000:]
    assert base64.b64encode(f"someone:{PROXY_PASSWORD}".encode()) in RefusingProxy.asked[-1]
    assert {"stdout", "stderr"} <= set(leaks.left)
    # What is written during the run was seen: a page at least once, each of these being shorter than the 5 s between two writes.
    assert len([key for key in leaks.meanwhile if key[0] == "inbound_scim.ipynb"]) >= 2
    verdict.add("success", leaks, stage.planted(pasted))
    of_services = ("<secret of", "<client secret", "<access token", "tok_", "option of")
    kinds = (*of_services, "pasted token", "proxy password", "control token")
    assert [kind for kind in kinds if not any(name.startswith(kind) for name in verdict.planted)] == []
    # All that the run used were shown to the search; the control token is no business of a run's.
    assert [kind for kind in kinds[:-1] if not any(name.startswith(kind) for name in verdict.control)] == []

    pasted = stage.reset()
    leaks = stage.run(pasted, ("fresh",), CANARY_DEFECT="1")
    assert (leaks.code, "RuntimeError" in page_of(leaks, "fresh")) == (1, True)
    verdict.add("a defect", leaks, stage.planted(pasted))

    pasted = stage.reset()
    leaks = stage.run(pasted, ("fresh",), CANARY_ECHO="1")
    assert (leaks.code, "Payload validation error" in page_of(leaks, "fresh")) == (1, True)
    verdict.add("the options echoed", leaks, stage.planted(pasted))

    faults = list(itertools.product(KINDS, PLACES))
    wanted = trials(1, len(faults))
    for kind, place in faults[2 :: len(faults) // wanted][:wanted] if wanted < len(faults) else faults:
        pasted = stage.reset()
        stage.break_once({**place, "nth": 1, "kind": kind})
        leaks = stage.run(pasted, ("fresh",))
        assert any(entry.get("fault") == kind for entry in stage.sandbox.simulation.history)
        verdict.add(f"{kind} at {place['method']} {place['path']}", leaks, stage.planted(pasted))

    figure("canaries: secrets planted", f"{len(verdict.planted)}, of {len(kinds)} kinds")
    broken = f"{wanted} of {len(faults)} faults ({len(KINDS)} kinds)"
    figure("canaries: runs", f"success in a folder full of links, a defect, options echoed, and {broken}")
    figure("canaries: places searched", f"{verdict.places} files, exports and streams; {verdict.states} states meanwhile")
    figure("canaries: found by the same search where they were leaked on purpose", len(verdict.control))
    figure("canaries: hits", sum(map(len, verdict.hits.values())))
    assert verdict.hits == {}


@pytest.mark.parametrize("write", [str, json.dumps, repr, quote_plus, html.escape, lambda text: json.dumps(json.dumps(text))])
def test_the_search_knows_every_way_of_writing(write):
    secret = f"canary{AWKWARD}0123456789"
    planted = Planted({"it": secret})
    assert planted.found_in(f"before {write(secret)} after".encode()) == {"it"}
    assert planted.found_in(b"before " + base64.b64encode(f"id:{secret}".encode()) + b" after") == {"it"}
    assert planted.found_in(f"before {(secret * 3)[10:50]} after".encode()) == set()
    assert Planted({"it": "0123456789" * 6}).found_in(b"cut ...890123456789012345678901234567890'") == {"it"}
