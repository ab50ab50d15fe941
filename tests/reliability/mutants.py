"""Mutation testing of the guards: python -m tests.reliability.mutants [MODULE ...]. Changes nothing in the checkout.

The mutations are mutmut's, applied by this module and not by its command: mutmut passes over decorated functions, which all
steps are. Each mutant is tried in a forked process, with the fast tests of its module alone: first with the changed function put
in the place of the original (`swapping.py`), then, if it lives, imported. Not mutated: texts
for people (those with a space in them), annotations, docstrings, decorators, and the patterns of `texts.py` and `secret.py`,
whose two other cases in upper and lower letters say nothing.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.abc
import importlib.util
import itertools
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

from tests.reliability.swapping import NOT_SWAPPED, Swapped

ROOT = Path(__file__).resolve().parent.parent.parent
FEWEST_KILLED = 85.0  # per cent, over all
CPU_LIMIT_S = 20.0
LIMIT_S = 300
PARALLEL = 2
CREDENTIALS = ("tests/steps/test_saved_credentials.py", "tests/steps/test_credentials.py")
CONNECTION, START = "tests/steps/test_connection.py", "tests/steps/test_start.py"
FATES, EXPRESSIONS = "tests/tenant/forecast/test_fates.py", "tests/tenant/forecast/test_expressions.py"
DETAILS, DATES = "tests/tenant/forecast/test_expression_details.py", "tests/tenant/forecast/test_date_formats.py"
KEPT, MAPPING = "tests/tenant/forecast/test_kept.py", "tests/tenant/forecast/test_job_mapping.py"
HANDED_OVER = "tests/steps/test_handed_over.py"
ROOMS = ("connection", "scim_configuration", "scim_token", "applications", "assignments", "provisioning_job")
ROOMS += ("attribute_mappings", "test_user", "sign_ins")
TESTS: dict[str, tuple[str, ...]] = {
    "tenant/connection_age": ("tests/page/test_guided.py", CONNECTION),
    "tenant/app_notes": ("tests/tenant/test_app_notes.py",),
    "run/lock": ("tests/run/test_lock.py",),
    "engine/journal": ("tests/engine/test_journal.py",),
    "engine/recovery": ("tests/engine/test_recovery.py", "tests/engine/test_journal.py"),
    "engine/values": ("tests/engine/test_values.py",),
    **{f"engine/{name}": (f"tests/engine/test_{name}.py",) for name in ("convergence", "planner", "writer")},
    "steps/credentials": CREDENTIALS[::-1],
    "steps/tested_user": ("tests/steps/test_test_user.py",),
    "tenant/forecast/happened": ("tests/tenant/forecast/test_happened.py",),
    **{f"tenant/forecast/{name}": (FATES, KEPT) for name in ("changes", "fate", "forecasting")},
    "tenant/forecast/turns": ("tests/tenant/forecast/test_turns.py", FATES, KEPT),
    "tenant/forecast/matching": ("tests/tenant/forecast/test_matching.py", FATES, KEPT),
    "tenant/forecast/managers": ("tests/tenant/forecast/test_managers.py", KEPT),
    "tenant/forecast/scope": ("tests/tenant/forecast/test_scope.py", FATES, KEPT),
    "tenant/forecast/job_mapping": (MAPPING, FATES),
    "tenant/forecast/source_attributes": ("tests/tenant/forecast/test_source_attributes.py", FATES),
    "tenant/forecast/date_formats": (DATES, EXPRESSIONS),
    **{f"tenant/forecast/{name}": (EXPRESSIONS, DETAILS) for name in ("arguments", "dotnet", "evaluation")},
    **{f"tenant/forecast/{name}": (EXPRESSIONS, DETAILS) for name in ("expressions", "functions")},
    "tenant/forecast/values": ("tests/tenant/forecast/test_values.py", FATES),
    "steps/start": (START, "tests/steps/test_forecast_gate.py", HANDED_OVER),
    "steps/forecast_gate": ("tests/steps/test_forecast_gate.py",),
    "steps/running_job": ("tests/steps/test_forecast_gate.py",),
    "steps/attribute_mapping_checks": ("tests/steps/test_attribute_mapping_checks.py", "tests/steps/test_attribute_mappings.py"),
    "steps/saved_credentials": CREDENTIALS,
    **{f"steps/{name}": (f"tests/steps/test_{name}.py", HANDED_OVER) for name in ROOMS},
    **{f"steps/undoing/{name}": (f"tests/steps/undoing/test_{name}.py",) for name in ("undo", "others", "doubts", "readings")},
    "steps/start_conditions": (START,),
    "core/secret": ("tests/core/test_secret.py",),
    "settings/texts": ("tests/settings/test_settings.py",),
    "settings/clouds": ("tests/settings/test_settings.py",),
}
ONLY = {
    "settings/texts": ("check_auth0_domain", "checked_entra_tenant", "is_guid", "checked_user", "checked_text"),
    "settings/clouds": ("checked_cloud", "sandbox_cloud"),
}
SLOW = "not guarded_process and not command_line and not cost_little and not threads and not survive"
EQUIVALENT: dict[tuple[str, str], str] = {}  # (module, "line of source -> mutated line"): why no test can tell them apart


@dataclass(frozen=True)
class Mutant:
    """One changed source. `what` is the changed line before and after."""

    module: str
    line: int
    what: str
    source: str


class _Places(cst.CSTVisitor):
    """Collects every mutation of every node that may be mutated, with its line."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, only: tuple[str, ...]) -> None:
        super().__init__()
        self.found: list[tuple[int, cst.CSTNode, cst.CSTNode]] = []
        self._only, self._depth = only, 0

    def visit_FunctionDef(self, node: cst.FunctionDef) -> bool:  # noqa: N802 - libcst's name
        self._depth += node.name.value in self._only or bool(self._depth)
        return True

    def leave_FunctionDef(self, original_node: cst.FunctionDef) -> None:  # noqa: N802 - libcst's name
        self._depth -= bool(self._depth)

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom | cst.FormattedString):
            return False
        if isinstance(node, cst.Subscript) and isinstance(node.value, cst.Name) and node.value.value == "Literal":
            return False  # a type
        if isinstance(node, cst.Assign) and _is_type(node):
            return False
        is_text = isinstance(node, cst.SimpleString) and (" " in node.value or "\\" in node.value)
        if not is_text and (self._depth or not self._only):
            line = self.get_metadata(PositionProvider, node).start.line
            for kind, operator in mutation_operators:
                if isinstance(node, kind):
                    self.found += [(line, node, other) for other in operator(node)]
        return super().on_visit(node)


