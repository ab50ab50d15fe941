"""JupyterLab as `lab` starts it, driven through its REST interface: what its kernels and its pages leave."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
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

TYPED = "lab-canary-typed-into-a-field-1"
TOKEN = f"tok_{'aB3' * 5}z.{'0f' * 32}"
NO_ACCESS_FOR_OTHERS = 0o077


class Lab:
    """The server that `lab` starts, with a home of its own. `scratch` is the folder it made for itself."""

    def __init__(self, home: Path) -> None:
        self.home = home
        command = [sys.executable, "-m", "runbook_lib", "lab", "--no-browser", "--port=0", "--ServerApp.root_dir=/"]
        command += ["--allow-root"] if os.geteuid() == 0 else []
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
        self.process = subprocess.Popen(command, env={**environment, "HOME": str(home)}, stderr=subprocess.PIPE, text=True)
        self.log = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.scratch = Path(self._said(r"file://(/tmp/scim-[^/]+)/"))
        self.url, self.token = self._said(r"(http://127\.0\.0\.1:\d+/)"), self._said(r"token=(\w+)")
        self._wait_for_listener()
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Authorization"] = f"token {self.token}"

    def _read(self) -> None:
        for line in self.process.stderr:
            self.log += line

    def _said(self, pattern: str) -> str:
        deadline = time.monotonic() + 40
        while not (found := re.search(pattern, self.log)):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return found[1]

    def _wait_for_listener(self) -> None:
        """Wait until the port answers: it is announced a moment before."""
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", urlsplit(self.url).port)):
                return
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    def call(self, method: str, path: str, body: object = None) -> object:
        answer = self.http.request(method, self.url + path, json=body, timeout=20)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def run(self, kernel_id: str, *cells: str) -> list[dict]:
        """Run cells in a kernel and return the messages it sent."""
        address = f"ws://{urlsplit(self.url).netloc}/api/kernels/{kernel_id}/channels?token={self.token}"
        channel = websocket.create_connection(address, timeout=30)
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
        self.process.wait(20)
        self._reader.join(20)
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
        f"from runbook_lib.secret import Secret; value = Secret('{TYPED[:8]}' '{TYPED[8:]}').reveal(); print('said', value)",
        "1 / (0 * len(value))",
    )
    lab.call("DELETE", f"api/kernels/{kernel_id}")
    text = json.dumps(heard)
    assert ("said ***" in text, "ZeroDivisionError" in text, TYPED in text) == (True, True, False)


def test_what_is_saved_and_its_checkpoint_hold_no_widgets_and_no_token(lab):
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"token = '{TOKEN}'", id="a")])
    page.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"x": {"value": TYPED}}}}
    lab.call("PUT", f"api/contents{lab.home}/page.ipynb", {"type": "notebook", "format": "json", "content": page})
    lab.call("POST", f"api/contents{lab.home}/page.ipynb/checkpoints")
    lab.call("PUT", f"api/contents{lab.home}/note.txt", {"type": "file", "format": "text", "content": f"note {TOKEN}"})
    assert nbformat.read(lab.home / "page.ipynb", as_version=4).cells[0].source == "token = '***'"
    assert (lab.home / "note.txt").read_text() == "note ***"
    files = [path for path in lab.home.rglob("*") if path.is_file()]
    assert [path for path in files if ".ipynb_checkpoints" in path.parts]
    assert [path for path in files if TYPED.encode() in path.read_bytes() or TOKEN.encode() in path.read_bytes()] == []


def test_binary_files_are_saved_as_they_are(lab):
    lab.call("PUT", f"api/contents{lab.home}/picture.png", {"type": "file", "format": "base64", "content": "iVBORw0KGgo="})
    assert (lab.home / "picture.png").read_bytes() == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(("which", "name"), [((), "inbound_scim.ipynb"), (("--fleet",), "fleet.ipynb")])
def test_the_page_asked_for_is_there_as_one_that_has_not_run(which, name, tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "lab", *which, "--out", str(tmp_path), "--version"]
    subprocess.run(command, check=True, capture_output=True)
    [page] = tmp_path.rglob("*.ipynb")
    assert page.name == name
    assert [cell.outputs for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "code" and cell.outputs] == []
