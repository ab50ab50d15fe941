"""Mutants tried in the tests' own process: one changed function put in the place of the original.

A mutant that is imported costs a second, since every module of the package is imported again. Here the tests are collected once;
each mutant is a fork in which the code of the changed functions is exchanged. What stands outside of functions is run at the
import alone, and so is what a decorator makes of its arguments: such mutants, and all that live, are imported by `mutants.py`.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import itertools
import os
import resource
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import NoReturn

import pytest

NOT_SWAPPED = 99  # exit code of a fork that could not exchange the code
LEAST_CPU_S, TIMES_LONGER = 5.0, 20  # a mutant whose tests take so much longer never ends

Functions = dict[CodeType, list[FunctionType]]
Mutation = tuple[CodeType, str, Functions]  # the module's code, the mutated source, and the functions that there are


class Swapped:
    """Plugin of pytest that runs the collected tests once for each mutated source, in forks, and keeps the exit codes.

    The first code is that of the unchanged module.
    """

    def __init__(self, path: str, sources: Sequence[str], parallel: int) -> None:
        self.codes: list[int] = []
        self._path, self._sources, self._parallel = path, sources, parallel
        self._cpu_s = 60.0

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests of the session against each mutant instead of once."""
        original = compile(Path(self._path).read_text(encoding="utf-8"), self._path, "exec", dont_inherit=True)
        known = _functions(self._path)
        self.codes = self._forked(session, [None])
        if self.codes == [0]:
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            self._cpu_s = max(LEAST_CPU_S, TIMES_LONGER * (spent.ru_utime + spent.ru_stime))
            mutants = [(original, source, known) for source in self._sources]
            self.codes += self._forked(session, mutants)
        return True

    def _forked(
        self, session: pytest.Session, mutants: Sequence[tuple[CodeType, str, dict[CodeType, list[FunctionType]]] | None]
    ):
        codes, running = [3] * len(mutants), dict[int, int]()
        for number in range(len(mutants) + self._parallel):
            if len(running) == self._parallel or (running and number >= len(mutants)):
                child, status = os.wait()
                codes[running.pop(child)] = 124 if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)
            if number < len(mutants):
                if not (child := os.fork()):
                    self._tried(session, mutants[number])
                running[child] = number
        return codes

    def _tried(self, session: pytest.Session, mutant: Mutation | None) -> NoReturn:
        code = 3
        with contextlib.suppress(BaseException):
            signal.setitimer(signal.ITIMER_PROF, self._cpu_s)
            code = NOT_SWAPPED if mutant and not self._swap(*mutant) else _run(session)
        os._exit(code)

    def _swap(self, original: CodeType, source: str, known: Functions) -> bool:
        try:
            pairs = list(changed(original, compile(source, self._path, "exec", dont_inherit=True)))
            for before, after in pairs:
                for function in known.get(before, ()):
                    function.__code__ = after
        except ValueError:  # it stands outside of functions, or its closure is another one
            return False
        return any(before in known for before, _ in pairs)


def _functions(path: str) -> Functions:
    """Return the functions of a module that there are, by their code."""
    found: Functions = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == path:
            found.setdefault(one.__code__, []).append(one)
    return found


def _run(session: pytest.Session) -> int:
    """Run the tests up to the first that fails."""
    items = [*session.items, None]
    for item, following in itertools.pairwise(items):
        assert item is not None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0 if session.items else 5


def changed(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    """Yield each function's code that is another one now, with its successor. Raises `ValueError` outside of functions."""
    inner = [[one for one in code.co_consts if isinstance(one, CodeType)] for code in (before, after)]
    is_same = _shell(before) == _shell(after) and len(inner[0]) == len(inner[1])
    is_function = bool(before.co_flags & inspect.CO_OPTIMIZED)
    if not is_same and not is_function:
        raise ValueError(f"{before.co_qualname} is run at the import")
    if is_function and before != after:
        yield before, after
    for one, other in zip(*inner, strict=False):
        yield from changed(one, other)


def _shell(code: CodeType) -> tuple[object, ...]:
    """Return what a piece of code does by itself, without the functions in it and the lines that it stands on."""
    constants = [repr(one) for one in code.co_consts if not isinstance(one, CodeType)]
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
