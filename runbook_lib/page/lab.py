"""JupyterLab for the runbook: kernels without history and off the network, pages without secrets or the state of widgets."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_core.paths import jupyter_config_dir

from runbook_lib.core.json_text import parsed
from runbook_lib.core.secret import scrubber
from runbook_lib.core.without_grammar import without_grammar
from runbook_lib.page import jupyter
from runbook_lib.sandbox.process import launched
from runbook_lib.settings.process import with_sandbox

START = "Start the runbook"
START_FLEET = "Run the whole page"
_PRESS = (
    f"**Press *{START}* above.** Every step is then planned, on the sandbox or on a tenant that you choose, and "
    "nothing is written. You write with *Apply*, at one step or at a section."
)
_PRESS_FLEET = (
    f"**Press *{START_FLEET}* above.** Every tenant is then planned, of the file that the "
    "parameters below name or of the sandbox, and nothing is written. You write with *Run* in the controls."
)
_DOCUMENT = "/doc/tree"
_SHORT = {"--ip": "--ServerApp.ip", "--log-level": "--Application.log_level", "--debug": "--Application.log_level"}
_OURS = Path(__file__).parent.parent / "templates" / "lab"
# A socket's path may have 104 characters on macOS, whose own temporary folder is half as long already.
SCRATCH_PARENT = "/tmp" if os.name == "posix" else None  # noqa: S108 - a folder of our own is made in it, mode 0700


@dataclass(frozen=True)
class Serving:
    """A JupyterLab that serves the page: `address` opens it, token included; `folder` keeps it and what it leaves."""

    address: str
    folder: Path
    process: subprocess.Popen[bytes]


@contextmanager
def served(source: Path, folder: Path, options: Sequence[str]) -> Iterator[Serving | None]:
    """Serve a copy of the notebook `source` in `folder`, a sandbox running next to it, until the block ends.

    `options` are JupyterLab's own. Yields None when JupyterLab ended before it served, as with `--help`.
    """
    page = folder / source.name
    copy_for_lab(source, page)
    with tempfile.TemporaryDirectory(prefix="scim-", dir=SCRATCH_PARENT) as scratch:
        ready, runtime = Path(scratch, "ready.json"), Path(scratch, "runtime")
        environment = with_sandbox(ready, folder)
        environment |= lab_variables(Path(scratch), environment, start_of(source))
        command = lab_command(page, Path(scratch), options)
        with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as server:  # noqa: S603 - our own command
            try:
                with launched(ready):  # next to Jupyter, which takes as long to start
                    _trust(page, Path(scratch))
                    address = _address(runtime, server, page.name)
                    yield Serving(address, folder, server) if address else None
            finally:
                server.terminate()
                server.wait()  # before its standard input is closed, at whose end it would be told a second time


def lab_command(notebook: Path, scratch: Path, options: Sequence[str]) -> list[str]:
    """Return the command that opens JupyterLab on a notebook alone; `options` are JupyterLab's own.

    JupyterLab refuses an option that is given twice, so that the person's takes the place of ours.

    `/doc` is JupyterLab's address of one document without file browser and tabs. A file on the command line would be opened at
    `/lab`. The page's folder is all that the server shows.
    """
    ours = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={notebook.parent}",
        f"--LabApp.default_url={_DOCUMENT}/{quote(notebook.name)}",
        f"--ContentsManager.pre_save_hook={clean_for_disk.__module__}.{clean_for_disk.__name__}",
        "--LabApp.custom_css=True",
        *(f"--NotebookNotary.{name}={path}" for name, path in _notary(scratch).items()),
        "--Application.log_level=WARN",
        "--ServerApp.answer_yes=True",  # Ctrl-C ends it, without a question
    ]
    if os.name == "posix":
        # Over TCP every user of the machine could listen in: the channel of outputs asks for no sign-in.
        ours.append("--KernelManager.transport=ipc")
    if is_root():
        ours.append("--allow-root")
    given = {_SHORT.get(name, name) for name in (option.partition("=")[0] for option in options)}
    start = [sys.executable, "-m", jupyter.__name__, str(scratch)]
    return [*start, *(one for one in ours if one.partition("=")[0] not in given), *options]


def _notary(scratch: Path) -> dict[str, str]:
    """Return where Jupyter keeps which notebooks it trusts: with this lab, rather than with the person's own."""
    return {"db_file": str(scratch / "signatures.db"), "secret_file": str(scratch / "signing-key")}


