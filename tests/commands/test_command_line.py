"""The command line: totals, the next command, errors as JSON, help by -h, and the way on after Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from runbook_lib.__main__ import main
from runbook_lib.batch import ending, runner
from runbook_lib.batch.summary import TenantRow
from runbook_lib.batch.totals import durations, totals
from runbook_lib.commands import terminal
from runbook_lib.core.display import cut
from runbook_lib.procedures.older_azure_ad import OLDER_AZURE_AD
from runbook_lib.settings.model import RunMode
from tests.patience import PATIENCE_S

VERBS = sorted(main.commands)
COMMANDS = {"go_on": "run --resume R", "failed": "run --resume R --failed", "apply": "run T --mode apply", "undo": "undo R"}


@pytest.fixture
def invoke(monkeypatch):
    """Call the command line in this process, whose signals and umask stay as they are."""
    monkeypatch.setattr("runbook_lib.__main__.signal", SimpleNamespace(signal=lambda *_: None, SIGTERM=signal.SIGTERM))
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_by_h_with_an_example(verb, invoke):
    told = invoke(verb, "-h")
    assert (told.exit_code, told.output.startswith("Usage: ")) == (0, True)
    assert f"python -m runbook_lib {verb}" in " ".join(told.output.split())


def test_help_by_h_lists_the_verbs(invoke):
    assert set(VERBS) <= set(invoke("-h").output.split())


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("run", "missing.csv"), "SettingsError"),
        (("run", "--resume", "."), "SettingsError"),
        (("run", "--no-such-option"), "NoSuchOption"),
        (("inventory", "missing.csv"), "SettingsError"),
        (("doctor", "missing.csv"), "SettingsError"),
        (("undo", "missing"), "BadParameter"),
        (("report", "."), "SettingsError"),
        (("report", ".", ".."), "SettingsError"),
    ],
)
def test_with_json_an_error_is_json_and_is_said_in_words_too(words, kind, invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = invoke(*words, "--json")
    error = json.loads(ended.stdout)["error"]
    assert (ended.exit_code, error["exit_code"], error["kind"]) == (2, 2, kind)
    assert error["message"] in ended.stderr.replace("Error: ", "")


def test_without_json_an_error_leaves_standard_output_empty(invoke):
    ended = invoke("run", "missing.csv")
    assert (ended.exit_code, ended.stdout) == (2, "")


def test_no_room_for_files_is_told_as_json_too(invoke, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runbook_lib.batch.summary.write_summary", full)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "journal.jsonl").write_text("")
    ended = invoke("report", tmp_path, "--json")
    error = json.loads(ended.stdout)["error"]
    assert (ended.exit_code, error["attempted"], "Make room" in error["do_now"]) == (1, "Writing files", True)


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(invoke, monkeypatch, tmp_path):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr("runbook_lib.batch.undo.undo_run", interrupted)
    ended = invoke("undo", tmp_path, "--mode", "apply")
    assert ended.exit_code == 130
    assert f"python -m runbook_lib undo {shlex.quote(str(tmp_path))} --mode apply" in ended.stderr


def test_again_is_the_command_as_it_was_typed_with_what_changes(monkeypatch):
    said = []

    @click.command()
    @click.argument("tenants")
    @click.option("--mode")
    @click.option("--only", multiple=True)
    @click.option("--jobs", default=16)
    @click.option("--failed", is_flag=True)
    @click.option("--json", "as_json", is_flag=True)
    def carry(**_options):
        said.extend((terminal.again(), terminal.again(mode="apply", only=None)))

    typed = ["a b.csv", "--only", "one", "--only", "two", "--failed", "--json"]
    CliRunner().invoke(carry, typed, catch_exceptions=False)
    assert said == [
        "python -m runbook_lib carry 'a b.csv' --only one --only two --failed",
        "python -m runbook_lib carry 'a b.csv' --mode apply --failed",
    ]


def test_a_sentence_is_cut_after_a_word_and_marked():
    assert [cut("one two three", 13), cut("one two three", 12)] == ["one two three", "one two \u2026"]


# How a run ended ------------------------------------------------------------------------------------------------------


def step(number, status, reason="", remedy=""):
    return {"step": number, "status": status, "reason": reason, "remedy": remedy}


def tenant_row(name, status="pending", about="14 steps would change something", *steps):
    return TenantRow(name, status, about, name, 1.0, {one["step"]: one for one in steps})


REFUSED = step("1.2", "BLOCKED", "The common endpoint is on", "Accept it")


def test_300_tenants_are_told_in_a_few_lines_and_what_equal_ones_need_once():
    rows = [tenant_row(f"t{n}") for n in range(297)]
    rows += [tenant_row(f"b{n}", "blocked", "1.2: The common endpoint is on", REFUSED) for n in range(3)]
    assert list(ending.table(rows, str)) == ["297 to do: 14 steps would change something: t0, t1, t2, t3, t4 and 292 more"]
    assert list(ending.needs(rows)) == [
        "What to do",
        "\u25a0 Stopped at 1.2: b0, b1, b2",
        "    The common endpoint is on",
        "    \u2192 Accept it",
    ]


def test_totals_count_tenants_and_steps_in_the_words_of_the_page():
    rows = [tenant_row("a", "done", "", step("0.1", "PASSED"), step("1.2", "CHANGED")), tenant_row("b", "blocked", "", REFUSED)]
    steps = len(OLDER_AZURE_AD)
    assert list(totals(rows, RunMode.APPLY, OLDER_AZURE_AD)) == [
        "Tenants: 1 stopped, 1 done.",
        f"Applied: 1 done, 1 checked, 1 stopped, {2 * steps - 3} not reached.",
    ]
    [_, planned] = totals(rows[:1], RunMode.PLAN, OLDER_AZURE_AD)
    assert planned == f"Plan: 1 done, 1 checked, {steps - 2} not reached. Nothing was written."


def timed(name, seconds, slowest=("", 0.0)):
    return replace(tenant_row(name), seconds=seconds, slowest=slowest)


def test_only_tenants_that_took_far_longer_are_drawn_and_their_slowest_step_says_why():
    rows = [*(timed(f"t{n}", 12.0 + n) for n in range(5)), timed("huge", 112.0, ("3.3", 98.4))]
    said, slow = durations(rows, OLDER_AZURE_AD)
    assert said == "Half of the tenants took at most 14 seconds, the longest took 112 seconds."
    assert [(one.name, one.why, one.share) for one in slow] == [
        ("huge", f"98 s of it in 3.3 {OLDER_AZURE_AD.row('3.3').title}", 100)
    ]
    assert durations(rows[:5], OLDER_AZURE_AD)[1] == ()
    assert durations([], OLDER_AZURE_AD) == ("", ())


@pytest.mark.parametrize(
    ("statuses", "mode", "commands"),
    [
        (["pending", "unchanged"], RunMode.PLAN, ["run T --mode apply"]),
        (["pending", "blocked"], RunMode.PLAN, ["run --resume R --failed", "run T --mode apply"]),
        (["interrupted", "not-started", "pending"], RunMode.PLAN, ["run --resume R"]),
        (["handover"], RunMode.APPLY, ["run --resume R"]),
        (["done"], RunMode.APPLY, ["undo R"]),
        (["unchanged"], RunMode.APPLY, [""]),
    ],
)
def test_what_comes_next_follows_from_how_the_tenants_ended(statuses, mode, commands):
    assert [command for _, command in ending.following(statuses, mode, COMMANDS)] == commands


def test_a_run_in_json_has_steps_cures_paths_and_the_next_command(sandbox, tmp_path):
    command = [sys.executable, "-m", "runbook_lib", "run", sandbox.ready["tenants_file"], "--json", "--out", str(tmp_path)]
    ended = subprocess.run([*command, "--only", "token-limit"], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    told = json.loads(ended.stdout)
    [one] = told["tenants"]
    folder = Path(told["folder"])
    assert (ended.returncode, told["exit_code"], told["mode"], told["counts"]) == (3, 3, "plan", {"blocked": 1})
    assert told["next"][0]["command"] == f"python -m runbook_lib run --resume {shlex.quote(str(folder))} --failed"
    assert {"summary.html", "summary.csv", "summary.json", "junit.xml"} == {Path(path).name for path in told["files"].values()}
    assert Path(one["files"]["report"]) == folder / "token-limit" / "report.html"
    [stopped] = [row for row in one["steps"] if row["status"] == "BLOCKED"]
    assert (len(one["steps"]), sorted(stopped)) == (
        len(OLDER_AZURE_AD),
        ["diffs", "kind", "reason", "remedy", "status", "step", "title"],
    )
    assert one["needs"] == [{key: stopped[key] for key in ("step", "reason", "remedy")}]
    assert "Delete the one that is not in use" in stopped["remedy"]


def test_the_first_ctrl_c_names_the_folder_to_go_on_in(monkeypatch):
    said, handlers = [], {}

    class Watcher:
        says = staticmethod(said.append)

    numbers = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}
    monkeypatch.setattr(runner, "signal", SimpleNamespace(signal=handlers.__setitem__, **numbers))
    with runner._stopped_by_signals(runner.Stop(), Watcher(), Path("scratch"), " --resume outputs/one goes on later."):
        handlers[signal.SIGINT](signal.SIGINT, None)
    [told] = said
    assert told.endswith("Once more stops at once. --resume outputs/one goes on later.")


def test_a_terminal_without_a_tenants_letters_shows_its_row_in_escapes(tmp_path):
    runner.begin(tmp_path, tmp_path / "tenants.csv", ["\u6771\u4eac"], RunMode.PLAN)
    command = [sys.executable, "-m", "runbook_lib", "report", str(tmp_path)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}  # the code page of Windows in the West
    ended = subprocess.run(command, capture_output=True, check=False, env=environment)
    told, said = ended.stdout.decode("cp1252"), ended.stderr.decode("cp1252")
    assert (ended.returncode, "\\u6771\\u4eac" in told, "Traceback" in said) == (1, True, False), told + said


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["--port", "80000"], "80000 is not in the range"),
        (["--tenants", "-1"], "-1 is not in the range"),
        (["--ready-file", "/proc/nowhere/ready.json"], "the sandbox cannot have the ready file /proc/nowhere/ready.json"),
    ],
)
def test_a_sandbox_that_cannot_start_says_why(typed, words):
    command = [sys.executable, "-m", "runbook_lib", "sandbox", *typed]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, words in ended.stderr, "Traceback" in ended.stderr) == (2, True, False), ended.stderr


def test_a_sandbox_whose_port_is_taken_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "runbook_lib", "sandbox", "--port", str(min(taken.getsockname()[1], 65_531))]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ended.returncode, "the sandbox cannot have port" in ended.stderr) == (2, True), ended.stderr
