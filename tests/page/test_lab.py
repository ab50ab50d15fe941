"""JupyterLab as `lab` starts it, driven through its REST interface: what its kernels and its pages leave."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import psutil
import pytest
import requests
import websocket
from click.testing import CliRunner

from runbook_lib.commands.lab import _refuse_slips, _tenants_among
from runbook_lib.commands.lab import lab as lab_verb
from runbook_lib.core.places import notebook
from runbook_lib.page.lab import copy_for_lab, lab_command, start_of
from tests.browser.lab import ready_file_of
from tests.patience import PATIENCE_S, command_of

TYPED = "lab-canary-typed-into-a-field-1"
TOKEN = f"tok_{'aB3' * 5}z.{'0f' * 32}"
NO_ACCESS_FOR_OTHERS = 0o077


class Lab:
    """The server that `lab` starts, with a home of its own. `scratch` is the folder it made for itself."""

    def __init__(self, home: Path) -> None:
        self.home = home
        command = [sys.executable, "-m", "runbook_lib", "lab", "--no-browser", "--port=0", "--out", str(home / "out")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
        self.process = subprocess.Popen(command, env={**environment, "HOME": str(home)}, stderr=subprocess.PIPE, text=True)
        self.log = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url, self.token = self._said(r"(http://127\.0\.0\.1:\d+/)"), self._said(r"token=(\w+)")
        self.folder = Path(self._said(r"Its folder: (.+)"))
        self._said("(To stop)")
        self.said_first = self.log
        self.scratch = ready_file_of(self.process.pid).parent
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"token {self.token}"

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log += line

    def _said(self, pattern: str) -> str:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return found[1]

    def call(self, method: str, path: str, body: object = None) -> object:
        answer = self.http.request(method, self.url + path, json=body, timeout=PATIENCE_S)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def run(self, kernel_id: str, *cells: str) -> list[dict]:
        """Run cells in a kernel and return the messages it sent."""
        address = f"ws://{urlsplit(self.url).netloc}/api/kernels/{kernel_id}/channels?token={self.token}"
        channel = websocket.create_connection(address, timeout=PATIENCE_S)
        heard = []
        for number, code in enumerate(cells):
            header = {"msg_id": f"cell-{number}", "msg_type": "execute_request", "version": "5.3", "username": "", "session": "s"}
            content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
            request = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            channel.send(json.dumps(request))
            while True:
                heard.append(json.loads(channel.recv()))
                is_end = heard[-1]["content"].get("execution_state") == "idle"
                if is_end and heard[-1]["parent_header"].get("msg_id") == f"cell-{number}":
                    break
        channel.close()
        return heard

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        self.process.stderr.close()
        self.http.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    opened = Lab(tmp_path_factory.mktemp("home"))
    yield opened
    opened.close()
    assert not opened.scratch.exists()


def test_kernels_keep_no_history_and_use_no_network(lab):
    kernel_id = lab.call("POST", "api/kernels", {"name": "python3"})["id"]
    heard = lab.run(kernel_id, "import os; print('pid', os.getpid())", "print('lab', 'cell')")
    said = "".join(message["content"].get("text", "") for message in heard)
    assert "lab cell" in said

    connection = json.loads((lab.scratch / "runtime" / f"kernel-{kernel_id}.json").read_text())
    assert connection["transport"] == "ipc"
    process = psutil.Process(int(re.search(r"pid (\d+)", said)[1]))
    # The one that is left takes in what forked children print, from who knows a number drawn for it; nothing comes out of it.
    assert len([entry for entry in process.net_connections("inet") if entry.status == psutil.CONN_LISTEN]) <= 1
    sockets = list((lab.scratch / "runtime").glob(f"kernel-{kernel_id}-ipc-*"))
    assert len(sockets) == 5

    lab.call("DELETE", f"api/kernels/{kernel_id}")
    assert [path for place in (lab.home, lab.scratch) for path in place.rglob("history.sqlite*")] == []
    assert lab.scratch.stat().st_mode & NO_ACCESS_FOR_OTHERS == 0


def test_the_session_of_a_page_shows_no_secret(lab):
    kernel_id = lab.call("POST", "api/kernels", {"name": "python3"})["id"]
    heard = lab.run(
        kernel_id,
        "%xmode Verbose",
        f"from runbook_lib.notebook import open_session; session = open_session(out={str(lab.home / 'out')!r})",
        f"from runbook_lib.core.secret import Secret; value = Secret('{TYPED[:8]}' '{TYPED[8:]}').reveal(); print('said', value)",
        "1 / (0 * len(value))",
    )
    lab.call("DELETE", f"api/kernels/{kernel_id}")
    text = json.dumps(heard)
    assert ("said ***" in text, "ZeroDivisionError" in text, TYPED in text) == (True, True, False)


def test_what_is_saved_and_its_checkpoint_hold_no_widgets_and_no_token(lab):
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"token = '{TOKEN}'", id="a")])
    page.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"x": {"value": TYPED}}}}
    lab.call("PUT", "api/contents/page.ipynb", {"type": "notebook", "format": "json", "content": page})
    lab.call("POST", "api/contents/page.ipynb/checkpoints")
    lab.call("PUT", "api/contents/note.txt", {"type": "file", "format": "text", "content": f"note {TOKEN}"})
    assert nbformat.read(lab.folder / "page.ipynb", as_version=4).cells[0].source == "token = '***'"
    assert (lab.folder / "note.txt").read_text() == "note ***"
    files = [path for path in lab.home.rglob("*") if path.is_file()]
    assert [path for path in files if ".ipynb_checkpoints" in path.parts]
    assert [path for path in files if TYPED.encode() in path.read_bytes() or TOKEN.encode() in path.read_bytes()] == []


def test_binary_files_are_saved_as_they_are(lab):
    lab.call("PUT", "api/contents/picture.png", {"type": "file", "format": "base64", "content": "iVBORw0KGgo="})
    assert (lab.folder / "picture.png").read_bytes() == b"\x89PNG\r\n\x1a\n"


def test_it_says_the_address_the_folder_how_to_stop_how_to_go_on_later_and_no_more(lab):
    """As root, which JupyterLab refuses by itself, one line more says what that means."""
    *said, stop, later = [line for line in lab.said_first.splitlines() if "as root" not in line]
    assert said[0] == f"The page:   {lab.url}doc/tree/inbound_scim.ipynb?token={lab.token}"
    assert said[1] == f"Its folder: {lab.folder}"
    assert (lab.folder / "inbound_scim.ipynb").is_file()
    assert (len(said), stop) == (2, "To stop it: press Ctrl-C here. The page stays in its folder.")
    assert later == f"To go on later: python -m runbook_lib lab --resume {lab.folder}"
    assert ("as root" in lab.said_first) is (os.geteuid() == 0)


def test_the_address_without_its_token_shows_nothing(lab):
    with requests.Session() as stranger:
        stranger.trust_env = False
        answer = stranger.get(f"{lab.url}doc/tree/inbound_scim.ipynb", timeout=PATIENCE_S)
        assert urlsplit(answer.url).path == "/login"
        assert stranger.get(f"{lab.url}api/contents", timeout=PATIENCE_S).status_code == 403


def gone(processes):
    """Whether these processes have ended."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
    return alive == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGHUP, 128 + signal.SIGHUP)])
