"""The executed page on disk: every write of it, even during the run, is whole, without secrets and readable by its owner only."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from papermill.iorw import papermill_io

from runbook_lib.run.report import write_private

_SCHEME = "private:"


def private(page: Path) -> str:
    """Return the output path that makes papermill write this page privately; by itself it writes 0644, and over the old page."""
    if not isinstance(papermill_io.get_handler(_SCHEME), _PrivatePages):
        papermill_io.register(_SCHEME, _PrivatePages())
    return f"{_SCHEME}{page.absolute()}"


def write_page(page: nbformat.NotebookNode, path: str) -> None:
    """Write a page while it runs, to an output path of papermill's: one cell a line.

    nbformat copies and validates the page and writes it with indentation, for which Python's encoder does without its C part:
    thirty times as slow.
    """
    rest = {key: value for key, value in page.items() if key != "cells"}
    cells = ",\n".join(json.dumps(cell, ensure_ascii=False) for cell in page["cells"])
    papermill_io.write(f'{{"cells": [\n{cells}\n],\n{json.dumps(rest, ensure_ascii=False)[1:-1]}}}\n', path)


class _PrivatePages:
    """Where papermill puts pages. It writes after every cell and, in a long one, every 30 seconds; it never reads them."""

    def write(self, buf: str, path: str) -> None:
        write_private(Path(self.pretty_path(path)), buf)

    def pretty_path(self, path: str) -> str:
        return path.removeprefix(_SCHEME)
