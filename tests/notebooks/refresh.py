"""Execute each page against a fresh sandbox of its own and store its outputs: python -m tests.notebooks.refresh."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from runbook_lib.settings.process import OUTPUTS_VARIABLE

FOLDER = Path(__file__).resolve().parent.parent.parent / "notebooks"
# What nbconvert needs to write a script, and every kernel of Python 3 says; without the version of the interpreter.
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
PAGES = tuple(sorted(FOLDER.glob("*.ipynb")))


async def refresh(path: Path, scratch: Path) -> None:
    """Execute one page and store it without times, or the version of the interpreter."""
    page = nbformat.read(path, as_version=4)
    kernel = Config({"KernelManager": {"transport": "ipc", "ip": str(scratch / path.stem)}})
    client = NotebookClient(page, timeout=120, record_timing=False, store_widget_state=False, config=kernel)
    await client.async_execute(cwd=str(scratch))
    page.metadata["language_info"] = LANGUAGE
    nbformat.write(page, path)


async def refresh_all() -> None:
    """Execute all pages. What they leave goes into a folder that is removed."""
    with tempfile.TemporaryDirectory() as scratch:
        os.environ[OUTPUTS_VARIABLE] = scratch
        await asyncio.gather(*(refresh(path, Path(scratch)) for path in PAGES))


if __name__ == "__main__":
    asyncio.run(refresh_all())