def test_jupyter_its_kernel_and_the_scratch_folder_go_with_the_command_however_it_ends(number, code, tmp_path, request):
    if number == signal.SIGHUP and not request.config.getoption("--full"):
        pytest.skip("a second lab takes some seconds to start: --full")
    opened = Lab(tmp_path)
    opened.call("POST", "api/kernels", {"name": "python3"})
    descendants = psutil.Process(opened.process.pid).children(recursive=True)
    lines = [" ".join(command_of(process)) for process in descendants]
    assert all(any(part in line for line in lines) for part in ("ipykernel", "runbook_lib.page.jupyter", "runbook_lib.sandbox"))
    opened.process.send_signal(number)
    assert opened.process.wait(PATIENCE_S) == code
    assert gone(descendants)
    assert not opened.scratch.exists()
    opened._reader.join(PATIENCE_S)
    opened.process.stderr.close()
    opened.http.close()


@pytest.mark.parametrize(("source", "editable"), [("inbound_scim", []), ("fleet", ["parameters"])])
def test_the_page_is_one_that_has_not_run_and_no_cell_can_be_lost(source, editable, tmp_path):
    copy_for_lab(notebook(source), tmp_path / "page.ipynb")
    first, *cells = nbformat.read(tmp_path / "page.ipynb", as_version=4).cells
    before = nbformat.read(notebook(source), as_version=4).cells
    assert f"press *{start_of(notebook(source))}* above" in first.source.replace("Press", "press")
    assert [cell.source for cell in cells] == [cell.source for cell in before]
    assert [cell.id for cell in (first, *cells) if cell.metadata.get("deletable", True)] == []
    assert [cell.id for cell in (first, *cells) if cell.metadata.get("editable", True)] == editable
    assert [cell.id for cell in cells if cell.cell_type == "code" and (cell.outputs or cell.execution_count)] == []


@pytest.mark.parametrize("option", ["--ip=0.0.0.0", "--ServerApp.ip=0.0.0.0"])
def test_an_option_of_the_person_takes_the_place_of_ours(option, tmp_path):
    command = lab_command(tmp_path / "page.ipynb", tmp_path, [option])
    assert [part for part in command if "ip=" in part.lower().replace("transport=ip", "")] == [option]


def test_a_misspelt_option_of_the_command_is_refused_before_anything_is_made(tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "lab", "--olny", "contoso", "--out", str(tmp_path / "out")]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (run.returncode, (tmp_path / "out").exists()) == (2, False)
    assert "No such option '--olny'. Did you mean '--only'?" in run.stderr


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--only", "contoso"], "--only names a tenant of TENANTS or of a run"),
        (["--fleet", "tenants.csv"], "--fleet takes neither TENANTS nor --only"),
        (["one.csv", "two.csv"], "lab takes one tenants file"),
        (["--port", "99999"], "'99999' is no port from 0 to 65535"),
        (["--port=many"], "'many' is no port"),
    ],
)
def test_what_would_be_passed_over_is_refused(typed, words, tmp_path):
    refused = CliRunner().invoke(lab_verb, [*typed, "--out", str(tmp_path / "out")])
    assert (refused.exit_code, (tmp_path / "out").exists()) == (2, False)
    assert words in refused.output


def test_a_tenants_file_is_found_behind_options_of_jupyterlab():
    assert _tenants_among(("--no-browser", "a.yaml")) == (Path("a.yaml"), ("--no-browser",))
    assert _tenants_among(("a", "--port", "8889")) == (Path("a"), ("--port", "8889"))
    assert _tenants_among(("--port", "8889")) == (None, ("--port", "8889"))


def test_no_option_of_jupyterlab_is_taken_for_a_misspelt_one():
    from jupyterlab.labapp import LabApp

    for name in (*LabApp.flags, *LabApp.aliases):
        _refuse_slips((f"--{name}", "8888"))


def test_jupyterlabs_own_help_is_shown_and_nothing_is_served(tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "lab", "--out", str(tmp_path), "--version"]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run.stdout)
