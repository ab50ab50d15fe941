"""One tenant planned as a page does it, step by step: how long a person waits for the first answer and for all of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from runbook_lib.run.sign_ins import open_view
from runbook_lib.settings.model import RunMode
from runbook_lib.settings.tenants_file import read_tenants
from tests.benchmarks.measuring import Bench
from tests.builders import tenant_session

DELAYS_MS = (100, 250)


def interactive(say: Callable[[str], None]) -> None:
    """Plan a finished tenant at each delay, signed in before, and tell the seconds."""
    for delay_ms in DELAYS_MS:
        with tempfile.TemporaryDirectory() as scratch, Bench.opened(1) as bench:
            bench.control("POST", "/pressure", {"delay_s": delay_ms / 1000})
            settings = next(one for one in read_tenants(Path(bench.ready["tenants_file"])) if one.name == "complete")
            view = open_view(settings)
            view.auth0_sign_in.grant()
            view.entra_sign_in.grant()
            session = tenant_session(settings, mode=RunMode.PLAN, out=Path(scratch) / "run" / "complete", view=view, is_page=True)
            started, first_s = time.monotonic(), 0.0
            for step in session.steps:
                session.do(step.number)
                first_s = first_s or time.monotonic() - started
            count, all_s = len(session.steps), time.monotonic() - started
            say(f"| a page, {delay_ms} ms a request | first answer {first_s:.2f} s, all {count} steps {all_s:.2f} s |\n")