def start_of(source: Path) -> str:
    """Return what the one button of a page says."""
    return START_FLEET if _is_fleet(source) else START


def _is_fleet(source: Path) -> bool:
    """Whether a notebook is the page for many tenants; any other is of one procedure and one tenant."""
    return source.stem == "fleet"


def _trust(page: Path, scratch: Path) -> None:
    """Sign the page, which is ours. JupyterLab warns of one that it does not know."""
    with without_grammar():
        import nbformat
        from nbformat.sign import NotebookNotary

        known = nbformat.read(page, as_version=4)  # type: ignore[no-untyped-call]
        NotebookNotary(**_notary(scratch)).sign(known)  # type: ignore[no-untyped-call]


def is_root() -> bool:
    """Whether this process is root's, as in most containers. JupyterLab refuses to start then, unless it is told to."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _address(runtime: Path, server: subprocess.Popen[bytes], page: str) -> str:
    """Return the address of the page, from the file that jupyter_server writes when it listens; empty when it ended before.

    Only this file knows the port: another server may have the usual one.
    """
    while server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            with suppress(ValueError):  # half written
                told = parsed(path.read_text(encoding="utf-8"))
                token = f"?token={told['token']}" if told["token"] else ""
                return f"{told['url'].rstrip('/')}{_DOCUMENT}/{quote(page)}{token}"
        time.sleep(0.05)
    return ""


def copy_for_lab(source: Path, target: Path) -> None:
    """Copy a notebook as one that has not run, with a first cell that says what to press.

    The committed outputs are those of a sandbox, not of this tenant. No cell can be deleted, and only parameters that are meant
    to be filled in can be edited: a click on a heading and a key would otherwise take a step's text away.
    """
    page = parsed(source.read_text(encoding="utf-8"))
    press = {
        "cell_type": "markdown",
        "id": "press-start",
        "metadata": {},
        "source": _PRESS_FLEET if _is_fleet(source) else _PRESS,
    }
    page["cells"].insert(0, press)
    for cell in page["cells"]:
        is_open = "source_hidden" not in cell["metadata"].get("jupyter", {}) and "parameters" in cell["metadata"].get("tags", ())
        cell["metadata"] |= {"deletable": False, **({} if is_open else {"editable": False})}
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    target.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def lab_variables(scratch: Path, environment: Mapping[str, str], start: str = START) -> dict[str, str]:
    """Prepare a scratch folder for the kernels' sockets, an IPython that keeps no history, and our settings of JupyterLab.

    Return the variables that name them. The settings are a button that says `start`, no news, every cell drawn at once, no bin at
    a cell, and no key that changes a cell. Our style sheet must lie in Jupyter's configuration folder; the person's own, by
    `environment`, is still read, after ours. The token lies in a file: JupyterLab prints one that it made itself.
    """
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(mode=0o700, parents=True)
    (profile / "ipython_kernel_config.json").write_text(json.dumps({"HistoryManager": {"enabled": False}}))
    configuration = scratch / "configuration"
    for source, target in (("settings.json", "labconfig/default_setting_overrides.json"), ("custom.css", "custom/custom.css")):
        (configuration / target).parent.mkdir(mode=0o700, parents=True)
        (configuration / target).write_text((_OURS / source).read_text(encoding="utf-8").replace(START, start), encoding="utf-8")
    own = jupyter_config_dir()
    token = scratch / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(24), encoding="utf-8")
    return {
        "JUPYTER_TOKEN_FILE": str(token),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
        "JUPYTER_CONFIG_DIR": str(configuration),
        "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, (own, environment.get("JUPYTER_CONFIG_PATH")))),
        "JUPYTERLAB_SETTINGS_DIR": environment.get("JUPYTERLAB_SETTINGS_DIR") or str(Path(own, "lab", "user-settings")),
        "JUPYTERLAB_WORKSPACES_DIR": environment.get("JUPYTERLAB_WORKSPACES_DIR") or str(Path(own, "lab", "workspaces")),
    }


def clean_for_disk(model: dict[str, Any], **_named: Any) -> None:
    """Take out of what is about to be saved whatever is shaped like a secret, and what widgets hold.

    A hook of jupyter_server (`ContentsManager.pre_save_hook`). Checkpoints are copies of what was saved. A password field keeps
    its text in the state of widgets, which JupyterLab saves when the user has turned that on.
    """
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict):
        content.get("metadata", {}).pop("widgets", None)
    if model.get("format") != "base64":
        model["content"] = scrubber.scrub_json(content)
