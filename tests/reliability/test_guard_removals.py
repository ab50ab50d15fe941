"""Each guard, taken out of a copy of the package by name, must be missed by the fast tests of its module: 20 of 20."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLE = (0, 4, 7, 12, 15)
GATE, TOKENS, TOKEN = "tests/steps/test_start.py", "tests/steps/test_credentials.py", "tests/steps/test_scim_token.py"
CONNECTION, SCIM, JOB = (f"tests/steps/test_{thing}.py" for thing in ("connection", "scim_configuration", "provisioning_job"))
FORECAST, ROWS = "tests/steps/test_forecast_gate.py", "tests/steps/test_attribute_mappings.py"


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
        "steps/start.py",
        '    if job is not None and job.is_quarantined and settings.turn_on == "yes":\n',
        "    if False:\n",
        GATE,
    ),
    Removal("own token ids are ignored", "steps/credentials.py", "if token.token_id in ours and", "if", TOKENS),
    Removal(
        "Create stays on at the start",
        "steps/start_conditions.py",
        'schema.flow_types == ("Update", "Delete")',
        '"Update" in schema.flow_types',
        GATE,
    ),
    Removal(
        "the limit of people to be blocked is ignored",
        "steps/forecast_gate.py",
        "len(people) <= settings.blocked_users_limit",
        "bool(people)",
        FORECAST,
    ),
    Removal(
        "the start is not held by the forecast",
        "steps/start.py",
        "        yield from forecast_gate.dangers(forecast, settings)\n",
        "",
        FORECAST,
    ),
    Removal(
        "what a running job acts on is not held by the forecast",
        "steps/running_job.py",
        "in forecast_gate.dangers(forecast, settings, is_anyway_left_out=is_anyway_left_out):",
        "in ():",
        FORECAST,
    ),
    Removal("a running job is not paused first", "steps/running_job.py", "or not mappings_differ", "or True", FORECAST),
    Removal(
        "hidden members hold nothing", "steps/forecast_gate.py", "    if forecast.hidden_groups:\n", "    if False:\n", FORECAST
    ),
    Removal("an acceptance holds for more people", "settings/model.py", "one.count >= count", "True", FORECAST),
    Removal("a departure may reach nobody", "steps/attribute_mapping_checks.py", 'if leaves != {"false"}:', "if False:", ROWS),
    Removal("another job may run", "steps/provisioning_job.py", "if job.is_running]:", "if False]:", JOB),
    Removal("an empty access list passes", "steps/start_conditions.py", "bool(assigned) and {", "{", GATE),
    Removal(
        "options are not merged",
        "steps/connection.py",
        'changed = {**options, "userid_attribute"',
        'changed = {"userid_attribute"',
        CONNECTION,
    ),
    Removal(
        "display_name is left out", "services/auth0/management.py", "connection.display_name is not None", "False", CONNECTION
    ),
    Removal(
        "unreadable options count as empty",
        "steps/connection.py",
        '    if not connection.options:\n        raise StepBlocked("Auth0 does not show this run the options',
        '    if connection.options is False:\n        raise StepBlocked("Auth0 does not show this run the options',
        CONNECTION,
    ),
    Removal(
        "the hazard of the common endpoint is ignored",
        "steps/connection.py",
        "    if not connection.uses_common_endpoint:\n",
        "    if True:\n",
        CONNECTION,
    ),
    Removal(
        "the hazard of user ids that are no pairwise subjects is ignored",
        "steps/connection.py",
        "    if not doubt:\n",
        "    if True:\n",
        CONNECTION,
    ),
    Removal("the lock is not taken", "run/lock.py", "self._lock.acquire(timeout=0)", "pass", "tests/run/test_lock.py"),
    Removal(
        "the journal does not wait for the disk",
        "engine/journal.py",
        "        if is_synced:\n            os.fsync(handle)\n",
        "",
        "tests/engine/test_journal.py",
    ),
    Removal(
        "another machine's claim is ignored",
        "tenant/app_notes.py",
        'return marker.run.partition("@")[2] != run.partition("@")[2] and is_alive',
        "return False",
        "tests/tenant/test_app_notes.py",
    ),
    Removal("the claim is not asked for at the start", "steps/start_conditions.py", " and not other_claim", "", GATE),
    Removal(
        "a torn middle of a journal is passed over",
        "engine/journal.py",
        "            yield _checked(path, number, line)\n",
        "            try:\n                yield _checked(path, number, line)\n"
        "            except JournalFailed:\n                continue\n",
        "tests/engine/test_journal.py",
    ),
    Removal(
        "a foreign journal tells of the past",
        "run/journals.py",
        '    return {event.text("connection") for event in runs} <= set(names)',
        "    return True",
        "tests/engine/test_journal.py",
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
        "steps/scim_token.py",
        "if len(left) >= SCIM_TOKEN_LIMIT:",
        "if False:",
        TOKEN,
    ),
    Removal(
        "leavers keep their access",
        "tenant/scim_mapping.py",
        "return LEAVERS in mapping",
        "return True",
        SCIM,
    ),
    Removal(
        "any domain is an Auth0 domain",
        "settings/texts.py",
        "_AUTH0_DOMAIN.fullmatch(domain)",
        "domain",
        "tests/settings/test_settings.py",
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
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False, timeout=PATIENCE_S)


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
    nothing = Removal("nothing", "run/lock.py", "import json\n", "import json\n", "")
    assert run(without(nothing, tmp_path / "copy"), GATE).returncode == 0
