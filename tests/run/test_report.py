"""The report that is rebuilt from a journal is the one that the run wrote, and 4.2 says what Entra did."""

from __future__ import annotations

import json
import re

import pytest

from runbook_lib import __version__
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.run.report import rebuild_report, tenant_status
from runbook_lib.settings.references import resolve


def rebuilt(out):
    """Rebuild the report of a run in its folder, return (what the run wrote, what was rebuilt)."""
    report = out / "report.html"
    first = report.read_text()
    report.unlink()
    rebuild_report(out / "journal.jsonl", tenant_status(out / "journal.jsonl", OLDER_AZURE_AD), OLDER_AZURE_AD)
    return first, report.read_text()


@pytest.mark.parametrize(
    ("name", "mode"), [("fresh", "apply"), ("fresh", "plan"), ("half-done", "apply"), ("token-limit", "apply")]
)
def test_a_report_rebuilt_from_the_journal_is_the_same_to_the_letter(name, mode, carry_out, tenant):
    first, again = rebuilt(carry_out(tenant(name), mode).out)
    assert again == first
    assert "Signed in to Auth0 as" in first
    assert "SCIM mapping compared with the default" in first or name != "half-done"


def test_a_rebuilt_report_is_of_the_last_run_and_holds_no_secret(carry_out, tenant):
    settings = tenant("fresh")
    out = carry_out(settings).out
    secrets = [resolve(reference).reveal() for reference in (settings.auth0_client_secret, settings.entra_client_secret)]
    _, again = rebuilt(out)
    for text in (again, (out / "journal.jsonl").read_text(), (out / "results.json").read_text()):
        assert not [secret for secret in secrets if secret in text]


def test_a_journal_cut_off_in_the_middle_gives_a_report_of_what_it_holds(carry_out, tenant):
    out = carry_out(tenant("fresh")).out
    journal = out / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    cut = next(n for n, line in enumerate(lines) if '"step": "2.2"' in line and '"event": "intent"' in line)
    journal.write_text("".join(lines[: cut + 1]))
    rebuild_report(journal, tenant_status(journal, OLDER_AZURE_AD), OLDER_AZURE_AD)
    text = (out / "report.html").read_text()
    assert "interrupted at 2.2, run again" in text
    assert "SCIM mapping compared with the default" in text
    assert "Turn provisioning on" not in text


def facts(page):
    found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    return {label: value.replace("<wbr>", "") for label, value in found}


@pytest.mark.parametrize("mode", ["plan", "apply"])
def test_a_report_says_what_it_is_of(mode, carry_out, tenant):
    settings = tenant("fresh")
    run = carry_out(settings, mode)
    page = (run.out / "report.html").read_text()
    told = facts(page)
    assert (told["Run"], told["Auth0 connection"], told["Entra tenant"], told["Mode"]) == (
        run.out.parent.name,
        settings.auth0_connection,
        settings.entra_tenant,
        mode,
    )
    assert (told["Auth0 tenant"], told["Tool"]) == ("sandbox", f"inbound-scim-runbook {__version__}")
    assert re.fullmatch(r"\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d:\d\d UTC", told["When"])
    assert re.search(rf"<title>fresh: {mode}, .* UTC · Inbound SCIM</title>", page)


def test_a_report_calls_a_status_by_one_word_and_its_legend_tells_the_code(carry_out, tenant):
    page = (carry_out(tenant("token-limit")).out / "report.html").read_text()
    assert '<td class="status BLOCKED">■ Stopped</td>' in page
    assert "■ Stopped</strong>: a condition is not met, nothing was written (BLOCKED in results.json)" in page


def test_no_run_in_the_journal_means_no_report(tmp_path):
    rebuild_report(tmp_path / "journal.jsonl", ("interrupted", "did not start"), OLDER_AZURE_AD)
    assert list(tmp_path.iterdir()) == []


def entra_did(run):
    [row] = [row for row in json.loads((run.out / "results.json").read_text()) if row["step"] == "4.2"]
    [told] = [table for table in row["tables"] if table["title"] == "What Entra did, step by step"]
    assert told["columns"] == ["step", "status", "details"]
    return row["status"], told["rows"]


def test_4_2_shows_what_entra_did_when_it_succeeds(carry_out, tenant):
    run = carry_out(tenant("fresh"))
    status, steps = entra_did(run)
    assert (status, [step[:2] for step in steps]) == (
        "CHANGED",
        [
            ["EntryImport", "Success"],
            ["EntryImport", "Success"],
            ["EntrySynchronizationScoping", "Success"],
            ["EntryExportUpdate", "Success"],
        ],
    )
    assert "User &#39;adele@fresh.onmicrosoft.com&#39; was updated" in (run.out / "report.html").read_text()


def test_4_2_shows_what_entra_did_when_it_fails(carry_out, tenant, control):
    control("POST", "/faults", [{"service": "scim", "method": "PATCH", "kind": "403"}])
    run = carry_out(tenant("fresh"))
    status, steps = entra_did(run)
    assert status == "FAILED"
    assert "Failure" in [step[1] for step in steps]
    first, again = rebuilt(run.out)
    assert again == first
    assert "EntryExportUpdate</td><td>Failure" in first
