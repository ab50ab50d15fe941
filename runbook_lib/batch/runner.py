"""Run the notebook with papermill for one tenant after another. What happened is read from the journals."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runbook_lib import __version__
from runbook_lib.report import EXIT_CODES, rows_of, tenant_status, write_private, write_report
from runbook_lib.secret import scrubber
from runbook_lib.settings import COLUMNS, RunMode, TenantSettings, output_name

PROJECT = Path(__file__).resolve().parent.parent.parent
NOTEBOOK = PROJECT / "notebooks" / "inbound_scim.ipynb"


@dataclass(frozen=True)
class TenantOutcome:
    """How one tenant ended: `status` as in `report.tenant_status`; `folder` holds its page, journal, results and report."""

    name: str
    status: str
    about: str
    folder: Path


def new_run_folder(out: Path | None) -> Path:
    """Return a new folder `<run id>` below `out`, readable by its owner only."""
    folder = (out or PROJECT / "outputs") / f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"
    folder.mkdir(mode=0o700, parents=True)
    return folder


def run_tenants(
    tenants: tuple[TenantSettings, ...], mode: RunMode, folder: Path, on_end: Callable[[TenantOutcome], None]
) -> tuple[TenantOutcome, ...]:
    """Run every tenant; one that fails never stops the next. Writes the summaries at the end, also when interrupted."""
    outcomes: list[TenantOutcome] = []
    try:
        for tenant in tenants:
            outcomes.append(run_tenant(tenant, mode, folder / output_name(tenant.name)))
            on_end(outcomes[-1])
    finally:
        write_summary(folder, outcomes)
    return tuple(outcomes)


def run_tenant(tenant: TenantSettings, mode: RunMode, folder: Path) -> TenantOutcome:
    """Execute the notebook for one tenant and return how it ended, from its journal."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from runbook_lib.batch.pages import private

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = tenant.model_dump(mode="json")
    write_private(folder / "settings.json", json.dumps(values, indent=1))
    parameters = {**{name: values[name] for name in COLUMNS}, "mode": str(mode), "out": str(folder)}
    trouble, kind = "", ""
    try:
        with tempfile.TemporaryDirectory(prefix="scim-") as sockets:
            papermill.execute_notebook(
                str(NOTEBOOK),
                private(folder / "inbound_scim.ipynb"),
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                store_widget_state=False,  # a password typed into a widget would be stored with it
                extra_arguments=["--HistoryManager.enabled=False"],  # IPython would keep the parameters in its history file
                config=_kernel_over_ipc(sockets),
            )
    except PapermillExecutionError as failed:
        trouble, kind = scrubber.scrub(f"{failed.ename}: {failed.evalue}"), failed.ename
    except DeadKernelError:
        trouble = "the kernel died"
    return _outcome(tenant, mode, folder, trouble, kind)


_REFUSED_AT_THE_START = {"TenantBusy": "busy", "SettingsError": "failed", "JournalFailed": "failed"}


def _outcome(tenant: TenantSettings, mode: RunMode, folder: Path, trouble: str, kind: str) -> TenantOutcome:
    """Return how the tenant ended, from its journal; a run that died before its end gets its report here."""
    if kind in _REFUSED_AT_THE_START:  # the journal, if any, is an earlier run's
        return TenantOutcome(tenant.name, _REFUSED_AT_THE_START[kind], trouble, folder)
    journal = folder / "journal.jsonl"
    status, about = tenant_status(journal)
    if status == "interrupted":
        now = datetime.now(UTC).isoformat(timespec="seconds")
        write_report(
            folder / "report.html",
            tenant=tenant.name,
            mode=str(mode),
            version=__version__,
            rows=rows_of(journal),
            time=now,
            outcome=(status, about),
        )
    return TenantOutcome(tenant.name, status, f"{about} ({trouble})" if trouble else about, folder)


def _kernel_over_ipc(sockets: str) -> Any:
    """Return a configuration that keeps kernel traffic off TCP, where every local user could read along.

    The sockets get a folder of their own: by default kernels share names in the working directory and meet there.
    """
    from traitlets.config import Config

    return Config({"KernelManager": {"transport": "ipc", "ip": f"{sockets}/kernel"}}) if os.name == "posix" else Config()


def write_summary(folder: Path, outcomes: list[TenantOutcome]) -> None:
    """Write summary.json, summary.csv and summary.html."""
    from runbook_lib.batch.summary import summary_csv, summary_html

    rows = [{"name": o.name, "status": o.status, "about": o.about, "folder": o.folder.name} for o in outcomes]
    write_private(folder / "summary.json", json.dumps(rows, indent=1, ensure_ascii=False))
    write_private(folder / "summary.csv", summary_csv(rows))
    write_private(folder / "summary.html", summary_html(rows))


def exit_code(outcomes: tuple[TenantOutcome, ...]) -> int:
    """Return the exit code of a run: a failure outweighs a busy tenant, that a block, and that pending changes."""
    codes = {EXIT_CODES[outcome.status] for outcome in outcomes}
    return next((code for code in (1, 5, 3, 4) if code in codes), 0)
