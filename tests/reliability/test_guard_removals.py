"""Each guard, taken out of a copy of the package by name, must be missed by the fast tests of its module: 20 of 20."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = (0, 4, 7, 12, 15)
GATE, MERGE, TOKENS = "tests/steps/test_start_gate.py", "tests/steps/test_options_merge.py", "tests/steps/test_credentials.py"


@dataclass(frozen=True)
class Removal:
    """An edit of a source file. `text` must stand there exactly once."""

    name: str
    file: str
    text: str
    instead: str
    tests: str


REMOVALS = (
    Removal(
        "a job in quarantine is started",
        "steps/section_4_testing.py",
        "    if job is not None and job.is_quarantined:\n",
        "    if False:\n",
        GATE,
    ),
    Removal("own token ids are ignored", "steps/credentials.py", "if token.token_id in ours and", "if", TOKENS),
    Removal(
        "Create stays on at the start",
        "steps/section_4_testing.py",
        'schema.flow_types == ("Update", "Delete")',
        '"Update" in schema.flow_types',
        GATE,
    ),
    Removal(
        "the census limit is ignored",
        "steps/section_4_testing.py",
        "len(census.would_be_blocked) > settings.blocked_users_limit",
        "False",
        GATE,
    ),
    Removal("an empty access list passes", "steps/section_4_testing.py", "bool(assigned) and {", "{", GATE),
    Removal(
        "options are not merged",
        "steps/section_1_auth0_settings.py",
        'changed = {**options, "userid_attribute"',
        'changed = {"userid_attribute"',
        MERGE,
    ),
    Removal("display_name is left out", "clients/auth0_management.py", "connection.display_name is not None", "False", MERGE),
    Removal(
        "unreadable options count as empty",
        "steps/section_1_auth0_settings.py",
        "    if not connection.options:\n        raise",
        "    if connection.options is False:\n        raise",
        MERGE,
    ),
    Removal(
        "the hazard of the common endpoint is ignored",
        "steps/section_1_auth0_settings.py",
        "    if connection.uses_common_endpoint:\n",
        "    if False:\n",
        MERGE,
    ),
    Removal(
        "the hazard of oid is ignored",
        "steps/section_1_auth0_settings.py",
        'if connection.user_id_attribute_type == "oid":',
        "if False:",
        MERGE,
    ),
    Removal("the lock is not taken", "lock.py", "self._lock.acquire(timeout=0)", "pass", "tests/test_lock.py"),
    Removal(
        "the journal does not wait for the disk",
        "journal.py",
        "        if is_synced:\n            os.fsync(handle)\n",
        "",
        "tests/test_journal.py",
    ),
    Removal(
        "another machine's claim is ignored",
        "claim.py",
        'return marker.run.partition("@")[2] != run.partition("@")[2] and now < marker.until',
        "return False",
        "tests/test_claim.py",
    ),
    Removal("the claim is not asked for at the start", "steps/section_4_testing.py", " and not other_claim", "", GATE),
    Removal(
        "a torn middle of a journal is passed over",
        "journal.py",
        '                raise JournalFailed(\n                    path, f"line',
        '                continue\n                raise JournalFailed(\n                    path, f"line',
        "tests/test_journal.py",
    ),
    Removal(
        "a foreign journal tells of the past",
        "journal.py",
        "return runs == {(auth0_domain, connection, VERSION)}",
        "return True",
        "tests/test_journal.py",
    ),
    Removal(
        "a deletion guard that is on is lowered",
        "steps/credentials.py",
        "    if saved.guards_deletions:\n        return kept\n",
        "",
        TOKENS,
    ),
    Removal(
        "a third token is asked for",
        "steps/section_2_endpoint_and_token.py",
        "if len(left) >= SCIM_TOKEN_LIMIT:",
        "if False:",
        MERGE,
    ),
    Removal(
        "leavers keep their access",
        "mapping.py",
        "return LEAVERS in mapping",
        "return True",
        MERGE,
    ),
    Removal(
        "any domain is an Auth0 domain", "settings.py", "_AUTH0_DOMAIN.fullmatch(domain)", "domain", "tests/test_settings.py"
    ),
)


def without(removal: Removal, folder: Path) -> Path:
    """Return a folder with a copy of the package from which the guard is gone."""
    shutil.copytree(ROOT / "runbook_lib", folder / "runbook_lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    file = folder / "runbook_lib" / removal.file
    source = file.read_text(encoding="utf-8")
    assert source.count(removal.text) == 1, f"{removal.name}: {removal.text!r} stands {source.count(removal.text)} times there"
    file.write_text(source.replace(removal.text, removal.instead), encoding="utf-8")
    return folder


def run(folder: Path, tests: str) -> subprocess.CompletedProcess[str]:
    options = ["-x", "-q", "--noconftest", "--disable-plugin-autoload", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", *options, str(folder / tests)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=120)


def test_every_guard_is_missed_when_it_is_gone(tmp_path, figure, trials):
    chosen = [REMOVALS[number] for number in SAMPLE] if trials(len(SAMPLE), len(REMOVALS)) < len(REMOVALS) else REMOVALS
    unnoticed = []
    for number, removal in enumerate(chosen):
        ended = run(without(removal, tmp_path / str(number)), removal.tests)
        if ended.returncode != 1:  # 1: tests ran and failed; all else, such as a broken import, proves nothing
            unnoticed.append((removal.name, ended.stdout[-300:]))
    figure("guards taken out, and a test noticed", f"{len(chosen) - len(unnoticed)} of {len(chosen)}")
    assert unnoticed == []


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_the_text_of_every_guard_stands_there_once(removal):
    assert (ROOT / "runbook_lib" / removal.file).read_text(encoding="utf-8").count(removal.text) == 1


def test_the_copy_is_what_is_tested_and_right_as_it_is(tmp_path):
    nothing = Removal("nothing", "lock.py", "import json\n", "import json\n", "")
    assert run(without(nothing, tmp_path / "copy"), GATE).returncode == 0
