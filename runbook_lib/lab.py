"""JupyterLab for the runbook: kernels without history and off the network, pages without secrets or the state of widgets."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runbook_lib.secret import scrubber

# A socket's path may have 104 characters on macOS, whose own temporary folder is half as long already.
SCRATCH_PARENT = "/tmp" if os.name == "posix" else None  # noqa: S108 - a folder of our own is made in it, mode 0700


def lab_command(notebook: Path, options: Sequence[str]) -> list[str]:
    """Return the command that opens JupyterLab on a notebook; `options` are JupyterLab's own."""
    hook = f"--ContentsManager.pre_save_hook={clean_for_disk.__module__}.{clean_for_disk.__name__}"
    command = [sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", hook, *options, str(notebook)]
    if os.name == "posix":
        # Over TCP every user of the machine could listen in: the channel of outputs asks nobody who they are.
        command.insert(3, "--KernelManager.transport=ipc")
    return command


def lab_variables(scratch: Path) -> dict[str, str]:
    """Prepare a scratch folder for the kernels' sockets and for an IPython that keeps no history; return what names them."""
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(mode=0o700, parents=True)
    (profile / "ipython_kernel_config.json").write_text(json.dumps({"HistoryManager": {"enabled": False}}))
    return {"IPYTHONDIR": str(scratch / "ipython"), "JUPYTER_RUNTIME_DIR": str(scratch / "runtime")}


def clean_for_disk(model: dict[str, Any], **_named: Any) -> None:
    """Take out of what is about to be saved whatever is shaped like a secret, and what widgets hold.

    A hook of jupyter_server (`ContentsManager.pre_save_hook`). Checkpoints are copies of what was saved. A password field keeps
    its text in the state of widgets, which JupyterLab saves where somebody has turned that on.
    """
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict):
        content.get("metadata", {}).pop("widgets", None)
    if model.get("format") != "base64":
        model["content"] = scrubber.scrub_json(content)
