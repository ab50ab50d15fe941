"""Where other people's clients live: an environment and node modules in `.outside/`, which Git ignores, or in OUTSIDE_DIR."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("OUTSIDE_DIR") or HERE.parents[1] / ".outside")
PYTHON = FOLDER / "python" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
NODE_MODULES = FOLDER / "node_modules"
_DONE = FOLDER / "installed.txt"
_PINS = (HERE / "requirements.txt", HERE / "package.json")


def is_installed() -> bool:
    """Whether what the pins of this folder ask for is there."""
    return _DONE.exists() and _DONE.read_text() == _pins()


def install() -> None:
    """Install the pinned packages, unless they are there. Raises `CalledProcessError` with pip's or npm's own words."""
    if is_installed():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("tests.outside needs Node 20 or newer with npm: there is no npm in PATH. Install it, then run again.")
    FOLDER.mkdir(exist_ok=True)
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "python")], check=True)
    subprocess.run([str(PYTHON), "-m", "pip", "install", "-q", "-r", str(_PINS[0])], check=True)
    shutil.copy(_PINS[1], FOLDER / "package.json")
    # Without scripts: none of these packages needs one, and a package that runs code while it installs is a risk.
    subprocess.run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"], check=True, cwd=FOLDER)
    _DONE.write_text(_pins())


def _pins() -> str:
    return "\n".join(path.read_text() for path in _PINS)
