"""What warm kernels share: the runbook's libraries, imported once in the process that they are forked from.

The standard library's fork server imports this module and nothing else happens there: it has one thread and no ZMQ context, so
every fork is safe. Of everything a kernel uses only `tqdm.auto` may not be imported here: it chooses its bar on import, by
looking for a kernel.
"""

# ruff: noqa: E402, F401 - imported early, for those who use it later
from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import json
import sys

gc.disable()  # what is imported stays
sys.modules["debugpy"] = None  # type: ignore[assignment]  # its import fails: these kernels need no debugger, a fifth of all

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

from runbook_lib.batch.kernels.application import prepare
from runbook_lib.core.places import notebook
from runbook_lib.core.remedies import table
from runbook_lib.core.secret import guard_process
from runbook_lib.core.templates import template
from runbook_lib.http.authorities import trusting
from runbook_lib.http.session import usual_authorities

guard_process()
template("report.html.j2")
table()
with contextlib.suppress(OSError):  # the first connection of a kernel raises it again
    trusting(usual_authorities())
page = json.loads(notebook("inbound_scim").read_text(encoding="utf-8"))  # that of most runs; others are compiled by their kernels
cells = ["".join(cell["source"]) for cell in page["cells"] if cell["cell_type"] == "code"]
for node in ast.walk(ast.parse("\n".join(cells))):
    if isinstance(node, ast.ImportFrom) and node.module:
        importlib.import_module(node.module)  # what every kernel imports
prepare(cells)
gc.collect()
gc.freeze()  # the collector would write to pages that all kernels share
gc.enable()
gc.set_threshold(100_000, 20, 100)  # at the usual 700 a tenth of a kernel's few seconds goes into looking for cycles
