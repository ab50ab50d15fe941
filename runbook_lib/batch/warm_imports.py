"""What warm kernels share: the runbook's libraries, imported once in the process that they are forked from.

The standard library's fork server imports this module and nothing else happens there: it has one thread and no ZMQ context, so
every fork is safe. Of everything a kernel uses only `tqdm.auto` may not be imported here: it chooses its bar on import, by
looking for a kernel.
"""

# ruff: noqa: E402, F401 - imported early, for those who use it later
from __future__ import annotations

import gc
import json
import sys

gc.disable()  # what is imported stays
sys.modules["debugpy"] = None  # type: ignore[assignment]  # an import fails: nobody debugs these kernels, and it is a fifth of all

import ipykernel.debugger
import ipykernel.ipkernel
import ipykernel.zmqshell
import IPython.core.completerlib
import IPython.core.debugger
import IPython.core.logger
import IPython.core.oinspect
import IPython.extensions.storemagic
import msal
import psutil  # type: ignore[import-untyped]
import tornado.platform.asyncio
import tornado.queues

import runbook_lib.notebook
from runbook_lib.batch.kernel_app import prepare
from runbook_lib.batch.one_tenant import NOTEBOOK
from runbook_lib.secret import guard_process
from runbook_lib.templating import template

guard_process()
template("report.html.j2")
prepare(
    "".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
)
gc.collect()
gc.freeze()  # the collector would write to pages that all kernels share
gc.enable()
gc.set_threshold(100_000, 20, 100)  # at the usual 700 a tenth of a kernel's few seconds goes into looking for cycles
