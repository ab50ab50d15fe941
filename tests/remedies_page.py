"""Write the codes into docs/troubleshooting.md: .venv/bin/python -m tests.remedies_page"""

from __future__ import annotations

from pathlib import Path

from runbook_lib.core.remedies import as_markdown

PAGE = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
MARK = "<!-- From here on written from runbook_lib/core/remedies.toml by: python -m tests.remedies_page -->\n\n"


def page() -> str:
    """Return the page as it should be: its own beginning, then a paragraph for each code."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0].rstrip() + "\n\n" + MARK + as_markdown()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
