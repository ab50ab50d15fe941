"""Whether `run` may execute pages the fast way: that way uses private parts of Jupyter, known only for these releases."""

from __future__ import annotations

import functools
from importlib.metadata import version

# Private parts: nbclient's polling and outputs, papermill's managers and preparation, jupyter_client's client, provisioner and
# session, ipykernel's application and streams, IPython's transformer. These are the pins of requirements.txt.
TESTED = {
    "nbclient": "0.11.0",
    "papermill": "2.7.0",
    "jupyter-client": "8.10.0",
    "ipykernel": "7.4.0",
    "ipython": "9.18.1",
}


@functools.cache
def untested() -> tuple[str, ...]:
    """Return the installed releases that the fast way was not tested with, as `ipykernel 7.5.0 (tested: 7.4.0)`."""
    installed = {name: version(name) for name in TESTED}
    return tuple(f"{name} {installed[name]} (tested: {tested})" for name, tested in TESTED.items() if installed[name] != tested)
