"""The page on disk while papermill runs: whole at every moment, without secrets, for its owner only."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import time

import nbformat
import papermill
import pytest
from papermill.iorw import papermill_io

from runbook_lib.batch.private_output import private
from runbook_lib.core.secret import Secret

CANARY = "page-canary-known-to-the-parent-1"
TOKEN = f"tok_{'aB3' * 5}z.{'0f' * 32}"  # of a shape that is known, also when it was never registered
IS_SEEN = "asked.touch()\nwhile asked.exists(): time.sleep(0.002)"  # the page as it is while this cell runs


def cells(asked):
    """Cells of which the watch sees the page in the midst of the last three: they make a file, and wait until it is gone."""
    return [
        'secret: str = ""',
        f"import pathlib, time; asked = pathlib.Path({str(asked)!r})\n{IS_SEEN}",
        f"print('page-canary-known-' 'to-the-parent-1', 'tok_' '{TOKEN[4:]}')\n{IS_SEEN}",
        f"{IS_SEEN}\nraise ValueError('page-canary-' 'known-to-the-parent-1')",
    ]


@pytest.fixture
def notebook(tmp_path):
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells(tmp_path / "asked")])
    page.cells[0].metadata["tags"] = ["parameters"]
    page.metadata["language_info"] = {"name": "python"}
    nbformat.write(page, tmp_path / "in.ipynb")
    return tmp_path / "in.ipynb"


class Watch:
    """Reads a file over and over, and removes another that asks for it; `seen` are its texts and modes."""

    def __init__(self, path, asked):
        self.path, self.asked, self.seen, self._is_over = path, asked, set(), threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self):
        while not self._is_over.is_set():
            is_asked = self.asked.exists()
            if self.path.exists():
                self.seen.add((self.path.read_text(), stat.S_IMODE(self.path.stat().st_mode)))
            if is_asked:
                self.asked.unlink()
            time.sleep(0.002)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join()


def executed(notebook, output, page):
    Secret(CANARY)
    with Watch(page, notebook.with_name("asked")) as watch, pytest.raises(papermill.PapermillExecutionError):
        papermill.execute_notebook(
            str(notebook), output, parameters={"secret": CANARY}, kernel_name="python3", progress_bar=False, autosave_cell_every=1
        )
    return watch.seen


def test_every_write_is_whole_clean_and_private(notebook, tmp_path):
    page = tmp_path / "out" / "page.ipynb"
    seen = executed(notebook, private(page), page)
    assert len([text for text, _ in seen if '"status": "running"' in text]) >= 3
    assert {mode for _, mode in seen} == {0o600}
    assert [text for text, _ in seen if CANARY in text or TOKEN in text] == []
    assert {json.loads(text)["nbformat"] for text, _ in seen} == {4}
    assert [path.name for path in page.parent.iterdir()] == ["page.ipynb"]
    assert "***" in page.read_text()


def test_papermill_by_itself_leaks_them(notebook, tmp_path):
    page = tmp_path / "page.ipynb"
    seen = executed(notebook, str(page), page)
    assert [text for text, _ in seen if CANARY in text and TOKEN in text]


def test_a_page_that_cannot_be_written_whole_leaves_the_old_one(tmp_path, monkeypatch):
    page = tmp_path / "page.ipynb"
    papermill_io.write("{}", private(page))
    monkeypatch.setattr(os, "fdopen", FullDisk)
    with pytest.raises(OSError, match="No space"):
        papermill_io.write('{"new": 1}', private(page))
    assert page.read_text() == "{}"


class FullDisk:
    def __init__(self, handle, *_, **__):
        os.close(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def write(self, _text):
        raise OSError(errno.ENOSPC, "No space left on device")
