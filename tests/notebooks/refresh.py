"""Execute the page against a fresh sandbox and store its outputs: python -m tests.notebooks.refresh."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).resolve().parent.parent.parent / "notebooks" / "inbound_scim.ipynb"


def refresh() -> None:
    page = nbformat.read(PAGE, as_version=4)
    NotebookClient(page, timeout=60, record_timing=False, store_widget_state=False).execute()
    page.metadata["language_info"] = {"name": "python"}  # no interpreter version: it is not the page's
    nbformat.write(page, PAGE)


if __name__ == "__main__":
    refresh()
