"""The files of a tenant that a run does not start because a service is down: journal, results and report."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from runbook_lib import __version__
from runbook_lib.core.errors import TransportError
from runbook_lib.engine.journal import Journal
from runbook_lib.engine.result import StepResult, result_row
from runbook_lib.procedures.handed_over import steps_for
from runbook_lib.procedures.procedure import Procedure
from runbook_lib.run.report import rebuild_report
from runbook_lib.settings.model import RunMode, TenantSettings


def tell_not_begun(settings: TenantSettings, procedure: Procedure, mode: RunMode, out: Path, outage: TransportError) -> None:
    """Write the files of a run that failed at its first step and sent no request. Raises `JournalFailed`, `OSError`."""
    journal = Journal(out / "journal.jsonl")
    journal.write(
        "run",
        tenant=settings.name,
        auth0_domain=settings.auth0_domain,
        connection=settings.auth0_connection,
        mode=str(mode),
        tool=__version__,
        by="",
        settings=settings.digest,
    )
    first = steps_for(procedure, settings)[0]
    about = f"not begun: {outage.attempted}: {outage.came_back}"
    result = StepResult(first.number, first.title, str(first.kind), "FAILED", about, outage.do_now)
    journal.write("result", **result_row(result))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    journal.write("end", status="failed", about=about, people={}, reported=now, forecast={})
    rebuild_report(journal.path, ("failed", about), procedure)
