"""What a real kernel sends out, on every channel, under everything people turn on to find a fault."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.manager import KernelManager

from tests.patience import PATIENCE_S, until

SECRET = "kernel-canary~7Qw/Zx+0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-and-more-of-it"
GUARD = "from runbook_lib.page.kernel_guard import guard_kernel; guard_kernel(); guard_kernel()"
READ = "from runbook_lib.core.secret import Secret; from pathlib import Path; value = Secret(Path({path!r}).read_text()).reveal()"
LEAKS = {
    "print": "print(value)",
    "stderr": "import sys; print(value, file=sys.stderr)",
    "last expression": "{'token': [value]}",
    "key": "{value: 1}",
    "update of a display": "from IPython.display import display; display(value, display_id='x').update(value[::-1] and value)",
    "html": "from IPython.display import HTML, display; display(HTML(f'<b>{value}</b>'))",
    "exception": "raise ValueError(value)",
    "verbose traceback": "def inner(token):\n    headers = {'Authorization': f'Bearer {token}'}\n    1 / 0\ninner(value)",
    "password widget": "import ipywidgets; box = ipywidgets.Password(value=value); box",
    "output widget": "out = ipywidgets.Output()\nwith out:\n    print(value)\nout",
    "page of help": "get_ipython().payload_manager.write_payload({'source': 'page', 'data': {'text/plain': value}, 'start': 0})",
    "logging": "import logging; logging.basicConfig(level=10, force=True); logging.getLogger('urllib3').debug('GET %s', value)",
    "thread": "import threading; t = threading.Thread(target=print, args=(value,)); t.start(); t.join()",
    "thread that fails": "t = threading.Thread(target=int, args=(value,)); t.start(); t.join()",
    "http.client": (
        "import http.client, socket; server = socket.create_server(('127.0.0.1', 0))\n"
        "connection = http.client.HTTPConnection(*server.getsockname()); connection.set_debuglevel(1)\n"
        "connection.request('POST', '/', body=value, headers={'Authorization': 'Bearer ' + value}); connection.close()"
    ),
    "late": "sys.__stderr__.write(value); sys.__stderr__.flush()",
}


class Kernel:
    """A kernel over ipc; `heard` is all that it sent and that its own streams show."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "secret").write_text(SECRET)
        self.manager = KernelManager(transport="ipc", ip=str(folder / "k"), connection_file=str(folder / "kernel.json"))
        self.streams = (folder / "streams").open("w")
        environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
        self.manager.start_kernel(stdout=self.streams, stderr=self.streams, env=environment)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def run(self, code: str) -> str:
        heard = []
        request = self.client.execute(code, allow_stdin=False)
        while True:  # a slow start leaves answers to earlier questions behind
            reply = self.client.get_shell_msg(timeout=PATIENCE_S)
            heard.append(json.dumps(reply, default=str))
            if reply["parent_header"].get("msg_id") == request:
                break
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            heard.append(json.dumps(message, default=str))
            is_end = message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            if is_end and message["parent_header"].get("msg_id") == request:
                return "\n".join(heard)

    def late(self) -> str:
        """What came after the cells had ended, and the process' own streams: up to what shows the secret or its place, and on."""
        heard = []
        until(lambda: self._shows(heard), "what a kernel says late")
        while self._hears(heard):
            pass
        return self._with_streams(heard)

    def _shows(self, heard: list[str]) -> bool:
        self._hears(heard)
        text = self._with_streams(heard)
        return "***" in text or bool(pieces(text))

    def _hears(self, heard: list[str]) -> bool:
        try:
            heard.append(json.dumps(self.client.get_iopub_msg(timeout=0.3), default=str))
        except Empty:
            return False
        return True

    def _with_streams(self, heard: list[str]) -> str:
        return "\n".join([*heard, (self.folder / "streams").read_text()])

    def close(self) -> None:
        if not self.manager.has_kernel:
            return
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.streams.close()


@pytest.fixture
def kernel(tmp_path_factory):
    opened = Kernel(tmp_path_factory.mktemp("k"))
    yield opened
    opened.close()


def pieces(text: str) -> list[str]:
    """The pieces of the secret, 24 characters long, that the text shows: a cut secret is a leak as well."""
    return [SECRET[at : at + 24] for at in range(len(SECRET) - 24) if SECRET[at : at + 24] in text]


def carried_out(kernel: Kernel) -> dict[str, str]:
    kernel.run("get_ipython().run_line_magic('xmode', 'Verbose')")
    kernel.run(READ.format(path=str(kernel.folder / "secret")))
    heard = {name: kernel.run(code) for name, code in LEAKS.items()}
    heard["late"] += kernel.late()
    return heard


def test_nothing_leaves_a_guarded_kernel(kernel):
    kernel.run(GUARD)
    heard = carried_out(kernel)
    assert {name: pieces(text) for name, text in heard.items() if pieces(text)} == {}
    assert {name for name, text in heard.items() if "***" not in text} == set()
    assert '"ename": "ZeroDivisionError"' in heard["verbose traceback"]
    assert "numbers stay 12345" in kernel.run("print('numbers stay', 12345)")


