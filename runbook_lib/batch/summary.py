"""The summary of a run as CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path

from runbook_lib.batch.one_tenant import TenantOutcome
from runbook_lib.report import write_private
from runbook_lib.visible import as_cell, as_html


def summary_csv(rows: list[dict[str, str]]) -> str:
    """Return the rows as CSV, every cell in quotes: where the semicolon separates, one with a semicolon would be two."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, quoting=csv.QUOTE_ALL)
    writer.writerow(["name", "status", "about", "folder"])
    for row in rows:
        writer.writerow([as_cell(value) for value in row.values()])
    return target.getvalue()


def summary_html(rows: list[dict[str, str]]) -> str:
    """Return the rows as one page that links each tenant's report, every text escaped."""
    body = "".join(
        f'<tr><td><a href="{html.escape(row["folder"])}/report.html">{as_html(row["name"])}</a></td>'
        f"<td>{as_html(row['status'])}</td><td>{as_html(row['about'])}</td></tr>"
        for row in rows
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Inbound SCIM: summary</title>'
        "<style>:root{color-scheme:light dark}"
        "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
        "td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #8886;vertical-align:top}</style>"
        f"<h1>Summary</h1><table><tr><th>Tenant</th><th>Status</th><th>What to know</th></tr>{body}</table></html>"
    )


def write_summary(folder: Path, outcomes: Sequence[TenantOutcome]) -> None:
    """Write summary.json, summary.csv and summary.html."""
    rows = [{"name": o.name, "status": o.status, "about": o.about, "folder": o.folder.name} for o in outcomes]
    write_private(folder / "summary.json", json.dumps(rows, indent=1, ensure_ascii=False))
    write_private(folder / "summary.csv", summary_csv(rows))
    write_private(folder / "summary.html", summary_html(rows))
