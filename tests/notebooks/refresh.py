"""Execute the pages against a fresh sandbox each and store their outputs: python -m tests.notebooks.refresh."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent.parent.parent / "notebooks"
PAGES = (FOLDER / "inbound_scim.ipynb", FOLDER / "fleet.ipynb")


def refresh(path: Path) -> None:
    page = nbformat.read(path, as_version=4)
    NotebookClient(page, timeout=120, record_timing=False, store_widget_state=False).execute()
    page.metadata["language_info"] = {"name": "python"}  # no interpreter version: it is not the page's
    nbformat.write(page, path)


if __name__ == "__main__":
    for path in PAGES:
        refresh(path)