def test_the_same_leaks_are_found_where_there_is_no_guard(kernel):
    heard = carried_out(kernel)
    assert {name for name, text in heard.items() if not pieces(text)} == set()


def test_a_guarded_kernel_keeps_no_history_of_later_cells(kernel):
    kernel.run("print('before the guard')")
    kernel.run(GUARD)
    kernel.run("print('after the guard')")
    kernel.close()
    [path] = (kernel.folder / "ipython").rglob("history.sqlite")
    with sqlite3.connect(path) as history:
        cells = [source for (source,) in history.execute("select source from history")]
    history.close()
    assert cells == ["print('before the guard')", GUARD]


def test_outside_a_kernel_there_is_nothing_to_guard():
    from runbook_lib.page.kernel_guard import guard_kernel

    assert guard_kernel() is None


WIDGET = """
from comm import create_comm
from runbook_lib.page.kernel_guard import ticket_for
secret = Secret(Path({path!r}).read_text())
comm = create_comm(target_name="test", data={{}})
ticket = ticket_for(secret)
print("ticket", ticket)
"""
AFTER = {
    "again": "comm.send({'method': 'custom', 'content': {'secret': ticket}})",
    "the secret itself": "comm.send({'method': 'custom', 'content': {'secret': secret.reveal()}})",
    "the secret beside it": "comm.send({'method': 'custom', 'content': {'secret': ticket, 'label': secret.reveal()}})",
    "the state of a widget": "comm.send({'method': 'update', 'state': {'secret': secret.reveal()}})",
    "an output": "print(secret.reveal(), ticket)",
}
ALIKE = "{'comm_id': '1', 'data': {'method': 'custom', 'content': {'secret': ticket}}}"
ELSEWHERE = {
    "the state of a widget": "comm.send({'method': 'update', 'content': {'secret': ticket}})",
    "another key": "comm.send({'method': 'custom', 'content': {'html': ticket}})",
    "within a text": "comm.send({'method': 'custom', 'content': {'secret': 'x' + ticket}})",
    "deeper": "comm.send({'method': 'custom', 'content': {'secret': {'secret': ticket}}})",
    "an output": f"print({ALIKE})",
    "a display": f"from IPython.display import display; display({ALIKE}, raw=True)",
    "another ticket": "comm.send({'method': 'custom', 'content': {'secret': ticket[:-1]}})",
}


def test_a_ticket_lets_a_secret_through_in_one_message_and_nowhere_else(kernel):
    kernel.run(GUARD)
    kernel.run(READ.format(path=str(kernel.folder / "secret")))
    assert pieces(kernel.run(WIDGET.format(path=str(kernel.folder / "secret")))) == []
    assert {name for name, code in ELSEWHERE.items() if pieces(kernel.run(code))} == set()
    shown = kernel.run("comm.send({'method': 'custom', 'content': {'secret': ticket, 'label': 'a token'}})")
    messages = [json.loads(line) for line in shown.splitlines()]
    [message] = [message for message in messages if SECRET in json.dumps(message)]
    assert (message["msg_type"], message["content"]["data"]) == (
        "comm_msg",
        {"method": "custom", "content": {"secret": SECRET, "label": "a token"}},
    )
    assert {name for name, code in AFTER.items() if pieces(kernel.run(code))} == set()


def test_what_a_piece_of_the_page_shows_once_is_in_no_state_of_it(kernel):
    kernel.run(GUARD)
    kernel.run(READ.format(path=str(kernel.folder / "secret")))
    kernel.run("from runbook_lib.page.panel import Panel; surface = Panel('words'); surface")
    shown = kernel.run("surface.show_once(Secret(value), label='a token', seconds=5)")
    [message] = [json.loads(line) for line in shown.splitlines() if SECRET in line]
    assert message["content"]["data"]["content"] == {"secret": SECRET, "label": "a token", "seconds": 5}
    later = kernel.run("surface.send_state(); import ipywidgets; ipywidgets.Widget.get_manager_state()")
    assert ("surface" in later or "anywidget" in later, pieces(later)) == (True, [])


def test_streams_keep_their_order_with_results_and_an_idle_flush_waits_for_nobody(kernel):
    kernel.run(GUARD)
    heard = kernel.run("from IPython.display import display; print('first'); display('second'); print('third', flush=True)")
    kinds = [json.loads(line)["msg_type"] for line in heard.splitlines()]
    assert kinds[2:] == ["execute_input", "stream", "display_data", "stream", "status"]
    counted = (
        "import sys, threading; waits = []; wait = threading.Event.wait; threading.Event.wait = lambda *a: waits.append(1)\n"
    )
    kernel.run(counted + "sys.stdout.flush(); sys.stderr.flush(); threading.Event.wait = wait")
    assert '"text/plain": "0"' in kernel.run("len(waits)")
