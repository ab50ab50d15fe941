"""Where the notebooks lie, and where a run leaves its folder."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_IN_CLONE = _PACKAGE.parent / "notebooks"
_IN_WHEEL = _PACKAGE / "notebooks"  # setup.py copies the clone's notebooks there when it builds the wheel


def notebook(name: str) -> Path:
    """Return the notebook of this name (without suffix): the clone's own, or the copy in the installed package."""
    return (_IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CLONE) / f"{name}.ipynb"


def outputs_folder() -> Path:
    """Return `outputs` below the folder that the user works in.

    A Jupyter server starts the kernel of a clone's notebook in `notebooks`; there the folder is the clone's `outputs`.
    """
    here = Path.cwd()
    return (here.parent if here == _IN_CLONE else here) / "outputs"