def _is_type(node: cst.Assign) -> bool:
    """Whether a name is given to a type, which a run does not look at: such names alone are in capitals and small letters."""
    name = node.targets[0].target
    return isinstance(name, cst.Name) and name.value.lstrip("_")[:1].isupper() and not name.value.isupper()


def mutants_of(module: str) -> Iterator[Mutant]:
    """Make every mutant of a module that compiles and differs from it in more than its looks."""
    original = (ROOT / "runbook_lib" / f"{module}.py").read_text(encoding="utf-8")
    wrapper = MetadataWrapper(cst.parse_module(original))
    places = _Places(ONLY.get(module, ()))
    wrapper.visit(places)
    seen = {ast.dump(ast.parse(original))}
    for line, node, other in places.found:
        try:
            source = _spliced(wrapper, original, node, other)
            tree = ast.dump(ast.parse(source))
        except (SyntaxError, cst.CSTValidationError):
            continue
        if tree not in seen:
            seen.add(tree)
            yield Mutant(module, line, _what(original, source), source)


def _spliced(wrapper: MetadataWrapper, original: str, node: cst.CSTNode, other: cst.CSTNode) -> str:
    """Return the source with one node replaced: as text where the node is a text of its own, which is fast."""
    if isinstance(node, cst.BaseExpression):
        place = wrapper.resolve(PositionProvider)[node]
        lines = original.splitlines(keepends=True)
        starts = list(itertools.accumulate(map(len, lines), initial=0))
        start, end = (starts[at.line - 1] + at.column for at in (place.start, place.end))
        if original[start:end] == wrapper.module.code_for_node(node):
            return original[:start] + wrapper.module.code_for_node(other) + original[end:]
    changed = wrapper.module.deep_replace(node, other)
    assert isinstance(changed, cst.Module)
    return changed.code


def _what(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    one, other = next(((a, b) for a, b in pairs if a != b), ("", ""))
    return f"{one.strip()} -> {other.strip()}"


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Puts the mutant in the place of its module when that is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._source = mutant.source
        self._path = str(ROOT / "runbook_lib" / f"{mutant.module}.py")
        self._name = f"runbook_lib.{mutant.module.replace('/', '.')}"

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, origin=self._path) if name == self._name else None

    def get_data(self, path: str) -> bytes:
        return self._source.encode()

    def get_filename(self, name: str) -> str:
        return self._path


