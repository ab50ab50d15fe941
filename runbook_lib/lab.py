"""JupyterLab for the runbook: kernels without history and off the network, pages without secrets or the state of widgets."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_config_dir

from runbook_lib.secret import scrubber

START, START_FLEET = "Start the runbook", "Run the whole page"
_OURS = Path(__file__).parent / "templates" / "lab"
# A socket's path may have 104 characters on macOS, whose own temporary folder is half as long already.
SCRATCH_PARENT = "/tmp" if os.name == "posix" else None  # noqa: S108 - a folder of our own is made in it, mode 0700


def lab_command(notebook: Path, options: Sequence[str]) -> list[str]:
    """Return the command that opens JupyterLab on a notebook; `options` are JupyterLab's own."""
    hook = f"--ContentsManager.pre_save_hook={clean_for_disk.__module__}.{clean_for_disk.__name__}"
    ours = ["--ServerApp.ip=127.0.0.1", hook, "--LabApp.file_url_prefix=/doc/tree", "--LabApp.custom_css=True"]
    command = [sys.executable, "-m", "jupyterlab", *ours, *options, str(notebook)]
    if os.name == "posix":
        # Over TCP every user of the machine could listen in: the channel of outputs asks nobody who they are.
        command.insert(3, "--KernelManager.transport=ipc")
    return command


def copy_without_outputs(source: Path, target: Path) -> None:
    """Copy a notebook as one that has not run: the committed outputs are those of a sandbox, not of this tenant."""
    page = json.loads(source.read_text(encoding="utf-8"))
    for cell in page["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    target.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def lab_variables(scratch: Path, environment: Mapping[str, str], start: str = START) -> dict[str, str]:
    """Prepare a scratch folder for the kernels' sockets, an IPython that keeps no history, and our settings of JupyterLab.

    Return the variables that name them. The settings are a button that says `start`, no news, every cell drawn at once. Our style
    sheet must lie in Jupyter's configuration folder; the person's own, by `environment`, is still read, after ours.
    """
    profile = scratch / "ipython" / "profile_default"
    profile.mkdir(mode=0o700, parents=True)
    (profile / "ipython_kernel_config.json").write_text(json.dumps({"HistoryManager": {"enabled": False}}))
    configuration = scratch / "configuration"
    for source, target in (("settings.json", "labconfig/default_setting_overrides.json"), ("custom.css", "custom/custom.css")):
        (configuration / target).parent.mkdir(mode=0o700, parents=True)
        (configuration / target).write_text((_OURS / source).read_text(encoding="utf-8").replace(START, start), encoding="utf-8")
    own = jupyter_config_dir()
    return {
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
    its text in the state of widgets, which JupyterLab saves where somebody has turned that on.
    """
    content = model.get("content")
    if model.get("type") == "notebook" and isinstance(content, dict):
        content.get("metadata", {}).pop("widgets", None)
    if model.get("format") != "base64":
        model["content"] = scrubber.scrub_json(content)