def exit_codes(tests: Sequence[str], mutants: Sequence[Mutant | None]) -> list[int]:
    """Run the tests against each mutant, two at a time, and return pytest's exit codes; 124 where they did not end in time.

    Forked from a process without threads: a lock that another thread holds would be held for ever in the child.
    """
    codes, running = [3] * len(mutants), dict[int, int]()
    for number in range(len(mutants) + PARALLEL):
        if len(running) == PARALLEL or (running and number >= len(mutants)):
            child, status = os.wait()
            codes[running.pop(child)] = 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
        if number < len(mutants):
            if not (child := os.fork()):
                _run_tests(tests, mutants[number])
            running[child] = number
    return codes


def _run_tests(tests: Sequence[str], mutant: Mutant | None) -> NoReturn:
    code = 3  # of pytest: an internal error; here whatever else broke
    with contextlib.suppress(BaseException):
        signal.setitimer(signal.ITIMER_PROF, CPU_LIMIT_S)  # of its own time: the machine may be busy
        signal.alarm(LIMIT_S)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        if mutant is not None:
            sys.meta_path.insert(0, _Finder(mutant))
        code = int(pytest.main(_arguments(tests)))
    os._exit(code)


def _arguments(tests: Sequence[str]) -> list[str]:
    options = ["-x", "-q", "--noconftest", "--assert=plain", "--disable-plugin-autoload", "-p", "no:cacheprovider", "-k", SLOW]
    return [*options, *(str(ROOT / test) for test in tests)]


def quick_exit_codes(module: str, tests: Sequence[str], mutants: Sequence[Mutant]) -> list[int]:
    """Run the tests without a mutation and then with each mutant in the place of the original's functions; see `swapping.py`."""
    got, gives = os.pipe()
    if not (child := os.fork()):
        os.close(got)
        with contextlib.suppress(BaseException):
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            sources = [mutant.source for mutant in mutants]
            swapped = Swapped(str(ROOT / "runbook_lib" / f"{module}.py"), sources, PARALLEL)
            pytest.main(_arguments(tests), plugins=[swapped])
            os.write(gives, json.dumps(swapped.codes).encode())
        os._exit(0)
    os.close(gives)
    with os.fdopen(got, "rb") as answer:
        codes = json.loads(answer.read() or "[3]")
    os.waitpid(child, 0)
    return list(codes)


def _warm_up() -> None:
    """Import what the tests need and forget our own modules, so that each forked process imports only those again."""
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    sys.dont_write_bytecode = True
    import hypothesis.strategies  # noqa: F401

    import runbook_lib.run.tenant_run  # noqa: F401

    for name in [name for name in sys.modules if name.partition(".")[0] == "runbook_lib"]:
        del sys.modules[name]


def _codes(module: str, mutants: Sequence[Mutant]) -> list[int]:
    """Return each mutant's exit code; none at all when the tests fail without any mutation."""
    tests = TESTS[module]
    unchanged, *codes = quick_exit_codes(module, tests, mutants)
    if unchanged:
        return []
    again = [number for number, code in enumerate(codes) if code in (0, NOT_SWAPPED)]
    for number, code in zip(again, exit_codes(tests, [mutants[number] for number in again]), strict=True):
        codes[number] = code
    return codes


def main(modules: Sequence[str]) -> int:
    """Print each mutant that lived, then the figures; 0 when enough were killed."""
    _warm_up()
    killed_in_all = tried_in_all = 0
    figures: list[str] = []
    for module in modules or TESTS:
        mutants = [mutant for mutant in mutants_of(module) if (module, mutant.what) not in EQUIVALENT]
        codes = _codes(module, mutants)
        if not codes:
            click.echo(f"{module}: its tests fail without any mutation")
            return 1
        killed = sum(code != 0 for code in codes)
        for mutant, code in zip(mutants, codes, strict=True):
            if code == 0:
                click.echo(f"lived: runbook_lib/{mutant.module}.py:{mutant.line}: {mutant.what}")
        figures.append(f"mutants of {module}: {killed} of {len(mutants)} killed, {100 * killed / len(mutants):.1f} %")
        click.echo(figures[-1])
        killed_in_all, tried_in_all = killed_in_all + killed, tried_in_all + len(mutants)
    share = 100 * killed_in_all / tried_in_all
    click.echo("\n".join([*figures, f"mutants killed: {killed_in_all} of {tried_in_all}, {share:.1f} %"]))
    return 0 if share >= FEWEST_KILLED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
